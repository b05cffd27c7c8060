//! One pass over conversations: what is counted of each, and what is kept of all.
//!
//! One thread reads, one measures conversations one by one, one compares each with those before it. All see the same
//! conversations in the same order, so the figures depend on nothing else.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;

use super::annotations::{Annotations, GateRepairs};
use super::compression::Corpus;
use super::coverage::GridCounts;
use super::dialogue::{Dialogue, WordHashes};
use super::distribution::{Histogram, Mean};
use super::diversity::{Rule, mtld};
use super::error::ReportError;
use super::floor::floor;
use super::pictures::PictureTallies;
use super::sample::Sample;
use super::source::{ConversationSource, SourceKind};
use crate::stages::conversations::validate::is_closing;
use crate::stages::dedup::{Shingling, TextIndex, Verdict};

/// Conversations handed over together.
const BATCH: usize = 256;
/// Batches that may wait.
const WAITING: usize = 4;
/// Least words of a conversation whose MTLD counts: of fewer it says little.
const MTLD_LEAST: usize = 50;
/// Words of the MTLD that does not depend on the length of a conversation.
const MTLD_FIXED: usize = 100;
/// The Jaccard index from which two conversations count as near-duplicates here. Lower than what a run removes at, so
/// that it shows what dedup left; not lower still, since then texts of one template are all compared with each other.
const NEAR: f64 = 0.7;

/// What a pass over conversations found.
#[derive(Debug, Default)]
pub(super) struct Measured {
    pub(super) tallies: Tallies,
    pub(super) whole: CorpusComparisons,
    /// Exact copies that were left out.
    pub(super) copies: u64,
}

/// What is counted of each conversation by itself.
#[derive(Debug, Default)]
pub(super) struct Tallies {
    pub(super) words: u64,
    pub(super) people: Mean,
    pub(super) turns_per_conversation: Histogram,
    pub(super) words_per_turn: Histogram,
    pub(super) closings: u64,
    pub(super) closing_loops: u64,
    pub(super) floor: Floors,
    pub(super) mtld: Lexical,
    /// Conversations in English, or in no stated language.
    pub(super) english: u64,
    pub(super) gates: GateRepairs,
    pub(super) coverage: GridCounts,
    pub(super) safety: Annotations,
    pub(super) judgement: Annotations,
    pub(super) pictures: PictureTallies,
    pub(super) sample: Sample,
}

/// Means of [`TurnTaking`](super::floor::TurnTaking) over conversations.
#[derive(Debug, Default)]
pub(super) struct Floors {
    pub(super) gini_turns: Mean,
    pub(super) gini_words: Mean,
    pub(super) silent: Mean,
    pub(super) entropy: Mean,
    pub(super) taking: Mean,
    pub(super) returns: Mean,
    pub(super) reciprocal: Mean,
}

/// MTLD of conversations.
#[derive(Debug, Default)]
pub(super) struct Lexical {
    pub(super) first_rule: Vec<f64>,
    pub(super) second_rule: Mean,
    pub(super) fixed: Mean,
}

/// What is found by comparing each conversation with those before it.
#[derive(Debug, Default)]
pub(super) struct CorpusComparisons {
    /// Conversations that are near an earlier one.
    pub(super) near: u64,
    pub(super) compression: Option<f64>,
}

/// Reads and measures a source; `None` for a run without conversations. Without `copies`, exact copies are left out.
pub(super) fn measure(source: &ConversationSource, copies: bool) -> Result<Option<Measured>, ReportError> {
    std::thread::scope(|scope| {
        let (to_tallies, tallying) = sync_channel(WAITING);
        let (to_whole, comparing) = sync_channel(WAITING);
        let tallies = scope.spawn(move || tally(&tallying));
        let whole = scope.spawn(move || compare(&comparing));
        let mut feed =
            Feed { to_tallies, to_whole, batch: Vec::new(), seen: (!copies).then(HashSet::new), left_out: 0 };
        let read = source.read(&mut |talk| feed.take(talk.into()));
        feed.flush();
        let left_out = feed.left_out;
        drop(feed);
        let (tallies, whole) = (joined(tallies)?, joined(whole)?);
        if !read? {
            return Ok(None);
        }
        let whole = whole?;
        if tallies.turns_per_conversation.total() > 0 {
            return Ok(Some(Measured { tallies, whole, copies: left_out }));
        }
        // A run that accepted none has outcomes to report all the same.
        if source.kind == SourceKind::Run { Ok(None) } else { Err(ReportError::Empty { path: source.path.clone() }) }
    })
}

fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> Result<T, ReportError> {
    thread.join().map_err(|_| ReportError::Unfinished)
}

type Batch = Arc<Vec<Dialogue>>;

/// Hands conversations to both threads.
struct Feed {
    to_tallies: SyncSender<Batch>,
    to_whole: SyncSender<Batch>,
    batch: Vec<Dialogue>,
    /// Hashes of all conversations, where copies are left out.
    seen: Option<HashSet<u128>>,
    left_out: u64,
}

impl Feed {
    /// `false` once nobody listens any more.
    fn take(&mut self, dialogue: Dialogue) -> bool {
        if self.seen.as_mut().is_some_and(|seen| !seen.insert(dialogue.hash())) {
            self.left_out += 1;
            return true;
        }
        self.batch.push(dialogue);
        self.batch.len() < BATCH || self.flush()
    }

