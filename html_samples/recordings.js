// The page of recordings: the gateway's list (see docs/recordings-page.md), a player, and what to do when there is none.
//
// Password and permission are the browser's business: it asks for the password itself, and sends it along with what its
// players and downloads fetch.

import { $, make, setState } from './page.js';
import { ELEMENTS, callsOf, chosen, commandFor, headerOf } from './recordings-list.js';

const BASE = new URL('../recordings/', location.href);
/** Calls that are drawn at first, and with each "Show more". */
const DRAWN = 100;
/** The list is asked for again while something is being recorded. */
const AGAIN_MS = 5_000;
const HEADER_BYTES = 4096;
const AT_A_TIME = 4;

let list = null;
let drawn = DRAWN;
let asked = 0;
/** Headers of MJR files by number of the root and name: what `headerOf` says, `null` where there is none. */
const headers = new Map();
const open = new Set();

const SETTINGS = `portunus: {
  recordings_page = true
  recordings_password = "a password of your own"
  recordings_roots = [ "/var/lib/portunus/recordings" ]
};`;

const NOTICES = {
  off: {
    state: 'Switched off',
    title: 'Recordings are not shown by this gateway',
    text: () => [
      paragraph('They are private, so nothing shows them until somebody says so. In janus.jcfg:'),
      make('pre', {}, SETTINGS),
      paragraph('Then restart the gateway. Without a password only a browser on the gateway’s own machine is served.'),
    ],
  },
  forbidden: {
    state: 'Not for this browser',
    title: 'Recordings are shown to the gateway’s own machine only',
    text: () => [
      paragraph('No password is set, so nobody else gets them: neither other machines, nor who comes by a proxy, nor under another name than localhost. Set one in janus.jcfg, restart the gateway, and use https: over plain http anybody on the way can read the password.'),
      make('pre', {}, SETTINGS),
    ],
  },
  password: {
    state: 'Password needed',
    title: 'The password is missing or wrong',
    text: () => [paragraph('Your browser asks for it when you try again. Any user name will do; the password is “recordings_password” of the gateway’s janus.jcfg.')],
  },
  lost: {
    state: 'No answer',
    title: 'The gateway does not answer',
    text: (why) => [paragraph(`${BASE.href}: ${why}`)],
  },
  empty: {
    state: 'Nothing recorded yet',
    title: 'Nothing is recorded yet',
    text: () => [
      paragraph('Recordings appear here as soon as they begin: of the echo test with “record”: true in its message, of a video room with “record”: true in the room or in a publisher’s request.'),
      paragraph('These folders are looked at:'),
      make('ul', {}, ...list.roots.map((root) => make('li', {}, make('code', {}, root)))),
    ],
  },
};

const paragraph = (text) => make('p', {}, text);

function notice(kind, detail) {
  const { state, title, text } = NOTICES[kind];
  setState(kind === 'empty' ? 'up' : 'failed', state);
  $('notice').dataset.kind = kind;
  $('notice-title').textContent = title;
  $('notice-text').replaceChildren(...text(detail));
  $('again').textContent = kind === 'empty' ? 'Look again' : 'Try again';
  $('notice').hidden = false;
  $('shown').hidden = true;
}

async function load() {
  const turn = ++asked;
  let answer;
  try {
    answer = await fetch(BASE, { cache: 'no-store' });
    const json = answer.ok && /json/.test(answer.headers.get('content-type') ?? '');
    const body = json ? await answer.json() : null;
    if (turn !== asked) return;
    if (answer.status === 401) return void notice('password');
    if (answer.status === 403) return void notice('forbidden');
    // With the Janus API at the root, its own answer comes instead of a 404.
    if (!Array.isArray(body?.files)) return void notice(answer.status >= 500 ? 'lost' : 'off', `status ${answer.status}`);
    list = body;
  } catch (error) {
    if (turn === asked) notice('lost', error.message);
    return;
  }
  if (list.files.length === 0) return void notice('empty');
  $('notice').hidden = true;
  $('shown').hidden = false;
  draw();
  if (list.files.some((file) => file.open || list.now - file.modified < AGAIN_MS)) {
    setTimeout(() => { if (turn === asked && !document.hidden) load(); }, AGAIN_MS);
  }
}

