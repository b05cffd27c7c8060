//! Files that ship inside the program: what runs without a configuration, and what `convogen init` writes.
//!
//! Listed one by one, so that what ships is what stands here. A test compares the list with the folders.

/// A file that is compiled in: its path below the project, with `/`, and its content.
pub type Asset = (&'static str, &'static str);

/// Every file below `configs/` and `prompts/`, by path.
pub const ALL: &[Asset] = &[
    ("configs/azure.yaml", include_str!("../../configs/azure.yaml")),
    ("configs/gen-config-1.yaml", include_str!("../../configs/gen-config-1.yaml")),
    ("configs/gen-config-persona-1.yaml", include_str!("../../configs/gen-config-persona-1.yaml")),
    ("configs/pipeline.yaml", include_str!("../../configs/pipeline.yaml")),
    (
        "configs/prompt-configs/situations-fixed-shots-1.yaml",
        include_str!("../../configs/prompt-configs/situations-fixed-shots-1.yaml"),
    ),
    (
        "configs/prompt-configs/situations-random-shots-1.yaml",
        include_str!("../../configs/prompt-configs/situations-random-shots-1.yaml"),
    ),
    ("configs/quickstart.yaml", include_str!("../../configs/quickstart.yaml")),
    ("configs/vllm.yaml", include_str!("../../configs/vllm.yaml")),
];

/// The file at `path`, such as `configs/quickstart.yaml`.
pub fn builtin(path: &str) -> Option<&'static str> {
    ALL.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
}

/// The files directly in `folder`, by name.
pub fn builtin_folder(folder: &str) -> Vec<Asset> {
    let directly = |name: &str| {
        let rest = name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|rest| !rest.contains('/'))
    };
    ALL.iter().filter(|(name, _)| directly(name)).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

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
        assert_eq!(names.len(), 2);
        assert!(builtin_folder("configs").iter().all(|(name, _)| !name.contains("prompt-configs")));
        assert!(builtin("configs/none.yaml").is_none());
    }
}
