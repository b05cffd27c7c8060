//! Scoring finished conversations with a model: how well each keeps to its situation, people, relations and topic.
//!
//! Scores are whole numbers from 1 to 5, each anchored in the prompt and backed by a quoted line. A quote that is not in the
//! conversation makes the reply unusable; it is asked for once more, and after that counts as a failure: never as a score.
//! A judge decides nothing. Whoever reads the figures should know that models favour what they wrote themselves, and
//! that the same prompt on another model gives other numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::transcript::{self, AskOutcome, MALFORMED, Unusable};
use crate::config;
use crate::draw::Draw;
use crate::llm::recorded::{CallGateway, CallSite};
use crate::llm::{Halt, ReplyFormat, Role};
use crate::prompt::template::{PromptError, Template};
use crate::record::{Conversation, Participant, Situation};

/// The stage's name in keys and draws.
pub(crate) const STAGE: &str = "judge";
/// What is scored.
pub(crate) const SCALES: [&str; 4] = ["situation", "persona", "relations", "topic"];
const LOWEST: u64 = 1;
const HIGHEST: u64 = 5;
/// Letters and digits of a quote at least: less is found in anything.
const SHORTEST_QUOTE: usize = 4;
const VARIABLES: &[&str] = &["situation", "topic", "people", "relations", "conversation", "flaw"];
const NOT_FOUND: Unusable = Unusable {
    name: "evidence_not_found",
    reason: "a quote is not in the conversation; copy a line or a part of one, letter by letter",
};

/// What every conversation of a run is scored with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct JudgeStage<'a> {
    /// The settings.
    pub settings: &'a config::Judge,
    /// The prompt.
    pub prompt: &'a Template,
    /// Where replies come from.
    pub calls: &'a CallGateway,
    /// The run's seed.
    pub seed: u64,
}

/// The column `judgement`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Judgement {
    /// The logical model that judged.
    pub model: String,
    /// Scores by scale; empty after a failure.
    pub scores: BTreeMap<String, JudgeScore>,
    /// A line that contradicts what is given or what was said before; `null` where there is none.
    pub contradiction: Option<String>,
    /// Why there are no scores, such as `evidence_not_found` or `refused: hate`; `null` where there are.
    pub failure: Option<String>,
}

/// A score and the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JudgeScore {
    /// From 1 to 5.
    pub score: u64,
    /// Words of the conversation.
    pub quote: String,
}

/// Reads the judge's prompt.
pub(crate) fn prompt(name: &str, text: &str) -> Result<Template, PromptError> {
    transcript::prompt(name, text, VARIABLES)
}

#[derive(Debug, Serialize)]
struct Values<'a> {
    situation: &'a str,
    topic: &'a str,
    people: Vec<Person<'a>>,
    relations: Vec<&'a str>,
    conversation: String,
    flaw: &'static str,
}

#[derive(Debug, Serialize)]
struct Person<'a> {
    name: &'a str,
    persona: &'a str,
    stance: Option<&'a str>,
    goal: Option<&'a str>,
}

impl JudgeStage<'_> {
    /// Whether a conversation is among those that are scored.
    pub(crate) fn samples(&self, id: &str) -> bool {
        Draw::new(self.seed, &[STAGE, id]).unit() < self.settings.sample
    }

    /// Scores a conversation, if it is drawn. Nothing but its column `judgement` changes.
    ///
    /// # Errors
    /// Only what stops the whole run.
    pub(crate) async fn judge(&self, situation: &Situation, conversation: &mut Conversation) -> Result<(), Halt> {
        if !self.samples(&conversation.id) {
            return Ok(());
        }
        let values = values(situation, conversation);
        let said = evened(&values.conversation);
        let site = CallSite { stage: STAGE, item: &conversation.id, turn: 0, role: Role::Judge, attempt: 0 };
        let read = |value: &Value| read(value, &said);
        let told = transcript::ask(self.calls, site, self.prompt, &values, &format(), read).await?;
        let model = self.calls.profile(Role::Judge).model.clone();
        let failed = |why: String| Judgement {
            model: model.clone(),
            scores: BTreeMap::new(),
            contradiction: None,
            failure: Some(why),
        };
        let judgement = match told {
            AskOutcome::Read((scores, contradiction)) => Judgement { model, scores, contradiction, failure: None },
            AskOutcome::Unusable(name) => failed(name.to_owned()),
            AskOutcome::Refused(category) => failed(format!("refused: {category}")),
            AskOutcome::Failed(reason) => failed(reason),
        };
        conversation.judgement = serde_json::to_string(&judgement)
            .unwrap_or_else(|error| unreachable!("a judgement has a JSON form: {error}"));
        Ok(())
    }
}

