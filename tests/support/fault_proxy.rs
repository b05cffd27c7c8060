//! A proxy before a blob service that logs every request and does to each what a rule says.
//!
//! A shared key signs the path, not the host, so a client may talk to the proxy in the service's name.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(clippy::expect_used, reason = "a test without its proxy has nothing to test")]

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response, http};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::{RwLock, oneshot};

use super::wire::{Reply, send};

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Asked {
    /// Position among all requests since the rule was set, from 0.
    pub(crate) index: usize,
    /// How many requests of the same method, path and operation came before.
    pub(crate) repeat: usize,
    pub(crate) method: String,
    /// Without the account.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) if_match: Option<String>,
    pub(crate) if_none_match: Option<String>,
    /// Size of the body.
    pub(crate) bytes: usize,
    /// What the client was told; nothing if it was told nothing.
    pub(crate) status: Option<u16>,
}

impl Asked {
    /// The operation, by the name the service's documentation has for it.
    pub(crate) fn operation(&self) -> &'static str {
        let has = |part: &str| self.query.split('&').any(|pair| pair == part);
        match self.method.as_str() {
            "PUT" if has("restype=container") => "Create Container",
            "PUT" if has("comp=block") => "Put Block",
            "PUT" if has("comp=blocklist") => "Put Block List",
            "PUT" => "Put Blob",
            "HEAD" | "GET" if has("comp=list") => "List Blobs",
            "HEAD" | "GET" if has("restype=container") => "Get Container Properties",
            "GET" if has("comp=blocklist") => "Get Block List",
            "GET" => "Get Blob",
            "HEAD" => "Get Blob Properties",
            "DELETE" => "Delete Blob",
            _ => "something else",
        }
    }

    /// Whether it changes blobs.
    pub(crate) fn writes(&self) -> bool {
        matches!(self.operation(), "Put Block" | "Put Block List" | "Put Blob" | "Delete Blob")
    }
}

/// Something a test does when a request comes by.
pub(crate) type Action = Arc<dyn Fn() + Send + Sync>;

/// What becomes of a request.
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The connection ends before the service hears of it.
    Drop,
    /// The service did it; the connection ends instead of the reply.
    DropReply,
    /// The service hears nothing; this status, `x-ms-error-code` and Retry-After are answered.
    Refuse(u16, &'static str, Option<&'static str>),
    /// It takes this long.
    Delay(Duration),
    /// Half of the reply's body, then the connection ends.
    CutBody,
    /// Done before the service hears of it, then the connection ends.
    Before(Action),
    /// The service did it; then this is done, and the connection ends.
    After(Action),
    /// Done before the request is passed on as ever.
    First(Action),
    /// As [`Fault::After`], with every other request cut off while it is done: nothing is acknowledged meanwhile.
    Outage(Action),
}

impl Fault {
    /// This where the condition holds, else nothing.
    pub(crate) fn when(self, condition: bool) -> Self {
        if condition { self } else { Self::None }
    }
}

/// Says what becomes of a request.
pub(crate) type Rule = Arc<dyn Fn(&Asked) -> Fault + Send + Sync>;

/// A running proxy. It stops when dropped.
pub(crate) struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

struct Shared {
    service: SocketAddr,
    state: Mutex<State>,
    /// Requests that the service is working on.
    passing: AtomicUsize,
    /// Held for writing through an outage.
    up: RwLock<()>,
}

struct State {
    rule: Rule,
    log: Vec<Asked>,
}

