// A room as a picture: a circle of people, and a line from each publisher to everybody who watches.
//
// Who is there comes from `listparticipants`; who watches whom only from `handle_info` of the handles.

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 380;
const HEIGHT = 290;
const CENTRE = { x: WIDTH / 2, y: HEIGHT / 2 };
const RADII = { x: WIDTH / 2 - 50, y: HEIGHT / 2 - 50 };
const PEOPLE = 24;
const LINES = 300;

/** `{people, links}` of a room: whom the list and the handles tell of, and who watches what of whom. */
export function model(room, participants, directory) {
  const people = new Map();
  const watching = [];
  for (const one of participants) {
    people.set(String(one.id), {
      ...one,
      name: one.display || `Guest ${one.id}`,
      streams: null,
      watches: 0,
      watchedBy: 0,
    });
  }
  for (const handle of directory.handles()) {
    const about = handle.info?.plugin_specific;
    if (about?.room !== room) continue;
    if (about.type === 'subscriber') watching.push(handle);
    const person = about.type === 'publisher' && people.get(String(about.id));
    if (person) Object.assign(person, { handle, streams: about.streams ?? [], privateId: about.private_id });
  }
  const byPrivateId = new Map([...people.values()].filter((one) => one.privateId).map((one) => [one.privateId, one]));
  const links = [];
  for (const handle of watching) {
    const about = handle.info.plugin_specific;
    let to = byPrivateId.get(about.private_id);
    if (!to) {
      to = {
        id: `viewer ${handle.id}`,
        name: handle.info.opaque_id || 'Subscriber',
        viewer: true,
        handle,
        streams: [],
        watches: 0,
        watchedBy: 0,
      };
      people.set(to.id, to);
    }
    for (const [feed, streams] of byFeed(about.streams ?? [])) {
      const from = people.get(feed);
      if (!from) continue;
      from.watchedBy += 1;
      to.watches += 1;
      links.push({
        from: feed,
        to: String(to.id),
        kinds: streams.map(kind),
        still: about.paused || streams.every((stream) => stream.send === false),
      });
    }
  }
  return { people: [...people.values()], links };
}

function byFeed(streams) {
  const feeds = new Map();
  for (const stream of streams) {
    const ids = stream.feed_id === undefined ? (stream.source_ids ?? []) : [stream.feed_id];
    if (!stream.active) continue;
    for (const id of ids.map(String)) feeds.set(id, [...(feeds.get(id) ?? []), stream]);
  }
  return feeds;
}

function kind({ type, codec, simulcast, svc }) {
  const layer = simulcast?.substream ?? svc?.['spatial-layer'];
  return `${type}${codec ? ` ${codec}` : ''}${layer >= 0 ? `, layer ${layer}` : ''}`;
}

