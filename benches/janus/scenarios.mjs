// What is measured: arguments of portunus-loadtest, and the figure that is compared.

const packet = ['CPU per forwarded packet', 'µs', (r) => last(r)?.server?.cpu_us_per_packet];
const p50 = ['latency p50', 'ms', (r) => last(r)?.latency_ms?.p50];
const p99 = ['latency p99', 'ms', (r) => last(r)?.latency_ms?.p99];
const lost = ['lost', '%', (r) => last(r)?.packets?.loss_percent];
const memory = ['memory', 'MiB', (r) => (last(r)?.server?.rss_kib ?? NaN) / 1024];
const media = [packet, p50, p99, lost, memory];

function last(result) {
  return result.measured?.at(-1);
}

const video = (subscribers, ...more) => ['videoroom', '--publishers', '1', '--subscribers', `${subscribers}`, ...more];

/** In the order of the page. `must` and `aim` are ratios to the better Janus. */
export const SCENARIOS = [
  { name: '1 to 100, video and sound, paced', args: video(100, '--spacing', 'paced'), figures: media, must: 3 },
  { name: '1 to 100, frames as Chromium sends them', args: video(100, '--spacing', 'chromium'), figures: media, must: 3, aim: 6 },
  { name: '1 to 100, frames back to back', args: video(100, '--spacing', 'burst'), figures: media, must: 3, aim: 6 },
  {
    name: '10 talkers to 100 listeners', figures: media, must: 3, aim: 3.5,
    args: ['videoroom', '--publishers', '10', '--subscribers', '100', '--no-video'],
  },
  { name: 'meeting of 10', args: ['videoroom', '--publishers', '10', '--meeting'], figures: media, must: 3, aim: 6 },
  { name: 'echo of 20', args: ['echotest', '--clients', '20'], figures: media, must: 3, aim: 8 },
  { name: 'echo of 100', args: ['echotest', '--clients', '100'], figures: media, must: 3, aim: 8 },
  ...[50, 200].map((calls) => ({ name: `${calls} calls of two`, args: ['videocall', '--calls', `${calls}`, '--bitrate', '250k'], figures: media })),
  { name: '1 to 1', args: video(1), figures: media, must: 3, aim: 10 },
  {
    name: '5 % loss each way, 1 to 20', args: video(20, '--loss', '5'), figures: [packet, p99, lost, memory],
  },
  ...[['WebSocket', false, []], ['HTTP', true, []], ['HTTP, connections shared', true, ['--shared-connections']]].map(([over, http, more]) => ({
    name: `5 requests a session over ${over}`, args: ['signalling', '--sessions', '1000', ...more], media: false, http, must: 3,
    figures: [
      ['CPU per session', 'µs', (r) => r.signalling?.server_cpu_us_per_session],
      ['requests a second', '', (r) => r.signalling?.requests_per_second],
    ],
  })),
  {
    name: 'joining and leaving', args: ['churn', '--rate', '20', '--stay', '1s'], must: 3,
    figures: [
      ['CPU per join', 'ms', (r) => r.churn?.server_cpu_ms_per_join],
      ['first frame p50', 'ms', (r) => r.setup?.first_media_ms?.p50],
      ['first frame p99', 'ms', (r) => r.setup?.first_media_ms?.p99],
    ],
  },
];
