//! What each agent is sent: the messages of one turn, in either layout.
//!
//! `agent_first` gives every agent a system message of its own, so nothing but the opener is shared between speakers.
//! `shared_prefix` sends the same bytes to everyone up to the end of the transcript, which only grows, and the private
//! part last: an endpoint's prefix cache then serves nearly the whole prompt, and the persona is fresh in every turn
//! (the known remedy for drift, arXiv 2402.10962). Whoever chooses the next speaker is told in either layout who the people
//! are and what was said, and nothing of what a speaker is told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::heard::Heard;
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
    /// What stands for lines that are not shown, where some are not.
    context: Option<Template>,
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
const FUSED_SECTIONS: &[&str] = &["form", "agent_first_turn", "shared_prefix_turn"];
const SELECTOR_SECTIONS: &[&str] = &["system", "opener", "turn", "repair"];
const CONTEXT_SECTIONS: &[&str] = &["system", "user", "past"];
const CONTEXT_VARIABLES: &[&str] = &["language_name", "summary", "lines"];

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
        let [speaker, fused, selector] = Self::templates(speaker, fused, selector);
        Ok(Self { speaker: speaker?, fused: fused?, selector: selector?, context: None, told: Mutex::default() })
    }

    /// The three prompt files, each by itself.
    pub(crate) fn templates(
        speaker: AgentPromptFile<'_>,
        fused: AgentPromptFile<'_>,
        selector: AgentPromptFile<'_>,
    ) -> [Result<Template, PromptError>; 3] {
        [(speaker, SPEAKER_SECTIONS), (fused, FUSED_SECTIONS), (selector, SELECTOR_SECTIONS)]
            .map(|(file, sections)| Template::parse(file.name, file.text, sections, VARIABLES))
    }

    /// The prompt for conversations of which the last turns alone are shown.
    pub(crate) fn context_template(context: AgentPromptFile<'_>) -> Result<Template, PromptError> {
        Template::parse(context.name, context.text, CONTEXT_SECTIONS, CONTEXT_VARIABLES)
    }

    /// The prompts with the one for conversations of which the last turns alone are shown.
    pub(crate) fn with_context(self, context: AgentPromptFile<'_>) -> Result<Self, PromptError> {
        Ok(Self { context: Some(Self::context_template(context)?), ..self })
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

/// What the prompt about lines that are not shown is filled with.
#[derive(Debug, Serialize)]
struct PastValues<'a> {
    language_name: &'a str,
    summary: Option<&'a str>,
    lines: &'a str,
}

/// Writes the messages of one conversation.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    prompts: &'a AgentPrompts,
    layout: Layout,
    situation: &'a Situation,
    language_name: String,
    /// What speakers are shown in front of the transcript.
    opener: String,
    heard: Heard<'a>,
    /// What is no longer shown, in short.
    summary: Option<String>,
    /// Sections that stay the same from turn to turn.
    kept: Sections,
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
        let opener = values.render(&prompts.speaker, "opener")?;
        let (heard, kept) = (Heard::new(&situation.personas), Sections::default());
        Ok(Self { prompts, layout, situation, language_name, opener, heard, summary: None, kept })
    }

    /// Takes what `speaker` said into the transcript.
    pub(crate) fn hear(&mut self, speaker: usize, text: &str) {
        self.heard.hear(speaker, text);
    }

    /// The messages that make `turn.speaker` speak.
    pub(crate) fn speak(&mut self, turn: &TurnPrompt<'_>) -> Result<Vec<Message>, PromptError> {
        let Some(person) = self.situation.personas.get(turn.speaker) else { return Ok(Vec::new()) };
        let values = SectionValues {
            name: &person.name,
            person: Some(person),
            situation: Some(self.situation),
            language_name: &self.language_name,
            last_name: self.heard.last().map(|person| person.name.as_str()),
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
        let (mut system, last) = (section(File::Speaker, system)?, section(ending, last)?);
        if turn.hand_over.is_some() {
            system = format!("{system}\n\n{}", section(File::Fused, "form")?);
        }
        let own = (self.layout == Layout::AgentFirst).then_some(person.id.as_str());
        Ok(self.heard.arrange(system, &self.opener, own, &[Some(last), repair]))
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
        let (system, opener) = (section(File::Selector, "system")?, section(File::Selector, "opener")?);
        let repair = flaw.map(|_| section(File::Selector, "repair")).transpose()?;
        let turn = section(File::Selector, "turn")?;
        Ok(self.heard.arrange(system, &opener, None, &[Some(turn), repair]))
    }

    /// The first line that is shown.
    pub(crate) fn shows_from(&self) -> usize {
        self.heard.from()
    }

    /// What is no longer shown, in short, if that was asked for.
    pub(crate) fn summary(&self) -> Option<&str> {
        self.summary.as_deref()
    }

    /// The messages that ask for what was said before the line `first`, in short.
    pub(crate) fn sum_up(&self, first: usize) -> Result<Vec<Message>, PromptError> {
        let Some(context) = &self.prompts.context else { return Ok(Vec::new()) };
        let values = self.past_values(self.summary(), self.heard.leaving(first));
        Ok(vec![Message::system(context.render("system", &values)?), Message::user(context.render("user", &values)?)])
    }

    /// Shows the lines from `first` on alone, and what came before them as `summary`.
    pub(crate) fn show_from(&mut self, first: usize, summary: Option<String>) -> Result<(), PromptError> {
        let Some(context) = &self.prompts.context else { return Ok(()) };
        let past = context.render("past", &self.past_values(summary.as_deref(), ""))?;
        self.heard.show_from(first, past);
        self.summary = summary;
        Ok(())
    }

    fn past_values<'v>(&'v self, summary: Option<&'v str>, lines: &'v str) -> PastValues<'v> {
        PastValues { language_name: &self.language_name, summary, lines }
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
}
