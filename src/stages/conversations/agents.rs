//! What each agent is sent: the messages of one turn, in either layout.
//!
//! `agent_first` gives every agent a system message of its own, so nothing but the opener is shared between speakers.
//! `shared_prefix` sends the same bytes to everyone up to the end of the transcript, which only grows, and the private
//! part last: an endpoint's prefix cache then serves nearly the whole prompt, and the persona is fresh in every turn
//! (the known remedy for drift, arXiv 2402.10962).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::sections::{Candidates, File, SectionValues, Sections};
use super::validate::{Instructions, NAME};
use crate::config::Layout;
use crate::llm::Message;
use crate::prompt::language;
use crate::prompt::template::{PromptError, Template};
use crate::record::Situation;

/// The prompts of the conversations stage.
#[derive(Debug)]
pub(crate) struct AgentPrompts {
    speaker: Template,
    fused: Template,
    selector: Template,
    /// What speakers are told, by the name of the language.
    told: Mutex<BTreeMap<String, Arc<Instructions>>>,
}

const VARIABLES: &[&str] = &[
    "name",
    "persona",
    "stance",
    "goal",
    "knowledge",
    "cast",
    "relations",
    "situation",
    "topic",
    "starter",
    "language_name",
    "last_name",
    "words",
    "candidates",
    "may_end",
    "flaw",
];
const SPEAKER_SECTIONS: &[&str] =
    &["agent_first_system", "shared_prefix_system", "opener", "agent_first_turn", "shared_prefix_turn", "repair"];
/// Those that a leak may come from.
const TOLD_SECTIONS: &[&str] =
    &["agent_first_system", "shared_prefix_system", "agent_first_turn", "shared_prefix_turn", "repair"];
const FUSED_SECTIONS: &[&str] = &["agent_first_turn", "shared_prefix_turn"];
const SELECTOR_SECTIONS: &[&str] = &["agent_first_system", "turn", "repair"];

/// The most languages of which is kept what speakers are told.
const MOST_LANGUAGES: usize = 64;

/// A prompt file: its name for messages, and its text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AgentPromptFile<'a> {
    /// Name for messages.
    pub name: &'a str,
    /// Content.
    pub text: &'a str,
}

impl AgentPrompts {
    /// Reads and checks the three prompt files.
    pub(crate) fn parse(
        speaker: AgentPromptFile<'_>,
        fused: AgentPromptFile<'_>,
        selector: AgentPromptFile<'_>,
    ) -> Result<Self, PromptError> {
        Ok(Self {
            speaker: Template::parse(speaker.name, speaker.text, SPEAKER_SECTIONS, VARIABLES)?,
            fused: Template::parse(fused.name, fused.text, FUSED_SECTIONS, VARIABLES)?,
            selector: Template::parse(selector.name, selector.text, SELECTOR_SECTIONS, VARIABLES)?,
            told: Mutex::default(),
        })
    }

    pub(super) fn file(&self, file: File) -> &Template {
        match file {
            File::Speaker => &self.speaker,
            File::Fused => &self.fused,
            File::Selector => &self.selector,
        }
    }

    /// What a speaker called `name` is told whatever they are like: every section, filled with the two values alone.
    fn bare(&self, name: &str, language_name: &str) -> Result<String, PromptError> {
        let values = SectionValues { name, language_name, ..SectionValues::default() };
        let texts = self.told_sections().map(|(template, section)| values.render(template, section));
        Ok(texts.collect::<Result<Vec<_>, _>>()?.join("\n"))
    }

    fn told_sections(&self) -> impl Iterator<Item = (&Template, &'static str)> {
        let speaker = TOLD_SECTIONS.iter().map(|section| (&self.speaker, *section));
        speaker.chain(FUSED_SECTIONS.iter().map(|section| (&self.fused, *section)))
    }

