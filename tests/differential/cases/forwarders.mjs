// What forwarders send: a browser publishes at both gateways, and what comes to ports of ours is noted as far as a receiver
// sees it. Ports, numbers and times are not in the notes; which they are is up to the run.

import { isAuthentic, sealRtcp } from '../../browser/harness/srtp.mjs';
import { pli, startSink, steps, vp8Keyframe } from '../../browser/harness/udp.mjs';
import { Party } from '../party.mjs';
import { withPeers } from '../peer.mjs';

const HOST = '127.0.0.1';
const KEYS = ['WbTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE15GbN', 'YYTBosdVUZqEb6Htqhn+m3z7wUh4RJVR8nE15GbN'];
const ENOUGH = 30;
const COMES_MS = 10_000;
/** A keyframe that was asked for is there by then, and after as long the next one is granted at once. */
const KEYFRAME_MS = 1_200;
const QUIET_MS = 400;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default {
  'as they came, and with what was asked for': (c) => withRoom(c, 1, ['audio', 'video'], async ({ forward, sinks, offer, seen }) => {
    const [audio, other, video, marked] = await sinks(4);
    await forward({ mid: '0', port: audio.port }, { mid: '0', port: other.port, pt: 77, ssrc: 4_000_000_001 });
    await forward({ mid: '1', port: video.port });
    await forward({ video_port: marked.port, video_pt: 99, video_ssrc: 7 });
    await Promise.all([audio, other, video, marked].map(enough));
    const [voice, face] = [...offer.sdp.matchAll(/^a=ssrc:(\d+) cname/gm)].map(([, ssrc]) => Number(ssrc));
    c.note('audio', seen(audio, voice));
    c.note('audio with another payload type and SSRC', seen(other, voice), alike(audio, other));
    c.note('video', seen(video, face));
    c.note('video in the old form, with another payload type and SSRC', seen(marked, face), alike(video, marked));
  }),

  'layers of one camera': (c) => withRoom(c, 2, ['layers'], async ({ forward, sinks, seen }) => {
    const [low, middle, high, merged, numbered] = await sinks(5);
    await forward({ mid: '0', port: low.port, port_2: middle.port, port_3: high.port });
    const [{ stream_id }] = await forward({ mid: '0', port: merged.port, simulcast: true });
    await forward({ mid: '0', port: numbered.port, simulcast: true, ssrc: 5, pt: 98 });
    const width = (sink) => sink.rtp().map(vp8Keyframe).filter(Boolean).at(-1);
    await comes(() => [low, middle, high].every(width) && [merged, numbered].every((sink) => width(sink) === width(high)), 3 * COMES_MS);
    await Promise.all([low, middle, high, merged, numbered].map(enough));
    const sources = new Set([low, middle, high].map((sink) => sink.rtp()[0]?.ssrc));
    for (const [name, sink] of [['lowest', low], ['middle', middle], ['highest', high]]) c.note(`the ${name} layer`, seen(sink, sink.rtp()[0]?.ssrc), `pictures ${width(sink)} wide`);
    c.note('their sources', `${sources.size}`);
    c.note('the best layer', seen(merged, stream_id), `pictures ${width(merged)} wide in the end`);
    c.note('the best layer, with another payload type and SSRC', seen(numbered, stream_id), `pictures ${width(numbered)} wide in the end`);
  }, { fir_freq: 1, bitrate: 2_000_000 }),

  'messages': (c) => withRoom(c, 3, ['data'], async ({ forward, sinks, peer }) => {
    const [sink, sealed] = await sinks(2);
    await forward({ mid: '0', port: sink.port });
    await forward({ mid: '0', port: sealed.port }, { srtp_suite: 80, srtp_crypto: KEYS[0] });
    for (const message of ['first', 'grüße, 世界', [0, 1, 2, 255], 'x'.repeat(1_200), 'y'.repeat(20_000)]) await peer.send(message);
    await comes(() => sink.got.length >= 5);
    await sleep(QUIET_MS);
    const told = ({ bytes }) => `${bytes.length} bytes: ${bytes.subarray(0, 16).toString('hex')}`;
    c.note('datagrams', sink.got.map(told));
    c.note('datagrams of a forwarder with a key', sealed.got.map(told));
  }),

  'with a key': (c) => withRoom(c, 4, ['audio'], async ({ forward, sinks }) => {
    const [plain, long, short, again] = await sinks(4);
    await forward({ mid: '0', port: plain.port });
    await forward({ mid: '0', port: long.port }, { srtp_suite: 80, srtp_crypto: KEYS[0] });
    await forward({ mid: '0', port: short.port }, { srtp_suite: 32, srtp_crypto: KEYS[1] });
    await Promise.all([plain, long, short].map(enough));
    c.note('suite 80', sealedWith(long, KEYS[0]), alike(plain, long, (p) => p.timestamp));
    c.note('suite 32', sealedWith(short, KEYS[1]), alike(plain, short, (p) => p.timestamp));
    await forward({ mid: '0', port: again.port }, { srtp_suite: 32, srtp_crypto: KEYS[0] });
    await enough(again);
    c.note('suite 32 with the key of a forwarder of suite 80', sealedWith(again, KEYS[0]));
  }),

  'greetings and wishes': (c) => withRoom(c, 5, ['audio', 'video'], async ({ forward, sinks }) => {
    const [video, rtcp, sealed, theirs, sound, greeted] = await sinks(6);
    const [{ local_rtcp_port: port }] = await forward({ mid: '1', port: video.port, rtcp_port: rtcp.port });
    await sleep(KEYFRAME_MS);
    c.note('a forwarder begins', keyframes(video));
    const [{ local_rtcp_port: other }] = await forward({ mid: '1', port: sealed.port, rtcp_port: theirs.port }, { srtp_suite: 80, srtp_crypto: KEYS[0] });
    await forward({ mid: '0', port: sound.port, rtcp_port: greeted.port });
    await sleep(KEYFRAME_MS);
    for (const [name, sink] of [['video', rtcp], ['sealed video', theirs], ['audio', greeted]]) c.note(`greetings to the feedback port of ${name}`, sink.got.map(({ bytes }) => bytes.toString('hex')));
    c.note('they come from the port that is told', `${rtcp.got[0]?.from === port}`);
    const wish = async (what, act) => {
      video.got.length = 0;
      await act();
      await sleep(KEYFRAME_MS);
      c.note(`a keyframe, after ${what}`, keyframes(video));
    };
    await wish('nothing', () => {});
    await wish('a wish', () => rtcp.send(pli(), port));
    await wish('a wish for another source', () => rtcp.send(pli(99), port));
    await wish('a wish from elsewhere', () => sound.send(pli(), port));
    await wish('what is no RTCP', () => rtcp.send(Buffer.from('hello, keyframe'), port));
    await wish('a wish in the clear to a port of sealed video', () => theirs.send(pli(), other));
    await wish('a sealed wish', () => theirs.send(sealRtcp(Buffer.from(KEYS[0], 'base64'), pli(), 1), other));
    await wish('a wish that is sealed with another key', () => theirs.send(sealRtcp(Buffer.from(KEYS[1], 'base64'), pli(), 2), other));
  }),

  'moderated and stopped': (c) => withRoom(c, 6, ['audio', 'video'], async ({ forward, sinks, ask }) => {
    const [audio, video] = await sinks(2);
    const [{ stream_id }] = await forward({ mid: '0', port: audio.port });
    await forward({ mid: '1', port: video.port });
    await Promise.all([audio, video].map(enough));
    for (const mid of ['0', '1']) await ask({ request: 'moderate', id: 1, mid, mute: true });
    await sleep(QUIET_MS);
    c.note('while they are moderated', [audio, video].map(emptied), `then ${(await during(QUIET_MS, [audio, video])).map((n) => (n > 0 ? 'some' : 'none')).join(', ')}`);
    const before = [audio, video].map((sink) => sink.last);
    for (const mid of ['0', '1']) await ask({ request: 'moderate', id: 1, mid, mute: false });
    await Promise.all([audio, video].map(enough));
    c.note('then', [audio, video].map((sink, i) => `the numbers ${steps([before[i], sink.rtp()[0]])[0] === 1 ? 'go on' : 'leap'}`), keyframes(video));
    await ask({ request: 'stop_rtp_forward', publisher_id: 1, stream_id });
    await sleep(QUIET_MS);
    c.note('one is stopped', (await during(QUIET_MS, [audio, video])).map((n) => (n > 0 ? 'some' : 'none')));
  }),
};

