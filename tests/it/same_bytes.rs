//! The same replies make the same bytes, whatever else is different; and what would make others is refused.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, differing};
use crate::support::script::{Answer, Script};
use crate::support::sums::{assert_sums, number, timeless};

fn demo(script: Script) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    (endpoint, project)
}

fn assert_same(wanted: &BTreeMap<String, Vec<u8>>, project: &Project, why: &str) {
    assert_eq!(differing(wanted, &project.data("runs/demo")), Vec::<String>::new(), "{why}");
}

#[test]
fn neither_concurrency_nor_threads_nor_time_show_in_the_data() {
    let (_endpoint, first) = demo(Script::default());
    first.pipeline(&[]).ended(0);
    let wanted = first.data("runs/demo");
    for concurrency in ["8", "1", "64"] {
        let (_endpoint, project) = demo(Script::default());
        project.pipeline(&["--set", &format!("models.default.concurrency={concurrency}")]).ended(0);
        assert_same(&wanted, &project, concurrency);
    }
    let (_endpoint, project) = demo(Script::default());
    let mut command = project.convogen(&["pipeline", "run", "-c", "demo.yaml"]);
    assert!(command.env("TOKIO_WORKER_THREADS", "1").status().unwrap().success());
    assert_same(&wanted, &project, "one thread");
}

/// Replies that come in another order than they were asked for.
#[test]
fn the_order_of_replies_does_not_show_in_the_data() {
    let (_endpoint, first) = demo(Script::default());
    first.pipeline(&[]).ended(0);
    let shuffled = Script::answering(|call| {
        let pause = if call.share() < 0.5 { 1 } else { 25 };
        Answer::Late(std::time::Duration::from_millis(pause))
    });
    let (_endpoint, project) = demo(shuffled);
    project.pipeline(&["--set", "models.default.concurrency=64"]).ended(0);
    assert_same(&first.data("runs/demo"), &project, "shuffled replies");
}

#[test]
fn a_finished_run_needs_no_endpoint_and_ends_as_it_did() {
    let refusing =
        || Script::but(|call| call.schema().is_none() && call.share() < 0.05, |_| Answer::azure_filter("violence"));
    let partial = ["--set", "budget.max_calls=60", "--accept-partial"];
    for (script, arguments, code) in [
        (Script::default(), [].as_slice(), 0),
        (refusing(), ["--set", "dedup.enabled=false"].as_slice(), 9),
        (Script::default(), partial.as_slice(), 8),
    ] {
        let (mut endpoint, project) = demo(script);
        let summary = project.pipeline(arguments).ended(code).json();
        assert_sums(&project, "runs/demo", &summary);
        let (wanted, calls) = (project.data("runs/demo"), endpoint.calls().len());
        let again = project.pipeline(arguments).ended(code).json();
        assert_eq!(endpoint.calls().len(), calls, "a finished run makes no call");
        assert_eq!(timeless(again), timeless(summary.clone()));
        endpoint.stop();
        let alone = project.pipeline(arguments).ended(code).json();
        assert_eq!(timeless(alone), timeless(summary));
        assert_same(&wanted, &project, "run again");
    }
}

#[test]
fn settings_that_shape_the_data_are_refused_by_name_and_others_taken() {
    let (_endpoint, project) = demo(Script::default());
    project.write("prompts/speaker.md", include_str!("../../prompts/conversations/speaker.md"));
    let prompt = ["--set", "conversations.prompts.speaker=prompts/speaker.md"];
    project.pipeline(&prompt).ended(0);
    let wanted = project.data("runs/demo");
    for (set, name) in [
        ("seed=18", "seed"),
        ("conversations.turns.max=9", "conversations.turns.max"),
        ("conversations.layout=shared_prefix", "conversations.layout"),
        ("situations.count=13", "situations.count"),
        ("models.default.temperature=0.7", "models.default.temperature"),
        ("compile.splits={train: 0.5, test: 0.5}", "compile.splits"),
        ("card.license=mit", "card.license"),
    ] {
        let ran = project.pipeline(&[&prompt[..], &["--set", set]].concat()).ended(5);
        assert!(ran.stderr.contains(name), "{set} is not named: {}", ran.stderr);
    }
    for set in ["models.default.concurrency=3", "budget.max_calls=100000", "models.default.max_attempts=2"] {
        project.pipeline(&[&prompt[..], &["--set", set]].concat()).ended(0);
        assert_same(&wanted, &project, set);
    }
    let text = project.read("prompts/speaker.md").replacen("objects", "Objects", 1);
    project.write("prompts/speaker.md", text);
    let ran = project.pipeline(&prompt).ended(5);
    assert!(ran.stderr.contains("speaker.md"), "{}", ran.stderr);
}

