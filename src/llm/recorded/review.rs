//! Turns that people rejected, as far as replies are concerned.

use serde::{Deserialize, Serialize};

use super::CallSite;
use crate::llm::Role;

/// A turn from which on a conversation is to be held anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReviewMark {
    /// The turn, from 0.
    pub from_turn: u32,
    /// Stands for what was said against it: another word is another question.
    pub tag: String,
}

impl ReviewMark {
    /// Whether a call is asked anew. Who speaks at the rejected turn stays as it was: it is their words that were rejected.
    fn applies(&self, site: &CallSite<'_>) -> bool {
        site.turn > self.from_turn || (site.turn == self.from_turn && site.role == Role::Speaker)
    }

    /// What enters the seed of a call, and with it its key.
    pub(super) fn tags<'m>(marks: &'m [Self], site: &CallSite<'_>) -> impl Iterator<Item = &'m str> {
        marks.iter().filter(|mark| mark.applies(site)).map(|mark| mark.tag.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_turn_is_spoken_anew_by_the_same_person_and_all_behind_it_is_asked_anew() {
        let mark = ReviewMark { from_turn: 3, tag: "t".to_owned() };
        let applies = |turn, role| {
            let site = CallSite { stage: "conversations", item: "c", turn, role, attempt: 0 };
            ReviewMark::tags(std::slice::from_ref(&mark), &site).count() == 1
        };
        assert_eq!([2, 3, 4].map(|turn| applies(turn, Role::Speaker)), [false, true, true]);
        assert_eq!([2, 3, 4].map(|turn| applies(turn, Role::Selector)), [false, false, true]);
    }
}
