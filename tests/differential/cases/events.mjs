// Event handlers: what a back end of sampleevh hears of a gateway's whole life, from its start to its end, and of calls
// that begin and end in every way. Each case starts a gateway of its own, with a back end of its own.

import { ADMIN_SECRET } from '../../browser/harness/backend.mjs';
import { startRelay } from '../../browser/harness/relay.mjs';
import { ADDRESS, life } from '../event-life.mjs';
import { kind, withoutCandidates } from '../event-log.mjs';
import { Party } from '../party.mjs';
import { withPeers } from '../peer.mjs';
import { rooms, settings as roomSettings } from './event-rooms.mjs';

const ECHO = 'janus.plugin.echotest';
const BOTH = { audio: true, video: true };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default {
  'echo calls that end in every way': (c) =>
    life(c, { handler: { grouping: false, json: 'indented' } }, (k, log) =>
      withPeers(async (open) => {
        const scenes = [
          spoken,
          unreachable,
          idle,
          slow,
          layered,
          ...Object.keys(ENDS).map(
            (name) =>
              (...args) =>
                ended(...args, name),
          ),
        ];
        // All at once; what was told of each is noted when all are over, one after the other.
        const endings = await Promise.all(scenes.map((scene) => scene(log, k, open)));
        endings.forEach((ending) => ending());
      }),
    ),

  rooms: (c) => life(c, roomSettings, (k, log) => withPeers((open) => rooms(k, log, open))),
};

async function enter(k, log, name, over) {
  const party = await Party.enter(k, name, ECHO, over);
  log.name(name, party.session, party.handle);
  return party;
}

/**
 * Offers without candidates, trickles them, and is connected. `through` changes what the peer is told; its own address
 * is then not told, so that there is no other way.
 */
async function call(log, party, peer, kinds, { through } = {}) {
  const { jsep, candidates } = withoutCandidates(await peer.offer(kinds), ADDRESS);
  const told = await party.ask(BOTH, { jsep: log.described('as it was sent', jsep), quiet: true });
  log.described('as it was told', told.jsep);
  const trickle = (candidate) => party.call({ janus: 'trickle', candidate });
  for (const candidate of through ? [] : candidates) await trickle({ sdpMid: '0', sdpMLineIndex: 0, candidate });
  await trickle({ completed: true });
  await peer.accept(through ? await through(told.jsep) : told.jsep);
  await peer.up();
  await log.until(party.name, '16/6 webrtcup');
}

/** A long call over HTTP: silence, another offer, hangup, detach, destroy. */
async function spoken(log, k, open) {
  const party = await overHttp(k, log, 'who speaks', { plugin: ECHO, opaque_id: 'known to its owner' });
  await party.ask({ audio: true });
  await party.ask({ nothing: true });
  const peer = await open();
  await call(log, party, peer, ['voice', 'face']);
  await log.until('who speaks', '32/3 1 video', { count: 2 });
  await peer.mute(true);
  await log.until('who speaks', /^32\/1 .* false$/, { count: 2 });
  await peer.mute(false);
  await log.until('who speaks', /^32\/1 .* true$/, { count: 4 });
  const again = withoutCandidates(await peer.offer(['data']), ADDRESS).jsep;
  const { jsep } = await party.ask(
    { ...BOTH, bitrate: 128_000 },
    { jsep: log.described('as it was sent again', again) },
  );
  await peer.accept(log.described('as it was told again', jsep));
  await log.until('who speaks', '32/3 2 data', { count: 2 });
  await k.post(party.h, { janus: 'hangup' }, { quiet: true });
  await log.until('who speaks', /^16\/6 hangup/);
  await k.post(party.h, { janus: 'detach' }, { quiet: true });
  await k.post(party.s, { janus: 'destroy' }, { quiet: true });
  await log.until('who speaks', '1 destroyed');
  return () => {
    log.order('who speaks');
    log.statistics('who speaks', '16/6 hangup Janus API');
    log.bodies('who speaks');
    requested(k, log, party);
  };
}

/** The transport's side of it. */
function requested(k, log, party) {
  const created = log.events.find((e) => e.type === 1 && e.session_id === party.session);
  const requests = log.events.filter((e) => kind(e) === '128 http request false').map((e) => e.event.id);
  k.note(
    'requests over HTTP',
    `the session's transport is ${requests.includes(created?.event.transport?.id) ? 'that of a request' : 'unknown'}`,
  );
}

/** A candidate nobody answers. */
async function unreachable(log, k, open) {
  const party = await enter(k, log, 'who is not reached');
  const { jsep } = withoutCandidates(await (await open()).offer(['audio']), ADDRESS);
  const told = await party.ask(BOTH, { jsep: log.described('as it was sent', jsep), quiet: true });
  log.described('as it was told', told.jsep);
  const candidate = `candidate:1 1 udp 2122260223 ${ADDRESS.replace(/\d+$/, '9')} 5000 typ host`;
  await party.call({ janus: 'trickle', candidate: { sdpMid: '0', sdpMLineIndex: 0, candidate } });
  await party.call({ janus: 'trickle', candidate: { completed: true } });
  await log.until('who is not reached', '16/1 failed', { ms: 20_000 });
  await party.gone();
  await log.until('who is not reached', '2 detached');
  // What follows, follows at once; Janus tells of nothing more, so there is nothing to wait for.
  await sleep(500);
  return () => {
    log.order('who is not reached', /$^/);
    log.bodies(
      'who is not reached',
      log.of('who is not reached').filter((e) => e.type !== 32),
    );
  };
}

