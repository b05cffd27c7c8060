//! What had to be handled in a conversation, and what handling it cost.
//!
//! The rate before repair is the figure that tells about a model or a prompt; the cost of repair tells what the gates take
//! from the bill.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::validate::Flaw;
use crate::llm::{Usage, context};

/// What was handled in one conversation; the object `handled` of its provenance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Ledger {
    /// Replies that could not be used, by flaw.
    flaws: BTreeMap<&'static str, u32>,
    /// What was mended in replies that could.
    mended: BTreeMap<&'static str, u32>,
    /// Turns that took more than one reply.
    asked_again: u32,
    /// Calls beyond the first of a turn.
    repair_calls: u32,
    /// Prompt tokens of those.
    repair_prompt_tokens: u64,
    /// Completion tokens of those.
    repair_completion_tokens: u64,
    /// Calls that chose a speaker.
    selector_calls: u32,
    /// Choices that the code had to make.
    fallbacks: u32,
    /// Choices that were asked of somebody.
    #[serde(skip)]
    choices: u32,
    /// What the endpoint said when the conversation no longer fitted into the model's context.
    #[serde(skip)]
    ran_out: Option<String>,
    /// Turns that were asked for.
    #[serde(skip)]
    turns: u32,
    /// Tokens of every reply, whoever gave it.
    #[serde(skip)]
    usage: Usage,
}

impl Ledger {
    pub(super) fn flaw(&mut self, flaw: Flaw) {
        *self.flaws.entry(flaw.name()).or_default() += 1;
    }

    pub(super) fn mend(&mut self, what: &'static str) {
        *self.mended.entry(what).or_default() += 1;
    }

    /// A choice is asked of a selector, or was of the one who spoke.
    pub(super) fn choose(&mut self) {
        self.choices += 1;
    }

    /// The model's context is full.
    pub(super) fn run_out(&mut self, said: &str) {
        self.ran_out = Some(said.to_owned());
    }

    pub(super) fn fall_back(&mut self) {
        self.fallbacks += 1;
    }

    pub(super) fn ask_selector(&mut self) {
        self.selector_calls += 1;
    }

    /// The `attempt`-th call for a turn goes out, from 0.
    pub(super) fn ask_speaker(&mut self, attempt: u32) {
        self.turns += u32::from(attempt == 0);
        self.asked_again += u32::from(attempt == 1);
        self.repair_calls += u32::from(attempt > 0);
    }

    /// The reply to it has come.
    pub(super) fn hear_speaker(&mut self, attempt: u32, usage: Usage) {
        if attempt > 0 {
            self.repair_prompt_tokens += usage.prompt_tokens;
            self.repair_completion_tokens += usage.completion_tokens;
        }
        self.usage += usage;
    }

    pub(super) fn hear_selector(&mut self, usage: Usage) {
        self.usage += usage;
    }

    pub(super) fn hear_summary(&mut self, usage: Usage) {
        self.usage += usage;
    }

    /// Turns that were asked for.
    pub(crate) fn turns(&self) -> u64 {
        u64::from(self.turns)
    }

    /// Tokens of every reply.
    pub(crate) fn usage(&self) -> Usage {
        self.usage
    }
}

