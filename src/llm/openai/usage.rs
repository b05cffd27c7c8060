//! What an endpoint says of the tokens of a call.
//!
//! Endpoints and the proxies in front of them differ in names and in what contains what:
//!
//! | what | where, the first that is there |
//! | --- | --- |
//! | prompt | `prompt_tokens`, `input_tokens` |
//! | read from a cache | `prompt_tokens_details.cached_tokens`; `cache_read_input_tokens` (Anthropic); `prompt_cache_hit_tokens` (`DeepSeek`); `cached_tokens` (Moonshot) |
//! | written to a cache | `prompt_tokens_details.cache_write_tokens` (`OpenAI`, `OpenRouter`), `.cache_creation_tokens` (`LiteLLM`); `cache_creation_input_tokens` (Anthropic) |
//! | reply | `completion_tokens`, `output_tokens` |
//! | reasoning | `completion_tokens_details.reasoning_tokens`, `reasoning_tokens` |
//!
//! Anthropic's prompt count leaves out what a cache has to do with: where the two with Anthropic's names do not fit into the
//! prompt, they are added. Some endpoints (xAI, Gemini) leave reasoning out of the reply: `total_tokens` tells.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::llm::{ChatRequest, Usage, budget, estimate};

/// No context window comes near 16.8 million tokens: a count beyond is a lie or an overflow.
const MOST_TOKENS: u64 = 1 << 24;
/// A count may be so many times what was sent or asked for at most, since a proxy may add a prompt of its own and a model may
/// think on behind its limit...
const MOST_TIMES: u64 = 16;
/// ... and so many tokens in any case: prompt, then reply.
const ALWAYS_POSSIBLE: (u64, u64) = (1 << 16, 1 << 18);

const PROMPT: &[&str] = &["/prompt_tokens", "/input_tokens"];
const CACHED: &[&str] =
    &["/prompt_tokens_details/cached_tokens", "/cache_read_input_tokens", "/prompt_cache_hit_tokens", "/cached_tokens"];
const WRITTEN: &[&str] = &[
    "/prompt_tokens_details/cache_write_tokens",
    "/prompt_tokens_details/cache_creation_tokens",
    "/cache_creation_input_tokens",
];
const REPLY: &[&str] = &["/completion_tokens", "/output_tokens"];
const REASONING: &[&str] = &["/completion_tokens_details/reasoning_tokens", "/reasoning_tokens"];

/// A count of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Count {
    Absent,
    Told(u64),
    Impossible,
}

impl Count {
    fn read(value: Option<&Value>, most: u64) -> Self {
        match value {
            None | Some(Value::Null) => Self::Absent,
            Some(value) => match whole(value).filter(|count| *count <= most) {
                Some(count) => Self::Told(count),
                None => Self::Impossible,
            },
        }
    }

    fn told(self) -> Option<u64> {
        if let Self::Told(count) = self { Some(count) } else { None }
    }
}

/// A number without a fraction; some gateways write `12.0`.
fn whole(value: &Value) -> Option<u64> {
    let text = value.as_number()?.to_string();
    text.strip_suffix(".0").unwrap_or(&text).parse().ok()
}

/// The usage of an answer, with the most that each count can be.
struct Said {
    usage: Value,
    most_prompt: u64,
    most_reply: u64,
}

impl Said {
    fn new(usage: Value, request: &ChatRequest) -> Self {
        let most = |times: u64, always: u64| times.saturating_mul(MOST_TIMES).max(always).min(MOST_TOKENS);
        let most_prompt = most(budget::upper_bound(request), ALWAYS_POSSIBLE.0);
        Self { usage, most_prompt, most_reply: most(u64::from(request.max_tokens), ALWAYS_POSSIBLE.1) }
    }

    /// The first of `names` that is there.
    fn count(&self, names: &[&str], most: u64) -> Count {
        Count::read(names.iter().filter_map(|name| self.usage.pointer(name)).find(|value| !value.is_null()), most)
    }

