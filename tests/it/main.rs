//! Integration tests, one program. Each module tests one part through its public face, against real sockets and files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::similar_names,
    reason = "tests say what they expect of their own fixtures"
)]

#[path = "../support/mod.rs"]
mod support;

mod alike;
mod architecture;
mod augmentation;
mod bad_input;
mod batch;
mod checking;
mod compile;
mod dedup;
mod explain;
mod export;
mod flow;
mod gc;
mod judge;
mod languages;
mod library;
mod limits;
mod losses;
mod misbehaviour;
mod page;
mod preview;
mod private;
mod publish_folder;
mod recording;
mod reference;
mod report;
mod safety;
mod same_bytes;
mod shards;
mod show;
mod signals;
#[cfg(feature = "otlp")]
mod spans;
mod spend;
mod streamed;
mod trouble;
mod upstream;
mod words;
