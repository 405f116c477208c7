// What event handlers hear of calls: of the plugin's own events the bodies in full, in order, for each user.

import { life } from '../event-life.mjs';
import { answerTo, audio, data, offer, video } from '../offer.mjs';
import { Party } from '../party.mjs';

const PLUGIN = 'janus.plugin.videocall';
const EXTERNAL = 64;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Which end of a call is told first is up to Janus' threads. */
function endsSorted(told) {
  const isEnd = (line) => line.includes('"event":"hangup"');
  return told.map((line, i) => {
    if (!isEnd(line)) return line;
    let [from, to] = [i, i];
    while (from > 0 && isEnd(told[from - 1])) from -= 1;
    while (to < told.length && isEnd(told[to])) to += 1;
    return told.slice(from, to).sort()[i - from];
  });
}

export default {
  'calls': (c) => life(c, { handler: { grouping: false } }, async (k, log) => {
    const users = [];
    for (const name of ['one', 'two', 'three']) {
      const party = await Party.enter(k, name, PLUGIN);
      log.name(name, party.session, party.handle);
      await party.ask({ request: 'register', username: name });
      users.push(party);
    }
    const [one, two, three] = users;
    const call = async (from, username) => {
      await from.ask({ request: 'call', username }, { jsep: offer(audio(), video(), data()), about: 'an offer' });
      await two.until(({ message }) => message.jsep);
    };
    const ended = (...parties) => Promise.all(parties.map((party) => party.until(({ message }) => message.janus === 'hangup')));
    const forget = () => users.forEach((party) => { party.heard.length = 0; });

    await one.ask({ request: 'list' });
    await one.ask({ request: 'call', username: 'nobody' });
    // Janus closes a connection that there is not, and what was set is forgotten with it, sooner or later.
    await sleep(500);
    await one.ask({ request: 'set', audio: false, bitrate: 64_000 });
    await one.ask({ request: 'register', username: 'uno' });
    await call(one, 'two');
    await call(three, 'two');
    await ended(three);
    await two.ask({ request: 'accept' }, { jsep: answerTo(two.offered), about: 'an answer' });
    for (const body of [{}, { audio: false }, { video: false, bitrate: 128_000 }, { audio: true, video: true }, { substream: 1 }]) await one.ask({ request: 'set', ...body });
    await two.ask({ request: 'hangup', reason: 'enough' });
    await ended(one, two);
    forget();
    await call(one, 'two');
    await two.ask({ request: 'hangup' });
    await ended(one, two);
    forget();
    await call(one, 'two');
    await one.verb({ janus: 'hangup' });
    await ended(one, two);
    await one.ask({ request: 'hangup' });
    await sleep(500);
    for (const { name } of users) {
      const told = log.of(name).filter(({ type }) => type === EXTERNAL).map(({ event }) => JSON.stringify(event));
      k.note(`what is told of the calls of ${name}`, ...endsSorted(told));
    }
    for (const party of users) await party.call({ janus: 'destroy' });
  }, { atEnd: false }),
};
