// The console: which page the address asks for, and who may see it.
import { api, key } from './api.js';
import { newPage } from './code_tab.js';
import { h } from './dom.js';
import { functionPage } from './function_page.js';
import { functionsPage } from './functions_page.js';
import { signIn } from './sign_in.js';

const main = document.querySelector('#main');
const nav = document.querySelector('#nav');
let leaving = new AbortController();
/** The key's tenant, once it has been asked for. */
let known = null;

async function show(message) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  nav.hidden = key.get() === null;
  document.title = 'Hearth';
  if (key.get() === null) {
    document.querySelector('#tenant').textContent = '';
    main.replaceChildren(signIn(message, () => show()));
    return;
  }
  try {
    const [content] = await Promise.all([
      page(location.hash.replace(/^#\//, '').split('/').map(decodeURIComponent), signal),
      showTenant(),
    ]);
    if (!signal.aborted) main.replaceChildren(...[content].flat(3).filter(Boolean));
  } catch (error) {
    if (signal.aborted) return;
    if (error.status === 401 || error.status === 403) {
      key.forget();
      return show(error.message);
    }
    main.replaceChildren(
      h('p', { class: 'notice bad', role: 'alert' }, error.message),
      h('a', { href: '#/' }, 'All functions'),
    );
  }
}

/** Whose functions these are: the key says it. */
async function showTenant() {
  const used = key.get();
  if (known?.key !== used) known = { key: used, ...(await api('/tenant')) };
  const name = document.querySelector('#tenant');
  name.textContent = known.display_name;
  name.title = `Tenant ${known.slug}`;
}

async function page([first, name, ...rest], signal) {
  if (first === 'new') return newPage();
  if (first !== 'functions' || name === undefined) return await functionsPage();
  document.title = `${name} – Hearth`;
  return await functionPage(name, rest, signal, show);
}

window.addEventListener('hashchange', () => {
  // The skip link goes to the content, not to another page.
  if (location.hash !== '#main')
    void show().then(() => {
      main.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    });
});
document.querySelector('#sign-out').addEventListener('click', () => {
  key.forget();
  void show();
});
void show();
