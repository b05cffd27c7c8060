//! `show` prints conversations of a finished run, and `explain` the talk before the calls.

use std::collections::BTreeSet;

use crate::support::endpoint::Endpoint;
use crate::support::project::Project;
use crate::support::script::{Answer, Script};

fn finished(script: Script) -> Project {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    project.pipeline(&["--set", "situations.count=6"]);
    project
}

fn ids(value: &serde_json::Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_end_of_a_run_names_the_command_that_shows_it_and_that_shows_what_was_said() {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    let told = project.pipeline(&[]).ended(0).stderr;
    assert!(told.contains("read it      convogen show runs/demo\n"), "{told}");
    let talks = project.rows("runs/demo/stages/3-conversations/part-00000.jsonl");
    let (first, id) = (&talks[0], talks[4]["id"].as_str().unwrap());
    let page = project.run(&["show", "runs/demo"]).ended(0);
    for turn in first["turns"].as_array().unwrap() {
        // A page breaks long lines; the first words stay together.
        let start: Vec<&str> = turn["text"].as_str().unwrap().split(' ').take(2).collect();
        assert!(page.stdout.contains(&start.join(" ")), "{turn}\n{}", page.stdout);
    }
    assert!(page.stderr.contains("1 of 12 conversations"), "{}", page.stderr);
    assert_eq!(project.run(&["show"]).ended(0).stdout, page.stdout, "there is one run, so it is meant");

    let explained = project.run(&["explain", id, "--run-dir", "runs/demo"]).ended(0).stdout;
    assert_eq!(project.run(&["explain", id]).ended(0).stdout, explained);

    let one = project.run(&["show", "runs/demo", id, "--json"]).ended(0).json();
    assert_eq!((&one["conversations"][0], ids(&one["conversations"]).len()), (&talks[4], 1));
    assert_eq!(one["situations"][0]["id"], talks[4]["situation_id"]);
    let situation = one["situations"][0]["id"].as_str().unwrap();
    let again = project.run(&["show", "runs/demo", situation, "--json"]).ended(0).json();
    assert_eq!(again["conversations"], one["conversations"]);

    let drawn =
        || ids(&project.run(&["show", "runs/demo", "--random", "4", "--json"]).ended(0).json()["conversations"]);
    let draws: BTreeSet<Vec<String>> = (0..4).map(|_| drawn()).collect();
    assert!(draws.iter().all(|draw| draw.len() == 4 && draw.iter().collect::<BTreeSet<_>>().len() == 4), "{draws:?}");
    assert!(draws.len() > 1, "four draws of 4 of 12 are the same: {draws:?}");
    let told = project.run(&["show", "runs/demo", "c-none"]).ended(2).stderr;
    assert!(told.contains("runs/demo has no conversation and no situation c-none"), "{told}");
}

#[test]
fn what_was_lost_is_shown_with_its_reason() {
    let project = finished(Script::but(|call| call.share() < 0.3, |_| Answer::Text("…".to_owned())));
    let stages = ["3-conversations", "2-situations"].map(|stage| format!("runs/demo/stages/{stage}/rejected.jsonl"));
    let lost: Vec<serde_json::Value> = stages.iter().flat_map(|file| project.rows(file)).collect();
    let rejected: Vec<&serde_json::Value> = lost.iter().filter(|row| row["outcome"] == "rejected").collect();
    assert!(!rejected.is_empty(), "nothing was lost");
    let reason = rejected[0]["reason"].as_str().unwrap();
    let wanted = rejected.iter().filter(|row| row["reason"] == reason).count();
    let asked = ["show", "runs/demo", "--outcome", "rejected", "--reason", reason, "--number", "1"];
    let told = project.run(&[&asked[..], &["--json"]].concat()).ended(0).json();
    assert_eq!((told["of"].as_u64(), &told["dropped"][0]), (Some(wanted as u64), rejected[0]));
    assert_eq!(told["dropped"].as_array().unwrap().len(), 1);
    let page = project.run(&asked).ended(0);
    assert!(page.stdout.contains(&format!("was not accepted: {reason}")), "{}", page.stdout);
    assert!(page.stderr.contains("--calls"), "{}", page.stderr);
}

#[test]
fn explain_shows_the_talk_and_its_origin_and_the_calls_when_asked() {
    let project = finished(Script::default());
    let talk = &project.rows("runs/demo/stages/3-conversations/part-00000.jsonl")[0];
    let explain = ["explain", talk["id"].as_str().unwrap(), "--run-dir", "runs/demo"];
    let page = project.run(&explain).ended(0);
    let place = |page: &str, text: &str| page.find(text).unwrap_or_else(|| panic!("no {text} on {page}"));
    assert!(place(&page.stdout, "topic") < place(&page.stdout, "\npeople\n"));
    assert!(!page.stdout.contains("━━ call 1"), "{}", page.stdout);
    assert!(page.stderr.contains("--calls"), "{}", page.stderr);
    let page = project.run(&[&explain[..], &["--calls"]].concat()).ended(0).stdout;
    assert!(place(&page, "\npeople\n") < place(&page, "━━ call 1"));
}

#[test]
fn shells_and_man_are_told_of_every_command() {
    let project = Project::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = project.run(&["completions", shell]).ended(0).stdout;
        for word in ["compile-upload", "retry-failed", "show"] {
            assert!(script.contains(word), "{shell} knows nothing of {word}");
        }
    }
    let page = project.run(&["man"]).ended(0).stdout;
    assert!(page.contains(".TH convogen 1"), "{page}");
    for text in [".SH \"CONVOGEN PIPELINE RUN\"", ".SH \"CONVOGEN SHOW\"", "retry", "Exit codes"] {
        assert!(page.contains(text), "{text} is not on the page");
    }
    project.run(&["completions", "tcsh"]).ended(2);
}
