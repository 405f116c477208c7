// WebSocket clients that hold sessions, have events coming and read nothing: the gateway keeps little for them, closes
// them, and others notice nothing.
//
// What may wait, from docs/configuration.md and the limits of the transport: for each session and each WebSocket
// `max_events_per_session` (1000) events of 4 MiB together; for all of them together 128 MiB, beyond which each has 64
// KiB. On top, each connection has up to 48 KiB in hand, as messages, as text, and in its write buffer.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';

import { RawSocket } from './raw-socket.mjs';
import {
  ATTEMPTS, Client, LONG, assertAsQuick, isAsQuick, mb, memory, metrics, sleep, startProbe, started, told, until,
} from './support.mjs';

const CLIENTS = LONG ? 1000 : 200;
const ROOM_SIZE = 20;
const ROOMS = CLIENTS / ROOM_SIZE;
const FEW = 20;
const AT_ONCE = 50;
const BEFORE_MS = 2_000;
/** A write that makes no progress ends a connection after so long; a full queue ends it before. */
const WRITE_MS = 30_000;
const CLOSED_MS = LONG ? 150_000 : 60_000;
const TEST = { timeout: LONG ? 600_000 : 200_000 };
const VIDEOROOM = 'janus.plugin.videoroom';

const BUDGET_KB = 128 * 1024;
/** Beyond the budget, in hand, and what the allocator adds. */
const IN_HAND_KB = 256;
const LARGE = 16_384;
/** So much more memory shows that the kernel's buffers are full and events wait in the gateway. */
const FILLED_KB = CLIENTS * IN_HAND_KB / 2;
/** Rooms that are told something at a time, and the pause until the next ones are: the same load for any crowd. */
const GROUP = 10;
const PAUSE_MS = 15;
const SLOW = 'portunus_connections_refused_total{reason="slow_client"}';

