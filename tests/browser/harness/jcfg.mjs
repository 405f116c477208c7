// Writes JavaScript values as libconfig text: the files a gateway under test is started with.

const NAME = /^[A-Za-z*][A-Za-z0-9_*-]*$/;

/** `{general: {debug_level: 4}}` -> the text of a .jcfg file. */
export function writeJcfg(sections) {
  return Object.entries(sections).map(([name, group]) => setting(name, group, '')).join('');
}

function setting(name, value, indent) {
  if (!NAME.test(name)) throw new Error(`not a libconfig name: ${name}`);
  return `${indent}${name} = ${text(value, indent)}\n`;
}

function text(value, indent) {
  if (typeof value === 'boolean') return String(value);
  if (Number.isSafeInteger(value)) return String(value);
  if (typeof value === 'string') return `"${value.replace(/[\\"]/g, '\\$&')}"`;
  if (Array.isArray(value)) return `( ${value.map((item) => text(item, indent)).join(', ')} )`;
  if (value && typeof value === 'object') {
    const inner = Object.entries(value).map(([name, item]) => setting(name, item, `${indent}  `)).join('');
    return `{\n${inner}${indent}}`;
  }
  throw new Error(`no libconfig form for ${value}`);
}

/** Settings merged group by group; `over` wins. */
export function mergeSettings(base, over = {}) {
  const merged = { ...base };
  for (const [name, value] of Object.entries(over)) {
    const both = [merged[name], value].every((v) => v && typeof v === 'object' && !Array.isArray(v));
    merged[name] = both ? mergeSettings(merged[name], value) : value;
  }
  return merged;
}
