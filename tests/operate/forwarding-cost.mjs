// What 500 forwarders cost: CPU time of the gateway for each packet they send, ours and the installed Janus in turns. One
// browser publishes sound and picture; without forwarders the same call is the baseline.
//
//   OPERATE_LONG=1 node --test tests/operate/forwarding-cost.mjs
//
// Janus takes no media over loopback: beside it as root, by way of scripts/in-namespace.sh.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';
import { startGateway } from '../browser/harness/gateway.mjs';
import { freeTcpPort } from '../browser/harness/ports.mjs';
import { servePages } from '../browser/harness/pages.mjs';
import { startSink } from '../browser/harness/udp.mjs';
import { Client, LONG, cpuTimes, metrics, sleep } from './support.mjs';

const SINK = path.join(path.dirname(fileURLToPath(import.meta.url)), 'deaf-sink.py');
const [EACH, ROUNDS, BASELINE_S, SECONDS] = [250, 3, 10, 20];
const [SETTLE_MS, AT_ONCE, ROOM] = [3_000, 50, 1234];
const HOST = '127.0.0.1';
/** Of what the publisher sent; a picture that comes while it is counted is about a thousandth of it. */
const LOST = 0.003;
const SETTINGS = { janus: { general: { debug_level: 3 } }, 'janus.plugin.videoroom': { general: { events: false } } };
const TIMEOUT = { timeout: ROUNDS * 2 * (BASELINE_S + SECONDS + 40) * 1_000 };

describe('forwarding', LONG ? {} : { skip: 'OPERATE_LONG=1 measures it' }, () => {
  let pages;
  before(async () => { pages = await servePages(); });
  after(async () => {
    await closeBrowser();
    await pages?.stop();
  });

  for (const sealed of [false, true]) {
    it(`to ${2 * EACH} ports${sealed ? ' as SRTP' : ''} loses nothing, and costs no more than Janus`, TIMEOUT, (t) => compare(t, pages, sealed));
  }
});

async function compare(t, pages, sealed) {
  const names = ['portunus', ...(hasJanus() ? ['janus'] : [])];
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 1; round <= ROUNDS; round += 1) {
    for (const name of names) {
      const result = await measure(t, pages, { oracle: name === 'janus', sealed });
      results[name].push(result);
      t.diagnostic(`round ${round} ${name.padEnd(8)} ${told(result)}`);
    }
  }
  const medians = names.map((name) => {
    const of = (key) => median(results[name].map((result) => result[key]));
    return Object.fromEntries(Object.keys(results[name][0]).map((key) => [key, of(key)]));
  });
  names.forEach((name, i) => t.diagnostic(`median  ${name.padEnd(8)} ${told(medians[i])}`));
  const [ours, theirs] = medians;
  assert.ok(results.portunus.every(({ lost }) => lost < LOST), 'packets are lost');
  if (!theirs) return;
  t.diagnostic(`Janus / Portunus: ${(theirs.each / ours.each).toFixed(2)}`);
  assert.ok(ours.each <= theirs.each, 'a packet costs more than in Janus');
}

