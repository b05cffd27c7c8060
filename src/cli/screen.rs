//! The terminal as bars are drawn on it, with room for what Ctrl-C writes.
//!
//! indicatif fills the last line that it draws and leaves the cursor at its end. From there the `^C` that a terminal writes for
//! Ctrl-C goes to the next line, and clearing the bar begins a line too low: its first line is left behind.

use std::io;

use console::Term;
use indicatif::{ProgressDrawTarget, TermLike};

/// Columns kept free: for `^C` twice, since a second one stops at once.
pub(super) const FOR_ECHO: u16 = 4;

/// Times a second that a bar is drawn, at most: what indicatif takes for a terminal.
const DRAWN_A_SECOND: u8 = 20;

/// A terminal whose cursor rests [`FOR_ECHO`] columns before the end of the line once something was drawn.
#[derive(Debug)]
struct RoomyTerm(Term);

/// Where bars are drawn.
pub(super) fn bar_target() -> ProgressDrawTarget {
    ProgressDrawTarget::term_like_with_hz(Box::new(RoomyTerm(Term::buffered_stderr())), DRAWN_A_SECOND)
}

impl TermLike for RoomyTerm {
    fn width(&self) -> u16 {
        TermLike::width(&self.0)
    }

    fn height(&self) -> u16 {
        TermLike::height(&self.0)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        // At the start of a line, where the cursor is when all is cleared, this does nothing.
        self.0.move_cursor_left(usize::from(FOR_ECHO))?;
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use indicatif::{ProgressBar, ProgressStyle};

    use super::*;

    #[test]
    fn behind_a_bar_there_is_room_for_what_ctrl_c_writes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let term = Term::read_write_pair(file.reopen().unwrap(), file.reopen().unwrap());
        let columns = usize::from(TermLike::width(&term));
        let bar = ProgressBar::with_draw_target(Some(3), ProgressDrawTarget::term_like(Box::new(RoomyTerm(term))));
        bar.set_style(ProgressStyle::with_template("{msg}").unwrap());
        bar.set_message("two\nlines");
        bar.tick();
        let drawn = crate::store::fs::read_to_string(file.path()).unwrap();
        let last = &drawn[drawn.rfind("lines").unwrap()..];
        assert_eq!(last, format!("{:columns$}\u{1b}[{FOR_ECHO}D", "lines"), "{drawn:?}");
    }
}
