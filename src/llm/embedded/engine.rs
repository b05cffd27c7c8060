//! Answering a request: from messages to a reply.
//!
//! A reply is a function of the request alone. Draws come from its seed, and what the model remembers of earlier
//! requests saves time without changing a bit of the outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufReader, Read, Seek};
use std::path::Path;

use super::author::{Author, WritingStop};
use super::echo;
use super::gguf::{Gguf, GgufError};
use super::model::{CONTEXT, Llama};
use super::sampling::{Penalties, Sampling};
use super::schema::{SchemaError, ValuePlan};
use super::session::{End, SampledText, Session};
use super::slots::Slots;
use super::structured;
use super::vocabulary::{Token, Vocabulary};
use crate::draw::Draw;
use crate::llm::{ChatRequest, Finish, Message, MessageRole, Reply, ReplyFormat};
use crate::store::fs;

/// Taken where a request leaves it open.
const TEMPERATURE: f64 = 0.8;

/// Taken where a request leaves it open.
const TOP_P: f64 = 0.95;

/// The share of the temperature that a form is filled in at: talk is livelier where it is high, but what a form says then has
/// nothing to do any more with what it was to be about.
const FORM: f64 = 0.5;

/// How often an utterance that echoes is sampled again.
const RESAMPLES: u8 = 2;

/// Tokens after which an utterance ends with its sentence: left alone, the model goes on.
const UTTERANCE: usize = 20;

/// An utterance begins unlike this many labelled lines before it.
const OPENINGS: usize = 3;

/// The repetition penalty to begin with. Less lets the model say everything twice; more drives it away from the words
/// the text is about, until nonsense is left.
const PENALTY: f32 = 1.15;

/// What is added to it each time an utterance is sampled again.
const STERNER: f32 = 0.1;

/// No sequence of this many words is copied from the prompt or said twice. Names are shorter, sentences longer.
const DISTINCT: usize = 4;

/// The model and its vocabulary.
#[derive(Debug)]
pub(super) struct LoadedModel {
    pub(super) llama: Llama,
    pub(super) vocabulary: Vocabulary,
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
pub(super) enum EngineError {
    #[error(
        "the prompt has {prompt} tokens and asks for up to {reply} more, but the embedded model reads {CONTEXT} in all; shorten the prompt or use an endpoint"
    )]
    TooLong { prompt: usize, reply: usize },
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("the caller no longer waits for the reply")]
    Abandoned,
    #[error("the text outgrew the {CONTEXT} tokens the embedded model reads; shorten the prompt or use an endpoint")]
    Overflow,
}

impl LoadedModel {
    /// Reads the GGUF file at `path`.
    pub(super) fn load(path: &Path) -> Result<Self, super::LoadError> {
        let file = BufReader::new(fs::open(path)?);
        Self::read(file).map_err(|reason| super::LoadError::Model { path: path.to_owned(), reason })
    }

    /// Reads the GGUF file `file`.
    pub(super) fn read(file: impl Read + Seek) -> Result<Self, GgufError> {
        let mut gguf = Gguf::read(file)?;
        let vocabulary = Vocabulary::load(&gguf)?;
        Ok(Self { llama: Llama::load(&mut gguf, vocabulary.tokens().len())?, vocabulary })
    }

