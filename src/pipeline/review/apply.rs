//! A review put into a fork: what is rejected is left out, or made anew from a turn on; edits stand, with what stood before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::edits;
use super::file::{ReviewError, ReviewFile, ReviewRow, ReviewVerdict, TurnEdit};
use super::pairs::{self, PairCounts};
use crate::clock;
use crate::config::environment::Environment;
use crate::config::fingerprint::Stage;
use crate::llm::budget::Budget;
use crate::llm::control::Control;
use crate::llm::recorded::{CallGateway, ReviewMark};
use crate::pipeline::error::RunError;
use crate::pipeline::explain::conversation_number;
use crate::pipeline::finished::FinishedRun;
use crate::pipeline::fork::Fork;
use crate::pipeline::identity::{self, Details, Identity};
use crate::pipeline::ledger::{Spend, Status};
use crate::pipeline::models::{self, ModelSource};
use crate::pipeline::run::open_journal;
use crate::pipeline::stages::Stages;
use crate::record::{Conversation, Dropped, Duplicate, Fate, Outcome, Situation, content_hash};
use crate::stages::context::Context;
use crate::stages::conversations::ConversationFlow;
use crate::stages::error::StageError;
use crate::stages::inputs::Inputs;
use crate::stages::writer::{Fates, StageResult, StageWriter};
use crate::store::checkpoint::SealedStage;
use crate::store::fs;
use crate::store::run::{RunDir, RunInfo, RunPaths, run_id};

/// The reason of what a review left out.
const REASON: &str = "review";

/// What `run.json` of a reviewed run says of its review.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AppliedReview {
    /// SHA-256 of the file.
    pub sha256: String,
    /// What was asked for anew, by conversation, reviews of runs before this one included.
    pub marks: BTreeMap<String, Vec<ReviewMark>>,
}

/// How a review is applied.
#[derive(Debug)]
pub(crate) struct ReviewOptions<'a> {
    /// The run that was reviewed.
    pub run: &'a Path,
    /// The review.
    pub review: &'a Path,
    /// The run that is made.
    pub new_run: &'a Path,
    /// Leave out all that is rejected, so that no call is made.
    pub drop: bool,
    /// No network but loopback.
    pub offline: bool,
}

/// What came of a review.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ReviewOutcome {
    /// The run that was made.
    pub run_dir: PathBuf,
    /// How it stands.
    pub status: Status,
    /// Conversations that were reviewed.
    pub reviewed: u64,
    /// Those that were left out.
    pub dropped: u64,
    /// Those that were made anew from a turn on.
    pub made_anew: u64,
    /// Turns that were edited.
    pub edited_turns: u64,
    /// Preference pairs that were written.
    pub pairs: u64,
    /// Turns that were made anew and came back word for word.
    pub repeated: u64,
    /// What was spent.
    pub usage: Spend,
}

/// What a review comes to, conversation by conversation.
struct Verdicts<'a> {
    review: &'a ReviewFile,
    drop: bool,
}

/// Conversations that were reviewed, by id.
type ReviewedFates = BTreeMap<String, Fate<Conversation>>;

/// Makes the fork, or goes on with it.
///
/// # Errors
/// A review that does not fit, and whatever stops a run. What was recorded is kept, and the same call goes on with it.
pub(crate) async fn apply(
    options: &ReviewOptions<'_>,
    environment: &Environment,
    control: Arc<Control>,
) -> Result<ReviewOutcome, RunError> {
    let run = FinishedRun::open(options.run)?;
    let mut review = ReviewFile::read(options.review, &run)?;
    let inputs = Inputs::read(&RunPaths::of_run(&run.path)?.inputs())?;
    edits::examine(&mut review, options.review, &run, &inputs)?;
    if review.rows.values().any(|row| wants_anew(row, options.drop) || !row.edits.is_empty()) {
        identity::require_journal(options.run, "the prompts of what was edited or rejected are gone with it")?;
    }
    let dir = RunDir::open_or_create(options.new_run, false)?;
    let details = begin(&dir, &run, (&review, &inputs), options)?;
    let budget = Arc::new(Budget::new(&run.config.budget, &run.config.models));
    let rescreens = run.config.safety.service.is_some() && review.rows.values().any(|row| !row.edits.is_empty());
    let asks = (rescreens || wants_calls(&details)) && SealedStage::open(&dir.paths().conversations())?.is_none();
    let calls = Arc::new(gateway(&dir, &run, &details, (options, asks), environment, (&budget, &control))?);
    if SealedStage::open(&dir.paths().conversations())?.is_none() {
        let flow = ConversationFlow::new(&run.config, &inputs, Arc::clone(&calls), Arc::default())?;
        let anew = make_anew(&run, &review, &flow, &calls, options.drop).await?;
        let fates = Verdicts { review: &review, drop: options.drop }.fates(&run, &flow, anew).await?;
        seal(&dir, &run, &review, fates)?;
    }
    let pairs = Box::pin(pairs::write(&run, &review, &dir, options.drop)).await?;
    let status = compile(&dir, &run, &inputs, calls).await?;
    Ok(outcome(options, &review, status, pairs, Spend::of(&budget)))
}

