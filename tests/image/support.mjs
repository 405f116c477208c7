// What the tests of the image share: containers of it, commands in them, and what is asked of them from outside.
//
// scripts/image/lab.sh runs the tests as a client outside of the docker host: requests go over a cable to a published port.
// IMAGE_SKIP says why there is no docker to test with; then those tests are skipped.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const IMAGE = `${process.env.TARGET_IMAGE_NAME ?? 'janus'}:${process.env.TARGET_IMAGE_TAG ?? 'latest'}`;
export const SHELL_IMAGE = `${IMAGE}-shell`;
/** The address of the docker host, as the client outside sees it. */
export const HOST = process.env.LAB_HOST;
export const TEST_MS = 60_000;
const READY_MS = 15_000;

const noLab = process.env.IMAGE_SKIP || (HOST ? false : 'no lab: run it by scripts/image/test.sh');

/** A test that needs docker and the lab; elsewhere it is skipped, with the reason. */
export const inLab = (name, options, body) => it(name, { skip: noLab, ...options }, body);

const execute = promisify(execFile);

/** What a program says; its failure is thrown, with what it said. */
export async function run(command, args, { input, ...options } = {}) {
  const child = execute(command, args, { encoding: 'utf8', maxBuffer: 64e6, timeout: 120_000, ...options });
  if (input !== undefined) child.child.stdin.end(input);
  const { stdout } = await child;
  return stdout;
}

/** The same, with the exit code and both outputs instead of an error. */
export async function attempt(command, args, options = {}) {
  try {
    const { stdout, stderr } = await execute(command, args, { encoding: 'utf8', maxBuffer: 64e6, timeout: 120_000, ...options });
    return { code: 0, stdout, stderr };
  } catch (error) {
    if (typeof error.code !== 'number') throw error;
    return { code: error.code, stdout: error.stdout, stderr: error.stderr };
  }
}

export const docker = (...args) => run('docker', args);

/** A folder that ends with the test. Everybody may look in, as with what is mounted into a container. */
export function folder(t, files = {}) {
  const place = mkdtempSync(path.join(os.tmpdir(), 'portunus-image-'));
  chmodSync(place, 0o755);
  t.after(() => rmSync(place, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(place, name), content);
  return place;
}

/** A certificate for the docker host's address, in a folder as certbot has it; readable by all. */
export async function certificates(t) {
  const place = folder(t);
  await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=portunus-lab',
    '-addext', `subjectAltName=IP:${HOST}`, '-keyout', path.join(place, 'privkey.pem'), '-out', path.join(place, 'fullchain.pem')]);
  chmodSync(path.join(place, 'privkey.pem'), 0o644);
  return place;
}

let lastPort = 21_000 + (process.pid % 300) * 20;
/** Ports of the docker host, other ones each time. */
export const port = () => { lastPort += 1; return lastPort; };

/**
 * Runs the image until the test ends. `env`, `volumes` ([from, to] or [from, to, 'ro']) and `options` are docker's;
 * `media` publishes a media port and tells the gateway of it. Ends when the Janus API answers, unless `ready` is false.
 */
export async function start(t, { image = IMAGE, env = {}, volumes = [], options = [], media = true, ready = true, certs = true } = {}) {
  const ports = { https: port(), admin: port(), media: port() };
  const mounts = [...volumes];
  if (certs) mounts.push([await certificates(t), '/etc/certs', 'ro']);
  // The image names a public STUN server, and tests ask nobody outside.
  const stun = { STUN_SERVER: '127.0.0.1:9' };
  const settings = media ? { ...stun, PUBLIC_IP: HOST, MEDIA_PORT: String(ports.media), ...env } : { ...stun, ...env };
  const name = `portunus-test-${process.pid}-${ports.https}`;
  t.after(() => docker('rm', '--force', '--volumes', name).catch(() => {}));
  await docker('run', '--detach', '--name', name,
    '--publish', `${ports.https}:8089`, '--publish', `${ports.admin}:7889`,
    ...(media ? ['--publish', `${ports.media}:${ports.media}/udp`] : []),
    ...Object.entries(settings).flatMap(([key, value]) => ['--env', `${key}=${value}`]),
    ...mounts.flatMap((parts) => ['--volume', parts.join(':')]), ...options, image);
  const container = new Container(name, ports);
  if (ready) await container.ready();
  return container;
}

export class Container {
  constructor(name, ports) {
    Object.assign(this, { name, ports, http: `https://${HOST}:${ports.https}/janus`, admin: `https://${HOST}:${ports.admin}/admin` });
  }

  async ready() {
    await until('the gateway answers', READY_MS, async () => {
      const { Running: running, ExitCode: code } = (await this.inspect()).State;
      if (!running) assert.fail(`it ended with ${code}:\n${await this.log()}`);
      return (await get(`${this.http}/info`).catch(() => null))?.status === 200;
    }, () => this.log());
    return this;
  }

  async inspect() { return JSON.parse(await docker('inspect', this.name))[0]; }

  async log() {
    const { stdout, stderr } = await attempt('docker', ['logs', this.name]);
    return stdout + stderr;
  }

  /** Runs a program of the image in the container. */
  exec(...args) { return attempt('docker', ['exec', this.name, ...args]); }

  /** The content of a file in the container. */
  async file(place) {
    return (await execute('sh', ['-c', 'docker cp "$1" - | tar --extract --to-stdout', 'sh', `${this.name}:${place}`], { encoding: 'utf8', maxBuffer: 64e6 })).stdout;
  }

  /** `docker stop`, and how long it took in ms. */
  async stop(patience = 10) {
    const begun = performance.now();
    await docker('stop', '--time', String(patience), this.name);
    return performance.now() - begun;
  }
}

/** Polls until `look()` gives something true. */
export async function until(what, ms, look, story = async () => '') {
  for (const end = Date.now() + ms; ;) {
    const value = await look();
    if (value) return value;
    if (Date.now() > end) assert.fail(`${what}: not within ${ms} ms\n${await story()}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

/** GET, or POST of `body` as JSON; any certificate is trusted. `{status, text, json, certificate}`. */
export function get(url, body) {
  return new Promise((resolve, reject) => {
    const bytes = body === undefined ? '' : JSON.stringify(body);
    const request = https.request(url, { method: bytes ? 'POST' : 'GET', rejectUnauthorized: false, agent: false, timeout: 5_000 }, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        let json = null;
        try { json = JSON.parse(text); } catch { /* a page */ }
        resolve({ status: response.statusCode, text, json });
      });
    });
    request.once('timeout', () => request.destroy(new Error('no answer')));
    request.once('error', reject);
    request.end(bytes);
  });
}

/** Starts a program that is ended with the test. */
export function background(t, command, args, options = {}) {
  const child = spawn(command, args, { stdio: 'ignore', ...options });
  t.after(() => child.kill('SIGKILL'));
  return child;
}
