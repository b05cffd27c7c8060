//! Which names a reader, or a model that has to choose a speaker, could take for one another.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// A name without case and accents.
pub(super) fn folded(name: &str) -> String {
    let letters = name.nfd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase);
    letters.flat_map(plain).collect()
}

/// Letters that do not decompose but read like plain ones.
fn plain(c: char) -> impl Iterator<Item = char> {
    let plain = match c {
        'ı' => "i",
        'ł' => "l",
        'ø' => "o",
        'æ' => "ae",
        'œ' => "oe",
        'ß' => "ss",
        'đ' | 'ð' => "d",
        'þ' => "th",
        '’' => "'",
        _ => "",
    };
    plain.chars().chain(plain.is_empty().then_some(c))
}

/// The part of a name that people are called by: the first word.
pub(super) fn first(name: &str) -> &str {
    name.split_whitespace().next().unwrap_or_default()
}

/// Whether two names could be confused, by what people are called by: equal, one the start of the other (Ann, Anna), at most two
/// letters apart (Jon, John, Joan), or the same initial and half of the letters (Marcus, Martin). Names in Chinese characters:
/// one character in common.
///
/// Both are folded.
pub(super) fn confusable(one: &str, other: &str) -> bool {
    let (one, other) = (first(one), first(other));
    if is_han(one) || is_han(other) {
        return one.chars().any(|c| other.contains(c));
    }
    let apart = strsim::levenshtein(one, other);
    let longest = one.chars().count().max(other.chars().count());
    let initial = one.chars().next() == other.chars().next();
    apart <= 2 || one.starts_with(other) || other.starts_with(one) || initial && apart * 2 <= longest
}

/// Whether a name is in Chinese characters.
pub(super) fn is_han(name: &str) -> bool {
    name.chars().any(|c| matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn confusable(one: &str, other: &str) -> bool {
        super::confusable(&folded(one), &folded(other))
    }

    #[test]
    fn what_looks_alike_is_confusable() {
        for (one, other) in [
            ("Ann", "Anna"),
            ("Jon", "John Miller"),
            ("Katherine", "Catherine"),
            ("Marcus", "Martin"),
            ("Łukasz", "Lucas"),
            ("José", "JOSE"),
            ("Li", "Bo"),
            ("春梅", "雪梅"),
            ("Al", "Alexander"),
        ] {
            assert!(confusable(one, other) && confusable(other, one), "{one}, {other}");
        }
        for (one, other) in
            [("Grace", "Oliver"), ("Marcus", "Zoe"), ("Wei", "Lin"), ("春梅", "国强"), ("Ahmed", "Olga")]
        {
            assert!(!confusable(one, other) && !confusable(other, one), "{one}, {other}");
        }
    }
}
