// A meeting in a room, as a page: the form, one's own tile, a tile for everybody else, and what the room tells.
// videoroom.js and mvideoroom.js run it; they differ in how they subscribe.
//
// Parameters of the address: `room`, `name`, `pin`, `server`, `layers` (simulcast or svc), `camera=0`, `microphone=0`,
// and `autojoin` to join at once.

import {
  $, connect, deviceProblem, hideAlert, kilobits, log, pageProblem, serverAddress, setState, showAlert, words,
} from './page.js';
import { Participant, incoming } from './room.js';
import { Tile } from './tile.js';

const STATS_EVERY_MS = 1000;
const SIZES = { h: 1, m: 2, l: 4 };

const FORM = `
  <form class="panel stack" id="join-form" aria-label="Join">
    <div class="settings">
      <label class="field"><span>Room</span><input id="room" type="text" value="1234" autocomplete="off" required></label>
      <label class="field"><span>Your name</span><input id="name" type="text" autocomplete="nickname" maxlength="60" placeholder="How others see you"></label>
      <label class="field"><span>PIN (optional)</span><input id="pin" type="text" autocomplete="off"></label>
      <label class="field"><span>Picture size</span>
        <select id="resolution">
          <option value="320x180">320 × 180</option>
          <option value="640x360" selected>640 × 360</option>
          <option value="1280x720">1280 × 720</option>
          <option value="1920x1080">1920 × 1080</option>
        </select>
      </label>
      <label class="field"><span>Layers</span>
        <select id="layers">
          <option value="">One stream</option>
          <option value="simulcast">Simulcast</option>
          <option value="svc">Scalable (VP9, AV1)</option>
        </select>
      </label>
      <label class="field wide"><span>Gateway</span><input id="server" type="text" inputmode="url" spellcheck="false" autocomplete="off"></label>
    </div>
    <div class="commands">
      <button class="button main" id="join" type="submit">Join</button>
      <label class="switch"><input id="with-microphone" type="checkbox" role="switch" checked>With microphone</label>
      <label class="switch"><input id="with-camera" type="checkbox" role="switch" checked>With camera</label>
    </div>
  </form>
  <section class="panel" id="in-room" aria-labelledby="room-title" hidden>
    <header><h2 id="room-title"></h2><span class="soft" id="people" role="status"></span></header>
    <div class="commands">
      <button class="button stop" id="leave" type="button">Leave</button>
      <label class="switch"><input id="microphone" type="checkbox" role="switch">Microphone</label>
      <label class="switch"><input id="camera" type="checkbox" role="switch">Camera</label>
      <fieldset class="choice inline" id="cap">
        <legend>Your picture at most</legend>
        <div>
          <label><input type="radio" name="cap" value="0" checked><span>As the room says</span></label>
          <label><input type="radio" name="cap" value="128000"><span>128k</span></label>
          <label><input type="radio" name="cap" value="512000"><span>512k</span></label>
          <label><input type="radio" name="cap" value="2000000"><span>2M</span></label>
        </div>
      </fieldset>
    </div>
  </section>
  <section class="tiles" id="tiles" aria-label="People in the room"></section>
  <details class="panel events">
    <summary>Events</summary>
    <ol id="events" tabindex="0" aria-label="Events, newest first"></ol>
  </details>`;

/** Fills the page and waits for somebody to join. `subscriptions(meeting)` makes what subscribes. */
export function runMeeting(subscriptions) {
  $('meeting').innerHTML = FORM;
  let meeting = null;
  const join = async () => {
    hideAlert();
    const problem = pageProblem();
    if (problem) return showAlert(problem.title, problem.text);
    meeting?.leave();
    meeting = new Meeting(subscriptions);
    await meeting.start();
  };
  const asked = new URLSearchParams(location.search);
  for (const name of ['room', 'name', 'pin', 'layers']) if (asked.has(name)) $(name).value = asked.get(name);
  for (const name of ['camera', 'microphone']) if (asked.get(name) === '0') $(`with-${name}`).checked = false;
  $('server').value = serverAddress();
  $('join-form').addEventListener('submit', (event) => { event.preventDefault(); join(); });
  $('leave').addEventListener('click', () => meeting?.leave());
  $('microphone').addEventListener('change', (event) => meeting?.enable('audio', event.target.checked));
  $('camera').addEventListener('change', (event) => meeting?.enable('video', event.target.checked));
  $('cap').addEventListener('change', (event) => meeting?.cap(Number(event.target.value)));
  // A small picture has no room for three layers.
  const enlarge = () => { if ($('layers').value && /^(320|640)x/.test($('resolution').value)) $('resolution').value = '1280x720'; };
  $('layers').addEventListener('change', enlarge);
  enlarge();
  $('alert-close').addEventListener('click', hideAlert);
  if (asked.has('autojoin')) join();
}

