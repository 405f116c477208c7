// Somebody guesses the admin secret, many times at once: each guess is refused, all but the first few of them slowly,
// and whoever knows the secret is answered at once.

import assert from 'node:assert/strict';
import http from 'node:http';
import { describe, it } from 'node:test';

import { Client, LONG, mb, memory, metrics, percentile, post, sleep, started, until } from './support.mjs';

const SECRET = 'operators only';
const GUESSES = LONG ? 100_000 : 2_000;
/** So many wait for their answer at a time: 1024 may be held back, and one more would never be answered. */
const CONNECTIONS = 16;
const IN_FLIGHT = 63;
const FREE = 5;
const MOST_MS = 5_000;
const RIGHT_MS = 50;
const GROWTH_KB = 24 * 1024;
const REFUSED = 'portunus_admin_refused_total';
const ADMINS = 'portunus_connections{transport="http",api="admin"}';
const ADMIN = { janus: { general: { admin_secret: SECRET } } };
const wrong = (n) => ({ janus: 'list_sessions', admin_secret: `guess ${n}` });
const right = () => ({ janus: 'list_sessions', admin_secret: SECRET, transaction: 'x' });

describe('wrong admin secrets', () => {
  const time = Math.ceil(GUESSES / (CONNECTIONS * IN_FLIGHT)) * MOST_MS;
  const test = { timeout: 60_000 + 3 * time };
  it(`${GUESSES} times are all refused, and the right one is never kept waiting`, test, async (t) => {
    const gateway = await started(t, ADMIN);
    const clients = await Promise.all(Array.from({ length: CONNECTIONS },
      () => Client.open(gateway.admin.ws, { admin: true, patience: 2 * MOST_MS })));
    t.after(() => Promise.all(clients.map((client) => client.close())));
    const { rss } = memory(gateway.pid);
    let guessing = true;
    const operators = ['127.0.0.1', '127.0.0.2'].map((address) => operator(t, gateway, address, () => guessing));

    const begun = performance.now();
    const answers = [];
    let given = 0;
    await Promise.all(Array.from({ length: CONNECTIONS * IN_FLIGHT }, async (_, lane) => {
      while (given < GUESSES) {
        given += 1;
        const { json, ms } = await timed(clients[lane % CONNECTIONS].request(wrong(given)));
        answers.push({ code: json.error?.code, ms });
      }
    }));
    const took = performance.now() - begun;
    guessing = false;
    for (const { address, times } of await Promise.all(operators)) {
      const p99 = percentile(times, 0.99);
      t.diagnostic(`the right secret from ${address}: ${times.length} answers, p99 ${p99.toFixed(1)} ms`);
      assert.ok(times.length >= 50 && p99 < RIGHT_MS, `p99 from ${address}: ${p99.toFixed(1)} ms`);
    }
    assert.deepEqual([...new Set(answers.map(({ code }) => code))], [403]);
    const late = answers.filter(({ ms }) => ms > MOST_MS - 100).length;
    t.diagnostic(`${GUESSES} guesses in ${(took / 1000).toFixed(1)} s, ${late} of them answered after ${MOST_MS} ms`);
    assert.ok(late > GUESSES - 20, `${late} answers came late`);
    assert.equal((await metrics(gateway))[REFUSED], GUESSES);
    const grown = memory(gateway.pid).peak - rss;
    t.diagnostic(`memory grew by ${mb(grown)}`);
    assert.ok(grown < GROWTH_KB, `memory grew by ${mb(grown)}`);
  });

  it('are slower with each one from the same address, and not from another', { timeout: 60_000 }, async (t) => {
    const gateway = await started(t, ADMIN);
    const times = [];
    for (let n = 0; n < FREE + 4; n += 1) times.push((await timed(guess(gateway, '127.0.0.3', n))).ms);
    t.diagnostic(times.map((ms) => `${ms.toFixed(0)} ms`).join(', '));
    assert.ok(times.slice(0, FREE).every((ms) => ms < RIGHT_MS), 'the first ones are answered at once');
    for (const [n, ms] of times.slice(FREE).entries()) {
      const delay = 100 * 2 ** n;
      assert.ok(ms >= delay && ms < delay + 100, `${ms.toFixed(0)} ms instead of ${delay} ms`);
    }
    assert.ok((await timed(guess(gateway, '127.0.0.4', 0))).ms < RIGHT_MS);
  });

  const locked = { timeout: 60_000 };
  it('on all connections that may be do not keep the right one out', locked, async (t) => {
    const places = 50;
    const settings = { general: { mhd_connection_limit: places } };
    const gateway = await started(t, { ...ADMIN, 'janus.transport.http': settings });
    // They never pause: a place that is free again is taken by one of those who found none.
    const attack = attackers(gateway, '127.0.0.3', places + 10);
    t.after(() => attack.end());
    const times = [];
    for (let n = 0; n < 50; n += 1) {
      await until('all places are taken', 5_000, async () => (await metrics(gateway))[ADMINS] >= places);
      const { json, ms } = await timed(ask(gateway, '127.0.0.2'));
      assert.equal(json.janus, 'success', JSON.stringify(json));
      times.push(ms);
    }
    assert.ok(attack.refused > times.length, `${attack.refused} guesses were cut off or found no place`);
    const p90 = percentile(times, 0.9);
    t.diagnostic(`the right secret: p90 ${p90.toFixed(1)} ms`);
    t.diagnostic(`${attack.answered} guesses were answered, ${attack.refused} cut off or without a place`);
    assert.ok(p90 < RIGHT_MS, `answered after ${p90.toFixed(0)} ms`);
  });
});

/** Gives the right secret, over connections of its own, while `going()`; each tells how long its answer took. */
async function operator(t, gateway, address, going) {
  const times = [];
  while (going()) {
    const { json, ms } = await timed(ask(gateway, address));
    assert.equal(json.janus, 'success', JSON.stringify(json));
    times.push(ms);
    await sleep(20);
  }
  return { address, times };
}

/** So many guess all the time: again as soon as the last guess was answered, or cut off, or found no place. */
function attackers(gateway, address, lanes) {
  const attack = { answered: 0, refused: 0, going: true };
  const ended = Promise.all(Array.from({ length: lanes }, async () => {
    for (let n = 0; attack.going; n += 1) {
      try {
        await guess(gateway, address, n);
        attack.answered += 1;
      } catch {
        attack.refused += 1;
        await sleep(20);
      }
    }
  }));
  attack.end = () => {
    attack.going = false;
    return ended;
  };
  return attack;
}

async function send(gateway, localAddress, body) {
  const agent = new http.Agent();
  try {
    return (await post(gateway.admin.http, body, { agent, localAddress })).json;
  } finally {
    agent.destroy();
  }
}

const ask = (gateway, address) => send(gateway, address, right());
const guess = (gateway, address, n) => send(gateway, address, { ...wrong(n), transaction: 'x' });

async function timed(promise) {
  const begun = performance.now();
  const json = await promise;
  return { json, ms: performance.now() - begun };
}
