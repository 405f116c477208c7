// Recordings that play while they are written, while something goes wrong: the process is killed, or the disk is full.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';
import { servePages } from '../browser/harness/pages.mjs';
import { both } from '../browser/harness/rooms.mjs';
import { grounds } from './hostile-names.mjs';
import { LONG, metrics, sleep, started, until } from './support.mjs';

const KILLS = LONG ? 20 : 1;
const PUBLISHERS = ['ann', 'bob'];
const BEFORE_KILL_MS = 6_000;
/** What a kill may cost: frames that wait for those of other media, and the cluster they are in. */
const LOST_S = 3;
const FAILED = 'portunus_recordings_failed_total';
const FFMPEG = installed('ffmpeg') ? {} : { skip: 'ffmpeg is not installed' };
const ROOT = process.getuid() === 0 ? FFMPEG : { skip: 'only root may mount' };

describe('recordings that play', () => {
  let pages;
  before(async () => { pages = await servePages(); });
  after(async () => {
    await closeBrowser();
    await pages?.stop();
  });

  for (const [codec, ending] of [['vp8', 'webm'], ['h264', 'mp4']]) {
    it(`play to seconds before the process was killed: ${codec}`, { timeout: KILLS * 60_000, ...FFMPEG }, async (t) => {
      const losses = [];
      for (let kill = 0; kill < KILLS; kill += 1) {
        const gateway = await started(t);
        const { tab } = await publishers(gateway, pages, codec);
        const began = Date.now();
        for (const who of PUBLISHERS) await step(tab, 'ask', who, { request: 'configure', record: true, filename: who, rec_format: 'playable' });
        await sleep(BEFORE_KILL_MS + (kill * 37) % 500);
        process.kill(gateway.pid, 'SIGKILL');
        const killed = (Date.now() - began) / 1000;
        await gateway.exit;
        await tab.close();
        assert.deepEqual(readdirSync(gateway.folder).filter((name) => name.endsWith(ending)).sort(), PUBLISHERS.map((who) => `${who}.${ending}`));
        for (const who of PUBLISHERS) {
          for (const stream of ['v', 'a']) losses.push(killed - playedUntil(path.join(gateway.folder, `${who}.${ending}`), stream));
        }
        await gateway.stop();
      }
      losses.sort((a, b) => a - b);
      t.diagnostic(`${losses.length} tracks; lost of each: median ${losses[losses.length >> 1].toFixed(2)} s, most ${losses.at(-1).toFixed(2)} s`);
      assert.ok(losses.at(-1) <= LOST_S, `${losses.at(-1)} s are lost`);
    });
  }

  it('go on behind a hole when the disk was full', { timeout: 120_000, ...ROOT }, async (t) => {
    const disk = mkdtempSync(path.join(os.tmpdir(), 'portunus-disk-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', disk]);
    t.after(() => {
      execFileSync('umount', ['-l', disk]);
      rmSync(disk, { recursive: true });
    });
    const filler = path.join(disk, 'filler');
    writeFileSync(filler, Buffer.alloc(980_000));
    const gateway = await started(t, { janus: { portunus: { recordings_roots: [disk] } } });
    const { tab } = await publishers(gateway, pages, 'vp8');
    t.after(() => tab.close());
    const began = Date.now();
    await step(tab, 'ask', 'ann', { request: 'configure', record: true, filename: path.join(disk, 'ann'), rec_format: 'playable' });
    await until('the disk is full', 60_000, async () => (await metrics(gateway))[FAILED] > 0);
    await sleep(2_000);
    unlinkSync(filler);
    await sleep(6_000);
    await step(tab, 'ask', 'ann', { request: 'configure', record: false });
    const spoken = (Date.now() - began) / 1000;
    await until('the file is closed', 10_000, () => /recording to play ended/.test(gateway.log));
    for (const stream of ['v', 'a']) {
      const until = playedUntil(path.join(disk, 'ann.webm'), stream);
      assert.ok(Math.abs(until - spoken) < 2, `plays to ${until} s of ${spoken}`);
    }
    assert.equal((await metrics(gateway))[FAILED], 1, 'it is told once');
  });

  it('stay inside whatever they are called by people who mean harm', { timeout: 240_000 }, async (t) => {
    const { gateway, own, names: all, allowed, made } = await grounds(t);
    writeFileSync(path.join(own, 'mine.webm'), 'mine');
    const { tab } = await publishers(gateway, pages, 'vp8');
    t.after(() => tab.close());
    const names = all.filter((_, n) => LONG || n % 8 === 0 || n > 560);
    for (const filename of names) {
      await step(tab, 'refusal', 'ann', { request: 'configure', record: true, filename, rec_format: 'playable' });
      // Long enough for a packet of sound.
      await sleep(50);
      await step(tab, 'refusal', 'ann', { request: 'configure', record: false });
    }
    await until('all files are closed', 10_000, async () => (await metrics(gateway)).portunus_recordings === 0);
    const files = made(['webm', 'mkv', 'mp4']).filter((file) => path.basename(file) !== 'mine.webm');
    assert.deepEqual(files.filter((file) => !allowed(file)), []);
    assert.ok(files.length > 20, `${files.length} files: what is only odd is a name like any other`);
    assert.equal(readFileSync(path.join(own, 'mine.webm'), 'utf8'), 'mine');
    t.diagnostic(`${names.length} names, ${files.length} files, all of them inside`);
    assert.equal(gateway.exited, null);
  });
});

const step = (tab, name, ...args) => tab.run(([what, given]) => window.room[what](...given), [name, args]);

async function publishers(gateway, pages, videocodec) {
  const tab = await newTab();
  await tab.goto(`${pages.origin}/pages/room.html`);
  await tab.run((options) => window.room.open(options), { server: gateway.ws });
  await step(tab, 'attach', 'manager');
  const { room } = await step(tab, 'ask', 'manager', { request: 'create', publishers: 10, videocodec });
  for (const who of PUBLISHERS) {
    await step(tab, 'enter', who, { room, tracks: both(who) });
    await step(tab, 'event', who, 'webrtc', { up: true });
  }
  await sleep(1_000);
  return { tab, room };
}

/** When the last frame is that can be decoded, in seconds. */
function playedUntil(file, stream) {
  const asked = ['-v', 'error', '-select_streams', stream, '-show_entries', 'frame=pts_time', '-of', 'csv=p=0', file];
  const times = execFileSync('ffprobe', asked, { maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'ignore'] }).toString().trim().split('\n');
  return parseFloat(times.at(-1));
}

function installed(tool) {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}
