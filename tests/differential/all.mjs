// The same requests to Debian's Janus and to us: the same statuses, verbs, keys in the same order, types, codes and
// texts come back, or argued.mjs says why not.
//
// COMPARE=janus compares Janus with itself: it shows what the comparison takes for a difference by mistake.
// ONLY=pattern takes the suites that fit it.
// RECORD=file adds what the parties of the rooms sent to Janus and what it answered, in full.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';

import { startGateway } from '../browser/harness/gateway.mjs';
import { ARGUED as ARGUED_CORE } from './argued.mjs';
import { ARGUED_CALLS } from './argued-calls.mjs';
import { ARGUED_EVENTS } from './argued-events.mjs';
import { ARGUED_ROOMS } from './argued-rooms.mjs';
import adminMedia from './cases/admin-media.mjs';
import admin, { settings as adminApi } from './cases/admin.mjs';
import calls from './cases/calls.mjs';
import coreHttp from './cases/core-http.mjs';
import echo from './cases/echo.mjs';
import eventCalls from './cases/event-calls.mjs';
import eventRequests from './cases/event-requests.mjs';
import events from './cases/events.mjs';
import forwarders from './cases/forwarders.mjs';
import http from './cases/http.mjs';
import * as guards from './cases/room-guards.mjs';
import roomMedia from './cases/room-media.mjs';
import recordings from './cases/recordings.mjs';
import roomManagement from './cases/room-management.mjs';
import roomPublisher from './cases/room-publisher.mjs';
import roomSubscriber from './cases/room-subscriber.mjs';
import secret, { settings as secretSettings } from './cases/secret.mjs';
import * as unix from './cases/unix.mjs';
import websocket from './cases/websocket.mjs';
import { Client } from './client.mjs';
import { differences } from './compare.mjs';
import { OracleFell } from './event-life.mjs';
import { closeBrowser } from './peer.mjs';

const REQUESTS = 2000;
const record = process.env.RECORD && ((text) => appendFileSync(process.env.RECORD, `${text}\n`));
const ONLY = new RegExp(process.env.ONLY ?? '');
/** Janus takes no media over loopback. */
const MEDIA = process.env.GATEWAY_ADDRESS ? {} : { skip: 'no address for media: scripts/in-namespace.sh, as root, gives one' };
const PART = process.env.ONLY || MEDIA.skip ? 'only a part is compared' : false;
const ITSELF = process.env.COMPARE === 'janus';
/** A file that names none: without a file there may be rooms for the sample pages. */
const NO_ROOMS = { 'janus.plugin.videoroom': { general: {} } };
const SUITES = [
  ['core over HTTP', coreHttp, {}], ['HTTP', http, {}], ['echo plugin', echo, {}], ['WebSockets', websocket, {}],
  ['Unix sockets', unix.connected, unix.seqpacketSettings],
  ['Unix sockets of datagrams', unix.unconnected, unix.datagramSettings],
  ['API secret', secret, secretSettings], ['Admin API', admin, adminApi],
  ['rooms', roomManagement, NO_ROOMS], ['publishers', roomPublisher, NO_ROOMS], ['subscribers', roomSubscriber, NO_ROOMS],
  ['rooms named by strings', guards.strings, guards.stringSettings], ['rooms of a file', guards.admin, guards.adminSettings],
  ['rooms without a file', guards.plain, {}], ['rooms with signed tokens', guards.tokens, guards.tokenSettings],
  ['connected', roomMedia, NO_ROOMS, MEDIA],
  ['handles that are connected', adminMedia, {}, MEDIA], ['recordings', recordings, NO_ROOMS, MEDIA],
  ['forwarded packets', forwarders, NO_ROOMS, MEDIA],
  ['calls', calls, {}, MEDIA],
  ['event handlers', events, {}, MEDIA], ['event handlers asked', eventRequests, {}],
  ['event handlers of calls', eventCalls, {}, MEDIA],
];

const ARGUED = [...ARGUED_CALLS, ...ARGUED_CORE, ...ARGUED_EVENTS, ...ARGUED_ROOMS];
const used = new Set();
let requests = 0;

describe('against Janus', installed(), () => {
  after(closeBrowser);
  for (const [name, cases, settings, options = {}] of SUITES.filter(([title]) => ONLY.test(title))) {
    describe(name, options, () => {
      let theirs;
      let ours;
      before(async () => {
        theirs = await startJanus(settings);
        ours = await startGateway(settings, { oracle: ITSELF });
      });
      after(async () => {
        await theirs?.stop();
        await ours?.stop();
      });
      for (const [title, run] of Object.entries(cases)) {
        it(title, { timeout: 120_000 }, async () => {
          record?.(`\n## ${name} / ${title}`);
          const [expected, got] = await Promise.all([transcript(theirs, run, record), transcript(ours, run)]);
          requests += expected.length;
          assert.equal(theirs.exited, null, `Janus ended:\n${theirs.log}`);
          assert.equal(ours.exited, null, `the gateway ended:\n${ours.log}`);
          const found = differences(`${name} / ${title}`, expected, got, ITSELF ? [] : ARGUED, used);
          assert.equal(found.length, 0, `\n${found.join('\n')}`);
        });
      }
    });
  }

  it(`compares at least ${REQUESTS} requests`, { skip: PART }, (t) => {
    t.diagnostic(`${requests} requests compared, ${used.size} of ${ARGUED.length} argued differences seen`);
    assert.ok(requests >= REQUESTS, `${requests} requests`);
  });

  it('argues only differences that exist', { skip: ITSELF ? 'Janus against itself' : PART }, () => {
    const idle = ARGUED.filter((row) => !used.has(row)).map((row) => row.why);
    assert.deepEqual(idle, []);
  });
});

/** On a busy machine the thread of Janus' Unix sockets is sometimes not there from its start on: then it is started again. */
async function startJanus(settings, more = 7) {
  const janus = await startGateway(settings, { oracle: true });
  if (more === 0 || (await unix.answers(janus, settings))) return janus;
  await janus.stop();
  return startJanus(settings, more - 1);
}

/** What a gateway answers; a Janus that falls over is asked once more, and then again. */
async function transcript(gateway, run, record, more = 2) {
  const client = new Client(gateway);
  client.record = record;
  try {
    await run(client);
  } catch (error) {
    if (error instanceof OracleFell && more > 0) return transcript(gateway, run, record, more - 1);
    client.note('the case itself', `broke off: ${error.message}`);
  } finally {
    client.close();
  }
  return client.transcript;
}

function installed() {
  try {
    execFileSync('janus', ['--help'], { stdio: 'ignore' });
    return {};
  } catch {
    return { skip: 'no janus here: apt-get install janus' };
  }
}
