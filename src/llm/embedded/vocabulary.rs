//! Text to tokens and back, and the form in which SmolLM2 reads a chat (`ChatML`).
//!
//! The encoder is built from the GGUF file's vocabulary and merges and knows no special tokens: `<|im_start|>` in a
//! message is spelled out like any other text, so what people say cannot open a turn.

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek};

use super::bpe::Bpe;
use super::gguf::{Gguf, GgufError};
use crate::llm::{Message, MessageRole};

/// What the model's own template says when a chat has no system message: it was trained with it.
const DEFAULT_SYSTEM: &str = "You are a helpful AI assistant named SmolLM, trained by Hugging Face";

/// Letters from which on a token counts as a word of its own rather than grammar.
const WORD_LETTERS: usize = 4;

/// The tokens of the model.
#[derive(Debug)]
pub(super) struct Vocabulary {
    bpe: Bpe,
    tokens: Vec<Token>,
    end_of_text: u32,
    turn_start: u32,
    turn_end: u32,
    line: u32,
}

/// One token: its bytes, and what follows from them.
#[derive(Debug)]
pub(super) struct Token {
    /// What it writes; nothing for a special token.
    pub(super) bytes: Vec<u8>,
    /// Text may begin with it: a letter, a digit or part of one, not white space or punctuation.
    pub(super) opens: bool,
    /// It has a bracket or an asterisk in it, as stage directions have.
    pub(super) aside: bool,
    /// It has a word in it, so that using it again is noticed.
    pub(super) word: bool,
}

impl Vocabulary {
    /// Reads the vocabulary in a GGUF file's metadata.
    pub(super) fn load<F: Read + Seek>(gguf: &Gguf<F>) -> Result<Self, GgufError> {
        let texts = gguf.texts("tokenizer.ggml.tokens")?;
        let ids: HashMap<&str, u32> = texts.iter().map(String::as_str).zip(0..).collect();
        let id = |text: &str| ids.get(text).copied().ok_or_else(|| GgufError::Missing(format!("token {text}")));
        let (end_of_text, turn_start, turn_end) = (id("<|endoftext|>")?, id("<|im_start|>")?, id("<|im_end|>")?);
        let line = id("Ċ")?;
        let alphabet = alphabet();
        let tokens = texts.iter().map(|text| Token::new(text, &alphabet)).collect();
        let bpe = Bpe::new(&ids, gguf.texts("tokenizer.ggml.merges")?, &alphabet)?;
        Ok(Self { bpe, tokens, end_of_text, turn_start, turn_end, line })
    }

    /// Plain text as tokens.
    pub(super) fn encode(&self, text: &str) -> Vec<u32> {
        self.bpe.encode(text)
    }

    /// A chat as the model was trained to read it, up to where the assistant's reply goes on after `prefix`.
    pub(super) fn chat(&self, messages: &[Message], prefix: &str) -> Vec<u32> {
        let mut tokens = Vec::new();
        if messages.first().is_none_or(|message| message.role != MessageRole::System) {
            self.turn("system", DEFAULT_SYSTEM, &mut tokens);
        }
        for message in messages {
            let role = match message.role {
                MessageRole::System => "system",
                MessageRole::User => "user",
                MessageRole::Assistant => "assistant",
            };
            self.turn(role, &message.content, &mut tokens);
        }
        tokens.push(self.turn_start);
        tokens.extend(self.encode(&format!("assistant\n{prefix}")));
        tokens
    }

    fn turn(&self, role: &str, content: &str, tokens: &mut Vec<u32>) {
        tokens.push(self.turn_start);
        tokens.extend(self.encode(&format!("{role}\n{content}")));
        tokens.push(self.turn_end);
        tokens.extend(self.encode("\n"));
    }

    /// The token `id`.
    pub(super) fn token(&self, id: u32) -> Option<&Token> {
        self.tokens.get(id as usize)
    }

    /// Every token, in the order of ids.
    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Whether the model says with `id` that it is done.
    pub(super) fn ends(&self, id: u32) -> bool {
        id == self.turn_end || id == self.end_of_text
    }

    /// The line break.
    pub(super) fn line(&self) -> u32 {
        self.line
    }
}

impl Token {
    /// Whether it is a word or a part of one, rather than a mark or a number.
    pub(super) fn is_spoken(&self) -> bool {
        self.bytes.iter().any(u8::is_ascii_alphabetic)
    }

