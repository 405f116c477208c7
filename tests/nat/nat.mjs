// Every row of the table against the gateways: Debian's Janus, the reference; ours with Janus' own flags and nothing more
// published than the row says; ours with one published port. The table is printed at the end, docs/nat.md holds it.
//
// NAT_LONG=1 runs all rows against Janus, too, and those of the published port behind a stricter 1-to-1 NAT.
// ROWS="1b 3c" takes some rows.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, it } from 'node:test';

import { GATEWAY } from './lab.mjs';
import { packets, REQUESTS, RESPONSES } from './capture.mjs';
import { has, missing } from './needs.mjs';
import { COMMUNITY_NAT, published, ROWS, withHold } from './rows.mjs';
import { Runner } from './runner.mjs';

const LONG = process.env.NAT_LONG === '1';
const ROW_MS = 90_000;
/** Of the reference: what a call is, the failure, each cure's kind. All of them take two minutes. */
const JANUS_SAMPLE = ['1a', '1b', '1h', '2a'];
const COMMUNITY_ROWS = ['1a', '1b', '1f'];
/** Checks and the first messages of DTLS come before the answer then; with Janus media follows half a second after it. */
const LATE_ANSWER_MS = 1_500;
const SOON_MS = 2_000;
const PORT_FOR_EACH = ['-r', '30000-30999'];
const only = process.env.ROWS?.split(/[\s,]+/).filter(Boolean);

/** What was seen: by row, by column. */
const table = new Map(ROWS.map((row) => [row.id, {}]));
const reason = missing();
const chosen = (ids) => ROWS.filter(({ id }) => (!ids || ids.includes(id)) && (!only || only.includes(id)));

/** Rows with the same gateway follow each other, so that it starts once for all of them. */
function byGateway(rows) {
  const groups = new Map();
  for (const row of rows) {
    const key = JSON.stringify([row.flags, row.env, row.settings]);
    groups.set(key, [...(groups.get(key) ?? []), row]);
  }
  return [...groups.values()].flat();
}

const NAME = 'behind docker\'s bridge and a 1-to-1 NAT';
if (reason) it(NAME, { skip: reason }, () => {});
else describe(NAME, suite);

function suite() {
  let runner;
  before(async () => { runner = await Runner.up(); });
  after(async () => {
    await runner?.down();
    report(runner);
  });

  function rows(kind, column, list, expectation, { skip = false } = {}) {
    for (const row of byGateway(list)) {
      const wanted = expectation(row);
      it(`${row.id} ${row.what}: ${wanted ? 'media' : 'no media'}`, { timeout: ROW_MS, skip }, async () => {
        const seen = await runner.row(kind, row, wanted);
        if (column) table.get(row.id)[column] = seen;
        assert.equal(seen.media, wanted, `${seen.media ? 'media' : 'no media'}, pair ${seen.pair}, ICE ${seen.ice}, ${seen.frames} frames, ${seen.sound} packets of sound\n${seen.story}\ngateway:\n${runner.gateway?.log.slice(-3000)}`);
      });
    }
    after(() => runner?.stopGateway());
  }

  describe('Janus', () => {
    rows('janus', 'janus', chosen(LONG ? null : JANUS_SAMPLE), (row) => row.janus, { skip: has('janus') ? false : 'no Janus here: apt-get install janus' });
  });

  describe('ours, with the same flags and held trickle', () => {
    rows('ours', 'unpublished', chosen().map(withHold), (row) => row.unpublished);
  });

  if (LONG) describe('ours, with the same flags, held trickle and a port for each connection', () => {
    const list = chosen().filter(({ flags }) => !flags.includes('-r')).map((row) => withHold({ ...row, flags: [...row.flags, ...PORT_FOR_EACH] }));
    rows('ours', null, list, (row) => row.unpublished);
  });

  describe('ours, with the settings of the community container', () => {
    const list = chosen(COMMUNITY_ROWS).map((row) => ({ ...row, flags: [], settings: { janus: { nat: COMMUNITY_NAT } } }));
    rows('ours', null, list, (row) => row.unpublished);
  });

  describe('ours, with one published port', () => {
    let capture;
    before(async () => { capture = await runner.lab.capture('gw', 'eth0', 'udp'); });
    const list = chosen().map(published);
    rows('ours', 'published', list, () => true);
    const stricter = list.filter(({ knobs }) => !knobs.expose).map((row) => ({ ...row, knobs: { ...row.knobs, expose: 'control+media' } }));
    if (LONG) describe('that lets in this port only', () => rows('ours', null, stricter, () => true));

    it('media follows soon on an answer that is late', { timeout: ROW_MS }, async () => {
      const seen = await runner.row('ours', { ...published(ROWS.find(({ id }) => id === '1m')), page: { answerDelayMs: LATE_ANSWER_MS } });
      assert.ok(seen.media && seen.firstMs < LATE_ANSWER_MS + SOON_MS, `first frame after ${seen.firstMs} ms\n${seen.story}`);
    });

    it('answers checks and sends none', async () => {
      await capture.stop();
      const [asked, answered] = [REQUESTS, RESPONSES].map((kind) => packets(capture.file, `src host ${GATEWAY} and ${kind}`).length);
      console.log(`ICE-lite: ${answered} binding responses, ${asked} binding requests by the gateway`);
      assert.equal(asked, 0);
      assert.ok(answered > list.length, `${answered} answers: the capture saw the calls`);
    });
  });
}

function report(runner) {
  const versions = { Chromium: runner?.browsers?.cli.version, Janus: packaged('janus'), libnice: packaged('libnice10'), coturn: packaged('coturn') };
  const cell = (seen) => (seen ? (seen.media ? `yes, ${(seen.firstMs / 1000).toFixed(1)} s` : '**no**') : '');
  console.log(['', `Time from the first request to the first frame. ${Object.entries(versions).map(([name, version]) => `${name} ${version ?? '-'}`).join(', ')}`,
    '', '| row | case | Janus | Portunus, held trickle | Portunus, one published port |', '|---|---|---|---|---|',
    ...ROWS.filter(({ id }) => !only || only.includes(id)).map(({ id, what }) => {
      const seen = table.get(id);
      return `| ${[id, what, cell(seen.janus), cell(seen.unpublished), cell(seen.published)].join(' | ')} |`;
    }), ''].join('\n'));
}

function packaged(name) {
  try {
    return execFileSync('dpkg-query', ['-W', '-f', '${Version}', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return null;
  }
}
