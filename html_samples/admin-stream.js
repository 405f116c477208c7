// One m-line of a handle: its figures, and charts of bitrate, loss, round trip and layers over the last minutes.

import { kilobits, make, milliseconds } from './page.js';
import { facts, put } from './admin-dom.js';

const SECONDS = 300;
const WAYS = {
  true: { true: 'both ways', false: 'to the gateway' },
  false: { true: 'from the gateway', false: 'no way' },
};

export class StreamView {
  constructor(line) {
    this.before = null;
    this.title = make('h3');
    this.about = make('p', { class: 'note' });
    this.figures = make('dl', { class: 'figures tight' });
    this.charts = make('div', { class: 'charts' });
    this.root = make(
      'section',
      { class: 'stream' },
      make('header', {}, this.title, this.about),
      this.charts,
      this.figures,
    );
    // What goes one way only is one curve.
    const { recv, send } = line.direction ?? { recv: true, send: true };
    this.ways = [recv && 'in', send && 'out'].filter(Boolean);
    const wire = { unit: 'kbit/s', spoken: 'kilobits per second', least: 50 };
    const [first, second] = this.ways.map((way) => ({ ...wire, name: way === 'in' ? 'Coming in' : 'Going out' }));
    this.rates = first ? this.#chart('kbit/s', this.ways, { first, second: second ?? null, same: true }) : null;
    this.health =
      line.type === 'data'
        ? null
        : this.#chart('', ['loss %', 'RTT ms'], {
            first: { name: 'Loss', unit: '%', spoken: 'percent', least: 4 },
            second: { name: 'round trip', unit: 'ms', spoken: 'milliseconds', least: 4 },
          });
    this.layers = null;
  }

  #chart(unit, names, options) {
    const canvas = make('canvas', {
      class: 'chart',
      role: 'img',
      'aria-label': `${names.join(' and ')}, no measurement yet`,
    });
    const marks = names.map((name, i) => make('span', { class: i === 0 ? '' : 'second' }, `${name} ${unit}`.trim()));
    const legend = make('div', { class: 'legend', 'aria-hidden': 'true' }, ...marks);
    this.charts.append(make('div', {}, legend, canvas));
    return new Chart(canvas, { seconds: SECONDS, ...options });
  }

  /** An answer of `handle_info` about this m-line, `at` the gateway's clock in seconds. */
  take({ line, told, layers, cause }, at) {
    put(this.title, `${line.mid} · ${line.type}${line.codecs?.codec ? ` · ${line.codecs.codec.toUpperCase()}` : ''}`);
    put(this.about, origin(line, told));
    const now = { at, ...counters(line) };
    const { before } = this;
    this.before = now;
    const moved =
      before && now.at > before.at && now.in.bytes >= before.in.bytes && now.out.bytes >= before.out.bytes
        ? change(before, now)
        : null;
    if (moved) {
      this.rates?.add(at, ...this.ways.map((way) => moved[way].rate));
      this.health?.add(at, both(moved), now.roundTrip);
    }
    if (layers) this.#layers(at, layers);
    facts(this.figures, figures(line, now, moved, layers, cause));
  }

  close() {
    for (const chart of [this.rates, this.health, this.layers]) chart?.end();
  }

  #layers(at, layers) {
    const [size, frames] = levels(layers);
    const first = { name: 'Size layer', unit: 'size', spoken: '', top: 2 };
    this.layers ??= this.#chart('', ['size layer', 'frame rate layer'], {
      first,
      second: { ...first, name: 'frame rate layer' },
      steps: 2,
    });
    this.layers.add(at, valid(size), valid(frames));
  }
}

const valid = (layer) => (layer === undefined || layer < 0 ? null : layer);
const levels = (layers) => [layers.substream ?? layers['spatial-layer'], layers['temporal-layer']];

function origin(line, told) {
  const parts = [];
  if (line.direction) parts.push(WAYS[line.direction.recv][line.direction.send]);
  if (told.feed_id !== undefined) {
    parts.push(`of ${told.feed_display || 'feed'} (${told.feed_id}, mid ${told.feed_mid})`);
  }
  if (told.subscribers !== undefined) parts.push(`watched by ${told.subscribers}`);
  if (told.description) parts.push(`"${told.description}"`);
  if (told.active === false) parts.push('not in use');
  if (told.send === false) parts.push('switched off by the subscriber');
  if (told.talking) parts.push('talking');
  return parts.join(' · ');
}

