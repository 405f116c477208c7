// What a back end heard, as notes of a transcript: for each handle what was told in which order, and the bodies of each
// kind: their keys in order, the types of the values, and the values that are neither drawn nor measured.

import { undrawn } from './shape.mjs';

/** Numbers that mean something to whoever reads events. */
const LITERAL = new RegExp(`^(${[
  'type', 'subtype', 'event\\.(stream_id|component_id|retransmissions|substream|mindex|base|signum)',
  'event\\.data\\.(bitrate|room|id|feed|publisher_id)',
  '.*candidates\\.\\w+\\.family', '.*streams\\[\\d+\\]\\.(mindex|feed_id)',
].join('|')})$`);
/** What is told by the clock or by the packets, and not in the order of requests. */
const MEDIA = 32;
/** A handle that goes takes its connection along: how much of that end is still told is up to Janus' threads. */
const GOES = '2 detached';
const IN_ITS_WAKE = '16/6 hangup Detach';
/** It depends on the packets, too. */
const TALKING = '64 talking';
/** Each comes when its request does, or from another thread than what precedes or follows it. */
const BESIDE = /^16\/(3|1 ready)|^1 (destroyed|timeout)/;
const UNTIL_MS = 15_000;
const HURRY_MS = 500;
const [EXTERNAL, TRANSPORT, CORE] = [4, 128, 256];

export class EventLog {
  constructor(client, backend, address) {
    Object.assign(this, {
      client,
      backend,
      address,
      people: [],
      missed: [],
      descriptions: new Map(),
      began: Date.now(),
    });
  }

  get events() {
    return this.backend.events;
  }

  /**
   * From now on what is told of this session and its handle is noted under a name. Silence is noted of those who are to
   * be silent: a busy machine's browser may be.
   */
  name(name, session, handle, { silent = false } = {}) {
    this.people.push({ name, session, handle, silent });
  }

  /** A description that was sent or told; in an event it is then called so. */
  described(words, jsep) {
    if (jsep) this.descriptions.set(jsep.sdp, words);
    return jsep;
  }

  of(name) {
    const person = this.people.find((p) => p.name === name);
    return this.events
      .filter((e) => (e.handle_id ? e.handle_id === person.handle : e.session_id && e.session_id === person.session))
      .filter((e) => kind(e) !== IN_ITS_WAKE && (person.silent || e.event.receiving !== false));
  }

