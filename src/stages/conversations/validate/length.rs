//! Replies that are torn or far too long: cut at a sentence, or not kept.

use unicode_segmentation::UnicodeSegmentation;

use super::Flaw;
use super::words::{SpokenWords, count};

/// How long a reply may be, and whether it was cut off.
#[derive(Debug, Clone, Copy)]
pub(super) struct LengthAllowance {
    /// The word target, where there is one and the gate is on.
    pub(super) target: Option<u32>,
    /// Whether the token limit cut the reply off.
    pub(super) torn: bool,
}

impl LengthAllowance {
    /// A target is a wish: up to this many words nothing is cut.
    fn limit(self) -> Option<usize> {
        self.target.map(|target| target as usize * 2 + 10)
    }

    /// From here on a reply that cannot be cut is a speech.
    fn speech(self) -> Option<usize> {
        self.target.map(|target| target as usize * 3 + 40)
    }
}

/// Cuts a torn or overlong reply at its last sentence end within the limit. What is over it and cannot be cut stays, unless
/// it is a speech.
pub(super) fn cut(
    text: String,
    room: LengthAllowance,
    mended: &mut Vec<&'static str>,
) -> Result<(String, SpokenWords), Flaw> {
    let words = SpokenWords::of(&text);
    if !room.torn && room.limit().is_none_or(|limit| words.len() <= limit) {
        return Ok((text, words));
    }
    let kept = whole_sentences(&text, room.limit());
    if !kept.is_empty() {
        mended.push(if room.torn { "torn" } else { "too_long" });
        let words = SpokenWords::of(&kept);
        return Ok((kept, words));
    }
    if room.torn {
        return Err(Flaw::Torn);
    }
    if room.speech().is_some_and(|speech| words.len() > speech) { Err(Flaw::TooLong) } else { Ok((text, words)) }
}

/// The sentences at the start of `text` that end as sentences do and fit within `limit` words.
fn whole_sentences(text: &str, limit: Option<usize>) -> String {
    let mut kept = String::new();
    let mut length = 0;
    for sentence in text.split_sentence_bounds() {
        length += count(sentence);
        if !ends_sentence(sentence) || limit.is_some_and(|limit| length > limit) {
            break;
        }
        kept.push_str(sentence);
    }
    kept.trim_end().to_owned()
}

/// Whether a sentence mark stands at the end, closing quotes and brackets aside.
fn ends_sentence(sentence: &str) -> bool {
    let bare = sentence.trim_end().trim_end_matches(['"', '”', '“', '’', '\'', ')', '」', '』', '）', '*']);
    bare.ends_with(['.', '!', '?', '…', '。', '！', '？', '؟', '।'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torn(text: &str) -> Result<String, Flaw> {
        cut(text.to_owned(), LengthAllowance { target: None, torn: true }, &mut Vec::new()).map(|(text, _)| text)
    }

    fn aimed(text: &str, target: u32) -> Result<String, Flaw> {
        cut(text.to_owned(), LengthAllowance { target: Some(target), torn: false }, &mut Vec::new())
            .map(|(text, _)| text)
    }

    #[test]
    fn a_torn_reply_ends_at_a_sentence_or_not_at_all() {
        assert_eq!(torn("We wait. Then somebody will certainly co").unwrap(), "We wait.");
        assert_eq!(torn("我们等吧。然后肯定会有人").unwrap(), "我们等吧。");
        assert_eq!(torn("He said \"wait.\" And then he we").unwrap(), "He said \"wait.\"");
        assert_eq!(torn("Then somebody will certainly co"), Err(Flaw::Torn));
    }

    #[test]
    fn a_target_is_a_wish_and_a_speech_is_too_long() {
        let numbered = |count: usize| (0..count).map(|n| format!("w{n} ")).collect::<String>();
        assert_eq!(aimed(&format!("We wait. Then {}", numbered(40)), 2).unwrap(), "We wait.");
        assert_eq!(aimed(&numbered(50), 2), Err(Flaw::TooLong));
        assert_eq!(aimed(&numbered(16), 2).unwrap(), numbered(16));
        assert_eq!(
            cut(numbered(500), LengthAllowance { target: None, torn: false }, &mut Vec::new()).unwrap().0,
            numbered(500)
        );
    }
}
