//! The stages, in the order of the data.
//!
//! ```text
//! personas ──► situations ──► conversations ──► compile
//!         sealed rows    sealed rows       sealed rows
//! ```
//!
//! Every stage has one contract, and the same names in it: `run(context, sealed rows, fates)`. It reads the records of the stage
//! before one by one ([`sealed`]), works on them with what all stages share ([`context`]), and puts what became of each, in
//! order, where it is counted, written and sealed ([`writer`]). What becomes of an input is one type,
//! [`Fate`](crate::record::Fate). Removing duplicates is the last step of a stage: [`dedup`] is an adaptor it calls.

pub(crate) mod compile;
pub(crate) mod context;
pub(crate) mod conversations;
pub(crate) mod dedup;
pub(crate) mod error;
pub(crate) mod imported;
pub(crate) mod inputs;
pub(crate) mod judge;
pub(crate) mod personas;
mod progress;
pub(crate) mod rehearsal;
pub(crate) mod safety;
pub(crate) mod sealed;
pub(crate) mod situations;
mod transcript;
mod window;
pub(crate) mod writer;

pub(crate) use progress::{EachInput, OpenInput, Progress, ProgressSnapshot, WorkLeft};
