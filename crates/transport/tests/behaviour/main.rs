//! What clients see, over real sockets on the loopback network, with a small core behind the transports. One file a
//! behaviour.

mod support;

mod access_lists;
mod admin_api;
mod core_overload;
mod cross_origin;
mod dead_polls;
mod demo_pages;
mod descriptors_exhausted;
mod http_limits;
mod http_requests;
mod ice_servers;
mod json_spelling;
mod long_poll;
mod many_connections;
mod recordings;
mod recordings_confined;
mod request_smuggling;
mod secure_listeners;
mod shutdown;
mod slow_readers;
mod unix_packets;
mod unix_sockets;
mod websocket_handshake;
mod websocket_lifetime;
mod websocket_limits;
mod websocket_messages;
