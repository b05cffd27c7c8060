//! Copies: a reply that repeats itself, an earlier line, its instructions, or the description of its speaker.
//!
//! All by words in a row, so that nothing depends on meaning. In scripts without spaces a word is a character here, and
//! runs have to be longer to be no coincidence.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

use super::instructions::SpeakerBrief;
use super::words::{SpokenWords, WordHash};

/// Times a run of four words may recur within a turn before it counts as a loop.
const LOOP_REPEATS: usize = 3;
/// Times in a row one word may stand before it counts as a loop: "no, no, no, no" is human.
const STUTTER: usize = 9;
/// Shortest line, in words, that can be an echo: back-channels and short answers may recur.
const ECHO_WORDS: usize = 5;
/// Share of both lines that must be common to them, in order, where one only adds to the other.
const ECHO_ADDED: f64 = 0.75;
/// The same where words were exchanged. "On Monday" after "on Tuesday" is a correction, so short lines need more in common.
const ECHO_CHANGED: f64 = 0.85;
/// Consecutive words shared with instructions that make a leak.
const LEAK_RUN: Run = Run { words: 8, characters: 16 };
/// Consecutive words shared with the persona that make a recital.
const RECITAL_RUN: Run = Run { words: 7, characters: 12 };

/// Length of a run that is no coincidence, by script.
#[derive(Debug, Clone, Copy)]
struct Run {
    words: usize,
    characters: usize,
}

impl Run {
    fn length(self, words: &SpokenWords) -> usize {
        if words.are_unspaced() { self.characters } else { self.words }
    }
}

/// Whether four words recur often, one word is said on and on, or a sentence is said twice.
pub(super) fn loops(text: &str, words: &SpokenWords) -> bool {
    let words = words.keys();
    let stutters = words.chunk_by(|a, b| a == b).any(|run| run.len() >= STUTTER);
    // Whatever recurs, three words in a row do. Of five words of a sentence, too: only its ends may be cut off within a word.
    stutters || (most_frequent(words.windows(3)) >= 2 && says_much_again(text, words))
}

fn says_much_again(text: &str, words: &[WordHash]) -> bool {
    let varied = words.windows(4).filter(|run| run.iter().any(|word| Some(word) != run.first()));
    let (left, right) = words.split_at(words.len() / 2);
    let doubled = words.len() >= 6 && words.len().is_multiple_of(2) && left == right && words.first() != words.get(1);
    most_frequent(varied) >= LOOP_REPEATS || doubled || says_a_sentence_twice(text)
}

/// How often the most frequent one of `runs` stands there.
fn most_frequent<'a>(runs: impl Iterator<Item = &'a [WordHash]>) -> usize {
    let mut runs: Vec<&[WordHash]> = runs.collect();
    runs.sort_unstable();
    runs.chunk_by(|a, b| a == b).map(<[_]>::len).max().unwrap_or(0)
}

fn says_a_sentence_twice(text: &str) -> bool {
    let mut said = BTreeSet::new();
    let sentences = text.split_sentence_bounds().map(|sentence| SpokenWords::of(sentence).into_keys());
    sentences.filter(|sentence| sentence.len() >= ECHO_WORDS).any(|sentence| !said.insert(sentence))
}

/// A line that was said, as later ones are held against it.
#[derive(Debug)]
pub(super) struct EarlierLine {
    words: Vec<WordHash>,
    /// A bit for each of its words, by their keys.
    bits: u128,
}

impl EarlierLine {
    pub(super) fn new(words: Vec<WordHash>) -> Self {
        let bits = words.iter().fold(0, |bits, word| bits | bit(*word));
        Self { words, bits }
    }

    pub(super) fn words(&self) -> &[WordHash] {
        &self.words
    }

    /// No fewer of `words` than are common to both, in order.
    fn may_share(&self, words: &[WordHash]) -> usize {
        words.iter().filter(|word| self.bits & bit(**word) != 0).count()
    }
}

fn bit(word: WordHash) -> u128 {
    1 << (word % 128)
}

/// Whether `words` say again what one of the `earlier` lines said.
pub(super) fn echoes<'a>(words: &[WordHash], earlier: impl IntoIterator<Item = &'a EarlierLine>) -> bool {
    words.len() >= ECHO_WORDS && earlier.into_iter().any(|line| repeats(words, line))
}

fn repeats(words: &[WordHash], earlier: &EarlierLine) -> bool {
    let share = |common: usize| 2.0 * common as f64 / (words.len() + earlier.words.len()) as f64;
    if earlier.words.len() < ECHO_WORDS || share(earlier.may_share(words)) < ECHO_ADDED {
        return false;
    }
    let common = longest_common(words, &earlier.words);
    let only_added = common == words.len().min(earlier.words.len());
    share(common) >= if only_added { ECHO_ADDED } else { ECHO_CHANGED }
}

