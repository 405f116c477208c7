// Starts and stops the gateway under test.
//
// PORTUNUS_BIN names the binary (default: target/release/portunus, else target/debug/portunus).
// GATEWAY=janus runs the installed Janus instead: the oracle. Janus uses no loopback interface for media, so that
// run needs an address of its own (scripts/in-namespace.sh gives one) in GATEWAY_ADDRESS.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { mergeSettings, writeJcfg } from './jcfg.mjs';
import { freeTcpPort } from './ports.mjs';
import { Program } from './program.mjs';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const ORACLE = process.env.GATEWAY === 'janus';
/** The address media flows over. */
export const ADDRESS = ORACLE ? (process.env.GATEWAY_ADDRESS ?? '127.0.0.1') : '127.0.0.1';

const READY_WITHIN_MS = 15_000;

/** A running gateway: `http` and `ws` are the addresses of its Janus API, `admin` those of its Admin API. */
export class Gateway extends Program {
  constructor({ child, ...about }) {
    super(child);
    Object.assign(this, about);
  }

  async ready() {
    const until = Date.now() + READY_WITHIN_MS;
    while (Date.now() < until) {
      if (this.exited !== null) throw new Error(`the gateway ended (${this.exited}) before it was ready:\n${this.log}`);
      const answer = await fetch(`${this.http}/info`, { signal: AbortSignal.timeout(1000) }).catch(() => null);
      if (answer?.ok) {
        this.info = await answer.json();
        return this;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`the gateway did not answer ${this.http}/info within ${READY_WITHIN_MS} ms:\n${this.log}`);
  }

  async stop() {
    await super.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Starts a gateway with a configuration folder of its own; `settings` is laid over the defaults of the tests. */
export async function startGateway(settings = {}, { oracle = ORACLE } = {}) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'portunus-test-'));
  const httpPort = await freeTcpPort();
  const wsPort = await freeTcpPort();
  const adminPorts = { http: await freeTcpPort(), ws: await freeTcpPort() };
  const defaults = (oracle ? janusSettings : ourSettings)(httpPort, wsPort, adminPorts);
  const files = mergeSettings(defaults, settings);
  for (const [name, sections] of Object.entries(files)) {
    await writeFile(path.join(folder, `${name}.jcfg`), writeJcfg(sections));
  }
  const [command, ...args] = oracle
    ? ['janus', '-F', folder, '-C', path.join(folder, 'janus.jcfg')]
    : [gatewayBinary(), '-F', folder];
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder });
  const origin = `http://127.0.0.1:${httpPort}`;
  const admin = { origin: `http://127.0.0.1:${adminPorts.http}`, http: `http://127.0.0.1:${adminPorts.http}/admin`, ws: `ws://127.0.0.1:${adminPorts.ws}/` };
  const [http, ws] = [`${origin}/janus`, `ws://127.0.0.1:${wsPort}/`];
  const gateway = new Gateway({ child, folder, oracle, http, ws, origin, admin });
  try {
    return await gateway.ready();
  } catch (error) {
    await gateway.stop();
    throw error;
  }
}

export function gatewayBinary() {
  const named = process.env.PORTUNUS_BIN;
  const places = named ? [named] : ['release', 'debug'].map((kind) => path.join(ROOT, 'target', kind, 'portunus'));
  const found = places.find((place) => existsSync(place));
  if (!found) throw new Error(`no gateway binary at ${places.join(' or ')}: run "cargo build --release -p portunus"`);
  return path.resolve(found);
}

function listeners(httpPort, wsPort, adminPorts) {
  return {
    'janus.transport.http': {
      general: { json: 'compact', base_path: '/janus', http: true, port: httpPort, ip: '127.0.0.1', https: false },
      admin: { admin_http: true, admin_port: adminPorts.http, admin_ip: '127.0.0.1', admin_https: false },
    },
    'janus.transport.websockets': {
      general: { json: 'compact', ws: true, ws_port: wsPort, ws_ip: '127.0.0.1', wss: false },
      admin: { admin_ws: true, admin_ws_port: adminPorts.ws, admin_ws_ip: '127.0.0.1', admin_wss: false },
    },
    'janus.plugin.echotest': { general: { events: true } },
    'janus.plugin.videoroom': {
      general: { events: true },
      'room-1234': { description: 'Demo room', publishers: 6, bitrate: 1_000_000, fir_freq: 10 },
    },
  };
}

function ourSettings(...ports) {
  return {
    janus: {
      general: { debug_level: Number(process.env.GATEWAY_DEBUG ?? 4), session_timeout: 60 },
      nat: { allow_loopback: true },
      portunus: { udp_port: 0, demos_folder: path.join(ROOT, 'html_samples') },
    },
    ...listeners(...ports),
  };
}

function janusSettings(...ports) {
  const off = (names) => names.map((name) => `libjanus_${name}.so`).join(',');
  return {
    janus: {
      general: { debug_level: Number(process.env.GATEWAY_DEBUG ?? 4), debug_colors: false, session_timeout: 60 },
      nat: { ice_enforce_list: process.env.GATEWAY_ADDRESS ?? '127.0.0.1' },
      plugins: {
        disable: off(['audiobridge', 'duktape', 'lua', 'nosip', 'recordplay', 'sip', 'streaming', 'textroom',
          'voicemail']),
      },
      transports: { disable: off(['rabbitmq', 'mqtt', 'nanomsg', 'pfunix']) },
    },
    ...listeners(...ports),
  };
}
