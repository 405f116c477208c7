// The ICE servers that clients are told: those of the settings, minted credentials, and what an authentication service says,
// also when it is slow, wrong or gone. Needs no browser; coturn says whether it would let a client in.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { describe, it } from 'node:test';

import { relayed, startCoturn, withoutCoturn } from '../browser/harness/coturn.mjs';
import { freeTcpPort } from '../browser/harness/ports.mjs';
import { metrics, post, sleep, started, until } from './support.mjs';

const TEST_MS = 30_000;
const TURN = 'turn:127.0.0.1:3478?transport=udp';
const SECRET = 'north by northwest';
const USER_NAME = /^(\d+):portunus$/;
/** What the API may take while a service keeps somebody waiting. */
const FAST_MS = 500;
const GIVEN_UP_MS = 3_000;
const CONFIGURATION = {
  iceServers: [{ urls: [TURN], username: 'user-1', credential: 'pass-1' }], iceTransportPolicy: 'relay',
};

const signed = (text, secret) => createHmac('sha1', secret).update(text).digest('base64');

const withServers = (section, more = {}) => ({ janus: { ice_servers: section, ...more } });

/** What `ice-servers` answers. */
async function asked(gateway, { query = '', method = 'GET', headers = {} } = {}) {
  const answer = await fetch(`${gateway.http}/ice-servers${query}`, { method, headers });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, json: text.startsWith('{') ? JSON.parse(text) : null };
}

const info = async (gateway) => (await (await fetch(`${gateway.http}/info`)).json()).portunus;

/** A service whose answers a test writes: `reply(response, request)`. It ends with the test. */
async function startService(t, reply) {
  const service = { asked: [], reply };
  const server = http.createServer((request, response) => {
    service.asked.push(request.url);
    response.on('error', () => {});
    service.reply(response, request);
  });
  t.after(() => { server.closeAllConnections(); server.close(); });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  service.url = `http://127.0.0.1:${server.address().port}/ice?service=turn`;
  return service;
}

const json = (value) => (response) => {
  response.setHeader('content-type', 'application/json');
  response.end(typeof value === 'string' ? value : JSON.stringify(value));
};

