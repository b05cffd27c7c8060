//! What a run would ask for and cost, without a call: real prompts, rendered, and ranges instead of a promise.
//!
//! `least`: everything is accepted at once and conversations are as short as allowed. `likely`: conversations of middle
//! length, one in seven situations made again. `most`: every attempt, repair and second choice the settings allow; what
//! `budget` cuts off is not subtracted. Tokens are estimated as a quarter of the bytes of Latin script and one for each
//! character of others, which is right within about a quarter for today's vocabularies.

use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use super::error::RunError;
use super::job::Job;
use super::layouts::{self, LayoutAdvice};
use crate::config::assets;
use crate::config::environment::Environment;
use crate::config::loaded::Loaded;
use crate::config::price::{BUILT_IN_LIST, PriceList};
use crate::config::safety::Service;
use crate::config::{Config, Ending, Model, Provider, SituationMode, SpeakerSelection, StructuredMode};
use crate::llm::recorded::CallGateway;
use crate::llm::{Message, Role};
use crate::prompt::shots::Shot;
use crate::record::Situation;
use crate::stages::context::Context;
use crate::stages::conversations::agents::{AgentPrompts, Script, TurnPrompt};
use crate::stages::inputs::{Inputs, InputsError};
use crate::stages::situations::room::room;
use crate::stages::writer::CollectedFates;
use crate::stages::{personas, safety, situations};

/// Lines that a screening service is shown before the turns: situation, topic, starter.
const LINES_IN_FRONT: f64 = 3.0;
/// Tokens of a turn when nothing says how long turns are.
const TURN_TOKENS: f64 = 30.0;
/// Tokens of a word, in languages written with spaces.
const TOKENS_PER_WORD: f64 = 1.4;
/// Times a selector is asked at most.
const SELECTOR_TRIES: f64 = 3.0;

/// Tokens of the prompts that ship, without the conversation; the judge's with the people of a group.
const PROMPT_OF_SAFETY: Range = Range { least: 330.0, likely: 340.0, most: 360.0 };
const PROMPT_OF_JUDGE: Range = Range { least: 750.0, likely: 900.0, most: 1500.0 };

/// The same of the prompt for a summary, with the summary before.
const PROMPT_OF_SUMMARY: Range = Range { least: 100.0, likely: 220.0, most: 400.0 };

/// An example that ships.
const SHIPPED_SHOT: &str = "prompts/situations/shots/shot-1.json";

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RunPlan {
    /// The models by role.
    pub models: Vec<PlannedModel>,
    /// Calls, tokens and cost by role, the sum last.
    pub roles: Vec<PlannedRole>,
    /// ISO 4217 code of the prices; `null` without prices per token.
    pub currency: Option<String>,
    /// Conversations wanted.
    pub conversations: u64,
    /// Conversations that are begun at most to come to so many.
    pub most_conversations: u64,
    /// Which layout is cheaper; `null` for the embedded model.
    pub layout: Option<LayoutAdvice>,
    /// The first prompts, as they would be sent.
    pub prompts: Vec<Rendered>,
    /// What is worth knowing of models without a price.
    pub unpriced: Vec<String>,
}

/// A model and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlannedModel {
    /// What it is used for.
    pub role: String,
    /// The logical name.
    pub model: String,
    /// The kind of endpoint.
    pub provider: String,
}

/// What a role would cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct PlannedRole {
    /// The role, or `all`.
    pub role: String,
    /// Requests.
    pub calls: Range,
    /// Prompt tokens.
    pub prompt_tokens: Range,
    /// Completion tokens.
    pub completion_tokens: Range,
    /// In the currency of the prices; `null` without prices per token.
    pub cost: Option<Range>,
}

/// Least, likely and most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Range {
    /// At least.
    pub least: f64,
    /// Probably about.
    pub likely: f64,
    /// At most.
    pub most: f64,
}

/// A prompt as it would be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Rendered {
    /// Which.
    pub title: String,
    /// Its messages.
    pub messages: Vec<Message>,
}

impl Range {
    fn new(least: f64, likely: f64, most: f64) -> Self {
        Self { least, likely, most }
    }

    fn map(self, other: Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self::new(combine(self.least, other.least), combine(self.likely, other.likely), combine(self.most, other.most))
    }

    fn times(self, other: Self) -> Self {
        self.map(other, |a, b| a * b)
    }

    fn scaled(self, by: f64) -> Self {
        Self::new(self.least * by, self.likely * by, self.most * by)
    }
}

