//! Parquet files of other tools, of whose columns some hold text.

use std::fs::File;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::arrow::{TableError, as_text};
use super::parquet::contained;

/// Rows that are read together.
const BATCH_ROWS: usize = 256;

/// A Parquet file of whatever columns.
pub(crate) struct TextTable {
    builder: ParquetRecordBatchReaderBuilder<File>,
    names: Vec<String>,
}

/// Takes a row: what each of its columns says, by the place of the column; nothing for null.
pub(crate) type TakeTexts<'v> = dyn for<'a> FnMut(&'a dyn Fn(usize) -> Option<&'a str>) + 'v;

impl TextTable {
    /// Reads the footer.
    pub(crate) fn open(file: File) -> Result<Self, TableError> {
        // Without the stored Arrow schema: the types follow from Parquet's own, and a damaged copy cannot mislead.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = contained(|| Ok(ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?))?;
        let names = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        Ok(Self { builder, names })
    }

    /// What its columns are called.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Shows every row to `take`, as far as the columns at `places` go.
    ///
    /// # Errors
    /// If one of them holds no text, or the file is damaged.
    pub(crate) fn each(self, places: &[usize], take: &mut TakeTexts<'_>) -> Result<(), TableError> {
        let Self { builder, names } = self;
        let mut places: Vec<usize> = places.to_vec();
        places.sort_unstable();
        places.dedup();
        let mask = ProjectionMask::roots(builder.parquet_schema(), places.iter().copied());
        let mut batches = contained(|| Ok(builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?))?;
        loop {
            let read = contained(|| Ok(batches.next().transpose()?.map(|batch| (batches, batch))))?;
            let Some((rest, batch)) = read else { return Ok(()) };
            batches = rest;
            let columns = places.iter().zip(batch.columns()).map(|(place, column)| {
                let name = || names.get(*place).cloned().unwrap_or_default();
                as_text(column)
                    .ok_or_else(|| TableError::NotText { column: name(), kind: column.data_type().to_string() })
            });
            let columns: Vec<ArrayRef> = columns.collect::<Result<_, _>>()?;
            for row in 0..batch.num_rows() {
                take(&|place| {
                    let column = columns.get(places.binary_search(&place).ok()?)?.as_string_opt::<i32>()?;
                    column.is_valid(row).then(|| column.value(row))
                });
            }
        }
    }
}
