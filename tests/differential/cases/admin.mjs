// The Admin API: every request in every place, right and wrong.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

/** Where both sides write captures. */
const CAPTURES = mkdtempSync(path.join(tmpdir(), 'portunus-captures-'));
process.on('exit', () => rmSync(CAPTURES, { recursive: true, force: true }));

const SECRET = { admin_secret: 'operators only' };
const PACKAGE = 'janus.plugin.echotest';
/** A hangup is over by then, also on a busy machine. */
const HANGUP_MS = 1000;
/** What a number, a flag and a text may be mistaken for. */
const NUMBERS = [undefined, null, 'x', 1.5, -1];

export const settings = {
  janus: {
    general: { admin_secret: SECRET.admin_secret, token_auth: true },
    // Janus writes where it is told, and does not know this section.
    portunus: { captures_folder: CAPTURES },
  },
};
/** A request without what is undefined, and its answer. */
const ask = (c, at, verb, over = {}) => c.administer(at, { janus: verb, ...SECRET, ...over });

async function each(c, verb, name, values) {
  for (const value of values) await ask(c, '', verb, { [name]: value });
}

/** A session and a handle of somebody with a token. */
async function somebody(c, token = 'somebody') {
  await c.administer('', { janus: 'add_token', token, ...SECRET }, { quiet: true });
  const { data: { id: session } } = await c.post('', { janus: 'create', token }, { quiet: true });
  const attach = { janus: 'attach', plugin: PACKAGE, token, opaque_id: 'known to its owner' };
  const { data: { id: handle } } = await c.post(`/${session}`, attach, { quiet: true });
  return { session, handle, s: `/${session}`, h: `/${session}/${handle}` };
}

