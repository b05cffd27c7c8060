//! Columns as other tools write them, in the types that records have.
//!
//! Only what Parquet itself knows can come: the Arrow types that a writer had in mind are not read.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, Int32Array, Int64Array, StringArray};
use arrow_schema::DataType;

use super::ColumnKind;

/// `found` in the type of `kind`, or `None` where nothing of that kind can be in it. A value that does not fit the type
/// is null.
pub(super) fn convert(found: &ArrayRef, kind: ColumnKind) -> Option<ArrayRef> {
    match kind {
        _ if *found.data_type() == kind.data_type() => Some(Arc::clone(found)),
        ColumnKind::List(_) => found.as_list_opt::<i32>().map(|_| Arc::clone(found)),
        ColumnKind::Int32 => {
            let narrow = |value: Option<i64>| i32::try_from(value?).ok();
            Some(Arc::new(integers(found)?.into_iter().map(narrow).collect::<Int32Array>()))
        }
        ColumnKind::Int64 => Some(Arc::new(Int64Array::from(integers(found)?))),
        ColumnKind::Key | ColumnKind::Category | ColumnKind::Text => strings(found),
        ColumnKind::Bool => None,
    }
}

/// Bytes that are text, although the writer did not say so, and numbers that serve as ids.
fn strings(found: &ArrayRef) -> Option<ArrayRef> {
    if let Some(bytes) = found.as_binary_opt::<i32>() {
        let text = |bytes: Option<&[u8]>| std::str::from_utf8(bytes?).ok().map(str::to_owned);
        return Some(Arc::new(bytes.iter().map(text).collect::<StringArray>()));
    }
    let text = |number: Option<i64>| Some(number?.to_string());
    Some(Arc::new(integers(found)?.into_iter().map(text).collect::<StringArray>()))
}

/// Whole numbers of any width. A column of nothing but nulls may be of no type at all.
fn integers(found: &ArrayRef) -> Option<Vec<Option<i64>>> {
    match found.data_type() {
        DataType::Int8 => widened::<Int8Type>(found),
        DataType::Int16 => widened::<Int16Type>(found),
        DataType::Int32 => widened::<Int32Type>(found),
        DataType::Int64 => widened::<Int64Type>(found),
        DataType::UInt8 => widened::<UInt8Type>(found),
        DataType::UInt16 => widened::<UInt16Type>(found),
        DataType::UInt32 => widened::<UInt32Type>(found),
        DataType::UInt64 => widened::<UInt64Type>(found),
        DataType::Null => Some(vec![None; found.len()]),
        _ => None,
    }
}

fn widened<T>(found: &ArrayRef) -> Option<Vec<Option<i64>>>
where
    T: ArrowPrimitiveType,
    T::Native: TryInto<i64>,
{
    Some(found.as_primitive_opt::<T>()?.iter().map(|value| value?.try_into().ok()).collect())
}

#[cfg(test)]
mod tests {
    use arrow_array::{BinaryArray, Float64Array, Int16Array, NullArray, UInt64Array};

    use super::*;

    fn texts(found: impl Array + 'static) -> Option<Vec<Option<String>>> {
        let array = convert(&(Arc::new(found) as ArrayRef), ColumnKind::Key)?;
        Some(array.as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect())
    }

    /// In 32 bits and in 64.
    type Numbers = (Vec<Option<i32>>, Vec<Option<i64>>);

    fn numbers(found: impl Array + 'static) -> Option<Numbers> {
        let found: ArrayRef = Arc::new(found);
        let (narrow, wide) = (convert(&found, ColumnKind::Int32)?, convert(&found, ColumnKind::Int64)?);
        Some((narrow.as_primitive::<Int32Type>().iter().collect(), wide.as_primitive::<Int64Type>().iter().collect()))
    }

    #[test]
    fn text_comes_as_text_as_bytes_as_numbers_or_as_nothing() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(texts(StringArray::from(vec![Some("a"), None])), Some(vec![text("a"), None]));
        let bytes = BinaryArray::from(vec![Some("é".as_bytes()), Some(b"\xFF"), None]);
        assert_eq!(texts(bytes), Some(vec![text("é"), None, None]));
        assert_eq!(texts(Int16Array::from(vec![Some(-7), None])), Some(vec![text("-7"), None]));
        assert_eq!(texts(NullArray::new(2)), Some(vec![None, None]));
        assert_eq!(texts(Float64Array::from(vec![1.0])), None);
    }

    #[test]
    fn numbers_come_in_any_width_and_are_null_where_they_do_not_fit() {
        assert_eq!(numbers(Int16Array::from(vec![Some(-7), None])), Some((vec![Some(-7), None], vec![Some(-7), None])));
        let large = UInt64Array::from(vec![1 << 40, u64::MAX]);
        assert_eq!(numbers(large), Some((vec![None, None], vec![Some(1 << 40), None])));
        assert_eq!(numbers(NullArray::new(1)), Some((vec![None], vec![None])));
        assert_eq!(numbers(StringArray::from(vec!["1"])), None);
    }
}
