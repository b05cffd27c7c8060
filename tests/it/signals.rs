//! Two processes on one directory, and runs that are told to stop.

use std::time::{Duration, Instant};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Started, differing};
use crate::support::script::{Answer, Script};
use crate::support::sums::number;

fn demo(script: Script) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    (endpoint, project)
}

fn slow() -> Script {
    Script { latency: Duration::from_millis(25), ..Script::default() }
}

/// Waits until the endpoint was asked so often.
fn until_asked(endpoint: &Endpoint, calls: usize) {
    let patience = Instant::now() + Duration::from_secs(60);
    while endpoint.calls().len() < calls {
        assert!(Instant::now() < patience, "the endpoint is not asked");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn interrupted(endpoint: &Endpoint, run: Started, signal: &str) {
    until_asked(endpoint, endpoint.calls().len() + 30);
    run.signal(signal);
    let ran = run.end().ended(130);
    assert!(ran.stderr.contains("the same command goes on"), "it does not say how to go on: {}", ran.stderr);
}

#[test]
fn a_second_process_is_turned_away_while_status_is_not() {
    let (endpoint, project) = demo(slow());
    let first = project.start(&[]);
    until_asked(&endpoint, 20);
    let ran = project.pipeline(&[]).ended(4);
    assert!(ran.stderr.contains("runs/demo"), "{}", ran.stderr);
    let status = project.run(&["pipeline", "status", "runs/demo", "--json"]).ended(0).json();
    assert_eq!(status["status"], "resumable");
    assert!(number(&status["usage"]["calls"]) > 0);
    first.end().ended(0);
}

#[test]
fn a_run_that_is_told_to_stop_drains_and_goes_on_to_the_same_bytes() {
    let (_endpoint, quiet) = demo(Script::default());
    quiet.pipeline(&[]).ended(0);
    let wanted = quiet.data("runs/demo");

    let (endpoint, project) = demo(slow());
    interrupted(&endpoint, project.start(&[]), "INT");
    interrupted(&endpoint, project.start(&[]), "TERM");
    let drained = endpoint.calls();
    assert!(drained.iter().all(|call| call.answered), "calls in flight were not waited for");
    let ran = project.pipeline(&[]).ended(0);
    assert!(!ran.stderr.contains("in flight"), "{}", ran.stderr);
    assert_eq!(differing(&wanted, &project.data("runs/demo")), Vec::<String>::new());
    let bodies: std::collections::HashSet<String> = endpoint.calls().into_iter().map(|call| call.body).collect();
    assert_eq!(bodies.len(), endpoint.calls().len(), "what was drained is asked again");
}

#[test]
fn a_second_signal_ends_a_run_at_once() {
    // One call never gets its answer, so draining would last.
    let stuck = Script::answering(|call| match call.index {
        40 => Answer::HangBeforeHeaders,
        _ => Answer::Late(Duration::from_millis(5)),
    });
    let (endpoint, project) = demo(stuck);
    let run = project.start(&[]);
    until_asked(&endpoint, 41);
    run.signal("INT");
    std::thread::sleep(Duration::from_millis(200));
    let started = Instant::now();
    run.signal("INT");
    run.end().ended(130);
    assert!(started.elapsed() < Duration::from_secs(20), "the second signal was not heard");

    let summary = project.pipeline(&[]).ended(0);
    assert!(summary.stderr.contains("may have been billed"), "{}", summary.stderr);
    let (_endpoint, quiet) = demo(Script::default());
    quiet.pipeline(&[]).ended(0);
    assert_eq!(differing(&quiet.data("runs/demo"), &project.data("runs/demo")), Vec::<String>::new());
}
