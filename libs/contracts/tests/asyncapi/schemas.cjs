// schemas.cjs SCHEMAS GOLDEN: every event's JSON Schema (draft 2020-12) accepts its own example and its golden payloads.
const { readdirSync, readFileSync } = require("node:fs");
const { join } = require("node:path");
const Ajv = require("ajv/dist/2020").default;
const formats = require("ajv-formats").default;

const [schemas, golden] = process.argv.slice(2);
const read = (...path) => JSON.parse(readFileSync(join(...path), "utf8"));
const ajv = formats(new Ajv({ strict: true, allowUnionTypes: false, keywords: [], validateFormats: true }));
for (const word of ["type", "publisher", "topic", "key", "rely", "anonymous", "restricted", "open"]) ajv.addKeyword(`x-${word}`);

let checked = 0;
const wrong = [];
for (const file of readdirSync(schemas).filter((name) => name.startsWith("factoring."))) {
  const type = file.replace(/\.json$/, "");
  const schema = read(schemas, file);
  const accepts = ajv.compile(schema);
  const values = [
    ...schema.examples,
    ...readdirSync(join(golden, type)).map((name) => read(golden, type, name).value),
  ];
  for (const value of values) {
    checked += 1;
    if (!accepts(value)) wrong.push({ type, errors: accepts.errors });
  }
}
console.log(JSON.stringify({ checked, wrong }));
process.exit(wrong.length ? 1 : 0);
