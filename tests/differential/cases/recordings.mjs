// Recordings: which files there are, what their headers say, and what the first frames are like. Both run in the folder of
// their settings, so that relative names begin there.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { gatewayBinary } from '../../browser/harness/gateway.mjs';
import { Party } from '../party.mjs';
import { withPeers } from '../peer.mjs';

const ECHO = 'janus.plugin.echotest';
const RECORDED_MS = 1_500;
/** Files are closed, and what waited for the disk is in them. */
const CLOSED_MS = 600;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export default {
  'an echo': (c) => withPeers(async (open) => {
    const party = await Party.enter(c, 'Ann', ECHO);
    await party.ask({ record: true, filename: 'too/early' });
    await connect(party, await open(), ['voice', 'face', 'data'], { audio: true, video: true });
    await party.ask({ record: true, filename: 'sub/folder/echo' });
    await sleep(RECORDED_MS);
    await recordings(c, party, 'while it is recorded');
    await party.ask({ record: false });
    await sleep(CLOSED_MS);
    await recordings(c, party, 'when it is not');
    await party.ask({ record: true });
    await sleep(RECORDED_MS);
    await party.gone();
    await sleep(CLOSED_MS);
    files(c, /^(sub|too|echotest)/);
    converted(c, ['sub/folder/echo-audio.mjr', 'sub/folder/echo-video.mjr'], 'echo.webm');
    converted(c, ['sub/folder/echo-audio.mjr'], 'echo.opus');
  }),

  'what is switched off': (c) => withPeers(async (open) => {
    const party = await Party.enter(c, 'Ann', ECHO);
    await connect(party, await open(), ['voice', 'face'], { audio: true, video: true });
    await party.ask({ record: true, filename: 'off/echo' });
    await sleep(RECORDED_MS);
    await party.ask({ audio: false });
    await sleep(RECORDED_MS);
    await party.ask({ audio: true });
    await sleep(RECORDED_MS);
    await party.ask({ record: false });
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    await p.ask({ request: 'create', room: 3, rec_dir: 'off' });
    await q.ask({ request: 'join', ptype: 'publisher', room: 3, id: 7 });
    await connect(q, await open(), ['audio', 'video'], { request: 'publish' });
    await q.ask({ request: 'configure', record: true, filename: 'room' });
    await sleep(RECORDED_MS);
    await p.ask({ request: 'moderate', room: 3, id: 7, mid: '0', mute: true });
    await q.ask({ request: 'configure', video: false });
    await sleep(RECORDED_MS);
    await p.ask({ request: 'moderate', room: 3, id: 7, mid: '0', mute: false });
    await q.ask({ request: 'configure', video: true });
    await sleep(RECORDED_MS);
    await q.ask({ request: 'configure', record: false });
    await sleep(CLOSED_MS);
    for (const name of ['echo-audio', 'echo-video', 'room-audio-0', 'room-video-1']) c.note(`the pause in ${name}`, pause(path.join(c.folder, 'off', `${name}.mjr`)));
    await q.ask({ request: 'unpublish' }, { quiet: true });
    await p.ask({ request: 'destroy', room: 3 }, { quiet: true });
    await party.gone();
  }),

  'a room': (c) => withPeers(async (open) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    const guard = { room: 1, secret: 's' };
    await p.ask({ request: 'create', ...guard, rec_dir: 'rooms/one', lock_record: true });
    await q.ask({ request: 'join', ptype: 'publisher', room: 1, id: 5 });
    await connect(q, await open(), ['audio', 'video', 'data'], { request: 'publish', descriptions: [{ mid: '0', description: 'a voice' }] });
    await q.ask({ request: 'configure', record: true, filename: 'unasked' });
    await q.ask({ request: 'configure', record: true, filename: 'locked', secret: 'wrong' });
    await recordings(c, q, 'without the secret');
    await q.ask({ request: 'configure', record: true, filename: 'named', secret: 's' });
    await sleep(RECORDED_MS);
    await recordings(c, q, 'with it');
    await q.ask({ request: 'configure', record: false, secret: 's' });
    await sleep(CLOSED_MS);
    await recordings(c, q, 'when it is over');
    await p.ask({ request: 'enable_recording', ...guard, record: true });
    await sleep(RECORDED_MS);
    await p.ask({ request: 'enable_recording', ...guard, record: false });
    await sleep(CLOSED_MS);
    await recordings(c, q, 'afterwards');
    await p.ask({ request: 'destroy', ...guard });
    files(c, /^rooms.one/);
  }),

  'a room that is recorded': (c) => withPeers(async (open) => {
    const [p, q] = [await Party.enter(c, 'p'), await Party.enter(c, 'q')];
    await p.ask({ request: 'create', room: 2, record: true, rec_dir: 'rooms/two' });
    await q.ask({ request: 'join', ptype: 'publisher', room: 2, id: 6 });
    await connect(q, await open(), ['audio', 'simulcast'], { request: 'publish' });
    await sleep(RECORDED_MS);
    await q.ask({ request: 'configure', record: false });
    await sleep(CLOSED_MS);
    files(c, /^rooms.two/);
    await q.ask({ request: 'unpublish' }, { quiet: true });
    await p.ask({ request: 'destroy', room: 2 }, { quiet: true });
  }),
};

