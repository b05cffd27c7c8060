//! How often whole numbers occur, such as turns per conversation; quantiles, and the distance of two such lists.

use std::collections::BTreeMap;

use serde::Serialize;

/// Whole numbers and how often each occurred.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Histogram(BTreeMap<u64, u64>);

/// What is told of a list of numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Distribution {
    /// How many there are.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// The first quartile; quantiles lie between neighbours in proportion (type 7 of Hyndman and Fan, numpy's default).
    pub q1: f64,
    /// The median.
    pub median: f64,
    /// The third quartile.
    pub q3: f64,
    /// The 90th percentile.
    pub p90: f64,
}

impl Histogram {
    pub(super) fn add(&mut self, number: u64) {
        *self.0.entry(number).or_default() += 1;
    }

    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Each number and how often it occurred, in order; numbers from `last` on are counted as that.
    pub(super) fn counts(&self, last: u64) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for (number, times) in &self.0 {
            *counts.entry(*number.min(&last)).or_default() += times;
        }
        counts
    }

    pub(super) fn distribution(&self) -> Distribution {
        let count = self.total();
        let sum: f64 = self.0.iter().map(|(number, times)| *number as f64 * *times as f64).sum();
        Distribution {
            count,
            mean: sum / count.max(1) as f64,
            q1: self.quantile(0.25),
            median: self.quantile(0.5),
            q3: self.quantile(0.75),
            p90: self.quantile(0.9),
        }
    }

    fn quantile(&self, share: f64) -> f64 {
        let place = share * self.total().saturating_sub(1) as f64;
        let (below, above) = (self.at(place.floor()), self.at(place.ceil()));
        below + (above - below) * (place - place.floor())
    }

    /// The number at a place, from 0, of the sorted list.
    fn at(&self, place: f64) -> f64 {
        let mut passed = 0;
        let holds = |(_, times): &(&u64, &u64)| {
            passed += **times;
            passed as f64 > place
        };
        self.0.iter().find(holds).map_or(0.0, |(number, _)| *number as f64)
    }

    /// The Kolmogorov-Smirnov distance: the largest difference of the two cumulative shares, from 0 to 1. `None` when
    /// either list is empty.
    pub(super) fn distance(&self, other: &Self) -> Option<f64> {
        let (mine, theirs) = (self.total() as f64, other.total() as f64);
        if mine == 0.0 || theirs == 0.0 {
            return None;
        }
        let mut numbers: Vec<u64> = self.0.keys().chain(other.0.keys()).copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let (mut own, mut foreign, mut largest) = (0, 0, 0.0_f64);
        for number in numbers {
            own += self.0.get(&number).copied().unwrap_or(0);
            foreign += other.0.get(&number).copied().unwrap_or(0);
            largest = largest.max((own as f64 / mine - foreign as f64 / theirs).abs());
        }
        Some(largest)
    }
}

impl FromIterator<u64> for Histogram {
    fn from_iter<I: IntoIterator<Item = u64>>(numbers: I) -> Self {
        let mut counts = Self::default();
        numbers.into_iter().for_each(|number| counts.add(number));
        counts
    }
}

/// The mean of numbers that come one by one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    pub(super) fn add(&mut self, number: Option<f64>) {
        if let Some(number) = number {
            self.sum += number;
            self.count += 1;
        }
    }

    /// `None` when there was no number.
    pub(super) fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

/// A share, `None` of nothing.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}
