// Screen sharing: one makes a room for one publisher and shows a screen in it, others join the room and watch.
//
// Parameters of the address: `room` (to watch), `server`, and `autojoin` to watch at once.

import {
  $, connect, deviceProblem, hideAlert, log, pageProblem, serverAddress, setState, showAlert, words,
} from './page.js';
import { Handle, Participant, Subscription, incoming } from './room.js';
import { Tile } from './tile.js';

const BITRATE = 2_000_000;
const STATS_EVERY_MS = 1000;

let running = null;

/** What sharing and watching have in common: a session, one tile, and an end. */
class Running {
  constructor() {
    this.over = false;
    this.tracks = [];
  }

  async open() {
    setState('busy', 'Connecting');
    this.janus = await connect($('server').value.trim(), (reason) => this.end('The gateway is gone', reason));
  }

  show(tile, title, text) {
    this.tile = tile;
    $('tiles').append(tile.root);
    $('running-title').textContent = title;
    $('running-text').textContent = text;
    $('choose').hidden = true;
    $('running').hidden = false;
  }

  stop() {
    if (this.over) return;
    this.over = true;
    clearInterval(this.timer);
    for (const track of this.tracks) track.stop();
    this.janus?.destroy({ cleanupHandles: true });
    $('tiles').replaceChildren();
    $('running').hidden = true;
    $('choose').hidden = false;
    setState('idle', 'Not connected');
  }

  end(title, text) {
    if (this.over) return;
    this.stop();
    showAlert(title, text);
  }
}

class Sharing extends Running {
  async start() {
    await this.open();
    const description = $('description').value.trim();
    const handle = await Handle.attach(this.janus, {});
    const secret = Janus.randomString(16);
    const made = await makeRoom(handle, { description, bitrate: BITRATE, publishers: 1, secret });
    this.close = () => handle.ask({ request: 'destroy', room: made.room, secret });
    this.me = await Participant.enter(this.janus, { room: String(made.room), display: description }, {
      event: (message) => log(`room: ${JSON.stringify(message)}`),
      asking: (on) => { if (on) setState('busy', 'Waiting for you to choose a screen'); },
      ownTrack: (track, on) => this.#ownTrack(track, on),
      webrtc: (up, reason) => { if (!up) this.end('Sharing has ended', reason ? `The gateway said: ${reason}.` : 'The gateway ended it.'); },
    });
    const tile = new Tile('Your screen', { own: true, mirrored: false });
    this.tile = tile;
    const tracks = [{ type: 'screen', capture: { frameRate: { ideal: 15, max: 30 } }, recv: false }];
    if ($('with-microphone').checked) tracks.unshift({ type: 'audio', capture: true, recv: false });
    try {
      await this.me.publish(tracks);
    } catch (problem) {
      if (problem.code) throw problem;
      throw deviceProblem(problem);
    }
    if (this.over) return;
    this.show(tile, description, `Room ${made.room}. Send the link to those who shall watch.`);
    const link = new URL(location.href);
    link.searchParams.set('room', made.room);
    link.searchParams.set('autojoin', '');
    $('link').value = link.href;
    $('copy').hidden = $('link-field').hidden = false;
    setState('up', 'Sharing');
  }

  #ownTrack(track, on) {
    if (on) {
      this.tracks.push(track);
      if (track.kind === 'video') this.tile.setTracks([track]);
    } else if (track.kind === 'video') {
      this.end('Sharing has ended', 'You stopped it in the browser.');
    }
  }

  stop() {
    if (this.over) return;
    const closed = this.close?.() ?? Promise.resolve();
    const { janus } = this;
    // The room goes first, so that those who watch are told at once.
    this.janus = null;
    super.stop();
    closed.catch((problem) => log(words(problem))).finally(() => janus?.destroy({ cleanupHandles: true }));
  }
}

class Watching extends Running {
  async start() {
    await this.open();
    this.me = await Participant.enter(this.janus, { room: $('room').value.trim() }, { event: (message) => this.#hear(message) });
    const { joined } = this.me;
    const tile = new Tile(joined.description ?? 'The screen', {
      on: {
        layers: (mid, wish) => this.subscription?.configure([{ mid, ...wish }]),
        automatic: (stream) => this.subscription?.renew(stream),
              },
    });
    tile.say('Nobody shares a screen here yet');
    this.show(tile, joined.description ?? `Room ${joined.room}`, 'You are watching');
    $('copy').hidden = $('link-field').hidden = true;
    this.timer = setInterval(() => this.#look().catch((error) => log(`statistics: ${error.message}`)), STATS_EVERY_MS);
    setState('up', 'Watching');
    this.#publishers(joined.publishers);
  }

  #hear(message) {
    log(`room: ${JSON.stringify(message)}`);
    if (this.over || message.videoroom === 'joined') return;
    if (message.publishers) this.#publishers(message.publishers);
    if (message.videoroom === 'destroyed') this.end('The screen is not shared any more', 'Whoever showed it has stopped.');
    if ([message.leaving, message.unpublished, message.kicked].includes(this.feed) && this.feed !== undefined) {
      this.subscription.close();
      this.subscription = this.feed = undefined;
      this.tile.setStreams([]);
      this.tile.say('Nobody shares a screen here any more');
    }
  }

  #publishers([first]) {
    if (!first || this.subscription) return;
    this.feed = first.id;
    this.tile.say('The picture is on its way');
    this.subscription = new Subscription(this.janus, this.me, {
      streams: (streams) => this.tile.setStreams(streams.filter((stream) => stream.active)),
      layer: (message) => this.tile.markLayer(message),
    });
    this.subscription.change({ subscribe: [{ feed: first.id }] });
  }

  async #look() {
    if (this.subscription?.pc) this.tile.look(await incoming(this.subscription.pc));
  }
}

/** A room with a number short enough to tell somebody. */
async function makeRoom(handle, wish, attempts = 5) {
  const room = 100_000 + Math.floor(Math.random() * 900_000);
  try {
    return (await handle.ask({ request: 'create', room, ...wish })).message;
  } catch (problem) {
    if (problem.code === 427 && attempts > 1) return makeRoom(handle, wish, attempts - 1);
    if (problem.code !== 430 || !/should be a string/.test(problem.message)) throw problem;
    return (await handle.ask({ request: 'create', room: String(room), ...wish })).message;
  }
}

async function start(Kind) {
  hideAlert();
  const amiss = pageProblem();
  if (amiss) return showAlert(amiss.title, amiss.text);
  running?.stop();
  running = new Kind();
  try {
    return await running.start();
  } catch (problem) {
    running.end(problem.title ?? 'Something went wrong', problem.text ?? words(problem));
    return setState('failed', 'Failed');
  }
}

const asked = new URLSearchParams(location.search);
$('server').value = serverAddress();
if (asked.has('room')) $('room').value = asked.get('room');
$('share-form').addEventListener('submit', (event) => { event.preventDefault(); start(Sharing); });
$('watch-form').addEventListener('submit', (event) => { event.preventDefault(); start(Watching); });
$('stop').addEventListener('click', () => running?.stop());
$('alert-close').addEventListener('click', hideAlert);
$('copy').addEventListener('click', async () => {
  $('link').select();
  await navigator.clipboard.writeText($('link').value).catch(() => {});
  $('copy').textContent = 'Copied';
  setTimeout(() => { $('copy').textContent = 'Copy the link'; }, 2000);
});
if (asked.has('autojoin') && asked.has('room')) start(Watching);
