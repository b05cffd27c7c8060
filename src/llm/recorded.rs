//! Calls that are never made twice: every reply is journaled under a key of what was asked, and counts only once synced.
//!
//! [`CallGateway::ask`] is the only way a stage reaches a model. It looks the key up first, so a resumed run, a fork or
//! `explain` replays what was recorded and a stage needs no state of its own. A call that has to be made takes a permit,
//! reserves its budget, journals its intent, and only then goes out; what happened to it is journaled before anyone sees
//! it. The key knows the logical model and the sampling, never the host, the deployment or a credential.

mod attempts;
mod jobs;
mod key;
mod life;
pub(crate) mod probe;
mod review;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::OnceCell;

use super::budget::{Budget, Estimate, Exhausted, Reservation};
use super::control::Control;
use super::entries::{RecordedIntent, RecordedReply};
use super::evidence::{Evidence, UnusableReply};
use super::limiter::Delay;
use super::pool::ModelPool;
use super::recording::Recording;
use super::{
    Answer, AttemptError, ChatRequest, Extra, Halt, Message, Reply, ReplyFormat, Role, Structured, StructuredSupport,
};
use crate::config;
use crate::draw::Draw;
use crate::store::journal::{Archive, EntryKind, Journal, JournalError};

#[cfg(feature = "otlp")]
pub(crate) use attempts::CALL_EVENT;
pub(crate) use jobs::{CallLeft, CallsLeft};
pub(crate) use key::{CallSite, key};
pub(crate) use life::SignsOfLife;
pub(crate) use probe::ProbeVerdict;
pub(crate) use review::ReviewMark;

/// Replies of a process after which the share of refusals is judged.
const REFUSAL_WINDOW: u64 = 20;

/// The key under which a call is recorded for the `time`-th further time.
fn again(first: &str, time: u32) -> String {
    crate::record::content_hash([first, &time.to_string()])
}

/// What stages may know of a role's model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelProfile {
    /// The logical name.
    pub model: String,
    /// `demo` or `endpoint`.
    pub tier: &'static str,
    /// Sampling temperature.
    pub temperature: Option<f64>,
    /// Nucleus sampling mass.
    pub top_p: Option<f64>,
    /// Tokens of one reply.
    pub max_tokens: u32,
    /// What the configuration adds to its requests, as far as that shapes replies.
    pub extra: Option<Box<Extra>>,
}

/// A model with what calls to it share.
#[derive(Debug)]
pub(crate) struct ModelEndpoint {
    /// What stages may know.
    pub profile: ModelProfile,
    /// Who serves it, in the words of OpenTelemetry's conventions for generative AI (`gen_ai.provider.name`).
    pub served_by: &'static str,
    /// The model, wherever it is deployed; `None` when only recorded replies are wanted.
    pub model: Option<Box<ModelPool>>,
    /// Whether it answers.
    pub life: SignsOfLife,
    /// Attempts at one call before its item fails.
    pub max_attempts: u32,
    /// What the configuration says of asking for JSON.
    pub structured: StructuredSupport,
    /// How JSON is asked for, once that was found out.
    pub wire: OnceCell<Structured>,
}

/// Replies that an earlier run recorded.
#[derive(Debug)]
pub(crate) enum Inherited {
    /// In its journal.
    Journal(Archive),
    /// In a file that was made of it.
    Recording(Recording),
}

impl Inherited {
    fn reply(&self, key: &str) -> Result<Option<RecordedReply>, JournalError> {
        match self {
            Self::Journal(archive) => archive.get_as(key),
            Self::Recording(recording) => recording.get(key),
        }
    }
}

