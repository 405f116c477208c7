//! Requests about stored tokens.

use crate::machine::{Ask, Core};
use portunus_api::{AdminVerb, ApiError, ErrorCode, Kind, Object, Value, optional, reply, require};
use serde_json::json;

impl Core {
    pub(super) fn stored_tokens(&mut self, ask: &Ask, verb: AdminVerb) -> Result<(), ApiError> {
        if !self.settings.token_auth || self.settings.token_auth_secret.is_some() {
            return Err(ApiError::new(ErrorCode::Unknown, "Stored-Token based authentication disabled"));
        }
        if verb == AdminVerb::ListTokens {
            let one =
                |(token, plugins): (&str, &[&str])| json!({ "token": token, "allowed_plugins": plugins });
            let tokens: Vec<_> = self.tokens.list().into_iter().map(one).collect();
            return self.tell(ask, "data", json!({ "tokens": tokens }));
        }
        let body = &ask.request.body;
        let token = require(body, "token", Kind::String)?.as_str().unwrap_or_default();
        match verb {
            AdminVerb::AddToken => self.add_token(ask, token),
            AdminVerb::RemoveToken => {
                if !self.tokens.remove(token) {
                    return Err(ApiError::new(ErrorCode::Unknown, "Error removing token"));
                }
                self.reply(ask.key, reply::success(0, &ask.request.transaction));
                Ok(())
            }
            _ => self.change_token(ask, token, verb == AdminVerb::AllowToken),
        }
    }

    /// Plugins that are not there are passed over; without any all are allowed.
    fn add_token(&mut self, ask: &Ask, token: &str) -> Result<(), ApiError> {
        let named = optional(&ask.request.body, "plugins", Kind::Array)?.and_then(Value::as_array);
        let all = || self.plugins.iter().map(|p| p.about().package).collect::<Vec<_>>();
        let plugins = match named.filter(|named| !named.is_empty()) {
            Some(named) => named.iter().filter_map(|n| self.package_named(n)).collect(),
            None => all(),
        };
        let allowed = match self.tokens.allow(token, &plugins) {
            Ok(allowed) => json!({ "plugins": allowed }),
            Err(crate::tokens::Full) => {
                self.counters.refused_full += 1;
                return Err(ApiError::new(ErrorCode::Unknown, "Error adding token"));
            }
        };
        self.tell(ask, "data", allowed)
    }

    fn change_token(&mut self, ask: &Ask, token: &str, allow: bool) -> Result<(), ApiError> {
        let invalid =
            |what| ApiError::new(ErrorCode::InvalidElementType, format!("Invalid element type ({what})"));
        let named = optional(&ask.request.body, "plugins", Kind::Array)?.and_then(Value::as_array);
        if !self.tokens.contains(token) {
            return Err(ApiError::new(ErrorCode::TokenNotFound, format!("Token {token} not found")));
        }
        let named = named.filter(|named| !named.is_empty());
        let named = named.ok_or_else(|| invalid("plugins should be a non-empty array"))?;
        let plugins: Option<Vec<_>> = named.iter().map(|n| self.package_named(n)).collect();
        let plugins = plugins.ok_or_else(|| invalid("some of the provided plugins are invalid"))?;
        let allowed = match allow {
            true => self.tokens.allow(token, &plugins).unwrap_or_default(),
            false => self.tokens.disallow(token, &plugins),
        };
        let data = Object::from_iter([("plugins".to_owned(), json!(allowed))]);
        self.tell(ask, "data", data)
    }

    fn package_named(&self, name: &Value) -> Option<&'static str> {
        let name = name.as_str()?;
        self.plugins.iter().map(|p| p.about().package).find(|package| *package == name)
    }
}
