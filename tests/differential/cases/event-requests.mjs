// What an administrator may ask of sampleevh, and how what it posts changes with that. Needs no media.

import { ADMIN_SECRET } from '../../browser/harness/backend.mjs';
import { life } from '../event-life.mjs';
import { kind } from '../event-log.mjs';
import { Party } from '../party.mjs';

const HANDLER = 'janus.eventhandler.sampleevh';
const admin = { admin_secret: ADMIN_SECRET };
/** A mark that is always told: all that was told before it has come when it has. */
let marks = 0;

const query = (k, request, options) =>
  k.administer('', { janus: 'query_eventhandler', handler: HANDLER, request, ...admin }, options);
const tweak = (k, change) => query(k, { request: 'tweak', ...change }, { quiet: true });

async function mark(k, log) {
  await tweak(k, { events: 'external' });
  const schema = `mark ${(marks += 1)}`;
  const answer = await k.administer('', { janus: 'custom_event', schema, data: {}, ...admin }, { quiet: true });
  const told = await log.backend.until((e) => e.event?.schema === schema, 3_000);
  if (!told) log.missed.push(`a mark, answered ${JSON.stringify(answer)}`);
  return told;
}

/** Something of every kind that needs no media. */
async function something(k) {
  const party = await Party.enter(k, 'somebody', 'janus.plugin.echotest');
  await party.ask({ audio: true }, { quiet: true });
  await k.administer('', { janus: 'custom_event', schema: 'something', data: {}, ...admin }, { quiet: true });
  // Janus' plugin tells of it after it has answered, and falls over if its session is gone by then.
  await new Promise((resolve) => setTimeout(resolve, 150));
  await party.call({ janus: 'destroy', handle_id: undefined });
  party.socket.removeAllListeners('close');
  party.socket.terminate();
  // What is told is chosen when it is passed on, a moment after it happened.
  await new Promise((resolve) => setTimeout(resolve, 150));
}

const WRONG = { text: [5, null, true, {}], flag: [5, 'x', null], number: ['x', -1, 1.5, null, true] };
const FIELDS = {
  events: WRONG.text,
  grouping: WRONG.flag,
  backend: [...WRONG.text, '', 'ftp://nowhere', 'nowhere'],
  backend_user: WRONG.text,
  backend_pwd: WRONG.text,
  max_retransmissions: WRONG.number,
  retransmissions_backoff: WRONG.number,
  json: [5, 'compact'],
  unknown: [1],
};
const MASKS = [
  'none',
  'sessions',
  'handles',
  'jsep',
  'webrtc',
  'media',
  'plugins',
  'core',
  'external',
  'sessions,handles',
  'sessions, plugins',
  ' sessions',
  'SESSIONS,Handles',
  'sessions,none',
  'none,sessions',
  'sessions,all',
  'foo',
  '',
  ',sessions',
  'sessions,,handles,',
  'sessions;plugins',
  'sessions plugins',
  'sessions,foo',
  'all',
];

export default {
  'requests right and wrong': (c) =>
    life(
      c,
      {},
      async (k) => {
        for (const request of [
          undefined,
          5,
          {},
          { request: 5 },
          { request: null },
          { request: 'x' },
          { request: 'tweak' },
          { request: 'TWEAK' },
        ])
          await query(k, request);
        for (const [field, values] of Object.entries(FIELDS)) {
          for (const value of values) await query(k, { request: 'tweak', [field]: value });
        }
        for (const handler of [undefined, 5, 'x', 'janus.eventhandler.other']) {
          await k.administer('', { janus: 'query_eventhandler', handler, request: { request: 'tweak' }, ...admin });
        }
      },
      { atEnd: false },
    ),

  'what is asked for is told': (c) =>
    life(
      c,
      {},
      async (k, log) => {
        for (const events of MASKS) {
          await mark(k, log);
          const before = log.events.length;
          await tweak(k, { events });
          await something(k);
          const told = (await mark(k, log)) ? log.events.slice(before).map(kind) : ['the mark did not come'];
          // Requests and the end of a connection come in their own time.
          k.note(`asked for ${JSON.stringify(events)}`, ...told.filter((t) => !/^128|^4 mark/.test(t)).sort());
        }
        const before = log.events.length;
        await tweak(k, { events: 'transports' });
        await k.get('/info', { quiet: true });
        await log.until(undefined, '128 http request false');
        await mark(k, log);
        const told = log.events.slice(before).map(kind);
        k.note(
          'asked for transports',
          ...new Set(told.filter((t) => t.startsWith('128 http request false') || !/^4 mark|^128/.test(t))),
        );
      },
      { atEnd: false },
    ),

  'how it is told': (c) =>
    life(
      c,
      { handler: { events: 'core,external', backend_user: 'me', backend_pwd: 'my word' } },
      async (k, log) => {
        const all = [
          { grouping: false },
          { grouping: true },
          { compress: true, compression: 9 },
          { grouping: false, compression: 1 },
          { compress: false },
          { backend_user: 'you', backend_pwd: '' },
          { backend: `${log.backend.url}&more` },
          { max_retransmissions: 0, retransmissions_backoff: 0 },
        ];
        for (const change of all) {
          await tweak(k, change);
          await mark(k, log);
          const { method, path, headers, json } = log.backend.posts.at(-1);
          const sent = ['content-type', 'content-encoding', 'authorization'].map((name) => headers[name] ?? '-');
          k.note(
            `told as ${JSON.stringify(change).replace(/\d{4,}/, 'N')}`,
            `${method} ${path}`,
            ...sent,
            Array.isArray(json) ? 'an array' : 'one event',
          );
        }
      },
      { atEnd: false },
    ),
};
