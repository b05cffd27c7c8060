//! What a conversation is found by: values and numbers under names that people read. The list and the filters of a page go by
//! these, and so does `show`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Conversation, Outcome};

/// Longest text that is a value to filter by, in characters: what is longer is prose.
const LONGEST_VALUE: usize = 40;

/// What a conversation is found by.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Facets {
    /// Name and value, such as `cell: tone` and `warm`. A name may have several values.
    pub values: Vec<(String, String)>,
    /// Name and number, such as `score: coherence` and 4.
    pub numbers: Vec<(String, f64)>,
}

impl Facets {
    /// Of a record that ended in `outcome`, which is a word of its own where it has not ended.
    pub(crate) fn of(talk: &Conversation, outcome: &str) -> Self {
        let mut facets = Self::of_texts(talk.turns.iter().map(|turn| turn.text.as_str()), &talk.language, outcome);
        facets.put("split", &talk.split);
        facets.put("model", &talk.model);
        facets.put("ending", &talk.stop_reason);
        facets.put("situation", &talk.situation_id);
        for (name, value) in entries(&read(&talk.attributes)) {
            facets.put(&format!("cell: {name}"), &short(value));
        }
        // The number of a seed is in provenance; it groups nothing.
        for (name, value) in entries(&read(&talk.labels)).filter(|(name, _)| *name != "seed") {
            facets.put(&format!("label: {name}"), &short(value));
        }
        let safety = read(&talk.safety);
        let decisions = safety.get("decisions").and_then(Value::as_array).into_iter().flatten();
        for flag in decisions.filter_map(|found| found.get("category")?.as_str()).collect::<BTreeSet<&str>>() {
            facets.put("flag", flag);
        }
        let provenance = read(&talk.provenance);
        for (facet, key) in [("gate", "flaws"), ("mended", "mended")] {
            for (name, _) in provenance.pointer(&format!("/handled/{key}")).into_iter().flat_map(entries) {
                facets.put(facet, name);
            }
        }
        let again: u32 = talk.turns.iter().map(|turn| turn.attempts.saturating_sub(1)).sum();
        facets.numbers.push(("turned down".to_owned(), f64::from(again)));
        for (scale, score) in read(&talk.judgement).get("scores").into_iter().flat_map(entries) {
            let score = score.get("score").and_then(Value::as_f64);
            facets.numbers.extend(score.map(|score| (format!("score: {scale}"), score)));
        }
        facets
    }

    /// Of a conversation of which no more is known than what was said, and in which language.
    pub(crate) fn of_texts<'a>(texts: impl Iterator<Item = &'a str>, language: &str, outcome: &str) -> Self {
        let (mut turns, mut words) = (0_u32, 0);
        for text in texts {
            turns += 1;
            words += text.split_whitespace().count();
        }
        let numbers = vec![("turns".to_owned(), f64::from(turns)), ("words".to_owned(), words as f64)];
        let mut facets = Self { values: Vec::new(), numbers };
        facets.put("outcome", outcome);
        facets.put("language", language);
        facets
    }

    /// Of an item that did not make it: there is nothing to count.
    pub(crate) fn of_lost(outcome: Outcome) -> Self {
        let mut facets = Self::default();
        facets.put("outcome", outcome.as_str());
        facets
    }

    fn put(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.values.push((name.to_owned(), value.to_owned()));
        }
    }

    /// The values under a name.
    pub(crate) fn values_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.values.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The number under a name.
    pub(crate) fn number_of(&self, name: &str) -> Option<f64> {
        self.numbers.iter().find(|(known, _)| known == name).map(|(_, number)| *number)
    }
}

/// A column of JSON; `null` where it is none.
fn read(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_default()
}

fn entries(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// A value to filter by; nothing for prose and for what is no single value.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() <= LONGEST_VALUE => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => String::new(),
    }
}
