//! From finished runs to a published dataset: compiled together, uploaded under a version that derives from the content,
//! verified, and only then pointed at.
//!
//! ```text
//! runs ─► collect ─► merge ─► compile into the work folder ─► send: data, listing, manifest, pointer
//! ```
//!
//! * [`collect`] and [`merge`]: the records of several runs as those of one dataset. [`work`]: where it is compiled.
//! * [`version`] and [`pointer`]: where things lie, and `latest.json`. `standing`, `send`, [`verify`], [`gc`]: what is there,
//!   getting the rest there, reading it back, removing what is old. [`receipts`]: what was written.
//! * [`destination`]: the few operations that all of this needs, offered by [`azure`] and [`folder`].
//!
//! Interrupted anywhere, the same call goes on: what is at the destination is compared by name, size and hash and not sent
//! again. No step depends on anything that an earlier process remembered.

pub mod azure;
pub mod collect;
pub mod destination;
pub mod error;
pub mod folder;
pub mod gc;
pub mod merge;
pub mod pointer;
pub mod receipts;
mod send;
mod standing;
pub mod verify;
pub mod version;
pub mod work;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use self::collect::Runs;
use self::destination::{Destination, OnBytes};
use self::error::PublishError;
use self::pointer::Pointer;
use self::receipts::{Receipt, Receipts};
use self::send::Sending;
use self::verify::Verified;
use self::work::{RemovedRow, WorkDir};
use crate::clock::{self, Stopwatch};
use crate::config::environment::Environment;
use crate::config::upload::Upload;
use crate::stages::compile::Compiled;
use crate::store::part::FileEntry;
use crate::store::run::RunPaths;

/// What is asked for besides the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Say what would be sent, and write nothing to the destination.
    pub dry_run: bool,
    /// Read everything back at the end.
    pub verify: bool,
}

/// Told that a phase begins, and how many bytes it has; 0 where that is not known.
type Begin = Box<dyn Fn(&'static str, u64) + Send + Sync>;

/// Told something that people should know.
type Notice = Box<dyn Fn(String) + Send + Sync>;

/// What publishing shows to whoever watches it.
pub struct Watch {
    /// Told of every piece that was sent, read, or found to be there.
    pub bytes: OnBytes,
    /// A phase begins.
    pub phase: Begin,
    /// Something people should know.
    pub notice: Notice,
}

impl Default for Watch {
    /// Nobody watches.
    fn default() -> Self {
        Self { bytes: Arc::new(|_, _| {}), phase: Box::new(|_, _| {}), notice: Box::new(|_| {}) }
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    fn begin(&self, phase: &'static str, bytes: u64) {
        (self.phase)(phase, bytes);
    }
}

/// Files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// How many files.
    pub files: u64,
    /// How many bytes they have together.
    pub bytes: u64,
}

impl Sums {
    fn of(files: &[FileEntry]) -> Self {
        Self { files: files.len() as u64, bytes: files.iter().map(|file| file.bytes).sum() }
    }
}

/// What became of the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PointerState {
    /// It points at this version now, and did not before.
    Moved,
    /// It pointed at this version already.
    Unchanged,
    /// It would be moved, were this no dry run.
    WouldMove,
}

/// What publishing came to; the object that `--json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Published {
    /// The dataset.
    pub dataset: String,
    /// Its version.
    pub version: String,
    /// Where, without secrets.
    pub destination: String,
    /// Whether nothing was written because that was asked for.
    pub dry_run: bool,
    /// Files of the version, its manifest among them.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that were sent, or in a dry run would be.
    pub sent_bytes: u64,
    /// Bytes that were there already.
    pub reused_bytes: u64,
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Records left out because of an earlier run: by table, then by reason.
    pub removed: BTreeMap<String, BTreeMap<String, u64>>,
    /// What became of `latest.json`.
    pub pointer: PointerState,
    /// The version that was the latest before.
    pub previous: Option<String>,
    /// What reading back found, where that was asked for.
    pub verified: Option<Verified>,
    /// Seconds it took.
    pub wall_s: f64,
    /// CPU seconds of this process.
    pub cpu_s: f64,
}

