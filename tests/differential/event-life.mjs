// A gateway's whole life, from its start to its end, as a back end of sampleevh hears of it.

import { eventSettings, startBackend } from '../browser/harness/backend.mjs';
import { startGateway } from '../browser/harness/gateway.mjs';
import { mergeSettings } from '../browser/harness/jcfg.mjs';
import { Client } from './client.mjs';
import { EventLog, kind } from './event-log.mjs';
import { Party } from './party.mjs';

export const ADDRESS = process.env.GATEWAY_ADDRESS ?? '127.0.0.1';

/**
 * Janus fell over: what it told is no measure. Its echo test answers first and tells the event handlers then; a session
 * that is destroyed in between is used after it is freed.
 */
export class OracleFell extends Error {}

/** A gateway from its start to its end, with what its back end heard of it. */
export async function life(c, { janus = {}, ...settings }, run, { atEnd = true } = {}) {
  const backend = await startBackend();
  const fixed = {
    general: { session_timeout: 60 },
    nat: { ice_enforce_list: ADDRESS },
    media: { slowlink_threshold: 1 },
  };
  const wanted = mergeSettings(eventSettings(backend, settings), { janus: mergeSettings(fixed, janus) });
  const gateway = await startGateway(wanted, { oracle: c.oracle }).catch(async (error) => {
    await backend.stop();
    throw error;
  });
  const k = Object.assign(new Client(gateway), { transcript: c.transcript, record: c.record });
  const log = new EventLog(k, backend, ADDRESS);
  try {
    const { transaction, ...info } = gateway.info;
    const started = await backend.until((e) => e.type === 256);
    k.note(
      'the start',
      `the first is ${log.events[0] && kind(log.events[0])}`,
      JSON.stringify(started?.event.info) === JSON.stringify(info)
        ? 'it has what info tells'
        : `it tells ${JSON.stringify(started)}`,
    );
    if (!started) return;
    await run(k, log, backend);
    posted(k, backend);
    if (atEnd) await atTheEnd(k, log, gateway);
    k.note('the back end', ...log.backend.unreadable, ...log.missed);
    k.record?.(
      [
        ...k.transcript.map(({ request, answer }) => [request, ...answer].join('\n      ')),
        JSON.stringify(log.events),
      ].join('\n'),
    );
  } finally {
    k.close();
    await gateway.stop();
    await backend.stop();
    if (c.oracle && /^SIG(SEGV|ABRT|BUS)$/.test(gateway.exited)) throw new OracleFell(`Janus ended with ${gateway.exited}`);
  }
}

/** Somebody with a handle is there when the gateway is told to end. */
async function atTheEnd(k, log, gateway) {
  const last = await Party.enter(k, 'who stays', 'janus.plugin.echotest');
  log.name('who stays', last.session, last.handle);
  k.sockets.forEach((socket) => socket.removeAllListeners('close'));
  await log.until('who stays', '2 attached');
  const before = log.events.length;
  await gateway.stop();
  if (k.oracle) completed(log, last);
  k.note('the end', gateway.exited, ...new Set(log.events.slice(before).map(kind).sort()));
  log.order('who stays');
  log.bodies('all', log.rest());
  k.note(
    'said by plugins of nobody',
    log
      .rest()
      .filter((e) => e.type === 64)
      .map(kind),
  );
}

/** Janus ends its event handlers while its handles still go: whether that is told is up to its threads. */
function completed(log, { session, handle }) {
  if (!log.of('who stays').some((e) => kind(e) === '2 detached'))
    log.events.push({ type: 2, session_id: session, handle_id: handle, event: { name: 'detached' } });
}

/** How events were posted. */
function posted(k, { posts }) {
  k.note(
    'posts',
    ...new Set(
      posts
        .map(({ method, path, headers, json, text, events }) => {
          const sent = ['content-type', 'content-encoding', 'authorization', 'transfer-encoding'].map(
            (name) => headers[name] ?? '-',
          );
          const form = Array.isArray(json)
            ? `an array of ${events.length > 100 ? 'too many' : '1 to 100'}`
            : 'one event';
          return `${method} ${path}: ${sent.join(', ')}, ${form}, ${/\n {3}/.test(text) ? 'indented' : 'not indented'}`;
        })
        .sort(),
    ),
  );
}
