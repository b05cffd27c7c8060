//! Relations that cannot hold together: nobody is the mother of their mother, nor older than themselves by way of others, nor
//! married to two, nor sibling and cousin of the same person.
//!
//! The words are in `prompts/lexicons/relations`, a file a language; a type that is in none of them contradicts nothing.

use super::draft::DraftRelation;
use crate::lexicon::{Lexicon, List};

static RELATIONS: Lexicon = Lexicon::folder("relations");
/// What stands behind a type and is no part of it.
static OF: List = RELATIONS.list("of");

/// Headings of types that are said of the one side and of the other. Whether a type describes `from` or `to` does not matter
/// here, as long as one situation means the same throughout.
const SIDES: &[(&[&str], &[&str])] = &[
    (&["forebears", "elders", "aunts and uncles"], &["descendants", "juniors", "nieces and nephews"]),
    (&["elder siblings"], &["younger siblings"]),
    (&["superiors"], &["subordinates"]),
    (&["teachers"], &["students"]),
    (&["mentors"], &["mentees"]),
    (&["coaches"], &["players"]),
    (&["doctors"], &["patients"]),
    (&["landlords"], &["tenants"]),
    (&["advisers"], &["clients"]),
    (&["sellers"], &["buyers"]),
    (&["lenders"], &["borrowers"]),
];

/// The row of [`SIDES`] with elder and younger siblings.
const SIBLINGS: usize = 1;
/// The row with superiors and those they lead.
const WORK: usize = 2;

/// Kinds of which two people stand in one at most, whichever of them it is told from.
const EXCLUSIVE: &[&[&str]] = &[
    &["siblings", "elder siblings", "younger siblings"],
    &["cousins"],
    &["spouses"],
    &["forebears", "descendants"],
    &["aunts and uncles", "nieces and nephews"],
    &["strangers"],
];
/// The place of spouses in [`EXCLUSIVE`].
const SPOUSES: usize = 2;

/// What a relation can't hold besides.
#[derive(Debug, Clone, Copy)]
pub(super) enum KinshipConflict<'a> {
    /// Another one that says otherwise.
    With(&'a DraftRelation),
    /// Several together: the chain of elders, or of superiors, would come round to where it started.
    Chain,
}

/// Why `tie` can't hold besides the earlier ones, if it can't.
pub(super) fn contradiction<'a>(earlier: &'a [DraftRelation], tie: &DraftRelation) -> Option<KinshipConflict<'a>> {
    let one = earlier.iter().find(|other| contradict(other, tie) || exclude(other, tie) || second_spouse(other, tie));
    one.map(KinshipConflict::With).or_else(|| comes_round(earlier, tie).then_some(KinshipConflict::Chain))
}

