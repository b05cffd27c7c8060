//! Word lists: what is looked for word by word, by language and category.
//!
//! A list is a text file named for its language, such as `en.txt`. A line is a word or phrase below a heading such as
//! `[violence]`; `#` starts a comment, and a `*` at the end of a line stands for any ending. Letter case and the width of
//! spaces do not matter. A word counts where it stands alone, except in scripts that put no space between words.
//!
//! A list knows no context: it finds talk to look at, not talk that is wrong.

use std::collections::BTreeMap;
use std::ops::Range;

use regex::Regex;

use super::category::Category;
use crate::lexicon;

/// Scripts without spaces between words, as a class of characters.
const UNSPACED: &str = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]";

/// A word list that cannot be used. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WordsError {
    /// A heading that names no category, a word above the first heading, or a bracket elsewhere.
    #[error(
        "{file}, line {line}: expected a heading such as [violence]; the categories are hate, harassment, sexual, self_harm and violence"
    )]
    Heading {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// More words than one pattern holds.
    #[error("{file}: too many words for [{category}]; shorten the list")]
    TooLarge {
        /// The file.
        file: String,
        /// The category.
        category: Category,
    },
}

/// The lists of a run, by language.
#[derive(Debug, Default)]
pub(crate) struct WordLists {
    lists: BTreeMap<String, Vec<(Category, Regex)>>,
}

impl WordLists {
    /// Adds the list `text` for `language`; `file` is its name for messages.
    pub(crate) fn add(&mut self, language: &str, file: &str, text: &str) -> Result<(), WordsError> {
        let wrong = |line| WordsError::Heading { file: file.to_owned(), line };
        let mut phrases: BTreeMap<Category, Vec<String>> = BTreeMap::new();
        // Brackets, in which what is redacted stands, are for headings alone.
        for section in lexicon::sections(file, text).map_err(|malformed| wrong(malformed.line))? {
            let category = Category::judged(section.heading).ok_or_else(|| wrong(section.line))?;
            for (line, entry) in section.entries {
                // A star alone would be every word.
                let phrase = Some(entry).filter(|entry| *entry != "*").map(phrase);
                phrases.entry(category).or_default().push(phrase.ok_or_else(|| wrong(line))?);
            }
        }
        let list = self.lists.entry(primary(language)).or_default();
        for (category, phrases) in phrases {
            let pattern = Regex::new(&format!("(?i){}", phrases.join("|")));
            list.push((category, pattern.map_err(|_| WordsError::TooLarge { file: file.to_owned(), category })?));
        }
        Ok(())
    }

    /// Whether there is a list for a language.
    pub(crate) fn speaks(&self, language: &str) -> bool {
        self.lists.contains_key(&primary(language))
    }

    /// Where `text`, which is in `language`, has listed words.
    pub(crate) fn find(&self, language: &str, text: &str) -> Vec<(Category, Range<usize>)> {
        let lists = self.lists.get(&primary(language)).into_iter().flatten();
        let found = lists.flat_map(|(category, words)| words.find_iter(text).map(|found| (*category, found.range())));
        found.filter(|(_, range)| !is_placeholder(text, range)).collect()
    }
}

/// The language without region and script.
fn primary(language: &str) -> String {
    language.split('-').next().unwrap_or_default().to_lowercase()
}

/// The pattern of one line of a list.
fn phrase(line: &str) -> String {
    let (stem, open) = line.strip_suffix('*').map_or((line, false), |stem| (stem.trim_end(), true));
    let words: Vec<String> = stem.split_whitespace().map(|word| regex::escape(word).replace('\'', "['’]")).collect();
    let whole = words.join(r"\s+");
    let unspaced = |c: Option<char>| {
        c.is_some_and(|c| Regex::new(UNSPACED).is_ok_and(|script| script.is_match(c.encode_utf8(&mut [0; 4]))))
    };
    // A boundary stands beside a letter only: what begins or ends with a sign has none there.
    let edge = |c: Option<char>| {
        let letter = c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if letter && !unspaced(c) { r"\b" } else { "" }
    };
    let start = edge(stem.chars().next());
    let end = if open { r"\w*" } else { edge(stem.chars().next_back()) };
    format!("{start}{whole}{end}")
}

/// What was redacted before is not found again by its own name.
fn is_placeholder(text: &str, range: &Range<usize>) -> bool {
    let before = text.get(..range.start).and_then(|before| before.chars().next_back());
    let after = text.get(range.end..).and_then(|after| after.chars().next());
    (before, after) == (Some('['), Some(']')) && text.get(range.clone()).and_then(Category::named).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str =
        "# a list\n[violence]\nbring  it down   # comment\nsmash*\ndon't move\n[hate]\n下等人\nกวน\na$$\n";

    fn found(text: &str) -> Vec<&str> {
        let mut words = WordLists::default();
        words.add("en", "en.txt", LIST).unwrap();
        words.find("en-GB", text).into_iter().map(|(_, range)| &text[range]).collect()
    }

    #[test]
    fn words_stand_alone_but_for_scripts_without_spaces() {
        assert_eq!(
            found("Bring it\u{a0}\n down, SMASHING! Don’t move."),
            ["Bring it\u{a0}\n down", "SMASHING", "Don’t move"]
        );
        assert!(found("bringit down, unsmashed, don't moves").is_empty());
        assert_eq!(found("他们是下等人吗"), ["下等人"]);
        assert_eq!(found("เขากวนฉัน"), ["กวน"]);
        assert_eq!(found("What an a$$, he said."), ["a$$"]);
        let mut words = WordLists::default();
        words.add("en", "en.txt", LIST).unwrap();
        assert!(words.find("de", "smash").is_empty() && words.speaks("en-US") && !words.speaks("de"));
    }

    #[test]
    fn a_list_that_is_none_says_where() {
        for (text, line) in
            [("word\n", 1), ("[violence]\na\n\n[weather]\n", 4), ("# c\n[email]\n", 2), ("[hate]\n*\n", 2)]
        {
            let error = WordLists::default().add("en", "w/en.txt", text).unwrap_err();
            assert_eq!(error, WordsError::Heading { file: "w/en.txt".to_owned(), line });
        }
    }
}
