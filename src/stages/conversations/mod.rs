//! Group chats, turn by turn.
//!
//! One conversation is a deterministic state machine over recorded replies: nothing but (situation, settings, seed,
//! replies) decides what happens, so a half-finished one resumes by being run again over the journal, and `explain`
//! shows its messages by the same way. [`agents`] writes the messages, `heard` keeps what was said, `recall` bounds what of it is shown, [`selection`] decides who speaks, `length` how long
//! a turn is to be, `turn` gets a line out of a speaker, [`validate`] judges it, [`ledger`] counts what had to be handled;
//! `next_speaker` asks who does, `items` says which conversations are begun, this file keeps the floor and the votes.
//!
//! Rejected: one call that writes the whole conversation. Turn by turn follows constraints better and varies more
//! (arXiv 2502.13592), and a crash costs one reply instead of all.

pub(crate) mod agents;
mod flow;
mod heard;
mod items;
pub(crate) mod ledger;
mod length;
mod need;
mod next_speaker;
mod recall;
mod run;
mod sections;
pub(crate) mod selection;
mod turn;
pub(crate) mod validate;

use serde_json::json;

pub(crate) use self::flow::{ConversationFlow, TalkOutcome};
pub(crate) use self::need::Forecast;
pub(crate) use self::run::run;

use self::agents::{AgentPrompts, Script};
use self::ledger::Ledger;
use self::selection::Floor;
use self::turn::{Spoken, SpokenLine};
use self::validate::{Examiner, Flaw};
use crate::config::{Conversations, Ending, TurnRange};
use crate::draw::Draw;
use crate::llm::recorded::CallGateway;
use crate::llm::{Halt, ReplyFormat, Role, context};
use crate::record::{Conversation, Dropped, Fate, Outcome, Situation, Speaker, StopReason, Turn};
use crate::stages::OpenInput;

/// The stage's name in keys, draws and folders.
pub(crate) const STAGE: &str = "conversations";
/// The stop reason of a conversation that was not over when its run was looked at. No record has it.
pub(crate) const UNFINISHED: &str = "unfinished";
/// The most forms of replies that are kept of a conversation.
const MOST_FORMATS: usize = 16;

/// What every conversation of a run shares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConversationStage<'a> {
    /// The settings.
    pub settings: &'a Conversations,
    /// The prompts.
    pub prompts: &'a AgentPrompts,
    /// Where replies come from.
    pub calls: &'a CallGateway,
    /// Told of every turn.
    pub progress: &'a OpenInput<'a>,
    /// The run's seed.
    pub seed: u64,
    /// What it takes to the end, where a budget is limited.
    pub forecast: Option<&'a Forecast>,
}

/// The id of the `replicate`-th conversation on a situation.
pub(crate) fn item_id(situation_id: &str, replicate: u64) -> String {
    format!("c-{situation_id}-{replicate:03}")
}

impl ConversationStage<'_> {
    /// Holds the `replicate`-th conversation on `situation`.
    ///
    /// # Errors
    /// Only what stops the whole run; what befalls this item alone is in [`TalkOutcome`].
    pub(crate) async fn hold(&self, situation: &Situation, replicate: u64) -> Result<TalkOutcome, Halt> {
        let mut talk = self.talk(situation, replicate)?;
        let end = talk.run().await?;
        Ok(talk.finish(end))
    }

    /// Holds it as far as recorded replies go, for whoever looks at a run that was stopped. One that is not over yet has
    /// [`UNFINISHED`] for its stop reason.
    ///
    /// # Errors
    /// What [`hold`](Self::hold) fails for, except that a reply is not there.
    pub(crate) async fn hold_so_far(&self, situation: &Situation, replicate: u64) -> Result<TalkOutcome, Halt> {
        let mut talk = self.talk(situation, replicate)?;
        match talk.run().await {
            Ok(end) => Ok(talk.finish(end)),
            Err(Halt::NotRecorded { .. }) => {
                let begun = Conversation { stop_reason: UNFINISHED.to_owned(), ..talk.record(StopReason::Trimmed) };
                Ok((Fate::Accepted(begun), Ledger::default()))
            }
            Err(halt) => Err(halt),
        }
    }

    fn talk<'a>(&'a self, situation: &'a Situation, replicate: u64) -> Result<ConversationState<'a>, Halt> {
        let script = Script::new(self.prompts, self.settings.layout, situation)?;
        Ok(ConversationState::new(*self, situation, item_id(&situation.id, replicate), script))
    }
}

