// Settings that are changed while the gateway runs. They are gone when it starts anew.

import { $, make } from './page.js';
import { put } from './admin-dom.js';
import { levelName } from './admin-overview.js';

/** `key` is the name in `get_status`, `verb` and `field` those of the request. */
const NUMBERS = [
  {
    key: 'session_timeout',
    verb: 'set_session_timeout',
    field: 'timeout',
    name: 'Session timeout',
    unit: 's',
    hint: 'Sessions nobody keeps alive end after that long; 0: never.',
  },
  {
    key: 'min_nack_queue',
    verb: 'set_min_nack_queue',
    field: 'min_nack_queue',
    name: 'Queue for retransmissions',
    unit: 'ms',
    hint: 'Sent packets are kept at least that long, for media negotiated from now on.',
  },
  {
    key: 'no_media_timer',
    verb: 'set_no_media_timer',
    field: 'no_media_timer',
    name: 'No media after',
    unit: 's',
    hint: 'A client is told that nothing of it arrives; 0: never.',
  },
  {
    key: 'slowlink_threshold',
    verb: 'set_slowlink_threshold',
    field: 'slowlink_threshold',
    name: 'Slow link from',
    unit: 'lost/s',
    hint: 'A client is told of that many lost packets a second; 0: never.',
  },
];
/** `place` is where on the page. */
const SWITCHES = [
  { place: 'log', key: 'log_timestamps', verb: 'set_log_timestamps', field: 'timestamps', name: 'Times in the log' },
  { place: 'log', key: 'log_colors', verb: 'set_log_colors', field: 'colors', name: 'Colours in the log' },
  { place: 'sessions', key: 'accept', verb: 'accept_new_sessions', field: 'accept', name: 'Accept new sessions' },
  {
    place: 'media',
    key: 'nack-optimizations',
    verb: 'set_nack_optimizations',
    field: 'nack_optimizations',
    name: 'NACK optimizations',
  },
];

export class Settings {
  constructor(app) {
    this.app = app;
    this.inputs = new Map();
    this.#level();
    for (const number of NUMBERS) $('setting-numbers').append(this.#number(number));
    for (const one of SWITCHES) $(`setting-${one.place}`).append(this.#toggle(one));
  }

  forget() {
    for (const input of this.inputs.values()) input.touched = false;
  }

  async look() {
    /* what there is to know comes with every round */
  }

  show() {
    const { status, info } = this.app.known;
    const now = { ...status, accept: info['accepting-new-sessions'] };
    for (const [key, input] of this.inputs) {
      const there = now[key] !== undefined;
      input.closest('form, label').hidden = !there;
      // Nothing is overwritten while somebody changes it.
      if (!there || input.touched || input.busy) continue;
      if (input.type === 'checkbox') input.checked = now[key];
      else if (input !== document.activeElement) input.value = String(now[key]);
    }
    put($('setting-now'), `The gateway logs at level ${levelName(status.log_level)}.`);
  }

  #level() {
    const select = $('setting-level');
    for (let level = 0; level <= 7; level += 1) select.add(new Option(levelName(level), String(level)));
    select.addEventListener('change', () =>
      this.#tell(select, { verb: 'set_log_level', field: 'level', name: 'Log level' }, Number(select.value)),
    );
    this.inputs.set('log_level', select);
  }

  #number(about) {
    const input = make('input', {
      type: 'number',
      min: '0',
      step: '1',
      required: true,
      'aria-describedby': `hint-${about.key}`,
      id: `set-${about.key}`,
    });
    const form = make(
      'form',
      { class: 'set' },
      make('label', { class: 'field' }, make('span', {}, `${about.name} (${about.unit})`), input),
      make('button', { class: 'button', type: 'submit', 'aria-label': `Set ${about.name}` }, 'Set'),
      make('p', { class: 'note', id: `hint-${about.key}` }, about.hint),
    );
    input.addEventListener('input', () => {
      input.touched = true;
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#tell(input, about, Number(input.value));
    });
    this.inputs.set(about.key, input);
    return form;
  }

  #toggle(about) {
    const input = make('input', { type: 'checkbox', role: 'switch', id: `set-${about.key}` });
    input.addEventListener('change', () => this.#tell(input, about, input.checked));
    this.inputs.set(about.key, input);
    return make('label', { class: 'switch' }, input, about.name);
  }

  async #tell(input, { verb, field, name }, value) {
    input.busy = true;
    const said = typeof value === 'boolean' ? (value ? 'on' : 'off') : value;
    await this.app.act(`${name}: ${said}.`, (api) => api.ask(verb, { [field]: value }, '', { urgent: true }));
    input.busy = input.touched = false;
    this.app.soon();
  }
}
