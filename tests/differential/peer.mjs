// The browser's end of a connection, driven from outside: it makes and takes descriptions, the requests go by a Party.

import { closeBrowser, newTab } from '../browser/harness/chromium.mjs';

export { closeBrowser };

/** One tab holds the peers of a case. */
export async function withPeers(run) {
  const tab = await newTab();
  try {
    await tab.goto('about:blank');
    await tab.run(INSIDE);
    await run((options) => Peer.open(tab, options));
  } finally {
    await tab.close();
  }
}

class Peer {
  static async open(tab, options = {}) {
    return new Peer(tab, await tab.run((o) => window.peers.open(o), options));
  }

  constructor(tab, id) {
    Object.assign(this, { tab, id });
  }

  /** Adds what is to be sent (`['audio', 'video', 'data', 'simulcast']`, or 'layers' of a large picture; 'voice' and 'face' both ways) and offers. */
  offer(kinds = []) { return this.tab.run(([id, list]) => window.peers.offer(id, list), [this.id, kinds]); }

  accept(jsep) { return this.tab.run(([id, answer]) => window.peers.accept(id, answer), [this.id, jsep]); }

  answer(jsep) { return this.tab.run(([id, offer]) => window.peers.answer(id, offer), [this.id, jsep]); }

  restart() { return this.tab.run((id) => window.peers.restart(id), this.id); }

  close() { return this.tab.run((id) => window.peers.close(id), this.id); }

  /** Sends nothing any more, or again what it did. */
  mute(still) { return this.tab.run(([id, value]) => window.peers.mute(id, value), [this.id, still]); }

  /** A message of the data channel, as text or, from a list, as bytes; waits until it is open. */
  send(message) { return this.tab.run(([id, value]) => window.peers.send(id, value), [this.id, message]); }

  /** Until DTLS is up. */
  up() { return this.tab.until('a connection', 10_000, (id) => window.peers.state(id) === 'connected', this.id); }
}

function INSIDE() {
  const peers = [];
  const gathered = (pc) => (pc.iceGatheringState === 'complete' ? Promise.resolve() : new Promise((resolve) => {
    const late = setTimeout(resolve, 1500);
    pc.addEventListener('icegatheringstatechange', () => { if (pc.iceGatheringState === 'complete') { clearTimeout(late); resolve(); } });
  }));

  function sound() {
    const context = new AudioContext();
    const [tone, out] = [context.createOscillator(), context.createMediaStreamDestination()];
    tone.connect(out);
    tone.start();
    return out.stream.getAudioTracks()[0];
  }

  function picture(width = 320, height = 180) {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const paint = canvas.getContext('2d');
    let n = 0;
    setInterval(() => { paint.fillStyle = `hsl(${n += 7} 80% 50%)`; paint.fillRect(0, 0, width, height); }, 66);
    return canvas.captureStream(15).getVideoTracks()[0];
  }

  const ADD = {
    voice: (pc) => pc.addTransceiver(sound()),
    face: (pc) => pc.addTransceiver(picture()),
    audio: (pc) => pc.addTransceiver(sound(), { direction: 'sendonly' }),
    video: (pc) => pc.addTransceiver(picture(), { direction: 'sendonly' }),
    simulcast: (pc) => pc.addTransceiver(picture(), {
      direction: 'sendonly', sendEncodings: [{ rid: 'l', scaleResolutionDownBy: 4 }, { rid: 'm', scaleResolutionDownBy: 2 }, { rid: 'h' }],
    }),
    layers: (pc) => pc.addTransceiver(picture(1280, 720), {
      direction: 'sendonly',
      sendEncodings: [['h', 1, 900_000], ['m', 2, 300_000], ['l', 4, 100_000]].map(([rid, scaleResolutionDownBy, maxBitrate]) => ({ rid, scaleResolutionDownBy, maxBitrate })),
    }),
    data: (pc) => { pc.channel = pc.createDataChannel('JanusDataChannel'); },
  };

  async function local(pc, description) {
    await pc.setLocalDescription(description);
    await gathered(pc);
    return { type: pc.localDescription.type, sdp: pc.localDescription.sdp };
  }

  window.peers = {
    open() {
      peers.push(new RTCPeerConnection());
      return peers.length - 1;
    },
    offer(id, kinds) {
      for (const kind of kinds) ADD[kind](peers[id]);
      return local(peers[id]);
    },
    restart(id) {
      peers[id].restartIce();
      return local(peers[id]);
    },
    accept: (id, { type, sdp }) => peers[id].setRemoteDescription({ type, sdp }),
    async answer(id, { type, sdp }) {
      await peers[id].setRemoteDescription({ type, sdp });
      return local(peers[id]);
    },
    mute: (id, still) => Promise.all(peers[id].getSenders().map((sender) => {
      sender.kept ??= sender.track;
      return sender.replaceTrack(still ? null : sender.kept);
    })),
    async send(id, message) {
      const { channel } = peers[id];
      if (channel.readyState !== 'open') await new Promise((resolve) => { channel.onopen = resolve; });
      channel.send(Array.isArray(message) ? Uint8Array.from(message) : message);
    },
    state: (id) => peers[id].connectionState,
    close: (id) => peers[id].close(),
  };
}
