//! Which kind of file the personas are in, and its rows.
//!
//! What a file holds decides, and its name where that could be read two ways: rows of JSON, a table as spreadsheets save it
//! (`csv`), text with a person on each line, Parquet. All but Parquet may be compressed by gzip or zstd.

use std::ffi::OsStr;
use std::fs::File;
use std::io::BufRead;
use std::path::Path;

use serde::de::IgnoredAny;

use super::columns::Columns;
use super::csv;
use super::row::{self, PersonaRow, RowFault, TakeRow};
use crate::record::text_table::TextTable;
use crate::stages::Progress;
use crate::stages::imported::{self, InputDigest, InputLine, InputLines, MAX_LINE, RowsFault, SourceError};

/// The setting that names the file.
const KEY: &str = "personas.source";

/// Kinds of files with lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// An object a line, or one list of them.
    Json,
    /// A table.
    Csv,
    /// A description a line.
    Text,
}

/// Shows every row of a file to `take`, and says what was read.
///
/// # Errors
/// If it cannot be read, or holds nothing that a row could be taken from.
pub(super) fn read(path: &Path, progress: &Progress, take: &mut TakeRow<'_>) -> Result<InputDigest, SourceError> {
    if path.is_file() && imported::is_parquet(path).map_err(SourceError::Unreadable)? {
        return imported::read_whole(path, KEY, progress, &mut |file| table(path, file, take));
    }
    let name = path.to_owned();
    imported::read_with(path, KEY, progress, &mut |input| rows(input, ending(&name).as_deref(), take))
}

/// Shows every row of `input` to `take`. `ending`: how the file's name ends, in lower case.
///
/// # Errors
/// Those of `input`, and what no row can be taken from.
pub(super) fn rows(input: &mut dyn BufRead, ending: Option<&str>, take: &mut TakeRow<'_>) -> Result<(), RowsFault> {
    match Form::of(input.fill_buf().map_err(RowsFault::Io)?, ending) {
        Form::Csv => csv::read(input, take),
        Form::Text => lines(input, take),
        Form::Json => imported::rows(input, &mut |number, line| {
            if !line.is_blank() {
                take(number, line.bytes(), row::parse(line));
            }
        }),
    }
}

/// What the name says of the kind, without what it says of compression.
fn ending(path: &Path) -> Option<String> {
    let lower = |ending: &OsStr| ending.to_string_lossy().to_lowercase();
    match path.extension().map(lower) {
        Some(packed) if matches!(packed.as_str(), "gz" | "zst" | "zstd") => {
            Path::new(path.file_stem()?).extension().map(lower)
        }
        ending => ending,
    }
}

impl Form {
    fn of(head: &[u8], ending: Option<&str>) -> Self {
        let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
        let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default().trim_ascii_end();
        let opens = line.starts_with(b"{") || line.starts_with(b"[");
        let is_json = opens && (line.len() == 1 || serde_json::from_slice::<IgnoredAny>(line).is_ok());
        match ending {
            _ if is_json => Self::Json,
            Some("csv" | "tsv") => Self::Csv,
            _ if !opens && csv::is_header(line) => Self::Csv,
            Some("txt" | "text") => Self::Text,
            _ => Self::Json,
        }
    }
}

/// A description a line.
fn lines(input: &mut dyn BufRead, take: &mut TakeRow<'_>) -> Result<(), RowsFault> {
    let mut lines = InputLines::new(input, MAX_LINE);
    while let Some((number, line)) = lines.next().map_err(RowsFault::Io)? {
        if !line.is_blank() {
            take(number, line.bytes(), text(line));
        }
    }
    Ok(())
}

fn text(line: InputLine<'_>) -> Result<PersonaRow<'_>, RowFault> {
    row::utf8(line).map(|text| PersonaRow { persona: text.into(), partner: None, name: None, domain: None })
}

/// The rows of a Parquet file.
fn table(path: &Path, file: File, take: &mut TakeRow<'_>) -> Result<(), SourceError> {
    let broken = |problem: String| SourceError::Table { path: path.to_owned(), line: None, problem };
    let table = TextTable::open(file).map_err(|error| broken(error.to_string()))?;
    let columns = Columns::of(table.names()).map_err(broken)?;
    let mut number = 0;
    table
        .each(&columns.places().collect::<Vec<_>>(), &mut |cell| {
            number += 1;
            let row = columns.row(cell);
            let shown = row.as_ref().map(|row| row.persona.to_string()).unwrap_or_default();
            take(number, shown.as_bytes(), row);
        })
        .map_err(|error| broken(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_holds_decides_and_its_name_where_that_is_open() {
        let cases: [(&str, Option<&str>, Form); 14] = [
            ("{\"persona\":\"A nurse\"}\n", Some("jsonl"), Form::Json),
            ("{\"persona\":\"A nurse\"}\n", Some("txt"), Form::Json),
            ("{\"persona\":\"A nurse\"}\n", Some("csv"), Form::Json),
            ("[\n{\"persona\":\"A nurse\"}]", Some("json"), Form::Json),
            ("[\n", Some("txt"), Form::Json),
            ("[A nurse, aside]\n", Some("txt"), Form::Text),
            ("A nurse\nA baker\n", Some("txt"), Form::Text),
            ("A nurse\nA baker\n", Some("jsonl"), Form::Json),
            ("A nurse\nA baker\n", None, Form::Json),
            ("name,persona\n", Some("jsonl"), Form::Csv),
            ("\u{feff}\n persona\r\n", Some("txt"), Form::Csv),
            ("name;text\n", Some("csv"), Form::Csv),
            ("name\ttext\n", Some("tsv"), Form::Csv),
            ("", None, Form::Json),
        ];
        for (head, ending, form) in cases {
            assert_eq!(Form::of(head.as_bytes(), ending), form, "{head:?} {ending:?}");
        }
        for (name, expected) in [("a.csv", "csv"), ("a.CSV.gz", "csv"), ("a.b.txt.zst", "txt")] {
            assert_eq!(ending(Path::new(name)).as_deref(), Some(expected));
        }
        assert_eq!((ending(Path::new("gz")), ending(Path::new("a.gz"))), (None, None));
    }
}
