// Debian's Firefox ESR, headless, driven by WebDriver BiDi over its own WebSocket: no driver program in between.
// FIREFOX names the binary (default: what is in PATH).

import { execFileSync, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';

import WebSocket from 'ws';

import { Tab } from './tab.mjs';

const START_WITHIN_MS = 60_000;
const COMMAND_WITHIN_MS = 60_000;

const PREFERENCES = {
  // Fake devices, no questions, loopback allowed.
  'media.navigator.streams.fake': true,
  'media.navigator.permission.disabled': true,
  'media.peerconnection.ice.default_address_only': false,
  'media.peerconnection.ice.loopback': true,
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.autoplay.default': 0,
  'media.gmp-provider.enabled': false,
  // A quiet profile that talks to nobody but the page.
  'app.normandy.enabled': false,
  'app.update.disabledForTesting': true,
  'browser.region.network.url': '',
  'browser.safebrowsing.blockedURIs.enabled': false,
  'browser.safebrowsing.malware.enabled': false,
  'browser.safebrowsing.phishing.enabled': false,
  'browser.safebrowsing.update.enabled': false,
  'browser.search.update': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage': 'about:blank',
  'browser.startup.page': 0,
  'captivedetect.canonicalURL': '',
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.manage-offline-status': false,
  'nimbus.rollouts.enabled': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.server': 'data:,#telemetry-dummy',
};

export function firefoxBinary() {
  for (const name of process.env.FIREFOX ? [process.env.FIREFOX] : ['firefox-esr', 'firefox']) {
    try {
      return execFileSync('sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' }).trim();
    } catch { /* the next name */ }
  }
  return null;
}

let running = null;

export async function newFirefoxTab() {
  running ??= await Firefox.start();
  return running.tab();
}

export async function closeFirefox() {
  await running?.stop();
  running = null;
}

class Firefox {
  static async start() {
    const profile = await mkdtemp(path.join(os.tmpdir(), 'portunus-firefox-'));
    const lines = Object.entries(PREFERENCES).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`);
    await writeFile(path.join(profile, 'user.js'), lines.join('\n'));
    const child = spawn(firefoxBinary(), ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', '0'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, HOME: profile, MOZ_CRASHREPORTER_DISABLE: '1' },
    });
    const firefox = new Firefox(child, profile);
    try {
      firefox.bidi = await Bidi.connect(`${await firefox.#address()}/session`);
      await firefox.bidi.send('session.new', { capabilities: { alwaysMatch: { unhandledPromptBehavior: { default: 'dismiss' } } } });
      await firefox.bidi.send('session.subscribe', { events: ['log.entryAdded'] });
    } catch (error) {
      await firefox.stop();
      throw error;
    }
    return firefox;
  }

  constructor(child, profile) {
    Object.assign(this, { child, profile, said: '' });
    this.exit = new Promise((resolve) => child.once('exit', resolve));
    child.stderr.on('data', (bytes) => { this.said = (this.said + bytes).slice(-100_000); });
  }

  async #address() {
    const until = Date.now() + START_WITHIN_MS;
    while (Date.now() < until && this.child.exitCode === null) {
      const found = /WebDriver BiDi listening on (ws:\S+)/.exec(this.said);
      if (found) return found[1];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`Firefox gave no WebDriver address:\n${this.said}`);
  }

  async tab() {
    const { context } = await this.bidi.send('browsingContext.create', { type: 'tab' });
    const said = [];
    const listen = (event) => {
      if (event.method === 'log.entryAdded' && event.params.source?.context === context) {
        said.push(`${event.params.level}: ${event.params.text}`);
      }
    };
    this.bidi.listeners.add(listen);
    return new Tab({
      console: said,
      evaluate: (source, arg) => this.#evaluate(context, source, arg),
      goto: (url) => this.bidi.send('browsingContext.navigate', { context, url, wait: 'complete' }),
      close: async () => {
        this.bidi.listeners.delete(listen);
        await this.bidi.send('browsingContext.close', { context });
      },
    });
  }

  async #evaluate(context, source, arg) {
    const answer = await this.bidi.send('script.callFunction', {
      target: { context },
      functionDeclaration: `async (value) => JSON.stringify(await (${source})(value === undefined ? undefined : JSON.parse(value)))`,
      arguments: arg === undefined ? [] : [{ type: 'string', value: JSON.stringify(arg) }],
      awaitPromise: true,
    });
    if (answer.type === 'exception') throw new Error(answer.exceptionDetails.text);
    return answer.result.type === 'undefined' ? undefined : JSON.parse(answer.result.value);
  }

  async stop() {
    this.bidi?.close();
    if (this.child.exitCode === null && this.child.signalCode === null) {
      this.child.kill('SIGTERM');
      const late = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
      await this.exit;
      clearTimeout(late);
    }
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The WebDriver BiDi connection: commands with answers, events to listeners. */
class Bidi {
  static connect(address) {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(address, { perMessageDeflate: false });
      socket.once('error', reject);
      socket.once('open', () => resolve(new Bidi(socket)));
    });
  }

  constructor(socket) {
    Object.assign(this, { socket, next: 1, waiting: new Map(), listeners: new Set() });
    socket.on('message', (text) => this.#take(JSON.parse(text)));
    socket.on('close', () => {
      for (const { reject, method } of this.waiting.values()) reject(new Error(`${method}: the connection closed`));
      this.waiting.clear();
    });
  }

  #take(message) {
    const command = this.waiting.get(message.id);
    if (!command) return this.listeners.forEach((listen) => listen(message));
    this.waiting.delete(message.id);
    clearTimeout(command.late);
    if (message.type === 'success') return command.resolve(message.result);
    return command.reject(new Error(`${command.method}: ${message.error}: ${message.message}`));
  }

  send(method, params) {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`${method}: no answer within ${COMMAND_WITHIN_MS} ms`));
      }, COMMAND_WITHIN_MS);
      this.waiting.set(id, { method, resolve, reject, late });
      this.socket.send(JSON.stringify({ id, method, params }));
    });
  }

  close() {
    this.socket.close();
  }
}
