// Checks a document, and says everything that is wrong with it. The one argument
// says how; the input is {document, frames}.
//   asyncapi   AsyncAPI's own schema, descriptions, examples
//   frames     the frames, each {message, payload}, by an AsyncAPI document
//   openapi    a validator of OpenAPI, descriptions, examples
const { readFileSync } = require('node:fs');
const Ajv7 = require('ajv').default;
const Ajv2020 = require('ajv/dist/2020').default;
const addFormats = require('ajv-formats').default;

const mode = process.argv.at(-1);
const { document: doc, frames: sent } = JSON.parse(readFileSync(0, 'utf8'));
const faults = [];
let checked = 0;

const options = { allErrors: true, strict: true, allowUnionTypes: true, strictRequired: false, strictTypes: false };

// validator compiles the parts of the document as they are, but that no object
// has a field which is not described.
function validator(Ajv, ...words) {
  const { id, ...rest } = closed(doc); // to ajv, id is what $id was once
  const ajv = addFormats(new Ajv({ ...options, keywords: [...Object.keys(rest), ...words] }));
  ajv.addSchema({ ...rest, $id: 'document' }, undefined, false, false);
  return (pointer, value, at) => {
    checked++;
    const check = ajv.getSchema('document#' + pointer);
    if (!check) return faults.push(`${at}: no schema at ${pointer}`);
    if (!check(value)) faults.push(`${at}: ${ajv.errorsText(check.errors)}\n    ${JSON.stringify(value)}`);
  };
}

function closed(node) {
  if (Array.isArray(node)) return node.map(closed);
  if (!node || typeof node !== 'object') return node;
  const out = Object.fromEntries(Object.entries(node).map(([k, v]) => [k, k.startsWith('example') || k === 'default' ? v : closed(v)]));
  if (out.type === 'object' && out.properties && !('additionalProperties' in out)) out.additionalProperties = false;
  return out;
}

const escaped = (step) => step.replaceAll('~', '~0').replaceAll('/', '~1');

// eachSchema calls f with a schema and all below it, by pointer.
function eachSchema(schema, pointer, f) {
  if (!schema || typeof schema !== 'object' || schema.$ref) return;
  f(schema, pointer);
  for (const [name, p] of Object.entries(schema.properties ?? {})) eachSchema(p, `${pointer}/properties/${escaped(name)}`, f);
  for (const word of ['items', 'additionalProperties', 'not']) eachSchema(schema[word], `${pointer}/${word}`, f);
  for (const word of ['oneOf', 'anyOf', 'allOf']) (schema[word] ?? []).forEach((p, i) => eachSchema(p, `${pointer}/${word}/${i}`, f));
}

// describe wants a description of every field.
function describe(schema, pointer) {
  eachSchema(schema, pointer, (s, at) => {
    for (const [name, p] of Object.entries(s.properties ?? {})) {
      if (!p.$ref && !p.description && p !== true && !('const' in p)) faults.push(`${at}: the field ${name} has no description`);
    }
  });
}

function asyncapi() {
  // AsyncAPI's schema brings the one of JSON Schema along.
  const ajv = addFormats(new Ajv7({ strict: false, allErrors: true, meta: false, validateSchema: false }));
  const spec = require('@asyncapi/specs/schemas/3.0.0.json');
  if (!ajv.validate(spec, doc)) {
    for (const e of ajv.errors) faults.push(`the document${e.instancePath} ${e.message}`);
  }
  const check = validator(Ajv7);
  for (const [key, m] of Object.entries(doc.components.messages)) {
    const at = `/components/messages/${key}/payload`;
    describe(m.payload, at);
    for (const e of m.examples) check(at, e.payload, `the example ${e.name} of ${key}`);
  }
  for (const [name, s] of Object.entries(doc.components.schemas)) {
    if (!s.description) faults.push(`the schema ${name} has no description`);
    for (const e of s.examples ?? []) check(`/components/schemas/${name}`, e, `an example of ${name}`);
  }
}

