//! Tables as spreadsheets save them: the columns named in the first row, split by commas, semicolons or tabs, text in
//! double quotes where it holds one of those, a quote within it doubled (RFC 4180).
//!
//! A row that has more or fewer fields than the first is set aside: text that was cut at a comma must not pass for a whole
//! one. A quote that is never closed would swallow the rest of the file, so it ends the reading.

use std::io::BufRead;

use super::columns::Columns;
use super::row::{PersonaRow, RowFault, TakeRow};
use crate::stages::imported::{InputLine, InputLines, MAX_LINE, RowsFault};

/// What splits fields, most usual first.
const DELIMITERS: [u8; 3] = [b',', b';', b'\t'];

/// Shows every row below the first to `take`, with the line it begins on.
///
/// # Errors
/// If `input` fails, names no column of personas, or has a quote without an end.
pub(super) fn read(input: &mut dyn BufRead, take: &mut TakeRow<'_>) -> Result<(), RowsFault> {
    let mut lines = InputLines::new(input, MAX_LINE);
    let mut record = Record::default();
    let mut table: Option<Table> = None;
    while let Some((number, line)) = lines.next().map_err(RowsFault::Io)? {
        if record.is_empty() && line.is_blank() {
            continue;
        }
        let whole = match line {
            InputLine::Whole(bytes) if record.raw.len() + bytes.len() <= MAX_LINE => bytes,
            _ if record.is_empty() => {
                take(number, line.bytes(), Err(RowFault::LineTooLong));
                continue;
            }
            _ => return Err(record.unclosed(&format!("within {MAX_LINE} bytes"))),
        };
        let delimiter = match &table {
            Some(table) => table.delimiter,
            None if record.is_empty() => delimiter(whole),
            None => record.delimiter,
        };
        record.push(number, whole, delimiter);
        if record.is_open() {
            continue;
        }
        match &table {
            Some(table) => take(record.line, &record.raw, table.row(&record)),
            None => table = Some(Table::of(&record)?),
        }
        record = Record::default();
    }
    if record.is_open() { Err(record.unclosed("by the end of the file")) } else { Ok(()) }
}

/// Whether a line is the first row of such a table: it names a column of personas.
pub(super) fn is_header(line: &[u8]) -> bool {
    let mut record = Record::default();
    record.push(1, line, delimiter(line));
    !record.is_open() && Table::of(&record).is_ok()
}

/// What splits the fields of a first row: whatever of [`DELIMITERS`] stands in it most often; nothing in one of one column,
/// below which every line is one text, commas and all.
fn delimiter(header: &[u8]) -> Option<u8> {
    let counted = |delimiter: u8| {
        let mut quoted = false;
        let bytes = header.iter().filter(|byte| {
            quoted ^= **byte == b'"';
            !quoted && **byte == delimiter
        });
        bytes.count()
    };
    let counts = DELIMITERS.into_iter().rev().map(|delimiter| (counted(delimiter), delimiter));
    counts.max_by_key(|(count, _)| *count).filter(|(count, _)| *count > 0).map(|(_, delimiter)| delimiter)
}

/// The first row, understood.
struct Table {
    delimiter: Option<u8>,
    width: usize,
    columns: Columns,
}

impl Table {
    fn of(header: &Record) -> Result<Self, RowsFault> {
        let names: Vec<String> = header.fields.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        let columns = Columns::of(&names).map_err(|problem| RowsFault::Table { line: header.line, problem })?;
        Ok(Self { delimiter: header.delimiter, width: names.len(), columns })
    }

    fn row<'r>(&self, record: &'r Record) -> Result<PersonaRow<'r>, RowFault> {
        let (found, fields) = (record.fields.len(), &record.fields);
        // Programs that fill every row up to the widest add empty fields.
        let surplus = fields.iter().skip(self.width).any(|field| !field.is_empty());
        if found < self.width || surplus {
            return Err(RowFault::Fields { found, columns: self.width });
        }
        if let Err(error) = str::from_utf8(&record.raw) {
            return Err(RowFault::NotUtf8(error.valid_up_to() + 1));
        }
        self.columns.row(|at| str::from_utf8(fields.get(at)?).ok())
    }
}

/// A row as it is read, line by line.
#[derive(Default)]
struct Record {
    /// The line it begins on.
    line: u64,
    raw: Vec<u8>,
    delimiter: Option<u8>,
    fields: Vec<Vec<u8>>,
    state: State,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a field.
    #[default]
    Start,
    /// In a field without quotes, or behind the closing quote: what stands there is text.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote between quotes: the closing one, or the first half of a doubled one.
    Quote,
}

