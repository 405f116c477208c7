// A call in Chromium over plain HTTP on localhost: attach, see one's own picture back, hear it, lose nothing.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { TEST_MS, withGateway } from '../harness/suite.mjs';

describe('echo call', () => {
  const suite = withGateway();

  for (const transport of ['http', 'ws']) {
    it(`from attach to decoded video over ${transport}`, { timeout: TEST_MS }, async () => {
      const tab = await suite.call({ session: { server: suite.gateway[transport] } });
      await tab.seesVideo();
      await tab.until('the full picture', 20_000, () => window.call.picture().width === 640 && window.call.picture().height === 480);
      await tab.flows({ frames: 30 });
      await tab.seen('media', { medium: 'video', receiving: true });
      await tab.seen('media', { medium: 'audio', receiving: true });
    });
  }

  it('loses no packet on loopback', { timeout: TEST_MS }, async () => {
    const tab = await suite.call();
    const stats = await tab.flows({ frames: 120, ms: 30_000 });
    assert.equal(stats.in.video.packetsLost, 0, 'video packets lost');
    assert.equal(stats.in.audio.packetsLost, 0, 'audio packets lost');
    assert.equal(stats.in.video.nackCount, 0, 'NACKs sent');
    for (const report of [...stats.far.video, ...stats.far.audio]) {
      assert.equal(report.packetsLost, 0, `the gateway reports lost ${report.kind} packets`);
    }
    assert.ok(stats.far.video.length > 0 && stats.far.video[0].roundTripTime < 0.5, 'a round trip is measured from the gateway\'s reports');
    assert.equal(stats.pair.local.protocol, 'udp');
  });

  it('opens a session, a handle and ends both', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    assert.ok(Number.isSafeInteger(tab.ids.session) && tab.ids.session > 0);
    assert.ok(Number.isSafeInteger(tab.ids.handle) && tab.ids.handle > 0);
    await tab.run(() => window.call.detach());
    await tab.run(() => window.call.destroy());
    await tab.seen('destroyed');
    const gone = await fetch(`${suite.gateway.http}/${tab.ids.session}?maxev=1`);
    assert.equal(gone.status, 404);
  });
});
