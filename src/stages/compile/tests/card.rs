//! What the card and the manifest say.

use super::*;

#[test]
fn clean_splits_leak_nothing_and_dirty_ones_are_told() {
    let mut sample = Sample::new(10);
    let clean = compiled(&sample).0.manifest.leakage;
    assert_eq!(clean, Leakage { compared: clean.compared, ..Leakage::default() });
    // Someone from the training split turns up in the test split, and a situation is told twice.
    sample.situations[4].personas[0] = sample.situations[0].personas[0].clone();
    sample.situations[9].situation = sample.situations[0].situation.clone();
    sample.situations[9].topic = sample.situations[0].topic.clone();
    sample.situations[9].conversation_starter = sample.situations[0].conversation_starter.to_uppercase();
    let expected = Leakage { persona_ids: 1, persona_texts: 1, situations: 2, ..Leakage::default() };
    assert_eq!(compiled(&sample).0.manifest.leakage, expected);
}

#[test]
fn what_was_compared_when_it_was_made_is_not_compared_again_and_the_card_says_so() {
    let mut sample = Sample::new(10);
    sample.situations[4].personas[0] = sample.situations[0].personas[0].clone();
    sample.situations[9].situation = sample.situations[0].situation.clone();
    let folder = tempfile::tempdir().unwrap();
    let input = Input { compared: Compared::WhenMade, ..sample.input(folder.path()) };
    let made = compile(&folder.path().join("dataset"), &input, &|_| {}).unwrap();
    let expected = Leakage { persona_ids: 1, persona_texts: 1, compared: Compared::WhenMade, ..Leakage::default() };
    assert_eq!(made.manifest.leakage, expected);
    let card = fs::read_to_string(&folder.path().join("dataset/README.md")).unwrap();
    assert!(card.contains("compared over all splits when duplicates were removed"), "{card}");
    // A manifest of before that was said had counted them.
    let old = r#"{"persona_ids":0,"persona_texts":0,"situations":1,"conversations":0}"#;
    assert_eq!(serde_json::from_str::<Leakage>(old).unwrap().compared, Compared::WhenCompiled);
}

#[test]
fn the_card_says_when_duplicates_were_left_in() {
    let mut sample = Sample::new(5);
    sample.dedup.enabled = false;
    let card = String::from_utf8(compiled(&sample).1["README.md"].clone()).unwrap();
    assert!(card.contains("Duplicates were not removed.") && !card.contains("MinHash"), "{card}");
}

#[test]
fn the_card_in_full() {
    let mut sample = Sample::new(5);
    let (_, files) = compiled(&sample);
    insta::assert_snapshot!("card", String::from_utf8(files["README.md"].clone()).unwrap());

    sample.models[0].tier = "demo".to_owned();
    sample.card.license = Some("cc-by-4.0".to_owned());
    sample.card.name = Some("yes: a\nname".to_owned());
    sample.card.date = Some("2026-01-31".to_owned());
    sample.situations.iter_mut().for_each(|situation| situation.language = "no".to_owned());
    let card = String::from_utf8(compiled(&sample).1["README.md"].clone()).unwrap();
    let shown = |text: &str| assert!(card.contains(text), "no {text:?} in {card}");
    for text in [
        "license: cc-by-4.0",
        "Demo tier",
        "# yes: a name\n",
        "Date: 2026-01-31.",
        "pretty_name: \"yes: a name\"",
        "- \"no\"\n",
    ] {
        shown(text);
    }
    assert!(!card.contains("No license"));
}
