// The servers that take turns: each run has a fresh process on core 1, with a folder of settings of its own.

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

const CORE = '1';
const ADDRESS = process.env.GATEWAY_ADDRESS;
// What nobody uses here is not loaded: it would count as memory of Janus.
const UNUSED = ['audiobridge', 'duktape', 'lua', 'nosip', 'recordplay', 'sip', 'streaming', 'textroom', 'voicemail'];
const TRANSPORTS = ['rabbitmq', 'mqtt', 'nanomsg', 'pfunix'];
const libraries = (names) => names.map((name) => `libjanus_${name}.so`).join(',');

export const SERVERS = [
  { name: 'Portunus', program: process.env.PORTUNUS_BIN, ours: true },
  { name: 'Janus', program: process.env.JANUS_BIN },
  { name: 'Janus, event_loops = 1', program: process.env.JANUS_BIN, general: 'event_loops = 1' },
];

/** Starts a server and waits until it listens. Returns its pid, the API's address (of WebSocket or HTTP), and how to end it. */
export async function start(server, { http = false } = {}) {
  const port = await freePort();
  const folder = mkdtempSync(path.join(os.tmpdir(), 'bench-janus-'));
  for (const [name, text] of Object.entries(settings(server, port, http))) writeFileSync(path.join(folder, name), text);
  const args = ['-c', CORE, server.program, '-F', folder];
  if (!server.ours) args.push('-C', path.join(folder, 'janus.jcfg'));
  const child = spawn('taskset', args, { stdio: 'ignore', cwd: folder });
  const gone = new Promise((resolve) => { child.once('exit', resolve); });
  const end = async () => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await gone;
    clearTimeout(timer);
    rmSync(folder, { recursive: true, force: true });
  };
  for (const until = Date.now() + 15_000; !(await listens(port));) {
    if (child.exitCode !== null || Date.now() > until) {
      await end();
      throw new Error(`${server.name} does not listen`);
    }
    await sleep(50);
  }
  return { pid: child.pid, api: http ? `http://127.0.0.1:${port}/janus` : `ws://127.0.0.1:${port}`, end };
}

function settings(server, port, http) {
  const unused = [...TRANSPORTS, http ? 'websockets' : 'http'];
  const rest = server.ours
    ? 'portunus: { udp_port = 0 }'
    : `plugins: { disable = "${libraries(UNUSED)}" }\ntransports: { disable = "${libraries(unused)}" }`;
  return {
    'janus.jcfg': `general: {\n  debug_level = 3\n  ${server.general ?? ''}\n}\nnat: { ice_enforce_list = "${ADDRESS}" }\n${rest}\n`,
    'janus.transport.http.jcfg':
      `general: { json = "compact", http = ${http}, port = ${port}, ip = "127.0.0.1" }\nadmin: { admin_http = false }\n`
        .replaceAll(', ', '\n  '),
    'janus.transport.websockets.jcfg':
      `general: { json = "compact", ws = ${!http}, ws_port = ${port}, ws_ip = "127.0.0.1" }\nadmin: { admin_ws = false }\n`
        .replaceAll(', ', '\n  '),
    'janus.plugin.videoroom.jcfg': 'general: { }\n',
    'janus.plugin.echotest.jcfg': 'general: { }\n',
  };
}

async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const { port } = server.address();
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); });
    socket.once('error', () => resolve(false));
  });
}

export const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** What is measured with what: for the head of the page. */
export function versions() {
  const cpu = /^model name\s*: (.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
  return { cpu, cores: os.cpus().length, system: `${os.type()} ${os.release()}` };
}
