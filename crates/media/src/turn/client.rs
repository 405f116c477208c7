//! One allocation on a TURN server (RFC 8656) over one pair of addresses: made, kept, used, given up.
//!
//! It is told the time and has no socket. What goes through the relay asks for what it needs: the first packet to an
//! address asks for a permission and waits for it, the first that is not STUN (so the path is in use) for a channel.
//! What is not used for the length of a permission is not renewed. When it is over, it is over: a new attempt is a new
//! client from another port, as servers remember the old one (error 437).

use super::credentials::Credentials;
use super::message::{
    CHANNELS, Class, FIRST_CHANNEL, Message, Method, Writer, attribute, parse_channel, wrap_in_channel,
    wrap_in_indication,
};
use crate::random::Random;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::{Duration, Instant};

/// Addresses that may have a permission at once; packets to more go nowhere.
pub(crate) const MAX_PERMISSIONS: usize = 4096;
/// Requests on their way at once.
const MAX_FLYING: usize = 32;
/// RFC 8489 section 6.2.1: the first wait, the number of requests, and the last wait in units of the first one.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const REQUESTS: u32 = 7;
const LAST_WAIT: u32 = 16;
/// The same over a stream, which repeats by itself.
const STREAM_WAIT: Duration = Duration::from_millis(39_500);
/// How often one request is begun anew because of a nonce.
const MAX_CHALLENGES: u8 = 3;
/// What counts without LIFETIME, and the bounds of what is believed.
const LIFETIME: u32 = 600;
const SHORTEST_LIFETIME: u32 = 20;
const LONGEST_LIFETIME: u32 = 3600;
/// A permission lives for five minutes, a channel for ten (RFC 8656 sections 9 and 12).
const RENEW_PERMISSION: Duration = Duration::from_secs(240);
const RENEW_CHANNEL: Duration = Duration::from_secs(540);
/// A channel that was not renewed: what the server may still hold of it, and five minutes of silence before its number
/// may mean another address.
const CHANNEL_REST: Duration = Duration::from_secs(60 + 300);
/// What the server refused is asked for again after this long.
const ASK_AGAIN: Duration = Duration::from_secs(60);
/// Permissions are for all ports, and this one is as good as another (RFC 8656 section 10.1).
const ANY_PORT: u16 = 9;
/// How often permissions and channels are looked through.
const SWEEP: Duration = Duration::from_secs(10);

/// What the server gave us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    /// The server's address that is ours now.
    pub(crate) relayed: SocketAddr,
    /// Our address as the server sees it.
    pub(crate) mapped: SocketAddr,
}

/// Why there is no allocation (any more).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    Silent,
    /// The number of the error.
    Refused(u16),
    /// Another server is to be asked (300).
    Elsewhere(SocketAddr),
    /// A challenge or an answer that nothing can be made of.
    Unusable,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("no answer"),
            Self::Refused(401) => f.write_str("user name or password refused (401)"),
            Self::Refused(403) => f.write_str("forbidden (403)"),
            Self::Refused(437) => f.write_str("the server forgot or doubled the allocation (437)"),
            Self::Refused(486) => f.write_str("the user's quota of allocations is used up (486)"),
            Self::Refused(508) => f.write_str("the server has no relay port left (508)"),
            Self::Refused(code) => write!(f, "error {code}"),
            Self::Elsewhere(server) => write!(f, "sent to {server} (300)"),
            Self::Unusable => f.write_str("an answer that makes no sense"),
        }
    }
}

/// What became of the allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Up(Allocation),
    Over(Failure),
}

/// What became of a packet for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapped {
    /// It is so long now and can go.
    Ready(usize),
    /// It waits for the permission, unless a newer one comes before that.
    Held,
    /// It goes nowhere.
    Refused,
}

impl From<Option<usize>> for Wrapped {
    fn from(len: Option<usize>) -> Self {
        len.map_or(Self::Refused, Self::Ready)
    }
}

/// See the module.
pub(crate) struct Client {
    credentials: Credentials,
    /// A stream: nothing is repeated, channel data is padded.
    stream: bool,
    random: Random,
    state: State,
    /// Requests that wait for their turn, and those on their way.
    queue: VecDeque<Purpose>,
    flying: Vec<Flying>,
    permissions: HashMap<IpAddr, Permission>,
    channels: HashMap<SocketAddr, Channel>,
    /// Whose a channel number is, from [`FIRST_CHANNEL`] on.
    numbers: Vec<Option<SocketAddr>>,
    next_sweep: Instant,
    out: VecDeque<Vec<u8>>,
    events: VecDeque<Event>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Allocating,
    Up { allocation: Allocation, refresh: Instant },
    Over,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Allocate,
    Refresh,
    Permit(IpAddr),
    Bind(SocketAddr, u16),
}

