//! Who is put together with whom.
//!
//! [`Cast::group`] is a pure function of the running number of the wanted situation, so neither an interruption nor concurrency
//! can change a group. Groups never mix splits, and each split has groups in proportion to its people. Everyone is used about
//! equally often: groups are filled by going through shuffled orders, in another order each time round.
//!
//! In every mode a group is of people who could live at the same time in the same world (`era`): within a split, the people of
//! an era are cast among themselves, and each era has groups in proportion to its people. An era too small to fill the largest
//! group joins the largest era of its split, for everyone is used.
//!
//! - `random`: the next so many people of the order.
//! - `domain`: an anchor, everyone in turn, and people of the same domain: the one the source states, else the one that the
//!   words of the description tell (`domains`). Where too few share it, people of adjacent domains come in, then anyone.
//! - `anchor`: an anchor, everyone in turn, and complements who could meet them: someone of the same domain, their counterpart
//!   (a teacher's student, a doctor's patient, see `roles`), someone of an adjacent domain, someone who meets anyone (a
//!   neighbour, a relative, a bartender). Which of these comes first changes with each time round.

mod domains;
mod era;
mod list;
mod roles;
mod rotation;
mod rows;

#[cfg(test)]
pub(super) use domains::of_text as domain_of_text;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{CastingMode, GroupSize};
use crate::draw::Draw;
use crate::exit::ExitCode;
use era::Era;
use list::Told;
use rotation::{Rotation, Sizes};

pub(crate) use list::CastList;

/// A pool is used only if it is at least this part of those who draw on it, so that no one is used much more than others.
const POOL_SHARE: usize = 4;

/// Why no groups can be formed.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CastingError {
    /// Every split is too small.
    #[error(
        "no split has the {min} people that a group needs ({}): take more personas, lower `situations.personas.min`, or set one \
         split in `compile.splits`",
        listed(splits)
    )]
    TooFewPeople {
        /// The smallest group.
        min: usize,
        /// How many people each split has.
        splits: Vec<(String, usize)>,
    },
    /// No row of the source has two people.
    #[error(
        "no row of the personas has two people: casting by `row` needs rows with `persona` and `partner_persona`; set \
         `situations.casting.mode` to another value for people who come one a row"
    )]
    NoRows,
    /// The limits of a group contradict each other.
    #[error("groups of {min} to {max} people can't be formed: `situations.personas` needs 2 <= min <= max")]
    Size {
        /// Fewest.
        min: usize,
        /// Most.
        max: usize,
    },
}

fn listed(splits: &[(String, usize)]) -> String {
    match splits {
        [] => "there are no personas".to_owned(),
        _ => splits.iter().map(|(name, count)| format!("{name} has {count}")).collect::<Vec<_>>().join(", "),
    }
}

impl CastingError {
    /// The exit code that tells this apart from other failures: 3 for the people, 2 for the configuration.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::TooFewPeople { .. } | Self::NoRows => ExitCode::Input,
            Self::Size { .. } => ExitCode::Usage,
        }
    }
}

/// People who are put into one situation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Their places in the [`CastList`], no one twice; the anchor first.
    pub members: Vec<usize>,
    /// The split they all belong to.
    pub split: String,
}

/// Everyone who can be cast, and the rule.
#[derive(Debug)]
pub(crate) struct Cast {
    mode: CastingMode,
    seed: u64,
    troupes: Vec<CastPool>,
    turns: Rotation,
    /// Groups that the source has made; empty where they are made here.
    rows: Vec<Group>,
    left_out: Vec<(String, usize)>,
}

