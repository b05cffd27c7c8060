//! What is asked, and what comes of the answers, to the byte: replies on record answer only the very same request, so
//! nothing that makes the stage faster may change one.
//!
//! The replies hold all that models do wrong, drawn by the request.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};

use convogen::Draw;
use convogen::config::{Conversations, Ending, Gate, GateSettings, Layout, SpeakerSelection, TurnRange};
use convogen::llm::recorded::CallSite;
use convogen::llm::{Answer, AttemptError, ChatRequest, Finish, Reply, ReplyFormat};
use convogen::record::{Dropped, Fate, Situation};
use convogen::stages::conversations::TalkOutcome;
use convogen::stages::conversations::agents::AgentPrompts;
use serde_json::json;

use super::plant::{self, KINDS};
use super::stage;
use super::talk::{self, Play};

const STRATEGIES: [SpeakerSelection; 5] = [
    SpeakerSelection::Auto,
    SpeakerSelection::Fused,
    SpeakerSelection::RoundRobin,
    SpeakerSelection::Random,
    SpeakerSelection::Rules,
];

/// Every section of prompts that use every variable everywhere.
fn prompts_that_use_everything() -> AgentPrompts {
    let people = "{{ cast | length }}{% for one in cast %}, {{ one.name }}: {{ one.description | upper }}{% endfor %}";
    let talk = "{{ relations | join('; ') }} {{ situation }} {{ topic | title }} {{ starter }} {{ language_name }}";
    let person = "{{ name }} {{ persona }} {{ stance }} {{ goal }} {{ knowledge }}";
    let turn = "{{ last_name }} {{ words }} {{ may_end }} {{ flaw }} {% for one in candidates %}{{ loop.index }}{{ one }}{% endfor %}";
    let text = |sections: &[&str]| {
        let section =
            |name: &&str| format!("<!-- section: {name} -->\n{name}\n{people}\n\n\n\n{talk}\n{person}\n{turn}\n");
        sections.iter().map(section).collect::<String>()
    };
    let turns = ["agent_first_turn", "shared_prefix_turn"];
    let systems = ["agent_first_system", "shared_prefix_system", "opener", "repair"];
    stage::parse([
        &text(&[systems.as_slice(), &turns].concat()),
        &text(&[&["form"], turns.as_slice()].concat()),
        &text(&["system", "opener", "turn", "repair"]),
    ])
}

/// A scene in which names are hard to read, and somebody's text looks like a template.
fn awkward(mut situation: Situation, language: &str) -> Situation {
    let names = ["Dr. Ann_Lee", "Ann Marie O’Neil", "ann", "王伟", "Jean-Luc İnce"];
    for (person, name) in situation.personas.iter_mut().zip(names) {
        name.clone_into(&mut person.name);
    }
    situation.personas[0].persona = String::from("{{ name }} <b>&amp;</b>\r\n\n\n\n\tlikes  to   wait ");
    situation.personas[1].goal = None;
    situation.personas[1].stance = Some(String::new());
    situation.relations.clear();
    language.clone_into(&mut situation.language);
    situation
}

/// A line of the scene or of another one, as it is or spoiled.
fn line(play: &Play, plays: &[&Play], situation: &Situation, draw: &mut Draw) -> (String, bool) {
    let at = draw.between(2, play.turns.len() - 1);
    let mut planted = plant::clean(play, at);
    let own_kind = KINDS[situation.id.len() % KINDS.len()];
    let kind = match draw.below(10) {
        0..=1 => KINDS[draw.below(KINDS.len())],
        // Goodbyes and agreement matter only where the lines before are such too.
        2..=4 if situation.id.ends_with(['1', '6']) => "agreement_run",
        2..=4 if situation.id.ends_with(['3', '8']) => "closing_loop",
        2 => own_kind,
        3 => return (draw.pick(&situation.personas).unwrap().knowledge.clone().unwrap_or_default(), false),
        _ => "none",
    };
    if kind == "none" {
        let other = plays[draw.below(plays.len())];
        planted.reply.clone_from(&other.turns[draw.below(other.turns.len())].1);
        // Somebody of this scene is spoken to, or spoken of.
        let name = &draw.pick(&situation.personas).unwrap().name;
        match draw.below(4) {
            0 => planted.reply = format!("{name}, {}", planted.reply),
            1 => planted.reply = format!("{} What do you think, {}?", planted.reply, name.split(' ').next().unwrap()),
            _ => {}
        }
    } else {
        plant::spoil(kind, &mut planted, plays, draw);
    }
    (planted.reply, planted.torn)
}

