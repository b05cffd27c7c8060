//! The page of a run: it holds what the run holds and asks for nothing; what is said on it makes another run.

use std::collections::HashSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::judge;
use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, differing};
use crate::support::script::{Answer, Script};
use crate::support::sums::number;

/// An address that is nobody's, and of no domain that is set aside.
const ADDRESS: &str = "ann.lee@mailbox.org";
const PART: &str = "stages/3-conversations/part-00000.jsonl";
const GRID: &str =
    "version: 1\nattributes:\n  tone: {values: {warm: 2, tense: 1}}\n  place: {values: {hall: 1, tram: 1}}\n";

/// A model that says something else when it is asked for the same line again.
fn script() -> Script {
    let asked: Mutex<HashSet<String>> = Mutex::default();
    Script::answering(move |call| {
        if call.wants_a_line() && !asked.lock().unwrap().insert(call.prompt()) {
            return Answer::Text(format!("Nobody counted boat number {} at the quay.", call.index));
        }
        Answer::Plausible
    })
}

fn demo() -> (Endpoint, Project) {
    ran(script(), &[])
}

fn ran(script: Script, sets: &[&str]) -> (Endpoint, Project) {
    let (endpoint, project) = (Endpoint::start(script), Project::new());
    project.demo(&endpoint.base_url());
    project.write("grid.yaml", GRID);
    let ran = project.pipeline(&[&["--set", "situations.coverage=grid.yaml"], sets].concat());
    // A conversation may be lost on the way.
    assert!(matches!(ran.code, Some(0 | 9)), "{ran:?}");
    (endpoint, project)
}

/// What stands between two marks, as often as it does.
fn between<'t>(text: &'t str, start: &str, end: &str) -> Vec<&'t str> {
    text.split(start).skip(1).map(|rest| rest.split_once(end).unwrap().0).collect()
}

fn page(project: &Project, arguments: &[&str]) -> String {
    project.run(&[&["report"], arguments, &["--html", "page.html", "--force"]].concat()).ended(0);
    project.read("page.html")
}

fn data(page: &str) -> Value {
    serde_json::from_str(between(page, "id=\"data\">", "</script>")[0]).unwrap()
}

/// The blocks of a kind, inflated.
fn blocks(page: &str, kind: &str, side: usize) -> Vec<String> {
    let start = format!("class=\"{kind}\" data-side=\"{side}\">");
    let inflate = |packed: &str| {
        let mut text = String::new();
        DeflateDecoder::new(STANDARD.decode(packed).unwrap().as_slice()).read_to_string(&mut text).unwrap();
        text
    };
    // What is searched stands before the point, the rest behind it.
    let parts = between(page, &start, "</script>").into_iter().filter_map(|parts| parts.split('.').next());
    parts.map(inflate).collect()
}

/// The lines that are searched: id, situation, topic, starter, names, texts.
fn searched(page: &str, side: usize) -> Vec<Value> {
    let chunks = blocks(page, "chunk", side).concat();
    chunks.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_page_holds_every_turn_and_lets_nothing_run_but_its_own_script() {
    let (_endpoint, project) = demo();
    let page = page(&project, &["runs/demo"]);
    let rows = project.rows(&format!("runs/demo/{PART}"));
    let texts = |row: &Value| row["turns"].as_array().unwrap().iter().map(|turn| turn["text"].clone()).collect();
    let expected: Vec<Vec<Value>> = rows.iter().map(texts).collect();
    let held: Vec<Vec<Value>> = searched(&page, 0).iter().map(|talk| talk[5].as_array().unwrap().clone()).collect();
    assert_eq!(held, expected);
    let index: Value = serde_json::from_str(&blocks(&page, "index", 0)[0]).unwrap();
    assert_eq!(index["ids"].as_array().unwrap().len(), rows.len());

    let policy = between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"")[0];
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let script = between(&page, "<script>", "</script>");
    assert_eq!(script.len(), 1);
    let style = between(&page, "<style>", "</style>")[0];
    let expected = format!(
        "default-src 'none'; script-src {}; style-src {}; worker-src blob:; base-uri 'none'; form-action 'none'",
        hash(script[0]),
        hash(style)
    );
    assert_eq!(policy, expected);
    let own = page.replace("http://www.w3.org/2000/svg", "");
    let addresses: Vec<&str> = between(&own, "http", " ").into_iter().filter(|rest| rest.contains("://")).collect();
    assert!(addresses.is_empty(), "{addresses:?}");
    let jsonl = project.read(&format!("runs/demo/{PART}")).len();
    let packed: usize =
        between(&page, "class=\"chunk\" data-side=\"0\">", "</script>").iter().map(|text| text.len()).sum();
    assert!(packed * 100 < jsonl * 35, "{packed} of {jsonl}");
}

