//! Parquet files of whatever columns: read as lines of the two fields that count, written again with all of their columns.

use std::fs::File;
use std::io::BufWriter;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch, UInt64Array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::{concat::concat_batches, take::take_record_batch};
use parquet::arrow::arrow_reader::{
    ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde_json::Value;

use super::error::CorpusError;
use super::line::FieldNames;
use super::output::DraftFile;
use super::source::CorpusFile;
use crate::record::arrow::TableError;
use crate::store::fs::{self, FsError};

/// Rows that are turned into lines together.
const BATCH_ROWS: usize = 1_024;
/// Rows of a row group that is written.
const GROUP_ROWS: usize = 16_384;
/// Level of zstd compression: the next saves 4 % for twice the time.
const ZSTD_LEVEL: i32 = 3;
/// Where a writer puts the Arrow schema, anew for each file.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// The `parquet` crate checks some invariants of a file by assertion, so a damaged one can make it panic: here that is an
/// error like any other. What panicked is dropped, not used again.
fn contained<T>(path: &Path, read: impl FnOnce() -> Result<T, TableError>) -> Result<T, CorpusError> {
    let read = std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(TableError::Damaged));
    read.map_err(|source| CorpusError::Table { path: path.to_owned(), source })
}

fn open(path: &Path, file: File) -> Result<ParquetRecordBatchReaderBuilder<File>, CorpusError> {
    contained(path, || Ok(ParquetRecordBatchReaderBuilder::try_new(file)?))
}

/// How many rows a file has.
fn rows(path: &Path) -> Result<u64, CorpusError> {
    let rows = open(path, fs::open(path)?)?.metadata().file_metadata().num_rows();
    Ok(u64::try_from(rows).unwrap_or(0))
}

/// The rows of a file as lines of JSON with id and text alone.
pub(super) fn lines(
    path: &Path,
    file: File,
    names: &FieldNames,
) -> Result<impl Iterator<Item = Result<Vec<u8>, CorpusError>> + use<>, CorpusError> {
    let builder = open(path, file)?;
    let columns = [&names.id, &names.text].map(|name| root_of(path, builder.schema(), name));
    let [id, text] = columns;
    let mask = ProjectionMask::roots(builder.parquet_schema(), [id?, text?]);
    let mut batches =
        Some(contained(path, || Ok(builder.with_projection(mask).with_batch_size(BATCH_ROWS).build()?))?);
    let (path, names) = (path.to_owned(), names.clone());
    Ok(std::iter::from_fn(move || {
        // After an error there is no reader to go on with.
        let mut reader = batches.take()?;
        let batch = contained(&path, || Ok(reader.next().transpose()?));
        let lines = batch.and_then(|batch| batch.map(|batch| as_lines(&path, &batch, &names)).transpose());
        batches = matches!(lines, Ok(Some(_))).then_some(reader);
        lines.transpose()
    }))
}

/// The place of a column among those of the table.
fn root_of(path: &Path, schema: &Schema, name: &str) -> Result<usize, CorpusError> {
    schema.index_of(name).map_err(|_| {
        let there: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let problem =
            format!("has no column `{name}` but {}; name one with --text-field or --id-field", there.join(", "));
        CorpusError::Unreadable { path: path.to_owned(), problem }
    })
}

fn as_lines(path: &Path, batch: &RecordBatch, names: &FieldNames) -> Result<Vec<u8>, CorpusError> {
    let column = |name: &String| batch.column_by_name(name).ok_or(TableError::Damaged);
    let [id, text] = [&names.id, &names.text].map(|name| {
        column(name).map_err(|source| CorpusError::Table { path: path.to_owned(), source }).map(|column| (name, column))
    });
    let (id, text) = (id?, text?);
    let mut lines = Vec::new();
    for row in 0..batch.num_rows() {
        let mut object = serde_json::Map::new();
        for (name, column) in [id, text] {
            let value = cell(column, row).ok_or_else(|| other_type(path, name, column.data_type()))?;
            object.insert(name.clone(), value);
        }
        lines.extend(Value::Object(object).to_string().bytes());
        lines.push(b'\n');
    }
    Ok(lines)
}

fn other_type(path: &Path, name: &str, kind: &DataType) -> CorpusError {
    let problem =
        format!("has the column `{name}` of type {kind}; text has to be a string, an id a string or a whole number");
    CorpusError::Unreadable { path: path.to_owned(), problem }
}

