//! What a scenario hands over.

use crate::run::Measured;
use serde_json::{Map, Value};

#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) measured: Vec<Measured>,
    /// The measurement that the limits of the command line are held against.
    pub(crate) judged: Option<usize>,
    /// Media were to flow.
    pub(crate) media: bool,
    /// What only this scenario has.
    pub(crate) extra: Map<String, Value>,
    /// The same for people.
    pub(crate) lines: Vec<String>,
    /// Why it is not good enough.
    pub(crate) wrong: Vec<String>,
}

impl Outcome {
    /// Of one measurement of media, or of none if it was interrupted before.
    pub(crate) fn of(measured: Option<Measured>) -> Self {
        let judged = measured.is_some().then_some(0);
        let mut outcome = Self { judged, media: true, ..Self::default() };
        outcome.add(measured);
        outcome
    }

    /// Adds the only measurement; that there is none is not good enough.
    pub(crate) fn add(&mut self, measured: Option<Measured>) {
        if measured.is_none() {
            self.wrong.push("nothing was measured".to_owned());
        }
        self.measured.extend(measured);
    }
}
