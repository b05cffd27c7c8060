//! What the card says of screens and judges: read from the records, so that it holds for datasets made of several runs too.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::record::Conversation;
use crate::stages::{judge, safety};

/// How the conversations of a dataset were screened and scored.
#[derive(Debug, Default, Serialize)]
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

impl Screening {
    pub(super) fn of(conversations: &[Conversation]) -> Self {
        let mut figures = safety::Figures::default();
        for row in conversations {
            figures.add(row);
        }
        let mut screening = Self {
            unscreened: figures.unscreened.values().sum(),
            flagged: listed(&figures.flagged),
            redacted: listed(&figures.redacted),
            judged: judged(conversations),
            ..Self::default()
        };
        for report in conversations.iter().filter_map(|row| serde_json::from_str::<safety::Report>(&row.safety).ok()) {
            screening.local += u64::from(report.screen.is_some());
            screening
                .services
                .extend(report.service.map(|asked| super::card::cell(&format!("{} {}", asked.name, asked.model))));
        }
        screening
    }
}

fn judged(conversations: &[Conversation]) -> Option<Judged> {
    let mut figures = judge::Figures::default();
    for row in conversations {
        figures.add(row);
    }
    let judgements =
        conversations.iter().filter_map(|row| serde_json::from_str::<judge::Judgement>(&row.judgement).ok());
    let models: BTreeSet<String> = judgements.map(|judgement| super::card::cell(&judgement.model)).collect();
    let means: Vec<String> = figures.means.iter().map(|(scale, mean)| format!("{scale} {mean:.2}")).collect();
    (figures.judged > 0).then(|| Judged {
        models: models.into_iter().collect::<Vec<_>>().join(", "),
        count: figures.judged,
        means: means.join(", "),
    })
}

fn listed(counts: &BTreeMap<String, u64>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