/// Sees every call as it is answered, with the request as it was sent: what `explain` shows.
pub(crate) type CallObserver = Box<dyn Fn(&CallSite<'_>, &ChatRequest, &Answer) + Send + Sync>;

/// Where replies come from.
pub(crate) struct CallGateway {
    /// What this run has recorded and records; `None` when nothing is to be recorded.
    pub journal: Option<Arc<Journal>>,
    /// What runs recorded that are over: those this one was forked from, the nearest first, or the one that is looked at.
    pub inherited: Vec<Inherited>,
    /// What may be spent.
    pub budget: Arc<Budget>,
    /// The models by role.
    pub endpoints: BTreeMap<Role, Arc<ModelEndpoint>>,
    /// Stops the run.
    pub control: Arc<Control>,
    /// Whether recorded failures are tried anew.
    pub retry_failed: bool,
    /// Keys of calls whose record counts for nothing, since all ended alike for a reason that may be mended.
    pub anew: BTreeSet<String>,
    /// Turns that people rejected: from these on other replies are asked for than before.
    pub reviewed: BTreeMap<String, Vec<ReviewMark>>,
    /// What the calls of this process have shown.
    pub evidence: Evidence,
    /// The run's seed.
    pub seed: u64,
    /// Sees every answered call.
    pub tap: Option<CallObserver>,
    /// Calls that earlier processes left in batch jobs.
    pub left: CallsLeft,
}

impl fmt::Debug for CallGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallGateway").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

/// A call that is to be made.
#[derive(Debug, Clone, Copy)]
struct PendingCall<'a> {
    site: &'a CallSite<'a>,
    request: &'a ChatRequest,
    wire: Structured,
    /// What it is recorded under.
    key: &'a str,
    intent: RecordedIntent,
}

impl<'a> PendingCall<'a> {
    fn new(site: &'a CallSite<'a>, request: &'a ChatRequest, wire: Structured, key: &'a str) -> Self {
        let intent = RecordedIntent { role: site.role, estimate: Estimate::of(request) };
        Self { site, request, wire, key, intent }
    }
}

/// What [`CallGateway`] finds before it makes a call.
enum Recorded {
    Answer(Answer),
    Nothing { key: String },
}

impl CallGateway {
    /// Calls that no one answers, for whoever only wants to see what would be asked.
    pub(crate) fn silent(seed: u64) -> Self {
        Self {
            journal: None,
            inherited: Vec::new(),
            budget: Arc::new(Budget::new(&config::BudgetLimits::default(), &config::Models::default())),
            endpoints: BTreeMap::new(),
            control: Arc::default(),
            retry_failed: false,
            anew: BTreeSet::new(),
            reviewed: BTreeMap::new(),
            evidence: Evidence::default(),
            seed,
            tap: None,
            left: CallsLeft::default(),
        }
    }

    /// What stages may know of the model of `role`.
    pub(crate) fn profile(&self, role: Role) -> &ModelProfile {
        static UNKNOWN: ModelProfile = ModelProfile {
            model: String::new(),
            tier: "endpoint",
            temperature: None,
            top_p: None,
            max_tokens: 0,
            extra: None,
        };
        self.endpoints.get(&role).map_or(&UNKNOWN, |endpoint| &endpoint.profile)
    }

    /// Whether the model of `role` is held to schemas such as that of `format`, so that a prompt need not show them; replies
    /// may have up to `max_tokens`.
    pub(crate) async fn enforces_schemas(
        &self,
        role: Role,
        format: &ReplyFormat,
        max_tokens: u32,
    ) -> Result<bool, Halt> {
        match self.endpoints.get(&role) {
            Some(endpoint) => Ok(self.wire(endpoint, role, format, max_tokens).await?.enforces()),
            None => Ok(false),
        }
    }

    /// Tells what became of a reply: used, or why not.
    ///
    /// # Errors
    /// If so many could not be used, and none could, that the run stops.
    pub(crate) fn found(&self, site: &CallSite<'_>, unusable: Option<&UnusableReply>) -> Result<(), Halt> {
        self.stops(self.evidence.found(site, unusable))
    }

    /// To be asked at the end of a stage: fails if not one call of `role` has succeeded and all ended alike.
    ///
    /// # Errors
    /// Why the run stops.
    pub(crate) fn require_success(&self, role: Role) -> Result<(), Halt> {
        match self.evidence.none_succeeded(role) {
            Some(halt) => Err(halt),
            None => Ok(()),
        }
    }

    fn stops(&self, halt: Option<Halt>) -> Result<(), Halt> {
        halt.map_or(Ok(()), |halt| Err(self.control.stop(halt)))
    }

