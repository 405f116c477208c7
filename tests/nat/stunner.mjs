// Gateways in pods without a way out, behind a TURN server set up as STUNner is:
//
//   cli ── home ── inet ── lb (.60, a Service of type LoadBalancer) ──┬── turn 10.42.0.5
//                                                                     ├── pod1 .20, pod2 .21
//                                                                     └── other .99, a pod that no route names
//
// The gateways have no STUN, no TURN, no public address and no default route; clients take relay candidates only. The
// load balancer is the test's own: port 8088 leads to a pod that says it is ready, 8091 and 8092 to one pod each, which
// is the affinity that a session needs.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, createHmac, X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';

import { browserIn } from './client.mjs';
import { HTTP_PORT, ROOM, startGateway } from './gateway.mjs';
import { missing } from './needs.mjs';
import { Spaces, until } from './spaces.mjs';

const FRONT = '203.0.113.60';
const PODS = { pod1: '10.42.0.20', pod2: '10.42.0.21', other: '10.42.0.99' };
const TURN = '10.42.0.5';
const ROUTED = `${PODS.pod1}-${PODS.pod2}`;
const REALM = 'stunner.l7mp.io';
const DOORS = { pod1: 8091, pod2: 8092, other: 8099 };
const HEALTH = 8086;
const TEST_MS = 90_000;
const MEDIA_WITHIN_MS = 15_000;
/** There is no way at all then: nothing that could be late. */
const NO_MEDIA_WITHIN_MS = 3_000;
const DRAIN_S = 60;
const STATIC = { username: 'user-1', credential: 'pass-1' };
const SECRET = 'a-secret-of-this-test';

const TRANSPORTS = {
  UDP: { urls: `turn:${FRONT}:3478?transport=udp`, relayProtocol: 'udp' },
  TCP: { urls: `turn:${FRONT}:3478?transport=tcp`, relayProtocol: 'tcp' },
  TLS: { urls: `turns:${FRONT}:5349?transport=tcp`, relayProtocol: 'tls' },
};

/** As STUNner's auth service mints them: the time of expiry is the name, its HMAC the password. */
function ephemeral(ttl, user = 'user') {
  const username = `${Math.floor(Date.now() / 1000) + ttl}:${user}`;
  return { username, credential: createHmac('sha1', SECRET).update(username).digest('base64') };
}

class PodNetwork extends Spaces {
  static up() {
    const lab = new PodNetwork();
    try {
      lab.#build();
      lab.#certificate();
    } catch (error) {
      lab.remove();
      throw error;
    }
    return lab;
  }

