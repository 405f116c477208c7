//! `gelfevh`: events to a Graylog server, as GELF 1.1 over UDP or TCP.
//!
//! As Janus writes them: `level` is the type of the event, `full_message` the event in its envelope.

use super::EventType;
use super::handler::{Inbox, Tally};
use super::limits;
use flate2::Compression;
use flate2::write::GzEncoder;
use portunus_api::{JsonFormat, Value, json};
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::time::timeout;

/// GELF: a message of more chunks is dropped by servers.
const MAX_CHUNKS: usize = 128;
/// Magic, message id, number and count of the chunk.
const CHUNK_HEAD: usize = 12;
/// Smallest chunk that is of any use.
const SMALLEST_CHUNK: usize = 64;
/// Pause before a connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// UDP or TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GelfProtocol {
    /// Chunks; nobody says whether they arrive.
    Udp,
    /// Texts with a zero byte behind each.
    Tcp,
}

/// Where to, and how.
#[derive(Clone, Debug)]
pub struct Gelf {
    /// `backend`: a name or an address.
    pub host: String,
    /// `port`
    pub port: u16,
    /// `protocol`
    pub protocol: GelfProtocol,
    /// `max_message_len`: bytes of a chunk without its head.
    pub chunk: usize,
    /// `compress` and `compression`: gzip, 1 to 9. Only with UDP: over TCP servers take none.
    pub compression: Option<u32>,
}

/// Passes events on until the process ends.
pub(crate) async fn run(settings: Gelf, mut inbox: Inbox, tally: Arc<Tally>) {
    let mut line: Option<Line> = None;
    let mut number = 0;
    while let Some(told) = inbox.next().await {
        number += 1;
        let text = message(&told);
        // Once more over a new connection: the old one may have been gone for long.
        let mut sent = false;
        for attempt in 0..2 {
            match send(&settings, &mut line, &text, number).await {
                Ok(()) => {
                    sent = true;
                    break;
                }
                Err(error) => {
                    line = None;
                    tally.failed();
                    if attempt > 0 {
                        tracing::warn!(%error, "the event back end does not take an event");
                        tokio::select! {
                            () = tokio::time::sleep(PAUSE) => {}
                            () = inbox.ended() => {}
                        }
                    }
                }
            }
        }
        if sent { tally.delivered(1) } else { tally.lost(1) }
    }
}

