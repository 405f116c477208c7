//! Controllers over simulated links, on a clock that only the test moves.

mod client;
mod link;

use crate::{MAX_BITRATE, MIN_BITRATE, SAFE_BITRATE};
use client::{Answer, Client, Sample, Source};
use link::Link;

const SECOND: u64 = 1_000_000;

/// Runs clients on one link for so many seconds; `change` is called each millisecond.
fn run(link: &mut Link, clients: &mut [Client], from: u64, to: u64, mut each: impl FnMut(&mut Link, u64)) {
    for now in (from * SECOND..to * SECOND).step_by(1000) {
        each(link, now);
        clients.iter_mut().for_each(|client| client.step(link, now));
    }
}

fn still(_: &mut Link, _: u64) {}

fn between(samples: &[Sample], from: u64, to: u64) -> Vec<Sample> {
    let inside = samples.iter().filter(|s| s.at_us >= from * SECOND && s.at_us < to * SECOND);
    inside.copied().collect()
}

fn percentile(samples: &[Sample], percent: usize, of: impl Fn(&Sample) -> u64) -> u64 {
    let mut values: Vec<u64> = samples.iter().map(of).collect();
    values.sort_unstable();
    values.get((values.len() * percent / 100).min(values.len().saturating_sub(1))).copied().unwrap_or(0)
}

fn show(name: &str, samples: &[Sample]) {
    let mut line = String::new();
    for s in samples.iter().step_by(5) {
        line += &format!(
            "{:.1}s {}k L{} q{}ms  ",
            s.at_us as f64 / 1e6,
            s.estimate / 1000,
            s.spatial,
            s.queue_us / 1000
        );
    }
    println!("{name}: {line}");
}

/// When a layer was first reached after a time, in ms after it.
fn reached(samples: &[Sample], from: u64, layer: impl Fn(u8) -> bool) -> u64 {
    let at = samples.iter().find(|s| s.at_us >= from * SECOND && layer(s.spatial)).map(|s| s.at_us);
    at.map_or(u64::MAX, |at| (at - from * SECOND) / 1000)
}

#[test]
fn a_narrow_link_takes_the_layer_down_and_a_wide_one_up_again() {
    for seed in 1..=20 {
        let mut link = Link::new(5_000_000, seed);
        link.jitter_us = if seed % 2 == 0 { 4_000 } else { 0 };
        let mut clients = [Client::new(Source::Layers, seed)];
        run(&mut link, &mut clients, 0, 60, |link, now| match now / 1000 {
            10_000 => link.set_capacity(400_000, now),
            40_000 => link.set_capacity(5_000_000, now),
            _ => {}
        });
        let samples = &clients[0].samples;
        let first = reached(samples, 0, |l| l == 2);
        let down = reached(samples, 10, |l| l == 0);
        let up = reached(samples, 40, |l| l == 2);
        let narrow = between(samples, 15, 40);
        let queue = percentile(&narrow, 95, |s| s.queue_us) / 1000;
        println!(
            "seed {seed}: top after {first} ms, down after {down} ms, up after {up} ms, queue p95 {queue} ms"
        );
        if down > 3_000 || up > 10_000 || queue > 200 {
            show("trace", samples);
        }
        assert!(first < 3_000 && down < 3_000 && up < 10_000 && queue < 200);
        assert!(narrow.iter().all(|s| s.spatial == 0));
    }
}

#[test]
fn a_steady_link_is_used_and_its_queue_stays_short() {
    for (source, seed) in (1..=10).flat_map(|s| [(Source::Greedy, s), (Source::Layers, s)]) {
        let mut link = Link::new(1_000_000, seed);
        link.jitter_us = if seed % 2 == 0 { 4_000 } else { 0 };
        let mut clients = [Client::new(source, seed)];
        run(&mut link, &mut clients, 0, 60, still);
        let late = between(&clients[0].samples, 20, 60);
        let estimate = percentile(&late, 50, |s| s.estimate);
        let queue = percentile(&late, 95, |s| s.queue_us) / 1000;
        let kind = if source == Source::Greedy { "greedy" } else { "layers" };
        println!("{kind} {seed}: estimate {estimate}, queue p95 {queue} ms");
        if queue >= 100 || !(700_000..=1_000_000).contains(&estimate) {
            show("trace", &clients[0].samples);
        }
        assert!((700_000..=1_000_000).contains(&estimate) && queue < 100);
    }
}

