//! The local screen of one text: what it holds, and the text with some of it replaced.

use std::collections::BTreeMap;

use super::category::Category;
use super::pii::{self, Finding};
use super::words::WordLists;
use crate::config::safety::{Action, Actions};

/// Where something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FindingSource {
    /// The form of personal data.
    Pattern,
    /// A word list.
    Words,
}

impl FindingSource {
    /// The value in records.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pattern => "pattern",
            Self::Words => "words",
        }
    }
}

/// What a text came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Screened {
    /// The text, with what is to be redacted replaced by its category in brackets.
    pub text: String,
    /// Everything found, in the order of the text; what is replaced first comes first.
    pub found: Vec<(Category, FindingSource)>,
    /// What is set aside for documentation, tests and fiction, and was left alone.
    pub reserved: BTreeMap<Category, u32>,
}

/// What is looked for in one text, and what is done about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Screen<'a> {
    /// The word lists.
    pub words: &'a WordLists,
    /// What is done about what.
    pub actions: &'a Actions,
}

impl Screen<'_> {
    /// Screens `text`, which is in `language`.
    ///
    /// Looks again after each replacement, because what lay under one finding can hold another; what comes out is
    /// therefore left as it is by another screening. Each replacement takes characters away that no other puts back,
    /// so this ends.
    pub(crate) fn look(&self, language: &str, text: &str) -> Screened {
        let mut screened = Screened { text: text.to_owned(), ..Screened::default() };
        loop {
            let (findings, reserved) = self.find(language, &screened.text);
            let (redact, stay): (Vec<_>, Vec<_>) =
                findings.into_iter().partition(|(finding, _)| finding.category.action(self.actions) == Action::Redact);
            if redact.is_empty() {
                screened.found.extend(stay.into_iter().map(|(finding, source)| (finding.category, source)));
                screened.reserved = reserved;
                return screened;
            }
            screened.replace(&redact);
        }
    }

    /// Everything in `text`, in order and, among what is to be redacted, without overlaps.
    fn find(&self, language: &str, text: &str) -> (Vec<(Finding, FindingSource)>, BTreeMap<Category, u32>) {
        let personal = pii::find(text);
        let words = self.words.find(language, text).into_iter();
        let words = words.map(|(category, range)| (Finding { category, range }, FindingSource::Words));
        let mut all: Vec<_> =
            personal.findings.into_iter().map(|found| (found, FindingSource::Pattern)).chain(words).collect();
        all.sort_by_key(|(finding, _)| (finding.range.start, finding.range.end, finding.category));
        (all, personal.reserved)
    }
}

impl Screened {
    /// Replaces the findings. One that overlaps the one before it waits for the next look.
    fn replace(&mut self, findings: &[(Finding, FindingSource)]) {
        let mut out = String::with_capacity(self.text.len());
        let mut from = 0;
        for (Finding { category, range }, source) in findings {
            if range.start < from {
                continue;
            }
            out.push_str(self.text.get(from..range.start).unwrap_or_default());
            out.push_str(&format!("[{category}]"));
            from = range.end;
            self.found.push((*category, *source));
        }
        out.push_str(self.text.get(from..).unwrap_or_default());
        self.text = out;
    }
}
