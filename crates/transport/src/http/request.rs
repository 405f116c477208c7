//! POST: a request in a body, its ids in the body or the path.

use super::path::Place;
use super::{Answer, Call, Dropped, HttpApi, closing, empty};
use crate::{Side, json};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use portunus_api::{ErrorCode, Object, Value};

impl HttpApi {
    pub(super) async fn post(&self, call: Call<'_>, body: Incoming) -> Answer {
        let pulse = call.pulse;
        let declared = call.headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
        let limit = self.shared.limits().body;
        if declared.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
            self.shared.counters().too_large.up();
            return Ok(closing(empty(pulse, StatusCode::PAYLOAD_TOO_LARGE)));
        }
        pulse.on_body_begin();
        let bytes = read(body, limit).await;
        pulse.on_body_end();
        let bytes = match bytes {
            Ok(bytes) if bytes.is_empty() => return Err(Dropped::NoPayload),
            Ok(bytes) => bytes,
            Err(Unread::TooLarge) => {
                self.shared.counters().too_large.up();
                return Ok(closing(empty(pulse, StatusCode::PAYLOAD_TOO_LARGE)));
            }
            Err(Unread::Broken) => return Err(Dropped::BrokenPayload),
        };
        if call.place.endpoint.is_some() {
            return Ok(match self.side {
                Side::Janus => empty(pulse, StatusCode::BAD_REQUEST),
                Side::Admin => {
                    self.error(pulse, ErrorCode::TransportSpecific, "Use GET for the info endpoint")
                }
            });
        }
        let object = match json::parse(&bytes) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                return Ok(self.error(pulse, ErrorCode::InvalidJsonObject, "JSON error: not an object"));
            }
            Err(fault) => {
                self.shared.counters().invalid_json.up();
                return Ok(self.error(pulse, ErrorCode::InvalidJson, format!("JSON error: {fault}")));
            }
        };
        drop(bytes);
        match merged(object, &call.place) {
            Ok(body) => self.ask(&call, body).await,
            Err(conflict) => Ok(self.error(pulse, ErrorCode::InvalidRequestPath, conflict)),
        }
    }
}

enum Unread {
    TooLarge,
    Broken,
}

async fn read(mut body: Incoming, limit: usize) -> Result<Vec<u8>, Unread> {
    // One buffer: a list of pieces would let a body of one-byte chunks cost fifty times its size.
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Unread::Broken)?;
        // Trailers are nobody's.
        let Some(piece) = frame.data_ref() else { continue };
        if bytes.len() + piece.len() > limit {
            return Err(Unread::TooLarge);
        }
        bytes.extend_from_slice(piece);
    }
    Ok(bytes)
}

/// The body with the ids of the path in it.
fn merged(mut object: Object, place: &Place) -> Result<Value, &'static str> {
    merge(&mut object, "session_id", place.session)
        .map_err(|Conflict| "Conflicting session ID (payload and path)")?;
    merge(&mut object, "handle_id", place.handle)
        .map_err(|Conflict| "Conflicting handle ID (payload and path)")?;
    Ok(Value::Object(object))
}

struct Conflict;

fn merge(object: &mut Object, key: &str, path: Option<u64>) -> Result<(), Conflict> {
    let Some(path) = path else { return Ok(()) };
    let written = object.get(key).and_then(integer).filter(|id| *id != 0);
    if written.is_some_and(|id| id != path) {
        return Err(Conflict);
    }
    if path != 0 && written.is_none() {
        object.insert(key.to_owned(), path.into());
    }
    Ok(())
}

/// An id as Janus keeps it: a negative one wraps.
fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_i64().map(i64::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portunus_api::json;

    #[test]
    fn ids_of_path_and_body_become_one() {
        let place = |session, handle| Place { endpoint: None, session, handle };
        let s = "Conflicting session ID (payload and path)";
        let h = "Conflicting handle ID (payload and path)";
        for (body, path, expected) in [
            (json!({"a": 1}), place(None, None), Ok(json!({"a": 1}))),
            (json!({}), place(Some(5), Some(6)), Ok(json!({"session_id": 5, "handle_id": 6}))),
            (json!({"session_id": 5}), place(Some(5), None), Ok(json!({"session_id": 5}))),
            (json!({"session_id": 6}), place(Some(5), None), Err(s)),
            (json!({"session_id": -6}), place(Some(5), None), Err(s)),
            (json!({"session_id": 0}), place(Some(5), None), Ok(json!({"session_id": 5}))),
            (json!({"session_id": null}), place(Some(5), None), Ok(json!({"session_id": 5}))),
            (json!({"session_id": "6"}), place(Some(5), None), Ok(json!({"session_id": 5}))),
            (json!({"session_id": 5.5}), place(Some(5), None), Ok(json!({"session_id": 5}))),
            (json!({"session_id": 7}), place(None, None), Ok(json!({"session_id": 7}))),
            (json!({"session_id": 7}), place(Some(0), None), Err(s)),
            (json!({}), place(Some(0), Some(0)), Ok(json!({}))),
            (json!({"handle_id": 7}), place(Some(5), Some(6)), Err(h)),
            (json!({"handle_id": 7}), place(Some(5), Some(0)), Err(h)),
            (json!({"session_id": 9, "handle_id": 7}), place(Some(5), Some(6)), Err(s)),
            (json!({"handle_id": 7}), place(Some(5), None), Ok(json!({"handle_id": 7, "session_id": 5}))),
        ] {
            let text = body.to_string();
            assert_eq!(merged(body.as_object().unwrap().clone(), &path), expected, "{text} {path:?}");
        }
    }
}
