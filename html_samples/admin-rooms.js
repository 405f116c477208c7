// Rooms of the VideoRoom plugin: each with its people as a picture and as a table, and what a moderator may do.

import { $, kilobits, make } from './page.js';
import { AdminError, VIDEOROOM } from './admin-api.js';
import { askSecret, button, confirmed, keyed, put, row, table } from './admin-dom.js';
import { draw, model } from './admin-picture.js';
import { createRequest, destroyRoom, editRoom } from './admin-room-forms.js';

const PAGE = 12;
const KINDS = { audio: 'sound', video: 'picture', data: 'data' };

export class Rooms {
  constructor(app) {
    this.app = app;
    this.forget();
    $('room-find').addEventListener('input', () => {
      this.page = 0;
      this.show();
    });
    $('room-older').addEventListener('click', () => this.#turn(1));
    $('room-newer').addEventListener('click', () => this.#turn(-1));
    $('room-private').addEventListener('click', () => this.#askKey());
    $('room-create').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#create();
    });
  }

  forget() {
    this.page = 0;
    this.rooms = null;
    this.participants = new Map();
    this.muted = new Map();
    // In memory only, for as long as the page is logged in.
    this.secrets = new Map();
    this.adminKey = null;
    $('room-find').value = '';
    $('room-create').reset();
  }

  async look() {
    const { api, known, directory } = this.app;
    if (!known.info.plugins?.[VIDEOROOM]) return;
    const request = { request: 'list', ...(this.adminKey ? { admin_key: this.adminKey } : {}) };
    const listed = (await api.plugin(VIDEOROOM, request)).list ?? [];
    this.rooms = [...listed, ...this.#unlisted(listed)].sort(
      (a, b) => b.num_participants - a.num_participants || (a.room < b.room ? -1 : 1),
    );
    const busy = this.#shown().filter((room) => room.num_participants > 0);
    await Promise.all([directory.look(api), ...busy.map((room) => this.#people(api, room))]);
  }

  async #people(api, { room }) {
    try {
      this.participants.set(
        room,
        (await api.plugin(VIDEOROOM, { request: 'listparticipants', room })).participants ?? [],
      );
    } catch (error) {
      // Destroyed since it was listed.
      if (error.code !== 426) throw error;
      this.participants.delete(room);
    }
  }

  /** Private rooms are not in the list, but handles tell of those that have somebody in them. */
  #unlisted(listed) {
    const known = new Set(listed.map((room) => room.room));
    const found = new Map();
    for (const { info } of this.app.directory.handles()) {
      const { type, room } = info?.plugin_specific ?? {};
      if (type !== 'publisher' || room === undefined || known.has(room)) continue;
      found.set(room, {
        room,
        description: `Room ${room}`,
        unlisted: true,
        num_participants: (found.get(room)?.num_participants ?? 0) + 1,
      });
    }
    return [...found.values()];
  }

  // --- what is shown ---

  show() {
    const there = Boolean(this.app.known.info.plugins?.[VIDEOROOM]);
    $('rooms-off').hidden = there;
    $('rooms-on').hidden = !there;
    if (!there || !this.rooms) return;
    const found = this.#found();
    const shown = this.#shown(found);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    this.page = Math.min(this.page, pages - 1);
    const { asked, all } = this.app.directory.progress();
    const partly = asked < all ? `; who watches whom is known of ${asked} of ${all} sessions` : '';
    put($('room-count'), `${found.length} ${found.length === 1 ? 'room' : 'rooms'}${partly}`);
    $('room-private').hidden = this.adminKey !== null;
    $('room-pages').hidden = pages === 1;
    put($('room-page'), `Page ${this.page + 1} of ${pages}`);
    $('room-newer').disabled = this.page === 0;
    $('room-older').disabled = this.page === pages - 1;
    $('room-none').hidden = shown.length > 0;
    keyed(
      $('room-cards'),
      shown,
      (room) => `${typeof room.room} ${room.room}`,
      (room) => this.#card(room),
      (card, room) => this.#fill(card, room),
    );
  }

  #found() {
    const wanted = $('room-find').value.trim().toLowerCase();
    return (this.rooms ?? []).filter((room) => `${room.room} ${room.description}`.toLowerCase().includes(wanted));
  }

  #shown(found = this.#found()) {
    return found.slice(this.page * PAGE, (this.page + 1) * PAGE);
  }

