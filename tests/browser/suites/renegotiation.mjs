// A call that changes: a medium is added, taken away and brought back, without the call going down.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { CAMERA, DATA, MICROPHONE, TEST_MS, withGateway } from '../harness/suite.mjs';

const BODY = { audio: true, video: true };

describe('renegotiation', () => {
  const suite = withGateway();

  it('adds video, then data, to a call with sound only', { timeout: TEST_MS }, async () => {
    const tab = await suite.call({ tracks: [MICROPHONE], body: BODY });
    await tab.until('sound', 10_000, async () => (await window.call.stats()).in.audio?.packetsReceived > 20);
    await tab.offer({ tracks: [{ ...CAMERA, add: true }], body: BODY });
    await tab.seesVideo();
    await tab.flows();
    await tab.offer({ tracks: [DATA], body: BODY });
    await tab.seen('dataopen');
    await tab.run(() => window.call.data('late'));
    await tab.seen('data', { data: 'Janus EchoTest here! You wrote: late' });
    await tab.flows();
    await stayedUp(tab);
  });

  it('takes the camera away and brings it back', { timeout: TEST_MS }, async () => {
    const tab = await suite.call({ body: BODY });
    await tab.seesVideo();
    await tab.offer({ tracks: [{ type: 'video', mid: '1', remove: true }], body: BODY });
    const quiet = await tab.until('no more frames', 10_000, async () => {
      const before = (await window.call.stats()).in.video?.framesDecoded ?? 0;
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const after = (await window.call.stats()).in.video?.framesDecoded ?? 0;
      return after === before ? { frames: after } : null;
    });
    assert.ok(quiet.frames >= 0);
    await tab.offer({ tracks: [{ ...CAMERA, mid: '1', replace: true }], body: BODY });
    await tab.flows({ frames: 20 });
    await stayedUp(tab);
  });

  it('keeps descriptions in order over many rounds', { timeout: TEST_MS }, async () => {
    const tab = await suite.call({ body: BODY });
    await tab.seesVideo();
    for (let round = 0; round < 5; round += 1) {
      const { answer } = await tab.offer({ tracks: [], body: BODY });
      assert.match(answer, /a=group:BUNDLE 0 1/);
    }
    await tab.flows({ frames: 20 });
    await stayedUp(tab);
  });
});

async function stayedUp(tab) {
  assert.deepEqual((await tab.events('webrtc')).map((e) => e.up), [true]);
  assert.deepEqual((await tab.events('message')).map((e) => e.message.error).filter(Boolean), []);
}
