//! A look before a run: a few situations and their conversations, made as the run itself would make them.
//!
//! A preview is a small run in a directory of its own beside the configured one. Sampling, casting and numbering are
//! those of the whole run, so its prompts are the first ones of that run to the byte, and a run forked from it does not
//! pay for them again; only what made up for lost situations is asked for anew, since a longer run makes up for them later. The directory is named by a hash of settings, texts and the imported file, and by the number
//! asked for: the same preview again makes no call, another configuration never meets it, and a longer preview starts
//! from the replies of a shorter one.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use super::error::RunError;
use super::explain::{Replay, rows};
use super::identity::{self, Identity};
use super::run::RunOptions;
use crate::config::SituationMode;
use crate::config::environment::Environment;
use crate::config::loaded::Loaded;
use crate::record::{Conversation, Dropped, Fate, Situation, content_hash};
use crate::stages::error::StageError;
use crate::stages::inputs::Inputs;
use crate::store::checkpoint::SealedStage;
use crate::store::fs;
use crate::store::run::RunPaths;

/// Hex digits of the hash in the directory's name.
const HASH_DIGITS: usize = 12;

/// What there is to look at.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct PreviewSample {
    /// Situations, in id order.
    pub situations: Vec<Situation>,
    /// Their conversations, in id order. One that was begun and not ended has the stop reason `unfinished`.
    pub conversations: Vec<Conversation>,
    /// What was rejected, refused or failed, and why.
    pub dropped: Vec<Dropped>,
}

/// The small run behind a preview of `count` situations of `loaded`, and where and how it is made.
///
/// # Errors
/// Prompts, shots and other texts that cannot be used, as a run reports them.
pub(crate) fn prepare(
    loaded: &Loaded,
    environment: &Environment,
    count: u64,
    offline: bool,
) -> Result<(Loaded, RunOptions), RunError> {
    let mut small = loaded.clone();
    // Rounds are as wide as those of the whole run, so that the prompts are its first ones.
    identity::settle(&mut small.config, &Inputs::gather(loaded)?, &[&loaded.config.run_dir])?;
    small.config.situations.count = Some(count);
    // Of the whole run, whatever part of it is made here.
    small.config.shard = None;
    // The first conversation on a situation is the same whatever their number.
    small.config.conversations.per_situation = 1;
    small.config.conversations.count = None;
    let name = name(&small, environment)?;
    let beside = loaded.config.run_dir.parent().unwrap_or(Path::new(""));
    let run_dir = beside.join(format!("{name}-{count}"));
    let fork = if run_dir.is_dir() { None } else { longest(beside, &name)? };
    let options = RunOptions { run_dir: Some(run_dir), fork, offline, ..RunOptions::default() };
    Ok((small, options))
}

/// `preview-` and a hash of everything that shapes its prompts but the number asked for.
fn name(small: &Loaded, environment: &Environment) -> Result<String, RunError> {
    let mut config = small.config.clone();
    environment.complete(&mut config);
    config.situations.count = None;
    let inputs = Inputs::gather(small)?;
    inputs.check(&config)?;
    let fields = json!(Identity::of(&config, &inputs).fields()).to_string();
    let source = identity::source(&config).map(|written| small.path(written));
    let state = source.and_then(|path| fs::metadata(&path).ok().map(|data| (path, data)));
    let state = state.map_or_else(String::new, |(path, data)| {
        format!("{} {} {} {}", path.display(), data.len(), data.mtime(), data.mtime_nsec())
    });
    let hash: String = content_hash([fields.as_str(), state.as_str()]).chars().take(HASH_DIGITS).collect();
    Ok(format!("preview-{hash}"))
}

/// The longest preview of this name that was made before.
fn longest(beside: &Path, name: &str) -> Result<Option<PathBuf>, RunError> {
    let folder = if beside.as_os_str().is_empty() { Path::new(".") } else { beside };
    if !folder.is_dir() {
        return Ok(None);
    }
    let counts = fs::list(folder)?.into_iter().filter_map(|entry| {
        let count: u64 = entry.strip_prefix(name)?.strip_prefix('-')?.parse().ok()?;
        Some((count, beside.join(entry)))
    });
    let runs = counts.filter(|(_, path)| RunPaths::of_run(path).is_ok_and(|run| run.journal().is_dir()));
    Ok(runs.max_by_key(|(count, _)| *count).map(|(_, path)| path))
}

/// What the run in `run_dir`, a preview or one that goes on, has to show, whether it ended or was stopped. Makes no call.
///
/// # Errors
/// A run directory that cannot be read.
pub(crate) async fn shown(run_dir: &Path) -> Result<PreviewSample, RunError> {
    let dir = RunPaths::of_run(run_dir)?;
    let replay = Replay::open(&dir, None)?;
    let mut shown = PreviewSample::default();
    situations(&dir, &replay, &mut shown).await?;
    conversations(&dir, &replay, &mut shown).await?;
    Ok(shown)
}

/// The sealed situations, or those that the recorded replies make.
async fn situations(dir: &RunPaths, replay: &Replay, shown: &mut PreviewSample) -> Result<(), RunError> {
    if let Some(sealed) = SealedStage::open(&dir.situations())? {
        shown.situations = rows(&dir.situations())?;
        shown.dropped = sealed.rows("rejected.jsonl")?.collect::<Result<_, _>>()?;
    } else if replay.config.situations.mode != SituationMode::File
        // Before the personas are sealed nothing was asked.
        && SealedStage::open(&dir.personas())?.is_some()
    {
        let made = replay.situations(&rows(&dir.personas())?).await?;
        shown.situations = made.accepted;
        shown.dropped = made.dropped;
    }
    Ok(())
}

/// The sealed conversations, or what the recorded replies make of them.
async fn conversations(dir: &RunPaths, replay: &Replay, shown: &mut PreviewSample) -> Result<(), RunError> {
    if let Some(sealed) = SealedStage::open(&dir.conversations())? {
        shown.conversations = rows(&dir.conversations())?;
        shown.dropped.extend(sealed.rows("rejected.jsonl")?.collect::<Result<Vec<_>, _>>()?);
        return Ok(());
    }
    let (flow, settings) = (replay.conversations()?, &replay.config.conversations);
    let situations = shown.situations.len() as u64;
    let wanted = settings.wanted(situations);
    let asked_on_each = wanted.div_ceil(situations.max(1));
    for situation in &shown.situations {
        for number in 0..settings.most_begun(wanted) {
            match flow.hold_so_far(situation, number).await.map_err(StageError::from)?.0 {
                Fate::Accepted(talk) if !talk.turns.is_empty() => shown.conversations.push(talk),
                Fate::Dropped(dropped) => shown.dropped.push(dropped),
                // Behind those that are asked for stand those begun in place of lost ones, as far as there are any.
                Fate::Accepted(_) | Fate::Duplicate(_) if number >= asked_on_each => break,
                Fate::Accepted(_) | Fate::Duplicate(_) => {}
            }
        }
    }
    Ok(())
}
