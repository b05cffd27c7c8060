//! What naming sees in a description, for measuring it.

use super::lists::Gender;
use super::{carried, cues};

pub(in crate::stages::situations) struct SeenNames {
    /// Whether the person is female.
    pub(in crate::stages::situations) gender: Option<bool>,
    pub(in crate::stages::situations) region: Option<&'static str>,
    pub(in crate::stages::situations) carried: Option<String>,
}

pub(in crate::stages::situations) fn seen(text: &str) -> SeenNames {
    let cues = cues::of_text(text);
    SeenNames {
        gender: cues.gender.map(|gender| gender == Gender::Female),
        region: cues.region.map(|region| region.name),
        carried: carried::of_text(text),
    }
}
