// The overview: how much is going on, how the media workers share it, and what the server is.

import { $, make } from './page.js';
import { VIDEOROOM } from './admin-api.js';
import { facts, keyed, put, row, span, spoken } from './admin-dom.js';

const MINUTES = 10;
const LEVELS = ['none', 'fatal', 'errors', 'warnings', 'info', 'verbose', 'huge', 'everything'];
export const levelName = (level) => `${level} (${LEVELS[level] ?? '?'})`;

export class Overview {
  constructor(app) {
    this.app = app;
    this.chart = new Chart($('overview-chart'), {
      seconds: MINUTES * 60,
      first: { name: 'Sessions', unit: 'sessions', spoken: 'sessions', least: 4 },
      second: { name: 'Handles with media', unit: 'handles', spoken: 'handles with media', least: 4 },
      same: true,
    });
    this.rooms = null;
  }

  forget() {
    this.chart.clear();
    this.rooms = null;
  }

  async look() {
    const { api, known } = this.app;
    if (known.info.plugins?.[VIDEOROOM]) this.rooms = (await api.plugin(VIDEOROOM, { request: 'list' })).list ?? [];
  }

  /** Every round counts, also while another view is shown. */
  count() {
    const { known } = this.app;
    this.chart.add(performance.now() / 1000, known.sessions.length, handlesOf(known));
  }

  show() {
    const { known } = this.app;
    const { info, status } = known;
    const people = this.rooms?.reduce((sum, room) => sum + room.num_participants, 0);
    facts($('overview-figures'), [
      ['Sessions', known.sessions.length],
      ['Handles with media', handlesOf(known)],
      ['Rooms', this.rooms?.length],
      ['People in them', people],
      ['New sessions', info['accepting-new-sessions'] ? 'welcome' : 'refused'],
      ['Log level', levelName(status.log_level)],
    ]);
    this.#workers(known.loops);
    facts($('overview-server'), server(info));
    facts(
      $('overview-status'),
      Object.entries(status).map(([key, value]) => [spoken(key), words(value)]),
    );
  }

  #workers(loops) {
    const most = Math.max(1, ...loops.map((loop) => loop.handles));
    $('no-workers').hidden = loops.length > 0;
    $('workers').hidden = loops.length === 0;
    keyed(
      $('workers').tBodies[0],
      loops,
      (loop) => loop.id,
      (loop) => {
        const bar = make('div', { class: 'load', 'aria-hidden': 'true' }, make('div'));
        const made = row([`Worker ${loop.id}`, '', bar]);
        made.cells[1].className = 'number';
        return made;
      },
      (made, loop) => {
        put(made.cells[1], loop.handles);
        made.cells[2].firstChild.firstChild.style.width = `${(100 * loop.handles) / most}%`;
      },
    );
  }
}

const handlesOf = ({ loops }) => loops.reduce((sum, loop) => sum + loop.handles, 0);
const words = (value) => (typeof value === 'boolean' ? (value ? 'yes' : 'no') : value);
const names = (list) =>
  Object.keys(list ?? {})
    .map((name) => name.replace(/^janus\./, ''))
    .join(', ');

function server(info) {
  const flags = {
    'ice-lite': 'ICE lite',
    'ice-tcp': 'ICE over TCP',
    ipv6: 'IPv6',
    'full-trickle': 'full trickle',
    data_channels: 'data channels',
    'mdns-enabled': 'mDNS',
    api_secret: 'API secret',
    auth_token: 'tokens',
    event_handlers: 'event handlers',
  };
  return [
    ['Server', [info.name, info.portunus?.version].filter(Boolean).join(' ')],
    ['Name', info['server-name']],
    ['API level', `Janus ${info.version_string}`],
    ['Commit', info.portunus?.commit ?? info['commit-hash']],
    ['Address', info['local-ip']],
    ['Public address', [info['public-ip'], info['public-ips']].flat().filter(Boolean).join(', ')],
    ['Sessions time out', info['session-timeout'] ? `after ${span(info['session-timeout'])}` : 'never'],
    [
      'Has',
      Object.entries(flags)
        .filter(([key]) => info[key])
        .map(([, name]) => name)
        .join(', '),
    ],
    ['Plugins', names(info.plugins)],
    ['Transports', names(info.transports)],
    ['Event handlers', names(info.events)],
  ];
}
