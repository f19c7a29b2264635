'use strict';
// Shows openapi.json and sends what it describes. Everything becomes text nodes: nothing that the document or
// an answer holds is read as HTML.

const byId = id => document.getElementById(id);

function element(name, attributes, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (key.startsWith('on')) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value);
  }
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
}

let schemas = {};

function named(reference) {
  return reference.split('/').pop();
}

// A schema in a few words: `array of Submission`, `string or null`.
function words(schema) {
  if (!schema) return 'nothing';
  if (schema.$ref) return named(schema.$ref);
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return options.map(words).join(' or ');
  const types = [].concat(schema.type ?? 'anything');
  return types.map(type => {
    if (type === 'array') return `array of ${words(schema.items)}`;
    if (type === 'object' && schema.additionalProperties) return `object of ${words(schema.additionalProperties)}`;
    return schema.format ? `${type} (${schema.format})` : type;
  }).join(' or ') + (schema.enum ? `: ${schema.enum.join(', ')}` : '');
}

// The rows of a schema's properties; those of named schemas below them, once each.
function rows(schema, prefix, seen) {
  if (!schema) return [];
  if (schema.$ref) {
    const name = named(schema.$ref);
    return seen.includes(name) ? [] : rows(schemas[name], prefix, [...seen, name]);
  }
  const options = schema.oneOf ?? schema.anyOf;
  if (options) return options.flatMap(option => rows(option, prefix, seen));
  if (schema.items) return rows(schema.items, `${prefix}[].`, seen);
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
    const path = prefix + name;
    const must = (schema.required ?? []).includes(name);
    const row = element('tr', null,
      element('td', null, element('code', null, path)),
      element('td', null, words(property), must ? null : element('small', null, ' (may be missing)')),
      element('td', null, property.description ?? ''));
    return [row, ...rows(property, property.items || property.type === 'array' ? path : `${path}.`, seen)];
  });
}

function shape(schema) {
  const inner = rows(schema, '', []);
  return element('div', null, element('p', null, element('code', null, words(schema))),
    inner.length ? element('table', null, element('tbody', null, ...inner)) : null);
}

// An example of a body to begin with.
function example(schema) {
  if (!schema) return null;
  if (schema.$ref) return example(schemas[named(schema.$ref)]);
  if (schema.example !== undefined) return schema.example;
  const options = (schema.oneOf ?? schema.anyOf)?.filter(option => option.type !== 'null');
  if (options?.length) return example(options[0]);
  if (schema.enum) return schema.enum[0];
  if (schema.properties) {
    const must = schema.required ?? [];
    return Object.fromEntries(Object.entries(schema.properties)
      .filter(([name]) => must.includes(name)).map(([name, property]) => [name, example(property)]));
  }
  return null;
}

async function show(response, output, signal) {
  const head = element('p', { class: response.ok ? 'good' : 'bad' }, `${response.status} ${response.statusText}`);
  const body = element('pre', { tabindex: '0' });
  output.replaceChildren(head, body);
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('text/event-stream')) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    signal.addEventListener('abort', () => reader.cancel().catch(() => {}));
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      body.textContent = (body.textContent + part.value).slice(-20000);
      body.scrollTop = body.scrollHeight;
    }
    return;
  }
  const text = await response.text();
  try {
    body.textContent = type.includes('json') ? JSON.stringify(JSON.parse(text), null, 2) : text;
  } catch {
    body.textContent = text;
  }
}

