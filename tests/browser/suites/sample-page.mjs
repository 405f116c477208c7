// Our own sample pages, as the gateway serves them: a whole call by hand, and the troubles a reader may meet.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { newTab } from '../harness/chromium.mjs';
import { ORACLE, ROOT, startGateway } from '../harness/gateway.mjs';
import { servePages } from '../harness/pages.mjs';
import { TEST_MS } from '../harness/suite.mjs';

const SAMPLES = path.join(ROOT, 'html_samples');

describe('sample pages', () => {
  let gateway;
  let pages;
  let base;

  before(async () => {
    gateway = await startGateway({});
    // The oracle serves no pages: ours stand beside it and are told its address.
    if (ORACLE) pages = await servePages({ '/demos/': SAMPLES });
    base = ORACLE ? pages.origin : gateway.origin.replace('127.0.0.1', 'localhost');
  });
  after(async () => {
    await gateway?.stop();
    await pages?.stop();
  });

  async function open(t, name, { server = ORACLE ? gateway.http : null, prepare, ...options } = {}) {
    const tab = await newTab(options);
    t.after(() => tab.close());
    if (prepare) await tab.page.addInitScript(prepare);
    await tab.goto(`${base}/demos/${name}${server ? `?server=${encodeURIComponent(server)}` : ''}`);
    return tab;
  }

  const says = (tab, id, pattern, ms = 15_000) => tab.until(`#${id} says ${pattern}`, ms, ([name, source]) =>
    new RegExp(source).test(document.getElementById(name).textContent), [id, pattern.source]);

  it('the start page names the samples and the gateway', { timeout: TEST_MS, skip: ORACLE && 'the page asks the gateway that serves it' }, async (t) => {
    const tab = await open(t, '');
    await says(tab, 'state', /Gateway is up/);
    await says(tab, 'facts', /Portunus.*1\.4\.2.*EchoTest/);
    await tab.page.click('a[href="echotest.html"]');
    await says(tab, 'state', /Not connected/);
  });

  it('the echo page makes a call, and every control does its work', { timeout: 2 * TEST_MS }, async (t) => {
    const tab = await open(t, 'echotest.html');
    await tab.page.selectOption('#layers', 'simulcast');
    await tab.page.click('#start');
    await says(tab, 'state', /Connected/);
    await tab.until('the echoed picture', 20_000, () => document.getElementById('echo').videoWidth > 0);
    await says(tab, 'figure-in', /^[\d.]+ [kM]bit\/s$/);
    await says(tab, 'figure-size', /1280 × 720/, 60_000);
    await tab.page.click('#substream label:has(input[value="0"])');
    await says(tab, 'figure-size', /320 × 180/, 30_000);
    await tab.page.click('#substream label:has(input[value="2"])');
    await says(tab, 'figure-size', /1280 × 720/, 30_000);
    await tab.page.fill('#chat-text', 'hello');
    await tab.page.press('#chat-text', 'Enter');
    await says(tab, 'lines', /Janus EchoTest here! You wrote: hello/);
    await tab.page.click('#restart');
    await says(tab, 'events', /ICE restart/);
    await tab.page.click('#cap label:has(input[value="512000"])');
    await tab.page.click('label:has(#echo-video)');
    await says(tab, 'figure-frames', /^0 \/ s$/, 30_000);
    await tab.page.click('label:has(#echo-video)');
    await says(tab, 'figure-frames', /^[1-9]\d* \/ s$/, 30_000);
    assert.equal(await tab.run(() => document.getElementById('alert').hidden), true);
    await tab.page.click('#stop');
    await says(tab, 'state', /Not connected/);
    await tab.page.click('#start');
    await says(tab, 'state', /Connected/);
  });

  it('says what is wrong when the gateway does not answer', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, 'echotest.html', { server: 'http://127.0.0.1:4/janus' });
    await tab.page.click('#start');
    await says(tab, 'alert', /The gateway does not answer/);
    assert.equal(await tab.page.isVisible('#start'), true);
  });

  it('says what is wrong without permission, without a camera, and at an insecure address', { timeout: TEST_MS }, async (t) => {
    for (const [prepare, words] of [
      [() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')); }, /No permission/],
      [() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError')); }, /No camera or microphone/],
      [() => { Object.defineProperty(window, 'isSecureContext', { value: false }); }, /not secure/],
    ]) {
      const tab = await open(t, 'echotest.html', { prepare });
      await tab.page.click('#start');
      await says(tab, 'alert', words);
      assert.equal(await tab.page.isVisible('#start'), true);
    }
  });

  it('fits a phone', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, 'echotest.html', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    const wide = await tab.run(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `the page is ${wide} wide`);
    const small = await tab.run(() => [...document.querySelectorAll('button, select, input[type=text], .switch')]
      .filter((element) => element.offsetParent && element.getBoundingClientRect().height < 32).map((element) => element.id));
    assert.deepEqual(small, [], 'controls too small for a finger');
  });
});