/// A string or whole number; `None` for any other type.
fn cell(column: &dyn Array, row: usize) -> Option<Value> {
    if column.is_null(row) {
        return Some(Value::Null);
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Int8 => number::<Int8Type>(column, row),
        DataType::Int16 => number::<Int16Type>(column, row),
        DataType::Int32 => number::<Int32Type>(column, row),
        DataType::Int64 => number::<Int64Type>(column, row),
        DataType::UInt8 => number::<UInt8Type>(column, row),
        DataType::UInt16 => number::<UInt16Type>(column, row),
        DataType::UInt32 => number::<UInt32Type>(column, row),
        DataType::UInt64 => number::<UInt64Type>(column, row),
        _ => return None,
    })
}

fn number<T: ArrowPrimitiveType<Native: Into<Value>>>(column: &dyn Array, row: usize) -> Value {
    column.as_primitive::<T>().value(row).into()
}

/// Shows the two first columns of every row of a pair list, which hold ids.
pub(super) fn pairs(
    path: &Path,
    mut each: impl FnMut(&str, &str) -> Result<(), CorpusError>,
) -> Result<(), CorpusError> {
    let builder = open(path, fs::open(path)?)?;
    let mut batches = contained(path, || Ok(builder.build()?))?;
    while let Some(batch) = contained(path, || Ok(batches.next().transpose()?))? {
        let [one, other, ..] = batch.columns() else {
            let problem = "does not have two columns of ids; see docs/scale.md".to_owned();
            return Err(CorpusError::Unreadable { path: path.to_owned(), problem });
        };
        for row in 0..batch.num_rows() {
            let id = |column: &dyn Array| match cell(column, row) {
                Some(Value::String(id)) => Ok(id),
                Some(Value::Number(id)) => Ok(id.to_string()),
                _ => Err(other_type(path, "of ids", column.data_type())),
            };
            each(&id(one)?, &id(other)?)?;
        }
    }
    Ok(())
}

/// The columns that all files have. Fails on the first that differs, by name.
pub(super) fn common_schema(files: &[CorpusFile]) -> Result<SchemaRef, CorpusError> {
    let mut common: Option<(&Path, SchemaRef)> = None;
    for file in files {
        let schema = Arc::clone(open(&file.path, fs::open(&file.path)?)?.schema());
        common = Some(match common {
            None => (&file.path, schema),
            Some((path, first)) => {
                let fields = same_columns(path, &first, &file.path, &schema)?;
                (path, Arc::new(Schema::new_with_metadata(fields, first.metadata().clone())))
            }
        });
    }
    Ok(common.map_or_else(|| Arc::new(Schema::empty()), |(_, schema)| schema))
}

fn same_columns(path: &Path, first: &Schema, other: &Path, schema: &Schema) -> Result<Vec<Field>, CorpusError> {
    let differs =
        |problem: String| CorpusError::OtherColumns { one: path.to_owned(), other: other.to_owned(), problem };
    if first.fields().len() != schema.fields().len() {
        let named =
            |schema: &Schema| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>().join(", ");
        return Err(differs(format!("one has the columns {}, the other {}", named(first), named(schema))));
    }
    let fields = first.fields().iter().zip(schema.fields()).map(|(one, two)| {
        if one.name() == two.name() && one.data_type() == two.data_type() {
            return Ok(one.as_ref().clone().with_nullable(one.is_nullable() || two.is_nullable()));
        }
        let [one, two] = [one, two].map(|field| format!("`{}` of type {}", field.name(), field.data_type()));
        Err(differs(format!("one has {one} where the other has {two}")))
    });
    fields.collect()
}

/// Writes batches to a file with fixed options, so that equal rows give equal bytes.
pub(super) struct BatchWriter(ArrowWriter<BufWriter<DraftFile>>);

impl BatchWriter {
    pub(super) fn create(path: &Path, schema: SchemaRef, metadata: Vec<KeyValue>) -> Result<Self, CorpusError> {
        let sink = BufWriter::new(DraftFile::create(path)?);
        contained(path, || {
            let properties = WriterProperties::builder()
                .set_created_by("convogen".to_owned())
                .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
                .set_max_row_group_row_count(Some(GROUP_ROWS))
                .set_key_value_metadata(Some(metadata))
                .build();
            Ok(Self(ArrowWriter::try_new(sink, schema, Some(properties))?))
        })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch, path: &Path) -> Result<(), CorpusError> {
        contained(path, || Ok(self.0.write(batch)?))
    }

