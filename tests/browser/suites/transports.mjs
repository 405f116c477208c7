// Ways for bytes to reach the gateway: ports and how workers share them, TCP, IPv6, certificates and DTLS roles, the
// addresses an answer names, secured listeners. Where media can flow at all, the proof is decoded video.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import dgram from 'node:dgram';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';

import { newTab } from '../harness/chromium.mjs';
import { startGateway } from '../harness/gateway.mjs';
import { freeTcpPort } from '../harness/ports.mjs';
import { CAMERA, MICROPHONE, TEST_MS, notOnOracle, sleep, withGateway } from '../harness/suite.mjs';

const TRACKS = [MICROPHONE, CAMERA];
const SMALL_CAMERA = { type: 'video', capture: { width: 320, height: 240 }, recv: true };
const OURS = notOnOracle('media over loopback, and settings of our own');
const LOOPBACK = { janus: { nat: { allow_loopback: true, ice_enforce_list: '127.0.0.1' } } };
const addresses = Object.values(os.networkInterfaces()).flat();
/** An address that a 1:1 mapping and the lists can be about, and IPv6 on loopback; not every container has them. */
const outer = addresses.find((a) => !a.internal && a.family === 'IPv4')?.address;
const needsOuter = outer ? {} : { skip: 'no address besides loopback' };
const needsIpv6 = addresses.some((a) => a.address === '::1') ? {} : { skip: 'no IPv6 on loopback' };

for (const lite of [false, true]) {
  describe(`ICE over TCP, ${lite ? 'lite' : 'full'}`, OURS, () => {
    const suite = withGateway({ janus: { nat: { ice_tcp: true, ice_lite: lite } } });

    it('carries a call whose browser knows nothing but the TCP candidates', { timeout: TEST_MS }, async () => {
      const tab = await narrowTab(suite, '^candidate:\\S+ 1 tcp ', { hideCandidates: true });
      const { answer } = await tab.offer({ tracks: TRACKS });
      const tcp = candidates(answer).filter((c) => c.protocol === 'tcp');
      assert.ok(tcp.length > 0 && tcp.every((c) => c.tcptype === 'passive'), answer);
      const { pair } = await flowing(tab);
      assert.equal(pair.remote.protocol, 'tcp');
      assert.equal(pair.local.tcpType, 'active');
      assert.ok(tcp.some((c) => c.port === pair.remote.port), `port ${pair.remote.port}`);
    });

    it('goes on over an ICE restart, on a new connection', { timeout: TEST_MS }, async () => {
      const tab = await narrowTab(suite, '^candidate:\\S+ 1 tcp ', { hideCandidates: true });
      await tab.offer({ tracks: TRACKS });
      const { pair } = await flowing(tab);
      await tab.offer({ tracks: [], iceRestart: true, body: { audio: true, video: true } });
      await tab.until('the new pair carries media', 15_000, async (old) => {
        const now = await window.call.stats();
        return now.pair && now.pair.id !== old && now.pair.bytesReceived > 10_000;
      }, pair.id);
      const after = await tab.flows();
      assert.equal(after.pair.remote.protocol, 'tcp');
      assert.equal((await tab.events('webrtc')).filter((e) => !e.up).length, 0, 'the call was never down');
    });

    it('stands back where UDP works', { timeout: TEST_MS }, async () => {
      const { pair } = await flowing(await suite.call({ tracks: TRACKS }));
      assert.equal(pair.remote.protocol, 'udp');
    });
  });
}

describe('a single port for two workers', OURS, () => {
  const settings = { janus: { portunus: { single_port: true, workers: 2 } } };
  let port;
  before(async () => { settings.janus.portunus.udp_port = port = await freeUdpPorts(1); });
  const suite = withGateway(settings);

  it('carries calls of both', { timeout: TEST_MS }, async () => {
    const workers = [];
    const tabs = [];
    for (let i = 0; i < 4; i += 1) {
      const tab = await suite.call({ tracks: [SMALL_CAMERA] });
      const found = candidates(tab.jsep.answer);
      assert.ok(found.length > 0 && found.every((c) => c.port === port), tab.jsep.answer);
      workers.push(/^a=ice-ufrag:(..)/m.exec(tab.jsep.answer)[1]);
      tabs.push(tab);
    }
    await Promise.all(tabs.map(async (tab) => {
      const { pair } = await flowing(tab, { audio: false });
      assert.equal(pair.remote.port, port);
    }));
    assert.deepEqual(unique(workers).sort(), ['00', '01'], 'the worker is the head of the name fragment');
  });
});

