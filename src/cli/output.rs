//! What people and scripts see: data on stdout, everything else on stderr.
//!
//! A reader that goes away (`convogen … | head`) ends the output, not the work. Text that comes from models, personas
//! or endpoints can hold control sequences that would act on a terminal; all text passes through [`clean`].

use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;

use super::failure::Failure;
use super::screen::{FOR_ECHO, bar_target};
use super::wrap::fold;
use crate::exit::ExitCode;

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verbosity {
    /// Errors only.
    pub quiet: bool,
    /// How often `-v` was given.
    pub verbose: u8,
}

/// Where a command writes. Clones write to the same place.
#[derive(Clone)]
pub(crate) struct Printer {
    streams: Arc<Streams>,
    verbosity: Verbosity,
    colour: bool,
    /// Columns of the terminal that stdout is, if it is one and may be coloured.
    terminal: Option<usize>,
    /// Columns of the terminal that stderr is, if it is one.
    err_columns: Option<usize>,
    bars: MultiProgress,
}

/// A piece of a page on stdout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Span {
    /// What it says, on one line.
    pub text: String,
    /// How it looks on a terminal, an SGR code; empty: plain.
    pub style: &'static str,
}

/// Columns of a page that goes to a file or a pipe.
const PAGE_WIDTH: usize = 100;

struct Streams {
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
}

impl std::fmt::Debug for Printer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Printer")
            .field("verbosity", &self.verbosity)
            .field("colour", &self.colour)
            .finish_non_exhaustive()
    }
}

/// The labels in front of lines on stderr, and their colours (SGR codes).
#[derive(Debug, Clone, Copy)]
enum Label {
    Error,
    Warning,
    Hint,
}

impl Label {
    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Error => ("error", "1;31"),
            Self::Warning => ("warning", "1;33"),
            Self::Hint => ("hint", "1;36"),
        }
    }
}

