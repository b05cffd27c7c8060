//! Tokens of a text without the tokenizer of the model that reads it.
//!
//! No endpoint tells which vocabulary it uses, so texts are measured by their letters: a token for four of the Latin script
//! (up to U+024F, with digits, spaces and punctuation), one for each letter of others. For vocabularies of 100,000 entries and
//! more that is right within about a quarter. It is an estimate wherever it is shown; what must not be exceeded is bounded by
//! bytes instead ([`upper_bound`](super::budget::upper_bound)).

use super::{ChatRequest, Message, ReplyFormat};

/// Tokens that a chat template puts around one message.
const AROUND_A_MESSAGE: u64 = 4;
/// The first letter behind Latin Extended-B.
const BEYOND_LATIN: char = '\u{250}';

/// Estimated tokens of a text.
pub(crate) fn tokens(text: &str) -> u64 {
    let all = text.chars().count() as u64;
    let latin = text.chars().filter(|letter| *letter < BEYOND_LATIN).count() as u64;
    latin.div_ceil(4) + (all - latin)
}

/// Estimated tokens of messages.
pub(crate) fn messages<'m>(messages: impl IntoIterator<Item = &'m Message>) -> u64 {
    messages.into_iter().map(|message| tokens(&message.content) + AROUND_A_MESSAGE).sum()
}

/// Estimated tokens of a prompt, the schema that comes with it included.
pub(crate) fn prompt(request: &ChatRequest) -> u64 {
    let schema = match &request.format {
        ReplyFormat::Text { .. } => 0,
        ReplyFormat::Json { schema, .. } => tokens(schema.text()),
    };
    messages(request.messages.list().iter()) + schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latin_text_has_a_quarter_of_its_letters_and_others_a_token_a_letter() {
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("Bob, what do you think?"), 6);
        assert_eq!(tokens("我们去看看吧"), 6);
        assert_eq!(tokens("Año: 猫"), 2 + 1);
    }
}
