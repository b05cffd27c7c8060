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

/// Whether two relations between the same people cannot both be true.
pub(super) fn contradict(one: &Tie, other: &Tie) -> bool {
    let same_way = one.from == other.from && one.to == other.to;
    let other_way = one.from == other.to && one.to == other.from;
    match (side(&one.r#type), side(&other.r#type)) {
        (Some((table, left)), Some((same_table, same_left))) if table == same_table => {
            (same_way && left != same_left) || (other_way && left == same_left)
        }
        _ => false,
    }
}

/// The row of [`SIDES`] that knows a type, and whether it is on its left side.
fn side(kind: &str) -> Option<(usize, bool)> {
    let kind = kind.trim().to_lowercase().replace('_', " ");
    let kind = kind.strip_suffix(" of").unwrap_or(&kind);
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