/// Works out what `loaded` asks for.
pub(crate) fn plan(loaded: &Loaded, environment: &Environment) -> Result<RunPlan, RunError> {
    let Job { config, inputs, source } = Job::resolve(loaded, environment, &[])?;
    let mut roles = Vec::new();
    let mut prompts = Vec::new();
    let context = Context {
        config: &config,
        inputs: &inputs,
        source,
        calls: Arc::new(CallGateway::silent(config.seed)),
        progress: Arc::default(),
        accept_partial: false,
    };
    let (sample, wanted) = if config.situations.mode == SituationMode::File {
        let mut made = CollectedFates::default();
        situations::import(&context, &mut made)?;
        let wanted = made.accepted.len() as f64;
        (made.accepted.into_iter().next(), wanted)
    } else {
        let mut people = situations::SpooledPeople::create()?;
        personas::run(&context, &mut people)?;
        let model = role_model(&config, Role::Situations);
        let shown = model.provider != Provider::Embedded && model.structured != StructuredMode::JsonSchema;
        let messages = situations::rehearse(&context, people, shown)?;
        roles.push(situation_calls(&config, &inputs, &messages)?);
        prompts.push(Rendered { title: "the first call for situations".to_owned(), messages });
        // A prompt configuration may do without shots; the conversations after it do not become cheaper for that.
        let shot = inputs.shots()?.into_iter().next().map_or_else(shipped_shot, Ok)?;
        (Some(situations::sample(&shot, &config.language)), config.situations.wanted().unwrap_or(0) as f64)
    };
    let conversations = config.conversations.wanted(whole(wanted) as u64);
    let most_conversations = config.conversations.most_begun(conversations);
    let begun = conversations as f64;
    let begun = Range::new(begun, begun, most_conversations as f64);
    let mut layout = None;
    if let Some(situation) = &sample {
        let agents = inputs.conversation_prompts()?;
        let first = FirstTurn::render(&config, &agents, situation)?;
        layout = layouts::advise(&config, &agents, situation, begun.likely)?;
        roles.extend(conversation_calls(&config, &first, begun));
        prompts.extend(first.rendered());
    }
    roles.push(sum(&roles));
    Ok(RunPlan {
        models: planned_models(&config),
        currency: roles.last().and_then(|all| all.cost).and(currency(&config)),
        roles,
        conversations,
        most_conversations,
        layout,
        prompts,
        unpriced: unpriced(&config),
    })
}

/// A situation of middle size, to reckon with where the configuration shows none.
fn shipped_shot() -> Result<Shot, InputsError> {
    Ok(Shot::parse(Path::new(SHIPPED_SHOT), assets::shipped(SHIPPED_SHOT))?)
}

/// The currency of the prices; one for all models.
fn currency(config: &Config) -> Option<String> {
    let mut prices = config.used_models().into_values().filter_map(Model::charged);
    prices.find(crate::config::Price::is_by_token).map(|price| price.currency)
}

/// Models without a price, and whether the list that ships has one for them.
fn unpriced(config: &Config) -> Vec<String> {
    let list = PriceList::built_in();
    let models = config.used_models().into_iter();
    let models = models.filter(|(_, model)| model.provider != Provider::Embedded && model.price.is_none());
    models
        .map(|(key, model)| {
            let name = model.model.as_ref().or(model.deployment.as_ref()).map_or("", String::as_str);
            match list.find(name) {
                Some(price) => format!(
                    "models.{key} has no price; the list that ships has one for {name}, looked up on {}: set \
                     models.{key}.price to {{list: {BUILT_IN_LIST}}} (`convogen config prices` shows it)",
                    price.checked
                ),
                None => format!("models.{key} has no price, and the list that ships has none for {name:?}"),
            }
        })
        .collect()
}

fn planned_models(config: &Config) -> Vec<PlannedModel> {
    let models = config.roles().into_iter();
    models
        .map(|(role, _, model)| PlannedModel {
            role: role.to_string(),
            model: super::models::profile(model, config.safety.service.filter(|_| role == Role::Safety)).model,
            provider: model.provider.as_str().to_owned(),
        })
        .collect()
}

pub(super) fn role_model(config: &Config, role: Role) -> &Model {
    let own = config.roles().into_iter().find(|(of, ..)| *of == role);
    own.map_or(&config.models.default, |(.., model)| model)
}

/// Estimated tokens of a text.
pub(super) fn tokens(text: &str) -> f64 {
    let latin = text.chars().filter(|c| (*c as u32) < 0x250).count();
    latin as f64 / 4.0 + (text.chars().count() - latin) as f64
}

fn prompt_tokens(messages: &[Message]) -> f64 {
    messages.iter().map(|message| tokens(&message.content) + 4.0).sum()
}

