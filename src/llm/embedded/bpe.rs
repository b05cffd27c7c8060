//! Byte-pair encoding over bytes, as GPT-2 has it and with every digit a word of its own: what SmolLM2 was trained with.
//!
//! Text is divided into words, and each word's bytes are merged, the pair that was learnt first before the others, until
//! no two neighbours merge any more. Merges never reach from one word into the next.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use regex::Regex;

use super::gguf::GgufError;

/// The words of [GPT-2](https://github.com/openai/gpt-2/blob/master/src/encoder.py). Its `\s+(?!\S)`, white space but
/// for the last of it where a word follows, is left to [`Bpe::words`].
const WORD: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+";

/// A vocabulary and its merges.
#[derive(Debug)]
pub(super) struct Bpe {
    /// The token of each byte. SmolLM2 has none for some that it never saw; they are left out.
    bytes: HashMap<u8, u32>,
    merges: HashMap<(u32, u32), Merge>,
    word: Regex,
}

/// What two neighbours become.
#[derive(Debug, Clone, Copy)]
struct Merge {
    /// How many merges go before it.
    rank: u32,
    token: u32,
}

impl Bpe {
    /// The encoder of the vocabulary `ids`, the tokens' texts with their ids, which writes bytes as `alphabet` says. A
    /// merge is two tokens with a space between them, the earlier the stronger.
    pub(super) fn new(
        ids: &HashMap<&str, u32>,
        merges: &[String],
        alphabet: &BTreeMap<char, u8>,
    ) -> Result<Self, GgufError> {
        let merge = |(rank, merge): (u32, &String)| {
            let id = |text: &str| ids.get(text).copied();
            let (left, right) = merge.split_once(' ')?;
            Some(((id(left)?, id(right)?), Merge { rank, token: id(&format!("{left}{right}"))? }))
        };
        let unusable = |text: &String| GgufError::Missing(format!("tokens for the merge {text:?}"));
        let merges = (0..).zip(merges).map(|ranked| merge(ranked).ok_or_else(|| unusable(ranked.1)));
        let merges = merges.collect::<Result<_, _>>()?;
        let token = |(character, byte): (&char, &u8)| Some((*byte, *ids.get(character.to_string().as_str())?));
        let bytes = alphabet.iter().filter_map(token).collect();
        let word = Regex::new(WORD).map_err(|_| GgufError::Missing("division into words".to_owned()))?;
        Ok(Self { bytes, merges, word })
    }

    /// The tokens of `text`.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let numeric = rest.find(char::is_numeric).unwrap_or(rest.len());
            let (piece, later) = rest.split_at(if numeric == 0 { first.len_utf8() } else { numeric });
            self.words(piece, |word| self.merge(word, &mut tokens));
            rest = later;
        }
        tokens
    }

    /// Hands each word of `text` to `take`.
    fn words(&self, text: &str, mut take: impl FnMut(&str)) {
        let mut at = 0;
        while let Some(found) = self.word.find_at(text, at) {
            let word = found.as_str();
            let (last, _) = word.char_indices().next_back().unwrap_or_default();
            let white = word.chars().all(char::is_whitespace);
            // Before a word the last of the white space is that word's, or a word of its own.
            let end = if white && last > 0 && found.end() < text.len() { last } else { word.len() };
            take(word.get(..end).unwrap_or(word));
            at = found.start() + end;
        }
    }

    /// Appends the tokens of `word`.
    fn merge(&self, word: &str, tokens: &mut Vec<u32>) {
        let mut symbols = Symbols::new(word.bytes().filter_map(|byte| self.bytes.get(&byte).copied()));
        let mut queue = BinaryHeap::new();
        for at in 0..symbols.0.len() {
            queue.extend(self.queued(&symbols, at));
        }
        while let Some(Reverse((rank, at))) = queue.pop() {
            // One of the two may have been merged with another neighbour since.
            let Some(merge) = self.next(&symbols, at).filter(|merge| merge.rank == rank) else { continue };
            let before = symbols.join(at, merge.token);
            queue.extend(before.and_then(|before| self.queued(&symbols, before)));
            queue.extend(self.queued(&symbols, at));
        }
        tokens.extend(symbols.0.iter().filter_map(|symbol| symbol.token));
    }

    /// What the token at `at` and the one after it become.
    fn next(&self, symbols: &Symbols, at: usize) -> Option<Merge> {
        self.merges.get(&symbols.pair(at)?).copied()
    }

    fn queued(&self, symbols: &Symbols, at: usize) -> Option<Reverse<(u32, usize)>> {
        Some(Reverse((self.next(symbols, at)?.rank, at)))
    }
}

/// The tokens of a word while they merge, a slot for each byte. What merged into the slot before is `None`.
struct Symbols(Vec<Symbol>);

