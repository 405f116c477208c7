// The VideoRoom plugin by way of janus.js, without a page: a handle whose requests are promises, somebody who enters a
// room and publishes there, and subscriptions to others. videoroom.js, mvideoroom.js and screensharing.js stand on it.

import { log, words } from './page.js';

const PLUGIN = 'janus.plugin.videoroom';

// Which event answers an asynchronous request. janus.js does not say, so requests of a handle go one after the other.
const changed = (m) => m.videoroom === 'updated' || m.videoroom === 'updating';
const ANSWERS = {
  join: (m) => m.videoroom === 'joined' || m.videoroom === 'attached',
  configure: (m) => m.configured === 'ok',
  publish: (m) => m.configured === 'ok',
  unpublish: (m) => m.unpublished === 'ok',
  leave: (m) => m.leaving === 'ok' || m.left === 'ok',
  start: (m) => m.started === 'ok',
  subscribe: changed,
  unsubscribe: changed,
  update: changed,
};

/** A room or participant as the gateway numbers it; with `string_ids` it names them, and refuses a number. */
export const asId = (text) => (/^[1-9]\d{0,15}$/.test(text) ? Number(text) : text);

/** What the plugin refused, in words for people where there are some. */
export class Refusal extends Error {
  constructor(code, reason) {
    super(reason);
    this.code = code;
    const [title, text] = Refusal.#words(code, reason);
    this.title = title;
    this.text = text;
  }

  static #words(code, reason) {
    if (code === 426) return ['There is no such room', 'Look at the number again, or ask whoever invited you.'];
    if (code === 432) return ['The room is full', 'As many people as the room allows are on camera already. You see them, but they do not see you.'];
    if (/\bpin\b/.test(reason)) return code === 429 ? ['This room asks for a PIN', 'Fill it in and join again.'] : ['That is not the PIN', 'Look at it again, then join again.'];
    if (/allowed list|token/.test(reason)) return ['This room is for invited people', `The gateway said: ${reason}.`];
    if (code === 433) return ['You are not allowed to do that', `The gateway said: ${reason}.`];
    return ['The gateway refused that', `${reason} (${code})`];
  }
}

/** A handle of the plugin: `ask` is a request and its answer, `on.event(message, jsep)` hears everything. */
export class Handle {
  static attach(janus, on) {
    return new Promise((resolve, reject) => {
      const handle = new Handle(on);
      janus.attach({
        plugin: PLUGIN,
        opaqueId: `room-${Janus.randomString(12)}`,
        success: (plugin) => { handle.plugin = plugin; resolve(handle); },
        error: (reason) => reject({ title: 'No VideoRoom plugin', text: `The gateway refused it: ${words(reason)}` }),
        consentDialog: (asking) => on.asking?.(asking),
        onmessage: (message, jsep) => handle.#take(message, jsep),
        onlocaltrack: (track, added) => on.ownTrack?.(track, added),
        webrtcState: (up, reason) => on.webrtc?.(up, reason),
        slowLink: (uplink, lost) => log(`slow link: ${lost} packets lost ${uplink ? 'on the way to' : 'from'} the gateway`),
      });
    });
  }

  constructor(on) {
    this.on = on;
    this.last = Promise.resolve();
    this.waiting = null;
  }

  get pc() { return this.plugin.webrtcStuff.pc; }

  /** Ends with `{message, jsep}` when the plugin has answered, fails with a `Refusal`. */
  ask(body, jsep) {
    const answer = this.last.then(() => new Promise((resolve, reject) => {
      this.waiting = { fits: ANSWERS[body.request], resolve, reject };
      this.plugin.send({
        message: body,
        jsep,
        success: (data) => {
          if (!data) return;
          this.waiting = null;
          if (data.error_code) reject(new Refusal(data.error_code, data.error));
          else resolve({ message: data });
        },
        error: (reason) => { this.waiting = null; reject({ title: 'The gateway refused that', text: words(reason) }); },
      });
    }));
    this.last = answer.catch(() => {});
    return answer;
  }

  #take(message, jsep) {
    const { waiting } = this;
    if (waiting && (message.error_code || waiting.fits?.(message))) {
      this.waiting = null;
      if (message.error_code) waiting.reject(new Refusal(message.error_code, message.error));
      else waiting.resolve({ message, jsep });
    }
    this.on.event?.(message, jsep);
  }

  offer(tracks) {
    return new Promise((resolve, reject) => { this.plugin.createOffer({ tracks, success: resolve, error: reject }); });
  }

  takeAnswer(jsep) {
    return new Promise((resolve, reject) => { this.plugin.handleRemoteJsep({ jsep, success: resolve, error: reject }); });
  }

  answer(jsep) {
    return new Promise((resolve, reject) => { this.plugin.createAnswer({ jsep, success: resolve, error: reject }); });
  }

  detach() {
    this.on = {};
    this.plugin.detach({});
  }
}

/** Somebody in a room: hears who else publishes, and may publish. */
export class Participant {
  /** Enters `{room, display, pin}`; `on` as for a handle. `joined` is what the gateway told. */
  static async enter(janus, wish, on) {
    const me = new Participant();
    me.handle = await Handle.attach(janus, on);
    try {
      me.joined = await me.#join(wish);
    } catch (problem) {
      me.handle.detach();
      throw problem;
    }
    me.room = me.joined.room;
    me.pin = wish.pin;
    return me;
  }

