//! A run written to one file and made again from it, with nothing of what made it within reach.

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, differing};
use crate::support::script::{Answer, Call, Script};

const CANARY: &str = "sk-canary-7731aa20";

/// Situations, talks, a screen, a judge, and a probe for each way of asking; a key is wanted.
const SETS: [&str; 12] = [
    "--set",
    "models.default.api_key_env=DEMO_API_KEY",
    "--set",
    "judge.enabled=true",
    "--set",
    "models.judge={provider: openai, base_url: null, model: scores, temperature: 0, api_key_env: DEMO_API_KEY}",
    "--set",
    "safety.service=openai_moderation",
    "--set",
    "models.safety={provider: openai, base_url: null, model: screens, api_key_env: DEMO_API_KEY}",
    "--set",
    "situations.count=4",
];

fn demo(base_url: &str) -> Project {
    let project = Project::new();
    project.demo(base_url);
    project
}

fn run(project: &Project, base_url: &str, key: Option<&str>, more: &[&str]) -> Ran {
    let arguments = [&["pipeline", "run", "-c", "demo.yaml", "--json"][..], &SETS, more].concat();
    let mut command = project.convogen(&arguments);
    command.env("OPENAI_BASE_URL", base_url);
    if let Some(key) = key {
        command.env("DEMO_API_KEY", key);
    }
    command.output().unwrap().into()
}

/// A recorded run, and the address it had: nobody answers there any more.
fn recorded(script: Script) -> (Project, String) {
    let endpoint = Endpoint::start(script);
    let project = demo(&endpoint.base_url());
    run(&project, &endpoint.base_url(), Some(CANARY), &["--record", "demo.rec"]).ended(0);
    assert!(endpoint.calls().iter().any(|call| call.path.contains("moderations")), "nothing was screened");
    (project, endpoint.base_url())
}

fn keyed() -> Script {
    Script { key: Some(CANARY.to_owned()), json_schema: false, ..Script::default() }
}

/// Replays a recording in a folder of its own, without a key.
fn replayed(base_url: &str, recording: impl AsRef<[u8]>) -> (Project, Ran) {
    let again = demo(base_url);
    again.write("demo.rec", recording);
    let ran = run(&again, base_url, None, &["--replay", "demo.rec"]);
    (again, ran)
}

#[test]
fn a_replay_makes_the_same_bytes_with_no_endpoint_and_no_key() {
    let (project, nowhere) = recorded(keyed());
    let recording = project.read("demo.rec");
    let (again, ran) = replayed(&nowhere, &recording);
    let usage = ran.ended(0).json()["usage"].clone();
    assert_eq!(usage["calls"], 0, "{usage}");
    assert_eq!(differing(&project.data("runs/demo"), &again.data("runs/demo")), Vec::<String>::new());
    // What was made of a recording is recorded as it was, on a finished run too. Only a probe may not be needed again.
    run(&again, &nowhere, None, &["--replay", "demo.rec", "--record", "again.rec"]).ended(0);
    let replies = |recording: &str| -> Vec<String> {
        let lines = recording.lines().skip(1).filter(|line| !line.contains("\"role\":\"probe\""));
        lines.map(str::to_owned).collect()
    };
    assert!(replies(&again.read("again.rec")) == replies(&recording), "another recording");
}

/// `recording` without the lines that `lost` picks, as a whole recording.
fn without(recording: &str, lost: impl Fn(&str) -> bool) -> String {
    let (header, replies) = recording.split_once('\n').unwrap();
    let kept: Vec<&str> = replies.lines().filter(|line| !lost(line)).collect();
    let mut header: Value = serde_json::from_str(header).unwrap();
    header["replies"] = kept.len().into();
    format!("{header}\n{}\n", kept.join("\n"))
}

#[test]
fn a_reply_that_is_missing_ends_a_replay_with_the_name_of_its_item() {
    let (project, nowhere) = recorded(keyed());
    let recording = project.read("demo.rec");
    for role in ["speaker", "judge", "safety", "situations", "probe"] {
        let of_role = |line: &str| line.contains(&format!("\"role\":\"{role}\""));
        let first = recording.lines().find(|line| of_role(line)).unwrap_or_else(|| panic!("no reply of {role}"));
        // Any one reply, but all probes: one of them alone is not needed once there is a verdict.
        let rest = without(&recording, |line| of_role(line) && (role == "probe" || line == first));
        let (_, ran) = replayed(&nowhere, rest);
        let ran = ran.ended(3);
        let item = serde_json::from_str::<Value>(first).unwrap()["item"].as_str().unwrap().to_owned();
        let named = if role == "probe" {
            "demo.rec has no reply for ".to_owned()
        } else {
            format!("demo.rec has no reply for {item} (")
        };
        assert!(ran.stderr.contains(&named) && ran.stderr.contains(&format!("role {role}")), "{}", ran.stderr);
    }
}

#[test]
fn a_torn_recording_and_other_settings_are_told_from_each_other() {
    let (project, nowhere) = recorded(keyed());
    let recording = project.read("demo.rec");
    let half: Vec<&str> = recording.split_inclusive('\n').collect();
    let (_, ran) = replayed(&nowhere, half[..half.len() / 2].concat());
    let ran = ran.ended(3);
    assert!(ran.stderr.contains("replies that were recorded; copy the whole file"), "{}", ran.stderr);
    let again = demo(&nowhere);
    again.write("demo.rec", &recording);
    let ran = run(&again, &nowhere, None, &["--replay", "demo.rec", "--set", "seed=18"]).ended(3);
    assert!(ran.stderr.contains("recorded with other settings"), "{}", ran.stderr);
}

/// A server that gives back what it was sent, the key too.
#[test]
fn no_key_is_recorded_even_where_an_endpoint_says_it() {
    let talkative = Script::but(Call::wants_a_line, |_| Answer::Text(format!("They call me {CANARY} here.")));
    let endpoint = Endpoint::start(talkative);
    let project = demo(&endpoint.base_url());
    let sets = ["--record", "demo.rec", "--set", "conversations.gates.without=[loop, echo]"];
    let ran = run(&project, &endpoint.base_url(), Some(CANARY), &sets);
    let recording = project.read("demo.rec");
    assert!(recording.contains("They call me [redacted] here."), "{recording}");
    assert!(!recording.contains("canary"), "{recording}");
    assert!(ran.stderr.contains("replies held a key or token"), "{}", ran.stderr);
}

#[test]
fn what_a_stopped_run_has_is_recorded_too() {
    let endpoint = Endpoint::start(Script::default());
    let project = demo(&endpoint.base_url());
    let ran =
        run(&project, &endpoint.base_url(), Some(CANARY), &["--record", "demo.rec", "--set", "budget.max_calls=20"]);
    ran.ended(8);
    assert!(project.read("demo.rec").contains("\"role\":\"situations\""));
}
