// What a forwarder sends to: a UDP port on loopback that keeps what comes, and words for what RTP packets say.

import assert from 'node:assert/strict';
import dgram from 'node:dgram';

const POLL_MS = 20;
const BUFFER = 4 << 20;

/** A port that keeps what comes: `got` is a list of `{at, bytes, from}`. */
export async function startSink(host = '127.0.0.1') {
  const sink = new Sink();
  await sink.open(host);
  return sink;
}

class Sink {
  constructor() {
    this.got = [];
  }

  async open(host) {
    this.socket = dgram.createSocket('udp4');
    this.socket.on('message', (bytes, from) => this.got.push({ at: performance.now(), bytes, from: from.port }));
    // A port that nobody listens on any more is no trouble of whoever sends there.
    this.socket.on('error', () => {});
    await new Promise((resolve) => { this.socket.bind(0, host, resolve); });
    this.socket.setRecvBufferSize(BUFFER);
    this.port = this.socket.address().port;
  }

  /** RTP packets, in the order they came. */
  rtp() {
    return this.got.map(({ at, bytes }) => ({ at, ...rtp(bytes) }));
  }

  /** Ends with what `look` gives, once it is true. */
  async until(what, look, ms = 10_000) {
    for (const end = Date.now() + ms; ;) {
      const found = look(this);
      if (found) return found;
      assert.ok(Date.now() < end, `${what}: not within ${ms} ms, ${this.got.length} datagrams came`);
      await new Promise((resolve) => { setTimeout(resolve, POLL_MS); });
    }
  }

  /** Ends when `count` more datagrams have come. */
  more(count, ms) {
    const before = this.got.length;
    return this.until(`${count} datagrams`, () => this.got.length >= before + count, ms);
  }

  /** What comes within this time. */
  async within(ms) {
    const before = this.got.length;
    await new Promise((resolve) => { setTimeout(resolve, ms); });
    return this.got.slice(before);
  }

  send(bytes, port, host = '127.0.0.1') {
    return new Promise((resolve, reject) => { this.socket.send(bytes, port, host, (error) => (error ? reject(error) : resolve())); });
  }

  close() {
    return new Promise((resolve) => { this.socket.close(resolve); });
  }
}

/** The parts of an RTP packet; `extensions` are the ids of its one-byte header extensions. */
export function rtp(bytes) {
  assert.ok(bytes.length >= 12 && bytes[0] >> 6 === 2, `not RTP: ${bytes.subarray(0, 16).toString('hex')}`);
  let at = 12 + 4 * (bytes[0] & 15);
  const extensions = [];
  if (bytes[0] & 16) {
    const end = at + 4 + 4 * bytes.readUInt16BE(at + 2);
    if (bytes.readUInt16BE(at) === 0xbede) {
      for (let i = at + 4; i < end; i += bytes[i] === 0 ? 1 : 2 + (bytes[i] & 15)) {
        if (bytes[i] !== 0) extensions.push(bytes[i] >> 4);
      }
    }
    at = end;
  }
  const padding = bytes[0] & 32 ? bytes.at(-1) : 0;
  return {
    marker: bytes[1] >> 7 === 1, pt: bytes[1] & 127, sequence: bytes.readUInt16BE(2), timestamp: bytes.readUInt32BE(4),
    ssrc: bytes.readUInt32BE(8), extensions, payload: bytes.subarray(at, bytes.length - padding),
  };
}

/** The width of the picture, if an RTP packet is the first one of a keyframe of VP8; else 0. */
export function vp8Keyframe({ payload }) {
  if (payload.length < 4 || (payload[0] & 0x17) !== 0x10) return 0;
  let at = 1;
  if (payload[0] & 0x80) {
    const more = payload[1];
    at = 2;
    if (more & 0x80) at += payload[at] & 0x80 ? 2 : 1;
    if (more & 0x40) at += 1;
    if (more & 0x30) at += 1;
  }
  const isKeyframe = at + 10 <= payload.length && (payload[at] & 1) === 0;
  return isKeyframe ? payload.readUInt16LE(at + 6) & 0x3fff : 0;
}

/** Steps between the sequence numbers of packets of one source. */
export function steps(packets) {
  return packets.slice(1).map((packet, i) => (packet.sequence - packets[i].sequence + 0x10000) & 0xffff);
}

/** RTCP that asks for a keyframe of `ssrc`. */
export function pli(ssrc = 1) {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(0x81ce0002);
  bytes.writeUInt32BE(ssrc, 8);
  return bytes;
}