function tryOut(method, path, operation) {
  const output = element('div', { role: 'status' });
  const fields = (operation.parameters ?? []).map(parameter => {
    const id = `${operation.operationId}-${parameter.name}`;
    const input = element('input', { id, spellcheck: 'false', autocomplete: 'off' });
    if (parameter.required) input.required = true;
    const label = element('label', { for: id }, element('code', null, parameter.name), ' ',
      element('small', null, `${parameter.in}; ${words(parameter.schema)}. ${parameter.description ?? ''}`));
    return { parameter, input, label };
  });
  const schema = operation.requestBody?.content?.['application/json']?.schema;
  const bodyId = `${operation.operationId}-body`;
  const body = schema && element('textarea', { id: bodyId, rows: '5', spellcheck: 'false' });
  if (body) body.value = JSON.stringify(example(schema) ?? {}, null, 2);
  let running = null;

  async function send(event) {
    event.preventDefault();
    running?.abort();
    running = new AbortController();
    let target = path.slice(1);
    const query = new URLSearchParams();
    const headers = {};
    for (const { parameter, input } of fields) {
      if (parameter.in === 'path') target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value !== '' && parameter.in === 'query') query.set(parameter.name, input.value);
      else if (input.value !== '' && parameter.in === 'header') headers[parameter.name] = input.value;
    }
    if (operation.security && byId('token').value) headers.authorization = `Bearer ${byId('token').value}`;
    if (body) headers['content-type'] = 'application/json';
    const url = query.size ? `${target}?${query}` : target;
    try {
      const init = { method: method.toUpperCase(), headers, body: body?.value, signal: running.signal };
      await show(await fetch(url, init), output, running.signal);
    } catch (error) {
      if (error.name !== 'AbortError') output.replaceChildren(element('p', { class: 'bad' }, String(error)));
    }
  }

  return element('form', { onsubmit: send },
    ...fields.flatMap(({ label, input }) => [label, input]),
    body ? element('label', { for: bodyId }, 'Body ', element('small', null, words(schema))) : null, body,
    element('button', { type: 'submit' }, 'Send'),
    element('button', { type: 'button', onclick: () => running?.abort() }, 'Stop'), output);
}

function operationView(method, path, operation) {
  const answers = Object.entries(operation.responses).map(([status, answer]) => {
    const [type, content] = Object.entries(answer.content ?? {})[0] ?? [];
    return element('tr', null, element('td', null, element('code', null, status)),
      element('td', null, answer.description), element('td', null, type ?? '', ' ', words(content?.schema)));
  });
  const good = operation.responses['200']?.content?.['application/json']?.schema;
  const sent = operation.requestBody?.content?.['application/json']?.schema;
  return element('details', { class: 'operation', id: operation.operationId },
    element('summary', null, element('span', { class: 'method' }, method.toUpperCase()),
      element('span', { class: 'path' }, path), element('span', { class: 'says' }, operation.summary ?? '')),
    element('div', null, operation.description ? element('p', null, operation.description) : null,
      element('h3', null, 'Answers'), element('table', null, element('tbody', null, ...answers)),
      sent ? element('h3', null, 'Takes') : null, sent ? shape(sent) : null,
      good ? element('h3', null, 'Gives') : null, good ? shape(good) : null,
      element('h3', null, 'Try it'), tryOut(method, path, operation)));
}

async function start() {
  const response = await fetch('openapi.json');
  const api = await response.json();
  schemas = api.components?.schemas ?? {};
  byId('title').textContent = `${api.info.title} ${api.info.version}`;
  byId('about').textContent = api.info.description ?? '';
  byId('sign-in').addEventListener('submit', event => event.preventDefault());
  const groups = (api.tags ?? []).map(tag => {
    const views = Object.entries(api.paths).flatMap(([path, item]) => Object.entries(item)
      .filter(([, operation]) => operation.tags?.includes(tag.name))
      .map(([method, operation]) => operationView(method, path, operation)));
    return element('section', { id: `group-${tag.name}` },
      element('h2', null, tag.name, ' ', element('small', null, tag.description ?? '')), ...views);
  });
  byId('contents').replaceChildren(
    ...(api.tags ?? []).map(tag => element('a', { href: `#group-${tag.name}` }, tag.name)));
  byId('operations').replaceChildren(...groups);
}

start().catch(error => byId('operations').replaceChildren(element('p', { class: 'bad' }, String(error))));
