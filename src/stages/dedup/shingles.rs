//! The pieces that similarity is measured on.
//!
//! How long a piece is follows from the language and the configured length alone, never from the texts themselves: it must
//! be known before the first text, and must not change with the last.
//!
//! | texts | pieces |
//! | --- | --- |
//! | in a language written without spaces between words | 5 characters |
//! | situations | 3 words |
//! | conversations expected to have fewer than 50 words | 3 words |
//! | other conversations | 5 words |
//!
//! The words to expect of a conversation are the middle of the fewest and the most turns times the median of the target for a
//! turn, 20 where the model decides. Where nothing is configured, as for a file of whatever origin, a bounded look at the
//! first texts stands in for language and length ([`Shingling::for_sample`]).

use std::fmt;

use xxhash_rust::xxh3::xxh3_64;

use super::normalize::normalize;
use crate::config::{TurnRange, WordsPerTurn};

/// Texts expected to have fewer words than this are cut into word 3-grams.
const SHORT_TEXT_WORDS: f64 = 50.0;
/// Words in a shingle of short texts.
const SHORT_WORDS: usize = 3;
/// Words in a shingle otherwise.
const LONG_WORDS: usize = 5;
/// Characters in a shingle where words are not set apart by spaces.
const CHARS: usize = 5;
/// Words of a turn whose length the model decides.
const FREE_TURN_WORDS: f64 = 20.0;
/// Bytes in which spaces are looked for together.
const STEP: usize = 32;
/// Bytes of a word that are hashed at once.
const WORD_BYTES: usize = 16;
/// The constants of splitmix64. With others the same texts find other candidates, so they never change.
const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xbf58_476d_1ce4_e5b9];
/// Texts that are looked at where nothing is configured.
pub(crate) const SAMPLE: usize = 1_000;

/// The pieces a text is cut into; the similarity of two texts is the Jaccard index of their sets of pieces.
///
/// There is one for a whole corpus: with a length chosen per text, two texts could not be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shingling {
    /// Runs of so many words.
    Words(usize),
    /// Runs of so many characters, spaces and punctuation left out.
    Chars(usize),
}

impl Shingling {
    /// For situations in the language with this BCP 47 tag.
    pub(crate) fn for_situations(language: &str) -> Self {
        Self::for_length(language, 0.0)
    }

    /// For conversations in a language, of so many turns, with so many words each.
    pub(crate) fn for_conversations(language: &str, turns: TurnRange, words_per_turn: Option<WordsPerTurn>) -> Self {
        let mean = f64::midpoint(f64::from(turns.min), f64::from(turns.max));
        Self::for_length(language, mean * words_per_turn.map_or(FREE_TURN_WORDS, |words| words.median))
    }

    fn for_length(language: &str, words: f64) -> Self {
        let primary = language.split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        match primary.as_str() {
            "zh" | "yue" | "ja" | "th" | "lo" | "km" | "my" | "bo" => Self::Chars(CHARS),
            _ if words < SHORT_TEXT_WORDS => Self::Words(SHORT_WORDS),
            _ => Self::Words(LONG_WORDS),
        }
    }

    /// For texts of which nothing is known: characters when most letters of the first 1,000 belong to scripts written
    /// without spaces, else words by their median length. No more than those are taken.
    pub(crate) fn for_sample<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut sample = ShinglingSample::default();
        texts.into_iter().take(SAMPLE).for_each(|text| sample.add(text));
        sample.shingling()
    }

    /// The hashed shingles of a normalised text, as they come; none when it is shorter than one.
    pub(super) fn pieces(self, normalized: &str) -> Vec<u64> {
        match self {
            Self::Words(n) => word_shingles(normalized, n),
            Self::Chars(n) => char_shingles(normalized, n),
        }
    }

    /// The sorted set of hashed shingles of a normalised text.
    pub(super) fn shingles(self, normalized: &str) -> Vec<u64> {
        as_set(self.pieces(normalized))
    }
}

/// What is counted of texts to choose their shingles by. The order in which they are added does not matter.
#[derive(Debug, Default)]
pub(crate) struct ShinglingSample {
    texts: u64,
    short: u64,
    letters: usize,
    unspaced: usize,
}

impl ShinglingSample {
    /// Counts a text.
    pub(crate) fn add(&mut self, text: &str) {
        let text = normalize(text);
        self.texts += 1;
        self.short += u64::from((text.split(' ').count() as f64) < SHORT_TEXT_WORDS);
        self.letters += text.chars().filter(|c| *c != ' ').count();
        self.unspaced += text.chars().filter(|c| is_unspaced(*c)).count();
    }

