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

  /** A round: most of it for the sessions in `first`, which somebody looks at, the rest for the others. */
  async look(api, first = []) {
    const before = new Set(first);
    const sessions = oldest([...this.sessions.values()], (session) => before.has(session.id), BUDGET / 2);
    await Promise.all(sessions.map((session) => this.#session(api, session)));
    const handles = oldest(this.handles(), (handle) => before.has(handle.session), BUDGET - sessions.length);
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
}

/** The `count` that were asked longest ago; a quarter at least is for those that are not `preferred`. */
function oldest(all, preferred, count) {
  const sorted = all.sort((a, b) => a.asked - b.asked);
  const others = sorted.filter((one) => !preferred(one));
  const mine = sorted.filter(preferred).slice(0, count - Math.min(others.length, Math.ceil(count / 4)));
  return [...mine, ...others.slice(0, count - mine.length)];
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