  #turn(by) {
    this.page += by;
    this.show();
    this.app.soon();
  }

  #card({ room }) {
    const [title, note, empty] = [
      make('h3'),
      make('p', { class: 'note' }),
      make('p', { class: 'note' }, 'Nobody is here.'),
    ];
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.classList.add('picture');
    const people = table(`People in room ${room}`, ['Person', 'Moderation']);
    const list = make('details', {}, make('summary', {}, 'People'), people.box);
    const edit = button('Edit', () => editRoom(this, card.room), 'plain slim');
    const destroy = button('Destroy', () => destroyRoom(this, card.room), 'plain slim');
    edit.setAttribute('aria-label', `Edit room ${room}`);
    destroy.setAttribute('aria-label', `Destroy room ${room}`);
    const card = make(
      'article',
      { class: 'panel room' },
      make('header', {}, make('div', {}, title, note), make('div', { class: 'acts' }, edit, destroy)),
      empty,
      svg,
      list,
    );
    list.addEventListener('toggle', () => this.#fill(card, card.room));
    card.dataset.room = room;
    card.parts = { title, note, empty, svg, list, body: people.body };
    return card;
  }

  #fill(card, room) {
    card.room = room;
    const { title, note, empty, svg, list, body } = card.parts;
    put(title, room.description || `Room ${room.room}`);
    put(note, about(room));
    const participants = room.num_participants > 0 ? (this.participants.get(room.room) ?? []) : [];
    const shown = model(room.room, participants, this.app.directory);
    const nobody = shown.people.length === 0;
    empty.hidden = !nobody;
    svg.style.display = nobody ? 'none' : '';
    list.hidden = nobody;
    if (!nobody) draw(svg, shown, (handle) => this.app.views.sessions.open(handle.session, handle.id));
    put(list.firstChild, `People (${shown.people.length})`);
    // A closed table of hundreds is not worth filling every two seconds.
    keyed(
      body,
      list.open ? shown.people : [],
      (one) => one.id,
      () => row([who(), make('div', { class: 'acts' })]),
      (line, one) => this.#person(line, room.room, one),
    );
  }

  #person(line, room, one) {
    const [name, does] = line.cells[0].firstChild.children;
    put(name, one.name).title = `id ${one.id}`;
    const streams = one.streams?.map((stream) => stream.codec ?? stream.type).join(', ');
    put(
      does,
      [
        one.publisher && `publishes ${streams ?? ''}`,
        `watches ${one.watches}`,
        one.publisher && `watched by ${one.watchedBy}`,
        one.talking && 'talking',
        one.dummy && 'dummy',
        one.remote && 'remote',
      ]
        .filter(Boolean)
        .join(' · '),
    );
    const acts = one.viewer
      ? []
      : (one.streams ?? []).map((stream) => {
          const muted = stream.moderated ?? this.muted.get(`${room} ${one.id} ${stream.mid}`) ?? false;
          const several = one.streams.filter((other) => other.type === stream.type).length > 1;
          const what = `${KINDS[stream.type]}${several ? ` ${stream.mid}` : ''}`;
          return {
            key: `mute ${stream.mid}`,
            text: `${muted ? 'Unmute' : 'Mute'} ${what}`,
            does: () => this.#mute(room, one, stream.mid, !muted, what),
          };
        });
    if (!one.viewer && !one.dummy) acts.push({ key: 'kick', text: 'Kick', does: () => this.#kick(room, one) });
    keyed(
      line.cells[1].firstChild,
      acts,
      (act) => act.key,
      () => button('', (event) => event.currentTarget.does(), 'plain slim'),
      (made, act) => {
        put(made, act.text);
        made.does = act.does;
        made.setAttribute('aria-label', `${act.text} of ${one.name}`.replace('Kick of', 'Kick'));
      },
    );
  }

  // --- what is done ---

  async #mute(room, one, mid, mute, what) {
    await this.app.act(`The ${what} of ${one.name} is ${mute ? 'muted' : 'no longer muted'}.`, async () => {
      await this.ask({ request: 'moderate', room, id: one.id, mid, mute }, room);
      this.muted.set(`${room} ${one.id} ${mid}`, mute);
    });
  }

  async #kick(room, one) {
    const what = `${one.name} leaves room ${room} at once, and may come back unless the room forbids it.`;
    if (!(await confirmed(`Kick ${one.name}?`, what, 'Kick'))) return;
    await this.app.act(`${one.name} was kicked.`, () => this.ask({ request: 'kick', room, id: one.id }, room));
  }

  async #askKey() {
    const key = await askSecret(
      'Show private rooms',
      'The gateway lists them to those who know admin_key of janus.plugin.videoroom.jcfg.',
    );
    if (!key) return;
    await this.app.act('Private rooms are listed.', async (api) => {
      await api.plugin(VIDEOROOM, { request: 'list', admin_key: key }, { urgent: true });
      this.adminKey = key;
    });
  }

  async #create() {
    const request = createRequest($('room-create'));
    await this.app.act('', async () => {
      const { room } = await this.ask(request);
      $('room-create').reset();
      $('room-create').closest('details').open = false;
      return `Room ${room} was created.`;
    });
  }

  /** A request; the room's secret or the plugin's key is asked for when the plugin wants one. */
  async ask(request, room = null) {
    for (;;) {
      const secret = room !== null && this.secrets.has(room) ? { secret: this.secrets.get(room) } : {};
      const key = room === null && this.adminKey ? { admin_key: this.adminKey } : {};
      try {
        return await this.app.api.plugin(VIDEOROOM, { ...request, ...secret, ...key }, { urgent: true });
      } catch (error) {
        const wants = [429, 433].includes(error.code) && /\((?:wrong )?(secret|admin_key)\)/.exec(error.message)?.[1];
        if (!wants) throw error;
        await this.#unlock(wants, room, error.code === 433);
      }
    }
  }

  async #unlock(wants, room, wrong) {
    const whose = wants === 'secret' ? `Room ${room} has a secret` : 'Creating rooms takes the admin key';
    const given = await askSecret(whose, wrong ? 'That was not it. Try again.' : 'The plugin asks for it.');
    if (!given) throw new AdminError('closed', 'Called off', 'Nothing was done.');
    if (wants === 'secret') this.secrets.set(room, given);
    else this.adminKey = given;
  }
}

const who = () => make('div', { class: 'who' }, make('span'), make('span', { class: 'note' }));

function about(room) {
  const people = `${room.num_participants} ${room.num_participants === 1 ? 'person' : 'people'}`;
  if (room.unlisted) return `Room ${room.room} · ${people} · not in the list`;
  const marks = {
    is_private: 'private',
    pin_required: 'PIN',
    record: 'recorded',
    require_e2ee: 'end-to-end encrypted',
    require_pvtid: 'participants only',
  };
  return [
    `Room ${room.room}`,
    people,
    `up to ${room.max_publishers} publish`,
    room.bitrate ? `${kilobits(room.bitrate / 1000)} each` : '',
    room.audiocodec,
    room.videocodec,
    ...Object.entries(marks)
      .filter(([key]) => room[key])
      .map(([, mark]) => mark),
  ]
    .filter(Boolean)
    .join(' · ');
}
