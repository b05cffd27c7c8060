//! The context of a model, and what endpoints say when a prompt no longer fits into it.
//!
//! A conversation grows with every turn. Some servers answer what no longer fits with 400, in words of their own; others
//! let the reply end as soon as the context is full, and say `length` as if the limit of the reply had ended it.

use std::sync::LazyLock;

use regex::Regex;

/// The reason of a call that failed since its prompt no longer fits.
pub(crate) const FULL: &str = "context_full";

/// The code of OpenAI and of all who follow it, and llama.cpp's.
pub(crate) const CODES: [&str; 2] = ["context_length_exceeded", "exceed_context_size_error"];

/// Words for it, in lower case: `OpenAI`, vLLM, `SGLang`, llama.cpp, LM Studio, TGI, Gemini, Anthropic, Mistral, Cohere, Bedrock.
const WORDS: [&str; 20] = [
    "context length",
    "context_length",
    "context window",
    "contextwindow",
    "context size",
    "context_size",
    "context overflow",
    "exceeds the context",
    "maximum context",
    "max_model_len",
    "n_ctx",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "too many tokens",
    "input token count",
    "maximum number of tokens",
    "max_new_tokens` must be",
    "reduce the length of the messages",
    "maximum prompt length",
];

/// Whether a refusal says that a prompt does not fit into the model's context.
pub(crate) fn is_overflow(said: &str) -> bool {
    let said = said.to_lowercase();
    WORDS.iter().any(|words| said.contains(words))
}

/// The tokens that a context holds, as a refusal names them.
pub(crate) fn size(said: &str) -> Option<u64> {
    static AHEAD: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?i)(?:context (?:length|size|window)|max_model_len|n_ctx|number of tokens|prompt length|must be <=|cannot exceed|tokens >)\D{0,40}?(\d{3,8})").ok()
    });
    static BEHIND: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"(?i)(\d{3,8})\D{0,3}(?:maximum|token) (?:context|limit)").ok());
    let found = [&*AHEAD, &*BEHIND].into_iter().flatten().find_map(|pattern| pattern.captures(said)?.get(1));
    found?.as_str().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_of_a_full_context_is_understood() {
        for (said, tokens) in [
            (
                "This model's maximum context length is 2048 tokens. However, you requested 2100 tokens (1800 in the messages, 300 in the completion).",
                Some(2048),
            ),
            ("the request exceeds the available context size (2048 tokens), try increasing it", Some(2048)),
            (
                "the request exceeds the available context size. try increasing the context size or enable context shift",
                None,
            ),
            ("Requested tokens (2100) exceed context window of 2048", Some(2048)),
            ("The input (4100 tokens) is longer than the model's context length (4096 tokens).", Some(4096)),
            ("However, the model is loaded with context length of only 4096 tokens", Some(4096)),
            ("`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens", Some(4096)),
            (
                "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
                Some(1_048_576),
            ),
            ("prompt is too long: 210000 tokens > 200000 maximum", Some(200_000)),
            ("Prompt contains 40000 tokens, too large for model with 32768 maximum context length", Some(32_768)),
            ("too many tokens: total number of tokens in the prompt cannot exceed 4081", Some(4081)),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 300. This model's maximum context length is 2048 tokens and your request has 1900 input tokens",
                Some(2048),
            ),
            ("litellm.ContextWindowExceededError: no room", None),
            ("Please reduce the length of the messages or completion.", None),
        ] {
            assert!(is_overflow(said), "{said}");
            assert_eq!(size(said), tokens, "{said}");
        }
        for other in [
            "Unsupported value: 'temperature'",
            "rate limit of 4000 tokens a minute",
            "the prompt was filtered",
            "no context",
        ] {
            assert!(!is_overflow(other), "{other}");
        }
    }
}
