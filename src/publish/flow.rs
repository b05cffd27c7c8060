//! Publishing from end to end, and removing what is old.

use std::collections::{BTreeMap, BTreeSet};

use super::collect::Runs;
use super::destination::Destination;
use super::error::PublishError;
use super::gc;
use super::hub::send::HubSending;
use super::hub::{self, HubDataset};
use super::receipts::{Receipt, Receipts};
use super::send::{SendPlan, Sending};
use super::summary::{PointerState, Published, Sums};
use super::verify::PublishVerification;
use super::version;
use super::watch::PublishWatch;
use super::work::{self, RemovedCounts, WorkDir};
use crate::clock::{self, Stopwatch};
use crate::config::environment::Environment;
use crate::config::upload::Upload;
use crate::stages::compile::Compiled;
use crate::store::run::RunPaths;

/// What is asked for besides the configuration.
#[derive(Debug, Clone, Copy, Default)]
pub struct PublishOptions {
    /// Say what would be sent, and write nothing to the destination.
    pub dry_run: bool,
    /// Read everything back at the end.
    pub verify: bool,
    /// Publish runs with fewer accepted than are enough as well.
    pub allow_partial: bool,
}

/// Compiles the runs that `upload` names and publishes what comes of it.
///
/// # Errors
/// Whatever stops it. What readers see has not changed then, and the same call goes on.
pub async fn compile_upload(
    upload: &Upload,
    environment: &Environment,
    options: PublishOptions,
    watch: &PublishWatch,
) -> Result<Published, PublishError> {
    let stopwatch = Stopwatch::start();
    let place = Place::open(upload, environment)?;
    work::keep_apart(upload)?;
    let work = WorkDir::open(&upload.work_dir)?;
    let runs = Runs::open(upload)?;
    if !options.allow_partial {
        runs.require_enough()?;
    }
    runs.notices().into_iter().for_each(|notice| (watch.notice)(notice));
    // Before the work of compiling: a credential that is refused should be known by then.
    if !options.dry_run {
        place.prepare().await?;
    }
    let (compiled, removed) = compiled(&runs, &work, watch)?;
    let (receipts, folder) = (work.receipts()?, work.dataset());
    let sent = match &place {
        Place::Blobs(destination) => {
            let sending = Sending::new(destination, &upload.dataset, &folder, &compiled, &receipts, watch)?;
            send(&sending, &compiled, options).await?
        }
        Place::Hub(hub) => {
            let sending = HubSending::new(hub, &upload.dataset, &folder, &compiled, &receipts, watch)?;
            sending.publish(options.dry_run, options.verify).await?
        }
    };
    let published = Published {
        dataset: upload.dataset.clone(),
        version: version::of_manifest(&compiled.manifest_sha256),
        destination: place.describe(),
        dry_run: options.dry_run,
        rows: rows(&compiled),
        removed,
        ..sent
    };
    if published.pointer == PointerState::Moved {
        note_in_runs(&runs, &published.destination, &place.pointer(upload), &compiled, watch);
    }
    let (wall_s, cpu_s) = (stopwatch.wall().as_secs_f64(), clock::cpu_time().as_secs_f64());
    Ok(Published { wall_s, cpu_s, ..published })
}

/// Where a dataset goes: files beside each other under a pointer, or commits of a repository.
#[derive(Debug)]
enum Place {
    Blobs(Destination),
    Hub(Box<HubDataset>),
}

impl Place {
    fn open(upload: &Upload, environment: &Environment) -> Result<Self, PublishError> {
        let Some(settings) = &upload.destination.hub else {
            return Destination::open(upload, environment).map(Self::Blobs);
        };
        let environment = environment.with_proxy(upload.proxy.as_deref());
        Ok(Self::Hub(Box::new(HubDataset::open(settings, &environment)?)))
    }

    async fn prepare(&self) -> Result<(), PublishError> {
        match self {
            Self::Blobs(destination) => destination.prepare().await,
            Self::Hub(hub) => hub.prepare().await,
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Blobs(destination) => destination.describe(),
            Self::Hub(hub) => hub.describe(),
        }
    }

    /// What says which version readers get.
    fn pointer(&self, upload: &Upload) -> String {
        match self {
            Self::Blobs(_) => version::pointer(&upload.dataset),
            Self::Hub(_) => hub::MARK.to_owned(),
        }
    }
}

