//! Runs in German and Chinese: the language reaches prompts, names and gates, and the gates work there as they do in English.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::Project;
use crate::support::script::{Answer, Call, Script, plausible};
use crate::support::sums::{assert_sums, number};

/// What a model does wrong in a language, and by what name it is counted.
struct Wrongs {
    language: &'static str,
    name: &'static str,
    persona: &'static str,
    machine: &'static str,
    foreign: &'static str,
    colon: &'static str,
    goodbye: &'static str,
}

const WRONGS: [Wrongs; 2] = [
    Wrongs {
        language: "de",
        name: "German",
        persona: "Eine Tischlerin aus Bremen, die am liebsten alte Fenster rettet und Nummer",
        machine: "Als KI habe ich dazu keine Meinung.",
        foreign: "I really don't think that we should have done this without asking them.",
        colon: ": ",
        goodbye: "Tschüss zusammen, bis morgen!",
    },
    Wrongs {
        language: "zh",
        name: "Chinese",
        persona: "一位住在苏州的木匠，最喜欢修旧窗户，编号",
        machine: "作为一个人工智能，我没有看法。",
        foreign: "I really don't think that we should have done this without asking them.",
        colon: "：",
        goodbye: "好的，大家再见！",
    },
];

fn answer(call: &Call, wrongs: &Wrongs) -> Answer {
    let aside = call.raw.contains("verdict") || call.schema().is_some();
    let prompt = call.prompt();
    let speaker = prompt.rsplit("Now ").next().and_then(|rest| rest.split(" speaks").next()).unwrap_or_default();
    match call.share() {
        _ if aside => Answer::Plausible,
        share if share < 0.08 => Answer::Text(wrongs.machine.to_owned()),
        share if share < 0.16 => Answer::Text(wrongs.foreign.to_owned()),
        share if share < 0.32 => Answer::Text(format!("{speaker}{}{}", wrongs.colon, plausible(call))),
        share if share < 0.6 => Answer::Text(wrongs.goodbye.to_owned()),
        _ => Answer::Plausible,
    }
}

fn handled(talks: &[Value]) -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for talk in talks {
        let provenance: Value = serde_json::from_str(talk["provenance"].as_str().unwrap()).unwrap();
        for kind in ["flaws", "mended"] {
            for (name, count) in provenance["handled"][kind].as_object().unwrap() {
                *sums.entry(name.clone()).or_default() += number(count);
            }
        }
    }
    sums
}

#[test]
fn gates_and_prompts_work_in_german_and_chinese() {
    for wrongs in &WRONGS {
        let endpoint = Endpoint::start(Script::answering(move |call| answer(call, wrongs)));
        let project = Project::new();
        project.demo(&endpoint.base_url());
        let people: Vec<String> =
            (0..40).map(|n| serde_json::json!({"persona": format!("{} {n}", wrongs.persona)}).to_string()).collect();
        project.write("people.jsonl", people.join("\n"));
        let language = format!("language={}", wrongs.language);
        let sets = ["personas.source=people.jsonl", "dedup.enabled=false", "conversations.max_repairs=6", &language];
        let sets: Vec<&str> = sets.into_iter().flat_map(|key| ["--set", key]).collect();
        let more = ["--set", "conversations.speaker_selection=round_robin", "--set", "conversations.ending=max_only"];
        let ran = project.pipeline(&[sets.as_slice(), &more].concat());
        assert!(matches!(ran.code, Some(0 | 9)), "{}", ran.stderr);
        assert_sums(&project, "runs/demo", &ran.json());
        assert!(ran.stderr.contains("gates: "), "{}", ran.stderr);
        let talks = project.rows("runs/demo/stages/3-conversations/part-00000.jsonl");
        let handled = handled(&talks);
        assert!(
            !talks.is_empty(),
            "{}\n{}",
            ran.stderr,
            project.read("runs/demo/stages/3-conversations/rejected.jsonl")
        );
        for gate in ["ai_talk", "language", "own_name", "closing_loop"] {
            assert!(handled.get(gate).is_some_and(|count| *count > 0), "{}: {gate} in {handled:?}", wrongs.language);
        }
        for turn in talks.iter().flat_map(|talk| talk["turns"].as_array().unwrap()) {
            let (text, name) = (turn["text"].as_str().unwrap(), turn["speaker"].as_str().unwrap());
            let bad = [wrongs.machine, wrongs.foreign].iter().any(|bad| text.contains(bad)) || text.starts_with(name);
            assert!(!bad, "{text}");
        }
        assert!(talks.iter().all(|talk| talk["language"] == wrongs.language));
        let asked = endpoint.calls().into_iter().filter(|call| call.body.contains(" speaks")).collect::<Vec<_>>();
        assert!(asked.iter().all(|call| call.body.contains(wrongs.name)), "every speaker is told the language");
        // The same again from what was recorded.
        let again = project.run(&["pipeline", "status", "runs/demo"]).ended(0);
        assert!(again.stdout.contains("gates: ") && again.stdout.contains("% of tokens"), "{}", again.stdout);
    }
}
