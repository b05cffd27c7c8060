//! What users get wrong: configurations, prompts, personas and situation files. Every mistake ends with the exit code of
//! its kind and a message that names where it is; none is a panic, and a sound run goes on in the same folder afterwards.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, demo_yaml};
use crate::support::script::Script;

/// A folder with a configuration of its own prompts, shots and personas that is sound.
struct Bench {
    project: Project,
    endpoint: Endpoint,
}

const SETS: [&str; 8] = [
    "--set",
    "situations.count=2",
    "--set",
    "situations.prompt_config=mine/config.yaml",
    "--set",
    "personas.source=people.jsonl",
    "--set",
    "compile.splits={train: 1.0}",
];

const PROMPT_CONFIG: &str = "prompt: prompt.md\nshots: [shots]\n";
const PROMPT: &str = include_str!("../../prompts/situations/prompt-persona-v1.md");
const SPEAKER: &str = include_str!("../../prompts/conversations/speaker.md");
const SHOT: &str = include_str!("../../prompts/situations/shots-personas/shot-1.json");
const SITUATION: &str = r#"{"id": "a", "personas": [{"name": "Ann", "description": "A baker.", "persona": "Ann bakes bread in Lyon."}, {"name": "Bob", "description": "A smith.", "persona": "Bob works iron in Turin."}], "relations": ["Ann and Bob are neighbours."], "situation": "They meet at the market and settle a quarrel about a fence.", "topic": "the fence", "conversation_starter": "So, what about that fence?"}"#;

impl Bench {
    fn new() -> Self {
        let bench = Self { project: Project::new(), endpoint: Endpoint::start(Script::default()) };
        bench.mend();
        bench
    }

    /// Everything as it should be.
    fn mend(&self) {
        self.project.write("demo.yaml", self.yaml());
        self.project.write("mine/config.yaml", PROMPT_CONFIG);
        self.project.write("mine/prompt.md", PROMPT);
        self.project.write("mine/shots/shot-1.json", SHOT);
        self.project.write("mine/speaker.md", SPEAKER);
        self.project.write("people.jsonl", people());
        self.project.write("situations.jsonl", SITUATION);
    }

    fn yaml(&self) -> String {
        demo_yaml(&self.endpoint.base_url())
    }

    fn run(&self, more: &[&str]) -> Ran {
        let ran = self.project.pipeline(&[&SETS[..], more].concat());
        assert!(!ran.stderr.contains("a bug in convogen"), "{}", ran.stderr);
        ran
    }

    /// Runs with `more` flags: ends with `code`, and its message holds all of `words`.
    fn refused(&self, name: &str, more: &[&str], code: i32, words: &[&str]) {
        let ran = self.run(more);
        assert_eq!(ran.code, Some(code), "{name}: {}", ran.stderr);
        for word in words {
            assert!(ran.stderr.contains(word), "{name}: no {word:?} in {}", ran.stderr);
        }
    }

    /// Nothing that went wrong before stands in the way of a sound run in the same run directory.
    fn goes_on(&self) {
        self.mend();
        self.run(&[]).ended(0);
    }

    fn pipe(&self, name: &str) {
        let path = self.project.path().join(name);
        let _ = std::fs::remove_file(&path);
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }
}

/// Forty-five people, a JSON row each.
fn people() -> String {
    let mut rows = String::new();
    for trade in ["teacher", "nurse", "baker", "smith", "pilot"] {
        for town in ["Lyon", "Oslo", "Turin"] {
            for thing in ["stamps", "clocks", "maps"] {
                let text = format!("A retired {trade} from {town} who collects {thing} and writes to the council.");
                writeln!(rows, "{}", serde_json::json!({ "persona": text })).unwrap();
            }
        }
    }
    rows
}