    /// Prompt tokens by Anthropic's names for what a cache has to do with.
    fn apart(&self) -> u64 {
        let count = |name| self.count(&[name], self.most_prompt).told().unwrap_or(0);
        count("/cache_read_input_tokens") + count("/cache_creation_input_tokens")
    }

    /// What the reply took, from its own count and what the total and the reasoning say of it.
    fn whole_reply(&self, reply: u64, thought: u64, prompt: Option<u64>) -> u64 {
        let total = self.count(&["/total_tokens"], MOST_TOKENS).told();
        let beyond = total.zip(prompt).map_or(0, |(total, prompt)| total.saturating_sub(prompt));
        let whole = if beyond <= self.most_reply { reply.max(beyond) } else { reply };
        if thought > whole { whole + thought } else { whole }
    }
}

/// Reads what was `said` of the tokens of `request`; `answered`: the reply's content, as it came. A count that is not there, or
/// that cannot be true, is estimated.
pub(super) fn read(said: Option<&RawValue>, request: &ChatRequest, answered: &str) -> Usage {
    let usage = said.map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap_or(Value::Bool(false)));
    let is_unreadable = !usage.is_null() && !usage.is_object();
    let said = Said::new(usage, request);
    let prompt = said.count(PROMPT, said.most_prompt);
    let cached = said.count(CACHED, said.most_prompt);
    let written = said.count(WRITTEN, said.most_prompt);
    let reply = said.count(REPLY, said.most_reply);
    let reasoning = said.count(REASONING, said.most_reply);
    let impossible =
        [prompt, reply, cached, written, reasoning].into_iter().filter(|count| *count == Count::Impossible);
    let impossible_counts = impossible.count() as u64 + u64::from(is_unreadable);

    let apart = said.apart();
    let told_prompt = prompt.told().map(|prompt| if apart > prompt { prompt + apart } else { prompt });
    let prompt_tokens = told_prompt.unwrap_or_else(|| estimate::prompt(request).min(budget::upper_bound(request)));
    let thought = reasoning.told().unwrap_or(0);
    let told_reply = reply.told().map(|reply| said.whole_reply(reply, thought, told_prompt));
    let guessed = || estimate::tokens(answered).min(u64::from(request.max_tokens)).max(thought);
    let completion_tokens = told_reply.unwrap_or_else(guessed);
    let cached_prompt_tokens = cached.told().unwrap_or(0).min(prompt_tokens);
    Usage {
        prompt_tokens,
        cached_prompt_tokens,
        completion_tokens,
        cache_write_tokens: written.told().unwrap_or(0).min(prompt_tokens - cached_prompt_tokens),
        reasoning_tokens: thought.min(completion_tokens),
        cache_untold_tokens: if cached.told().is_some() { 0 } else { prompt_tokens },
        estimated_prompt_tokens: if told_prompt.is_some() { 0 } else { prompt_tokens },
        estimated_completion_tokens: if told_reply.is_some() { 0 } else { completion_tokens },
        impossible_counts,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::Message;

    fn request() -> ChatRequest {
        ChatRequest::plain(vec![Message::user("x".repeat(100))], 50)
    }

    fn said(usage: &Value) -> Usage {
        let raw = RawValue::from_string(usage.to_string()).unwrap();
        read(Some(&raw), &request(), "\"Twelve chars\"")
    }

    /// Prompt, cached, written, completion, reasoning.
    fn kinds(usage: &Value) -> [u64; 5] {
        let told = said(usage);
        assert!(!told.is_estimated(), "{usage}");
        let Usage { prompt_tokens, cached_prompt_tokens, cache_write_tokens, .. } = told;
        [prompt_tokens, cached_prompt_tokens, cache_write_tokens, told.completion_tokens, told.reasoning_tokens]
    }

    #[test]
    fn every_kind_is_read_by_the_names_that_endpoints_give_it() {
        let all = [
            // OpenAI, OpenRouter.
            (
                json!({"prompt_tokens": 90, "completion_tokens": 40, "total_tokens": 130,
                    "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 50},
                    "completion_tokens_details": {"reasoning_tokens": 25}}),
                [90, 30, 50, 40, 25],
            ),
            // LiteLLM: all of the prompt, and what is not from a cache.
            (
                json!({"prompt_tokens": 90, "completion_tokens": 4, "cache_read_input_tokens": 60,
                    "cache_creation_input_tokens": 20, "prompt_tokens_details": {"cached_tokens": 60}}),
                [90, 60, 20, 4, 0],
            ),
            (
                json!({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14, "cache_read_input_tokens": 60,
                    "cache_creation_input_tokens": 20}),
                [90, 60, 20, 4, 0],
            ),
            // Anthropic as it is.
            (
                json!({"input_tokens": 10, "output_tokens": 4, "cache_read_input_tokens": 0,
                    "cache_creation_input_tokens": 80}),
                [90, 0, 80, 4, 0],
            ),
            // DeepSeek, Moonshot.
            (
                json!({"prompt_tokens": 90, "completion_tokens": 4, "prompt_cache_hit_tokens": 64,
                    "prompt_cache_miss_tokens": 26}),
                [90, 64, 0, 4, 0],
            ),
            (json!({"prompt_tokens": 90.0, "completion_tokens": 4, "cached_tokens": 64}), [90, 64, 0, 4, 0]),
            // xAI and Gemini leave reasoning out of the reply.
            (
                json!({"prompt_tokens": 90, "completion_tokens": 4, "total_tokens": 124, "cached_tokens": 0,
                    "completion_tokens_details": {"reasoning_tokens": 30}}),
                [90, 0, 0, 34, 30],
            ),
        ];
        for (usage, wanted) in all {
            assert_eq!(kinds(&usage), wanted, "{usage}");
            assert_eq!(said(&usage).told_cached(), Some(wanted[1]), "{usage}");
        }
        assert_eq!(said(&json!({"prompt_tokens": 9, "completion_tokens": 4})).told_cached(), None);
    }

    #[test]
    fn what_is_not_told_is_estimated_near_what_it_is_and_marked() {
        for absent in [read(None, &request(), "\"Twelve chars\""), said(&json!(null)), said(&json!({}))] {
            let (prompt, completion) = (estimate::prompt(&request()), 4);
            assert_eq!((absent.prompt_tokens, absent.completion_tokens), (prompt, completion));
            assert_eq!((absent.estimated_prompt_tokens, absent.estimated_completion_tokens), (prompt, completion));
            assert_eq!((absent.impossible_counts, absent.told_cached()), (0, None));
            assert!(prompt * 4 < budget::upper_bound(&request()), "an estimate is not the bound");
        }
        let half = said(&json!({"prompt_tokens": 31}));
        assert_eq!((half.prompt_tokens, half.estimated_prompt_tokens), (31, 0));
        assert!(half.estimated_completion_tokens > 0);
    }

    #[test]
    fn counts_that_cannot_be_true_are_estimated_and_counted() {
        for (lie, counts) in [
            (json!({"prompt_tokens": -5, "completion_tokens": -1}), 2),
            (json!({"prompt_tokens": 1e300, "completion_tokens": u64::MAX}), 2),
            (json!({"prompt_tokens": 9_000_000, "completion_tokens": 9_000_000}), 2),
            (json!({"prompt_tokens": "9", "completion_tokens": []}), 2),
            (json!({"prompt_tokens": 2.5, "completion_tokens": {}}), 2),
            (json!("many"), 1),
            (json!([1, 2]), 1),
        ] {
            let usage = said(&lie);
            assert_eq!(usage.impossible_counts, counts, "{lie}");
            assert_eq!(usage.estimated_prompt_tokens, estimate::prompt(&request()), "{lie}");
            assert_eq!(usage.estimated_completion_tokens, 4, "{lie}");
        }
        let more_cached =
            json!({"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 99}});
        assert_eq!(said(&more_cached).cached_prompt_tokens, 5);
        let overflow = json!({"prompt_tokens": 1, "completion_tokens": 1, "cache_read_input_tokens": u64::MAX});
        assert_eq!((said(&overflow).prompt_tokens, said(&overflow).impossible_counts), (1, 1));
    }
}