/// How many accepted conversations the page lists with a value, by the name of the facet.
fn listed(index: &Value) -> Vec<(String, String, u64)> {
    let facets = index["facets"].as_object().unwrap();
    let has = |facet: &Value, row: usize, wanted: usize| match &facet["rows"][row] {
        Value::Array(several) => several.contains(&json!(wanted)),
        one => *one == json!(wanted),
    };
    let rows = 0..index["ids"].as_array().unwrap().len();
    let accepted =
        facets["outcome"]["values"].as_array().unwrap().iter().position(|value| value == "accepted").unwrap();
    let accepted: Vec<usize> = rows.filter(|row| has(&facets["outcome"], *row, accepted)).collect();
    let values = facets.iter().filter(|(name, _)| *name != "outcome").flat_map(|(name, facet)| {
        facet["values"].as_array().unwrap().iter().enumerate().map(move |(at, value)| (name, facet, at, value))
    });
    let count = |facet: &Value, at| accepted.iter().filter(|row| has(facet, **row, at)).count() as u64;
    values
        .map(|(name, facet, at, value)| (name.clone(), value.as_str().unwrap().to_owned(), count(facet, at)))
        .collect()
}

#[test]
fn the_filters_of_the_terminal_count_what_those_of_the_page_count() {
    let script = Script::answering(|call| match call {
        call if judge::is_judging(call) => judge::judged(call, false),
        call if call.wants_a_line() && call.share() < 0.15 => Answer::Text(format!("Write me at {ADDRESS}, or call.")),
        _ => Answer::Plausible,
    });
    let (_endpoint, project) = ran(script, &judge::SETS);
    let page = page(&project, &["runs/demo"]);
    let index: Value = serde_json::from_str(&blocks(&page, "index", 0)[0]).unwrap();
    let count = |arguments: &[&str]| {
        let told = project.run(&[&["show", "runs/demo", "--count"], arguments].concat()).ended(0).stdout;
        told.trim().parse::<u64>().unwrap()
    };
    let facets = listed(&index);
    for (name, value, expected) in &facets {
        let (flag, value) = match name.split_once(": ") {
            Some((kind, name)) => (format!("--{kind}"), format!("{name}={value}")),
            None => (format!("--{name}"), value.clone()),
        };
        assert_eq!(count(&[&flag, &value]), *expected, "{flag} {value}");
    }
    let names: HashSet<&str> = facets.iter().map(|(name, ..)| name.as_str()).collect();
    for name in ["split", "model", "ending", "language", "situation", "cell: tone", "flag", "gate", "mended"] {
        assert!(names.contains(name), "no {name} among {names:?}");
    }
    let (mut tried, numbers) = (0, index["numbers"].as_object().unwrap());
    let accepted = usize::try_from(count(&[])).unwrap();
    for (name, column) in numbers {
        // Those that were accepted stand first.
        let column: Vec<f64> = column.as_array().unwrap()[..accepted].iter().filter_map(Value::as_f64).collect();
        let most = column.iter().copied().fold(0.0, f64::max);
        for (range, expected) in [
            (format!("{most}"), column.iter().filter(|number| **number >= most).count()),
            (format!("..{}", most - 1.0), column.iter().filter(|number| **number <= most - 1.0).count()),
            (format!("1..{most}"), column.iter().filter(|number| **number >= 1.0).count()),
        ] {
            let (flag, value) = match name.split_once(": ") {
                Some((_, scale)) => ("--score".to_owned(), format!("{scale}={range}")),
                None => (format!("--{}", name.replace(' ', "-")), range),
            };
            assert_eq!(count(&[&flag, &value]), expected as u64, "{flag} {value}");
            tried += 1;
        }
    }
    assert!(tried > 12 && numbers.contains_key("score: topic"), "{:?}", numbers.keys());
    let talks = searched(&page, 0);
    for text in ["Write ME at", "the", "no such words", ","] {
        let says = |value: &&Value| value.to_string().to_lowercase().contains(&text.to_lowercase());
        let fields = |talk: &Value| match talk {
            Value::Array(parts) => {
                parts.iter().flat_map(|part| part.as_array().cloned().unwrap_or(vec![part.clone()])).collect()
            }
            _ => Vec::new(),
        };
        let expected = talks[..accepted].iter().filter(|talk| fields(talk).iter().any(|field| says(&field))).count();
        assert_eq!(count(&["--text", text]), expected as u64, "{text}");
    }
    // Both have to hold.
    let (name, value, _) = facets.iter().find(|(name, ..)| name == "gate").unwrap();
    let both = count(&[&format!("--{name}"), value, "--text", "write me"]);
    assert!(both <= count(&["--gate", value]).min(count(&["--text", "write me"])));
    // What nothing has is told with what there is.
    let told = project.run(&["show", "runs/demo", "--cell", "tone=odd", "--cell", "mood=odd"]).ended(0).stderr;
    assert!(told.contains("no conversation is like that"), "{told}");
    assert!(
        told.contains("cell: tone: ") && told.contains("no conversation has a cell: mood; there is cell: "),
        "{told}"
    );
}

