// A browser outside of the docker host calls the gateway in its container: over docker's default bridge, one published
// port for requests and one for media.

import assert from 'node:assert/strict';
import { chmodSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe } from 'node:test';

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';
import { servePages } from '../browser/harness/pages.mjs';
import { both, withSteps } from '../browser/harness/rooms.mjs';
import { CAMERA, MICROPHONE } from '../browser/harness/suite.mjs';
import { HOST, TEST_MS, folder, get, inLab, start, until } from './support.mjs';

const DRAIN_MS = 20_000;

describe('a call with the gateway in a container', () => {
  let pages;
  before(async () => { pages = await servePages(); });
  after(async () => {
    await closeBrowser();
    await pages?.stop();
  });

  const tab = async (t, page) => {
    const one = await newTab({ ignoreHTTPSErrors: true });
    t.after(() => one.close());
    await one.goto(`${pages.origin}/pages/${page}`);
    return one;
  };

  inLab('echo test: picture and sound come back, by the published media port', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t);
    const page = await tab(t, 'call.html');
    await page.open({ server: gateway.http });
    await page.offer({ tracks: [MICROPHONE, CAMERA] });
    await page.seen('webrtc', { up: true });
    await page.seesVideo();
    const { pair } = await page.flows({ frames: 30 });
    assert.deepEqual([pair.remote.address, pair.remote.port], [HOST, gateway.ports.media]);
  });

  for (const [how, options] of [['', {}], [', with no media port published', { media: false }]]) {
    inLab(`video room: a subscriber, to whom the gateway offers, sees and hears the publisher${how}`, { timeout: TEST_MS }, async (t) => {
      const gateway = await start(t, options);
      const [ann, bob] = await Promise.all([1, 2].map(async () => {
        const one = withSteps(await tab(t, 'room.html'));
        await one.open({ server: gateway.http });
        return one;
      }));
      // The image's own room, whose id is a text.
      const { joined } = await ann.do('enter', 'ann', { room: '1234', tracks: both('ann') });
      assert.equal(typeof joined.id, 'string');
      await bob.do('watch', 'eyes', { room: '1234', streams: [{ feed: joined.id }] });
      await bob.isPictureOf('eyes', joined.id, 'ann');
      await bob.sees('eyes', joined.id, { count: 15 });
      assert.ok(await bob.hears('eyes', joined.id) > 0.01, 'the sound comes, too');
    });
  }

  inLab('records into the folder that is mounted for it, as any user of group 0', { timeout: TEST_MS }, async (t) => {
    const recordings = folder(t);
    chmodSync(recordings, 0o777);
    const gateway = await start(t, { volumes: [[recordings, '/janus/bin/janus-recordings']], options: ['--read-only', '--user', '54321'] });
    const page = await tab(t, 'call.html');
    await page.open({ server: gateway.http });
    await page.offer({ tracks: [MICROPHONE, CAMERA] });
    await page.seen('webrtc', { up: true });
    await page.message({ audio: true, video: true, record: true, filename: './janus-recordings/echo' });
    await page.flows({ frames: 30 });
    await page.message({ record: false });
    const size = (name) => statSync(path.join(recordings, name), { throwIfNoEntry: false })?.size ?? 0;
    await until('both files are there', 5_000, () => size('echo-video.mjr') > 10_000 && size('echo-audio.mjr') > 1_000, async () => readdirSync(recordings).join(' '));
  });

  inLab('docker stop lets the call go on until it ends, then the container ends with 0', { timeout: TEST_MS }, async (t) => {
    const gateway = await start(t, { env: { PORTUNUS_DRAIN_TIMEOUT_S: String(DRAIN_MS / 1000) } });
    const page = await tab(t, 'call.html');
    await page.open({ server: gateway.http });
    await page.offer({ tracks: [MICROPHONE, CAMERA] });
    await page.seen('webrtc', { up: true });
    await page.seesVideo();

    const stopped = gateway.stop(2 * DRAIN_MS / 1000);
    await until('newcomers are refused', 5_000, async () => /"code":\s*472/.test((await create(gateway)).text));
    await page.flows({ frames: 60 });
    await page.run(() => window.call.hangup());
    await page.run(() => window.call.detach());
    assert.ok(await stopped < DRAIN_MS, 'it does not wait for the whole time');
    const { State: state } = await gateway.inspect();
    assert.deepEqual([state.Running, state.ExitCode], [false, 0], await gateway.log());
  });
});

const create = (gateway) => get(gateway.http, { janus: 'create', transaction: 'x' });
