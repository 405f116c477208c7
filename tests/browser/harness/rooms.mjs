// What the tests of the video room share: rooms made for one test, people whose picture and sound can be told apart,
// and what of them arrives.

import assert from 'node:assert/strict';

import { ADDRESS } from './gateway.mjs';
import { mergeSettings } from './jcfg.mjs';
import { withGateway } from './suite.mjs';

/** Whose colour and tone. The tones are far enough apart for `pitch`. */
export const LOOKS = {
  ann: { colour: '#c02020', hertz: 500 },
  bob: { colour: '#20a030', hertz: 1000 },
  cyd: { colour: '#2040c0', hertz: 2000 },
  dan: { colour: '#c0b020', hertz: 3000 },
};

export const camera = (who, size = {}) => ({ type: 'video', camera: { width: 320, height: 180, ...size, colour: LOOKS[who].colour } });
export const microphone = (who, loudness = 0.5) => ({ type: 'audio', microphone: { hertz: LOOKS[who].hertz, loudness } });
export const both = (who) => [microphone(who), camera(who)];

/** Three layers of one camera by rid, low ones last as janus.js has them. */
export const RIDS = ['h', 'm', 'l'].map((rid, i) => ({
  rid, active: true, scalabilityMode: 'L1T2', maxBitrate: [900_000, 300_000, 100_000][i], scaleResolutionDownBy: 2 ** i,
}));

/** Inside a `describe`: as `withGateway`, with `tab()` giving a page of `room.js` and `room(tab, wish)` a room of its own. */
export function withRooms(settings = {}, options = {}) {
  const suite = withGateway(mergeSettings({ janus: { nat: { ice_enforce_list: ADDRESS } } }, settings), { ...options, page: 'room.html' });
  const plain = suite.tab;
  suite.tab = async (session) => withSteps(await plain(session));
  suite.room = async (tab, wish = {}) => {
    await tab.do('attach', 'manager');
    const { room } = await tab.do('ask', 'manager', { request: 'create', publishers: 10, ...wish });
    return room;
  };
  return suite;
}

/** A tab with `room.html`, with the steps of these tests. */
export function withSteps(tab) {
  /** A step of `window.room` by name. */
  tab.do = (step, ...args) => tab.run(([name, given]) => window.room[name](...given), [step, args]);

  /** Ends with the m-line when `count` more frames of `feed` have been seen in subscription `who`. */
  tab.sees = async (who, feed, { count = 5, ms = 15_000 } = {}) => {
    const before = (await tab.do('line', who, feed))?.frames ?? 0;
    return tab.until(`${who}: ${count} frames of ${feed}`, ms, ([name, id, least]) => {
      const line = window.room.line(name, id);
      return line && line.frames >= least ? line : null;
    }, [who, feed, before + count]);
  };

  /** Ends when frames of that size come. */
  tab.seesSize = (who, feed, [width, height], ms = 30_000) => tab.until(`${who}: frames of ${width} x ${height}`, ms, ([name, id, w, h]) => {
    const line = window.room.line(name, id);
    return line && line.width === w && line.height === h ? line : null;
  }, [who, feed, width, height]);

  /** Ends when no frame of that m-line comes for 700 ms. */
  tab.seesNothing = (who, mid, ms = 10_000) => tab.until(`${who}: no more frames in ${mid}`, ms, async ([name, m]) => {
    const frames = () => window.room.seen(name).find((line) => line.mid === m).frames;
    const before = frames();
    await new Promise((resolve) => { setTimeout(resolve, 700); });
    return frames() === before;
  }, [who, mid]);

  /** Audio energy of the m-line that brings `feed`'s sound, gained within half a second. */
  tab.hears = async (who, feed) => {
    const { mid } = await tab.do('line', who, feed, 'audio');
    return tab.run(async ([name, m]) => {
      const energy = async () => (await window.room.stats(name)).in[m]?.totalAudioEnergy ?? 0;
      const before = await energy();
      await new Promise((resolve) => { setTimeout(resolve, 500); });
      return (await energy()) - before;
    }, [who, mid]);
  };

  /** Ends when the sound of `feed` is off. A decoder fades out first. */
  tab.fallsSilent = async (who, feed) => {
    const heard = [];
    for (let i = 0; i < 10; i += 1) {
      heard.push(await tab.hears(who, feed));
      if (heard.at(-1) < 1e-5) return;
    }
    assert.fail(`${who} goes on hearing ${feed}: ${heard}`);
  };

  /** The picture of `feed` is that of `looks`. */
  tab.isPictureOf = async (who, feed, looks) => {
    const line = await tab.sees(who, feed, { count: 2 });
    const colour = await tab.do('colour', who, line.mid);
    const wanted = rgb(looks);
    const far = Math.max(...colour.map((v, c) => Math.abs(v - wanted[c])));
    assert.ok(far < 60, `${who} sees ${colour} where ${looks} is ${wanted}`);
  };

  /** Ends when an m-line shows the picture of `looks`, whoever's feed it is said to be. */
  tab.shows = (who, mid, looks, ms = 5_000) => tab.until(`${mid} shows ${looks}`, ms, async ([name, m, wanted]) => {
    const colour = await window.room.colour(name, m);
    return colour.every((v, c) => Math.abs(v - wanted[c]) < 60);
  }, [who, mid, rgb(looks)]);
  return tab;
}

const rgb = (who) => [1, 3, 5].map((i) => parseInt(LOOKS[who].colour.slice(i, i + 2), 16));
