//! What is told of calls that wait.

use std::fmt;
use std::time::Duration;

use crate::net::retry::spoken;

/// Calls that wait to be made again, for people.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Delay {
    /// Calls of the last minute.
    pub(crate) calls: u64,
    /// Those of them that were turned away; 0 where the endpoint fails in another way.
    pub(crate) refused: u64,
    /// Until the last of those who wait goes on.
    pub(crate) wait: Duration,
    /// What the endpoint said, or what went wrong.
    pub(crate) said: String,
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { calls, refused, .. } = self;
        // What is over within the second is as good as a second to a reader.
        let wait = spoken(self.wait.max(Duration::from_secs(1)));
        if *refused > 0 {
            return write!(f, "rate-limited: {refused} of {calls} calls in the last minute, waiting {wait}");
        }
        write!(f, "no answer, trying again within {wait}")
    }
}
