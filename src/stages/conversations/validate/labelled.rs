//! What the gates that go by word lists make of the clean talk of `tests/fixtures/talk`, pinned: which replies are kept, and
//! with them the conversations of earlier versions, depends on it.

use super::agreement::Agreement;
use super::language::Home;
use super::secret::{PriorKnowledge, Secrets};
use super::words::{SpokenWords, count};
use super::{ai_talk, closing};
use crate::prompt::reading;

const TALKS: [(&str, &str); 3] = [
    ("en", include_str!("../../../../tests/fixtures/talk/en.txt")),
    ("de", include_str!("../../../../tests/fixtures/talk/de.txt")),
    ("zh", include_str!("../../../../tests/fixtures/talk/zh.txt")),
];

/// What is said, without the names in front.
fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.split_once([':', '：']).map_or(line, |(_, said)| said.trim()))
}

/// Every line whole, and its first words, which agree or take leave more often than whole lines.
fn openings(text: &'static str) -> impl Iterator<Item = String> {
    let cut =
        |line: &'static str| (1..=6).map(move |count| line.split_inclusive([' ', '，', '。']).take(count).collect());
    lines(text).flat_map(move |line| cut(line).chain([line.to_owned()]))
}

fn only_agrees(tag: &str, line: &str, names: &[&str]) -> bool {
    Agreement::of_language(tag).is_some_and(|agreement| agreement.is_all_of(line, &SpokenWords::of(line), names))
}

fn is_foreign(tag: &str, line: &str, names: &[&str]) -> bool {
    Home::new(tag, names.to_vec()).is_foreign(line, &SpokenWords::of(line), 0)
}

/// Whether `line` tells what someone else alone knows.
fn tells(tag: &str, line: &str, secret: &str) -> bool {
    let known = PriorKnowledge::read(["They wait. Sie warten. 他们在等。"].into_iter());
    let secrets = Secrets::new(tag, [(0, secret)].into_iter());
    secrets.told_by(1, &SpokenWords::of(line), &|| &known, &std::iter::empty())
}

fn judged(tag: &str, line: &str, before: &str) -> String {
    let names = ["Ingrid", "Volker Haas", "Joan", "王伟"];
    format!(
        "{} {} {} {} {}",
        only_agrees(tag, line, &names),
        closing::is_closing(line),
        is_foreign(tag, line, &names),
        ai_talk::speaks_as_model(line) || reading::line(line, &mut Vec::new()).is_err(),
        tells(tag, line, before),
    )
}

fn hash(tag: &str) -> String {
    let judged: Vec<String> = TALKS
        .into_iter()
        .flat_map(|(_, text)| {
            let lines: Vec<String> = openings(text).collect();
            let pairs = lines.iter().zip(lines.iter().skip(1));
            pairs.map(|(before, line)| judged(tag, line, before)).collect::<Vec<_>>()
        })
        .collect();
    crate::record::content_hash(judged.iter().map(String::as_str))
}

#[test]
fn clean_talk_in_spanish_is_left_alone() {
    let talk = include_str!("../../../../tests/fixtures/talk/es.txt");
    for line in lines(talk) {
        assert!(!only_agrees("es", line, &["Iker", "Rosario", "Lucía"]), "{line}");
        assert!(!closing::is_closing(line) && !is_foreign("es", line, &[]), "{line}");
        assert!(!ai_talk::speaks_as_model(line), "{line}");
    }
}

#[test]
fn what_is_made_of_clean_talk_stays_what_it_was() {
    assert!(TALKS.iter().all(|(_, text)| lines(text).all(|line| count(line) > 0)));
    insta::assert_snapshot!(hash("en"), @"2e953832f0442ce8dba6d0d32e91ebc3");
    insta::assert_snapshot!(hash("de"), @"3a85a017b3b26c2f7a1b48b89cdfa14b");
    insta::assert_snapshot!(hash("zh"), @"0ae00ee67fe61b3fefb8da23ab4eeb13");
    insta::assert_snapshot!(hash("fr"), @"a16a2ed39941519bcf818df02487e781");
}
