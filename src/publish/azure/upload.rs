//! Writing a file to a blob that is not there yet.
//!
//! A file that fits into one block goes in one request. A larger one is staged block by block and then committed in one
//! request, so that the blob is there whole or not at all. What counts as arrived is what the service lists, never a note
//! of our own: a service that was killed may have forgotten what it acknowledged. If it says so at the commit, what is
//! missing is staged again.

use std::collections::HashMap;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;

use azure_core::Bytes;
use azure_core::http::{ClientMethodOptions, Context, Etag};
use azure_storage_blob::BlockBlobClient;
use azure_storage_blob::models::{
    BlockBlobClientCommitBlockListOptions, BlockBlobClientStageBlockOptions, BlockBlobClientUploadOptions,
    BlockListType, BlockLookupList,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;

use super::blocks::{Block, BlockPlan, FileSource, ID_LENGTH, SHORTEST_ID, crc64};
use super::refusal::{Operation, code};
use super::wire::BodyCrc64;
use super::{Container, is_missing, is_taken, metadata};
use crate::publish::blob::{Created, OnBytes};
use crate::publish::error::PublishError;
use crate::store::fs::FsError;
use crate::store::part::FileEntry;

/// How often blocks are staged before a service that forgets them is given up on.
const ROUNDS: usize = 4;

/// The sizes of blocks that arrived, by id.
type Arrived = HashMap<Vec<u8>, u64>;

/// What is written where.
#[derive(Clone, Copy)]
struct Job<'a> {
    path: &'a str,
    source: &'a Path,
    entry: &'a FileEntry,
    on_bytes: &'a OnBytes,
}

/// How an attempt to finish a blob ended, if nothing went wrong that only a person can mend.
enum Finish {
    Written,
    /// Something is there by now.
    Taken,
    /// The service does not know all blocks.
    Forgotten,
}

impl Container {
    /// Writes the local file `source`, whose size and hash `entry` has, to `path` unless something is there. What arrived in
    /// an earlier try is not sent again. At most one block more than are in flight is in memory.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if something else is there, [`PublishError::Damaged`] if the file is not what `entry` says.
    pub async fn create(
        &self,
        path: &str,
        source: &Path,
        entry: &FileEntry,
        on_bytes: &OnBytes,
    ) -> Result<Created, PublishError> {
        let job = Job { path, source, entry, on_bytes };
        if self.is_there(job).await? {
            on_bytes(entry.bytes, false);
            return Ok(Created::AlreadyThere);
        }
        let (path, checksum) = (source.to_owned(), self.checksum);
        let opened = blocking(move || FileSource::open(&path, checksum)).await?;
        if opened.bytes()? != entry.bytes {
            return Err(changed(job));
        }
        let plan = BlockPlan::new(entry.bytes, self.block_bytes);
        let finish = if plan.count() <= 1 {
            self.put(job, opened, plan).await?
        } else {
            self.stage_and_commit(job, opened, plan).await?
        };
        match finish {
            Finish::Written => Ok(Created::Written),
            Finish::Taken if self.is_there(job).await? => Ok(Created::AlreadyThere),
            Finish::Taken | Finish::Forgotten => Err(self.unsettled(job)),
        }
    }

    /// Whether the same content is at the path already.
    async fn is_there(&self, job: Job<'_>) -> Result<bool, PublishError> {
        let Some((blob, _)) = self.look(job.path).await? else { return Ok(false) };
        if blob.bytes == job.entry.bytes && blob.sha256.as_ref() == Some(&job.entry.sha256) {
            return Ok(true);
        }
        Err(PublishError::Conflict {
            path: job.path.to_owned(),
            reason: format!(
                "something else is there ({} bytes, SHA-256 {}; this file has {} bytes, SHA-256 {}), and was left as it is; remove it or publish under another dataset name",
                blob.bytes,
                blob.sha256.as_deref().unwrap_or("not noted"),
                job.entry.bytes,
                job.entry.sha256
            ),
        })
    }

