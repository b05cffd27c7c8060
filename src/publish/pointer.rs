//! `latest.json`: the one blob that is ever replaced, and where readers start.
//!
//! ```json
//! {"format": 1, "version": "…", "manifest": "versions/…/manifest.json", "manifest_sha256": "…", "history": ["…", "…"]}
//! ```
//!
//! No clock: `history` has the versions in the order in which they became the latest, the latest at its end, and is what
//! `publish gc` goes by. One that becomes the latest again moves to the end.

use serde::{Deserialize, Serialize};

use super::blob::Tag;
use super::destination::Destination;
use super::error::PublishError;
use super::version;

/// Version of the pointer's form.
const FORMAT: u32 = 1;

/// Versions that are remembered.
const MAX_HISTORY: usize = 1_000;

/// The content of `latest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pointer {
    /// Version of this form.
    pub format: u32,
    /// The version that readers should take.
    pub version: String,
    /// Its manifest, relative to the pointer.
    pub manifest: String,
    /// SHA-256 of the manifest, in lower-case hex.
    pub manifest_sha256: String,
    /// The versions that were or are the latest, oldest first.
    pub history: Vec<String>,
}

impl Pointer {
    /// Points at the version whose manifest has this hash, after `before`.
    pub(crate) fn to(manifest_sha256: &str, before: Option<&Self>) -> Self {
        let version = version::of_manifest(manifest_sha256);
        let mut history = before.map(|before| before.history.clone()).unwrap_or_default();
        history.retain(|earlier| *earlier != version);
        history.push(version.clone());
        history.drain(..history.len().saturating_sub(MAX_HISTORY));
        Self {
            format: FORMAT,
            manifest: format!("versions/{version}/{}", version::MANIFEST),
            manifest_sha256: manifest_sha256.to_owned(),
            version,
            history,
        }
    }

    /// Its text, the same for the same pointer.
    pub(crate) fn text(&self) -> Vec<u8> {
        let text = serde_json::to_vec_pretty(self);
        let mut text = text.unwrap_or_else(|error| unreachable!("a struct of strings has a JSON form: {error}"));
        text.push(b'\n');
        text
    }

    /// The pointer of `dataset` and its state; nothing if nothing was published.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] for one of a newer form, [`PublishError::Damaged`] for one that cannot be read.
    pub(crate) async fn read(destination: &Destination, dataset: &str) -> Result<Option<(Self, Tag)>, PublishError> {
        let path = version::pointer(dataset);
        let Some((bytes, tag)) = destination.read(&path).await? else { return Ok(None) };
        Ok(Some((parse(&path, &bytes)?, tag)))
    }
}

fn parse(path: &str, bytes: &[u8]) -> Result<Pointer, PublishError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let damaged = |reason: String| PublishError::Damaged {
        path: path.to_owned(),
        reason: format!(
            "it is no pointer ({reason}); restore it from a copy, or remove it to have the next publish make it anew"
        ),
    };
    let Format { format } = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    if format > FORMAT {
        let reason = format!(
            "it has format {format}, this version reads {FORMAT}: a later convogen published here; use that one, nothing was changed"
        );
        return Err(PublishError::Conflict { path: path.to_owned(), reason });
    }
    let pointer: Pointer = serde_json::from_slice(bytes).map_err(|error| damaged(error.to_string()))?;
    let named = [&pointer.version].into_iter().chain(&pointer.history).all(|version| version::is_version(version));
    if !named || version::of_manifest(&pointer.manifest_sha256) != pointer.version {
        return Err(damaged("its versions are not what convogen writes".to_owned()));
    }
    Ok(pointer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;

    fn sha256(digit: char) -> String {
        digit.to_string().repeat(64)
    }

    #[test]
    fn history_has_every_version_once_the_latest_at_the_end() {
        let mut pointer = Pointer::to(&sha256('a'), None);
        for digit in ['b', 'c', 'a', 'a'] {
            pointer = Pointer::to(&sha256(digit), Some(&pointer));
        }
        assert_eq!(pointer.history, ['b', 'c', 'a'].map(|digit| digit.to_string().repeat(16)));
        assert_eq!(parse("latest.json", &pointer.text()).unwrap(), pointer);
    }

    #[test]
    fn what_is_no_pointer_is_told_apart_from_what_is_newer() {
        let good = String::from_utf8(Pointer::to(&sha256('a'), None).text()).unwrap();
        for (text, code) in [
            (good.replace("\"format\": 1", "\"format\": 2"), ExitCode::Conflict),
            ("{\"format\":2,\"new\":true}".to_owned(), ExitCode::Conflict),
            (String::new(), ExitCode::Damage),
            ("{}".to_owned(), ExitCode::Damage),
            (good.replace("aaaaaaaaaaaaaaaa\"\n", "../../../../../a\"\n"), ExitCode::Damage),
            (good.replacen("\"aaaaaaaaaaaaaaaa\"", "\"bbbbbbbbbbbbbbbb\"", 1), ExitCode::Damage),
        ] {
            let error = parse("d/latest.json", text.as_bytes()).unwrap_err();
            assert_eq!(error.exit_code(), code, "{text}: {error}");
        }
    }
}
