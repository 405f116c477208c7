// The gateways under test, started with Janus' command line in a namespace: Debian's Janus, the reference, and ours.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { gatewayBinary } from '../browser/harness/gateway.mjs';
import { mergeSettings, writeJcfg } from '../browser/harness/jcfg.mjs';
import { until } from './spaces.mjs';

export const ROOM = 1234;
export const HTTP_PORT = 8088;
const READY_WITHIN_MS = 15_000;
let count = 0;

const SHARED = {
  janus: { general: { debug_level: Number(process.env.GATEWAY_DEBUG ?? 4), session_timeout: 60 } },
  'janus.transport.http': { general: { json: 'compact', base_path: '/janus', http: true, port: HTTP_PORT, https: false }, admin: { admin_http: false } },
  'janus.transport.websockets': { general: { ws: false } },
  'janus.plugin.echotest': { general: { events: false } },
  'janus.plugin.videoroom': { general: { events: false }, [`room-${ROOM}`]: { description: 'NAT test', publishers: 6, bitrate: 512_000, fir_freq: 10 } },
};
const off = (names) => names.map((name) => `libjanus_${name}.so`).join(',');
const JANUS_ONLY = {
  janus: {
    plugins: { disable: off(['audiobridge', 'duktape', 'lua', 'nosip', 'recordplay', 'sip', 'streaming', 'textroom', 'videocall', 'voicemail']) },
    transports: { disable: off(['rabbitmq', 'mqtt', 'nanomsg', 'pfunix', 'websockets']) },
  },
};

/** Starts `kind` ('janus' or 'ours') in a namespace; it is ready when it answers at `address` there. */
export async function startGateway(spaces, role, kind, flags, { address, settings = {}, env = {} }) {
  const folder = path.join(spaces.folder, `gateway-${count}`);
  count += 1;
  mkdirSync(folder);
  const files = mergeSettings(kind === 'janus' ? mergeSettings(SHARED, JANUS_ONLY) : SHARED, settings);
  for (const [name, sections] of Object.entries(files)) writeFileSync(path.join(folder, `${name}.jcfg`), writeJcfg(sections));
  const command = kind === 'janus' ? 'janus' : gatewayBinary();
  const gateway = spaces.start(role, command, ['-F', folder, '-o', ...flags], { env });
  await until(`${kind} ${flags.join(' ')}`, READY_WITHIN_MS, () => {
    if (gateway.exited !== null) throw new Error(`${kind} ended (${gateway.exited}) before it was ready:\n${gateway.log}`);
    return spaces.attempt(role, 'curl', '-s', '-m', '1', `http://${address}:${HTTP_PORT}/janus/info`).includes('server_info');
  }).catch(async (error) => {
    await gateway.stop();
    throw new Error(`${error.message}\n${gateway.log}`);
  });
  return gateway;
}
