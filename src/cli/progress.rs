//! How far a run is: a bar for the stage at work on a terminal, a line a stage elsewhere.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::output::Printer;
use crate::llm::limiter::Delay;
use crate::pipeline::ledger::Spend;
use crate::pipeline::run::RunWatch;
use crate::stages::ProgressSnapshot;

/// How often the run is looked at.
const TICK: Duration = Duration::from_millis(150);
/// How often what is seen is written down for `pipeline status`.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// How far back rates look: what was fast an hour ago tells nothing of the time left.
const RECENTLY: Duration = Duration::from_secs(60);
/// Looks that are remembered a minute.
const LOOKS: u32 = 120;
/// How often calls that wait are told of where there is no bar.
const TELL_EVERY: Duration = Duration::from_secs(30);
/// The share of a stage from which the time left is told.
const TELLING: f64 = 0.02;

/// Shows a run until it is finished with.
#[derive(Debug)]
pub(super) struct Display {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    /// Starts showing `watch`.
    pub(super) fn start(watch: &Arc<RunWatch>, printer: &Printer) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let mut stage = StageDisplay::new(printer.clone());
        let (watch, ended) = (Arc::clone(watch), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut noted = Instant::now();
            loop {
                // Looked at before the run is: what it did last must be shown.
                let last = ended.load(Ordering::Acquire);
                watch.progress.take_past().into_iter().for_each(|past| stage.ended(past));
                let delays = watch.delays();
                stage.show(watch.progress.look(), &watch.spend(), &delays);
                stage.tell(&delays);
                watch.control.take_told().iter().for_each(|notice| stage.printer.note(notice));
                if last {
                    watch.forget_progress();
                    return stage.close();
                }
                if noted.elapsed() >= NOTE_EVERY {
                    noted = Instant::now();
                    watch.note_progress(stage.pace.left(), delays.first().map(|(_, delay)| delay.to_string()));
                }
                thread::park_timeout(TICK);
            }
        });
        Self { over, thread: Some(thread) }
    }

    /// Shows what is left to show and takes the bar away.
    pub(super) fn finish(mut self) {
        self.over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic in the display is reported by the panic hook and changes nothing else.
            let _ = thread.join();
        }
    }
}

/// The stage at work.
struct StageDisplay {
    printer: Printer,
    bar: Option<ProgressBar>,
    last: ProgressSnapshot,
    since: Instant,
    pace: Pace,
    /// When calls that wait were last told of.
    told: Option<Instant>,
}

/// How fast a stage went in the last minute.
#[derive(Default)]
struct Pace {
    looks: VecDeque<(Instant, ProgressSnapshot)>,
}

impl Pace {
    fn see(&mut self, now: Instant, look: ProgressSnapshot) {
        let due = self.looks.back().is_none_or(|(at, _)| now - *at >= RECENTLY / LOOKS);
        if due {
            self.looks.push_back((now, look));
        }
        // The oldest look kept is the first that is a minute old, so that the rate is that of a minute.
        while self.looks.get(1).is_some_and(|(at, _)| now - *at >= RECENTLY) {
            self.looks.pop_front();
        }
    }

    /// What `of` a look grew by in a second, over the last minute.
    fn rate(&self, of: impl Fn(&ProgressSnapshot) -> f64) -> Option<f64> {
        let ((first, before), (last, now)) = (self.looks.front()?, self.looks.back()?);
        let seconds = (*last - *first).as_secs_f64();
        (seconds >= 0.5).then(|| (of(now) - of(before)) / seconds)
    }

    /// Seconds that the stage will take at this pace.
    fn left(&self) -> Option<f64> {
        let share = self.looks.back()?.1.share.filter(|share| *share >= TELLING)?;
        let rate = self.rate(|look| look.share.unwrap_or_default())?;
        (rate > 0.0).then(|| (1.0 - share) / rate)
    }
}

impl StageDisplay {
    fn new(printer: Printer) -> Self {
        Self {
            printer,
            bar: None,
            last: ProgressSnapshot::default(),
            since: Instant::now(),
            pace: Pace::default(),
            told: None,
        }
    }

    fn show(&mut self, look: ProgressSnapshot, spend: &Spend, delays: &[(String, Delay)]) {
        if self.bar.is_none() && !look.stage.is_empty() {
            self.since = Instant::now();
            let bar = self.printer.bars().add(ProgressBar::new(look.wanted));
            bar.set_prefix(look.stage);
            self.bar = Some(bar);
        }
        self.last = look;
        self.pace.see(Instant::now(), look);
        if let Some(bar) = &self.bar {
            let (position, length) = place(look);
            bar.set_style(style(look));
            bar.set_length(length);
            bar.set_position(position);
            bar.set_message(self.figures(look, spend, delays));
        }
    }

