//! An endpoint to measure convogen against: it plays a language model as cheaply as it can, on both ends of the wire.
//!
//! ```text
//! cargo run --release --example fast-endpoint -- --latency-ms 200 --record requests.jsonl
//! ```
//!
//! It prints what to put into `base_url` and runs until it is stopped. A reply is a function of the request's bytes alone.
//! `GET /stats` tells how many requests were answered, turned away and given up by the client, and what CPU time that took.
//! What it cannot play (faults, other services) the scripted endpoint does.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a measurement that cannot be set up is none")]

mod prose;
mod refusing;
mod values;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use convogen::Draw;
use convogen::bench::cpu_time;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use self::refusing::{RefusalOptions, Refusing};

/// Plays an OpenAI-compatible endpoint on 127.0.0.1, fast
#[derive(Debug, Parser)]
#[command(name = "fast-endpoint")]
struct Options {
    /// Port to listen on; 0 for a free one
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How long each reply takes
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// A file for the bodies of all requests, a line each
    #[arg(long)]
    record: Option<PathBuf>,
    /// Work on one request at a time
    #[arg(long)]
    one_at_a_time: bool,
    #[command(flatten)]
    refusals: RefusalOptions,
}

#[derive(Debug)]
struct Shared {
    latency: Duration,
    record: Option<Mutex<BufWriter<File>>>,
    turn: Option<tokio::sync::Mutex<()>>,
    refusing: Refusing,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Requests that were begun and whose client went away.
    given_up: AtomicU64,
    in_flight: AtomicUsize,
}

/// A request at work: dropped before its end, it was given up.
struct AtWork<'a> {
    shared: &'a Shared,
    done: bool,
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        let count = if self.done { &self.shared.answered } else { &self.shared.given_up };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let Options { port, latency_ms, record, one_at_a_time, refusals } = Options::parse();
    let shared = Arc::new(Shared {
        latency: Duration::from_millis(latency_ms),
        record: record.map(|path| Mutex::new(BufWriter::new(File::create(path).expect("a file to record to")))),
        turn: one_at_a_time.then(tokio::sync::Mutex::default),
        refusing: Refusing::new(refusals),
        answered: AtomicU64::new(0),
        refused: AtomicU64::new(0),
        given_up: AtomicU64::new(0),
        in_flight: AtomicUsize::new(0),
    });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.expect("the port is free");
    announce(&listener);
    loop {
        // A peer that is gone already, or a moment without descriptors: the next one may do.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        drop(tokio::spawn(async move {
            drop(stream.set_nodelay(true));
            let service = hyper::service::service_fn(|request| serve(&shared, request));
            drop(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await);
        }));
    }
}

#[expect(clippy::print_stdout, reason = "the address is this program's result")]
fn announce(listener: &TcpListener) {
    println!("http://{}/v1", listener.local_addr().expect("a bound socket has an address"));
}

async fn serve(shared: &Shared, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if request.method() == Method::GET {
        return Ok(answer(shared.stats().to_string()));
    }
    let body = request.into_body().collect().await?.to_bytes();
    if let Some(wait) = shared.refusing.verdict(tokens(&body)) {
        shared.refused.fetch_add(1, Ordering::Relaxed);
        return Ok(too_many(wait));
    }
    shared.in_flight.fetch_add(1, Ordering::Relaxed);
    let mut at_work = AtWork { shared, done: false };
    shared.note(&body);
    let completion = completion(&body);
    {
        let _turn = match &shared.turn {
            Some(turn) => Some(turn.lock().await),
            None => None,
        };
        if !shared.latency.is_zero() {
            tokio::time::sleep(shared.latency).await;
        }
    }
    at_work.done = true;
    Ok(answer(completion))
}

fn too_many(wait: Duration) -> Response<Full<Bytes>> {
    let mut response = answer(r#"{"error":{"message":"too many requests","code":"rate_limit_exceeded"}}"#.to_owned());
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    // Rounded up, so that the time told is never too short.
    response.headers_mut().insert(
        "retry-after-ms",
        HeaderValue::from(u64::try_from(wait.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)),
    );
    response
}

fn answer(body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Shared {
    fn stats(&self) -> Value {
        if let Some(record) = &self.record {
            record.lock().unwrap_or_else(PoisonError::into_inner).flush().expect("a disk with room");
        }
        json!({
            "answered": self.answered.load(Ordering::Relaxed),
            "refused": self.refused.load(Ordering::Relaxed),
            "taken_tokens": self.refusing.taken_tokens(),
            "given_up": self.given_up.load(Ordering::Relaxed),
            "in_flight": self.in_flight.load(Ordering::Relaxed),
            "cpu_s": cpu_time().as_secs_f64(),
        })
    }

    fn note(&self, body: &[u8]) {
        let Some(record) = &self.record else { return };
        let mut record = record.lock().unwrap_or_else(PoisonError::into_inner);
        record.write_all(body).and_then(|()| record.write_all(b"\n")).expect("a disk with room");
    }
}

/// What of a request decides the form of its reply. The rest is skipped, not read.
#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    response_format: Option<&'a RawValue>,
    max_tokens: Option<u64>,
}

/// The tokens that `body` asks for, counted from its bytes.
fn tokens(body: &[u8]) -> u64 {
    let asked = serde_json::from_slice::<Asked<'_>>(body).ok().and_then(|asked| asked.max_tokens);
    body.len().div_ceil(4) as u64 + asked.unwrap_or(0)
}

/// A completion for `body`, its usage counted from bytes alone.
fn completion(body: &[u8]) -> String {
    let seed = blake3::hash(body).to_hex();
    let text = text(body, &seed);
    let (prompt, reply) = (body.len().div_ceil(4), text.len().div_ceil(4));
    let (id, content) = (seed.get(..16).unwrap_or_default(), Value::from(text));
    format!(
        r#"{{"id":"chatcmpl-{id}","object":"chat.completion","model":"demo","choices":[{{"index":0,"message":{{"role":"assistant","content":{content}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":{prompt},"completion_tokens":{reply},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0}}}}}}"#,
        total = prompt + reply,
    )
}

fn text(body: &[u8], seed: &str) -> String {
    let format = serde_json::from_slice::<Asked<'_>>(body).ok().and_then(|asked| asked.response_format);
    let format: Option<Value> = format.and_then(|format| serde_json::from_str(format.get()).ok());
    match format.as_ref().and_then(|format| format.pointer("/json_schema/schema")) {
        Some(schema) => values::fitting(schema, seed).to_string(),
        None => prose::utterance(&mut Draw::new(4, &["text", seed])),
    }
}
