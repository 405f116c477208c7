//! The envelope of a request: verb, transaction and the ids it addresses.
//!
//! Deliberately absent: whether the verb may be used there, and what it does.

use crate::{ApiError, Kind, Object, Value, optional, require};

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `info`
    Info,
    /// `ping`
    Ping,
    /// `create`
    Create,
    /// `keepalive`
    Keepalive,
    /// `attach`
    Attach,
    /// `destroy`
    Destroy,
    /// `claim`
    Claim,
    /// `detach`
    Detach,
    /// `hangup`
    Hangup,
    /// `message`
    Message,
    /// `trickle`
    Trickle,
    /// A word the Janus API does not have.
    Other,
}

impl Verb {
    const WORDS: [(&'static str, Self); 11] = [
        ("info", Self::Info),
        ("ping", Self::Ping),
        ("create", Self::Create),
        ("keepalive", Self::Keepalive),
        ("attach", Self::Attach),
        ("destroy", Self::Destroy),
        ("claim", Self::Claim),
        ("detach", Self::Detach),
        ("hangup", Self::Hangup),
        ("message", Self::Message),
        ("trickle", Self::Trickle),
    ];

    /// The verb a word stands for, whatever its case.
    pub fn from_word(word: &str) -> Self {
        Self::WORDS.iter().find(|(w, _)| w.eq_ignore_ascii_case(word)).map_or(Self::Other, |(_, v)| *v)
    }
}

/// A request whose envelope is complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The verb.
    pub verb: Verb,
    /// The verb as the client wrote it: error texts quote it.
    pub word: String,
    /// Echoed in every answer.
    pub transaction: String,
    /// The session it addresses; 0 for none.
    pub session_id: u64,
    /// The handle it addresses; 0 is one that cannot exist.
    pub handle_id: Option<u64>,
    /// `id`: the session id a `create` wants; 0 for any.
    pub wanted_id: Option<u64>,
    /// The whole request.
    pub body: Object,
}

/// Why a request could not be taken, and what its error reply has to carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The session it addressed; 0 for none.
    pub session_id: u64,
    /// The error.
    pub error: ApiError,
}

impl Request {
    /// Reads the envelope. A value that is no object has no transaction, which is what the client is told.
    ///
    /// # Errors
    /// 456 or 467 for `transaction`, `janus` and `id`, in this order. Janus looks at `id` in every request, and before it
    /// knows the transaction.
    pub fn parse(value: Value) -> Result<Self, Refusal> {
        Self::read(value, true)
    }

    /// Reads the envelope of a request of the Admin API, which has no `id`; its verb is
    /// [`AdminVerb::from_word`](crate::AdminVerb::from_word) of [`Request::word`].
    ///
    /// # Errors
    /// 456 or 467 for `transaction` and `janus`, in this order.
    pub fn parse_admin(value: Value) -> Result<Self, Refusal> {
        Self::read(value, false)
    }

    fn read(value: Value, with_id: bool) -> Result<Self, Refusal> {
        let body = match value {
            Value::Object(body) => body,
            _ => Object::new(),
        };
        let session_id = id_of(&body, "session_id").unwrap_or(0);
        let word = |name| {
            let value = require(&body, name, Kind::String);
            value.map(|v| v.as_str().unwrap_or_default().to_owned())
        };
        let refuse = |e: crate::FieldError| Refusal { session_id, error: e.into() };
        let transaction = word("transaction").map_err(refuse)?;
        let word = word("janus").map_err(refuse)?;
        let wanted = match with_id {
            true => optional(&body, "id", Kind::PositiveInteger).map_err(refuse)?,
            false => None,
        };
        let wanted_id = wanted.and_then(Value::as_u64);
        let handle_id = id_of(&body, "handle_id");
        Ok(Self { verb: Verb::from_word(&word), word, transaction, session_id, handle_id, wanted_id, body })
    }

    /// An element that is only looked at if it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }
}

/// An id of the envelope: `None` if it is absent or `null`, 0 if it is no integer.
fn id_of(body: &Object, name: &str) -> Option<u64> {
    let value = body.get(name).filter(|v| !v.is_null())?;
    // Janus keeps ids unsigned: a negative one is a large number that names nothing.
    Some(value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn verbs_ignore_case_and_keep_their_spelling() {
        let r = Request::parse(json!({"janus": "CREATE", "transaction": "a"})).unwrap();
        assert_eq!((r.verb, r.word.as_str()), (Verb::Create, "CREATE"));
        assert_eq!(Verb::from_word("creates"), Verb::Other);
    }

    #[test]
    fn the_transaction_is_missed_first() {
        for (value, text) in [
            (json!({}), "Missing mandatory element (transaction)"),
            (json!([]), "Missing mandatory element (transaction)"),
            (json!({"janus": "ping"}), "Missing mandatory element (transaction)"),
            (json!({"transaction": 5}), "Invalid element type (transaction should be a string)"),
            (json!({"transaction": null}), "Invalid element type (transaction should be a string)"),
            (json!({"transaction": "a", "id": "x"}), "Missing mandatory element (janus)"),
            (
                json!({"transaction": "a", "janus": "ping", "id": null}),
                "Invalid element type (id should be a positive integer)",
            ),
            (json!({"transaction": "a"}), "Missing mandatory element (janus)"),
            (json!({"transaction": "a", "janus": 1}), "Invalid element type (janus should be a string)"),
        ] {
            assert_eq!(Request::parse(value).unwrap_err().error.reason, text);
        }
    }

    #[test]
    fn the_admin_api_has_no_id() {
        let body = json!({"janus": "ping", "transaction": "a", "id": "x"});
        assert!(Request::parse(body.clone()).is_err());
        assert_eq!(Request::parse_admin(body).unwrap().wanted_id, None);
        assert!(Request::parse_admin(json!({"janus": "ping"})).is_err());
    }

    #[test]
    fn ids_that_are_no_integers_name_nothing() {
        for (id, session, handle) in [
            (json!("7"), 0, Some(0)),
            (json!(null), 0, None),
            (json!(1.5), 0, Some(0)),
            (json!(0), 0, Some(0)),
            (json!(7), 7, Some(7)),
            (json!(-1), u64::MAX, Some(u64::MAX)),
        ] {
            let body = json!({"janus": "x", "transaction": "a", "session_id": id, "handle_id": id});
            let r = Request::parse(body).unwrap();
            assert_eq!((r.session_id, r.handle_id), (session, handle), "{id}");
        }
    }
}
