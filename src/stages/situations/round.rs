//! One call for situations: what is asked, asked again once if it cannot be used, and what came of each slot.

use std::collections::BTreeMap;

use serde::Serialize;

use super::hub::Snapshot;
use crate::config::{PromptConfig, SituationMode};
use crate::llm::recorded::{Answer, Calls, Halt, Site};
use crate::llm::{Finish, Message, Reply, ReplyFormat, Role};
use crate::prompt::reply::{self, Draft};
use crate::prompt::schema::{self, People};
use crate::prompt::{PromptError, Template};
use crate::record::Outcome;

/// Sections a situations prompt has.
pub const SECTIONS: &[&str] = &["system", "user", "repair"];
/// What a situations prompt can be filled with.
pub const VARIABLES: &[&str] = &[
    "language",
    "language_name",
    "count",
    "groups",
    "min_people",
    "max_people",
    "shots",
    "attributes",
    "intent",
    "schema",
    "error",
];
/// Tokens a call may have at least, whatever a spoken turn may have: a situation is longer than a turn.
const LEAST_TOKENS: u32 = 1000;

/// A situation that is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slot {
    pub(super) id: String,
    pub(super) split: String,
    /// The people given: persona id, name, persona. Empty where the model invents them.
    pub(super) people: Vec<Person>,
    /// How many people to invent, where it does.
    pub(super) size: usize,
}

/// A person given to the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Person {
    #[serde(skip)]
    pub(super) id: String,
    pub(super) name: String,
    pub(super) persona: String,
}

/// A call that is to be made.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) slots: Vec<Slot>,
    pub(super) examples: Snapshot,
    pub(super) attributes: BTreeMap<String, String>,
}

/// What came of a slot.
#[derive(Debug)]
pub(super) enum Filled {
    Draft(Box<Draft>),
    Dropped { outcome: Outcome, reason: &'static str, detail: String },
}

/// The prompt of the stage, and what all its calls share.
#[derive(Debug)]
pub struct Prompt {
    /// The parsed prompt file.
    pub template: Template,
    /// How it is used.
    pub config: PromptConfig,
    /// Whether people are given.
    pub mode: SituationMode,
    /// BCP 47 tag.
    pub language: String,
}

#[derive(Serialize)]
struct Values<'a> {
    language: &'a str,
    language_name: String,
    count: usize,
    groups: Vec<&'a [Person]>,
    min_people: usize,
    max_people: usize,
    shots: Vec<Shown<'a>>,
    attributes: Vec<Attribute<'a>>,
    intent: Option<&'a str>,
    schema: String,
    error: Option<String>,
}

#[derive(Serialize)]
struct Shown<'a> {
    input: &'a str,
    output: &'a str,
}

#[derive(Serialize)]
struct Attribute<'a> {
    name: &'a str,
    value: &'a str,
}

impl Prompt {
    /// Makes `call` and returns what came of each of its slots, in their order.
    pub(super) async fn fill(&self, calls: &Calls, call: &Call) -> Result<Vec<Filled>, Halt> {
        let first = match self.ask(calls, call, 0, None).await? {
            Answer::Reply(reply) => reply,
            lost => return Ok(lost_slots(&lost, call.slots.len())),
        };
        let drafts = self.read(call, &first);
        let Some(error) = complaint(&drafts) else { return Ok(drafts.into_iter().map(filled).collect()) };
        let second = match self.ask(calls, call, 1, Some((&first, error))).await? {
            Answer::Reply(reply) => self.read(call, &reply),
            // What was sound in the first reply is paid for and stays.
            Answer::Refused { .. } | Answer::Failed { .. } => Vec::new(),
        };
        let mut second = second.into_iter();
        Ok(drafts
            .into_iter()
            .map(|first| match (first, second.next()) {
                (Err(_), Some(second)) => filled(second),
                (first, _) => filled(first),
            })
            .collect())
    }

