//! HTTP long poll, WebSockets, TLS, CORS, access lists and the demo pages
