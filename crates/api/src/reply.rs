//! Replies and events in Janus' key order.
//!
//! `janus`, `session_id` (if one was addressed), `transaction` (if it is known), then the rest. Scripts compare these
//! texts: every shape has a golden test.

use crate::{ApiError, HandleId, JsepKind, Object, SessionId, Value, json};

/// `janus`, `session_id` unless 0, `transaction` if there is one.
pub fn envelope(janus: &str, session_id: u64, transaction: Option<&str>) -> Object {
    let mut o = Object::new();
    o.insert("janus".into(), janus.into());
    if session_id != 0 {
        o.insert("session_id".into(), session_id.into());
    }
    if let Some(t) = transaction {
        o.insert("transaction".into(), t.into());
    }
    o
}

/// `success` without a payload.
pub fn success(session_id: u64, transaction: &str) -> Value {
    envelope("success", session_id, Some(transaction)).into()
}

/// `success` with more members: what most requests of the Admin API answer.
pub fn success_with(session_id: u64, transaction: &str, members: Object) -> Value {
    let mut o = envelope("success", session_id, Some(transaction));
    o.extend(members);
    o.into()
}

/// `success` with `data.id`: what `create` and `attach` answer. `session_id` is 0 for `create`.
pub fn created(session_id: u64, transaction: &str, id: u64) -> Value {
    let mut o = envelope("success", session_id, Some(transaction));
    o.insert("data".into(), json!({ "id": id }));
    o.into()
}

/// `pong`
pub fn pong(transaction: &str) -> Value {
    envelope("pong", 0, Some(transaction)).into()
}

/// `ack`, with the plugin's hint if it gave one.
pub fn ack(session_id: u64, transaction: &str, hint: Option<&str>) -> Value {
    let mut o = envelope("ack", session_id, Some(transaction));
    if let Some(hint) = hint {
        o.insert("hint".into(), hint.into());
    }
    o.into()
}

/// `error`
pub fn error(session_id: u64, transaction: Option<&str>, error: &ApiError) -> Value {
    let mut o = envelope("error", session_id, transaction);
    o.insert("error".into(), error.to_value());
    o.into()
}

/// Whom an event is from: a handle as its client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// Its session.
    pub session: SessionId,
    /// The handle.
    pub handle: HandleId,
    /// Set if events shall carry it (`opaqueid_in_api`).
    pub opaque_id: Option<String>,
}

/// A description as it goes to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalJsep {
    /// Offer or answer.
    pub kind: JsepKind,
    /// The text.
    pub sdp: String,
    /// Media is encrypted end to end.
    pub e2ee: bool,
}

impl LocalJsep {
    /// The `jsep` member.
    pub fn to_value(&self) -> Value {
        let mut o = Object::new();
        o.insert("type".into(), self.kind.as_str().into());
        o.insert("sdp".into(), self.sdp.as_str().into());
        if self.e2ee {
            o.insert("e2ee".into(), true.into());
        }
        o.into()
    }
}

impl Sender {
    fn envelope(&self, janus: &str, transaction: Option<&str>) -> Object {
        let mut o = envelope(janus, self.session.get(), transaction);
        o.insert("sender".into(), self.handle.into());
        if let Some(opaque_id) = &self.opaque_id {
            o.insert("opaque_id".into(), opaque_id.as_str().into());
        }
        o
    }

    /// The synchronous reply of a plugin: `success` with `plugindata`.
    pub fn plugin_success(&self, transaction: &str, package: &str, data: Value) -> Value {
        let mut o = self.envelope("success", Some(transaction));
        o.insert("plugindata".into(), plugin_data(package, data));
        o.into()
    }

    /// A plugin's event, with the transaction it answers if it answers one.
    pub fn plugin_event(
        &self,
        transaction: Option<&str>,
        package: &str,
        data: Value,
        jsep: Option<&LocalJsep>,
    ) -> Value {
        let mut o = self.envelope("event", transaction);
        o.insert("plugindata".into(), plugin_data(package, data));
        if let Some(jsep) = jsep {
            o.insert("jsep".into(), jsep.to_value());
        }
        o.into()
    }

    /// `webrtcup`
    pub fn webrtcup(&self) -> Value {
        self.envelope("webrtcup", None).into()
    }

    /// `media`: packets of a medium began to come or stopped. `seconds` only if they stopped and the silence that
    /// counts is longer than one second.
    pub fn media(
        &self,
        mid: &str,
        kind: &str,
        substream: Option<u8>,
        receiving: bool,
        seconds: Option<u64>,
    ) -> Value {
        let mut o = self.envelope("media", None);
        o.insert("mid".into(), mid.into());
        o.insert("type".into(), kind.into());
        if let Some(substream) = substream {
            o.insert("substream".into(), substream.into());
        }
        o.insert("receiving".into(), receiving.into());
        if let Some(seconds) = seconds.filter(|s| !receiving && *s > 1) {
            o.insert("seconds".into(), seconds.into());
        }
        o.into()
    }

    /// `slowlink`: `uplink` for losses on what the client sends.
    pub fn slowlink(&self, mid: &str, kind: &str, uplink: bool, lost: u32) -> Value {
        let mut o = self.envelope("slowlink", None);
        o.insert("mid".into(), mid.into());
        o.insert("media".into(), kind.into());
        o.insert("uplink".into(), uplink.into());
        o.insert("lost".into(), lost.into());
        o.into()
    }

    /// `hangup`
    pub fn hangup(&self, reason: &str) -> Value {
        let mut o = self.envelope("hangup", None);
        o.insert("reason".into(), reason.into());
        o.into()
    }

