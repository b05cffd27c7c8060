//! The spend cap: what a call may cost at most is set aside before it is sent.
//!
//! Laws:
//! - `max_calls` is exact; every request counts, retries too, whatever becomes of it.
//! - Tokens and cost that replies used, what is set aside for calls in flight, and what calls of unknown outcome had set
//!   aside are together never above the cap, as long as the endpoint counts no more than the bound of [`upper_bound`].
//! - A caller for whom only calls in flight stand in the way waits until they settle; it is turned down as soon as their
//!   settling could not help.
//! - An item of many calls is begun only as far as the rest can end it: `admission`.
//! - A [`Reservation`] that is dropped (its future was cancelled) is a call of unknown outcome.
//!
//! Cost is computed from sums of tokens, never summed itself, so it does not depend on the order of calls. What an
//! endpoint costs per hour is measured on the monotonic clock while calls are in flight; it is for display and for the
//! cap, never part of the data, and starts anew with each process.

mod admission;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use self::admission::Items;
pub(crate) use self::admission::{Need, Take};
pub(crate) use self::snapshot::{RoleSnapshot, SpendSnapshot};
use super::{ChatRequest, Message, ReplyFormat, Role, Usage};
use crate::config::{self, Price};

/// Tokens that the protocol and the endpoint's own template add to a request: a hidden system prompt, tool headers.
const REQUEST_OVERHEAD: u64 = 256;

/// Tokens that a template puts around one message.
const MESSAGE_OVERHEAD: u64 = 16;

/// The most prompt tokens `request` can have: its bytes, since a byte-level BPE never makes more tokens than bytes,
/// and what goes around them.
pub(crate) fn upper_bound(request: &ChatRequest) -> u64 {
    let schema = match &request.format {
        ReplyFormat::Text { .. } => 0,
        ReplyFormat::Json { name, schema } => (name.len() + schema.text().len()) as u64,
    };
    bound(request.messages.content_bytes(), request.messages.count()) + schema
}

/// The most prompt tokens that `messages` can have, without a schema.
pub(crate) fn upper_bound_of(messages: &[Message]) -> u64 {
    bound(messages.iter().map(|message| message.content.len()).sum(), messages.len())
}

fn bound(content_bytes: usize, messages: usize) -> u64 {
    content_bytes as u64 + MESSAGE_OVERHEAD * messages as u64 + REQUEST_OVERHEAD
}

/// The most a call can use, as set aside for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Estimate {
    /// Prompt tokens at most.
    pub prompt_tokens: u64,
    /// Completion tokens at most.
    pub completion_tokens: u64,
}

impl Estimate {
    /// The most that sending `request` can use.
    pub(crate) fn of(request: &ChatRequest) -> Self {
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
    "the budget does not allow {}: budget.{limit} is {cap}, used {used}, wanted {wanted}; raise it and run the same command again, or keep what is there with --accept-partial",
    self.what()
)]
pub struct Exhausted {
    /// Which limit: `max_calls`, `max_tokens` or `max_cost`.
    pub limit: &'static str,
    /// What it is set to.
    pub cap: String,
    /// What is used up, calls of unknown outcome included.
    pub used: String,
    /// What was asked for on top of that.
    pub wanted: String,
    /// The item that was to be begun, where it is not a single call.
    pub item: Option<String>,
}

impl Exhausted {
    fn what(&self) -> String {
        self.item.as_ref().map_or_else(|| "another call".to_owned(), |item| format!("{item} to be begun and ended"))
    }
}

/// The spend of a run and its cap, shared by all callers.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: config::BudgetLimits,
    state: Mutex<State>,
    settled: Notify,
}

#[derive(Debug)]
struct State {
    roles: BTreeMap<Role, RoleSpend>,
    meters: Vec<Meter>,
    items: Items,
}

/// What one role has spent.
#[derive(Debug, Default)]
struct RoleSpend {
    calls: u64,
    usage: Usage,
    unknown_calls: u64,
    unknown: Estimate,
    in_flight: Estimate,
    calls_in_flight: u64,
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
    pub(crate) fn new(limits: &config::BudgetLimits, models: &config::Models) -> Self {
        let own = [
            (Role::Situations, models.situations.as_ref()),
            (Role::Speaker, models.speaker.as_ref()),
            (Role::Summary, models.speaker.as_ref()),
            (Role::Selector, models.selector.as_ref()),
            (Role::Safety, models.safety.as_ref()),
            (Role::Judge, models.judge.as_ref()),
            (Role::Probe, None),
        ];
        let shared: Vec<Role> = own.iter().filter(|(_, model)| model.is_none()).map(|(role, _)| *role).collect();
        let mut meters = Vec::from_iter(models.default.charged().map(|price| Meter::new(price, shared)));
        for (role, model) in own.into_iter().filter(|(role, _)| *role != Role::Summary) {
            // The speaker's model sums up as well.
            let roles = if role == Role::Speaker { vec![role, Role::Summary] } else { vec![role] };
            meters.extend(model.and_then(config::Model::charged).map(|price| Meter::new(price, roles)));
        }
        let state = Mutex::new(State { roles: BTreeMap::new(), meters, items: Items::default() });
        Self { limits: limits.clone(), state, settled: Notify::new() }
    }

