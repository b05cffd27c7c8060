//! What is worth another attempt, and when. Pure: no clock is read but to place an HTTP date, nothing sleeps, and the
//! jitter of a call is drawn from the call's own key.

use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{DATE, HeaderMap, RETRY_AFTER};

use super::attempt::AttemptError;
use super::rate_headers::{RemainingQuota, duration, seconds};
use crate::clock::unix_seconds;
use crate::draw::Draw;

/// The shortest wait without a hint.
const BASE: Duration = Duration::from_millis(500);

/// The longest wait without a hint.
const CAP: Duration = Duration::from_secs(60);

/// The longest that attempts at one call may go on, pauses included, unless longer pauses are allowed.
const CALL_DEADLINE: Duration = Duration::from_secs(1800);

/// Waits that grow and scatter: each is drawn between the base and three times the one before ("decorrelated jitter":
/// M. Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog, 2015).
#[derive(Debug)]
pub(crate) struct Backoff {
    draw: Draw,
    last: Duration,
}

impl Backoff {
    /// The waits of the call with this key: always the same, and unlike those of any other call.
    pub(crate) fn new(key: &str) -> Self {
        Self { draw: Draw::new(0, &["backoff", key]), last: BASE }
    }

    /// The next wait, between 0.5 s and a minute.
    pub(crate) fn next_wait(&mut self) -> Duration {
        let span = (self.last * 3).saturating_sub(BASE);
        self.last = (BASE + span.mul_f64(self.draw.unit())).min(CAP);
        self.last
    }
}

/// What to do after an attempt that brought no reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Try again, not before this has passed.
    Wait(Duration),
    /// Let the error stand.
    GiveUp,
    /// The endpoint asks for more time than is to be waited: what to say of it.
    TooLong(String),
}

/// The attempts at one call.
#[derive(Debug)]
pub(crate) struct Retry {
    backoff: Backoff,
    attempts: u32,
    counted: u32,
    max_attempts: u32,
}

impl Retry {
    /// No attempt made yet at the call with this key. `max_attempts` is at least 1.
    pub(crate) fn new(key: &str, max_attempts: u32) -> Self {
        Self { backoff: Backoff::new(key), attempts: 0, counted: 0, max_attempts: max_attempts.max(1) }
    }

    /// Judges the attempt that has just failed, `elapsed` after the first one began.
    ///
    /// What the endpoint asked for is obeyed to the letter, up to `max_wait`. A call that was turned away was not served, so it
    /// does not count against `max_attempts`; half an hour bounds it, or `max_wait` where that is longer. A hint of zero is
    /// believed once.
    pub(crate) fn decide(&mut self, error: &AttemptError, elapsed: Duration, max_wait: Duration) -> Decision {
        let AttemptError::Transient { kind, retry_after, .. } = error else { return Decision::GiveUp };
        self.attempts = self.attempts.saturating_add(1);
        if !kind.is_turned_away() {
            self.counted = self.counted.saturating_add(1);
        }
        if let Some(told) = retry_after.filter(|told| *told > max_wait) {
            return Decision::TooLong(too_long(error, told, max_wait));
        }
        let wait = self.wait(*retry_after);
        if self.counted >= self.max_attempts || elapsed.saturating_add(wait) > CALL_DEADLINE.max(max_wait) {
            return Decision::GiveUp;
        }
        Decision::Wait(wait)
    }

    fn wait(&mut self, hint: Option<Duration>) -> Duration {
        match hint {
            Some(hint) if !hint.is_zero() => hint,
            Some(_) if self.attempts == 1 => Duration::ZERO,
            _ => self.backoff.next_wait(),
        }
    }
}

/// That an endpoint asks for `told`, until when that is, and what to do.
fn too_long(error: &AttemptError, told: Duration, max_wait: Duration) -> String {
    let until = UNIX_EPOCH.checked_add(Duration::from_secs(unix_seconds()).saturating_add(told));
    // HTTP dates have four digits for the year.
    let until = until.filter(|_| told < Duration::from_secs(1 << 32)).map(httpdate::fmt_http_date);
    let until = until.map(|until| format!(", until {until}")).unwrap_or_default();
    format!(
        "{error}; it asks to be left alone for {}{until}, and max_wait_s allows for {}; run the same command again then, or raise max_wait_s",
        spoken(told),
        spoken(max_wait)
    )
}

