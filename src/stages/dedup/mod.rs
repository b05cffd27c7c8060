//! Removal of exact and near duplicates, incremental and in the order in which records are put in.
//!
//! A text is compared with *kept* records only. The survivor of a group is therefore its earliest record, and everything
//! removed is at least as similar to the record it is said to duplicate as the threshold demands: a chain of small
//! changes never removes a text that is far from what stays. Callers put records in in the order of their ids, and get
//! the same verdicts on every platform and for every concurrency.
//!
//! Exact: xxh3-128 of the [normalised](normalize) text. Near: MinHash candidates (`minhash.rs`), each verified by the
//! exact Jaccard index of the two sets of shingles, so nothing is removed on an estimate. A text shorter than one shingle
//! is compared exactly only: short texts are where similarity misleads.

mod adaptor;
mod exact;
mod index;
mod minhash;
mod normalize;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use adaptor::Deduplicator;
pub(crate) use index::jaccard;
pub use normalize::{Shingling, normalize};

use self::exact::ExactIndex;
use self::index::NearIndex;
use self::minhash::Layout;
pub use crate::record::DuplicateKind;
use crate::record::{Conversation, Situation};

/// Pieces from which on a share of them tells anything.
const TELLING_PIECES: usize = 6;

/// The texts kept so far.
#[derive(Debug)]
pub struct Dedup {
    threshold: f64,
    shingling: Shingling,
    ids: Vec<String>,
    exact: ExactIndex,
    near: NearIndex,
}

/// What [`Dedup::insert`] did with a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It was kept.
    New,
    /// It was not, because of a kept one.
    Duplicate(Match),
}

/// A kept record that a text duplicates.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The id under which the kept record was put in.
    pub id: String,
    /// How similar they are, from the threshold to 1.
    pub jaccard: f64,
    /// How the two are the same.
    pub kind: DuplicateKind,
}

/// The share of the pieces of `text` that stand in `source` too; `None` when it has too few to tell.
pub fn share_within(text: &str, source: &str, shingling: Shingling) -> Option<f64> {
    let [text, source] = [text, source].map(|text| shingling.shingles(&normalize(text)));
    let shared = text.iter().filter(|piece| source.binary_search(piece).is_ok()).count();
    (text.len() >= TELLING_PIECES).then(|| shared as f64 / text.len() as f64)
}

impl Dedup {
    /// An empty index.
    ///
    /// `threshold` is the Jaccard index from which two texts are duplicates, in (0, 1]. At least 99 % of the pairs that
    /// reach it are found; no pair below it ever is.
    pub fn new(threshold: f64, shingling: Shingling) -> Self {
        let near = NearIndex::new(Layout::for_threshold(threshold));
        Self { threshold, shingling, ids: Vec::new(), exact: ExactIndex::default(), near }
    }

    /// How many texts are kept.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The kept record that `text` duplicates: the one with the same text, else the most similar, else none.
    pub fn check(&self, text: &str) -> Option<Match> {
        let normalized = normalize(text);
        self.find(&normalized, &self.shingling.shingles(&normalized))
    }

    /// Keeps `text` unless it duplicates a kept one.
    pub fn insert(&mut self, id: &str, text: &str) -> Verdict {
        let normalized = normalize(text);
        let shingles = self.shingling.shingles(&normalized);
        if let Some(found) = self.find(&normalized, &shingles) {
            return Verdict::Duplicate(found);
        }
        self.keep(id, &normalized, shingles);
        Verdict::New
    }

    /// Keeps `text` even if it is near a kept one, for asking what is near a given collection rather than thinning it.
    /// Exact copies are still kept once: they could answer nothing the first does not.
    pub fn add(&mut self, id: &str, text: &str) {
        let normalized = normalize(text);
        if self.exact.get(&normalized).is_none() {
            self.keep(id, &normalized, self.shingling.shingles(&normalized));
        }
    }

    /// The Jaccard index of `text` with the kept text most like it; 0 when nothing comes near.
    ///
    /// The value is exact for what the index looks at, which is 99 % of what lies at the threshold and nearly everything
    /// above it. Below the threshold it is a lower bound.
    pub fn max_similarity(&self, text: &str) -> f64 {
        let normalized = normalize(text);
        match self.exact.get(&normalized) {
            Some(_) => 1.0,
            None => self.near.nearest(&self.shingling.shingles(&normalized)).map_or(0.0, |(_, jaccard)| jaccard),
        }
    }

