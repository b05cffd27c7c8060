//! Stages stream: memory does not grow with the run, a slow item holds nobody up for ever, and nothing is misread.

use std::path::Path;
use std::time::{Duration, Instant};

use convogen::Draw;
use serde_json::{Value, json};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, differing};
use crate::support::script::{Answer, Script};
use crate::support::sums::assert_sums;

/// So many situations of two people each, no two alike.
fn situations(count: usize) -> String {
    let one = |number: usize| {
        let mut draw = Draw::new(number as u64, &["situation"]);
        let words: Vec<String> = (0..30).map(|_| format!("w{}", draw.below(50_000))).collect();
        let person = |name: &str| json!({"name": name, "description": "waits for the ferry", "persona": format!("{name} {number}")});
        let row = json!({"id": format!("s-{number:06}"), "personas": [person("Ann"), person("Bob")], "relations": ["Ann is Bob's aunt"],
            "situation": words.join(" "), "topic": format!("ferry {number}"), "conversation_starter": "Well, here we are again."});
        format!("{row}\n")
    };
    (0..count).map(one).collect()
}

/// A run over imported situations, four turns each, a call a turn.
fn imported(count: usize, base_url: &str) -> Project {
    let project = Project::new();
    project.demo(base_url);
    project.write("situations.jsonl", situations(count));
    project
}

const SHORT: [&str; 8] = [
    "--set",
    "situations={mode: file, source: situations.jsonl, count: null}",
    "--set",
    "conversations={turns: {min: 4, max: 4}, speaker_selection: round_robin, layout: shared_prefix}",
    "--set",
    "compile.splits={train: 1.0}",
    "--set",
    "dedup.conversations=1.0",
];

/// Runs to its end; the most memory it held, in KiB.
fn peak(project: &Project) -> u64 {
    let mut command = project.convogen(&[&["pipeline", "run", "-c", "demo.yaml", "--quiet"], &SHORT[..]].concat());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse().ok());
        peak = peak.max(seen.unwrap_or(0));
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
fn memory_does_not_grow_with_the_number_of_conversations() {
    let endpoint = Endpoint::start(Script::default());
    let [small, large] = [2_000, 8_000].map(|count| peak(&imported(count, &endpoint.base_url())));
    println!("peak memory of 2,000 and 8,000 conversations: {small} and {large} KiB");
    assert!(large * 5 < small * 6, "{small} KiB became {large} KiB over four times as many conversations");
}

#[test]
fn two_thousand_in_flight_make_the_same_bytes_as_one() {
    let endpoint = Endpoint::start(Script::default());
    let run = |concurrency: &str| {
        let project = imported(60, &endpoint.base_url());
        let set = format!("models.default.concurrency={concurrency}");
        project.pipeline(&[&SHORT[..], &["--set", &set]].concat()).ended(0);
        project.data("runs/demo")
    };
    let one = run("1");
    for concurrency in ["64", "2000"] {
        assert_eq!(differing(&one, &run(concurrency)), Vec::<String>::new(), "{concurrency}");
    }
}

#[test]
fn more_calls_than_the_soft_limit_of_open_files_are_in_flight() {
    let endpoint = Endpoint::start(Script { latency: Duration::from_millis(200), ..Script::default() });
    let project = imported(400, &endpoint.base_url());
    let run = |limit: &str| {
        let command = project.convogen(&[]);
        let shell = format!("{limit}; exec \"$0\" \"$@\"");
        let convogen = command.get_program().to_owned();
        let mut limited = std::process::Command::new("sh");
        limited.args(["-c", &shell]).arg(convogen).args(["pipeline", "run", "-c", "demo.yaml", "--json"]).args(SHORT);
        limited.args(["--set", "models.default.concurrency=300"]).current_dir(project.path());
        command.get_envs().filter_map(|(name, value)| Some((name, value?))).for_each(|(name, value)| {
            limited.env(name, value);
        });
        Ran::from(limited.output().unwrap())
    };
    let refused = run("ulimit -n 256").ended(2);
    assert!(
        refused.stderr.contains("300 calls in flight") && refused.stderr.contains("256 files"),
        "{}",
        refused.stderr
    );
    assert_eq!(endpoint.calls().len(), 0);
    let summary = run("ulimit -Sn 128").ended(0).json();
    assert_eq!(summary["stages"]["conversations"]["accepted"], 400);
    assert!(endpoint.peak() > 256, "{}", endpoint.peak());
}

