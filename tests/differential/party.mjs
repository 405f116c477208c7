// One who takes part in a room: a WebSocket with a session and a handle of its own. What it asks is noted with the
// reply and the event that answers; everything else its session hears is noted in its order when all is quiet.

import { shape, undrawn } from './shape.mjs';

const ANSWER_MS = 5_000;
const QUIET_MS = 150;
const UNTIL_MS = 10_000;
/** Replies, and what the media path says in its own time. */
const IN_NO_ORDER = new Set(['ack', 'success', 'error', 'media', 'slowlink']);
const BODY_LIMIT = 240;

export class Party {
  /** `over` is laid over the request to attach. */
  static async enter(client, name, plugin = 'janus.plugin.videoroom', over = {}) {
    const socket = await client.connect();
    const party = new Party(client, name, socket);
    const { data: { id: session } } = await party.call({ janus: 'create' });
    party.session = session;
    const { data: { id: handle } } = await party.call({ janus: 'attach', plugin, ...over });
    party.handle = handle;
    client.parties.push(party);
    return party;
  }

  constructor(client, name, socket) {
    Object.assign(this, { client, name, socket, waiting: [], heard: [], count: 0, told: Date.now() });
    socket.on('message', (data) => this.hear(JSON.parse(data.toString())));
    socket.on('close', () => this.lost());
  }

  hear(message) {
    this.told = Date.now();
    this.waiting.find((w) => w.transaction === message.transaction && w.fits(message))?.resolve(message);
    if (IN_NO_ORDER.has(message.janus)) return;
    const answer = message.transaction !== undefined;
    if (!answer && message.jsep) this.offered = message.jsep;
    this.heard.push({ message, answer });
  }

  /** The gateway closed the connection: nobody waits for it. */
  lost() {
    this.client.note(`the connection of ${this.name}`, 'lost');
    this.closed = true;
    this.waiting.forEach((w) => w.resolve(null));
  }

  /** Leaves first, so that nobody hears of it later. */
  async away() {
    await this.ask({ request: 'leave' }, { quiet: true });
    await this.gone();
  }

  /** Goes without a word; whether a hangup is told in time is up to the gateway's threads. */
  async gone() {
    this.client.parties.splice(this.client.parties.indexOf(this), 1);
    await this.call({ janus: 'detach' });
    this.socket.removeAllListeners('close');
    this.socket.terminate();
  }

  /** Waits until something of what was heard since the last quiet fits. */
  async until(fits) {
    const end = Date.now() + UNTIL_MS;
    while (!this.heard.some(fits) && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 20));
  }

  next(transaction, fits, ms = ANSWER_MS) {
    if (this.closed) throw new Error('the gateway closed the connection');
    return new Promise((resolve) => {
      const entry = { transaction, fits };
      const late = setTimeout(() => entry.resolve(null), ms);
      entry.resolve = (message) => {
        clearTimeout(late);
        this.waiting = this.waiting.filter((w) => w !== entry);
        resolve(message);
      };
      this.waiting.push(entry);
    });
  }

  /** A request of any verb and its reply. */
  call(message) {
    const transaction = message.transaction ?? `${this.name} ${this.count += 1}`;
    const reply = this.next(transaction, (m) => m.janus !== 'event');
    this.socket.send(JSON.stringify({ transaction, session_id: this.session, handle_id: this.handle, ...this.client.auth, ...message }));
    return reply;
  }

  /**
   * A message to the plugin. Gives `plugindata.data` of what answers it (and `jsep` beside it), notes all of it. `about`
   * says in words what the description holds; `event: false` if none is to follow the ack.
   */
  async ask(body, { jsep, about, event = true, quiet = false } = {}) {
    const transaction = `${this.name} ${this.count += 1}`;
    const answer = event && this.next(transaction, (m) => m.janus === 'event');
    const reply = await this.call({ janus: 'message', body, jsep, transaction });
    if (reply?.janus !== 'ack') this.waiting.filter((w) => w.transaction === transaction).forEach((w) => w.resolve(null));
    const told = reply?.janus === 'ack' && event ? await answer : null;
    const label = `${this.name}: ${short(JSON.stringify(body))}${jsep ? ` with ${about ?? JSON.stringify(jsep)}` : ''}`;
    this.client.label = label;
    if (!quiet) {
      this.client.note(label, ...lines(reply), ...(told ? lines(told) : reply?.janus === 'ack' ? [event ? 'no event' : 'no event awaited'] : []));
      const answers = [reply, told].filter((m) => m && !(m.janus === 'ack' && told)).map((m) => `      -> ${raw(m)}`);
      this.client.record?.([label, ...answers, ...(reply?.janus === 'ack' && !told ? ['      -> (no event)'] : [])].join('\n'));
    }
    const last = told ?? reply;
    return { ...last?.plugindata?.data, jsep: last?.jsep };
  }

  /** Another request than a message, noted. */
  async verb(message, label = JSON.stringify(message)) {
    const reply = await this.call(message);
    this.client.label = `${this.name}: ${label}`;
    this.client.note(this.client.label, ...lines(reply));
    this.client.record?.(`${this.client.label}\n      -> ${raw(reply)}`);
    return reply;
  }
}

