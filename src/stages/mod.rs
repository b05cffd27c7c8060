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

pub mod compile;
pub mod context;
pub mod conversations;
pub mod dedup;
pub mod error;
pub mod imported;
pub mod inputs;
pub mod judge;
pub mod personas;
mod progress;
pub mod safety;
pub mod sealed;
pub mod situations;
mod transcript;
mod window;
pub mod writer;

pub use progress::{Progress, ProgressSnapshot};