/// Whom an answer names, and how.
fn choice(names: &[&str], draw: &mut Draw) -> String {
    let (one, other) = (names[draw.below(names.len())], names[draw.below(names.len())]);
    match draw.below(12) {
        0 => one.replace(' ', "\\_"),
        1 => format!("{} because {other} asked", one.to_uppercase()),
        2 => format!("The next speaker is {one}, not {other}."),
        3 => format!("{one} or {other}"),
        4 => "nobody".to_owned(),
        5 => one.split(' ').next().unwrap().to_owned(),
        _ => one.to_owned(),
    }
}

fn object(value: &serde_json::Value, draw: &mut Draw) -> String {
    match draw.below(6) {
        0 => format!("Sure!\n```json\n{value}\n```"),
        1 => value.to_string().replace('}', ",}"),
        _ => value.to_string(),
    }
}

/// The answer to `request`, which decides it wholly.
fn answer(request: &ChatRequest, play: &Play, plays: &[&Play], situation: &Situation) -> Result<Reply, AttemptError> {
    let mut draw = Draw::new(3, &["answer", &serde_json::to_string(request).unwrap()]);
    match draw.below(200) {
        0 => return Err(AttemptError::Refused { category: "violence".to_owned(), message: "no".to_owned() }),
        1 => return Err(AttemptError::BadRequest { status: 400, message: "too long".to_owned() }),
        _ => {}
    }
    let names: Vec<&str> = situation.personas.iter().map(|person| person.name.as_str()).collect();
    let (text, torn) = line(play, plays, situation, &mut draw);
    let chosen = choice(&names, &mut draw);
    let end = draw.below(4) == 0;
    let (text, torn) = match &request.format {
        ReplyFormat::Text { .. } => (text, torn),
        ReplyFormat::Json { name, .. } if name == "turn" => match draw.below(20) {
            0 => (text, torn),
            1 => (json!({"next": chosen, "end": end}).to_string(), false),
            _ => (object(&json!({"text": text, "next": chosen, "end": end}), &mut draw), torn),
        },
        ReplyFormat::Json { .. } if draw.below(5) == 0 => (chosen, false),
        ReplyFormat::Json { .. } => (object(&json!({"next": chosen, "end": end}), &mut draw), false),
    };
    let finish = if torn { Finish::Length } else { Finish::Stop };
    Ok(Reply { finish, ..stage::reply(text) })
}

/// What was asked and made with one kind of settings.
#[derive(Default)]
struct Hashes {
    asked: Mutex<(blake3::Hasher, u32)>,
    made: blake3::Hasher,
    accepted: u32,
    handled: BTreeSet<String>,
}

impl Hashes {
    fn take(&mut self, (fate, ledger): TalkOutcome) {
        let text = match fate {
            Fate::Accepted(talk) => serde_json::to_string(&talk).unwrap(),
            Fate::Duplicate(_) => unreachable!("nothing is compared here"),
            Fate::Dropped(Dropped { id, outcome, reason, detail }) => format!("{id} {outcome:?} {reason} {detail}"),
        };
        self.accepted += u32::from(text.starts_with('{'));
        let ledger = serde_json::to_value(&ledger).unwrap();
        self.made.update(format!("{text}\n{ledger}\n").as_bytes());
        let kinds = ["flaws", "mended"].into_iter().flat_map(|key| ledger[key].as_object().unwrap().keys());
        self.handled.extend(kinds.cloned());
    }

