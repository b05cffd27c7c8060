//! The patience of one endpoint, shared by all who call it.
//!
//! A [`Limiter`] bounds the calls in flight by how the endpoint does (`window`), keeps to its requests and tokens a minute
//! (`pace`) and to what it says is left of them (`headroom`), makes everybody wait when it turns everybody away
//! (`refusals`), and notices when it no longer answers anyone (`outage`). It reads tokio's clock only, which is monotonic: a
//! wall clock that jumps changes nothing here.
//!
//! Around one attempt: [`Limiter::acquire`], the attempt, [`Limiter::observe`]; when it is to be tried again
//! [`Limiter::back_off`] and [`Limiter::check`]; when the call gives up [`Limiter::gave_up`].

mod delay;
mod headroom;
mod outage;
mod pace;
mod refusals;
mod trend;
mod window;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until};

pub(crate) use self::delay::Delay;
use self::headroom::Headroom;
use self::outage::Outage;
use self::pace::{CallCost, QuotaPace};
use self::refusals::{CallRefusals, LastMinute, SentCall};
use self::window::CallWindow;
use super::budget::Estimate;
use super::{AttemptError, Reply, Transient};
use crate::config::Model;
use crate::net::rate_headers::RemainingQuota;

/// The longest that waits which were told are spread over, so that not all come at once.
const LONGEST_SPREAD: Duration = Duration::from_secs(1);

/// The refused share of the last minute from which on it is worth telling, and of how many calls at least.
const WORTH_TELLING: f64 = 0.05;
const CALLS_WORTH_TELLING: u64 = 20;

/// How long nobody was answered when a call that used up its time speaks for all.
const NOBODY_FOR: Duration = Duration::from_secs(60);

/// A wait from which on it is told whatever the share.
const LONG: Duration = Duration::from_secs(1);

/// Bounds and paces the calls to one endpoint.
#[derive(Debug)]
pub(crate) struct Limiter {
    slots: Semaphore,
    /// Held by the caller that waits for the pace, for all behind it.
    turn: tokio::sync::Mutex<()>,
    /// Wakes whoever waits for what an answer may change.
    changed: Notify,
    max_wait: Duration,
    state: Mutex<LimiterState>,
}

#[derive(Debug)]
struct LimiterState {
    window: CallWindow,
    pace: QuotaPace,
    headroom: Headroom,
    refusals: CallRefusals,
    outage: Outage,
    minute: LastMinute,
    /// Calls that were ever let go.
    sent: u64,
    in_flight: usize,
    tokens_in_flight: f64,
    /// Places there are, free or taken, and those of them that are to go as soon as they are free.
    places: usize,
    surplus: usize,
    waiting: Waiting,
}

/// Calls that wait to be made again.
#[derive(Debug, Default)]
struct Waiting {
    turned_away: usize,
    others: usize,
    /// When the last of them is made.
    until: Option<Instant>,
    /// What the endpoint said to the one turned away last.
    said: String,
}

/// One of the places for calls in flight; dropping it frees the place.
#[derive(Debug)]
#[must_use = "the place is free again as soon as the permit is dropped"]
pub(crate) struct Permit<'a> {
    limiter: &'a Limiter,
    /// `None` only if the semaphore were closed, which nothing does.
    slot: Option<SemaphorePermit<'a>>,
    call: SentCall,
    bound: Estimate,
    cost: CallCost,
}

impl Permit<'_> {
    /// Says that the request is sent now.
    pub(crate) fn sent(&mut self) {
        self.call.at = Instant::now();
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.tokens_in_flight -= self.cost.tokens();
        if state.surplus > 0
            && let Some(slot) = self.slot.take()
        {
            state.surplus -= 1;
            state.places -= 1;
            slot.forget();
        }
    }
}

impl Limiter {
    /// A limiter for an endpoint as `model` describes it.
    pub(crate) fn new(model: &Model) -> Self {
        let answer = model.timeouts.first_byte_s.min(model.timeouts.total_s);
        let time_out = Duration::try_from_secs_f64(answer).unwrap_or(Duration::MAX);
        let window = CallWindow::new(model.concurrency.clamp(1, Semaphore::MAX_PERMITS), time_out);
        let places = window.size();
        let state = LimiterState {
            window,
            pace: QuotaPace::new(model.limits),
            headroom: Headroom::default(),
            refusals: CallRefusals::default(),
            outage: Outage::default(),
            minute: LastMinute::new(Instant::now()),
            sent: 0,
            in_flight: 0,
            tokens_in_flight: 0.0,
            places,
            surplus: 0,
            waiting: Waiting::default(),
        };
        Self {
            slots: Semaphore::new(places),
            turn: tokio::sync::Mutex::default(),
            changed: Notify::new(),
            max_wait: Duration::try_from_secs_f64(model.max_wait_s).unwrap_or(Duration::MAX),
            state: Mutex::new(state),
        }
    }

