//! Endpoints that turn calls away, slow ones, and models in several places: who waits is told, and the run goes on.

use std::time::Duration;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, differing};
use crate::support::script::{Answer, Script, completion, plausible};

fn says(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in {}", ran.stderr);
    }
}

/// A project with the small run of all tests against `endpoint`.
fn project(endpoint: &Endpoint) -> Project {
    let project = Project::new();
    project.demo(&endpoint.base_url());
    project
}

#[test]
fn a_wait_of_half_a_day_ends_the_run_with_its_end_named_and_the_same_command_goes_on() {
    let endpoint = Endpoint::start(Script::opening_with(vec![Answer::too_many(Some("43200"))]));
    let project = project(&endpoint);
    let ran = project.pipeline(&[]).ended(6);
    says(&ran, &["12 h 00 min, until ", " GMT", "max_wait_s", &endpoint.origin(), "the same command goes on"]);
    assert_eq!(endpoint.calls().len(), 1);
    project.pipeline(&[]).ended(0);
}

#[test]
fn who_waits_is_told_once_where_there_is_no_terminal_and_not_at_all_under_quiet() {
    let storm = |call: &crate::support::script::Call| {
        (2.0..4.0).contains(&call.at.as_secs_f64()) && call.repeat < 9 && call.wants_a_line()
    };
    let turned = Duration::from_millis(150);
    for quiet in [false, true] {
        let endpoint =
            Endpoint::start(Script { latency: turned, ..Script::but(storm, |_| Answer::too_many(Some("2"))) });
        let ran = project(&endpoint).pipeline(if quiet { &["--quiet"] } else { &[] }).ended(0);
        let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("rate-limited")).collect();
        if quiet {
            assert_eq!(lines, Vec::<&str>::new());
            continue;
        }
        let [line] = lines.as_slice() else { panic!("told {} times: {}", lines.len(), ran.stderr) };
        for word in [" calls in the last minute, waiting ", &endpoint.origin(), "rate limit reached"] {
            assert!(line.contains(word), "no {word:?} in {line}");
        }
    }
}

#[test]
fn a_server_that_works_one_call_at_a_time_is_not_given_more_than_it_answers_in_time() {
    // The server has one thread, which sleeps: 40 calls at once would take 6 s, longer than is waited.
    let slow = |_: &crate::support::script::Call| {
        std::thread::sleep(Duration::from_millis(150));
        Answer::Plausible
    };
    let endpoint = Endpoint::start(Script::answering(slow));
    let sets = [
        "models.default.timeouts={first_byte_s: 5}",
        "models.default.concurrency=64",
        "situations.count=40",
        "conversations.turns={min: 3, max: 3}",
    ];
    let more: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let ran = project(&endpoint).pipeline(&more);
    assert!(matches!(ran.code, Some(0 | 9)), "{}", ran.stderr);
    // A machine that stands still for seconds may cost one.
    let given_up = ran.json()["usage"]["possibly_billed"].as_u64().unwrap();
    assert!(given_up <= 2, "{given_up} calls were given up: {}", ran.stderr);
}

#[test]
fn what_is_not_known_of_limits_stalls_nobody() {
    let endpoint = Endpoint::start(Script::answering(|call| {
        let headers =
            ["x-ratelimit-remaining-requests", "x-ratelimit-remaining-tokens"].map(|name| (name, "-1".into()));
        let reset = ("x-ratelimit-reset-tokens", "0".to_owned());
        let body = completion(call, &plausible(call)).to_string().into_bytes();
        Answer::Status(200, headers.into_iter().chain([reset]).collect(), body)
    }));
    let ran = project(&endpoint).pipeline(&[]).ended(0);
    assert!(ran.json()["wall_s"].as_f64().unwrap() < 30.0);
}

#[test]
fn a_model_in_two_places_gives_the_same_data_and_a_place_that_is_dead_is_named() {
    let alone = Endpoint::start(Script::default());
    let one = project(&alone);
    one.pipeline(&[]).ended(0);
    let locked = || Script { key: Some("another".into()), ..Script::default() };
    for (second, dead) in [(Script::default(), false), (locked(), true)] {
        let (first, second) = (Endpoint::start(Script::default()), Endpoint::start(second));
        let places = format!(
            "models.default.deployments=[{{base_url: {}}}, {{base_url: {}, model: other-name}}]",
            first.base_url(),
            second.base_url()
        );
        let both = project(&first);
        let ran = both.pipeline(&["--set", &places]).ended(0);
        let differ = differing(&one.data("runs/demo"), &both.data("runs/demo"));
        assert!(differ.is_empty(), "{differ:?}");
        let answered = |endpoint: &Endpoint| endpoint.calls().iter().filter(|call| call.answered).count();
        let (here, there) = (answered(&first), answered(&second));
        if dead {
            says(&ran, &["other-name at ", &second.origin(), "is left out", "401"]);
            assert_eq!(there, 0);
            assert!(second.calls().len() <= 8, "it was asked again by more than were in flight");
        } else {
            assert!(here > there / 3 && there > here / 3, "{here} calls and {there}");
            assert!(second.calls().iter().all(|call| call.body.contains("other-name")));
        }
    }
}

#[test]
fn limits_and_places_that_make_no_sense_are_named() {
    let endpoint = Endpoint::start(Script::default());
    let project = project(&endpoint);
    for (set, words) in [
        ("limits={rpm: 0}", ["models.default.limits.rpm", "at least 1"]),
        ("limits={tpm: 300}", ["models.default.limits.tpm", "max_tokens"]),
        ("deployments=[{weight: 0}]", ["models.default.deployments.0.weight", "not within"]),
        ("deployments=[{spill: true}]", ["models.default.deployments", "every one spills"]),
        ("deployments=[{endpoint: 'https://r.example'}]", ["models.default.deployments.0.endpoint", "azure_openai"]),
        ("max_wait_s=-1", ["models.default.max_wait_s", "not within"]),
    ] {
        let ran = project.pipeline(&["--set", &format!("models.default.{set}")]).ended(2);
        says(&ran, &words);
    }
    assert!(endpoint.calls().is_empty());
}
