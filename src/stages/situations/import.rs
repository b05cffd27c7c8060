//! Mode `file`: situations that somebody else made, imported without a call.
//!
//! A line needs `id`, `personas[{name, description, persona}]`, `relations`, `situation`, `topic` and
//! `conversation_starter`; relations may be sentences or objects, other keys may be missing. A line that does not fit is
//! set aside with its number; it never stops the import.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::{STAGE, draft};
use crate::config::Shard;
use crate::exit::ExitCode;
use crate::prompt::draft::{Draft, DraftRelation};
use crate::record::{Dropped, Fate, Outcome, Participant, Relation, Situation};
use crate::stages::Progress;
use crate::stages::dedup::{self, Deduplicator, Shingling};
use crate::stages::error::StageError;
use crate::stages::imported::{self, InputLine, SourceError};
use crate::stages::writer::{Fates, StageResult};

/// What an import depends on.
#[derive(Debug)]
pub(super) struct Import<'a> {
    /// The file.
    pub source: &'a Path,
    /// Language of situations that name none.
    pub language: &'a str,
    /// Split shares; people who meet stay in one split as far as one situation goes.
    pub splits: &'a BTreeMap<String, f64>,
    /// Similarity from which two situations are duplicates; `None`: they stay.
    pub dedup: Option<f64>,
    /// The run's seed.
    pub seed: u64,
    /// Whose lines are taken, of a run in parts.
    pub shard: Option<Shard>,
    /// How many are wanted at most.
    pub count: u64,
}

impl Import<'_> {
    /// Whether a line is this part's, where the run has parts.
    fn holds(&self, line: InputLine<'_>) -> bool {
        self.shard.is_none_or(|shard| shard.holds(self.seed, &String::from_utf8_lossy(line.bytes())))
    }
}

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// No line was a situation.
    #[error("{path} has no situation that can be used ({rejected} lines rejected; the first, {first})", path = path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// Lines that did not fit.
        rejected: u64,
        /// The first of them.
        first: String,
    },
}

impl ImportError {
    /// The exit code: 3, input data, unless the disk is to blame.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Source(error) => error.exit_code(),
            Self::Nothing { .. } => ExitCode::Input,
        }
    }
}

/// The keys of a line beyond those of a draft.
#[derive(Deserialize)]
struct Row {
    id: Option<Value>,
    language: Option<String>,
    split: Option<String>,
    attributes: Option<String>,
    labels: Option<Value>,
    personas: Vec<RowPerson>,
}

#[derive(Deserialize)]
struct RowPerson {
    id: Option<String>,
}

/// Reads the file and removes duplicates, the earlier one staying.
///
/// # Errors
/// If nothing in it is a situation, or something cannot be read or written.
pub(super) fn import(
    import: &Import<'_>,
    progress: &Progress,
    fates: &mut dyn Fates<Situation>,
) -> Result<StageResult, StageError> {
    progress.start(STAGE, if import.count == u64::MAX { 0 } else { import.count });
    let shingling = Shingling::for_situations(import.language);
    let text = dedup::situation_text;
    let dedup = import.dedup.map(|threshold| Deduplicator::new(threshold, shingling, &fates.folder(), text));
    let mut scan = Scan { import, progress, fates, dedup, ids: HashSet::new(), inputs: 0, first: None, failed: Ok(()) };
    let digest =
        imported::read(import.source, "situations.source", progress, &mut |number, line| scan.row(number, line))
            .map_err(ImportError::from)?;
    let Scan { inputs, first, failed, fates, .. } = scan;
    failed?;
    if fates.tally().accepted == 0 {
        let first = first.unwrap_or_else(|| match import.shard {
            Some(Shard { index, count }) => format!("no line of it is part {index} of {count}'s; make fewer parts"),
            None => "the file is empty".to_owned(),
        });
        let (path, rejected) = (import.source.to_owned(), fates.tally().rejected);
        return Err(ImportError::Nothing { path, rejected, first }.into());
    }
    Ok(StageResult { inputs, notes: json!({"input": digest}), source: Some(digest.sha256), ..StageResult::default() })
}

/// One pass over the file.
struct Scan<'a> {
    import: &'a Import<'a>,
    progress: &'a Progress,
    fates: &'a mut dyn Fates<Situation>,
    dedup: Option<Deduplicator<Situation>>,
    /// Hashes of the ids so far.
    ids: HashSet<u128>,
    inputs: u64,
    /// The first line that was rejected, and why.
    first: Option<String>,
    /// The first error of those who take the fates; nothing is done after it.
    failed: Result<(), StageError>,
}

