// Rooms whose publishers and subscribers are connected: what everybody hears when media comes, changes and goes.
// A browser is at the other end; so this needs an address both gateways use for media (scripts/in-namespace.sh).

import { Party, dummyRoom, settle } from '../party.mjs';
import { withPeers } from '../peer.mjs';

const join = (party, room, body) => party.ask({ request: 'join', ptype: 'publisher', room, ...body });

/** Offers these kinds and is connected. */
async function publish(party, peer, kinds, body = {}) {
  const jsep = await peer.offer(kinds);
  const told = await party.ask({ request: 'publish', ...body }, { jsep, about: `an offer of ${kinds.join(', ') || 'the same'}` });
  if (told.jsep) {
    await peer.accept(told.jsep);
    await up(party, peer);
  }
  return told;
}

/** Subscribes and is connected. */
async function subscribe(party, peer, room, body) {
  const told = await party.ask({ request: 'join', ptype: 'subscriber', room, ...body });
  if (told.jsep) await answer(party, peer, told.jsep);
  return told;
}

async function answer(party, peer, jsep) {
  await party.ask({ request: 'start' }, { jsep: await peer.answer(jsep), about: "a browser's answer" });
  await up(party, peer);
}

/** Until both ends say that they are connected. */
async function up(party, peer) {
  await peer.up();
  if (!peer.told) await party.until(({ message }) => message.janus === 'webrtcup');
  peer.told = true;
}

/** Asks, answers what is offered, and waits until all is quiet. */
async function change(c, party, peer, body) {
  const told = await party.ask(body);
  if (told.jsep) await answer(party, peer, told.jsep);
  await settle(c, QUIET);
  return told;
}

const QUIET = { quiet: 400 };
/** Where a connection is to end: Janus takes up to a second. */
const LONG = { quiet: 1400 };

/** Answers the last offer that came by itself, if one came. */
async function answerOffered(c, party, peer) {
  await settle(c, LONG);
  const jsep = party.offered;
  party.offered = undefined;
  if (jsep) await answer(party, peer, jsep);
  await settle(c, QUIET);
}

async function enter(c, ...names) {
  for (const name of names) await Party.enter(c, name);
  return c.parties.slice(-names.length);
}