  #build() {
    for (const role of ['cli', 'inet', 'turn', ...Object.keys(PODS)]) this.add(role);
    for (const role of ['home', 'lb']) this.add(role, { forward: true });
    this.ip('inet', 'link add br0 type bridge\nlink set br0 up\naddr add 203.0.113.1/24 dev br0');
    this.wire(['cli', 'eth0', '192.168.77.2/24'], ['home', 'lan', '192.168.77.1/24']);
    this.wire(['home', 'wan', '203.0.113.10/24'], ['inet', 'p-home']);
    this.wire(['lb', 'wan', `${FRONT}/24`], ['inet', 'p-lb']);
    this.ip('inet', 'link set p-home master br0\nlink set p-lb master br0');
    this.ip('lb', 'link add cni0 type bridge\naddr add 10.42.0.1/24 dev cni0\nlink set cni0 up');
    for (const [role, address] of Object.entries({ turn: TURN, ...PODS })) {
      this.wire([role, 'eth0', `${address}/24`], ['lb', `v-${role}`]);
      this.ip('lb', `link set v-${role} master cni0`);
    }
    this.ip('cli', 'route add default via 192.168.77.1');
    for (const role of ['home', 'lb']) this.ip(role, 'route add default via 203.0.113.1');
    this.rules('home', { nat: ['-A POSTROUTING -o wan -j MASQUERADE'], filter: ['-A FORWARD -i wan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT', '-A FORWARD -i wan -j DROP'] });
    this.serve('pod1');
  }

  /** The load balancer, with new sessions for `pod`. Clients' addresses are lost, as with externalTrafficPolicy Cluster. */
  serve(pod) {
    const to = (protocol, port, address, there) => `-A PREROUTING -i wan -p ${protocol} --dport ${port} -j DNAT --to-destination ${address}:${there}`;
    this.rules('lb', {
      nat: [
        to('udp', 3478, TURN, 3478), to('tcp', 3478, TURN, 3478), to('tcp', 5349, TURN, 5349), to('tcp', HTTP_PORT, PODS[pod], HTTP_PORT),
        ...Object.entries(DOORS).map(([name, port]) => to('tcp', port, PODS[name], HTTP_PORT)),
        // What pods send each other passes here, too, where the kernel filters bridges.
        '-A POSTROUTING ! -s 10.42.0.0/24 -o cni0 -j MASQUERADE',
      ],
      filter: [
        '-A FORWARD -i cni0 -o cni0 -j ACCEPT', '-A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
        '-A FORWARD -i wan -m conntrack --ctstate DNAT -j ACCEPT', '-A FORWARD -j DROP',
      ],
    });
  }

  /** A CA of this run and a certificate of the TURN server's address. */
  #certificate() {
    const openssl = (...args) => execFileSync('openssl', args, { cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] });
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=CA of the NAT test', '-keyout', 'ca.key', '-out', 'ca.pem');
    openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=turn', '-addext', `subjectAltName=IP:${FRONT}`, '-addext', 'basicConstraints=critical,CA:FALSE',
      '-CA', 'ca.pem', '-CAkey', 'ca.key', '-keyout', 'turn.key', '-out', 'leaf.pem');
    execFileSync('sh', ['-c', 'cat leaf.pem ca.pem > turn.pem'], { cwd: this.folder });
  }

  /** The SPKI hash by which Chromium is told to trust this CA. */
  get trust() {
    const ca = new X509Certificate(execFileSync('cat', [`${this.folder}/ca.pem`]));
    return createHash('sha256').update(ca.publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
  }

  async turn(auth) {
    await this.server?.stop();
    this.server = this.start('turn', 'turnserver', ['-n', '-L', TURN, '-E', TURN, '-p', '3478', '--tls-listening-port', '5349', '--no-dtls', '--no-cli',
      '--fingerprint', '-r', REALM, ...auth, '--cert', `${this.folder}/turn.pem`, '--pkey', `${this.folder}/turn.key`, '--min-port', '32768',
      '--max-port', '60999', '--no-multicast-peers', '--denied-peer-ip=0.0.0.0-255.255.255.255', `--allowed-peer-ip=${ROUTED}`,
      '--log-file', 'stdout', '--simple-log', '--pidfile', `${this.folder}/turn.pid`, '-b', `${this.folder}/turn.db`]);
    await until('the TURN server', 10_000, () => {
      if (this.server.exited !== null) throw new Error(`turnserver ended (${this.server.exited}):\n${this.server.log}`);
      const open = this.attempt('turn', 'ss', '-Hltun');
      return open.includes(`${TURN}:3478`) && open.includes(`${TURN}:5349`);
    });
  }

  gateway(pod, flags = []) {
    return startGateway(this, pod, 'ours', flags, {
      address: PODS[pod],
      env: { PORTUNUS_SINGLE_PORT: 'true', PORTUNUS_METRICS_PORT: String(HEALTH), PORTUNUS_METRICS_IP: '0.0.0.0', PORTUNUS_DRAIN_TIMEOUT_S: String(DRAIN_S) },
    });
  }

  /** What a probe of Kubernetes would see. */
  ready(pod) {
    return Number(this.attempt('lb', 'curl', '-s', '-m', '2', '-o', '/dev/null', '-w', '%{http_code}', `http://${PODS[pod]}:${HEALTH}/readyz`));
  }
}

const NAME = 'behind a TURN server as STUNner sets it up';
const reason = missing();
if (reason) it(NAME, { skip: reason }, () => {});
else describe(NAME, suite);