/** A room with one publisher who is connected, and whose first packets have come. */
async function withRoom(c, room, kinds, run, wish = {}) {
  const open = [];
  try {
    await withPeers(async (connect) => {
      const [manager, one] = [await Party.enter(c, 'p'), await Party.enter(c, 'one')];
      const ask = (body) => manager.ask({ room, ...body }, { quiet: true });
      await ask({ request: 'create', ...wish });
      await one.ask({ request: 'join', ptype: 'publisher', room, id: 1 }, { quiet: true });
      const peer = await connect();
      const offer = await peer.offer(kinds);
      const { jsep } = await one.ask({ request: 'publish' }, { jsep: offer, quiet: true });
      await peer.accept(jsep);
      await peer.up();
      // Pictures take longer than sound to begin.
      await sleep(KEYFRAME_MS);
      const extensions = offered(offer);
      await run({
        ask,
        seen: (sink, source) => traits(sink, source, extensions),
        offer,
        peer,
        /** Streams, or the elements of the old form; what has no port is laid over the request. */
        forward: async (...parts) => {
          const streams = parts.filter((part) => part.mid !== undefined);
          const over = Object.assign({}, ...parts.filter((part) => part.mid === undefined));
          return (await ask({ request: 'rtp_forward', publisher_id: 1, host: HOST, ...(streams.length > 0 && { streams }), ...over })).forwarders;
        },
        sinks: async (count) => {
          for (let i = 0; i < count; i += 1) open.push(await startSink());
          return open.slice(-count);
        },
      });
      await ask({ request: 'destroy' });
    });
  } finally {
    await Promise.all(open.map((sink) => sink.close()));
  }
}

