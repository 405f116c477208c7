// Our own administration page, as the gateway serves it: an operator at work, and what goes wrong.

import assert from 'node:assert/strict';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { newTab } from '../harness/chromium.mjs';
import { ADDRESS, ORACLE, ROOT, startGateway } from '../harness/gateway.mjs';
import { mergeSettings } from '../harness/jcfg.mjs';
import { servePages } from '../harness/pages.mjs';
import { TEST_MS, notOnOracle, sleep } from '../harness/suite.mjs';

const SECRET = 'operators only';
const EVIL = '<img src=x onerror="window.hit = 1">';
const PHONE = { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true };
const SETTINGS = {
  janus: { general: { admin_secret: SECRET }, nat: { ice_enforce_list: ADDRESS } },
  'janus.plugin.videoroom': { 'room-1234': { bitrate: 512_000 } },
};
const VIEWS = ['overview', 'sessions', 'rooms', 'settings', 'tokens'];

describe('the administration page', () => {
  let gateway;
  let pages;
  let base;

  before(async () => {
    gateway = await startGateway(SETTINGS);
    // The oracle serves no pages: ours stand beside it.
    if (ORACLE) pages = await servePages({ '/demos/': path.join(ROOT, 'html_samples') });
    base = ORACLE ? pages.origin : gateway.origin.replace('127.0.0.1', 'localhost');
  });
  after(async () => {
    await gateway?.stop();
    await pages?.stop();
  });

  async function open(t, options = {}) {
    const tab = await newTab(options);
    t.after(async () => {
      assert.deepEqual(
        tab.driver.console.filter((line) => /uncaught/i.test(line)),
        [],
      );
      await tab.close();
    });
    await tab.goto(`${base}/demos/admin.html`);
    return tab;
  }

  async function login(tab, { at = gateway, secret = SECRET } = {}) {
    await tab.page.fill('#address', typeof at === 'string' ? at : at.admin.http);
    await tab.page.fill('#secret', secret);
    await tab.page.press('#secret', 'Enter');
  }

  async function inside(t, view, { at = gateway, ...options } = {}) {
    const tab = await open(t, options);
    await login(tab, { at });
    await tab.page.click(`#tabs a[href="#${view}"]`);
    await tab.page.waitForSelector(`#${view}:not([hidden])`);
    return tab;
  }

  /** Somebody in a room, by way of the sample page; leaves when the test ends. */
  async function guest(t, name, parameters = {}) {
    const tab = await newTab();
    t.after(async () => {
      await tab.goto('about:blank').catch(() => {});
      await tab.close();
    });
    const server = ORACLE ? { server: gateway.http } : {};
    await tab.goto(
      `${base}/demos/videoroom.html?${new URLSearchParams({ name, autojoin: '', ...server, ...parameters })}`,
    );
    await says(tab, '#state', /In the room/);
    return tab;
  }

  it(
    'refuses a wrong secret in words, takes the right one, and forgets it at the end',
    { timeout: TEST_MS },
    async (t) => {
      const tab = await open(t);
      await login(tab, { secret: 'a guess' });
      await says(tab, '#alert', /The secret is wrong.*general\.admin_secret/);
      await tab.page.fill('#secret', SECRET);
      await tab.page.press('#secret', 'Enter');
      await says(tab, '#overview-figures', /Sessions.*Log level4 \(info\)/);
      await says(tab, '#overview-server', ORACLE ? /Janus/ : /Portunus.*plugin\.echotest/);
      if (!ORACLE) await says(tab, '#workers', /Worker 0/);
      assert.equal(await tab.page.isVisible('#alert'), false);
      await tab.page.reload();
      await says(tab, '#state', /Connected/);
      await tab.page.click('#logout');
      const left = await tab.run(() => [
        location.href,
        document.cookie,
        ...Object.values(sessionStorage),
        ...Object.values(localStorage),
      ]);
      assert.equal(
        left.some((text) => text.includes(SECRET) || text.includes(encodeURIComponent(SECRET))),
        false,
        `${left}`,
      );
      await tab.page.reload();
      await says(tab, '#state', /Not logged in/);
    },
  );

  it('says why it cannot get in: nobody there, another API, another origin', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t);
    await login(tab, { at: 'http://127.0.0.1:4/admin' });
    await says(tab, '#alert', /The gateway does not answer.*127\.0\.0\.1:4/);
    await login(tab, { at: 'nonsense' });
    await says(tab, '#alert', /That is no address/);
    await login(tab, { at: gateway.http });
    await says(tab, '#alert', /That address is the Janus API/);
    await login(tab, { at: `${base}/demos` });
    await says(tab, '#alert', /This is not an Admin API/);
  });

  it(
    'says what to set when other origins are not let in',
    { timeout: TEST_MS, ...notOnOracle('lets every origin in') },
    async (t) => {
      const closed = await startGateway({});
      t.after(() => closed.stop());
      const tab = await open(t);
      await login(tab, { at: closed });
      await says(tab, '#alert', /does not let this page in.*Set general\.admin_secret/);
    },
  );

  it(
    "shows a caller's handle with charts that fill, and hangs it up when that is confirmed",
    { timeout: TEST_MS },
    async (t) => {
      const [tab, caller] = await Promise.all([inside(t, 'sessions'), guest(t, EVIL)]);
      const row = tab.page.locator('#session-table tr', { hasText: 'publishing' });
      await row.locator('button').click();
      assert.ok((await row.textContent()).includes(`${EVIL} in room 1234`));
      await says(tab, '#handle-state', /Call is up/);
      await says(tab, '#handle-facts', /ICE(ready|connected).*127\.|ICE(ready|connected).*Their address/);
      const video = tab.page.locator('.stream', { hasText: 'VP8' });
      await video.waitFor();
      await tab.until('a curve', 15_000, () =>
        [...document.querySelectorAll('.stream')].some(
          (stream) =>
            /VP8/.test(stream.textContent) &&
            /Coming in [1-9]/.test(
              stream.querySelector('canvas').getAttribute('aria-label'),
            ),
        ),
      );
      const drawn = await video
        .locator('canvas')
        .first()
        .evaluate(
          (canvas) =>
            new Set(
              new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer),
            ).size,
        );
      assert.ok(drawn > 3, `${drawn} colours`);
      assert.match(await video.textContent(), /Comes in[\d.]+ [kM]bit\/s.*Lost on the way in0/);
      await tab.page.click('summary:text("The whole answer")');
      await says(tab, '#handle-raw', /"plugin": "janus\.plugin\.videoroom"/);

      await tab.page.click('#handle-acts button:text("Hang up")');
      await tab.page.click('dialog button:text("Cancel")');
      assert.equal(await caller.page.textContent('#state'), 'In the room');
      await tab.page.click('#handle-acts button:text("Hang up")');
      await tab.page.click('dialog button:text("Hang up")');
      await says(tab, '#said', /was hung up/);
      // The page whose call is over takes its leave.
      await says(caller, '#alert', /not in the room any more.*Admin API/);
      await says(tab, '#handle-state', /Gone/);
      assert.equal(await tab.run(() => window.hit ?? 0), 0);
    },
  );

  it('detaches a handle and ends a session, whatever they call themselves', { timeout: TEST_MS }, async (t) => {
    const { data } = await post(gateway.http, { janus: 'create' });
    const attach = { janus: 'attach', plugin: 'janus.plugin.echotest', opaque_id: EVIL };
    const handle = (await post(`${gateway.http}/${data.id}`, attach)).data.id;
    const tab = await inside(t, 'sessions');
    await tab.page.click(`#session-table button[data-handle="${handle}"]`);
    await says(tab, '#handle-state', /No call/);
    assert.equal(await tab.page.textContent('#session-table .opaque'), EVIL);
    await tab.page.click('#handle-acts button:text("Detach handle")');
    await tab.page.click('dialog button:text("Detach")');
    await says(tab, '#said', /was detached/);
    await says(tab, '#handle-state', /Gone/);
    await tab.page.click(`button[aria-label="End session ${data.id}"]`);
    await tab.page.click('dialog button:text("End session")');
    await says(tab, '#said', /ended/);
    await tab.page.waitForSelector('#session-none:not([hidden])');
    assert.equal((await post(`${gateway.http}/${data.id}`, { janus: 'keepalive' })).error.code, 458);
    assert.equal(await tab.run(() => window.hit ?? 0), 0);
  });

  it('draws a room with its people and who watches whom, and moderates', { timeout: TEST_MS }, async (t) => {
    const tab = await inside(t, 'rooms');
    await Promise.all([guest(t, EVIL), guest(t, 'Bob', { camera: '0', microphone: '0' })]);
    const room = tab.page.locator('.room[data-room="1234"]');
    await tab.until('a line from one to the other', 15_000, () =>
      /to Bob: audio opus, video vp8|to Bob: video vp8/.test(
        document.querySelector('.room[data-room="1234"] .link')?.textContent,
      ),
    );
    assert.match(await room.locator('svg').getAttribute('aria-label'), /2 people, 1 publish, 1 lines/);
    assert.equal(await room.locator('.person').count(), 2);
    await room.locator('summary').click();
    const evil = room.locator('tr', { hasText: 'publishes' });
    assert.ok((await evil.textContent()).startsWith(EVIL));
    await evil.locator('button:text("Mute sound")').click();
    await says(tab, '#said', /is muted/);
    await evil.locator('button:text("Unmute sound")').waitFor();
    await room.locator('tr', { hasText: 'Bob' }).locator('button:text("Kick")').click();
    await tab.page.click('dialog button:text("Kick")');
    await says(tab, '#said', /Bob was kicked/);
    await tab.until(
      'nobody but one',
      10_000,
      () => document.querySelectorAll('.room[data-room="1234"] .person').length === 1,
    );
    await room.locator('.person').press('Enter');
    await says(tab, '#handle-what', /publishing/);
    assert.equal(await tab.run(() => window.hit ?? 0), 0);
  });

  it('makes a room, asks for its secret when it is changed, and destroys it', { timeout: TEST_MS }, async (t) => {
    const tab = await inside(t, 'rooms');
    await tab.page.click('summary:text("New room")');
    await tab.page.fill('#create-room', '4321');
    await tab.page.fill('#create-description', EVIL);
    await tab.page.fill('#create-secret', 'of the room');
    await tab.page.click('#create');
    await says(tab, '#said', /Room 4321 was created/);
    const room = tab.page.locator('.room[data-room="4321"]');
    assert.equal(await room.locator('h3').textContent(), EVIL);
    assert.equal((await plugin(gateway, { request: 'exists', room: 4321 })).exists, true);
    await room.locator('button:text("Edit")').click();
    await tab.page.fill('dialog input[type=number] >> nth=0', '7');
    await tab.page.click('dialog button:text("Save")');
    await tab.page.fill('dialog input[type=password]', 'a guess');
    await tab.page.press('dialog input[type=password]', 'Enter');
    await says(tab, 'dialog', /That was not it/);
    await tab.page.fill('dialog input[type=password]', 'of the room');
    await tab.page.press('dialog input[type=password]', 'Enter');
    await says(tab, '#said', /Room 4321 was changed/);
    await says(tab, '.room[data-room="4321"]', /up to 7 publish/);
    await room.locator('button:text("Destroy")').click();
    await tab.page.click('dialog button:text("Destroy")');
    await says(tab, '#said', /Room 4321 was destroyed/);
    await tab.until('no card', 10_000, () => !document.querySelector('.room[data-room="4321"]'));
    assert.equal((await plugin(gateway, { request: 'exists', room: 4321 })).exists, false);
    assert.equal(await tab.run(() => window.hit ?? 0), 0);
  });

  it('changes settings, and the gateway has them', { timeout: TEST_MS }, async (t) => {
    const tab = await inside(t, 'settings');
    await tab.page.selectOption('#setting-level', '5');
    await says(tab, '#said', /Log level: 5/);
    await tab.page.fill('#set-session_timeout', '90');
    await sleep(2500);
    assert.equal(await tab.page.inputValue('#set-session_timeout'), '90', 'a round overwrites nothing that is typed');
    await tab.page.press('#set-session_timeout', 'Enter');
    await says(tab, '#said', /Session timeout: 90/);
    await tab.page.click('label:has(#set-log_timestamps)');
    await says(tab, '#said', /Times in the log: on/);
    await tab.page.click('label:has(#set-accept)');
    await says(tab, '#said', /Accept new sessions: off/);
    const { status } = await admin(gateway, { janus: 'get_status' });
    assert.deepEqual([status.log_level, status.session_timeout, status.log_timestamps], [5, 90, true]);
    const refused = await post(gateway.http, { janus: 'create' });
    assert.equal(refused.janus, 'error');
    await tab.page.click('label:has(#set-accept)');
    await says(tab, '#said', /Accept new sessions: on/);
    await tab.page.selectOption('#setting-level', '4');
    await says(tab, '#setting-now', /level 4/);
  });

  it('keeps stored tokens, and explains when there are none to keep', { timeout: TEST_MS }, async (t) => {
    const stored = await startGateway(mergeSettings(SETTINGS, { janus: { general: { token_auth: true } } }));
    t.after(() => stored.stop());
    const without = await inside(t, 'tokens');
    await without.page.waitForSelector('#tokens-off:not([hidden])');
    assert.equal(await without.page.isVisible('#token-add'), false);
    const tab = await inside(t, 'tokens', { at: stored });
    await tab.page.fill('#token-new', EVIL);
    await tab.page.click('#token-add button:text("Add")');
    await says(tab, '#said', /was added/);
    await says(tab, '#token-table code', /<img/);
    const token = async () => (await admin(stored, { janus: 'list_tokens' })).data.tokens[0];
    const before = await token();
    assert.equal(before.token, EVIL);
    await tab.page.click('#token-table label:has-text("echotest")');
    await says(tab, '#said', /may not use echotest/);
    const left = (await token()).allowed_plugins;
    assert.deepEqual(
      left,
      before.allowed_plugins.filter((name) => name !== 'janus.plugin.echotest'),
    );
    await tab.page.click('#token-table button:text("Remove")');
    await tab.page.click('dialog button:text("Remove")');
    await says(tab, '#said', /was removed/);
    assert.deepEqual(await token(), undefined);
    assert.equal(await tab.run(() => window.hit ?? 0), 0);
  });

  it(
    'asks four questions at a time at most, lists many sessions in pages, and rests while hidden',
    { timeout: TEST_MS },
    async (t) => {
      const sessions = await Promise.all(Array.from({ length: 55 }, () => post(gateway.http, { janus: 'create' })));
      const attach = { janus: 'attach', plugin: 'janus.plugin.echotest', opaque_id: 'the needle' };
      await post(`${gateway.http}/${sessions[54].data.id}`, attach);
      t.after(() => Promise.all(sessions.map(({ data }) => post(`${gateway.http}/${data.id}`, { janus: 'destroy' }))));
      const tab = await open(t);
      const flying = { now: 0, most: 0, all: 0 };
      const ours = (request) => request.url().startsWith(gateway.admin.http);
      tab.page.on('request', (request) => {
        if (!ours(request)) return;
        flying.all += 1;
        flying.now += 1;
        flying.most = Math.max(flying.most, flying.now);
      });
      for (const end of ['requestfinished', 'requestfailed'])
        tab.page.on(end, (request) => {
          flying.now -= ours(request) ? 1 : 0;
        });
      await login(tab);
      await tab.page.click('#tabs a[href="#sessions"]');
      await says(tab, '#session-count', /^5\d sessions/);
      await says(tab, '#session-page', /Page 1 of 2/);
      assert.equal(await tab.page.locator('#session-table tbody').count(), 50);
      await tab.page.click('#session-older');
      await says(tab, '#session-page', /Page 2 of 2/);
      await tab.page.fill('#session-find', 'needle');
      await says(tab, '#session-count', /1 of \d+ sessions fit/);
      assert.ok(flying.most <= 4 && flying.most > 1, `${flying.most} at a time`);

      const hide = (hidden) => {
        Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
        document.dispatchEvent(new Event('visibilitychange'));
      };
      await tab.run(hide, true);
      await sleep(300);
      const before = flying.all;
      await sleep(2300);
      assert.equal(flying.all, before, 'nothing is asked while nobody looks');
      await tab.run(hide, false);
      await sleep(1000);
      assert.ok(flying.all > before);
    },
  );

  it('tells that the gateway is gone, and goes on when it is back', { timeout: TEST_MS }, async (t) => {
    const first = await startGateway(SETTINGS);
    let second = null;
    t.after(() => Promise.all([first.stop(), second?.stop()]));
    const tab = await inside(t, 'overview', { at: first });
    await says(tab, '#overview-figures', /Sessions/);
    await first.stop();
    await says(tab, '#state', /Gateway does not answer/);
    await says(tab, '#alert', /The gateway does not answer.*goes on asking/);
    const port = Number(new URL(first.admin.http).port);
    second = await startGateway(mergeSettings(SETTINGS, { 'janus.transport.http': { admin: { admin_port: port } } }));
    await says(tab, '#state', /Connected/);
    assert.equal(await tab.page.isVisible('#alert'), false);
  });

  it("fits a phone, and every control has a name and a finger's height", { timeout: TEST_MS }, async (t) => {
    await guest(t, 'Somebody with a name that is long enough to be in the way', { camera: '0' });
    const tab = await open(t, PHONE);
    for (const view of ['login', ...VIEWS]) {
      if (view === 'overview') await login(tab);
      if (view !== 'login') await tab.page.click(`#tabs a[href="#${view}"]`);
      if (view === 'sessions') {
        await tab.page.click('#session-table button.link');
        await tab.page.waitForSelector('.stream');
      }
      if (view === 'rooms') await tab.page.click('.room summary');
      if (view === 'tokens') await tab.page.waitForSelector('#tokens-off:not([hidden])');
      const wrong = await tab.run(() => {
        const seen = [...document.querySelectorAll('button, select, input, .switch, #tabs a')].filter(
          (element) => element.offsetParent,
        );
        const small = seen.filter(
          (element) => element.type !== 'checkbox' && element.getBoundingClientRect().height < 32,
        );
        const named = (element) =>
          element.getAttribute('aria-label') || element.labels?.[0]?.textContent.trim() || element.textContent.trim();
        const nameless = seen.filter((element) => !named(element));
        const wide = document.documentElement.scrollWidth;
        return [...small, ...nameless].map((element) => element.outerHTML).concat(wide > 360 ? [`${wide} wide`] : []);
      });
      assert.deepEqual(wrong, [], view);
    }
  });
});

async function says(tab, selector, pattern, ms = 15_000) {
  await tab.until(
    `${selector} says ${pattern}`,
    ms,
    ([where, source]) => new RegExp(source, 's').test(document.querySelector(where)?.textContent ?? ''),
    [selector, pattern.source],
  );
}

async function post(address, body) {
  const answer = await fetch(address, { method: 'POST', body: JSON.stringify({ transaction: 'test', ...body }) });
  return answer.json();
}

const admin = (gateway, body) => post(gateway.admin.http, { admin_secret: SECRET, ...body });

const plugin = async (gateway, request) =>
  (await admin(gateway, { janus: 'message_plugin', plugin: 'janus.plugin.videoroom', request })).response;