/// The dataset of the runs, compiled now or taken as it was compiled before; and what was left out of it.
fn compiled(runs: &Runs<'_>, work: &WorkDir, watch: &PublishWatch) -> Result<(Compiled, RemovedCounts), PublishError> {
    let fingerprint = runs.fingerprint();
    watch.begin("compiling", 0);
    if let Some(found) = work.compiled(&fingerprint)? {
        return Ok(found);
    }
    work.compile(&fingerprint, runs, watch).map_err(|error| runs.explained(error))
}

/// Sends what there is to send, reads it back if that is asked for, and sums up.
async fn send(sending: &Sending<'_>, compiled: &Compiled, options: PublishOptions) -> Result<Published, PublishError> {
    let plan = sending.plan().await?;
    let to_verify = to_verify(&plan, compiled, options);
    let previous = plan.latest().map(|pointer| pointer.version.clone());
    let all = Sums::of(&sending.files);
    let is_latest = plan.latest().is_some_and(|latest| latest.manifest_sha256 == sending.manifest_sha256);
    let sent_bytes = if options.dry_run { plan.missing().bytes } else { sending.send(plan).await? };
    let pointer = match (options.dry_run, is_latest) {
        (_, true) => PointerState::Unchanged,
        (true, false) => PointerState::WouldMove,
        (false, false) => PointerState::Moved,
    };
    let reused_bytes = all.bytes.saturating_sub(sent_bytes);
    let verified = read_back(sending.destination, sending.dataset, &to_verify, sending.watch).await?;
    let verified = options.verify.then_some(verified);
    let Sums { files, bytes } = all;
    Ok(Published { files, bytes, sent_bytes, reused_bytes, pointer, previous, verified, ..Published::default() })
}

/// The manifests of the versions to be read back: what readers get, and in a dry run this version too if it is there.
fn to_verify(plan: &SendPlan, compiled: &Compiled, options: PublishOptions) -> BTreeSet<String> {
    let own = !options.dry_run || plan.missing().files == 0;
    let latest = plan.latest().filter(|_| options.dry_run).map(|pointer| pointer.manifest_sha256.clone());
    let wanted = latest.into_iter().chain(own.then(|| compiled.manifest_sha256.clone()));
    wanted.filter(|_| options.verify).collect()
}

async fn read_back(
    destination: &Destination,
    dataset: &str,
    manifests: &BTreeSet<String>,
    watch: &PublishWatch,
) -> Result<PublishVerification, PublishError> {
    let mut verified = PublishVerification::default();
    for manifest_sha256 in manifests {
        verified.read(destination, dataset, manifest_sha256, watch).await?;
    }
    Ok(verified)
}

/// Leaves a receipt with each run. Runs may lie where nothing can be written; that is no reason to fail.
fn note_in_runs(runs: &Runs<'_>, destination: &str, path: &str, compiled: &Compiled, watch: &PublishWatch) {
    let bytes = Sums::of(&compiled.manifest.files).bytes;
    for run in runs.paths() {
        let receipt = Receipt { action: "moved", destination, path, bytes, sha256: &compiled.manifest_sha256 };
        let folder = RunPaths::of_run(run).map_or_else(|_| run.join("publish"), |paths| paths.publish());
        if let Err(error) = Receipts::in_folder(&folder).and_then(|receipts| receipts.add(&receipt)) {
            (watch.notice)(format!("{} has no receipt of this: {error}", run.display()));
        }
    }
}

fn rows(compiled: &Compiled) -> BTreeMap<String, u64> {
    compiled.manifest.rows.iter().map(|(table, splits)| (table.clone(), splits.values().sum())).collect()
}

/// Removes all published versions of `upload`'s dataset but the `keep` newest.
pub(crate) async fn collect_garbage(
    upload: &Upload,
    environment: &Environment,
    keep: usize,
    dry_run: bool,
) -> Result<gc::CollectedGarbage, PublishError> {
    if let Some(hub) = &upload.destination.hub {
        return Err(PublishError::Setup(format!(
            "destination.hub: every version of {} is a commit, and what was committed stays in its history; publish gc removes \
             versions from a container or a folder alone",
            hub.repo
        )));
    }
    let destination = Destination::open(upload, environment)?;
    if dry_run {
        return gc::collect(&destination, &upload.dataset, keep, None).await;
    }
    let work = WorkDir::open(&upload.work_dir)?;
    destination.prepare().await?;
    gc::collect(&destination, &upload.dataset, keep, Some(&work.receipts()?)).await
}
