use std::time::Instant;
pub(crate) struct Sctp;
pub(crate) enum SctpEvent {
    Ready,
    Message {
        label: String,
        protocol: String,
        binary: bool,
        payload: Vec<u8>,
    },
    #[allow(dead_code)]
    Other,
}
impl Sctp {
    pub(crate) fn new(_c: bool, _p: u16, _n: Instant) -> Self {
        Self
    }
    pub(crate) fn handle_packet(&mut self, _n: Instant, _b: &[u8]) {}
    pub(crate) fn handle_timeout(&mut self, _n: Instant) {}
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        None
    }
    pub(crate) fn poll_event(&mut self) -> Option<SctpEvent> {
        None
    }
    pub(crate) fn poll_transmit(&mut self, _n: Instant) -> Option<Vec<u8>> {
        None
    }
    pub(crate) fn send(
        &mut self,
        _n: Instant,
        _l: &str,
        _p: &str,
        _b: bool,
        _d: &[u8],
    ) -> Result<(), std::io::Error> {
        Ok(())
    }
}
