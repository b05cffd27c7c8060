//! A grid of attributes (domain, relation, conflict, ...) that situations are conditioned on, so that they vary by construction.
//!
//! ```yaml
//! version: 1
//! attributes:
//!   tone:
//!     quota: 0.5                  # the largest share one value may have; left out: none
//!     values: {warm: 2, tense: 1} # value: weight
//! ```
//!
//! Values of `group_size` that are numbers decide how many people there are; those beyond the limits of a group are not used.
//!
//! Which cell a situation gets is a pure function of the seed and its running number. After any number of situations every
//! value has been used in proportion to its weight to within a few, and so has every pair of values of two attributes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::draw::Draw;
use crate::exit::ExitCode;

/// The attribute that decides how many people a situation has, where its values are numbers.
pub(crate) const GROUP_SIZE: &str = "group_size";
/// The version of the format that is read.
const VERSION: u32 = 1;
/// Largest file, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Why a coverage file can't be used.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum CoverageError {
    /// It is not YAML of the expected shape.
    #[error("{file}{}: {message}", at_line(*line), file = file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where, from 1, if that is known.
        line: Option<u64>,
        /// What is wrong.
        message: String,
    },
    /// It is longer than any grid.
    #[error("{file}: {bytes} bytes, more than {MAX_BYTES}: keep the grid small", file = file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// It has another version.
    #[error("{file}: version {version} is unknown: this convogen reads version {VERSION}", file = file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// The version it names.
        version: u32,
    },
    /// There is nothing to choose from.
    #[error("{file}: {what} is empty: add a value or remove it", file = file.display())]
    Empty {
        /// The file.
        file: PathBuf,
        /// `attributes`, or the attribute without values.
        what: String,
    },
    /// A weight is no positive number.
    #[error("{file}: `{attribute}.values.{value}` is {weight}: a weight is a number above 0", file = file.display())]
    Weight {
        /// The file.
        file: PathBuf,
        /// The attribute.
        attribute: String,
        /// The value.
        value: String,
        /// Its weight.
        weight: f64,
    },
    /// A quota that the values can't keep.
    #[error(
        "{file}: `{attribute}.quota` is {quota}: with {values} values it lies between {least:.4} and 1",
        least = 1.0 / *values as f64, file = file.display()
    )]
    Quota {
        /// The file.
        file: PathBuf,
        /// The attribute.
        attribute: String,
        /// Its quota.
        quota: f64,
        /// How many values it has.
        values: usize,
    },
}

fn at_line(line: Option<u64>) -> String {
    line.map(|line| format!(":{line}")).unwrap_or_default()
}

impl CoverageError {
    /// The exit code that tells this apart from other failures: 2, configuration.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// The grid.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Coverage {
    attributes: BTreeMap<String, Attribute>,
}

/// Values of an attribute and the shares they are to have, which add up to 1.
#[derive(Debug, Clone, PartialEq)]
struct Attribute {
    shares: Vec<(String, f64)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u32,
    attributes: BTreeMap<String, AttributeFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeFile {
    #[serde(default)]
    quota: Option<f64>,
    values: BTreeMap<String, f64>,
}

impl Coverage {
    /// Reads the text of a coverage file; `file` is named in errors.
    pub(crate) fn parse(yaml: &str, file: &Path) -> Result<Self, CoverageError> {
        let file = file.to_owned();
        if yaml.len() > MAX_BYTES {
            return Err(CoverageError::TooLarge { file, bytes: yaml.len() });
        }
        let read: File = serde_saphyr::from_str(yaml).map_err(|error| malformed(&file, &error))?;
        if read.version != VERSION {
            return Err(CoverageError::Version { file, version: read.version });
        }
        if read.attributes.is_empty() {
            return Err(CoverageError::Empty { file, what: "`attributes`".to_owned() });
        }
        let attributes = read.attributes.into_iter().map(|(name, attribute)| {
            let checked = attribute.checked(&name, &file)?;
            Ok((name, checked))
        });
        Ok(Self { attributes: attributes.collect::<Result<_, _>>()? })
    }

    /// One value of each attribute for the situation with this running number.
    pub(crate) fn cell(&self, seed: u64, ordinal: u64) -> BTreeMap<String, String> {
        let value = |(name, attribute): (&String, &Attribute)| {
            let at = sequence(seed, name, ordinal);
            Some((name.clone(), attribute.at(at)?.to_owned()))
        };
        self.attributes.iter().filter_map(value).collect()
    }

