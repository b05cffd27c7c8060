//! Splits that nobody crosses, for situations that come with people of their own.
//!
//! Situations that share a person are connected, and so are those connected to them: a whole group of them must go into one split
//! for nobody to stand in two. So the groups are found (union-find), and dealt out, larger ones first, each to the split
//! that lacks most. Where that misses a share by more than [`TOLERANCE`], as with one group of nearly everything, the splits stay as
//! they were drawn, and what crosses them is told. They stay too where nobody crosses them, or where the file states them.
//!
//! What comes out depends on ids and people, not on the order of the file. In memory are about 40 bytes a situation; the
//! situations themselves, and who is in them, wait on disk.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use crate::record::{Fate, Situation, Tally};
use crate::stages::dedup::normalize;
use crate::stages::error::StageError;
use crate::stages::writer::Fates;
use crate::store::fs::FsError;
use crate::store::sort::Sorter;
use crate::store::spool::Spool;

/// How far the share of a split may be from what was asked for.
const TOLERANCE: f64 = 0.05;
/// Bytes of people that are sorted in memory.
const SORTED: usize = 4 << 20;
/// What the keys of people begin with: those of their ids, and those of their texts.
const BY_ID: u8 = 0;
const BY_TEXT: u8 = 1;

/// Holds accepted situations back until it is known in which split each belongs. What else there is passes through.
pub(super) struct HeldSituations<'a> {
    fates: &'a mut dyn Fates<Situation>,
    rows: Spool,
    people: Sorter,
    seed: u64,
    shares: &'a BTreeMap<String, f64>,
    /// The split of each situation, as a number of `names`.
    splits: Vec<u16>,
    names: Vec<String>,
    /// What stands for the id of each situation.
    keys: Vec<u64>,
}

/// What became of the splits.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SplitPeople {
    /// Different people.
    pub people: u64,
    /// Those of them in more than one split, at the end.
    pub crossing: u64,
    /// Situations that were put into another split than was drawn for them.
    pub moved: u64,
}

impl SplitPeople {
    /// As it stands among the notes of the stage.
    pub(super) fn notes(&self) -> Value {
        let Self { people, crossing, moved } = self;
        json!({"people": people, "in_several_splits": crossing, "situations_moved": moved})
    }

    /// What a user should know.
    pub(super) fn notice(&self) -> Option<String> {
        let Self { people, crossing, moved } = self;
        match (crossing, moved) {
            (0, 0) => None,
            (0, _) => Some(format!("{moved} situations were put into another split, so that nobody stands in two")),
            _ => Some(format!(
                "{crossing} of {people} people stand in more than one split: the situations share too many people to be divided as \
                 compile.splits asks, or state their splits; set one split, or do not rely on unseen people in the test split"
            )),
        }
    }
}

impl<'a> HeldSituations<'a> {
    /// Nothing yet. `shares` are those that were asked for.
    pub(super) fn new(
        fates: &'a mut dyn Fates<Situation>,
        shares: &'a BTreeMap<String, f64>,
        seed: u64,
    ) -> Result<Self, StageError> {
        let folder = fates.folder();
        let (rows, people) = (Spool::create(&folder, "situations")?, Sorter::new(&folder, SORTED));
        Ok(Self { fates, rows, people, seed, shares, splits: Vec::new(), names: Vec::new(), keys: Vec::new() })
    }

    fn hold(&mut self, situation: &Situation) -> Result<(), StageError> {
        let number = u32::try_from(self.keys.len()).unwrap_or(u32::MAX).to_le_bytes();
        for person in &situation.personas {
            let told = [(BY_ID, person.id.clone()), (BY_TEXT, normalize(&person.persona))];
            for (kind, told) in told {
                let mut key = [kind; 17];
                key.iter_mut().skip(1).zip(xxh3_128(told.as_bytes()).to_be_bytes()).for_each(|(to, byte)| *to = byte);
                self.people.push(&key, &number)?;
            }
        }
        self.keys.push(xxh3_64_with_seed(situation.id.as_bytes(), self.seed));
        let split = self.number(&situation.split);
        self.splits.push(split);
        let row = serde_json::to_vec(situation).map_err(|error| self.unreadable(error))?;
        Ok(self.rows.push(&row)?)
    }

    fn number(&mut self, split: &str) -> u16 {
        let at = self.names.iter().position(|name| name == split).unwrap_or_else(|| {
            self.names.push(split.to_owned());
            self.names.len() - 1
        });
        u16::try_from(at).unwrap_or(u16::MAX)
    }

    fn read(&self, number: u64) -> Result<Situation, StageError> {
        serde_json::from_slice(&self.rows.read(number)?).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, error: serde_json::Error) -> StageError {
        FsError { action: "put a situation aside in", path: self.fates.folder(), source: error.into() }.into()
    }

