// Names that people give to recordings who mean harm, and where files came to be.

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { started } from './support.mjs';

/**
 * A gateway whose recordings may be in its own folder and in `base/inside`, but for `guarded` in it; with links that lead
 * elsewhere. `allowed(file)` tells where files may be, `made(endings)` which are new since then.
 */
export async function grounds(t) {
  const base = mkdtempSync(path.join(os.tmpdir(), 'portunus-names-'));
  t.after(() => rmSync(base, { recursive: true }));
  const [inside, outside, guarded] = ['inside', 'outside', 'inside/guarded'].map((name) => path.join(base, name));
  [inside, outside, guarded].forEach((folder) => mkdirSync(folder));
  // Names that are not absolute begin in the folder that the gateway was started in.
  const gateway = await started(t, { janus: { general: { protected_folders: [guarded] }, portunus: { recordings_roots: ['.', inside] } } });
  const own = gateway.folder;
  symlinkSync(outside, path.join(own, 'link'));
  symlinkSync('/', path.join(own, 'all'));
  const stamp = path.join(base, 'stamp');
  writeFileSync(stamp, '');
  const allowed = (file) => [`${own}/`, `${inside}/`].some((folder) => file.startsWith(folder)) && !file.startsWith(`${guarded}/`);
  const made = (endings) => found(stamp, [base, own], endings).filter((file) => file.startsWith(`${own}/`) || !/^\/tmp\/portunus-(test|disk)-/.test(file));
  return { gateway, own, outside, names: hostile(base), allowed, made };
}

/** `base` is a folder with an allowed one, `inside`, in it. */
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

/** Files that `find` matches, newer than the stamp, wherever they are on this machine's disks. */
function found(stamp, folders, endings) {
  const named = endings.flatMap((ending, n) => [...(n > 0 ? ['-o'] : []), '-name', `*.${ending}*`]);
  const skip = ['-path', '/proc', '-o', '-path', '/sys'];
  const everywhere = ['/', '/dev/shm', '/tmp', ...folders].map((folder) => {
    try {
      const find = [folder, '-xdev', '(', ...skip, ')', '-prune', '-o', '-newer', stamp, '-type', 'f', '(', ...named, ')', '-print'];
      return execFileSync('find', find, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
    } catch (error) {
      // Folders that may not be read, or that go while they are: what was found counts.
      return error.stdout ?? '';
    }
  });
  return [...new Set(everywhere.join('').split('\n').filter(Boolean))];
}
