//! Finds out where hosts are that media is to be forwarded to, for plugins.
//!
//! Names are looked up on tokio's blocking threads, a few at a time, and an answer that takes too long is none. What a name
//! turned out to be is what the operator's networks are held against, and what is used from then on: it is not looked up
//! again. So neither another spelling of an address nor a name that changes leads anywhere else.

use crate::networks::Network;
use crate::store::Done;
use portunus_plugin::forward::{Destination, Family, FeedbackPort, Reached, Unreachable};
use portunus_plugin::{Finished, Ticket};
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// Look-ups at a time. One that was given up still counts until the system has an answer.
const LOOKUPS: usize = 16;
/// A name must be found within this time; the core gives a request up later than that.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer ones are none (RFC 1035 section 3.1).
const MAX_NAME: usize = 255;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// `None`: every address.
    allowed: Option<Arc<[Network]>>,
    lookups: Arc<Semaphore>,
    done: mpsc::Sender<Done>,
}

impl Reach {
    /// Only addresses of these networks can be reached, if there are any.
    pub(crate) fn new(allowed: Option<Vec<Network>>, done: mpsc::Sender<Done>) -> Self {
        Self { allowed: allowed.map(Into::into), lookups: Arc::new(Semaphore::new(LOOKUPS)), done }
    }

    /// Begins a task of a plugin. To be called in a runtime.
    pub(crate) fn begin(&self, plugin: &'static str, ticket: Ticket, destinations: Vec<Destination>) {
        let own = self.clone();
        tokio::spawn(async move {
            let mut found = Vec::with_capacity(destinations.len());
            for destination in &destinations {
                found.push(own.reach(destination).await);
            }
            // Nobody listens any more when the process ends.
            let _ = own.done.send(Done { plugin, ticket, outcome: Ok(Finished::Reached(found)) }).await;
        });
    }

    async fn reach(&self, destination: &Destination) -> Result<Reached, Unreachable> {
        let address = self.find(destination).await.ok_or(Unreachable::Unresolved)?;
        if self.allowed.as_ref().is_some_and(|all| !all.iter().any(|one| one.contains(address))) {
            tracing::warn!(host = destination.host, %address, "not in portunus.forward_networks");
            return Err(Unreachable::Forbidden(address));
        }
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        let open = || FeedbackPort::open(family);
        // One in any case: it tells whether there is such a family here.
        let feedback: io::Result<Vec<_>> = (0..destination.feedback.max(1)).map(|_| open()).collect();
        let mut feedback = feedback.map_err(|error| Unreachable::NoPort(error.to_string()))?;
        feedback.truncate(destination.feedback);
        Ok(Reached { address, feedback })
    }

    async fn find(&self, destination: &Destination) -> Option<IpAddr> {
        let fits = |address: &IpAddr| match destination.family {
            None => true,
            Some(Family::V4) => address.is_ipv4(),
            Some(Family::V6) => address.is_ipv6(),
        };
        let host = destination.host.as_str();
        if let Ok(address) = host.parse::<IpAddr>() {
            return Some(address).filter(fits).map(|a| a.to_canonical());
        }
        if host.is_empty() || host.len() > MAX_NAME {
            return None;
        }
        let looked_up = tokio::time::timeout(PATIENCE, self.look_up(host.to_owned())).await;
        if looked_up.is_err() {
            tracing::warn!(host, "a name to forward to could not be looked up in time");
        }
        looked_up.ok().flatten()?.into_iter().find(fits).map(|a| a.to_canonical())
    }

