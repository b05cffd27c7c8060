//! One line of the journal: encoding, and the check that it is what was written.
//!
//! ```text
//! {"v":1,"seq":42,"batch":7,"kind":"reply","key":"…","item":"…","body":{…},"crc":"9a0b1c2d"}\n
//! ```
//!
//! `crc` is CRC-32C (Castagnoli), eight lower-case hex digits, of every byte before `,"crc":"`. That part has a fixed
//! length, so a check needs no parser, and it is compared as text: as numbers, a flipped bit that turns a digit into
//! its capital would pass. The order of the keys is fixed and there is no white space, so a header is read without
//! looking at the body; the body is parsed by whoever wants it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the line format that this module writes and reads.
pub(super) const FORMAT: u64 = 1;
/// What separates what is checked from the check.
const CRC_KEY: &[u8] = b",\"crc\":\"";
/// Bytes that most intents and replies fit in.
const USUAL_LENGTH: usize = 768;
/// `,"crc":"9a0b1c2d"}`
const SUFFIX: usize = CRC_KEY.len() + 8 + 2;

/// What an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    /// The first line of a segment. Written by the journal itself.
    Segment,
    /// A call is about to be sent: it may cost something from now on.
    Intent,
    /// A call was answered.
    Reply,
    /// A call brought no answer.
    Reject,
    /// A stage was sealed.
    Seal,
}

impl EntryKind {
    /// The value as it stands in the journal.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Intent => "intent",
            Self::Reply => "reply",
            Self::Reject => "reject",
            Self::Seal => "seal",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let kinds = [Self::Segment, Self::Intent, Self::Reply, Self::Reject, Self::Seal];
        kinds.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether entries of this kind are about one call, and so need its key.
    pub(super) fn needs_key(self) -> bool {
        matches!(self, Self::Intent | Self::Reply | Self::Reject)
    }
}

impl fmt::Display for EntryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One record of the journal, borrowed from its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JournalEntry<'a> {
    /// Its place in the journal: 1, 2, 3 … without gaps, over all segments.
    pub seq: u64,
    /// The `seq` of the first entry that was synced together with this one.
    pub batch: u64,
    /// What it records.
    pub kind: EntryKind,
    /// The call it is about.
    pub key: Option<Cow<'a, str>>,
    /// The item it is about.
    pub item: Option<Cow<'a, str>>,
    /// JSON, as it was written.
    pub body: &'a str,
}

impl JournalEntry<'_> {
    /// Parses the body.
    pub(crate) fn read<'de, T: Deserialize<'de>>(&'de self) -> serde_json::Result<T> {
        serde_json::from_str(self.body)
    }

    /// The body, checked to be JSON.
    pub(super) fn to_raw(&self) -> serde_json::Result<Box<RawValue>> {
        RawValue::from_string(self.body.to_owned())
    }
}

/// Why a line is not what the journal wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// It does not end as a line of the journal does.
    #[error("a torn record")]
    Torn,
    /// Its bytes have changed.
    #[error("a record that fails its checksum")]
    Checksum,
    /// Its checksum is right, but this version does not write such lines.
    #[error("a record that was not written by this version")]
    Foreign,
    /// A later version wrote it.
    #[error("a record of format {0}")]
    Format(u64),
}

/// An entry that is to be written: its line from `,"kind":` to the end of the body, all but its place in the journal.
#[derive(Debug)]
pub(super) struct EntryText(Vec<u8>);

impl EntryText {
    /// An entry with the JSON form of `body`.
    pub(super) fn new<B: Serialize + ?Sized>(
        kind: EntryKind,
        key: Option<&str>,
        item: Option<&str>,
        body: &B,
    ) -> serde_json::Result<Self> {
        let mut record = Self::head(kind, key, item);
        let start = record.0.len();
        serde_json::to_writer(&mut record.0, body)?;
        record.unbreak(start);
        Ok(record)
    }

    /// An entry as it was read.
    pub(super) fn of(entry: &JournalEntry<'_>) -> Self {
        let mut record = Self::head(entry.kind, entry.key.as_deref(), entry.item.as_deref());
        let start = record.0.len();
        record.0.extend_from_slice(entry.body.as_bytes());
        record.unbreak(start);
        record
    }

    fn head(kind: EntryKind, key: Option<&str>, item: Option<&str>) -> Self {
        let mut head = Vec::with_capacity(USUAL_LENGTH);
        head.extend_from_slice(b",\"kind\":\"");
        head.extend_from_slice(kind.as_str().as_bytes());
        head.extend_from_slice(b"\",\"key\":");
        push_text(&mut head, key);
        head.extend_from_slice(b",\"item\":");
        push_text(&mut head, item);
        head.extend_from_slice(b",\"body\":");
        Self(head)
    }