    /// Attribute, value, and the share of situations that is to have it.
    pub(crate) fn all_shares(&self) -> impl Iterator<Item = (&str, &str, f64)> {
        self.attributes.iter().flat_map(|(name, attribute)| {
            attribute.shares.iter().map(move |(value, share)| (name.as_str(), value.as_str(), *share))
        })
    }

    /// The grid for groups of `least` to `most` people: other values of [`GROUP_SIZE`] are left out, their shares taken up by
    /// the rest; without any left, or where they are no numbers, casting decides how large a group is.
    #[must_use]
    pub(crate) fn for_groups(mut self, least: usize, most: usize) -> Self {
        let Some(sizes) = self.attributes.get_mut(GROUP_SIZE) else { return self };
        if sizes.shares.iter().all(|(value, _)| value.parse::<usize>().is_err()) {
            return self;
        }
        sizes.shares.retain(|(value, _)| value.parse().is_ok_and(|size: usize| (least..=most).contains(&size)));
        let total: f64 = sizes.shares.iter().map(|(_, share)| share).sum();
        sizes.shares.iter_mut().for_each(|(_, share)| *share /= total);
        if sizes.shares.is_empty() {
            self.attributes.remove(GROUP_SIZE);
        }
        self
    }

    /// The values of an attribute and the share of all situations each is to have; they add up to 1.
    pub(crate) fn shares(&self, attribute: &str) -> &[(String, f64)] {
        self.attributes.get(attribute).map_or(&[], |attribute| &attribute.shares)
    }

    /// The names of the attributes.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = &str> {
        self.attributes.keys().map(String::as_str)
    }
}

impl AttributeFile {
    fn checked(self, name: &str, file: &Path) -> Result<Attribute, CoverageError> {
        let (file, attribute) = (file.to_owned(), name.to_owned());
        let values = self.values.len();
        if values == 0 {
            return Err(CoverageError::Empty { file, what: format!("`{name}.values`") });
        }
        if let Some((value, &weight)) = self.values.iter().find(|(_, weight)| !(weight.is_finite() && **weight > 0.0)) {
            return Err(CoverageError::Weight { file, attribute, value: value.clone(), weight });
        }
        let quota = self.quota.unwrap_or(1.0);
        if !(quota <= 1.0 && quota * values as f64 >= 1.0) {
            return Err(CoverageError::Quota { file, attribute, quota, values });
        }
        Ok(Attribute { shares: capped(self.values, quota) })
    }
}

impl Attribute {
    /// The value whose part of `[0, 1)` holds `at`.
    fn at(&self, at: f64) -> Option<&str> {
        let mut below = 0.0;
        let holds = |(_, share): &&(String, f64)| {
            below += share;
            at < below
        };
        self.shares.iter().find(holds).or(self.shares.last()).map(|(value, _)| value.as_str())
    }
}

/// Shares in proportion to weights, none above `quota`: what is cut off is spread over the rest, until nothing is left to cut.
fn capped(weights: BTreeMap<String, f64>, quota: f64) -> Vec<(String, f64)> {
    let mut full: Vec<bool> = vec![false; weights.len()];
    let largest = weights.values().copied().fold(0.0, f64::max);
    // Scaled by the largest, so that the sum of huge weights stays finite.
    let weights: Vec<(String, f64)> = weights.into_iter().map(|(value, weight)| (value, weight / largest)).collect();
    loop {
        let left = 1.0 - quota * full.iter().filter(|full| **full).count() as f64;
        let open = weights.iter().zip(&full).filter(|(_, full)| !**full);
        let total: f64 = open.map(|((_, weight), _)| weight).sum();
        let share = |weight: f64| left * weight / total;
        let over: Vec<bool> =
            weights.iter().zip(&full).map(|((_, weight), full)| *full || share(*weight) > quota).collect();
        if over == full {
            let shares = weights.into_iter().zip(full);
            return shares.map(|((value, weight), full)| (value, if full { quota } else { share(weight) })).collect();
        }
        full = over;
    }
}

