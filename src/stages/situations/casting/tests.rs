use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const KINDS: [&str; 12] = [
    "A nurse on a night shift",
    "A surgeon in a clinic",
    "A patient student of physics",
    "A strict teacher of maths",
    "A young farmer with goats",
    "A baker of rye bread",
    "A football coach for juniors",
    "A fan of a football team",
    "A retired neighbour",
    "A mother of two",
    "A logical individual",
    "A software developer",
];

fn people(count: usize, splits: &[&str]) -> Vec<Persona> {
    let person = |n: usize| Persona {
        id: format!("p{n:010}"),
        persona: format!("{}, number {n}", KINDS[n * 7 % KINDS.len()]),
        name: None,
        domain: (n % 12 == 5).then(|| "apiculture".to_owned()),
        split: splits[n % splits.len()].to_owned(),
        source: String::new(),
        hash: String::new(),
    };
    (0..count).map(person).collect()
}

const MODES: [CastingMode; 3] = [CastingMode::Random, CastingMode::Domain, CastingMode::Anchor];

fn cast(people: &[Persona], mode: CastingMode) -> Cast {
    Cast::new(people, mode, GroupSize { min: 3, max: 5 }, 17).unwrap()
}

#[test]
fn a_group_keeps_to_its_split_and_has_no_one_twice() {
    let people = people(240, &["train", "train", "test"]);
    for mode in MODES {
        let cast = cast(&people, mode);
        for ordinal in (0..2_000).chain(u64::MAX - 3..=u64::MAX) {
            let group = cast.group(ordinal, None);
            assert!((3..=5).contains(&group.members.len()), "{mode:?} {ordinal}: {group:?}");
            assert!(group.members.iter().all(|member| people[*member].split == group.split));
            assert_eq!(group.members.iter().collect::<BTreeSet<_>>().len(), group.members.len());
            assert_eq!(cast.group(ordinal, None), group, "a pure function of the ordinal");
        }
    }
}

#[test]
fn splits_have_groups_in_proportion_to_their_people() {
    let people = people(300, &["train", "train", "test"]);
    let cast = cast(&people, CastingMode::Anchor);
    for upto in [3, 30, 300, 12_345] {
        let test = (0..upto).filter(|ordinal| cast.group(*ordinal, None).split == "test").count();
        assert!((test as f64 - upto as f64 / 3.0).abs() <= 1.0, "{test} of {upto}");
    }
}

#[test]
fn everyone_is_used_about_equally_often() {
    let people = people(600, &["train"]);
    for (mode, most) in [(CastingMode::Random, 1.1), (CastingMode::Domain, 1.7), (CastingMode::Anchor, 2.5)] {
        let cast = cast(&people, mode);
        let mut uses = vec![0_u32; people.len()];
        for ordinal in 0..3_000 {
            for member in cast.group(ordinal, None).members {
                uses[member] += 1;
            }
        }
        let mean = f64::from(uses.iter().sum::<u32>()) / uses.len() as f64;
        let (least, top) = (*uses.iter().min().unwrap(), *uses.iter().max().unwrap());
        assert!(f64::from(top) <= most * mean, "{mode:?}: {top} of {mean}");
        assert!(f64::from(least) >= mean / 4.0, "{mode:?}: {least} of {mean}");
    }
}

#[test]
fn the_modes_differ_in_what_members_share() {
    let people = people(600, &["train"]);
    let shared = |mode| {
        let cast = cast(&people, mode);
        let groups = (0..600).map(|ordinal| cast.group(ordinal, None).members);
        let pairs: Vec<bool> = groups
            .flat_map(|members| members.iter().skip(1).map(|other| (members[0], *other)).collect::<Vec<_>>())
            .map(|(one, other)| domain(&people[one]) == domain(&people[other]))
            .collect();
        pairs.iter().filter(|same| **same).count() as f64 / pairs.len() as f64
    };
    let (random, domain, anchor) =
        (shared(CastingMode::Random), shared(CastingMode::Domain), shared(CastingMode::Anchor));
    assert!(domain > 0.85 && random < 0.25, "{domain} {random}");
    assert!(anchor > random && anchor < domain, "{random} {anchor} {domain}");
}

#[test]
fn a_teacher_meets_students() {
    let people = people(120, &["train"]);
    let cast = cast(&people, CastingMode::Anchor);
    let says = |index: usize, word: &str| people[index].persona.contains(word);
    let of_teachers: Vec<_> = (0..240)
        .map(|ordinal| cast.group(ordinal, None).members)
        .filter(|members| says(members[0], "teacher"))
        .collect();
    let met = of_teachers.iter().filter(|members| members.iter().any(|member| says(*member, "student"))).count();
    assert!(met * 2 > of_teachers.len(), "{met} of {}", of_teachers.len());
}

#[test]
fn small_splits_are_left_out_and_none_at_all_is_an_error() {
    let mut people = people(20, &["train"]);
    people[0].split = "test".to_owned();
    assert_eq!(cast(&people, CastingMode::Anchor).left_out(), [("test".to_owned(), 1)]);
    let error = Cast::new(&people[..3], CastingMode::Anchor, GroupSize { min: 3, max: 5 }, 17).unwrap_err();
    assert_eq!(error.exit_code(), 3);
    insta::assert_snapshot!(error, @"no split has the 3 people that a group needs (test has 1, train has 2): take more personas, lower `situations.personas.min`, or set one split in `compile.splits`");
    let error = Cast::new(&people, CastingMode::Anchor, GroupSize { min: 4, max: 3 }, 17).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(Cast::new(&[], CastingMode::Random, GroupSize { min: 2, max: 2 }, 17).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_crowd_is_cast(count in 2_usize..60, min in 2_usize..6, more in 0_usize..6, seed: u64, ordinal: u64, mode in 0_usize..3) {
        let people = people(count, &["test", "train"]);
        if let Ok(cast) = Cast::new(&people, MODES[mode], GroupSize { min, max: min + more }, seed) {
            let group = cast.group(ordinal, None);
            prop_assert!((min..=min + more).contains(&group.members.len()));
            prop_assert_eq!(group.members.iter().collect::<BTreeSet<_>>().len(), group.members.len());
        }
    }
}
