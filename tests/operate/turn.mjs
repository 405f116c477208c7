// Relay candidates of our own. The tests run in a network namespace of their own (turn/inside.mjs): nothing there
// reaches the gateway's ports but a TURN server.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const here = path.dirname(fileURLToPath(import.meta.url));
const WRAPPER = path.join(here, '../../scripts/in-namespace.sh');
const ALL_MS = 300_000;

const skip = reason();

describe('a gateway that only a TURN server reaches', { skip }, () => {
  it('gives calls over UDP, TCP and TLS', { timeout: ALL_MS }, async (t) => {
    // A runner that knows it runs below another one runs nothing.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const child = spawn(WRAPPER, ['node', '--test', '--test-reporter=tap', path.join(here, 'turn/inside.mjs')], { env });
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { said += bytes; });
    const code = await new Promise((resolve) => { child.once('close', resolve); });
    for (const [, name] of said.matchAll(/^ +ok \d+ - (.*)$/gm)) t.diagnostic(`passed: ${name}`);
    assert.equal(code, 0, said);
    // A run that tested nothing is no success.
    const wanted = readFileSync(path.join(here, 'turn/inside.mjs'), 'utf8').match(/^ +it\(/gm).length;
    assert.ok(Number(/^# pass (\d+)$/m.exec(said)?.[1]) >= wanted, said);
  });
});

/** Why this cannot be run here; false if it can. */
function reason() {
  if (process.getuid() !== 0) return 'needs root for a network namespace';
  const missing = ['turnserver', 'iptables', 'openssl', 'ip'].find((tool) => spawnSync('which', [tool]).status !== 0);
  if (missing) return `${missing} is not installed`;
  const probe = `portunus-turn-${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', probe]).status !== 0) return 'no network namespace may be made here';
  spawnSync('ip', ['netns', 'del', probe]);
  return false;
}