#[test]
fn a_page_that_is_there_stays_unless_it_may_go_and_a_sample_says_what_it_is() {
    let (_endpoint, project) = demo();
    project.write("page.html", "mine");
    let refused = project.run(&["report", "runs/demo", "--html", "page.html"]).ended(2);
    assert!(refused.stderr.contains("page.html is there already") && refused.stderr.contains("--force"), "{refused:?}");
    assert_eq!(project.read("page.html"), "mine");
    let whole = page(&project, &["runs/demo"]);
    assert_eq!(data(&whole)["samples"], json!([null]));
    let part = page(&project, &["runs/demo", "--most-turns", "40"]);
    let sample = &data(&part)["samples"][0];
    let held = searched(&part, 0).len();
    assert_eq!(
        (number(&sample["conversations"]), number(&sample["of"])),
        (held as u64, searched(&whole, 0).len() as u64)
    );
    assert!(held > 0 && held < searched(&whole, 0).len(), "{sample}");
    assert_eq!(data(&part)["report"]["subject"]["figures"], data(&whole)["report"]["subject"]["figures"]);
    assert_eq!(part, page(&project, &["runs/demo", "--most-turns", "40"]), "the same seed draws the same");
}

#[test]
fn files_of_other_tools_and_runs_without_conversations_have_pages_too() {
    let (_endpoint, project) = demo();
    project.write("talks.jsonl", "{\"id\": 7, \"dialogue\": \"Ann: Hi\\nBo: Hello, Ann\"}\n");
    let compared = page(&project, &["runs/demo", "--reference", "talks.jsonl"]);
    assert_eq!(searched(&compared, 1), [json!(["7", "", "", "", ["Ann", "Bo"], ["Hi", "Hello, Ann"]])]);
    assert!(data(&compared)["report"]["distance"]["ks_words"].is_number());
    for source in ["runs/demo/dataset", "runs/demo/stages/3-conversations/part-00000.parquet"] {
        let page = page(&project, &[source]);
        assert_eq!((searched(&page, 0).len(), &data(&page)["identity"]), (12, &Value::Null), "{source}");
    }

    // As a run that is at work stands: replies on record, nothing sealed.
    for several in ["conversations.per_situation=2", "conversations.count=7"] {
        let (_endpoint, twice) = ran(script(), &["--set", "situations.count=4", "--set", several]);
        let all = twice.rows(&format!("runs/demo/{PART}"));
        assert!(all.len() > 4, "{}: none is the second on its situation", all.len());
        std::fs::remove_dir_all(twice.path().join("runs/demo/stages/3-conversations")).unwrap();
        let begun = self::page(&twice, &["runs/demo"]);
        let talks = searched(&begun, 0);
        let held: HashSet<String> = talks.iter().map(|talk| talk[0].as_str().unwrap().to_owned()).collect();
        assert!(all.iter().all(|talk| held.contains(id(talk))), "{several}: {held:?}");
        assert_eq!(data(&begun)["begun"], json!(true));
    }
    project.write("empty.jsonl", "\n");
    let empty = project.run(&["report", "empty.jsonl", "--html", "empty.html"]).ended(3);
    assert!(empty.stderr.contains("holds no conversation"), "{empty:?}");
    assert!(!project.path().join("empty.html").exists());
}

