// The network of a gateway in a container on docker's bridge, behind a 1-to-1 NAT, and of a client behind a home router:
//
//   cli ── home ──┬── inet (203.0.113.0/24) ──┬── fw ── host ── gw
//   192.168.77.2  .10              stun .50  .80  10.77.0.80  172.28.0.2
//                 pub .20, a client without NAT
//
// `home` is a port-preserving NAT that lets in answers only; `fw` maps the whole address 203.0.113.80 to the docker
// host; `host` has the rules that docker's default bridge writes. What differs between the rows are the knobs.

import { existsSync } from 'node:fs';

import { Spaces, until } from './spaces.mjs';

export const PUBLIC = '203.0.113.80';
export const CLIENT = '203.0.113.10';
export const STUN = '203.0.113.50';
export const GATEWAY = '172.28.0.2';
export const HOST = '10.77.0.80';
export const CONTROL_PORT = 8088;
export const TURN_USER = { username: 'lab', credential: 'lab-password' };

/** What the 1-to-1 NAT lets in besides answers when it knows of media. */
const MEDIA = '10000:60999';

/**
 * `expose`: what the 1-to-1 NAT lets in: 'all', 'control', 'control+media'. `hostInput`, `homeInput`: whether the docker
 * host and the home router take ('accept', so that their kernel answers) or 'drop' UDP of strangers to themselves.
 * `publish`: UDP ports of `docker run -p`, 'LOW:HIGH'. `symmetric`: the home router takes another port for each peer.
 */
export const KNOBS = { expose: 'all', hostInput: 'accept', homeInput: 'drop', publish: null, symmetric: false };

export class Lab extends Spaces {
  static async up() {
    const lab = new Lab();
    try {
      lab.#build();
      lab.set({});
      await lab.#startStun();
    } catch (error) {
      lab.remove();
      throw error;
    }
    return lab;
  }

