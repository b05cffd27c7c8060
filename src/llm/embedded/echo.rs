//! Noticing that a reply says what was just said.

use std::collections::BTreeSet;

use crate::llm::Message;

/// The share of a reply's word pairs from which on it is an echo.
pub(super) const ECHO: f64 = 0.5;

/// Replies and lines with fewer words repeat each other legitimately: "yes, of course".
const FEWEST_WORDS: usize = 4;

/// How much of `reply` one single line of `messages` has already: the greatest share of its word pairs, from 0 to 1.
pub(super) fn overlap(reply: &str, messages: &[Message]) -> f64 {
    let said = pairs(reply);
    if said.len() + 1 < FEWEST_WORDS {
        return 0.0;
    }
    let lines = messages.iter().flat_map(|message| message.content.lines());
    let shares = lines.map(|line| {
        let line = pairs(line);
        if line.len() + 1 < FEWEST_WORDS { 0.0 } else { said.intersection(&line).count() as f64 / said.len() as f64 }
    });
    shares.fold(0.0, f64::max)
}

fn pairs(text: &str) -> BTreeSet<(String, String)> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|word| !word.is_empty());
    let words: Vec<String> = words.map(str::to_lowercase).collect();
    words.iter().zip(words.iter().skip(1)).map(|(a, b)| (a.clone(), b.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> Vec<Message> {
        vec![Message::user("Ann: I think we should plant tomatoes this year.\nBob: Yes, of course.")]
    }

    #[test]
    fn a_repeated_line_is_an_echo_whatever_its_case() {
        assert!(overlap("i think we should plant TOMATOES this year!", &transcript()) > 0.99);
        assert!(overlap("Well, I think we should plant tomatoes, too.", &transcript()) > ECHO);
    }

    #[test]
    fn an_answer_is_not() {
        assert!(overlap("Tomatoes need more sun than that corner gets.", &transcript()) < ECHO);
        assert!(overlap("Yes, of course.", &transcript()) < ECHO);
        assert!(overlap("", &transcript()) < ECHO);
    }
}
