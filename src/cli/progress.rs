//! How far a run is: a bar for the stage at work on a terminal, elsewhere a line every half minute.

mod pace;
mod standing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use self::pace::Pace;
pub(super) use self::standing::roughly;
use self::standing::{BAR, Standing};
use super::output::Printer;
use crate::llm::limiter::Delay;
use crate::pipeline::run::RunWatch;
use crate::stages::ProgressSnapshot;

/// How often the run is looked at.
const TICK: Duration = Duration::from_millis(150);
/// How often what is seen is written down for `pipeline status`.
const NOTE_EVERY: Duration = Duration::from_secs(1);
/// How often a line is written where there is no bar.
const TELL_EVERY: Duration = Duration::from_secs(30);

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
        let mut stage = StageDisplay::new(printer.clone(), Instant::now());
        let (watch, ended) = (Arc::clone(watch), Arc::clone(&over));
        let thread = thread::spawn(move || {
            let mut noted = Instant::now();
            loop {
                // Looked at before the run is: what it did last must be shown.
                let last = ended.load(Ordering::Acquire);
                let now = Instant::now();
                watch.progress.take_past().into_iter().for_each(|past| stage.ended(past, now));
                let delays = watch.delays();
                stage.look(&watch, now);
                stage.show(&watch, &delays, now);
                watch.control.take_told().iter().for_each(|notice| stage.printer.note(notice));
                if last {
                    watch.forget_progress();
                    return stage.close(now);
                }
                if noted.elapsed() >= NOTE_EVERY {
                    noted = now;
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
    lines: Regular,
    waits: Regular,
}

/// Something that is told every [`TELL_EVERY`] at most.
struct Regular {
    next: Instant,
}

impl Regular {
    /// Due from `first` on.
    fn from(first: Instant) -> Self {
        Self { next: first }
    }

    /// Whether it is to be told at `now`; if so, it was told then.
    fn is_due(&mut self, now: Instant) -> bool {
        let due = now >= self.next;
        if due {
            self.next = now + TELL_EVERY;
        }
        due
    }
}

impl StageDisplay {
    fn new(printer: Printer, now: Instant) -> Self {
        Self {
            printer,
            bar: None,
            last: ProgressSnapshot::default(),
            since: now,
            pace: Pace::default(),
            lines: Regular::from(now + TELL_EVERY),
            waits: Regular::from(now),
        }
    }

    /// Looks at the run.
    fn look(&mut self, watch: &RunWatch, now: Instant) {
        let seen = watch.progress.look();
        if self.last.stage != seen.stage {
            self.since = now;
        }
        self.last = seen;
        self.pace.see(now, seen, watch.control.answers());
    }

    /// Shows what was seen last: on the bar, or now and then in a line.
    fn show(&mut self, watch: &RunWatch, delays: &[(String, Delay)], now: Instant) {
        if self.last.stage.is_empty() {
            return;
        }
        let told: Vec<String> = delays.iter().map(|(_, delay)| delay.to_string()).collect();
        let (spend, in_flight) = (watch.spend(), watch.in_flight());
        let standing = Standing {
            seen: self.last,
            elapsed: now - self.since,
            left: self.pace.left(),
            replaying: self.pace.is_replaying(),
            stopping: watch.control.is_stopped(),
            in_flight,
            spend: &spend,
            delays: &told,
        };
        if let Some(columns) = self.printer.columns() {
            self.draw(&standing.beside_bar(columns));
            return;
        }
        if self.lines.is_due(now) {
            self.printer.note(&standing.line());
        }
        if !delays.is_empty() && self.waits.is_due(now) {
            for (name, delay) in delays {
                self.printer.note(&format!("{delay} for {name}: {}", delay.said));
            }
        }
    }

    fn draw(&mut self, text: &str) {
        let bar = self.bar.get_or_insert_with(|| self.printer.bars().add(ProgressBar::no_length()));
        let (position, length) = place(self.last);
        bar.set_prefix(self.last.stage);
        bar.set_style(style(self.last));
        bar.set_length(length);
        bar.set_position(position);
        bar.set_message(text.to_owned());
        bar.tick();
    }

    /// Replaces the bar of a stage by the line that stays.
    fn ended(&mut self, past: ProgressSnapshot, now: Instant) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
            self.printer.bars().remove(&bar);
        }
        if past.done > 0 {
            let took = duration((now - self.since).as_secs_f64());
            self.printer.note(&format!("{:13} {}, {took}", past.stage, came_to(past)));
        }
        self.since = now;
        self.pace = Pace::default();
    }

    fn close(&mut self, now: Instant) {
        self.ended(self.last, now);
    }
}

/// What a stage came to, in words that fit it.
fn came_to(past: ProgressSnapshot) -> String {
    let (done, accepted) = (thousands(past.done), thousands(past.accepted));
    match past.stage {
        "personas" => format!("{accepted} taken of {done} read"),
        "compile" => format!("{accepted} rows written"),
        _ => format!("{accepted} of {done} accepted"),
    }
}

/// Where the bar stands: in the share of the work where that is known, else in accepted results.
fn place(look: ProgressSnapshot) -> (u64, u64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share is between 0 and 1")]
    let share = look.share().map(|share| ((share * 1000.0) as u64, 1000));
    share.unwrap_or((look.accepted, look.wanted))
}

fn style(look: ProgressSnapshot) -> ProgressStyle {
    let bar = if place(look).1 > 0 { format!("{{bar:{BAR}}}") } else { " ".repeat(BAR) };
    let template = format!("{{prefix:13}} {{spinner}} {bar}  {{msg}}");
    ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━╸─")
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
    use crate::cli::output::Verbosity;
    use crate::cli::output::testing::captured;
    use crate::stages::WorkLeft;

    #[test]
    fn without_a_terminal_a_line_is_written_every_half_minute_whatever_happens() {
        let (printer, captured) = captured(Verbosity::default(), false);
        let (start, watch) = (Instant::now(), RunWatch::default());
        let mut stage = StageDisplay::new(printer, start);
        watch.progress.start("situations", 6);
        let mut lines = Vec::new();
        for second in 0..=300 {
            let now = start + Duration::from_secs(second);
            if second == 100 {
                watch.progress.start("conversations", 20);
                watch.progress.take_past().into_iter().for_each(|past| stage.ended(past, now));
            }
            stage.look(&watch, now);
            stage.show(&watch, &[], now);
            if captured.err.text().lines().count() > lines.len() {
                lines.push(second);
            }
        }
        assert_eq!(lines, (1..=10).map(|line| line * 30).collect::<Vec<u64>>());
        let text = captured.err.text();
        assert_eq!(text.lines().next(), Some("situations: 0 of 6, 30 s so far"));
        assert_eq!(text.lines().nth(3), Some("conversations: 0 of 20, 20 s so far"));
    }

    #[test]
    fn a_bar_goes_by_the_share_of_the_work_where_that_is_known() {
        let left = Some(WorkLeft { units: 30.0, ..WorkLeft::default() });
        let reading = ProgressSnapshot { done: 3, work: 10, left, ..ProgressSnapshot::default() };
        assert_eq!(place(reading), (250, 1000));
        assert_eq!(place(ProgressSnapshot { wanted: 20, accepted: 3, left: None, ..reading }), (3, 20));
    }

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let shown = [0.04, 9.96, 59.4, 60.0, 3_661.0, f64::INFINITY].map(duration);
        assert_eq!(shown[..5], ["0.0 s", "10 s", "59 s", "1 min 00 s", "1 h 01 min"]);
        assert!(shown[5].ends_with(" h 53 min"), "{}", shown[5]);
    }
}
