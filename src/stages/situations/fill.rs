//! How well the accepted situations fill the coverage grid: what share each value was to have, and what it got.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::coverage::Coverage;
use crate::stages::sealed::Sealed;
use crate::store::checkpoint::{CheckpointError, SealedStage};

/// One value of an attribute of the grid.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Fill {
    /// The attribute.
    pub attribute: String,
    /// The value.
    pub value: String,
    /// The share of all situations it was to have, 0 to 1.
    pub wanted: f64,
    /// The share of the accepted situations it has, 0 to 1.
    pub got: f64,
    /// How many accepted situations have it.
    pub situations: u64,
}

/// What a situation says of its cell.
#[derive(Deserialize)]
struct Celled {
    attributes: String,
}

/// Every value of `grid`, as the accepted situations of a run fill it.
///
/// # Errors
/// If a sealed row cannot be read.
pub(crate) fn fill(grid: &Coverage, situations: SealedStage) -> Result<Vec<Fill>, CheckpointError> {
    let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
    let mut all = 0;
    for row in Sealed::<Celled>::of(situations).rows()? {
        all += 1;
        let cell: BTreeMap<String, String> = serde_json::from_str(&row?.attributes).unwrap_or_default();
        for pair in cell {
            *counts.entry(pair).or_default() += 1;
        }
    }
    let of_value = |attribute: &str, (value, wanted): &(String, f64)| {
        let situations = counts.get(&(attribute.to_owned(), value.clone())).copied().unwrap_or_default();
        let got = situations as f64 / f64::max(f64::from(all), 1.0);
        Fill { attribute: attribute.to_owned(), value: value.clone(), wanted: *wanted, got, situations }
    };
    let fills = grid.attributes().flat_map(|name| grid.shares(name).iter().map(move |share| (name, share)));
    Ok(fills.map(|(name, share)| of_value(name, share)).collect())
}
