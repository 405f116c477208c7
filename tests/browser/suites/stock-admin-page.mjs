// The stock administration page of the janus-demos package, unmodified but for the address in its adminconfig.js.

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';

import { newTab } from '../harness/chromium.mjs';
import { needsStock, serveStock } from '../harness/stock.mjs';
import { TEST_MS, withGateway } from '../harness/suite.mjs';

const SECRET = 'operators only';
const OWNER = 'the owner of the call';

describe('the stock administration page', needsStock('admin'), () => {
  // Without stored tokens the page trips over a selector of its own.
  const suite = withGateway({ janus: { general: { admin_secret: SECRET, api_secret: OWNER, token_auth: true } } });
  let pages;
  before(async () => { pages = await serveStock(suite.gateway.http, suite.gateway.admin); });
  after(() => pages?.stop());

  it('asks for the secret, shows server, plugins and the handle of a call, and changes settings', { timeout: TEST_MS }, async (t) => {
    const call = await suite.call({ session: { apisecret: OWNER } });
    await call.seesVideo();
    const tab = await newTab();
    t.after(() => tab.close());
    await tab.goto(`${pages.origin}/demos/admin.html`);
    await tab.until('the question for the secret', 10_000, () => document.querySelector('#secret')?.offsetParent);
    await tab.page.fill('#secret', SECRET);
    await tab.page.click('.bootbox-accept');
    await tab.until('what the server is', 10_000, () => /1\.4\.2/.test(document.querySelector('#server-details').textContent));
    await tab.until('the plugins', 10_000, () => /EchoTest/.test(document.querySelector('#server-plugins').textContent));

    await tab.page.click('a[href="#settings"]');
    await tab.until('the settings', 10_000, () => document.querySelector('#log_level_button')?.offsetParent);
    await tab.page.click('#log_level_button');
    await tab.page.waitForSelector('.bootbox-input', { state: 'visible' });
    await tab.page.fill('.bootbox-input', '5');
    await tab.page.click('.bootbox-accept:visible');
    await tab.until('the new level', 10_000, () => document.querySelector('#log_level')?.previousElementSibling.textContent === '5');

    await tab.page.click('a[href="#handlesinfo"]');
    const { session, handle } = call.ids;
    await tab.page.waitForSelector(`#session-${session}`);
    await tab.page.click(`#session-${session}`);
    await tab.page.waitForSelector(`#handle-${handle}`);
    await tab.page.click(`#handle-${handle}`);
    const shown = await tab.until('the handle', 10_000, () => document.querySelector('#handle-info').textContent.length > 100
      && document.querySelector('#handle-info').textContent);
    for (const part of ['janus.plugin.echotest', '"ready": true', 'v=0\\r\\n']) assert.ok(shown.includes(part), `${part} in ${shown}`);
    assert.deepEqual(tab.driver.console.filter((line) => /uncaught/i.test(line)), []);
  });
});