    /// What speakers are told in a language, with [`NAME`] for their names; `None` where a prompt does more with a name
    /// than to print it, so that each has to be looked at by itself.
    fn told(&self, language_name: &str) -> Result<Option<Arc<Instructions>>, PromptError> {
        let leaves_gaps = |(template, section): (&Template, &str)| {
            template.only_prints(section, "name") && !template.literal().contains(NAME)
        };
        if !self.told_sections().all(leaves_gaps) {
            return Ok(None);
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = told.get(language_name) {
            return Ok(Some(Arc::clone(known)));
        }
        let read = Arc::new(Instructions::with_gaps(&self.bare(NAME.encode_utf8(&mut [0; 4]), language_name)?));
        if told.len() < MOST_LANGUAGES {
            told.insert(language_name.to_owned(), Arc::clone(&read));
        }
        Ok(Some(read))
    }
}

/// What one turn adds to the prompt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TurnPrompt<'a> {
    /// Index of the speaker in the group.
    pub speaker: usize,
    /// Word target.
    pub words: Option<u32>,
    /// With `fused`: who may be handed the floor.
    pub hand_over: Option<&'a [usize]>,
    /// Whether the conversation may end with this turn.
    pub may_end: bool,
    /// Why the last attempt could not be used.
    pub flaw: Option<&'a str>,
}

/// Writes the messages of one conversation.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    prompts: &'a AgentPrompts,
    layout: Layout,
    situation: &'a Situation,
    language_name: String,
    /// The opener, and each turn on a line of its own.
    transcript: String,
    /// Bytes of the opener.
    opener: usize,
    lines: Vec<SpokenLine>,
    /// Sections that stay the same from turn to turn.
    kept: Sections,
}

/// Where a turn stands in the transcript.
#[derive(Debug, Clone, Copy)]
struct SpokenLine {
    speaker: usize,
    /// Where the name begins.
    start: usize,
    /// Where the words begin.
    words: usize,
    end: usize,
}

impl<'a> Script<'a> {
    /// The script for `situation`.
    pub(crate) fn new(
        prompts: &'a AgentPrompts,
        layout: Layout,
        situation: &'a Situation,
    ) -> Result<Self, PromptError> {
        let language_name = language::name(&situation.language);
        let values =
            SectionValues { situation: Some(situation), language_name: &language_name, ..SectionValues::default() };
        let transcript = values.render(&prompts.speaker, "opener")?;
        let (opener, lines, kept) = (transcript.len(), Vec::new(), Sections::default());
        Ok(Self { prompts, layout, situation, language_name, transcript, opener, lines, kept })
    }

    /// Takes what `speaker` said into the transcript.
    pub(crate) fn hear(&mut self, speaker: usize, text: &str) {
        let Some(person) = self.situation.personas.get(speaker) else { return };
        self.transcript.push_str(if self.lines.is_empty() { "\n\n" } else { "\n" });
        let start = self.transcript.len();
        self.transcript.push_str(&person.name);
        self.transcript.push_str(": ");
        let words = self.transcript.len();
        self.transcript.push_str(text);
        self.lines.push(SpokenLine { speaker, start, words, end: self.transcript.len() });
    }

    /// The messages that make `turn.speaker` speak.
    pub(crate) fn speak(&mut self, turn: &TurnPrompt<'_>) -> Result<Vec<Message>, PromptError> {
        let Some(person) = self.situation.personas.get(turn.speaker) else { return Ok(Vec::new()) };
        let last = self.lines.last().and_then(|line| self.situation.personas.get(line.speaker));
        let values = SectionValues {
            name: &person.name,
            person: Some(person),
            situation: Some(self.situation),
            language_name: &self.language_name,
            last_name: last.map(|person| person.name.as_str()),
            words: turn.words,
            candidates: Candidates::Names(turn.hand_over.unwrap_or_default()),
            may_end: turn.may_end,
            flaw: turn.flaw,
        };
        let mut section = |file, section| self.kept.render(self.prompts, file, section, Some(turn.speaker), &values);
        let ending = if turn.hand_over.is_some() { File::Fused } else { File::Speaker };
        let repair = turn.flaw.map(|_| section(File::Speaker, "repair")).transpose()?;
        let (system, last) = match self.layout {
            Layout::AgentFirst => ("agent_first_system", "agent_first_turn"),
            Layout::SharedPrefix => ("shared_prefix_system", "shared_prefix_turn"),
        };
        let (system, last) = (section(File::Speaker, system)?, section(ending, last)?);
        let own = (self.layout == Layout::AgentFirst).then_some(person.id.as_str());
        Ok(self.arrange(system, own, [Some(last), repair]))
    }

