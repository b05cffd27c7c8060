//! Files that ship inside the program: what runs without a configuration, and what `convogen init` writes.
//!
//! Listed one by one, so that what ships is what stands here. A test compares the list with the folders.

use std::path::{Component, Path};

/// A file that is compiled in: its path below the project, with `/`, and its content.
pub(crate) type Asset = (&'static str, &'static str);

/// Every file below `configs/` and `prompts/`, by path.
pub(crate) const ALL: &[Asset] = &[
    ("configs/azure.yaml", include_str!("../../configs/azure.yaml")),
    ("configs/coverage.yaml", include_str!("../../configs/coverage.yaml")),
    ("configs/gen-config-1.yaml", include_str!("../../configs/gen-config-1.yaml")),
    ("configs/gen-config-augment.yaml", include_str!("../../configs/gen-config-augment.yaml")),
    ("configs/gen-config-persona-1.yaml", include_str!("../../configs/gen-config-persona-1.yaml")),
    ("configs/pipeline.yaml", include_str!("../../configs/pipeline.yaml")),
    ("configs/prices.yaml", include_str!("../../configs/prices.yaml")),
    (
        "configs/prompt-configs/situations-fixed-shots-1.yaml",
        include_str!("../../configs/prompt-configs/situations-fixed-shots-1.yaml"),
    ),
    (
        "configs/prompt-configs/situations-quickstart.yaml",
        include_str!("../../configs/prompt-configs/situations-quickstart.yaml"),
    ),
    (
        "configs/prompt-configs/situations-random-shots-1.yaml",
        include_str!("../../configs/prompt-configs/situations-random-shots-1.yaml"),
    ),
    ("configs/quickstart.yaml", include_str!("../../configs/quickstart.yaml")),
    ("configs/upload.yaml", include_str!("../../configs/upload.yaml")),
    ("configs/vllm.yaml", include_str!("../../configs/vllm.yaml")),
    ("prompts/conversations/context.md", include_str!("../../prompts/conversations/context.md")),
    ("prompts/conversations/everyday.md", include_str!("../../prompts/conversations/everyday.md")),
    ("prompts/conversations/fused.md", include_str!("../../prompts/conversations/fused.md")),
    ("prompts/conversations/selector.md", include_str!("../../prompts/conversations/selector.md")),
    ("prompts/conversations/speaker.md", include_str!("../../prompts/conversations/speaker.md")),
    ("prompts/judge/judge.md", include_str!("../../prompts/judge/judge.md")),
    ("prompts/lexicons/README.md", include_str!("../../prompts/lexicons/README.md")),
    (
        "prompts/lexicons/people/adjacent-domains.txt",
        include_str!("../../prompts/lexicons/people/adjacent-domains.txt"),
    ),
    ("prompts/lexicons/people/domains.txt", include_str!("../../prompts/lexicons/people/domains.txt")),
    ("prompts/lexicons/people/encounters.txt", include_str!("../../prompts/lexicons/people/encounters.txt")),
    ("prompts/lexicons/people/eras.txt", include_str!("../../prompts/lexicons/people/eras.txt")),
    ("prompts/lexicons/people/gender.txt", include_str!("../../prompts/lexicons/people/gender.txt")),
    ("prompts/lexicons/people/languages.txt", include_str!("../../prompts/lexicons/people/languages.txt")),
    ("prompts/lexicons/people/names.txt", include_str!("../../prompts/lexicons/people/names.txt")),
    ("prompts/lexicons/people/nationalities.txt", include_str!("../../prompts/lexicons/people/nationalities.txt")),
    ("prompts/lexicons/people/no-description.txt", include_str!("../../prompts/lexicons/people/no-description.txt")),
    ("prompts/lexicons/people/not-a-person.txt", include_str!("../../prompts/lexicons/people/not-a-person.txt")),
    ("prompts/lexicons/people/origins.txt", include_str!("../../prompts/lexicons/people/origins.txt")),
    ("prompts/lexicons/people/places.txt", include_str!("../../prompts/lexicons/people/places.txt")),
    ("prompts/lexicons/relations/en.txt", include_str!("../../prompts/lexicons/relations/en.txt")),
    ("prompts/lexicons/relations/es.txt", include_str!("../../prompts/lexicons/relations/es.txt")),
    (
        "prompts/lexicons/replies/around-the-answer.txt",
        include_str!("../../prompts/lexicons/replies/around-the-answer.txt"),
    ),
    ("prompts/lexicons/talk/ar.txt", include_str!("../../prompts/lexicons/talk/ar.txt")),
    ("prompts/lexicons/talk/de.txt", include_str!("../../prompts/lexicons/talk/de.txt")),
    ("prompts/lexicons/talk/en.txt", include_str!("../../prompts/lexicons/talk/en.txt")),
    ("prompts/lexicons/talk/es.txt", include_str!("../../prompts/lexicons/talk/es.txt")),
    ("prompts/lexicons/talk/fr.txt", include_str!("../../prompts/lexicons/talk/fr.txt")),
    ("prompts/lexicons/talk/hi.txt", include_str!("../../prompts/lexicons/talk/hi.txt")),
    ("prompts/lexicons/talk/it.txt", include_str!("../../prompts/lexicons/talk/it.txt")),
    ("prompts/lexicons/talk/ja.txt", include_str!("../../prompts/lexicons/talk/ja.txt")),
    ("prompts/lexicons/talk/ko.txt", include_str!("../../prompts/lexicons/talk/ko.txt")),
    ("prompts/lexicons/talk/nl.txt", include_str!("../../prompts/lexicons/talk/nl.txt")),
    ("prompts/lexicons/talk/pl.txt", include_str!("../../prompts/lexicons/talk/pl.txt")),
    ("prompts/lexicons/talk/pt.txt", include_str!("../../prompts/lexicons/talk/pt.txt")),
    ("prompts/lexicons/talk/ru.txt", include_str!("../../prompts/lexicons/talk/ru.txt")),
    ("prompts/lexicons/talk/tr.txt", include_str!("../../prompts/lexicons/talk/tr.txt")),
    ("prompts/lexicons/talk/zh.txt", include_str!("../../prompts/lexicons/talk/zh.txt")),
    ("prompts/names/arabic.txt", include_str!("../../prompts/names/arabic.txt")),
    ("prompts/names/central-european.txt", include_str!("../../prompts/names/central-european.txt")),
    ("prompts/names/chinese-han.txt", include_str!("../../prompts/names/chinese-han.txt")),
    ("prompts/names/chinese.txt", include_str!("../../prompts/names/chinese.txt")),
    ("prompts/names/dutch.txt", include_str!("../../prompts/names/dutch.txt")),
    ("prompts/names/east-african.txt", include_str!("../../prompts/names/east-african.txt")),
    ("prompts/names/english.txt", include_str!("../../prompts/names/english.txt")),
    ("prompts/names/french.txt", include_str!("../../prompts/names/french.txt")),
    ("prompts/names/german.txt", include_str!("../../prompts/names/german.txt")),
    ("prompts/names/greek.txt", include_str!("../../prompts/names/greek.txt")),
    ("prompts/names/hebrew.txt", include_str!("../../prompts/names/hebrew.txt")),
    ("prompts/names/indian.txt", include_str!("../../prompts/names/indian.txt")),
    ("prompts/names/italian.txt", include_str!("../../prompts/names/italian.txt")),
    ("prompts/names/japanese.txt", include_str!("../../prompts/names/japanese.txt")),
    ("prompts/names/korean.txt", include_str!("../../prompts/names/korean.txt")),
    ("prompts/names/nordic.txt", include_str!("../../prompts/names/nordic.txt")),
    ("prompts/names/persian.txt", include_str!("../../prompts/names/persian.txt")),
    ("prompts/names/polish.txt", include_str!("../../prompts/names/polish.txt")),
    ("prompts/names/portuguese.txt", include_str!("../../prompts/names/portuguese.txt")),
    ("prompts/names/russian.txt", include_str!("../../prompts/names/russian.txt")),
    ("prompts/names/southeast-asian.txt", include_str!("../../prompts/names/southeast-asian.txt")),
    ("prompts/names/southern-african.txt", include_str!("../../prompts/names/southern-african.txt")),
    ("prompts/names/spanish.txt", include_str!("../../prompts/names/spanish.txt")),
    ("prompts/names/turkish.txt", include_str!("../../prompts/names/turkish.txt")),
    ("prompts/names/vietnamese.txt", include_str!("../../prompts/names/vietnamese.txt")),
    ("prompts/names/west-african.txt", include_str!("../../prompts/names/west-african.txt")),
    ("prompts/personas/example.csv", include_str!("../../prompts/personas/example.csv")),
    (
        "prompts/personas/personahub-placeholder.jsonl",
        include_str!("../../prompts/personas/personahub-placeholder.jsonl"),
    ),
    ("prompts/personas/quickstart.jsonl", include_str!("../../prompts/personas/quickstart.jsonl")),
    ("prompts/quickstart/matters.yaml", include_str!("../../prompts/quickstart/matters.yaml")),
    ("prompts/quickstart/situations.md", include_str!("../../prompts/quickstart/situations.md")),
    ("prompts/quickstart/speaker.md", include_str!("../../prompts/quickstart/speaker.md")),
    ("prompts/safety/safety.md", include_str!("../../prompts/safety/safety.md")),
    ("prompts/safety/words/de.txt", include_str!("../../prompts/safety/words/de.txt")),
    ("prompts/safety/words/en.txt", include_str!("../../prompts/safety/words/en.txt")),
    ("prompts/safety/words/es.txt", include_str!("../../prompts/safety/words/es.txt")),
    ("prompts/safety/words/fr.txt", include_str!("../../prompts/safety/words/fr.txt")),
    ("prompts/safety/words/zh.txt", include_str!("../../prompts/safety/words/zh.txt")),
    ("prompts/seeds/support.jsonl", include_str!("../../prompts/seeds/support.jsonl")),
    ("prompts/situations/example.jsonl", include_str!("../../prompts/situations/example.jsonl")),
    ("prompts/situations/prompt-persona-v1.md", include_str!("../../prompts/situations/prompt-persona-v1.md")),
    ("prompts/situations/prompt-v1.md", include_str!("../../prompts/situations/prompt-v1.md")),
    (
        "prompts/situations/shots-personas/shot-1.json",
        include_str!("../../prompts/situations/shots-personas/shot-1.json"),
    ),
    (
        "prompts/situations/shots-personas/shot-2.json",
        include_str!("../../prompts/situations/shots-personas/shot-2.json"),
    ),
    (
        "prompts/situations/shots-personas/shot-3.json",
        include_str!("../../prompts/situations/shots-personas/shot-3.json"),
    ),
    (
        "prompts/situations/shots-personas/shot-4.json",
        include_str!("../../prompts/situations/shots-personas/shot-4.json"),
    ),
    (
        "prompts/situations/shots-personas/shot-5.json",
        include_str!("../../prompts/situations/shots-personas/shot-5.json"),
    ),
    (
        "prompts/situations/shots-personas/shot-6.json",
        include_str!("../../prompts/situations/shots-personas/shot-6.json"),
    ),
    (
        "prompts/situations/shots-personas/shot-7.json",
        include_str!("../../prompts/situations/shots-personas/shot-7.json"),
    ),
    (
        "prompts/situations/shots-personas/shot-8.json",
        include_str!("../../prompts/situations/shots-personas/shot-8.json"),
    ),
    ("prompts/situations/shots/shot-1.json", include_str!("../../prompts/situations/shots/shot-1.json")),
    ("prompts/situations/shots/shot-2.json", include_str!("../../prompts/situations/shots/shot-2.json")),
    ("prompts/situations/shots/shot-3.json", include_str!("../../prompts/situations/shots/shot-3.json")),
    ("prompts/situations/shots/shot-4.json", include_str!("../../prompts/situations/shots/shot-4.json")),
    ("prompts/situations/shots/shot-5.json", include_str!("../../prompts/situations/shots/shot-5.json")),
    ("prompts/situations/shots/shot-6.json", include_str!("../../prompts/situations/shots/shot-6.json")),
    ("prompts/situations/shots/shot-7.json", include_str!("../../prompts/situations/shots/shot-7.json")),
    ("prompts/situations/shots/shot-8.json", include_str!("../../prompts/situations/shots/shot-8.json")),
];