impl Cast {
    /// Sorts `people` into splits and pools.
    pub(crate) fn new(
        mut people: CastList,
        mode: CastingMode,
        size: GroupSize,
        seed: u64,
    ) -> Result<Self, CastingError> {
        let GroupSize { min, max } = size;
        if min < 2 || max < min {
            return Err(CastingError::Size { min, max });
        }
        if mode == CastingMode::Row {
            let (turns, rows) = (Rotation::new(&[]), rows::groups(&people, seed)?);
            return Ok(Self { mode, seed, troupes: Vec::new(), turns, rows, left_out: Vec::new() });
        }
        let splits = std::mem::take(&mut people.splits);
        let (fit, small): (Vec<_>, Vec<_>) = splits.into_iter().partition(|(_, members)| members.len() >= min);
        let left_out: Vec<_> = small.into_iter().map(|(name, members)| (name, members.len())).collect();
        if fit.is_empty() {
            return Err(CastingError::TooFewPeople { min, splits: left_out });
        }
        let kinds: Arc<[Told]> = people.kinds.clone().into();
        let mut troupes = Vec::new();
        for (split, members) in fit {
            for (suffix, members) in by_era(members, &people, max) {
                troupes.push(CastPool::new(&split, suffix, members, &people.told, &kinds, size, seed));
            }
        }
        let turns = Rotation::new(&troupes.iter().map(|troupe| troupe.order.len()).collect::<Vec<_>>());
        Ok(Self { mode, seed, troupes, turns, rows: Vec::new(), left_out })
    }

    /// Splits with fewer people than the smallest group, and how many they have. They are in no group.
    pub(crate) fn left_out(&self) -> &[(String, usize)] {
        &self.left_out
    }

    /// How many groups there are until everybody was cast; by `domain` and `anchor`, until everybody had a group around them.
    pub(crate) fn before_rewind(&self) -> u64 {
        if !self.rows.is_empty() {
            return self.rows.len() as u64;
        }
        let fits = |ordinal: &u64| {
            let (who, rank) = self.turns.of(*ordinal)?;
            let troupe = self.troupes.get(who)?;
            let (size, before) = troupe.sizes.of(self.seed, &troupe.name, rank);
            let cast = if self.mode == CastingMode::Random { before + size as u64 } else { rank + 1 };
            (cast <= troupe.order.len() as u64).then_some(())
        };
        (0..u64::MAX).find(|ordinal| fits(ordinal).is_none()).unwrap_or(u64::MAX)
    }

    /// The group of the wanted situation with this running number, of `wanted` people if that is given and the split has
    /// them.
    pub(crate) fn group(&self, ordinal: u64, wanted: Option<usize>) -> Group {
        let row = ordinal.checked_rem(self.rows.len() as u64).and_then(|at| self.rows.get(usize::try_from(at).ok()?));
        if let Some(row) = row {
            return row.clone();
        }
        let turn = self.turns.of(ordinal).and_then(|(who, rank)| Some((self.troupes.get(who)?, rank)));
        let Some((troupe, rank)) = turn else {
            return Group { members: Vec::new(), split: String::new() };
        };
        let (drawn, before) = troupe.sizes.of(self.seed, &troupe.name, rank);
        let size = wanted.map_or(drawn, |wanted| wanted.clamp(troupe.sizes.min, troupe.sizes.max));
        let members = match self.mode {
            // Where sizes are given, nobody knows how many stood in line before: everyone in turn, and others at a drawn distance.
            CastingMode::Random if wanted.is_some() => troupe.around(self.seed, rank, size, &[]),
            CastingMode::Random | CastingMode::Row => troupe.in_line(self.seed, before, size),
            CastingMode::Domain => troupe.around(self.seed, rank, size, &[Kind::SameDomain]),
            CastingMode::Anchor => troupe.around(self.seed, rank, size, &Kind::COMPLEMENTS),
        };
        Group { members, split: troupe.split.clone() }
    }
}

/// How a member is related to the anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    SameDomain,
    Counterpart,
    AdjacentDomain,
    Everyday,
}

impl Kind {
    const COMPLEMENTS: [Self; 4] = [Self::SameDomain, Self::Counterpart, Self::AdjacentDomain, Self::Everyday];
}

