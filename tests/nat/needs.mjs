// What the tests need of the machine; the reason to skip them if it is not there.

import { spawnSync } from 'node:child_process';

import { chromiumBinary } from '../browser/harness/chromium.mjs';

const PROGRAMS = { ip: 'iproute2', ss: 'iproute2', iptables: 'iptables', conntrack: 'conntrack', tcpdump: 'tcpdump', turnserver: 'coturn', curl: 'curl', openssl: 'openssl' };

export const has = (program) => spawnSync('sh', ['-c', 'command -v "$1"', 'sh', program]).status === 0;

/** A reason, or null. */
export function missing() {
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const packages = new Set(Object.entries(PROGRAMS).filter(([program]) => !has(program)).map(([, name]) => name));
  try { chromiumBinary(); } catch { packages.add('chromium'); }
  if (packages.size > 0) return `apt-get install ${[...packages].join(' ')}`;
  const probe = `pnat-probe-${process.pid}`;
  if (spawnSync('ip', ['netns', 'add', probe]).status !== 0) return 'this machine makes no network namespaces (a container without CAP_SYS_ADMIN?)';
  const rules = spawnSync('ip', ['netns', 'exec', probe, 'iptables', '-t', 'nat', '-A', 'POSTROUTING', '-j', 'MASQUERADE'], { encoding: 'utf8' });
  spawnSync('ip', ['netns', 'del', probe]);
  return rules.status === 0 ? null : `iptables does not work here: ${rules.stderr.trim()}`;
}
