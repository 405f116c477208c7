// Frames that come back, against frames that were sent.

import assert from 'node:assert/strict';

import { sleep } from './tab.mjs';

const WATCHED_MS = 3000;
const ATTEMPTS = 8;

/**
 * Ends when, for three seconds, the part of the frames sent (on layer `rid`, if given) that came back lies between
 * `low` and `high`. A busy machine may need a while: its encoder leaves out frames and layers at first.
 */
export async function framesComeBack(tab, what, [low, high], rid) {
  const seen = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const share = await framesPerSent(tab, rid);
    if (share > low && share < high) return;
    seen.push(share.toFixed(2));
  }
  assert.fail(`${what}: of the frames sent came back ${seen.join(', ')}; ${low} to ${high} are due\n${await tab.story()}`);
}

async function framesPerSent(tab, rid) {
  const count = async () => {
    const stats = await tab.stats();
    const sender = stats.out.video.find((layer) => !rid || layer.rid === rid);
    return { received: stats.in.video.framesReceived, sent: sender.framesSent };
  };
  const before = await count();
  await sleep(WATCHED_MS);
  const after = await count();
  return (after.received - before.received) / (after.sent - before.sent);
}
