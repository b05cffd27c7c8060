//! Situations: who meets, how they are related, and what they are about to talk about.
//!
//! Work goes in rounds of a fixed number of calls, two rounds at a time. A round is planned, in order, from what rounds
//! two and more before it left behind; its calls are made in any order; its results are taken in, in order: checked,
//! deduplicated, offered to the [`hub`]. So every decision depends on positions and replies alone. Rounds top up until
//! `count` situations are accepted or three times as many were attempted.

pub(crate) mod casting;
mod cells;
mod connected;
pub(crate) mod coverage;
mod draft;
pub(crate) mod fill;
pub(crate) mod hub;
mod import;
#[cfg(test)]
mod labelled;
pub(crate) mod names;
mod people;
pub(crate) mod room;
mod round;
mod run;
mod seating;
pub(crate) mod seeds;

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use tokio::task::JoinHandle;

use self::casting::Cast;
use self::cells::CellNumbers;
use self::coverage::{Coverage, GROUP_SIZE};
use self::hub::{HubActivity, HubSnapshot};
use self::names::Namer;
use self::people::CastablePeople;
use self::round::{GivenPerson, RoundCall, Slot};
use self::seeds::{Dealer, Seed};
use super::dedup::{self, Deduplicator, Shingling};
use super::error::StageError;
use super::inputs::InputsError;
use super::writer::{CollectedFates, Fates, StageResult};
use super::{OpenInput, Progress};
use crate::config::{GroupSize, HubSettings, MOST_ATTEMPTS, SituationMode, Situations};
use crate::draw::Draw;
use crate::llm::Halt;
use crate::llm::recorded::CallGateway;
use crate::llm::{Message, Role};
use crate::prompt::draft::Draft;
use crate::prompt::reply::Standard;
use crate::prompt::schema;
use crate::prompt::shots::Shot;
use crate::record::{Fate, Persona, Situation};

pub(crate) use self::import::ImportError;
pub(crate) use self::people::SpooledPeople;
pub(crate) use self::round::Prompt;
pub(crate) use self::run::{generate, import, rehearse, run};

/// The stage's name in keys, draws and folders.
pub(crate) const STAGE: &str = "situations";

/// Everything the stage depends on.
#[derive(Debug)]
pub(crate) struct SituationStage<'a> {
    /// The settings.
    pub settings: &'a Situations,
    /// The prompt.
    pub prompt: Arc<Prompt>,
    /// The personas, in the order in which they were sealed.
    pub people: CastablePeople<'a>,
    /// Groups of them; `None` where the model invents people.
    pub cast: Option<Cast>,
    /// How many groups may be formed at most, where nobody is to be cast twice.
    pub last_group: Option<u64>,
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
    pub calls: Arc<CallGateway>,
    /// The run's seed.
    pub seed: u64,
}

/// Figures of the stage.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SituationNotes {
    /// Rounds taken in.
    pub rounds: u64,
    /// What the hub did.
    pub hub: HubActivity,
    /// Situations accepted by coverage cell, `name=value` joined by commas.
    pub coverage: BTreeMap<String, u64>,
    /// Situations accepted by seed id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub seeds: BTreeMap<String, u64>,
}

/// A planned round under way: its calls, each a task of its own.
struct Flight {
    calls: Vec<Arc<RoundCall>>,
    tasks: Vec<JoinHandle<Result<Vec<Fate<Draft>>, Halt>>>,
}

/// What changes while the stage runs.
struct RoundState<'a> {
    hub: hub::Hub,
    namer: Namer,
    /// Hub states by round: of the last two taken in.
    before: VecDeque<HubSnapshot>,
    deal: Dealer,
    dedup: Option<Deduplicator<Situation>>,
    planned: Planned,
    cells: CellNumbers,
    figures: SituationNotes,
    fates: &'a mut dyn Fates<Situation>,
}

#[derive(Default)]
struct Planned {
    rounds: u64,
    slots: u64,
}

