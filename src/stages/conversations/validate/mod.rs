//! Reads what a model said for a turn: what can be mended is mended, what cannot is named.
//!
//! Cheap and deterministic, so that a replay of recorded replies judges them as the run did. The catalogue of
//! failures: replies that speak for others, echo, loop, leak the prompt, recite the persona, never end or end too
//! soon (arXiv 2511.09710, 2407.09897; autogen#390, #86, #1499). Each file here is one gate or a family of them; how well
//! each finds what it looks for, and how often it cries wolf, is measured on planted defects and on clean talk
//! (`tests/quality`).

mod agreement;
mod ai_talk;
mod closing;
mod copies;
mod flaw;
#[cfg(test)]
mod labelled;
mod labels;
mod language;
mod length;
mod secret;

use unicode_segmentation::UnicodeSegmentation;

pub use self::closing::is_closing;
pub use self::flaw::Flaw;
use self::length::Room;
use crate::config::{Gate, Gates};
use crate::lexicon;

/// Everything a reply is judged against.
#[derive(Debug)]
pub struct Scene<'a> {
    /// Name of the one who speaks.
    pub speaker: &'a str,
    /// Their persona.
    pub persona: &'a str,
    /// Names of the others.
    pub others: Vec<&'a str>,
    /// What was said before: (name, text), the starter first with an empty name.
    pub said: Vec<(&'a str, &'a str)>,
    /// The instructions the speaker got; copied passages are leaks.
    pub instructions: &'a str,
    /// What each of the others alone knows.
    pub secrets: Vec<&'a str>,
    /// What the speaker can know besides what was said: all public text and their own part.
    pub known: Vec<&'a str>,
    /// BCP 47 tag of the conversation's language.
    pub language: &'a str,
    /// The word target of this turn.
    pub words: Option<u32>,
    /// Whether the reply was cut off by its token limit.
    pub torn: bool,
    /// Whether the conversation may not end yet.
    pub must_go_on: bool,
    /// Which gates judge, and how strictly.
    pub gates: &'a Gates,
}

impl Scene<'_> {
    fn everyone(&self) -> Vec<&str> {
        self.others.iter().copied().chain([self.speaker]).collect()
    }
}

/// A reply that can stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The words to keep.
    pub text: String,
    /// What was mended on the way, for the ledger.
    pub mended: Vec<&'static str>,
}

/// Judges and mends `reply`.
///
/// # Errors
/// The first flaw found of a reply that cannot be kept, in the order of how much of it the flaw spoils.
pub fn examine(reply: &str, scene: &Scene<'_>) -> Result<Sound, Flaw> {
    let mut mended = Vec::new();
    let text = clean(reply, scene, &mut mended)?;
    let words = words(&text);
    if words.is_empty() {
        return Err(Flaw::Empty);
    }
    let names = scene.everyone();
    // Where two fit, the one that tells the model more comes first: a goodbye that was said before is a goodbye.
    let checks: [(Flaw, &dyn Fn() -> bool); 9] = [
        (Flaw::AiTalk, &|| ai_talk::speaks_as_model(&text)),
        (Flaw::Leak, &|| copies::leaks(&words, scene.instructions)),
        (Flaw::WrongLanguage, &|| language::is_foreign(&text, scene.language, &names)),
        (Flaw::Loop, &|| copies::loops(&text, &words)),
        (Flaw::Recital, &|| copies::recites(&words, scene.persona)),
        (Flaw::LeakedKnowledge, &|| tells_secret(&text, scene)),
        (Flaw::ClosingLoop, &|| goes_on_closing(&text, scene)),
        (Flaw::AgreementRun, &|| goes_on_agreeing(&text, scene, &names)),
        (Flaw::Echo, &|| copies::echoes(&words, scene.said.iter().map(|(_, text)| *text))),
    ];
    let found = checks.into_iter().find(|(flaw, fails)| is_judged(*flaw, scene) && fails());
    found.map_or(Ok(()), |(flaw, _)| Err(flaw))?;
    Ok(Sound { text, mended })
}

