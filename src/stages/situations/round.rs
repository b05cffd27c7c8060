//! One call for situations: what is asked, asked again once if it cannot be used, and what came of each slot.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::hub::HubSnapshot;
use super::room::room;
use super::seating::seat;
use super::seeds::Seed;
use crate::config::{PromptConfig, PromptSyntax, SituationMode};
use crate::llm::evidence::{CUT_OFF, UnusableReply};
use crate::llm::recorded::{CallGateway, CallSite};
use crate::llm::{Answer, Finish, Halt, Message, Reply, ReplyFormat, Role};
use crate::prompt::braces::BraceValues;
use crate::prompt::draft::Draft;
use crate::prompt::leak::Leaks;
use crate::prompt::reading;
use crate::prompt::reply::{self, Standard};
use crate::prompt::situations::{Attribute, Example, Given, SituationValues};
use crate::prompt::template::{PromptError, Template};
use crate::prompt::{CallRequest, language, schema};
use crate::record::{Dropped, Fate, Outcome};

/// Tokens a call to a model of the demo tier may have at least, whatever a spoken turn may have.
const LEAST_OF_DEMO: u32 = 1000;

/// Fewest and most people in a situation whose prompt does not say how many.
const FREE_SIZE: (usize, usize) = (2, 12);

/// A situation that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) split: String,
    /// The people given: persona id, name, persona. Empty where the model invents them.
    pub(super) people: Vec<GivenPerson>,
    /// How many people to invent, where it does.
    pub(super) size: usize,
    /// Its number among all situations planned.
    pub(super) ordinal: u64,
}

/// A person given to the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GivenPerson {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) persona: String,
}

/// A call that is to be made.
#[derive(Debug, Clone)]
pub(super) struct RoundCall {
    pub(super) id: String,
    pub(super) slots: Vec<Slot>,
    pub(super) examples: HubSnapshot,
    pub(super) attributes: BTreeMap<String, String>,
    /// The number of the coverage cell that they come from.
    pub(super) cell: u64,
    pub(super) seed: Option<Arc<Seed>>,
}

/// Why a draft cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unfit {
    /// In a word.
    reason: &'static str,
    /// In words that are fit for the model.
    detail: String,
}

impl Unfit {
    fn reply(detail: impl Into<String>) -> Self {
        Self { reason: "invalid_reply", detail: detail.into() }
    }
}

/// The prompt of the stage, and what all its calls share.
#[derive(Debug)]
pub(crate) struct Prompt {
    /// The parsed prompt file.
    pub template: Template,
    /// How it is used.
    pub config: PromptConfig,
    /// Whether people are given.
    pub mode: SituationMode,
    /// BCP 47 tag.
    pub language: String,
    /// What a reply must not repeat: the words of the prompt and of the hand-written shots. What resembles an accepted
    /// situation is for dedup to judge.
    pub leaks: Leaks,
    /// The most tokens of a situation, where the configuration says.
    pub max_tokens: Option<u32>,
}

/// How a call is made the second time.
#[derive(Clone, Copy)]
enum Second<'a> {
    /// With what was wrong with the first reply.
    Repair(&'a Reply, &'a str),
    /// With more room, since the first reply was cut off.
    MoreRoom,
}

impl Prompt {
    /// Makes `call` and returns what came of each of its slots, in their order.
    ///
    /// A reply is held to the full standard and goes back once with what is wrong with it. What then still falls short of
    /// what makes a *good* situation, but is one, is taken: it is paid for.
    pub(super) async fn fill(&self, calls: &CallGateway, call: &RoundCall) -> Result<Vec<Fate<Draft>>, Halt> {
        let first = match self.ask(calls, call, None).await? {
            Answer::Reply(reply) => reply,
            lost => return Ok(call.slots.iter().map(|slot| Fate::Dropped(lose(&lost, slot))).collect()),
        };
        let standard = standard(calls);
        let drafts = self.read(call, &first, standard);
        let Some(error) = complaint(&drafts) else {
            calls.found(&site(call, 0), None)?;
            return Ok(best(vec![drafts], &call.slots));
        };
        let mut tries = vec![drafts];
        let second = match first.finish {
            Finish::Length | Finish::ContextFull => Second::MoreRoom,
            Finish::Stop => Second::Repair(&first, &error),
        };
        let second = match self.ask(calls, call, Some(second)).await? {
            Answer::Reply(second) => Some(second),
            _ => None,
        };
        if let Some(second) = &second {
            tries.insert(0, self.read(call, second, standard));
            tries.push(self.read(call, second, Standard::Demo));
        }
        tries.push(self.read(call, &first, Standard::Demo));
        let filled = best(tries, &call.slots);
        let used = filled.iter().any(|fate| matches!(fate, Fate::Accepted(_)));
        for (attempt, reply) in (0..).zip([Some(&first), second.as_ref()]) {
            let Some(reply) = reply else { continue };
            let room = if attempt == 1 && first.finish != Finish::Stop { 2 } else { 1 };
            let unusable = (!used).then(|| unusable(reply, self.room(calls, call).saturating_mul(room), &error));
            calls.found(&site(call, attempt), unusable.as_ref())?;
        }
        Ok(filled)
    }

