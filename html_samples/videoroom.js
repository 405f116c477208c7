// A meeting with one handle, and so one PeerConnection, for everybody one sees.

import { runMeeting } from './meeting.js';
import { Subscription } from './room.js';

class OneForEach {
  constructor(meeting) {
    this.meeting = meeting;
    this.each = new Map();
  }

  of(id) {
    let subscription = this.each.get(id);
    if (!subscription) {
      const { meeting } = this;
      subscription = new Subscription(meeting.janus, meeting.me, {
        streams: (streams) => meeting.arrived(streams, [id]),
        layer: (message) => meeting.layer(message, [id]),
      });
      this.each.set(id, subscription);
    }
    return subscription;
  }

  gone(id) {
    this.each.get(id)?.close();
    this.each.delete(id);
  }

  * all() {
    for (const [id, subscription] of this.each) yield { subscription, ids: [id] };
  }
}

runMeeting((meeting) => new OneForEach(meeting));
