//! How fast a stage goes, and how long it will take: a function of what was seen of it, and of when.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::llm::control::AnswerOrigins;
use crate::stages::{ProgressSnapshot, WorkLeft};

/// How far back rates look at least: what was fast an hour ago tells nothing of the time left.
const RECENTLY: Duration = Duration::from_secs(60);
/// Looks that are kept a minute at most.
const LOOKS: u32 = 120;
/// Units of every input at work that a rate looks back over at least: they come in waves, one unit of each at a time.
const WAVES: u64 = 3;
/// The share of a stage from which the time left is told, unless a whole span was seen before.
const TELLING: f64 = 0.1;

/// What was seen of a stage at one time.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    seen: ProgressSnapshot,
    answers: AnswerOrigins,
}

/// How fast a stage went of late.
///
/// Time is counted from one change to another: inputs that are worked on side by side advance in waves, and a rate that is
/// taken between two of them would fall until the next one comes. Work that was only taken from the record counts for no pace.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Looks at which something had changed, not all of them.
    changes: VecDeque<Look>,
    /// The last at which something had.
    change: Option<Look>,
    last: Option<Look>,
}

impl Pace {
    /// Takes note of how things stand at `now`.
    pub(super) fn see(&mut self, now: Instant, seen: ProgressSnapshot, answers: AnswerOrigins) {
        let look = Look { at: now, seen, answers };
        self.last = Some(look);
        if self.change.is_none_or(|change| change.seen.work != seen.work) {
            self.change = Some(look);
            if self.changes.back().is_none_or(|kept| now - kept.at >= RECENTLY / LOOKS) {
                self.changes.push_back(look);
            }
        }
        // The oldest look kept is the last one that a whole span lies behind.
        while self.changes.get(1).is_some_and(|second| spans(second, &look)) {
            self.changes.pop_front();
        }
    }

    /// Whether all that is seen of late is work taken from the record.
    pub(super) fn is_replaying(&self) -> bool {
        let (Some(first), Some(last)) = (self.changes.front(), self.last) else { return false };
        last.answers.made == first.answers.made && last.answers.recorded() > first.answers.recorded()
    }

    /// Units of work in a second, of those that took time.
    pub(super) fn rate(&self) -> Option<f64> {
        let (first, change, last) = (self.changes.front()?, self.change?, self.last?);
        let units = worked(first, &change);
        let seconds = (change.at - first.at).as_secs_f64();
        if units <= 0.0 || seconds <= 0.0 {
            return None;
        }
        // A unit of every input at work may be due at one time; if none comes later than that, the stage has slowed down.
        let wave = open(&last) * seconds / units;
        let slowed = (last.at - first.at).as_secs_f64() - wave;
        Some(units / seconds.max(slowed))
    }

    /// Seconds that the stage will take; `None` while too little was seen.
    pub(super) fn left(&self) -> Option<f64> {
        let (first, change, last) = (self.changes.front()?, self.change?, self.last?);
        let share = last.seen.share()?;
        // Amid the first wave the quick ones have come and the slow ones not.
        let is_early = share < TELLING && !spans(first, &last);
        if is_early || worked(first, &change) < open(&last) {
            return None;
        }
        let rate = self.rate()?;
        let WorkLeft { units, longest, more_to_begin, .. } = last.seen.left?;
        let wave = open(&last) / rate;
        // At the end of a stage places are empty: the last input to begin is on average half an input behind, and once all are
        // begun the longest of them decides.
        let side_by_side = units / rate;
        let all = if more_to_begin { side_by_side + longest / 2.0 * wave } else { side_by_side.max(longest * wave) };
        let since = (last.at - change.at).as_secs_f64().min(wave);
        Some((all - since).max(all / 10.0))
    }
}

fn open(look: &Look) -> f64 {
    look.seen.left.map_or(0, |left| left.open) as f64
}

/// Whether from `first` to `last` is long enough for a rate.
fn spans(first: &Look, last: &Look) -> bool {
    let open = last.seen.left.map_or(0, |left| left.open);
    last.at - first.at >= RECENTLY && last.seen.work.saturating_sub(first.seen.work) >= WAVES * open
}