    fn flush(&mut self) -> bool {
        let batch: Batch = Arc::new(std::mem::take(&mut self.batch));
        self.to_tallies.send(Arc::clone(&batch)).is_ok() && self.to_whole.send(batch).is_ok()
    }
}

fn tally(batches: &Receiver<Batch>) -> Tallies {
    let mut tallies = Tallies::default();
    for batch in batches {
        for dialogue in batch.iter() {
            tallies.add(dialogue, &WordHashes::of(dialogue));
        }
    }
    tallies
}

fn compare(batches: &Receiver<Batch>) -> Result<CorpusComparisons, ReportError> {
    let failed = |_: io::Error| ReportError::Unfinished;
    let (mut corpus, mut near) = (Corpus::new().map_err(failed)?, 0);
    let folder = std::env::temp_dir();
    let mut index = None;
    for batch in batches {
        let texts: Vec<String> = batch.iter().map(Dialogue::text).collect();
        // The first conversations stand for the rest: a shingle has one length throughout.
        let index = match &mut index {
            Some(index) => index,
            none => {
                none.insert(TextIndex::create(NEAR, Shingling::for_sample(texts.iter().map(String::as_str)), &folder)?)
            }
        };
        for text in &texts {
            corpus.add(text).map_err(failed)?;
            near += u64::from(index.insert("", text)? != Verdict::New);
        }
    }
    Ok(CorpusComparisons { near, compression: corpus.finish().map_err(failed)? })
}

impl Tallies {
    pub(super) fn add(&mut self, dialogue: &Dialogue, words: &WordHashes) {
        let turns = dialogue.lines.len() as u64;
        self.words += words.all().len() as u64;
        self.people.add(Some(dialogue.people as f64));
        self.turns_per_conversation.add(turns);
        let lengths: Vec<u64> = words.lines().map(|line| line.len() as u64).collect();
        for length in &lengths {
            self.words_per_turn.add(*length);
        }
        self.add_ending(dialogue);
        let speakers = dialogue.lines.iter().map(|line| line.speaker);
        self.floor.add(&speakers.zip(lengths).collect::<Vec<_>>(), dialogue.people);
        self.mtld.add(words.all());
        let language = dialogue.language.as_deref().unwrap_or("en");
        self.english += u64::from(language.split('-').next() == Some("en"));
        if let Some(notes) = &dialogue.notes {
            self.gates.add(&notes.provenance, turns, dialogue.asked_again);
            self.coverage.add(&notes.attributes);
            self.safety.add(&notes.safety);
            self.judgement.add(&notes.judgement);
        }
        self.pictures.add(dialogue);
        self.sample.offer(dialogue, words);
    }

    fn add_ending(&mut self, dialogue: &Dialogue) {
        let mut last = dialogue.lines.iter().rev().map(|line| is_closing(&line.text));
        let closes = last.next() == Some(true);
        self.closings += u64::from(closes);
        self.closing_loops += u64::from(closes && last.take(2).eq([true, true]));
    }
}

impl Floors {
    fn add(&mut self, lines: &[(usize, u64)], people: usize) {
        let found = floor(lines, people);
        self.gini_turns.add(found.gini_turns);
        self.gini_words.add(found.gini_words);
        self.silent.add(found.silent);
        self.entropy.add(found.entropy);
        self.taking.add(found.taking);
        self.returns.add(found.returns);
        self.reciprocal.add(found.reciprocal);
    }
}

impl Lexical {
    fn add(&mut self, words: &[u64]) {
        if words.len() >= MTLD_LEAST {
            self.first_rule.extend(mtld(words, Rule::AtOrBelow));
            self.second_rule.add(mtld(words, Rule::BelowFromTen));
        }
        self.fixed.add(words.get(..MTLD_FIXED).and_then(|start| mtld(start, Rule::AtOrBelow)));
    }
}

/// The median of numbers in any order.
pub(super) fn median(numbers: &[f64]) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get((sorted.len().max(1) - 1) / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::dialogue::DialogueLine;

    fn tallied(talks: &[&[&str]]) -> Tallies {
        let mut tallies = Tallies::default();
        for talk in talks {
            let line = |(at, text): (usize, &&str)| DialogueLine { speaker: at % 2, text: (*text).to_owned() };
            let dialogue =
                Dialogue { people: 2, lines: talk.iter().enumerate().map(line).collect(), ..Dialogue::default() };
            tallies.add(&dialogue, &WordHashes::of(&dialogue));
        }
        tallies
    }

    #[test]
    fn goodbyes_count_where_they_end_a_talk() {
        let tallies = tallied(&[
            &["The tram is late.", "Goodbye!"],
            &["The tram is late.", "Goodbye!", "See you tomorrow.", "Bye!"],
            &["Goodbye, old tram.", "It was late again."],
        ]);
        assert_eq!((tallies.closings, tallies.closing_loops), (2, 1));
    }

    #[test]
    fn short_talk_has_no_mtld_and_its_lengths_all_the_same() {
        let long = "a tram that is late again and again is a tram ".repeat(6);
        let tallies = tallied(&[&["One two three.", ""], &[&long]]);
        assert_eq!((tallies.mtld.first_rule.len(), tallies.words), (1, 69));
        assert_eq!(tallies.words_per_turn, [0, 3, 66].into_iter().collect());
        assert_eq!(tallies.turns_per_conversation, [1, 2].into_iter().collect());
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!((median(&[]), median(&[3.0]), median(&[9.0, 1.0, 2.0, 4.0])), (None, Some(3.0), Some(3.0)));
    }
}
