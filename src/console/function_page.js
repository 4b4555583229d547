// One function: its head, and a tab for each thing that can be done with it.
import { api } from './api.js';
import { callTab } from './call_tab.js';
import { codeTab } from './code_tab.js';
import { h, pill } from './dom.js';
import { executionPage, executionsTab } from './executions_tab.js';
import { states } from './functions_page.js';
import { logsTab } from './logs_tab.js';

const TABS = { executions: executionsTab, code: codeTab, call: callTab, logs: logsTab };
const TITLES = { executions: 'Executions', code: 'Code', call: 'Call', logs: 'Live logs' };

/** `rest`: the tab, and what it shows. `signal`: aborted when the page is left. */
export async function functionPage(name, [tab = 'executions', id], signal, again) {
  const fn = await api(`/functions/${encodeURIComponent(name)}`);
  const body =
    id === undefined ? await (TABS[tab] ?? executionsTab)(fn, signal, again) : await executionPage(fn, id);

  async function toggle() {
    await api(`/functions/${fn.name}`, { method: 'PATCH', json: { enabled: !fn.enabled } });
    again();
  }

  const tabs = Object.entries(TITLES).map(([key, title]) =>
    h('a', { href: `#/functions/${fn.name}/${key}`, 'aria-current': key === tab ? 'page' : null }, title),
  );
  return [
    h(
      'div',
      { class: 'head' },
      h('h1', {}, fn.name),
      states(fn),
      pill(`v${fn.version}`),
      pill(`${fn.timeout_seconds} s`),
      pill(`${fn.memory_limit_mb} MiB`),
      h('button', { type: 'button', class: 'push', onclick: toggle }, fn.enabled ? 'Disable' : 'Enable'),
    ),
    h('nav', { class: 'tabs', 'aria-label': fn.name }, tabs),
    body,
  ];
}
