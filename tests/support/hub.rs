//! A server that speaks the part of the Hugging Face hub's interface that publishing and reading a dataset takes:
//! repositories, commits, Git LFS. `tests/readers/read_hub.py` lets the hub's own Python client talk to it.
//!
//! Large files go to a host of another name, which must never see the token.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test without its server has nothing to test")]

mod store;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use self::store::{Kept, Store, created, refused};

/// The token that may do everything.
pub(crate) const TOKEN: &str = "hf_0123456789canary";

/// A running server. It lives as long as the process.
#[derive(Debug, Clone)]
pub(crate) struct HubServer {
    address: SocketAddr,
    store: Arc<Mutex<Store>>,
}

impl HubServer {
    pub(crate) fn start() -> Self {
        Self::start_at(0)
    }

    /// On this port; 0 stands for a free one.
    pub(crate) fn start_at(port: u16) -> Self {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
        listener.set_nonblocking(true).expect("sockets can be non-blocking");
        let server = Self { address: listener.local_addr().expect("an address"), store: Arc::default() };
        let serving = server.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
                loop {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    let server = serving.clone();
                    drop(tokio::spawn(async move {
                        let service = hyper::service::service_fn(|request| server.serve(request));
                        let connection = hyper::server::conn::http1::Builder::new();
                        drop(connection.serve_connection(TokioIo::new(stream), service).await);
                    }));
                }
            });
        });
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on larger files go in parts of this size.
    pub(crate) fn cut_into(&self, chunk: u64) {
        self.store().chunk = Some(chunk);
    }

    /// Bytes of large files that came so far.
    pub(crate) fn received(&self) -> u64 {
        self.store().received
    }

    /// The messages of a repository's commits.
    pub(crate) fn history(&self, repository: &str) -> Vec<String> {
        let store = self.store();
        let commits = store.repositories.get(repository).map(|repository| repository.commits.as_slice());
        commits.unwrap_or_default().iter().map(|(_, message)| message.clone()).collect()
    }

    pub(crate) fn is_private(&self, repository: &str) -> Option<bool> {
        self.store().repositories.get(repository).map(|repository| repository.private)
    }

    /// What readers get: every file but the hub's own.
    pub(crate) fn contents(&self, repository: &str) -> BTreeMap<String, Vec<u8>> {
        let store = self.store();
        let Some(((_, files), _)) = store.repositories.get(repository).and_then(|found| found.commits.last()) else {
            return BTreeMap::new();
        };
        let content = |kept: &Kept| match kept {
            Kept::InGit(content) => content.clone(),
            Kept::InLfs(oid) => store.objects[&format!("{repository}/{oid}")].clone(),
        };
        let files = files.iter().filter(|(path, _)| *path != ".gitattributes");
        files.map(|(path, kept)| (path.clone(), content(kept))).collect()
    }

    /// Somebody else's commit: `None` removes a file.
    pub(crate) fn edit(&self, repository: &str, private: bool, changes: &[(&str, Option<&[u8]>)]) {
        let mut store = self.store();
        let repository = store.repositories.entry(repository.to_owned()).or_insert_with(|| created(private));
        repository.private = private;
        let mut files = repository.head().1.clone();
        for (path, content) in changes {
            match content {
                Some(content) => files.insert((*path).to_owned(), Kept::InGit(content.to_vec())),
                None => files.remove(*path),
            };
        }
        repository.commit(files, "an edit");
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return Ok(refused(400, "", "the body broke off")) };
        Ok(self.store().answer(&head, &body.to_bytes()))
    }
}
