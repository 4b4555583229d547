// Code: written, deployed, and told where it is wrong.
import { api } from './api.js';
import { h, problem } from './dom.js';

const FIRST = `export default async function handler(request: Request): Promise<Response> {
  const name = new URL(request.url).searchParams.get('name') ?? 'world';
  console.log('greeting', name);
  return Response.json({ message: \`Hello, \${name}!\` });
}
`;

function editor(code) {
  const area = h('textarea', {
    class: 'code',
    id: 'code',
    value: code,
    spellcheck: 'false',
    autocapitalize: 'off',
    autocomplete: 'off',
  });
  /** Line and column count from 1. */
  const goTo = (line, column) => {
    const before = area.value.split('\n').slice(0, line - 1);
    const at = before.reduce((sum, text) => sum + text.length + 1, 0) + column - 1;
    area.focus();
    area.setSelectionRange(at, at + 1);
    area.scrollTop = Math.max(0, (line - 6) * Number.parseFloat(getComputedStyle(area).lineHeight));
  };
  return { area, goTo };
}

export function codeTab(fn, _signal, again) {
  const { area, goTo } = editor(fn.code);
  const said = h('div');
  const button = h('button', { class: 'main' }, 'Deploy');

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    try {
      const changed = await api(`/functions/${fn.name}`, { method: 'PATCH', json: { code: area.value } });
      await again();
      document
        .querySelector('#said')
        ?.append(h('p', { class: 'notice good', role: 'status' }, `Version ${changed.version} is live.`));
    } catch (error) {
      said.replaceChildren(problem(error, goTo));
      button.disabled = false;
    }
  }

  return h(
    'form',
    { onsubmit: submit },
    h('div', { id: 'said' }, said),
    h('label', { for: 'code' }, 'Code'),
    area,
    h(
      'div',
      { class: 'bar' },
      button,
      h(
        'span',
        { class: 'faint' },
        'It is live for the next call. Calls in flight finish on the old version.',
      ),
    ),
  );
}

export function newPage() {
  const { area, goTo } = editor(FIRST);
  const said = h('div');
  const name = h('input', {
    type: 'text',
    id: 'name',
    required: true,
    pattern: '[a-zA-Z0-9_\\-]{1,64}',
    autocomplete: 'off',
    placeholder: 'letters, digits, _ and -',
  });
  const open = h('input', { type: 'checkbox', id: 'open' });
  const button = h('button', { class: 'main' }, 'Deploy');

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    const json = { name: name.value.trim(), code: area.value };
    if (open.checked) json.allow_unauthenticated = true;
    try {
      await api('/functions', { method: 'POST', json });
      location.hash = `#/functions/${json.name}/call`;
    } catch (error) {
      said.replaceChildren(problem(error, goTo));
      button.disabled = false;
    }
  }

  return h(
    'form',
    { onsubmit: submit },
    h('div', { class: 'head' }, h('h1', {}, 'New function')),
    said,
    h('label', { for: 'name' }, 'Name'),
    name,
    h('label', { class: 'check', for: 'open' }, open, 'Anyone may call it, without a key'),
    h('label', { for: 'code' }, 'Code'),
    area,
    h('div', { class: 'bar' }, button),
  );
}
