// What the tests of operation share: clients, what a gateway says of itself, and how long its answers take.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';

import { startGateway } from '../browser/harness/gateway.mjs';
import { mergeSettings } from '../browser/harness/jcfg.mjs';
import { freeTcpPort } from '../browser/harness/ports.mjs';
import { WebSocket } from '../browser/harness/websocket.mjs';

export { sleep } from '../browser/harness/tab.mjs';

/** The long form: more of everything, for minutes. */
export const LONG = process.env.OPERATE_LONG === '1';
const REPLY_MS = 15_000;
/** About how often a probe asks. */
const INTERVAL_MS = 4;

/** A gateway that ends with the test, with its metrics at `gateway.monitor`. */
export async function started(t, settings = {}) {
  const port = await freeTcpPort();
  const gateway = await startGateway(mergeSettings({ janus: { portunus: { metrics_port: port } } }, settings));
  t.after(() => gateway.stop());
  gateway.monitor = `http://127.0.0.1:${port}`;
  return gateway;
}

/** The metrics by their name with labels, as the page spells it: `name{label="value"}`. */
export async function metrics(gateway) {
  const page = await (await fetch(`${gateway.monitor}/metrics`)).text();
  const lines = page.split('\n').filter((line) => line && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => {
    const end = line.lastIndexOf(' ');
    return [line.slice(0, end), Number(line.slice(end + 1))];
  }));
}

/** Polls until `look()` gives something true. */
export async function until(what, ms, look) {
  for (const end = Date.now() + ms; ;) {
    const value = await look();
    if (value) return value;
    if (Date.now() > end) assert.fail(`${what}: not within ${ms} ms`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}

/** Memory of a process in KB: what is resident, and the most that ever was. */
export function memory(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)[1]);
  return { rss: of('VmRSS'), peak: of('VmHWM') };
}

/** Seconds of CPU a process has used, all its threads together. */
export function cpuSeconds(pid) {
  const { user, system } = cpuTimes(pid);
  return user + system;
}

/** The same by where: in its own code, and in the kernel's. */
export function cpuTimes(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 13).map((ticks) => Number(ticks) / 100);
  return { user, system };
}

/**
 * Twice as slow as before, and 20 ms, is what a healthy client may notice of others' trouble; and what the machine is
 * slow with anything at the time, which is not our fault.
 */
export const isAsQuick = (now, before) => now.p99 <= 2 * before.p99 + 20 + now.machine;

/** Another process may keep the machine busy for a moment; what is our fault shows each time. */
export const ATTEMPTS = 3;

export function assertAsQuick(now, before, what) {
  assert.ok(isAsQuick(now, before), `${what}: p50, p99, max ${told(now)}, before ${told(before)}`);
}

/** The value that the part `p` of all do not exceed. */
export function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
}

export function told({ p50, p99, max, machine }) {
  const [mid, high, most] = [p50, p99, max].map((value) => value.toFixed(1));
  return `${mid}, ${high}, ${most} ms (the machine: ${machine.toFixed(1)} ms)`;
}
export const mb = (kilobytes) => `${(kilobytes / 1024).toFixed(1)} MB`;

/** A client of the Janus API (or the Admin API) over a WebSocket. */
export class Client {
  static async open(url, { admin = false, patience = REPLY_MS, ...options } = {}) {
    const client = new Client();
    client.patience = patience;
    const protocol = admin ? 'janus-admin-protocol' : 'janus-protocol';
    client.socket = new WebSocket(url, protocol, { perMessageDeflate: false, ...options });
    client.waiting = new Map();
    client.next = 1;
    client.socket.on('message', (bytes) => client.#take(JSON.parse(bytes)));
    client.closed = new Promise((resolve) => { client.socket.once('close', () => resolve(client.#lose())); });
    await new Promise((resolve, reject) => {
      client.socket.once('open', resolve);
      client.socket.once('error', reject);
    });
    // What comes after an end is told by `closed`.
    client.socket.on('error', () => {});
    return client;
  }

  /** The reply, or the event that answers when it is only an `ack`; errors are replies, too. */
  request(body, { event = false } = {}) {
    const transaction = `t${this.next}`;
    this.next += 1;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.waiting.delete(transaction);
        reject(new Error(`no answer to ${JSON.stringify(body).slice(0, 200)} within ${this.patience} ms`));
      }, this.patience);
      this.waiting.set(transaction, { resolve, reject, late, event });
      this.socket.send(JSON.stringify({ transaction, ...body }));
    });
  }

  /** A session, and a handle at a plugin if one is named. */
  async session(plugin) {
    const { data } = await this.request({ janus: 'create' });
    this.place = { session_id: data.id };
    if (plugin) {
      const attached = await this.request({ janus: 'attach', plugin, ...this.place });
      this.place.handle_id = attached.data.id;
    }
    return this.place;
  }

  message(body, options) {
    return this.request({ janus: 'message', body, ...this.place }, options);
  }

  close() {
    this.socket.terminate();
    return this.closed;
  }

  #take(message) {
    const one = this.waiting.get(message.transaction);
    if (!one || (one.event && message.janus === 'ack')) return;
    this.waiting.delete(message.transaction);
    clearTimeout(one.late);
    one.resolve(message);
  }

