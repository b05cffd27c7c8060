//! From finished runs to a published dataset: compiled together, uploaded under a version that derives from the content,
//! verified, and only then pointed at.

pub mod azure;
pub mod destination;
pub mod error;
pub mod folder;