// --- the list ---

function draw() {
  sight.disconnect();
  const all = callsOf(list);
  const calls = chosen(all, { text: $('filter').value, kinds: $('kinds').value, order: $('order').value });
  const files = calls.flatMap((call) => call.files);
  const live = calls.filter((call) => call.live).length;
  setState(live > 0 ? 'busy' : 'up', live > 0 ? `${live} being recorded` : count(list.files.length, 'file'));
  const words = [`${count(files.length, 'file')} of ${count(calls.length, 'call')}, ${bytes(files.reduce((sum, file) => sum + file.size, 0))}`];
  if (list.truncated) words.push(`there are more: the newest ${list.files.length} files were looked at`);
  if (files.length === 0) words.splice(0, 1, 'Nothing fits what you chose');
  $('summary').textContent = `${words.join('; ')}.`;
  const focused = document.activeElement?.dataset?.key;
  $('calls').replaceChildren(...calls.slice(0, drawn).map(callItem));
  if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  $('more').hidden = calls.length <= drawn;
}

function callItem(call) {
  const where = list.roots.length > 1 ? `${list.roots[call.root]}/${call.folder}` : call.folder;
  const item = make('li', { class: 'panel call' },
    make('header', {},
      make('h3', {}, call.take > 0 ? `${call.base} (${call.take + 1})` : call.base),
      ...(call.live ? [pill()] : []),
      make('time', { class: 'when', datetime: new Date(call.modified).toISOString() }, moment(call.modified))),
    ...(where ? [make('p', { class: 'where' }, where)] : []),
    make('ul', { class: 'files', 'aria-label': `Files of ${call.base}` }, ...call.files.map((file) => fileItem(file))));
  const hint = make('details', { class: 'make' }, make('summary', {}, 'Make a file that plays'));
  hint.open = open.has(call.key);
  hint.addEventListener('toggle', () => (hint.open ? open.add(call.key) : open.delete(call.key)));
  const tell = () => {
    const known = new Map(call.files.map((file) => [file.name, headers.get(keyOf(file))]));
    const command = commandFor(call, known, list.roots[call.root]);
    hint.hidden = command === null;
    if (command) hint.replaceChildren(hint.firstElementChild, command.words ? commandLine(command.words) : make('p', { class: 'note' }, command.why));
  };
  tell();
  item.append(hint);
  item.addEventListener('header', tell);
  return item;
}

function pill() {
  const mark = make('span', { class: 'pill' }, 'Being recorded');
  mark.dataset.state = 'busy';
  return mark;
}

function commandLine(words) {
  const copy = make('button', { class: 'button', type: 'button' }, 'Copy');
  copy.addEventListener('click', async () => {
    // Without a secure address there is no clipboard: the text is marked instead.
    try {
      await navigator.clipboard.writeText(words);
      copy.textContent = 'Copied';
    } catch {
      getSelection().selectAllChildren(copy.parentElement.querySelector('code'));
    }
  });
  return make('div', { class: 'line' }, make('code', {}, words), copy);
}

function fileItem(file) {
  const what = make('span', { class: 'what' });
  const acts = make('span', { class: 'acts' });
  const item = make('li', {},
    make('span', { class: 'name' }, file.whole), what, make('span', { class: 'size' }, bytes(file.size)), acts);
  if (file.kind in ELEMENTS) {
    const play = make('button', { class: 'button main', type: 'button', 'data-key': keyOf(file), 'aria-label': `Play ${file.whole}` }, 'Play');
    play.addEventListener('click', () => start(file));
    acts.append(play);
    what.textContent = file.kind;
  } else if (file.kind === 'mjr') {
    tellHeader(item, what, file);
  } else {
    what.textContent = file.kind === 'srt' ? 'subtitles' : file.kind;
  }
  acts.append(make('a', { class: 'button', href: `${addressOf(file)}?download`, download: file.whole, 'aria-label': `Download ${file.whole}` }, 'Download'));
  return item;
}

