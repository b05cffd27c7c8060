//! Seeds: an intent, a source dialogue or a summary that a situation is conditioned on, to augment a dataset there is.
//!
//! A JSON Lines file, a seed a line: `{id?, intent?, dialogue?, summary?, labels?}`. Every call for situations gets one.
//! Seeds are dealt like cards: all of them in a drawn order, and only then all of them again in another, so that none is
//! used twice before every one was used once. What a seed says of itself becomes the labels of what is made from it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::STAGE;
use crate::draw::Draw;
use crate::exit::ExitCode;
use crate::prompt::draft::Draft;
use crate::prompt::template::Template;
use crate::record::misread;
use crate::stages::dedup::{self, Shingling};

/// Largest seeds file, in bytes: it is held in memory and copied into the run directory.
pub(crate) const MAX_BYTES: u64 = 64 << 20;
/// Longest intent, in characters.
const MAX_INTENT: usize = 300;
/// Longest summary, in characters.
const MAX_SUMMARY: usize = 2_000;
/// Longest dialogue, in characters: with two examples it leaves room in a context of 16,000 tokens.
const MAX_DIALOGUE: usize = 20_000;
/// Longest id, in characters.
const MAX_ID: usize = 100;
/// Largest labels, in bytes of JSON.
const MAX_LABELS: usize = 4_000;
/// Faulty rows that are listed.
const LISTED: usize = 20;
/// Share of a text's n-grams that may stand in its source. Chance and set phrases bring a few in a hundred.
const MOST_SHARED: f64 = 0.3;
/// Labels that are set here, which a row cannot give.
const RESERVED: [&str; 2] = ["seed", "intent"];

/// What a situation is conditioned on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Seed {
    /// The row's own id, else `line-N`.
    pub id: String,
    /// What the conversation has to be about.
    pub intent: Option<String>,
    /// A conversation of whose kind a new one is wanted, a line a turn.
    pub dialogue: Option<String>,
    /// What happens in that conversation.
    pub summary: Option<String>,
    /// What else is known of it; travels with everything made from it.
    pub labels: Map<String, Value>,
}

/// Why a seeds file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SeedsError {
    /// Rows that are no seeds.
    #[error("{path} cannot be used: {faults}{faults:#}", path = path.display())]
    Rows {
        /// The file.
        path: PathBuf,
        /// What is wrong, row by row.
        faults: Faults,
    },
    /// Not a single row.
    #[error("{path} holds no seed; write one a line, such as {{\"intent\": \"ask for a refund\"}}", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Larger than [`MAX_BYTES`].
    #[error("{path} is larger than {} MiB; split it and make a run of each part", MAX_BYTES >> 20, path = path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Not UTF-8.
    #[error("{path}:{line}: not UTF-8 text", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A prompt that leaves the seeds out.
    #[error(
        "{prompt}: nothing in it uses `{variable}`, so seeds with one would have no effect; add it to the section `user`"
    )]
    Unused {
        /// The prompt.
        prompt: String,
        /// `intent`, `dialogue` or `summary`.
        variable: &'static str,
    },
}

impl SeedsError {
    /// The exit code of the contract: the prompt is configuration, the rest input.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Unused { .. } => ExitCode::Usage,
            _ => ExitCode::Input,
        }
    }
}

/// Faulty rows, each with its line; plain: how many, in alternate form: the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    file: String,
    rows: Vec<(usize, String)>,
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !f.alternate() {
            let s = if self.rows.len() == 1 { "" } else { "s" };
            return write!(f, "{} faulty row{s}", self.rows.len());
        }
        for (line, fault) in self.rows.iter().take(LISTED) {
            write!(f, "\n  {}:{line}: {fault}", self.file)?;
        }
        Ok(())
    }
}

/// A row as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: Option<Value>,
    intent: Option<String>,
    dialogue: Option<Value>,
    summary: Option<String>,
    #[serde(default)]
    labels: Map<String, Value>,
}

/// Reads the text of a seeds file; `path` is named in errors.
pub(crate) fn parse(path: &Path, text: &str) -> Result<Vec<Seed>, SeedsError> {
    let mut seeds: Vec<Seed> = Vec::new();
    let (mut ids, mut faults) = (BTreeSet::new(), Vec::new());
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    for (at, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
        match seed(line, at + 1) {
            Ok(seed) if ids.insert(seed.id.clone()) => seeds.push(seed),
            Ok(seed) => faults.push((at + 1, format!("the id `{}` stands on an earlier line", seed.id))),
            Err(fault) => faults.push((at + 1, fault)),
        }
    }
    if !faults.is_empty() {
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(SeedsError::Rows { path: path.to_owned(), faults: Faults { file, rows: faults } });
    }
    if seeds.is_empty() {
        return Err(SeedsError::Empty { path: path.to_owned() });
    }
    Ok(seeds)
}

