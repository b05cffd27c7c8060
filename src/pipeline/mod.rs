//! A run from end to end: what is asked of it, what it is made of, and looking at it from outside.
//!
//! * [`run`](mod@run): makes, resumes or confirms a run; `stages` has its stages in order, `fork` what it takes over from another.
//! * [`identity`]: the settings and texts that make a run this run. [`models`]: the models by role. [`ledger`]: outcomes and spend.
//! * [`finished`]: what a finished run made, for those who use it.
//! * [`preview`]: a look before a run. [`status`], [`explain`](mod@explain), [`plan`](mod@plan), [`verify`](mod@verify), [`tries`], [`check`](mod@check): looking
//!   without touching. [`target`]: how near a run came; [`reasons`], [`next_steps`](mod@next_steps): its losses, and what to do. [`gc`](mod@gc): removes what a finished run needs no more.
//! * [`review`]: what people made of a run, put into a fork of it.

pub(crate) mod check;
pub(crate) mod error;
pub(crate) mod explain;
pub(crate) mod finished;
mod fork;
pub(crate) mod gc;
pub(crate) mod identity;
mod job;
pub(crate) mod layouts;
pub(crate) mod ledger;
#[cfg(test)]
mod low_space;
pub(crate) mod models;
pub(crate) mod next_steps;
pub(crate) mod plan;
pub(crate) mod preview;
pub(crate) mod reasons;
mod recording;
pub(crate) mod review;
pub(crate) mod run;
pub(crate) mod show;
mod stages;
pub(crate) mod status;
pub(crate) mod stopped;
pub(crate) mod target;
mod text_diff;
pub(crate) mod tries;
pub(crate) mod verify;