/// Compiles what is sealed, as a run does in the end.
async fn compile(
    dir: &RunDir,
    run: &FinishedRun,
    inputs: &Inputs,
    calls: Arc<CallGateway>,
) -> Result<Status, RunError> {
    let context =
        Context { config: &run.config, inputs, source: None, calls, progress: Arc::default(), accept_partial: false };
    let identity = Identity::of(&run.config, inputs);
    let made = Box::pin(Stages { context, identity: &identity, dir, fork: None }.run()).await?;
    let status = made.outcomes.status(&run.config);
    identity::record_end(dir, status, made.dataset)?;
    Ok(status)
}

fn outcome(
    options: &ReviewOptions<'_>,
    review: &ReviewFile,
    status: Status,
    pairs: PairCounts,
    usage: Spend,
) -> ReviewOutcome {
    let count = |test: &dyn Fn(&ReviewRow) -> bool| review.rows.values().filter(|row| test(row)).count() as u64;
    ReviewOutcome {
        run_dir: options.new_run.to_owned(),
        status,
        reviewed: review.rows.len() as u64,
        dropped: count(&|row| row.verdict == Some(ReviewVerdict::Reject) && !wants_anew(row, options.drop)),
        made_anew: count(&|row| wants_anew(row, options.drop)),
        edited_turns: review
            .rows
            .values()
            .filter(|row| is_kept(row, options.drop))
            .map(|row| row.edits.len() as u64)
            .sum(),
        pairs: pairs.pairs,
        repeated: pairs.repeated,
        usage,
    }
}

/// Whether a conversation is to be made anew from a turn on.
pub(super) fn wants_anew(row: &ReviewRow, drop: bool) -> bool {
    row.verdict == Some(ReviewVerdict::Reject) && row.from_turn.is_some() && !drop
}

/// Whether anything of a conversation stays.
pub(super) fn is_kept(row: &ReviewRow, drop: bool) -> bool {
    row.verdict != Some(ReviewVerdict::Reject) || wants_anew(row, drop)
}

/// Makes the folder a fork of `run`: its settings, texts and first stages, and what the review asks for anew.
fn begin(
    dir: &RunDir,
    run: &FinishedRun,
    (review, inputs): (&ReviewFile, &Inputs),
    options: &ReviewOptions<'_>,
) -> Result<Details, RunError> {
    let old = RunPaths::of_run(&run.path)?;
    let before = old.info()?.map(|info| Details::of(&info)).unwrap_or_default();
    let mut marks = before.review.clone().unwrap_or_default().marks;
    for row in review.rows.values().filter(|row| wants_anew(row, options.drop)) {
        marks.entry(row.id.clone()).or_default().push(mark(row));
    }
    let applied = AppliedReview { sha256: review.sha256.clone(), marks };
    if let Some(info) = dir.info()? {
        let details = Details::of(&info);
        let same = details.review.as_ref() == Some(&applied) && details.fork.as_deref() == Some(run.path.as_path());
        return if same {
            Ok(details)
        } else {
            Err(ReviewError::InTheWay { path: dir.paths().root().to_owned() }.into())
        };
    }
    let paths = dir.paths();
    inputs.write(&paths.inputs())?;
    fs::write_atomic(&paths.config(), &fs::read(&old.config())?)?;
    for (from, to) in [(Stage::Personas, paths.personas()), (Stage::Situations, paths.situations())] {
        run.sealed(from).map(|sealed| sealed.copy(&to)).transpose()?;
    }
    let fields = old.info()?.map(|info| info.fingerprints).unwrap_or_default();
    let details = Details {
        source: before.source,
        fork: Some(run.path.clone()),
        anew: before.anew,
        review: Some(applied),
        ..Details::default()
    };
    let id = run_id(&json!(fields).to_string(), paths.root(), clock::unix_seconds());
    dir.write_info(&RunInfo::new(id, fields, json!(details)))?;
    Ok(details)
}

