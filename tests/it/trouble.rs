//! Endpoints, disks and terminals that make trouble: each ends with the exit code of its kind and a message that says what
//! to do, no key is ever shown or written, and the same command goes on once the trouble is over.

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, demo_yaml, differing};
use crate::support::script::{Answer, Script};

const CANARY: &str = "sk-canary+5f0c/2d77==";
const CANARY_ENCODED: &str = "sk-canary%2B5f0c%2F2d77%3D%3D";
const CANARY_BASE64: &str = "c2stY2FuYXJ5KzVmMGMvMmQ3Nz09";

/// Two situations; attempts that fail fast.
const SETS: [&str; 8] = [
    "--set",
    "situations.count=2",
    "--set",
    "models.default.max_attempts=2",
    "--set",
    "models.default.timeouts={connect_s: 1, first_byte_s: 0.5, idle_s: 0.5, total_s: 2}",
    "--set",
    "models.default.api_key_env=OPENAI_API_KEY",
];

struct Bench {
    project: Project,
}

impl Bench {
    fn at(base_url: &str) -> Self {
        let project = Project::new();
        project.demo(base_url);
        // One half of the secret's ways in; the environment is the other.
        project.write(".env", format!("AZURE_OPENAI_API_KEY={CANARY}\n"));
        Self { project }
    }

    /// Everything is logged that can be, and the key is nowhere afterwards.
    fn run(&self, more: &[&str]) -> Ran {
        let arguments = [&["-vvv", "pipeline", "run", "-c", "demo.yaml", "--json"], &SETS[..], more].concat();
        let ran: Ran = self.project.convogen(&arguments).env("OPENAI_API_KEY", CANARY).output().unwrap().into();
        assert!(!ran.stderr.contains("a bug in convogen"), "{}", ran.stderr);
        self.is_secret("stdout", ran.stdout.as_bytes());
        self.is_secret("stderr", ran.stderr.as_bytes());
        for (name, bytes) in self.project.files("runs") {
            self.is_secret(&name, &bytes);
        }
        ran
    }

    fn is_secret(&self, place: &str, bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        for form in [CANARY, CANARY_ENCODED, CANARY_BASE64, "sk-canary"] {
            assert!(!text.contains(form), "{place} in {} holds the key", self.project.path().display());
        }
    }
}

fn says(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{}", ran.stderr);
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in {}", ran.stderr);
    }
}

#[test]
fn an_endpoint_that_cannot_be_had_ends_the_run_and_says_why() {
    let cases: Vec<(&str, Answer, &[&str])> = vec![
        (
            "401",
            Answer::error(401, "invalid_api_key", &format!("Incorrect API key: {CANARY}")),
            &["401", "OPENAI_API_KEY"],
        ),
        ("403", Answer::error(403, "forbidden", &format!("not for {CANARY_ENCODED}")), &["403"]),
        ("404", Answer::error(404, "model_not_found", "The model `demo` does not exist"), &["404", "does not exist"]),
        ("quota", Answer::error(429, "insufficient_quota", "You exceeded your quota"), &["quota"]),
        ("redirect", Answer::Status(307, vec![("location", "http://10.0.0.1/v1".into())], Vec::new()), &["10.0.0.1"]),
    ];
    std::thread::scope(|scope| {
        for (name, answer, words) in cases {
            scope.spawn(move || {
                let endpoint = Endpoint::start(Script::answering(move |_| answer.clone()));
                let bench = Bench::at(&endpoint.base_url());
                let ran = bench.run(&[]);
                assert_eq!(ran.code, Some(6), "{name}: {}", ran.stderr);
                says(&ran, 6, words);
                says(&ran, 6, &["the same command goes on"]);
                // The same directory serves a good run, with an endpoint that is well.
                let well = Endpoint::start(Script::default());
                let address = format!("models.default.base_url={}", well.base_url());
                bench.run(&["--set", &address]).ended(0);
            });
        }
    });
}

#[test]
fn an_endpoint_that_was_never_reached_is_given_up_soon() {
    let mut gone = Endpoint::start(Script::default());
    let refused = gone.base_url();
    gone.stop();
    std::thread::scope(|scope| {
        for base_url in [refused, "https://nowhere.invalid/v1".to_owned()] {
            scope.spawn(move || {
                let origin = base_url.trim_end_matches("/v1").to_owned();
                let ran = Bench::at(&base_url).run(&["--set", "models.default.max_attempts=8"]);
                says(&ran, 6, &["all ", " connections failed", &origin, "base_url (or endpoint)"]);
            });
        }
    });
}

#[test]
fn a_fault_now_and_then_changes_nothing() {
    let plain = Endpoint::start(Script::default());
    let reference = Bench::at(&plain.base_url());
    reference.run(&[]).ended(0);
    let reference = reference.project.data("runs/demo");
    let faults: Vec<(&str, Answer)> = vec![
        ("429", Answer::too_many(None)),
        ("429 with a hint", Answer::too_many(Some("1"))),
        ("500", Answer::error(500, "server_error", "oops")),
        ("html", Answer::html()),
        ("empty choices", Answer::empty_choices()),
        ("truncated", Answer::truncated_json()),
        ("64 MiB", Answer::Huge(64 << 20)),
        ("hang", Answer::HangBeforeHeaders),
        ("hang-up", Answer::HangUp),
    ];
    let reference = &reference;
    std::thread::scope(|scope| {
        for (name, fault) in faults {
            scope.spawn(move || {
                let faulty = move |call: &crate::support::script::Call| {
                    if call.index % 9 == 4 && call.repeat == 0 { fault.clone() } else { Answer::Plausible }
                };
                let endpoint = Endpoint::start(Script::answering(faulty));
                let bench = Bench::at(&endpoint.base_url());
                // Busy machines answer late; what is meant to hang still does.
                let patient = "models.default.timeouts={connect_s: 5, first_byte_s: 3, idle_s: 3, total_s: 9}";
                let attempts = "models.default.max_attempts=8";
                bench.run(&["--set", patient, "--set", attempts]).ended(0);
                let calls = endpoint.calls();
                assert!(calls.iter().any(|call| !call.answered), "{name}: no fault was met");
                // Token counts and attempts of a turn may tell of the trouble; the texts may not.
                let differ = differing(reference, &bench.project.data("runs/demo"));
                assert!(differ.is_empty(), "{name}: {differ:?}");
            });
        }
    });
}

