//! From arrays back to records.

use std::iter::Zip;
use std::slice::Iter;

use arrow_array::{Array, ArrayRef, StructArray};

use super::cell::FieldCell;
use super::convert::convert;
use super::{ArrowRecord, Column, TableError};

/// One row of the columns of a record, which are read in their order.
#[derive(Debug)]
pub(crate) struct RowCells<'a> {
    columns: Zip<Iter<'static, Column>, Iter<'a, ArrayRef>>,
    row: usize,
}

impl RowCells<'_> {
    /// The value of the next column.
    pub(super) fn next<T: FieldCell>(&mut self) -> Result<T, TableError> {
        let (column, array) =
            self.columns.next().unwrap_or_else(|| unreachable!("a record is made of its columns, each read once"));
        T::read(array, self.row, column)
    }
}

/// The records of an array of objects.
pub(super) fn records<R: ArrowRecord>(array: &StructArray) -> Result<Vec<R>, TableError> {
    let arrays = R::COLUMNS.iter().map(|column| find::<R>(array, column)).collect::<Result<Vec<_>, _>>()?;
    let cells = |row| RowCells { columns: R::COLUMNS.iter().zip(&arrays), row };
    (0..array.len()).map(|row| R::from_cells(cells(row))).collect()
}

/// A column by its name, in the type it should have. Lists are converted item by item as they are read, so that their
/// fields too are found by name.
fn find<R: ArrowRecord>(array: &StructArray, column: &Column) -> Result<ArrayRef, TableError> {
    let expected = column.kind.data_type();
    let missing = || TableError::Column { column: column.name, expected: expected.to_string(), table: R::NAME };
    array.column_by_name(column.name).and_then(|found| convert(found, column.kind)).ok_or_else(missing)
}
