//! A bare client that sends recorded request bodies again and again, to tell what a client must cost at least:
//!
//! ```text
//! cargo run --release --example replay -- http://127.0.0.1:8000/v1 requests.jsonl --in-flight 64
//! ```
//!
//! It keeps one connection for each request in flight, reads every answer whole and looks at none. After the warm-up it
//! counts for a while, and prints one JSON object: `calls`, `wall_s`, `cpu_s`.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a measurement that cannot be set up is none")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use convogen::bench::Http;
use convogen::bench::Timeouts;
use convogen::bench::cpu_time;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, USER_AGENT};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use url::Url;

/// Sends recorded requests with nothing around them
#[derive(Debug, Parser)]
#[command(name = "replay")]
struct Options {
    /// What the endpoint printed
    base_url: String,
    /// Bodies, a line each
    requests: PathBuf,
    /// Requests in flight
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// What sends them
    #[arg(long, value_enum, default_value = "bare")]
    client: Client,
    /// Seconds before anything is counted
    #[arg(long, default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds in which is counted
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Client {
    /// hyper's connections and nothing else
    Bare,
    /// What convogen sends through, to tell how much of its cost that is
    Convogen,
}

#[derive(Debug)]
struct Shared {
    address: SocketAddr,
    bodies: Vec<Bytes>,
    sent: AtomicUsize,
    answered: AtomicUsize,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures are this program's result")]
async fn main() {
    let Options { base_url, requests, in_flight, client, warm_up, seconds } = Options::parse();
    let host = base_url.trim_start_matches("http://").split('/').next().unwrap_or_default();
    let text = std::fs::read_to_string(requests).expect("a file of requests");
    let shared = Arc::new(Shared {
        address: host.parse().expect("an address and a port"),
        bodies: text.lines().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect(),
        sent: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
    });
    assert!(!shared.bodies.is_empty(), "no requests");
    drop(text);
    let url = Url::parse(&format!("{base_url}/chat/completions")).expect("an address");
    let http = Http::new(&url, &Timeouts::default(), &[], &|_| None).expect("a client");
    for _ in 0..in_flight {
        let shared = Arc::clone(&shared);
        match client {
            Client::Bare => drop(tokio::spawn(shared.send_bare())),
            Client::Convogen => drop(tokio::spawn(shared.send_through(http.clone(), url.clone()))),
        }
    }
    tokio::time::sleep(Duration::from_secs_f64(warm_up)).await;
    let (began, calls, cpu) = (Instant::now(), shared.answered.load(Ordering::Relaxed), cpu_time());
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let calls = shared.answered.load(Ordering::Relaxed) - calls;
    let cpu = cpu_time().saturating_sub(cpu);
    println!("{}", json!({"calls": calls, "wall_s": began.elapsed().as_secs_f64(), "cpu_s": cpu.as_secs_f64()}));
}

impl Shared {
    /// The next body, around and around.
    fn next(&self) -> Bytes {
        let next = self.sent.fetch_add(1, Ordering::Relaxed);
        self.bodies.get(next % self.bodies.len()).cloned().unwrap_or_default()
    }

    /// One request after the other over one connection.
    async fn send_bare(self: Arc<Self>) {
        let stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("a handshake");
        drop(tokio::spawn(connection));
        loop {
            let request = Request::post("/v1/chat/completions")
                .header(HOST, self.address.to_string())
                .header(CONTENT_TYPE, "application/json")
                .header(ACCEPT, "*/*")
                .header(USER_AGENT, "convogen-replay")
                .body(Full::new(self.next()))
                .expect("a request");
            let response = sender.send_request(request).await.expect("an answer");
            assert!(response.status().is_success(), "{}", response.status());
            response.into_body().collect().await.expect("a whole answer");
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One request after the other, over whatever connections the client has.
    async fn send_through(self: Arc<Self>, http: Http, url: Url) {
        loop {
            let answer = http.post_json(&url, HeaderMap::new(), self.next().to_vec()).await.expect("an answer");
            assert_eq!(answer.status, 200);
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}