fn by_id(project: &Project, name: &str) -> BTreeMap<String, String> {
    let rows = project.rows(name).into_iter();
    rows.map(|row| (row["id"].as_str().unwrap().to_owned(), row.to_string())).collect()
}

#[test]
fn a_fork_with_a_larger_count_holds_the_old_conversations_and_pays_for_the_new() {
    let (endpoint, project) = demo(Script::default());
    project.pipeline(&["--set", "situations.count=6"]).ended(0);
    let old = endpoint.calls();
    let fork = ["--fork", "runs/demo", "--run-dir", "runs/more"];
    let summary = project.pipeline(&fork).ended(0).json();
    assert_sums(&project, "runs/more", &summary);
    let all = endpoint.calls();
    assert_eq!(
        number(&summary["usage"]["calls"]),
        (all.len() - old.len()) as u64,
        "what was bought before costs nothing"
    );
    let asked: BTreeSet<&str> = old.iter().map(|call| call.body.as_str()).collect();
    let twice = all[old.len()..].iter().filter(|call| asked.contains(call.body.as_str())).count();
    assert_eq!(twice, 0, "the fork asked what the old run had asked");

    let name = "stages/3-conversations/part-00000.jsonl";
    let (before, after) =
        (by_id(&project, &format!("runs/demo/{name}")), by_id(&project, &format!("runs/more/{name}")));
    assert!(after.len() > before.len());
    for (id, row) in before {
        assert_eq!(after.get(&id), Some(&row), "{id}");
    }

    let fresh = Project::new();
    fresh.demo(&endpoint.base_url());
    fresh.pipeline(&["--run-dir", "runs/more"]).ended(0);
    assert_eq!(differing(&fresh.data("runs/more"), &project.data("runs/more")), Vec::<String>::new());
}

#[test]
fn personas_that_changed_since_are_refused_by_name() {
    let (_endpoint, project) = demo(Script::default());
    let personas = include_str!("../../prompts/personas/personahub-placeholder.jsonl");
    project.write("people.jsonl", personas);
    let source = ["--set", "personas.source=people.jsonl"];
    project.pipeline(&source).ended(0);
    let wanted = project.data("runs/demo");
    project.write("people.jsonl", format!("{personas}{{\"persona\": \"A lighthouse keeper who knits.\"}}\n"));
    let ran = project.pipeline(&source).ended(5);
    assert!(ran.stderr.contains("people.jsonl") && ran.stderr.contains("--fork"), "{}", ran.stderr);
    project.write("people.jsonl", personas);
    project.pipeline(&source).ended(0);
    assert_same(&wanted, &project, "personas as they were");
}

/// A partial run was sealed as it was: it stays so, and its fork goes on where the budget had cut it off.
#[test]
fn a_fork_of_a_partial_run_goes_on_to_the_bytes_of_a_whole_one() {
    let (_endpoint, whole) = demo(Script::default());
    whole.pipeline(&[]).ended(0);
    let (endpoint, project) = demo(Script::default());
    project.pipeline(&["--set", "budget.max_calls=60", "--accept-partial"]).ended(8);
    let bought = endpoint.calls().len();
    project.pipeline(&[]).ended(8);
    assert_eq!(endpoint.calls().len(), bought, "what was accepted as partial makes no call");
    project.pipeline(&["--fork", "runs/demo", "--run-dir", "runs/rest"]).ended(0);
    assert_eq!(differing(&whole.data("runs/demo"), &project.data("runs/rest")), Vec::<String>::new());
    let asked: BTreeSet<String> = endpoint.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(asked.len(), endpoint.calls().len(), "nothing is bought twice");
}
