//! The echo test plugin
