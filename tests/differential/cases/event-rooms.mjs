// What event handlers hear of the VideoRoom plugin: rooms, publishers, subscribers, and how they change.

import { ADMIN_SECRET } from '../../browser/harness/backend.mjs';
import { kind, withoutCandidates } from '../event-log.mjs';
import { Party } from '../party.mjs';

const TOKEN = 'of a guest';
const ROOM = 700;
/**
 * The plugin has a thread of its own, so what it tells and what the core tells are put in order each for itself; and
 * whether the check of a peer or its answer is first is a race.
 */
const APART = /^64 |^16\/(3|1 ready)|^1 destroyed/;

/** Statistics come as one event for all media here, and grouped. */
export const settings = {
  handler: { grouping: true, json: 'compact' },
  events: { combine_media_stats: true },
  janus: { general: { token_auth: true } },
};

export async function rooms(k, log, open) {
  k.auth = { token: TOKEN };
  const admin = { admin_secret: ADMIN_SECRET };
  await k.administer('', { janus: 'add_token', token: TOKEN, ...admin }, { quiet: true });
  const enter = (name, over) => someone(k, log, name, over);
  const owner = await enter('the owner');
  await ask(owner, { request: 'create', room: ROOM, publishers: 6, audiolevel_event: true, audio_active_packets: 10 });
  await ask(owner, { request: 'create', room: ROOM + 1, dummy_publisher: true, dummy_streams: [{ codec: 'opus' }] });
  await ask(owner, { request: 'edit', room: ROOM, new_description: 'edited' });
  for (const request of ['list', 'listparticipants', 'exists', 'enable_recording'])
    await ask(owner, { request, room: ROOM, record: false });
  await k.administer(
    '',
    {
      janus: 'message_plugin',
      plugin: 'janus.plugin.videoroom',
      request: { request: 'create', room: ROOM + 2 },
      ...admin,
    },
    { quiet: true },
  );

  const one = await enter('the first', { opaque_id: 'first' });
  const two = await enter('the second');
  await ask(one, { request: 'join', ptype: 'publisher', room: ROOM, id: 1, display: 'one' });
  await ask(two, { request: 'join', ptype: 'publisher', room: ROOM, id: 2 });
  const [a, b, s] = [await open(), await open(), await open()];
  await publish(log, one, a, ['audio', 'video', 'data'], { request: 'publish', bitrate: 512_000 });
  await log.until(one.name, '64 talking');
  for (const body of [
    { bitrate: 128_000 },
    { streams: [{ mid: '0', send: false }] },
    { streams: [{ mid: '0', send: true }] },
    { display: 'uno' },
    { keyframe: true },
    { descriptions: [{ mid: '0', description: 'sound' }] },
    { nonsense: 5, bitrate: 'x' },
  ]) {
    await ask(one, { request: 'configure', ...body });
  }

  const guest = await enter('the subscriber', { opaque_id: 'listens' });
  const told = await ask(guest, { request: 'join', ptype: 'subscriber', room: ROOM, streams: [{ feed: 1 }] });
  await answer(log, guest, s, told.jsep);
  await log.until(guest.name, '16/6 webrtcup');
  for (const body of [
    { request: 'pause' },
    { request: 'start' },
    { request: 'configure', streams: [{ mid: '0', send: false }] },
    { request: 'unsubscribe', streams: [{ feed: 1, mid: '1' }] },
    { request: 'subscribe', streams: [{ feed: 1, mid: '1' }] },
  ]) {
    const { jsep } = await ask(guest, body);
    if (jsep) await answer(log, guest, s, jsep);
  }
  await publish(log, two, b, ['audio']);
  await ask(guest, { request: 'switch', streams: [{ feed: 2, mid: '0', sub_mid: '0' }] });
  await log.until(guest.name, '32/3 all media', { count: 2 });

  const { forwarders } = await ask(owner, {
    request: 'rtp_forward',
    room: ROOM,
    publisher_id: 1,
    host: '127.0.0.1',
    host_family: 'ipv4',
    streams: [
      { mid: '0', port: 5002 },
      { mid: '1', port: 5004, rtcp_port: 5005 },
      { mid: '2', port: 5006 },
    ],
  });
  await ask(owner, {
    request: 'stop_rtp_forward',
    room: ROOM,
    publisher_id: 1,
    stream_id: forwarders?.[0].stream_id ?? 0,
  });
  for (const mute of [true, false]) await ask(owner, { request: 'moderate', room: ROOM, id: 1, mid: '0', mute });
  await again(log, one, a, ['video']);
  await log.until(one.name, /32\/1 video 3/);

  await leave(log, guest, '16/6 hangup Close PC');
  await ask(one, { request: 'unpublish' });
  await log.until(one.name, '16/6 hangup Close PC');
  await ask(owner, { request: 'kick', room: ROOM, id: 2 });
  await log.until(two.name, '16/6 hangup Close PC');
  const three = await enter('the third');
  await publish(log, three, await open(), ['audio'], {
    request: 'joinandconfigure',
    ptype: 'publisher',
    room: ROOM,
    id: 3,
    display: 'three',
  });
  await log.until(three.name, '32/3 all media');
  await three.call({ janus: 'detach' });
  await log.until(three.name, '2 detached');
  await leave(log, one);
  await ask(owner, { request: 'join', ptype: 'publisher', room: 99 });
  for (const room of [ROOM, ROOM + 1, ROOM + 2]) await ask(owner, { request: 'destroy', room });
  await log.until(owner.name, '64 destroyed', { count: 3 });

  for (const { name } of [owner, one, two, guest, three]) {
    log.order(name, APART);
    log.said(name);
    log.bodies(name);
  }
  log.bodies(
    'who talks',
    log.of(one.name).filter((e) => kind(e) === '64 talking'),
  );
  log.statistics(one.name, '16/6 hangup Close PC');
  log.statistics(guest.name, '16/6 hangup Close PC');
}

async function someone(k, log, name, over) {
  const party = await Party.enter(k, name, 'janus.plugin.videoroom', over);
  log.name(name, party.session, party.handle);
  return party;
}

const ask = (party, body, more) => party.ask(body, { quiet: true, ...more });

async function publish(log, party, peer, kinds, body = { request: 'publish' }) {
  await again(log, party, peer, kinds, body);
  await peer.up();
  await log.until(party.name, '16/6 webrtcup');
}

async function again(log, party, peer, kinds, body = { request: 'configure' }) {
  const jsep = log.described('as it was sent', withoutCandidates(await peer.offer(kinds)).jsep);
  const told = await ask(party, body, { jsep });
  await peer.accept(log.described('as it was told', told.jsep));
}

async function answer(log, party, peer, offer) {
  log.described('as it was told', offer);
  const jsep = log.described('as it was sent', withoutCandidates(await peer.answer(offer)).jsep);
  await ask(party, { request: 'start' }, { jsep });
  await peer.up();
}

async function leave(log, party, last) {
  await ask(party, { request: 'leave' });
  if (last) await log.until(party.name, last);
}
