// One PeerConnection that brings streams of several publishers: each change leaves the other streams alone.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { both, withRooms } from '../harness/rooms.mjs';
import { ORACLE, TEST_MS } from '../harness/suite.mjs';

const FREEZE_MS = 1000;
// 1.1.2 takes seconds to ask the new publisher for a keyframe.
const SWITCH_MS = ORACLE ? 5000 : 1000;

describe('multistream subscriber', () => {
  const suite = withRooms();

  it('subscribes, unsubscribes and updates without a freeze of what stays', { timeout: 2 * TEST_MS }, async () => {
    const { tab, room, ids } = await publishers(suite, ['ann', 'bob', 'cyd']);
    await tab.do('watch', 'eyes', { room, streams: [{ feed: ids.ann }] });
    await tab.sees('eyes', ids.ann);
    await tab.do('forgetGaps', 'eyes');

    await tab.do('ask', 'eyes', { request: 'subscribe', streams: [{ feed: ids.bob }, { feed: ids.cyd, mid: '1' }] });
    await tab.isPictureOf('eyes', ids.bob, 'bob');
    await tab.isPictureOf('eyes', ids.cyd, 'cyd');
    assert.equal(await tab.do('line', 'eyes', ids.cyd, 'audio'), null, 'only the picture of cyd was asked for');
    await goesOn(tab, ids.ann);

    const { mid } = await tab.do('line', 'eyes', ids.bob);
    await tab.do('ask', 'eyes', { request: 'unsubscribe', streams: [{ sub_mid: mid }] });
    await tab.seesNothing('eyes', mid);
    assert.ok(await tab.hears('eyes', ids.bob) > 0.01, 'the sound of bob stays');
    await goesOn(tab, ids.ann);
    await tab.sees('eyes', ids.cyd);

    const lines = (await tab.do('seen', 'eyes')).length;
    await tab.do('ask', 'eyes', { request: 'update', subscribe: [{ feed: ids.bob, mid: '1' }], unsubscribe: [{ feed: ids.cyd }] });
    await tab.isPictureOf('eyes', ids.bob, 'bob');
    assert.equal(await tab.do('line', 'eyes', ids.cyd), null);
    assert.equal((await tab.do('seen', 'eyes')).length, lines, 'an inactive m-line is used again');
    await goesOn(tab, ids.ann);
    assert.ok(await tab.hears('eyes', ids.ann) > 0.01);
    assert.deepEqual((await tab.events('webrtc')).filter((e) => e.who === 'eyes').map((e) => e.up), [true], 'the connection stayed up');
    assert.deepEqual(await tab.events('trouble'), []);
  });

  it('switches an m-line to another publisher without a new offer', { timeout: TEST_MS }, async () => {
    const { tab, room, ids } = await publishers(suite, ['ann', 'bob', 'cyd']);
    await tab.do('watch', 'eyes', { room, streams: [{ feed: ids.ann, mid: '1' }, { feed: ids.bob, mid: '1' }] });
    await tab.isPictureOf('eyes', ids.ann, 'ann');
    await tab.isPictureOf('eyes', ids.bob, 'bob');
    const { mid } = await tab.do('line', 'eyes', ids.bob);
    await tab.do('forgetGaps', 'eyes');
    for (const looks of ['cyd', 'bob', 'cyd']) {
      const { changes } = await tab.do('ask', 'eyes', { request: 'switch', streams: [{ feed: ids[looks], mid: '1', sub_mid: mid }] });
      assert.equal(changes, 1);
      await tab.shows('eyes', mid, looks, SWITCH_MS + 1000);
    }
    const gap = (await tab.do('seen', 'eyes')).find((line) => line.mid === mid).gap;
    assert.ok(gap < SWITCH_MS, `the switched picture stood still for ${gap} ms`);
    await goesOn(tab, ids.ann);
    const offers = (await tab.events('message')).filter((e) => e.who === 'eyes' && e.jsep === 'offer');
    assert.equal(offers.length, 1);
  });

  it('is told when a publisher leaves, and a later one takes the m-lines over', { timeout: TEST_MS }, async () => {
    const { tab, room, ids } = await publishers(suite, ['ann', 'bob']);
    await tab.do('watch', 'eyes', { room, streams: [{ feed: ids.ann }, { feed: ids.bob }] });
    await tab.sees('eyes', ids.ann);
    const before = [await tab.do('line', 'eyes', ids.bob, 'audio'), await tab.do('line', 'eyes', ids.bob)].map((line) => line.mid);
    await tab.sees('eyes', ids.bob);
    await tab.do('forgetGaps', 'eyes');
    await tab.do('detach', 'bob');
    await tab.until('the m-lines of bob are inactive', 10_000, (mids) => window.room.seen('eyes')
      .filter((line) => mids.includes(line.mid)).every((line) => !line.active && line.feed_id === undefined), before);
    await goesOn(tab, ids.ann);
    const { joined: { id } } = await tab.do('enter', 'cyd', { room, tracks: both('cyd') });
    await tab.do('ask', 'eyes', { request: 'subscribe', streams: [{ feed: id }] });
    const after = [await tab.do('line', 'eyes', id, 'audio'), await tab.do('line', 'eyes', id)].map((line) => line.mid);
    assert.deepEqual(after, before);
    await tab.isPictureOf('eyes', id, 'cyd');
    assert.ok(await tab.hears('eyes', id) > 0.01);
    await goesOn(tab, ids.ann);
  });

  it('takes twenty changes in a row, one upon the other', { timeout: 2 * TEST_MS }, async () => {
    const { tab, room, ids } = await publishers(suite, ['ann', 'bob']);
    await tab.do('watch', 'eyes', { room, streams: [{ feed: ids.ann }] });
    await tab.sees('eyes', ids.ann);
    await tab.do('forgetGaps', 'eyes');
    for (let round = 0; round < 10; round += 1) {
      await tab.do('ask', 'eyes', { request: 'subscribe', streams: [{ feed: ids.bob }] });
      await tab.do('ask', 'eyes', { request: 'unsubscribe', streams: [{ feed: ids.bob }] });
    }
    await tab.do('ask', 'eyes', { request: 'subscribe', streams: [{ feed: ids.bob, mid: '1' }] });
    await tab.isPictureOf('eyes', ids.bob, 'bob');
    await goesOn(tab, ids.ann);
    assert.equal((await tab.do('seen', 'eyes')).length, 4, 'no more m-lines than were in use at once');
    assert.deepEqual(await tab.events('trouble'), []);
  });

  async function publishers(rooms, names) {
    const tab = await rooms.tab();
    const room = await rooms.room(tab);
    const ids = {};
    for (const who of names) {
      ids[who] = (await tab.do('enter', who, { room, tracks: both(who) })).joined.id;
    }
    return { tab, room, ids };
  }
});

/** The picture of `feed` goes on, and has not stood still since it was last asked. */
async function goesOn(tab, feed) {
  const { gap } = await tab.sees('eyes', feed, { count: 10 });
  assert.ok(gap < FREEZE_MS, `the picture stood still for ${gap} ms`);
}
