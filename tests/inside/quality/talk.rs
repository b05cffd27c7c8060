//! Clean talk from `tests/fixtures/talk`, a file for each language.

use std::path::Path;

/// A scene.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) language: &'static str,
    pub(crate) situation: String,
    pub(crate) people: Vec<Person>,
    pub(crate) starter: String,
    /// Who says what; an index into `people`.
    pub(crate) turns: Vec<(usize, String)>,
}

/// Somebody in a scene.
#[derive(Debug)]
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) persona: String,
}

/// A text file of the project.
pub(crate) fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every scene in every language.
pub(crate) fn plays() -> Vec<Play> {
    ["en", "de", "zh"]
        .into_iter()
        .flat_map(|language| scenes(language, &read(&format!("tests/fixtures/talk/{language}.txt"))))
        .collect()
}

fn scenes(language: &'static str, text: &str) -> Vec<Play> {
    let mut plays: Vec<Play> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(situation) = line.strip_prefix("= ") {
            let situation = situation.to_owned();
            plays.push(Play { language, situation, people: Vec::new(), starter: String::new(), turns: Vec::new() });
        } else if let Some(play) = plays.last_mut().filter(|_| !line.is_empty()) {
            add(play, line);
        }
    }
    plays
}

fn add(play: &mut Play, line: &str) {
    if let Some(starter) = line.strip_prefix("> ") {
        starter.clone_into(&mut play.starter);
    } else if let Some((name, persona)) = line.split_once(" | ") {
        play.people.push(Person { name: name.to_owned(), persona: persona.to_owned() });
    } else {
        let (label, words) = line.split_once([':', '：']).unwrap_or_else(|| panic!("no name in front: {line}"));
        let is_named = |person: &Person| person.name == label || person.name.split(' ').any(|part| part == label);
        let speaker =
            play.people.iter().position(is_named).unwrap_or_else(|| panic!("nobody is called {label}: {line}"));
        play.turns.push((speaker, words.trim().to_owned()));
    }
}
