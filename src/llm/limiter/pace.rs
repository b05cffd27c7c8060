//! Requests and tokens a minute, spread evenly over its seconds.
//!
//! Endpoints count in windows of a second or ten (Azure), or refill a bucket all the time (OpenAI): even spacing is what
//! passes all of them. Each kind is a virtual scheduling algorithm (GCRA, ITU-T I.371): a call that costs `c` passes when
//! the time at which the costs before it are paid for, and its own, has come.
//!
//! Before it is sent a call costs its prompt, by the bytes and what earlier prompts came to, and all of `max_tokens`;
//! afterwards what was used. An endpoint that turns calls away although by use there is room counts what was asked for, as
//! Azure does: from then on replies give nothing back but what the prompt was taken for too much.

use std::time::Duration;

use tokio::time::Instant;

use crate::config::QuotaLimits;
use crate::llm::Usage;
use crate::llm::budget::Estimate;

/// The part of a limit that is used. The rest is what moments of arrival differ from moments of sending, within a second.
const USED: f64 = 0.98;
/// What a call that comes late may be early for the next, so that a machine that is busy for a moment loses no rate.
const TOLERANCE: Duration = Duration::from_millis(12);
/// How much slower, and for how long, after calls were turned away all the same.
const SLOWER: f64 = 0.97;
const SLOWER_FOR: Duration = Duration::from_secs(10);
/// Tokens of a prompt for each of its bytes, before a reply has told.
const FIRST_RATIO: f64 = 0.3;
/// Replies that the ratio is made of.
const MEMORY: f64 = 32.0;

/// What a call takes of the limits.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CallCost {
    prompt: f64,
    completion: f64,
}

impl CallCost {
    /// Tokens in all.
    pub(super) fn tokens(self) -> f64 {
        self.prompt + self.completion
    }
}

/// The limits of an endpoint and how far they are used. Pure: it is told the time.
#[derive(Debug)]
pub(super) struct QuotaPace {
    requests: Option<QuotaMeter>,
    tokens: Option<QuotaMeter>,
    ratio: f64,
    counts_what_is_asked: bool,
    /// The tokens that were asked for, with nothing given back.
    asked: Option<QuotaMeter>,
    slower_until: Option<Instant>,
}

impl QuotaPace {
    pub(super) fn new(limits: QuotaLimits) -> Self {
        let meter =
            |a_minute: Option<u64>| a_minute.map(|most| QuotaMeter { a_minute: most.max(1) as f64, paid: None });
        Self {
            requests: meter(limits.rpm),
            tokens: meter(limits.tpm),
            asked: meter(limits.tpm),
            ratio: FIRST_RATIO,
            counts_what_is_asked: false,
            slower_until: None,
        }
    }

    /// Whether there is anything to keep to.
    pub(super) fn is_free(&self) -> bool {
        self.requests.is_none() && self.tokens.is_none()
    }

    /// What a call with this bound costs before it is sent.
    pub(super) fn cost(&self, bound: Estimate) -> CallCost {
        CallCost { prompt: bound.prompt_tokens as f64 * self.ratio, completion: bound.completion_tokens as f64 }
    }

    /// When a call may be sent; not after `now`: at once.
    pub(super) fn ready(&self, cost: CallCost, now: Instant) -> Instant {
        let share = self.share(now);
        let requests = self.requests.as_ref().map(|meter| meter.ready(1.0, share, now));
        let tokens = self.tokens.as_ref().map(|meter| meter.ready(cost.tokens(), share, now));
        requests.into_iter().chain(tokens).max().unwrap_or(now)
    }

    /// Sends it.
    pub(super) fn take(&mut self, cost: CallCost, now: Instant) {
        let share = self.share(now);
        self.requests.iter_mut().for_each(|meter| meter.take(1.0, share, now));
        let by_tokens = self.tokens.iter_mut().chain(&mut self.asked);
        by_tokens.for_each(|meter| meter.take(cost.tokens(), share, now));
    }

    fn share(&self, now: Instant) -> f64 {
        if self.slower_until.is_some_and(|until| now < until) { USED * SLOWER } else { USED }
    }

    /// Corrects what a call with this bound cost by what it used.
    pub(super) fn used(&mut self, bound: Estimate, cost: CallCost, usage: Usage, now: Instant) {
        if bound.prompt_tokens > 0 {
            let ratio = usage.prompt_tokens as f64 / bound.prompt_tokens as f64;
            self.ratio += (ratio.clamp(0.01, 1.0) - self.ratio) / MEMORY;
        }
        let prompt = cost.prompt - usage.prompt_tokens as f64;
        let completion = cost.completion - usage.completion_tokens as f64;
        let share = self.share(now);
        self.asked.iter_mut().for_each(|meter| meter.give_back(prompt, share));
        self.give_back(if self.counts_what_is_asked { prompt } else { prompt + completion }, now);
    }

    /// Takes back what a call cost that was not served.
    pub(super) fn unserved(&mut self, cost: CallCost, now: Instant) {
        self.give_back(cost.tokens(), now);
    }

    fn give_back(&mut self, tokens: f64, now: Instant) {
        let share = self.share(now);
        self.tokens.iter_mut().for_each(|meter| meter.give_back(tokens, share));
    }