/// A way to the server.
enum Line {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

async fn send(settings: &Gelf, line: &mut Option<Line>, text: &str, number: u64) -> io::Result<()> {
    let sending = async {
        let open = match line.take() {
            Some(open) => line.insert(open),
            None => line.insert(connect(settings).await?),
        };
        match open {
            Line::Tcp(stream) => {
                stream.write_all(text.as_bytes()).await?;
                stream.write_all(&[0]).await
            }
            Line::Udp(socket) => {
                let bytes = packed(text, settings.compression);
                for chunk in chunks(&bytes, settings.chunk, number)? {
                    socket.send(&chunk).await?;
                }
                Ok(())
            }
        }
    };
    timeout(limits::PATIENCE, sending).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn connect(settings: &Gelf) -> io::Result<Line> {
    let there = (settings.host.as_str(), settings.port);
    if settings.protocol == GelfProtocol::Tcp {
        return Ok(Line::Tcp(TcpStream::connect(there).await?));
    }
    let there = lookup_host(there).await?.next().ok_or(io::ErrorKind::NotFound)?;
    let here = if there.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(here).await?;
    socket.connect(there).await?;
    Ok(Line::Udp(socket))
}

fn message(told: &Value) -> String {
    let number = told.get("type").and_then(Value::as_u64).and_then(|n| u16::try_from(n).ok()).unwrap_or(0);
    let label = EventType::from_number(number).map_or("", EventType::label);
    let micros = told.get("timestamp").and_then(Value::as_u64).unwrap_or(0);
    let seconds = Duration::from_micros(micros).as_secs_f64();
    let message = json!({
        "timestamp": seconds,
        "host": told.get("emitter"),
        "version": "1.1",
        "level": number,
        "short_message": label,
        "full_message": told,
    });
    JsonFormat::Compact.write(&message)
}

fn packed(text: &str, compression: Option<u32>) -> Vec<u8> {
    let Some(level) = compression else { return text.as_bytes().to_vec() };
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
    // Writing to memory cannot fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default()
}

/// The datagrams of a message. Larger chunks than asked for are taken where 128 would not be enough.
fn chunks(bytes: &[u8], size: usize, number: u64) -> io::Result<Vec<Vec<u8>>> {
    if bytes.len() <= size {
        return Ok(vec![bytes.to_vec()]);
    }
    let size = size.max(SMALLEST_CHUNK).max(bytes.len().div_ceil(MAX_CHUNKS));
    if size + CHUNK_HEAD > usize::from(u16::MAX) - 28 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too long for GELF over UDP"));
    }
    let parts: Vec<&[u8]> = bytes.chunks(size).collect();
    let count = u8::try_from(parts.len()).unwrap_or(u8::MAX);
    let one = |(i, part): (usize, &&[u8])| {
        let mut chunk = Vec::with_capacity(CHUNK_HEAD + part.len());
        chunk.extend([0x1e, 0x0f]);
        chunk.extend(number.to_be_bytes());
        chunk.extend([u8::try_from(i).unwrap_or(u8::MAX), count]);
        chunk.extend_from_slice(part);
        chunk
    };
    Ok(parts.iter().enumerate().map(one).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;
    use tokio::sync::mpsc;

    fn told() -> Value {
        json!({ "emitter": "gw", "type": 2, "timestamp": 1_500_000, "event": { "name": "attached" } })
    }

    const TEXT: &str = r#"{"timestamp":1.5,"host":"gw","version":"1.1","level":2,"short_message":"Handles","full_message":{"emitter":"gw","type":2,"timestamp":1500000,"event":{"name":"attached"}}}"#;

    #[test]
    fn a_message_in_chunks_is_whole_again() {
        let bytes: Vec<u8> = (0..20_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
        for size in [0, 100, 1024, 30_000] {
            let chunks = chunks(&bytes, size, 7).unwrap();
            assert!(chunks.len() <= MAX_CHUNKS);
            if let [one] = chunks.as_slice() {
                assert_eq!(*one, bytes);
                continue;
            }
            let mut whole = Vec::new();
            for (i, chunk) in chunks.iter().enumerate() {
                assert_eq!(chunk[..10], [0x1e, 0x0f, 0, 0, 0, 0, 0, 0, 0, 7]);
                assert_eq!((usize::from(chunk[10]), usize::from(chunk[11])), (i, chunks.len()));
                whole.extend_from_slice(&chunk[12..]);
            }
            assert_eq!(whole, bytes);
        }
        assert!(super::chunks(&vec![0; 9_000_000], 1024, 7).is_err());
    }

    #[tokio::test]
    async fn messages_have_the_shape_of_janus_over_both_protocols() {
        let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        for protocol in [GelfProtocol::Udp, GelfProtocol::Tcp] {
            let address = match protocol {
                GelfProtocol::Udp => udp.local_addr().unwrap(),
                GelfProtocol::Tcp => tcp.local_addr().unwrap(),
            };
            let settings = Gelf {
                host: address.ip().to_string(),
                port: address.port(),
                protocol,
                chunk: 1024,
                compression: None,
            };
            let (queue, waiting) = mpsc::channel(10);
            tokio::spawn(run(settings, Inbox::of(waiting), Arc::default()));
            queue.send(Arc::new(told())).await.unwrap();
            let mut bytes = vec![0; 2000];
            let len = match protocol {
                GelfProtocol::Udp => udp.recv(&mut bytes).await.unwrap(),
                GelfProtocol::Tcp => {
                    let mut stream = tcp.accept().await.unwrap().0;
                    stream.read_exact(&mut bytes[..=TEXT.len()]).await.unwrap();
                    assert_eq!(bytes[TEXT.len()], 0);
                    TEXT.len()
                }
            };
            assert_eq!(std::str::from_utf8(&bytes[..len]).unwrap(), TEXT);
        }
    }
}
