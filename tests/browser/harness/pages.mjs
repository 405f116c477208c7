// A plain HTTP server on localhost for the pages under test: a secure context for the browser, another origin than
// the gateway's, so every call also walks through CORS.

import { readFile, realpath, stat } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { ROOT } from './gateway.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PACKAGES = path.join(ROOT, 'html_samples/node_modules');
/** The browser build in the published package, and the adapter it expects as a global. */
export const JANUS_JS = path.join(PACKAGES, 'janus-gateway/npm/src/janus.js');
export const ADAPTER_JS = path.join(PACKAGES, 'webrtc-adapter/out/adapter.js');

const TYPES = {
  '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.ico': 'image/x-icon', '.js': 'text/javascript',
  '.mjs': 'text/javascript', '.png': 'image/png', '.svg': 'image/svg+xml', '.webp': 'image/webp',
  '.woff': 'font/woff', '.woff2': 'font/woff2', '.ttf': 'font/ttf',
};

/** Serves `mounts` (`{'/prefix/': folder}`) besides the shared pages; `replace` maps a path to a text of our own. */
export async function servePages(mounts = {}, replace = {}) {
  const folders = { '/pages/': path.join(HERE, '../pages'), ...mounts };
  const single = { '/janus.js': JANUS_JS, '/adapter.js': ADAPTER_JS };
  const server = http.createServer(async (request, response) => {
    const name = decodeURIComponent(new URL(request.url, 'http://localhost').pathname);
    try {
      const body = replace[name] ?? await readFile(single[name] ?? await located(folders, name));
      response.writeHead(200, { 'Content-Type': TYPES[path.extname(name)] ?? 'application/octet-stream' });
      response.end(body);
    } catch {
      response.writeHead(404, { 'Content-Type': 'text/plain' });
      response.end(`${name}: not here\n`);
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://localhost:${server.address().port}`,
    stop: () => new Promise((resolve) => {
      server.closeAllConnections();
      server.close(resolve);
    }),
  };
}

async function located(folders, name) {
  const prefix = Object.keys(folders).find((start) => name.startsWith(start));
  if (!prefix || name.includes('/../')) throw new Error('no such page');
  const file = await realpath(path.join(folders[prefix], name.slice(prefix.length)));
  if (!(await stat(file)).isFile()) throw new Error('not a file');
  return file;
}
