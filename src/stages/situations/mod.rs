//! Situations: who meets, how they are related, and what they are about to talk about.
//!
//! Work goes in rounds of a fixed number of calls, two rounds at a time. A round is planned, in order, from what rounds
//! two and more before it left behind; its calls are made in any order; its results are taken in, in order: checked,
//! deduplicated, offered to the [`hub`]. So every decision depends on positions and replies alone. Rounds top up until
//! `count` situations are accepted or three times as many were attempted.

pub mod casting;
mod cells;
pub mod coverage;
mod draft;
pub mod hub;
pub mod import;
#[cfg(test)]
mod labelled;
pub mod names;
mod round;
pub mod seeds;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::future::{BoxFuture, join_all};
use serde::Serialize;
use serde_json::json;

use self::casting::Cast;
use self::cells::Cells;
use self::coverage::{Coverage, GROUP_SIZE};
use self::hub::{Figures, Hub, Snapshot};
use self::names::Namer;
use self::round::{Call, Filled, Person, Slot};
use self::seeds::{Deal, Seed};
use super::Progress;
use super::dedup::{self, Collection, Match, Shingling, Verdict};
use crate::config::{GroupSize, SituationMode, Situations};
use crate::draw::Draw;
use crate::llm::recorded::{Calls, Halt};
use crate::llm::{Message, Role};
use crate::prompt::reply::Standard;
use crate::prompt::schema;
use crate::prompt::shots::Shot;
use crate::prompt::template::PromptError;
use crate::record::{Dropped, Outcome, Persona, Situation, Tally};

pub use self::round::Prompt;

/// The stage's name in keys, draws and folders.
pub const STAGE: &str = "situations";
/// Attempts allowed for each situation that is wanted.
const ATTEMPTS_PER_SITUATION: u64 = 3;

/// Everything the stage depends on.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The settings.
    pub settings: &'a Situations,
    /// The prompt.
    pub prompt: &'a Prompt,
    /// The personas, in the order in which they were sealed.
    pub people: &'a [Persona],
    /// Groups of them; `None` where the model invents people.
    pub cast: Option<Cast>,
    /// The grid of attributes, if there is one.
    pub coverage: Option<Coverage>,
    /// What each call is conditioned on besides; none where nothing is augmented.
    pub seeds: Vec<Arc<Seed>>,
    /// Similarity from which two situations are duplicates; `None`: they stay.
    pub dedup: Option<f64>,
    /// Split shares, for people the model invents.
    pub splits: &'a BTreeMap<String, f64>,
    /// Hand-written examples.
    pub shots: Vec<Shot>,
    /// Where replies come from.
    pub calls: &'a Calls,
    /// The run's seed.
    pub seed: u64,
}

/// What the stage made.
#[derive(Debug, Default)]
pub struct Made {
    /// Accepted situations, in id order.
    pub accepted: Vec<Situation>,
    /// What was rejected, refused, failed, or not worked on.
    pub dropped: Vec<Dropped>,
    /// What duplicates what.
    pub duplicates: Vec<(String, Match)>,
    /// Situations that were planned, or lines that were read.
    pub inputs: u64,
    /// For the manifest.
    pub notes: Notes,
    /// Whether everything planned was worked on; if not, the run is stopping.
    pub complete: bool,
}

/// Figures of the stage.
#[derive(Debug, Default, Serialize)]
pub struct Notes {
    /// Rounds taken in.
    pub rounds: u64,
    /// What the hub did.
    pub hub: Figures,
    /// Situations accepted by coverage cell, `name=value` joined by commas.
    pub coverage: BTreeMap<String, u64>,
    /// Situations accepted by seed id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub seeds: BTreeMap<String, u64>,
}

impl Made {
    /// How many inputs ended how.
    pub fn tally(&self) -> Tally {
        let mut tally =
            Tally { accepted: self.accepted.len() as u64, duplicate: self.duplicates.len() as u64, ..Tally::default() };
        self.dropped.iter().for_each(|dropped| tally.add(dropped.outcome));
        tally
    }
}

