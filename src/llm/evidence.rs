//! When all calls end alike: what befalls one prompt is an outcome of its item, what befalls every prompt is no outcome at all.
//!
//! The first calls of a role, or many in a row later, that end alike without a success stop the run: a wrong key, a setting the
//! endpoint does not take, a limit that all replies outgrow would otherwise buy the same nothing for every item. Calls are
//! compared in the order in which they were begun, so that what a success overtook counts for nothing: prompts that never pass
//! are slow, and end together when all others are done.
//!
//! What counted is remembered by its key. It is no outcome: once the cause is mended, those calls are made anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::context;
use super::recorded::CallSite;
use super::{Answer, Halt, Reply, Role};
use crate::exit::ExitCode;

/// Calls of a role that may end alike before one has succeeded, and that are in flight at once until then.
const FIRST: usize = 5;
/// The same later: a role that worked may meet this many refusals or failures in a row.
const LATER: usize = 20;
/// Replies in a row that could not be used, all for one reason. They are no refusal: a model may do better the next time.
const UNUSABLE: usize = 24;
/// Calls without a success that are enough where a stage is at its end.
const AT_THE_END: usize = 5;

/// Why a reply could not be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnusableReply {
    /// In a word, by which two are alike.
    pub name: &'static str,
    /// In words.
    pub detail: String,
}

/// The name of replies that their limit of tokens cut off.
pub(crate) const CUT_OFF: &str = "cut_off";

impl UnusableReply {
    /// Its limit of `room` tokens cut it off.
    pub(crate) fn cut_off(reply: &Reply, room: u32) -> Self {
        let spent =
            if reply.text.trim().is_empty() { "went before its first word, as reasoning does" } else { "were used up" };
        Self { name: CUT_OFF, detail: format!("all {room} tokens of the last one {spent}") }
    }
}

/// What makes two ends alike.
#[derive(Debug, Clone, PartialEq, Eq)]
enum CallEnd {
    /// The endpoint would not or could not serve it; a status where there is one.
    Failed(String),
    /// A filter stopped it.
    Refused,
    /// The reply could not be used.
    Unusable(&'static str),
}

/// Calls in a row that ended alike.
#[derive(Debug)]
struct Streak {
    end: CallEnd,
    keys: Vec<String>,
    /// What the last one said.
    example: String,
}

/// A reply that nobody has judged yet.
#[derive(Debug)]
struct Pending {
    begun: u64,
    key: String,
}

/// How the calls of a role went.
#[derive(Debug)]
struct RoleRecord {
    begun: u64,
    succeeded: bool,
    /// When the last success was begun.
    last_success: u64,
    streak: Option<Streak>,
    pending: HashMap<(String, u32, u32), Pending>,
    /// Few calls at once until one is answered.
    gate: Arc<Semaphore>,
}

impl Default for RoleRecord {
    fn default() -> Self {
        Self {
            begun: 0,
            succeeded: false,
            last_success: 0,
            streak: None,
            pending: HashMap::new(),
            gate: Arc::new(Semaphore::new(FIRST)),
        }
    }
}

/// What the calls of a process have shown so far, by role.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    roles: Mutex<BTreeMap<Role, RoleRecord>>,
    /// The role whose calls stopped the run, once they have.
    stopped: Mutex<Option<Role>>,
}

/// A call under way.
#[derive(Debug)]
pub(crate) struct Begun {
    number: u64,
    /// Held until the call has ended.
    _place: Option<OwnedSemaphorePermit>,
}

impl Evidence {
    /// A call of `role` begins. Until one was answered only a few do at a time.
    pub(crate) async fn begin(&self, role: Role) -> Begun {
        if role.looks_on() {
            self.replayed(role);
        }
        let gate = Arc::clone(&self.record(|roles| Arc::clone(&roles.entry(role).or_default().gate)));
        // The gate is closed once somebody was answered: everyone passes.
        let place = gate.acquire_owned().await.ok();
        let number = self.record(|roles| {
            let record = roles.entry(role).or_default();
            record.begun += 1;
            record.begun
        });
        Begun { number, _place: place }
    }