  async #join({ room, display, pin }) {
    const body = { request: 'join', ptype: 'publisher', room: asId(room) };
    if (display) body.display = display;
    if (pin) body.pin = pin;
    try {
      return (await this.handle.ask(body)).message;
    } catch (problem) {
      if (problem.code !== 430 || !/should be a string/.test(problem.message)) throw problem;
      return (await this.handle.ask({ ...body, room: String(room) })).message;
    }
  }

  /** Offers `tracks` and publishes what the gateway takes of them. Device troubles come as the browser's errors. */
  async publish(tracks, wish = {}) {
    const jsep = await this.handle.offer(tracks);
    const { message, jsep: answer } = await this.handle.ask({ request: 'publish', ...wish }, jsep);
    await this.handle.takeAnswer(answer);
    return message;
  }

  configure(wish) { return this.handle.ask({ request: 'configure', ...wish }); }
}

/**
 * One PeerConnection that brings streams of one or more publishers. Wishes that come together go in one request;
 * `on.streams(list)` hears after each round what comes in which m-line, each with its `track`.
 */
export class Subscription {
  constructor(janus, me, on) {
    Object.assign(this, { janus, me, on, handle: null, streams: [], wish: null, closed: false });
    this.rounds = Promise.resolve();
  }

  get pc() { return this.handle?.pc ?? null; }

  /** Adds `subscribe` (`[{feed, mid}]`) and takes `unsubscribe` (`[{sub_mid}]`) away. */
  change({ subscribe = [], unsubscribe = [] }) {
    if (!this.wish) {
      this.wish = { subscribe: [], unsubscribe: [] };
      this.rounds = this.rounds.then(() => this.#send()).catch((problem) => { log(`subscription: ${words(problem)}`); });
    }
    this.wish.subscribe.push(...subscribe);
    this.wish.unsubscribe.push(...unsubscribe);
  }

  /** Takes a stream anew, with none of the wishes it had: so its layers follow the network again. */
  renew({ mid, feed_id: feed, feed_mid }) {
    this.change({ unsubscribe: [{ sub_mid: mid }], subscribe: [{ feed, mid: feed_mid }] });
  }

  async #send() {
    const { subscribe, unsubscribe } = this.wish;
    this.wish = null;
    if (this.closed) return;
    if (!this.handle) return void await this.#join(subscribe);
    if (subscribe.length === 0) await this.handle.ask({ request: 'unsubscribe', streams: unsubscribe });
    else if (unsubscribe.length === 0) await this.handle.ask({ request: 'subscribe', streams: subscribe });
    else await this.handle.ask({ request: 'update', subscribe, unsubscribe });
  }

  async #join(streams) {
    const handle = await Handle.attach(this.janus, { event: (message, jsep) => this.#event(message, jsep) });
    const body = { request: 'join', ptype: 'subscriber', room: this.me.room, private_id: this.me.joined.private_id, streams };
    if (this.me.pin) body.pin = this.me.pin;
    this.handle = handle;
    try {
      await handle.ask(body);
    } catch (problem) {
      this.handle = null;
      handle.detach();
      throw problem;
    }
    if (this.closed) handle.detach();
  }

  #event(message, jsep) {
    if (message.mid !== undefined && !message.moderation) this.on.layer?.(message);
    if (jsep) this.#answer(message, jsep).catch((problem) => { log(`subscription: ${words(problem)}`); });
  }

  async #answer(message, jsep) {
    if (this.closed) return;
    const answer = await this.handle.answer(jsep);
    if (this.closed) return;
    const transceivers = this.pc.getTransceivers();
    this.streams = (message.streams ?? this.streams).map((stream) => ({
      ...stream, track: transceivers.find((transceiver) => transceiver.mid === stream.mid)?.receiver.track,
    }));
    this.on.streams(this.streams);
    await this.handle.ask({ request: 'start' }, answer);
  }

  /** Sets layers or `send` of m-lines of this subscription: `[{mid, ...}]`. */
  configure(streams) {
    return this.handle.ask({ request: 'configure', streams });
  }

  close() {
    this.closed = true;
    this.handle?.detach();
  }
}

/** What getStats says of what comes in: `{roundTrip, byMid}`; times in seconds, the round trip in milliseconds or null. */
export async function incoming(pc) {
  const report = await pc.getStats();
  const result = { at: performance.now() / 1000, roundTrip: null, byMid: new Map() };
  let transport = null;
  report.forEach((entry) => { if (entry.type === 'transport') transport = entry; });
  report.forEach((entry) => {
    if (entry.type === 'inbound-rtp') {
      result.byMid.set(entry.mid, { ...entry, codec: report.get(entry.codecId)?.mimeType.split('/')[1] });
    }
    const chosen = transport ? entry.id === transport.selectedCandidatePairId : entry.selected;
    if (entry.type === 'candidate-pair' && chosen && entry.currentRoundTripTime !== undefined) {
      result.roundTrip = entry.currentRoundTripTime * 1000;
    }
  });
  return result;
}
