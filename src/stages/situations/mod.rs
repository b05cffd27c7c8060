//! (to come)

pub mod casting;
pub mod coverage;
pub mod names;