impl Printer {
    /// Writes to the standard streams of the process.
    pub(crate) fn standard(verbosity: Verbosity) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_terminal = io::stderr().is_terminal();
        let is_shown = is_terminal && !is_dumb && !verbosity.quiet;
        let bars = MultiProgress::with_draw_target(if is_shown { bar_target() } else { ProgressDrawTarget::hidden() });
        Self {
            streams: Arc::new(Streams {
                out: Mutex::new(Box::new(io::stdout())),
                err: Mutex::new(Box::new(io::stderr())),
            }),
            verbosity,
            colour: is_terminal && !is_dumb && !is_set("NO_COLOR"),
            terminal: terminal_width().filter(|_| !is_dumb && !is_set("NO_COLOR")),
            err_columns: columns_of(&io::stderr()),
            bars,
        }
    }

    /// Columns that a page on stdout may take.
    pub(crate) fn width(&self) -> usize {
        self.terminal.or_else(terminal_width).unwrap_or(PAGE_WIDTH)
    }

    /// Writes lines to stdout, styled where it is a terminal.
    pub(crate) fn page(&self, lines: &[Vec<Span>]) -> Result<(), Failure> {
        let shown = |span: &Span| match clean(&span.text) {
            text if span.style.is_empty() || self.terminal.is_none() => text,
            text => format!("\u{1b}[{}m{text}\u{1b}[0m", span.style),
        };
        let line = |spans: &Vec<Span>| spans.iter().map(shown).collect::<String>().trim_end().to_owned() + "\n";
        self.stdout(&lines.iter().map(line).collect::<String>())
    }

    /// How much is said.
    pub(crate) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Writes `text` and a line break to stdout. A closed stdout is no failure.
    pub(crate) fn data(&self, text: &str) -> Result<(), Failure> {
        self.stdout(&format!("{}\n", clean(text.trim_end_matches('\n'))))
    }

    /// Writes text for people to stdout: on a terminal no line of it is broken amid a word.
    pub(crate) fn text(&self, text: &str) -> Result<(), Failure> {
        self.stdout(&(self.folded_page(text.trim_end_matches('\n')) + "\n"))
    }

    /// Text for people, ready for a place on the screen.
    pub(crate) fn folded_page(&self, text: &str) -> String {
        let text = clean(text);
        terminal_width().map_or_else(|| text.clone(), |columns| fold(&text, columns))
    }

    /// A place on the screen for a page that changes; nothing unless stdout is a terminal.
    pub(crate) fn redrawn(&self) -> Option<ProgressBar> {
        terminal_width()?;
        let style = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        bar.set_style(style);
        Some(bar)
    }

    /// Writes text that is already clean.
    fn stdout(&self, text: &str) -> Result<(), Failure> {
        let result = self.bars.suspend(|| {
            let mut out = self.streams.out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        match result {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(ExitCode::Io, format!("failed to write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes `value` as one line to stdout, as `--json` promises.
    pub(crate) fn json(&self, value: &Value) -> Result<(), Failure> {
        self.data(&value.to_string())
    }

    /// Tells the user something; silent with `--quiet`.
    pub(crate) fn note(&self, text: &str) {
        if !self.verbosity.quiet {
            self.stderr(&format!("{}\n", self.folded(&clean(text))));
        }
    }

    /// The text as it goes to stderr: on a terminal no line of it is broken amid a word.
    fn folded(&self, text: &str) -> String {
        self.err_columns.map_or_else(|| text.to_owned(), |columns| fold(text, columns))
    }

    /// Tells the user something that only `-v` asks for.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbosity.verbose > 0 {
            self.note(text);
        }
    }

    /// Tells the user of something to act on; silent with `--quiet`.
    pub(crate) fn warning(&self, text: &str) {
        if !self.verbosity.quiet {
            self.labelled(Label::Warning, text);
        }
    }

    /// Prints a failure with its causes and its hint.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.labelled(Label::Error, &failure.message);
        for cause in &failure.causes {
            self.stderr(&format!("{}\n", self.folded(&format!("  caused by: {}", clean(cause)))));
        }
        if let Some(hint) = &failure.hint {
            self.labelled(Label::Hint, hint);
        }
    }

    /// A progress bar of bytes; invisible unless stderr is a terminal.
    pub(crate) fn bytes_bar(&self, what: &str) -> ProgressBar {
        let template = "{msg} {bar:32} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bars.add(ProgressBar::new(0).with_style(style).with_message(what.to_owned()))
    }

    /// A sign of life while something of unknown length is done; invisible unless stderr is a terminal.
    pub(crate) fn spinner(&self, what: &str) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg} {spinner} {bytes}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        let bar = self.bars.add(ProgressBar::no_length().with_style(style).with_message(what.to_owned()));
        bar.enable_steady_tick(std::time::Duration::from_millis(150));
        bar
    }

    /// Columns that a bar may take; nothing where none is drawn.
    pub(crate) fn columns(&self) -> Option<usize> {
        let columns = || columns_of(&io::stderr()).unwrap_or(PAGE_WIDTH).saturating_sub(usize::from(FOR_ECHO));
        (!self.bars.is_hidden()).then(columns)
    }

    /// Takes what is drawn off the screen, for a process that ends amid it.
    pub(crate) fn wipe(&self) {
        // There is nowhere to report that stderr is closed.
        let _ = self.bars.clear();
    }

    /// The bars on the screen, for a command that draws its own.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    fn labelled(&self, label: Label, text: &str) {
        let (name, colour) = label.parts();
        let plain = self.folded(&format!("{name}: {}", clean(text)));
        let labelled = plain.strip_prefix(name).filter(|_| self.colour);
        let text =
            labelled.map(|rest| format!("\u{1b}[{colour}m{name}:\u{1b}[0m{}", rest.strip_prefix(':').unwrap_or(rest)));
        self.stderr(&(text.unwrap_or(plain) + "\n"));
    }

    /// Writes text that is already clean. There is nowhere to report that stderr is closed.
    pub(super) fn stderr(&self, text: &str) {
        self.bars.suspend(|| {
            let mut err = self.streams.err.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
        });
    }
}

/// How a bar of rows looks.
pub(crate) fn rows_style() -> ProgressStyle {
    let template = "{msg} {bar:32} {human_pos}/{human_len} {per_sec} {eta}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Columns of the terminal that stdout is, if it is one.
fn terminal_width() -> Option<usize> {
    columns_of(&io::stdout())
}

/// Columns of the terminal that `stream` is, if it is one.
fn columns_of(stream: &(impl IsTerminal + AsFd)) -> Option<usize> {
    let size = stream.is_terminal().then(|| rustix::termios::tcgetwinsize(stream).ok()).flatten();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Text without anything that acts on a terminal: escape sequences, control characters but tab and line break, and the
/// marks that turn the direction of what follows.
pub(crate) fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => skip_escape(&mut characters),
            '\u{9b}' => skip_until(&mut characters, |c| ('@'..='~').contains(&c)),
            '\n' | '\t' => clean.push(character),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => {}
            other if other.is_control() => {}
            other => clean.push(other),
        }
    }
    clean
}

/// Skips the rest of an escape sequence: a control sequence up to its final byte, an operating system command up to its
/// terminator, any other a character long (ECMA-48).
fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.next_if(|c| !matches!(c, '\n' | '\u{1b}')) {
        Some('[') => skip_until(characters, |c| ('@'..='~').contains(&c)),
        Some(']' | 'P' | 'X' | '^' | '_') => skip_until(characters, |c| c == '\u{7}' || c == '\\'),
        _ => {}
    }
}

/// Skips to `last` and over it, but never beyond the line.
fn skip_until(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, last: impl Fn(char) -> bool) {
    while let Some(character) = characters.next_if(|c| *c != '\n') {
        if last(character) {
            return;
        }
    }
}

