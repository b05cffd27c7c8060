//! What the screens came to over a whole stage: part of its notes, and a line for people.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SafetyReport;
use crate::config::safety::Action;
use crate::record::{Conversation, Dropped};

/// Counts over a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SafetyFigures {
    /// Accepted conversations that were screened, by whatever was asked to.
    pub screened: u64,
    /// Accepted conversations that a service refused or failed to look at, by reason.
    pub unscreened: BTreeMap<String, u64>,
    /// Accepted conversations in which something was flagged, by category.
    pub flagged: BTreeMap<String, u64>,
    /// Places in accepted conversations that were redacted, by category.
    pub redacted: BTreeMap<String, u64>,
    /// Conversations that were dropped, by category or as `unscreened`.
    pub dropped: BTreeMap<String, u64>,
}

impl SafetyFigures {
    /// Counts a conversation that was accepted.
    pub(crate) fn add(&mut self, accepted: &Conversation) {
        if accepted.safety != "{}"
            && let Ok(report) = serde_json::from_str::<SafetyReport>(&accepted.safety)
        {
            self.count(&report);
        }
    }

    /// Counts one that was dropped, if a screen dropped it.
    pub(crate) fn add_dropped(&mut self, dropped: &Dropped) {
        if let Some(category) = dropped.reason.strip_prefix("safety_") {
            *self.dropped.entry(category.to_owned()).or_default() += 1;
        }
    }

    fn count(&mut self, report: &SafetyReport) {
        match report.service.as_ref().and_then(|asked| asked.unscreened.clone()) {
            Some(why) => *self.unscreened.entry(why).or_default() += 1,
            None => self.screened += 1,
        }
        let mut flagged: Vec<&str> = Vec::new();
        for decision in &report.decisions {
            let name = decision.category.as_str();
            match decision.action {
                Action::Redact => *self.redacted.entry(name.to_owned()).or_default() += 1,
                Action::Flag => flagged.push(name),
                Action::Drop => {}
            }
        }
        flagged.sort_unstable();
        flagged.dedup();
        for name in flagged {
            *self.flagged.entry(name.to_owned()).or_default() += 1;
        }
    }

    /// What there is to tell; nothing where nothing was found and everything was looked at.
    pub(crate) fn told(&self) -> Option<String> {
        let parts: Vec<String> = [
            ("conversations flagged", &self.flagged),
            ("places redacted", &self.redacted),
            ("conversations dropped", &self.dropped),
            ("conversations accepted unscreened", &self.unscreened),
        ]
        .into_iter()
        .filter(|(_, counts)| !counts.is_empty())
        .map(|(what, counts)| {
            let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
            format!("{what}: {}", each.join(", "))
        })
        .collect();
        (!parts.is_empty()).then(|| format!("safety: {}", parts.join("; ")))
    }
}