describe('a port for each call', OURS, () => {
  const WIDTH = 4;
  const settings = {};
  let first;
  before(async () => {
    first = await freeUdpPorts(WIDTH);
    Object.assign(settings, withRange({ allow_loopback: true }, first, WIDTH));
  });
  const suite = withGateway(settings);
  const portOf = (sdp) => {
    const ports = new Set(candidates(sdp).map((c) => c.port));
    assert.equal(ports.size, 1, sdp);
    const [port] = ports;
    assert.ok(port >= first && port < first + WIDTH, `${port} is in the range from ${first}`);
    return port;
  };

  it('is taken from the range and carries the call', { timeout: TEST_MS }, async () => {
    const tabs = await Promise.all([1, 2].map(() => suite.call({ tracks: TRACKS })));
    const ports = tabs.map((tab) => portOf(tab.jsep.answer));
    assert.notEqual(ports[0], ports[1]);
    for (const [i, tab] of tabs.entries()) assert.equal((await flowing(tab)).pair.remote.port, ports[i]);
  });

  it('is free again after each call', { timeout: TEST_MS }, async () => {
    const client = await Client.open(suite.gateway);
    for (let round = 0; round < 3 * WIDTH; round += 1) {
      portOf((await client.call()).sdp);
      await client.hangup();
    }
  });

  it('is found even when it is the last one, and a call beyond it is told so', { timeout: TEST_MS }, async () => {
    const clients = await Promise.all(Array.from({ length: WIDTH }, () => Client.open(suite.gateway)));
    const ports = [];
    for (const client of clients) ports.push(portOf((await client.call()).sdp));
    assert.deepEqual(ports.sort(), Array.from({ length: WIDTH }, (_, i) => first + i));
    const late = await Client.open(suite.gateway);
    const refused = await late.call();
    assert.equal(refused.sdp, undefined);
    assert.ok(refused.hangup ?? refused.error, 'a reason');
    await clients[0].hangup();
    assert.equal(portOf((await late.call()).sdp), portOf(clients[0].sdp));
    await Promise.all([...clients.slice(1), late].map((client) => client.hangup()));
  });
});

describe('IPv6', { ...OURS, ...needsIpv6 }, () => {
  const suite = withGateway({ janus: { media: { ipv6: true } } });

  it('carries a call over ::1', { timeout: TEST_MS }, async () => {
    const tab = await narrowTab(suite, ' ::1 \\d+ typ host', { hideCandidates: true });
    await tab.offer({ tracks: TRACKS });
    const { pair } = await flowing(tab);
    assert.match(pair.remote.address, /^\[?::1\]?$/);
  });

  it('is used with link-local addresses, too, where asked for', { timeout: TEST_MS }, async (t) => {
    const media = { ipv6: true, ipv6_linklocal: true };
    const { sdp } = await answered(t, { janus: { media, nat: { allow_loopback: true } } });
    const found = unique(candidates(sdp).map((c) => c.address));
    assert.ok(found.includes('::1'));
    for (const { address } of addresses.filter((a) => a.scopeid > 0)) assert.ok(found.includes(address), `${address} in ${found}`);
  });

  it('alone is named as such', { timeout: TEST_MS }, async (t) => {
    const { sdp } = await answered(t, { janus: { media: { ipv6: true }, nat: { allow_loopback: true, ice_enforce_list: '::1' } } });
    assert.match(sdp, /^o=.* IN IP6 ::1\r?$/m);
    assert.match(sdp, /^c=IN IP6 ::1\r?$/m);
    assert.deepEqual(unique(candidates(sdp).map((c) => c.address)), ['::1']);
  });
});