/// A conversation in progress.
#[derive(Debug)]
struct ConversationState<'a> {
    id: String,
    settings: &'a Conversations,
    calls: &'a CallGateway,
    progress: &'a OpenInput<'a>,
    forecast: Option<&'a Forecast>,
    situation: &'a Situation,
    script: Script<'a>,
    /// What judges replies, from the first one on.
    examiner: Option<Box<Examiner<'a>>>,
    seed: u64,
    /// It is ended after so many.
    most_turns: u32,
    turns: Vec<Turn>,
    floor: Floor,
    /// (turn index, person) of every vote to end.
    votes: Vec<(u32, usize)>,
    /// With `fused`: who was handed the floor.
    handed_to: Option<usize>,
    /// How talkative each person is, once it was drawn.
    talkativeness: Vec<Option<f64>>,
    /// The forms of replies that were asked for, by the names they may choose from.
    formats: Vec<(Vec<usize>, ReplyFormat)>,
    ledger: Ledger,
}

/// After how many turns the conversation `id` ends at the latest.
fn most_turns(settings: &Conversations, seed: u64, id: &str) -> u32 {
    let TurnRange { min, max } = settings.turns;
    if settings.ending != Ending::Drawn {
        return max;
    }
    let drawn = Draw::new(seed, &[STAGE, id, "turns"]).between(min as usize, max as usize);
    u32::try_from(drawn).unwrap_or(max)
}

/// How a conversation ended.
#[derive(Debug)]
enum End {
    Over(StopReason),
    Dropped { outcome: Outcome, reason: String, detail: String },
}