  #build() {
    for (const role of ['cli', 'pub', 'inet', 'stun', 'gw']) this.add(role);
    for (const role of ['home', 'fw', 'host']) this.add(role, { forward: true });
    // Its own address takes what belongs to nobody, such as packets to private addresses, and drops it.
    this.ip('inet', 'link add br0 type bridge\nlink set br0 up\naddr add 203.0.113.1/24 dev br0');
    this.wire(['cli', 'eth0', '192.168.77.2/24'], ['home', 'lan', '192.168.77.1/24']);
    this.wire(['home', 'wan', `${CLIENT}/24`], ['inet', 'p-home']);
    this.wire(['pub', 'eth0', '203.0.113.20/24'], ['inet', 'p-pub']);
    this.wire(['stun', 'eth0', `${STUN}/24`], ['inet', 'p-stun']);
    this.wire(['fw', 'wan', `${PUBLIC}/24`], ['inet', 'p-fw']);
    this.ip('inet', ['home', 'pub', 'stun', 'fw'].map((name) => `link set p-${name} master br0`).join('\n'));
    this.wire(['fw', 'dmz', '10.77.0.1/24'], ['host', 'ext0', `${HOST}/24`]);
    this.ip('host', 'link add docker0 type bridge\naddr add 172.28.0.1/24 dev docker0\nlink set docker0 up');
    this.wire(['gw', 'eth0', `${GATEWAY}/24`], ['host', 'v-gw']);
    this.ip('host', 'link set v-gw master docker0\nroute add default via 10.77.0.1');
    this.ip('cli', 'route add default via 192.168.77.1');
    this.ip('gw', 'route add default via 172.28.0.1');
    for (const role of ['home', 'pub', 'stun', 'fw']) this.ip(role, 'route add default via 203.0.113.1');
  }

  async #startStun() {
    this.turn = this.start('stun', 'turnserver', ['-n', '-p', '3478', '-L', STUN, '-E', STUN, '--no-tls', '--no-dtls', '--no-cli',
      '--fingerprint', '--lt-cred-mech', '-u', `${TURN_USER.username}:${TURN_USER.credential}`, '-r', 'lab', '--min-port', '50000',
      '--max-port', '50999', '--log-file', 'stdout', '--simple-log', '--pidfile', `${this.folder}/turn.pid`, '-b', `${this.folder}/turn.db`]);
    await until('the STUN server', 10_000, () => {
      if (this.turn.exited !== null) throw new Error(`turnserver ended (${this.turn.exited}):\n${this.turn.log}`);
      return this.attempt('stun', 'ss', '-Hlun', 'sport', '=', ':3478').includes(STUN);
    });
  }

  /** Writes all rules anew and forgets the client's flows, so that each row begins as the first one would. */
  set(knobs) {
    const { expose, hostInput, homeInput, publish, symmetric } = { ...KNOBS, ...knobs };
    this.rules('home', {
      nat: [`-A POSTROUTING -o wan -j MASQUERADE${symmetric ? ' --random-fully' : ''}`],
      filter: [
        '-A FORWARD -i wan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT', '-A FORWARD -i wan -j DROP',
        ...(homeInput === 'drop' ? ['-A INPUT -i wan -m conntrack --ctstate NEW -j DROP'] : []),
      ],
    });
    this.rules('fw', {
      nat: [`-A PREROUTING -i wan -d ${PUBLIC} -j DNAT --to-destination ${HOST}`, `-A POSTROUTING -o wan -s ${HOST} -j SNAT --to-source ${PUBLIC}`],
      filter: [
        '-A FORWARD -i wan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT',
        `-A FORWARD -i wan -p tcp --dport ${CONTROL_PORT} -j ACCEPT`,
        ...(expose === 'control+media' ? [`-A FORWARD -i wan -p udp --dport ${MEDIA} -j ACCEPT`] : []),
        ...(expose === 'all' ? [] : ['-A FORWARD -i wan -j DROP']),
      ],
    });
    const local = '-A PREROUTING -m addrtype --dst-type LOCAL';
    this.rules('host', {
      nat: [
        '-A POSTROUTING -s 172.28.0.0/24 ! -o docker0 -j MASQUERADE',
        `${local} -p tcp --dport ${CONTROL_PORT} -j DNAT --to-destination ${GATEWAY}`,
        ...(publish ? [`${local} -p udp --dport ${publish} -j DNAT --to-destination ${GATEWAY}`] : []),
      ],
      filter: hostInput === 'drop' ? ['-A INPUT -i ext0 -p udp -m conntrack --ctstate NEW -j DROP'] : [],
    });
    this.forget('home');
    for (const role of ['fw', 'host']) {
      for (const end of ['-s', '-d']) this.attempt(role, 'conntrack', '-D', '-p', 'udp', end, CLIENT);
    }
  }

  /** All flows of UDP of a router: a new gateway on the same address begins as on a new host. */
  forget(role) {
    this.attempt(role, 'conntrack', '-D', '-p', 'udp');
  }

  /** What the docker host's connection tracking has of UDP beyond it, a line each. */
  flows() {
    return this.attempt('host', 'conntrack', '-L', '-p', 'udp').split('\n').filter((line) => line.includes('203.0.113.')).map((line) => line.replace(/ +/g, ' '));
  }

  /** Those of the gateway that left by another port than the gateway's own. */
  remapped() {
    return this.flows().filter((line) => {
      const [, own, taken] = new RegExp(`src=${GATEWAY} .*?sport=(\\d+).* dport=(\\d+)`).exec(line) ?? [];
      return own !== taken;
    });
  }

  /** A capture; its `stop()` gives the file's name. */
  async capture(role, device, filter) {
    const file = `${this.folder}/${role}-${device}-${Date.now()}.pcap`;
    const program = this.start(role, 'tcpdump', ['-i', device, '-U', '-Z', 'root', '-w', file, filter]);
    await until('tcpdump', 10_000, () => program.log.includes('listening on') && existsSync(file));
    program.file = file;
    return program;
  }
}
