// The load generator against a gateway of this repository: every scenario, what it says when something is wrong, and whether
// its figures are true.
//
// LOADTEST_BIN names the binary (default: target/release/portunus-loadtest, else target/debug/portunus-loadtest).

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';

import { ROOT } from '../browser/harness/gateway.mjs';
import { freeTcpPort } from '../browser/harness/ports.mjs';
import { Program } from '../browser/harness/program.mjs';
import { Client, metrics, sleep, started, until } from './support.mjs';

/** Nothing here takes longer. */
const END_WITHIN_MS = 60_000;
const SHORT_IDLE = ['--warm-up', '500ms', '--duration', '3s'];
const SHORT = [...SHORT_IDLE, '--threads', '1'];

function binary() {
  const named = process.env.LOADTEST_BIN;
  const places = named ? [named]
    : ['release', 'debug'].map((kind) => path.join(ROOT, 'target', kind, 'portunus-loadtest'));
  const found = places.find((place) => existsSync(place));
  if (!found) throw new Error(`no load generator at ${places.join(' or ')}: run "cargo build --release -p portunus-loadtest"`);
  return path.resolve(found);
}

/** Starts the tool; `ended()` waits and gives its exit code and report. */
async function loadtest(t, ...args) {
  const options = typeof args[0] === 'object' ? args.shift() : {};
  const folder = await mkdtemp(path.join(os.tmpdir(), 'loadtest-'));
  const json = path.join(folder, 'report.json');
  const html = path.join(folder, 'report.html');
  const child = spawn(binary(), [...args, '--json', json, '--html', html], { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  const program = new Program(child);
  t.after(async () => {
    await program.stop('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  program.ended = async () => {
    const late = setTimeout(() => child.kill('SIGKILL'), END_WITHIN_MS);
    const code = await program.exit;
    clearTimeout(late);
    const report = await readFile(json, 'utf8').then((text) => (text ? JSON.parse(text) : null), () => null);
    const page = await readFile(html, 'utf8').catch(() => '');
    return { code, report, page, log: program.log };
  };
  return program;
}

/** Runs it to its end. */
async function run(t, ...args) {
  return (await loadtest(t, ...args)).ended();
}

function assertEnded(result, code, why = '') {
  assert.equal(result.code, code, `${why}${result.log}`);
}

/** Sessions that the gateway has. */
async function sessions(gateway) {
  return (await metrics(gateway)).portunus_sessions;
}

/** The clients of a tool are gone, and so are their sessions. */
async function assertNothingLeft(gateway) {
  await until('all sessions are gone', 5000, async () => (await sessions(gateway)) === 0);
}

// Most of the time they wait, and each has a gateway of its own.
describe('the load generator', { concurrency: 3 }, () => {
  it('subscribers of a room get all that a publisher sends, and the figures say so', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'videoroom', '--server', gateway.ws, '--subscribers', '4',
      '--pid', String(gateway.pid), ...SHORT);
    assertEnded(result, 0);
    const { setup, measured: [measured], series, ok } = result.report;
    assert.equal(ok, true);
    assert.deepEqual([setup.attempted, setup.succeeded], [5, 5]);
    assert.equal(setup.first_media_ms.count, 4);
    assert.ok(setup.up_ms.p50 > 0 && setup.first_media_ms.p50 >= setup.up_ms.p50);
    const { packets } = measured;
    assert.equal(packets.streams, 8);
    assert.equal(packets.lost, 0);
    // 50 packets of audio a second and 30 frames of five: times four, times the time.
    const whole = 4 * 200 * measured.seconds;
    assert.ok(Math.abs(packets.expected - whole) < 0.1 * whole, `${packets.expected} of about ${whole}`);
    assert.ok(measured.latency_ms.p50 > 0 && measured.latency_ms.max >= measured.latency_ms.p99);
    assert.ok(measured.server.cpu_us_per_packet > 0 && measured.server.rss_kib > 1000);
    assert.ok(series.length >= 3 && series.some((second) => second.received > 0));
    assert.match(result.page, /<svg[^]*<polyline/);
    assert.doesNotMatch(result.page, /<script|https?:\/\//);
    await assertNothingLeft(gateway);
  });

  it('what came is what the gateway says it sent, and the other way round', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'videoroom', '--server', gateway.ws, '--publishers', '2', '--subscribers', '3', ...SHORT);
    assertEnded(result, 0);
    const { totals } = result.report;
    for (const [ours, theirs] of [['rtp_received', 'portunus_rtp_sent_total'], ['rtp_sent', 'portunus_rtp_received_total']]) {
      // What is under way when somebody leaves is all that may be missing.
      await until(`${theirs} is ${totals[ours]} or so`, 5000, async () => {
        const all = Object.entries(await metrics(gateway)).filter(([name]) => name.startsWith(theirs));
        const sum = all.reduce((before, [, n]) => before + n, 0);
        return sum >= 0.99 * totals[ours] && sum <= 1.01 * totals[ours] + 30;
      });
    }
    assert.ok(totals.rtp_received > 2000);
  });

  it('all ways of spacing, one connection for each feed, simulcast, and audio or video alone', async (t) => {
    const gateway = await started(t);
    const common = ['--server', gateway.ws, '--warm-up', '200ms', '--duration', '1500ms'];
    const ways = {
      paced: ['--spacing', 'paced', '--no-audio'],
      burst: ['--spacing', 'burst'],
      feeds: ['--publishers', '2', '--per-feed'],
      simulcast: ['--simulcast'],
      audio: ['--no-video'],
      nobody: ['--subscribers', '0'],
      rooms: ['--rooms', '2', '--subscribers', '2'],
    };
    const streams = { paced: 1, burst: 2, feeds: 4, simulcast: 2, audio: 1, nobody: 0, rooms: 8 };
    for (const [name, args] of Object.entries(ways)) {
      const result = await run(t, 'videoroom', ...common, ...args);
      assertEnded(result, 0, `${name}: `);
      const [{ packets }] = result.report.measured;
      assert.deepEqual([packets.streams, packets.lost], [streams[name], 0], name);
    }
    await assertNothingLeft(gateway);
  });

  it('in a meeting everybody gets everybody else', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'videoroom', '--server', gateway.ws, '--meeting', '--publishers', '4', ...SHORT);
    assertEnded(result, 0);
    assert.equal(result.report.measured[0].packets.streams, 4 * 3 * 2);
    assert.equal(result.report.measured[0].packets.lost, 0);
  });

  it('the echo test gives back all that it gets', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'echotest', '--server', gateway.ws, '--clients', '3', ...SHORT);
    assertEnded(result, 0);
    const { packets } = result.report.measured[0];
    assert.deepEqual([packets.streams, packets.lost], [6, 0]);
    await assertNothingLeft(gateway);
  });

  it('of a call each gets what the other sends', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'videocall', '--server', gateway.ws, '--calls', '3', ...SHORT);
    assertEnded(result, 0);
    const { measured: [{ packets }], setup } = result.report;
    assert.deepEqual([setup.attempted, setup.succeeded], [6, 6]);
    assert.deepEqual([packets.streams, packets.video.streams, packets.lost, packets.silent_streams], [12, 6, 0, 0]);
    const simulcast = await run(t, 'videocall', '--server', gateway.ws, '--simulcast', '--no-audio', ...SHORT);
    assertEnded(simulcast, 0);
    assert.equal(simulcast.report.measured[0].packets.lost, 0);
    await assertNothingLeft(gateway);
  });

  it('loss that is asked for is the loss that is counted', async (t) => {
    const gateway = await started(t);
    const percent = 10;
    const result = await run(t, 'echotest', '--server', gateway.ws, '--clients', '20', '--no-video', '--no-nack', '--loss',
      String(percent), '--warm-up', '500ms', '--duration', '10s');
    assertEnded(result, 0);
    const { packets } = result.report.measured[0];
    // Each packet is in danger twice: on its way there, and on its way back.
    const expected = 100 * (1 - (1 - percent / 100) ** 2);
    // 10,000 packets, each for itself: five standard deviations.
    assert.ok(packets.expected > 9500, `${packets.expected}`);
    assert.ok(Math.abs(packets.loss_percent - expected) < 2, `${packets.loss_percent} % instead of ${expected} %`);
    assert.equal(packets.expected - packets.received, packets.lost);
    assert.equal(packets.recovered, 0);
  });

  it('lost packets of video are asked for and come again', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'videoroom', '--server', gateway.ws, '--subscribers', '4', '--no-audio', '--loss', '5',
      '--warm-up', '1s', '--duration', '5s');
    assertEnded(result, 0);
    const [{ packets, counters }] = result.report.measured;
    assert.ok(packets.recovered > 0.02 * packets.received, `${packets.recovered} of ${packets.received}`);
    assert.ok(packets.loss_percent < 1, `${packets.loss_percent} % lost`);
    assert.ok(counters.nacked > 0 && counters.nacks_received > 0 && counters.rtx_sent > 0);
  });

  it('more loss than allowed is a failure', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'videoroom', '--server', gateway.ws, '--no-video', '--loss', '20', '--max-loss', '5', ...SHORT);
    assertEnded(result, 1);
    assert.match(result.report.wrong.join(), /% of packets were lost, more than 5 %/);
    const slow = await run(t, 'videoroom', '--server', gateway.ws, '--no-video', '--max-p99-ms', '0.000001', ...SHORT);
    assertEnded(slow, 1);
    assert.match(slow.report.wrong.join(), /99th percentile/);
  });

  it('over HTTP it works as well', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'videoroom', '--transport', 'http', '--server', gateway.http, '--subscribers', '2', ...SHORT);
    assertEnded(result, 0);
    assert.equal(result.report.measured[0].packets.lost, 0);
    await assertNothingLeft(gateway);
  });

  it('over TLS it trusts whom the system trusts, or anybody if told so', async (t) => {
    const folder = await mkdtemp(path.join(os.tmpdir(), 'loadtest-tls-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const [key, pem] = ['key.pem', 'certificate.pem'].map((name) => path.join(folder, name));
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
      '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE',
      '-keyout', key, '-out', pem], { stdio: 'pipe' });
    const ports = { https: await freeTcpPort(), wss: await freeTcpPort() };
    const certificates = { cert_pem: pem, cert_key: key };
    await started(t, {
      'janus.transport.http': { general: { https: true, secure_port: ports.https, secure_ip: '127.0.0.1' }, certificates },
      'janus.transport.websockets': { general: { wss: true, wss_port: ports.wss, wss_ip: '127.0.0.1' }, certificates },
    });
    for (const server of [`wss://127.0.0.1:${ports.wss}/`, `https://127.0.0.1:${ports.https}/janus`]) {
      const args = ['signalling', '--server', server, '--sessions', '3'];
      const stranger = await run(t, ...args);
      assertEnded(stranger, 1, server);
      assert.match(stranger.log, /certificate/i);
      assertEnded(await run(t, ...args, '--insecure'), 0, server);
      assertEnded(await run(t, { env: { ...process.env, SSL_CERT_FILE: pem } }, ...args), 0, server);
    }
  });

  it('signalling alone is counted and timed', async (t) => {
    const gateway = await started(t);
    for (const server of [gateway.ws, gateway.http]) {
      const result = await run(t, 'signalling', '--server', server, '--sessions', '50', '--requests', '3',
        '--pid', String(gateway.pid));
      assertEnded(result, 0);
      const { signalling, setup } = result.report;
      assert.equal(setup.succeeded, 50);
      assert.equal(signalling.requests, 50 * (3 + 4));
      assert.equal(signalling.by_verb.message.count, 150);
      assert.ok(signalling.requests_per_second > 0 && signalling.latency_ms.p99 >= signalling.latency_ms.p50);
      assert.ok(signalling.server_cpu_us_per_session > 0);
    }
    await assertNothingLeft(gateway);
  });

  it('sessions over HTTP have connections of their own, or share them', async (t) => {
    const gateway = await started(t);
    const accepted = async () => Object.entries(await metrics(gateway))
      .reduce((sum, [name, value]) => sum + (name.startsWith('portunus_connections_accepted_total') ? value : 0), 0);
    const connections = [];
    for (const more of [[], ['--shared-connections']]) {
      const before = await accepted();
      assertEnded(await run(t, 'signalling', '--server', gateway.http, '--sessions', '40', '--joins', '4', ...more), 0);
      connections.push(await accepted() - before);
    }
    assert.ok(connections[0] >= 80 && connections[1] <= 30, `${connections} connections`);
    await assertNothingLeft(gateway);
  });

  it('idle sessions are kept, and their memory is told', async (t) => {
    const gateway = await started(t);
    const tool = await loadtest(t, 'idle', '--server', gateway.ws, '--sessions', '200', '--pid', String(gateway.pid), ...SHORT_IDLE);
    await until('they are there', 10_000, async () => (await sessions(gateway)) === 200);
    const result = await tool.ended();
    assertEnded(result, 0);
    assert.deepEqual([result.report.idle.sessions, result.report.idle.alive_at_the_end], [200, 200]);
    assert.ok(result.report.idle.rss_kib_per_session >= 0);
    await assertNothingLeft(gateway);
  });

  it('idle sessions of a server that hangs are left soon, and what was not measured is not fine', async (t) => {
    const gateway = await started(t);
    const tool = await loadtest(t, 'idle', '--server', gateway.ws, '--sessions', '100', '--warm-up', '1m');
    await until('they are there', 10_000, async () => (await sessions(gateway)) === 100);
    process.kill(gateway.pid, 'SIGSTOP');
    try {
      const began = Date.now();
      tool.signal('SIGINT');
      const result = await tool.ended();
      assertEnded(result, 1);
      assert.match(result.report.wrong.join(), /nothing was measured/);
      assert.ok(Date.now() - began < 10_000, `${Date.now() - began} ms`);
    } finally {
      process.kill(gateway.pid, 'SIGCONT');
    }
    await assertNothingLeft(gateway);
  });

  it('those who come and go leave nothing behind', async (t) => {
    const gateway = await started(t);
    const result = await run(t, 'churn', '--server', gateway.ws, '--rate', '8', '--stay', '300ms',
      '--warm-up', '3s', '--duration', '5s', '--max-growth', '20', '--pid', String(gateway.pid));
    assertEnded(result, 0);
    const { churn } = result.report;
    assert.ok(churn.joins > 30, `${churn.joins} joins`);
    assert.equal(churn.server_after.descriptors, churn.server_before.descriptors);
    assert.ok(churn.server_after.threads <= churn.server_before.threads);
    await assertNothingLeft(gateway);
  });

  it('a ramp finds where limits are broken, and what is left beyond', async (t) => {
    const gateway = await started(t);
    const ramp = ['videoroom', '--server', gateway.ws, '--no-video', '--ramp', '2:2:4', '--hold', '1s', '--overshoot', '150'];
    const result = await run(t, ...ramp);
    assertEnded(result, 0);
    assert.equal(result.report.knee.subscribers, 4);
    assert.equal(result.report.knee.why_not_more, null);
    assert.equal(result.report.knee.overshoot.subscribers, 6);
    assert.ok(result.report.knee.overshoot.goodput_ratio > 1.3);
    assert.deepEqual(result.report.measured.map((m) => m.packets.streams), [2, 4, 6]);
    const none = await run(t, ...ramp, '--knee-p99-ms', '0.000001');
    assertEnded(none, 1);
    assert.match(none.report.wrong.join(), /not even 2 subscribers were served/);
  });

  it('a ramp ends where no more get in, and leaves again what is beyond before it measures a last time', async (t) => {
    // Room for whoever makes the rooms, a publisher and four subscribers.
    const gateway = await started(t, { janus: { portunus: { max_sessions: 6 } } });
    const result = await run(t, 'videoroom', '--server', gateway.ws, '--no-video', '--ramp', '1:9:10', '--hold', '1s',
      '--overshoot', '200', '--joins', '1');
    assertEnded(result, 1);
    const { knee, measured, setup } = result.report;
    assert.deepEqual([knee.subscribers, knee.why_not_more], [1, '4 of 10 joined']);
    assert.deepEqual(measured.map((m) => m.packets.streams), [1, 4, 2]);
    assert.ok(Math.abs(knee.overshoot.goodput_ratio - 2) < 0.2, `${knee.overshoot.goodput_ratio}`);
    assert.equal(setup.attempted - setup.succeeded, 6);
  });

  it('a wrong secret is told, and so is a server that is not there', async (t) => {
    const gateway = await started(t, { janus: { general: { api_secret: 'open-sesame' } } });
    const wrong = await run(t, 'videoroom', '--server', gateway.ws, '--api-secret', 'open-barley', ...SHORT);
    assertEnded(wrong, 1);
    assert.match(wrong.report.wrong.join(), /403/);
    assert.doesNotMatch(wrong.page + wrong.log + JSON.stringify(wrong.report), /barley/);
    const right = await run(t, 'videoroom', '--server', gateway.ws, '--api-secret=open-sesame', '--no-video', ...SHORT);
    assertEnded(right, 0);
    assert.doesNotMatch(right.page + JSON.stringify(right.report), /sesame/);
    const nobody = await run(t, 'echotest', '--server', 'ws://127.0.0.1:9', ...SHORT);
    assertEnded(nobody, 1);
    assert.match(nobody.report.wrong.join(), /refused/);
  });

  it('a room that is full is told', async (t) => {
    const gateway = await started(t, { 'janus.plugin.videoroom': { 'room-5': { description: 'small', publishers: 2 } } });
    const result = await run(t, 'videoroom', '--server', gateway.ws, '--room', '5', '--publishers', '4', '--no-video', ...SHORT);
    assertEnded(result, 1);
    const { setup } = result.report;
    assert.deepEqual([setup.attempted, setup.succeeded], [5, 3]);
    assert.deepEqual(Object.entries(setup.failures).map(([name, { count }]) => [name, count]), [['plugin error 432', 2]]);
    await assertNothingLeft(gateway);
    const client = await Client.open(gateway.ws);
    t.after(() => client.close());
    await client.session('janus.plugin.videoroom');
    const room = await client.message({ request: 'exists', room: 5 });
    assert.equal(room.plugindata.data.exists, true, 'a room that it did not make stays');
  });

  it('a server that is killed shows as loss and as calls that were cut off, and ends nothing early', async (t) => {
    const gateway = await started(t);
    const tool = await loadtest(t, 'videoroom', '--server', gateway.ws, '--subscribers', '2', '--pid', String(gateway.pid),
      '--warm-up', '500ms', '--duration', '5s');
    await until('media flow', 10_000, async () => (await sessions(gateway)) === 4);
    await sleep(2500);
    gateway.signal('SIGKILL');
    const result = await tool.ended();
    assertEnded(result, 1);
    const [{ packets, frozen }] = result.report.measured;
    assert.ok(packets.received > 0 && packets.loss_percent > 10, JSON.stringify(packets));
    assert.ok(frozen.seconds > 0.5, JSON.stringify(frozen));
    assert.match(result.report.wrong.join(), /were cut off/);
  });

  it('an interrupt ends it in order, with the results so far', async (t) => {
    const gateway = await started(t);
    for (const server of [gateway.ws, gateway.http]) {
      const tool = await loadtest(t, 'videoroom', '--server', server, '--subscribers', '2', '--warm-up', '500ms',
        '--duration', '60s');
      await until('all are there', 10_000, async () => (await sessions(gateway)) === 4);
      await sleep(2500);
      tool.signal('SIGINT');
      const result = await tool.ended();
      assertEnded(result, 0);
      assert.equal(result.report.interrupted, true);
      assert.ok(result.report.measured[0].packets.received > 0);
      assert.ok(result.report.measured[0].seconds < 20);
      await assertNothingLeft(gateway);
    }
  });

  it('an interrupt while clients join leaves none of their sessions', async (t) => {
    const gateway = await started(t);
    for (const server of [gateway.ws, gateway.http]) {
      const tool = await loadtest(t, 'videoroom', '--server', server, '--subscribers', '500', '--joins', '4',
        '--duration', '60s');
      await until('some are there', 10_000, async () => (await sessions(gateway)) > 8);
      tool.signal('SIGTERM');
      const result = await tool.ended();
      assertEnded(result, 1);
      assert.match(result.report.wrong.join(), /nothing was measured/);
      assert.ok(result.report.setup.succeeded < 400);
      assert.deepEqual(result.report.setup.failures, {}, 'who was interrupted did not fail');
      await assertNothingLeft(gateway);
    }
  });

  it('wrong arguments end it with 2 and a reason', async (t) => {
    for (const args of [[], ['party'], ['videoroom', '--fps', '0'], ['idle', '--server', 'nowhere']]) {
      const child = new Program(spawn(binary(), args, { stdio: ['ignore', 'pipe', 'pipe'] }));
      t.after(() => child.stop('SIGKILL'));
      assert.equal(await child.exit, 2, child.log);
      assert.notEqual(child.log, '');
    }
  });
});
