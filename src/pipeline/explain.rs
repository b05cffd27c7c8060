//! The exact messages of an item, and where every part of them came from.
//!
//! Nothing is stored for this: the item is worked on again over the recorded replies, with the prompts that the run
//! keeps in `inputs/`, and every call is looked at on its way.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::error::RunError;
use super::fork;
use super::identity;
use super::models;
use crate::config::load;
use crate::config::{Config, SituationMode};
use crate::llm::budget::Budget;
use crate::llm::evidence::Evidence;
use crate::llm::recorded::{CallGateway, CallObserver, CallSite, CallsLeft, Inherited};
use crate::llm::{Answer, ChatRequest, Halt, Message};
use crate::record::{Persona, Situation};
use crate::stages::context::Context;
use crate::stages::conversations::ConversationFlow;
use crate::stages::error::StageError;
use crate::stages::inputs::Inputs;
use crate::stages::situations;
use crate::stages::situations::seeds::Seed;
use crate::stages::writer::CollectedFates;
use crate::store::checkpoint::SealedStage;
use crate::store::run::RunPaths;

/// One call of an item, as it was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ExplainedCall {
    /// `conversations` or `situations`.
    pub stage: String,
    /// The item the call belongs to.
    pub item: String,
    /// Turn it was made for.
    pub turn: u32,
    /// What the model was used for.
    pub role: String,
    /// 0 for the first time of asking.
    pub attempt: u32,
    /// The logical model.
    pub model: String,
    /// What was sent.
    pub messages: Vec<Message>,
    /// What came back.
    pub answer: Answer,
}

/// Everything there is to know of an item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Explained {
    /// The item.
    pub id: String,
    /// Its calls in the order in which they were made.
    pub calls: Vec<ExplainedCall>,
    /// The people in it, with the rows they came from.
    pub people: Vec<Origin>,
    /// The texts that prompts were made from, with their content hashes.
    pub inputs: BTreeMap<String, String>,
    /// Where the situation came from: prompt, shots, model, seed; a JSON object.
    pub provenance: Option<serde_json::Value>,
    /// What the situation was made after, if anything.
    pub seed: Option<Seed>,
}

/// Where a person came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Origin {
    /// Participant id.
    pub id: String,
    /// Name.
    pub name: String,
    /// File and line, or the situation that invented them.
    pub source: String,
}

/// Explains `id` (a conversation, or a situation) of the run in `path`.
pub(crate) async fn explain(path: &Path, id: &str) -> Result<Explained, RunError> {
    let dir = RunPaths::of_run(path)?;
    identity::require_journal(path, "the messages of its calls cannot be shown")?;
    let seen: Arc<Mutex<Vec<ExplainedCall>>> = Arc::default();
    let replay = Replay::open(&dir, Some(watch_item(id, &seen)))?;
    let situations: Vec<Situation> = rows(&dir.situations())?;
    let personas: Vec<Persona> = rows(&dir.personas())?;
    let seeds = replay.inputs.seeds().map_err(StageError::from)?;
    let found = situations.iter().find_map(|situation| item_of(id, situation).map(|item| (situation, item)));
    let situation = match found {
        Some((situation, Item::Conversation { replicate })) => {
            // An unfinished conversation stops where its record does; what was seen until then is shown.
            let _ = replay.conversations()?.hold(situation, replicate).await;
            Some(situation)
        }
        Some((situation, Item::Situation)) => {
            replay.situations(&personas).await?;
            Some(situation)
        }
        None if replay.config.situations.mode != SituationMode::File => {
            replay.situations(&personas).await?;
            None
        }
        None => None,
    };
    let calls = std::mem::take(&mut *seen.lock().unwrap_or_else(PoisonError::into_inner));
    if calls.is_empty() && situation.is_none() {
        let message = format!(
            "{} has no item {id}; ids stand in stages/2-situations and stages/3-conversations, rejected.jsonl included",
            path.display()
        );
        return Err(RunError::NotFound { message });
    }
    Ok(Explained {
        id: id.to_owned(),
        calls,
        people: situation.map(|situation| origins(situation, &personas)).unwrap_or_default(),
        inputs: replay.inputs.hashes(),
        seed: situation.and_then(|situation| seed_of(situation, &seeds)),
        provenance: situation.and_then(|situation| serde_json::from_str(&situation.provenance).ok()),
    })
}

/// The seed that a situation's labels name.
fn seed_of(situation: &Situation, seeds: &[Seed]) -> Option<Seed> {
    let labels: serde_json::Value = serde_json::from_str(&situation.labels).ok()?;
    let id = labels.get("seed")?.as_str()?;
    seeds.iter().find(|seed| seed.id == id).cloned()
}

