//! Goodbyes: lines that end a conversation.
//!
//! Strict on purpose: thanks in passing, and goodbyes that are talked about, are part of ordinary talk. So a goodbye must
//! be a clause of its own at the end of a line, with a few words more at most.

use std::sync::LazyLock;

use regex::{Match, Regex};

use super::TALK;
use super::words::count;
use crate::lexicon::List;

/// Words that may follow or precede a goodbye within its clause: "see you all at eight then".
const FEW: usize = 4;
/// Longest line that is nothing but thanks, in words.
const THANKS_WORDS: usize = 6;

/// How people take their leave, in a clause in lower case.
static GOODBYES: List = TALK.list("goodbyes");
/// The same where words are not set apart: anywhere in the clause that ends the line.
static GOODBYES_ANYWHERE: List = TALK.list("goodbyes anywhere");
static THANKS: List = TALK.list("thanks");

/// Whether a line says goodbye, or is nothing but thanks.
pub(crate) fn is_closing(text: &str) -> bool {
    let lower = text.to_lowercase().replace('’', "'");
    let clauses = lower.split(['.', '!', '?', ',', ';', '—', '–', '…', '。', '！', '，', '？', '；', '~', '～']);
    let clauses: Vec<&str> = clauses.map(str::trim).filter(|clause| !clause.is_empty()).collect();
    let goodbye = clauses.iter().rev().take(2).any(|clause| is_goodbye(clause));
    goodbye || only_thanks(&lower)
}

fn is_goodbye(clause: &str) -> bool {
    static SPACED: LazyLock<Regex> = LazyLock::new(|| GOODBYES.pattern("{}"));
    static UNSPACED: LazyLock<Regex> = LazyLock::new(|| GOODBYES_ANYWHERE.pattern("^.{0,6}{}.{0,5}$"));
    let at_an_edge = |found: Match<'_>| {
        let (before, after) = (clause.get(..found.start()), clause.get(found.end()..));
        before.zip(after).is_some_and(|(before, after)| at_the_edge(before, after))
    };
    UNSPACED.is_match(clause) || SPACED.find_iter(clause).any(at_an_edge)
}

/// A goodbye stands at the beginning or the end of its clause, as whole words, and hardly anything with it.
fn at_the_edge(before: &str, after: &str) -> bool {
    let glued =
        before.ends_with(char::is_alphanumeric) || after.starts_with(|c: char| c.is_alphanumeric() || c == '\'');
    let (before, after) = (count(before), count(after));
    !glued && (before == 0 || after == 0) && before + after <= FEW
}

fn only_thanks(lower: &str) -> bool {
    let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
    let asks = lower.contains(['?', '？']);
    !asks && THANKS.start_of(bare).is_some() && count(bare) <= THANKS_WORDS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closings_are_told_from_ordinary_talk() {
        for closing in [
            "Bye!",
            "Alright, see you tomorrow.",
            "Take care, Ann!",
            "Thanks, everyone.",
            "Have a great day, Bob.",
            "Bye for now, all of you.",
            "I should get going.",
            "It was great talking with you all!",
            "Gute Nacht, Oma!",
            "Na dann, schönen Abend noch!",
            "Wir sehen uns am Montag.",
            "好吧，再见！",
            "那我先走了，大家保重。",
            "À demain, Paul.",
            "Adeus, Paulo!",
            "Na dann, ade!",
            "Bueno, hasta el lunes.",
            "Nos vemos mañana a las ocho.",
            "Cuídate mucho, Ann.",
            "Que tengas un buen viaje, Ann.",
            "Ya me voy.",
            "Ha sido un placer hablar con todos.",
            "Muchas gracias, Paul.",
        ] {
            assert!(is_closing(closing), "{closing:?}");
        }
        for open in [
            "Thanks, but how would that pay the rent?",
            "The byelaws forbid it.",
            "She never said goodbye to me, and I still think about it every day.",
            "Did you see your brother?",
            "Thank you for the soup, it needs a pinch of salt though.",
            "I see you have not changed since we worked in the mine.",
            "Who will take care of the dog while you two are away?",
            "Bis morgen muss das Dach dicht sein, sonst regnet es rein.",
            "他走的时候连再见都没有跟我们说一声。",
            "I have to go to the bank before it closes.",
            "Me tengo que ir al banco antes de que cierre.",
            "No le dije adiós a nadie en el entierro de mi tío.",
            "Hasta el jueves no vuelvo a cantar si no abrís esa ventana.",
            "Gracias por la sopa, aunque le falta una pizca de sal.",
        ] {
            assert!(!is_closing(open), "{open:?}");
        }
    }
}