const KINDS = {
  'RSA-2048': ['rsa:2048'],
  'ECDSA P-384': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
  'ECDSA P-256': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
};
for (const [kind, newKey] of Object.entries(KINDS)) {
  for (const role of ['active', 'passive']) {
    describe(`a certificate of ${kind}, answers ${role}`, OURS, () => {
      const settings = { janus: { ...LOOPBACK.janus, certificates: {}, portunus: { dtls_answer_role: role } } };
      const files = certificateFiles(newKey, (made) => { settings.janus.certificates = made; });
      const suite = withGateway(settings);

      it('secures a call', { timeout: TEST_MS }, async (t) => {
        const tab = await suite.call({ tracks: TRACKS });
        assert.match(tab.jsep.answer, new RegExp(`^a=setup:${role}\r?$`, 'm'));
        assert.ok(tab.jsep.answer.includes(`a=fingerprint:sha-256 ${files.fingerprint()}`), 'the file\'s fingerprint');
        const { transport } = await flowing(tab);
        t.diagnostic(`${transport.tlsVersion} ${transport.dtlsCipher} ${transport.srtpCipher} as ${transport.dtlsRole}`);
        assert.equal(transport.dtlsRole, role === 'passive' ? 'client' : 'server');
        if (role === 'passive') assert.match(transport.srtpCipher, /^(SRTP_)?AEAD_AES_128_GCM$/, 'ours to choose');
      });
    });
  }
}

describe('a 1:1 mapping', { ...OURS, ...needsOuter }, () => {
  for (const keep of [false, true]) {
    it(keep ? 'stands beside the private address' : 'replaces the address in the answer', { timeout: TEST_MS }, async (t) => {
      const nat = { allow_loopback: false, nat_1_1_mapping: '203.0.113.7', keep_private_host: keep, ice_enforce_list: outer };
      const { sdp } = await answered(t, { janus: { nat } });
      assert.match(sdp, /^o=.* IN IP4 203\.0\.113\.7\r?$/m);
      assert.deepEqual([...sdp.matchAll(/^c=IN IP4 (\S+)/mg)].map((m) => m[1]), ['203.0.113.7']);
      const hosts = unique(candidates(sdp).filter((c) => c.type === 'host').map((c) => c.address));
      assert.deepEqual(hosts, keep ? ['203.0.113.7', outer] : ['203.0.113.7']);
    });
  }
});

describe('the lists of addresses', { ...OURS, ...needsOuter }, () => {
  const PREFIX = outer?.replace(/\.\d+$/, '.');
  // A machine with docker has bridges, too.
  const here = Object.values(os.networkInterfaces()).flat().filter(({ family }) => family === 'IPv4').map(({ address }) => address);
  const others = [...new Set(here)].filter((address) => !address.startsWith(PREFIX));
  const CASES = [
    ['without one, all are named', {}, [outer, '127.0.0.1']],
    ['ignore_list takes some away', { ice_ignore_list: PREFIX }, others],
    ['ignore_list takes several', { ice_ignore_list: `vmnet,${PREFIX}` }, others],
    ['enforce_list leaves nothing else', { ice_enforce_list: PREFIX }, [outer]],
    ['enforce_list knows interfaces by name', { ice_enforce_list: 'lo' }, ['127.0.0.1']],
  ];
  for (const [name, nat, expected] of CASES) {
    it(name, { timeout: TEST_MS }, async (t) => {
      const { sdp } = await answered(t, { janus: { nat: { allow_loopback: true, ...nat } } });
      const found = unique(candidates(sdp).map((c) => c.address));
      assert.deepEqual(found.filter((a) => expected.includes(a)).toSorted(), expected.toSorted());
      if (Object.keys(nat).length > 0) assert.deepEqual(found.toSorted(), expected.toSorted());
    });
  }
});

