// Names of recordings from people who mean harm: hundreds of them, through every request that takes one. Files come to be
// below the allowed folder only, and what was there stays as it was.

import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';
import { servePages } from '../browser/harness/pages.mjs';
import { DATA, MICROPHONE } from '../browser/harness/suite.mjs';
import { grounds } from './hostile-names.mjs';
import { Client, metrics, until } from './support.mjs';

const LEAST = 500;
const VIDEOROOM = 'janus.plugin.videoroom';

describe('names of recordings', () => {
  let pages;
  before(async () => { pages = await servePages(); });
  after(async () => {
    await closeBrowser();
    await pages?.stop();
  });

  it('that mean harm do none', { timeout: 240_000 }, async (t) => {
    const { gateway, own, outside, names, allowed, made } = await grounds(t);
    symlinkSync(path.join(outside, 'target.mjr'), path.join(own, 'file-audio.mjr'));
    for (const name of ['mine-audio.mjr', 'mine-data.mjr']) writeFileSync(path.join(own, name), 'mine');
    assert.ok(names.length >= LEAST, `${names.length} names`);

    const tab = await newTab();
    t.after(() => tab.close());
    await tab.goto(`${pages.origin}/pages/call.html`);
    await tab.open({ server: gateway.ws });
    await tab.offer({ tracks: [MICROPHONE, DATA] });
    await tab.seen('webrtc', { up: true });
    for (const filename of names) {
      await tab.message({ record: true, filename });
      await tab.message({ record: false });
    }
    const client = await Client.open(gateway.ws);
    t.after(() => client.close());
    await client.session(VIDEOROOM);
    for (const [n, rec_dir] of names.entries()) {
      const room = 5000 + n;
      await client.message({ request: 'create', room, rec_dir, record: true });
      await client.message({ request: 'create', room, rec_dir });
      await client.message({ request: 'edit', room, new_rec_dir: rec_dir });
      await client.message({ request: 'enable_recording', room, record: true });
      await client.message({ request: 'join', ptype: 'publisher', room, display: 'x' }, { event: true });
      await client.message({ request: 'configure', record: true, filename: rec_dir }, { event: true });
      await client.message({ request: 'leave' }, { event: true });
    }
    await until('all files are closed', 10_000, async () => (await metrics(gateway)).portunus_recordings === 0);

    const files = made(['mjr']);
    assert.deepEqual(files.filter((file) => !allowed(file)), []);
    assert.ok(files.length > 60, `${files.length} files: what is only odd is a name like any other`);
    for (const name of ['mine-audio.mjr', 'mine-data.mjr']) assert.equal(readFileSync(path.join(own, name), 'utf8'), 'mine');
    const { portunus_recordings_begun_total: begun } = await metrics(gateway);
    t.diagnostic(`${names.length} names, ${begun} recordings begun, ${files.length} files, all of them inside`);
    assert.equal(gateway.exited, null);
  });
});
