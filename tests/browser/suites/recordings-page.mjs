// The page of recordings, as the gateway serves it: what it lists, plays and hands out, and what it says when it may not.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { newTab } from '../harness/chromium.mjs';
import { ORACLE, startGateway } from '../harness/gateway.mjs';
import { CAMERA, MICROPHONE, TEST_MS, sleep, withGateway } from '../harness/suite.mjs';

const PASSWORD = 'operators only';
const SECONDS = 40;
const EVIL = `<img src=x onerror="window.hit = 1">`;
const TOOLS = installed('ffmpeg') ? {} : { skip: 'not installed: ffmpeg' };
const knowing = (password) => ({ httpCredentials: { username: 'any', password } });
const settings = (folder, more = {}) => ({ janus: { portunus: { recordings_page: true, recordings_roots: [folder], ...more } } });

describe('the page of recordings', { skip: ORACLE && 'Janus shows no recordings' }, () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'portunus-recordings-'));
  const nothing = path.join(folder, '.nothing');
  const suite = withGateway(settings(folder));
  let locked;

  before(async () => {
    mkdirSync(nothing);
    fill(folder);
    locked = await startGateway(settings(folder, { recordings_password: PASSWORD }));
  });
  after(async () => {
    await locked?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(t, gateway, { host = 'localhost', ...options } = {}) {
    const tab = await newTab(options);
    t.after(async () => {
      assert.deepEqual(tab.driver.console.filter((line) => /uncaught/i.test(line)), []);
      await tab.close();
    });
    tab.answers = [];
    tab.page.on('response', (answer) => { if (answer.url().includes('/recordings/')) tab.answers.push(answer.status()); });
    await tab.goto(`${gateway.origin.replace('127.0.0.1', host)}/demos/recordings.html`);
    return tab;
  }

  const says = (tab, selector, pattern, ms = 10_000) => tab.until(`${selector} says ${pattern}`, ms, ([name, source]) =>
    new RegExp(source).test([...document.querySelectorAll(name)].map((element) => element.textContent).join('\n')), [selector, pattern.source]);

  const noticed = (tab, kind) => tab.until(`the page says: ${kind}`, 10_000, (wanted) => {
    const notice = document.getElementById('notice');
    return !notice.hidden && notice.dataset.kind === wanted;
  }, kind);

  const titles = (tab) => tab.run(() => [...document.querySelectorAll('.call h3')].map((title) => title.textContent));

  it('says how to switch it on where it is off', { timeout: TEST_MS }, async (t) => {
    const off = await startGateway({});
    t.after(() => off.stop());
    const tab = await open(t, off);
    await noticed(tab, 'off');
    await says(tab, '#notice', /recordings_page = true/);
    assert.doesNotMatch(off.log, /^Recordings:/m);
  });

  it('lists files by call, says what is in them, and how to make a file that plays', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, suite.gateway);
    await says(tab, '#summary', /^7 files of 5 calls/);
    assert.deepEqual(await titles(tab), ['one', 'videoroom-1234-user-77-1700000000', EVIL, 'one (2)', 'hidden things']);
    await says(tab, '.what', /audio · opus\nvideo · vp8/);
    await says(tab, '.what', /video · h264 · encrypted/);
    await tab.page.click('.call:first-child summary');
    await says(tab, '.call:first-child code', new RegExp(`^cd ${folder}/calls && portunus-pp-rec one-audio.mjr one-video.mjr one.webm$`));
    writeFileSync(path.join(folder, 'calls/one.webm'), '');
    t.after(() => rmSync(path.join(folder, 'calls/one.webm')));
    await tab.page.click('#reload');
    await says(tab, '.call:first-child code', /one-audio.mjr one-video.mjr one_2.webm$/);
    await tab.page.click('.call:nth-child(2) summary');
    await says(tab, '.call:nth-child(2) .make', /The clients encrypted this call/);
    await tab.page.click('.call:nth-child(4) summary');
    await says(tab, '.call:nth-child(4) code', /portunus-pp-rec one-audio-1.mjr one-1.opus$/);
    assert.equal(await tab.run(() => window.hit), undefined, 'names are text');
    assert.match(suite.gateway.log, /^Recordings: http:\S+\/demos\/recordings\.html shows .* to this machine only/m);
  });

  it('filters and sorts', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, suite.gateway);
    await says(tab, '#summary', /^7 files/);
    await tab.page.selectOption('#order', 'oldest');
    assert.equal((await titles(tab))[0], 'hidden things');
    await tab.page.selectOption('#order', 'name');
    assert.equal((await titles(tab))[0], EVIL);
    await tab.page.fill('#filter', 'ROOM-1234');
    assert.deepEqual(await titles(tab), ['videoroom-1234-user-77-1700000000']);
    await tab.page.fill('#filter', 'no such name');
    await says(tab, '#summary', /Nothing fits/);
    await tab.page.fill('#filter', '');
    await tab.page.selectOption('#kinds', 'plays');
    assert.deepEqual(await titles(tab), [EVIL]);
  });

  it('plays, and jumps to where the reader points', { timeout: TEST_MS, ...TOOLS }, async (t) => {
    for (const name of ['picture.webm', 'sound.opus']) {
      film(path.join(folder, name));
      t.after(() => rmSync(path.join(folder, name)));
    }
    for (const [name, element, gateway] of [
      ['picture.webm', 'video', suite.gateway], ['sound.opus', 'audio', suite.gateway], ['picture.webm', 'video', locked],
    ]) {
      const tab = await open(t, gateway, gateway === locked ? knowing(PASSWORD) : {});
      await tab.page.click(`button[aria-label="Play ${name}"]`);
      await tab.until(`${name} plays`, 15_000, (kind) => document.querySelector(`#player ${kind}`)?.currentTime > 1, element);
      const length = await tab.run((kind) => document.querySelector(`#player ${kind}`).duration, element);
      assert.ok(Math.abs(length - SECONDS) < 0.5, `${name} is ${length} s long`);
      await tab.run(([kind, to]) => { document.querySelector(`#player ${kind}`).currentTime = to; }, [element, SECONDS - 8]);
      await tab.until(`${name} goes on there`, 15_000, ([kind, from]) => {
        const { currentTime, seeking } = document.querySelector(`#player ${kind}`);
        return !seeking && currentTime > from + 0.5;
      }, [element, SECONDS - 8]);
      assert.ok(tab.answers.includes(206), `answers ${tab.answers}`);
      if (element === 'video') assert.equal(await tab.run(() => document.querySelector('#player video').videoWidth), 640);
      await tab.page.click('#player-close');
      assert.equal(await tab.page.isVisible('#player'), false);
    }
  });

  it('says so when a file does not play', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, suite.gateway);
    await tab.page.click('button[aria-label^="Play <img"]');
    await says(tab, '#player-text', /cannot play the file/);
  });

  it('hands files out as they are', { timeout: TEST_MS }, async (t) => {
    for (const [gateway, options] of [[suite.gateway, {}], [locked, knowing(PASSWORD)]]) {
      const tab = await open(t, gateway, options);
      for (const name of ['one-audio.mjr', `${EVIL}.webm`]) {
        const [download] = await Promise.all([
          tab.page.waitForEvent('download'),
          tab.page.click(`a[aria-label=${JSON.stringify(`Download ${name}`)}]`),
        ]);
        const from = path.join(folder, name.endsWith('.mjr') ? 'calls' : '', name);
        assert.deepEqual(readFileSync(await download.path()), readFileSync(from));
      }
    }
  });

  it('wants the password where there is one', { timeout: TEST_MS }, async (t) => {
    // Without any, the browser asks the reader; with a wrong one, Playwright answers that he gives up.
    for (const password of ['', 'wrong', PASSWORD.toUpperCase()]) {
      const tab = await open(t, locked, knowing(password));
      await noticed(tab, 'password');
      assert.equal((await titles(tab)).length, 0);
    }
    const tab = await open(t, locked, knowing(PASSWORD));
    await says(tab, '#summary', /^7 files/);
    await says(tab, '.what', /audio · opus/);
    assert.match(locked.log, /a wrong password for the recordings/);
    assert.ok(!locked.log.includes(PASSWORD));
  });

  it('is for this machine only where there is none', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, suite.gateway, { host: 'elsewhere.localhost' });
    await noticed(tab, 'forbidden');
    await says(tab, '#notice', /recordings_password/);
  });

  it('gives no other page anything', { timeout: TEST_MS }, async (t) => {
    const tab = await newTab();
    t.after(() => tab.close());
    await tab.goto(`${suite.pages.origin}/pages/call.html`);
    const tried = await tab.run(async (base) => {
      const read = await fetch(`${base}/recordings/`).then(() => 'read', () => 'refused');
      const shown = await new Promise((resolve) => {
        const image = new Image();
        image.onerror = () => resolve('refused');
        image.onload = () => resolve('shown');
        image.src = `${base}/recordings/files/0/calls/one-audio.mjr`;
      });
      const embedded = await fetch(`${base}/recordings/files/0/calls/one-audio.mjr`, { mode: 'no-cors' }).then(() => 'embedded', () => 'refused');
      return [read, shown, embedded];
    }, suite.gateway.origin.replace('127.0.0.1', 'localhost'));
    // Another port of one host is another origin, but the same site: `same-origin` is what keeps it out.
    assert.deepEqual(tried, ['refused', 'refused', 'refused']);
  });

  it('shows a call while it is recorded', { timeout: TEST_MS }, async (t) => {
    const call = await suite.call({ tracks: [MICROPHONE, CAMERA] });
    await call.message({ record: true, filename: path.join(folder, 'live') });
    t.after(() => ['audio', 'video'].forEach((kind) => rmSync(path.join(folder, `live-${kind}.mjr`), { force: true })));
    const tab = await open(t, suite.gateway);
    await says(tab, '.call:first-child header', /^live.*Being recorded/);
    await says(tab, '.call:first-child .what', /audio · opus\nvideo · vp8/);
    await says(tab, '.call:first-child .make', /still being recorded/);
    await call.message({ record: false });
    await says(tab, '.call:first-child code', /live-audio\.mjr live-video\.mjr live\.webm/, 25_000);
  });

  it('says so when nothing is recorded yet', { timeout: TEST_MS }, async (t) => {
    const empty = await startGateway(settings(nothing));
    t.after(() => empty.stop());
    const tab = await open(t, empty);
    await noticed(tab, 'empty');
    writeFileSync(path.join(nothing, 'first.mjr'), mjr({ t: 'd', c: 'text' }));
    await tab.page.click('#again');
    await says(tab, '.what', /data · text/);
  });

  it('fits a phone', { timeout: TEST_MS }, async (t) => {
    const tab = await open(t, suite.gateway, { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true });
    await says(tab, '#summary', /^7 files/);
    await tab.page.click('.call:first-child summary');
    const wide = await tab.run(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 360, `the page is ${wide} wide`);
    const small = await tab.run(() => [...document.querySelectorAll('button, select, input, a.button')]
      .filter((element) => element.offsetParent && element.getBoundingClientRect().height < 32).map((element) => element.textContent));
    assert.deepEqual(small, [], 'controls too small for a finger');
  });
});

