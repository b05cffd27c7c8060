//! The tree is the data flow: nothing imports from a floor above its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rooms of the crate, from the ground up. Rooms of one floor do not import each other.
const FLOORS: [&[&str]; 11] = [
    &["clock", "draw", "exit", "loopback"],
    &["record", "store"],
    &["config", "tables"],
    &["lexicon"],
    &["net", "prompt"],
    &["export", "llm"],
    &["stages"],
    &["pipeline"],
    &["corpus", "publish", "report"],
    &["cli"],
    &["main", "lib"],
];

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// What ships of a source file: no comments, no tests.
fn shipped(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The shipped sources by their path below `src`.
fn all() -> BTreeMap<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let is_test =
        |path: &Path| path.iter().any(|part| ["tests", "tests.rs", "testing.rs"].iter().any(|name| part == *name));
    let paths = paths.into_iter().map(|path| (path.strip_prefix(&root).unwrap().to_owned(), path));
    paths.filter(|(below, _)| !is_test(below)).map(|(below, path)| (below, shipped(&path))).collect()
}

fn room(path: &Path) -> String {
    let first = path.components().next().unwrap().as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn floor(room: &str) -> usize {
    FLOORS.iter().position(|rooms| rooms.contains(&room)).unwrap_or_else(|| panic!("{room} stands on no floor"))
}

#[test]
fn no_module_imports_upward() {
    let mut upward = Vec::new();
    for (path, text) in all() {
        let room = room(&path);
        for part in text.split("crate::").skip(1) {
            let target: String = part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let is_room = FLOORS.iter().any(|rooms| rooms.contains(&target.as_str()));
            if is_room && target != room && floor(&target) >= floor(&room) {
                upward.push(format!("{} imports {target}", path.display()));
            }
        }
    }
    assert!(upward.is_empty(), "{upward:#?}");
}

/// The name of a type that a line declares for others to use.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start().strip_prefix("pub")?;
    let line = if line.starts_with('(') { line.split_once(')')?.1 } else { line };
    let (kind, rest) = line.trim_start().split_once(' ')?;
    let is_type = matches!(kind, "struct" | "enum" | "trait" | "type");
    is_type.then(|| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

#[test]
fn no_two_types_share_a_name() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in all() {
        for name in text.lines().filter_map(declared) {
            places.entry(name.to_owned()).or_default().push(path.clone());
        }
    }
    assert!(places.len() > 200, "too few types are found: {}", places.len());
    places.retain(|_, paths| paths.len() > 1);
    assert!(places.is_empty(), "{places:#?}");
}
