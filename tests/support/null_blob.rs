//! A blob service that keeps names, sizes and metadata and forgets the content, to measure what sending costs the sender;
//! and senders to compare:
//!
//! ```text
//! cargo run --release --example null-blob -- serve --port 10000          # prints its endpoint
//! cargo run --release --example null-blob -- put ENDPOINT FILE           # a bare loop of PUT requests
//! cargo run --release --example null-blob -- upload ENDPOINT FILE SHA256             # as a publish does
//! ```
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a measurement that cannot be set up is none")]

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use clap::{Parser, Subcommand, ValueEnum};
use convogen::Environment;
use convogen::bench::Created;
use convogen::bench::Destination;
use convogen::bench::FileEntry;
use convogen::bench::{AzureDestination, BlobAuth, Checksum};
use futures_util::{StreamExt, TryStreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// A blob service that forgets, and senders to measure against it
#[derive(Debug, Parser)]
#[command(name = "null-blob")]
struct Options {
    #[command(subcommand)]
    role: Role,
}

#[derive(Debug, Subcommand)]
enum Role {
    /// Plays the service
    Serve {
        /// Port to listen on; 0 for a free one
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// Sends a file by bare PUT requests, without checksums, signatures or resumption
    Put(Sent),
    /// Sends a file as a publish does
    Upload {
        #[command(flatten)]
        sent: Sent,
        /// SHA-256 of the file, as a manifest would have it
        sha256: String,
        /// The checksum that goes with every block
        #[arg(long, value_enum, default_value = "crc64")]
        checksum: Sum,
    },
}

#[derive(Debug, clap::Args)]
struct Sent {
    /// What `serve` printed
    endpoint: String,
    /// The file to send
    file: PathBuf,
    /// Size of a block
    #[arg(long, default_value_t = 4)]
    block_mib: u32,
    /// Blocks in flight
    #[arg(long, default_value_t = 4)]
    concurrency: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Sum {
    Crc64,
    Md5,
}

#[tokio::main]
async fn main() {
    match Options::parse().role {
        Role::Serve { port } => serve(port).await,
        Role::Put(sent) => put(sent).await,
        Role::Upload { sent, sha256, checksum } => upload(sent, sha256, checksum).await,
    }
}

async fn put(sent: Sent) {
    drop(rustls::crypto::ring::default_provider().install_default());
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let file = Arc::new(std::fs::File::open(&sent.file).expect("a file"));
    let size = file.metadata().expect("a size").len();
    let block = u64::from(sent.block_mib) << 20;
    let blob = format!("{}/container/put", sent.endpoint);
    let requests = stream::iter((0..size.div_ceil(block)).map(|index| {
        let (client, file, url) = (client.clone(), Arc::clone(&file), format!("{blob}?comp=block&blockid={index:08}"));
        async move {
            let start = index * block;
            let mut bytes = vec![0; usize::try_from(block.min(size - start)).expect("a block fits in memory")];
            file.read_exact_at(&mut bytes, start).expect("a readable file");
            client.put(url).body(bytes).send().await?.error_for_status()
        }
    }));
    let done: Result<Vec<_>, _> = requests.buffer_unordered(sent.concurrency).try_collect().await;
    done.expect("the server takes every block");
}

async fn upload(sent: Sent, sha256: String, checksum: Sum) {
    let folder = sent.file.parent().expect("a folder");
    let name = sent.file.file_name().expect("a name").to_string_lossy();
    let bytes = sent.file.metadata().expect("a size").len();
    let entry = FileEntry { path: name.into_owned(), bytes, rows: None, sha256 };
    let settings = AzureDestination {
        endpoint: Some(sent.endpoint),
        account: None,
        container: "container".to_owned(),
        auth: BlobAuth::AccountKey,
        connection_string_env: String::new(),
        account_key_env: "KEY".to_owned(),
        sas_env: String::new(),
        allow_http_hosts: Vec::new(),
        block_mib: sent.block_mib,
        concurrency: sent.concurrency,
        checksum: match checksum {
            Sum::Crc64 => Checksum::Crc64,
            Sum::Md5 => Checksum::Md5,
        },
    };
    let environment = Environment::new([("KEY".to_owned(), "bnVsbA==".to_owned())], &folder.join(".env"));
    let container = convogen::bench::Container::open(&settings, &environment.expect("an environment"));
    let destination = Destination::Azure(container.expect("a destination"));
    let path = format!("upload/{}", std::process::id());
    let created = destination.create(&path, &sent.file, &entry, &(Arc::new(|_, _| {}) as _)).await;
    assert_eq!(created.expect("the server takes the file"), Created::Written);
}

/// What is known of a blob.
#[derive(Debug, Default, Clone)]
struct Kept {
    bytes: u64,
    metadata: Vec<(String, String)>,
}

#[derive(Debug, Default)]
struct Store {
    blobs: HashMap<String, Kept>,
    /// Bytes staged for each blob.
    staged: HashMap<String, u64>,
}

#[expect(clippy::print_stdout, reason = "the address is this program's result")]
async fn serve(port: u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free");
    println!("http://{}/account", listener.local_addr().expect("an address"));
    let store = Arc::new(Mutex::new(Store::default()));
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let store = Arc::clone(&store);
        drop(tokio::spawn(async move {
            let service = hyper::service::service_fn(|request| answer(&store, request));
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        }));
    }
}

async fn answer(store: &Mutex<Store>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, mut body) = request.into_parts();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
    }
    let path = head.uri.path().to_owned();
    let asks = |part: &str| head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == part));
    let metadata = head.headers.iter().filter(|(name, _)| name.as_str().starts_with("x-ms-meta-"));
    let metadata = metadata.map(|(name, value)| (name.to_string(), value.to_str().unwrap_or_default().to_owned()));
    let metadata = metadata.collect();
    let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(match head.method {
        Method::PUT if asks("comp=block") => {
            *store.staged.entry(path).or_default() += bytes;
            reply(StatusCode::CREATED, "")
        }
        Method::PUT => {
            let bytes = if asks("comp=blocklist") { store.staged.remove(&path).unwrap_or(0) } else { bytes };
            store.blobs.insert(path, Kept { bytes, metadata });
            reply(StatusCode::CREATED, "")
        }
        Method::GET if asks("comp=blocklist") => reply(StatusCode::OK, "<BlockList></BlockList>"),
        _ => store.blobs.get(&path).map_or_else(|| reply(StatusCode::NOT_FOUND, ""), properties),
    })
}

fn properties(kept: &Kept) -> Response<Full<Bytes>> {
    let mut response = reply(StatusCode::OK, "");
    let headers = response.headers_mut();
    headers.insert("content-length", kept.bytes.into());
    for (name, value) in &kept.metadata {
        let name: hyper::header::HeaderName = name.parse().expect("a name that came as one");
        headers.insert(name, value.parse().expect("a value that came as one"));
    }
    response
}

fn reply(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("etag", hyper::header::HeaderValue::from_static("\"0x1\""));
    if status == StatusCode::NOT_FOUND {
        headers.insert("x-ms-error-code", hyper::header::HeaderValue::from_static("BlobNotFound"));
    }
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/xml"));
    response
}
