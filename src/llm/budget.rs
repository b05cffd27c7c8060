//! The spend cap: what a call may cost at most is set aside before it is sent.
//!
//! Laws:
//! - `max_calls` is exact; every request counts, retries too, whatever becomes of it.
//! - Tokens and cost that replies used, what is set aside for calls in flight, and what calls of unknown outcome had set
//!   aside are together never above the cap, as long as the endpoint counts no more than the bound of [`upper_bound`].
//! - A caller for whom only calls in flight stand in the way waits until they settle; it is turned down as soon as their
//!   settling could not help.
//! - A [`Reservation`] that is dropped (its future was cancelled) is a call of unknown outcome.
//!
//! Cost is computed from sums of tokens, never summed itself, so it does not depend on the order of calls. What an
//! endpoint costs per hour is measured on the monotonic clock while calls are in flight; it is for display and for the
//! cap, never part of the data, and starts anew with each process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{ChatRequest, ReplyFormat, Role, Usage};
use crate::config::{self, Price};

/// Tokens that the protocol and the endpoint's own template add to a request: a hidden system prompt, tool headers.
const REQUEST_OVERHEAD: u64 = 256;

/// Tokens that a template puts around one message.
const MESSAGE_OVERHEAD: u64 = 16;

/// The most prompt tokens `request` can have: its bytes, since a byte-level BPE never makes more tokens than bytes,
/// and what goes around them.
pub(crate) fn upper_bound(request: &ChatRequest) -> u64 {
    let messages = request.messages.content_bytes() as u64 + MESSAGE_OVERHEAD * request.messages.count() as u64;
    let schema = match &request.format {
        ReplyFormat::Text { .. } => 0,
        ReplyFormat::Json { name, schema } => (name.len() + schema.text().len()) as u64,
    };
    messages + schema + REQUEST_OVERHEAD
}

/// The most a call can use, as set aside for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Prompt tokens at most.
    pub prompt_tokens: u64,
    /// Completion tokens at most.
    pub completion_tokens: u64,
}

impl Estimate {
    /// The most that sending `request` can use.
    pub fn of(request: &ChatRequest) -> Self {
        Self { prompt_tokens: upper_bound(request), completion_tokens: u64::from(request.max_tokens) }
    }

    fn tokens(self) -> u64 {
        self.prompt_tokens.saturating_add(self.completion_tokens)
    }

    fn add(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_add(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(other.completion_tokens);
    }

    fn subtract(&mut self, other: Self) {
        self.prompt_tokens = self.prompt_tokens.saturating_sub(other.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_sub(other.completion_tokens);
    }
}

/// The cap is reached.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "the budget does not allow another call: budget.{limit} is {cap}, used {used}; raise it and run the same command again, or keep what is there with --accept-partial"
)]
pub struct Exhausted {
    /// Which limit: `max_calls`, `max_tokens` or `max_cost`.
    pub limit: &'static str,
    /// What it is set to.
    pub cap: String,
    /// What is used up, calls of unknown outcome included.
    pub used: String,
}

/// The spend so far, for display.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct SpendSnapshot {
    /// Requests sent, retries included.
    pub calls: u64,
    /// The same by role.
    pub calls_by_role: BTreeMap<Role, u64>,
    /// Prompt tokens of replies, as the endpoint counted them.
    pub prompt_tokens: u64,
    /// Those of them that came from the endpoint's prefix cache.
    pub cached_prompt_tokens: u64,
    /// Completion tokens of replies.
    pub completion_tokens: u64,
    /// In the currency of the prices, calls of unknown outcome counted in full; `None` without any price.
    pub cost: Option<f64>,
    /// Calls that may have been billed though no reply came.
    pub unknown: u64,
    /// What those calls had set aside: part of `max_tokens` and of `cost`, not of the token counts above.
    pub unknown_tokens: u64,
}

/// The spend of a run and its cap, shared by all callers.
#[derive(Debug)]
pub struct Budget {
    limits: config::BudgetLimits,
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug)]
struct State {
    roles: BTreeMap<Role, RoleSpend>,
    meters: Vec<Meter>,
}

