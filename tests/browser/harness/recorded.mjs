// Files of recordings: what is in them, and what Janus' tool and ours make of them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { gatewayBinary } from './gateway.mjs';

const TOOLS = ['janus-pp-rec', 'ffprobe'].filter((tool) => !installed(tool));
/** For tests that convert. */
export const CONVERT = TOOLS.length > 0 ? { skip: `not installed: ${TOOLS.join(', ')} (janus-tools, ffmpeg)` } : {};

/** Janus' tool makes a file of a recording. */
export function convert(folder, name, ending) {
  const to = path.join(folder, `${name}.${ending}`);
  execFileSync('janus-pp-rec', [path.join(folder, name), to], { stdio: 'pipe' });
  return played(to);
}

/** Our own tool makes a file of recordings. */
export function make(folder, names, ending) {
  const tool = path.join(path.dirname(gatewayBinary()), 'portunus-pp-rec');
  const to = path.join(folder, `${names[0]}.${ending}`);
  execFileSync(tool, [...names.map((name) => path.join(folder, name)), to], { stdio: 'pipe' });
  return to;
}

/** What ffprobe says of the first stream of a kind. */
export function played(file, kind = '') {
  const of = kind ? ['-select_streams', kind] : [];
  const asked = ['-v', 'error', '-count_packets', ...of, '-show_entries', 'stream=codec_name,width,height,nb_read_packets:format=duration:packet=pts_time', '-of', 'json', file];
  const { streams: [stream], format, packets } = JSON.parse(execFileSync('ffprobe', asked, { maxBuffer: 1 << 26 }).toString());
  const times = packets.map((packet) => Number(packet.pts_time));
  assert.ok(times.every((time, i) => i === 0 || time >= times[i - 1]), `${file}: times go backwards`);
  return { ...stream, duration: Number(format.duration) || times.at(-1) - times[0], until: times.at(-1), frames: Number(stream.nb_read_packets) };
}

/** What the head of an MJR file says. */
export function header(file) {
  const bytes = readFileSync(file);
  assert.equal(bytes.subarray(0, 8).toString(), 'MJR00002');
  return JSON.parse(bytes.subarray(10, 10 + bytes.readUInt16BE(8)).toString());
}

/** The packets of an MJR file, as far as they are whole. */
export function frames(file) {
  const bytes = readFileSync(file);
  const found = [];
  if (bytes.length < 10) return found;
  for (let at = 10 + bytes.readUInt16BE(8); at + 10 <= bytes.length; ) {
    assert.equal(bytes.subarray(at, at + 4).toString(), 'MEET');
    const length = bytes.readUInt16BE(at + 8);
    if (at + 10 + length > bytes.length) break;
    found.push({ ms: bytes.readUInt32BE(at + 4), bytes: bytes.subarray(at + 10, at + 10 + length) });
    at += 10 + length;
  }
  return found;
}

function installed(tool) {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(path.join(folder, tool)));
}
