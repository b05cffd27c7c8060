//! Calls that are turned away: when that holds back all, and how much of it there was lately.
//!
//! Whoever is turned away waits for itself. All others wait only when nothing comes any more: when so many calls that were
//! sent one after the other were turned away that the share of refusals, as it was before, makes that no chance. Answers to
//! calls that were sent before tell nothing of it; the first answer to one sent later ends it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// Refusals one after the other are no chance when their probability is below this: once in a million calls.
const CHANCE: f64 = 1e-6;
/// The refused share is never taken for less or more: four in a row stop a clean endpoint, twenty one that turns away half.
const LEAST_SHARE: f64 = 0.02;
const MOST_SHARE: f64 = 0.5;
/// Calls that the share is made of.
const MEMORY: f64 = 64.0;
/// Refusals that are remembered one by one.
const REMEMBERED: usize = 64;

/// A hold that nobody asked for starts here and doubles each time calls are turned away after it. It stays short, so that
/// the end of the trouble is met within seconds; each caller has its own, longer wait besides.
const FIRST_HOLD: Duration = Duration::from_millis(50);
const LONGEST_HOLD: Duration = Duration::from_secs(4);

/// The longest time over which those who waited for the end of a hold are let go.
const LONGEST_RELEASE: Duration = Duration::from_secs(1);

/// The fractional part of the golden ratio.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// What refusals came to. Pure: it is told the time.
#[derive(Debug, Default)]
pub(super) struct CallRefusals {
    share: f64,
    /// The numbers of calls that were turned away last, by the order in which they were sent.
    latest: VecDeque<u64>,
    /// Calls in flight as each was sent that was turned away since the last answer.
    run: Vec<usize>,
    /// When the first call was turned away since the last answer.
    pub(super) since: Option<Instant>,
    hold: Option<Hold>,
    /// The number of the last call that was turned away when all were held back first; nothing while they are not.
    outage: Option<u64>,
    /// Holds in a row that nobody asked for.
    unasked: u32,
    /// How many waiting callers have been told when to go on.
    releases: u32,
    /// How often all were held back and the endpoint then answered again.
    pub(super) recoveries: u64,
}

/// Nobody starts a call before `until`.
#[derive(Debug, Clone, Copy)]
struct Hold {
    until: Instant,
    length: Duration,
}

/// A call as it was sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct SentCall {
    /// Its number in the order of sending.
    pub(super) number: u64,
    /// Calls in flight, itself included.
    pub(super) among: usize,
    /// When.
    pub(super) at: Instant,
}

impl CallRefusals {
    /// Learns that a call was turned away, and is not to come again before `told` has passed.
    pub(super) fn turned_away(&mut self, call: SentCall, told: Option<Duration>, now: Instant) {
        self.since.get_or_insert(now);
        self.latest.push_back(call.number);
        if self.latest.len() > REMEMBERED {
            self.latest.pop_front();
        }
        if self.outage.is_some() || self.is_no_chance(call.number) {
            self.outage.get_or_insert(call.number);
            self.run.clear();
            self.hold_for(call.at, told, now);
        } else if self.run.len() < REMEMBERED {
            self.run.push(call.among);
        }
    }

    /// Whether nearly all of the calls sent up to this one were turned away, so many that it is no chance.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 4 and 20")]
    fn is_no_chance(&self, number: u64) -> bool {
        let share = self.share.clamp(LEAST_SHARE, MOST_SHARE);
        let needed = (CHANCE.ln() / share.ln()).ceil() as usize;
        let reach = needed + needed / 8;
        let among_those = |other: &&u64| **other <= number && **other + reach as u64 > number;
        self.latest.iter().filter(among_those).count() >= needed
    }

    fn hold_for(&mut self, sent: Instant, told: Option<Duration>, now: Instant) {
        let length = told.unwrap_or_else(|| {
            // Calls sent before the last hold ended say nothing about whether it helped.
            if self.hold.is_none_or(|hold| sent >= hold.until) {
                self.unasked = self.unasked.saturating_add(1);
            }
            FIRST_HOLD.saturating_mul(1 << self.unasked.saturating_sub(1).min(16)).min(LONGEST_HOLD)
        });
        let until = now + length;
        // The first who may come again shows whether the others may.
        if self.hold.is_none_or(|hold| now >= hold.until || until < hold.until) {
            self.hold = Some(Hold { until, length });
        }
    }

    /// Learns of an answer to the call with this number. Returns the refusals among the answers before it, as the numbers in
    /// flight as they were sent; those of an outage are none of them.
    pub(super) fn answered(&mut self, number: u64) -> Vec<usize> {
        self.share -= self.share / MEMORY;
        self.since = None;
        if self.outage.is_some_and(|last| number > last) {
            (self.outage, self.hold, self.unasked) = (None, None, 0);
            self.latest.clear();
            self.recoveries += 1;
        }
        let run = std::mem::take(&mut self.run);
        for _ in &run {
            self.share += (1.0 - self.share) / MEMORY;
        }
        run
    }

    /// When the hold ends, if there is one.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.hold.map(|hold| hold.until).filter(|until| *until > now)
    }

    /// When the next caller may go on, if there is a hold: some time after its end, each at another moment.
    pub(super) fn release(&mut self, now: Instant) -> Option<Instant> {
        let Hold { until, length } = self.hold?;
        let spread = (length / 4).min(LONGEST_RELEASE);
        if now >= until + spread {
            return None;
        }
        Some(until + spread.mul_f64(self.scatter()))
    }

    /// From 0 to 1, each time another.
    ///
    /// The multiples of the golden ratio modulo one (a Weyl sequence) fill any interval evenly, however many callers there
    /// turn out to be and whenever they come.
    pub(super) fn scatter(&mut self) -> f64 {
        self.releases = self.releases.wrapping_add(1);
        (f64::from(self.releases) * GOLDEN).fract()
    }
}

