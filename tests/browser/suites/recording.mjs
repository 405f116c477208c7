// Recordings of calls in a browser: Janus' own tool reads them, and what comes out plays as long as the call was.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';

import { CONVERT, convert, frames, header, make, played } from '../harness/recorded.mjs';
import { withRooms } from '../harness/rooms.mjs';
import { CAMERA, DATA, MICROPHONE, TEST_MS, sleep, withGateway } from '../harness/suite.mjs';

const SPOKEN_MS = 5_000;
/** A frame of 20 ms of sound, one of picture, and the way of both. */
const CLOSE_S = 0.2;
/** Sound and picture of one moment, as far as a browser captures them together. */
const IN_SYNC_S = 0.04;
/** What is not in a file yet that is being written. */
const LATE_S = 3;
const SIZE = { width: 320, height: 240 };

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

describe('recording of a publisher', () => {
  const suite = withRooms();

  for (const videocodec of ['vp8', 'vp9', 'h264']) {
    it(`plays as long as it was recorded, in sync: opus and ${videocodec}`, { timeout: 2 * TEST_MS, ...CONVERT }, async (t) => {
      const tab = await suite.tab();
      const room = await suite.room(tab, { videocodec });
      const tracks = [{ type: 'audio', microphone: { hertz: 1000, clapper: true } }, { type: 'video', camera: { ...SIZE, fps: 30, colour: '#000000', clapper: true } }];
      const { published } = await tab.do('enter', 'ann', { room, tracks });
      if (published.message.video_codec !== videocodec) return t.skip(`this browser sends no ${videocodec}`);
      await tab.do('event', 'ann', 'webrtc', { up: true });
      await sleep(1_500);
      const before = await tab.do('stats', 'ann');
      await tab.do('ask', 'ann', { request: 'configure', record: true, filename: videocodec, rec_format: 'both' });
      await sleep(SPOKEN_MS);
      const live = playableSoFar(suite.gateway, videocodec);
      await tab.do('ask', 'ann', { request: 'configure', record: false });
      const after = await tab.do('stats', 'ann');
      const spoken = (after.at - before.at) / 1000;
      await until('the files are closed', () => new RegExp(`recording to play ended.*${videocodec}`).test(suite.gateway.log));
      const { folder } = suite.gateway;
      const [sound, picture] = [`${videocodec}-audio-0.mjr`, `${videocodec}-video-1.mjr`];
      const ending = videocodec === 'h264' ? 'mp4' : 'webm';
      const sent = framesSent(after) - framesSent(before);
      const audio = convert(folder, sound, 'opus');
      assert.equal(audio.codec_name, 'opus');
      near(audio.duration, spoken, 'seconds of sound by Janus\' tool');
      const own = played(make(folder, [sound], 'own.opus'));
      assert.ok(Math.abs(own.duration - audio.duration) < 0.05, `${own.duration} s by our own tool, ${audio.duration} s by Janus'`);
      const video = convert(folder, picture, ending);
      const sizes = [before, after].map(sizeSent);
      isPicture(video, { videocodec, sizes, spoken, sent }, 'by Janus\' tool');
      const both = make(folder, [sound, picture], `both.${ending}`);
      const film = path.join(folder, `${videocodec}.${ending}`);
      for (const [file, whose] of [[both, 'by our own tool'], [film, 'written while it was recorded']]) {
        isPicture(played(file, 'v'), { videocodec, sizes, spoken, sent }, whose);
        assert.equal(played(file, 'a').codec_name, 'opus');
        // All of it can be decoded.
        execFileSync('ffmpeg', ['-v', 'error', '-xerror', '-i', file, '-f', 'null', '-'], { stdio: 'pipe' });
        const apart = offsets(file);
        assert.ok(apart.length >= 3 && Math.abs(median(apart)) <= IN_SYNC_S, `${whose}: sound and picture are apart: ${apart}`);
        t.diagnostic(`${whose}: sound behind the picture by ${apart.map((s) => `${Math.round(s * 1000)} ms`).join(', ')}`);
      }
      assert.ok(live > SPOKEN_MS / 1000 - LATE_S, `${live} s could be played while ${spoken} s were recorded`);
      t.diagnostic(`${spoken.toFixed(2)} s spoken, ${live.toFixed(2)} s of it to be played meanwhile; sound ${audio.duration} s, picture ${video.duration} s, ${video.frames} of ${sent} frames`);
      return undefined;
    });
  }
});

