//! `compile`: a file of records becomes a dataset folder, whatever its form; and what a run publishes of its people.

use std::collections::BTreeSet;
use std::io::Write;

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, differing};
use crate::support::script::Script;

/// A finished run in `runs/demo`.
fn finished(sets: &[&str]) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    project.pipeline(sets).ended(0);
    (endpoint, project)
}

/// The rows of both splits of a table of the run, as it wrote them.
fn lines(project: &Project, table: &str) -> Vec<String> {
    let read = |split| project.read(&format!("runs/demo/dataset/jsonl/{table}-{split}.jsonl"));
    read("test").lines().chain(read("train").lines()).map(str::to_owned).collect()
}

#[test]
fn the_same_records_make_the_same_folder_in_whatever_form_and_order_they_come() {
    let (_endpoint, project) = finished(&[]);
    let lines = lines(&project, "conversations");
    let text = lines.join("\n");
    project.write("plain.jsonl", &text);
    // With a mark in front, blank lines, line ends of another system, and keys in another order.
    let sorted: Vec<String> =
        lines.iter().rev().map(|line| serde_json::from_str::<Value>(line).unwrap().to_string()).collect();
    project.write("odd.jsonl", format!("\u{feff}{}\r\n\r\n", sorted.join("\r\n\r\n")));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    project.write("packed.jsonl.gz", gzip.finish().unwrap());
    project.write("packed.jsonl.zst", zstd::encode_all(text.as_bytes(), 1).unwrap());
    let parquet = std::fs::read(project.path().join("runs/demo/stages/3-conversations/part-00000.parquet")).unwrap();
    project.write("table.parquet", parquet);
    let told = project.run(&["compile", "plain.jsonl", "-o", "out/plain", "--json"]).ended(0).json();
    assert_eq!(
        told["rows"]["conversations"]["train"].as_u64().unwrap()
            + told["rows"]["conversations"]["test"].as_u64().unwrap(),
        lines.len() as u64
    );
    let plain = project.files("out/plain");
    for name in ["odd.jsonl", "packed.jsonl.gz", "packed.jsonl.zst", "table.parquet"] {
        project.run(&["compile", name, "-o", "out/other"]).ended(0);
        assert_eq!(differing(&plain, &project.files("out/other")), [""; 0], "{name}");
        std::fs::remove_dir_all(project.path().join("out/other")).unwrap();
    }
    // The tables are those that the run itself has made of these records.
    let run = project.files("runs/demo/dataset");
    for table in plain.keys().filter(|path| path.starts_with("data/") || path.starts_with("jsonl/")) {
        assert!(plain[table] == run[table], "{table} differs from that of the run");
    }
    assert_eq!(std::fs::read_dir(project.path().join("out")).unwrap().count(), 1, "something was left behind");
}

#[test]
fn situations_make_a_dataset_too_and_its_card_speaks_of_them_alone() {
    let (_endpoint, project) = finished(&[]);
    project.write("situations.jsonl", lines(&project, "situations").join("\n"));
    project.run(&["compile", "situations.jsonl", "-o", "out"]).ended(0);
    let card = project.read("out/README.md");
    assert!(card.contains("In a situation,") && !card.contains("In a conversation,"), "{card}");
    let made = project.files("out");
    assert_eq!(
        made["situations/train-00000-of-00001.parquet"],
        project.files("runs/demo/dataset")["situations/train-00000-of-00001.parquet"]
    );
}

#[test]
fn lines_that_do_not_fit_are_named_and_nothing_is_made() {
    let (_endpoint, project) = finished(&[]);
    let mut lines = lines(&project, "conversations");
    lines[1] = "{\"id\": \"x\", \"turns\": 3}".to_owned();
    lines[3] = lines[3].replacen("\"topic\"", "\"subject\"", 1);
    project.write("in.jsonl", lines.join("\n"));
    let ran = project.run(&["compile", "in.jsonl", "-o", "out"]).ended(3);
    assert!(ran.stderr.contains("2 lines of in.jsonl are no conversations"), "{}", ran.stderr);
    assert!(ran.stderr.contains("line 2: ") && ran.stderr.contains("line 4: missing field `topic`"), "{}", ran.stderr);
    assert!(std::fs::read_dir(project.path()).unwrap().all(|entry| {
        let name = entry.unwrap().file_name();
        name != "out" && !name.to_string_lossy().starts_with(".tmp")
    }));
}

