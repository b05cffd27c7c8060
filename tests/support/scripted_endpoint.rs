//! An endpoint that plays a language model, to try convogen against by hand or from a script:
//!
//! ```text
//! cargo run --example scripted-endpoint -- --port 8000 --latency-ms 200
//! ```
//!
//! It prints what to put into `base_url` and runs until it is stopped. The same request always gets the same reply.

mod batch;
mod endpoint;
mod prose;
mod script;
mod values;

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::batch::Jobs;
use crate::endpoint::Endpoint;
use crate::script::{Answer, Script};

/// Plays an OpenAI-compatible endpoint on 127.0.0.1
#[derive(Debug, Parser)]
#[command(name = "scripted-endpoint")]
struct Options {
    /// Port to listen on; 0 for a free one
    #[arg(long, default_value_t = 8000)]
    port: u16,
    /// How long each reply takes
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,
    /// Answer 400 to `response_format: json_schema`
    #[arg(long)]
    no_schema: bool,
    /// Refuse `max_tokens` and want `max_completion_tokens`, as reasoning models do
    #[arg(long)]
    max_completion_tokens: bool,
    /// Answer only requests that carry this key
    #[arg(long)]
    key: Option<String>,
    /// Share of requests, from 0 to 1, that get a 429 when they come for the first time
    #[arg(long, default_value_t = 0.0)]
    too_many: f64,
    /// Retry-After of those
    #[arg(long)]
    retry_after: Option<String>,
    /// Share of requests, from 0 to 1, that a content filter stops
    #[arg(long, default_value_t = 0.0)]
    filtered: f64,
}

#[expect(clippy::print_stdout, reason = "the address is this program's result")]
fn main() {
    let Options { port, latency_ms, no_schema, max_completion_tokens, key, too_many, retry_after, filtered } =
        Options::parse();
    let script = Script {
        latency: Duration::from_millis(latency_ms),
        json_schema: !no_schema,
        wants_max_completion_tokens: max_completion_tokens,
        key,
        jobs: Some(Arc::new(Jobs::default())),
        rule: Box::new(move |call| match call.share() {
            share if share < filtered => Answer::azure_filter("violence"),
            share if share < filtered + too_many && call.repeat == 0 => Answer::too_many(retry_after.as_deref()),
            _ => Answer::Plausible,
        }),
    };
    let endpoint = Endpoint::start_at(script, port);
    println!("{}", endpoint.base_url());
    loop {
        std::thread::park();
    }
}