/** Seven files of five calls, the first the newest. */
function fill(folder) {
  const video = { t: 'v', c: 'vp8', s: 1_700_000_000_000_000, u: 1_700_000_000_000_000 };
  const files = [
    ['calls/one-audio.mjr', mjr({ ...video, t: 'a', c: 'opus' })],
    ['calls/one-video.mjr', mjr(video)],
    // A header longer than what is read at first.
    ['videoroom-1234-user-77-1700000000-audio-0.mjr', mjr({ t: 'a', c: 'opus', d: 'x'.repeat(9000) })],
    ['videoroom-1234-user-77-1700000000-video-1.mjr', mjr({ ...video, c: 'h264', e: true })],
    [`${EVIL}.webm`, Buffer.from('no film at all')],
    ['calls/one-audio-1.mjr', mjr({ t: 'a', c: 'opus' })],
    ['deep/er/hidden things.srt', Buffer.from('')],
  ];
  files.forEach(([name, bytes], i) => {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    const then = Date.now() / 1000 - 60 - i;
    utimesSync(file, then, then);
  });
}

function mjr(header) {
  const text = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([Buffer.from('MJR00002'), length, text]);
}

/** A file of some megabytes, so that a jump in it is not answered from what was read already. */
function film(file) {
  const sound = ['-f', 'lavfi', '-i', `sine=frequency=440:sample_rate=48000`];
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=15'];
  const kinds = file.endsWith('.webm')
    ? [...picture, ...sound, '-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-b:v', '3M', '-g', '30', '-c:a', 'libopus']
    : [...sound, '-c:a', 'libopus', '-b:a', '256k'];
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...kinds, '-t', String(SECONDS), file], { stdio: 'pipe' });
}

function installed(tool) {
  try {
    execFileSync('sh', ['-c', 'command -v "$1"', 'sh', tool], { stdio: 'pipe' });
    return true;
  } catch {
    return false;
  }
}
