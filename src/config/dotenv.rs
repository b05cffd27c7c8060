//! A `.env` file as other programs write it: `NAME=VALUE` lines, of which only some are meant for convogen.
//!
//! What a line says is taken as it stands, in quotes or without: nothing is put in for `$NAME`, so a key that holds a `$` stays
//! whole. A line that says nothing is skipped and counted; it is never repeated in a message, since it may hold a secret.

use std::collections::BTreeMap;

/// What a file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Assignments {
    /// Values by name; of two assignments the first counts, as elsewhere.
    pub(super) values: BTreeMap<String, String>,
    /// Lines, from 1, that are no assignment.
    pub(super) skipped: Vec<usize>,
}

/// Reads the text of a file.
pub(super) fn parse(text: &str) -> Assignments {
    let mut found = Assignments::default();
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match assignment(line, &mut lines) {
            Some((name, value)) => drop(found.values.entry(name).or_insert(value)),
            None => found.skipped.push(at + 1),
        }
    }
    found
}

/// The assignment that `line` begins; a value in quotes may go on over further lines.
fn assignment<'a>(line: &str, more: &mut (impl Iterator<Item = (usize, &'a str)> + Clone)) -> Option<(String, String)> {
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    if !is_name(name) {
        return None;
    }
    let value = match value.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(value.get(1..).unwrap_or_default(), quote, more)?,
        _ => without_comment(value).to_owned(),
    };
    Some((name.to_owned(), value))
}

/// Names as shells take them, and with the dots and dashes that some programs add.
fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

/// A value up to a comment, which a `#` behind white space begins.
fn without_comment(value: &str) -> &str {
    let comment = value.char_indices().find(|(at, c)| {
        let before = value.get(..*at).and_then(|before| before.chars().next_back());
        *c == '#' && before.is_none_or(char::is_whitespace)
    });
    comment.map_or(value, |(at, _)| value.get(..at).unwrap_or_default().trim_end())
}

/// A value up to its closing quote, which may stand on a later line; nothing where there is none, and no line is used up then.
fn quoted<'a>(start: &str, quote: char, more: &mut (impl Iterator<Item = (usize, &'a str)> + Clone)) -> Option<String> {
    let (mut value, mut rest, mut ahead) = (String::new(), start.to_owned(), more.clone());
    loop {
        let mut characters = rest.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' if quote == '"' => value.push_str(&escaped(characters.next())),
                end if end == quote => {
                    // What follows may be a comment alone.
                    let tail = characters.as_str().trim();
                    if !tail.is_empty() && !tail.starts_with('#') {
                        return None;
                    }
                    *more = ahead;
                    return Some(value);
                }
                other => value.push(other),
            }
        }
        value.push('\n');
        ahead.next()?.1.clone_into(&mut rest);
    }
}

/// What a backslash in double quotes and the character behind it stand for.
fn escaped(character: Option<char>) -> String {
    match character {
        Some('n') => "\n".to_owned(),
        Some('r') => "\r".to_owned(),
        Some('t') => "\t".to_owned(),
        Some(plain @ ('"' | '\\' | '$' | '\'' | '`')) => plain.to_string(),
        Some(other) => format!("\\{other}"),
        None => "\\".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_taken_as_they_stand() {
        let text = "\u{feff}# keys\r\nKEY=abc$DEF123456\r\nHASH=a#b\nTITLE=my own app  # said of it\nEMPTY=\nexport X = 1\nQ=\"two # words\" # note\n\
                    S='$HOME and \\n'\nD=\"a\\n\\\"b\\\" \\$c\"\nPEM=\"one\ntwo\"\nAFTER=1\nKEY=again\nEQ=a=b==\nBRACES=${OTHER}";
        let found = parse(text);
        let expected = [
            ("KEY", "abc$DEF123456"),
            ("HASH", "a#b"),
            ("TITLE", "my own app"),
            ("EMPTY", ""),
            ("X", "1"),
            ("Q", "two # words"),
            ("S", "$HOME and \\n"),
            ("D", "a\n\"b\" $c"),
            ("PEM", "one\ntwo"),
            ("AFTER", "1"),
            ("EQ", "a=b=="),
            ("BRACES", "${OTHER}"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, Assignments { values: BTreeMap::from(expected), skipped: Vec::new() });
    }

    #[test]
    fn lines_that_say_nothing_are_skipped_and_numbered() {
        let found = parse("A=1\nsk-secret and more\n[section]\n\nB=2\n1C=3\nD='never closed\nE=5\nF='x' y\n");
        assert_eq!(found.skipped, [2, 3, 6, 7, 9]);
        assert_eq!(found.values.keys().collect::<Vec<_>>(), ["A", "B", "E"]);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_any_value_without_line_breaks_comes_back_in_single_quotes(
            text in ".*", value in "[^'\r\n]*",
        ) {
            let _ = parse(&text);
            let found = parse(&format!("A='{value}'\n"));
            prop_assert_eq!(found.values.get("A"), Some(&value));
        }
    }
}