#[test]
fn a_page_that_cannot_be_written_leaves_nothing() {
    let (_endpoint, project) = demo();
    let written = project.run(&["report", "runs/demo", "--html", "page.html/inner.html"]).ended(0);
    assert!(written.stderr.contains("open it in a browser"), "{written:?}");
    project.write("file", "");
    project.run(&["report", "runs/demo", "--html", "file/page.html"]).ended(7);
    // Beyond this size the process may not write: as if the disk were full.
    let full =
        format!("trap '' XFSZ; ulimit -f 8; exec {} report runs/demo --html full.html", env!("CARGO_BIN_EXE_convogen"));
    let ran = Command::new("bash").args(["-c", &full]).current_dir(project.path()).output().unwrap();
    assert_eq!(ran.status.code(), Some(7), "{ran:?}");
    let left: Vec<String> = std::fs::read_dir(project.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(!left.iter().any(|name| name.contains("full.html")), "{left:?}");
}

/// A review of the run in `runs/demo`, as its page writes one.
struct Review {
    head: Value,
    rows: Vec<Value>,
    talks: Vec<Value>,
}

impl Review {
    fn of(project: &Project) -> Self {
        let identity = data(&page(project, &["runs/demo"]))["identity"].clone();
        let head = json!({"kind": "convogen review", "version": 1, "run": identity["run"],
            "conversations": identity["conversations"], "reviewer": "Ada", "rows": 0});
        Self { head, rows: Vec::new(), talks: project.rows(&format!("runs/demo/{PART}")) }
    }

    /// Says something of the `at`-th conversation.
    fn say(&mut self, at: usize, change: &Value) -> &mut Self {
        let talk = &self.talks[at];
        let mut row = json!({"id": talk["id"], "hash": talk["hash"], "verdict": null, "from_turn": null, "comment": "",
            "labels": {}, "edits": []});
        for (key, value) in change.as_object().unwrap() {
            row[key] = value.clone();
        }
        self.rows.push(row);
        self.head["rows"] = json!(self.rows.len());
        self
    }

    fn write(&self, project: &Project) {
        let lines = [&self.head].into_iter().chain(&self.rows).map(|line| format!("{line}\n"));
        project.write("review.jsonl", lines.collect::<String>());
    }
}

fn id(row: &Value) -> &str {
    row["id"].as_str().unwrap()
}

fn texts(row: &Value) -> Vec<&str> {
    row["turns"].as_array().unwrap().iter().map(|turn| turn["text"].as_str().unwrap()).collect()
}

#[test]
fn a_review_leaves_out_makes_anew_and_edits_and_pays_for_what_is_new_only() {
    let (endpoint, project) = demo();
    let mut review = Review::of(&project);
    let original = review.talks[2]["turns"][1]["text"].clone();
    review.say(0, &json!({"verdict": "reject", "comment": "dull"}));
    review.say(1, &json!({"verdict": "reject", "from_turn": 3}));
    review.say(2, &json!({"verdict": "accept", "edits": [{"turn": 1, "original": original, "text": "Said better."}]}));
    review.write(&project);
    let before = endpoint.calls().len();
    let outcome = project.run(&["review", "apply", "runs/demo", "review.jsonl", "--json"]).ended(0).json();
    let calls = endpoint.calls().len() - before;
    assert_eq!(number(&outcome["usage"]["calls"]), calls as u64);
    // A call for the speaker of every new turn, and one to choose each but the first of them.
    let after = project.rows(&format!("runs/demo-reviewed/{PART}"));
    let anew = after.iter().find(|talk| id(talk) == id(&review.talks[1])).unwrap();
    let new_turns = texts(anew).len() - 3;
    assert!(calls >= new_turns && calls <= new_turns * 4, "{calls} calls for {new_turns} turns");
    assert_eq!(texts(anew)[..3], texts(&review.talks[1])[..3]);
    assert_ne!(texts(anew)[3], texts(&review.talks[1])[3], "the rejected reply is not replayed");
    assert_eq!(anew["turns"][3]["speaker"], review.talks[1]["turns"][3]["speaker"]);

    assert!(after.iter().all(|talk| id(talk) != id(&review.talks[0])));
    let dropped = &project.rows("runs/demo-reviewed/stages/3-conversations/rejected.jsonl")[0];
    assert_eq!((dropped["reason"].as_str(), dropped["detail"].as_str()), (Some("review"), Some("dull")));
    let edited = after.iter().find(|talk| id(talk) == id(&review.talks[2])).unwrap();
    assert_eq!(texts(edited)[1], "Said better.");
    let provenance: Value = serde_json::from_str(edited["provenance"].as_str().unwrap()).unwrap();
    assert_eq!(provenance["review"]["edits"], json!([{"turn": 1, "edited_by": "Ada", "original": original}]));
    assert_ne!(edited["hash"], review.talks[2]["hash"]);
    assert_eq!(after[2..], review.talks[3..], "what was not reviewed stays to the byte");

    let pairs = project.rows("runs/demo-reviewed/preferences.jsonl");
    let kinds: Vec<&str> = pairs.iter().map(|pair| pair["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["anew", "edit"]);
    assert_eq!(pairs[1]["chosen"][0]["content"], "Said better.");
    assert_eq!(pairs[1]["rejected"][0]["content"], original);
    assert!(pairs[1]["prompt"].as_array().unwrap().len() > 1);

    // The same again makes no call; so does going on with what it made, and its replies explain it.
    let data = project.data("runs/demo-reviewed");
    project.run(&["review", "apply", "runs/demo", "review.jsonl"]).ended(0);
    project.run(&["pipeline", "verify", "runs/demo-reviewed"]).ended(0);
    let explained = project.run(&["explain", id(anew), "--run-dir", "runs/demo-reviewed"]).ended(0).stdout;
    assert!(explained.contains("Nobody counted boat number"), "{explained}");
    assert_eq!(endpoint.calls().len() - before, calls);
    assert_eq!(differing(&data, &project.data("runs/demo-reviewed")), [""; 0]);

    // Half of it is no run to go on with; the same command is what ends it.
    std::fs::remove_dir_all(project.path().join("runs/demo-reviewed/stages/3-conversations")).unwrap();
    let grid = ["--set", "situations.coverage=grid.yaml"];
    let refused = project.pipeline(&[&["--run-dir", "runs/demo-reviewed"], &grid[..]].concat()).ended(2).stderr;
    assert!(refused.contains("is made by `convogen review apply`"), "{refused}");
    project.run(&["review", "apply", "runs/demo", "review.jsonl"]).ended(0);
    assert_eq!(differing(&data, &project.data("runs/demo-reviewed")), [""; 0]);
    let again = project.pipeline(&[&["--run-dir", "runs/demo-reviewed"], &grid[..]].concat()).ended(9).json();
    assert_eq!(number(&again["stages"]["conversations"]["accepted"]), 11);
    assert_eq!(endpoint.calls().len() - before, calls);
}

#[test]
fn edits_are_held_against_what_every_turn_is_held_against() {
    let (_endpoint, project) = demo();
    let edit = |review: &mut Review, at: usize, text: &str| {
        let original = review.talks[at]["turns"][1]["text"].clone();
        review.say(at, &json!({"edits": [{"turn": 1, "original": original, "text": text}]}));
    };
    let mut review = Review::of(&project);
    let name = review.talks[1]["turns"][1]["speaker"].as_str().unwrap().to_owned();
    edit(&mut review, 0, &format!("Write to {ADDRESS} about the boats,\nwill you?"));
    edit(&mut review, 1, &format!("{name}: The quay is closed until the tide turns."));
    review.write(&project);
    project.run(&["review", "apply", "runs/demo", "review.jsonl"]).ended(0);
    let after = project.rows(&format!("runs/demo-reviewed/{PART}"));
    assert_eq!(texts(&after[0])[1], "Write to [email] about the boats, will you?");
    assert_eq!(texts(&after[1])[1], "The quay is closed until the tide turns.");
    let safety = |row: &Value| serde_json::from_str::<Value>(row["safety"].as_str().unwrap()).unwrap();
    let decisions = safety(&after[0])["decisions"].clone();
    assert_eq!(decisions.as_array().unwrap().len(), 1);
    assert_eq!((&decisions[0]["category"], &decisions[0]["turn"]), (&json!("email"), &json!(1)));
    for (name, bytes) in project.files("runs/demo-reviewed/dataset") {
        assert!(!String::from_utf8_lossy(&bytes).contains(ADDRESS), "{name}");
    }

    edit(&mut review, 2, "As an AI language model, I cannot count boats.");
    let echoed = review.talks[3]["turns"][0]["text"].as_str().unwrap().to_owned();
    edit(&mut review, 3, &echoed);
    review.write(&project);
    let told = project.run(&["review", "apply", "runs/demo", "review.jsonl", "-o", "runs/never"]).ended(3).stderr;
    assert!(told.contains("line 4: the gate ai_talk turns its edit of turn 1 down"), "{told}");
    assert!(told.contains("line 5: the gate echo turns its edit of turn 1 down"), "{told}");
    assert!(!project.path().join("runs/never").exists());

    let (_endpoint, strict) = ran(script(), &["--set", "safety.action.email=drop"]);
    let mut review = Review::of(&strict);
    edit(&mut review, 0, &format!("Write to {ADDRESS} about the boats."));
    review.write(&strict);
    let told = strict.run(&["review", "apply", "runs/demo", "review.jsonl"]).ended(3).stderr;
    assert!(told.contains("line 2: an edit would get") && told.contains("(safety_email)"), "{told}");
}

#[test]
fn a_review_may_ask_for_no_call_at_all() {
    let (endpoint, project) = demo();
    let mut review = Review::of(&project);
    review.say(4, &json!({"verdict": "reject", "from_turn": 2})).write(&project);
    let before = endpoint.calls().len();
    let outcome = project
        .run(&["review", "apply", "runs/demo", "review.jsonl", "--drop", "-o", "runs/clean", "--json"])
        .ended(0)
        .json();
    assert_eq!((endpoint.calls().len(), number(&outcome["dropped"])), (before, 1));
    assert_eq!(project.rows(&format!("runs/clean/{PART}")).len(), 11);
    assert!(!project.path().join("runs/clean/preferences.jsonl").exists());
    // Another review does not go into the same folder.
    review.say(5, &json!({"verdict": "reject"})).write(&project);
    let refused = project.run(&["review", "apply", "runs/demo", "review.jsonl", "-o", "runs/clean"]).ended(2).stderr;
    assert!(refused.contains("runs/clean is there already"), "{refused}");
}

#[test]
fn a_review_that_does_not_fit_is_refused_by_name_and_row_by_row() {
    let (_endpoint, project) = demo();
    let refused = |code| {
        let ran = project.run(&["review", "apply", "runs/demo", "review.jsonl", "-o", "runs/never"]).ended(code);
        assert!(!project.path().join("runs/never").exists());
        ran.stderr
    };
    project.write("review.jsonl", "{\"id\": \"c-1\"}\n");
    assert!(refused(3).contains("review.jsonl is no review: line 1"), "{}", refused(3));
    let whole = Review::of(&project);
    let mut other = Review { head: whole.head.clone(), rows: Vec::new(), talks: whole.talks.clone() };
    other.head["conversations"] = json!("0".repeat(64));
    other.say(0, &json!({"verdict": "accept"})).write(&project);
    assert!(refused(3).contains("runs/demo has changed since"), "{}", refused(3));
    other.head["run"] = json!("another");
    other.write(&project);
    assert!(refused(3).contains("is a review of another run than runs/demo"), "{}", refused(3));

    let mut torn = Review { head: whole.head.clone(), rows: Vec::new(), talks: whole.talks.clone() };
    torn.say(0, &json!({"verdict": "accept"}));
    torn.head["rows"] = json!(2);
    torn.write(&project);
    assert!(refused(3).contains("is torn: it says that it has 2 rows, and it has 1"), "{}", refused(3));

    let mut wrong = Review { head: whole.head.clone(), rows: Vec::new(), talks: whole.talks };
    wrong.say(0, &json!({"id": "c-none", "verdict": "accept"}));
    wrong.say(1, &json!({"hash": "0", "verdict": "accept"}));
    wrong.say(2, &json!({"from_turn": 1}));
    wrong.say(3, &json!({"verdict": "reject", "from_turn": 99}));
    wrong.say(4, &json!({"edits": [{"turn": 0, "original": "never said", "text": "x"}]}));
    wrong.say(5, &json!({"verdict": "perhaps"}));
    wrong.say(6, &json!({"labels": {"mood": "odd"}}));
    wrong.write(&project);
    let told = refused(3);
    for (line, problem) in [
        (2, "there is no accepted conversation c-none"),
        (3, "is not what was reviewed"),
        (4, "has from_turn and does not reject"),
        (5, "from_turn is beyond the last"),
        (6, "its original of turn 0 is not what stands there"),
        (8, "review.labels of the configuration has no mood: odd"),
        (7, "it cannot be read: unknown variant `perhaps`"),
    ] {
        let row = told.lines().find(|row| row.contains(&format!("line {line}: "))).unwrap_or_else(|| panic!("{told}"));
        assert!(row.contains(problem), "{row}");
    }
}

#[test]
fn reviewers_are_compared_with_each_other() {
    let (endpoint, project) = (Endpoint::start(Script::default()), Project::new());
    project.demo(&endpoint.base_url());
    project.pipeline(&["--set", "review.labels={tone: [dry, warm]}"]).ended(0);
    let mut one = Review::of(&project);
    for at in 0..4 {
        one.say(at, &json!({"verdict": if at < 2 { "accept" } else { "reject" }, "labels": {"tone": "dry"}}));
    }
    one.write(&project);
    std::fs::rename(project.path().join("review.jsonl"), project.path().join("one.jsonl")).unwrap();
    one.rows[0]["verdict"] = json!("reject");
    one.write(&project);
    let compared =
        project.run(&["review", "agreement", "runs/demo", "one.jsonl", "review.jsonl", "--json"]).ended(0).json();
    assert_eq!((&compared["verdicts"]["both"], &compared["verdicts"]["same"]), (&json!(4), &json!(3)));
    // Observed 3 of 4; by chance (2/4 × 1/4) + (2/4 × 3/4) = 1/2.
    assert!((compared["verdicts"]["kappa"].as_f64().unwrap() - 0.5).abs() < 1e-9, "{compared}");
    assert_eq!(compared["labels"]["tone"]["same"], 4);
}

/// What opens pages, where there is a browser and a driver for it.
fn drive(arguments: &[&Path]) -> Option<String> {
    let Some(python) = std::env::var_os("CONVOGEN_BROWSER_PYTHON") else {
        println!("skipped: CONVOGEN_BROWSER_PYTHON names no interpreter with tests/page/requirements.txt");
        return None;
    };
    let driver = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/page/drive.py");
    let output = Command::new(python).arg(driver).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_browser_shows_the_page_and_filters_count_what_is_in_the_table() {
    let (_endpoint, project) = demo();
    page(&project, &["runs/demo", "--reference", "runs/demo"]);
    let table = project.path().join("runs/demo/stages/3-conversations/part-00000.parquet");
    drive(&["look".as_ref(), &project.path().join("page.html"), &table]);
}

#[test]
fn texts_that_would_be_markup_or_tear_the_page_apart_are_shown_as_they_are() {
    let (_endpoint, project) = demo();
    let long = "word ".repeat(20_000);
    let hostile = [
        "</script><script>window.taken = 1</script>",
        "<img src=x onerror='window.taken = 1'><b>bold</b> &lt;i&gt; <!-- --> ]]>",
        "{{script}} ${window.taken = 1} {{data}}",
        "\u{202e}right to left\u{202c} \u{200f}\u{feff}zero\u{200b}width",
        "control \u{0}\u{1}\u{7}\u{1b}[31m\u{7f}\u{85}\u{2028}\u{2029}",
        "line\nline\r\nline\ttab  two spaces",
        "👩‍👩‍👧‍👦 e\u{301} 今天 ไทย عربي",
        long.as_str(),
    ];
    let talk = |(at, text): (usize, &&str)| {
        let name = format!("N<i>{at}</i>");
        json!({"id": format!("h{at}"), "turns": [{"speaker": name, "text": text}, {"speaker": "Bo", "text": "And?"}]})
            .to_string()
            + "\n"
    };
    project.write("hostile.jsonl", hostile.iter().enumerate().map(talk).collect::<String>());
    page(&project, &["hostile.jsonl"]);
    drive(&["hostile".as_ref(), &project.path().join("page.html"), &project.path().join("hostile.jsonl")]);
}

#[test]
fn a_review_made_by_clicks_is_applied() {
    let (endpoint, project) = demo();
    page(&project, &["runs/demo"]);
    let review = project.path().join("review.jsonl");
    let Some(said) = drive(&["review".as_ref(), &project.path().join("page.html"), &review]) else { return };
    let said: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let before = endpoint.calls().len();
    let outcome = project.run(&["review", "apply", "runs/demo", "review.jsonl", "--json"]).ended(0).json();
    assert_eq!(number(&outcome["usage"]["calls"]), (endpoint.calls().len() - before) as u64);
    let [reviewed, dropped, anew, edited] =
        ["reviewed", "dropped", "made_anew", "edited_turns"].map(|key| number(&outcome[key]));
    assert_eq!((reviewed, dropped, anew, edited), (5, 1, 1, 1));
    let after = project.rows(&format!("runs/demo-reviewed/{PART}"));
    assert!(after.iter().all(|talk| talk["id"] != said["rejected"]));
    let edited = after.iter().find(|talk| talk["id"] == said["edited"]).unwrap();
    assert_eq!(texts(edited)[1], "I said it in \"other\" words.");
    let commented = after.iter().find(|talk| talk["id"] == said["commented"]).unwrap();
    assert!(commented["provenance"].as_str().unwrap().contains("dull </script>"), "{commented}");
}
