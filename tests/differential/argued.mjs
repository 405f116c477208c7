// Where our answers differ from those of Debian's Janus 1.1.2, and why. A difference that no row explains fails the
// test; a row that explains nothing any more fails it too.
//
// `request` matches "suite / case: request"; `drop` and `add` are the lines only Janus and only we have, in the form of
// shape.mjs. A row holds as a whole: every pattern of it must fit a line.

const SVC_FIELD = /event of message {"body":{"(spatial_layer|temporal_layer|svc)":/;
const INFO = /"janus":"info"|GET \/(janus|admin)\/info/;

export const ARGUED = [
  {
    why: 'ours: without a secret other origins are not let into the Admin API',
    request: /^handles that are connected/,
    drop: [/^access-control-allow-origin: \*$/, /^access-control-max-age: 86400$/],
  },
  {
    why: 'tests: ours may use loopback, too; the text of candidates is compared elsewhere',
    request: /^handles that are connected/,
    drop: [/^info\.webrtc\.ice\.local-candidates: array of 1$/],
    add: [/^info\.webrtc\.ice\.local-candidates: array of 2$/, /^info\.webrtc\.ice\.local-candidates\[1\]: string$/],
  },
  {
    why: '1.4.2: accepts abs-send-time; extensions are told in the order of the offer',
    request: /^handles that are connected/,
    drop: [/^info\.webrtc\.extensions\..*: number$/],
    add: [/^info\.webrtc\.extensions\.http:\/\/www\.webrtc\.org\/experiments\/rtp-hdrext\/abs-send-time: number$/, /^info\.webrtc\.extensions\..*: number$/],
  },
  {
    why: 'mended: retransmissions of layers have an SSRC that is told; a layer that nobody is sent is none',
    request: /^handles that are connected \/ an echo of layers/,
    drop: [/^info\.plugin_specific\.substream = 2$/],
    add: [/^info\.plugin_specific\.substream = -1$/, /^info\.webrtc\.media\.0\.ssrc\.ssrc-rtx: number$/],
  },
  {
    why: '1.4.2: info tells consent freshness and what follows its loss',
    request: INFO,
    add: [/^ice-consent-freshness: boolean$/, /^hangup-on-failed: boolean$/],
  },
  {
    why: '1.4.2: the status tells the signal that rotates logs, and nothing of a library for ICE any more',
    request: /"janus":"get_status"/i,
    drop: [/^status\.libnice_debug: boolean$/],
    add: [/^status\.log_rotate_sig: number$/],
  },
  {
    why: 'mended: what is not JSON is called that by the Admin API over WebSockets, too',
    request: /Admin API \/ over WebSockets: frame not json/,
    drop: [/^error\.code = 456$/, /^error\.reason = Missing mandatory element \(transaction\)$/],
    add: [/^error\.code = 454$/, /^error\.reason = Invalid Janus API request \.\.$/],
  },
  {
    why: 'ours: info names the program that speaks the API',
    request: INFO,
    add: [/^portunus: object$/, /^portunus\.version: string$/, /^portunus\.commit: string$/],
  },
  {
    why: '1.4.2: answers accept abs-send-time',
    request: /event of message .*"jsep"/,
    add: [/^jsep\.sdp a=extmap:2 http:\/\/www\.webrtc\.org\/experiments\/rtp-hdrext\/abs-send-time$/],
  },
  {
    why: '1.4.2: audio answers have transport-cc feedback when the transport-wide extension is accepted',
    request: /event of message .*"jsep"/,
    add: [/^jsep\.sdp a=rtcp-fb:(111|0|9) transport-cc$/],
  },
  {
    why: '1.4.2: the echo plugin checks the type of the fields for scalable video, which 1.1.2 does not know',
    request: SVC_FIELD,
    drop: [/^plugindata\.data\.error = Message error: no supported attributes found$/],
    add: [/^plugindata\.data\.error = Invalid element type \((spatial_layer|temporal_layer) should be a positive integer\)$|^plugindata\.data\.error = Invalid element type \(svc should be a boolean\)$/],
  },
  {
    why: '1.4.2: the echo plugin checks the values of the fields for scalable video',
    request: SVC_FIELD,
    drop: [/^plugindata\.data\.error = Message error: no supported attributes found$/],
    add: [/^plugindata\.data\.error = Invalid value \((spatial_layer|temporal_layer) should be 0, 1 or 2\)$/],
  },
  {
    why: '1.4.2: the echo plugin takes the layers of scalable video',
    request: SVC_FIELD,
    drop: [/^plugindata\.data\.error_code = 413$/, /^plugindata\.data\.error = Message error: no supported attributes found$/],
    add: [/^plugindata\.data\.result = ok$/],
  },
  {
    why: 'mended: Janus drops the connection of a preflight outside the API; a browser then hides the reason',
    request: /OPTIONS \/nowhere$/,
    drop: [/^closed: without an answer$/],
    add: [/^status 200$/, /^access-control-allow-origin: \*$/, /^access-control-max-age: 86400$/, /^body of 0 bytes$/],
  },
  {
    why: 'mended: Janus drops the connection of a wrong method with a body, and answers one without',
    request: /PUT \/janus {/,
    drop: [/^closed: without an answer$/],
    add: [/^status 200$/, /^content-type: application\/json$/, /^access-control-/, /^\.: object$/, /^janus = error$/, /^error: object$/,
      /^error\.code = 450$/, /^error\.reason = Unsupported method PUT$/],
  },
  {
    why: 'mended: Janus drops the connection of a POST to a path that is too deep, and answers a GET',
    request: /POST \/janus\/1\/2\/3/,
    drop: [/^closed: without an answer$/],
    add: [/^status 404$/, /^access-control-/, /^body of 0 bytes$/],
  },
  {
    why: 'ours: the sample pages live on the same port, and / leads to them',
    request: /GET \/$/,
    drop: [/^status 404$/, /^access-control-/],
    add: [/^status 302$/, /^location: \/demos\/$/],
  },
  {
    why: 'ours: pages can only be read',
    request: /POST \/ {/,
    drop: [/^status 404$/, /^access-control-/],
    add: [/^status 405$/],
  },
  {
    why: '1.4.2: transport-cc comes with the extension, behind the format parameters',
    request: /"videoprofile":/,
    drop: [/^jsep\.sdp a=rtcp-fb:(98|102) transport-cc$/],
    add: [/^jsep\.sdp a=rtcp-fb:(98|102) transport-cc$/],
  },
  {
    why: 'mended: Janus names no retransmission stream of its own when the layers are named by rid, so losses are not repaired by RTX',
    request: /layers by rid/,
    add: [/^jsep\.sdp a=ssrc-group:FID \.\.$/, /^jsep\.sdp a=ssrc:\.\. cname:janus$/],
  },
  {
    why: "mended: Janus gives other codecs the parameters of Opus that the browser offered for Opus",
    request: /"audiocodec":"(pcmu|g722)"/,
    drop: [/^jsep\.sdp a=fmtp:(0|9) useinbandfec=1$/],
  },
  {
    why: 'ours: an m-line that is refused names no stream of ours',
    request: /"audiocodec":"l16"/,
    drop: [/^jsep\.sdp a=ssrc:\.\. cname:janus$/],
  },
];
