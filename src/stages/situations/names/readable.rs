//! What passes for a name: letters that can stand in front of a colon, no role and no placeholder.

use super::lists;
use super::similar::first;

/// Longest name, in characters.
const MAX_CHARS: usize = 40;

/// Words that call someone by what they are; models put them where a name belongs.
const ROLES: &str = "a an the this that my our your his her another one person people speaker participant user agent assistant \
    character persona narrator moderator host guest individual member name unnamed unknown anonymous none null someone anyone \
    friend neighbor neighbour colleague coworker customer client patient student pupil teacher professor doctor nurse lawyer \
    judge officer manager director boss employee worker owner parent mother father mom dad mum son daughter sister brother \
    aunt uncle cousin grandmother grandfather grandma grandpa wife husband man woman boy girl child kid teen teenager lady \
    gentleman guy human bot ai model system player fan coach chef writer author artist musician engineer scientist researcher \
    developer expert volunteer resident citizen local retired young old elderly senior junior former new group team voice \
    emeritus aspiring world i you he she they we it mr mrs ms miss dr prof sir madam captain chief";

/// What may stand before a name and is not part of it.
const TITLES: &str = "dr prof professor mr mrs ms miss sir dame father sister rabbi imam judge senator captain sergeant colonel \
    reverend pastor coach chef officer detective";

/// Small words inside names.
const PARTICLES: &str = "de da do dos das del della di van von der den ten ter la le al el bin ibn ben bint y e zu";

pub(super) fn listed(list: &str, word: &str) -> bool {
    let word = word.to_lowercase();
    list.split_whitespace().any(|known| known == word)
}

pub(super) fn is_title(word: &str) -> bool {
    listed(TITLES, word.trim_end_matches('.'))
}

pub(super) fn is_role(word: &str) -> bool {
    listed(ROLES, word)
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
    let particle = word != start && listed(PARTICLES, word);
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
