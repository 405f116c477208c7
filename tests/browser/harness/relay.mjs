// A UDP relay between one browser and the gateway that loses packets by a seed: the same seed and the same traffic
// lose the same packets. Connectivity checks and DTLS pass; RTP and RTCP are lost alike, both ways.
//
// Media passes sealed, but the RTP header is in the clear, so the relay knows what it dropped: by SSRC and sequence
// number, and whether the same number came again later.
//
// It may also be a bottleneck (`narrow`): everything towards the browser then leaves at a given rate from a queue of a
// given size, and what does not fit is dropped, as by a router.

import dgram from 'node:dgram';

const LARGE_BUFFER = 4 * 1024 * 1024;

/** Starts a relay to `target` (`{address, port}`), losing `share` of the media each way, and with `control` of RTCP, too. */
export async function startRelay({ target, share = 0, seed = 1, address = '127.0.0.1', control = true }) {
  const relay = new Relay(target, share, seed, control);
  await relay.listen(address);
  return relay;
}

class Relay {
  constructor(target, share, seed, control) {
    this.target = target;
    this.share = share;
    this.up = new Direction(seed, { probes: true, control });
    this.down = new Direction(seed ^ 0x5bd1e995, { control });
    this.bottleneck = new Bottleneck();
    this.legs = new Map();
    this.front = socket();
    this.front.on('message', (packet, from) => this.#fromBrowser(packet, from));
  }

  async listen(address) {
    await bound(this.front, address);
    this.address = address;
    this.port = this.front.address().port;
  }

  #fromBrowser(packet, from) {
    const key = `${from.address}:${from.port}`;
    let leg = this.legs.get(key);
    if (!leg) {
      leg = { socket: socket(), waiting: [] };
      this.legs.set(key, leg);
      leg.socket.on('message', (answer) => {
        if (this.down.loses(answer, this.share)) return;
        this.bottleneck.pass(answer.length, () => this.front.send(answer, from.port, from.address));
      });
      leg.ready = bound(leg.socket, this.address);
    }
    if (this.up.loses(packet, this.share)) return;
    leg.ready.then(() => leg.socket.send(packet, this.target.port, this.target.address), () => {});
  }

  /** From now on at most `rate` bits a second go towards the browser, and `queue` bytes wait; without a rate, all. */
  narrow({ rate = Infinity, queue = 0 } = {}) {
    Object.assign(this.bottleneck, { rate, queue });
  }

  stop() {
    this.bottleneck.stop();
    for (const leg of this.legs.values()) leg.socket.close();
    this.front.close();
  }
}

/** A link of a given rate with a queue before it that drops at its tail. */
class Bottleneck {
  constructor() {
    Object.assign(this, { rate: Infinity, queue: 0, waiting: [], bytes: 0, dropped: 0, passed: 0, timer: null, free: 0 });
  }

  pass(size, send) {
    if (this.rate === Infinity && this.waiting.length === 0) return send();
    if (this.bytes + size > this.queue && this.rate !== Infinity) return void (this.dropped += 1);
    this.waiting.push({ size, send });
    this.bytes += size;
    return this.#drain();
  }

  #drain() {
    if (this.timer !== null) return;
    const now = performance.now();
    this.free = Math.max(this.free, now - 2);
    while (this.waiting.length > 0 && this.free <= now) {
      const { size, send } = this.waiting.shift();
      this.bytes -= size;
      this.passed += size;
      this.free += (size * 8000) / this.rate;
      send();
    }
    if (this.waiting.length === 0) return;
    this.timer = setTimeout(() => { this.timer = null; this.#drain(); }, Math.max(1, this.free - now));
  }

  stop() {
    clearTimeout(this.timer);
    this.waiting = [];
  }
}

/** One way through the relay: decides what is lost and keeps account by SSRC. */
class Direction {
  constructor(seed, { probes = false, control = true } = {}) {
    this.probes = probes;
    this.losesControl = control;
    this.random = mulberry32(seed);
    this.streams = new Map();
    this.control = { passed: 0, lost: 0 };
    this.paused = false;
  }

  loses(packet, share) {
    if (!isMedia(packet)) return false;
    // Padding (the P bit) is how a browser without RTX probes: nobody keeps it, so nobody could send it again.
    if (this.probes && !isControl(packet) && packet[0] & 0x20) return false;
    const lost = !this.paused && (this.losesControl || !isControl(packet)) && this.random() < share;
    if (isControl(packet)) {
      this.control[lost ? 'lost' : 'passed'] += 1;
      return lost;
    }
    this.#account(packet, lost);
    return lost;
  }

  #account(packet, lost) {
    const ssrc = packet.readUInt32BE(8);
    const sequence = packet.readUInt16BE(2);
    let stream = this.streams.get(ssrc);
    if (!stream) {
      stream = { ssrc, packets: 0, lost: 0, highest: sequence, first: sequence, missing: new Set(), seen: new Set() };
      this.streams.set(ssrc, stream);
    }
    const index = unwrapped(sequence, stream.highest);
    stream.highest = Math.max(stream.highest, index);
    stream.packets += 1;
    stream.seen.add(index);
    if (lost) {
      stream.lost += 1;
      if (!stream.arrived?.has(index)) stream.missing.add(index);
    } else {
      stream.missing.delete(index);
      (stream.arrived ??= new Set()).add(index);
    }
  }

  /** What happened to a stream: offered and dropped packets, numbers that never came, numbers never got through. */
  of(ssrc) {
    const stream = this.streams.get(ssrc);
    if (!stream) throw new Error(`the relay saw no packet of SSRC ${ssrc}: ${[...this.streams.keys()]}`);
    const span = stream.highest - Math.min(...stream.seen) + 1;
    return {
      packets: stream.packets,
      lost: stream.lost,
      neverSent: span - stream.seen.size,
      neverThrough: stream.missing.size,
    };
  }
}

const isMedia = (packet) => packet.length >= 8 && packet[0] >= 128 && packet[0] < 192;
const isControl = (packet) => packet[1] >= 192 && packet[1] < 224;

function unwrapped(sequence, near) {
  const distance = (sequence - (near & 0xffff) + 0x10000) & 0xffff;
  return near + (distance < 0x8000 ? distance : distance - 0x10000);
}

function mulberry32(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function socket() {
  return dgram.createSocket({ type: 'udp4', recvBufferSize: LARGE_BUFFER, sendBufferSize: LARGE_BUFFER });
}

function bound(endpoint, address) {
  return new Promise((resolve, reject) => {
    endpoint.once('error', reject);
    endpoint.bind(0, address, resolve);
  });
}
