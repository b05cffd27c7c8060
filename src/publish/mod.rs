//! From finished runs to a published dataset: compiled together, uploaded under a version that derives from the content,
//! verified, and only then pointed at.
//!
//! ```text
//! runs ─► collect ─► merge ─► compile into the work folder ─► send: data, listing, manifest, pointer
//! ```
//!
//! * [`flow`]: all of it in order. [`collect`] and [`merge`]: the records of several runs as those of one dataset. [`work`]:
//!   where it is compiled. `parts`: runs that several processes made.
//! * [`version`] and [`pointer`](mod@pointer): where things lie, and `latest.json`. `standing`, `send`, [`verify`], [`gc`]: what is there,
//!   getting the rest there, reading it back, removing what is old. [`receipts`]: what was written, [`summary`] what it came
//!   to, [`watch`](mod@watch) what is shown on the way.
//! * [`destination`]: the few operations that all of this needs, offered by [`azure`] and [`folder`]. `hub`: a repository of the
//!   Hugging Face hub, where a commit is what versions and pointer are elsewhere.
//!
//! Interrupted anywhere, the same call goes on: what is at the destination is compared by name, size and hash and not sent
//! again. No step depends on anything that an earlier process remembered.

pub(crate) mod azure;
pub(crate) mod blob;
pub(crate) mod collect;
pub(crate) mod destination;
mod enough;
pub(crate) mod error;
pub(crate) mod flow;
pub(crate) mod folder;
pub(crate) mod gc;
mod hub;
pub(crate) mod merge;
mod parts;
pub(crate) mod pointer;
pub(crate) mod receipts;
mod send;
mod standing;
pub(crate) mod summary;
#[cfg(test)]
mod tests;
pub(crate) mod verify;
pub(crate) mod version;
pub(crate) mod watch;
pub(crate) mod work;
