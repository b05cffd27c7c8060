//! Breaking text into lines of a terminal's columns, in scripts with and without spaces.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns that `text` takes.
pub(super) fn columns(text: &str) -> usize {
    text.width()
}

/// `text` in lines of at most `width` columns, broken at white space, and within words that have none to offer: between
/// wide characters, and where a word is longer than a line.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        for (at, piece) in pieces(word, width).into_iter().enumerate() {
            let Some(line) = lines.last_mut() else { continue };
            let gap = if at == 0 && !line.is_empty() { " " } else { "" };
            // A mark after a wide character does not begin a line.
            let glued = at > 0 && !piece.contains(char::is_alphanumeric);
            if line.is_empty() || glued || columns(line) + gap.len() + columns(piece) <= width {
                line.push_str(gap);
                line.push_str(piece);
            } else {
                lines.push(piece.to_owned());
            }
        }
    }
    lines
}

/// What may not be broken: the whole word, or each of its characters.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let has_wide = word.graphemes(true).any(|character| columns(character) > 1);
    if has_wide || columns(word) > width { word.graphemes(true).collect() } else { vec![word] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_between_wide_characters() {
        assert_eq!(wrap("one two  three\nfour", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("你好，我们什么时候走？", 8), ["你好，我", "们什么时", "候走？"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 9), [""]);
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(text in "[a-z你好é ]{0,80}", width in 2_usize..30) {
            let lines = wrap(&text, width);
            let bare = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            proptest::prop_assert_eq!(bare(&lines.concat()), bare(&text));
            for line in lines {
                proptest::prop_assert!(columns(&line) <= width, "{} in {}", line, width);
            }
        }
    }
}
