// What an operator asks about a call that goes on: why it is as it is, and its packets in a file.

import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, it } from 'node:test';

import { sleep } from '../harness/tab.mjs';
import { CAMERA, MICROPHONE, TEST_MS, withGateway } from '../harness/suite.mjs';

const SECRET = 'operators only';
const HEADER = 24;
const RECORD = 16;
const CLIENT = '10.0.0.1';

describe('an operator', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'portunus-captures-'));
  const suite = withGateway({ janus: { general: { admin_secret: SECRET }, portunus: { captures_folder: folder } } });
  after(() => rm(folder, { recursive: true, force: true }));

  const ask = async (call, verb, over = {}) => {
    const at = `${suite.gateway.admin.http}/${call.ids.session}/${call.ids.handle}`;
    const body = JSON.stringify({ janus: verb, transaction: 't', admin_secret: SECRET, ...over });
    return (await fetch(at, { method: 'POST', body })).json();
  };

  it('gets the packets of a call, unencrypted, in a file that Wireshark reads', { timeout: TEST_MS }, async () => {
    const call = await suite.call();
    await call.seesVideo();
    assert.equal((await ask(call, 'start_pcap', { filename: 'call.pcap', truncate: 60 })).janus, 'success');
    const { info } = await ask(call, 'handle_info');
    assert.equal(info['pcap-file'], path.join(folder, 'call.pcap'));
    await sleep(1500);
    assert.equal((await ask(call, 'stop_pcap')).janus, 'success');
    const packets = await until(async () => {
      const found = records(await readFile(path.join(folder, 'call.pcap')));
      return found.length > 50 && found;
    });
    const media = new Map(Object.values(info.webrtc.media).map((m) => [m.codecs.pt, m.type]));
    for (const incoming of [true, false]) {
      const some = packets.filter((p) => (p.from === CLIENT) === incoming);
      const rtp = some.filter((p) => (p.bytes[1] & 0x7f) < 64 || (p.bytes[1] & 0x7f) >= 96);
      const kinds = new Set(rtp.map((p) => media.get(p.bytes[1] & 0x7f)));
      assert.ok(kinds.has('audio') && kinds.has('video'), `${incoming ? 'from' : 'to'} the client: ${[...kinds]}`);
      assert.ok(some.some((p) => p.bytes[1] >= 200 && p.bytes[1] <= 207), 'RTCP');
      assert.ok(some.every((p) => p.bytes[0] >> 6 === 2 && p.bytes.length <= 60 && p.whole >= p.bytes.length));
    }
    await call.flows();
  });

  it('gets them as text, from the beginning of the next PeerConnection', { timeout: TEST_MS }, async () => {
    const call = await suite.call();
    await call.seesVideo();
    await call.run(() => window.call.hangup());
    await call.seen('webrtc', { up: false });
    assert.equal((await ask(call, 'start_text2pcap', { folder: 'deep/down' })).janus, 'success');
    await call.offer({ tracks: [MICROPHONE, CAMERA] });
    await call.seesVideo();
    await sleep(1200);
    assert.equal((await ask(call, 'detach_handle')).janus, 'success');
    const text = await until(async () => {
      const [name] = await readdir(path.join(folder, 'deep/down'));
      assert.match(name, /^janus-text2pcap-\d+\.txt$/);
      const read = await readFile(path.join(folder, 'deep/down', name), 'latin1');
      return read.split('\n').length > 50 && read;
    });
    for (const line of text.trimEnd().split('\n')) assert.match(line, /^[IO] \d\d:\d\d:\d\d\.\d{6} 000000( [0-9a-f]{2})+$/);
    assert.ok(/^I /m.test(text) && /^O /m.test(text));
  });

  it('writes nowhere else', { timeout: TEST_MS }, async () => {
    const call = await suite.call();
    for (const over of [{ folder: '/etc' }, { folder: '../up' }, { filename: '../x.pcap' }, { filename: '.x' }]) {
      const reply = await ask(call, 'start_pcap', over);
      assert.equal(reply.error?.reason, 'Error starting pcap dump', JSON.stringify(over));
    }
  });

  it('hears why a stream is as it is', { timeout: TEST_MS }, async () => {
    const call = await suite.call();
    await call.seesVideo();
    const verdict = async () => (await ask(call, 'explain_handle')).explanation;
    const fine = await until(async () => {
      const now = await verdict();
      // Rates are told when a second is over.
      return now.verdict !== 'broken' && now.numbers.media.every((m) => m.in[0].bitrate > 0) && now;
    });
    assert.equal(fine.numbers.dtls, 'connected');
    const video = fine.numbers.media.find((m) => m.codec === 'vp8');
    assert.ok(video.in[0].last_keyframe_ms >= 0, JSON.stringify(video));
    assert.equal(video.out.from.handle_id, call.ids.handle);
    await call.run(() => window.call.connection().getSenders().forEach((sender) => sender.replaceTrack(null)));
    const frozen = await until(async () => {
      const now = await verdict();
      return now.findings.some((f) => /has sent nothing for/.test(f.text)) && now;
    });
    assert.equal(frozen.verdict, 'broken');
    await call.run(() => window.call.connection().close());
  });
});

async function until(look) {
  for (let tries = 0; ; tries += 1) {
    const found = await look();
    if (found) return found;
    if (tries > 100) throw new Error('it did not come');
    await sleep(100);
  }
}

/** The packets of a pcap file of raw IPv4 packets. */
function records(file) {
  assert.equal(file.readUInt32LE(0), 0xa1b2c3d4);
  assert.equal(file.readUInt32LE(20), 101);
  const found = [];
  let at = HEADER;
  while (at + RECORD <= file.length) {
    const kept = file.readUInt32LE(at + 8);
    const ip = file.subarray(at + RECORD, at + RECORD + kept);
    if (ip.length < kept) break;
    assert.equal(ip[0], 0x45);
    const whole = file.readUInt32LE(at + 12) - 28;
    found.push({ from: [...ip.subarray(12, 16)].join('.'), bytes: ip.subarray(28), whole });
    at += RECORD + kept;
  }
  return found;
}