/// Rows as aligned columns, two spaces apart: the first to the left, the others to the right. Rows may differ in length.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell_width = |row: &Vec<String>, column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|column| rows.iter().map(|row| cell_width(row, column)).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate();
        let cells = cells
            .map(|(at, (cell, &width))| if at == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// What was printed.
    #[derive(Clone, Default)]
    pub(crate) struct Captured {
        pub(crate) out: SharedOutput,
        pub(crate) err: SharedOutput,
    }

    #[derive(Clone, Default)]
    pub(crate) struct SharedOutput(Arc<Mutex<Vec<u8>>>);

    impl SharedOutput {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for SharedOutput {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A printer that keeps what it prints.
    pub(crate) fn captured(verbosity: Verbosity, colour: bool) -> (Printer, Captured) {
        let captured = Captured::default();
        (over(captured.out.clone(), captured.err.clone(), verbosity, colour), captured)
    }

    pub(crate) fn over(
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
        verbosity: Verbosity,
        colour: bool,
    ) -> Printer {
        let streams = Streams { out: Mutex::new(Box::new(out)), err: Mutex::new(Box::new(err)) };
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        Printer {
            streams: Arc::new(streams),
            verbosity,
            colour,
            terminal: colour.then_some(80),
            err_columns: None,
            bars,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{captured, over};
    use super::*;

    #[test]
    fn untrusted_text_cannot_act_on_a_terminal() {
        for (text, expected) in [
            ("plain\ttext\nzwei Zeilen – 你好", "plain\ttext\nzwei Zeilen – 你好"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{1b}]0;title\u{7}b\u{1b}]8;;http://x\u{1b}\\link", "ablink"),
            ("a\u{1b}cb\u{9b}2Jc\rd\u{8}e\u{0}", "abcde"),
            ("cut\u{1b}[", "cut"),
            ("open\u{1b}]never closed\nnext", "open\nnext"),
            ("\u{202e}abc\u{202c}", "abc"),
        ] {
            assert_eq!(clean(text), expected, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn clean_text_stays_as_it_is(text in ".*") {
            let once = clean(&text);
            proptest::prop_assert!(!once.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            proptest::prop_assert_eq!(clean(&once), once);
        }
    }

    #[test]
    fn data_and_talk_go_to_different_streams() {
        let failure =
            Failure { causes: vec!["why\u{7}".to_owned()], ..Failure::new(ExitCode::Io, "what") }.with_hint("do it");
        let (printer, captured) = captured(Verbosity::default(), false);
        printer.data("row").unwrap();
        printer.note("note");
        printer.detail("detail");
        printer.warning("care");
        printer.failure(&failure);
        assert_eq!(captured.out.text(), "row\n");
        assert_eq!(captured.err.text(), "note\nwarning: care\nerror: what\n  caused by: why\nhint: do it\n");
    }

    #[test]
    fn a_page_is_styled_on_a_terminal_only_and_never_by_what_it_says() {
        let span = |text: &str, style| Span { text: text.to_owned(), style };
        let lines = [vec![span("Ann\u{1b}[2J", "36"), span("  hi\u{7}", "")], vec![span("  ", "1")]];
        let shown = |colour| {
            let (printer, captured) = captured(Verbosity::default(), colour);
            printer.page(&lines).unwrap();
            captured.out.text()
        };
        assert_eq!(shown(false), "Ann  hi\n\n");
        assert_eq!(shown(true), "\u{1b}[36mAnn\u{1b}[0m  hi\n\u{1b}[1m  \u{1b}[0m\n");
    }

    #[test]
    fn quiet_leaves_data_and_errors() {
        let (printer, captured) = captured(Verbosity { quiet: true, verbose: 0 }, true);
        printer.data("row").unwrap();
        printer.note("note");
        printer.warning("care");
        printer.failure(&Failure::new(ExitCode::Io, "what"));
        assert_eq!(captured.out.text(), "row\n");
        assert_eq!(captured.err.text(), "\u{1b}[1;31merror:\u{1b}[0m what\n");
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure_and_a_full_disk_is_one() {
        struct Broken(io::ErrorKind);
        impl Write for Broken {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let printer = over(Broken(io::ErrorKind::BrokenPipe), io::sink(), Verbosity::default(), false);
        assert_eq!(printer.data("row"), Ok(()));
        let printer = over(Broken(io::ErrorKind::StorageFull), io::sink(), Verbosity::default(), false);
        assert_eq!(printer.data("row").unwrap_err().code, ExitCode::Io);
    }

    #[test]
    fn columns_line_up() {
        let rows = [["stage", "accepted"], ["personas", "24"], ["é", "3"]];
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        assert_eq!(table(&rows), "stage     accepted\npersonas        24\né                3");
        assert_eq!(table(&[]), "");
    }
}
