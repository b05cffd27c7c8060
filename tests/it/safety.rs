//! The screens from end to end: what is found is redacted, marked or dropped, the decision stands in the record, and nothing
//! that was found is repeated. A service that fails is told of, and what it said is never asked for twice.

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran, differing};
use crate::support::script::{Answer, Call, Script, plausible, screening};

const ADDRESS: &str = "ann.lee@mailbox.org";
const CARD: &str = "4539 1488 0343 6467";

/// One line in eight holds an address and a card.
fn planted(call: &Call) -> Answer {
    if call.wants_a_line() && call.share() < 0.12 {
        return Answer::Text(format!("Write to {ADDRESS} or charge {CARD}, please. {}", plausible(call)));
    }
    Answer::Plausible
}

/// Half of all conversations hold a line that a service minds, told by the name of who is in it.
fn minds(text: &str) -> bool {
    text.contains(['M', 'K'])
}

fn project(endpoint: &Endpoint) -> Project {
    let project = Project::new();
    project.demo(&endpoint.base_url());
    project
}

fn rows(project: &Project) -> Vec<Value> {
    project.rows("runs/demo/stages/3-conversations/part-00000.jsonl")
}

fn safety(row: &Value) -> Value {
    serde_json::from_str(row["safety"].as_str().unwrap()).unwrap()
}

fn decisions(rows: &[Value]) -> Vec<Value> {
    rows.iter().flat_map(|row| safety(row)["decisions"].as_array().unwrap().clone()).collect()
}

fn notes(project: &Project) -> Value {
    project.json("runs/demo/stages/3-conversations/manifest.json")["notes"].clone()
}

fn nowhere(project: &Project, folder: &str, text: &str) {
    for (name, bytes) in project.files(folder) {
        assert!(!String::from_utf8_lossy(&bytes).contains(text), "{folder}/{name} holds {text}");
    }
}

