// One headless Chromium for all tests of a run; every test gets a context of its own.
// CHROMIUM names the binary (default: Debian's, or what else is in PATH).

import { execFileSync } from 'node:child_process';

import { chromium } from 'playwright-core';

import { Tab } from './tab.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const FLAGS = [
  '--use-fake-device-for-media-stream',
  '--use-fake-ui-for-media-stream',
  '--autoplay-policy=no-user-gesture-required',
  '--disable-background-timer-throttling',
  '--disable-backgrounding-occluded-windows',
  '--disable-renderer-backgrounding',
  '--mute-audio',
];

let running = null;

export function chromiumBinary() {
  const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : NAMES;
  for (const name of names) {
    try {
      return execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' }).trim();
    } catch { /* the next name */ }
  }
  throw new Error(`no Chromium found (${names.join(', ')}): apt-get install chromium`);
}

/** A browser of its own; `executablePath` may be a wrapper, `more` are further flags, `loopback` lets it use 127.0.0.1 for media. */
export function launchChromium({ executablePath = chromiumBinary(), more = [], loopback = true } = {}) {
  return chromium.launch({
    executablePath,
    args: [...FLAGS, ...(loopback ? ['--allow-loopback-in-peer-connection'] : []), ...more],
    chromiumSandbox: process.getuid?.() !== 0,
    timeout: 30_000,
  });
}

export function theBrowser() {
  running ??= launchChromium();
  return running;
}

export async function closeBrowser() {
  await (await running)?.close();
  running = null;
}

/** A tab in a fresh context (`options` as Playwright's newContext takes them). */
export async function newTab(options = {}) {
  const context = await (await theBrowser()).newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const said = [];
  page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => said.push(`uncaught: ${error.message}`));
  const tab = new Tab({
    console: said,
    // The page takes JSON both ways, so that every browser's driver behaves alike.
    evaluate: async (source, arg) => {
      const text = await page.evaluate(
        async ([code, value]) => JSON.stringify(await (0, eval)(`(${code})`)(value)), [source, arg]);
      return text === undefined ? undefined : JSON.parse(text);
    },
    goto: (url) => page.goto(url),
    close: () => context.close(),
  });
  tab.page = page;
  return tab;
}
