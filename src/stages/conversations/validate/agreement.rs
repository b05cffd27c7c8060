//! Lines that only agree, thank or flatter.
//!
//! One is polite; several in a row are how chats of models end up (arXiv 2603.17094; autogen#254, eight of the last ten
//! turns). A line is one if next to nothing is left of it without words of agreement, of praise and of grammar. Lines in
//! languages whose lexicon has no such words are not judged.

use super::words::SpokenWords;
use crate::lexicon::{Lexicon, List, is_unspaced};

/// Share of words, at most, that may be about something.
const CONTENT: f64 = 0.12;

static AGREES: Lexicon = Lexicon::by_language("talk", "agrees");
static CARRIES: Lexicon = Lexicon::by_language("talk", "carries");
static TURNS: Lexicon = Lexicon::by_language("talk", "turns");
static IDIOMS: Lexicon = Lexicon::by_language("talk", "idioms");

/// What tells agreement in one language.
#[derive(Debug)]
pub(super) struct Agreement {
    /// What agrees, thanks or praises. A line needs one of these.
    agrees: List,
    /// What carries it.
    carries: List,
    /// What objects, asks or turns; a line with one of these says something.
    turns: List,
    /// Turns of phrase that look like an objection and are none.
    idioms: Option<List>,
}

impl Agreement {
    /// For the language of a BCP 47 tag; nothing where it is not judged.
    pub(super) fn of_language(tag: &str) -> Option<Self> {
        let tag = tag.split('-').next().unwrap_or_default();
        let [agrees, carries, turns, idioms] = [&AGREES, &CARRIES, &TURNS, &IDIOMS].map(|lexicon| lexicon.find(tag));
        Some(Self { agrees: agrees?, carries: carries?, turns: turns?, idioms })
    }

    /// Whether `text`, which has these `words`, only agrees, thanks or flatters. `names` are the people's, which say nothing
    /// either.
    pub(super) fn is_all_of(&self, text: &str, words: &SpokenWords, names: &[&str]) -> bool {
        if text.contains(['?', '？']) {
            return false;
        }
        let unspaced = self.agrees.texts().all(|entry| entry.chars().all(is_unspaced));
        if unspaced { self.is_all_of_unspaced(text, names) } else { self.is_all_of_spaced(text, words, names) }
    }

    fn is_all_of_spaced(&self, text: &str, words: &SpokenWords, names: &[&str]) -> bool {
        let mut lower = text.to_lowercase().replace('’', "'");
        let mut agrees = false;
        for idiom in self.idioms.iter().flat_map(List::texts) {
            if lower.contains(idiom) {
                agrees = true;
                lower = lower.replace(idiom, " ");
            }
        }
        if !agrees && text.is_ascii() {
            return self.is_most_of(words, agrees, names);
        }
        self.is_most_of(&SpokenWords::of(&lower), agrees, names)
    }

    /// Whether next to nothing in `words` is about something, and something `agrees`.
    fn is_most_of(&self, words: &SpokenWords, agrees: bool, names: &[&str]) -> bool {
        if words.iter().any(|word| self.turns.has(word)) || !(agrees || words.iter().any(|word| self.agrees.has(word)))
        {
            return false;
        }
        let is_name =
            |word: &str| names.iter().any(|name| name.to_lowercase().split_whitespace().any(|part| part == word));
        let says_nothing = |word: &str| self.agrees.has(word) || self.carries.has(word) || is_name(word);
        let content = words.iter().filter(|word| !says_nothing(word));
        content.count() as f64 <= words.len() as f64 * CONTENT
    }

    fn is_all_of_unspaced(&self, text: &str, names: &[&str]) -> bool {
        if self.turns.is_in(text) || !self.agrees.is_in(text) {
            return false;
        }
        let length = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count() as f64;
        let unnamed = names.iter().fold(text.to_owned(), |rest, name| rest.replace(name, " "));
        let rest = self.carries.texts().fold(unnamed, |rest, part| rest.replace(part, " "));
        length(&rest) <= length(text) * CONTENT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only_agrees(text: &str, language: &str) -> bool {
        let agreement = Agreement::of_language(language);
        agreement.is_some_and(|agreement| agreement.is_all_of(text, &SpokenWords::of(text), &["Ann", "王伟"]))
    }

    #[test]
    fn agreement_is_told_from_what_says_something() {
        for (language, text) in [
            ("en", "Absolutely, Ann, I couldn't agree more."),
            ("en", "Thank you so much for sharing that, it's such a wonderful idea!"),
            ("en", "Yeah, exactly."),
            ("de", "Genau, das sehe ich auch so, Ann."),
            ("de", "Vielen Dank, das ist eine wunderbare Idee!"),
            ("es", "¡Totalmente de acuerdo, Ann!"),
            ("es", "Sí, claro, tienes toda la razón."),
            ("es", "Muchísimas gracias por compartirlo, me parece una idea maravillosa."),
            ("es", "No podría estar más de acuerdo contigo."),
            ("es-MX", "Sin duda, es un plan estupendo."),
            ("zh", "说得太好了，我完全同意王伟的看法。"),
            ("zh", "是的，没错，谢谢大家的分享！"),
        ] {
            assert!(only_agrees(text, language), "{text}");
        }
        for (language, text) in [
            ("en", "Yes, at eight, behind the church."),
            ("en", "Good, but who pays?"),
            ("en", "Sure, if the bus runs on Sundays."),
            ("en", "The roof leaks."),
            ("de", "Ja, aber das Dach ist undicht."),
            ("de", "Gut, dann hole ich die Leiter aus dem Keller."),
            ("es", "Sí, a las ocho, detrás de la iglesia."),
            ("es", "De acuerdo, pero que pague Ann."),
            ("es", "¿De acuerdo?"),
            ("es", "Vale, entonces traigo la escalera del sótano."),
            ("es", "Claro, si el autobús pasa los domingos."),
            ("zh", "好的，那我明天早上去车站接他。"),
            ("zh", "同意，不过钱从哪儿来？"),
            ("fr", "Oui, tout à fait."),
        ] {
            assert!(!only_agrees(text, language), "{text}");
        }
    }
}
