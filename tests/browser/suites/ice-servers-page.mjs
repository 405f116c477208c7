// The sample pages and the ICE servers that the gateway hands out: used, refreshed, and not missed where there are none.

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, describe, it } from 'node:test';

import { newTab } from '../harness/chromium.mjs';
import { ORACLE, startGateway } from '../harness/gateway.mjs';
import { freeTcpPort } from '../harness/ports.mjs';
import { startCoturn, withoutCoturn } from '../harness/coturn.mjs';
import { TEST_MS } from '../harness/suite.mjs';

const SECRET = 'north by northwest';

/** Keeps each PeerConnection with what it was made with. */
const watch = () => {
  const Real = window.RTCPeerConnection;
  window.made = [];
  window.RTCPeerConnection = class extends Real {
    constructor(configuration, ...rest) {
      super(configuration, ...rest);
      window.made.push({ connection: this, configuration: JSON.parse(JSON.stringify(configuration)) });
    }
  };
};

describe('sample pages and ICE servers', { skip: ORACLE && 'Janus hands out none' }, () => {
  const running = [];
  after(() => Promise.all(running.map((gateway) => gateway.stop())));

  async function open(t, settings, name = 'echotest.html', address = (gateway) => gateway.http) {
    const gateway = await startGateway({ janus: settings });
    running.push(gateway);
    return visit(t, gateway, name, address);
  }

  async function visit(t, gateway, name, address = ({ http: api }) => api) {
    const tab = await newTab();
    t.after(() => tab.close());
    await tab.page.addInitScript(watch);
    const local = (text) => text.replace('127.0.0.1', 'localhost');
    const url = new URL(`/demos/${name}`, local(gateway.origin));
    url.searchParams.set('server', local(address(gateway)));
    await tab.goto(url.href);
    return tab;
  }

  const says = (tab, id, pattern, ms = 20_000) => tab.until(`#${id} says ${pattern}`, ms, ([element, source]) =>
    new RegExp(source).test(document.getElementById(element).textContent), [id, pattern.source]);
  const made = (tab) => tab.run(() => window.made.map(({ configuration }) => configuration));
  const complaints = (tab) => tab.driver.console.filter((line) => /^(error|uncaught)/.test(line));

  /** Of what kinds the page's own candidates are. */
  const candidates = (tab) => tab.run(async () => {
    const stats = [...(await window.made.at(-1).connection.getStats()).values()];
    return [...new Set(stats.filter(({ type }) => type === 'local-candidate').map(({ candidateType }) => candidateType))];
  });

  async function call(tab) {
    await tab.page.click('#start');
    await says(tab, 'state', /Connected/);
  }

  for (const [api, address] of [['HTTP', (gateway) => gateway.http], ['WebSockets', (gateway) => gateway.ws]]) {
    it(`use the servers of the gateway whose API they talk to over ${api}`, { timeout: TEST_MS }, async (t) => {
      const section = { urls: ['stun:127.0.0.1:9', 'turn:127.0.0.1:9?transport=tcp'], username: 'u', credential: 'p' };
      const tab = await open(t, { ice_servers: section }, 'echotest.html', address);
      await call(tab);
      const [{ iceServers, iceTransportPolicy }] = await made(tab);
      assert.deepEqual([iceServers, iceTransportPolicy], [
        [{ urls: ['stun:127.0.0.1:9'] }, { urls: ['turn:127.0.0.1:9?transport=tcp'], username: 'u', credential: 'p' }], 'all',
      ]);
    });
  }

  it('have new credentials for an ICE restart and for the next call when the old ones run out', { timeout: TEST_MS }, async (t) => {
    let asked = 0;
    const service = http.createServer((request, response) => {
      asked += 1;
      response.end(JSON.stringify({ username: `user-${asked}`, password: 'p', ttl: 2, uris: ['turn:127.0.0.1:9?transport=tcp'] }));
    });
    t.after(() => { service.closeAllConnections(); service.close(); });
    await new Promise((resolve) => { service.listen(0, '127.0.0.1', resolve); });
    const tab = await open(t, { ice_servers: { auth_service: `http://127.0.0.1:${service.address().port}/` } });
    await call(tab);
    assert.equal((await made(tab))[0].iceServers[0].username, 'user-1');
    await tab.until('the page asks again', 10_000, () => window.performance.getEntriesByType('resource')
      .filter(({ name }) => name.endsWith('/ice-servers')).length >= 2);
    await tab.page.click('#restart');
    const now = await tab.run(() => window.made[0].connection.getConfiguration().iceServers[0].username);
    assert.match(now, /^user-([2-9]|\d\d)$/);
    await tab.page.click('#stop');
    await says(tab, 'state', /Not connected/);
    const before = asked;
    await call(tab);
    const next = Number((await made(tab))[1].iceServers[0].username.split('-')[1]);
    assert.ok(next > before, `user-${next} after ${before}`);
  });

  it('do without where nothing is handed out, and nothing complains of it', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, {});
    await call(tab);
    assert.deepEqual((await made(tab))[0].iceServers, []);
    assert.deepEqual(complaints(tab), []);
  });

  it('do without when the service behind it fails, and say so', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, { ice_servers: { auth_service: `http://127.0.0.1:${await freeTcpPort()}/` } });
    await call(tab);
    assert.deepEqual((await made(tab))[0].iceServers, []);
    await says(tab, 'events', /the gateway knows no ICE servers now \(502\)/);
  });

  it('reach the gateway by a relay alone when they are told to', { timeout: TEST_MS, skip: withoutCoturn }, async (t) => {
    const port = await startCoturn(t, SECRET);
    const section = { urls: [`turn:127.0.0.1:${port}?transport=udp`], secret: SECRET, policy: 'relay' };
    const tab = await open(t, { ice_servers: section });
    await call(tab);
    assert.deepEqual(await candidates(tab), ['relay']);
    await tab.until('the echoed picture', 20_000, () => document.getElementById('echo').videoWidth > 0);
  });

  it('call each other by a relay alone when they are told to', { timeout: 2 * TEST_MS, skip: withoutCoturn }, async (t) => {
    const port = await startCoturn(t, SECRET);
    const section = { urls: [`turn:127.0.0.1:${port}?transport=udp`], secret: SECRET, policy: 'relay' };
    const ada = await open(t, { ice_servers: section }, 'videocall.html?name=Ada');
    const grace = await visit(t, running.at(-1), 'videocall.html?name=Grace');
    await grace.page.click('#people li[data-name="Ada"] button', { timeout: 15_000 });
    await says(ada, 'ringing-title', /Grace/);
    await ada.page.click('#accept');
    for (const tab of [ada, grace]) {
      await says(tab, 'state', /In a call with/);
      await tab.until("the other's picture", 20_000, () => document.getElementById('theirs').videoWidth > 0);
      assert.deepEqual(await candidates(tab), ['relay']);
      assert.deepEqual(complaints(tab), []);
    }
  });
});
