// Recordings as values: which files belong to one call, what an MJR file says of itself, and the command that makes a file
// of it that plays. Nothing here touches the page.

/** What a browser plays, and in which element. */
export const ELEMENTS = { webm: 'video', mp4: 'video', mkv: 'video', opus: 'audio', ogg: 'audio', wav: 'audio' };

/** What portunus-pp-rec takes, by codec, and the file that suits it; what fits no other goes into Matroska. */
const SOUND = { opus: 'opus', multiopus: 'opus', pcmu: 'wav', pcma: 'wav', g722: 'wav', l16: 'wav', 'l16-48': 'wav' };
const PICTURES = { vp8: 'webm', vp9: 'webm', av1: 'webm', h264: 'mp4', h265: 'mp4' };

const MAGIC = 'MJR00002';
/** A file that changed so lately is being written, milliseconds. */
const FRESH_MS = 5_000;

/**
 * The files of the gateway's list, with what their names say: `{path, folder, base, medium, numbers}` besides what the
 * list has. `a/b-audio-0.mjr` is in folder `a/`, its base is `b`.
 */
function described(file, now) {
  const cut = file.name.lastIndexOf('/') + 1;
  const [folder, whole] = [file.name.slice(0, cut), file.name.slice(cut)];
  // What was made of a recording may be called after all of its name.
  const closed = file.open ? whole.replace(/\.[^.]+$/, '') : whole;
  const stem = closed.replace(/(\.mjr)?\.[^.]+$/i, '').replace(/\.mjr$/i, '');
  const [, base, medium, numbers] = /^(.*?)(?:-(audio|video|data)((?:-\d+)*))?$/s.exec(stem);
  return {
    ...file, folder, whole, medium: medium ?? '', base: base || stem,
    numbers: (numbers ?? '').split('-').filter(Boolean).map(Number),
    live: file.open || now - file.modified < FRESH_MS,
  };
}

/** The calls of a list, each `{key, base, folder, root, take, files, modified, size, live}`. */
export function callsOf({ files, now }) {
  const all = files.map((file) => described(file, now));
  const place = (file) => `${file.root}/${file.folder}${file.base}`;
  // The echo test numbers takes (`b-audio`, then `b-audio-1`), the video room streams and then takes (`b-audio-0-1`).
  const plain = new Set(all.filter((file) => file.kind === 'mjr' && file.medium && file.numbers.length === 0).map(place));
  const calls = new Map();
  for (const file of all) {
    const take = (plain.has(place(file)) ? file.numbers[0] : file.numbers[1]) ?? 0;
    const key = `${place(file)} ${take}`;
    const call = calls.get(key) ?? { key, base: file.base, folder: file.folder, root: file.root, take, files: [], modified: 0, size: 0, live: false };
    call.files.push(file);
    call.modified = Math.max(call.modified, file.modified);
    call.size += file.size;
    call.live ||= file.live;
    calls.set(key, call);
  }
  for (const call of calls.values()) call.files.sort((a, b) => rank(a) - rank(b) || a.whole.localeCompare(b.whole, undefined, { numeric: true }));
  return [...calls.values()];
}

/** What plays comes first, then sound, pictures, messages. */
const rank = (file) => (file.kind in ELEMENTS ? 0 : 1 + ['audio', 'video', 'data', ''].indexOf(file.medium));

const ORDERS = {
  newest: (a, b) => b.modified - a.modified,
  oldest: (a, b) => a.modified - b.modified,
  name: (a, b) => `${a.folder}${a.base}`.localeCompare(`${b.folder}${b.base}`, undefined, { numeric: true }) || a.take - b.take,
  size: (a, b) => b.size - a.size,
};

/** The calls that have a file with `text` in its name and of these kinds (`all`, `plays`, `mjr`), with those files only; `all` has the others too. */
export function chosen(calls, { text, kinds, order }) {
  const wanted = text.trim().toLowerCase();
  const fits = (file) => file.name.toLowerCase().includes(wanted)
    && (kinds === 'all' || (kinds === 'mjr') === (file.kind === 'mjr'))
    && (kinds !== 'plays' || file.kind in ELEMENTS);
  return calls
    .map((call) => ({ ...call, files: call.files.filter(fits), all: call.files }))
    .filter((call) => call.files.length > 0)
    .sort(ORDERS[order]);
}

/**
 * What the first bytes of an MJR file say: `{medium, codec, created, encrypted}`, `created` in milliseconds since 1970.
 * A number if it takes so many bytes to tell; `null` if it is no MJR file, or has no header yet.
 */
export function headerOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 10 || new TextDecoder('latin1').decode(bytes.subarray(0, 8)) !== MAGIC) return null;
  const end = 10 + view.getUint16(8);
  if (bytes.length < end) return end;
  try {
    const { t, c, s, e } = JSON.parse(new TextDecoder().decode(bytes.subarray(10, end)));
    const medium = { a: 'audio', v: 'video', d: 'data' }[t];
    return medium ? { medium, codec: String(c ?? ''), created: Number(s) / 1000 || null, encrypted: e === true } : null;
  } catch {
    return null;
  }
}

/**
 * The command that makes a file that plays: `{folder, words}`, or `{why}` if there is none. `headers` are those of the
 * call's MJR files that are known, by the names of the files.
 */
export function commandFor(call, headers, root) {
  const recordings = call.files.filter((file) => file.kind === 'mjr' && file.medium !== 'data');
  if (recordings.length === 0) return null;
  if (recordings.some((file) => file.live)) return { why: 'This call is still being recorded.' };
  const known = recordings.map((file) => ({ file, header: headers.get(file.name) }));
  if (known.some(({ header }) => header === undefined)) return { why: 'Reading what is in the files.' };
  if (known.some(({ header }) => header?.encrypted)) return { why: 'The clients encrypted this call: nothing can be made of it without their keys.' };
  const first = (medium) => known.find(({ header }) => header && header.medium === medium && (medium === 'audio' ? SOUND : PICTURES)[header.codec]);
  const [sound, picture] = [first('audio'), first('video')];
  const parts = [sound, picture].filter(Boolean);
  if (parts.length === 0) return { why: 'portunus-pp-rec makes no file of these codecs.' };
  const take = call.take > 0 ? `-${call.take}` : '';
  const made = free(`${call.base}${take}`, endingOf(sound, picture), call.all);
  const folder = `${root.replace(/\/$/, '')}/${call.folder}`.replace(/\/$/, '') || '/';
  return { folder, words: `cd ${quoted(folder)} && portunus-pp-rec ${[...parts.map(({ file }) => file.whole), made].map(argument).join(' ')}` };
}

/** How a file of these ends. */
function endingOf(sound, picture) {
  const ofSound = sound && SOUND[sound.header.codec];
  if (!picture) return ofSound;
  return ofSound === 'wav' ? 'mkv' : PICTURES[picture.header.codec];
}

/** A name that none of the files has: the tool writes over nothing. */
function free(base, ending, files) {
  const taken = new Set(files.map((file) => file.whole));
  for (let n = 1; ; n += 1) {
    const name = `${base}${n > 1 ? `_${n}` : ''}.${ending}`;
    if (!taken.has(name)) return name;
  }
}

/** A text as a shell takes it for one word. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** A name that cannot be taken for an option. */
const argument = (name) => quoted(name.startsWith('-') ? `./${name}` : name);