fn is_judged(flaw: Flaw, scene: &Scene<'_>) -> bool {
    flaw.gate().is_none_or(|gate| scene.gates.has(gate))
}

/// The words of the reply alone: without wrapping, labels, lines of others, and what is too much.
fn clean(reply: &str, scene: &Scene<'_>, mended: &mut Vec<&'static str>) -> Result<String, Flaw> {
    if scene.gates.has(Gate::Leak) && ai_talk::has_marker(reply) {
        return Err(Flaw::Leak);
    }
    let mut text = labels::drop_own_name(&unwrap(reply), scene.speaker, mended);
    text = labels::drop_stage_direction(&unwrap(&text), mended);
    if scene.gates.has(Gate::SpeaksForOthers) {
        if labels::starts_as_other(&text, &scene.others) {
            return Err(Flaw::SpeaksForOthers);
        }
        text = labels::cut_at_speaker_line(&text, &scene.everyone(), mended);
    }
    text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let target = scene.words.filter(|_| scene.gates.has(Gate::TooLong));
    length::cut(text, Room { target, torn: scene.torn }, mended)
}

fn tells_secret(text: &str, scene: &Scene<'_>) -> bool {
    let said = scene.said.iter().map(|(_, text)| *text);
    let known: Vec<&str> = scene.known.iter().copied().chain(said).collect();
    secret::tells(text, &scene.secrets, &known)
}

fn goes_on_closing(text: &str, scene: &Scene<'_>) -> bool {
    let previous = scene.said.last().map_or("", |(_, text)| *text);
    scene.must_go_on && is_closing(text) && is_closing(previous)
}

/// Whether this line and those before it make a run of lines that only agree.
fn goes_on_agreeing(text: &str, scene: &Scene<'_>, names: &[&str]) -> bool {
    let before = (scene.gates.agreement_run as usize).saturating_sub(1);
    let turns = scene.said.iter().rev().filter(|(name, _)| !name.is_empty()).take(before);
    let lines: Vec<&str> = turns.map(|(_, text)| *text).chain([text]).collect();
    lines.len() > before && lines.iter().all(|line| agreement::only_agrees(line, scene.language, names))
}

/// Lower-cased words by Unicode's rules (UAX 29), so that scripts without spaces have words too: a word is a character there.
pub fn words(text: &str) -> Vec<String> {
    text.unicode_words().map(|word| word.to_lowercase().replace('’', "'")).collect()
}

/// Whether a word is a character of a script that sets no spaces.
fn is_unspaced(word: &str) -> bool {
    word.chars().all(lexicon::is_unspaced)
}

