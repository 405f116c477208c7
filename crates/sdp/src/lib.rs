//! Session descriptions: an offer or answer into typed values, a plan into Janus-shaped text