#[test]
fn random_loss_does_not_collapse_the_estimate() {
    for seed in 1..=10 {
        let mut link = Link::new(2_000_000, seed);
        link.loss_permille = 50;
        let mut clients = [Client::new(Source::Greedy, seed)];
        run(&mut link, &mut clients, 0, 60, still);
        let late = between(&clients[0].samples, 20, 60);
        let estimate = percentile(&late, 10, |s| s.estimate);
        println!("seed {seed}: estimate p10 {estimate}");
        if estimate <= 1_000_000 {
            show("trace", &clients[0].samples);
        }
        assert!(estimate > 1_000_000);
    }
}

#[test]
fn two_receivers_share_a_bottleneck() {
    for seed in 1..=10 {
        let mut link = Link::new(2_000_000, seed);
        link.jitter_us = 2_000;
        let mut clients = [Client::new(Source::Greedy, seed), Client::new(Source::Greedy, seed + 101)];
        // The second one comes when the first has taken the link.
        run(&mut link, &mut clients[..1], 0, 10, still);
        run(&mut link, &mut clients, 10, 130, still);
        let sent = |c: &Client| {
            let late = between(&c.samples, 50, 130);
            late.last().unwrap().sent_bytes - late[0].sent_bytes
        };
        let (a, b) = (sent(&clients[0]), sent(&clients[1]));
        let queue = percentile(&between(&clients[0].samples, 50, 130), 95, |s| s.queue_us) / 1000;
        println!("seed {seed}: {} and {} kbit/s, queue p95 {queue} ms", a / 10_000, b / 10_000);
        if a.max(b) >= 3 * a.min(b) {
            show("first", &clients[0].samples);
            show("second", &clients[1].samples);
        }
        assert!(a.max(b) < 3 * a.min(b));
        assert!(a + b > 10_000_000, "the link is used");
    }
}

#[test]
fn lost_feedback_does_little_harm() {
    for seed in 1..=5 {
        let mut link = Link::new(1_000_000, seed);
        let mut client = Client::new(Source::Layers, seed);
        client.feedback_loss_permille = 300;
        let mut clients = [client];
        run(&mut link, &mut clients, 0, 60, still);
        let late = between(&clients[0].samples, 20, 60);
        let (estimate, low) = (percentile(&late, 50, |s| s.estimate), percentile(&late, 5, |s| s.estimate));
        println!("seed {seed}: estimate {estimate}, p5 {low}");
        assert!((600_000..=1_050_000).contains(&estimate));
        assert!(low > 300_000);
    }
}

#[test]
fn sequence_and_reference_time_wrap_unnoticed() {
    let plain = trace(60_000, 0);
    // 65 536 packets do not pass in this time: the first number is near its end. The reference time wraps, as a
    // number with a sign and as one without, ten seconds in.
    let half = (1_i64 << 23) * 64_000;
    assert_eq!(trace(65_000, half - 10_000_000), plain);
    assert_eq!(trace(100, 2 * half - 10_000_000), plain);
}

fn trace(number: u16, clock_offset_us: i64) -> Vec<u64> {
    let mut link = Link::new(1_200_000, 3);
    let mut client = Client::new(Source::Layers, 3);
    (client.number, client.clock_offset_us) = (number, clock_offset_us);
    let mut clients = [client];
    run(&mut link, &mut clients, 0, 30, still);
    clients[0].samples.iter().map(|s| s.estimate).collect()
}

#[test]
fn a_receivers_own_estimate_is_filled_and_followed() {
    let mut link = Link::new(5_000_000, 1);
    let mut clients = [Client::new(Source::Layers, 1).with(Answer::Remb)];
    run(&mut link, &mut clients, 0, 80, |link, now| match now / 1000 {
        20_000 => link.set_capacity(400_000, now),
        50_000 => link.set_capacity(5_000_000, now),
        _ => {}
    });
    let samples = &clients[0].samples;
    let (first, down) = (reached(samples, 0, |l| l == 2), reached(samples, 20, |l| l == 0));
    let up = reached(samples, 50, |l| l == 2);
    println!("top after {first} ms, down after {down} ms, up after {up} ms");
    if first > 15_000 || down > 3_000 || up > 20_000 {
        show("trace", samples);
    }
    assert!(first < 15_000 && down < 3_000 && up < 20_000);
}

