//! TLS for HTTP and WebSockets, beside the plain listeners.

use crate::support::*;
use portunus_api::json;
use portunus_transport::{CertificateFiles, Error, HttpSettings, Mailboxes, Protocol, Settings, Side, start};
use rustls::pki_types::{CertificateDer, ServerName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("portunus-transport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// A new self-signed certificate in this folder.
    fn certify(&self) -> (CertificateFiles, CertificateDer<'static>) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files =
            CertificateFiles { certificate: self.0.join("c.pem"), key: self.0.join("k.pem"), password: None };
        std::fs::write(&files.certificate, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        (files, made.cert.der().clone())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn secure(change: impl FnOnce(&mut Settings), files: &CertificateFiles) -> Server {
    serve(|s| {
        let any = vec!["127.0.0.1:0".parse().unwrap()];
        let http = s.http.as_mut().unwrap();
        http.secure_addresses = any.clone();
        http.certificate = Some(files.clone());
        let ws = s.websockets.as_mut().unwrap();
        ws.secure_addresses = any;
        ws.certificate = Some(files.clone());
        change(s);
    })
    .await
}

async fn connect(
    server: &Server,
    protocol: Protocol,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(server.address(protocol, Side::Janus, true)).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

#[tokio::test]
async fn plain_and_secure_listeners_serve_at_the_same_time() {
    let folder = Folder::new("both");
    let (files, der) = folder.certify();
    let server = secure(|_| {}, &files).await;
    let mut https = Http::over(connect(&server, Protocol::Http, &der).await.unwrap());
    assert_eq!(https.post("/janus", r#"{"janus":"x"}"#).await.unwrap().json()["client"], "Http");
    let big = https.post("/janus", r#"{"janus":"big","bytes":500000}"#).await.unwrap();
    assert_eq!(big.body.len(), 500_008);
    let mut wss = Ws::over(connect(&server, Protocol::WebSockets, &der).await.unwrap()).await;
    assert_eq!(wss.ask(json!({"janus": "x"})).await["side"], "janus");
    assert_eq!(server.get("/janus/info").await.unwrap().status, 200);
    Ws::connect(server.ws()).await.ask(json!({"janus": "x"})).await;
}

#[tokio::test]
async fn events_in_a_dead_secure_poll_are_not_lost() {
    let folder = Folder::new("poll");
    let (files, der) = folder.certify();
    let server = secure(|_| {}, &files).await;
    server.create(7).await;
    let mut poll = Http::over(connect(&server, Protocol::Http, &der).await.unwrap());
    poll.send("GET /janus/7 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    eventually("the poll waits", || server.mailboxes.counters().polls.get() == 1).await;
    drop(poll);
    eventually("the poll is given up", || server.mailboxes.counters().polls.get() == 0).await;
    server.events(7, 1).await;
    let mut next = Http::over(connect(&server, Protocol::Http, &der).await.unwrap());
    assert_eq!(next.get("/janus/7").await.unwrap().json()["janus"], "event");
}

#[tokio::test]
async fn a_handshake_has_to_come_to_an_end() {
    let folder = Folder::new("slow");
    let (files, _) = folder.certify();
    let server = secure(|s| s.times.head = Duration::from_millis(300), &files).await;
    let address = server.address(Protocol::Http, Side::Janus, true);
    let start = Instant::now();
    let mut silent = Http::connect(address).await;
    assert!(silent.is_closed().await);
    assert!(start.elapsed() >= Duration::from_millis(300));
    let mut plain = Http::connect(address).await;
    plain.send("GET / HTTP/1.1\r\n\r\n").await;
    eventually("both are counted", || server.mailboxes.counters().tls_failures.get() == 2).await;
}

#[tokio::test]
async fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let folder = Folder::new("renew");
    let (files, old) = folder.certify();
    let server = secure(|_| {}, &files).await;
    let mut before = Http::over(connect(&server, Protocol::Http, &old).await.unwrap());
    let (_, new) = folder.certify();
    assert!(server.running.reload_certificates().is_empty());
    assert!(connect(&server, Protocol::Http, &old).await.is_err());
    assert!(connect(&server, Protocol::WebSockets, &new).await.is_ok());
    assert_eq!(before.get("/janus/info").await.unwrap().status, 200, "old connections live on");
    std::fs::write(&files.certificate, "nonsense").unwrap();
    assert_eq!(server.running.reload_certificates().len(), 2);
    assert!(connect(&server, Protocol::Http, &new).await.is_ok());
}

async fn problem(files: Option<CertificateFiles>) -> String {
    let any = vec!["127.0.0.1:0".parse().unwrap()];
    let settings = Settings {
        http: Some(HttpSettings {
            addresses: any.clone(),
            secure_addresses: any,
            certificate: files,
            ..HttpSettings::default()
        }),
        ..Settings::default()
    };
    let (inbound, _requests) = mpsc::channel(1);
    let running = start(settings, inbound, Mailboxes::new(Default::default())).await.unwrap();
    assert_eq!(running.listening().len(), 1, "the plain listener goes on");
    assert_eq!(running.problems().len(), 1);
    running.problems()[0].to_string()
}

#[tokio::test]
async fn keys_and_certificates_that_cannot_be_used_are_named() {
    let folder = Folder::new("broken");
    let (good, _) = folder.certify();
    let write = |name: &str, text: &str| {
        let path = folder.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let key = |path: &Path| Some(CertificateFiles { key: path.to_owned(), ..good.clone() });
    let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let legacy = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n\
                  -----END RSA PRIVATE KEY-----\n";
    for (files, words) in [
        (None, "no certificate and key are set"),
        (key(Path::new("/nonexistent")), "No such file"),
        (key(&write("encrypted.pem", encrypted)), "it needs `cert_pwd`"),
        (key(&write("legacy.pem", legacy)), "openssl pkcs8 -topk8"),
        (key(&good.certificate), "it holds no private key"),
        (key(&write("other.pem", &other)), "it does not belong to the certificate"),
        (Some(CertificateFiles { certificate: good.key.clone(), ..good.clone() }), "it holds no certificate"),
    ] {
        let text = problem(files).await;
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_key_under_a_password_is_opened_with_it() {
    let folder = Folder::new("password");
    let (good, der) = folder.certify();
    let key = rcgen::KeyPair::from_pem(&std::fs::read_to_string(&good.key).unwrap()).unwrap().serialize_der();
    let parameters =
        pkcs8::pkcs5::pbes2::Parameters::pbkdf2_sha256_aes256cbc(2048, &[7; 16], &[9; 16]).unwrap();
    let info = pkcs8::PrivateKeyInfo::try_from(key.as_slice()).unwrap();
    let encrypted = info.encrypt_with_params(parameters, "secret").unwrap();
    let pem = encrypted.to_pem("ENCRYPTED PRIVATE KEY", pkcs8::LineEnding::CRLF).unwrap();
    std::fs::write(&good.key, format!("notes\n{}", pem.replace("\r\n", " \r\n"))).unwrap();
    let with = |password: &str| Some(CertificateFiles { password: Some(password.into()), ..good.clone() });
    let text = problem(with("wrong")).await;
    assert!(
        text.contains("wrong password") && !format!("{:?}", with("hunter2")).contains("hunter2"),
        "{text}"
    );
    let server = secure(|_| {}, &with("secret").unwrap()).await;
    let mut https = Http::over(connect(&server, Protocol::Http, &der).await.unwrap());
    assert_eq!(https.get("/janus/info").await.unwrap().status, 200);
}

#[tokio::test]
async fn a_busy_port_is_said_clearly() {
    let server = serve(|_| {}).await;
    let busy = server.http();
    let settings = Settings {
        http: Some(HttpSettings { addresses: vec![busy], ..HttpSettings::default() }),
        ..Settings::default()
    };
    let (inbound, _requests) = mpsc::channel(1);
    let refused = start(settings, inbound, Mailboxes::new(Default::default())).await;
    assert!(matches!(refused, Err(Error::NoListener)));
    let again = serve(|s| s.http.as_mut().unwrap().addresses.insert(0, busy)).await;
    let text = again.running.problems()[0].to_string();
    assert!(text.contains(&busy.to_string()) && text.contains("in use"), "{text}");
    assert_eq!(again.get("/janus/info").await.unwrap().status, 200);
}
