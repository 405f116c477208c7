// argued.mjs for the VideoCall plugin, in the same form.

/** Descriptions that the plugin passes on, and by whom they are heard. */
const PASSED_ON = /^calls \/ .* hears, after .*"request":"(call|accept|set)".* with /;
const LAYERED = /^calls \/ (answers without a connection): one hears, after two: \{"request":"accept"\} with /;
const AGAIN = /^calls \/ another offer while it rings: /;

export const ARGUED_CALLS = [
  {
    why: 'ours: an m-line has one mid',
    request: PASSED_ON,
    drop: [/^jsep\.sdp a=mid:/],
  },
  {
    why: 'ours: retransmission payload types stay as they were offered',
    request: PASSED_ON,
    drop: [/^jsep\.sdp m=video /, /^jsep\.sdp a=rtpmap:\d+ rtx\/90000$/, /^jsep\.sdp a=fmtp:\d+ apt=\d+$/],
    add: [/^jsep\.sdp m=video /, /^jsep\.sdp a=rtpmap:\d+ rtx\/90000$/, /^jsep\.sdp a=fmtp:\d+ apt=\d+$/],
  },
  {
    why: 'ours: no codec of many loses its retransmissions',
    request: PASSED_ON,
    drop: [/^jsep\.sdp m=video /],
    add: [/^jsep\.sdp m=video /, /^jsep\.sdp a=rtpmap:\d+ rtx\/90000$/, /^jsep\.sdp a=fmtp:\d+ apt=\d+$/],
  },
  {
    why: 'ours: an offer names no source of what it does not send',
    request: PASSED_ON,
    drop: [/^jsep\.sdp a=ssrc:\.\. cname:janus$/],
  },
  {
    why: 'ours: a caller that offers layers by rid is asked for them',
    request: LAYERED,
    add: [/^jsep\.sdp a=rid:\w recv$/, /^jsep\.sdp a=simulcast:recv /, /^jsep\.sdp a=extmap:\d+ urn:ietf:params:rtp-hdrext:sdes:(rtp|repaired-rtp)-stream-id$/],
  },
  {
    why: 'ours: with layers agreed on, retransmissions are, too',
    request: LAYERED,
    add: [/^jsep\.sdp a=ssrc-group:FID \.\.$/, /^jsep\.sdp a=ssrc:\.\. cname:janus$/],
  },
  {
    why: 'ours: an offer that was not answered leaves nothing behind that would refuse the next: the plugin does, and ends the call',
    request: AGAIN,
    drop: [/^janus = "error"$/, /^error: object$/, /^error\.(code|reason) = /],
    add: [/^janus = "ack"$/, /^\.: object$/, /^janus = "event"$/, /^session_id: number$/, /^sender: number$/, /^plugindata/],
  },
  {
    why: 'ours: so both hear of its end',
    request: new RegExp(`${AGAIN.source}(one|two) hears`),
    add: [/^\.: object$/, /^janus = "(event|hangup)"$/, /^session_id: number$/, /^sender: number$/, /^plugindata/, /^reason = "Close PC"$/],
  },
  {
    why: 'ours: the same, by the one who called',
    request: new RegExp(`${AGAIN.source}one hears`),
    add: [/^\(the answer /],
  },
];
