// Measures what idle WebSocket sessions cost: resident memory of each, and CPU time of the gateway per minute while
// they send their keepalives. Ours and the installed Janus take turns, each round with a fresh process.
//
//   node tests/operate/idle.mjs [--sessions 10000] [--attach] [--seconds 60] [--rounds 3] [--only portunus|janus]

import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { startGateway } from '../browser/harness/gateway.mjs';
import { Client, cpuSeconds, memory, sleep } from './support.mjs';

const { values: options } = parseArgs({
  options: {
    sessions: { type: 'string', default: '10000' },
    attach: { type: 'boolean', default: false },
    seconds: { type: 'string', default: '60' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
  },
});
const SESSIONS = Number(options.sessions);
const SECONDS = Number(options.seconds);
const ROUNDS = Number(options.rounds);
const KEEPALIVE_MS = 30_000;
const AT_ONCE = 50;
const SETTLE_MS = 5_000;
const TICK_MS = 100;
/** Files besides the sockets, of either side. */
const SPARE_FILES = 1_000;
/** Janus has a thread with an event loop for each handle, and ends itself when there are no files for it. */
const FILES_OF_HANDLE = 3;
const SETTINGS = { janus: { general: { debug_level: 3 } } };

ensureFiles();
const available = options.only ? [options.only] : ['portunus', ...(hasJanus() ? ['janus'] : [])];
const results = Object.fromEntries(available.map((name) => [name, []]));
console.log(`${SESSIONS} sessions${options.attach ? ' with an echo handle each' : ''}, ${SECONDS} s, ${ROUNDS} rounds`);
for (let round = 1; round <= ROUNDS; round += 1) {
  for (const name of available) {
    const result = await measure(name === 'janus');
    results[name].push(result);
    console.log(`round ${round} ${name.padEnd(8)} ${told(result)}`);
  }
}
for (const name of available) {
  const of = (key) => median(results[name].map((result) => result[key]));
  const medians = Object.fromEntries(Object.keys(results[name][0]).map((key) => [key, of(key)]));
  console.log(`median  ${name.padEnd(8)} ${told(medians)}`);
}

/** One round with a fresh process. */
async function measure(oracle) {
  const gateway = await startGateway(SETTINGS, { oracle });
  const clients = [];
  let beat = null;
  try {
    await sleep(SETTLE_MS);
    const empty = memory(gateway.pid).rss;
    const begun = { at: performance.now(), cpu: cpuSeconds(gateway.pid) };
    while (clients.length < SESSIONS) {
      const wave = Math.min(AT_ONCE, SESSIONS - clients.length);
      clients.push(...await Promise.all(Array.from({ length: wave }, () => open(gateway))));
      // Those that are open already must not time out while the others come.
      beat ??= keepAlive(clients);
    }
    const opened = { ms: performance.now() - begun.at, cpu: cpuSeconds(gateway.pid) - begun.cpu };
    await sleep(SETTLE_MS);
    const [cpu, since] = [cpuSeconds(gateway.pid), performance.now()];
    await sleep(SECONDS * 1000);
    const minutes = (performance.now() - since) / 60_000;
    const used = cpuSeconds(gateway.pid) - cpu;
    const { rss } = memory(gateway.pid);
    if (beat.lost() > 0) throw new Error(`${beat.lost()} keepalives were not answered`);
    return {
      bytes: (rss - empty) * 1024 / SESSIONS,
      rss: rss / 1024,
      cpu: used / minutes,
      threads: Number(/^Threads:\s+(\d+)/m.exec(readFileSync(`/proc/${gateway.pid}/status`, 'utf8'))[1]),
      openCpu: opened.cpu * 1000 / SESSIONS,
      openRate: SESSIONS * 1000 / opened.ms,
    };
  } finally {
    beat?.stop();
    await Promise.all(clients.map((client) => client.close()));
    await gateway.stop();
  }
}

async function open(gateway) {
  const client = await Client.open(gateway.ws);
  await client.session(options.attach ? 'janus.plugin.echotest' : undefined);
  return client;
}

/** A keepalive of every session each 30 s, evenly spread. */
function keepAlive(clients) {
  let turn = 0;
  let lost = 0;
  let due = 0;
  const timer = setInterval(() => {
    due += clients.length * TICK_MS / KEEPALIVE_MS;
    for (; due >= 1; due -= 1) {
      const client = clients[turn % clients.length];
      turn += 1;
      client.request({ janus: 'keepalive', session_id: client.place.session_id })
        .then((reply) => { if (reply.janus !== 'ack') lost += 1; }, () => { lost += 1; });
    }
  }, TICK_MS);
  return { lost: () => lost, stop: () => clearInterval(timer) };
}

function told({ bytes, rss, cpu, threads, openCpu, openRate }) {
  return `${(bytes / 1024).toFixed(1)} KB a session, ${rss.toFixed(0)} MB in all, ${cpu.toFixed(2)} s of CPU a minute, `
    + `${threads} threads, ${openCpu.toFixed(2)} ms of CPU to open one, ${openRate.toFixed(0)} opened a second`;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function hasJanus() {
  try {
    execFileSync('sh', ['-c', 'command -v janus'], { stdio: 'ignore' });
    return true;
  } catch {
    console.log('no janus here: only our own figures');
    return false;
  }
}

/** Starts this script again with more open files when so many sockets need it; both sides inherit the limit. */
function ensureFiles() {
  const needed = SESSIONS * (options.attach ? FILES_OF_HANDLE : 1) + SPARE_FILES;
  const limit = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))[1];
  if (Number(limit) >= needed) return;
  if (process.env.IDLE_AGAIN) throw new Error(`${needed} open files are needed, ${limit} are allowed (ulimit -n)`);
  const again = ['-c', `ulimit -n ${needed} && exec "$0" "$@"`, process.execPath, ...process.argv.slice(1)];
  const { status } = spawnSync('sh', again, { stdio: 'inherit', env: { ...process.env, IDLE_AGAIN: '1' } });
  process.exit(status ?? 1);
}
