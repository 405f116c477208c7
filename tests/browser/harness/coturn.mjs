// A TURN server of a test's own, on loopback, that takes credentials made from a secret.

import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import { freeTcpPort } from './ports.mjs';

const READY_WITHIN_MS = 10_000;

const missing = ['turnserver', 'turnutils_uclient'].find((tool) => spawnSync('which', [tool]).status !== 0);

/** Why tests with it are left out; false if they are not. */
export const withoutCoturn = missing ? `${missing} is not installed` : false;

/** Starts it; it ends with the test. Gives its port. */
export async function startCoturn(t, secret) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'portunus-coturn-'));
  const port = await freeTcpPort();
  const own = ['--log-file=stdout', `--pidfile=${folder}/pid`, `--userdb=${folder}/db`];
  const here = ['--listening-ip=127.0.0.1', `--listening-port=${port}`, '--relay-ip=127.0.0.1', '--allow-loopback-peers'];
  const child = spawn('turnserver', ['-n', ...own, ...here, '--realm=test', '--no-cli', '--no-tls', '--no-dtls',
    '--use-auth-secret', `--static-auth-secret=${secret}`], { stdio: 'ignore' });
  const ended = new Promise((resolve) => { child.once('close', resolve); });
  t.after(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true, force: true });
  });
  await answers(port);
  return port;
}

/** Ends when a STUN server at this port has answered a binding request. */
async function answers(port) {
  const socket = dgram.createSocket('udp4');
  socket.on('error', () => {});
  const binding = Buffer.concat([Buffer.from([0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]), randomBytes(12)]);
  const ask = setInterval(() => socket.send(binding, port, '127.0.0.1'), 100);
  try {
    await new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error('coturn does not answer')), READY_WITHIN_MS).unref();
      socket.once('message', resolve);
    });
  } finally {
    clearInterval(ask);
    socket.close();
  }
}

/** Whether a client with these credentials can send something to another by way of it, within `ms`. */
export function relayed(port, username, password, ms = 20_000) {
  const child = spawn('turnutils_uclient', ['-y', '-c', '-n', '1', '-m', '1', '-l', '100', '-u', username, '-w', password,
    '-p', String(port), '127.0.0.1'], { stdio: 'ignore' });
  const late = setTimeout(() => child.kill('SIGKILL'), ms);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => { clearTimeout(late); resolve(code === 0); });
  });
}
