//! What integration tests stand on.

#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) mod azurite;
pub(crate) mod batch;
pub(crate) mod certificate;
pub(crate) mod endpoint;
#[allow(clippy::unnecessary_wraps, reason = "one arm of a match on outcomes")]
pub(crate) mod fault_proxy;
pub(crate) mod hub;
pub(crate) mod project;
pub(crate) mod prose;
pub(crate) mod sas;
pub(crate) mod script;
pub(crate) mod sums;
#[allow(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) mod upstream;
pub(crate) mod values;
pub(crate) mod wire;
