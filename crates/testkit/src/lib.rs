//! Test equipment: a whole gateway in virtual time.
//!
//! [`World`] runs a core with its plugins against a media engine that consists of values only ([`media::Engine`]) and a
//! network that delays everything by chance, keeping order only where a real one does. [`browser`] writes the offers and
//! answers that a browser would. What comes out depends on the seed and on nothing else.
//!
//! Equipment notes what it finds wrong in lists of faults and goes on; the test decides.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod browser;
pub mod media;
mod random;
mod world;

pub use random::Random;
pub use world::{Asked, Delivery, World};
