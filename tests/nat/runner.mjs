// Runs rows of the table against one gateway after the other, in one lab, with one pair of browsers.

import { CONTROL_PORT, GATEWAY, Lab, PUBLIC } from './lab.mjs';
import { browserIn } from './client.mjs';
import { ROOM, startGateway } from './gateway.mjs';

const SERVER = `http://${PUBLIC}:${CONTROL_PORT}/janus`;
/** For media to flow. Where none is expected less has to do: those that work take a second or two of it. */
const MEDIA_WITHIN_MS = 15_000;
const NO_MEDIA_WITHIN_MS = 5_000;
/** Longer than a gateway would hold its own candidates for. */
const LATE_MS = 2_500;
const PUBLISHER_WITHIN_MS = 15_000;

export class Runner {
  static async up() {
    const lab = await Lab.up();
    const runner = new Runner(lab);
    runner.browsers = { cli: await browserIn(lab, 'cli'), pub: await browserIn(lab, 'pub') };
    return runner;
  }

  constructor(lab) {
    Object.assign(this, { lab, gateway: null, key: null, publisher: null });
  }

  /** Makes the network ready for a row and starts the gateway unless one with these flags runs. */
  async #prepare(kind, { flags, knobs, env, settings }) {
    const key = JSON.stringify([kind, flags, env, settings]);
    if (key !== this.key) {
      await this.stopGateway();
      this.lab.set(knobs);
      for (const role of ['fw', 'host']) this.lab.forget(role);
      this.gateway = await startGateway(this.lab, 'gw', kind, flags, { address: GATEWAY, env, settings });
      this.key = key;
    } else {
      if (this.gateway.exited !== null) throw new Error(`the gateway ended (${this.gateway.exited}):\n${this.gateway.log}`);
      this.lab.set(knobs);
    }
  }

  /** The publisher has a public address and no NAT: its call comes up in every row, whatever the subscriber's does. */
  async #publish() {
    if (this.publisher) return;
    this.publisher = await this.#publisher();
  }

  async #publisher(page = {}) {
    const client = await this.browsers.pub.client({ server: SERVER, plugin: 'janus.plugin.videoroom', ...page });
    await client.call('publish', ROOM);
    if (!await client.call('up', PUBLISHER_WITHIN_MS)) throw new Error(`the publisher has no connection\n${await client.story()}`);
    return client;
  }

  /** `{media, firstMs, pair, story}` of one row; `wanted` says what is expected, and so how long to wait. */
  async row(kind, { call, knobs, flags, iceServers, page, beside, env = {}, settings = {} }, wanted = true) {
    await this.#prepare(kind, { flags, knobs, env, settings });
    if (call === 'subscribe') await this.#publish();
    const neighbour = beside ? await this.#callWithRemappedPort(knobs) : null;
    const plugin = call === 'echo' ? 'janus.plugin.echotest' : 'janus.plugin.videoroom';
    const client = await this.browsers.cli.client({ server: SERVER, plugin, iceServers, ...page });
    try {
      await client.call(call, ROOM);
      const seen = await client.call('flows', { ms: wanted ? MEDIA_WITHIN_MS : NO_MEDIA_WITHIN_MS });
      return { media: seen !== null, ...(seen ?? await client.call('look')), story: await client.story() };
    } finally {
      await client.close();
      await neighbour?.close();
    }
  }

  async #callWithRemappedPort({ publish }) {
    // In the same room, so that gateways with a socket for many peers use that of the subscriber.
    const client = await this.#publisher({ trickleDelayMs: LATE_MS });
    // With a published port its checks reach the gateway, and nothing is remapped.
    if (!publish && !this.lab.remapped().length) throw new Error(`no port was remapped\n${this.lab.flows().join('\n')}`);
    return client;
  }

  async stopGateway() {
    await this.publisher?.close();
    this.publisher = null;
    await this.gateway?.stop();
    this.gateway = null;
    this.key = null;
  }

  async down() {
    await this.stopGateway();
    await Promise.all(Object.values(this.browsers ?? {}).map((browser) => browser.close()));
    this.lab.remove();
  }
}
