//! How far reviewers agree, with each other and with the judge.
//!
//! Cohen's kappa (J. Cohen, "A coefficient of agreement for nominal scales", 1960) of two raters over what both rated;
//! Krippendorff's alpha for nominal data (K. Krippendorff, "Content Analysis", 2004, chapter 11) over what at least two rated.
//! 1 is full agreement, 0 what chance would give.

use std::collections::BTreeMap;

use serde::Serialize;

/// The ratings of one person: what was said, by conversation.
pub(crate) type Ratings = BTreeMap<String, String>;

/// How far raters agree.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct RaterAgreement {
    /// Conversations that two or more rated.
    pub both: u64,
    /// Those of them on which all who rated say the same.
    pub same: u64,
    /// Cohen's kappa; `null` for more than two raters, and where it is not defined.
    pub kappa: Option<f64>,
    /// Krippendorff's alpha; `null` where it is not defined.
    pub alpha: Option<f64>,
}

/// The agreement of raters.
pub(crate) fn agreement(raters: &[Ratings]) -> RaterAgreement {
    let units = units(raters);
    let same = units.iter().filter(|values| values.windows(2).all(|pair| pair.first() == pair.last())).count();
    let kappa = if raters.len() == 2 { kappa(&units) } else { None };
    RaterAgreement { both: units.len() as u64, same: same as u64, kappa, alpha: alpha(&units) }
}

/// What was said of each conversation that two or more rated.
fn units(raters: &[Ratings]) -> Vec<Vec<&str>> {
    let mut units: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for ratings in raters {
        for (id, value) in ratings {
            units.entry(id).or_default().push(value);
        }
    }
    units.into_values().filter(|values| values.len() > 1).collect()
}

/// Observed agreement of two raters against what their habits would give.
fn kappa(units: &[Vec<&str>]) -> Option<f64> {
    let all = units.len() as f64;
    let [mut first, mut second]: [BTreeMap<&str, f64>; 2] = [BTreeMap::new(), BTreeMap::new()];
    let mut same = 0.0;
    for values in units {
        let [one, other] = values.as_slice() else { return None };
        *first.entry(one).or_default() += 1.0;
        *second.entry(other).or_default() += 1.0;
        same += f64::from(u8::from(one == other));
    }
    let chance: f64 =
        first.iter().map(|(value, count)| count * second.get(value).unwrap_or(&0.0)).sum::<f64>() / (all * all);
    (all > 0.0 && chance < 1.0).then(|| (same / all - chance) / (1.0 - chance))
}

/// Observed disagreement against what the values would give however they were dealt out.
fn alpha(units: &[Vec<&str>]) -> Option<f64> {
    let mut counts: BTreeMap<&str, f64> = BTreeMap::new();
    let (mut all, mut observed) = (0.0, 0.0);
    for values in units {
        let raters = values.len() as f64;
        all += raters;
        for value in values {
            *counts.entry(value).or_default() += 1.0;
            let others = values.iter().filter(|other| *other != value).count() as f64;
            observed += others / (raters - 1.0);
        }
    }
    let expected: f64 = counts.values().map(|count| count * (all - count)).sum::<f64>() / (all - 1.0);
    (all > 1.0 && expected > 0.0).then(|| 1.0 - observed / expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratings(values: &str) -> Ratings {
        let said = values.char_indices().filter(|(_, value)| *value != '.');
        said.map(|(at, value)| (format!("c-{at:02}"), value.to_string())).collect()
    }

    #[test]
    fn kappa_is_that_of_the_textbook_table() {
        // 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5.
        let first = "y".repeat(25) + &"n".repeat(25);
        let second = "y".repeat(20) + "nnnnn" + &"y".repeat(10) + &"n".repeat(15);
        let found = agreement(&[ratings(&first), ratings(&second)]);
        assert_eq!((found.both, found.same), (50, 35));
        assert!((found.kappa.unwrap() - 0.4).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn alpha_is_that_of_krippendorffs_example_with_gaps() {
        // Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), nominal data, four observers: 0.743.
        let found = agreement(&["123321412...", "1233224125.3", ".3332342251.", "12332441251."].map(ratings));
        assert!((found.alpha.unwrap() - 0.743).abs() < 0.0005, "{found:?}");
        assert_eq!(found.kappa, None);
    }

    #[test]
    fn who_says_one_thing_only_has_no_agreement_to_measure() {
        let found = agreement(&[ratings("yyy"), ratings("yyy")]);
        assert_eq!((found.both, found.same, found.kappa, found.alpha), (3, 3, None, None));
        assert_eq!(agreement(&[ratings("y"), ratings(".n")]).both, 0);
    }
}