#[test]
fn a_wrong_configuration_is_told_by_line_and_key() {
    let bench = Bench::new();
    let yaml = bench.yaml();
    let bomb: String = (0..7).fold("x0: &x0 [a, a, a]\n".to_owned(), |text, at| {
        let alias = vec![format!("*x{at}"); 9].join(", ");
        format!("{text}x{}: &x{} [{alias}]\n", at + 1, at + 1)
    });
    let cases: Vec<(&str, String, &[&str])> = vec![
        ("wrong key", yaml.replace("situations:", "situation:"), &["demo.yaml:5:1", "`situations`"]),
        ("missing key", yaml.replace("    model: demo\n", ""), &["demo.yaml:14", "models.default.model", "missing"]),
        ("missing version", yaml.replace("version: 1\n", ""), &["demo.yaml:1:1", "version", "missing"]),
        ("wrong type", yaml.replace("seed: 17", "seed: many"), &["demo.yaml:2:1", "seed", "whole number"]),
        ("other version", yaml.replace("version: 1", "version: 2"), &["demo.yaml:1:1", "version", "newer"]),
        ("twice", yaml.replace("seed: 17", "seed: 17\nseed: 18"), &["demo.yaml:3:1", "`seed`", "twice"]),
        ("tag", yaml.replace("seed: 17", "seed: !python/object 17"), &["demo.yaml:2", "!python/object"]),
        ("merge key", yaml.replace("seed: 17", "<<: {seed: 17}"), &["demo.yaml:2:1", "merge keys"]),
        ("alias bomb", bomb, &["demo.yaml:", "more nesting, aliases or values"]),
        ("flow nesting", format!("seed: {}", "[".repeat(50_000)), &["demo.yaml:1:"]),
        ("block nesting", (0..1000).fold(String::new(), |t, at| t + &" ".repeat(at) + "a:\n"), &["demo.yaml:"]),
        ("nothing", String::new(), &["demo.yaml:1:1"]),
        ("a key in the file", yaml.replace("null", "sk-canary"), &["api_key_env", "must not stand in a file"]),
    ];
    for (name, text, words) in cases {
        bench.project.write("demo.yaml", text);
        bench.refused(name, &[], 2, words);
    }
    bench.project.write("demo.yaml", b"version: 1\n\xff\n");
    bench.refused("not text", &[], 2, &["demo.yaml", "not UTF-8", "byte 11"]);
    let file = std::fs::File::create(bench.project.path().join("demo.yaml")).unwrap();
    file.set_len(100 << 20).unwrap();
    bench.refused("100 MiB", &[], 2, &["demo.yaml", "larger than 1 MiB"]);
    bench.pipe("demo.yaml");
    bench.refused("pipe", &[], 2, &["demo.yaml is not a regular file"]);
    std::fs::remove_file(bench.project.path().join("demo.yaml")).unwrap();
    bench.refused("missing file", &[], 2, &["demo.yaml", "convogen init"]);
    std::fs::create_dir(bench.project.path().join("demo.yaml")).unwrap();
    bench.refused("folder", &[], 2, &["demo.yaml is not a regular file"]);
    std::fs::remove_dir(bench.project.path().join("demo.yaml")).unwrap();
    bench.mend();
    bench.refused("unknown flag key", &["--set", "situations.cuont=3"], 2, &["situations.cuont", "`count`"]);
    bench.refused("no flag value", &["--set", "situations"], 2, &["--set situations", "KEY=VALUE"]);
    assert!(bench.endpoint.calls().is_empty(), "nothing is asked of an endpoint before the configuration is sound");
    assert!(!bench.project.path().join("runs").exists(), "nothing is written before the configuration is sound");
    bench.goes_on();
}

