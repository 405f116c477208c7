//! Candidates of a `trickle` request.

use crate::{ApiError, ErrorCode, FieldError, Kind, Object, Value};

/// What one element of a `trickle` request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trickled {
    /// No further candidates.
    End,
    /// A candidate.
    Candidate {
        /// The m-line by its mid.
        mid: Option<String>,
        /// The m-line by its place.
        mindex: Option<u64>,
        /// The text, with or without `candidate:`.
        text: String,
    },
    /// Nothing: an empty text, or one that says `end-of-candidates`.
    Nothing,
}

impl Trickled {
    /// Reads one candidate.
    ///
    /// # Errors
    /// 456 and 467 with the texts of Janus.
    pub fn parse(value: &Value) -> Result<Self, ApiError> {
        let Value::Object(o) = value else {
            return Ok(Self::End);
        };
        // The element counts, not its value: Janus takes `completed: false` for the end as well.
        if o.contains_key("completed") {
            return Ok(Self::End);
        }
        let mid = element(o, "sdpMid", Kind::String)?.and_then(Value::as_str).map(str::to_owned);
        let mindex = element(o, "sdpMLineIndex", Kind::PositiveInteger)?.and_then(Value::as_u64);
        if mid.is_none() && mindex.is_none() {
            return Err(missing("sdpMid or sdpMLineIndex"));
        }
        let text = element(o, "candidate", Kind::String)?.ok_or_else(|| missing("candidate"))?;
        let text = text.as_str().unwrap_or_default();
        if text.is_empty() || text.contains("end-of-candidates") {
            return Ok(Self::Nothing);
        }
        Ok(Self::Candidate { mid, mindex, text: text.to_owned() })
    }
}

/// The part of a `trickle` request that holds candidates.
#[derive(Clone, Debug, PartialEq)]
pub enum Trickle {
    /// `candidate`
    One(Value),
    /// `candidates`; not yet known to be an array, since early ones are stored as they come.
    Many(Value),
}

impl Trickle {
    /// Takes it out of a request. `null` is a value here: it ends the candidates.
    ///
    /// # Errors
    /// 456 with neither element, 454 with both.
    pub fn parse(request: &Object) -> Result<Self, ApiError> {
        match (request.get("candidate"), request.get("candidates")) {
            (None, None) => Err(ApiError::new(
                ErrorCode::MissingMandatoryElement,
                "Missing mandatory element (candidate|candidates)",
            )),
            (Some(_), Some(_)) => {
                Err(ApiError::new(ErrorCode::InvalidJson, "Can't have both candidate and candidates"))
            }
            (Some(one), None) => Ok(Self::One(one.clone())),
            (None, Some(many)) => Ok(Self::Many(many.clone())),
        }
    }

    /// What it says. Bad items of an array are left out, as Janus leaves them out.
    ///
    /// # Errors
    /// 467 if `candidates` is no array; those of [`Trickled::parse`] for a single candidate.
    pub fn read(&self) -> Result<Vec<Trickled>, ApiError> {
        match self {
            Self::One(value) => Ok(vec![Trickled::parse(value)?]),
            Self::Many(Value::Array(items)) => {
                Ok(items.iter().filter_map(|item| Trickled::parse(item).ok()).collect())
            }
            Self::Many(_) => Err(ApiError::new(ErrorCode::InvalidElementType, "candidates is not an array")),
        }
    }
}

/// Unlike elsewhere, `null` is a value of the wrong type here.
fn element<'a>(o: &'a Object, name: &str, kind: Kind) -> Result<Option<&'a Value>, ApiError> {
    match o.get(name) {
        Some(value) if !kind.accepts(value) => {
            Err(FieldError::Type(name.to_owned(), kind).with_prefix("Trickle error: "))
        }
        value => Ok(value),
    }
}

fn missing(name: &str) -> ApiError {
    FieldError::Missing(name.to_owned()).with_prefix("Trickle error: ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_candidate_or_several_but_not_both() {
        for (value, code, reason) in [
            (json!({}), 456, "Missing mandatory element (candidate|candidates)"),
            (json!({"candidate": {}, "candidates": []}), 454, "Can't have both candidate and candidates"),
        ] {
            let e = Trickle::parse(value.as_object().unwrap()).unwrap_err();
            assert_eq!((e.code.code(), e.reason.as_str()), (code, reason));
        }
    }

    #[test]
    fn what_is_wrong_with_one_is_told() {
        for (value, code, reason) in [
            (json!({}), 456, "missing mandatory element (sdpMid or sdpMLineIndex)"),
            (json!({"sdpMid": 0}), 467, "invalid element type (sdpMid should be a string)"),
            (
                json!({"sdpMid": "0", "sdpMLineIndex": "0"}),
                467,
                "invalid element type (sdpMLineIndex should be a positive integer)",
            ),
            (
                json!({"sdpMLineIndex": -1}),
                467,
                "invalid element type (sdpMLineIndex should be a positive integer)",
            ),
            (json!({"sdpMid": "0"}), 456, "missing mandatory element (candidate)"),
            (
                json!({"sdpMid": "0", "candidate": 5}),
                467,
                "invalid element type (candidate should be a string)",
            ),
        ] {
            let e = Trickle::One(value).read().unwrap_err();
            assert_eq!((e.code.code(), e.reason), (code, format!("Trickle error: {reason}")));
        }
        let e = Trickle::Many(json!({})).read().unwrap_err();
        assert_eq!((e.code.code(), e.reason.as_str()), (467, "candidates is not an array"));
    }

    #[test]
    fn the_end_has_many_spellings() {
        for value in [json!(null), json!(5), json!({"completed": true}), json!({"completed": false})] {
            assert_eq!(Trickled::parse(&value), Ok(Trickled::End), "{value}");
        }
        for text in ["", "end-of-candidates", "a=end-of-candidates"] {
            let value = json!({"sdpMid": "0", "candidate": text});
            assert_eq!(Trickled::parse(&value), Ok(Trickled::Nothing), "{text}");
        }
    }

    #[test]
    fn bad_items_of_an_array_are_left_out() {
        let many = json!([{"sdpMid": 5}, {"sdpMid": "0", "candidate": "candidate:1"}, null]);
        let read = Trickle::Many(many).read().unwrap();
        let first = Trickled::Candidate { mid: Some("0".into()), mindex: None, text: "candidate:1".into() };
        assert_eq!(read, [first, Trickled::End]);
    }
}
