//! A container of Azure Blob Storage, through the official client.
//!
//! - `sign_in` finds service and credential, `shared_key` and `connection_string` are what the client lacks.
//! - `wire` is between the client and the network: signatures, time-outs, retries.
//! - `upload` writes a file so that it is there whole or not at all, and goes on where an earlier try stopped; `blocks`
//!   is what it sends. `download` reads back.
//! - `refusal` says what an error means.
//!
//! Everything is created once and never overwritten, but for [`Container::swap`], which replaces what it was told to expect.
//! After a lost answer the service is asked what became of the request, so that a retry cannot mistake its own work for
//! somebody else's.

mod blocks;
mod connection_string;
mod download;
mod refusal;
mod shared_key;
mod sign_in;
mod upload;
mod wire;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use azure_core::Bytes;
use azure_core::http::{ClientOptions, Etag, RetryOptions, Transport};
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientGetPropertiesResultHeaders, BlobContainerClientListBlobsOptions, BlobItem,
    BlockBlobClientUploadOptions, DeleteSnapshotsOptionType, ListBlobsIncludeItem,
};
use azure_storage_blob::{BlobClient, BlobContainerClient, BlobContainerClientOptions};
use futures_util::TryStreamExt;
use sha2::{Digest, Sha256};
use url::Url;

use self::refusal::{Operation, Refusals, code, status};
use self::sign_in::{BlobCredential, SignIn};
use self::wire::Wire;
use super::blob::{Blob, Tag};
use super::error::PublishError;
use crate::config::environment::Environment;
use crate::config::upload::{AzureDestination, Checksum};
use crate::net::http::{self, SetupError};
use crate::net::proxy::Proxies;

/// The name of the metadata that holds a blob's SHA-256, lower-case hex.
const SHA256: &str = "sha256";

/// How long to wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

#[cfg(target_os = "linux")]
/// How long the kernel waits for the other side to acknowledge what was sent.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// A container of Azure Blob Storage.
pub struct Container {
    client: BlobContainerClient,
    refusals: Box<Refusals>,
    block_bytes: u64,
    concurrency: usize,
    checksum: Checksum,
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Container({})", self.describe())
    }
}

impl Container {
    /// The container that `settings` name, with the credential from the variables they name. Nothing is sent yet.
    ///
    /// # Errors
    /// [`PublishError::SignIn`] if the credential is missing, [`PublishError::Setup`] if a setting or variable makes no sense.
    pub fn open(settings: &AzureDestination, environment: &Environment) -> Result<Self, PublishError> {
        Self::with(settings, SignIn::new(settings, environment)?, environment)
    }

    fn with(settings: &AzureDestination, sign_in: SignIn, environment: &Environment) -> Result<Self, PublishError> {
        let SignIn { endpoint, credential, pinned } = sign_in;
        let client = wire_client(&endpoint, &pinned, environment).and_then(http::build);
        let client = client.map_err(|error| PublishError::Setup(error.to_string()))?;
        let options = ClientOptions {
            per_call_policies: vec![Arc::new(Wire::new(credential.clone()))],
            retry: RetryOptions::none(),
            transport: Some(Transport::new(Arc::new(client))),
            ..ClientOptions::default()
        };
        let token = match &credential {
            BlobCredential::Entra(token) => Some(Arc::clone(token)),
            BlobCredential::Key(_) | BlobCredential::Sas(_) => None,
        };
        let options = BlobContainerClientOptions { client_options: options, ..BlobContainerClientOptions::default() };
        let client = BlobContainerClient::new(http::join(&endpoint, &[&settings.container]), token, Some(options))
            .map_err(|error| PublishError::Setup(format!("destination.azure.endpoint: {error}")))?;
        let destination = format!("container {} at {}", settings.container, shown(&endpoint));
        let refusals = Box::new(Refusals { destination, container: settings.container.clone(), credential });
        let block_bytes = u64::from(settings.block_mib.max(1)) << 20;
        Ok(Self {
            client,
            refusals,
            block_bytes,
            concurrency: settings.concurrency.max(1),
            checksum: settings.checksum,
        })
    }

