//! Relations that cannot hold both ways: nobody is the mother of their mother.
//!
//! A small table of English words; a type that is not in it contradicts nothing. Former relations ("ex-boss") are not in it on
//! purpose: roles do change.

use super::draft::Tie;

/// Words for the one side and for the other. Whether a type describes `from` or `to` does not matter here, as long as one
/// situation means the same throughout.
const SIDES: &[(&[&str], &[&str])] = &[
    (
        &[
            "mother",
            "father",
            "parent",
            "mum",
            "mom",
            "dad",
            "stepmother",
            "stepfather",
            "foster mother",
            "foster father",
            "grandmother",
            "grandfather",
            "grandparent",
            "aunt",
            "uncle",
            "godmother",
            "godfather",
            "guardian",
            "mother-in-law",
            "father-in-law",
        ],
        &[
            "son",
            "daughter",
            "child",
            "stepson",
            "stepdaughter",
            "foster son",
            "foster daughter",
            "grandson",
            "granddaughter",
            "grandchild",
            "niece",
            "nephew",
            "godson",
            "goddaughter",
            "ward",
            "son-in-law",
            "daughter-in-law",
        ],
    ),
    (
        &["older brother", "older sister", "elder brother", "elder sister", "big brother", "big sister"],
        &["younger brother", "younger sister", "little brother", "little sister"],
    ),
    (
        &["boss", "manager", "supervisor", "employer", "line manager", "head chef", "foreman"],
        &["employee", "subordinate", "assistant", "report", "direct report", "intern"],
    ),
    (&["teacher", "tutor", "professor", "instructor"], &["student", "pupil", "tutee"]),
    (&["mentor", "master"], &["mentee", "apprentice"]),
    (&["coach", "trainer"], &["player", "trainee", "athlete"]),
    (&["doctor", "nurse", "therapist", "dentist", "midwife"], &["patient"]),
    (&["landlord", "landlady"], &["tenant", "lodger"]),
    (&["lawyer", "accountant", "social worker"], &["client"]),
    (&["seller", "shopkeeper"], &["customer", "buyer"]),
    (&["creditor", "lender"], &["debtor", "borrower"]),
];

/// Rows of [`SIDES`] in which nobody can come round to themselves: elder siblings, superiors.
const LADDERS: [usize; 2] = [1, 2];

/// Forebears and their descendants: each older than the next, so that no chain of them comes round. Steps, guardians, aunts
/// and in-laws may be younger than those they are set over.
const LINE: (&[&str], &[&str]) = (
    &["mother", "father", "parent", "mum", "mom", "dad", "grandmother", "grandfather", "grandparent"],
    &["son", "daughter", "child", "grandson", "granddaughter", "grandchild"],
);

/// Kinds of which two people stand in one at most, whichever of them it is told from.
const EXCLUSIVE: &[&[&str]] = &[
    &["sibling", "siblings", "brother", "sister", "twin", "twins", "twin brother", "twin sister", "half-brother", "half-sister",
      "older brother", "older sister", "elder brother", "elder sister", "big brother", "big sister", "younger brother",
      "younger sister", "little brother", "little sister"],
    &["cousin", "cousins"],
    &["husband", "wife", "spouse", "spouses", "married", "married to", "married couple"],
    &["mother", "father", "parent", "mum", "mom", "dad", "grandmother", "grandfather", "grandparent", "son", "daughter", "child",
      "grandson", "granddaughter", "grandchild"],
    &["aunt", "uncle", "niece", "nephew"],
    &["stranger", "strangers"],
];
/// The place of spouses in [`EXCLUSIVE`].
const SPOUSES: usize = 2;

/// Why the last of `ties` can't hold besides the earlier ones, if it can't: the earlier one it contradicts, or `None` where it
/// takes several to see that the chain of elders, or of superiors, comes round to where it started.
pub(super) fn contradiction<'a>(earlier: &'a [Tie], tie: &Tie) -> Option<Option<&'a Tie>> {
    let one = earlier.iter().find(|other| contradict(other, tie) || exclude(other, tie) || second_spouse(other, tie));
    one.map(Some).or_else(|| comes_round(earlier, tie).then_some(None))
}

