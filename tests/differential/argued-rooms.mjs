// argued.mjs for the VideoRoom plugin, in the same form.

/** The lines around an event's own fields. */
const EVENT = [/^\.: object$/, /^janus = "event"$/, /^session_id: number$/, /^sender: number$/, /^plugindata: object$/, /^plugindata\.plugin = /, /^plugindata\.data: object$/,
  /^plugindata\.data\.videoroom = "event"$/];
const ROOM = /^plugindata\.data\.room = /;
const ERROR = (code, text) => [new RegExp(`^plugindata\\.data\\.error_code = ${code}$`), new RegExp(`^plugindata\\.data\\.error = "${text}"$`)];
const ANY = [/./];
const TRANSPORT_WIDE = /^jsep\.sdp a=extmap:3 http:\/\/www\.ietf\.org\/id\/draft-holmer-rmcat-transport-wide-cc-extensions-01$/;
const OFFERED = /^(publishers|connected|rooms with signed tokens) \/ .*"request":"(publish|configure|join|joinandconfigure)".* with /;
const SUBSCRIBED = /^(subscribers|connected|rooms [a-z ]+) \/ /;

export const ARGUED_ROOMS = [
  {
    why: 'ours: the header of a recording tells of all extensions that its packets have',
    request: /^recordings \/ .*: file /,
    add: [/^x: \{"\d+":"(urn:ietf:params:rtp-hdrext:ssrc-audio-level|urn:3gpp:video-orientation)"\}$/],
  },
  {
    why: 'ours: over a pause the numbers go on, so that no reader takes it for losses',
    request: /^recordings \/ what is switched off: the pause in /,
    drop: [/^a pause; the sequence numbers leap$/],
    add: [/^a pause; the sequence numbers go on$/],
  },
  {
    why: 'ours: no recording is written over',
    request: /^recordings \/ a room: files$/,
    add: [/^rooms\/one\/named-(audio-0|video-1|data-2)-1\.mjr$/],
  },
  {
    why: 'ours: no recording is written over, so there is one more of each',
    request: /^recordings \/ a room: file rooms\/one\/named-(audio-0|video-1|data-2)-1\.mjr$/,
    drop: [/^not asked$/],
    add: ANY,
  },
  ...['audiolevel', 'videoorient', 'playoutdelay'].map((name) => ({
    why: `1.4.2: the publisher is told the id of the extension for ${name}`,
    request: OFFERED,
    add: [new RegExp(`^plugindata\\.data\\.streams\\[\\d+\\]\\.${name}_ext_id = \\d+$`)],
  })),
  {
    why: '1.4.2: transport-cc feedback comes with the extension, behind the format parameters',
    request: OFFERED,
    drop: [/^jsep\.sdp a=rtcp-fb:(98|102) transport-cc$/],
    add: [/^jsep\.sdp a=rtcp-fb:(98|102) transport-cc$/],
  },
  {
    why: '1.4.2: no transport-cc feedback where the room does not want the extension',
    request: OFFERED,
    drop: [/^jsep\.sdp a=rtcp-fb:(98|102) transport-cc$/],
  },
  {
    why: '1.4.2: audio answers have the transport-wide extension',
    request: OFFERED,
    add: [/^jsep\.sdp a=rtcp-fb:(111|0|8|9) transport-cc$/, TRANSPORT_WIDE],
  },
  {
    why: '1.4.2: audio offers have the transport-wide extension',
    request: SUBSCRIBED,
    add: [TRANSPORT_WIDE],
  },
  {
    why: '1.4.2: offers have no transport-cc feedback where the room does not want the extension',
    request: /^subscribers \/ what is offered: .*"room":117,/,
    drop: [/^jsep\.sdp a=rtcp-fb:(111|96) transport-cc$/],
  },
  {
    why: "1.4.2: a participant's metadata",
    request: /^publishers \/ /,
    add: [/\.metadata(: object|\.a = 1)$/],
  },
  {
    why: '1.4.2: a change of the metadata is told',
    request: /^publishers \/ configure: p hears, after /,
    add: [...EVENT, /^plugindata\.data\.id = 2$/],
  },
  {
    why: '1.4.2: metadata is an object',
    request: /"request":"configure","metadata":5/,
    drop: [ROOM, /^plugindata\.data\.configured = "ok"$/],
    add: ERROR(430, 'Invalid element type \\(metadata should be an object\\)'),
  },
  {
    why: '1.4.2: who leaves, stops publishing or is kicked is told with the display',
    request: / hears, after /,
    add: [/^plugindata\.data\.display = "/],
  },
  {
    why: '1.4.2: the kicked are told that they leave, too',
    request: / hears, after p: {"request":"kick"/,
    add: [/^plugindata\.data\.leaving = (\d+|"me")$/, ROOM, ...EVENT],
  },
  {
    why: '1.4.2: the handle of a kicked publisher says so',
    request: /^rooms \/ kick, moderate, recording: q: {"request":"(configure|publish)"/,
    drop: ERROR(426, 'No such room'),
    add: ERROR(433, 'Unauthorized, you have been kicked'),
  },
  {
    why: '1.4.2: dummies cannot be kicked',
    request: /^subscribers \/ who may subscribe: p: {"request":"kick"/,
    drop: [/^plugindata\.data\.videoroom = "success"$/],
    add: [/^plugindata\.data\.videoroom = "event"$/, ...ERROR(428, "Can't kick dummy users")],
  },
  {
    why: '1.4.2: .. and so they are still there',
    request: /^subscribers \/ who may subscribe: p: {"request":"listparticipants"/,
    drop: [/participants: array of 0$/],
    add: [/^plugindata\.data\.participants/],
  },
  {
    why: '1.4.2 has no room setting for VP9 SVC',
    request: /^rooms \/ fields of create: p: {"request":"list"/,
    drop: [/^plugindata\.data\.list\[936\]\.video_svc = true$/],
  },
  {
    why: '1.4.2: an array of streams names its mids',
    request: /"request":"configure","streams":\[(5|{})\]/,
    drop: [ROOM, /^plugindata\.data\.configured = "ok"$/],
    add: ERROR(430, "Invalid value \\(mid can't be null in a streams array\\)"),
  },
  {
    why: '1.4.2: a moderated stream is listed as such',
    request: /^(publishers|connected) \/ /,
    add: [/\.moderated = true$/],
  },
  {
    why: '1.4.2: a subscription tells its playout delay',
    request: /^subscribers \/ configure: q hears/,
    add: [/\.playout-delay: object$/, /\.playout-delay\.min-delay = \d+$/, /\.playout-delay\.max-delay = \d+$/],
  },
  {
    why: '1.4.2: simulcast of VP9',
    request: /"videocodec":"vp9"} with .* layers by rid$/,
    add: [/^plugindata\.data\.streams\[1\]\.simulcast = true$/],
  },
  {
    why: '1.4.2: where ids are strings, a subscription without streams and feed is told so',
    request: /^rooms named by strings \/ .*"ptype":"subscriber"/,
    drop: [/^plugindata\.data\.error = "Missing mandatory element \(feed\)"$/],
    add: [/^plugindata\.data\.error = "At least one between 'streams' and 'feed' must be specified"$/],
  },
  {
    why: 'mended: a mid that stands twice is refused',
    request: / with a mid twice$/,
    drop: ANY,
    add: [/^janus = "error"$/, /^error: object$/, /^error\.code = 465$/, /^error\.reason = "Duplicate mid: 0"$/],
  },
  {
    why: 'mended: who leaves with a description leaves',
    request: /^publishers \/ a jsep that cannot be: q: {"request":"leave"/,
    drop: ERROR(426, "Can't unpublish, not published"),
    add: [ROOM, /^plugindata\.data\.leaving = "ok"$/],
  },
  {
    why: 'mended: after an offer that was refused the handle takes another',
    request: /^publishers \/ before any room: p: .* with audio |^connected \/ how many may publish: two: {"request":"publish"}/,
    drop: [/^janus = "error"$/, /^error: object$/, /^error\.code = 490$/, /^error\.reason = "Error setting ICE locally"$/],
    add: ANY,
  },
  {
    why: 'mended: .. and publishes',
    request: /^connected \/ how many may publish: (one|two) hears, after two: {"request":"publish"}/,
    add: ANY,
  },
  {
    why: 'mended: PCMA has no parameters of Opus',
    request: /"audiocodec":"pcma"/,
    drop: [/^jsep\.sdp a=fmtp:8 useinbandfec=1$/],
  },
  {
    why: 'mended: a codec that the publisher does not have is not listed as published',
    request: /"videocodec":"h265"} with /,
    drop: [/^plugindata\.data\.video_codec = "h265"$/, /\.codec = "h265"$/],
    add: [/^plugindata\.data\.video_codec = "none"$/, /\.disabled = true$/],
  },
  {
    why: "mended: a data section's mid is the offer's, not its index",
    request: /"data":false} with audio 0 sendrecv, data 2$/,
    drop: [/^plugindata\.data\.streams\[1\]\.mid = "1"$/],
    add: [/^plugindata\.data\.streams\[1\]\.mid = "2"$/],
  },
  {
    why: 'mended: who has left, or whose room is gone, subscribes to nothing',
    request: /: (q|sub): {"request":"(subscribe|unsubscribe|update|switch|configure)"(,"room":1[34]0|,"streams":\[{"feed":1}\])/,
    drop: ANY,
    add: [/^plugindata\.data\.(videoroom = "event"|error_code = 426|error = "No such room")$/],
  },
  {
    why: 'mended: .. as what was heard until then shows',
    request: /^(connected \/ a room ends under its people|subscribers \/ answers): (sub|q) hears, after (sub|q): {"request":"leave"/,
    drop: [/^\(the answer /],
    add: [/^\(the answer videoroom error_code error\)$/],
  },
  {
    why: 'by the documentation: the old form of a switch; 1.1.2 takes it for an empty list',
    request: /^connected \/ a subscription in the old form: sub: {"request":"switch"/,
    drop: ERROR(430, 'Empty switch list'),
    add: [/^plugindata\.data\.(switched|room|changes|streams)/],
  },
  {
    why: 'by the documentation: a room with an unknown codec is not made of a file',
    request: /^rooms of a file \/ .*"request":"list"/,
    drop: [/^plugindata\.data\.list: array of \d$/, /^plugindata\.data\.list\[8\]/],
    add: [/^plugindata\.data\.list: array of \d$/],
  },
  {
    why: 'by the documentation: .. and so nobody is in it',
    request: /"request":"listparticipants","room":8}/,
    drop: [/^plugindata\.data\.videoroom = "participants"$/, ROOM, /^plugindata\.data\.participants: array of 0$/],
    add: [/^plugindata\.data\.videoroom = "event"$/, ...ERROR(426, 'No such room \\(8\\)')],
  },
  {
    why: 'mended: a permanent room is written with all its settings and their types',
    request: /: the file after /,
    drop: ANY,
    add: ANY,
  },
  {
    why: 'mended: a name is looked up only for somebody who may forward, when the rest of his request is right',
    request: /^connected \/ forwarders: p: {"request":"rtp_forward",.*"host":"not a host"/,
    drop: [/^plugindata\.data\.error(_code)? = (430|"Could not resolve address \(not a host\)\.\.\.")$/],
    add: [/^plugindata\.data\.error(_code)? = /],
  },
  {
    why: 'mended: what was to go to a host that is not found does not go to another one',
    request: /^connected \/ forwarders: p: {"request":"rtp_forward",.*"streams":\[.*"host":"not a host"}\]}$/,
    drop: ANY,
    add: [/^plugindata\.data\.videoroom = "event"$/, /^plugindata\.data\.error_code = 430$/, /^plugindata\.data\.error = "Could not resolve address \(not a host\)\.\.\."$/],
  },
  {
    why: 'mended: ports, payload types and SSRCs that are out of range are not cut down to others',
    request: /^connected \/ forwarders: p: {"request":"rtp_forward",.*("port":(0|70000)|"pt":200)[,}]/,
    drop: ANY,
    add: [/^plugindata\.data\.videoroom = "event"$/, /^plugindata\.data\.error_code = 430$/, /^plugindata\.data\.error = "Invalid element \((port|pt) should be between \d+ and \d+\)"$/],
  },
  {
    why: 'mended: with half of what SRTP needs nothing is forwarded, instead of in the clear',
    request: /^connected \/ forwarders: p: {"request":"rtp_forward",.*("srtp_suite":80,"streams"|"host":"127\.0\.0\.1","srtp_crypto")/,
    drop: [/^plugindata\.data\.forwarders(\[\d+\]|: array of 1)/],
    add: [/^plugindata\.data\.forwarders: array of 0$/],
  },
  {
    why: 'mended: a forwarder shows the address that its name led to, and the port also of an IPv6 one',
    request: /^connected \/ forwarders: p: {"request":"rtp_forward",.*"host":"(localhost|::1|N)"/,
    drop: [/^plugindata\.data\.forwarders\[(19\d{3}\]\.host = "0\.0\.0\.0"|0\])/],
    add: [/^plugindata\.data\.forwarders\[19\d{3}\]/],
  },
  {
    why: '1.4.2: audio has the transport-wide extension, and so what is forwarded of it',
    request: /^forwarded packets \/ as they came.*: audio/,
    drop: [/^extensions ssrc-audio-level$/],
    add: [/^extensions draft-holmer-rmcat-transport-wide-cc-extensions-01, ssrc-audio-level$/],
  },
  {
    why: 'ours: a stream that is made of several has none of the extensions that tell of the way of one',
    request: /^forwarded packets \/ layers of one camera: the best layer/,
    drop: [/^extensions draft-holmer-rmcat-transport-wide-cc-extensions-01$/],
    add: [/^extensions none$/],
  },
  {
    why: 'ours: a stream that is made of several has the id of its forwarder for an SSRC, so that two of them can be told apart',
    request: /^forwarded packets \/ layers of one camera: the best layer$/,
    drop: [/^SSRC 1$/],
    add: [/^SSRC its own$/],
  },
  {
    why: 'mended: each forwarder has the suite it was asked for, also where another one has the same key',
    request: /^forwarded packets \/ with a key: suite 32 with the key of a forwarder of suite 80$/,
    drop: [/ tags of 10 bytes$/],
    add: [/ tags of 4 bytes$/],
  },
  {
    why: 'ours: a forwarder that begins, or goes on after moderation, asks for a keyframe',
    request: /^forwarded packets \/ (greetings and wishes: a forwarder begins|moderated and stopped: then)$/,
    drop: [/^none comes$/],
    add: [/^it comes$/],
  },
  {
    why: 'follows from the requests before',
    request: /^connected \/ forwarders: p: {"request":"listforwarders","room":370,"secret":"s"}/,
    drop: [/^plugindata\.data\.publishers\[1\]\.forwarders/],
    add: [/^plugindata\.data\.publishers\[1\]\.forwarders/],
  },
  {
    why: 'mended: an idle section names its codec, so that it can be taken up again without another choice',
    request: /^publishers \/ answers: .* with audio 0 inactive,/,
    drop: [/^jsep\.sdp m=audio 9 UDP\/TLS\/RTP\/SAVPF 0$/],
    add: [/^jsep\.sdp (m=audio 9 UDP\/TLS\/RTP\/SAVPF 111|a=rtpmap:111 |a=fmtp:111 |a=extmap:[14] )/],
  },
  {
    why: 'mended: an offer with fewer sections than were agreed on is refused for what it is (RFC 9429, 5.2.2)',
    request: /^connected \/ .*"request":"publish"} with another offer$/,
    drop: [/^janus = "ack"$/, ...EVENT, ...ERROR(434, "Can't publish, already published")],
    add: [/^janus = "error"$/, /^error: object$/, /^error\.code = 469$/, /^error\.reason = "Error processing SDP"$/],
  },
  {
    why: 'mended: whoever comes in is told truly who talks',
    request: /^connected \/ who talks: late: /,
    drop: [/\.streams\[0\]\.talking = false$/],
    add: [/\.streams\[0\]\.talking = true$/],
  },
];
