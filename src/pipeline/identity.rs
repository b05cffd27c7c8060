//! What makes a run this run: the settings and texts that shape its data. A directory made with others is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::RunError;
use super::ledger::{Spend, Status};
use super::review::apply::AppliedReview;
use super::stopped::StoppedAt;
use super::text_diff;
use crate::clock;
use crate::config::drift::{self, Difference, Drift};
use crate::config::fingerprint::{self, Stage};
use crate::config::{Config, HubSettings, SituationMode};
use crate::llm::Role;
use crate::llm::entries::RecordedReply;
use crate::stages::Progress;
use crate::stages::imported::several;
use crate::stages::inputs::Inputs;
use crate::stages::personas::PersonaSource;
use crate::store::checkpoint::SealedStage;
use crate::store::journal::{self, EntryKind};
use crate::store::run::{self, RunDir, RunInfo, RunPaths};
use crate::store::{fs, part};

/// The settings and texts that shape the data of a run.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    settings: BTreeMap<Stage, BTreeMap<String, Value>>,
    texts: BTreeMap<String, String>,
    /// Whether people come from a file of the user's; which one is judged by content.
    own_personas: bool,
}

/// The imported file as it was when it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportedFile {
    bytes: u64,
    modified: (i64, i64),
    sha256: String,
}

/// What the pipeline keeps in `run.json` besides the identity.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Details {
    /// The imported file, once it was read.
    pub source: Option<ImportedFile>,
    /// The run this one was forked from: its replies are used on every resume.
    pub fork: Option<PathBuf>,
    /// SHA-256 of the dataset's manifest, once it was compiled.
    pub dataset: Option<String>,
    /// How the run ended; `null` while it has not.
    pub ended: Option<Status>,
    /// What was spent, once the journal that said so was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected: Option<Spend>,
    /// Where an endpoint stopped the run, until it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StoppedAt>,
    /// Keys of recorded calls that count for nothing, since all of them ended alike.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub anew: BTreeSet<String>,
    /// The review that the run was made by, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<AppliedReview>,
}

impl Details {
    /// Reads them; a `run.json` of a version that kept less has defaults.
    pub(crate) fn of(info: &RunInfo) -> Self {
        Self::deserialize(&info.details).unwrap_or_default()
    }
}

/// Changed texts whose lines are shown, and lines of each.
const MOST_TEXTS: usize = 4;
const MOST_LINES: usize = 16;

/// The texts of the conversations stage; the others belong to the situations.
const CONVERSATION_TEXTS: [&str; 6] = ["speaker.md", "fused.md", "selector.md", "context.md", "safety.md", "judge.md"];

fn is_of_conversations(text: &str) -> bool {
    CONVERSATION_TEXTS.contains(&text) || text.starts_with("words/")
}

impl Identity {
    /// The identity of a run with this configuration and these texts.
    pub(crate) fn of(config: &Config, inputs: &Inputs) -> Self {
        let settings = Stage::ALL.into_iter().map(|stage| (stage, fingerprint::semantic_of(config, stage))).collect();
        Self { settings, texts: inputs.hashes(), own_personas: config.personas.source.is_some() }
    }

    /// Settings and texts by name, as they are compared and shown.
    pub(crate) fn fields(&self) -> BTreeMap<String, Value> {
        let settings = self.settings.values().flatten().map(|(key, value)| (key.clone(), value.clone()));
        let texts = self.texts.iter().map(|(name, hash)| (format!("inputs/{name}"), json!(hash)));
        let personas = if self.own_personas { "a file" } else { "built in" };
        settings.chain(texts).chain([("personas.source".to_owned(), json!(personas))]).collect()
    }

    /// Whether all that differs may: it acts first on stages in which nothing was accepted when the run was `stopped`.
    fn differs_from(&self, stopped: StoppedAt, refused: &RunError) -> bool {
        let RunError::Drift(Drift { differences, .. }) = refused else { return false };
        differences.iter().all(|difference| stopped.may_change(self.first_stage(&difference.key)))
    }

