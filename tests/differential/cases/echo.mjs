// The echo plugin: its fields, its errors, descriptions in and out, candidates.

import { audio, data, offer, video, without } from '../offer.mjs';

const FLAGS = ['audio', 'video', 'record', 'svc', 'opusred'];
const NUMBERS = ['bitrate', 'substream', 'temporal', 'fallback', 'spatial_layer', 'temporal_layer', 'min_delay', 'max_delay'];
const TEXTS = ['audiocodec', 'videocodec', 'videoprofile', 'filename'];

export default {
  'fields of the wrong type': async (c) => {
    const at = await c.handle();
    for (const name of FLAGS) for (const wrong of ['x', 1, null, {}]) await c.message(at, { [name]: wrong });
    for (const name of NUMBERS) for (const wrong of ['x', -1, true, 1.5]) await c.message(at, { [name]: wrong });
    for (const name of TEXTS) for (const wrong of [5, true, '']) await c.message(at, { audio: true, [name]: wrong });
  },

  'fields': async (c) => {
    const at = await c.handle();
    for (const body of [
      {}, { nonsense: 1 }, { audiocodec: 'opus' }, { filename: 'x' }, { svc: true }, { opusred: true },
      { audio: true }, { video: false }, { audio: false, video: true }, { bitrate: 0 }, { bitrate: 128000 }, { fallback: 100000 },
      { substream: 0 }, { substream: 2 }, { substream: 3 }, { temporal: 0 }, { temporal: 2 }, { temporal: 3 }, { record: false },
      { min_delay: 0 }, { max_delay: 40 }, { spatial_layer: 0 }, { spatial_layer: 3 }, { temporal_layer: 1 }, { temporal_layer: 4 },
      { request: 'x' }, { request: 'x', audio: true }, { audio: true, videocodec: 'vp8' },
    ]) await c.message(at, body);
  },

  'a jsep that cannot be': async (c) => {
    const good = offer(audio(), video());
    for (const jsep of [
      'x', 5, [], true, {}, { type: 'offer' }, { sdp: good.sdp }, { type: 5, sdp: good.sdp }, { type: 'offer', sdp: 5 },
      { type: 'nonsense', sdp: good.sdp }, { type: 'pranswer', sdp: good.sdp }, { type: 'rollback', sdp: '' },
      { type: 'offer', sdp: '' }, { type: 'offer', sdp: 'x' }, { type: 'offer', sdp: 'v=0' }, { type: 'offer', sdp: 'v=0\r\n' },
      { type: 'offer', sdp: 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n' },
      { type: 'offer', sdp: 'v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n' },
      without(good, /^a=ice-ufrag/), without(good, /^a=ice-pwd/), without(good, /^a=fingerprint/), without(good, /^o=/), without(good, /^s=/),
      { ...good, trickle: 'x' }, { ...good, rid_order: 5 }, { ...good, e2ee: 'x' },
    ]) {
      const at = await c.handle();
      await c.message(at, { audio: true, video: true }, jsep);
    }
    const at = await c.handle();
    await c.post(at.h, { janus: 'message', body: { audio: true }, jsep: null }, { label: 'jsep null' });
    await c.post(at.h, { janus: 'message', body: { audio: true }, jsep: { ...good, type: 'answer' } }, { label: 'an answer without an offer' });
  },

  'answers': async (c) => {
    for (const [body, ...sections] of [
      [{ audio: true, video: true }, audio(), video()],
      [{ audio: true, video: true }, audio()],
      [{ audio: true, video: true }, video({ mid: '0' })],
      [{ audio: true, video: true }, data({ mid: '0' })],
      [{}, audio(), video(), data()],
      [{ audio: true, video: true }, audio({ direction: 'sendonly' }), video({ direction: 'sendonly' })],
      [{ audio: true, video: true }, audio({ direction: 'recvonly' }), video({ direction: 'recvonly' })],
      [{ audio: true, video: true }, audio({ direction: 'inactive' }), video({ direction: 'inactive' })],
      [{ audio: true, video: true }, audio(), video({ simulcast: 'rid' })],
      [{ audio: true, video: true }, audio(), video({ simulcast: 'ssrc' })],
      [{ audio: true, video: true, videocodec: 'vp9' }, audio(), video()],
      [{ audio: true, video: true, videocodec: 'h264' }, audio(), video()],
      [{ audio: true, video: true, videocodec: 'av1' }, audio(), video()],
      [{ audio: true, video: true, videocodec: 'h265' }, audio(), video()],
      [{ audio: true, video: true, videocodec: 'nonsense' }, audio(), video()],
      [{ audio: true, video: true, videocodec: 'h264', videoprofile: '42e01f' }, audio(), video()],
      [{ audio: true, video: true, videocodec: 'vp9', videoprofile: '0' }, audio(), video()],
      [{ audio: true, video: true, audiocodec: 'pcmu' }, audio(), video()],
      [{ audio: true, video: true, audiocodec: 'g722' }, audio(), video()],
      [{ audio: true, video: true, audiocodec: 'l16' }, audio(), video()],
      [{ audio: true, video: true, opusred: true }, audio(), video()],
      [{ audio: false, video: false }, audio(), video()],
      [{ audio: true, video: true }, audio({ mid: 'sound' }), video({ mid: 'picture' })],
    ]) {
      const at = await c.handle();
      await c.message(at, body, offer(...sections), sections.map((section) => section.note).join(', '));
      await c.post(at.s, { janus: 'destroy' }, { quiet: true });
    }
  },

  'a description, again and at its end': async (c) => {
    const at = await c.handle();
    await c.message(at, { audio: true }, offer(audio(), video()));
    await c.message(at, { audio: false });
    await c.message(at, { audio: true }, offer(audio(), video(), data()));
    await c.post(at.h, { janus: 'hangup' });
    await new Promise((resolve) => setTimeout(resolve, 500));
    await c.get(`${at.s}?maxev=10`, { label: 'what follows the hangup' });
  },

  'candidates': async (c) => {
    const candidate = (over = {}) => ({ candidate: 'candidate:1 1 udp 2122260223 127.0.0.1 9 typ host', sdpMid: '0', sdpMLineIndex: 0, ...over });
    const bodies = [
      {}, { candidate: candidate(), candidates: [] }, { candidate: candidate() }, { candidate: null }, { candidate: 5 }, { candidate: { completed: true } },
      { candidate: { completed: false } }, { candidate: {} }, { candidate: { candidate: 'x' } }, { candidate: candidate({ candidate: 5 }) },
      { candidate: candidate({ candidate: '' }) }, { candidate: candidate({ candidate: 'end-of-candidates' }) }, { candidate: candidate({ candidate: 'nonsense' }) },
      { candidate: candidate({ sdpMid: 5 }) }, { candidate: candidate({ sdpMid: '9' }) }, { candidate: candidate({ sdpMLineIndex: 'x' }) }, { candidate: candidate({ sdpMLineIndex: -1 }) },
      { candidate: { candidate: 'candidate:1 1 udp 1 127.0.0.1 9 typ host', sdpMLineIndex: 0 } }, { candidate: { sdpMid: '0' } },
      { candidates: [] }, { candidates: [candidate()] }, { candidates: [candidate(), null, 5, {}] }, { candidates: 'x' }, { candidates: {} }, { candidates: null },
      { candidate: candidate({ candidate: 'candidate:1 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active' }) },
      { candidate: candidate({ candidate: 'candidate:1 1 udp 2122260223 nowhere.local 9 typ host' }) },
    ];
    const early = await c.handle();
    for (const body of bodies) await c.post(early.h, { janus: 'trickle', ...body }, { label: `before an offer: trickle ${JSON.stringify(body)}` });
    const late = await c.handle();
    await c.message(late, { audio: true }, offer(audio(), video()));
    for (const body of bodies) await c.post(late.h, { janus: 'trickle', ...body }, { label: `after an offer: trickle ${JSON.stringify(body)}` });
  },
};
