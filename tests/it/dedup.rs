//! `dedup`: any corpus in, the records that stay out, whatever the order of shards and the number of threads.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{ArrayRef, LargeStringArray, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::{Value, json};

use crate::support::project::{Project, Ran};

/// A text of so many words, which begins at a word of its own.
fn text(first: usize, words: usize) -> String {
    (0..words).map(|at| format!("word{}", first * 1_000 + at)).collect::<Vec<_>>().join(" ")
}

/// The same with one word replaced: of the 5-word pieces of 60 words, 51 of 61 are shared, a Jaccard index of 0.84.
fn edited(text: &str, at: usize) -> String {
    let mut words: Vec<&str> = text.split(' ').collect();
    words[at] = "edited";
    words.join(" ")
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// 60 records, of which b is a copy of a, c near both, and the others are like nothing.
fn corpus() -> Vec<Value> {
    let mut rows: Vec<Value> = (0..57).map(|at| json!({"id": format!("x{at:02}"), "text": text(at + 1, 60)})).collect();
    rows.insert(5, json!({"id": "c", "text": edited(&text(0, 60), 30), "extra": [1, {"text": "no"}]}));
    rows.insert(20, json!({"id": "a", "n": 1.50, "text": text(0, 60)}));
    rows.insert(0, json!({"text": format!("{}!", text(0, 60).to_uppercase()), "id": "b"}));
    rows
}

fn dedup(project: &Project, arguments: &[&str]) -> Ran {
    project.run(&[&["dedup"], arguments].concat())
}

#[test]
fn copies_and_near_duplicates_go_and_the_smallest_id_stays() {
    let project = Project::new();
    project.write("in.jsonl", lines(&corpus()));
    let ran = dedup(&project, &["in.jsonl", "-o", "out.jsonl", "--report", "gone.jsonl", "--json"]).ended(0);
    let summary = ran.json();
    assert_eq!([&summary["records"], &summary["kept"], &summary["exact"], &summary["near"]], [60, 58, 1, 1]);
    assert_eq!(summary["largest"], json!([{"kept": "a", "size": 3}]));
    let jaccard = 51.0 / 61.0;
    let report = [
        json!({"id": "b", "kept": "a", "jaccard": 1.0, "kind": "exact", "cluster_size": 3}),
        json!({"id": "c", "kept": "a", "jaccard": jaccard, "kind": "near", "cluster_size": 3}),
    ];
    assert_eq!(project.rows("gone.jsonl"), report);

    // Without a place for what stays the report is the same, and nothing else is written.
    let looked = dedup(&project, &["in.jsonl", "--report", "look.jsonl"]).ended(0);
    assert_eq!(project.read("look.jsonl"), project.read("gone.jsonl"));
    assert!(looked.stdout.contains("nothing was removed"), "{looked:?}");
    assert_eq!(
        project.files("").into_keys().collect::<Vec<_>>(),
        ["gone.jsonl", "in.jsonl", "look.jsonl", "out.jsonl"]
    );
    dedup(&project, &["in.jsonl"]).ended(2);

    // Lines as they came, spacing and order of keys included, in the order of ids.
    let mut expected = corpus();
    expected.retain(|row| !["b", "c"].contains(&row["id"].as_str().unwrap()));
    expected.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    assert_eq!(project.read("out.jsonl"), lines(&expected));

    // What stays duplicates nothing any more.
    let again = dedup(&project, &["out.jsonl", "-o", "again.jsonl", "--json"]).ended(0).json();
    assert_eq!((&again["kept"], project.read("again.jsonl")), (&json!(58), project.read("out.jsonl")));
}

#[test]
fn shards_in_any_order_threads_and_compression_change_no_byte() {
    let project = Project::new();
    let rows: Vec<Value> = (0..3)
        .flat_map(|part| {
            corpus().into_iter().map(move |mut row| {
                row["id"] = json!(format!("{part}-{}", row["id"].as_str().unwrap()));
                row
            })
        })
        .collect();
    let shards: Vec<String> = rows.chunks(50).map(lines).collect();
    project.write("all.jsonl", shards.concat());
    project.write("shards/1.jsonl", &shards[2]);
    project.write("shards/_SUCCESS", "");
    project.write("shards/2.jsonl.zst", zstd::encode_all(shards[0].as_bytes(), 1).unwrap());
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(shards[3].trim_end().as_bytes()).unwrap();
    project.write("last.gz", gzip.finish().unwrap());
    // A byte order mark, lines without anything, and no end of the last line.
    project.write("first.jsonl", format!("\u{feff}\n{}\n  \n", shards[1].trim_end()));

    let mut results = Vec::new();
    for (inputs, threads) in
        [(&["all.jsonl"][..], "1"), (&["all.jsonl"], "3"), (&["last.gz", "shards", "first.jsonl"], "2")]
    {
        let flags = ["-o", "out.jsonl", "--report", "gone.jsonl", "--threads", threads, "--threshold", "0.7", "--json"];
        let mut summary = dedup(&project, &[inputs, &flags].concat()).ended(0).json();
        summary["wall_s"].take();
        summary["cpu_s"].take();
        results.push((summary, project.read("out.jsonl"), project.read("gone.jsonl")));
    }
    assert_eq!(results[0].0["kept"], 58);
    assert!(results.iter().all(|result| *result == results[0]), "{results:#?}");
}

#[test]
fn a_chain_of_small_changes_removes_nothing_far_from_what_stays() {
    let project = Project::new();
    let (a, unlike) = (text(0, 60), |at: usize| json!({"id": format!("x{at}"), "text": text(at + 1, 60)}));
    let b = edited(&a, 20);
    let c = edited(&b, 40);
    let mut rows: Vec<Value> =
        [("a", a), ("b", b), ("c", c)].map(|(id, text)| json!({"id": id, "text": text})).to_vec();
    rows.extend((0..60).map(unlike));
    project.write("in.jsonl", lines(&rows));
    dedup(&project, &["in.jsonl", "-o", "out.jsonl", "--report", "gone.jsonl"]).ended(0);
    // b is near a and c near b, but c is not near a, which stays: c stays too.
    let gone = project.rows("gone.jsonl");
    assert_eq!((gone.len(), &gone[0]["id"], &gone[0]["kept"]), (1, &json!("b"), &json!("a")));
}

#[test]
fn a_giant_cluster_is_refused_and_its_rows_are_reported() {
    let project = Project::new();
    let rows: Vec<Value> =
        (0..100).map(|at| json!({"id": at, "text": text(if at < 12 { 0 } else { at }, 20)})).collect();
    project.write("in.jsonl", lines(&rows));
    let arguments = ["in.jsonl", "-o", "out.jsonl", "--report", "gone.jsonl"];
    let refused = dedup(&project, &arguments).ended(3);
    assert!(
        refused.stderr.contains("12 of 100 records would be taken for copies of `0`, more than 5 %"),
        "{refused:?}"
    );
    assert!(refused.stderr.contains("--allow-giant-cluster"), "{refused:?}");
    assert_eq!((project.rows("gone.jsonl").len(), project.path().join("out.jsonl").exists()), (11, false));
    dedup(&project, &[&arguments[..], &["--allow-giant-cluster"]].concat()).ended(0);
    assert_eq!(project.rows("out.jsonl").len(), 89);
    let names: Vec<String> = project.files("").into_keys().collect();
    assert_eq!(names, ["gone.jsonl", "in.jsonl", "out.jsonl"], "something was left behind");
    // A look tells the same as removing would.
    dedup(&project, &["in.jsonl", "--report", "look.jsonl"]).ended(3);
    assert_eq!(project.rows("look.jsonl").len(), 11);
}

#[test]
fn corpora_of_odd_sizes_are_taken() {
    let project = Project::new();
    project.write("none.jsonl", "");
    project.write("one.jsonl", lines(&[json!({"id": "a", "text": "only one"})]));
    let equal: Vec<Value> =
        (0..5_000).map(|at| json!({"id": format!("{at:05}"), "text": "again and again, the same"})).collect();
    project.write("equal.jsonl", lines(&equal));
    let short = ["yes", "Yes!", "no", "yes no", "", "...", "?!", "今天天气很好", "今天天气", "да", "ДА"];
    let short: Vec<Value> =
        short.iter().enumerate().map(|(at, text)| json!({"id": format!("{at:02}"), "text": text})).collect();
    project.write("short.jsonl", lines(&short));
    for (name, kept, exact) in [("none", 0, 0), ("one", 1, 0), ("equal", 1, 4_999), ("short", 9, 2)] {
        let input = format!("{name}.jsonl");
        let summary = dedup(&project, &[&input, "-o", "out.jsonl", "--allow-giant-cluster", "--json"]).ended(0).json();
        assert_eq!([&summary["kept"], &summary["exact"], &summary["near"]], [kept, exact, 0], "{name}: {summary}");
        assert_eq!(project.rows("out.jsonl").len(), kept);
    }
}

#[test]
fn scripts_without_spaces_are_compared_by_characters() {
    let project = Project::new();
    let sentence = |from: u32| (0..80).map(|at| char::from_u32(0x4e00 + from * 100 + at).unwrap()).collect::<String>();
    let mut rows: Vec<Value> = (1..40).map(|at| json!({"id": format!("x{at}"), "text": sentence(at)})).collect();
    rows.push(json!({"id": "a", "text": sentence(0)}));
    rows.push(json!({"id": "b", "text": sentence(0).replace('\u{4e28}', "，字")}));
    project.write("in.jsonl", lines(&rows));
    let summary = dedup(&project, &["in.jsonl", "-o", "out.jsonl", "--json"]).ended(0).json();
    assert_eq!((&summary["shingles"], &summary["near"]), (&json!("5-characters"), &json!(1)), "{summary}");
}

#[test]
fn what_cannot_be_used_is_refused_by_name() {
    let project = Project::new();
    let good = lines(&[json!({"id": "a", "text": "one"}), json!({"id": "b", "text": "two"})]);
    project.write("good.jsonl", &good);
    project.write("same.jsonl", format!("{}\n{}", json!({"id": "c", "text": "x"}), json!({"id": "a", "text": "y"})));
    project.write("torn.jsonl", &good[..good.len() - 5]);
    project.write("drift.jsonl", lines(&[json!({"id": "d", "body": "one"})]));
    project.write("typed.jsonl", lines(&[json!({"id": "e", "text": 7})]));
    project.write("cut.gz", [0x1f, 0x8b, 8, 0, 0]);
    std::fs::create_dir(project.path().join("empty")).unwrap();
    for (arguments, code, told) in [
        (&["good.jsonl", "same.jsonl"][..], 3, "the id `a` stands twice: good.jsonl, line 1 and same.jsonl, line 2"),
        (&["good.jsonl", "good.jsonl"], 3, "the id `a` stands twice"),
        (&["torn.jsonl"], 3, "torn.jsonl, line 2: "),
        (
            &["good.jsonl", "drift.jsonl"],
            3,
            "drift.jsonl, line 1: there is no field `text`; name the one that holds the text with --text-field",
        ),
        (
            &["typed.jsonl"],
            3,
            "typed.jsonl, line 1: invalid type: integer `7`, expected the field of the text to be a string",
        ),
        (&["cut.gz"], 3, "cut.gz is damaged or cut short"),
        (&["empty"], 3, "empty holds no file whose name ends in .jsonl"),
        (&["missing.jsonl"], 2, "there is nothing at missing.jsonl"),
        (&["good.jsonl", "-o", "out.parquet"], 2, "out.parquet is to be Parquet and the inputs are lines"),
        (&["good.jsonl", "-o", "good.jsonl"], 2, "good.jsonl is an input"),
        (&["good.jsonl", "-o", "out.jsonl.gz"], 2, "out.jsonl.gz would not be compressed"),
    ] {
        let out: &[&str] = if arguments.contains(&"-o") { &[] } else { &["-o", "out.jsonl"] };
        let refused = dedup(&project, &[arguments, out].concat()).ended(code);
        assert!(refused.stderr.contains(told), "{arguments:?}: {}", refused.stderr);
        assert!(!project.path().join("out.jsonl").exists(), "{arguments:?}");
    }
    assert_eq!(project.read("good.jsonl"), good);
}

/// The corpus as a table with a nested column of its own; `text` says what the column of texts is called.
fn write_table(path: &Path, rows: &[Value], text: &str) {
    let string = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let mut numbers = ListBuilder::new(Int32Builder::new());
    for row in rows {
        numbers.append_value([Some(i32::try_from(string(row, "id").len()).unwrap()), None]);
    }
    let columns: [(&str, ArrayRef); 3] = [
        ("numbers", Arc::new(numbers.finish())),
        ("id", Arc::new(StringArray::from_iter_values(rows.iter().map(|row| string(row, "id"))))),
        (text, Arc::new(LargeStringArray::from_iter_values(rows.iter().map(|row| string(row, "text"))))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    // As most tools write it.
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.append_key_value_metadata(KeyValue::new("origin".to_owned(), "a test".to_owned()));
    for at in (0..rows.len()).step_by(7) {
        writer.write(&batch.slice(at, 7.min(rows.len() - at))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

/// Every row of a table as text, and what the file says of itself under `origin`.
fn read_table(path: &Path) -> (Vec<String>, Option<String>) {
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let metadata = builder.metadata().file_metadata().key_value_metadata().unwrap();
    let origin = metadata.iter().find(|entry| entry.key == "origin").and_then(|entry| entry.value.clone());
    let rows = builder.build().unwrap().flat_map(|batch| {
        let batch = batch.unwrap();
        (0..batch.num_rows()).map(move |row| format!("{:?}", batch.slice(row, 1).columns())).collect::<Vec<_>>()
    });
    (rows.collect(), origin)
}

#[test]
fn tables_keep_all_of_their_columns() {
    let project = Project::new();
    let (rows, at) = (corpus(), |name: &str| project.path().join(name));
    std::fs::create_dir(at("shards")).unwrap();
    write_table(&at("shards/b.parquet"), &rows[..25], "body");
    write_table(&at("shards/a.parquet"), &rows[25..], "body");
    let mut sorted = rows.clone();
    sorted.retain(|row| !["b", "c"].contains(&row["id"].as_str().unwrap()));
    sorted.sort_by_key(|row| row["id"].as_str().unwrap().to_owned());
    write_table(&at("expected.parquet"), &sorted, "body");

    let flags = ["-o", "out.parquet", "--report", "gone.jsonl", "--text-field", "body", "--json"];
    let summary = dedup(&project, &[&["shards"], &flags[..]].concat()).ended(0).json();
    assert_eq!([&summary["kept"], &summary["exact"], &summary["near"]], [58, 1, 1]);
    assert_eq!(read_table(&at("out.parquet")), read_table(&at("expected.parquet")));
    assert_eq!(project.rows("gone.jsonl").len(), 2);
    // The same from one file, to the byte.
    write_table(&at("all.parquet"), &rows, "body");
    let again = ["all.parquet", "-o", "again.parquet", "--text-field", "body", "--threads", "3"];
    dedup(&project, &again).ended(0);
    assert_eq!(std::fs::read(at("again.parquet")).unwrap(), std::fs::read(at("out.parquet")).unwrap());
}

#[test]
fn tables_that_do_not_fit_together_are_refused_by_the_column() {
    let project = Project::new();
    let (rows, at) = (corpus(), |name: &str| project.path().join(name));
    write_table(&at("text.parquet"), &rows[..25], "text");
    write_table(&at("body.parquet"), &rows[25..], "body");
    project.write("lines.jsonl", lines(&rows));
    let sound = std::fs::read(at("text.parquet")).unwrap();
    project.write("cut.parquet", &sound[..sound.len() - 9]);
    for (inputs, out, code, told) in [
        (
            &["text.parquet", "body.parquet"][..],
            "out.parquet",
            3,
            "text.parquet and body.parquet are not of one table: one has `text` of type LargeUtf8 where the other has `body` of type LargeUtf8",
        ),
        (
            &["body.parquet"],
            "out.parquet",
            3,
            "body.parquet has no column `text` but numbers, id, body; name one with --text-field",
        ),
        (&["text.parquet", "lines.jsonl"], "out.parquet", 2, "text.parquet is Parquet and lines.jsonl is not"),
        (&["text.parquet"], "out.jsonl", 2, "the inputs are Parquet: out.jsonl has to end in .parquet"),
        (&["cut.parquet"], "out.parquet", 3, "cut.parquet"),
    ] {
        let refused = dedup(&project, &[inputs, &["-o", out]].concat()).ended(code);
        assert!(refused.stderr.contains(told), "{inputs:?}: {}", refused.stderr);
        assert!(!at(out).exists());
    }
    // A look, too.
    let looked = dedup(&project, &["text.parquet", "body.parquet", "--report", "look.jsonl"]).ended(3);
    assert!(looked.stderr.contains("are not of one table: one has `text`"), "{}", looked.stderr);
}

#[test]
fn pairs_of_another_engine_keep_the_identical_set() {
    let Some(python) = std::env::var_os("CONVOGEN_PYTHON") else {
        println!("skipped: CONVOGEN_PYTHON names no interpreter with tests/readers/requirements.txt");
        return;
    };
    let project = Project::new();
    let rows = corpus();
    let settings = ["--threshold", "0.7", "--shingles", "3-words"];
    for (shard, rows) in ["one.jsonl", "two.jsonl"].into_iter().zip(rows.chunks(30)) {
        project.write(shard, lines(rows));
        dedup(&project, &[&[shard, "--signatures", "signatures"], &settings[..]].concat()).ended(0);
    }
    let join = "import duckdb, sys
for table in ('records', 'bands'): duckdb.sql(f\"CREATE VIEW {table} AS SELECT * FROM 'signatures/{table}/*.parquet'\")
duckdb.sql(f\"COPY ({open(sys.argv[1]).read()}) TO 'pairs.parquet' (FORMAT parquet)\")";
    let sql = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/dedup-pairs.sql");
    let joined = Command::new(python).args(["-c", join, sql]).current_dir(project.path()).output().unwrap();
    assert!(joined.status.success(), "{joined:?}");

    let files = ["two.jsonl", "one.jsonl", "--json"];
    let alone = dedup(&project, &[&files[..], &settings, &["-o", "a.jsonl", "--report", "a-report.jsonl"]].concat());
    let paired = ["-o", "p.jsonl", "--report", "p-report.jsonl", "--pairs", "pairs.parquet"];
    let paired = dedup(&project, &[&files[..], &settings, &paired].concat());
    assert_eq!((&alone.ended(0).json()["near"], &paired.ended(0).json()["near"]), (&json!(1), &json!(1)));
    assert_eq!(project.read("a.jsonl"), project.read("p.jsonl"));
    assert_eq!(project.read("a-report.jsonl"), project.read("p-report.jsonl"));

    let foreign = ["two.jsonl", "-o", "out.jsonl", "--pairs", "pairs.parquet"];
    let refused = dedup(&project, &[&foreign[..], &settings].concat()).ended(3);
    assert!(refused.stderr.contains("pairs.parquet names the id `"), "{}", refused.stderr);
}
