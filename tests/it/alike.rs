//! What befalls one prompt costs its item; what befalls every prompt stops the run, says why and what to change, and is asked
//! anew once that is mended.

use serde_json::{Value, json};

use crate::support::endpoint::{Endpoint, LoggedCall};
use crate::support::project::{Project, Ran};
use crate::support::script::{Answer, Call, Script};
use crate::support::sums::{assert_sums, number};

fn begin(rule: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> (Endpoint, Project) {
    let endpoint = Endpoint::start(Script::answering(rule));
    let project = Project::new();
    project.demo(&endpoint.base_url());
    (endpoint, project)
}

fn says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in {}", ran.stderr);
    }
}

fn is_sealed(project: &Project, stage: &str) -> bool {
    project.path().join("runs/demo/stages").join(stage).join("manifest.json").exists()
}

fn wants_situations(call: &Call) -> bool {
    call.raw.contains("conversation_starter") && !call.raw.contains("verdict")
}

fn forms(calls: &[LoggedCall]) -> Vec<String> {
    let form = |call: &LoggedCall| {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        let format = &body["response_format"];
        let schema = if format.get("schema").is_some() { "+schema" } else { "" };
        format!("{}{schema}", format["type"].as_str().unwrap_or("words"))
    };
    calls.iter().map(form).collect()
}

#[test]
fn calls_that_all_fail_alike_stop_the_run_and_are_made_anew_once_that_is_mended() {
    let (endpoint, project) = begin(|call| {
        if wants_situations(call) {
            Answer::error(400, "x", "the moon is in the wrong house")
        } else {
            Answer::Plausible
        }
    });
    let ran = project.pipeline(&["--set", "situations.count=30"]);
    says(&ran, 6, &["failed alike", "the moon is in the wrong house", "the same command goes on"]);
    assert!(!is_sealed(&project, "2-situations"));
    assert!(endpoint.calls().len() <= 12, "{} calls", endpoint.calls().len());
    let well = Endpoint::start(Script::default());
    let address = format!("models.default.base_url={}", well.base_url());
    let summary = project.pipeline(&["--set", "situations.count=30", "--set", &address]).ended(0).json();
    assert_sums(&project, "runs/demo", &summary);
    assert_eq!(summary["stages"]["situations"]["failed"], 0);
}

#[test]
fn a_handful_of_items_is_not_sealed_either_when_nothing_succeeded() {
    let (_endpoint, project) = begin(|call| if call.wants_a_line() { Answer::length() } else { Answer::Plausible });
    let ran = project.pipeline(&["--set", "situations.count=3", "--set", "conversations.words_per_turn=null"]);
    says(&ran, 2, &["were cut off", "max_tokens", "600 tokens"]);
    assert!(is_sealed(&project, "2-situations") && !is_sealed(&project, "3-conversations"));
}

#[test]
fn a_setting_that_shapes_the_data_may_change_as_long_as_nothing_was_accepted() {
    let (endpoint, project) = begin(|call| {
        let room = call.body["max_tokens"].as_u64().unwrap_or_default();
        let cut_off = json!({"choices": [{"message": {"content": "{\"situations\": ["}, "finish_reason": "length"}],
                             "usage": {"prompt_tokens": 2000, "completion_tokens": room}});
        if wants_situations(call) && room < 4000 { Answer::json(&cut_off) } else { Answer::Plausible }
    });
    let sets = ["--set", "situations.count=40"];
    says(&project.pipeline(&sets), 2, &["were cut off", "situations.max_tokens", "whatever setting is changed"]);
    let first = endpoint.calls().len();
    assert!(first <= 24 + 40, "{first} calls");
    let more = [&sets[..], &["--set", "situations.max_tokens=4000"]].concat();
    let summary = project.pipeline(&more).ended(0).json();
    assert_sums(&project, "runs/demo", &summary);
    says(&project.pipeline(&sets), 5, &["situations.max_tokens", "--fork"]);
}

#[test]
fn a_setting_that_shaped_what_was_accepted_is_changed_in_a_fork() {
    let (_endpoint, project) = begin(|call| if call.wants_a_line() { Answer::length() } else { Answer::Plausible });
    let ran = project.pipeline(&[]);
    says(&ran, 2, &["max_tokens", "--fork runs/demo --run-dir"]);
    says(&project.pipeline(&["--set", "models.default.max_tokens=900"]), 5, &["--fork runs/demo"]);
}

#[test]
fn a_prompt_that_never_passes_costs_its_item_and_the_run_ends() {
    let (endpoint, project) = begin(|call| {
        let struck = call.wants_a_line() && call.share() < 0.03 && !call.raw.contains("Greet the people");
        if struck { Answer::error(500, "server_error", "failed to parse input at pos 0") } else { Answer::Plausible }
    });
    let sets = ["--set", "situations.count=12", "--set", "models.default.max_attempts=3"];
    let ran = project.pipeline(&sets);
    says(&ran, 9, &["lost:", "failed to parse input at pos 0"]);
    let summary = ran.json();
    let talks = &summary["stages"]["conversations"];
    assert!(number(&talks["failed"]) > 0 && number(&talks["accepted"]) > 0, "{talks}");
    assert_sums(&project, "runs/demo", &summary);
    let made = endpoint.calls().len();
    project.pipeline(&sets).ended(9);
    assert_eq!(endpoint.calls().len(), made, "the command ends as it did, without a call");
}

