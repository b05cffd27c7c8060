//! A folder of upstream ConvoGen's files and a `.env`: run, resumed and published as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use convogen::Draw;
use serde_json::{Value, json};

use crate::support::endpoint::{Endpoint, LoggedCall};
use crate::support::project::{Project, differing};
use crate::support::script::{Answer, Call, Script};
use crate::support::upstream::{GIVEN, INVENTED, RUN, UPLOAD, checkout, is_of_situations, model, walked};

fn situations(project: &Project, run: &str) -> Vec<Value> {
    project.rows(&format!("{run}/stages/2-situations/part-00000.jsonl"))
}

fn conversations(project: &Project, run: &str) -> Vec<Value> {
    project.rows(&format!("{run}/stages/3-conversations/part-00000.jsonl"))
}

fn body(call: &LoggedCall) -> Value {
    serde_json::from_str(&call.body).unwrap()
}

#[test]
fn a_configuration_of_upstreams_runs_as_it_is_and_goes_on_after_a_kill() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    let ran = project.run(&["pipeline", "run", "-c", INVENTED, "--json"]).ended(0);
    for told in [
        "is in upstream ConvoGen's schema",
        "num_conversations as situations.count",
        "left out num_processes: read and never used there",
        "left out formatting.format_params: cells have tabs between them whatever the delimiter says, as there",
        "other here ignore_agents_list: the opener is no agent here",
    ] {
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
    }
    assert_eq!(ran.json()["stages"]["conversations"]["accepted"], 8);

    let made = situations(&project, RUN);
    let person = &made[0]["personas"][0];
    assert_eq!(
        person["persona"],
        "Age: 41. Qualities: dry, loyal. Speech style: Two words at most. Lifestyle: Rows to the anchor. Memory: A cold winter."
    );
    assert!(person["description"].as_str().unwrap().contains(", 41, dry, loyal."), "{person}");
    let tie = made[0]["relations"][0]["text"].as_str().unwrap();
    assert!(tie.contains(" taught ") && tie.ends_with("They never speak of it."), "{tie}");

    let turns: BTreeSet<usize> =
        conversations(&project, RUN).iter().map(|row| row["turns"].as_array().unwrap().len()).collect();
    assert!(turns.len() > 1 && turns.is_subset(&BTreeSet::from([3, 4, 5])), "one less than the rounds: {turns:?}");
    assert!(
        conversations(&project, RUN).iter().all(|row| row["model"] == "talker" && row["stop_reason"] == "max_turns")
    );

    let calls = endpoint.calls();
    let (asking, talking): (Vec<_>, Vec<_>) = calls.iter().partition(|call| is_of_situations(&call.body));
    assert!(calls.iter().all(|call| call.path == "/openai/deployments/talker/chat/completions?api-version=2024-10-21"));
    assert!(
        asking.len() == 4
            && asking
                .iter()
                .all(|call| body(call)["temperature"] == 0.1 && body(call).get("response_format").is_none())
    );
    assert!(talking.iter().all(|call| body(call).get("temperature").is_none()));
    let prompt = body(asking[0])["messages"][0]["content"].as_str().unwrap().to_owned();
    assert!(prompt.contains("Make up 2 scenes") && prompt.contains(r#"`{"individuals": []"#), "{prompt}");
    assert!(prompt.contains("Some that were good:\n\n[\n  {\n    \"individuals\""), "{prompt}");

    let slow = Endpoint::start(Script { latency: Duration::from_millis(40), ..model() });
    let other = checkout(&slow);
    let started = other.start_command(&["pipeline", "run", "-c", INVENTED, "--json"]);
    while slow.calls().iter().filter(|call| call.answered).count() < 12 {
        std::thread::sleep(Duration::from_millis(10));
    }
    started.signal("KILL");
    drop(started.end());
    other.run(&["pipeline", "run", "-c", INVENTED, "--json"]).ended(0);
    assert_eq!(differing(&project.data(RUN), &other.data(RUN)), Vec::<String>::new());
}

#[test]
fn a_reply_in_our_shape_is_taken_as_well() {
    let ours = |call: &Call| {
        let mut draw = Draw::new(1, &[&call.raw]);
        let person = |name: &str| json!({"name": name, "description": "Somebody on the quay.", "persona": "Works on the quay and knows all ropes.", "stance": "Wants it settled today.", "goal": "To get the rope back."});
        let mut situation = || {
            let (one, other) = (awkward(&mut draw), awkward(&mut draw));
            json!({
                "personas": [person("Gerda Plank"), person("Hugo Stern")], "topic": "a rope", "conversation_starter": "Whose is it?",
                "relations": [{"from": "Gerda Plank", "to": "Hugo Stern", "type": "aunt", "text": "Gerda Plank is the aunt of Hugo Stern."}],
                "situation": format!("{one}. {other}."),
            })
        };
        Answer::Text(json!({"situations": [situation(), situation()]}).to_string())
    };
    let endpoint = Endpoint::start(Script::but(|call| is_of_situations(&call.raw), ours));
    let project = checkout(&endpoint);
    project.run(&["pipeline", "run", "-c", INVENTED, "--set", "num_conversations=3"]).ended(0);
    let made = situations(&project, RUN);
    assert_eq!(made.len(), 3);
    for row in &made {
        assert_eq!(row["personas"][0]["persona"], "Works on the quay and knows all ropes.");
        assert_eq!(
            (&row["relations"][0]["type"], &row["conversation_starter"]),
            (&json!("aunt"), &json!("Whose is it?"))
        );
    }
}

#[test]
fn what_was_made_becomes_a_shot_of_the_shape_the_prompt_asks_for() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    project
        .run(&[
            "pipeline",
            "run",
            "-c",
            INVENTED,
            "--set",
            "num_conversations=12",
            "--set",
            "situations.hub.round_calls=1",
            "--json",
        ])
        .ended(0);
    let prompts: Vec<String> = endpoint
        .calls()
        .iter()
        .filter(|call| is_of_situations(&call.body))
        .map(|call| body(call)["messages"][0]["content"].as_str().unwrap().to_owned())
        .collect();
    let grown = prompts.iter().filter(|prompt| prompt.contains("Nobody knows why")).count();
    assert!(grown > 0, "the hub is used");
    for prompt in prompts.iter().filter(|prompt| prompt.contains("Nobody knows why")) {
        assert!(prompt.contains("\"speechStyle\": \"Two words at most.\""), "{prompt}");
    }
    let first = project.files("llm/prompts/situations/shots").len();
    assert_eq!(first, 3, "no file is added to the shots");
}