const framesSent = (stats) => stats.out.find((o) => o.kind === 'video').framesEncoded;

/** A browser that has much to do sends smaller pictures for a while. */
const sizeSent = (stats) => stats.out.filter((o) => o.kind === 'video').map((o) => `${o.frameWidth} x ${o.frameHeight}`)[0];

function isPicture(video, { videocodec, sizes, spoken, sent }, whose) {
  assert.equal(video.codec_name, videocodec);
  assert.ok(sizes.includes(`${video.width} x ${video.height}`), `${video.width} x ${video.height} ${whose}, ${sizes} were sent`);
  near(video.duration, spoken, `seconds of picture ${whose}`);
  assert.ok(Math.abs(video.frames - sent) <= sent * 0.1 + 3, `${video.frames} frames ${whose}, ${sent} were sent`);
}

/** Seconds of the file that plays, as it is now: a copy, for it goes on. */
function playableSoFar(gateway, name) {
  const file = readdirSync(gateway.folder).find((f) => f.startsWith(`${name}.`) && /\.(webm|mp4)$/.test(f));
  if (!file) return 0;
  const copy = path.join(gateway.folder, `so-far-${file}`);
  copyFileSync(path.join(gateway.folder, file), copy);
  return played(copy, 'v').until;
}

/** By how much each tone begins behind its white picture, in seconds. */
function offsets(file) {
  const lavfi = `movie=${file},signalstats`;
  const { frames: pictures } = JSON.parse(execFileSync('ffprobe', ['-v', 'error', '-f', 'lavfi', lavfi, '-show_entries', 'frame=pts_time:frame_tags=lavfi.signalstats.YAVG', '-of', 'json'], { maxBuffer: 1 << 26 }).toString());
  const bright = pictures.map((f) => [Number(f.pts_time), Number(f.tags['lavfi.signalstats.YAVG']) > 120]);
  // Sound begins where the file says; what is missing is silence.
  const pcm = execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-vn', '-af', 'aresample=async=1:first_pts=0', '-ac', '1', '-ar', '48000', '-f', 's16le', '-'], { maxBuffer: 1 << 28 });
  const loud = [];
  for (let at = 0; at + 480 <= pcm.length; at += 480) {
    let most = 0;
    for (let i = at; i < at + 480; i += 2) most = Math.max(most, Math.abs(pcm.readInt16LE(i)));
    loud.push([at / 2 / 48_000, most > 3_000]);
  }
  const flashes = risings(bright);
  return risings(loud)
    .map((tone) => tone - flashes.reduce((best, flash) => (Math.abs(tone - flash) < Math.abs(tone - best) ? flash : best), Infinity))
    .filter((apart) => Math.abs(apart) < 0.4);
}

/** When it begins to be so; not what is so from the beginning on. */
const risings = (list) => list.filter(([, on], i) => on && i > 0 && !list[i - 1][1]).map(([at]) => at);

const median = (list) => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)];

/** Begins a recording; ends when it is accepted. */
async function record(tab, filename) {
  const before = (await tab.events('message')).length;
  await tab.message({ record: true, filename });
  await tab.until('the recording is accepted', 5_000, (count) => window.call.events.filter((e) => e.kind === 'message').length > count, before);
}

function near(got, wanted, what) {
  assert.ok(Math.abs(got - wanted) < CLOSE_S, `${got} ${what}, ${wanted.toFixed(2)} were spoken`);
}

async function until(what, done, ms = 5_000) {
  for (const end = Date.now() + ms; ; await sleep(50)) {
    if (await done()) return;
    assert.ok(Date.now() < end, `not in time: ${what}`);
  }
}
