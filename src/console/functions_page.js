// All functions.
import { api } from './api.js';
import { ago, h, pill, table } from './dom.js';

const PAGE = 200;

export async function functionsPage() {
  const functions = [];
  for (let page = null; page === null || page.length === PAGE; functions.push(...page)) {
    const after = functions.at(-1)?.name;
    page = await api(`/functions?limit=${PAGE}${after === undefined ? '' : `&after=${after}`}`);
  }
  const head = h(
    'div',
    { class: 'head' },
    h('h1', {}, 'Functions'),
    h('a', { class: 'button main push', href: '#/new' }, 'New function'),
  );
  if (functions.length === 0)
    return [
      head,
      h(
        'p',
        { class: 'card pad' },
        'There are none yet. ',
        h('a', { href: '#/new' }, 'Write the first one.'),
      ),
    ];
  const columns = [
    ['Name', 'name'],
    ['State', ''],
    ['Routes', 'grow'],
    ['Version', 'number'],
    ['Updated', 'number'],
  ];
  return [head, table(columns, functions.map(row))];
}

function row(fn) {
  return h(
    'tr',
    {},
    h('td', { class: 'name' }, h('a', { href: `#/functions/${fn.name}` }, fn.name)),
    h('td', {}, states(fn)),
    h('td', { class: 'grow mono faint' }, [`/functions/v1/${fn.name}`, ...fn.routes].join('  ')),
    h('td', { class: 'number faint' }, `v${fn.version}`),
    h('td', { class: 'number faint' }, ago(fn.updated_at)),
  );
}

export function states(fn) {
  if (!fn.enabled) return pill('disabled', 'warn');
  return fn.allow_unauthenticated ? pill('open to all', 'good') : pill('needs a key');
}
