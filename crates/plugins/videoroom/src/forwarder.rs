//! A forwarder of a stream, as requests and event handlers see it.

use crate::publisher::{Publisher, Stream};
use portunus_api::{Object, Value};
use portunus_plugin::{Cx, RouteEnd};
use std::net::SocketAddr;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarder {
    /// Unique among those of a publisher.
    pub(crate) id: u32,
    pub(crate) to: SocketAddr,
    /// Ports for feedback: ours, and where it is to come from.
    pub(crate) feedback: Option<(u16, u16)>,
    pub(crate) payload_type: Option<u8>,
    pub(crate) ssrc: Option<u32>,
    /// One of the higher simulcast substreams.
    pub(crate) substream: Option<u8>,
    pub(crate) srtp: bool,
}

impl Forwarder {
    /// As `rtp_forward` and `listforwarders` show it.
    pub(crate) fn describe(&self, kind: &str) -> Object {
        let mut o = Object::new();
        o.insert("stream_id".into(), self.id.into());
        o.insert("host".into(), self.to.ip().to_string().into());
        o.insert("port".into(), self.to.port().into());
        o.insert("type".into(), kind.into());
        if let Some((ours, theirs)) = self.feedback {
            o.insert("local_rtcp_port".into(), ours.into());
            o.insert("remote_rtcp_port".into(), theirs.into());
        }
        if let Some(payload_type) = self.payload_type {
            o.insert("pt".into(), payload_type.into());
        }
        if let Some(ssrc) = self.ssrc {
            o.insert("ssrc".into(), ssrc.into());
        }
        if let Some(substream) = self.substream {
            o.insert("substream".into(), substream.into());
        }
        if self.srtp {
            o.insert("srtp".into(), true.into());
        }
        o
    }
}

impl Stream {
    fn forwarders_to_values(&self) -> impl Iterator<Item = Value> {
        self.forwarders.iter().map(|f| f.describe(self.kind.api_name()).into())
    }
}

impl Publisher {
    /// His entry of `listforwarders`, if anything was forwarded of him.
    pub(crate) fn list_forwarders(&self) -> Option<Value> {
        let mut o = Object::new();
        o.insert("publisher_id".into(), self.id.to_value());
        self.labels(&mut o);
        let all = self.streams.iter().flat_map(Stream::forwarders_to_values).collect();
        o.insert("forwarders".into(), Value::Array(all));
        self.was_forwarded.then(|| o.into())
    }

    pub(crate) fn count_forwarders(&self) -> usize {
        self.streams.iter().map(|s| s.forwarders.len()).sum()
    }

    pub(crate) fn has_forwarder(&self, id: u32) -> bool {
        self.streams.iter().flat_map(|s| &s.forwarders).any(|f| f.id == id)
    }

    /// Ends a forwarder; `None` if there is none with this number.
    pub(crate) fn stop_forwarder(&mut self, cx: &mut Cx, id: u32) -> Option<Forwarder> {
        let handle = self.handle;
        self.streams.iter_mut().find_map(|stream| {
            let at = stream.forwarders.iter().position(|f| f.id == id)?;
            if let Some(handle) = handle {
                cx.stop_forward(RouteEnd::new(handle, &stream.mid), id);
            }
            Some(stream.forwarders.remove(at))
        })
    }
}