#[test]
fn groups_of_given_people_are_told_apart_whatever_the_model_calls_them() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    let run = "output/harbour/given";
    let ran = project.run(&["pipeline", "run", "-c", GIVEN, "--json"]).ended(0);
    assert!(ran.stderr.contains("llm_params.max_retries: not sent"), "{}", ran.stderr);
    let made = situations(&project, run);
    assert_eq!(made.len(), 4);
    let mut seen = BTreeSet::new();
    for row in &made {
        let people = row["personas"].as_array().unwrap();
        assert_eq!(people.len(), 3);
        for person in people {
            assert!(seen.insert(person["id"].as_str().unwrap().to_owned()), "nobody is cast twice without rewind");
            // Upstream's reply had the persona; the description comes from there, the name is the one that was given.
            assert_eq!(person["description"], person["persona"], "{person}");
            assert!(!person["name"].as_str().unwrap().contains("Quill"), "{person}");
        }
        let text = row.to_string();
        assert!(!["Rook", "Quill", "Prow"].iter().any(|name| text.contains(name)), "{text}");
    }
    assert!(!seen.contains("p0000000001") && seen.len() == 12, "start_index leaves out the first: {seen:?}");
    let calls = endpoint.calls();
    let asking: Vec<&LoggedCall> = calls.iter().filter(|call| is_of_situations(&call.body)).collect();
    assert_eq!(asking.len(), 2, "batch_size groups a call");
    assert!(asking.iter().all(|call| call.path.contains("/deployments/writer/")));
    let sent = body(asking[0]);
    assert_eq!((&sent["temperature"], &sent["presence_penalty"]), (&json!(0.7), &json!(0.5)));
    let prompt = sent["messages"][0]["content"].as_str().unwrap();
    assert!(prompt.contains("For each of the 2 groups") && prompt.contains("Group 2:\n- "), "{prompt}");
    let (third, first) = (prompt.find("a stuck lock").unwrap(), prompt.find("which wind to trust").unwrap());
    assert!(third < first && !prompt.contains("a seal aboard"), "fixed shots in the order of their names");
    assert!(conversations(&project, run).iter().all(|row| row["turns"].as_array().unwrap().len() == 3));

    let short = ["pipeline", "run", "-c", GIVEN, "--set", "num_conversations=6", "--set", "run_name=more", "--json"];
    assert_eq!(project.run(&short).ended(9).json()["stages"]["situations"]["accepted"], 4, "everybody was cast");
}