fn situation_calls(config: &Config, inputs: &Inputs, first: &[Message]) -> Result<PlannedRole, RunError> {
    let per_call = inputs.situations_per_call(config)?.max(1) as f64;
    let wanted = config.situations.wanted().unwrap_or(0) as f64;
    let calls =
        Range::new(wanted, wanted * 7.0 / 6.0, wanted * 3.0).map(Range::default(), |n, _| (n / per_call).ceil());
    // A repaired reply is asked for a second time, with the first one in the prompt.
    let calls = Range { most: calls.most * 2.0, ..calls };
    let model = role_model(config, Role::Situations);
    let prompt = prompt_tokens(first);
    let shot = inputs.shots()?.first().map_or(400.0, |shot| tokens(&shot.output(crate::prompt::PersonaMode::Auto)));
    let most = f64::from(config.situations.max_tokens.unwrap_or_else(|| {
        let largest = std::iter::once(config.situations.personas.max);
        room(largest, config.situations.mode == SituationMode::Auto, &config.language).max(model.max_tokens)
    })) * per_call;
    let reply = (shot * per_call).min(most);
    Ok(priced(
        Role::Situations,
        model,
        calls,
        Range::new(prompt, prompt * 1.2, prompt * 1.2 + most),
        Range::new(reply * 0.6, reply, most),
    ))
}

/// The first turn of a conversation on a sample situation.
struct FirstTurn {
    speaker: Vec<Message>,
    selector: Vec<Message>,
    people: usize,
}

impl FirstTurn {
    fn render(config: &Config, prompts: &AgentPrompts, situation: &Situation) -> Result<Self, RunError> {
        let settings = &config.conversations;
        let mut script = Script::new(prompts, settings.layout, situation).map_err(InputsError::from)?;
        let everyone: Vec<usize> = (0..situation.personas.len()).collect();
        let others = everyone.get(1..).unwrap_or_default();
        let fused = settings.speaker_selection == SpeakerSelection::Fused;
        let turn = TurnPrompt {
            speaker: 0,
            words: settings.words_per_turn.map(|_| 12),
            hand_over: fused.then_some(others),
            may_end: false,
            flaw: None,
        };
        let selector = match settings.speaker_selection {
            SpeakerSelection::Auto => script.select(&everyone, false, None),
            _ => Ok(Vec::new()),
        };
        Ok(Self {
            speaker: script.speak(&turn).map_err(InputsError::from)?,
            selector: selector.map_err(InputsError::from)?,
            people: everyone.len(),
        })
    }

    fn rendered(self) -> impl Iterator<Item = Rendered> {
        let parts = [("the first choice of a speaker", self.selector), ("the first turn", self.speaker)];
        parts
            .into_iter()
            .filter(|(_, messages)| !messages.is_empty())
            .map(|(title, messages)| Rendered { title: title.to_owned(), messages })
    }
}

/// Turns that a conversation probably has.
pub(super) fn likely_turns(config: &Config) -> f64 {
    let turns = config.conversations.turns;
    let (min, max) = (f64::from(turns.min), f64::from(turns.max));
    if config.conversations.ending == Ending::MaxOnly { max } else { f64::midpoint(min, max) }
}

/// Tokens that a turn probably has.
pub(super) fn likely_line(config: &Config) -> f64 {
    let words = config.conversations.words_per_turn;
    let longest = f64::from(role_model(config, Role::Speaker).max_tokens);
    words.map_or(TURN_TOKENS, |words| words.median * TOKENS_PER_WORD).min(longest)
}

fn conversation_calls(config: &Config, first: &FirstTurn, conversations: Range) -> Vec<PlannedRole> {
    let settings = &config.conversations;
    let (min, max) = (f64::from(settings.turns.min), f64::from(settings.turns.max));
    let turns = match settings.ending {
        Ending::Agreed | Ending::Drawn => Range::new(min, likely_turns(config), max),
        Ending::MaxOnly => Range::new(max, max, max),
    };
    let speaker = role_model(config, Role::Speaker);
    let longest = f64::from(speaker.max_tokens);
    let line = likely_line(config);
    let line = Range::new(line * 0.6, line, longest);
    // Every turn carries the turns before it that are shown.
    let carried = turns.map(line, |turns, line| shown_lines(config, turns) * line);
    let prompts = |messages: &[Message]| turns.scaled(prompt_tokens(messages)).map(carried, |base, lines| base + lines);
    let per_turn = |total: Range| total.map(turns, |total, turns| total / turns.max(1.0));
    let repairs = f64::from(settings.max_repairs + 1);
    let calls = Range { most: turns.most * repairs, ..turns }.times(conversations);
    let mut roles = vec![priced(Role::Speaker, speaker, calls, per_turn(prompts(&first.speaker)), line)];
    if !first.selector.is_empty() && first.people > 2 {
        let calls = Range { most: turns.most * SELECTOR_TRIES, ..turns }.times(conversations);
        let selector = role_model(config, Role::Selector);
        let answer = Range::new(8.0, 12.0, f64::from(selector.max_tokens));
        roles.push(priced(Role::Selector, selector, calls, per_turn(prompts(&first.selector)), answer));
    }
    let whole = turns.times(line);
    roles.extend(summary_calls(config, turns, line, conversations));
    roles.extend(screening_calls(config, turns, whole, conversations));
    roles.extend(judge_calls(config, whole, conversations));
    roles
}

