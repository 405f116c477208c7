// Calls between two users: every request in every state. The parts that are connected have a browser at both ends.

import { answerTo, audio, data, offer, video } from '../offer.mjs';
import { Party, settle } from '../party.mjs';
import { withPeers } from '../peer.mjs';

const PLUGIN = 'janus.plugin.videocall';
const QUIET = { quiet: 400 };
const KINDS = ['voice', 'face', 'data'];

async function enter(c, ...names) {
  c.inRanks = true;
  for (const name of names) await Party.enter(c, name, PLUGIN);
  return c.parties.slice(-names.length);
}

/** As many users as names, registered by them. */
async function users(c, ...names) {
  const all = await enter(c, ...names);
  for (const [i, party] of all.entries()) await party.ask({ request: 'register', username: names[i] });
  await settle(c);
  return all;
}

const call = (from, username, jsep = offer(audio(), video(), data()), about = 'an offer') => from.ask({ request: 'call', username }, { jsep, about });

/** Takes the description that came by itself. */
function taken(party) {
  const jsep = party.offered;
  party.offered = undefined;
  return jsep;
}

/** Until these have heard that their connections are closed, which takes Janus up to a second, and all is quiet. */
async function closed(c, ...parties) {
  for (const party of parties) await party.until(({ message }) => message.janus === 'hangup');
  await settle(c, QUIET);
}

/** Both are connected. */
async function connect(c, open, from, to, { kinds = KINDS } = {}) {
  const [a, b] = [await open(), await open()];
  await call(from, to.name, await a.offer(kinds), `an offer of ${kinds.join(', ')}`);
  await settle(c, QUIET);
  await to.ask({ request: 'accept' }, { jsep: await b.answer(taken(to)), about: "a browser's answer" });
  // Not settled in between: the side that answered may be up before it is quiet, or after.
  await from.until(({ message }) => message.jsep);
  await a.accept(taken(from));
  await Promise.all([a.up(), b.up()]);
  await settle(c, { quiet: 1000 });
  return [a, b];
}

const SETTINGS = [
  {}, { audio: true }, { audio: false }, { video: false }, { audio: true, video: true }, { bitrate: 128_000 }, { bitrate: 0 },
  { substream: 1 }, { temporal: 1 }, { fallback: 100_000 }, { keyframe: true }, { restart: false },
];
const WRONG = [
  { audio: 'x' }, { video: 1 }, { bitrate: 'x' }, { bitrate: -1 }, { record: 1 }, { filename: 5 }, { restart: 'x' }, { substream: 'x' }, { substream: 3 },
  { substream: -1 }, { temporal: 3 }, { temporal: 'x' }, { fallback: 'x' }, { fallback: -1 }, { keyframe: 'x' }, { audio: null },
];