    fn unsettled(&self, job: Job<'_>) -> PublishError {
        PublishError::Unreachable {
            destination: self.describe(),
            action: format!("write {}", job.path),
            reason: format!(
                "it took the blocks {ROUNDS} times and did not keep them, or another publisher writes the same blob"
            ),
        }
    }

    /// Sends a file that fits into one block.
    async fn put(&self, job: Job<'_>, mut source: FileSource, plan: BlockPlan) -> Result<Finish, PublishError> {
        let read = blocking(move || {
            let content = match plan.count() {
                0 => Bytes::new(),
                _ => source.read(plan, 0, ID_LENGTH)?.content,
            };
            let sha256 = format!("{:x}", Sha256::digest(&content));
            Ok((content, sha256, source.finish_md5()))
        });
        let (content, sha256, md5) = read.await?;
        if sha256 != job.entry.sha256 {
            return Err(changed(job));
        }
        let mut call = Context::new();
        // In a request that writes the whole blob its MD5 is compared too, and a second checksum is refused.
        if md5.is_none() {
            call.insert(BodyCrc64(STANDARD.encode(crc64(&content))));
        }
        let options = BlockBlobClientUploadOptions {
            if_none_match: Some(Etag::from("*")),
            blob_content_type: Some(content_type(job.path).to_owned()),
            blob_content_md5: md5,
            metadata: Some(metadata(&job.entry.sha256)),
            // In one request, whatever its size.
            partition_size: Some(NonZero::<u64>::MAX),
            method_options: ClientMethodOptions { context: call },
            ..Default::default()
        };
        match self.blob(job.path).block_blob_client().upload(content.into(), Some(options)).await {
            Ok(_) => {
                (job.on_bytes)(job.entry.bytes, true);
                Ok(Finish::Written)
            }
            Err(error) if is_taken(&error) => Ok(Finish::Taken),
            Err(error) => Err(self.refusals.of(Operation::Create, job.path, error)),
        }
    }

    async fn stage_and_commit(
        &self,
        job: Job<'_>,
        mut source: FileSource,
        plan: BlockPlan,
    ) -> Result<Finish, PublishError> {
        let client = self.blob(job.path).block_blob_client();
        let refused = |error| self.refusals.of(Operation::Create, job.path, error);
        for round in 0..ROUNDS {
            let arrived = arrived(&client).await.map_err(refused)?;
            let id_length = id_length(job, &arrived)?;
            let staging = Staging { client: &client, arrived: &arrived, id_length, plan, first: round == 0 };
            let (ids, md5, read) = self.stage(job, source, &staging).await?;
            source = read;
            if !source.is_unchanged()? {
                return Err(changed(job));
            }
            match commit(&client, job, ids, md5).await.map_err(refused)? {
                Finish::Forgotten => {
                    tracing::warn!(path = job.path, round, "the service forgot blocks; sending what is missing");
                }
                finish => return Ok(finish),
            }
            source = reopened(job, self.checksum).await?;
        }
        Ok(Finish::Forgotten)
    }

    /// Reads the file from its start and sends the blocks that have not arrived. Returns the ids in order, the MD5 if it is
    /// asked for, and the file.
    async fn stage(
        &self,
        job: Job<'_>,
        source: FileSource,
        staging: &Staging<'_>,
    ) -> Result<(Vec<Vec<u8>>, Option<Vec<u8>>, FileSource), PublishError> {
        let shared = Arc::new(tokio::sync::Mutex::new(source));
        let (plan, id_length) = (staging.plan, staging.id_length);
        let blocks = stream::iter(0..plan.count()).then(|number| {
            let shared = Arc::clone(&shared);
            async move { blocking(move || shared.blocking_lock().read(plan, number, id_length)).await }
        });
        let sent = blocks
            .map(|block| async { self.send(job, block?, staging).await })
            .buffer_unordered(self.concurrency)
            .try_collect::<Vec<(u64, Vec<u8>)>>();
        let mut ids = sent.await?;
        ids.sort_unstable_by_key(|(number, _)| *number);
        let Some(mut source) = Arc::into_inner(shared).map(tokio::sync::Mutex::into_inner) else {
            return Err(changed(job));
        };
        Ok((ids.into_iter().map(|(_, id)| id).collect(), source.finish_md5(), source))
    }

