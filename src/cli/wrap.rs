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

/// `text` with every line that is longer than `width` broken between words; what is broken off stands two columns further in.
/// Lines that fit stay as they are, so that tables keep their columns; a word that is longer than a line stays whole.
pub(super) fn fold(text: &str, width: usize) -> String {
    let folded: Vec<String> = text.split('\n').map(|line| fold_line(line, width)).collect();
    folded.join("\n")
}

fn fold_line(line: &str, width: usize) -> String {
    if columns(line) <= width {
        return line.to_owned();
    }
    let start = line.len() - line.trim_start().len();
    let (indent, words) = line.split_at(start);
    let deeper = format!("{indent}  ");
    let (mut folded, mut taken) = (indent.to_owned(), columns(indent));
    let mut is_first = true;
    for word in words.split_inclusive(' ') {
        let needed = columns(word.trim_end());
        if !is_first && taken + needed > width {
            folded.truncate(folded.trim_end().len());
            folded = folded + "\n" + &deeper;
            taken = columns(&deeper);
        }
        folded.push_str(word);
        taken += columns(word);
        is_first = false;
    }
    folded
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

    #[test]
    fn only_long_lines_are_folded_and_only_between_words() {
        let table = "            calls  tokens\nsituations     12     300";
        assert_eq!(fold(table, 30), table);
        assert_eq!(fold("  one two three four", 11), "  one two\n    three\n    four");
        assert_eq!(
            fold("see https://example.com/a/long/address now", 16),
            "see\n  https://example.com/a/long/address\n  now"
        );
    }

    proptest::proptest! {
        #[test]
        fn folding_breaks_no_word_and_loses_none(text in "[a-z ]{0,120}", width in 12_usize..40) {
            let folded = fold(&text, width);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            proptest::prop_assert_eq!(words(&folded), words(&text));
            for line in folded.lines().filter(|line| line.split_whitespace().count() > 1) {
                let longest = line.split_whitespace().map(str::len).max().unwrap_or(0);
                proptest::prop_assert!(columns(line.trim_end()) <= width || longest + 2 > width || line == text, "{:?}", line);
            }
        }

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
