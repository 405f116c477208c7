// RTP forwarders of publishers in a browser: what is sent plays in ffmpeg, is what was asked for, and stops.

import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';

import { NEEDS_PLAYER, payloadType, startPlayer } from '../harness/player.mjs';
import { LOOKS, RIDS, both, camera, microphone, withRooms } from '../harness/rooms.mjs';
import { isAuthentic, sealRtcp } from '../harness/srtp.mjs';
import { DATA, ORACLE, TEST_MS, notOnOracle, sleep } from '../harness/suite.mjs';
import { pli, startSink, steps, vp8Keyframe } from '../harness/udp.mjs';

const TEST = { timeout: TEST_MS };
const HOST = '127.0.0.1';
const KEY = Buffer.from('WbTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE15GbN', 'base64');
const [AUDIO, VIDEO] = ['0', '1'];
const DECODED = { frames: 25, ms: 15_000 };
/** All at once: the system refuses to send there. */
const NOWHERE = '255.255.255.255';
const GREETING = '800000000000000000000000';
/** After so long a keyframe is granted at once. */
const CALM_MS = 1_100;
/** Nothing that is under way takes longer. */
const QUIET_MS = 400;
const SIMULCAST = [{ type: 'video', camera: { width: 1280, height: 720, fps: 15, colour: LOOKS.ann.colour }, simulcast: true, sendEncodings: RIDS }];

