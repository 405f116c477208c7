// A WebSocket client that can stop reading: the handshake and the few frames it needs, by hand on a TCP socket. A
// library's client would read on by itself.

import { randomBytes } from 'node:crypto';
import net from 'node:net';

const TEXT = 0x81;
const MASKED = 0x80;

export class RawSocket {
  static async open(url, protocol = 'janus-protocol') {
    const raw = new RawSocket();
    const { hostname, port } = new URL(url);
    raw.socket = net.connect(Number(port), hostname);
    raw.read = Buffer.alloc(0);
    raw.waiting = [];
    raw.ended = false;
    raw.closed = new Promise((resolve) => { raw.socket.once('close', () => { raw.ended = true; resolve(); }); });
    raw.socket.on('data', (bytes) => raw.#take(bytes));
    await new Promise((resolve, reject) => {
      raw.socket.once('error', reject);
      raw.socket.once('connect', resolve);
    });
    raw.socket.write([`GET / HTTP/1.1`, `Host: ${hostname}:${port}`, 'Upgrade: websocket', 'Connection: Upgrade',
      `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`, 'Sec-WebSocket-Version: 13',
      `Sec-WebSocket-Protocol: ${protocol}`, '', ''].join('\r\n'));
    const head = await raw.#next();
    if (!head.startsWith('HTTP/1.1 101 ')) throw new Error(`no WebSocket: ${head}`);
    // From here on an end is no error: the gateway is expected to close it.
    raw.socket.on('error', () => {});
    return raw;
  }

  send(value) {
    const text = Buffer.from(JSON.stringify(value));
    const mask = randomBytes(4);
    const long = text.length > 125;
    const head = Buffer.alloc(long ? 4 : 2);
    head[0] = TEXT;
    head[1] = MASKED | (long ? 126 : text.length);
    if (long) head.writeUInt16BE(text.length, 2);
    this.socket.write(Buffer.concat([head, mask, text.map((byte, i) => byte ^ mask[i % 4])]));
  }

  /** Sends a request; gives the first message with its transaction that is no `ack`. */
  async request(body) {
    const transaction = randomBytes(6).toString('hex');
    this.send({ transaction, ...body });
    for (;;) {
      const message = JSON.parse(await this.#next());
      if (message.transaction === transaction && message.janus !== 'ack') return message;
    }
  }

  /** Reads no more: what comes fills the buffers of the kernel, then those of the gateway. */
  stall() {
    this.socket.pause();
  }

  close() {
    this.socket.destroy();
    return this.closed;
  }

  #next() {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.#give();
    });
  }

  #take(bytes) {
    this.read = Buffer.concat([this.read, bytes]);
    this.#give();
  }

  #give() {
    while (this.waiting.length > 0) {
      const text = this.upgraded ? this.#frame() : this.#head();
      if (text === null) return;
      this.waiting.shift()(text);
    }
  }

  #head() {
    const end = this.read.indexOf('\r\n\r\n');
    if (end < 0) return null;
    const head = this.read.toString('latin1', 0, end);
    this.read = this.read.subarray(end + 4);
    this.upgraded = true;
    return head;
  }

  /** A whole frame from the server: never masked, here never in pieces nor of 64 KiB. */
  #frame() {
    if (this.read.length < 2) return null;
    const long = this.read[1] === 126;
    if (long && this.read.length < 4) return null;
    const begin = long ? 4 : 2;
    const end = begin + (long ? this.read.readUInt16BE(2) : this.read[1]);
    if (this.read.length < end) return null;
    const text = this.read.toString('utf8', begin, end);
    this.read = this.read.subarray(end);
    return text;
  }
}
