//! The data channels of one association and their opening handshake (RFC 8832).

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use rtc_datachannel::data_channel::DataChannel;
use rtc_datachannel::message::Message;
use rtc_datachannel::message::message_channel_ack::DataChannelAck;
use rtc_datachannel::message::message_channel_open::{CHANNEL_PRIORITY_NORMAL, ChannelType, DataChannelOpen};
use rtc_sctp::ReliabilityType;
use rtc_shared::marshal::{Marshal, Unmarshal};

/// Channels at the same time, as with Janus.
pub(super) const MAX_CHANNELS: usize = 150;
/// Longest label and longest protocol, in bytes.
pub(super) const MAX_LABEL: usize = 1024;

/// One open channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) label: String,
    pub(super) protocol: String,
}

/// How a channel asks to be sent on.
pub(super) struct Reliability {
    pub(super) ordered: bool,
    pub(super) kind: ReliabilityType,
    pub(super) value: u32,
}

/// An `OPEN` that may be accepted.
pub(super) struct Open {
    pub(super) channel: Channel,
    pub(super) reliability: Reliability,
}

/// A message of the opening handshake.
pub(super) enum Dcep {
    Open(Open),
    Ack,
    /// Not for us, or not valid.
    Other,
}

/// The channels by stream.
#[derive(Default)]
pub(super) struct Channels {
    by_stream: BTreeMap<u16, Channel>,
}

impl Channels {
    pub(super) fn get(&self, stream: u16) -> Option<&Channel> {
        self.by_stream.get(&stream)
    }

    pub(super) fn insert(&mut self, stream: u16, channel: Channel) {
        self.by_stream.insert(stream, channel);
    }

    pub(super) fn remove(&mut self, stream: u16) -> Option<Channel> {
        self.by_stream.remove(&stream)
    }

    pub(super) fn find(&self, label: &str) -> Option<u16> {
        self.by_stream.iter().find(|(_, channel)| channel.label == label).map(|(stream, _)| *stream)
    }

    pub(super) fn streams(&self) -> impl Iterator<Item = u16> {
        self.by_stream.keys().copied()
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_stream.len() >= MAX_CHANNELS
    }
}

/// Reads a handshake message.
pub(super) fn parse_dcep(payload: &[u8]) -> Dcep {
    let mut reader = payload;
    match Message::unmarshal(&mut reader) {
        Ok(Message::DataChannelAck(_)) => Dcep::Ack,
        Ok(Message::DataChannelOpen(open)) if open.label.len().max(open.protocol.len()) <= MAX_LABEL => {
            let (unordered, kind) = DataChannel::get_reliability_params(open.channel_type);
            let (Ok(label), Ok(protocol)) = (String::from_utf8(open.label), String::from_utf8(open.protocol))
            else {
                return Dcep::Other;
            };
            let reliability = Reliability { ordered: !unordered, kind, value: open.reliability_parameter };
            Dcep::Open(Open { channel: Channel { label, protocol }, reliability })
        }
        _ => Dcep::Other,
    }
}

/// The `OPEN` of a channel of ours: ordered and reliable.
pub(super) fn write_open(channel: &Channel) -> Option<Bytes> {
    let open = Message::DataChannelOpen(DataChannelOpen {
        channel_type: ChannelType::Reliable,
        priority: CHANNEL_PRIORITY_NORMAL,
        reliability_parameter: 0,
        label: channel.label.as_bytes().to_vec(),
        protocol: channel.protocol.as_bytes().to_vec(),
    });
    open.marshal().ok().map(BytesMut::freeze)
}

/// The answer to an `OPEN`.
pub(super) fn write_ack() -> Option<Bytes> {
    Message::DataChannelAck(DataChannelAck {}).marshal().ok().map(BytesMut::freeze)
}