    async fn ask(&self, calls: &CallGateway, call: &RoundCall, second: Option<Second<'_>>) -> Result<Answer, Halt> {
        let room = self.room(calls, call);
        let (repair, room) = match second {
            Some(Second::Repair(reply, error)) => (Some((reply, error)), room),
            Some(Second::MoreRoom) => (None, room.saturating_mul(2)),
            None => (None, room),
        };
        let standard = standard(calls);
        // What upstream's prompts ask for in words is not what a schema of ours would.
        if self.config.syntax != PromptSyntax::Sections && standard == Standard::Full {
            let messages = self.messages(call, None, repair)?;
            let format = ReplyFormat::Text { prefix: None };
            return calls.ask_at_length(&site(call, u32::from(second.is_some())), messages, format, room).await;
        }
        let schema = schema::situations_schema(&self.wanted(call), standard);
        let format = ReplyFormat::json("situations", schema.clone());
        let shown = !calls.enforces_schemas(Role::Situations, &format, room).await?;
        let messages = self.messages(call, shown.then_some(&schema), repair)?;
        calls.ask_at_length(&site(call, u32::from(second.is_some())), messages, format, room).await
    }

    /// The most tokens that the reply to a call may have.
    fn room(&self, calls: &CallGateway, call: &RoundCall) -> u32 {
        let profile = calls.profile(Role::Situations);
        let wanted = u32::try_from(call.slots.len()).unwrap_or(u32::MAX);
        let follows = match standard(calls) {
            Standard::Demo => LEAST_OF_DEMO,
            Standard::Full => {
                let sizes = call.slots.iter().map(|slot| slot.size);
                room(sizes, self.mode == SituationMode::Auto, &self.language)
            }
        };
        let configured = self.max_tokens.map(|each| each.saturating_mul(wanted));
        configured.unwrap_or_else(|| profile.max_tokens.saturating_mul(wanted).max(follows))
    }

    /// The messages of a call. `schema` is shown to models that are not held to it; `repair` is a reply that could not be
    /// used, and why.
    pub(super) fn messages(
        &self,
        call: &RoundCall,
        schema: Option<&Value>,
        repair: Option<(&Reply, &str)>,
    ) -> Result<Vec<Message>, PromptError> {
        if self.config.syntax != PromptSyntax::Sections {
            return self.messages_of_braces(call, repair);
        }
        let (schema, language_name) = (schema.map(Value::to_string), language::name(&self.language));
        let mut values = self.values(call, schema.as_deref(), &language_name);
        let mut messages = vec![
            Message::system(self.template.render("system", &values)?),
            Message::user(self.template.render("user", &values)?),
        ];
        if let Some((reply, error)) = repair {
            values.error = Some(error);
            // Without what it thought: a chat shows that to nobody.
            let said = reading::answer(&reply.text).unwrap_or(Cow::Borrowed(&reply.text));
            messages.push(Message::assistant(said));
            messages.push(Message::user(self.template.render("repair", &values)?));
        }
        Ok(messages)
    }

    /// The messages where the prompt is one of upstream's.
    fn messages_of_braces(
        &self,
        call: &RoundCall,
        repair: Option<(&Reply, &str)>,
    ) -> Result<Vec<Message>, PromptError> {
        let shots: Vec<Value> = call.examples.iter().map(|shot| shot.individuals()).collect();
        let shots = match self.config.syntax {
            PromptSyntax::BracesText => shots.iter().map(|shot| format!("{shot:#}")).collect::<Vec<_>>().join("\n\n"),
            _ => format!("{:#}", Value::Array(shots)),
        };
        let error = repair.map(|(_, error)| error);
        let values = BraceValues { shots, numGeneratedExamples: call.slots.len(), personas: people(call), error };
        let mut messages = vec![Message::user(self.template.render("user", &values)?)];
        if let Some((reply, _)) = repair {
            let said = reading::answer(&reply.text).unwrap_or(Cow::Borrowed(&reply.text));
            messages.push(Message::assistant(said));
            messages.push(Message::user(self.template.render("repair", &values)?));
        }
        Ok(messages)
    }