class Meeting {
  constructor(subscriptions) {
    this.subscriptions = subscriptions(this);
    this.others = new Map();
    this.ownTracks = [];
    this.over = false;
  }

  // --- joining and leaving ---

  async start() {
    setState('busy', 'Connecting');
    $('join').disabled = true;
    try {
      this.janus = await connect($('server').value.trim(), (reason) => this.#end('The gateway is gone', reason));
      this.me = await Participant.enter(this.janus, {
        room: $('room').value.trim(), display: $('name').value.trim(), pin: $('pin').value,
      }, {
        event: (message) => this.#hear(message),
        ownTrack: (track, on) => this.#ownTrack(track, on),
        asking: (on) => { if (on) setState('busy', 'Waiting for your permission'); },
        webrtc: (up, reason) => this.#publishing(up, reason),
      });
      if (this.over) return;
      this.#showRoom();
      this.#publishers(this.me.joined.publishers);
      this.timer = setInterval(() => this.#look().catch((error) => log(`statistics: ${error.message}`)), STATS_EVERY_MS);
      await this.#publish();
    } catch (problem) {
      await this.#explain(problem);
      this.leave();
      setState('failed', 'Failed');
    } finally {
      $('join').disabled = false;
    }
  }

  async #publish() {
    const tracks = this.#tracks();
    if (tracks.length > 0) {
      try {
        await this.me.publish(tracks);
      } catch (problem) {
        const { title, text } = problem.code ? problem : deviceProblem(problem);
        showAlert(title, `${text} Until then you see and hear the others, but they do not see and hear you.`);
        this.own.say('Others do not see you');
      }
    }
    if (!this.over) setState('up', 'In the room');
  }

  #tracks() {
    const tracks = [];
    if ($('with-microphone').checked) tracks.push({ type: 'audio', capture: true, recv: false });
    if (!$('with-camera').checked) return tracks;
    const [width, height] = $('resolution').value.split('x').map(Number);
    const camera = { type: 'video', capture: { width: { ideal: width }, height: { ideal: height } }, recv: false };
    if ($('layers').value === 'svc') camera.svc = 'L3T3';
    if ($('layers').value === 'simulcast') {
      camera.simulcast = true;
      const ceiling = Math.round(width * height * 2.2);
      camera.sendEncodings = Object.entries(SIZES).map(([rid, smaller]) => ({
        rid, active: true, scalabilityMode: 'L1T3', scaleResolutionDownBy: smaller, maxBitrate: Math.max(Math.round(ceiling / smaller ** 1.5), 80_000),
      }));
    }
    return [...tracks, camera];
  }