#[test]
fn every_row_of_pairs_is_a_group_of_two() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    let sets = [
        "--set",
        "Situation_generation.personas.path=llm/prompts/personas/pairs.json",
        "--set",
        "Situation_generation.personas.start_index=0",
        "--set",
        "num_conversations=3",
    ];
    project.run(&[&["pipeline", "run", "-c", GIVEN, "--json"], &sets[..]].concat()).ended(0);
    let sets_of_two: BTreeSet<Vec<String>> = situations(&project, "output/harbour/given")
        .iter()
        .map(|row| {
            row["personas"].as_array().unwrap().iter().map(|p| p["persona"].as_str().unwrap().to_owned()).collect()
        })
        .collect();
    let pair = |one: &str, other: &str| vec![one.to_owned(), other.to_owned()];
    assert_eq!(
        sets_of_two,
        BTreeSet::from([
            pair("I mend clocks. I have three cats.", "I drive the night bus. I love maps."),
            pair("I teach chemistry. I sing in a choir.", "I am a retired judge. I grow roses."),
            pair("I sell pianos. I never learned to drive.", "I coach rowing. My brother is a pilot."),
        ])
    );
}

#[test]
fn finished_chats_are_situations_with_their_labels() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    project.write("finished/package.json", "{\"name\": \"something else\"}");
    project.write("chats.yaml", format!(
        "version: 1\nrun_dir: runs/chats\nsituations: {{mode: file, source: finished}}\nconversations: {{turns: {{min: 2, max: 3}}}}\ndedup: {{enabled: false}}\n\
         models: {{default: {{provider: openai, base_url: '{}', model: m, api_key_env: null}}}}\n", endpoint.base_url()));
    let run = |more: &[&str]| project.run(&[&["pipeline", "run", "-c", "chats.yaml", "--json"], more].concat());
    let first = run(&[]).ended(0).json();
    assert_eq!(
        (&first["stages"]["situations"]["accepted"], &first["stages"]["situations"]["rejected"]),
        (&json!(3), &json!(1))
    );
    let made = situations(&project, "runs/chats");
    assert_eq!(made[0]["id"], "meeting-1");
    assert_eq!(made[0]["labels"], r#"{"intent":"borrow a boat"}"#);
    assert_eq!(made[0]["relations"][0]["text"], "Nia Cove is the landlord of Jon Pier. They rarely meet.");
    let rejected = project.rows("runs/chats/stages/2-situations/rejected.jsonl");
    assert!(
        rejected[0]["id"] == "package.json:1" && rejected[0]["detail"].as_str().unwrap().contains("name a pattern"),
        "{rejected:?}"
    );
    // A file alone, and records as lines, are taken too.
    let lines: Vec<String> =
        (1..3).map(|at| project.json(&format!("finished/chat-{at}.json")).to_string() + "\n").collect();
    project.write("parts/part-0.jsonl", lines.concat());
    for (source, accepted) in [("finished/chat-1.json", 1), ("parts/part-0.jsonl", 2)] {
        let source = format!("situations.source={source}");
        let told = run(&["--set", &source, "--run-dir", &format!("runs/{accepted}")]).ended(0).json();
        assert_eq!(told["stages"]["situations"]["accepted"], accepted);
        assert_eq!(situations(&project, &format!("runs/{accepted}"))[0]["id"], "meeting-1");
    }
    // A pattern takes the chats alone; another content is another run.
    let pattern = ["--set", "situations.source=finished/chat-*.json", "--run-dir", "runs/pattern"];
    assert_eq!(run(&pattern).ended(0).json()["stages"]["situations"]["rejected"], 0);
    project.write("finished/chat-2.json", project.read("finished/chat-2.json").replace("river rises", "river falls"));
    for again in [&[][..], &pattern] {
        assert!(run(again).ended(5).stderr.contains("SHA-256"));
    }
}