export default {
  'requests of one who is in no call': async (c) => {
    const [one] = await enter(c, 'one');
    const all = async () => {
      for (const body of [{}, { request: 5 }, { request: null }, { request: 'foo' }, { request: 'list' }, { request: 'accept' }, { request: 'hangup' }, { request: 'hangup', reason: 'why not' }, { request: 'hangup', reason: 5 }]) {
        await one.ask(body);
      }
      for (const over of [{}, { username: 5 }, { username: null }, { username: '' }, { username: 'nobody' }]) {
        await one.ask({ request: 'call', ...over });
        await one.ask({ request: 'call', ...over }, { jsep: offer(audio()), about: 'an offer' });
        await closed(c, one);
      }
      for (const body of [...SETTINGS, ...WRONG]) await one.ask({ request: 'set', ...body });
      await settle(c, QUIET);
    };
    await all();
    for (const over of [{}, { username: 5 }, { username: null }, { username: '' }]) await one.ask({ request: 'register', ...over });
    const [two] = await enter(c, 'two');
    for (const [party, username] of [[one, 'one'], [one, 'one'], [one, 'uno'], [two, 'one'], [two, 'two'], [two, 'one']]) {
      await party.ask({ request: 'register', username });
    }
    await all();
    await settle(c);
    await two.gone();
    // A thread of Janus' own takes the name off the list.
    await new Promise((resolve) => { setTimeout(resolve, 500); });
    await one.ask({ request: 'list' });
    const [three] = await enter(c, 'three');
    await three.ask({ request: 'register', username: 'two' });
    await settle(c);
  },

  'an offer that comes with something else than a call': async (c) => {
    for (const [i, body] of [{ request: 'list' }, { request: 'register', username: 'x' }, { request: 'accept' }, { request: 'hangup' }, { request: 'set' }, { request: 'foo' }, { request: 'set', audio: 'x' }].entries()) {
      const [one] = await enter(c, `user${i}`);
      await one.ask(body, { jsep: offer(audio()), about: 'an offer' });
      await closed(c, ...(body.request === 'hangup' ? [one] : []));
    }
    const [, two] = await users(c, 'one', 'two');
    await two.ask({ request: 'accept' }, { jsep: answerTo(offer(audio())), about: 'an answer' });
    await two.ask({ request: 'call', username: 'one' }, { jsep: answerTo(offer(audio())), about: 'an answer' });
    await settle(c, QUIET);
  },

  'ringing': async (c) => {
    const [one, two, three] = await users(c, 'one', 'two', 'three');
    await call(one, 'two');
    await settle(c, QUIET);
    await one.ask({ request: 'list' });
    // Busy, on either side.
    await call(three, 'two');
    await closed(c, three);
    await call(three, 'one');
    await closed(c, three);
    await three.ask({ request: 'call', username: 'one' });
    await settle(c, QUIET);
    await one.ask({ request: 'accept' });
    await two.ask({ request: 'accept' });
    await settle(c, QUIET);
    for (const body of SETTINGS) await one.ask({ request: 'set', ...body });
    for (const body of SETTINGS) await two.ask({ request: 'set', ...body });
    await settle(c, QUIET);
  },

  'a call that is declined, withdrawn, left alone': async (c) => {
    const [one, two] = await users(c, 'one', 'two');
    await call(one, 'two');
    await settle(c, QUIET);
    await two.ask({ request: 'hangup', reason: 'no time' });
    await closed(c, one, two);
    await call(one, 'two');
    await settle(c, QUIET);
    await two.ask({ request: 'hangup' });
    await closed(c, one, two);
    await call(one, 'two');
    await settle(c, QUIET);
    await one.ask({ request: 'hangup' });
    await closed(c, one, two);
    await call(one, 'two');
    await settle(c, QUIET);
    await one.verb({ janus: 'hangup' });
    await closed(c, one, two);
    await call(one, 'two');
    await settle(c, QUIET);
    await two.gone();
    await closed(c, one);
    const [again] = await users(c, 'two');
    await call(one, 'two');
    await settle(c, QUIET);
    await one.gone();
    await closed(c, again);
    await again.ask({ request: 'list' });
    await again.ask({ request: 'accept' });
    await settle(c, QUIET);
  },

  'a second call ends the first': async (c) => {
    const [one, two] = await users(c, 'one', 'two');
    await call(one, 'two');
    await settle(c, QUIET);
    await one.ask({ request: 'call', username: 'two' });
    await closed(c, one, two);
    await call(two, 'one');
    await settle(c, QUIET);
    await one.ask({ request: 'call', username: 'nobody' });
    await closed(c, one, two);
  },

  'another offer while it rings': async (c) => {
    const [one] = await users(c, 'one', 'two');
    await call(one, 'two');
    await settle(c, QUIET);
    await call(one, 'two');
    await settle(c, QUIET);
  },

  'answers without a connection': async (c) => {
    const [one, two] = await users(c, 'one', 'two');
    for (const sections of [[audio()], [video({ mid: '0' })], [data({ mid: '0' })], [audio(), video({ simulcast: 'rid' })], [audio(), video({ simulcast: 'ssrc' })], [audio({ direction: 'sendonly' }), video({ direction: 'recvonly' })]]) {
      await call(one, 'two', offer(...sections), sections.map((s) => s.note).join(', '));
      await settle(c, QUIET);
      await two.ask({ request: 'accept' }, { jsep: answerTo(taken(two)), about: 'an answer' });
      await settle(c, QUIET);
      await two.ask({ request: 'accept' });
      await two.ask({ request: 'hangup' });
      await closed(c, one, two);
    }
  },

  'a call': (c) => withPeers(async (open) => {
    const [one, two, three] = await users(c, 'one', 'two', 'three');
    const [a, b] = await connect(c, open, one, two);
    await three.ask({ request: 'list' });
    await call(three, 'one');
    await closed(c, three);
    for (const party of [one, two]) {
      for (const body of [...SETTINGS, ...WRONG]) await party.ask({ request: 'set', ...body });
      await party.ask({ request: 'accept' });
    }
    await settle(c, QUIET);
    // Another medium, from either side.
    for (const [from, to, x, y] of [[one, two, a, b], [two, one, b, a]]) {
      await from.ask({ request: 'set' }, { jsep: await x.offer(['voice']), about: 'another offer' });
      await settle(c, QUIET);
      await to.ask({ request: 'set', audio: true }, { jsep: await y.answer(taken(to)), about: "a browser's answer" });
      await settle(c, QUIET);
      const answer = taken(from);
      if (answer) await x.accept(answer);
      await settle(c, QUIET);
    }
    await two.ask({ request: 'hangup', reason: 'enough' });
    await closed(c, one, two);
    await three.ask({ request: 'list' });
  }),

  'a call that is ended otherwise': (c) => withPeers(async (open) => {
    const [one, two] = await users(c, 'one', 'two');
    await connect(c, open, one, two);
    await one.ask({ request: 'hangup' });
    await closed(c, one, two);
    await connect(c, open, two, one);
    await one.verb({ janus: 'hangup' });
    await closed(c, one, two);
    const [a] = await connect(c, open, one, two);
    await a.close();
    await closed(c, one, two);
    await connect(c, open, one, two);
    await call(one, 'two', offer(audio(), video(), data()));
    await closed(c, one, two);
    await connect(c, open, one, two);
    await two.gone();
    await closed(c, one);
  }),
};
