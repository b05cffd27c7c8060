mod card;
mod sources;
mod tables;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::record::arrow::TableRow;
use crate::record::{Participant, Relation, Speaker, Turn};
use crate::store::fs::faults;
use crate::store::lines::LinesFile;
use crate::store::part::JsonlWriter;

/// A dataset small enough to read.
struct Sample {
    personas: Vec<Persona>,
    situations: Vec<Situation>,
    conversations: Vec<Conversation>,
    card: config::Card,
    dedup: config::Dedup,
    models: Vec<ModelUse>,
    prompts: Vec<PromptUse>,
    outcomes: Vec<StageOutcomes>,
}

impl Sample {
    fn new(size: usize) -> Self {
        let situations: Vec<Situation> = (0..size).map(situation).collect();
        let outcomes = |stage: &str, accepted: usize| StageOutcomes {
            stage: stage.to_owned(),
            counts: Tally { accepted: accepted as u64, duplicate: 2, ..Tally::default() },
        };
        Self {
            personas: (0..2 * size).map(persona).collect(),
            conversations: situations.iter().map(conversation).collect(),
            situations,
            card: config::Card::default(),
            dedup: config::Dedup::default(),
            models: vec![ModelUse {
                role: "speaker".to_owned(),
                model: "demo | `model`".to_owned(),
                tier: "endpoint".to_owned(),
            }],
            prompts: vec![PromptUse {
                role: "speaker".to_owned(),
                name: "speaker.md".to_owned(),
                hash: "0123456789abcdef".to_owned(),
            }],
            outcomes: vec![
                outcomes("personas", 2 * size),
                outcomes("situations", size),
                outcomes("conversations", size),
            ],
        }
    }

    /// As compiling takes it, the records in files in `folder`.
    fn input(&self, folder: &Path) -> Input<'_> {
        Input {
            exports: &[],
            personas: spooled(folder, &self.personas),
            cast_in: None,
            splits: &[],
            situations: spooled(folder, &self.situations),
            conversations: spooled(folder, &self.conversations),
            compared: Compared::WhenCompiled,
            config: "version: 1\nseed: 17\n",
            card: &self.card,
            dedup: &self.dedup,
            models: &self.models,
            prompts: &self.prompts,
            outcomes: &self.outcomes,
        }
    }
}

fn spooled<R: TableRow>(folder: &Path, rows: &[R]) -> RecordSource {
    let mut writer = JsonlWriter::create(folder, R::NAME).unwrap();
    for row in rows {
        writer.push(row).unwrap();
    }
    RecordSource::spooled(vec![LinesFile::new(folder, writer.finish().unwrap())])
}

fn split(at: usize) -> String {
    if at % 5 == 4 { "test".to_owned() } else { "train".to_owned() }
}

fn persona(at: usize) -> Persona {
    Persona {
        id: format!("p{at:06}"),
        persona: format!("A gardener who grows {at} kinds of naïve roses"),
        name: None,
        domain: at.is_multiple_of(2).then(|| "gardening".to_owned()),
        split: split(at / 2),
        source: format!("personas.jsonl:{}", at + 1),
        hash: format!("{at:032x}"),
    }
}

fn situation(at: usize) -> Situation {
    let participant = |person: usize| Participant {
        id: format!("p{person:06}"),
        name: ["Ann", "Bo"][person % 2].to_owned(),
        description: format!("Grows {person} kinds of roses."),
        persona: persona(person).persona,
        stance: at.is_multiple_of(2).then(|| "against".to_owned()),
        goal: None,
        knowledge: None,
    };
    let relation = Relation {
        from: format!("p{:06}", 2 * at),
        to: format!("p{:06}", 2 * at + 1),
        r#type: "neighbour".to_owned(),
        text: "They share \"a fence\".".to_owned(),
    };
    Situation {
        id: format!("s-0000-{at:04}-00"),
        split: split(at),
        personas: vec![participant(2 * at), participant(2 * at + 1)],
        relations: if at.is_multiple_of(3) { Vec::new() } else { vec![relation] },
        situation: format!("Over fence number {at}, two gardeners argue about hedge {at} and the winter of {at}."),
        topic: format!("hedge {at}"),
        conversation_starter: format!("So, who will cut hedge {at}?"),
        language: "en".to_owned(),
        attributes: "{}".to_owned(),
        labels: "{}".to_owned(),
        provenance: r#"{"round":0}"#.to_owned(),
        hash: format!("{at:032x}"),
    }
}