/// Whether two relations between the same people cannot both be true: one is the mother of the other, and the other of the one.
fn contradict(one: &Tie, other: &Tie) -> bool {
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
fn exclude(one: &Tie, other: &Tie) -> bool {
    let kinds = kind(&one.r#type).zip(kind(&other.r#type));
    partners(one, other) && kinds.is_some_and(|(one, other)| one != other)
}

/// Whether someone is married to two.
fn second_spouse(one: &Tie, other: &Tie) -> bool {
    let married = [one, other].iter().all(|tie| kind(&tie.r#type) == Some(SPOUSES));
    let shared = [&one.from, &one.to].iter().any(|name| **name == other.from || **name == other.to);
    married && shared && !partners(one, other)
}

/// Whether both are about the same two people.
fn partners(one: &Tie, other: &Tie) -> bool {
    one.from == other.from && one.to == other.to || one.from == other.to && one.to == other.from
}

/// Whether `tie` closes a circle of people each older than the next, or each the superior of the next.
fn comes_round(earlier: &[Tie], tie: &Tie) -> bool {
    let closes = |step: &dyn Fn(&Tie) -> Option<(usize, usize)>, names: &[&str]| {
        let steps: Vec<(usize, usize)> = earlier.iter().filter_map(step).collect();
        step(tie).is_some_and(|(high, low)| {
            let mut reached = vec![low];
            let mut at = 0;
            while let Some(here) = reached.get(at).copied() {
                at += 1;
                for (_, next) in steps.iter().filter(|(from, _)| *from == here) {
                    if !reached.contains(next) {
                        reached.push(*next);
                    }
                }
            }
            names.len() > 2 && reached.contains(&high)
        })
    };
    let mut names: Vec<&str> = earlier.iter().chain([tie]).flat_map(|tie| [tie.from.as_str(), tie.to.as_str()]).collect();
    names.sort_unstable();
    names.dedup();
    let place = |name: &str| names.binary_search(&name).unwrap_or_default();
    let ends = |tie: &Tie, down: bool| {
        let (from, to) = (place(&tie.from), place(&tie.to));
        if down { (from, to) } else { (to, from) }
    };
    let older = |tie: &Tie| elder(&tie.r#type).map(|down| ends(tie, down));
    let above = |tie: &Tie| side(&tie.r#type).filter(|(row, _)| *row == LADDERS[1]).map(|(_, down)| ends(tie, down));
    closes(&older, &names) || closes(&above, &names)
}

/// Whether a type names the elder; `None` where it says nothing of age.
fn elder(kind: &str) -> Option<bool> {
    let word = plain(kind);
    let line = LINE.0.contains(&word.as_str()).then_some(true).or(LINE.1.contains(&word.as_str()).then_some(false));
    line.or_else(|| side(kind).filter(|(row, _)| *row == LADDERS[0]).map(|(_, left)| left))
}

/// The place of a type in [`EXCLUSIVE`].
fn kind(kind: &str) -> Option<usize> {
    let word = plain(kind);
    EXCLUSIVE.iter().position(|words| words.contains(&word.as_str()))
}

/// A type without case, underscores and the `of` behind it.
fn plain(kind: &str) -> String {
    let kind = kind.trim().to_lowercase().replace('_', " ");
    kind.strip_suffix(" of").unwrap_or(&kind).to_owned()
}

/// The row of [`SIDES`] that knows a type, and whether it is on its left side.
fn side(kind: &str) -> Option<(usize, bool)> {
    let kind = plain(kind);
    let kind = kind.as_str();
    let mut rows = SIDES.iter().enumerate();
    rows.find_map(|(row, (left, right))| match (left.contains(&kind), right.contains(&kind)) {
        (true, _) => Some((row, true)),
        (_, true) => Some((row, false)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tie(from: &str, to: &str, kind: &str) -> Tie {
        Tie { from: from.to_owned(), to: to.to_owned(), r#type: kind.to_owned(), text: String::new() }
    }

    #[test]
    fn what_points_one_way_cannot_point_back() {
        for (one, other, contradictory) in [
            (tie("a", "b", "mother"), tie("b", "a", "Mother of"), true),
            (tie("a", "b", "mother"), tie("b", "a", "grandfather"), true),
            (tie("a", "b", "mother"), tie("a", "b", "daughter"), true),
            (tie("a", "b", "mother"), tie("b", "a", "daughter"), false),
            (tie("a", "b", "mother"), tie("b", "c", "mother"), false),
            (tie("a", "b", "mother"), tie("b", "a", "boss"), false),
            (tie("a", "b", "ex-boss"), tie("b", "a", "boss"), false),
            (tie("a", "b", "friend"), tie("b", "a", "friend"), false),
        ] {
            assert_eq!(contradict(&one, &other), contradictory, "{one:?} {other:?}");
            assert_eq!(contradict(&other, &one), contradictory, "{other:?} {one:?}");
        }
    }

    #[test]
    fn no_word_stands_on_two_sides() {
        let mut words: Vec<&str> = SIDES.iter().flat_map(|(left, right)| left.iter().chain(*right)).copied().collect();
        let all = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), all);
    }
}
