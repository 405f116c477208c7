//! Who may do what: the API secret and tokens.
//!
//! Deliberately absent: stored tokens. They are made through the Admin API; without it every token is unknown.

use crate::Settings;
use portunus_api::token::{SignedToken, same_secret};

/// The realm of tokens for the API itself.
const REALM: &str = "janus";

/// Whether a request with this secret and token may be served; `unix_now` in seconds. With both a secret and tokens
/// configured either is enough.
pub(crate) fn may_enter(
    settings: &Settings,
    secret: Option<&str>,
    token: Option<&str>,
    unix_now: u64,
) -> bool {
    let right = settings.api_secret.as_deref();
    if right.is_none() && !settings.token_auth {
        return true;
    }
    let by_secret = right.zip(secret).is_some_and(|(right, given)| same_secret(given, right));
    let by_token = settings.token_auth && token.is_some_and(|t| signed(settings, t, unix_now).is_some());
    by_secret || by_token
}

/// Whether a handle of this plugin may be attached: a token, once given, must allow it, whatever the secret.
pub(crate) fn may_attach(settings: &Settings, token: Option<&str>, package: &str, unix_now: u64) -> bool {
    match token {
        Some(token) if settings.token_auth => {
            signed(settings, token, unix_now).is_some_and(|t| t.allows(package))
        }
        _ => true,
    }
}

fn signed<'a>(settings: &Settings, token: &'a str, unix_now: u64) -> Option<SignedToken<'a>> {
    let secret = settings.token_auth_secret.as_deref()?;
    SignedToken::verify(token, secret, REALM, unix_now)
}
