// What a test file needs: a gateway with given settings, the page server, and a call in a browser's tab.

import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';

import { closeBrowser, newTab } from './chromium.mjs';
import { ORACLE, startGateway } from './gateway.mjs';
import { servePages } from './pages.mjs';

export { ORACLE } from './gateway.mjs';
export { sleep } from './tab.mjs';

/** A test's time: calls on a busy machine of two cores take a while, but never that long. */
export const TEST_MS = 60_000;

export const CAMERA = { type: 'video', capture: { width: 640, height: 480 }, recv: true };
export const HD_CAMERA = { type: 'video', capture: { width: 1280, height: 720 }, recv: true };
export const MICROPHONE = { type: 'audio', capture: true, recv: true };
export const DATA = { type: 'data' };

after(closeBrowser);

/**
 * Inside a `describe`: a gateway for its tests, and tabs with a test page that are closed after each.
 * Gives `{gateway, tab(), call()}`, filled before the first test.
 */
export function withGateway(settings = {}, { open = newTab, page = 'call.html' } = {}) {
  const suite = { gateway: null, pages: null };
  const tabs = [];
  before(async () => {
    suite.pages = await servePages();
    suite.gateway = await startGateway(settings);
  });
  afterEach(async (t) => {
    await Promise.all(tabs.splice(0).map((tab) => tab.close()));
    if (suite.gateway?.exited !== null) assert.fail(`the gateway ended (${suite.gateway?.exited}):\n${suite.gateway?.log}`);
    if (t?.passed === false && process.env.GATEWAY_LOG) console.error(suite.gateway.log);
  });
  after(async () => {
    await suite.gateway?.stop();
    await suite.pages?.stop();
  });

  /** A tab with the page and a session; the call page is attached to the echo plugin. */
  suite.tab = async (options = {}) => {
    const tab = await open();
    tabs.push(tab);
    await tab.goto(`${suite.pages.origin}/pages/${page}`);
    tab.ids = await tab.open({ server: suite.gateway.http, ...options });
    return tab;
  };

  /** A call with camera and microphone, up and seen. */
  suite.call = async ({ tracks = [MICROPHONE, CAMERA], session = {}, ...offer } = {}) => {
    const tab = await suite.tab(session);
    tab.jsep = await tab.offer({ tracks, ...offer });
    await tab.seen('webrtc', { up: true });
    return tab;
  };
  return suite;
}

/** A test that only the real gateway of this project can pass, and why. */
export const notOnOracle = (reason) => (ORACLE ? { skip: `Janus: ${reason}` } : {});