    /// The stage that a setting or a text first acts on; the first one where that is not known.
    fn first_stage(&self, key: &str) -> Stage {
        if let Some(text) = key.strip_prefix("inputs/") {
            return if is_of_conversations(text) { Stage::Conversations } else { Stage::Situations };
        }
        let named = self.settings.iter().find(|(_, settings)| settings.contains_key(key));
        let of_situations = || key.starts_with("situations.") || key.starts_with("models.situations.");
        named.map_or(if of_situations() { Stage::Situations } else { Stage::Personas }, |(stage, _)| *stage)
    }

    /// The fingerprint of a stage: its settings, its texts, the file it imports (by SHA-256), and the stage before it.
    pub(crate) fn stage(&self, stage: Stage, source: Option<&str>, upstream: Option<&str>) -> String {
        let mut texts = self.texts.clone();
        texts.retain(|name, _| match stage {
            Stage::Personas | Stage::Compile => false,
            Stage::Conversations => is_of_conversations(name),
            Stage::Situations => !is_of_conversations(name),
        });
        texts.extend(source.map(|sha256| ("source".to_owned(), sha256.to_owned())));
        let empty = BTreeMap::new();
        fingerprint::stage_fingerprint(stage, self.settings.get(&stage).unwrap_or(&empty), &texts, upstream)
    }
}

/// Settles what the configuration leaves to the size of the run: the calls in a round. A run that was begun keeps what it was
/// begun with, and so does one that is forked from it.
pub(crate) fn settle(config: &mut Config, inputs: &Inputs, before: &[&Path]) -> Result<(), RunError> {
    let hub = &mut config.situations.hub;
    if hub.round_calls.is_some() || config.situations.mode == SituationMode::File {
        return Ok(());
    }
    for path in before {
        let info = RunPaths::of_run(path).ok().map(|paths| paths.info()).transpose()?.flatten();
        let kept = info.and_then(|info| info.fingerprints.get("situations.hub.round_calls")?.as_u64());
        hub.round_calls = hub.round_calls.or(kept.and_then(|kept| usize::try_from(kept).ok()));
    }
    // The same in every part of a run: the share of a part that has no more than others.
    let parts = config.shard.map_or(1, |shard| shard.count.max(1));
    let wanted = config.situations.wanted().unwrap_or_default() / parts;
    let per_call = inputs.situations_per_call(config)?;
    config.situations.hub.round_calls.get_or_insert_with(|| HubSettings::width(wanted, per_call));
    Ok(())
}

/// The file a run imports people or situations from.
pub(crate) fn source(config: &Config) -> Option<&Path> {
    match config.situations.mode {
        SituationMode::Predefined => config.personas.source.as_deref(),
        SituationMode::File => config.situations.source.as_deref(),
        SituationMode::Auto => None,
    }
}

/// Makes a new directory this run's, or refuses one that is another's.
///
/// One in which nothing was paid for yet is simply taken over: whoever mends a configuration after its first error has
/// nothing to lose.
pub(crate) fn claim(
    dir: &RunDir,
    config: &Config,
    inputs: &Inputs,
    source: Option<&PersonaSource>,
) -> Result<Identity, RunError> {
    let identity = Identity::of(config, inputs);
    let resolved = fingerprint::resolved_yaml(config)?;
    if let Some(info) = dir.info()? {
        let unfinished = info.format < run::FORMAT && Details::of(&info).ended.is_none();
        if unfinished && has_replies(dir)? {
            return Err(earlier(dir, info));
        }
        match check(dir, &info, &identity, inputs, source) {
            Ok(()) => {
                fs::write_atomic(&dir.paths().config(), resolved.as_bytes())?;
                return Ok(identity);
            }
            Err(refused) if has_replies(dir)? => {
                let details = Details::of(&info);
                if !details.stopped.is_some_and(|stopped| identity.differs_from(stopped, &refused)) {
                    return Err(refused);
                }
                replace_settings(dir, config, inputs, &identity, RunInfo { details: json!(details), ..info })?;
                return Ok(identity);
            }
            Err(_) => fs::discard_dir(&dir.paths().root().join("stages"))?,
        }
    }
    fs::discard_dir(&dir.paths().inputs())?;
    inputs.write(&dir.paths().inputs())?;
    fs::write_atomic(&dir.paths().config(), resolved.as_bytes())?;
    let fields = identity.fields();
    let id = run::run_id(&json!(fields).to_string(), dir.paths().root(), clock::unix_seconds());
    let id = dir.info()?.map_or(id, |info| info.run_id);
    dir.write_info(&RunInfo::new(id, fields, json!(Details::default())))?;
    Ok(identity)
}