#[test]
fn no_call_comes_earlier_than_told() {
    let endpoint = Endpoint::start(Script::opening_with(vec![Answer::too_many(Some("2"))]));
    Bench::at(&endpoint.base_url()).run(&[]).ended(0);
    let calls = endpoint.calls();
    assert!(calls[1].at >= calls[0].at + Duration::from_secs(2), "{:?} then {:?}", calls[0].at, calls[1].at);
}

#[test]
fn a_key_is_neither_sent_in_the_clear_nor_taken_for_granted() {
    let bench = Bench::at("http://192.0.2.1/v1");
    says(&bench.run(&[]), 2, &["192.0.2.1", "plain http", "allow_http_hosts"]);
    let remote = Project::new();
    remote.write("demo.yaml", demo_yaml("https://192.0.2.1/v1").replace("api_key_env: null", "api_key_env: MY_KEY"));
    says(&remote.pipeline(&[]), 2, &["MY_KEY"]);
}

#[test]
fn a_key_is_in_no_argument_of_the_process() {
    let endpoint = Endpoint::start(Script { latency: Duration::from_millis(300), ..Script::default() });
    let bench = Bench::at(&endpoint.base_url());
    let arguments = [&["pipeline", "run", "-c", "demo.yaml"], &SETS[..]].concat();
    let mut command = bench.project.convogen(&arguments);
    let mut child = command.env("OPENAI_API_KEY", CANARY).stderr(Stdio::null()).spawn().unwrap();
    while endpoint.calls().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    bench.is_secret("cmdline", &std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_directory_that_cannot_serve_is_told_by_name() {
    let endpoint = Endpoint::start(Script::default());
    let bench = Bench::at(&endpoint.base_url());
    bench.project.write("file", "text");
    bench.project.write("other/notes.txt", "text");
    says(&bench.run(&["--run-dir", "file"]), 2, &["file is a file", "--run-dir"]);
    says(&bench.run(&["--run-dir", "other"]), 2, &["other is not empty and holds no run", "--run-dir"]);
    assert_eq!(bench.project.read("other/notes.txt"), "text");
    assert!(endpoint.calls().is_empty());

    bench.run(&[]).ended(0);
    let whole = bench.project.data("runs/demo");
    let made = endpoint.calls().len();
    std::fs::remove_dir_all(bench.project.path().join("runs/demo/dataset")).unwrap();
    bench.run(&[]).ended(0);
    assert_eq!(differing(&whole, &bench.project.data("runs/demo")), Vec::<String>::new());
    assert_eq!(endpoint.calls().len(), made, "a dataset is built again without a call");
}

/// A file system of its own, unmounted when dropped.
struct Mount<'a>(&'a Path);

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0).status());
    }
}

#[test]
fn on_a_disk_without_room_no_call_is_made_until_there_is_room() {
    let endpoint = Endpoint::start(Script::default());
    let bench = Bench::at(&endpoint.base_url());
    let disk = bench.project.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |options: &str| {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&disk).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if !mount("size=16m") {
        eprintln!("skipped: no file system can be mounted here");
        return;
    }
    let _mount = Mount(&disk);
    let keyless = ["--set", "models.default.api_key_env=null", "--run-dir", "disk/run"];
    let waiting = bench.project.start(&[&SETS[..], &keyless].concat());
    std::thread::sleep(Duration::from_secs(3));
    assert!(endpoint.calls().is_empty(), "a call was made although its reply could not be kept");
    waiting.signal("INT");
    says(&waiting.end(), 130, &["MiB", "512 MiB", "calls are paused until there is room"]);
    assert!(endpoint.calls().is_empty());
    assert!(mount("remount,ro"));
    let ran = bench.run(&["--run-dir", "disk/run"]);
    says(&ran, 7, &["disk/run"]);
    assert!(mount("remount,rw,size=1g"));
    bench.run(&["--run-dir", "disk/run"]).ended(0);
    bench.run(&[]).ended(0);
    let differ = differing(&bench.project.data("disk/run"), &bench.project.data("runs/demo"));
    assert!(differ.is_empty(), "{differ:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error_and_no_escape_code_is_written_but_to_terminals() {
    let project = Project::new();
    let mut child =
        project.convogen(&["config", "schema"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said, "");
    assert_ne!(child.wait().unwrap().code(), Some(1));
    for variables in [&[][..], &[("NO_COLOR", "1")], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]] {
        for arguments in [&["config", "check", "-c", "none.yaml"][..], &["--help"], &["nonsense"]] {
            let mut command = project.convogen(arguments);
            let ran = Ran::from(command.envs(variables.iter().copied()).output().unwrap());
            assert!(!ran.stderr.contains('\u{1b}') && !ran.stdout.contains('\u{1b}'), "{ran:?}");
        }
    }
}
