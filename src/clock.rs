//! The one place that looks at clocks for people's sake. Nothing it returns reaches the data.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Wall-clock and CPU time since it was started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch {
    started: Instant,
}

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Time since the start, on the monotonic clock.
    pub(crate) fn wall(&self) -> Duration {
        self.started.elapsed()
    }
}

/// CPU time of this process, all threads.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Nanoseconds since 1970, for what must differ from all before it, and for traces.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn unix_nanos() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos())
}

/// Seconds since 1970, for messages, logs and run ids.
#[expect(clippy::disallowed_methods, reason = "this is the clock")]
pub(crate) fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