fn rejections(project: &Project) -> Vec<String> {
    let rows = project.rows("runs/demo/stages/3-conversations/rejected.jsonl");
    rows.iter().map(|row| row["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn personal_data_is_replaced_wherever_nothing_else_is_asked_for() {
    let endpoint = Endpoint::start(Script::answering(planted));
    let project = project(&endpoint);
    let ran = project.pipeline(&[]).ended(0);
    let found = decisions(&rows(&project));
    assert!(found.len() > 8 && found.iter().all(|d| d["action"] == "redact" && d["turn"].is_u64()), "{found:?}");
    let text = project.read("runs/demo/stages/3-conversations/part-00000.jsonl");
    assert!(text.contains("Write to [email] or charge [credit_card], please."));
    for secret in [ADDRESS, CARD] {
        nowhere(&project, "runs/demo/stages", secret);
        nowhere(&project, "runs/demo/dataset", secret);
        assert!(!ran.stderr.contains(secret));
    }
    let count = |category: &str| found.iter().filter(|d| d["category"] == category).count();
    assert_eq!(notes(&project)["safety"]["redacted"]["email"], count("email"));
    assert!(
        ran.stderr.contains(&format!("places redacted: credit_card {0}, email {0}", count("email"))),
        "{}",
        ran.stderr
    );
    let status = project.run(&["pipeline", "status", "runs/demo"]).ended(0).stdout;
    assert!(status.contains("places redacted: credit_card"), "{status}");
    let card = project.read("runs/demo/dataset/README.md");
    assert!(card.contains("screened"), "{card}");
}

#[test]
fn what_is_to_be_marked_stays_and_what_is_to_be_dropped_goes() {
    let endpoint = Endpoint::start(Script::answering(planted));
    let project = project(&endpoint);
    let sets = ["--set", "safety.action.email=flag", "--set", "safety.action.credit_card=flag"];
    project.pipeline(&sets).ended(0);
    let all = rows(&project);
    let hit = all.iter().filter(|row| !safety(row)["decisions"].as_array().unwrap().is_empty()).count();
    assert!(project.read("runs/demo/dataset/jsonl/conversations-train.jsonl").contains(ADDRESS));
    assert_eq!(notes(&project)["safety"]["flagged"]["email"], hit);

    let dropping = self::project(&endpoint);
    let ran = dropping.pipeline(&["--set", "safety.action.email=drop"]).ended(9);
    assert_eq!(rejections(&dropping), vec!["safety_email"; hit]);
    assert_eq!(ran.json()["stages"]["conversations"]["rejected"], hit);
    assert_eq!(rows(&dropping).len(), all.len() - hit);
    nowhere(&dropping, "runs/demo/stages", ADDRESS);
    nowhere(&dropping, "runs/demo/dataset", ADDRESS);
    let off = self::project(&endpoint);
    off.pipeline(&["--set", "safety.screen=false"]).ended(0);
    assert!(rows(&off).iter().all(|row| row["safety"] == "{}"));
}

/// The three services, each with what it takes to use it.
fn services(endpoint: &Endpoint) -> Vec<(&'static str, Vec<String>)> {
    let set = |text: String| ["--set".to_owned(), text];
    let service = |name: &str, model: Option<String>| {
        let model = model.map(|model| set(format!("models.safety={model}")));
        [set(format!("safety.service={name}"))].into_iter().chain(model).flatten().collect()
    };
    let azure = format!("{{provider: azure_openai, endpoint: \"{}\", max_attempts: 2}}", endpoint.origin());
    let openai = format!(
        "{{provider: openai, base_url: \"{}\", model: omni-moderation-latest, api_key_env: null, max_attempts: 2}}",
        endpoint.base_url()
    );
    let judge = format!(
        "{{provider: openai, base_url: \"{}\", model: judge, api_key_env: null, structured: json_schema, max_attempts: 2}}",
        endpoint.base_url()
    );
    vec![
        ("azure_content_safety", service("azure_content_safety", Some(azure))),
        ("openai_moderation", service("openai_moderation", Some(openai))),
        ("judge", service("judge", Some(judge))),
    ]
}

fn is_screening(call: &Call) -> bool {
    call.screens() || call.body["response_format"]["json_schema"]["name"] == "severities"
}

fn violent(call: &Call) -> Answer {
    if call.path.contains("text:analyze") && (call.key.is_none() || !call.path.ends_with("?api-version=2024-09-01")) {
        return Answer::error(401, "401", "Access denied due to invalid subscription key");
    }
    if call.screens() {
        return Answer::json(&screening(call, |category, text| match category {
            "violence" if minds(text) => 5.0 / 7.0,
            _ => 1.0 / 7.0,
        }));
    }
    if is_screening(call) {
        let severity = if minds(call.last_message().split("Rate each").next().unwrap_or_default()) { 2 } else { 1 };
        return Answer::Text(format!(r#"{{"hate":0,"harassment":0,"sexual":1,"self_harm":0,"violence":{severity}}}"#));
    }
    Answer::Plausible
}

fn run(project: &Project, sets: &[String], more: &[&str]) -> Ran {
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    let arguments = [&["pipeline", "run", "-c", "demo.yaml", "--json"], sets.as_slice(), more].concat();
    project.convogen(&arguments).env("CONTENT_SAFETY_KEY", "canary-of-the-service").output().unwrap().into()
}

#[test]
fn each_service_is_asked_once_for_each_conversation_and_its_word_counts_from_the_threshold() {
    let endpoint = Endpoint::start(Script::answering(violent));
    for (service, sets) in services(&endpoint) {
        let before = endpoint.calls().len();
        let project = project(&endpoint);
        let ran = run(&project, &sets, &[]).ended(0);
        let rows = rows(&project);
        let marked = rows.iter().filter(|row| !safety(row)["decisions"].as_array().unwrap().is_empty()).count();
        assert!(marked > 0, "{service}: nothing was marked");
        for decision in decisions(&rows) {
            assert_eq!((&decision["category"], &decision["source"]), (&"violence".into(), &service.into()));
            assert!(decision["score"].as_f64().unwrap() > 0.5 && decision["action"] == "flag", "{decision}");
        }
        assert!(
            rows.iter()
                .all(|row| safety(row)["service"]["name"] == service && safety(row)["service"]["unscreened"].is_null())
        );
        assert_eq!(ran.json()["usage"]["calls_by_role"]["safety"], rows.len(), "{service}");
        assert_eq!(notes(&project)["safety"]["flagged"]["violence"], marked);
        let calls = endpoint.calls().split_off(before);
        let body = calls.iter().find(|call| call.path.contains("moderations") || call.path.contains("analyze"));
        assert_eq!(body.is_some(), service != "judge", "{service} has a route of its own");
        nowhere(&project, "runs/demo", "canary-of-the-service");

        // Asked to drop, the same words end the conversation; no call is made that was made before.
        let again = [sets.as_slice(), &["--set".to_owned(), "safety.action.violence=drop".to_owned()]].concat();
        let dropped = run(&project, &again, &["--run-dir", "runs/dropped", "--fork", "runs/demo"]).ended(9);
        assert_eq!(dropped.json()["stages"]["conversations"]["rejected"], marked, "{service}");
        assert_eq!(dropped.json()["usage"]["calls"], 0, "{service}: {}", dropped.stderr);
    }
}

#[test]
fn a_service_that_fails_is_told_of_and_may_be_asked_again() {
    for at in 0..3 {
        let ill = Endpoint::start(Script::but(is_screening, |_| Answer::error(400, "bad", "no")));
        let (service, sets) = services(&ill).swap_remove(at);
        let project = project(&ill);
        let ran = run(&project, &sets, &[]).ended(0);
        let number = rows(&project).len();
        assert!(rows(&project).iter().all(|row| safety(row)["service"]["unscreened"] == "bad_request"), "{service}");
        assert_eq!(notes(&project)["safety"]["unscreened"]["bad_request"], number);
        assert!(
            ran.stderr.contains(&format!("conversations accepted unscreened: bad_request {number}")),
            "{}",
            ran.stderr
        );

        let strict = self::project(&ill);
        let sets_strict = [sets.as_slice(), &["--set".to_owned(), "safety.on_failure=drop".to_owned()]].concat();
        let ran = run(&strict, &sets_strict, &[]).ended(9);
        assert_eq!(ran.json()["stages"]["conversations"]["failed"], number, "{service}");
        assert_eq!(rejections(&strict), vec!["safety_unscreened"; number]);

        // Once it is well, only the service is asked again, and every conversation is as it was.
        let well = Endpoint::start(Script::answering(violent));
        let address = [
            "--set".to_owned(),
            match service {
                "azure_content_safety" => format!("models.safety.endpoint={}", well.origin()),
                _ => format!("models.safety.base_url={}", well.base_url()),
            },
        ];
        run(&project, &[sets.as_slice(), &address].concat(), &["--retry-failed"]).ended(0);
        assert!(rows(&project).iter().all(|row| safety(row)["service"]["unscreened"].is_null()), "{service}");
        assert_eq!(well.calls().len(), number, "{service}");
    }
}

#[test]
fn a_service_with_a_fault_now_and_then_and_a_run_that_is_killed_change_nothing() {
    let plain = Endpoint::start(Script::answering(violent));
    let faulty = |call: &Call| {
        if is_screening(call) && call.repeat == 0 { Answer::error(500, "server_error", "oops") } else { violent(call) }
    };
    for at in 0..3 {
        let reference = project(&plain);
        let (service, sets) = services(&plain).swap_remove(at);
        run(&reference, &sets, &[]).ended(0);

        let endpoint =
            Endpoint::start(Script { latency: std::time::Duration::from_millis(15), ..Script::answering(faulty) });
        let project = project(&endpoint);
        let (_, sets) = services(&endpoint).swap_remove(at);
        let mut child = {
            let arguments: Vec<&str> = ["pipeline", "run", "-c", "demo.yaml", "--quiet"]
                .into_iter()
                .chain(sets.iter().map(String::as_str))
                .collect();
            project.convogen(&arguments).env("CONTENT_SAFETY_KEY", "k").spawn().unwrap()
        };
        let screened = || {
            endpoint
                .calls()
                .iter()
                .filter(|call| call.body.contains("severities") || !call.path.contains("chat"))
                .count()
        };
        while screened() < 3 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        run(&project, &sets, &[]).ended(0);
        let differ = differing(&reference.data("runs/demo"), &project.data("runs/demo"));
        assert!(differ.is_empty(), "{service}: {differ:?}");
    }
}

#[test]
fn a_prompt_shield_is_told_from_a_filter_once_with_what_helps() {
    let shielded = |call: &Call| call.wants_a_line() && call.share() < 0.05;
    let endpoint = Endpoint::start(Script::but(shielded, |_| Answer::azure_filter("jailbreak")));
    let project = project(&endpoint);
    let ran = project.pipeline(&[]);
    let refused = endpoint.calls().iter().filter(|call| !call.answered).count();
    assert!(refused > 0);
    let told = format!("{refused} calls were refused by the prompt shield (jailbreak)");
    assert_eq!(ran.stderr.matches("refused by the prompt shield").count(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains(&told) && ran.stderr.contains("shared_prefix"), "{}", ran.stderr);
    let status = project.run(&["pipeline", "status", "runs/demo"]).ended(0).stdout;
    assert!(status.contains(&told), "{status}");
    let plain = Endpoint::start(Script::but(shielded, |_| Answer::azure_filter("violence")));
    let ran = self::project(&plain).pipeline(&[]);
    assert!(!ran.stderr.contains("prompt shield"), "{}", ran.stderr);
}

#[test]
fn a_plan_counts_the_calls_of_screen_and_judge() {
    let endpoint = Endpoint::start(Script::default());
    let project = project(&endpoint);
    let calls = |sets: &[String], role: &str| -> Value {
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        let plan = project.run(&[&["plan", "-c", "demo.yaml", "--json"], sets.as_slice()].concat()).ended(0).json();
        let roles = plan["roles"].as_array().unwrap().clone();
        roles.into_iter().find(|found| found["role"] == role).map_or(Value::Null, |found| found["calls"].clone())
    };
    assert_eq!(calls(&[], "safety"), Value::Null);
    for (service, sets) in services(&endpoint) {
        assert_eq!(calls(&sets, "safety")["least"], 12.0, "{service}");
    }
    let judge = ["--set", "judge={enabled: true, sample: 0.5}"].map(str::to_owned);
    assert_eq!(calls(&judge, "judge")["likely"], 6.0);
    assert_eq!(calls(&judge, "judge")["most"], 12.0);
    assert!(endpoint.calls().is_empty());
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let endpoint = Endpoint::start(Script::default());
    let project = project(&endpoint);
    project.write("words/en.txt", "[weather]\nrain\n");
    project.write("words/words_en.txt", "[hate]\n");
    for (set, words) in [
        ("safety.service=openai_moderation", &["models.safety", "omni-moderation-latest"][..]),
        ("safety.service=azure_content_safety", &["models.safety", "azure_openai"]),
        ("safety.thresholds.hate=0", &["safety.thresholds.hate", "above 0"]),
        ("safety.words=[words/none/en.txt]", &["safety.words", "no file"]),
        ("safety.words=[words/words_en.txt]", &["safety.words", "named for a language"]),
        ("safety.words=[words/en.txt]", &["words/en.txt, line 1", "[violence]"]),
        ("judge.sample=2", &["judge.sample"]),
    ] {
        let ran = project.pipeline(&["--set", set]).ended(2);
        assert!(words.iter().all(|word| ran.stderr.contains(word)), "{set}: {}", ran.stderr);
    }
    assert!(endpoint.calls().is_empty());
}

#[test]
fn lists_of_ones_own_are_used_and_kept() {
    let say = |call: &Call| {
        if call.wants_a_line() && call.share() < 0.1 {
            Answer::Text("The Blue Lantern again? I doubt it will help us.".to_owned())
        } else {
            Answer::Plausible
        }
    };
    let endpoint = Endpoint::start(Script::answering(say));
    let project = project(&endpoint);
    project.write("lists/en.txt", "[harassment]\nblue lantern*\n");
    let sets = ["--set", "safety.words=[lists/en.txt]", "--set", "safety.action.harassment=redact"];
    project.pipeline(&sets).ended(0);
    let text = project.read("runs/demo/stages/3-conversations/part-00000.jsonl");
    assert!(text.contains("The [harassment] again?") && !text.contains("Lantern"));
    assert!(project.read("runs/demo/inputs/words/000-en.txt").contains("lantern"));
    // Another list is another run.
    project.write("lists/en.txt", "[harassment]\nred lantern\n");
    project.pipeline(&sets).ended(5);
}
