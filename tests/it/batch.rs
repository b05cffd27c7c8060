//! Calls in batch jobs: the same bytes as online, whatever becomes of a job, a file, a line or the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::batch::Jobs;
use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, Started, differing};
use crate::support::script::{Answer, Call, Script};
use crate::support::sums::number;

/// A run of few waves: situations, three turns, a judge.
const SMALL: [&str; 12] = [
    "--set",
    "situations.count=4",
    "--set",
    "conversations.turns={min: 3, max: 3}",
    "--set",
    "conversations.speaker_selection=round_robin",
    "--set",
    "judge.enabled=true",
    "--set",
    "models.default.price={prompt: 2.5, cached_prompt: 1.25, completion: 10}",
    "--set",
    "models.default.structured=json_schema",
];
const BATCH: [&str; 4] = ["--set", "models.default.batch=true", "--set", "models.default.concurrency=500"];

/// Some lines are refused for good, some answers are of no use.
fn rule(call: &Call) -> Answer {
    if call.wants_a_line() && call.share() < 0.1 {
        Answer::Text("As an AI language model, I cannot.".to_owned())
    } else {
        Answer::Plausible
    }
}

fn endpoint(jobs: &Arc<Jobs>) -> Endpoint {
    Endpoint::start(Script { jobs: Some(Arc::clone(jobs)), ..Script::answering(rule) })
}

fn project(endpoint: &Endpoint) -> Project {
    let project = Project::new();
    project.demo(&endpoint.base_url());
    project
}

fn run(project: &Project, more: &[&str]) -> Ran {
    project.pipeline(&[&SMALL, more].concat())
}

fn start(project: &Project) -> Started {
    project.start(&[&SMALL[..], &BATCH].concat())
}

/// What the run makes online, and what it costs.
fn online() -> (BTreeMap<String, Vec<u8>>, Value) {
    let endpoint = Endpoint::start(Script::answering(rule));
    let project = project(&endpoint);
    let usage = run(&project, &[]).ended(0).json()["usage"].clone();
    (project.data("runs/demo"), usage)
}

fn assert_same(wanted: &BTreeMap<String, Vec<u8>>, project: &Project) {
    assert_eq!(differing(wanted, &project.data("runs/demo")), Vec::<String>::new());
}

