//! Counts the tokens of prompts as the embedded model reads them, and those that a prefix cache would not serve.
//!
//! ```text
//! count-tokens WEIGHTS < prompts.jsonl
//! ```
//!
//! A line is the list of messages of one request. A cache holds what was sent before in blocks of [`BLOCK`] tokens, and serves a
//! prompt's longest beginning that it holds.
#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a measurement that cannot be set up is none")]

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::stdin;
use std::path::PathBuf;

use convogen::Message;
use convogen::bench::PromptTokenizer;
use serde_json::json;

/// Tokens that endpoints cache as one.
const BLOCK: usize = 128;
/// Shorter beginnings are not served by OpenAI's and Azure's caches.
const LEAST: usize = 1024;

#[expect(clippy::print_stdout, reason = "the figures are this program's result")]
fn main() {
    let weights = std::env::args_os().nth(1).map(PathBuf::from).expect("the weights of the embedded model");
    let tokenizer = PromptTokenizer::load(&weights).expect("weights that can be read");
    let (mut kept, mut calls, mut prompt) = (HashSet::new(), 0_u64, 0);
    let (mut uncached, mut uncached_from_1024) = (0, 0);
    for line in stdin().lines() {
        let messages: Vec<Message> = serde_json::from_str(&line.expect("a line")).expect("messages");
        let tokens = tokenizer.tokens(&messages);
        let blocks = beginnings(&tokens);
        let served = BLOCK * blocks.iter().take_while(|block| kept.contains(*block)).count();
        kept.extend(blocks);
        calls += 1;
        prompt += tokens.len();
        uncached += tokens.len() - served;
        uncached_from_1024 += tokens.len() - if served >= LEAST { served } else { 0 };
    }
    let figures =
        json!({"calls": calls, "prompt": prompt, "uncached": uncached, "uncached_from_1024": uncached_from_1024});
    println!("{figures}");
}

/// A hash of each beginning of whole blocks.
fn beginnings(tokens: &[u32]) -> Vec<u64> {
    let mut hasher = DefaultHasher::new();
    let hash = |block: &[u32]| {
        block.hash(&mut hasher);
        hasher.finish()
    };
    tokens.chunks_exact(BLOCK).map(hash).collect()
}
