//! What every conversation goes through: it is held, screened, and scored where that was asked for, all under one item, so
//! that it is resumed as one.

use std::sync::Arc;

use super::agents::{AgentPrompts, Script};
use super::ledger::Ledger;
use super::turn::examiner;
use super::validate::{Flaw, SoundReply, TurnPlace};
use super::{ConversationStage, Forecast, UNFINISHED, item_id};
use crate::config::{Config, Conversations, Judge, Safety};
use crate::llm::Halt;
use crate::llm::recorded::CallGateway;
use crate::prompt::template::Template;
use crate::record::{Conversation, Dropped, Fate, Situation};
use crate::stages::inputs::{Inputs, InputsError};
use crate::stages::safety::words::WordLists;
use crate::stages::{OpenInput, Progress};
use crate::stages::{judge, safety};

/// The number of a turn that a person put in other words, with the words to keep or what is wrong with them.
pub(crate) type ExaminedTurn = (u32, Result<String, Flaw>);

/// What every conversation of a run goes through, with all it takes: shared by the tasks that hold them.
#[derive(Debug)]
pub(crate) struct ConversationFlow {
    settings: Conversations,
    screens: Safety,
    judging: Judge,
    prompts: AgentPrompts,
    words: WordLists,
    safety: Option<Template>,
    judge: Option<Template>,
    calls: Arc<CallGateway>,
    progress: Arc<Progress>,
    seed: u64,
}

/// What came of a conversation, and what had to be handled on the way.
pub(crate) type TalkOutcome = (Fate<Conversation>, Ledger);

impl ConversationFlow {
    /// The flow that `config` asks for, with the texts of a run.
    ///
    /// # Errors
    /// If a text cannot be used.
    pub(crate) fn new(
        config: &Config,
        inputs: &Inputs,
        calls: Arc<CallGateway>,
        progress: Arc<Progress>,
    ) -> Result<Self, InputsError> {
        Ok(Self {
            settings: config.conversations.clone(),
            screens: config.safety.clone(),
            judging: config.judge.clone(),
            prompts: inputs.conversation_prompts()?,
            words: inputs.words()?,
            safety: inputs.safety_prompt()?,
            judge: inputs.judge_prompt()?,
            calls,
            progress,
            seed: config.own_seed(),
        })
    }

    /// Whether there is a word list for a language.
    pub(crate) fn has_words_for(&self, language: &str) -> bool {
        self.words.speaks(language)
    }

    /// Whether anything screens conversations.
    pub(crate) fn screens(&self) -> bool {
        self.screens.screen || self.screens.service.is_some()
    }

    /// Takes the `replicate`-th conversation on `situation` from its first line to its scores.
    ///
    /// # Errors
    /// Only what stops the whole run.
    pub(crate) async fn hold(&self, situation: &Situation, replicate: u64) -> Result<TalkOutcome, Halt> {
        let forecast = self.forecast(situation)?;
        let begun = self.progress.open();
        let talk = ConversationStage { forecast: forecast.as_ref(), ..self.talk(&begun) };
        let held = talk.hold(situation, replicate).await?;
        if let Some(forecast) = &forecast {
            self.calls.budget.expect(&item_id(&situation.id, replicate), forecast.need(0));
        }
        let held = self.screen(situation, held).await?;
        self.progress.end_one_of(held.1.turns());
        Ok(held)
    }

    /// As [`hold`](Self::hold), as far as recorded replies go. What is not over yet, and what a service or a judge was not
    /// asked about yet, has passed the local screen alone.
    ///
    /// # Errors
    /// What [`hold`](Self::hold) fails for, except that a reply is not there.
    pub(crate) async fn hold_so_far(&self, situation: &Situation, replicate: u64) -> Result<TalkOutcome, Halt> {
        let held = self.talk(&self.progress.open()).hold_so_far(situation, replicate).await?;
        if matches!(&held.0, Fate::Accepted(talk) if talk.stop_reason == UNFINISHED) {
            return Ok(self.screen_locally(held));
        }
        match self.hold(situation, replicate).await {
            Err(Halt::NotRecorded { .. }) => Ok(self.screen_locally(held)),
            screened => screened,
        }
    }

