//! The stage: conversations on every situation, as many at once as the endpoint takes, their fates in item order.

use std::sync::Arc;

use serde_json::{Value, json};

use super::items::{ConversationItems, ItemPlace};
use super::ledger::ConversationFigures;
use super::{ConversationFlow, STAGE, TalkOutcome};
use crate::config::{Config, Ending};
use crate::llm::{Halt, Role};
use crate::record::{Conversation, Dropped, Fate, Outcome, Situation};
use crate::stages::EachInput;
use crate::stages::context::Context;
use crate::stages::dedup::{self, Deduplicator, Hasher, Prepared, Shingling};
use crate::stages::error::StageError;
use crate::stages::sealed::Sealed;
use crate::stages::window::Window;
use crate::stages::writer::{Fates, StageResult};
use crate::stages::{judge, safety};

/// Holds the conversations on `situations` and puts what became of each into `fates`.
///
/// # Errors
/// Whatever stops the run. What is in flight then ends first, and is on record.
pub(crate) async fn run(
    context: &Context<'_>,
    situations: &Sealed<Situation>,
    fates: &mut dyn Fates<Conversation>,
) -> Result<StageResult, StageError> {
    let (calls, progress) = (Arc::clone(&context.calls), Arc::clone(&context.progress));
    let flow = Arc::new(ConversationFlow::new(context.config, context.inputs, calls, progress)?);
    warn(context, &flow);
    let items = ConversationItems::new(&context.config.conversations, situations)?;
    context.progress.start(STAGE, items.asked());
    let turns = context.config.conversations.turns;
    let mean = f64::from(turns.min + turns.max) / 2.0;
    let mean = if context.config.conversations.ending == Ending::MaxOnly { f64::from(turns.max) } else { mean };
    context.progress.expect_each(EachInput { unit: "turns", mean, most: f64::from(turns.max) });
    let mut stage = Stage::new(context, flow, items, fates);
    let held = stage.hold().await;
    if held.is_err() {
        // What is in flight ends, and buys nothing more.
        context.calls.control.stop(Halt::Stopping);
    }
    let stopped = stage.drain().await;
    held?;
    if stopped {
        context.settle_for_less(stage.fates.tally().accepted)?;
        stage.give_up_rest()?;
    } else {
        context.calls.require_success(Role::Speaker)?;
    }
    Ok(StageResult { inputs: stage.items.begun(), notes: stage.sums.notes(context), ..StageResult::default() })
}

/// What the settings of the screens and the judge make worth knowing before anything is spent.
fn warn(context: &Context<'_>, flow: &ConversationFlow) {
    let Config { safety, judge, language, .. } = context.config;
    if safety.screen && !flow.has_words_for(language) && safety.words.as_ref().is_none_or(|own| !own.is_empty()) {
        context.tell(format!(
            "safety: there is no word list for {language}; only personal data is looked for without a call (name a list in safety.words)"
        ));
    }
    let model = |role: Role| &context.calls.profile(role).model;
    if judge.enabled && model(Role::Judge) == model(Role::Speaker) {
        context.tell(format!(
            "judge: {} scores what it wrote itself, which models do too kindly; give models.judge another model",
            model(Role::Judge)
        ));
    }
}

/// An item, by its id and place, and what came of it; with what an accepted conversation is compared by, if it is to be
/// compared.
type Ended = ((String, ItemPlace), Result<(TalkOutcome, Option<Prepared>), Halt>);

/// The stage at work.
struct Stage<'a> {
    context: &'a Context<'a>,
    flow: Arc<ConversationFlow>,
    items: ConversationItems<'a>,
    window: Window<Ended>,
    dedup: Option<Deduplicator<Conversation>>,
    sums: Sums,
    fates: &'a mut dyn Fates<Conversation>,
    /// Items that have no result since the run stopped first, in item order: the first of them and all behind it.
    lost: Vec<String>,
}

impl<'a> Stage<'a> {
    fn new(
        context: &'a Context<'a>,
        flow: Arc<ConversationFlow>,
        items: ConversationItems<'a>,
        fates: &'a mut dyn Fates<Conversation>,
    ) -> Self {
        let Config { dedup, language, conversations, .. } = context.config;
        let places = context.config.conversations_at_once();
        let threshold = context.threshold(dedup.conversations);
        let shingling = Shingling::for_conversations(language, conversations.turns, conversations.words_per_turn);
        let (folder, text) = (fates.folder(), dedup::conversation_text);
        let dedup = threshold.map(|at| Deduplicator::new(at, shingling, &folder, text));
        let (window, sums, lost) = (Window::new(places), Sums::default(), Vec::new());
        Self { context, flow, items, window, dedup, sums, fates, lost }
    }

