// What a gateway's own settings ask of rooms: ids that are strings, an admin key, signed tokens, rooms in the file.

import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { audio, offer, video } from '../offer.mjs';
import { Party, dummyRoom, settle } from '../party.mjs';

const VIDEOROOM = 'janus.plugin.videoroom';
const TOKEN_SECRET = 'a secret for tokens';
const ADMIN_KEY = 'the admin key';

export const stringSettings = { [VIDEOROOM]: { general: { string_ids: true }, 'room-hall': { description: 'The hall', secret: 's' } } };
export const adminSettings = {
  [VIDEOROOM]: {
    general: { admin_key: ADMIN_KEY, lock_rtp_forward: true },
    'room-1234': { description: 'From the file', publishers: 6, bitrate: 128000, fir_freq: 10, record: false, secret: 'adminpwd' },
    'room-5': { is_private: true, audiocodec: 'opus,pcmu', videocodec: 'vp8,h264', require_pvtid: true, notify_joining: true, opus_fec: false, audiolevel_ext: false, rec_dir: '/tmp' },
    'room-x': { description: 'no number' },
    'room-8': { videocodec: 'nonsense' },
    'room-9': { dummy_publisher: true, dummy_streams: [{ codec: 'opus' }, { codec: 'vp8' }] },
  },
};
export const tokenSettings = { janus: { general: { token_auth: true, token_auth_secret: TOKEN_SECRET } } };

function token(realm, descriptors, { expiry = 4_000_000_000, secret = TOKEN_SECRET } = {}) {
  const text = [expiry, realm, ...descriptors].join(',');
  return `${text}:${createHmac('sha1', secret).update(text).digest('base64')}`;
}

const ENDS_JANUS = /^(kick|moderate|enable_recording)$/;
const SYNC = ['edit', 'destroy', 'exists', 'allowed', 'kick', 'moderate', 'enable_recording', 'listparticipants', 'listforwarders', 'rtp_forward', 'stop_rtp_forward'];

export const strings = {
  'ids are strings': async (c) => {
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'list' });
    for (const room of [5, -1, true, null, {}, '', 'x', 'x', '5', 'a room', 'ünïcødé', 'room-1', 'a"b\\c', 'x'.repeat(100)]) await p.ask({ request: 'create', room });
    await p.ask({ request: 'create' });
    for (const request of SYNC) for (const room of [undefined, 5, null, 'nobody', 'x']) {
      if (request === 'destroy' && room === 'x') continue;
      // Those end Janus 1.1.2.
      if (ENDS_JANUS.test(request) && typeof room !== 'string') continue;
      await p.ask({ request, room, id: 'u', mid: '0', mute: true, record: false, action: 'add', publisher_id: 'u', stream_id: 1, host: '127.0.0.1', streams: [{ mid: '0', port: 5000 }] });
    }
    for (const id of [5, null, '', undefined]) await p.ask({ request: 'kick', room: 'x', id });
    for (const ptype of ['publisher', 'subscriber']) {
      for (const room of [undefined, 5, 'nobody', '']) {
        const q = await Party.enter(c, 'q');
        await q.ask({ request: 'join', ptype, room });
        await q.away();
      }
    }
    for (const id of [5, null, '', undefined, 'me', 'me']) {
      const q = await Party.enter(c, 'q');
      await q.ask({ request: 'join', ptype: 'publisher', room: 'x', id });
      await settle(c);
      if (id !== 'me') await q.away();
    }
    await p.ask({ request: 'listparticipants', room: 'x' });
    await p.ask({ request: 'kick', room: 'x', id: 'me' });
    await settle(c, { quiet: 400 });
    const feed = await dummyRoom(p, 'dummies');
    for (const body of [{}, { feed: 5 }, { feed: 'nobody' }, { feed: '' }, { streams: [{ feed: 5 }] }, { streams: [{ feed: 'nobody' }] }, { streams: [{}] }, { streams: [] }, { streams: [{ feed }], use_msid: true }, { feed }]) {
      const q = await Party.enter(c, 'q');
      const told = await q.ask({ request: 'join', ptype: 'subscriber', room: 'dummies', ...body });
      if (told.videoroom === 'attached') {
        for (const more of [{ request: 'switch' }, { request: 'switch', feed: 5 }, { request: 'switch', feed: 'nobody' }, { request: 'switch', streams: [{ feed: 5, mid: '0', sub_mid: '0' }] }, { request: 'unsubscribe', streams: [{ feed: 5 }] }, { request: 'subscribe', streams: [{ feed: 5 }] }]) await q.ask(more);
      }
      await q.away();
    }
    await p.ask({ request: 'destroy', room: 'hall' });
    await p.ask({ request: 'destroy', room: 'hall', secret: 's' });
  },
};