    /// The longest that is waited for an endpoint that turns calls away.
    pub(crate) fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// Waits for a place, and until a call that uses at most `bound` may be sent. Places are given in the order in which
    /// they were asked for.
    pub(crate) async fn acquire(&self, bound: Estimate) -> Permit<'_> {
        let paced = !self.state().pace.is_free();
        let _turn = if paced { Some(self.turn.lock().await) } else { None };
        let slot = self.slots.acquire().await.ok();
        let (mut slot, mut waited) = (slot, false);
        loop {
            // Made before looking: it is woken by whatever changes from here on, though not polled yet.
            let changed = self.changed.notified();
            let at = match self.let_go(bound, waited) {
                Ok((call, cost)) => return Permit { limiter: self, slot: slot.take(), call, bound, cost },
                Err(at) => at,
            };
            tokio::select! {
                () = sleep_until(at) => waited = true,
                () = changed => waited = false,
            }
        }
    }

    /// Lets a call go, or says when to ask again. Whoever `waited` for the end of a hold need not wait for it again.
    fn let_go(&self, bound: Estimate, waited: bool) -> Result<(SentCall, CallCost), Instant> {
        let (now, mut state) = (Instant::now(), self.state());
        let held = if waited { state.refusals.held_until(now) } else { state.refusals.release(now) };
        let cost = state.pace.cost(bound);
        let paced = Some(state.pace.ready(cost, now)).filter(|at| *at > now);
        // One call at a time is always made: only an answer tells that there is more room.
        let headroom = if state.in_flight > 0 { state.headroom.ready(cost.tokens(), now) } else { None };
        if let Some(at) = held.max(paced).max(headroom) {
            return Err(at);
        }
        state.pace.take(cost, now);
        state.headroom.take(cost.tokens());
        state.in_flight += 1;
        state.tokens_in_flight += cost.tokens();
        state.sent += 1;
        Ok((SentCall { number: state.sent, among: state.in_flight, at: now }, cost))
    }

    /// Learns from an attempt how the endpoint does, and frees its place. `remaining` is what it says is left of its limits.
    pub(crate) fn observe(
        &self,
        permit: Permit<'_>,
        outcome: &Result<Reply, AttemptError>,
        remaining: Option<&RemainingQuota>,
    ) {
        let now = Instant::now();
        let Permit { call, bound, cost, .. } = permit;
        let mut state = self.state();
        if let Some(remaining) = remaining {
            let (calls, tokens) = (state.in_flight - 1, state.tokens_in_flight - cost.tokens());
            state.headroom.told(remaining, calls, tokens, now);
        }
        match outcome {
            Ok(reply) => {
                state.pace.used(bound, cost, reply.usage, now);
                state.answered(call, now);
            }
            Err(AttemptError::Refused { .. } | AttemptError::BadRequest { .. }) => state.answered(call, now),
            Err(AttemptError::Transient { kind, retry_after, message }) => {
                state.pace.unserved(cost, now);
                state.failed(call, *kind, *retry_after, message, now);
            }
            Err(AttemptError::Fatal { .. }) => {}
        }
        let size = state.window.size();
        self.resize(&mut state, size);
        drop(state);
        drop(permit);
        self.changed.notify_waiters();
    }

    /// Makes as many places as the window has. What is taken goes when it is free.
    fn resize(&self, state: &mut LimiterState, size: usize) {
        let standing = state.places - state.surplus;
        if size > standing {
            let kept = (size - standing).min(state.surplus);
            state.surplus -= kept;
            let more = size - standing - kept;
            state.places += more;
            self.slots.add_permits(more);
        } else if size < standing {
            let gone = self.slots.forget_permits(standing - size);
            state.places -= gone;
            state.surplus += standing - size - gone;
        }
    }

    /// Waits before another attempt, `wait` being what [`Retry`](crate::net::retry::Retry) decided, never less where the
    /// endpoint told it. A call that was turned away and told nothing goes on as soon as an endpoint that had turned all away
    /// answers again.
    pub(crate) async fn back_off(&self, error: &AttemptError, wait: Duration) {
        let AttemptError::Transient { kind, retry_after, message } = error else { return };
        let turned_away = kind.is_turned_away();
        let told = retry_after.is_some_and(|told| !told.is_zero());
        let (counted, until) = Counted::start(self, turned_away, message, wait);
        let recovery = async {
            if turned_away && !told {
                self.recovery().await;
            } else {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = sleep_until(until) => {}
            () = recovery => {}
        }
        drop(counted);
    }

    /// Waits until an endpoint that turned all away answers again, and a moment that is another for each caller.
    async fn recovery(&self) {
        let before = self.state().refusals.recoveries;
        loop {
            let changed = self.changed.notified();
            if self.state().refusals.recoveries > before {
                break;
            }
            changed.await;
        }
        let scatter = self.state().refusals.scatter();
        tokio::time::sleep(LONGEST_SPREAD.mul_f64(scatter)).await;
    }

    /// Whether the endpoint still deserves calls. The error is [`AttemptError::Fatal`]: at least ten failures in a row,
    /// over all callers, in at least a minute without a single answer; nothing but refusals for longer than is to be waited.
    /// Where not even a connection has ever come about, three failures in two seconds are enough.
    pub(crate) fn check(&self) -> Result<(), AttemptError> {
        let (now, state) = (Instant::now(), self.state());
        let refusing = state.refusals.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        if refusing > self.max_wait {
            return Err(self.waited_too_long(refusing, &state.waiting.said));
        }
        state.outage.check(now)
    }

    /// What a call that used up its attempts or its time means for the run: [`AttemptError::Fatal`] when the endpoint has
    /// failed everybody ten times in a row, or turned everybody away for a minute; below that it may be this one request that
    /// it cannot serve.
    pub(crate) fn gave_up(&self) -> Result<(), AttemptError> {
        let (now, state) = (Instant::now(), self.state());
        let refusing = state.refusals.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        if refusing > NOBODY_FOR {
            return Err(self.waited_too_long(refusing, &state.waiting.said));
        }
        state.outage.gave_up()
    }

    fn waited_too_long(&self, refusing: Duration, said: &str) -> AttemptError {
        let (minutes, most) = (refusing.as_secs() / 60, self.max_wait.as_secs());
        AttemptError::Fatal {
            message: format!(
                "every call was turned away for {minutes} minutes, longer than max_wait_s, which is {most}; last: {said}; run the same command again later, or raise max_wait_s"
            ),
        }
    }

    /// Whether a call could be sent about now: no hold, its pace within `patience`, and no long queue for a place.
    pub(super) fn is_open(&self, bound: Estimate, patience: Duration) -> bool {
        let (now, state) = (Instant::now(), self.state());
        let paced = state.pace.ready(state.pace.cost(bound), now) > now + patience;
        state.refusals.held_until(now).is_none() && !paced
    }

    /// Whether a place is free.
    pub(super) fn has_place(&self) -> bool {
        self.slots.available_permits() > 0
    }

    /// Calls that wait to be made again.
    pub(crate) fn waiting(&self) -> usize {
        let state = self.state();
        state.waiting.turned_away + state.waiting.others
    }

    /// What is to be told of calls that wait; nothing while hardly any do.
    pub(crate) fn delay(&self) -> Option<Delay> {
        let (now, mut state) = (Instant::now(), self.state());
        let (calls, refused) = state.minute.sums(now);
        let until = state.waiting.until.max(state.refusals.held_until(now));
        let wait = until.map(|until| until.saturating_duration_since(now)).unwrap_or_default();
        let Waiting { turned_away, others, said, .. } = &state.waiting;
        if *turned_away > 0 {
            let many = calls >= CALLS_WORTH_TELLING && refused as f64 > calls as f64 * WORTH_TELLING;
            return (many || wait >= LONG).then(|| Delay { calls, refused, wait, said: said.clone() });
        }
        let said = state.outage.last()?.to_owned();
        (*others > 0 && wait >= LONG).then_some(Delay { calls, refused: 0, wait, said })
    }

    fn state(&self) -> MutexGuard<'_, LimiterState> {
        // No code panics while it holds the lock; were it so, counters a step behind do no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LimiterState {
    fn answered(&mut self, call: SentCall, now: Instant) {
        self.minute.count(false, now);
        self.outage.answered();
        self.refusals.answered(call.number).into_iter().for_each(|among| self.window.turned_away(among));
        self.window.answered(call.among, now.saturating_duration_since(call.at), now);
        self.window.judge_refusals(call.at, now);
    }

    fn failed(&mut self, call: SentCall, kind: Transient, told: Option<Duration>, message: &str, now: Instant) {
        let told = told.filter(|told| !told.is_zero());
        if kind.is_turned_away() {
            self.minute.count(true, now);
            self.refusals.turned_away(call, told, now);
            self.pace.turned_away(now);
        }
        if kind == Transient::TimedOut {
            self.window.timed_out(call.among, call.at, now);
        }
        // Whoever speaks of a limit, or of a time, is there: such a wait is bounded by `max_wait` alone.
        if kind == Transient::RateLimited || kind == Transient::TurnedAway && told.is_some() {
            self.outage.reached();
        } else {
            self.outage.failed(kind, message, now);
        }
    }
}

/// A call that waits, counted until it goes on or is given up.
struct Counted<'a> {
    limiter: &'a Limiter,
    turned_away: bool,
}

impl<'a> Counted<'a> {
    fn start(limiter: &'a Limiter, turned_away: bool, said: &str, wait: Duration) -> (Self, Instant) {
        let mut state = limiter.state();
        let spread = if turned_away { (wait / 8).min(LONGEST_SPREAD) } else { Duration::ZERO };
        let wait = wait + spread.mul_f64(state.refusals.scatter());
        let until = Instant::now() + wait;
        let waiting = &mut state.waiting;
        if turned_away {
            waiting.turned_away += 1;
            said.clone_into(&mut waiting.said);
        } else {
            waiting.others += 1;
        }
        waiting.until = waiting.until.max(Some(until));
        drop(state);
        (Self { limiter, turned_away }, until)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state();
        let waiting = &mut state.waiting;
        let count = if self.turned_away { &mut waiting.turned_away } else { &mut waiting.others };
        *count = count.saturating_sub(1);
        if waiting.turned_away + waiting.others == 0 {
            waiting.until = None;
        }
    }
}

#[cfg(test)]
mod tests;
