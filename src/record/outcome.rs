use serde::{Deserialize, Serialize};

/// What became of an input of a stage. Each ends in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// In the output.
    Accepted,
    /// Removed as a duplicate of an earlier one.
    Duplicate,
    /// Judged unfit, with a reason.
    Rejected,
    /// Turned down by a content filter or by the model.
    Refused,
    /// The endpoint never gave a usable answer.
    Failed,
    /// Not worked on because the budget was reached.
    OverBudget,
}

impl Outcome {
    /// As it stands in files.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::OverBudget => "over_budget",
        }
    }
}

/// How many inputs of a stage ended in which [`Outcome`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// In the output.
    pub accepted: u64,
    /// Removed as duplicates.
    pub duplicate: u64,
    /// Judged unfit.
    pub rejected: u64,
    /// Turned down by a filter or the model.
    pub refused: u64,
    /// Never answered.
    pub failed: u64,
    /// Not worked on.
    pub over_budget: u64,
}

impl Tally {
    /// Counts one input.
    pub fn add(&mut self, outcome: Outcome) {
        *self.slot(outcome) += 1;
    }

    fn slot(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Accepted => &mut self.accepted,
            Outcome::Duplicate => &mut self.duplicate,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Refused => &mut self.refused,
            Outcome::Failed => &mut self.failed,
            Outcome::OverBudget => &mut self.over_budget,
        }
    }

    /// All inputs.
    pub fn total(&self) -> u64 {
        self.accepted + self.duplicate + self.rejected + self.refused + self.failed + self.over_budget
    }
}

/// What became of one input of a stage, with what there is to keep of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate<R> {
    /// It is in the output.
    Accepted(R),
    /// It was removed as a duplicate of an earlier one.
    Duplicate(Duplicate),
    /// It was rejected, refused, failed, or not worked on.
    Dropped(Dropped),
}

impl<R> Fate<R> {
    /// In which way it ended.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Accepted(_) => Outcome::Accepted,
            Self::Duplicate(_) => Outcome::Duplicate,
            Self::Dropped(dropped) => dropped.outcome,
        }
    }
}

/// An input that says what an earlier one says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Duplicate {
    /// The item.
    pub id: String,
    /// The record that stayed.
    pub kept: String,
    /// How similar the two are, from the threshold to 1.
    pub jaccard: f64,
    /// In what sense they are the same.
    pub kind: DuplicateKind,
}

/// In what sense two texts are the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DuplicateKind {
    /// Equal once normalised.
    Exact,
    /// Similar from the threshold up.
    Near,
}

/// An input that did not make it, a row of `rejected.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dropped {
    /// The item.
    pub id: String,
    /// Which way it went: rejected, refused, failed or over budget.
    pub outcome: Outcome,
    /// The reason in a word or two, the unit reasons are counted by.
    pub reason: String,
    /// What exactly was wrong.
    pub detail: String,
}

impl Dropped {
    /// An item that was not worked on because the budget was reached.
    pub(crate) fn over_budget(id: String) -> Self {
        let (reason, detail) = ("over_budget".to_owned(), "the budget was reached first".to_owned());
        Self { id, outcome: Outcome::OverBudget, reason, detail }
    }
}

impl From<Duplicate> for Dropped {
    fn from(duplicate: Duplicate) -> Self {
        let Duplicate { id, kept, jaccard, .. } = duplicate;
        let detail = format!("{kept} stayed; the two have a Jaccard index of {jaccard:.2}");
        Self { id, outcome: Outcome::Duplicate, reason: format!("duplicate of {kept}"), detail }
    }
}