    fn find(&self, normalized: &str, shingles: &[u64]) -> Option<Match> {
        if let Some(record) = self.exact.get(normalized) {
            return self.matched(record, 1.0, DuplicateKind::Exact);
        }
        let (record, jaccard) = self.near.nearest(shingles)?;
        (jaccard >= self.threshold).then(|| self.matched(record, jaccard, DuplicateKind::Near))?
    }

    fn matched(&self, record: usize, jaccard: f64, kind: DuplicateKind) -> Option<Match> {
        let id = self.ids.get(record)?.clone();
        Some(Match { id, jaccard, kind })
    }

    fn keep(&mut self, id: &str, normalized: &str, shingles: Vec<u64>) {
        self.exact.insert(normalized, self.ids.len());
        self.near.insert(shingles);
        self.ids.push(id.to_owned());
    }
}

/// What of a situation is compared: what happens, what about, and how it opens. Not the people, who are drawn.
pub fn situation_text(situation: &Situation) -> String {
    [situation.situation.as_str(), &situation.topic, &situation.conversation_starter].join("\n")
}

/// What of a conversation is compared: what is said. Not the starter, which comes from the situation.
pub fn conversation_text(conversation: &Conversation) -> String {
    let said: Vec<&str> = conversation.turns.iter().map(|turn| turn.text.as_str()).collect();
    said.join("\n")
}

/// A removed record: one line of `duplicates.jsonl` and of the report of `convogen dedup`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DuplicateRow {
    /// The record that was removed.
    pub id: String,
    /// The record that stayed.
    pub kept: String,
    /// How similar they are.
    pub jaccard: f64,
    /// In what sense.
    pub kind: DuplicateKind,
    /// Records in the cluster, the one that stayed among them.
    pub cluster_size: u64,
}

/// What was removed, in a few figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Removed as exact copies.
    pub exact: u64,
    /// Removed as near duplicates.
    pub near: u64,
    /// Kept records that something duplicates.
    pub clusters: u64,
    /// The ten largest clusters, largest first, the earlier of two equals before the later. A caller that guards against
    /// swallowing a template family compares the first with the size of its corpus.
    pub largest: Vec<Cluster>,
}

/// A kept record and how many it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The record that stayed.
    pub kept: String,
    /// Records in the cluster, the one that stayed among them.
    pub size: u64,
}

/// Clusters listed in a [`Summary`].
const LARGEST: usize = 10;

/// The removed records, with the size of their clusters, in the order given; and the figures.
pub fn report(removed: impl IntoIterator<Item = (String, Match)>) -> (Vec<DuplicateRow>, Summary) {
    let mut rows: Vec<DuplicateRow> = removed
        .into_iter()
        .map(|(id, Match { id: kept, jaccard, kind })| DuplicateRow { id, kept, jaccard, kind, cluster_size: 1 })
        .collect();
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for row in &rows {
        *sizes.entry(row.kept.clone()).or_insert(1) += 1;
    }
    for row in &mut rows {
        row.cluster_size = sizes.get(&row.kept).copied().unwrap_or(1);
    }
    let summary = summarize(&rows, sizes);
    (rows, summary)
}

