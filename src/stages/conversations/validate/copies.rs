//! Copies: a reply that repeats itself, an earlier line, its instructions, or the description of its speaker.
//!
//! All by words in a row, so that nothing depends on meaning. In scripts without spaces a word is a character here, and
//! runs have to be longer to be no coincidence.

use std::collections::BTreeSet;

use unicode_segmentation::UnicodeSegmentation;

use super::{is_unspaced, words};

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
    fn length(self, words: &[String]) -> usize {
        let characters = words.iter().filter(|word| is_unspaced(word)).count();
        if characters * 2 > words.len() { self.characters } else { self.words }
    }
}

/// Whether four words recur often, one word is said on and on, or a sentence is said twice.
pub(super) fn loops(text: &str, words: &[String]) -> bool {
    let mut runs: Vec<&[String]> =
        words.windows(4).filter(|run| run.iter().any(|word| Some(word) != run.first())).collect();
    runs.sort_unstable();
    let often = runs.chunk_by(|a, b| a == b).any(|run| run.len() >= LOOP_REPEATS);
    let stutters = words.chunk_by(|a, b| a == b).any(|run| run.len() >= STUTTER);
    let (left, right) = words.split_at(words.len() / 2);
    let doubled = words.len() >= 6 && words.len().is_multiple_of(2) && left == right && words.first() != words.get(1);
    often || stutters || doubled || says_a_sentence_twice(text)
}

fn says_a_sentence_twice(text: &str) -> bool {
    let mut said = BTreeSet::new();
    let sentences = text.split_sentence_bounds().map(words).filter(|sentence| sentence.len() >= ECHO_WORDS);
    sentences.into_iter().any(|sentence| !said.insert(sentence))
}

/// Whether `words` say again what one of the `earlier` lines said.
pub(super) fn echoes<'a>(words: &[String], earlier: impl IntoIterator<Item = &'a str>) -> bool {
    words.len() >= ECHO_WORDS && earlier.into_iter().any(|line| repeats(words, &self::words(line)))
}

fn repeats(words: &[String], earlier: &[String]) -> bool {
    if earlier.len() < ECHO_WORDS {
        return false;
    }
    let common = longest_common(words, earlier);
    let share = 2.0 * common as f64 / (words.len() + earlier.len()) as f64;
    let only_added = common == words.len().min(earlier.len());
    share >= if only_added { ECHO_ADDED } else { ECHO_CHANGED }
}

/// Length of the longest common subsequence, by one row of the classic table.
fn longest_common(a: &[String], b: &[String]) -> usize {
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

/// Whether `words` copy a passage of the instructions.
pub(super) fn leaks(words: &[String], instructions: &str) -> bool {
    shares_run(words, &self::words(instructions), LEAK_RUN)
}

/// Whether `words` copy a passage of the persona.
pub(super) fn recites(words: &[String], persona: &str) -> bool {
    shares_run(words, &self::words(persona), RECITAL_RUN)
}

fn shares_run(words: &[String], source: &[String], run: Run) -> bool {
    let length = run.length(words);
    let runs: BTreeSet<&[String]> = source.windows(length).collect();
    !runs.is_empty() && words.windows(length).any(|run| runs.contains(run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo(line: &str, earlier: &str) -> bool {
        echoes(&words(line), [earlier])
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
            assert!(loops(text, &words(text)), "{text}");
        }
        for text in ["No, no, no, no, no, no!", "哈哈哈哈哈哈！", "Ha ha ha ha, you and you and you."] {
            assert!(!loops(text, &words(text)), "{text}");
        }
    }

    #[test]
    fn a_recital_is_a_passage_and_no_single_fact() {
        let persona = "a retired postman who breeds racing pigeons on the roof of a tower block";
        let recital = |text: &str| recites(&words(text), persona);
        assert!(recital("Well, I am a retired postman who breeds racing pigeons."));
        assert!(!recital("My racing pigeons would not sit still on the roof for that."));
        let chinese = "一位退休的邮递员，在高楼的屋顶上养信鸽，每天清晨六点喂食。";
        assert!(recites(&words("我在高楼的屋顶上养信鸽，每天清晨六点喂食。"), chinese));
        assert!(!recites(&words("我的信鸽都在屋顶上等着呢。"), chinese));
    }
}