/// A planned round under way.
type Flight<'a> = BoxFuture<'a, (Vec<Call>, Vec<Result<Vec<Filled>, Halt>>)>;

/// What changes while the stage runs.
struct Desk {
    hub: Hub,
    namer: Namer,
    /// Hub states by round: of the last two taken in.
    before: VecDeque<Snapshot>,
    deal: Deal,
    index: Option<Collection>,
    planned: Planned,
    cells: Cells,
    made: Made,
}

#[derive(Default)]
struct Planned {
    rounds: u64,
    slots: u64,
}

impl Stage<'_> {
    /// The messages of the first call as it would be made, without making it. `shown`: whether the schema is in the prompt.
    pub fn rehearse(&self, language: &str, shown: bool) -> Result<Vec<Message>, PromptError> {
        let first = self.plan(&mut self.desk(language), 0).and_then(|calls| calls.into_iter().next());
        let Some(call) = first else { return Ok(Vec::new()) };
        let schema = schema::situations_schema(&self.prompt.wanted(&call), Standard::Full);
        self.prompt.messages(&call, shown.then_some(&schema), None)
    }

    fn desk(&self, language: &str) -> Desk {
        Desk {
            hub: Hub::new(self.settings.hub.clone(), self.shots.clone()),
            namer: Namer::new(language, self.seed),
            before: VecDeque::from([Vec::new(), Vec::new()]),
            deal: Deal::default(),
            index: None,
            planned: Planned::default(),
            cells: Cells::default(),
            made: Made::default(),
        }
    }

    /// Runs the stage until enough situations are accepted, attempts are used up, or the run stops.
    pub async fn generate(&self, language: &str, progress: &Progress) -> Made {
        let mut desk = self.desk(language);
        progress.start(STAGE, self.count());
        let mut flights: VecDeque<(Flight<'_>, u64)> = VecDeque::new();
        loop {
            while flights.len() < 2 {
                let pending = flights.iter().map(|(_, slots)| slots).sum();
                let Some(calls) = self.plan(&mut desk, pending) else { break };
                let slots = calls.iter().map(|call| call.slots.len() as u64).sum();
                flights.push_back((self.fly(calls), slots));
            }
            let Some((first, _)) = flights.pop_front() else {
                desk.made.complete = true;
                break;
            };
            // The round behind must move while the one in front is waited for.
            let (calls, results) = ahead(first, &mut flights).await;
            if !self.take_in(&mut desk, calls, results, progress) {
                // Calls in flight are paid for: they end before the stage does, and are on record for the next time.
                for (flight, _) in flights {
                    let (calls, results) = flight.await;
                    results.into_iter().filter_map(Result::err).for_each(|halt| drop(self.calls.control.stop(halt)));
                    desk.made.dropped.extend(calls.into_iter().flat_map(|call| call.slots).map(over_budget));
                }
                break;
            }
        }
        desk.made.notes.hub = desk.hub.figures();
        desk.made.inputs = desk.planned.slots;
        desk.made
    }

    fn count(&self) -> u64 {
        self.settings.wanted().unwrap_or(0)
    }

    /// Plans the next round, unless what is accepted and under way is enough or attempts are used up.
    fn plan(&self, desk: &mut Desk, pending: u64) -> Option<Vec<Call>> {
        let accepted = desk.made.accepted.len() as u64;
        let wanted = self.count().saturating_sub(accepted + pending);
        let attempts = self.count().saturating_mul(ATTEMPTS_PER_SITUATION).saturating_sub(desk.planned.slots);
        let per_call = self.prompt.config.situations_per_call.max(1);
        let room = (self.settings.hub.round_calls.max(1) * per_call) as u64;
        let mut left = usize::try_from(wanted.min(attempts).min(room)).unwrap_or(usize::MAX);
        if left == 0 {
            return None;
        }
        let round = desk.planned.rounds;
        let mut calls = Vec::new();
        while left > 0 {
            let call = self.plan_call(desk, round, calls.len(), left.min(per_call));
            left = left.saturating_sub(call.slots.len());
            calls.push(call);
        }
        desk.planned.rounds += 1;
        Some(calls)
    }

    /// A call for at most `room` situations: fewer where it makes up for some that were lost.
    fn plan_call(&self, desk: &mut Desk, round: u64, number: usize, room: usize) -> Call {
        let id = format!("s-{round:05}-{number:04}");
        let mut draw = Draw::new(self.seed, &[STAGE, &id, "examples"]);
        // The hub after round r-2: rounds are planned when one or both of the rounds before were taken in.
        let last_but_one = desk.made.notes.rounds + 1 == round;
        let before = if last_but_one { desk.before.back() } else { desk.before.front() };
        let snapshot = before.cloned().unwrap_or_default();
        let prompt = &self.prompt.config;
        let examples = desk.hub.examples(&snapshot, prompt.selection, prompt.shots_per_prompt, &mut draw);
        let (cell, slots) = if self.coverage.is_some() { desk.cells.next(room) } else { (0, room) };
        let mut attributes = self.coverage.as_ref().map(|grid| grid.cell(self.seed, cell)).unwrap_or_default();
        let size = attributes.get(GROUP_SIZE).and_then(|size| size.parse().ok());
        let slots: Vec<Slot> = (0..slots).map(|index| self.plan_slot(desk, format!("{id}-{index:02}"), size)).collect();
        // A split may have too few people for the wanted size: what is said is what there is.
        let least = slots.iter().map(|slot| slot.size).min();
        if let (Some(said), Some(least)) = (attributes.get_mut(GROUP_SIZE).filter(|_| size.is_some()), least) {
            *said = least.to_string();
        }
        let seed = desk.deal.next(self.seeds.len(), self.seed).and_then(|at| self.seeds.get(at)).cloned();
        Call { id, slots, examples, attributes, cell, seed }
    }

    fn plan_slot(&self, desk: &mut Desk, id: String, size: Option<usize>) -> Slot {
        let ordinal = desk.planned.slots;
        desk.planned.slots += 1;
        let Some(cast) = &self.cast else {
            let split = draft::split_of(self.seed, &id, self.splits);
            return Slot { split, people: Vec::new(), size: size.unwrap_or_else(|| self.size(&id)), id, ordinal };
        };
        let group = cast.group(ordinal, size);
        let members: Vec<&Persona> = group.members.iter().filter_map(|at| self.people.get(*at)).collect();
        let personas: Vec<&str> = members.iter().map(|member| member.persona.as_str()).collect();
        let names = desk.namer.name_group(ordinal, &personas);
        let people = members.iter().zip(names).map(|(member, name)| Person {
            id: member.id.clone(),
            name,
            persona: member.persona.clone(),
        });
        let people: Vec<Person> = people.collect();
        Slot { id, split: group.split, size: people.len(), people, ordinal }
    }

    fn size(&self, id: &str) -> usize {
        let GroupSize { min, max } = self.settings.personas;
        Draw::new(self.seed, &[STAGE, id, "size"]).between(min, max)
    }

    fn fly(&self, calls: Vec<Call>) -> Flight<'_> {
        Box::pin(async move {
            let results = join_all(calls.iter().map(|call| self.prompt.fill(self.calls, call))).await;
            (calls, results)
        })
    }

    /// Takes in a round's results in order. Whether the run goes on.
    fn take_in(
        &self,
        desk: &mut Desk,
        calls: Vec<Call>,
        results: Vec<Result<Vec<Filled>, Halt>>,
        progress: &Progress,
    ) -> bool {
        let mut whole = true;
        for (call, result) in calls.into_iter().zip(results) {
            // After the first call without a result nothing counts: only a prefix in item order may be sealed.
            let result = result.map_err(|halt| self.calls.control.stop(halt)).ok().filter(|_| whole);
            whole = result.is_some();
            match result {
                Some(filled) => self.take_call(desk, &call, filled, progress),
                None => desk.made.dropped.extend(call.slots.into_iter().map(over_budget)),
            }
        }
        desk.made.notes.rounds += 1;
        desk.before.push_back(desk.hub.snapshot());
        desk.before.pop_front();
        whole
    }

    fn take_call(&self, desk: &mut Desk, call: &Call, filled: Vec<Filled>, progress: &Progress) {
        let labels = call.seed.as_ref().map_or_else(|| "{}".to_owned(), |seed| seed.labels());
        let provenance = json!({
            "prompt": self.prompt.template.hash(),
            "shots": call.examples.iter().map(|example| example.name.as_str()).collect::<Vec<_>>(),
            "model": self.calls.profile(Role::Situations).model,
            "tier": self.calls.profile(Role::Situations).tier,
            "mode": self.settings.mode,
            "seed": self.seed,
        });
        for (slot, filled) in call.slots.iter().zip(filled) {
            let before = desk.made.accepted.len();
            match filled {
                Filled::Dropped { outcome, reason, detail } => {
                    let (id, reason) = (slot.id.clone(), reason.to_owned());
                    desk.made.dropped.push(Dropped { id, outcome, reason, detail });
                }
                Filled::Draft(draft) => {
                    let names = (self.settings.mode == SituationMode::Auto)
                        .then(|| desk.namer.admit(slot.ordinal, &draft::proposed_names(&draft)));
                    let context = draft::Context {
                        language: &self.prompt.language,
                        attributes: &call.attributes,
                        provenance: &provenance,
                        labels: &labels,
                    };
                    let situation = draft::record(slot, &draft, names, &context);
                    self.accept(desk, situation, call);
                }
            }
            if self.coverage.is_some() && desk.made.accepted.len() == before {
                desk.cells.lose(call.cell, call.slots.len());
            }
            progress.advance(1, desk.made.accepted.len() as u64);
        }
    }

    /// Deduplicates, keeps, and offers to the hub.
    fn accept(&self, desk: &mut Desk, situation: Situation, call: &Call) {
        let text = dedup::situation_text(&situation);
        if let Some(threshold) = self.dedup {
            let shingling = || Shingling::for_situations(&self.prompt.language);
            let index = desk.index.get_or_insert_with(|| Collection::new(threshold, shingling()));
            if let Verdict::Duplicate(found) = index.insert(&situation.id, &text) {
                desk.made.duplicates.push((situation.id, found));
                return;
            }
        }
        desk.hub.offer(Shot::from_situation(&situation), &text);
        if let Some(seed) = &call.seed {
            *desk.made.notes.seeds.entry(seed.id.clone()).or_default() += 1;
        }
        if !call.attributes.is_empty() {
            let named: Vec<String> = call.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            *desk.made.notes.coverage.entry(named.join(",")).or_default() += 1;
        }
        desk.made.accepted.push(situation);
    }
}

