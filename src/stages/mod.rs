//! The stages, in the order of the data.

pub mod compile;
pub mod conversations;
pub mod dedup;
pub mod judge;
pub mod personas;
mod progress;
pub mod safety;
pub mod situations;
mod transcript;

pub use progress::{Look, Progress};
