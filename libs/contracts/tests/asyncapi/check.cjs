// Parses each document named on the command line; prints every diagnostic as a line of JSON, exits 1 on an error.
const { readFileSync } = require("node:fs");
const { Parser, DiagnosticSeverity } = require("@asyncapi/parser");

(async () => {
  let failed = false;
  for (const path of process.argv.slice(2)) {
    const { document, diagnostics } = await new Parser().parse(readFileSync(path, "utf8"));
    for (const { severity, code, message, path: at } of diagnostics) {
      console.log(JSON.stringify({ document: path, severity, code, message, at: at.join("/") }));
    }
    failed ||= !document || diagnostics.some(({ severity }) => severity <= DiagnosticSeverity.Warning);
    if (document) console.log(JSON.stringify({ document: path, messages: document.allMessages().length }));
  }
  process.exit(failed ? 1 : 0);
})();
