// Two replicas behind nginx, which chooses by an argument of the address as the chart has ingress-nginx do
// (`ingress.sameValueSamePod`): who names the same group meets, also when one of the replicas is taken away.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';

import { freeTcpPort } from '../browser/harness/ports.mjs';
import { TEST_MS } from '../browser/harness/suite.mjs';
import { WebSocket } from '../browser/harness/websocket.mjs';
import { metrics, started, until } from './support.mjs';

const NGINX = ['nginx', '/usr/sbin/nginx'].find((name) => (name.includes('/') ? existsSync(name) : spawnSync('which', [name]).status === 0));
const GROUPS = Array.from({ length: 12 }, (_, i) => `group-${i}`);
const ANSWER_MS = 10_000;

describe('replicas chosen by an argument of the address', { skip: !NGINX && 'nginx is not installed' }, () => {
  it('have the members of a group together, before and after one of them drains', { timeout: 2 * TEST_MS }, async (t) => {
    const pods = await Promise.all([0, 1].map(() => started(t, { janus: { portunus: { drain_timeout_s: 30 } } })));
    const nginx = await startNginx(t);
    await nginx.lead(pods);
    const users = GROUPS.flatMap((group) => ['a', 'b'].map((name) => new User(`${nginx.ws}?group=${group}`, `${group} ${name}`)));
    t.after(() => users.forEach((user) => user.close()));
    for (const user of users) await user.enter();
    await meet(users);
    const spread = await until('all are counted', 5_000, async () => {
      const counts = await Promise.all(pods.map(handles));
      return counts[0] + counts[1] === users.length && counts;
    });
    assert.ok(spread.every((n) => n > 0), `all of them are on one replica: ${spread}`);

    await nginx.lead([pods[1]]);
    process.kill(pods[0].pid, 'SIGTERM');
    await until('the drained replica ends, as nobody calls there', 10_000, () => pods[0].exited !== null);
    await until('everybody has heard of it', 5_000, () => users.filter((user) => user.closed).length === spread[0]);
    assert.equal(pods[0].exited, 0, pods[0].log);
    const sent = users.filter((user) => user.closed);
    assert.ok(sent.every((user) => user.timedOut), 'everybody was told why');
    for (const user of sent) await user.enter();
    await until('all are at the other replica', 5_000, async () => await handles(pods[1]) === users.length);
    await meet(users);
  });
});

/** Those of a group see each other and nobody else does. */
async function meet(users) {
  const groups = new Map();
  for (const user of users) {
    const { result } = await user.tell({ request: 'list' });
    const [group] = user.name.split(' ');
    assert.ok(result.list.includes(`${group} a`) && result.list.includes(`${group} b`), `${user.name} sees ${result.list}`);
    groups.set(group, [...(groups.get(group) ?? []), result.list.sort().join()]);
  }
  for (const [group, lists] of groups) assert.equal(new Set(lists).size, 1, `${group} is on two replicas`);
}

const handles = async (gateway) => (await metrics(gateway)).portunus_handles ?? 0;

class User {
  constructor(address, name) {
    Object.assign(this, { address, name, count: 0 });
  }

  async enter() {
    Object.assign(this, { session: undefined, handle: undefined, closed: false, timedOut: false, waiting: new Map() });
    this.socket = new WebSocket(this.address, 'janus-protocol');
    await new Promise((resolve, reject) => { this.socket.once('open', resolve).once('error', reject); });
    this.socket.on('close', () => { this.closed = true; });
    this.socket.on('message', (data) => this.hear(JSON.parse(data.toString())));
    this.session = (await this.ask({ janus: 'create' })).data.id;
    this.handle = (await this.ask({ janus: 'attach', plugin: 'janus.plugin.videocall' })).data.id;
    assert.equal((await this.tell({ request: 'register', username: this.name })).result?.event, 'registered');
  }

  hear(message) {
    if (message.janus === 'timeout') this.timedOut = true;
    if (message.janus === 'ack') return;
    this.waiting.get(message.transaction)?.(message);
  }

  ask(message) {
    const transaction = String((this.count += 1));
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${this.name}: no answer to ${JSON.stringify(message)}`)), ANSWER_MS);
      this.waiting.set(transaction, (answer) => { clearTimeout(late); resolve(answer); });
      this.socket.send(JSON.stringify({ ...message, transaction, session_id: this.session, handle_id: this.handle }));
    });
  }

  async tell(body) {
    return (await this.ask({ janus: 'message', body })).plugindata.data;
  }

  close() {
    this.socket?.terminate();
  }
}

/** nginx on loopback, with settings that change. */
async function startNginx(t) {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'portunus-nginx-'));
  const port = await freeTcpPort();
  let child = null;
  t.after(async () => {
    if (child?.exitCode === null) {
      child.kill('SIGTERM');
      await new Promise((resolve) => { child.once('exit', resolve); });
    }
    rmSync(folder, { recursive: true, force: true });
  });
  const write = (gateways) => writeFileSync(path.join(folder, 'nginx.conf'), `
    daemon off; pid ${folder}/pid; error_log ${folder}/log notice; worker_processes 1;
    ${process.getuid() === 0 ? 'user root;' : ''}
    events {}
    http {
      access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(' ')}
      upstream pods { hash $arg_group consistent; ${gateways.map(({ ws }) => `server ${new URL(ws).host};`).join(' ')} }
      server {
        listen 127.0.0.1:${port};
        location /ws {
          proxy_pass http://pods; proxy_http_version 1.1; proxy_read_timeout 1h;
          proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;
        }
      }
    }`);
  const log = () => readFileSync(path.join(folder, 'log'), 'utf8');
  return {
    ws: `ws://127.0.0.1:${port}/ws`,
    async lead(gateways) {
      write(gateways);
      if (child) {
        child.kill('SIGHUP');
        // The old worker stays for the connections that it has.
        await until('nginx has read that', 5_000, () => log().match(/start worker process \d/g).length > 1 && log().includes('gracefully shutting down'));
        return;
      }
      child = spawn(NGINX, ['-c', path.join(folder, 'nginx.conf'), '-p', folder, '-e', path.join(folder, 'log')], { stdio: 'ignore' });
      await until('nginx listens', 5_000, () => listens(port));
    },
  };
}

function listens(port) {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); resolve(true); }).once('error', () => resolve(false));
  });
}