/// Takes away what surrounds a line: code fences, one pair of quotes around the whole.
fn unwrap(reply: &str) -> String {
    let mut text = reply.trim().trim_start_matches("```").trim_end_matches("```").trim();
    for (open, close) in [('"', '"'), ('“', '”'), ('„', '“'), ('「', '」')] {
        let inner = text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
        if let Some(inner) = inner.filter(|t| !t.contains(open) && !t.contains(close)) {
            text = inner.trim();
        }
    }
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    static GATES: Gates = Gates { agreement_run: 3, without: Vec::new() };

    fn scene<'a>() -> Scene<'a> {
        Scene {
            speaker: "Ann Lee",
            persona: "a retired postman who breeds racing pigeons on the roof of a tower block",
            others: vec!["Bob", "Carla Díaz"],
            said: vec![
                ("", "The lift has stopped between two floors."),
                ("Bob", "I knew we should have taken the stairs today."),
            ],
            instructions: "Speak as Ann Lee would in real life. Say one thing at a time, in your own words.",
            secrets: vec!["Bob pressed the emergency button himself to win a wager with Carla."],
            known: vec!["They are stuck in the lift of the town hall."],
            language: "en",
            words: None,
            torn: false,
            must_go_on: false,
            gates: &GATES,
        }
    }

    #[test]
    fn what_can_be_mended_is() {
        let table = [
            ("Ann Lee: We wait.", "We wait.", vec!["own_name"]),
            ("**Ann:** We wait.", "We wait.", vec!["own_name"]),
            ("Ann Lee (sighing): We wait.", "We wait.", vec!["own_name"]),
            ("\"We wait.\"", "We wait.", vec![]),
            ("We wait.\nBob: No!\nAnn Lee: Yes.", "We wait.", vec!["speaks_for_others"]),
            ("Two lists, Ann: milk, Bob: bread.", "Two lists, Ann: milk, Bob: bread.", vec![]),
            ("  We \n wait. ", "We wait.", vec![]),
        ];
        for (reply, text, mended) in table {
            let sound = examine(reply, &scene()).unwrap();
            assert_eq!((sound.text.as_str(), sound.mended), (text, mended), "{reply:?}");
        }
    }

    #[test]
    fn what_cannot_be_mended_is_named() {
        let table = [
            ("", Flaw::Empty),
            ("...", Flaw::Empty),
            ("Bob: I told you.", Flaw::SpeaksForOthers),
            ("Carla: I told you.", Flaw::SpeaksForOthers),
            ("I knew we should have taken the stairs today!", Flaw::Echo),
            ("We wait here now. We wait here now.", Flaw::Loop),
            ("As an AI I cannot be stuck in a lift.", Flaw::AiTalk),
            ("<|im_start|>user", Flaw::Leak),
            ("I should say one thing at a time, in your own words, right?", Flaw::Leak),
            ("Well, I am a retired postman who breeds racing pigeons on the roof.", Flaw::Recital),
            ("Ich weiß nicht, wann jemand kommt und uns hier aus dem Aufzug holt.", Flaw::WrongLanguage),
            ("So it was you who pressed the emergency button, for a wager?", Flaw::LeakedKnowledge),
        ];
        for (reply, flaw) in table {
            assert_eq!(examine(reply, &scene()), Err(flaw), "{reply:?}");
        }
    }

    #[test]
    fn back_channels_may_recur_and_goodbyes_may_not_loop() {
        let mut scene = scene();
        scene.said.push(("Bob", "Yes, right."));
        assert!(examine("Yes, right.", &scene).is_ok());
        scene.said.push(("Bob", "Well, see you tomorrow then!"));
        scene.must_go_on = true;
        assert_eq!(examine("Goodbye, Bob!", &scene), Err(Flaw::ClosingLoop));
        scene.must_go_on = false;
        assert!(examine("Goodbye, Bob!", &scene).is_ok());
    }

    #[test]
    fn a_third_line_in_a_row_that_only_agrees_is_one_too_many() {
        let mut scene = scene();
        scene.said.push(("Bob", "Absolutely, good point!"));
        assert!(examine("Yes, I agree.", &scene).is_ok());
        scene.said.push(("Carla Díaz", "Yes, exactly, thank you so much."));
        assert_eq!(examine("I couldn't agree more, Bob.", &scene), Err(Flaw::AgreementRun));
        assert!(examine("Good, then who calls the caretaker?", &scene).is_ok());
        let patient = Gates { agreement_run: 4, without: Vec::new() };
        assert!(examine("I couldn't agree more, Bob.", &Scene { gates: &patient, ..scene }).is_ok());
    }

    #[test]
    fn a_gate_that_is_off_lets_its_flaw_pass_and_no_other() {
        let off = Gates { without: vec![Gate::Echo], agreement_run: 3 };
        let open = Scene { gates: &off, ..scene() };
        assert!(examine("I knew we should have taken the stairs today!", &open).is_ok());
        assert_eq!(examine("As an AI I cannot be stuck in a lift.", &open), Err(Flaw::AiTalk));
        let named: Vec<&str> = Flaw::ALL.iter().map(|flaw| flaw.name()).collect();
        for gate in Flaw::ALL.into_iter().filter_map(Flaw::gate) {
            let name = serde_json::to_value(gate).unwrap();
            assert!(named.contains(&name.as_str().unwrap()), "{name} is not what records call it");
        }
    }
}
