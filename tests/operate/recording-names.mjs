// Names of recordings from people who mean harm: hundreds of them, through every request that takes one. Files come to be
// below the allowed folder only, and what was there stays as it was.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';
import { servePages } from '../browser/harness/pages.mjs';
import { DATA, MICROPHONE } from '../browser/harness/suite.mjs';
import { Client, metrics, started, until } from './support.mjs';

const LEAST = 500;
const VIDEOROOM = 'janus.plugin.videoroom';

describe('names of recordings', () => {
  let pages;
  before(async () => { pages = await servePages(); });
  after(async () => {
    await closeBrowser();
    await pages?.stop();
  });

  it('that mean harm do none', { timeout: 240_000 }, async (t) => {
    const base = mkdtempSync(path.join(os.tmpdir(), 'portunus-names-'));
    t.after(() => rmSync(base, { recursive: true }));
    const [inside, outside, guarded] = ['inside', 'outside', 'inside/guarded'].map((name) => path.join(base, name));
    [inside, outside, guarded].forEach((folder) => mkdirSync(folder));
    // Names that are not absolute begin in the folder that the gateway was started in.
    const janus = { general: { protected_folders: [guarded] }, portunus: { recordings_roots: ['.', inside] } };
    const gateway = await started(t, { janus });
    const own = gateway.folder;
    symlinkSync(outside, path.join(own, 'link'));
    symlinkSync(path.join(outside, 'target.mjr'), path.join(own, 'file-audio.mjr'));
    symlinkSync('/', path.join(own, 'all'));
    for (const name of ['mine-audio.mjr', 'mine-data.mjr']) writeFileSync(path.join(own, name), 'mine');
    const names = hostile(base);
    assert.ok(names.length >= LEAST, `${names.length} names`);

    const stamp = path.join(base, 'stamp');
    writeFileSync(stamp, '');
    const tab = await newTab();
    t.after(() => tab.close());
    await tab.goto(`${pages.origin}/pages/call.html`);
    await tab.open({ server: gateway.ws });
    await tab.offer({ tracks: [MICROPHONE, DATA] });
    await tab.seen('webrtc', { up: true });
    for (const filename of names) {
      await tab.message({ record: true, filename });
      await tab.message({ record: false });
    }
    const client = await Client.open(gateway.ws);
    t.after(() => client.close());
    await client.session(VIDEOROOM);
    for (const [n, rec_dir] of names.entries()) {
      const room = 5000 + n;
      await client.message({ request: 'create', room, rec_dir, record: true });
      await client.message({ request: 'create', room, rec_dir });
      await client.message({ request: 'edit', room, new_rec_dir: rec_dir });
      await client.message({ request: 'enable_recording', room, record: true });
      await client.message({ request: 'join', ptype: 'publisher', room, display: 'x' }, { event: true });
      await client.message({ request: 'configure', record: true, filename: rec_dir }, { event: true });
      await client.message({ request: 'leave' }, { event: true });
    }
    await until('all files are closed', 10_000, async () => (await metrics(gateway)).portunus_recordings === 0);

    const made = found(stamp, [base, own]).filter((file) => file.startsWith(`${own}/`) || !/^\/tmp\/portunus-(test|disk)-/.test(file));
    const allowed = (file) => [`${own}/`, `${inside}/`].some((folder) => file.startsWith(folder)) && !file.startsWith(`${guarded}/`);
    const strange = made.filter((file) => !allowed(file));
    assert.deepEqual(strange, []);
    assert.ok(made.length > 60, `${made.length} files: what is only odd is a name like any other`);
    for (const name of ['mine-audio.mjr', 'mine-data.mjr']) assert.equal(readFileSync(path.join(own, name), 'utf8'), 'mine');
    const { portunus_recordings_begun_total: begun } = await metrics(gateway);
    t.diagnostic(`${names.length} names, ${begun} recordings begun, ${made.length} files, all of them inside`);
    assert.equal(gateway.exited, null);
  });
});

function hostile(base) {
  const climbs = ['..', '../', './..', '..//', 'a/../..', '../.', '.../..', '..\\', '%2e%2e', '%2e%2e%2f', '..%2f', '..%252f', '..%c0%af', '\u2025', '.\u200b.', '..;'];
  const targets = ['x', 'outside/x', 'etc/passwd', 'etc/cron.d/x', 'root/.ssh/authorized_keys', 'tmp/x'];
  const climbing = climbs.flatMap((climb) => [1, 2, 3, 8, 30].flatMap((times) => targets.map((target) => `${`${climb}/`.repeat(times)}${target}`)));
  const absolute = ['/', '//', '/./', '/../', `${base}/`, `${base}/inside/../`, `${base}/inside/`, `${base}/inside/guarded/`, `${base}/inside/guarded/../guarded/`, `${base}/insides/`, '/proc/self/cwd/', '/proc/self/root/', '/dev/', '/dev/shm/', '/sys/', 'file://', '\\\\server\\share\\', 'C:\\']
    .flatMap((start) => targets.map((target) => start + target));
  const links = ['link/x', 'link/../x', 'link/a/b', 'file', 'all/tmp/x', 'all/etc/x', './link/x', 'link//x', 'mine', 'guarded/x', './guarded/x', 'a/../guarded/x'];
  // No NUL and no half characters: those are no JSON to begin with.
  const odd = ['', '.', '..', '/', '...', '-', '--help', '-rf', '~', '~root/x', '$HOME/x', '$(id)', '`id`', '|id', ';id', '&id', '*', '?', '[a]', '{a,b}', '%s%n', 'x\n', 'x\r\ny', '\u001b[2J', 'a/', 'a//', 'a/.', 'a/..', 'nul', 'con', ' ', ' x', 'x ', '.x', 'x.mjr', 'x.mjr/y', '\u202egpj.x', 'x'.repeat(255), 'x'.repeat(300), 'x'.repeat(5000), 'x/'.repeat(200) + 'y', `${'x'.repeat(200)}/`.repeat(30), '🎥'.repeat(60)];
  return [...climbing, ...absolute, ...links, ...odd];
}

/** Recordings and what may be parts of their names, newer than the stamp, wherever they are on this machine's disks. */
function found(stamp, folders) {
  const skip = ['-path', '/proc', '-o', '-path', '/sys'];
  const everywhere = ['/', '/dev/shm', '/tmp', ...folders].map((folder) => {
    try {
      const find = [folder, '-xdev', '(', ...skip, ')', '-prune', '-o', '-newer', stamp, '-name', '*.mjr*', '(', '-type', 'f', ')', '-print'];
      return execFileSync('find', find, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
    } catch (error) {
      // Folders that may not be read, or that go while they are: what was found counts.
      return error.stdout ?? '';
    }
  });
  return [...new Set(everywhere.join('').split('\n').filter(Boolean))];
}
