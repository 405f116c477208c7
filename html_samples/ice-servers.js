// The ICE servers of a page's PeerConnections: those that its gateway hands out at `ice-servers`, none if it hands out none.

const PATIENCE_MS = 5000;
const AGAIN_AFTER_FAILURE_MS = 10_000;
/** The part of its time that an answer is used for. */
const FRESH = 0.75;
/** The longest that a timer takes. */
const LONGEST_MS = 2 ** 31 - 1;

/** The address of the Janus API over HTTP. A WebSocket's address does not tell it: then it is the one of the page's own gateway. */
function apiOf(server) {
  const url = new URL(server, location.href);
  if (/^https?:$/.test(url.protocol)) return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
  return url.hostname === location.hostname && /^https?:$/.test(location.protocol) ? `${location.origin}/janus` : null;
}

const get = (address) => fetch(address, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });

/** What the gateway hands out now; `null` if it hands out nothing, or nothing to this page. */
async function ask(api) {
  // Browsers complain of a 404 in their console, so `info` is asked first whether there is anything.
  const info = await (await get(`${api}/info`)).json();
  if (info.portunus?.['ice-servers'] !== true) return null;
  const answer = await get(`${api}/ice-servers`);
  if (answer.status === 403 || answer.status === 404) return null;
  if (!answer.ok) throw new Error(`the gateway knows no ICE servers now (${answer.status})`);
  return answer.json();
}

/** The ICE servers of one session. Credentials run out, so they are asked for again as long as it lasts. */
export class IceServers {
  /** janus.js passes this very array to each new PeerConnection: what it holds then is what counts. */
  list = [];
  policy = undefined;
  #over = false;
  #timer = null;

  constructor(server, log) {
    this.api = apiOf(server);
    this.log = log;
  }

  async start() {
    if (this.api) await this.#renew();
    return this;
  }

  stop() {
    this.#over = true;
    clearTimeout(this.#timer);
  }

  /** For a PeerConnection that is to gather candidates anew. */
  refresh(connection) {
    if (this.list.length > 0) connection?.setConfiguration({ ...connection.getConfiguration(), iceServers: this.list });
  }

  async #renew() {
    let next = null;
    try {
      const answer = await ask(this.api);
      if (answer) {
        this.list.splice(0, this.list.length, ...answer.iceServers);
        this.policy = answer.iceTransportPolicy;
        next = answer.ttl * 1000 * FRESH;
      }
    } catch (error) {
      this.log(`ICE servers: ${error.message}`);
      if (this.list.length > 0) next = AGAIN_AFTER_FAILURE_MS;
    }
    if (next !== null && !this.#over) this.#timer = setTimeout(() => this.#renew(), Math.min(next, LONGEST_MS));
  }
}
