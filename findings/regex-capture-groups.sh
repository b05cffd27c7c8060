#!/usr/bin/env bash
# regex 1.13.2 pays for capture groups that nobody asks for: in memory, for each thread.
#
# `Regex::find` returns no groups, so one expects that writing `(a|b)` or `(?:a|b)` makes no difference to it. It does once a
# pattern is too large for the lazy DFA: the search falls back to the PikeVM, whose cache holds the slots of every group for every
# state of the pattern, and there is one such cache for each thread that searches. A pattern of 30 alternatives such as
# `(here|there) .{0,60}(line|reply).{0,60}` has 60 groups and some 40,000 states.
#
# Seen on 2026-11-28, live bytes of the heap after one find() on one thread, less those of the compiled pattern:
#   bytes kept for one thread: 68332880 with groups, 1661888 without
#
# Exits 0 if it is so (at least 10 times), 1 if it has changed. Needs Rust; builds in a temporary folder.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "groups"
version = "0.0.0"
edition = "2021"
[dependencies]
regex = "=1.13.2"
TOML
cat >src/main.rs <<'RS'
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static LIVE: AtomicUsize = AtomicUsize::new(0);
struct Counting;
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        System.alloc(layout)
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        System.dealloc(at, layout)
    }
}
#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn cache(open: &str) -> usize {
    let one = |n: usize| format!("{open}here{n}|there{n}) .{{0,60}}{open}line|reply).{{0,60}}");
    let pattern = format!(r"(?i)\A[^\n]{{0,160}}?(?:{}):\n", (0..30).map(one).collect::<Vec<_>>().join("|"));
    let pattern = regex::RegexBuilder::new(&pattern).size_limit(1 << 28).build().unwrap();
    let before = LIVE.load(Ordering::Relaxed);
    // Long and varied enough that the lazy DFA gives up.
    let text: String = (0..3000).map(|n| format!("here{} wort{} ", n % 31, n * 7919 % 1013)).collect();
    assert!(pattern.find(&text).is_none());
    LIVE.load(Ordering::Relaxed) - before - text.capacity()
}

fn main() {
    let (without, with) = (cache("(?:"), cache("("));
    println!("bytes kept for one thread: {with} with groups, {without} without");
    assert!(with > 10 * without, "it has changed");
}
RS
cargo run --release --quiet
