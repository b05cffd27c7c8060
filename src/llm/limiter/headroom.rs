//! What the endpoint says is left of its limits.

use std::time::Duration;

use tokio::time::Instant;

use crate::net::rate_headers::RemainingQuota;

/// How long a figure is believed when the endpoint does not say when it is reset.
const BELIEVED: Duration = Duration::from_secs(1);
/// The longest it is believed: limits are refilled by the minute.
const LONGEST: Duration = Duration::from_secs(60);

/// One kind of limit: no more is sent than the endpoint last said remained, until it says more or the figure is old.
#[derive(Debug, Default)]
struct LeftOfLimit {
    amount: f64,
    /// Sent since that was said.
    sent: f64,
    until: Option<Instant>,
}

impl LeftOfLimit {
    /// Nothing is learnt from a figure of zero or below: endpoints write that where they know nothing.
    fn told(&mut self, remaining: Option<u64>, reset: Option<Duration>, in_flight: f64, now: Instant) {
        if let Some(remaining) = remaining.filter(|left| *left > 0) {
            let until = now + reset.unwrap_or(BELIEVED).min(LONGEST);
            *self = Self { amount: remaining as f64, sent: in_flight, until: Some(until) };
        }
    }

    /// When so much may be sent, if not at once.
    fn ready(&self, amount: f64, now: Instant) -> Option<Instant> {
        self.until.filter(|until| now < *until && self.sent + amount > self.amount)
    }
}

/// Requests and tokens that are left.
#[derive(Debug, Default)]
pub(super) struct Headroom {
    requests: LeftOfLimit,
    tokens: LeftOfLimit,
}

impl Headroom {
    /// Learns what an answer said; the calls and tokens in flight may or may not be counted in it.
    pub(super) fn told(&mut self, said: &RemainingQuota, calls: usize, tokens: f64, now: Instant) {
        self.requests.told(said.requests, said.reset_requests, calls as f64, now);
        self.tokens.told(said.tokens, said.reset_tokens, tokens, now);
    }

    /// When a call may be sent, if not at once.
    pub(super) fn ready(&self, tokens: f64, now: Instant) -> Option<Instant> {
        self.requests.ready(1.0, now).max(self.tokens.ready(tokens, now))
    }

    pub(super) fn take(&mut self, tokens: f64) {
        self.requests.sent += 1.0;
        self.tokens.sent += tokens;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_more_is_sent_than_is_left_and_what_is_unknown_holds_nobody() {
        let (mut headroom, now) = (Headroom::default(), Instant::now());
        assert_eq!(headroom.ready(1e9, now), None);
        headroom.told(&RemainingQuota { requests: Some(0), tokens: Some(0), ..RemainingQuota::default() }, 0, 0.0, now);
        assert_eq!(headroom.ready(1e9, now), None, "zero is not known");
        let said = RemainingQuota {
            requests: Some(3),
            reset_requests: Some(Duration::from_secs(9)),
            ..RemainingQuota::default()
        };
        headroom.told(&said, 1, 0.0, now);
        for _ in 0..2 {
            assert_eq!(headroom.ready(10.0, now), None);
            headroom.take(10.0);
        }
        assert_eq!(headroom.ready(10.0, now), Some(now + Duration::from_secs(9)));
        assert_eq!(headroom.ready(10.0, now + Duration::from_secs(9)), None, "old figures hold nobody");
        headroom.told(&RemainingQuota { tokens: Some(100), ..RemainingQuota::default() }, 0, 0.0, now);
        assert_eq!(headroom.ready(101.0, now + Duration::from_secs(9)), None);
        assert_eq!(headroom.ready(101.0, now), Some(now + Duration::from_secs(9)), "the later of the two");
    }
}
