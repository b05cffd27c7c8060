use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::exit::ExitCode;
use crate::record::Persona;

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

/// Every seventh person is of the past, every eleventh of the others invented.
fn mixed(count: usize, splits: &[&str]) -> Vec<Persona> {
    let mut people = people(count, splits);
    for (n, person) in people.iter_mut().enumerate() {
        let told = match (n % 7, n % 11) {
            (0, _) => "A medieval",
            (_, 0) => "An elf,",
            _ => continue,
        };
        person.persona = person.persona.replacen('A', told, 1);
    }
    people
}

const MODES: [CastingMode; 3] = [CastingMode::Random, CastingMode::Domain, CastingMode::Anchor];

fn listed(people: &[Persona]) -> CastList {
    let mut list = CastList::default();
    for person in people {
        list.add(person);
    }
    list
}

fn cast(people: &[Persona], mode: CastingMode) -> Cast {
    Cast::new(listed(people), mode, GroupSize { min: 3, max: 5 }, 17).unwrap()
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
fn eras_are_cast_in_proportion_and_as_evenly_as_one() {
    let people = mixed(770, &["train"]);
    let eras: Vec<Era> = people.iter().map(|person| Told::of(person).era).collect();
    for (mode, most) in [(CastingMode::Random, 1.3), (CastingMode::Domain, 2.0), (CastingMode::Anchor, 2.7)] {
        let cast = cast(&people, mode);
        let mut uses = vec![0_u32; people.len()];
        for ordinal in 0..7_700 {
            for member in cast.group(ordinal, None).members {
                uses[member] += 1;
            }
        }
        let mean = f64::from(uses.iter().sum::<u32>()) / uses.len() as f64;
        for (one, era) in uses.iter().zip(&eras) {
            let share = f64::from(*one) / mean;
            assert!(share <= most && share >= 0.25, "{mode:?} {era:?}: {one} of {mean}");
        }
    }
}

#[test]
fn an_era_too_small_for_a_group_joins_the_largest() {
    let mut people = people(60, &["train"]);
    for person in people.iter_mut().take(4) {
        person.persona = "A medieval knight".to_owned();
    }
    for mode in MODES {
        let cast = cast(&people, mode);
        let met: BTreeSet<usize> = (0..200).flat_map(|ordinal| cast.group(ordinal, None).members).collect();
        assert_eq!(met.len(), people.len(), "{mode:?}: everyone is used");
    }
}

#[test]
fn people_of_other_eras_leave_the_order_of_the_others_alone() {
    let present = people(60, &["train"]);
    let mut more = present.clone();
    more.extend(mixed(400, &["train"]).into_iter().filter(|person| Told::of(person).era == Era::Past).take(20));
    let groups = |people: &[Persona], upto| -> Vec<Vec<usize>> {
        let cast = cast(people, CastingMode::Anchor);
        (0..upto).map(|ordinal| cast.group(ordinal, None).members).filter(|members| members[0] < 60).collect()
    };
    let (alone, among) = (groups(&present, 120), groups(&more, 120));
    assert!(among.len() > 80);
    assert_eq!(alone[..among.len()], among);
}

#[test]
fn the_modes_differ_in_what_members_share() {
    let people = people(600, &["train"]);
    let shared = |mode| {
        let cast = cast(&people, mode);
        let groups = (0..600).map(|ordinal| cast.group(ordinal, None).members);
        let pairs: Vec<bool> = groups
            .flat_map(|members| members.iter().skip(1).map(|other| (members[0], *other)).collect::<Vec<_>>())
            .map(|(one, other)| Told::of(&people[one]).domain == Told::of(&people[other]).domain)
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
    let error = Cast::new(listed(&people[..3]), CastingMode::Anchor, GroupSize { min: 3, max: 5 }, 17).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Input);
    insta::assert_snapshot!(error, @"no split has the 3 people that a group needs (test has 1, train has 2): take more personas, lower `situations.personas.min`, or set one split in `compile.splits`");
    let error = Cast::new(listed(&people), CastingMode::Anchor, GroupSize { min: 4, max: 3 }, 17).unwrap_err();
    assert_eq!(error.exit_code(), ExitCode::Usage);
    assert!(Cast::new(listed(&[]), CastingMode::Random, GroupSize { min: 2, max: 2 }, 17).is_err());
}

#[test]
fn what_descriptions_tell_and_who_meets_whom_stays_what_it_was() {
    // Pinned: groups of earlier versions depend on it.
    let texts = super::super::labelled::descriptions();
    let mut people = people(texts.len(), &["train", "train", "test"]);
    for (person, text) in people.iter_mut().zip(&texts) {
        person.persona.clone_from(text);
    }
    let told = people.iter().map(|person| {
        let Told { era, roles, .. } = Told::of(person);
        let sides: Vec<usize> = roles.sides().collect();
        format!("{:?} {era:?} {sides:?} {}", domains::of_text(&person.persona), roles.everyday())
    });
    let groups = |mode| {
        let cast = cast(&people, mode);
        (0..2_000).map(|ordinal| format!("{:?}", cast.group(ordinal, None).members)).collect::<Vec<_>>()
    };
    insta::assert_snapshot!(hash(told), @"aa02c771a72a494d02128a9069d26844");
    insta::assert_snapshot!(hash(MODES.into_iter().flat_map(groups)), @"b2031852a15414c6a38d305ffee2d611");
}

fn hash(lines: impl Iterator<Item = String>) -> String {
    crate::record::content_hash(lines.collect::<Vec<_>>().iter().map(String::as_str))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_crowd_is_cast(count in 2_usize..60, min in 2_usize..6, more in 0_usize..6, seed: u64, ordinal: u64, mode in 0_usize..3) {
        let people = people(count, &["test", "train"]);
        if let Ok(cast) = Cast::new(listed(&people), MODES[mode], GroupSize { min, max: min + more }, seed) {
            let group = cast.group(ordinal, None);
            prop_assert!((min..=min + more).contains(&group.members.len()));
            prop_assert_eq!(group.members.iter().collect::<BTreeSet<_>>().len(), group.members.len());
        }
    }

    #[test]
    fn no_group_mixes_eras_that_can_each_fill_one(count in 60_usize..400, min in 2_usize..4, more in 0_usize..3, seed: u64, ordinal: u64, mode in 0_usize..3, wanted in proptest::option::of(1_usize..9)) {
        let people = mixed(count, &["train", "test"]);
        let era = |member: &usize| (people[*member].split.as_str(), Told::of(&people[*member]).era);
        let full = min + more;
        let mut sizes: BTreeMap<(&str, Era), usize> = BTreeMap::new();
        for member in 0..people.len() {
            *sizes.entry(era(&member)).or_default() += 1;
        }
        let cast = Cast::new(listed(&people), MODES[mode], GroupSize { min, max: full }, seed).unwrap();
        for ordinal in (0..100).map(|step| ordinal.wrapping_add(step)) {
            let met: BTreeSet<_> = cast.group(ordinal, wanted).members.iter().map(era).collect();
            let able = met.iter().filter(|era| sizes[*era] >= full).count();
            prop_assert!(able <= 1, "{met:?} of {sizes:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn before_the_line_starts_over_nobody_is_cast_twice(count in 5_usize..80, splits in 1_usize..3, min in 2_usize..4, more in 0_usize..3, seed: u64) {
        let people = people(count, &["train", "test"][..splits]);
        let Ok(cast) = Cast::new(listed(&people), CastingMode::Random, GroupSize { min, max: min + more }, seed) else { return Ok(()) };
        let cast_once: Vec<usize> = (0..cast.before_rewind()).flat_map(|ordinal| cast.group(ordinal, None).members).collect();
        prop_assert_eq!(cast_once.iter().collect::<BTreeSet<_>>().len(), cast_once.len());
        let next = cast.group(cast.before_rewind(), None).members;
        prop_assert!(next.iter().any(|member| cast_once.contains(member)), "one group more would have been possible");
    }
}

#[test]
fn rows_of_the_source_stay_together_and_come_once_a_pass() {
    let mut people = people(9, &["train"]);
    for (n, person) in people.iter_mut().enumerate() {
        person.source = format!("pairs.json:{}", n / 2);
    }
    let cast = cast(&people, CastingMode::Row);
    assert_eq!(cast.before_rewind(), 4, "who is alone in a row is in no group");
    let pass = |from: u64| (from..from + 4).map(|ordinal| cast.group(ordinal, Some(5)).members).collect::<Vec<_>>();
    let rows: BTreeSet<Vec<usize>> = pass(0).into_iter().collect();
    assert_eq!(rows, BTreeSet::from([vec![0, 1], vec![2, 3], vec![4, 5], vec![6, 7]]));
    assert_eq!(pass(4), pass(0));
    people.iter_mut().enumerate().for_each(|(n, person)| person.source = n.to_string());
    let error = Cast::new(listed(&people), CastingMode::Row, GroupSize { min: 2, max: 2 }, 17).unwrap_err();
    assert_eq!((error.exit_code(), error.to_string().contains("partner_persona")), (ExitCode::Input, true));
}