#[test]
fn what_cannot_be_compiled_is_told_from_what_was_called_wrongly() {
    let (_endpoint, project) = finished(&[]);
    let lines = lines(&project, "conversations");
    let refused = |name: &str, text: &[u8], code: i32, what: &str| {
        project.write(name, text);
        let ran = project.run(&["compile", name, "-o", "out"]).ended(code);
        assert!(ran.stderr.contains(what), "{name}: {}", ran.stderr);
    };
    refused("empty.jsonl", b"\n\n", 3, "no record to compile");
    refused("other.jsonl", b"\n{\"messages\": []}\n", 3, "other.jsonl, line 2: it has neither `turns`");
    refused("array.json", b"[\n{}]", 3, "line 1: ");
    refused("table.csv", b"id,text\n1,x\n", 3, "line 1: ");
    refused("twice.jsonl", [lines[0].as_str(), &lines[0]].join("\n").as_bytes(), 3, "two records have the id");
    let split = lines[0].replacen("\"split\":\"test\"", "\"split\":\"a b\"", 1);
    refused("split.jsonl", split.as_bytes(), 3, "has the split \"a b\"");
    let packed = zstd::encode_all(lines.join("\n").as_bytes(), 1).unwrap();
    refused("cut.jsonl.zst", &packed[..packed.len() - 20], 3, "cut.jsonl.zst is cut short");
    let parquet = std::fs::read(project.path().join("runs/demo/stages/1-personas/part-00000.parquet")).unwrap();
    refused("personas.parquet", &parquet, 3, "personas.parquet, in the rows from 1 on: ");
    refused("cut.parquet", &parquet[..parquet.len() / 2], 3, "cut.parquet, in the rows from 1 on: ");
    project.run(&["compile", "missing.jsonl", "-o", "out"]).ended(2);
    project.run(&["compile", "runs", "-o", "out"]).ended(2);
    assert!(!project.path().join("out").exists());
    project.write("out/mine.txt", "mine");
    project.write("good.jsonl", &lines[0]);
    project.run(&["compile", "good.jsonl", "-o", "out"]).ended(2);
    assert_eq!(project.read("out/mine.txt"), "mine");
}

#[test]
fn pages_that_end_by_content_hold_the_same_rows() {
    let (_endpoint, project) = finished(&[]);
    project.write("in.jsonl", lines(&project, "conversations").join("\n"));
    for (folder, more) in [("a", &[][..]), ("b", &["--content-chunks"])] {
        project.run(&[&["compile", "in.jsonl", "-o", folder], more].concat()).ended(0);
    }
    let again = project.run(&["compile", "b/data/train-00000-of-00001.parquet", "-o", "c", "--json"]).ended(0).json();
    assert_eq!(again["rows"]["conversations"]["train"], project.rows("a/jsonl/conversations-train.jsonl").len());
    assert_eq!(project.read("c/jsonl/conversations-train.jsonl"), project.read("a/jsonl/conversations-train.jsonl"));
}

fn ids(rows: &[Value]) -> BTreeSet<String> {
    rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_publishes_the_people_it_used_unless_all_are_asked_for() {
    let (_endpoint, project) = finished(&[]);
    let all = project.rows("runs/demo/stages/1-personas/part-00000.jsonl");
    let situations = project.rows("runs/demo/stages/2-situations/part-00000.jsonl");
    let used: BTreeSet<String> = situations.iter().flat_map(|row| ids(row["personas"].as_array().unwrap())).collect();
    assert!(used.len() < all.len(), "everyone was cast, so this run shows nothing");
    let published = |run: &str| -> BTreeSet<String> {
        ["train", "test"]
            .iter()
            .flat_map(|split| ids(&project.rows(&format!("{run}/dataset/jsonl/personas-{split}.jsonl"))))
            .collect()
    };
    assert_eq!(published("runs/demo"), used);
    let more = ["--set", "compile.personas=all", "--fork", "runs/demo", "--run-dir", "runs/all"];
    let told = project.pipeline(&more).ended(0).json();
    assert_eq!(told["usage"]["calls"], 0, "who is published decides nothing that is asked of a model");
    assert_eq!(published("runs/all"), ids(&all));
    // The other way round it is another dataset, and said so.
    assert_eq!(project.pipeline(&["--set", "compile.personas=all"]).code, Some(5));
}
