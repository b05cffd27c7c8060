//! Mode `file`: situations that somebody else made, imported without a call: a file with one a line, or the documents of a
//! folder or pattern, which are situations of upstream ConvoGen, lists of them, or its finished chats.
//!
//! A line needs `id`, `personas[{name, description, persona}]`, `relations`, `situation`, `topic` and
//! `conversation_starter`; relations may be sentences or objects, other keys may be missing. A line that does not fit is
//! set aside with its number; it never stops the import.

mod documents;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::connected::{HeldSituations, SplitPeople};
use super::{STAGE, draft};
use crate::config::Shard;
use crate::exit::ExitCode;
use crate::prompt::draft::{Draft, DraftRelation};
use crate::prompt::individuals;
use crate::record::{Dropped, Fate, Outcome, Participant, Relation, Situation, misread};
use crate::stages::Progress;
use crate::stages::dedup::{self, Deduplicator, Shingling};
use crate::stages::error::StageError;
use crate::stages::imported::{self, InputLine, SourceError, several};
use crate::stages::writer::{Fates, StageResult};

/// What an import depends on.
#[derive(Debug)]
pub(super) struct Import<'a> {
    /// The file.
    pub source: &'a Path,
    /// Language of situations that name none.
    pub language: &'a str,
    /// Split shares; nobody is in two splits as far as that can be had.
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
    attributes: Option<Value>,
    #[serde(default)]
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
) -> Result<(StageResult, SplitPeople), StageError> {
    progress.start(STAGE, if import.count == u64::MAX { 0 } else { import.count });
    let shingling = Shingling::for_situations(import.language);
    let text = dedup::situation_text;
    let dedup = import.dedup.map(|threshold| Deduplicator::new(threshold, shingling, &fates.folder(), text));
    let fates = HeldSituations::new(fates, import.splits, import.seed)?;
    let (ids, stated, first) = (HashSet::new(), false, None);
    let mut scan = Scan { import, progress, fates, dedup, ids, stated, inputs: 0, first, failed: Ok(()) };
    let key = "situations.source";
    let digest = if several::is_several(import.source) {
        several::read(import.source, key, progress, &mut |file, text| scan.document(file, text))
    } else {
        imported::read(import.source, key, progress, &mut |number, line| scan.row(number, line))
    };
    let digest = digest.map_err(ImportError::from)?;
    let Scan { inputs, first, failed, fates, stated, .. } = scan;
    failed?;
    if fates.tally().accepted == 0 {
        let first = first.unwrap_or_else(|| match import.shard {
            Some(Shard { index, count }) => format!("no line of it is part {index} of {count}'s; make fewer parts"),
            None => "the file is empty".to_owned(),
        });
        let (path, rejected) = (import.source.to_owned(), fates.tally().rejected);
        return Err(ImportError::Nothing { path, rejected, first }.into());
    }
    let people = fates.release(stated)?;
    let notes = json!({"input": digest, "splits": people.notes()});
    Ok((StageResult { inputs, notes, source: Some(digest.sha256), ..StageResult::default() }, people))
}

