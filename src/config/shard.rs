//! One part of a run that several processes make, each in a run directory of its own and without a word to the others.
//!
//! What belongs to a part is decided by hash, so every part finds its own in the same input; what is counted or limited is
//! divided. The settings stay those of the whole in every part, and so the parts of one run can be told by them.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::models::QuotaLimits;
use super::{BudgetLimits, Config, SituationMode};
use crate::draw::Draw;

/// Which part of a run, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shard {
    /// Its number, from 0.
    pub index: u64,
    /// How many parts there are.
    pub count: u64,
}

impl Shard {
    /// Whether this text is this part's, in a run with `seed`.
    pub(crate) fn holds(self, seed: u64, text: &str) -> bool {
        let parts = usize::try_from(self.count).unwrap_or(usize::MAX);
        Draw::new(seed, &["shard", text]).below(parts) as u64 == self.index
    }

    /// Its share of a number. The shares of all parts add up to it.
    pub(crate) fn share(self, whole: u64) -> u64 {
        let count = self.count.max(1);
        whole / count + u64::from(self.index < whole % count)
    }

    /// What is wrong with it.
    pub(crate) fn fault(self) -> Option<String> {
        let Self { index, count } = self;
        match count {
            0 => Some("a run has at least one part".to_owned()),
            _ if index < count => None,
            _ => Some(format!("there is no part {index} of {count}: parts count from 0 to {}", count - 1)),
        }
    }

    /// What stands behind the run directory's name, such as `-03-of-16`.
    fn suffix(self) -> String {
        let digits = self.count.saturating_sub(1).to_string().len();
        format!("-{:0digits$}-of-{}", self.index, self.count)
    }

    /// The run directory of this part of the run that would live in `whole`.
    pub(crate) fn directory(self, whole: &Path) -> PathBuf {
        let mut name = whole.file_name().unwrap_or_default().to_owned();
        name.push(self.suffix());
        whole.with_file_name(name)
    }

    /// The part whose run directory has this name, where the whole would be called `whole`.
    pub(crate) fn of_name(name: &str, whole: &str) -> Option<Self> {
        let (index, count) = name.strip_prefix(whole)?.strip_prefix('-')?.split_once("-of-")?;
        let shard = Self { index: index.parse().ok()?, count: count.parse().ok()? };
        (shard.index < shard.count && name == format!("{whole}{}", shard.suffix())).then_some(shard)
    }
}

impl Config {
    /// Where the run lives, in place of `given` or of `run_dir`: a part has a folder beside the whole one's.
    pub(crate) fn directory(&self, given: Option<&Path>) -> PathBuf {
        let whole = given.unwrap_or(&self.run_dir);
        self.shard.map_or_else(|| whole.to_owned(), |shard| shard.directory(whole))
    }

    /// What this process has to do of the whole: counts, budget and limits divided among the parts.
    #[must_use]
    pub(crate) fn own_share(&self) -> Self {
        let mut own = self.clone();
        let Some(part) = self.shard else { return own };
        let share = |whole: Option<u64>| whole.map(|whole| part.share(whole));
        own.personas.sample = share(self.personas.sample);
        own.situations.count = share(self.situations.wanted());
        own.conversations.count = share(self.conversations.count);
        let BudgetLimits { max_calls, max_tokens, max_cost } = self.budget;
        let max_cost = max_cost.map(|cost| cost / part.count.max(1) as f64);
        own.budget = BudgetLimits { max_calls: share(max_calls), max_tokens: share(max_tokens), max_cost };
        let divided = |limits: QuotaLimits| QuotaLimits { rpm: share(limits.rpm), tpm: share(limits.tpm) };
        for (_, model) in own.models.named_mut() {
            model.limits = divided(model.limits);
            for place in &mut model.deployments {
                place.limits = place.limits.map(divided);
            }
        }
        own
    }

    /// What draws hang on that parts should not share: without it, two parts that know nothing but the seed would make the
    /// same.
    pub(crate) fn own_seed(&self) -> u64 {
        let own = |Shard { index, count }| {
            Draw::new(self.seed, &["shard", &index.to_string(), &count.to_string()]).next_u64()
        };
        self.shard.map_or(self.seed, own)
    }

