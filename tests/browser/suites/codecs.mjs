// Every codec the browser can encode comes back decoded: the gateway answers with the one asked for.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { CAMERA, MICROPHONE, TEST_MS, withGateway } from '../harness/suite.mjs';

const VIDEO = ['vp8', 'vp9', 'h264', 'av1', 'h265'];
const AUDIO = { opus: 'audio/opus', pcmu: 'audio/pcmu', pcma: 'audio/pcma', g722: 'audio/g722' };

describe('codecs', () => {
  const suite = withGateway();

  for (const codec of VIDEO) {
    it(`video ${codec}`, { timeout: TEST_MS }, async (t) => {
      const tab = await suite.tab();
      const both = await tab.run((name) => [RTCRtpSender, RTCRtpReceiver].every((end) =>
        end.getCapabilities('video').codecs.some((c) => c.mimeType.toLowerCase() === `video/${name}`)), codec);
      if (!both) return t.skip(`this browser does not encode and decode ${codec}`);
      const { answer } = await tab.offer({ tracks: [MICROPHONE, CAMERA], body: { audio: true, video: true, videocodec: codec } });
      const names = [...section(answer, 'video').matchAll(/^a=rtpmap:\d+ ([^/]+)/gm)].map((m) => m[1].toLowerCase());
      assert.deepEqual(names.filter((name) => name !== 'rtx'), [codec], 'the answer has exactly this codec');
      await tab.seesVideo(30_000);
      const stats = await tab.flows({ frames: 20, ms: 30_000 });
      assert.equal(stats.in.video.codec, `video/${codec}`);
      assert.equal(stats.out.video[0].codec, `video/${codec}`);
      return undefined;
    });
  }

  for (const [codec, mime] of Object.entries(AUDIO)) {
    it(`audio ${codec}`, { timeout: TEST_MS }, async () => {
      const tab = await suite.call({ tracks: [MICROPHONE], body: { audio: true, audiocodec: codec } });
      await tab.until('audible sound', 15_000, async () => {
        const { audio } = (await window.call.stats()).in;
        return audio && audio.packetsReceived > 50 && audio.totalAudioEnergy > 0;
      });
      const stats = await tab.stats();
      assert.equal(stats.in.audio.codec.toLowerCase(), mime);
    });
  }

  it('a codec the browser did not offer is refused on its line', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const { answer } = await tab.offer({ tracks: [MICROPHONE, CAMERA], body: { audio: true, video: true, audiocodec: 'l16' } });
    assert.match(section(answer, 'audio'), /^m=audio \d+ UDP\/TLS\/RTP\/SAVPF 0\r\n/);
    assert.match(section(answer, 'audio'), /^a=inactive\r$/m);
    assert.doesNotMatch(section(answer, 'audio'), /^a=rtpmap:/m);
    await tab.seesVideo();
  });
});

function section(sdp, kind) {
  const found = sdp.split(/(?=^m=)/m).find((part) => part.startsWith(`m=${kind} `));
  assert.ok(found, `no m=${kind} in\n${sdp}`);
  return found;
}