export const admin = {
  'rooms of the file': async (c) => {
    const p = await Party.enter(c, 'p');
    for (const admin_key of [undefined, 'wrong', 5, '', ADMIN_KEY]) await p.ask({ request: 'list', admin_key });
    for (const room of [1234, 5, 8, 9]) await p.ask({ request: 'listparticipants', room });
    await p.ask({ request: 'edit', room: 1234, secret: 'adminpwd', new_description: 'edited' });
    await p.ask({ request: 'destroy', room: 1234, secret: 'wrong' });
  },

  'the admin key': async (c) => {
    const p = await Party.enter(c, 'p');
    for (const admin_key of [undefined, 'wrong', 5, null, '', ADMIN_KEY]) {
      await p.ask({ request: 'create', room: 400, admin_key });
      await p.ask({ request: 'create', admin_key, room: 'x' });
      await p.ask({ request: 'create', admin_key, is_private: 'x' });
      await p.ask({ request: 'edit', room: 400, admin_key, new_description: 'x' });
      await p.ask({ request: 'destroy', room: 401, admin_key });
      await p.ask({ request: 'rtp_forward', room: 400, publisher_id: 1, host: '127.0.0.1', streams: [{ mid: '0', port: 5000 }], admin_key });
      await p.ask({ request: 'stop_rtp_forward', room: 400, publisher_id: 1, stream_id: 1, admin_key });
      await p.ask({ request: 'listforwarders', room: 400, admin_key });
    }
    await p.ask({ request: 'destroy', room: 400 });
  },

  'a permanent room': async (c) => {
    const p = await Party.enter(c, 'p');
    const file = async (what) => {
      const text = await readFile(path.join(c.folder, `${VIDEOROOM}.jcfg`), 'utf8');
      // Only that room is compared: of the rest Janus keeps nothing in order.
      const [, section = ''] = /((?:room-)?410\s*[:=]\s*\{[\s\S]*?\})/.exec(text) ?? [];
      c.note(`the file ${what}`, ...section.split('\n').map((line) => line.trim()).filter(Boolean).sort());
      c.record?.(`   the file ${what}: ${section}`);
    };
    await p.ask({ request: 'create', room: 410, admin_key: ADMIN_KEY, permanent: true, description: 'to stay "here"', secret: 's', publishers: 7, bitrate: 64000, opus_fec: false, audiolevel_ext: false, is_private: true, allowed: ['a'], notify_joining: true, record: true, rec_dir: '/tmp', videocodec: 'vp9,vp8' });
    await file('after create');
    await p.ask({ request: 'edit', room: 410, secret: 's', permanent: true, new_description: 'still here', new_publishers: 8, new_pin: 'p' });
    await file('after edit');
    await p.ask({ request: 'edit', room: 410, secret: 's', permanent: false, new_description: 'only now' });
    await file('after an edit for now');
    await p.ask({ request: 'destroy', room: 410, secret: 's', permanent: true });
    await file('after destroy');
    await p.ask({ request: 'list', admin_key: ADMIN_KEY });
  },
};

