//! Several small files as one source: a folder with what is below it, or a pattern with `*` and `?`.
//!
//! Each holds one JSON document, as upstream ConvoGen writes situations and finished chats. They are taken in the order of
//! their paths, and the source is known by a hash over paths and contents.

use std::path::{Component, Path, PathBuf};

use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};

use super::{InputDigest, SourceError, hex};
use crate::stages::Progress;
use crate::store::fs::{self, FsError};

/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// Shows the content of every file to `visit`, or nothing for one that is too large, and says what was read. `key`: the
/// setting that names `path`.
///
/// # Errors
/// If nothing is there, or something cannot be read.
pub(crate) fn read(
    path: &Path,
    key: &'static str,
    progress: &Progress,
    visit: &mut dyn FnMut(&Path, Option<&[u8]>),
) -> Result<InputDigest, SourceError> {
    let files = files(path).map_err(SourceError::Unreadable)?;
    if files.is_empty() {
        let path = path.to_owned();
        if path.is_dir() {
            let (kind, advice) = ("a folder without .json files", "name a folder of situation files or finished chats");
            return Err(SourceError::OtherFormat { path, kind, advice });
        }
        return Err(SourceError::Missing { path, key });
    }
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let lengths = files.iter().map(|file| fs::metadata(file).map(|metadata| metadata.len()));
    let lengths = lengths.collect::<Result<Vec<u64>, _>>().map_err(SourceError::Unreadable)?;
    progress.expect(lengths.iter().sum());
    for (file, length) in files.iter().zip(lengths) {
        hasher.update(file.strip_prefix(path).unwrap_or(file).to_string_lossy().as_bytes());
        hasher.update([0]);
        hasher.update(length.to_le_bytes());
        if length > MAX_FILE {
            visit(file, None);
        } else {
            let content = fs::read(file).map_err(SourceError::Io)?;
            hasher.update(&content);
            visit(file, Some(&content));
        }
        bytes += length;
        progress.work(length);
    }
    Ok(InputDigest { bytes, sha256: hex(hasher) })
}

/// Whether `path` stands for documents: several files, or one that is a document and no list of rows.
pub(crate) fn is_several(path: &Path) -> bool {
    path.is_dir() || has_pattern(path) || is_document(path)
}

/// Whether a file is one JSON object from its first line to its last.
fn is_document(path: &Path) -> bool {
    let may_be = path.extension().is_some_and(|extension| extension == "json")
        && fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.len() <= MAX_FILE);
    let text = may_be.then(|| fs::read(path).ok()).flatten().unwrap_or_default();
    let text = text.trim_ascii_start();
    text.starts_with(b"{") && serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

fn has_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?']) && !path.exists()
}

/// The `.json` files below a folder, or the files that a pattern fits, in order.
fn files(path: &Path) -> Result<Vec<PathBuf>, FsError> {
    let mut found = Vec::new();
    if path.is_dir() {
        below(path, &mut found)?;
        found.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    } else {
        fitting(PathBuf::new(), &path.components().collect::<Vec<_>>(), &mut found)?;
    }
    found.sort();
    Ok(found)
}

