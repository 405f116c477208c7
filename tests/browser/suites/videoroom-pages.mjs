// Rooms by hand: our own sample pages, then the stock pages of the janus-demos package.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { newTab } from '../harness/chromium.mjs';
import { ORACLE, ROOT, startGateway } from '../harness/gateway.mjs';
import { servePages } from '../harness/pages.mjs';
import { needsStock, serveStock } from '../harness/stock.mjs';
import { TEST_MS } from '../harness/suite.mjs';

const PICTURES = path.join(ROOT, 'tests/browser/out');
// A beep is talk enough here.
const ROOMS = { 'room-1234': { bitrate: 3_000_000, audiolevel_event: true, audio_active_packets: 10, audio_level_average: 100 } };

describe('sample pages of rooms', () => {
  let gateway;
  let pages;
  let base;

  before(async () => {
    gateway = await startGateway({ 'janus.plugin.videoroom': ROOMS });
    if (ORACLE) pages = await servePages({ '/demos/': path.join(ROOT, 'html_samples') });
    base = ORACLE ? pages.origin : gateway.origin.replace('127.0.0.1', 'localhost');
  });
  after(async () => {
    await gateway?.stop();
    await pages?.stop();
  });

  async function open(t, name, parameters = {}, { prepare, ...options } = {}) {
    const tab = await newTab(options);
    t.after(() => leave(tab));
    if (prepare) await tab.page.addInitScript(prepare);
    const asked = new URLSearchParams({ ...(ORACLE ? { server: gateway.http } : {}), ...parameters });
    await tab.goto(`${base}/demos/${name}.html?${asked}`);
    return tab;
  }

  for (const name of ['videoroom', 'mvideoroom']) {
    it(`${name}: two people meet, and every control does its work`, { timeout: 2 * TEST_MS }, async (t) => {
      const ann = await open(t, name, { name: 'Ann', layers: 'simulcast' }, { colorScheme: 'light' });
      await ann.page.focus('#room');
      await ann.page.keyboard.press('Enter');
      await says(ann, '#state', /In the room/);
      const bob = await open(t, name, { name: 'Bob', autojoin: '' }, { colorScheme: 'dark' });
      await shows(bob, 'Ann');
      await shows(ann, 'Bob');
      await says(bob, '.rates', /bit\/s · [\d.]+ % lost · (–|< 1 ms|\d+ ms)/, 15_000);
      await says(bob, tileOf('Ann', '.badges'), /VP8 · 1280 × 720 · \d+ fps/, 40_000);
      await bob.until('the talking mark', 15_000, () => !document.querySelector('.badge.talk').hidden
        || [...document.querySelectorAll('.tile')].some((tile) => tile.querySelector('.talking')));
      await bob.page.click(`${tileOf('Ann', '[data-kind=spatial]')} label:has(input[value="0"])`);
      await says(bob, tileOf('Ann', '.badges'), /320 × 180/, 30_000);
      await bob.page.click(`${tileOf('Ann', '[data-kind=spatial]')} label:has(input[value="auto"])`);
      await says(bob, tileOf('Ann', '.badges'), /1280 × 720/, 30_000);
      await bob.page.screenshot({ path: path.join(PICTURES, `${name}.png`), fullPage: true });

      await bob.page.click(tileOf('Ann', 'button:text-is("Hide picture")'));
      await says(bob, tileOf('Ann', '.empty'), /You have hidden this picture/);
      await bob.until('no picture', 10_000, () => document.querySelectorAll('.tile')[1].querySelector('.empty').hidden === false);
      await bob.page.click(tileOf('Ann', 'button:text-is("Show picture")'));
      await shows(bob, 'Ann');
      await ann.page.click('label:has(#camera)');
      await ann.page.click('label:has(#microphone)');
      await ann.page.click('#cap label:has(input[value="128000"])');
      await moderate(gateway, ann, 'Ann');
      await says(bob, tileOf('Ann', '.badge.warn'), /sound muted by a moderator/);

      assert.deepEqual([...errors(ann), ...errors(bob)], []);
      for (const tab of [ann, bob]) assert.equal(await tab.run(() => document.getElementById('alert').hidden), true);
      await ann.page.click('#leave');
      await bob.until('the tile is gone', 10_000, () => document.querySelectorAll('.tile').length === 1);
      await ann.page.click('#join');
      await shows(bob, 'Ann');
    });
  }

  it('screen sharing: one shows a screen, another opens the link and sees it', { timeout: TEST_MS }, async (t) => {
    const sharer = await open(t, 'screensharing');
    await sharer.page.fill('#description', 'Slides');
    await sharer.page.click('#share');
    await says(sharer, '#state', /Sharing/);
    const watcher = await newTab();
    t.after(() => leave(watcher));
    await watcher.goto(await sharer.run(() => document.getElementById('link').value));
    await says(watcher, '#running-title', /Slides/);
    await shows(watcher, 'Slides');
    await watcher.page.screenshot({ path: path.join(PICTURES, 'screensharing.png'), fullPage: true });
    assert.deepEqual([...errors(sharer), ...errors(watcher)], []);
    await sharer.page.click('#stop');
    await says(watcher, '#alert', /not shared any more/);
  });

  it('say in words what is wrong', { timeout: TEST_MS }, async (t) => {
    for (const [parameters, words, prepare] of [
      [{ room: '77' }, /There is no such room.*1234 \(Demo room\)/],
      [{ server: 'http://127.0.0.1:4/janus' }, /The gateway does not answer/],
      [{}, /No permission.*you see and hear the others/, () => {
        navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
      }],
    ]) {
      const tab = await open(t, 'videoroom', { ...parameters, autojoin: '' }, { prepare });
      await says(tab, '#alert', words);
    }
  });

  it('fit a phone', { timeout: TEST_MS }, async (t) => {
    for (const name of ['videoroom', 'mvideoroom', 'screensharing', 'index']) {
      const tab = await open(t, name, {}, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
      await tab.run(() => document.getElementById('in-room')?.removeAttribute('hidden'));
      const wide = await tab.run(() => document.documentElement.scrollWidth);
      assert.ok(wide <= 360, `${name} is ${wide} wide`);
      const small = await tab.run(() => [...document.querySelectorAll('button, select, input[type=text], .switch')]
        .filter((element) => element.offsetParent && element.getBoundingClientRect().height < 32).map((element) => element.id));
      assert.deepEqual(small, [], 'controls too small for a finger');
    }
  });
});

describe('stock pages of rooms', needsStock('videoroomtest'), () => {
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

  async function open(t, name) {
    const tab = await newTab();
    t.after(() => leave(tab));
    await tab.goto(`${pages.origin}/demos/${name}.html`);
    await tab.page.click('#start');
    return tab;
  }

  for (const name of ['videoroomtest', 'mvideoroomtest']) {
    it(`${name}: two people see each other`, { timeout: TEST_MS }, async (t) => {
      const tabs = [];
      for (const who of ['ann', 'bob']) {
        const tab = await open(t, name);
        await tab.page.fill('#username', who);
        await tab.page.click('#register');
        await tab.page.waitForSelector('#unpublish');
        tabs.push(tab);
      }
      for (const tab of tabs) await tab.until('the other\'s picture', 20_000, moves, 'video[id^=remotevideo]');
      for (const tab of tabs) assert.deepEqual(tab.driver.console.filter((line) => /uncaught/i.test(line)), []);
      await tabs[0].page.click('#unpublish');
      await tabs[1].until('the picture is gone', 15_000, () => !document.querySelector('video[id^=remotevideo]'));
    });
  }

  it('screensharingtest: one shares, another watches', { timeout: TEST_MS }, async (t) => {
    const sharer = await open(t, 'screensharingtest');
    await sharer.page.fill('#desc', 'slides');
    await sharer.page.click('#create');
    await sharer.page.click('.bootbox-accept');
    const room = await sharer.until('a session number', 15_000, () => /^\d+$/.exec(document.getElementById('session').textContent.trim())?.[0]);
    const watcher = await open(t, 'screensharingtest');
    await watcher.page.fill('#roomid', room);
    await watcher.page.click('#join');
    await watcher.until('the screen', 20_000, moves, 'video');
  });
});

/** In the page: a picture that is decoded. */
const moves = (selector) => {
  const video = document.querySelector(selector);
  return video && video.videoWidth > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 10;
};

/** A part of the tile with that name. */
const tileOf = (who, part) => `.tile:has(figcaption:text-is("${who}")) ${part}`;

const shows = async (tab, who) => {
  const video = tab.page.locator(tileOf(who, 'video'));
  await video.waitFor();
  const end = Date.now() + 20_000;
  const frames = () => video.evaluate((v) => (v.srcObject?.getVideoTracks().length > 0 && v.videoWidth > 0 ? v.getVideoPlaybackQuality().totalVideoFrames : 0));
  // A picture that stands still is none.
  const first = await frames();
  while (await frames() < first + 5) {
    if (Date.now() > end) assert.fail(`no picture of ${who}\n${await tab.story()}\n${await tab.run(() => document.getElementById('events').innerText)}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
};

async function says(tab, selector, pattern, ms = 15_000) {
  const end = Date.now() + ms;
  for (;;) {
    const text = await tab.page.locator(selector).first().textContent();
    if (pattern.test(text)) return;
    if (Date.now() > end) assert.fail(`${selector} says "${text}", not ${pattern}\n${await tab.run(() => document.getElementById('events').innerText)}`);
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
}

/** A page that is left tells the gateway; one whose browser goes away leaves a guest in the room for a minute. */
async function leave(tab) {
  await tab.goto('about:blank').catch(() => {});
  await tab.close();
}

const errors = (tab) => tab.driver.console.filter((line) => /^error|uncaught/i.test(line));

/** Mutes the sound of somebody in room 1234, as a moderator's tool would. */
async function moderate(gateway, tab, who) {
  const ask = async (where, body) => (await fetch(gateway.http + where, {
    method: 'POST', body: JSON.stringify({ transaction: 'moderator', ...body }),
  })).json();
  const session = (await ask('', { janus: 'create' })).data.id;
  const handle = (await ask(`/${session}`, { janus: 'attach', plugin: 'janus.plugin.videoroom' })).data.id;
  const message = async (body) => (await ask(`/${session}/${handle}`, { janus: 'message', body })).plugindata.data;
  const { participants } = await message({ request: 'listparticipants', room: 1234 });
  const { id } = participants.find((one) => one.display === who);
  assert.deepEqual(await message({ request: 'moderate', room: 1234, id, mid: '0', mute: true }), { videoroom: 'success' });
  await ask(`/${session}`, { janus: 'destroy' });
}
