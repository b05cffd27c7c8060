//! Reads what a model said for a turn: what can be mended is mended, what cannot is named.
//!
//! Cheap and deterministic, so that a replay of recorded replies judges them as the run did. The catalogue of
//! failures: replies that speak for others, echo, loop, leak the prompt, recite the persona, never end or end too
//! soon (arXiv 2511.09710, 2407.09897; autogen#390, #86, #1499). Each file here is one gate or a family of them; how well
//! each finds what it looks for, and how often it cries wolf, is measured on planted defects and on clean talk
//! (`tests/inside/quality`).

mod agreement;
mod ai_talk;
mod closing;
mod copies;
mod flaw;
mod instructions;
#[cfg(test)]
mod labelled;
mod labels;
mod language;
mod length;
mod secret;
mod words;

use std::cell::OnceCell;
use std::sync::Arc;

use self::agreement::Agreement;
pub(crate) use self::closing::is_closing;
use self::copies::EarlierLine;
pub(crate) use self::flaw::Flaw;
use self::instructions::SpeakerBrief;
pub(crate) use self::instructions::{Instructions, NAME};
use self::language::Home;
use self::length::LengthAllowance;
use self::secret::{PriorKnowledge, Secrets};
use self::words::{SpokenWords, WordHash};
use crate::config::{Gate, GateSettings};
use crate::lexicon::Lexicon;
use crate::prompt::reading;

/// What is looked for in talk, in every language.
static TALK: Lexicon = Lexicon::folder("talk");

/// What replies of one conversation are judged against. Each text is taken apart once, so what a reply costs does not grow
/// with what was said before it.
#[derive(Debug)]
pub(crate) struct Examiner<'a> {
    gates: &'a GateSettings,
    public: Vec<&'a str>,
    people: Vec<Person<'a>>,
    names: Vec<&'a str>,
    agreement: Option<Agreement>,
    home: Home<'a>,
    /// The words of the situation, which the instructions end with.
    situation: Vec<WordHash>,
    secrets: Secrets,
    /// What was said so far, the starter first.
    heard: Vec<Heard>,
}

/// The ground of a conversation.
#[derive(Debug)]
pub(crate) struct Ground<'a> {
    /// Everyone, in the order of the group.
    pub people: Vec<Part<'a>>,
    /// What everyone can know before anybody has spoken, besides the starter.
    pub public: Vec<&'a str>,
    /// What is going on; it was told together with the instructions.
    pub situation: &'a str,
    /// The line that opens.
    pub starter: &'a str,
    /// BCP 47 tag of the language.
    pub language: &'a str,
    /// Which gates judge, and how strictly.
    pub gates: &'a GateSettings,
}

/// One person's part in a conversation.
#[derive(Debug)]
pub(crate) struct Part<'a> {
    /// Their name.
    pub name: &'a str,
    /// Their persona.
    pub persona: &'a str,
    /// What they know of themselves besides the persona.
    pub own: Vec<&'a str>,
    /// What they alone know.
    pub secret: Option<&'a str>,
    /// The instructions they get; copied passages are leaks.
    pub instructions: Arc<Instructions>,
}

#[derive(Debug)]
struct Person<'a> {
    part: Part<'a>,
    told: OnceCell<SpeakerBrief>,
    persona: OnceCell<Vec<WordHash>>,
    known: OnceCell<PriorKnowledge>,
}

/// A line that was said.
#[derive(Debug)]
struct Heard {
    line: EarlierLine,
    is_closing: bool,
    only_agrees: bool,
}

/// A turn that a reply is for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TurnPlace {
    /// Who speaks.
    pub speaker: usize,
    /// The word target of this turn.
    pub words: Option<u32>,
    /// Whether the reply was cut off by its token limit.
    pub torn: bool,
    /// Whether the conversation may not end yet.
    pub must_go_on: bool,
}

/// A reply that can stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SoundReply {
    /// The words to keep.
    pub text: String,
    /// What was mended on the way, for the ledger.
    pub mended: Vec<&'static str>,
    words: SpokenWords,
}

impl SoundReply {
    /// A line that stands as it is, such as the one that opens.
    pub(crate) fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), mended: Vec::new(), words: SpokenWords::of(text) }
    }
}

impl<'a> Examiner<'a> {
    /// For a conversation in which nothing but the starter was said.
    pub(crate) fn new(ground: Ground<'a>) -> Self {
        let Ground { people, public, situation, starter, language, gates } = ground;
        let names: Vec<&str> = people.iter().map(|part| part.name).collect();
        let secrets = people.iter().enumerate().filter_map(|(at, part)| Some((at, part.secret?)));
        let mut examiner = Self {
            gates,
            public,
            home: Home::new(language, names.clone()),
            names,
            agreement: Agreement::of_language(language),
            situation: SpokenWords::of(situation).into_keys(),
            secrets: Secrets::new(language, secrets),
            heard: Vec::new(),
            people: people.into_iter().map(Person::new).collect(),
        };
        examiner.hear(&SoundReply::plain(starter));
        examiner
    }