    /// Writes the footer.
    pub(super) fn finish(self, path: &Path) -> Result<DraftFile, CorpusError> {
        let file = contained(path, || Ok(self.0.into_inner()?))?.into_inner();
        file.map_err(|error| FsError { action: "write", path: path.to_owned(), source: error.into_error() }.into())
    }
}

/// Writes rows of files with all of their columns.
pub(super) struct RowWriter<'a> {
    files: &'a [CorpusFile],
    /// The number of the first row of each file, and of the one behind the last.
    starts: Vec<u64>,
    schema: SchemaRef,
    writer: BatchWriter,
    path: &'a Path,
}

impl<'a> RowWriter<'a> {
    pub(super) fn create(files: &'a [CorpusFile], path: &'a Path) -> Result<Self, CorpusError> {
        let (schema, mut starts) = (common_schema(files)?, vec![0]);
        for file in files {
            starts.push(starts.last().copied().unwrap_or(0) + rows(&file.path)?);
        }
        let metadata = files.first().map(|file| kept_metadata(&file.path)).transpose()?.unwrap_or_default();
        let writer = BatchWriter::create(path, Arc::clone(&schema), metadata)?;
        Ok(Self { files, starts, schema, writer, path })
    }

    /// Writes rows, by their numbers in the files one behind the other, in the order given.
    pub(super) fn write(&mut self, rows: &[u64]) -> Result<(), CorpusError> {
        let mut sorted = rows.to_vec();
        sorted.sort_unstable();
        let mut batches = Vec::new();
        for (file, range) in self.files.iter().zip(self.starts.windows(2)) {
            let [start, end] = range else { continue };
            let (from, to) = (sorted.partition_point(|row| row < start), sorted.partition_point(|row| row < end));
            let wanted: Vec<u64> = sorted.get(from..to).unwrap_or_default().iter().map(|row| row - start).collect();
            if !wanted.is_empty() {
                batches.extend(selected(file, &wanted, &self.schema)?);
            }
        }
        let places = rows.iter().map(|row| sorted.binary_search(row).unwrap_or(0) as u64);
        let places = UInt64Array::from_iter_values(places);
        let all = contained(self.path, || Ok(take_record_batch(&concat_batches(&self.schema, &batches)?, &places)?))?;
        self.writer.write(&all, self.path)
    }

    /// Writes the footer.
    pub(super) fn finish(self) -> Result<DraftFile, CorpusError> {
        self.writer.finish(self.path)
    }
}

/// What a file says of itself beside its columns, such as the features of the `datasets` library.
fn kept_metadata(path: &Path) -> Result<Vec<KeyValue>, CorpusError> {
    let builder = open(path, fs::open(path)?)?;
    let all = builder.metadata().file_metadata().key_value_metadata().cloned().unwrap_or_default();
    Ok(all.into_iter().filter(|entry| entry.key != ARROW_SCHEMA).collect())
}

/// Rows of a file, by their numbers in it, which are sorted.
fn selected(file: &CorpusFile, rows: &[u64], schema: &SchemaRef) -> Result<Vec<RecordBatch>, CorpusError> {
    let builder = open(&file.path, fs::open(&file.path)?)?;
    let read: ParquetRecordBatchReader = contained(&file.path, || {
        Ok(builder.with_row_selection(selection(rows)).with_batch_size(BATCH_ROWS).build()?)
    })?;
    let mut batches = Vec::new();
    let mut read = read;
    while let Some(batch) = contained(&file.path, || Ok(read.next().transpose()?))? {
        let columns = batch.columns().to_vec();
        batches.push(contained(&file.path, || Ok(RecordBatch::try_new(Arc::clone(schema), columns)?))?);
    }
    if batches.iter().map(RecordBatch::num_rows).sum::<usize>() == rows.len() {
        return Ok(batches);
    }
    Err(CorpusError::Changed { path: file.path.clone() })
}

fn selection(rows: &[u64]) -> RowSelection {
    let (mut selectors, mut next) = (Vec::new(), 0);
    for run in rows.chunk_by(|one, other| one + 1 == *other) {
        let start = run.first().copied().unwrap_or(next);
        selectors.push(RowSelector::skip(usize::try_from(start - next).unwrap_or(usize::MAX)));
        selectors.push(RowSelector::select(run.len()));
        next = start + run.len() as u64;
    }
    selectors.into()
}
