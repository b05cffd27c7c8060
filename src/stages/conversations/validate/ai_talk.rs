//! A model that speaks of itself: what it is, what it cannot do, what it was told.
//!
//! Only in the first person: people may well talk *about* language models, and some of the personas build them.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;

use super::TALK;
use crate::lexicon::List;

/// How a model says that it is one.
static A_MODEL_SPEAKS: List = TALK.list("a model speaks");

/// Whether a model speaks as a model in `text`.
pub(super) fn speaks_as_model(text: &str) -> bool {
    static EXACTLY: LazyLock<Regex> = LazyLock::new(|| A_MODEL_SPEAKS.pattern("{}"));
    static ROUGHLY: LazyLock<Option<Regex>> = LazyLock::new(|| without_edges(&EXACTLY));
    let text = if text.contains('’') { Cow::Owned(text.replace('’', "'")) } else { Cow::Borrowed(text) };
    let may_match = || ROUGHLY.as_ref().is_none_or(|pattern| pattern.is_match(&text));
    (text.is_ascii() || may_match()) && EXACTLY.is_match(&text)
}

/// A pattern that matches wherever `pattern` does, and takes one pass over any text. The edges of words take many where
/// letters are not ASCII.
fn without_edges(pattern: &Regex) -> Option<Regex> {
    Regex::new(&pattern.as_str().replace(r"\b", "")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_told_from_people_who_talk_about_them() {
        for text in [
            "As an AI, I can't eat soup.",
            "I’m just a language model, Bob.",
            "I cannot fulfill this request.",
            "I don't have personal opinions on soup.",
            "Als KI-Modell habe ich keine Meinung.",
            "Ich bin nur ein Sprachmodell.",
            "作为一个人工智能，我没有味觉。",
            "我只是一个语言模型。",
            "En tant qu'IA, je ne mange pas.",
            "Como modelo de lenguaje, no como sopa.",
            "Solo soy una inteligencia artificial.",
            "No tengo opiniones personales sobre la sopa.",
        ] {
            assert!(speaks_as_model(text), "{text}");
        }
        for text in [
            "We trained a language model on the parish records.",
            "She works as an aide, and as an AIDS nurse before that.",
            "I cannot help it, I hate soup.",
            "My instructions were clear: no soup.",
            "Als Kind habe ich Suppe gehasst.",
            "他们说语言模型可以写诗。",
            "Yo no soy un chatbot, soy tu tía.",
            "No puedo ayudarte con esa maleta.",
        ] {
            assert!(!speaks_as_model(text), "{text}");
        }
    }
}
