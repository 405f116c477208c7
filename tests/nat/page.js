// A client in the page, by way of the published janus.js: an echo call, a publisher, a subscriber. Signalling takes time
// each way, as a real path's would; the rows that hold candidates or answers do it here, where a page would.

'use strict';

window.nat = (() => {
  const events = [];
  const began = performance.now();
  let options = {};
  let janus = null;
  let handle = null;
  let camera = null;
  let replies = [];
  let answerSent = null;
  const answerIsSent = new Promise((resolve) => { answerSent = resolve; });

  const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  const note = (kind, detail = {}) => events.push({ at: Math.round(performance.now() - began), kind, ...detail });

  function within(ms, what, begin) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
      begin(
        (value) => { clearTimeout(late); resolve(value); },
        (error) => { clearTimeout(late); reject(new Error(`${what}: ${error && error.message ? error.message : error}`)); },
      );
    });
  }

  /**
   * The path of signalling: `latencyMs` each way; with `answerDelayMs` an answer and what follows it are later still,
   * with `trickleDelayMs` our candidates.
   */
  async function slowFetch(url, request = {}) {
    const body = request.body ? JSON.parse(request.body) : {};
    const isAnswer = body.jsep && body.jsep.type === 'answer';
    const late = (isAnswer || body.janus === 'trickle' ? options.answerDelayMs ?? 0 : 0) + (body.janus === 'trickle' ? options.trickleDelayMs ?? 0 : 0);
    await sleep((options.latencyMs ?? 0) + late);
    if (body.janus === 'trickle') note('sent', { candidate: body.candidate.candidate ?? 'completed' });
    if (isAnswer) {
      note('answer sent');
      answerSent();
    }
    const answer = await fetch(url, request);
    await sleep(options.latencyMs ?? 0);
    return answer;
  }

  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration) {
      super(configuration);
      this.addEventListener('icecandidateerror', ({ errorCode, errorText, url }) => note('server', { errorCode, errorText, url }));
    }
  };

  /** Remote candidates wait here: `holdMs`, or until so long after the answer was sent. */
  const addIceCandidate = RTCPeerConnection.prototype.addIceCandidate;
  RTCPeerConnection.prototype.addIceCandidate = async function add(candidate) {
    if (options.holdMs) await sleep(options.holdMs);
    if (options.holdUntilAnswerMs !== undefined) {
      await answerIsSent;
      await sleep(options.holdUntilAnswerMs);
    }
    note('remote', { candidate: candidate && candidate.candidate ? candidate.candidate : 'completed' });
    return addIceCandidate.call(this, candidate);
  };

  /** Opens a session and attaches. The camera comes first: with its permission host candidates are addresses, not mDNS names. */
  async function open(wish) {
    options = wish;
    camera = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 240, frameRate: 15 } });
    const dependencies = Janus.useDefaultDependencies({ fetch: slowFetch });
    await within(5000, 'Janus.init', (done) => Janus.init({ debug: ['warn', 'error'], dependencies, callback: done }));
    await within(10000, 'session', (success, error) => {
      janus = new Janus({
        server: options.server, iceServers: options.iceServers ?? [], iceTransportPolicy: options.relayOnly ? 'relay' : 'all',
        success, error, destroyed: () => note('destroyed'),
      });
    });
    handle = await within(10000, 'attach', (success, error) => janus.attach({
      plugin: options.plugin,
      success,
      error,
      webrtcState: (up, reason) => note('webrtc', { up, reason }),
      iceState: (state) => note('ice', { state }),
      onmessage: (message, jsep) => {
        const told = jsep && message.result?.event;
        if (told === 'incomingcall') return void pickUp(jsep).catch((error) => note('pick-up', { error: error.message }));
        if (told === 'accepted') return void answered(jsep);
        const waiting = replies;
        replies = [];
        waiting.forEach((take) => take({ message, jsep }));
      },
      onremotetrack: (track, mid, on) => { if (on) show(track); },
    }));
    return { session: janus.getSessionId(), handle: handle.getId() };
  }

  function show(track) {
    const element = document.createElement(track.kind);
    Object.assign(element, { autoplay: true, muted: true, srcObject: new MediaStream([track]) });
    document.body.append(element);
    element.play().catch((error) => note('play', { error: error.message }));
  }

  /** Sends a request and ends with the event that answers it. */
  function ask(message, jsep) {
    return within(10000, JSON.stringify(message), (resolve, reject) => {
      replies.push((reply) => (reply.message.error ? reject(`${reply.message.error_code} ${reply.message.error}`) : resolve(reply)));
      handle.send({ message, jsep, error: reject });
    });
  }

  const request = (message) => within(10000, JSON.stringify(message), (success, error) => handle.send({ message, success, error }));

  const tracks = (receive) => [
    { type: 'audio', capture: camera.getAudioTracks()[0], recv: receive },
    { type: 'video', capture: camera.getVideoTracks()[0], recv: receive },
  ];

  async function offer(message, receive) {
    const jsep = await within(10000, 'createOffer', (success, error) => handle.createOffer({ tracks: tracks(receive), success, error }));
    const reply = await ask(message, jsep);
    await within(10000, 'setRemoteDescription', (success, error) => handle.handleRemoteJsep({ jsep: held(reply.jsep), success, error }));
  }

  // A call between two: whoever is registered answers whoever calls.

  let answered = null;

  const register = (name) => ask({ request: 'register', username: name });

  async function dial(name) {
    started();
    const jsep = await within(10000, 'createOffer', (success, error) => handle.createOffer({ tracks: tracks(true), success, error }));
    const answer = new Promise((resolve) => { answered = resolve; });
    await ask({ request: 'call', username: name }, jsep);
    const theirs = await within(10000, 'an answer', (resolve) => answer.then(resolve));
    await within(10000, 'setRemoteDescription', (success, error) => handle.handleRemoteJsep({ jsep: held(theirs), success, error }));
  }

  async function pickUp(jsep) {
    started();
    const answer = await within(10000, 'createAnswer', (success, error) => handle.createAnswer({ jsep: held(jsep), tracks: tracks(true), success, error }));
    await ask({ request: 'accept' }, answer);
  }

  const echo = () => {
    started();
    return offer({ audio: true, video: true }, true);
  };

  async function publish(room) {
    await ask({ request: 'join', ptype: 'publisher', room, display: 'publisher' });
    await offer({ request: 'publish' }, false);
  }

  async function subscribe(room) {
    const { participants } = await request({ request: 'listparticipants', room });
    const feed = participants.find((one) => one.publisher).id;
    started();
    const { jsep } = await ask({ request: 'join', ptype: 'subscriber', room, streams: [{ feed }] });
    note('offer', { candidates: (jsep.sdp.match(/^a=candidate:/gm) ?? []).length });
    const answer = await within(10000, 'createAnswer', (success, error) => handle.createAnswer({ jsep: held(jsep), tracks: [], success, error }));
    await ask({ request: 'start' }, answer);
  }

  /** Candidates inside a description would escape the hold: they are added as if they had come one by one. */
  function held(jsep) {
    if (!options.holdMs && options.holdUntilAnswerMs === undefined) return jsep;
    const lines = jsep.sdp.split('\r\n');
    const candidates = lines.filter((line) => line.startsWith('a=candidate:'));
    setTimeout(() => candidates.forEach((line) => handle.webrtcStuff.pc.addIceCandidate({ candidate: line.slice(2), sdpMLineIndex: 0 })), 0);
    return { ...jsep, sdp: lines.filter((line) => !/^a=(candidate|end-of-candidates)/.test(line)).join('\r\n') };
  }

  // --- what is seen ---

  let start = 0;
  let first = null;
  const started = () => { start = performance.now(); };

  /** What has come: frames decoded, packets of sound, the pair in use, and after how long the first frame was there. */
  async function look() {
    const pc = handle && handle.webrtcStuff.pc;
    if (!pc) return { frames: 0, sound: 0, sent: 0, pair: null, ice: null };
    const seen = { frames: 0, sound: 0, sent: 0, pair: null, ice: pc.iceConnectionState };
    const report = await pc.getStats();
    report.forEach((entry) => {
      if (entry.type === 'inbound-rtp' && entry.kind === 'video') seen.frames += entry.framesDecoded ?? 0;
      if (entry.type === 'inbound-rtp' && entry.kind === 'audio') seen.sound += entry.packetsReceived ?? 0;
      if (entry.type === 'outbound-rtp') seen.sent += entry.packetsSent ?? 0;
      if (entry.type === 'transport' && entry.selectedCandidatePairId) {
        const pair = report.get(entry.selectedCandidatePairId);
        const [here, there] = [report.get(pair.localCandidateId), report.get(pair.remoteCandidateId)];
        seen.pair = `${told(here)} <-> ${told(there)}`;
        seen.relayProtocol = here.relayProtocol;
      }
    });
    if (seen.frames > 0 && first === null) first = performance.now() - start;
    seen.firstMs = first === null ? null : Math.round(first);
    return seen;
  }

  const told = (candidate) => `${candidate.candidateType} ${candidate.address}:${candidate.port}`;

  /** Ends when `frames` frames and `sound` packets more have come, or with `null` after `ms`. */
  async function flows({ frames = 8, sound = 15, ms }) {
    const before = await look();
    for (const end = performance.now() + ms; performance.now() < end;) {
      const now = await look();
      if (now.frames >= before.frames + frames && now.sound >= before.sound + sound) return now;
      await sleep(50);
    }
    return null;
  }

  async function up(ms) {
    for (const end = performance.now() + ms; performance.now() < end;) {
      if (events.some((event) => event.kind === 'webrtc' && event.up)) return true;
      await sleep(50);
    }
    return false;
  }

  function leave() {
    if (camera) camera.getTracks().forEach((track) => track.stop());
    if (!janus || !janus.isConnected()) return undefined;
    return within(5000, 'destroy', (success, error) => janus.destroy({ success, error }));
  }

  return { events, open, register, dial, echo, publish, subscribe, look, flows, up, leave };
})();
