//! The judge from end to end: scores with words that were said, failures that are never scores, and no say in what is accepted.

use serde_json::{Value, json};

use crate::support::endpoint::Endpoint;
use crate::support::project::Project;
use crate::support::script::{Answer, Call, Script};

pub(super) const SETS: [&str; 4] = ["--set", "judge.enabled=true", "--set", "models.default.structured=json_schema"];

pub(super) fn is_judging(call: &Call) -> bool {
    call.body["response_format"]["json_schema"]["name"] == "judgement"
}

/// Scores that quote the transcript's last line, or something nobody said.
pub(super) fn judged(call: &Call, invented: bool) -> Answer {
    let prompt = call.last_message();
    let transcript =
        prompt.split("<conversation>\n").nth(1).and_then(|rest| rest.split("\n</conversation>").next()).unwrap();
    let line = transcript.lines().last().unwrap();
    let quote = if invented { "words that nobody ever said".to_owned() } else { line.to_uppercase() };
    let scale = |score: u32| json!({"quote": quote, "score": score});
    let reply = json!({"situation": scale(5), "persona": scale(4), "relations": scale(3), "topic": scale(2),
                       "contradiction": {"quote": "", "found": false}});
    Answer::Text(reply.to_string())
}

fn run(
    rule: impl Fn(&Call) -> Answer + Send + Sync + 'static,
    sets: &[&str],
) -> (Project, Endpoint, crate::support::project::Ran) {
    let endpoint = Endpoint::start(Script::answering(rule));
    let project = Project::new();
    project.demo(&endpoint.base_url());
    let ran = project.pipeline(sets).ended(0);
    (project, endpoint, ran)
}

fn rows(project: &Project) -> Vec<Value> {
    project.rows("runs/demo/stages/3-conversations/part-00000.jsonl")
}

fn judgements(project: &Project) -> Vec<Value> {
    rows(project).iter().map(|row| serde_json::from_str(row["judgement"].as_str().unwrap()).unwrap()).collect()
}

#[test]
fn scores_stand_in_the_record_and_change_nothing_else() {
    let (project, endpoint, ran) =
        run(|call| if is_judging(call) { judged(call, false) } else { Answer::Plausible }, &SETS);
    let (plain, ..) = run(|_| Answer::Plausible, &SETS[2..]);
    let without = |project: &Project| -> Vec<Value> {
        let rows = rows(project).into_iter();
        rows.map(|mut row| row.as_object_mut().unwrap().remove("judgement").map(|_| row).unwrap()).collect()
    };
    assert_eq!(without(&project), without(&plain));
    let judgements = judgements(&project);
    for judgement in &judgements {
        assert_eq!(judgement["scores"]["topic"]["score"], 2, "{judgement}");
        assert!(judgement["failure"].is_null() && judgement["model"] == "demo", "{judgement}");
    }
    assert_eq!(ran.json()["usage"]["calls_by_role"]["judge"], judgements.len());
    let notes = project.json("runs/demo/stages/3-conversations/manifest.json")["notes"]["judge"].clone();
    assert_eq!(notes["means"], json!({"situation": 5.0, "persona": 4.0, "relations": 3.0, "topic": 2.0}));
    assert_eq!(notes["distribution"]["topic"], json!([0, judgements.len(), 0, 0, 0]));
    assert!(ran.stderr.contains("demo scores what it wrote itself"), "{}", ran.stderr);
    assert!(ran.stderr.contains("topic 2.00"), "{}", ran.stderr);
    let made = endpoint.calls().len();
    project.pipeline(&SETS).ended(0);
    assert_eq!(endpoint.calls().len(), made, "a finished run asks nobody");
}

#[test]
fn words_that_nobody_said_are_asked_for_once_more_and_then_a_failure() {
    // The second time of asking mends it for about half of the conversations.
    let invents = |call: &Call| !call.last_message().contains("could not be used") || call.share() < 0.5;
    let rule = move |call: &Call| if is_judging(call) { judged(call, invents(call)) } else { Answer::Plausible };
    let (project, endpoint, ran) = run(rule, &SETS);
    let judgements = judgements(&project);
    let failed: Vec<&Value> = judgements.iter().filter(|judgement| !judgement["failure"].is_null()).collect();
    assert!(!failed.is_empty() && failed.len() < judgements.len(), "{} of {}", failed.len(), judgements.len());
    for judgement in &failed {
        assert_eq!((&judgement["failure"], &judgement["scores"]), (&json!("evidence_not_found"), &json!({})));
    }
    let asked = endpoint.calls().iter().filter(|call| call.body.contains("\"judgement\"")).count();
    assert_eq!(asked, 2 * judgements.len());
    let notes = project.json("runs/demo/stages/3-conversations/manifest.json")["notes"]["judge"].clone();
    assert_eq!(notes["failures"]["evidence_not_found"], failed.len());
    assert_eq!(notes["judged"], judgements.len() - failed.len());
    assert!(ran.stderr.contains(&format!("not scored: evidence_not_found {}", failed.len())), "{}", ran.stderr);
}

#[test]
fn a_judge_that_refuses_or_cannot_be_had_leaves_the_conversations_as_they_are() {
    for (answer, why) in [
        (Answer::azure_filter("violence"), "refused: violence"),
        (Answer::error(400, "bad", "no"), "bad_request"),
        (Answer::Text("Lovely talk!".to_owned()), "malformed"),
    ] {
        let rule = move |call: &Call| if is_judging(call) { answer.clone() } else { Answer::Plausible };
        let (project, ..) = run(rule, &SETS);
        assert!(judgements(&project).iter().all(|judgement| judgement["failure"] == why), "{why}");
    }
}

#[test]
fn a_share_is_judged_when_a_share_is_asked_for() {
    let rule = |call: &Call| if is_judging(call) { judged(call, false) } else { Answer::Plausible };
    let (project, endpoint, _) = run(rule, &[&SETS[..], &["--set", "judge.sample=0.4"]].concat());
    let judged = judgements(&project).iter().filter(|judgement| judgement["scores"].is_object()).count();
    assert!((1..11).contains(&judged), "{judged}");
    assert_eq!(endpoint.calls().iter().filter(|call| call.body.contains("\"judgement\"")).count(), judged);
    let ids: Vec<String> = rows(&project).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    let page = project.run(&["explain", &ids[0], "--run-dir", "runs/demo", "--calls"]).ended(0).stdout;
    assert!(page.contains("It begins: "), "{page}");
}
