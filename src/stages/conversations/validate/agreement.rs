//! Lines that only agree, thank or flatter.
//!
//! One is polite; several in a row are how chats of models end up (arXiv 2603.17094; autogen#254, eight of the last ten
//! turns). A line is one if next to nothing is left of it without words of agreement, of praise and of grammar. Lines in
//! languages whose lexicon has no such words are not judged.

use crate::lexicon::{Lexicon, List};

/// Share of words, at most, that may be about something.
const CONTENT: f64 = 0.12;

/// What agrees, thanks or praises. A line needs one of these.
static AGREES: Lexicon = Lexicon::by_language("talk", "agrees");
/// What carries it.
static CARRIES: Lexicon = Lexicon::by_language("talk", "carries");
/// What objects, asks or turns; a line with one of these says something.
static TURNS: Lexicon = Lexicon::by_language("talk", "turns");
/// Turns of phrase that look like an objection and are none.
static IDIOMS: Lexicon = Lexicon::by_language("talk", "idioms");

/// Whether `text` only agrees, thanks or flatters. `names` are the people's, which say nothing either.
pub(super) fn only_agrees(text: &str, language: &str, names: &[&str]) -> bool {
    let tag = language.split('-').next().unwrap_or_default();
    let lists = [&AGREES, &CARRIES, &TURNS].map(|lexicon| lexicon.find(tag));
    let [Some(agrees), Some(carries), Some(turns)] = &lists else { return false };
    let lists = [agrees, carries, turns];
    match tag {
        _ if text.contains(['?', '？']) => false,
        "zh" => only_agrees_unspaced(text, lists, names),
        _ => only_agrees_in_words(text, lists, IDIOMS.find(tag).as_ref(), names),
    }
}

fn only_agrees_in_words(text: &str, lists: [&List; 3], idioms: Option<&List>, names: &[&str]) -> bool {
    let [agrees, carries, turns] = lists;
    let mut lower = text.to_lowercase().replace('’', "'");
    let mut assents = false;
    for idiom in idioms.into_iter().flat_map(List::texts) {
        assents |= lower.contains(idiom);
        lower = lower.replace(idiom, " ");
    }
    let words = super::words(&lower);
    let is_name = |word: &str| names.iter().any(|name| name.to_lowercase().split_whitespace().any(|part| part == word));
    assents |= words.iter().any(|word| agrees.has(word));
    let content = words.iter().filter(|word| !agrees.has(word) && !carries.has(word) && !is_name(word));
    assents && !words.iter().any(|word| turns.has(word)) && content.count() as f64 <= words.len() as f64 * CONTENT
}

fn only_agrees_unspaced(text: &str, lists: [&List; 3], names: &[&str]) -> bool {
    let [agrees, carries, turns] = lists;
    if turns.is_in(text) || !agrees.is_in(text) {
        return false;
    }
    let length = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count() as f64;
    let unnamed = names.iter().fold(text.to_owned(), |rest, name| rest.replace(name, " "));
    let rest = carries.texts().fold(unnamed, |rest, part| rest.replace(part, " "));
    length(&rest) <= length(text) * CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert!(only_agrees(text, language, &["Ann", "王伟"]), "{text}");
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
            assert!(!only_agrees(text, language, &["Ann", "王伟"]), "{text}");
        }
    }
}
