//! The JSON header: what a recording holds, and since when.

use serde_json::{Map, Value};
use std::fmt;

/// What a recording is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Medium {
    /// Sound, as RTP.
    Audio,
    /// Pictures, as RTP.
    Video,
    /// Messages of data channels.
    Data,
}

impl Medium {
    /// The letter of the header.
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Audio => "a",
            Self::Video => "v",
            Self::Data => "d",
        }
    }

    /// The word of file names and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Data => "data",
        }
    }
}

impl fmt::Display for Medium {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The header of a recording. Times are microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What is recorded.
    pub medium: Medium,
    /// The codec: Janus' name of it, `text` or `binary` for data.
    pub codec: String,
    /// `fmtp` of the codec.
    pub fmtp: Option<String>,
    /// What the publisher says of the stream.
    pub description: Option<String>,
    /// RTP header extensions: their ids and URIs.
    pub extensions: Vec<(u8, String)>,
    /// When the recording began.
    pub created: u64,
    /// When its first frame came.
    pub first_frame: u64,
    /// The payload type of opus/red packets among the others.
    pub red: Option<u8>,
    /// The payloads are encrypted by the clients.
    pub encrypted: bool,
}

/// A text that is no header of a recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct HeaderError(pub(crate) &'static str);

impl Header {
    /// A header of a medium and codec, with nothing else known.
    pub fn new(medium: Medium, codec: impl Into<String>) -> Self {
        Self {
            medium,
            codec: codec.into(),
            fmtp: None,
            description: None,
            extensions: Vec::new(),
            created: 0,
            first_frame: 0,
            red: None,
            encrypted: false,
        }
    }

    /// The text, with the keys in Janus' order.
    pub fn to_json(&self) -> String {
        let mut o = Map::new();
        o.insert("t".into(), self.medium.letter().into());
        o.insert("c".into(), self.codec.as_str().into());
        for (key, text) in [("f", &self.fmtp), ("d", &self.description)] {
            if let Some(text) = text {
                o.insert(key.into(), text.as_str().into());
            }
        }
        if !self.extensions.is_empty() {
            let all = self.extensions.iter().map(|(id, uri)| (id.to_string(), uri.as_str().into()));
            o.insert("x".into(), Value::Object(all.collect()));
        }
        o.insert("s".into(), self.created.into());
        o.insert("u".into(), self.first_frame.into());
        if let Some(red) = self.red {
            o.insert("or".into(), red.into());
        }
        if self.encrypted {
            o.insert("e".into(), true.into());
        }
        Value::Object(o).to_string()
    }

    /// Reads the text.
    ///
    /// # Errors
    /// It is no JSON object, or lacks medium or codec.
    pub fn from_json(text: &[u8]) -> Result<Self, HeaderError> {
        let value: Value = serde_json::from_slice(text).map_err(|_| HeaderError("the header is no JSON"))?;
        let o = value.as_object().ok_or(HeaderError("the header is no JSON object"))?;
        let word = |key: &str| o.get(key).and_then(Value::as_str);
        let medium = match word("t") {
            Some("a") => Medium::Audio,
            Some("v") => Medium::Video,
            Some("d") => Medium::Data,
            _ => return Err(HeaderError("the header does not tell the medium")),
        };
        let codec = word("c").ok_or(HeaderError("the header does not tell the codec"))?;
        let number = |key: &str| o.get(key).and_then(Value::as_u64);
        let extensions = o.get("x").and_then(Value::as_object).into_iter().flatten();
        Ok(Self {
            medium,
            codec: codec.to_owned(),
            fmtp: word("f").map(str::to_owned),
            description: word("d").map(str::to_owned),
            extensions: extensions
                .filter_map(|(id, uri)| Some((id.parse().ok()?, uri.as_str()?.to_owned())))
                .collect(),
            created: number("s").unwrap_or(0),
            first_frame: number("u").unwrap_or(0),
            red: number("or").and_then(|pt| u8::try_from(pt).ok()),
            encrypted: o.get("e").and_then(Value::as_bool).unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stand_in_the_order_of_janus_and_come_back() {
        let mut header = Header::new(Medium::Audio, "opus");
        (header.created, header.first_frame) = (1_795_239_710_484_961, 1_795_239_710_536_564);
        assert_eq!(header.to_json(), r#"{"t":"a","c":"opus","s":1795239710484961,"u":1795239710536564}"#);
        header.fmtp = Some("useinbandfec=1".into());
        header.description = Some("a \"voice\"".into());
        header.extensions = vec![(1, "urn:a".into()), (14, "urn:b".into())];
        header.red = Some(63);
        header.encrypted = true;
        let text = header.to_json();
        let keys = r#"{"t":"a","c":"opus","f":"useinbandfec=1","d":"a \"voice\"","x":{"1":"urn:a","14":"urn:b"},"s":"#;
        assert!(text.starts_with(keys) && text.ends_with(r#","or":63,"e":true}"#), "{text}");
        assert_eq!(Header::from_json(text.as_bytes()), Ok(header));
    }

    #[test]
    fn what_is_no_header_is_said() {
        for (text, why) in [
            ("", "no JSON"),
            ("[]", "no JSON object"),
            ("{}", "the medium"),
            (r#"{"t":"x","c":"opus"}"#, "the medium"),
            (r#"{"t":"a"}"#, "the codec"),
        ] {
            assert!(Header::from_json(text.as_bytes()).unwrap_err().to_string().contains(why), "{text}");
        }
        let odd =
            r#"{"t":"d","c":"text","s":-1,"u":"x","x":{"a":"b","300":"c","7":8},"or":999,"e":5,"new":{}}"#;
        let header = Header::from_json(odd.as_bytes()).unwrap();
        assert_eq!(header, Header::new(Medium::Data, "text"), "what cannot be is left out");
    }
}
