//! The journal as a run uses it: over crashes, failing disks, other processes and other people's files.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::draw::Draw;
use crate::exit::ExitCode;
use crate::store::fs::faults;
use crate::store::fs::power_loss::{PowerLossTrace, seeds};

const SMALL: Options = Options { segment_bytes: 600, free_space_floor: 0, space_check_batches: 2 };

fn open(dir: &Path) -> Result<(Journal, Recovered), JournalError> {
    Journal::open(dir, "run", SMALL, |_| ())
}

fn reply(journal: &Journal, key: &str) -> Result<(), JournalError> {
    journal.append_blocking(EntryKind::Reply, Some(key), Some("item"), &json!({"text": format!("the answer to {key}")}))
}

/// Intent and reply for `calls`, one after the other. Returns the keys that were acknowledged.
fn call(journal: &Journal, calls: std::ops::Range<u32>) -> BTreeSet<String> {
    let mut acknowledged = BTreeSet::new();
    for number in calls {
        let key = format!("key-{number:03}");
        let intent = journal.append_blocking(EntryKind::Intent, Some(&key), Some("item"), &number);
        if intent.is_ok() && reply(journal, &key).is_ok() {
            acknowledged.insert(key);
        }
    }
    acknowledged
}

fn found(journal: &Journal) -> BTreeSet<String> {
    let keys = (0..100).map(|number| format!("key-{number:03}"));
    keys.filter(|key| {
        let body: Option<Value> = journal.get_as(key).unwrap();
        body.inspect(|body| assert_eq!(body["text"], format!("the answer to {key}"))).is_some()
    })
    .collect()
}

fn spoil(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write_atomic(path, &bytes).unwrap();
}

fn error_of(dir: &Path) -> JournalError {
    open(dir).map(drop).unwrap_err()
}

#[test]
fn what_was_recorded_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, recovered) = open(folder.path()).unwrap();
    assert_eq!((recovered.entries, recovered.torn), (0, None));
    let keys = call(&journal, 0..20);
    journal.append_blocking(EntryKind::Seal, None, None, &json!({"stage": "personas"})).unwrap();
    assert!(found(&journal).is_empty(), "nobody asks again for what this process has recorded");
    journal.close().unwrap();
    let segments = segment::numbers(folder.path()).unwrap().len();
    assert!(segments > 5, "it rotates");
    fs::write_atomic(&folder.path().join(".tmp-1-00000099.jsonl"), b"begun by a process that was killed").unwrap();

    let mut seen = Vec::new();
    let (journal, recovered) =
        Journal::open(folder.path(), "run", SMALL, |entry| seen.push((entry.seq, entry.kind))).unwrap();
    assert_eq!(recovered.entries, 41);
    assert_eq!(fs::list(folder.path()).unwrap().len(), segments, "nothing unfinished stays");
    assert!(recovered.possibly_billed.is_empty() && recovered.conflicts.is_empty() && recovered.torn.is_none());
    assert!(seen.is_sorted());
    assert_eq!(seen.iter().filter(|(_, kind)| *kind == EntryKind::Reply).count(), 20);
    assert_eq!(seen.last().unwrap().1, EntryKind::Seal);
    assert_eq!(found(&journal), keys);
    assert_eq!(journal.get_as::<Value>("never asked").unwrap(), None);
}

/// Kills at every operation, and at every operation of the recovery after it.
#[test]
fn nothing_acknowledged_is_lost_at_any_crash() {
    for step in 1.. {
        let folder = faults::scratch();
        let dir = folder.path().join("journal");
        let death = faults::die_at(folder.path(), step);
        let acknowledged = open(&dir).map(|(journal, _)| call(&journal, 0..4)).unwrap_or_default();
        let survived = !death.struck();
        drop(death);
        for second in 1.. {
            let death = faults::die_at(folder.path(), second);
            let recovered = open(&dir).map(drop);
            let done = !death.struck();
            drop(death);
            if done {
                recovered.unwrap();
                break;
            }
            assert_eq!(recovered.unwrap_err().exit_code(), ExitCode::Io);
        }
        let (journal, recovered) = open(&dir).unwrap();
        let keys = found(&journal);
        assert!(keys.is_superset(&acknowledged), "step {step}: {keys:?} of {acknowledged:?}");
        assert!(recovered.possibly_billed.len() + keys.len() <= acknowledged.len() + 1);
        assert_eq!(call(&journal, 0..6).len(), 6);
        drop(journal);
        let report = verify(&dir).unwrap();
        assert!(report.damage.is_empty() && report.torn.is_none(), "step {step}: {report:?}");
        assert_eq!(report.replies, 6);
        if survived {
            assert_eq!(acknowledged.len(), 4);
            break;
        }
    }
}

