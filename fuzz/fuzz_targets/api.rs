//! A body from a client: bytes to JSON as strictly as we promise, JSON to a request with its parts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portunus_api::{Jsep, Request, Trickle, Value, token::SignedToken};

fuzz_target!(|data: &[u8]| {
    let ours = portunus_transport::parse(data);
    let all = portunus_transport::parse_all(data);
    let Ok(value) = ours else {
        // Not one value; several, or none, may still be fine.
        if let Ok(values) = &all {
            assert_ne!(values.len(), 1);
        }
        return;
    };
    assert_eq!(all.as_deref(), Ok(std::slice::from_ref(&value)));
    let theirs: Value = serde_json::from_slice(data).expect("stricter than serde_json");
    assert!(same(&value, &theirs), "{value:?}\n{theirs:?}");
    read_token(&value);
    if let Ok(request) = Request::parse(value) {
        let _ = request.text("token");
        read_parts(&request);
    }
});

/// Equal but for the kind of a number: jansson, and so we, take -0 for an integer.
fn same(ours: &Value, theirs: &Value) -> bool {
    match (ours, theirs) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => ours == theirs,
    }
}

fn read_parts(request: &Request) {
    if let Some(jsep) = request.body.get("jsep") {
        let _ = Jsep::parse(jsep);
    }
    if let Ok(trickle) = Trickle::parse(&request.body) {
        let _ = trickle.read();
    }
}

fn read_token(value: &Value) {
    if let Some(text) = value.get("token").and_then(Value::as_str)
        && let Some(token) = SignedToken::verify(text, "secret", "janus", 1_000)
    {
        let _ = token.allows("janus.plugin.videoroom");
    }
}