/// A time in the largest units that say it.
pub(crate) fn spoken(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// The longest that a reset of limits is taken for a time to wait: it tells when all is there again, not when something is.
const LONGEST_RESET: Duration = Duration::from_secs(60);

/// How long an answer asks to be left alone: `retry-after-ms`, else `Retry-After` in seconds, with units or as an HTTP date,
/// else the reset of limits that it names. Nothing for less than nothing; what is none of these is ignored.
///
/// A date is measured from the answer's own `Date`, so this machine's clock may be wrong; only where there is no `Date`
/// is it asked.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let millis = text("retry-after-ms").or_else(|| text("x-ms-retry-after-ms")).and_then(number);
    let after = text(RETRY_AFTER.as_str());
    let until = || {
        let then = httpdate::parse_http_date(after?).ok()?;
        let now = text(DATE.as_str()).and_then(|date| httpdate::parse_http_date(date).ok());
        let now = now.unwrap_or_else(|| UNIX_EPOCH + Duration::from_secs(unix_seconds()));
        Some(then.duration_since(now).unwrap_or_default())
    };
    let told = millis.and_then(|ms| seconds(ms / 1000.0));
    let told = told.or_else(|| after.and_then(number).and_then(seconds));
    let told = told.or_else(|| after.and_then(duration)).or_else(until);
    told.or_else(|| RemainingQuota::of(headers)?.reset().filter(|reset| *reset <= LONGEST_RESET))
}

