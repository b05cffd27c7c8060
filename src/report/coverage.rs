//! How a coverage grid was filled.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::stages::situations::coverage::Coverage;

/// Most cells that are listed.
const CELLS: usize = 100;

/// Counts of attribute values and of cells.
#[derive(Debug, Default)]
pub(super) struct GridCounts {
    records: u64,
    attributes: BTreeMap<String, BTreeMap<String, u64>>,
    cells: BTreeMap<BTreeMap<String, String>, u64>,
}

/// How a coverage grid was filled.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CoverageFigures {
    /// Records with attributes.
    pub records: u64,
    /// Attribute, value, and how often it stands.
    pub attributes: BTreeMap<String, BTreeMap<String, ValueFill>>,
    /// Different cells that are filled.
    pub cells_filled: u64,
    /// Cells of the grid; `null` where the grid is not at hand.
    pub cells_possible: Option<u64>,
    /// The fullest cells, at most 100.
    pub cells: Vec<Cell>,
    /// The largest difference of a value's share from the expected one; `null` where the grid is not at hand.
    pub largest_gap: Option<f64>,
}

/// How often a value stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ValueFill {
    /// Records with it.
    pub count: u64,
    /// As a share.
    pub share: f64,
    /// The share the grid asks for; `null` where the grid is not at hand.
    pub expected: Option<f64>,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// A value for each attribute.
    pub values: BTreeMap<String, String>,
    /// Records in it.
    pub count: u64,
}

impl GridCounts {
    /// Counts the `attributes` column of a record; one that names none is passed over.
    pub(super) fn add(&mut self, json: &str) {
        let Ok(cell) = serde_json::from_str::<BTreeMap<String, String>>(json) else { return };
        if cell.is_empty() {
            return;
        }
        self.records += 1;
        for (name, value) in &cell {
            *self.attributes.entry(name.clone()).or_default().entry(value.clone()).or_default() += 1;
        }
        *self.cells.entry(cell).or_default() += 1;
    }

    /// Compared with the grid where it is at hand. `None` when no record has attributes.
    pub(super) fn figures(&self, grid: Option<&Coverage>) -> Option<CoverageFigures> {
        if self.records == 0 {
            return None;
        }
        let mut attributes: BTreeMap<String, BTreeMap<String, ValueFill>> = BTreeMap::new();
        for (name, value, expected) in grid.into_iter().flat_map(Coverage::all_shares) {
            let fill = ValueFill { expected: Some(expected), ..ValueFill::default() };
            attributes.entry(name.to_owned()).or_default().insert(value.to_owned(), fill);
        }
        for (name, values) in &self.attributes {
            for (value, count) in values {
                let fill = attributes.entry(name.clone()).or_default().entry(value.clone()).or_default();
                fill.count = *count;
                fill.share = *count as f64 / self.records as f64;
            }
        }
        let fills = attributes.values().flat_map(BTreeMap::values);
        let gap = fills.filter_map(|fill| Some((fill.share - fill.expected?).abs())).reduce(f64::max);
        let possible = attributes.values().map(|values| values.len() as u64).fold(1, u64::saturating_mul);
        Some(CoverageFigures {
            records: self.records,
            attributes,
            cells_filled: self.cells.len() as u64,
            cells_possible: grid.map(|_| possible),
            cells: self.fullest(),
            largest_gap: gap,
        })
    }

    fn fullest(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> =
            self.cells.iter().map(|(values, count)| Cell { values: values.clone(), count: *count }).collect();
        // Stable: equals stay in the order of their names.
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.count));
        cells.truncate(CELLS);
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_compared_value_by_value() {
        let yaml = "version: 1\nattributes:\n  tone: {values: {warm: 3, tense: 1}}\n  place: {values: {kitchen: 1}}\n";
        let grid = Coverage::parse(yaml, "grid.yaml".as_ref()).unwrap();
        let mut fill = GridCounts::default();
        for json in [r#"{"tone":"warm","place":"kitchen"}"#, r#"{"tone":"warm","place":"kitchen"}"#, "{}", "text"] {
            fill.add(json);
        }
        let figures = fill.figures(Some(&grid)).unwrap();
        let tones = &figures.attributes["tone"];
        assert_eq!(tones["warm"], ValueFill { count: 2, share: 1.0, expected: Some(0.75) });
        assert_eq!(tones["tense"], ValueFill { count: 0, share: 0.0, expected: Some(0.25) });
        assert_eq!((figures.records, figures.cells_filled, figures.cells_possible), (2, 1, Some(2)));
        assert_eq!(figures.largest_gap, Some(0.25));
        assert_eq!(figures.cells[0].count, 2);
        let alone = fill.figures(None).unwrap();
        assert_eq!((alone.cells_possible, alone.largest_gap), (None, None));
        assert_eq!(GridCounts::default().figures(Some(&grid)), None);
    }
}