function suite() {
  let lab;
  let browser;
  const gateways = {};
  const auth = {
    static: ['--lt-cred-mech', '-u', `${STATIC.username}:${STATIC.credential}`],
    ephemeral: ['--use-auth-secret', `--static-auth-secret=${SECRET}`],
  };

  before(async () => {
    lab = PodNetwork.up();
    browser = await browserIn(lab, 'cli', [`--ignore-certificate-errors-spki-list=${lab.trust}`]);
    gateways.pod1 = await lab.gateway('pod1');
    gateways.pod2 = await lab.gateway('pod2', ['-I']);
  });
  after(async () => {
    await Promise.all(Object.values(gateways).map((gateway) => gateway.stop()));
    await browser?.close();
    lab?.remove();
  });

  const PLUGINS = {
    echo: 'janus.plugin.echotest', publish: 'janus.plugin.videoroom', subscribe: 'janus.plugin.videoroom', register: 'janus.plugin.videocall',
  };

  /** A client that begins a call; it is closed after the test. */
  async function client(t, call, { pod = 'pod1', port = DOORS[pod], servers = [], relayOnly = true, about = ROOM }) {
    const one = await browser.client({ server: `http://${FRONT}:${port}/janus`, plugin: PLUGINS[call], iceServers: servers, relayOnly });
    t.after(() => one.close());
    await one.call(call, about);
    return one;
  }

  let users = 0;

  /** Two clients of a pod, one of whom has called the other. */
  async function talking(t, options) {
    const names = [0, 1].map(() => `user ${(users += 1)}`);
    const pair = [];
    for (const about of names) pair.push(await client(t, 'register', { ...options, about }));
    await pair[0].call('dial', names[1]);
    return pair;
  }

  async function flows(one, pod, relayProtocol) {
    const seen = await one.call('flows', { ms: MEDIA_WITHIN_MS });
    assert.ok(seen, `no media\n${await one.story()}\nTURN:\n${lab.server.log.slice(-2000)}`);
    assert.match(seen.pair, new RegExp(`^relay ${TURN}:\\d+ <-> host ${PODS[pod]}:10000$`));
    if (relayProtocol) assert.equal(seen.relayProtocol, relayProtocol);
  }

  async function nothing(one) {
    const seen = await one.call('flows', { ms: NO_MEDIA_WITHIN_MS });
    assert.equal(seen, null, `media over ${seen?.pair}`);
    return one.call('look');
  }

  it('pods have no way out', () => {
    for (const pod of Object.keys(PODS)) assert.equal(lab.run(pod, 'ip', 'route', 'show', 'default'), '');
  });

  for (const [kind, credentials] of [['static', () => STATIC], ['ephemeral', () => ephemeral(3600)]]) {
    describe(`${kind} credentials`, () => {
      before(() => lab.turn(auth[kind]));

      for (const [name, { urls, relayProtocol }] of Object.entries(TRANSPORTS)) {
        it(`echo and subscribe over ${name}`, { timeout: TEST_MS }, async (t) => {
          const servers = [{ urls, ...credentials() }];
          await flows(await client(t, 'echo', { servers }), 'pod1', relayProtocol);
          const publisher = await client(t, 'publish', { servers });
          assert.ok(await publisher.call('up', MEDIA_WITHIN_MS), await publisher.story());
          await flows(await client(t, 'subscribe', { servers }), 'pod1', relayProtocol);
        });

        it(`two call each other over ${name}`, { timeout: TEST_MS }, async (t) => {
          const servers = [{ urls, ...credentials() }];
          for (const one of await talking(t, { servers })) await flows(one, 'pod1', relayProtocol);
        });
      }

      it('credentials that are not right are refused', { timeout: TEST_MS }, async (t) => {
        const { username, credential } = kind === 'static' ? { ...STATIC, credential: 'pass-2' } : ephemeral(-60);
        const one = await client(t, 'echo', { servers: [{ urls: TRANSPORTS.UDP.urls, username, credential }] });
        await nothing(one);
        const story = await one.story();
        assert.match(story, /"errorCode":401/, story);
        assert.doesNotMatch(story, /typ relay/);
      });
    });
  }

  if (process.env.NAT_LONG === '1') {
    it('a TURN server of another CA is refused over TLS', { timeout: TEST_MS }, async (t) => {
      const stranger = await browserIn(lab, 'cli');
      let one = null;
      t.after(async () => {
        await one?.close();
        await stranger.close();
      });
      one = await stranger.client({ server: `http://${FRONT}:${DOORS.pod1}/janus`, plugin: PLUGINS.echo, relayOnly: true, iceServers: [{ urls: TRANSPORTS.TLS.urls, ...ephemeral(3600) }] });
      await one.call('echo');
      await nothing(one);
      assert.doesNotMatch(await one.story(), /typ relay/);
    });
  }

  it('a gateway with ICE-lite is reached the same way', { timeout: TEST_MS }, async (t) => {
    const servers = [{ urls: TRANSPORTS.UDP.urls, ...ephemeral(3600) }];
    await flows(await client(t, 'echo', { pod: 'pod2', servers }), 'pod2', 'udp');
    const publisher = await client(t, 'publish', { pod: 'pod2', servers });
    assert.ok(await publisher.call('up', MEDIA_WITHIN_MS), await publisher.story());
    await flows(await client(t, 'subscribe', { pod: 'pod2', servers }), 'pod2', 'udp');
    for (const one of await talking(t, { pod: 'pod2', servers })) await flows(one, 'pod2', 'udp');
  });

  it('a client without TURN gets nothing', { timeout: TEST_MS }, async (t) => {
    await nothing(await client(t, 'echo', { relayOnly: false }));
  });

  it('a pod that no route names gets nothing', { timeout: TEST_MS }, async (t) => {
    gateways.other = await lab.gateway('other');
    const one = await client(t, 'echo', { pod: 'other', servers: [{ urls: TRANSPORTS.UDP.urls, ...ephemeral(3600) }] });
    await nothing(one);
    assert.match(await one.story(), /typ relay/, 'the client had its relay');
    await gateways.other.stop();
    assert.match(lab.server.log, new RegExp(`peer IP ${PODS.other} denied`), lab.server.log.slice(-2000));
  });

  it('a replica drains: its calls go on, newcomers find the other one', { timeout: TEST_MS + DRAIN_S * 1000 }, async (t) => {
    const servers = [{ urls: TRANSPORTS.UDP.urls, ...ephemeral(3600) }];
    const create = (port) => JSON.parse(lab.attempt('cli', 'curl', '-s', '-m', '5', '-d', '{"janus":"create","transaction":"t"}', `http://${FRONT}:${port}/janus`));
    assert.deepEqual([lab.ready('pod1'), lab.ready('pod2')], [200, 200]);
    lab.serve('pod1');
    const caller = await client(t, 'echo', { servers });
    const pair = await talking(t, { servers });
    for (const one of [caller, ...pair]) await flows(one, 'pod1');

    gateways.pod1.signal('SIGTERM');
    await until('pod1 is not ready', 5_000, () => lab.ready('pod1') === 503);
    assert.equal(lab.ready('pod2'), 200);
    // What the endpoints controller does with what the probe says.
    lab.serve('pod2');
    const refused = create(DOORS.pod1);
    assert.deepEqual([refused.janus, refused.error?.code], ['error', 472], JSON.stringify(refused));
    const newcomer = await client(t, 'echo', { port: HTTP_PORT, servers });
    await flows(newcomer, 'pod2');
    for (const one of await talking(t, { port: HTTP_PORT, servers })) await flows(one, 'pod2');
    for (const one of [caller, ...pair]) await flows(one, 'pod1');
    assert.equal(gateways.pod1.exited, null);

    for (const one of [caller, ...pair]) await one.close();
    await until('pod1 ends when its call has', 10_000, () => gateways.pod1.exited !== null);
    assert.equal(gateways.pod1.exited, 0, gateways.pod1.log);
    await flows(newcomer, 'pod2');
  });
}
