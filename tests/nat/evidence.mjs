// What happens in one row, for docs/nat.md and for whoever wonders: STUN and ICMP between the docker host and the client
// on the host's uplink, and what its connection tracking holds in the end.
//
//   node tests/nat/evidence.mjs [row] [janus|ours] [lines]

import { CLIENT, HOST, STUN } from './lab.mjs';
import { packets } from './capture.mjs';
import { ROWS, withHold } from './rows.mjs';
import { Runner } from './runner.mjs';

const [id = '1b', kind = 'janus', lines = '16'] = process.argv.slice(2);
const row = ROWS.find((one) => one.id === id);
if (!row) throw new Error(`no row ${id}: ${ROWS.map((one) => one.id).join(' ')}`);

const runner = await Runner.up();
try {
  const capture = await runner.lab.capture('host', 'ext0', 'udp or icmp');
  const seen = await runner.row(kind, kind === 'janus' ? row : withHold(row), row[kind === 'janus' ? 'janus' : 'unpublished']);
  const flows = runner.lab.flows().filter((line) => line.includes(CLIENT) || (row.beside && !line.includes(STUN)));
  await capture.stop();
  console.log(`${id} ${row.what}, ${kind}: ${seen.media ? `media after ${seen.firstMs} ms, ${seen.pair}` : 'no media'}\n`);
  const at = (line) => Number(line.split(' ')[0]);
  const talk = packets(capture.file, `host ${CLIENT} and (icmp or (udp and udp[12:4] = 0x2112a442))`, '-tt').slice(0, Number(lines));
  const asked = packets(capture.file, `src host ${HOST} and dst port 3478`, '-tt').filter((line) => talk.length > 0 && at(line) < at(talk[0])).at(-1);
  const all = [asked, ...talk].filter(Boolean);
  for (const line of all) console.log(`${(at(line) - at(all[0])).toFixed(3)}  ${line.slice(line.indexOf(' IP ') + 4)}`);
  console.log(`\n${flows.join('\n')}`);
} finally {
  await runner.down();
}
process.exit(0);
