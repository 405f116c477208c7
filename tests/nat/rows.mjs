// The table: who offers, behind which NATs, with what help; and whether media comes. The rows and what Janus does in
// them are docs/nat.md's; `unpublished` is what we must do with Janus' own flags, `janus` what it does.

import { PUBLIC, STUN, TURN_USER } from './lab.mjs';

const stun = { urls: `stun:${STUN}:3478` };
const turn = { urls: `turn:${STUN}:3478?transport=udp`, ...TURN_USER };
const ASK_STUN = ['-S', `${STUN}:3478`];
const MAPPED = ['-1', PUBLIC];
const RANGE = ['-r', '20000-20039'];
const RANGE_OPEN = { publish: '20000:20039' };
const TRICKLE = [...ASK_STUN, '-f'];

const YES = { janus: true, unpublished: true };
const NO = { janus: false, unpublished: false };
/** What the gateway's held trickle mends. */
const MENDED = { janus: false, unpublished: true };

/**
 * Who sends its first check first decides these rows. Chromium's second one, the first that can arrive, comes after 50 ms:
 * over 30 ms of signalling a quick gateway wins sometimes, against these never.
 */
const SLOW_ANSWER = { answerDelayMs: 150 };
const SLOW = { latencyMs: 150 };

/**
 * `page` is for page.js. `beside`: before, a client without NAT calls whose checks are there before its candidates, so that
 * the docker host gives its flow another port; the call works, and goes on.
 */
const row = (id, what, call, want, knobs, flags, iceServers, page = {}) => ({ id, what, call, ...want, knobs, flags, iceServers, page });
const HOLD = { holdMs: 1000 };

export const ROWS = [
  row('1a', 'client offers, everything let in', 'echo', YES, {}, TRICKLE, [stun]),
  row('1b', 'gateway offers, everything let in', 'subscribe', MENDED, {}, TRICKLE, [stun], SLOW_ANSWER),
  row('1c', '1b with half trickle: candidates are in the offer', 'subscribe', NO, {}, ASK_STUN, [stun], SLOW_ANSWER),
  row('1d', '1b, the page holds candidates for 1 s', 'subscribe', YES, {}, TRICKLE, [stun], HOLD),
  row('1e', '1b, the page holds candidates for 0.2 s', 'subscribe', YES, {}, TRICKLE, [stun], { holdMs: 200 }),
  row('1f', '1d, but the answer takes 1.5 s', 'subscribe', MENDED, {}, TRICKLE, [stun], { holdMs: 1000, answerDelayMs: 1500 }),
  row('1F', '1f, candidates held until 0.1 s after the answer', 'subscribe', YES, {}, TRICKLE, [stun], { holdUntilAnswerMs: 100, answerDelayMs: 1500 }),
  row('1g', '1b, only control ports let in', 'subscribe', YES, { expose: 'control' }, TRICKLE, [stun]),
  row('1h', '1b, docker host drops UDP of strangers', 'subscribe', YES, { hostInput: 'drop' }, TRICKLE, [stun]),
  row('1i', '1b, client has TURN, too', 'subscribe', YES, {}, TRICKLE, [stun, turn]),
  row('1j', '1b, client takes TURN only', 'subscribe', YES, {}, TRICKLE, [turn], { relayOnly: true }),
  row('1k', '1b, media ports published', 'subscribe', YES, RANGE_OPEN, [...TRICKLE, ...RANGE], [stun]),
  row('1l', '1k with nat_1_1_mapping instead of STUN', 'subscribe', YES, RANGE_OPEN, ['-f', ...MAPPED, ...RANGE], [stun]),
  row('1m', '1l and ICE-lite', 'subscribe', YES, RANGE_OPEN, ['-f', '-I', ...MAPPED, ...RANGE], [stun]),
  row('1M', '1m, as many ports as connections: two', 'subscribe', YES, { publish: '20000:20001' }, ['-f', '-I', ...MAPPED, '-r', '20000-20001'], [stun]),
  row('1n', '1m, client without STUN', 'subscribe', YES, RANGE_OPEN, ['-f', '-I', ...MAPPED, ...RANGE], []),
  row('2a', 'client offers, its router answers strangers; only control let in', 'echo', NO, { expose: 'control', homeInput: 'accept' }, TRICKLE, [stun], SLOW),
  row('2b', '2a, everything let in', 'echo', NO, { homeInput: 'accept' }, TRICKLE, [stun], SLOW),
  row('2c', '2a, media ports published, full ICE', 'echo', YES, { ...RANGE_OPEN, homeInput: 'accept' }, ['-f', ...MAPPED, ...RANGE], [stun]),
  row('2d', '2c with ICE-lite', 'echo', YES, { ...RANGE_OPEN, homeInput: 'accept' }, ['-f', '-I', ...MAPPED, ...RANGE], [stun]),
  row('2e', '2a, client has TURN, too', 'echo', YES, { expose: 'control', homeInput: 'accept' }, TRICKLE, [stun, turn]),
  row('3a', 'client behind a symmetric NAT, only control let in', 'echo', NO, { expose: 'control', symmetric: true }, TRICKLE, [stun]),
  row('3b', '3a, gateway offers, docker host drops UDP of strangers', 'subscribe', NO, { hostInput: 'drop', symmetric: true }, TRICKLE, [stun]),
  row('3c', '3a, media ports published, ICE-lite, client without STUN', 'echo', YES, { ...RANGE_OPEN, symmetric: true }, ['-f', '-I', ...MAPPED, ...RANGE], []),
  row('3d', '3c, gateway offers', 'subscribe', YES, { ...RANGE_OPEN, symmetric: true }, ['-f', '-I', ...MAPPED, ...RANGE], []),
  { ...row('4a', '1d while another peer has a remapped port', 'subscribe', YES, {}, TRICKLE, [stun], HOLD), beside: true },
];

/** The same row for a gateway with one published port: nothing else of its network changes. */
export function published(one) {
  const expose = one.knobs.expose === 'control' ? 'control+media' : one.knobs.expose;
  return {
    ...one,
    knobs: { ...one.knobs, publish: '10000:10000', ...(expose ? { expose } : {}) },
    flags: [...(one.flags.includes('-f') ? ['-f'] : []), '-I', ...MAPPED],
    env: { PORTUNUS_SINGLE_PORT: 'true' },
  };
}

/** The same row with our held trickle, where candidates are sent one by one at all. */
export const withHold = (one) => (one.flags.includes('-f') && !one.flags.includes('-I') ? { ...one, flags: [...one.flags, '--trickle-hold-ms', '100'] } : one);

/** The NAT settings of the community container's janus.jcfg, for rows that have no flags, and what `portunus start` adds. */
export const COMMUNITY_NAT = { stun_server: STUN, stun_port: 3478, full_trickle: true, ice_lite: false, nice_debug: false, ice_ignore_list: 'vmnet', trickle_hold_ms: 100 };
