//! Every figure of the report in the order of its page: its key, its name, and which way it points.

use super::figures::CorpusFigures;

/// How a figure is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A number with two digits after the point.
    Number,
    /// A whole number.
    Count,
    /// A share from 0 to 1, as a percentage.
    Share,
}

/// One figure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FigureEntry {
    /// The heading it stands under.
    pub group: &'static str,
    /// Its key in `--json`.
    pub key: &'static str,
    /// Its name on the page.
    pub label: &'static str,
    /// How it is written.
    pub form: Form,
    /// Whether two corpora of different size compare by it.
    pub comparable: bool,
    /// What it says when it is high or low.
    pub reading: &'static str,
    /// Its value.
    pub get: fn(&CorpusFigures) -> Option<f64>,
}

const fn number(
    group: &'static str,
    key: &'static str,
    label: &'static str,
    reading: &'static str,
    get: fn(&CorpusFigures) -> Option<f64>,
) -> FigureEntry {
    FigureEntry { group, key, label, form: Form::Number, comparable: true, reading, get }
}

const fn percent(
    group: &'static str,
    key: &'static str,
    label: &'static str,
    reading: &'static str,
    get: fn(&CorpusFigures) -> Option<f64>,
) -> FigureEntry {
    FigureEntry { group, key, label, form: Form::Share, comparable: true, reading, get }
}

const fn alone(entry: FigureEntry) -> FigureEntry {
    FigureEntry { comparable: false, ..entry }
}

const fn count(entry: FigureEntry) -> FigureEntry {
    FigureEntry { form: Form::Count, ..alone(entry) }
}

const LENGTH: &str = "length";
const PHRASES: &str = "openings and endings";
const FLOOR: &str = "who holds the floor";
const WORDS: &str = "variety of words";
const REPEATS: &str = "repetition across conversations";
const COHESION: &str = "cohesion";

/// The figures. Keys are stable.
pub(crate) const CATALOGUE: &[FigureEntry] = &[
    count(number(LENGTH, "conversations", "conversations", "", |f| Some(f.conversations as f64))),
    count(number(LENGTH, "turns", "turns", "", |f| Some(f.turns as f64))),
    number(LENGTH, "people", "people per conversation", "", |f| f.people),
    number(LENGTH, "turns_mean", "turns per conversation", "mean", |f| Some(f.turns_per_conversation.mean)),
    number(LENGTH, "turns_q1", "  a quarter below", "", |f| Some(f.turns_per_conversation.q1)),
    number(LENGTH, "turns_median", "  half below", "", |f| Some(f.turns_per_conversation.median)),
    number(LENGTH, "turns_q3", "  a quarter above", "", |f| Some(f.turns_per_conversation.q3)),
    number(LENGTH, "turns_p90", "  a tenth above", "", |f| Some(f.turns_per_conversation.p90)),
    number(LENGTH, "words_mean", "words per turn", "mean", |f| Some(f.words_per_turn.mean)),
    number(LENGTH, "words_q1", "  a quarter below", "", |f| Some(f.words_per_turn.q1)),
    number(LENGTH, "words_median", "  half below", "", |f| Some(f.words_per_turn.median)),
    number(LENGTH, "words_q3", "  a quarter above", "", |f| Some(f.words_per_turn.q3)),
    number(LENGTH, "words_p90", "  a tenth above", "", |f| Some(f.words_per_turn.p90)),
    percent(PHRASES, "distinct_openers", "different openers", "first 3 words; low: all begin alike", |f| {
        f.distinct_openers
    }),
    percent(PHRASES, "distinct_turn_openers", "of every turn", "the same of all turns", |f| f.distinct_turn_openers),
    percent(PHRASES, "distinct_endings", "different endings", "last 3 words; low: all end alike", |f| {
        f.distinct_endings
    }),
    percent(PHRASES, "closings", "end with goodbye", "high: formulaic endings", |f| f.closings),
    percent(PHRASES, "closing_loops", "end in a loop of them", "last 3 turns; 0 is right", |f| f.closing_loops),
    number(FLOOR, "gini_turns", "Gini of turns", "0 equal shares, near 1 one voice", |f| f.gini_turns),
    number(FLOOR, "gini_words", "Gini of words", "the same by words", |f| f.gini_words),
    percent(FLOOR, "silent", "silent people", "of those in the room", |f| f.silent),
    number(FLOOR, "floor_entropy", "floor entropy", "1 equal shares, 0 one voice", |f| f.floor_entropy),
    number(FLOOR, "turn_taking", "turn taking", "1: it changes after every line", |f| f.turn_taking),
    percent(FLOOR, "returns", "A-B-A returns", "high: two talk; low: going round", |f| f.returns),
    percent(FLOOR, "reciprocal_pairs", "pairs that answer", "low: a fixed order", |f| f.reciprocal_pairs),
    number(WORDS, "mtld", "MTLD, mean", "of 50 words or more; low: poor", |f| f.mtld),
    number(WORDS, "mtld_median", "MTLD, median", "", |f| f.mtld_median),
    number(WORDS, "mtld_from_ten", "MTLD, segments of 10+", "as lexical-diversity counts", |f| f.mtld_from_ten),
    number(WORDS, "mtld_first_100", "MTLD, first 100 words", "whatever the length", |f| f.mtld_first_100),
    number(WORDS, "mtld_corpus", "MTLD, sample", "all as one text", |f| f.mtld_corpus),
    percent(WORDS, "distinct_1", "distinct words", "of all; low: poor, very high: noise", |f| f.distinct_1),
    percent(WORDS, "distinct_2", "distinct pairs", "low: set phrases", |f| f.distinct_2),
    percent(WORDS, "distinct_3", "distinct triples", "low: set phrases", |f| f.distinct_3),
    percent(WORDS, "words_once", "words that occur once", "high: misspellings, noise", |f| f.words_once),
    number(REPEATS, "self_repetition", "self-repetition", "high: 4-grams recur elsewhere", |f| f.self_repetition),
    number(REPEATS, "gzip_ratio", "gzip ratio", "high: says the same again", |f| f.gzip_ratio),
    number(REPEATS, "zstd_ratio", "zstd ratio", "the same, however far apart", |f| f.zstd_ratio),
    alone(number(REPEATS, "zstd_ratio_all", "zstd ratio, all text", "grows with the corpus", |f| f.zstd_ratio_all)),
    alone(percent(REPEATS, "near_duplicates", "near-duplicates", "Jaccard 0.7 with an earlier one", |f| {
        f.near_duplicates
    })),
    number(COHESION, "cohesion", "neighbours share", "low: lines pass each other by", |f| f.cohesion),
    number(COHESION, "cohesion_of_order", "against any order", "near 1: order means nothing", |f| f.cohesion_of_order),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_are_unique_and_lines_fit() {
        let keys: HashSet<&str> = CATALOGUE.iter().map(|entry| entry.key).collect();
        assert_eq!(keys.len(), CATALOGUE.len());
        for entry in CATALOGUE {
            assert!(entry.label.len() <= 24 && entry.reading.len() <= 40, "{}", entry.key);
        }
    }
}
