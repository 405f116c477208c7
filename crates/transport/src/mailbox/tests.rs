use super::*;
use portunus_api::{JsonFormat, json};

const LONG: Duration = Duration::from_secs(30);

fn session(n: u64) -> SessionId {
    SessionId::new(n).unwrap()
}

fn boxes(events: usize) -> Mailboxes {
    Mailboxes::new(Limits { queued_events: events, ..Limits::default() })
}

fn number(message: &Kept) -> u64 {
    let text = message.spell(&JsonFormat::Indented.into());
    serde_json::from_str::<Value>(&text).unwrap()["n"].as_u64().unwrap()
}

fn numbers(delivery: Delivery) -> Vec<u64> {
    let numbers = delivery.events().iter().map(number).collect();
    delivery.written();
    numbers
}

fn sent(batch: Next) -> Vec<u64> {
    match batch {
        Next::Write(items) => items.iter().map(|i| number(&i.message)).collect(),
        _ => panic!("nothing to write"),
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_events_are_taken_at_once_up_to_the_maximum() {
    let boxes = boxes(10);
    boxes.open(session(1), Client::Http);
    for n in 0..3 {
        boxes.deliver(session(1), json!({ "n": n }));
    }
    assert_eq!(numbers(boxes.wait(session(1), 2, LONG).await.unwrap()), [0, 1]);
    assert_eq!(numbers(boxes.wait(session(1), 2, LONG).await.unwrap()), [2]);
    let before = tokio::time::Instant::now();
    assert!(boxes.wait(session(1), 2, LONG).await.unwrap().events().is_empty());
    assert_eq!(before.elapsed(), LONG);
}

#[tokio::test(start_paused = true)]
async fn a_full_mailbox_drops_its_oldest_event() {
    let boxes = boxes(3);
    boxes.open(session(1), Client::Http);
    for n in 0..5 {
        boxes.deliver(session(1), json!({ "n": n }));
    }
    assert_eq!(numbers(boxes.wait(session(1), 9, LONG).await.unwrap()), [2, 3, 4]);
    assert_eq!(boxes.counters().events_dropped.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn bytes_are_bounded_as_well() {
    let boxes = Mailboxes::new(Limits { queued_bytes: 3000, ..Limits::default() });
    boxes.open(session(1), Client::Http);
    for n in 0..5 {
        boxes.deliver(session(1), json!({ "n": n, "pad": "x".repeat(1000) }));
    }
    assert_eq!(numbers(boxes.wait(session(1), 9, LONG).await.unwrap()), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn unwritten_events_come_back_in_order_and_wake_another_poll() {
    let boxes = boxes(10);
    boxes.open(session(1), Client::Http);
    boxes.deliver(session(1), json!({"n": 1}));
    boxes.deliver(session(1), json!({"n": 2}));
    let dead = boxes.wait(session(1), 2, LONG).await.unwrap();
    let other = tokio::spawn({
        let boxes = boxes.clone();
        async move { boxes.wait(session(1), 9, LONG).await.map(numbers) }
    });
    tokio::task::yield_now().await;
    drop(dead);
    assert_eq!(other.await.unwrap().unwrap(), [1, 2]);
    assert_eq!(boxes.counters().events_restored.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_poll_too_many_ends_the_oldest() {
    let boxes = Mailboxes::new(Limits { polls_per_session: 2, ..Limits::default() });
    boxes.open(session(1), Client::Http);
    let mut polls = Vec::new();
    for _ in 0..3 {
        let boxes = boxes.clone();
        polls.push(tokio::spawn(async move {
            let start = tokio::time::Instant::now();
            drop(boxes.wait(session(1), 1, LONG).await);
            start.elapsed()
        }));
        tokio::task::yield_now().await;
    }
    assert_eq!(boxes.counters().polls.get(), 2);
    let mut waits = Vec::new();
    for poll in polls {
        waits.push(poll.await.unwrap());
    }
    assert_eq!(waits, [Duration::ZERO, LONG, LONG]);
    assert_eq!(boxes.counters().polls.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_claim_takes_events_along_both_ways() {
    let boxes = boxes(10);
    let socket = boxes.connect();
    boxes.open(session(1), Client::Http);
    boxes.deliver(session(1), json!({"n": 1}));
    boxes.claim(session(1), Client::Connection(socket.id()));
    boxes.deliver(session(1), json!({"n": 2}));
    assert!(boxes.wait(session(1), 1, LONG).await.is_none(), "HTTP does not own it any more");
    boxes.claim(session(1), Client::Http);
    assert_eq!(numbers(boxes.wait(session(1), 9, LONG).await.unwrap()), [1, 2]);
    boxes.claim(session(1), Client::Connection(socket.id()));
    boxes.deliver(session(1), json!({"n": 3}));
    assert_eq!(sent(socket.next().await), [3]);
}

#[tokio::test(start_paused = true)]
async fn what_a_lost_connection_left_waits_for_the_claim() {
    let boxes = boxes(10);
    let socket = boxes.connect();
    boxes.open(session(1), Client::Connection(socket.id()));
    for n in 1..=2 {
        boxes.deliver(session(1), json!({ "n": n }));
    }
    let Next::Write(in_hand) = socket.next().await else { panic!("nothing to write") };
    boxes.deliver(session(1), json!({"n": 3}));
    boxes.disconnect(&socket, in_hand);
    boxes.deliver(session(1), json!({"n": 4}));
    let second = boxes.connect();
    boxes.claim(session(1), Client::Connection(second.id()));
    assert_eq!(sent(second.next().await), [1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_full_connection_is_given_up_and_keeps_its_events_for_a_claim() {
    let boxes = boxes(2);
    let socket = boxes.connect();
    boxes.open(session(1), Client::Connection(socket.id()));
    for n in 1..=3 {
        boxes.deliver(session(1), json!({ "n": n }));
    }
    socket.overflown().await;
    assert!(matches!(socket.next().await, Next::Abort));
    boxes.disconnect(&socket, Vec::new());
    boxes.claim(session(1), Client::Http);
    // Two places, three events: the oldest that came back found none.
    assert_eq!(numbers(boxes.wait(session(1), 9, LONG).await.unwrap()), [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_polls_with_what_is_left() {
    let boxes = boxes(10);
    boxes.open(session(1), Client::Http);
    let poll = tokio::spawn({
        let boxes = boxes.clone();
        async move { boxes.wait(session(1), 9, LONG).await.map(numbers) }
    });
    tokio::task::yield_now().await;
    boxes.deliver(session(1), json!({"n": 1}));
    boxes.close(session(1));
    assert_eq!(poll.await.unwrap().unwrap(), [1]);
    assert!(boxes.wait(session(1), 1, LONG).await.is_none());
    boxes.deliver(session(1), json!({"n": 2}));
    assert_eq!(boxes.counters().events_dropped.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn together_all_queues_have_a_limit_and_each_keeps_a_little() {
    let boxes = Mailboxes::new(Limits { queued_bytes_total: 200_000, ..Limits::default() });
    let socket = boxes.connect();
    boxes.open(session(1), Client::Http);
    boxes.open(session(2), Client::Http);
    boxes.open(session(3), Client::Connection(socket.id()));
    let event = || json!({ "n": 1, "pad": "x".repeat(10_000) });
    for _ in 0..100 {
        boxes.deliver(session(1), event());
    }
    let after_one = boxes.0.room.used();
    assert!(after_one <= 200_000, "{after_one}");
    for _ in 0..100 {
        boxes.deliver(session(2), event());
    }
    let after_two = boxes.0.room.used();
    assert!(after_two > after_one && after_two <= after_one + (64 << 10), "{after_two}");
    for _ in 0..100 {
        boxes.deliver(session(3), event());
    }
    assert!(matches!(socket.next().await, Next::Abort), "its client does not read");
    boxes.disconnect(&socket, Vec::new());
    for n in 1..=3 {
        boxes.close(session(n));
    }
    // Large ones are thrown away by somebody else.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(boxes.0.room.used(), 0, "all is given back");
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_poll_is_of_a_bearable_size() {
    let boxes = boxes(100);
    boxes.open(session(1), Client::Http);
    for n in 0..10 {
        boxes.deliver(session(1), json!({ "n": n, "pad": "x".repeat(50_000) }));
    }
    boxes.deliver(session(1), json!({ "n": 10, "pad": "x".repeat(500_000) }));
    for n in 0..5 {
        assert_eq!(numbers(boxes.wait(session(1), 99, LONG).await.unwrap()), [2 * n, 2 * n + 1]);
    }
    assert_eq!(numbers(boxes.wait(session(1), 99, LONG).await.unwrap()), [10]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_others_is_kept_as_text() {
    let boxes = boxes(100);
    boxes.open(session(1), Client::Http);
    for n in 0..6 {
        boxes.deliver(session(1), json!({ "n": n }));
    }
    boxes.deliver(session(1), json!({ "n": 6, "pad": "x".repeat(20_000) }));
    let delivery = boxes.wait(session(1), 9, LONG).await.unwrap();
    let texts: Vec<_> = delivery.events().iter().map(Kept::is_text).collect();
    assert_eq!(texts, [false, false, false, false, true, true, true]);
    let (one, all) = (JsonFormat::Plain.into(), JsonFormat::Indented.into());
    assert_eq!(delivery.events()[5].spell(&one), r#"{"n": 5}"#);
    assert_eq!(
        Kept::spell_all(&delivery.events()[3..5], &all),
        JsonFormat::Indented.write(&json!([{ "n": 3 }, { "n": 4 }]))
    );
    drop(delivery);
    assert_eq!(numbers(boxes.wait(session(1), 9, LONG).await.unwrap()), [0, 1, 2, 3, 4, 5, 6]);
}
