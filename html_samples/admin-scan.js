// Who is there: sessions with their handles, asked for bit by bit, what was asked longest ago first.
//
// The Admin API tells ids only; what a handle is takes a request each. A round asks no more than `BUDGET` of them,
// so a gateway with thousands of handles is neither flooded nor shown all at once.

const BUDGET = 80;
const GONE = [458, 459];

export class Directory {
  constructor() {
    this.sessions = new Map();
  }

  /** Takes the ids of `list_sessions`. */
  keep(ids) {
    const here = new Set(ids);
    for (const id of this.sessions.keys()) if (!here.has(id)) this.sessions.delete(id);
    for (const id of ids) if (!this.sessions.has(id)) this.sessions.set(id, { id, asked: 0, handles: null });
  }

  /** A round: the sessions in `first`, then the others. */
  async look(api, first = []) {
    const before = new Set(first);
    const order = (a, b) => before.has(b.id) - before.has(a.id) || a.asked - b.asked;
    const sessions = [...this.sessions.values()].sort(order).slice(0, BUDGET / 2);
    await Promise.all(sessions.map((session) => this.#session(api, session)));
    const older = (a, b) => before.has(b.session) - before.has(a.session) || a.asked - b.asked;
    const handles = this.handles()
      .sort(older)
      .slice(0, BUDGET - sessions.length);
    await Promise.all(handles.map((handle) => this.#handle(api, handle)));
  }

  async #session(api, session) {
    const handles = await unlessGone(api.ask('list_handles', {}, `/${session.id}`));
    session.asked = performance.now();
    const known = session.handles ?? new Map();
    session.handles = new Map(
      (handles?.handles ?? []).map((id) => [id, known.get(id) ?? { id, session: session.id, asked: 0, info: null }]),
    );
  }

  async #handle(api, handle) {
    const answer = await unlessGone(api.ask('handle_info', { plugin_only: true }, `/${handle.session}/${handle.id}`));
    handle.asked = performance.now();
    if (answer) handle.info = answer.info;
    else this.sessions.get(handle.session)?.handles?.delete(handle.id);
  }

  handles() {
    return [...this.sessions.values()].flatMap((session) => [...(session.handles?.values() ?? [])]);
  }

  /** How much of it is known: `{asked, all}` sessions. */
  progress() {
    const all = [...this.sessions.values()];
    return {
      asked: all.filter((session) => session.handles && [...session.handles.values()].every((h) => h.info)).length,
      all: all.length,
    };
  }

  /** The publisher with that private id: a subscriber tells the one of the participant it belongs to. */
  owner(room, privateId) {
    if (!privateId) return null;
    return (
      this.handles().find(
        ({ info }) =>
          info?.plugin_specific?.type === 'publisher' &&
          info.plugin_specific.room === room &&
          info.plugin_specific.private_id === privateId,
      ) ?? null
    );
  }
}

/** Sessions and handles may end between being listed and being asked for. */
const unlessGone = (asked) =>
  asked.catch((error) => {
    if (GONE.includes(error.code)) return null;
    throw error;
  });

/** What a handle is, in a few words. */
export function describe(info) {
  const about = info?.plugin_specific ?? {};
  if (about.type === 'publisher') {
    const publishing = about.streams?.length ? ', publishing' : '';
    return `${about.display || about.id} in room ${about.room ?? '(left)'}${publishing}`;
  }
  if (about.type === 'subscriber') {
    const feeds = new Set(
      (about.streams ?? [])
        .filter((s) => s.active)
        .map((s) => s.feed_display || s.feed_id)
        .filter(Boolean),
    );
    const shown = [...feeds].slice(0, 3).join(', ') + (feeds.size > 3 ? ` and ${feeds.size - 3} more` : '');
    return `watches ${shown || 'nobody'} in room ${about.room ?? '(left)'}`;
  }
  const codecs = [about.audio_codec, about.video_codec].filter((codec) => codec && codec !== 'none');
  return codecs.join(', ');
}
