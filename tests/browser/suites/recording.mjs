// Recordings of calls in a browser: Janus' own tool reads them, and what comes out plays as long as the call was.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

import { gatewayBinary } from '../harness/gateway.mjs';
import { CAMERA, DATA, MICROPHONE, TEST_MS, sleep, withGateway } from '../harness/suite.mjs';

const SPOKEN_MS = 5_000;
/** A frame of 20 ms of sound, one of picture, and the way of both. */
const CLOSE_S = 0.2;
const TOOLS = ['janus-pp-rec', 'ffprobe'].filter((tool) => !installed(tool));
const CONVERT = TOOLS.length > 0 ? { skip: `not installed: ${TOOLS.join(', ')} (janus-tools, ffmpeg)` } : {};

describe('recording of an echo call', () => {
  const suite = withGateway();

  it('has a file for sound, picture and messages, and says so', { timeout: TEST_MS }, async () => {
    const tab = await suite.call({ tracks: [MICROPHONE, CAMERA, DATA] });
    await tab.seen('dataopen');
    await record(tab, 'calls/first');
    await tab.run(() => window.call.data('a message'));
    await tab.flows({ frames: 15 });
    await tab.message({ record: false });
    const folder = path.join(suite.gateway.folder, 'calls');
    const names = ['first-audio.mjr', 'first-data.mjr', 'first-video.mjr'];
    await until('three files', () => readdirSync(folder).sort().join() === names.join());
    await until('all have frames', () => names.every((name) => frames(path.join(folder, name)).length > 0));
    const [audio, data, video] = names.map((name) => header(path.join(folder, name)));
    assert.deepEqual([audio.t, audio.c, video.t, video.c, data.t, data.c], ['a', 'opus', 'v', 'vp8', 'd', 'text']);
    assert.ok(audio.u >= audio.s && audio.s > 1.7e15, JSON.stringify(audio));
    const [message] = frames(path.join(folder, 'first-data.mjr'));
    assert.equal(message.bytes.subarray(8).toString(), 'a message');
    const at = Number(message.bytes.readBigUInt64BE()) / 1000;
    assert.ok(Math.abs(at - Date.now()) < 20_000, `the message came at ${at}`);
  });

  for (const videocodec of ['vp8', 'vp9', 'h264']) {
    it(`plays as long as it was recorded: opus and ${videocodec}`, { timeout: TEST_MS, ...CONVERT }, async (t) => {
      const tab = await suite.tab();
      const { answer } = await tab.offer({ tracks: [MICROPHONE, CAMERA], body: { audio: true, video: true, videocodec } });
      if (!new RegExp(`^a=rtpmap:\\d+ ${videocodec}/`, 'im').test(answer)) return t.skip(`this browser sends no ${videocodec}`);
      await tab.seen('webrtc', { up: true });
      await tab.flows({ frames: 15, ms: 30_000 });
      const before = await tab.stats();
      await record(tab, `${videocodec}`);
      await sleep(SPOKEN_MS);
      await tab.message({ record: false });
      const after = await tab.stats();
      const spoken = (after.at - before.at) / 1000;
      const folder = suite.gateway.folder;
      await until('the files are closed', () => /recording ended.*video/.test(suite.gateway.log) || sleep(300));
      const audio = convert(folder, `${videocodec}-audio.mjr`, 'opus');
      assert.equal(audio.codec_name, 'opus');
      near(audio.duration, spoken, 'seconds of sound');
      const own = played(make(folder, [`${videocodec}-audio.mjr`], 'own.opus'));
      assert.ok(Math.abs(own.duration - audio.duration) < 0.05, `${own.duration} s by our own tool, ${audio.duration} s by Janus'`);
      const video = convert(folder, `${videocodec}-video.mjr`, videocodec === 'h264' ? 'mp4' : 'webm');
      assert.equal(video.codec_name, videocodec);
      assert.deepEqual([video.width, video.height], [640, 480]);
      near(video.duration, spoken, 'seconds of picture');
      const sent = after.out.video[0].framesEncoded - before.out.video[0].framesEncoded;
      assert.ok(Math.abs(video.frames - sent) <= sent * 0.1 + 3, `${video.frames} frames, ${sent} were sent`);
      if (videocodec !== 'h264') {
        const both = make(folder, [`${videocodec}-audio.mjr`, `${videocodec}-video.mjr`], 'both.webm');
        const shown = played(both, 'v');
        assert.deepEqual([shown.codec_name, shown.width, shown.height], [videocodec, 640, 480]);
        near(shown.duration, spoken, 'seconds of both');
        assert.ok(Math.abs(shown.frames - video.frames) <= 2, `${shown.frames} frames by our own tool, ${video.frames} by Janus'`);
        assert.equal(played(both, 'a').codec_name, 'opus');
        // All of it can be decoded.
        execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', both, '-f', 'null', '-'], { stdio: 'pipe' });
      }
      t.diagnostic(`${spoken.toFixed(2)} s spoken; sound ${audio.duration} s, picture ${video.duration} s, ${video.frames} of ${sent} frames`);
      return undefined;
    });
  }

  it('goes nowhere else, and nothing else is done', { timeout: TEST_MS }, async () => {
    const tab = await suite.call();
    for (const filename of ['../outside', '/tmp/outside', 'a/../../outside']) {
      await tab.message({ record: true, filename, audio: false });
      await tab.until('it is refused', 5_000, (name) => window.call.events.some(({ message }) => message?.error_code === 413 && message.error.includes(name) && message.error.includes('recordings_roots')), filename);
    }
    assert.ok(!existsSync(path.join(suite.gateway.folder, '..', 'outside-audio.mjr')));
    await tab.flows();
  });
});

