// One handle: what `handle_info` says of it in a readable way, and charts of each of its streams, from one answer to
// the next.

import { $, kilobits } from './page.js';
import { write } from './admin-api.js';
import { button, confirmed, copyButton, facts, keyed, plain, put, span } from './admin-dom.js';
import { describe } from './admin-scan.js';
import { StreamView } from './admin-stream.js';

const GONE = [458, 459];

export class HandleView {
  constructor(app) {
    this.app = app;
    this.chosen = null;
    $('handle-close').addEventListener('click', () => {
      this.close();
      this.app.show();
    });
    $('handle-raw').parentElement.addEventListener('toggle', () => this.#raw());
    $('handle-raw').before(copyButton($('handle-raw')));
    $('handle-acts').append(
      button('Hang up', () =>
        this.#act(
          'hangup_webrtc',
          'Hang up the call of',
          'Its PeerConnection ends; the handle stays and may call again.',
          'Hang up',
          'was hung up',
        ),
      ),
      button(
        'Detach handle',
        () =>
          this.#act('detach_handle', 'Detach', 'The handle ends, and its owner is told so.', 'Detach', 'was detached'),
        'stop',
      ),
      button('End session', () => this.#endSession(), 'stop'),
    );
  }

  is(session, handle) {
    return this.chosen?.session === session && this.chosen.handle === handle;
  }

  open(session, handle) {
    if (this.is(session, handle)) return;
    this.close();
    this.chosen = { session, handle, info: null, gone: false };
  }

  close() {
    this.chosen = null;
    $('handle').hidden = true;
    keyed($('handle-streams'), [], String);
  }

  async look(api) {
    const { chosen } = this;
    if (!chosen || chosen.gone) return;
    try {
      const { info } = await api.ask('handle_info', {}, `/${chosen.session}/${chosen.handle}`);
      chosen.info = info;
    } catch (error) {
      if (!GONE.includes(error.code)) throw error;
      chosen.gone = true;
    }
  }

  show() {
    const { chosen } = this;
    $('handle').hidden = !chosen;
    if (!chosen) return;
    const { info } = chosen;
    put($('handle-title'), `Handle ${chosen.handle}`);
    put($('handle-what'), info ? [plain(info.plugin), describe(info)].filter(Boolean).join(': ') : 'Asking');
    for (const act of $('handle-acts').children) act.disabled = chosen.gone;
    const state = chosen.gone ? ['failed', 'Gone'] : iceState(info);
    $('handle-state').dataset.state = state[0];
    put($('handle-state'), state[1]);
    if (!info || info === chosen.shown) return;
    chosen.shown = info;
    facts($('handle-facts'), summary(info));
    const streams = streamsOf(info);
    keyed(
      $('handle-streams'),
      streams,
      ({ line }) => `${line.mid} ${write(line.direction)}`,
      ({ line }) => this.#stream(line),
      (element, stream) => {
        element.view.take(stream, info.current_time / 1e6);
      },
    );
    $('handle-idle').hidden = streams.length > 0;
    this.#descriptions(info.sdps ?? {});
    this.#raw();
  }

  #stream(line) {
    const view = new StreamView(line);
    view.root.view = view;
    return view.root;
  }

  #descriptions(sdps) {
    for (const side of ['local', 'remote']) {
      $(`handle-${side}`).parentElement.hidden = !sdps[side];
      put($(`handle-${side}`), sdps[side] ?? '');
    }
  }

  /** The raw answer, while somebody looks at it and is not about to copy a part. */
  #raw() {
    const raw = $('handle-raw');
    const selection = getSelection();
    if (!raw.parentElement.open || !this.chosen?.info) return;
    if (!selection.isCollapsed && raw.contains(selection.anchorNode)) return;
    put(raw, write(this.chosen.info, 2));
  }

  async #act(verb, title, text, yes, done) {
    const { session, handle } = this.chosen;
    if (!(await confirmed(`${title} handle ${handle}?`, text, yes))) return;
    await this.app.act(`Handle ${handle} ${done}.`, (api) =>
      api.ask(verb, {}, `/${session}/${handle}`, { urgent: true }),
    );
  }

  async #endSession() {
    const { session } = this.chosen;
    const what = 'All of its handles end with it, and with them every call they carry.';
    if (!(await confirmed(`End session ${session}?`, what, 'End session'))) return;
    await this.app.act(`Session ${session} ended.`, (api) =>
      api.ask('destroy_session', {}, `/${session}`, { urgent: true }),
    );
  }
}

