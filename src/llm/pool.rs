//! A model in one place or several: which takes a call, and what happens when one is away.
//!
//! The calls of an item go to one place, so that its prefix cache is warm: the place is drawn from the item's id and the
//! weights (weighted rendezvous hashing), so each call finds it again without a table. Another takes the call when that one
//! is away, holds everybody back or has more to do than it may for a second; once it works again the calls come back by
//! themselves. A place of provisioned throughput comes first for every item, and what it cannot take at once goes to the
//! others. What a reply is recorded under knows nothing of all this.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::batch::BatchQueue;
use super::budget::Estimate;
use super::control::Control;
use super::limiter::{Delay, Limiter, Permit};
use super::{AttemptError, ChatModel, ChatRequest, Reply, Structured};
use crate::draw::Draw;

/// Failures in a row from which a place is left out.
const DOWN_AFTER: u32 = 3;
/// How long it is left out at first, and at most; the time doubles.
const DOWN_FOR: Duration = Duration::from_secs(5);
const DOWN_AT_MOST: Duration = Duration::from_secs(60);
/// The same after an error that another call would meet as well, such as a wrong key.
const REFUSED_FOR: Duration = Duration::from_secs(60);
const REFUSED_AT_MOST: Duration = Duration::from_secs(600);
/// How long a call that failed in one place looks to the others first.
const AVOID_FOR: Duration = Duration::from_secs(1);
/// The wait for its pace that is worth a cold cache elsewhere.
const PATIENCE: Duration = Duration::from_secs(1);

/// One place where a model is deployed.
#[derive(Debug)]
pub(crate) struct ModelPlace {
    /// What messages call it.
    pub(crate) name: String,
    /// The model there.
    pub(crate) model: Box<dyn ChatModel>,
    /// Its patience.
    pub(crate) limiter: Limiter,
    /// Its share of the items, against those of the others.
    pub(crate) weight: f64,
    /// Provisioned throughput: asked first by all.
    pub(crate) spill: bool,
    /// How it does.
    pub(crate) health: Mutex<PlaceHealth>,
}

/// How a place does, as far as it counts for the others.
#[derive(Debug, Default)]
pub(crate) struct PlaceHealth {
    failures: u32,
    /// How often in a row it was left out.
    left_out: u32,
    until: Option<Instant>,
    /// Whether waiting does not help it, as far as anyone knows.
    dead: bool,
}

impl PlaceHealth {
    fn is_down(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    fn leave_out(&mut self, first: Duration, most: Duration, now: Instant) -> Duration {
        let time = first.saturating_mul(1 << self.left_out.min(16)).min(most);
        self.left_out = self.left_out.saturating_add(1);
        self.until = Some(now + time);
        time
    }
}

/// A model in all its places, at least one.
#[derive(Debug)]
pub(crate) struct ModelPool {
    places: Vec<ModelPlace>,
}

impl ModelPool {
    /// A pool of these places.
    pub(crate) fn new(places: Vec<ModelPlace>) -> Self {
        Self { places }
    }

    /// A pool of the one place where `model` is.
    #[cfg(test)]
    pub(crate) fn alone(model: Box<dyn ChatModel>) -> Self {
        Self::new(vec![ModelPlace::of(model)])
    }

    /// Where calls go, for messages.
    pub(crate) fn target(&self) -> String {
        self.places.iter().map(|place| place.name.as_str()).collect::<Vec<_>>().join(" or ")
    }

    /// Keywords of JSON schemas that any place was found not to take.
    pub(crate) fn left_out(&self) -> BTreeSet<&'static str> {
        self.places.iter().flat_map(|place| place.model.left_out()).collect()
    }

    /// Calls that wait to be made again, in all places.
    pub(crate) fn waiting(&self) -> usize {
        self.places.iter().map(|place| place.limiter.waiting()).sum()
    }

    /// What is to be told of calls that wait, by the names of their places.
    pub(crate) fn delays(&self) -> Vec<(String, Delay)> {
        let delays = self.places.iter().filter_map(|place| Some((place.name.clone(), place.limiter.delay()?)));
        delays.collect()
    }