/// Goes on with other settings in a directory in which nothing made by the old ones counts.
fn replace_settings(
    dir: &RunDir,
    config: &Config,
    inputs: &Inputs,
    identity: &Identity,
    info: RunInfo,
) -> Result<(), RunError> {
    fs::discard_dir(&dir.paths().inputs())?;
    inputs.write(&dir.paths().inputs())?;
    fs::write_atomic(&dir.paths().config(), fingerprint::resolved_yaml(config)?.as_bytes())?;
    Ok(dir.write_info(&RunInfo { fingerprints: identity.fields(), ..info })?)
}

fn check(
    dir: &RunDir,
    info: &RunInfo,
    identity: &Identity,
    inputs: &Inputs,
    source: Option<&PersonaSource>,
) -> Result<(), RunError> {
    let mut differences = differences(dir.paths(), info, identity, inputs);
    if let (Some(kept), Some(PersonaSource::File(path))) = (&Details::of(info).source, source) {
        let now = kept.now(path)?;
        if now.sha256 != kept.sha256 {
            let key = format!("{} (SHA-256)", path.display());
            let (old, new) = (Some(json!(kept.sha256)), Some(json!(now.sha256)));
            differences.push(Difference { key, old, new, lines: Vec::new() });
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(Drift { run_dir: dir.paths().root().to_owned(), differences }.into())
}

/// What differs between the run in `paths` and one with this identity; of changed texts the lines that changed.
fn differences(paths: &RunPaths, info: &RunInfo, identity: &Identity, inputs: &Inputs) -> Vec<Difference> {
    let mut differences = drift::diff(&info.fingerprints, &identity.fields());
    let changed = |difference: &&mut Difference| difference.old.is_some() && difference.new.is_some();
    let of_texts = differences.iter_mut().filter(changed);
    let of_texts = of_texts.filter_map(|difference| Some((inputs_name(&difference.key)?.to_owned(), difference)));
    for (name, difference) in of_texts.take(MOST_TEXTS) {
        // A copy that is not there any more leaves the two hashes to tell it.
        let kept = fs::read_to_string(&paths.inputs().join(&name)).ok();
        let lines = kept.zip(inputs.text(&name).ok()).map(|(old, new)| text_diff::unified(&old, new, MOST_LINES));
        difference.lines = lines.unwrap_or_default();
    }
    differences
}

fn inputs_name(key: &str) -> Option<&str> {
    key.strip_prefix("inputs/")
}

/// Which texts differ from those of the run in `paths`, and how, for people; nothing if none does.
pub(crate) fn told_texts(paths: &RunPaths, identity: &Identity, inputs: &Inputs) -> Option<String> {
    let info = paths.info().ok().flatten()?;
    let differences = differences(paths, &info, identity, inputs);
    let of_texts = differences.iter().filter(|difference| inputs_name(&difference.key).is_some());
    let listed: String = of_texts.map(|difference| format!("\n  {difference}")).collect();
    let root = paths.root().display();
    (!listed.is_empty())
        .then(|| format!("prompts differ from those of {root}; what they shape is asked for anew:{listed}"))
}

fn earlier(dir: &RunDir, info: RunInfo) -> RunError {
    let (path, found, created_by) = (dir.paths().root().to_owned(), info.format, info.created_by);
    run::RunDirError::EarlierFormat { path, found, created_by }.into()
}

fn has_replies(dir: &RunDir) -> Result<bool, RunError> {
    let mut replies = false;
    journal::scan(&dir.paths().journal(), |entry| {
        // What a probe found out holds for any settings.
        let probed = || entry.read::<RecordedReply>().is_ok_and(|reply| reply.role == Role::Probe);
        replies |= entry.kind == EntryKind::Reply && !probed();
    })?;
    Ok(replies || SealedStage::open(&dir.paths().conversations())?.is_some())
}

/// Notes which file was imported.
pub(crate) fn record_source(dir: &RunDir, path: &Path, sha256: &str) -> Result<(), RunError> {
    let (bytes, modified) = if several::is_several(path) {
        // It is known by what is in it alone.
        (0, (0, 0))
    } else {
        let metadata = fs::metadata(path)?;
        (metadata.len(), (metadata.mtime(), metadata.mtime_nsec()))
    };
    let source = ImportedFile { bytes, modified, sha256: sha256.to_owned() };
    amend(dir, |details| details.source = Some(source))
}

/// Notes how the run ended, and what its dataset is.
pub(crate) fn record_end(dir: &RunDir, status: Status, dataset: Option<String>) -> Result<(), RunError> {
    amend(dir, |details| {
        details.ended = Some(status);
        details.stopped = None;
        details.dataset = dataset;
    })
}

/// Notes what was spent, before the journal goes.
pub(crate) fn record_collected(dir: &RunDir, spent: Spend) -> Result<(), RunError> {
    amend(dir, |details| details.collected = Some(spent))
}

/// The run whose replies this one uses: the one named now, else the one it was begun with.
pub(crate) fn fork(dir: &RunDir, named: Option<&Path>) -> Result<Option<PathBuf>, RunError> {
    if let Some(old) = named {
        require_journal(old, "--fork has no replies to take from it")?;
        amend(dir, |details| details.fork = Some(old.to_owned()))?;
        return Ok(Some(old.to_owned()));
    }
    let kept = details(dir)?.fork;
    // What was used of it is in this run's own journal by now; what was not is lost with it.
    Ok(kept.filter(|old| old.join("journal").is_dir()))
}

/// What is kept of the run in `dir`.
pub(crate) fn details(dir: &RunDir) -> Result<Details, RunError> {
    Ok(dir.info()?.map(|info| Details::of(&info)).unwrap_or_default())
}

/// Notes that the run goes on after all.
pub(crate) fn record_reopened(dir: &RunDir) -> Result<(), RunError> {
    if let Some(info) = dir.info()?.filter(|info| info.format < run::FORMAT) {
        return Err(earlier(dir, info));
    }
    amend(dir, |details| {
        details.ended = None;
        details.dataset = None;
    })
}

pub(super) fn amend(dir: &RunDir, change: impl FnOnce(&mut Details)) -> Result<(), RunError> {
    let Some(info) = dir.info()? else { return Ok(()) };
    let mut details = Details::of(&info);
    change(&mut details);
    let details = json!(details);
    if details != info.details {
        dir.write_info(&RunInfo { details, ..info })?;
    }
    Ok(())
}

impl ImportedFile {
    /// SHA-256 of its content, in hex.
    pub(super) fn sha256(self) -> String {
        self.sha256
    }

    /// The file as it is now. It is read again only where size or time differ: it may hold hundreds of gigabytes. One
    /// that is gone is taken as it was; the sealed stage has what was needed of it.
    pub(super) fn now(&self, path: &Path) -> Result<Self, RunError> {
        if several::is_several(path) {
            let read = several::read(path, "situations.source", &Progress::default(), &mut |_, _| {});
            return Ok(read.map_or_else(|_| self.clone(), |now| Self { sha256: now.sha256, ..self.clone() }));
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.is_not_found() => return Ok(self.clone()),
            Err(error) => return Err(error.into()),
        };
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        if !metadata.is_file() {
            // Reading a pipe would wait for its writer.
            return Ok(Self { bytes: 0, modified, sha256: "not a file".to_owned() });
        }
        if (metadata.len(), modified) == (self.bytes, self.modified) {
            return Ok(self.clone());
        }
        Ok(Self { bytes: metadata.len(), modified, sha256: part::hash_file(path)?.1 })
    }
}

/// Where a stage is sealed.
pub(super) fn folder(paths: &RunPaths, stage: Stage) -> PathBuf {
    match stage {
        Stage::Personas => paths.personas(),
        Stage::Situations => paths.situations(),
        Stage::Conversations => paths.conversations(),
        Stage::Compile => paths.dataset(),
    }
}

/// Refuses what needs recorded replies of a run whose journal was removed; `what` is what cannot be done.
pub(super) fn require_journal(path: &Path, what: &'static str) -> Result<(), RunError> {
    let info = RunPaths::of_run(path)?.info()?;
    if info.is_some_and(|info| Details::of(&info).collected.is_some()) {
        return Err(RunError::Collected { path: path.to_owned(), what });
    }
    Ok(())
}
