//! The tables of a dataset: one fixed list of columns per record, from which everything else follows.
//!
//! From [`ArrowRecord::COLUMNS`] come the Arrow schema, the Parquet writer's options, the feature list that the `datasets`
//! library reads and the dataset card. Nothing is inferred from data, so a column of nulls or an empty list has the type
//! it has in every other shard. Strings are `Utf8`, lists are `list<element: struct<…>>`, positions and small counts
//! `int32`, token counts `int64`; only what a record may leave open is nullable.

mod cell;
mod columns;
mod convert;
mod json;
mod read;

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, StructArray};
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use parquet::errors::ParquetError;
use serde::ser::{Serialize, SerializeMap, Serializer};

pub(crate) use json::JsonRow;
pub(crate) use read::RowCells;

/// The most bytes a batch may hold in one column, set by the 32-bit offsets of `Utf8` and `list`.
const MAX_BATCH_BYTES: usize = i32::MAX as usize;

/// A table that could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A number that its column cannot hold, or, when reading, its record.
    #[error("column {column} holds {value}, which is out of its range; correct or remove the record")]
    OutOfRange {
        /// The column, or the field of a nested one.
        column: &'static str,
        /// The number.
        value: i64,
    },
    /// Rows whose text does not fit into one batch.
    #[error("the batch of rows that ends with {id} holds {bytes} bytes, more than 2 GiB; remove the oversized record")]
    TooLarge {
        /// Id of the last row.
        id: String,
        /// Bytes of the rows, estimated from their text.
        bytes: usize,
    },
    /// A column is missing, or is of a type that does not convert.
    #[error("there is no column {column} of type {expected}; the file does not hold {table}")]
    Column {
        /// The column, or the field of a nested one.
        column: &'static str,
        /// The type it should have.
        expected: String,
        /// The records it should hold.
        table: &'static str,
    },
    /// A null where the record must have a value.
    #[error("column {column} is null in row {row} of its batch; every record must have a value there")]
    Null {
        /// The column, or the field of a nested one.
        column: &'static str,
        /// Position from 0.
        row: usize,
    },
    /// A column that text is wanted of holds something else.
    #[error("the column `{column}` is of type {kind}, not text; write it as text")]
    NotText {
        /// The column.
        column: String,
        /// What it holds.
        kind: String,
    },
    /// A Parquet file breaks rules that its readers rely on.
    #[error("the Parquet file is damaged; compare it with its checksum and fetch or make it again")]
    Damaged,
    /// Arrow could not build or read an array.
    #[error("failed to build a table: {0}")]
    Arrow(#[from] ArrowError),
    /// The Parquet file could not be written, or is damaged.
    #[error("failed to process Parquet: {0}")]
    Parquet(#[from] ParquetError),
}

/// A column of another tool's as strings; nothing where it holds no text.
pub(super) fn as_text(column: &ArrayRef) -> Option<ArrayRef> {
    convert::convert(column, ColumnKind::Text)
}

/// One column of a table or one field of a nested column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    /// Its name, equal to the key in JSON.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether it may be null.
    pub nullable: bool,
}

/// What a column holds, and with that how it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ColumnKind {
    /// A string different in nearly every row, which people filter by: statistics, no dictionary.
    Key,
    /// Prose, or JSON as text: neither dictionary nor statistics.
    Text,
    /// A string out of few: dictionary and statistics.
    Category,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// True or false.
    Bool,
    /// A list of objects.
    List(&'static [Column]),
}

impl Column {
    fn field(&self) -> Field {
        Field::new(self.name, self.kind.data_type(), self.nullable)
    }
}

impl ColumnKind {
    /// The Arrow type.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Key | Self::Text | Self::Category => DataType::Utf8,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Bool => DataType::Boolean,
            Self::List(columns) => DataType::List(Arc::new(element(columns))),
        }
    }

    /// The name of the type in the feature lists of the `datasets` library; `None` for a list.
    pub(crate) fn dtype(self) -> Option<&'static str> {
        match self {
            Self::Key | Self::Text | Self::Category => Some("string"),
            Self::Int32 => Some("int32"),
            Self::Int64 => Some("int64"),
            Self::Bool => Some("bool"),
            Self::List(_) => None,
        }
    }
}

