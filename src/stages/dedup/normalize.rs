//! What counts as the same text: normalisation, and the shingles that similarity is measured on.
//!
//! Case, punctuation, white space and Unicode spelling (NFC or NFD, full or half width, invisible marks) do not make a
//! text new. Letters, digits, combining marks and pictographs do.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use xxhash_rust::xxh3::xxh3_64;

/// Corpora whose median text has fewer words than this get word 3-grams.
const SHORT_TEXT_WORDS: usize = 50;
/// Words in a shingle of a corpus of short texts.
const SHORT_WORDS: usize = 3;
/// Words in a shingle otherwise.
const LONG_WORDS: usize = 5;
/// Characters in a shingle where words are not set apart by spaces.
const CHARS: usize = 5;

/// The pieces a text is cut into; the similarity of two texts is the Jaccard index of their sets of pieces.
///
/// There is one for a whole corpus: with a length chosen per text, two texts could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shingling {
    /// Runs of so many words.
    Words(usize),
    /// Runs of so many characters, spaces and punctuation left out.
    Chars(usize),
}

impl Shingling {
    /// Word 3-grams when the median text has fewer than 50 words, word 5-grams otherwise, and characters when most
    /// letters belong to scripts written without spaces.
    pub fn for_corpus<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let (mut unspaced, mut letters) = (0_usize, 0_usize);
        let mut lengths = Vec::new();
        for text in texts {
            let text = normalize(text);
            lengths.push(text.split(' ').count());
            letters += text.chars().filter(|c| *c != ' ').count();
            unspaced += text.chars().filter(|c| is_unspaced(*c)).count();
        }
        if unspaced * 2 > letters {
            return Self::Chars(CHARS);
        }
        lengths.sort_unstable();
        match lengths.get(lengths.len() / 2) {
            Some(median) if *median >= SHORT_TEXT_WORDS => Self::Words(LONG_WORDS),
            _ => Self::Words(SHORT_WORDS),
        }
    }

    /// For short texts that come one by one, before there is a corpus: by the BCP 47 tag of their language.
    pub fn for_language(language: &str) -> Self {
        let primary = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        match primary.as_str() {
            "zh" | "yue" | "ja" | "th" | "lo" | "km" | "my" | "bo" => Self::Chars(CHARS),
            _ => Self::Words(SHORT_WORDS),
        }
    }

    /// The sorted set of hashed shingles of a normalised text; empty when it is shorter than one shingle.
    pub(super) fn shingles(self, normalized: &str) -> Vec<u64> {
        let mut hashes = match self {
            Self::Words(n) => word_shingles(normalized, n),
            Self::Chars(n) => char_shingles(normalized, n),
        };
        hashes.sort_unstable();
        hashes.dedup();
        hashes
    }
}

/// The text as it is compared: NFKC, lower case, every run of punctuation and white space one space.
///
/// A text of nothing but punctuation is kept as it is, in NFKC: `?!` is not the same as `...`.
pub fn normalize(text: &str) -> String {
    let mut normal = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.nfkc().flat_map(char::to_lowercase) {
        match class(c) {
            Class::Invisible => {}
            Class::Gap => gap = !normal.is_empty(),
            Class::Word => {
                if std::mem::take(&mut gap) {
                    normal.push(' ');
                }
                normal.push(c);
            }
        }
    }
    if normal.is_empty() { text.nfkc().filter(|c| !c.is_whitespace()).collect() } else { normal }
}

enum Class {
    /// Part of a word.
    Word,
    /// Between words.
    Gap,
    /// Changes nothing that is read: joiners, direction marks, variation selectors, soft hyphens.
    Invisible,
}

fn class(c: char) -> Class {
    match c {
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => Class::Invisible,
        _ if c.is_alphanumeric() || is_combining_mark(c) || is_pictograph(c) => Class::Word,
        _ => Class::Gap,
    }
}