/// What enters the keys of replies from the rejected turn on: another comment is another question.
fn mark(row: &ReviewRow) -> ReviewMark {
    let from_turn = row.from_turn.unwrap_or_default();
    ReviewMark { from_turn, tag: content_hash([row.hash.as_str(), &from_turn.to_string(), &row.comment]) }
}

/// Whether turns are to be made anew.
fn wants_calls(details: &Details) -> bool {
    details.review.as_ref().is_some_and(|review| !review.marks.is_empty())
}

/// Where replies come from: those on record first. Only where it `asks` is there an endpoint behind them.
fn gateway(
    dir: &RunDir,
    run: &FinishedRun,
    details: &Details,
    (options, asks): (&ReviewOptions<'_>, bool),
    environment: &Environment,
    (budget, control): (&Arc<Budget>, &Arc<Control>),
) -> Result<CallGateway, RunError> {
    let (journal, _, left) = open_journal(dir, budget, control)?;
    let source = if asks {
        ModelSource::Live { environment, offline: options.offline, given: None }
    } else {
        ModelSource::Recorded
    };
    Ok(CallGateway {
        journal: Some(Arc::new(journal)),
        inherited: if asks { Fork::open(&run.path, false)?.replies()? } else { Vec::new() },
        budget: Arc::clone(budget),
        endpoints: models::endpoints(&run.config, source)?,
        control: Arc::clone(control),
        anew: details.anew.clone(),
        reviewed: details.review.clone().unwrap_or_default().marks,
        left,
        ..CallGateway::silent(run.config.seed)
    })
}

/// Takes up conversations from the turn that was rejected, as many at a time as a run holds.
async fn make_anew(
    run: &FinishedRun,
    review: &ReviewFile,
    flow: &ConversationFlow,
    calls: &Arc<CallGateway>,
    drop: bool,
) -> Result<ReviewedFates, RunError> {
    let wanted = review.rows.values().filter(|row| wants_anew(row, drop));
    let wanted: Vec<&str> = wanted.map(|row| row.id.as_str()).collect();
    let mut begun = Vec::new();
    for situation in run.sealed_situations().rows::<Situation>("part-00000.jsonl")? {
        let situation = Arc::new(situation?);
        let of_it = wanted.iter().filter_map(|id| Some((*id, conversation_number(id, &situation)?)));
        begun.extend(of_it.map(|(id, number)| (id, number, Arc::clone(&situation))));
    }
    let held = begun.into_iter().map(|(id, number, situation)| async move {
        let _place = calls.budget.enlist(id);
        let (fate, _) = flow.hold(&situation, number).await.map_err(StageError::from)?;
        Ok::<_, RunError>((id.to_owned(), fate))
    });
    stream::iter(held).buffered(run.config.conversations_at_once()).try_collect().await
}

/// Seals the conversations as the review leaves them.
fn seal(dir: &RunDir, run: &FinishedRun, review: &ReviewFile, mut fates: ReviewedFates) -> Result<(), RunError> {
    let old = run.sealed_conversations();
    let mut writer = StageWriter::<Conversation>::create(Stage::Conversations.as_str(), &dir.paths().conversations())?;
    for talk in old.rows::<Conversation>("part-00000.jsonl")? {
        let talk = talk?;
        writer.put(fates.remove(&talk.id).unwrap_or(Fate::Accepted(talk)))?;
    }
    for dropped in old.rows::<Dropped>("rejected.jsonl")? {
        writer.put(Fate::Dropped(dropped?))?;
    }
    for duplicate in old.rows::<Duplicate>("duplicates.jsonl")? {
        writer.put(Fate::Duplicate(duplicate?))?;
    }
    let ReviewFile { reviewer, rows, sha256 } = review;
    let mut notes = old.manifest().notes.clone();
    if let Some(notes) = notes.as_object_mut() {
        notes.insert("review".to_owned(), json!({"by": reviewer, "sha256": sha256, "rows": rows.len()}));
    }
    let made = StageResult { inputs: writer.tally().total(), notes, ..StageResult::default() };
    let fingerprint = content_hash([old.manifest().fingerprint.as_str(), REASON, sha256]);
    writer.seal(made, fingerprint, old.manifest().upstream.clone())?;
    Ok(())
}

impl Verdicts<'_> {
    /// What becomes of every conversation that was reviewed, given those that were made anew.
    async fn fates(
        &self,
        run: &FinishedRun,
        flow: &ConversationFlow,
        mut anew: ReviewedFates,
    ) -> Result<ReviewedFates, RunError> {
        let mut fates = ReviewedFates::new();
        for talk in run.sealed_conversations().rows::<Conversation>("part-00000.jsonl")? {
            let talk = talk?;
            let Some(row) = self.review.rows.get(&talk.id) else { continue };
            let edited: Vec<u32> = row.edits.iter().map(|edit| edit.turn).collect();
            let id = talk.id.clone();
            let fate = match self.fate(talk, row, anew.remove(&id)) {
                Fate::Accepted(talk) if !edited.is_empty() => {
                    flow.screen_again(talk, &edited).await.map_err(StageError::from)?
                }
                fate => fate,
            };
            fates.insert(id, fate);
        }
        Ok(fates)
    }

    /// What the review makes of a conversation, before edits are screened.
    fn fate(&self, talk: Conversation, row: &ReviewRow, anew: Option<Fate<Conversation>>) -> Fate<Conversation> {
        if !is_kept(row, self.drop) {
            let detail = if row.comment.is_empty() { "no comment".to_owned() } else { row.comment.clone() };
            let (outcome, reason) = (Outcome::Rejected, REASON.to_owned());
            return Fate::Dropped(Dropped { id: talk.id, outcome, reason, detail });
        }
        match anew {
            Some(Fate::Accepted(anew)) => Fate::Accepted(self.mended(joined(talk, anew, row), row)),
            Some(other) => other,
            None => Fate::Accepted(self.mended(talk, row)),
        }
    }

    /// With its edits, and what the review says in its provenance.
    fn mended(&self, mut talk: Conversation, row: &ReviewRow) -> Conversation {
        row.put_into(&mut talk);
        let by = &self.review.reviewer;
        let mut provenance: Value = serde_json::from_str(&talk.provenance).unwrap_or_default();
        let edits = row
            .edits
            .iter()
            .map(|TurnEdit { turn, original, .. }| json!({"turn": turn, "edited_by": by, "original": original}));
        // Edits of a review before this one stand where nothing was made anew.
        let earlier = provenance.pointer("/review/edits").and_then(Value::as_array).cloned().unwrap_or_default();
        let stands = |edit: &Value| row.from_turn.is_none_or(|from| edit["turn"].as_u64() < Some(u64::from(from)));
        let edits: Vec<Value> = earlier.into_iter().filter(stands).chain(edits).collect();
        if let Some(provenance) = provenance.as_object_mut() {
            let review = json!({
                "by": by, "verdict": row.verdict, "from_turn": row.from_turn, "comment": row.comment, "labels": row.labels,
                "edits": edits,
            });
            provenance.insert("review".to_owned(), review);
        }
        talk.provenance = provenance.to_string();
        talk.hash = talk.content_hash();
        talk
    }
}

/// The turns before the rejected one as they stood, and those that were made anew behind them.
fn joined(old: Conversation, anew: Conversation, row: &ReviewRow) -> Conversation {
    let from = row.from_turn.unwrap_or_default() as usize;
    let earlier = serde_json::from_str::<Value>(&old.provenance).ok().and_then(|whole| whole.get("review").cloned());
    let mut provenance: Value = serde_json::from_str(&anew.provenance).unwrap_or_default();
    if let (Some(earlier), Some(provenance)) = (earlier, provenance.as_object_mut()) {
        provenance.insert("review".to_owned(), earlier);
    }
    let turns = old.turns.into_iter().take(from).chain(anew.turns.iter().skip(from).cloned()).collect();
    Conversation { turns, provenance: provenance.to_string(), ..anew }
}
