//! What holds of the result for any corpus.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::draw::Draw;
use crate::stages::dedup::{DuplicateRow, jaccard};
use crate::store::fs::faults;

const THRESHOLD: f64 = 0.6;

/// Records of few different words, of which many are copies of another with some words replaced: ids in no order.
fn corpus(seed: u64, count: usize) -> Vec<(String, String)> {
    let mut draw = Draw::new(seed, &["corpus"]);
    let mut texts: Vec<Vec<String>> = Vec::new();
    for _ in 0..count {
        let mut words: Vec<String> = match draw.below(3) {
            0 if !texts.is_empty() => texts[draw.below(texts.len())].clone(),
            _ => (0..draw.below(40)).map(|_| format!("w{}", draw.below(500))).collect(),
        };
        for _ in 0..draw.below(4) {
            let at = draw.below(words.len().max(1));
            words.get_mut(at).into_iter().for_each(|word| *word = format!("w{}", draw.below(500)));
        }
        texts.push(words);
    }
    let ids = (0..count).map(|at| format!("{:03}", at * 7919 % 1_000));
    ids.zip(texts).map(|(id, words)| (id, words.join(" "))).collect()
}

fn options(folder: &Path, inputs: &[&str], threads: usize) -> DedupOptions {
    DedupOptions {
        inputs: inputs.iter().map(|name| folder.join(name)).collect(),
        out: Some(folder.join("out.jsonl")),
        report: Some(folder.join("report.jsonl")),
        names: FieldNames { text: "text".to_owned(), id: "id".to_owned() },
        threshold: THRESHOLD,
        shingling: Some(Shingling::Words(3)),
        pairs: None,
        allow_giant: true,
        threads,
    }
}

fn put(folder: &Path, name: &str, records: &[(String, String)]) {
    let line = |(id, text): &(String, String)| format!("{}\n", serde_json::json!({"id": id, "text": text}));
    fs::write_atomic(&folder.join(name), records.iter().map(line).collect::<String>().as_bytes()).unwrap();
}

/// The bytes of output and report.
fn result(options: &DedupOptions) -> [String; 2] {
    dedup(options).unwrap();
    [&options.out, &options.report].map(|path| path.as_ref().unwrap()).map(|path| fs::read_to_string(path).unwrap())
}

fn shingles(text: &str) -> Vec<u64> {
    Hasher::new(THRESHOLD, Shingling::Words(3)).shingles(text)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn what_is_removed_is_near_what_stays_and_comes_behind_it(seed: u64, count in 0_usize..180) {
        let folder = faults::scratch();
        let records = corpus(seed, count);
        put(folder.path(), "in.jsonl", &records);
        let [out, report] = result(&options(folder.path(), &["in.jsonl"], 2));
        let texts: BTreeMap<&str, &str> = records.iter().map(|(id, text)| (id.as_str(), text.as_str())).collect();
        let stays: Vec<String> = out.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect();
        let rows: Vec<DuplicateRow> = report.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        prop_assert_eq!(stays.len() + rows.len(), count);
        prop_assert!(stays.is_sorted() && rows.is_sorted_by_key(|row| row.id.clone()));
        for row in &rows {
            prop_assert!(stays.binary_search(&row.kept).is_ok() && row.kept < row.id, "{:?}", row);
            let [one, other] = [&row.id, &row.kept].map(|id| texts[id.as_str()]);
            let exact = crate::stages::dedup::normalize(one) == crate::stages::dedup::normalize(other);
            prop_assert_eq!(row.kind == crate::record::DuplicateKind::Exact, exact);
            let jaccard = if exact { 1.0 } else { jaccard(&shingles(one), &shingles(other)) };
            prop_assert!(row.jaccard >= THRESHOLD && (row.jaccard - jaccard).abs() < 1e-12, "{:?} {}", row, jaccard);
            let size = rows.iter().filter(|other| other.kept == row.kept).count() as u64 + 1;
            prop_assert_eq!(row.cluster_size, size);
        }
        // Of what stays, next to no two are near: a hundredth may be missed right at the threshold, fewer above.
        let sets: Vec<Vec<u64>> = stays.iter().map(|id| shingles(texts[id.as_str()])).collect();
        let missed = (0..sets.len()).flat_map(|at| sets[..at].iter().zip(std::iter::repeat(&sets[at])))
            .filter(|(one, other)| jaccard(one, other) >= THRESHOLD).count();
        prop_assert!(missed <= 1 + rows.len() / 20, "{} missed beside {}", missed, rows.len());
    }

    #[test]
    fn order_files_and_threads_change_no_byte(seed: u64, count in 1_usize..180, cut: prop::sample::Index, threads in 1_usize..5) {
        let folder = faults::scratch();
        let mut records = corpus(seed, count);
        put(folder.path(), "in.jsonl", &records);
        let expected = result(&options(folder.path(), &["in.jsonl"], 1));
        let mut draw = Draw::new(seed, &["order"]);
        records.sort_by_cached_key(|_| draw.next_u64());
        let (one, other) = records.split_at(cut.index(count));
        put(folder.path(), "one.jsonl", one);
        put(folder.path(), "other.jsonl", other);
        prop_assert_eq!(result(&options(folder.path(), &["other.jsonl", "one.jsonl"], threads)), expected);
    }
}

