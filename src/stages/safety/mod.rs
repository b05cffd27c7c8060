//! Screening finished conversations for personal data and for what is unsafe, before they are compared for duplicates.
//!
//! `screen` looks by itself: `pii` for what has a form that can be checked, `words` for what is listed. `service` asks
//! someone else about what is left. Every finding becomes a decision in the record (column `safety`) and in the stage's
//! notes; what is dropped is rejected with the reason `safety_<category>`. The text that was found is repeated nowhere.
//!
//! What is screened of a conversation: its turns, starter, situation and topic, and without a call its relations too. Names,
//! personas and labels are not, and the tables of situations and personas stay as they are.

pub(crate) mod category;
pub(crate) mod figures;
pub(crate) mod pii;
pub(crate) mod screen;
mod service;
pub(crate) mod words;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::category::Category;
pub(crate) use self::figures::SafetyFigures;
use self::screen::Screen;
pub(crate) use self::service::pieces_of;
use self::words::WordLists;
use super::transcript::AskOutcome;
use crate::config;
use crate::config::safety::{Action, OnFailure, Service};
use crate::llm::recorded::CallGateway;
use crate::llm::{Halt, Role};
use crate::prompt::template::{PromptError, Template};
use crate::record::{Conversation, Dropped, Fate, Outcome};

/// The stage's name in keys.
pub(crate) const STAGE: &str = "safety";
/// The reason of conversations that no service looked at, where they are to be dropped.
pub(crate) const UNSCREENED: &str = "safety_unscreened";

/// What every conversation of a run is screened with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SafetyStage<'a> {
    /// The settings.
    pub settings: &'a config::Safety,
    /// The word lists.
    pub words: &'a WordLists,
    /// What a judge is told, where one is asked.
    pub prompt: Option<&'a Template>,
    /// Where replies come from.
    pub calls: &'a CallGateway,
}

/// What was found, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SafetyDecision {
    /// What.
    pub category: Category,
    /// Who found it: `pattern`, `words`, or the name of a service.
    pub source: String,
    /// From 0 to 1; what was found by its form or in a list scores 1.
    pub score: f64,
    /// In which turn; `null` for what stands in front of the turns, or where the service did not say.
    pub turn: Option<u32>,
    /// What was done.
    pub action: Action,
}

/// The column `safety`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SafetyReport {
    /// The local screen; `null` where it is off.
    pub screen: Option<Local>,
    /// The service; `null` where there is none.
    pub service: Option<ServiceCall>,
    /// Everything that was found.
    pub decisions: Vec<SafetyDecision>,
}

/// What the local screen did besides deciding.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Local {
    /// Whether there was a word list for the language.
    pub words: bool,
    /// What is set aside for documentation, tests and fiction, by category: left alone.
    pub reserved: BTreeMap<Category, u32>,
}

/// What a service did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceCall {
    /// Its name.
    pub name: String,
    /// The logical model.
    pub model: String,
    /// Why it did not look, such as `no_answer` or `refused: hate`; `null` where it did.
    pub unscreened: Option<String>,
}

/// The prompt for service `judge`.
pub(crate) fn prompt(name: &str, text: &str) -> Result<Template, PromptError> {
    service::prompt(name, text)
}