describe('a STUN server', OURS, () => {
  const PUBLIC = { address: '198.51.100.77', port: 45678 };

  const silent = async (t, address = '127.0.0.1') => {
    const socket = await bound(address);
    t.after(() => socket.close());
    return { stun_server: address, stun_port: socket.address().port };
  };

  for (const range of [false, true]) {
    it(`gives server-reflexive candidates${range ? ' to calls with a port of their own' : ''}`, { timeout: TEST_MS }, async (t) => {
      const server = await stunServer(PUBLIC);
      t.after(() => server.close());
      const nat = { ...LOOPBACK.janus.nat, stun_server: '127.0.0.1', stun_port: server.address().port };
      const gateway = await started(t, range ? withRange(nat, await freeUdpPorts(4), 4) : { janus: { nat } });
      await sleep(1000);
      const { sdp, ms } = await Client.open(gateway).then((client) => client.call());
      t.diagnostic(`answered in ${ms} ms`);
      const [host] = candidates(sdp);
      const reflexive = candidates(sdp).filter((c) => c.type === 'srflx');
      assert.deepEqual(reflexive.map(({ address, port, raddr, rport }) => ({ address, port, raddr, rport })),
        [{ ...PUBLIC, raddr: host.address, rport: host.port }]);
      assert.ok(ms < 500, `answered in ${ms} ms`);
    });
  }

  it('gives them to every worker behind a single port', { timeout: TEST_MS }, async (t) => {
    const server = await stunServer(PUBLIC);
    t.after(() => server.close());
    const nat = { ...LOOPBACK.janus.nat, stun_server: '127.0.0.1', stun_port: server.address().port };
    const portunus = { single_port: true, workers: 4, udp_port: await freeUdpPorts(1) };
    const gateway = await started(t, { janus: { nat, portunus } });
    await sleep(1000);
    for (let worker = 0; worker < 4; worker += 1) {
      const { sdp } = await Client.open(gateway).then((client) => client.call());
      assert.ok(candidates(sdp).some((c) => c.address === PUBLIC.address), `call ${worker}: ${sdp}`);
    }
  });

  it('is asked again when its answer is late, while a call with a port of its own waits', { timeout: TEST_MS }, async (t) => {
    const server = await stunServer(PUBLIC, { loseFirst: true });
    t.after(() => server.close());
    const nat = { ...LOOPBACK.janus.nat, stun_server: '127.0.0.1', stun_port: server.address().port };
    const gateway = await started(t, withRange(nat, await freeUdpPorts(4), 4));
    const { sdp, ms } = await Client.open(gateway).then((client) => client.call());
    t.diagnostic(`answered in ${ms} ms`);
    assert.equal(candidates(sdp).find((c) => c.type === 'srflx')?.address, PUBLIC.address);
  });

  const IDLE = {
    'a 1:1 mapping stands for the address': async (t) => ({ nat_1_1_mapping: '203.0.113.7', ...(await silent(t, outer)) }),
    'no socket can reach it': silent,
  };
  for (const [why, make] of Object.entries(IDLE)) {
    it(`is not waited for where ${why}`, { timeout: TEST_MS, ...needsOuter }, async (t) => {
      const nat = { ice_enforce_list: outer, ...(await make(t)) };
      const gateway = await started(t, withRange(nat, await freeUdpPorts(4), 4));
      const { sdp, ms } = await Client.open(gateway).then((client) => client.call());
      assert.equal(candidates(sdp).length, 1);
      assert.ok(ms < 400, `answered in ${ms} ms`);
    });
  }

  const CASES = [['never answers', silent], ['has no such name', async () => ({ stun_server: 'stun.invalid' })]];
  for (const [name, make] of CASES) {
    it(`that ${name} delays neither the start nor an answer`, { timeout: TEST_MS }, async (t) => {
      const nat = { ...LOOPBACK.janus.nat, ...(await make(t)) };
      const begun = performance.now();
      const gateway = await started(t, { janus: { nat } });
      const start = Math.round(performance.now() - begun);
      const { sdp, ms } = await Client.open(gateway).then((client) => client.call());
      t.diagnostic(`ready in ${start} ms, answered in ${ms} ms`);
      assert.ok(start < 1000, `ready in ${start} ms`);
      assert.ok(ms < 500, `answered in ${ms} ms`);
      assert.deepEqual(unique(candidates(sdp).map((c) => c.type)), ['host']);
    });
  }

  it('that never answers delays a call with a port of its own by half a second at most', { timeout: TEST_MS }, async (t) => {
    const nat = { ...LOOPBACK.janus.nat, ...(await silent(t)) };
    const gateway = await started(t, withRange(nat, await freeUdpPorts(4), 4));
    const { sdp, ms } = await Client.open(gateway).then((client) => client.call());
    t.diagnostic(`answered in ${ms} ms`);
    assert.ok(ms < 1000, `answered in ${ms} ms`);
    assert.deepEqual(unique(candidates(sdp).map((c) => c.type)), ['host']);
  });
});

describe('full trickle', OURS, () => {
  const suite = withGateway({ janus: { nat: { full_trickle: true } } });

  it('sends the candidates one by one, then says that they were all', { timeout: TEST_MS }, async () => {
    const client = await Client.open(suite.gateway);
    const { sdp } = await client.call();
    assert.deepEqual(candidates(sdp), []);
    assert.match(sdp, /^a=ice-options:trickle/m);
    const told = await client.until((seen) => seen.at(-1)?.candidate?.completed, 'trickle');
    assert.ok(told.length > 1);
    for (const { candidate } of told.slice(0, -1)) {
      assert.match(candidate.candidate, /^(a=)?candidate:\S+ 1 udp /);
      assert.equal(candidate.sdpMid, '0');
      assert.equal(candidate.sdpMLineIndex, 0);
    }
    assert.deepEqual(told.at(-1).candidate, { completed: true });
  });
});

