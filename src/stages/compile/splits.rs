//! Splits: rows sorted into them, and what crosses from one into another.
//!
//! People are put into splits before groups are formed, so nothing should cross. That is checked here on the finished
//! records and written into the manifest and the card, because imported situations come with people of their own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{CompileError, Input};
use crate::record::arrow::Row;
use crate::record::content_hash;
use crate::stages::dedup::{Collection, Shingling, conversation_text, normalize, situation_text};

/// Longest name of a split.
const MAX_NAME: usize = 64;

/// The rows of one split, in the order of their ids.
type Split<'a, R> = (&'a str, Vec<&'a R>);

/// Rows by split and in the order of their ids; `train` first, the others by name.
pub(super) fn by_split<R: Row>(rows: &[R]) -> Result<Vec<Split<'_, R>>, CompileError> {
    let mut sorted: Vec<&R> = rows.iter().collect();
    sorted.sort_by(|a, b| a.id().cmp(b.id()));
    if let Some(id) = sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a.id() == b.id()).map(|(a, _)| a.id()) {
        return Err(CompileError::DuplicateId { table: R::NAME, id: id.to_owned() });
    }
    let mut splits: BTreeMap<(bool, &str), Vec<&R>> = BTreeMap::new();
    for row in sorted {
        let split = row.split();
        if !is_name(split) {
            let (id, split) = (row.id().to_owned(), split.to_owned());
            return Err(CompileError::SplitName { table: R::NAME, id, split });
        }
        splits.entry((split != "train", split)).or_default().push(row);
    }
    Ok(splits.into_iter().map(|((_, name), rows)| (name, rows)).collect())
}

/// Names come from records and become file names; the `datasets` library takes only these.
fn is_name(split: &str) -> bool {
    (1..=MAX_NAME).contains(&split.len()) && split.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What is found in more than one split. All zero in a dataset whose splits are clean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leakage {
    /// Ids of people who appear in more than one split.
    pub persona_ids: u64,
    /// Descriptions of people, case and punctuation aside, that appear in more than one split.
    pub persona_texts: u64,
    /// Situations with an exact or near duplicate in another split.
    pub situations: u64,
    /// Conversations with an exact or near duplicate in another split.
    pub conversations: u64,
}

impl Leakage {
    /// Whether nothing crosses.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Looks for what crosses splits, in all tables together.
pub(super) fn leakage(input: &Input<'_>) -> Leakage {
    let thresholds = input.dedup;
    let situations: Vec<_> = input.situations.iter().map(|s| (s.split.as_str(), situation_text(s))).collect();
    let conversations: Vec<_> = input.conversations.iter().map(|c| (c.split.as_str(), conversation_text(c))).collect();
    let people: Vec<Person<'_>> = people(input).collect();
    Leakage {
        persona_ids: crossing(people.iter().map(|person| (person.id.to_owned(), person.split))),
        persona_texts: crossing(
            people.iter().map(|person| (content_hash([normalize(person.text).as_str()]), person.split)),
        ),
        situations: near_crossing(&situations, thresholds.situations),
        conversations: near_crossing(&conversations, thresholds.conversations),
    }
}

/// Someone who appears in a split.
struct Person<'a> {
    id: &'a str,
    text: &'a str,
    split: &'a str,
}

fn people<'a>(input: &Input<'a>) -> impl Iterator<Item = Person<'a>> {
    let listed = input.personas.iter().map(|p| Person { id: &p.id, text: &p.persona, split: &p.split });
    let cast = input
        .situations
        .iter()
        .flat_map(|s| s.personas.iter().map(|p| Person { id: &p.id, text: &p.persona, split: &s.split }));
    let heard = input
        .conversations
        .iter()
        .flat_map(|c| c.participants.iter().map(|p| Person { id: &p.id, text: &p.persona, split: &c.split }));
    listed.chain(cast).chain(heard)
}

/// How many keys are in more than one split.
fn crossing<'a>(seen: impl Iterator<Item = (String, &'a str)>) -> u64 {
    let mut splits: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for (key, split) in seen {
        splits.entry(key).or_default().insert(split);
    }
    splits.values().filter(|splits| splits.len() > 1).count() as u64
}

/// How many texts duplicate a text of another split, a pair counted on both sides.
fn near_crossing(texts: &[(&str, String)], threshold: f64) -> u64 {
    let names: BTreeSet<&str> = texts.iter().map(|(split, _)| *split).collect();
    if names.len() < 2 {
        return 0;
    }
    let shingling = Shingling::for_sample(texts.iter().map(|(_, text)| text.as_str()));
    let mut indexes: BTreeMap<&str, Collection> =
        names.into_iter().map(|name| (name, Collection::new(threshold, shingling))).collect();
    for (split, text) in texts {
        if let Some(index) = indexes.get_mut(split) {
            index.add("", text);
        }
    }
    let elsewhere =
        |split: &str, text: &str| indexes.iter().any(|(other, index)| *other != split && index.check(text).is_some());
    texts.iter().filter(|(split, text)| elsewhere(split, text)).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_stay_names() {
        assert!(["train", "test_2", "A"].into_iter().all(is_name));
        assert!(["", "../x", "a b", "a-b", "é", "a.b", &"x".repeat(65)].into_iter().all(|name| !is_name(name)));
    }

    #[test]
    fn what_crosses_is_counted_on_both_sides() {
        let texts = |rows: &[(&'static str, &str)]| rows.iter().map(|(s, t)| (*s, (*t).to_owned())).collect::<Vec<_>>();
        let clean = [
            ("train", "one two three four five six"),
            ("train", "one two three four five six"),
            ("test", "a b c d e f"),
        ];
        assert_eq!(near_crossing(&texts(&clean), 0.7), 0);
        let crossing = [
            ("train", "one two three four five six"),
            ("test", "One two three four five six."),
            ("dev", "other words all of them here"),
        ];
        assert_eq!(near_crossing(&texts(&crossing), 0.7), 2);
        // A near duplicate of what is itself a near duplicate within its split is still seen.
        let chain = [
            ("train", "a b c d e f g h i j k l m n o p q r s t"),
            ("train", "x b c d e f g h i j k l m n o p q r s t"),
            ("test", "x b c d e f g h i j k l m n o p q r s y"),
        ];
        assert_eq!(near_crossing(&texts(&chain), 0.89), 2);
    }
}
