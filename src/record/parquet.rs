//! Parquet files of records: written with fixed options, so that equal rows give equal bytes.
//!
//! | option | value | why |
//! | --- | --- | --- |
//! | compression | zstd, level 3 | level 6 saves 4 % for more than twice the time |
//! | row groups | end at 8,192 rows or 32 MiB of text, whichever comes first | a group is what a writer and a reader hold in memory; DuckDB runs a thread a group |
//! | dictionary | only columns with few different values | for ids and prose the writer fills a dictionary and then drops it |
//! | statistics and page index | all but prose | prose is not filtered by range, and its bounds would bloat the footer |
//! | format | data pages v1, plain and dictionary encoding | what every reader has |
//! | `created_by` | `convogen` | a library's version must not change the file |
//! | metadata `huggingface` | the features | so that the `datasets` library infers nothing |

use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, Schema};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{
    CdcOptions, EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion,
};
use parquet::schema::types::ColumnPath;

use super::arrow::{self as tables, Column, ColumnKind, TableError, TableRow, WritableRow};

/// Rows at which a row group ends.
const GROUP_ROWS: usize = 8_192;
/// Bytes of rows, by [`weight`](tables::ArrowRecord::weight), at which it ends although they are few.
const GROUP_BYTES: usize = 32 << 20;
/// Rows that are encoded together, unless [`BATCH_BYTES`] comes first. Page boundaries depend on it.
const BATCH_ROWS: usize = 256;
/// Bytes at which rows are encoded although they are few.
const BATCH_BYTES: usize = 8 << 20;
/// Level of zstd compression.
const ZSTD_LEVEL: i32 = 3;
/// Where the `datasets` library looks for the features.
const FEATURES_KEY: &str = "huggingface";

/// Writes rows, given one by one, to one Parquet file. Memory stays within one row group whatever the number of rows,
/// and the bytes depend on nothing but the rows and their order.
#[derive(Debug)]
pub(crate) struct ParquetWriter<W: Write + Send, R: WritableRow> {
    file: ArrowWriter<W>,
    columns: &'static [Column],
    /// Rows not yet encoded.
    pending: Vec<R>,
    pending_bytes: usize,
    /// Rows of the open row group, those not yet encoded included, and their bytes.
    group_rows: usize,
    group_bytes: usize,
    written: WrittenFile,
}

/// What a finished file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct WrittenFile {
    /// Rows.
    pub rows: u64,
    /// Bytes of the rows as Arrow arrays, uncompressed.
    pub arrow_bytes: u64,
}

impl<W: Write + Send, R: TableRow> ParquetWriter<W, R> {
    /// Starts a file of records.
    pub(crate) fn new(sink: W) -> Result<Self, TableError> {
        Self::with_columns(sink, R::COLUMNS, false)
    }
}

impl<W: Write + Send, R: WritableRow> ParquetWriter<W, R> {
    /// Starts a file with these columns, whose pages, if `content_chunks`, end where their content says so: equal rows make
    /// equal pages then, wherever they stand, and a store that keeps equal pieces once takes them once.
    pub(crate) fn with_columns(sink: W, columns: &'static [Column], content_chunks: bool) -> Result<Self, TableError> {
        let features =
            tables::huggingface_features(columns).map_err(|error| ParquetError::External(Box::new(error)))?;
        // In both places: pyarrow takes the schema's metadata from the Arrow schema alone, others read the file's.
        let metadata = [(FEATURES_KEY.to_owned(), features.clone())].into();
        let schema = Schema::new_with_metadata(tables::schema(columns).fields().clone(), metadata);
        let properties = properties(columns, features, content_chunks)?;
        let file = ArrowWriter::try_new(sink, Arc::new(schema), Some(properties))?;
        let (pending, written) = (Vec::new(), WrittenFile::default());
        Ok(Self { file, columns, pending, pending_bytes: 0, group_rows: 0, group_bytes: 0, written })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: R) -> Result<(), TableError> {
        let bytes = row.bytes();
        self.pending.push(row);
        self.pending_bytes = self.pending_bytes.saturating_add(bytes);
        self.group_rows += 1;
        self.group_bytes = self.group_bytes.saturating_add(bytes);
        if self.group_rows >= GROUP_ROWS || self.group_bytes >= GROUP_BYTES {
            return self.end_group();
        }
        if self.pending.len() >= BATCH_ROWS || self.pending_bytes >= BATCH_BYTES {
            self.encode_pending()?;
        }
        Ok(())
    }