/// Seconds that are counted.
const SECONDS: usize = 60;

/// Calls of the last minute, and those of them that were turned away.
#[derive(Debug)]
pub(super) struct LastMinute {
    start: Instant,
    /// The second that the last entry stands for, since the start.
    at: u64,
    seconds: [(u32, u32); SECONDS],
}

impl LastMinute {
    pub(super) fn new(now: Instant) -> Self {
        Self { start: now, at: 0, seconds: [(0, 0); SECONDS] }
    }

    pub(super) fn count(&mut self, refused: bool, now: Instant) {
        self.forget(now);
        if let Some((calls, away)) = self.seconds.get_mut(index(self.at)) {
            *calls = calls.saturating_add(1);
            *away = away.saturating_add(u32::from(refused));
        }
    }

    /// Calls, and those turned away.
    pub(super) fn sums(&mut self, now: Instant) -> (u64, u64) {
        self.forget(now);
        let sum =
            |(calls, away): (u64, u64), second: &(u32, u32)| (calls + u64::from(second.0), away + u64::from(second.1));
        self.seconds.iter().fold((0, 0), sum)
    }

    fn forget(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.start).as_secs();
        for passed in self.at + 1..=second.min(self.at + SECONDS as u64) {
            if let Some(slot) = self.seconds.get_mut(index(passed)) {
                *slot = (0, 0);
            }
        }
        self.at = self.at.max(second);
    }
}

fn index(second: u64) -> usize {
    usize::try_from(second % SECONDS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    fn call(number: u64, at: Instant) -> SentCall {
        SentCall { number, among: 64, at }
    }

    #[tokio::test(start_paused = true)]
    async fn random_refusals_hold_nobody_and_a_storm_holds_all_until_the_first_may_come_again() {
        let (mut refusals, mut draw, now) = (CallRefusals::default(), Draw::new(7, &["refusals"]), Instant::now());
        let mut held = 0;
        // CallRefusals are known at once, answers 64 calls later.
        let mut answered = vec![false; 64];
        for number in 0..20_000 {
            let refused = draw.unit() < 0.2;
            if refused {
                refusals.turned_away(call(number, now), Some(Duration::from_millis(100)), now);
                held += u32::from(refusals.held_until(now).is_some());
            }
            answered.push(!refused);
            if answered.remove(0) {
                refusals.answered(number - 64);
            }
        }
        assert!(held <= 4, "held {held} times by chance");
        for (more, told) in [9, 3, 5, 7, 9, 9, 9, 9, 9, 9, 9, 9].into_iter().enumerate() {
            refusals.turned_away(call(20_000 + more as u64, now), Some(Duration::from_secs(told)), now);
            refusals.answered(19_999);
        }
        let until = refusals.held_until(now).expect("nothing comes but answers to earlier calls");
        assert!(until - now <= Duration::from_secs(9));
        refusals.turned_away(call(20_020, now), Some(Duration::from_secs(1)), now);
        assert_eq!(refusals.held_until(now), Some(now + Duration::from_secs(1)));
        assert_eq!(refusals.answered(20_021), Vec::<usize>::new(), "an outage tells nothing of the number in flight");
        assert_eq!((refusals.held_until(now), refusals.since), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hold_nobody_asked_for_grows_only_by_calls_sent_after_it() {
        let (mut refusals, start) = (CallRefusals::default(), Instant::now());
        (0..100).for_each(|number| refusals.turned_away(call(number, start), None, start));
        assert_eq!(refusals.held_until(start), Some(start + FIRST_HOLD));
        let later = start + Duration::from_secs(1);
        refusals.turned_away(call(100, later), None, later);
        assert_eq!(refusals.held_until(later), Some(later + FIRST_HOLD * 2));
        let mut now = later;
        for number in 101..130 {
            now += Duration::from_secs(300);
            refusals.turned_away(call(number, now), None, now);
        }
        assert_eq!(refusals.held_until(now), Some(now + LONGEST_HOLD));
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_waited_go_on_scattered() {
        let (mut refusals, now) = (CallRefusals::default(), Instant::now());
        (0..4).for_each(|number| refusals.turned_away(call(number, now), Some(Duration::from_secs(8)), now));
        let mut moments: Vec<Instant> = (0..64).filter_map(|_| refusals.release(now)).collect();
        assert!(moments.iter().all(|at| (8.0..=9.0).contains(&(*at - now).as_secs_f64())));
        moments.sort_unstable();
        moments.dedup();
        assert_eq!(moments.len(), 64, "some came at once");
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_minute_is_counted_and_no_more() {
        let start = Instant::now();
        let mut minute = LastMinute::new(start);
        for second in 0..200 {
            minute.count(second % 4 == 0, start + Duration::from_secs(second));
        }
        assert_eq!(minute.sums(start + Duration::from_secs(199)), (60, 15));
        assert_eq!(minute.sums(start + Duration::from_secs(229)), (30, 7));
        assert_eq!(minute.sums(start + Duration::from_secs(9_999)), (0, 0));
    }
}