/// How often each call was put into a job.
fn times(jobs: &Jobs) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for line in jobs.sent().into_iter().flatten() {
        *times.entry(line["custom_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    times
}

fn until_asked(endpoint: &Endpoint, wanted: impl Fn(&str) -> bool, times: usize) -> bool {
    let patience = Instant::now() + Duration::from_secs(10);
    while endpoint.calls().iter().filter(|call| wanted(&call.path)).count() < times {
        if Instant::now() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// A run in jobs that behave like this, its data compared with those of a run online.
fn odd_jobs(jobs: Jobs) -> (Arc<Jobs>, Ran) {
    let jobs = Arc::new(jobs);
    let endpoint = endpoint(&jobs);
    let project = project(&endpoint);
    let ran = run(&project, &BATCH).ended(0);
    assert_same(&online().0, &project);
    assert!(endpoint.calls().iter().all(|call| !call.path.contains("chat/completions")), "a call went on its own");
    (jobs, ran)
}

#[test]
fn jobs_make_the_same_bytes_for_half_the_price() {
    let (wanted, online) = online();
    let (jobs, ran) = odd_jobs(Jobs::default());
    let usage = ran.json()["usage"].clone();
    assert!(!wanted.is_empty());
    for key in ["calls", "prompt_tokens", "cached_prompt_tokens", "completion_tokens"] {
        assert_eq!(usage[key], online[key], "{key}");
    }
    let (cost, full) = (usage["cost"].as_f64().unwrap(), online["cost"].as_f64().unwrap());
    assert!((cost * 2.0 - full).abs() < 1e-12 && cost > 0.0, "{cost} of {full}");
    // Calls that do not wait for one another share a job.
    let sizes: Vec<usize> = jobs.sent().iter().map(Vec::len).collect();
    assert!(sizes.len() < sizes.iter().sum::<usize>() / 2, "{sizes:?}");
}

#[test]
fn azure_is_spoken_to_in_its_own_words_on_both_routes() {
    let (wanted, _) = online();
    for version in ["null", "2024-10-21"] {
        let jobs = Arc::new(Jobs { azure: true, ..Jobs::default() });
        let endpoint = endpoint(&jobs);
        let project = project(&endpoint);
        let model = format!(
            "models.default={{provider: azure_openai, endpoint: '{}', deployment: demo, api_version: {version}, batch: true, structured: json_schema}}",
            endpoint.origin()
        );
        let arguments =
            [&["pipeline", "run", "-c", "demo.yaml", "--json"][..], &SMALL[..8], &["--set", &model]].concat();
        let mut command = project.convogen(&arguments);
        Ran::from(command.env("AZURE_OPENAI_API_KEY", "key-of-azure-1").output().unwrap()).ended(0);
        // The provider is part of what a run directory records of itself, not of what it makes.
        let data = |data: &BTreeMap<String, Vec<u8>>| -> Vec<(String, Vec<u8>)> {
            let rows = data.iter().filter(|(name, _)| name.contains("part-") || name.contains("jsonl/"));
            rows.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
        };
        assert!(data(&wanted) == data(&project.data("runs/demo")), "other data with version {version}");
        let dated = |path: &str| path.contains("/openai/files?api-version=2024-10-21");
        let paths: BTreeSet<String> = endpoint.calls().into_iter().map(|call| call.path).collect();
        assert_eq!(paths.iter().any(|path| dated(path)), version != "null", "{paths:?}");
    }
}

#[test]
fn a_run_that_is_killed_at_every_request_pays_for_no_call_twice() {
    let jobs = Arc::new(Jobs::default());
    let endpoint = endpoint(&jobs);
    let project = project(&endpoint);
    let mut kills = 0;
    loop {
        let run = start(&project);
        // Each time it is let go one request further than the last time it was killed.
        let before = endpoint.calls().len();
        if !until_asked(&endpoint, |_| true, before + 1 + kills % 3) {
            break;
        }
        run.signal("KILL");
        let ended = run.end();
        if ended.code == Some(0) {
            break;
        }
        kills += 1;
        assert!(kills < 80, "it never ends");
        let done = project.run(&["pipeline", "status", "runs/demo", "--json"]).json()["status"] == "finished";
        if done {
            break;
        }
    }
    let usage = run(&project, &BATCH).ended(0).json()["usage"].clone();
    assert!(kills > 10, "{kills} kills only");
    assert_same(&online().0, &project);
    let doubled: Vec<_> = times(&jobs).into_iter().filter(|(_, times)| *times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert_eq!(number(&usage["possibly_billed"]), 0, "{usage}");
}

#[test]
fn an_interrupted_run_leaves_its_job_at_work_and_the_next_start_picks_it_up() {
    let jobs = Arc::new(Jobs { looks: 3, ..Jobs::default() });
    let endpoint = endpoint(&jobs);
    let project = project(&endpoint);
    let run_once = start(&project);
    assert!(until_asked(&endpoint, |path| path.contains("/batches/"), 1), "nothing was sent");
    let begun = Instant::now();
    run_once.signal("INT");
    let ran = run_once.end().ended(130);
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for the job");
    assert!(ran.stderr.contains("batch job batch_0 with"), "{}", ran.stderr);
    let ran = run(&project, &BATCH).ended(0);
    assert!(ran.stderr.contains("calls were left in batch jobs, which are looked up"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("may have been billed"), "{}", ran.stderr);
    assert_same(&online().0, &project);
    assert!(times(&jobs).values().all(|times| *times == 1), "a call was sent again");
}

#[test]
fn what_a_job_did_not_get_done_before_it_expired_goes_in_the_next() {
    let (jobs, ran) = odd_jobs(Jobs { expires_after: |job| (job < 3).then_some(1), ..Jobs::default() });
    let again = times(&jobs).into_values().filter(|times| *times > 1).count();
    assert!(again > 0, "nothing expired");
    // What expired was not billed: it is a request all the same.
    assert_eq!(number(&ran.json()["usage"]["calls"]), times(&jobs).into_values().sum::<usize>() as u64);
    assert_eq!(number(&ran.json()["usage"]["possibly_billed"]), 0);
}

#[test]
fn lines_that_are_foreign_doubled_torn_or_missing_are_named_and_cost_no_reply() {
    let mangle = |job: usize, mut lines: Vec<String>| {
        let first = lines[0].clone();
        match job {
            0 => lines.push(first),
            1 => lines.insert(0, first.replace("\"custom_id\":\"", "\"custom_id\":\"not-")),
            2 => lines[0] = first[..first.len() / 2].to_owned(),
            3 => drop(lines.remove(0)),
            _ => {}
        }
        lines
    };
    let (jobs, ran) = odd_jobs(Jobs { mangle: Box::new(mangle), ..Jobs::default() });
    for told in [
        "batch job batch_0: line ",
        "is a second result of ",
        "batch job batch_1: line 1 of file-",
        "is of no call of the job: not-",
        "batch job batch_2: line 1 of file-",
        "is no result: ",
        "batch job batch_3: 1 of its calls have no line",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    // A torn line and a missing one may have been billed; both calls are made again.
    assert_eq!(times(&jobs).into_values().filter(|times| *times == 2).count(), 2);
    assert_eq!(number(&ran.json()["usage"]["possibly_billed"]), 2);
}

#[test]
fn results_that_are_cut_amid_the_download_are_read_again() {
    let (jobs, ran) = odd_jobs(Jobs { cuts: 4, ..Jobs::default() });
    assert!(times(&jobs).values().all(|times| *times == 1), "a call was sent again: {}", ran.stderr);
    assert_eq!(number(&ran.json()["usage"]["possibly_billed"]), 0);
}

#[test]
fn a_job_whose_creation_was_not_confirmed_is_looked_for_on_every_page_and_not_created_twice() {
    let (jobs, _) = odd_jobs(Jobs { lost: 2, page: 1, ..Jobs::default() });
    assert!(times(&jobs).values().all(|times| *times == 1), "a call was sent again");
}

#[test]
fn a_job_that_cannot_be_looked_up_is_possibly_billed_and_sent_again() {
    let (wanted, _) = online();
    for (jobs, why) in [
        (Jobs { lists: false, looks: 9, ..Jobs::default() }, "no such route"),
        (Jobs { metadata: false, looks: 9, ..Jobs::default() }, "its jobs have no metadata"),
    ] {
        let jobs = Arc::new(jobs);
        let endpoint = endpoint(&jobs);
        let project = project(&endpoint);
        let killed = start(&project);
        assert!(until_asked(&endpoint, |path| path.contains("/batches/"), 1), "nothing was sent");
        killed.signal("KILL");
        killed.end();
        let lost = jobs.sent()[0].len() as u64;
        let again = start(&project);
        assert!(until_asked(&endpoint, |path| path.contains("/batches/batch_1"), 1), "nothing was sent again");
        again.signal("INT");
        let ran = again.end().ended(130);
        assert!(ran.stderr.contains("may have been billed") && ran.stderr.contains(why), "{}", ran.stderr);
        let spent = project.run(&["pipeline", "status", "runs/demo", "--json"]).json()["usage"].clone();
        assert!(number(&spent["possibly_billed"]) >= lost, "{spent}");
    }
    drop(wanted);
}

#[test]
fn a_job_that_finds_no_room_waits_and_one_that_is_refused_ends_the_run() {
    let full = Jobs { refused: |job| (job == 1).then_some("token_limit_exceeded"), ..Jobs::default() };
    let (_, ran) = odd_jobs(full);
    assert!(ran.stderr.contains("found no room in the queue"), "{}", ran.stderr);
    let jobs = Arc::new(Jobs { refused: |_| Some("model_not_found"), ..Jobs::default() });
    let endpoint = endpoint(&jobs);
    let project = project(&endpoint);
    let ran = run(&project, &BATCH).ended(6);
    assert!(
        ran.stderr.contains("batch_0 was refused as a whole (model_not_found: line 1: not like this)"),
        "{}",
        ran.stderr
    );
}

#[test]
fn an_endpoint_without_jobs_and_settings_that_cannot_be_are_told_at_once() {
    let endpoint = Endpoint::start(Script::default());
    let project = project(&endpoint);
    let ran = run(&project, &BATCH).ended(6);
    assert!(ran.stderr.contains("takes no batch job (404)") && ran.stderr.contains("batch: false"), "{}", ran.stderr);
    for (set, key) in [
        ("models.default={provider: embedded, batch: true}", "models.default.batch: only openai"),
        ("models.default.price={per_hour: 1}", "models.default.batch: calls in batch jobs are not priced per hour"),
        ("models.default.price={prompt: 1, completion: 1, batch: 1.5}", "models.default.price.batch"),
    ] {
        let more = ["--set", "models.default.batch=true", "--set", set];
        let check = [&["config", "check", "-c", "demo.yaml"][..], &more].concat();
        let ran = project.run(&check).ended(2);
        assert!(ran.stderr.contains(key), "{}", ran.stderr);
    }
}