    /// For messages: the container and its service, without any query.
    pub fn describe(&self) -> String {
        self.refusals.destination.clone()
    }

    /// Makes sure that the container is there and may be listed; creates it if it is missing.
    pub async fn prepare(&self) -> Result<(), PublishError> {
        match self.page_of_one().await {
            Ok(()) => Ok(()),
            Err(error) if code(&error) == "ContainerNotFound" => self.make().await,
            Err(error) => Err(self.refusals.of(Operation::List, "", error)),
        }
    }

    async fn page_of_one(&self) -> azure_core::Result<()> {
        let options = BlobContainerClientListBlobsOptions { maxresults: Some(1), ..Default::default() };
        self.client.list_blobs(Some(options))?.into_pages().try_next().await.map(drop)
    }

    async fn make(&self) -> Result<(), PublishError> {
        match self.client.create(None).await {
            Ok(_) => Ok(()),
            // Another publisher was faster, or the answer to the first try was lost.
            Err(error) if code(&error) == "ContainerAlreadyExists" => Ok(()),
            Err(error) => Err(self.refusals.of(Operation::MakeContainer, "", error)),
        }
    }

    /// Every blob below `prefix`, by path; none in a container that is not there yet.
    pub async fn list(&self, prefix: &str) -> Result<Vec<Blob>, PublishError> {
        let mut blobs = match self.pages(prefix).await {
            Err(error) if code(&error) == "ContainerNotFound" => Vec::new(),
            pages => pages.map_err(|error| self.refusals.of(Operation::List, prefix, error))?,
        };
        blobs.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(blobs)
    }

    async fn pages(&self, prefix: &str) -> azure_core::Result<Vec<Blob>> {
        let options = BlobContainerClientListBlobsOptions {
            include: Some(vec![ListBlobsIncludeItem::Metadata]),
            // Azurite takes no signature over an empty one.
            prefix: Some(prefix.to_owned()).filter(|prefix| !prefix.is_empty()),
            ..Default::default()
        };
        let mut pages = self.client.list_blobs(Some(options))?.into_pages();
        let mut blobs = Vec::new();
        while let Some(page) = pages.try_next().await? {
            blobs.extend(page.into_model()?.blob_items.into_iter().filter_map(listed));
        }
        Ok(blobs)
    }

    /// Replaces a small blob that is still as `expected`, or creates it where nothing is expected.
    ///
    /// # Errors
    /// [`PublishError::Conflict`] if it is not as expected.
    pub async fn swap(&self, path: &str, content: &[u8], expected: Option<&Tag>) -> Result<(), PublishError> {
        let options = BlockBlobClientUploadOptions {
            if_match: expected.map(|tag| Etag::from(tag.0.clone())),
            if_none_match: expected.is_none().then(|| Etag::from("*")),
            blob_content_type: Some(upload::content_type(path).to_owned()),
            // What is replaced must be asked for each time, or a cache on the way shows readers an old version.
            blob_cache_control: Some("no-cache".to_owned()),
            metadata: Some(metadata(&format!("{:x}", Sha256::digest(content)))),
            ..Default::default()
        };
        let body = Bytes::copy_from_slice(content);
        match self.blob(path).block_blob_client().upload(body.into(), Some(options)).await {
            Ok(_) => Ok(()),
            Err(error) if is_taken(&error) => self.own_work(path, content).await,
            Err(error) => Err(self.refusals.of(Operation::Replace, path, error)),
        }
    }

    /// After a lost answer, the next try finds the blob changed: by itself.
    async fn own_work(&self, path: &str, content: &[u8]) -> Result<(), PublishError> {
        match self.read(path).await? {
            Some((there, _)) if there == content => Ok(()),
            there => Err(PublishError::Conflict {
                path: path.to_owned(),
                reason: format!(
                    "was {} by someone else since it was read, and was left so; run the same command again",
                    if there.is_some() { "changed" } else { "removed" }
                ),
            }),
        }
    }

