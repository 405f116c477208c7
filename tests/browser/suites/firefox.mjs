// The basics in Debian's Firefox: picture, sound, data, switches, an ICE restart and the end of a call.

import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';

import { closeFirefox, firefoxBinary, newFirefoxTab } from '../harness/firefox.mjs';
import { both, withRooms } from '../harness/rooms.mjs';
import { DATA, MICROPHONE, CAMERA, TEST_MS, withGateway } from '../harness/suite.mjs';

const missing = firefoxBinary() ? {} : { skip: 'no Firefox here: apt-get install firefox-esr' };

describe('Firefox', missing, () => {
  const suite = withGateway({}, { open: newFirefoxTab });
  const rooms = withRooms({}, { open: newFirefoxTab });
  after(closeFirefox);

  for (const codec of ['vp8', 'vp9', 'h264']) {
    it(`from attach to decoded ${codec}`, { timeout: TEST_MS }, async (t) => {
      const tab = await suite.tab();
      const offered = await tab.run((name) => RTCRtpSender.getCapabilities('video').codecs
        .some((c) => c.mimeType.toLowerCase() === `video/${name}`), codec);
      if (!offered) return t.skip(`this Firefox does not encode ${codec}`);
      tab.jsep = await tab.offer({ tracks: [MICROPHONE, CAMERA], body: { audio: true, video: true, videocodec: codec } });
      await tab.seen('webrtc', { up: true });
      const picture = await tab.seesVideo(30_000);
      assert.equal(picture.width / picture.height, 4 / 3);
      const stats = await tab.flows({ frames: 30 });
      assert.equal(stats.in.video.codec, `video/${codec}`);
      assert.equal(stats.in.video.packetsLost, 0);
      assert.equal(stats.in.audio.packetsLost, 0);
      return undefined;
    });
  }

  it('data comes back with the prefix', { timeout: TEST_MS }, async () => {
    const tab = await suite.call({ tracks: [MICROPHONE, CAMERA, DATA] });
    await tab.seen('dataopen');
    await tab.run(() => window.call.data('from Firefox'));
    await tab.seen('data', { data: 'Janus EchoTest here! You wrote: from Firefox' });
  });

  it('switches video off and on, restarts ICE, hangs up', { timeout: TEST_MS }, async () => {
    const tab = await suite.call();
    await tab.seesVideo();
    await tab.message({ video: false });
    await tab.until('no more video', 10_000, async () => {
      const before = (await window.call.stats()).in.video.packetsReceived;
      await new Promise((resolve) => setTimeout(resolve, 700));
      return (await window.call.stats()).in.video.packetsReceived === before;
    });
    await tab.message({ video: true });
    await tab.flows({ frames: 15 });
    await tab.offer({ tracks: [], iceRestart: true, body: { audio: true, video: true } });
    await tab.flows({ frames: 30 });
    await tab.run(() => window.call.connection().close());
    await tab.seen('webrtc', { up: false, reason: 'DTLS alert' }, 20_000);
  });

  it('publishes in a video room, and subscribes to two others', { timeout: TEST_MS }, async () => {
    const tab = await rooms.tab();
    const room = await rooms.room(tab);
    const ids = {};
    for (const who of ['ann', 'bob']) ids[who] = (await tab.do('enter', who, { room, tracks: both(who) })).joined.id;
    await tab.do('watch', 'eyes', { room, streams: [{ feed: ids.ann }] });
    await tab.do('ask', 'eyes', { request: 'subscribe', streams: [{ feed: ids.bob }] });
    for (const who of ['ann', 'bob']) {
      const { mid } = await tab.do('line', 'eyes', ids[who]);
      await tab.until(`frames of ${who}`, 20_000, async (m) => (await window.room.stats('eyes')).in[m]?.framesDecoded > 20, mid);
      // Firefox plays nothing where there is no sound device: it counts no energy then.
      const sound = await tab.do('line', 'eyes', ids[who], 'audio');
      await tab.until(`sound of ${who}`, 10_000, async (m) => (await window.room.stats('eyes')).in[m]?.packetsReceived > 50, sound.mid);
    }
    await tab.do('ask', 'eyes', { request: 'unsubscribe', streams: [{ feed: ids.ann }] });
    const { mid } = await tab.do('line', 'eyes', ids.bob);
    const before = (await tab.do('stats', 'eyes')).in[mid].framesDecoded;
    await tab.until('more frames of bob', 10_000, async ([m, least]) => (await window.room.stats('eyes')).in[m].framesDecoded > least, [mid, before + 20]);
    assert.deepEqual(await tab.events('trouble'), []);
  });
});
