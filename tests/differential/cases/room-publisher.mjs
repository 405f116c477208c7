// Publishers of the VideoRoom plugin, as far as they get without a connection: joining, what they may say of what they
// publish, the answers to their offers, leaving.

import { audio, data, offer, video, without } from '../offer.mjs';
import { Party, settle } from '../party.mjs';

const REQUESTS = ['configure', 'publish', 'unpublish', 'start', 'pause', 'switch', 'subscribe', 'unsubscribe', 'update', 'joinandconfigure', 'join', 'leave'];
const join = (party, room, body) => party.ask({ request: 'join', ptype: 'publisher', room, ...body });
const about = (...sections) => sections.map((section) => section.note).join(', ');

/** Asks with a description of these sections. */
const send = (party, body, ...sections) => party.ask(body, { jsep: offer(...sections), about: about(...sections) });

export default {
  'before any room': async (c) => {
    const p = await Party.enter(c, 'p');
    for (const request of REQUESTS) await p.ask({ request });
    await send(p, { request: 'publish' }, audio());
    await send(p, { request: 'configure' }, audio());
    await send(p, { request: 'nonsense' }, audio());
    await p.ask({ request: 'CONFIGURE' });
    await p.ask({ request: 'Join', ptype: 'Publisher', room: 77 });
    await settle(c);
  },

  'what a publisher may say': async (c) => {
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'create', room: 200, secret: 's' });
    await p.ask({ request: 'create', room: 201, pin: 'pin' });
    for (const body of [
      { room: 'x' }, { id: 'x' }, { id: -1 }, { id: 0 }, { id: 1.5 }, { id: null }, { display: 5 }, { display: null }, { display: true }, { display: '' }, { token: 5 }, { pin: 5 }, { metadata: {} }, { metadata: 'x' },
      { audio_active_packets: 'x' }, { audio_active_packets: -1 }, { audio_active_packets: 0 }, { audio_active_packets: 50 }, { audio_level_average: 'x' }, { audio_level_average: 128 }, { audio_level_average: 30 },
      { display: 'a name', id: 11 }, { nonsense: 1 }, { room: 201 }, { room: 201, pin: 'x' }, { room: 201, pin: 5 }, { room: 201, pin: 'pin' }, { room: 201, pin: 'x', ptype: 'x' }, { id: 'x', ptype: 'x' },
    ]) {
      const q = await Party.enter(c, 'q');
      await join(q, 200, body);
      await q.away();
    }
    await settle(c);
    for (const field of ['audiocodec', 'videocodec', 'bitrate', 'record', 'filename', 'descriptions', 'data', 'audio', 'video', 'keyframe', 'update', 'secret', 'streams']) {
      for (const value of ['x', 5, true, {}, [], null]) {
        const q = await Party.enter(c, 'q');
        await q.ask({ request: 'joinandconfigure', ptype: 'publisher', room: 200, [field]: value });
        await q.away();
      }
    }
    for (const body of [{ ptype: 'subscriber' }, {}, { ptype: 'x' }]) {
      const q = await Party.enter(c, 'q');
      await q.ask({ request: 'joinandconfigure', room: 200, ...body });
      await q.away();
    }
    await settle(c);
    const [q, r] = [await Party.enter(c, 'q'), await Party.enter(c, 'r')];
    await join(q, 200, { id: 5, display: 'five' });
    await join(q, 200, { id: 6 });
    await join(q, 200, { ptype: 'subscriber' });
    await q.ask({ request: 'joinandconfigure', ptype: 'publisher', room: 200, id: 7 });
    await join(r, 200, { id: 5 });
    for (const request of ['start', 'pause', 'switch', 'subscribe', 'unsubscribe', 'update', 'unpublish', 'configure', 'publish']) await q.ask({ request });
    await settle(c);
    await p.ask({ request: 'destroy', room: 200, secret: 's' });
    await p.ask({ request: 'destroy', room: 201 });
    await settle(c);
  },

  'configure': async (c) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    await p.ask({ request: 'create', room: 210, secret: 's', lock_record: true, audiocodec: 'opus,pcmu', videocodec: 'vp8,vp9' });
    await join(p, 210, { id: 1 });
    await join(q, 210, { id: 2, display: 'two' });
    const bodies = [
      {}, { audio: 'x' }, { video: 5 }, { data: null }, { audiocodec: 5 }, { audiocodec: 'pcma' }, { audiocodec: 'nonsense' }, { audiocodec: 'pcmu' }, { videocodec: 5 }, { videocodec: 'h264' }, { videocodec: 'vp9' }, { bitrate: 'x' }, { bitrate: -1 },
      { bitrate: 0 }, { bitrate: 5 }, { bitrate: 128000 }, { keyframe: 'x' }, { keyframe: true }, { record: 'x' }, { record: true }, { record: true, secret: 'x' }, { record: true, secret: 5 }, { record: false, secret: 's' }, { filename: 5 }, { filename: 'x' },
      { display: 5 }, { display: 'other' }, { display: '' }, { update: 'x' }, { update: true }, { restart: 'x' }, { restart: true }, { descriptions: 'x' }, { descriptions: [] }, { descriptions: [5] }, { descriptions: [{}] }, { descriptions: [{ mid: '0' }] },
      { descriptions: [{ mid: 5, description: 'x' }] }, { descriptions: [{ mid: '0', description: 5 }] }, { descriptions: [{ mid: '0', description: 'x' }] }, { descriptions: [{ mid: '9', description: 'x' }] }, { streams: 'x' }, { streams: [] }, { streams: [5] }, { streams: [{}] }, { streams: [{ mid: 5 }] },
      { streams: [{ mid: '9' }] }, { streams: [{ mid: '0', send: 'x' }] }, { streams: [{ mid: '0', send: false }] }, { streams: [{ mid: '0', keyframe: 'x' }] }, { streams: [{ mid: '1', min_delay: 'x' }] }, { streams: [{ mid: '1', max_delay: -1 }] }, { mid: '0', send: false },
      { mid: '9', send: false }, { mid: 5 }, { send: 'x' }, { min_delay: 'x' }, { min_delay: 5, max_delay: 5 }, { metadata: {} }, { metadata: 5 }, { e2ee: true }, { audio_active_packets: 5 }, { audio_active_packets: 'x' }, { audio_level_average: 5 }, { audio_level_average: 'x' }, { expected_loss: 5 },
    ];
    for (const body of bodies) await q.ask({ request: 'configure', ...body });
    await settle(c);
    await send(q, { request: 'configure', audio: true, video: true }, audio(), video());
    await settle(c);
    for (const body of bodies) await q.ask({ request: 'configure', ...body });
    await settle(c);
    await q.ask({ request: 'publish' });
    await send(q, { request: 'publish' }, audio(), video());
    await p.ask({ request: 'listparticipants', room: 210 });
    await p.ask({ request: 'list' });
    await q.ask({ request: 'unpublish' });
    await settle(c, { quiet: 1200 });
    await q.ask({ request: 'unpublish' });
    await settle(c, { quiet: 1200 });
    await send(q, { request: 'publish', display: 'again' }, audio(), video());
    await q.ask({ request: 'leave' });
    await settle(c, { quiet: 1200 });
    for (const request of REQUESTS) await q.ask({ request, room: 210, ptype: 'publisher' });
    await p.ask({ request: 'destroy', room: 210, secret: 's' });
    await settle(c, { quiet: 1200 });
    for (const request of REQUESTS) await p.ask({ request, room: 210, ptype: 'publisher' });
    await settle(c);
  },

  'a jsep that cannot be': async (c) => {
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'create', room: 220 });
    const good = offer(audio(), video());
    // Nobody's id is used again: how soon a detached handle's is free is up to Janus' threads.
    let id = 0;
    for (const [jsep, words] of [
      ['x'], [{}], [{ type: 'offer' }], [{ type: 'offer', sdp: '' }], [{ type: 'offer', sdp: 'x' }], [{ type: 'answer', sdp: good.sdp }, 'an answer'], [{ type: 'nonsense', sdp: good.sdp }, 'another type'],
      [{ type: 'offer', sdp: 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n' }], [without(good, /^a=ice-ufrag/), 'no ufrag'], [without(good, /^a=fingerprint/), 'no fingerprint'],
      [offer(video({ mid: '0' }), video({ mid: '0' })), 'a mid twice'], [{ ...good, e2ee: true }, 'e2ee'], [{ ...good, simulcast: [] }, 'simulcast: []'], [{ ...good, simulcast: 'x' }, "simulcast: 'x'"],
      [{ ...good, simulcast: [{ mid: '1', ssrcs: [1, 2, 3] }] }, 'simulcast by ssrcs'], [{ ...good, svc: [{ mid: '1', svc: 'L2T2' }] }, 'svc'], [{ ...good, svc: 'x' }, "svc: 'x'"], [{ ...good, svc: [] }, 'svc: []'], [{ ...good, rid_order: 'lmh' }, 'rid_order'],
      [{ ...offer(audio(), video({ simulcast: 'rid' })), simulcast: [{ mid: '1', rids: ['h', 'm', 'l'] }] }, 'simulcast by rids'],
    ]) {
      for (const request of ['publish', 'configure', 'joinandconfigure', 'join', 'unpublish', 'leave']) {
        const q = await Party.enter(c, 'q');
        id += 1;
        if (!request.startsWith('join')) await q.ask({ request: 'join', ptype: 'publisher', room: 220, id }, { quiet: true });
        await q.ask({ request, ptype: 'publisher', room: 220, id }, { jsep, about: words });
        await q.away();
      }
    }
    await p.ask({ request: 'destroy', room: 220 });
    await settle(c);
  },

  'answers': async (c) => {
    const p = await Party.enter(c, 'p');
    await p.ask({ request: 'create', room: 230, publishers: 99, audiocodec: 'opus,pcmu,pcma,g722', videocodec: 'vp8,vp9,h264,av1,h265' });
    await p.ask({ request: 'create', room: 231, publishers: 99, audiocodec: 'pcmu', videocodec: 'h264', h264_profile: '42e01f', opus_fec: false, audiolevel_ext: false, videoorient_ext: false, playoutdelay_ext: false, transport_wide_cc_ext: false });
    await p.ask({ request: 'create', room: 232, publishers: 99, opus_fec: true, opus_dtx: true, videocodec: 'vp9', vp9_profile: '0' });
    await p.ask({ request: 'create', room: 233, publishers: 99, audiocodec: 'g722', videocodec: 'vp8', opus_fec: false });
    await p.ask({ request: 'create', room: 234, publishers: 99, h264_profile: '640032', videocodec: 'h264' });
    await p.ask({ request: 'create', room: 235, publishers: 0 });
    await p.ask({ request: 'create', room: 236, require_e2ee: true });
    let id = 100;
    for (const [room, body, ...sections] of [
      [230, {}, audio(), video()], [230, {}, audio()], [230, {}, video({ mid: '0' })], [230, {}, data({ mid: '0' })], [230, {}, audio(), video(), data()], [230, {}, video({ mid: '0' }), audio({ mid: '1' })],
      [230, {}, audio({ direction: 'sendonly' }), video({ direction: 'sendonly' })], [230, {}, audio({ direction: 'recvonly' }), video({ direction: 'recvonly' })], [230, {}, audio({ direction: 'inactive' }), video({ direction: 'sendonly' })],
      [230, {}, audio({ feedback: false }), video()], [230, {}, audio({ mid: 'a' }), video({ mid: 'b' }), video({ mid: 'c' }), audio({ mid: 'd' })], [230, {}, video({ mid: '0' }), video({ mid: '1' }), video({ mid: '2' })],
      [230, { audiocodec: 'pcmu' }, audio(), video()], [230, { audiocodec: 'pcma' }, audio(), video()], [230, { audiocodec: 'g722' }, audio(), video()], [230, { audiocodec: 'isac16' }, audio(), video()],
      [230, { videocodec: 'vp8' }, audio(), video()], [230, { videocodec: 'vp9' }, audio(), video()], [230, { videocodec: 'h264' }, audio(), video()], [230, { videocodec: 'av1' }, audio(), video()], [230, { videocodec: 'h265' }, audio(), video()],
      [230, {}, audio(), video({ simulcast: 'rid' })], [230, {}, audio(), video({ simulcast: 'ssrc' })], [230, { videocodec: 'vp9' }, audio(), video({ simulcast: 'rid' })], [230, { videocodec: 'h264' }, audio(), video({ simulcast: 'ssrc' })],
      [230, { descriptions: [{ mid: '0', description: 'my sound' }, { mid: '1', description: 'my picture' }, { mid: '7', description: 'none' }] }, audio(), video()], [230, { audio: false }, audio(), video()], [230, { video: false }, audio(), video()],
      [230, { audio: false, video: false }, audio(), video()], [230, { data: false }, audio(), data()], [230, { bitrate: 64000, record: false, filename: 'x', display: 'name' }, audio(), video()], [230, { streams: [{ mid: '1', send: false }] }, audio(), video()], [230, { streams: [{ mid: '9', send: false }] }, audio(), video()],
      [231, {}, audio(), video()], [231, {}, audio(), video(), data()], [231, { videocodec: 'vp8' }, audio(), video()], [232, {}, audio(), video()], [233, {}, audio(), video()], [234, {}, audio(), video()], [235, {}, audio(), video()], [236, {}, audio(), video()],
    ]) {
      const q = await Party.enter(c, 'q');
      await join(q, room, { id: id += 1 });
      await send(q, { request: 'publish', ...body }, ...sections);
      await q.away();
    }
    const q = await Party.enter(c, 'q');
    await send(q, { request: 'joinandconfigure', ptype: 'publisher', room: 230, id: 5, display: 'five', bitrate: 128000, descriptions: [{ mid: '0', description: 'sound' }] }, audio(), video(), data());
    await p.ask({ request: 'listparticipants', room: 230 });
    await p.ask({ request: 'moderate', room: 230, id: 5, mid: '0', mute: true });
    await p.ask({ request: 'moderate', room: 230, id: 5, mid: '9', mute: true });
    await p.ask({ request: 'listforwarders', room: 230 });
    await settle(c);
    await send(q, { request: 'configure' }, audio(), video(), data(), video({ mid: '3' }));
    await send(q, { request: 'configure', update: true }, audio(), video({ direction: 'inactive' }), data(), video({ mid: '3' }));
    await send(q, { request: 'configure', restart: true }, audio(), video(), data(), video({ mid: '3' }));
    await settle(c);
    const r = await Party.enter(c, 'r');
    await r.ask({ request: 'join', ptype: 'subscriber', room: 230, streams: [{ feed: 5 }] });
    await p.ask({ request: 'kick', room: 230, id: 5 });
    await settle(c, { quiet: 1200 });
    for (const room of [230, 231, 232, 233, 234, 235, 236]) await p.ask({ request: 'destroy', room });
    await settle(c);
  },

  'what the others hear': async (c) => {
    const p = await Party.enter(c, 'p');
    for (const [room, settings] of [[240, {}], [241, { notify_joining: true, description: 'with joining', audiolevel_event: true, audio_active_packets: 50, audio_level_average: 40 }], [242, { dummy_publisher: true, dummy_streams: [{ codec: 'opus' }, { codec: 'vp8', fmtp: 'x=y' }] }]]) {
      await p.ask({ request: 'create', room, ...settings });
      const parties = [await Party.enter(c, 'one'), await Party.enter(c, 'two'), await Party.enter(c, 'three')];
      const [one, two, three] = parties;
      await join(one, room, { id: 1, display: 'one' });
      await settle(c);
      await join(two, room, { id: 2 });
      await settle(c);
      await join(three, room, { id: 3, display: 'three', metadata: { a: 1 } });
      await settle(c);
      await p.ask({ request: 'listparticipants', room });
      await one.ask({ request: 'configure', display: 'uno' });
      await two.ask({ request: 'configure', display: 'due' });
      await settle(c);
      await send(one, { request: 'publish' }, audio(), video());
      await settle(c);
      await one.ask({ request: 'configure', descriptions: [{ mid: '0', description: 'sound' }], display: 'eins' });
      await settle(c);
      await one.ask({ request: 'unpublish' });
      await settle(c, { quiet: 1200 });
      await two.ask({ request: 'leave' });
      await settle(c, { quiet: 1200 });
      await p.ask({ request: 'kick', room, id: 1 });
      await settle(c, { quiet: 1200 });
      await one.gone();
      await settle(c);
      await three.verb({ janus: 'hangup' }, 'hangup');
      await settle(c, { quiet: 1200 });
      const four = await Party.enter(c, 'four');
      await join(four, room, { id: 3 });
      await join(four, room, { id: 4 });
      await settle(c);
      await three.gone();
      await settle(c, { quiet: 1200 });
      await p.ask({ request: 'destroy', room });
      await settle(c, { quiet: 1200 });
      await two.gone();
      await four.gone();
    }
  },
};