impl Scan<'_> {
    /// Takes a line, unless there are enough; what is behind them is only hashed.
    fn row(&mut self, number: u64, line: InputLine<'_>) {
        if line.is_blank() || self.failed.is_err() || self.fates.tally().accepted >= self.import.count {
            return;
        }
        if !self.import.holds(line) {
            return;
        }
        self.inputs += 1;
        self.failed = self.take(number, line);
        self.progress.advance(1, self.fates.tally().accepted);
    }

    fn take(&mut self, number: u64, line: InputLine<'_>) -> Result<(), StageError> {
        let parsed = text(line).and_then(|line| situation(line, number, self.import));
        let fate = match parsed.and_then(|situation| self.unless_there(situation)) {
            Err(detail) => Fate::Dropped(self.reject(number, detail)),
            Ok(situation) => match &mut self.dedup {
                Some(dedup) => dedup.judge(situation, self.fates)?,
                None => Fate::Accepted(situation),
            },
        };
        self.fates.put(fate)
    }

    fn unless_there(&mut self, situation: Situation) -> Result<Situation, String> {
        if self.ids.insert(xxh3_128(situation.id.as_bytes())) { Ok(situation) } else { Err(twice(&situation.id)) }
    }

    fn reject(&mut self, line: u64, detail: String) -> Dropped {
        let file = self.import.source.file_name().unwrap_or_default().to_string_lossy();
        let (id, reason) = (format!("{file}:{line}"), "not_a_situation".to_owned());
        self.first.get_or_insert_with(|| format!("{id}: {detail}"));
        Dropped { id, outcome: Outcome::Rejected, reason, detail }
    }
}

/// The text of a line, or why it has none.
fn text(line: InputLine<'_>) -> Result<&str, String> {
    let InputLine::Whole(bytes) = line else { return Err("the line is longer than 1 MiB".to_owned()) };
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 at byte {}", error.valid_up_to()))?;
    // Files that were put together have their marks amid them.
    Ok(text.trim_start_matches('\u{feff}'))
}

fn twice(id: &str) -> String {
    format!("the id `{id}` stands on an earlier line")
}

fn situation(line: &str, number: u64, import: &Import<'_>) -> Result<Situation, String> {
    let mut value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
    name_ends(&mut value);
    let draft = Draft::from_value(&value).map_err(|flaw| flaw.to_string())?;
    draft.check().map_err(|flaw| flaw.to_string())?;
    let row = Row::deserialize(&value).map_err(|error| error.to_string())?;
    let id = match row.id {
        Some(Value::String(id)) if !id.trim().is_empty() => id,
        Some(Value::Number(id)) => id.to_string(),
        None => format!("line-{number:08}"),
        Some(_) => return Err("id: a text is wanted".to_owned()),
    };
    let people = people(&id, &draft, row.personas);
    let relations = draft.relations.iter().map(|tie| relation(tie, &people)).collect();
    // People who appear in several situations of the file cannot be kept apart without joining half the file; the
    // smallest persona decides, so that at least equal groups stay together.
    let anchor = people.iter().map(|person| person.persona.as_str()).min().unwrap_or_default();
    let split = row.split.filter(|split| import.splits.contains_key(split));
    let mut situation = Situation {
        split: split.unwrap_or_else(|| draft::split_of(import.seed, anchor, import.splits)),
        personas: people,
        relations,
        situation: draft.situation,
        topic: draft.topic,
        conversation_starter: draft.conversation_starter,
        language: row.language.unwrap_or_else(|| import.language.to_owned()),
        attributes: row.attributes.unwrap_or_else(|| "{}".to_owned()),
        labels: labels(row.labels.as_ref())?,
        provenance: json!({"mode": "file", "line": number}).to_string(),
        hash: String::new(),
        id,
    };
    situation.hash = situation.content_hash();
    Ok(situation)
}

/// Puts names for the ids between which relations hold in records that convogen wrote: drafts know people by name.
fn name_ends(row: &mut Value) {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let people = row.get("personas").and_then(Value::as_array).into_iter().flatten();
    let names: BTreeMap<String, String> =
        people.filter_map(|person| Some((text(person, "id")?, text(person, "name")?))).collect();
    let relations = row.get_mut("relations").and_then(Value::as_array_mut).into_iter().flatten();
    for relation in relations {
        for end in ["from", "to"] {
            let name = text(relation, end).and_then(|id| names.get(&id));
            if let (Some(name), Some(place)) = (name, relation.get_mut(end)) {
                *place = Value::from(name.as_str());
            }
        }
    }
}

