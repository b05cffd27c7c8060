//! What lies at a destination, and how a write of it ended.

use std::sync::Arc;

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Where it is.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// SHA-256 (lower-case hex) as whoever wrote it noted; not computed from the content. A local file has no such note.
    pub sha256: Option<String>,
}

/// A state of a blob, for conditional replacement: an entity tag, or a hash for a local file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(pub String);

/// How a create-only write ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// It was written, wholly or the rest of it.
    Written,
    /// The same content was there already; nothing was sent.
    AlreadyThere,
}

/// Told of every piece that arrived, or was found to have arrived before: (bytes, whether they were sent now).
pub(crate) type OnBytes = Arc<dyn Fn(u64, bool) + Send + Sync>;