/** Totals of all simulcast streams. */
function counters({ stats, rtcp = {}, direction }) {
  const coming = [
    stats.in,
    ...Object.entries(stats.in)
      .filter(([name]) => name.startsWith('video-simulcast'))
      .map(([, layer]) => layer),
  ];
  const sum = (list, key) => list.reduce((total, one) => total + (one?.[key] ?? 0), 0);
  return {
    in: {
      bytes: sum(coming, 'bytes'),
      packets: sum(coming, 'packets'),
      nacks: sum(coming, 'nacks'),
      lost: sum(Object.values(rtcp), 'lost'),
    },
    out: {
      bytes: stats.out.bytes,
      packets: stats.out.packets,
      nacks: stats.out.nacks ?? 0,
      lost: rtcp.main?.['lost-by-remote'] ?? 0,
    },
    // Only what we send is reported on with a round trip.
    roundTrip: direction?.send && stats.out.packets > 0 ? (rtcp.main?.rtt ?? null) : null,
  };
}

function change(before, now) {
  const way = (name) => {
    const [lost, packets] = ['lost', 'packets'].map((key) => Math.max(0, now[name][key] - before[name][key]));
    return { rate: ((now[name].bytes - before[name].bytes) * 8) / 1000 / (now.at - before.at), lost, packets };
  };
  const [coming, going] = [way('in'), way('out')];
  // Arrivals leave lost ones out, what was sent has them in it.
  const share = (lost, all) => (all > 0 ? Math.min(100, (100 * lost) / all) : null);
  return {
    in: { ...coming, loss: share(coming.lost, coming.lost + coming.packets) },
    out: { ...going, loss: share(going.lost, going.packets) },
  };
}

const both = (moved) => {
  const known = [moved.in.loss, moved.out.loss].filter((loss) => loss !== null);
  return known.length > 0 ? Math.max(...known) : null;
};

function figures(line, now, moved, layers, cause) {
  const { direction = { recv: true, send: true }, stats, rtcp, ssrc } = line;
  const { recv, send } = direction;
  const media = line.type !== 'data';
  const rate = (way) => (moved ? kilobits(moved[way].rate) : '–');
  const lost = (way) => `${now[way].lost}${moved?.[way].loss ? ` (now ${moved[way].loss.toFixed(1)} %)` : ''}`;
  const each = (coming, going) => [recv && coming, send && going].filter(Boolean).join(', ');
  const jitter = (where) => `${rtcp?.main?.[`jitter-${where}`] ?? 0} ms`;
  return [
    ['Comes in', recv ? rate('in') : undefined],
    ['Goes out', send ? rate('out') : undefined],
    ['Packets', each(`${now.in.packets} in`, `${now.out.packets} out`)],
    ['Lost on the way in', media && recv ? lost('in') : undefined],
    ['Lost on the way out', media && send ? lost('out') : undefined],
    ['Round trip', media && send ? milliseconds(now.roundTrip) : undefined],
    ['Jitter', media ? each(`${jitter('local')} in`, `${jitter('remote')} out`) : undefined],
    ['NACKs', line.do_nacks ? each(`${now.in.nacks} sent`, `${now.out.nacks} received`) : undefined],
    ['Retransmissions', stats.in.retransmissions || undefined],
    ['Layers in', simulcast(stats.in)],
    ['Layer sent', layers ? sent(layers) : undefined],
    ['Because of', cause],
    ['SSRC', each(ssrc?.['ssrc-peer'] && `${ssrc['ssrc-peer']} in`, ssrc?.ssrc && `${ssrc.ssrc} out`)],
  ];
}

function sent(layers) {
  const [size, frames] = levels(layers).map(shown);
  const sizeWanted = shown(layers['substream-target'] ?? layers['target-spatial-layer']);
  const framesWanted = shown(layers['temporal-layer-target'] ?? layers['target-temporal-layer']);
  return `size ${size} of ${sizeWanted}, frames ${frames} of ${framesWanted}`;
}

const shown = (layer) => valid(layer) ?? '–';

function simulcast(coming) {
  const layers = [coming, coming['video-simulcast-1'], coming['video-simulcast-2']];
  if (!layers[1] && !layers[2]) return undefined;
  return layers.map((layer) => (layer ? kilobits((layer.bytes_lastsec * 8) / 1000) : '–')).join(' / ');
}
