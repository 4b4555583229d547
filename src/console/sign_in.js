// The way in: a service key, tried before it is kept.
import { api, key } from './api.js';
import { h } from './dom.js';

export function signIn(message, done) {
  const input = h('input', { type: 'password', id: 'key', autocomplete: 'off', required: true });
  const said = h('div', { role: 'alert' }, message && h('p', { class: 'notice bad' }, message));
  const button = h('button', { class: 'main' }, 'Sign in');

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    key.set(input.value.trim());
    try {
      await api('/functions?limit=1');
      done();
    } catch (error) {
      key.forget();
      said.replaceChildren(h('p', { class: 'notice bad' }, error.message));
      button.disabled = false;
      input.select();
    }
  }

  queueMicrotask(() => input.focus());
  return h(
    'form',
    { class: 'card pad sign-in', onsubmit: submit },
    h('h1', {}, 'Sign in'),
    h('p', { class: 'faint' }, 'With a service key of your tenant. It stays in this tab until you close it.'),
    said,
    h('label', { for: 'key' }, 'Service key'),
    input,
    h(
      'p',
      { class: 'faint hint' },
      'For the default tenant it is ',
      h('span', { class: 'mono' }, 'service_key'),
      ' in ',
      h('span', { class: 'mono' }, 'credentials.json'),
      ' in the data directory.',
    ),
    button,
  );
}