/// Others go on as far as the window reaches, then wait; the item's deadline ends it.
#[test]
fn a_first_item_that_never_answers_holds_the_others_up_to_the_reach_of_the_window() {
    let first = |prompt: &str| prompt.contains(&situation_text(0));
    let endpoint = Endpoint::start(Script::answering(move |call| {
        if first(&call.prompt()) { Answer::HangBeforeHeaders } else { Answer::Plausible }
    }));
    let project = imported(30, &endpoint.base_url());
    let patience = [
        "--set",
        "models.default.concurrency=2",
        "--set",
        "models.default.timeouts.first_byte_s=8",
        "--set",
        "models.default.max_attempts=1",
    ];
    let started = project.start(&[&SHORT[..], &patience].concat());
    let begun = || {
        let calls = endpoint.calls();
        (0..30).filter(|number| calls.iter().any(|call| call.body.contains(&situation_text(*number)))).count()
    };
    // However busy the machine is: first as many as there may be, then a while in which there may be no more.
    let reached = Instant::now() + Duration::from_secs(6);
    while Instant::now() < reached && begun() < 8 {
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(Duration::from_millis(700));
    let held = begun();
    let summary = started.end().ended(0).json();
    assert_eq!(held, 8, "the window reaches four times its two places");
    assert_sums(&project, "runs/demo", &summary);
    assert_eq!(summary["stages"]["conversations"]["failed"], 1);
    assert_eq!(summary["stages"]["conversations"]["accepted"], 29);
}

fn situation_text(number: usize) -> String {
    let all = situations(number + 1);
    let row: Value = serde_json::from_str(all.lines().last().unwrap()).unwrap();
    row["situation"].as_str().unwrap().to_owned()
}

/// Recorded replies need no call, so only pulling no more items can keep the run from going through all of them.
#[test]
fn an_interrupted_run_pulls_nothing_more() {
    let endpoint = Endpoint::start(Script::default());
    let project = imported(3_000, &endpoint.base_url());
    project.pipeline(&SHORT).ended(0);
    let (calls, wanted) = (endpoint.calls().len(), project.data("runs/demo"));
    let stage = project.path().join("runs/demo/stages/3-conversations");
    std::fs::remove_dir_all(&stage).unwrap();
    let started = project.start(&SHORT);
    let late = Instant::now() + Duration::from_secs(60);
    while !stage.is_dir() {
        assert!(Instant::now() < late, "the run does not get going");
        std::thread::sleep(Duration::from_millis(1));
    }
    started.signal("INT");
    started.end().ended(130);
    assert!(!stage.join("manifest.json").exists(), "all of it was replayed after the interrupt");
    project.pipeline(&SHORT).ended(0);
    assert_eq!(differing(&wanted, &project.data("runs/demo")), Vec::<String>::new());
    assert_eq!(endpoint.calls().len(), calls, "what is on record is not asked for again");
}

fn demo() -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    (endpoint, project)
}

fn edit(project: &Project, name: &str, change: impl FnOnce(&mut Value)) {
    let mut value = project.json(name);
    change(&mut value);
    project.write(name, value.to_string());
}

/// Makes a run look as the earlier version left it.
fn age(project: &Project, run_dir: &str) {
    edit(project, &format!("{run_dir}/run.json"), |info| {
        info["format"] = json!(1);
        info["created_by"] = json!("0.1.0");
    });
}

#[test]
fn a_run_of_the_earlier_format_is_confirmed_when_finished_and_refused_when_not() {
    let (endpoint, project) = demo();
    project.pipeline(&[]).ended(0);
    let calls = endpoint.calls().len();
    age(&project, "runs/demo");
    project.pipeline(&[]).ended(0);
    project.run(&["pipeline", "status", "runs/demo"]).ended(0);
    assert_eq!(endpoint.calls().len(), calls, "a finished run makes no call");

    edit(&project, "runs/demo/run.json", |info| info["details"]["ended"] = Value::Null);
    std::fs::remove_dir_all(project.path().join("runs/demo/stages/3-conversations")).unwrap();
    let refused = project.pipeline(&[]).ended(5);
    assert!(refused.stderr.contains("--fork") && refused.stderr.contains("convogen 0.1.0"), "{}", refused.stderr);
    project.pipeline(&["--fork", "runs/demo", "--run-dir", "runs/new"]).ended(0);
    assert_eq!(endpoint.calls().len(), calls, "what it had paid for is not paid for again");
}

#[test]
fn a_fork_takes_over_the_stages_it_would_make_the_same() {
    let (endpoint, project) = demo();
    project.pipeline(&[]).ended(0);
    let before = endpoint.calls().len();
    let fork = |more: &[&str]| -> Ran {
        project.pipeline(&[&["--fork", "runs/demo", "--run-dir", "runs/fork"], more].concat()).ended(0)
    };
    let forked = fork(&["--set", "conversations.turns={min: 9, max: 10}"]);
    assert!(forked.stderr.contains("situations: taken from the run this one was forked from"), "{}", forked.stderr);
    let asked = endpoint.calls().split_off(before);
    assert!(
        !asked.is_empty() && asked.iter().all(|call| !call.body.contains("conversation_starter")),
        "situations were asked for"
    );
    let stage = |run: &str| project.files(&format!("runs/{run}/stages/2-situations"));
    assert_eq!(differing(&stage("demo"), &stage("fork")), Vec::<String>::new());
    assert_sums(&project, "runs/fork", &forked.json());
    project.run(&["pipeline", "verify", "runs/fork"]).ended(0);
    // Its calls stand in the journal of the run that made them.
    let id = project.rows("runs/fork/stages/2-situations/part-00000.jsonl")[0]["id"].as_str().unwrap().to_owned();
    let explained = project.run(&["explain", &id, "--run-dir", "runs/fork", "--calls"]).ended(0);
    assert!(explained.stdout.contains("situation"), "{}", explained.stdout);
}

