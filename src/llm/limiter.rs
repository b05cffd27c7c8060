//! The patience of one endpoint, shared by all who call it.
//!
//! A [`Limiter`] bounds the calls in flight, makes everybody wait when the endpoint turns somebody away, lets them go
//! again one after the other, and notices when the endpoint no longer answers anyone. It reads tokio's clock only,
//! which is monotonic: a wall clock that jumps changes nothing here.
//!
//! Around one attempt: [`Limiter::acquire`], the attempt, [`Limiter::observe`]; when it is to be tried again
//! [`Limiter::back_off`] and [`Limiter::check`]; when the call gives up [`Limiter::gave_up`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use super::{AttemptError, Transient};

/// Failures in a row, over all callers, from which the endpoint counts as broken.
const BREAK_AFTER: u32 = 10;

/// How long it must have failed without a break to count as broken; three of its own pauses if they are longer.
const BREAK_AFTER_TIME: Duration = Duration::from_secs(60);

/// Connections that fail before any has ever come about, from which the address counts as wrong or the server as down.
/// There is nothing yet that could come back, so nobody is kept waiting for it as long as in an outage.
const NEVER_REACHED_AFTER: u32 = 3;

/// How long they must have failed, so that many calls at one bad moment do not add up to a verdict.
const NEVER_REACHED_AFTER_TIME: Duration = Duration::from_secs(2);

/// A pause nobody asked for starts here and doubles each time calls are turned away after it, until one is answered:
/// one stray 429 among many answers hardly slows anyone, a storm stops everyone.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The longest time over which those who waited for the end of a pause are let go.
const LONGEST_RELEASE: Duration = Duration::from_secs(1);

/// The fractional part of the golden ratio.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// Bounds and paces the calls to one endpoint.
#[derive(Debug)]
pub(crate) struct Limiter {
    slots: Arc<Semaphore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    pause: Option<Pause>,
    /// How often in a row a pause was tried that nobody asked for.
    unasked_pauses: u32,
    failures: u32,
    failing_since: Option<Instant>,
    longest_pause: Duration,
    last_failure: String,
    /// Whether a connection has ever come about.
    reached: bool,
    /// How many waiting callers have been told when to go on.
    releases: u32,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

/// One of the places for calls in flight; dropping it frees the place.
#[derive(Debug)]
#[must_use = "the place is free again as soon as the permit is dropped"]
pub(crate) struct Permit {
    /// `None` only if the semaphore were closed, which nothing does.
    _slot: Option<OwnedSemaphorePermit>,
}

impl Limiter {
    /// A limiter that lets `concurrency` calls (at least one) be in flight.
    pub(crate) fn new(concurrency: usize) -> Self {
        let slots = concurrency.clamp(1, Semaphore::MAX_PERMITS);
        Self { slots: Arc::new(Semaphore::new(slots)), state: Mutex::default() }
    }

    /// Waits for a place and for the end of any pause. Places are given in the order in which they were asked for.
    pub(crate) async fn acquire(&self) -> Permit {
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        // A pause may grow while this caller waits for its end, so it looks again until there is none.
        while let Some(at) = self.next_release() {
            sleep_until(at).await;
            if self.pause_is_over() {
                break;
            }
        }
        Permit { _slot: slot }
    }

    /// Learns from an attempt how the endpoint does. Every answer counts as a sign of life, a refusal too.
    pub(crate) fn observe<T>(&self, outcome: &Result<T, AttemptError>) {
        let mut state = self.state();
        state.reached |= !matches!(outcome, Err(AttemptError::Transient { kind: Transient::NotSent, .. }));
        match outcome {
            Err(AttemptError::Transient { message, .. }) => {
                state.failures = state.failures.saturating_add(1);
                state.failing_since.get_or_insert_with(Instant::now);
                state.last_failure.clone_from(message);
            }
            Err(AttemptError::Fatal { .. }) => {}
            Ok(_) | Err(AttemptError::Refused { .. } | AttemptError::BadRequest { .. }) => {
                state.failures = 0;
                state.unasked_pauses = 0;
                state.failing_since = None;
                state.longest_pause = Duration::ZERO;
            }
        }
    }

    /// Waits before another attempt, `wait` being what [`Retry`](crate::net::retry::Retry) decided.
    ///
    /// Whoever was turned away makes everybody pause: for as long as the endpoint asked, or, where it did not say, the
    /// longer the more pauses did not help. Other trouble is the caller's own, and only the caller waits.
    pub(crate) async fn back_off(&self, error: &AttemptError, wait: Duration) {
        let AttemptError::Transient { kind: Transient::TurnedAway, retry_after, .. } = error else {
            return sleep(wait).await;
        };
        let shared = if retry_after.is_some() { wait } else { self.unasked_pause().min(wait) };
        self.pause_for(shared);
        sleep(wait).await;
    }