impl SafetyStage<'_> {
    /// Screens a conversation that was held: the conversation with what was decided, or why it is dropped. Only what the
    /// screens say decides; nothing else of it changes.
    ///
    /// # Errors
    /// Only what stops the whole run.
    pub(crate) async fn screen(&self, conversation: Conversation) -> Result<Fate<Conversation>, Halt> {
        self.go_through(conversation, SafetyReport::default(), None).await
    }

    /// Screens a conversation that was screened before and in which a person put some turns in other words. What was found in
    /// the rest of it stays as it was decided; a service looks at all of it again.
    ///
    /// # Errors
    /// Only what stops the whole run.
    pub(crate) async fn screen_again(
        &self,
        conversation: Conversation,
        edited: &[u32],
    ) -> Result<Fate<Conversation>, Halt> {
        let report = self.before(&conversation, edited);
        self.go_through(conversation, report, Some(edited)).await
    }

    /// Why the local screen would drop a conversation for turns that a person put in other words, if it would.
    pub(crate) fn drops_for(&self, mut conversation: Conversation, edited: &[u32]) -> Option<Dropped> {
        let mut report = self.before(&conversation, edited);
        self.look_if_asked(&mut conversation, &mut report, Some(edited))
    }

    /// What was found before in what stays as it was.
    fn before(&self, conversation: &Conversation, edited: &[u32]) -> SafetyReport {
        let mut report: SafetyReport = serde_json::from_str(&conversation.safety).unwrap_or_default();
        let service = self.settings.service.map(Service::as_str);
        let is_edited = |turn: u32| edited.contains(&turn);
        report.decisions.retain(|found| Some(found.source.as_str()) != service && !found.turn.is_some_and(is_edited));
        report
    }

    /// All of a conversation, or some turns of it.
    async fn go_through(
        &self,
        mut conversation: Conversation,
        mut report: SafetyReport,
        turns: Option<&[u32]>,
    ) -> Result<Fate<Conversation>, Halt> {
        // What is dropped already need not be shown to anybody.
        if let Some(dropped) = self.look_if_asked(&mut conversation, &mut report, turns) {
            return Ok(Fate::Dropped(dropped));
        }
        if let Some(lost) = self.consult(&conversation, &mut report).await? {
            return Ok(Fate::Dropped(lost));
        }
        if let Some(dropped) = rejected(&conversation, &report.decisions) {
            return Ok(Fate::Dropped(dropped));
        }
        if report.screen.is_some() || report.service.is_some() {
            conversation.safety = serde_json::to_string(&report)
                .unwrap_or_else(|error| unreachable!("a report has a JSON form: {error}"));
        }
        conversation.hash = conversation.content_hash();
        Ok(Fate::Accepted(conversation))
    }

    /// The local screen alone, of a conversation that is not recorded to its end: why it would be dropped, if it would.
    pub(crate) fn screen_locally(&self, conversation: &mut Conversation) -> Option<Dropped> {
        self.look_if_asked(conversation, &mut SafetyReport::default(), None)
    }

    fn look_if_asked(
        &self,
        conversation: &mut Conversation,
        report: &mut SafetyReport,
        turns: Option<&[u32]>,
    ) -> Option<Dropped> {
        if self.settings.screen {
            self.look(conversation, report, turns);
        }
        rejected(conversation, &report.decisions)
    }

    /// The local screen of all texts, or of some turns alone.
    fn look(&self, conversation: &mut Conversation, report: &mut SafetyReport, only: Option<&[u32]>) {
        let Conversation { language, situation, topic, conversation_starter, relations, turns, .. } = conversation;
        let screen = Screen { words: self.words, actions: &self.settings.action };
        let local = report.screen.get_or_insert_default();
        local.words = self.words.speaks(language);
        let front = [situation, topic, conversation_starter].map(|text| (None, text));
        let relations = relations.iter_mut().map(|relation| (None, &mut relation.text));
        let turns = turns.iter_mut().map(|turn| (Some(turn.index), &mut turn.text));
        let is_meant = |turn: Option<u32>| only.is_none_or(|only| turn.is_some_and(|turn| only.contains(&turn)));
        for (turn, text) in front.into_iter().chain(relations).chain(turns).filter(|(turn, _)| is_meant(*turn)) {
            let screened = screen.look(language, text);
            for (category, count) in screened.reserved {
                *local.reserved.entry(category).or_default() += count;
            }
            report.decisions.extend(screened.found.into_iter().map(|(category, source)| SafetyDecision {
                category,
                source: source.as_str().to_owned(),
                score: 1.0,
                turn,
                action: category.action(&self.settings.action),
            }));
            *text = screened.text;
        }
    }

    /// Asks the service, if there is one. Returns what the conversation came to where it did not look and that drops it.
    async fn consult(&self, conversation: &Conversation, report: &mut SafetyReport) -> Result<Option<Dropped>, Halt> {
        let Some(service) = self.settings.service else { return Ok(None) };
        let (outcome, unscreened) = match service::ask(self.calls, service, self.prompt, conversation).await? {
            AskOutcome::Read(scores) => {
                report.decisions.extend(scores.into_iter().filter_map(|score| self.decide(service.as_str(), score)));
                (Outcome::Accepted, None)
            }
            AskOutcome::Refused(category) => (Outcome::Refused, Some(format!("refused: {category}"))),
            AskOutcome::Failed(reason) => (Outcome::Failed, Some(reason)),
            AskOutcome::Unusable(name) => (Outcome::Failed, Some(name.to_owned())),
        };
        if let (Some(why), OnFailure::Drop) = (&unscreened, self.settings.on_failure) {
            let detail = format!("{} did not look at it: {why}", service.as_str());
            let reason = UNSCREENED.to_owned();
            return Ok(Some(Dropped { id: conversation.id.clone(), outcome, reason, detail }));
        }
        let model = self.calls.profile(Role::Safety).model.clone();
        report.service = Some(ServiceCall { name: service.as_str().to_owned(), model, unscreened });
        Ok(None)
    }

    /// What a score means, if it counts. Where nothing can be replaced, redacting is dropping.
    fn decide(&self, source: &str, score: service::CategoryScore) -> Option<SafetyDecision> {
        let service::CategoryScore { category, value, turn } = score;
        let threshold = category.threshold(&self.settings.thresholds)?;
        let action = match category.action(&self.settings.action) {
            Action::Flag => Action::Flag,
            Action::Redact | Action::Drop => Action::Drop,
        };
        let counts = value >= threshold;
        // Three places are plenty to read.
        let score = (value * 1000.0).round() / 1000.0;
        counts.then(|| SafetyDecision { category, source: source.to_owned(), score, turn, action })
    }
}

/// The conversation's end, if a decision drops it: the first one names the reason.
fn rejected(conversation: &Conversation, decisions: &[SafetyDecision]) -> Option<Dropped> {
    let first = decisions.iter().find(|decision| decision.action == Action::Drop)?;
    let place = first.turn.map_or_else(|| "the conversation".to_owned(), |turn| format!("turn {turn}"));
    Some(Dropped {
        id: conversation.id.clone(),
        outcome: Outcome::Rejected,
        reason: format!("safety_{}", first.category),
        detail: format!("{place}: {} by {} (score {})", first.category, first.source, first.score),
    })
}
