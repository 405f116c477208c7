// A client that keeps a transcript of all it did and what came back, for comparison with another gateway's.

import http from 'node:http';

import { WebSocket } from '../browser/harness/websocket.mjs';
import { shape } from './shape.mjs';

const ANSWER_MS = 5_000;
const HEADERS = [
  'content-type', 'location', 'access-control-allow-origin', 'access-control-allow-credentials',
  'access-control-allow-methods', 'access-control-allow-headers', 'access-control-max-age', 'vary',
];

export class Client {
  constructor(gateway) {
    this.base = gateway.http;
    this.origin = gateway.origin;
    this.admin = gateway.admin;
    this.ws = gateway.ws;
    this.folder = gateway.folder;
    this.oracle = gateway.oracle;
    this.transcript = [];
    this.sockets = [];
    this.parties = [];
  }

  note(request, ...answer) {
    this.transcript.push({ request, answer: answer.flat() });
  }

  // --- HTTP ---

  /** One request below the origin; `body` is sent as it is. Gives the parsed JSON, if there is any. */
  async raw(method, path, { body, headers = {}, label, wait = ANSWER_MS, quiet = false, origin = this.origin } = {}) {
    const answer = await send(origin + path, method, body, headers, wait);
    const request = label ?? `${method} ${path.replace(/\d{4,}/g, 'N')}${body === undefined ? '' : ` ${short(body)}`}`;
    if (!quiet) this.note(request, describe(answer, origin));
    return answer.json;
  }

  /** A Janus request as JSON; `at` is the path below the base. A transaction is added unless there is one. */
  post(at, message, options = {}) {
    const body = typeof message === 'string' ? message : JSON.stringify({ transaction: 't', ...message });
    return this.raw('POST', `/janus${at}`, { body, ...options });
  }

  /** A request of the Admin API over HTTP; `at` is the path below its base. */
  administer(at, message, options = {}) {
    const body = typeof message === 'string' ? message : JSON.stringify({ transaction: 't', ...message });
    const label = `admin ${at.replace(/\d{4,}/g, 'N')} ${short(body)}`;
    return this.raw('POST', `/admin${at}`, { body, label, wait: 8_000, ...options, origin: this.admin.origin });
  }

  get(at, options) {
    return this.raw('GET', `/janus${at}`, options);
  }

  async session() {
    return (await this.post('', { janus: 'create' }, { quiet: true })).data.id;
  }

  /** A session with an echo handle: `/S`, `/S/H`. */
  async handle() {
    const session = await this.session();
    const attached = await this.post(`/${session}`, { janus: 'attach', plugin: 'janus.plugin.echotest' }, { quiet: true });
    return { session, handle: attached.data.id, s: `/${session}`, h: `/${session}/${attached.data.id}` };
  }

  /** A message and the event that follows by long poll; `about` says in words what the description holds. */
  async message(at, body, jsep, about) {
    const label = `message ${short(JSON.stringify({ body, jsep: about ?? jsep }))}`;
    const reply = await this.post(at.h, { janus: 'message', body, jsep }, { label });
    if (reply?.janus === 'ack') return this.get(`${at.s}?maxev=1`, { label: `event of ${label}` });
    return reply;
  }

  // --- WebSocket ---

  /** Opens a socket; notes how that ended. */
  async connect(protocols = 'janus-protocol', { quiet = true, to = this.ws } = {}) {
    const socket = new WebSocket(to, protocols, { perMessageDeflate: false });
    const outcome = await new Promise((resolve) => {
      socket.once('open', () => resolve(`open with ${socket.protocol}`));
      socket.once('unexpected-response', (_, response) => { resolve(`refused ${response.statusCode}`); socket.terminate(); });
      socket.once('error', () => resolve('refused'));
    });
    if (!quiet) this.note(`connect ${JSON.stringify(protocols)}`, outcome);
    socket.inbox = [];
    socket.on('message', (data, binary) => socket.inbox.push({ binary, json: JSON.parse(data.toString()) }));
    this.sockets.push(socket);
    return socket;
  }

  /** Sends a frame and notes the `count` messages that follow. */
  async frame(socket, data, count, { label, quiet = false } = {}) {
    socket.inbox.length = 0;
    socket.send(data);
    const end = Date.now() + ANSWER_MS;
    while (socket.inbox.length < count && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
    // A reply and the event it announces may come in either order.
    const isEvent = ({ json }) => Number(json.janus === 'event' || (json.sender !== undefined && json.transaction === undefined));
    const got = socket.inbox.splice(0).sort((a, b) => isEvent(a) - isEvent(b));
    if (!quiet) this.note(label ?? `frame ${short(String(data))}`, got.flatMap((m) => [m.binary ? 'binary' : 'text', ...shape(m.json)]));
    return got.map((m) => m.json);
  }

  /** A Janus request over a socket and its `count` answers. */
  call(socket, message, count = 1, options = {}) {
    const text = JSON.stringify({ transaction: 't', ...message });
    const label = `ws ${short(text)}`;
    return this.frame(socket, text, count, { label, ...options });
  }

  close() {
    this.sockets.forEach((socket) => socket.removeAllListeners('close').terminate());
  }
}

function describe(answer, origin) {
  if (answer.closed) return [`closed: ${answer.closed}`];
  const headers = HEADERS.filter((name) => answer.headers[name] !== undefined)
    .map((name) => `${name}: ${answer.headers[name].replace(origin, '').replace(/\d{6,}/g, 'N')}`);
  const body = answer.json === undefined ? [`body of ${answer.text.length} bytes`] : shape(answer.json);
  return [`status ${answer.status}`, ...headers, ...body];
}

function send(address, method, body, headers, wait) {
  return new Promise((resolve) => {
    const request = http.request(address, { method, headers, agent: false, timeout: wait }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', () => resolve({ closed: 'in the answer' }));
      response.on('end', () => {
        const text = Buffer.concat(parts).toString();
        let json;
        try { json = JSON.parse(text); } catch { /* not JSON: its length is compared */ }
        resolve({ status: response.statusCode, headers: response.headers, text, json });
      });
    });
    request.on('timeout', () => { resolve({ closed: 'no answer in time' }); request.destroy(); });
    request.on('error', () => resolve({ closed: 'without an answer' }));
    request.end(body);
  });
}

/** A request's text as a label; ids go first, as their lengths differ and would move the cut. */
const short = (text) => cut(text.replace(/\d{8,}/g, 'N'));
const cut = (text) => (text.length > 160 ? `${text.slice(0, 160)}..` : text);
