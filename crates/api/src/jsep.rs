//! The `jsep` member of a request.

use crate::{ApiError, ErrorCode, FieldError, Kind, Object, Value, optional, require};

/// Offer or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JsepKind {
    /// `offer`
    Offer,
    /// `answer`
    Answer,
}

impl JsepKind {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offer => "offer",
            Self::Answer => "answer",
        }
    }
}

/// A description from a client, its text not yet read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jsep {
    /// Offer or answer.
    pub kind: JsepKind,
    /// The text.
    pub sdp: String,
    /// The client sends candidates later.
    pub trickle: bool,
    /// `rid_order` as written.
    pub rid_order: Option<String>,
    /// Only relayed candidates are wanted.
    pub force_relay: bool,
    /// Media is encrypted end to end.
    pub e2ee: bool,
    /// Which video is scalable (SVC).
    pub svc: Svc,
}

/// The `svc` element of a description. Clients of Janus send `true`, or a list with the `mid` of each m-line; it is a
/// hint, and what is neither says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Svc {
    /// Nothing was said.
    #[default]
    None,
    /// All video.
    All,
    /// The m-lines with these mids.
    Mids(Vec<String>),
}

impl Svc {
    /// Whether the m-line with this mid is scalable.
    pub fn has(&self, mid: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Mids(mids) => mids.iter().any(|m| m == mid),
        }
    }

    fn read(value: Option<&Value>) -> Self {
        match value {
            Some(Value::Bool(true)) => Self::All,
            Some(Value::Array(list)) => {
                let mids = list.iter().filter_map(|one| one.get("mid").and_then(Value::as_str));
                Self::Mids(mids.map(str::to_owned).collect())
            }
            _ => Self::None,
        }
    }
}

impl Jsep {
    /// Reads the member.
    ///
    /// # Errors
    /// 455 if it is no object, 456 and 467 for its elements, 464 for a type that is neither offer nor answer.
    pub fn parse(value: &Value) -> Result<Self, ApiError> {
        let Value::Object(o) = value else {
            return Err(ApiError::new(ErrorCode::InvalidJsonObject, "Invalid jsep object"));
        };
        let word = text(require(o, "type", Kind::String).map_err(jsep_error)?);
        let sdp = text(require(o, "sdp", Kind::String).map_err(jsep_error)?);
        let trickle = flag(o, "trickle")?.unwrap_or(true);
        let rid_order = optional(o, "rid_order", Kind::String).map_err(jsep_error)?.map(text);
        let force_relay = flag(o, "force_relay")?.unwrap_or(false);
        let e2ee = flag(o, "e2ee")?.unwrap_or(false);
        let svc = Svc::read(o.get("svc"));
        let kind = [JsepKind::Offer, JsepKind::Answer]
            .into_iter()
            .find(|k| k.as_str().eq_ignore_ascii_case(&word))
            .ok_or_else(|| {
                let reason = format!("JSEP error: unknown message type '{word}'");
                ApiError::new(ErrorCode::JsepUnknownType, reason)
            })?;
        Ok(Self { kind, sdp, trickle, rid_order, force_relay, e2ee, svc })
    }
}

fn flag(o: &Object, name: &str) -> Result<Option<bool>, ApiError> {
    Ok(optional(o, name, Kind::Boolean).map_err(jsep_error)?.and_then(Value::as_bool))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn jsep_error(e: FieldError) -> ApiError {
    e.with_prefix("JSEP error: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_is_told_as_janus_tells_it() {
        for (value, code, reason) in [
            (json!(null), 455, "Invalid jsep object"),
            (json!("offer"), 455, "Invalid jsep object"),
            (json!({}), 456, "JSEP error: missing mandatory element (type)"),
            (json!({"type": "pranswer"}), 456, "JSEP error: missing mandatory element (sdp)"),
            (json!({"type": 1}), 467, "JSEP error: invalid element type (type should be a string)"),
            (
                json!({"type": "offer", "sdp": {}}),
                467,
                "JSEP error: invalid element type (sdp should be a string)",
            ),
            (
                json!({"type": "offer", "sdp": "", "trickle": 1}),
                467,
                "JSEP error: invalid element type (trickle should be a boolean)",
            ),
            (json!({"type": "pranswer", "sdp": ""}), 464, "JSEP error: unknown message type 'pranswer'"),
        ] {
            let e = Jsep::parse(&value).unwrap_err();
            assert_eq!((e.code.code(), e.reason.as_str()), (code, reason));
        }
    }

    #[test]
    fn the_type_ignores_case_and_trickling_is_the_default() {
        let j = Jsep::parse(&json!({"type": "OFFER", "sdp": "v=0"})).unwrap();
        assert_eq!(j.kind, JsepKind::Offer);
        assert!(j.trickle && !j.e2ee && !j.force_relay);
    }

    #[test]
    fn svc_is_a_hint_in_any_form() {
        let svc = |svc: Value| Jsep::parse(&json!({"type": "offer", "sdp": "", "svc": svc})).unwrap().svc;
        assert!(svc(json!(true)).has("7"));
        let list = svc(json!([{"mindex": 1, "mid": "1", "svc": "L3T3"}, 5, {}]));
        assert!(list.has("1") && !list.has("0"));
        for odd in [json!(null), json!("x"), json!(false), json!({}), json!(1)] {
            assert!(!svc(odd).has("1"));
        }
    }
}
