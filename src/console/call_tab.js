// A call of the function, and its answer.
import { send } from './api.js';
import { duration, h, pill } from './dom.js';

const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
const SHOWN = 100_000;

export function callTab(fn, signal) {
  const method = h(
    'select',
    { 'aria-label': 'Method' },
    METHODS.map((name) => h('option', { value: name }, name)),
  );
  const path = h('input', {
    type: 'text',
    class: 'mono',
    'aria-label': 'Path and query',
    value: `/functions/v1/${fn.name}`,
    spellcheck: 'false',
    autocapitalize: 'off',
  });
  const body = h('textarea', { id: 'body', rows: '5', spellcheck: 'false' });
  const button = h('button', { class: 'main' }, 'Call');
  const answered = h('div', { 'aria-live': 'polite' });

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    const began = performance.now();
    try {
      const sent = method.value === 'GET' || body.value === '' ? {} : { body: body.value };
      const headers = sent.body === undefined ? {} : { 'content-type': contentType(sent.body) };
      const answer = await send(path.value, { method: method.value, signal, headers, ...sent });
      const text = await answer.text();
      answered.replaceChildren(...show(fn, answer, text, performance.now() - began));
    } catch (error) {
      if (!signal.aborted) answered.replaceChildren(h('p', { class: 'notice bad' }, error.message));
    }
    button.disabled = false;
  }

  return [
    h(
      'form',
      { onsubmit: submit },
      h('div', { class: 'bar call' }, method, path, button),
      h('label', { for: 'body' }, 'Body'),
      body,
      h('p', { class: 'faint hint' }, 'Called with your service key, as any client would.'),
    ),
    answered,
  ];
}

function contentType(text) {
  try {
    JSON.parse(text);
    return 'application/json';
  } catch {
    return 'text/plain';
  }
}

function show(fn, answer, text, ms) {
  const id = answer.headers.get('x-execution-id');
  const kind = answer.status < 300 ? 'good' : answer.status < 500 ? 'warn' : 'bad';
  const headers = [...answer.headers].map(([name, value]) => `${name}: ${value}`).join('\n');
  return [
    h(
      'div',
      { class: 'bar' },
      pill(String(answer.status), kind),
      h('span', {}, duration(ms)),
      id === null
        ? null
        : h('a', { class: 'push', href: `#/functions/${fn.name}/executions/${id}` }, 'Its execution'),
    ),
    h('pre', { tabindex: '0' }, text === '' ? '(no body)' : pretty(text.slice(0, SHOWN))),
    h('details', {}, h('summary', { class: 'faint' }, 'Headers'), h('pre', { tabindex: '0' }, headers)),
  ];
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}
