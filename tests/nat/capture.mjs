// What a capture says of STUN.

import { execFileSync } from 'node:child_process';

const MAGIC = 'udp[12:4] = 0x2112a442';
export const REQUESTS = `${MAGIC} and udp[8:2] = 0x0001`;
export const RESPONSES = `${MAGIC} and udp[8:2] = 0x0101`;

/** Lines of the packets that fit. */
export function packets(file, filter, ...more) {
  const out = execFileSync('tcpdump', ['-nn', ...more, '-r', file, filter], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return out.split('\n').filter(Boolean);
}
