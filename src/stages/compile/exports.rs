//! Conversations in the forms of trainers, written from the tables of the dataset once those are there.

use std::path::Path;

use super::CompileError;
use super::source::RecordSource;
use super::table::{Split, WrittenTable};
use crate::config::export::ExportOptions;
use crate::export::{Exported, ExportedSplit, Exporter, JoinedSecrets, SecretsJoin};
use crate::record::{Conversation, Situation};

/// Writes every form, one after the other. A form to which the conversations give no row is left out.
pub(super) fn write(
    folder: &Path,
    exports: &[ExportOptions],
    talks: Option<&WrittenTable>,
    situations: Option<&WrittenTable>,
) -> Result<Vec<WrittenTable>, CompileError> {
    let Some(talks) = talks else { return Ok(Vec::new()) };
    let source = rows(talks);
    let mut tables = Vec::new();
    for options in exports {
        let secrets = options.private().then(|| secrets(folder, &source, situations)).transpose()?;
        let mut writer = Exporter::new(options, folder, options.format.folder(), secrets)?;
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

/// A table as it was just written.
fn rows(table: &WrittenTable) -> RecordSource {
    RecordSource::spooled(table.splits.iter().filter_map(|split| split.jsonl.clone()).collect())
}

/// What the people of every conversation keep to themselves.
fn secrets(
    folder: &Path,
    talks: &RecordSource,
    situations: Option<&WrittenTable>,
) -> Result<JoinedSecrets, CompileError> {
    let mut join = SecretsJoin::new(folder);
    for talk in talks.records::<Conversation>() {
        join.conversation(&talk?)?;
    }
    for situation in situations.map(rows).unwrap_or_default().records::<Situation>() {
        join.situation(&situation?)?;
    }
    Ok(join.finish()?)
}

fn table(options: &ExportOptions, exported: Exported) -> WrittenTable {
    let Exported { columns, splits, files, .. } = exported;
    let split = |split: ExportedSplit| Split {
        name: split.name,
        rows: split.parquet.rows(),
        arrow_bytes: split.parquet.arrow_bytes,
        parquet_bytes: split.parquet.bytes(),
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
