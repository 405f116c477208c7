// SIGTERM while a browser is in a call: the call goes on, newcomers are sent elsewhere, and the process ends by itself
// when the page has gone.

import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, it } from 'node:test';

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';
import { servePages } from '../browser/harness/pages.mjs';
import { CAMERA, MICROPHONE, TEST_MS } from '../browser/harness/suite.mjs';
import { LONG, metrics, post, started, until } from './support.mjs';

const DRAIN_S = LONG ? 120 : 40;
const FRAMES = LONG ? 1500 : 60;
const EXIT_MS = 5_000;
const SHUTTING_DOWN = 472;

describe('SIGTERM with a call running', () => {
  let pages;
  before(async () => { pages = await servePages(); });
  after(async () => {
    await closeBrowser();
    await pages?.stop();
  });

  for (const transport of ['http', 'ws']) {
    it(`lets it go on until the page leaves, over ${transport}`, { timeout: TEST_MS + DRAIN_S * 1000 }, async (t) => {
      const gateway = await started(t, { janus: { portunus: { drain_timeout_s: DRAIN_S } } });
      const tab = await newTab();
      t.after(() => tab.close());
      await tab.goto(`${pages.origin}/pages/call.html`);
      await tab.open({ server: gateway[transport] });
      await tab.offer({ tracks: [MICROPHONE, CAMERA] });
      await tab.seen('webrtc', { up: true });
      await tab.seesVideo();
      assert.equal((await ready(gateway)).status, 200);

      process.kill(gateway.pid, 'SIGTERM');
      await until('/readyz says so', EXIT_MS, async () => (await ready(gateway)).status === 503);
      const { json } = await post(gateway.http, { janus: 'create', transaction: 'x' });
      assert.equal(json.janus, 'error');
      assert.equal(json.error.code, SHUTTING_DOWN, JSON.stringify(json));
      await tab.flows({ frames: FRAMES, ms: 15_000 + FRAMES * 100 });
      // Its handle is still worth something: other requests are answered, too.
      await tab.message({ audio: true, video: true, bitrate: 256_000 });
      await tab.flows({ frames: 15 });
      assert.equal(gateway.exited, null);
      assert.deepEqual((await tab.events('webrtc')).map((e) => e.up), [true], 'the call was never down');

      await tab.run(() => window.call.hangup());
      await tab.seen('webrtc', { up: false });
      await tab.run(() => window.call.detach());
      await until('the process ends', EXIT_MS, () => gateway.exited !== null);
      assert.equal(gateway.exited, 0, gateway.log);
    });
  }
});

describe('SIGTERM with softphones behind a load balancer', () => {
  after(closeBrowser);

  it('leaves a call alone, and everybody goes online at the next replica as soon as he is in none', { timeout: 2 * TEST_MS }, async (t) => {
    const [old, next] = await Promise.all([0, 1].map(() => started(t, { janus: { portunus: { drain_timeout_s: DRAIN_S } } })));
    const front = await startFront(t, 'ws');
    front.lead(old);
    const [ada, grace, edsger] = [await phone(t, next, front, 'Ada'), await phone(t, next, front, 'Grace'), await phone(t, next, front, 'Edsger')];
    await ada.page.click('#people li[data-name="Grace"] button', { timeout: 10_000 });
    await says(grace, 'ringing-title', /Ada/);
    await grace.page.click('#accept');
    await Promise.all([plays(ada), plays(grace)]);

    process.kill(old.pid, 'SIGTERM');
    front.lead(next);
    await says(edsger, 'state', /^Online$/, 10_000, /the session is over/);
    await usersAre(next, 1);
    await Promise.all([plays(ada), plays(grace)]);
    assert.equal(old.exited, null);

    await grace.page.click('#hang-up');
    for (const tab of [ada, grace]) await says(tab, 'people', /Edsger/);
    await usersAre(next, 3);
    await until('the old replica ends by itself', EXIT_MS, () => old.exited !== null);
    assert.equal(old.exited, 0, old.log);
    await edsger.page.click('#people li[data-name="Ada"] button', { timeout: 10_000 });
    await says(ada, 'ringing-title', /Edsger/);
    await ada.page.click('#accept');
    await Promise.all([plays(ada), plays(edsger)]);
  });

  it('tells who polls, too', { timeout: TEST_MS }, async (t) => {
    const [old, next] = await Promise.all([0, 1].map(() => started(t, { janus: { portunus: { drain_timeout_s: DRAIN_S } } })));
    const front = await startFront(t, 'http');
    front.lead(old);
    const ada = await phone(t, next, front, 'Ada');
    process.kill(old.pid, 'SIGTERM');
    front.lead(next);
    await until('the old replica ends by itself', EXIT_MS, () => old.exited !== null);
    await says(ada, 'state', /^Online$/, 15_000, /the session is over/);
    await usersAre(next, 1);
  });
});

async function phone(t, { origin }, front, name) {
  const tab = await newTab();
  t.after(() => tab.close());
  await tab.goto(`${origin.replace('127.0.0.1', 'localhost')}/demos/videocall.html?name=${name}&server=${encodeURIComponent(front.api)}`);
  await says(tab, 'state', /^Online$/);
  return tab;
}

/** A load balancer of TCP that leads new connections to the WebSockets (or HTTP) of one gateway after another. */
async function startFront(t, kind) {
  let port;
  const open = new Set();
  const server = net.createServer((client) => {
    const behind = net.connect(port, '127.0.0.1');
    for (const [one, other] of [[client, behind], [behind, client]]) {
      open.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => open.delete(one));
      one.pipe(other);
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  t.after(() => { server.close(); open.forEach((socket) => socket.destroy()); });
  const api = { ws: 'ws://127.0.0.1:PORT', http: 'http://127.0.0.1:PORT/janus' }[kind].replace('PORT', server.address().port);
  return { api, lead: (gateway) => { port = Number(new URL(gateway[kind]).port); } };
}

/** An element of a page says this, and its log has said that. */
const says = (tab, id, pattern, ms = 15_000, log = /(?:)/) => tab.until(`#${id} says ${pattern}`, ms, ([name, source, told]) =>
  new RegExp(source).test(document.getElementById(name).textContent) && new RegExp(told).test(document.getElementById('events').textContent), [id, pattern.source, log.source]);

/** The other's picture goes on. */
async function plays(tab) {
  const frames = () => document.getElementById('theirs').getVideoPlaybackQuality().totalVideoFrames;
  await tab.until('a picture', 20_000, () => document.getElementById('theirs').videoWidth > 0);
  const was = await tab.run(frames);
  await tab.until('more frames', 10_000, (before) => document.getElementById('theirs').getVideoPlaybackQuality().totalVideoFrames > before + 20, was);
}

/** So many are there, as the metrics say about once a second. */
const usersAre = (gateway, n) => until(`${n} at a replica`, 5_000, async () => (await metrics(gateway)).portunus_handles === n);

const ready = (gateway) => fetch(`${gateway.monitor}/readyz`);