    /// Takes a line among those that were said. Whether it says goodbye, or is nothing but thanks.
    pub(crate) fn hear(&mut self, line: &SoundReply) -> bool {
        let SoundReply { text, words, .. } = line;
        let is_closing = is_closing(text);
        self.secrets.hear(words);
        self.heard.push(Heard {
            is_closing,
            only_agrees: self.gates.has(Gate::AgreementRun) && self.only_agrees(text, words),
            line: EarlierLine::new(words.keys().to_vec()),
        });
        is_closing
    }

    /// Judges and mends `reply`.
    ///
    /// # Errors
    /// The first flaw found of a reply that cannot be kept, in the order of how much of it the flaw spoils.
    pub(crate) fn examine(&self, reply: &str, place: TurnPlace) -> Result<SoundReply, Flaw> {
        let mut mended = Vec::new();
        let (text, words) = self.clean(reply, place, &mut mended)?;
        let Some(person) = self.people.get(place.speaker).filter(|_| !words.is_empty()) else {
            return Err(Flaw::Empty);
        };
        // Where two fit, the one that tells the model more comes first: a goodbye that was said before is a goodbye.
        let checks: [(Flaw, &dyn Fn() -> bool); 9] = [
            (Flaw::AiTalk, &|| ai_talk::speaks_as_model(&text)),
            (Flaw::Leak, &|| copies::leaks(&words, person.told(), &self.situation)),
            (Flaw::WrongLanguage, &|| self.home.is_foreign(&text, &words, place.speaker)),
            (Flaw::Loop, &|| copies::loops(&text, &words)),
            (Flaw::Recital, &|| copies::recites(&words, person.persona())),
            (Flaw::LeakedKnowledge, &|| self.tells_secret(&words, place.speaker, person)),
            (Flaw::ClosingLoop, &|| place.must_go_on && self.goes_on_closing(&text)),
            (Flaw::AgreementRun, &|| self.goes_on_agreeing(&text, &words)),
            (Flaw::Echo, &|| copies::echoes(words.keys(), self.heard.iter().map(|heard| &heard.line))),
        ];
        let found = checks.into_iter().find(|(flaw, fails)| self.judges(*flaw) && fails());
        found.map_or(Ok(()), |(flaw, _)| Err(flaw))?;
        Ok(SoundReply { text, mended, words })
    }

    fn judges(&self, flaw: Flaw) -> bool {
        flaw.gate().is_none_or(|gate| self.gates.has(gate))
    }

    /// The words of the reply alone: without wrapping, labels, lines of others, and what is too much.
    fn clean(
        &self,
        reply: &str,
        place: TurnPlace,
        mended: &mut Vec<&'static str>,
    ) -> Result<(String, SpokenWords), Flaw> {
        let reply = reading::line(reply, mended)?;
        let speaker = self.names.get(place.speaker).copied().unwrap_or_default();
        let mut text = labels::drop_own_name(&unwrap(&reply), speaker, mended);
        text = labels::drop_stage_direction(&unwrap(&text), mended);
        if self.gates.has(Gate::SpeaksForOthers) {
            let others = self.names.iter().enumerate().filter(|(at, _)| *at != place.speaker).map(|(_, name)| *name);
            let mut names: Vec<&str> = others.collect();
            if labels::starts_as_other(&text, &names) {
                return Err(Flaw::SpeaksForOthers);
            }
            names.push(speaker);
            text = labels::cut_at_speaker_line(&text, &names, mended);
        }
        text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let target = place.words.filter(|_| self.gates.has(Gate::TooLong));
        length::cut(text, LengthAllowance { target, torn: place.torn }, mended)
    }

    fn tells_secret(&self, words: &SpokenWords, speaker: usize, person: &Person<'_>) -> bool {
        let said = self.heard.iter().map(|heard| &heard.line);
        self.secrets.told_by(speaker, words, &|| self.known_to(person), &said)
    }

    /// What a person can know before anybody has spoken: all that is public, and their own part.
    fn known_to<'p>(&self, person: &'p Person<'_>) -> &'p PriorKnowledge {
        person.known.get_or_init(|| {
            let own = [person.part.persona].into_iter().chain(person.part.own.iter().copied());
            PriorKnowledge::read(self.public.iter().copied().chain(own).chain(person.part.secret))
        })
    }

    fn goes_on_closing(&self, text: &str) -> bool {
        self.heard.last().is_some_and(|line| line.is_closing) && is_closing(text)
    }

    /// Whether this line and those before it make a run of lines that only agree. The starter is no such line.
    fn goes_on_agreeing(&self, text: &str, words: &SpokenWords) -> bool {
        let before = (self.gates.agreement_run as usize).saturating_sub(1);
        let lines = self.heard.get(1..).unwrap_or_default();
        let run = lines.iter().rev().take(before).filter(|line| line.only_agrees).count();
        run >= before && self.only_agrees(text, words)
    }

