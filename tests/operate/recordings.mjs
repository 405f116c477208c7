// Recordings while something goes wrong: the process is killed, the disk is full, read-only, or does not answer for ten
// seconds. Calls go on, and files hold whole frames.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';
import { gatewayBinary } from '../browser/harness/gateway.mjs';
import { servePages } from '../browser/harness/pages.mjs';
import { MICROPHONE } from '../browser/harness/suite.mjs';
import { LONG, metrics, sleep, started, until } from './support.mjs';

const SMALL_CAMERA = { type: 'video', capture: { width: 320, height: 240 }, recv: true };
const CALLS = 5;
const KILLS = LONG ? 100 : 3;
/** What a kill may cost. */
const LOST_MS = 1_000;
const STALL_MS = 10_000;
const FAILED = 'portunus_recordings_failed_total';
const LOST = 'portunus_recording_frames_lost_total';
const FRAMES = 'portunus_recorded_frames_total';
const TEST = { timeout: 120_000 };
const ROOT = process.getuid() === 0 ? {} : { skip: 'only root may mount' };
/** Janus' tool, where it is installed, and ours. */
const PARSERS = ['/usr/bin/janus-pp-rec', '/usr/local/bin/janus-pp-rec', path.join(path.dirname(gatewayBinary()), 'portunus-pp-rec')].filter(existsSync);

describe('recordings', () => {
  let pages;
  before(async () => { pages = await servePages(); });
  after(async () => {
    await closeBrowser();
    await pages?.stop();
  });

  it(`lose at most a second when the process is killed, ${KILLS} times with ${2 * CALLS} of them`, { timeout: KILLS * 30_000 }, async (t) => {
    const losses = [];
    for (let kill = 0; kill < KILLS; kill += 1) {
      const gateway = await started(t);
      const tabs = await Promise.all(Array.from({ length: CALLS }, () => call(gateway)));
      await Promise.all(tabs.map((tab, n) => record(tab, `call-${n}`)));
      // At any moment between two writes.
      await sleep(1_500 + (kill * 37) % 500);
      const files = readdirSync(gateway.folder).filter((name) => name.endsWith('.mjr'));
      assert.equal(files.length, 2 * CALLS);
      const killed = Date.now();
      process.kill(gateway.pid, 'SIGKILL');
      await gateway.exit;
      for (const name of files) {
        const file = path.join(gateway.folder, name);
        const { header, frames } = read(file);
        losses.push(killed - (header.u / 1000 + frames.at(-1).ms));
        for (const parser of PARSERS) execFileSync(parser, ['--parse', file], { stdio: 'pipe' });
      }
      await Promise.all(tabs.map((tab) => tab.close()));
      await gateway.stop();
    }
    losses.sort((a, b) => a - b);
    const at = (part) => losses[Math.floor((losses.length - 1) * part)].toFixed(0);
    t.diagnostic(`${losses.length} files; lost of each: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`);
    assert.ok(losses.at(-1) <= LOST_MS, `${at(1)} ms are lost`);
  });

  it('of a full disk lose frames and go on when there is room again', { ...TEST, ...ROOT }, async (t) => {
    const disk = mounted(t, ['-t', 'tmpfs', '-o', 'size=1m', 'none']);
    const filler = path.join(disk, 'filler');
    writeFileSync(filler, Buffer.alloc(700_000));
    const { gateway, tab } = await recorded(t, disk);
    await until('the disk is full', 60_000, async () => (await metrics(gateway))[FAILED] > 0);
    await flowsWell(tab);
    const full = await metrics(gateway);
    assert.ok(full[LOST] > 0);
    unlinkSync(filler);
    assert.match(gateway.log, /a recording cannot be written.*No space left/);
    // Sound needs little room: it may have gone on before.
    const goesOn = () => [...gateway.log.matchAll(/(a recording cannot be written)|recording goes on/g)].reduce((open, [, fails]) => open + (fails ? 1 : -1), 0) === 0;
    await until('it goes on', 15_000, goesOn);
    const { [FRAMES]: frames } = await metrics(gateway);
    await until('frames are written', 5_000, async () => (await metrics(gateway))[FRAMES] > frames + 50);
    const told = (await metrics(gateway))[FAILED];
    assert.ok(told <= 4, `told ${told} times of two recordings`);
    await tab.message({ record: false });
    await until('the files are closed', 5_000, async () => (await metrics(gateway)).portunus_recordings === 0);
    for (const name of ['x-audio.mjr', 'x-video.mjr']) {
      const { rest } = read(path.join(disk, name));
      assert.equal(rest, 0, `${name} ends with a part of a frame`);
      for (const parser of PARSERS) execFileSync(parser, ['--parse', path.join(disk, name)], { stdio: 'pipe' });
    }
  });

  it('of a disk that cannot be written to are told once, and the call goes on', { ...TEST, ...ROOT }, async (t) => {
    const disk = mounted(t, ['-t', 'tmpfs', '-o', 'ro', 'none']);
    const { gateway, tab } = await recorded(t, disk);
    await until('it is told', 10_000, async () => (await metrics(gateway))[FAILED] === 2);
    await flowsWell(tab);
    const now = await metrics(gateway);
    assert.deepEqual([now[FAILED], now[FRAMES], now.portunus_recordings], [2, 0, 0]);
    assert.match(gateway.log, /a recording cannot be written.*Read-only file system/);
  });

  it('of a disk that does not answer for ten seconds are complete', { ...TEST, ...frozen() }, async (t) => {
    const image = path.join(mkdtempSync(path.join(os.tmpdir(), 'portunus-image-')), 'disk');
    t.after(() => rmSync(path.dirname(image), { recursive: true }));
    execFileSync('truncate', ['-s', '64M', image]);
    execFileSync('mkfs.ext4', ['-q', '-F', image]);
    const disk = mounted(t, ['-o', 'loop', image]);
    const { gateway, tab } = await recorded(t, disk);
    await sleep(1_000);
    execFileSync('fsfreeze', ['-f', disk]);
    const thaw = once(() => execFileSync('fsfreeze', ['-u', disk]));
    t.after(thaw);
    const before = (await metrics(gateway))[FRAMES];
    for (let waited = 0; waited < STALL_MS; waited += 2_500) {
      await flowsWell(tab);
      await sleep(1_500);
    }
    const stalled = await metrics(gateway);
    assert.ok(stalled[FRAMES] < before + 300, 'the disk does stall');
    assert.ok(stalled.portunus_recording_waiting_bytes > 100_000, `${stalled.portunus_recording_waiting_bytes} bytes wait`);
    thaw();
    await until('what waited is written', 10_000, async () => (await metrics(gateway))[FRAMES] > stalled[FRAMES] + 100);
    assert.equal((await metrics(gateway))[LOST], 0, 'frames lost');
    await tab.message({ record: false });
    await until('the files are closed', 5_000, async () => (await metrics(gateway)).portunus_recordings === 0);
    const { frames } = read(path.join(disk, 'x-audio.mjr'));
    // By their numbers: when they came tells of the browser, too, which a busy machine holds up.
    const steps = frames.slice(1).map((frame, i) => (frame.sequence - frames[i].sequence + 0x10000) & 0xffff);
    const holes = steps.filter((step) => step !== 1);
    assert.deepEqual(holes, [], `packets are missing among ${frames.length}`);
    assert.ok(frames.at(-1).ms - frames[0].ms > STALL_MS, `${frames.at(-1).ms - frames[0].ms} ms are in the file`);
  });

  async function call(gateway) {
    const tab = await newTab();
    await tab.goto(`${pages.origin}/pages/call.html`);
    await tab.open({ server: gateway.ws });
    await tab.offer({ tracks: [MICROPHONE, SMALL_CAMERA] });
    await tab.seen('webrtc', { up: true });
    await tab.seesVideo(30_000);
    return tab;
  }

  async function recorded(t, disk) {
    const gateway = await started(t, { janus: { portunus: { recordings_roots: [disk] } } });
    const tab = await call(gateway);
    t.after(() => tab.close());
    await record(tab, path.join(disk, 'x'));
    return { gateway, tab };
  }
});

