//! Ids of sessions and handles: random integers below 2^53 (safe for JavaScript), never 0.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u64);

        impl $name {
            /// The largest id that JavaScript holds exactly.
            pub const MAX: u64 = (1 << 53) - 1;

            /// An id as a client wrote it; any number but 0 can name one.
            pub const fn new(id: u64) -> Option<Self> {
                if id == 0 { None } else { Some(Self(id)) }
            }

            /// Turns 64 random bits into an id: below 2^53 and never 0.
            pub const fn from_random(bits: u64) -> Self {
                let id = bits & Self::MAX;
                Self(if id == 0 { 1 } else { id })
            }

            /// The number on the wire.
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$name> for serde_json::Value {
            fn from(id: $name) -> Self {
                Self::from(id.0)
            }
        }
    };
}

id! {
    /// A session of the Janus API.
    SessionId
}
id! {
    /// A handle: one client's attachment to one plugin.
    HandleId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_are_safe_for_javascript_and_never_zero() {
        assert_eq!(SessionId::from_random(0).get(), 1);
        assert_eq!(SessionId::from_random(1 << 53).get(), 1);
        assert_eq!(HandleId::from_random(u64::MAX).get(), (1 << 53) - 1);
    }

    #[test]
    fn zero_names_nothing() {
        assert_eq!(SessionId::new(0), None);
    }
}
