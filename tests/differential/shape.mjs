// What of an answer is compared: the keys in their order, the types of the values, and those values that clients
// branch on (verbs, codes, results, texts). Ids, versions and times are compared by their type only.

/** Fields whose value matters. */
const LITERAL = new Set([
  'janus', 'code', 'error_code', 'echotest', 'result', 'plugin', 'type', 'hint', 'reason', 'error', 'transaction',
  'receiving', 'mid', 'substream', 'temporal', 'uplink', 'media', 'opaque_id',
]);

/** Objects keyed by the names of things, where which things there are is up to the installation. */
const OPEN = new Set(['dependencies', 'transports', 'plugins', 'events', 'loggers']);

/** Where every value is compared, these are not: they are drawn or measured. */
const DRAWN = new Set(['session_id', 'sender', 'private_id', 'stream_id', 'audio-level-dBov-avg', 'local_rtcp_port', 'current-bitrate']);

/** Lists that Janus gives in the order of a hash table; they are compared by these members. */
const UNORDERED = {
  allowed: (item) => item, list: (item) => item.room ?? item, participants: (item) => item.id, publishers: (item) => item.id ?? item.publisher_id,
  attendees: (item) => item.id, forwarders: (item) => item.port,
};

/** A value as lines `path: type` or `path = value`, in order; `exact` compares every value that is not drawn. */
export function shape(value, { exact = false } = {}) {
  const lines = [];
  walk(exact ? ordered(value) : value, '', lines, exact ? EXACT : BROAD);
  return lines;
}

const BROAD = {
  literal: (name) => LITERAL.has(name),
  text: (value) => (typeof value === 'string' ? textShape(value) : JSON.stringify(value)),
  line: (line) => line,
};
const EXACT = {
  keyed: true,
  literal: (name) => !DRAWN.has(name),
  text: (value) => undrawn(JSON.stringify(value)),
  // The session of the tests' own offers comes back in the answers; that of an offer is drawn, and its version only grows.
  line: (line) => (line.startsWith('o=') ? line.replace(/^(o=\S+) (?!4611731400430051336)\d{7,} \d+/, '$1 N n') : undrawn(line)),
};

/** Random numbers out of a text. */
export const undrawn = (text) => text.replace(/\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, '(uuid)').replace(/\b\d{7,}\b/g, 'N');

function ordered(value, name) {
  if (!value || typeof value !== 'object') return value;
  if (!Array.isArray(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, ordered(item, key)]));
  const items = value.map((item) => ordered(item));
  const by = UNORDERED[name];
  return by ? items.sort((a, b) => (by(a) < by(b) ? -1 : Number(by(a) > by(b)))) : items;
}

function walk(value, path, lines, style) {
  const name = path.split('.').at(-1);
  if (Array.isArray(value)) {
    lines.push(`${path || '.'}: array of ${value.length}`);
    const by = style.keyed && UNORDERED[name];
    value.forEach((item, i) => walk(item, `${path}[${by ? style.text(by(item)) : i}]`, lines, style));
  } else if (value && typeof value === 'object') {
    lines.push(`${path || '.'}: object`);
    if (OPEN.has(name)) return;
    for (const [key, item] of Object.entries(value)) walk(item, path ? `${path}.${key}` : key, lines, style);
  } else if (name === 'sdp') {
    lines.push(...sdpShape(value).map((line) => `${path} ${style.line(line)}`));
  } else if (style.literal(name)) {
    lines.push(`${path} = ${style.text(value)}`);
  } else {
    lines.push(`${path}: ${value === null ? 'null' : typeof value}`);
  }
}

/** Ids out of texts; the JSON parser's own words, of which only the beginning is Janus'. */
function textShape(text) {
  return text.replace(/^[A-Za-z0-9]{11}$/, '(random, 11 long)')
    .replace(/\b\d{4,}\b/g, 'N')
    .replace(/^(JSON error: on line) \d+: .*/s, '$1 ..')
    .replace(/^(Invalid Janus API request) - .*/s, '$1 ..');
}

/** A description line by line, without what each gateway draws or gathers for itself. */
function sdpShape(sdp) {
  return sdp.split('\r\n').filter((line) => line && !/^a=(candidate|end-of-candidates)/.test(line)).map((line) => line
    .replace(/^(a=ice-ufrag:|a=ice-pwd:|a=fingerprint:sha-256 ).*/, '$1..')
    .replace(/^(a=ssrc:)\d+/, '$1..')
    .replace(/^(a=ssrc-group:FID) .*/, '$1 ..')
    .replace(/^(o=.*IN IP4|c=IN IP4) .*/, '$1 ..'));
}
