//! Janus and Admin JSON: requests, replies, events, ids, error codes, JSEP