#[test]
fn receiver_reports_alone_carry_it_too() {
    let mut link = Link::new(800_000, 1);
    link.queue_bytes = 20_000;
    let mut clients = [Client::new(Source::Layers, 1).with(Answer::Reports)];
    run(&mut link, &mut clients, 0, 120, still);
    let late = between(&clients[0].samples, 60, 120);
    let estimate = percentile(&late, 50, |s| s.estimate);
    println!("estimate {estimate}");
    if !(500_000..=1_300_000).contains(&estimate) {
        show("trace", &clients[0].samples);
    }
    assert!((500_000..=1_300_000).contains(&estimate));
}

#[test]
fn without_any_answer_it_falls_to_a_safe_value() {
    let mut link = Link::new(5_000_000, 1);
    let mut clients = [Client::new(Source::Layers, 1)];
    run(&mut link, &mut clients, 0, 10, still);
    assert!(clients[0].samples.last().unwrap().estimate > 1_500_000);
    clients[0].answer = Answer::Nothing;
    run(&mut link, &mut clients, 10, 20, still);
    let last = *clients[0].samples.last().unwrap();
    assert_eq!((last.estimate, last.spatial), (SAFE_BITRATE, 0));
    clients[0].answer = Answer::Transport;
    run(&mut link, &mut clients, 20, 30, still);
    assert!(clients[0].samples.last().unwrap().estimate > 1_500_000);

    let mut clients = [Client::new(Source::Greedy, 1).with(Answer::Nothing)];
    run(&mut link, &mut clients, 0, 20, still);
    assert_eq!(clients[0].samples.last().unwrap().estimate, SAFE_BITRATE);
}

#[test]
fn probes_are_a_small_part_of_what_is_sent() {
    let mut link = Link::new(400_000, 1);
    let mut clients = [Client::new(Source::Layers, 1)];
    run(&mut link, &mut clients, 0, 60, still);
    let late = between(&clients[0].samples, 10, 60);
    let (first, last) = (late[0], *late.last().unwrap());
    let (padding, sent) = (last.padding_bytes - first.padding_bytes, last.sent_bytes - first.sent_bytes);
    println!("{padding} of {sent} bytes");
    assert!(padding * 10 < sent);
    assert!(late.iter().all(|s| (MIN_BITRATE..=MAX_BITRATE).contains(&s.estimate)));
}

proptest::proptest! {
    #[test]
    fn no_feedback_breaks_it(
        events in proptest::collection::vec((0_u8..8, proptest::num::u16::ANY, proptest::num::i64::ANY, 0_u64..3_000_000), 1..400),
        start in proptest::num::u64::ANY,
        transport_feedback in proptest::bool::ANY,
    ) {
        let settings = crate::Settings { start, transport_feedback, probing: true };
        let mut controller = crate::Controller::new(settings);
        let mut pacer = crate::Pacer::new(start);
        let mut now = 1_000_000;
        controller.set_wanted(start);
        for (kind, number, value, step) in events {
            match kind {
                0 | 1 => controller.on_sent(number, usize::from(number), now),
                2 => (0..number % 600).for_each(|i| {
                    now += 700;
                    controller.on_sent(number.wrapping_add(i), 1100, now);
                }),
                3 => controller.on_feedback(
                    (0..number % 700).map(|i| {
                        let at = value.wrapping_add(i64::from(i) * (value % 5_000));
                        (number.wrapping_add(i), (i % 7 != 0).then_some(at))
                    }),
                    now,
                ),
                4 => controller.on_feedback([(number, Some(value)), (number, None), (number, Some(-value.max(0)))], now),
                5 => controller.on_receiver_report(number.to_be_bytes()[0], Some(value.unsigned_abs()), now),
                6 => controller.on_remb(value.unsigned_abs(), now),
                _ => now += step,
            }
            controller.tick(now);
            let _ = controller.poll_probe(now);
            let estimate = controller.estimate(now);
            proptest::prop_assert!((MIN_BITRATE..=MAX_BITRATE).contains(&estimate));
            proptest::prop_assert!(controller.next_us(now) > now);
            pacer.set_estimate(estimate);
            pacer.on_sent(usize::from(number), now);
            proptest::prop_assert!(pacer.next_us(1200) <= now + 10_000_000);
        }
    }

    #[test]
    fn an_allocation_fits_or_is_the_lowest(
        costs in proptest::array::uniform4(proptest::array::uniform3(proptest::array::uniform3(0_u64..3_000_000))),
        estimates in proptest::collection::vec(0_u64..20_000_000, 1..40),
        highest in (0_u8..3, 0_u8..3),
    ) {
        let max = crate::Layer { spatial: highest.0, temporal: highest.1 };
        let mut streams = costs.map(|c| crate::Stream::new(c, max, crate::Layer::default()));
        let mut allocator = crate::Allocator::new();
        for (now, estimate) in (0..).step_by(700_000).zip(estimates) {
            let allocation = allocator.allocate(estimate, 0, &mut streams, now);
            let lowest = crate::Allocator::new().allocate(0, 0, &mut streams.clone(), now);
            proptest::prop_assert!(allocation.used <= estimate.max(lowest.used));
            proptest::prop_assert!(allocation.wanted >= allocation.used);
            proptest::prop_assert!(streams.iter().all(|s| s.current.spatial <= 2 && s.current.temporal <= 2));
        }
    }
}

