//! A field of a record as an array of its column, and back.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, ListArray, StringArray, StructArray};
use arrow_buffer::OffsetBuffer;

use super::{ArrowRecord, Column, ColumnKind, TableError, element, fields, read};

/// A type that a field of a record may have.
pub(super) trait FieldCell: Sized {
    /// What its column holds, where the record does not say otherwise.
    const KIND: ColumnKind;
    /// Whether its column may be null.
    const NULLABLE: bool = false;

    /// A column of `values`.
    fn array<'a>(values: impl Iterator<Item = &'a Self> + Clone, column: &'static str) -> Result<ArrayRef, TableError>
    where
        Self: 'a;

    /// The value in a row of a column.
    fn read(array: &ArrayRef, row: usize, column: &'static Column) -> Result<Self, TableError>;

    /// Bytes it takes in Arrow, no less than its text.
    fn weight(&self) -> usize;
}

impl FieldCell for String {
    const KIND: ColumnKind = ColumnKind::Text;

    fn array<'a>(values: impl Iterator<Item = &'a Self> + Clone, _: &'static str) -> Result<ArrayRef, TableError> {
        // To grow is to hold and to copy all of it again.
        let (count, bytes) = values.clone().fold((0, 0), |(count, bytes), text| (count + 1, bytes + text.len()));
        let mut texts = StringBuilder::with_capacity(count, bytes);
        values.for_each(|text| texts.append_value(text));
        Ok(Arc::new(texts.finish()))
    }

    fn read(array: &ArrayRef, row: usize, column: &'static Column) -> Result<Self, TableError> {
        Option::read(array, row, column)?.ok_or(TableError::Null { column: column.name, row })
    }

    /// The text and an offset.
    fn weight(&self) -> usize {
        self.len() + size_of::<i32>()
    }
}

impl FieldCell for Option<String> {
    const KIND: ColumnKind = ColumnKind::Text;
    const NULLABLE: bool = true;

    fn array<'a>(values: impl Iterator<Item = &'a Self> + Clone, _: &'static str) -> Result<ArrayRef, TableError> {
        Ok(Arc::new(values.map(Option::as_deref).collect::<StringArray>()))
    }

    fn read(array: &ArrayRef, row: usize, column: &'static Column) -> Result<Self, TableError> {
        let array = array.as_string_opt::<i32>().ok_or_else(|| mismatch(column))?;
        Ok(array.is_valid(row).then(|| array.value(row).to_owned()))
    }

    fn weight(&self) -> usize {
        self.as_deref().unwrap_or_default().len() + size_of::<i32>()
    }
}

impl FieldCell for u32 {
    const KIND: ColumnKind = ColumnKind::Int32;

    fn array<'a>(values: impl Iterator<Item = &'a Self> + Clone, column: &'static str) -> Result<ArrayRef, TableError> {
        let fit =
            |value: &u32| i32::try_from(*value).map_err(|_| TableError::OutOfRange { column, value: (*value).into() });
        Ok(Arc::new(values.map(fit).collect::<Result<Int32Array, _>>()?))
    }

    fn read(array: &ArrayRef, row: usize, column: &'static Column) -> Result<Self, TableError> {
        let value = number::<Int32Type>(array, row, column)?;
        Self::try_from(value).map_err(|_| TableError::OutOfRange { column: column.name, value: value.into() })
    }

    fn weight(&self) -> usize {
        size_of::<i32>()
    }
}

impl FieldCell for u64 {
    const KIND: ColumnKind = ColumnKind::Int64;

    fn array<'a>(values: impl Iterator<Item = &'a Self> + Clone, column: &'static str) -> Result<ArrayRef, TableError> {
        // What does not fit is shown as the largest number that does.
        let fit = |value: &u64| i64::try_from(*value).map_err(|_| TableError::OutOfRange { column, value: i64::MAX });
        Ok(Arc::new(values.map(fit).collect::<Result<Int64Array, _>>()?))
    }

    fn read(array: &ArrayRef, row: usize, column: &'static Column) -> Result<Self, TableError> {
        let value = number::<Int64Type>(array, row, column)?;
        Self::try_from(value).map_err(|_| TableError::OutOfRange { column: column.name, value })
    }

    fn weight(&self) -> usize {
        size_of::<i64>()
    }
}

impl<T: ArrowRecord> FieldCell for Vec<T> {
    const KIND: ColumnKind = ColumnKind::List(T::COLUMNS);

    fn array<'a>(values: impl Iterator<Item = &'a Self> + Clone, _: &'static str) -> Result<ArrayRef, TableError>
    where
        T: 'a,
    {
        let items: Vec<&T> = values.clone().flatten().collect();
        let items = StructArray::try_new_with_length(fields(T::COLUMNS), T::arrays(&items)?, None, items.len())?;
        // Cannot overflow: a batch is smaller than 2 GiB by weight, and each item weighs something.
        let offsets = OffsetBuffer::from_lengths(values.map(Vec::len));
        Ok(Arc::new(ListArray::try_new(Arc::new(element(T::COLUMNS)), offsets, Arc::new(items), None)?))
    }

    /// Null, which some writers put for an empty list, is empty.
    fn read(array: &ArrayRef, row: usize, column: &'static Column) -> Result<Self, TableError> {
        let array = array.as_list_opt::<i32>().ok_or_else(|| mismatch(column))?;
        if array.is_null(row) {
            return Ok(Self::new());
        }
        read::records(array.value(row).as_struct_opt().ok_or_else(|| mismatch(column))?)
    }

    fn weight(&self) -> usize {
        self.iter().map(ArrowRecord::weight).sum()
    }
}

fn number<T: ArrowPrimitiveType>(array: &ArrayRef, row: usize, column: &Column) -> Result<T::Native, TableError> {
    let array = array.as_primitive_opt::<T>().ok_or_else(|| mismatch(column))?;
    let value = array.is_valid(row).then(|| array.value(row));
    value.ok_or(TableError::Null { column: column.name, row })
}

fn mismatch(column: &Column) -> TableError {
    let expected = column.kind.data_type().to_string();
    TableError::Column { column: column.name, expected, table: "such records" }
}