/// Length of the longest common subsequence, by one row of the classic table.
fn longest_common(a: &[WordHash], b: &[WordHash]) -> usize {
    let mut row = vec![0_usize; b.len()];
    for word in a {
        let (mut diagonal, mut left) = (0, 0);
        for (cell, other) in row.iter_mut().zip(b) {
            let above = *cell;
            *cell = if word == other { diagonal + 1 } else { above.max(left) };
            (diagonal, left) = (above, *cell);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Whether `words` copy a passage of what the speaker was told, or of the `situation` that was told last.
pub(super) fn leaks(words: &SpokenWords, told: &SpeakerBrief, situation: &[WordHash]) -> bool {
    let length = LEAK_RUN.length(words);
    let familiar = |word: &WordHash| told.has(*word) || situation.contains(word);
    // Few replies have so many words in a row that stand there at all, in whatever order.
    let mut runs = words.keys().split(|word| !familiar(word));
    runs.any(|run| run.len() >= length) && shares_run(words.keys(), &told.words(situation), length)
}

/// Whether `words` copy a passage of the persona.
pub(super) fn recites(words: &SpokenWords, persona: &[WordHash]) -> bool {
    shares_run(words.keys(), persona, RECITAL_RUN.length(words))
}

/// Whether `length` words in a row are alike in both.
fn shares_run(words: &[WordHash], source: &[WordHash], length: usize) -> bool {
    // Every run of that length holds one of these places.
    (length - 1..words.len()).step_by(length).any(|at| {
        let (before, after) = words.split_at(at);
        let places = source.iter().enumerate().filter(|(_, word)| Some(*word) == after.first());
        places.map(|(place, _)| source.split_at(place)).any(|(source_before, source_after)| {
            let backwards = alike(before.iter().rev(), source_before.iter().rev());
            backwards + alike(after.iter(), source_after.iter()) >= length
        })
    })
}

/// How many are alike from the start.
fn alike<'a>(one: impl Iterator<Item = &'a WordHash>, other: impl Iterator<Item = &'a WordHash>) -> usize {
    one.zip(other).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(line: &str, earlier: &str) -> bool {
        echoes(SpokenWords::of(line).keys(), [&EarlierLine::new(SpokenWords::of(earlier).into_keys())])
    }

    #[test]
    fn an_echo_is_nearly_the_same_line() {
        let line = "I knew we should have taken the stairs today.";
        for copy in [
            "i knew we should have taken the stairs today",
            "Well, I knew we should have taken the stairs today.",
            "I knew we should have taken the stairs.",
            "I knew that we should have taken the stairs today, Bob.",
        ] {
            assert!(echo(copy, line), "{copy}");
        }
        for (other, line) in [
            ("We should have known.", line),
            ("We leave on Monday at eight.", "We leave on Tuesday at eight."),
            ("Yes, right, of course.", "Yes, right, of course."),
            ("You knew we should have taken the stairs? Then why did nobody say so before we all got in?", line),
        ] {
            assert!(!echo(other, line), "{other}");
        }
        assert!(echo("电梯停在两层楼之间了。", "电梯停在两层楼之间了！"));
    }

    #[test]
    fn a_loop_goes_on_and_on_and_laughter_is_none() {
        for text in [
            "We wait here now. We wait here now.",
            "It is late, I said that it is late. But why? It is late, I said that it is late.",
            "and so on and so forth and so on and so forth and so on and so forth",
            "very very very very very very very very very long",
        ] {
            assert!(loops(text, &SpokenWords::of(text)), "{text}");
        }
        for text in ["No, no, no, no, no, no!", "哈哈哈哈哈哈！", "Ha ha ha ha, you and you and you."] {
            assert!(!loops(text, &SpokenWords::of(text)), "{text}");
        }
    }

    #[test]
    fn a_recital_is_a_passage_and_no_single_fact() {
        let persona = "a retired postman who breeds racing pigeons on the roof of a tower block";
        let recites = |text: &str, persona: &str| recites(&SpokenWords::of(text), SpokenWords::of(persona).keys());
        let recital = |text: &str| recites(text, persona);
        assert!(recital("Well, I am a retired postman who breeds racing pigeons."));
        assert!(!recital("My racing pigeons would not sit still on the roof for that."));
        let chinese = "一位退休的邮递员，在高楼的屋顶上养信鸽，每天清晨六点喂食。";
        assert!(recites("我在高楼的屋顶上养信鸽，每天清晨六点喂食。", chinese));
        assert!(!recites("我的信鸽都在屋顶上等着呢。", chinese));
    }
}