impl FaultProxy {
    /// Starts one that passes everything on.
    pub(crate) fn start(service: SocketAddr) -> Self {
        let state = State { rule: Arc::new(|_| Fault::None), log: Vec::new() };
        let shared =
            Arc::new(Shared { service, state: Mutex::new(state), passing: AtomicUsize::new(0), up: RwLock::default() });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("sockets can be non-blocking");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            let runtime = runtime.expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
                tokio::select! {
                    () = accept(listener, serving) => {}
                    _ = stopped => {}
                }
            });
            runtime.shutdown_background();
        });
        Self { address, shared, stop: Some((stop, thread)) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this rule; the log and its numbers begin anew.
    pub(crate) fn set(&self, rule: impl Fn(&Asked) -> Fault + Send + Sync + 'static) {
        *self.shared.state() = State { rule: Arc::new(rule), log: Vec::new() };
    }

    /// All requests since the rule was set, in order of arrival.
    pub(crate) fn log(&self) -> Vec<Asked> {
        self.shared.state().log.clone()
    }

    /// Waits until the service has done everything it was passed, which may be more than a killed client waited for.
    pub(crate) fn settle(&self) {
        // A request may still be on its way here.
        std::thread::sleep(Duration::from_millis(20));
        while self.shared.passing.load(Ordering::SeqCst) > 0 {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The requests that could change blobs.
    pub(crate) fn writes(&self) -> Vec<Asked> {
        self.log().into_iter().filter(Asked::writes).collect()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.stop.take() {
            drop(stop);
            drop(thread.join());
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        drop(tokio::spawn(async move {
            let service = hyper::service::service_fn(|request| serve(&shared, request));
            drop(stream.set_nodelay(true));
            // Broken connections are what rules ask for.
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        }));
    }
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

async fn serve(shared: &Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let (asked, rule) = shared.enter(&head, body.len());
    let pass = || pass_on(Arc::clone(shared), again(&head, body.clone()));
    let (reply, cut) = match rule(&asked) {
        Fault::None => (pass().await?, false),
        Fault::CutBody => (pass().await?, true),
        Fault::Drop => return Err(gone()),
        Fault::DropReply => {
            pass().await?;
            return Err(gone());
        }
        Fault::Refuse(status, code, retry_after) => (refusal(status, code, retry_after), false),
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            (pass().await?, false)
        }
        Fault::Before(action) => {
            run(action).await?;
            return Err(gone());
        }
        Fault::After(action) => {
            pass().await?;
            run(action).await?;
            return Err(gone());
        }
        Fault::Outage(action) => {
            pass().await?;
            let down = shared.up.write().await;
            run(action).await?;
            drop(down);
            return Err(gone());
        }
        Fault::First(action) => {
            run(action).await?;
            (pass().await?, false)
        }
    };
    shared.answered(asked.index, reply.status.as_u16());
    Ok(respond(reply, cut))
}

/// On a task of its own: what the service was asked to do is not undone by a client that hangs up.
async fn pass_on(shared: Arc<Shared>, request: Request<Full<Bytes>>) -> io::Result<Reply> {
    shared.passing.fetch_add(1, Ordering::SeqCst);
    let passing = tokio::spawn(async move {
        let reply = match shared.up.try_read() {
            Ok(_up) => send(shared.service, request).await,
            Err(_) => Err(gone()),
        };
        shared.passing.fetch_sub(1, Ordering::SeqCst);
        reply
    });
    passing.await.map_err(io::Error::other)?
}

/// Actions block: they start and kill processes.
async fn run(action: Action) -> io::Result<()> {
    tokio::task::spawn_blocking(move || action()).await.map_err(io::Error::other)
}

fn gone() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

fn again(head: &http::request::Parts, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    request
}

fn refusal(status: u16, code: &str, retry_after: Option<&str>) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{code} by rule</Message></Error>"
    );
    let mut headers = http::HeaderMap::new();
    for (name, value) in [("x-ms-error-code", Some(code)), ("retry-after", retry_after)] {
        if let Some(value) = value {
            headers.insert(name, value.parse().expect("a header"));
        }
    }
    headers.insert("content-type", http::HeaderValue::from_static("application/xml"));
    Reply { status: status.try_into().expect("a status"), headers, body: body.into() }
}

fn respond(reply: Reply, cut: bool) -> Response<Body> {
    let mut headers = reply.headers;
    // Bodies are sent whole, whatever way they came.
    headers.remove("transfer-encoding");
    headers.remove("connection");
    let body = if cut {
        headers.insert("content-length", reply.body.len().into());
        let half = reply.body.slice(..reply.body.len() / 2);
        StreamBody::new(stream::iter([Ok(Frame::data(half))])).boxed_unsync()
    } else {
        Full::new(reply.body).map_err(|never: Infallible| match never {}).boxed_unsync()
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = headers;
    response
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Logs a request and tells the rule it falls under.
    fn enter(&self, head: &http::request::Parts, bytes: usize) -> (Asked, Rule) {
        let header = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let whole = head.uri.path();
        let mut state = self.state();
        let mut asked = Asked {
            index: state.log.len(),
            repeat: 0,
            method: head.method.to_string(),
            path: whole.trim_start_matches('/').split_once('/').map_or(whole, |(_, path)| path).replace("%2F", "/"),
            query: head.uri.query().unwrap_or_default().to_owned(),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            bytes,
            status: None,
        };
        let same = |other: &&Asked| (&other.path, other.operation()) == (&asked.path, asked.operation());
        asked.repeat = state.log.iter().filter(same).count();
        state.log.push(asked.clone());
        (asked, Arc::clone(&state.rule))
    }

    fn answered(&self, index: usize, status: u16) {
        if let Some(asked) = self.state().log.get_mut(index) {
            asked.status = Some(status);
        }
    }
}
