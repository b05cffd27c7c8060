//! From what a model sent to what it meant to say: the one way by which every reply is read.
//!
//! ```text
//! reply ─► characters ─► thinking ─► tokens ─► line: the words of a speaker
//!                                 └► json: the object that was asked for
//! ```
//!
//! * `characters`: no control characters, no halves of surrogate pairs.
//! * `thinking`: what a model thought before it spoke is taken out, in whatever way it is marked.
//! * `tokens`: what chat templates put between messages ends the text.
//! * [`mod@json`]: the object among drafts, fences, wrappers and prose.
//! * [`mod@line`]: the line without a helper's words around it, JSON, HTML or code fences.
//!
//! All of it is deterministic and costs no call: what was marked is taken out, and the reply stands. What cannot be told
//! apart is an error and never a guess: thoughts without an end hold no line, however well their first sentences read.

pub(crate) mod characters;
pub(crate) mod json;
pub(crate) mod line;
mod thinking;
mod tokens;

use std::borrow::Cow;

use regex::Regex;

pub(crate) use json::{ReplyError, json};
pub(crate) use line::line;

/// Why a reply says nothing that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unread {
    /// Thoughts that have no end, or with nothing behind them.
    #[error("the reply is thoughts about the answer and no answer")]
    Thinking,
    /// A control token of a chat template amid the text.
    #[error("the reply has a control token of a chat template in it")]
    Markup,
    /// Other things than the line alone, and nothing tells which part is the line.
    #[error("the reply has other words around the line")]
    Wrapped,
}

/// What a reply says, without what was thought before it and what a chat template left behind it.
pub(crate) fn answer(reply: &str) -> Result<Cow<'_, str>, Unread> {
    match characters::printable(reply) {
        Cow::Borrowed(text) => tokens::cut(thinking::behind(text)?).map(Cow::Borrowed),
        Cow::Owned(text) => Ok(Cow::Owned(tokens::cut(thinking::behind(&text)?)?.to_owned())),
    }
}

/// Whether a reply shows thoughts and where they end.
pub(crate) fn has_thought(reply: &str) -> bool {
    thinking::behind(reply).is_ok_and(|said| said.len() < reply.len())
}

/// Whether something that can be said has been said to its end: a sentence mark stands there, quotes and brackets aside.
fn ends_clause(text: &str) -> bool {
    let bare =
        text.trim_end().trim_end_matches(['"', '”', '“', '’', '\'', ')', '」', '』', '）', '*', '»', '}', ']', '`']);
    bare.ends_with(['.', '!', '?', '…', ':', '~', '。', '！', '？', '：', '؟', '।', '—'])
}

/// Whether anything in `text` can be said.
fn has_words(text: &str) -> bool {
    text.contains(char::is_alphanumeric)
}

/// A pattern written here, which is one.
fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap_or_else(|error| unreachable!("every pattern that ships is one: {error}"))
}
