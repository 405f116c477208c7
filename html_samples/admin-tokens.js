// Stored tokens: who may use the gateway, and which plugins.

import { $, make } from './page.js';
import { button, confirmed, keyed, plain, put, row } from './admin-dom.js';

const OFF = 490;

export class Tokens {
  constructor(app) {
    this.app = app;
    this.forget();
    $('token-random').addEventListener('click', () => {
      $('token-new').value = random();
    });
    $('token-add').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#add();
    });
  }

  forget() {
    this.tokens = [];
    this.off = null;
    $('token-add').reset();
  }

  async look() {
    try {
      const { data } = await this.app.api.ask('list_tokens');
      this.tokens = data.tokens;
      this.off = false;
    } catch (error) {
      if (error.code !== OFF) throw error;
      this.off = true;
      this.tokens = [];
    }
  }

  show() {
    $('tokens-off').hidden = this.off !== true;
    $('tokens-on').hidden = this.off !== false;
    if (this.off !== false) return;
    const plugins = Object.keys(this.app.known.info.plugins ?? {});
    keyed(
      $('token-plugins'),
      plugins,
      String,
      (plugin) => {
        const input = make('input', { type: 'checkbox', role: 'switch', checked: true });
        input.dataset.plugin = plugin;
        return make('label', { class: 'switch' }, input, plain(plugin));
      },
      () => {},
    );
    $('token-none').hidden = this.tokens.length > 0;
    $('token-table').hidden = this.tokens.length === 0;
    keyed(
      $('token-table').tBodies[0],
      this.tokens,
      (one) => one.token,
      (one) => this.#line(one),
      (line, one) => this.#fill(line, one, plugins),
    );
  }

  #line({ token }) {
    const remove = button('Remove', () => this.#remove(token), 'plain slim');
    remove.setAttribute('aria-label', `Remove token ${token}`);
    return row([make('div', {}, make('code', {}, token), make('div', { class: 'switches' })), remove]);
  }

  #fill(line, { token, allowed_plugins: allowed }, plugins) {
    keyed(
      line.querySelector('.switches'),
      plugins,
      String,
      (plugin) => {
        const input = make('input', {
          type: 'checkbox',
          role: 'switch',
          'aria-label': `${plain(plugin)} for ${token}`,
        });
        input.addEventListener('change', () => this.#allow(input, token, plugin));
        return make('label', { class: 'switch' }, input, plain(plugin));
      },
      (label, plugin) => {
        if (!label.firstChild.busy) label.firstChild.checked = allowed.includes(plugin);
      },
    );
  }

  async #add() {
    const token = $('token-new').value;
    const plugins = [...$('token-plugins').querySelectorAll('input:checked')].map((input) => input.dataset.plugin);
    await this.app.act('', async (api) => {
      // None at all would mean every plugin.
      if (plugins.length === 0) throw new Error('Choose at least one plugin.');
      await api.ask('add_token', { token, plugins }, '', { urgent: true });
      $('token-new').value = '';
      return `Token ${token} was added.`;
    });
  }

  async #allow(input, token, plugin) {
    const { checked } = input;
    const last = this.tokens.find((one) => one.token === token)?.allowed_plugins.length === 1 && !checked;
    const sure =
      !last ||
      (await confirmed(
        `Take the last plugin from ${token}?`,
        'A token without a plugin is not in the list any more; adding it again brings it back.',
        'Take it',
      ));
    if (!sure) {
      input.checked = true;
      return;
    }
    input.busy = true;
    await this.app.act(`${token} ${checked ? 'may' : 'may not'} use ${plain(plugin)}.`, (api) =>
      api.ask(checked ? 'allow_token' : 'disallow_token', { token, plugins: [plugin] }, '', { urgent: true }),
    );
    input.busy = false;
    this.app.soon();
  }

  async #remove(token) {
    const what = 'Whoever uses it is refused from the next request on.';
    if (!(await confirmed(`Remove token ${token}?`, what, 'Remove'))) {
      return;
    }
    await this.app.act(`Token ${token} was removed.`, (api) =>
      api.ask('remove_token', { token }, '', { urgent: true }),
    );
  }
}

/** 144 bits from the browser's generator, in letters, digits, `-` and `_`. */
function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(18));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_');
}
