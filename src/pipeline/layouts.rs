//! Which layout of prompts is cheaper for a run, and by how much: a conversation of the likely length is written out in either,
//! and what a prefix cache would serve of it is counted.
//!
//! A cache holds what was sent before in blocks of 128 tokens and serves the longest beginning that it holds; OpenAI's and
//! Azure's serve none below 1,024 tokens. Whether an endpoint has one is not known from here, so both counts are told.

use serde::Serialize;

use super::error::RunError;
use super::plan::{likely_line, likely_turns, role_model, tokens};
use crate::config::{Config, Layout, Model, Provider, SpeakerSelection};
use crate::llm::{Message, Role};
use crate::loopback::is_this_machine;
use crate::record::Situation;
use crate::stages::conversations::agents::{AgentPrompts, Script, TurnPrompt};
use crate::stages::inputs::InputsError;

/// Tokens that endpoints cache as one.
const BLOCK: f64 = 128.0;
/// Shorter beginnings are not served by the services that are not on this machine.
const LEAST_SERVED: f64 = 1024.0;
/// What a cached token costs of an uncached one where no price says so: services ask a tenth to a half.
const CACHED_SHARE: f64 = 0.5;

/// Both layouts for one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LayoutAdvice {
    /// The one that is configured.
    pub configured: &'static str,
    /// The one that costs less.
    pub cheaper: &'static str,
    /// How much less than the other, as a share of it.
    pub saves: f64,
    /// What each comes to.
    pub layouts: Vec<LayoutFigures>,
}

/// What the prompts of all conversations come to in one layout, at their likely length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct LayoutFigures {
    /// The layout.
    pub layout: &'static str,
    /// Prompt tokens.
    pub prompt_tokens: f64,
    /// Those that a prefix cache does not serve.
    pub uncached_tokens: f64,
    /// In the currency of the prices; `null` without prices per token.
    pub cost: Option<f64>,
    /// What decides: the cost, or tokens weighed as if they cost.
    #[serde(skip)]
    weight: f64,
}

/// The layouts for `conversations` such as one on `situation`. Nothing for the embedded model, which costs nothing.
pub(crate) fn advise(
    config: &Config,
    prompts: &AgentPrompts,
    situation: &Situation,
    conversations: f64,
) -> Result<Option<LayoutAdvice>, RunError> {
    let speaker = role_model(config, Role::Speaker);
    if speaker.provider == Provider::Embedded {
        return Ok(None);
    }
    let mut layouts = Vec::new();
    for layout in [Layout::AgentFirst, Layout::SharedPrefix] {
        let requests = write_out(config, prompts, layout, situation)?;
        layouts.push(figures(config, layout, &requests, conversations));
    }
    layouts.sort_by(|one, other| one.weight.total_cmp(&other.weight));
    let (Some(cheaper), Some(dearer)) = (layouts.first(), layouts.last()) else { return Ok(None) };
    let saves = if dearer.weight > 0.0 { 1.0 - cheaper.weight / dearer.weight } else { 0.0 };
    Ok(Some(LayoutAdvice { configured: config.conversations.layout.as_str(), cheaper: cheaper.layout, saves, layouts }))
}

/// The requests of one conversation, everybody speaking in turn.
fn write_out(
    config: &Config,
    prompts: &AgentPrompts,
    layout: Layout,
    situation: &Situation,
) -> Result<Vec<(Role, String)>, RunError> {
    let settings = &config.conversations;
    let people = situation.personas.len().max(1);
    let fused = settings.speaker_selection == SpeakerSelection::Fused;
    let asks_selector = settings.speaker_selection == SpeakerSelection::Auto && people > 2;
    let line = likely_line(config);
    let mut script = Script::new(prompts, layout, situation).map_err(InputsError::from)?;
    let mut requests = Vec::new();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of turns")]
    for turn in 0..likely_turns(config).round() as usize {
        let speaker = turn % people;
        let first = settings.context.first_shown(turn);
        if first != script.shows_from() {
            script.show_from(first, None).map_err(InputsError::from)?;
        }
        let others: Vec<usize> = (0..people).filter(|person| *person != speaker).collect();
        if asks_selector {
            let candidates: Vec<usize> =
                (0..people).filter(|person| turn == 0 || *person != (turn - 1) % people).collect();
            let messages = script.select(&candidates, false, None).map_err(InputsError::from)?;
            requests.push((Role::Selector, text(&messages)));
        }
        let prompt = TurnPrompt {
            speaker,
            words: settings.words_per_turn.map(|_| 12),
            hand_over: fused.then_some(others.as_slice()),
            may_end: false,
            flaw: None,
        };
        requests.push((Role::Speaker, text(&script.speak(&prompt).map_err(InputsError::from)?)));
        script.hear(speaker, &filler(turn, line));
    }
    Ok(requests)
}