/// What files, tables and quotes could trip over.
const AWKWARD: [&str; 14] = [
    "rope",
    "10:30",
    "\"no\"",
    "tab\there",
    "line\nbreak",
    "{brace}",
    "naïve",
    "\u{2028}",
    "back\\slash",
    "it's",
    "a;b,c",
    "船",
    "Age: 7.",
    "half.",
];

fn awkward(draw: &mut Draw) -> String {
    let more: Vec<&str> = (0..draw.below(6)).map(|_| *draw.pick(&AWKWARD).unwrap()).collect();
    format!("The {} {}", draw.pick(&["boat", "quay", "crew"]).unwrap(), more.join(" "))
}

/// A finished chat in upstream's shape, of people who are given or invented, with keys of its author's beside the others.
fn chat(at: usize) -> Value {
    let mut draw = Draw::new(at as u64, &["chat"]);
    let names = ["Nia Cove", "Jon Pier", "Mae Ford", "Åke Ö"];
    let count = 2 + draw.below(3);
    let mut person = |name: &str| match draw.below(4) {
        0 => json!({"name": name, "persona": awkward(&mut draw)}),
        1 => json!({"name": name, "persona": [awkward(&mut draw), "I row."]}),
        2 => {
            json!({"name": name, "age": draw.below(90), "qualities": [awkward(&mut draw), "dry"], "memory": awkward(&mut draw)})
        }
        _ => json!({"name": name, "age": "old", "speechStyle": awkward(&mut draw), "lifestyle": "Rows."}),
    };
    let individuals: Vec<Value> = names.iter().take(count).map(|name| person(name)).collect();
    let sentences =
        ["Nia taught Jon Pier.", "They never met!", "Jon owes Nia Cove a boat, since 10:30.", "Nobody knows"];
    let prose: Vec<&str> = (0..draw.below(5)).map(|_| *draw.pick(&sentences).unwrap()).collect();
    let mut situation = json!({
        "individuals": individuals, "relations": prose.join(" "), "situation": format!("{at}: {}", awkward(&mut draw)),
        "topic": awkward(&mut draw), "conversationStarter": awkward(&mut draw),
    });
    let mut chat = json!({"meetingID": format!("meeting-{at}"), "speakerMap": {}, "Conversation": []});
    match draw.below(3) {
        0 => situation["intent"] = json!({"deep": [awkward(&mut draw), null, 1.5]}),
        1 => chat["batch"] = json!(awkward(&mut draw)),
        _ => situation["labels"] = json!({"id": "own", "topic": awkward(&mut draw)}),
    }
    chat["situation_config"] = situation;
    chat
}

/// Situations by id, in which the id is nowhere else.
fn by_id(project: &Project, run: &str) -> BTreeMap<String, Value> {
    let bare = |mut row: Value| {
        let id = row["id"].as_str().unwrap().to_owned();
        for key in ["id", "hash", "provenance", "split"] {
            row.as_object_mut().unwrap().remove(key);
        }
        // The second time the id is that of a conversation.
        let first = id.strip_prefix("c-").and_then(|id| id.strip_suffix("-000")).unwrap_or(&id).to_owned();
        (first, serde_json::from_str(&row.to_string().replace(&id, "ID")).unwrap())
    };
    situations(project, run).into_iter().map(bare).collect()
}

