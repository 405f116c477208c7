// Three layers of one camera: the browser sends them all, the gateway echoes the one asked for, and the size of the
// decoded picture tells which. By rid (as janus.js offers) and by SSRC groups (as older pages munge).

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { framesComeBack } from '../harness/frames.mjs';
import { HD_CAMERA, notOnOracle, withGateway } from '../harness/suite.mjs';

// Low first: the order of `substream`. The rates let three layers of the fake camera fit two busy cores.
const SIZES = [[320, 180], [640, 360], [1280, 720]];
const RIDS = ['h', 'm', 'l'].map((rid, i) => ({
  rid, active: true, scalabilityMode: 'L1T2', maxBitrate: [900_000, 300_000, 100_000][i], scaleResolutionDownBy: 2 ** i,
}));
const BY_RID = { tracks: [{ ...HD_CAMERA, simulcast: true, sendEncodings: RIDS }], body: { video: true, videocodec: 'vp8' } };
const LAYERS_MS = 120_000;

describe('simulcast', () => {
  const suite = withGateway();

  it('by rid: every substream is reached', { timeout: LAYERS_MS }, async () => {
    const tab = await suite.call(BY_RID);
    assert.match(tab.jsep.offer, /a=simulcast:send h;m;l/);
    assert.match(tab.jsep.answer, /a=rid:h recv\r\na=rid:m recv\r\na=rid:l recv\r\na=simulcast:recv h;m;l\r\n/);
    await reachEach(tab);
  });

  const temporal = notOnOracle('1.1.2 tells temporal:0 of VP8 and goes on forwarding both layers');
  it('by rid: every temporal layer is reached', { timeout: LAYERS_MS, ...temporal }, async () => {
    const tab = await suite.call(BY_RID);
    await tab.until('frames of the top layer', 40_000, () => window.call.picture().width === 1280);
    for (const layer of [0, 1]) {
      await tab.message({ temporal: layer });
      await tab.until(`event: temporal ${layer}`, 15_000, layerEvent, ['temporal', layer]);
      await framesComeBack(tab, `temporal ${layer}`, [[0.35, 0.65], [0.85, 1.1]][layer], 'h');
    }
  });

  it('by SSRC groups in the SDP: every substream is reached', { timeout: LAYERS_MS }, async () => {
    const tab = await suite.call({ tracks: [HD_CAMERA], munge: 'legacySimulcast', body: { video: true, videocodec: 'vp8' } });
    assert.match(tab.jsep.offer, /a=ssrc-group:SIM \d+ \d+ \d+/);
    await reachEach(tab);
  });
});

/** The last event that names a layer says this one. */
function layerEvent([name, wanted]) {
  const told = window.call.events.filter((e) => e.kind === 'message' && e.message[name] !== undefined);
  return told.length > 0 && told.at(-1).message[name] === wanted;
}

async function reachEach(tab) {
  await tab.until('all three layers are sent', 40_000, async () => {
    const layers = (await window.call.stats()).out.video;
    return layers.length === 3 && layers.every((layer) => layer.framesSent > 0);
  });
  for (const substream of [0, 1, 2, 0, 2]) {
    await tab.message({ substream });
    await tab.until(`event: substream ${substream}`, 20_000, layerEvent, ['substream', substream]);
    await tab.until(`frames of ${SIZES[substream].join('x')}`, 20_000, ([width, height]) => {
      const { width: w, height: h } = window.call.picture();
      return w === width && h === height;
    }, SIZES[substream]);
    await tab.flows({ frames: 10, audio: false });
  }
}
