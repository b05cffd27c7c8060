//! The name a description already carries: `a nurse named Maria Lopez`, `Dr. Ahmed Hassan, a surgeon`, `Charlie is a writer`.
//!
//! Only names of the person count, not those of whom they admire: `named` must stand in the first phrase, a name at the start
//! must be followed by what its bearer is.

use super::lists;
use super::readable::{NAMES, is_name, is_role, is_title};
use crate::lexicon::List;

static OTHERS: List = NAMES.list("others");
static DOING: List = NAMES.list("doing");
static NAMED: List = NAMES.list("named");
static NAMED_IN_CHINESE: List = NAMES.list("named in chinese");
static EPITHETS: List = NAMES.list("epithets");
/// Most words of a name.
const MAX_WORDS: usize = 4;

pub(super) fn of_text(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().take(40).collect();
    titled(&words)
        .or_else(|| introduced(&words))
        .or_else(|| named(&words))
        .or_else(|| at_start(&words))
        .or_else(|| in_chinese(text))
}

/// The run of capitalised words from `start`, and where it ends. A comma or another stop ends it after its word.
fn run(words: &[&str], start: usize) -> (String, usize) {
    let mut name: Vec<String> = Vec::new();
    for (index, raw) in words.iter().enumerate().skip(start).take(MAX_WORDS) {
        let initial = raw.len() == 2 && raw.ends_with('.') && raw.starts_with(char::is_uppercase);
        let word = raw.trim_end_matches([',', ';', ':', '!', ')']).trim_end_matches("'s");
        let ends = !initial && (*raw != word || raw.ends_with('.'));
        let word = word.trim_end_matches('.');
        if !word.starts_with(char::is_uppercase) {
            return (name.join(" "), index);
        }
        name.push(word.to_owned());
        if ends {
            return (name.join(" "), index + 1);
        }
    }
    let end = (start + name.len()).min(words.len());
    (name.join(" "), end)
}

fn sound(name: String) -> Option<String> {
    is_name(&name).then_some(name)
}

/// `Dr. Ahmed Hassan, ...`, `Professor David Hulme, ...`.
fn titled(words: &[&str]) -> Option<String> {
    let start = words.iter().take_while(|word| is_title(word)).count();
    let (name, _) = run(words, start);
    if start == 0 { None } else { sound(name) }
}

/// `My name is Maria`, `I am Ahmed, a ...`.
fn introduced(words: &[&str]) -> Option<String> {
    let lower: Vec<String> = words.iter().take(3).map(|word| word.to_lowercase()).collect();
    let starts =
        |phrase: &[&str]| phrase.iter().zip(&lower).filter(|(one, other)| one == other).count() == phrase.len();
    let at = match () {
        () if starts(&["my", "name", "is"]) => 3,
        () if starts(&["i", "am"]) => 2,
        () if starts(&["i'm"]) || starts(&["i’m"]) => 1,
        () => return None,
    };
    let (name, _) = run(words, at);
    sound(name).filter(|name| at == 3 || lists::bearer(super::similar::first(name)).is_some())
}

/// `a nurse named Maria Lopez who ...`.
fn named(words: &[&str]) -> Option<String> {
    let mut before = words.iter().take_while(|word| !OTHERS.has(&word.to_lowercase()));
    let at = before.position(|word| NAMED.has(&word.to_lowercase()))?;
    sound(run(words, at + 1).0)
}

/// `Maria, a nurse`, `Laura Sonn, a former teacher`, `Charlie is a young writer`.
fn at_start(words: &[&str]) -> Option<String> {
    let start = usize::from(words.first().is_some_and(|word| is_epithet(word)));
    let (name, end) = run(words, start);
    let comma = words.get(end.checked_sub(1)?).is_some_and(|word| word.ends_with(','));
    let next = |index: usize| words.get(end + index).map_or(String::new(), |word| word.to_lowercase());
    let article = |word: &str| matches!(word, "a" | "an" | "the");
    let aged = next(0).starts_with(|c: char| c.is_ascii_digit());
    let described =
        comma && (article(&next(0)) || aged && lists::bearer(&name).is_some()) || next(0) == "is" && article(&next(1));
    let known = lists::bearer(super::similar::first(&name)).is_some();
    // A comma after a known name is enough: `Yakov Plyassunov, Russian nutritionist`.
    let told = described || comma && known && name.contains(' ');
    let plain = |word: &str| is_role(word) || DOING.has(word);
    let unlike = known || !name.split(' ').any(|word| plain(&word.to_lowercase()));
    if told && unlike { sound(name) } else { None }
}

/// `Old`, with a capital.
fn is_epithet(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(char::is_uppercase)
        && !letters.any(char::is_uppercase)
        && EPITHETS.has(&word.to_lowercase())
}

/// `一个名叫李明的学生`, `我叫王芳，...`.
fn in_chinese(text: &str) -> Option<String> {
    let after = NAMED_IN_CHINESE.texts().find_map(|sign| text.split_once(sign)).map(|(_, after)| after)?;
    let name: String = after.chars().take_while(|c| super::similar::is_han(&c.to_string()) && *c != '的').collect();
    let short = (2..=4).contains(&name.chars().count());
    if short { sound(name) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_there_is_found() {
        for (text, name) in [
            ("A nurse named Maria Lopez who works nights", "Maria Lopez"),
            ("A friendly baker called Kwame.", "Kwame"),
            ("Dr. Ahmed Hassan, a heart surgeon", "Ahmed Hassan"),
            ("Professor David Hulme, Executive Director of GDI", "David Hulme"),
            ("Ali, a 22-year-old university student", "Ali"),
            ("Dorte, an independent Danish historian", "Dorte"),
            ("Massimiliano Bartoli, a chef and restauranteur", "Massimiliano Bartoli"),
            ("Charlie is a young aspiring writer", "Charlie"),
            ("Tanja Mehlstäubler, a German physicist", "Tanja Mehlstäubler"),
            ("My name is Zümra and I teach", "Zümra"),
            ("I am Ahmed, a taxi driver", "Ahmed"),
            ("一个名叫李明的学生", "李明"),
        ] {
            assert_eq!(of_text(text).as_deref(), Some(name), "{text}");
        }
    }

    #[test]
    fn names_of_others_are_not_taken() {
        for text in [
            "A fan of a footballer named Aaron Johnson",
            "A dog owner with a poodle named Max",
            "a mother from Turkey who named her daughter Zümra",
            "A bookkeeper who is called Mr. Numbers",
            "Gamer, a lover of retro consoles",
            "Retired, a grandfather of six",
            "Professor emeritus of physics",
            "Physics student from Madagascar",
            "I am Italian and proud",
            "GZA from Wu-Tang Clan",
            "Belgium's Chief Public Health Officer",
            "",
        ] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }
}