    fn values<'a>(
        &'a self,
        call: &'a RoundCall,
        schema: Option<&'a str>,
        language_name: &'a str,
    ) -> SituationValues<'a> {
        let given = |slot: &'a Slot| slot.people.iter().map(|p| Given { name: &p.name, persona: &p.persona }).collect();
        let with_people = call.slots.iter().filter(|slot| !slot.people.is_empty());
        let mode = self.wanted(call).mode();
        let (min_people, max_people) = sizes(call);
        SituationValues {
            language: &self.language,
            language_name,
            count: call.slots.len(),
            groups: with_people.map(given).collect(),
            min_people,
            max_people,
            shots: call.examples.iter().map(|shot| Example::new(shot, mode)).collect(),
            attributes: call.attributes.iter().map(|(name, value)| Attribute { name, value }).collect(),
            intent: call.seed.as_ref().and_then(|seed| seed.intent.as_deref()),
            dialogue: call.seed.as_ref().and_then(|seed| seed.dialogue.as_deref()),
            summary: call.seed.as_ref().and_then(|seed| seed.summary.as_deref()),
            schema,
            error: None,
        }
    }

    pub(super) fn wanted(&self, call: &RoundCall) -> CallRequest {
        let (min, max) = match self.config.syntax {
            PromptSyntax::Sections => sizes(call),
            // Such a prompt has no place for a number.
            _ => FREE_SIZE,
        };
        match self.mode {
            SituationMode::Auto => CallRequest::Invented { count: call.slots.len(), min, max },
            SituationMode::Predefined | SituationMode::File => {
                let names = |slot: &Slot| slot.people.iter().map(|person| person.name.clone()).collect();
                CallRequest::Given(call.slots.iter().map(names).collect())
            }
        }
    }

    /// One result a slot, whatever the reply was.
    fn read(&self, call: &RoundCall, reply: &Reply, standard: Standard) -> Vec<Result<Draft, Unfit>> {
        let drafts = reply::parse_situations(&reply.text, &self.wanted(call), &self.leaks, standard);
        let unfit = |flaw: String| match reply.finish {
            Finish::Length => Unfit { reason: CUT_OFF, detail: format!("cut off by its limit of tokens: {flaw}") },
            Finish::ContextFull => Unfit { reason: "context_full", detail: format!("{CONTEXT_FULL}: {flaw}") },
            Finish::Stop => Unfit::reply(flaw),
        };
        let seated = |(draft, slot): (Draft, Option<&Slot>)| {
            let mut draft = draft;
            seat(&mut draft, slot.map_or(&[], |slot| &slot.people));
            draft
        };
        let slots = call.slots.iter().map(Some).chain(std::iter::repeat(None));
        let drafts = drafts.into_iter().zip(slots).map(|(draft, slot)| draft.map(|draft| seated((draft, slot))));
        drafts.map(|draft| self.unless_copied(call, draft.map_err(unfit)?)).collect()
    }

    fn unless_copied(&self, call: &RoundCall, draft: Draft) -> Result<Draft, Unfit> {
        match call.seed.as_ref().and_then(|seed| seed.copied(&draft, &self.language)) {
            Some(detail) => Err(Unfit { reason: "copies_seed", detail }),
            None => Ok(draft),
        }
    }
}

/// The people given, a line each, groups apart.
fn people(call: &RoundCall) -> String {
    let line = |person: &GivenPerson| format!("- {}: {}", person.name, person.persona);
    let group = |slot: &Slot| slot.people.iter().map(line).collect::<Vec<_>>().join("\n");
    match call.slots.as_slice() {
        [slot] => group(slot),
        slots => {
            let groups = (1..).zip(slots).map(|(at, slot)| format!("Group {at}:\n{}", group(slot)));
            groups.collect::<Vec<_>>().join("\n\n")
        }
    }
}

fn site(call: &RoundCall, attempt: u32) -> CallSite<'_> {
    CallSite { stage: super::STAGE, item: &call.id, turn: 0, role: Role::Situations, attempt }
}