fn summarize(rows: &[DuplicateRow], sizes: BTreeMap<String, u64>) -> Summary {
    let exact = rows.iter().filter(|row| row.kind == DuplicateKind::Exact).count() as u64;
    let (near, clusters) = (rows.len() as u64 - exact, sizes.len() as u64);
    let mut largest: Vec<Cluster> = sizes.into_iter().map(|(kept, size)| Cluster { kept, size }).collect();
    // Stable, so that equals stay in the order of their ids.
    largest.sort_by_key(|cluster| std::cmp::Reverse(cluster.size));
    largest.truncate(LARGEST);
    Summary { exact, near, clusters, largest }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::draw::Draw;

    /// The definition, without hashes: windows of words as text.
    fn oracle(left: &str, right: &str, n: usize) -> f64 {
        let set = |text: &str| -> BTreeSet<Vec<String>> {
            let normalized = normalize(text);
            let words: Vec<String> = normalized.split(' ').map(str::to_owned).collect();
            words.windows(n).map(<[String]>::to_vec).collect()
        };
        let (left, right) = (set(left), set(right));
        let union = left.union(&right).count();
        if union == 0 { 0.0 } else { left.intersection(&right).count() as f64 / union as f64 }
    }

    fn words(draw: &mut Draw, count: usize) -> Vec<String> {
        (0..count).map(|_| format!("w{}", draw.below(5_000))).collect()
    }

    /// Texts from templates with slots, copies with edits, and exact copies: what models write.
    fn template_corpus(seed: u64, size: usize) -> Vec<String> {
        let mut draw = Draw::new(seed, &["corpus"]);
        let templates: Vec<Vec<String>> = (0..4).map(|_| words(&mut draw, 40)).collect();
        let mut texts: Vec<String> = Vec::new();
        while texts.len() < size {
            let text = match (draw.below(3), texts.get(draw.below(texts.len()))) {
                (0, Some(earlier)) => {
                    let mut copy: Vec<String> = earlier.split(' ').map(str::to_owned).collect();
                    for _ in 0..draw.below(6) {
                        let at = draw.below(copy.len());
                        copy[at] = format!("edit{}", draw.below(100));
                    }
                    copy.join(" ")
                }
                (1, _) => {
                    let mut filled = draw.pick(&templates).unwrap().clone();
                    for slot in filled.iter_mut().step_by(5) {
                        *slot = format!("w{}", draw.below(50));
                    }
                    filled.join(" ")
                }
                _ => words(&mut draw, 20).join(" "),
            };
            texts.push(text);
        }
        texts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// What is removed is as similar to what stays as is claimed; what is kept is, but for the recall that the
        /// layout leaves open, similar to nothing before it.
        #[test]
        fn verdicts_agree_with_brute_force(seed in any::<u64>(), percent in 30_u32..=95) {
            let threshold = f64::from(percent) / 100.0;
            let mut dedup = Dedup::new(threshold, Shingling::Words(3));
            let mut kept: BTreeMap<String, String> = BTreeMap::new();
            let (mut missed, mut found) = (0, 0);
            for (at, text) in template_corpus(seed, 120).into_iter().enumerate() {
                let id = format!("{at:04}");
                let truth = kept.values().map(|other| oracle(&text, other, 3)).fold(0.0, f64::max);
                let same = kept.values().any(|other| normalize(other) == normalize(&text));
                let checked = dedup.check(&text);
                match dedup.insert(&id, &text) {
                    Verdict::Duplicate(found_match) => {
                        let other = &kept[&found_match.id];
                        let jaccard = oracle(&text, other, 3);
                        prop_assert!(same || jaccard >= threshold, "{text:?} is not near {other:?}");
                        prop_assert_eq!(found_match.kind == DuplicateKind::Exact, same);
                        prop_assert!(same || (found_match.jaccard - jaccard).abs() < 1e-12);
                        prop_assert_eq!(checked, Some(found_match));
                        found += 1;
                    }
                    Verdict::New => {
                        prop_assert!(!same && checked.is_none());
                        missed += u32::from(truth >= threshold);
                        kept.insert(id, text);
                    }
                }
            }
            prop_assert!(missed <= 6 + found / 10, "{missed} missed, {found} found");
            prop_assert_eq!(dedup.len(), kept.len());
        }
    }

    #[test]
    fn recall_of_planted_pairs_is_99_percent() {
        for threshold in [0.4, 0.7, 0.8] {
            let (mut planted, mut found) = (0_u32, 0_u32);
            let mut dedup = Dedup::new(threshold, Shingling::Words(3));
            for pair in 0..6_000_u64 {
                let mut draw = Draw::new(pair, &["recall"]);
                let base: Vec<String> = (0..60).map(|_| format!("p{pair}w{}", draw.below(10_000))).collect();
                let mut copy = base.clone();
                for _ in 0..draw.between(1, 10) {
                    let at = draw.below(copy.len());
                    copy[at] = "changed".to_owned();
                }
                let (base, copy) = (base.join(" "), copy.join(" "));
                assert_eq!(dedup.insert(&format!("{pair}"), &base), Verdict::New);
                let truth = oracle(&base, &copy, 3);
                let hit = dedup.check(&copy).is_some();
                assert!(!hit || truth >= threshold, "{truth} is below {threshold}");
                if truth >= threshold {
                    planted += 1;
                    found += u32::from(hit);
                }
            }
            let recall = f64::from(found) / f64::from(planted);
            assert!(planted > 500 && recall >= 0.99, "{threshold}: {found} of {planted}");
        }
    }

    #[test]
    fn a_chain_removes_nothing_far_from_what_stays() {
        // Each is near the one before it, the last is far from the first.
        let start: Vec<String> = (0..40).map(|at| format!("word{at}")).collect();
        let mut dedup = Dedup::new(0.7, Shingling::Words(3));
        let mut kept = BTreeMap::new();
        for step in 0..30 {
            let text = start.iter().enumerate().map(|(at, word)| if at < step { "new" } else { word.as_str() });
            let text = text.collect::<Vec<_>>().join(" ");
            match dedup.insert(&step.to_string(), &text) {
                Verdict::New => _ = kept.insert(step.to_string(), text),
                Verdict::Duplicate(found) => assert!(oracle(&text, &kept[&found.id], 3) >= 0.7),
            }
        }
        assert!(kept.len() > 2, "{kept:?}");
    }

    #[test]
    fn equal_records_cost_one() {
        let mut dedup = Dedup::new(0.7, Shingling::Words(3));
        assert_eq!(dedup.insert("0", "the same old story again"), Verdict::New);
        for id in 1..20_000 {
            let Verdict::Duplicate(found) = dedup.insert(&id.to_string(), "The same old story, again!") else {
                panic!("{id} was kept");
            };
            assert_eq!((found.id.as_str(), found.kind), ("0", DuplicateKind::Exact));
        }
        assert_eq!(dedup.len(), 1);
    }

    #[test]
    fn short_texts_are_compared_exactly() {
        let mut dedup = Dedup::new(0.1, Shingling::Words(3));
        for (id, text) in ["yes please", "yes thanks", "", "?!", "👍"].into_iter().enumerate() {
            assert_eq!(dedup.insert(&id.to_string(), text), Verdict::New, "{text:?}");
        }
        assert_eq!(dedup.check("Yes, thanks.").map(|found| found.id), Some("1".to_owned()));
        assert!((dedup.max_similarity("YES PLEASE") - 1.0).abs() < f64::EPSILON);
        assert!(dedup.max_similarity("yes but no") < f64::EPSILON);
    }

    #[test]
    fn novelty_sees_the_most_similar_text() {
        let mut dedup = Dedup::new(0.4, Shingling::Words(3));
        dedup.add("a", "one two three four five six seven eight");
        dedup.add("b", "one two three four five six seven nine");
        dedup.add("c", "One two three four five six seven nine.");
        assert_eq!(dedup.len(), 2);
        let text = "zero one two three four five six seven nine";
        assert!((dedup.max_similarity(text) - 6.0 / 7.0).abs() < 1e-12);
        assert_eq!(dedup.check(text).unwrap().id, "b");
    }

    #[test]
    fn the_report_adds_up() {
        let found = |kept: &str, kind| Match { id: kept.to_owned(), jaccard: 1.0, kind };
        let removed = (0..15).flat_map(|cluster| {
            let kept = format!("k{cluster:02}");
            (0..=cluster % 3).map(move |copy| (format!("{kept}-{copy}"), found(&kept, DuplicateKind::Exact)))
        });
        let removed = removed.chain([("x".to_owned(), found("k02", DuplicateKind::Near))]);
        let (rows, summary) = report(removed);
        assert_eq!((summary.exact, summary.near, summary.clusters), (30, 1, 15));
        assert_eq!(rows.len(), 31);
        let largest: Vec<_> = summary.largest.iter().map(|c| (c.kept.as_str(), c.size)).collect();
        assert_eq!(largest[..3], [("k02", 5), ("k05", 4), ("k08", 4)]);
        assert_eq!(largest.len(), LARGEST);
        let line = serde_json::to_string(rows.last().unwrap()).unwrap();
        assert_eq!(line, r#"{"id":"x","kept":"k02","jaccard":1.0,"kind":"near","cluster_size":5}"#);
    }
}