    /// The messages that make the selector choose among `candidates`.
    pub(crate) fn select(
        &mut self,
        candidates: &[usize],
        may_end: bool,
        flaw: Option<&str>,
    ) -> Result<Vec<Message>, PromptError> {
        let values = SectionValues {
            situation: Some(self.situation),
            language_name: &self.language_name,
            candidates: Candidates::Members(candidates),
            may_end,
            flaw,
            ..SectionValues::default()
        };
        let mut section = |file, section| self.kept.render(self.prompts, file, section, None, &values);
        let system = match self.layout {
            Layout::AgentFirst => section(File::Selector, "agent_first_system")?,
            Layout::SharedPrefix => section(File::Speaker, "shared_prefix_system")?,
        };
        let repair = flaw.map(|_| section(File::Selector, "repair")).transpose()?;
        let turn = section(File::Selector, "turn")?;
        Ok(self.arrange(system, None, [Some(turn), repair]))
    }

    /// What `speaker` is told, against which leaks are looked for, besides the situation.
    pub(crate) fn instructions(&self, speaker: usize) -> Result<Arc<Instructions>, PromptError> {
        // Without the persona: quoting one's own life is a recital at worst, not a leak.
        let name = self.situation.personas.get(speaker).map_or("", |person| &person.name);
        match self.prompts.told(&self.language_name)? {
            Some(told) if name.trim() == name => Ok(told),
            _ => Ok(Arc::new(Instructions::read(&self.prompts.bare(name, &self.language_name)?))),
        }
    }

    /// System message, then opener and transcript, then what is asked for. The turns of the one with the id `own` are the
    /// assistant's.
    ///
    /// Neighbours of one role are merged, because strict chat templates want roles to alternate, and the last message
    /// is the user's, because some servers continue a trailing assistant message instead of answering it.
    #[expect(clippy::needless_pass_by_value, reason = "the parts become the messages")]
    fn arrange(&self, system: String, own: Option<&str>, last: [Option<String>; 2]) -> Vec<Message> {
        let is_own = |line: &SpokenLine| {
            own.is_some() && self.situation.personas.get(line.speaker).map(|person| person.id.as_str()) == own
        };
        let copied = |start: usize, end: usize| self.transcript.get(start..end).unwrap_or_default();
        let mut messages = Vec::with_capacity(self.lines.len() + 2);
        messages.push(Message::system(system));
        let mut from = Some(0);
        let mut to = self.opener;
        for run in self.lines.chunk_by(|a, b| is_own(a) == is_own(b)) {
            let (Some(first), Some(end)) = (run.first(), run.last()) else { continue };
            if is_own(first) {
                messages.extend(from.take().map(|start| Message::user(copied(start, to))));
                let texts = run.iter().map(|line| copied(line.words, line.end));
                messages.push(Message::assistant(joined(texts, "\n")));
            } else {
                from.get_or_insert(first.start);
                to = end.end;
            }
        }
        let heard = from.map(|start| copied(start, to));
        let request = heard.into_iter().chain(last.iter().flatten().map(String::as_str));
        messages.push(Message::user(joined(request, "\n\n")));
        messages
    }
}

fn joined<'t>(texts: impl Iterator<Item = &'t str> + Clone, separator: &str) -> String {
    let mut all = String::with_capacity(texts.clone().map(|text| text.len() + separator.len()).sum());
    for (at, text) in texts.enumerate() {
        all.push_str(if at == 0 { "" } else { separator });
        all.push_str(text);
    }
    all
}
