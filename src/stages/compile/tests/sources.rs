//! What records are read from, and what cannot be read or written.

use super::*;
use crate::exit::ExitCode;
use crate::record::Fate;
use crate::stages::sealed::Sealed;
use crate::stages::writer::{Fates, StageResult, StageWriter};

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
