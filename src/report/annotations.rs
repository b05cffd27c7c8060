//! What the JSON columns of records say: gates and repair, the safety screen, the judge.
//!
//! They are read tolerantly, by key: a run of another version has fewer or more of them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::distribution::Mean;

/// Texts longer than this, in characters, are prose, such as a judge's quotation, and not counted.
const LABEL: usize = 40;
/// Most different texts that are counted for one key.
const LABELS: usize = 50;

/// What a column of JSON objects says, key by key.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    records: u64,
    means: BTreeMap<String, Mean>,
    counts: BTreeMap<String, BTreeMap<String, u64>>,
}

/// The figures of a column of JSON objects. Keys of nested objects are joined by dots; items of lists count one by one.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct AnnotationFigures {
    /// Records that say anything.
    pub records: u64,
    /// Means of numbers.
    pub means: BTreeMap<String, f64>,
    /// How often each short text, or true and false, stood under a key.
    pub counts: BTreeMap<String, BTreeMap<String, u64>>,
}

impl Annotations {
    pub(super) fn add(&mut self, json: &str) {
        if let Ok(Value::Object(object)) = serde_json::from_str(json)
            && !object.is_empty()
        {
            self.records += 1;
            self.walk(String::new(), &Value::Object(object));
        }
    }

    fn walk(&mut self, key: String, value: &Value) {
        // Words of a conversation are no labels, and a turn's number is no measure.
        if key.split('.').next_back() == Some("quote") || key == "contradiction" || key == "decisions.turn" {
            return;
        }
        match value {
            Value::Object(object) => {
                for (name, value) in object {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    self.walk(key, value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(key.clone(), item)),
            Value::Number(number) => self.means.entry(key).or_default().add(number.as_f64()),
            Value::Bool(value) => self.count(key, &value.to_string()),
            Value::String(text) if text.chars().count() <= LABEL => self.count(key, text),
            Value::String(_) | Value::Null => {}
        }
    }

    fn count(&mut self, key: String, text: &str) {
        let counts = self.counts.entry(key).or_default();
        if counts.len() < LABELS || counts.contains_key(text) {
            *counts.entry(text.to_owned()).or_default() += 1;
        }
    }

    /// `None` when no record says anything.
    pub(super) fn figures(&self) -> Option<AnnotationFigures> {
        let means = self.means.iter().filter_map(|(key, mean)| Some((key.clone(), mean.get()?)));
        (self.records > 0).then(|| AnnotationFigures {
            records: self.records,
            means: means.collect(),
            counts: self.counts.clone(),
        })
    }
}

/// What had to be repaired, from `provenance.handled`.
#[derive(Debug, Default)]
pub(super) struct GateRepairs {
    records: u64,
    turns: u64,
    asked_again: u64,
    flaws: BTreeMap<String, u64>,
    mended: BTreeMap<String, u64>,
    calls: Option<u64>,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
}

/// What the gates stopped, before repair, in accepted conversations, and what repair cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct GateFigures {
    /// Replies that were turned down, per 100 turns, by gate.
    pub flaws_per_100_turns: BTreeMap<String, f64>,
    /// Replies that code put right, per 100 turns, by what it did.
    pub mended_per_100_turns: BTreeMap<String, f64>,
    /// Replies beyond the first that turns took, per 100 turns.
    pub asked_again_per_100_turns: f64,
    /// Calls that repair took; `null` where the records do not say.
    pub repair_calls: Option<u64>,
    /// Prompt tokens of those.
    pub repair_prompt_tokens: Option<u64>,
    /// Completion tokens of those.
    pub repair_completion_tokens: Option<u64>,
}

impl GateRepairs {
    pub(super) fn add(&mut self, provenance: &str, turns: u64, asked_again: u64) {
        let provenance: Value = serde_json::from_str(provenance).unwrap_or_default();
        let Some(handled) = provenance.get("handled") else { return };
        self.records += 1;
        self.turns += turns;
        self.asked_again += asked_again;
        tally(handled.get("flaws"), &mut self.flaws);
        tally(handled.get("mended"), &mut self.mended);
        for (key, sum) in [
            ("repair_calls", &mut self.calls),
            ("repair_prompt_tokens", &mut self.prompt_tokens),
            ("repair_completion_tokens", &mut self.completion_tokens),
        ] {
            if let Some(number) = handled.get(key).and_then(Value::as_u64) {
                *sum.get_or_insert(0) += number;
            }
        }
    }

    /// `None` when no record tells what was handled.
    pub(super) fn figures(&self) -> Option<GateFigures> {
        let rate = |count: u64| count as f64 * 100.0 / self.turns.max(1) as f64;
        let rates = |counts: &BTreeMap<String, u64>| -> BTreeMap<String, f64> {
            counts.iter().map(|(name, count)| (name.clone(), rate(*count))).collect()
        };
        (self.records > 0).then(|| GateFigures {
            flaws_per_100_turns: rates(&self.flaws),
            mended_per_100_turns: rates(&self.mended),
            asked_again_per_100_turns: rate(self.asked_again),
            repair_calls: self.calls,
            repair_prompt_tokens: self.prompt_tokens,
            repair_completion_tokens: self.completion_tokens,
        })
    }
}

fn tally(counts: Option<&Value>, into: &mut BTreeMap<String, u64>) {
    for (name, count) in counts.and_then(Value::as_object).into_iter().flatten() {
        *into.entry(name.clone()).or_default() += count.as_u64().unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_count_what_is_there() {
        let mut gates = GateRepairs::default();
        gates.add(r#"{"handled":{"flaws":{"echo":2},"mended":{},"selector_calls":9}}"#, 10, 2);
        gates.add(r#"{"handled":{"flaws":{"echo":1,"loop":1},"repair_calls":3,"repair_prompt_tokens":70}}"#, 10, 3);
        gates.add("{}", 1_000, 0);
        gates.add("no JSON", 1_000, 0);
        let figures = gates.figures().unwrap();
        assert_eq!(figures.flaws_per_100_turns, [("echo".to_owned(), 15.0), ("loop".to_owned(), 5.0)].into());
        assert!((figures.asked_again_per_100_turns - 25.0).abs() < 1e-9);
        assert_eq!((figures.repair_calls, figures.repair_prompt_tokens), (Some(3), Some(70)));
        assert_eq!(figures.repair_completion_tokens, None);
        assert_eq!(GateRepairs::default().figures(), None);
    }

    #[test]
    fn columns_are_walked_whatever_their_keys_but_for_quotes() {
        let mut annotations = Annotations::default();
        annotations.add(r#"{"decisions":[{"category":"email","turn":3},{"category":"phone","turn":5}],"clean":false}"#);
        annotations.add(
            r#"{"decisions":[],"clean":true,"scores":{"topic":{"score":4,"quote":"No."}},"contradiction":"Yes."}"#,
        );
        annotations.add("{}");
        let figures = annotations.figures().unwrap();
        assert_eq!(figures.records, 2);
        assert_eq!(figures.means, [("scores.topic.score".to_owned(), 4.0)].into());
        assert_eq!(figures.counts["decisions.category"], [("email".to_owned(), 1), ("phone".to_owned(), 1)].into());
        assert_eq!(figures.counts["clean"].len(), 2);
        let keys: Vec<&str> = figures.counts.keys().map(String::as_str).collect();
        assert_eq!(keys, ["clean", "decisions.category"]);
        assert_eq!(Annotations::default().figures(), None);
    }
}