/// What an id can stand for.
enum Item {
    Situation,
    Conversation { replicate: u64 },
}

/// What `id` is to `situation`, if anything.
fn item_of(id: &str, situation: &Situation) -> Option<Item> {
    if id == situation.id {
        return Some(Item::Situation);
    }
    conversation_number(id, situation).map(|replicate| Item::Conversation { replicate })
}

/// Which conversation on `situation` has this id; nothing where it is of another.
pub(super) fn conversation_number(id: &str, situation: &Situation) -> Option<u64> {
    id.strip_prefix("c-")?.strip_prefix(situation.id.as_str())?.strip_prefix('-')?.parse().ok()
}

/// Remembers the calls that belong to `id`.
fn watch_item(id: &str, seen: &Arc<Mutex<Vec<ExplainedCall>>>) -> CallObserver {
    let (seen, id) = (Arc::clone(seen), id.to_owned());
    Box::new(move |site: &CallSite<'_>, request: &ChatRequest, answer: &Answer| {
        // A call for situations has the id of its first ones without the index.
        if site.item == id
            || (site.stage == "situations"
                && id.strip_prefix(site.item).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
        {
            let call = ExplainedCall {
                stage: site.stage.to_owned(),
                item: site.item.to_owned(),
                turn: site.turn,
                role: site.role.to_string(),
                attempt: site.attempt,
                model: request.model.clone(),
                messages: request.messages.list(),
                answer: answer.clone(),
            };
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(call);
        }
    })
}

/// A run done again over its recorded replies, and nothing else.
pub(super) struct Replay {
    pub(super) config: Config,
    pub(super) inputs: Inputs,
    calls: Arc<CallGateway>,
}

impl Replay {
    pub(super) fn open(dir: &RunPaths, tap: Option<CallObserver>) -> Result<Self, RunError> {
        let config = load::kept(&dir.config())?.own_share();
        let details = dir.info()?.map(|info| identity::Details::of(&info)).unwrap_or_default();
        let calls = CallGateway {
            journal: None,
            inherited: fork::replies(dir)?.into_iter().map(Inherited::Journal).collect(),
            budget: Arc::new(Budget::new(&config.budget, &config.models)),
            endpoints: models::endpoints(&config, models::ModelSource::Recorded)?,
            control: Arc::default(),
            retry_failed: false,
            reviewed: details.review.map(|review| review.marks).unwrap_or_default(),
            anew: details.anew,
            evidence: Evidence::default(),
            seed: config.own_seed(),
            tap,
            left: CallsLeft::default(),
        };
        Ok(Self { inputs: Inputs::read(&dir.inputs())?, config, calls: Arc::new(calls) })
    }

    /// The situations, as far as replies go.
    pub(super) async fn situations(&self, people: &[Persona]) -> Result<CollectedFates<Situation>, RunError> {
        let context = Context {
            config: &self.config,
            inputs: &self.inputs,
            source: None,
            calls: Arc::clone(&self.calls),
            progress: Arc::default(),
            accept_partial: false,
        };
        let mut made = CollectedFates::default();
        match situations::generate(&context, people, &mut made).await {
            Ok(_) | Err(StageError::Halted(Halt::NotRecorded { .. } | Halt::Stopping)) => Ok(made),
            Err(error) => Err(error.into()),
        }
    }

    /// What holds its conversations.
    pub(super) fn conversations(&self) -> Result<ConversationFlow, RunError> {
        Ok(ConversationFlow::new(&self.config, &self.inputs, Arc::clone(&self.calls), Arc::default())?)
    }
}

/// The rows of a sealed stage; none where it is not sealed.
pub(super) fn rows<R: serde::de::DeserializeOwned>(folder: &Path) -> Result<Vec<R>, RunError> {
    let Some(sealed) = SealedStage::open(folder)? else { return Ok(Vec::new()) };
    Ok(sealed.rows("part-00000.jsonl")?.collect::<Result<_, _>>()?)
}

fn origins(situation: &Situation, personas: &[Persona]) -> Vec<Origin> {
    let people = situation.personas.iter();
    people
        .map(|person| {
            let row = personas.iter().find(|persona| persona.id == person.id);
            let source = row.map_or_else(|| format!("situation {}", situation.id), |persona| persona.source.clone());
            Origin { id: person.id.clone(), name: person.name.clone(), source }
        })
        .collect()
}
