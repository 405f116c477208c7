// People in video rooms by way of the published janus.js: one session, any number of handles by name, everything the
// gateway tells kept in `events`. Tests drive it through `window.room`; each step is a promise that ends.

'use strict';

window.room = (() => {
  const PLUGIN = 'janus.plugin.videoroom';
  const events = [];
  const people = new Map();
  let janus = null;
  let hidden = false;

  const changed = (m) => m.videoroom === 'updated' || m.videoroom === 'updating';
  const ANSWERS = {
    join: (m) => m.videoroom === 'joined' || m.videoroom === 'attached',
    joinandconfigure: (m) => m.videoroom === 'joined',
    configure: (m) => m.configured === 'ok',
    publish: (m) => m.configured === 'ok',
    unpublish: (m) => m.unpublished === 'ok',
    leave: (m) => m.leaving === 'ok' || m.left === 'ok',
    start: (m) => m.started === 'ok',
    pause: (m) => m.paused === 'ok',
    switch: (m) => m.switched === 'ok',
    subscribe: changed,
    unsubscribe: changed,
    update: changed,
  };

  const note = (kind, who, detail = {}) => events.push({ at: Math.round(performance.now()), kind, who, ...detail });

  function within(ms, what, begin) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
      begin(
        (value) => { clearTimeout(late); resolve(value); },
        (error) => { clearTimeout(late); reject(new Error(`${what}: ${error && error.message ? error.message : error}`)); },
      );
    });
  }

  /** Opens the session. `hideCandidates` keeps our candidates from the gateway. */
  async function open({ server, hideCandidates = false }) {
    hidden = hideCandidates;
    const dependencies = Janus.useDefaultDependencies({ fetch: fetchPerhapsWithoutCandidates });
    await within(5000, 'Janus.init', (done) => Janus.init({ debug: ['warn', 'error'], dependencies, callback: done }));
    await within(10000, 'session', (success, error) => {
      janus = new Janus({ server, iceServers: [], success, error, destroyed: () => note('destroyed') });
    });
    return { session: janus.getSessionId() };
  }

  /** A handle under a name. `relayPort` takes our media by that port instead of the gateway's. */
  async function attach(who, { relayPort } = {}) {
    const one = { who, relayPort, waiting: null, last: Promise.resolve(), answering: Promise.resolve(), streams: [], watched: new Map(), media: new Map() };
    one.handle = await within(10000, `attach ${who}`, (success, error) => janus.attach({
      plugin: PLUGIN,
      opaqueId: `test-${Janus.randomString(8)}`,
      success,
      error,
      webrtcState: (up, reason) => note('webrtc', who, { up, reason }),
      mediaState: (medium, receiving, mid) => note('media', who, { medium, receiving, mid }),
      slowLink: (uplink, lost, mid) => note('slowlink', who, { uplink, lost, mid }),
      onmessage: (message, jsep) => take(one, message, jsep),
      onremotetrack: (track, mid, on, about) => note('remote', who, { track: track.kind, mid, on, reason: about ? about.reason : undefined }),
      ondataopen: (label) => note('dataopen', who, { label }),
      ondata: async (data, label) => note('data', who, { label, data: typeof data === 'string' ? data : [...new Uint8Array(data.arrayBuffer ? await data.arrayBuffer() : data)] }),
      oncleanup: () => note('cleanup', who),
      ondetached: () => note('detached', who),
    }));
    people.set(who, one);
    return one.handle.getId();
  }

  function take(one, message, jsep) {
    note('message', one.who, { message, jsep: jsep ? jsep.type : undefined });
    const { waiting } = one;
    if (waiting && (message.error_code || waiting.fits(message))) {
      one.waiting = null;
      waiting.done({ message, jsep });
    }
    if (jsep && jsep.type === 'offer') one.answering = one.answering.then(() => answer(one, message, jsep));
  }

  /** The plugin's answer to a request, errors too: `{message, jsep}`. */
  function exchange(one, body, jsep) {
    const answered = one.last.then(() => within(15000, `${one.who}: ${body.request}`, (resolve, reject) => {
      one.waiting = { fits: ANSWERS[body.request] ?? (() => false), done: resolve };
      one.handle.send({
        message: body,
        jsep,
        error: reject,
        success: (data) => {
          if (!data) return;
          one.waiting = null;
          resolve({ message: data });
        },
      });
    }));
    one.last = answered.catch(() => {});
    return answered;
  }

  /** A request and its answer; with an offer of the gateway, ends after our answer to it. An error is thrown. */
  async function ask(who, body) {
    const one = people.get(who);
    const { message, jsep } = await exchange(one, body);
    if (message.error_code) throw new Error(`${body.request}: ${message.error_code} ${message.error}`);
    if (jsep) await one.answering;
    return message;
  }

  /** What an error answers: `{code, error}`, or the whole answer where there is none. */
  async function refusal(who, body) {
    const { message } = await exchange(people.get(who), body);
    return message.error_code ? { code: message.error_code, error: message.error } : { unexpected: message };
  }

  // --- publishing ---

  function captured(one, list) {
    return list.map(({ camera, microphone, ...track }) => {
      if (camera) track.capture = window.media.camera(camera);
      if (microphone) track.capture = window.media.microphone(microphone);
      if (camera || microphone) one.media.set(camera ? 'camera' : 'microphone', track.capture);
      return { recv: false, ...track };
    });
  }

  /** Offers `tracks` with `body`, applies the answer; gives the plugin's message and both descriptions. */
  async function publish(who, { tracks = [], body = {}, e2ee = false, iceRestart = false } = {}) {
    const one = people.get(who);
    const jsep = await within(15000, 'createOffer', (success, error) => one.handle.createOffer({
      tracks: captured(one, tracks), iceRestart, externalEncryption: e2ee, success, error,
    }));
    const { message, jsep: back } = await exchange(one, { request: 'publish', ...body }, jsep);
    if (message.error_code) throw new Error(`publish: ${message.error_code} ${message.error}`);
    await within(10000, 'setRemoteDescription', (success, error) => one.handle.handleRemoteJsep({ jsep: back, success, error }));
    return { message, offer: jsep.sdp, answer: back.sdp, e2ee: back.e2ee === true };
  }

  /** Attaches, joins as a publisher and, with `tracks`, publishes; ends when media may flow. */
  async function enter(who, { room, tracks, join = {}, body = {}, e2ee }) {
    await attach(who);
    const joined = await ask(who, { request: 'join', ptype: 'publisher', room, display: who, ...join });
    people.get(who).id = joined.id;
    let published = null;
    if (tracks) {
      published = await publish(who, { tracks, body, e2ee });
      await event(who, 'webrtc', { up: true });
    }
    return { joined, published };
  }

  // --- subscribing ---

  /** Attaches and joins as a subscriber; ends after our answer. */
  async function watch(who, { room, relayPort, ...join }) {
    await attach(who, { relayPort });
    return ask(who, { request: 'join', ptype: 'subscriber', room, ...join });
  }

  async function answer(one, message, jsep) {
    const offered = one.relayPort ? { ...jsep, sdp: redirected(jsep.sdp, one.relayPort) } : jsep;
    const tracks = /^m=application /m.test(jsep.sdp) ? [{ type: 'data' }] : undefined;
    const externalEncryption = jsep.e2ee === true;
    const back = await within(15000, 'createAnswer', (success, error) => one.handle.createAnswer({ jsep: offered, tracks, externalEncryption, success, error }));
    one.offer = jsep;
    // The offer of an ICE restart names no streams: they are as they were.
    one.streams = message.streams ?? one.streams;
    for (const transceiver of one.handle.webrtcStuff.pc.getTransceivers()) follow(one, transceiver);
    const started = await exchange(one, { request: 'start' }, back);
    if (started.message.error_code) note('trouble', one.who, { started: started.message });
  }

  function follow(one, { mid, receiver: { track } }) {
    if (one.watched.has(mid)) return;
    if (track.kind === 'video') return void one.watched.set(mid, window.media.watch(track));
    // Only what is played is decoded to the end.
    const element = new Audio();
    element.srcObject = new MediaStream([track]);
    element.play().catch((error) => note('play', one.who, { error: error.message }));
    one.watched.set(mid, { element, track });
  }

  /** The gateway's candidates replaced by one at our relay, at the first candidate's address. */
  function redirected(sdp, port) {
    return sdp.split('\r\n').filter((line) => !/^a=candidate:.* tcp /i.test(line)).map((line) => {
      const parts = line.split(' ');
      if (line.startsWith('a=candidate:')) parts[5] = String(port);
      return parts.join(' ');
    }).join('\r\n');
  }

  // --- what is seen ---

  /** The m-lines of a subscription: what the gateway says of each, and the frames seen, by mid. */
  function seen(who) {
    const one = people.get(who);
    return one.streams.map((stream) => {
      const { frames, first, last, gap, width, height } = one.watched.get(stream.mid) ?? {};
      return { ...stream, frames, first, last, gap, width, height };
    });
  }

  /** The m-line of a subscription that brings `type` of `feed`. */
  function line(who, feed, type = 'video') {
    return seen(who).find((stream) => stream.active && stream.feed_id === feed && stream.type === type) ?? null;
  }

  const colour = (who, mid) => people.get(who).watched.get(mid).colour();

  const pitch = (who, mid) => window.media.pitch(people.get(who).watched.get(mid).track);

  /** From now on the longest pause between frames is counted anew. */
  function forgetGaps(who) {
    for (const watched of people.get(who).watched.values()) Object.assign(watched, { gap: 0, last: performance.now() });
  }

  /** What getStats says: `{in: {mid: {...}}, out: [...]}`. */
  async function stats(who) {
    const { pc } = people.get(who).handle.webrtcStuff;
    if (!pc) return null;
    const report = await pc.getStats();
    const result = { at: performance.now(), in: {}, out: [] };
    const named = (entry) => ({ ...entry, codec: report.get(entry.codecId)?.mimeType.toLowerCase() ?? null });
    report.forEach((entry) => {
      if (entry.type === 'inbound-rtp') result.in[entry.mid] = named(entry);
      if (entry.type === 'outbound-rtp') result.out.push(named(entry));
    });
    return result;
  }

  /** Ends with the first event of that kind with these fields, past or coming. */
  async function event(who, kind, fields = {}, ms = 10000) {
    const fits = (e) => e.kind === kind && e.who === who && Object.entries(fields).every(([name, value]) => (e.message?.[name] ?? e[name]) === value);
    const until = performance.now() + ms;
    for (;;) {
      const found = events.find(fits);
      if (found) return found;
      if (performance.now() > until) throw new Error(`${who}: no event ${kind} ${JSON.stringify(fields)} within ${ms} ms`);
      await new Promise((resolve) => { setTimeout(resolve, 10); });
    }
  }

  // --- other acts ---

  const loudness = (who, value) => people.get(who).media.get('microphone').loudness(value);

  function data(who, text) {
    const given = Array.isArray(text) ? { data: Uint8Array.from(text).buffer } : { text };
    return within(10000, 'data', (success, error) => people.get(who).handle.data({ ...given, success, error }));
  }

  const hangup = (who) => people.get(who).handle.hangup(true);

  function detach(who) {
    return within(10000, 'detach', (success, error) => people.get(who).handle.detach({ success, error }));
  }

  function destroy() {
    window.media.end();
    if (!janus || !janus.isConnected()) return undefined;
    return within(10000, 'destroy', (success, error) => janus.destroy({ success, error }));
  }

  async function fetchPerhapsWithoutCandidates(url, options) {
    const body = hidden && options && options.body ? JSON.parse(options.body) : null;
    if (body && body.janus === 'trickle' && body.candidate && !body.candidate.completed) {
      return new Response(JSON.stringify({ janus: 'ack', transaction: body.transaction }));
    }
    return fetch(url, options);
  }

  return {
    events, open, attach, ask, refusal, publish, enter, watch, seen, line, colour, pitch, forgetGaps, stats, event, loudness, data,
    hangup, detach, destroy, offer: (who) => people.get(who).offer,
  };
})();

// What every test's tab asks of its page.
window.call = window.room;