    /// Lets no call start for `length`. Never shortens a pause.
    pub(crate) fn pause_for(&self, length: Duration) {
        if length.is_zero() {
            return;
        }
        let until = Instant::now() + length;
        let mut state = self.state();
        state.longest_pause = state.longest_pause.max(length);
        match &mut state.pause {
            Some(pause) if pause.until >= until => {}
            // Those who wait for the old end look again when it comes.
            _ => state.pause = Some(Pause { until, length }),
        }
    }

    /// Whether the endpoint still deserves calls. The error is [`AttemptError::Fatal`]: at least ten failures in a row,
    /// over all callers, in at least a minute (or three of the pauses it asked for) without a single answer. Where not
    /// even a connection has ever come about, three in two seconds are enough.
    pub(crate) fn check(&self) -> Result<(), AttemptError> {
        let state = self.state();
        let failing = state.failing_since.map(|since| since.elapsed()).unwrap_or_default();
        if !state.reached && state.failures >= NEVER_REACHED_AFTER && failing >= NEVER_REACHED_AFTER_TIME {
            return Err(state.unreachable());
        }
        let patience = BREAK_AFTER_TIME.max(state.longest_pause.saturating_mul(3));
        if state.failures >= BREAK_AFTER && failing >= patience { Err(state.broken()) } else { Ok(()) }
    }

    /// What a call that used up its attempts means for the run: [`AttemptError::Fatal`] when the endpoint has failed
    /// everybody ten times in a row; below that it may be this one request that it cannot serve.
    pub(crate) fn gave_up(&self) -> Result<(), AttemptError> {
        let state = self.state();
        if state.failures >= BREAK_AFTER { Err(state.broken()) } else { Ok(()) }
    }

    fn unasked_pause(&self) -> Duration {
        let mut state = self.state();
        // Calls sent before the pause began say nothing about whether it helps.
        if state.pause.as_ref().is_none_or(|pause| Instant::now() >= pause.until) {
            state.unasked_pauses = state.unasked_pauses.saturating_add(1);
        }
        FIRST_PAUSE.saturating_mul(1 << state.unasked_pauses.saturating_sub(1).min(16))
    }

    /// When the next caller may go on, if there is a pause: some time after its end, each at another moment.
    ///
    /// The moments are the multiples of the golden ratio modulo one (a Weyl sequence), which fill any interval evenly,
    /// however many callers there turn out to be and whenever they come.
    fn next_release(&self) -> Option<Instant> {
        let mut state = self.state();
        let Pause { until, length } = *state.pause.as_ref()?;
        let spread = (length / 4).min(LONGEST_RELEASE);
        if Instant::now() >= until + spread {
            state.pause = None;
            return None;
        }
        state.releases = state.releases.wrapping_add(1);
        Some(until + spread.mul_f64((f64::from(state.releases) * GOLDEN).fract()))
    }