/** One round with a fresh process. */
async function measure(t, pages, { oracle, sealed }) {
  const monitor = await freeTcpPort();
  const own = oracle ? {} : { portunus: { metrics_port: monitor } };
  const gateway = await startGateway({ ...SETTINGS, janus: { ...SETTINGS.janus, ...own } }, { oracle });
  gateway.monitor = `http://127.0.0.1:${monitor}`;
  const [tab, deaf, heard] = [await newTab(), await startDeaf(2 * EACH), [await startSink(), await startSink()]];
  try {
    const id = await publish(tab, pages, gateway);
    const client = await Client.open(gateway.ws);
    await client.session('janus.plugin.videoroom');
    const forward = async (streams, key = {}) => {
      const { plugindata: { data } } = await client.message({ request: 'rtp_forward', room: ROOM, publisher_id: id, host: HOST, streams, ...key });
      assert.equal(data.forwarders?.length, streams.length, JSON.stringify(data).slice(0, 300));
    };
    // What is sent: those two are listened to.
    await forward(heard.map(({ port }, i) => ({ mid: String(i), port })));
    await sleep(SETTLE_MS);
    const baseline = await during(gateway, BASELINE_S, heard, deaf);
    const streams = deaf.ports.map((port, i) => ({ mid: String(i % 2), port }));
    // Each has a key of its own, so that nothing can be sealed once for several.
    const atOnce = sealed ? 1 : AT_ONCE;
    const key = () => (sealed ? { srtp_suite: 80, srtp_crypto: randomBytes(30).toString('base64') } : {});
    for (let at = 0; at < streams.length; at += atOnce) await forward(streams.slice(at, at + atOnce), key());
    await sleep(SETTLE_MS);
    const sent = oracle ? null : await forwarded(gateway);
    const loaded = await during(gateway, SECONDS, heard, deaf);
    const own = oracle ? null : await forwarded(gateway) - sent;
    await client.close();
    if (own) t.diagnostic(`portunus_forwarded_total grew by ${own}, ${loaded.arrived + loaded.published} came`);
    const each = (cpu) => (loaded[cpu] / loaded.seconds - baseline[cpu] / baseline.seconds) * loaded.seconds / loaded.arrived * 1e6;
    return {
      each: each('cpu'),
      own: each('user'),
      baseline: baseline.cpu / baseline.seconds,
      cpu: loaded.cpu / loaded.seconds,
      rate: loaded.arrived / loaded.seconds,
      lost: Math.max(0, 1 - loaded.arrived / (EACH * loaded.published)),
    };
  } finally {
    await tab.close();
    deaf.stop();
    await Promise.all(heard.map((sink) => sink.close()));
    await gateway.stop();
  }
}

const forwarded = async (gateway) => (await metrics(gateway)).portunus_forwarded_total;

/** A browser's sound and picture in the room; its id. */
async function publish(tab, pages, gateway) {
  await tab.goto(`${pages.origin}/pages/room.html`);
  await tab.run((server) => window.room.open({ server }), gateway.ws);
  const tracks = [{ type: 'audio', capture: true, recv: false }, { type: 'video', capture: { width: 640, height: 480 }, recv: false }];
  const { joined } = await tab.run((given) => window.room.enter('ann', given), { room: ROOM, tracks });
  return joined.id;
}

/** CPU time and packets of a while: those that the publisher sent, and those that came to the ports nobody reads. */
async function during(gateway, seconds, heard, deaf) {
  const count = () => heard.reduce((sum, sink) => sum + sink.got.length, 0);
  const look = () => {
    const { user, system } = cpuTimes(gateway.pid);
    return { at: performance.now(), cpu: user + system, user, published: count(), arrived: deaf.dropped() };
  };
  const first = look();
  await sleep(seconds * 1_000);
  const last = look();
  const grew = (key) => last[key] - first[key];
  return { seconds: grew('at') / 1_000, cpu: grew('cpu'), user: grew('user'), published: grew('published'), arrived: grew('arrived') };
}

/** Ports that nobody reads. */
async function startDeaf(count) {
  const child = spawn('python3', [SINK, String(count)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ports = await new Promise((resolve, reject) => {
    let line = '';
    child.once('error', reject);
    child.once('exit', () => reject(new Error('the sink ended')));
    child.stdout.on('data', (text) => {
      line += text;
      if (line.endsWith('\n')) resolve(line.trim().split(' ').map(Number));
    });
  });
  const wanted = new Set(ports);
  return {
    ports,
    /** What the kernel has dropped of what came to them. */
    dropped: () => readFileSync('/proc/net/udp', 'utf8').trim().split('\n').slice(1).reduce((sum, line) => {
      const fields = line.trim().split(/\s+/);
      return sum + (wanted.has(parseInt(fields[1].split(':')[1], 16)) ? Number(fields.at(-1)) : 0);
    }, 0),
    stop: () => child.stdin.end(),
  };
}

function told({ each, own, baseline, cpu, rate, lost }) {
  return `${each.toFixed(2)} µs a packet (${own.toFixed(2)} in its own code), ${rate.toFixed(0)} packets a second, ${(100 * cpu).toFixed(1)} % of a core `
    + `(${(100 * baseline).toFixed(1)} % without forwarders), ${(100 * lost).toFixed(3)} % lost`;
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

/** Whether Janus is here, with an address it takes media at. */
function hasJanus() {
  try {
    execFileSync('sh', ['-c', 'command -v janus'], { stdio: 'ignore' });
    return Boolean(process.env.GATEWAY_ADDRESS);
  } catch {
    return false;
  }
}
