use super::*;

fn pair() -> (UdpSocket, UdpSocket) {
    let any = "127.0.0.1:0".parse().unwrap();
    (UdpSocket::bind(any, false, None).unwrap(), UdpSocket::bind(any, false, None).unwrap())
}

#[test]
fn a_batch_arrives_with_its_sender() {
    let (a, b) = pair();
    let messages = [
        Message { start: 0, len: 3, to: b.local(), segment: None },
        Message { start: 3, len: 3, to: b.local(), segment: None },
    ];
    assert_eq!(SendBatch::new().send(&a, b"onetwo", &messages), Sent::default());
    let mut batch = ReceiveBatch::new();
    assert_eq!(batch.receive(&b).unwrap(), 2);
    let (bytes, from) = batch.datagram(1).unwrap();
    assert_eq!((&*bytes, from), (&b"two"[..], a.local()));
    assert_eq!(batch.receive(&b).unwrap(), 0);
}

#[test]
fn segments_arrive_as_datagrams() {
    let (a, b) = pair();
    let bytes = [7_u8; 250];
    let message = Message { start: 0, len: 250, to: b.local(), segment: Some(100) };
    SendBatch::new().send(&a, &bytes, &[message]);
    let mut batch = ReceiveBatch::new();
    let n = batch.receive(&b).unwrap();
    let sizes: Vec<usize> = (0..n).map(|i| batch.datagram(i).unwrap().0.len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
}

#[test]
fn a_datagram_above_1500_bytes_is_not_shown() {
    let (a, b) = pair();
    let bytes = [7_u8; 1501];
    let message = Message { start: 0, len: 1501, to: b.local(), segment: None };
    SendBatch::new().send(&a, &bytes, &[message]);
    let mut batch = ReceiveBatch::new();
    assert_eq!(batch.receive(&b).unwrap(), 1);
    assert!(batch.datagram(0).is_none());
}

#[test]
fn a_full_buffer_is_told_of() {
    let (a, b) = pair();
    set_option(&b.fd, libc::SOL_SOCKET, libc::SO_RCVBUF, 4096).unwrap();
    let messages = [Message { start: 0, len: 1000, to: b.local(), segment: None }; 60];
    SendBatch::new().send(&a, &[0; 1000], &messages);
    let n = ReceiveBatch::new().receive(&b).unwrap();
    assert!(n > 0 && n < 60, "{n}");
    assert_eq!(usize::try_from(b.overflowed()).unwrap(), 60 - n);
    assert_eq!(a.overflowed(), 0);
}

#[test]
fn no_more_datagrams_are_taken_than_asked_for() {
    let (a, b) = pair();
    let messages = [Message { start: 0, len: 1, to: b.local(), segment: None }; 5];
    SendBatch::new().send(&a, b"x", &messages);
    let mut batch = ReceiveBatch::new();
    let taken = [3, 3, 3].map(|most| batch.receive_more(&b, 0, most).unwrap());
    assert_eq!(taken, [3, 2, 0]);
}

#[test]
fn what_was_taken_stays_while_more_is_taken() {
    let (a, b) = pair();
    let send = |text: &[u8]| {
        let message = Message { start: 0, len: text.len(), to: b.local(), segment: None };
        assert_eq!(SendBatch::new().send(&a, text, &[message]), Sent::default());
    };
    let mut batch = ReceiveBatch::new();
    send(b"one");
    assert_eq!(batch.receive_more(&b, 0, 64).unwrap(), 1);
    send(b"three");
    assert_eq!(batch.receive_more(&b, 1, 64).unwrap(), 1);
    assert_eq!(batch.datagram(0).unwrap().0, b"one");
    assert_eq!(batch.datagram(1).unwrap().0, b"three");
    send(b"x");
    assert_eq!(batch.receive_more(&b, RECEIVE_BATCH, 64).unwrap(), 0, "it is full");
}

#[test]
fn more_messages_than_a_batch_are_all_sent() {
    let (a, b) = pair();
    let messages: Vec<_> =
        (0..150).map(|_| Message { start: 0, len: 1, to: b.local(), segment: None }).collect();
    assert_eq!(SendBatch::new().send(&a, b"x", &messages).dropped, 0);
    let mut batch = ReceiveBatch::new();
    let mut n = 0;
    loop {
        match batch.receive(&b).unwrap() {
            0 => break,
            k => n += k,
        }
    }
    assert_eq!(n, 150);
}

#[test]
fn a_waker_ends_a_wait() {
    let (mut epoll, waker) = (Epoll::new().unwrap(), Waker::new().unwrap());
    epoll.add(waker.fd(), 5, false).unwrap();
    waker.wake();
    let mut ready = Vec::new();
    epoll.wait(Duration::from_secs(5), &mut ready).unwrap();
    assert_eq!(ready, [5]);
    waker.reset();
    epoll.wait(Duration::ZERO, &mut ready).unwrap();
    assert!(ready.is_empty());
}

#[test]
fn no_wake_is_lost_however_many_come_at_once() {
    const EACH: u64 = 20_000;
    let (mut epoll, waker) = (Epoll::new().unwrap(), Waker::new().unwrap());
    epoll.add(waker.fd(), 5, false).unwrap();
    let sent = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                for _ in 0..EACH {
                    sent.fetch_add(1, Ordering::Relaxed);
                    waker.wake();
                }
            });
        }
        let mut ready = Vec::new();
        while sent.load(Ordering::Relaxed) < 3 * EACH {
            epoll.wait(Duration::from_secs(20), &mut ready).unwrap();
            // Sent, but the wait ran out: the wake was lost.
            assert_eq!(ready, [5]);
            waker.reset();
        }
    });
}

