//! The shipped binary is killed at random moments and started again: nothing that was paid for is lost, and the data is
//! what an uninterrupted run makes.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot set itself up has nothing to test"
)]

#[path = "../support/mod.rs"]
mod support;

use std::collections::HashMap;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use convogen::Draw;
use support::endpoint::Endpoint;
use support::project::{Project, differing};
use support::script::Script;

/// How many kills; `CONVOGEN_KILLS` for longer runs.
const KILLS: usize = 20;
/// Calls in flight, as the demo configuration says.
const CONCURRENCY: usize = 8;

#[test]
fn a_run_killed_anywhere_makes_the_same_bytes_and_repeats_only_what_was_in_flight() {
    let reference = Project::new();
    let quiet = Endpoint::start(Script::default());
    reference.demo(&quiet.base_url());
    let summary = reference.pipeline(&[]).ended(0).json();
    let wanted = reference.data("runs/demo");
    let calls = quiet.calls().len();
    assert_eq!(summary["usage"]["calls"], calls, "the summary counts every request");

    let kills = std::env::var("CONVOGEN_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    let seed = std::env::var("CONVOGEN_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or_else(now);
    println!("CONVOGEN_SEED={seed} replays this");
    let mut draw = Draw::new(seed, &["kills"]);
    let mut left = kills;
    while left > 0 {
        // A few kills a run: each run has to end.
        let here = left.min(draw.between(2, 6));
        left -= here;
        crash(&mut draw, here, &wanted, calls);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs()
}

fn crash(draw: &mut Draw, kills: usize, wanted: &std::collections::BTreeMap<String, Vec<u8>>, calls: usize) {
    // Slow enough that kills fall into every stage: the whole run takes a second or two.
    let endpoint = Endpoint::start(Script { latency: Duration::from_millis(25), ..Script::default() });
    let project = Project::new();
    project.demo(&endpoint.base_url());
    let mut killed = 0;
    for _ in 0..kills {
        let mut child =
            project.convogen(&["pipeline", "run", "-c", "demo.yaml", "--quiet"]).spawn().expect("convogen starts");
        sleep(Duration::from_millis(draw.between(5, 700) as u64));
        if child.try_wait().expect("a child").is_none() {
            killed += 1;
        }
        child.kill().expect("SIGKILL");
        child.wait().expect("a dead child");
    }
    let summary = project.pipeline(&[]).ended(0).json();
    assert_eq!(differing(wanted, &project.data("runs/demo")), Vec::<String>::new(), "after {killed} kills");
    project.run(&["pipeline", "verify", "runs/demo"]).ended(0);

    let log = endpoint.calls();
    let extra = log.len() - calls;
    assert!(extra <= killed * CONCURRENCY, "{extra} calls were repeated after {killed} kills");
    let mut times: HashMap<&str, usize> = HashMap::new();
    for call in &log {
        *times.entry(call.body.as_str()).or_default() += 1;
    }
    let most = times.values().max().copied().unwrap_or(0);
    assert!(most <= 1 + killed, "one request was sent {most} times");
    let counted = summary["usage"]["calls"].as_u64().expect("a count");
    assert!(counted >= log.len() as u64, "{counted} calls counted, {} made", log.len());
}
