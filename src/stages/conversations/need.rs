//! What a conversation takes from a budget until it ends: so that under a limit only those are begun that the rest can end.
//!
//! Both forecasts go to the maximum of turns. The likely one has one turn in four spoken and one speaker in eight chosen a
//! second time, and lines a little longer than the words that turns are given; the most has every repair and every try that the
//! settings allow, with replies as long as `max_tokens`. A prompt grows by every line that was spoken before.

use super::agents::{Script, TurnPrompt};
use super::next_speaker::SELECTOR_TRIES;
use crate::config::safety::Service;
use crate::config::{Conversations, Judge, Safety, SpeakerSelection};
use crate::llm::budget::{Estimate, Need, Take, upper_bound_of};
use crate::llm::recorded::CallGateway;
use crate::llm::{Message, Role, estimate};
use crate::prompt::template::PromptError;
use crate::record::Situation;
use crate::stages::{safety, transcript};

/// Tokens of a word, in languages written with spaces.
const TOKENS_PER_WORD: f64 = 1.4;
/// Words of a turn, likely and most, where no target is set.
const WORDS: (f64, f64) = (40.0, 120.0);
/// Tokens around a line in a transcript: the name, a colon, the break.
const AROUND_A_LINE: u64 = 5;
/// Bytes of a token, at most, in ordinary text.
const BYTES_PER_TOKEN: u64 = 6;
/// Tokens of the prompts for screens and scores without the transcript, likely; each has the people and their texts in it.
const ASSESSING: u64 = 1_500;
/// Lines in front of the turns: situation, topic, starter.
const LINES_IN_FRONT: f64 = 3.0;

/// What one conversation takes by the turns that are left.
#[derive(Debug)]
pub(crate) struct Forecast {
    turns: u64,
    speaker: Prompt,
    /// Where a model chooses: its prompt, and the turns for which it is asked.
    selector: Option<(Prompt, u64)>,
    repairs: u64,
    /// Tokens of a line, likely and most.
    line: (u64, u64),
    /// What finished conversations go through.
    after: Need,
}

/// A prompt before anything was said.
#[derive(Debug, Clone, Copy)]
struct Prompt {
    tokens: u64,
    /// What a reservation counts for it.
    bound: u64,
    /// Tokens of a reply.
    max_tokens: u64,
}

impl Forecast {
    /// The forecast for a conversation on `situation` that `script` writes the prompts of.
    ///
    /// # Errors
    /// If a prompt cannot be rendered.
    pub(super) fn new(
        settings: &Conversations,
        screens: (&Safety, &Judge),
        calls: &CallGateway,
        situation: &Situation,
        script: &mut Script<'_>,
    ) -> Result<Self, PromptError> {
        let people: Vec<usize> = (0..situation.personas.len()).collect();
        let fused = settings.speaker_selection == SpeakerSelection::Fused;
        let turn = TurnPrompt {
            speaker: 0,
            words: settings.words_per_turn.map(|words| whole(words.p90).try_into().unwrap_or(u32::MAX)),
            hand_over: fused.then(|| people.get(1..).unwrap_or_default()),
            may_end: true,
            flaw: Some("it was too long"),
        };
        let reply = |role| u64::from(calls.profile(role).max_tokens);
        let speaker = Prompt::of(&script.speak(&turn)?, reply(Role::Speaker));
        let turns = u64::from(settings.turns.max);
        let selector = if settings.speaker_selection == SpeakerSelection::Auto {
            let prompt = Prompt::of(&script.select(&people, true, turn.flaw)?, reply(Role::Selector));
            // Of two people, the one who did not speak last is the only candidate.
            Some((prompt, if people.len() > 2 || settings.allow_repeat_speaker { turns } else { 1 }))
        } else {
            None
        };
        let words =
            settings.words_per_turn.map_or(WORDS, |words| (f64::midpoint(words.median, words.p90), 2.0 * words.p90));
        let line = |words: f64| (whole(words * TOKENS_PER_WORD) + AROUND_A_LINE).min(speaker.max_tokens);
        let line = (line(words.0), line(words.1));
        let after = after(screens, calls, situation, turns, line);
        Ok(Self { turns, speaker, selector, repairs: u64::from(settings.max_repairs), line, after })
    }