#[test]
fn a_run_at_work_says_where_it_stands_and_one_that_was_killed_does_not() {
    let endpoint = Endpoint::start(Script { latency: Duration::from_millis(100), ..Script::default() });
    let project = imported(200, &endpoint.base_url());
    let started = project.start(&SHORT);
    let status = || project.run(&["pipeline", "status", "runs/demo", "--json"]).ended(0).json();
    let end = Instant::now() + Duration::from_secs(60);
    let seen = loop {
        let seen = if project.path().join("runs/demo/progress.json").is_file() { status() } else { Value::Null };
        if seen["running"]["stage"] == "conversations" {
            break seen;
        }
        assert!(Instant::now() < end, "{seen}");
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(seen["status"], "resumable");
    assert!(seen["usage"]["calls"].as_u64().unwrap() > 0, "{seen}");
    let page = project.run(&["pipeline", "status", "-c", "demo.yaml"]).ended(0).stdout;
    assert!(page.contains("runs/demo is running: process ") && page.contains(", started "), "{page}");
    assert!(page.contains(" calls in flight") && !page.contains("may have been billed"), "{page}");
    let watched = project.start_command(&["pipeline", "status", "--watch"]);
    drop(started);
    assert!(watched.end().ended(0).stdout.contains("runs/demo is not finished"), "the end was not seen");
    assert!(status()["running"].is_null(), "the process is gone");
    project.run(&["pipeline", "verify"]).ended(0);
    assert!(std::fs::create_dir_all(project.path().join("runs/other")).is_ok());
    std::fs::copy(project.path().join("runs/demo/run.json"), project.path().join("runs/other/run.json")).unwrap();
    for command in [&["pipeline", "verify"][..], &["show"], &["explain", "c-none"]] {
        let told = project.run(command).ended(2).stderr;
        assert!(told.contains("there are 2 runs; name one of runs/demo, runs/other"), "{command:?}: {told}");
    }
}

#[test]
fn what_a_killed_process_left_among_the_inputs_is_no_text_of_the_run() {
    let (_endpoint, project) = demo();
    project.pipeline(&[]).ended(0);
    project.write("runs/demo/inputs/.tmp-7-personas.jsonl", "{");
    project.run(&["pipeline", "verify", "runs/demo"]).ended(0);
    std::fs::remove_file(project.path().join("runs/demo/inputs/personas.jsonl")).unwrap();
    project.pipeline(&[]).ended(0);
    assert!(project.path().join("runs/demo/inputs/personas.jsonl").is_file());
    assert!(!project.path().join("runs/demo/inputs/.tmp-7-personas.jsonl").exists());
}

#[test]
fn a_stage_whose_part_was_cut_short_is_damage_with_its_name() {
    let (_endpoint, project) = demo();
    project.pipeline(&[]).ended(0);
    std::fs::remove_dir_all(project.path().join("runs/demo/stages/3-conversations")).unwrap();
    let part = project.path().join("runs/demo/stages/2-situations/part-00000.jsonl");
    cut(&part);
    let damaged = project.pipeline(&[]).ended(11);
    assert!(damaged.stderr.contains("2-situations/part-00000.jsonl"), "{}", damaged.stderr);
}

fn cut(part: &Path) {
    let file = std::fs::File::options().write(true).open(part).unwrap();
    file.set_len(file.metadata().unwrap().len() - 10).unwrap();
}

#[test]
fn a_stage_that_cannot_go_on_buys_nothing_more() {
    let endpoint = Endpoint::start(Script { latency: Duration::from_millis(100), ..Script::default() });
    let project = imported(40, &endpoint.base_url());
    let spent = [&SHORT[..], &["--set", "budget.max_calls=1"]].concat();
    project.pipeline(&spent).ended(8);
    let calls = endpoint.calls().len();
    // The same size, so that only reading it tells.
    let part = "runs/demo/stages/2-situations/part-00000.jsonl";
    let rows: Vec<String> = project.read(part).lines().map(str::to_owned).collect();
    let broken = rows.iter().enumerate().map(|(at, row)| if at == 10 { "?".repeat(row.len()) } else { row.clone() });
    project.write(part, broken.map(|row| row + "\n").collect::<String>());
    let damaged = project.pipeline(&[&SHORT[..], &["--set", "models.default.concurrency=16"]].concat()).ended(11);
    assert!(damaged.stderr.contains("part-00000.jsonl, line 11"), "{}", damaged.stderr);
    // Ten conversations were begun, of four turns each.
    let bought = endpoint.calls().len() - calls;
    assert!(bought <= 20, "{bought} calls for a run that could not go on");
}