    async fn ask(
        &self,
        calls: &Calls,
        call: &Call,
        attempt: u32,
        repair: Option<(&Reply, String)>,
    ) -> Result<Answer, Halt> {
        let schema = self.schema(call);
        let messages = self.messages(call, &schema, repair)?;
        let site = Site { stage: super::STAGE, item: &call.id, turn: 0, role: Role::Situations, attempt };
        let wanted = u32::try_from(call.slots.len()).unwrap_or(u32::MAX);
        let max_tokens = calls.profile(Role::Situations).max_tokens.saturating_mul(wanted).max(LEAST_TOKENS);
        let format = ReplyFormat::Json { name: "situations".to_owned(), schema };
        calls.ask_at_length(&site, messages, format, max_tokens).await
    }

    fn messages(
        &self,
        call: &Call,
        schema: &serde_json::Value,
        repair: Option<(&Reply, String)>,
    ) -> Result<Vec<Message>, PromptError> {
        let mut values = self.values(call, schema);
        let mut messages = vec![
            Message::system(self.template.render("system", &values)?),
            Message::user(self.template.render("user", &values)?),
        ];
        if let Some((reply, error)) = repair {
            values.error = Some(error);
            messages.push(Message::assistant(reply.text.clone()));
            messages.push(Message::user(self.template.render("repair", &values)?));
        }
        Ok(messages)
    }

    fn values<'a>(&'a self, call: &'a Call, schema: &serde_json::Value) -> Values<'a> {
        let sizes = call.slots.iter().map(|slot| slot.size);
        Values {
            language: &self.language,
            language_name: crate::record::language_name(&self.language),
            count: call.slots.len(),
            groups: call.slots.iter().map(|slot| slot.people.as_slice()).filter(|people| !people.is_empty()).collect(),
            min_people: sizes.clone().min().unwrap_or(0),
            max_people: sizes.max().unwrap_or(0),
            shots: call.examples.iter().map(|e| Shown { input: &e.input, output: &e.output }).collect(),
            attributes: call.attributes.iter().map(|(name, value)| Attribute { name, value }).collect(),
            intent: None,
            schema: schema.to_string(),
            error: None,
        }
    }

    fn schema(&self, call: &Call) -> serde_json::Value {
        schema::situations(&self.people(call), call.slots.len())
    }

    fn people(&self, call: &Call) -> People {
        match self.mode {
            SituationMode::Auto => {
                let sizes = call.slots.iter().map(|slot| slot.size);
                People::Invented { min: sizes.clone().min().unwrap_or(2), max: sizes.max().unwrap_or(2) }
            }
            SituationMode::Predefined | SituationMode::File => People::Given(
                call.slots.iter().map(|slot| slot.people.iter().map(|person| person.name.clone()).collect()).collect(),
            ),
        }
    }

    /// One result a slot, whatever the reply was.
    fn read(&self, call: &Call, reply: &Reply) -> Vec<Result<Draft, String>> {
        let mut drafts = reply::parse_situations(&reply.text, &self.people(call), call.slots.len());
        if reply.finish == Finish::Length {
            for draft in drafts.iter_mut().filter_map(|draft| draft.as_mut().err()) {
                "the reply was cut off by its length: be briefer".clone_into(draft);
            }
        }
        drafts.resize_with(call.slots.len(), || Err("the reply has fewer situations than were asked for".to_owned()));
        drafts
    }
}

fn complaint(drafts: &[Result<Draft, String>]) -> Option<String> {
    let mut errors: Vec<&str> = drafts.iter().filter_map(|draft| draft.as_ref().err()).map(String::as_str).collect();
    errors.dedup();
    (!errors.is_empty()).then(|| errors.join("; "))
}

fn filled(draft: Result<Draft, String>) -> Filled {
    match draft {
        Ok(draft) => Filled::Draft(Box::new(draft)),
        Err(detail) => Filled::Dropped { outcome: Outcome::Rejected, reason: "invalid_reply", detail },
    }
}

fn lost_slots(answer: &Answer, slots: usize) -> Vec<Filled> {
    (0..slots)
        .map(|_| match answer {
            Answer::Refused { category, message } => Filled::Dropped {
                outcome: Outcome::Refused,
                reason: "content_filter",
                detail: format!("{category}: {message}"),
            },
            Answer::Failed { reason, message } => {
                Filled::Dropped { outcome: Outcome::Failed, reason: "no_reply", detail: format!("{reason}: {message}") }
            }
            Answer::Reply(_) => {
                Filled::Dropped { outcome: Outcome::Rejected, reason: "invalid_reply", detail: String::new() }
            }
        })
        .collect()
}
