//! The course of one conversation: it is held, screened, and scored where that was asked for, all under one item, so that it
//! is resumed as one.

use super::inputs::{Inputs, InputsError};
use crate::config::Config;
use crate::llm::recorded::{Calls, Halt};
use crate::prompt::template::Template;
use crate::record::Situation;
use crate::stages::conversations::agents::Prompts;
use crate::stages::conversations::{self, Held};
use crate::stages::safety::words::Words;
use crate::stages::{judge, safety};

/// The texts that a course is made with, parsed.
#[derive(Debug)]
pub struct Texts {
    prompts: Prompts,
    words: Words,
    safety: Option<Template>,
    judge: Option<Template>,
}

/// What every conversation of a run goes through.
#[derive(Debug, Clone, Copy)]
pub struct Course<'a> {
    talk: conversations::Stage<'a>,
    safety: Option<safety::Stage<'a>>,
    judge: Option<judge::Stage<'a>>,
}

impl Texts {
    /// Parses what `inputs` holds.
    pub fn parse(inputs: &Inputs) -> Result<Self, InputsError> {
        Ok(Self {
            prompts: inputs.conversation_prompts()?,
            words: inputs.words()?,
            safety: inputs.safety_prompt()?,
            judge: inputs.judge_prompt()?,
        })
    }

    /// Whether there is a word list for a language.
    pub fn has_words_for(&self, language: &str) -> bool {
        self.words.speaks(language)
    }

    /// The course that `config` asks for.
    pub fn course<'a>(&'a self, config: &'a Config, calls: &'a Calls) -> Course<'a> {
        let seed = config.seed;
        let screens = config.safety.screen || config.safety.service.is_some();
        let safety =
            safety::Stage { settings: &config.safety, words: &self.words, prompt: self.safety.as_ref(), calls };
        let judge = self.judge.as_ref().filter(|_| config.judge.enabled);
        Course {
            talk: conversations::Stage { settings: &config.conversations, prompts: &self.prompts, calls, seed },
            safety: screens.then_some(safety),
            judge: judge.map(|prompt| judge::Stage { settings: &config.judge, prompt, calls, seed }),
        }
    }
}

impl Course<'_> {
    /// Takes the `replicate`-th conversation on `situation` from its first line to its scores.
    ///
    /// # Errors
    /// Only what stops the whole run.
    pub async fn hold(&self, situation: &Situation, replicate: u64) -> Result<Held, Halt> {
        self.screen(situation, self.talk.hold(situation, replicate).await?).await
    }

    /// As [`hold`](Self::hold), as far as recorded replies go. What is not over yet, and what a service or a judge was not
    /// asked about yet, has passed the local screen alone.
    ///
    /// # Errors
    /// What [`hold`](Self::hold) fails for, except that a reply is not there.
    pub async fn hold_so_far(&self, situation: &Situation, replicate: u64) -> Result<Held, Halt> {
        let local = |held: Held| match (held, &self.safety) {
            (Held::Accepted(mut conversation, ledger), Some(safety)) => {
                match safety.screen_locally(&mut conversation) {
                    Some(dropped) => Held::Dropped(dropped, ledger),
                    None => Held::Accepted(conversation, ledger),
                }
            }
            (held, _) => held,
        };
        let held = self.talk.hold_so_far(situation, replicate).await?;
        if matches!(&held, Held::Accepted(talk, _) if talk.stop_reason == conversations::UNFINISHED) {
            return Ok(local(held));
        }
        match self.hold(situation, replicate).await {
            Err(Halt::NotRecorded { .. }) => Ok(local(held)),
            screened => screened,
        }
    }

    /// Screens and scores what was held.
    async fn screen(&self, situation: &Situation, held: Held) -> Result<Held, Halt> {
        let (mut conversation, ledger) = match held {
            Held::Accepted(conversation, ledger) => (conversation, ledger),
            dropped @ Held::Dropped(..) => return Ok(dropped),
        };
        if let Some(safety) = &self.safety {
            conversation = match safety.screen(conversation).await? {
                Ok(conversation) => conversation,
                Err(dropped) => return Ok(Held::Dropped(dropped, ledger)),
            };
        }
        if let Some(judge) = &self.judge {
            judge.judge(situation, &mut conversation).await?;
        }
        Ok(Held::Accepted(conversation, ledger))
    }

    /// What the course's calls go through.
    pub fn calls(&self) -> &Calls {
        self.talk.calls
    }
}
