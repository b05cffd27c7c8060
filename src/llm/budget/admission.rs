//! Which items are begun: only those that the rest of a budget can end.
//!
//! An item that takes many calls, such as a conversation, is worth nothing before its end, so under a limit it is admitted as
//! a whole. [`Budget::enlist`] gives it a number; the numbers are the order in which items are admitted. Laws:
//! - An item is admitted at the first call that has to be made for it: what is on record needs no leave.
//! - Beside others it is admitted once the rest carries the most that those under way can take, and what it is likely to
//!   take itself. With none under way the latter alone decides: then the answer is for ever, and the run is out of budget.
//! - So, as long as no item takes more than its most, those admitted are the items that would be admitted one after the other:
//!   neither the number at work at one time nor the order in which they end shows in what is bought.
//! - An item that an earlier process began is admitted when its turn comes: what it takes was counted on then.
//!
//! Calls that are repeated after failures are in no [`Need`]; when they use up the rest, the reservation of a call says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Budget, Estimate, Exhausted, State};
use crate::llm::Role;

/// Calls of one role, and the tokens of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Take {
    /// What the model is used for.
    pub role: Role,
    /// Requests.
    pub calls: u64,
    /// Tokens of all of them together.
    pub tokens: Estimate,
}

/// What an item takes from where it stands to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// What nearly every item keeps within.
    pub likely: Vec<Take>,
    /// What none takes more than.
    pub most: Vec<Take>,
}

/// Items under a limit, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Items {
    next: u64,
    numbers: BTreeMap<String, u64>,
    listed: BTreeMap<u64, Item>,
}

#[derive(Debug, Default)]
struct Item {
    need: Need,
    /// It may make calls.
    admitted: bool,
    /// An earlier process made calls for it.
    begun_before: bool,
}

impl Items {
    fn get(&mut self, item: &str) -> Option<&mut Item> {
        self.listed.get_mut(self.numbers.get(item)?)
    }

    /// The most that items under way can still take.
    fn under_way(&self) -> Vec<Take> {
        self.listed.values().filter(|item| item.admitted).flat_map(|item| &item.need.most).copied().collect()
    }
}

/// An item's place among those that wait for their turn or are under way; given up when it is dropped.
#[derive(Debug)]
#[must_use = "dropping it takes the item off the list"]
pub(crate) struct Enlisted {
    budget: Arc<Budget>,
    item: String,
}

impl Drop for Enlisted {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        if let Some(number) = state.items.numbers.remove(&self.item) {
            state.items.listed.remove(&number);
        }
        drop(state);
        self.budget.settled.notify_waiters();
    }
}

impl Budget {
    /// Whether anything is limited.
    pub(crate) fn is_limited(&self) -> bool {
        let limits = &self.limits;
        limits.max_calls.is_some() || limits.max_tokens.is_some() || limits.max_cost.is_some()
    }

    /// Gives `item` the next number; `None` where nothing is limited, so that all are begun.
    pub(crate) fn enlist(self: &Arc<Self>, item: &str) -> Option<Enlisted> {
        if !self.is_limited() {
            return None;
        }
        let items = &mut self.state().items;
        let number = items.next;
        items.next += 1;
        items.numbers.insert(item.to_owned(), number);
        items.listed.insert(number, Item::default());
        Some(Enlisted { budget: Arc::clone(self), item: item.to_owned() })
    }

    /// Says what `item` takes from here to its end. Nothing happens to one that is not enlisted.
    pub(crate) fn expect(&self, item: &str, need: Need) {
        if let Some(listed) = self.state().items.get(item) {
            listed.need = need;
        }
        self.settled.notify_waiters();
    }

    /// Notes that there are replies for `item` which an earlier process paid for.
    pub(in crate::llm) fn note_begun(&self, item: &str) {
        if let Some(listed) = self.state().items.get(item) {
            listed.begun_before = true;
        }
    }

    /// Waits until `item` may make calls. One that is not enlisted may always.
    pub(in crate::llm) async fn admit(&self, item: &str) -> Result<(), Exhausted> {
        loop {
            // Made before looking: it is woken by whatever changes from here on, though not polled yet.
            let changed = self.settled.notified();
            if self.try_admit(item)? {
                return Ok(());
            }
            changed.await;
        }
    }

    /// `Ok(false)`: not now, but maybe once those before it, or those under way, are further on.
    fn try_admit(&self, item: &str) -> Result<bool, Exhausted> {
        let mut state = self.state();
        let Some(number) = state.items.numbers.get(item).copied() else { return Ok(true) };
        if state.items.listed.range(..number).any(|(_, earlier)| !earlier.admitted) {
            return Ok(false);
        }
        match state.items.listed.get(&number) {
            Some(listed) if !listed.admitted && !listed.begun_before => {
                if !self.is_room_for(&state, item, &listed.need)? {
                    return Ok(false);
                }
            }
            _ => {}
        }
        if let Some(listed) = state.items.get(item)
            && !std::mem::replace(&mut listed.admitted, true)
        {
            drop(state);
            self.settled.notify_waiters();
        }
        Ok(true)
    }

    fn is_room_for(&self, state: &State, item: &str, need: &Need) -> Result<bool, Exhausted> {
        let under_way = state.items.under_way();
        let room = state.check(&self.limits, &[&need.likely[..], &under_way].concat(), false);
        match room {
            Ok(()) => Ok(true),
            Err(exhausted) if under_way.is_empty() => Err(Exhausted { item: Some(item.to_owned()), ..exhausted }),
            Err(_) => Ok(false),
        }
    }
}

impl Take {
    /// One call.
    pub(super) fn one(role: Role, tokens: Estimate) -> Self {
        Self { role, calls: 1, tokens }
    }
}