    /// What it takes with so many turns `left`, the one at work included.
    pub(super) fn need(&self, left: u32) -> Need {
        let left = u64::from(left).min(self.turns);
        let mut need = self.after.clone();
        if left == 0 {
            return need;
        }
        let (speaking, most_speaking) = (left + left.div_ceil(4), left * (1 + self.repairs));
        need.likely.push(self.take(
            Role::Speaker,
            self.speaker,
            left,
            speaking.min(most_speaking),
            self.line.0,
            self.line.0,
        ));
        need.most.push(self.take(
            Role::Speaker,
            self.speaker,
            left,
            most_speaking,
            self.line.1,
            self.speaker.max_tokens,
        ));
        if let Some((prompt, asked)) = self.selector {
            let asked = asked.min(left);
            let tries = asked * u64::from(SELECTOR_TRIES);
            need.likely.push(self.take(
                Role::Selector,
                prompt,
                left,
                asked + asked.div_ceil(8),
                self.line.0,
                self.line.0,
            ));
            need.most.push(self.take(Role::Selector, prompt, left, tries, self.line.1, prompt.max_tokens));
        }
        need
    }

    /// `calls` calls over the turns left, each with the lines spoken before, and the bound of the last one: a reservation
    /// that does not fit ends the conversation as well as a call that cannot be paid.
    fn take(&self, role: Role, prompt: Prompt, left: u64, calls: u64, line: u64, reply: u64) -> Take {
        let first = self.turns - left;
        let lines_of_all = left * (first + self.turns - 1) / 2;
        let prompts = (left * prompt.tokens + lines_of_all * line) * calls / left;
        let last = prompt.bound + self.turns * line * BYTES_PER_TOKEN;
        let tokens = Estimate { prompt_tokens: prompts + last, completion_tokens: calls * reply + prompt.max_tokens };
        Take { role, calls, tokens }
    }
}

impl Prompt {
    fn of(messages: &[Message], max_tokens: u64) -> Self {
        Self { tokens: estimate::messages(messages), bound: upper_bound_of(messages), max_tokens }
    }
}

/// What screens and the judge take. They see the conversation once, and once more where their reply cannot be used.
fn after(
    (screens, judge): (&Safety, &Judge),
    calls: &CallGateway,
    situation: &Situation,
    turns: u64,
    line: (u64, u64),
) -> Need {
    let front = [&situation.situation, &situation.topic, &situation.conversation_starter];
    let front: u64 = front.into_iter().map(|text| text.len() as u64).sum();
    let mut need = Need::default();
    let mut assess = |role: Role| {
        let bound = |line: u64| (ASSESSING + turns * line) * BYTES_PER_TOKEN + front;
        let reply = u64::from(calls.profile(role).max_tokens);
        let take = |calls: u64, line: u64| {
            let tokens = Estimate { prompt_tokens: calls * bound(line), completion_tokens: calls * reply };
            Take { role, calls, tokens }
        };
        need.likely.push(take(1, line.0));
        need.most.push(take(u64::from(transcript::TRIES), line.1));
    };
    if judge.enabled {
        assess(Role::Judge);
    }
    match screens.service {
        Some(Service::Judge) => assess(Role::Safety),
        Some(service) => {
            let take = |line: u64| {
                let bytes = front + turns * line * BYTES_PER_TOKEN;
                let calls = whole(safety::pieces_of(service, turns as f64 + LINES_IN_FRONT, bytes as f64).ceil());
                // Such a service writes nothing.
                let tokens = Estimate { prompt_tokens: bytes + calls * upper_bound_of(&[]), completion_tokens: 0 };
                Take { role: Role::Safety, calls, tokens }
            };
            need.likely.push(take(line.0));
            need.most.push(take(line.1));
        }
        None => {}
    }
    need
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts made from settings that are checked"
)]
fn whole(number: f64) -> u64 {
    number.ceil() as u64
}
