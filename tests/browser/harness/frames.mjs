// Frames that come back, against frames that were sent.

import { sleep } from './tab.mjs';

const WATCHED_MS = 4000;

/** Of the frames sent (on layer `rid`, if given) within four seconds, the part that was received here. */
export async function framesPerSent(tab, rid) {
  const count = async () => {
    const stats = await tab.stats();
    const sender = stats.out.video.find((layer) => !rid || layer.rid === rid);
    return { received: stats.in.video.framesReceived, sent: sender.framesSent };
  };
  await sleep(1000);
  const before = await count();
  await sleep(WATCHED_MS);
  const after = await count();
  return (after.received - before.received) / (after.sent - before.sent);
}
