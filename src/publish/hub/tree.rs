//! What a commit holds, and reading it.

use reqwest::header::LINK;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use url::Url;

use super::HubDataset;
use super::api::persist;
use crate::net::attempt::AttemptError;
use crate::net::http::HttpReply;
use crate::publish::blob::OnBytes;
use crate::publish::error::PublishError;

/// The hub's own: which files are kept by Git LFS.
pub(super) const ATTRIBUTES: &str = ".gitattributes";

/// The largest file that is read as a whole: far above any manifest.
const READ_CAP: usize = 16 << 20;

/// A file of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RemoteFile {
    pub(super) path: String,
    pub(super) bytes: u64,
    /// By which git names it.
    pub(super) oid: String,
    /// SHA-256 of the content (lower-case hex) where the file is kept by Git LFS, which has checked it.
    pub(super) sha256: Option<String>,
}

/// An entry as the hub lists it.
#[derive(Debug, Deserialize)]
struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<LfsPointer>,
}

#[derive(Debug, Deserialize)]
struct LfsPointer {
    oid: String,
    size: u64,
}

impl From<TreeEntry> for RemoteFile {
    fn from(entry: TreeEntry) -> Self {
        let TreeEntry { path, oid, size, lfs, .. } = entry;
        let bytes = lfs.as_ref().map_or(size, |pointer| pointer.size);
        Self { path, bytes, oid, sha256: lfs.map(|pointer| pointer.oid) }
    }
}

impl HubDataset {
    /// Every file of a commit but the hub's own, by path.
    pub(super) async fn tree(&self, commit: &str) -> Result<Vec<RemoteFile>, PublishError> {
        let action = "list the files";
        let mut url = self.api.of_repo(&["api", "datasets"], &["tree", commit]);
        url.set_query(Some("recursive=true&expand=false"));
        let mut files: Vec<RemoteFile> = Vec::new();
        loop {
            let reply = self.api.get(action, &url).await?;
            if reply.status != 200 {
                return Err(self.api.refused(action, &reply));
            }
            let page: Vec<TreeEntry> = self.api.json(action, &reply)?;
            files.extend(page.into_iter().filter(|entry| entry.kind == "file").map(RemoteFile::from));
            let Some(query) = next_page(&url, &reply) else { break };
            url.set_query(Some(&query));
        }
        files.retain(|file| file.path != ATTRIBUTES);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    fn file(&self, commit: &str, path: &str) -> Url {
        let segments: Vec<&str> = ["resolve", commit].into_iter().chain(path.split('/')).collect();
        self.api.of_repo(&["datasets"], &segments)
    }

    /// A small file of a commit; nothing if it is not there.
    pub(super) async fn read(&self, commit: &str, path: &str) -> Result<Option<Vec<u8>>, PublishError> {
        let url = self.file(commit, path);
        let read = || async {
            let Some(mut reply) = self.api.download(url.clone()).await? else { return Ok(None) };
            let mut content = Vec::new();
            while let Some(piece) = reply.piece().await? {
                content.extend_from_slice(piece.as_ref());
                if content.len() > READ_CAP {
                    let message = format!("it has more than {} MiB, and is none of convogen's", READ_CAP >> 20);
                    return Err(AttemptError::Fatal { message });
                }
            }
            Ok(Some(content))
        };
        let content = persist(url.path(), read).await;
        content.map_err(|error| self.api.unreachable(&format!("read {path}"), &error))
    }

    /// Reads all of a file of a commit: its size and SHA-256 (lower-case hex); nothing if it is not there.
    pub(super) async fn hash(
        &self,
        commit: &str,
        path: &str,
        on_bytes: &OnBytes,
    ) -> Result<Option<(u64, String)>, PublishError> {
        let url = self.file(commit, path);
        let hash = || async {
            let Some(mut reply) = self.api.download(url.clone()).await? else { return Ok(None) };
            let (mut bytes, mut hash) = (0, Sha256::new());
            while let Some(piece) = reply.piece().await? {
                hash.update(piece.as_ref());
                bytes += piece.as_ref().len() as u64;
            }
            on_bytes(bytes, true);
            Ok(Some((bytes, format!("{:x}", hash.finalize()))))
        };
        let found = persist(url.path(), hash).await;
        found.map_err(|error| self.api.unreachable(&format!("read {path}"), &error))
    }
}

/// The query of the next page, which is on the hub whatever the link says.
fn next_page(url: &Url, reply: &HttpReply) -> Option<String> {
    let links = reply.headers.get(LINK)?.to_str().ok()?;
    let next = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let (_, rest) = next.split_once('<')?;
    let (target, _) = rest.split_once('>')?;
    url.join(target).ok()?.query().map(str::to_owned)
}
