// What of an answer is compared: the keys in their order, the types of the values, and those values that clients
// branch on (verbs, codes, results, texts). Ids, versions and times are compared by their type only.

/** Fields whose value matters. */
const LITERAL = new Set([
  'janus', 'code', 'error_code', 'echotest', 'result', 'plugin', 'type', 'hint', 'reason', 'error', 'transaction',
  'receiving', 'mid', 'substream', 'temporal', 'uplink', 'media', 'opaque_id',
]);

/** Objects keyed by the names of things, where which things there are is up to the installation. */
const OPEN = new Set(['dependencies', 'transports', 'plugins', 'events', 'loggers']);

/** A value as lines `path: type` or `path = value`, in order. */
export function shape(value) {
  const lines = [];
  walk(value, '', lines);
  return lines;
}

function walk(value, path, lines) {
  const name = path.split('.').at(-1);
  if (Array.isArray(value)) {
    lines.push(`${path || '.'}: array of ${value.length}`);
    value.forEach((item, i) => walk(item, `${path}[${i}]`, lines));
  } else if (value && typeof value === 'object') {
    lines.push(`${path || '.'}: object`);
    if (OPEN.has(name)) return;
    for (const [key, item] of Object.entries(value)) walk(item, path ? `${path}.${key}` : key, lines);
  } else if (name === 'sdp') {
    lines.push(...sdpShape(value).map((line) => `${path} ${line}`));
  } else if (LITERAL.has(name)) {
    lines.push(`${path} = ${typeof value === 'string' ? textShape(value) : JSON.stringify(value)}`);
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
