//! What was spent, as a run shows it.

use std::collections::BTreeMap;

use crate::llm::{Role, Usage};

/// The spend so far, for display.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SpendSnapshot {
    /// By role.
    pub roles: BTreeMap<Role, RoleSnapshot>,
    /// The tokens of all replies.
    pub usage: Usage,
    /// In the currency of the prices, calls of unknown outcome counted in full; `None` without any price.
    pub cost: Option<f64>,
    /// ISO 4217 code of the prices.
    pub currency: Option<String>,
    /// Calls that may have been billed though no reply came.
    pub unknown: u64,
    /// What those calls had set aside: part of `max_tokens` and of `cost`, not of `usage`.
    pub unknown_tokens: u64,
    /// Calls that are on their way.
    pub in_flight: u64,
}

/// What one role has spent, for display.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct RoleSnapshot {
    /// Requests sent, retries included.
    pub calls: u64,
    /// The tokens of replies.
    pub usage: Usage,
    /// As in [`SpendSnapshot`]; `None` without a price by token.
    pub cost: Option<f64>,
}

impl SpendSnapshot {
    /// Requests sent, retries included.
    pub(crate) fn calls(&self) -> u64 {
        self.roles.values().map(|role| role.calls).fold(0, u64::saturating_add)
    }
}