/// What was handled in all conversations of a run, whether they were kept or not; the notes of the sealed stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ConversationFigures {
    /// Turns that were asked for.
    pub turns: u64,
    /// Turns that took more than one reply.
    pub asked_again: u64,
    /// Replies that could not be used, by flaw.
    pub flaws: BTreeMap<String, u64>,
    /// What was mended in replies that could.
    pub mended: BTreeMap<String, u64>,
    /// Calls beyond the first of a turn.
    pub repair_calls: u64,
    /// Prompt and completion tokens of those.
    pub repair_tokens: u64,
    /// Prompt and completion tokens of all replies.
    pub tokens: u64,
    /// Choices of a speaker that were asked of somebody.
    #[serde(default)]
    pub choices: u64,
    /// Those of them that the code had to make.
    #[serde(default)]
    pub fallbacks: u64,
    /// Conversations that no longer fitted into the model's context.
    #[serde(default, skip_serializing_if = "is_none")]
    pub context_full: u64,
    /// What the endpoint said of the first of them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub context_said: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks with a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl ConversationFigures {
    /// Adds what was handled in one conversation.
    pub(crate) fn add(&mut self, ledger: &Ledger) {
        self.turns += u64::from(ledger.turns);
        self.asked_again += u64::from(ledger.asked_again);
        self.repair_calls += u64::from(ledger.repair_calls);
        self.choices += u64::from(ledger.choices);
        self.fallbacks += u64::from(ledger.fallbacks);
        self.repair_tokens += ledger.repair_prompt_tokens + ledger.repair_completion_tokens;
        self.tokens += ledger.usage.prompt_tokens + ledger.usage.completion_tokens;
        if let Some(said) = &ledger.ran_out {
            self.context_full += 1;
            if self.context_said.is_empty() {
                self.context_said.clone_from(said);
            }
        }
        for (sums, counts) in [(&mut self.flaws, &ledger.flaws), (&mut self.mended, &ledger.mended)] {
            for (name, count) in counts {
                *sums.entry((*name).to_owned()).or_default() += u64::from(*count);
            }
        }
    }

    /// One line for people, if the code had to choose speakers: how often.
    pub(crate) fn fallbacks_line(&self) -> Option<String> {
        let Self { choices, fallbacks, .. } = self;
        let advice =
            "since nobody was named who may speak; drawn instead (conversations.speaker_selection, models.selector)";
        (*fallbacks > 0).then(|| format!("{fallbacks} of {choices} choices of a speaker fell back, {advice}"))
    }

    /// One line for people on conversations that outgrew the model's context, if any did. They may have up to `most` turns.
    pub(super) fn context_line(&self, most: u32) -> Option<String> {
        if self.context_full == 0 {
            return None;
        }
        let (count, said) = (self.context_full, &self.context_said);
        let holds = context::size(said).map_or_else(String::new, |tokens| format!(" (it holds {tokens} tokens)"));
        Some(format!(
            "context: {count} conversations ended since the model's context was full{holds}, before conversations.turns.max, which is {most}; the endpoint said: {said}; lower conversations.turns.max or serve the model with a longer context"
        ))
    }

    /// One line for people: how often turns were asked for again, for what, and at what cost.
    pub(crate) fn line(&self) -> String {
        let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
        let mut flaws: Vec<(&String, &u64)> = self.flaws.iter().collect();
        flaws.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let flaws: Vec<String> = flaws.into_iter().map(|(name, count)| format!("{name} {count}")).collect();
        let named = if flaws.is_empty() { String::new() } else { format!(" ({})", flaws.join(", ")) };
        let (turns, tokens) = (share(self.asked_again, self.turns), share(self.repair_tokens, self.tokens));
        format!("gates: {turns:.1} % of turns were asked for again{named}, {tokens:.1} % of tokens")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_count_repairs_apart_and_the_line_says_what_they_were_for() {
        let usage = |prompt_tokens| Usage { prompt_tokens, completion_tokens: 10, ..Usage::default() };
        let mut ledger = Ledger::default();
        for (attempt, prompt) in [(0, 100), (0, 110), (1, 120), (2, 130)] {
            ledger.ask_speaker(attempt);
            ledger.hear_speaker(attempt, usage(prompt));
        }
        for flaw in [Flaw::Echo, Flaw::Loop, Flaw::Echo] {
            ledger.flaw(flaw);
        }
        let mut figures = ConversationFigures::default();
        figures.add(&ledger);
        figures.add(&Ledger::default());
        let sums = (figures.turns, figures.asked_again, figures.repair_calls, figures.repair_tokens, figures.tokens);
        assert_eq!(sums, (2, 1, 2, 270, 500));
        assert_eq!(figures.line(), "gates: 50.0 % of turns were asked for again (echo 2, loop 1), 54.0 % of tokens");
        assert_eq!(
            ConversationFigures::default().line(),
            "gates: 0.0 % of turns were asked for again, 0.0 % of tokens"
        );
        let handled = serde_json::to_value(&ledger).unwrap();
        assert_eq!(
            (handled["repair_prompt_tokens"].as_u64(), handled["repair_completion_tokens"].as_u64()),
            (Some(250), Some(20))
        );
    }
}
