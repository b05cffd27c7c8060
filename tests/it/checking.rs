//! Before the first call: what `config check --online` finds out, and which run a command means that is typed in another folder.

use serde_json::json;

use crate::support::endpoint::Endpoint;
use crate::support::project::Project;
use crate::support::script::{Answer, Script, completion, plausible};

const ONE: [&str; 4] = ["--set", "situations.count=1", "--set", "compile.splits={train: 1.0}"];

#[test]
fn online_makes_one_small_call_a_model_and_says_what_it_found() {
    let (project, mut endpoint) = (Project::new(), Endpoint::start(Script::default()));
    project.demo(&endpoint.base_url());
    let check = |more: &[&str]| project.run(&[&["config", "check", "-c", "demo.yaml"], more].concat());
    let offline = check(&[]).ended(0);
    assert!(offline.stdout.contains("demo.yaml: ok") && endpoint.calls().is_empty(), "{offline:?}");
    assert!(offline.stdout.contains("personas taken"), "{offline:?}");
    let two = ["--online", "--set", "judge.enabled=true", "--set", "models.judge={model: other, structured: none}"];
    let found = check(&two).ended(0).stdout;
    assert_eq!(endpoint.calls().len(), 2, "one a model");
    let answers = |key: &str, name: &str| format!("models.{key}: {name} at {} answers", endpoint.origin());
    assert!(found.contains(&format!("{}, keeps to a JSON schema; ", answers("default", "demo"))), "{found}");
    assert!(
        found.contains(&format!("{}; ", answers("judge", "other"))),
        "asked as configured, without a schema: {found}"
    );
    assert!(!project.path().join("runs").exists(), "nothing is recorded");
    assert!(!found.contains(" answers as "), "who answers by the name that was asked for is named once: {found}");
    endpoint.stop();
    let silent = check(&["--online"]).ended(6);
    assert!(silent.stderr.contains("1 model does not answer\n  models.default (demo): "), "{silent:?}");
}

#[test]
fn online_names_the_model_that_answers_for_the_one_that_was_asked() {
    for (named, told) in [
        (json!("demo-2026-08-06"), " answers as demo-2026-08-06, keeps to a JSON schema; "),
        (json!("demo"), " answers, keeps to a JSON schema; "),
        (json!(null), " answers, keeps to a JSON schema; "),
        (json!(7), " answers, keeps to a JSON schema; "),
    ] {
        let endpoint = Endpoint::start(Script::answering(move |call| {
            let mut answer = completion(call, &plausible(call));
            answer["model"] = named.clone();
            Answer::json(&answer)
        }));
        let project = Project::new();
        project.demo(&endpoint.base_url());
        let found = project.run(&["config", "check", "-c", "demo.yaml", "--online"]).ended(0).stdout;
        let line = format!("models.default: demo at {}{told}", endpoint.origin());
        assert!(found.contains(&line), "{found}");
    }
}

#[test]
fn the_same_command_in_a_subfolder_does_not_buy_a_second_run() {
    let (project, endpoint) = (Project::new(), Endpoint::start(Script::default()));
    project.demo(&endpoint.base_url());
    project.write("notes/today/x.txt", "");
    project.pipeline(&ONE).ended(0);
    let bought = endpoint.calls().len();
    let within = |arguments: &[&str]| {
        let command = &mut project.convogen(arguments);
        crate::support::project::Ran::from(command.current_dir(project.path().join("notes/today")).output().unwrap())
    };
    let run = ["pipeline", "run", "-c", "../../demo.yaml"];
    let asked = within(&[&run[..], &ONE].concat()).ended(2);
    assert!(asked.stderr.contains("but ../../runs/demo is one"), "{asked:?}");
    assert!(asked.stderr.contains("--run-dir ../../runs/demo goes on with it"), "{asked:?}");
    let status = within(&["pipeline", "status", "-c", "../../demo.yaml"]).ended(0);
    assert!(status.stdout.contains("../../runs/demo is finished"), "{status:?}");
    within(&[&run[..], &ONE, &["--run-dir", "../../runs/demo"]].concat()).ended(0);
    assert_eq!(endpoint.calls().len(), bought, "nothing is bought twice");
    within(&[&run[..], &ONE, &["--run-dir", "runs/demo"]].concat()).ended(0);
    assert!(endpoint.calls().len() > bought && project.path().join("notes/today/runs/demo/run.json").is_file());
}

#[test]
fn who_is_told_of_a_missing_key_is_told_where_it_was_looked_for() {
    let (project, endpoint) = (Project::new(), Endpoint::start(Script::default()));
    project.demo(&endpoint.base_url());
    let named = ["--set", "models.default.api_key_env=DEMO_KEY"];
    let place = project.path().canonicalize().unwrap();
    let missing = project.pipeline(&named).ended(2).stderr;
    assert!(missing.contains(&format!(".env: there is none in {}", place.display())), "{missing}");
    project.write(".env", "OTHER_KEY=canary\n");
    let read = project.pipeline(&named).ended(2).stderr;
    assert!(read.contains(&format!(".env: {} is read", place.join(".env").display())), "{read}");
    assert!(!read.contains("canary"), "{read}");
}
