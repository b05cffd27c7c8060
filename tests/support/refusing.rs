//! What of a fast endpoint's requests is turned away: at random, above a quota, or all of them for a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use convogen::Draw;

/// Which requests get a 429, each with the time to wait in `retry-after-ms`
#[derive(Debug, Args)]
pub(crate) struct RefusalOptions {
    /// Share of requests, from 0 to 1, that are turned away whatever comes
    #[arg(long, default_value_t = 0.0)]
    refuse: f64,
    /// The wait that those, and those of a storm, are told
    #[arg(long, default_value_t = 100)]
    hint_ms: u64,
    /// Requests a minute, counted by the second and by ten seconds
    #[arg(long)]
    rpm: Option<u64>,
    /// Tokens a minute, counted as they are asked for: the prompt's and `max_tokens`
    #[arg(long)]
    tpm: Option<u64>,
    /// Turn all away from this second on, since the first request
    #[arg(long)]
    storm_from: Option<f64>,
    /// How many seconds that lasts
    #[arg(long, default_value_t = 30.0)]
    storm_s: f64,
}

/// The windows in which a quota is counted.
const WINDOWS: [u64; 2] = [1, 10];

/// Turns requests away.
#[derive(Debug)]
pub(crate) struct Refusing {
    options: RefusalOptions,
    state: Mutex<RefusingState>,
}

#[derive(Debug)]
struct RefusingState {
    begun: Option<Instant>,
    draw: Draw,
    /// For each window its number, and the requests and tokens in it.
    used: [(u64, u64, u64); WINDOWS.len()],
    taken_tokens: u64,
}

impl Refusing {
    pub(crate) fn new(options: RefusalOptions) -> Self {
        let state = RefusingState {
            begun: None,
            draw: Draw::new(9, &["refusing"]),
            used: [(0, 0, 0); WINDOWS.len()],
            taken_tokens: 0,
        };
        Self { options, state: Mutex::new(state) }
    }

    /// How long a request for so many tokens is to wait that is turned away; nothing for one that is taken.
    pub(crate) fn verdict(&self, tokens: u64) -> Option<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let at = state.begun.get_or_insert_with(Instant::now).elapsed();
        let RefusalOptions { refuse, hint_ms, storm_from, storm_s, .. } = self.options;
        let storms = storm_from.is_some_and(|from| (from..from + storm_s).contains(&at.as_secs_f64()));
        if storms || state.draw.unit() < refuse {
            return Some(Duration::from_millis(hint_ms));
        }
        let full = WINDOWS.iter().zip(&state.used).find(|(length, used)| self.is_full(**length, **used, at, tokens));
        if let Some((length, _)) = full {
            return Some(Duration::from_secs((at.as_secs() / length + 1) * length).saturating_sub(at));
        }
        state.taken_tokens += tokens;
        for (length, used) in WINDOWS.iter().zip(&mut state.used) {
            let number = at.as_secs() / length;
            let (_, requests, sum) = if used.0 == number { *used } else { (number, 0, 0) };
            *used = (number, requests + 1, sum + tokens);
        }
        None
    }

    /// The tokens that all requests asked for that were taken.
    pub(crate) fn taken_tokens(&self) -> u64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).taken_tokens
    }

    fn is_full(&self, length: u64, used: (u64, u64, u64), at: Duration, tokens: u64) -> bool {
        let (number, requests, sum) = used;
        let (requests, sum) = if number == at.as_secs() / length { (requests, sum) } else { (0, 0) };
        let part = |a_minute: u64| a_minute * length / 60;
        // A second is short for a call's tokens: they are counted by ten seconds only.
        let tokens_full = length > 1 && self.options.tpm.is_some_and(|most| sum + tokens > part(most));
        tokens_full || self.options.rpm.is_some_and(|most| requests + 1 > part(most))
    }
}
