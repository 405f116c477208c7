// The certificate of the HTTPS and WSS listeners is replaced while clients come and go: new connections get the new
// one, a broken file changes nothing, and no request fails.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import https from 'node:https';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';

import { freeTcpPort } from '../browser/harness/ports.mjs';
import { Client, LONG, metrics, post, sleep, started, until } from './support.mjs';

/** Files are looked at every 5 s. */
const SEEN_MS = 10_000;
/** A signal is obeyed at once. */
const SIGNAL_MS = 3_000;
const LOOPS = 2;
const REST_MS = LONG ? 30_000 : 500;
const FAILED = 'portunus_reloads_total{result="failed"}';
const DONE = 'portunus_reloads_total{result="ok"}';

describe('a certificate that is replaced under load', () => {
  it('is shown to new connections soon, and a broken one never', { timeout: 90_000 + 4 * REST_MS }, async (t) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'portunus-certificates-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    // Certificate and key in one file: replaced in one step, so the two always belong together.
    const file = path.join(folder, 'server.pem');
    const made = [1, 2, 3].map((serial) => certificate(folder, serial));
    const install = async (text) => {
      await writeFile(`${file}.new`, text);
      await rename(`${file}.new`, file);
    };
    await install(await readFile(made[0].file));
    const ports = { https: await freeTcpPort(), wss: await freeTcpPort() };
    const certificates = { cert_pem: file, cert_key: file };
    const gateway = await started(t, {
      'janus.transport.http': {
        general: { https: true, secure_port: ports.https, secure_ip: '127.0.0.1' }, certificates,
      },
      'janus.transport.websockets': {
        general: { wss: true, wss_port: ports.wss, wss_ip: '127.0.0.1' }, certificates,
      },
    });
    const ca = await Promise.all(made.map((one) => readFile(one.certificate)));
    const load = startLoad(t, ports, ca);
    const shown = (serial, within) => until(`both show ${serial}`, within,
      () => Object.values(load.shown).every((now) => now === serial));

    await shown('01', SIGNAL_MS);
    await sleep(REST_MS);
    assert.equal((await metrics(gateway))[DONE], 0, 'nothing is read again while nothing changes');

    let begun = performance.now();
    await install(await readFile(made[1].file));
    await shown('02', SEEN_MS);
    t.diagnostic(`a new file was taken over within ${Math.round(performance.now() - begun)} ms`);
    assert.equal((await metrics(gateway))[FAILED], 0);

    await install('-----BEGIN CERTIFICATE-----\nhalf a cert');
    await until('the broken file is counted', SEEN_MS, async () => (await metrics(gateway))[FAILED] > 0);
    const { [FAILED]: failed } = await metrics(gateway);
    process.kill(gateway.pid, 'SIGHUP');
    await until('and again on SIGHUP', SIGNAL_MS, async () => (await metrics(gateway))[FAILED] > failed);
    await sleep(REST_MS);
    assert.deepEqual(load.shown, { https: '02', wss: '02' }, 'the old one stays');

    begun = performance.now();
    await install(await readFile(made[2].file));
    process.kill(gateway.pid, 'SIGHUP');
    await shown('03', SIGNAL_MS);
    t.diagnostic(`SIGHUP took ${Math.round(performance.now() - begun)} ms`);

    await load.stop();
    t.diagnostic(`${load.count} connections, each with a request`);
    assert.deepEqual(load.failures, []);
    assert.ok(load.count > 100, `${load.count} requests`);
    assert.equal(gateway.exited, null);
  });
});

/** A self-signed certificate for 127.0.0.1, and a file with it and its key. */
function certificate(folder, serial) {
  const [key, pem, both] = ['key', 'crt', 'pem'].map((end) => path.join(folder, `${serial}.${end}`));
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const name = ['-subj', `/CN=portunus test ${serial}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const out = ['-set_serial', String(serial), '-keyout', key, '-out', pem];
  execFileSync('openssl', ['req', '-x509', ...kind, ...name, ...out], { stdio: 'pipe' });
  execFileSync('sh', ['-c', 'cat "$1" "$2" > "$3"', 'sh', pem, key, both]);
  return { file: both, certificate: pem };
}

/** Connections that are made, asked one thing and closed, again and again; `shown` is each kind's last certificate. */
function startLoad(t, ports, ca) {
  const load = { shown: { https: null, wss: null }, count: 0, failures: [] };
  const ways = {
    async https() {
      // `false`: a connection of its own for each request.
      const url = `https://127.0.0.1:${ports.https}/janus`;
      const reply = await post(url, { janus: 'ping', transaction: 'x' }, { module: https, agent: false, ca });
      assert.equal(reply.json.janus, 'pong');
      return reply.socket.getPeerCertificate().serialNumber;
    },
    async wss() {
      const client = await Client.open(`wss://127.0.0.1:${ports.wss}/`, { ca });
      try {
        assert.equal((await client.request({ janus: 'ping' })).janus, 'pong');
        return client.socket._socket.getPeerCertificate().serialNumber;
      } finally {
        await client.close();
      }
    },
  };
  let running = true;
  const turn = async (kind) => {
    while (running) {
      try {
        load.shown[kind] = await ways[kind]();
        load.count += 1;
      } catch (error) {
        load.failures.push(`${kind}: ${error.message}`);
      }
      await sleep(5);
    }
  };
  const all = Object.keys(ways).flatMap((kind) => Array.from({ length: LOOPS }, () => turn(kind)));
  load.stop = () => { running = false; return Promise.all(all); };
  t.after(load.stop);
  return load;
}