/** Begins a recording; ends when it is accepted. */
async function record(tab, filename) {
  const before = (await tab.events('message')).length;
  await tab.message({ record: true, filename });
  await tab.until('the recording is accepted', 5_000, (count) => window.call.events.filter((e) => e.kind === 'message').length > count, before);
}

function convert(folder, name, ending) {
  const to = path.join(folder, `${name}.${ending}`);
  execFileSync('janus-pp-rec', [path.join(folder, name), to], { stdio: 'pipe' });
  return played(to);
}

/** Our own tool makes a file of recordings. */
function make(folder, names, ending) {
  const tool = path.join(path.dirname(gatewayBinary()), 'portunus-pp-rec');
  const to = path.join(folder, `${names[0]}.${ending}`);
  execFileSync(tool, [...names.map((name) => path.join(folder, name)), to], { stdio: 'pipe' });
  return to;
}

/** What ffprobe says of the first stream of a kind. */
function played(file, kind = '') {
  const of = kind ? ['-select_streams', kind] : [];
  const asked = ['-v', 'error', '-count_packets', ...of, '-show_entries', 'stream=codec_name,width,height,nb_read_packets:format=duration:packet=pts_time', '-of', 'json', file];
  const { streams: [stream], format, packets } = JSON.parse(execFileSync('ffprobe', asked, { maxBuffer: 1 << 26 }).toString());
  const times = packets.map((packet) => Number(packet.pts_time));
  assert.ok(times.every((time, i) => i === 0 || time >= times[i - 1]), `${file}: times go backwards`);
  return { ...stream, duration: Number(format.duration) || times.at(-1) - times[0], frames: Number(stream.nb_read_packets) };
}

function near(got, wanted, what) {
  assert.ok(Math.abs(got - wanted) < CLOSE_S, `${got} ${what}, ${wanted.toFixed(2)} were spoken`);
}

function header(file) {
  const bytes = readFileSync(file);
  assert.equal(bytes.subarray(0, 8).toString(), 'MJR00002');
  return JSON.parse(bytes.subarray(10, 10 + bytes.readUInt16BE(8)).toString());
}

function frames(file) {
  const bytes = readFileSync(file);
  const found = [];
  if (bytes.length < 10) return found;
  for (let at = 10 + bytes.readUInt16BE(8); at + 10 <= bytes.length; ) {
    assert.equal(bytes.subarray(at, at + 4).toString(), 'MEET');
    const length = bytes.readUInt16BE(at + 8);
    if (at + 10 + length > bytes.length) break;
    found.push({ ms: bytes.readUInt32BE(at + 4), bytes: bytes.subarray(at + 10, at + 10 + length) });
    at += 10 + length;
  }
  return found;
}

async function until(what, done, ms = 5_000) {
  for (const end = Date.now() + ms; ; await sleep(50)) {
    if (await done()) return;
    assert.ok(Date.now() < end, `not in time: ${what}`);
  }
}

function installed(tool) {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(path.join(folder, tool)));
}
