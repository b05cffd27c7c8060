//! From finished runs to a published dataset: compiled together, uploaded under a version that derives from the content,
//! verified, and only then pointed at.
//!
//! ```text
//! runs ─► collect ─► merge ─► compile into the work folder ─► send: data, listing, manifest, pointer
//! ```
//!
//! * [`flow`]: all of it in order. [`collect`] and [`merge`]: the records of several runs as those of one dataset. [`work`]:
//!   where it is compiled.
//! * [`version`] and [`pointer`](mod@pointer): where things lie, and `latest.json`. `standing`, `send`, [`verify`], [`gc`]: what is there,
//!   getting the rest there, reading it back, removing what is old. [`receipts`]: what was written, [`summary`] what it came
//!   to, [`watch`](mod@watch) what is shown on the way.
//! * [`destination`]: the few operations that all of this needs, offered by [`azure`] and [`folder`].
//!
//! Interrupted anywhere, the same call goes on: what is at the destination is compared by name, size and hash and not sent
//! again. No step depends on anything that an earlier process remembered.

pub mod azure;
pub mod blob;
pub mod collect;
pub mod destination;
pub mod error;
pub mod flow;
pub mod folder;
pub mod gc;
pub mod merge;
pub mod pointer;
pub mod receipts;
mod send;
mod standing;
pub mod summary;
#[cfg(test)]
mod tests;
pub mod verify;
pub mod version;
pub mod watch;
pub mod work;
