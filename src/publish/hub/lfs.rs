//! Large and binary files, sent ahead of the commit by the batch interface of Git LFS.
//!
//! The hub is told sizes and hashes and says where each file goes that it has not; it checks what arrives against the hash. So
//! a file that a killed publish has sent is not sent again. A file goes to its place in one piece, or in parts of the size that
//! the hub names (its own extension, `multipart`), each of which is sent again on its own when it is lost.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::outgoing::OutgoingFile;
use super::{BRANCH, HubDataset};
use crate::net::http::HttpReply;
use crate::publish::blob::OnBytes;
use crate::publish::error::PublishError;

/// Files that one request may ask for.
const BATCH: usize = 100;

/// Files in flight.
const IN_FLIGHT: usize = 4;

#[derive(Debug, Deserialize)]
struct LfsBatch {
    objects: Vec<LfsObject>,
}

#[derive(Debug, Deserialize)]
struct LfsObject {
    oid: String,
    /// Nothing where the hub has the file.
    actions: Option<LfsActions>,
    error: Option<LfsError>,
}

#[derive(Debug, Deserialize)]
struct LfsError {
    code: u16,
    message: String,
}

#[derive(Debug, Deserialize)]
struct LfsActions {
    upload: Option<LfsAction>,
    verify: Option<LfsAction>,
}

/// A request that is to be made.
#[derive(Debug, Deserialize)]
struct LfsAction {
    href: String,
    /// Headers to send with it, or where parts go: `chunk_size`, and an address by number.
    #[serde(default)]
    header: BTreeMap<String, Value>,
}

impl HubDataset {
    /// Sends those of `files` that the hub has not. Returns the bytes sent.
    pub(super) async fn send_ahead(&self, files: &[&OutgoingFile], on_bytes: &OnBytes) -> Result<u64, PublishError> {
        let mut sent = 0;
        for files in files.chunks(BATCH) {
            let objects = self.batch(files).await?;
            let with_file = |object: LfsObject| {
                let file = files.iter().find(|file| file.entry.sha256 == object.oid);
                file.map(|file| (*file, object))
            };
            let sending = stream::iter(objects.into_iter().filter_map(with_file));
            let sending = sending.map(|(file, object)| self.send_object(file, object, on_bytes));
            let bytes: Vec<u64> = sending.buffer_unordered(IN_FLIGHT).try_collect().await?;
            sent += bytes.into_iter().sum::<u64>();
        }
        Ok(sent)
    }

    /// Asks where files go.
    async fn batch(&self, files: &[&OutgoingFile]) -> Result<Vec<LfsObject>, PublishError> {
        let action = "ask where large files go";
        let objects = files.iter().map(|file| json!({"oid": file.entry.sha256, "size": file.entry.bytes}));
        let body = json!({
            "operation": "upload", "transfers": ["basic", "multipart"], "hash_algo": "sha256",
            "ref": {"name": BRANCH}, "objects": objects.collect::<Vec<_>>(),
        });
        let (owner, name) = self.api.repo.split_once('/').unwrap_or_default();
        let git = format!("{name}.git");
        let url = self.api.at(&["datasets", owner, &git, "info", "lfs", "objects", "batch"]);
        let reply = self.api.post_lfs(action, &url, body.to_string().into()).await?;
        if reply.status != 200 {
            return Err(self.api.refused(action, &reply));
        }
        Ok(self.api.json::<LfsBatch>(action, &reply)?.objects)
    }

    /// Sends one file, if the hub wants it. Returns the bytes sent.
    async fn send_object(
        &self,
        file: &OutgoingFile,
        object: LfsObject,
        on_bytes: &OnBytes,
    ) -> Result<u64, PublishError> {
        let action = format!("write {}", file.entry.path);
        if let Some(LfsError { code, message }) = object.error {
            let reply = HttpReply { status: code, headers: HeaderMap::new(), body: message.into() };
            return Err(self.api.refused(&action, &reply));
        }
        let Some(LfsActions { upload: Some(upload), verify }) = object.actions else {
            on_bytes(file.entry.bytes, false);
            return Ok(0);
        };
        match upload.header.get("chunk_size").and_then(number) {
            Some(size) => self.send_parts(&action, file, &upload, size.max(1), on_bytes).await?,
            None => self.send_whole(&action, file, &upload, on_bytes).await?,
        }
        if let Some(verify) = verify {
            let body = json!({"oid": file.entry.sha256, "size": file.entry.bytes});
            let url = self.place(&action, &verify.href)?;
            self.accepted(&action, &self.api.post_lfs(&action, &url, body.to_string().into()).await?)?;
        }
        tracing::info!(path = file.entry.path, bytes = file.entry.bytes, "sent ahead");
        Ok(file.entry.bytes)
    }

    async fn send_whole(
        &self,
        action: &str,
        file: &OutgoingFile,
        to: &LfsAction,
        on_bytes: &OnBytes,
    ) -> Result<(), PublishError> {
        let mut headers = headers(&to.header);
        headers.insert(CONTENT_LENGTH, file.entry.bytes.into());
        let url = self.place(action, &to.href)?;
        self.api.put(action, &url, &headers, || file.body(0, file.entry.bytes, on_bytes)).await.map(drop)
    }

    /// Sends a file in parts of `size`, and tells the hub that all are there.
    async fn send_parts(
        &self,
        action: &str,
        file: &OutgoingFile,
        to: &LfsAction,
        size: u64,
        on_bytes: &OnBytes,
    ) -> Result<(), PublishError> {
        let mut parts = Vec::new();
        for (at, offset) in (0..file.entry.bytes).step_by(usize::try_from(size).unwrap_or(usize::MAX)).enumerate() {
            let url = self.part(action, to, at + 1)?;
            let bytes = size.min(file.entry.bytes - offset);
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from(bytes))]);
            let reply = self.api.put(action, &url, &headers, || file.body(offset, bytes, on_bytes)).await?;
            let etag = reply.headers.get(ETAG).and_then(|etag| etag.to_str().ok()).unwrap_or_default();
            parts.push(json!({"partNumber": at + 1, "etag": etag}));
        }
        let body = json!({"oid": file.entry.sha256, "parts": parts});
        let url = self.place(action, &to.href)?;
        self.accepted(action, &self.api.post_lfs(action, &url, body.to_string().into()).await?)
    }

    /// Where a part goes. Numbers count from 1, and may have zeros in front.
    fn part(&self, action: &str, to: &LfsAction, number: usize) -> Result<Url, PublishError> {
        let mut places = to.header.iter().filter(|(name, _)| name.parse() == Ok(number));
        self.place(action, places.find_map(|(_, place)| place.as_str()).unwrap_or_default())
    }

    fn place(&self, action: &str, href: &str) -> Result<Url, PublishError> {
        Url::parse(href).map_err(|_| PublishError::Unreachable {
            destination: self.describe(),
            action: action.to_owned(),
            reason: "the hub did not say where it goes".to_owned(),
        })
    }

    fn accepted(&self, action: &str, reply: &HttpReply) -> Result<(), PublishError> {
        if (200..300).contains(&reply.status) { Ok(()) } else { Err(self.api.refused(action, reply)) }
    }
}

/// Numbers come as text too.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn headers(given: &BTreeMap<String, Value>) -> HeaderMap {
    let header = |(name, value): (&String, &Value)| {
        Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value.as_str()?).ok()?))
    };
    given.iter().filter_map(header).collect()
}