/** Waits until nobody hears anything more, then notes what each heard since, answers by their name only. */
export async function settle(client, { quiet = QUIET_MS, label = client.label } = {}) {
  for (;;) {
    const rest = Math.max(...client.parties.map((p) => p.told + quiet - Date.now()), 0);
    if (rest <= 0) break;
    await new Promise((resolve) => setTimeout(resolve, rest));
  }
  for (const party of client.parties) {
    const heard = (client.inRanks ? ranked : inOrder)(party.heard.splice(0));
    const silent = !heard.some((h) => !h.answer);
    const told = heard.flatMap(({ message, answer }) => (answer ? [`(the answer ${kind(message)})`] : lines(message)));
    client.note(`${party.name} hears, after ${label}`, ...(silent ? [] : told));
    if (!silent) client.record?.(`   ${party.name} hears, after ${label}\n${heard.map(({ message, answer }) => `      ${answer ? '(answer)' : '<-'} ${answer ? kind(message) : raw(message)}`).join('\n')}`);
  }
}

/** Whether the end of a connection or the answer to `leave` is told first is up to Janus' threads: the answer is. */
function inOrder(heard) {
  for (let i = 0; i + 1 < heard.length; i += 1) {
    const [first, second] = [heard[i], heard[i + 1]];
    if (first.message.janus === 'hangup' && second.answer) heard.splice(i, 2, second, first);
  }
  return heard;
}

/** Where two handles end each other, all that is up to Janus' threads: answers, events, what follows from the other's end, one's own. */
function ranked(heard) {
  const follows = ({ plugindata }) => plugindata?.data.result?.reason === 'Remote WebRTC hangup';
  const rank = ({ message, answer }) => (answer ? 0 : message.janus === 'hangup' ? 3 : follows(message) ? 2 : 1);
  return heard.sort((a, b) => rank(a) - rank(b));
}

const kind = (message) => {
  const data = message.plugindata?.data ?? {};
  return Object.keys(data).filter((key) => !['room', 'id', 'streams'].includes(key)).join(' ') || message.janus;
};

function lines(message) {
  if (!message) return ['no answer'];
  const { transaction, ...rest } = message;
  return shape(rest, { exact: true });
}

const raw = (message) => {
  const { janus, plugindata, jsep, session_id, sender, transaction, ...rest } = message ?? { janus: 'NOTHING' };
  const parts = [janus];
  if (plugindata) parts.push(JSON.stringify(plugindata.data));
  if (Object.keys(rest).length) parts.push(JSON.stringify(rest));
  if (jsep) parts.push(`jsep ${JSON.stringify({ ...jsep, sdp: undefined })}\n${jsep.sdp.trim().split('\r\n').map((l) => `           | ${l}`).join('\n')}`);
  return parts.join(' ');
};

const short = (text) => cut(undrawn(text));
const cut = (text) => (text.length > BODY_LIMIT ? `${text.slice(0, BODY_LIMIT)}..` : text);

/** A room of Janus' own publisher, that is active at once: its id. */
export async function dummyRoom(party, room, codecs = [{ codec: 'opus' }, { codec: 'vp8' }], settings = {}) {
  const audio = 'opus,pcmu,pcma,g722';
  await party.ask({ request: 'create', room, publishers: 9, audiocodec: audio, videocodec: 'vp8,vp9,h264', dummy_publisher: true, dummy_streams: codecs, ...settings });
  const { participants } = await party.ask({ request: 'listparticipants', room });
  return participants?.[0]?.id ?? 1;
}
