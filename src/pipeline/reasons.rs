//! What most of the losses of a run are due to, in words.

use std::path::Path;

use super::error::RunError;
use super::status::reasons_of;
use crate::record::Dropped;
use crate::stages::sealed;
use crate::store::checkpoint::SealedStage;
use crate::store::run::RunPaths;

/// Reasons that are told.
const TOLD: usize = 3;
/// The longest example of a reason, in characters.
const LONGEST_EXAMPLE: usize = 160;

/// What the reasons of records mean; a filter's category stands for itself.
const WORDS: &[(&str, &str)] = &[
    ("no_reply", "the endpoint served no reply"),
    ("bad_request", "the endpoint refused the request"),
    ("no_answer", "the endpoint failed every time"),
    ("content_filter", "a content filter stopped it"),
    ("refusal", "the model declined"),
    ("jailbreak", "a prompt shield stopped it"),
    ("invalid_reply", "the reply was not what was asked for"),
    ("cut_off", "the reply was cut off by its limit (situations.max_tokens)"),
    ("torn", "the reply was cut off by its limit (max_tokens of the model)"),
    ("context_full", "the context of the model was full"),
    ("only_thinking", "the reply was thinking without a line"),
    ("wrapped", "a remark on the line could not be told apart from the line"),
    ("copies_seed", "it copied its seed"),
    ("empty", "the reply had no words in it"),
    ("not_json", "the reply was not the JSON that was asked for"),
    ("speaks_for_others", "a speaker spoke for somebody else"),
    ("echo", "a speaker repeated what had been said"),
    ("loop", "a speaker repeated itself"),
    ("leak", "a speaker talked about its instructions"),
    ("ai_talk", "a speaker spoke as a machine"),
    ("recital", "a speaker recited the description of the person"),
    ("too_long", "a turn was much too long"),
    ("closing_loop", "speakers said goodbye again and again"),
    ("agreement_run", "speakers only agreed with each other"),
    ("language", "a turn was in another language"),
    ("leaked_knowledge", "a speaker told what only somebody else knows"),
    ("safety_unscreened", "the safety service could not look at it"),
];

/// One reason for which items of a stage were lost.
struct Loss {
    count: u64,
    text: String,
}

/// The three commonest reasons for which situations and conversations of the run in `path` were lost, a line each.
///
/// # Errors
/// If something that was sealed cannot be read.
pub(crate) fn told(path: &Path) -> Result<Vec<String>, RunError> {
    let dir = RunPaths::of_run(path)?;
    let mut losses = Vec::new();
    for (stage, folder) in [("situations", dir.situations()), ("conversations", dir.conversations())] {
        let Some(sealed) = SealedStage::open(&folder)? else { continue };
        let duplicates = sealed::tally(&sealed.manifest().counts).duplicate;
        if duplicates > 0 {
            losses.push(Loss {
                count: duplicates,
                text: format!("{duplicates} {stage}: too like an earlier one (dedup.{stage})"),
            });
        }
        for reason in reasons_of(stage, &sealed)? {
            let text = format!("{} {stage}: {}", reason.count, words(&reason.reason));
            let example = example(&sealed, &reason.reason)?;
            losses.push(Loss { count: reason.count, text: text + &example });
        }
    }
    losses.sort_by_key(|loss| std::cmp::Reverse(loss.count));
    let told = losses.into_iter().take(TOLD).map(|loss| loss.text);
    Ok(told.map(|text| format!("lost: {text}")).collect())
}

fn words(reason: &str) -> String {
    let known = WORDS.iter().find(|(name, _)| *name == reason).map(|(_, words)| (*words).to_owned());
    known.unwrap_or_else(|| reason.replace('_', " "))
}

/// The first detail that is given with a reason.
fn example(sealed: &SealedStage, reason: &str) -> Result<String, RunError> {
    for row in sealed.rows::<Dropped>("rejected.jsonl")? {
        let row = row?;
        if row.reason == reason && !row.detail.trim().is_empty() {
            let mut short: String = row.detail.chars().take(LONGEST_EXAMPLE).collect();
            if short.len() < row.detail.len() {
                short.push('…');
            }
            return Ok(format!(", such as {}: {short}", row.id));
        }
    }
    Ok(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stages::conversations::validate::Flaw;

    #[test]
    fn every_flaw_has_words_and_a_category_stands_for_itself() {
        for flaw in Flaw::ALL {
            assert_ne!(words(flaw.name()), flaw.name().replace('_', " "), "{flaw:?}");
        }
        assert_eq!(words("self_harm"), "self harm");
    }
}