#[test]
fn a_wrong_prompt_or_shot_is_told_by_file_and_line() {
    let bench = Bench::new();
    let last = PROMPT.lines().count() + 1;
    let place = format!("mine/prompt.md, line {last}");
    let in_user = |text: &str| PROMPT.replacen("<!-- section: user -->", &format!("<!-- section: user -->\n{text}"), 1);
    let endless = "{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}";
    let huge =
        "{% for i in range(9000) %}{% for j in range(9000) %}0123456789abcdef0123456789abcdef{% endfor %}{% endfor %}";
    let cases: [(&str, String, &[&str]); 6] = [
        (
            "unknown variable",
            format!("{PROMPT}{{{{ langauge }}}}\n"),
            &[&place, "`langauge`", "did you mean `language`"],
        ),
        ("syntax", format!("{PROMPT}{{% if %}}\n"), &[&place]),
        ("include", format!("{PROMPT}{{% include '/etc/passwd' %}}\n"), &[&place, "include"]),
        ("unknown section", PROMPT.replace("section: user", "section: usr"), &["mine/prompt.md, line", "`user`"]),
        ("endless loop", in_user(endless), &["mine/prompt.md", "fuel"]),
        ("huge output", in_user(huge), &["mine/prompt.md"]),
    ];
    for (name, text, words) in cases {
        bench.project.write("mine/prompt.md", text);
        bench.refused(name, &[], 2, words);
    }
    bench.project.write("mine/prompt.md", "<!-- section: user -->\nHello\n");
    bench.refused("missing section", &[], 2, &["mine/prompt.md", "`system` is missing"]);
    bench.pipe("mine/prompt.md");
    bench.refused("pipe", &[], 2, &["mine/config.yaml:1:1", "mine/prompt.md"]);
    std::fs::remove_file(bench.project.path().join("mine/prompt.md")).unwrap();
    bench.refused("missing prompt", &[], 2, &["mine/config.yaml:1:1", "mine/prompt.md"]);
    bench.mend();

    bench.project.write("mine/speaker.md", format!("{SPEAKER}{{{{ nmae }}}}\n"));
    let speaker = ["--set", "conversations.prompts.speaker=mine/speaker.md"];
    bench.refused("speaker", &speaker, 2, &["mine/speaker.md, line", "`nmae`", "did you mean `name`"]);
    bench.project.write("mine/grid.yaml", "cells: 3\n");
    bench.refused("grid", &["--set", "situations.coverage=mine/grid.yaml"], 2, &["mine/grid.yaml:1"]);

    let shots: [(&str, String, &[&str]); 3] = [
        ("other key", SHOT.replace("\"topic\"", "\"topik\""), &["mine/shots/shot-1.json, line", "topik"]),
        ("broken", SHOT[..SHOT.len() / 2].to_owned(), &["mine/shots/shot-1.json, line"]),
        (
            "other type",
            SHOT.replace("\"relations\": [", "\"relations\": [3, "),
            &["mine/shots/shot-1.json", "relations"],
        ),
    ];
    for (name, text, words) in shots {
        bench.project.write("mine/shots/shot-1.json", text);
        bench.refused(name, &[], 2, words);
    }
    std::fs::remove_file(bench.project.path().join("mine/shots/shot-1.json")).unwrap();
    bench.refused("folder without shots", &[], 2, &["mine/shots has no .json file"]);
    std::fs::remove_dir(bench.project.path().join("mine/shots")).unwrap();
    bench.refused("missing folder", &[], 2, &["mine/config.yaml:2", "shots[0]", "mine/shots"]);
    bench.mend();

    let configs: [(&str, &str, &[&str]); 3] = [
        (
            "other key",
            "prompt: prompt.md\nshots: [shots]\nshot_per_prompt: 3\n",
            &["config.yaml:3:1", "`shots_per_prompt`"],
        ),
        ("too many", "prompt: prompt.md\nshots: [shots]\nshots_per_prompt: 300\n", &["config.yaml:3:1", "at most 50"]),
        ("missing key", "prompt: prompt.md\n", &["config.yaml:1:1", "shots", "missing"]),
    ];
    for (name, text, words) in configs {
        bench.project.write("mine/config.yaml", text);
        bench.refused(name, &[], 2, words);
    }
    bench.goes_on();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

#[test]
fn a_persona_file_that_cannot_serve_is_told_by_name() {
    let bench = Bench::new();
    let good = people();
    let short = gzip(good.as_bytes());
    let short = short[..short.len() / 2].to_vec();
    let noise: Vec<u8> =
        (0..50_000_u32).flat_map(|at| blake3::hash(&at.to_le_bytes()).as_bytes()[..3].to_vec()).collect();
    let two: String = good.lines().take(2).map(|line| format!("{line}\n")).collect();
    let cases: [(&str, Vec<u8>, &[&str]); 7] = [
        ("empty", Vec::new(), &["people.jsonl holds no rows", "\"persona\""]),
        ("binary", noise, &["none of the", "people.jsonl", "line 1"]),
        ("gzip cut short", short, &["people.jsonl is cut short", "gzip"]),
        ("UTF-16", utf16(&good), &["people.jsonl is UTF-16", "iconv"]),
        ("other keys", b"{\"name\": \"Ann\"}\n".repeat(100), &["none of the 100 rows", "line 1", "`persona`"]),
        ("too short", b"{\"persona\": \"...\"}\n".repeat(9), &["none of the 9 rows", "line 1"]),
        ("too few", two.into_bytes(), &["3 people", "situations.personas.min"]),
    ];
    for (name, bytes, words) in cases {
        bench.project.write("people.jsonl", bytes);
        bench.refused(name, &[], 3, words);
    }
    bench.pipe("people.jsonl");
    bench.refused("pipe", &[], 3, &["people.jsonl is a pipe", "personas.source"]);
    std::fs::remove_file(bench.project.path().join("people.jsonl")).unwrap();
    bench.refused("missing", &[], 3, &["people.jsonl", "personas.source"]);
    std::fs::create_dir(bench.project.path().join("people.jsonl")).unwrap();
    bench.refused("folder", &[], 3, &["people.jsonl is a directory", "personas.source"]);
    std::fs::remove_dir(bench.project.path().join("people.jsonl")).unwrap();
    bench.goes_on();

    let changed = good.clone() + "{\"persona\": \"A new person from Bern who likes to sing and dance.\"}\n";
    bench.project.write("people.jsonl", changed);
    bench.refused("changed between two runs", &[], 5, &["people.jsonl (SHA-256)", "--fork runs/demo"]);
    bench.goes_on();
}

#[test]
fn the_shape_of_a_persona_file_does_not_matter_and_bad_rows_are_counted() {
    let bench = Bench::new();
    let good = people();
    let bad = b"{\"persona\": \"A \xff\xfe retired person of Bern who writes.\"}\n[1, 2]\n{\"persona\": \"cut";
    let zstd = zstd::encode_all(good.as_bytes(), 1).unwrap();
    // Accepted of 45, duplicate, rejected; a sample of 40 is drawn.
    let cases: [(&str, Vec<u8>, [u64; 3]); 7] = [
        ("plain", good.clone().into_bytes(), [40, 0, 0]),
        ("CRLF", good.replace('\n', "\r\n").into_bytes(), [40, 0, 0]),
        ("byte order mark", format!("\u{feff}{good}").into_bytes(), [40, 0, 0]),
        ("gzip", gzip(good.as_bytes()), [40, 0, 0]),
        ("zstd", zstd, [40, 0, 0]),
        ("twice", good.repeat(2).into_bytes(), [40, 40, 0]),
        ("bad rows", [good.as_bytes(), bad].concat(), [40, 0, 3]),
    ];
    let mut datasets = Vec::new();
    for (at, (name, bytes, want)) in cases.into_iter().enumerate() {
        bench.project.write("people.jsonl", bytes);
        let run_dir = format!("runs/{at}");
        let summary = bench.run(&["--run-dir", &run_dir]).ended(0).json();
        let counts =
            ["accepted", "duplicate", "rejected"].map(|key| summary["stages"]["personas"][key].as_u64().unwrap());
        assert_eq!(counts, want, "{name}");
        datasets.push(bench.project.files(&format!("{run_dir}/dataset/jsonl")));
    }
    assert!(datasets.iter().all(|files| *files == datasets[0]), "the same people make the same data");
    let rejected = bench.project.read("runs/6/stages/1-personas/rejected.jsonl");
    for line in ["people.jsonl:46", "people.jsonl:47", "people.jsonl:48"] {
        assert!(rejected.contains(line), "{line} is not in {rejected}");
    }
}

#[test]
fn a_line_of_hundreds_of_megabytes_takes_no_memory() {
    let bench = Bench::new();
    let path = bench.project.path().join("people.jsonl");
    let mut file = std::fs::File::create(&path).unwrap();
    // A hole reads as NUL bytes and takes no disk.
    file.set_len(300 << 20).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).unwrap();
    file.write_all(b"\n").unwrap();
    file.write_all(people().as_bytes()).unwrap();
    drop(file);
    let arguments = [&["pipeline", "run", "-c", "demo.yaml", "--json"], &SETS[..]].concat();
    let mut command = bench.project.convogen(&arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let peak = peak_kilobytes(child.id());
    let ran = Ran::from(child.wait_with_output().unwrap()).ended(0);
    assert_eq!(ran.json()["stages"]["personas"]["rejected"], 1);
    let rejected = bench.project.read("runs/demo/stages/1-personas/rejected.jsonl");
    assert!(rejected.contains("people.jsonl:1\""), "{rejected}");
    assert!(peak > 0 && peak < 150 << 10, "{peak} KiB");
}

/// The most memory the process `id` was seen to have, until it ends.
fn peak_kilobytes(id: u32) -> u64 {
    let mut peak = 0;
    while let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) {
        // A process that has ended and was not waited for has no memory any more.
        let Some(line) = status.lines().find(|line| line.starts_with("VmHWM:")) else { break };
        peak = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(peak);
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    peak
}

#[test]
fn a_file_of_situations_is_imported_but_for_its_bad_lines() {
    let bench = Bench::new();
    let mode =
        ["--set", "situations.mode=file", "--set", "situations.source=situations.jsonl", "--set", "situations.count=1"];
    let missing = ["--set", "situations.mode=file"];
    bench.refused("no source", &missing, 2, &["situations.source", "missing"]);
    let cases: [(&str, Vec<u8>, &[&str]); 3] = [
        ("empty", Vec::new(), &["situations.jsonl", "empty"]),
        ("no JSON", b"nonsense\n".to_vec(), &["situations.jsonl:1"]),
        ("other keys", b"\n{\"id\": \"b\"}\n".to_vec(), &["situations.jsonl:2"]),
    ];
    for (name, bytes, words) in cases {
        bench.project.write("situations.jsonl", bytes);
        bench.refused(name, &mode, 3, words);
    }
    bench.pipe("situations.jsonl");
    bench.refused("pipe", &mode, 3, &["situations.jsonl is a pipe, not a file", "situations.source"]);
    std::fs::remove_file(bench.project.path().join("situations.jsonl")).unwrap();
    bench.refused("missing", &mode, 3, &["situations.jsonl", "situations.source"]);

    let long = "x".repeat(3 << 20);
    let lines = format!("{{\"id\": \"b\"}}\nnonsense\n{long}\n\u{feff}{SITUATION}\r\n");
    bench.project.write("situations.jsonl", [b"\xff\n", lines.as_bytes()].concat());
    let summary = bench.run(&mode).ended(0).json();
    assert_eq!(summary["stages"]["situations"]["accepted"], 1);
    assert_eq!(summary["stages"]["situations"]["rejected"], 4);
    bench.project.write("situations.jsonl", SITUATION);
    bench.refused("changed between two runs", &mode, 5, &["situations.jsonl (SHA-256)"]);
}

#[test]
fn what_other_programs_and_portals_write_is_understood_and_what_is_not_is_told() {
    let project = Project::new();
    project.write(".env", "AZURE_OPENAI_API_KEY=abc$DEF\nAPP_TITLE=my own app\nsk-canary and more\n");
    let models = "models: {default: {provider: azure_openai, endpoint: 'https://r.example/openai/deployments/chat/chat/completions?api-version=2024-10-21'}}\n";
    project.write("c.yaml", format!("version: 1\nrun_dir: ~/runs/x\nlanguage: English\n{models}"));
    let ran = project.run(&["config", "check", "-c", "c.yaml"]).ended(0);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("line 3") && !said.contains("canary"), "{said}");
    assert!(said.contains("https://r.example;") && !said.contains('~'), "{said}");
    assert!(said.contains(&format!("{}/runs/x", project.path().display())), "{said}");
}
