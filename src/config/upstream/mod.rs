//! Configurations of Microsoft's ConvoGen, upstream of this program: recognised by their keys, taken as they are.
//!
//! A file in upstream's schema becomes a document in ours before anything else looks at it; every key of it remembers the
//! upstream key it came from, so that a complaint names the line that its author wrote. Paths stay relative to the working
//! directory, as they are there. What was translated, what was left out and what means less here is kept with it, for the
//! run to tell and for `config import` to write down.
//!
//! [`schema`] has the keys, [`generation`] and [`upload`] translate them, [`prompts`] reads prompt configurations, [`written`]
//! writes a translation as a file of ours.

mod generation;
pub(super) mod prompts;
mod schema;
mod upload;
pub(crate) mod written;

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::document::{Document, entry};
use super::error::{ConfigError, ConfigPlace, ConfigProblem};
use super::load::invalid;
use super::shape::typed;

/// What a file of upstream's asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpstreamKind {
    /// To make situations and conversations.
    Generation,
    /// To publish what was made.
    Upload,
}

impl UpstreamKind {
    /// What `document` is, if it is one of upstream's.
    pub(super) fn of(document: &Document) -> Option<Self> {
        let has = |key: &str| document.value.get(key).is_some();
        match () {
            () if has("version") => None,
            // One of them is enough: what is missing or misspelt is said of what was meant.
            () if has("Situation_generation") || has("Group_chat_generation") => Some(Self::Generation),
            () if has("formatting") || has("upload_to_azure") => Some(Self::Upload),
            () => None,
        }
    }

    /// Whether `key`, of a `--set` flag, is one of upstream's.
    fn owns(self, key: &str) -> bool {
        let top = key.split(['.', '=']).next().unwrap_or_default();
        match self {
            Self::Generation => schema::GENERATION.contains(&top),
            Self::Upload => schema::UPLOAD.contains(&top),
        }
    }
}

/// What became of the keys of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Translation {
    entries: Vec<TranslatedKey>,
    left_out: Vec<(String, String)>,
    less: Vec<(String, String)>,
}

/// A key of ours.
#[derive(Debug, Clone)]
struct TranslatedKey {
    /// Dotted.
    key: &'static str,
    value: Value,
    /// The keys it came from, none where upstream has none. The first is where a complaint about it points.
    from: &'static [&'static str],
    /// Why it is so.
    why: Option<&'static str>,
}

impl Translation {
    /// `key` says here what the keys `from` say there.
    fn set(&mut self, key: &'static str, value: impl Into<Value>, from: &'static [&'static str]) {
        self.entries.push(TranslatedKey { key, value: value.into(), from, why: None });
    }

    /// `key` has to be so for this program to do what upstream does unasked.
    fn fix(&mut self, key: &'static str, value: impl Into<Value>, why: &'static str) {
        self.entries.push(TranslatedKey { key, value: value.into(), from: &[], why: Some(why) });
    }

    /// `key`, if it is written in `document`, is of no use here.
    fn leave_out(&mut self, document: &Document, key: &str, why: &str) {
        if document.value.pointer(&format!("/{}", key.replace('.', "/"))).is_some() {
            self.left_out.push((key.to_owned(), why.to_owned()));
        }
    }

    /// `key` does not do all here that it does there.
    fn less(&mut self, key: &str, why: &str) {
        self.less.push((key.to_owned(), why.to_owned()));
    }

    /// What there is to tell, a line each.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut pairs: Vec<(&'static [&'static str], Vec<&str>)> = Vec::new();
        for TranslatedKey { key, from, .. } in self.entries.iter().filter(|entry| !entry.from.is_empty()) {
            match pairs.iter_mut().find(|(known, _)| known == from) {
                Some((_, keys)) => keys.push(key),
                None => pairs.push((from, vec![key])),
            }
        }
        // In full they stand in what `config import` writes.
        let last = |key: &&'static str| key.rsplit('.').next().unwrap_or_default();
        let told = |(from, keys): &(&'static [&'static str], Vec<&str>)| {
            format!("{} as {}", from.iter().map(last).collect::<Vec<_>>().join(" and "), keys.join(" and "))
        };
        let pairs: Vec<String> = pairs.iter().map(told).collect();
        let told = |what: &'static str| move |(key, why): &(String, String)| format!("  {what} {key}: {why}");
        let less = self.less.iter().map(told("other here"));
        let left_out = self.left_out.iter().map(told("left out"));
        [format!("  translated {}", pairs.join(", "))].into_iter().chain(less).chain(left_out).collect()
    }

    /// The document of ours.
    fn document(&self, from: &Document) -> Result<Document, ConfigError> {
        let (mut value, mut places) = (Value::Object(Map::new()), BTreeMap::new());
        for TranslatedKey { key, value: one, from: origin, .. } in &self.entries {
            let parts: Vec<&str> = key.split('.').collect();
            let slot =
                entry(&mut value, &parts).map_err(|message| ConfigError::Flag { flag: (*key).to_owned(), message })?;
            *slot = one.clone();
            if let Some(place) = origin.iter().find_map(|origin| from.place(origin)) {
                places.insert((*key).to_owned(), place.clone());
            }
        }
        Ok(Document::of(&from.file, value, places))
    }
}