fn values<'a>(situation: &'a Situation, conversation: &'a Conversation) -> Values<'a> {
    let person = |person: &'a Participant| Person {
        name: &person.name,
        persona: &person.persona,
        stance: person.stance.as_deref(),
        goal: person.goal.as_deref(),
    };
    Values {
        situation: &conversation.situation,
        topic: &conversation.topic,
        people: situation.personas.iter().map(person).collect(),
        relations: situation.relations.iter().map(|relation| relation.text.as_str()).collect(),
        conversation: transcript::text(conversation),
        flaw: "",
    }
}

/// The quote before the score: a number that was written first would look for its reason.
fn format() -> ReplyFormat {
    let closed = |properties: Value, required: &[&str]| json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    let scores: Vec<u64> = (LOWEST..=HIGHEST).collect();
    let scale =
        closed(json!({"quote": {"type": "string"}, "score": {"type": "integer", "enum": scores}}), &["quote", "score"]);
    let mut properties: Map<String, Value> = SCALES.iter().map(|name| ((*name).to_owned(), scale.clone())).collect();
    let contradiction = closed(json!({"quote": {"type": "string"}, "found": {"type": "boolean"}}), &["quote", "found"]);
    properties.insert("contradiction".to_owned(), contradiction);
    let required: Vec<&str> = SCALES.into_iter().chain(["contradiction"]).collect();
    ReplyFormat::json("judgement", closed(Value::Object(properties), &required))
}

type Scores = BTreeMap<String, JudgeScore>;

/// The scores and the contradiction of a reply whose every quote is in `said`.
fn read(value: &Value, said: &str) -> Result<(Scores, Option<String>), Unusable> {
    let mut scores = Scores::new();
    for scale in SCALES {
        let given = value.get(scale).ok_or(MALFORMED)?;
        let score = given.get("score").and_then(Value::as_u64).filter(|score| (LOWEST..=HIGHEST).contains(score));
        let quote = quote(given, said)?;
        scores.insert(scale.to_owned(), JudgeScore { score: score.ok_or(MALFORMED)?, quote });
    }
    let contradiction = value.get("contradiction").ok_or(MALFORMED)?;
    let found = contradiction.get("found").and_then(Value::as_bool).ok_or(MALFORMED)?;
    Ok((scores, found.then(|| quote(contradiction, said)).transpose()?))
}

/// The quote of `given`, if the conversation has it word for word; white space, letter case and marks around it aside.
fn quote(given: &Value, said: &str) -> Result<String, Unusable> {
    let quote = given.get("quote").and_then(Value::as_str).ok_or(MALFORMED)?;
    let marks = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '“' | '”' | '„' | '‘' | '’' | '«' | '»' | '…');
    let bare = quote.trim_matches(marks);
    let long_enough = bare.chars().filter(|c| c.is_alphanumeric()).count() >= SHORTEST_QUOTE;
    if long_enough && said.contains(&evened(bare)) { Ok(transcript::one_line(bare)) } else { Err(NOT_FOUND) }
}

fn evened(text: &str) -> String {
    transcript::one_line(text).to_lowercase()
}

/// What a judge said over a whole stage: part of its notes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct JudgeFigures {
    /// Accepted conversations with scores.
    pub judged: u64,
    /// Mean score by scale.
    pub means: BTreeMap<String, f64>,
    /// How often each score from 1 to 5 was given, by scale.
    pub distribution: BTreeMap<String, [u64; 5]>,
    /// Conversations in which something contradicts.
    pub contradictions: u64,
    /// Conversations that could not be scored, by reason.
    pub failures: BTreeMap<String, u64>,
}

impl JudgeFigures {
    /// Counts a conversation that was accepted.
    pub(crate) fn add(&mut self, accepted: &Conversation) {
        let judgement = Some(&accepted.judgement).filter(|judgement| *judgement != "{}");
        if let Some(judgement) = judgement.and_then(|judgement| serde_json::from_str(judgement).ok()) {
            self.count(judgement);
        }
    }

