// SIGTERM while a browser is in a call: the call goes on, newcomers are sent elsewhere, and the process ends by itself
// when the page has gone.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';
import { servePages } from '../browser/harness/pages.mjs';
import { CAMERA, MICROPHONE, TEST_MS } from '../browser/harness/suite.mjs';
import { LONG, post, started, until } from './support.mjs';

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

const ready = (gateway) => fetch(`${gateway.monitor}/readyz`);
