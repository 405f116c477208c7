// ffmpeg as the receiver of forwarded streams: it gets an SDP file, decodes what comes, and tells of every frame.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { freeUdpPair } from './ports.mjs';

const OPEN_MS = 10_000;
const POLL_MS = 20;
const CODECS = {
  opus: { kind: 'audio', pt: 111, lines: ['rtpmap:111 opus/48000/2'] },
  vp8: { kind: 'video', pt: 96, lines: ['rtpmap:96 VP8/90000'] },
  h264: { kind: 'video', pt: 102, lines: ['rtpmap:102 H264/90000', 'fmtp:102 packetization-mode=1'] },
};

/** Why there is no player here, as options of a test. */
export const NEEDS_PLAYER = (() => {
  try {
    execFileSync('ffmpeg', ['-version'], { stdio: 'ignore' });
    return {};
  } catch {
    return { skip: 'no ffmpeg here: apt-get install ffmpeg' };
  }
})();

/** What is to be given to a forwarder so that a player understands it. */
export const payloadType = (codec) => CODECS[codec].pt;

/**
 * Waits for streams of these codecs; `crypto` is a line of SDP (`AES_CM_128_HMAC_SHA1_80 inline:..`). Gives the ports in
 * their order, `frames` (how many of each stream are decoded) and `complaints`: of what was wrong when all of them ran.
 */
export async function startPlayer(codecs, crypto) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'portunus-player-'));
  const ports = [];
  for (const _ of codecs) ports.push(await freeUdpPair());
  const file = path.join(folder, 'x.sdp');
  writeFileSync(file, sdp(codecs, ports, crypto));
  const input = ['-protocol_whitelist', 'file,udp,rtp', '-err_detect', 'explode', '-i', file];
  const child = spawn('ffmpeg', ['-v', 'warning', '-nostdin', ...input, '-map', '0', '-flush_packets', '1', '-f', 'framecrc', '-'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const player = new Player(child, folder, ports);
  await player.opened();
  return player;
}

function sdp(codecs, ports, crypto) {
  const lines = ['v=0', 'o=- 0 0 IN IP4 127.0.0.1', 's=-', 'c=IN IP4 127.0.0.1', 't=0 0'];
  codecs.forEach((codec, i) => {
    const { kind, pt, lines: attributes } = CODECS[codec];
    lines.push(`m=${kind} ${ports[i]} RTP/${crypto ? 'S' : ''}AVP ${pt}`, ...attributes.map((line) => `a=${line}`));
    if (crypto) lines.push(`a=crypto:1 ${crypto}`);
  });
  return `${lines.join('\r\n')}\r\n`;
}

class Player {
  constructor(child, folder, ports) {
    Object.assign(this, { child, folder, ports, frames: ports.map(() => 0), complaints: '', story: '', exited: null });
    let rest = '';
    child.stdout.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const stream = /^(\d+),/.exec(line)?.[1];
        if (stream !== undefined) this.frames[stream] += 1;
      }
    });
    child.stderr.on('data', (text) => {
      this.story += text;
      if (this.frames.every((count) => count > 0)) this.complaints += text;
    });
    this.exit = new Promise((resolve) => {
      child.once('error', (error) => resolve((this.exited = error.message)));
      child.once('exit', (code, signal) => resolve((this.exited = signal ?? code)));
    });
  }

  /** Ends when the ports are open: nothing is lost from then on. */
  opened() {
    const wanted = this.ports.map((port) => `:${port.toString(16).toUpperCase().padStart(4, '0')} `);
    return this.#until('the player opens its ports', OPEN_MS, () => {
      const open = ['udp', 'udp6'].map((table) => readFileSync(`/proc/net/${table}`, 'utf8')).join('');
      return wanted.every((port) => open.includes(port));
    });
  }

  /** Ends when so many frames of each stream are decoded. */
  plays(count, ms) {
    return this.#until(`${count} frames are decoded`, ms, () => this.frames.every((n) => n >= count));
  }

  async #until(what, ms, done) {
    for (const end = Date.now() + ms; !done(); await new Promise((resolve) => { setTimeout(resolve, POLL_MS); })) {
      assert.equal(this.exited, null, `${what}: ffmpeg ended\n${this.story}`);
      assert.ok(Date.now() < end, `${what}: not within ${ms} ms; decoded ${this.frames}\n${this.story}`);
    }
  }

  async close() {
    if (this.exited === null) this.child.kill('SIGKILL');
    await this.exit;
    rmSync(this.folder, { recursive: true, force: true });
  }
}