/// Term `ordinal` of a sequence in `[0, 1)` that fills every interval evenly at every prefix: van der Corput's, the mirrored bits
/// of the running number, with its bits first flipped at random in nested order (Owen 1995; flipping the number before mirroring
/// is the shuffling of Burley, "Practical Hash-based Owen Scrambling", 2020).
///
/// Every attribute flips in its own way. Halton or Kronecker sequences fill one attribute as evenly, but pairs of their
/// dimensions resonate: with 12 and 8 values they left chi-square at up to 25 times its mean, this one stays below 1.5.
fn sequence(seed: u64, attribute: &str, ordinal: u64) -> f64 {
    let mut draw = Draw::new(seed, &["coverage", attribute]);
    let (key, shift) = (draw.next_u64(), draw.next_u64());
    let flips = (0..u64::BITS).filter(|bit| mix(key ^ mix(upper(ordinal, *bit) ^ u64::from(*bit) << 58)) & 1 == 1);
    let shuffled = flips.fold(ordinal, |number, bit| number ^ 1 << bit);
    (shuffled.reverse_bits().wrapping_add(shift) >> 11) as f64 / (1_u64 << 53) as f64
}

/// The bits above `bit`.
fn upper(number: u64, bit: u32) -> u64 {
    number.checked_shr(bit + 1).unwrap_or_default()
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014): every input bit changes half of the output's.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