/// Arrows, symbols and emoji from U+2190 on carry meaning; the punctuation blocks among them do not.
fn is_pictograph(c: char) -> bool {
    c >= '\u{2190}' && !c.is_whitespace() && !matches!(c, '\u{2e00}'..='\u{2e7f}' | '\u{3000}'..='\u{30ff}')
}

/// Thai, Lao, Tibetan, Burmese, Khmer, Kana and Han.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

/// A run of words of a normalised text is a piece of it, since exactly one space stands between two words.
fn word_shingles(text: &str, n: usize) -> Vec<u64> {
    let starts: Vec<usize> = std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1)).collect();
    let ends = text.match_indices(' ').map(|(at, _)| at).chain([text.len()]).skip(n.saturating_sub(1));
    starts.iter().zip(ends).filter_map(|(start, end)| text.get(*start..end)).map(hash).collect()
}

fn char_shingles(text: &str, n: usize) -> Vec<u64> {
    let solid: String = text.chars().filter(|c| *c != ' ').collect();
    let starts = solid.char_indices().map(|(at, _)| at);
    let ends = solid.char_indices().map(|(at, c)| at + c.len_utf8()).skip(n.saturating_sub(1));
    starts.zip(ends).filter_map(|(start, end)| solid.get(start..end)).map(hash).collect()
}

fn hash(shingle: &str) -> u64 {
    xxh3_64(shingle.as_bytes())
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::*;

    #[test]
    fn what_does_not_make_a_text_new() {
        let plain = normalize("Café talk: “it is late”, she said.");
        assert_eq!(plain, "café talk it is late she said");
        assert_eq!(normalize("  CAFE\u{301} talk —\n\"it is\tlate\" she\u{200b} said!!"), plain);
        assert_eq!(normalize("ＡＢＣ１２"), "abc12");
        assert_eq!(normalize("नमस्ते दुनिया।"), "नमस्ते दुनिया");
    }

    #[test]
    fn what_does() {
        assert_ne!(normalize("👍"), normalize("👎"));
        assert_ne!(normalize("?!"), normalize("..."));
        assert_ne!(normalize("nothing 👍"), normalize("nothing"));
        assert_eq!(normalize(" \n"), "");
    }

    #[test]
    fn unicode_spelling_does_not_matter() {
        proptest::proptest!(|(text in "\\PC{0,60}")| {
            let composed: String = text.nfc().collect();
            let decomposed: String = text.nfd().collect();
            proptest::prop_assert_eq!(normalize(&composed), normalize(&decomposed));
            let normal = normalize(&text);
            proptest::prop_assert!(!normal.contains("  ") && normal.trim() == normal);
        });
    }

    #[test]
    fn shingles_are_windows() {
        let of = |text: &str| {
            let mut hashes: Vec<u64> = text.split('|').map(hash).collect();
            hashes.sort_unstable();
            hashes
        };
        assert_eq!(Shingling::Words(3).shingles("a b c d"), of("a b c|b c d"));
        assert_eq!(Shingling::Words(3).shingles("a b a b a b"), of("a b a|b a b"));
        assert_eq!(Shingling::Chars(2).shingles("ä bc"), of("äb|bc"));
        assert!(Shingling::Words(3).shingles("a b").is_empty());
        assert!(Shingling::Chars(5).shingles("").is_empty());
    }

    #[test]
    fn one_length_for_a_corpus() {
        let long = "word ".repeat(60);
        let short = "word ".repeat(10);
        assert_eq!(Shingling::for_corpus([long.as_str(), &long, &short]), Shingling::Words(5));
        assert_eq!(Shingling::for_corpus([short.as_str(), &long, &short]), Shingling::Words(3));
        assert_eq!(Shingling::for_corpus(["今天天气很好 OK", "ok"]), Shingling::Chars(5));
        assert_eq!(Shingling::for_corpus([]), Shingling::Words(3));
        assert_eq!(Shingling::for_language("zh-Hant"), Shingling::Chars(5));
        assert_eq!(Shingling::for_language("en-GB"), Shingling::Words(3));
    }
}
