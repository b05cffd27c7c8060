//! What the card says of screens and judges: read from the records, so that it holds for datasets made of several runs too.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::card::cell;
use crate::record::Conversation;
use crate::stages::{judge, safety};

/// How the conversations of a dataset were screened and scored.
#[derive(Debug, Serialize)]
pub(super) struct Screening {
    /// Those in which personal data and listed words were looked for.
    local: u64,
    /// The services that looked at them, with their models.
    services: BTreeSet<String>,
    /// Those at which a service did not look, though it was to.
    unscreened: u64,
    /// Conversations with something flagged, such as `violence 3`.
    flagged: String,
    /// Places that were redacted.
    redacted: String,
    /// Those that a judge scored, and the means; nothing where none was.
    judged: Option<Judged>,
}

#[derive(Debug, Serialize)]
struct Judged {
    models: String,
    count: u64,
    means: String,
}

/// Counted while conversations pass.
#[derive(Debug, Default)]
pub(super) struct ScreeningCounts {
    local: u64,
    services: BTreeSet<String>,
    safety: safety::SafetyFigures,
    judge: judge::JudgeFigures,
    judges: BTreeSet<String>,
}

impl ScreeningCounts {
    pub(super) fn add(&mut self, conversation: &Conversation) {
        self.safety.add(conversation);
        if let Some(report) = stated::<safety::SafetyReport>(&conversation.safety) {
            self.local += u64::from(report.screen.is_some());
            self.services.extend(report.service.map(|asked| cell(&format!("{} {}", asked.name, asked.model))));
        }
        self.judge.add(conversation);
        self.judges.extend(stated::<judge::Judgement>(&conversation.judgement).map(|judgement| cell(&judgement.model)));
    }

    pub(super) fn screening(&self) -> Screening {
        Screening {
            local: self.local,
            services: self.services.clone(),
            unscreened: self.safety.unscreened.values().sum(),
            flagged: listed(&self.safety.flagged),
            redacted: listed(&self.safety.redacted),
            judged: (self.judge.judged > 0).then(|| self.judged()),
        }
    }

    fn judged(&self) -> Judged {
        let judge::JudgeFigures { judged, means, .. } = &self.judge;
        let means: Vec<String> = means.iter().map(|(scale, mean)| format!("{scale} {mean:.2}")).collect();
        let models = self.judges.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Judged { models, count: *judged, means: means.join(", ") }
    }
}

/// What a column of JSON as text says; nothing where nobody was asked.
fn stated<T: DeserializeOwned>(column: &str) -> Option<T> {
    (column != "{}").then(|| serde_json::from_str(column).ok()).flatten()
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