describe('WebSocket clients that stop reading', () => {
  let large;

  it('are closed, hold nobody up, and large events that wait for them stay within 128 MiB', TEST, async (t) => {
    large = await quietly(t, { small: false });
  });

  it('are closed, hold nobody up, and small events that wait for them stay within 128 MiB', TEST, async (t) => {
    await quietly(t, { small: true });
  });

  const afterAWhile = { timeout: 120_000, skip: LONG ? false : 'OPERATE_LONG=1: takes 40 s' };
  it('are closed 30 s later when nothing more comes', afterAWhile, async (t) => {
    const gateway = await started(t);
    const driver = await drive(t, gateway, 1);
    const clients = await crowd(t, gateway, () => driver.rooms[0], FEW);
    clients.forEach((client) => client.stall());
    const { rss } = memory(gateway.pid);
    // Half a megabyte for each: an eighth of what fits.
    while (memory(gateway.pid).rss < rss + FEW * 512) await driver.rename(LARGE, 1);
    const begun = performance.now();
    assert.equal((await metrics(gateway))[SLOW], 0, 'no queue is full');
    await until('all are closed', WRITE_MS + 10_000, async () => (await metrics(gateway))[SLOW] === FEW);
    t.diagnostic(`closed after ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    assert.ok(performance.now() - begun > WRITE_MS - 5_000, 'not before');
  });

  it('leave nothing behind in the kernel when they are closed', () => {
    const { sockets, bytes } = large.left;
    assert.equal(bytes, 0, `${sockets} closed sockets with ${mb(bytes / 1024)} that nobody reads`);
  });
});

describe('everybody in a crowded room', () => {
  // Each that goes is told to all who have not gone yet: with n members that is n²/2 events.
  it('may lose the connection at once, and others are still served', TEST, async (t) => {
    const gateway = await started(t);
    const members = await crowd(t, gateway, () => 1234);
    const probe = await startProbe(t, gateway);
    await sleep(1000);
    probe.cut();
    const before = memory(gateway.pid).rss;
    members.forEach((member) => member.close());
    // Metrics are told by the control task as well: they come when it is through.
    await until('all are gone', CLOSED_MS, async () => (await metrics(gateway)).portunus_sessions === 1);
    const during = probe.cut();
    await probe.stop();
    const grown = memory(gateway.pid).peak - before;
    t.diagnostic(`${CLIENTS} members: p50, p99, max ${told(during)}; memory grew by ${mb(grown)}`);
    assert.ok(during.max < 500, `an answer took ${during.max.toFixed(0)} ms`);
    assert.ok(grown < BUDGET_KB + CLIENTS * IN_HAND_KB, `memory grew by ${mb(grown)}`);
  });
});

/** Others are served as before, at least in one of several attempts: the machine has its own pauses. */
async function quietly(t, options) {
  for (let attempt = 1; ; attempt += 1) {
    const found = await stall(t, { ...options, cap: BUDGET_KB + CLIENTS * IN_HAND_KB });
    if (attempt === ATTEMPTS) assertAsQuick(found.during, found.before, 'a healthy client');
    if (attempt === ATTEMPTS || isAsQuick(found.during, found.before)) return found;
  }
}

/** Stalls all clients, then makes events until they are closed. Gives how the gateway took it. */
async function stall(t, { small = false, cap }) {
  const gateway = await started(t);
  const driver = await drive(t, gateway);
  const clients = await crowd(t, gateway, (n) => driver.rooms[n % ROOMS]);
  clients.forEach((client) => client.stall());
  const probe = await startProbe(t, gateway);
  await sleep(BEFORE_MS);
  const before = probe.cut();
  const { rss } = memory(gateway.pid);

  let filled = false;
  for (const end = Date.now() + CLOSED_MS; ;) {
    // The kernel takes most of it first, not so fast that the machine has no time for others.
    await driver.rename(small && filled ? 0 : LARGE, filled ? 1 : PAUSE_MS);
    if (driver.count % 10 === 0) {
      filled ||= memory(gateway.pid).rss > rss + FILLED_KB;
      const closed = (await metrics(gateway))[SLOW];
      if (closed >= CLIENTS) break;
      assert.ok(Date.now() < end, `${closed} of ${CLIENTS} are closed after ${CLOSED_MS} ms`);
    }
  }
  // What their end makes of work is part of it.
  await sleep(1000);
  const during = probe.cut();
  await probe.stop();
  const grown = memory(gateway.pid).peak - rss;
  t.diagnostic(`${driver.count} events for each of ${CLIENTS}; memory grew by ${mb(grown)} of at most ${mb(cap)}`);
  t.diagnostic(`p50, p99, max of a healthy client: ${told(during)}, before ${told(before)}`);
  const { portunus_sessions: sessions } = await metrics(gateway);
  const left = unsent(new URL(gateway.ws).port);
  assert.ok(grown <= cap, `memory grew by ${mb(grown)}, at most ${mb(cap)} may wait`);
  assert.equal(sessions, ROOMS + 1, 'only the sessions of those who read are left');
  await gateway.stop();
  return { grown, left, before, during };
}

/** What the kernel still holds for sockets of that port that are closed on our side (`FIN_WAIT1`). */
function unsent(port) {
  const local = `:${Number(port).toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1).map((row) => row.trim().split(/\s+/));
  const closed = rows.filter(([, address, , state]) => address?.endsWith(local) && state === '04');
  return { sockets: closed.length, bytes: closed.reduce((sum, row) => sum + parseInt(row[4].split(':')[0], 16), 0) };
}

/**
 * A room for each twenty clients, with somebody in it who reads; `rename` tells everybody a new name of so many bytes.
 * Each has a connection of its own, since no more than 1 MiB a second is read from one.
 */
async function drive(t, gateway, count = ROOMS) {
  const rooms = Array.from({ length: count }, (_, n) => 5000 + n);
  const drivers = await Promise.all(rooms.map(async (room) => {
    const client = await Client.open(gateway.ws);
    t.after(() => client.close());
    await client.session(VIDEOROOM);
    await client.message({ request: 'create', room });
    await client.message({ request: 'join', ptype: 'publisher', room, display: 'driver' }, { event: true });
    return client;
  }));
  const driver = { rooms, count: 0 };
  driver.rename = async (bytes, pause) => {
    driver.count += 1;
    const body = { request: 'configure', display: `${driver.count} ${'x'.repeat(bytes)}` };
    for (let n = 0; n < drivers.length; n += GROUP) {
      await Promise.all(drivers.slice(n, n + GROUP).map((client) => client.message(body, { event: true })));
      await sleep(pause);
    }
  };
  return driver;
}

/** All clients, in their rooms. */
async function crowd(t, gateway, roomOf, count = CLIENTS) {
  const clients = [];
  t.after(() => Promise.all(clients.map((client) => client.close())));
  while (clients.length < count) {
    const first = clients.length;
    clients.push(...await Promise.all(Array.from({ length: Math.min(AT_ONCE, count) }, async (_, n) => {
      const raw = await RawSocket.open(gateway.ws);
      const { data: { id: session_id } } = await raw.request({ janus: 'create' });
      const { data: { id: handle_id } } = await raw.request({ janus: 'attach', plugin: VIDEOROOM, session_id });
      const body = { request: 'join', ptype: 'publisher', room: roomOf(first + n), display: `${first + n}` };
      await raw.request({ janus: 'message', session_id, handle_id, body });
      return raw;
    })));
  }
  return clients;
}
