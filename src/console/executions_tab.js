// What a function did: the list of its executions, and one of them in full.
import { api } from './api.js';
import { ago, duration, h, pill, statusPill, table } from './dom.js';

const PAGE = 50;
const COLUMNS = [
  ['Status', ''],
  ['When', 'when'],
  ['Time', 'number'],
  ['', ''],
  ['Error', 'grow'],
];

export async function executionsTab(fn) {
  const list = h('div', { 'aria-live': 'polite' });
  const status = h(
    'select',
    { id: 'status', onchange: () => show() },
    h('option', { value: '' }, 'all'),
    ['pending', 'running', 'success', 'error', 'timeout', 'cancelled'].map((value) =>
      h('option', { value }, value),
    ),
  );

  async function show(before) {
    const query = `limit=${PAGE}${status.value && `&status=${status.value}`}${before ? `&before=${before}` : ''}`;
    const executions = await api(`/functions/${fn.name}/executions?${query}`);
    const last = executions.at(-1)?.id;
    list.replaceChildren(
      executions.length === 0
        ? h('p', { class: 'card pad faint' }, before ? 'There are no older ones.' : 'Nothing here yet.')
        : table(
            COLUMNS,
            executions.map((execution) => row(fn, execution)),
          ),
      ...(executions.length === PAGE
        ? [h('div', { class: 'bar' }, h('button', { type: 'button', onclick: () => show(last) }, 'Older'))]
        : []),
    );
  }

  await show();
  return [
    h(
      'div',
      { class: 'bar' },
      h('label', { for: 'status' }, 'Status'),
      status,
      h('button', { type: 'button', class: 'push', onclick: () => show() }, 'Refresh'),
    ),
    list,
  ];
}

function row(fn, execution) {
  const href = `#/functions/${fn.name}/executions/${execution.id}`;
  return h(
    'tr',
    {},
    h('td', {}, statusPill(execution.status)),
    h('td', { class: 'when' }, h('a', { href }, ago(execution.executed_at))),
    h('td', { class: 'number' }, execution.completed_at === null ? null : duration(execution.duration_ms)),
    h('td', {}, execution.cold_start ? pill('cold') : null),
    h('td', { class: 'grow faint' }, execution.error_message),
  );
}

/** How it was, where it is over. */
function ending(it) {
  return [
    ['Time', `${duration(it.duration_ms)}${it.cpu_ms === null ? '' : `, ${duration(it.cpu_ms)} of CPU`}`],
    ['Start', it.cold_start ? 'cold: it waited for a process' : 'warm'],
  ];
}

/** By which schedule, and for when. */
function tickOf({ trigger_type, trigger_payload }) {
  if (trigger_type !== 'cron' || !trigger_payload?.scheduled_at) return '';
  return ` (${trigger_payload.schedule}, for ${new Date(trigger_payload.scheduled_at).toLocaleString()})`;
}

export async function executionPage(fn, id) {
  const it = await api(`/executions/${encodeURIComponent(id)}`);
  const facts = [
    ['Status', [statusPill(it.status), it.status_code === null ? '' : ` ${it.status_code}`]],
    ['When', [new Date(it.executed_at).toLocaleString(), ' (', ago(it.executed_at), ')']],
    ...(it.completed_at === null ? [] : ending(it)),
    ['Trigger', `${it.trigger_type}${tickOf(it)}, version ${it.version}`],
    ['Execution', h('span', { class: 'mono' }, it.id)],
    ['Request', h('span', { class: 'mono' }, it.request_id)],
  ];
  const text = (title, value) => (value ? [h('h2', {}, title), h('pre', { tabindex: '0' }, value)] : []);
  return [
    h('div', { class: 'bar' }, h('a', { href: `#/functions/${fn.name}/executions` }, '← All executions')),
    h(
      'div',
      { class: 'card pad' },
      h(
        'dl',
        {},
        facts.map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
      ),
    ),
    text('Error', it.error_stack ?? it.error_message),
    text('Logs', it.logs),
    text('Result', it.result),
  ];
}
