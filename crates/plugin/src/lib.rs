//! The plugin contract: what a plugin is told and what it may ask for