/// A document of ours for `document` of upstream's, the flags laid over it: those that name upstream's keys before it is
/// translated, ours behind. `path`: the file.
pub(super) fn translated(
    kind: UpstreamKind,
    mut document: Document,
    path: &Path,
    sets: &[String],
) -> Result<(Document, Translation), ConfigError> {
    let (theirs, ours): (Vec<_>, Vec<_>) = sets.iter().partition(|flag| kind.owns(flag));
    theirs.into_iter().try_for_each(|flag| document.set(flag))?;
    let made = match kind {
        UpstreamKind::Generation => generation::translate(&document, path),
        UpstreamKind::Upload => upload::translate(&document),
    };
    let translation = made.map_err(|problems| invalid(document.file.clone(), problems))?;
    let mut translated = translation.document(&document)?;
    ours.into_iter().try_for_each(|flag| translated.set(flag))?;
    Ok((translated, translation))
}

/// The same problems, each under the keys that its author wrote where `translation` made ours of them.
pub(super) fn in_their_keys(translation: Option<&Translation>, problems: Vec<ConfigProblem>) -> Vec<ConfigProblem> {
    let entries = translation.map(|made| made.entries.as_slice()).unwrap_or_default();
    let named = |mut problem: ConfigProblem| {
        let is_within = |key: &str| {
            problem.key.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let written = entries.iter().find(|entry| is_within(entry.key) && !entry.from.is_empty());
        if let (Some(entry), false) = (written, matches!(problem.place, Some(ConfigPlace::Flag(_)))) {
            problem.key = format!("{} (here {})", entry.from.join(" and "), problem.key);
        }
        problem
    };
    problems.into_iter().map(named).collect()
}

/// The keys of `document` as a `T`, where what is missing has its default.
fn keys<T: DeserializeOwned + JsonSchema>(document: &Document) -> Result<T, Vec<ConfigProblem>> {
    // An empty block, which YAML reads as null, is one without keys.
    let mut filled = document.clone();
    if let Value::Object(map) = &mut filled.value {
        map.values_mut().filter(|value| value.is_null()).for_each(|value| *value = Value::Object(Map::new()));
    }
    typed(&filled)
}

/// The parts that upstream's tools read, of as many rows as is said.
fn parts(made: &mut Translation, rows: u64, key: &'static [&'static str]) {
    made.set("export", json!([{"format": "convogen", "write_partition_size": rows}]), key);
}

/// Collects what is wrong.
fn require(problems: &mut Vec<ConfigProblem>, document: &Document, holds: bool, key: &str, message: impl Into<String>) {
    if !holds {
        let place = document.place(key).cloned();
        problems.push(ConfigProblem { place, key: key.to_owned(), message: message.into() });
    }
}

#[cfg(test)]
mod tests;
