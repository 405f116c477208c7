//! JSON texts as packets of Unix sockets.

use crate::support::*;
use portunus_api::{SessionId, Value, json};
use portunus_transport::{Client, PacketSettings, Settings, Side};
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use rustix::net::{bind, connect, recv, send, socket_with};
use std::path::PathBuf;
use std::time::Duration;
use tokio::task::block_in_place;

/// A folder of sockets, which goes with the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portunus-packets-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn settings(&self, datagrams: bool) -> impl FnOnce(&mut Settings) + use<> {
        let socket = |path| PacketSettings { path, datagrams, format: Default::default(), connections: 4 };
        let (janus, admin) = (socket(self.path("janus")), socket(self.path("admin")));
        move |settings| {
            settings.packets = Some(janus);
            settings.admin_packets = Some(admin);
            settings.times = short_times();
            settings.limits.message = 50_000;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Peer(OwnedFd);

impl Peer {
    fn connected(path: PathBuf) -> Self {
        Self::of(SocketType::SEQPACKET, None, path)
    }

    fn from(own: PathBuf, path: PathBuf) -> Self {
        Self::of(SocketType::DGRAM, Some(own), path)
    }

    fn of(kind: SocketType, own: Option<PathBuf>, path: PathBuf) -> Self {
        let socket = socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(PATIENCE)).unwrap();
        if let Some(own) = own {
            bind(&socket, &SocketAddrUnix::new(&own).unwrap()).unwrap();
        }
        connect(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
        Self(socket)
    }

    fn send(&self, text: &str) {
        block_in_place(|| send(&self.0, text.as_bytes(), SendFlags::NOSIGNAL)).unwrap();
    }

    /// `None`: the other side has ended it.
    fn next(&self) -> Option<Value> {
        let mut buffer = vec![0; 1 << 20];
        let (length, _) = block_in_place(|| recv(&self.0, &mut buffer[..], RecvFlags::empty())).ok()?;
        (length > 0).then(|| serde_json::from_slice(&buffer[..length]).unwrap())
    }

    fn ask(&self, request: Value) -> Value {
        self.send(&request.to_string());
        self.next().unwrap()
    }
}

async fn gone(server: &mut Server) -> Client {
    tokio::time::timeout(PATIENCE, server.gone.recv()).await.expect("the core hears of it").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_are_requests_and_answers_of_either_api() {
    let place = Place::new("both");
    for datagrams in [false, true] {
        let server = serve(place.settings(datagrams)).await;
        let at = |name: &str| match datagrams {
            true => Peer::from(place.path(&format!("own-{name}")), place.path(name)),
            false => Peer::connected(place.path(name)),
        };
        let (janus, admin) = (at("janus"), at("admin"));
        let answer = janus.ask(json!({"janus": "x", "a": 1}));
        assert_eq!(answer["seen"], json!({"janus": "x", "a": 1}));
        assert_eq!((&answer["side"], &answer["from"]), (&json!("janus"), &json!("127.0.0.1")));
        assert!(answer["client"].as_str().unwrap().starts_with("Unix("), "{answer}");
        assert_eq!(admin.ask(json!({"janus": "x"}))["side"], "admin");
        assert_eq!(janus.ask(json!({"janus": "create", "id": 7, "transaction": "a"}))["transaction"], "a");
        server.mailboxes.deliver(SessionId::new(7).unwrap(), json!({"janus": "event", "text": "é"}));
        assert_eq!(janus.next().unwrap(), json!({"janus": "event", "text": "é"}));
        let paths: Vec<_> = server.running.paths().iter().map(|p| (p.path.clone(), p.side)).collect();
        assert_eq!(paths, [(place.path("janus"), Side::Janus), (place.path("admin"), Side::Admin)]);
        drop(server);
        eventually("the files are gone", || !place.path("janus").exists() && !place.path("admin").exists())
            .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_json_is_told_with_the_words_of_janus() {
    let place = Place::new("json");
    let server = serve(place.settings(true)).await;
    let peer = Peer::from(place.path("own"), place.path("janus"));
    let refused = |text: &str, wanted: &str| {
        peer.send(text);
        let error = peer.next().unwrap();
        assert_eq!(error["error"]["code"], 454, "{error}");
        assert_eq!(error["error"]["reason"], format!("Invalid Janus API request - {wanted}"));
    };
    refused("", "<string>(1,0): '[' or '{' expected near end of file");
    refused(r#"{"janus":"ping""#, "<string>(1,15): '}' expected near end of file");
    refused("{}{}", "<string>(1,3): end of file expected near '{'");
    let most = 50_000;
    let long = "x".repeat(most + 1);
    refused(&long, &format!("a message of {} bytes, {most} are allowed", most + 1));
    assert_eq!(peer.ask(json!({"janus": "x"}))["side"], "janus", "and goes on");
    assert_eq!(server.mailboxes.counters().invalid_json.get(), 3);
    assert_eq!(server.mailboxes.counters().too_large.get(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_ends_takes_its_client_along_and_places_are_given_again() {
    let place = Place::new("places");
    let mut server = serve(place.settings(false)).await;
    for _ in 0..3 {
        let peers: Vec<_> = (0..4).map(|_| Peer::connected(place.path("janus"))).collect();
        peers.iter().for_each(|peer| assert_eq!(peer.ask(json!({"janus": "x"}))["side"], "janus"));
        let refused = Peer::connected(place.path("janus"));
        assert!(refused.next().is_none(), "all places are taken");
        drop(peers);
        for _ in 0..4 {
            assert!(matches!(gone(&mut server).await, Client::Unix(_)));
        }
        eventually("all are counted out", || server.mailboxes.counters().unix_clients.get() == 0).await;
    }
    assert_eq!(server.mailboxes.counters().refused_full.get(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_does_not_read_is_given_up_and_nobody_else_waits() {
    let place = Place::new("slow");
    for datagrams in [false, true] {
        let mut server = serve(place.settings(datagrams)).await;
        let at = |name: &str| match datagrams {
            true => Peer::from(place.path(name), place.path("janus")),
            false => Peer::connected(place.path("janus")),
        };
        let (slow, quick) = (at("slow"), at("quick"));
        assert_eq!(slow.ask(json!({"janus": "create", "id": 7}))["janus"], "success");
        slow.send(&json!({"janus": "event", "session_id": 7, "count": 900, "pad": 10_000}).to_string());
        for _ in 0..5 {
            assert_eq!(quick.ask(json!({"janus": "x"}))["side"], "janus");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(matches!(gone(&mut server).await, Client::Unix(_)));
        assert_eq!(server.mailboxes.counters().slow_clients.get(), 1);
        assert_eq!(quick.ask(json!({"janus": "x"}))["side"], "janus");
        drop(server);
        let _ = std::fs::remove_file(place.path("slow"));
        let _ = std::fs::remove_file(place.path("quick"));
        eventually("the file is gone", || !place.path("janus").exists()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_path_is_not_heard_and_who_has_gone_is_forgotten() {
    let place = Place::new("paths");
    let mut server = serve(place.settings(true)).await;
    let nameless = Peer::of(SocketType::DGRAM, None, place.path("janus"));
    nameless.send(r#"{"janus":"x"}"#);
    let leaver = Peer::from(place.path("leaver"), place.path("janus"));
    assert_eq!(leaver.ask(json!({"janus": "create", "id": 7}))["janus"], "success");
    drop(leaver);
    server.mailboxes.deliver(SessionId::new(7).unwrap(), json!({"janus": "event"}));
    assert!(matches!(gone(&mut server).await, Client::Unix(_)));
    eventually("it is counted out", || server.mailboxes.counters().unix_clients.get() == 0).await;
    std::fs::remove_file(place.path("leaver")).unwrap();
    let again = Peer::from(place.path("leaver"), place.path("janus"));
    assert_eq!(again.ask(json!({"janus": "x"}))["side"], "janus");
}