    /// The models, each once.
    fn models(&self) -> impl Iterator<Item = &ModelPool> {
        let first = |(role, endpoint): (&Role, &Arc<ModelEndpoint>)| {
            !self.endpoints.iter().any(|(other, same)| other < role && Arc::ptr_eq(endpoint, same))
        };
        let own = self.endpoints.iter().filter(move |(role, endpoint)| first((*role, *endpoint)));
        own.filter_map(|(_, endpoint)| endpoint.model.as_deref())
    }

    /// Calls that wait to be made again.
    pub(crate) fn waiting(&self) -> usize {
        self.models().map(ModelPool::waiting).sum()
    }

    /// What is to be told of calls that wait, by the names of those they wait for.
    pub(crate) fn delays(&self) -> Vec<(String, Delay)> {
        self.models().flat_map(ModelPool::delays).collect()
    }

    /// Asks the model of `site.role`, with its usual token limit.
    pub(crate) async fn ask(
        &self,
        site: &CallSite<'_>,
        messages: Vec<Message>,
        format: ReplyFormat,
    ) -> Result<Answer, Halt> {
        self.ask_at_length(site, messages, format, self.profile(site.role).max_tokens).await
    }

    /// Asks the model of `site.role` for a reply of up to `max_tokens`.
    pub(crate) async fn ask_at_length(
        &self,
        site: &CallSite<'_>,
        messages: Vec<Message>,
        format: ReplyFormat,
        max_tokens: u32,
    ) -> Result<Answer, Halt> {
        let Some(endpoint) = self.endpoints.get(&site.role) else {
            return Err(Halt::Endpoint { message: format!("no model is configured for the role {}", site.role) });
        };
        let request = self.request(endpoint, site, messages, format, max_tokens);
        let answer = self.answer(endpoint, site, &request).await?;
        if let Some(tap) = &self.tap {
            tap(site, &request, &answer);
        }
        Ok(answer)
    }

    fn request(
        &self,
        endpoint: &ModelEndpoint,
        site: &CallSite<'_>,
        messages: Vec<Message>,
        format: ReplyFormat,
        max_tokens: u32,
    ) -> ChatRequest {
        let (turn, role, attempt) = (site.turn.to_string(), site.role.to_string(), site.attempt.to_string());
        let mut path = vec![site.stage, site.item, &turn, &role, &attempt];
        // The seed is part of the key, so that what was rejected is not replayed.
        path.extend(self.reviewed.get(site.item).into_iter().flat_map(|marks| ReviewMark::tags(marks, site)));
        ChatRequest {
            model: endpoint.profile.model.clone(),
            messages: messages.into(),
            temperature: endpoint.profile.temperature,
            top_p: endpoint.profile.top_p,
            max_tokens,
            stop: Vec::new(),
            seed: Draw::new(self.seed, &path).next_u64(),
            format,
            extra: endpoint.profile.extra.clone(),
        }
    }

    async fn answer(
        &self,
        endpoint: &Arc<ModelEndpoint>,
        site: &CallSite<'_>,
        request: &ChatRequest,
    ) -> Result<Answer, Halt> {
        let key = match self.recorded(key(site, request), site).await? {
            Recorded::Answer(answer) => {
                if matches!(answer, Answer::Reply(_)) {
                    self.evidence.replayed(site.role);
                }
                return Ok(answer);
            }
            Recorded::Nothing { key } => key,
        };
        let Some(model) = endpoint.model.as_deref() else {
            return Err(not_recorded(site));
        };
        let wire = match &request.format {
            ReplyFormat::Text { .. } => Structured::None,
            format @ ReplyFormat::Json { .. } => self.wire(endpoint, site.role, format, request.max_tokens).await?,
        };
        // Whose turn it is first: one that waits for those before it must hold no place that they need.
        let admitted = self.budget.admit(site.item, site.role, Estimate::of(request));
        self.within_budget(admitted).await?;
        let begun = self.control.unless_stopped(self.evidence.begin(site.role)).await?;
        let answer = self.make(endpoint, model, &PendingCall::new(site, request, wire, &key)).await?;
        self.control.count_made();
        self.stops(self.evidence.ended(site, &begun, &key, &answer))?;
        Ok(answer)
    }

