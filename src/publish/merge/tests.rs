use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{EarlierRuns, Kept, MergeMemory, RecordSource, Removed, config};
use crate::draw::Draw;
use crate::record::{Conversation, Outcome, Participant, Persona, Relation, Situation, Speaker, Turn, content_hash};
use crate::stages::dedup::normalize;
use crate::store::fs::faults;
use crate::store::lines::LinesFile;
use crate::store::part::JsonlWriter;

const DEDUP: config::Dedup = config::Dedup { enabled: true, situations: 0.7, conversations: 0.8 };

/// What one run made.
#[derive(Debug, Clone, Default, PartialEq)]
struct Batch {
    mark: String,
    personas: Vec<Persona>,
    situations: Vec<Situation>,
    conversations: Vec<Conversation>,
}

/// What came of several, with what was left out.
#[derive(Debug, PartialEq)]
struct Merged {
    personas: Vec<Persona>,
    situations: Vec<Situation>,
    conversations: Vec<Conversation>,
    removed: Vec<Removed>,
}

/// As merged with everything in memory, and with everything on disk, which must be the same.
fn merge(batches: &[Batch], dedup: Option<&config::Dedup>) -> Merged {
    let merged = merge_within(MergeMemory::default(), batches, dedup);
    assert_eq!(merged, merge_within(MergeMemory { keys: 2, index: 0 }, batches, dedup));
    merged
}

fn merge_within(memory: MergeMemory, batches: &[Batch], dedup: Option<&config::Dedup>) -> Merged {
    let folder = faults::scratch();
    let batches: Vec<super::Batch> = batches
        .iter()
        .enumerate()
        .map(|(at, batch)| super::Batch {
            mark: batch.mark.clone(),
            personas: spooled(folder.path(), &format!("p{at}"), &batch.personas),
            situations: spooled(folder.path(), &format!("s{at}"), &batch.situations),
            conversations: spooled(folder.path(), &format!("c{at}"), &batch.conversations),
        })
        .collect();
    let mut removed = Vec::new();
    let merged = super::merge_within(memory, &batches, dedup, &folder.path().join("merged"), &mut |row| {
        removed.push(row.clone());
        Ok(())
    });
    let merged = merged.unwrap();
    Merged {
        personas: read(&merged.personas),
        situations: read(&merged.situations),
        conversations: read(&merged.conversations),
        removed,
    }
}

fn spooled<R: Serialize>(folder: &Path, name: &str, rows: &[R]) -> RecordSource {
    RecordSource::spooled(vec![written(folder, name, rows)])
}

fn written<R: Serialize>(folder: &Path, name: &str, rows: &[R]) -> LinesFile {
    let mut writer = JsonlWriter::create(folder, name).unwrap();
    for row in rows {
        writer.push(row).unwrap();
    }
    LinesFile::new(folder, writer.finish().unwrap())
}

fn read<R: DeserializeOwned>(source: &RecordSource) -> Vec<R> {
    source.records().collect::<Result<_, _>>().unwrap()
}

/// A text of words nobody else uses.
fn prose(seed: u64, what: &str) -> String {
    let mut draw = Draw::new(seed, &[what]);
    (0..30).map(|_| format!("{what}{}", draw.below(10_000))).collect::<Vec<_>>().join(" ")
}

fn persona(id: usize, text: &str, split: &str) -> Persona {
    Persona {
        id: format!("p{id:03}"),
        persona: text.to_owned(),
        name: None,
        domain: None,
        split: split.to_owned(),
        source: "people.jsonl:1".to_owned(),
        hash: content_hash([text.to_lowercase().as_str()]),
    }
}