const keyOf = (file) => `${file.root}/${file.name}`;

const addressOf = (file) => new URL(`files/${file.root}/${file.name.split('/').map(encodeURIComponent).join('/')}`, BASE).href;

// --- what MJR files say of themselves, read when they come into sight ---

const waiting = [];
let reading = 0;
const sight = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    sight.unobserve(target);
    waiting.push(target.wanted);
  }
  readNext();
}, { rootMargin: '300px' });

function tellHeader(item, what, file) {
  const tell = () => {
    const header = headers.get(keyOf(file));
    if (header === undefined) what.textContent = 'MJR';
    else if (header === null) what.textContent = file.live ? 'nothing in it yet' : 'no MJR header';
    else what.textContent = [header.medium, header.codec, header.encrypted ? 'encrypted' : ''].filter(Boolean).join(' · ');
    if (header?.created) what.title = `Began ${new Date(header.created).toLocaleString()}`;
  };
  tell();
  const known = headers.get(keyOf(file));
  if (known || (known === null && !file.live)) return;
  item.wanted = async () => {
    headers.set(keyOf(file), await readHeader(file));
    tell();
    what.dispatchEvent(new Event('header', { bubbles: true }));
  };
  sight.observe(item);
}

async function readNext() {
  if (reading >= AT_A_TIME) return;
  const next = waiting.pop();
  if (!next) return;
  reading += 1;
  await next();
  reading -= 1;
  readNext();
}

async function readHeader(file) {
  const first = async (count) => {
    const answer = await fetch(addressOf(file), { headers: { Range: `bytes=0-${count - 1}` }, cache: 'no-store' });
    return answer.ok ? new Uint8Array(await answer.arrayBuffer()) : new Uint8Array();
  };
  try {
    let found = headerOf(await first(HEADER_BYTES));
    if (typeof found === 'number') found = headerOf(await first(found));
    return typeof found === 'number' ? null : found;
  } catch {
    return null;
  }
}

// --- the player ---

function start(file) {
  stop();
  const player = make(ELEMENTS[file.kind], { controls: true, src: addressOf(file), playsinline: '' });
  $('player-title').textContent = file.name;
  $('player-text').textContent = file.live ? 'It is still being written: it plays as far as it is by now.' : '';
  player.addEventListener('loadedmetadata', () => player.classList.toggle('sound', player.videoWidth === 0));
  player.addEventListener('error', () => {
    $('player-text').textContent = 'This browser cannot play the file, or it has gone. Download it instead.';
  });
  $('player-screen').replaceChildren(player);
  $('player').hidden = false;
  $('player').scrollIntoView({ block: 'nearest' });
  player.play().catch(() => { /* The reader presses the button, or reads the error. */ });
}

function stop() {
  const player = $('player-screen').firstElementChild;
  if (!player) return;
  // Its connection ends too.
  player.pause();
  player.removeAttribute('src');
  player.load();
  $('player-screen').replaceChildren();
  $('player').hidden = true;
}

// --- words ---

const count = (number, word) => `${number.toLocaleString()} ${word}${number === 1 ? '' : 's'}`;

function bytes(size) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const unit = Math.min(Math.floor(Math.log10(Math.max(size, 1)) / 3), units.length - 1);
  const value = size / 1000 ** unit;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

const moment = (time) => new Date(time).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });

$('player-close').addEventListener('click', stop);
$('again').addEventListener('click', load);
$('reload').addEventListener('click', load);
$('more').addEventListener('click', () => { drawn += DRAWN; draw(); });
$('tools').addEventListener('submit', (event) => event.preventDefault());
for (const id of ['filter', 'kinds', 'order']) {
  $(id).addEventListener('input', () => { drawn = DRAWN; draw(); });
}
document.addEventListener('visibilitychange', () => { if (!document.hidden && !$('shown').hidden) load(); });
load();
