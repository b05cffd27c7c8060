//! What the page's list and filters know of every conversation, column by column.

use std::collections::{BTreeMap, HashMap};

use serde::{Serialize, Serializer};

use super::talk::PageTalk;

/// Longest topic in the list, in characters.
const TOPIC: usize = 90;

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
        for (facet, value) in &talk.facets.values {
            self.facets.entry(facet.clone()).or_default().put(row, value);
        }
        for (name, value) in &talk.facets.numbers {
            let column = &mut self.numbers.entry(name.clone()).or_default().0;
            column.resize(row, None);
            column.push(Some(*value));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::Facets;

    #[test]
    fn columns_have_a_place_for_every_conversation_up_to_the_last_that_has_a_value() {
        let mut index = PageIndex::default();
        let pairs = |values: &[(&str, &str)]| {
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
        };
        for (values, numbers) in [
            (pairs(&[("cell: tone", "warm")]), vec![("turns".to_owned(), 4.0)]),
            (pairs(&[("gate", "echo"), ("gate", "loop")]), vec![("turns".to_owned(), 6.0)]),
            (pairs(&[("cell: tone", "tense")]), Vec::new()),
            (pairs(&[("cell: tone", "warm")]), vec![("turns".to_owned(), 2.0)]),
        ] {
            index.add(&PageTalk { facets: Facets { values, numbers }, ..PageTalk::default() });
        }
        let columns = serde_json::to_value(&index).unwrap();
        assert_eq!(columns["facets"]["cell: tone"], json!({"values": ["warm", "tense"], "rows": [0, -1, 1, 0]}));
        assert_eq!(columns["facets"]["gate"], json!({"values": ["echo", "loop"], "rows": [-1, [0, 1]]}));
        assert_eq!(columns["numbers"]["turns"], json!([4.0, 6.0, null, 2.0]));
    }
}
