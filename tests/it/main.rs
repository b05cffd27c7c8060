//! Integration tests, one program. Each module tests one part through its public face, against real sockets and files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::similar_names,
    reason = "tests say what they expect of their own fixtures"
)]

#[path = "../support/mod.rs"]
mod support;

mod azure_blobs;
mod bad_input;
mod endpoints;
mod explain;
mod flow;
mod misbehaviour;
mod publish_folder;
mod same_bytes;
mod signals;
mod spend;
mod trouble;