    /// The way of one call of `item` through the places.
    pub(super) fn route<'a>(&'a self, item: &'a str) -> PoolRoute<'a> {
        PoolRoute { pool: self, item, avoid: vec![None; self.places.len()], last: 0 }
    }

    /// Whether any place still deserves calls.
    pub(super) fn check(&self) -> Result<(), AttemptError> {
        self.any(Limiter::check)
    }

    /// What a call that used up its attempts means for the run.
    pub(super) fn gave_up(&self) -> Result<(), AttemptError> {
        self.any(Limiter::gave_up)
    }

    fn any(&self, verdict: impl Fn(&Limiter) -> Result<(), AttemptError>) -> Result<(), AttemptError> {
        let mut verdicts = self.places.iter().map(|place| verdict(&place.limiter));
        let first = verdicts.next().unwrap_or(Ok(()));
        verdicts.fold(first, |all, one| if one.is_ok() { one } else { all })
    }

    /// The places in the order in which `item` asks them.
    fn order(&self, item: &str) -> Vec<usize> {
        let mut scored: Vec<(bool, f64, usize)> = self
            .places
            .iter()
            .enumerate()
            .map(|(at, place)| {
                let unit = Draw::new(0, &["place", &at.to_string(), item]).unit();
                // The smallest of exponential draws falls on each in proportion to its rate.
                (!place.spill, -(1.0 - unit).ln() / place.weight, at)
            })
            .collect();
        scored.sort_by(|one, other| one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)));
        scored.into_iter().map(|(.., at)| at).collect()
    }
}

/// The way of one call through the places.
#[derive(Debug)]
pub(super) struct PoolRoute<'a> {
    pool: &'a ModelPool,
    item: &'a str,
    /// Until when this call looks to other places first, or was told to stay away.
    avoid: Vec<Option<Instant>>,
    last: usize,
}

/// A call's place in one of the places.
#[derive(Debug)]
#[must_use = "the place is free again as soon as this is dropped"]
pub(super) struct PoolPermit<'a> {
    pool: &'a ModelPool,
    place: &'a ModelPlace,
    permit: Permit<'a>,
}

impl<'a> PoolRoute<'a> {
    /// Waits until a place takes a call that uses at most `bound`.
    pub(super) async fn acquire(&mut self, bound: Estimate) -> PoolPermit<'a> {
        loop {
            match self.pick(bound) {
                Ok((at, place)) => {
                    self.last = at;
                    return PoolPermit { pool: self.pool, place, permit: place.limiter.acquire(bound).await };
                }
                Err(at) => sleep_until(at).await,
            }
        }
    }

    /// The place that takes the call, or when to look again.
    fn pick(&self, bound: Estimate) -> Result<(usize, &'a ModelPlace), Instant> {
        let places = &self.pool.places;
        if let [only] = places.as_slice() {
            return Ok((0, only));
        }
        let now = Instant::now();
        let order = self.pool.order(self.item);
        let places = || order.iter().filter_map(|at| Some((*at, places.get(*at)?)));
        let free: Vec<_> = places().filter(|(at, place)| self.closed_until(*at, place, now).is_none()).collect();
        let open = free.iter().find(|(_, place)| place.is_open(bound)).or(free.first());
        let soonest = || places().filter_map(|(at, place)| self.closed_until(at, place, now)).min().unwrap_or(now);
        open.copied().ok_or_else(soonest)
    }

    fn closed_until(&self, at: usize, place: &ModelPlace, now: Instant) -> Option<Instant> {
        let avoided = self.avoid.get(at).copied().flatten();
        avoided.max(place.health().until).filter(|until| now < *until)
    }

    /// Whether another place takes the call at once, after an attempt that failed in the last one.
    pub(super) fn goes_elsewhere(&mut self, error: &AttemptError) -> bool {
        let time = match error {
            AttemptError::Transient { retry_after, .. } => retry_after.unwrap_or(AVOID_FOR).max(AVOID_FOR),
            AttemptError::Fatal { .. } => AVOID_FOR,
            _ => return false,
        };
        let now = Instant::now();
        if let Some(avoid) = self.avoid.get_mut(self.last) {
            *avoid = Some(now + time);
        }
        let dead = self.pool.places.get(self.last).is_some_and(|place| place.health().dead);
        let mut others = self.pool.places.iter().enumerate().filter(|(at, _)| *at != self.last);
        // Where this place is dead, another is worth waiting for.
        others.any(|(at, place)| if dead { !place.health().dead } else { self.closed_until(at, place, now).is_none() })
    }

    /// The model and its jobs, where calls go in jobs: it is in one place then.
    pub(super) fn in_jobs(&self) -> Option<(&'a dyn ChatModel, &'a BatchQueue)> {
        match self.pool.places.as_slice() {
            [only] => Some((only.model.as_ref(), only.model.batch()?)),
            _ => None,
        }
    }

    /// Where the last attempt went, for messages.
    pub(super) fn target(&self) -> String {
        self.pool.places.get(self.last).map(|place| place.model.target()).unwrap_or_default()
    }

    /// Waits before another attempt; see [`Limiter::back_off`].
    pub(super) async fn back_off(&self, error: &AttemptError, wait: Duration) {
        if let Some(place) = self.pool.places.get(self.last) {
            place.limiter.back_off(error, wait).await;
        }
    }

    /// How long the last place is waited for at most.
    pub(super) fn max_wait(&self) -> Duration {
        self.pool.places.get(self.last).map_or(Duration::MAX, |place| place.limiter.max_wait())
    }
}