describe('the ICE servers of clients', () => {
  it('are those of the settings, and nobody keeps the answer', { timeout: TEST_MS }, async (t) => {
    const section = { urls: ['stun:127.0.0.1:3478', TURN], username: 'somebody', credential: 'fixed', policy: 'relay', ttl_s: 120 };
    const gateway = await started(t, withServers(section));
    const answer = await asked(gateway, { headers: { origin: 'http://page.example' } });
    assert.deepEqual([answer.status, answer.json], [200, {
      iceServers: [{ urls: ['stun:127.0.0.1:3478'] }, { urls: [TURN], username: 'somebody', credential: 'fixed' }],
      iceTransportPolicy: 'relay',
      ttl: 120,
    }]);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.equal(answer.headers.get('access-control-allow-origin'), '*');
    assert.equal(answer.headers.get('content-type'), 'application/json');
    const head = await asked(gateway, { method: 'HEAD' });
    assert.deepEqual([head.status, head.text, head.headers.get('cache-control')], [200, '', 'no-store']);
    const preflight = await asked(gateway, { method: 'OPTIONS', headers: { 'access-control-request-headers': 'authorization' } });
    assert.deepEqual([preflight.status, preflight.headers.get('access-control-allow-headers')], [200, 'authorization']);
    assert.equal((await asked(gateway, { method: 'DELETE' })).status, 405);
    assert.equal((await info(gateway))['ice-servers'], true);
    assert.equal((await metrics(gateway))['portunus_ice_servers_total{result="ok"}'], 2);
    assert.ok(!gateway.log.includes('fixed'), 'the password is in the log');
  });

  it('come with credentials that are minted for each client', { timeout: TEST_MS }, async (t) => {
    const gateway = await started(t, withServers({ urls: [TURN], secret: SECRET, ttl_s: 600 }));
    const before = Math.floor(Date.now() / 1000);
    const { json: { iceServers: [server], ttl } } = await asked(gateway);
    const expiry = Number(USER_NAME.exec(server.username)[1]);
    assert.ok(expiry >= before + 600 && expiry <= before + 610, `${expiry} at ${before}`);
    assert.equal(server.credential, signed(server.username, SECRET));
    assert.equal(ttl, 600);
    assert.ok(!gateway.log.includes(SECRET), 'the secret is in the log');
  });

  it('are for whoever may use the API', { timeout: TEST_MS }, async (t) => {
    const general = { api_secret: 'top', token_auth: true, token_auth_secret: 'sign' };
    const gateway = await started(t, withServers({ urls: ['stun:127.0.0.1'] }, { general }));
    const token = (expiry) => {
      const data = `${expiry},janus`;
      return `${data}:${signed(data, 'sign')}`;
    };
    const valid = token(Math.floor(Date.now() / 1000) + 60);
    const bearer = (word) => ({ headers: { authorization: `Bearer ${word}` } });
    const query = (name, value) => ({ query: `?${name}=${encodeURIComponent(value)}` });
    for (const [how, status] of [
      [{}, 403], [query('apisecret', 'to'), 403], [query('apisecret', 'top'), 200], [query('token', valid), 200],
      [query('token', token(1)), 403], [query('token', 'top'), 403], [bearer('top'), 200], [bearer(valid), 200],
      [bearer('wrong'), 403], [{ headers: { authorization: 'Basic top' } }, 403],
    ]) {
      const answer = await asked(gateway, how);
      assert.equal(answer.status, status, JSON.stringify(how));
      assert.equal(answer.headers.get('cache-control'), 'no-store');
    }
    const refused = await asked(gateway);
    assert.deepEqual(refused.json, {
      janus: 'error', error: { code: 403, reason: 'Unauthorized request (wrong or missing secret/token)' },
    });
    assert.equal((await metrics(gateway))['portunus_ice_servers_total{result="refused"}'], 7);
    assert.equal((await info(gateway))['ice-servers'], true, 'info needs no secret');
  });

  it('are for whoever has a stored token, as long as it is stored', { timeout: TEST_MS }, async (t) => {
    const general = { token_auth: true, admin_secret: 'operators only' };
    const gateway = await started(t, withServers({ urls: ['stun:127.0.0.1'] }, { general }));
    const admin = async (janus) => {
      const body = { janus, token: 'a word', transaction: 'x', admin_secret: 'operators only' };
      assert.equal((await post(gateway.admin.http, body)).json.janus, 'success');
    };
    const how = { headers: { authorization: 'Bearer a word' } };
    const statuses = [(await asked(gateway, how)).status];
    await admin('add_token');
    statuses.push((await asked(gateway, how)).status, (await asked(gateway, { query: '?token=a+word' })).status);
    await admin('remove_token');
    statuses.push((await asked(gateway, how)).status);
    assert.deepEqual(statuses, [403, 200, 200, 403]);
  });

  it('are not there unless they are set; then the path leads where it does with Janus', { timeout: TEST_MS }, async (t) => {
    const gateway = await started(t);
    const answer = await asked(gateway);
    assert.deepEqual([answer.status, answer.text, answer.headers.get('cache-control')], [404, '', null]);
    assert.equal((await info(gateway))['ice-servers'], undefined);
  });

  it('change with the settings while the gateway runs', { timeout: TEST_MS }, async (t) => {
    const gateway = await started(t, withServers({ urls: [TURN], secret: 'the first' }));
    const file = path.join(gateway.folder, 'janus.jcfg');
    const text = await readFile(file, 'utf8');
    const reload = async (changed, done) => {
      await writeFile(file, changed);
      process.kill(gateway.pid, 'SIGHUP');
      await until('the settings are taken over', 5_000, async () => done(await asked(gateway)));
    };
    await reload(text.replace('the first', 'the second'), ({ json: { iceServers: [one] } }) =>
      one.credential === signed(one.username, 'the second'));
    await reload(text.replace(/ice_servers[^{]*\{[^}]*\}/, 'ice_servers: { }'), ({ status }) => status === 404);
    assert.equal((await info(gateway))['ice-servers'], undefined);
    await reload(text, ({ status }) => status === 200);
    assert.equal((await info(gateway))['ice-servers'], true);
  });
});

