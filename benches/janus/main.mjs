// Our gateway beside Janus, and beside the bare loops: scripts/bench-janus.sh calls this.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { chart, median, ratio, table } from './page.mjs';
import { SCENARIOS } from './scenarios.mjs';
import { SERVERS, start, versions } from './servers.mjs';

const { FORWARDING_BIN, GATEWAY_ADDRESS, JANUS_BIN, LOADTEST_BIN } = process.env;
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SECONDS = Number(process.env.SECONDS_EACH ?? 10);
const CORE = '0';
// The chart goes beside a page that is written elsewhere.
const OUT = process.env.OUT ?? 'docs/benchmarks-janus.md';
const CHART = process.env.OUT ? `${OUT.replace(/\.md$/, '')}.svg` : 'docs/images/bench-janus.svg';
const RAW = 'target/bench-janus';
const only = new RegExp(process.env.ONLY ?? '.');

let stopping = false;
process.on('SIGINT', () => { stopping = true; console.error('bench-janus: ending after this run'); });

/** One run: a fresh server, the load, the load generator's report. */
async function measure(scenario, server, file) {
  const running = await start(server, scenario);
  try {
    const ofMedia = scenario.media === false ? []
      : ['--address', GATEWAY_ADDRESS, '--threads', '1', '--duration', `${SECONDS}s`, '--warm-up', '3s'];
    const args = ['-c', CORE, LOADTEST_BIN, '--server', running.api, '--pid', `${running.pid}`, '--json', file, ...ofMedia, ...scenario.args];
    rmSync(file, { force: true });
    const child = spawn('taskset', args, { stdio: ['ignore', 'ignore', 'ignore'] });
    await new Promise((resolve) => { child.once('exit', resolve); });
    return JSON.parse(readFileSync(file, 'utf8'));
  } finally {
    await running.end();
  }
}

/** ns per packet of loops that only seal and send, by what they do. */
function bare() {
  const text = execFileSync('taskset', ['-c', '1', FORWARDING_BIN, '100', '5'], { encoding: 'utf8' });
  const gcm = text.split('AeadAes256Gcm')[0];
  return Object.fromEntries([...gcm.matchAll(/^ {2}(bare .*?|whole .*?|woken .*?) {2,}(\d+)/gm)].map(([, name, ns]) => [name, Number(ns)]));
}

function head(loops) {
  const { cpu, cores, system } = versions();
  const linked = execFileSync('ldd', [JANUS_BIN], { encoding: 'utf8' });
  const file = (name) => path.basename(execFileSync('readlink', ['-f', new RegExp(`=> (\\S*${name}\\S*)`).exec(linked)?.[1] ?? '/'],
    { encoding: 'utf8' }).trim());
  const packages = ['janus', 'libsrtp2-1', 'libnice10'].map((name) => {
    try {
      return `${name} ${execFileSync('dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8', stdio: 'pipe' })}`;
    } catch {
      return `${name} from elsewhere`;
    }
  });
  return [
    '# Beside Janus', '',
    'Written by `sudo make bench-janus` (`scripts/bench-janus.sh` says what it needs and takes): the same load on each server in',
    'turn, a fresh process each time, one core for the server, another for the load generator ([loadtest.md](loadtest.md)). CPU time',
    'is that of the server\'s process, as the system counts it. Janus logs at level 3, and loads only what is measured.', '',
    `* ${cpu}, ${cores} cores, ${system}; load average at the end ${os.loadavg().map((n) => n.toFixed(1)).join(', ')}.`,
    `* ${packages.join(', ')}; ${file('libsrtp2')}, ${file('libnice')}.`,
    `* ${new Date().toISOString().slice(0, 10)}, ${ROUNDS} runs of ${SECONDS} s each, alternating; medians.`, '',
    'What these do not say: the client is on the same machine, so the kernel takes the packet to it, and wakes it, in the server\'s time;',
    'that is in every figure, of all servers alike, and of the bare loops in those with woken receivers only. With few packets at a time',
    'most of a figure is the waking of idle cores.', '',
    `![How many times as much the better Janus takes](${path.relative(path.dirname(OUT), CHART)})`, '',
    '## Bare loops', '',
    'What sealing (AES-128-GCM) and sending 1,200 octets to 100 receivers costs without anything else, ns per packet, in the same hour:',
    '', '| loop | ns |', '|---|---|',
    ...Object.keys(loops[0] ?? {}).map((name) => `| ${name} | ${median(loops.map((l) => l[name]))} |`), '',
    '## Scenarios', '',
  ].join('\n');
}

mkdirSync(RAW, { recursive: true });
mkdirSync(path.dirname(CHART), { recursive: true });
const loops = [bare()];
const done = [];
for (const scenario of SCENARIOS.filter(({ name }) => only.test(name))) {
  const results = SERVERS.map(() => []);
  for (let round = 0; round < ROUNDS && !stopping; round += 1) {
    for (const [i, server] of SERVERS.entries()) {
      if (stopping) break;
      const file = path.join(RAW, `${scenario.name}-${i}-${round}.json`.replaceAll(/[^\w.-]+/g, '_'));
      try {
        const result = await measure(scenario, server, file);
        if (!result.ok || result.interrupted) throw new Error(`not counted: ${result.wrong?.join('; ') || 'interrupted'}`);
        results[i].push(result);
        const [name, unit, of] = scenario.figures[0];
        console.log(`${scenario.name}: round ${round + 1} of ${ROUNDS}, ${server.name}: ${name} ${of(result)?.toFixed(2)} ${unit}`);
      } catch (error) {
        console.log(`${scenario.name}: round ${round + 1}, ${server.name}: ${error.message}`);
      }
    }
  }
  if (stopping) break;
  done.push({ scenario, results });
}
if (stopping) {
  console.log('ended: nothing is written');
  process.exit(130);
}
loops.push(bare());
const tables = done.map(({ scenario, results }) => table(scenario, results, SERVERS));
writeFileSync(OUT, `${head(loops)}${tables.join('\n')}`);
const rows = done.map(({ scenario, results }) => ({ name: scenario.name, value: ratio(scenario, results) }));
writeFileSync(CHART, chart(rows.filter(({ value }) => Number.isFinite(value))));
console.log(`written: ${OUT}, ${CHART}`);
