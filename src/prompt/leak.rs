//! Finds what a reply copied from its prompt: instructions, or the text of an example.
//!
//! Small models hand examples back as their own. A run of [`RUN`] words in a row that is also in the prompt is no
//! coincidence. Scripts that put no spaces between words have long words and few of them, so little is found there.

use std::collections::BTreeSet;

use xxhash_rust::xxh3::xxh3_64;

use super::draft::Draft;

/// Words in a row that count as copied.
pub(crate) const RUN: usize = 8;

/// The runs of words a reply must not contain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leaks(BTreeSet<u64>);

impl Leaks {
    /// Every run of words within a line of one of `texts`. For prompts: [`literal`](super::template::Template::literal), and
    /// for shots: [`words`](super::shots::Shot::words). What the reply may well quote, such as given personas, stays out.
    pub(crate) fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let lines = texts.into_iter().flat_map(str::lines);
        Self(lines.flat_map(|line| runs(&words(line)).map(run_hash).collect::<Vec<_>>()).collect())
    }

    /// The first copied run in a text of `draft`: its key and the words.
    pub(crate) fn find(&self, draft: &Draft) -> Option<(String, String)> {
        draft.texts().into_iter().find_map(|(key, text)| {
            let words = words(text);
            let copied = runs(&words).find(|run| self.0.contains(&run_hash(run)))?;
            Some((key, copied.join(" ")))
        })
    }
}

fn words(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_alphanumeric() && c != '\'');
    parts.filter(|part| !part.is_empty()).map(str::to_lowercase).collect()
}

fn runs(words: &[String]) -> impl Iterator<Item = &[String]> {
    words.windows(RUN)
}

fn run_hash(run: &[String]) -> u64 {
    xxh3_64(run.join(" ").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::draft::DraftPerson;

    fn draft(situation: &str) -> Draft {
        let person = DraftPerson {
            name: "Ann".to_owned(),
            persona: None,
            description: "a cook".to_owned(),
            stance: None,
            goal: None,
            knowledge: None,
        };
        Draft {
            personas: vec![person],
            relations: Vec::new(),
            situation: situation.to_owned(),
            topic: String::new(),
            conversation_starter: String::new(),
        }
    }

    #[test]
    fn a_run_is_found_whatever_its_case_and_punctuation() {
        let leaks =
            Leaks::new(["Write down what the people\nWrite one situation in which these people really meet, today."]);
        let copied = draft("They sit. write one situation in WHICH these people - really meet!");
        let (key, run) = leaks.find(&copied).unwrap();
        assert_eq!((key.as_str(), run.as_str()), ("situation", "write one situation in which these people really"));
        assert_eq!(leaks.find(&draft("One situation in which these people meet.")), None);
        assert_eq!(Leaks::default().find(&copied), None);
    }

    #[test]
    fn lines_of_the_prompt_are_apart() {
        let leaks = Leaks::new(["one two three four\nfive six seven eight nine"]);
        assert_eq!(leaks.find(&draft("one two three four five six seven eight nine")), None);
    }
}