/** A session nobody asks anything of; and a word of the administrator. */
async function idle(log, k) {
  const party = await overHttp(k, log, 'who is idle', { plugin: 'janus.plugin.videoroom', opaque_id: 'idle' });
  const admin = { admin_secret: ADMIN_SECRET };
  await k.administer(party.s, { janus: 'set_session_timeout', timeout: 1, ...admin }, { quiet: true });
  await k.administer(
    '',
    { janus: 'custom_event', schema: 'a.schema', data: { number: 1, list: [true, null], text: 'x' }, ...admin },
    { quiet: true },
  );
  const socket = await k.connect('janus-admin-protocol', { to: k.admin.ws });
  socket.terminate();
  await k.raw('OPTIONS', '/janus', { quiet: true });
  await log.until('who is idle', '1 timeout', { ms: 12_000 });
  return () => {
    log.order('who is idle');
    log.bodies('who is idle');
  };
}

// A browser reports on sound every five seconds or so; if two such reports are lost, nobody knows of its losses.
/** Losses each way, but not of RTCP. */
async function slow(log, k, open) {
  const party = await enter(k, log, 'who loses');
  const peer = await open();
  let relay;
  const through = async (jsep) => {
    const [, address, port] = jsep.sdp.match(/^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host/m);
    relay = await startRelay({ target: { address, port: Number(port) }, share: 0.3, address: ADDRESS, control: false });
    return {
      ...jsep,
      sdp: jsep.sdp.replaceAll(`${address} ${port} typ host`, `${relay.address} ${relay.port} typ host`),
    };
  };
  try {
    await call(log, party, peer, ['voice', 'face'], { through });
    for (const wanted of ['audio downlink', 'video downlink', 'video uplink'])
      await log.until('who loses', `32/2 ${wanted}`);
  } finally {
    relay?.stop();
  }
  await party.gone();
  return () =>
    log.bodies(
      'who loses',
      log.of('who loses').filter((e) => e.type === 32 && e.subtype === 2),
    );
}

/** Three layers and a data channel; the handle goes while all flows. */
async function layered(log, k, open) {
  const party = await enter(k, log, 'who has layers', { opaque_id: 'layers' });
  await call(log, party, await open(), ['audio', 'simulcast', 'data']);
  await log.until('who has layers', /^32\/1 video/);
  await log.until('who has layers', '32/3 1 video-sim2', { count: 2 });
  await party.ask({ substream: 2, temporal: 2 }, { quiet: true });
  await party.call({ janus: 'detach' });
  await log.until('who has layers', '2 detached');
  return () => {
    log.order('who has layers');
    log.statistics('who has layers', '2 detached');
    log.bodies('who has layers');
  };
}

/** Ways for a call to end, and the last that is told of it. */
const ENDS = {
  'who destroys': ['2 detached', (party) => party.call({ janus: 'destroy', handle_id: undefined })],
  'who closes': ['16/6 hangup DTLS alert', (party, peer) => peer.close()],
  'who is lost': [
    '2 detached',
    (party) => {
      party.socket.removeAllListeners('close');
      party.socket.terminate();
    },
  ],
  'who is hung up': [
    '16/6 hangup Admin API',
    (party, peer, k) =>
      k.administer(
        `/${party.session}/${party.handle}`,
        { janus: 'hangup_webrtc', admin_secret: ADMIN_SECRET },
        { quiet: true },
      ),
  ],
  'who is detached': [
    '2 detached',
    (party, peer, k) =>
      k.administer(
        `/${party.session}/${party.handle}`,
        { janus: 'detach_handle', admin_secret: ADMIN_SECRET },
        { quiet: true },
      ),
  ],
};

async function ended(log, k, open, name) {
  const [last, end] = ENDS[name];
  const party = await enter(k, log, name);
  const peer = await open();
  await call(log, party, peer, ['audio']);
  await log.until(name, '32/3 0 audio');
  await end(party, peer, k);
  await log.until(name, last);
  // Nothing follows.
  await sleep(200);
  return () => {
    log.order(name);
    log.statistics(name, last);
    log.bodies(name);
  };
}

/** Somebody who speaks HTTP: `ask` and `call` as a Party has them, without notes. */
async function overHttp(k, log, name, attach) {
  const {
    data: { id: session },
  } = await k.post('', { janus: 'create' }, { quiet: true });
  const {
    data: { id: handle },
  } = await k.post(`/${session}`, { janus: 'attach', ...attach }, { quiet: true });
  log.name(name, session, handle, { silent: true });
  const [s, h] = [`/${session}`, `/${session}/${handle}`];
  let count = 0;
  const call = (message) => k.post(h, message, { quiet: true });
  async function ask(body, { jsep } = {}) {
    const transaction = `${name} ${(count += 1)}`;
    await call({ janus: 'message', body, jsep, transaction });
    for (let polls = 0; polls < 30; polls += 1) {
      const event = await k.get(`${s}?maxev=1`, { quiet: true });
      if (event?.transaction === transaction) return { ...event.plugindata.data, jsep: event.jsep };
    }
    throw new Error(`no answer to ${JSON.stringify(body)}`);
  }
  return { name, session, handle, s, h, call, ask };
}
