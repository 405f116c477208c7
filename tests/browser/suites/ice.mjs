// Ways to a connection: the gateway as a full ICE agent or as a lite one, candidates in the description or one by
// one, both ways; and a restart in the middle of a call.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { CAMERA, MICROPHONE, TEST_MS, withGateway } from '../harness/suite.mjs';

const TRACKS = [MICROPHONE, CAMERA];
const CANDIDATE = /^a=candidate:/m;

for (const lite of [false, true]) {
  for (const full of [false, true]) {
    describe(`${lite ? 'lite' : 'full'} ICE, ${full ? 'full' : 'half'} trickle`, () => {
      const suite = withGateway({ janus: { nat: { ice_lite: lite, full_trickle: full } } });

      it('connects a browser that trickles', { timeout: TEST_MS }, async () => {
        const tab = await suite.call({ tracks: TRACKS });
        assert.equal(/^a=ice-lite/m.test(tab.jsep.answer), lite, 'a=ice-lite in the answer');
        assert.equal(CANDIDATE.test(tab.jsep.answer), !full, 'candidates in the answer');
        assert.equal(/^a=end-of-candidates/m.test(tab.jsep.answer), !full, 'end-of-candidates in the answer');
        await tab.seesVideo();
        await tab.flows();
      });

      it('connects a browser that waits for all its candidates', { timeout: TEST_MS }, async () => {
        const tab = await suite.call({ tracks: TRACKS, trickle: false });
        assert.match(tab.jsep.offer, CANDIDATE);
        await tab.seesVideo();
        await tab.flows();
      });

      it('goes on over an ICE restart', { timeout: TEST_MS }, async () => {
        const tab = await suite.call({ tracks: TRACKS });
        await tab.seesVideo();
        const before = await tab.stats();
        const again = await tab.offer({ tracks: [], iceRestart: true, body: { audio: true, video: true } });
        assert.notEqual(ufrag(again.offer), ufrag(tab.jsep.offer), 'the browser restarted');
        assert.notEqual(ufrag(again.answer), ufrag(tab.jsep.answer), 'the gateway restarted');
        await tab.until('the new pair carries media', 15_000, async (old) => {
          const now = await window.call.stats();
          return now.pair && now.pair.id !== old && now.pair.bytesReceived > 10_000;
        }, before.pair.id);
        const after = await tab.flows({ frames: 30 });
        assert.equal(after.in.video.ssrc, before.in.video.ssrc, 'the same stream goes on');
        assert.equal((await tab.events('webrtc')).filter((e) => !e.up).length, 0, 'the call was never down');
      });
    });
  }
}

const ufrag = (sdp) => /^a=ice-ufrag:(.*)$/m.exec(sdp)?.[1].trim();
