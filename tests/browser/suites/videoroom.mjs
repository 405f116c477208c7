// Rooms: who publishes is seen and heard by who subscribes, until somebody says otherwise.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { both, camera, LOOKS, microphone, withRooms } from '../harness/rooms.mjs';
import { DATA, ORACLE, TEST_MS, sleep } from '../harness/suite.mjs';

describe('video room', () => {
  const suite = withRooms();

  it('three publishers all see and hear each other', { timeout: 2 * TEST_MS }, async () => {
    const names = ['ann', 'bob', 'cyd'];
    const tabs = Object.fromEntries(await Promise.all(names.map(async (who) => [who, await suite.tab()])));
    const room = await suite.room(tabs.ann);
    const ids = {};
    for (const who of names) {
      const { joined, published } = await tabs[who].do('enter', who, { room, tracks: both(who) });
      assert.deepEqual(joined.publishers.map((p) => p.display).sort(), names.slice(0, names.indexOf(who)));
      assert.deepEqual(published.message.streams.map((s) => s.codec), ['opus', 'vp8']);
      ids[who] = joined.id;
    }
    for (const who of names) {
      const others = names.filter((other) => other !== who);
      for (const other of others.filter((o) => names.indexOf(o) > names.indexOf(who))) await publisherTold(tabs[who], who, ids[other]);
      await tabs[who].do('watch', 'eyes', { room, streams: others.map((other) => ({ feed: ids[other] })) });
    }
    await Promise.all(names.map(async (who) => {
      for (const other of names.filter((o) => o !== who)) {
        await tabs[who].isPictureOf('eyes', ids[other], other);
        await tabs[who].sees('eyes', ids[other], { count: 15 });
        const { mid } = await tabs[who].do('line', 'eyes', ids[other], 'audio');
        assert.ok(await tabs[who].hears('eyes', ids[other]) > 0.01, `${who} hears ${other}`);
        const { hertz } = await tabs[who].do('pitch', 'eyes', mid);
        assert.ok(Math.abs(hertz - LOOKS[other].hertz) < 80, `${who} hears ${other} at ${hertz} Hz`);
      }
    }));
  });

  it('publishes, unpublishes and publishes again on one handle', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const room = await suite.room(tab);
    await tab.do('enter', 'bob', { room });
    const { joined: { id } } = await tab.do('enter', 'ann', { room, tracks: both('ann') });
    await publisherTold(tab, 'bob', id);
    await tab.do('watch', 'eyes', { room, streams: [{ feed: id }] });
    await tab.sees('eyes', id);
    await tab.do('ask', 'ann', { request: 'unpublish' });
    await tab.do('event', 'ann', 'webrtc', { up: false });
    await tab.do('event', 'bob', 'message', { unpublished: id });
    assert.deepEqual(await tab.do('refusal', 'ann', { request: 'unpublish' }), { code: 435, error: "Can't unpublish, not published" });
    await tab.until('both m-lines are inactive', 10_000, () => window.room.seen('eyes').every((line) => !line.active));
    await tab.do('publish', 'ann', { tracks: both('ann') });
    await tab.until('bob is told of ann again', 10_000, (ann) => window.room.events.filter((e) => e.who === 'bob'
      && e.message?.publishers?.some((p) => p.id === ann)).length === 2, id);
    await tab.do('ask', 'eyes', { request: 'subscribe', streams: [{ feed: id }] });
    assert.equal((await tab.do('seen', 'eyes')).length, 2, 'the m-lines are used again');
    await tab.sees('eyes', id, { count: 15 });
  });

  it('a publisher mutes and unmutes at the gateway, a subscriber for itself', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const { room, id } = await oneWatched(suite, tab);
    await tab.do('watch', 'more eyes', { room, streams: [{ feed: id }] });
    const { mid } = await tab.sees('eyes', id);
    for (const [off, on] of [
      [{ streams: [{ mid: '1', send: false }] }, { streams: [{ mid: '1', send: true }] }], [{ video: false }, { video: true }],
    ]) {
      await tab.do('ask', 'ann', { request: 'configure', ...off });
      const [sound] = await Promise.all([tab.hears('eyes', id), tab.seesNothing('eyes', mid)]);
      assert.ok(sound > 0.01, 'the sound goes on');
      await tab.do('ask', 'ann', { request: 'configure', ...on });
      await tab.sees('eyes', id);
    }
    await tab.do('ask', 'ann', { request: 'configure', audio: false });
    await tab.fallsSilent('eyes', id);
    await tab.do('ask', 'ann', { request: 'configure', audio: true });
    await tab.do('ask', 'eyes', { request: 'configure', streams: [{ mid, send: false }] });
    await tab.seesNothing('eyes', mid);
    await tab.sees('more eyes', id);
    await tab.do('ask', 'eyes', { request: 'configure', streams: [{ mid, send: true }] });
    await tab.sees('eyes', id);
    await tab.do('ask', 'eyes', { request: 'pause' });
    await tab.seesNothing('eyes', mid);
    await tab.do('ask', 'eyes', { request: 'start' });
    await tab.sees('eyes', id);
  });

  it('a moderator mutes a medium, and its publisher cannot undo it', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const { room, id } = await oneWatched(suite, tab, { secret: 'hush' });
    await tab.do('enter', 'bob', { room });
    const { mid } = await tab.sees('eyes', id);
    const moderate = (mute) => tab.do('ask', 'manager', { request: 'moderate', room, secret: 'hush', id, mid: '1', mute });
    await moderate(true);
    for (const who of ['ann', 'bob']) await tab.do('event', who, 'message', { id, mid: '1', moderation: 'muted' });
    await tab.seesNothing('eyes', mid);
    await tab.do('ask', 'ann', { request: 'configure', streams: [{ mid: '1', send: true }] });
    await tab.seesNothing('eyes', mid);
    assert.ok(await tab.hears('eyes', id) > 0.01, 'the sound goes on');
    const { publishers } = (await tab.do('enter', 'cyd', { room })).joined;
    assert.equal(publishers[0].streams[1].moderated, true);
    await moderate(false);
    for (const who of ['ann', 'bob']) await tab.do('event', who, 'message', { id, mid: '1', moderation: 'unmuted' });
    await tab.sees('eyes', id);
  });

  it('a pin, a secret and a list keep others out, and a kick ends what was', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const { room, id } = await oneWatched(suite, tab, { secret: 'key', pin: '42' });
    await tab.do('enter', 'bob', { room, join: { pin: '42' } });
    const join = { request: 'join', ptype: 'publisher', room };
    await tab.do('attach', 'cyd');
    assert.equal((await tab.do('refusal', 'cyd', join)).code, 429);
    assert.deepEqual(await tab.do('refusal', 'cyd', { ...join, pin: '43' }), { code: 433, error: 'Unauthorized (wrong pin)' });
    const kick = { request: 'kick', room, id };
    assert.equal((await tab.do('refusal', 'manager', kick)).code, 429);
    assert.deepEqual(await tab.do('refusal', 'manager', { ...kick, secret: 'lock' }), { code: 433, error: 'Unauthorized (wrong secret)' });
    await tab.sees('eyes', id);
    await tab.do('ask', 'manager', { ...kick, secret: 'key' });
    await tab.do('event', 'ann', 'message', { leaving: 'ok', reason: 'kicked' });
    await tab.do('event', 'ann', 'webrtc', { up: false });
    await tab.do('event', 'bob', 'message', { kicked: id });
    await tab.seesNothing('eyes', '1');
    for (const action of ['enable', 'add']) {
      await tab.do('ask', 'manager', { request: 'allowed', room, secret: 'key', action, allowed: ['ticket'] });
    }
    assert.deepEqual(await tab.do('refusal', 'cyd', { ...join, pin: '42' }), { code: 433, error: 'Unauthorized (not in the allowed list)' });
    await tab.do('ask', 'cyd', { ...join, pin: '42', token: 'ticket' });
    await tab.do('publish', 'cyd', { tracks: [microphone('cyd')] });
    await tab.do('event', 'cyd', 'webrtc', { up: true });
  });

  it('two rooms do not hear of each other', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const [one, two] = [await suite.room(tab), await suite.room(tab)];
    await tab.do('enter', 'bob', { room: two });
    const { joined: { id } } = await tab.do('enter', 'ann', { room: one, tracks: both('ann') });
    const { joined } = await tab.do('enter', 'cyd', { room: two, tracks: both('cyd') });
    await publisherTold(tab, 'bob', joined.id);
    assert.deepEqual(joined.publishers, []);
    await tab.do('attach', 'eyes');
    const join = { request: 'join', ptype: 'subscriber', room: two, streams: [{ feed: id }] };
    assert.deepEqual(await tab.do('refusal', 'eyes', join), { code: 428, error: `No such feed (${id})` });
    await tab.do('watch', 'other eyes', { room: two, streams: [{ feed: joined.id }] });
    await tab.isPictureOf('other eyes', joined.id, 'cyd');
    const told = (await tab.events('message')).filter((e) => ['bob', 'cyd'].includes(e.who)).map((e) => e.message);
    assert.ok(!JSON.stringify(told).includes(String(id)), 'nobody in the other room was told of ann');
  });

  it('a subscriber that closes its page leaves the others alone', { timeout: TEST_MS }, async () => {
    const [tab, leaver] = [await suite.tab(), await suite.tab()];
    const { room, id } = await oneWatched(suite, tab);
    await leaver.do('watch', 'eyes', { room, streams: [{ feed: id }] });
    await leaver.sees('eyes', id);
    await tab.do('forgetGaps', 'eyes');
    await leaver.driver.close();
    const line = await tab.sees('eyes', id, { count: 30 });
    assert.ok(line.gap < 1000, `no frame for ${line.gap} ms`);
    assert.ok(await tab.hears('eyes', id) > 0.01);
  });

  it('a late joiner sees the first frame within half a second', { timeout: TEST_MS }, async (t) => {
    const [publisher, tab] = [await suite.tab(), await suite.tab()];
    const room = await suite.room(publisher);
    const { joined: { id } } = await publisher.do('enter', 'ann', { room, tracks: both('ann') });
    const times = [];
    for (let i = 0; i < 5; i += 1) {
      const who = `eyes ${i}`;
      await tab.do('watch', who, { room, streams: [{ feed: id }] });
      const { first } = await tab.sees(who, id, { count: 1 });
      times.push(Math.round(first - (await tab.do('event', who, 'message', { videoroom: 'attached' })).at));
      // Longer than keyframes are held back from each other.
      await sleep(700);
    }
    t.diagnostic(`from "attached" to the first decoded frame: ${times.join(', ')} ms`);
    times.sort((a, b) => a - b);
    assert.ok(times[2] < 500, `the median is ${times[2]} ms`);
  });

  it('data goes from a publisher to two subscribers, labelled with its id', { timeout: TEST_MS }, async () => {
    const [tab, second] = [await suite.tab(), await suite.tab()];
    const room = await suite.room(tab);
    const { joined: { id } } = await tab.do('enter', 'ann', { room, tracks: [microphone('ann'), DATA] });
    await tab.do('event', 'ann', 'dataopen');
    const eyes = [tab, second];
    for (const one of eyes) {
      await one.do('watch', 'eyes', { room, streams: [{ feed: id }] });
      await one.do('event', 'eyes', 'webrtc', { up: true });
    }
    const heard = (one, what) => one.until(`data ${what}`, 10_000, (w) => window.room.events.some((e) => e.who === 'eyes' && e.kind === 'data'
      && JSON.stringify(e.data) === JSON.stringify(w)), what);
    await dataFlows(tab, eyes);
    for (const what of ['grüße, 世界', [0, 1, 2, 254, 255], 'x'.repeat(20_000)]) {
      await tab.do('data', 'ann', what);
      for (const one of eyes) await heard(one, what);
    }
    for (const one of eyes) {
      const labels = new Set((await one.events('data')).map((e) => e.label));
      assert.deepEqual([...labels], [String(id)]);
    }
  });

  it('tells everybody who talks and who has stopped', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const room = await suite.room(tab, { audiolevel_event: true, audio_active_packets: 25, audio_level_average: 40 });
    await tab.do('enter', 'bob', { room });
    const { joined: { id } } = await tab.do('enter', 'ann', { room, tracks: [microphone('ann', 0)] });
    await tab.do('loudness', 'ann', 0.5);
    for (const who of ['ann', 'bob']) {
      const { message } = await tab.do('event', who, 'message', { videoroom: 'talking', id });
      assert.ok(message['audio-level-dBov-avg'] < 40, `at ${message['audio-level-dBov-avg']}`);
      assert.deepEqual([message.room, message.mid, message.mindex], [room, '0', 0]);
    }
    await tab.do('loudness', 'ann', 0);
    for (const who of ['ann', 'bob']) await tab.do('event', who, 'message', { videoroom: 'stopped-talking', id });
  });

  it('a publisher of sound adds a picture, and subscribers take it', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const room = await suite.room(tab);
    await tab.do('enter', 'bob', { room });
    const { joined: { id } } = await tab.do('enter', 'ann', { room, tracks: [microphone('ann')] });
    await tab.do('watch', 'eyes', { room, streams: [{ feed: id }] });
    await tab.do('event', 'eyes', 'webrtc', { up: true });
    const { message } = await tab.do('publish', 'ann', { tracks: [{ ...camera('ann'), add: true }], body: { request: 'configure' } });
    assert.deepEqual(message.streams.map((s) => s.type), ['audio', 'video']);
    await tab.until('bob is told of the picture', 10_000, (ann) => window.room.events.some((e) => e.who === 'bob'
      && e.message?.publishers?.some((p) => p.id === ann && p.streams.length === 2)), id);
    await tab.do('ask', 'eyes', { request: 'subscribe', streams: [{ feed: id, mid: '1' }] });
    await tab.isPictureOf('eyes', id, 'ann');
    assert.ok(await tab.hears('eyes', id) > 0.01, 'the sound goes on');
    assert.deepEqual((await tab.events('webrtc')).map((e) => e.up), [true, true], 'no connection went down');
  });

  it('a publisher of two pictures says which is which, and a subscriber takes one', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const room = await suite.room(tab);
    await tab.do('enter', 'bob', { room });
    const descriptions = [{ mid: '0', description: 'face' }, { mid: '1', description: 'board' }];
    const { joined: { id } } = await tab.do('enter', 'ann', { room, tracks: [camera('ann'), camera('dan')], body: { descriptions } });
    await publisherTold(tab, 'bob', id);
    const told = (await tab.events('message')).find((e) => e.who === 'bob' && e.message.publishers?.length === 1).message.publishers[0];
    assert.deepEqual(told.streams.map((s) => [s.mid, s.description]), [['0', 'face'], ['1', 'board']]);
    await tab.do('watch', 'eyes', { room, streams: [{ feed: id, mid: '1' }] });
    await tab.isPictureOf('eyes', id, 'dan');
    const [line] = await tab.do('seen', 'eyes');
    assert.deepEqual([line.feed_mid, line.feed_description], ['1', 'board']);
    await tab.do('ask', 'eyes', { request: 'switch', streams: [{ feed: id, mid: '0', sub_mid: '0' }] });
    await tab.shows('eyes', '0', 'ann', 10_000);
  });

  it('goes on over an ICE restart of a subscriber and of the publisher', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const { id } = await oneWatched(suite, tab);
    const ufrag = (sdp) => /a=ice-ufrag:(\S+)/.exec(sdp)[1];
    const before = (await tab.do('offer', 'eyes')).sdp;
    await tab.do('ask', 'eyes', { request: 'configure', restart: true });
    await tab.until('a new offer', 10_000, (old) => window.room.offer('eyes').sdp !== old, before);
    assert.notEqual(ufrag((await tab.do('offer', 'eyes')).sdp), ufrag(before));
    await tab.sees('eyes', id, { count: 15 });
    const { answer } = await tab.do('publish', 'ann', { iceRestart: true, body: { request: 'configure' } });
    assert.match(answer, /a=ice-ufrag/);
    await tab.sees('eyes', id, { count: 30 });
    assert.deepEqual((await tab.events('webrtc')).map((e) => e.up).filter((up) => !up), []);
    assert.deepEqual(await tab.events('trouble'), []);
  });

  it('says on both sides that the media is encrypted end to end', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab();
    const room = await suite.room(tab);
    const { joined: { id }, published } = await tab.do('enter', 'ann', { room, tracks: both('ann'), e2ee: true });
    assert.equal(published.e2ee, true, 'the answer to the publisher');
    await tab.do('watch', 'eyes', { room, streams: [{ feed: id }] });
    // 1.1.2 says so only to the publisher.
    assert.equal((await tab.do('offer', 'eyes')).e2ee, ORACLE ? undefined : true, 'the offer to the subscriber');
  });
});