#[test]
fn importing_exporting_and_importing_again_keeps_every_record() {
    const CHATS: usize = 60;
    let endpoint = Endpoint::start(Script::default());
    let project = Project::new();
    (0..CHATS).for_each(|at| drop(project.write(&format!("chats/chat-{at}.json"), chat(at).to_string())));
    project.write(
        "run.yaml",
        format!(
            "version: 1\nsituations: {{mode: file, source: chats}}\nconversations: {{turns: {{min: 2, max: 2}}, speaker_selection: random}}\n\
             dedup: {{enabled: false}}\nexport: [{{format: convogen, write_partition_size: 7}}]\n\
             models: {{default: {{provider: openai, base_url: '{}', model: m, api_key_env: null}}}}\n",
            endpoint.base_url()
        ),
    );
    let run = |folder: &str, run_dir: &str| {
        let (source, run_dir) = (format!("situations.source={folder}"), format!("run_dir={run_dir}"));
        let told = project.run(&["pipeline", "run", "-c", "run.yaml", "--set", &source, "--set", &run_dir, "--json"]);
        let stages = told.ended(0).json()["stages"].clone();
        assert_eq!(stages["situations"]["accepted"], CHATS, "{stages}");
        assert_eq!(stages["conversations"]["accepted"], CHATS, "{stages}");
    };
    run("chats", "runs/first");
    let first = by_id(&project, "runs/first");
    for at in 0..CHATS {
        let (chat, read) = (chat(at), &first[&format!("meeting-{at}")]);
        let written = &chat["situation_config"];
        let even = |value: &Value| value.as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(even(&written["situation"]), read["situation"], "{written}");
        assert_eq!(even(&written["topic"]), read["topic"]);
        let ties: Vec<&str> =
            read["relations"].as_array().unwrap().iter().map(|tie| tie["text"].as_str().unwrap()).collect();
        assert_eq!(even(&written["relations"]), ties.join(" "));
        let labels: Value = serde_json::from_str(read["labels"].as_str().unwrap()).unwrap();
        for (from, key) in [(written, "intent"), (&chat, "batch")] {
            assert_eq!(labels.get(key), from.get(key), "{labels}");
        }
    }
    project.run(&["export", "runs/first", "--format", "convogen", "-o", "out"]).ended(0);
    let records: Vec<Value> = ["train", "test"]
        .iter()
        .flat_map(|split| {
            project.files(&format!("out/{split}")).into_iter().filter(|(name, _)| name.strip_suffix(".jsonl").is_some())
        })
        .flat_map(|(_, bytes)| {
            String::from_utf8(bytes).unwrap().split_terminator('\n').map(str::to_owned).collect::<Vec<_>>()
        })
        .map(|line| serde_json::from_str(&line).unwrap())
        .collect();
    assert_eq!(records.len(), CHATS);
    records
        .iter()
        .zip(0..)
        .for_each(|(one, at)| drop(project.write(&format!("again/chat-{at}.json"), one.to_string())));
    run("again", "runs/second");
    let second = by_id(&project, "runs/second");
    for (id, record) in &first {
        assert_eq!(second.get(id), Some(record), "{id}");
    }
    if let Some(told) = walked(&project, "runs/first/dataset") {
        assert_eq!(told["records"], CHATS);
    }
}

#[test]
fn an_upload_configuration_publishes_the_runs_below_its_input_but_those_to_be_skipped() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    let to = ["--set", "destination.azure=null", "--set", "destination.folder=blobs", "--json"];
    let upload = |more: &[&str]| project.run(&[&["compile-upload", "-c", UPLOAD], &to[..], more].concat());
    let nothing = upload(&[]).ended(2);
    assert!(
        nothing.stderr.contains("upload-data-1.yaml:3:3: formatting.base_input_path: no run of convogen below output"),
        "{}",
        nothing.stderr
    );
    for name in ["invented", "draft"] {
        project.run(&["pipeline", "run", "-c", INVENTED, "--set", &format!("run_name={name}")]).ended(0);
    }
    project.run(&["pipeline", "run", "-c", GIVEN]).ended(0);
    let before = project.files("output");
    let published = upload(&[]).ended(0);
    assert!(
        published.stderr.contains("left out formatting.format: the whole dataset is published"),
        "{}",
        published.stderr
    );
    assert_eq!(published.json()["rows"]["conversations"], 12, "the draft is skipped");
    let pointer = project.json("blobs/harbour/talk/latest.json");
    assert!(pointer["version"].is_string());
    let kept: BTreeMap<_, _> =
        project.files("output").into_iter().filter(|(name, _)| !name.contains("/publish/")).collect();
    assert_eq!(differing(&before, &kept), Vec::<String>::new(), "no local file is deleted or changed");
}