describe('a forwarder', () => {
  const suite = withRooms();
  const { open, closeAll } = closers();
  afterEach(closeAll);

  const ENCRYPTED = { 80: 'AES_CM_128_HMAC_SHA1_80', 32: 'AES_CM_128_HMAC_SHA1_32' };
  for (const [codec, suites] of [['vp8', [0, 80, 32]], ['h264', [0]]]) {
    it(`sends opus and ${codec} that ffmpeg plays, plain${suites.length > 1 ? ' and as SRTP' : ''}`, { ...TEST, ...NEEDS_PLAYER }, async (t) => {
      const tab = await suite.tab();
      if (!await encodes(tab, codec)) return t.skip(`this browser does not encode ${codec}`);
      const { forward, listed } = await publishing(suite, tab, both('ann'), { videocodec: codec });
      const players = await Promise.all(suites.map(async (srtp) => {
        const player = open(await startPlayer(['opus', codec], srtp && `${ENCRYPTED[srtp]} inline:${KEY.toString('base64')}`));
        const [audio, video] = player.ports;
        const key = srtp ? { srtp_suite: srtp, srtp_crypto: KEY.toString('base64') } : {};
        await forward({ mid: AUDIO, port: audio, pt: payloadType('opus') }, { mid: VIDEO, port: video, pt: payloadType(codec) }, key);
        return player;
      }));
      await Promise.all(players.map((player) => player.plays(DECODED.frames, DECODED.ms)));
      players.forEach((player) => assert.equal(player.complaints, ''));
      assert.equal((await listed()).length, 2 * suites.length);
      t.diagnostic(players.map((player, i) => `${suites[i] || 'plain'}: ${player.frames.join(' and ')} frames`).join('; '));
      return undefined;
    });
  }

  it('keeps payload type and SSRC, or has those that were asked for', TEST, async () => {
    const tab = await suite.tab();
    const { forward, listed, published } = await publishing(suite, tab, both('ann'));
    const [plain, other, video] = [open(await startSink()), open(await startSink()), open(await startSink())];
    await forward({ mid: AUDIO, port: plain.port }, { mid: AUDIO, port: other.port, pt: 77, ssrc: 4_000_000_001 }, { mid: VIDEO, port: video.port, ssrc: 5 });
    await Promise.all([plain, other, video].map((sink) => sink.more(20)));
    const offered = [...published.offer.matchAll(/^a=ssrc:(\d+) cname/gm)].map(([, ssrc]) => Number(ssrc));
    const pts = published.answer.match(/^m=audio \d+ \S+ (\d+)/m)[1];
    for (const [sink, pt, ssrc] of [[plain, Number(pts), offered[0]], [other, 77, 4_000_000_001], [video, null, 5]]) {
      const packets = sink.rtp();
      assert.ok(packets.every((p) => (pt === null || p.pt === pt) && p.ssrc === ssrc), JSON.stringify(packets[0]));
      assert.ok(steps(packets).every((step) => step === 1), `${steps(packets)}`);
    }
    const same = new Map(plain.rtp().map((p) => [p.sequence, p]));
    const twice = other.rtp().filter((p) => same.has(p.sequence));
    assert.ok(twice.length > 10 && twice.every((p) => p.payload.equals(same.get(p.sequence).payload) && p.timestamp === same.get(p.sequence).timestamp));
    const told = (await listed()).map(({ port, pt, ssrc, type, host }) => ({ port, pt, ssrc, type, host })).sort((a, b) => a.port - b.port);
    const wanted = [[plain, undefined, undefined, 'audio'], [other, 77, 4_000_000_001, 'audio'], [video, undefined, 5, 'video']];
    assert.deepEqual(told, wanted.map(([{ port }, pt, ssrc, type]) => ({ port, pt, ssrc, type, host: HOST })).sort((a, b) => a.port - b.port));
  });

  it('seals with the key it was given', TEST, async () => {
    const tab = await suite.tab();
    const { forward } = await publishing(suite, tab, [microphone('ann')]);
    for (const [srtp_suite, tag] of [[80, 10], [32, 4]]) {
      const sink = open(await startSink());
      await forward({ mid: AUDIO, port: sink.port, ssrc: 9 }, { srtp_suite, srtp_crypto: KEY.toString('base64') });
      await sink.more(10);
      assert.ok(sink.got.every(({ bytes }) => isAuthentic(KEY, bytes, tag)));
      assert.ok(steps(sink.rtp()).every((step) => step === 1));
    }
  });

  it('sends the substreams to three ports, or the best of them as one stream', TEST, async (t) => {
    const tab = await suite.tab();
    const { forward } = await publishing(suite, tab, SIMULCAST, { bitrate: 2_000_000 });
    const sinks = [];
    for (let i = 0; i < 4; i += 1) sinks.push(open(await startSink()));
    const [low, middle, high, merged] = sinks;
    await forward({ mid: '0', port: low.port, port_2: middle.port, port_3: high.port }, { mid: '0', port: merged.port, simulcast: true, ssrc: 1234 });
    const widths = (sink) => sink.rtp().map(vp8Keyframe).filter(Boolean);
    const WIDTHS = [320, 640, 1280];
    await Promise.all(sinks.map((sink, i) => sink.until('a keyframe', () => widths(sink).length > 0 && sink.got.length > 30 * (i + 1), 30_000)));
    await merged.until('the merged stream goes up to the highest', () => widths(merged).at(-1) === WIDTHS[2], 30_000);
    await merged.more(40);
    [low, middle, high].forEach((sink, i) => {
      assert.ok(widths(sink).every((width) => width === WIDTHS[i]), `${widths(sink)}`);
      assert.ok(steps(sink.rtp()).every((step) => step === 1), `${steps(sink.rtp())}`);
    });
    const sources = [low, middle, high].map((sink) => [...new Set(sink.rtp().map((p) => p.ssrc))]);
    assert.equal(new Set(sources.flat()).size, 3, `a source each: ${JSON.stringify(sources)}`);
    const one = merged.rtp();
    assert.ok(one.every((p) => p.ssrc === 1234));
    assert.ok(steps(one).every((step) => step === 1), `${steps(one)}`);
    assert.ok(vp8Keyframe(one[0]), 'begins with a keyframe');
    assert.ok(one.slice(1).every((p, i) => ((p.timestamp - one[i].timestamp) | 0) >= 0), 'times do not go back');
    t.diagnostic(`the merged stream had keyframes of widths ${widths(merged).join(', ')}`);
  });

  it('sends messages as datagrams', TEST, async () => {
    const tab = await suite.tab();
    const { forward } = await publishing(suite, tab, [DATA]);
    await tab.do('event', 'ann', 'dataopen');
    const sink = open(await startSink());
    await forward({ mid: '0', port: sink.port });
    const long = 'x'.repeat(20_000);
    const binary = Array.from({ length: 300 }, (_, i) => i & 255);
    // One that is longer than any datagram goes nowhere.
    for (const message of ['grüße, 世界', binary, 'y'.repeat(65_536), long]) await tab.do('data', 'ann', message);
    await sink.until('three datagrams', () => sink.got.length >= 3);
    const got = sink.got.map(({ bytes }) => bytes);
    assert.deepEqual([got[0].toString(), [...got[1]], got[2].toString()], ['grüße, 世界', binary, long]);
    assert.equal(got.length, 3);
  });

  it('asks for a keyframe when its feedback port is asked, but not as often as that', { ...TEST, ...notOnOracle('keyframes come in any case, by fir_freq') }, async () => {
    const tab = await suite.tab();
    const { forward } = await publishing(suite, tab, [camera('ann')]);
    const [video, rtcp] = [open(await startSink()), open(await startSink())];
    const [{ local_rtcp_port: feedback, remote_rtcp_port: theirs }] = await forward({ mid: '0', port: video.port, rtcp_port: rtcp.port });
    assert.equal(theirs, rtcp.port);
    await rtcp.until('two greetings', () => rtcp.got.length >= 2);
    assert.deepEqual(rtcp.got.map(({ bytes, from }) => [bytes.toString('hex'), from]), [[GREETING, feedback], [GREETING, feedback]]);
    const keyframes = () => video.rtp().filter(vp8Keyframe).length;
    await video.until('it begins', () => keyframes() > 0);
    await sleep(CALM_MS);
    const before = keyframes();
    await rtcp.send(pli(), feedback);
    await video.until('a keyframe', () => keyframes() > before, 3_000);
    await sleep(CALM_MS);
    const calm = keyframes();
    for (let i = 0; i < 100; i += 1) await rtcp.send(pli(), feedback);
    await video.until('a keyframe', () => keyframes() > calm, 3_000);
    await sleep(CALM_MS);
    assert.ok(keyframes() - calm <= 3, `${keyframes() - calm} keyframes for 100 wishes`);
    // What is no RTCP does nothing.
    const then = keyframes();
    for (const junk of [Buffer.alloc(0), Buffer.from('x'), Buffer.alloc(1500, 0x81)]) await rtcp.send(junk, feedback);
    await video.more(20);
    assert.equal(keyframes(), then);
    assert.equal(rtcp.got.length, 2);
  });

  it('takes wishes for keyframes where it seals, sealed or not', { ...TEST, ...notOnOracle('keyframes come in any case, by fir_freq') }, async () => {
    const tab = await suite.tab();
    const { forward } = await publishing(suite, tab, [camera('ann')]);
    const [sealed, plain, rtcp] = [open(await startSink()), open(await startSink()), open(await startSink())];
    await forward({ mid: '0', port: plain.port });
    const [{ local_rtcp_port: feedback }] = await forward({ mid: '0', port: sealed.port, rtcp_port: rtcp.port }, { srtp_suite: 80, srtp_crypto: KEY.toString('base64') });
    const keyframes = () => plain.rtp().filter(vp8Keyframe).length;
    await plain.until('it begins', () => keyframes() > 0);
    await sleep(CALM_MS);
    for (const wish of [pli(), sealRtcp(KEY, pli(), 1)]) {
      const before = keyframes();
      await rtcp.send(wish, feedback);
      await plain.until('a keyframe', () => keyframes() > before, 3_000);
      await sleep(CALM_MS);
    }
  });

  it('sends nothing while its stream is moderated, then begins with a keyframe', { ...TEST, ...notOnOracle('asks for no keyframe then') }, async () => {
    const tab = await suite.tab();
    const { forward, manage, id } = await publishing(suite, tab, both('ann'));
    const [audio, video] = [open(await startSink()), open(await startSink())];
    await forward({ mid: AUDIO, port: audio.port }, { mid: VIDEO, port: video.port });
    await Promise.all([audio.more(10), video.more(10)]);
    for (const mid of [AUDIO, VIDEO]) await manage({ request: 'moderate', id, mid, mute: true });
    await sleep(QUIET_MS);
    assert.deepEqual(await Promise.all([audio.within(700), video.within(700)]), [[], []]);
    const heard = [audio, video].map((sink) => sink.got.length);
    for (const mid of [AUDIO, VIDEO]) await manage({ request: 'moderate', id, mid, mute: false });
    await Promise.all([audio.more(10), video.more(10)]);
    const [, after] = [audio, video].map((sink, i) => sink.rtp().slice(heard[i]));
    assert.ok(vp8Keyframe(after[0]), 'begins with a keyframe');
  });

  it('is one of a thousand at most', { ...TEST, ...notOnOracle('as many as are asked for') }, async () => {
    const tab = await suite.tab();
    const { forward, listed, refused } = await publishing(suite, tab, [microphone('ann')]);
    const sink = open(await startSink());
    const many = (count) => Array.from({ length: count }, () => ({ mid: AUDIO, port: sink.port }));
    const { code, error } = await refused({ streams: many(1_001) });
    assert.equal(code, 499);
    assert.match(error, /^Too many RTP forwarders/);
    assert.equal((await forward(...many(1_000))).length, 1_000);
    assert.equal((await refused({ streams: many(1) })).code, 499);
    assert.equal((await listed()).length, 1_000);
  });

  it('ends when it is told to, and with its stream; a closed port or an address that cannot be harms nobody', TEST, async () => {
    const tab = await suite.tab();
    const { forward, listed, manage, id } = await publishing(suite, tab, both('ann'));
    const [audio, video, gone] = [open(await startSink()), open(await startSink()), await startSink()];
    await gone.close();
    const made = await forward({ mid: AUDIO, port: gone.port }, { mid: VIDEO, port: gone.port, rtcp_port: gone.port }, ...[AUDIO, VIDEO].map((mid) => ({ mid, host: NOWHERE, port: 9 })), { mid: AUDIO, port: audio.port }, { mid: VIDEO, port: video.port });
    assert.deepEqual((await listed()).map((f) => f.stream_id).sort(), made.map((f) => f.stream_id).sort());
    await Promise.all([audio.more(40), video.more(20)]);
    assert.ok([audio, video].every((sink) => steps(sink.rtp()).every((step) => step === 1)), 'nothing is lost');
    const ofAudio = made.find((f) => f.port === audio.port).stream_id;
    await manage({ request: 'stop_rtp_forward', publisher_id: id, stream_id: ofAudio });
    await sleep(QUIET_MS);
    const [silent, heard] = await Promise.all([audio.within(500), video.within(500)]);
    assert.equal(silent.length, 0);
    assert.ok(heard.length > 0);
    assert.equal((await listed()).length, made.length - 1);
    await tab.do('ask', 'ann', { request: 'unpublish' });
    await sleep(QUIET_MS);
    assert.equal((await video.within(500)).length, 0);
    assert.deepEqual(await listed(), []);
  });
});

