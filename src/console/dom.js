// Elements, and how times and durations are written. Text is set as text, never as markup.

/** An element: attributes, `on…` listeners and properties, then children; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'value' || name === 'checked') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(
    ...children
      .flat(Number.POSITIVE_INFINITY)
      .filter((child) => child !== null && child !== false && child !== undefined),
  );
  return element;
}

export function pill(text, kind = '') {
  return h('span', { class: `pill ${kind}` }, text);
}

const STATUS_KINDS = { success: 'good', error: 'bad', timeout: 'bad', cancelled: 'warn' };

export function statusPill(status) {
  return pill(status, STATUS_KINDS[status]);
}

/** A table in a card. `columns`: `[heading, class]`. */
export function table(columns, rows) {
  const head = columns.map(([heading, kind]) => h('th', { scope: 'col', class: kind }, heading));
  return h('div', { class: 'card' }, h('table', {}, h('thead', {}, h('tr', {}, head)), h('tbody', {}, rows)));
}

/** What the API said was wrong; a place in the code can be gone to. */
export function problem(error, goTo) {
  const places = (error.details ?? []).map(({ field, message, line, column }) => {
    const text = line === undefined ? `${field}: ${message}` : `Line ${line}, column ${column}: ${message}`;
    const known = line !== undefined && goTo !== undefined;
    return h(
      'li',
      {},
      known ? h('button', { type: 'button', onclick: () => goTo(line, column) }, text) : text,
    );
  });
  return h(
    'div',
    { class: 'notice bad', role: 'alert' },
    places.length === 0 ? error.message : places.length === 1 ? places[0].firstChild : null,
    places.length > 1 && [`${places.length} things are wrong:`, h('ul', {}, places)],
  );
}

const UNITS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];
const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });

export function ago(timestamp) {
  const seconds = (Date.now() - Date.parse(timestamp)) / 1000;
  const [unit, size] = UNITS.find(([, length]) => seconds >= length) ?? ['second', 1];
  const text = seconds < 5 ? 'just now' : relative.format(-Math.round(seconds / size), unit);
  return h('time', { datetime: timestamp, title: new Date(timestamp).toLocaleString() }, text);
}

export function duration(ms) {
  if (ms >= 10_000) return `${(ms / 1000).toFixed(1)} s`;
  return ms >= 100 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`;
}
