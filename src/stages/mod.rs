//! The stages, in the order of the data.

pub mod compile;
pub mod conversations;
pub mod dedup;
pub mod personas;
mod progress;
pub mod situations;

pub use progress::{Look, Progress};