#[test]
fn the_loopback_interface_is_listed() {
    assert!(interface_addresses().unwrap().iter().any(|a| a.ip == IpAddr::from([127, 0, 0, 1])));
}

#[test]
fn listed_addresses_can_be_bound_also_where_they_need_a_scope() {
    for address in interface_addresses().unwrap().iter().map(InterfaceAddress::any_port) {
        let link_local = matches!(address, SocketAddr::V6(a) if a.ip().is_unicast_link_local());
        if !link_local && !address.ip().is_loopback() {
            continue;
        }
        let [a, b] = [(); 2].map(|()| UdpSocket::bind(address, false, None).unwrap());
        let message = Message { start: 0, len: 1, to: b.local(), segment: None };
        assert_eq!(SendBatch::new().send(&a, b"x", &[message]), Sent::default());
        let mut batch = ReceiveBatch::new();
        assert_eq!(batch.receive(&b).unwrap(), 1, "{address}");
        assert_eq!(batch.datagram(0).unwrap().1, a.local());
    }
}

#[test]
fn what_is_polled_and_what_is_in_the_set_are_both_reported() {
    let (a, b) = pair();
    let waker = Waker::new().unwrap();
    let mut epoll = Epoll::new().unwrap();
    epoll.add(waker.fd(), 5, false).unwrap();
    epoll.add_polled(b.fd(), 7);
    let mut ready = Vec::new();
    let mut wait = |timeout: Duration| {
        epoll.wait(timeout, &mut ready).unwrap();
        ready.clone()
    };
    assert!(wait(Duration::ZERO).is_empty());
    waker.wake();
    assert_eq!(wait(Duration::from_secs(5)), [5]);
    let message = Message { start: 0, len: 1, to: b.local(), segment: None };
    SendBatch::new().send(&a, b"x", &[message]);
    assert_eq!(wait(Duration::from_secs(5)), [7, 5]);
    waker.reset();
    assert_eq!(wait(Duration::from_secs(5)), [7]);
    ReceiveBatch::new().receive(&b).unwrap();
    assert!(wait(Duration::from_millis(1)).is_empty());
}

#[test]
fn how_long_a_datagram_has_waited_is_known() {
    let (a, b) = pair();
    b.note_arrivals();
    let message = Message { start: 0, len: 1, to: b.local(), segment: None };
    let mut batch = ReceiveBatch::new();
    let mut after = |wait: u64| {
        SendBatch::new().send(&a, b"x", &[message]);
        std::thread::sleep(Duration::from_millis(wait));
        assert_eq!(batch.receive(&b).unwrap(), 1);
        batch.waited()
    };
    // The system begins to note arrivals a little later.
    let told = (0..100).map(|_| after(20)).find(|waited| *waited >= Duration::from_millis(20));
    assert!(told.is_some_and(|waited| waited < Duration::from_secs(5)), "{told:?}");
    assert!(after(0) < Duration::from_secs(5));
    assert_eq!((batch.receive(&b).unwrap(), batch.waited()), (0, Duration::ZERO));
    SendBatch::new().send(&b, b"x", &[Message { to: a.local(), ..message }]);
    assert_eq!((batch.receive(&a).unwrap(), batch.waited()), (1, Duration::ZERO), "it was not asked to");
}