/** Draws into `svg`, unless it shows the same already; `open(handle)` hears who is chosen. */
export function draw(svg, { people, links }, open) {
  const state = JSON.stringify([
    people.map(({ id, name, publisher, talking, handle }) => [String(id), name, publisher, talking, handle?.id]),
    links,
  ]);
  if (svg.drawn === state) return;
  svg.drawn = state;
  const shown = [...people].sort((a, b) => rank(a) - rank(b)).slice(0, PEOPLE);
  const focused = svg.contains(document.activeElement) ? document.activeElement.dataset.id : null;
  // Of many lines each has to be a thin one.
  svg.classList.toggle('crowd', shown.length > 12);
  svg.setAttribute('viewBox', `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute('role', 'group');
  const publishing = people.filter((one) => one.publisher).length;
  svg.setAttribute(
    'aria-label',
    `${people.length} people, ${publishing} publish, ${links.length} lines to those who watch`,
  );
  const places = new Map(shown.map((person, i) => [String(person.id), place(i, shown.length)]));
  const lines = links.filter(({ from, to }) => places.has(from) && places.has(to) && from !== to).slice(0, LINES);
  const names = new Map(people.map((one) => [String(one.id), one.name]));
  svg.replaceChildren(
    ring(),
    ...lines.map((link) =>
      arrow(link, places, `${names.get(link.from)} to ${names.get(link.to)}: ${link.kinds.join(', ')}`),
    ),
    ...shown.map((person) => node(person, places.get(String(person.id)), svg, open)),
  );
  if (people.length > shown.length) {
    svg.append(text(CENTRE.x, HEIGHT - 14, `and ${people.length - shown.length} more`, 'name'));
  }
  if (focused !== null) [...svg.querySelectorAll('[data-id]')].find((one) => one.dataset.id === focused)?.focus();
}

const rank = (person) => (person.viewer ? 2 : person.publisher ? 0 : 1);

function element(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function text(x, y, words, kind) {
  return element('text', { x, y, class: kind, 'text-anchor': 'middle' }, words);
}

const ring = () => element('ellipse', { cx: CENTRE.x, cy: CENTRE.y, rx: RADII.x, ry: RADII.y, class: 'ring' });

function place(i, count) {
  const size = count <= 6 ? 24 : count <= 12 ? 18 : 11;
  if (count === 1) return { ...CENTRE, size, count };
  const angle = (2 * Math.PI * i) / count - Math.PI / 2;
  return { x: CENTRE.x + RADII.x * Math.cos(angle), y: CENTRE.y + RADII.y * Math.sin(angle), size, count };
}

/** The name stands outside the ring, where few lines are, and inside the picture. */
function caption(name, { x, y, size }) {
  const above = y < CENTRE.y - 10;
  const side =
    x < WIDTH / 4
      ? { x: 6, anchor: 'start' }
      : x > (3 * WIDTH) / 4
        ? { x: WIDTH - 6, anchor: 'end' }
        : { x, anchor: 'middle' };
  const made = text(side.x, above ? y - size - 7 : y + size + 16, cut(name), 'name');
  made.setAttribute('text-anchor', side.anchor);
  return made;
}

/** Bent to the left of its way, so that there and back are two lines; the head is drawn, as markers take no colours. */
function arrow({ from, to, kinds, still }, places, title) {
  const [a, b] = [places.get(from), places.get(to)];
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const bend = { x: (a.x + b.x) / 2 + dy * 0.12, y: (a.y + b.y) / 2 - dx * 0.12 };
  const start = towards(a, bend, a.size + 2);
  const tip = towards(b, bend, b.size + 3);
  const back = towards(tip, bend, 9);
  const [nx, ny] = [(tip.y - back.y) * 0.45, (back.x - tip.x) * 0.45];
  const look = ['link', kinds.some((one) => one.startsWith('video')) ? '' : 'sound', still ? 'still' : '']
    .filter(Boolean)
    .join(' ');
  return element(
    'g',
    { class: look, 'data-from': from, 'data-to': to },
    element('title', {}, title),
    element('path', { d: `M${point(start)} Q${point(bend)} ${point(back)}` }),
    element('path', {
      class: 'head',
      d: `M${point(tip)} L${point({ x: back.x + nx, y: back.y + ny })} L${point({ x: back.x - nx, y: back.y - ny })}Z`,
    }),
  );
}

function towards(from, to, by) {
  const long = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  return { x: from.x + ((to.x - from.x) * by) / long, y: from.y + ((to.y - from.y) * by) / long };
}

const point = ({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`;

function node(person, { x, y, size, count }, svg, open) {
  const id = String(person.id);
  const more = person.handle ? '; open the handle' : '';
  const does = person.viewer ? 'only watches' : person.publisher ? 'publishes' : 'is in the room';
  const look = [
    'person',
    person.publisher ? 'publishes' : '',
    person.viewer ? 'viewer' : '',
    person.talking ? 'talks' : '',
  ]
    .filter(Boolean)
    .join(' ');
  const made = element(
    'g',
    {
      class: look,
      'data-id': id,
      tabindex: '0',
      role: person.handle ? 'button' : 'img',
      'aria-label': `${person.name} ${does}, watches ${person.watches}, is watched by ${person.watchedBy}${more}`,
    },
    element('title', {}, person.name),
    element('circle', { cx: x, cy: y, r: size }),
    text(x, y + size * 0.28, initials(person.name), 'initials'),
  );
  made.querySelector('text').style.fontSize = `${size * 0.75}px`;
  if (count <= 12) made.append(caption(person.name, { x, y, size }));
  const light = (on) => {
    for (const link of svg.querySelectorAll('.link'))
      link.classList.toggle('dim', on && link.dataset.from !== id && link.dataset.to !== id);
  };
  for (const event of ['pointerenter', 'focus']) made.addEventListener(event, () => light(true));
  for (const event of ['pointerleave', 'blur']) made.addEventListener(event, () => light(false));
  if (person.handle) {
    made.addEventListener('click', () => open(person.handle));
    made.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      open(person.handle);
    });
  }
  return made;
}

const initials = (name) => [...name.trim()].slice(0, 1).join('').toUpperCase();
const cut = (name) => ([...name].length > 14 ? `${[...name].slice(0, 13).join('')}…` : name);
