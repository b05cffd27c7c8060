//! What people made of a run: read from the file that its page saves, held against the run, and put into a fork of it.
//!
//! ```text
//! {"kind": "convogen review", "version": 1, "run", "conversations", "reviewer", "rows"}
//! {"id", "hash", "verdict": "accept" | "reject" | null, "from_turn", "comment", "labels": {}, "edits": [{"turn", "original", "text"}]}
//! ```
//!
//! `conversations` is the hash of the manifest that was looked at, `rows` how many lines follow: a file of another run, of a
//! changed one or torn is known by them. [`apply`](apply::apply) makes the fork, [`agreement`] compares reviewers.

pub(crate) mod agreement;
pub(crate) mod apply;
pub(crate) mod compare;
mod edits;
mod file;
mod pairs;

pub(crate) use file::ReviewError;
