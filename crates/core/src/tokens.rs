//! Tokens that operators store through the Admin API: in memory only, gone with the process, as in Janus.

use crate::settings::limits;
use std::collections::HashMap;

/// Each token with the plugins it may attach to.
///
/// A map keyed by hashes with a secret key: how long a lookup takes says nothing about how much of a guessed token is
/// right. Its order is never used.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    stored: HashMap<String, Vec<&'static str>>,
}

/// There is no place for another token.
pub(crate) struct Full;

impl Tokens {
    pub(crate) fn contains(&self, token: &str) -> bool {
        self.stored.contains_key(token)
    }

    /// The plugins a token may attach to, in the order in which they were allowed; `None` if it is not stored.
    pub(crate) fn allowed(&self, token: &str) -> Option<&[&'static str]> {
        self.stored.get(token).map(Vec::as_slice)
    }

    /// Stores a token, unless it is stored already, and allows it further plugins.
    pub(crate) fn allow(&mut self, token: &str, plugins: &[&'static str]) -> Result<&[&'static str], Full> {
        if !self.stored.contains_key(token) && self.stored.len() >= limits::TOKENS {
            return Err(Full);
        }
        let allowed = self.stored.entry(token.to_owned()).or_default();
        for plugin in plugins {
            if !allowed.contains(plugin) {
                allowed.push(plugin);
            }
        }
        Ok(allowed)
    }

    /// Takes plugins from a token that is stored.
    pub(crate) fn disallow(&mut self, token: &str, plugins: &[&'static str]) -> &[&'static str] {
        let Some(allowed) = self.stored.get_mut(token) else { return &[] };
        allowed.retain(|plugin| !plugins.contains(plugin));
        allowed
    }

    /// `false` if it was not stored.
    pub(crate) fn remove(&mut self, token: &str) -> bool {
        self.stored.remove(token).is_some()
    }

    /// All tokens that may attach to anything, sorted.
    pub(crate) fn list(&self) -> Vec<(&str, &[&'static str])> {
        let useful = self.stored.iter().filter(|(_, plugins)| !plugins.is_empty());
        let mut list: Vec<_> = useful.map(|(token, plugins)| (token.as_str(), plugins.as_slice())).collect();
        list.sort_unstable();
        list
    }
}