    /// Bytes of the file so far: those of the row groups that have ended.
    pub(crate) fn file_bytes(&self) -> u64 {
        self.file.bytes_written() as u64
    }

    /// Writes the footer. The sink is flushed, not synced.
    pub(crate) fn finish(mut self) -> Result<(W, WrittenFile), TableError> {
        self.encode_pending()?;
        Ok((self.file.into_inner()?, self.written))
    }

    fn end_group(&mut self) -> Result<(), TableError> {
        self.encode_pending()?;
        self.file.flush()?;
        (self.group_rows, self.group_bytes) = (0, 0);
        Ok(())
    }

    fn encode_pending(&mut self) -> Result<(), TableError> {
        let batch = tables::batch(&self.pending, self.columns)?;
        self.file.write(&batch)?;
        self.written.rows += self.pending.len() as u64;
        self.written.arrow_bytes += memory_size(&batch)? as u64;
        self.pending.clear();
        self.pending_bytes = 0;
        Ok(())
    }
}

/// Bytes of the values, whatever the capacity of the buffers they are in.
fn memory_size(batch: &RecordBatch) -> Result<usize, ArrowError> {
    batch.columns().iter().map(|column| column.to_data().get_slice_memory_size()).sum()
}

fn properties(columns: &[Column], features: String, content_chunks: bool) -> Result<WriterProperties, TableError> {
    let builder = WriterProperties::builder()
        .set_created_by("convogen".to_owned())
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(None)
        .set_content_defined_chunking(content_chunks.then(CdcOptions::default))
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_key_value_metadata(Some(vec![KeyValue::new(FEATURES_KEY.to_owned(), features)]));
    Ok(storage(builder, &[], columns).build())
}

/// Dictionary and statistics of each leaf, by the kind of its column.
fn storage(builder: WriterPropertiesBuilder, parents: &[&str], columns: &[Column]) -> WriterPropertiesBuilder {
    columns.iter().fold(builder, |builder, column| {
        let path = [parents, &[column.name]].concat();
        let leaf = || ColumnPath::new(path.iter().map(|part| (*part).to_owned()).collect());
        match column.kind {
            ColumnKind::Category | ColumnKind::Int32 | ColumnKind::Int64 | ColumnKind::Bool => builder,
            ColumnKind::Key => builder.set_column_dictionary_enabled(leaf(), false),
            ColumnKind::Text => builder
                .set_column_dictionary_enabled(leaf(), false)
                .set_column_statistics_enabled(leaf(), EnabledStatistics::None),
            // The two levels that a list has in Parquet.
            ColumnKind::List(items) => storage(builder, &[&path[..], &["list", "element"]].concat(), items),
        }
    })
}

/// Reads a Parquet file of records, a batch at a time. After an error there is no further batch.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    batches: Option<ParquetRecordBatchReader>,
    row: PhantomData<R>,
}

impl<R: TableRow> Reader<R> {
    /// Reads the footer. Columns are found by name, so files of other tools do as long as the columns are there.
    pub(crate) fn open(file: File) -> Result<Self, TableError> {
        // Without the stored Arrow schema: the types follow from Parquet's own, and a damaged copy cannot mislead.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let batches = contained(|| {
            let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
            Ok(builder.with_batch_size(BATCH_ROWS).build()?)
        })?;
        Ok(Self { batches: Some(batches), row: PhantomData })
    }
}

impl<R: TableRow> Iterator for Reader<R> {
    type Item = Result<Vec<R>, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut batches = self.batches.take()?;
        let read = contained(|| match batches.next() {
            Some(batch) => Ok(Some((batches, tables::records(batch?)?))),
            None => Ok(None),
        });
        let (batches, rows) = match read.transpose()? {
            Ok(read) => read,
            Err(error) => return Some(Err(error)),
        };
        self.batches = Some(batches);
        Some(Ok(rows))
    }
}

