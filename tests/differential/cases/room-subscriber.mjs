// Subscribers of the VideoRoom plugin, fed by rooms that publish by themselves: what they may ask in every state, what
// descriptions they are offered.

import { answerTo } from '../offer.mjs';
import { Party, dummyRoom, settle } from '../party.mjs';

const REQUESTS = ['start', 'pause', 'switch', 'subscribe', 'unsubscribe', 'update', 'configure', 'publish', 'unpublish', 'join', 'joinandconfigure', 'leave'];
const RICH = [{ codec: 'opus' }, { codec: 'vp8' }, { codec: 'opus', fmtp: 'stereo=1' }, { codec: 'h264', fmtp: 'profile-level-id=42e01f;packetization-mode=1' }, { codec: 'vp9', fmtp: 'profile-id=2' }, { codec: 'pcmu' }];

/** Takes part as a subscriber; gives what was offered. */
const join = (party, room, body) => party.ask({ request: 'join', ptype: 'subscriber', room, ...body });
/** Where a connection is to end: Janus takes up to a second. */
const LONG = { quiet: 1400 };

const start = (party, offered) => party.ask({ request: 'start' }, { jsep: answerTo(offered), about: 'an answer' });

export default {
  'before any room': async (c) => {
    const p = await Party.enter(c, 'p');
    for (const request of REQUESTS) await p.ask({ request });
    for (const request of REQUESTS) await p.ask({ request }, { jsep: answerTo({ sdp: '' }), about: 'an empty answer' });
    await settle(c);
  },

  'what a subscription may say': async (c) => {
    const p = await Party.enter(c, 'p');
    const feed = await dummyRoom(p, 100);
    await p.ask({ request: 'create', room: 101 });
    for (const body of [
      {}, { room: 'x' }, { room: 100 }, { room: 100, ptype: 5 }, { room: 100, ptype: '' }, { room: 100, ptype: 'listener' }, { room: 100, ptype: 'Subscriber' }, { room: 77, ptype: 'listener' },
      { room: 77, ptype: 'subscriber' }, { room: 77 }, { ptype: 'subscriber' },
    ]) await p.ask({ request: 'join', ...body });
    for (const body of [
      {}, { feed: 'x' }, { feed: -1 }, { feed: 0 }, { feed: 9 }, { feed: null }, { streams: 'x' }, { streams: {} }, { streams: [] }, { streams: null }, { streams: [5] }, { streams: [null] }, { streams: ['x'] }, { streams: [{}] },
      { streams: [{ feed: 'x' }] }, { streams: [{ feed: -1 }] }, { streams: [{ feed: 9 }] }, { streams: [{ feed, mid: 5 }] }, { streams: [{ feed, mid: '9' }] }, { streams: [{ feed }, { feed: 9 }] }, { streams: [{ feed }, { feed, mid: '9' }] },
      { streams: [{ mid: '0' }] }, { streams: [{ feed, crossrefid: 5 }] },
      ...['substream', 'temporal', 'fallback', 'spatial_layer', 'temporal_layer', 'min_delay', 'max_delay'].flatMap((name) => [{ streams: [{ feed, mid: '1', [name]: 'x' }] }, { streams: [{ feed, mid: '1', [name]: -1 }] }, { streams: [{ feed, mid: '1', [name]: true }] }]),
      { streams: [{ feed, substream: 3 }] }, { streams: [{ feed, temporal: 3 }] }, { streams: [{ feed, spatial_layer: 3 }] }, { streams: [{ feed, temporal_layer: 3 }] }, { streams: [{ feed, send: 'x' }] },
      { streams: [{ feed }], private_id: 'x' }, { streams: [{ feed }], private_id: -1 }, { streams: [{ feed }], use_msid: 'x' }, { streams: [{ feed }], autoupdate: 'x' }, { streams: [{ feed }], pin: 5 }, { streams: [{ feed }], token: 5 },
      { feed, close_pc: 'x' }, { feed, offer_audio: 'x' }, { feed, offer_video: 1 }, { feed, offer_data: null }, { feed, audio: 'x' }, { feed, video: 'x' }, { feed, data: 'x' }, { feed, substream: 'x' }, { feed, substream: 3 }, { feed, temporal: 3 }, { feed, spatial_layer: 3 },
      { feed, offer_audio: false, offer_video: false },
    ]) {
      const q = await Party.enter(c, 'q');
      await join(q, 100, body);
      await q.gone();
    }
    const q = await Party.enter(c, 'q');
    await q.ask({ request: 'join', ptype: 'subscriber', room: 100, streams: [{ feed }] }, { jsep: { type: 'offer', sdp: 'v=0\r\n' } });
    await q.ask({ request: 'join', ptype: 'subscriber', room: 101, streams: [{ feed }] });
    await settle(c);
    await p.ask({ request: 'destroy', room: 100 });
    await p.ask({ request: 'destroy', room: 101 });
    await settle(c);
  },

  'what is offered': async (c) => {
    const p = await Party.enter(c, 'p');
    let room = 110;
    for (const [codecs, settings, bodies] of [
      [[{ codec: 'opus' }, { codec: 'vp8' }], {}, (feed) => [{ streams: [{ feed }] }, { streams: [{ feed, mid: '0' }] }, { streams: [{ feed, mid: '1' }] }, { streams: [{ feed, mid: '1' }, { feed, mid: '0' }] },
        { streams: [{ feed, mid: '1' }, { feed, mid: '1' }] }, { streams: [{ feed }, { feed }] }, { streams: [{ feed }], use_msid: true }, { streams: [{ feed, crossrefid: 'cross' }] }, { streams: [{ feed, mid: '1', substream: 1, temporal: 0, fallback: 500000 }] },
        { streams: [{ feed, mid: '1', spatial_layer: 1, temporal_layer: 0 }] }, { streams: [{ feed, mid: '1', min_delay: 100, max_delay: 200 }] }, { streams: [{ feed, send: false }] }, { streams: [{ feed, mid: '0', send: false }], autoupdate: false, private_id: 5 },
        { feed }, { feed, offer_audio: false }, { feed, offer_video: false }, { feed, offer_data: false, close_pc: false }, { feed, audio: false, video: true }, { feed, use_msid: true }, { feed, streams: [{ feed, mid: '0' }] }]],
      [RICH, {}, (feed) => [{ streams: [{ feed }] }, { feed }]],
      [RICH, { audiocodec: 'opus', videocodec: 'h264', h264_profile: '42e01f' }, (feed) => [{ streams: [{ feed }] }]],
      [undefined, {}, (feed) => [{ streams: [{ feed }] }]],
      [[{ codec: 'g722' }, { codec: 'pcma' }, { codec: 'h264' }, { codec: 'vp9' }], {}, (feed) => [{ streams: [{ feed }] }]],
      [[{ codec: 'av1' }, { codec: 'h265' }, { codec: 'multiopus' }, { codec: 'isac32' }, { codec: 'isac16' }, { codec: 'l16' }], { audiocodec: 'multiopus,isac32,isac16', videocodec: 'av1,h265' }, (feed) => [{ streams: [{ feed }] }]],
      [[{ codec: 'opus', fmtp: 'useinbandfec=1;usedtx=1' }, { codec: 'vp8' }], { opus_fec: false, opus_dtx: true, audiolevel_ext: false, videoorient_ext: false, playoutdelay_ext: false, transport_wide_cc_ext: false }, (feed) => [{ streams: [{ feed }] }]],
      [[{ codec: 'opus' }, { codec: 'vp8' }], { opus_dtx: true }, (feed) => [{ streams: [{ feed }] }]],
      [[{ codec: 'vp9' }], { vp9_profile: '2', videocodec: 'vp9' }, (feed) => [{ streams: [{ feed }] }]],
      [[{ codec: 'h264' }], { h264_profile: '640032', videocodec: 'h264' }, (feed) => [{ streams: [{ feed }] }]],
      [[{ codec: 'opus' }], { require_e2ee: true }, (feed) => [{ streams: [{ feed }] }]],
    ]) {
      room += 1;
      const feed = await dummyRoom(p, room, codecs, settings);
      for (const body of bodies(feed)) {
        const q = await Party.enter(c, 'q');
        await join(q, room, body);
        await q.gone();
      }
      await p.ask({ request: 'destroy', room });
    }
    await settle(c);
  },

  'requests before the answer': async (c) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    const feed = await dummyRoom(p, 130);
    await join(q, 130, { streams: [{ feed }] });
    await join(q, 130, { streams: [{ feed }] });
    await q.ask({ request: 'join', ptype: 'publisher', room: 130 });
    await q.ask({ request: 'joinandconfigure', ptype: 'publisher', room: 130 });
    for (const request of ['publish', 'unpublish', 'nonsense']) await q.ask({ request });
    await q.ask({ request: 'configure' });
    await q.ask({ request: 'pause' });
    await q.ask({ request: 'start' });
    await q.ask({ request: 'subscribe', streams: [{ feed, mid: '0' }] });
    await q.ask({ request: 'unsubscribe', streams: [{ feed, mid: '0' }] });
    await q.ask({ request: 'configure', restart: true }, { event: false });
    await q.ask({ request: 'configure', update: true }, { event: false });
    await settle(c);
    await q.ask({ request: 'leave' });
    await settle(c, LONG);
    for (const request of REQUESTS) await q.ask({ request, room: 130, ptype: 'subscriber', streams: [{ feed }] }, { event: true });
    await settle(c);
    await p.ask({ request: 'destroy', room: 130 });
    await settle(c);
  },

  'answers': async (c) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    const feed = await dummyRoom(p, 140);
    const { jsep } = await join(q, 140, { streams: [{ feed }] });
    await q.ask({ request: 'start' }, { jsep: { ...answerTo(jsep), type: 'offer' }, about: 'an offer' });
    await q.ask({ request: 'start' }, { jsep: { type: 'answer', sdp: 'x' } });
    await start(q, jsep);
    await settle(c);
    await p.ask({ request: 'destroy', room: 140 });
    await settle(c, LONG);
    for (const request of REQUESTS) await q.ask({ request, room: 140, ptype: 'subscriber', streams: [{ feed }] });
    await settle(c, LONG);
  },

  'streams come and go': async (c) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    const feed = await dummyRoom(p, 150, [{ codec: 'opus' }, { codec: 'vp8' }, { codec: 'vp8' }, { codec: 'vp9' }, { codec: 'pcmu' }]);
    let { jsep } = await join(q, 150, { streams: [{ feed, mid: '0' }, { feed, mid: '2' }] });
    await start(q, jsep);
    const change = async (body) => {
      const told = await q.ask(body);
      if (told.jsep) await start(q, told.jsep);
      await settle(c);
    };
    for (const streams of [undefined, 'x', [], null, [5], [{}], [{ feed: 'x' }], [{ feed: 9 }], [{ feed, mid: 5 }], [{ feed, mid: '99' }], [{ feed, mid: '2', crossrefid: 5 }], [{ feed, mid: '2', send: 'x' }]]) await q.ask({ request: 'subscribe', streams });
    for (const streams of [undefined, 'x', [], null, [5], [{}], [{ feed: 'x' }], [{ feed: 9 }], [{ feed, mid: 5 }], [{ feed, mid: '99' }], [{ sub_mid: 5 }], [{ sub_mid: '99' }]]) await q.ask({ request: 'unsubscribe', streams });
    for (const body of [{}, { subscribe: [] }, { unsubscribe: [] }, { subscribe: [], unsubscribe: [] }, { subscribe: 'x' }, { unsubscribe: 'x' }, { subscribe: [{}] }, { unsubscribe: [{}] }, { subscribe: [{ feed: 9 }] }, { unsubscribe: [{ feed: 9 }] }, { subscribe: [5] }, { unsubscribe: [5] }]) await q.ask({ request: 'update', ...body });
    await settle(c);
    await change({ request: 'subscribe', streams: [{ feed, mid: '2' }] });
    await change({ request: 'subscribe', streams: [{ feed, mid: '2' }] });
    await change({ request: 'subscribe', streams: [{ feed, mid: '3', crossrefid: 'third', send: false }] });
    await change({ request: 'unsubscribe', streams: [{ feed, mid: '1' }] });
    await change({ request: 'unsubscribe', streams: [{ feed, mid: '1' }] });
    await change({ request: 'subscribe', streams: [{ feed, mid: '1' }] });
    await change({ request: 'unsubscribe', streams: [{ sub_mid: '0' }] });
    await change({ request: 'subscribe', streams: [{ feed, mid: '4' }] });
    await change({ request: 'update', unsubscribe: [{ feed, mid: '2' }], subscribe: [{ feed, mid: '0' }] });
    await change({ request: 'update', unsubscribe: [{ sub_mid: '1' }, { sub_mid: '2' }], subscribe: [{ feed, mid: '3' }, { feed, mid: '1' }] });
    await change({ request: 'unsubscribe', streams: [{ feed }] });
    await change({ request: 'subscribe', streams: [{ feed }] });
    // Changes while an offer waits for its answer.
    const first = await q.ask({ request: 'unsubscribe', streams: [{ sub_mid: '0' }] });
    await q.ask({ request: 'subscribe', streams: [{ feed, mid: '0' }] });
    await q.ask({ request: 'unsubscribe', streams: [{ feed: 9 }] });
    await q.ask({ request: 'unsubscribe', streams: [{ sub_mid: '1' }] });
    await q.ask({ request: 'configure', restart: true }, { event: false });
    await settle(c);
    await start(q, first.jsep ?? jsep);
    await settle(c);
    await q.ask({ request: 'leave' });
    await settle(c, LONG);
    await p.ask({ request: 'destroy', room: 150 });
    await settle(c);
  },

  'configure': async (c) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    const feed = await dummyRoom(p, 160);
    const { jsep } = await join(q, 160, { streams: [{ feed }] });
    await start(q, jsep);
    for (const body of [
      {}, { mid: 5 }, { mid: '9' }, { mid: '0' }, { mid: '0', send: false }, { mid: '0', send: 'x' }, { mid: '0', send: true }, { streams: 'x' }, { streams: [] }, { streams: [5] }, { streams: [{}] }, { streams: [{ mid: 5 }] },
      { streams: [{ mid: '9' }] }, { streams: [{ mid: '0', send: 'x' }] }, { streams: [{ mid: '0', send: false }, { mid: '1', send: false }] }, { streams: [{ mid: '0', send: true }, { mid: '9' }] },
      ...['substream', 'temporal', 'fallback', 'spatial_layer', 'temporal_layer', 'min_delay', 'max_delay'].flatMap((name) => ['x', -1, true, 3, 1].flatMap((value) => [{ mid: '1', [name]: value }, { streams: [{ mid: '1', [name]: value }] }])),
      { substream: 1 }, { temporal: 1 }, { audio: false }, { video: false }, { audio: true, video: true }, { data: true }, { audio: 'x' }, { update: 'x' }, { restart: 'x' }, { send: false }, { bitrate: 5 }, { keyframe: true }, { restart: false, update: false },
    ]) await q.ask({ request: 'configure', ...body });
    await settle(c);
    const again = await q.ask({ request: 'configure', restart: true });
    await q.ask({ request: 'configure', restart: true }, { event: false });
    await settle(c);
    await start(q, again.jsep ?? jsep);
    await settle(c);
    const more = await q.ask({ request: 'configure', update: true });
    if (more.jsep) await start(q, more.jsep);
    await settle(c);
    await p.ask({ request: 'destroy', room: 160 });
    await settle(c, LONG);
  },

  'pause, start, switch': async (c) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    const feed = await dummyRoom(p, 170, [{ codec: 'opus' }, { codec: 'vp8' }, { codec: 'vp8' }, { codec: 'vp9' }, { codec: 'opus' }]);
    const { jsep } = await join(q, 170, { streams: [{ feed, mid: '0' }, { feed, mid: '1' }] });
    for (const streams of [[{ feed, mid: '2', sub_mid: '1' }]]) await q.ask({ request: 'switch', streams });
    await start(q, jsep);
    for (const request of ['pause', 'pause', 'start', 'start']) await q.ask({ request });
    for (const streams of [undefined, 'x', [], null, [5], [{}], [{ feed }], [{ feed, mid: '1' }], [{ feed, sub_mid: '1' }], [{ mid: '1', sub_mid: '1' }], [{ feed: 'x', mid: '1', sub_mid: '1' }], [{ feed: 9, mid: '1', sub_mid: '1' }], [{ feed, mid: 5, sub_mid: '1' }],
      [{ feed, mid: '1', sub_mid: 5 }], [{ feed, mid: '9', sub_mid: '1' }], [{ feed, mid: '1', sub_mid: '9' }], [{ feed, mid: '0', sub_mid: '1' }], [{ feed, mid: '3', sub_mid: '1' }], [{ feed, mid: '2', sub_mid: '1' }], [{ feed, mid: '2', sub_mid: '1' }],
      [{ feed, mid: '4', sub_mid: '0' }, { feed, mid: '1', sub_mid: '1' }], [{ feed, mid: '2', sub_mid: '1', substream: 3 }], [{ feed, mid: '2', sub_mid: '1', substream: 'x' }], [{ feed, mid: '2', sub_mid: '1', substream: 1, temporal: 1, fallback: 5, crossrefid: 'x', send: false }], [{ feed, mid: '2', sub_mid: '1', min_delay: 1, max_delay: 'x' }]]) {
      await q.ask({ request: 'switch', streams });
      await settle(c);
    }
    for (const body of [{ feed: 'x' }, { feed: 9 }, { feed }, { feed, audio: false }, { feed, video: false, data: true }, { feed, audio: 'x' }]) {
      const told = await q.ask({ request: 'switch', ...body });
      if (told.jsep) await start(q, told.jsep);
      await settle(c);
    }
    const r = await Party.enter(c, 'r');
    const legacy = await join(r, 170, { feed });
    await start(r, legacy.jsep);
    for (const body of [{}, { feed: 9 }, { feed }, { feed, video: false }, { feed, audio: true, video: true }]) await r.ask({ request: 'switch', ...body });
    for (const body of [{ audio: false }, { video: false }, { audio: true, video: true }, { substream: 1 }, { temporal: 0 }, { spatial_layer: 0 }, { data: false }]) await r.ask({ request: 'configure', ...body });
    await settle(c);
    await r.gone();
    await p.ask({ request: 'destroy', room: 170 });
    await settle(c, LONG);
  },

  'who may subscribe': async (c) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    const feed = await dummyRoom(p, 180, undefined, { require_pvtid: true, pin: 'pin' });
    const { private_id: own } = await q.ask({ request: 'join', ptype: 'publisher', room: 180, id: 7, pin: 'pin' });
    for (const body of [{}, { pin: 'wrong' }, { pin: 5 }, { pin: 'pin' }, { pin: 'pin', private_id: 5 }, { pin: 'pin', private_id: 0 }, { pin: 'pin', private_id: 'x' }, { pin: 'pin', private_id: own }]) {
      const r = await Party.enter(c, 'r');
      await join(r, 180, { streams: [{ feed }], ...body });
    }
    await q.ask({ request: 'leave' });
    await settle(c, LONG);
    await p.ask({ request: 'kick', room: 180, id: feed });
    await p.ask({ request: 'moderate', room: 180, id: feed, mid: '0', mute: true });
    await p.ask({ request: 'moderate', room: 180, id: feed, mid: '9', mute: true });
    await p.ask({ request: 'listparticipants', room: 180 });
    await p.ask({ request: 'destroy', room: 180 });
    await settle(c, LONG);
  },
};