describe('secured listeners', OURS, () => {
  const settings = { 'janus.transport.http': {}, 'janus.transport.websockets': {} };
  let http;
  let websocket;
  certificateFiles(KINDS['ECDSA P-256'], async (certificates) => {
    http = await freeTcpPort();
    websocket = await freeTcpPort();
    settings['janus.transport.http'] = { general: { https: true, secure_port: http, secure_ip: '127.0.0.1' }, certificates };
    settings['janus.transport.websockets'] = { general: { wss: true, wss_port: websocket, wss_ip: '127.0.0.1' }, certificates };
  });
  const suite = withGateway(settings, { open: () => newTab({ ignoreHTTPSErrors: true }) });

  for (const scheme of ['https', 'wss']) {
    it(`${scheme} carries a call`, { timeout: TEST_MS }, async () => {
      const server = scheme === 'https' ? `https://127.0.0.1:${http}/janus` : `wss://127.0.0.1:${websocket}/`;
      await flowing(await suite.call({ tracks: TRACKS, session: { server } }));
    });
  }
});

// --- calls ---

/** A tab whose browser never sees those of the gateway's candidates that do not match `pattern`. */
async function narrowTab(suite, pattern, options) {
  const tab = await suite.tab(options);
  await tab.run((wanted) => {
    const apply = RTCPeerConnection.prototype.setRemoteDescription;
    const keeps = (line) => !line.startsWith('a=candidate:') || new RegExp(wanted).test(line.slice(2));
    RTCPeerConnection.prototype.setRemoteDescription = function narrowed(description) {
      const sdp = description.sdp.split('\r\n').filter(keeps).join('\r\n');
      return apply.call(this, { type: description.type, sdp });
    };
  }, pattern);
  return tab;
}

/** What getStats says once video is seen and both media flow. */
async function flowing(tab, what) {
  await tab.seen('webrtc', { up: true });
  await tab.seesVideo();
  return tab.flows(what);
}

/** A port for each call. The harness asks for our ports by name, which wins over a range: not so in a file of its own. */
function withRange(nat, first, width) {
  const media = { rtp_port_range: `${first}-${first + width - 1}` };
  // The same file by another name is written after the defaults and replaces them.
  return { './janus': { general: { debug_level: 4 }, nat, media, portunus: { workers: 2 } } };
}

async function started(t, settings) {
  const gateway = await startGateway(settings);
  t.after(() => gateway.stop());
  return gateway;
}

/** The answer of a gateway with these settings. */
async function answered(t, settings) {
  const client = await Client.open(await started(t, settings));
  const answer = await client.call();
  assert.ok(answer.sdp, JSON.stringify(answer));
  return answer;
}

/** An API client on the echo plugin without a browser: what is asked of it is an answer, not media. */
class Client {
  static async open(gateway) {
    const client = new Client();
    client.address = gateway.http;
    for (const request of [{ janus: 'create' }, { janus: 'attach', plugin: 'janus.plugin.echotest' }]) {
      const { data } = await client.post(request);
      client.session ??= `${gateway.http}/${data.id}`;
      client.address = request.plugin ? `${client.session}/${data.id}` : client.session;
    }
    client.seen = [];
    return client;
  }

  async post(request) {
    const body = JSON.stringify({ transaction: 'test', ...request });
    const reply = await (await fetch(this.address, { method: 'POST', body })).json();
    assert.notEqual(reply.janus, 'error', JSON.stringify(reply));
    return reply;
  }

  /** Offers a medium; gives the answer's `sdp` and how long it took, or why there is none. */
  async call() {
    this.seen = [];
    const begun = performance.now();
    await this.post({ janus: 'message', body: { audio: true }, jsep: { type: 'offer', sdp: OFFER } });
    const end = await this.until((seen) => seen.find((e) => e.jsep || e.janus === 'hangup' || e.plugindata?.data.error));
    const ms = Math.round(performance.now() - begun);
    this.sdp = end.jsep?.sdp;
    return { ms, sdp: this.sdp, hangup: end.reason, error: end.plugindata?.data.error };
  }

  async hangup() {
    await this.post({ janus: 'hangup' });
    await this.until((seen) => seen.find((e) => e.janus === 'hangup'));
  }