    /// Puts what begins at `start` in one line. Outside strings a line break is white space, inside it is always escaped: a
    /// space says the same.
    fn unbreak(&mut self, start: usize) {
        self.0.iter_mut().skip(start).filter(|byte| **byte == b'\n').for_each(|byte| *byte = b' ');
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Appends the line, newline included.
    pub(super) fn write(&self, line: &mut Vec<u8>, seq: u64, batch: u64) {
        let start = line.len();
        line.extend_from_slice(format!("{{\"v\":{FORMAT},\"seq\":{seq},\"batch\":{batch}").as_bytes());
        line.extend_from_slice(&self.0);
        let crc = checksum(line.get(start..).unwrap_or_default());
        line.extend_from_slice(CRC_KEY);
        line.extend_from_slice(&crc);
        line.extend_from_slice(b"\"}\n");
    }
}

/// Appends the line of an entry, newline included.
pub(super) fn encode(line: &mut Vec<u8>, entry: &JournalEntry<'_>) {
    EntryText::of(entry).write(line, entry.seq, entry.batch);
}

fn push_text(line: &mut Vec<u8>, text: Option<&str>) {
    let escapes = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
    match text {
        // The display form of a JSON string is its encoding, escapes included.
        Some(text) if text.bytes().any(escapes) => {
            line.extend_from_slice(serde_json::Value::from(text).to_string().as_bytes());
        }
        Some(text) => {
            line.push(b'"');
            line.extend_from_slice(text.as_bytes());
            line.push(b'"');
        }
        None => line.extend_from_slice(b"null"),
    }
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut digits = [0; 8];
    let crc = crc32c::crc32c(bytes);
    for (place, digit) in digits.iter_mut().enumerate() {
        let nibble = (crc >> (28 - 4 * place)) & 0xf;
        *digit = b"0123456789abcdef".get(nibble as usize).copied().unwrap_or_default();
    }
    digits
}

/// Checks and reads one line, given without its newline.
pub(super) fn decode(line: &[u8]) -> Result<JournalEntry<'_>, FrameError> {
    let at = line.len().checked_sub(SUFFIX).ok_or(FrameError::Torn)?;
    let (checked, suffix) = line.split_at_checked(at).ok_or(FrameError::Torn)?;
    let crc = suffix.strip_prefix(CRC_KEY).and_then(|rest| rest.strip_suffix(b"\"}")).ok_or(FrameError::Torn)?;
    if crc != checksum(checked) {
        return Err(FrameError::Checksum);
    }
    let text = std::str::from_utf8(checked).map_err(|_| FrameError::Foreign)?;
    let mut rest = Cursor(text);
    rest.after("{\"v\":")?;
    match rest.number()? {
        FORMAT => rest.entry(),
        format => Err(FrameError::Format(format)),
    }
}

/// What of a line is not read yet.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    fn entry(mut self) -> Result<JournalEntry<'a>, FrameError> {
        self.after(",\"seq\":")?;
        let seq = self.number()?;
        self.after(",\"batch\":")?;
        let batch = self.number()?;
        self.after(",\"kind\":")?;
        let kind = self.text()?.and_then(|text| EntryKind::parse(&text)).ok_or(FrameError::Foreign)?;
        self.after(",\"key\":")?;
        let key = self.text()?;
        self.after(",\"item\":")?;
        let item = self.text()?;
        self.after(",\"body\":")?;
        if kind.needs_key() && key.is_none() {
            return Err(FrameError::Foreign);
        }
        Ok(JournalEntry { seq, batch, kind, key, item, body: self.0 })
    }

    /// Steps over what must come next.
    fn after(&mut self, literal: &str) -> Result<(), FrameError> {
        self.0 = self.0.strip_prefix(literal).ok_or(FrameError::Foreign)?;
        Ok(())
    }

    fn number(&mut self) -> Result<u64, FrameError> {
        let end = self.0.bytes().take_while(u8::is_ascii_digit).count();
        self.take(end)?.parse().map_err(|_| FrameError::Foreign)
    }

    /// A string or `null`.
    fn text(&mut self) -> Result<Option<Cow<'a, str>>, FrameError> {
        if self.after("null").is_ok() {
            return Ok(None);
        }
        self.after("\"")?;
        let mut escaped = false;
        let mut bytes = self.0.bytes().enumerate();
        let end = loop {
            match bytes.next().ok_or(FrameError::Foreign)? {
                (end, b'"') => break end,
                (_, b'\\') => {
                    escaped = true;
                    bytes.next();
                }
                _ => {}
            }
        };
        let text = self.take(end)?;
        self.after("\"")?;
        let plain = if escaped { Cow::Owned(unescape(text)?) } else { Cow::Borrowed(text) };
        Ok(Some(plain))
    }

    fn take(&mut self, length: usize) -> Result<&'a str, FrameError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(FrameError::Foreign)?;
        self.0 = rest;
        Ok(taken)
    }
}