/// Parts `members` by era, those of too few people for a group of `full` joined to the largest. Gives what each part adds to
/// the name of the split: nothing for the largest, so that a few people of another era don't change how the others are drawn.
fn by_era(members: Vec<u32>, people: &CastList, full: usize) -> Vec<(&'static str, Vec<u32>)> {
    let mut eras: BTreeMap<Era, Vec<u32>> = BTreeMap::new();
    for (member, told) in members.into_iter().filter_map(|member| Some((member, people.told(member)?))) {
        eras.entry(told.era).or_default().push(member);
    }
    // Among equals the first, the present before others.
    let Some(largest) = eras.iter().rev().max_by_key(|(_, part)| part.len()).map(|(era, _)| *era) else {
        return Vec::new();
    };
    let (small, mut parts): (BTreeMap<_, _>, BTreeMap<_, _>) =
        eras.into_iter().partition(|(era, part)| *era != largest && part.len() < full);
    let joined: &mut Vec<u32> = parts.entry(largest).or_default();
    joined.extend(small.into_values().flatten());
    joined.sort_unstable();
    parts.into_iter().map(|(era, part)| (if era == largest { "" } else { era.suffix() }, part)).collect()
}

/// The people of one split and era, in shuffled order.
#[derive(Debug)]
struct CastPool {
    split: String,
    /// What its draws go by: the split, and the era if that is not the split's largest.
    name: String,
    sizes: Sizes,
    /// Places in the list of all people.
    order: Vec<u32>,
    /// What their descriptions tell, by position in `order`: places in `kinds`.
    told: Vec<u32>,
    kinds: Arc<[Told]>,
    /// Positions of those who share a domain, in order.
    domains: BTreeMap<Cow<'static, str>, Vec<u32>>,
    /// Positions of those who take a side.
    sides: Vec<Vec<u32>>,
    /// Positions of those who meet anyone.
    everyday: Vec<u32>,
}

impl CastPool {
    fn new(
        split: &str,
        suffix: &str,
        members: Vec<u32>,
        told: &[u32],
        kinds: &Arc<[Told]>,
        size: GroupSize,
        seed: u64,
    ) -> Self {
        let (name, mut order) = (format!("{split}{suffix}"), members);
        Draw::new(seed, &["casting", "order", &name]).shuffle(&mut order);
        let mut troupe = Self {
            split: split.to_owned(),
            name,
            sizes: Sizes { min: size.min, max: size.max.min(order.len()) },
            told: order.iter().filter_map(|member| told.get(*member as usize)).copied().collect(),
            order,
            kinds: Arc::clone(kinds),
            domains: BTreeMap::new(),
            sides: vec![Vec::new(); roles::sides()],
            everyday: Vec::new(),
        };
        for (position, kind) in (0..).zip(&troupe.told) {
            let Some(Told { roles, domain, .. }) = kinds.get(*kind as usize) else { continue };
            for side in roles.sides() {
                troupe.sides.get_mut(side).into_iter().for_each(|pool| pool.push(position));
            }
            if roles.everyday() {
                troupe.everyday.push(position);
            }
            if let Some(domain) = domain {
                match troupe.domains.get_mut(domain) {
                    Some(pool) => pool.push(position),
                    None => drop(troupe.domains.insert(domain.clone(), vec![position])),
                }
            }
        }
        troupe
    }

    fn told(&self, position: usize) -> Option<&Told> {
        self.kinds.get(*self.told.get(position)? as usize)
    }

    /// `size` people from place `start` of the endless line in which everyone stands once a pass.
    fn in_line(&self, seed: u64, start: u64, size: usize) -> Vec<usize> {
        let count = self.order.len() as u64;
        let mut members = Vec::with_capacity(size);
        for place in (0_u64..).map(|step| start.wrapping_add(step)) {
            if members.len() == size {
                break;
            }
            // Over the end of a pass the same person may stand twice within reach: the line moves up.
            let at = usize::try_from(place % count).unwrap_or_default();
            let position = rotation::position(seed, &self.name, place / count, at, self.order.len());
            if !members.contains(&position) {
                members.push(position);
            }
        }
        self.people(&members)
    }