impl SituationStage<'_> {
    /// The messages of the first call as it would be made, without making it. `shown`: whether the schema is in the prompt.
    pub(crate) fn rehearse(&self, shown: bool) -> Result<Vec<Message>, StageError> {
        let mut none = CollectedFates::default();
        let first = self.plan(&mut self.begin(&mut none), 0)?.and_then(|calls| calls.into_iter().next());
        let Some(call) = first else { return Ok(Vec::new()) };
        let schema = schema::situations_schema(&self.prompt.wanted(&call), Standard::Full);
        Ok(self.prompt.messages(&call, shown.then_some(&schema), None).map_err(InputsError::from)?)
    }

    fn begin<'a>(&self, fates: &'a mut dyn Fates<Situation>) -> RoundState<'a> {
        let language = &self.prompt.language;
        let (shingling, folder) = (Shingling::for_situations(language), fates.folder());
        RoundState {
            hub: hub::Hub::new(self.settings.hub.clone(), self.shots.clone()),
            namer: Namer::new(language, self.seed),
            before: VecDeque::from([Vec::new(), Vec::new()]),
            deal: Dealer::default(),
            dedup: self.dedup.map(|at| Deduplicator::new(at, shingling, &folder, dedup::situation_text)),
            planned: Planned::default(),
            cells: CellNumbers::default(),
            figures: SituationNotes::default(),
            fates,
        }
    }

    /// Makes situations until enough are accepted or attempts are used up, and puts what became of each into `fates`.
    ///
    /// Says whether everything planned was worked on; if not, the run is stopping.
    ///
    /// # Errors
    /// If fates cannot be written.
    pub(crate) async fn generate(
        &self,
        progress: &Arc<Progress>,
        fates: &mut dyn Fates<Situation>,
    ) -> Result<(StageResult, bool), StageError> {
        let mut state = self.begin(fates);
        progress.start(STAGE, self.count());
        progress.expect(self.count());
        let mut flights: VecDeque<Flight> = VecDeque::new();
        let complete = loop {
            while flights.len() < 2 {
                let pending = flights.iter().flat_map(|flight| &flight.calls).map(|call| call.slots.len() as u64).sum();
                let Some(calls) = self.plan(&mut state, pending)? else { break };
                flights.push_back(self.fly(calls, progress));
            }
            let Some(flight) = flights.pop_front() else { break true };
            let taken = self.take_in(&mut state, flight, progress).await;
            if !matches!(taken, Ok(true)) {
                self.calls.control.stop(Halt::Stopping);
                // Calls in flight are paid for: they end before the stage does, and are on record for the next time.
                for task in flights.into_iter().flat_map(|flight| flight.tasks) {
                    drop(self.ended(task).await);
                }
                break taken?;
            }
        };
        state.figures.hub = state.hub.figures();
        let notes = json!({"figures": state.figures});
        Ok((StageResult { inputs: state.planned.slots, notes, ..StageResult::default() }, complete))
    }

    fn count(&self) -> u64 {
        self.settings.wanted().unwrap_or(0)
    }

    /// Plans the next round, unless what is accepted and under way is enough or attempts are used up.
    fn plan(&self, state: &mut RoundState<'_>, pending: u64) -> Result<Option<Vec<RoundCall>>, StageError> {
        let accepted = state.fates.tally().accepted;
        let wanted = self.count().saturating_sub(accepted + pending);
        let attempts = self.count().saturating_mul(MOST_ATTEMPTS).saturating_sub(state.planned.slots);
        let attempts = attempts.min(self.groups_left(state.planned.slots));
        let per_call = self.prompt.config.situations_per_call.max(1);
        let width = self.settings.hub.round_calls.unwrap_or_else(|| HubSettings::width(self.count(), per_call));
        let room = (width.max(1) * per_call) as u64;
        let mut left = usize::try_from(wanted.min(attempts).min(room)).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let round = state.planned.rounds;
        let mut calls = Vec::new();
        while left > 0 {
            let call = self.plan_call(state, round, calls.len(), left.min(per_call))?;
            left = left.saturating_sub(call.slots.len());
            calls.push(call);
        }
        state.planned.rounds += 1;
        Ok(Some(calls))
    }

    /// How many groups may still be formed after so many.
    fn groups_left(&self, formed: u64) -> u64 {
        self.last_group.map_or(u64::MAX, |last| last.saturating_sub(formed))
    }

    /// A call for at most `room` situations: fewer where it makes up for some that were lost.
    fn plan_call(
        &self,
        state: &mut RoundState<'_>,
        round: u64,
        number: usize,
        room: usize,
    ) -> Result<RoundCall, StageError> {
        let id = format!("s-{round:05}-{number:04}");
        let mut draw = Draw::new(self.seed, &[STAGE, &id, "examples"]);
        // The hub after round r-2: rounds are planned when one or both of the rounds before were taken in.
        let last_but_one = state.figures.rounds + 1 == round;
        let before = if last_but_one { state.before.back() } else { state.before.front() };
        let snapshot = before.cloned().unwrap_or_default();
        let prompt = &self.prompt.config;
        let examples = state.hub.examples(&snapshot, prompt.selection, prompt.shots_per_prompt, &mut draw);
        let (cell, slots) = if self.coverage.is_some() { state.cells.next(room) } else { (0, room) };
        let mut attributes = self.coverage.as_ref().map(|grid| grid.cell(self.seed, cell)).unwrap_or_default();
        let size = attributes.get(GROUP_SIZE).and_then(|size| size.parse().ok());
        let slots = (0..slots).map(|index| self.plan_slot(state, format!("{id}-{index:02}"), size));
        let slots: Vec<Slot> = slots.collect::<Result<_, _>>()?;
        // A split may have too few people for the wanted size: what is said is what there is.
        let least = slots.iter().map(|slot| slot.size).min();
        if let (Some(said), Some(least)) = (attributes.get_mut(GROUP_SIZE).filter(|_| size.is_some()), least) {
            *said = least.to_string();
        }
        let seed = state.deal.next(self.seeds.len(), self.seed).and_then(|at| self.seeds.get(at)).cloned();
        Ok(RoundCall { id, slots, examples, attributes, cell, seed })
    }

    fn plan_slot(&self, state: &mut RoundState<'_>, id: String, size: Option<usize>) -> Result<Slot, StageError> {
        let ordinal = state.planned.slots;
        state.planned.slots += 1;
        let Some(cast) = &self.cast else {
            let split = draft::split_of(self.seed, &id, self.splits);
            return Ok(Slot { split, people: Vec::new(), size: size.unwrap_or_else(|| self.size(&id)), id, ordinal });
        };
        let group = cast.group(ordinal, size);
        let found = group.members.iter().filter_map(|at| self.people.get(*at).transpose());
        let chosen: Vec<Cow<'_, Persona>> = found.collect::<Result<_, _>>()?;
        let told: Vec<(Option<&str>, &str)> =
            chosen.iter().map(|member| (member.name.as_deref(), member.persona.as_str())).collect();
        let names = state.namer.name_group(ordinal, &told);
        let people = chosen.iter().zip(names).map(|(member, name)| GivenPerson {
            id: member.id.clone(),
            name,
            persona: member.persona.clone(),
        });
        let people: Vec<GivenPerson> = people.collect();
        Ok(Slot { id, split: group.split, size: people.len(), people, ordinal })
    }

    fn size(&self, id: &str) -> usize {
        let GroupSize { min, max } = self.settings.personas;
        Draw::new(self.seed, &[STAGE, id, "size"]).between(min, max)
    }

    fn fly(&self, calls: Vec<RoundCall>, progress: &Arc<Progress>) -> Flight {
        let calls: Vec<Arc<RoundCall>> = calls.into_iter().map(Arc::new).collect();
        let fill = |call: &Arc<RoundCall>| {
            let (prompt, replies, call) = (Arc::clone(&self.prompt), Arc::clone(&self.calls), Arc::clone(call));
            let progress = Arc::clone(progress);
            tokio::spawn(async move {
                let open: Vec<OpenInput<'_>> = call.slots.iter().map(|_| progress.open()).collect();
                let filled = prompt.fill(&replies, &call).await;
                drop(open);
                // Until they are taken in, all its situations are taken to be good ones.
                progress.work(call.slots.len() as u64);
                filled
            })
        };
        let tasks = calls.iter().map(fill).collect();
        Flight { calls, tasks }
    }

    /// Takes in a round's results in order. Whether the run goes on.
    async fn take_in(
        &self,
        state: &mut RoundState<'_>,
        flight: Flight,
        progress: &Progress,
    ) -> Result<bool, StageError> {
        let mut whole = true;
        for (call, task) in flight.calls.into_iter().zip(flight.tasks) {
            // After the first call without a result nothing counts: only a prefix in item order is looked at.
            let result = self.ended(task).await.filter(|_| whole);
            whole = result.is_some();
            if let Some(filled) = result {
                self.take_call(state, &call, filled, progress)?;
            }
        }
        state.figures.rounds += 1;
        state.before.push_back(state.hub.snapshot());
        state.before.pop_front();
        Ok(whole)
    }

    /// Waits for a call. Nothing where the run stopped first.
    async fn ended(&self, task: JoinHandle<Result<Vec<Fate<Draft>>, Halt>>) -> Option<Vec<Fate<Draft>>> {
        match task.await {
            Ok(result) => result.map_err(|halt| self.calls.control.stop(halt)).ok(),
            // A bug in a call is a bug of the run; nothing here cancels a task.
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            Err(_) => None,
        }
    }

    fn take_call(
        &self,
        state: &mut RoundState<'_>,
        call: &RoundCall,
        filled: Vec<Fate<Draft>>,
        progress: &Progress,
    ) -> Result<(), StageError> {
        let labels = call.seed.as_ref().map_or_else(|| "{}".to_owned(), |seed| seed.labels());
        let provenance = json!({
            "prompt": self.prompt.template.hash(),
            "shots": call.examples.iter().map(|example| example.name.as_str()).collect::<Vec<_>>(),
            "model": self.calls.profile(Role::Situations).model,
            "tier": self.calls.profile(Role::Situations).tier,
            "mode": self.settings.mode,
            "seed": self.seed,
        });
        let context = draft::DraftContext {
            language: &self.prompt.language,
            attributes: &call.attributes,
            provenance: &provenance,
            labels: &labels,
        };
        for (slot, filled) in call.slots.iter().zip(filled) {
            let before = state.fates.tally().accepted;
            match filled {
                Fate::Accepted(draft) => {
                    let names = match self.settings.mode {
                        SituationMode::Auto => Some(state.namer.admit(slot.ordinal, &draft::proposed_names(&draft))),
                        // A model may have named them anew.
                        _ => Some(slot.people.iter().map(|person| person.name.clone()).collect()),
                    };
                    state.accept(draft::record(slot, &draft, names, &context), call)?;
                }
                Fate::Dropped(dropped) => state.fates.put(Fate::Dropped(dropped))?,
                Fate::Duplicate(duplicate) => state.fates.put(Fate::Duplicate(duplicate))?,
            }
            let accepted = state.fates.tally().accepted;
            if accepted == before {
                progress.unwork(1);
                if self.coverage.is_some() {
                    state.cells.lose(call.cell, call.slots.len());
                }
            }
            progress.advance(1, accepted);
        }
        Ok(())
    }
}

