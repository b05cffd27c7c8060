//! Which conversations are begun, in order: those that are asked for, situation by situation, then one for each that was lost.
//!
//! Losses are answered in the order of the items that were lost, and none before everything that is asked for was begun. So
//! what is begun, and as which number, follows from what became of the items alone: neither the number at work at one time
//! nor the order in which they end shows, and a run that is killed begins the same again. Nothing is begun that may turn out
//! not to be needed, since every loss needs an answer.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::item_id;
use crate::config::Conversations;
use crate::record::Situation;
use crate::stages::sealed::Sealed;
use crate::store::checkpoint::{CheckpointError, Rows};

/// A conversation to be begun.
#[derive(Debug, Clone)]
pub(super) struct ConversationItem {
    /// What it is about.
    pub situation: Arc<Situation>,
    /// Which of the conversations on that situation it is, from 0.
    pub replicate: u64,
    /// Where it stands.
    pub place: ItemPlace,
}

/// Where an item stands: all it takes to find what is to replace it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ItemPlace {
    /// The number of its situation, from 0.
    situation: u64,
    /// Whether it replaces another.
    replaces: bool,
}

impl ConversationItem {
    /// Its name in records and keys.
    pub(super) fn id(&self) -> String {
        item_id(&self.situation.id, self.replicate)
    }
}

/// The items of the stage.
#[derive(Debug)]
pub(super) struct ConversationItems<'a> {
    situations: SituationReader<'a>,
    /// Conversations that are asked for, of all situations.
    asked: u64,
    /// Losses that may be answered.
    replaceable: u64,
    begun: u64,
    /// The next that is asked for: the number of its situation, and of the conversation on it.
    next: (u64, u64),
    /// What was lost and has no answer yet, in item order.
    lost: VecDeque<ItemPlace>,
    /// Replacements begun on a situation, by its number.
    replacements: BTreeMap<u64, u64>,
}

impl<'a> ConversationItems<'a> {
    /// What `settings` ask for on `situations`.
    ///
    /// # Errors
    /// If the situations cannot be read.
    pub(super) fn new(settings: &Conversations, situations: &'a Sealed<Situation>) -> Result<Self, CheckpointError> {
        let situations = SituationReader { sealed: situations, rows: situations.rows()?, read: 0, last: None };
        let asked = if situations.count() == 0 { 0 } else { settings.wanted(situations.count()) };
        Ok(Self {
            situations,
            asked,
            replaceable: settings.most_begun(asked) - asked,
            begun: 0,
            next: (0, 0),
            lost: VecDeque::new(),
            replacements: BTreeMap::new(),
        })
    }

    /// Conversations that are asked for.
    pub(super) fn asked(&self) -> u64 {
        self.asked
    }

    /// Items that were taken.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// Whether there will be no more items, if nothing more is lost.
    pub(super) fn is_over(&self) -> bool {
        self.begun >= self.asked && self.lost.is_empty()
    }

    /// The item is lost. Told in item order. Whether it will be replaced.
    pub(super) fn lose(&mut self, place: ItemPlace) -> bool {
        let is_replaced = self.replaceable > 0;
        if is_replaced {
            self.replaceable -= 1;
            self.lost.push_back(place);
        }
        is_replaced
    }

    /// Conversations that are asked for on the situation with this number: the same on each, but for the first ones, which share
    /// what does not divide.
    fn asked_on(&self, situation: u64) -> u64 {
        let all = self.situations.count().max(1);
        self.asked / all + u64::from(situation < self.asked % all)
    }

    /// Takes the next item; nothing while none is known.
    ///
    /// # Errors
    /// If its situation cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<ConversationItem>, CheckpointError> {
        if self.is_over() {
            return Ok(None);
        }
        let (situation, replicate, replaces) =
            if self.begun < self.asked { self.next_asked() } else { self.next_replacement() };
        let Some(at) = self.situations.get(situation)? else { return Ok(None) };
        self.begun += 1;
        Ok(Some(ConversationItem { situation: at, replicate, place: ItemPlace { situation, replaces } }))
    }

    fn next_asked(&mut self) -> (u64, u64, bool) {
        let (situation, replicate) = self.next;
        let is_last = replicate + 1 >= self.asked_on(situation);
        self.next = if is_last { (situation + 1, 0) } else { (situation, replicate + 1) };
        (situation, replicate, false)
    }

    /// A first loss is answered on the same situation, so that each keeps its share; what is lost there again on the next one,
    /// since a filter or a model may never take this one.
    fn next_replacement(&mut self) -> (u64, u64, bool) {
        let lost = self.lost.pop_front().unwrap_or(ItemPlace { situation: 0, replaces: false });
        let situation = (lost.situation + u64::from(lost.replaces)) % self.situations.count().max(1);
        let before = self.replacements.entry(situation).or_default();
        *before += 1;
        let number = *before - 1;
        (situation, self.asked_on(situation) + number, true)
    }
}

/// The situations by number. Reading back to an earlier one reads the file anew, which losses call for about once in each of
/// the few passes over them.
#[derive(Debug)]
struct SituationReader<'a> {
    sealed: &'a Sealed<Situation>,
    rows: Rows<Situation>,
    /// How many of `rows` were read.
    read: u64,
    last: Option<Arc<Situation>>,
}

impl SituationReader<'_> {
    fn count(&self) -> u64 {
        self.sealed.tally().accepted
    }

    fn get(&mut self, number: u64) -> Result<Option<Arc<Situation>>, CheckpointError> {
        if number + 1 < self.read {
            (self.rows, self.read, self.last) = (self.sealed.rows()?, 0, None);
        }
        while self.read <= number {
            let Some(row) = self.rows.next() else { return Ok(None) };
            self.last = Some(Arc::new(row?));
            self.read += 1;
        }
        // Behind the last row its file is compared with its hash.
        if self.read == self.count()
            && let Some(row) = self.rows.next()
        {
            row?;
        }
        Ok(self.last.clone())
    }
}
