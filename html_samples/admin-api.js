// The Admin API over HTTP: a few requests on their way at a time, and failures in words.

const IN_FLIGHT = 4;
/** The answer to a wrong secret may be held back for 5 s. */
const PATIENCE_MS = 12_000;
export const VIDEOROOM = 'janus.plugin.videoroom';

/**
 * `kind` is `address`, `gone` (nothing answers), `foreign` (another origin, which the gateway does not let in),
 * `other` (what answers is no Admin API), `secret` or `refused`; `code` that of the gateway or the plugin.
 */
export class AdminError extends Error {
  constructor(kind, title, text, code = null) {
    super(text);
    Object.assign(this, { kind, title, code });
  }
}

/** Plain http reaches everywhere, a page from https only https. */
export function defaultAddress(page = location) {
  const host = page.hostname || 'localhost';
  return page.protocol === 'https:' ? `https://${host}:7889/admin` : `http://${host}:7088/admin`;
}

export class AdminApi {
  constructor(address, secret) {
    this.address = address.trim().replace(/\/+$/, '');
    this.secret = secret;
    this.waiting = [];
    this.flying = 0;
    this.closed = new AbortController();
    try {
      const { protocol } = new URL(this.address);
      if (!/^https?:$/.test(protocol)) throw new TypeError(protocol);
    } catch {
      throw new AdminError('address', 'That is no address', `"${address}" is not like ${defaultAddress()}.`);
    }
  }

  /** The answer to a request at `path` (`/session/handle`). What is `urgent` goes before what waits. */
  ask(verb, fields = {}, path = '', { urgent = false } = {}) {
    return new Promise((resolve, reject) => {
      const go = () =>
        this.#post(path, { janus: verb, transaction: transaction(), admin_secret: this.secret, ...fields }).then(
          resolve,
          reject,
        );
      this.waiting[urgent ? 'unshift' : 'push']({ go, reject });
      this.#next();
    });
  }

  /** What a plugin answers; a refusal of its own is an error as well. */
  async plugin(plugin, request, options) {
    const { response } = await this.ask('message_plugin', { plugin, request }, '', options);
    if (response?.error_code) {
      throw new AdminError(
        'refused',
        'The plugin refused that',
        `${response.error} (${response.error_code})`,
        response.error_code,
      );
    }
    return response ?? {};
  }

  close() {
    this.closed.abort();
    for (const { reject } of this.waiting.splice(0)) reject(closed());
  }

  #next() {
    if (this.flying >= IN_FLIGHT || this.waiting.length === 0) return;
    this.flying += 1;
    this.waiting
      .shift()
      .go()
      .finally(() => {
        this.flying -= 1;
        this.#next();
      });
  }

  async #post(path, body) {
    // A string goes as text/plain, which other origins may send without asking first.
    const answer = await this.#fetch(path, { method: 'POST', body: write(body) });
    if (answer.janus === 'error') throw refusal(answer.error ?? {});
    return answer;
  }

  async #fetch(path, options) {
    const late = AbortSignal.timeout(PATIENCE_MS);
    const signal = AbortSignal.any([late, this.closed.signal]);
    // Never follow a redirect: the secret is for this address only.
    const always = { cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer', signal };
    let response;
    let text;
    try {
      response = await fetch(this.address + path, { ...always, ...options });
      text = await response.text();
    } catch (error) {
      if (this.closed.signal.aborted) throw closed();
      if (late.aborted) throw gone(`${this.address} took longer than ${PATIENCE_MS / 1000} seconds.`);
      throw await this.#why(error, always);
    }
    return this.#parse(response, text);
  }

  #parse(response, text) {
    let answer = null;
    try {
      answer = read(text);
    } catch {
      /* no JSON */
    }
    if (typeof answer?.janus === 'string') return answer;
    const what = response.ok
      ? 'its answer is not one of the Admin API'
      : `it says ${response.status} ${response.statusText}`;
    throw new AdminError(
      'other',
      'This is not an Admin API',
      `Something answers at ${this.address}, but ${what}. Look at port and path.`,
    );
  }

  /** A browser does not tell a page why a request failed; a request whose answer nobody may read shows who is there. */
  async #why(error, always) {
    const { protocol, origin } = new URL(this.address);
    if (location.protocol === 'https:' && protocol === 'http:') {
      return gone(
        `This page is from https, and browsers keep such pages from ${origin}. Use an https address (admin_https).`,
      );
    }
    const there = await fetch(`${this.address}/info`, { ...always, mode: 'no-cors', redirect: 'follow' }).then(
      () => true,
      () => false,
    );
    if (!there) return gone(`Nothing answers at ${this.address} (${error.message}).`);
    return new AdminError(
      'foreign',
      'The gateway does not let this page in',
      `${origin} answers, but not to pages of ${location.origin}. ` +
        'Set general.admin_secret in janus.jcfg, without which other origins are not let in; ' +
        'if cors.allow_origin is set there, it has to name this page.',
    );
  }
}

const gone = (text) => new AdminError('gone', 'The gateway does not answer', text);
const closed = () => new AdminError('closed', 'Logged out', 'The page no longer asks.');
const transaction = () => Math.random().toString(36).slice(2);

function refusal({ code, reason }) {
  if (code === 403) {
    return new AdminError(
      'secret',
      'The secret is wrong',
      'The gateway said 403: it is not the value of general.admin_secret.',
      code,
    );
  }
  return new AdminError('refused', 'The gateway refused that', `${reason} (${code})`, code);
}

// Clients choose ids, up to 64 bits; what a double cannot hold exactly would be somebody else's id.
const IDS = /^(id|room|feed_id|private_id|\d+)$/;

/** JSON with ids beyond 2^53 as BigInt, where the browser shows the digits. */
export function read(text) {
  return JSON.parse(text, (key, value, context) => {
    const exact = typeof value !== 'number' || Number.isSafeInteger(value) || !IDS.test(key);
    return !exact && JSON.rawJSON && /^\d+$/.test(context?.source ?? '') ? BigInt(context.source) : value;
  });
}

export function write(value, indent) {
  return JSON.stringify(value, (key, part) => (typeof part === 'bigint' ? JSON.rawJSON(String(part)) : part), indent);
}