    fn only_agrees(&self, text: &str, words: &SpokenWords) -> bool {
        self.agreement.as_ref().is_some_and(|agreement| agreement.is_all_of(text, words, &self.names))
    }
}

impl<'a> Person<'a> {
    fn new(part: Part<'a>) -> Self {
        Self { part, told: OnceCell::new(), persona: OnceCell::new(), known: OnceCell::new() }
    }

    fn told(&self) -> &SpeakerBrief {
        self.told.get_or_init(|| SpeakerBrief::new(Arc::clone(&self.part.instructions), self.part.name))
    }

    fn persona(&self) -> &[WordHash] {
        self.persona.get_or_init(|| SpokenWords::of(self.part.persona).into_keys())
    }
}

/// Takes away what surrounds a line: one pair of quotes around the whole.
fn unwrap(reply: &str) -> String {
    let mut text = reply.trim();
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

    static GATES: GateSettings = GateSettings { agreement_run: 3, without: Vec::new() };

    /// Lines said after the starter, and whether the conversation must go on.
    #[derive(Clone)]
    struct Scene<'a> {
        said: Vec<&'a str>,
        must_go_on: bool,
        gates: &'a GateSettings,
    }

    fn scene() -> Scene<'static> {
        Scene { said: vec!["I knew we should have taken the stairs today."], must_go_on: false, gates: &GATES }
    }

    /// What is made of `reply` as Ann Lee's.
    fn examine(reply: &str, scene: &Scene<'_>) -> Result<SoundReply, Flaw> {
        let text = "Speak as \u{e000} would in real life. Say one thing at a time, in your own words.";
        let instructions = Arc::new(Instructions::with_gaps(text));
        let part = |name, persona, secret| {
            let instructions = Arc::clone(&instructions);
            Part { name, persona, own: Vec::new(), secret, instructions }
        };
        let secret = "Bob pressed the emergency button himself to win a wager with Carla.";
        let mut examiner = Examiner::new(Ground {
            people: vec![
                part("Ann Lee", "a retired postman who breeds racing pigeons on the roof of a tower block", None),
                part("Bob", "a baker", Some(secret)),
                part("Carla Díaz", "a cook", None),
            ],
            public: vec!["They are stuck in the lift of the town hall."],
            situation: "They are stuck in the lift of the town hall.",
            starter: "The lift has stopped between two floors.",
            language: "en",
            gates: scene.gates,
        });
        for line in &scene.said {
            examiner.hear(&SoundReply::plain(line));
        }
        examiner.examine(reply, TurnPlace { speaker: 0, words: None, torn: false, must_go_on: scene.must_go_on })
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
            ("The lift has stopped between two floors.", Flaw::Echo),
            ("We wait here now. We wait here now.", Flaw::Loop),
            ("As an AI I cannot be stuck in a lift.", Flaw::AiTalk),
            ("<|im_start|>user", Flaw::Leak),
            ("I should say one thing at a time, in your own words, right?", Flaw::Leak),
            ("So it is: speak as Ann Lee would in real life.", Flaw::Leak),
            ("Your own words! They are stuck in the lift.", Flaw::Leak),
            ("Well, I am a retired postman who breeds racing pigeons on the roof.", Flaw::Recital),
            ("Ich weiß nicht, wann jemand kommt und uns hier aus dem Aufzug holt.", Flaw::WrongLanguage),
            ("So it was you who pressed the emergency button, for a wager?", Flaw::LeakedKnowledge),
        ];
        for (reply, flaw) in table {
            assert_eq!(examine(reply, &scene()), Err(flaw), "{reply:?}");
        }
        assert!(examine("So it is: speak as Bob Lee would in real life.", &scene()).is_ok());
    }

    #[test]
    fn back_channels_may_recur_and_goodbyes_may_not_loop() {
        let mut scene = scene();
        scene.said.push("Yes, right.");
        assert!(examine("Yes, right.", &scene).is_ok());
        scene.said.push("Well, see you tomorrow then!");
        scene.must_go_on = true;
        assert_eq!(examine("Goodbye, Bob!", &scene), Err(Flaw::ClosingLoop));
        scene.must_go_on = false;
        assert!(examine("Goodbye, Bob!", &scene).is_ok());
    }

    #[test]
    fn a_third_line_in_a_row_that_only_agrees_is_one_too_many() {
        let mut scene = scene();
        scene.said.push("Absolutely, good point!");
        assert!(examine("Yes, I agree.", &scene).is_ok());
        scene.said.push("Yes, exactly, thank you so much.");
        assert_eq!(examine("I couldn't agree more, Bob.", &scene), Err(Flaw::AgreementRun));
        assert!(examine("Good, then who calls the caretaker?", &scene).is_ok());
        let patient = GateSettings { agreement_run: 4, without: Vec::new() };
        assert!(examine("I couldn't agree more, Bob.", &Scene { gates: &patient, ..scene }).is_ok());
    }

    #[test]
    fn a_gate_that_is_off_lets_its_flaw_pass_and_no_other() {
        let off = GateSettings { without: vec![Gate::Echo], agreement_run: 3 };
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
