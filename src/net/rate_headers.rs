//! What answers say of limits: `x-ratelimit-*`, as OpenAI and Azure write it.

use std::time::Duration;

use reqwest::header::HeaderMap;

/// What is left of an endpoint's limits, as far as an answer told. Endpoints that know nothing write 0 or -1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemainingQuota {
    /// Requests.
    pub requests: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
    /// Until all requests are there again.
    pub reset_requests: Option<Duration>,
    /// Until all tokens are there again.
    pub reset_tokens: Option<Duration>,
}

impl RemainingQuota {
    /// What these headers tell; nothing where they tell nothing.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
        let count = |name: &str| text(name)?.parse().ok().filter(|count: &u64| *count > 0);
        let time = |name: &str| text(name).and_then(duration).filter(|time| !time.is_zero());
        let told = Self {
            requests: count("x-ratelimit-remaining-requests"),
            tokens: count("x-ratelimit-remaining-tokens"),
            reset_requests: time("x-ratelimit-reset-requests"),
            reset_tokens: time("x-ratelimit-reset-tokens"),
        };
        (told != Self::default()).then_some(told)
    }

    /// When all is there again that was said to be used up, if that was said.
    pub fn reset(&self) -> Option<Duration> {
        self.reset_requests.max(self.reset_tokens)
    }
}

/// A time as such headers write it: plain seconds, or numbers with units such as `6m0s`, `1h2m3.5s`, `12ms`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return seconds(text.parse().ok()?);
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(digits);
        let (factor, unit) = [("ms", 0.001), ("h", 3600.0), ("m", 60.0), ("s", 1.0)]
            .into_iter()
            .find_map(|(unit, factor)| tail.strip_prefix(unit).map(|_| (factor, unit)))?;
        total += number.parse::<f64>().ok()? * factor;
        rest = tail.get(unit.len()..)?;
    }
    seconds(total)
}

/// The longest time that is told apart from for ever: ten years.
const LONGEST: f64 = 315_360_000.0;

/// So many seconds, none for less than zero.
pub(crate) fn seconds(seconds: f64) -> Option<Duration> {
    (!seconds.is_nan()).then(|| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_form_that_endpoints_write() {
        let ms = Duration::from_millis;
        for (text, want) in [
            ("1s", Some(ms(1_000))),
            ("6m0s", Some(ms(360_000))),
            ("12ms", Some(ms(12))),
            ("1h2m3.5s", Some(ms(3_723_500))),
            ("59.9s", Some(ms(59_900))),
            ("7", Some(ms(7_000))),
            ("0", Some(ms(0))),
            ("-1", None),
            ("", None),
            ("soon", None),
            ("5x", None),
            ("..s", None),
        ] {
            assert_eq!(duration(text), want, "{text}");
        }
        assert_eq!(duration("99999999999999999999h"), Some(Duration::from_secs(315_360_000)));
    }

    #[test]
    fn zero_and_below_are_not_known() {
        let headers = |pairs: &[(&'static str, &str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let azure = [
            ("x-ratelimit-remaining-requests", "-1"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "0"),
        ];
        assert_eq!(RemainingQuota::of(&headers(&azure)), None);
        let openai = [
            ("x-ratelimit-limit-requests", "5000"),
            ("x-ratelimit-remaining-requests", "4999"),
            ("x-ratelimit-remaining-tokens", "159976"),
            ("x-ratelimit-reset-requests", "12ms"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ];
        let told = RemainingQuota::of(&headers(&openai)).unwrap();
        assert_eq!((told.requests, told.tokens), (Some(4999), Some(159_976)));
        assert_eq!(told.reset(), Some(Duration::from_secs(360)));
    }
}