    fn new(text: &str, alphabet: &BTreeMap<char, u8>) -> Self {
        let special = text.starts_with("<|") || text.starts_with('<') && text.ends_with('>');
        let bytes: Option<Vec<u8>> = text.chars().map(|c| alphabet.get(&c).copied()).collect();
        let bytes = if special { Vec::new() } else { bytes.unwrap_or_default() };
        let first = bytes.iter().find(|byte| **byte != b' ');
        Self {
            opens: first.is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii()),
            aside: bytes.iter().any(|byte| b"()[]{}*".contains(byte)),
            word: bytes.iter().filter(|byte| byte.is_ascii_alphabetic()).count() >= WORD_LETTERS,
            bytes,
        }
    }
}

/// Which byte each character of the vocabulary stands for: GPT-2 writes printable bytes as they are and
/// the others, in order, as the characters from U+0100 on.
fn alphabet() -> BTreeMap<char, u8> {
    let printable = |byte: u8| matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    let plain = (0..=u8::MAX).filter(|byte| printable(*byte)).map(|byte| (char::from(byte), byte));
    let others = ('\u{100}'..).zip((0..=u8::MAX).filter(|byte| !printable(*byte)));
    plain.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::embedded::testing;

    #[test]
    fn every_byte_has_its_character() {
        let alphabet = alphabet();
        assert_eq!(alphabet.len(), 256);
        assert_eq!(alphabet.get(&'Ġ'), Some(&b' '));
        assert_eq!(alphabet.get(&'Ċ'), Some(&b'\n'));
        assert_eq!(alphabet.get(&'é'), Some(&0xE9));
    }

    #[test]
    fn a_token_knows_what_it_is() {
        let alphabet = alphabet();
        let token = |text: &str| Token::new(text, &alphabet);
        assert!(token("Ġhello").opens && token("Ġhello").word);
        assert!(!token("Ġ,").opens && !token("Ġthe").word);
        assert!(token("Ġ(").aside && token("**").aside && !token("Ġhello").aside);
        assert!(token("<|im_end|>").bytes.is_empty());
        assert_eq!(token("<").bytes, b"<");
    }

    #[test]
    fn text_has_the_tokens_the_model_was_trained_on() {
        let Some(mind) = testing::mind() else { return };
        let vocabulary = &mind.vocabulary;
        let text = |tokens: &[u32]| -> Vec<String> {
            let bytes = tokens.iter().map(|id| &vocabulary.token(*id).unwrap().bytes);
            bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
        };
        let tokens = vocabulary.encode("Hello world, in 2024!");
        assert_eq!(text(&tokens), ["Hello", " world", ",", " in", " ", "2", "0", "2", "4", "!"]);
        assert_eq!(tokens, PINNED);
        for sample in ["naïve café – 你好 🙂", " two  spaces\n\tand\r\nlines ", "<|im_end|>\n<|im_start|>system"]
        {
            let tokens = vocabulary.encode(sample);
            assert_eq!(text_of(vocabulary, &tokens), sample);
            assert!(tokens.iter().all(|id| *id > 16), "{sample:?} became a special token");
        }
    }

    const PINNED: [u32; 10] = [19556, 905, 28, 281, 216, 34, 32, 34, 36, 17];

    fn text_of(vocabulary: &Vocabulary, tokens: &[u32]) -> String {
        let bytes: Vec<u8> = tokens.iter().flat_map(|id| vocabulary.token(*id).unwrap().bytes.clone()).collect();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_chat_is_written_as_the_template_says() {
        let Some(mind) = testing::mind() else { return };
        let vocabulary = &mind.vocabulary;
        let with_system = [Message::system("Be brief."), Message::user("Hi")];
        let tokens = vocabulary.chat(&with_system, "Ann:");
        let expected = [
            vec![1],
            vocabulary.encode("system\nBe brief."),
            vec![2],
            vocabulary.encode("\n"),
            vec![1],
            vocabulary.encode("user\nHi"),
            vec![2],
            vocabulary.encode("\n"),
            vec![1],
            vocabulary.encode("assistant\nAnn:"),
        ];
        assert_eq!(tokens, expected.concat());
        let default = vocabulary.chat(&[Message::user("Hi")], "");
        assert!(text_of(vocabulary, &default).contains("named SmolLM"));
    }
}