#[test]
fn an_imported_configuration_says_the_same_wherever_it_is_written() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    for file in [INVENTED, GIVEN] {
        let out = "ours/deep/run.yaml";
        std::fs::create_dir_all(project.path().join("ours/deep")).unwrap();
        project.run(&["config", "import", file, "-o", out]).ended(0);
        let text = project.read(out);
        assert!(
            text.contains("# num_conversations there") && text.contains("# Other here: ignore_agents_list"),
            "{text}"
        );
        let shown = |file: &str| project.run(&["config", "show", "-c", file]).ended(0).stdout;
        assert_eq!(shown(out).replace("../../", ""), shown(file), "{text}");
        project.run(&["config", "check", "-c", out]).ended(0);
        project.run(&["config", "import", file, "-o", out]).ended(2);
        std::fs::remove_file(project.path().join(out)).unwrap();
    }
    assert!(
        project
            .run(&["config", "import", "llm/promptConfigs/situations-random-shots-1.yaml"])
            .ended(2)
            .stderr
            .contains("neither Situation_generation")
    );
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_key() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    let refused = |name: &str, text: &str| {
        project.write(name, text);
        let ran = project.run(&["pipeline", "run", "-c", name]).ended(2);
        ran.stderr
    };
    for (text, told) in [
        (
            "num_threds: 2\nSituation_generation: {}\n",
            "x.yaml:1:1: num_threds: unknown key; did you mean `num_threads`?",
        ),
        (
            "Situation_generation:\n  personas: {path: a.jsonl, sampel_group: true}\n",
            "x.yaml:2:29: Situation_generation.personas.sampel_group: unknown key; did you mean `sample_group`?",
        ),
        (
            "Situation_generation: {}\nGroup_chat_generation:\n  min_turns: 9\n  max_turns: 8\n",
            "x.yaml:3:3: Group_chat_generation.min_turns: 9 is more than max_turns, which is 8",
        ),
        (
            "Situation_generation:\n  personas: {path: a.csv}\n",
            "x.yaml:2:14: Situation_generation.personas.path: a.csv ends neither in .jsonl",
        ),
        (
            "Situation_generation:\n  prompt_config_path: gone.yaml\n",
            "x.yaml:2:3: Situation_generation.prompt_config_path (here situations.prompt_config): there is no file llm/promptConfigs/gone.yaml",
        ),
        (
            "Situation_generation:\n  llm_params: {temperature: 5}\n",
            "x.yaml:2:3: Situation_generation.llm_params (here models.situations.temperature): 5 is not within 0 to 2",
        ),
        (
            "Situation_generatoin: {}\nGroup_chat_generation: {}\n",
            "x.yaml:1:1: Situation_generatoin: unknown key; did you mean `Situation_generation`?",
        ),
        ("formatting: {}\nupload_to_azure: {}\n", "`convogen compile-upload -c` takes it"),
    ] {
        let stderr = refused("x.yaml", text);
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    let broken = |name: &str, change: &dyn Fn(String) -> String, told: &str| {
        let whole = project.read(name);
        project.write(name, change(whole.clone()));
        let ran = project.run(&["pipeline", "run", "-c", INVENTED]).ended(2);
        assert!(ran.stderr.contains(told), "{told}: {}", ran.stderr);
        project.write(name, whole);
    };
    let prompts = "llm/promptConfigs/situations-random-shots-1.yaml";
    broken(prompts, &|text| text.replace("num_shots", "num_shot"), "did you mean `num_shots`?");
    broken(prompts, &|text| text.replace("num_shots: 2", "shot_names: [a]"), "names shots, but the method is random");
    broken(
        "llm/prompts/situations/prompt-v1.md",
        &|text| text.replace("{shots}", "{shot}"),
        "prompt-v1.md, line 8: unknown variable `shot` (did you mean `shots`?)",
    );
    broken(
        "llm/prompts/situations/prompt-v1.md",
        &|text| text.replace("{{", "{"),
        "prompt-v1.md, line 4: a single brace",
    );
    broken(prompts, &|text| text.replace("main_prompt", "main_promt"), "did you mean `main_prompt`?");
    broken(
        prompts,
        &|text| text.replace("numGeneratedExamples: 2", "numGeneratedExamples: 0"),
        "additional_sections.numGeneratedExamples: 0 is not within 1 to 50",
    );
    broken(
        "llm/prompts/situations/prompt-v1.md",
        &|text| text.replace("{shots}", "{shots}\n{personas}"),
        "prompt-v1.md, line 9: a place {personas}, but nobody is given",
    );
    let unnamed = ["--set", "Situation_generation.prompt_config_path=situations-random-shots-1.yaml"];
    let ran = project.run(&[&["pipeline", "run", "-c", GIVEN], &unnamed[..]].concat()).ended(2);
    assert!(ran.stderr.contains("prompt-v1.md, line 1: people are given"), "{}", ran.stderr);
    let shot = "llm/prompts/situations/shots/shot-1.json";
    broken(
        shot,
        &|_| "{\"people\": []}".to_owned(),
        "shot-1.json, line 1: neither `personas`, as in our shots, nor `individuals`",
    );
    broken(
        shot,
        &|text| {
            text.replace("\"age\": 52", "\"name\": \"x\"")
                .replace("qualities", "q")
                .replace("speechStyle", "s")
                .replace("lifestyle", "l")
                .replace("memory", "m")
        },
        "individuals[0]: `persona` is wanted",
    );
    assert!(endpoint.calls().is_empty(), "nothing was asked");
}

