//! What the page's list and filters know of every conversation, column by column.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::talk::PageTalk;

/// Longest topic in the list, in characters.
const TOPIC: usize = 90;
/// Longest text that is a label to filter by, in characters.
const LABEL: usize = 40;

/// The columns, each with an entry for every conversation.
#[derive(Debug, Default, Serialize)]
pub(super) struct PageIndex {
    pub(super) ids: Vec<String>,
    topics: Vec<String>,
    names: Vec<String>,
    /// How many conversations each chunk holds.
    pub(super) chunks: Vec<u32>,
    /// What is filtered by value.
    facets: BTreeMap<String, PageFacet>,
    /// What is sorted by and filtered by range.
    numbers: BTreeMap<String, PageNumbers>,
}

/// A column of values: each is written once.
#[derive(Debug, Default, Serialize)]
struct PageFacet {
    values: Vec<String>,
    rows: Vec<FacetRow>,
    #[serde(skip)]
    known: HashMap<String, u32>,
}

/// The values of one conversation, by their numbers: none, one or several.
#[derive(Debug, Default)]
struct FacetRow(Vec<u32>);

/// A column of numbers.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
struct PageNumbers(Vec<Option<f64>>);

impl Serialize for FacetRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [] => serializer.serialize_i8(-1),
            [one] => serializer.serialize_u32(*one),
            several => several.serialize(serializer),
        }
    }
}

impl PageFacet {
    fn put(&mut self, row: usize, value: &str) {
        let next = self.values.len();
        let number = *self.known.entry(value.to_owned()).or_insert_with(|| u32::try_from(next).unwrap_or(u32::MAX));
        if number as usize == next {
            self.values.push(value.to_owned());
        }
        self.rows.resize_with(row + 1, FacetRow::default);
        self.rows.last_mut().into_iter().for_each(|last| last.0.push(number));
    }
}

impl PageIndex {
    /// Adds a conversation.
    pub(super) fn add(&mut self, talk: &PageTalk) {
        let row = self.ids.len();
        self.ids.push(talk.id.clone());
        self.topics.push(talk.topic.chars().take(TOPIC).collect());
        self.names.push(talk.names.join(", "));
        let rest = &talk.rest;
        for (facet, value) in [
            ("outcome", rest.outcome),
            ("split", &rest.split),
            ("model", &rest.model),
            ("ending", &rest.ending),
            ("language", &rest.language),
            ("situation", &rest.situation_id),
        ] {
            self.put(row, facet, value);
        }
        for (name, value) in entries(&rest.attributes) {
            self.put(row, &format!("cell: {name}"), &short(value));
        }
        for (name, value) in entries(&rest.labels).filter(|(name, _)| *name != "seed") {
            self.put(row, &format!("label: {name}"), &short(value));
        }
        let flags = rest.safety.get("decisions").and_then(Value::as_array).into_iter().flatten();
        let flags: BTreeSet<&str> = flags.filter_map(|found| found.get("category")?.as_str()).collect();
        for flag in flags {
            self.put(row, "flag", flag);
        }
        let handled = rest.provenance.get("handled");
        for (facet, key) in [("gate", "flaws"), ("mended", "mended")] {
            for (name, _) in handled.and_then(|handled| handled.get(key)).into_iter().flat_map(entries) {
                self.put(row, facet, name);
            }
        }
        self.add_numbers(row, talk);
    }

    fn add_numbers(&mut self, row: usize, talk: &PageTalk) {
        let again: u32 = talk.rest.turns.iter().map(|turn| turn.3.saturating_sub(1)).sum();
        let words: usize = talk.texts.iter().map(|text| text.split_whitespace().count()).sum();
        self.number(row, "turns", talk.texts.len() as f64);
        self.number(row, "words", words as f64);
        self.number(row, "turned down", f64::from(again));
        for (scale, score) in talk.rest.judgement.get("scores").into_iter().flat_map(entries) {
            if let Some(score) = score.get("score").and_then(Value::as_f64) {
                self.number(row, &format!("score: {scale}"), score);
            }
        }
    }

    fn put(&mut self, row: usize, facet: &str, value: &str) {
        if !value.is_empty() {
            self.facets.entry(facet.to_owned()).or_default().put(row, value);
        }
    }

    fn number(&mut self, row: usize, name: &str, value: f64) {
        let column = &mut self.numbers.entry(name.to_owned()).or_default().0;
        column.resize(row, None);
        column.push(Some(value));
    }
}

fn entries(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
    object.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// A value to filter by; nothing for prose and for what is no single value.
fn short(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().count() <= LABEL => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::page::talk::TalkRest;

    #[test]
    fn columns_have_a_place_for_every_conversation_up_to_the_last_that_has_a_value() {
        let mut index = PageIndex::default();
        for (attributes, provenance) in [
            (json!({"tone": "warm"}), json!({})),
            (json!({}), json!({"handled": {"flaws": {"echo": 2, "loop": 1}}})),
            (json!({"tone": "tense"}), json!(null)),
            (json!({"tone": "warm"}), json!({})),
        ] {
            let rest = TalkRest { outcome: "accepted", attributes, provenance, ..TalkRest::default() };
            index.add(&PageTalk { rest, ..PageTalk::default() });
        }
        let columns = serde_json::to_value(&index).unwrap();
        assert_eq!(columns["facets"]["cell: tone"], json!({"values": ["warm", "tense"], "rows": [0, -1, 1, 0]}));
        assert_eq!(columns["facets"]["gate"], json!({"values": ["echo", "loop"], "rows": [-1, [0, 1]]}));
        assert_eq!(columns["numbers"]["turns"], json!([0.0, 0.0, 0.0, 0.0]));
    }
}