/// What to do about a model whose context holds no prompt with shots and its reply.
const CONTEXT_FULL: &str =
    "the model's context was full; give the server a larger one, or lower shots_per_prompt in the prompt configuration";

/// Why a reply was of no use.
fn unusable(reply: &Reply, room: u32, error: &str) -> UnusableReply {
    match reply.finish {
        Finish::Length => UnusableReply::cut_off(reply, room),
        Finish::ContextFull => UnusableReply { name: "context_full", detail: CONTEXT_FULL.to_owned() },
        Finish::Stop => UnusableReply { name: "invalid_reply", detail: error.to_owned() },
    }
}

/// What the model can be asked for.
fn standard(calls: &CallGateway) -> Standard {
    match calls.profile(Role::Situations).tier {
        "demo" => Standard::Demo,
        _ => Standard::Full,
    }
}

/// Fewest and most people in the situations of a call.
fn sizes(call: &RoundCall) -> (usize, usize) {
    let sizes = call.slots.iter().map(|slot| slot.size);
    (sizes.clone().min().unwrap_or(2), sizes.max().unwrap_or(2))
}

/// For each slot the first sound draft of `tries`, which are ordered by preference; else the first reason.
fn best(tries: Vec<Vec<Result<Draft, Unfit>>>, slots: &[Slot]) -> Vec<Fate<Draft>> {
    let mut tries: Vec<_> = tries.into_iter().map(Vec::into_iter).collect();
    let fill = |slot: &Slot| {
        let drafts: Vec<Result<Draft, Unfit>> = tries.iter_mut().filter_map(Iterator::next).collect();
        let sound = drafts.iter().position(Result::is_ok).unwrap_or(0);
        let chosen = drafts.into_iter().nth(sound);
        match chosen.unwrap_or_else(|| Err(Unfit::reply("the reply has no situation for this place"))) {
            Ok(draft) => Fate::Accepted(draft),
            Err(Unfit { reason, detail }) => Fate::Dropped(Dropped {
                id: slot.id.clone(),
                outcome: Outcome::Rejected,
                reason: reason.to_owned(),
                detail,
            }),
        }
    };
    slots.iter().map(fill).collect()
}

fn complaint(drafts: &[Result<Draft, Unfit>]) -> Option<String> {
    let unfit = drafts.iter().filter_map(|draft| draft.as_ref().err());
    let mut errors: Vec<&str> = unfit.map(|unfit| unfit.detail.as_str()).collect();
    errors.dedup();
    (!errors.is_empty()).then(|| errors.join("; "))
}

/// What a slot came to whose call brought no reply.
fn lose(answer: &Answer, slot: &Slot) -> Dropped {
    let (outcome, reason, detail) = match answer {
        Answer::Refused { category, message } => (Outcome::Refused, "content_filter", format!("{category}: {message}")),
        Answer::Failed { reason, message } => (Outcome::Failed, "no_reply", format!("{reason}: {message}")),
        Answer::Reply(_) => (Outcome::Rejected, "invalid_reply", String::new()),
    };
    Dropped { id: slot.id.clone(), outcome, reason: reason.to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A draft with this topic, or the reason after `!`.
    fn read(text: &str) -> Result<Draft, Unfit> {
        if let Some(reason) = text.strip_prefix('!') {
            return Err(Unfit::reply(reason));
        }
        Ok(Draft {
            personas: Vec::new(),
            relations: Vec::new(),
            situation: String::new(),
            topic: text.to_owned(),
            conversation_starter: String::new(),
        })
    }

    #[test]
    fn the_preferred_sound_draft_fills_a_slot() {
        let tries = [["a1", "!b1", "!c1"], ["a2", "b2", "!c2"]].map(|drafts| drafts.map(read).to_vec()).to_vec();
        let slot = |id: &str| Slot { id: id.to_owned(), split: String::new(), people: Vec::new(), size: 2, ordinal: 0 };
        let shown: Vec<String> = best(tries, &["a", "b", "c", "d"].map(slot))
            .into_iter()
            .map(|filled| match filled {
                Fate::Accepted(draft) => draft.topic,
                Fate::Dropped(dropped) => dropped.detail,
                Fate::Duplicate(duplicate) => duplicate.kept,
            })
            .collect();
        assert_eq!(shown, ["a1", "b2", "c1", "the reply has no situation for this place"]);
    }
}
