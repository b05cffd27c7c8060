//! Which items are begun: only those that the rest of a budget can end.
//!
//! An item that takes many calls, such as a conversation, is worth nothing before its end, so under a limit it is admitted as
//! a whole. [`Budget::enlist`] gives it a number; the numbers are the order in which items are admitted. Laws:
//! - An item is admitted at the first call that has to be made for it: what is on record needs no leave.
//! - Beside others it is admitted once the rest carries the most that those under way can take, and what it is likely to
//!   take itself. With none under way the latter alone decides: then the answer is for ever, and the run is out of budget.
//! - A call of an item under way waits if it would take what those before it can still need: the first always goes on.
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
    /// The first refusal: nothing is admitted after it.
    refused: Option<Exhausted>,
}

#[derive(Debug, Default)]
struct Item {
    need: Need,
    /// It may make calls.
    admitted: bool,
    /// An earlier process made calls for it.
    begun_before: bool,
    /// A call that it may make and that has no reservation yet.
    calling: Option<Take>,
}

impl Items {
    fn get(&mut self, item: &str) -> Option<&mut Item> {
        self.listed.get_mut(self.numbers.get(item)?)
    }

    fn is_admitted(&self, number: u64) -> bool {
        self.listed.get(&number).is_some_and(|item| item.admitted)
    }

    /// What stands before a call of the item with this number: the most that those before it can still take, and the calls
    /// that those behind it are about to make. Nothing where none is before it.
    fn claims_against(&self, number: u64) -> Vec<Take> {
        let mut claims: Vec<Take> =
            self.listed.range(..number).flat_map(|(_, item)| &item.need.most).copied().collect();
        if !claims.is_empty() {
            claims.extend(self.listed.range(number + 1..).filter_map(|(_, item)| item.calling));
        }
        claims
    }

    /// The call that `item` was given leave for counts by its reservation from here on.
    pub(super) fn reserved(&mut self, item: &str) {
        if let Some(listed) = self.get(item) {
            listed.calling = None;
        }
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

    /// Waits until `item` may make this call. One that is not enlisted may always.
    pub(in crate::llm) async fn admit(&self, item: &str, role: Role, estimate: Estimate) -> Result<(), Exhausted> {
        loop {
            // Made before looking: it is woken by whatever changes from here on, though not polled yet.
            let changed = self.settled.notified();
            if self.try_admit(item, Take::one(role, estimate))? {
                return Ok(());
            }
            changed.await;
        }
    }

    /// `Ok(false)`: not now, but maybe once those before it, or those under way, are further on.
    fn try_admit(&self, item: &str, call: Take) -> Result<bool, Exhausted> {
        let mut state = self.state();
        let Some(number) = state.items.numbers.get(item).copied() else { return Ok(true) };
        if !state.items.is_admitted(number) {
            if state.items.listed.range(..number).any(|(_, earlier)| !earlier.admitted) {
                return Ok(false);
            }
            if !self.is_begun(&mut state, number, item)? {
                return Ok(false);
            }
            self.settled.notify_waiters();
        }
        let mut claims = state.items.claims_against(number);
        if !claims.is_empty() {
            claims.push(call);
            if state.check(&self.limits, &claims, true).is_err() {
                return Ok(false);
            }
        }
        if let Some(listed) = state.items.listed.get_mut(&number) {
            listed.calling = Some(call);
        }
        Ok(true)
    }

    /// Admits the item whose turn it is, if there is room for it.
    fn is_begun(&self, state: &mut State, number: u64, item: &str) -> Result<bool, Exhausted> {
        if let Some(refused) = &state.items.refused {
            return Err(refused.clone());
        }
        let under_way: Vec<Take> = state.items.claims_against(number);
        let Some(listed) = state.items.listed.get(&number) else { return Ok(true) };
        if !listed.begun_before
            && let Err(exhausted) = state.check(&self.limits, &[&listed.need.likely[..], &under_way].concat(), false)
        {
            if !under_way.is_empty() {
                return Ok(false);
            }
            let refused = Exhausted { item: Some(item.to_owned()), ..exhausted };
            state.items.refused = Some(refused.clone());
            return Err(refused);
        }
        if let Some(listed) = state.items.listed.get_mut(&number) {
            listed.admitted = true;
        }
        Ok(true)
    }
}

impl Take {
    /// One call.
    pub(super) fn one(role: Role, tokens: Estimate) -> Self {
        Self { role, calls: 1, tokens }
    }
}
