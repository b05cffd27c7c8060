//! Synthetic multi-party conversation datasets from LLM agents.
//!
//! ```text
//! personas ──► situations ──► dedup ──► conversations ──► dedup ──► compile ──► publish
//! JSONL /      LLM + few-shot  exact +   LLM group chat,   exact +   JSONL +     Azure Blob, a
//! invented     hub, rounds     MinHash   turn by turn      MinHash   Parquet     folder or a hub
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
//! cli ─► { corpus, publish ─► pipeline ─► stages ─► { llm ─► net, prompt, store, record } }
//! ```
//!
//! * `cli`: commands, output, exit codes; nothing else in the crate prints.
//! * `config`: the YAML files, typed and checked, and which keys shape the data.
//! * `pipeline`: the stages of a run in their order, and looking at a run from outside.
//! * `corpus`: removing duplicates from any file of records, with all cores, also by steps on many machines. Over `stages`, whose
//!   measure of likeness it shares; called by `cli`.
//! * `report`: what sealed runs, datasets and reference files are like, measured. Over `pipeline`, called by `cli`.
//! * `publish`: finished runs compiled together and sent to a container, a folder or a hub, whole or not at all.
//! * `stages`: one contract for personas, situations with their few-shot hub, conversations with their screens and judge, and
//!   compile; dedup is what they call.
//! * `llm`: models behind one seam, and what makes calling them safe: recording, budget, limits, retries. Knows no stage.
//! * `net`: the HTTPS client, what is worth another attempt, signing in; models and storage share it.
//! * `prompt`: templates, shots, schemas, and reading what models reply.
//! * `store`: journal, checkpoints, lock, files. Knows no model.
//! * `record`: what travels between stages and ends in the dataset. `draw`: seeded draws. `clock`: the only clock.
//! * `export`: conversations in the forms of trainers and corpus tools. Called by compile, and by `cli` for a run or dataset.
//! * `tables`: rows as the Parquet files of a split, cut by size.
//! * `exit`: the exit codes. `loopback`: what is this machine.
//! * `lexicon`: the word lists that ship, and the one matcher that looks words up in them.
//!
//! # From code
//!
//! What is exported here is the whole interface: reading a configuration, running it, looking at a run, publishing it, the records
//! of a dataset, and the seam behind which a model stands.
//!
//! ```no_run
//! use convogen::{Environment, RunOptions, RunWatch, load, run};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let loaded = load(Some("configs/pipeline.yaml".as_ref()), &["situations.count=5".to_owned()])?;
//! let end = run(&loaded, &Environment::load()?, &RunOptions::default(), &RunWatch::default()).await?;
//! println!("{} conversations", end.summary.stages["conversations"].accepted);
//! # Ok(())
//! # }
//! ```

// What measuring reaches inside the crate by is `pub` in any build, and reachable in its own: there the lint has its say.
#![cfg_attr(not(feature = "bench"), allow(unreachable_pub))]

// The scripted endpoint, which unit tests borrow from the integration tests, knows the crate by its name.
#[cfg(test)]
extern crate self as convogen;

#[cfg(test)]
#[path = "../tests/inside/mod.rs"]
mod inside;

mod cli;
mod clock;
mod config;
mod corpus;
mod draw;
mod exit;
mod export;
mod lexicon;
mod llm;
mod loopback;
mod net;
mod pipeline;
mod prompt;
mod publish;
mod record;
mod report;
mod stages;
mod store;
mod tables;

#[doc(inline)]
pub use self::{
    cli::run as run_program,
    config::environment::Environment,
    config::error::ConfigError,
    config::load::load,
    config::loaded::Loaded,
    draw::Draw,
    exit::ExitCode,
    llm::{
        AttemptError, ChatModel, ChatRequest, Extra, Finish, Message, Messages, Reply, ReplyFormat, Role, Schema,
        Structured, Transient, Usage,
    },
    net::rate_headers::RemainingQuota,
    pipeline::error::RunError,
    pipeline::run::{RunEnd, RunOptions, RunWatch, run},
    publish::error::PublishError,
    publish::flow::{PublishOptions, compile_upload},
    publish::watch::PublishWatch,
    record::{Conversation, Participant, Persona, Relation, Situation, Speaker, StopReason, Turn},
    report::{Report, ReportError, report},
};

/// What the programs that measure convogen need of its insides. No part of the interface.
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench {
    pub use crate::clock::cpu_time;
    pub use crate::config::Timeouts;
    pub use crate::config::upload::{AzureDestination, BlobAuth, Checksum};
    #[cfg(feature = "embedded")]
    pub use crate::llm::embedded::PromptTokenizer;
    pub use crate::net::http::Http;
    pub use crate::publish::azure::Container;
    pub use crate::publish::blob::Created;
    pub use crate::publish::destination::Destination;
    pub use crate::store::part::FileEntry;
}
