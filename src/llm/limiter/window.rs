//! How many calls may be in flight: few at first, more while answers come and come soon, half after trouble.
//!
//! - It starts with [`START`] and grows fourfold a round trip until it meets its ceiling or trouble.
//! - It grows only as far as nearly all answers will still come within half of the time-out, by what latency has shown to
//!   make of more calls in flight: a server that works on one call at a time takes n times as long for n of them, one that
//!   works on all at once takes as long as for one.
//! - It is halved after a time-out, and when the share of calls that are turned away grows with the number in flight; at
//!   most once a round trip, since calls that were sent before say nothing of the new size. A share that does not depend
//!   on the number lowers nothing.
//! - After trouble it grows by half a round trip up to where the trouble was, slowly beyond that for ten seconds.

use std::time::Duration;

use tokio::time::Instant;

use super::trend::Trend;

/// Calls in flight at the start. With two, the first answers already tell whether the server works on both at once.
const START: f64 = 2.0;
/// Further calls for each answer until trouble is met.
const SLOW_START: f64 = 3.0;
/// The same after trouble.
const RECOVERY: f64 = 0.5;
/// How long the size at which trouble was met is approached with care.
const CARE: Duration = Duration::from_secs(10);
/// The share of the time-out within which answers are to come.
const SHARE_OF_TIME_OUT: f64 = 0.5;
/// The share from which on calls in flight are taken back.
const LATE: f64 = 0.75;
/// Standard deviations of the logarithm of latency within which nearly all answers come.
const NEARLY_ALL: f64 = 2.0;
/// Answers that latency is judged by.
const ANSWERS: u32 = 64;
/// The variance of the logarithm of calls in flight from which on latency tells something of their number.
const LEAST_VARIANCE: f64 = 0.05;
/// Calls that the refused share is judged by, and how many there must be at least.
const CALLS: u32 = 128;
const LEAST_CALLS: u32 = 16;
/// The correlation of refusals with the number in flight that is no chance: the standard deviation over so many calls of
/// what has nothing to do with it is 0.06.
const GROWS: f64 = 0.3;
/// A refused share that is worth a lower rate.
const LEAST_SHARE: f64 = 0.02;

/// The adaptive bound of calls in flight. Pure: it is told the time.
#[derive(Debug)]
pub(super) struct CallWindow {
    ceiling: f64,
    size: f64,
    /// What an answer may take, in seconds.
    time_out: f64,
    /// The size at which trouble was met, and when.
    trouble: Option<(f64, Instant)>,
    /// Logarithms: calls in flight as one was sent, and the seconds it took.
    latency: Trend,
    /// By which power of calls in flight latency grows, from 0 (all at once) to 1 (one after the other).
    elasticity: f64,
    /// Calls in flight as one was sent, and whether it was turned away.
    refused: Trend,
}

impl CallWindow {
    pub(super) fn new(ceiling: usize, time_out: Duration) -> Self {
        let ceiling = ceiling.max(1) as f64;
        Self {
            ceiling,
            size: START.min(ceiling),
            time_out: time_out.as_secs_f64(),
            trouble: None,
            latency: Trend::over(ANSWERS),
            elasticity: 1.0,
            refused: Trend::over(CALLS),
        }
    }

    /// Calls that may be in flight.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the ceiling, a usize")]
    pub(super) fn size(&self) -> usize {
        self.size as usize
    }

    /// Learns from a call that was answered; `among` counts the calls in flight as it was sent, itself included.
    pub(super) fn answered(&mut self, among: usize, took: Duration, now: Instant) {
        let among = among.max(1) as f64;
        self.latency.add(among.ln(), took.as_secs_f64().max(1e-6).ln());
        self.refused.add(among, 0.0);
        if let Some(slope) = self.latency.slope(LEAST_VARIANCE) {
            self.elasticity = slope.clamp(0.0, 1.0);
        }
        // Where there was room to spare, more room would change nothing.
        if among * 2.0 >= self.size {
            let grown = (self.size + self.step(now)).min(self.ceiling);
            self.size = self.size.max(grown.min(self.bearable(SHARE_OF_TIME_OUT)));
        }
        let late = self.bearable(LATE);
        if self.size > late {
            self.size = self.bearable(SHARE_OF_TIME_OUT).clamp(1.0, late.max(1.0));
        }
    }

    fn step(&self, now: Instant) -> f64 {
        match self.trouble {
            None => SLOW_START,
            Some((at, when)) if self.size >= at * 0.9 && now < when + CARE => 1.0 / self.size,
            Some(_) => RECOVERY,
        }
    }

    /// The size at which answers take this share of the time-out; infinite where their number makes no difference.
    fn bearable(&self, share: f64) -> f64 {
        let (among, took) = self.latency.means();
        let room = (self.time_out * share).ln() - took - NEARLY_ALL * self.latency.scatter();
        if self.elasticity < 0.05 {
            return if room > 0.0 { f64::INFINITY } else { self.size };
        }
        (among + room / self.elasticity).exp()
    }

    /// Learns that one was turned away among others that were answered.
    pub(super) fn turned_away(&mut self, among: usize) {
        self.refused.add(among as f64, 1.0);
    }

