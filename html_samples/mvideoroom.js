// A meeting with one handle and one PeerConnection for everybody one sees: people come and go in its m-lines.

import { runMeeting } from './meeting.js';
import { Subscription } from './room.js';

class OneForAll {
  constructor(meeting) {
    this.meeting = meeting;
    this.one = null;
  }

  of() {
    const { meeting } = this;
    this.one ??= new Subscription(meeting.janus, meeting.me, {
      streams: (streams) => meeting.arrived(streams),
      layer: (message) => meeting.layer(message),
    });
    return this.one;
  }

  /** The gateway takes the streams of who leaves out by itself, with an offer of its own. */
  gone() {}

  * all() {
    if (this.one) yield { subscription: this.one, ids: null };
  }
}

runMeeting((meeting) => new OneForAll(meeting));
