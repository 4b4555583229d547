// The function's log as it is written, after the lines that are stored already.
import { events } from './api.js';
import { h } from './dom.js';

const KEPT = 2000;

export async function logsTab(fn, signal) {
  const lines = h('pre', { class: 'stream', tabindex: '0', role: 'log', 'aria-label': `Log of ${fn.name}` });
  const state = h('span', { class: 'faint', role: 'status' }, 'Connecting …');

  function add(element) {
    const atEnd = lines.scrollHeight - lines.scrollTop - lines.clientHeight < 40;
    lines.append(element);
    while (lines.childElementCount > KEPT) lines.firstElementChild?.remove();
    if (atEnd) lines.scrollTop = lines.scrollHeight;
  }

  function onEvent(name, data) {
    if (name === 'dropped') return add(h('div', { class: 'warn' }, `${data.lines} lines were left out`));
    // A stored line carries its level in front.
    const [, level = data.level, text = data.message] =
      /^\[(debug|warn|error)\] (.*)$/s.exec(data.message) ?? [];
    const time = new Date(data.timestamp).toLocaleTimeString('en-GB');
    add(h('div', { class: level }, h('time', { datetime: data.timestamp }, time), h('span', {}, text)));
  }

  async function follow() {
    try {
      state.textContent = 'Following: new lines appear as they are written.';
      await events(`/functions/${fn.name}/logs?follow=true`, signal, onEvent);
      state.textContent = 'The node has ended the stream.';
    } catch (error) {
      if (!signal.aborted) state.textContent = `The stream broke off: ${error.message}`;
    }
  }

  await events(`/functions/${fn.name}/logs?limit=20`, signal, onEvent);
  // The newest of them is what matters, once they are on the page.
  requestAnimationFrame(() => {
    lines.scrollTop = lines.scrollHeight;
  });
  void follow();
  return [
    h(
      'div',
      { class: 'bar' },
      state,
      h('button', { type: 'button', class: 'push', onclick: () => lines.replaceChildren() }, 'Clear'),
    ),
    lines,
  ];
}