struct Flying {
    purpose: Purpose,
    transaction: [u8; 12],
    bytes: Vec<u8>,
    signed: bool,
    sent: u32,
    challenges: u8,
    next: Instant,
}

struct Permission {
    grant: Grant,
    used: bool,
}

enum Grant {
    /// With the newest packet that waits for it, ready to go.
    Asked(Option<Vec<u8>>),
    Given {
        renew: Instant,
    },
    Refused {
        until: Instant,
    },
}

struct Channel {
    number: u16,
    binding: Binding,
    used: bool,
}

enum Binding {
    Asked,
    Bound {
        renew: Instant,
    },
    /// Not renewed; the number rests.
    Lapsed {
        until: Instant,
    },
    Refused {
        until: Instant,
    },
}

impl Client {
    pub(crate) fn new(credentials: Credentials, stream: bool, now: Instant) -> Self {
        let mut client = Self {
            credentials,
            stream,
            random: Random::new(),
            state: State::Allocating,
            queue: VecDeque::from([Purpose::Allocate]),
            flying: Vec::new(),
            permissions: HashMap::new(),
            channels: HashMap::new(),
            numbers: Vec::new(),
            next_sweep: now + SWEEP,
            out: VecDeque::new(),
            events: VecDeque::new(),
        };
        client.send_queued(now);
        client
    }