function iceState(info) {
  const state = info?.webrtc?.ice?.state;
  if (!state) return ['idle', info ? 'No call' : 'Asking'];
  if (state === 'failed') return ['failed', 'ICE failed'];
  return state === 'ready' || state === 'connected' ? ['up', 'Call is up'] : ['busy', `ICE ${state}`];
}

const since = (info, at) => (at === undefined ? undefined : `${span((info.current_time - at) / 1e6)} ago`);

function summary(info) {
  const { ice, dtls, bwe } = info.webrtc ?? {};
  const about = info.plugin_specific ?? {};
  const on = Object.entries(info.flags ?? {})
    .filter(([, value]) => value)
    .map(([name]) => name);
  const [ours, theirs] = ice?.['selected-pair']?.split(' <-> ') ?? [];
  return [
    ['Session', `${info.session_id} (${plain(info.session_transport ?? '')})`],
    ['Opaque id', info.opaque_id],
    ['Token', info.token],
    ['Attached', since(info, info.created)],
    ['ICE', ice && `${ice.state}, ${info['ice-mode']}, ${info['ice-role']}`],
    ['Connected', since(info, ice?.connected)],
    ['Our address', ours],
    ['Their address', theirs],
    [
      'DTLS',
      dtls &&
        [dtls['dtls-state'], dtls['dtls-role'], dtls.retransmissions && `${dtls.retransmissions} repeated`]
          .filter(Boolean)
          .join(', '),
    ],
    ['SRTP', dtls?.['srtp-profile']?.replace(/^SRTP_/, '')],
    ['Data channels', dtls && (dtls['sctp-association'] ? 'yes' : 'no')],
    ['Transport-wide feedback', bwe && (bwe.twcc ? 'yes' : 'no')],
    ['Bitrate cap', about.bitrate === undefined ? undefined : rate(about.bitrate, 'none')],
    ['Their network carries', about.estimate && rate(about.estimate)],
    [
      'State',
      [
        about.paused && 'paused',
        about.pending_offer && 'an offer waits for its answer',
        about.e2ee && 'end-to-end encrypted',
      ]
        .filter(Boolean)
        .join(', '),
    ],
    ['Queued packets', info['queued-packets'] || undefined],
    ['Flags', on.join(', ')],
  ];
}

const rate = (bits, none) => (bits || !none ? kilobits(Number(bits) / 1000) : none);

/** The m-lines, each with what the plugin says of it. */
function streamsOf(info) {
  const about = info.plugin_specific ?? {};
  const lines = Object.values(info.webrtc?.media ?? {}).sort((a, b) => a.mindex - b.mindex);
  return lines.map((line) => {
    const told = (about.streams ?? []).find((stream) => stream.mid === line.mid) ?? {};
    // The echo plugin has one picture and tells of it beside everything else.
    const layers =
      told.simulcast?.substream !== undefined
        ? told.simulcast
        : told.svc?.['spatial-layer'] !== undefined
          ? told.svc
          : line.type === 'video' && (about.substream !== undefined || about['spatial-layer'] !== undefined)
            ? about
            : null;
    const cause = (about['layer-causes'] ?? []).find((one) => one.mid === line.mid)?.cause;
    return { line, told, layers, cause };
  });
}
