//! Where a stage stands, in words: beside a bar, or as a line where there is none.

use std::time::Duration;

use super::{duration, thousands};
use crate::pipeline::ledger::Spend;
use crate::stages::ProgressSnapshot;

/// Columns of a bar.
pub(super) const BAR: usize = 16;
/// Columns in front of the words beside a bar: the stage, a spinner, the bar, and what is between them.
pub(super) const BEFORE: usize = 13 + 1 + 1 + 1 + BAR + 2;
/// What the second line begins with.
const INDENT: &str = "  ";
/// What stands between two parts.
const BETWEEN: &str = " · ";

/// Where the stage at work stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing<'a> {
    pub(super) seen: ProgressSnapshot,
    /// Since the stage began.
    pub(super) elapsed: Duration,
    /// Seconds to come.
    pub(super) left: Option<f64>,
    /// Whether all of late was taken from the record.
    pub(super) replaying: bool,
    /// Whether nothing new is begun.
    pub(super) stopping: bool,
    /// Calls on their way.
    pub(super) in_flight: u64,
    pub(super) spend: &'a Spend,
    /// What calls wait for.
    pub(super) delays: &'a [String],
}

impl Standing<'_> {
    /// Two lines beside a bar on a terminal of so many columns. A part that does not fit is left out as a whole.
    pub(super) fn beside_bar(&self, columns: usize) -> String {
        let head: Vec<String> = self.position().into_iter().chain(self.time_left()).collect();
        let first = fitting(&head, columns.saturating_sub(BEFORE));
        let second = fitting(&self.rest(), columns.saturating_sub(INDENT.len()));
        if second.is_empty() { first } else { format!("{first}\n{INDENT}{second}") }
    }

    /// One line where there is no terminal.
    pub(super) fn line(&self) -> String {
        let parts = self.position().into_iter().chain(self.time_left()).chain(self.rest());
        format!("{}: {}", self.seen.stage, parts.collect::<Vec<_>>().join(", "))
    }

    /// How far it is.
    fn position(&self) -> Option<String> {
        let ProgressSnapshot { wanted, done, accepted, work, unit, left, .. } = self.seen;
        match (unit, left) {
            (Some(unit), _) if self.stopping => Some(format!("{} {unit}", thousands(work))),
            (Some(unit), Some(left)) => {
                let all = whole(work as f64 + left.units);
                Some(format!("{} of about {} {unit}", thousands(work), thousands(all)))
            }
            _ if wanted > 0 => Some(format!("{} of {}", thousands(accepted), thousands(wanted))),
            _ if done > 0 => Some(format!("{} rows", thousands(done))),
            _ => None,
        }
    }

    /// The time to come.
    fn time_left(&self) -> Option<String> {
        if self.stopping {
            return Some("stopping".to_owned());
        }
        if self.replaying {
            return Some("taken from the record".to_owned());
        }
        self.left.map(|left| format!("{} left", roughly(left)))
    }

    /// Everything else, what matters most first.
    fn rest(&self) -> Vec<String> {
        let ProgressSnapshot { wanted, done, accepted, unit, .. } = self.seen;
        let mut parts = self.delays.to_vec();
        parts.push(format!("{} so far", duration(self.elapsed.as_secs_f64())));
        if self.in_flight > 0 {
            parts.push(format!("{} calls in flight", thousands(self.in_flight)));
        }
        if unit.is_some() {
            parts.push(format!("{} of {} done", thousands(done), thousands(wanted)));
        } else if wanted > 0 && done > accepted {
            parts.push(format!("{} not accepted", thousands(done - accepted)));
        }
        parts.extend(self.spent());
        parts
    }

    fn spent(&self) -> Vec<String> {
        let Spend { calls, prompt_tokens, completion_tokens, estimated, cost, currency, .. } = self.spend;
        let mut parts = Vec::new();
        if let Some(cost) = cost {
            parts.push(format!("cost {cost:.2} {}", currency.as_deref().unwrap_or_default()).trim_end().to_owned());
        }
        if *calls > 0 {
            parts.push(format!("{} calls", thousands(*calls)));
            let about = if estimated.prompt_tokens + estimated.completion_tokens > 0 { "about " } else { "" };
            parts.push(format!("{about}{} tokens", thousands(prompt_tokens + completion_tokens)));
        }
        parts
    }
}

