// One echo call by way of the published janus.js, with everything it tells kept in `events`.
// Tests drive it through `window.call`; each step is a promise that ends.

'use strict';

window.call = (() => {
  const events = [];
  let janus = null;
  let handle = null;
  let answers = [];
  let held = null;
  let offered = null;

  const note = (kind, detail = {}) => events.push({ at: Math.round(performance.now()), kind, ...detail });

  function within(ms, what, begin) {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
      begin(
        (value) => { clearTimeout(late); resolve(value); },
        (error) => { clearTimeout(late); reject(new Error(`${what}: ${error && error.message ? error.message : error}`)); },
      );
    });
  }

  /** Opens a session and attaches to a plugin. `hideCandidates` keeps our candidates from the gateway. */
  async function open({ server, plugin = 'janus.plugin.echotest', hideCandidates = false, apisecret }) {
    const dependencies = Janus.useDefaultDependencies({ fetch: hideCandidates ? fetchWithoutCandidates : fetch });
    await within(5000, 'Janus.init', (done) => Janus.init({ debug: ['warn', 'error'], dependencies, callback: done }));
    await within(10000, 'session', (success, error) => {
      janus = new Janus({ server, apisecret, iceServers: [], success, error, destroyed: () => note('destroyed') });
    });
    handle = await within(10000, 'attach', (success, error) => janus.attach({
      plugin,
      opaqueId: `test-${Janus.randomString(8)}`,
      success,
      error,
      webrtcState: (up, reason) => note('webrtc', { up, reason }),
      connectionState: (state) => note('connection', { state }),
      iceState: (state) => note('ice', { state }),
      mediaState: (medium, receiving, mid, substream) => note('media', { medium, receiving, mid, substream }),
      slowLink: (uplink, lost, mid) => note('slowlink', { uplink, lost, mid }),
      onmessage,
      onlocaltrack: (track, on) => note('local', { track: track.kind, on }),
      onremotetrack,
      ondataopen: (label) => note('dataopen', { label }),
      ondata: (data, label) => note('data', { data: typeof data === 'string' ? data : '(binary)', label }),
      oncleanup: () => note('cleanup'),
      ondetached: () => note('detached'),
    }));
    return { session: janus.getSessionId(), handle: handle.getId() };
  }

  function onmessage(message, jsep) {
    note('message', { message, jsep: jsep ? jsep.type : undefined });
    // An offer of somebody's, that came by way of the gateway: it answers nothing.
    if (jsep && jsep.type === 'offer') {
      offered = jsep;
      return;
    }
    if (!jsep && !message.error) return;
    const waiting = answers;
    answers = [];
    waiting.forEach((take) => (jsep ? take(jsep) : take(null, `${message.error_code} ${message.error}`)));
  }

  function onremotetrack(track, mid, on, metadata) {
    note('remote', { track: track.kind, mid, on, reason: metadata ? metadata.reason : undefined });
    if (!on) return;
    const element = document.getElementById(track.kind === 'video' ? 'remote' : 'sound');
    if (element.srcObject && element.srcObject.getTracks()[0] === track) return;
    element.srcObject = new MediaStream([track]);
    element.play().catch((error) => note('play', { error: error.message }));
  }

  /**
   * Offers, sends the offer with `body`, applies the answer. `munge` names a change of the offer (see `munges`);
   * `relayPort` sends our media to that port instead of the gateway's; `holdAnswer` leaves the answer to `applyAnswer`.
   */
  async function offer({ tracks, body = {}, trickle = true, munge, relayPort, holdAnswer = false, iceRestart = false }) {
    const sent = {};
    const jsep = await within(15000, 'createOffer', (success, error) => handle.createOffer({
      tracks,
      trickle,
      iceRestart,
      customizeSdp: (own) => { if (munge) own.sdp = munges[munge](own.sdp); },
      // Without trickle the first call of `success` is empty: the description follows with its candidates.
      success: (own) => { if (own) success(own); },
      error,
    }));
    sent.offer = jsep.sdp;
    let applied = null;
    sent.answer = await within(15000, 'answer', (success, error) => {
      answers.push((got, problem) => {
        if (!got) return error(problem);
        held = relayPort ? { ...got, sdp: redirected(got.sdp, relayPort) } : got;
        // At once, as pages do: candidates may follow within the same poll.
        if (!holdAnswer) applied = applyAnswer();
        return success(got.sdp);
      });
      handle.send({ message: body, jsep, error });
    });
    await applied;
    return sent;
  }

  /** Answers the offer that came last, in a message with this body. */
  async function answer({ tracks, body }) {
    const jsep = await within(15000, 'createAnswer', (success, error) => handle.createAnswer({ jsep: offered, tracks, success, error }));
    await within(10000, 'message', (success, error) => handle.send({ message: body, jsep, success, error }));
    return { offer: offered.sdp, answer: jsep.sdp };
  }

  function applyAnswer() {
    const jsep = held;
    return within(10000, 'setRemoteDescription', (success, error) => handle.handleRemoteJsep({ jsep, success, error }));
  }

  /** Sends a body without a jsep; ends when the gateway has acknowledged it. */
  function message(body) {
    return within(10000, 'message', (success, error) => handle.send({ message: body, success, error }));
  }

  function data(text) {
    return within(10000, 'data', (success, error) => handle.data({ text, success, error }));
  }

  /** Ends the call but keeps the handle. */
  function hangup() {
    handle.hangup(true);
  }

  function detach() {
    return within(10000, 'detach', (success, error) => handle.detach({ success, error }));
  }

  function destroy() {
    if (!janus || !janus.isConnected()) return undefined;
    return within(10000, 'destroy', (success, error) => janus.destroy({ success, error }));
  }

  // --- what is seen ---

  let firstColour = null;

  /**
   * The remote picture: its size, how unlike each other its points are (`spread`, 0 is one flat colour), and how far
   * its mean colour has moved since it was first looked at (`moved`; Firefox's fake camera is a flat, changing colour).
   */
  function picture() {
    const video = document.getElementById('remote');
    const { videoWidth: width, videoHeight: height } = video;
    if (!width || video.readyState < 2) return { width: 0, height: 0, spread: 0, moved: 0 };
    const canvas = new OffscreenCanvas(64, 48);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(video, 0, 0, 64, 48);
    const { data: bytes } = context.getImageData(0, 0, 64, 48);
    const points = bytes.length / 4;
    const colour = [0, 0, 0];
    const grey = [];
    for (let i = 0; i < bytes.length; i += 4) {
      for (let c = 0; c < 3; c += 1) colour[c] += bytes[i + c] / points;
      grey.push((bytes[i] + bytes[i + 1] + bytes[i + 2]) / 3);
    }
    const mean = grey.reduce((sum, v) => sum + v, 0) / points;
    const spread = Math.round(Math.sqrt(grey.reduce((sum, v) => sum + (v - mean) ** 2, 0) / points));
    firstColour ??= colour;
    const moved = Math.round(Math.max(...colour.map((v, c) => Math.abs(v - firstColour[c]))));
    return { width, height, spread, moved };
  }

  /** What getStats says, one object per stream: `{at, in: {audio, video}, out: {audio, video: [..]}, far, pair}`. */
  async function stats() {
    const pc = handle.webrtcStuff.pc;
    if (!pc) return null;
    const report = await pc.getStats();
    const codecs = new Map();
    const result = { at: performance.now(), in: {}, out: { audio: [], video: [] }, far: { audio: [], video: [] }, pair: null };
    report.forEach((entry) => { if (entry.type === 'codec') codecs.set(entry.id, entry); });
    const named = (entry) => ({ ...entry, codec: codecs.has(entry.codecId) ? codecs.get(entry.codecId).mimeType.toLowerCase() : null });
    report.forEach((entry) => {
      if (entry.type === 'inbound-rtp') result.in[entry.kind] = named(entry);
      if (entry.type === 'outbound-rtp') result.out[entry.kind].push(named(entry));
      if (entry.type === 'remote-inbound-rtp') result.far[entry.kind].push(entry);
      if (entry.type === 'transport') result.transport = entry;
    });
    report.forEach((entry) => {
      const chosen = result.transport ? entry.id === result.transport.selectedCandidatePairId : entry.selected;
      if (entry.type === 'candidate-pair' && chosen) {
        result.pair = {
          ...entry,
          remote: report.get(entry.remoteCandidateId),
          local: report.get(entry.localCandidateId),
        };
      }
    });
    return result;
  }

  // --- offers and answers, changed ---

  /** The gateway's candidates replaced by one at our relay, at the first candidate's address. */
  function redirected(sdp, port) {
    return sdp.split('\r\n').filter((line) => !/^a=candidate:.* tcp /i.test(line)).map((line) => {
      const parts = line.split(' ');
      if (line.startsWith('a=candidate:')) parts[5] = String(port);
      return parts.join(' ');
    }).join('\r\n');
  }

  const munges = {
    /** Three layers by `a=ssrc-group:SIM`, as browsers offered before rids. */
    legacySimulcast: (sdp) => {
      const sections = sdp.split(/(?=^m=)/m);
      return sections.map((section) => (section.startsWith('m=video') ? withLayers(section, 3) : section)).join('');
    },
    /** No retransmission streams: lost packets come again as they were. */
    withoutRtx: (sdp) => sdp.split(/(?=^m=)/m)
      .map((section) => (section.startsWith('m=video') ? withoutRtx(section) : section)).join(''),
  };

  function withLayers(section, layers) {
    const fid = /^a=ssrc-group:FID (\d+) (\d+)\r\n/m.exec(section);
    const cname = /^a=ssrc:\d+ cname:(.*)\r\n/m.exec(section);
    const msid = /^a=msid:(.*)\r\n/m.exec(section);
    if (!fid || !cname || !msid) throw new Error('the video section has no SSRC group to copy');
    const media = Number(fid[1]);
    const repair = Number(fid[2]);
    const plain = section.replace(/^a=ssrc(-group)?:.*\r\n/gm, '');
    const lines = [];
    const ssrcs = Array.from({ length: layers }, (_, i) => [media + i, repair + i]);
    ssrcs.flat().forEach((ssrc) => lines.push(`a=ssrc:${ssrc} cname:${cname[1]}`, `a=ssrc:${ssrc} msid:${msid[1]}`));
    ssrcs.forEach(([m, r]) => lines.push(`a=ssrc-group:FID ${m} ${r}`));
    lines.push(`a=ssrc-group:SIM ${ssrcs.map(([m]) => m).join(' ')}`);
    return `${plain}${lines.join('\r\n')}\r\n`;
  }

  function withoutRtx(section) {
    const repair = [...section.matchAll(/^a=rtpmap:(\d+) rtx\/90000\r\n/gm)].map((match) => match[1]);
    const fid = /^a=ssrc-group:FID \d+ (\d+)\r\n/m.exec(section);
    const lines = section.split('\r\n').filter((line) => {
      const type = /^a=(?:rtpmap|fmtp|rtcp-fb):(\d+) /.exec(line);
      if (type && repair.includes(type[1])) return false;
      if (fid && line.startsWith(`a=ssrc:${fid[1]} `)) return false;
      return !line.startsWith('a=ssrc-group:FID ');
    });
    lines[0] = lines[0].split(' ').filter((part, i) => i < 3 || !repair.includes(part)).join(' ');
    return lines.join('\r\n');
  }

  async function fetchWithoutCandidates(url, options) {
    const body = options && options.body ? JSON.parse(options.body) : null;
    if (body && body.janus === 'trickle' && body.candidate && !body.candidate.completed) {
      return new Response(JSON.stringify({ janus: 'ack', transaction: body.transaction }));
    }
    return fetch(url, options);
  }

  return { events, open, offer, answer, applyAnswer, message, data, hangup, detach, destroy, picture, stats, connection: () => handle.webrtcStuff.pc };
})();
