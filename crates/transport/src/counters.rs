//! What the transports count, for whoever shows metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only its owner changes and anybody reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn up(&self) {
        self.add(1);
    }

    pub(crate) fn down(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Everything counted, since the start unless a line says "now".
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Plain HTTP connections of the Janus API open now.
    pub http_connections: Counter,
    /// HTTPS connections of the Janus API open now.
    pub https_connections: Counter,
    /// Plain HTTP connections of the Admin API open now.
    pub admin_http_connections: Counter,
    /// HTTPS connections of the Admin API open now.
    pub admin_https_connections: Counter,
    /// HTTP requests waiting for their answer now, without long polls.
    pub http_pending: Counter,
    /// WebSocket connections open now, those in their handshake included.
    pub websocket_connections: Counter,
    /// Clients of Unix sockets of packets now.
    pub unix_clients: Counter,
    /// Connections accepted.
    pub accepted: Counter,
    /// Connections refused by an access list.
    pub refused_acl: Counter,
    /// Connections refused because all places were taken, or all of one address.
    pub refused_full: Counter,
    /// Connections closed to make room for a newcomer.
    pub evicted: Counter,
    /// Times that accepting failed (no descriptors, mostly).
    pub accept_errors: Counter,
    /// TLS handshakes that failed or took too long.
    pub tls_failures: Counter,
    /// Connections closed because a deadline passed.
    pub timed_out: Counter,
    /// HTTP requests.
    pub http_requests: Counter,
    /// WebSocket requests.
    pub websocket_requests: Counter,
    /// Requests over Unix sockets of packets.
    pub unix_requests: Counter,
    /// Requests that were not valid JSON.
    pub invalid_json: Counter,
    /// Requests over a size limit.
    pub too_large: Counter,
    /// Requests turned away because the core's queue was full.
    pub overloaded: Counter,
    /// HTTP requests the core did not answer in time.
    pub unanswered: Counter,
    /// Clients that were told their ICE servers.
    pub ice_servers: Counter,
    /// Those that were not, since they had neither secret nor token.
    pub ice_servers_refused: Counter,
    /// Those that were not, since it was not known.
    pub ice_servers_failed: Counter,
    /// Long polls waiting now.
    pub polls: Counter,
    /// Events given to the transport.
    pub events: Counter,
    /// Events dropped because a session's queue was full, or the session unknown.
    pub events_dropped: Counter,
    /// Events taken back from a connection that went before they were written.
    pub events_restored: Counter,
    /// Connections closed because their client did not read.
    pub slow_clients: Counter,
}