    /// The role has replies on record.
    pub(crate) fn replayed(&self, role: Role) {
        self.record(|roles| roles.entry(role).or_default().gate.close());
    }

    /// A call has ended. `Some`: the run has to stop.
    pub(crate) fn ended(&self, site: &CallSite<'_>, begun: &Begun, key: &str, answer: &Answer) -> Option<Halt> {
        if site.role.looks_on() {
            return None;
        }
        let (end, example) = match answer {
            Answer::Reply(_) => {
                self.answered(site, begun.number, key);
                return None;
            }
            Answer::Refused { category, message } => (CallEnd::Refused, format!("{category}: {message}")),
            // A conversation that outgrew the context was served until then: others are not like it.
            Answer::Failed { reason, .. } if reason == context::FULL && self.has_succeeded(site.role) => return None,
            Answer::Failed { reason, message } => (CallEnd::Failed(likeness(reason, message)), message.clone()),
        };
        self.count(site.role, begun.number, key, end, example)
    }

    fn has_succeeded(&self, role: Role) -> bool {
        self.record(|roles| roles.get(&role).is_some_and(|record| record.succeeded))
    }

    /// The caller has looked at a reply: it is used, or not. `Some`: the run has to stop.
    pub(crate) fn found(&self, site: &CallSite<'_>, unusable: Option<&UnusableReply>) -> Option<Halt> {
        let place = (site.item.to_owned(), site.turn, site.attempt);
        let pending = self.record(|roles| roles.entry(site.role).or_default().pending.remove(&place));
        match (unusable, pending) {
            (None, pending) => {
                self.succeed(site.role, pending.map(|pending| pending.begun));
                None
            }
            // One that was on record was judged when it was new.
            (Some(_), None) => None,
            (Some(UnusableReply { name, detail }), Some(Pending { begun, key })) => {
                self.count(site.role, begun, &key, CallEnd::Unusable(name), detail.clone())
            }
        }
    }

    /// Whether a stage is at its end and not one call of `role` has succeeded, though several were made and ended alike.
    pub(crate) fn none_succeeded(&self, role: Role) -> Option<Halt> {
        let halt = self.record(|roles| {
            let record = roles.get(&role).filter(|record| !record.succeeded)?;
            let streak = record.streak.as_ref()?;
            let enough = match streak.end {
                CallEnd::Failed(_) => 2,
                CallEnd::Refused | CallEnd::Unusable(_) => AT_THE_END,
            };
            (streak.keys.len() >= enough).then(|| halt(role, streak, true))
        })?;
        self.stop(role);
        Some(halt)
    }

    /// The keys of what counted as alike, once that has stopped the run; calls that ended since then included.
    pub(crate) fn to_ask_anew(&self) -> Vec<String> {
        let Some(role) = *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) else { return Vec::new() };
        let keys = |record: &RoleRecord| record.streak.as_ref().map(|streak| streak.keys.clone());
        self.record(|roles| roles.get(&role).and_then(keys)).unwrap_or_default()
    }

    /// Replies of speakers and of those who write situations are judged by who asked for them; any other is a success.
    fn answered(&self, site: &CallSite<'_>, begun: u64, key: &str) {
        let judged = matches!(site.role, Role::Situations | Role::Speaker);
        let place = (site.item.to_owned(), site.turn, site.attempt);
        self.record(|roles| {
            let record = roles.entry(site.role).or_default();
            record.gate.close();
            if judged {
                record.pending.insert(place, Pending { begun, key: key.to_owned() });
            }
        });
        if !judged {
            self.succeed(site.role, Some(begun));
        }
    }

    fn succeed(&self, role: Role, begun: Option<u64>) {
        self.record(|roles| {
            let record = roles.entry(role).or_default();
            record.succeeded = true;
            record.last_success = record.last_success.max(begun.unwrap_or(0));
            record.streak = None;
        });
    }

    fn count(&self, role: Role, begun: u64, key: &str, end: CallEnd, example: String) -> Option<Halt> {
        let halt = self.record(|roles| {
            let record = roles.entry(role).or_default();
            if begun < record.last_success {
                return None;
            }
            let streak = match record.streak.take().filter(|streak| streak.end == end) {
                Some(streak) => record.streak.insert(Streak { example, ..streak }),
                None => record.streak.insert(Streak { end, keys: Vec::new(), example }),
            };
            streak.keys.push(key.to_owned());
            let most = match (&streak.end, record.succeeded) {
                (CallEnd::Unusable(_), _) => UNUSABLE,
                (_, false) => FIRST,
                (_, true) => LATER,
            };
            (streak.keys.len() == most).then(|| halt(role, streak, !record.succeeded))
        })?;
        self.stop(role);
        Some(halt)
    }

    fn stop(&self, role: Role) {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(role);
    }

    fn record<T>(&self, work: impl FnOnce(&mut BTreeMap<Role, RoleRecord>) -> T) -> T {
        // No code panics while it holds the lock.
        let mut roles: MutexGuard<'_, _> = self.roles.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut roles)
    }
}

