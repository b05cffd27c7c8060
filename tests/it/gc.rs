//! `pipeline gc`: what goes, what stays, and what is refused before and after.

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, differing};
use crate::support::script::Script;

fn demo() -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    (endpoint, project)
}

#[test]
fn a_finished_run_loses_its_replies_and_nothing_else() {
    let (endpoint, project) = demo();
    let mut before = project.pipeline(&[]).ended(0).json();
    let (data, calls) = (project.data("runs/demo"), endpoint.calls().len());
    let journal = project.files("runs/demo/journal");
    let told = project.run(&["pipeline", "gc", "runs/demo", "--dry-run", "--json"]).ended(0).json();
    assert_eq!(project.files("runs/demo/journal"), journal, "a dry run removes nothing");
    let freed = project.run(&["pipeline", "gc", "runs/demo", "--json"]).ended(0).json();
    assert_eq!(freed, told);
    assert_eq!(freed["bytes"], journal.values().map(Vec::len).sum::<usize>());
    assert!(!project.path().join("runs/demo/journal").exists());

    for _ in 0..2 {
        let mut again = project.pipeline(&[]).ended(0).json();
        for summary in [&mut before, &mut again] {
            summary["wall_s"].take();
            summary["cpu_s"].take();
        }
        assert_eq!(again, before, "the summary is another one without the journal");
    }
    let status = project.run(&["pipeline", "status", "runs/demo", "--json"]).ended(0).json();
    assert_eq!((&status["usage"], &status["stages"]), (&before["usage"], &before["stages"]));
    project.run(&["pipeline", "verify", "runs/demo"]).ended(0);
    assert_eq!(differing(&data, &project.data("runs/demo")), Vec::<String>::new());
    let again = project.run(&["pipeline", "gc", "runs/demo"]).ended(0);
    assert!(again.stdout.contains("nothing was removed"), "{}", again.stdout);

    let id = project.rows("runs/demo/stages/3-conversations/part-00000.jsonl")[0]["id"].as_str().unwrap().to_owned();
    for refused in [
        project.run(&["explain", &id, "--run-dir", "runs/demo"]),
        project.pipeline(&["--fork", "runs/demo", "--run-dir", "runs/fork"]),
        project.pipeline(&["--retry-failed"]),
        project.run(&["pipeline", "verify", "runs/demo", "--salvage", "runs/saved"]),
    ] {
        let refused = refused.ended(2);
        assert!(refused.stderr.contains("`convogen pipeline gc` removed it"), "{}", refused.stderr);
    }
    std::fs::remove_dir_all(project.path().join("runs/demo/stages/3-conversations")).unwrap();
    let refused = project.pipeline(&[]).ended(2);
    assert!(refused.stderr.contains("cannot be made again"), "{}", refused.stderr);
    assert_eq!(endpoint.calls().len(), calls, "a call was made");
}

#[test]
fn a_run_that_needs_its_journal_keeps_it() {
    let (_endpoint, project) = demo();
    project.pipeline(&["--set", "budget.max_calls=30"]).ended(8);
    let refused = project.run(&["pipeline", "gc", "runs/demo"]).ended(2);
    assert!(refused.stderr.contains("runs/demo is not finished: its journal stays"), "{}", refused.stderr);
    project.pipeline(&[]).ended(0);

    let manifest = project.read("runs/demo/dataset/manifest.json");
    project.write("runs/demo/dataset/manifest.json", format!("{manifest} "));
    let refused = project.run(&["pipeline", "gc", "runs/demo"]).ended(2);
    assert!(refused.stderr.contains("has no dataset, or one that is not the run's own"), "{}", refused.stderr);
    project.write("runs/demo/dataset/manifest.json", manifest);

    let stage = "runs/demo/stages/3-conversations/part-00000.jsonl";
    let rows = project.read(stage);
    project.write(stage, rows.replacen("train", "tra1n", 1));
    project.run(&["pipeline", "gc", "runs/demo"]).ended(11);
    assert!(project.path().join("runs/demo/journal").is_dir());
    project.run(&["pipeline", "gc", "runs/none"]).ended(2);
    assert!(!project.path().join("runs/none").exists());
}
