//! Who may do what: the API secret and tokens, signed or stored.

use crate::Settings;
use crate::tokens::Tokens;
use portunus_api::token::{SignedToken, same_secret};

/// The realm of tokens for the API itself.
const REALM: &str = "janus";

/// Whether a request with this secret and token may be served; `unix_now` in seconds. With both a secret and tokens
/// configured either is enough.
pub(crate) fn may_enter(
    settings: &Settings,
    stored: &Tokens,
    secret: Option<&str>,
    token: Option<&str>,
    unix_now: u64,
) -> bool {
    let right = settings.api_secret.as_deref();
    if right.is_none() && !settings.token_auth {
        return true;
    }
    let by_secret = right.zip(secret).is_some_and(|(right, given)| same_secret(given, right));
    let is_known = |token: &str| match settings.token_auth_secret {
        Some(_) => signed(settings, token, unix_now).is_some(),
        None => stored.contains(token),
    };
    let by_token = settings.token_auth && token.is_some_and(is_known);
    by_secret || by_token
}

/// Whether a handle of this plugin may be attached: a token, once given, must allow it, whatever the secret.
pub(crate) fn may_attach(
    settings: &Settings,
    stored: &Tokens,
    token: Option<&str>,
    package: &'static str,
    unix_now: u64,
) -> bool {
    match token {
        Some(token) if settings.token_auth => match settings.token_auth_secret {
            Some(_) => signed(settings, token, unix_now).is_some_and(|t| t.allows(package)),
            None => stored.allowed(token).is_some_and(|plugins| plugins.contains(&package)),
        },
        _ => true,
    }
}

fn signed<'a>(settings: &Settings, token: &'a str, unix_now: u64) -> Option<SignedToken<'a>> {
    let secret = settings.token_auth_secret.as_deref()?;
    SignedToken::verify(token, secret, REALM, unix_now)
}
