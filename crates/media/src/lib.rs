//! The media engine: workers, sockets, ICE, DTLS, SRTP, SCTP, peers and routes

mod certificate;
mod dtls;