function frames() {
  const check = validator(Ajv7);
  for (const { message, payload } of sent) {
    check(`/components/messages/${message}/payload`, payload, `a frame of ${message}`);
  }
}

function resolve(node) {
  if (!node?.$ref) return node;
  return resolve(node.$ref.slice(2).split('/').reduce((at, step) => at[step.replaceAll('~1', '/').replaceAll('~0', '~')], doc));
}

// unshown are codes that no example has: of a method that a path does not take,
// of the port in front of the API, and of the protocol for clients.
const unshown = ['method_not_allowed', 'cross_origin', 'unknown_event', 'rate_limited'];

async function openapi() {
  const { validate } = require('@readme/openapi-parser');
  const said = await validate(structuredClone(doc));
  for (const e of [...(said.errors ?? []), ...(said.warnings ?? [])]) faults.push(e.message);

  const check = validator(Ajv2020, 'example');
  // content wants a media type to have an example that its schema allows.
  const content = (holder, at, pointer) => {
    for (const [kind, media] of Object.entries(holder.content ?? {})) {
      const there = `${pointer}/content/${escaped(kind)}`;
      describe(media.schema, `${there}/schema`);
      const examples = 'example' in media ? { example: { value: media.example } } : media.examples ?? {};
      if (Object.keys(examples).length === 0) faults.push(`${at} has no example`);
      for (const [name, e] of Object.entries(examples)) check(`${there}/schema`, resolve(e).value, `${at}, ${name}`);
    }
  };
  const parameter = (p, at) => {
    if (!p.description) faults.push(`${at} has no description`);
    if (!('example' in p) && !p.schema?.examples) faults.push(`${at} has no example`);
  };
  for (const [path, item] of Object.entries(doc.paths)) {
    for (const [method, op] of Object.entries(item)) {
      const at = `${method.toUpperCase()} ${path}`;
      const pointer = `/paths/${escaped(path)}/${method}`;
      for (const word of ['summary', 'description', 'operationId']) if (!op[word]) faults.push(`${at} has no ${word}`);
      (op.parameters ?? []).forEach((p) => p.$ref || parameter(p, `${at}: the parameter ${p.name}`));
      if (op.requestBody) content(op.requestBody, `${at}: the body`, `${pointer}/requestBody`);
      for (const [status, r] of Object.entries(op.responses)) {
        if (!r.$ref) content(r, `${at}: ${status}`, `${pointer}/responses/${status}`);
      }
    }
  }
  for (const [name, p] of Object.entries(doc.components.parameters)) parameter(p, `the parameter ${name}`);
  for (const [name, r] of Object.entries(doc.components.responses)) content(r, `the answer ${name}`, `/components/responses/${name}`);
  for (const [name, s] of Object.entries(doc.components.schemas)) {
    if (!s.description) faults.push(`the schema ${name} has no description`);
    describe(s, `/components/schemas/${name}`);
  }
  const codes = doc.components.schemas.Problem.properties.code.enum;
  const shown = Object.values(doc.components.responses).flatMap((r) => Object.values(r.content ?? {}).flatMap((m) =>
    'example' in m ? [m.example] : Object.values(m.examples ?? {}).map((e) => e.value))).map((e) => e?.code);
  for (const code of codes) {
    if (!JSON.stringify(doc).includes('`' + code + '`')) faults.push(`the error code ${code} is not explained`);
    if (!shown.includes(code) && !unshown.includes(code)) faults.push(`the error code ${code} has no example`);
  }
}

(async () => {
  await { asyncapi, frames, openapi }[mode]();
  if (faults.length > 0) {
    console.log(faults.join('\n'));
    process.exitCode = 1;
  } else if (checked === 0) {
    console.log('nothing was checked');
    process.exitCode = 1;
  } else {
    console.log(`${checked} messages and examples are as described`);
  }
})();
