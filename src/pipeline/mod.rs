//! A run from end to end: what is asked of it, what it is made of, and looking at it from outside.
//!
//! * [`run`](mod@run): makes, resumes or confirms a run; `steps` holds its stages in order, `seal` their common contract,
//!   `reopen` what makes them anew, [`executor`] the conversations in flight, [`course`] what each of them goes through.
//! * [`identity`] and [`inputs`]: the settings and texts that make a run this run.
//! * [`models`]: the models by role. [`ledger`]: outcomes and spend.
//! * [`finished`]: what a finished run made, for those who use it; `uses` what its dataset card says of models and prompts.
//! * [`preview`]: a look before a run. [`status`] with [`fill`], [`explain`](mod@explain), [`plan`](mod@plan), [`verify`](mod@verify):
//!   looking without touching. [`gc`](mod@gc): removes what a finished run needs no more.

pub mod course;
pub mod error;
pub mod executor;
pub mod explain;
pub mod fill;
pub mod finished;
pub mod gc;
pub mod identity;
pub mod inputs;
pub mod ledger;
#[cfg(test)]
mod low_space;
pub mod models;
pub mod plan;
pub mod preview;
mod reopen;
pub mod run;
mod seal;
pub mod status;
mod steps;
mod uses;
pub mod verify;
