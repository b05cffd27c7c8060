//! The one commit: what it holds, and what became of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::Patience;
use super::outgoing::OutgoingFile;
use super::{BRANCH, HubDataset};
use crate::net::attempt::{AttemptError, Transient};
use crate::net::http::HttpReply;
use crate::publish::error::PublishError;

/// A line a JSON object.
const LINES: &str = "application/x-ndjson";

/// Files that one question about their upload may name; what `huggingface_hub` keeps to.
const BATCH: usize = 256;

/// What is to be changed in one step.
#[derive(Debug)]
pub(super) struct HubCommit<'a> {
    /// What it says of itself.
    pub(super) summary: String,
    /// The commit it comes after, and none else.
    pub(super) parent: &'a str,
    /// Files that go with it.
    pub(super) inline: Vec<&'a OutgoingFile>,
    /// Files that were sent ahead.
    pub(super) ahead: Vec<&'a OutgoingFile>,
    /// Files that go.
    pub(super) deleted: Vec<&'a str>,
}

/// What became of a commit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Committed {
    /// It is this one.
    As(String),
    /// `main` is at another commit: its own, of which the answer was lost, or someone else's.
    Moved(String),
}

impl HubCommit<'_> {
    fn body(&self) -> Result<Vec<u8>, PublishError> {
        let header = json!({"summary": self.summary, "description": "", "parentCommit": self.parent});
        let mut body = Vec::new();
        add(&mut body, "header", &header);
        for file in &self.inline {
            let content = STANDARD.encode(file.whole()?);
            add(&mut body, "file", &json!({"path": file.entry.path, "content": content, "encoding": "base64"}));
        }
        for OutgoingFile { entry, .. } in &self.ahead {
            let value = json!({"path": entry.path, "algo": "sha256", "oid": entry.sha256, "size": entry.bytes});
            add(&mut body, "lfsFile", &value);
        }
        for path in &self.deleted {
            add(&mut body, "deletedFile", &json!({"path": path}));
        }
        Ok(body)
    }
}

fn add(body: &mut Vec<u8>, key: &str, value: &Value) {
    body.extend_from_slice(json!({"key": key, "value": value}).to_string().as_bytes());
    body.push(b'\n');
}

impl HubDataset {
    /// Asks which of `files` are to be sent ahead; the others go with the commit.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if the repository is set to ignore one.
    pub(super) async fn sorted<'f>(
        &self,
        files: &[&'f OutgoingFile],
    ) -> Result<(Vec<&'f OutgoingFile>, Vec<&'f OutgoingFile>), PublishError> {
        #[derive(Deserialize)]
        struct Answer {
            files: Vec<UploadMode>,
        }
        let action = "ask how files are to be sent";
        let (mut inline, mut ahead) = (Vec::new(), Vec::new());
        for files in files.chunks(BATCH) {
            let described = files.iter().map(|file| {
                let sample = STANDARD.encode(file.sample()?);
                Ok(json!({"path": file.entry.path, "size": file.entry.bytes, "sample": sample}))
            });
            let body = json!({"files": described.collect::<Result<Vec<_>, PublishError>>()?});
            let url = self.api.of_repo(&["api", "datasets"], &["preupload", BRANCH]);
            let reply = self.api.post(action, &url, body.to_string().into()).await?;
            if reply.status != 200 {
                return Err(self.api.refused(action, &reply));
            }
            let Answer { files: modes } = self.api.json(action, &reply)?;
            for file in files {
                let mode = modes.iter().find(|mode| mode.path == file.entry.path);
                if mode.is_some_and(|mode| mode.should_ignore) {
                    let reason = "is ignored by .gitignore of the repository; change that and run again".to_owned();
                    return Err(PublishError::Conflict { path: file.entry.path.clone(), reason });
                }
                // Storage takes no empty file.
                let is_ahead = mode.is_some_and(|mode| mode.upload_mode == "lfs") && file.entry.bytes > 0;
                if is_ahead { ahead.push(*file) } else { inline.push(*file) }
            }
        }
        Ok((inline, ahead))
    }

    /// Commits. An answer that says no, or none at all, need not mean that nothing was done: `main` is looked at then, and the
    /// commit is tried again only while `main` is where it was.
    pub(super) async fn commit(&self, commit: &HubCommit<'_>) -> Result<Committed, PublishError> {
        let action = "commit";
        let (url, body) = (self.api.of_repo(&["api", "datasets"], &["commit", BRANCH]), commit.body()?);
        let mut patience = Patience::new(commit.parent);
        loop {
            let error = match self.api.post_once(&url, LINES, body.clone()).await {
                Ok(reply) if reply.status == 200 => return self.oid(action, &reply).map(Committed::As),
                Ok(reply) if matches!(reply.status, 409 | 412) => turned_down(reply.status),
                Ok(reply) => return Err(self.api.refused(action, &reply)),
                Err(error) => error,
            };
            match self.head().await? {
                Some(head) if head.commit == commit.parent => {
                    patience.wait(error).await.map_err(|error| self.api.unreachable(action, &error))?;
                }
                Some(head) => return Ok(Committed::Moved(head.commit)),
                None => return Err(self.api.unreachable(action, &error)),
            }
        }
    }

    fn oid(&self, action: &str, reply: &HttpReply) -> Result<String, PublishError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Answer {
            commit_oid: String,
        }
        self.api.json(action, reply).map(|Answer { commit_oid }| commit_oid)
    }
}

/// How a file is to be sent.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UploadMode {
    path: String,
    upload_mode: String,
    #[serde(default)]
    should_ignore: bool,
}

/// Someone else has committed, or is about to.
fn turned_down(status: u16) -> AttemptError {
    let message = format!("HTTP {status}: another change is in progress");
    AttemptError::Transient { message, kind: Transient::Unknown, retry_after: None }
}