describe('networks that may be forwarded to', () => {
  const suite = withRooms({ janus: { portunus: { forward_networks: ['127.0.0.2', '10.0.0.0/8'] } } });
  const { open, closeAll } = closers();
  afterEach(closeAll);

  it('are the only ones', { ...TEST, ...notOnOracle('sends anywhere') }, async () => {
    const tab = await suite.tab();
    const { forward, listed, refused } = await publishing(suite, tab, [microphone('ann')]);
    const [outside, inside] = [open(await startSink()), open(await startSink('127.0.0.2'))];
    for (const host of [HOST, 'localhost', '2130706433', '::ffff:127.0.0.1']) {
      const { code, error } = await refused({ host, streams: [{ mid: '0', port: outside.port }] });
      assert.equal(code, 430);
      assert.match(error, /portunus\.forward_networks/, host);
    }
    // One stream to where it may go and one to where it may not: none.
    const { code } = await refused({ host: '127.0.0.2', streams: [{ mid: '0', port: inside.port }, { mid: '0', port: outside.port, host: HOST }] });
    assert.equal(code, 430);
    assert.deepEqual(await listed(), []);
    assert.deepEqual(await Promise.all([outside.within(500), inside.within(500)]), [[], []]);
    await forward({ mid: '0', port: inside.port }, { host: '127.0.0.2' });
    await inside.more(10);
    assert.equal(outside.got.length, 0);
  });
});