fn conversation(situation: &Situation) -> Conversation {
    let speakers: Vec<Speaker> = situation
        .personas
        .iter()
        .map(|p| Speaker {
            id: p.id.clone(),
            name: p.name.clone(),
            description: p.description.clone(),
            persona: p.persona.clone(),
        })
        .collect();
    let turn = |index: usize| Turn {
        index: u32::try_from(index).unwrap(),
        speaker_id: speakers[index % 2].id.clone(),
        speaker: speakers[index % 2].name.clone(),
        addressee_id: (index > 0).then(|| speakers[(index + 1) % 2].id.clone()),
        text: format!("I say {} about {} — line\nbreak, «quote» 今日は", situation.id, situation.topic),
        selected_by: "order".to_owned(),
        attempts: 1,
    };
    Conversation {
        id: format!("c-{}-0", situation.id),
        situation_id: situation.id.clone(),
        split: situation.split.clone(),
        situation: situation.situation.clone(),
        topic: situation.topic.clone(),
        conversation_starter: situation.conversation_starter.clone(),
        language: situation.language.clone(),
        relations: situation.relations.clone(),
        turns: (0..4).map(turn).collect(),
        participants: speakers,
        stop_reason: "max_turns".to_owned(),
        model: "demo".to_owned(),
        tier: "endpoint".to_owned(),
        prompt_tokens: 1_000,
        cached_prompt_tokens: 0,
        completion_tokens: 80,
        attributes: situation.attributes.clone(),
        labels: situation.labels.clone(),
        safety: "{}".to_owned(),
        judgement: "{}".to_owned(),
        provenance: "{}".to_owned(),
        hash: situation.hash.clone(),
    }
}

/// Every file of a folder with its content, by path.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(relative, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn compiled(sample: &Sample) -> (Compiled, BTreeMap<String, Vec<u8>>) {
    compiled_within(Limits::default(), sample).unwrap()
}

fn compiled_within(limits: Limits, sample: &Sample) -> Result<(Compiled, BTreeMap<String, Vec<u8>>), CompileError> {
    let root = faults::scratch();
    let folder = root.path().join("dataset");
    let compiled = compile_within(limits, &folder, &sample.input(root.path()), &|_| {})?;
    Ok((compiled, contents(&folder)))
}

#[test]
fn the_same_input_gives_the_same_folder() {
    let mut sample = Sample::new(10);
    let (first, files) = compiled(&sample);
    // Rows stand in the order of their ids, whatever order they come in.
    sample.conversations.reverse();
    sample.personas.rotate_left(3);
    assert_eq!(compiled(&sample), (first, files));
}

#[test]
fn the_manifest_lists_every_file_as_it_is() {
    let (Compiled { manifest, manifest_sha256 }, mut files) = compiled(&Sample::new(10));
    let written = files.remove("manifest.json").unwrap();
    assert_eq!(serde_json::from_slice::<DatasetManifest>(&written).unwrap(), manifest);
    assert_eq!(format!("{:x}", Sha256::digest(&written)), manifest_sha256);
    let listed: Vec<&str> = manifest.files.iter().map(|entry| entry.path.as_str()).collect();
    assert_eq!(listed, files.keys().collect::<Vec<_>>());
    for entry in &manifest.files {
        let bytes = &files[&entry.path];
        assert_eq!(entry.bytes, bytes.len() as u64, "{}", entry.path);
        assert_eq!(entry.sha256, format!("{:x}", Sha256::digest(bytes)), "{}", entry.path);
        if entry.path.starts_with("jsonl/") {
            assert_eq!(entry.rows, Some(bytes.split(|byte| *byte == b'\n').count() as u64 - 1));
        }
    }
    insta::assert_snapshot!(listed.join("\n"), @"
    README.md
    config.yaml
    croissant.json
    data/test-00000-of-00001.parquet
    data/train-00000-of-00001.parquet
    jsonl/conversations-test.jsonl
    jsonl/conversations-train.jsonl
    jsonl/personas-test.jsonl
    jsonl/personas-train.jsonl
    jsonl/situations-test.jsonl
    jsonl/situations-train.jsonl
    personas/test-00000-of-00001.parquet
    personas/train-00000-of-00001.parquet
    situations/test-00000-of-00001.parquet
    situations/train-00000-of-00001.parquet
    ");
}

/// With `CONVOGEN_SAMPLE_DATASET` set, writes a dataset there for `tests/readers/read_dataset.py` to read.
#[test]
fn a_folder_for_other_readers() {
    let Some(folder) = std::env::var_os("CONVOGEN_SAMPLE_DATASET") else {
        return println!("CONVOGEN_SAMPLE_DATASET is not set");
    };
    let records = tempfile::tempdir().unwrap();
    compile(Path::new(&folder), &Sample::new(50).input(records.path()), &|_| {}).unwrap();
}