    /// The shingles for texts like these.
    pub(crate) fn shingling(&self) -> Shingling {
        // The median is short if the texts up to the middle are.
        let median = if self.texts == 0 || self.short > self.texts / 2 { 0.0 } else { SHORT_TEXT_WORDS };
        Shingling::for_length(if self.unspaced * 2 > self.letters { "zh" } else { "" }, median)
    }
}

impl fmt::Display for Shingling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Words(n) => write!(f, "{n}-words"),
            Self::Chars(n) => write!(f, "{n}-characters"),
        }
    }
}

/// Sorted, every one once.
pub(super) fn as_set(mut pieces: Vec<u64>) -> Vec<u64> {
    pieces.sort_unstable();
    pieces.dedup();
    pieces
}

/// Thai, Lao, Tibetan, Burmese, Khmer, Kana and Han.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{0e00}'..='\u{0fff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}')
}

/// Each word is hashed once, each run of words from the hashes of its words.
fn word_shingles(text: &str, n: usize) -> Vec<u64> {
    let words = word_hashes(text.as_bytes());
    match n {
        // What nearly every corpus takes: with a length that is known, the loop over a run is unrolled.
        SHORT_WORDS => runs::<SHORT_WORDS>(&words),
        LONG_WORDS => runs::<LONG_WORDS>(&words),
        _ => words.windows(n.max(1)).map(run_hash).collect(),
    }
}

fn runs<const N: usize>(words: &[u64]) -> Vec<u64> {
    words.windows(N).map(|run| run_hash(run.first_chunk::<N>().unwrap_or(&[0; N]))).collect()
}

/// The hashes of the words between spaces.
fn word_hashes(text: &[u8]) -> Vec<u64> {
    // A word and its space have six bytes or so.
    let (mut words, mut start) = (Vec::with_capacity(text.len() / 5 + 1), 0);
    let mut end_at = |end: usize| {
        words.push(word_hash(text.get(start..).unwrap_or_default(), end - start));
        start = end + 1;
    };
    let (steps, rest) = text.as_chunks::<STEP>();
    for (step, at) in steps.iter().zip((0..).step_by(STEP)) {
        // Of many bytes at once, which processors have instructions for: a bit for each space.
        let mut spaces = step.iter().zip(0..).fold(0_u32, |bits, (byte, at)| bits | u32::from(*byte == b' ') << at);
        while spaces != 0 {
            end_at(at + spaces.trailing_zeros() as usize);
            spaces &= spaces - 1;
        }
    }
    let behind = text.len() - rest.len();
    rest.iter().zip(behind..).filter(|(byte, _)| **byte == b' ').for_each(|(_, at)| end_at(at));
    end_at(text.len());
    words
}

/// Hashes the first `length` bytes: up to 16 by one multiplication whose halves are folded, as in wyhash, without a branch on
/// their number, which differs from word to word; more by xxh3-64.
fn word_hash(bytes: &[u8], length: usize) -> u64 {
    let Some(unused) = WORD_BYTES.checked_sub(length).filter(|unused| *unused < WORD_BYTES) else {
        return xxh3_64(bytes.get(..length).unwrap_or_default());
    };
    let whole = bytes.first_chunk().copied().unwrap_or_else(|| {
        let mut whole = [0; WORD_BYTES];
        whole.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        whole
    });
    let word = u128::from_le_bytes(whole) & (u128::MAX >> (8 * unused));
    #[expect(clippy::cast_possible_truncation, reason = "the half that is cut off is the other factor")]
    let product = u128::from(word as u64 ^ FACTORS[0]) * u128::from((word >> 64) as u64 ^ FACTORS[1]);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded into one")]
    let folded = product as u64 ^ (product >> 64) as u64;
    folded
}

fn char_shingles(text: &str, n: usize) -> Vec<u64> {
    let solid: String = text.chars().filter(|c| *c != ' ').collect();
    let starts = solid.char_indices().map(|(at, _)| at);
    let ends = solid.char_indices().map(|(at, c)| at + c.len_utf8()).skip(n.saturating_sub(1));
    starts.zip(ends).filter_map(|(start, end)| solid.get(start..end)).map(|piece| xxh3_64(piece.as_bytes())).collect()
}