fn situation(id: usize, people: &[&Persona], text: &str) -> Situation {
    let participant = |person: &&Persona| Participant {
        id: person.id.clone(),
        name: format!("Name {}", person.id),
        description: String::new(),
        persona: person.persona.clone(),
        stance: None,
        goal: None,
        knowledge: None,
    };
    let (from, to) = (people[0].id.clone(), people[1].id.clone());
    let mut situation = Situation {
        id: format!("s-{id:03}"),
        split: people[0].split.clone(),
        personas: people.iter().map(participant).collect(),
        relations: vec![Relation { from, to, r#type: String::new(), text: "They met.".to_owned() }],
        situation: text.to_owned(),
        topic: String::new(),
        conversation_starter: String::new(),
        language: "en".to_owned(),
        attributes: "{}".to_owned(),
        provenance: r#"{"seed":1}"#.to_owned(),
        labels: "{}".to_owned(),
        hash: String::new(),
    };
    situation.hash = situation.content_hash();
    situation
}

fn conversation(situation: &Situation, text: &str) -> Conversation {
    let speaker = |person: &Participant| Speaker {
        id: person.id.clone(),
        name: person.name.clone(),
        description: String::new(),
        persona: person.persona.clone(),
    };
    let turn = Turn {
        index: 0,
        speaker_id: situation.personas[0].id.clone(),
        speaker: situation.personas[0].name.clone(),
        addressee_id: Some(situation.personas[1].id.clone()),
        text: text.to_owned(),
        selected_by: "order".to_owned(),
        attempts: 1,
    };
    let mut conversation = Conversation {
        id: format!("c-{}-0", situation.id),
        situation_id: situation.id.clone(),
        situation: situation.situation.clone(),
        topic: String::new(),
        conversation_starter: String::new(),
        language: "en".to_owned(),
        relations: situation.relations.clone(),
        participants: situation.personas.iter().map(speaker).collect(),
        turns: vec![turn],
        stop_reason: "agreed".to_owned(),
        model: "m".to_owned(),
        tier: "endpoint".to_owned(),
        prompt_tokens: 1,
        cached_prompt_tokens: 0,
        completion_tokens: 1,
        attributes: "{}".to_owned(),
        provenance: "{}".to_owned(),
        labels: "{}".to_owned(),
        safety: "{}".to_owned(),
        judgement: "{}".to_owned(),
        split: situation.split.clone(),
        hash: String::new(),
    };
    conversation.hash = conversation.content_hash();
    conversation
}

/// A run over a pool of people and texts so small that runs share some of both. Within a run a person is in one split.
fn run(mark: &str, seed: u64) -> Batch {
    let mut draw = Draw::new(seed, &["run"]);
    let texts: Vec<u64> = (0..14).collect();
    let people: Vec<Persona> = draw
        .sample(&texts, 9)
        .into_iter()
        .enumerate()
        .map(|(at, text)| persona(at, &prose(*text, "person"), ["train", "test"][usize::from(draw.below(6) == 0)]))
        .collect();
    let mut batch = Batch { mark: mark.to_owned(), personas: people.clone(), ..Batch::default() };
    for at in 0..8 {
        let split = ["train", "test"][draw.below(2)];
        let pool: Vec<&Persona> = people.iter().filter(|person| person.split == split).collect();
        if pool.len() < 2 {
            continue;
        }
        let first = draw.below(pool.len() - 1);
        // Texts differ within a run, as they do once a run has deduplicated them.
        let situation = situation(at, &pool[first..first + 2], &prose(at as u64 + 8 * draw.below(2) as u64, "scene"));
        let talk = prose(at as u64 + 8 * draw.below(3) as u64, "talk");
        batch.conversations.push(conversation(&situation, &talk));
        batch.situations.push(situation);
    }
    batch
}

fn ids<'a>(rows: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    rows.into_iter().map(String::as_str).collect()
}

fn assert_whole(merged: &Merged) {
    let people = ids(merged.personas.iter().map(|row| &row.id));
    let situations: BTreeMap<&str, &Situation> = merged.situations.iter().map(|row| (row.id.as_str(), row)).collect();
    for situation in &merged.situations {
        let cast = ids(situation.personas.iter().map(|person| &person.id));
        assert!(cast.is_subset(&people), "{situation:?}");
        let named = ids(situation.relations.iter().flat_map(|relation| [&relation.from, &relation.to]));
        assert!(named.is_subset(&cast), "{situation:?}");
        assert_eq!(situation.hash, situation.content_hash());
    }
    for talk in &merged.conversations {
        let situation = situations[talk.situation_id.as_str()];
        let cast = ids(talk.participants.iter().map(|person| &person.id));
        assert_eq!(cast, ids(situation.personas.iter().map(|person| &person.id)), "{talk:?}");
        let named = talk.turns.iter().flat_map(|turn| [&turn.speaker_id].into_iter().chain(&turn.addressee_id));
        let named = named.chain(talk.relations.iter().flat_map(|relation| [&relation.from, &relation.to]));
        assert!(ids(named).is_subset(&cast), "{talk:?}");
        assert_eq!(talk.hash, talk.content_hash());
    }
}

fn assert_clean(merged: &Merged) {
    let mut splits: BTreeMap<String, &str> = BTreeMap::new();
    let listed = merged.personas.iter().map(|person| (&person.persona, &person.split));
    let cast = merged.situations.iter().flat_map(|s| s.personas.iter().map(move |person| (&person.persona, &s.split)));
    for (text, split) in listed.chain(cast) {
        assert_eq!(splits.entry(normalize(text)).or_insert(split), split, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_record_is_there_or_left_out_with_a_reason(seeds in prop::collection::vec(any::<u64>(), 1..4), dedup: bool) {
        let runs: Vec<Batch> = seeds.iter().enumerate().map(|(at, seed)| run(&format!("r{at}"), *seed)).collect();
        let merged = merge(&runs, dedup.then_some(&DEDUP));
        let there = merged.personas.iter().map(|row| &row.id).chain(merged.situations.iter().map(|row| &row.id));
        let there = there.chain(merged.conversations.iter().map(|row| &row.id)).chain(merged.removed.iter().map(|row| &row.id));
        let mut outcomes: Vec<String> = there.cloned().collect();
        let inputs = runs.iter().flat_map(|run| {
            let rows = run.personas.iter().map(|row| &row.id).chain(run.situations.iter().map(|row| &row.id));
            rows.chain(run.conversations.iter().map(|row| &row.id)).map(|id| format!("{}-{id}", run.mark))
        });
        let mut inputs: Vec<String> = inputs.collect();
        outcomes.sort();
        inputs.sort();
        prop_assert_eq!(outcomes, inputs);
        // The first run loses nothing.
        prop_assert!(merged.removed.iter().all(|removed| !removed.id.starts_with("r0-")));
        assert_clean(&merged);
        assert_whole(&merged);
    }

    #[test]
    fn a_run_alone_comes_out_as_it_went_in(seed: u64) {
        let batch = run("", seed);
        let merged = merge(std::slice::from_ref(&batch), Some(&DEDUP));
        prop_assert!(merged.removed.is_empty());
        let Merged { personas, situations, conversations, .. } = merged;
        prop_assert_eq!(Batch { mark: String::new(), personas, situations, conversations }, batch);
    }

    #[test]
    fn a_copy_adds_nothing(seed: u64) {
        let (first, copy) = (run("a", seed), run("b", seed));
        let merged = merge(&[first.clone(), copy.clone()], Some(&DEDUP));
        let lost = copy.personas.len() + copy.situations.len() + copy.conversations.len();
        prop_assert_eq!(merged.removed.len(), lost);
        prop_assert!(merged.removed.iter().all(|removed| removed.outcome == Outcome::Duplicate && removed.id.starts_with("b-")));
    }
}

/// Two runs over the same two people. What they make of them differs.
fn pair(other_scene: &str, other_talk: &str) -> Merged {
    let people = [persona(0, "A baker who sings", "train"), persona(1, "A nurse who rows", "train")];
    let batch = |mark: &str, scene: &str, talk: &str| {
        let situation = situation(0, &[&people[0], &people[1]], scene);
        Batch {
            mark: mark.to_owned(),
            personas: people.to_vec(),
            conversations: vec![conversation(&situation, talk)],
            situations: vec![situation],
        }
    };
    merge(&[batch("a", &prose(1, "scene"), &prose(1, "talk")), batch("b", other_scene, other_talk)], Some(&DEDUP))
}

#[test]
fn two_talks_about_one_situation_both_stay_and_share_it() {
    let merged = pair(&prose(1, "scene"), &prose(2, "talk"));
    assert_eq!(merged.situations.len(), 1);
    assert_eq!(merged.conversations.len(), 2);
    assert_eq!(merged.conversations[1].situation_id, "a-s-000");
    assert_whole(&merged);
}

#[test]
fn a_situation_in_which_something_else_is_kept_secret_is_not_the_same() {
    let people = [persona(0, "A baker who sings", "train"), persona(1, "A nurse who rows", "train")];
    let batch = |number: u64, goal: Option<&str>| {
        let mut situation = situation(0, &[&people[0], &people[1]], &prose(1, "scene"));
        situation.personas[1].goal = goal.map(str::to_owned);
        let conversations = vec![conversation(&situation, &prose(number, "talk"))];
        Batch { mark: format!("r{number}"), personas: people.to_vec(), conversations, situations: vec![situation] }
    };
    let talks = |one, other| merge(&[batch(1, one), batch(2, other)], Some(&DEDUP)).conversations.len();
    let goal = Some("to be asked");
    assert_eq!(talks(goal, goal), 2);
    assert_eq!(talks(None, goal), 1, "what it says would be joined with what another situation keeps secret");
}

#[test]
fn a_talk_about_a_near_copy_goes_with_it() {
    let near = prose(1, "scene").replacen("scene", "other", 1);
    let merged = pair(&near, &prose(2, "talk"));
    let reasons: Vec<(&str, &str)> = merged
        .removed
        .iter()
        .map(|removed| (removed.table, removed.reason))
        .filter(|(table, _)| *table != "personas")
        .collect();
    assert_eq!(reasons, [("situations", "duplicate"), ("conversations", "situation_removed")]);
    assert_eq!(merged.removed.last().unwrap().outcome, Outcome::Rejected);
}

#[test]
fn someone_known_keeps_their_first_id() {
    let merged = pair(&prose(2, "scene"), &prose(2, "talk"));
    assert_eq!(merged.personas.len(), 2);
    assert_eq!(merged.situations[1].id, "b-s-000");
    assert_eq!(merged.situations[1].personas[0].id, "a-p000");
    assert_eq!(merged.conversations[1].turns[0].speaker_id, "a-p000");
    let provenance: serde_json::Value = serde_json::from_str(&merged.situations[1].provenance).unwrap();
    assert_eq!(provenance, serde_json::json!({"seed": 1, "run": "b"}));
}

#[test]
fn nobody_stands_in_two_splits_and_who_would_takes_their_talks_along() {
    let batch = |mark: &str, split: &str, text: &str| {
        let people = [persona(0, text, split), persona(1, &format!("Another of {mark}"), split)];
        let situation = situation(0, &[&people[0], &people[1]], &prose(7, mark));
        Batch {
            mark: mark.to_owned(),
            conversations: vec![conversation(&situation, &prose(8, mark))],
            situations: vec![situation],
            personas: people.to_vec(),
        }
    };
    // The same text but for case and punctuation, also where duplicates are to stay.
    for dedup in [Some(&DEDUP), None] {
        let merged =
            merge(&[batch("a", "train", "A baker, who sings"), batch("b", "test", "a baker who sings.")], dedup);
        let removed: Vec<(&str, &str)> = merged.removed.iter().map(|row| (row.id.as_str(), row.reason)).collect();
        let expected =
            [("b-p000", "crosses_splits"), ("b-s-000", "crosses_splits"), ("b-c-s-000-0", "situation_removed")];
        assert_eq!(removed, expected);
        assert_clean(&merged);
    }
}

#[test]
fn what_is_held_of_earlier_runs_does_not_grow_with_them() {
    let memory = MergeMemory { keys: 100, index: 50_000 };
    let held = |count: usize| {
        let folder = faults::scratch();
        let prose = |at: usize, what| prose(at as u64, what);
        let people: Vec<Persona> = (0..=count).map(|at| persona(at, &prose(at, "person"), "train")).collect();
        let situations: Vec<Situation> =
            (0..count).map(|at| situation(at, &[&people[at], &people[at + 1]], &prose(at, "scene"))).collect();
        let talks: Vec<Conversation> =
            situations.iter().enumerate().map(|(at, situation)| conversation(situation, &prose(at, "talk"))).collect();
        let kept = Kept {
            mark: String::new(),
            personas: written(folder.path(), "personas", &people),
            situations: written(folder.path(), "situations", &situations),
            conversations: written(folder.path(), "conversations", &talks),
        };
        let mut earlier = EarlierRuns::new(memory, &[], Some(&DEDUP), folder.path()).unwrap();
        earlier.learn(&kept).unwrap();
        assert!(
            earlier.person(&people[count]).unwrap().is_some()
                && earlier.same_situation(&situations[0]).unwrap().is_some()
        );
        earlier.heap()
    };
    // In memory ten times as many would take a megabyte more.
    let (few, many) = (held(400), held(4_000));
    assert!(many < few + 2 * memory.index + 50_000, "{few} {many}");
}