    fn line(&self) -> String {
        let short = |hasher: &blake3::Hasher| hasher.finalize().to_hex().as_str()[..16].to_owned();
        let asked = self.asked.lock().unwrap();
        format!("{} calls {}, {} held {}", asked.1, short(&asked.0), self.accepted, short(&self.made))
    }
}

/// Holds two conversations on every second scene: one on the scene as it is, one on an awkward one.
async fn hold_all(settings: &Conversations, prompts: &AgentPrompts) -> Hashes {
    static PLAYS: LazyLock<Vec<Play>> = LazyLock::new(talk::plays);
    let mut hashes = Hashes::default();
    let asked = Arc::new(Mutex::new((blake3::Hasher::new(), 0)));
    for (at, play) in PLAYS.iter().enumerate().step_by(2) {
        let plays: Vec<&Play> = PLAYS.iter().filter(|other| other.language == play.language).collect();
        let plain = stage::situation(play, at);
        let language = ["pt-BR", "de", "ja", "zh-Hant", "tlh"][at / 2 % 5];
        for situation in [plain.clone(), awkward(plain, language)] {
            let (heard, scene, plays) = (Arc::clone(&asked), situation.clone(), plays.clone());
            let tap = move |site: &CallSite<'_>, request: &ChatRequest, answer: &Answer| {
                let mut heard = heard.lock().unwrap();
                let CallSite { stage, item, turn, role, attempt } = site;
                let sent = serde_json::to_string(&(request, answer)).unwrap();
                let line = format!("{stage} {item} {turn} {role} {attempt} {sent}\n");
                heard.0.update(line.as_bytes());
                heard.1 += 1;
            };
            let answers = move |request: &ChatRequest| answer(request, play, &plays, &scene);
            let calls = stage::calls(Box::new(answers), Some(Box::new(tap)));
            hashes.take(stage::stage(settings, prompts, &calls).hold(&situation, at as u64).await.unwrap());
        }
    }
    hashes.asked = Mutex::new(Arc::into_inner(asked).unwrap().into_inner().unwrap());
    hashes
}

/// A line for each of `settings`, and what had to be handled with any of them.
async fn table(settings: &[Conversations], prompts: &AgentPrompts) -> String {
    let (mut lines, mut handled) = (Vec::new(), BTreeSet::new());
    for settings in settings {
        for layout in [Layout::AgentFirst, Layout::SharedPrefix] {
            for speaker_selection in STRATEGIES {
                let hashes = hold_all(&Conversations { speaker_selection, layout, ..settings.clone() }, prompts).await;
                let (turns, selection) = (settings.turns.max, speaker_selection.as_str());
                lines.push(format!("{selection} {} {turns}: {}", layout.as_str(), hashes.line()));
                handled.extend(hashes.handled);
            }
        }
    }
    lines.push(handled.into_iter().collect::<Vec<_>>().join(" "));
    lines.join("\n")
}