/// Folds the hashes of words into one that depends on their order. Multiplication carries every bit upwards, the rotation
/// brings what is up there down again, as in Firefox' `FxHash`; the last step is the finaliser of splitmix64.
fn run_hash(words: &[u64]) -> u64 {
    let folded = words.iter().fold(0_u64, |hash, word| (hash.rotate_left(26) ^ word).wrapping_mul(FACTORS[0]));
    let mixed = (folded ^ (folded >> 30)).wrapping_mul(FACTORS[1]);
    mixed ^ (mixed >> 27)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(piece: &str) -> u64 {
        xxh3_64(piece.as_bytes())
    }

    fn word(word: &str) -> u64 {
        word_hash(word.as_bytes(), word.len())
    }

    #[test]
    fn words_are_what_is_between_spaces_and_hash_alike_wherever_they_stand() {
        proptest::proptest!(|(words in proptest::collection::vec("[a-z0-9äß今]{1,24}", 1..60))| {
            let text = words.join(" ");
            let hashes: Vec<u64> = words.iter().map(|each| word(each)).collect();
            proptest::prop_assert_eq!(word_hashes(text.as_bytes()), &hashes[..]);
            for n in [1, 2, 3, 4, 5, 6] {
                let runs: Vec<u64> = hashes.windows(n).map(run_hash).collect();
                proptest::prop_assert_eq!(word_shingles(&text, n), runs);
            }
        });
    }

    #[test]
    fn words_that_differ_hash_differently() {
        let short = (0..40_000_u32).map(|number| format!("{number:x}"));
        let long = (0..40_000_u32).map(|number| format!("{number}{}", "x".repeat(number as usize % 16)));
        let words: std::collections::BTreeSet<String> = short.chain(long).collect();
        let hashes: std::collections::BTreeSet<u64> = words.iter().map(|each| word(each)).collect();
        assert_eq!(hashes.len(), words.len());
    }

    #[test]
    fn shingles_are_windows() {
        let words = |text: &str| {
            as_set(text.split('|').map(|run| run_hash(&run.split(' ').map(word).collect::<Vec<_>>())).collect())
        };
        let chars = |text: &str| as_set(text.split('|').map(hash).collect());
        assert_eq!(Shingling::Words(3).shingles("a b c d"), words("a b c|b c d"));
        assert_eq!(Shingling::Words(3).shingles("a b a b a b"), words("a b a|b a b"));
        assert_eq!(Shingling::Chars(2).shingles("ä bc"), chars("äb|bc"));
        assert!(Shingling::Words(3).shingles("a b").is_empty());
        assert!(Shingling::Chars(5).shingles("").is_empty());
    }

    #[test]
    fn runs_differ_by_words_and_order() {
        let mut runs: Vec<Vec<u64>> = Vec::new();
        for at in 0..4_096_usize {
            runs.push([at & 15, (at >> 4) & 15, at >> 8].map(|word| hash(&word.to_string())).to_vec());
        }
        let mut hashes: Vec<u64> = runs.iter().map(|run| run_hash(run)).collect();
        // Halves of the bits tell them apart nearly as well: signatures are made of them.
        let mut halves: Vec<u64> = hashes.iter().map(|hash| ((hash >> 32) ^ hash) & 0xffff_ffff).collect();
        hashes = as_set(hashes);
        halves.sort_unstable();
        halves.dedup();
        assert!(hashes.len() == 4_096 && halves.len() > 4_090, "{} {}", hashes.len(), halves.len());
    }

    #[test]
    fn language_and_configured_length_decide() {
        let of = |language, min, max, median: Option<f64>| {
            let words = median.map(|median| WordsPerTurn { median, ..WordsPerTurn::default() });
            Shingling::for_conversations(language, TurnRange { min, max }, words)
        };
        assert_eq!(of("en", 6, 10, Some(9.0)), Shingling::Words(5));
        assert_eq!(of("en", 4, 6, Some(9.0)), Shingling::Words(3));
        assert_eq!(of("de", 2, 2, None), Shingling::Words(3));
        assert_eq!(of("de", 2, 3, None), Shingling::Words(5));
        assert_eq!(of("ja-JP", 6, 10, Some(9.0)), Shingling::Chars(5));
        assert_eq!(Shingling::for_situations("zh-Hant"), Shingling::Chars(5));
        assert_eq!(Shingling::for_situations("en-GB"), Shingling::Words(3));
    }

    #[test]
    fn a_bounded_look_decides_where_nothing_is_configured() {
        let long = "word ".repeat(60);
        let short = "word ".repeat(10);
        assert_eq!(Shingling::for_sample([long.as_str(), &long, &short]), Shingling::Words(5));
        assert_eq!(Shingling::for_sample([short.as_str(), &long, &short]), Shingling::Words(3));
        assert_eq!(Shingling::for_sample(["今天天气很好 OK", "ok"]), Shingling::Chars(5));
        assert_eq!(Shingling::for_sample([]), Shingling::Words(3));
        let mut taken = 0;
        Shingling::for_sample(std::iter::repeat(short.as_str()).inspect(|_| taken += 1));
        assert_eq!(taken, SAMPLE);
    }
}
