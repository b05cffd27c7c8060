//! What can be wrong with a reply: its name in records, the reason a model is told, and the gate that switches it off.

use crate::config::Gate;
use crate::prompt::reading::Unread;

/// What is wrong with a reply. [`Flaw::reason`] tells the model, [`Flaw::name`] the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Flaw {
    /// No words.
    Empty,
    /// It begins as somebody else.
    SpeaksForOthers,
    /// It repeats an earlier line.
    Echo,
    /// It repeats itself.
    Loop,
    /// It shows instructions or markers of its prompt.
    Leak,
    /// It says that a model speaks, or what that model may not do.
    AiTalk,
    /// It recites the persona.
    Recital,
    /// The token limit cut it, and nothing tells that what is there is what is said.
    Torn,
    /// Far over the word target, with no sentence end to cut at.
    TooLong,
    /// The second goodbye in a row while the conversation has to go on.
    ClosingLoop,
    /// One more of several turns in a row that only agree, thank or flatter.
    AgreementRun,
    /// Not in the conversation's language.
    WrongLanguage,
    /// It tells what only somebody else knows.
    LeakedKnowledge,
    /// Not the JSON object that was asked for.
    NotJson,
    /// Thoughts about the line and no line.
    Thinking,
    /// Other words around the line, or a wrapper that cannot be opened.
    Wrapped,
}

impl Flaw {
    /// Every flaw.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 16] = [
        Self::Empty,
        Self::SpeaksForOthers,
        Self::Echo,
        Self::Loop,
        Self::Leak,
        Self::AiTalk,
        Self::Recital,
        Self::Torn,
        Self::TooLong,
        Self::ClosingLoop,
        Self::AgreementRun,
        Self::WrongLanguage,
        Self::LeakedKnowledge,
        Self::NotJson,
        Self::Thinking,
        Self::Wrapped,
    ];

    /// The name in records and reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::SpeaksForOthers => "speaks_for_others",
            Self::Echo => "echo",
            Self::Loop => "loop",
            Self::Leak => "leak",
            Self::AiTalk => "ai_talk",
            Self::Recital => "recital",
            Self::Torn => "torn",
            Self::TooLong => "too_long",
            Self::ClosingLoop => "closing_loop",
            Self::AgreementRun => "agreement_run",
            Self::WrongLanguage => "language",
            Self::LeakedKnowledge => "leaked_knowledge",
            Self::NotJson => "not_json",
            Self::Thinking => "only_thinking",
            Self::Wrapped => "wrapped",
        }
    }

    /// The reason as the model is told.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Empty => "it had no words in it",
            Self::SpeaksForOthers => "it spoke for somebody else",
            Self::Echo => "it repeated what had been said before",
            Self::Loop => "it repeated itself",
            Self::Leak => "it talked about its instructions",
            Self::AiTalk => "it spoke as a machine, not as a person",
            Self::Recital => "it recited the description of the person",
            Self::Torn => "it was too long and was cut off",
            Self::TooLong => "it was much too long",
            Self::ClosingLoop => "it said goodbye although the conversation goes on",
            Self::AgreementRun => "it only agreed, as those before did; bring in something new or disagree",
            Self::WrongLanguage => "it was in another language than the conversation",
            Self::LeakedKnowledge => "it told what only somebody else can know",
            Self::NotJson => "it was not the JSON object that was asked for",
            Self::Thinking => "it was thoughts about the line and not the line",
            Self::Wrapped => "it was more than the line; write the words that are said and nothing else",
        }
    }

    /// Whether more room for a reply may heal it.
    pub(crate) fn lacks_room(self) -> bool {
        matches!(self, Self::Torn | Self::Thinking)
    }

    /// The gate that finds it, if that can be switched off. A turn without words, a torn one, and a reply that cannot be
    /// read are never kept.
    pub(crate) fn gate(self) -> Option<Gate> {
        match self {
            Self::Empty | Self::Torn | Self::NotJson | Self::Thinking | Self::Wrapped => None,
            Self::SpeaksForOthers => Some(Gate::SpeaksForOthers),
            Self::Echo => Some(Gate::Echo),
            Self::Loop => Some(Gate::Loop),
            Self::Leak => Some(Gate::Leak),
            Self::AiTalk => Some(Gate::AiTalk),
            Self::Recital => Some(Gate::Recital),
            Self::TooLong => Some(Gate::TooLong),
            Self::ClosingLoop => Some(Gate::ClosingLoop),
            Self::AgreementRun => Some(Gate::AgreementRun),
            Self::WrongLanguage => Some(Gate::Language),
            Self::LeakedKnowledge => Some(Gate::LeakedKnowledge),
        }
    }
}

impl From<Unread> for Flaw {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Thinking => Self::Thinking,
            Unread::Markup => Self::Leak,
            Unread::Wrapped => Self::Wrapped,
        }
    }
}
