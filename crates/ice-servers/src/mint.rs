//! Credentials that a TURN server checks without having heard of them: the TURN REST API's, as coturn (`use-auth-secret`)
//! and STUNner (`ephemeral`) know them.

use crate::Hidden;
use portunus_api::token::signature_of;

/// A user name with its password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `expiry:user` where it was minted.
    pub username: String,
    /// Its password.
    pub password: Hidden,
}

/// Credentials of `user` until `expiry`, seconds since 1970.
pub fn mint(secret: &Hidden, user: &str, expiry: u64) -> Credentials {
    let username = format!("{expiry}:{user}");
    let password = signature_of(&username, secret.expose()).unwrap_or_default().into();
    Credentials { username, password }
}

/// The seconds left of a user name that begins with its expiry; `None` if it begins with none.
pub(crate) fn seconds_left(username: &str, unix_now: u64) -> Option<u64> {
    let (expiry, _) = username.split_once(':')?;
    // A shorter number is part of somebody's name.
    let expiry: u64 = expiry.parse().ok().filter(|_| expiry.len() >= 10)?;
    Some(expiry.saturating_sub(unix_now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_hmac_of_the_user_name() {
        // openssl: printf '1700003600:portunus' | openssl dgst -sha1 -hmac north -binary | base64
        let minted = mint(&"north".into(), "portunus", 1_700_003_600);
        assert_eq!(minted.username, "1700003600:portunus");
        assert_eq!(minted.password.expose(), "4k4RM2vYO9oMzaD/ja43IE+vy+Y=");
        assert!(!format!("{minted:?}").contains("4k4RM2vYO9oMzaD/ja43IE+vy+Y="));
    }

    #[test]
    fn a_minted_name_says_how_long_it_is_valid() {
        for (name, left) in [
            ("1700003600:portunus", Some(3600)),
            ("1600000000:portunus", Some(0)),
            ("user-1", None),
            ("7:seven", None),
            ("1700003600", None),
        ] {
            assert_eq!(seconds_left(name, 1_700_000_000), left, "{name}");
        }
    }
}
