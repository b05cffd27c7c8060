//! Synthetic multi-party conversation datasets from LLM agents.
//!
//! ```text
//! personas ──► situations ──► dedup ──► conversations ──► dedup ──► compile ──► publish
//! JSONL /      LLM + few-shot  exact +   LLM group chat,   exact +   JSONL +     Azure Blob or a
//! invented     hub, rounds     MinHash   turn by turn      MinHash   Parquet     local folder
//! ```
//!
//! A **run** lives in a directory and belongs to one configuration. Each **stage** is a pure function of its sealed input,
//! the configuration, the seed and the recorded replies of a model; it ends in sealed JSONL and Parquet with a manifest.
//! Every reply is journaled under a key of what was asked before it counts, so a run that was killed is resumed by doing
//! it again: what is on record is not asked a second time. The same replies make the same bytes at any concurrency.
//!
//! # Data flow
//!
//! Records pass one by one from a sealed part through the stage to the part it writes: an arrow is one record at a time, a
//! folder's name stands where its code is. What is held whole are the people who can be cast, since a group may be of any of them.
//!
//! ```text
//!   source file                sealed part               sealed part               sealed part
//!       │ stages/imported          │ stages/sealed           │                         │
//!       ▼                          ▼                         ▼                         ▼
//!   stages/personas ──────►  stages/situations ────►  stages/conversations ───►  stages/compile ──► dataset/
//!   reads, samples,          rounds of calls, hub;    a task each, through       passes over the        │
//!   splits                   a task a call            stages/window in order     sealed parts           ▼
//!       │                          │ stages/dedup            │ stages/dedup                          publish
//!       ▼                          ▼                         ▼
//!   stages/writer: one record::Fate after the other ──► stages/N-…/ part, table, rejected, duplicates, manifest
//!                                  │                         │
//!                                  └────── llm::recorded ────┴──► store::journal, then the endpoint
//! ```
//!
//! # Modules
//!
//! ```text
//! cli ─► { publish ─► pipeline ─► stages ─► { llm ─► net, prompt, store, record } }
//! ```
//!
//! * [`cli`]: commands, output, exit codes; nothing else in the crate prints.
//! * [`config`]: the YAML files, typed and checked, and which keys shape the data.
//! * [`pipeline`]: the stages of a run in their order, and looking at a run from outside.
//! * [`report`]: what sealed runs, datasets and reference files are like, measured. Over [`pipeline`], called by [`cli`].
//! * [`publish`]: finished runs compiled together and sent to a container or folder, whole or not at all.
//! * [`stages`]: one contract for personas, situations with their few-shot hub, conversations with their screens and judge, and
//!   compile; dedup is what they call.
//! * [`llm`]: models behind one seam, and what makes calling them safe: recording, budget, limits, retries. Knows no stage.
//! * [`net`]: the HTTPS client, what is worth another attempt, signing in; models and storage share it.
//! * [`prompt`]: templates, shots, schemas, and reading what models reply.
//! * [`store`]: journal, checkpoints, lock, files. Knows no model.
//! * [`record`]: what travels between stages and ends in the dataset. [`draw`]: seeded draws. [`clock`]: the only clock.
//! * [`exit`]: the exit codes. `loopback`: what is this machine.
//! * `lexicon`: the word lists that ship, and the one matcher that looks words up in them.
//!
//! # From code
//!
//! ```no_run
//! use convogen::config::{environment::Environment, load::load};
//! use convogen::pipeline::run::{Options, Watch, run};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = load(Some("configs/pipeline.yaml".as_ref()), &["situations.count=5".to_owned()])?;
//! let ended = run(&loaded, &Environment::load()?, &Options::default(), &Watch::default()).await?;
//! println!("{} conversations", ended.summary.stages["conversations"].accepted);
//! # Ok(())
//! # }
//! ```

// The scripted endpoint, which unit tests borrow from the integration tests, knows the crate by its name.
#[cfg(test)]
extern crate self as convogen;

pub mod cli;
pub mod clock;
pub mod config;
pub mod draw;
pub mod exit;
mod lexicon;
pub mod llm;
mod loopback;
pub mod net;
pub mod pipeline;
pub mod prompt;
pub mod publish;
pub mod record;
pub mod report;
pub mod stages;
pub mod store;