impl<'a> ConversationState<'a> {
    fn new(stage: ConversationStage<'a>, situation: &'a Situation, id: String, script: Script<'a>) -> Self {
        let ConversationStage { settings, calls, progress, seed, forecast, .. } = stage;
        let people = situation.personas.len();
        let most_turns = most_turns(settings, seed, &id);
        let floor = Floor {
            taken: vec![0; people],
            last: None,
            left: most_turns,
            max: most_turns,
            allow_repeat: settings.allow_repeat_speaker,
            balance: settings.balance,
        };
        Self {
            id,
            settings,
            calls,
            progress,
            forecast,
            situation,
            script,
            examiner: None,
            seed,
            most_turns,
            turns: Vec::new(),
            floor,
            votes: Vec::new(),
            handed_to: None,
            talkativeness: vec![None; people],
            formats: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    async fn run(&mut self) -> Result<End, Halt> {
        while self.index() < self.most_turns {
            if let Some(forecast) = self.forecast {
                self.calls.budget.expect(&self.id, forecast.need(self.most_turns - self.index()));
            }
            self.bound_context().await?;
            let Some((speaker, selected_by)) = self.next_speaker().await? else {
                return Ok(End::Over(StopReason::Agreed));
            };
            let spoken = self.speak(speaker).await?;
            self.progress.work();
            match spoken {
                Spoken::Line(line) => self.take(speaker, selected_by, line),
                Spoken::Flawed(flaw) => return Ok(self.give_up(flaw)),
                Spoken::ContextFull(said) => return Ok(self.run_out(&said)),
                Spoken::Lost { outcome, reason, detail } => return Ok(self.lose(outcome, reason, &detail)),
            }
            if self.agreed_to_end() {
                return Ok(End::Over(StopReason::Agreed));
            }
        }
        Ok(End::Over(StopReason::MaxTurns))
    }

    /// The index of the turn to come.
    fn index(&self) -> u32 {
        u32::try_from(self.turns.len()).unwrap_or(u32::MAX)
    }

    /// Whether the conversation may be over once the turn to come is spoken.
    fn may_end(&self) -> bool {
        self.settings.ending == Ending::Agreed && self.index() + 1 >= self.settings.turns.min
    }

    fn is_last(&self) -> bool {
        self.index() + 1 >= self.most_turns
    }

    fn draw(&self, turn: u32, what: &str) -> Draw {
        Draw::new(self.seed, &[STAGE, &self.id, &turn.to_string(), what])
    }

    fn names(&self, people: &[usize]) -> Vec<&str> {
        people.iter().filter_map(|at| self.situation.personas.get(*at)).map(|person| person.name.as_str()).collect()
    }

    fn everyone(&self) -> Vec<&str> {
        self.situation.personas.iter().map(|person| person.name.as_str()).collect()
    }

    /// The form of a reply that names one of `people`, which `make` gives it.
    fn format(&mut self, people: &[usize], make: fn(&[&str]) -> ReplyFormat) -> ReplyFormat {
        if let Some((_, format)) = self.formats.iter().find(|(named, _)| named == people) {
            return format.clone();
        }
        let format = make(&self.names(people));
        if self.formats.len() < MOST_FORMATS {
            self.formats.push((people.to_vec(), format.clone()));
        }
        format
    }

    fn take(&mut self, speaker: usize, selected_by: &'static str, line: SpokenLine) {
        let SpokenLine { sound, attempts, next, end } = line;
        let index = self.index();
        let is_closing = self.examiner.as_mut().is_some_and(|examiner| examiner.hear(&sound));
        if self.may_end() && (end || is_closing) {
            self.votes.push((index, speaker));
        }
        let text = sound.text;
        let addressee = selection::addressed(&text, &self.everyone(), speaker);
        let addressee = addressee.or(next.filter(|_| text.trim_end().ends_with(['?', '？'])));
        let people = &self.situation.personas;
        if let Some(person) = people.get(speaker) {
            self.script.hear(speaker, &text);
            self.turns.push(Turn {
                index,
                speaker_id: person.id.clone(),
                speaker: person.name.clone(),
                addressee_id: addressee.and_then(|at| people.get(at)).map(|person| person.id.clone()),
                text,
                selected_by: selected_by.to_owned(),
                attempts,
            });
            self.keep_floor(&person.id);
        }
        self.handed_to = next;
    }

    /// Counts a turn of the one with this id.
    fn keep_floor(&mut self, id: &str) {
        let people = &self.situation.personas;
        for (taken, _) in self.floor.taken.iter_mut().zip(people).filter(|(_, person)| person.id == id) {
            *taken += 1;
        }
        self.floor.last = people.iter().position(|person| person.id == id);
        self.floor.left = self.floor.left.saturating_sub(1);
    }

    /// Two votes by different people within one round of the group, once everybody has been heard.
    fn agreed_to_end(&self) -> bool {
        let people = u32::try_from(self.floor.taken.len()).unwrap_or(u32::MAX);
        let is_recent = |(turn, _): &&(u32, usize)| turn + people >= self.index();
        let mut recent = self.votes.iter().filter(is_recent).map(|(_, person)| person);
        let first = recent.next();
        let different = recent.any(|person| Some(person) != first);
        self.settings.ending == Ending::Agreed && different && self.floor.taken.iter().all(|taken| *taken > 0)
    }

    /// A turn that cannot be had ends the conversation with its last sound one, if that is enough.
    fn give_up(&mut self, flaw: Flaw) -> End {
        let index = self.index();
        if index >= self.settings.turns.min {
            let closing = flaw == Flaw::ClosingLoop;
            return End::Over(if closing { StopReason::Closing } else { StopReason::Trimmed });
        }
        let mut detail = format!("turn {index} could not be repaired: {}", flaw.reason());
        if flaw.lacks_room() {
            let tokens = self.calls.profile(Role::Speaker).max_tokens;
            detail += &format!(" at max_tokens {tokens}; raise max_tokens of the model that speaks");
        }
        End::Dropped { outcome: Outcome::Rejected, reason: flaw.name().to_owned(), detail }
    }

    /// A conversation for which the model has no more room ends as it is, if that is enough.
    fn run_out(&mut self, said: &str) -> End {
        let index = self.index();
        self.ledger.run_out(said);
        if index >= self.settings.turns.min {
            return End::Over(StopReason::ContextFull);
        }
        let detail = format!("turn {index} does not fit into the model's context: {said}");
        End::Dropped { outcome: Outcome::Failed, reason: context::FULL.to_owned(), detail }
    }

    fn lose(&mut self, outcome: Outcome, reason: String, detail: &str) -> End {
        if self.index() >= self.settings.turns.min {
            self.ledger.mend("lost_turn");
            return End::Over(StopReason::Trimmed);
        }
        let detail = format!("turn {}: {detail}", self.index());
        End::Dropped { outcome, reason, detail }
    }

    fn finish(self, end: End) -> TalkOutcome {
        match end {
            End::Over(stop) => {
                let ledger = self.ledger.clone();
                (Fate::Accepted(self.record(stop)), ledger)
            }
            End::Dropped { outcome, reason, detail } => {
                (Fate::Dropped(Dropped { id: self.id, outcome, reason, detail }), self.ledger)
            }
        }
    }

    fn record(self, stop: StopReason) -> Conversation {
        let silent = self.floor.taken.iter().filter(|taken| **taken == 0).count();
        let provenance = json!({
            "situation_hash": self.situation.hash,
            "speaker_selection": self.settings.speaker_selection.as_str(),
            "layout": self.settings.layout.as_str(),
            "seed": self.seed,
            "silent": silent,
            "handled": self.ledger,
        });
        let profile = self.calls.profile(Role::Speaker);
        let usage = self.ledger.usage();
        let situation = self.situation.clone();
        let mut conversation = Conversation {
            id: self.id,
            situation_id: situation.id,
            split: situation.split,
            situation: situation.situation,
            topic: situation.topic,
            conversation_starter: situation.conversation_starter,
            language: situation.language,
            relations: situation.relations,
            participants: situation
                .personas
                .into_iter()
                .map(|p| Speaker { id: p.id, name: p.name, description: p.description, persona: p.persona })
                .collect(),
            turns: self.turns,
            stop_reason: stop.as_str().to_owned(),
            model: profile.model.clone(),
            tier: profile.tier.to_owned(),
            prompt_tokens: usage.prompt_tokens,
            cached_prompt_tokens: usage.cached_prompt_tokens,
            completion_tokens: usage.completion_tokens,
            attributes: situation.attributes,
            labels: situation.labels,
            safety: "{}".to_owned(),
            judgement: "{}".to_owned(),
            provenance: provenance.to_string(),
            hash: String::new(),
        };
        conversation.hash = conversation.content_hash();
        conversation
    }
}
