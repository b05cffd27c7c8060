//! What integration tests stand on.

pub(crate) mod azurite;
pub(crate) mod certificate;
pub(crate) mod endpoint;
pub(crate) mod fault_proxy;
pub(crate) mod project;
pub(crate) mod prose;
pub(crate) mod sas;
pub(crate) mod script;
pub(crate) mod sums;
pub(crate) mod values;
pub(crate) mod wire;