    /// What is on record for this call, or the key under which it is to be recorded.
    ///
    /// What the endpoint failed may be asked for again; since the first record of a key stands for ever, each further
    /// time has a key of its own, derived from the first.
    async fn recorded(&self, first: String, site: &CallSite<'_>) -> Result<Recorded, Halt> {
        let (mut key, mut failed) = (first.clone(), None);
        for time in 1_u32.. {
            match self.look_up(&key, site).await? {
                Some(_) if self.anew.contains(&key) => failed = None,
                Some(answer @ Answer::Failed { .. }) => failed = Some(answer),
                Some(answer) => return Ok(Recorded::Answer(answer)),
                None => break,
            }
            key = again(&first, time);
        }
        Ok(match failed {
            Some(answer) if !self.retry_failed => Recorded::Answer(answer),
            _ => Recorded::Nothing { key },
        })
    }

    /// The reply with this key in this run, or in the one it was forked from.
    async fn look_up(&self, key: &str, site: &CallSite<'_>) -> Result<Option<Answer>, Halt> {
        if let Some(journal) = &self.journal
            && let Some(recorded) = journal.get_as::<RecordedReply>(key)?
        {
            if !recorded.inherited {
                self.budget.note_begun(site.item);
            }
            self.control.count_recorded(recorded.inherited);
            return Ok(Some(recorded.answer));
        }
        let mut found = None;
        for earlier in &self.inherited {
            found = earlier.reply(key)?;
            if found.is_some() {
                break;
            }
        }
        let Some(recorded) = found else { return Ok(None) };
        let copy = RecordedReply { inherited: true, ..recorded };
        self.write(EntryKind::Reply, key, site, &copy).await?;
        self.control.count_recorded(true);
        Ok(Some(copy.answer))
    }

    async fn reserve(&self, call: &PendingCall<'_>) -> Result<Reservation, Halt> {
        let PendingCall { site, intent, .. } = call;
        self.within_budget(self.budget.reserve(site.item, site.role, intent.estimate)).await
    }

    /// What the budget allows, unless the run is stopped first; the end of the run where it allows nothing.
    async fn within_budget<T: Send>(
        &self,
        allowed: impl Future<Output = Result<T, Exhausted>> + Send,
    ) -> Result<T, Halt> {
        self.control.unless_stopped(allowed).await?.map_err(|exhausted| self.control.stop(exhausted.into()))
    }

    async fn write<B: Serialize + Sync>(
        &self,
        kind: EntryKind,
        key: &str,
        site: &CallSite<'_>,
        body: &B,
    ) -> Result<(), Halt> {
        let Some(journal) = &self.journal else { return Ok(()) };
        match journal.append(kind, Some(key), Some(site.item), body).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.control.stop(error.into())),
        }
    }

    /// Stops a run whose first replies are mostly refused: it would buy refusals.
    ///
    /// Who looks on is shown what may well be unsafe: that a filter minds it tells nothing of the prompts.
    fn judge_refusals(&self, role: Role, answer: &Answer) -> Result<(), Halt> {
        if role.looks_on() {
            return Ok(());
        }
        let refused = match answer {
            Answer::Refused { category, message } => Some((category.as_str(), message.as_str())),
            _ => None,
        };
        let (seen, count) = self.control.count_reply(refused.is_some());
        match refused {
            Some((category, example)) if seen <= REFUSAL_WINDOW && count * 2 > REFUSAL_WINDOW => {
                let (category, example) = (category.to_owned(), example.to_owned());
                Err(self.control.stop(Halt::Refusals { refused: count, seen, category, example }))
            }
            _ => Ok(()),
        }
    }
}

/// Only recorded replies are wanted, and this call has none.
fn not_recorded(site: &CallSite<'_>) -> Halt {
    let CallSite { stage, item, turn, role, attempt } = *site;
    Halt::NotRecorded { item: item.to_owned(), call: format!("{stage}, role {role}, turn {turn}, attempt {attempt}") }
}
