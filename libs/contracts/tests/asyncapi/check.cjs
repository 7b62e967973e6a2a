// check.cjs DOCUMENT…: parses each AsyncAPI document and checks every message's examples against its headers and payload.
// Prints one JSON object a line: a problem, or the number of messages of a good document. Exits 1 if there is a problem.
const { readFileSync } = require("node:fs");
const { Parser, DiagnosticSeverity } = require("@asyncapi/parser");
const Ajv = require("ajv/dist/2020").default;
const formats = require("ajv-formats").default;

let failed = false;
const say = (line) => console.log(JSON.stringify(line));
const problem = (line) => {
  failed = true;
  say(line);
};

(async () => {
  for (const path of process.argv.slice(2)) {
    const text = readFileSync(path, "utf8");
    const { document, diagnostics } = await new Parser().parse(text);
    for (const { severity, code, message, path: at } of diagnostics) {
      if (severity <= DiagnosticSeverity.Warning) problem({ document: path, code, message, at: at.join("/") });
    }
    if (!document) {
      problem({ document: path, code: "unparsed" });
      continue;
    }
    const ajv = formats(new Ajv({ strict: false }));
    const { components } = JSON.parse(text);
    ajv.addSchema({ components }, "document");
    const messages = Object.entries(components.messages);
    for (const [name, message] of messages) {
      if (!message.examples?.length) problem({ document: path, code: "no-example", message: name });
      for (const example of message.examples ?? []) {
        for (const part of ["headers", "payload"]) {
          const check = ajv.getSchema(`document#/components/messages/${name}/${part}`);
          if (!check(example[part])) problem({ document: path, code: `example-${part}`, message: name, errors: check.errors });
        }
      }
    }
    say({ document: path, messages: messages.length });
  }
  process.exit(failed ? 1 : 0);
})();
