//! A real HTTP/1.1 server on 127.0.0.1 that plays a language model.
//!
//! Without faults in its [`Script`] it answers as a pure function of the request, so that any order of calls, and any
//! number of repetitions, gives the same replies. It runs on a thread and a runtime of its own: a test may block, pause
//! its clock, or run the program under test in another process.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(clippy::expect_used, reason = "a test without its server has nothing to test")]

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::script::{Answer, Call, Script, completion, plausible};

/// One request, for the test to look at.
#[derive(Debug, Clone)]
pub(crate) struct LoggedCall {
    /// Position among all requests, from 0.
    pub(crate) index: usize,
    /// Path and query.
    pub(crate) path: String,
    /// The body as it came.
    pub(crate) body: String,
    /// When it came, since the endpoint was started.
    pub(crate) at: Duration,
    /// Whether a whole completion was given to it.
    pub(crate) answered: bool,
}

/// A running endpoint. It stops when dropped.
#[derive(Debug)]
pub(crate) struct Endpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    script: Script,
    started: Instant,
    log: Mutex<Log>,
    in_flight: AtomicUsize,
    peak: AtomicUsize,
}

#[derive(Debug, Default)]
struct Log {
    calls: Vec<LoggedCall>,
    seen: HashMap<String, usize>,
}

impl Endpoint {
    /// Starts an endpoint on a free port.
    pub(crate) fn start(script: Script) -> Self {
        Self::start_at(script, 0)
    }

    /// Starts an endpoint on this port; 0 stands for a free one.
    pub(crate) fn start_at(script: Script, port: u16) -> Self {
        let shared = Arc::new(Shared {
            script,
            started: Instant::now(),
            log: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
        });
        let (address, running) = run(Arc::clone(&shared), port);
        Self { address, shared, running: Some(running) }
    }

    /// What `base_url` must say.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far, in order of arrival.
    pub(crate) fn calls(&self) -> Vec<LoggedCall> {
        self.shared.log().calls.clone()
    }

    /// The most requests that were being answered at one time.
    pub(crate) fn peak(&self) -> usize {
        self.shared.peak.load(Ordering::SeqCst)
    }

    /// Cuts all connections and closes the port.
    pub(crate) fn stop(&mut self) {
        if let Some(Running { stop, thread }) = self.running.take() {
            drop(stop);
            thread.join().expect("the server's thread ends in good order");
        }
    }

    /// Opens the same port again after [`Endpoint::stop`]; the log goes on.
    pub(crate) fn restart(&mut self) {
        self.stop();
        let (_, running) = run(Arc::clone(&self.shared), self.address.port());
        self.running = Some(running);
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(shared: Arc<Shared>, port: u16) -> (SocketAddr, Running) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("the port is free");
    listener.set_nonblocking(true).expect("sockets can be non-blocking");
    let address = listener.local_addr().expect("a bound socket has an address");
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
            tokio::select! {
                () = accept(listener, shared) => {}
                _ = stopped => {}
            }
        });
    });
    (address, Running { stop, thread })
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        // A peer that is gone already, or a moment without descriptors: the next one may do.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        drop(tokio::spawn(async move {
            if let Ok((stream, twin)) = twins(stream) {
                let service = hyper::service::service_fn(|request| serve(&shared, &twin, request));
                // Broken connections are what some scripts ask for.
                drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
            }
        }));
    }
}

/// The connection twice: one to talk through, one to reset it by.
fn twins(stream: TcpStream) -> io::Result<(TcpStream, TcpStream)> {
    stream.set_nodelay(true)?;
    let stream = stream.into_std()?;
    let twin = TcpStream::from_std(stream.try_clone()?)?;
    Ok((TcpStream::from_std(stream)?, twin))
}

type Body = UnsyncBoxBody<Bytes, io::Error>;

async fn serve(shared: &Shared, twin: &TcpStream, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let now = shared.in_flight.fetch_add(1, Ordering::SeqCst) + 1;
    shared.peak.fetch_max(now, Ordering::SeqCst);
    let served = answer(shared, twin, request).await;
    shared.in_flight.fetch_sub(1, Ordering::SeqCst);
    served
}