  /** Until something of this kind is told of somebody (or of nobody); `missed` has what was not in time. */
  async until(name, wanted, { ms = UNTIL_MS, count = 1 } = {}) {
    // Who misses that much is not complete: no use to wait long for the rest.
    const end = Date.now() + (this.missed.length > 2 ? Math.min(ms, HURRY_MS) : ms);
    const seen = () =>
      (name ? this.of(name) : this.events).filter(
        (e) => wanted === kind(e) || (wanted instanceof RegExp && wanted.test(kind(e))),
      );
    while (seen().length < count && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
    if (seen().length < count)
      this.missed.push(`${name ?? 'anybody'}: ${wanted} is told ${seen().length} times, not ${count}`);
  }

  /** Notes the order of what was told of somebody; the place of the kinds `apart` is up to threads. */
  order(name, apart = BESIDE) {
    const told = this.of(name)
      .filter((e) => e.type !== MEDIA)
      .map(kind);
    this.client.note(
      `${name}: in order`,
      told.filter((k) => !apart.test(k)),
    );
    this.client.note(`${name}: beside`, told.filter((k) => apart.test(k) && k !== TALKING).sort());
    const media = this.of(name).filter((e) => e.type === MEDIA && e.subtype === 1);
    const mids = [...new Set(media.map((e) => e.event.mid))].sort();
    for (const mid of mids) {
      const states = media.filter((e) => e.event.mid === mid).map(kind);
      this.client.note(`${name}: media ${mid}`, ...new Set(states));
    }
  }

  /** Notes what a plugin told of somebody, in its order; who talks is told when it is heard. */
  said(name) {
    const told = this.of(name)
      .filter((e) => e.type === 64)
      .map(kind);
    this.client.note(
      `${name}: said by the plugin`,
      told.filter((k) => k !== TALKING),
    );
  }

  /** Notes of which media statistics came, and for a last time before the end. */
  statistics(name, last) {
    const told = this.of(name);
    const end = told.findIndex((e) => kind(e) === last);
    const stats = (list) => list.filter((e) => e.type === MEDIA && e.subtype === 3);
    const periodic = stats(told.slice(0, end));
    const media = periodic.flatMap((e) => e.event).map((body) => `${body.mid} ${body.media}`);
    const before = told
      .slice(0, end)
      .filter((e) => e.type !== 64)
      .reverse();
    const closing = before
      .slice(
        0,
        before.findIndex((e) => !stats([e]).length),
      )
      .flatMap((e) => e.event);
    const closed = [...new Set(closing.map((body) => `${body.mid} ${body.media}`))].sort().join(', ') || 'none';
    this.client.note(
      `${name}: statistics`,
      [...new Set(media)].sort(),
      ...(last === GOES ? [] : [`before "${last}": ${closed}`]),
      `after it: ${stats(told.slice(end)).length}`,
    );
  }

  /** Notes the body of every kind told of somebody (or of nobody): each shape once, of statistics the last one. */
  bodies(name, list = this.of(name).filter((e) => kind(e) !== TALKING)) {
    const kinds = new Map();
    for (const e of list) {
      const shape = this.shape(e);
      const known = kinds.get(kind(e)) ?? kinds.set(kind(e), []).get(kind(e));
      if (e.type === MEDIA && e.subtype === 3) known.length = 0;
      if (!known.some((other) => other.join() === shape.join())) known.push(shape);
    }
    for (const [title, shapes] of [...kinds].sort(([a], [b]) => (a < b ? -1 : 1))) {
      shapes.sort((a, b) => (a.join() < b.join() ? -1 : 1));
      shapes.forEach((lines, i) => this.client.note(`${name}: body of ${title}${i ? ` (${i + 1})` : ''}`, lines));
    }
  }

  /** What is told of nobody in particular, but for what the clock tells from 1.2 on. */
  rest() {
    const types = [EXTERNAL, TRANSPORT, CORE, 64];
    return this.events.filter(
      (e) => e.session_id === undefined && types.includes(e.type) && kind(e) !== '256/1 update',
    );
  }

  shape(value, path = '', lines = []) {
    if (Array.isArray(value)) {
      lines.push(`${path}: array of ${value.length}`);
      value.forEach((item, i) => this.shape(item, `${path}[${i}]`, lines));
    } else if (value && typeof value === 'object') {
      lines.push(`${path || '.'}: object`);
      if (path === 'event.info') return lines;
      for (const [key, item] of Object.entries(value)) this.shape(item, path ? `${path}.${key}` : key, lines);
    } else if (path === 'timestamp') {
      const inTime =
        Number.isSafeInteger(value) && value / 1000 > this.began - 60_000 && value / 1000 < Date.now() + 1000;
      lines.push(`timestamp: ${inTime ? 'microseconds, now' : value}`);
    } else if (path.endsWith('jsep.sdp')) {
      lines.push(`${path}: ${this.descriptions.get(value) ?? 'another text'}`);
    } else if (typeof value === 'number') {
      lines.push(LITERAL.test(path) ? `${path} = ${value}` : `${path}: number`);
    } else if (typeof value === 'string') {
      lines.push(`${path} = ${this.text(path, value)}`);
    } else {
      lines.push(`${path} = ${value}`);
    }
    return lines;
  }

  /** A text without what is drawn. Whether a peer's address is known before its own word comes is a race. */
  text(path, value) {
    if (path.endsWith('.id') && /^\d+$/.test(value)) return '(a number as text)';
    const named = undrawn(JSON.stringify(value))
      .replaceAll(this.address, 'ADDRESS')
      .replace(/\b\d{4,}\b/g, 'N');
    return /pair|candidate/.test(path) ? named.replace(/\b(host|prflx)\b/g, '(host or prflx)') : named;
  }
}

/**
 * The description without its candidates, and those with an address in the place of a name: whether such a name is
 * resolved is up to the machine.
 */
export function withoutCandidates(jsep, address) {
  const lines = jsep.sdp.split('\r\n');
  const candidates = lines.filter((line) => line.startsWith('a=candidate:'));
  return {
    jsep: { ...jsep, sdp: lines.filter((line) => !/^a=(candidate|end-of-candidates)/.test(line)).join('\r\n') },
    candidates: [...new Set(candidates)].map((line) => line.slice('a='.length).replace(/\S+\.local/, address)),
  };
}

/** What an event is, in words that tell it from others of its type. */
export function kind({ type, subtype, event }) {
  const name = subtype === undefined ? String(type) : `${type}/${subtype}`;
  const body = [event].flat()[0] ?? {};
  const about = {
    1: () => body.name,
    2: () => body.name,
    4: () => body.schema,
    8: () => `${body.owner} ${body.jsep?.type}`,
    '16/1': () => body.ice,
    '16/5': () => body.dtls,
    '16/6': () => `${body.connection} ${body.reason ?? ''}`,
    '32/1': () => [body.media, body.mid, body.substream, body.receiving].filter((v) => v !== undefined).join(' '),
    '32/2': () => `${body.media} ${body.slow_link}`,
    '32/3': () => (Array.isArray(event) ? 'all media' : `${body.mid} ${body.media}`),
    64: () => body.data?.event ?? body.data?.videoroom ?? 'state',
    128: () => `${body.transport?.split('.').at(-1)} ${body.data?.event} ${body.data?.admin_api ?? ''}`,
    256: () => body.status,
    '256/1': () => body.status,
    '256/2': () => body.status,
  }[name];
  return `${name} ${about?.() ?? ''}`.trim();
}