/// The power fails, at a drawn moment, over and over, also while the journal recovers from the time before.
#[test]
fn nothing_acknowledged_is_lost_when_the_power_fails() {
    for seed in seeds() {
        let (folder, mut draw) = (faults::scratch(), Draw::new(seed, &["journal"]));
        let mut certain = BTreeSet::new();
        for life in 0..4_u32 {
            let dir = folder.path().join(life.to_string());
            let trace = PowerLossTrace::watch(&dir);
            let (journal, _) = open(&dir).unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
            assert!(found(&journal).is_superset(&certain), "seed {seed}, life {life}");
            let opened = (trace.len(), found(&journal));
            let mut acknowledged = vec![(0, certain.clone()), opened];
            for number in life * 8..life * 8 + 5 {
                let mut keys = acknowledged.last().unwrap().1.clone();
                keys.extend(batch(&journal, number * 3..number * 3 + 1 + number % 3));
                acknowledged.push((trace.len(), keys));
            }
            let steps = draw.between(0, trace.len());
            trace.crash(steps, &mut draw, &folder.path().join((life + 1).to_string()));
            certain = acknowledged.into_iter().rfind(|(at, _)| *at <= steps).unwrap().1;
        }
    }
}

/// Replies that are handed over at once.
fn batch(journal: &Journal, calls: std::ops::Range<u32>) -> Vec<String> {
    let keys: Vec<String> = calls.map(|number| format!("key-{number:03}")).collect();
    let body = |key: &str| json!({"text": format!("the answer to {key}")});
    let waiting: Vec<_> =
        keys.iter().map(|key| journal.append(EntryKind::Reply, Some(key), None, &body(key))).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for acknowledgement in waiting {
        runtime.block_on(acknowledgement).unwrap();
    }
    keys
}

#[test]
fn a_journal_cut_off_anywhere_goes_on() {
    let folder = faults::scratch();
    let dir = folder.path();
    call(&open(dir).unwrap().0, 0..3);
    let newest = segment::path(dir, *segment::numbers(dir).unwrap().last().unwrap());
    let whole = fs::read(&newest).unwrap();
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap();
    for end in header + 1..whole.len() {
        spoil(&newest, |bytes| *bytes = whole[..end].to_vec());
        let (journal, recovered) = open(dir).unwrap();
        let torn = recovered.torn.is_some();
        assert_eq!(torn, fs::read(&newest).unwrap().len() < end, "what is torn is gone, the rest is not, at {end}");
        call(&journal, 10..12);
        drop(journal);
        let again = open(dir).unwrap().1;
        assert_eq!((again.torn, again.entries), (None, recovered.entries + 4));
        for number in segment::numbers(dir).unwrap() {
            if segment::path(dir, number) > newest {
                fs::remove_if_there(&segment::path(dir, number)).unwrap();
            }
        }
    }
}

#[test]
fn what_survives_of_a_torn_batch_is_kept_and_renumbered() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path();
    let options = Options { segment_bytes: 1 << 20, ..SMALL };
    let body = |key: &str| json!({"text": format!("the answer to {key}")});
    let record = |key: &str| EntryText::new(EntryKind::Reply, Some(key), None, &body(key)).unwrap();
    let mut tail = segment::ActiveSegment::first(dir, "run").unwrap();
    tail.commit([record("key-000")].iter()).unwrap();
    tail.commit(["key-001", "key-002", "key-003"].map(record).iter()).unwrap();
    drop(tail);
    let bytes = fs::read(&segment::path(dir, 1)).unwrap();
    let lost = segment::lines(&bytes).nth(2).unwrap();
    let at = usize::try_from(lost.offset).unwrap();
    spoil(&segment::path(dir, 1), |bytes| bytes[at..at + lost.bytes.len()].fill(0));

    let (journal, recovered) = Journal::open(dir, "run", options, |_| ()).unwrap();
    assert_eq!(recovered.torn.map(|torn| torn.offset), Some(lost.offset));
    let expected = ["key-000", "key-002", "key-003"].map(str::to_owned);
    assert_eq!(found(&journal).into_iter().collect::<Vec<_>>(), expected);
    reply(&journal, "key-001").unwrap();
    drop(journal);
    let mut places = Vec::new();
    scan(dir, |entry| places.push((entry.seq, entry.batch, entry.key.as_deref().unwrap().to_owned()))).unwrap();
    let places: Vec<_> = places.iter().map(|(seq, batch, key)| (*seq, *batch, key.as_str())).collect();
    assert_eq!(places, [(2, 2, "key-000"), (3, 3, "key-002"), (4, 3, "key-003"), (5, 5, "key-001")]);
    assert_eq!(verify(dir).unwrap().damage, []);
}

