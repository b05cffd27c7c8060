//! What a run keeps on disk. Nothing here knows of language models.
//!
//! | module | keeps | durable when |
//! | --- | --- | --- |
//! | [`journal`] | every reply, while a stage is at work | its batch is synced, before the caller hears of it |
//! | [`checkpoint`] | sealed stages | the manifest, written last, is synced |
//! | [`run`] | the run directory and what it was made from | replaced as a whole |
//! | [`lock`] | that one process writes at a time | as long as the process lives |
//!
//! [`part`] writes a file that counts once it is whole, [`lines`] reads one back as often as it takes. What does not fit into
//! memory lies in [`spool`], to be read by number, [`map`], by key, and [`sort`], in order; all are gone with the process. [`entries`]
//! is what indexes are made of.
//!
//! All of it goes through [`fs`], the only module that touches files.

pub(crate) mod checkpoint;
pub(crate) mod entries;
pub(crate) mod fs;
pub(crate) mod journal;
pub(crate) mod lines;
pub(crate) mod lock;
pub(crate) mod map;
pub(crate) mod part;
pub(crate) mod run;
pub(crate) mod sort;
pub(crate) mod spool;