    /// Whether another item is to be begun. A run that spent its budget and may be sealed as it is goes on as far as recorded
    /// replies carry it.
    fn goes_on(&self) -> bool {
        let control = &self.context.calls.control;
        let replays = || self.context.accept_partial && control.is_spent() && self.lost.is_empty();
        self.window.has_room(self.context.calls.waiting()) && (!control.is_stopped() || replays())
    }

    /// Works on items until there are no more, or the run stops.
    async fn hold(&mut self) -> Result<(), StageError> {
        loop {
            while self.goes_on() {
                // What is at work may still be lost, and then there are more.
                let Some(item) = self.items.next()? else { break };
                let (flow, hasher) = (Arc::clone(&self.flow), self.dedup.as_ref().map(Deduplicator::hasher));
                let (id, place) = (item.id(), item.place);
                let enlisted = self.context.calls.budget.enlist(&id);
                self.window.begin(async move {
                    let held = flow.hold(&item.situation, item.replicate).await;
                    drop(enlisted);
                    let held = held.map(|held| {
                        let prepared = hasher.and_then(|hasher| prepare(&hasher, &held));
                        (held, prepared)
                    });
                    ((id, place), held)
                });
            }
            if !self.window.settle().await {
                return Ok(());
            }
            while let Some(ended) = self.window.take() {
                self.put(ended)?;
            }
        }
    }

    /// Puts what became of the next item.
    fn put(&mut self, ((id, place), held): Ended) -> Result<(), StageError> {
        let held = held.map_err(|halt| self.context.calls.control.stop(halt));
        let (Ok(((fate, ledger), prepared)), true) = (held, self.lost.is_empty()) else {
            self.lost.push(id);
            return Ok(());
        };
        self.sums.gates.add(&ledger);
        let fate = match (fate, &mut self.dedup, prepared) {
            (Fate::Accepted(conversation), Some(dedup), Some(prepared)) => {
                dedup.judge_prepared(conversation, &prepared, self.fates)?
            }
            (fate, ..) => fate,
        };
        self.sums.add(&fate);
        if fate.outcome() != Outcome::Accepted && self.items.lose(place) {
            self.context.progress.expect_another();
        }
        self.fates.put(fate)?;
        self.context.progress.accept(self.fates.tally().accepted);
        Ok(())
    }

    /// Lets what is in flight end: it is paid for. Whether the stage is to be given up before its end.
    async fn drain(&mut self) -> bool {
        while self.window.settle().await {}
        while let Some(((id, _), _)) = self.window.take() {
            self.lost.push(id);
        }
        !self.lost.is_empty() || !self.items.is_over()
    }

    /// Behind the first item without a result everything is over budget, what was to replace others included.
    fn give_up_rest(&mut self) -> Result<(), StageError> {
        for id in std::mem::take(&mut self.lost) {
            self.fates.put(Fate::Dropped(Dropped::over_budget(id)))?;
        }
        while let Some(item) = self.items.next()? {
            self.fates.put(Fate::Dropped(Dropped::over_budget(item.id())))?;
        }
        Ok(())
    }
}

/// What an accepted conversation is compared by: made in the item's own task, so on any core.
fn prepare(hasher: &Hasher, held: &TalkOutcome) -> Option<Prepared> {
    match &held.0 {
        Fate::Accepted(conversation) => Some(hasher.prepare(&dedup::conversation_text(conversation))),
        Fate::Duplicate(_) | Fate::Dropped(_) => None,
    }
}

/// What the stage's conversations came to.
#[derive(Default)]
struct Sums {
    gates: ConversationFigures,
    safety: safety::SafetyFigures,
    judge: judge::JudgeFigures,
}

impl Sums {
    fn add(&mut self, fate: &Fate<Conversation>) {
        match fate {
            Fate::Accepted(conversation) => {
                self.safety.add(conversation);
                self.judge.add(conversation);
            }
            Fate::Dropped(dropped) => self.safety.add_dropped(dropped),
            Fate::Duplicate(_) => {}
        }
    }

    /// The sums for the manifest, told as well where there is something to tell.
    fn notes(&self, context: &Context<'_>) -> Value {
        let Config { safety, judge, .. } = context.config;
        let safety = Some(&self.safety).filter(|_| safety.screen || safety.service.is_some());
        let judge = Some(&self.judge).filter(|_| judge.enabled);
        let full = self.gates.context_line(context.config.conversations.turns.max);
        let told = [safety.and_then(safety::SafetyFigures::told), judge.and_then(judge::JudgeFigures::told), full];
        told.into_iter().flatten().for_each(|told| context.tell(told));
        json!({"gates": self.gates, "safety": safety, "judge": judge})
    }
}