async function record(tab, filename) {
  await tab.message({ record: true, filename });
  await sleep(100);
}

/** A second of the call, without a packet lost. */
async function flowsWell(tab) {
  const lost = ({ in: { audio, video } }) => audio.packetsLost + video.packetsLost;
  const before = await tab.stats();
  await tab.flows({ frames: 20 });
  assert.equal(lost(await tab.stats()), lost(before), 'packets lost');
}

/** A file system, for the time of a test. */
function mounted(t, options) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'portunus-disk-'));
  execFileSync('mount', [...options, folder]);
  t.after(() => {
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true });
  });
  return folder;
}

/** Whether a file system in a file can be frozen here. */
function frozen() {
  if (ROOT.skip) return ROOT;
  try {
    execFileSync('losetup', ['-f'], { stdio: 'pipe' });
    for (const tool of ['mkfs.ext4', 'fsfreeze']) execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'pipe' });
    return {};
  } catch {
    return { skip: 'no loop devices, mkfs.ext4 or fsfreeze here' };
  }
}

function once(call) {
  let done = false;
  return () => {
    if (!done) call();
    done = true;
  };
}

function read(file) {
  const bytes = readFileSync(file);
  const end = 10 + bytes.readUInt16BE(8);
  const header = JSON.parse(bytes.subarray(10, end).toString());
  const frames = [];
  let at = end;
  while (at + 10 <= bytes.length && at + 10 + bytes.readUInt16BE(at + 8) <= bytes.length) {
    assert.equal(bytes.subarray(at, at + 4).toString(), 'MEET', `${file} at ${at}`);
    // Behind the frame's head an RTP packet.
    frames.push({ ms: bytes.readUInt32BE(at + 4), sequence: bytes.readUInt16BE(at + 12) });
    at += 10 + bytes.readUInt16BE(at + 8);
  }
  return { header, frames, rest: bytes.length - at };
}
