// Five per cent of the media is lost each way: the picture goes on, and what was lost is repaired, by RTX and by
// plain retransmission. Asserted from the browser's getStats; the relay's own count of what it dropped says how much
// there was to repair.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { ADDRESS } from '../harness/gateway.mjs';
import { startRelay } from '../harness/relay.mjs';
import { CAMERA, MICROPHONE, ORACLE, sleep, withGateway } from '../harness/suite.mjs';

const LOSS = 0.05;
const SEED = 20260801;
const LOSSY_MS = 20_000;
// A machine that is busy with other things encodes less: until enough is lost it may take longer.
const LOSSY_MOST_MS = 60_000;
const ENOUGH = 20;
const SETTLE_MS = 2_500;
// Janus resends a packet at most every 40 ms; on a path this short the browser has given up by then.
const REPAIRED = ORACLE ? 0.85 : 0.95;
// Before it knows the path, a browser probes it with RTX of what it sent just now. A lost packet that a probe repairs is never
// asked for: that it is here counts all the same, but most must come because somebody asked.
const ASKED = 0.8;
const SHOWN = 0.8;

// One candidate, so that there is one way to relay.
const SETTINGS = { janus: { nat: { ice_enforce_list: ADDRESS } } };

describe('five per cent loss each way', () => {
  const suite = withGateway(SETTINGS);

  for (const [repair, munge] of [['RTX', undefined], ['plain retransmission', 'withoutRtx']]) {
    it(`is repaired by ${repair}`, { timeout: 120_000 }, async (t) => {
      const relay = await startRelay({ target: { address: ADDRESS, port: 0 }, share: LOSS, seed: SEED, address: ADDRESS });
      t.after(() => relay.stop());
      const tab = await suite.tab({ hideCandidates: true });
      tab.jsep = await tab.run(async (options) => window.call.offer(options), {
        tracks: [MICROPHONE, CAMERA], munge, relayPort: relay.port, holdAnswer: true,
      });
      relay.target.port = candidatePort(tab.jsep.answer);
      await tab.run(() => window.call.applyAnswer());
      await tab.seesVideo();
      await sleep(LOSSY_MS);
      for (let ms = LOSSY_MS; ms < LOSSY_MOST_MS && !enough(await tab.stats(), relay); ms += 1000) await sleep(1000);
      relay.up.paused = relay.down.paused = true;
      await sleep(SETTLE_MS);
      const stats = await tab.stats();
      const figures = repairs(stats, relay);
      t.diagnostic(JSON.stringify(figures));
      assert.equal(stats.pair.remote.port, relay.port, 'media goes by the relay');
      assert.equal(/ rtx\/90000/.test(tab.jsep.answer), munge === undefined, 'RTX in the answer');
      check(figures, munge === undefined);
    });
  }
});

const enough = (stats, relay) =>
  relay.up.of(stats.out.video[0].ssrc).lost > ENOUGH && relay.down.of(stats.in.video.ssrc).lost > ENOUGH;

/** Losses of video and their repair, from getStats of the browser and from the relay. */
function repairs(stats, relay) {
  const sent = stats.out.video[0];
  const got = stats.in.video;
  const up = relay.up.of(sent.ssrc);
  const down = relay.down.of(got.ssrc);
  return {
    up, down,
    retransmittedPacketsSent: sent.retransmittedPacketsSent,
    rtxPacketsSent: sent.rtxSsrc === undefined ? 0 : relay.up.of(sent.rtxSsrc).packets,
    nacksFromGateway: sent.nackCount,
    packetsLost: got.packetsLost,
    packetsReceived: got.packetsReceived,
    nacksToGateway: got.nackCount,
    retransmittedPacketsReceived: got.retransmittedPacketsReceived,
    framesSent: sent.framesSent,
    framesReceived: got.framesReceived,
    framesDecoded: got.framesDecoded,
    framesDropped: got.framesDropped,
    freezeCount: got.freezeCount,
    pliCount: got.pliCount,
  };
}

function check(seen, rtx) {
  assert.ok(seen.up.lost > ENOUGH && seen.down.lost > ENOUGH, `enough was lost: ${seen.up.lost} up, ${seen.down.lost} down`);
  assert.ok(seen.nacksFromGateway > 0 && seen.nacksToGateway > 0, 'both ends asked again');
  const shown = seen.framesDecoded / seen.framesSent;
  assert.ok(shown > SHOWN, `${shown.toFixed(3)} of the frames were shown`);

  // To the gateway: the browser sent again what was lost, and the gateway's own stream has no holes of it.
  const asked = seen.retransmittedPacketsSent / seen.up.lost;
  const resent = Math.max(seen.retransmittedPacketsSent, seen.rtxPacketsSent) / seen.up.lost;
  const filled = 1 - seen.down.neverSent / seen.up.lost;
  const towards = (share) => `towards the gateway ${share.toFixed(3)} of the lost packets were`;
  assert.ok(filled > REPAIRED, `${towards(filled)} repaired: ${JSON.stringify(seen)}`);
  assert.ok(resent > REPAIRED, `${towards(resent)} sent again: ${JSON.stringify(seen)}`);
  assert.ok(asked > ASKED, `${towards(asked)} asked for: ${JSON.stringify(seen)}`);

  // From the gateway. RTX arrives in a stream of its own: packetsLost stays what was lost, the repairs are counted
  // beside it. A plain retransmission takes its packet out of packetsLost: what remains was never repaired.
  const repaired = rtx ? seen.retransmittedPacketsReceived / seen.packetsLost : 1 - seen.packetsLost / seen.down.lost;
  assert.ok(repaired > REPAIRED, `from the gateway ${repaired.toFixed(3)} of the lost packets were repaired`);
  if (rtx) {
    const agreed = seen.packetsLost / seen.down.lost;
    assert.ok(agreed > 0.9 && agreed < 1.1, `the browser lost ${seen.packetsLost}, the relay dropped ${seen.down.lost}`);
  }
}

function candidatePort(sdp) {
  const found = /^a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host/im.exec(sdp);
  assert.ok(found, `no host candidate in\n${sdp}`);
  return Number(found[1]);
}
