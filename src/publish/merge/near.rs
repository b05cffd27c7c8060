//! What the texts of earlier runs are like: the one place where a merge asks the near-duplicate index.

use serde::de::DeserializeOwned;

use crate::publish::error::PublishError;
use crate::stages::compile::Source;
use crate::stages::dedup::{Dedup, Match, Shingling};

/// Texts that are looked at, the same number of each run, to choose how long the pieces are that are compared.
const SAMPLE: usize = 1_000;

/// Texts of earlier runs.
#[derive(Debug)]
pub(super) struct Near(Dedup);

impl Near {
    /// None yet; two texts are duplicates from the similarity `threshold` on. The first texts of each run, of which `runs` are
    /// the records, decide what is compared of all: see [`Shingling`].
    pub(super) fn new<'a, R: DeserializeOwned>(
        threshold: f64,
        runs: impl ExactSizeIterator<Item = &'a Source>,
        text: fn(&R) -> String,
    ) -> Result<Self, PublishError> {
        let each = SAMPLE.div_ceil(runs.len().max(1));
        let records = runs.flat_map(|run| run.records::<R>().take(each));
        let texts = records.map(|record| record.map(|record| text(&record))).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Dedup::new(threshold, Shingling::for_corpus(texts.iter().map(String::as_str)))))
    }

    /// The text that `text` duplicates: the same, else the most similar, else none.
    pub(super) fn find(&self, text: &str) -> Option<Match> {
        self.0.check(text)
    }

    /// Adds a text.
    pub(super) fn add(&mut self, id: &str, text: &str) {
        self.0.add(id, text);
    }
}