    fn pause_is_over(&self) -> bool {
        self.state().pause.as_ref().is_none_or(|pause| Instant::now() >= pause.until)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock; were it so, counters a step behind do no harm.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn broken(&self) -> AttemptError {
        let (failures, last) = (self.failures, &self.last_failure);
        AttemptError::Fatal {
            message: format!(
                "the endpoint failed {failures} times in a row, last: {last}; run the same command again once it is well"
            ),
        }
    }

    fn unreachable(&self) -> AttemptError {
        let (failures, last) = (self.failures, &self.last_failure);
        AttemptError::Fatal {
            message: format!(
                "not one of {failures} connections came about, last: {last}; check base_url (or endpoint) and that the server is up"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn turned_away(retry_after: Option<Duration>) -> AttemptError {
        AttemptError::Transient { message: "busy".into(), kind: Transient::TurnedAway, retry_after }
    }

    fn fail(limiter: &Limiter, times: u32) {
        for _ in 0..times {
            limiter.observe::<()>(&Err(turned_away(None)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_calls_are_in_flight_than_allowed() {
        let limiter = Arc::new(Limiter::new(3));
        let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls: Vec<_> = (0..20)
            .map(|_| {
                let (limiter, now, peak) = (limiter.clone(), now.clone(), peak.clone());
                tokio::spawn(async move {
                    let _permit = limiter.acquire().await;
                    peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep(Duration::from_millis(10)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                })
            })
            .collect();
        for call in calls {
            call.await.unwrap();
        }
        assert_eq!(peak.load(Ordering::SeqCst), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_caller_turned_away_stops_all_and_they_go_on_scattered() {
        let limiter = Arc::new(Limiter::new(64));
        let start = Instant::now();
        let told = Duration::from_secs(7);
        limiter.pause_for(told);
        limiter.pause_for(Duration::from_secs(2));
        let waiting: Vec<_> = (0..64)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move {
                    let _permit = limiter.acquire().await;
                    start.elapsed()
                })
            })
            .collect();
        let mut released = Vec::new();
        for call in waiting {
            released.push(call.await.unwrap());
        }
        assert!(released.iter().all(|at| *at >= told), "a call came earlier than told");
        assert!(released.iter().all(|at| *at <= told + LONGEST_RELEASE * 2));
        released.sort_unstable();
        released.dedup();
        assert!(released.len() > 32, "they all came at once");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_grows_while_one_waits_holds() {
        let limiter = Arc::new(Limiter::new(1));
        let start = Instant::now();
        limiter.pause_for(Duration::from_secs(1));
        let waiting = tokio::spawn({
            let limiter = limiter.clone();
            async move {
                let _permit = limiter.acquire().await;
                start.elapsed()
            }
        });
        sleep(Duration::from_millis(900)).await;
        limiter.pause_for(Duration::from_secs(5));
        assert!(waiting.await.unwrap() >= Duration::from_millis(5900));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stray_refusal_without_a_hint_hardly_slows_the_others() {
        let limiter = Limiter::new(8);
        fail(&limiter, 1);
        let start = Instant::now();
        let error = turned_away(None);
        let caller = limiter.back_off(&error, Duration::from_secs(20));
        let other = async {
            sleep(Duration::from_millis(1)).await;
            let _permit = limiter.acquire().await;
            start.elapsed()
        };
        let other = tokio::select! { biased; () = caller => panic!("the caller itself waits"), at = other => at };
        assert!(other < Duration::from_millis(200), "{other:?}");
        limiter.observe(&Ok(()));
        for _ in 0..12 {
            sleep(Duration::from_secs(300)).await;
            for _ in 0..8 {
                limiter.pause_for(limiter.unasked_pause());
            }
        }
        assert!(limiter.unasked_pause() > Duration::from_secs(60), "a storm stops everyone");
        sleep(Duration::from_secs(9000)).await;
        limiter.observe(&Ok(()));
        assert_eq!(limiter.unasked_pause(), FIRST_PAUSE, "one answer ends it");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_answers_no_one_ends_the_run() {
        let limiter = Limiter::new(8);
        fail(&limiter, 50);
        assert!(limiter.check().is_ok(), "a burst is no outage");
        tokio::time::advance(Duration::from_secs(61)).await;
        fail(&limiter, 1);
        let error = limiter.check().unwrap_err();
        assert!(matches!(&error, AttemptError::Fatal { message } if message.contains("51 times in a row, last: busy")));
        assert!(limiter.gave_up().is_err());
        limiter.observe(&Ok(()));
        assert!(limiter.check().is_ok());
        assert!(limiter.gave_up().is_ok(), "one item failed, the endpoint did not");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_was_never_reached_is_given_up_soon_and_one_that_was_is_not() {
        let unreached = || {
            Err::<(), _>(AttemptError::Transient {
                message: "refused".into(),
                kind: Transient::NotSent,
                retry_after: None,
            })
        };
        for answered_before in [false, true] {
            let limiter = Limiter::new(8);
            if answered_before {
                limiter.observe(&Ok(()));
            }
            (0..5).for_each(|_| limiter.observe(&unreached()));
            assert!(limiter.check().is_ok(), "a bad moment of five calls at once");
            tokio::time::advance(Duration::from_secs(3)).await;
            assert_eq!(limiter.check().is_ok(), answered_before);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn long_pauses_that_were_asked_for_are_no_outage() {
        let limiter = Limiter::new(8);
        fail(&limiter, 20);
        limiter.pause_for(Duration::from_secs(100));
        tokio::time::advance(Duration::from_secs(250)).await;
        assert!(limiter.check().is_ok());
        tokio::time::advance(Duration::from_secs(51)).await;
        assert!(limiter.check().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_waiter_leaves_its_place_to_others() {
        let limiter = Limiter::new(1);
        let held = limiter.acquire().await;
        assert!(tokio::time::timeout(Duration::from_millis(5), limiter.acquire()).await.is_err());
        drop(held);
        let _permit = limiter.acquire().await;
    }
}