    /// The counts and limits of the whole that are divided among parts, by key.
    pub(crate) fn divided(&self) -> Vec<(String, u64)> {
        let mut all = vec![
            ("personas.sample".to_owned(), self.personas.sample),
            ("conversations.count".to_owned(), self.conversations.count),
            ("budget.max_calls".to_owned(), self.budget.max_calls),
            ("budget.max_tokens".to_owned(), self.budget.max_tokens),
        ];
        let made = self.situations.mode != SituationMode::File;
        all.push(("situations.count".to_owned(), self.situations.wanted().filter(|_| made)));
        for (name, model) in self.models.named() {
            for (number, place) in model.places().iter().enumerate() {
                let at = if model.deployments.is_empty() { String::new() } else { format!(".deployments.{number}") };
                all.push((format!("models.{name}{at}.limits.rpm"), place.limits.rpm));
                all.push((format!("models.{name}{at}.limits.tpm"), place.limits.tpm));
            }
        }
        all.into_iter().filter_map(|(key, whole)| Some((key, whole?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;
    use crate::config::testing::EVERYTHING;

    fn config(sets: &[&str]) -> Config {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        parse(None, EVERYTHING, &sets).unwrap().config
    }

    #[test]
    fn parts_share_out_everything_and_nothing_twice() {
        let shards = [0, 1, 2].map(|index| Shard { index, count: 3 });
        for whole in [3, 4, 5, 20, u64::MAX] {
            assert_eq!(shards.iter().map(|shard| u128::from(shard.share(whole))).sum::<u128>(), u128::from(whole));
        }
        let mut held = [0; 3];
        for number in 0..300 {
            let text = format!("person {number}");
            let own: Vec<usize> = (0..3).filter(|at| shards[*at].holds(17, &text)).collect();
            assert_eq!(own.len(), 1, "{text}");
            held[own[0]] += 1;
        }
        assert!(held.iter().all(|count| *count > 60), "{held:?}");
    }

    #[test]
    fn a_part_has_its_share_of_counts_limits_and_budget_and_draws_of_its_own() {
        let sets =
            ["models.default.limits={rpm: 60, tpm: 90000}", "budget.max_tokens=10000", "shard={index: 1, count: 3}"];
        let whole = config(&sets);
        let own = whole.own_share();
        assert_eq!((own.personas.sample, own.situations.count), (Some(17), Some(7)));
        assert_eq!((own.budget.max_calls, own.budget.max_tokens), (Some(3), Some(3333)));
        assert_eq!(own.budget.max_cost, Some(5.5 / 3.0));
        assert_eq!(own.models.default.limits, QuotaLimits { rpm: Some(20), tpm: Some(30_000) });
        assert_eq!((own.seed, own.shard), (whole.seed, whole.shard));
        let other = config(&[&sets[..2], &["shard={index: 2, count: 3}"]].concat());
        assert_ne!(whole.own_seed(), other.own_seed());
        let alone = config(&sets[..2]);
        assert_eq!((alone.own_share(), alone.own_seed()), (alone.clone(), alone.seed));
    }

    #[test]
    fn what_cannot_be_divided_is_refused_with_its_key() {
        let refused = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            parse(None, EVERYTHING, &sets).unwrap_err().to_string()
        };
        let told = [
            refused(&["shard={index: 3, count: 3}"]),
            refused(&["shard={index: 0, count: 0}"]),
            refused(&["shard={index: 0, count: 32}", "models.default.limits={rpm: 16, tpm: 3000}"]),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
        the built-in configuration cannot be used as it is
          --set shard: shard.index: there is no part 3 of 3: parts count from 0 to 2
        the built-in configuration cannot be used as it is
          --set shard: shard.index: a run has at least one part
        the built-in configuration cannot be used as it is
          the built-in configuration:12:3: situations.count: 20 cannot be divided among 32 parts: raise it, or make fewer parts
          the built-in configuration:46:10: budget.max_calls: 10 cannot be divided among 32 parts: raise it, or make fewer parts
          --set models.default.limits: models.default.limits.rpm: 16 cannot be divided among 32 parts: raise it, or make fewer parts
          --set models.default.limits: models.default.limits.tpm: no call fits into a part's share: a reply may have 300 tokens (max_tokens); make fewer parts
        "#);
    }

    #[test]
    fn run_directories_of_parts_are_told_by_their_names() {
        let shard = Shard { index: 3, count: 16 };
        assert_eq!(shard.directory(Path::new("runs/demo")), Path::new("runs/demo-03-of-16"));
        assert_eq!(Shard::of_name("demo-03-of-16", "demo"), Some(shard));
        for other in ["demo-3-of-16", "demo-16-of-16", "demo", "demos-03-of-16", "demo-03-of-", "demo-x-of-16"] {
            assert_eq!(Shard::of_name(other, "demo"), None, "{other}");
        }
    }
}