fn fields(columns: &[Column]) -> Fields {
    columns.iter().map(Column::field).collect()
}

/// `element` is the name that the Parquet specification gives to the items of a three-level list.
fn element(columns: &[Column]) -> Field {
    Field::new("element", DataType::Struct(fields(columns)), false)
}

/// An object of the dataset: a row, or an item of a nested list.
pub(crate) trait ArrowRecord: Sized {
    /// What objects of this kind are called in messages.
    const NAME: &'static str;
    /// Its columns, in order.
    const COLUMNS: &'static [Column];

    /// One array per column, in the order of [`COLUMNS`](Self::COLUMNS).
    fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError>;

    /// The object in one row.
    fn from_cells(cells: RowCells<'_>) -> Result<Self, TableError>;

    /// Bytes it takes in Arrow, to the order of magnitude and no less than its text.
    fn weight(&self) -> usize;
}

/// A [`ArrowRecord`] that has a table of its own.
pub(crate) trait TableRow: ArrowRecord + serde::Serialize + serde::de::DeserializeOwned {
    /// Identifies the row within its table.
    fn id(&self) -> &str;
    /// The split it belongs to.
    fn split(&self) -> &str;
}

/// What is written to a table: a record, which has columns of its own, or a [`JsonRow`], which has those of its table.
pub(crate) trait WritableRow: Sized {
    /// What the row is called in errors.
    fn label(&self) -> &str;

    /// Bytes it takes in Arrow, to the order of magnitude and no less than its text.
    fn bytes(&self) -> usize;

    /// One array per column, in their order.
    fn cells(rows: &[&Self], columns: &'static [Column]) -> Result<Vec<ArrayRef>, TableError>;
}

impl<R: TableRow> WritableRow for R {
    fn label(&self) -> &str {
        self.id()
    }

    fn bytes(&self) -> usize {
        self.weight()
    }

    fn cells(rows: &[&Self], _: &'static [Column]) -> Result<Vec<ArrayRef>, TableError> {
        R::arrays(rows)
    }
}

/// The Arrow schema of a table.
pub(crate) fn schema(columns: &[Column]) -> SchemaRef {
    Arc::new(Schema::new(fields(columns)))
}

/// Rows as one batch.
pub(crate) fn batch<R: WritableRow>(rows: &[R], columns: &'static [Column]) -> Result<RecordBatch, TableError> {
    let rows: Vec<&R> = rows.iter().collect();
    let bytes = rows.iter().map(|row| row.bytes()).fold(0, usize::saturating_add);
    if let Some(last) = rows.last().filter(|_| bytes > MAX_BATCH_BYTES) {
        return Err(TableError::TooLarge { id: last.label().to_owned(), bytes });
    }
    Ok(RecordBatch::try_new(schema(columns), R::cells(&rows, columns)?)?)
}

/// The records of a batch as Parquet gives it. Columns are found by name; text and whole numbers in the forms that other
/// tools write are converted, and columns unknown to the record are passed over.
pub(crate) fn records<R: TableRow>(batch: RecordBatch) -> Result<Vec<R>, TableError> {
    read::records(&StructArray::from(batch))
}

/// The feature list of a table in the JSON form of the `datasets` library: key `huggingface` of a Parquet file's
/// metadata. Lists of objects have the form `[{…}]`, which versions 3 and 5 both read as a list of dicts.
pub(crate) fn huggingface_features(columns: &'static [Column]) -> Result<String, serde_json::Error> {
    #[derive(serde::Serialize)]
    struct Metadata {
        info: Info,
    }
    #[derive(serde::Serialize)]
    struct Info {
        features: Features,
    }
    serde_json::to_string(&Metadata { info: Info { features: Features(columns) } })
}

/// An object with the columns as keys, in their order: the order counts, since the library compares nested types.
struct Features(&'static [Column]);

impl Serialize for Features {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|column| (column.name, Feature(column.kind))))
    }
}

struct Feature(ColumnKind);

impl Serialize for Feature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let ColumnKind::List(columns) = self.0 {
            return [Features(columns)].serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("dtype", &self.0.dtype())?;
        map.serialize_entry("_type", "Value")?;
        map.end()
    }
}
