//! What is lost on the way: made up for where that is asked for, told with the next step, and never published unawares.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, differing};
use crate::support::script::{Answer, Call, Script};
use crate::support::sums::{assert_sums, number};

const OUTCOMES: [&str; 6] = ["accepted", "duplicate", "rejected", "refused", "failed", "over_budget"];
const TOP_UP: [&str; 2] = ["--set", "conversations.top_up=true"];

fn demo(script: Script) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    // One call a turn is enough here.
    let text =
        project.read("demo.yaml").replace("conversations:\n", "conversations:\n  speaker_selection: round_robin\n");
    project.write("demo.yaml", text);
    (endpoint, project)
}

/// Whether a filter stops this line: that of about one conversation in three.
fn is_struck(call: &Call) -> bool {
    call.wants_a_line() && call.share() < 0.05
}

fn refusing() -> Script {
    Script::but(is_struck, |_| Answer::azure_filter("violence"))
}

/// Everybody says the same, which the gates turn down.
fn echoing() -> Script {
    Script::but(Call::wants_a_line, |_| Answer::Text("That was the harbour bell, and nobody heard it.".to_owned()))
}

fn failing() -> Script {
    Script::but(is_struck, |_| Answer::error(400, "invalid_request", "not to my liking"))
}

fn tally(summary: &Value, outcome: &str) -> u64 {
    number(&summary["stages"]["conversations"][outcome])
}

/// Conversations that were begun.
fn begun(summary: &Value) -> u64 {
    OUTCOMES.iter().map(|outcome| tally(summary, outcome)).sum()
}

fn ids(project: &Project, run: &str) -> Vec<String> {
    let rows = project.rows(&format!("{run}/stages/3-conversations/part-00000.jsonl")).into_iter();
    rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
}