#[test]
fn a_failure_poisons_and_nothing_is_acknowledged_after_it() {
    for (action, nth) in [("write", 4), ("sync", 4), ("create", 2), ("rename", 2)] {
        let folder = tempfile::tempdir().unwrap();
        let fault = faults::fail(folder.path(), action, nth);
        let (journal, _) = open(folder.path()).unwrap();
        let acknowledged = call(&journal, 0..30);
        assert!(fault.struck() && acknowledged.len() < 30, "{action}");
        drop(fault);
        let error = reply(&journal, "key-090").unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Io);
        assert!(error.to_string().contains(&format!("failed to {action}")), "{error}");
        assert_eq!(journal.close().unwrap_err().to_string(), error.to_string());
        let (journal, _) = open(folder.path()).unwrap();
        assert!(found(&journal).is_superset(&acknowledged), "{action}");
    }
}

#[test]
fn what_many_threads_record_is_all_there() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..16 {
            let journal = &journal;
            scope.spawn(move || call(journal, thread * 6..thread * 6 + 6));
        }
    });
    drop(journal);
    let (journal, _) = open(folder.path()).unwrap();
    assert_eq!(found(&journal).len(), 96);
    let report = verify(folder.path()).unwrap();
    assert_eq!((report.replies, report.damage), (96, vec![]));
}

#[test]
fn many_wait_for_one_sync() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) =
        Journal::open(folder.path(), "run", Options { free_space_floor: 0, ..Options::default() }, |_| ()).unwrap();
    let keys: Vec<String> = (0..100).map(|number| format!("key-{number:03}")).collect();
    let body = json!({"text": "x".repeat(10_000)});
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let waiting: Vec<_> = keys.iter().map(|key| journal.append(EntryKind::Reply, Some(key), None, &body)).collect();
        for acknowledgement in waiting {
            acknowledgement.await.unwrap();
        }
    });
    let mut batches = BTreeSet::new();
    scan(folder.path(), |entry| batches.extend([entry.batch])).unwrap();
    assert!(batches.len() < keys.len(), "{} batches", batches.len());
}

#[test]
fn what_no_one_waits_for_is_recorded_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).unwrap();
    drop(journal.append(EntryKind::Reply, Some("key-000"), None, &json!({"text": "the answer to key-000"})));
    journal.close().unwrap();
    assert_eq!(found(&open(folder.path()).unwrap().0).len(), 1);
}

#[test]
fn calls_without_an_outcome_are_listed_forever() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).unwrap();
    let note = |journal: &Journal, kind, key, body: &str| {
        journal.append_blocking(kind, Some(key), Some("c-0001"), body).unwrap();
    };
    note(&journal, EntryKind::Intent, "answered", "a");
    note(&journal, EntryKind::Intent, "lost", "first");
    note(&journal, EntryKind::Intent, "rejected", "r");
    note(&journal, EntryKind::Reply, "answered", "a");
    note(&journal, EntryKind::Reject, "rejected", "r");
    assert_eq!(scan(folder.path(), |_| ()).unwrap().len(), 1, "status sees what is in flight");
    drop(journal);

    let (journal, recovered) = open(folder.path()).unwrap();
    let lost: Vec<_> =
        recovered.possibly_billed.iter().map(|intent| (intent.key.as_str(), intent.body.get())).collect();
    assert_eq!(lost, [("lost", "\"first\"")]);
    assert_eq!(recovered.possibly_billed[0].item.as_deref(), Some("c-0001"));
    note(&journal, EntryKind::Intent, "lost", "second");
    note(&journal, EntryKind::Reply, "lost", "at last");
    drop(journal);
    let bodies: Vec<_> =
        verify(folder.path()).unwrap().possibly_billed.iter().map(|intent| intent.body.to_string()).collect();
    assert_eq!(bodies, ["\"first\""]);
}

