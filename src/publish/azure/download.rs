//! Reading blobs back: small ones whole, large ones piece by piece through a hash.

use std::num::NonZero;

use azure_core::Bytes;
use azure_core::http::Etag;
use azure_storage_blob::models::{BlobClientDownloadOptions, HttpRange};
use futures_util::{StreamExt, TryStreamExt, stream};
use sha2::{Digest, Sha256};

use super::refusal::{Operation, code, status};
use super::{Container, is_missing};
use crate::publish::blob::{OnBytes, Tag};
use crate::publish::error::PublishError;

/// The largest blob that is read whole: far above any pointer or manifest.
const SMALL: u64 = 16 << 20;

/// How much is asked for at once.
const PIECE: u64 = 4 << 20;

/// How many pieces are under way at once.
const AHEAD: usize = 4;

impl Container {
    /// A small blob and its state; nothing if it, or even its container, is not there.
    ///
    /// # Errors
    /// [`PublishError::Damaged`] if it has more than 16 MiB, which nothing has that is to be read whole.
    pub async fn read(&self, path: &str) -> Result<Option<(Vec<u8>, Tag)>, PublishError> {
        match self.range(path, 0, SMALL + 1, None).await {
            Ok((content, _)) if content.len() as u64 > SMALL => Err(PublishError::Damaged {
                path: path.to_owned(),
                reason: format!(
                    "has more than {} MiB, and is no file of a published dataset; see what is there",
                    SMALL >> 20
                ),
            }),
            Ok((content, etag)) => Ok(Some((content.into(), Tag(etag.to_string())))),
            Err(error) if is_missing(&error) || code(&error) == "ContainerNotFound" => Ok(None),
            Err(error) => Err(self.refusals.of(Operation::Read, path, error)),
        }
    }

    /// Reads all of a blob: its size and SHA-256 (lower-case hex); nothing if it is not there. A few pieces are in memory at
    /// once, and one that is lost on the way is asked for again.
    ///
    /// # Errors
    /// [`PublishError::Damaged`] if it changes meanwhile.
    pub async fn hash(&self, path: &str, on_bytes: &OnBytes) -> Result<Option<(u64, String)>, PublishError> {
        let Some((blob, etag)) = self.look(path).await? else { return Ok(None) };
        let starts = (0..blob.bytes).step_by(usize::try_from(PIECE).unwrap_or(usize::MAX));
        let pieces = stream::iter(starts).map(|start| {
            let etag = etag.clone();
            async move { self.range(path, start, PIECE.min(blob.bytes - start), Some(etag)).await }
        });
        let hash = pieces.buffered(AHEAD).try_fold((Sha256::new(), 0), |(hash, bytes), (piece, _)| async move {
            on_bytes(piece.len() as u64, true);
            Ok((hashed(hash, piece.clone()).await?, bytes + piece.len() as u64))
        });
        match hash.await {
            Ok((hash, bytes)) => Ok(Some((bytes, format!("{:x}", hash.finalize())))),
            Err(error) if status(&error) == 412 || is_missing(&error) => Err(PublishError::Damaged {
                path: path.to_owned(),
                reason: "was changed while it was read; run the same command again".to_owned(),
            }),
            Err(error) => Err(self.refusals.of(Operation::Read, path, error)),
        }
    }

    /// Up to `length` bytes from `start`, and the state of the blob they are of.
    async fn range(
        &self,
        path: &str,
        start: u64,
        length: u64,
        expected: Option<Etag>,
    ) -> azure_core::Result<(Bytes, Etag)> {
        let options = BlobClientDownloadOptions {
            if_match: expected,
            range: Some(HttpRange::from(start..start + length)),
            parallel: Some(NonZero::<usize>::MIN),
            partition_size: usize::try_from(length).ok().and_then(NonZero::new),
            ..Default::default()
        };
        let answer = self.blob(path).download(Some(options)).await?;
        let etag = answer.properties.etag.clone().unwrap_or_else(|| Etag::from(""));
        Ok((answer.body.collect().await?, etag))
    }
}

/// Away from the threads that wait for the network.
async fn hashed(mut hash: Sha256, piece: Bytes) -> azure_core::Result<Sha256> {
    let done = tokio::task::spawn_blocking(move || {
        hash.update(&piece);
        hash
    });
    done.await.map_err(|error| azure_core::Error::new(azure_core::error::ErrorKind::Other, error))
}