impl Record {
    fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.fields.is_empty()
    }

    /// Whether a quote was opened that is not closed yet.
    fn is_open(&self) -> bool {
        self.state == State::Quoted
    }

    fn push(&mut self, number: u64, line: &[u8], delimiter: Option<u8>) {
        if self.is_empty() {
            (self.line, self.delimiter) = (number, delimiter);
            self.fields.push(Vec::new());
        } else {
            self.raw.push(b'\n');
            self.add(b'\n');
        }
        self.raw.extend_from_slice(line);
        for byte in line.iter().copied() {
            self.state = match (self.state, byte) {
                (State::Quoted, b'"') => State::Quote,
                (State::Quoted, _) | (State::Quote, b'"') => {
                    self.add(byte);
                    State::Quoted
                }
                (State::Start, b'"') => State::Quoted,
                (_, byte) if Some(byte) == self.delimiter => {
                    self.fields.push(Vec::new());
                    State::Start
                }
                _ => {
                    self.add(byte);
                    State::Plain
                }
            };
        }
    }

    fn add(&mut self, byte: u8) {
        if let Some(field) = self.fields.last_mut() {
            field.push(byte);
        }
    }

    fn unclosed(&self, by: &str) -> RowsFault {
        let problem =
            format!("a double quote that opens here is not closed {by}; close it, or double it where it is text");
        RowsFault::Table { line: self.line, problem }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Persona and name of a row, or why it has none.
    type ReadRow = Result<(String, Option<String>), String>;

    /// Every row's line, and what it is read as.
    fn rows(text: &str) -> Result<Vec<(u64, ReadRow)>, String> {
        let mut rows = Vec::new();
        let read = read(&mut text.as_bytes(), &mut |line, _, row| {
            let row = row.map(|row| (row.persona.into_owned(), row.name)).map_err(|fault| fault.to_string());
            rows.push((line, row));
        });
        match read {
            Ok(()) => Ok(rows),
            Err(RowsFault::Table { line, problem }) => Err(format!("{line}: {problem}")),
            Err(_) => unreachable!("memory can be read"),
        }
    }

    fn person(persona: &str, name: Option<&str>) -> (String, Option<String>) {
        (persona.to_owned(), name.map(str::to_owned))
    }

    #[test]
    fn what_spreadsheets_save_is_read() {
        let table = "\u{feff}Name,Age, PERSONA \r\nMaria,41,\"A nurse, on nights\"\r\n\r\n,,\"A \"\"late\"\" baker\r\nof rye\"\r\nBo,7,A 5\" pipe fitter,,\r\n";
        let read = rows(table).unwrap();
        let expected = [
            (2, Ok(person("A nurse, on nights", Some("Maria")))),
            (4, Ok(person("A \"late\" baker\nof rye", None))),
            (6, Ok(person("A 5\" pipe fitter", Some("Bo")))),
        ];
        assert_eq!(read, expected);
        for table in ["name;persona\nMaria;A nurse, on nights\n", "persona\tname\nA nurse, on nights\tMaria\n"] {
            assert_eq!(rows(table).unwrap(), [(2, Ok(person("A nurse, on nights", Some("Maria"))))], "{table}");
        }
        // In a table of one column a comma splits nothing.
        let one = rows("persona\nA nurse, on nights\n\"A baker, of rye\"\n").unwrap();
        assert_eq!(one, [(2, Ok(person("A nurse, on nights", None))), (3, Ok(person("A baker, of rye", None)))]);
    }

    #[test]
    fn a_text_that_was_cut_at_a_comma_is_no_persona() {
        let read = rows("name,persona\nMaria,A nurse, on nights\nA nurse\n").unwrap();
        let advice = "put a text that holds a comma, a semicolon, a tab or a line break in double quotes";
        let fault = |found| Err(format!("{found} where the first row names 2 columns; {advice}"));
        assert_eq!(read, [(2, fault("3 fields")), (3, fault("1 field"))]);
    }

    #[test]
    fn what_no_row_can_be_taken_from_is_named_by_its_line() {
        assert_eq!(
            rows("\nname,text\nMaria,A nurse\n").unwrap_err(),
            "2: there is no column `persona` but `name`, `text`; call the one with the descriptions `persona`"
        );
        let open = rows("name,persona\nMaria,A nurse\nBo,\"A baker\nCy,A cook\n").unwrap_err();
        assert!(open.starts_with("3: a double quote that opens here is not closed by the end of the file; "), "{open}");
        let long = format!("persona\n\"{}", "a line of text\n".repeat(90_000));
        assert!(rows(&long).unwrap_err().starts_with("2: a double quote that opens here is not closed within "));
    }

    proptest! {
        #[test]
        fn any_table_comes_back_as_it_was_written(
            cells in proptest::collection::vec(("[ -~äß\n]{1,20}", "[ -~\n]{1,8}"), 1..9),
            delimiter in proptest::sample::select(&DELIMITERS[..]),
        ) {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            let mark = char::from(delimiter);
            let mut table = format!("persona{mark}name\n");
            for (persona, name) in &cells {
                table += &format!("{}{mark}{}\n", quoted(persona), quoted(name));
            }
            let read: Vec<_> = rows(&table).unwrap().into_iter().map(|(_, row)| row).collect();
            let stated = |name: &str| Some(name.trim().to_owned()).filter(|name| !name.is_empty());
            let written: Vec<_> = cells.iter().map(|(persona, name)| Ok((persona.clone(), stated(name)))).collect();
            prop_assert_eq!(read, written);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let all = [b"persona,name\n".as_slice(), &bytes].concat();
            let _ = read(&mut all.as_slice(), &mut |_, _, _| ());
            let _ = read(&mut bytes.as_slice(), &mut |_, _, _| ());
        }
    }
}