    /// Learns that a call was turned away although it kept the pace.
    pub(super) fn turned_away(&mut self, now: Instant) {
        if self.asked.as_ref().and_then(|meter| meter.paid).is_some_and(|paid| paid > now + TOLERANCE) {
            self.counts_what_is_asked = true;
        }
        self.slower_until = Some(now + SLOWER_FOR);
    }
}

/// One limit.
#[derive(Debug)]
struct QuotaMeter {
    a_minute: f64,
    /// When all that was taken is paid for.
    paid: Option<Instant>,
}

impl QuotaMeter {
    /// The time in which so much is paid for. What is more than a minute's worth would never pass, and counts as that.
    fn time(&self, amount: f64, share: f64) -> Duration {
        let minute = 60.0 / (self.a_minute * share);
        Duration::from_secs_f64(amount.clamp(0.0, self.a_minute) * minute)
    }

    /// Whether it was used so long ago that a call need not wait for what it costs itself.
    fn is_rested(&self, own: Duration, now: Instant) -> bool {
        self.paid.is_none_or(|paid| now > paid + own.saturating_mul(10))
    }

    fn ready(&self, amount: f64, share: f64, now: Instant) -> Instant {
        let own = self.time(amount, share);
        self.paid.filter(|_| !self.is_rested(own, now)).map_or(now, |paid| paid + own)
    }

    fn take(&mut self, amount: f64, share: f64, now: Instant) {
        let earliest = now.checked_sub(TOLERANCE).unwrap_or(now);
        self.paid = Some(self.ready(amount, share, now).max(earliest));
    }

    fn give_back(&mut self, amount: f64, share: f64) {
        let Some(paid) = self.paid else { return };
        self.paid = if amount >= 0.0 {
            Some(paid.checked_sub(self.time(amount, share)).unwrap_or(paid))
        } else {
            Some(paid + self.time(-amount, share))
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUND: Estimate = Estimate { prompt_tokens: 2_000, completion_tokens: 300 };

    /// Sends calls as soon as the pace allows for so many seconds; replies come at once and use so much of `max_tokens`.
    fn send(pace: &mut QuotaPace, seconds: u64, completion: u64) -> Vec<(Duration, f64)> {
        let start = pace.tokens.as_ref().and_then(|meter| meter.paid).unwrap_or_else(Instant::now);
        let (mut now, mut sent) = (start, Vec::new());
        loop {
            let cost = pace.cost(BOUND);
            now = now.max(pace.ready(cost, now));
            if now - start >= Duration::from_secs(seconds) {
                return sent;
            }
            pace.take(cost, now);
            sent.push((now - start, cost.tokens()));
            let usage = Usage { prompt_tokens: 500, completion_tokens: completion, ..Usage::default() };
            pace.used(BOUND, cost, usage, now);
        }
    }

    /// The most calls in any window of this length.
    fn most_in(sent: &[(Duration, f64)], window: Duration) -> usize {
        let until = |(when, _): &(Duration, f64)| sent.partition_point(|(other, _)| *other < *when + window);
        sent.iter().enumerate().map(|(at, call)| until(call) - at).max().unwrap_or(0)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]

        #[test]
        fn no_window_of_one_or_ten_seconds_holds_more_than_its_part_and_the_whole_is_used(rpm in 60_u64..6_000) {
            let rpm = rpm / 60 * 60;
            let mut pace = QuotaPace::new(QuotaLimits { rpm: Some(rpm), tpm: None });
            let sent = send(&mut pace, 30, 30);
            for seconds in [1, 10] {
                let most = most_in(&sent, Duration::from_secs(seconds));
                prop_assert!(most as u64 <= rpm / 60 * seconds, "{most} in {seconds} s at {rpm}");
            }
            prop_assert!(sent.len() as f64 >= 0.95 * rpm as f64 / 2.0, "{} at {rpm}", sent.len());
        }

        #[test]
        fn tokens_are_used_by_what_replies_used(tpm in 60_000_u64..2_000_000) {
            let mut pace = QuotaPace::new(QuotaLimits { rpm: None, tpm: Some(tpm) });
            let sent = send(&mut pace, 60, 30);
            let used = sent.len() as f64 * 530.0;
            prop_assert!((0.95..1.0).contains(&(used / tpm as f64)), "{used} of {tpm}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_endpoint_that_counts_what_is_asked_is_believed_after_one_refusal() {
        let mut pace = QuotaPace::new(QuotaLimits { rpm: None, tpm: Some(600_000) });
        send(&mut pace, 10, 30);
        pace.turned_away(Instant::now());
        let sent = send(&mut pace, 120, 30);
        let asked = sent.len() as f64 * 800.0;
        assert!((0.93..1.0).contains(&(asked / 1_200_000.0)), "{asked} of 1,200,000");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_above_a_minutes_limit_passes_all_the_same() {
        let mut pace = QuotaPace::new(QuotaLimits { rpm: Some(1), tpm: Some(10) });
        let now = Instant::now();
        let cost = pace.cost(BOUND);
        assert!(pace.ready(cost, now) <= now);
        pace.take(cost, now);
        assert!(pace.ready(cost, now) <= now + Duration::from_secs(130));
    }
}
