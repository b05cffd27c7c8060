use std::collections::BTreeSet;

use super::format::Malformed;
use super::*;
use crate::config::assets;

/// A lexicon of one text.
fn lexicon(text: &'static str) -> Result<&'static Lexicon, Malformed> {
    let mut index = LexiconIndex::default();
    for section in sections("test.txt", text)? {
        index.add("test.txt", section.heading, &section.entries)?;
    }
    Ok(Box::leak(Box::new(Lexicon { source: Source::File("test.txt"), index: OnceLock::from(index) })))
}

const TEXT: &str = "# a comment\n[first]\nbaker # of bread\nspace pirate\nphysio*\n*ing\n\n[second]\n*agree more*\n医生\nbaker\n\
    /see (you|ya)( soon)?/\nbake*\n";

#[test]
fn an_entry_stands_for_a_word_a_phrase_a_start_an_end_or_a_part() {
    let lexicon = lexicon(TEXT).unwrap();
    let (first, second) = (lexicon.list("first"), lexicon.list("second"));
    for word in ["baker", "space pirate", "physiotherapist", "physio", "baking"] {
        assert!(first.has(word), "{word}");
    }
    for word in ["", "bakers", "space", "pirate", "aphysio", "ingot", "agree more", "comment"] {
        assert!(!first.has(word), "{word}");
    }
    assert!(second.has("bakers") && !second.has("医生"));
    assert!(second.is_in("I couldn't agree more, Ann") && second.first_in("一位医生") == Some(6));
    assert!(!second.is_in("I agree") && !first.is_in("a baker"));
    assert_eq!(first.start_of("physio and more"), Some("physio"));
    assert_eq!(lexicon.inside("医生 agree more").collect::<Vec<_>>(), [(1, 7), (1, 0)]);
}

#[test]
fn a_word_is_looked_up_in_all_lists_at_once() {
    let lexicon = lexicon(TEXT).unwrap();
    let (first, second) = (lexicon.list("first"), lexicon.list("second"));
    assert_eq!(lexicon.marks("baker").places().collect::<Vec<_>>(), [0, 1]);
    assert_eq!(lexicon.marks("bakery"), second.mark());
    assert_eq!(lexicon.marks_at(&["space", "pirate", "ship"]), first.mark());
    for words in [&["space"][..], &["space", "ship"], &["a", "space", "pirate"], &[]] {
        assert_eq!(lexicon.marks_at(words), Marks::default(), "{words:?}");
    }
}

#[test]
fn the_closest_entry_is_the_whole_word_and_then_the_longest_start() {
    let lexicon = lexicon("[a]\nbio*\n[b]\nbiograph*\n[c]\nbiographer\n[d]\n*er\n").unwrap();
    let closest = |word| lexicon.closest(word).places().collect::<Vec<_>>();
    assert_eq!(closest("biologist"), [0]);
    assert_eq!(closest("biographies"), [1]);
    assert_eq!(closest("biographer"), [2]);
    assert_eq!(closest("baker"), [0; 0]);
}

#[test]
fn patterns_and_plain_entries_make_one_pattern() {
    let pattern = lexicon("[a]\n/see (you|ya)( soon)?/\nso long.\n").unwrap().list("a").pattern("^{}$");
    assert!(["See ya", "see you soon", "SO LONG."].iter().all(|text| pattern.is_match(text)));
    assert!(["see", "so longs", "well, see you"].iter().all(|text| !pattern.is_match(text)));
}

#[test]
fn a_malformed_file_names_its_line() {
    for (text, line) in [
        ("word\n", 1),
        ("# c\n\n[a]\nword [b]\n", 4),
        ("[a]\nTeacher\n", 2),
        ("[a]\nt*\n", 2),
        ("[a]\n*\n", 2),
        ("[a]\nspace  pirate\n", 2),
        ("[a]\n\nto*day\n", 3),
    ] {
        assert_eq!(lexicon(text).unwrap_err().line, line, "{text}");
    }
    let many: String = (0..65).map(|n| format!("[{n}]\nword\n")).collect();
    let error = lexicon(many.leak()).unwrap_err();
    insta::assert_snapshot!(error, @"test.txt, line 130: more lists than fit into one lexicon");
    let error = bad_pattern("test.txt", "[a]\n/see (you|ya)/\n/see (you/\n").unwrap();
    assert!(error.starts_with("test.txt, line 3: ") && error.contains("unclosed group"), "{error}");
}

/// What is wrong with the first pattern of a file that is none.
fn bad_pattern(file: &str, text: &'static str) -> Option<String> {
    let entries = sections(file, text).unwrap().into_iter().flat_map(|section| section.entries);
    let mut patterns = entries.filter_map(|(line, entry)| match LexiconEntry::parse(entry) {
        Ok(LexiconEntry::Pattern(pattern)) => Some((line, pattern)),
        _ => None,
    });
    patterns.find_map(|(line, pattern)| Some(format!("{file}, line {line}: {}", Regex::new(pattern).err()?)))
}

fn files() -> impl Iterator<Item = &'static str> {
    let paths = assets::ALL.iter().filter_map(|(path, _)| path.strip_prefix("prompts/lexicons/"));
    paths.filter(|path| *path != "README.md")
}

#[test]
fn every_file_that_ships_can_be_read() {
    for path in files() {
        let index = LexiconIndex::read(Source::File(path)).unwrap_or_else(|error| panic!("{error}"));
        assert!(!index.headings.is_empty() && index.entries.iter().all(|entries| !entries.is_empty()), "{path}");
        let file = format!("prompts/lexicons/{path}");
        assert_eq!(bad_pattern(&file, assets::builtin(&file).unwrap()), None);
    }
}

#[test]
fn what_is_looked_for_in_talk_is_what_the_page_beside_says() {
    let page = assets::builtin("prompts/lexicons/README.md").unwrap();
    let (_, table) = page.split_once("\n## talk\n").unwrap();
    let said: BTreeSet<&str> =
        table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(name, _)| name).collect();
    let there: BTreeSet<&str> = Lexicon::folder("talk").headings().iter().copied().collect();
    assert_eq!(said, there);
    for path in files().filter(|path| path.starts_with("talk/")) {
        let index = LexiconIndex::read(Source::File(path)).unwrap();
        let has = ["agrees", "carries", "turns"].map(|heading| index.headings.contains(&heading));
        assert!(has.iter().all(|one| *one == has[0]), "{path}: to judge agreement takes three lists");
    }
}

#[test]
fn groups_of_a_pattern_remember_nothing_and_match_what_they_did() {
    for (pattern, without) in
        [("(a|b) c", "(?:a|b) c"), (r"\(a\) (b)", r"\(a\) (?:b)"), (r"[(a](?:b)[^)(]\\(c)", r"[(a](?:b)[^)(]\\(?:c)")]
    {
        assert_eq!(without_captures(pattern), without);
    }
    let entries = files().flat_map(|path| LexiconIndex::read(Source::File(path)).unwrap().entries).flatten();
    let patterns: Vec<&str> = entries
        .filter_map(|entry| match entry {
            LexiconEntry::Pattern(pattern) => Some(pattern),
            _ => None,
        })
        .collect();
    assert!(patterns.len() > 100);
    for pattern in patterns {
        assert_eq!(Regex::new(&without_captures(pattern)).unwrap().captures_len(), 1, "{pattern}");
    }
}
