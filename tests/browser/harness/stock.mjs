// The stock pages of the janus-demos package: unmodified but for the address in their settings.js.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { servePages } from './pages.mjs';

const DEMOS = '/usr/share/janus/demos';

/** Options of a test that needs the page of that name. */
export const needsStock = (name) => (existsSync(path.join(DEMOS, `${name}.html`)) ? {} : { skip: 'no stock pages here: apt-get install janus-demos' });

/** Serves the stock pages under `/demos/`, for the gateway at `address` and the Admin API at `admin`. */
export async function serveStock(address, admin) {
  const replace = { '/demos/settings.js': await settings(address) };
  if (admin) replace['/demos/adminconfig.js'] = `var server = ${JSON.stringify(admin.http)}, secret = "";\n`;
  return servePages({ '/demos/': DEMOS }, replace);
}

/** The pages' own settings with our address; Debian's copy leaves iceServers and the tokens to whoever installs it. */
async function settings(address) {
  const stock = await readFile(path.join(DEMOS, 'settings.js'), 'utf8');
  const ours = stock
    .replace(/^(\s*server = ).*:8088\/janus";$/m, `$1${JSON.stringify(address)};`)
    .replace(/^var iceServers = null;$/m, 'var iceServers = [];');
  assert.ok(ours.includes(address) && ours.includes('iceServers = [];'));
  return `${ours}\nvar token = "", apisecret = "";\n`;
}