/// The parquet crate checks some invariants of a file by assertion, so a damaged one can make it panic: here that is an
/// error like any other. What panicked is dropped, not used again.
pub(super) fn contained<T>(read: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(TableError::Damaged))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::io::{Seek, SeekFrom};

    use parquet::file::metadata::RowGroupMetaData;

    use super::*;
    use crate::draw::Draw;
    use crate::record::arrow::ArrowRecord as _;
    use crate::record::{Conversation, Participant, Persona, Relation, Situation, Speaker, Turn};

    fn text(draw: &mut Draw) -> String {
        ["", "naïve", "line\nbreak", "\"quoted\"", "今日は", "a \u{0} b"][draw.below(6)].repeat(draw.below(4))
    }

    fn maybe(draw: &mut Draw) -> Option<String> {
        (draw.below(2) == 0).then(|| text(draw))
    }

    fn relations(draw: &mut Draw) -> Vec<Relation> {
        (0..draw.below(3))
            .map(|_| Relation { from: text(draw), to: text(draw), r#type: text(draw), text: text(draw) })
            .collect()
    }

    fn persona(at: usize, draw: &mut Draw) -> Persona {
        Persona {
            id: format!("p{at:06}"),
            persona: text(draw),
            name: None,
            domain: maybe(draw),
            split: "train".to_owned(),
            source: text(draw),
            hash: text(draw),
        }
    }

    fn situation(at: usize, draw: &mut Draw) -> Situation {
        let participant = |draw: &mut Draw| Participant {
            id: text(draw),
            name: text(draw),
            description: text(draw),
            persona: text(draw),
            stance: maybe(draw),
            goal: maybe(draw),
            knowledge: maybe(draw),
        };
        Situation {
            id: format!("s{at:06}"),
            split: text(draw),
            personas: (0..draw.below(4)).map(|_| participant(draw)).collect(),
            relations: relations(draw),
            situation: text(draw),
            topic: text(draw),
            conversation_starter: text(draw),
            language: text(draw),
            attributes: text(draw),
            labels: text(draw),
            provenance: text(draw),
            hash: text(draw),
        }
    }

    fn conversation(at: usize, draw: &mut Draw) -> Conversation {
        let turn = |index: usize, draw: &mut Draw| Turn {
            index: u32::try_from(index).unwrap(),
            speaker_id: text(draw),
            speaker: text(draw),
            addressee_id: maybe(draw),
            text: text(draw),
            selected_by: text(draw),
            attempts: i32::MAX as u32,
        };
        let speaker = |draw: &mut Draw| Speaker {
            id: text(draw),
            name: text(draw),
            description: text(draw),
            persona: text(draw),
        };
        Conversation {
            id: format!("c{at:06}"),
            situation_id: text(draw),
            split: text(draw),
            situation: text(draw),
            topic: text(draw),
            conversation_starter: text(draw),
            language: text(draw),
            relations: relations(draw),
            participants: (0..draw.below(4)).map(|_| speaker(draw)).collect(),
            turns: (0..draw.below(6)).map(|index| turn(index, draw)).collect(),
            stop_reason: text(draw),
            model: text(draw),
            tier: text(draw),
            prompt_tokens: i64::MAX as u64,
            cached_prompt_tokens: 0,
            completion_tokens: draw.next_u64() >> 1,
            attributes: text(draw),
            labels: text(draw),
            safety: text(draw),
            judgement: text(draw),
            provenance: text(draw),
            hash: text(draw),
        }
    }

    fn many<R>(count: usize, make: impl Fn(usize, &mut Draw) -> R) -> Vec<R> {
        let mut draw = Draw::new(5, &["parquet"]);
        (0..count).map(|at| make(at, &mut draw)).collect()
    }

    fn write<R: TableRow + Clone>(rows: &[R]) -> Result<(Vec<u8>, WrittenFile), TableError> {
        let mut writer = ParquetWriter::new(Vec::new())?;
        for row in rows {
            writer.push(row.clone())?;
        }
        writer.finish()
    }

    fn bytes<R: TableRow + Clone>(rows: &[R]) -> Vec<u8> {
        write(rows).unwrap().0
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    fn read<R: TableRow + Clone>(bytes: &[u8]) -> Result<Vec<R>, TableError> {
        Ok(Reader::open(file(bytes))?.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn survives<R: TableRow + PartialEq + std::fmt::Debug + Clone>(rows: &[R]) {
        let written = bytes(rows);
        assert_eq!(read::<R>(&written).unwrap(), rows);
        assert_eq!(written, bytes(rows), "the same rows, other bytes");
    }

    #[test]
    fn rows_survive_and_bytes_repeat() {
        for count in [0, 1, 3_000] {
            survives(&many(count, persona));
            survives(&many(count, situation));
            survives(&many(count, conversation));
        }
    }

    #[test]
    fn storage_is_as_promised() {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file(&bytes(&many(100, conversation)))).unwrap();
        let metadata = builder.metadata();
        assert_eq!(metadata.file_metadata().created_by(), Some("convogen"));
        let group = metadata.row_group(0);
        let mut storage = Vec::new();
        for column in group.columns() {
            let dictionary = if column.dictionary_page_offset().is_some() { "dictionary" } else { "-" };
            let statistics = if column.statistics().is_some() { "statistics" } else { "-" };
            assert!(matches!(column.compression(), Compression::ZSTD(_)));
            storage.push(format!("{} {dictionary} {statistics}", column.column_path()));
        }
        insta::assert_snapshot!(storage.join("\n"), @r#"
        "id" - statistics
        "situation_id" - statistics
        "situation" - -
        "topic" - -
        "conversation_starter" - -
        "language" dictionary statistics
        "relations.list.element.from" dictionary statistics
        "relations.list.element.to" dictionary statistics
        "relations.list.element.type" dictionary statistics
        "relations.list.element.text" - -
        "participants.list.element.id" - statistics
        "participants.list.element.name" dictionary statistics
        "participants.list.element.description" - -
        "participants.list.element.persona" - -
        "turns.list.element.index" dictionary statistics
        "turns.list.element.speaker_id" dictionary statistics
        "turns.list.element.speaker" dictionary statistics
        "turns.list.element.addressee_id" dictionary statistics
        "turns.list.element.text" - -
        "turns.list.element.selected_by" dictionary statistics
        "turns.list.element.attempts" dictionary statistics
        "stop_reason" dictionary statistics
        "model" dictionary statistics
        "tier" dictionary statistics
        "prompt_tokens" dictionary statistics
        "cached_prompt_tokens" dictionary statistics
        "completion_tokens" dictionary statistics
        "attributes" - -
        "provenance" - -
        "labels" - -
        "safety" - -
        "judgement" - -
        "split" dictionary statistics
        "hash" - statistics
        "#);
        insta::assert_snapshot!(arrow_schema::<Situation>(), @r#"
        id: Utf8
        split: Utf8
        personas: List(non-null Struct("id": non-null Utf8, "name": non-null Utf8, "description": non-null Utf8, "persona": non-null Utf8, "stance": Utf8, "goal": Utf8, "knowledge": Utf8), field: 'element')
        relations: List(non-null Struct("from": non-null Utf8, "to": non-null Utf8, "type": non-null Utf8, "text": non-null Utf8), field: 'element')
        situation: Utf8
        topic: Utf8
        conversation_starter: Utf8
        language: Utf8
        attributes: Utf8
        provenance: Utf8
        labels: Utf8
        hash: Utf8
        "#);
    }

    fn arrow_schema<R: TableRow>() -> String {
        let schema = tables::schema(R::COLUMNS);
        let fields = schema.fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type()));
        fields.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn features_keep_the_order_of_the_columns() {
        insta::assert_snapshot!(tables::huggingface_features(Conversation::COLUMNS).unwrap(), @r#"{"info":{"features":{"id":{"dtype":"string","_type":"Value"},"situation_id":{"dtype":"string","_type":"Value"},"situation":{"dtype":"string","_type":"Value"},"topic":{"dtype":"string","_type":"Value"},"conversation_starter":{"dtype":"string","_type":"Value"},"language":{"dtype":"string","_type":"Value"},"relations":[{"from":{"dtype":"string","_type":"Value"},"to":{"dtype":"string","_type":"Value"},"type":{"dtype":"string","_type":"Value"},"text":{"dtype":"string","_type":"Value"}}],"participants":[{"id":{"dtype":"string","_type":"Value"},"name":{"dtype":"string","_type":"Value"},"description":{"dtype":"string","_type":"Value"},"persona":{"dtype":"string","_type":"Value"}}],"turns":[{"index":{"dtype":"int32","_type":"Value"},"speaker_id":{"dtype":"string","_type":"Value"},"speaker":{"dtype":"string","_type":"Value"},"addressee_id":{"dtype":"string","_type":"Value"},"text":{"dtype":"string","_type":"Value"},"selected_by":{"dtype":"string","_type":"Value"},"attempts":{"dtype":"int32","_type":"Value"}}],"stop_reason":{"dtype":"string","_type":"Value"},"model":{"dtype":"string","_type":"Value"},"tier":{"dtype":"string","_type":"Value"},"prompt_tokens":{"dtype":"int64","_type":"Value"},"cached_prompt_tokens":{"dtype":"int64","_type":"Value"},"completion_tokens":{"dtype":"int64","_type":"Value"},"attributes":{"dtype":"string","_type":"Value"},"provenance":{"dtype":"string","_type":"Value"},"labels":{"dtype":"string","_type":"Value"},"safety":{"dtype":"string","_type":"Value"},"judgement":{"dtype":"string","_type":"Value"},"split":{"dtype":"string","_type":"Value"},"hash":{"dtype":"string","_type":"Value"}}}}"#);
    }

    /// Rows by row group.
    fn groups(written: &[u8]) -> Vec<i64> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(file(written)).unwrap();
        builder.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect()
    }

    #[test]
    fn a_row_group_ends_at_a_number_of_rows_or_of_bytes() {
        assert_eq!(groups(&bytes(&many(20_000, persona))), [8_192, 8_192, 3_616]);
        assert_eq!(groups(&bytes(&many(8_192, persona))), [8_192]);
        let mut rows = many(40, persona);
        for row in &mut rows {
            row.persona = "x".repeat(3 << 20);
        }
        let written = bytes(&rows);
        assert_eq!(groups(&written), [11, 11, 11, 7]);
        assert_eq!(read::<Persona>(&written).unwrap(), rows);
    }

    #[test]
    fn what_is_held_does_not_grow_with_the_number_of_rows() {
        let rows = many(GROUP_ROWS, conversation);
        let held = |times: usize| {
            let mut writer = ParquetWriter::new(std::io::sink()).unwrap();
            let mut most = 0;
            for row in rows.iter().cycle().take(times * rows.len()) {
                writer.push(row.clone()).unwrap();
                most = most.max(writer.pending_bytes + writer.file.memory_size());
            }
            most
        };
        let (one, five) = (held(1), held(5));
        assert!(one > 1 << 20 && five <= one + one / 50, "{five} bytes where a group has {one}");
    }

    /// The share of the bytes of `file` that stand, in pieces of 64, somewhere in `other` too.
    fn shared(file: &[u8], other: &[u8]) -> f64 {
        let known: HashSet<[u8; 8]> = other.windows(8).map(|window| window.try_into().unwrap()).collect();
        let pieces: Vec<&[u8]> = file.chunks_exact(64).collect();
        let stands =
            |piece: &&&[u8]| piece.chunks_exact(8).all(|part| known.contains::<[u8; 8]>(part.try_into().unwrap()));
        pieces.iter().filter(stands).count() as f64 / pieces.len() as f64
    }

    #[test]
    fn pages_that_end_by_content_stay_the_same_when_a_row_comes_in_front() {
        let prose = |draw: &mut Draw| (0..100).map(|_| draw.next_u64().to_string()).collect::<String>();
        let rows = many(5_000, |at, draw| Persona { persona: prose(draw), ..persona(at, draw) });
        let written = |content_chunks: bool, rows: &[Persona]| {
            let mut writer = ParquetWriter::with_columns(Vec::new(), Persona::COLUMNS, content_chunks).unwrap();
            for row in rows {
                writer.push(row.clone()).unwrap();
            }
            let bytes = writer.finish().unwrap().0;
            assert_eq!(read::<Persona>(&bytes).unwrap(), rows);
            bytes
        };
        let share = |content_chunks| shared(&written(content_chunks, &rows[1..]), &written(content_chunks, &rows));
        let (by_content, by_number) = (share(true), share(false));
        assert!(
            by_content > 0.5 && by_number < 0.1,
            "{by_content} of the bytes are the same by content, {by_number} else"
        );
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        let mut rows = many(1, conversation);
        rows[0].completion_tokens = u64::MAX;
        let error = write(&rows).unwrap_err().to_string();
        insta::assert_snapshot!(error, @"column completion_tokens holds 9223372036854775807, which is out of its range; correct or remove the record");
    }

    #[test]
    fn what_is_no_such_table_is_refused() {
        let personas = bytes(&many(3, persona));
        insta::assert_snapshot!(read::<Situation>(&personas).unwrap_err(), @r#"there is no column personas of type List(non-null Struct("id": non-null Utf8, "name": non-null Utf8, "description": non-null Utf8, "persona": non-null Utf8, "stance": Utf8, "goal": Utf8, "knowledge": Utf8), field: 'element'); the file does not hold situations"#);
        assert!(matches!(read::<Persona>(b"PAR1 not really"), Err(TableError::Parquet(_))));
        for cut in [4, personas.len() / 2, personas.len() - 1] {
            assert!(read::<Persona>(&personas[..cut]).is_err(), "{cut} bytes were read");
        }
    }

    #[test]
    fn a_flipped_bit_is_no_panic() {
        let written = bytes(&many(20, persona));
        let mut refused = 0;
        for at in 0..written.len() {
            let mut damaged = written.clone();
            damaged[at] ^= 0x40;
            refused += usize::from(read::<Persona>(&damaged).is_err());
        }
        // Not all: a file has no checksum of its own, which is what the manifest's is for.
        assert!(refused > written.len() / 5, "{refused} of {}", written.len());
    }
}