describe('video room with ids that are strings', () => {
  const suite = withRooms({ 'janus.plugin.videoroom': { general: { string_ids: true } } });

  it('people, rooms and channels have names, over a WebSocket', { timeout: TEST_MS }, async () => {
    const tab = await suite.tab({ server: suite.gateway.ws });
    const room = await suite.room(tab, { room: 'lounge' });
    assert.equal(room, 'lounge');
    await tab.do('attach', 'bob');
    const joined = await tab.do('ask', 'bob', { request: 'join', ptype: 'publisher', room });
    assert.match(joined.id, /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    await tab.do('enter', 'ann', { room, join: { id: 'ann@home' }, tracks: [...both('ann'), DATA] });
    await publisherTold(tab, 'bob', 'ann@home');
    await tab.do('watch', 'eyes', { room, streams: [{ feed: 'ann@home' }] });
    await tab.isPictureOf('eyes', 'ann@home', 'ann');
    await dataFlows(tab, [tab]);
    assert.equal((await tab.events('data'))[0].label, 'ann@home');
    assert.deepEqual((await tab.do('refusal', 'manager', { request: 'exists', room: 1234 })).code, 430);
  });
});

/** A page with a room, `ann` who publishes in it, and `eyes` that watch her. */
async function oneWatched(suite, tab, wish = {}) {
  const room = await suite.room(tab, wish);
  const join = wish.pin ? { pin: wish.pin } : {};
  const { joined: { id } } = await tab.do('enter', 'ann', { room, join, tracks: both('ann') });
  await tab.do('watch', 'eyes', { room, ...join, streams: [{ feed: id }] });
  await tab.sees('eyes', id);
  return { room, id };
}

const publisherTold = (tab, who, id) => tab.until(`${who} is told of ${id}`, 10_000, ([name, publisher]) => window.room.events.some((e) => e.who === name
  && e.message?.publishers?.some((p) => p.id === publisher)), [who, id]);

/** Ends when data of `ann` comes to `eyes` of each page. What is sent before an association is up is lost. */
async function dataFlows(tab, pages) {
  for (const one of pages) {
    for (let i = 0; i < 40 && (await one.events('data')).length === 0; i += 1) {
      await tab.do('data', 'ann', 'anybody?');
      await sleep(200);
    }
  }
}
