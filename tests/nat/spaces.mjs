// Network namespaces of one run, and the programs in them. Their names hold the process that made them, so that two runs
// do not meet, and what a killed run left is found and removed by the next one.
//
// No namespace gets a link to the machine's own network: nothing that happens here leaves the machine.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { Program } from '../browser/harness/program.mjs';

const PREFIX = 'pnat';
const open = new Set();
let count = 0;

/** When a process began, in the kernel's ticks: with the number it names a process for good. */
function beganAt(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return null;
  }
}

const pause = (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
const quiet = { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' };

function listed() {
  return execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n').map((line) => line.split(' ')[0]).filter(Boolean);
}

/** Ends what runs in these namespaces, which only we use, and removes them. */
function removeAll(names) {
  const pids = () => names.flatMap((name) => (spawnSync('ip', ['netns', 'pids', name], quiet).stdout ?? '').split('\n').filter(Boolean).map(Number));
  const signal = (how) => pids().forEach((pid) => { try { process.kill(pid, how); } catch { /* it is gone */ } });
  signal('SIGTERM');
  for (let i = 0; i < 20 && pids().length > 0; i += 1) pause(50);
  signal('SIGKILL');
  for (let i = 0; i < 20 && pids().length > 0; i += 1) pause(50);
  for (const name of names) spawnSync('ip', ['netns', 'del', name], quiet);
}

/** Namespaces and folders whose maker is gone. */
export function sweep() {
  const isLeft = (name) => {
    const [, pid, began] = /^pnat-(\d+)-(\d+)-/.exec(name) ?? [];
    return pid !== undefined && beganAt(pid) !== began;
  };
  const left = listed().filter(isLeft);
  if (left.length > 0) removeAll(left);
  for (const name of readdirSync(os.tmpdir()).filter(isLeft)) rmSync(path.join(os.tmpdir(), name), { recursive: true, force: true });
}

for (const [signal, code] of [['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]) {
  process.on(signal, () => {
    for (const spaces of [...open]) spaces.remove();
    process.exit(code);
  });
}
process.on('exit', () => { for (const spaces of [...open]) spaces.remove(); });

export class Spaces {
  constructor() {
    sweep();
    this.name = `${PREFIX}-${process.pid}-${beganAt(process.pid)}-${count}`;
    count += 1;
    this.folder = path.join(os.tmpdir(), this.name);
    mkdirSync(this.folder, { mode: 0o700 });
    this.roles = [];
    open.add(this);
  }

  named(role) { return `${this.name}-${role}`; }

  add(role, { forward = false } = {}) {
    execFileSync('ip', ['netns', 'add', this.named(role)]);
    this.roles.push(role);
    // A new namespace takes some of these over from the machine.
    this.run(role, 'sysctl', '-qew', `net.ipv4.ip_forward=${forward ? 1 : 0}`, 'net.ipv6.conf.all.disable_ipv6=1', 'net.ipv6.conf.default.disable_ipv6=1');
    this.ip(role, 'link set lo up');
  }

  /** `ip` inside a namespace, one command a line. */
  ip(role, lines) {
    execFileSync('ip', ['-n', this.named(role), '-batch', '-'], { input: `${lines}\n`, stdio: ['pipe', 'pipe', 'inherit'] });
  }

  /** A cable: `[role, interface, address/bits]` at both ends, without an address for a port of a bridge. */
  wire([a, ifA, addressA], [b, ifB, addressB]) {
    execFileSync('ip', ['link', 'add', ifA, 'netns', this.named(a), 'type', 'veth', 'peer', 'name', ifB, 'netns', this.named(b)]);
    for (const [role, name, address] of [[a, ifA, addressA], [b, ifB, addressB]]) {
      this.ip(role, `${address ? `addr add ${address} dev ${name}\n` : ''}link set ${name} up`);
    }
  }

  /** Runs a command to its end and gives what it printed; `check: false` takes any exit code. */
  run(role, command, ...args) {
    return execFileSync('ip', ['netns', 'exec', this.named(role), command, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** The same where the exit code says only that there was nothing to do. */
  attempt(role, command, ...args) {
    return spawnSync('ip', ['netns', 'exec', this.named(role), command, ...args], quiet).stdout ?? '';
  }

  /** All rules of a namespace at once: `{nat: [...], filter: [...]}`. */
  rules(role, tables) {
    const chains = { nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'], filter: ['INPUT', 'FORWARD', 'OUTPUT'] };
    const text = Object.entries(tables).map(([table, rules]) => [`*${table}`, ...chains[table].map((chain) => `:${chain} ACCEPT [0:0]`), ...rules, 'COMMIT'].join('\n')).join('\n');
    execFileSync('ip', ['netns', 'exec', this.named(role), 'iptables-restore'], { input: `${text}\n`, stdio: ['pipe', 'pipe', 'inherit'] });
  }

  start(role, command, args, { env = {} } = {}) {
    // `ip` becomes the command, so the child's number is the program's.
    return new Program(spawn('ip', ['netns', 'exec', this.named(role), command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder, env: { ...process.env, ...env },
    }));
  }

  /** A file that runs `command` inside a namespace, for who only takes the name of a program. */
  wrapper(role, command) {
    const file = path.join(this.folder, `${path.basename(command)}-in-${role}`);
    writeFileSync(file, `#!/bin/sh\nexec ip netns exec ${this.named(role)} ${command} "$@"\n`, { mode: 0o755 });
    return file;
  }

  remove() {
    if (!open.delete(this)) return;
    removeAll(this.roles.map((role) => this.named(role)));
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Polls until `look()` gives something true. */
export async function until(what, ms, look) {
  for (const end = Date.now() + ms; ;) {
    const value = await look();
    if (value) return value;
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