/// Units of work from one look to another, without those that were on record.
fn worked(first: &Look, last: &Look) -> f64 {
    let units = last.seen.work as f64 - first.seen.work as f64;
    let made = last.answers.made.saturating_sub(first.answers.made) as f64;
    let recorded = last.answers.recorded().saturating_sub(first.answers.recorded()) as f64;
    if made + recorded > 0.0 { units * made / (made + recorded) } else { units }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;
    use crate::stages::{EachInput, OpenInput, Progress};

    /// A stage that is watched: conversations whose turns take about as long as each other, so many at a time.
    #[derive(Debug, Clone, Copy)]
    struct Staged {
        conversations: u64,
        places: usize,
        shortest: u64,
        longest: u64,
        /// Seconds of a turn, up to two fifths more or less.
        turn: f64,
        seed: u64,
    }

    /// A conversation at work: its input, turns to come, and when the next one is there.
    type Talk<'a> = (OpenInput<'a>, u64, f64);

    /// Seconds since the beginning, the share, and the seconds told; at last how long it took.
    fn watched(staged: Staged) -> (Vec<(f64, f64, Option<f64>)>, f64) {
        let Staged { conversations, places, shortest, longest, turn, seed } = staged;
        let (start, progress, mut pace) = (Instant::now(), Progress::default(), Pace::default());
        let mut draw = Draw::new(seed, &["turns"]);
        progress.start("conversations", conversations);
        let (mean, most) = ((shortest + longest) as f64 / 2.0, longest as f64);
        progress.expect_each(EachInput { unit: "turns", mean, most });
        let (mut now, mut begun, mut ended) = (0.0, 0, 0);
        let (mut talks, mut looks): (Vec<(Talk<'_>, u64)>, _) = (Vec::new(), Vec::new());
        while ended < conversations {
            while begun < conversations && talks.len() < places {
                let turns = shortest + draw.below(usize::try_from(longest - shortest + 1).unwrap()) as u64;
                talks.push(((progress.open(), turns, now + turn * (0.6 + 0.8 * draw.unit())), turns));
                begun += 1;
            }
            now += turn / 20.0;
            talks.retain_mut(|((input, left, next), turns)| {
                if *next <= now {
                    input.work();
                    *left -= 1;
                    *next += turn * (0.6 + 0.8 * draw.unit());
                }
                if *left == 0 {
                    progress.end_one_of(*turns);
                    ended += 1;
                }
                *left > 0
            });
            let made = AnswerOrigins { made: progress.look().work, ..AnswerOrigins::default() };
            pace.see(start + Duration::from_secs_f64(now), progress.look(), made);
            looks.push((now, progress.look().share().unwrap(), pace.left()));
        }
        (looks, now)
    }

    #[test]
    fn from_a_tenth_on_the_time_left_is_about_what_it_will_be() {
        let mut errors = Vec::new();
        for seed in 0..400 {
            let mut draw = Draw::new(seed, &["stage"]);
            let shortest = draw.between(4, 8) as u64;
            let staged = Staged {
                conversations: draw.between(4, 60) as u64,
                places: draw.between(1, 24),
                shortest,
                longest: shortest + draw.between(0, 6) as u64,
                turn: [0.5, 3.0, 25.0][draw.between(0, 2)],
                seed,
            };
            let (looks, end) = watched(staged);
            for (now, share, told) in looks.into_iter().filter(|(now, share, _)| *share >= 0.1 && *now < end) {
                let truth = end - now;
                match told {
                    Some(told) => errors.push((told - truth).abs() / (truth + end / 10.0)),
                    None => assert!(share < 0.3, "nothing is told at {share:.2} of {staged:?}"),
                }
            }
        }
        errors.sort_by(f64::total_cmp);
        let [half, most, all] = [50, 95, 100].map(|part| errors[errors.len() * part / 100 - 1]);
        println!("of {} times told: half off by {half:.2} at most, 95 % by {most:.2}, all by {all:.2}", errors.len());
        assert!(half < 0.12 && most < 0.4 && all < 2.0, "half {half:.2}, 95 % {most:.2}, all {all:.2}");
    }

    fn turns(work: u64) -> ProgressSnapshot {
        let left = WorkLeft { units: 1_000.0 - work as f64, open: 10, longest: 8.0, more_to_begin: true };
        ProgressSnapshot { work, left: Some(left), ..ProgressSnapshot::default() }
    }

    #[test]
    fn what_is_taken_from_the_record_is_no_pace() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        pace.see(start, turns(0), AnswerOrigins::default());
        // Half of it in a second, all of that on record.
        let own = AnswerOrigins { own: 500, ..AnswerOrigins::default() };
        pace.see(start + Duration::from_secs(1), turns(500), own);
        assert!(pace.is_replaying());
        assert_eq!(pace.left(), None);
        for second in 2..40 {
            let made = AnswerOrigins { made: second - 1, ..own };
            pace.see(start + Duration::from_secs(second), turns(500 + second - 1), made);
        }
        assert!(!pace.is_replaying());
        let left = pace.left().unwrap();
        assert!((300.0..600.0).contains(&left), "{left} s are told where 461 turns take a second each");
    }

    #[test]
    fn the_time_left_follows_the_last_minute_and_not_the_whole() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let see = |pace: &mut Pace, second: u64, work: u64| {
            let left = WorkLeft { units: 1_000.0 - work as f64, ..WorkLeft::default() };
            let seen = ProgressSnapshot { work, left: Some(left), ..ProgressSnapshot::default() };
            pace.see(start + Duration::from_secs(second), seen, AnswerOrigins::default());
        };
        // A tenth in an hour, as after a pause of the endpoint; then a hundredth a second.
        see(&mut pace, 0, 0);
        see(&mut pace, 3_600, 100);
        (1..=65).for_each(|second| see(&mut pace, 3_600 + second, 100 + 10 * second));
        let left = pace.left().unwrap();
        assert!((20.0..30.0).contains(&left), "{left} s are told where 25 are left");
        assert_eq!(Pace::default().left(), None);
    }

    #[test]
    fn an_endpoint_that_falls_silent_is_not_promised_to_be_done_soon() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        for second in 0..=50 {
            pace.see(start + Duration::from_secs(second), turns(10 * second), AnswerOrigins::default());
        }
        let at_work = pace.left().unwrap();
        pace.see(start + Duration::from_secs(650), turns(500), AnswerOrigins::default());
        assert!(pace.left().unwrap() > 5.0 * at_work, "{:?} after ten silent minutes, {at_work} before", pace.left());
    }
}
