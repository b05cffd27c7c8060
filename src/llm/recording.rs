//! A recording: the replies of a run in one file, from which the run is made again, byte for byte, without an endpoint.
//!
//! It holds what the journal holds of replies and nothing of what only this machine knows: no times, no counts of
//! requests, no key. A reply is found by the key of its call, as in the journal, so a replay needs the configuration and
//! the texts of the run that was recorded. What was sent is not in it: the configuration makes that again.
//!
//! ```text
//! {"format":"convogen recording","version":1,"replies":2,"models":{"default":"gpt-4.1-mini"}}
//! {"key":"97be…","item":"c-s-0001-000","role":"speaker","answer":{"reply":{"text":"…","finish":"stop","usage":{…}}}}
//! ```
//!
//! One JSON object a line, the replies in the order of their keys. `replies` tells a whole file from a part of one.
//! `models` are the logical names by their place in the configuration: where that leaves a name to the environment, a
//! replay takes it from here.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use super::entries::RecordedReply;
use super::{Answer, Role};
use crate::exit::ExitCode;
use crate::store::fs::{self, FsError};
use crate::store::journal::{Archive, JournalEntry, JournalError};

const FORMAT: &str = "convogen recording";
const VERSION: u32 = 1;
/// The longest line: the longest entry of a journal, its texts escaped once more.
const LONGEST: u64 = 128 << 20;
/// Shorter secrets are placeholders such as `none`, and words of ordinary text.
const SHORTEST_SECRET: usize = 8;
const REDACTED: &str = "[redacted]";

/// Why a recording cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file.
    #[error(transparent)]
    File(#[from] FsError),
    /// The journal it is made from.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file that is something else, or of a later version.
    #[error("{path} is no recording of this version of convogen; name a file that --record made", path = path.display())]
    NoRecording {
        /// The file.
        path: PathBuf,
    },
    /// A line that is no reply.
    #[error("{path}:{line}: {reason}; record the run again", path = path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// Replies are missing, or there are more than there were.
    #[error("{path} holds {found} of the {replies} replies that were recorded; copy the whole file", path = path.display())]
    Part {
        /// The file.
        path: PathBuf,
        /// Replies in it.
        found: u64,
        /// Replies that were recorded.
        replies: u64,
    },
}

impl RecordingError {
    /// The exit code of the contract.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::File(_) => ExitCode::Io,
            Self::Journal(error) => error.exit_code(),
            Self::NoRecording { .. } | Self::Line { .. } | Self::Part { .. } => ExitCode::Input,
        }
    }
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct RecordingHeader {
    format: String,
    version: u32,
    replies: u64,
    models: BTreeMap<String, String>,
}

/// A line behind it.
#[derive(Debug, Serialize, Deserialize)]
struct RecordedLine {
    key: String,
    item: Option<String>,
    role: Role,
    answer: Answer,
}

/// Writes the replies of `journals` to `path`, those of the first journal before those of the next, without `secrets`.
/// Returns how many replies held one.
///
/// The file appears whole or not at all. One that is there is replaced, if it is a recording.
pub(crate) fn write(
    path: &Path,
    journals: &[Archive],
    models: BTreeMap<String, String>,
    secrets: &[SecretString],
) -> Result<u64, RecordingError> {
    if path.exists() {
        read_header(path, &mut BufReader::new(fs::open(path)?))?;
    }
    let mut replies = 0;
    each(journals, |_| {
        replies += 1;
        Ok(())
    })?;
    let header = RecordingHeader { format: FORMAT.to_owned(), version: VERSION, replies, models };
    let mut file = fs::create_temporary(path)?;
    let mut out = BufWriter::new(&mut file);
    let secrets = forms(secrets);
    let mut scrubbed = 0;
    put(&mut out, path, &text(&header))?;
    each(journals, |entry| {
        let line = text(&line(entry)?);
        let clean = secrets.iter().fold(line.clone(), |line, secret| line.replace(secret, REDACTED));
        scrubbed += u64::from(clean != line);
        put(&mut out, path, &clean)
    })?;
    out.flush().map_err(|source| failed("write", path, source))?;
    drop(out);
    file.publish(path)?;
    Ok(scrubbed)
}

