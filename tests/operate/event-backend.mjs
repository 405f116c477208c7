// An event back end that is away, hangs or answers 500 while clients go on: they notice nothing, memory is bounded,
// what is lost is counted, and afterwards events come in order.

import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, it } from 'node:test';

import { freeTcpPort } from '../browser/harness/ports.mjs';
import {
  ATTEMPTS, Client, LONG, assertAsQuick, isAsQuick, mb, memory, metrics, sleep, startProbe, started, told, until,
} from './support.mjs';

const PHASE_MS = LONG ? 20_000 : 1_500;
/** What waits for a handler (docs/events.md), and what an event takes at most here, as values and as text. */
const WAITING = 16_384;
const EVENT_KB = 4;
const COUNTED = 'portunus_handler_events_total{handler="janus.eventhandler.sampleevh",result=';
const FAILURES = 'portunus_handler_failures_total{handler="janus.eventhandler.sampleevh"}';

describe('an event back end in trouble', () => {
  const test = { timeout: 60_000 + 6 * ATTEMPTS * PHASE_MS };
  it('is noticed by nobody else, and events are in order when it is back', test, async (t) => {
    const backend = new Backend(await freeTcpPort());
    await backend.listen();
    t.after(() => backend.close());
    const gateway = await started(t, {
      janus: { events: { broadcast: true } },
      'janus.eventhandler.sampleevh': {
        general: { enabled: true, backend: backend.url, max_retransmissions: 50, retransmissions_backoff: 50 },
      },
    });
    const probe = await startProbe(t, gateway);
    const traffic = await startTraffic(t, gateway);
    let fine = null;
    const phase = async (name, begin) => {
      await begin?.();
      for (let attempt = 1; ; attempt += 1) {
        probe.cut();
        await sleep(PHASE_MS);
        const times = probe.cut();
        t.diagnostic(`${name}: p50, p99, max ${told(times)}, memory ${mb(memory(gateway.pid).rss)}`);
        fine ??= times;
        if (isAsQuick(times, fine)) break;
        if (attempt === ATTEMPTS) assertAsQuick(times, fine, name);
      }
    };

    await sleep(1000);
    await phase('fine');
    const { rss } = memory(gateway.pid);
    const troubles = {
      'away': () => backend.close(),
      'answering 500': async () => { backend.answer = 500; await backend.listen(); },
      'hanging': () => { backend.answer = null; },
    };
    for (const [name, begin] of Object.entries(troubles)) await phase(name, begin);
    assert.ok((await metrics(gateway))[FAILURES] > 0, 'failed attempts are counted');
    assert.equal((await metrics(gateway))[`${COUNTED}"dropped"}`], 0, 'so far nothing had to go');

    backend.heal();
    await phase('back');
    await until('what waited has come', 15_000, () => backend.created.includes(traffic.sessions.at(-1)));
    const made = traffic.sessions.slice(0, traffic.sessions.length);
    // An attempt that hung may have come through: such events come twice.
    const came = [...new Set(backend.created)].filter((id) => made.includes(id));
    assert.deepEqual(came, made, 'each session was told once, in order');

    await traffic.stop();
    backend.answer = null;
    await flood(t, gateway);
    await phase('hanging, all places taken');
    const { [`${COUNTED}"dropped"}`]: dropped } = await metrics(gateway);
    const grown = memory(gateway.pid).peak - rss;
    t.diagnostic(`${dropped} events dropped, memory grew by ${mb(grown)}`);
    assert.ok(dropped > 0, 'dropped events are counted');
    assert.ok(grown < WAITING * EVENT_KB, `memory grew by ${mb(grown)}`);
    await probe.stop();
    backend.heal();
  });
});

/** A web server that takes events: `answer` is its status, or null to answer nothing. */
class Backend {
  constructor(port) {
    Object.assign(this, { port, url: `http://127.0.0.1:${port}/`, answer: 200, created: [], hanging: new Set() });
  }

  listen() {
    this.server = http.createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        if (this.answer === null) {
          this.hanging.add(response);
          return;
        }
        // Any answer counts as delivered.
        this.#keep(JSON.parse(Buffer.concat(chunks)));
        response.writeHead(this.answer).end();
      });
    });
    return new Promise((resolve) => { this.server.listen(this.port, '127.0.0.1', resolve); });
  }

  close() {
    this.server.closeAllConnections();
    return new Promise((resolve) => { this.server.close(() => resolve()); });
  }

  /** Answers again; those that hang are cut off, so that they are sent again. */
  heal() {
    this.answer = 200;
    this.hanging.forEach((response) => response.destroy());
    this.hanging.clear();
  }

  #keep(events) {
    for (const event of [events].flat()) {
      if (event.type === 1 && event.event.name === 'created') this.created.push(event.session_id);
    }
  }
}

/** Sessions that come and go, one after the other; `sessions` are their numbers in order. */
async function startTraffic(t, gateway) {
  const client = await Client.open(gateway.ws);
  t.after(() => client.close());
  const traffic = { sessions: [] };
  let running = true;
  const loop = (async () => {
    while (running) {
      const { data: { id: session_id } } = await client.request({ janus: 'create' });
      traffic.sessions.push(session_id);
      await client.request({ janus: 'destroy', session_id });
      await sleep(5);
    }
  })();
  loop.catch(() => {});
  traffic.stop = () => { running = false; return loop; };
  t.after(() => { running = false; });
  return traffic;
}

/** More events than may wait, and then some. */
async function flood(t, gateway) {
  const client = await Client.open(gateway.ws);
  t.after(() => client.close());
  const { session_id } = await client.session();
  for (let made = 0; made < WAITING; made += 100) {
    await Promise.all(Array.from({ length: 100 }, async () => {
      const { data } = await client.request({ janus: 'attach', plugin: 'janus.plugin.echotest', session_id });
      await client.request({ janus: 'detach', session_id, handle_id: data.id });
    }));
  }
}