/// Labels as a JSON object in a text, from an object or from such a text.
fn labels(written: Option<&Value>) -> Result<String, String> {
    let object = match written {
        None | Some(Value::Null) => return Ok("{}".to_owned()),
        Some(Value::String(text)) => serde_json::from_str(text).ok(),
        Some(value) => Some(value.clone()),
    };
    let object = object.filter(Value::is_object).ok_or("labels: expected a JSON object, or one as text")?;
    Ok(object.to_string())
}

fn people(id: &str, draft: &Draft, rows: Vec<RowPerson>) -> Vec<Participant> {
    let people = draft.personas.iter().zip(rows).enumerate();
    people
        .map(|(at, (person, row))| Participant {
            id: row.id.unwrap_or_else(|| format!("{id}-p{}", at + 1)),
            name: person.name.clone(),
            description: person.description.clone(),
            persona: person.persona.clone().unwrap_or_default(),
            stance: person.stance.clone(),
            goal: person.goal.clone(),
            knowledge: person.knowledge.clone(),
        })
        .collect()
}

fn relation(tie: &DraftRelation, people: &[Participant]) -> Relation {
    let id = |name: &str| {
        let person = people.iter().find(|person| person.name == name);
        person.map(|person| person.id.clone()).unwrap_or_default()
    };
    Relation { from: id(&tie.from), to: id(&tie.to), r#type: tie.r#type.clone(), text: tie.text.clone() }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::stages::writer::CollectedFates;

    fn run(lines: &str) -> Result<CollectedFates<Situation>, StageError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.as_bytes()).unwrap();
        let splits = BTreeMap::from([("train".to_owned(), 1.0)]);
        let settings = Import {
            source: file.path(),
            language: "en",
            splits: &splits,
            dedup: Some(0.7),
            seed: 1,
            shard: None,
            count: 100,
        };
        let mut fates = CollectedFates::default();
        import(&settings, &Progress::default(), &mut fates)?;
        Ok(fates)
    }

    fn row(id: &str, what: &str) -> String {
        format!(
            r#"{{"id":"{id}","personas":[{{"name":"Ann","description":"d","persona":"p"}},{{"name":"Bob","description":"d","persona":"q"}}],"relations":["Ann is Bob's aunt"],"situation":"{what}","topic":"t","conversation_starter":"Well?"}}"#
        )
    }

    #[test]
    fn minimal_records_are_completed() {
        let made = run(&(row("a", "They wait for the last ferry, which is late.") + "\n\n")).unwrap();
        let situation = &made.accepted[0];
        assert_eq!(
            (situation.id.as_str(), situation.split.as_str(), situation.language.as_str()),
            ("a", "train", "en")
        );
        assert_eq!((situation.relations[0].from.as_str(), situation.relations[0].to.as_str()), ("a-p1", "a-p2"));
    }

    #[test]
    fn labels_stay_whatever_their_form() {
        let labelled = |labels: &str| row("a", "They wait.").replacen('{', &format!("{{\"labels\": {labels}, "), 1);
        for labels in [r#"{"b": 1, "a": "x"}"#, r#""{\"b\": 1, \"a\": \"x\"}""#] {
            assert_eq!(run(&labelled(labels)).unwrap().accepted[0].labels, r#"{"b":1,"a":"x"}"#);
        }
        assert_eq!(run(&labelled("null")).unwrap().accepted[0].labels, "{}");
        let error = run(&labelled("\"cook\"")).unwrap_err().to_string();
        assert!(error.contains("labels: expected a JSON object"), "{error}");
    }

    #[test]
    fn every_line_ends_in_one_outcome() {
        let long = format!("{{\"id\":\"{}\"}}", "x".repeat(2 << 20));
        let lines = [
            row("a", "They wait for the last ferry, which is late again tonight."),
            row("a", "The same id with another text that shares nothing at all."),
            row("b", "They wait for the last ferry, which is late again tonight."),
            "{\"id\": \"c\"}".to_owned(),
            "[1, 2]".to_owned(),
            "not json".to_owned(),
            long,
            row("d", "A burst pipe floods the cellar of the choir's rehearsal room."),
        ];
        let made = run(&lines.join("\n")).unwrap();
        let tally = made.tally();
        assert_eq!((tally.accepted, tally.duplicate, tally.rejected), (2, 1, 5));
        assert!(made.dropped[0].id.ends_with(":2") && made.dropped[0].detail.contains("`a`"), "{:?}", made.dropped);
        assert!(made.dropped.iter().any(|d| d.detail.contains("1 MiB")));
    }

    #[test]
    fn a_file_without_situations_says_so() {
        let error = run("{}\n").unwrap_err().to_string();
        assert!(error.contains("no situation that can be used") && error.contains(":1"), "{error}");
    }
}
