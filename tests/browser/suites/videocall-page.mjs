// The softphone: our own page in two tabs, and the stock page of the janus-demos package.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { ADMIN_SECRET } from '../harness/backend.mjs';
import { newTab } from '../harness/chromium.mjs';
import { ORACLE, ROOT, startGateway } from '../harness/gateway.mjs';
import { servePages } from '../harness/pages.mjs';
import { needsStock, serveStock } from '../harness/stock.mjs';
import { TEST_MS } from '../harness/suite.mjs';

const says = (tab, id, pattern, ms = 15_000) => tab.until(`#${id} says ${pattern}`, ms, ([name, source]) =>
  new RegExp(source).test(document.getElementById(name).textContent), [id, pattern.source]);
const sees = (tab, id, ms = 20_000) => tab.until(`a picture in #${id}`, ms, (name) => document.getElementById(name).videoWidth > 0, id);
const hidden = (tab, id) => tab.until(`#${id} is hidden`, 10_000, (name) => document.getElementById(name).hidden, id);

describe('the softphone', () => {
  let gateway;
  let pages;
  let base;

  before(async () => {
    gateway = await startGateway({});
    if (ORACLE) pages = await servePages({ '/demos/': path.join(ROOT, 'html_samples') });
    base = ORACLE ? pages.origin : gateway.origin.replace('127.0.0.1', 'localhost');
  });
  after(async () => {
    await gateway?.stop();
    await pages?.stop();
  });

  async function phone(t, name, { prepare, at = base, ...options } = {}) {
    const tab = await newTab(options);
    t.after(() => tab.close());
    if (prepare) await tab.page.addInitScript(prepare);
    await tab.goto(`${at}/demos/videocall.html${ORACLE ? `?server=${encodeURIComponent(gateway.http)}` : ''}`);
    await tab.page.fill('#name', name);
    await tab.page.click('#register');
    return tab;
  }

  it('two find each other, talk, write, switch things off, and hang up', { timeout: 3 * TEST_MS }, async (t) => {
    const ada = await phone(t, 'Ada');
    await says(ada, 'state', /Online/);
    assert.equal(await ada.page.isVisible('#nobody'), true);
    const grace = await phone(t, 'Grace <b>');
    await says(grace, 'people', /^AdaCall$/);
    await ada.page.click('#people li[data-name="Grace <b>"] button', { timeout: 10_000 });
    await says(ada, 'state', /Calling Grace/);
    await says(grace, 'ringing-title', /^Ada is calling$/);
    await grace.page.click('#accept');
    for (const tab of [ada, grace]) {
      await says(tab, 'state', /In a call with/);
      await sees(tab, 'theirs');
      await sees(tab, 'own');
      await says(tab, 'figure-in', /^[\d.]+ [kM]bit\/s$/);
    }
    await ada.page.fill('#chat-text', 'hello <i>');
    await ada.page.press('#chat-text', 'Enter');
    await says(grace, 'lines', /hello <i>/);
    const decoded = () => grace.run(() => document.getElementById('theirs').getVideoPlaybackQuality().totalVideoFrames);
    await ada.page.click('label:has(#camera)');
    await grace.until('no more frames', 10_000, async () => {
      const count = () => document.getElementById('theirs').getVideoPlaybackQuality().totalVideoFrames;
      const was = count();
      await new Promise((resolve) => { setTimeout(resolve, 700); });
      return count() === was;
    });
    const stood = await decoded();
    await ada.page.click('label:has(#camera)');
    await grace.until('frames again', 10_000, (was) => document.getElementById('theirs').getVideoPlaybackQuality().totalVideoFrames > was + 5, stood);
    await grace.page.click('#hang-up');
    for (const tab of [ada, grace]) {
      await hidden(tab, 'talk');
      await says(tab, 'state', /^Online$/);
    }
    // Again, the other way round, and declined.
    await grace.page.fill('#whom', 'Ada');
    await grace.page.click('#call');
    await says(ada, 'ringing-title', /Grace/);
    await ada.page.click('#decline');
    await hidden(grace, 'talk');
    await says(grace, 'events', /hung up: Declined/);
    assert.equal(await grace.page.isVisible('#alert'), false);
    // And answered without a picture.
    await grace.page.click('#people li[data-name="Ada"] button', { timeout: 10_000 });
    await says(ada, 'ringing-title', /Grace/);
    await ada.page.click('#accept-sound');
    await sees(ada, 'theirs');
    await says(grace, 'theirs-empty', /sends no picture/);
    await ada.page.click('#leave');
    await hidden(grace, 'talk');
    await grace.until('nobody is there', 10_000, () => !document.getElementById('nobody').hidden);
  });

  it('calls the next one in the moment in which it hangs up', { timeout: 2 * TEST_MS }, async (t) => {
    const [ida, katherine, niklaus] = [await phone(t, 'Ida'), await phone(t, 'Katherine'), await phone(t, 'Niklaus')];
    for (const tab of [ida, niklaus]) await says(tab, 'state', /Online/);
    await katherine.page.click('#people li[data-name="Ida"] button', { timeout: 10_000 });
    await says(ida, 'ringing-title', /Katherine/);
    await ida.page.click('#accept');
    await Promise.all([sees(ida, 'theirs'), sees(katherine, 'theirs')]);
    await katherine.run(() => {
      document.getElementById('hang-up').click();
      document.getElementById('whom').value = 'Niklaus';
      document.getElementById('call').click();
    });
    await says(niklaus, 'ringing-title', /Katherine/);
    await niklaus.page.click('#accept');
    for (const tab of [katherine, niklaus]) {
      await says(tab, 'state', /In a call with/);
      await sees(tab, 'theirs');
    }
    await says(ida, 'state', /^Online$/);
  });

  it('goes online again when an administrator ends its session or takes its handle', { timeout: TEST_MS, skip: ORACLE && 'other secrets' }, async (t) => {
    const own = await startGateway({ janus: { general: { admin_secret: ADMIN_SECRET } } });
    t.after(() => own.stop());
    const alan = await phone(t, 'Alan', { at: own.origin.replace('127.0.0.1', 'localhost') });
    await says(alan, 'state', /^Online$/);
    const ask = async (path, janus) => (await (await fetch(`${own.admin.http}${path}`, {
      method: 'POST', body: JSON.stringify({ janus, transaction: 'x', admin_secret: ADMIN_SECRET }),
    })).json());
    for (const verb of ['detach_handle', 'destroy_session']) {
      const { sessions: [session] } = await ask('', 'list_sessions');
      const { handles: [handle] } = await ask(`/${session}`, 'list_handles');
      assert.equal((await ask(verb === 'detach_handle' ? `/${session}/${handle}` : `/${session}`, verb)).janus, 'success');
      await alan.until('another session', 20_000, (old) => document.getElementById('state').textContent === 'Online'
        && document.getElementById('events').textContent.split('the session is over').length > old, verb === 'detach_handle' ? 1 : 2);
    }
    assert.equal(await alan.page.isVisible('#alert'), false);
  });

  it('says what is wrong: a name that is taken, nobody of that name, no camera', { timeout: 2 * TEST_MS }, async (t) => {
    const one = await phone(t, 'Edsger');
    await says(one, 'state', /Online/);
    const two = await phone(t, 'Edsger');
    await says(two, 'alert', /already taken/);
    assert.equal(await two.page.isVisible('#register'), true);
    await one.page.fill('#whom', 'Nobody');
    await one.page.click('#call');
    await says(one, 'alert', /Username 'Nobody' doesn't exist/);
    await says(one, 'state', /^Online$/);
    const prepare = () => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError')); };
    const three = await phone(t, 'Barbara', { prepare });
    await three.page.click('#people li[data-name="Edsger"] button', { timeout: 10_000 });
    await says(three, 'alert', /No camera or microphone/);
    await says(three, 'state', /^Online$/);
  });

  it('fits a phone', { timeout: TEST_MS }, async (t) => {
    const tab = await phone(t, 'Tim', { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await says(tab, 'state', /Online/);
    const wide = await tab.run(() => { for (const id of ['talk', 'ringing']) document.getElementById(id).hidden = false; return document.documentElement.scrollWidth; });
    assert.ok(wide <= 360, `the page is ${wide} wide`);
  });
});

describe('the stock video call page', needsStock('videocalltest'), () => {
  let gateway;
  let pages;

  before(async () => {
    gateway = await startGateway();
    pages = await serveStock(gateway.http);
  });
  after(async () => {
    await gateway?.stop();
    await pages?.stop();
  });

  async function user(t, name) {
    const tab = await newTab();
    t.after(() => tab.close());
    await tab.goto(`${pages.origin}/demos/videocalltest.html`);
    await tab.page.click('#start');
    await tab.page.fill('#username', name, { timeout: 15_000 });
    await tab.page.click('#register');
    await tab.until('registered', 15_000, () => /Registered as/.test(document.querySelector('#youok')?.textContent ?? ''));
    return tab;
  }

  const peer = (tab) => tab.until("the peer's picture", 25_000, () => {
    const video = document.querySelector('#videoright video');
    return video && video.videoWidth > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 10;
  });

  it('calls, answers and hangs up', { timeout: 2 * TEST_MS }, async (t) => {
    const [a, b] = [await user(t, 'alice'), await user(t, 'bob')];
    await a.page.fill('#peer', 'bob');
    await a.page.click('#call');
    await b.page.click('.bootbox .btn-success', { timeout: 15_000 });
    await Promise.all([peer(a), peer(b)]);
    await a.page.fill('#datasend', 'typed into the page', { timeout: 15_000 });
    await a.page.press('#datasend', 'Enter');
    await b.until('the line', 10_000, () => document.querySelector('#datarecv').value === 'typed into the page');
    await b.page.click('#call');
    await a.until('no picture any more', 15_000, () => !document.querySelector('#videoright video'));
    assert.deepEqual([...a.driver.console, ...b.driver.console].filter((line) => /uncaught/i.test(line)), []);
  });
});
