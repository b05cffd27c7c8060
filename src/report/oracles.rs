//! Each metric against the numbers of published implementations, frozen by `tests/fixtures/metrics/oracles.py`.

use serde::Deserialize;

use super::cohesion::set;
use super::compression;
use super::distribution::Histogram;
use super::diversity::{Rule, distinct, effective_number, mtld, self_repetition};
use super::floor::{entropy, gini};

#[derive(Deserialize)]
struct Oracles {
    mtld: Vec<Lexical>,
    distinct: std::collections::BTreeMap<usize, f64>,
    self_repetition: f64,
    vendi_order_2: f64,
    gzip_9_bytes: f64,
    numbers: Vec<Numbers>,
    shares: Vec<Shares>,
}

#[derive(Deserialize)]
struct Lexical {
    tokens: Vec<String>,
    lexicalrichness: f64,
    #[serde(rename = "lexical_diversity")]
    diversity: f64,
}

#[derive(Deserialize)]
struct Numbers {
    left: Vec<u64>,
    right: Vec<u64>,
    mean: f64,
    q1: f64,
    median: f64,
    q3: f64,
    p90: f64,
    ks: f64,
}

#[derive(Deserialize)]
struct Shares {
    counts: Vec<u64>,
    gini: f64,
    entropy: f64,
}

fn oracles() -> Oracles {
    serde_json::from_str(include_str!("../../tests/fixtures/metrics/oracles.json")).unwrap()
}

fn ids(tokens: &[String]) -> Vec<u64> {
    tokens.iter().map(|token| xxhash_rust::xxh3::xxh3_64(token.as_bytes())).collect()
}

/// The edge cases, which come first, are of MTLD alone.
const EDGES: usize = 6;

fn documents(oracles: &Oracles) -> Vec<Vec<u64>> {
    oracles.mtld.iter().skip(EDGES).map(|row| ids(&row.tokens)).collect()
}

#[track_caller]
fn assert_near(found: Option<f64>, expected: f64, what: &str) {
    let found = found.unwrap_or(f64::NAN);
    assert!(
        (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
        "{what}: {found}, but the oracle says {expected}"
    );
}

#[test]
fn mtld_is_that_of_two_packages() {
    let rows = oracles().mtld;
    assert!(rows.len() > 15);
    for row in rows {
        let words = ids(&row.tokens);
        let start = row.tokens.iter().take(5).cloned().collect::<Vec<_>>().join(" ");
        assert_near(mtld(&words, Rule::AtOrBelow), row.lexicalrichness, &start);
        assert_near(mtld(&words, Rule::BelowFromTen), row.diversity, &start);
    }
    assert_eq!(mtld(&[], Rule::AtOrBelow), None);
}

#[test]
fn n_grams_are_counted_as_nltk_and_diversity_count_them() {
    let oracles = oracles();
    let documents = documents(&oracles);
    let documents: Vec<&[u64]> = documents.iter().map(Vec::as_slice).collect();
    for (n, expected) in &oracles.distinct {
        assert_near(distinct(&documents, *n), *expected, &format!("distinct-{n}"));
    }
    assert_near(self_repetition(&documents), oracles.self_repetition, "self-repetition");
}

#[test]
fn the_effective_number_is_the_vendi_score_of_order_two() {
    let oracles = oracles();
    let sets: Vec<Vec<u64>> = documents(&oracles).iter().map(|words| set(words)).collect();
    assert_near(effective_number(&sets), oracles.vendi_order_2, "vendi");
    let apart: Vec<Vec<u64>> = (0..4).map(|word| vec![word]).collect();
    assert_near(effective_number(&apart), 4.0, "the identity");
    assert_near(effective_number(&vec![vec![1, 2]; 5]), 1.0, "ones");
    assert_eq!(effective_number(&[]), None);
}

#[test]
fn numbers_are_summed_up_as_numpy_and_scipy_do() {
    for row in oracles().numbers {
        let (left, right): (Histogram, Histogram) =
            (row.left.iter().copied().collect(), row.right.iter().copied().collect());
        let found = left.distribution();
        for (found, expected) in [
            (found.mean, row.mean),
            (found.q1, row.q1),
            (found.median, row.median),
            (found.q3, row.q3),
            (found.p90, row.p90),
        ] {
            assert_near(Some(found), expected, &format!("{:?}", row.left));
        }
        assert_near(left.distance(&right), row.ks, "ks");
        assert_eq!(left.distance(&right), right.distance(&left));
        assert_eq!(left.distance(&left), Some(0.0));
    }
    assert_eq!(Histogram::default().distance(&Histogram::default()), None);
}

#[test]
fn shares_are_those_of_the_definitions() {
    for row in oracles().shares {
        assert_near(gini(&row.counts), row.gini, &format!("{:?}", row.counts));
        assert_near(entropy(&row.counts), row.entropy, &format!("{:?}", row.counts));
    }
}

/// Deflate leaves the encoder its choices: sizes agree within one in a hundred.
#[test]
fn gzip_is_as_tight_as_python_s() {
    let oracles = oracles();
    let documents: Vec<String> = oracles.mtld.iter().skip(EDGES).map(|row| row.tokens.join(" ")).collect();
    let text = documents.join("\n");
    let ratio = compression::gzip(&text).unwrap();
    let expected = text.len() as f64 / oracles.gzip_9_bytes;
    assert!((ratio / expected - 1.0).abs() < 0.01, "{ratio}, Python has {expected}");
    assert!(compression::zstd(&text).unwrap() > 1.0);
    assert_eq!(compression::gzip(""), None);
}