export default {
  'a publisher comes, changes and goes': (c) => withPeers(async (open) => {
    const [p, one, two, sub] = await enter(c, 'p', 'one', 'two', 'sub');
    await p.ask({ request: 'create', room: 300 });
    await join(one, 300, { id: 1, display: 'one' });
    await join(two, 300, { id: 2 });
    const [a, s] = [await open(), await open()];
    await publish(one, a, ['audio', 'video', 'data']);
    await settle(c, QUIET);
    await p.ask({ request: 'listparticipants', room: 300 });
    await p.ask({ request: 'list' });
    for (const request of ['publish', 'start', 'subscribe']) await one.ask({ request });
    await one.ask({ request: 'publish' }, { jsep: await (await open()).offer(['audio']), about: 'another offer' });
    await one.ask({ request: 'joinandconfigure', ptype: 'publisher', room: 300 });
    await settle(c, QUIET);
    await subscribe(sub, s, 300, { streams: [{ feed: 1 }] });
    await settle(c, QUIET);
    for (const body of [{ audio: false }, { video: false }, { data: false }, { audio: true, video: true, data: true }, { bitrate: 64000 }, { keyframe: true }, { streams: [{ mid: '0', send: false }] }, { streams: [{ mid: '0', send: true }] },
      { streams: [{ mid: '1', keyframe: true, min_delay: 10, max_delay: 20 }] }, { streams: [{ mid: '9' }] }, { mid: '1', send: false }, { mid: '1', send: true }, { mid: '9', send: true }, { display: 'uno' }, { descriptions: [{ mid: '0', description: 'sound' }, { mid: '9', description: 'none' }] }]) {
      await one.ask({ request: 'configure', ...body });
    }
    await settle(c, QUIET);
    await p.ask({ request: 'moderate', room: 300, id: 1, mid: '0', mute: true });
    await p.ask({ request: 'moderate', room: 300, id: 1, mid: '0', mute: true });
    await p.ask({ request: 'moderate', room: 300, id: 1, mid: '9', mute: true });
    await p.ask({ request: 'listparticipants', room: 300 });
    await one.ask({ request: 'configure', descriptions: [{ mid: '1', description: 'picture' }] });
    await p.ask({ request: 'moderate', room: 300, id: 1, mid: '0', mute: false });
    await settle(c, QUIET);
    // More, and less.
    for (const [body, jsep, words] of [
      [{ request: 'configure' }, await a.offer(['video']), 'an offer with one more video'],
    ]) {
      const told = await one.ask(body, { jsep, about: words });
      if (told.jsep) await a.accept(told.jsep);
      await settle(c, QUIET);
    }
    const restarted = await one.ask({ request: 'configure', restart: true }, { jsep: await a.restart(), about: 'an ICE restart' });
    if (restarted.jsep) await a.accept(restarted.jsep);
    await settle(c, { quiet: 1000 });
    await change(c, sub, s, { request: 'subscribe', streams: [{ feed: 1, mid: '3' }] });
    await change(c, sub, s, { request: 'unsubscribe', streams: [{ feed: 1, mid: '1' }] });
    await change(c, sub, s, { request: 'subscribe', streams: [{ feed: 1, mid: '1' }] });
    await change(c, sub, s, { request: 'configure', restart: true });
    await change(c, sub, s, { request: 'configure', update: true });
    await one.ask({ request: 'unpublish' });
    await answerOffered(c, sub, s);
    await one.ask({ request: 'unpublish' });
    await p.ask({ request: 'listparticipants', room: 300 });
    const again = await open();
    await publish(one, again, ['video']);
    await settle(c, QUIET);
    await change(c, sub, s, { request: 'subscribe', streams: [{ feed: 1 }] });
    await sub.ask({ request: 'leave' });
    await settle(c, LONG);
    await one.ask({ request: 'leave' });
    await settle(c, LONG);
    await p.ask({ request: 'destroy', room: 300 });
    await settle(c, LONG);
  }),

  'joining and publishing in one': (c) => withPeers(async (open) => {
    const [p, one, two] = await enter(c, 'p', 'one', 'two');
    await p.ask({ request: 'create', room: 310, notify_joining: true, videocodec: 'vp9,vp8' });
    const [a, b] = [await open(), await open()];
    for (const [party, peer, id] of [[one, a, 1], [two, b, 2]]) {
      const { jsep } = await party.ask({ request: 'joinandconfigure', ptype: 'publisher', room: 310, id, descriptions: [{ mid: '1', description: 'eyes' }] }, { jsep: await peer.offer(['audio', 'video']), about: 'an offer' });
      await peer.accept(jsep);
      await up(party, peer);
      await settle(c, QUIET);
    }
    await p.ask({ request: 'kick', room: 310, id: 1 });
    await settle(c, LONG);
    await b.close();
    await two.until(({ message }) => message.janus === 'hangup');
    await settle(c, LONG);
    await p.ask({ request: 'listparticipants', room: 310 });
    await p.ask({ request: 'destroy', room: 310 });
    await settle(c, LONG);
  }),

  'how many may publish': (c) => withPeers(async (open) => {
    const [p, one, two] = await enter(c, 'p', 'one', 'two');
    await p.ask({ request: 'create', room: 320, publishers: 1 });
    await join(one, 320, { id: 1 });
    await join(two, 320, { id: 2 });
    await publish(one, await open(), ['audio']);
    await settle(c, QUIET);
    const late = await open();
    await publish(two, late, ['audio']);
    await settle(c, LONG);
    await one.verb({ janus: 'hangup' }, 'hangup');
    await settle(c, LONG);
    await publish(two, await open(), ['audio']);
    await settle(c, LONG);
    await p.ask({ request: 'destroy', room: 320 });
    await settle(c, LONG);
  }),

  'several feeds': (c) => withPeers(async (open) => {
    const [p, one, two, sub, off] = await enter(c, 'p', 'one', 'two', 'sub', 'off');
    await p.ask({ request: 'create', room: 330, require_pvtid: true, publishers: 5, videocodec: 'vp8,h264' });
    const { private_id } = await join(one, 330, { id: 1, display: 'one' });
    await join(two, 330, { id: 2, display: 'two' });
    const [a, b, s, o] = [await open(), await open(), await open(), await open()];
    await publish(one, a, ['audio', 'video', 'data'], { descriptions: [{ mid: '1', description: 'face' }] });
    await publish(two, b, ['audio', 'video', 'data', 'video'], { videocodec: 'h264' });
    await settle(c, QUIET);
    await subscribe(sub, s, 330, { streams: [{ feed: 1 }, { feed: 2, mid: '1' }] });
    await subscribe(sub, s, 330, { private_id, streams: [{ feed: 1 }, { feed: 2, mid: '1' }] });
    await subscribe(off, o, 330, { private_id, autoupdate: false, use_msid: true, streams: [{ feed: 1, mid: '0', crossrefid: 'x' }, { feed: 2, mid: '0' }] });
    await settle(c, QUIET);
    await change(c, sub, s, { request: 'subscribe', streams: [{ feed: 2 }] });
    await change(c, sub, s, { request: 'switch', streams: [{ feed: 2, mid: '0', sub_mid: '0' }] });
    await change(c, sub, s, { request: 'switch', streams: [{ feed: 2, mid: '1', sub_mid: '1' }] });
    await change(c, sub, s, { request: 'unsubscribe', streams: [{ feed: 1, mid: '2' }] });
    await change(c, sub, s, { request: 'pause' });
    await change(c, sub, s, { request: 'start' });
    await two.ask({ request: 'unpublish' });
    await answerOffered(c, sub, s);
    await two.ask({ request: 'leave' });
    await settle(c, LONG);
    await off.ask({ request: 'configure' });
    await settle(c, QUIET);
    await publish(one, a, ['video'], {});
    await settle(c, QUIET);
    await one.gone();
    await answerOffered(c, sub, s);
    await p.ask({ request: 'destroy', room: 330 });
    await settle(c, LONG);
  }),

  'a room ends under its people': (c) => withPeers(async (open) => {
    const [p, one, sub] = await enter(c, 'p', 'one', 'sub');
    await p.ask({ request: 'create', room: 340 });
    await join(one, 340, { id: 1, display: 'one' });
    const [a, s] = [await open(), await open()];
    await publish(one, a, ['audio', 'video']);
    await subscribe(sub, s, 340, { feed: 1, close_pc: true });
    await settle(c, QUIET);
    await p.ask({ request: 'destroy', room: 340 });
    await settle(c, LONG);
    for (const request of ['configure', 'publish', 'unpublish', 'leave']) await one.ask({ request });
    for (const request of ['configure', 'pause', 'start', 'unsubscribe', 'leave']) await sub.ask({ request, streams: [{ feed: 1 }] });
    await settle(c, LONG);
  }),

  'a subscription in the old form': (c) => withPeers(async (open) => {
    const [p, one, two, sub, keep] = await enter(c, 'p', 'one', 'two', 'sub', 'keep');
    await p.ask({ request: 'create', room: 350 });
    await join(one, 350, { id: 1, display: 'one' });
    await join(two, 350, { id: 2 });
    const [a, b, s, k] = [await open(), await open(), await open(), await open()];
    await publish(one, a, ['audio', 'video', 'data']);
    await publish(two, b, ['audio', 'video']);
    await subscribe(sub, s, 350, { feed: 1, offer_data: false });
    await subscribe(keep, k, 350, { feed: 1, close_pc: false, video: false });
    await settle(c, QUIET);
    await sub.ask({ request: 'configure', audio: false });
    await sub.ask({ request: 'configure', video: false, audio: true });
    await change(c, sub, s, { request: 'switch', feed: 2 });
    await change(c, sub, s, { request: 'switch', feed: 1, audio: true, video: false });
    await one.ask({ request: 'unpublish' });
    await settle(c, LONG);
    await two.ask({ request: 'unpublish' });
    await settle(c, LONG);
    await p.ask({ request: 'destroy', room: 350 });
    await settle(c, LONG);
  }),

  'layers': (c) => withPeers(async (open) => {
    const [p, one, sub] = await enter(c, 'p', 'one', 'sub');
    await p.ask({ request: 'create', room: 360 });
    await join(one, 360, { id: 1 });
    const [a, s] = [await open(), await open()];
    await publish(one, a, ['audio', 'simulcast']);
    await p.ask({ request: 'listparticipants', room: 360 });
    const { jsep } = await sub.ask({ request: 'join', ptype: 'subscriber', room: 360, streams: [{ feed: 1, mid: '0' }, { feed: 1, mid: '1', substream: 0, temporal: 1, fallback: 400000 }] });
    for (const body of [{ mid: '1', substream: 1 }, { mid: '1', temporal: 0 }, { streams: [{ mid: '1', substream: 2, temporal: 2 }] }, { mid: '0', substream: 1 }, { mid: '1', substream: 3 }, { mid: '1', temporal: 3 }, { mid: '1', min_delay: 5, max_delay: 5 }]) await sub.ask({ request: 'configure', ...body });
    await sub.ask({ request: 'unsubscribe', streams: [{ feed: 9 }] });
    await s.answer(jsep);
    await settle(c, QUIET);
    await p.ask({ request: 'destroy', room: 360 });
    await settle(c, LONG);
  }),

  'forwarders': (c) => withPeers(async (open) => {
    const [p, one] = await enter(c, 'p', 'one');
    await p.ask({ request: 'create', room: 370, secret: 's' });
    await join(one, 370, { id: 1, display: 'one' });
    await p.ask({ request: 'rtp_forward', room: 370, secret: 's', publisher_id: 1, host: '127.0.0.1', streams: [{ mid: '0', port: 19000 }] });
    await publish(one, await open(), ['audio', 'video', 'data']);
    await settle(c, QUIET);
    const forward = (body) => p.ask({ request: 'rtp_forward', room: 370, secret: 's', publisher_id: 1, host: '127.0.0.1', ...body });
    await p.ask({ request: 'listforwarders', room: 370, secret: 's' });
    // What is said first, where several things are wrong.
    const wrong = [{ host: 'not a host' }, { host: 5 }, { host_family: 'x' }, { publisher_id: 9 }, { secret: 'x' }, { room: 9 }, { streams: [{}] }, { srtp_suite: 5, srtp_crypto: 'x' }, { streams: [{ mid: '0', port: 19000, host: 'not a host' }] }];
    for (const [n, one] of wrong.entries()) {
      for (const other of wrong.slice(n + 1)) await forward({ ...one, ...other });
    }
    const made = [];
    for (const body of [
      { host: undefined }, { host: 5 }, { host: 'not a host' }, { host_family: 'x' }, { host_family: 5 }, { publisher_id: 9 }, { publisher_id: 'x' }, { publisher_id: undefined }, { secret: 'x' }, { secret: undefined }, { streams: 'x' }, { streams: [] }, { streams: [5] }, { streams: [{}] },
      { streams: [{ mid: '0' }] }, { streams: [{ port: 19000 }] }, { streams: [{ mid: 5, port: 19000 }] }, { streams: [{ mid: '9', port: 19000 }] }, { streams: [{ mid: '0', port: 'x' }] }, { streams: [{ mid: '0', port: 0 }] }, { streams: [{ mid: '0', port: 70000 }] }, { streams: [{ mid: '0', port: -1 }] },
      { streams: [{ mid: '0', port: 19000, pt: 'x' }] }, { streams: [{ mid: '0', port: 19000, ssrc: 'x' }] }, { streams: [{ mid: '0', port: 19000, host: 5 }] }, { streams: [{ mid: '0', port: 19000, rtcp_port: 'x' }] }, { streams: [{ mid: '0', port: 19000, simulcast: 'x' }] },
      { srtp_suite: 5, srtp_crypto: 'x', streams: [{ mid: '0', port: 19000 }] }, { srtp_suite: 'x', streams: [{ mid: '0', port: 19000 }] }, { srtp_suite: 80, srtp_crypto: 5, streams: [{ mid: '0', port: 19000 }] }, { srtp_suite: 80, srtp_crypto: 'x', streams: [{ mid: '0', port: 19000 }] }, { srtp_suite: 80, streams: [{ mid: '0', port: 19000 }] },
      { streams: [{ mid: '0', port: 19000 }] }, { streams: [{ mid: '0', port: 19002, pt: 100, ssrc: 1234, rtcp_port: 19003 }, { mid: '1', port: 19004, pt: 96 }, { mid: '2', port: 19006 }] }, { streams: [{ mid: '1', port: 19008, simulcast: true }] }, { streams: [{ mid: '1', port: 19010, port_2: 19012, port_3: 19014, ssrc_2: 2, pt_3: 97 }] },
      { srtp_suite: 80, srtp_crypto: 'WbTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE15GbN', streams: [{ mid: '0', port: 19016 }] }, { host: 'localhost', host_family: 'ipv4', streams: [{ mid: '0', port: 19018 }] }, { streams: [{ mid: '0', port: 19020, host: '127.0.0.2' }] },
      { srtp_suite: 32, srtp_crypto: 'WbTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE15GbN', streams: [{ mid: '0', port: 19016 }, { mid: '2', port: 19017 }] }, { srtp_crypto: 'WbTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE15GbN', streams: [{ mid: '0', port: 19016 }] }, { srtp_suite: 80, srtp_crypto: 'WbTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE1', streams: [{ mid: '0', port: 19016 }] },
      { host: '::1', streams: [{ mid: '0', port: 19050 }] }, { host: '::1', host_family: 'ipv6', streams: [{ mid: '0', port: 19050 }] }, { host: '::1', host_family: 'ipv4', streams: [{ mid: '0', port: 19050 }] }, { host: '127.0.0.1', host_family: 'ipv6', streams: [{ mid: '0', port: 19050 }] }, { host: '', streams: [{ mid: '0', port: 19050 }] }, { host: '2130706433', streams: [{ mid: '0', port: 19050 }] }, { host: '239.1.1.1', streams: [{ mid: '0', port: 19050 }] },
      { streams: [{ mid: '0', port: 19052 }, { mid: '1', port: 19054, host: 'not a host' }] }, { streams: [{ mid: '0', port: 19056, pt: 200, ssrc: 5000000000 }] }, { streams: [{ mid: '0', port: 19058, pt: 0, ssrc: 0 }] }, { streams: [{ mid: '1', port: 19060, simulcast: true, ssrc: 9, pt: 99, rtcp_port: 19061, port_2: 19062 }] }, { streams: [{ mid: '0', port: 19064, port_2: 19066 }, { mid: '2', port: 19068, rtcp_port: 19069, pt: 5 }] },
      {}, { audio_port: 19030 }, { audio_port: 19032, audio_pt: 111, audio_ssrc: 7, audio_rtcp_port: 19033, video_port: 19034, video_pt: 96, video_ssrc: 8, video_rtcp_port: 19035, data_port: 19036 }, { video_port: 19040, video_port_2: 19042, video_port_3: 19044 }, { audio_port: 'x' }, { video_port: -1 },
    ]) {
      const told = await forward(body);
      made.push(...(told.forwarders ?? []).map((f) => f.stream_id));
    }
    await p.ask({ request: 'listforwarders', room: 370 });
    await p.ask({ request: 'listforwarders', room: 370, secret: 's' });
    for (const body of [{}, { publisher_id: 1 }, { stream_id: made[0] ?? 5 }, { publisher_id: 1, stream_id: 'x' }, { publisher_id: 1, stream_id: 1 }, { publisher_id: 9, stream_id: made[0] }, { publisher_id: 1, stream_id: made[0] }, { publisher_id: 1, stream_id: made[0] }]) {
      await p.ask({ request: 'stop_rtp_forward', room: 370, secret: 's', ...body });
    }
    await p.ask({ request: 'stop_rtp_forward', room: 370, publisher_id: 1, stream_id: made[1] });
    await p.ask({ request: 'listforwarders', room: 370, secret: 's' });
    await settle(c, QUIET);
    await one.ask({ request: 'unpublish' });
    await settle(c, LONG);
    await p.ask({ request: 'listforwarders', room: 370, secret: 's' });
    await p.ask({ request: 'destroy', room: 370, secret: 's' });
    await settle(c, LONG);
  }),

  'forwarders of layers and of nobody': (c) => withPeers(async (open) => {
    const [p, one, two] = await enter(c, 'p', 'one', 'two');
    const id = await dummyRoom(p, 371);
    for (const publisher_id of [id, 1]) await p.ask({ request: 'rtp_forward', room: 371, publisher_id, host: '127.0.0.1', streams: [{ mid: '0', port: 19000 }, { mid: '1', port: 19002 }] });
    await join(one, 371, { id: 1 });
    await join(two, 371, { id: 2 });
    await p.ask({ request: 'listforwarders', room: 371 });
    await publish(one, await open(), ['audio', 'simulcast']);
    await settle(c, QUIET);
    for (const body of [{ port: 19000 }, { port: 19002, simulcast: true }, { port: 19004, port_2: 19006, port_3: 19008, pt_2: 100, ssrc_3: 9 }, { port: 19010, port_2: 19012, simulcast: true, rtcp_port: 19011 }]) {
      await p.ask({ request: 'rtp_forward', room: 371, publisher_id: 1, host: '127.0.0.1', streams: [{ mid: '1', ...body }] });
    }
    await p.ask({ request: 'rtp_forward', room: 371, publisher_id: 1, host: '127.0.0.1', video_port: 19020, video_port_2: 19022, video_port_3: 19024, simulcast: true });
    await p.ask({ request: 'listforwarders', room: 371 });
    await one.ask({ request: 'leave' });
    await settle(c, LONG);
    await p.ask({ request: 'listforwarders', room: 371 });
    await p.ask({ request: 'destroy', room: 371 });
    await settle(c, LONG);
  }),

  'who talks': (c) => withPeers(async (open) => {
    const [p, one, two] = await enter(c, 'p', 'one', 'two');
    await p.ask({ request: 'create', room: 380, audiolevel_event: true, audio_active_packets: 10, audio_level_average: 60 });
    await join(one, 380, { id: 1 });
    await join(two, 380, { id: 2 });
    await publish(one, await open(), ['audio']);
    await two.until(({ message }) => message.plugindata?.data.videoroom === 'talking');
    await settle(c, QUIET);
    await p.ask({ request: 'listparticipants', room: 380 });
    const late = await Party.enter(c, 'late');
    await join(late, 380, { id: 3 });
    await p.ask({ request: 'destroy', room: 380 });
    await settle(c, LONG);
  }),
};