    async fn send(&self, job: Job<'_>, block: Block, staging: &Staging<'_>) -> Result<(u64, Vec<u8>), PublishError> {
        let Block { number, id, content } = block;
        let bytes = content.len() as u64;
        let is_new = staging.arrived.get(&id) != Some(&bytes);
        if is_new {
            let options = BlockBlobClientStageBlockOptions {
                transactional_content_crc64: Some(crc64(&content).to_vec()),
                ..Default::default()
            };
            let staged = staging.client.stage_block(&id, bytes, content.into(), Some(options)).await;
            staged.map_err(|error| self.refusals.of(Operation::Create, job.path, error))?;
        }
        if staging.first {
            (job.on_bytes)(bytes, is_new);
        }
        Ok((number, id))
    }
}

/// What a round of staging needs to know.
struct Staging<'a> {
    client: &'a BlockBlobClient,
    arrived: &'a Arrived,
    id_length: usize,
    plan: BlockPlan,
    first: bool,
}

/// The length that ids must have.
fn id_length(job: Job<'_>, arrived: &Arrived) -> Result<usize, PublishError> {
    let length = arrived.keys().next().map_or(ID_LENGTH, Vec::len);
    if length >= SHORTEST_ID {
        return Ok(length);
    }
    Err(PublishError::Conflict {
        path: job.path.to_owned(),
        reason: "blocks of another tool wait under this name; remove them by writing and deleting a blob there, or wait a week"
            .to_owned(),
    })
}

/// The blocks that wait to be committed.
async fn arrived(client: &BlockBlobClient) -> azure_core::Result<Arrived> {
    let list = match client.get_block_list(BlockListType::Uncommitted, None).await {
        Err(error) if is_missing(&error) => return Ok(Arrived::new()),
        answer => answer?.into_model()?,
    };
    let blocks = list.uncommitted_blocks.unwrap_or_default().into_iter();
    Ok(blocks.filter_map(|block| Some((block.name?, u64::try_from(block.size?).ok()?))).collect())
}

async fn commit(
    client: &BlockBlobClient,
    job: Job<'_>,
    ids: Vec<Vec<u8>>,
    md5: Option<Vec<u8>>,
) -> azure_core::Result<Finish> {
    let blocks = BlockLookupList { latest: Some(ids), ..Default::default() };
    let options = BlockBlobClientCommitBlockListOptions {
        if_none_match: Some(Etag::from("*")),
        blob_content_type: Some(content_type(job.path).to_owned()),
        blob_content_md5: md5,
        metadata: Some(metadata(&job.entry.sha256)),
        ..Default::default()
    };
    match client.commit_block_list(blocks.try_into()?, Some(options)).await {
        Ok(_) => Ok(Finish::Written),
        Err(error) if code(&error) == "InvalidBlockList" => Ok(Finish::Forgotten),
        Err(error) if is_taken(&error) => Ok(Finish::Taken),
        Err(error) => Err(error),
    }
}

async fn reopened(job: Job<'_>, checksum: crate::config::upload::Checksum) -> Result<FileSource, PublishError> {
    let path = job.source.to_owned();
    blocking(move || FileSource::open(&path, checksum)).await
}

/// Reads away from the threads that wait for the network.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, FsError> + Send + 'static,
) -> Result<T, PublishError> {
    match spawn_blocking(read).await {
        Ok(done) => Ok(done?),
        Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
    }
}

fn changed(job: Job<'_>) -> PublishError {
    PublishError::Damaged {
        path: job.source.display().to_string(),
        reason: "is not what its manifest says, or was changed while it was sent; compile anew by running the same command again"
            .to_owned(),
    }
}

/// The media type of a file of a dataset, by its name.
pub(super) fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("parquet") => "application/vnd.apache.parquet",
        Some("jsonl") => "application/x-ndjson",
        Some("json") => "application/json",
        Some("md") => "text/markdown; charset=utf-8",
        Some("yaml" | "yml") => "application/yaml",
        _ => "application/octet-stream",
    }
}
