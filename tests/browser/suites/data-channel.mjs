// Data channels: text comes back with the plugin's words before it, whatever its size; channels of other names work.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { CAMERA, DATA, MICROPHONE, TEST_MS, withGateway } from '../harness/suite.mjs';

const PREFIX = 'Janus EchoTest here! You wrote: ';

describe('data channel', () => {
  const suite = withGateway();

  it('echoes text with its prefix, beside media', { timeout: TEST_MS }, async () => {
    const tab = await suite.call({ tracks: [MICROPHONE, CAMERA, DATA] });
    await tab.seen('dataopen', { label: 'JanusDataChannel' });
    for (const text of ['hello', 'grüße, 世界 🌍', 'x'.repeat(20_000)]) {
      await tab.run((t) => window.call.data(t), text);
      await tab.seen('data', { data: PREFIX + text, label: 'JanusDataChannel' });
    }
    await tab.seesVideo();
  });

  it('works alone, and answers on the channel that asked', { timeout: TEST_MS }, async () => {
    const tab = await suite.call({ tracks: [DATA] });
    await tab.seen('dataopen');
    const back = await tab.run(() => new Promise((resolve, reject) => {
      const channel = window.call.connection().createDataChannel('second', { protocol: 'test' });
      setTimeout(() => reject(new Error('no answer on the second channel')), 10_000);
      channel.onopen = () => channel.send('two');
      channel.onmessage = (event) => resolve([event.target.label, event.data]);
    }));
    assert.deepEqual(back, ['second', `${PREFIX}two`]);
  });

  it('gives binary back unchanged', { timeout: TEST_MS }, async () => {
    const tab = await suite.call({ tracks: [DATA] });
    await tab.seen('dataopen');
    const sizes = await tab.run(() => new Promise((resolve, reject) => {
      const channel = window.call.connection().createDataChannel('bytes');
      channel.binaryType = 'arraybuffer';
      setTimeout(() => reject(new Error('no bytes came back')), 10_000);
      const sent = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7) & 255);
      channel.onopen = () => channel.send(sent);
      channel.onmessage = ({ data }) => {
        const got = new Uint8Array(data);
        resolve([got.length, got.every((byte, i) => byte === sent[i])]);
      };
    }));
    assert.deepEqual(sizes, [5000, true]);
  });
});