#[test]
fn nearly_all_that_is_at_the_threshold_is_found() {
    let folder = faults::scratch();
    let mut draw = Draw::new(3, &["recall"]);
    // 44 words have 42 pieces; two far apart replaced leave 36 of 48 in common, 0.75.
    let mut records = Vec::new();
    for at in 0..3_000 {
        let mut words: Vec<String> = (0..44).map(|_| format!("w{}", draw.below(20_000))).collect();
        records.push((format!("{at:04}a"), words.join(" ")));
        for place in [10, 30] {
            words[place] = "edited".to_owned();
        }
        records.push((format!("{at:04}b"), words.join(" ")));
    }
    put(folder.path(), "in.jsonl", &records);
    let near = |threshold| dedup(&DedupOptions { threshold, ..options(folder.path(), &["in.jsonl"], 2) }).unwrap().near;
    let found = near(0.75);
    assert!((2_970..=3_000).contains(&found), "{found} of 3,000");
    assert_eq!(near(0.751), 0);
}

#[test]
fn a_crowd_of_near_duplicates_comes_down_to_one() {
    let folder = faults::scratch();
    let words: Vec<String> = (0..60).map(|at| format!("w{at}")).collect();
    for count in [40, 1_500] {
        // 58 pieces; two texts with a word replaced each have 52 of 64 in common.
        let record = |at: usize| {
            let mut words = words.clone();
            words[at % 60] = format!("edited{at}");
            (format!("{at:04}"), words.join(" "))
        };
        put(folder.path(), "in.jsonl", &(0..count).map(record).collect::<Vec<_>>());
        let [out, report] = result(&options(folder.path(), &["in.jsonl"], 2));
        assert_eq!((out.lines().count(), report.lines().count()), (1, count - 1));
        assert!(report.lines().all(|line| line.contains(r#""kept":"0000""#)));
    }
}

#[test]
fn a_file_that_changes_after_it_was_opened_is_named_and_nothing_is_written() {
    let folder = faults::scratch();
    let records = corpus(1, 50);
    let names = FieldNames { text: "text".to_owned(), id: "id".to_owned() };
    let hasher = Hasher::new(THRESHOLD, Shingling::Words(3));
    for longer in [true, false] {
        put(folder.path(), "in.jsonl", &records);
        let mut files = CorpusFiles::find(&[folder.path().join("in.jsonl")], Some(folder.path())).unwrap();
        let plan = ScanPlan { names: &names, hasher: &hasher, signatures: true, threads: 1 };
        let mut ids = Sorter::new(folder.path(), SORTED_IN_MEMORY);
        let scanned = scan(&mut files, plan, &mut ids).unwrap();
        let (offset, length) = scanned.place(49);
        assert!(files.append_line(offset, length, &mut Vec::new()).is_ok() && files.check_unchanged().is_ok());
        let path = folder.path().join("in.jsonl");
        let text = fs::read_to_string(&path).unwrap();
        let changed = if longer { text + "{}\n" } else { text[..200].to_owned() };
        std::fs::OpenOptions::new().write(true).truncate(true).open(&path).unwrap();
        fs::append(&path, changed.as_bytes()).unwrap();
        let error = files.check_unchanged().unwrap_err();
        assert!(
            error.to_string().ends_with("in.jsonl changed while it was read: run again once it is complete"),
            "{error}"
        );
        assert_eq!(error.exit_code(), crate::exit::ExitCode::Input);
        if !longer {
            assert!(matches!(files.append_line(offset, length, &mut Vec::new()), Err(CorpusError::Changed { .. })));
        }
        // What is written of another reading than was decided on never gets its name.
        let mut again = Sorter::new(folder.path(), SORTED_IN_MEMORY);
        assert!(matches!(scan(&mut files, plan, &mut again), Err(CorpusError::Changed { .. })));
    }
}