/// Whether two relations between the same people cannot both be true: one is the mother of the other, and the other of the one.
fn contradict(one: &DraftRelation, other: &DraftRelation) -> bool {
    let same_way = one.from == other.from && one.to == other.to;
    let other_way = one.from == other.to && one.to == other.from;
    match (side(&one.r#type), side(&other.r#type)) {
        (Some((table, left)), Some((same_table, same_left))) if table == same_table => {
            (same_way && left != same_left) || (other_way && left == same_left)
        }
        _ => false,
    }
}

/// Whether the same two people are said to be siblings and cousins, spouses and strangers.
fn exclude(one: &DraftRelation, other: &DraftRelation) -> bool {
    let kinds = kind(&one.r#type).zip(kind(&other.r#type));
    partners(one, other) && kinds.is_some_and(|(one, other)| one != other)
}

/// Whether someone is married to two.
fn second_spouse(one: &DraftRelation, other: &DraftRelation) -> bool {
    let married = [one, other].iter().all(|tie| kind(&tie.r#type) == Some(SPOUSES));
    let shared = [&one.from, &one.to].iter().any(|name| **name == other.from || **name == other.to);
    married && shared && !partners(one, other)
}

/// Whether both are about the same two people.
fn partners(one: &DraftRelation, other: &DraftRelation) -> bool {
    one.from == other.from && one.to == other.to || one.from == other.to && one.to == other.from
}

/// Whether `tie` closes a circle of people each older than the next, or each the superior of the next.
fn comes_round(earlier: &[DraftRelation], tie: &DraftRelation) -> bool {
    closes(earlier, tie, elder) || closes(earlier, tie, superior)
}

/// Whether from the lower end of `tie` a way down leads to its upper end. `down` says whether a type leads from the upper to
/// the lower of two people, if it does either.
fn closes(earlier: &[DraftRelation], tie: &DraftRelation, down: fn(&str) -> Option<bool>) -> bool {
    let step = |tie: &DraftRelation| {
        let (from, to) = (tie.from.clone(), tie.to.clone());
        down(&tie.r#type).map(|down| if down { (from, to) } else { (to, from) })
    };
    let Some((top, bottom)) = step(tie) else { return false };
    let steps: Vec<(String, String)> = earlier.iter().filter_map(step).collect();
    let mut reached = vec![bottom];
    let mut at = 0;
    while let Some(here) = reached.get(at).cloned() {
        let next = steps.iter().filter(|(upper, _)| *upper == here).map(|(_, lower)| lower.clone());
        let new: Vec<String> = next.filter(|lower| !reached.contains(lower)).collect();
        reached.extend(new);
        at += 1;
    }
    reached.contains(&top)
}

/// Whether a type names the superior; `None` where it says nothing of rank at work.
fn superior(kind: &str) -> Option<bool> {
    side(kind).filter(|(row, _)| *row == WORK).map(|(_, left)| left)
}

/// Whether a type names the elder; `None` where it says nothing of age. Of the family it is forebears and their descendants
/// alone: steps, guardians, aunts and in-laws may be younger than those they are set over.
fn elder(kind: &str) -> Option<bool> {
    match heading(kind)? {
        "forebears" => Some(true),
        "descendants" => Some(false),
        _ => side(kind).filter(|(row, _)| *row == SIBLINGS).map(|(_, left)| left),
    }
}

/// The place of a type in [`EXCLUSIVE`].
fn kind(kind: &str) -> Option<usize> {
    let heading = heading(kind)?;
    EXCLUSIVE.iter().position(|headings| headings.contains(&heading))
}

/// The row of [`SIDES`] that knows a type, and whether it is on its left side.
fn side(kind: &str) -> Option<(usize, bool)> {
    let heading = heading(kind)?;
    let mut rows = SIDES.iter().enumerate();
    rows.find_map(|(row, (left, right))| match (left.contains(&heading), right.contains(&heading)) {
        (true, _) => Some((row, true)),
        (_, true) => Some((row, false)),
        _ => None,
    })
}

/// The heading below which a type stands, whatever its case, with spaces or underscores, with or without `of` behind it.
fn heading(kind: &str) -> Option<&'static str> {
    let kind = kind.trim().to_lowercase().replace('_', " ");
    let bare = kind.rsplit_once(' ').filter(|(_, last)| OF.has(last)).map_or(kind.as_str(), |(kind, _)| kind);
    RELATIONS.headings().get(RELATIONS.marks(bare).places().next()?).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tie(from: &str, to: &str, kind: &str) -> DraftRelation {
        DraftRelation { from: from.to_owned(), to: to.to_owned(), r#type: kind.to_owned(), text: String::new() }
    }

    /// `a mother b, b son a`: a list of relations, in order.
    fn ties(text: &str) -> Vec<DraftRelation> {
        let parts = text.split(", ").map(|part| part.split_once(' ').unwrap());
        let ends = parts.map(|(from, rest)| (from, rest.rsplit_once(' ').unwrap()));
        ends.map(|(from, (kind, to))| tie(from, to, kind)).collect()
    }

    fn clash(ties: &[DraftRelation]) -> bool {
        (0..ties.len()).any(|at| contradiction(&ties[..at], &ties[at]).is_some())
    }

    #[test]
    fn what_cannot_hold_together_is_found_in_any_order() {
        for text in [
            "a mother b, b Mother of a",
            "a mother b, b grandfather a",
            "a mother b, a daughter b",
            "a father b, b father c, c father a",
            "a mother b, c daughter b, c mother a",
            "a grandmother b, b mother c, c parent a",
            "a mother b, b older sister c, c mother a",
            "a elder brother b, b big brother c, c elder brother a",
            "a parent b, b parent c, c parent d, d parent a",
            "a boss b, b boss a",
            "a boss b, b employee a, b manager a",
            "a boss b, b supervisor c, c manager a",
            "a manager b, c subordinate b, c head chef a",
            "a wife b, a wife c",
            "a husband b, c spouse b",
            "a married_to b, b married c",
            "a brother b, b cousin a",
            "a sister b, a wife b",
            "a stranger b, b cousin a",
            "a uncle b, b brother a",
            "a mother b, b twin a",
            "a spouse b, b son a",
            "a teacher b, b teacher a",
            "a doctor b, b doctor a",
            "a landlord b, b landlady a",
            "a lender b, b creditor a",
            "a coach b, b trainer a",
            "a madre b, b Madre de a",
            "a padre b, b mother a",
            "a abuela b, b madre c, c padre a",
            "a hermano mayor b, b hermana mayor a",
            "a jefa b, b encargado c, c jefe_de_cocina a",
            "a casado con b, a esposo c",
            "a tía b, b hermana a",
            "a casera b, b casero a",
        ] {
            let mut all = ties(text);
            assert!(clash(&all), "{text}");
            all.reverse();
            assert!(clash(&all), "{text}, backwards");
        }
    }

    #[test]
    fn what_can_hold_together_stands() {
        for text in [
            "a mother b, b daughter a",
            "a mother b, b mother c",
            "a mother b, a boss b",
            "a mother b, b boss a",
            "a boss b, a friend b",
            "a boss b, b boss c, a boss c",
            "a ex-boss b, b boss a",
            "a friend b, b friend a",
            "a friend b, b colleague a",
            "a brother b, b sister a",
            "a brother b, b brother c, c brother a",
            "a older sister b, b sister a",
            "a wife b, b husband a",
            "a wife b, c husband d",
            "a ex-wife b, c wife b",
            "a stepmother b, b friend a",
            "a uncle b, b uncle c, c uncle a",
            "a guardian b, a big sister b",
            "a teacher b, b boss a",
            "a doctor b, b landlord a",
            "a mother b, c mother b",
            "a cousin b, b cousin c, c cousin a",
            "a rival b, b neighbour a",
            "a strangers b, b customer a",
            "a madre b, b hija de a",
            "a tío b, b tío c, c tío a",
            "a suegra b, b amiga a",
            "a ex-esposa b, c esposa b",
            "a vendedora b, b cliente a",
        ] {
            assert!(!clash(&ties(text)), "{text}");
        }
    }

    proptest! {
        /// People in a drawn order of age: whatever is told of them along that order holds, and one tie against it does not.
        #[test]
        fn an_order_of_age_holds_and_a_tie_against_it_does_not(
            order in Just(vec!["a", "b", "c", "d", "e", "f"]).prop_shuffle(),
            picks in proptest::collection::vec((0_usize..6, 0_usize..6, any::<bool>()), 0..20),
        ) {
            let told: Vec<DraftRelation> = picks.into_iter().filter(|(one, two, _)| one < two).map(|(one, two, up)| {
                let (elder, younger) = (order[one], order[two]);
                if up { tie(younger, elder, "child") } else { tie(elder, younger, "parent") }
            }).collect();
            prop_assert!(!clash(&told));
            let mut chain: Vec<DraftRelation> = order.windows(2).map(|pair| tie(pair[0], pair[1], "mother")).collect();
            chain.extend(told);
            chain.push(tie(order[5], order[0], "father"));
            prop_assert!(clash(&chain));
        }
    }

    #[test]
    fn which_pairs_of_relations_hold_stays_what_it_was() {
        let kinds = [
            "mother",
            "father",
            "Parent of",
            "mum",
            "mom",
            "dad",
            "stepmother",
            "foster father",
            "grandmother",
            "aunt",
            "uncle",
            "godmother",
            "guardian",
            "mother-in-law",
            "son",
            "daughter",
            "child",
            "stepson",
            "foster daughter",
            "grandchild",
            "niece",
            "nephew",
            "godson",
            "ward",
            "son_in_law",
            "son-in-law",
            "older brother",
            "Elder_sister",
            "big brother",
            "younger sister",
            "little brother",
            "boss",
            "manager",
            "line manager",
            "head chef",
            "employee",
            "report",
            "direct report",
            "intern",
            "teacher",
            "professor",
            "student",
            "pupil",
            "mentor",
            "apprentice",
            "coach",
            "trainer",
            "player",
            "doctor",
            "nurse",
            "patient",
            "landlord",
            "tenant",
            "lodger",
            "lawyer",
            "client",
            "seller",
            "customer",
            "buyer",
            "creditor",
            "debtor",
            "sibling",
            "brother",
            "twins",
            "half-sister",
            "cousin",
            "cousins",
            "husband",
            "wife",
            "spouse of",
            "married_to",
            "married couple",
            "stranger",
            "strangers",
            "friend",
            "ex-boss",
            "",
        ];
        let judged = kinds.iter().flat_map(|one| {
            let pairs = kinds.iter().map(move |two| {
                let ends = [("a", "b"), ("b", "a"), ("b", "c"), ("c", "a")];
                let clashes =
                    ends.map(|(from, to)| clash(&[tie("a", "b", one), tie("b", "c", "friend"), tie(from, to, two)]));
                format!("{one}, {two}: {clashes:?}")
            });
            pairs.collect::<Vec<_>>()
        });
        let judged: Vec<String> = judged.collect();
        insta::assert_snapshot!(crate::record::content_hash(judged.iter().map(String::as_str)), @"a948cb018e6679fab9058a997a9db836");
    }

    #[test]
    fn no_word_stands_on_two_sides_and_every_heading_is_known() {
        for (heading, word) in RELATIONS.pairs() {
            assert_eq!(RELATIONS.marks(word).places().count(), 1, "{word}");
            assert!(heading == "of" || side(word).or(kind(word).map(|kind| (kind, true))).is_some(), "{heading}");
        }
    }
}
