//! Synthetic multi-party conversation datasets from LLM agents.
//!
//! ```text
//! personas ──► situations ──► dedup ──► conversations ──► dedup ──► compile
//! ```

pub mod cli;
pub mod clock;
pub mod config;
pub mod draw;
pub mod llm;
pub mod pipeline;
pub mod prompt;
pub mod record;
pub mod stages;
pub mod store;