/** Ann publishes in a room of her own; gives what may be asked of the room and her forwarders. */
async function publishing(suite, tab, tracks, wish = {}) {
  // Janus asks for no keyframe when somebody begins to listen.
  const room = await suite.room(tab, { fir_freq: ORACLE ? 1 : 0, ...wish });
  const { joined: { id }, published } = await tab.do('enter', 'ann', { room, tracks });
  const manage = (body) => tab.do('ask', 'manager', { room, ...body });
  const asked = (body) => ({ request: 'rtp_forward', room, publisher_id: id, host: HOST, ...body });
  return {
    room,
    id,
    published,
    manage,
    /** Forwards streams; what has no `mid` is laid over the request. */
    forward: async (...parts) => {
      const streams = parts.filter((part) => part.mid !== undefined);
      const over = Object.assign({}, ...parts.filter((part) => part.mid === undefined));
      return (await tab.do('ask', 'manager', asked({ streams, ...over }))).forwarders;
    },
    refused: (body) => tab.do('refusal', 'manager', asked(body)),
    listed: async () => {
      const { publishers } = await manage({ request: 'listforwarders' });
      return publishers.find((p) => p.publisher_id === id)?.forwarders ?? [];
    },
  };
}

/** Keeps what is to be closed after a test. */
function closers() {
  const all = [];
  return {
    open: (one) => {
      all.push(one);
      return one;
    },
    closeAll: () => Promise.all(all.splice(0).map((one) => one.close())),
  };
}

const encodes = (tab, codec) => tab.run((name) => RTCRtpSender.getCapabilities('video').codecs
  .some(({ mimeType }) => mimeType.toLowerCase() === `video/${name}`), codec);
