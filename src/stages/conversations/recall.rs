//! The beginning of a long conversation, in short or left out, where its prompts are to show the last turns alone.
//!
//! What is shown is decided by the number of turns alone, and a summary is a recorded reply like any other, so the same
//! conversation always has the same prompts. Gates, votes and addressees go by all that was said.

use super::{ConversationState, STAGE};
use crate::llm::recorded::CallSite;
use crate::llm::{Answer, Halt, ReplyFormat, Role};
use crate::stages::transcript::one_line;

impl ConversationState<'_> {
    /// Takes the lines out of sight that the prompts of the turn to come no longer show.
    pub(super) async fn bound_context(&mut self) -> Result<(), Halt> {
        let first = self.settings.context.first_shown(self.turns.len());
        if self.script.shows_from() == first {
            return Ok(());
        }
        let summary = if self.settings.context.summary { self.sum_up(first).await? } else { None };
        Ok(self.script.show_from(first, summary)?)
    }

    /// What was said before the line `first`, in short. One that cannot be had leaves the one before it in its place.
    async fn sum_up(&mut self, first: usize) -> Result<Option<String>, Halt> {
        let messages = self.script.sum_up(first)?;
        let site = CallSite { stage: STAGE, item: &self.id, turn: self.index(), role: Role::Summary, attempt: 0 };
        let answer = self.calls.ask(&site, messages, ReplyFormat::Text { prefix: None }).await?;
        let Answer::Reply(reply) = answer else { return Ok(self.keep_summary()) };
        self.ledger.hear_summary(reply.usage);
        let summary = one_line(&reply.text);
        Ok(if summary.is_empty() { self.keep_summary() } else { Some(summary) })
    }

    fn keep_summary(&mut self) -> Option<String> {
        self.ledger.mend("lost_summary");
        self.script.summary().map(str::to_owned)
    }
}
