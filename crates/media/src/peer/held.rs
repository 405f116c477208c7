//! Candidates of ours that are kept back until the way for them is open.
//!
//! Behind a NAT that nobody told to let us through (docker's default bridge with no media port published), a client that
//! checks our public address before we have checked its own spoils that pair: the NAT keeps an entry for the stranger's
//! packet, gives our own packets another port than the one the client was told, and every repetition renews the entry. So
//! the client learns our candidates only after our checks to all of its own have left (`nat.trickle_hold_ms`). That is
//! driven by what happens and not by a bet on how long signalling takes; a plain delay after the description
//! (`nat.trickle_delay_ms`) is there for whoever wants one.
//!
//! Deliberately absent: the checks themselves, which ICE sends as soon as it knows where to.

use super::{Peer, PeerCx, Stage};
use crate::ice::Remapped;
use crate::settings::Settings;
use portunus_plugin::HandleId;
use portunus_plugin::media::MediaEvent;
use portunus_plugin::report::TrickleReport;
use portunus_sdp::{Candidate, CandidateTransport};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// A client that never says that its candidates are complete is waited for this long after its description.
const LATE: Duration = Duration::from_secs(1);
/// However many candidates it goes on to send, ours leave then.
const LATEST: Duration = Duration::from_secs(2);

/// See the module. It is there from the peer's beginning until its first candidates have left.
#[derive(Debug)]
pub(super) struct Held {
    /// After the last first check.
    hold: Option<Duration>,
    /// After our description.
    delay: Duration,
    /// When our description left, and the candidates that follow it.
    described: Option<(Instant, Vec<Candidate>)>,
    /// When the client's description was there.
    answered: Option<Instant>,
    /// The client has no more candidates to tell.
    complete: bool,
    /// Addresses of the client that checks will go to, and those that one went to.
    expected: Vec<SocketAddr>,
    checked: Vec<SocketAddr>,
    last_first_check: Option<Instant>,
}

impl Held {
    /// What the settings say of a new peer: `None` where nothing is kept back.
    pub(super) fn new(settings: &Settings) -> Option<Self> {
        let Settings { full_trickle, trickle_hold: hold, trickle_delay: delay, .. } = *settings;
        // A lite agent sends no checks that could open a way.
        let hold = (!hold.is_zero() && !settings.ice_lite).then_some(hold);
        let wanted = full_trickle && (hold.is_some() || !delay.is_zero());
        wanted.then(|| Self {
            hold,
            delay,
            described: None,
            answered: None,
            complete: false,
            expected: Vec::new(),
            checked: Vec::new(),
            last_first_check: None,
        })
    }

    /// Our description leaves now, without these.
    pub(super) fn on_description(&mut self, candidates: Vec<Candidate>, now: Instant) {
        self.described = Some((now, candidates));
    }

    /// The client's description is there.
    pub(super) fn on_answer(&mut self, now: Instant) {
        self.answered.get_or_insert(now);
    }

    /// The client has told all its candidates.
    pub(super) const fn on_complete(&mut self) {
        self.complete = true;
    }

    /// The client told an address that can be checked.
    pub(super) fn on_remote(&mut self, address: SocketAddr) {
        remember(&mut self.expected, address);
    }

    /// A check left.
    pub(super) fn on_check(&mut self, to: SocketAddr, now: Instant) {
        if remember(&mut self.checked, to) {
            self.last_first_check = Some(now);
        }
    }

    /// When the candidates may leave; `None` while only the client's description can tell.
    pub(super) fn release_at(&self) -> Option<Instant> {
        let not_before = self.described.as_ref()?.0 + self.delay;
        let Some(hold) = self.hold else { return Some(not_before) };
        let answered = self.answered?;
        let open = self.last_first_check.map_or(answered, |at| at + hold);
        let all_checked = self.expected.iter().all(|address| self.checked.contains(address));
        let at = if self.complete && all_checked { open } else { open.max(answered + LATE) };
        Some(at.min(answered + LATEST + hold).max(not_before))
    }
}

impl Peer {
    /// Remembers where the client is told to find us.
    pub(crate) fn tell(&mut self, candidates: &[Candidate]) {
        let udp = candidates.iter().filter(|c| matches!(c.transport, CandidateTransport::Udp));
        self.ice.tell(udp.filter_map(Candidate::socket_addr));
    }

    /// Keeps the candidates of a description back that leaves now, or gives them back.
    pub(crate) fn hold(&mut self, candidates: Vec<Candidate>, now: Instant) -> Option<Vec<Candidate>> {
        // Whoever has a path needs no other way to be opened.
        match &mut self.held {
            Some(held) if matches!(self.stage, Stage::Connecting { .. }) => {
                self.stirred = true;
                held.on_description(candidates, now);
                None
            }
            _ => Some(candidates),
        }
    }

    /// What the client says of its candidates: another one, or that there are no more.
    pub(super) fn note_remote(&mut self, candidate: Option<&Candidate>) {
        let Some(held) = &mut self.held else { return };
        match candidate {
            None => held.on_complete(),
            Some(candidate) => {
                if let Some(address) = self.ice.checkable(candidate) {
                    held.on_remote(address);
                }
            }
        }
    }

    /// Tells the candidates that were kept back, when their time has come.
    pub(super) fn release_candidates(&mut self, cx: &mut PeerCx<'_>, now: Instant) {
        let Some(held) = self.held.take_if(|held| held.release_at().is_some_and(|at| at <= now)) else {
            return;
        };
        let Some((begun, candidates)) = held.described else { return };
        self.kept_back = Some(now.saturating_duration_since(begun));
        trickle(cx.events, self.handle, candidates);
    }

