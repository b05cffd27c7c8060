//! `convogen compile-upload` against a real Azurite, through a proxy that makes requests fail in every way: what readers
//! can see is whole or absent at every moment, and the next run ends what an interrupted one began.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests say what they expect of their own fixtures"
)]

#[path = "../support/mod.rs"]
mod support;

mod blocks;
mod damage;
mod executioner;
mod gc;
mod hub;
mod kills;
mod layout;
mod reading;
mod replies;
mod rivals;
mod scene;
mod secrets;
mod sign_in;
mod upstream;