export const plain = {
  'permanent without a file': async (c) => {
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'create', room: 420, permanent: true });
    await p.ask({ request: 'exists', room: 420 });
    await p.ask({ request: 'create', room: 421 });
    await p.ask({ request: 'edit', room: 421, permanent: true, new_description: 'x' });
    await p.ask({ request: 'list' });
    await p.ask({ request: 'destroy', room: 421, permanent: true });
    await p.ask({ request: 'exists', room: 421 });
    await p.ask({ request: 'destroy', room: 421 });
  },

  'remote publishers': async (c) => {
    const p = await Party.enter(c, 'p');
    await dummyRoom(p, 430);
    for (const request of ['publish_remotely', 'unpublish_remotely', 'listremotes', 'add_remote_publisher', 'update_remote_publisher', 'remove_remote_publisher']) {
      for (const body of [{}, { room: 'x' }, { room: 77, publisher_id: 5, id: 5, remote_id: 'r', streams: [] }]) await p.ask({ request, ...body });
    }
    await p.ask({ request: 'destroy', room: 430 });
  },

  'requests over HTTP': async (c) => {
    const session = await c.session();
    const { data: { id } } = await c.post(`/${session}`, { janus: 'attach', plugin: VIDEOROOM }, { quiet: true });
    const at = { s: `/${session}`, h: `/${session}/${id}` };
    for (const body of [{ request: 'create', room: 440 }, { request: 'exists', room: 440 }, { request: 'list' }, { request: 'foo' }, {}, { request: 'configure' }, { request: 'join', room: 440, ptype: 'publisher', id: 1 }, { request: 'destroy', room: 440 }]) await c.message(at, body);
    await c.get(`${at.s}?maxev=5`, { label: 'what comes with the end of the room' });
  },
};

export const tokens = {
  'signed tokens': async (c) => {
    const api = token('janus', [VIDEOROOM]);
    const socket = await c.connect();
    c.auth = { token: api };
    await c.call(socket, { janus: 'create' });
    await c.call(socket, { janus: 'create', token: token('janus', [VIDEOROOM], { expiry: 5 }) });
    await c.call(socket, { janus: 'create', token: token('janus', [VIDEOROOM], { secret: 'wrong' }) });
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    await p.ask({ request: 'create', room: 450, signed_tokens: true, pin: 'pin' });
    const feed = await dummyRoom(q, 451, undefined, { signed_tokens: true });
    const good = token(VIDEOROOM, ['room=450']);
    for (const [what, value] of [
      ['none', undefined], ['5', 5], ['empty', ''], ['x', 'x'], ['one of the API', api], ['another realm', token('janus.plugin.other', ['room=450'])], ['another room', token(VIDEOROOM, ['room=451'])], ['no room', token(VIDEOROOM, [])],
      ['expired', token(VIDEOROOM, ['room=450'], { expiry: 5 })], ['another secret', token(VIDEOROOM, ['room=450'], { secret: 'x' })], ['good', good], ['good among others', token(VIDEOROOM, ['room=1', 'room=450'])], ['changed', `${good}x`], ['cut', good.slice(0, -3)],
    ]) {
      for (const body of [{ room: 450 }, { room: 450, pin: 'pin' }]) {
        const r = await Party.enter(c, 'r');
        await r.ask({ request: 'join', ptype: 'publisher', ...body, token: value }, { about: what });
        await r.away();
      }
    }
    for (const value of [undefined, token(VIDEOROOM, ['room=451']), token(VIDEOROOM, ['room=450'])]) {
      const r = await Party.enter(c, 'r');
      await r.ask({ request: 'join', ptype: 'subscriber', room: 451, streams: [{ feed }], token: value });
      await r.away();
    }
    await p.ask({ request: 'list' });
    await settle(c);
  },

  'an end-to-end encrypted room': async (c) => {
    c.auth = { token: token('janus', [VIDEOROOM]) };
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'create', room: 460, require_e2ee: true });
    for (const [id, jsep] of [offer(audio(), video()), { ...offer(audio(), video()), e2ee: true }].entries()) {
      const q = await Party.enter(c, 'q');
      await q.ask({ request: 'join', ptype: 'publisher', room: 460, id: id + 1 });
      await q.ask({ request: 'publish' }, { jsep, about: jsep.e2ee ? 'an encrypted offer' : 'an offer' });
      await q.away();
    }
    await p.ask({ request: 'destroy', room: 460 });
  },
};
