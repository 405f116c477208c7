//! A sender with its controller, allocator and pacer, and the receiver that answers it.

use super::link::{Link, Random};
use crate::{Allocator, Controller, Costs, Layer, Pacer, Settings, Stream};
use std::collections::VecDeque;

pub(super) const RATES: [u64; 3] = [150_000, 500_000, 1_500_000];
const AUDIO: u64 = 40_000;
const PACKET: u64 = 1_100;
/// A layer begins with a keyframe this long after it was chosen, which is so many times the size of a frame.
const KEYFRAME_AFTER_US: u64 = 150_000;
const KEYFRAME: u64 = 4;
const PERIOD_US: i64 = (1 << 24) * 64_000;
const STALE_US: u64 = 1_000_000;

/// What the sender has to send.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Source {
    /// Simulcast of [`RATES`].
    Layers,
    /// As much as the estimate.
    Greedy,
}

/// How the receiver answers.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Answer {
    Transport,
    /// REMB as a receiver makes it of a link of its own limits, and receiver reports.
    Remb,
    Reports,
    Nothing,
}

#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) at_us: u64,
    pub(super) estimate: u64,
    pub(super) spatial: u8,
    pub(super) queue_us: u64,
    pub(super) sent_bytes: u64,
    pub(super) padding_bytes: u64,
}

pub(super) struct Client {
    pub(super) controller: Controller,
    allocator: Allocator,
    pacer: Pacer,
    source: Source,
    pub(super) answer: Answer,
    pub(super) feedback_loss_permille: u64,
    pub(super) clock_offset_us: i64,
    pub(super) number: u16,
    target: Layer,
    current: u8,
    switch_us: Option<u64>,
    queue: VecDeque<(u64, u64)>,
    pub(super) stale: u64,
    /// Numbers sent, and when they arrive.
    flight: VecDeque<(u16, Option<u64>, u64)>,
    reports: VecDeque<(u64, Report)>,
    sent_bytes: u64,
    padding_bytes: u64,
    arrived_bytes: u64,
    counted: (u64, u64),
    total: (u64, u64),
    /// When frames come, and how often: no two sources have the same clock.
    phase: u64,
    random: Random,
    pub(super) samples: Vec<Sample>,
}

enum Report {
    Feedback(Vec<(u16, Option<i64>)>),
    Remb(u64),
    Receiver(u8),
}

impl Client {
    pub(super) fn new(source: Source, seed: u64) -> Self {
        Self {
            controller: Controller::new(Settings::default()),
            allocator: Allocator::new(),
            pacer: Pacer::new(crate::START_BITRATE),
            source,
            answer: Answer::Transport,
            feedback_loss_permille: 0,
            clock_offset_us: 0,
            number: 60_000,
            target: Layer::default(),
            current: 0,
            switch_us: None,
            queue: VecDeque::new(),
            stale: 0,
            flight: VecDeque::new(),
            reports: VecDeque::new(),
            sent_bytes: 0,
            padding_bytes: 0,
            arrived_bytes: 0,
            counted: (0, 0),
            total: (0, 0),
            phase: seed * 7 % 33,
            random: Random::new(seed ^ 0x5555),
            samples: Vec::new(),
        }
    }

    pub(super) fn with(mut self, answer: Answer) -> Self {
        let transport_feedback = answer == Answer::Transport;
        self.controller = Controller::new(Settings { transport_feedback, ..Settings::default() });
        self.answer = answer;
        self
    }

    /// One millisecond.
    pub(super) fn step(&mut self, link: &mut Link, now: u64) {
        let ms = now / 1000;
        self.hear(now);
        if ms.is_multiple_of(20) {
            self.send(link, AUDIO / 8 / 50, now);
        }
        if ms % (33 + self.phase % 2) == self.phase {
            self.frame(now);
        }
        self.drain(link, now);
        if ms.is_multiple_of(5) {
            self.pad(link, now);
        }
        if ms.is_multiple_of(50) {
            self.answer(link, now);
        }
        if ms.is_multiple_of(100) {
            self.allocate(now);
            self.samples.push(Sample {
                at_us: now,
                estimate: self.controller.estimate(now),
                spatial: self.current,
                queue_us: link.queue_us(now),
                sent_bytes: self.sent_bytes,
                padding_bytes: self.padding_bytes,
            });
        }
    }