    pub(super) fn trickle_report(&self, cx: &PeerCx<'_>) -> Option<TrickleReport> {
        let settings = cx.settings;
        settings.full_trickle.then_some(TrickleReport {
            hold: settings.trickle_hold,
            delay: settings.trickle_delay,
            holding: self.held.as_ref().is_some_and(|held| held.described.is_some()),
            kept_back: self.kept_back,
        })
    }

    pub(super) fn tell_remapped(&self, Remapped { told, seen }: Remapped) {
        tracing::warn!(
            handle = %self.handle, %told, %seen,
            "a NAT gives our media another port than the one that clients are told: calls will fail for some. Publish the \
             media port (docker run -p PORT:PORT/udp, nat_1_1_mapping), or hold candidates back (trickle_hold_ms)"
        );
    }
}

/// Candidates as trickle events, and their end.
pub(crate) fn trickle(
    events: &mut VecDeque<(HandleId, MediaEvent)>,
    handle: HandleId,
    candidates: Vec<Candidate>,
) {
    events.extend(candidates.into_iter().map(|c| (handle, MediaEvent::Candidate(Some(Box::new(c))))));
    events.push_back((handle, MediaEvent::Candidate(None)));
}

fn remember(list: &mut Vec<SocketAddr>, address: SocketAddr) -> bool {
    let new = !list.contains(&address);
    if new {
        list.push(address);
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn settings(hold: u32, delay: u32) -> Settings {
        let mut settings = crate::simulation::settings();
        (settings.full_trickle, settings.trickle_hold, settings.trickle_delay) =
            (true, MS * hold, MS * delay);
        settings
    }

    /// One whose description left, and when.
    fn held(hold: u32, delay: u32) -> (Held, Instant) {
        let (mut held, now) = (Held::new(&settings(hold, delay)).unwrap(), Instant::now());
        assert_eq!(held.release_at(), None);
        held.on_description(Vec::new(), now);
        (held, now)
    }

    #[test]
    fn nothing_is_held_without_full_trickle_nor_for_the_checks_of_a_lite_agent() {
        let mut s = settings(100, 0);
        assert!(Held::new(&s).is_some());
        s.ice_lite = true;
        assert!(Held::new(&s).is_none());
        s.trickle_delay = MS;
        assert!(Held::new(&s).is_some());
        s.full_trickle = false;
        assert!(Held::new(&s).is_none());
        assert!(Held::new(&settings(0, 0)).is_none());
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([203, 0, 113, last], 4000))
    }

    #[test]
    fn a_plain_delay_begins_with_our_description() {
        let (mut held, start) = held(0, 300);
        assert_eq!(held.release_at(), Some(start + MS * 300));
        held.on_answer(start + MS * 1000);
        assert_eq!(held.release_at(), Some(start + MS * 300));
    }

    #[test]
    fn without_an_answer_nothing_is_released_however_long_it_takes() {
        let (held, _) = held(100, 0);
        assert_eq!(held.release_at(), None);
    }

    #[test]
    fn complete_candidates_are_followed_by_ours_after_the_last_first_check() {
        let (mut held, start) = held(100, 0);
        let answer = start + MS * 1500;
        held.on_answer(answer);
        for last in [1, 2] {
            held.on_remote(address(last));
        }
        held.on_complete();
        held.on_check(address(1), answer + MS);
        assert_eq!(held.release_at(), Some(answer + LATE), "the second is not checked yet");
        held.on_check(address(2), answer + MS * 51);
        assert_eq!(held.release_at(), Some(answer + MS * 151));
        held.on_check(address(2), answer + MS * 90);
        assert_eq!(held.release_at(), Some(answer + MS * 151), "a repetition opens nothing");
    }

    #[test]
    fn candidates_that_trickle_in_are_waited_for_until_the_end_of_them_or_a_second() {
        let (mut held, start) = held(100, 0);
        held.on_answer(start);
        held.on_remote(address(1));
        held.on_check(address(1), start + MS);
        assert_eq!(held.release_at(), Some(start + LATE));
        held.on_remote(address(2));
        held.on_check(address(2), start + MS * 950);
        assert_eq!(held.release_at(), Some(start + MS * 1050), "the newest needs its time, too");
        held.on_complete();
        assert_eq!(held.release_at(), Some(start + MS * 1050));
    }

    #[test]
    fn a_client_that_never_ends_gets_ours_all_the_same() {
        let (mut held, start) = held(100, 0);
        held.on_answer(start);
        for last in 0..=255 {
            held.on_remote(address(last));
            held.on_check(address(last), start + MS * 50 * u32::from(last));
        }
        assert_eq!(held.release_at(), Some(start + LATEST + MS * 100));
    }

    #[test]
    fn a_client_without_candidates_gets_ours_at_once_when_it_says_so() {
        let (mut held, start) = held(100, 0);
        held.on_answer(start);
        assert_eq!(held.release_at(), Some(start + LATE));
        held.on_complete();
        assert_eq!(held.release_at(), Some(start));
    }

    #[test]
    fn both_settings_together_wait_for_the_later() {
        let (mut held, start) = held(100, 5000);
        held.on_answer(start);
        held.on_complete();
        assert_eq!(held.release_at(), Some(start + MS * 5000));
    }
}