/// What one role has spent.
#[derive(Debug, Default)]
struct RoleSpend {
    calls: u64,
    usage: Usage,
    unknown_calls: u64,
    unknown: Estimate,
    in_flight: Estimate,
}

/// One model's price, the roles that use it, and the time in which it was at work.
#[derive(Debug)]
struct Meter {
    price: Price,
    roles: Vec<Role>,
    calls_in_flight: u64,
    busy_since: Option<Instant>,
    busy: Duration,
}

impl Budget {
    /// Nothing spent yet. Prices come with the models; roles that share a model share its hours.
    pub fn new(limits: &config::BudgetLimits, models: &config::Models) -> Self {
        let own = [
            (Role::Situations, models.situations.as_ref()),
            (Role::Speaker, models.speaker.as_ref()),
            (Role::Selector, models.selector.as_ref()),
            (Role::Safety, models.safety.as_ref()),
            (Role::Judge, models.judge.as_ref()),
            (Role::Probe, None),
        ];
        let shared: Vec<Role> = own.iter().filter(|(_, model)| model.is_none()).map(|(role, _)| *role).collect();
        let mut meters = Vec::from_iter(models.default.charged().map(|price| Meter::new(price, shared)));
        for (role, model) in own {
            meters.extend(model.and_then(config::Model::charged).map(|price| Meter::new(price, vec![role])));
        }
        let state = Mutex::new(State { roles: BTreeMap::new(), meters });
        Self { limits: limits.clone(), state, settled: Notify::new() }
    }

    /// Sets aside what a call can cost at most, and counts the call. Waits while calls in flight hold what is missing.
    ///
    /// Whoever waits here must hold no other reservation, or two could wait for each other.
    pub async fn reserve(self: &Arc<Self>, role: Role, estimate: Estimate) -> Result<Reservation, Exhausted> {
        loop {
            // Made before looking: it is woken by whatever settles from here on, though not polled yet.
            let settled = self.settled.notified();
            if self.try_reserve(role, estimate)? {
                return Ok(Reservation { budget: Arc::clone(self), role, estimate, open: true });
            }
            settled.await;
        }
    }

    /// `Ok(false)`: not now, but maybe once calls in flight have settled.
    fn try_reserve(&self, role: Role, estimate: Estimate) -> Result<bool, Exhausted> {
        let mut state = self.state();
        let now = state.check(&self.limits, role, estimate, true);
        if now.is_err() {
            state.check(&self.limits, role, estimate, false)?;
            return Ok(false);
        }
        let spend = state.roles.entry(role).or_default();
        spend.calls = spend.calls.saturating_add(1);
        spend.in_flight.add(estimate);
        state.started(role);
        Ok(true)
    }

    fn close(&self, role: Role, estimate: Estimate, outcome: &Outcome) {
        let mut state = self.state();
        let spend = state.roles.entry(role).or_default();
        spend.in_flight.subtract(estimate);
        match outcome {
            Outcome::Used(usage) => spend.usage += *usage,
            Outcome::Unbilled => {}
            Outcome::Unknown => spend.lose(estimate),
        }
        state.ended(role);
        drop(state);
        self.settled.notify_waiters();
    }

    /// Counts a call that an earlier process sent.
    pub fn restore_call(&self, role: Role) {
        let mut state = self.state();
        let calls = &mut state.roles.entry(role).or_default().calls;
        *calls = calls.saturating_add(1);
    }

    /// Counts what a reply of an earlier process used; its call is restored apart.
    pub fn restore(&self, role: Role, usage: Usage) {
        self.state().roles.entry(role).or_default().usage += usage;
    }

    /// Counts a call of an earlier process whose outcome is not known as spent; the call itself is restored apart.
    pub fn restore_lost(&self, role: Role, estimate: Estimate) {
        self.state().roles.entry(role).or_default().lose(estimate);
    }

    /// Takes up again what [`restore_lost`](Self::restore_lost) counted, for a call whose outcome may still be learnt.
    pub(crate) fn reopen(self: &Arc<Self>, role: Role, estimate: Estimate) -> Reservation {
        let mut state = self.state();
        let spend = state.roles.entry(role).or_default();
        spend.unknown_calls = spend.unknown_calls.saturating_sub(1);
        spend.unknown.subtract(estimate);
        spend.in_flight.add(estimate);
        state.started(role);
        drop(state);
        Reservation { budget: Arc::clone(self), role, estimate, open: true }
    }

