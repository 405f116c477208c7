// A tile: one participant's picture and sound, what is known of them, and buttons for the layers the gateway sends.

import { kilobits, make, milliseconds } from './page.js';

// The value of a layer button is what the plugin takes. Whoever names no layer gets the best that his network carries.
const LAYERS = [['0', 'Low'], ['1', 'Mid'], ['2', 'High'], ['auto', 'Auto']];
let tiles = 0;

export class Tile {
  /**
   * `on.layers(mid, wish)`, `on.automatic(stream)` and `on.watch(wanted)` hear the buttons; without `on` there are none.
   * The tile of one's own picture is silent and mirrored.
   */
  constructor(name, { own = false, mirrored = own, on = null } = {}) {
    this.on = on;
    this.own = own;
    this.media = new MediaStream();
    this.streams = [];
    this.before = null;
    this.id = `tile-${tiles += 1}`;
    this.#build(mirrored);
    this.rename(name);
  }

  #build(mirrored) {
    this.video = make('video', { autoplay: true, playsInline: true, muted: this.own });
    this.empty = make('div', { class: 'empty' });
    this.caption = make('figcaption');
    this.marks = make('div', { class: 'marks' });
    this.talking = make('span', { class: 'badge talk', hidden: true }, 'Talking');
    this.muted = make('span', { class: 'badge warn', hidden: true });
    this.marks.append(this.talking, this.muted);
    this.about = make('span', { class: 'badge', hidden: true });
    this.screen = make('div', { class: mirrored ? 'screen own' : 'screen' }, this.video, this.empty, this.caption, this.marks,
      make('div', { class: 'badges' }, this.about));
    this.root = make('figure', { class: 'tile', id: this.id }, this.screen);
    if (this.on) this.#buildControls();
    this.say('No picture yet');
  }

  #buildControls() {
    this.figures = make('p', { class: 'rates' }, 'No media yet');
    this.canvas = make('canvas', { class: 'spark', role: 'img', 'aria-label': 'Bitrate and round-trip time of the last minute' });
    this.size = this.#choice('Size', 'spatial');
    this.frames = this.#choice('Frames', 'temporal');
    this.watch = make('button', { class: 'button plain slim', type: 'button', hidden: true }, 'Hide picture');
    this.watch.addEventListener('click', () => this.on.watch(this.watch.dataset.wanted === 'true'));
    this.chart = null;
    this.root.append(make('div', { class: 'panel below' },
      make('div', { class: 'line' }, this.figures, this.watch), this.canvas, make('div', { class: 'layers' }, this.size, this.frames)));
  }

  #choice(title, kind) {
    const group = make('div');
    for (const [value, label] of LAYERS) {
      const input = make('input', { type: 'radio', name: `${this.id}-${kind}`, value, checked: value === 'auto' });
      input.addEventListener('change', () => this.#choose(value));
      group.append(make('label', {}, input, make('span', {}, label)));
    }
    return make('fieldset', { class: 'choice small', hidden: true, 'data-kind': kind }, make('legend', {}, title), group);
  }

  /** Layers are automatic all together or not at all: a choice of one makes the other high, "Auto" takes back both. */
  #choose(value) {
    const stream = this.picture;
    if (!stream) return undefined;
    const groups = [this.size, this.frames].map((group) => [...group.querySelectorAll('input')]);
    if (value === 'auto') {
      for (const group of groups) group.at(-1).checked = true;
      return this.on.automatic(stream);
    }
    const [spatial, temporal] = groups.map((group) => {
      const chosen = group.find((input) => input.checked && input.value !== 'auto') ?? group.find((input) => input.value === '2');
      chosen.checked = true;
      return Number(chosen.value);
    });
    return this.on.layers(stream.mid, stream.svc ? { spatial_layer: spatial, temporal_layer: temporal } : { substream: spatial, temporal });
  }

  rename(name) {
    this.name = name;
    this.caption.textContent = name;
    this.video.setAttribute('aria-label', `Picture of ${name}`);
    for (const fieldset of this.root.querySelectorAll('fieldset')) {
      fieldset.setAttribute('aria-label', `${fieldset.firstChild.textContent} of ${name}`);
    }
  }

  /** Words in place of the picture. */
  say(text) {
    this.empty.textContent = text;
  }

  get picture() { return this.streams.find((stream) => stream.type === 'video' && stream.track); }

  /** What comes of this participant now: `[{mid, type, track, simulcast, svc}]`. */
  setStreams(streams) {
    this.streams = streams.filter((stream) => stream.track);
    this.setTracks([this.picture?.track, ...this.streams.filter((stream) => stream.type === 'audio').map((stream) => stream.track)]);
    if (!this.on) return;
    this.size.hidden = this.frames.hidden = !(this.picture?.simulcast || this.picture?.svc);
  }

  setTracks(tracks) {
    const wanted = tracks.filter(Boolean);
    for (const track of this.media.getTracks()) if (!wanted.includes(track)) this.media.removeTrack(track);
    for (const track of wanted) if (!this.media.getTracks().includes(track)) this.media.addTrack(track);
    if (this.video.srcObject !== this.media) this.video.srcObject = this.media;
    const seen = this.media.getVideoTracks().length > 0;
    this.empty.hidden = seen;
    this.about.hidden = !seen || !this.about.textContent;
    this.video.play().catch(() => { /* the browser waits for a click, which joining was */ });
  }

  /** Whether the button offers to show or to hide the picture; `null` hides the button. */
  offerPicture(wanted) {
    this.watch.hidden = wanted === null;
    this.watch.textContent = wanted ? 'Show picture' : 'Hide picture';
    this.watch.dataset.wanted = String(wanted);
  }

  setTalking(on) {
    this.talking.hidden = !on;
    this.screen.classList.toggle('talking', on);
  }

  /** Media a moderator has muted, by kind. */
  setMuted(kinds) {
    this.muted.hidden = kinds.length === 0;
    const named = kinds.map((kind) => ({ audio: 'sound', video: 'picture', data: 'data' }[kind])).join(' and ');
    this.muted.textContent = `${named} muted by a moderator`;
  }

  /** Marks the layer that comes, as a plugin's event tells it. */
  markLayer(message) {
    if (message.mid !== this.picture?.mid) return;
    const told = { spatial: message.substream ?? message.spatial_layer, temporal: message.temporal ?? message.temporal_layer };
    for (const [kind, layer] of Object.entries(told)) {
      if (layer === undefined) continue;
      this.root.querySelectorAll(`[data-kind=${kind}] label`).forEach((label) => {
        label.classList.toggle('now', label.firstElementChild.value === String(layer));
      });
    }
  }

  /** Shows what `incoming` (room.js) found for this tile's m-lines. */
  look({ at, roundTrip, byMid }) {
    const now = { at, bytes: 0, got: 0, lost: 0 };
    for (const { mid } of this.streams) {
      const stream = byMid.get(mid);
      now.bytes += stream?.bytesReceived ?? 0;
      now.got += stream?.packetsReceived ?? 0;
      now.lost += stream?.packetsLost ?? 0;
    }
    const { before } = this;
    this.before = now;
    this.#describe(byMid.get(this.picture?.mid));
    if (!before || at <= before.at || !this.on) return;
    const rate = Math.max(0, ((now.bytes - before.bytes) * 8) / 1000 / (at - before.at));
    const lost = Math.max(0, now.lost - before.lost);
    const share = (100 * lost) / Math.max(1, lost + now.got - before.got);
    this.figures.textContent = `${kilobits(rate)} · ${share.toFixed(share > 0 && share < 10 ? 1 : 0)} % lost · ${milliseconds(roundTrip)}`;
    this.chart ??= new Chart(this.canvas, { small: true });
    this.chart.add(at, rate, roundTrip);
  }

  #describe(video) {
    const parts = [];
    if (video?.codec) parts.push(video.codec);
    if (video?.frameWidth) parts.push(`${video.frameWidth} × ${video.frameHeight}`, `${Math.round(video.framesPerSecond ?? 0)} fps`);
    this.describe(parts.join(' · '));
  }

  describe(text) {
    this.about.textContent = text;
    this.about.hidden = !text || this.media.getVideoTracks().length === 0;
  }

  remove() {
    this.video.srcObject = null;
    this.root.remove();
  }
}
