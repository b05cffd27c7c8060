//! What integration tests stand on.

pub(crate) mod endpoint;
pub(crate) mod project;
pub(crate) mod prose;
pub(crate) mod script;
pub(crate) mod values;
