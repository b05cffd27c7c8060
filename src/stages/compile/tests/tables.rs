//! Which rows are in which file, in which order.

use std::cell::RefCell;

use super::*;
use crate::exit::ExitCode;
use crate::record::parquet::Reader;

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
    for limits in
        [Limits::default(), Limits { sort: 5_000, ..Limits::default() }, Limits { sort: 0, ..Limits::default() }]
    {
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
    // Two groups of 8,192 rows and a rest in the training split, all others in the test split.
    sample.personas = (0..24_000).map(|at| Persona { id: format!("p{at:06}"), ..persona(at) }).collect();
    sample.outcomes.clear();
    let (whole, files) = compiled(&sample);
    assert_eq!(
        whole.manifest.rows["personas"],
        BTreeMap::from([("train".to_owned(), 19_200), ("test".to_owned(), 4_800)])
    );
    let names = |made: &Compiled| {
        let entries = made.manifest.files.iter().filter(|entry| entry.path.starts_with("personas/"));
        entries.map(|entry| (entry.path.clone(), entry.rows.unwrap())).collect::<Vec<_>>()
    };
    let expected = |rows: &[(&str, u64)]| {
        rows.iter().map(|(name, rows)| (format!("personas/{name}.parquet"), *rows)).collect::<Vec<_>>()
    };
    assert_eq!(names(&whole), expected(&[("test-00000-of-00001", 4_800), ("train-00000-of-00001", 19_200)]));
    let (parts, cut) =
        compiled_within(Limits { cut: Cut { file: 1_000, ..Cut::default() }, ..Limits::default() }, &sample).unwrap();
    let three = [
        ("test-00000-of-00001", 4_800),
        ("train-00000-of-00003", 8_192),
        ("train-00001-of-00003", 8_192),
        ("train-00002-of-00003", 2_816),
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
