// Sessions and their handles, a page of them at a time; a handle that is chosen is shown beside.

import { $, make } from './page.js';
import { button, confirmed, keyed, plain, put, span } from './admin-dom.js';
import { describe } from './admin-scan.js';
import { HandleView } from './admin-handle.js';

const PAGE = 50;

export class Sessions {
  constructor(app) {
    this.app = app;
    this.page = 0;
    this.handle = new HandleView(app);
    $('session-find').addEventListener('input', () => {
      this.page = 0;
      this.show();
    });
    $('session-older').addEventListener('click', () => this.#turn(1));
    $('session-newer').addEventListener('click', () => this.#turn(-1));
    $('session-table').addEventListener('click', (event) => this.#clicked(event));
  }

  forget() {
    this.page = 0;
    this.handle.close();
    $('session-find').value = '';
  }

  async look() {
    const { api, directory } = this.app;
    await Promise.all([
      directory.look(
        api,
        this.#shown().map((session) => session.id),
      ),
      this.handle.look(api),
    ]);
  }

  /** Opens a handle from another view. */
  open(session, handle) {
    this.handle.open(session, handle);
    location.hash = 'sessions';
    this.app.soon();
  }

  show() {
    const found = this.#found();
    const shown = this.#shown(found);
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    this.page = Math.min(this.page, pages - 1);
    put($('session-count'), this.#counted(found.length));
    $('session-pages').hidden = pages === 1;
    put($('session-page'), `Page ${this.page + 1} of ${pages}`);
    $('session-newer').disabled = this.page === 0;
    $('session-older').disabled = this.page === pages - 1;
    $('session-table').hidden = shown.length === 0;
    $('session-none').hidden = shown.length > 0;
    keyed(
      $('session-table'),
      shown,
      (session) => session.id,
      (session) => this.#group(session),
      (group, session) => this.#fill(group, session),
      $('session-table').tHead,
    );
    this.handle.show();
  }

  #turn(by) {
    this.page += by;
    this.show();
    this.app.soon();
  }

  #counted(found) {
    const { asked, all } = this.app.directory.progress();
    const sessions = all === 1 ? '1 session' : `${all} sessions`;
    const filtered = $('session-find').value.trim() ? `${found} of ${sessions} fit` : sessions;
    return asked < all ? `${filtered}; ${asked} looked into so far` : filtered;
  }

  #found() {
    const wanted = $('session-find').value.trim().toLowerCase();
    const sessions = [...this.app.directory.sessions.values()];
    if (!wanted) return sessions;
    return sessions.filter((session) =>
      [
        session.id,
        ...[...(session.handles?.values() ?? [])].flatMap(({ id, info }) => [
          id,
          info?.opaque_id,
          info?.plugin,
          describe(info),
        ]),
      ].some((text) =>
        String(text ?? '')
          .toLowerCase()
          .includes(wanted),
      ),
    );
  }

  #shown(found = this.#found()) {
    return found.slice(this.page * PAGE, (this.page + 1) * PAGE);
  }

  // --- a session ---

  #group(session) {
    const end = button('End', () => this.#end(session), 'plain slim');
    end.setAttribute('aria-label', `End session ${session.id}`);
    const name = make(
      'span',
      {},
      make('span', { class: 'soft' }, 'Session '),
      make('span', { class: 'id' }, String(session.id)),
    );
    const about = make('span', { class: 'soft' });
    const head = make('th', { scope: 'rowgroup', colspan: '4' }, make('div', {}, name, about, end));
    return make('tbody', {}, make('tr', { class: 'group' }, head));
  }

  #fill(group, session) {
    const handles = [...(session.handles?.values() ?? [])];
    const info = handles.find((handle) => handle.info)?.info;
    const quiet = info && `quiet for ${span((info.current_time - info.session_last_activity) / 1e6)}`;
    const told =
      session.handles === null
        ? ['not looked into yet']
        : [plain(info?.session_transport ?? ''), quiet, handles.length === 0 && 'no handles'];
    put(group.rows[0].querySelector('div').children[1], told.filter(Boolean).join(' · '));
    keyed(
      group,
      handles,
      (handle) => handle.id,
      () => {
        const name = make('button', { class: 'link id', type: 'button' });
        return make(
          'tr',
          {},
          make('td', {}, name),
          make('td'),
          make('td', { class: 'what' }),
          make('td', { class: 'opaque' }),
        );
      },
      (line, handle) => {
        const open = this.handle.is(handle.session, handle.id);
        const name = line.cells[0].firstChild;
        put(name, handle.id);
        name.dataset.session = handle.session;
        name.dataset.handle = handle.id;
        name.setAttribute('aria-pressed', String(open));
        line.classList.toggle('open', open);
        put(line.cells[1], plain(handle.info?.plugin ?? '…'));
        put(line.cells[2], describe(handle.info));
        line.cells[2].dataset.plugin = plain(handle.info?.plugin ?? '…');
        put(line.cells[3], handle.info?.opaque_id ?? '');
      },
      group.rows[0],
    );
  }

  #clicked(event) {
    const { session, handle } = event.target.closest('button')?.dataset ?? {};
    if (!handle) return;
    this.handle.open(Number(session), Number(handle));
    this.show();
    this.app.soon();
    $('handle').scrollIntoView({ block: 'nearest' });
  }

  async #end(session) {
    const handles = session.handles?.size ?? 0;
    const sure = await confirmed(
      `End session ${session.id}?`,
      `Its ${handles} handles end with it, and with them every call they carry.`,
      'End session',
    );
    if (sure) {
      await this.app.act(`Session ${session.id} ended.`, (api) =>
        api.ask('destroy_session', {}, `/${session.id}`, { urgent: true }),
      );
    }
  }
}