    /// Judges turns of `talk` that a person put in other words as replies are judged: the words to keep of each, or its flaw.
    /// `talk` has them in their places already, and `situation` is its own.
    ///
    /// # Errors
    /// If the prompts, which must not be recited, cannot be rendered.
    pub(crate) fn examine(
        &self,
        situation: &Situation,
        talk: &Conversation,
        edited: &[u32],
    ) -> Result<Vec<ExaminedTurn>, Halt> {
        let script = Script::new(&self.prompts, self.settings.layout, situation)?;
        let mut examiner = examiner(situation, &script, &self.settings.gates)?;
        let last = talk.turns.last().map(|turn| turn.index);
        let mut found = Vec::new();
        for turn in &talk.turns {
            let speaker = situation.personas.iter().position(|person| person.id == turn.speaker_id).unwrap_or_default();
            let must_go_on = Some(turn.index) != last;
            let place = TurnPlace { speaker, words: None, torn: false, must_go_on };
            if edited.contains(&turn.index) {
                found.push((turn.index, examiner.examine(&turn.text, place).map(|sound| sound.text)));
            }
            examiner.hear(&SoundReply::plain(&turn.text));
        }
        Ok(found)
    }

    /// Why the local screen would drop a conversation for turns that a person put in other words, if it would.
    pub(crate) fn drops_for(&self, talk: Conversation, edited: &[u32]) -> Option<Dropped> {
        self.screening()?.drops_for(talk, edited)
    }

    /// Screens a conversation that was screened before and of which some turns have other words now.
    ///
    /// # Errors
    /// Only what stops the whole run.
    pub(crate) async fn screen_again(&self, talk: Conversation, edited: &[u32]) -> Result<Fate<Conversation>, Halt> {
        match self.screening() {
            Some(safety) => safety.screen_again(talk, edited).await,
            None => Ok(Fate::Accepted(Conversation { hash: talk.content_hash(), ..talk })),
        }
    }

    fn talk<'a>(&'a self, progress: &'a OpenInput<'a>) -> ConversationStage<'a> {
        ConversationStage {
            settings: &self.settings,
            prompts: &self.prompts,
            calls: &self.calls,
            progress,
            seed: self.seed,
            forecast: None,
        }
    }

    /// What a conversation on `situation` takes, where that matters.
    fn forecast(&self, situation: &Situation) -> Result<Option<Forecast>, Halt> {
        if !self.calls.budget.is_limited() {
            return Ok(None);
        }
        let mut script = Script::new(&self.prompts, self.settings.layout, situation)?;
        let screens = (&self.screens, &self.judging);
        Ok(Some(Forecast::new(&self.settings, screens, &self.calls, situation, &mut script)?))
    }

    fn screening(&self) -> Option<safety::SafetyStage<'_>> {
        let stage = safety::SafetyStage {
            settings: &self.screens,
            words: &self.words,
            prompt: self.safety.as_ref(),
            calls: &self.calls,
        };
        self.screens().then_some(stage)
    }

    fn scoring(&self) -> Option<judge::JudgeStage<'_>> {
        let prompt = self.judge.as_ref().filter(|_| self.judging.enabled)?;
        Some(judge::JudgeStage { settings: &self.judging, prompt, calls: &self.calls, seed: self.seed })
    }

    fn screen_locally(&self, held: TalkOutcome) -> TalkOutcome {
        match (held, self.screening()) {
            ((Fate::Accepted(mut conversation), ledger), Some(safety)) => {
                let dropped = safety.screen_locally(&mut conversation);
                (dropped.map_or(Fate::Accepted(conversation), Fate::Dropped), ledger)
            }
            (held, _) => held,
        }
    }

    /// Screens and scores what was held.
    async fn screen(&self, situation: &Situation, held: TalkOutcome) -> Result<TalkOutcome, Halt> {
        let (mut fate, ledger) = held;
        if let Some(safety) = self.screening() {
            fate = match fate {
                Fate::Accepted(conversation) => safety.screen(conversation).await?,
                fate => fate,
            };
        }
        if let (Fate::Accepted(conversation), Some(judge)) = (&mut fate, self.scoring()) {
            judge.judge(situation, conversation).await?;
        }
        Ok((fate, ledger))
    }
}