fn until_asked(endpoint: &Endpoint, calls: usize) {
    let patience = Instant::now() + Duration::from_secs(60);
    while endpoint.calls().len() < calls {
        assert!(Instant::now() < patience, "the endpoint is not asked");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn what_is_lost_is_replaced_alike_in_any_order_after_a_kill_and_within_a_budget() {
    let (endpoint, plain) = demo(refusing());
    let lost = 12 - tally(&plain.pipeline(&[]).ended(9).json(), "accepted");
    assert!(lost > 0, "nothing was refused, so nothing is tested");
    let before = endpoint.calls().len();

    // A fork pays for the replacements alone, as the closing lines promise.
    let fork = [&TOP_UP[..], &["--fork", "runs/demo", "--run-dir", "runs/more"]].concat();
    let ran = plain.pipeline(&fork).ended(0);
    let summary = ran.json();
    assert_sums(&plain, "runs/more", &summary);
    let replaced = begun(&summary) - 12;
    assert!(replaced >= lost, "{summary}");
    let target = &summary["targets"]["conversations"];
    assert_eq!(
        (number(&target["wanted"]), number(&target["accepted"]), number(&target["replaced"])),
        (12, 12, replaced)
    );
    let told = format!("conversations: accepted 12 of 12, {replaced} replaced");
    assert!(ran.stderr.contains(&told), "{}", ran.stderr);
    assert!(plain.run(&["pipeline", "status", "runs/more"]).ended(0).stdout.contains(&told));
    assert!(!ran.stderr.contains("next:"), "nothing is missing: {}", ran.stderr);
    assert!(endpoint.calls().len() - before < before, "only the replacements are paid for");
    let wanted = plain.data("runs/more");
    assert!(ids(&plain, "runs/more").iter().any(|id| id.ends_with("-001")), "a loss is answered on its own situation");

    // Killed among the replacements, which wait until it is.
    let all = endpoint.calls().len();
    let held = Arc::new(AtomicBool::new(true));
    let holding = Arc::clone(&held);
    let slow = Script::answering(move |call| {
        let is_held = call.index >= all * 9 / 10 && holding.load(Ordering::Relaxed);
        if is_struck(call) {
            Answer::azure_filter("violence")
        } else if is_held {
            Answer::Late(Duration::from_secs(2))
        } else {
            Answer::Late(Duration::from_millis(if call.share() < 0.5 { 1 } else { 25 }))
        }
    });
    let (endpoint, project) = demo(slow);
    let started = project.start(&[&TOP_UP[..], &["--set", "models.default.concurrency=4"]].concat());
    until_asked(&endpoint, all * 9 / 10);
    started.signal("KILL");
    assert_eq!(started.end().code, None);
    held.store(false, Ordering::Relaxed);
    // A budget that ends among the replacements stops there, and a larger one goes on.
    let made = endpoint.calls().len();
    let cap = format!("budget.max_calls={}", made + 2);
    project.pipeline(&[&TOP_UP[..], &["--set", &cap]].concat()).ended(8);
    project.pipeline(&TOP_UP).ended(0);
    assert_eq!(differing(&wanted, &project.data("runs/demo")), Vec::<String>::new());
    let mut bodies: Vec<String> = endpoint.calls().into_iter().map(|call| call.body).collect();
    let sent = bodies.len();
    bodies.sort_unstable();
    bodies.dedup();
    assert!(
        sent - bodies.len() <= 4 + usize::try_from(replaced).unwrap(),
        "{} calls were made twice",
        sent - bodies.len()
    );
}

#[test]
fn replacing_ends_at_three_times_what_is_asked_for() {
    let (_endpoint, project) = demo(echoing());
    let ran = project.pipeline(&[&TOP_UP[..], &["--set", "situations.count=4"]].concat()).ended(9);
    let summary = ran.json();
    assert_eq!((tally(&summary, "accepted"), tally(&summary, "rejected")), (0, 12), "{summary}");
    assert_sums(&project, "runs/demo", &summary);
    assert!(ran.stderr.contains("next: 8 conversations replaced already"), "{}", ran.stderr);
    let tops = ["plan", "-c", "demo.yaml", "--json"];
    let (plain, topped) =
        (project.run(&tops).ended(0).json(), project.run(&[&tops[..], &TOP_UP].concat()).ended(0).json());
    assert_eq!((number(&plain["most_conversations"]), number(&topped["most_conversations"])), (12, 36));
    let most = |plan: &Value| {
        let speaker = plan["roles"].as_array().unwrap().iter().find(|role| role["role"] == "speaker").unwrap();
        speaker["calls"]["most"].as_f64().unwrap()
    };
    assert!((most(&topped) - 3.0 * most(&plain)).abs() < 0.5);
    let page = project.run(&[&tops[..3], &TOP_UP].concat()).ended(0).stdout;
    assert!(page.contains("12 conversations (at most 36 begun, to replace lost ones)"), "{page}");
}

#[test]
fn a_count_of_conversations_is_spread_over_the_situations() {
    let (_endpoint, project) = demo(Script::default());
    let of = |count: u64, run: &str| {
        let set = format!("conversations.count={count}");
        let summary = project.pipeline(&["--set", &set, "--run-dir", run, "--fork", "runs/demo"]).ended(0).json();
        assert_eq!((tally(&summary, "accepted"), begun(&summary)), (count, count));
        ids(&project, run)
    };
    project.pipeline(&[]).ended(0);
    let plain = ids(&project, "runs/demo");
    assert_eq!(of(5, "runs/few"), plain[..5]);
    let many: Vec<String> = of(14, "runs/many");
    let second = plain[..2].iter().map(|id| format!("{}-001", id.strip_suffix("-000").unwrap()));
    let mut wanted: Vec<String> = plain.iter().cloned().chain(second).collect();
    wanted.sort();
    assert_eq!(many, wanted, "the first two have one more");
    let told = project.pipeline(&["--set", "conversations={count: 5, per_situation: 2}"]).ended(2).stderr;
    assert!(told.contains("conversations.count") && told.contains("per_situation"), "{told}");
}

/// Every path below `runs/` that is named is there.
fn assert_paths(project: &Project, text: &str) {
    for word in text.split_whitespace().filter(|word| word.starts_with("runs/")) {
        let path = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        let is_page = Path::new(path).extension().is_some_and(|ending| ending == "html");
        assert!(project.path().join(path).exists() || is_page, "{path} is named and not there: {text}");
    }
}

#[test]
fn the_next_step_fits_the_loss_and_a_flag_that_does_nothing_says_so() {
    let (_endpoint, project) = demo(failing());
    let told = project.pipeline(&[]).ended(9).stderr;
    assert!(told.contains("got no answer: the same command with --retry-failed asks again"), "{told}");
    assert!(!told.contains("does nothing"), "{told}");
    let status = project.run(&["pipeline", "status", "runs/demo"]).ended(0).stdout;
    assert!(status.contains("--retry-failed asks again"), "{status}");

    let (endpoint, project) = demo(echoing());
    let told = project.pipeline(&["--set", "situations.count=3"]).ended(9).stderr;
    assert!(!told.contains("--retry-failed"), "no call failed: {told}");
    assert!(
        told.contains("conversations.gates.without: [echo]") && told.contains("conversations.max_repairs"),
        "{told}"
    );
    assert!(told.contains("conversations.top_up=true --fork runs/demo"), "{told}");
    assert_paths(&project, &told);
    let calls = endpoint.calls().len();
    let again =
        project.pipeline(&["--set", "situations.count=3", "--retry-failed", "--accept-partial"]).ended(9).stderr;
    assert!(again.contains("--retry-failed does nothing here"), "{again}");
    assert!(again.contains("--accept-partial does nothing here"), "{again}");
    assert_eq!(endpoint.calls().len(), calls);

    let budget = ["--set", "budget.max_calls=80", "--accept-partial", "--run-dir", "runs/cut"];
    let (_endpoint, project) = demo(Script::default());
    let told = project.pipeline(&budget).ended(8).stderr;
    assert!(
        told.contains("over budget: raise it; then the same command with --fork runs/cut --run-dir NEW_DIR"),
        "{told}"
    );
    assert_paths(&project, &told);
}

const UPLOAD: &str = "version: 1
runs: [runs/demo]
dataset: demo
work_dir: work
destination: {folder: out}
";

fn publish(project: &Project, more: &[&str]) -> Ran {
    project.run(&[&["compile-upload", "-c", "upload.yaml", "--json"], more].concat())
}

#[test]
fn a_partial_run_is_published_only_when_that_is_asked_for() {
    let (endpoint, project) = demo(refusing());
    project.write("upload.yaml", UPLOAD);
    let summary = project.pipeline(&[]).ended(9).json();
    let (accepted, calls) = (tally(&summary, "accepted"), endpoint.calls().len());
    for more in [&[][..], &["--dry-run"], &["--verify"]] {
        let told = publish(&project, more).ended(3).stderr;
        let wanted = format!("runs/demo: {accepted} of 12 conversations, less than min_accepted (0.95) asks for");
        assert!(told.contains(&wanted) && told.contains("--allow-partial"), "{told}");
        assert!(!project.path().join("out").exists(), "something was published");
    }
    // Its situations are all there.
    publish(&project, &["--set", "include=[situations]", "--dry-run"]).ended(0);
    assert_eq!(publish(&project, &["--allow-partial"]).ended(0).json()["rows"]["conversations"], accepted);
    // What is enough is said of a run that is there, and costs nothing.
    let enough = format!("min_accepted={}", accepted as f64 / 12.0);
    let ran = project.pipeline(&["--set", &enough]).ended(0);
    assert!(
        ran.stderr.contains(&format!("accepted {accepted} of 12")) && ran.stderr.contains("enough"),
        "{}",
        ran.stderr
    );
    assert_eq!(endpoint.calls().len(), calls);
    publish(&project, &[]).ended(0);
    for share in ["0", "1.5"] {
        let told = project.pipeline(&["--set", &format!("min_accepted={share}")]).ended(2).stderr;
        assert!(told.contains("min_accepted"), "{told}");
    }

    let (_endpoint, empty) = demo(echoing());
    empty.write("upload.yaml", UPLOAD);
    empty.pipeline(&["--set", "situations.count=3", "--set", "min_accepted=0.000001"]).ended(9);
    let told = publish(&empty, &[]).ended(3).stderr;
    assert!(told.contains("runs/demo: no conversations"), "{told}");
}

/// Parts are judged together: a part that lost much does not bar a whole that lost little.
#[test]
fn parts_of_a_run_are_judged_as_the_whole() {
    let ((_refusing, project), sound) = (demo(refusing()), Endpoint::start(Script::default()));
    project.write("upload.yaml", UPLOAD);
    let part = |index: u64, more: &[&str]| {
        let shard = format!("{index}/2");
        let url = format!("models.default.base_url={}", sound.base_url());
        let at = if index == 0 { "seed=17" } else { &url };
        let fixed = ["--shard", &shard, "--set", "personas.sample=80", "--set", "min_accepted=0.01", "--set", at];
        project.pipeline(&[&fixed, more].concat())
    };
    let accepted: Vec<u64> = (0..2).map(|index| tally(&part(index, &[]).ended(0).json(), "accepted")).collect();
    assert!(accepted[0] < 6 && accepted[1] == 6, "nothing was lost, so nothing is tested: {accepted:?}");
    let share = |accepted: u64, of: f64| accepted as f64 / of;
    let (whole, worse) = (share(accepted[0] + accepted[1], 12.0), share(accepted[0], 6.0));
    let judge = |least: f64| {
        let least = format!("min_accepted={least}");
        (0..2).map(|index| part(index, &["--set", &least]).code.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(judge(f64::midpoint(whole, worse)), [9, 0], "a part alone has too little");
    publish(&project, &[]).ended(0);
    judge(whole + 0.01);
    let told = publish(&project, &[]).ended(3).stderr;
    let wanted = format!("{} of 12 conversations", accepted[0] + accepted[1]);
    assert!(told.contains("runs/demo-0-of-2 and the other part of that run") && told.contains(&wanted), "{told}");
}

#[test]
fn the_configurations_that_ship_publish_conversations() {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.run(&["init", "."]).ended(0);
    let url = format!("models.default.base_url={}", endpoint.base_url());
    let set = ["--set", &url, "--set", "models.default.api_key_env=null", "--set", "situations.count=3"];
    project.run(&[&["pipeline", "run", "-c", "configs/pipeline.yaml"], &set[..]].concat()).ended(0);
    let upload = ["compile-upload", "-c", "configs/upload.yaml", "--set", "destination={folder: out}", "--json"];
    assert_eq!(project.run(&upload).ended(0).json()["rows"]["conversations"], 3);
}
