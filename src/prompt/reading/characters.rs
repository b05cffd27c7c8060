//! Characters that no text of a dataset has: control characters, and halves of surrogate pairs.

use std::borrow::Cow;

/// The escape that stands for a character nobody can read.
const UNREADABLE: &str = "\\ufffd";

/// `text` without control characters: line breaks are line feeds, a tab is a space, and a sequence that colours a terminal
/// goes as a whole.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unwanted) {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(is_unwanted) {
        let (kept, from) = rest.split_at(at);
        clean.push_str(kept);
        let mut behind = from.chars();
        match behind.next() {
            Some('\t' | '\u{b}' | '\u{c}' | '\u{85}') => clean.push(' '),
            Some('\r') if !behind.as_str().starts_with('\n') => clean.push('\n'),
            _ => {}
        }
        rest = after_escape(from).unwrap_or(behind.as_str());
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

fn is_unwanted(c: char) -> bool {
    (c.is_control() && c != '\n') || c == '\u{feff}'
}

/// What follows a control sequence of ECMA-48, such as `ESC [ 31 m`, at the start of `text`.
fn after_escape(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\u{1b}[").or_else(|| text.strip_prefix('\u{9b}'))?;
    let end = parameters.find(|c: char| !matches!(c, ' '..='?'))?;
    let rest = parameters.get(end..)?;
    rest.starts_with(|c: char| matches!(c, '@'..='~')).then(|| rest.get(1..)).flatten()
}

/// JSON in which no escape is half of a surrogate pair: U+FFFD takes the place of a half without the other.
///
/// Readers of JSON differ on such halves: some keep them, some replace them, `serde_json` refuses the whole text.
pub(crate) fn whole_surrogates(json: &str) -> Cow<'_, str> {
    if !json.contains("\\ud") && !json.contains("\\uD") {
        return Cow::Borrowed(json);
    }
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (kept, escape) = rest.split_at(at);
        mended.push_str(kept);
        let (written, length) = match (unit(escape), unit(escape.get(6..).unwrap_or_default())) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (None, 12),
            (Some(0xd800..=0xdfff), _) => (Some(UNREADABLE), 6),
            (Some(_), _) => (None, 6),
            // The backslash and what it stands before, which may be another backslash.
            (None, _) => (None, 1 + escape.chars().nth(1).map_or(0, char::len_utf8)),
        };
        let (taken, after) = escape.split_at(length.min(escape.len()));
        mended.push_str(written.unwrap_or(taken));
        rest = after;
    }
    mended.push_str(rest);
    Cow::Owned(mended)
}

/// The UTF-16 unit that an escape at the start of `text` stands for.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hex { u16::from_str_radix(digits, 16).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_go_and_white_space_stays_white_space() {
        for (text, clean) in [
            ("Oh\u{0} no\u{7}.", "Oh no."),
            ("a\tb\r\nc\rd", "a b\nc\nd"),
            ("\u{feff}Oh", "Oh"),
            ("\u{1b}[31mred\u{1b}[0m and \u{9b}1mbold", "red and bold"),
            ("\u{1b}[", "["),
            ("a\u{7f}b\u{85}c", "ab c"),
            ("schön 🙂 नमस्ते", "schön 🙂 नमस्ते"),
        ] {
            assert_eq!(printable(text), clean, "{text:?}");
        }
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_character_for_what_cannot_be_read() {
        for (json, text) in [
            (r#""Oh \ud83d no""#, "Oh \u{fffd} no"),
            (r#""Oh \uDE42""#, "Oh \u{fffd}"),
            (r#""\ud83d\ude42 \uD83D\uDE42""#, "🙂 🙂"),
            (r#""\ude42\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude42""#, "\u{fffd}🙂"),
            (r#""\\ud83d \u00e9 \"""#, "\\ud83d é \""),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
        ] {
            assert_eq!(serde_json::from_str::<String>(&whole_surrogates(json)).unwrap(), text, "{json}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_nothing_but_halves_changes(text in "(\\PC|\\\\|\\\\u|d83d|\\\\ud83d|\n|\u{7}|\u{1b}\\[){0,12}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(&whole_surrogates(&json), &json);
            let _ = whole_surrogates(&text);
            prop_assert!(!printable(&text).contains(is_unwanted));
            if !text.contains(is_unwanted) {
                prop_assert_eq!(&printable(&text), &text);
            }
        }
    }
}