    /// The spend so far.
    pub fn snapshot(&self) -> SpendSnapshot {
        let state = self.state();
        let mut snapshot = SpendSnapshot::default();
        let mut used = Usage::default();
        for (role, spend) in &state.roles {
            snapshot.calls = snapshot.calls.saturating_add(spend.calls);
            snapshot.calls_by_role.insert(*role, spend.calls);
            used += spend.usage;
            snapshot.unknown = snapshot.unknown.saturating_add(spend.unknown_calls);
            snapshot.unknown_tokens = snapshot.unknown_tokens.saturating_add(spend.unknown.tokens());
        }
        snapshot.prompt_tokens = used.prompt_tokens;
        snapshot.cached_prompt_tokens = used.cached_prompt_tokens;
        snapshot.completion_tokens = used.completion_tokens;
        snapshot.cost = (!state.meters.is_empty()).then(|| state.cost(false, None));
        snapshot
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, so a poisoned one holds sound counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether another call fits under every limit; `in_flight` says whether calls in flight count at their bound.
    fn check(
        &self,
        limits: &config::BudgetLimits,
        role: Role,
        more: Estimate,
        in_flight: bool,
    ) -> Result<(), Exhausted> {
        let calls: u64 = self.roles.values().map(|s| s.calls).sum();
        if let Some(cap) = limits.max_calls.filter(|cap| calls >= *cap) {
            return Err(exhausted("max_calls", &cap, &calls));
        }
        let tokens: u64 = self.roles.values().map(|s| s.tokens(in_flight)).fold(0, u64::saturating_add);
        if let Some(cap) = limits.max_tokens.filter(|cap| tokens.saturating_add(more.tokens()) > *cap) {
            return Err(exhausted("max_tokens", &cap, &tokens));
        }
        if let Some(cap) = limits.max_cost.filter(|cap| self.cost(in_flight, Some((role, more))) > *cap) {
            return Err(exhausted("max_cost", &cap, &self.cost(in_flight, None)));
        }
        Ok(())
    }

    fn cost(&self, in_flight: bool, more: Option<(Role, Estimate)>) -> f64 {
        self.meters.iter().map(|meter| meter.cost(&self.roles, in_flight, more)).sum()
    }

    fn started(&mut self, role: Role) {
        for meter in self.meters.iter_mut().filter(|m| m.roles.contains(&role)) {
            meter.calls_in_flight += 1;
            meter.busy_since.get_or_insert_with(Instant::now);
        }
    }

    fn ended(&mut self, role: Role) {
        for meter in self.meters.iter_mut().filter(|m| m.roles.contains(&role)) {
            meter.calls_in_flight = meter.calls_in_flight.saturating_sub(1);
            if meter.calls_in_flight == 0 {
                meter.busy += meter.busy_since.take().map(|since| since.elapsed()).unwrap_or_default();
            }
        }
    }
}

impl RoleSpend {
    fn lose(&mut self, estimate: Estimate) {
        self.unknown_calls = self.unknown_calls.saturating_add(1);
        self.unknown.add(estimate);
    }