#[test]
fn a_403_is_of_its_prompt_until_all_meet_it() {
    let denied = || Answer::error(403, "forbidden", "not this one");
    let (_endpoint, project) =
        begin(move |call| if call.wants_a_line() && call.share() < 0.03 { denied() } else { Answer::Plausible });
    let summary = project.pipeline(&["--set", "situations.count=12"]).ended(9).json();
    assert!(number(&summary["stages"]["conversations"]["failed"]) > 0);
    let (endpoint, project) = begin(move |_| denied());
    says(&project.pipeline(&[]), 6, &["403", "not this one"]);
    assert!(endpoint.calls().len() <= 3);
}

#[test]
fn a_server_that_breaks_on_a_form_of_reply_is_asked_in_the_next_and_a_broken_one_is_no_verdict() {
    let (endpoint, project) = begin(|call| {
        let form = call.body.pointer("/response_format/type").and_then(Value::as_str);
        match form {
            Some("json_schema") => Answer::error(500, "server_error", "internal error"),
            _ => Answer::Plausible,
        }
    });
    let ran = project.pipeline(&[]);
    says(&ran, 0, &["asked for JSON as a JSON object with a schema"]);
    let forms = forms(&endpoint.calls());
    assert_eq!(&forms[..4], ["json_schema", "words", "json_schema", "json_object+schema"]);
    assert!(!forms[3..].contains(&"json_schema".to_owned()));
    let status = project.run(&["pipeline", "status", "runs/demo"]).ended(0);
    assert!(status.stdout.contains("asked for JSON as a JSON object with a schema"), "{}", status.stdout);

    let (broken, project) = begin(|_| Answer::error(400, "x", "no entry"));
    says(&project.pipeline(&[]), 6, &["does not answer a short test message", "no entry"]);
    assert_eq!(broken.calls().len(), 2);
    let well = Endpoint::start(Script::default());
    let address = format!("models.default.base_url={}", well.base_url());
    says(&project.pipeline(&["--set", &address]), 0, &["by a JSON schema, which it keeps to"]);
}

#[test]
fn a_keyword_that_is_not_taken_is_left_out_and_checked_here() {
    let (endpoint, project) = begin(|call| {
        let format = call.body.get("response_format").map(Value::to_string).unwrap_or_default();
        if format.contains("\"minItems\"") {
            let error = json!({"error": {"message": "Invalid schema for response_format: 'minItems' is not permitted.", "param": "response_format", "code": null}});
            return Answer::Status(400, Vec::new(), error.to_string().into_bytes());
        }
        Answer::Plausible
    });
    let ran = project.pipeline(&[]);
    assert!(matches!(ran.code, Some(0 | 9)), "{}", ran.stderr);
    says(&ran, ran.code.unwrap(), &["minItems left out"]);
    let refused = endpoint.calls().iter().filter(|call| call.body.contains("minItems")).count();
    assert_eq!(refused, 1, "learnt once");
}

#[test]
fn a_probe_has_the_limit_and_the_schema_of_the_call_that_wants_to_know() {
    let (endpoint, project) = begin(|_| Answer::Plausible);
    project.pipeline(&["--set", "situations.max_tokens=1234"]).ended(0);
    let bodies: Vec<Value> = endpoint.calls().iter().map(|call| serde_json::from_str(&call.body).unwrap()).collect();
    assert_eq!(bodies[0]["max_tokens"], 1234);
    let sample = &bodies[0]["response_format"]["json_schema"]["schema"]["properties"]["sample"]["items"];
    // Several wanted to know; whichever asked, its call follows.
    assert!(bodies[1..].iter().any(|body| body["response_format"]["json_schema"]["schema"] == *sample), "{sample}");
}

#[test]
fn choices_that_fell_back_and_the_commonest_losses_stand_in_the_summary_and_in_status() {
    let (_endpoint, project) = begin(|call| {
        let chooses = call.schema().is_some_and(|schema| schema["properties"].get("next").is_some());
        if chooses { Answer::Text(json!({"next": "User", "end": false}).to_string()) } else { Answer::Plausible }
    });
    let ran = project.pipeline(&[]);
    assert!(matches!(ran.code, Some(0 | 9)), "{}", ran.stderr);
    assert!(ran.stderr.contains("choices of a speaker fell back"), "{}", ran.stderr);
    let status = project.run(&["pipeline", "status", "runs/demo"]).ended(0);
    assert!(status.stdout.contains("choices of a speaker fell back"), "{}", status.stdout);
}

#[test]
fn a_template_without_a_system_role_gets_the_rules_in_the_first_message() {
    let (endpoint, project) = begin(|call| {
        if call.raw.contains(r#""role":"system""#) {
            return Answer::error(400, "x", "System role not supported");
        }
        Answer::Plausible
    });
    project.pipeline(&[]).ended(0);
    let refused = endpoint.calls().iter().filter(|call| !call.answered).count();
    assert!(refused <= 5, "{refused} calls to learn it");
}