/// A hand-written example as a situation, for whoever has to show one before any was made.
pub fn sample(shot: &Shot, language: &str) -> Situation {
    let size = shot.draft.personas.len();
    let place = Slot { id: "s-sample".to_owned(), split: "train".to_owned(), people: Vec::new(), size, ordinal: 0 };
    let context =
        draft::Context { language, attributes: &BTreeMap::new(), provenance: &serde_json::Value::Null, labels: "{}" };
    draft::record(&place, &shot.draft, None, &context)
}

/// Waits for `first` while the rounds behind it make progress too.
async fn ahead<'a>(
    first: Flight<'a>,
    behind: &mut VecDeque<(Flight<'a>, u64)>,
) -> (Vec<Call>, Vec<Result<Vec<Filled>, Halt>>) {
    use futures_util::future::{Either, select};
    let Some((second, slots)) = behind.pop_front() else { return first.await };
    match select(first, second).await {
        Either::Left((done, second)) => {
            behind.push_front((second, slots));
            done
        }
        Either::Right((done, first)) => {
            behind.push_front((Box::pin(std::future::ready(done)), slots));
            first.await
        }
    }
}

fn over_budget(slot: Slot) -> Dropped {
    Dropped {
        id: slot.id,
        outcome: Outcome::OverBudget,
        reason: "over_budget".to_owned(),
        detail: "the budget was reached first".to_owned(),
    }
}