/// One pass over the file.
struct Scan<'a> {
    import: &'a Import<'a>,
    progress: &'a Progress,
    fates: HeldSituations<'a>,
    dedup: Option<Deduplicator<Situation>>,
    /// Hashes of the ids so far.
    ids: HashSet<u128>,
    /// Whether a line says in which split it is.
    stated: bool,
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

    /// Takes what one file of several holds.
    fn document(&mut self, file: &Path, text: Option<&[u8]>) {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = text.ok_or_else(|| "larger than 16 MiB".to_owned());
        let held = text.and_then(|text| documents::situations(file, text));
        for (at, value) in
            (1..).zip(held.map_or_else(|fault| vec![Err(fault)], |all| all.into_iter().map(Ok).collect()))
        {
            if self.failed.is_err() || self.fates.tally().accepted >= self.import.count {
                return;
            }
            self.inputs += 1;
            let parsed = value.and_then(|value| record(value, at, self.import));
            self.failed = self.judge(parsed, &format!("{name}:{at}"));
            self.progress.advance(1, self.fates.tally().accepted);
        }
    }

    fn take(&mut self, number: u64, line: InputLine<'_>) -> Result<(), StageError> {
        let parsed = text(line).and_then(|line| situation(line, number, self.import));
        let file = self.import.source.file_name().unwrap_or_default().to_string_lossy();
        self.judge(parsed, &format!("{file}:{number}"))
    }

    /// Puts what became of a situation, or of what is none; `place`: where it stands.
    fn judge(&mut self, parsed: Result<(Situation, bool), String>, place: &str) -> Result<(), StageError> {
        let fate = match parsed.and_then(|parsed| self.unless_there(parsed)) {
            Err(detail) => Fate::Dropped(self.reject(place, detail)),
            Ok(situation) => match &mut self.dedup {
                Some(dedup) => dedup.judge(situation, &mut self.fates)?,
                None => Fate::Accepted(situation),
            },
        };
        self.fates.put(fate)
    }

    fn unless_there(&mut self, (situation, stated): (Situation, bool)) -> Result<Situation, String> {
        self.stated |= stated;
        if self.ids.insert(xxh3_128(situation.id.as_bytes())) { Ok(situation) } else { Err(twice(&situation.id)) }
    }

    fn reject(&mut self, place: &str, detail: String) -> Dropped {
        let (id, reason) = (place.to_owned(), "not_a_situation".to_owned());
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

fn situation(line: &str, number: u64, import: &Import<'_>) -> Result<(Situation, bool), String> {
    let value = serde_json::from_str(line).map_err(|error| misread(line.as_bytes(), &error.to_string()))?;
    record(documents::of_chat(value), number, import)
}

/// The record of a situation, which is the `number`-th of its file, and whether it states its split.
fn record(mut value: Value, number: u64, import: &Import<'_>) -> Result<(Situation, bool), String> {
    name_ends(&mut value);
    let labels = labels(&value)?;
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
    // The smallest persona decides, so that equal groups stay together whatever becomes of the others (`connected`).
    let anchor = people.iter().map(|person| person.persona.as_str()).min().unwrap_or_default();
    let split = row.split.filter(|split| import.splits.contains_key(split));
    let stated = split.is_some();
    let mut situation = Situation {
        split: split.unwrap_or_else(|| draft::split_of(import.seed, anchor, import.splits)),
        personas: people,
        relations,
        situation: draft.situation,
        topic: draft.topic,
        conversation_starter: draft.conversation_starter,
        language: row.language.unwrap_or_else(|| import.language.to_owned()),
        attributes: object("attributes", row.attributes.as_ref())?.to_string(),
        labels,
        provenance: json!({"mode": "file", "line": number}).to_string(),
        hash: String::new(),
        id,
    };
    situation.hash = situation.content_hash();
    Ok((situation, stated))
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

/// A JSON object, from an object or from one as text.
fn object(key: &str, written: Option<&Value>) -> Result<Value, String> {
    let object = match written {
        None | Some(Value::Null) => return Ok(json!({})),
        Some(Value::String(text)) => serde_json::from_str(text).ok(),
        Some(value) => Some(value.clone()),
    };
    object.filter(Value::is_object).ok_or_else(|| format!("{key}: expected a JSON object, or one as text"))
}

/// Labels as a JSON object in a text; in a situation of upstream's also what its author put beside the keys that everyone has.
fn labels(row: &Value) -> Result<String, String> {
    let mut labels = object("labels", row.get("labels"))?;
    if let (Value::Object(labels), Value::Object(row), true) = (&mut labels, row, individuals::is_one(row)) {
        let own = row.iter().filter(|(key, _)| individuals::is_label(key));
        labels.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    }
    Ok(labels.to_string())
}

fn people(id: &str, draft: &Draft, rows: Vec<RowPerson>) -> Vec<Participant> {
    let rows = rows.into_iter().map(|row| row.id).chain(std::iter::repeat(None));
    let people = draft.personas.iter().zip(rows).enumerate();
    people
        .map(|(at, (person, own))| Participant {
            id: own.unwrap_or_else(|| format!("{id}-p{}", at + 1)),
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
    fn labels_and_attributes_stay_whatever_their_form() {
        let with =
            |key: &str, object: &str| row("a", "They wait.").replacen('{', &format!("{{\"{key}\": {object}, "), 1);
        let labelled = |labels: &str| with("labels", labels);
        for object in [r#"{"b": 1, "a": "x"}"#, r#""{\"b\": 1, \"a\": \"x\"}""#] {
            assert_eq!(run(&labelled(object)).unwrap().accepted[0].labels, r#"{"b":1,"a":"x"}"#);
            assert_eq!(run(&with("attributes", object)).unwrap().accepted[0].attributes, r#"{"b":1,"a":"x"}"#);
        }
        let error = run(&with("attributes", "[1]")).unwrap_err().to_string();
        assert!(error.contains("attributes: expected a JSON object"), "{error}");
        assert_eq!(run(&labelled("null")).unwrap().accepted[0].labels, "{}");
        let error = run(&labelled("\"cook\"")).unwrap_err().to_string();
        assert!(error.contains("labels: expected a JSON object"), "{error}");
    }

    /// Situations of the file `groups`, each with these people, imported with the shares 0.8 and 0.2.
    fn split(groups: &[(usize, Vec<usize>)]) -> (BTreeMap<String, Situation>, SplitPeople) {
        let person = |n: &usize| format!(r#"{{"name":"N{n}","description":"d","persona":"Person number {n}"}}"#);
        let line = |(id, people): &(usize, Vec<usize>)| {
            let [one, two, ..] = people[..] else { panic!("a group of two at least") };
            let people = people.iter().map(person).collect::<Vec<_>>().join(",");
            format!(
                r#"{{"id":"s{id}","personas":[{people}],"relations":["N{one} met N{two}"],"situation":"Number {id}","topic":"t","conversation_starter":"Well?"}}"#
            )
        };
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(groups.iter().map(line).collect::<Vec<_>>().join("\n").as_bytes()).unwrap();
        let splits = BTreeMap::from([("test".to_owned(), 0.2), ("train".to_owned(), 0.8)]);
        let settings = Import {
            shard: None,
            source: file.path(),
            language: "en",
            splits: &splits,
            dedup: None,
            seed: 1,
            count: u64::MAX,
        };
        let mut fates = CollectedFates::default();
        let (_, people) = import(&settings, &Progress::default(), &mut fates).unwrap();
        assert_eq!(fates.accepted.len(), groups.len());
        (fates.accepted.into_iter().map(|situation| (situation.id.clone(), situation)).collect(), people)
    }

    fn share_of_test(situations: &BTreeMap<String, Situation>) -> f64 {
        let test = situations.values().filter(|situation| situation.split == "test").count();
        test as f64 / situations.len() as f64
    }

    #[test]
    fn nobody_crosses_splits_where_groups_can_be_dealt_out_whatever_the_order_of_the_file() {
        // Chains of one to six situations, each sharing a person with the next.
        let mut groups = Vec::new();
        for chain in 0..60_usize {
            groups.extend((0..=chain % 6).map(|at| (10 * chain + at, vec![10 * chain + at, 10 * chain + at + 1])));
        }
        let (situations, people) = split(&groups);
        assert!(people.moved > 0 && people.crossing == 0 && people.people == 270, "{people:?}");
        assert!((share_of_test(&situations) - 0.2).abs() <= 0.05, "{}", share_of_test(&situations));
        let mut splits: BTreeMap<&str, HashSet<&str>> = BTreeMap::new();
        for situation in situations.values() {
            for person in &situation.personas {
                splits.entry(&person.persona).or_default().insert(&situation.split);
            }
        }
        assert!(splits.values().all(|splits| splits.len() == 1), "{splits:?}");
        groups.reverse();
        groups.rotate_left(17);
        let splits_of = |all: &BTreeMap<String, Situation>| -> Vec<(String, String)> {
            all.values().map(|situation| (situation.id.clone(), situation.split.clone())).collect()
        };
        assert_eq!(splits_of(&split(&groups).0), splits_of(&situations));
    }

    #[test]
    fn splits_stay_as_drawn_where_groups_are_too_large_and_where_nobody_crosses() {
        // Everyone knows one person: a single group, which no split can hold.
        let hub: Vec<_> = (0..50).map(|at| (at, vec![100 + at, 999])).collect();
        let (situations, people) = split(&hub);
        assert!(people.moved == 0 && people.crossing > 0 && people.people == 51, "{people:?}");
        assert!(people.notice().unwrap().contains(&format!("{} of 51 people", people.crossing)));
        assert!(share_of_test(&situations) > 0.0);
        let apart: Vec<_> = (0..50).map(|at| (at, vec![2 * at, 2 * at + 1])).collect();
        let (_, people) = split(&apart);
        assert_eq!(people, SplitPeople { people: 100, ..SplitPeople::default() });
        assert_eq!(people.notice(), None);
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
    fn the_example_that_ships_is_taken_whole() {
        let made = run(crate::config::assets::shipped("prompts/situations/example.jsonl")).unwrap();
        assert_eq!((made.tally().accepted, made.tally().total()), (2, 2), "{:?}", made.dropped);
    }

    #[test]
    fn a_file_without_situations_says_so() {
        let error = run("{}\n").unwrap_err().to_string();
        assert!(error.contains("no situation that can be used") && error.contains(":1"), "{error}");
    }
}
