use std::cell::RefCell;
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::*;
use crate::exit::ExitCode;
use crate::record::arrow::TableRow;
use crate::record::parquet::Reader;
use crate::record::{Fate, Participant, Relation, Speaker, Turn};
use crate::stages::sealed::Sealed;
use crate::stages::writer::{Fates, StageResult, StageWriter};
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

#[test]
fn rows_add_up_in_every_form() {
    let sample = Sample::new(10);
    let (Compiled { manifest, .. }, files) = compiled(&sample);
    assert_eq!(manifest.rows["conversations"], BTreeMap::from([("test".to_owned(), 2), ("train".to_owned(), 8)]));
    let rows = |start: &str, end: &str| -> u64 {
        let entries = manifest.files.iter().filter(|e| e.path.starts_with(start) && e.path.ends_with(end));
        entries.filter_map(|entry| entry.rows).sum()
    };
    for (home, table, expected) in [("data/", "conversations", 10), ("personas/", "personas", 20)] {
        assert_eq!(rows(home, ".parquet"), expected);
        assert_eq!(rows(&format!("jsonl/{table}-"), ".jsonl"), expected);
    }
    let lines = &files["jsonl/conversations-train.jsonl"];
    let first: Conversation = serde_json::from_slice(lines.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(first, sample.conversations[0]);
}

#[test]
fn clean_splits_leak_nothing_and_dirty_ones_are_told() {
    let mut sample = Sample::new(10);
    let clean = compiled(&sample).0.manifest.leakage;
    assert_eq!(clean, Leakage { compared: clean.compared, ..Leakage::default() });
    // Someone from the training split turns up in the test split, and a situation is told twice.
    sample.situations[4].personas[0] = sample.situations[0].personas[0].clone();
    sample.situations[9].situation = sample.situations[0].situation.clone();
    sample.situations[9].topic = sample.situations[0].topic.clone();
    sample.situations[9].conversation_starter = sample.situations[0].conversation_starter.to_uppercase();
    let expected = Leakage { persona_ids: 1, persona_texts: 1, situations: 2, ..Leakage::default() };
    assert_eq!(compiled(&sample).0.manifest.leakage, expected);
}

#[test]
fn what_was_compared_when_it_was_made_is_not_compared_again_and_the_card_says_so() {
    let mut sample = Sample::new(10);
    sample.situations[4].personas[0] = sample.situations[0].personas[0].clone();
    sample.situations[9].situation = sample.situations[0].situation.clone();
    let folder = tempfile::tempdir().unwrap();
    let input = Input { compared: Compared::WhenMade, ..sample.input(folder.path()) };
    let made = compile(&folder.path().join("dataset"), &input, &|_| {}).unwrap();
    let expected = Leakage { persona_ids: 1, persona_texts: 1, compared: Compared::WhenMade, ..Leakage::default() };
    assert_eq!(made.manifest.leakage, expected);
    let card = fs::read_to_string(&folder.path().join("dataset/README.md")).unwrap();
    assert!(card.contains("compared over all splits when duplicates were removed"), "{card}");
    // A manifest of before that was said had counted them.
    let old = r#"{"persona_ids":0,"persona_texts":0,"situations":1,"conversations":0}"#;
    assert_eq!(serde_json::from_str::<Leakage>(old).unwrap().compared, Compared::WhenCompiled);
}

#[test]
fn a_table_without_rows_is_left_out() {
    let mut sample = Sample::new(3);
    sample.conversations.clear();
    sample.personas.clear();
    let (Compiled { manifest, .. }, files) = compiled(&sample);
    assert_eq!(manifest.rows.keys().collect::<Vec<_>>(), ["situations"]);
    let card = String::from_utf8(files["README.md"].clone()).unwrap();
    assert!(card.contains("config_name: situations\n  default: true"), "{card}");
    assert!(!card.contains("config_name: conversations") && !card.contains("split: test"), "{card}");
}

#[test]
fn people_who_occur_in_no_situation_are_left_out_unless_all_are_asked_for() {
    let mut sample = Sample::new(10);
    // Before, among and behind those who occur.
    sample.personas.extend([20, 21, 22].map(persona));
    sample.situations.remove(3);
    sample.situations[7].personas[1] = sample.situations[7].personas[0].clone();
    sample.outcomes.clear();
    let used: Vec<String> = (0..20).filter(|at| ![6, 7, 17].contains(at)).map(|at| format!("p{at:06}")).collect();
    for limits in [Limits::default(), Limits { sort: 50, ..Limits::default() }] {
        let folder = tempfile::tempdir().unwrap();
        let mut input = sample.input(folder.path());
        input.cast_in = Some(input.situations.clone());
        // Whether the situations themselves are in the dataset makes no difference.
        input.situations = RecordSource::default();
        let told = Cell::new(0);
        let made =
            compile_within(limits, &folder.path().join("dataset"), &input, &|_| told.set(told.get() + 1)).unwrap();
        let files = contents(&folder.path().join("dataset"));
        let mut found = [ids(&files, "jsonl/personas-train.jsonl"), ids(&files, "jsonl/personas-test.jsonl")].concat();
        found.sort();
        assert_eq!(found, used);
        assert_eq!(made.manifest.rows["personas"].values().sum::<u64>(), 17);
        assert_eq!(told.get(), 23 + 10, "rows that are left out are told of too");
        let card = String::from_utf8_lossy(&files["README.md"]).into_owned();
        assert!(card.contains("People who occur in no situation are left out"), "{card}");
    }
    let all = compiled(&sample);
    assert_eq!(all.0.manifest.rows["personas"].values().sum::<u64>(), 23);
    assert!(!String::from_utf8_lossy(&all.1["README.md"]).contains("occur in no situation"));
}

#[test]
fn nobody_used_is_a_table_that_is_left_out() {
    let (sample, folder) = (Sample::new(3), tempfile::tempdir().unwrap());
    let input = Input { cast_in: Some(RecordSource::default()), ..sample.input(folder.path()) };
    let made = compile(&folder.path().join("dataset"), &input, &|_| {}).unwrap();
    assert_eq!(made.manifest.rows.keys().collect::<Vec<_>>(), ["conversations", "situations"]);
}

#[test]
fn a_split_without_rows_has_its_files_and_their_columns() {
    let (sample, folder) = (Sample::new(3), tempfile::tempdir().unwrap());
    let splits = ["test", "train"].map(str::to_owned);
    let input = Input { splits: &splits, ..sample.input(folder.path()) };
    let made = compile(&folder.path().join("dataset"), &input, &|_| {}).unwrap();
    assert_eq!(made.manifest.rows["situations"], BTreeMap::from([("test".to_owned(), 0), ("train".to_owned(), 3)]));
    let root = folder.path().join("dataset");
    assert_eq!(fs::read(&root.join("jsonl/situations-test.jsonl")).unwrap(), b"");
    // The `datasets` library refuses a table of which it is told that a split is empty.
    assert!(!fs::read_to_string(&root.join("README.md")).unwrap().contains("situations/test-*"));
    let path = |split: &str| root.join(format!("situations/{split}-00000-of-00001.parquet"));
    let rows = |split| {
        Reader::<Situation>::open(fs::open(&path(split)).unwrap())
            .unwrap()
            .map(|rows| rows.unwrap().len())
            .sum::<usize>()
    };
    assert_eq!((rows("test"), rows("train")), (0, 3));
}

#[test]
fn what_cannot_be_compiled_is_named() {
    let failure = |change: fn(&mut Sample)| {
        let mut sample = Sample::new(3);
        change(&mut sample);
        compiled_within(Limits::default(), &sample).unwrap_err().to_string()
    };
    insta::assert_snapshot!(failure(|s| s.conversations[1].split = "../../etc".to_owned()), @r#"conversations: record c-s-0000-0001-00-0 has the split "../../etc"; a split is named with 1 to 64 of the characters A-Z, a-z, 0-9 and _"#);
    insta::assert_snapshot!(failure(|s| s.conversations[1].id = s.conversations[0].id.clone()), @"conversations: two records have the id c-s-0000-0000-00-0; give the records of each source ids of their own");
    insta::assert_snapshot!(failure(|s| _ = s.situations.pop()), @"situations: 3 records were accepted but 2 are there; verify the run before compiling it");
    insta::assert_snapshot!(failure(|s| *s = Sample::new(0)), @"there is no record to compile; a dataset needs at least one");
}

#[test]
fn a_folder_in_use_is_not_written_over() {
    let (folder, records) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let sample = Sample::new(3);
    let input = sample.input(records.path());
    compile(folder.path(), &input, &|_| {}).unwrap();
    let before = contents(folder.path());
    assert!(matches!(compile(folder.path(), &input, &|_| {}), Err(CompileError::Fs(_))));
    assert_eq!(contents(folder.path()), before);
}

#[test]
fn the_card_says_when_duplicates_were_left_in() {
    let mut sample = Sample::new(5);
    sample.dedup.enabled = false;
    let card = String::from_utf8(compiled(&sample).1["README.md"].clone()).unwrap();
    assert!(card.contains("Duplicates were not removed.") && !card.contains("MinHash"), "{card}");
}

#[test]
fn the_card_in_full() {
    let mut sample = Sample::new(5);
    let (_, files) = compiled(&sample);
    insta::assert_snapshot!("card", String::from_utf8(files["README.md"].clone()).unwrap());

    sample.models[0].tier = "demo".to_owned();
    sample.card.license = Some("cc-by-4.0".to_owned());
    sample.card.name = Some("yes: a\nname".to_owned());
    sample.card.date = Some("2026-01-31".to_owned());
    sample.situations.iter_mut().for_each(|situation| situation.language = "no".to_owned());
    let card = String::from_utf8(compiled(&sample).1["README.md"].clone()).unwrap();
    let shown = |text: &str| assert!(card.contains(text), "no {text:?} in {card}");
    for text in [
        "license: cc-by-4.0",
        "Demo tier",
        "# yes: a name\n",
        "Date: 2026-01-31.",
        "pretty_name: \"yes: a name\"",
        "- \"no\"\n",
    ] {
        shown(text);
    }
    assert!(!card.contains("No license"));
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

/// The ids of a table in the order of its lines.
fn ids(files: &BTreeMap<String, Vec<u8>>, path: &str) -> Vec<String> {
    let lines = files[path].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn rows_are_sorted_by_id_whatever_they_come_in_and_however_little_is_held() {
    let mut sample = Sample::new(60);
    let (expected, files) = compiled(&sample);
    let sorted = ids(&files, "jsonl/situations-train.jsonl");
    assert!(sorted.len() == 48 && sorted.is_sorted(), "{sorted:?}");
    // From the last to the first, and in no order at all; some thousands of bytes, and none, sorted in memory.
    sample.situations.reverse();
    sample.conversations.sort_by_key(|row| blake3::hash(row.id.as_bytes()).to_hex().to_string());
    for limits in [
        Limits::default(),
        Limits { sort: 5_000, people: 10, ..Limits::default() },
        Limits { sort: 0, people: 1, ..Limits::default() },
    ] {
        let (made, found) = compiled_within(limits, &sample).unwrap();
        assert_eq!(made, expected);
        assert!(found == files, "other bytes with {limits:?}");
    }
    // Copies are found wherever they stand.
    let copy = sample.conversations[50].clone();
    let id = copy.id.clone();
    sample.conversations.insert(3, copy);
    sample.outcomes.clear();
    let error = compiled_within(Limits { sort: 5_000, ..Limits::default() }, &sample).unwrap_err();
    assert_eq!(
        (error.exit_code(), error.to_string().contains(&format!("the id {id};"))),
        (ExitCode::Input, true),
        "{error}"
    );
}

#[test]
fn a_file_ends_with_the_row_group_that_fills_it_and_is_named_when_all_are_known() {
    let mut sample = Sample::new(0);
    // Two groups of 2,048 rows and a rest in the training split, all others in the test split.
    sample.personas = (0..6_000).map(|at| Persona { id: format!("p{at:06}"), ..persona(at) }).collect();
    sample.outcomes.clear();
    let (whole, files) = compiled(&sample);
    assert_eq!(
        whole.manifest.rows["personas"],
        BTreeMap::from([("train".to_owned(), 4_800), ("test".to_owned(), 1_200)])
    );
    let names = |made: &Compiled| {
        let entries = made.manifest.files.iter().filter(|entry| entry.path.starts_with("personas/"));
        entries.map(|entry| (entry.path.clone(), entry.rows.unwrap())).collect::<Vec<_>>()
    };
    let expected = |rows: &[(&str, u64)]| {
        rows.iter().map(|(name, rows)| (format!("personas/{name}.parquet"), *rows)).collect::<Vec<_>>()
    };
    assert_eq!(names(&whole), expected(&[("test-00000-of-00001", 1_200), ("train-00000-of-00001", 4_800)]));
    let (parts, cut) =
        compiled_within(Limits { cut: Cut { file: 1_000, ..Cut::default() }, ..Limits::default() }, &sample).unwrap();
    let three = [
        ("test-00000-of-00001", 1_200),
        ("train-00000-of-00003", 2_048),
        ("train-00001-of-00003", 2_048),
        ("train-00002-of-00003", 704),
    ];
    assert_eq!(names(&parts), expected(&three));
    // Nothing else is there, and the rows are the same in the same order.
    assert_eq!(cut.keys().filter(|path| path.starts_with("personas/")).count(), 4);
    assert_eq!(files["jsonl/personas-train.jsonl"], cut["jsonl/personas-train.jsonl"]);
}

#[test]
fn every_row_is_told_once() {
    let (sample, folder) = (Sample::new(10), tempfile::tempdir().unwrap());
    let told = RefCell::new(Vec::new());
    compile(&folder.path().join("dataset"), &sample.input(folder.path()), &|rows| told.borrow_mut().push(rows))
        .unwrap();
    assert_eq!(told.into_inner(), (1..=40).collect::<Vec<_>>());
}

/// A stage with these accepted records.
fn sealed<R: TableRow + Clone + std::fmt::Debug + Send>(folder: &Path, rows: &[R]) -> Sealed<R> {
    let mut writer = StageWriter::create("stage", folder).unwrap();
    for row in rows {
        writer.put(Fate::Accepted(row.clone())).unwrap();
    }
    writer.seal(StageResult { inputs: rows.len() as u64, ..StageResult::default() }, String::new(), None).unwrap()
}

#[test]
fn sealed_stages_give_what_their_records_give_and_a_stage_without_records_gives_no_table() {
    let (mut sample, root) = (Sample::new(12), tempfile::tempdir().unwrap());
    sample.personas.clear();
    sample.outcomes.retain(|outcome| outcome.stage != "personas");
    let stages = root.path().join("stages");
    let input = Input {
        personas: RecordSource::sealed(sealed(&stages.join("1"), &sample.personas).stage()).unwrap(),
        situations: RecordSource::sealed(sealed(&stages.join("2"), &sample.situations).stage()).unwrap(),
        conversations: RecordSource::sealed(sealed(&stages.join("3"), &sample.conversations).stage()).unwrap(),
        ..sample.input(root.path())
    };
    let made = compile(&root.path().join("dataset"), &input, &|_| {}).unwrap();
    assert_eq!((made, contents(&root.path().join("dataset"))), compiled(&sample));
}

#[test]
fn a_sealed_part_that_changed_since_it_was_opened_is_damage_and_named() {
    let (sample, root) = (Sample::new(12), tempfile::tempdir().unwrap());
    let folder = root.path().join("2-situations");
    let stage = sealed(&folder, &sample.situations);
    let input = Input { situations: RecordSource::sealed(stage.stage()).unwrap(), ..sample.input(root.path()) };
    let part = folder.join("part-00000.jsonl");
    let sound = fs::read(&part).unwrap();
    let lines: Vec<&[u8]> = sound.split_inclusive(|byte| *byte == b'\n').collect();
    let altered = String::from_utf8(sound.clone()).unwrap().replacen("winter", "summer", 1).into_bytes();
    let mut cases = vec![lines[..11].concat(), sound[..sound.len() - 30].to_vec(), Vec::new(), altered];
    // Out of order, so that the lines pass through the sorting.
    cases.push([&lines[1..6], &lines[..1]].concat().concat());
    for (at, damaged) in cases.into_iter().enumerate() {
        fs::write_atomic(&part, &damaged).unwrap();
        let error = compile(&root.path().join(format!("dataset-{at}")), &input, &|_| {}).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Damage, "{error}");
        assert!(error.to_string().contains("2-situations/part-00000.jsonl"), "{error}");
        assert!(at == 1 || error.to_string().contains("is damaged: "), "{error}");
    }
}

#[test]
fn a_line_that_is_no_record_is_named_wherever_it_is_sorted_to() {
    let (sample, root) = (Sample::new(6), tempfile::tempdir().unwrap());
    for order in [[0, 1, 2], [2, 1, 0]] {
        let mut rows = JsonlWriter::create(root.path(), "odd.jsonl").unwrap();
        for at in order {
            let mut row = serde_json::to_value(&sample.situations[at]).unwrap();
            if at == 1 {
                row["topic"] = serde_json::json!(3);
            }
            rows.push(&row).unwrap();
        }
        let file = LinesFile::new(root.path(), rows.finish().unwrap());
        let input = Input { situations: RecordSource::spooled(vec![file]), outcomes: &[], ..sample.input(root.path()) };
        let folder = root.path().join(format!("dataset-{}", order[0]));
        let error = compile(&folder, &input, &|_| {}).unwrap_err().to_string();
        assert!(error.contains("odd.jsonl, line 2: invalid type: integer `3`"), "{error}");
    }
}
