//! The model in the middle of a text: reading on, going back, sampling up to an end.

use super::engine::{EngineError, LoadedModel};
use super::model::{CONTEXT, Memory};
use super::sampling::Sampling;
use super::slots::Slots;
use super::vocabulary::Vocabulary;
use crate::draw::Draw;
use crate::llm::{ChatRequest, Usage};

/// Tokens read between two looks at whether anyone still waits.
const PATIENCE: usize = 128;

/// Where a text ends, besides where the model says so.
pub(super) struct End<'a> {
    /// At a line break.
    pub(super) line: bool,
    /// At any of these.
    pub(super) stop: &'a [String],
    /// When it has this many characters.
    pub(super) max_chars: usize,
    /// With the sentence, from this many tokens on.
    pub(super) sentence: usize,
}

impl End<'_> {
    /// Where `bytes` has to be cut, if it has to.
    fn cut(&self, bytes: &[u8]) -> Option<usize> {
        let line = bytes.iter().position(|byte| self.line && *byte == b'\n');
        let find = |stop: &String| bytes.windows(stop.len().max(1)).position(|window| window == stop.as_bytes());
        self.stop.iter().filter_map(find).chain(line).min()
    }
}

/// A text as it was sampled.
#[derive(Debug, Default)]
pub(super) struct SampledText {
    pub(super) text: String,
    /// It came to its end and was not cut off.
    pub(super) complete: bool,
    /// Tokens sampled, the one that ended it included.
    pub(super) tokens: usize,
}

/// The model in the middle of a text.
pub(super) struct Session<'a> {
    mind: &'a LoadedModel,
    memory: Memory,
    /// The state after the last token.
    state: Vec<f32>,
    /// Tokens of the prompt.
    pub(super) prompt: usize,
    abandoned: &'a dyn Fn() -> bool,
}

impl<'a> Session<'a> {
    /// Reads the prompt of `request`, up to where the reply goes on after `prefix`.
    pub(super) fn open(
        mind: &'a LoadedModel,
        request: &ChatRequest,
        prefix: &str,
        slots: &Slots,
        abandoned: &'a dyn Fn() -> bool,
    ) -> Result<Self, EngineError> {
        let prompt = mind.vocabulary.chat(&request.messages.list(), prefix);
        let reply = request.max_tokens as usize;
        if prompt.len().saturating_add(reply) > CONTEXT {
            return Err(EngineError::TooLong { prompt: prompt.len(), reply });
        }
        // The last token is read again in any case: what comes after it follows from its state.
        let known = prompt.get(..prompt.len().saturating_sub(1)).unwrap_or_default();
        let memory = slots.take(known);
        let rest = memory.tokens().len();
        let mut session = Self { mind, memory, state: Vec::new(), prompt: prompt.len(), abandoned };
        session.read(prompt.get(rest..).unwrap_or_default())?;
        Ok(session)
    }

    /// Leaves what was read for others to go on from.
    pub(super) fn close(self, slots: &Slots) {
        slots.put(self.memory);
    }

    /// The bill, for a reply of `completion` tokens.
    pub(super) fn usage(&self, completion: usize) -> Usage {
        // What is reused depends on what else was asked before, which a resumed run does not repeat: it must not show.
        Usage {
            prompt_tokens: self.prompt as u64,
            cached_prompt_tokens: 0,
            completion_tokens: completion as u64,
            ..Usage::default()
        }
    }

    /// Goes on with `tokens`.
    pub(super) fn read(&mut self, tokens: &[u32]) -> Result<(), EngineError> {
        for part in tokens.chunks(PATIENCE) {
            if (self.abandoned)() {
                return Err(EngineError::Abandoned);
            }
            if self.memory.tokens().len() + part.len() > CONTEXT {
                return Err(EngineError::Overflow);
            }
            if let Some(state) = self.mind.llama.feed(part, &mut self.memory) {
                self.state = state;
            }
        }
        Ok(())
    }

    /// Goes back to where the text had `length` tokens.
    pub(super) fn rewind(&mut self, length: usize) -> Result<(), EngineError> {
        if length == self.memory.tokens().len() {
            return Ok(());
        }
        let last = length.checked_sub(1).and_then(|index| self.memory.tokens().get(index).copied());
        self.memory.truncate(length.saturating_sub(1));
        self.read(last.as_slice())
    }

    /// Samples text until `end`, the model's own end, or `max_tokens`.
    pub(super) fn write(
        &mut self,
        sampling: &Sampling,
        end: &End<'_>,
        max_tokens: usize,
        draw: &mut Draw,
    ) -> Result<SampledText, EngineError> {
        let mut bytes = Vec::new();
        let mut tokens = 0;
        let mut complete = false;
        while !complete && tokens < max_tokens && bytes.len() < end.max_chars.saturating_mul(4) {
            let token = self.next(sampling, bytes.is_empty(), draw);
            tokens += 1;
            complete = self.mind.vocabulary.ends(token);
            if complete {
                break;
            }
            let before = bytes.len();
            bytes.extend(self.mind.vocabulary.token(token).map(|token| token.bytes.as_slice()).unwrap_or_default());
            let Some(cut) = end.cut(&bytes) else {
                self.read(&[token])?;
                complete = tokens >= end.sentence && bytes.last().is_some_and(|byte| b".!?".contains(byte));
                if count_chars(&bytes) >= end.max_chars {
                    break;
                }
                continue;
            };
            // The token that has the end in it may begin with something that still belongs to the text.
            complete = true;
            bytes.truncate(cut);
            let rest = lossless(bytes.get(before..).unwrap_or_default());
            self.read(&self.mind.vocabulary.encode(&rest))?;
        }
        Ok(SampledText { text: lossless(&bytes), complete, tokens })
    }

    /// The tokens it is written in.
    pub(super) fn vocabulary(&self) -> &'a Vocabulary {
        &self.mind.vocabulary
    }

    /// How many tokens there are, prompt included.
    pub(super) fn length(&self) -> usize {
        self.memory.tokens().len()
    }

    /// How likely each token comes next.
    pub(super) fn logits(&self) -> Vec<f32> {
        self.mind.llama.logits(&self.state)
    }

    /// The next token of a text. One that is to begin does so with a word.
    pub(super) fn next(&self, sampling: &Sampling, begins: bool, draw: &mut Draw) -> u32 {
        let vocabulary = &self.mind.vocabulary;
        let mut logits = self.logits();
        for ((id, token), logit) in (0..).zip(vocabulary.tokens()).zip(&mut logits) {
            let special = token.bytes.is_empty() && !vocabulary.ends(id);
            let unfit = begins && (!token.opens || sampling.shunned.contains(&id));
            if special || unfit || token.aside && !sampling.asides {
                *logit = f32::NEG_INFINITY;
            }
        }
        sampling.discourage(&mut logits, self.memory.tokens(), self.prompt, vocabulary);
        sampling.choose(&logits, draw)
    }
}

fn count_chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

/// `bytes` as text, without what is no text: a character that was cut in the middle.
fn lossless(bytes: &[u8]) -> String {
    bytes.utf8_chunks().map(|chunk| chunk.valid()).collect()
}
