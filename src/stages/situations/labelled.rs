//! How well casting and naming see what a description says, measured on 300 descriptions of our own.
//!
//! The labels were written from the text alone. Rules are tuned on every other row and measured on the rest as well, so
//! that what was learnt by heart shows. Gender and culture are what the words say, not what a carried name suggests; where
//! a text names two cultures either will do; where `domain` holds `null`, none is right too.

use serde::Deserialize;

use super::casting::domain_of_text;
use super::names::seen::{SeenNames, seen};
use crate::stages::Progress;
use crate::stages::personas::{self, PersonaOptions, PersonaSource};
use crate::stages::writer::CollectedFates;

const LABELLED: &str = include_str!("../../../tests/fixtures/personas/labelled.jsonl");
const SHIPPED: [&str; 2] = [
    include_str!("../../../prompts/personas/personahub-placeholder.jsonl"),
    include_str!("../../../prompts/personas/quickstart.jsonl"),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    persona: String,
    is_person: bool,
    /// What a row is that is no person; read so that every row has it.
    kind: String,
    gender: Option<char>,
    culture: Vec<String>,
    carried_name: Option<String>,
    domain: Vec<Option<String>>,
}

/// Hits, false alarms and misses of one question.
#[derive(Debug, Default, Clone)]
struct Score {
    right: usize,
    wrong: usize,
    missed: usize,
}

impl Score {
    /// `said` is an answer if there was one; `wanted` whether an answer was due; `fits` whether the one given is right.
    fn add(&mut self, said: Option<&str>, wanted: bool, fits: bool) {
        match said {
            Some(_) if fits => self.right += 1,
            Some(_) => self.wrong += 1,
            None => {}
        }
        if wanted && !(said.is_some() && fits) {
            self.missed += 1;
        }
    }

    fn precision(&self) -> f64 {
        self.right as f64 / (self.right + self.wrong).max(1) as f64
    }

    fn recall(&self) -> f64 {
        self.right as f64 / (self.right + self.missed).max(1) as f64
    }

    fn f1(&self) -> f64 {
        let (precision, recall) = (self.precision(), self.recall());
        2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE)
    }
}

const QUESTIONS: [&str; 6] = ["a person", "no person", "gender", "culture", "carried name", "domain"];

fn labels() -> Vec<Label> {
    LABELLED.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Every description there is: the labelled ones, then those that ship.
pub(super) fn descriptions() -> Vec<String> {
    let lines = LABELLED.lines().chain(SHIPPED.into_iter().flat_map(str::lines));
    let rows = lines.map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    rows.map(|row| row["persona"].as_str().unwrap().to_owned()).collect()
}

fn passes(row: &Label) -> bool {
    let line = serde_json::json!({ "persona": row.persona }).to_string();
    let options = PersonaOptions {
        sample: None,
        skip: 0,
        min_chars: 1,
        max_chars: 2000,
        seed: 1,
        shard: None,
        splits: [].into(),
    };
    let source = PersonaSource::BuiltIn(Box::leak(line.into_boxed_str()));
    personas::read(&source, &options, &Progress::default(), &mut CollectedFates::default()).is_ok()
}

fn measured<'a>(rows: impl Iterator<Item = &'a Label>) -> [Score; 6] {
    let mut scores: [Score; 6] = Default::default();
    let [person, other, gender, culture, name, domain] = &mut scores;
    for row in rows {
        let passes = passes(row);
        person.add(passes.then_some("person"), row.is_person, row.is_person);
        other.add((!passes).then_some("no person"), !row.is_person, !row.is_person);
        if !row.is_person {
            continue;
        }
        let SeenNames { gender: sex, region, carried } = seen(&row.persona);
        let sex = sex.map(|sex| if sex { "f" } else { "m" });
        gender.add(sex, row.gender.is_some(), sex.and_then(|sex| sex.chars().next()) == row.gender);
        culture.add(
            region,
            !row.culture.is_empty(),
            region.is_some_and(|region| row.culture.iter().any(|c| c == region)),
        );
        name.add(carried.as_deref(), row.carried_name.is_some(), carried == row.carried_name);
        let field = domain_of_text(&row.persona);
        let due = !row.domain.contains(&None);
        domain.add(field, due, row.domain.iter().any(|one| one.as_deref() == field));
    }
    scores
}

#[test]
fn descriptions_are_understood() {
    let rows = labels();
    assert_eq!(rows.len(), 300);
    assert!(rows.iter().all(|row| row.is_person == (row.kind == "person")));
    let parity = |odd: usize| rows.iter().enumerate().filter(move |(at, _)| at % 2 == odd).map(|(_, row)| row);
    let (tuned, held_out) = (measured(parity(0)), measured(parity(1)));
    let mut table = vec![format!("{:14}  {:^24}  {:^24}", "", "tuned on", "held out")];
    table.push(format!("{:14}{}", "", format!("{:>10}{:>8}{:>8}", "precision", "recall", "F1").repeat(2)));
    for ((question, one), two) in QUESTIONS.iter().zip(&tuned).zip(&held_out) {
        let figures = [one, two].map(|s| format!("{:>10.3}{:>8.3}{:>8.3}", s.precision(), s.recall(), s.f1()));
        table.push(format!("{question:14}{}", figures.concat()));
    }
    println!("{}", table.join("\n"));
    for (question, score) in QUESTIONS.iter().zip(&held_out) {
        // What a life turns around is a matter of taste at its edges.
        let least = if *question == "domain" { 0.85 } else { 0.9 };
        assert!(score.f1() >= least, "{question}: F1 {:.3} on the rows held out", score.f1());
    }
}
