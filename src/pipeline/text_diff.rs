//! What changed in a prompt, as people read it: a unified diff, in bounded room.

use similar::{Algorithm, Change, ChangeTag};

/// Lines around a change that are shown with it.
const AROUND: usize = 1;
/// Pairs of lines that are compared at most; of texts beyond that only what is before and behind all changes is found.
const MOST_PAIRS: usize = 4_000_000;
/// Characters of a line that are shown.
const WIDEST: usize = 160;

/// A line of both texts, of the old one only, or of the new one only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Both(&'a str),
    Old(&'a str),
    New(&'a str),
}

/// The changes from `old` to `new`, at most `most` lines of them; the last one then says how many more there are.
pub(super) fn unified(old: &str, new: &str, most: usize) -> Vec<String> {
    let lines = compare(&old.lines().collect::<Vec<_>>(), &new.lines().collect::<Vec<_>>());
    let mut shown = Vec::new();
    let (mut old_at, mut new_at, mut last_shown) = (1, 1, None);
    for (at, line) in lines.iter().enumerate() {
        let near = lines.get(at.saturating_sub(AROUND)..(at + AROUND + 1).min(lines.len())).unwrap_or_default();
        if near.iter().any(|near| !matches!(near, Line::Both(_))) {
            if last_shown.is_none_or(|last| last + 1 != at) {
                shown.push(format!("@@ -{old_at} +{new_at} @@"));
            }
            last_shown = Some(at);
            let (mark, text) = match line {
                Line::Both(text) => (' ', text),
                Line::Old(text) => ('-', text),
                Line::New(text) => ('+', text),
            };
            shown.push(format!("{mark}{}", clipped(text)));
        }
        old_at += usize::from(!matches!(line, Line::New(_)));
        new_at += usize::from(!matches!(line, Line::Old(_)));
    }
    if shown.is_empty() && old != new {
        return vec!["only line ends differ".to_owned()];
    }
    if shown.len() > most {
        let more = shown.len() - most;
        shown.truncate(most);
        shown.push(format!("… and {more} lines more"));
    }
    shown
}

fn clipped(line: &str) -> String {
    match line.char_indices().nth(WIDEST) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line.to_owned(),
    }
}

/// Both texts line by line, with as many lines in common as Myers' algorithm finds.
fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let before = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let (old, new) = (old.split_at(before), new.split_at(before));
    let behind = old.1.iter().rev().zip(new.1.iter().rev()).take_while(|(old, new)| old == new).count();
    let (changed_old, rest) = old.1.split_at(old.1.len() - behind);
    let (changed_new, _) = new.1.split_at(new.1.len() - behind);
    let both = |lines: &[&'a str]| lines.iter().map(|line| Line::Both(line)).collect::<Vec<_>>();
    [both(old.0), changed(changed_old, changed_new), both(rest)].concat()
}

fn changed<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    if old.len().saturating_mul(new.len()) > MOST_PAIRS {
        return old.iter().map(|line| Line::Old(line)).chain(new.iter().map(|line| Line::New(line))).collect();
    }
    let line = |change: Change<&'a str>| match change.tag() {
        ChangeTag::Equal => Line::Both(change.value()),
        ChangeTag::Delete => Line::Old(change.value()),
        ChangeTag::Insert => Line::New(change.value()),
    };
    let runs = similar::capture_diff_slices(Algorithm::Myers, old, new);
    runs.iter().flat_map(|run| run.iter_changes(old, new)).map(line).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_change_is_shown_with_a_line_around_it_and_where_it_is() {
        let (old, new) = ("one\ntwo\nthree\nfour\nfive\nsix", "one\ntwo\nTHREE\nfour\nfive\nsix\nseven");
        let shown = unified(old, new, 20);
        assert_eq!(shown, ["@@ -2 +2 @@", " two", "-three", "+THREE", " four", "@@ -6 +6 @@", " six", "+seven"]);
        assert_eq!(unified(old, old, 20), Vec::<String>::new());
        assert_eq!(unified("a\r\nb", "a\nb", 20), ["only line ends differ"]);
    }

    #[test]
    fn a_diff_takes_bounded_room() {
        let long = |word: &str| (0..5_000).map(|n| format!("{word} {n} {}\n", "x".repeat(5_000))).collect::<String>();
        let shown = unified(&long("a"), &long("b"), 12);
        assert_eq!(shown.len(), 13);
        assert!(shown.iter().all(|line| line.chars().count() <= WIDEST + 2));
        assert_eq!(shown[12], "… and 9989 lines more");
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_from_their_comparison(old in "[ab\n]{0,24}", new in "[ab\n]{0,24}") {
            let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
            let lines = compare(&old, &new);
            let of = |without: fn(&Line<'_>) -> bool| lines.iter().filter(|line| !without(line)).map(|line| match line {
                Line::Both(text) | Line::Old(text) | Line::New(text) => *text,
            }).collect::<Vec<_>>();
            prop_assert_eq!(of(|line| matches!(line, Line::New(_))), old);
            prop_assert_eq!(of(|line| matches!(line, Line::Old(_))), new);
        }
    }
}