fn seed(line: &str, number: usize) -> Result<Seed, String> {
    let row: Row = serde_json::from_str(line).map_err(|error| misread(line.as_bytes(), &error.to_string()))?;
    let id = match row.id {
        None => format!("line-{number}"),
        Some(Value::String(id)) if !id.trim().is_empty() => id,
        Some(Value::Number(id)) => id.to_string(),
        Some(_) => return Err("id: expected a text or a number".to_owned()),
    };
    let dialogue = row.dialogue.map(|dialogue| lines_of(&dialogue)).transpose()?;
    let seed = Seed {
        id,
        intent: row.intent.map(|text| on_one_line(&text)),
        dialogue,
        summary: row.summary.map(|text| on_one_line(&text)),
        labels: row.labels,
    };
    seed.check()?;
    Ok(seed)
}

/// A dialogue as lines `name: text`, from such lines or from `{speaker, text}` objects.
fn lines_of(dialogue: &Value) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Said {
        speaker: String,
        text: String,
    }
    if let Some(text) = dialogue.as_str() {
        let lines: Vec<String> = text.lines().map(on_one_line).filter(|line| !line.is_empty()).collect();
        return Ok(lines.join("\n"));
    }
    let turns: Vec<Said> = Vec::deserialize(dialogue)
        .map_err(|error| format!("dialogue: expected a text or a list of {{speaker, text}}: {error}"))?;
    let lines = turns.iter().map(|said| format!("{}: {}", on_one_line(&said.speaker), on_one_line(&said.text)));
    Ok(lines.collect::<Vec<_>>().join("\n"))
}

/// White space as single spaces, without control characters: a seed can add words to a prompt, but no lines.
fn on_one_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

impl Seed {
    fn check(&self) -> Result<(), String> {
        let texts = [
            ("id", Some(&self.id), MAX_ID),
            ("intent", self.intent.as_ref(), MAX_INTENT),
            ("dialogue", self.dialogue.as_ref(), MAX_DIALOGUE),
            ("summary", self.summary.as_ref(), MAX_SUMMARY),
        ];
        for (key, text, most) in texts {
            let Some(length) = text.map(|text| text.chars().count()) else { continue };
            if length == 0 {
                return Err(format!("{key}: empty; leave the key out instead"));
            }
            if length > most {
                return Err(format!("{key}: {length} characters; at most {most}"));
            }
        }
        if self.intent.is_none() && self.dialogue.is_none() && self.summary.is_none() {
            return Err("nothing to go by: give an intent, a dialogue or a summary".to_owned());
        }
        if let Some(name) = RESERVED.iter().find(|name| self.labels.contains_key(**name)) {
            return Err(format!("labels.{name}: this label is set from the row's own id and intent; rename it"));
        }
        let bytes = Value::Object(self.labels.clone()).to_string().len();
        if bytes > MAX_LABELS {
            return Err(format!("labels: {bytes} bytes of JSON; at most {MAX_LABELS}"));
        }
        Ok(())
    }

    /// The labels of what is made from this seed, a JSON object as text: its id, its intent, and those it came with.
    pub(crate) fn labels(&self) -> String {
        let mut labels = Map::from_iter([("seed".to_owned(), Value::from(self.id.as_str()))]);
        labels.extend(self.intent.iter().map(|intent| ("intent".to_owned(), Value::from(intent.as_str()))));
        labels.extend(self.labels.clone());
        Value::Object(labels).to_string()
    }

    /// What is wrong with a draft that takes over the wording of its source, in words for the model.
    pub(super) fn copied(&self, draft: &Draft, language: &str) -> Option<String> {
        let source = [self.dialogue.as_deref(), self.summary.as_deref()].into_iter().flatten().collect::<Vec<_>>();
        if source.is_empty() {
            return None;
        }
        let source = source.join("\n");
        let shingling = Shingling::for_situations(language);
        let texts = [("situation", &draft.situation), ("conversation_starter", &draft.conversation_starter)];
        texts.into_iter().find_map(|(key, text)| {
            let shared = dedup::share_within(text, &source, shingling).filter(|share| *share > MOST_SHARED)?;
            let percent = (shared * 100.0).round();
            Some(format!("{key}: {percent} % of its phrases stand in the source; use other words, people and details"))
        })
    }
}

/// Refuses a prompt that would leave out what seeds say.
pub(crate) fn check_used(template: &Template, seeds: &[Seed]) -> Result<(), SeedsError> {
    let given = [
        ("intent", seeds.iter().any(|seed| seed.intent.is_some())),
        ("dialogue", seeds.iter().any(|seed| seed.dialogue.is_some())),
        ("summary", seeds.iter().any(|seed| seed.summary.is_some())),
    ];
    match given.into_iter().find(|(variable, given)| *given && !template.uses("user", variable)) {
        Some((variable, _)) => Err(SeedsError::Unused { prompt: template.file().to_owned(), variable }),
        None => Ok(()),
    }
}

/// Deals places in a list out, every one before any comes again.
#[derive(Debug, Default)]
pub(super) struct Dealer {
    round: u64,
    left: Vec<usize>,
}