struct Symbol {
    token: Option<u32>,
    /// The slot of the token before; no slot at all for the first.
    before: usize,
    /// The slot of the token after; no slot at all for the last.
    after: usize,
}

impl Symbols {
    fn new(tokens: impl Iterator<Item = u32>) -> Self {
        let symbol =
            |(at, token): (usize, u32)| Symbol { token: Some(token), before: at.wrapping_sub(1), after: at + 1 };
        Self(tokens.enumerate().map(symbol).collect())
    }

    fn pair(&self, at: usize) -> Option<(u32, u32)> {
        let left = self.0.get(at)?;
        Some((left.token?, self.0.get(left.after)?.token?))
    }

    /// Puts `token` into the place of the one at `at` and the one after it. Returns the slot before.
    fn join(&mut self, at: usize, token: u32) -> Option<usize> {
        let gone = self.0.get(at)?.after;
        let gone = self.0.get_mut(gone)?;
        let after = gone.after;
        gone.token = None;
        if let Some(next) = self.0.get_mut(after) {
            next.before = at;
        }
        let joined = self.0.get_mut(at)?;
        (joined.token, joined.after) = (Some(token), after);
        Some(joined.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::embedded::testing;

    /// Texts in many scripts with their tokens, made by the `tokenizers` crate, version 0.23.2, from this vocabulary with
    /// `Digits` and `ByteLevel` before its `BPE`.
    const GOLDEN: &str = include_str!("../../../tests/fixtures/tokens/smollm2.jsonl");

    #[derive(serde::Deserialize)]
    struct Sample {
        text: String,
        tokens: Vec<u32>,
    }

    #[test]
    fn every_script_has_the_tokens_of_the_reference_implementation() {
        let Some(mind) = testing::mind() else { return };
        for line in GOLDEN.lines() {
            let sample: Sample = serde_json::from_str(line).unwrap();
            assert_eq!(mind.vocabulary.encode(&sample.text), sample.tokens, "{:?}", sample.text);
        }
    }

    /// An encoder whose tokens are `a` to `z` and the results of `merges`, which are numbered from 26 on.
    fn bpe(merges: &[&str]) -> Bpe {
        let alphabet: BTreeMap<char, u8> = ('a'..='z').zip(b'a'..=b'z').collect();
        let texts = alphabet.keys().map(char::to_string).chain(merges.iter().map(|merge| merge.replace(' ', "")));
        let texts: Vec<String> = texts.collect();
        let ids = texts.iter().map(String::as_str).zip(0..).collect();
        Bpe::new(&ids, &merges.iter().map(ToString::to_string).collect::<Vec<_>>(), &alphabet).unwrap()
    }

    #[test]
    fn the_merge_learnt_first_goes_first_and_among_equals_the_leftmost() {
        assert_eq!(bpe(&["b c", "a b"]).encode("abc"), [0, 26]);
        assert_eq!(bpe(&["a b", "b c"]).encode("abc"), [26, 2]);
        assert_eq!(bpe(&["a a"]).encode("aaaaa"), [26, 26, 0]);
        assert_eq!(bpe(&["a a", "aa aa", "aaaa a"]).encode("aaaaa"), [28]);
        assert_eq!(bpe(&["b c", "a bc", "abc d"]).encode("abcd"), [28]);
    }

    #[test]
    fn a_byte_without_a_token_is_left_out() {
        assert_eq!(bpe(&["a b"]).encode("aéb"), [26]);
    }

    #[test]
    fn words_end_where_gpt_2_ends_them() {
        let bpe = bpe(&[]);
        let words = |text: &str| {
            let mut words = Vec::new();
            bpe.words(text, |word| words.push(word.to_owned()));
            assert_eq!(words.concat(), text);
            words.join("|")
        };
        assert_eq!(words("I'll say: it's  two   spaces"), "I|'ll| say|:| it|'s| | two|  | spaces");
        assert_eq!(words("a\n\n b \t\n"), "a|\n\n| b| \t\n");
        assert_eq!(words("  x"), " | x");
        assert_eq!(words(" \u{a0}x"), " |\u{a0}|x");
        assert_eq!(words("नमस्ते!?"), "नमस|्|त|े!?");
    }

    #[test]
    fn a_digit_is_a_word_and_what_stands_before_it_ends() {
        let Some(mind) = testing::mind() else { return };
        let encode = |text: &str| mind.vocabulary.encode(text);
        assert_eq!(encode("a  2024½b"), ["a", "  ", "2", "0", "2", "4", "½", "b"].map(encode).concat());
    }

    /// Merging is quick in the length of a word, whatever the word.
    #[test]
    fn a_word_of_a_million_letters_is_merged() {
        let tokens = bpe(&["a a", "aa aa"]).encode(&"a".repeat(1_000_001));
        assert_eq!((tokens.len(), tokens.last()), (250_001, Some(&0)));
    }
}