#[test]
fn the_first_of_two_replies_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).unwrap();
    for text in ["one", "one", "two"] {
        journal.append_blocking(EntryKind::Reply, Some("twice"), Some("c-0001"), text).unwrap();
    }
    drop(journal);
    let (journal, recovered) = open(folder.path()).unwrap();
    assert_eq!(journal.get_as::<String>("twice").unwrap().unwrap(), "one");
    assert_eq!(recovered.conflicts.len(), 1);
    assert_eq!(recovered.conflicts[0].item.as_deref(), Some("c-0001"));
    let error = journal.get_as::<u32>("twice").unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Damage);
    assert!(error.to_string().starts_with("the recorded reply of c-0001 (key twice) cannot be read"), "{error}");
}

#[test]
fn entries_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = open(folder.path()).unwrap();
    assert_eq!(journal.append_blocking(EntryKind::Reply, None, None, &0).unwrap_err().exit_code(), ExitCode::Bug);
    assert_eq!(journal.append_blocking(EntryKind::Segment, None, None, &0).unwrap_err().exit_code(), ExitCode::Bug);
    let unserializable = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_eq!(
        journal.append_blocking(EntryKind::Seal, None, None, &unserializable).unwrap_err().exit_code(),
        ExitCode::Bug
    );
    assert_eq!(call(&journal, 0..1).len(), 1, "the journal goes on");
}

#[test]
fn a_nearly_full_disk_is_told_and_everything_is_still_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { free_space_floor: 512 << 20, ..SMALL };
    let full = faults::room(folder.path(), (512 << 20) - 1);
    let (journal, _) = Journal::open(folder.path(), "run", options, |_| ()).unwrap();
    let low = journal.low_space().unwrap().unwrap();
    let told = format!("disk space is low: 511 MiB free in {}, 512 MiB needed", folder.path().display());
    assert_eq!(low.to_string(), told);
    assert_eq!(call(&journal, 0..1).len(), 1);
    drop(full);
    let roomy = faults::room(folder.path(), 512 << 20);
    assert_eq!(journal.low_space().unwrap(), None);
    drop(roomy);

    let _full = faults::room(folder.path(), 0);
    call(&journal, 1..4);
    assert!(journal.low_space().unwrap().is_some(), "the writer looks by itself");
}

#[test]
fn damage_names_file_offset_and_item() {
    let folder = tempfile::tempdir().unwrap();
    call(&open(folder.path()).unwrap().0, 0..10);
    let second = segment::path(folder.path(), 2);
    let sound = fs::read(&second).unwrap();
    let lines: Vec<_> = segment::lines(&sound).map(|line| usize::try_from(line.offset).unwrap()).collect();
    spoil(&second, |bytes| bytes[lines[1] + 90] ^= 4);
    let error = error_of(folder.path());
    assert_eq!(error.exit_code(), ExitCode::Damage);
    let expected =
        format!("{}, byte {}, item item: a record that fails its checksum; a crash", second.display(), lines[1]);
    assert!(error.to_string().starts_with(&expected), "{error}");
    assert!(error.to_string().contains("verify RUN_DIR --salvage NEW_DIR"), "{error}");
    assert_eq!(scan(folder.path(), |_| ()).unwrap_err().to_string(), error.to_string());
    assert_eq!(Archive::open(folder.path()).unwrap_err().to_string(), error.to_string());
    let report = verify(folder.path()).unwrap();
    assert_eq!((report.damage.len(), report.replies), (1, 9));
    assert!(serde_json::to_string(&report).unwrap().contains("fails its checksum"));

    let saved = folder.path().join("saved");
    let salvaged = salvage(folder.path(), &saved, "new").unwrap();
    assert_eq!((salvaged.replies, salvaged.damage), (9, report.damage));
    let (journal, recovered) = Journal::open(&saved, "new", SMALL, |_| ()).unwrap();
    assert_eq!((found(&journal).len(), recovered.possibly_billed.len()), (9, 1), "the lost reply was paid for");
    assert_eq!(salvage(folder.path(), &saved, "new").unwrap_err().exit_code(), ExitCode::Usage);
}