/// The replies of all journals, each key once.
fn each(
    journals: &[Archive],
    mut on_reply: impl FnMut(&JournalEntry<'_>) -> Result<(), RecordingError>,
) -> Result<(), RecordingError> {
    for (at, journal) in journals.iter().enumerate() {
        journal.each(|entry| {
            let key = entry.key.as_deref().unwrap_or_default();
            let known = journals.iter().take(at).any(|earlier| earlier.holds(key));
            if known { Ok(()) } else { on_reply(entry) }
        })?;
    }
    Ok(())
}

fn line(entry: &JournalEntry<'_>) -> Result<RecordedLine, RecordingError> {
    let (key, item) = (entry.key.as_deref().unwrap_or_default(), entry.item.as_deref());
    let recorded: RecordedReply = entry.read().map_err(|source| JournalError::Unreadable {
        item: item.unwrap_or("-").to_owned(),
        key: key.to_owned(),
        source,
    })?;
    let RecordedReply { role, answer, .. } = recorded;
    Ok(RecordedLine { key: key.to_owned(), item: item.map(str::to_owned), role, answer })
}

/// How secrets may stand in a line: as JSON writes them, and percent-encoded.
fn forms(secrets: &[SecretString]) -> Vec<String> {
    let long = secrets.iter().map(ExposeSecret::expose_secret).filter(|secret| secret.len() >= SHORTEST_SECRET);
    let forms = long.flat_map(|secret| {
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        [text(&secret).trim_matches('"').to_owned(), encoded]
    });
    let mut forms: Vec<String> = forms.collect();
    // A secret that is part of another must not break it in two.
    forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
    forms
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| unreachable!("texts and numbers have a JSON form: {error}"))
}

