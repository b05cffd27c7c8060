//! What publishing shows to whoever watches it.

use std::sync::Arc;

use super::blob::OnBytes;

/// Told that a phase begins, and how many bytes it has; 0 where that is not known.
type Begin = Box<dyn Fn(&'static str, u64) + Send + Sync>;

/// Told how many rows are compiled, and of how many.
type Rows = Box<dyn Fn(u64, u64) + Send + Sync>;

/// Told something that people should know.
type Notice = Box<dyn Fn(String) + Send + Sync>;

/// What publishing shows to whoever watches it.
pub struct PublishWatch {
    /// Told of every piece that was sent, read, or found to be there.
    pub bytes: OnBytes,
    /// A phase begins.
    pub phase: Begin,
    /// A row was compiled.
    pub rows: Rows,
    /// Something people should know.
    pub notice: Notice,
}

impl Default for PublishWatch {
    /// Nobody watches.
    fn default() -> Self {
        Self {
            bytes: Arc::new(|_, _| {}),
            phase: Box::new(|_, _| {}),
            rows: Box::new(|_, _| {}),
            notice: Box::new(|_| {}),
        }
    }
}

impl std::fmt::Debug for PublishWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PublishWatch").finish_non_exhaustive()
    }
}

impl PublishWatch {
    pub(super) fn begin(&self, phase: &'static str, bytes: u64) {
        (self.phase)(phase, bytes);
    }
}