export default {
  'the secret and the envelope': async (c) => {
    for (const verb of ['ping', 'info', 'get_status', 'foo', 'GET_STATUS', 'create']) {
      for (const over of [{}, { admin_secret: 'wrong' }, { admin_secret: 5 }, { admin_secret: null }, SECRET]) {
        await c.administer('', { janus: verb, ...over });
      }
    }
    await c.administer('/123456', { janus: 'list_handles' });
    for (const over of [{ janus: undefined }, { janus: 5 }, { janus: 'ping', transaction: undefined }, { janus: 'ping', transaction: 5 }, { janus: 'ping', id: 'x' }]) {
      await c.administer('', over);
    }
    for (const text of ['[]', '5', '', '{', 'null']) await c.administer('', text);
  },

  captures: async (c) => {
    const at = await somebody(c);
    const name = (file) => ({ folder: CAPTURES, filename: `${at.handle}-${file}` });
    for (const [start, other, stop] of [['start_pcap', 'start_text2pcap', 'stop_pcap'], ['start_text2pcap', 'start_pcap', 'stop_text2pcap'], ['start_pcap', 'start_pcap', 'stop_text2pcap']]) {
      await ask(c, at.h, stop);
      for (const over of [{ folder: 5 }, { folder: CAPTURES, filename: 5 }, { truncate: 'x' }, { truncate: -1 }]) await ask(c, at.h, start, over);
      await ask(c, at.h, start, { ...name(`${start}-${stop}`), truncate: 100 });
      await ask(c, at.h, start, name('again'));
      await ask(c, at.h, other, name('again'));
      await ask(c, at.h, 'handle_info');
      await ask(c, at.h, stop);
      await ask(c, at.h, stop);
    }
    await ask(c, at.h, 'start_pcap', { folder: '/proc/nowhere', filename: 'x' });
    await ask(c, at.s, 'start_pcap', name('x'));
    await ask(c, '', 'stop_pcap');
  },

  'methods and paths': async (c) => {
    const { origin } = c.admin;
    for (const [method, path] of [['GET', '/admin/info'], ['GET', '/admin'], ['GET', '/admin/5'], ['GET', '/admin/5/6'], ['POST', '/admin/info'], ['PUT', '/admin'], ['GET', '/admin/1/2/3'], ['GET', '/other'], ['OPTIONS', '/admin']]) {
      await c.raw(method, path, { origin, label: `admin ${method} ${path}`, body: method === 'POST' ? '{"janus":"ping","transaction":"t"}' : undefined });
    }
  },

  'what is set': async (c) => {
    await each(c, 'set_session_timeout', 'timeout', [...NUMBERS, 0, 5, 60]);
    await each(c, 'set_log_level', 'level', [...NUMBERS, 8, 0, 7, 4]);
    await each(c, 'set_locking_debug', 'debug', [undefined, 0, 'x', true, false]);
    await each(c, 'set_refcount_debug', 'debug', [undefined, 1, null, true, false]);
    await each(c, 'set_log_timestamps', 'timestamps', [undefined, 1, true, false]);
    await each(c, 'set_log_colors', 'colors', [undefined, 'x', true, false]);
    await each(c, 'set_min_nack_queue', 'min_nack_queue', [...NUMBERS, 0, 100, 2000, 200]);
    await each(c, 'set_nack_optimizations', 'nack_optimizations', [undefined, 1, true, false]);
    await each(c, 'set_no_media_timer', 'no_media_timer', [...NUMBERS, 0, 5, 1]);
    await each(c, 'set_slowlink_threshold', 'slowlink_threshold', [...NUMBERS, 3, 0]);
    await ask(c, '', 'get_status');
    await each(c, 'accept_new_sessions', 'accept', [undefined, 0, false]);
    await c.post('', { janus: 'create', token: 'x' });
    await each(c, 'accept_new_sessions', 'accept', [true]);
    await each(c, 'custom_logline', 'line', [undefined, 5, 'a line']);
    for (const level of [99, 'z', -1, 3]) await ask(c, '', 'custom_logline', { line: 'a line', level });
    for (const over of [{}, { schema: 's' }, { schema: 's', data: 5 }, { schema: 's', data: { a: 1 } }, { schema: 5, data: {} }]) {
      await ask(c, '', 'custom_event', over);
    }
  },

  'plugins are asked': async (c) => {
    for (const over of [{}, { plugin: 'x' }, { plugin: 5, request: {} }, { plugin: PACKAGE }, { plugin: PACKAGE, request: 5 }, { plugin: PACKAGE, request: { request: 'x', b: 2 } }]) {
      await ask(c, '', 'message_plugin', over);
    }
    for (const request of [{ request: 'list' }, { request: 'join' }, {}, { request: 5 }, { request: 'exists', room: 1234 }, { request: 'exists', room: 'x' }, { request: 'create', room: 77 }, { request: 'listparticipants', room: 77 }, { request: 'destroy', room: 77 }, { request: 'destroy', room: 77 }]) {
      await ask(c, '', 'message_plugin', { plugin: 'janus.plugin.videoroom', request });
    }
    for (const [verb, name] of [['query_transport', 'transport'], ['query_eventhandler', 'handler'], ['query_logger', 'logger']]) {
      await each(c, verb, name, [undefined, 'x', 5]);
    }
  },

  'transports are asked': async (c) => {
    const about = (name, request) => ask(c, '', 'query_transport', { transport: `janus.transport.${name}`, request });
    for (const request of [undefined, 5, {}, { request: 'x' }, { request: 5 }, { request: 'connections' }]) await about('http', request);
    for (const request of [{}, { request: 'x' }, { request: 'connections' }]) await about('websockets', request);
    for (const over of [{}, { json: 'x' }, { json: 5 }, { events: 'x' }, { events: true, json: 'indented' }, { json: 'plain', events: 5 }, { json: 'compact' }]) {
      await about('http', { request: 'configure', ...over });
      await about('websockets', { request: 'configure', ...over });
    }
  },

  tokens: async (c) => {
    const plugins = [undefined, 5, [], ['nope'], [5], [PACKAGE], [PACKAGE, 'nope'], ['janus.plugin.videoroom', PACKAGE]];
    for (const verb of ['add_token', 'allow_token', 'disallow_token', 'remove_token']) {
      await each(c, verb, 'token', [undefined, 5]);
      for (const list of plugins) {
        await ask(c, '', verb, { token: 'first', plugins: list });
        await ask(c, '', verb, { token: `for ${JSON.stringify(list)}`, plugins: list });
      }
    }
    await ask(c, '', 'list_tokens');
    await ask(c, '', 'add_token', { token: 'short', plugins: [PACKAGE] });
    const { data: { id } } = await c.post('', { janus: 'create', token: 'short' }, { quiet: true });
    for (const plugin of [PACKAGE, 'janus.plugin.videoroom']) await c.post(`/${id}`, { janus: 'attach', plugin, token: 'short' });
    await ask(c, '', 'disallow_token', { token: 'short', plugins: [PACKAGE] });
    await c.post(`/${id}`, { janus: 'attach', plugin: PACKAGE, token: 'short' });
    await c.post(`/${id}`, { janus: 'keepalive', token: 'short' });
    await ask(c, '', 'remove_token', { token: 'short' });
    await c.post(`/${id}`, { janus: 'keepalive', token: 'short' });
    await c.post('', { janus: 'create' });
  },

  'the world around': async (c) => {
    await each(c, 'resolve_address', 'address', [undefined, 5, '127.0.0.1', '::1', 'no-such-name.invalid']);
    for (const over of [{}, { address: '127.0.0.1' }, { address: 5, port: 9 }, { address: '127.0.0.1', port: -1 }, { address: '127.0.0.1', port: 9, localport: -1 }]) {
      await ask(c, '', 'test_stun', over);
    }
  },

  'sessions and handles': async (c) => {
    const at = await somebody(c);
    for (const verb of ['foo', 'get_status', 'list_handles', 'destroy', 'ping', 'info', 'set_log_level', 'message_plugin', 'list_sessions', 'handle_info']) {
      await ask(c, at.s, verb);
    }
    for (const timeout of [undefined, -2, -1, 0, 30, 'x', null, 60]) await ask(c, at.s, 'set_session_timeout', { timeout });
    for (const verb of ['foo', 'ping', 'list_handles', 'list_sessions', 'destroy_session', 'set_session_timeout', 'handle_info']) {
      await ask(c, at.h, verb);
    }
    for (const plugin_only of [true, false, 'x']) await ask(c, at.h, 'handle_info', { plugin_only });
    for (const [path, verb] of [[`${at.s}/77`, 'handle_info'], ['/77', 'list_handles'], ['/0', 'list_handles'], ['/77/88', 'foo'], ['/abc', 'list_handles'], ['', 'list_handles'], ['', 'handle_info'], ['', 'destroy_session'], [`${at.s}/0`, 'handle_info']]) {
      await ask(c, path, verb);
    }
    await ask(c, '', 'list_handles', { session_id: at.session });
    await ask(c, '', 'handle_info', { handle_id: at.handle });
    await ask(c, '', 'handle_info', { session_id: at.session, handle_id: at.handle, plugin_only: true });
    await ask(c, '', 'list_handles', { session_id: 'x' });
    await ask(c, at.h, 'hangup_webrtc');
    // A thread of Janus' hangs up; if the handle is gone before it, nobody tells the owner that the echo is done.
    await new Promise((resolve) => { setTimeout(resolve, HANGUP_MS); });
    await ask(c, at.h, 'detach_handle');
    await ask(c, at.h, 'detach_handle');
    await ask(c, at.s, 'list_handles');
    await c.get(`${at.s}?maxev=9&token=somebody`, { label: 'what the owner heard' });
    await ask(c, at.s, 'destroy_session');
    await ask(c, at.s, 'destroy_session');
    await ask(c, '', 'list_sessions');
  },

  'over WebSockets': async (c) => {
    const at = await somebody(c, 'another');
    await c.connect('janus-protocol', { to: c.admin.ws, quiet: false });
    const socket = await c.connect('janus-admin-protocol', { to: c.admin.ws, quiet: false });
    const call = (message, count = 1) => c.call(socket, message, count);
    for (const over of [{ janus: 'ping' }, { janus: 'info' }, { janus: 'get_status' }, { janus: 'get_status', ...SECRET }, { janus: 'foo', ...SECRET }, { janus: 5 }]) {
      await call(over);
    }
    const session = { session_id: at.session, ...SECRET };
    await call({ janus: 'list_handles', ...session });
    await call({ janus: 'handle_info', ...session, handle_id: at.handle });
    await call({ janus: 'detach_handle', ...session, handle_id: at.handle });
    await call({ janus: 'destroy_session', ...session });
    await c.frame(socket, '{"janus":"ping","transaction":"1"}{"janus":"ping","transaction":"2"}', 2);
    await c.frame(socket, 'not json', 1);
    await c.frame(socket, '[]', 1);
  },
};