fn malformed(file: &Path, error: &serde_saphyr::Error) -> CoverageError {
    // The first line says what, after `error: line 4 column 5: `; the rest shows the place.
    let message = error.to_string();
    let first = message.lines().next().unwrap_or_default().trim_start_matches("error: ");
    let message = first.strip_prefix("line ").and_then(|rest| rest.split_once(": ")).map_or(first, |(_, what)| what);
    let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
    let line = error.location().map(|at| at.line());
    CoverageError::Malformed { file: file.to_owned(), line, message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GRID: &str = include_str!("../../../configs/coverage.yaml");

    fn parse(yaml: &str) -> Result<Coverage, CoverageError> {
        Coverage::parse(yaml, Path::new("coverage.yaml"))
    }

    fn counts(coverage: &Coverage, seed: u64, upto: u64, one: &str, other: &str) -> BTreeMap<(String, String), u32> {
        let mut counts = BTreeMap::new();
        for ordinal in 0..upto {
            let mut cell = coverage.cell(seed, ordinal);
            let (one, other) = (cell[one].clone(), cell.remove(other).unwrap());
            *counts.entry((one, other)).or_default() += 1;
        }
        counts
    }

    #[test]
    fn values_fill_evenly_at_every_prefix() {
        let coverage = parse(GRID).unwrap();
        for (name, attribute) in &coverage.attributes {
            let mut had: BTreeMap<&str, f64> =
                attribute.shares.iter().map(|(value, _)| (value.as_str(), 0.0)).collect();
            for ordinal in 0..3_000_u64 {
                let cell = coverage.cell(17, ordinal);
                *had.get_mut(cell[name].as_str()).unwrap() += 1.0;
                for (value, share) in &attribute.shares {
                    let due = (ordinal + 1) as f64 * share;
                    let off = (had[value.as_str()] - due).abs();
                    assert!(off <= 6.0, "{name} {value} after {ordinal}: {} of {due}", had[value.as_str()]);
                }
            }
        }
    }

    #[test]
    fn pairs_fill_evenly() {
        let coverage = parse(GRID).unwrap();
        let names: Vec<_> = coverage.attributes().collect();
        for upto in [300_u64, 4_000] {
            for (at, one) in names.iter().enumerate() {
                for other in &names[..at] {
                    let counts = counts(&coverage, 17, upto, one, other);
                    let (ones, others) = (&coverage.attributes[*one].shares, &coverage.attributes[*other].shares);
                    let mut chi_square = 0.0;
                    for (a, share) in ones {
                        for (b, with) in others {
                            let due = upto as f64 * share * with;
                            let had = counts.get(&(a.clone(), b.clone())).map_or(0.0, |n| f64::from(*n));
                            chi_square += (had - due).powi(2) / due;
                        }
                    }
                    let freedom = (ones.len() * others.len() - 1) as f64;
                    // Independent draws exceed this once in a thousand.
                    let limit = freedom + 3.3 * (2.0 * freedom).sqrt();
                    assert!(chi_square < limit, "{one} x {other} after {upto}: {chi_square:.0}, limit {limit:.0}");
                }
            }
        }
    }

    #[test]
    fn a_cell_depends_on_seed_and_number_alone() {
        let coverage = parse(GRID).unwrap();
        assert_eq!(coverage.cell(1, 99), coverage.cell(1, 99));
        assert!((0..20).any(|n| coverage.cell(1, n) != coverage.cell(2, n)));
        // Another attribute more leaves the others as they are.
        let (narrow, wide) = ("version: 1\nattributes:\n  a: {values: {x: 1, y: 2}}\n", "  b: {values: {z: 1}}\n");
        let (narrow, wide) = (parse(narrow).unwrap(), parse(&format!("{narrow}{wide}")).unwrap());
        assert!((0..50).all(|n| narrow.cell(3, n)["a"] == wide.cell(3, n)["a"]));
        // Pinned: datasets made by earlier versions depend on it.
        let first: Vec<_> = (0..8).map(|n| coverage.cell(17, n)["group_size"].clone()).collect();
        assert_eq!(first.concat(), "34353454");
    }

    #[test]
    fn a_quota_caps_a_share_and_spreads_the_rest() {
        let yaml = "version: 1\nattributes:\n  tone: {quota: 0.4, values: {a: 8, b: 1, c: 1}}\n";
        let shares = &parse(yaml).unwrap().attributes["tone"].shares;
        let expected = [("a", 0.4), ("b", 0.3), ("c", 0.3)];
        for ((value, share), (name, due)) in shares.iter().zip(expected) {
            assert!(value == name && (share - due).abs() < 1e-9, "{shares:?}");
        }
    }

    #[test]
    fn sizes_keep_to_the_limits_of_a_group() {
        let sizes = |least, most| parse(GRID).unwrap().for_groups(least, most).shares(GROUP_SIZE).to_vec();
        let near = |have: &[(String, f64)], due: &[(&str, f64)]| {
            have.len() == due.len() && have.iter().zip(due).all(|(a, b)| a.0 == b.0 && (a.1 - b.1).abs() < 1e-9)
        };
        assert!(near(&sizes(3, 5), &[("3", 4.0 / 9.0), ("4", 3.0 / 9.0), ("5", 2.0 / 9.0)]));
        assert!(near(&sizes(4, 9), &[("4", 0.6), ("5", 0.4)]));
        assert!(sizes(6, 7).is_empty());
        let words = "version: 1\nattributes: {group_size: {values: {small: 1, large: 1}}}\n";
        assert_eq!(parse(words).unwrap().for_groups(3, 5).shares(GROUP_SIZE).len(), 2);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let said = |yaml: &str| parse(yaml).unwrap_err().to_string();
        insta::assert_snapshot!(said("version: 1\nattributes:\n  tone:\n    value: {a: 1}\n"), @"coverage.yaml:4: unknown field `value`, expected one of quota, values");
        insta::assert_snapshot!(said("version: 1\nattributes:\n  tone: {values: {a: x}}\n"), @"coverage.yaml:3: invalid floating point");
        insta::assert_snapshot!(said("version: 1\nattributes:\n  tone: {values: {a: 1, a: 2}}\n"), @"coverage.yaml:3: duplicate mapping key: a");
        insta::assert_snapshot!(said("version: 2\nattributes: {}\n"), @"coverage.yaml: version 2 is unknown: this convogen reads version 1");
        insta::assert_snapshot!(said("version: 1\nattributes: {}\n"), @"coverage.yaml: `attributes` is empty: add a value or remove it");
        insta::assert_snapshot!(said("version: 1\nattributes: {tone: {values: {}}}\n"), @"coverage.yaml: `tone.values` is empty: add a value or remove it");
        insta::assert_snapshot!(said("version: 1\nattributes: {tone: {values: {a: -1}}}\n"), @"coverage.yaml: `tone.values.a` is -1: a weight is a number above 0");
        insta::assert_snapshot!(said("version: 1\nattributes: {tone: {quota: 0.3, values: {a: 1, b: 1}}}\n"), @"coverage.yaml: `tone.quota` is 0.3: with 2 values it lies between 0.5000 and 1");
        insta::assert_snapshot!(said(""), @"coverage.yaml:1: unexpected end of input at line 1, column 1");
        assert!(matches!(parse(&" ".repeat(MAX_BYTES + 1)), Err(CoverageError::TooLarge { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn shares_add_up_and_keep_the_quota(weights in proptest::collection::vec(1e-3_f64..1e3, 1..20), tight in 0.0_f64..1.0) {
            let least = 1.0 / weights.len() as f64;
            let quota = least + (1.0 - least) * tight;
            let named = weights.iter().enumerate().map(|(n, weight)| (format!("v{n:02}"), *weight)).collect();
            let shares = capped(named, quota);
            let total: f64 = shares.iter().map(|(_, share)| share).sum();
            prop_assert!((total - 1.0).abs() < 1e-6, "{total}");
            prop_assert!(shares.iter().all(|(_, share)| *share <= quota + 1e-9 && *share > 0.0));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
            let _ = parse(&text);
        }
    }
}