/// A reason with the status that a message begins with, such as `bad_request 400`: what two failures are alike by.
fn likeness(reason: &str, message: &str) -> String {
    let status =
        message.split(':').next().filter(|status| status.len() == 3 && status.bytes().all(|b| b.is_ascii_digit()));
    status.map_or_else(|| reason.to_owned(), |status| format!("{reason} {status}"))
}

fn halt(role: Role, streak: &Streak, first: bool) -> Halt {
    let Streak { end, keys, example } = streak;
    let count = keys.len();
    let which = if first { format!("the first {count}") } else { format!("{count} in a row of the") };
    let (said, code) = match end {
        CallEnd::Failed(_) => (format!("{which} calls ({role}) failed alike: {example}"), ExitCode::Unavailable),
        CallEnd::Refused => (
            format!(
                "{which} calls ({role}) were refused: {example}; change the prompts, the personas or the model, or ask for the filter to be changed"
            ),
            ExitCode::Unavailable,
        ),
        CallEnd::Unusable(name) if *name == CUT_OFF => {
            (format!("{which} replies ({role}) were cut off: {example}; {}", more_room(role)), ExitCode::Usage)
        }
        CallEnd::Unusable(_) => (
            format!(
                "{which} replies ({role}) could not be used, all for one reason: {example}; change the prompts or the model"
            ),
            ExitCode::Unavailable,
        ),
    };
    Halt::Alike { message: format!("{said}. Nothing of it counts, and no more was bought"), code }
}