/// Lines that the prompts of so many turns show, all together.
fn shown_lines(config: &Config, turns: f64) -> f64 {
    let shown = config.conversations.context;
    if shown.last_turns.is_none() {
        return turns * (turns - 1.0).max(0.0) / 2.0;
    }
    (0..whole(turns)).map(|turn| (turn - shown.first_shown(turn)) as f64).sum()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count made from counts")]
fn whole(count: f64) -> usize {
    count.round() as usize
}

/// The calls that sum up what is no longer shown.
fn summary_calls(config: &Config, turns: Range, line: Range, conversations: Range) -> Option<PlannedRole> {
    let shown = config.conversations.context;
    let step = f64::from(shown.last_turns.filter(|_| shown.summary)? / 2).max(1.0);
    let model = role_model(config, Role::Summary);
    let steps = |turns: f64, _: f64| shown.first_shown(whole(turns).saturating_sub(1)) as f64 / step;
    let calls = turns.map(turns, steps).times(conversations);
    let prompt = line.scaled(step).map(PROMPT_OF_SUMMARY, |lines, rest| lines + rest);
    Some(priced(Role::Summary, model, calls, prompt, answer_of(model, 120.0)))
}

/// The calls of a service that screens conversations of `turns` turns and `whole` tokens.
fn screening_calls(config: &Config, turns: Range, whole: Range, conversations: Range) -> Option<PlannedRole> {
    let service = config.safety.service?;
    let model = role_model(config, Role::Safety);
    let pieces = turns.map(whole, |turns, tokens| safety::pieces_of(service, turns + LINES_IN_FRONT, tokens * 4.0));
    let calls = pieces.times(conversations);
    if service != Service::Judge {
        // Such a service counts no tokens.
        return Some(priced(Role::Safety, model, calls, Range::default(), Range::default()));
    }
    let calls = Range { most: calls.most * 2.0, ..calls };
    Some(priced(Role::Safety, model, calls, whole.map(PROMPT_OF_SAFETY, |a, b| a + b), answer_of(model, 40.0)))
}

/// The calls of a judge. A reply that cannot be used is asked for a second time.
fn judge_calls(config: &Config, whole: Range, conversations: Range) -> Option<PlannedRole> {
    if !config.judge.enabled {
        return None;
    }
    let model = role_model(config, Role::Judge);
    let calls = Range::new(1.0, 1.0, 2.0).times(conversations.scaled(config.judge.sample));
    Some(priced(Role::Judge, model, calls, whole.map(PROMPT_OF_JUDGE, |a, b| a + b), answer_of(model, 150.0)))
}

/// Tokens of an answer in JSON that usually has `likely`.
fn answer_of(model: &Model, likely: f64) -> Range {
    let most = f64::from(model.max_tokens);
    Range::new((likely * 0.8).min(most), likely.min(most), most)
}

/// A role's sums from calls and tokens a call.
fn priced(role: Role, model: &Model, calls: Range, prompt: Range, completion: Range) -> PlannedRole {
    let (prompt_tokens, completion_tokens) = (calls.times(prompt), calls.times(completion));
    let price = model.charged().filter(crate::config::Price::is_by_token);
    let cost = price.map(|price| {
        let (prompt, completion) = (price.prompt.unwrap_or(0.0), price.completion.unwrap_or(0.0));
        let prompts = prompt_tokens.times(Range::new(prompt, prompt, price.dearest_prompt()));
        let replies = completion_tokens.times(Range::new(completion, completion, price.dearest_completion()));
        prompts.map(replies, |a, b| (a + b) / 1e6)
    });
    PlannedRole { role: role.to_string(), calls, prompt_tokens, completion_tokens, cost }
}

fn sum(roles: &[PlannedRole]) -> PlannedRole {
    let total = |part: fn(&PlannedRole) -> Range| {
        roles.iter().map(part).fold(Range::default(), |sum, part| sum.map(part, |a, b| a + b))
    };
    let costs: Vec<Range> = roles.iter().filter_map(|role| role.cost).collect();
    let cost = costs.into_iter().reduce(|sum, cost| sum.map(cost, |a, b| a + b));
    PlannedRole {
        role: "all".to_owned(),
        calls: total(|role| role.calls),
        prompt_tokens: total(|role| role.prompt_tokens),
        completion_tokens: total(|role| role.completion_tokens),
        cost,
    }
}
