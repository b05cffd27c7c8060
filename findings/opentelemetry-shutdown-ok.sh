#!/usr/bin/env bash
# opentelemetry_sdk 0.33.1: `force_flush` tells that spans could not be sent, `shutdown` does not.
#
# Both return an `OTelSdkResult` and both send what is left in the batch processor, so one expects either to do at the end of a
# program. If the exporter fails, `force_flush` returns its error, and `shutdown` returns Ok(()) for the very same failure. With
# the crate's feature `internal-logs` off nothing is logged either, and what an earlier batch met is told by neither: a program
# that wants to say "spans were not sent" has to notice it in the exporter, or in the HTTP client it gives it.
#
# Seen on 2026-11-28:
#   flush: Err(InternalFailure("errs: [Err(InternalFailure(\"the collector is away\"))]")), shutdown: Ok(()), exports that failed: 2
#
# Exits 0 if it is so, 1 if it has changed. Needs Rust; builds in a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "shutdown"
version = "0.0.0"
edition = "2021"
[dependencies]
opentelemetry = { version = "=0.33.1", default-features = false, features = ["trace"] }
opentelemetry_sdk = { version = "=0.33.1", default-features = false, features = ["trace"] }
TOML
cat >src/main.rs <<'RS'
use std::sync::atomic::{AtomicUsize, Ordering};
use opentelemetry::trace::{Span, Tracer, TracerProvider};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

static FAILED: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug)]
struct Away;
impl SpanExporter for Away {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        FAILED.fetch_add(1, Ordering::SeqCst);
        Err(OTelSdkError::InternalFailure("the collector is away".into()))
    }
}

fn main() {
    let provider = SdkTracerProvider::builder().with_batch_exporter(Away).build();
    let tracer = provider.tracer("t");
    tracer.start("first").end();
    let flush = provider.force_flush();
    tracer.start("second").end();
    let shutdown = provider.shutdown();
    let failed = FAILED.load(Ordering::SeqCst);
    println!("flush: {flush:?}, shutdown: {shutdown:?}, exports that failed: {failed}");
    assert!(failed == 2 && flush.is_err() && shutdown.is_ok(), "it has changed");
}
RS
cargo run --quiet
