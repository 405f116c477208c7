// A real browser in a namespace: one Chromium for all calls, a context for each.

import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromiumBinary, launchChromium } from '../browser/harness/chromium.mjs';
import { ADAPTER_JS, JANUS_JS } from '../browser/harness/pages.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const PAGE = `<!doctype html><meta charset="utf-8"><title>NAT test</title><link rel="icon" href="data:,">
<script src="/adapter.js"></script><script src="/janus.js"></script><script src="/page.js"></script>`;
/** Signalling's way to the gateway, one way: the media path has none, as the kernel need not have netem. */
const LATENCY_MS = 30;

export async function browserIn(spaces, role, more = []) {
  const browser = await launchChromium({ executablePath: spaces.wrapper(role, chromiumBinary()), more, loopback: false });
  const scripts = { '/page.js': path.join(HERE, 'page.js'), '/janus.js': JANUS_JS, '/adapter.js': ADAPTER_JS };
  const bodies = Object.fromEntries(await Promise.all(Object.entries(scripts).map(async ([name, file]) => [name, await readFile(file, 'utf8')])));
  return {
    version: browser.version(),
    close: () => browser.close(),
    /** A page of a context of its own; `http://localhost` is a secure context, and nothing is asked of the network for it. */
    async client(options) {
      const context = await browser.newContext();
      await context.route('http://localhost/**', (route) => {
        const name = new URL(route.request().url()).pathname;
        const type = name === '/' ? 'text/html' : 'text/javascript';
        return route.fulfill({ contentType: `${type}; charset=utf-8`, body: name === '/' ? PAGE : bodies[name] ?? '' });
      });
      const page = await context.newPage();
      const client = new Client(context, page);
      await page.goto('http://localhost/');
      try {
        await client.call('open', { latencyMs: LATENCY_MS, ...options });
      } catch (error) {
        await client.close();
        throw error;
      }
      return client;
    },
  };
}

class Client {
  constructor(context, page) {
    Object.assign(this, { context, page, console: [] });
    page.setDefaultTimeout(30_000);
    page.on('console', (message) => this.console.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.console.push(`uncaught: ${error.message}`));
  }

  /** Runs one of the page's functions, see page.js. */
  call(name, arg) {
    return this.page.evaluate(([what, value]) => window.nat[what](value), [name, arg]);
  }

  async story() {
    const events = await this.page.evaluate(() => window.nat.events.map((event) => JSON.stringify(event))).catch((error) => [String(error)]);
    return ['page:', ...events.slice(-40), 'console:', ...this.console.slice(-10)].join('\n  ');
  }

  async close() {
    await this.call('leave').catch(() => {});
    await this.context.close();
  }
}
