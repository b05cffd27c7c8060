//! Private knowledge in a mouth that cannot have it.
//!
//! What one person alone knows stands in that person's prompt only. If another says it before its owner did, the model
//! has mixed people up, or the prompt has leaked. A secret is recognised by what is in it and in nothing this speaker could
//! know: neither public text, nor their own part, nor what has been said. One such word is a coincidence, several are not.

use std::collections::BTreeSet;

use super::{is_unspaced, words};
use crate::lexicon::{Lexicon, List};

/// Unknown words of a secret that give it away together.
const TELLING_WORDS: usize = 3;
/// Fewer are enough where they are at least half of its unknown words.
const LEAST_WORDS: usize = 2;
/// Characters in a row that give a secret away in scripts without spaces.
const TELLING_RUN: usize = 6;
/// Shortest word that can tell anything.
const SHORTEST: usize = 4;
/// Digits of a number that nobody guesses.
const UNGUESSED_DIGITS: usize = 4;

static TALK: Lexicon = Lexicon::folder("talk");
/// Words that say little by themselves, so that they give nothing away.
static COMMON: List = TALK.list("common words");

/// Whether `said` tells one of `secrets`. `known` is everything its speaker can know.
pub(super) fn tells(said: &str, secrets: &[&str], known: &[&str]) -> bool {
    if secrets.is_empty() {
        return false;
    }
    let known_words: BTreeSet<String> = known.iter().flat_map(|text| words(text)).map(|word| stem(&word)).collect();
    let said_words: BTreeSet<String> = words(said).iter().map(|word| stem(word)).collect();
    secrets.iter().any(|secret| {
        let spoken = words(secret);
        if spoken.iter().filter(|word| is_unspaced(word)).count() * 2 > spoken.len() {
            return shares_unknown_run(said, &spoken, known);
        }
        let unknown: BTreeSet<String> = spoken.iter().filter(|word| is_telling(word)).map(|word| stem(word)).collect();
        let unknown: BTreeSet<&String> = unknown.iter().filter(|word| !known_words.contains(*word)).collect();
        let told = unknown.iter().filter(|word| said_words.contains(**word));
        let (count, numbers) =
            told.fold((0, 0), |(count, numbers), word| (count + 1, numbers + usize::from(is_number(word))));
        count >= TELLING_WORDS || (count >= LEAST_WORDS && count * 2 >= unknown.len()) || numbers > 0
    })
}

fn is_telling(word: &str) -> bool {
    (word.chars().count() >= SHORTEST && !COMMON.has(word)) || is_number(word)
}

/// A number of several digits that is no year.
fn is_number(word: &str) -> bool {
    let is_year = word.len() == 4 && (word.starts_with("19") || word.starts_with("20"));
    word.chars().filter(char::is_ascii_digit).count() >= UNGUESSED_DIGITS && !is_year
}

/// A word without the endings that change most in the languages written with spaces.
fn stem(word: &str) -> String {
    let word = word.strip_suffix("'s").unwrap_or(word);
    let ending = ["en", "es", "n", "s", "e"].into_iter().find(|ending| word.ends_with(ending));
    let stem = ending.and_then(|ending| word.strip_suffix(ending)).filter(|stem| stem.chars().count() >= SHORTEST);
    stem.unwrap_or(word).to_owned()
}

/// Whether `said` holds a run of characters of the secret that stands in nothing known.
fn shares_unknown_run(said: &str, secret: &[String], known: &[&str]) -> bool {
    let said = words(said);
    let known: Vec<Vec<String>> = known.iter().map(|text| words(text)).collect();
    let holds = |text: &[String], run: &[String]| text.windows(run.len()).any(|window| window == run);
    let mut runs = secret.windows(TELLING_RUN);
    runs.any(|run| holds(&said, run) && !known.iter().any(|text| holds(text, run)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "She lent the spare key to Desmond in June and has never got it back.";
    const PUBLIC: &[&str] = &["The key to the shed is missing, and Desmond waters his chillies at night."];

    #[test]
    fn a_secret_is_told_by_several_of_its_words() {
        for said in ["Did you not lend Desmond the spare one in June?", "The spare key was lent out in June, I hear."] {
            assert!(tells(said, &[SECRET], PUBLIC), "{said}");
        }
        for said in ["Who has the key, Desmond?", "I have no spare time in summer.", "Desmond never waters at night."] {
            assert!(!tells(said, &[SECRET], PUBLIC), "{said}");
        }
        let revealed = [PUBLIC, &["Fine: I lent Desmond the spare key in June."]].concat();
        assert!(!tells("So you lent him the spare key in June!", &[SECRET], &revealed));
        assert!(tells("Try 4711 on the lock.", &["The code is 4711."], PUBLIC));
    }

    #[test]
    fn words_that_everyone_uses_tell_nothing_in_any_language_that_lists_them() {
        let secret = ["Nunca dicen nada todavía de la herencia de Desmond."];
        assert!(!tells("Todavía no sé nada, nunca dicen cuándo.", &secret, PUBLIC));
        assert!(tells("Nunca hablan de la herencia de Desmond.", &secret, &["Nadie sabe nada."]));
    }

    #[test]
    fn a_secret_without_spaces_is_told_by_a_run() {
        let secret = ["她把备用钥匙借给了王伟，到现在还没拿回来。"];
        assert!(tells("听说备用钥匙借给了王伟？", &secret, &["钥匙不见了。"]));
        assert!(!tells("王伟，钥匙在哪儿？", &secret, &["钥匙不见了。"]));
        assert!(!tells("原来备用钥匙借给了王伟！", &secret, &["好吧，备用钥匙借给了王伟。"]));
    }
}
