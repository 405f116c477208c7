// A ten minute call stays up: frames all the time, nothing lost, memory of the gateway steady. For `make test-long`.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { CAMERA, DATA, MICROPHONE, sleep, withGateway } from '../harness/suite.mjs';

const MINUTES = Number(process.env.LONG_MINUTES ?? 10);
const LOOK_MS = 10_000;
const GROWTH_LIMIT_KB = 20_000;

describe('a long call', () => {
  const suite = withGateway();

  it(`stays up for ${MINUTES} minutes`, { timeout: (MINUTES + 2) * 60_000 }, async (t) => {
    const tab = await suite.call({ tracks: [MICROPHONE, CAMERA, DATA] });
    await tab.seesVideo();
    await sleep(LOOK_MS);
    const start = { stats: await tab.stats(), memory: residentKb(suite.gateway.pid) };
    let before = start.stats;
    for (const end = Date.now() + MINUTES * 60_000; Date.now() < end;) {
      await sleep(LOOK_MS);
      const now = await tab.stats();
      const seconds = (now.at - before.at) / 1000;
      const frames = (now.in.video.framesDecoded - before.in.video.framesDecoded) / seconds;
      assert.ok(frames > 5, `${frames.toFixed(1)} frames/s after ${Math.round((now.at - start.stats.at) / 1000)} s`);
      assert.ok(now.in.audio.packetsReceived > before.in.audio.packetsReceived, 'sound goes on');
      await tab.run((n) => window.call.data(`still here ${n}`), now.at);
      await tab.seen('data', { data: `Janus EchoTest here! You wrote: still here ${now.at}` });
      before = now;
    }
    const grown = residentKb(suite.gateway.pid) - start.memory;
    t.diagnostic(`${before.in.video.framesDecoded} frames, ${before.in.video.packetsLost} packets lost, memory grew ${grown} KB`);
    assert.equal(before.in.video.packetsLost, 0);
    assert.equal(before.in.audio.packetsLost, 0);
    assert.deepEqual((await tab.events('webrtc')).map((e) => e.up), [true]);
    assert.ok(grown < GROWTH_LIMIT_KB, `the gateway grew by ${grown} KB`);
  });
});

const residentKb = (pid) => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