    /// Answers `request`. `abandoned` tells that nobody waits any more.
    pub(super) fn answer(
        &self,
        request: &ChatRequest,
        slots: &Slots,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<Reply, EngineError> {
        match &request.format {
            ReplyFormat::Text { prefix } => self.text(request, prefix.as_deref(), slots, abandoned),
            ReplyFormat::Json { schema, .. } => self.json(request, &ValuePlan::read(schema)?, slots, abandoned),
        }
    }

    /// Samples a text, and again where it comes out as an echo; of several echoes the faintest is kept, and only it
    /// is counted.
    fn text(
        &self,
        request: &ChatRequest,
        prefix: Option<&str>,
        slots: &Slots,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<Reply, EngineError> {
        let mut session = Session::open(self, request, prefix.unwrap_or_default(), slots, abandoned)?;
        let shunned = prefix.map(|prefix| self.shunned(prefix, &request.messages.list())).unwrap_or_default();
        // What fills in a form has to name people and things again.
        let penalties = prefix.map(|_| Penalties::of(request.extra.as_deref())).unwrap_or_default();
        let bite = penalties != Penalties::default();
        let said = if bite { self.said(&request.messages.list()) } else { BTreeMap::new() };
        let end = End {
            line: prefix.is_some(),
            stop: &request.stop,
            max_chars: usize::MAX,
            sentence: if prefix.is_some() { UTTERANCE } else { usize::MAX },
        };
        let mut faintest: Option<(f64, SampledText)> = None;
        for attempt in 0..=RESAMPLES {
            session.rewind(session.prompt)?;
            let mut draw = Draw::new(request.seed, &["embedded", "text", &attempt.to_string()]);
            let penalty = PENALTY + STERNER * f32::from(attempt);
            let (shunned, said) = (shunned.clone(), said.clone());
            let asides = prefix.is_none();
            let sampling = Sampling { penalties, said, asides, shunned, ..sampling(request, penalty) };
            let written = session.write(&sampling, &end, request.max_tokens as usize, &mut draw)?;
            let overlap = echo::overlap(&written.text, &request.messages.list());
            if faintest.as_ref().is_none_or(|(least, _)| overlap < *least) {
                faintest = Some((overlap, written));
            }
            if overlap < echo::ECHO || request.temperature == Some(0.0) {
                break;
            }
        }
        let written = faintest.map(|(_, written)| written).unwrap_or_default();
        let finish = if written.complete { Finish::Stop } else { Finish::Length };
        let usage = session.usage(written.tokens);
        session.close(slots);
        Ok(Reply { text: written.text.trim().to_owned(), finish, usage })
    }

    /// The tokens an utterance does not begin with: the speaker's own name, which the model likes to call, and how the
    /// lines before it begin, or else all would begin alike.
    fn shunned(&self, prefix: &str, messages: &[Message]) -> Vec<u32> {
        let lines = messages.iter().flat_map(|message| message.content.lines());
        let spoken: Vec<&str> = lines.filter_map(|line| line.split_once(": ")).map(|(_, text)| text).collect();
        let mut shunned = Vec::new();
        for text in spoken.into_iter().rev().take(OPENINGS).chain([prefix.trim_end_matches(':')]) {
            shunned.extend(self.vocabulary.encode(&format!(" {text}")).first());
        }
        shunned
    }

    /// How often each token was said so far: in a line whose label was there before, since people are introduced in the
    /// same form, or by the model itself.
    fn said(&self, messages: &[Message]) -> BTreeMap<u32, u32> {
        let mut labels = BTreeSet::new();
        let mut said = BTreeMap::new();
        for message in messages.iter().filter(|message| message.role != MessageRole::System) {
            for line in message.content.lines() {
                let text = match line.split_once(": ") {
                    Some((label, text)) if !labels.insert(label) => text,
                    _ if message.role == MessageRole::Assistant => line,
                    _ => continue,
                };
                let tokens = self.vocabulary.encode(&format!(" {text}"));
                let spoken = tokens.into_iter().filter(|id| self.vocabulary.token(*id).is_some_and(Token::is_spoken));
                spoken.for_each(|id| *said.entry(id).or_default() += 1);
            }
        }
        said
    }

    fn json(
        &self,
        request: &ChatRequest,
        plan: &ValuePlan,
        slots: &Slots,
        abandoned: &dyn Fn() -> bool,
    ) -> Result<Reply, EngineError> {
        let session = Session::open(self, request, "", slots, abandoned)?;
        let draw = Draw::new(request.seed, &["embedded", "json"]);
        let sampling = sampling(request, PENALTY);
        let sampling = Sampling { temperature: sampling.temperature * FORM, ..sampling };
        let mut author = Author::new(session, plan, sampling, draw, request.max_tokens as usize)?;
        let mut text = String::new();
        let finish = match structured::fill(plan, &mut author, &mut text) {
            Ok(()) => Finish::Stop,
            Err(WritingStop::Full) => Finish::Length,
            Err(WritingStop::Failed(error)) => return Err(error),
        };
        let usage = author.close(slots);
        Ok(Reply { text: text.trim().to_owned(), finish, usage })
    }
}

fn sampling(request: &ChatRequest, penalty: f32) -> Sampling {
    Sampling {
        temperature: request.temperature.unwrap_or(TEMPERATURE),
        top_p: request.top_p.unwrap_or(TOP_P),
        penalty,
        penalties: Penalties::default(),
        said: BTreeMap::new(),
        distinct: DISTINCT,
        asides: true,
        shunned: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::embedded::testing;

    #[test]
    fn what_people_said_counts_and_neither_what_introduces_them_nor_what_is_asked() {
        let Some(mind) = testing::mind() else { return };
        let count = |messages: &[Message], words: &[&str]| {
            let said = mind.said(messages);
            let count = |word: &&str| said.get(&mind.vocabulary.encode(word)[0]).copied().unwrap_or(0);
            words.iter().map(count).collect::<Vec<u32>>()
        };
        let opener =
            "Ann: Ann is a nurse.\nBob: Bob is a cook.\n\nThey talk about this: soup\n\nAnn: The soup is cold.\n";
        let turn = "Bob: Cold soup is no soup.\n\nAnn thinks: It was hot.\nWhat does Ann say?";
        let shared = [Message::system("Ann: soup\nAnn: soup"), Message::user(format!("{opener}{turn}"))];
        assert_eq!(count(&shared, &[" soup", " cold", " nurse", " hot", " What", "."]), [3, 1, 0, 0, 0, 0]);
        let own = [Message::user("Bob: hi"), Message::assistant("The soup is cold."), Message::user("Now?")];
        assert_eq!(count(&own, &[" soup", " hi", "Now"]), [1, 0, 0]);
    }
}
