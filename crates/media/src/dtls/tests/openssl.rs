//! Against OpenSSL's command line over loopback UDP, in real time; skipped where there is no `openssl` of version 3.
//!
//! It is the stack Janus uses, and it packs, fragments and retransmits in its own way.

use std::io::{Read, Write};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;

/// Nothing here takes longer.
const LIMIT: Duration = Duration::from_secs(15);

fn has_openssl() -> bool {
    let version = Command::new("openssl").arg("version").output();
    version.is_ok_and(|output| output.stdout.starts_with(b"OpenSSL 3"))
}

/// A folder of its own that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("portunus-dtls-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Makes a certificate with `openssl req`; the paths of certificate and key.
    fn certificate(&self, algorithm: &[&str]) -> (PathBuf, PathBuf) {
        let (cert, key) = (self.0.join("cert.pem"), self.0.join("key.pem"));
        let output = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=peer", "-newkey"])
            .args(algorithm)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&cert)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        (cert, key)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn fingerprint_of_file(cert: &std::path::Path) -> Fingerprint {
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject;
    let der = CertificateDer::from_pem_slice(&std::fs::read(cert).unwrap()).unwrap();
    Fingerprint::of(FingerprintHash::Sha256, &der)
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Runs our end on a socket until `done` or the limit.
fn drive(end: &mut End, socket: &UdpSocket, mut done: impl FnMut(&mut End) -> bool) {
    let deadline = Instant::now() + LIMIT;
    let mut buffer = [0; 4096];
    loop {
        while let Some(output) = end.dtls.poll_output() {
            match output {
                // Before the peer's socket is there, loopback answers with an error; the next flight will do.
                DtlsOutput::Transmit(datagram) => drop(socket.send(&datagram)),
                DtlsOutput::Connected(keys) => end.keys = Some(keys),
                DtlsOutput::Data(data) => end.data.push(data.to_vec()),
                DtlsOutput::Closed => end.closed = true,
                DtlsOutput::Failed(error) => end.failed = Some(error),
            }
        }
        if done(end) {
            return;
        }
        let now = Instant::now();
        assert!(now < deadline, "nothing more happens; failed: {:?}", end.failed);
        let wait = end.dtls.poll_timeout().unwrap_or(deadline).min(deadline).saturating_duration_since(now);
        socket
            .set_read_timeout(Some(wait.clamp(Duration::from_millis(1), Duration::from_millis(50))))
            .unwrap();
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // The first datagram tells where a client is.
            socket.connect(from).unwrap();
            end.dtls.handle_packet(Instant::now(), &buffer[..length]);
        }
        end.dtls.handle_timeout(Instant::now());
    }
}

/// The keys `-keymatexport` printed, once they are there.
fn exported(output: &str) -> Option<Vec<u8>> {
    let hex = output.split("Keying material: ").nth(1)?.lines().next()?.trim();
    let pairs = hex.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

fn read_in_background(mut from: impl Read + Send + 'static) -> std::sync::mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Our keys against the exported material: what one seals the other's copy opens.
fn assert_keys_are(keys: SrtpKeys, role: Role, material: &[u8]) {
    let length = keys.profile.export_len();
    let (client, server) = MasterKey::from_dtls_export(keys.profile, &material[..length]).unwrap();
    let (theirs_local, theirs_remote) =
        if role == Role::Client { (server, client) } else { (client, server) };
    for (local, remote) in [(keys.local, theirs_remote), (theirs_local, keys.remote)] {
        let mut packet = vec![0x80, 201, 0, 1, 0, 0, 0, 3];
        packet.resize(40, 0);
        let sealed = Sealer::new(local).unwrap().protect_rtcp(&mut packet, 8).unwrap();
        Opener::new(&remote).unwrap().unprotect_rtcp(&mut packet[..sealed]).unwrap();
    }
}

const ALGORITHMS: [&[&str]; 3] = [
    &["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    &["ec", "-pkeyopt", "ec_paramgen_curve:secp384r1"],
    &["rsa:2048"],
];

/// One handshake with `openssl s_client` or `s_server`, data both ways, and close_notify from it.
fn talk(role: Role, kind: KeyKind, algorithm: &[&str], mtu: &str, profiles: &str, expected: Profile) {
    let folder = Folder::new();
    let (cert, key) = folder.certificate(algorithm);
    let config = config(kind);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = free_port();
    let mut command = Command::new("openssl");
    match role {
        Role::Server => {
            command.args(["s_client", "-connect", &socket.local_addr().unwrap().to_string()]);
        }
        Role::Client => {
            command.args(["s_server", "-accept", &format!("127.0.0.1:{port}"), "-Verify", "1"]);
            socket.connect(("127.0.0.1", port)).unwrap();
        }
    }
    let process = command
        .args(["-dtls1_2", "-mtu", mtu, "-use_srtp", profiles])
        .args(["-keymatexport", KEYING_LABEL, "-keymatexportlen", "88"])
        .arg("-cert")
        .arg(&cert)
        .arg("-key")
        .arg(&key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut process = Process(process);
    let mut input = process.0.stdin.take().unwrap();
    let output = read_in_background(process.0.stdout.take().unwrap());
    let mut end = End::new(Dtls::new(&config, role, fingerprint_of_file(&cert)));
    end.dtls.start(Instant::now());
    drive(&mut end, &socket, |end| end.keys.is_some());
    let keys = end.keys.take().unwrap().unwrap();
    assert_eq!(keys.profile, expected);
    input.write_all(b"from openssl\n").unwrap();
    drive(&mut end, &socket, |end| end.data.concat().ends_with(b"from openssl\n"));
    end.dtls.send_data(Instant::now(), b"from portunus\n").unwrap();
    let mut printed = Vec::new();
    drive(&mut end, &socket, |_| {
        printed.extend(output.try_iter().flatten());
        String::from_utf8_lossy(&printed).contains("from portunus")
    });
    let material = exported(&String::from_utf8_lossy(&printed)).expect("no keying material printed");
    assert_keys_are(keys, role, &material);
    // The end of its input makes it close.
    drop(input);
    if role == Role::Server {
        drive(&mut end, &socket, |end| end.closed);
    }
}

#[test]
fn openssl_and_we_understand_each_other_in_both_roles() {
    if !has_openssl() {
        return;
    }
    use Profile::{AeadAes128Gcm, AeadAes256Gcm, Aes128CmSha1_32, Aes128CmSha1_80};
    // As server we choose; as client OpenSSL does, by its own order.
    let lists = [
        (
            "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM",
            AeadAes128Gcm,
            Aes128CmSha1_80,
        ),
        ("SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM", AeadAes256Gcm, Aes128CmSha1_80),
        ("SRTP_AES128_CM_SHA1_32", Aes128CmSha1_32, Aes128CmSha1_32),
        ("SRTP_AES128_CM_SHA1_80", Aes128CmSha1_80, Aes128CmSha1_80),
    ];
    for (number, (list, as_server, as_client)) in lists.into_iter().enumerate() {
        let algorithm = ALGORITHMS[number % ALGORITHMS.len()];
        let kind = if number % 2 == 0 { KeyKind::Rsa2048 } else { KeyKind::EcdsaP256 };
        // A small MTU makes OpenSSL fragment its messages.
        let mtu = if number < 2 { "300" } else { "1400" };
        talk(Role::Server, kind, algorithm, mtu, list, as_server);
        talk(Role::Client, kind, algorithm, mtu, list, as_client);
    }
}