/// The file at `path`, such as `configs/quickstart.yaml`.
pub(crate) fn builtin(path: &str) -> Option<&'static str> {
    ALL.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// A file that the program itself names, so that it is there.
pub(crate) fn shipped(path: &str) -> &'static str {
    builtin(path).unwrap_or_else(|| unreachable!("{path} is part of the program"))
}

/// `folder/relative` without `.` and `..`: a file that ships has one name.
pub(crate) fn below(folder: &str, relative: &Path) -> String {
    let mut parts: Vec<String> = folder.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    for component in relative.components() {
        match component {
            Component::ParentDir => {
                parts.pop();
            }
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    parts.join("/")
}

/// The files directly in `folder`, by name.
pub(crate) fn builtin_folder(folder: &str) -> Vec<Asset> {
    let directly = |name: &str| {
        let rest = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|rest| !rest.contains('/'))
    };
    ALL.iter().filter(|(name, _)| directly(name)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files_below(folder: &Path, into: &mut Vec<String>) {
        for entry in folder.read_dir().into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files_below(&path, into);
            } else {
                let relative = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
                into.push(relative.to_string_lossy().into_owned());
            }
        }
    }

    #[test]
    fn what_ships_is_what_stands_in_the_folders() {
        let mut found = Vec::new();
        for folder in ["configs", "prompts"] {
            files_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
        }
        found.sort();
        let listed: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, found);
    }

    #[test]
    fn a_folder_holds_its_own_files_only() {
        let names: Vec<&str> = builtin_folder("configs/prompt-configs").into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), 3);
        assert!(builtin_folder("configs").iter().all(|(name, _)| !name.contains("prompt-configs")));
        assert!(builtin("configs/none.yaml").is_none());
    }

    #[test]
    fn paths_have_one_name() {
        assert_eq!(below("configs/prompt-configs", Path::new("../../prompts/./a.md")), "prompts/a.md");
        assert_eq!(below("configs", Path::new("../../../etc/passwd")), "etc/passwd");
    }
}
