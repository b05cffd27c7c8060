//! The conversations stage over situations made of the clean talk, with a model that answers at once: nothing is sent,
//! nothing is journaled.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use convogen::Draw;
use convogen::config::{self, Conversations};
use convogen::llm::budget::Budget;
use convogen::llm::evidence::Evidence;
use convogen::llm::pool::ModelPool;
use convogen::llm::recorded::{CallGateway, CallObserver, ModelEndpoint, ModelProfile, SignsOfLife};
use convogen::llm::{AttemptError, ChatModel, ChatRequest, Finish, Reply, Role, Structured, StructuredSupport, Usage};
use convogen::record::{Participant, Relation, Situation};
use convogen::stages::conversations::agents::{AgentPromptFile, AgentPrompts};
use convogen::stages::{OpenInput, Progress};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::phrases;
use super::talk::{self, Play};

/// The seed of every run here.
const SEED: u64 = 17;

/// The prompts that ship.
pub(crate) fn prompts() -> AgentPrompts {
    let [speaker, fused, selector] =
        ["speaker", "fused", "selector"].map(|name| talk::read(&format!("prompts/conversations/{name}.md")));
    parse([&speaker, &fused, &selector])
}

/// Prompts with the texts of speaker, fused and selector.
pub(crate) fn parse(texts: [&str; 3]) -> AgentPrompts {
    let file = |text| AgentPromptFile { name: "prompt.md", text };
    AgentPrompts::parse(file(texts[0]), file(texts[1]), file(texts[2])).unwrap()
}

/// The scene as a situation: who stands where is taken from what they say, and every other person has a secret.
pub(crate) fn situation(play: &Play, at: usize) -> Situation {
    let mut draw = Draw::new(SEED, &["scene", &at.to_string()]);
    let people: Vec<Participant> = (0..play.people.len()).map(|person| participant(play, person, &mut draw)).collect();
    let ties = people.windows(2).map(|pair| Relation {
        from: pair[0].id.clone(),
        to: pair[1].id.clone(),
        r#type: "neighbour".to_owned(),
        text: format!("{} and {} have known each other for years.", pair[0].name, pair[1].name),
    });
    Situation {
        id: format!("s-{at:04}"),
        split: "train".to_owned(),
        relations: ties.collect(),
        personas: people,
        situation: format!("{}. Nobody has time, and nobody wants to be the one who gives in.", play.situation),
        topic: play.situation.clone(),
        conversation_starter: play.starter.clone(),
        language: play.language.to_owned(),
        attributes: "{}".to_owned(),
        provenance: "{}".to_owned(),
        labels: "{}".to_owned(),
        hash: String::new(),
    }
}

fn participant(play: &Play, at: usize, draw: &mut Draw) -> Participant {
    let person = &play.people[at];
    let own: Vec<&str> = play.turns.iter().filter(|(who, _)| *who == at).map(|(_, text)| text.as_str()).collect();
    let words = phrases::of(play.language);
    let pick = |draw: &mut Draw, items: &[&'static str]| *draw.pick(items).unwrap();
    let secret = words.secret.replace("{act}", pick(draw, words.acts)).replace("{place}", pick(draw, words.places));
    Participant {
        id: format!("p-{at}"),
        name: person.name.clone(),
        description: person.persona.chars().take(60).collect(),
        persona: person.persona.clone(),
        stance: own.first().map(|line| (*line).to_owned()),
        goal: own.get(1).map(|line| (*line).to_owned()),
        knowledge: at.is_multiple_of(2).then(|| secret.replace("{reason}", pick(draw, words.reasons))),
    }
}

/// What a model answers to a request.
pub(crate) type Answers = Box<dyn Fn(&ChatRequest) -> Result<Reply, AttemptError> + Send + Sync>;

struct Actor(Answers);

impl fmt::Debug for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Actor")
    }
}

impl ChatModel for Actor {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, _: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        std::future::ready((self.0)(request)).boxed()
    }

    fn target(&self) -> String {
        "here".to_owned()
    }
}

/// A reply of so many words, whole.
pub(crate) fn reply(text: String) -> Reply {
    let usage = Usage {
        prompt_tokens: 100,
        cached_prompt_tokens: 10,
        completion_tokens: text.len() as u64,
        ..Usage::default()
    };
    Reply { text, finish: Finish::Stop, usage }
}

/// Calls that `answers` answers.
pub(crate) fn calls(answers: Answers, tap: Option<CallObserver>) -> CallGateway {
    let profile = ModelProfile {
        model: "actor".to_owned(),
        tier: "endpoint",
        temperature: Some(0.9),
        top_p: None,
        max_tokens: 300,
        extra: None,
    };
    let line = Arc::new(ModelEndpoint {
        served_by: "openai",
        profile,
        model: Some(Box::new(ModelPool::alone(Box::new(Actor(answers))))),
        life: SignsOfLife::default(),
        max_attempts: 1,
        structured: StructuredSupport::Fixed(Structured::JsonSchema),
        wire: tokio::sync::OnceCell::new(),
    });
    CallGateway {
        journal: None,
        inherited: Vec::new(),
        budget: Arc::new(Budget::new(&config::BudgetLimits::default(), &config::Models::default())),
        endpoints: [Role::Speaker, Role::Selector, Role::Summary].map(|role| (role, Arc::clone(&line))).into(),
        control: Arc::default(),
        retry_failed: false,
        anew: BTreeSet::new(),
        reviewed: std::collections::BTreeMap::new(),
        evidence: Evidence::default(),
        seed: SEED,
        tap,
        left: crate::llm::recorded::CallsLeft::default(),
    }
}

/// The stage with these settings.
pub(crate) fn stage<'a>(
    settings: &'a Conversations,
    prompts: &'a AgentPrompts,
    calls: &'a CallGateway,
) -> convogen::stages::conversations::ConversationStage<'a> {
    static PROGRESS: LazyLock<Progress> = LazyLock::new(Progress::default);
    static OPEN: LazyLock<OpenInput<'static>> = LazyLock::new(|| PROGRESS.open());
    convogen::stages::conversations::ConversationStage {
        settings,
        prompts,
        calls,
        progress: &OPEN,
        seed: SEED,
        forecast: None,
    }
}