#[test]
fn a_person_without_partner_is_named_with_file_and_line() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    project.write("llm/prompts/personas/pairs.json", r#"[{"persona": ["I mend clocks.", "I have cats."]}]"#);
    let sets = [
        "--set",
        "Situation_generation.personas.path=llm/prompts/personas/pairs.json",
        "--set",
        "Situation_generation.personas.start_index=0",
    ];
    let ran = project.run(&[&["pipeline", "run", "-c", GIVEN], &sets[..]].concat()).ended(3);
    assert!(ran.stderr.contains("pairs.json is a persona; line 1: `persona` is a list of sentences"), "{}", ran.stderr);
}

#[test]
fn without_a_key_the_run_says_by_whom_it_signs_in_and_what_it_tried() {
    let endpoint = Endpoint::start(model());
    let project = checkout(&endpoint);
    let env = project.read("llm/models/settings/.env").replace("AZURE_OPENAI_API_KEY=k\n", "");
    project.write("llm/models/settings/.env", &env);
    let none = project.convogen(&["pipeline", "run", "-c", INVENTED]).env("PATH", "").output().unwrap();
    let stderr = String::from_utf8_lossy(&none.stderr);
    assert_eq!(none.status.code(), Some(6), "{stderr}");
    for told in [
        "AZURE_OPENAI_API_KEY is not set: signing in with Entra ID, by whoever is signed in to az or azd",
        "tried: the service principal of AZURE_CLIENT_ID (AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET not set), workload identity (AZURE_FEDERATED_TOKEN_FILE not set), managed identity",
    ] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    // A variable that is named has to be there: nobody else signs in for it.
    let named = ["--set", "models.default.api_key_env=TALK_KEY", "--set", "models.situations.api_key_env=TALK_KEY"];
    let keyed = [&["pipeline", "run", "-c", INVENTED, "--set", "num_conversations=1"], &named[..]].concat();
    let unset = project.run(&keyed).ended(2);
    assert!(
        unset.stderr.contains("models.default.api_key_env: it names TALK_KEY, which is not set"),
        "{}",
        unset.stderr
    );
    let set =
        project.convogen(&[&keyed[..], &["--set", "run_name=keyed"]].concat()).env("TALK_KEY", "k").output().unwrap();
    assert_eq!(set.status.code(), Some(0), "{set:?}");
    project.write("llm/models/settings/.env", env + "AZURE_OPENAI_AD_TOKEN=t\n");
    let token = project.run(&["pipeline", "run", "-c", INVENTED, "--set", "num_conversations=1"]).ended(0);
    assert!(token.stderr.contains("by the token in AZURE_OPENAI_AD_TOKEN"), "{}", token.stderr);
}
