// The transport over Unix sockets: packets of both kinds, the Admin API, questions about it.

import { spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

import { ADMIN_SECRET } from '../../browser/harness/backend.mjs';
import { shape } from '../shape.mjs';

const PEER = path.join(import.meta.dirname, '..', 'unix-peer.py');
const PING = '{"janus":"ping","transaction":"a"}';
const ANSWER_MS = 5_000;
/** Nothing comes any more. */
const QUIET_MS = 200;
const ADMIN = { admin_secret: ADMIN_SECRET };
const TRANSPORT = 'janus.transport.pfunix';

// Relative to the folder of the settings, in which both run. Janus takes one kind for both.
const sockets = (type) => ({
  janus: { general: { admin_secret: ADMIN_SECRET }, transports: { disable: '' } },
  [TRANSPORT]: {
    general: { enabled: true, json: 'compact', path: 'api.sock', type },
    admin: { admin_enabled: true, admin_path: 'admin.sock', admin_type: type },
  },
});
export const seqpacketSettings = sockets('SOCK_SEQPACKET');
export const datagramSettings = sockets('SOCK_DGRAM');

export const connected = cases('SEQPACKET', {
  'a session ends with its connection': async (c, open) => {
    const peer = await open('api.sock');
    const admin = await open('admin.sock');
    const { data: { id: session_id } } = await peer.call({ janus: 'create' });
    await admin.call({ janus: 'list_sessions', ...ADMIN });
    peer.stop();
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const { sessions } = await admin.call({ janus: 'list_sessions', ...ADMIN });
    c.note('the session afterwards', sessions.includes(session_id) ? 'is there' : 'is gone');
  },

  'an empty packet': async (c, open) => {
    const peer = await open('api.sock');
    await peer.ask('', { label: 'nothing' });
  },
});

export const unconnected = cases('DGRAM', {
  'an empty packet': async (c, open) => {
    const peer = await open('api.sock');
    await peer.ask('', { label: 'nothing' });
    await peer.ask(PING);
  },
});

/** Whether a gateway with these settings answers over its Unix sockets, if it is to have any. */
export async function answers({ folder }, settings) {
  const type = settings[TRANSPORT]?.general.type;
  if (!type) return true;
  const peer = await Peer.open({ folder, note() {} }, type.replace('SOCK_', ''), 'api.sock');
  const answer = await peer.ask(PING);
  peer.stop();
  return answer?.janus === 'pong';
}

function cases(kind, own) {
  const all = { packets, 'a session': session, 'the Admin API': administered, ...own };
  const run = (body) => async (c) => {
    const peers = [];
    try {
      await body(c, async (name) => {
        const peer = await Peer.open(c, kind, name);
        peers.push(peer);
        return peer;
      });
    } finally {
      peers.forEach((peer) => peer.stop());
    }
  };
  return Object.fromEntries(Object.entries(all).map(([title, body]) => [title, run(body)]));
}

async function packets(c, open) {
  const peer = await open('api.sock');
  for (const text of [PING, `${PING}${PING}`, `${PING}{`, `{${PING}`, 'x', '[]', `[${PING}]`, '5', '"x"', 'null', '{}'])
    await peer.ask(text);
  await peer.ask('{"janus":"foo","transaction":"a"}');
  await peer.ask(JSON.stringify({ janus: 'ping', transaction: 'x'.repeat(5_000) }), { label: 'a long transaction' });
}

async function session(c, open) {
  const peer = await open('api.sock');
  const { data: { id: session_id } } = await peer.call({ janus: 'create' });
  await peer.call({ janus: 'keepalive', session_id });
  const { data: { id: handle_id } } = await peer.call({ janus: 'attach', plugin: 'janus.plugin.echotest', session_id });
  await peer.call({ janus: 'message', body: { audio: true }, session_id, handle_id }, 2);
  const other = await open('api.sock');
  await other.call({ janus: 'keepalive', session_id });
  await other.call({ janus: 'claim', session_id });
  await other.call({ janus: 'detach', session_id, handle_id }, 1, { events: false });
  await other.call({ janus: 'destroy', session_id });
  await other.call({ janus: 'keepalive', session_id });
}

async function administered(c, open) {
  const peer = await open('admin.sock');
  await peer.ask(PING);
  await peer.call({ janus: 'list_sessions' });
  await peer.call({ janus: 'list_sessions', ...ADMIN });
  await peer.call({ janus: 'create', ...ADMIN });
  for (const request of [{}, { request: 5 }, { request: 'x' }, { request: 'connections' }, { request: 'configure', json: 'x' }, { request: 'configure', events: true }, { request: 'configure', json: 5 }, { request: 'configure', json: 'plain' }])
    await peer.call({ janus: 'query_transport', transport: TRANSPORT, request, ...ADMIN });
}

class Peer {
  static async open(c, kind, name) {
    const peer = Object.assign(new Peer(), { c, name, inbox: [] });
    const own = kind === 'DGRAM' ? [path.join(c.folder, `own-${(Peer.count += 1)}`)] : [];
    peer.child = spawn('python3', [PEER, kind, path.join(c.folder, name), ...own], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: peer.child.stdout }).on('line', (line) => peer.inbox.push(JSON.parse(line)));
    return peer;
  }

  static count = 0;

  stop() {
    this.child.stdin.end();
    this.child.kill();
  }

  /** With `events: false` only replies are noted: which events go with them is up to Janus' threads. */
  async ask(text, { count = 1, label, events = true } = {}) {
    this.inbox.length = 0;
    this.child.stdin.write(`${JSON.stringify(text)}\n`);
    const read = () => this.inbox.map((packet) => (packet === null ? null : JSON.parse(packet))).filter((json) => events || json?.sender === undefined);
    for (const end = Date.now() + ANSWER_MS; read().length < count && Date.now() < end; )
      await new Promise((resolve) => setTimeout(resolve, 10));
    if (!events) await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    const got = read();
    // A reply and the event it announces may come in either order.
    const isEvent = (json) => Number(json?.janus === 'event' || (json?.sender !== undefined && json.transaction === undefined));
    got.sort((a, b) => isEvent(a) - isEvent(b));
    const said = label ?? text.replace(/\d{4,}/g, 'N');
    this.c.note(`${this.name} ${said}`, got.flatMap((json) => (json ? shape(json) : ['it is ended'])));
    return got[0];
  }

  call(message, count = 1, options = {}) {
    return this.ask(JSON.stringify({ transaction: 't', ...message }), { count, ...options });
  }
}
