//! What counts as the same text.
//!
//! Case, punctuation, white space and Unicode spelling (NFC or NFD, full or half width, invisible marks) do not make a
//! text new. Letters, digits, combining marks and pictographs do.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Characters of ASCII that are looked at together.
const STEP: usize = 16;

/// The text as it is compared: NFKC, lower case, every run of punctuation and white space one space.
///
/// A text of nothing but punctuation is kept as it is, in NFKC: `?!` is not the same as `...`.
pub(crate) fn normalize(text: &str) -> String {
    let mut normal = Normal { bytes: Vec::with_capacity(text.len() + 1), gap: true };
    let mut rest = text;
    while !rest.is_empty() {
        let (plain, marked, behind) = cut(rest);
        normal.push_ascii(plain.as_bytes());
        marked.nfkc().flat_map(char::to_lowercase).for_each(|c| normal.push(c));
        rest = behind;
    }
    normal.finish().unwrap_or_else(|| text.nfkc().filter(|c| !c.is_whitespace()).collect())
}

/// A run of ASCII, which NFKC leaves as it is; a run that it may change, from the last ASCII character before it on, since
/// a mark may join that; and the rest, which begins with ASCII, so that nothing joins it to what is before it.
fn cut(text: &str) -> (&str, &str, &str) {
    let bytes = text.as_bytes();
    // By steps first: asking of many at once is what processors are fast at.
    let steps = bytes.chunks(64).take_while(|step| step.is_ascii()).count() * 64;
    let rest = bytes.get(steps..).unwrap_or_default();
    let Some(first) = rest.iter().position(|byte| !byte.is_ascii()).map(|at| steps + at) else { return (text, "", "") };
    let length = bytes.iter().skip(first).position(u8::is_ascii).unwrap_or(bytes.len() - first);
    let (run, rest) = text.split_at(first + length);
    let (plain, marked) = run.split_at(first.saturating_sub(1));
    (plain, marked, rest)
}

/// A text on its way.
struct Normal {
    /// UTF-8.
    bytes: Vec<u8>,
    /// Whether a word would begin here: there is nothing yet, or a space.
    gap: bool,
}

impl Normal {
    fn push(&mut self, c: char) {
        match class(c) {
            Class::Invisible => {}
            Class::Gap if self.gap => {}
            Class::Gap => self.push_char(' '),
            Class::Word => self.push_char(c),
        }
    }

    fn push_char(&mut self, c: char) {
        self.gap = c == ' ';
        self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    }

    /// The same for many characters. Most steps have no space behind another, which is seen at once, and stay as they are.
    fn push_ascii(&mut self, ascii: &[u8]) {
        let (steps, rest) = ascii.as_chunks::<STEP>();
        for step in steps {
            let folded = step.map(fold);
            let mut before = [if self.gap { b' ' } else { b'x' }; STEP];
            before.iter_mut().skip(1).zip(folded).for_each(|(to, byte)| *to = byte);
            if folded.iter().zip(before).fold(false, |doubled, (byte, before)| doubled | is_doubled(*byte, before)) {
                self.push_folded(&folded);
            } else {
                self.bytes.extend_from_slice(&folded);
                self.gap = folded.last() == Some(&b' ');
            }
        }
        let mut folded = [b' '; STEP];
        folded.iter_mut().zip(rest).for_each(|(to, byte)| *to = fold(*byte));
        self.push_folded(folded.get(..rest.len()).unwrap_or_default());
    }

    /// Without a branch that depends on the text: what does not count is written over by the next.
    fn push_folded(&mut self, folded: &[u8]) {
        let Self { bytes, gap } = self;
        let (mut end, mut last) = (bytes.len(), if *gap { b' ' } else { b'x' });
        bytes.resize(end + folded.len(), 0);
        for byte in folded {
            if let Some(place) = bytes.get_mut(end) {
                *place = *byte;
            }
            end += usize::from(!is_doubled(*byte, last));
            last = *byte;
        }
        *gap = last == b' ';
        bytes.truncate(end);
    }

    /// The text, if a word is in it.
    fn finish(mut self) -> Option<String> {
        if self.gap {
            self.bytes.pop();
        }
        String::from_utf8(self.bytes).ok().filter(|text| !text.is_empty())
    }
}

/// Letters in lower case, digits, and spaces for everything else of ASCII. By arithmetic, which is done on many at once.
fn fold(byte: u8) -> u8 {
    let lower = byte | 0x20;
    let (is_letter, is_digit) = (lower.wrapping_sub(b'a') < 26, byte.wrapping_sub(b'0') < 10);
    if is_letter {
        lower
    } else if is_digit {
        byte
    } else {
        b' '
    }
}

/// Whether a folded character is a space behind another: letters and digits have more bits than a space, or others.
fn is_doubled(byte: u8, before: u8) -> bool {
    byte | before == b' '
}

enum Class {
    /// Part of a word.
    Word,
    /// Between words.
    Gap,
    /// Changes nothing that is read: joiners, direction marks, variation selectors, soft hyphens.
    Invisible,
}

fn class(c: char) -> Class {
    match c {
        '\u{ad}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' => Class::Invisible,
        _ if c.is_alphanumeric() || is_combining_mark(c) || is_pictograph(c) => Class::Word,
        _ => Class::Gap,
    }
}

/// Arrows, symbols and emoji from U+2190 on carry meaning; the punctuation blocks among them do not.
fn is_pictograph(c: char) -> bool {
    c >= '\u{2190}' && !c.is_whitespace() && !matches!(c, '\u{2e00}'..='\u{2e7f}' | '\u{3000}'..='\u{30ff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, character by character.
    fn oracle(text: &str) -> String {
        let mut normal = String::new();
        let mut gap = false;
        for c in text.nfkc().flat_map(char::to_lowercase) {
            match class(c) {
                Class::Invisible => {}
                Class::Gap => gap = !normal.is_empty(),
                Class::Word => {
                    normal.extend(std::mem::take(&mut gap).then_some(' '));
                    normal.push(c);
                }
            }
        }
        if normal.is_empty() { text.nfkc().filter(|c| !c.is_whitespace()).collect() } else { normal }
    }

    #[test]
    fn what_does_not_make_a_text_new() {
        let plain = normalize("Café talk: “it is late”, she said.");
        assert_eq!(plain, "café talk it is late she said");
        assert_eq!(normalize("  CAFE\u{301} talk —\n\"it is\tlate\" she\u{200b} said!!"), plain);
        assert_eq!(normalize("ＡＢＣ１２"), "abc12");
        assert_eq!(normalize("नमस्ते दुनिया।"), "नमस्ते दुनिया");
    }

    #[test]
    fn what_does() {
        assert_ne!(normalize("👍"), normalize("👎"));
        assert_ne!(normalize("?!"), normalize("..."));
        assert_ne!(normalize("nothing 👍"), normalize("nothing"));
        assert_eq!(normalize(" \n"), "");
    }

    #[test]
    fn unicode_spelling_does_not_matter() {
        proptest::proptest!(|(text in "[ -~é\u{301}\u{323}\u{200d}’ﬁ각ᄀㅏΣ]{0,12}\\PC{0,40}")| {
            let composed: String = text.nfc().collect();
            let decomposed: String = text.nfd().collect();
            proptest::prop_assert_eq!(normalize(&composed), normalize(&decomposed));
            let normal = normalize(&text);
            proptest::prop_assert!(!normal.contains("  ") && normal.trim() == normal);
            proptest::prop_assert_eq!(normal, oracle(&text));
        });
    }
}
