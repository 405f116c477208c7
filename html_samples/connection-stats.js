// What getStats says of a PeerConnection, added up for people.

/** Octets and losses so far, codecs, the pictures that come and go, and the pair of candidates that is used. */
export async function sample(pc) {
  const report = await pc.getStats();
  const now = { at: performance.now() / 1000, in: 0, out: 0, lost: 0, codecs: [], pair: null, remote: null };
  let transport = null;
  report.forEach((entry) => {
    if (entry.type === 'transport') transport = entry;
    if (entry.type === 'inbound-rtp') {
      now.in += entry.bytesReceived;
      now.lost += entry.packetsLost ?? 0;
      const codec = report.get(entry.codecId);
      if (codec) now.codecs.push(codec.mimeType.split('/')[1]);
      if (entry.kind === 'video') now.video = entry;
    }
    if (entry.type === 'outbound-rtp') {
      now.out += entry.bytesSent;
      if (entry.kind === 'video' && (entry.frameWidth ?? 0) >= (now.sent?.frameWidth ?? 0)) now.sent = entry;
    }
  });
  report.forEach((entry) => {
    if (entry.type === 'candidate-pair' && (transport ? entry.id === transport.selectedCandidatePairId : entry.selected)) now.pair = entry;
  });
  now.remote = (now.pair && report.get(now.pair.remoteCandidateId)) ?? null;
  return now;
}

/** kbit/s in and out between two samples. */
export function rates(before, now) {
  const seconds = now.at - before.at;
  return [now.in - before.in, now.out - before.out].map((octets) => Math.max(0, (octets * 8) / 1000 / seconds));
}

/** The round trip in ms, `null` while it is not known. */
export const roundTrip = ({ pair }) => (pair?.currentRoundTripTime === undefined ? null : pair.currentRoundTripTime * 1000);

export const size = (video) => `${video.frameWidth} × ${video.frameHeight}`;

export const frames = (video) => Math.round(video.framesPerSecond ?? 0);
