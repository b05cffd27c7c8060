//! From arrays back to records.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, StructArray};

use super::convert::convert;
use super::{ArrowRecord, Column, TableError};

/// One row of a [`StructArray`] whose columns are those of a record, in their order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowCells<'a> {
    columns: &'static [Column],
    arrays: &'a [ArrayRef],
    row: usize,
}

/// The records of an array of objects.
pub(super) fn records<R: ArrowRecord>(array: &StructArray) -> Result<Vec<R>, TableError> {
    let arrays = R::COLUMNS.iter().map(|column| find::<R>(array, column)).collect::<Result<Vec<_>, _>>()?;
    (0..array.len()).map(|row| R::from_cells(RowCells { columns: R::COLUMNS, arrays: &arrays, row })).collect()
}

/// A column by its name, in the type it should have. Lists are converted item by item as they are read, so that their
/// fields too are found by name.
fn find<R: ArrowRecord>(array: &StructArray, column: &Column) -> Result<ArrayRef, TableError> {
    let expected = column.kind.data_type();
    let missing = || TableError::Column { column: column.name, expected: expected.to_string(), table: R::NAME };
    array.column_by_name(column.name).and_then(|found| convert(found, column.kind)).ok_or_else(missing)
}

impl<'a> RowCells<'a> {
    /// A string that must be there.
    pub(crate) fn string(self, column: &'static str) -> Result<String, TableError> {
        self.optional(column)?.ok_or(TableError::Null { column, row: self.row })
    }

    /// A string or null.
    pub(crate) fn optional(self, column: &'static str) -> Result<Option<String>, TableError> {
        let array = self.array(column)?.as_string_opt::<i32>().ok_or_else(|| self.mismatch(column))?;
        Ok(array.is_valid(self.row).then(|| array.value(self.row).to_owned()))
    }

    /// A number of 32 bits.
    pub(crate) fn uint32(self, column: &'static str) -> Result<u32, TableError> {
        let array = self.array(column)?.as_primitive_opt::<Int32Type>().ok_or_else(|| self.mismatch(column))?;
        let value = array.is_valid(self.row).then(|| array.value(self.row));
        let value = value.ok_or(TableError::Null { column, row: self.row })?;
        u32::try_from(value).map_err(|_| TableError::OutOfRange { column, value: value.into() })
    }

    /// A number of 64 bits.
    pub(crate) fn uint64(self, column: &'static str) -> Result<u64, TableError> {
        let array = self.array(column)?.as_primitive_opt::<Int64Type>().ok_or_else(|| self.mismatch(column))?;
        let value = array.is_valid(self.row).then(|| array.value(self.row));
        let value = value.ok_or(TableError::Null { column, row: self.row })?;
        u64::try_from(value).map_err(|_| TableError::OutOfRange { column, value })
    }

    /// A list of objects. Null, which some writers put for an empty list, is empty.
    pub(crate) fn list<T: ArrowRecord>(self, column: &'static str) -> Result<Vec<T>, TableError> {
        let array = self.array(column)?.as_list_opt::<i32>().ok_or_else(|| self.mismatch(column))?;
        if array.is_null(self.row) {
            return Ok(Vec::new());
        }
        let items = array.value(self.row);
        records(items.as_struct_opt().ok_or_else(|| self.mismatch(column))?)
    }

    fn array(self, column: &'static str) -> Result<&'a ArrayRef, TableError> {
        let at = self.columns.iter().position(|known| known.name == column);
        at.and_then(|at| self.arrays.get(at)).ok_or_else(|| self.mismatch(column))
    }

    fn mismatch(self, column: &'static str) -> TableError {
        let known = self.columns.iter().find(|known| known.name == column);
        let expected = known.map(|known| known.kind.data_type().to_string()).unwrap_or_default();
        TableError::Column { column, expected, table: "such records" }
    }
}