    async fn look_up(&self, host: String) -> Option<Vec<IpAddr>> {
        let place = Arc::clone(&self.lookups).acquire_owned().await.ok()?;
        let looked_up = tokio::task::spawn_blocking(move || {
            let found = (host.as_str(), 0).to_socket_addrs();
            drop(place);
            found.map(|all| all.map(|a| a.ip()).collect())
        });
        looked_up.await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loopback, link-local and unspecified addresses as resolvers and parsers know them.
    const SPELLINGS: &str = "\
        127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 0x7f.0x0.0x0.0x1 127.0.0.01 \
        127.255.255.254 localhost ::1 0:0:0:0:0:0:0:1 ::ffff:127.0.0.1 ::ffff:7f00:1 0:0:0:0:0:ffff:7f00:1 \
        ::ffff:169.254.169.254 169.254.169.254 169.254.43518 2852039166 0xa9fea9fe 0xa9.0xfe.0xa9.0xfe \
        0251.0376.0251.0376 169.16689662 0 0.0.0.0 00000000 0x0 :: ::ffff:0.0.0.0 ::ffff:0:0 fe80::1 FE80::1 \
        fe80:0::0:1 febf::1 127.0.0.2 127.127.127.127 0x7F000001 0X7f.0.0.1 127.000.000.001 0000177.0.0.1 \
        0x0000007f.0.0.1 127.0x1 127.0.0x1 127.00.1 0177.1 0x7f.0x1 0177.0x1 \
        0000:0000:0000:0000:0000:0000:0000:0001 ::0001 0::1 ::0:1 ::ffff:127.0.0.2 ::FFFF:127.0.0.1 \
        0:0:0:0:0:FFFF:127.0.0.1 ::ffff:a9fe:a9fe 0:0::ffff:a9fe:a9fe 169.254.0.1 169.254.255.255 ip6-localhost";

    async fn reach(
        allowed: Option<&[&str]>,
        host: &str,
        family: Option<Family>,
    ) -> Result<IpAddr, Unreachable> {
        let (done, mut told) = mpsc::channel(1);
        let networks = allowed.map(|all| all.iter().map(|n| n.parse().unwrap()).collect());
        let destination = Destination { host: host.to_owned(), family, feedback: 2 };
        Reach::new(networks, done).begin("janus.plugin.test", Ticket(7), vec![destination]);
        let Done { plugin, ticket, outcome } = told.recv().await.unwrap();
        assert_eq!((plugin, ticket), ("janus.plugin.test", Ticket(7)));
        let Ok(Finished::Reached(mut all)) = outcome else { panic!("{outcome:?}") };
        let reached = all.pop().unwrap()?;
        assert!(reached.feedback.len() == 2 && reached.feedback[0] != reached.feedback[1]);
        Ok(reached.address)
    }

    #[tokio::test]
    async fn addresses_and_names_are_found() {
        for (host, family, found) in [
            ("127.0.0.1", None, Some("127.0.0.1")),
            ("127.0.0.1", Some(Family::V6), None),
            ("localhost", Some(Family::V4), Some("127.0.0.1")),
            ("::ffff:127.0.0.1", None, Some("127.0.0.1")),
            ("", None, None),
            ("not a host", None, None),
            ("name.invalid", None, None),
        ] {
            let wanted = found.map(|a| a.parse().unwrap()).ok_or(Unreachable::Unresolved);
            assert_eq!(reach(None, host, family).await, wanted, "{host} {family:?}");
        }
        assert_eq!(reach(None, &"a".repeat(300), None).await, Err(Unreachable::Unresolved));
    }

    #[tokio::test]
    async fn every_spelling_of_an_address_outside_of_the_networks_is_refused() {
        let allowed = ["10.0.0.0/8", "2001:db8::/32"];
        let mut forbidden = 0;
        for host in SPELLINGS.split(' ') {
            match reach(Some(&allowed), host, None).await {
                Err(Unreachable::Forbidden(_)) => forbidden += 1,
                Err(Unreachable::Unresolved | Unreachable::NoPort(_)) => {}
                Ok(address) => panic!("{host} led to {address}"),
            }
        }
        assert!(forbidden >= 40, "{forbidden}");
        assert_eq!(reach(Some(&allowed), "10.1.2.3", None).await, Ok("10.1.2.3".parse().unwrap()));
        assert_eq!(
            reach(Some(&[]), "10.1.2.3", None).await,
            Err(Unreachable::Forbidden([10, 1, 2, 3].into()))
        );
    }
}
