//! What was removed, row by row and in a few figures.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::record::{Duplicate, DuplicateKind};

/// Clusters listed in a [`DedupSummary`].
const LARGEST: usize = 10;

/// A removed record: one line of `duplicates.jsonl` and of the report of `convogen dedup`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DuplicateRow {
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
pub(crate) struct DedupSummary {
    /// Removed as exact copies.
    pub exact: u64,
    /// Removed as near duplicates.
    pub near: u64,
    /// Kept records that something duplicates.
    pub clusters: u64,
    /// The ten largest clusters, largest first, of equals the one with the smaller id. A caller that guards against
    /// swallowing a template family compares the first with the size of its corpus.
    pub largest: Vec<Cluster>,
}

/// A kept record and how many it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cluster {
    /// The record that stayed.
    pub kept: String,
    /// Records in the cluster, the one that stayed among them.
    pub size: u64,
}

/// Counts clusters while rows stream by: rows are noted as they come and put aside, and once all are noted each gets the size
/// of its cluster. Takes some 30 bytes a cluster.
#[derive(Debug, Default)]
pub(crate) struct ClusterSizes {
    /// Records removed in favour of one, by 96 bits of the hash of its id: among a million clusters two share them with a
    /// probability of 10^-17.
    removed: HashMap<[u32; 3], u32>,
    summary: DedupSummary,
}

impl ClusterSizes {
    /// Notes that a record was removed in favour of `kept`.
    pub(crate) fn note(&mut self, kept: &str, kind: DuplicateKind) {
        let removed = self.removed.entry(key(kept)).or_default();
        *removed = removed.saturating_add(1);
        let size = u64::from(*removed) + 1;
        match kind {
            DuplicateKind::Exact => self.summary.exact += 1,
            DuplicateKind::Near => self.summary.near += 1,
        }
        self.rank(kept, size);
    }

    /// Records in the cluster of a kept record, itself among them.
    pub(crate) fn size(&self, kept: &str) -> u64 {
        self.removed.get(&key(kept)).map_or(1, |removed| u64::from(*removed) + 1)
    }

    /// The row of a removed record, once every one is noted.
    pub(crate) fn row(&self, removed: Duplicate) -> DuplicateRow {
        let Duplicate { id, kept, jaccard, kind } = removed;
        let cluster_size = self.size(&kept);
        DuplicateRow { id, kept, jaccard, kind, cluster_size }
    }

    /// The figures so far.
    pub(crate) fn summary(&self) -> DedupSummary {
        DedupSummary { clusters: self.removed.len() as u64, ..self.summary.clone() }
    }

    /// Keeps the ten largest. A cluster only grows, and is ranked whenever it does, so none of them can be missed.
    fn rank(&mut self, kept: &str, size: u64) {
        let largest = &mut self.summary.largest;
        if largest.len() == LARGEST && largest.last().is_some_and(|least| least.size > size) {
            return;
        }
        match largest.iter_mut().find(|cluster| cluster.kept == kept) {
            Some(cluster) => cluster.size = size,
            None => largest.push(Cluster { kept: kept.to_owned(), size }),
        }
        largest.sort_by(|one, other| other.size.cmp(&one.size).then_with(|| one.kept.cmp(&other.kept)));
        largest.truncate(LARGEST);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "96 of the 128 bits are meant")]
fn key(id: &str) -> [u32; 3] {
    let hash = xxh3_128(id.as_bytes());
    [hash as u32, (hash >> 32) as u32, (hash >> 64) as u32]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::draw::Draw;

    #[test]
    fn the_report_adds_up() {
        let removed = |id: String, kept: &str, kind| Duplicate { id, kept: kept.to_owned(), jaccard: 1.0, kind };
        let copies = (0..15).flat_map(|cluster| {
            let kept = format!("k{cluster:02}");
            (0..=cluster % 3).map(move |copy| removed(format!("{kept}-{copy}"), &kept, DuplicateKind::Exact))
        });
        let all: Vec<Duplicate> = copies.chain([removed("x".to_owned(), "k02", DuplicateKind::Near)]).collect();
        let mut sizes = ClusterSizes::default();
        for one in &all {
            sizes.note(&one.kept, one.kind);
        }
        let summary = sizes.summary();
        let rows: Vec<DuplicateRow> = all.into_iter().map(|one| sizes.row(one)).collect();
        assert_eq!((summary.exact, summary.near, summary.clusters), (30, 1, 15));
        assert_eq!(rows.len(), 31);
        let largest: Vec<_> = summary.largest.iter().map(|c| (c.kept.as_str(), c.size)).collect();
        assert_eq!(largest[..3], [("k02", 5), ("k05", 4), ("k08", 4)]);
        assert_eq!(largest.len(), LARGEST);
        let line = serde_json::to_string(rows.last().unwrap()).unwrap();
        assert_eq!(line, r#"{"id":"x","kept":"k02","jaccard":1.0,"kind":"near","cluster_size":5}"#);
    }

    #[test]
    fn the_ten_largest_are_found_in_whatever_order_clusters_grow() {
        for seed in 0..50 {
            let mut draw = Draw::new(seed, &["clusters"]);
            let (mut sizes, mut all) = (ClusterSizes::default(), BTreeMap::<String, u64>::new());
            for _ in 0..draw.below(400) {
                let kept = format!("k{:02}", draw.below(30));
                sizes.note(&kept, DuplicateKind::Near);
                *all.entry(kept).or_insert(1) += 1;
            }
            assert!(all.iter().all(|(kept, size)| sizes.size(kept) == *size) && sizes.size("other") == 1);
            let mut expected: Vec<Cluster> = all.into_iter().map(|(kept, size)| Cluster { kept, size }).collect();
            // Stable, so that equals stay in the order of their ids.
            expected.sort_by_key(|cluster| std::cmp::Reverse(cluster.size));
            expected.truncate(LARGEST);
            assert_eq!(sizes.summary().largest, expected);
        }
    }
}
