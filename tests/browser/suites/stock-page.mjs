// The stock echo page of the janus-demos package: unmodified but for the address in its settings.js.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { newTab } from '../harness/chromium.mjs';
import { startGateway } from '../harness/gateway.mjs';
import { needsStock, serveStock } from '../harness/stock.mjs';
import { TEST_MS } from '../harness/suite.mjs';

describe('the stock echo page', needsStock('echotest'), () => {
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

  it('shows the echoed picture, echoes data, switches video', { timeout: TEST_MS }, async (t) => {
    const tab = await newTab();
    t.after(() => tab.close());
    await start(tab, `${pages.origin}/demos/echotest.html`);
    // A browser on a busy machine sends a smaller picture.
    assert.match(await shown(tab), /^(640x480|480x360|320x240)$/);
    await tab.page.fill('#datasend', 'typed into the page');
    await tab.page.press('#datasend', 'Enter');
    await tab.until('the echoed line', 10_000, () => document.querySelector('#datarecv').value === 'Janus EchoTest here! You wrote: typed into the page');
    await tab.until('a bitrate', 15_000, () => parseInt(document.querySelector('#curbitrate').textContent, 10) > 50);
    await tab.page.click('#togglevideo');
    await tab.until('the page shows that no video comes', 15_000, () => /disabled|No remote video/i.test(document.querySelector('#videoright').textContent)
      || parseInt(document.querySelector('#curbitrate').textContent, 10) === 0);
    await tab.page.click('#togglevideo');
    await tab.until('video again', 15_000, () => parseInt(document.querySelector('#curbitrate').textContent, 10) > 20);
    assert.deepEqual(tab.driver.console.filter((line) => /uncaught/i.test(line)), []);
  });

  it('chooses simulcast layers with its buttons', { timeout: 2 * TEST_MS }, async (t) => {
    const tab = await newTab();
    t.after(() => tab.close());
    await start(tab, `${pages.origin}/demos/echotest.html?simulcast=true&vcodec=vp8`);
    for (const [button, width] of [['#sl-0', 320], ['#sl-1', 640], ['#sl-2', 1280]]) {
      await tab.page.click(button);
      await tab.until(`${button}: ${width} wide`, 30_000, (w) => document.querySelector('video[id^=peervideo]')?.videoWidth === w, width);
    }
  });
});

async function start(tab, address) {
  await tab.goto(address);
  await tab.page.click('#start');
  await tab.until('the echoed picture', 25_000, () => {
    const video = document.querySelector('video[id^=peervideo]');
    return video && video.videoWidth > 0 && video.getVideoPlaybackQuality().totalVideoFrames > 10;
  });
}

const shown = (tab) => tab.run(() => {
  const video = document.querySelector('video[id^=peervideo]');
  return `${video.videoWidth}x${video.videoHeight}`;
});
