//! Roles that meet their counterpart whatever the domain, and roles that meet anyone.
//!
//! The headings of the lexicon stand in pairs, two sides of one encounter each: teacher and student, doctor and patient. A
//! word before the first `who` or `that` decides. The last heading is of those who meet anyone.

use crate::lexicon::{Lexicon, List, Marks};

static ENCOUNTERS: Lexicon = Lexicon::file("people/encounters.txt");
static ANYONE: List = ENCOUNTERS.list("anyone");

/// Words looked at, at most; what someone is stands in front.
const HEAD_WORDS: usize = 16;

/// Number of sides; side `n` meets side `n ^ 1`.
pub(super) fn sides() -> usize {
    ENCOUNTERS.headings().len() - 1
}

/// The sides a description takes, and whether it meets anyone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Roles(Marks);

impl Roles {
    /// The roles a description tells, given in lower case, whole and in words.
    pub(super) fn of_words(folded: &str, words: &[&str]) -> Self {
        let head = words.iter().take_while(|word| !matches!(**word, "who" | "that" | "whose")).take(HEAD_WORDS);
        let told = head.fold(Marks::default(), |told, word| told.and(ENCOUNTERS.marks(word)));
        let anyone = !folded.is_ascii() && ANYONE.is_in(folded);
        Self(if anyone { told.and(ANYONE.mark()) } else { told })
    }

    /// The sides taken.
    pub(super) fn sides(self) -> impl Iterator<Item = usize> {
        self.0.places().filter(|side| *side < sides())
    }

    /// Whether it meets anyone.
    pub(super) fn everyday(self) -> bool {
        self.0.has(&ANYONE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lexicon::words;

    #[test]
    fn counterparts_are_told_by_the_first_phrase() {
        let roles = |text: &str| {
            let folded = text.to_lowercase();
            Roles::of_words(&folded, &words(&folded).collect::<Vec<_>>())
        };
        let sides = |text| roles(text).sides().collect::<Vec<_>>();
        assert_eq!(sides("A strict teacher who was a fan of opera"), [0]);
        assert_eq!(sides("A shy student"), [1]);
        assert_eq!(sides("A statistician"), [0; 0]);
        assert!(roles("A retired miner").everyday());
        assert!(roles("我的邻居").everyday());
        assert!(!roles("A quantum physicist").everyday());
    }
}