    /// `ice-failed`
    pub fn ice_failed(&self) -> Value {
        self.envelope("ice-failed", None).into()
    }

    /// `detached`
    pub fn detached(&self) -> Value {
        self.envelope("detached", None).into()
    }

    /// `trickle`: a candidate of ours for the m-line that carries the transport; `None` is the end.
    pub fn trickle(&self, mid: &str, candidate: Option<&str>) -> Value {
        let mut o = self.envelope("trickle", None);
        let candidate = match candidate {
            Some(text) => json!({ "sdpMid": mid, "sdpMLineIndex": 0, "candidate": text }),
            None => json!({ "completed": true }),
        };
        o.insert("candidate".into(), candidate);
        o.into()
    }
}

/// `timeout`
pub fn timeout(session: SessionId) -> Value {
    envelope("timeout", session.get(), None).into()
}

fn plugin_data(package: &str, data: Value) -> Value {
    json!({ "plugin": package, "data": data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;

    fn sender(opaque_id: Option<&str>) -> Sender {
        Sender {
            session: SessionId::new(77).unwrap(),
            handle: HandleId::new(5688).unwrap(),
            opaque_id: opaque_id.map(str::to_owned),
        }
    }

    #[test]
    fn replies_have_the_key_order_of_janus() {
        let nope = ApiError::new(ErrorCode::PluginNotFound, "No such plugin 'x'");
        for (value, text) in [
            (pong("a"), r#"{"janus":"pong","transaction":"a"}"#),
            (created(0, "a", 77), r#"{"janus":"success","transaction":"a","data":{"id":77}}"#),
            (created(77, "a", 5), r#"{"janus":"success","session_id":77,"transaction":"a","data":{"id":5}}"#),
            (success(77, "a"), r#"{"janus":"success","session_id":77,"transaction":"a"}"#),
            (ack(77, "a", None), r#"{"janus":"ack","session_id":77,"transaction":"a"}"#),
            (ack(77, "a", Some("h")), r#"{"janus":"ack","session_id":77,"transaction":"a","hint":"h"}"#),
            (
                error(77, Some("a"), &nope),
                r#"{"janus":"error","session_id":77,"transaction":"a","error":{"code":460,"reason":"No such plugin 'x'"}}"#,
            ),
            (
                error(0, None, &nope),
                r#"{"janus":"error","error":{"code":460,"reason":"No such plugin 'x'"}}"#,
            ),
            (timeout(SessionId::new(77).unwrap()), r#"{"janus":"timeout","session_id":77}"#),
        ] {
            assert_eq!(value.to_string(), text);
        }
    }

    #[test]
    fn events_have_the_key_order_of_janus() {
        let s = sender(None);
        let jsep = LocalJsep { kind: JsepKind::Answer, sdp: "v=0".into(), e2ee: true };
        for (value, rest) in [
            (s.webrtcup(), r#"webrtcup","session_id":77,"sender":5688}"#),
            (s.ice_failed(), r#"ice-failed","session_id":77,"sender":5688}"#),
            (s.detached(), r#"detached","session_id":77,"sender":5688}"#),
            (s.hangup("DTLS alert"), r#"hangup","session_id":77,"sender":5688,"reason":"DTLS alert"}"#),
            (
                s.media("1", "video", None, true, Some(5)),
                r#"media","session_id":77,"sender":5688,"mid":"1","type":"video","receiving":true}"#,
            ),
            (
                s.media("1", "video", Some(2), false, Some(5)),
                r#"media","session_id":77,"sender":5688,"mid":"1","type":"video","substream":2,"receiving":false,"seconds":5}"#,
            ),
            (
                s.media("1", "audio", None, false, Some(1)),
                r#"media","session_id":77,"sender":5688,"mid":"1","type":"audio","receiving":false}"#,
            ),
            (
                s.slowlink("1", "video", true, 9),
                r#"slowlink","session_id":77,"sender":5688,"mid":"1","media":"video","uplink":true,"lost":9}"#,
            ),
            (
                s.trickle("0", Some("candidate:1")),
                r#"trickle","session_id":77,"sender":5688,"candidate":{"sdpMid":"0","sdpMLineIndex":0,"candidate":"candidate:1"}}"#,
            ),
            (
                s.trickle("0", None),
                r#"trickle","session_id":77,"sender":5688,"candidate":{"completed":true}}"#,
            ),
            (
                s.plugin_event(Some("t"), "p", json!({"a": 1}), Some(&jsep)),
                r#"event","session_id":77,"transaction":"t","sender":5688,"plugindata":{"plugin":"p","data":{"a":1}},"jsep":{"type":"answer","sdp":"v=0","e2ee":true}}"#,
            ),
            (
                s.plugin_event(None, "p", json!({}), None),
                r#"event","session_id":77,"sender":5688,"plugindata":{"plugin":"p","data":{}}}"#,
            ),
            (
                s.plugin_success("t", "p", json!({})),
                r#"success","session_id":77,"transaction":"t","sender":5688,"plugindata":{"plugin":"p","data":{}}}"#,
            ),
        ] {
            assert_eq!(value.to_string(), format!(r#"{{"janus":"{rest}"#));
        }
    }

    #[test]
    fn an_opaque_id_stands_behind_the_sender() {
        let v = sender(Some("o")).plugin_event(Some("t"), "p", json!({}), None);
        let text = r#"{"janus":"event","session_id":77,"transaction":"t","sender":5688,"opaque_id":"o","plugindata":{"plugin":"p","data":{}}}"#;
        assert_eq!(v.to_string(), text);
    }
}