impl PoolPermit<'_> {
    /// Sends the request, and learns from what comes how the place does.
    pub(super) async fn attempt(
        mut self,
        request: &ChatRequest,
        wire: Structured,
        control: &Control,
    ) -> Result<Reply, AttemptError> {
        self.permit.sent();
        let outcome = self.place.model.attempt(request, wire).await;
        if self.pool.places.len() > 1
            && let Some(told) = self.place.learn(&outcome)
        {
            control.tell(told);
        }
        self.place.limiter.observe(self.permit, &outcome, self.place.model.remaining().as_ref());
        outcome
    }
}

impl ModelPlace {
    #[cfg(test)]
    fn of(model: Box<dyn ChatModel>) -> Self {
        Self {
            name: model.target(),
            model,
            limiter: Limiter::new(&crate::config::Model::default()),
            weight: 1.0,
            spill: false,
            health: Mutex::default(),
        }
    }

    fn health(&self) -> std::sync::MutexGuard<'_, PlaceHealth> {
        // No code panics while it holds the lock.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_open(&self, bound: Estimate) -> bool {
        if self.spill {
            return self.limiter.has_place() && self.limiter.is_open(bound, Duration::ZERO);
        }
        self.limiter.is_open(bound, PATIENCE)
    }

    /// Notes how an attempt ended. Returns what is worth telling: that the place is left out, or is back.
    fn learn(&self, outcome: &Result<Reply, AttemptError>) -> Option<String> {
        let (now, mut health) = (Instant::now(), self.health());
        let known = health.left_out > 0;
        let (message, first, most, dead) = match outcome {
            Ok(_) | Err(AttemptError::Refused { .. } | AttemptError::BadRequest { .. }) => {
                *health = PlaceHealth::default();
                return known.then(|| format!("{} answers again", self.name));
            }
            Err(AttemptError::Transient { kind, retry_after, message }) if kind.is_turned_away() => {
                let told = retry_after.filter(|told| *told > self.limiter.max_wait())?;
                (message, told, told, true)
            }
            Err(AttemptError::Transient { message, .. }) => {
                health.failures = health.failures.saturating_add(1);
                if health.failures < DOWN_AFTER {
                    return None;
                }
                (message, DOWN_FOR, DOWN_AT_MOST, false)
            }
            Err(AttemptError::Fatal { message }) => (message, REFUSED_FOR, REFUSED_AT_MOST, true),
        };
        health.dead |= dead;
        if health.is_down(now) {
            return None;
        }
        let time = health.leave_out(first, most, now).as_secs();
        (!known)
            .then(|| format!("{} is left out for {time} s or more, the others take its calls: {message}", self.name))
    }
}

#[cfg(test)]
mod tests;