/// Which limit to raise.
pub(super) fn more_room(role: Role) -> &'static str {
    match role {
        Role::Situations => "raise `situations.max_tokens`, or let the model reason less",
        Role::Speaker => "raise `max_tokens` of the model (models.speaker or models.default), or let it reason less",
        _ => "raise `max_tokens` of the model, or let it reason less",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Finish, Reply, Usage};

    fn site(item: &str) -> CallSite<'_> {
        CallSite { stage: "conversations", item, turn: 0, role: Role::Speaker, attempt: 0 }
    }

    fn failed() -> Answer {
        Answer::Failed { reason: "bad_request".to_owned(), message: "400: no such key".to_owned() }
    }

    fn refused() -> Answer {
        Answer::Refused { category: "violence".to_owned(), message: "no".to_owned() }
    }

    fn reply() -> Answer {
        Answer::Reply(Reply { text: "Hm.".to_owned(), finish: Finish::Stop, usage: Usage::default() })
    }

    fn unusable() -> UnusableReply {
        UnusableReply { name: CUT_OFF, detail: "300 tokens were used up".to_owned() }
    }

    async fn end(evidence: &Evidence, item: &str, answer: &Answer) -> Option<Halt> {
        let begun = evidence.begin(Role::Speaker).await;
        evidence.ended(&site(item), &begun, item, answer)
    }

    #[tokio::test]
    async fn the_first_calls_that_fail_alike_stop_the_run_and_are_to_be_asked_anew() {
        let evidence = Evidence::default();
        for item in ["a", "b", "c", "d"] {
            assert!(end(&evidence, item, &failed()).await.is_none());
            assert!(evidence.to_ask_anew().is_empty());
        }
        let halt = end(&evidence, "e", &failed()).await.unwrap();
        assert!(halt.to_string().contains("the first 5 calls (speaker) failed alike: 400: no such key"), "{halt}");
        assert_eq!(halt.exit_code(), ExitCode::Unavailable);
        assert!(end(&evidence, "f", &failed()).await.is_none(), "it stops once");
        assert_eq!(evidence.to_ask_anew(), ["a", "b", "c", "d", "e", "f"], "what was in flight as well");
    }

    #[tokio::test]
    async fn ends_that_differ_or_a_success_begin_the_count_anew() {
        let evidence = Evidence::default();
        for item in ["a", "b", "c", "d"] {
            assert!(end(&evidence, item, &failed()).await.is_none());
        }
        assert!(end(&evidence, "e", &refused()).await.is_none());
        assert!(end(&evidence, "f", &reply()).await.is_none());
        assert!(evidence.found(&site("f"), None).is_none());
        for _ in 1..LATER {
            assert!(end(&evidence, "g", &failed()).await.is_none());
        }
        assert!(end(&evidence, "g", &failed()).await.is_some());
    }

    #[tokio::test]
    async fn what_a_success_overtook_counts_for_nothing() {
        let evidence = Evidence::default();
        let mut slow = Vec::new();
        for _ in 0..2 * LATER {
            assert!(end(&evidence, "quick", &reply()).await.is_none());
            assert!(evidence.found(&site("quick"), None).is_none());
            slow.push(evidence.begin(Role::Speaker).await);
        }
        assert!(end(&evidence, "last", &reply()).await.is_none());
        assert!(evidence.found(&site("last"), None).is_none());
        assert!(slow.iter().all(|begun| evidence.ended(&site("slow"), begun, "slow", &failed()).is_none()));
    }

    #[tokio::test]
    async fn replies_that_cannot_be_used_stop_the_run_later_than_refusals() {
        let evidence = Evidence::default();
        for call in 1..=UNUSABLE {
            let item = format!("{call}");
            assert!(end(&evidence, &item, &reply()).await.is_none());
            let halt = evidence.found(&site(&item), Some(&unusable()));
            assert_eq!(halt.is_some(), call == UNUSABLE);
            if let Some(halt) = halt {
                assert!(
                    halt.to_string().contains("300 tokens were used up") && halt.to_string().contains("max_tokens")
                );
                assert_eq!(halt.exit_code(), ExitCode::Usage);
            }
        }
        assert!(evidence.found(&site("never asked"), Some(&unusable())).is_none(), "it was on record");
    }

    #[tokio::test]
    async fn a_stage_of_few_items_is_not_sealed_when_none_succeeded() {
        let evidence = Evidence::default();
        for item in 0..AT_THE_END {
            assert!(evidence.none_succeeded(Role::Speaker).is_none());
            let item = item.to_string();
            assert!(end(&evidence, &item, &reply()).await.is_none());
            assert!(evidence.found(&site(&item), Some(&unusable())).is_none());
        }
        assert!(evidence.none_succeeded(Role::Speaker).is_some());
        assert_eq!(evidence.to_ask_anew().len(), AT_THE_END);
        assert!(evidence.found(&site("on record"), None).is_none());
        assert!(evidence.none_succeeded(Role::Speaker).is_none(), "a reply on record was used");
    }

    #[tokio::test]
    async fn few_calls_are_in_flight_until_one_was_answered() {
        let evidence = Evidence::default();
        let mut begun = Vec::new();
        for _ in 0..FIRST {
            begun.push(evidence.begin(Role::Speaker).await);
        }
        let patience = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(patience, evidence.begin(Role::Speaker)).await.is_err());
        assert!(tokio::time::timeout(patience, evidence.begin(Role::Situations)).await.is_ok());
        assert!(evidence.ended(&site("a"), &begun[0], "a", &reply()).is_none());
        assert!(tokio::time::timeout(patience, evidence.begin(Role::Speaker)).await.is_ok());
    }
}