#[test]
fn distance_jitter_and_queues_of_other_lengths_change_little() {
    for (delay_ms, jitter_ms, queue) in [
        (5, 0, 15_000),
        (5, 2, 300_000),
        (20, 10, 60_000),
        (20, 20, 60_000),
        (60, 5, 15_000),
        (100, 10, 60_000),
        (150, 30, 100_000),
        (20, 0, 300_000),
    ] {
        for seed in 1..=5 {
            let mut link = Link::new(5_000_000, seed);
            (link.delay_us, link.jitter_us, link.queue_bytes) = (delay_ms * 1000, jitter_ms * 1000, queue);
            link.loss_permille = 5;
            let mut clients = [Client::new(Source::Layers, seed)];
            run(&mut link, &mut clients, 0, 80, |link, now| match now / 1000 {
                30_000 => link.set_capacity(400_000, now),
                60_000 => link.set_capacity(5_000_000, now),
                _ => {}
            });
            let samples = &clients[0].samples;
            let first = reached(samples, 0, |l| l == 2);
            let (down, up) = (reached(samples, 30, |l| l == 0), reached(samples, 60, |l| l == 2));
            let queue_ms = percentile(&between(samples, 36, 60), 95, |s| s.queue_us) / 1000;
            let switches = |from, to| {
                between(samples, from, to).windows(2).filter(|w| w[0].spatial != w[1].spatial).count()
            };
            let (wide, narrow) = (switches(5, 30), switches(36, 60));
            println!(
                "{delay_ms}+{jitter_ms} ms, {queue} B, {seed}: top {first}, down {down}, up {up}, queue {queue_ms}, switches {wide} {narrow}"
            );
            assert!(first < 4_000 && down < 3_000 && up < 10_000 && queue_ms < 100);
            assert!(wide <= 2 && narrow <= 2, "it does not flap");
        }
    }
}

/// Links whose capacity lies next to what a layer takes.
#[test]
fn no_capacity_makes_it_flap_all_the_time() {
    for (capacity, seed) in (100..=2_000).step_by(50).flat_map(|c| [(c, 1), (c, 2), (c, 3)]) {
        let mut link = Link::new(capacity * 1000, seed);
        link.jitter_us = 3_000;
        let mut clients = [Client::new(Source::Layers, seed)];
        run(&mut link, &mut clients, 0, 120, still);
        let late = between(&clients[0].samples, 20, 120);
        let switches = late.windows(2).filter(|w| w[0].spatial != w[1].spatial).count();
        let queue = percentile(&late, 95, |s| s.queue_us) / 1000;
        let mean = late.iter().map(|s| u64::from(s.spatial)).sum::<u64>() * 100 / late.len() as u64;
        println!(
            "{capacity} kbit/s, seed {seed}: {switches} switches, mean layer {mean} %, queue p95 {queue} ms"
        );
        // At worst a step up fails each time that its hold is over.
        assert!(switches <= 20 && (capacity < 250 || queue < 100));
    }
}

#[test]
fn two_receivers_of_layers_share_without_flapping() {
    for seed in 1..=10 {
        let mut link = Link::new(1_400_000, seed);
        link.jitter_us = 3_000;
        let mut clients = [Client::new(Source::Layers, seed), Client::new(Source::Layers, seed + 101)];
        run(&mut link, &mut clients, 0, 120, still);
        for c in &clients {
            let late = between(&c.samples, 20, 120);
            let switches = late.windows(2).filter(|w| w[0].spatial != w[1].spatial).count();
            let queue = percentile(&late, 95, |s| s.queue_us) / 1000;
            let mean = late.iter().map(|s| u64::from(s.spatial)).sum::<u64>() * 100 / late.len() as u64;
            println!("seed {seed}: {switches} switches in 100 s, mean layer {mean} %, queue p95 {queue} ms");
            assert!(switches <= 4 && mean > 80 && queue < 100);
        }
    }
}