    /// A line on calls that wait, now and then, where no bar shows it.
    fn tell(&mut self, delays: &[(String, Delay)]) {
        let due = self.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if delays.is_empty() || !due || !self.printer.bars().is_hidden() {
            return;
        }
        self.told = Some(Instant::now());
        for (name, delay) in delays {
            self.printer.note(&format!("{delay} for {name}: {}", delay.said));
        }
    }

    /// What is waited for, rate, time left and spend, as far as they are known.
    fn figures(&self, look: ProgressSnapshot, spend: &Spend, delays: &[(String, Delay)]) -> String {
        let mut parts: Vec<String> = delays.iter().map(|(_, delay)| delay.to_string()).collect();
        let lost = look.done.saturating_sub(look.accepted);
        if look.wanted == 0 && look.done > 0 {
            parts.push(format!("{} rows", thousands(look.done)));
        } else if lost > 0 {
            parts.push(format!("{lost} not accepted"));
        }
        if let Some(rate) = self.pace.rate(|look| look.done as f64).filter(|rate| *rate > 0.0) {
            parts.push(format!("{rate:.1}/s"));
        }
        if let Some(left) = self.pace.left() {
            parts.push(format!("{} left", duration(left)));
        }
        if spend.calls > 0 {
            parts.push(format!("{} calls", thousands(spend.calls)));
            let estimated = spend.estimated.prompt_tokens + spend.estimated.completion_tokens;
            let about = if estimated > 0 { "about " } else { "" };
            parts.push(format!("{about}{} tokens", thousands(spend.prompt_tokens + spend.completion_tokens)));
        }
        if let Some(cost) = spend.cost {
            parts.push(format!("cost {cost:.2}"));
        }
        parts.join(" · ")
    }

    /// Replaces the bar of a stage by the line that stays.
    fn ended(&mut self, past: ProgressSnapshot) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            self.printer.bars().remove(&bar);
        }
        if past.done > 0 {
            let ProgressSnapshot { stage, done, accepted, .. } = past;
            let took = duration(self.since.elapsed().as_secs_f64());
            self.printer.note(&format!("{stage:13} {} of {} accepted, {took}", thousands(accepted), thousands(done)));
        }
        self.since = Instant::now();
        self.pace = Pace::default();
    }

    fn close(&mut self) {
        self.ended(self.last);
    }
}

/// Where the bar stands: in accepted results where it is known how many are wanted, else in the share of the work.
fn place(look: ProgressSnapshot) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is between 0 and 1")]
    let share = || (look.share.unwrap_or_default() * 1000.0) as u64;
    if look.wanted > 0 { (look.accepted, look.wanted) } else { (share(), 1000) }
}

fn style(look: ProgressSnapshot) -> ProgressStyle {
    let template = match (look.wanted, look.share) {
        (1.., _) => "{prefix:13} {bar:24} {pos}/{len}  {wide_msg}",
        (0, Some(_)) => "{prefix:13} {bar:24} {percent}%  {wide_msg}",
        (0, None) => "{prefix:13} {spinner}  {wide_msg}",
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
}

/// Seconds as people say them.
pub(super) fn duration(seconds: f64) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a century")]
    let whole = seconds.clamp(0.0, 3.2e9).round() as u64;
    match whole {
        0..60 if seconds < 9.95 => format!("{seconds:.1} s"),
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// A size as people say it, in powers of 1024.
pub(super) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}

/// A number with its thousands set apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_left_follows_the_last_minute_and_not_the_whole() {
        let (start, mut pace) = (Instant::now(), Pace::default());
        let look = |share| ProgressSnapshot { share: Some(share), ..ProgressSnapshot::default() };
        // A tenth in an hour, as after a pause of the endpoint; then a hundredth a second.
        pace.see(start, look(0.0));
        let again = start + Duration::from_secs(3_600);
        pace.see(again, look(0.1));
        for second in 1..=40 {
            pace.see(again + Duration::from_secs(second), look(0.1 + second as f64 / 100.0));
        }
        pace.see(again + Duration::from_secs(61), look(0.71));
        let left = pace.left().unwrap();
        assert!((25.0..35.0).contains(&left), "{left} s are told where 29 are left");
        assert_eq!(Pace::default().left(), None);
    }

    #[test]
    fn a_bar_goes_by_the_share_of_the_work_where_nobody_knows_how_many_will_be_accepted() {
        let reading = ProgressSnapshot { done: 3, share: Some(0.25), ..ProgressSnapshot::default() };
        assert_eq!(place(reading), (250, 1000));
        assert_eq!(place(ProgressSnapshot { wanted: 20, accepted: 3, ..reading }), (3, 20));
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let shown = [0.04, 9.96, 59.4, 60.0, 3_661.0, f64::INFINITY].map(duration);
        assert_eq!(shown[..5], ["0.0 s", "10 s", "59 s", "1 min 00 s", "1 h 01 min"]);
        assert!(shown[5].ends_with(" h 53 min"), "{}", shown[5]);
    }
}
