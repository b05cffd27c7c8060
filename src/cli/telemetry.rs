//! Events for people who look into a run: on stderr as `-v` asks for, and as JSON lines in the run's `logs/run.log`.
//!
//! Only events of convogen are taken below WARN: libraries log headers and bodies. The text of prompts and replies is
//! never logged above TRACE, which takes `-vvv`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;

use super::output::{Printer, Verbosity, clean};
use crate::store::fs::{FsError, create_dir_all};

/// The name of the log below a run directory.
pub(crate) const LOG_FILE: &str = "logs/run.log";

/// The log file of the run. Events before it is opened go to stderr only.
#[derive(Clone, Default)]
pub(crate) struct Telemetry {
    log: Arc<OnceLock<Mutex<File>>>,
    #[cfg(feature = "otlp")]
    spans: Option<super::otlp::CallSpans>,
}

impl Telemetry {
    /// Starts taking events for the rest of the process.
    pub(crate) fn start(printer: &Printer) -> Self {
        #[cfg_attr(not(feature = "otlp"), expect(unused_mut, reason = "nothing else is set later"))]
        let mut telemetry = Self::default();
        #[cfg(feature = "otlp")]
        match super::otlp::CallSpans::start() {
            Ok(spans) => telemetry.spans = spans,
            Err(trouble) => printer.warning(&trouble),
        }
        let level = level(printer.verbosity());
        let talk = tracing_subscriber::fmt::layer()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(Talk(printer.clone()))
            .with_filter(own_events(level));
        let log = tracing_subscriber::fmt::layer()
            .json()
            .with_ansi(false)
            .with_writer(telemetry.clone())
            .with_filter(own_events(level.max(LevelFilter::INFO)));
        let layers = tracing_subscriber::registry().with(talk).with(log);
        #[cfg(feature = "otlp")]
        let layers = layers.with(telemetry.spans.clone().map(super::otlp::CallSpans::filtered));
        // A second start, which only tests make, leaves the first in place.
        let _ = layers.try_init();
        telemetry
    }

    /// Sends what is to be sent elsewhere. A collector that is away costs a warning, never the command.
    pub(crate) fn finish(&self, printer: &Printer) {
        #[cfg(feature = "otlp")]
        if let Some(Err(trouble)) = self.spans.as_ref().map(super::otlp::CallSpans::finish) {
            printer.warning(&trouble);
        }
        #[cfg(not(feature = "otlp"))]
        let _ = printer;
    }

    /// Appends events to the log of `run_dir` from now on. Later calls change nothing.
    pub(crate) fn log_to(&self, run_dir: &Path) -> Result<(), FsError> {
        let path = run_dir.join(LOG_FILE);
        create_dir_all(path.parent().unwrap_or(run_dir))?;
        // Not through a link: who plants one must not choose what is appended to.
        let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
        let file = OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(flags).open(&path);
        let file = file.map_err(|source| FsError { action: "open", path, source })?;
        let _ = self.log.set(Mutex::new(file));
        Ok(())
    }
}

/// The lowest level that is shown.
fn level(verbosity: Verbosity) -> LevelFilter {
    match (verbosity.quiet, verbosity.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    }
}

fn own_events(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::from(Level::WARN))).with_target("convogen", level)
}

/// Writes events to stderr, around any progress bars.
#[derive(Debug, Clone)]
struct Talk(Printer);

impl<'a> MakeWriter<'a> for Talk {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Talk {
    /// The formatter hands over an event in one piece.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.stderr(&clean(&String::from_utf8_lossy(bytes)));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Telemetry {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Telemetry {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.log.get() {
            Some(log) => log.lock().unwrap_or_else(PoisonError::into_inner).write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::output::testing::captured;
    use super::*;
    use crate::store::fs::read_to_string;

    /// Runs `events` under the layers of one printer and returns stderr and log.
    fn observed(verbosity: Verbosity, events: impl Fn()) -> (String, String) {
        let folder = tempfile::tempdir().unwrap();
        let (printer, captured) = captured(verbosity, false);
        let telemetry = Telemetry::default();
        let level = level(verbosity);
        let talk = tracing_subscriber::fmt::layer().without_time().with_target(false).with_ansi(false);
        let log = tracing_subscriber::fmt::layer().json().with_writer(telemetry.clone());
        let subscriber = tracing_subscriber::registry()
            .with(talk.with_writer(Talk(printer)).with_filter(own_events(level)))
            .with(log.with_filter(own_events(level.max(LevelFilter::INFO))));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!("before the log is there");
            telemetry.log_to(folder.path()).unwrap();
            events();
        });
        (captured.err.text(), read_to_string(&folder.path().join(LOG_FILE)).unwrap())
    }

    fn events() {
        tracing::warn!(stage = "situations", "recovered\u{1b}[2J");
        tracing::info!("milestone");
        tracing::trace!("prompt text");
        tracing::debug!(target: "hyper", "header");
    }

    #[test]
    fn the_log_takes_milestones_and_the_screen_what_was_asked_for() {
        let (screen, log) = observed(Verbosity::default(), events);
        let lines: Vec<&str> = screen.lines().collect();
        assert_eq!(lines.len(), 2, "{screen}");
        assert!(lines[1].starts_with(" WARN recovered") && lines[1].ends_with("stage=\"situations\""), "{screen}");
        assert!(!screen.contains('\u{1b}'), "{screen}");
        assert_eq!(log.lines().count(), 2, "{log}");
        assert!(log.contains("milestone") && !log.contains("prompt text") && !log.contains('\u{1b}'), "{log}");
        let (screen, _) = observed(Verbosity { quiet: true, verbose: 0 }, events);
        assert_eq!(screen, "");
    }

    #[test]
    fn prompt_text_takes_three_vs_and_libraries_stay_silent() {
        let (screen, log) = observed(Verbosity { quiet: false, verbose: 2 }, events);
        assert!(!screen.contains("prompt text") && !log.contains("prompt text"));
        let (screen, log) = observed(Verbosity { quiet: false, verbose: 3 }, events);
        assert!(screen.contains("prompt text") && log.contains("prompt text"));
        assert!(!screen.contains("header") && !log.contains("header"));
    }

    #[test]
    fn a_planted_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        create_dir_all(&folder.path().join("logs")).unwrap();
        std::os::unix::fs::symlink("/dev/null", folder.path().join(LOG_FILE)).unwrap();
        assert!(Telemetry::default().log_to(folder.path()).is_err());
    }
}