    /// Puts all that was held, each into its split. `stated`: the file says which, so they stay.
    pub(super) fn release(mut self, stated: bool) -> Result<SplitPeople, StageError> {
        let mut groups = Groups::new(self.keys.len());
        let people = std::mem::replace(&mut self.people, Sorter::new(&self.fates.folder(), SORTED));
        let mut found = groups.connect(people, &self.splits)?;
        let names: Vec<String> = self.shares.keys().cloned().collect();
        let dealt = (found.crossing > 0 && !stated).then(|| groups.deal(&self.keys, self.shares)).flatten();
        for number in 0..self.keys.len() {
            let mut situation = self.read(number as u64)?;
            if let Some(split) = dealt.as_ref().and_then(|dealt| names.get(usize::from(*dealt.get(number)?))) {
                found.moved += u64::from(*split != situation.split);
                split.clone_into(&mut situation.split);
            }
            self.fates.put(Fate::Accepted(situation))?;
        }
        if dealt.is_some() {
            found.crossing = 0;
        }
        Ok(found)
    }
}

impl Fates<Situation> for HeldSituations<'_> {
    fn put(&mut self, fate: Fate<Situation>) -> Result<(), StageError> {
        match fate {
            Fate::Accepted(situation) => self.hold(&situation),
            other => self.fates.put(other),
        }
    }

    fn accepted(&mut self, number: usize) -> Result<Situation, StageError> {
        self.read(number as u64)
    }

    fn count_duplicates(&mut self, unlisted: u64) {
        self.fates.count_duplicates(unlisted);
    }

    fn folder(&self) -> PathBuf {
        self.fates.folder()
    }

    fn tally(&self) -> Tally {
        Tally { accepted: self.keys.len() as u64, ..self.fates.tally() }
    }
}

/// Situations that are connected, by their numbers.
#[derive(Debug)]
struct Groups {
    /// Another situation of the same group, or itself for the one that stands for it.
    parent: Vec<u32>,
}

impl Groups {
    fn new(count: usize) -> Self {
        Self { parent: (0..u32::try_from(count).unwrap_or(u32::MAX)).collect() }
    }

    fn parent(&self, number: u32) -> u32 {
        self.parent.get(number as usize).copied().unwrap_or(number)
    }

    /// The one that stands for a group; ways to it are halved as they are gone.
    fn root(&mut self, mut number: u32) -> u32 {
        while self.parent(number) != number {
            let next = self.parent(self.parent(number));
            self.point(number, next);
            number = next;
        }
        number
    }

    fn point(&mut self, number: u32, parent: u32) {
        if let Some(place) = self.parent.get_mut(number as usize) {
            *place = parent;
        }
    }

    /// Connects situations with a person in common, and counts who is in more than one of `splits`.
    fn connect(&mut self, people: Sorter, splits: &[u16]) -> Result<SplitPeople, FsError> {
        let split = |number: u32| splits.get(number as usize);
        let (mut rows, mut found) = (people.finish()?, SplitPeople::default());
        let mut last: Option<([u8; 17], u32, bool)> = None;
        while rows.advance()? {
            let (key, value) = rows.record();
            let (Some(key), Some(number)) = (key.first_chunk(), value.first_chunk()) else { continue };
            let number = u32::from_le_bytes(*number);
            let same = last.filter(|(other, ..)| other == key);
            if let Some((_, other, _)) = same {
                let (one, two) = (self.root(other), self.root(number));
                self.point(one.max(two), one.min(two));
            }
            let crosses = same.is_some_and(|(_, other, _)| split(other) != split(number));
            let known = same.is_some_and(|(.., known)| known);
            if key.first() == Some(&BY_TEXT) {
                found.people += u64::from(same.is_none());
                found.crossing += u64::from(crosses && !known);
            }
            last = Some((*key, number, crosses || known));
        }
        Ok(found)
    }

    /// A split for each situation, as a number of `shares`, none of which is missed by more than [`TOLERANCE`]; `None` if that cannot
    /// be had.
    fn deal(&mut self, keys: &[u64], shares: &BTreeMap<String, f64>) -> Option<Vec<u16>> {
        let (all, sum) = (keys.len() as f64, shares.values().sum::<f64>());
        let wanted: Vec<f64> = shares.values().map(|share| share / sum * all).collect();
        let mut have = vec![0.0; wanted.len()];
        let mut split_of: BTreeMap<u32, u16> = BTreeMap::new();
        for (size, _, root) in self.by_size(keys) {
            let lacking = wanted.iter().zip(&have).map(|(wanted, have)| wanted - have).enumerate();
            let (at, _) = lacking.max_by(|one, two| one.1.total_cmp(&two.1).then(two.0.cmp(&one.0)))?;
            *have.get_mut(at)? += f64::from(size);
            split_of.insert(root, u16::try_from(at).ok()?);
        }
        let met = wanted.iter().zip(&have).all(|(wanted, have)| (wanted - have).abs() <= TOLERANCE * all);
        met.then(|| {
            (0..self.parent.len()).map_while(|at| split_of.get(&self.root(u32::try_from(at).ok()?)).copied()).collect()
        })
    }

    /// The groups with their sizes, larger ones first; among equals by the smallest of their members' keys.
    fn by_size(&mut self, keys: &[u64]) -> Vec<(u32, u64, u32)> {
        let mut groups: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
        for (number, key) in (0..).zip(keys) {
            let (size, smallest) = groups.entry(self.root(number)).or_insert((0, u64::MAX));
            *size += 1;
            *smallest = (*smallest).min(*key);
        }
        let mut groups: Vec<_> = groups.into_iter().map(|(root, (size, key))| (size, key, root)).collect();
        groups.sort_unstable_by_key(|(size, key, _)| (std::cmp::Reverse(*size), *key));
        groups
    }
}
