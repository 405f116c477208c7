// The end of a call: by request, by the browser closing, and a new call on the same handle.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { CAMERA, MICROPHONE, TEST_MS, withGateway } from '../harness/suite.mjs';

describe('hangup', () => {
  const suite = withGateway();

  it('by request: the plugin says done, then the call is down', { timeout: TEST_MS }, async () => {
    const tab = await suite.call();
    await tab.seesVideo();
    const reply = await post(suite, tab, { janus: 'hangup', transaction: 'h' });
    assert.deepEqual(reply, { janus: 'success', session_id: tab.ids.session, transaction: 'h' });
    await tab.seen('webrtc', { up: false, reason: 'Janus API' });
    const events = await tab.events();
    const done = events.findIndex((e) => e.kind === 'message' && e.message.result === 'done');
    const down = events.findIndex((e) => e.kind === 'webrtc' && e.up === false);
    assert.ok(done >= 0 && done < down, 'done comes before the hangup event');
  });

  it('as janus.js does it: the handle takes another call', { timeout: TEST_MS }, async () => {
    const tab = await suite.call();
    for (let round = 0; round < 3; round += 1) {
      await tab.seesVideo();
      await tab.flows();
      await tab.run(() => window.call.hangup());
      await tab.until('the call is down', 10_000, (n) => window.call.events.filter((e) => e.kind === 'webrtc' && !e.up).length > n, round);
      await tab.offer({ tracks: [MICROPHONE, CAMERA] });
    }
    await tab.seesVideo();
  });

  it('by the browser closing its connection', { timeout: TEST_MS }, async () => {
    const tab = await suite.call();
    await tab.seesVideo();
    await tab.run(() => window.call.connection().close());
    await tab.seen('webrtc', { up: false, reason: 'DTLS alert' }, 20_000);
    await tab.until('the plugin says done', 5000, () => window.call.events.some((e) => e.kind === 'message' && e.message.result === 'done'));
  });

  it('by detach: the browser learns it from the gateway\'s close', { timeout: TEST_MS }, async () => {
    const tab = await suite.call();
    await tab.seesVideo();
    const reply = await post(suite, tab, { janus: 'detach', transaction: 'd' });
    assert.deepEqual(reply, { janus: 'success', session_id: tab.ids.session, transaction: 'd' });
    await tab.seen('detached');
    assert.equal((await tab.events('webrtc')).filter((e) => !e.up).length, 0, 'no hangup event after a detach');
  });
});

async function post(suite, tab, body) {
  const address = `${suite.gateway.http}/${tab.ids.session}/${tab.ids.handle}`;
  return (await fetch(address, { method: 'POST', body: JSON.stringify(body) })).json();
}
