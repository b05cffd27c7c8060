//! Tests of parts that no library user sees, against real servers and fixtures: compiled into the crate's own tests.
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

#[path = "../support"]
pub(crate) mod support {
    #![allow(dead_code, reason = "what these tests do not need, the integration tests do")]

    pub(crate) mod azurite;
    pub(crate) mod batch;
    pub(crate) mod certificate;
    pub(crate) mod endpoint;
    pub(crate) mod prose;
    pub(crate) mod sas;
    pub(crate) mod script;
    pub(crate) mod values;
    pub(crate) mod wire;
}

mod azure_blobs;
mod endpoints;
mod quality;