fn unescape(text: &str) -> Result<String, FrameError> {
    serde_json::from_str(&format!("\"{text}\"")).map_err(|_| FrameError::Foreign)
}

/// The item a broken line was about, if that much of it can be read.
pub(super) fn legible_item(line: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"\"item\":\"";
    let at = line.windows(KEY.len()).position(|window| window == KEY)?;
    let rest = line.get(at + KEY.len()..)?;
    let item = rest.get(..rest.iter().take(200).position(|byte| *byte == b'"')?)?;
    let item = std::str::from_utf8(item).ok()?;
    (!item.is_empty() && !item.chars().any(char::is_control)).then(|| item.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(entry: &JournalEntry<'_>) -> Vec<u8> {
        let mut line = Vec::new();
        encode(&mut line, entry);
        line
    }

    fn reply<'a>(key: &'a str, item: &'a str, body: &'a str) -> JournalEntry<'a> {
        JournalEntry { seq: 42, batch: 7, kind: EntryKind::Reply, key: Some(key.into()), item: Some(item.into()), body }
    }

    #[test]
    fn the_format_is_pinned() {
        let text = String::from_utf8(line(&reply("k", "c-0001", "{\"a\":1}"))).unwrap();
        insta::assert_snapshot!(text.trim_end(), @r#"{"v":1,"seq":42,"batch":7,"kind":"reply","key":"k","item":"c-0001","body":{"a":1},"crc":"29fca881"}"#);
        assert!(text.ends_with("}\n"));
        serde_json::from_str::<serde_json::Value>(&text).unwrap();
    }

    #[test]
    fn a_body_with_line_breaks_stays_one_line() {
        let written = line(&reply("k", "i", "{\n \"a\": \"x\\ny\"\n}"));
        assert_eq!(written.iter().position(|byte| *byte == b'\n'), Some(written.len() - 1));
        let entry = decode(&written[..written.len() - 1]).unwrap();
        assert_eq!(entry.read::<serde_json::Value>().unwrap(), serde_json::json!({"a": "x\ny"}));
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let whole = line(&reply("key\"\\é", "item", "{\"text\":\"Grüße, \\u0041BC\"}"));
        let whole = &whole[..whole.len() - 1];
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.to_vec();
                flipped[at] ^= 1 << bit;
                assert!(decode(&flipped).is_err(), "bit {bit} of byte {at}");
            }
        }
        let capitals = String::from_utf8(whole.to_vec()).unwrap();
        let (head, crc) = capitals.split_at(capitals.len() - 10);
        assert!(crc.contains(char::is_alphabetic));
        assert_eq!(decode(format!("{head}{}", crc.to_uppercase()).as_bytes()), Err(FrameError::Checksum));
    }

    #[test]
    fn a_sound_line_of_another_make_is_told_apart() {
        let seal = |text: &str| {
            let crc = String::from_utf8(checksum(text.as_bytes()).to_vec()).unwrap();
            format!("{text},\"crc\":\"{crc}\"}}")
        };
        assert_eq!(decode(seal("{\"v\":2,\"x\":[]").as_bytes()), Err(FrameError::Format(2)));
        assert_eq!(decode(seal("{\"v\":1,\"seq\":1").as_bytes()), Err(FrameError::Foreign));
        assert_eq!(decode(seal("{\"seq\":1").as_bytes()), Err(FrameError::Foreign));
        assert_eq!(decode(b""), Err(FrameError::Torn));
    }

    #[test]
    fn a_broken_line_may_still_name_its_item() {
        let mut broken = line(&reply("k", "c-0001", "{}"));
        broken.truncate(70);
        assert_eq!(legible_item(&broken).as_deref(), Some("c-0001"));
        assert_eq!(legible_item(b"\"item\":\"\x00\""), None);
        assert_eq!(legible_item(b"\"item\":\"torn"), None);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            seq in any::<u64>(), batch in any::<u64>(), kind in 0_usize..5,
            key in ".{0,20}", item in proptest::option::of(".{0,20}"), body in ".{0,40}",
        ) {
            let kind = [EntryKind::Segment, EntryKind::Intent, EntryKind::Reply, EntryKind::Reject, EntryKind::Seal][kind];
            let body = serde_json::to_string(&body).unwrap();
            let entry = JournalEntry { seq, batch, kind, key: Some(key.into()), item: item.map(Into::into), body: &body };
            let written = line(&entry);
            prop_assert_eq!(decode(&written[..written.len() - 1]), Ok(entry));
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
            let _ = legible_item(&bytes);
        }
    }
}
