//! Rows of JSON as columns, for tables whose columns depend on what was asked for.

use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Int32Array, Int64Array, ListArray, StringArray, StructArray};
use arrow_buffer::OffsetBuffer;
use serde_json::{Map, Value};

use super::{Column, ColumnKind, TableError, WritableRow, element, fields};

/// A row as JSON: one value for each column of its table, by name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JsonRow(pub(crate) Map<String, Value>);

impl WritableRow for JsonRow {
    fn label(&self) -> &str {
        self.0.get("id").and_then(Value::as_str).unwrap_or("no id")
    }

    fn bytes(&self) -> usize {
        self.0.values().map(bytes).sum()
    }

    fn cells(rows: &[&Self], columns: &'static [Column]) -> Result<Vec<ArrayRef>, TableError> {
        arrays(&rows.iter().map(|row| &row.0).collect::<Vec<_>>(), columns)
    }
}

/// Text with its offset, numbers as 64 bits.
fn bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len() + size_of::<i32>(),
        Value::Array(items) => items.iter().map(bytes).sum(),
        Value::Object(map) => map.values().map(bytes).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => size_of::<i64>(),
    }
}

fn arrays(rows: &[&Map<String, Value>], columns: &'static [Column]) -> Result<Vec<ArrayRef>, TableError> {
    columns.iter().map(|column| array(column, rows)).collect()
}

fn array(column: &'static Column, rows: &[&Map<String, Value>]) -> Result<ArrayRef, TableError> {
    let cells = || rows.iter().map(|row| row.get(column.name).unwrap_or(&Value::Null));
    Ok(match column.kind {
        ColumnKind::Key | ColumnKind::Text | ColumnKind::Category => {
            Arc::new(StringArray::from(all(column, cells().map(Value::as_str))?))
        }
        ColumnKind::Bool => Arc::new(BooleanArray::from(all(column, cells().map(Value::as_bool))?)),
        ColumnKind::Int64 => Arc::new(Int64Array::from(all(column, cells().map(Value::as_i64))?)),
        ColumnKind::Int32 => {
            let fit = |value| i32::try_from(value).map_err(|_| TableError::OutOfRange { column: column.name, value });
            let values = all(column, cells().map(Value::as_i64))?.into_iter().map(fit);
            Arc::new(Int32Array::from(values.collect::<Result<Vec<_>, _>>()?))
        }
        ColumnKind::List(inner) => list(inner, &all(column, cells().map(Value::as_array))?)?,
    })
}

/// A list of objects in each row.
fn list(columns: &'static [Column], lists: &[&Vec<Value>]) -> Result<ArrayRef, TableError> {
    let items: Vec<&Map<String, Value>> =
        lists.iter().flat_map(|list| list.iter()).filter_map(Value::as_object).collect();
    let items = StructArray::try_new_with_length(fields(columns), arrays(&items, columns)?, None, items.len())?;
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
    Ok(Arc::new(ListArray::try_new(Arc::new(element(columns)), offsets, Arc::new(items), None)?))
}

/// The values, none of which may be missing or of another type.
fn all<T>(column: &'static Column, values: impl Iterator<Item = Option<T>>) -> Result<Vec<T>, TableError> {
    let each = values.enumerate();
    each.map(|(row, value)| value.ok_or(TableError::Null { column: column.name, row })).collect()
}
