//! Personal data by its form: found by a pattern, kept only if it proves to be one (check digits, ranges, lengths).
//!
//! What is set aside for documentation, tests and fiction (`example.com`, 555-0123, 4111 1111 1111 1111) is no one's, so it is
//! recognised and left alone. Street addresses and passport numbers are not looked for: by their form they cannot be
//! told from `12 Baker Street` in a story and from any part number.
//!
//! Digits are ASCII digits here. Nothing panics on any text.

mod contact;
mod network;
mod number;
mod phone;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;

use regex::Regex;

use super::category::Category;

/// A place in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// What it is.
    pub category: Category,
    /// Where it is, in bytes.
    pub range: Range<usize>,
}

/// Something of the right form.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    range: Range<usize>,
    /// Set aside for documentation, tests or fiction.
    reserved: bool,
}

/// What a text holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Personal data, in order, without overlaps.
    pub findings: Vec<Finding>,
    /// How much there is that is set aside for documentation, tests and fiction.
    pub reserved: BTreeMap<Category, u32>,
}

type Detector = fn(&str) -> Vec<Span>;

/// What is looked for. Where two would claim the same text, the first does: it has the stricter form.
const DETECTORS: [(Category, Detector); 7] = [
    (Category::Credentials, network::credentials),
    (Category::Email, contact::emails),
    (Category::Iban, number::ibans),
    (Category::CreditCard, number::cards),
    (Category::Ssn, number::social_security_numbers),
    (Category::IpAddress, network::addresses),
    (Category::Phone, phone::numbers),
];

/// Looks for personal data in `text`.
pub(crate) fn find(text: &str) -> Found {
    let mut claimed: Vec<(Category, Span)> = Vec::new();
    for (category, detect) in DETECTORS {
        for span in detect(text) {
            if claimed.iter().all(|(_, other)| apart(&other.range, &span.range)) {
                claimed.push((category, span));
            }
        }
    }
    claimed.sort_by_key(|(_, span)| span.range.start);
    let mut found = Found::default();
    for (category, span) in claimed {
        if span.reserved {
            *found.reserved.entry(category).or_default() += 1;
        } else {
            found.findings.push(Finding { category, range: span.range });
        }
    }
    found
}

fn apart(left: &Range<usize>, right: &Range<usize>) -> bool {
    left.end <= right.start || right.end <= left.start
}

/// A pattern of this module.
#[expect(clippy::expect_used, reason = "constants, each of which the tests compile")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a valid pattern")
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// Whether nothing that could belong to it touches `range`: no letter, no digit, none of `glue`.
fn stands_alone(text: &str, range: &Range<usize>, glue: &[char]) -> bool {
    let before = text.get(..range.start).and_then(|before| before.chars().next_back());
    let after = text.get(range.end..).and_then(|after| after.chars().next());
    [before, after].into_iter().flatten().all(|c| !c.is_alphanumeric() && !glue.contains(&c))
}

/// The end of the text before `at`, in lower case, at most `most` characters long.
fn before(text: &str, at: usize, most: usize) -> String {
    let before = text.get(..at).unwrap_or_default();
    let mut end: Vec<char> = before.chars().rev().take(most).collect();
    end.reverse();
    end.into_iter().collect::<String>().to_lowercase()
}

/// Whether more numbers follow or lead, as in `1.2.3.4.5`.
fn goes_on(text: &str, range: &Range<usize>) -> bool {
    let mut after = text.get(range.end..).unwrap_or_default().chars();
    let mut before = text.get(..range.start).unwrap_or_default().chars().rev();
    let is_digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    (after.next() == Some('.') && is_digit(after.next())) || (before.next() == Some('.') && is_digit(before.next()))
}