    /// The anchor of group `rank`, and those who could meet them.
    fn around(&self, seed: u64, rank: u64, size: usize, kinds: &[Kind]) -> Vec<usize> {
        let count = self.order.len() as u64;
        let (pass, at) = (rank / count, usize::try_from(rank % count).unwrap_or_default());
        let anchor = rotation::position(seed, &self.name, pass, at, self.order.len());
        let mut members = vec![anchor];
        for slot in 1..size {
            let mut draw = Draw::new(seed, &["casting", "slot", &self.name, &pass.to_string(), &slot.to_string()]);
            let shift = draw.below(self.order.len());
            // The kind and the shift hold for a whole pass: who stands side by side in a pool comes side by side, so that
            // no one of the pool is passed over.
            let first = slot - 1 + usize::try_from(pass % kinds.len().max(1) as u64).unwrap_or_default();
            let tried = (0..kinds.len()).filter_map(|next| kinds.get((first + next) % kinds.len()));
            let found = tried.into_iter().any(|kind| self.complement(*kind, anchor, shift, &mut members));
            if !found && (kinds.is_empty() || !self.adjacent(anchor, shift, &mut members)) {
                self.anyone(anchor + shift, &mut members);
            }
        }
        self.people(&members)
    }

    fn complement(&self, kind: Kind, anchor: usize, shift: usize, members: &mut Vec<usize>) -> bool {
        match kind {
            Kind::SameDomain => self.same(anchor, shift, members),
            Kind::AdjacentDomain => self.adjacent(anchor, shift, members),
            Kind::Counterpart => self.counterpart(anchor, shift, members),
            Kind::Everyday => fits(&self.everyday, self.order.len()) && take(&self.everyday, anchor + shift, members),
        }
    }

    fn same(&self, anchor: usize, shift: usize, members: &mut Vec<usize>) -> bool {
        let pool = self.told(anchor).and_then(|told| self.pool(told.domain.as_deref()));
        pool.is_some_and(|pool| take(pool, rank(pool, anchor) + shift, members))
    }

    /// One of the domains next to the anchor's, larger ones more often.
    fn adjacent(&self, anchor: usize, shift: usize, members: &mut Vec<usize>) -> bool {
        let Some(Told { domain: Some(domain), .. }) = self.told(anchor) else { return false };
        let own = self.pool(Some(domain)).unwrap_or_default();
        let pools = domains::adjacent(domain).filter_map(|name| self.pool(Some(name)));
        let pools: Vec<&[u32]> = pools.filter(|pool| fits(pool, own.len())).collect();
        let total: usize = pools.iter().map(|pool| pool.len()).sum();
        let Some(mut at) = (rank(own, anchor) + shift).checked_rem(total) else { return false };
        for pool in pools {
            if at < pool.len() {
                return take(pool, at, members);
            }
            at -= pool.len();
        }
        false
    }

    fn counterpart(&self, anchor: usize, shift: usize, members: &mut Vec<usize>) -> bool {
        let Some(told) = self.told(anchor) else { return false };
        told.roles.sides().any(|side| {
            let (own, pool) = (self.sides.get(side), self.sides.get(side ^ 1));
            let (Some(own), Some(pool)) = (own, pool) else { return false };
            fits(pool, own.len()) && take(pool, rank(own, anchor) + shift, members)
        })
    }

    fn anyone(&self, start: usize, members: &mut Vec<usize>) {
        let count = self.order.len();
        let free = (0..count).map(|next| (start + next) % count).find(|position| !members.contains(position));
        members.extend(free);
    }

    fn pool(&self, domain: Option<&str>) -> Option<&[u32]> {
        self.domains.get(domain?).map(Vec::as_slice)
    }

    fn people(&self, positions: &[usize]) -> Vec<usize> {
        positions.iter().filter_map(|position| self.order.get(*position)).map(|person| *person as usize).collect()
    }
}

/// How many of a pool come before a position.
fn rank(pool: &[u32], position: usize) -> usize {
    pool.partition_point(|other| (*other as usize) < position)
}

/// Whether a pool can serve so many without any of its people coming up much more often than others.
fn fits(pool: &[u32], served: usize) -> bool {
    pool.len() * POOL_SHARE >= served
}

/// Adds the first of `pool` from `start` on, round its end, who is not among `members` yet.
fn take(pool: &[u32], start: usize, members: &mut Vec<usize>) -> bool {
    let (head, tail) = pool.split_at(start.checked_rem(pool.len()).unwrap_or_default());
    let free = tail.iter().chain(head).map(|position| *position as usize).find(|position| !members.contains(position));
    members.extend(free);
    free.is_some()
}

#[cfg(test)]
mod tests;
