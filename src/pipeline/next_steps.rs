//! What can be done about what a run lost: one step for each kind of loss, by its commonest reason.

use std::path::Path;

use serde_json::json;

use super::error::RunError;
use super::identity::Details;
use super::status::{LossCount, reasons_of};
use super::target::{Target, targets};
use crate::config::{Config, Gate, SituationMode, load};
use crate::record::Tally;
use crate::stages::sealed;
use crate::store::checkpoint::SealedStage;
use crate::store::run::RunPaths;

/// Reasons for which a call came to no answer: it may have one the next time.
const UNANSWERED: [&str; 4] = ["no_reply", "no_answer", "bad_request", "safety_unscreened"];

/// What is to be changed where a reason is the commonest one.
const ADVICE: &[(&str, &str)] = &[
    ("refusal", "ask another model"),
    ("content_filter", "have the filter of the deployment changed, or ask another model"),
    ("jailbreak", "take conversations.layout: shared_prefix and the prompts that ship"),
    ("invalid_reply", "ask a stronger model (models.situations), or for fewer at once (situations.per_call: 1)"),
    ("cut_off", "raise situations.max_tokens"),
    ("torn", "raise max_tokens of the model that speaks"),
    ("only_thinking", "raise max_tokens of the model that speaks, or lower its reasoning_effort"),
    (
        "context_full",
        "let prompts show fewer turns (conversations.context.last_turns), or lower conversations.turns.max",
    ),
    ("copies_seed", "ask a stronger model (models.situations), or raise its temperature"),
    ("too_long", "raise conversations.words_per_turn, or conversations.max_repairs"),
    ("not_json", "ask a stronger model, or take another conversations.speaker_selection than fused"),
    ("not_a_situation", "mend these rows of situations.source"),
];

/// Flaws of a line that are no gate's.
const FLAWS: [&str; 2] = ["empty", "wrapped"];

/// A stage that is over.
struct Over {
    /// Its name, and what its records are called.
    stage: &'static str,
    tally: Tally,
    reasons: Vec<LossCount>,
}

impl Over {
    fn open(stage: &'static str, sealed: Option<SealedStage>) -> Result<Option<Self>, RunError> {
        let Some(sealed) = sealed else { return Ok(None) };
        let reasons = reasons_of(stage, &sealed)?;
        Ok(Some(Self { stage, tally: sealed::tally(&sealed.manifest().counts), reasons }))
    }

    fn lost_for(&self, reasons: &[&str]) -> u64 {
        self.reasons.iter().filter(|loss| reasons.contains(&loss.reason.as_str())).map(|loss| loss.count).sum()
    }
}

/// What to do next about what is missing in the run in `path`, a step each; nothing where nothing is, or before its end.
///
/// # Errors
/// If something that was sealed cannot be read.
pub(crate) fn next_steps(path: &Path) -> Result<Vec<String>, RunError> {
    let dir = RunPaths::of_run(path)?;
    let details = dir.info()?.map(|info| Details::of(&info)).unwrap_or_default();
    // What a review made is made anew by the next one.
    if details.ended.is_none() || details.review.is_some() {
        return Ok(Vec::new());
    }
    let config = load::kept(&dir.config())?.own_share();
    let situations = Over::open("situations", SealedStage::open(&dir.situations())?)?;
    let conversations = Over::open("conversations", SealedStage::open(&dir.conversations())?)?;
    let tally = |over: &Option<Over>| over.as_ref().map(|over| over.tally);
    let targets = targets(&config, tally(&situations), tally(&conversations));
    let mut steps = Vec::new();
    for over in [situations, conversations].into_iter().flatten() {
        let target = targets.get(over.stage).copied();
        if target.is_none_or(|target| target.is_missed()) {
            steps.extend(steps_of(&over, target, &config, &path.display().to_string(), details.collected.is_none()));
        }
    }
    Ok(steps)
}

/// `has_replies`: what was recorded is still there to go on with.
fn steps_of(over: &Over, target: Option<Target>, config: &Config, run: &str, has_replies: bool) -> Vec<String> {
    let tally = over.tally;
    let mut steps = Vec::new();
    let unanswered = over.lost_for(&UNANSWERED);
    let in_a_fork = format!("the same command with --fork {run} --run-dir NEW_DIR");
    if unanswered > 0 && has_replies {
        let records = counted(unanswered, over);
        steps.push(format!("{records} got no answer: the same command with --retry-failed asks again"));
    }
    if tally.over_budget > 0 {
        let then = if has_replies { in_a_fork.as_str() } else { "make a new run" };
        steps.push(format!("{} over budget: raise it; then {then}", counted(tally.over_budget, over)));
    }
    if let Some((reason, count)) = commonest(over) {
        let change = advice(&reason, config, over.stage);
        let then = if has_replies { format!("; then {in_a_fork} pays for what is new alone") } else { String::new() };
        steps.push(format!("{} lost by {reason}: {change}{then}", counted(count, over)));
    }
    let replaceable = tally.total() - tally.accepted - tally.over_budget - unanswered;
    let is_topped_up = over.stage == "situations" || config.conversations.replaces_lost();
    if !is_topped_up && replaceable > 0 && has_replies {
        steps.push(format!(
            "conversations.top_up: true replaces what is lost; the same command with --set conversations.top_up=true --fork \
             {run} --run-dir NEW_DIR pays for the replacements alone"
        ));
    }
    if let Some(target) = target.filter(|target| is_topped_up && target.replaced > 0 && tally.over_budget == 0) {
        steps.push(format!(
            "{} replaced already, which is all that is tried for {}: what is lost again and again has a reason",
            counted(target.replaced, over),
            target.wanted
        ));
    }
    steps
}

/// So many records of a stage, in words.
fn counted(count: u64, of: &Over) -> String {
    let records = if count == 1 { of.stage.trim_end_matches('s') } else { of.stage };
    format!("{count} {records}")
}

/// The commonest reason that asking again does not mend, and how often it was.
fn commonest(over: &Over) -> Option<(String, u64)> {
    let settled =
        over.reasons.iter().filter(|loss| !UNANSWERED.contains(&loss.reason.as_str()) && loss.reason != "over_budget");
    let reasons = settled.map(|loss| (loss.reason.clone(), loss.count));
    let duplicates = ("duplicate".to_owned(), over.tally.duplicate);
    // The first of equals.
    reasons
        .chain([duplicates])
        .filter(|(_, count)| *count > 0)
        .reduce(|most, next| if next.1 > most.1 { next } else { most })
}

fn advice(reason: &str, config: &Config, stage: &str) -> String {
    if let Some((_, advice)) = ADVICE.iter().find(|(name, _)| *name == reason) {
        return (*advice).to_owned();
    }
    if reason == "duplicate" {
        let source = if config.situations.mode == SituationMode::File { "situations" } else { "personas" };
        return format!("give it more variety (more {source}, a higher temperature), or raise dedup.{stage}");
    }
    if let Some(category) = reason.strip_prefix("safety_") {
        return format!("safety.action.{category}: redact or flag keeps such conversations");
    }
    let repairs = config.conversations.max_repairs;
    if FLAWS.contains(&reason) {
        return format!("raise conversations.max_repairs ({repairs}), or ask a stronger model (models.speaker)");
    }
    if serde_json::from_value::<Gate>(json!(reason)).is_ok() {
        return format!(
            "raise conversations.max_repairs ({repairs}), ask a stronger model (models.speaker), or switch the gate off \
             (conversations.gates.without: [{reason}])"
        );
    }
    // A filter's own category.
    "have the filter of the deployment changed, or ask another model".to_owned()
}