/// A text of about so many tokens that no other turn has.
fn filler(turn: usize, tokens: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of characters")]
    let length = (tokens * 4.0).round() as usize;
    let text = format!("{turn} ");
    text.chars().chain("word ".chars().cycle()).take(length.max(text.len())).collect()
}

/// A request as one text.
fn text(messages: &[Message]) -> String {
    messages.iter().map(|message| format!("{:?}\n{}\n", message.role, message.content)).collect()
}

fn figures(config: &Config, layout: Layout, requests: &[(Role, String)], conversations: f64) -> LayoutFigures {
    let (mut prompt_tokens, mut uncached_tokens, mut weight) = (0.0, 0.0, 0.0);
    for (at, (role, request)) in requests.iter().enumerate() {
        let earlier = requests.get(..at).unwrap_or_default();
        let common = earlier.iter().map(|(_, other)| common_bytes(request, other)).max().unwrap_or(0);
        let model = role_model(config, *role);
        let (whole, served) = (tokens(request), served(model, tokens(request.get(..common).unwrap_or_default())));
        prompt_tokens += whole;
        uncached_tokens += whole - served;
        weight += weigh(model, whole, served);
    }
    let is_priced = |role| role_model(config, role).price.as_ref().is_some_and(|price| price.prompt.is_some());
    let all_priced = requests.iter().all(|(role, _)| is_priced(*role));
    LayoutFigures {
        layout: layout.as_str(),
        prompt_tokens: prompt_tokens * conversations,
        uncached_tokens: uncached_tokens * conversations,
        cost: all_priced.then_some(weight * conversations / 1e6),
        weight,
    }
}

/// What of a beginning that was sent before a cache serves.
fn served(model: &Model, common: f64) -> f64 {
    let is_here =
        model.base_url.as_deref().and_then(|url| url::Url::parse(url).ok()).is_some_and(|url| is_this_machine(&url));
    let whole = (common / BLOCK).floor() * BLOCK;
    if is_here || whole >= LEAST_SERVED { whole } else { 0.0 }
}

/// What a prompt costs, per million; without a price per token, tokens in place of it.
fn weigh(model: &Model, whole: f64, served: f64) -> f64 {
    let price = model.price.as_ref();
    let (fresh, cached) = match price.and_then(|price| Some((price.prompt?, price.cached_prompt))) {
        Some((fresh, cached)) => (fresh, cached.unwrap_or(fresh)),
        // Who rents by the hour pays for what has to be read anew.
        None if price.is_some() => (1.0, 0.0),
        None => (1.0, CACHED_SHARE),
    };
    (whole - served) * fresh + served * cached
}

/// How many bytes two texts have in common from their start, whole characters.
fn common_bytes(one: &str, other: &str) -> usize {
    let same = one.char_indices().zip(other.chars()).find(|((_, a), b)| a != b);
    same.map_or(one.len().min(other.len()), |((at, _), _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Price;

    #[test]
    fn a_beginning_is_served_in_whole_blocks_and_by_services_from_1024_tokens_on() {
        let elsewhere = Model { base_url: Some("https://models.example/v1".into()), ..Model::default() };
        let here = Model { base_url: Some("http://127.0.0.1:8000/v1".into()), ..Model::default() };
        assert_eq!((served(&elsewhere, 1023.0), served(&elsewhere, 1200.0)), (0.0, 1152.0));
        assert_eq!((served(&here, 127.0), served(&here, 300.0)), (0.0, 256.0));
    }

    #[test]
    fn a_price_decides_what_a_cached_token_weighs() {
        let priced = |prompt, cached_prompt, per_hour| {
            let price: Price = serde_json::from_value(
                serde_json::json!({"prompt": prompt, "cached_prompt": cached_prompt, "completion": 8.0, "per_hour": per_hour}),
            )
            .unwrap();
            weigh(&Model { price: Some(price), ..Model::default() }, 100.0, 60.0)
        };
        assert!((priced(Some(2.0), Some(0.5), None) - 110.0).abs() < 1e-9);
        assert!((priced(Some(2.0), None, None) - 200.0).abs() < 1e-9, "no cheaper for being cached");
        assert!((priced(None, None, Some(36.0)) - 40.0).abs() < 1e-9);
        assert!((weigh(&Model::default(), 100.0, 60.0) - 70.0).abs() < 1e-9);
    }

    #[test]
    fn texts_have_whole_characters_in_common() {
        assert_eq!((common_bytes("äöx", "äöy"), common_bytes("é", "è"), common_bytes("ab", "abc")), (4, 0, 2));
        assert_ne!(filler(1, 9.0), filler(2, 9.0));
    }
}