impl RoundState<'_> {
    /// Deduplicates, offers to the hub, and puts.
    fn accept(&mut self, situation: Situation, call: &RoundCall) -> Result<(), StageError> {
        let fate = match &mut self.dedup {
            Some(dedup) => dedup.judge(situation, self.fates)?,
            None => Fate::Accepted(situation),
        };
        if let Fate::Accepted(situation) = &fate {
            self.hub.offer(Shot::from_situation(situation), &dedup::situation_text(situation));
            self.count(call);
        }
        self.fates.put(fate)
    }

    fn count(&mut self, call: &RoundCall) {
        if let Some(seed) = &call.seed {
            *self.figures.seeds.entry(seed.id.clone()).or_default() += 1;
        }
        if !call.attributes.is_empty() {
            let named: Vec<String> = call.attributes.iter().map(|(name, value)| format!("{name}={value}")).collect();
            *self.figures.coverage.entry(named.join(",")).or_default() += 1;
        }
    }
}

/// A hand-written example as a situation, for whoever has to show one before any was made.
pub(crate) fn sample(shot: &Shot, language: &str) -> Situation {
    let size = shot.draft.personas.len();
    let place = Slot { id: "s-sample".to_owned(), split: "train".to_owned(), people: Vec::new(), size, ordinal: 0 };
    let context = draft::DraftContext {
        language,
        attributes: &BTreeMap::new(),
        provenance: &serde_json::Value::Null,
        labels: "{}",
    };
    draft::record(&place, &shot.draft, None, &context)
}