fn number(text: &str) -> Option<f64> {
    // `inf`, `nan` and exponents parse as floats but are no number of RFC 9110; a fraction or sign may be meant.
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;
    use crate::net::attempt::Transient;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn transient(kind: Transient, retry_after: Option<Duration>) -> AttemptError {
        AttemptError::Transient { message: String::new(), kind, retry_after }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_str(v).unwrap())).collect()
    }

    #[test]
    fn every_form_of_retry_after_is_read_or_ignored() {
        let s = Duration::from_secs;
        let (now, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:52 GMT");
        for (pairs, want) in [
            (vec![("retry-after", "1")], Some(s(1))),
            (vec![("retry-after", " 7 ")], Some(s(7))),
            (vec![("retry-after", "0")], Some(s(0))),
            (vec![("retry-after", "-1")], Some(s(0))),
            (vec![("retry-after", "1.5")], Some(Duration::from_millis(1500))),
            (vec![("retry-after", "43200")], Some(s(43_200))),
            (vec![("retry-after", "1000000000")], Some(s(315_360_000))),
            (vec![("retry-after", "99999999999999999999999999")], Some(s(315_360_000))),
            (vec![("retry-after", "7s")], Some(s(7))),
            (vec![("retry-after", "250ms")], Some(Duration::from_millis(250))),
            (vec![("x-ratelimit-reset-tokens", "6")], Some(s(6))),
            (vec![("x-ratelimit-reset-tokens", "6m0s")], None),
            (vec![("x-ratelimit-reset-tokens", "6"), ("retry-after", "2")], Some(s(2))),
            (vec![("retry-after", later), ("date", now)], Some(s(15))),
            (vec![("retry-after", now), ("date", later)], Some(s(0))),
            (vec![("retry-after", now)], Some(s(0))),
            (vec![("retry-after", "Sunday, 06-Nov-94 08:49:52 GMT"), ("date", now)], Some(s(15))),
            (vec![("retry-after", "Sun Nov  6 08:49:52 1994"), ("date", now)], Some(s(15))),
            (vec![("retry-after-ms", "250"), ("retry-after", "9")], Some(Duration::from_millis(250))),
            (vec![("retry-after-ms", "soon"), ("retry-after", "9")], Some(s(9))),
            (vec![("retry-after", "soon")], None),
            (vec![("retry-after", "inf")], None),
            (vec![("retry-after", "nan")], None),
            (vec![("retry-after", "1e3")], None),
            (vec![("retry-after", "")], None),
            (vec![], None),
        ] {
            assert_eq!(retry_after(&headers(&pairs)), want, "{pairs:?}");
        }
    }

    #[test]
    fn a_pause_asked_for_is_kept_to_the_letter_and_costs_no_attempt() {
        let mut retry = Retry::new("k", 1);
        let asked = Duration::from_secs(7);
        for _ in 0..50 {
            let decision = retry.decide(&transient(Transient::TurnedAway, Some(asked)), Duration::ZERO, HOUR);
            assert_eq!(decision, Decision::Wait(asked));
        }
        let late = HOUR.saturating_sub(Duration::from_secs(6));
        assert_eq!(retry.decide(&transient(Transient::TurnedAway, Some(asked)), late, HOUR), Decision::GiveUp);
    }

    #[test]
    fn a_wait_beyond_what_is_allowed_is_told_with_its_end_and_not_begun() {
        let mut retry = Retry::new("k", 8);
        for (hours, named) in [(12, "12 h 00 min, until"), (87_600, "87600 h 00 min, until")] {
            let told = transient(Transient::TurnedAway, Some(Duration::from_secs(hours * 3_600)));
            match retry.decide(&told, Duration::ZERO, HOUR) {
                Decision::TooLong(said) => {
                    assert!(
                        said.contains(named) && said.contains("GMT") && said.contains("raise max_wait_s"),
                        "{said}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        let allowed = transient(Transient::TurnedAway, Some(HOUR));
        assert_eq!(retry.decide(&allowed, Duration::ZERO, HOUR), Decision::Wait(HOUR));
    }

    #[test]
    fn a_zero_is_believed_once() {
        let mut retry = Retry::new("k", 9);
        let zero = transient(Transient::TurnedAway, Some(Duration::ZERO));
        assert_eq!(retry.decide(&zero, Duration::ZERO, HOUR), Decision::Wait(Duration::ZERO));
        assert!(matches!(retry.decide(&zero, Duration::ZERO, HOUR), Decision::Wait(w) if w >= BASE));
    }

    #[test]
    fn attempts_are_counted_and_final_errors_are_final() {
        for kind in [Transient::NotSent, Transient::Unknown] {
            let mut retry = Retry::new("k", 3);
            let error = transient(kind, None);
            assert!(matches!(retry.decide(&error, Duration::ZERO, HOUR), Decision::Wait(_)));
            assert!(matches!(retry.decide(&error, Duration::ZERO, HOUR), Decision::Wait(_)));
            assert_eq!(retry.decide(&error, Duration::ZERO, HOUR), Decision::GiveUp);
        }
        let fatal = AttemptError::Fatal { message: String::new() };
        assert_eq!(Retry::new("k", 3).decide(&fatal, Duration::ZERO, HOUR), Decision::GiveUp);
        let bad = AttemptError::BadRequest { status: 400, message: String::new() };
        assert_eq!(Retry::new("k", 3).decide(&bad, Duration::ZERO, HOUR), Decision::GiveUp);
    }

    #[test]
    fn two_calls_do_not_wait_in_step() {
        let waits = |key| {
            let mut backoff = Backoff::new(key);
            [backoff.next_wait(), backoff.next_wait(), backoff.next_wait()]
        };
        assert_eq!(waits("a"), waits("a"));
        assert_ne!(waits("a"), waits("b"));
    }

    const TEN_YEARS: Duration = Duration::from_secs(315_360_000);

    proptest! {
        #[test]
        fn waits_stay_in_bounds(key in ".{0,12}") {
            let mut backoff = Backoff::new(&key);
            let mut last = BASE;
            for _ in 0..40 {
                let wait = backoff.next_wait();
                prop_assert!(wait >= BASE && wait <= CAP && wait <= last * 3);
                last = wait;
            }
        }

        #[test]
        fn no_header_makes_a_wait_beyond_the_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                for name in ["retry-after", "retry-after-ms"] {
                    let map: HeaderMap = [(name.parse().unwrap(), value.clone())].into_iter().collect();
                    prop_assert!(retry_after(&map).is_none_or(|wait| wait <= TEN_YEARS));
                }
            }
        }
    }
}
