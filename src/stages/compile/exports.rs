//! Conversations in the forms of trainers, written from the table of conversations once that is there.

use std::path::Path;

use super::CompileError;
use super::source::RecordSource;
use super::table::{Split, WrittenTable};
use crate::config::export::ExportOptions;
use crate::export::{Exported, ExportedSplit, Exporter};
use crate::record::Conversation;

/// Writes every form, one after the other. A form to which the conversations give no row is left out.
pub(super) fn write(
    folder: &Path,
    exports: &[ExportOptions],
    talks: Option<&WrittenTable>,
) -> Result<Vec<WrittenTable>, CompileError> {
    let Some(talks) = talks else { return Ok(Vec::new()) };
    let source = RecordSource::spooled(talks.splits.iter().filter_map(|split| split.jsonl.clone()).collect());
    let mut tables = Vec::new();
    for options in exports {
        let mut writer = Exporter::new(options, folder, options.format.folder())?;
        for talk in source.records::<Conversation>() {
            writer.push(&talk?)?;
        }
        let exported = writer.finish()?;
        if exported.rows() > 0 {
            tables.push(table(options, exported));
        }
    }
    Ok(tables)
}

fn table(options: &ExportOptions, exported: Exported) -> WrittenTable {
    let Exported { columns, splits, files, .. } = exported;
    let split = |split: ExportedSplit| Split {
        name: split.name,
        rows: split.rows,
        arrow_bytes: split.arrow_bytes,
        parquet_bytes: split.parquet.bytes,
        jsonl: None,
    };
    WrittenTable {
        name: options.format.as_str(),
        columns,
        folder: options.format.folder(),
        splits: splits.into_iter().map(split).collect(),
        files,
    }
}