/// As many of the parts as `columns` have room for, in their order, each whole.
fn fitting(parts: &[String], columns: usize) -> String {
    let mut line = String::new();
    for part in parts {
        let between = if line.is_empty() { "" } else { BETWEEN };
        if (line.chars().count() + between.chars().count() + part.chars().count()) <= columns {
            line = line + between + part;
        }
    }
    line
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of units")]
fn whole(units: f64) -> u64 {
    units.round() as u64
}

/// A time that is an estimate, no finer than it can be known: seconds by fives, minutes whole from ten on.
pub(in crate::cli) fn roughly(seconds: f64) -> String {
    match seconds {
        0.0..60.0 => format!("{} s", (seconds / 5.0).ceil().max(1.0) * 5.0),
        60.0..600.0 => duration((seconds / 10.0).round() * 10.0),
        600.0..3600.0 => format!("{:.0} min", seconds / 60.0),
        _ => duration(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::WorkLeft;

    fn spend() -> Spend {
        let cost = Some(0.125);
        let currency = Some("USD".to_owned());
        Spend { calls: 1_104, prompt_tokens: 41_022, completion_tokens: 8_000, cost, currency, ..Spend::default() }
    }

    fn standing(spend: &Spend) -> Standing<'_> {
        let left = WorkLeft { units: 84.2, open: 6, longest: 8.0, more_to_begin: true };
        let seen = ProgressSnapshot {
            stage: "conversations",
            wanted: 16,
            done: 5,
            accepted: 4,
            work: 52,
            unit: Some("turns"),
            left: Some(left),
        };
        let elapsed = Duration::from_secs(123);
        Standing {
            seen,
            elapsed,
            left: Some(72.0),
            replaying: false,
            stopping: false,
            in_flight: 6,
            spend,
            delays: &[],
        }
    }

    #[test]
    fn no_line_is_longer_than_the_terminal_and_no_part_is_cut() {
        let spend = spend();
        let delays = ["7 calls wait 12 s".to_owned()];
        let standing = Standing { delays: &delays, ..standing(&spend) };
        let all = [standing.position(), standing.time_left()];
        let parts: Vec<String> = all.into_iter().flatten().chain(standing.rest()).collect();
        for columns in 20..=160 {
            for (at, line) in standing.beside_bar(columns).lines().enumerate() {
                let taken = line.chars().count() + if at == 0 { BEFORE } else { 0 };
                assert!(taken <= columns || line.is_empty(), "{columns} columns: {line}");
                let said = line.trim().split(BETWEEN).filter(|part| !part.is_empty());
                for part in said {
                    assert!(parts.iter().any(|whole| whole == part), "{columns} columns cut {part:?}");
                }
            }
        }
    }

    #[test]
    fn a_conversation_stage_counts_in_turns_and_says_what_is_on_its_way() {
        let spend = spend();
        assert_eq!(
            standing(&spend).beside_bar(80),
            "52 of about 136 turns · 1 min 10 s left\n  2 min 03 s so far · 6 calls in flight · 5 of 16 done · cost 0.12 USD"
        );
        assert_eq!(
            standing(&spend).line(),
            "conversations: 52 of about 136 turns, 1 min 10 s left, 2 min 03 s so far, 6 calls in flight, 5 of 16 done, cost 0.12 USD, 1,104 calls, 49,022 tokens"
        );
        let replaying = Standing { replaying: true, left: None, ..standing(&spend) };
        assert!(replaying.line().contains("taken from the record"), "{}", replaying.line());
        let stopping = Standing { stopping: true, ..standing(&spend) };
        assert!(stopping.line().starts_with("conversations: 52 turns, stopping, "), "{}", stopping.line());
    }

    #[test]
    fn an_estimate_is_no_finer_than_it_can_be_known() {
        let told = [0.4, 5.1, 59.0, 74.0, 601.0, 3_700.0].map(roughly);
        assert_eq!(told, ["5 s", "10 s", "60 s", "1 min 10 s", "10 min", "1 h 01 min"]);
    }
}
