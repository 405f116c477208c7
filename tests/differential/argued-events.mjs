// argued.mjs for event handlers, in the same form. A request reads "event handlers / case: somebody: body of 32/1 ...".

const BODY = [/^\.: object$/, /^emitter = "somewhere"$/, /^type = \d+$/, /^timestamp: microseconds, now$/];
const OF_HANDLE = [/^session_id: number$/, /^handle_id: number$/, /^event: object$/];
const NOT_ASKED = /^not asked$/;

export const ARGUED_EVENTS = [
  {
    why: 'ours: the end of a session is told however it ends, so that who counts sessions counts right',
    request: /event handlers \/ .*: (who is lost|who stays): beside$|event handlers \/ .*: the end$/,
    add: [/^1 destroyed$/],
  },
  {
    why: 'ours: the end of a session is told however it ends',
    request: /event handlers \/ .*: (who is lost|who is not reached): body of 1 destroyed$/,
    drop: [NOT_ASKED],
    add: [...BODY, /^session_id: number$/, /^event: object$/, /^event\.name = "destroyed"$/],
  },
  {
    why: 'ours: a client is given 30 seconds to be reached, for candidates may come late; Janus gives up after 7, and hangs up after 12',
    request: /: who is not reached: in order$/,
    drop: [/^16\/1 failed$/],
    add: [/^1 destroyed$/],
  },
  {
    why: 'ours: a client is given 30 seconds to be reached',
    request: /: who is not reached: body of 16\/1 failed$/,
    drop: [...BODY, /^subtype = 1$/, ...OF_HANDLE, /^event\.ice = "failed"$/, /^event\.(stream|component)_id = 1$/],
    add: [NOT_ASKED],
  },
  {
    why: 'ours: a client is given 30 seconds to be reached',
    request: /: the back end$/,
    add: [/^who is not reached: 16\/1 failed is told 0 times, not 1$/],
  },
  {
    why: 'mended: lost sound is a slow link, too',
    request: /: who loses: body of 32\/2 audio uplink$/,
    drop: [NOT_ASKED],
    add: [
      ...BODY, /^subtype = 2$/, ...OF_HANDLE,
      /^event\.mid = "0"$/, /^event\.media = "audio"$/, /^event\.slow_link = "uplink"$/, /^event\.lost_lastsec: number$/,
    ],
  },
  {
    why: 'mended: no line break at the end of a candidate',
    request: /: body of 16\/3/,
    drop: [/^event\.remote-candidate = ".*\\r\\n"$/],
    add: [/^event\.remote-candidate = ".*rport N"$/],
  },
  {
    why: 'mended: a feed that ends is told once, not by the request and by the hangup',
    request: /: said by plugins of nobody$/,
    drop: [/^64 unpublished$/],
  },
];