fn put(out: &mut impl Write, path: &Path, line: &str) -> Result<(), RecordingError> {
    let written = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
    written.map_err(|source| failed("write", path, source).into())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> FsError {
    FsError { action, path: path.to_owned(), source }
}

/// A recording that was opened: replies stay on disk, their places are held.
#[derive(Debug)]
pub(crate) struct Recording {
    path: PathBuf,
    file: File,
    /// Offset and length by key.
    places: HashMap<u128, (u64, usize)>,
    models: BTreeMap<String, String>,
}

impl Recording {
    /// Opens the recording at `path`, after a look at every line of it.
    pub(crate) fn open(path: &Path) -> Result<Self, RecordingError> {
        let file = fs::open(path)?;
        let mut reader = BufReader::with_capacity(1 << 18, fs::open(path)?);
        let (RecordingHeader { replies, models, .. }, mut offset) = read_header(path, &mut reader)?;
        let mut places = HashMap::new();
        let mut line = Vec::new();
        for number in 2.. {
            read_line(path, &mut reader, &mut line)?;
            if line.is_empty() {
                break;
            }
            let read: Result<RecordedLine, _> = serde_json::from_slice(&line);
            let wrong = |reason: String| RecordingError::Line { path: path.to_owned(), line: number, reason };
            let key = read.map_err(|error| wrong(format!("no reply: {error}")))?.key;
            let key = spelled(&key).ok_or_else(|| wrong(format!("{key:?} is no key of a call")))?;
            if places.insert(key, (offset, line.len())).is_some() {
                return Err(wrong("a second reply to one call".to_owned()));
            }
            offset += line.len() as u64;
        }
        let found = places.len() as u64;
        if found != replies {
            return Err(RecordingError::Part { path: path.to_owned(), found, replies });
        }
        Ok(Self { path: path.to_owned(), file, places, models })
    }

    /// The logical names of the models that were recorded, by their place in the configuration.
    pub(crate) fn models(&self) -> &BTreeMap<String, String> {
        &self.models
    }

    /// The reply to the call with this key.
    pub(super) fn get(&self, key: &str) -> Result<Option<RecordedReply>, JournalError> {
        let Some((offset, length)) = spelled(key).and_then(|key| self.places.get(&key)).copied() else {
            return Ok(None);
        };
        let line = fs::read_at(&self.file, &self.path, offset, length)?;
        let changed = || failed("read", &self.path, io::Error::new(ErrorKind::InvalidData, "it changed meanwhile"));
        let RecordedLine { role, answer, .. } = serde_json::from_slice(&line).map_err(|_| changed())?;
        Ok(Some(RecordedReply { role, answer, requests: 0, ms: 0, inherited: true }))
    }
}

/// The number that the 32 hex digits of a call's key spell.
fn spelled(key: &str) -> Option<u128> {
    u128::from_str_radix(key, 16).ok().filter(|_| key.len() == 32)
}

/// The header, and where the line behind it begins.
fn read_header(path: &Path, reader: &mut impl BufRead) -> Result<(RecordingHeader, u64), RecordingError> {
    let mut line = Vec::new();
    read_line(path, reader, &mut line)?;
    let header: Option<RecordingHeader> = serde_json::from_slice(&line).ok();
    let header = header.filter(|header| header.format == FORMAT && header.version == VERSION);
    header
        .map(|header| (header, line.len() as u64))
        .ok_or_else(|| RecordingError::NoRecording { path: path.to_owned() })
}

fn read_line(path: &Path, reader: &mut impl BufRead, line: &mut Vec<u8>) -> Result<(), FsError> {
    line.clear();
    let read = reader.take(LONGEST).read_until(b'\n', line);
    read.map(|_| ()).map_err(|source| failed("read", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::{Finish, Reply, Usage};
    use crate::record::content_hash;
    use crate::store::journal::{EntryKind, Journal, Options};

    fn reply(text: &str) -> RecordedReply {
        let usage = Usage { prompt_tokens: 7, ..Usage::default() };
        let answer = Answer::Reply(Reply { text: text.to_owned(), finish: Finish::Stop, usage });
        RecordedReply { role: Role::Speaker, answer, requests: 3, ms: 99, inherited: false }
    }

    /// A journal of replies with these texts, the key of each a hash of its place.
    fn journal(folder: &Path, texts: &[&str]) -> Archive {
        let (journal, _) = Journal::open(folder, "run", Options::default(), |_| ()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (at, text) in texts.iter().enumerate() {
            let key = content_hash([at.to_string().as_str()]);
            let written = journal.append(EntryKind::Reply, Some(&key), Some("item"), &reply(text));
            runtime.block_on(written).unwrap();
        }
        drop(journal);
        Archive::open(folder).unwrap()
    }

    fn key(at: usize) -> String {
        content_hash([at.to_string().as_str()])
    }

    fn recorded(folder: &Path, texts: &[&str], secrets: &[&str]) -> (PathBuf, u64) {
        let path = folder.join("run.recording");
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
        let models = BTreeMap::from([("default".to_owned(), "demo".to_owned())]);
        let scrubbed = write(&path, &[journal(&folder.join("journal"), texts)], models, &secrets).unwrap();
        (path, scrubbed)
    }

    #[test]
    fn every_reply_is_found_again_by_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let texts = ["one", "\"two\"\n\u{1}", "drei ü"];
        let (path, _) = recorded(folder.path(), &texts, &[]);
        let recording = Recording::open(&path).unwrap();
        for (at, text) in texts.iter().enumerate() {
            let found = recording.get(&key(at)).unwrap().unwrap();
            assert_eq!(found.answer, reply(text).answer);
            assert!(found.inherited, "a replay is billed");
        }
        assert!(recording.get(&key(9)).unwrap().is_none() && recording.get("?").unwrap().is_none());
        assert_eq!(recording.models()["default"], "demo");
    }

    #[test]
    fn of_several_journals_the_first_reply_to_a_call_counts() {
        let folder = tempfile::tempdir().unwrap();
        let journals =
            [journal(&folder.path().join("a"), &["new"]), journal(&folder.path().join("b"), &["old", "more"])];
        let path = folder.path().join("both");
        write(&path, &journals, BTreeMap::new(), &[]).unwrap();
        let recording = Recording::open(&path).unwrap();
        assert_eq!(recording.get(&key(0)).unwrap().unwrap().answer, reply("new").answer);
        assert_eq!(recording.get(&key(1)).unwrap().unwrap().answer, reply("more").answer);
    }

    #[test]
    fn no_form_of_a_secret_is_recorded() {
        let folder = tempfile::tempdir().unwrap();
        let texts = ["my key is canary+\"key\"/1234", "or canary%2B%22key%22%2F1234", "short: none", "nothing"];
        let (path, scrubbed) = recorded(folder.path(), &texts, &["canary+\"key\"/1234", "none"]);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("canary"), "{text}");
        assert!(text.contains("short: none"), "a placeholder is a word like any other");
        assert_eq!(scrubbed, 2);
        Recording::open(&path).unwrap();
    }

    #[test]
    fn a_file_that_is_not_whole_is_refused_wherever_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let (path, _) = recorded(folder.path(), &["one", "two", "three"], &[]);
        let whole = fs::read(&path).unwrap();
        // Only the last newline says nothing.
        for end in 0..whole.len() - 1 {
            fs::write_atomic(&path, &whole[..end]).unwrap();
            let error = Recording::open(&path).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Input, "cut at {end}");
        }
        let doubled = [whole.as_slice(), whole.split_inclusive(|byte| *byte == b'\n').next_back().unwrap()].concat();
        fs::write_atomic(&path, &doubled).unwrap();
        let error = Recording::open(&path).unwrap_err().to_string();
        assert!(error.contains("run.recording:5: a second reply to one call"), "{error}");
    }

    #[test]
    fn nothing_but_a_recording_is_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let archive = journal(&folder.path().join("journal"), &["one"]);
        let path = folder.path().join("notes.txt");
        fs::write_atomic(&path, b"my notes").unwrap();
        let error = write(&path, std::slice::from_ref(&archive), BTreeMap::new(), &[]).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Input);
        assert_eq!(fs::read(&path).unwrap(), b"my notes");
        fs::remove_if_there(&path).unwrap();
        for _ in 0..2 {
            write(&path, std::slice::from_ref(&archive), BTreeMap::new(), &[]).unwrap();
        }
    }
}