#[test]
fn the_chain_shows_what_single_lines_cannot() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("journal");
    call(&open(&dir).unwrap().0, 0..10);
    let (second, third) = (segment::path(&dir, 2), segment::path(&dir, 3));
    let sound = fs::read(&second).unwrap();
    // A reply that somebody has improved, checksum and all.
    let mut forged = Vec::new();
    for line in segment::lines(&sound) {
        let entry = line.entry.unwrap();
        let body = entry.body.replace("answer", "ANSWER");
        frame::encode(&mut forged, &JournalEntry { body: &body, ..entry });
    }
    spoil(&second, |bytes| *bytes = forged);
    let error = error_of(&dir);
    assert!(error.to_string().contains("00000002.jsonl, byte 0: its content is not what the next"), "{error}");

    fs::remove_if_there(&second).unwrap();
    let error = error_of(&dir);
    assert_eq!(error.exit_code(), ExitCode::Damage);
    assert!(error.to_string().contains("00000002.jsonl, byte 0: the segment is missing"), "{error}");
    fs::write_atomic(&second, &sound).unwrap();

    let foreign = folder.path().join("foreign");
    call(&Journal::open(&foreign, "other", SMALL, |_| ()).unwrap().0, 0..10);
    assert!(error_of(&foreign).to_string().contains("it belongs to run other, not to run"));
    let own = fs::read(&third).unwrap();
    fs::write_atomic(&third, &fs::read(&segment::path(&foreign, 3)).unwrap()).unwrap();
    assert!(error_of(&dir).to_string().contains("00000003.jsonl, byte 0: it belongs to run other"));
    fs::write_atomic(&third, &own).unwrap();
    open(&dir).unwrap();
}

#[test]
fn a_reply_that_changes_under_a_run_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    call(&open(folder.path()).unwrap().0, 0..1);
    let path = segment::path(folder.path(), 1);
    let sound = fs::read(&path).unwrap();
    let changed = String::from_utf8(sound.clone()).unwrap().replace("answer", "ANSWER").into_bytes();
    for (found, code) in [(&changed[..], ExitCode::Damage), (&sound[..100], ExitCode::Io)] {
        let (journal, _) = open(folder.path()).unwrap();
        spoil(&path, |bytes| *bytes = found.to_vec());
        assert_eq!(journal.get_as::<Value>("key-000").unwrap_err().exit_code(), code);
        fs::write_atomic(&path, &sound).unwrap();
    }
}

#[test]
fn a_later_format_is_refused_not_repaired() {
    let folder = tempfile::tempdir().unwrap();
    call(&open(folder.path()).unwrap().0, 0..1);
    let path = segment::path(folder.path(), 1);
    let sound = fs::read(&path).unwrap();
    let text = "{\"v\":2,\"seq\":4,\"batch\":4";
    let line = format!("{text},\"crc\":\"{:08x}\"}}\n", crc32c::crc32c(text.as_bytes()));
    spoil(&path, |bytes| bytes.extend_from_slice(line.as_bytes()));
    let error = error_of(folder.path());
    assert_eq!(error.exit_code(), ExitCode::Drift);
    assert!(error.to_string().contains("format 2"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), [&sound[..], line.as_bytes()].concat(), "and left as it is");
}

#[test]
fn another_run_reads_it_without_a_lock() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Archive::open(folder.path()), Err(JournalError::Absent { .. })));
    assert!(scan(&folder.path().join("none"), |_| ()).unwrap().is_empty());
    let (journal, _) = open(folder.path()).unwrap();
    call(&journal, 0..10);
    let archive = Archive::open(folder.path()).unwrap();
    assert_eq!(archive.get_as::<Value>("key-003").unwrap(), Some(json!({"text": "the answer to key-003"})));
    assert_eq!(archive.get_as::<Value>("key-090").unwrap(), None);
    // A write that is under way elsewhere ends in the middle of a line.
    drop(journal);
    let newest = segment::path(folder.path(), *segment::numbers(folder.path()).unwrap().last().unwrap());
    spoil(&newest, |bytes| bytes.extend_from_slice(b"{\"v\":1,\"seq\":"));
    assert!(Archive::open(folder.path()).unwrap().get_as::<Value>("key-009").unwrap().is_some());
    let report = verify(folder.path()).unwrap();
    assert!(report.torn.is_some() && report.damage.is_empty());
}