    /// Removes a blob and its snapshots; one that is gone already is no error.
    pub async fn delete(&self, path: &str) -> Result<(), PublishError> {
        let options = BlobClientDeleteOptions {
            delete_snapshots: Some(DeleteSnapshotsOptionType::Include),
            ..Default::default()
        };
        match self.blob(path).delete(Some(options)).await {
            Ok(_) => Ok(()),
            Err(error) if is_missing(&error) => Ok(()),
            Err(error) => Err(self.refusals.of(Operation::Remove, path, error)),
        }
    }

    /// What is noted at a path, and the state it is in; nothing if it is not there.
    async fn look(&self, path: &str) -> Result<Option<(Blob, Etag)>, PublishError> {
        let found = match self.blob(path).get_properties(None).await {
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => Err(error),
            Ok(answer) => properties(path, &answer),
        };
        found.map(Some).map_err(|error| self.refusals.of(Operation::Read, path, error))
    }

    fn blob(&self, path: &str) -> BlobClient {
        self.client.blob_client(path)
    }
}

/// The client for one service. A name whose resolution decided that a credential may go there is not looked up again, and a
/// service on plain `http://` needs no root certificates.
fn wire_client(
    endpoint: &Url,
    pinned: &[SocketAddr],
    environment: &Environment,
) -> Result<reqwest::ClientBuilder, SetupError> {
    let mut builder = http::builder(CONNECT).http1_only();
    if endpoint.scheme() == "http" {
        builder = builder.tls_certs_only([]);
    }
    if let (Some(host), false) = (endpoint.host_str(), pinned.is_empty()) {
        builder = builder.resolve_to_addrs(host, pinned);
    } else {
        builder = Proxies::from_environment(&|name| environment.var(name))?.apply(builder, endpoint)?;
    }
    #[cfg(target_os = "linux")]
    let builder = builder.tcp_user_timeout(UNACKNOWLEDGED);
    Ok(builder)
}

fn properties(path: &str, answer: &impl BlobClientGetPropertiesResultHeaders) -> azure_core::Result<(Blob, Etag)> {
    let blob = Blob {
        path: path.to_owned(),
        bytes: answer.content_length()?.unwrap_or_default(),
        sha256: noted_sha256(answer.metadata()?),
    };
    Ok((blob, answer.etag()?.unwrap_or_else(|| Etag::from(""))))
}

fn listed(item: BlobItem) -> Option<Blob> {
    let metadata = item.metadata.and_then(|metadata| metadata.values).unwrap_or_default();
    // How accounts with a hierarchical namespace list a folder.
    if metadata.keys().any(|name| name.eq_ignore_ascii_case("hdi_isfolder")) {
        return None;
    }
    let bytes = item.properties.and_then(|properties| properties.content_length).unwrap_or_default();
    Some(Blob { path: item.name?, bytes, sha256: noted_sha256(metadata) })
}

fn metadata(sha256: &str) -> HashMap<String, String> {
    HashMap::from([(SHA256.to_owned(), sha256.to_owned())])
}

/// The names of metadata have no case, and other tools change it.
fn noted_sha256(metadata: HashMap<String, String>) -> Option<String> {
    metadata.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(SHA256)).map(|(_, value)| value)
}

fn is_missing(error: &azure_core::Error) -> bool {
    status(error) == 404 && !code(error).starts_with("Container")
}

/// Whether a condition of a write was not met: something is there, or something else is.
fn is_taken(error: &azure_core::Error) -> bool {
    matches!(code(error), "BlobAlreadyExists" | "ConditionNotMet" | "TargetConditionNotMet")
        || (status(error) == 412 && !code(error).starts_with("Lease"))
        || is_missing(error)
}

/// An address as messages show it.
fn shown(endpoint: &Url) -> String {
    format!("{}{}", http::origin(endpoint), endpoint.path().trim_end_matches('/'))
}