    fn tokens(&self, in_flight: bool) -> u64 {
        let held = if in_flight { self.in_flight.tokens() } else { 0 };
        [self.usage.prompt_tokens, self.usage.completion_tokens, self.unknown.tokens(), held]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

impl Meter {
    fn new(price: Price, roles: Vec<Role>) -> Self {
        Self { price, roles, calls_in_flight: 0, busy_since: None, busy: Duration::ZERO }
    }

    fn cost(&self, spends: &BTreeMap<Role, RoleSpend>, in_flight: bool, more: Option<(Role, Estimate)>) -> f64 {
        let (mut used, mut bound) = (Usage::default(), Estimate::default());
        for (_, spend) in spends.iter().filter(|(role, _)| self.roles.contains(role)) {
            used += spend.usage;
            bound.add(spend.unknown);
            if in_flight {
                bound.add(spend.in_flight);
            }
        }
        if let Some((_, estimate)) = more.filter(|(role, _)| self.roles.contains(role)) {
            bound.add(estimate);
        }
        self.hours() * self.price.per_hour.unwrap_or(0.0) + self.price_of(used, bound)
    }

    /// Prices are per million. What is bounded only may turn out cached or not, so it is counted at the dearer price.
    fn price_of(&self, used: Usage, bound: Estimate) -> f64 {
        let fresh = self.price.prompt.unwrap_or(0.0);
        let cached = self.price.cached_prompt.unwrap_or(fresh);
        let completion = self.price.completion.unwrap_or(0.0);
        let uncached_tokens = used.prompt_tokens.saturating_sub(used.cached_prompt_tokens);
        let prompt = uncached_tokens as f64 * fresh + used.cached_prompt_tokens as f64 * cached;
        let spoken = used.completion_tokens.saturating_add(bound.completion_tokens) as f64 * completion;
        (prompt + bound.prompt_tokens as f64 * fresh.max(cached) + spoken) / 1e6
    }

    fn hours(&self) -> f64 {
        let now = self.busy_since.map(|since| since.elapsed()).unwrap_or_default();
        (self.busy + now).as_secs_f64() / 3600.0
    }
}

fn exhausted(limit: &'static str, cap: &impl ToString, used: &impl ToString) -> Exhausted {
    Exhausted { limit, cap: cap.to_string(), used: used.to_string() }
}

enum Outcome {
    Used(Usage),
    Unbilled,
    Unknown,
}

/// What is set aside for one call in flight. Dropping it counts as [`Reservation::lost`].
#[derive(Debug)]
#[must_use = "dropping it counts the call as spent in full"]
pub struct Reservation {
    budget: Arc<Budget>,
    role: Role,
    estimate: Estimate,
    open: bool,
}

impl Reservation {
    /// What is set aside: to be journaled with the intent, and given to [`Budget::restore_lost`] after a crash.
    pub fn estimate(&self) -> Estimate {
        self.estimate
    }

    /// A reply came and this is what it used.
    pub fn settle(mut self, usage: Usage) {
        self.close(&Outcome::Used(usage));
    }

    /// The endpoint did not serve the call: nothing is billed, yet it was a call.
    pub fn release(mut self) {
        self.close(&Outcome::Unbilled);
    }

    /// It is not known whether the call was served: it counts as spent in full.
    pub fn lost(mut self) {
        self.close(&Outcome::Unknown);
    }

    fn close(&mut self, outcome: &Outcome) {
        if std::mem::take(&mut self.open) {
            self.budget.close(self.role, self.estimate, outcome);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.close(&Outcome::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::timeout;

    use super::*;
    use crate::config::{Model, Models};
    use crate::llm::Message;

    fn limits(calls: Option<u64>, tokens: Option<u64>, cost: Option<f64>) -> config::BudgetLimits {
        config::BudgetLimits { max_calls: calls, max_tokens: tokens, max_cost: cost }
    }

    fn price(prompt: f64, cached: Option<f64>, completion: f64) -> Price {
        Price {
            currency: "USD".into(),
            prompt: Some(prompt),
            cached_prompt: cached,
            completion: Some(completion),
            per_hour: None,
        }
    }

    fn models(price: Option<Price>) -> Models {
        Models { default: Model { price, ..Model::default() }, ..Models::default() }
    }

    fn budget(limits: &config::BudgetLimits, price: Option<Price>) -> Arc<Budget> {
        Arc::new(Budget::new(limits, &models(price)))
    }

    fn estimate(prompt_tokens: u64, completion_tokens: u64) -> Estimate {
        Estimate { prompt_tokens, completion_tokens }
    }

    fn usage(prompt_tokens: u64, cached_prompt_tokens: u64, completion_tokens: u64) -> Usage {
        Usage { prompt_tokens, cached_prompt_tokens, completion_tokens }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_exact_whatever_becomes_of_them() {
        let budget = budget(&limits(Some(4), None, None), None);
        budget.restore_call(Role::Selector);
        budget.reserve(Role::Speaker, estimate(1, 1)).await.unwrap().settle(usage(1, 0, 1));
        budget.reserve(Role::Speaker, estimate(1, 1)).await.unwrap().release();
        let last = budget.reserve(Role::Speaker, estimate(1, 1)).await.unwrap();
        let refused = timeout(Duration::from_secs(9), budget.reserve(Role::Speaker, estimate(1, 1))).await;
        assert_eq!(refused.expect("no wait: a call is never given back").unwrap_err().limit, "max_calls");
        last.lost();
        let snapshot = budget.snapshot();
        assert_eq!((snapshot.calls, snapshot.unknown, snapshot.unknown_tokens), (4, 1, 2));
        assert_eq!(snapshot.calls_by_role, BTreeMap::from([(Role::Speaker, 3), (Role::Selector, 1)]));
        assert_eq!(snapshot.cost, None);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_while_calls_in_flight_hold_what_is_missing_and_no_longer() {
        let budget = budget(&limits(None, Some(100), None), None);
        let first = budget.reserve(Role::Speaker, estimate(50, 20)).await.unwrap();
        let waiting = tokio::spawn({
            let budget = budget.clone();
            async move { budget.reserve(Role::Speaker, estimate(40, 20)).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        first.settle(usage(20, 0, 10));
        let second = waiting.await.unwrap().unwrap();
        let hopeless = budget.reserve(Role::Speaker, estimate(60, 11)).await.unwrap_err();
        assert_eq!((hopeless.limit, hopeless.used.as_str()), ("max_tokens", "30"));
        drop(second);
        assert_eq!(budget.snapshot().unknown_tokens, 60, "a cancelled call counts in full");
        assert!(budget.reserve(Role::Speaker, estimate(10, 1)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_wait_takes_nothing() {
        let budget = budget(&limits(None, Some(10), None), None);
        let held = budget.reserve(Role::Speaker, estimate(10, 0)).await.unwrap();
        timeout(Duration::from_secs(1), budget.reserve(Role::Speaker, estimate(10, 0))).await.unwrap_err();
        held.release();
        budget.reserve(Role::Speaker, estimate(10, 0)).await.unwrap().release();
        assert_eq!(budget.snapshot().calls, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn cost_is_by_kind_and_bounded_at_the_dearer_price() {
        let budget = budget(&limits(None, None, Some(10.0)), Some(price(2.0, Some(1.0), 8.0)));
        let call = budget.reserve(Role::Speaker, estimate(1_000_000, 1_000_000)).await.unwrap();
        call.settle(usage(1_000_000, 500_000, 250_000));
        assert_eq!(budget.snapshot().cost, Some(3.5));
        assert_eq!(budget.reserve(Role::Probe, estimate(0, 1_000_000)).await.unwrap_err().limit, "max_cost");
        budget.restore_lost(Role::Probe, estimate(1_000_000, 0));
        assert_eq!(budget.snapshot().cost, Some(5.5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_role_with_a_model_of_its_own_has_its_own_price() {
        let own = Model { price: Some(price(10.0, None, 10.0)), ..Model::default() };
        let models = Models { selector: Some(own), ..models(Some(price(1.0, None, 1.0))) };
        let budget = Arc::new(Budget::new(&limits(None, None, None), &models));
        budget.restore(Role::Selector, usage(1_000_000, 1_000_000, 0));
        budget.restore(Role::Speaker, usage(1_000_000, 0, 0));
        assert_eq!(budget.snapshot().cost, Some(11.0));
    }

    #[tokio::test(start_paused = true)]
    async fn an_hour_is_counted_once_however_many_calls_fill_it() {
        let rented =
            Price { per_hour: Some(36.0), prompt: None, cached_prompt: None, completion: None, ..price(0., None, 0.) };
        let budget = budget(&limits(None, None, Some(72.0)), Some(rented));
        let first = budget.reserve(Role::Speaker, estimate(1, 1)).await.unwrap();
        let second = budget.reserve(Role::Selector, estimate(1, 1)).await.unwrap();
        tokio::time::advance(Duration::from_secs(1800)).await;
        first.release();
        tokio::time::advance(Duration::from_secs(1800)).await;
        second.release();
        tokio::time::advance(Duration::from_secs(7200)).await;
        assert_eq!(budget.snapshot().cost, Some(36.0));
        let third = budget.reserve(Role::Speaker, estimate(1, 1)).await.unwrap();
        tokio::time::advance(Duration::from_secs(3700)).await;
        assert_eq!(budget.reserve(Role::Speaker, estimate(1, 1)).await.unwrap_err().limit, "max_cost");
        third.release();
    }

    #[test]
    fn absurd_usage_saturates() {
        let budget = budget(&limits(None, Some(5), None), Some(price(1.0, None, 1.0)));
        budget.restore(Role::Speaker, usage(u64::MAX, u64::MAX, u64::MAX));
        budget.restore(Role::Speaker, usage(u64::MAX, u64::MAX, u64::MAX));
        budget.restore_lost(Role::Speaker, estimate(u64::MAX, u64::MAX));
        assert!(budget.snapshot().cost.unwrap() > 0.0);
        assert!(budget.try_reserve(Role::Speaker, estimate(u64::MAX, 1)).is_err());
    }

    #[test]
    fn the_bound_holds_messages_and_schema() {
        let mut request = ChatRequest {
            model: "m".into(),
            messages: vec![Message::system("é".repeat(50)), Message::user("x")].into(),
            temperature: None,
            top_p: None,
            max_tokens: 7,
            stop: Vec::new(),
            seed: 0,
            format: ReplyFormat::Text { prefix: None },
        };
        let text = upper_bound(&request);
        assert!(text >= 101);
        let schema = serde_json::json!({"type": "object"});
        request.format = ReplyFormat::json("n", schema.clone());
        assert_eq!(upper_bound(&request), text + 1 + schema.to_string().len() as u64);
        assert_eq!(Estimate::of(&request).completion_tokens, 7);
    }

    /// One caller: what it sets aside, how long the call takes, and how it ends with how many hundredths of the bound.
    #[derive(Debug, Clone)]
    struct Caller {
        prompt: u64,
        completion: u64,
        takes_ms: u64,
        ending: u8,
        share: u64,
    }

    fn caller() -> impl Strategy<Value = Caller> {
        (0..60_u64, 0..40_u64, 0..30_u64, 0..5_u8, 0..=100_u64).prop_map(
            |(prompt, completion, takes_ms, ending, share)| Caller { prompt, completion, takes_ms, ending, share },
        )
    }

    async fn play(budget: Arc<Budget>, caller: Caller) {
        let Ok(held) = budget.reserve(Role::Speaker, estimate(caller.prompt, caller.completion)).await else { return };
        tokio::time::sleep(Duration::from_millis(caller.takes_ms)).await;
        let part = |bound: u64| bound * caller.share / 100;
        match caller.ending {
            0 => held.release(),
            1 => held.lost(),
            2 => drop(held),
            _ => held.settle(usage(part(caller.prompt), 0, part(caller.completion))),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn caps_hold_at_every_moment_and_nobody_waits_forever(
            callers in proptest::collection::vec(caller(), 1..40),
            max_calls in 1..40_u64,
            max_tokens in 0..800_u64,
            max_cost in 0.0..0.002_f64,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let caps = limits(Some(max_calls), Some(max_tokens), Some(max_cost));
            let budget = budget(&caps, Some(price(1.0, Some(0.5), 4.0)));
            let verdict: Result<(), TestCaseError> = runtime.block_on(async {
                let tasks: Vec<_> = callers.into_iter().map(|c| tokio::spawn(play(budget.clone(), c))).collect();
                for _ in 0..2_000 {
                    {
                        let state = budget.state();
                        let tokens: u64 = state.roles.values().map(|s| s.tokens(true)).sum();
                        prop_assert!(tokens <= max_tokens);
                        prop_assert!(state.cost(true, None) <= max_cost);
                        prop_assert!(state.roles.values().map(|s| s.calls).sum::<u64>() <= max_calls);
                    }
                    if tasks.iter().all(tokio::task::JoinHandle::is_finished) {
                        let state = budget.state();
                        prop_assert!(state.roles.values().all(|s| s.in_flight == Estimate::default()));
                        return Ok(());
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                Err(TestCaseError::fail("a caller waits forever"))
            });
            verdict?;
        }
    }
}
