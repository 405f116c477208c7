// The administration page: logging in, one view at a time, and a round of questions every two seconds while it is seen.
//
// The address is typed, never taken from the page's own address: a link could send the secret to somebody else.
// It is kept with its secret for as long as the tab lives, and the secret is only ever sent to that address.

import { $, hideAlert, log, setState, showAlert, words } from './page.js';
import { AdminApi, AdminError, defaultAddress } from './admin-api.js';
import { say } from './admin-dom.js';
import { Overview } from './admin-overview.js';
import { Rooms } from './admin-rooms.js';
import { Directory } from './admin-scan.js';
import { Sessions } from './admin-sessions.js';
import { Settings } from './admin-settings.js';
import { Tokens } from './admin-tokens.js';

const EVERY_MS = 2000;
const KEPT = 'portunus-admin';

class App {
  constructor() {
    this.api = null;
    this.known = null;
    this.directory = new Directory();
    this.timer = null;
    this.round = null;
    this.lost = false;
    this.views = {
      overview: new Overview(this),
      sessions: new Sessions(this),
      rooms: new Rooms(this),
      settings: new Settings(this),
      tokens: new Tokens(this),
    };
  }

  get view() {
    const name = location.hash.slice(1);
    return Object.hasOwn(this.views, name) ? name : 'overview';
  }

  // --- in and out ---

  async login(address, secret) {
    hideAlert();
    setState('busy', 'Asking the gateway');
    $('login').disabled = true;
    try {
      const api = new AdminApi(address, secret);
      this.known = await this.#ask(api);
      this.api = api;
    } catch (error) {
      setState('failed', 'Not logged in');
      showAlert(error.title ?? 'Something went wrong', loginHelp(error));
      return;
    } finally {
      $('login').disabled = false;
    }
    keep({ address, secret });
    $('secret').value = '';
    $('login-form').hidden = true;
    $('inside').hidden = false;
    this.lost = false;
    setState('up', 'Connected');
    log(`logged in at ${this.api.address}`);
    this.turn();
  }

  logout() {
    keep(null);
    clearTimeout(this.timer);
    this.api?.close();
    this.api = null;
    this.known = null;
    this.directory = new Directory();
    for (const view of Object.values(this.views)) view.forget();
    say('');
    $('inside').hidden = true;
    $('login-form').hidden = false;
    $('secret').focus();
    setState('idle', 'Not logged in');
  }

  // --- rounds ---

  /** What every view needs. */
  async #ask(api) {
    const [{ status }, info, { loops }, { sessions }] = await Promise.all([
      api.ask('get_status'),
      api.ask('info'),
      api.ask('loops_info'),
      api.ask('list_sessions'),
    ]);
    return { status, info, loops, sessions };
  }

  /** The next round as soon as the one under way is done. */
  soon() {
    this.again = true;
    if (!this.round) this.#go();
  }

  #go() {
    clearTimeout(this.timer);
    if (!this.api || document.hidden) return;
    this.again = false;
    const { api } = this;
    const began = performance.now();
    this.round = this.#look(api)
      .then(() => this.#heard(api))
      .catch((error) => this.#failed(api, error))
      .finally(() => {
        this.round = null;
        if (!this.api) return;
        if (this.again) this.#go();
        else this.timer = setTimeout(() => this.#go(), Math.max(300, EVERY_MS - (performance.now() - began)));
      });
  }

  async #look(api) {
    const known = await this.#ask(api);
    if (api !== this.api) return;
    this.known = known;
    this.directory.keep(known.sessions);
    this.views.overview.count();
    await this.views[this.view].look();
  }

  #heard(api) {
    if (api !== this.api) return;
    if (this.lost) {
      this.lost = false;
      hideAlert();
      log('the gateway answers again');
    }
    setState('up', 'Connected');
    this.show();
  }

  #failed(api, error) {
    if (api !== this.api || error.kind === 'closed') return;
    if (error.kind === 'secret') {
      this.logout();
      showAlert('Logged out', 'The gateway does not take this secret any more.');
      return;
    }
    setState('failed', error.kind === 'gone' ? 'Gateway does not answer' : 'Trouble');
    const text = `${words(error)} What you see is old; the page goes on asking.`;
    // Once, not every two seconds.
    if (this.lost !== text) showAlert(error.title ?? 'Something went wrong', text);
    this.lost = text;
  }

  /** Does what an operator asked for: `done`, or what `act` gives, is said afterwards. */
  async act(done, act) {
    const { api } = this;
    try {
      const given = await act(api);
      if (api !== this.api) return;
      if (!this.lost) hideAlert();
      const text = typeof given === 'string' ? given : done;
      say(text);
      log(text);
    } catch (error) {
      if (error.kind === 'closed') return;
      say('');
      showAlert(error.title ?? 'That did not work', words(error));
      if (error.kind === 'secret') this.#failed(api, error);
    }
    this.soon();
  }

  // --- what is shown ---

  turn() {
    const { view } = this;
    for (const name of Object.keys(this.views)) $(name).hidden = name !== view;
    for (const link of document.querySelectorAll('#tabs a')) {
      if (link.hash === `#${view}`) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
    this.show();
    this.soon();
  }

  show() {
    if (!this.known) return;
    this.views[this.view].show();
    document.body.dataset.round = String(Number(document.body.dataset.round ?? 0) + 1);
  }
}

function loginHelp(error) {
  const other = error instanceof AdminError && error.code === 457;
  return other
    ? 'That address is the Janus API: the Admin API has a port and a path of its own (7088, /admin).'
    : words(error);
}

/** Keeps the login for this tab, or forgets it. */
function keep(login) {
  try {
    if (login) sessionStorage.setItem(KEPT, JSON.stringify(login));
    else sessionStorage.removeItem(KEPT);
  } catch {
    /* a browser without storage asks again next time */
  }
}

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT));
  } catch {
    return null;
  }
}

const app = new App();
const login = kept();
$('address').value = login?.address ?? defaultAddress();
$('login-form').addEventListener('submit', (event) => {
  event.preventDefault();
  app.login($('address').value, $('secret').value);
});
$('logout').addEventListener('click', () => app.logout());
$('alert-close').addEventListener('click', hideAlert);
window.addEventListener('hashchange', () => {
  if (app.api) app.turn();
});
document.addEventListener('visibilitychange', () => app.soon());
if (login) app.login(login.address, login.secret);