  /** Polls for events until `done` finds something among those seen (of one kind: then these are given). */
  async until(done, kind) {
    for (;;) {
      const seen = this.seen.filter((e) => !kind || e.janus === kind);
      const found = done(seen);
      if (found) return kind ? seen : found;
      const events = await (await fetch(`${this.session}?maxev=10`)).json();
      this.seen.push(...[events].flat());
    }
  }
}

const OFFER = [
  'v=0', 'o=- 4611731400430051336 2 IN IP4 127.0.0.1', 's=-', 't=0 0', 'a=group:BUNDLE 0', 'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'c=IN IP4 0.0.0.0', 'a=ice-ufrag:aB3d', 'a=ice-pwd:0123456789abcdefghijklmn', 'a=ice-options:trickle',
  `a=fingerprint:sha-256 ${Array.from({ length: 32 }, (_, i) => (i + 16).toString(16).toUpperCase()).join(':')}`,
  'a=setup:actpass', 'a=mid:0', 'a=sendrecv', 'a=rtcp-mux', 'a=rtpmap:111 opus/48000/2', '',
].join('\r\n');

function candidates(sdp) {
  return [...sdp.matchAll(/^a=candidate:(.*?)\r?$/mg)].map(([, line]) => {
    const [, , protocol, , address, port, , type, ...rest] = line.split(' ');
    const more = Object.fromEntries(rest.flatMap((name, i) => (i % 2 ? [] : [[name, rest[i + 1]]])));
    const rport = more.rport && Number(more.rport);
    return { protocol, address, port: Number(port), type, ...more, rport };
  });
}

const unique = (list) => [...new Set(list)];

// --- what a test brings along ---

/** Inside a `describe`, before its gateway: a self-signed certificate and its key as PEM files, gone after it. */
function certificateFiles(newKey, use) {
  const files = { folder: null, fingerprint: () => fingerprint(files.folder) };
  before(async () => {
    files.folder = await mkdtemp(path.join(os.tmpdir(), 'portunus-certificate-'));
    const [pem, key] = ['cert.pem', 'key.pem'].map((name) => path.join(files.folder, name));
    execFileSync('openssl', ['req', '-x509', '-nodes', '-newkey', ...newKey, '-days', '2', '-subj', '/CN=localhost',
      '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', pem], { stdio: 'pipe' });
    await use({ cert_pem: pem, cert_key: key });
  });
  after(() => files.folder && rm(files.folder, { recursive: true, force: true }));
  return files;
}

function fingerprint(folder) {
  const args = ['x509', '-noout', '-fingerprint', '-sha256', '-in', path.join(folder, 'cert.pem')];
  return execFileSync('openssl', args, { encoding: 'utf8' }).split('=')[1].trim();
}

/** Answers every binding request (RFC 8489) with this address; with `loseFirst` not the first of each sender. */
async function stunServer({ address, port }, { loseFirst = false } = {}) {
  const socket = await bound('127.0.0.1');
  const senders = new Set();
  const magic = Buffer.from([0x21, 0x12, 0xa4, 0x42]);
  const mapped = Buffer.from(address.split('.').map((octet, i) => Number(octet) ^ magic[i]));
  socket.on('message', (request, from) => {
    if (request.length < 20 || request.readUInt16BE(0) !== 0x0001 || !request.subarray(4, 8).equals(magic)) return;
    const isFirst = !senders.has(from.port);
    senders.add(from.port);
    if (loseFirst && isFirst) return;
    const answer = Buffer.concat([request.subarray(0, 20), Buffer.from([0, 0x20, 0, 8, 0, 1, 0, 0]), mapped]);
    answer.writeUInt16BE(0x0101, 0);
    answer.writeUInt16BE(12, 2);
    answer.writeUInt16BE(port ^ 0x2112, 26);
    socket.send(answer, from.port, from.address);
  });
  return socket;
}

/** The first of `count` neighbouring UDP ports that nobody uses. */
async function freeUdpPorts(count) {
  for (let tries = 0; tries < 50; tries += 1) {
    const sockets = [await bound('127.0.0.1')];
    const first = sockets[0].address().port;
    try {
      while (sockets.length < count) sockets.push(await bound('127.0.0.1', first + sockets.length));
      return first;
    } catch { /* one of them is taken: elsewhere */ } finally {
      await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.close(resolve))));
    }
  }
  throw new Error(`no ${count} free UDP ports in a row`);
}

function bound(address, port = 0) {
  const socket = dgram.createSocket('udp4');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.bind(port, address, () => resolve(socket));
  });
}