async fn answer(shared: &Shared, twin: &TcpStream, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let raw = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let call = shared.log_call(&head, &raw);
    match shared.script.answer(&call) {
        Answer::Plausible => shared.complete(&call, &plausible(&call)).await,
        Answer::Text(text) => shared.complete(&call, &text).await,
        Answer::Echo => shared.complete(&call, call.last_message()).await,
        Answer::Late(wait) => {
            tokio::time::sleep(wait).await;
            shared.complete(&call, &plausible(&call)).await
        }
        Answer::Status(status, headers, body) => respond(status, &headers, full(body)),
        Answer::Body(kind, body) => respond(200, &[("content-type", kind.to_owned())], full(body)),
        Answer::HangBeforeHeaders => std::future::pending().await,
        Answer::HangAfterHeaders => respond(200, &[], chunked(Vec::new(), End::Hang)),
        Answer::Drip(pause) => respond(200, &[], drip(completion(&call, &plausible(&call)).to_string(), pause)),
        Answer::Reset => {
            twin.set_zero_linger()?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Answer::ResetInBody => {
            twin.set_zero_linger()?;
            respond(200, &[], chunked(b"{\"choices\": [".to_vec(), End::Reset))
        }
        Answer::HangUp => Err(io::ErrorKind::ConnectionAborted.into()),
        Answer::Short => {
            let announced = [("content-length", "100000".to_owned())];
            respond(200, &announced, chunked(b"{\"choices\": [".to_vec(), End::Close))
        }
        Answer::Huge(bytes) => respond(200, &[], huge(bytes)),
    }
}

impl Shared {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log_call(&self, head: &hyper::http::request::Parts, raw: &[u8]) -> Call {
        let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let bearer = text("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let mut keys = [bearer, text("api-key"), text("ocp-apim-subscription-key")].into_iter();
        let raw = String::from_utf8_lossy(raw).into_owned();
        let at = self.started.elapsed();
        let path = head.uri.to_string();
        let mut log = self.log();
        let seen = log.seen.entry(raw.clone()).or_default();
        let repeat = *seen;
        *seen += 1;
        let index = log.calls.len();
        log.calls.push(LoggedCall { index, path: path.clone(), body: raw.clone(), at, answered: false });
        let body = serde_json::from_str(&raw).unwrap_or(Value::Null);
        Call { index, repeat, at, path, key: keys.find_map(|key| key).map(str::to_owned), raw, body }
    }

    async fn complete(&self, call: &Call, text: &str) -> io::Result<Response<Body>> {
        if !self.script.latency.is_zero() {
            tokio::time::sleep(self.script.latency).await;
        }
        if let Some(logged) = self.log().calls.get_mut(call.index) {
            logged.answered = true;
        }
        let body = completion(call, text).to_string();
        respond(200, &[("content-type", "application/json".to_owned())], full(body))
    }
}

fn respond(status: u16, headers: &[(&'static str, String)], body: Body) -> io::Result<Response<Body>> {
    let builder = Response::builder().status(status);
    let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value));
    builder.body(body).map_err(io::Error::other)
}

fn full(body: impl Into<Bytes>) -> Body {
    Full::new(body.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// How a body ends that is not given whole.
#[derive(Clone, Copy)]
enum End {
    Hang,
    Reset,
    Close,
}

fn chunked(start: Vec<u8>, end: End) -> Body {
    let frames = stream::unfold(Some(start), move |start| async move {
        match (start, end) {
            (Some(start), _) => Some((Ok(Frame::data(Bytes::from(start))), None)),
            (None, End::Hang) => std::future::pending().await,
            (None, End::Reset) => {
                // What was sent must be on its way first, or the answer's head goes down with it.
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Err(io::ErrorKind::ConnectionReset.into()), None))
            }
            (None, End::Close) => None,
        }
    });
    StreamBody::new(frames).boxed_unsync()
}

fn drip(text: String, pause: Duration) -> Body {
    let frames = stream::unfold(text.into_bytes().into_iter(), move |mut bytes| async move {
        tokio::time::sleep(pause).await;
        let byte = bytes.next()?;
        Some((Ok(Frame::data(Bytes::copy_from_slice(&[byte]))), bytes))
    });
    StreamBody::new(frames).boxed_unsync()
}

fn huge(bytes: usize) -> Body {
    const PIECE: &[u8] = &[b' '; 1 << 16];
    let frames = stream::iter((0..bytes.div_ceil(PIECE.len())).map(|_| Ok(Frame::data(Bytes::from_static(PIECE)))));
    StreamBody::new(frames).boxed_unsync()
}