fn below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), FsError> {
    for name in fs::list(folder)? {
        let path = folder.join(name);
        // A link to a folder above would never end.
        if path.is_dir() && !path.is_symlink() {
            below(&path, found)?;
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

/// The files below `folder` whose paths fit `steps`.
fn fitting(folder: PathBuf, steps: &[Component<'_>], found: &mut Vec<PathBuf>) -> Result<(), FsError> {
    let Some((step, rest)) = steps.split_first() else {
        if folder.is_file() {
            found.push(folder);
        }
        return Ok(());
    };
    let pattern = step.as_os_str().to_string_lossy();
    if !pattern.contains(['*', '?']) {
        return fitting(folder.join(step), rest, found);
    }
    let here = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    if !here.is_dir() {
        return Ok(());
    }
    let names = fs::list(here)?.into_iter().filter(|name| fits(name, &pattern));
    names.into_iter().try_for_each(|name| fitting(folder.join(name), rest, found))
}

/// Whether `name` fits `pattern`, in which `*` is any text and `?` any character.
fn fits(name: &str, pattern: &str) -> bool {
    let (name, pattern): (Vec<char>, Vec<char>) = (name.chars().collect(), pattern.chars().collect());
    // Which beginnings of the pattern fit the name so far.
    let mut fitting: Vec<bool> = vec![true];
    fitting.extend(pattern.iter().scan(true, |all, sign| {
        *all &= *sign == '*';
        Some(*all)
    }));
    for letter in name {
        let mut next = vec![false];
        for (sign, pair) in pattern.iter().zip(fitting.windows(2)) {
            let (before, here) = (pair.first() == Some(&true), pair.last() == Some(&true));
            let up_to_now = next.last() == Some(&true);
            next.push(match sign {
                '*' => up_to_now || here || before,
                '?' => before,
                sign => before && *sign == letter,
            });
        }
        fitting = next;
    }
    fitting.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_fits_what_a_shell_would_take() {
        for (name, pattern, expected) in [
            ("chat-1.json", "chat-*.json", true),
            ("chat-.json", "chat-*.json", true),
            ("chat-1.json.bak", "chat-*.json", false),
            ("chat-12.json", "chat-?.json", false),
            ("chat-1.json", "*", true),
            ("a*b", "a?b", true),
            ("abcabd", "a*abd", true),
            ("", "*", true),
            ("x", "", false),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }

    #[test]
    fn a_file_is_a_document_unless_it_has_rows() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text, expected) in [
            ("a.json", "{\n \"id\": 1\n}\n", true),
            ("b.json", "{\"id\": 1}\n{\"id\": 2}\n", false),
            ("c.json", "[{\"id\": 1}]", false),
            ("d.jsonl", "{\"id\": 1}\n", false),
            ("e.json", "{\n", false),
        ] {
            let path = folder.path().join(name);
            fs::write_atomic(&path, text.as_bytes()).unwrap();
            assert_eq!(is_several(&path), expected, "{name}");
        }
        fs::create_dir_all(&folder.path().join("empty")).unwrap();
        let empty = read(&folder.path().join("empty"), "k", &Progress::default(), &mut |_, _| {}).unwrap_err();
        assert!(
            empty
                .to_string()
                .ends_with("empty is a folder without .json files: name a folder of situation files or finished chats")
        );
    }

    #[test]
    fn a_folder_is_known_by_what_is_in_it_and_not_by_where_it_lies() {
        let one = tempfile::tempdir().unwrap();
        let two = tempfile::tempdir().unwrap();
        for folder in [&one, &two] {
            for (name, text) in [("b/chat-2.json", "2"), ("chat-1.json", "1"), ("notes.txt", "no")] {
                let path = folder.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write_atomic(&path, text.as_bytes()).unwrap();
            }
        }
        let look = |path: &Path| {
            let mut seen = Vec::new();
            let visit = &mut |file: &Path, text: Option<&[u8]>| {
                seen.push((file.file_name().unwrap().to_owned(), text.unwrap().to_vec()));
            };
            let digest = read(path, "situations.source", &Progress::default(), visit);
            digest.map(|digest| (digest.sha256, seen.into_iter().map(|(name, _)| name).collect::<Vec<_>>()))
        };
        let (hash, names) = look(one.path()).unwrap();
        assert_eq!(names, ["chat-2.json", "chat-1.json"]);
        assert_eq!(look(two.path()).unwrap().0, hash);
        assert_eq!(look(&one.path().join("*/chat-?.json")).unwrap().1, ["chat-2.json"]);
        assert!(matches!(look(&one.path().join("*.jsonl")), Err(SourceError::Missing { .. })));
        fs::write_atomic(&two.path().join("chat-1.json"), b"3").unwrap();
        assert_ne!(look(two.path()).unwrap().0, hash);
    }
}