async function connect(party, peer, kinds, body) {
  const told = await party.ask(body, { jsep: await peer.offer(kinds), quiet: true });
  await peer.accept(told.jsep);
  await peer.up();
  // Pictures take longer than sound to begin.
  await sleep(RECORDED_MS);
  party.heard.length = 0;
}

/** What the plugin tells of them. */
async function recordings(c, party, when) {
  const { info } = await c.administer(`/${party.session}/${party.handle}`, { janus: 'handle_info' }, { quiet: true });
  const told = info.plugin_specific;
  const named = told.recording ?? (told.streams ?? []).map((stream) => stream.recording);
  c.note(`recordings ${when}`, plain(JSON.stringify(named)));
}

/** Notes the recordings whose names fit. */
function files(c, fits) {
  const names = readdirSync(c.folder, { recursive: true }).filter((name) => name.includes('.mjr') && fits.test(name)).sort();
  c.note('files', names.map(plain));
  for (const name of names) c.note(`file ${plain(name)}`, described(path.join(c.folder, name)));
}

/** Our own tool makes a file of recordings, whoever made them. */
function converted(c, names, to) {
  const tool = path.join(path.dirname(gatewayBinary()), 'portunus-pp-rec');
  const outcome = spawnSync(tool, [...names, to], { cwd: c.folder, encoding: 'utf8' });
  c.note(`${to} by our own tool`, outcome.status === 0 && existsSync(path.join(c.folder, to)) ? 'is made' : `is not made: ${outcome.error ?? outcome.stderr}`);
}

function described(file) {
  const bytes = existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
  if (bytes.length < 10) return [`${bytes.length} bytes`];
  const end = 10 + bytes.readUInt16BE(8);
  const header = JSON.parse(bytes.subarray(10, end).toString());
  const lines = Object.entries(header).map(([key, value]) => `${key}: ${key === 's' || key === 'u' ? typeof value : JSON.stringify(value)}`);
  let count = 0;
  let last = 0;
  for (let at = end; at + 10 <= bytes.length; at += 10 + bytes.readUInt16BE(at + 8)) {
    if (bytes.subarray(at, at + 4).toString() !== 'MEET') return [...lines, 'broken'];
    last = bytes.readUInt32BE(at + 4);
    if (count === 0) {
      const first = bytes.subarray(at + 10);
      lines.push(`the first at ${last} ms`);
      if (header.t !== 'd') lines.push(`version ${first[0] >> 6}, padding ${(first[0] >> 5) & 1}, payload type ${first[1] & 127}`);
    }
    count += 1;
  }
  return [bytes.subarray(0, 8).toString(), ...lines, count > 10 && last > 1000 ? 'many frames, more than a second' : `${count} frames`];
}

/** Whether there is a second without frames, and what the numbers of the packets do there. */
function pause(file) {
  const bytes = readFileSync(file);
  let [before, found] = [null, 'no pause'];
  for (let at = 10 + bytes.readUInt16BE(8); at + 22 <= bytes.length; at += 10 + bytes.readUInt16BE(at + 8)) {
    const now = { ms: bytes.readUInt32BE(at + 4), sequence: bytes.readUInt16BE(at + 12), timestamp: bytes.readUInt32BE(at + 14) };
    if (before && now.ms - before.ms > 1_000) {
      const gap = (now.sequence - before.sequence) & 0xffff;
      found = `a pause; the sequence numbers ${gap === 1 ? 'go on' : 'leap'}`;
    }
    before = now;
  }
  return [found];
}

/** Without what is drawn. */
function plain(name) {
  return name.replace(/(echotest|user-\d+)-[\dx]?[\da-fx]+-\d+/g, '$1-X').replace(/-\d{10,}/g, '-X').replace(/echotest-[^-]+-X/g, 'echotest-X');
}