  #lose() {
    for (const { reject, late } of this.waiting.values()) {
      clearTimeout(late);
      reject(new Error('the connection ended'));
    }
    this.waiting.clear();
  }
}

/**
 * A healthy client: asks again and again and keeps how long each answer took. `cut()` sums up the milliseconds since
 * the last one. While an answer is late nothing more is asked, so every interval of waiting counts as a request that
 * would have waited for the rest: else a gateway that hangs for seconds would show as one slow answer.
 */
export async function startProbe(t, gateway, { pause = 2, ...options } = {}) {
  const machine = await startEcho(t);
  const client = await Client.open(gateway.ws, options);
  await client.session('janus.plugin.videoroom');
  let times = [];
  let echoes = [];
  let running = true;
  const asks = [() => client.message({ request: 'exists', room: 1234 }),
    () => client.request({ janus: 'keepalive', session_id: client.place.session_id })];
  const again = async (ask, keep) => {
    for (let turn = 0; running; turn += 1) {
      const begun = performance.now();
      const reply = await ask(turn);
      for (let took = performance.now() - begun; took > 0; took -= INTERVAL_MS) keep(took);
      assert.ok(['success', 'ack', 'echo'].includes(reply.janus), JSON.stringify(reply));
      await new Promise((resolve) => { setTimeout(resolve, pause); });
    }
  };
  const loop = Promise.all([
    again((turn) => asks[turn % asks.length](), (took) => times.push(took)),
    again(() => machine.ask(), (took) => echoes.push(took)),
  ]);
  // A failure is told by `stop`; until then it must not end the process.
  loop.catch(() => {});
  const probe = {
    cut() {
      const [taken, reference] = [times, echoes];
      [times, echoes] = [[], []];
      const [p50, p99, max] = [0.5, 0.99, 1].map((part) => percentile(taken, part));
      return { p50, p99, max, machine: reference.length > 0 ? percentile(reference, 0.99) : 0 };
    },
    async stop() {
      running = false;
      await loop;
      await client.close();
    },
  };
  t.after(() => { running = false; return client.close(); });
  return probe;
}

const ECHO = `const server = require('net').createServer((socket) => socket.pipe(socket));
  server.listen(0, '127.0.0.1', () => console.log(server.address().port));`;

/** A process that gives back what it gets: how quick the machine is just now with the simplest of all servers. */
async function startEcho(t) {
  const child = spawn(process.execPath, ['-e', ECHO], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const port = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.stdout.once('data', (line) => resolve(Number(line)));
  });
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  const ask = () => new Promise((resolve) => {
    socket.once('data', () => resolve({ janus: 'echo' }));
    socket.write('x');
  });
  return { ask };
}

/** A POST of JSON by way of `agent`, and what came back. */
export function post(url, body, { agent, headers = {}, ...options } = {}) {
  const bytes = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const request = (options.module ?? http).request(url, {
      method: 'POST', agent, headers: { 'content-length': Buffer.byteLength(bytes), ...headers }, ...options,
    }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        try {
          resolve({ status: response.statusCode, socket: response.socket, json: JSON.parse(Buffer.concat(chunks)) });
        } catch (error) { reject(error); }
      });
    });
    request.setTimeout(REPLY_MS, () => request.destroy(new Error(`no answer within ${REPLY_MS} ms`)));
    request.once('error', reject);
    request.end(bytes);
  });
}
