// The plugin's switches: sound and picture off and on again, and a cap on the bitrate.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { TEST_MS, sleep, withGateway } from '../harness/suite.mjs';

const STILL_MS = 1500;

describe('switches', () => {
  const suite = withGateway();

  for (const kind of ['audio', 'video']) {
    it(`${kind} off and on`, { timeout: TEST_MS }, async () => {
      const tab = await suite.call();
      await tab.seesVideo();
      await tab.flows();
      await tab.message({ [kind]: false });
      await sleep(500);
      const other = kind === 'audio' ? 'video' : 'audio';
      const [first, second] = await apart(tab, STILL_MS);
      assert.equal(second.in[kind].packetsReceived, first.in[kind].packetsReceived, `no ${kind} while it is off`);
      assert.ok(second.in[other].packetsReceived > first.in[other].packetsReceived, `${other} goes on`);
      await tab.message({ [kind]: true });
      await tab.flows({ frames: 10 });
      const results = (await tab.events('message')).map((e) => e.message.result);
      assert.deepEqual(results.filter(Boolean), ['ok', 'ok', 'ok']);
    });
  }

  it('bitrate cap', { timeout: TEST_MS }, async () => {
    const tab = await suite.call();
    await tab.seesVideo();
    await tab.until('more than 400 kbit/s sent', 30_000, async () => {
      window.rateBefore ??= await window.call.stats();
      const now = await window.call.stats();
      const bits = (now.out.video[0].bytesSent - window.rateBefore.out.video[0].bytesSent) * 8;
      const rate = bits / (now.at - window.rateBefore.at);
      if (now.at - window.rateBefore.at > 1000) window.rateBefore = now;
      return rate > 400;
    });
    await tab.message({ bitrate: 150_000 });
    await sleep(4000);
    const capped = await rate(tab);
    assert.ok(capped < 220, `${Math.round(capped)} kbit/s sent under a cap of 150`);
    await tab.message({ bitrate: 0 });
    await tab.until('the rate recovers', 30_000, async () => {
      window.rateAfter ??= await window.call.stats();
      const now = await window.call.stats();
      const bits = (now.out.video[0].bytesSent - window.rateAfter.out.video[0].bytesSent) * 8;
      const kbits = bits / (now.at - window.rateAfter.at);
      if (now.at - window.rateAfter.at > 1000) window.rateAfter = now;
      return kbits > 350;
    });
  });
});

async function apart(tab, ms) {
  const first = await tab.stats();
  await sleep(ms);
  return [first, await tab.stats()];
}

/** kbit/s of video this browser sends, over two seconds. */
async function rate(tab) {
  const [first, second] = await apart(tab, 2000);
  return ((second.out.video[0].bytesSent - first.out.video[0].bytesSent) * 8) / (second.at - first.at);
}