    fn count(&mut self, judgement: Judgement) {
        if let Some(why) = judgement.failure {
            *self.failures.entry(why).or_default() += 1;
            return;
        }
        self.judged += 1;
        self.contradictions += u64::from(judgement.contradiction.is_some());
        for (scale, JudgeScore { score, .. }) in judgement.scores {
            let counts = self.distribution.entry(scale.clone()).or_default();
            let at = usize::try_from(score.saturating_sub(LOWEST)).unwrap_or_default();
            counts.get_mut(at).into_iter().for_each(|count| *count += 1);
            let sum: u64 = (LOWEST..).zip(&*counts).map(|(score, count)| score * count).sum();
            let mean = sum as f64 / counts.iter().sum::<u64>().max(1) as f64;
            self.means.insert(scale, (mean * 1000.0).round() / 1000.0);
        }
    }

    /// What there is to tell; nothing where nothing was judged.
    pub(crate) fn told(&self) -> Option<String> {
        if self.judged == 0 && self.failures.is_empty() {
            return None;
        }
        let means: Vec<String> = self.means.iter().map(|(scale, mean)| format!("{scale} {mean:.2}")).collect();
        let mut told = format!("judge: {} conversations scored", self.judged);
        if self.judged > 0 {
            told += &format!(", means of 1 to 5: {}; {} with a contradiction", means.join(", "), self.contradictions);
        }
        let failures: Vec<String> = self.failures.iter().map(|(why, count)| format!("{why} {count}")).collect();
        if !failures.is_empty() {
            told += &format!("; not scored: {}", failures.join(", "));
        }
        Some(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "the bus is late. ann: who  said that? bob: it was me, ann.";

    fn reply(quote: &str, score: u64) -> Value {
        let scale = json!({"quote": quote, "score": score});
        json!({"situation": scale, "persona": scale, "relations": scale, "topic": scale,
               "contradiction": {"quote": "", "found": false}})
    }

    #[test]
    fn a_score_stands_on_words_that_were_said_or_is_none() {
        let said = evened(SAID);
        for quote in ["Who said   that?", "“it was ME, Ann”", "Bob: It was me", "bus is late"] {
            let (scores, contradiction) = read(&reply(quote, 4), &said).unwrap();
            assert_eq!((scores.len(), scores["topic"].score, contradiction), (4, 4, None), "{quote}");
        }
        for quote in ["", "it", "…", "it was not me", "who said it?"] {
            assert_eq!(read(&reply(quote, 4), &said), Err(NOT_FOUND), "{quote}");
        }
        for score in [0, 6] {
            assert_eq!(read(&reply("who said that?", score), &said), Err(MALFORMED));
        }
        let mut contradicts = reply("who said that?", 1);
        contradicts["contradiction"] = json!({"quote": "nobody said it", "found": true});
        assert_eq!(read(&contradicts, &said), Err(NOT_FOUND));
        contradicts["contradiction"]["quote"] = json!("it was me");
        assert_eq!(read(&contradicts, &said).unwrap().1.as_deref(), Some("it was me"));
    }

    #[test]
    fn the_sample_is_drawn_by_seed_and_id() {
        let (calls, prompt) =
            (CallGateway::silent(1), prompt("judge.md", include_str!("../../prompts/judge/judge.md")).unwrap());
        let drawn = |sample: f64, seed: u64| -> Vec<usize> {
            let settings = config::Judge { enabled: true, sample, prompt: None };
            let stage = JudgeStage { settings: &settings, prompt: &prompt, calls: &calls, seed };
            (0..2_000).filter(|at| stage.samples(&format!("c-{at}"))).collect()
        };
        assert_eq!((drawn(0.0, 1).len(), drawn(1.0, 1).len()), (0, 2_000));
        let (quarter, half) = (drawn(0.25, 1), drawn(0.5, 1));
        assert!((400..600).contains(&quarter.len()), "{}", quarter.len());
        assert!(quarter.iter().all(|at| half.contains(at)), "a larger sample contains the smaller");
        assert_ne!(quarter, drawn(0.25, 2));
    }
}