    /// What we have, while we have it.
    pub(crate) const fn allocation(&self) -> Option<Allocation> {
        match self.state {
            State::Up { allocation, .. } => Some(allocation),
            State::Allocating | State::Over => None,
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next message for the server.
    pub(crate) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.out.pop_front()
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub(crate) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if !self.queue.is_empty() && self.flying.len() < MAX_FLYING {
            return Some(now);
        }
        let mut at = self.flying.iter().map(|f| f.next).min();
        if let State::Up { refresh, .. } = self.state {
            let first = refresh.min(self.next_sweep);
            at = Some(at.map_or(first, |at| at.min(first)));
        }
        at
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let State::Up { refresh, .. } = &mut self.state {
            if now >= *refresh {
                // Asked again should even the answer to this one be lost.
                *refresh = now + STREAM_WAIT * 2;
                self.queue.push_front(Purpose::Refresh);
            }
            if now >= self.next_sweep {
                self.next_sweep = now + SWEEP;
                self.sweep(now);
            }
        }
        self.repeat(now);
        self.send_queued(now);
    }

    /// What came from the server. The sender and the place of a packet that came through the relay.
    pub(crate) fn handle_input(&mut self, bytes: &[u8], now: Instant) -> Option<(SocketAddr, Range<usize>)> {
        if let Some((channel, data)) = parse_channel(bytes) {
            let peer = self.numbers.get(usize::from(channel - FIRST_CHANNEL)).copied().flatten()?;
            return self.allocation().map(|_| (peer, data));
        }
        let message = Message::parse(bytes)?;
        if message.class == Class::Data {
            return message.data().filter(|_| self.allocation().is_some());
        }
        let at = self.flying.iter().position(|f| f.transaction == message.transaction)?;
        let authentic = match message.class {
            Class::Success => self.credentials.verify(&message),
            // Servers sign no challenges, and often no errors.
            _ => !message.is_signed() || self.credentials.verify(&message),
        };
        if !authentic {
            return None;
        }
        let request = self.flying.swap_remove(at);
        match message.class {
            Class::Success => self.on_success(request.purpose, &message, now),
            _ => self.on_error(&request, &message, now),
        }
        self.send_queued(now);
        None
    }

    /// Wraps the first `len` bytes of `room` for the way through the relay, in place.
    pub(crate) fn wrap(&mut self, room: &mut [u8], len: usize, peer: SocketAddr) -> Wrapped {
        match self.allocation() {
            Some(allocation) if allocation.relayed.is_ipv4() == peer.is_ipv4() => {}
            _ => return Wrapped::Refused,
        }
        // Nothing but STUN goes anywhere before ICE has chosen that path.
        let in_use = room.first().is_some_and(|first| *first > 3);
        let full = self.permissions.len() >= MAX_PERMISSIONS;
        match self.permissions.get_mut(&peer.ip()) {
            Some(Permission { grant: Grant::Given { .. }, used }) => *used = true,
            Some(Permission { grant: Grant::Asked(held), .. }) => {
                *held = indication(room, len, peer, self.random.array());
                return Wrapped::Held;
            }
            Some(Permission { grant: Grant::Refused { .. }, .. }) => return Wrapped::Refused,
            None if full => return Wrapped::Refused,
            None => {
                let grant = Grant::Asked(indication(room, len, peer, self.random.array()));
                self.permissions.insert(peer.ip(), Permission { grant, used: true });
                self.queue.push_back(Purpose::Permit(peer.ip()));
                return Wrapped::Held;
            }
        }
        match self.channels.get_mut(&peer) {
            Some(channel) => {
                channel.used = true;
                match channel.binding {
                    Binding::Bound { .. } => {
                        return wrap_in_channel(room, len, channel.number, self.stream).into();
                    }
                    Binding::Lapsed { .. } if in_use => {
                        channel.binding = Binding::Asked;
                        self.queue.push_back(Purpose::Bind(peer, channel.number));
                    }
                    _ => {}
                }
            }
            None if in_use => self.ask_for_channel(peer),
            None => {}
        }
        wrap_in_indication(room, len, peer, self.random.array()).into()
    }

    /// Gives the allocation up: one message, whose answer nobody waits for.
    pub(crate) fn close(&mut self) {
        if matches!(self.state, State::Up { .. }) {
            let mut request = Writer::request(Method::Refresh, self.random.array());
            request.put(attribute::LIFETIME, &[0; 4]);
            self.credentials.sign(&mut request);
            self.out.push_back(request.finish());
        }
        self.state = State::Over;
        self.queue.clear();
        self.flying.clear();
    }

    /// Permissions and channels there are.
    #[cfg(test)]
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.permissions.len(), self.channels.len())
    }

    // === answers ===

    fn on_success(&mut self, purpose: Purpose, message: &Message<'_>, now: Instant) {
        match purpose {
            Purpose::Allocate => {
                let relayed = message.address(attribute::RELAYED_ADDRESS);
                let mapped = message.address(attribute::MAPPED_ADDRESS);
                let Some(relayed) = relayed else { return self.end(Failure::Unusable) };
                let allocation = Allocation { relayed, mapped: mapped.unwrap_or(relayed) };
                self.state = State::Up { allocation, refresh: now + half_of(message.lifetime()) };
                self.next_sweep = now + SWEEP;
                self.events.push_back(Event::Up(allocation));
            }
            Purpose::Refresh => {
                if let State::Up { refresh, .. } = &mut self.state {
                    *refresh = now + half_of(message.lifetime());
                }
            }
            Purpose::Permit(ip) => {
                if let Some(permission) = self.permissions.get_mut(&ip) {
                    let given = Grant::Given { renew: now + RENEW_PERMISSION };
                    if let Grant::Asked(Some(held)) = std::mem::replace(&mut permission.grant, given) {
                        self.out.push_back(held);
                    }
                }
            }
            Purpose::Bind(peer, _) => {
                if let Some(channel) = self.channels.get_mut(&peer) {
                    channel.binding = Binding::Bound { renew: now + RENEW_CHANNEL };
                }
            }
        }
    }

    fn on_error(&mut self, request: &Flying, message: &Message<'_>, now: Instant) {
        let code = message.error().unwrap_or(0);
        let challenge = code == 438 || (code == 401 && !request.signed);
        if challenge && request.challenges < MAX_CHALLENGES && self.credentials.take_challenge(message) {
            self.send(request.purpose, request.challenges + 1, now);
            return;
        }
        let failure = match message.alternate().filter(|_| code == 300) {
            Some(server) => Failure::Elsewhere(server),
            None => Failure::Refused(code),
        };
        self.on_failure(request.purpose, failure, now);
    }

    fn on_failure(&mut self, purpose: Purpose, failure: Failure, now: Instant) {
        let gone = failure == Failure::Refused(437);
        match purpose {
            Purpose::Allocate | Purpose::Refresh => self.end(failure),
            _ if gone => self.end(failure),
            Purpose::Permit(ip) => {
                tracing::debug!(%ip, %failure, "no permission of the TURN server");
                if let Some(permission) = self.permissions.get_mut(&ip) {
                    permission.grant = Grant::Refused { until: now + ASK_AGAIN };
                }
            }
            Purpose::Bind(peer, _) => {
                tracing::debug!(%peer, %failure, "no channel of the TURN server");
                if let Some(channel) = self.channels.get_mut(&peer) {
                    channel.binding = Binding::Refused { until: now + ASK_AGAIN };
                }
            }
        }
    }

    fn end(&mut self, failure: Failure) {
        self.state = State::Over;
        self.queue.clear();
        self.flying.clear();
        self.events.push_back(Event::Over(failure));
    }

    // === requests ===

    fn send_queued(&mut self, now: Instant) {
        while self.flying.len() < MAX_FLYING {
            let Some(purpose) = self.queue.pop_front() else { return };
            self.send(purpose, 0, now);
        }
    }

    fn send(&mut self, purpose: Purpose, challenges: u8, now: Instant) {
        let transaction = self.random.array();
        let bytes = self.write(purpose, transaction);
        self.out.push_back(bytes.clone());
        let next = now + if self.stream { STREAM_WAIT } else { FIRST_WAIT };
        let signed = self.credentials.is_challenged();
        self.flying.push(Flying { purpose, transaction, bytes, signed, sent: 1, challenges, next });
    }

    fn write(&self, purpose: Purpose, transaction: [u8; 12]) -> Vec<u8> {
        let method = match purpose {
            Purpose::Allocate => Method::Allocate,
            Purpose::Refresh => Method::Refresh,
            Purpose::Permit(_) => Method::CreatePermission,
            Purpose::Bind(..) => Method::ChannelBind,
        };
        let mut request = Writer::request(method, transaction);
        match purpose {
            // UDP, its protocol number in IP.
            Purpose::Allocate => request.put(attribute::REQUESTED_TRANSPORT, &[17, 0, 0, 0]),
            Purpose::Refresh => {}
            Purpose::Permit(ip) => {
                request.put_address(attribute::PEER_ADDRESS, SocketAddr::new(ip, ANY_PORT))
            }
            Purpose::Bind(peer, number) => {
                let [high, low] = number.to_be_bytes();
                request.put(attribute::CHANNEL_NUMBER, &[high, low, 0, 0]);
                request.put_address(attribute::PEER_ADDRESS, peer);
            }
        }
        self.credentials.sign(&mut request);
        request.finish()
    }

    /// Sends again what was not answered, and gives up what was sent often enough.
    fn repeat(&mut self, now: Instant) {
        let mut i = 0;
        while let Some(request) = self.flying.get_mut(i) {
            if now < request.next {
                i += 1;
            } else if self.stream || request.sent >= REQUESTS {
                let purpose = self.flying.swap_remove(i).purpose;
                self.on_failure(purpose, Failure::Silent, now);
            } else {
                let wait =
                    if request.sent + 1 == REQUESTS { LAST_WAIT } else { 1 << request.sent.min(REQUESTS) };
                request.sent += 1;
                request.next = now + FIRST_WAIT * wait;
                self.out.push_back(request.bytes.clone());
                i += 1;
            }
        }
    }

    // === permissions and channels ===

    fn ask_for_channel(&mut self, peer: SocketAddr) {
        let free = self.numbers.iter().position(Option::is_none).or_else(|| {
            (self.numbers.len() < usize::from(CHANNELS)).then(|| {
                self.numbers.push(None);
                self.numbers.len() - 1
            })
        });
        // Without a free number it goes on with Send indications.
        let Some(index) = free else { return };
        let Some(number) = u16::try_from(index).ok().and_then(|i| FIRST_CHANNEL.checked_add(i)) else {
            return;
        };
        if let Some(place) = self.numbers.get_mut(index) {
            *place = Some(peer);
        }
        self.channels.insert(peer, Channel { number, binding: Binding::Asked, used: true });
        self.queue.push_back(Purpose::Bind(peer, number));
    }

    /// Renews what is used and forgets what is not.
    fn sweep(&mut self, now: Instant) {
        let queue = &mut self.queue;
        self.permissions.retain(|ip, permission| match &mut permission.grant {
            Grant::Given { renew } if now >= *renew => {
                *renew = now + RENEW_PERMISSION;
                let used = std::mem::take(&mut permission.used);
                if used {
                    queue.push_back(Purpose::Permit(*ip));
                }
                used
            }
            Grant::Refused { until } => now < *until,
            _ => true,
        });
        let numbers = &mut self.numbers;
        self.channels.retain(|peer, channel| {
            let mut keep = true;
            match channel.binding {
                Binding::Bound { renew } if now >= renew => {
                    if std::mem::take(&mut channel.used) {
                        channel.binding = Binding::Bound { renew: now + RENEW_CHANNEL };
                        queue.push_back(Purpose::Bind(*peer, channel.number));
                    } else {
                        channel.binding = Binding::Lapsed { until: now + CHANNEL_REST };
                    }
                }
                Binding::Lapsed { until } | Binding::Refused { until } => keep = now < until,
                _ => {}
            }
            if !keep && let Some(place) = numbers.get_mut(usize::from(channel.number - FIRST_CHANNEL)) {
                *place = None;
            }
            keep
        });
    }
}

/// A Send indication of its own.
fn indication(room: &mut [u8], len: usize, peer: SocketAddr, transaction: [u8; 12]) -> Option<Vec<u8>> {
    let wrapped = wrap_in_indication(room, len, peer, transaction)?;
    room.get(..wrapped).map(<[u8]>::to_vec)
}

/// When to refresh.
fn half_of(lifetime: Option<u32>) -> Duration {
    let seconds = lifetime.unwrap_or(LIFETIME).clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME);
    Duration::from_secs(u64::from(seconds)) / 2
}

#[cfg(test)]
mod tests;
