//! Whether everything that counts the same things counts alike.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(clippy::indexing_slicing, reason = "a test says what it expects of a run's files")]

use serde_json::{Value, json};

use super::project::Project;

/// The stages: name, folder of the run, table of the dataset.
pub(crate) const STAGES: [(&str, &str); 3] =
    [("personas", "1-personas"), ("situations", "2-situations"), ("conversations", "3-conversations")];
const OUTCOMES: [&str; 6] = ["accepted", "duplicate", "rejected", "refused", "failed", "over_budget"];

/// Compares outcomes as they are printed, sealed, listed row by row, and published.
pub(crate) fn assert_sums(project: &Project, run_dir: &str, summary: &Value) {
    let dataset = project.json(&format!("{run_dir}/dataset/manifest.json"));
    for (stage, folder) in STAGES {
        let folder = format!("{run_dir}/stages/{folder}");
        let tally = &summary["stages"][stage];
        let sealed = project.json(&format!("{folder}/manifest.json"));
        let total: u64 = OUTCOMES.iter().map(|outcome| number(&tally[*outcome])).sum();
        let counts = &sealed["counts"];
        for outcome in OUTCOMES {
            assert_eq!(tally[outcome], counts[outcome], "{stage}: {outcome}");
        }
        assert_eq!(number(&counts["inputs"]), total + number(&counts["not_sampled"]), "{stage}: inputs");

        let rows = project.rows(&format!("{folder}/part-00000.jsonl"));
        let dropped = project.rows(&format!("{folder}/rejected.jsonl"));
        let duplicates = project.rows(&format!("{folder}/duplicates.jsonl"));
        assert_eq!(rows.len() as u64, number(&tally["accepted"]), "{stage}: rows");
        assert_eq!(duplicates.len() as u64, number(&tally["duplicate"]), "{stage}: duplicates");
        for outcome in ["rejected", "refused", "failed", "over_budget"] {
            let listed = dropped.iter().filter(|row| row["outcome"] == outcome).count();
            assert_eq!(listed as u64, number(&tally[outcome]), "{stage}: {outcome} in rejected.jsonl");
        }
        let published: u64 = dataset["rows"][stage].as_object().into_iter().flatten().map(|(_, n)| number(n)).sum();
        let expected = if stage == "personas" { used(project, run_dir, &rows) } else { rows.len() };
        assert_eq!(published, expected as u64, "{stage}: rows of the dataset");
        let outcomes = dataset["outcomes"].as_array().into_iter().flatten().find(|entry| entry["stage"] == stage);
        assert_eq!(outcomes.map(|entry| &entry["counts"]), Some(tally), "{stage}: outcomes of the dataset");
        assert_every_input_once(stage, &rows, &dropped, &duplicates);
    }
}

/// How many of `people` occur in a situation.
fn used(project: &Project, run_dir: &str, people: &[Value]) -> usize {
    let situations = project.rows(&format!("{run_dir}/stages/2-situations/part-00000.jsonl"));
    let cast: Vec<&Value> =
        situations.iter().flat_map(|row| row["personas"].as_array().into_iter().flatten()).map(|p| &p["id"]).collect();
    people.iter().filter(|person| cast.contains(&&person["id"])).count()
}

fn assert_every_input_once(stage: &str, rows: &[Value], dropped: &[Value], duplicates: &[Value]) {
    let lists = [rows, dropped, duplicates];
    let mut ids: Vec<&str> = lists.into_iter().flatten().filter_map(|row| row["id"].as_str()).collect();
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), all, "{stage}: an input has two outcomes");
}

/// A number of a JSON value, 0 where there is none.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// The object that a run prints, without what it depends on the clock for.
pub(crate) fn timeless(mut summary: Value) -> Value {
    summary["wall_s"] = json!(0);
    summary["cpu_s"] = json!(0);
    summary
}