/** The header extensions of an offer by their ids. Those that name the stream are there only in its beginning. */
function offered({ sdp }) {
  const all = [...sdp.matchAll(/^a=extmap:(\d+)(?:\/\w+)? (\S+)/gm)].map(([, id, uri]) => [Number(id), uri.split(/[:/]/).at(-1)]);
  return new Map(all.filter(([, name]) => !/^(mid|rtp-stream-id|repaired-rtp-stream-id)$/.test(name)));
}

/** Waits for something, but not for ever: the notes show whether it came. */
async function comes(look, ms = COMES_MS) {
  for (const end = Date.now() + ms; !look() && Date.now() < end;) await sleep(20);
}

const enough = (sink) => comes(() => sink.got.length >= ENOUGH);

/** What a receiver sees of a stream; `source` is the SSRC it would have of itself, `extensions` what was offered. */
function traits(sink, source, extensions) {
  const packets = sink.rtp();
  const all = (of) => [...new Set(packets.map(of))].join(', ');
  const named = [...extensions].filter(([id]) => packets.filter((p) => p.extensions.includes(id)).length > packets.length / 3).map(([, name]) => name);
  return [
    packets.length >= ENOUGH ? 'many packets' : `${packets.length} packets`,
    `payload type ${all((p) => p.pt)}`,
    `SSRC ${all((p) => (p.ssrc === source ? 'its own' : p.ssrc))}`,
    `extensions ${named.sort().join(', ') || 'none'}`,
    `numbers ${steps(packets).every((step) => step === 1) ? 'ascend by one' : `ascend by ${steps(packets)}`}`,
    `markers ${all((p) => p.marker).split(', ').sort().join(', ')}`,
  ];
}

/** Whether two sinks got the same, where both got a packet. */
function alike(first, second, of = (p) => `${p.timestamp} ${p.marker} ${p.extensions} ${p.payload.toString('base64')}`) {
  const known = new Map(first.rtp().map((p) => [p.sequence, of(p)]));
  const both = second.rtp().filter((p) => known.has(p.sequence));
  return `the same as the other ones: ${both.length > 5 && both.every((p) => known.get(p.sequence) === of(p))}`;
}

function sealedWith(sink, key) {
  const tags = [4, 10].filter((tag) => sink.got.length > 0 && sink.got.every(({ bytes }) => isAuthentic(Buffer.from(key, 'base64'), bytes, tag)));
  return `authentic with tags of ${tags.join(' or ') || 'no'} bytes`;
}

const keyframes = (sink) => (sink.rtp().some(vp8Keyframe) ? 'it comes' : 'none comes');

/** Forgets what came, but for the last packet. */
function emptied(sink) {
  sink.last = sink.rtp().at(-1);
  sink.got.length = 0;
  return sink.last ? 'some had come' : 'none had come';
}

/** How many come to each within a time. */
async function during(ms, sinks) {
  const before = sinks.map((sink) => sink.got.length);
  await sleep(ms);
  return sinks.map((sink, i) => sink.got.length - before[i]);
}
