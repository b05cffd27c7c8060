//! What may be spent, what refusals cost, and what is asked again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, differing};
use crate::support::script::{Answer, Call, Script, completion, plausible};
use crate::support::sums::{assert_sums, number};

fn demo(script: Script) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    (endpoint, project)
}

/// A third of all requests fail for the first time, with the leave to come again at once.
fn flaky() -> Script {
    Script::but(
        |call| call.repeat == 0 && call.share() < 0.3,
        |_| Answer::Status(500, vec![("retry-after", "0".to_owned())], b"{}".to_vec()),
    )
}

/// Waits until the endpoint was asked so often.
fn until_asked(endpoint: &Endpoint, calls: usize) {
    let patience = Instant::now() + Duration::from_secs(60);
    while endpoint.calls().len() < calls {
        assert!(Instant::now() < patience, "the endpoint is not asked");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether a person is made to speak.
fn speaking(call: &Call) -> bool {
    call.schema().is_none()
}

#[test]
fn no_request_goes_out_above_max_calls_and_a_raised_budget_goes_on_to_the_same_bytes() {
    let (_endpoint, unlimited) = demo(Script::default());
    unlimited.pipeline(&[]).ended(0);
    let wanted = unlimited.data("runs/demo");
    for script in [Script::default, flaky] {
        let (endpoint, project) = demo(script());
        for cap in [1, 5, 13, 77, 150] {
            let ran = project.pipeline(&["--set", &format!("budget.max_calls={cap}")]).ended(8);
            let calls = endpoint.calls().len();
            assert!(calls <= cap, "{calls} calls where {cap} were allowed");
            assert!(calls == cap || cap > 13, "while situations are made, max_calls is used up");
            assert!(ran.stderr.contains("budget.max_calls"), "{}", ran.stderr);
        }
        let summary = project.pipeline(&[]).ended(0).json();
        assert_eq!(number(&summary["usage"]["calls"]), endpoint.calls().len() as u64, "retries count");
        assert_eq!(differing(&wanted, &project.data("runs/demo")), Vec::<String>::new());
    }
}

#[test]
fn a_partial_run_is_a_prefix_whose_sums_match() {
    let (_endpoint, whole) = demo(Script::default());
    whole.pipeline(&[]).ended(0);
    let rows = |project: &Project| project.rows("runs/demo/stages/3-conversations/part-00000.jsonl");
    let all = rows(&whole);
    for (cap, least) in [(60, 2), (100, 4), (150, 7)] {
        let (endpoint, project) = demo(Script::default());
        let budget = format!("budget.max_calls={cap}");
        let summary = project.pipeline(&["--set", &budget, "--accept-partial"]).ended(8).json();
        assert!(endpoint.calls().len() <= cap);
        assert_eq!(summary["status"], "partial");
        assert_eq!(begun(&project).len(), rows(&project).len(), "every conversation that was begun ended");
        assert!(rows(&project).len() >= least, "{cap} calls bought {} conversations", rows(&project).len());
        assert_sums(&project, "runs/demo", &summary);
        let part = rows(&project);
        assert!(part.len() < all.len());
        assert_eq!(part.as_slice(), &all[..part.len()], "the longest prefix in item order");
        let lost = number(&summary["stages"]["situations"]["over_budget"])
            + number(&summary["stages"]["conversations"]["over_budget"]);
        assert!(lost > 0, "{summary}");
    }
}

/// Conversations for which a call was made.
fn begun(project: &Project) -> BTreeSet<String> {
    let lines = project.rows("runs/demo/journal/00000001.jsonl").into_iter();
    let items = lines.filter_map(|line| line["item"].as_str().filter(|item| item.starts_with("c-")).map(str::to_owned));
    items.collect()
}

#[test]
fn what_a_budget_buys_shows_neither_concurrency_nor_interruptions() {
    let price = ["--set", "models.default.price={prompt: 2.5, completion: 10}", "--set", "conversations.max_repairs=1"];
    for limit in ["budget.max_calls=110", "budget.max_tokens=90000", "budget.max_cost=0.3"] {
        let mut bought = BTreeSet::new();
        for (concurrency, interrupted) in [(1, false), (8, false), (64, true)] {
            let (endpoint, project) = demo(Script { latency: Duration::from_millis(4), ..Script::default() });
            let concurrency = format!("models.default.concurrency={concurrency}");
            let arguments = [&price[..], &["--set", limit, "--set", &concurrency, "--accept-partial"]].concat();
            if interrupted {
                let run = project.start(&arguments);
                until_asked(&endpoint, 40);
                run.signal("INT");
                run.end().ended(130);
            }
            let summary = project.pipeline(&arguments).ended(8).json();
            assert_sums(&project, "runs/demo", &summary);
            assert!(number(&summary["stages"]["conversations"]["accepted"]) > 1, "{limit}: {summary}");
            bought.insert(project.read("runs/demo/stages/3-conversations/part-00000.jsonl"));
        }
        assert_eq!(bought.len(), 1, "{limit}");
    }
}

#[test]
fn a_budget_that_buys_no_conversation_is_not_sealed_and_a_larger_one_goes_on() {
    let (_endpoint, whole) = demo(Script::default());
    whole.pipeline(&[]).ended(0);
    let (endpoint, project) = demo(Script::default());
    // The first ends while situations are made, the second before a conversation could be ended.
    for cap in [7, 24] {
        let ran = project.pipeline(&["--set", &format!("budget.max_calls={cap}"), "--accept-partial"]).ended(8);
        assert!(ran.stderr.contains("not one conversation is whole"), "{}", ran.stderr);
        assert_eq!(ran.json()["status"], "resumable");
        assert_eq!(begun(&project), BTreeSet::new());
        assert!(!project.path().join("runs/demo/stages/3-conversations/manifest.json").exists());
    }
    let before = endpoint.calls().len();
    project.pipeline(&["--accept-partial"]).ended(0);
    assert!(endpoint.calls().len() > before);
    assert_eq!(differing(&whole.data("runs/demo"), &project.data("runs/demo")), Vec::<String>::new());
}

/// Tokens that the endpoint has counted, and their price at 2.5 and 10 a million, cached ones at 1.25.
fn billed(endpoint: &Endpoint) -> (u64, f64) {
    let mut total = (0, 0.0);
    for call in endpoint.calls().into_iter().filter(|call| call.answered) {
        let body: Value = serde_json::from_str(&call.body).unwrap();
        let call = Call { index: 0, repeat: 0, at: call.at, path: call.path, key: None, raw: call.body, body };
        let usage = completion(&call, &plausible(&call))["usage"].clone();
        let (prompt, reply) = (number(&usage["prompt_tokens"]), number(&usage["completion_tokens"]));
        let cached = number(&usage["prompt_tokens_details"]["cached_tokens"]);
        total.0 += prompt + reply;
        total.1 += ((prompt - cached) as f64 * 2.5 + cached as f64 * 1.25 + reply as f64 * 10.0) / 1e6;
    }
    total
}

#[test]
fn the_endpoint_never_bills_more_than_the_budget() {
    let price = "models.default.price={currency: USD, prompt: 2.5, cached_prompt: 1.25, completion: 10}";
    let sound: fn() -> Script = Script::default;
    for (script, limit, tokens, cost) in [
        (sound, "budget.max_tokens=20000", 20_000, f64::MAX),
        (flaky, "budget.max_tokens=70000", 70_000, f64::MAX),
        (sound, "budget.max_cost=0.1", u64::MAX, 0.1),
        (flaky, "budget.max_cost=0.1", u64::MAX, 0.1),
    ] {
        let (endpoint, project) = demo(script());
        let ran = project.pipeline(&["--set", limit, "--set", price]).ended(8);
        let (used, paid) = billed(&endpoint);
        assert!(used > 0 && used <= tokens && paid <= cost, "{limit}: {used} tokens, {paid}");
        assert!(ran.stderr.contains(limit.split('=').next().unwrap()), "{}", ran.stderr);
        let status = project.run(&["pipeline", "status", "runs/demo", "--json"]).ended(0).json();
        let counted = number(&status["usage"]["prompt_tokens"]) + number(&status["usage"]["completion_tokens"]);
        assert_eq!(counted, used, "the endpoint's usage is what is counted");
        // A request that ended in a 500 may have been billed: it counts in full.
        let may_be = status["usage"]["cost"].as_f64().unwrap();
        assert!(may_be >= paid - 1e-9 && may_be <= cost, "{limit}: {may_be} counted, {paid} billed");
        let unsure = number(&status["usage"]["possibly_billed"]) > 0;
        assert!(unsure || may_be - paid < 1e-9, "{limit}: {may_be} counted, {paid} billed");
    }
}

#[test]
fn usage_that_is_not_reported_is_estimated_and_shown_as_an_estimate() {
    let (_endpoint, counted) = demo(Script::default());
    let counted = counted.pipeline(&[]).ended(0).json()["usage"].clone();
    assert_eq!(counted["estimated"]["prompt_tokens"], 0);
    assert!(counted["by_role"]["speaker"]["cached_prompt_tokens"].is_number(), "{counted}");
    let (_endpoint, project) = demo(Script::answering(|call| {
        let mut body = completion(call, &plausible(call));
        body.as_object_mut().unwrap().remove("usage");
        Answer::json(&body)
    }));
    let ran = project.pipeline(&[]).ended(0);
    let usage = ran.json()["usage"].clone();
    assert!(ran.stderr.contains("estimated") && ran.stderr.contains("not reported"), "{}", ran.stderr);
    assert_eq!((&usage["calls"], &usage["cached_prompt_tokens"]), (&counted["calls"], &Value::Null));
    for kind in ["prompt_tokens", "completion_tokens"] {
        let (estimate, count) = (number(&usage[kind]) as f64, number(&counted[kind]) as f64);
        assert_eq!(usage["estimated"][kind], usage[kind], "none of it was counted");
        assert!((0.5..1.6).contains(&(estimate / count)), "{kind}: {estimate} for {count}");
    }
    let status = project.run(&["pipeline", "status", "runs/demo"]).ended(0);
    assert!(status.stdout.contains("about ") && status.stdout.contains("not reported"), "{}", status.stdout);
}

#[test]
fn what_failed_is_asked_again_and_then_nothing_shows_that_it_had() {
    let (_endpoint, clean) = demo(Script::default());
    clean.pipeline(&[]).ended(0);
    let wanted = clean.data("runs/demo");
    // Not the probe, which has the schema of whichever call wants to know first: turned down, it would have JSON asked for otherwise.
    let situating: fn(&Call) -> bool =
        |call| call.raw.contains("conversation_starter") && !call.raw.contains("Greet the people");
    for (stage, asked, share) in
        [("conversations", speaking as fn(&Call) -> bool, 0.05), ("situations", situating, 0.3)]
    {
        // Some calls are turned down for as long as the endpoint is ill.
        let ill = Arc::new(AtomicBool::new(true));
        let mood = Arc::clone(&ill);
        let (endpoint, project) = demo(Script::but(
            move |call| asked(call) && mood.load(Ordering::Relaxed) && call.share() < share,
            |_| Answer::error(400, "invalid_request", "not to my liking"),
        ));
        let summary = project.pipeline(&[]).json();
        assert_sums(&project, "runs/demo", &summary);
        let failed = number(&summary["stages"][stage]["failed"]);
        assert!(failed > 0, "nothing failed: {summary}");
        let calls = endpoint.calls().len();
        project.pipeline(&[]);
        assert_eq!(endpoint.calls().len(), calls, "failures are outcomes until asked for again");

        ill.store(false, Ordering::Relaxed);
        let summary = project.pipeline(&["--retry-failed"]).ended(0).json();
        assert_sums(&project, "runs/demo", &summary);
        assert_eq!(differing(&wanted, &project.data("runs/demo")), Vec::<String>::new(), "{stage}");
        let calls = endpoint.calls().len();
        project.pipeline(&["--retry-failed"]).ended(0);
        assert_eq!(endpoint.calls().len(), calls, "nothing is left to be asked again");
        project.run(&["pipeline", "verify", "runs/demo"]).ended(0);
    }
}

#[test]
fn a_filter_that_refuses_most_of_the_first_replies_stops_the_run() {
    let (endpoint, project) = demo(Script::but(
        |call| !call.raw.contains("verdict") && call.index % 4 != 0,
        |_| Answer::azure_filter("violence"),
    ));
    let ran = project.pipeline(&["--set", "models.default.concurrency=1"]).ended(6);
    assert!(ran.stderr.contains("violence") && ran.stderr.contains("refused"), "{}", ran.stderr);
    assert!(endpoint.calls().len() <= 20, "{} calls were made", endpoint.calls().len());
}

#[test]
fn a_single_refusal_is_an_outcome_with_its_category() {
    let (_endpoint, project) =
        demo(Script::but(|call| speaking(call) && call.share() < 0.05, |_| Answer::azure_filter("violence")));
    let summary = project.pipeline(&[]).ended(9).json();
    assert_sums(&project, "runs/demo", &summary);
    let dropped = project.rows("runs/demo/stages/3-conversations/rejected.jsonl");
    let refused: Vec<&Value> = dropped.iter().filter(|row| row["outcome"] == "refused").collect();
    assert_eq!(refused.len() as u64, number(&summary["stages"]["conversations"]["refused"]));
    assert!(!refused.is_empty() && refused.iter().all(|row| row["reason"] == "violence"), "{refused:?}");
}