describe('an authentication service', () => {
  const withService = (t, service, more = {}) => started(t, withServers({ auth_service: service.url, ttl_s: 300, ...more }));

  it('is asked for each client, for what is set, and its answer passed on', { timeout: TEST_MS }, async (t) => {
    const service = await startService(t, json({ ...CONFIGURATION, secret: 'of the service' }));
    const where = { auth_namespace: 'stunner', auth_gateway: 'udp gateway', auth_listener: 'udp', user: 'web', policy: 'relay' };
    const gateway = await withService(t, service, where);
    const answer = await asked(gateway);
    assert.deepEqual([answer.status, answer.json], [200, { ...CONFIGURATION, ttl: 300 }]);
    assert.deepEqual(Object.fromEntries(new URL(service.asked[0], service.url).searchParams), {
      service: 'turn', username: 'web', ttl: '300', iceTransportPolicy: 'relay',
      namespace: 'stunner', gateway: 'udp gateway', listener: 'udp',
    });
    service.reply = json({ username: 'user-2', password: 'pass-2', ttl: 60, uris: [TURN] });
    assert.deepEqual((await asked(gateway)).json, {
      iceServers: [{ urls: [TURN], username: 'user-2', credential: 'pass-2' }], iceTransportPolicy: 'relay', ttl: 60,
    });
    assert.equal(service.asked.length, 2);
    assert.ok(!/pass-[12]/.test(gateway.log), 'a password is in the log');
  });

  it('whose answer is wrong, huge or another page gives a client nothing', { timeout: TEST_MS }, async (t) => {
    const service = await startService(t, json('{}'));
    const gateway = await withService(t, service);
    const server = (one) => json({ iceServers: [{ ...CONFIGURATION.iceServers[0], ...one }] });
    const wrong = {
      'no JSON': (response) => response.end('<html>login</html>'),
      nothing: (response) => response.end(),
      'an error': (response) => { response.statusCode = 500; response.end('{}'); },
      'another place': (response) => { response.writeHead(302, { location: '/elsewhere' }); response.end(); },
      'a huge answer': json(`{"iceServers":[],"x":"${'x'.repeat(100_000)}"}`),
      'an endless one': (response) => { const more = setInterval(() => response.write(' '.repeat(4096)), 1); response.on('close', () => clearInterval(more)); },
      'a script for an address': server({ urls: ['javascript:alert(1)'] }),
      'no password': server({ credential: undefined }),
      'a policy of its own': json({ ...CONFIGURATION, iceTransportPolicy: 'none' }),
      'credentials that are over': server({ username: '1600000000:user' }),
      'the end of the connection': (response) => response.destroy(),
    };
    for (const [what, reply] of Object.entries(wrong)) {
      service.reply = reply;
      const answer = await asked(gateway);
      assert.deepEqual([answer.status, answer.json?.error?.code], [502, 450], what);
      assert.equal(answer.headers.get('cache-control'), 'no-store', what);
    }
    assert.equal((await metrics(gateway))['portunus_ice_servers_total{result="failed"}'], Object.keys(wrong).length);
    const told = gateway.log.match(/no ICE servers for clients/g) ?? [];
    assert.ok(told.length >= 1 && told.length <= 2, `${told.length} lines in the log`);
    service.reply = json(CONFIGURATION);
    assert.equal((await asked(gateway)).status, 200, 'it is asked again');
  });

  it('that does not answer is given up in time, and keeps nobody else waiting', { timeout: TEST_MS }, async (t) => {
    const service = await startService(t, () => {});
    const gateway = await withService(t, service);
    const begun = performance.now();
    const waiting = Promise.all(Array.from({ length: 40 }, () => asked(gateway)));
    await sleep(1_000);
    assert.equal(service.asked.length, 16, 'requests at a time');
    const create = performance.now();
    assert.equal((await post(gateway.http, { janus: 'create', transaction: 'x' })).json.janus, 'success');
    const took = performance.now() - create;
    assert.ok(took < FAST_MS, `a session took ${took} ms`);
    assert.deepEqual([...new Set((await waiting).map(({ status }) => status))], [502]);
    const all = performance.now() - begun;
    assert.ok(all > GIVEN_UP_MS - 500 && all < GIVEN_UP_MS + 3_000, `${all} ms`);
  });

  it('that is not there is told as such', { timeout: TEST_MS }, async (t) => {
    const gateway = await withService(t, { url: `http://127.0.0.1:${await freeTcpPort()}/ice` });
    assert.equal((await asked(gateway)).status, 502);
    await until('the reason is in the log', 2_000, () => /it cannot be asked/.test(gateway.log));
  });
});

describe('coturn with the same secret', { skip: withoutCoturn }, () => {
  it('lets in who was told, and nobody who guesses', { timeout: 2 * TEST_MS }, async (t) => {
    const port = await startCoturn(t, SECRET);
    const gateway = await started(t, withServers({ urls: [`turn:127.0.0.1:${port}`], secret: SECRET }));
    const { json: { iceServers: [{ username, credential }] } } = await asked(gateway);
    assert.equal(await relayed(port, username, credential), true);
    assert.equal(await relayed(port, username, `${credential}x`), false);
    const other = username.replace('portunus', 'somebody');
    assert.equal(await relayed(port, other, credential), false);
  });
});
