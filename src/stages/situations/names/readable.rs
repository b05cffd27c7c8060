//! What passes for a name: letters that can stand in front of a colon, no role and no placeholder.

use super::lists;
use super::similar::first;
use crate::lexicon::{Lexicon, List};

/// Longest name, in characters.
const MAX_CHARS: usize = 40;

pub(super) static NAMES: Lexicon = Lexicon::file("people/names.txt");
static NO_NAMES: List = NAMES.list("no names");
static TITLES: List = NAMES.list("titles");
static PARTICLES: List = NAMES.list("particles");

pub(super) fn is_title(word: &str) -> bool {
    TITLES.has(&word.trim_end_matches('.').to_lowercase())
}

pub(super) fn is_role(word: &str) -> bool {
    NO_NAMES.has(&word.to_lowercase())
}

/// A proposed name without title, quotes and doubled spaces, if it is one.
pub(super) fn tidied(proposed: &str) -> Option<String> {
    let bare = proposed.trim().trim_matches(|c: char| matches!(c, '"' | '“' | '”' | '*' | '`'));
    if bare.chars().any(char::is_control) {
        return None;
    }
    let words: Vec<&str> = bare.split_whitespace().skip_while(|word| is_title(word)).collect();
    let name = words.join(" ");
    is_name(&name).then_some(name)
}

/// Whether this can be someone's name: at most 40 letters, spaces, hyphens and apostrophes, in up to four words that are
/// written like names, and neither a role (`The Baker`) nor a placeholder (`Person A`).
pub(super) fn is_name(name: &str) -> bool {
    let words: Vec<&str> = name.split(' ').collect();
    let (Some(start), Some(end)) = (words.first(), words.last()) else { return false };
    let roles = is_role(start) || is_role(end) && lists::bearer(start).is_none();
    let lone = end.chars().count() == 1 && !super::similar::is_han(end);
    name.chars().count() <= MAX_CHARS
        && words.len() <= 4
        && !roles
        && !lone
        && words.iter().all(|word| is_word(word, start))
}

fn is_word(word: &str, start: &str) -> bool {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let shouted = letters > 2 && word.chars().filter(|c| c.is_alphabetic()).all(char::is_uppercase);
    let capital = word.chars().next().is_some_and(|c| c.is_alphabetic() && !c.is_lowercase());
    let particle = word != start && PARTICLES.has(&word.to_lowercase());
    let joined = word.ends_with(['-', '\'', '’']) || word.contains("--");
    let plain = |c: char| c.is_alphabetic() || matches!(c, '-' | '\'' | '’') || is_mark(c);
    word.chars().all(plain) && letters > 0 && !shouted && !joined && (capital || particle)
}

/// Marks that complete a letter, as in Devanagari or in decomposed text.
fn is_mark(c: char) -> bool {
    unicode_normalization::char::is_combining_mark(c)
}

/// The first word of a name, if it stands in a list.
pub(super) fn bearer(name: &str) -> Option<(&'static lists::Region, lists::Gender)> {
    lists::bearer(first(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_roles_and_placeholders() {
        for name in [
            "Maria",
            "Ana Lopez",
            "Jean-Luc",
            "Fatima al Zahra",
            "Siobhán O'Neill",
            "Tom Baker",
            "王晓芳",
            "Ольга",
            "Zümra",
        ] {
            assert_eq!(tidied(name).as_deref(), Some(name));
        }
        assert_eq!(tidied("\"Dr. Ahmed  Hassan\"").as_deref(), Some("Ahmed Hassan"));
        for text in [
            "",
            " ",
            "Person A",
            "Speaker 1",
            "The Baker",
            "Concerned Parent",
            "maria",
            "MARIA",
            "Ann (nurse)",
            "Ann: hi",
            "A",
            "../../x",
            "Student B",
            "user_17",
            "One Two Three Four Five",
            "Dr.",
            "O'",
            "Ann\nBob",
            "Ann\u{202e}",
            "<b>Ann</b>",
        ] {
            assert_eq!(tidied(text), None, "{text}");
        }
        assert_eq!(tidied(&"Ab".repeat(30)), None);
    }
}
