// Descriptions to send, written out as a browser would write them.

const FINGERPRINT = Array.from({ length: 32 }, (_, i) => (i + 16).toString(16).toUpperCase()).join(':');

const session = (mids) => [
  'v=0', 'o=- 4611731400430051336 2 IN IP4 127.0.0.1', 's=-', 't=0 0', `a=group:BUNDLE ${mids.join(' ')}`,
  'a=extmap-allow-mixed', 'a=msid-semantic: WMS stream',
];

const transport = [
  'c=IN IP4 0.0.0.0', 'a=rtcp:9 IN IP4 0.0.0.0', 'a=ice-ufrag:aB3d', 'a=ice-pwd:0123456789abcdefghijklmn',
  'a=ice-options:trickle', `a=fingerprint:sha-256 ${FINGERPRINT}`, 'a=setup:actpass',
];

const EXTENSIONS = [
  'urn:ietf:params:rtp-hdrext:ssrc-audio-level', 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01', 'urn:ietf:params:rtp-hdrext:sdes:mid',
];
const VIDEO_EXTENSIONS = [
  'urn:ietf:params:rtp-hdrext:toffset', 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time',
  'urn:3gpp:video-orientation', 'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'http://www.webrtc.org/experiments/rtp-hdrext/playout-delay', 'urn:ietf:params:rtp-hdrext:sdes:mid',
  'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id', 'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
];
const extmap = (list) => list.map((uri, i) => `a=extmap:${i + 1} ${uri}`);

/** A section that can be named in a transcript. */
const noted = (note, lines) => Object.assign(lines, { note });

export function audio({ mid = '0', direction = 'sendrecv', feedback = true } = {}) {
  return noted(`audio ${mid} ${direction}`, [
    'm=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 110', ...transport, `a=mid:${mid}`, ...extmap(EXTENSIONS), `a=${direction}`,
    'a=msid:stream sound', 'a=rtcp-mux', 'a=rtcp-rsize', 'a=rtpmap:111 opus/48000/2',
    ...(feedback ? ['a=rtcp-fb:111 transport-cc'] : []),
    'a=fmtp:111 minptime=10;useinbandfec=1', 'a=rtpmap:63 red/48000/2', 'a=fmtp:63 111/111', 'a=rtpmap:9 G722/8000',
    'a=rtpmap:0 PCMU/8000', 'a=rtpmap:8 PCMA/8000', 'a=rtpmap:110 telephone-event/48000',
    'a=ssrc:1001 cname:me', 'a=ssrc:1001 msid:stream sound',
  ]);
}

const VIDEO_CODECS = [
  [96, 'VP8/90000'], [97, 'rtx/90000', 'apt=96'], [98, 'VP9/90000', 'profile-id=0'], [99, 'rtx/90000', 'apt=98'],
  [102, 'H264/90000', 'level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f'], [103, 'rtx/90000', 'apt=102'],
  [45, 'AV1/90000', 'level-idx=5;profile=0;tier=0'], [46, 'rtx/90000', 'apt=45'],
];

export function video({ mid = '1', direction = 'sendrecv', simulcast = 'none' } = {}) {
  const codecs = VIDEO_CODECS.flatMap(([type, name, format]) => [
    `a=rtpmap:${type} ${name}`,
    ...(name.startsWith('rtx') ? [] : ['goog-remb', 'transport-cc', 'ccm fir', 'nack', 'nack pli'].map((f) => `a=rtcp-fb:${type} ${f}`)),
    ...(format ? [`a=fmtp:${type} ${format}`] : []),
  ]);
  const source = (ssrc) => [`a=ssrc:${ssrc} cname:me`, `a=ssrc:${ssrc} msid:stream picture`];
  const streams = {
    none: ['a=ssrc-group:FID 2001 2002', ...source(2001), ...source(2002)],
    rid: ['a=rid:h send', 'a=rid:m send', 'a=rid:l send', 'a=simulcast:send h;m;l'],
    ssrc: ['a=ssrc-group:SIM 2001 2003 2005', 'a=ssrc-group:FID 2001 2002', 'a=ssrc-group:FID 2003 2004',
      'a=ssrc-group:FID 2005 2006', ...[2001, 2002, 2003, 2004, 2005, 2006].flatMap(source)],
  };
  return noted(`video ${mid} ${direction}, layers by ${simulcast}`, [
    `m=video 9 UDP/TLS/RTP/SAVPF ${VIDEO_CODECS.map(([type]) => type).join(' ')}`, ...transport, `a=mid:${mid}`,
    ...extmap(VIDEO_EXTENSIONS), `a=${direction}`, 'a=msid:stream picture', 'a=rtcp-mux', 'a=rtcp-rsize', ...codecs,
    ...streams[simulcast],
  ]);
}

export function data({ mid = '2' } = {}) {
  return noted(`data ${mid}`, ['m=application 9 UDP/DTLS/SCTP webrtc-datachannel', ...transport, `a=mid:${mid}`, 'a=sctp-port:5000', 'a=max-message-size:262144']);
}

/** Sections to a description. */
export function sdp(...sections) {
  const mids = sections.map((section) => section.find((line) => line.startsWith('a=mid:')).slice('a=mid:'.length));
  return [...session(mids), ...sections.flat(), ''].join('\r\n');
}

export const offer = (...sections) => ({ type: 'offer', sdp: sdp(...sections) });

/** The offer without the lines that match. */
export function without(jsep, pattern) {
  return { ...jsep, sdp: jsep.sdp.split('\r\n').filter((line) => !pattern.test(line)).join('\r\n') };
}

/** What a browser would answer to an offer: every m-line taken, in the other direction. */
export function answerTo(jsep) {
  const TURNED = { sendonly: 'recvonly', recvonly: 'sendonly' };
  const drop = /^a=(ssrc|ssrc-group|msid|candidate|end-of-candidates|extmap-allow-mixed)\b/;
  const lines = (jsep?.sdp ?? '').split('\r\n').filter((line) => !drop.test(line)).map((line) => line
    .replace(/^a=(sendonly|recvonly)$/, (_, direction) => `a=${TURNED[direction]}`)
    .replace(/^a=setup:actpass$/, 'a=setup:active')
    .replace(/^a=ice-ufrag:.*/, 'a=ice-ufrag:aB3d').replace(/^a=ice-pwd:.*/, 'a=ice-pwd:0123456789abcdefghijklmn')
    .replace(/^a=fingerprint:.*/, `a=fingerprint:sha-256 ${FINGERPRINT}`)
    .replace(/^o=.*/, 'o=- 4611731400430051336 2 IN IP4 127.0.0.1'));
  return { type: 'answer', sdp: lines.join('\r\n') };
}
