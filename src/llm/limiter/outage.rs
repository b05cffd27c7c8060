//! When an endpoint that answers nobody counts as broken.

use std::time::Duration;

use tokio::time::Instant;

use super::{AttemptError, Transient};

/// Failures in a row, over all callers, from which the endpoint counts as broken.
const BREAK_AFTER: u32 = 10;

/// How long it must have failed without a break to count as broken.
const BREAK_AFTER_TIME: Duration = Duration::from_secs(60);

/// Connections that fail before any has ever come about, from which the address counts as wrong or the server as down.
/// There is nothing yet that could come back, so nobody is kept waiting for it as long as in an outage.
const NEVER_REACHED_AFTER: u32 = 3;

/// How long they must have failed, so that many calls at one bad moment do not add up to a verdict.
const NEVER_REACHED_AFTER_TIME: Duration = Duration::from_secs(2);

/// Failures since the last answer. A call that was turned away for a limit, or with a time to wait, is no failure: the
/// endpoint is there.
#[derive(Debug, Default)]
pub(super) struct Outage {
    failures: u32,
    pub(super) since: Option<Instant>,
    last: String,
    timed_out: bool,
    /// Whether a connection has ever come about.
    reached: bool,
}

impl Outage {
    pub(super) fn failed(&mut self, kind: Transient, message: &str, now: Instant) {
        self.reached |= kind != Transient::NotSent;
        self.failures = self.failures.saturating_add(1);
        self.since.get_or_insert(now);
        self.timed_out = kind == Transient::TimedOut;
        message.clone_into(&mut self.last);
    }

    pub(super) fn reached(&mut self) {
        self.reached = true;
    }

    pub(super) fn answered(&mut self) {
        if self.failures > 0 {
            *self = Self::default();
        }
        self.reached = true;
    }

    /// What went wrong last, after the last answer.
    pub(super) fn last(&self) -> Option<&str> {
        (self.failures > 0).then_some(self.last.as_str())
    }

    /// Whether the endpoint still deserves calls, at `now`.
    pub(super) fn check(&self, now: Instant) -> Result<(), AttemptError> {
        let failing = self.since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        if !self.reached && self.failures >= NEVER_REACHED_AFTER && failing >= NEVER_REACHED_AFTER_TIME {
            return Err(self.unreachable());
        }
        if self.failures >= BREAK_AFTER && failing >= BREAK_AFTER_TIME { Err(self.broken()) } else { Ok(()) }
    }

    /// What it means that a call used up its attempts.
    pub(super) fn gave_up(&self) -> Result<(), AttemptError> {
        if self.failures >= BREAK_AFTER { Err(self.broken()) } else { Ok(()) }
    }

    fn broken(&self) -> AttemptError {
        let Self { failures, last, .. } = self;
        let advice = if self.timed_out {
            "lower the model's `concurrency` or raise its `timeouts`, then run the same command again"
        } else {
            "run the same command again once it works"
        };
        AttemptError::Fatal {
            message: format!("the endpoint failed {failures} times in a row, last: {last}; {advice}"),
        }
    }

    fn unreachable(&self) -> AttemptError {
        let Self { failures, last, .. } = self;
        AttemptError::Fatal {
            message: format!(
                "all {failures} connections failed; the last error: {last}; the address stands in base_url (or endpoint)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(outage: &mut Outage, kind: Transient, times: u32) {
        (0..times).for_each(|_| outage.failed(kind, "busy", Instant::now()));
    }

    fn check(outage: &Outage) -> Result<(), AttemptError> {
        outage.check(Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_answers_no_one_ends_the_run() {
        let mut outage = Outage::default();
        fail(&mut outage, Transient::Unknown, 50);
        assert!(check(&outage).is_ok(), "a burst is no outage");
        tokio::time::advance(Duration::from_secs(61)).await;
        fail(&mut outage, Transient::Unknown, 1);
        let error = check(&outage).unwrap_err();
        assert!(matches!(&error, AttemptError::Fatal { message } if message.contains("51 times in a row, last: busy")));
        assert!(outage.gave_up().is_err());
        outage.answered();
        assert!(check(&outage).is_ok());
        assert!(outage.gave_up().is_ok(), "one item failed, the endpoint did not");
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_was_never_reached_is_given_up_soon_and_one_that_was_is_not() {
        for answered_before in [false, true] {
            let mut outage = Outage::default();
            if answered_before {
                outage.answered();
            }
            fail(&mut outage, Transient::NotSent, 5);
            assert!(check(&outage).is_ok(), "a bad moment of five calls at once");
            tokio::time::advance(Duration::from_secs(3)).await;
            assert_eq!(check(&outage).is_ok(), answered_before);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_times_out_is_told_with_the_settings_that_help() {
        let mut outage = Outage::default();
        fail(&mut outage, Transient::TimedOut, 10);
        let told = outage.gave_up().unwrap_err().to_string();
        assert!(told.contains("`concurrency`") && told.contains("`timeouts`"), "{told}");
    }
}