  #showRoom() {
    const { joined } = this.me;
    $('join-form').hidden = true;
    $('in-room').hidden = false;
    $('room-title').textContent = joined.description ?? `Room ${joined.room}`;
    for (const id of ['microphone', 'camera']) {
      $(id).checked = $(`with-${id}`).checked;
      $(id).disabled = !$(id).checked;
    }
    $('cap').disabled = !$('with-camera').checked;
    document.querySelector('input[name="cap"][value="0"]').checked = true;
    this.own = new Tile($('name').value.trim() ? `${$('name').value.trim()} (you)` : 'You', { own: true });
    this.own.say($('with-camera').checked ? 'Your camera appears here' : 'Your camera is off');
    $('tiles').append(this.own.root);
    log(`in room ${joined.room} as ${joined.id}`);
    this.#count();
  }

  leave() {
    if (this.over) return;
    this.over = true;
    clearInterval(this.timer);
    this.janus?.destroy({ cleanupHandles: true });
    for (const track of this.ownTracks) track.stop();
    $('tiles').replaceChildren();
    $('in-room').hidden = true;
    $('join-form').hidden = false;
    setState('idle', 'Not connected');
  }

  #end(title, text) {
    if (this.over) return;
    this.leave();
    showAlert(title, text);
  }

  async #explain(problem) {
    if (this.over) return;
    let text = problem.text ?? words(problem);
    if (problem.code === 426) text += await this.#rooms().catch(() => '');
    showAlert(problem.title ?? 'Something went wrong', text);
  }

  /** The rooms that may be seen, as a sentence. */
  async #rooms() {
    const list = await new Promise((resolve, reject) => {
      this.janus.attach({
        plugin: 'janus.plugin.videoroom',
        success: (handle) => handle.send({ message: { request: 'list' }, success: (data) => resolve(data.list), error: reject }),
        error: reject,
      });
    });
    const named = list.slice(0, 8).map(({ room, description }) => `${room} (${description})`).join(', ');
    return named ? ` This gateway has: ${named}.` : ' This gateway has no rooms that may be seen.';
  }

  // --- what the room tells ---

  #hear(message) {
    log(`room: ${JSON.stringify(message)}`);
    if (this.over || message.videoroom === 'joined') return;
    if (message.publishers) this.#publishers(message.publishers);
    for (const way of ['leaving', 'unpublished', 'kicked']) if (this.others.has(message[way])) this.#gone(message[way]);
    if (message.leaving === 'ok' && message.reason === 'kicked') this.#end('You were removed from the room', 'A moderator did that.');
    if (message.videoroom === 'destroyed') this.#end('The room was closed', 'It does not exist any more.');
    if (/^(stopped-)?talking$/.test(message.videoroom)) this.#tileOf(message.id)?.setTalking(message.videoroom === 'talking');
    if (message.moderation) this.#moderated(message);
    if (message.id !== undefined && message.display && !message.moderation) this.others.get(message.id)?.tile.rename(message.display);
  }

  #tileOf(id) {
    return id === this.me.joined.id ? this.own : this.others.get(id)?.tile;
  }

  #publishers(list) {
    for (const publisher of list) {
      const { id } = publisher;
      let other = this.others.get(id);
      if (!other) {
        other = { hidden: false };
        other.tile = new Tile(publisher.display || `Guest ${id}`, {
          on: {
            layers: (mid, wish) => this.#told(this.subscriptions.of(id).configure([{ mid, ...wish }])),
            automatic: (stream) => this.subscriptions.of(id).renew(stream),
            watch: (wanted) => this.#watch(id, wanted),
          },
        });
        other.tile.say('The picture is on its way');
        $('tiles').append(other.tile.root);
        this.others.set(id, other);
      }
      other.publisher = publisher;
      if (publisher.display) other.tile.rename(publisher.display);
      const kinds = (publisher.streams ?? []).filter((stream) => stream.moderated).map((stream) => stream.type);
      other.tile.setMuted(kinds);
      other.tile.setTalking((publisher.streams ?? []).some((stream) => stream.talking));
      this.#subscribe(id, other);
    }
    this.#count();
  }

  /** Asks for what of a publisher does not come yet. */
  #subscribe(id, other) {
    const come = new Set((other.streams ?? []).map((stream) => stream.feed_mid));
    const wanted = (other.publisher.streams ?? []).filter((stream) => !stream.disabled && stream.type !== 'data'
      && !come.has(stream.mid) && !(other.hidden && stream.type === 'video'));
    if (!wanted.some((stream) => stream.type === 'video') && !other.tile.picture) other.tile.say('No camera');
    const asked = other.asked ?? new Set();
    const fresh = wanted.filter((stream) => !asked.has(stream.mid));
    other.asked = new Set([...asked, ...fresh.map((stream) => stream.mid)]);
    if (fresh.length > 0) this.subscriptions.of(id).change({ subscribe: fresh.map(({ mid }) => ({ feed: id, mid })) });
  }

  /** What a subscription brings now, of whomever it is. */
  arrived(streams, ids = this.others.keys()) {
    for (const id of ids) {
      const other = this.others.get(id);
      if (!other) continue;
      const about = new Map((other.publisher.streams ?? []).map((stream) => [stream.mid, stream]));
      other.streams = streams.filter((stream) => stream.active && stream.feed_id === id).map((stream) => ({
        ...stream, simulcast: Boolean(about.get(stream.feed_mid)?.simulcast), svc: Boolean(about.get(stream.feed_mid)?.svc),
      }));
      other.asked = new Set([...other.asked].filter((mid) => !other.came?.has(mid) || other.streams.some((stream) => stream.feed_mid === mid)));
      other.came = new Set(other.streams.map((stream) => stream.feed_mid));
      other.tile.setStreams(other.streams);
      const shows = other.streams.some((stream) => stream.type === 'video');
      other.tile.offerPicture(shows || other.hidden ? other.hidden : null);
    }
  }

  /** A layer event of a subscription; its mid is that of the subscription's own PeerConnection. */
  layer(message, ids = this.others.keys()) {
    for (const id of ids) this.others.get(id)?.tile.markLayer(message);
  }

  #watch(id, wanted) {
    const other = this.others.get(id);
    other.hidden = !wanted;
    other.tile.say(wanted ? 'The picture is on its way' : 'You have hidden this picture');
    other.tile.offerPicture(!wanted);
    if (wanted) return this.#subscribe(id, other);
    const videos = other.streams.filter((stream) => stream.type === 'video');
    return this.subscriptions.of(id).change({ unsubscribe: videos.map(({ mid }) => ({ sub_mid: mid })) });
  }

  #gone(id) {
    this.others.get(id).tile.remove();
    this.others.delete(id);
    this.subscriptions.gone(id);
    this.#count();
  }

  #moderated({ id, mid, moderation }) {
    const muted = moderation === 'muted';
    if (id === this.me.joined.id) {
      this.ownMuted ??= new Map();
      const kind = this.me.handle.pc?.getTransceivers().find((transceiver) => transceiver.mid === mid)?.sender.track?.kind ?? 'audio';
      this.ownMuted.set(mid, muted ? kind : null);
      this.own.setMuted([...this.ownMuted.values()].filter(Boolean));
      return;
    }
    const other = this.others.get(id);
    const stream = other?.publisher.streams.find((one) => one.mid === mid);
    if (!stream) return;
    stream.moderated = muted;
    other.tile.setMuted(other.publisher.streams.filter((one) => one.moderated).map((one) => one.type));
  }

  #count() {
    const number = this.others.size;
    $('people').textContent = number === 0
      ? 'Nobody else shows themselves yet. Open this page in another tab, or send its address to somebody.'
      : `${number === 1 ? 'One other' : `${number} others`} here`;
  }

  // --- one's own media ---

  #ownTrack(track, on) {
    this.ownTracks = this.ownTracks.filter((one) => one !== track);
    if (on) this.ownTracks.push(track);
    this.own.setTracks(this.ownTracks.filter((one) => one.kind === 'video'));
  }

  #publishing(up, reason) {
    log(up ? 'others can see you now' : `publishing has ended: ${reason ?? 'no reason given'}`);
    if (up || this.over) return;
    this.#end('You are not in the room any more', reason ? `The gateway said: ${reason}.` : 'The gateway ended it.');
  }

  enable(kind, on) {
    for (const track of this.ownTracks) if (track.kind === kind) track.enabled = on;
    if (kind === 'video') {
      this.own.empty.hidden = on;
      this.own.say('Your camera is off');
    }
  }

  cap(bitrate) {
    this.#told(this.me.configure({ bitrate }));
  }

  #told(answer) {
    answer.catch((problem) => showAlert(problem.title ?? 'The gateway refused that', problem.text ?? words(problem)));
  }

  // --- statistics ---

  async #look() {
    await Promise.all([...this.subscriptions.all()].map(async ({ subscription, ids }) => {
      if (!subscription.pc) return;
      const found = await incoming(subscription.pc);
      for (const id of ids ?? this.others.keys()) this.others.get(id)?.tile.look(found);
    }));
    await this.#lookOwn();
  }

  async #lookOwn() {
    const report = await this.me.handle.pc?.getStats();
    if (!report || this.over) return;
    const now = { at: performance.now(), bytes: 0 };
    let best = null;
    report.forEach((entry) => {
      if (entry.type !== 'outbound-rtp') return;
      now.bytes += entry.bytesSent;
      if (entry.kind === 'video' && (entry.frameWidth ?? 0) >= (best?.frameWidth ?? 0)) best = entry;
    });
    const rate = this.before ? ((now.bytes - this.before.bytes) * 8) / (now.at - this.before.at) : null;
    this.before = now;
    if (best?.frameWidth) this.own.describe(`${best.frameWidth} × ${best.frameHeight}${rate === null ? '' : ` · ${kilobits(Math.max(0, rate))} sent`}`);
  }
}
