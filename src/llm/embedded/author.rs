//! The model as the one who fills in a schema's values.

use super::engine::EngineError;
use super::sampling::Sampling;
use super::schema::ValuePlan;
use super::session::{End, Session};
use super::slots::Slots;
use super::structured::{self, FieldWriter};
use super::vocabulary::Vocabulary;
use crate::draw::Draw;
use crate::llm::Usage;

/// A string has no more tokens than this, however much room there is: left alone, the model goes on and on.
const STRING_TOKENS: usize = 40;

/// A string ends with its sentence from this many tokens on: what the model adds to one sentence says it again.
const SENTENCE: usize = 6;

/// A [`FieldWriter`] whose values come from the model. Strings share what the skeleton leaves of the reply's tokens.
pub(super) struct Author<'a> {
    session: Session<'a>,
    sampling: Sampling,
    draw: Draw,
    /// Tokens written.
    used: usize,
    /// Tokens the reply may have.
    most: usize,
    /// Tokens left for strings.
    free: usize,
    /// Strings still to come.
    strings: usize,
}

/// Why writing ended early.
pub(super) enum WritingStop {
    /// The reply has all the tokens it may have.
    Full,
    /// Something else.
    Failed(EngineError),
}

impl From<EngineError> for WritingStop {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Author<'a> {
    /// Goes on from `session`, in up to `most` tokens.
    pub(super) fn new(
        session: Session<'a>,
        plan: &ValuePlan,
        sampling: Sampling,
        draw: Draw,
        most: usize,
    ) -> Result<Self, EngineError> {
        let mut skeleton = Skeleton { vocabulary: session.vocabulary(), tokens: 0, strings: 0 };
        structured::fill(plan, &mut skeleton, &mut String::new())?;
        let (tokens, strings) = (skeleton.tokens, skeleton.strings);
        Ok(Self { session, sampling, draw, used: 0, most, free: most.saturating_sub(tokens), strings })
    }

    /// Ends the reply, leaves what was read in `slots`, and says what it came to.
    pub(super) fn close(self, slots: &Slots) -> Usage {
        let usage = self.session.usage(self.used);
        self.session.close(slots);
        usage
    }

    fn write(&mut self, tokens: &[u32]) -> Result<(), WritingStop> {
        if self.used + tokens.len() > self.most {
            return Err(WritingStop::Full);
        }
        self.used += tokens.len();
        Ok(self.session.read(tokens)?)
    }

    /// The likeliest of `allowed`, or one drawn in proportion.
    fn among(&mut self, allowed: &[u32]) -> u32 {
        let logits = self.session.logits();
        let mut masked = vec![f32::NEG_INFINITY; logits.len()];
        for id in allowed.iter().map(|id| *id as usize) {
            if let (Some(open), Some(logit)) = (masked.get_mut(id), logits.get(id)) {
                *open = *logit;
            }
        }
        self.sampling.choose(&masked, &mut self.draw)
    }
}

impl FieldWriter for Author<'_> {
    type Error = WritingStop;

    fn print(&mut self, text: &str) -> Result<(), WritingStop> {
        let tokens = self.session.vocabulary().encode(text);
        self.write(&tokens)
    }

    /// Goes down the tree of the options' tokens. An option that ends where others go on competes as the line break
    /// after it. Free text is chosen where the model begins with none of the others.
    fn pick(&mut self, options: &[String]) -> Result<usize, WritingStop> {
        let vocabulary = self.session.vocabulary();
        let line = vocabulary.line();
        let encoded = options.iter().map(|option| vocabulary.encode(option));
        let mut left: Vec<(usize, Vec<u32>)> = encoded.enumerate().collect();
        if let Some(free) = options.iter().position(String::is_empty) {
            left.remove(free);
            let token = self.session.next(&self.sampling, true, &mut self.draw);
            if left.iter().all(|(_, tokens)| tokens.first() != Some(&token)) {
                return Ok(free);
            }
        }
        for depth in 0.. {
            let next = |tokens: &[u32]| tokens.get(depth).copied().unwrap_or(line);
            let mut allowed: Vec<u32> = left.iter().map(|(_, tokens)| next(tokens)).collect();
            allowed.sort_unstable();
            allowed.dedup();
            let token = if let [only] = allowed[..] { only } else { self.among(&allowed) };
            left.retain(|(_, tokens)| next(tokens) == token);
            match left.first() {
                Some((_, tokens)) if depth < tokens.len() => self.write(&[token])?,
                Some((index, _)) => return Ok(*index),
                None => break,
            }
        }
        Ok(0)
    }

    fn compose(&mut self, max_chars: usize) -> Result<String, WritingStop> {
        let share = self.free.checked_div(self.strings).unwrap_or(self.free);
        let room = share.min(STRING_TOKENS).min(self.most - self.used);
        if room == 0 {
            return Err(WritingStop::Full);
        }
        let begin = self.session.length();
        let end = End { line: true, stop: &[], max_chars, sentence: SENTENCE.min(room / 2) };
        let written = self.session.write(&self.sampling, &end, room, &mut self.draw)?;
        self.used += written.tokens;
        self.free = self.free.saturating_sub(written.tokens);
        self.strings = self.strings.saturating_sub(1);
        if written.complete && written.text.chars().count() <= max_chars {
            return Ok(written.text);
        }
        // The model is to go on from what is kept, not from what was cut off.
        let kept = rounded(&written.text, max_chars).to_owned();
        self.session.rewind(begin)?;
        self.session.read(&self.session.vocabulary().encode(&kept))?;
        Ok(kept)
    }
}

/// As much of a torn `text` as has up to `max_chars` characters and ends well: with a sentence, else with a word.
fn rounded(text: &str, max_chars: usize) -> &str {
    let limit = text.char_indices().nth(max_chars).map_or(text.len(), |(index, _)| index);
    let text = text.get(..limit).unwrap_or(text);
    let sentence = text.rfind(['.', '!', '?']).map(|index| index + 1);
    let word = text.rfind(char::is_whitespace);
    let kept = sentence.or(word).and_then(|end| text.get(..end)).unwrap_or(text);
    kept.trim_end_matches(|c: char| c.is_whitespace() || c == ',')
}

/// A [`FieldWriter`] that only counts: what a reply comes to whose strings are empty and whose choices are the longest.
struct Skeleton<'a> {
    vocabulary: &'a Vocabulary,
    tokens: usize,
    strings: usize,
}

impl FieldWriter for Skeleton<'_> {
    type Error = EngineError;

    fn print(&mut self, text: &str) -> Result<(), EngineError> {
        self.tokens += self.vocabulary.encode(text).len();
        Ok(())
    }

    fn pick(&mut self, options: &[String]) -> Result<usize, EngineError> {
        let lengths = options.iter().map(|option| self.vocabulary.encode(option).len());
        let longest = lengths.enumerate().max_by_key(|(_, length)| *length).unwrap_or_default();
        self.tokens += longest.1;
        Ok(longest.0)
    }

    fn compose(&mut self, _: usize) -> Result<String, EngineError> {
        self.strings += 1;
        Ok(String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_text_is_cut_where_it_reads_well() {
        assert_eq!(rounded("One is done. Two is not yet", 100), "One is done.");
        assert_eq!(rounded("no sentence, here at", 100), "no sentence, here");
        assert_eq!(rounded("ünïcödé words", 9), "ünïcödé");
        assert_eq!(rounded("endless", 4), "endl");
        assert_eq!(rounded("", 4), "");
    }
}
