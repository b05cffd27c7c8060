//! What is asked, and what comes of the answers, to the byte: replies on record answer only the very same request, so
//! nothing that makes the stage faster may change one.
//!
//! The replies hold all that models do wrong, drawn by the request.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};

use convogen::Draw;
use convogen::config::{Balance, Conversations, Ending, Gate, GateSettings, Layout, SpeakerSelection, TurnRange};
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
                // `loose` is how turns were shared when these were taken.
                let own = Conversations { speaker_selection, layout, balance: Balance::Loose, ..settings.clone() };
                let hashes = hold_all(&own, prompts).await;
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
    auto agent_first 10: 962 calls 7b120d681b85182e, 29 held b721732c81f9dc55
    fused agent_first 10: 475 calls 873723a7f05773c0, 28 held bd21123ace9302ad
    round_robin agent_first 10: 442 calls 700907d553d8e2b1, 27 held 1676cc0fd9d129e6
    random agent_first 10: 450 calls ed5ebc725d34dd13, 27 held 9325b71106d4561d
    rules agent_first 10: 446 calls 1ea56924cb42b2e0, 28 held b122368bd9edd823
    auto shared_prefix 10: 885 calls 8e1eadff10026aea, 28 held 47b382aa5257d4e3
    fused shared_prefix 10: 484 calls dd4e30c442d4fd06, 27 held 6188f3276b2b49ea
    round_robin shared_prefix 10: 470 calls 90494358b61aba71, 31 held ddd26967a97309d1
    random shared_prefix 10: 474 calls 3079e705ec48b8f6, 30 held be0d5cdb4a2359a5
    rules shared_prefix 10: 474 calls ede16aa118a1f6f5, 29 held bbc98372336be6c9
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
    auto agent_first 24: 2735 calls db9680ba6dba8090, 52 held 47d95351e62d5e1b
    fused agent_first 24: 1496 calls d59fc5dce0b0e821, 53 held 6827de8ea991df31
    round_robin agent_first 24: 1458 calls 7892fddcaa58b7f8, 52 held 52180436f2ebc181
    random agent_first 24: 1263 calls 5e1a7e38fb948481, 54 held a78fdb1bbb59c91a
    rules agent_first 24: 1276 calls e0588cde79acfbcb, 54 held 943a978747fe63e2
    auto shared_prefix 24: 2685 calls 87dffac21db2bcdb, 54 held 5b7250a7c5b24ab3
    fused shared_prefix 24: 1533 calls 29ae98727ca50676, 53 held adb72652c640a076
    round_robin shared_prefix 24: 1387 calls 9f6ceebb9272eb4a, 51 held bb31a41a71910ee4
    random shared_prefix 24: 1199 calls 10bffb0e5dc62a54, 51 held 90284db32cc0a7e5
    rules shared_prefix 24: 1221 calls 58b5d5f09ea9f205, 52 held 529e85fcbd07b67c
    auto agent_first 5: 358 calls 56150d67450befb3, 20 held 18b615393e5c6098
    fused agent_first 5: 148 calls bb26b4ba46fad4f6, 22 held 32aaf8f1d20ca18c
    round_robin agent_first 5: 153 calls aadd24c8b7a2d0f2, 21 held 58049e91ab5295c9
    random agent_first 5: 150 calls bf1a98289f503fe0, 22 held d63ec7486bcf11ea
    rules agent_first 5: 146 calls 32e27ccfb1dc6bdf, 20 held dd12b53fd8b6d81d
    auto shared_prefix 5: 312 calls caaae49235a8b929, 16 held e61a0df6ab7f10dd
    fused shared_prefix 5: 128 calls 36a2ed17bbc124a9, 15 held ed5ad277e6a7bcfc
    round_robin shared_prefix 5: 139 calls 7d622bdedafedf71, 17 held 83c37cdb0a2e67f8
    random shared_prefix 5: 141 calls e0151a656f50e25b, 19 held 9aaa4cdbe0c35ee2
    rules shared_prefix 5: 145 calls 69e1ab358ea48888, 20 held 7124f4811f25aa72
    agreement_run ai_talk closing_loop echo empty language leak leaked_knowledge loop lost_turn not_json own_name recital speaks_for_others stage_direction torn
    ");
}