/// Compiles the runs that `upload` names and publishes what comes of it.
///
/// # Errors
/// Whatever stops it. What readers see has not changed then, and the same call goes on.
pub async fn compile_upload(
    upload: &Upload,
    environment: &Environment,
    options: Options,
    watch: &Watch,
) -> Result<Published, PublishError> {
    let stopwatch = Stopwatch::start();
    let destination = Destination::open(upload, environment)?;
    let work = WorkDir::open(&upload.work_dir)?;
    let (compiled, removed) = compiled(upload, &work, watch)?;
    let (receipts, folder) = (work.receipts()?, work.dataset());
    let sending = Sending::new(&destination, &upload.dataset, &folder, &compiled, &receipts, watch)?;
    if !options.dry_run {
        destination.prepare().await?;
    }
    let plan = sending.plan().await?;
    let previous = plan.latest().cloned();
    let version = version::of_manifest(&compiled.manifest_sha256);
    let (all, missing) = (Sums::of(&sending.files), plan.missing());
    let is_latest = previous.as_ref().is_some_and(|latest| latest.manifest_sha256 == compiled.manifest_sha256);
    let (sent_bytes, moved) = match options.dry_run {
        true => (missing.bytes, false),
        false => sending.send(plan).await?,
    };
    if moved {
        note_in_runs(upload, &destination, &compiled, watch);
    }
    let pointer = match (options.dry_run, is_latest) {
        (_, true) => PointerState::Unchanged,
        (true, false) => PointerState::WouldMove,
        (false, false) => PointerState::Moved,
    };
    let verified = match options.verify {
        true => Some(verify(&destination, upload, &compiled, &missing, options, previous.as_ref(), watch).await?),
        false => None,
    };
    Ok(Published {
        dataset: upload.dataset.clone(),
        version,
        destination: destination.describe(),
        dry_run: options.dry_run,
        files: all.files,
        bytes: all.bytes,
        sent_bytes,
        reused_bytes: all.bytes.saturating_sub(sent_bytes),
        rows: rows(&compiled),
        removed: count(&removed),
        pointer,
        previous: previous.map(|pointer| pointer.version),
        verified,
        wall_s: stopwatch.wall().as_secs_f64(),
        cpu_s: clock::cpu_time().as_secs_f64(),
    })
}

/// The dataset of the runs, compiled now or taken as it was compiled before; and what was left out of it.
fn compiled(upload: &Upload, work: &WorkDir, watch: &Watch) -> Result<(Compiled, Vec<RemovedRow>), PublishError> {
    let runs = Runs::open(upload)?;
    runs.notices().into_iter().for_each(|notice| (watch.notice)(notice));
    let fingerprint = runs.fingerprint();
    watch.begin("compiling", 0);
    if let Some(found) = work.compiled(&fingerprint)? {
        return Ok(found);
    }
    work.compile(&fingerprint, &runs.collect()?)
}

/// Reads back what readers get, and this version if it is there.
async fn verify(
    destination: &Destination,
    upload: &Upload,
    compiled: &Compiled,
    missing: &Sums,
    options: Options,
    previous: Option<&Pointer>,
    watch: &Watch,
) -> Result<Verified, PublishError> {
    let own = (!options.dry_run || missing.files == 0).then(|| compiled.manifest_sha256.clone());
    // After a publish this version is the latest; before one, whatever the pointer says.
    let latest = previous.filter(|_| options.dry_run).map(|pointer| pointer.manifest_sha256.clone());
    let mut verified = Verified::default();
    let versions: std::collections::BTreeSet<String> = latest.into_iter().chain(own).collect();
    for manifest_sha256 in versions {
        verified.read(destination, &upload.dataset, &manifest_sha256, watch).await?;
    }
    Ok(verified)
}

/// Leaves a receipt with each run. Runs may lie where nothing can be written; that is no reason to fail.
fn note_in_runs(upload: &Upload, destination: &Destination, compiled: &Compiled, watch: &Watch) {
    let (described, path) = (destination.describe(), version::pointer(&upload.dataset));
    for run in &upload.runs {
        let receipt = Receipt {
            action: "moved",
            destination: &described,
            path: &path,
            bytes: Sums::of(&compiled.manifest.files).bytes,
            sha256: &compiled.manifest_sha256,
        };
        let folder = RunPaths::of_run(run).map(|paths| paths.publish()).unwrap_or_else(|_| run.join("publish"));
        if let Err(error) = Receipts::in_folder(&folder).and_then(|receipts| receipts.add(&receipt)) {
            (watch.notice)(format!("{} has no receipt of this: {error}", run.display()));
        }
    }
}

fn rows(compiled: &Compiled) -> BTreeMap<String, u64> {
    compiled.manifest.rows.iter().map(|(table, splits)| (table.clone(), splits.values().sum())).collect()
}

fn count(removed: &[RemovedRow]) -> BTreeMap<String, BTreeMap<String, u64>> {
    let mut counts: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
    for row in removed {
        *counts.entry(row.table.clone()).or_default().entry(row.reason.clone()).or_default() += 1;
    }
    counts
}

/// Removes all published versions of `upload`'s dataset but the `keep` newest.
pub async fn collect_garbage(
    upload: &Upload,
    environment: &Environment,
    keep: usize,
    dry_run: bool,
) -> Result<gc::Collected, PublishError> {
    let destination = Destination::open(upload, environment)?;
    if dry_run {
        return gc::collect(&destination, &upload.dataset, keep, None).await;
    }
    let work = WorkDir::open(&upload.work_dir)?;
    destination.prepare().await?;
    gc::collect(&destination, &upload.dataset, keep, Some(&work.receipts()?)).await
}