    fn hear(&mut self, now: u64) {
        while self.reports.front().is_some_and(|(at, _)| *at <= now) {
            match self.reports.pop_front().unwrap().1 {
                Report::Feedback(results) => self.controller.on_feedback(results, now),
                Report::Remb(rate) => self.controller.on_remb(rate, now),
                Report::Receiver(fraction) => self.controller.on_receiver_report(fraction, Some(50_000), now),
            }
        }
    }

    fn frame(&mut self, now: u64) {
        let mut factor = 1;
        if self.switch_us.is_some_and(|at| at <= now) {
            self.switch_us = None;
            self.current = self.target.spatial;
            factor = KEYFRAME;
        }
        let rate = match self.source {
            Source::Layers => RATES[usize::from(self.current)],
            Source::Greedy => self.controller.estimate(now).saturating_sub(AUDIO),
        };
        let mut bytes = rate * 33 / 8_000 * factor;
        while bytes > 0 {
            let packet = bytes.min(PACKET);
            self.queue.push_back((packet, now));
            bytes -= packet;
        }
    }

    fn drain(&mut self, link: &mut Link, now: u64) {
        while let Some((bytes, at)) = self.queue.front().copied() {
            if now - at > STALE_US {
                self.queue.pop_front();
                self.stale += 1;
                continue;
            }
            if self.pacer.allowance(now) < usize::try_from(bytes).unwrap() {
                break;
            }
            self.queue.pop_front();
            self.send(link, bytes, now);
        }
    }

    fn pad(&mut self, link: &mut Link, now: u64) {
        self.controller.tick(now);
        let mut left = self.controller.poll_probe(now).map_or(0, |probe| probe.bytes);
        while left > 0 {
            self.send(link, 280, now);
            self.padding_bytes += 280;
            left = left.saturating_sub(280);
        }
    }

    fn send(&mut self, link: &mut Link, bytes: u64, now: u64) {
        self.number = self.number.wrapping_add(1);
        let len = usize::try_from(bytes).unwrap();
        self.controller.on_sent(self.number, len, now);
        self.pacer.on_sent(len, now);
        self.sent_bytes += bytes;
        self.flight.push_back((self.number, link.send(bytes, now), bytes));
    }

    /// The receiver's report of what came since the last one.
    fn answer(&mut self, link: &Link, now: u64) {
        // Lost ones count up to the newest that arrived.
        let arrived = self.flight.iter().rposition(|(_, at, _)| at.is_some_and(|at| at <= now));
        let mut results = Vec::new();
        for (number, at, bytes) in self.flight.drain(..arrived.map_or(0, |n| n + 1)) {
            self.total.0 += 1;
            self.total.1 += u64::from(at.is_none());
            self.arrived_bytes += at.map_or(0, |_| bytes);
            let ticks =
                at.map(|at| (i64::try_from(at / 250 * 250).unwrap() + self.clock_offset_us) % PERIOD_US);
            // As the 24 bits with their sign are read.
            results.push((number, ticks.map(|t| if t >= PERIOD_US / 2 { t - PERIOD_US } else { t })));
        }
        let back = now + link.delay_us;
        match self.answer {
            Answer::Transport if self.random.below(1000) >= self.feedback_loss_permille => {
                self.reports.push_back((back, Report::Feedback(results)));
            }
            Answer::Remb | Answer::Reports if now.is_multiple_of(1_000_000) => {
                let (packets, lost) = (self.total.0 - self.counted.0, self.total.1 - self.counted.1);
                self.counted = self.total;
                let fraction = u8::try_from((lost * 256 / packets.max(1)).min(255)).unwrap();
                self.reports.push_back((back, Report::Receiver(fraction)));
                let rate = std::mem::take(&mut self.arrived_bytes) * 8;
                if self.answer == Answer::Remb {
                    self.reports.push_back((back, Report::Remb((rate * 3 / 2).min(link.capacity * 9 / 10))));
                }
            }
            _ => {}
        }
    }

    fn allocate(&mut self, now: u64) {
        let estimate = self.controller.estimate(now);
        self.pacer.set_estimate(estimate);
        if self.source == Source::Greedy {
            self.controller.set_wanted(crate::MAX_BITRATE);
            return;
        }
        let costs: Costs = RATES.map(|rate| [rate; 3]);
        let mut streams = [Stream::new(costs, Layer { spatial: 2, temporal: 2 }, self.target)];
        let allocation = self.allocator.allocate(estimate, AUDIO, &mut streams, now);
        self.controller.set_wanted(allocation.wanted);
        if streams[0].current.spatial != self.target.spatial {
            self.switch_us = Some(now + KEYFRAME_AFTER_US);
        }
        self.target = streams[0].current;
    }
}