impl Dealer {
    /// The next of `count` places; none when there are none. Ask for the same `count` and `seed` every time.
    pub(super) fn next(&mut self, count: usize, seed: u64) -> Option<usize> {
        if self.left.is_empty() {
            let places: Vec<usize> = (0..count).collect();
            let mut draw = Draw::new(seed, &[STAGE, "seeds", &self.round.to_string()]);
            self.left = draw.sample(&places, count).into_iter().copied().collect();
            self.round += 1;
        }
        self.left.pop()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Vec<Seed>, SeedsError> {
        parse(Path::new("in/seeds.jsonl"), text)
    }

    fn draft(situation: &str, starter: &str) -> Draft {
        Draft {
            personas: Vec::new(),
            relations: Vec::new(),
            situation: situation.to_owned(),
            topic: String::new(),
            conversation_starter: starter.to_owned(),
        }
    }

    #[test]
    fn rows_become_seeds_and_seeds_labels() {
        let seeds = read(
            "\u{feff}{\"intent\": \"ask\\nfor a refund\", \"labels\": {\"product\": \"kettle\", \"turns\": 4}}\n\n\
             {\"id\": 7, \"dialogue\": [{\"speaker\": \"Ann\", \"text\": \"Hi\\u001b[2J there\"}, {\"speaker\": \"Bob\", \"text\": \"No.\"}]}\n\
             {\"id\": \"c\", \"dialogue\": \"Ann: Hi.\\n\\n  Bob: No. \", \"summary\": \"They meet.\"}\n",
        )
        .unwrap();
        assert_eq!(seeds[0].labels(), r#"{"seed":"line-1","intent":"ask for a refund","product":"kettle","turns":4}"#);
        assert_eq!(seeds[1].dialogue.as_deref(), Some("Ann: Hi [2J there\nBob: No."));
        assert_eq!(seeds[1].labels(), r#"{"seed":"7"}"#);
        assert_eq!(seeds[2].dialogue.as_deref(), Some("Ann: Hi.\nBob: No."));
    }

    #[test]
    fn every_faulty_row_is_named() {
        let long = format!("{{\"intent\": \"{}\"}}", "x".repeat(301));
        let rows = [
            "{\"intent\": \"a\", \"id\": \"one\"}",
            "{\"intent\": \"b\", \"id\": \"one\"}",
            "{}",
            "[]",
            "{\"text\": \"Ann: Hi.\"}",
            "{\"intent\": \" \"}",
            "{\"dialogue\": [{\"who\": \"Ann\"}]}",
            "{\"intent\": \"a\", \"labels\": {\"seed\": 1}}",
            "not json",
            &long,
        ];
        let error = read(&rows.join("\n")).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Input);
        insta::assert_snapshot!(error.to_string(), @r#"
        in/seeds.jsonl cannot be used: 9 faulty rows
          seeds.jsonl:2: the id `one` stands on an earlier line
          seeds.jsonl:3: nothing to go by: give an intent, a dialogue or a summary
          seeds.jsonl:4: invalid length 0, expected struct Row with 5 elements at line 1 column 2
          seeds.jsonl:5: unknown field `text`, expected one of `id`, `intent`, `dialogue`, `summary`, `labels` at line 1 column 7
          seeds.jsonl:6: intent: empty; leave the key out instead
          seeds.jsonl:7: dialogue: expected a text or a list of {speaker, text}: unknown field `who`, expected `speaker` or `text`
          seeds.jsonl:8: labels.seed: this label is set from the row's own id and intent; rename it
          seeds.jsonl:9: it is no JSON; here one JSON object a line is read, as in {"id": "1", …} (JSON Lines)
          seeds.jsonl:10: intent: 301 characters; at most 300
        "#);
        let empty = read("\n \n").unwrap_err().to_string();
        assert!(empty.starts_with("in/seeds.jsonl holds no seed"), "{empty}");
    }

    #[test]
    fn what_takes_over_its_source_is_found() {
        let source = "Ann: The kettle stopped working after two days and I would like my money back, please.\\n\
                      Bob: We can send you a new one or you can have your money back today.";
        let seeds = read(&format!("{{\"dialogue\": \"{source}\"}}\n{{\"intent\": \"refund\"}}")).unwrap();
        let fresh = draft(
            "Three neighbours stand in the cellar around a washing machine that one of them has to replace.",
            "Who bought it, and where is the receipt?",
        );
        let starter = draft(&fresh.situation, "The kettle stopped working after two days, and I would like my money!");
        assert_eq!(seeds[0].copied(&fresh, "en"), None);
        assert!(seeds[0].copied(&starter, "en").unwrap().starts_with("conversation_starter: "));
        let told = draft("We can send you a new one or you can have your money back today, says Bob.", "Well?");
        assert!(seeds[0].copied(&told, "en").unwrap().starts_with("situation: "));
        assert_eq!(seeds[1].copied(&told, "en"), None, "an intent is no source");
    }

    proptest! {
        #[test]
        fn every_seed_is_dealt_before_any_comes_again(count in 1_usize..40, rounds in 1_usize..4, seed: u64) {
            let mut deal = Dealer::default();
            for _ in 0..rounds {
                let mut dealt: Vec<usize> = (0..count).filter_map(|_| deal.next(count, seed)).collect();
                dealt.sort_unstable();
                prop_assert_eq!(dealt, (0..count).collect::<Vec<_>>());
            }
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,200}") {
            let _ = read(&text);
        }
    }
}
