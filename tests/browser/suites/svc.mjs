// Scalable video: one stream with spatial and temporal layers, of which the gateway echoes what is asked for.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { framesComeBack } from '../harness/frames.mjs';
import { HD_CAMERA, notOnOracle, withGateway } from '../harness/suite.mjs';

const SIZES = [[320, 180], [640, 360], [1280, 720]];
const LAYERS_MS = 120_000;

describe('scalable video', notOnOracle('the echo plugin of 1.1.2 knows no scalable video'), () => {
  const suite = withGateway();

  for (const codec of ['vp9', 'av1']) {
    it(`${codec}: every spatial layer is reached`, { timeout: LAYERS_MS }, async () => {
      const tab = await suite.call({ tracks: [{ ...HD_CAMERA, svc: 'L3T3' }], body: { video: true, videocodec: codec } });
      const stats = await tab.flows({ frames: 10, audio: false, ms: 40_000 });
      assert.equal(stats.in.video.codec, `video/${codec}`);
      assert.equal(stats.out.video[0].scalabilityMode, 'L3T3');
      await tab.until('the full picture', 40_000, () => window.call.picture().width === 1280);
      for (const layer of [0, 1, 2, 0, 2]) {
        await tab.message({ spatial_layer: layer });
        await tab.until(`frames of ${SIZES[layer].join('x')}`, 30_000, ([width, height]) => {
          const { width: w, height: h } = window.call.picture();
          return w === width && h === height;
        }, SIZES[layer]);
        await tab.flows({ frames: 5, audio: false, ms: 20_000 });
      }
    });

    it(`${codec}: fewer temporal layers give fewer frames`, { timeout: LAYERS_MS }, async () => {
      const tab = await suite.call({ tracks: [{ ...HD_CAMERA, capture: { width: 640, height: 360 }, svc: 'L1T3' }], body: { video: true, videocodec: codec } });
      await tab.flows({ frames: 20, audio: false, ms: 40_000 });
      await framesComeBack(tab, 'all layers', [0.85, 1.1]);
      await tab.message({ temporal_layer: 0 });
      await framesComeBack(tab, 'the base layer, a quarter', [0.15, 0.4]);
    });
  }
});
