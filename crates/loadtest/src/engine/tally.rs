//! What a thread has counted. Tallies of threads are added up.

use crate::histogram::Histogram;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters since the start; whoever wants a span takes the difference.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: u64,)+
        }

        impl Counters {
            pub(crate) fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)+
            }

            /// What was counted since `earlier`.
            pub(crate) fn since(&self, earlier: &Self) -> Self {
                Self { $($name: self.$name.saturating_sub(earlier.$name),)+ }
            }

            /// Names and values.
            pub(crate) fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)+]
            }
        }
    };
}

counters! {
    /// RTP packets that came, repaired ones and padding included.
    rtp_received,
    /// Their octets on the wire.
    octets_received,
    /// Of those, packets of RTX streams.
    rtx_received,
    /// Of those, packets without a payload.
    padding_received,
    /// Packets that came again.
    duplicates,
    /// Packets that came behind later ones, repairs not counted.
    reordered,
    /// Packets without a stamp of ours.
    unstamped,
    /// Packets missing when a later one came, less those that came after all.
    missing,
    /// Of `missing`: those that came after all.
    found,
    /// Media packets sent.
    rtp_sent,
    /// Their octets on the wire.
    octets_sent,
    /// Retransmissions sent.
    rtx_sent,
    /// Packets that the kernel did not take.
    refused,
    /// Frames sent and, of those, keyframes.
    frames_sent,
    keyframes_sent,
    /// Frames that were never sent because the sender was more than a second late.
    frames_skipped,
    /// Frames that came whole and could be decoded.
    frames_decoded,
    /// Wishes for keyframes and for packets that were sent, and that came.
    plis_sent,
    nacked,
    plis_received,
    nacks_received,
    /// RTCP packets that came, and that were sent.
    rtcp_received,
    rtcp_sent,
    /// Transport-wide feedback and REMB that came.
    feedback_received,
}

/// What one measurement found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase {
    pub(crate) number: u32,
    /// Packets that were to come, and of those, packets that came.
    pub(crate) expected: u64,
    pub(crate) received: u64,
    /// Of those, packets that came by retransmission.
    pub(crate) recovered: u64,
    /// The same of video alone.
    pub(crate) video_expected: u64,
    pub(crate) video_received: u64,
    /// One way, from the call that sent to the call that received.
    pub(crate) latency: Histogram,
    /// How much later than planned packets were sent.
    pub(crate) lateness: Histogram,
    /// Time in which pictures stood, beyond the limit; and how often.
    pub(crate) frozen_ns: u64,
    pub(crate) freezes: u64,
    /// Streams that brought anything, and streams of video among them.
    pub(crate) streams: u64,
    pub(crate) video_streams: u64,
    /// Lines on which something was to come and nothing ever did.
    pub(crate) silent: u64,
    /// The largest share of its packets that one stream lost, in thousandths of a percent.
    pub(crate) worst_loss: u64,
}

impl Phase {
    pub(crate) fn new(number: u32) -> Self {
        Self { number, ..Self::default() }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.expected += other.expected;
        self.received += other.received;
        self.recovered += other.recovered;
        self.video_expected += other.video_expected;
        self.video_received += other.video_received;
        self.latency.merge(&other.latency);
        self.lateness.merge(&other.lateness);
        self.frozen_ns += other.frozen_ns;
        self.freezes += other.freezes;
        self.streams += other.streams;
        self.video_streams += other.video_streams;
        self.silent += other.silent;
        self.worst_loss = self.worst_loss.max(other.worst_loss);
    }

    /// Adds what became of one stream.
    pub(crate) fn add_stream(&mut self, expected: u64, received: u64, recovered: u64, video: bool) {
        // What came is never more than what was sent; a stream that began while it was counted may be one off.
        let expected = expected.max(received);
        if expected == 0 {
            return;
        }
        self.expected += expected;
        self.received += received;
        self.recovered += recovered;
        self.streams += 1;
        if video {
            self.video_expected += expected;
            self.video_received += received;
            self.video_streams += 1;
        }
        self.worst_loss = self.worst_loss.max((expected - received) * 100_000 / expected);
    }

    /// The lost share of what was expected.
    pub(crate) fn loss(&self) -> f64 {
        if self.expected == 0 {
            return 0.0;
        }
        (self.expected - self.received) as f64 / self.expected as f64
    }
}

/// What a thread says when asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) counters: Counters,
    /// Since it was asked last.
    pub(crate) latency: Histogram,
    pub(crate) late: u64,
    pub(crate) peers: usize,
    pub(crate) up: usize,
    /// CPU time of each thread.
    pub(crate) cpu_ns: Vec<u64>,
    /// How long each was ready to run and had no core.
    pub(crate) waited_ns: Vec<u64>,
}

impl Snapshot {
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.latency.merge(&other.latency);
        self.late += other.late;
        self.peers += other.peers;
        self.up += other.up;
        self.cpu_ns.extend_from_slice(&other.cpu_ns);
        self.waited_ns.extend_from_slice(&other.waited_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lost_share_is_that_of_all_streams_together() {
        let mut phase = Phase::new(1);
        phase.add_stream(1000, 900, 0, true);
        phase.add_stream(0, 0, 0, true);
        let mut other = Phase::new(1);
        other.add_stream(3000, 3000, 10, false);
        phase.merge(&other);
        assert_eq!((phase.expected, phase.received, phase.streams), (4000, 3900, 2));
        assert_eq!((phase.video_expected, phase.video_received, phase.video_streams), (1000, 900, 1));
        assert!((phase.loss() - 0.025).abs() < 1e-9);
        assert_eq!(phase.worst_loss, 10_000);
        assert!(Phase::new(2).loss().abs() < 1e-9);
    }

    #[test]
    fn spans_are_differences() {
        let earlier = Counters { rtp_received: 5, ..Counters::default() };
        let mut later = earlier;
        later.add(&Counters { rtp_received: 7, missing: 2, ..Counters::default() });
        assert_eq!(later.since(&earlier), Counters { rtp_received: 7, missing: 2, ..Counters::default() });
        assert!(later.list().contains(&("rtp_received", 12)));
    }
}
