// Runs in a namespace with the address GATEWAY_ADDRESS: a TURN server, the gateway and a browser. The gateway's own media
// ports are shut, so that packets go through the relay or not at all.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { closeBrowser, newTab } from '../../browser/harness/chromium.mjs';
import { servePages } from '../../browser/harness/pages.mjs';
import { CAMERA, MICROPHONE, TEST_MS } from '../../browser/harness/suite.mjs';
import { metrics, post, started, until } from '../support.mjs';

const ADDRESS = process.env.GATEWAY_ADDRESS;
const MEDIA_PORT = 20_000;
const PORTS = { udp: 3478, tcp: 3478, tls: 5349 };
const ALLOCATED_MS = 10_000;
const EXIT_MS = 10_000;
const USER = 'gateway';
const PASSWORD = 'hunter2';

let folder;
let pages;
let coturn;
before(async () => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'portunus-turn-'));
  certificates();
  for (const [chain, side] of [['INPUT', '--dport'], ['OUTPUT', '--sport']]) {
    execFileSync('iptables', ['-A', chain, '-p', 'udp', side, String(MEDIA_PORT), '-j', 'DROP']);
  }
  coturn = await startCoturn();
  pages = await servePages();
});
after(async () => {
  await closeBrowser();
  await pages?.stop();
  await coturn?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('an echo call through the relay', () => {
  for (const type of Object.keys(PORTS)) {
    it(`carries sound and pictures over ${type}`, { timeout: TEST_MS }, async (t) => {
      const gateway = await withTurn(t, type);
      await allocated(gateway);
      const tab = await call(t, gateway, pages);
      await tab.seesVideo();
      const { pair } = await tab.flows({ frames: 45 });
      // Whoever's check came first, the address is the relay's and none of the gateway's own.
      assert.equal(pair.remote.address, ADDRESS);
      assert.notEqual(pair.remote.port, MEDIA_PORT);
      assert.match(tab.answer, new RegExp(`^a=candidate:.* ${ADDRESS} ${pair.remote.port} typ relay raddr .* rport \\d+`, 'm'));
      const info = await handleInfo(gateway, tab.ids);
      const found = JSON.stringify(info);
      assert.match(found, new RegExp(`"selected-pair":"${ADDRESS}:${pair.remote.port} \\[relay,udp\\] <-> ${ADDRESS}:\\d+ \\[`), found);
      assert.equal((await metrics(gateway)).portunus_turn_failures_total, 0);
      assert.doesNotMatch(gateway.log, new RegExp(PASSWORD));

      const before = coturn.log.length;
      process.kill(gateway.pid, 'SIGINT');
      await until('the gateway ends', EXIT_MS, () => gateway.exited !== null);
      await until('the allocation is given up', EXIT_MS, () => /lifetime=0/.test(coturn.log.slice(before)));
    });
  }

  it('begins with what a service grants, and goes on with the next grant', { timeout: TEST_MS }, async (t) => {
    const asked = [];
    const service = http.createServer((request, response) => {
      asked.push(new URL(request.url, 'http://service').searchParams);
      const uris = [`turn:${ADDRESS}:${PORTS.udp}?transport=udp`];
      response.end(JSON.stringify({ username: USER, password: PASSWORD, ttl: 4, uris }));
    });
    await new Promise((resolve) => { service.listen(0, '127.0.0.1', resolve); });
    t.after(() => service.close());
    const nat = { allow_loopback: false, ice_enforce_list: ADDRESS, turn_rest_api: `http://127.0.0.1:${service.address().port}/turn`, turn_rest_api_key: 'key of ours' };
    const gateway = await started(t, { janus: { nat, portunus: { udp_port: MEDIA_PORT, workers: 1, turn_ca: path.join(folder, 'ca.pem') } } });
    await allocated(gateway);
    assert.deepEqual([asked[0].get('service'), asked[0].get('key'), asked[0].get('api')], ['turn', 'key of ours', 'key of ours']);
    const tab = await call(t, gateway, pages);
    await tab.flows({ frames: 30 });
    await until('it asks again', ALLOCATED_MS, () => asked.length >= 3);
    await tab.flows({ frames: 30 });
    assert.doesNotMatch(gateway.log, /hunter2|key of ours/);
  });

  it('is not needed by who may be reached directly, and can be forced', { timeout: TEST_MS }, async (t) => {
    const nat = { allow_force_relay: true };
    const gateway = await withTurn(t, 'udp', { janus: { nat, portunus: { udp_port: MEDIA_PORT + 1 } } });
    await allocated(gateway);
    const direct = await call(t, gateway, pages);
    const { pair } = await direct.flows({ frames: 30 });
    assert.equal(pair.remote.port, MEDIA_PORT + 1);
    await direct.run(() => window.call.destroy());

    const tab = await tabOf(t, gateway, pages);
    const offer = await tab.run(() => {
      // What a page would put into the offer's jsep.
      const send = WebSocket.prototype.send;
      WebSocket.prototype.send = function forced(text) {
        const request = JSON.parse(text);
        if (request.jsep?.type === 'offer') request.jsep.force_relay = true;
        return send.call(this, JSON.stringify(request));
      };
      return true;
    });
    assert.ok(offer);
    const { answer } = await tab.offer({ tracks: [MICROPHONE, CAMERA] });
    assert.doesNotMatch(answer, /typ host/);
    await tab.seen('webrtc', { up: true });
    const forced = await tab.flows({ frames: 30 });
    assert.notEqual(forced.pair.remote.port, MEDIA_PORT + 1);
  });
});

describe('a TURN server that gives nothing', () => {
  for (const [what, change, expected] of [
    ['with a wrong password', { turn_pwd: 'wrong' }, /user name or password refused \(401\)/],
    ['whose port is closed', { turn_port: 9, turn_type: 'tcp' }, /Connection refused/],
  ]) {
    it(`${what} is warned of once and counted`, { timeout: TEST_MS }, async (t) => {
      const gateway = await withTurn(t, 'udp', { janus: { nat: change } });
      await until('two failures', ALLOCATED_MS, async () => (await metrics(gateway)).portunus_turn_failures_total >= 2);
      assert.match(gateway.log, expected);
      assert.equal(gateway.log.match(/no relay address from the TURN server/g).length, 1, gateway.log);
      assert.equal(await allocations(gateway), 0);
    });
  }

  it('whose certificate nobody vouches for gets no password', { timeout: TEST_MS }, async (t) => {
    const gateway = await withTurn(t, 'tls', { janus: { portunus: { turn_ca: path.join(folder, 'other-ca.pem') } } });
    await until('a failure', ALLOCATED_MS, async () => (await metrics(gateway)).portunus_turn_failures_total >= 1);
    assert.match(gateway.log, /invalid peer certificate/);
    assert.equal(await allocations(gateway), 0);
  });
});

function withTurn(t, type, change = {}) {
  const nat = {
    allow_loopback: false, ice_enforce_list: ADDRESS, turn_server: ADDRESS, turn_port: PORTS[type], turn_type: type,
    turn_user: USER, turn_pwd: PASSWORD, ...change.janus?.nat,
  };
  const portunus = {
    udp_port: MEDIA_PORT, workers: 1, turn_ca: path.join(folder, 'ca.pem'), ...change.janus?.portunus,
  };
  return started(t, { janus: { nat, portunus } });
}

const allocations = async (gateway) => (await metrics(gateway)).portunus_turn_allocations;

const allocated = (gateway) => until('an allocation', ALLOCATED_MS, async () => await allocations(gateway) === 1)
  .catch((error) => assert.fail(`${error.message}\n${gateway.log}\n${coturn.log}`));

async function tabOf(t, gateway) {
  const tab = await newTab();
  t.after(() => tab.close());
  await tab.goto(`${pages.origin}/pages/call.html`);
  tab.ids = await tab.open({ server: gateway.ws });
  return tab;
}

async function call(t, gateway) {
  const tab = await tabOf(t, gateway);
  tab.answer = (await tab.offer({ tracks: [MICROPHONE, CAMERA] })).answer;
  await tab.seen('webrtc', { up: true });
  return tab;
}

async function handleInfo(gateway, { session, handle }) {
  const { json } = await post(`${gateway.admin.http}/${session}/${handle}`, { janus: 'handle_info', transaction: 'x' });
  return json.info;
}

/** The TURN server; it ends with `stop()`. */
async function startCoturn() {
  const file = (name) => path.join(folder, name);
  const child = spawn('turnserver', ['-n', '--verbose', '--log-file=stdout', '--simple-log', '--no-cli', '--no-dtls',
    `--pidfile=${file('pid')}`, `--userdb=${file('db')}`, `--listening-ip=${ADDRESS}`, `--relay-ip=${ADDRESS}`,
    '--min-port=51000', '--max-port=51100', '--lt-cred-mech', `--user=${USER}:${PASSWORD}`, '--realm=test',
    `--cert=${file('server.pem')}`, `--pkey=${file('server.key')}`], { stdio: ['ignore', 'pipe', 'pipe'] });
  const server = { log: '' };
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { server.log += bytes; });
  const ended = new Promise((resolve) => { child.once('close', resolve); });
  server.stop = () => { child.kill('SIGKILL'); return ended; };
  await until('coturn listens', EXIT_MS, () => /TLS.* listener opened/i.test(server.log) || /Relay address/i.test(server.log));
  return server;
}

/** A certificate for the server of an authority of its own, and another authority. */
function certificates() {
  const file = (name) => path.join(folder, name);
  const openssl = (...args) => execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  for (const ca of ['ca', 'other-ca']) {
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', `/CN=${ca}`,
      '-keyout', file(`${ca}.key`), '-out', file(`${ca}.pem`));
  }
  openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=turn', '-keyout',
    file('server.key'), '-out', file('server.csr'));
  writeFileSync(file('server.ext'), `subjectAltName=IP:${ADDRESS}\nextendedKeyUsage=serverAuth\n`);
  openssl('x509', '-req', '-in', file('server.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2',
    '-extfile', file('server.ext'), '-out', file('server.pem'));
}