    /// Halves the size if the refused share grows with it, unless the calls that show it are older than the last halving.
    pub(super) fn judge_refusals(&mut self, sent: Instant, now: Instant) {
        let share = self.refused.means().1;
        if self.refused.seen() >= LEAST_CALLS && share > LEAST_SHARE && self.refused.correlation() > GROWS {
            self.halve(sent, now);
        }
    }

    /// Learns that a call which was sent at `sent` was not answered in time.
    pub(super) fn timed_out(&mut self, among: usize, sent: Instant, now: Instant) {
        let took = now.saturating_duration_since(sent).as_secs_f64().max(1e-6);
        self.latency.add((among.max(1) as f64).ln(), took.ln());
        self.halve(sent, now);
    }

    fn halve(&mut self, sent: Instant, now: Instant) {
        if self.trouble.is_some_and(|(_, when)| sent <= when) {
            return;
        }
        self.trouble = Some((self.size, now));
        self.size = (self.size / 2.0).max(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENT: Duration = Duration::from_secs(180);

    /// Plays rounds against a server whose latency and refusals are functions of the number in flight: all calls of a round
    /// are sent at once, the next round follows their end. Returns the sizes at the start of each round, and the time.
    fn play(
        window: &mut CallWindow,
        rounds: usize,
        latency: impl Fn(usize) -> f64,
        refused: impl Fn(usize, usize) -> bool,
    ) -> (Vec<usize>, f64) {
        let start = Instant::now();
        let (mut now, mut sizes) = (start, Vec::new());
        for round in 0..rounds {
            let (size, sent) = (window.size(), now);
            sizes.push(size);
            now += Duration::from_secs_f64(latency(size));
            for among in 1..=size {
                if refused(round, among) {
                    window.turned_away(among);
                } else {
                    window.answered(among, Duration::from_secs_f64(latency(among)), now);
                }
                window.judge_refusals(sent, now);
            }
        }
        (sizes, (now - start).as_secs_f64())
    }

    #[tokio::test(start_paused = true)]
    async fn the_ceiling_is_reached_within_five_seconds_of_clean_answers() {
        for (ceiling, latency) in [(64, 0.006), (64, 0.2), (512, 0.2), (2_000, 0.2), (64, 1.2)] {
            let mut window = CallWindow::new(ceiling, PATIENT);
            let mut taken = 0.0;
            while window.size() < ceiling {
                assert!(taken < 5.0, "{ceiling} in flight at {latency} s");
                taken += play(&mut window, 1, |_| latency, |_, _| false).1;
            }
        }
        assert_eq!(CallWindow::new(64, PATIENT).size(), 2, "it starts small");
        assert_eq!(CallWindow::new(1, PATIENT).size(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_works_one_call_at_a_time_is_never_kept_to_its_time_out() {
        for (each, time_out) in [(0.5, 6.0), (1.0, 6.0), (0.1, 3.0), (2.0, 20.0)] {
            let mut window = CallWindow::new(64, Duration::from_secs_f64(time_out));
            let (sizes, _) = play(&mut window, 60, |among| each * among as f64, |_, _| false);
            let most = sizes.iter().max().unwrap();
            assert!((*most as f64) * each < time_out * 0.8, "{most} in flight at {each} s each");
            assert!((*most as f64) * each > time_out * 0.3, "no more than {most} in flight at {each} s each");
        }
        let mut patient = CallWindow::new(64, PATIENT);
        let (sizes, _) = play(&mut patient, 20, |among| 0.5 * among as f64, |_, _| false);
        assert_eq!(sizes.last(), Some(&64), "nothing would time out");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_share_that_does_not_depend_on_the_number_lowers_nothing_and_one_that_does_halves() {
        let mut window = CallWindow::new(64, PATIENT);
        let mut draw = crate::draw::Draw::new(3, &["window"]);
        let units: Vec<f64> = (0..10_000).map(|_| draw.unit()).collect();
        let random = |round: usize, among: usize| units[(round * 64 + among) % units.len()] < 0.2;
        let (sizes, _) = play(&mut window, 100, |_| 0.2, random);
        assert_eq!(sizes[8..].iter().min(), Some(&64), "{sizes:?}");

        let mut window = CallWindow::new(64, PATIENT);
        let (sizes, _) = play(&mut window, 200, |_| 0.2, |_, among| among > 8);
        let settled = &sizes[20..];
        let mean = settled.iter().sum::<usize>() as f64 / settled.len() as f64;
        assert!((4.0..14.0).contains(&mean), "{mean} in flight where 8 are taken: {settled:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_halved_once_a_round_trip_and_recovers_in_seconds() {
        let mut window = CallWindow::new(64, PATIENT);
        play(&mut window, 10, |_| 0.2, |_, _| false);
        let sent = Instant::now() + Duration::from_secs(10);
        let now = sent + Duration::from_secs(1);
        (0..20).for_each(|_| window.timed_out(64, sent, now));
        assert_eq!(window.size(), 32);
        let (_, taken) = play(&mut window, 4, |_| 0.2, |_, _| false);
        assert!(window.size() >= 57 && taken < 2.0, "{} after {taken} s", window.size());
    }
}
