//! Whether a reply ended since the model's context was full.
//!
//! llama.cpp, llama-cpp-python and others say `length` then, as where the limit of the reply was reached, but with fewer
//! tokens than were asked for. Counts lie now and then, so a reply counts as one that ran out of context only if its text fits
//! its count, and if no longer exchange of its kind was served before.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::llm::{ChatRequest, Finish, ReplyFormat, Usage};

/// No tokenizer makes fewer tokens of a text than one of so many characters.
const CHARACTERS_A_TOKEN: u64 = 6;

/// The longest exchange that was served of each form of reply, in tokens of prompt and reply.
#[derive(Debug, Default)]
pub(super) struct Longest(Mutex<BTreeMap<String, u64>>);

impl Longest {
    /// Why a reply ended, told by what was served before. `usage` is what the endpoint counted; nothing where it did not.
    pub(super) fn judge(&self, request: &ChatRequest, finish: Finish, usage: Option<Usage>, text: &str) -> Finish {
        let Some(usage) = usage else { return finish };
        let total = usage.prompt_tokens.saturating_add(usage.completion_tokens);
        let form = match &request.format {
            ReplyFormat::Text { .. } => "",
            ReplyFormat::Json { name, .. } => name,
        };
        let mut served = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = served.entry(form.to_owned()).or_default();
        if finish == Finish::Stop {
            *longest = total.max(*longest);
        }
        let characters = text.chars().count() as u64;
        let is_short = usage.completion_tokens + 1 < u64::from(request.max_tokens);
        let is_counted = usage.completion_tokens > 0 && characters <= usage.completion_tokens * CHARACTERS_A_TOKEN;
        if finish == Finish::Length && is_short && is_counted && total >= *longest {
            Finish::ContextFull
        } else {
            finish
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Message;

    fn request() -> ChatRequest {
        ChatRequest::plain(vec![Message::user("x")], 300)
    }

    fn judge(longest: &Longest, finish: Finish, prompt: u64, completion: u64, text: &str) -> Finish {
        let usage = Usage { prompt_tokens: prompt, completion_tokens: completion, ..Usage::default() };
        longest.judge(&request(), finish, Some(usage), text)
    }

    #[test]
    fn fewer_tokens_than_asked_for_mean_a_full_context_where_the_counts_can_be_true() {
        let longest = Longest::default();
        assert_eq!(judge(&longest, Finish::Stop, 1900, 20, "We wait."), Finish::Stop);
        assert_eq!(judge(&longest, Finish::Length, 2000, 48, "We wait, and then"), Finish::ContextFull);
        assert_eq!(judge(&longest, Finish::Length, 1700, 300, "We wait, and then"), Finish::Length, "the limit");
        assert_eq!(judge(&longest, Finish::Length, 1700, 20, "We wait, and then"), Finish::Length, "more was served");
        let long = "We wait, and then we wait. ".repeat(40);
        assert_eq!(judge(&longest, Finish::Length, 2000, 20, &long), Finish::Length, "a count that cannot be");
        assert_eq!(longest.judge(&request(), Finish::Length, None, "We"), Finish::Length, "no count");
    }
}
