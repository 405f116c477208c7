// Calls between two users: two tabs with the published janus.js, judged by getStats and by what the plugin says.

import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';

import { CONVERT, convert, frames, make, played } from '../harness/recorded.mjs';
import { CAMERA, DATA, HD_CAMERA, MICROPHONE, TEST_MS, sleep, withGateway } from '../harness/suite.mjs';

const RECORDED_MS = 4_000;
const PLUGIN = 'janus.plugin.videocall';
const TRACKS = [MICROPHONE, CAMERA, DATA];
let names = 0;

describe('video calls', () => {
  const suite = withGateway();

  /** A tab that is registered, under a name of its own. */
  async function user() {
    const tab = await suite.tab({ plugin: PLUGIN });
    tab.name = `user ${(names += 1)}`;
    await tab.message({ request: 'register', username: tab.name });
    await told(tab, { event: 'registered' });
    return tab;
  }

  const call = (from, to, tracks = TRACKS) => from.offer({ tracks, body: { request: 'call', username: to.name ?? to } });
  const answer = (tab, tracks = TRACKS, request = 'accept') => tab.run((o) => window.call.answer(o), { tracks, body: { request } });

  /** Two who talk. */
  async function talking({ from = TRACKS, to = TRACKS } = {}) {
    const [a, b] = [await user(), await user()];
    const called = call(a, b, from);
    await told(b, { event: 'incomingcall', username: a.name });
    await answer(b, to);
    const jsep = await called;
    await Promise.all([a, b].map((tab) => tab.seen('webrtc', { up: true })));
    return [a, b, jsep];
  }

  it('two users see and hear each other, and write', { timeout: 2 * TEST_MS }, async () => {
    const [a, b] = await talking();
    await Promise.all([a, b].map((tab) => tab.seesVideo()));
    await Promise.all([a, b].map((tab) => tab.flows()));
    await Promise.all([a, b].map((tab) => tab.until('sound', 15_000, async () => (await window.call.stats()).in.audio.totalAudioEnergy > 0.01)));
    await told(a, { event: 'accepted', username: b.name });
    await told(b, { event: 'accepted' });
    for (const [from, to] of [[a, b], [b, a]]) {
      await from.seen('dataopen');
      await from.run((text) => window.call.data(text), `from ${from.name}`);
      await to.seen('data', { data: `from ${from.name}` });
    }
    const lost = (await Promise.all([a, b].map((tab) => tab.stats()))).map((s) => s.in.video.packetsLost);
    assert.deepEqual(lost, [0, 0]);
  });

  it('video and sound are switched off and on again', { timeout: 2 * TEST_MS }, async () => {
    const [a, b] = await talking();
    await b.flows();
    await a.message({ request: 'set', video: false });
    await still(b, (s) => s.in.video.framesDecoded);
    await a.flows();
    await a.message({ request: 'set', video: true });
    await b.flows();
    await a.message({ request: 'set', audio: false });
    await still(b, (s) => s.in.audio.packetsReceived);
    await a.message({ request: 'set', audio: true });
    await b.flows();
  });

  it('either side hangs up, and both may call again', { timeout: 2 * TEST_MS }, async () => {
    for (const [who, reason, heard] of [[0, undefined, 'We did the hangup'], [1, 'enough', 'enough']]) {
      const pair = await talking();
      const [by, other] = [pair[who], pair[1 - who]];
      await by.message({ request: 'hangup', reason });
      await told(by, { event: 'hangup', username: by.name, reason: 'Explicit hangup' });
      await told(other, { event: 'hangup', username: by.name, reason: heard });
      await Promise.all([by, other].map((tab) => tab.seen('cleanup')));
      await forget(by, other);
      const called = call(other, by);
      await told(by, { event: 'incomingcall', username: other.name });
      await answer(by);
      await called;
      await by.flows();
    }
  });

  it('who is busy, not there, or oneself cannot be called, and a name is taken once', { timeout: 2 * TEST_MS }, async () => {
    const [a, b] = await talking();
    const c = await user();
    const busy = call(c, a).catch(() => {});
    await told(c, { event: 'hangup', username: c.name, reason: 'User busy' });
    for (const [whom, code] of [['nobody', 478], [c.name, 479]]) {
      await c.seen('cleanup');
      await assert.rejects(call(c, whom), new RegExp(String(code)));
    }
    await c.message({ request: 'register', username: 'another name' });
    await refused(c, 477);
    const d = await suite.tab({ plugin: PLUGIN });
    await d.message({ request: 'register', username: a.name });
    await refused(d, 476);
    // Nobody of this has hurt the call.
    await Promise.all([a, b].map((tab) => tab.flows()));
    void busy;
  });

  it('a call is declined, and a caller who vanishes while it rings is told of', { timeout: 2 * TEST_MS }, async () => {
    const [a, b] = [await user(), await user()];
    let called = call(a, b).catch((error) => error);
    await told(b, { event: 'incomingcall', username: a.name });
    await b.message({ request: 'hangup', reason: 'no time' });
    await told(a, { event: 'hangup', username: b.name, reason: 'no time' });
    await a.seen('cleanup');
    await forget(a, b);
    called = call(a, b).catch((error) => error);
    await told(b, { event: 'incomingcall', username: a.name });
    await a.close();
    await told(b, { event: 'hangup', username: a.name, reason: 'Remote WebRTC hangup' });
    const c = await user();
    const again = call(c, b);
    await told(b, { event: 'incomingcall', username: c.name });
    await answer(b);
    await again;
    await c.flows();
    void called;
  });

  it('the one who is called chooses among the layers of the caller', { timeout: 2 * TEST_MS }, async () => {
    const layers = { ...HD_CAMERA, simulcast: true };
    const [a, b, jsep] = await talking({ from: [MICROPHONE, layers] });
    assert.match(jsep.answer, /a=simulcast:recv/);
    for (const [substream, width] of [[0, 320], [2, 1280], [1, 640]]) {
      await b.message({ request: 'set', substream });
      await b.until(`substream ${substream}`, 40_000, (w) => window.call.picture().width === w, width);
      await told(b, { event: 'simulcast', substream });
    }
    // The other direction is one stream.
    await a.flows();
    assert.equal((await a.picture()).width > 0, true);
  });

  it('each records what he sends, for files that play', { timeout: 2 * TEST_MS, ...CONVERT }, async () => {
    const [a, b] = await talking();
    await Promise.all([a, b].map((tab) => tab.flows()));
    await Promise.all([a, b].map((tab, i) => tab.message({ request: 'set', record: true, filename: `call-${i}` })));
    await a.run(() => window.call.data('for the record'));
    await sleep(RECORDED_MS);
    await a.message({ request: 'set', record: false });
    // The other's ends with the call.
    await b.message({ request: 'hangup' });
    await Promise.all([a, b].map((tab) => tab.seen('cleanup')));
    const { folder } = suite.gateway;
    const closed = () => suite.gateway.log.match(/recording ended.*call-\d-(audio|video)/g)?.length === 4;
    for (const end = Date.now() + 5_000; !closed(); await sleep(50)) assert.ok(Date.now() < end, 'the files are not closed');
    for (const i of [0, 1]) {
      const files = [['audio', 'opus', 'opus'], ['video', 'webm', 'vp8']];
      for (const [kind, ending, codec] of files) {
        const film = convert(folder, `call-${i}-${kind}.mjr`, ending);
        assert.equal(film.codec_name, codec);
        assert.ok(film.duration > RECORDED_MS / 1000 - 0.5 && film.duration < RECORDED_MS / 1000 + 3, `${film.duration} s of ${kind}`);
      }
      const both = played(make(folder, [`call-${i}-audio.mjr`, `call-${i}-video.mjr`], 'both.webm'), 'v');
      assert.ok(both.frames > RECORDED_MS / 1000 * 5, `${both.frames} frames`);
    }
    const [message] = frames(path.join(folder, 'call-0-data.mjr'));
    assert.equal(message.bytes.subarray(8).toString(), 'for the record');
  });

  it('a picture is added while they talk, by either side', { timeout: 2 * TEST_MS }, async () => {
    for (const who of [0, 1]) {
      const pair = await talking({ from: [MICROPHONE], to: [MICROPHONE] });
      const [by, other] = [pair[who], pair[1 - who]];
      const offered = by.offer({ tracks: [{ ...CAMERA, add: true }], body: { request: 'set' } });
      await told(other, { event: 'update' });
      await answer(other, [{ ...CAMERA, add: true }], 'set');
      await offered;
      await Promise.all(pair.slice(0, 2).map((tab) => tab.seesVideo()));
      await Promise.all(pair.slice(0, 2).map((tab) => tab.flows()));
    }
  });
});

/** Ends when the plugin has said this. */
const told = (tab, fields, ms = 10_000) => tab.until(`the plugin says ${JSON.stringify(fields)}`, ms, (wanted) => window.call.events.some(
  ({ kind, message }) => kind === 'message' && Object.entries(wanted).every(([name, value]) => message.result?.[name] === value)), fields);

const refused = (tab, code) => tab.until(`error ${code}`, 10_000, (wanted) => window.call.events.some(({ message }) => message?.error_code === wanted), code);

const forget = (...tabs) => Promise.all(tabs.map((tab) => tab.run(() => { window.call.events.length = 0; })));

/** What is counted grows no more. */
async function still(tab, count) {
  const end = Date.now() + 10_000;
  let before = count(await tab.stats());
  for (let quiet = 0; quiet < 3;) {
    assert.ok(Date.now() < end, 'it goes on');
    await new Promise((resolve) => { setTimeout(resolve, 400); });
    const now = count(await tab.stats());
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
}