#[tokio::test]
async fn requests_and_records_stay_the_same_to_the_byte() {
    let table = table(&[Conversations::default()], &stage::prompts()).await;
    insta::assert_snapshot!(table, @"
    auto agent_first 10: 1004 calls c92c5ccc7f9ad904, 30 held 5e51a46c703c395d
    fused agent_first 10: 471 calls e53eb6f618e7b78b, 30 held 9027bb8af0e89789
    round_robin agent_first 10: 435 calls d89149ed437f18b6, 22 held 232d60b1adfe02e3
    random agent_first 10: 434 calls f5db884a22576dc7, 25 held 8a612c8558fcf8c7
    rules agent_first 10: 428 calls d1490cdad572b587, 27 held 318caf4a0d29b736
    auto shared_prefix 10: 940 calls cf17bec30e2a3874, 26 held 0b71e97bf86f175a
    fused shared_prefix 10: 434 calls 6926b5ba84c04571, 25 held 61714ce3735ab868
    round_robin shared_prefix 10: 421 calls 4a21126281f2d7d4, 23 held 7027c5cbb4540cfc
    random shared_prefix 10: 435 calls b7e80b1af3c38c04, 29 held 80e188dabf3d5ed6
    rules shared_prefix 10: 421 calls e931afbbee0123ed, 27 held 6ffba165e23db6e4
    agreement_run ai_talk closing_loop echo empty language leak leaked_knowledge loop lost_turn not_json own_name recital speaks_for_others stage_direction too_long torn
    ");
}

#[tokio::test]
async fn they_stay_the_same_with_other_prompts_and_settings() {
    let gates = GateSettings { agreement_run: 2, without: vec![Gate::Echo, Gate::Language, Gate::SpeaksForOthers] };
    let bare = vec![Gate::Leak, Gate::Recital, Gate::LeakedKnowledge, Gate::TooLong];
    let patient = Conversations {
        turns: TurnRange { min: 2, max: 24 },
        ending: Ending::MaxOnly,
        allow_repeat_speaker: true,
        words_per_turn: None,
        max_repairs: 6,
        gates,
        ..Conversations::default()
    };
    let hasty = Conversations {
        turns: TurnRange { min: 3, max: 5 },
        max_repairs: 0,
        gates: GateSettings { agreement_run: 3, without: bare },
        ..Conversations::default()
    };
    let table = table(&[patient, hasty], &prompts_that_use_everything()).await;
    insta::assert_snapshot!(table, @"
    auto agent_first 24: 2576 calls 3ff13c129d9c769e, 54 held 208eb84e27c71e66
    fused agent_first 24: 1408 calls 5e8fb78df5169b9e, 52 held 24ce3693b87cdb0f
    round_robin agent_first 24: 1454 calls 7afa32a04eb1f55d, 53 held 6cc7519fe488a859
    random agent_first 24: 1283 calls e970b9a3ba7f4293, 52 held 3467396a933bf5bf
    rules agent_first 24: 1266 calls 190ee4e90d9a85a0, 52 held dcceb46d62123328
    auto shared_prefix 24: 2822 calls 7a800215bdd98ac3, 52 held b338f8c7be9e073c
    fused shared_prefix 24: 1426 calls b9502dc49c382046, 51 held fcf56755ea40e6f0
    round_robin shared_prefix 24: 1269 calls 9a692b2e5bc561cc, 49 held 6096e79259bd470f
    random shared_prefix 24: 1315 calls 7c528361fd3c4f1b, 51 held 13673402b10a4d14
    rules shared_prefix 24: 1402 calls 4230cce6e4e92a9e, 51 held 7b086bdf6e9cbdc2
    auto agent_first 5: 335 calls 9f975d24d67314d9, 19 held d6d3f676b06851a1
    fused agent_first 5: 119 calls 1ba5e292de5d5c4a, 14 held 8376ae91e631f7de
    round_robin agent_first 5: 156 calls e5bb5da6ff3785e7, 23 held ce72201ac7e9111d
    random agent_first 5: 159 calls dba3e8606a3224f7, 25 held e72dbb34254b8ce7
    rules agent_first 5: 154 calls 815745f1b998e474, 23 held d12564a4f12a7a47
    auto shared_prefix 5: 373 calls 3d0c3feba8925444, 22 held 845a05b3a30cf625
    fused shared_prefix 5: 125 calls 4de24716853a56c8, 12 held ea9fd90dae0d4e05
    round_robin shared_prefix 5: 140 calls b37b438012dd797c, 17 held ae9b117a34ffc07f
    random shared_prefix 5: 138 calls 41caffbf43bcb09f, 16 held bba4903c0affc929
    rules shared_prefix 5: 130 calls 1c08f312830d13d6, 13 held d4809f289f551768
    agreement_run ai_talk closing_loop echo empty language leak leaked_knowledge loop lost_turn not_json own_name recital speaks_for_others stage_direction torn
    ");
}
