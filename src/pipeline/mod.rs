//! A run from end to end: what is asked of it, what it is made of, and looking at it from outside.
//!
//! * [`run`](mod@run): makes, resumes or confirms a run; `stages` has its stages in order, `fork` what it takes over from another.
//! * [`identity`]: the settings and texts that make a run this run. [`models`]: the models by role. [`ledger`]: outcomes and spend.
//! * [`finished`]: what a finished run made, for those who use it.
//! * [`preview`]: a look before a run. [`status`], [`explain`](mod@explain), [`plan`](mod@plan), [`verify`](mod@verify): looking
//!   without touching. [`gc`](mod@gc): removes what a finished run needs no more.

pub mod error;
pub mod explain;
pub mod finished;
mod fork;
pub mod gc;
pub mod identity;
pub mod ledger;
#[cfg(test)]
mod low_space;
pub mod models;
pub mod plan;
pub mod preview;
pub mod run;
mod stages;
pub mod status;
pub mod verify;