    /// Sets aside what a call for `item` can cost at most, and counts the call. Waits while calls in flight hold what is missing.
    ///
    /// Whoever waits here must hold no other reservation, or two could wait for each other.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        item: &str,
        role: Role,
        estimate: Estimate,
    ) -> Result<Reservation, Exhausted> {
        loop {
            // Made before looking: it is woken by whatever settles from here on, though not polled yet.
            let settled = self.settled.notified();
            if self.try_reserve(item, role, estimate)? {
                return Ok(Reservation { budget: Arc::clone(self), role, estimate, open: true });
            }
            settled.await;
        }
    }

    /// `Ok(false)`: not now, but maybe once calls in flight have settled.
    fn try_reserve(&self, item: &str, role: Role, estimate: Estimate) -> Result<bool, Exhausted> {
        let mut state = self.state();
        let call = [Take::one(role, estimate)];
        let now = state.check(&self.limits, &call, true);
        if now.is_err() {
            state.check(&self.limits, &call, false)?;
            return Ok(false);
        }
        let spend = state.roles.entry(role).or_default();
        spend.calls = spend.calls.saturating_add(1);
        spend.in_flight.add(estimate);
        spend.calls_in_flight += 1;
        state.items.reserved(item);
        state.started(role);
        Ok(true)
    }

    fn close(&self, role: Role, estimate: Estimate, outcome: &Outcome) {
        let mut state = self.state();
        let spend = state.roles.entry(role).or_default();
        spend.in_flight.subtract(estimate);
        spend.calls_in_flight = spend.calls_in_flight.saturating_sub(1);
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
    pub(crate) fn restore_call(&self, role: Role) {
        let mut state = self.state();
        let calls = &mut state.roles.entry(role).or_default().calls;
        *calls = calls.saturating_add(1);
    }

    /// Counts what a reply of an earlier process used; its call is restored apart.
    pub(crate) fn restore(&self, role: Role, usage: Usage) {
        self.state().roles.entry(role).or_default().usage += usage;
    }

    /// Counts a call of an earlier process whose outcome is not known as spent; the call itself is restored apart.
    pub(crate) fn restore_lost(&self, role: Role, estimate: Estimate) {
        self.state().roles.entry(role).or_default().lose(estimate);
    }

    /// Takes up again what [`restore_lost`](Self::restore_lost) counted, for a call whose outcome may still be learnt.
    pub(crate) fn reopen(self: &Arc<Self>, role: Role, estimate: Estimate) -> Reservation {
        let mut state = self.state();
        let spend = state.roles.entry(role).or_default();
        spend.unknown_calls = spend.unknown_calls.saturating_sub(1);
        spend.unknown.subtract(estimate);
        spend.in_flight.add(estimate);
        spend.calls_in_flight += 1;
        state.started(role);
        drop(state);
        Reservation { budget: Arc::clone(self), role, estimate, open: true }
    }

    /// The spend so far.
    pub(crate) fn snapshot(&self) -> SpendSnapshot {
        let state = self.state();
        let mut snapshot = SpendSnapshot::default();
        for (role, spend) in &state.roles {
            let meter = state.meters.iter().find(|meter| meter.roles.contains(role));
            let cost = meter.filter(|meter| meter.price.is_by_token()).map(|m| m.price_of(spend.usage, spend.unknown));
            snapshot.roles.insert(*role, RoleSnapshot { calls: spend.calls, usage: spend.usage, cost });
            snapshot.usage += spend.usage;
            snapshot.in_flight += spend.calls_in_flight;
            snapshot.unknown = snapshot.unknown.saturating_add(spend.unknown_calls);
            snapshot.unknown_tokens = snapshot.unknown_tokens.saturating_add(spend.unknown.tokens());
        }
        snapshot.cost = (!state.meters.is_empty()).then(|| state.cost(false, &[]));
        snapshot.currency = state.meters.first().map(|meter| meter.price.currency.clone());
        snapshot
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock, so a poisoned one holds sound counts.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether `more` fits under every limit; `in_flight` says whether calls in flight count at their bound.
    fn check(&self, limits: &config::BudgetLimits, more: &[Take], in_flight: bool) -> Result<(), Exhausted> {
        let sum = |counts: &mut dyn Iterator<Item = u64>| counts.fold(0, u64::saturating_add);
        let calls = sum(&mut self.roles.values().map(|s| s.calls));
        let wanted = sum(&mut more.iter().map(|take| take.calls));
        if let Some(cap) = limits.max_calls.filter(|cap| calls.saturating_add(wanted) > *cap) {
            return Err(exhausted("max_calls", &cap, &calls, &wanted));
        }
        let tokens = sum(&mut self.roles.values().map(|s| s.tokens(in_flight)));
        let wanted = sum(&mut more.iter().map(|take| take.tokens.tokens()));
        if let Some(cap) = limits.max_tokens.filter(|cap| tokens.saturating_add(wanted) > *cap) {
            return Err(exhausted("max_tokens", &cap, &tokens, &wanted));
        }
        let Some(cap) = limits.max_cost else { return Ok(()) };
        let (used, whole) = (self.cost(in_flight, &[]), self.cost(in_flight, more));
        if whole > cap {
            let shown = |cost: f64| format!("{cost:.4}");
            return Err(exhausted("max_cost", &cap, &shown(used), &shown(whole - used)));
        }
        Ok(())
    }

    fn cost(&self, in_flight: bool, more: &[Take]) -> f64 {
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

    fn cost(&self, spends: &BTreeMap<Role, RoleSpend>, in_flight: bool, more: &[Take]) -> f64 {
        let (mut used, mut bound) = (Usage::default(), Estimate::default());
        for (_, spend) in spends.iter().filter(|(role, _)| self.roles.contains(role)) {
            used += spend.usage;
            bound.add(spend.unknown);
            if in_flight {
                bound.add(spend.in_flight);
            }
        }
        more.iter().filter(|take| self.roles.contains(&take.role)).for_each(|take| bound.add(take.tokens));
        self.hours() * self.price.per_hour.unwrap_or(0.0) + self.price_of(used, bound)
    }

    /// Prices are per million. What is bounded only may turn out of any kind, so it is counted at the dearest price.
    fn price_of(&self, used: Usage, bound: Estimate) -> f64 {
        let price = &self.price;
        let fresh = price.prompt.unwrap_or(0.0);
        let completion = price.completion.unwrap_or(0.0);
        let Usage { prompt_tokens, cached_prompt_tokens: cached, cache_write_tokens: written, .. } = used;
        let Usage { completion_tokens, reasoning_tokens, .. } = used;
        let prompt = prompt_tokens.saturating_sub(cached).saturating_sub(written) as f64 * fresh
            + cached as f64 * price.cached_prompt.unwrap_or(fresh)
            + written as f64 * price.written();
        let spoken = completion_tokens.saturating_sub(reasoning_tokens) as f64 * completion
            + reasoning_tokens as f64 * price.reasoning.unwrap_or(completion);
        let at_most = bound.prompt_tokens as f64 * price.dearest_prompt()
            + bound.completion_tokens as f64 * price.dearest_completion();
        (prompt + spoken + at_most) / 1e6
    }

    fn hours(&self) -> f64 {
        let now = self.busy_since.map(|since| since.elapsed()).unwrap_or_default();
        (self.busy + now).as_secs_f64() / 3600.0
    }
}

fn exhausted(limit: &'static str, cap: &impl ToString, used: &impl ToString, wanted: &impl ToString) -> Exhausted {
    Exhausted { limit, cap: cap.to_string(), used: used.to_string(), wanted: wanted.to_string(), item: None }
}

enum Outcome {
    Used(Usage),
    Unbilled,
    Unknown,
}

/// What is set aside for one call in flight. Dropping it counts as [`Reservation::lost`].
#[derive(Debug)]
#[must_use = "dropping it counts the call as spent in full"]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    role: Role,
    estimate: Estimate,
    open: bool,
}

impl Reservation {
    /// A reply came and this is what it used.
    pub(crate) fn settle(mut self, usage: Usage) {
        self.close(&Outcome::Used(usage));
    }

    /// The endpoint did not serve the call: nothing is billed, yet it was a call.
    pub(crate) fn release(mut self) {
        self.close(&Outcome::Unbilled);
    }

    /// It is not known whether the call was served: it counts as spent in full.
    pub(crate) fn lost(mut self) {
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
