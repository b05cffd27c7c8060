//! The prompt configuration of the situations stage: from a file, or the one that ships.

use std::path::{Path, PathBuf};

use super::document::{Document, read_text};
use super::error::{ConfigError, ConfigProblem};
use super::load::invalid;
use super::loaded::Loaded;
use super::shape::typed;
use super::{PromptConfig, ShotSelection, SituationMode, assets, upstream};
use crate::store::fs;

/// The prompt configuration that is used when none is named.
pub(crate) const BUILT_IN: &str = "configs/prompt-configs/situations-random-shots-1.yaml";

/// Most situations that one call may ask for; longer answers are cut off more often than they are whole.
pub(in crate::config) const MOST_PER_CALL: usize = 50;

/// Most shots in one prompt.
const MOST_SHOTS: usize = 50;

/// A prompt configuration and the files it names.
#[derive(Debug, Clone)]
pub(crate) struct LoadedPrompts {
    /// What it says, `prompt` and `shots` already those of the situation mode.
    pub config: PromptConfig,
    base: Base,
}

/// What the paths of a prompt configuration are relative to.
#[derive(Debug, Clone)]
enum Base {
    Folder(PathBuf),
    /// A folder among [`assets`].
    BuiltIn(&'static str),
}

/// A file that a prompt is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoadedPromptFile {
    /// Its path, for messages and `inputs/`.
    pub name: String,
    /// Its content.
    pub text: String,
}

/// Reads the prompt configuration that `loaded` names, or the built-in one.
pub(crate) fn prompt_config(loaded: &Loaded) -> Result<LoadedPrompts, ConfigError> {
    let (name, text, base) = source(loaded)?;
    let document = Document::parse(&name, &text)?;
    if upstream::prompts::is_upstream(&document) {
        let config = upstream::prompts::translate(&document).map_err(|problems| invalid(name.clone(), problems))?;
        let problems = meaning(&document, &config);
        // Its paths are relative to the working directory.
        let loaded = LoadedPrompts { config, base: Base::Folder(PathBuf::new()) };
        return if problems.is_empty() { Ok(loaded) } else { Err(invalid(name, problems)) };
    }
    let mut config: PromptConfig = typed(&document).map_err(|problems| invalid(name.clone(), problems))?;
    let mut problems = meaning(&document, &config);
    if let Base::Folder(folder) = &base {
        problems.extend(files(&document, &config, folder));
    }
    if !problems.is_empty() {
        return Err(invalid(name, problems));
    }
    for_mode(&mut config, loaded.config.situations.mode);
    Ok(LoadedPrompts { config, base })
}

/// Name and text of the prompt configuration, and what its paths are relative to.
fn source(loaded: &Loaded) -> Result<(String, String, Base), ConfigError> {
    let written = loaded.config.situations.prompt_config.as_deref();
    let shipped = written.map_or(Some(BUILT_IN), |written| loaded.shipped(written));
    if let Some(name) = shipped {
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        let LoadedPromptFile { name, text } = built_in(name)?;
        return Ok((name, text, Base::BuiltIn(folder)));
    }
    let path = loaded.path(written.unwrap_or(Path::new("")));
    let folder = path.parent().map(Path::to_owned).unwrap_or_default();
    Ok((path.display().to_string(), read_text(&path)?, Base::Folder(folder)))
}

/// Leaves the prompt and shots of `mode` under `prompt` and `shots`, and nothing under the others.
fn for_mode(config: &mut PromptConfig, mode: SituationMode) {
    let (prompt, shots) = (config.persona_prompt.take(), config.persona_shots.take());
    if mode == SituationMode::Predefined {
        config.prompt = prompt.unwrap_or_else(|| config.prompt.clone());
        config.shots = shots.unwrap_or_else(|| config.shots.clone());
    }
}

fn meaning(document: &Document, config: &PromptConfig) -> Vec<ConfigProblem> {
    let needs_shots = config.selection == ShotSelection::Fixed && config.shots_per_prompt > 0;
    let rules = [
        (!needs_shots || !config.shots.is_empty(), "shots", "empty, but shots_per_prompt asks for some".to_owned()),
        (
            config.shots_per_prompt <= MOST_SHOTS,
            "shots_per_prompt",
            format!("{} is too many; at most {MOST_SHOTS}", config.shots_per_prompt),
        ),
        (
            (1..=MOST_PER_CALL).contains(&config.situations_per_call),
            "situations_per_call",
            format!("{} is not within 1 to {MOST_PER_CALL}", config.situations_per_call),
        ),
    ];
    let broken = rules.into_iter().filter(|(holds, ..)| !holds);
    broken.map(|(_, key, message)| problem(document, key.to_owned(), message)).collect()
}

/// Every file that is named and not there.
fn files(document: &Document, config: &PromptConfig, folder: &Path) -> Vec<ConfigProblem> {
    let prompts = [("prompt", Some(&config.prompt)), ("persona_prompt", config.persona_prompt.as_ref())];
    let prompts = prompts.into_iter().filter_map(|(key, path)| path.map(|path| (key.to_owned(), path)));
    let shots = [("shots", Some(&config.shots)), ("persona_shots", config.persona_shots.as_ref())];
    let shots = shots.into_iter().flat_map(|(key, paths)| {
        paths.into_iter().flatten().enumerate().map(move |(at, path)| (format!("{key}[{at}]"), path))
    });
    let named = prompts.map(|(key, path)| (key, path, false)).chain(shots.map(|(key, path)| (key, path, true)));
    let missing = named.filter(|(_, path, may_be_folder)| {
        let path = folder.join(path);
        !(path.is_file() || *may_be_folder && path.is_dir())
    });
    missing
        .map(|(key, path, _)| {
            let message = format!("there is no {} (paths are relative to this file)", folder.join(path).display());
            problem(document, key, message)
        })
        .collect()
}

fn problem(document: &Document, key: String, message: String) -> ConfigProblem {
    ConfigProblem { place: document.place(&key).cloned(), key, message }
}

impl LoadedPrompts {
    /// The prompt file.
    pub(crate) fn prompt(&self) -> Result<LoadedPromptFile, ConfigError> {
        match &self.base {
            Base::Folder(folder) => on_disk(&folder.join(&self.config.prompt)),
            Base::BuiltIn(folder) => built_in(&assets::below(folder, &self.config.prompt)),
        }
    }

    /// The shot files in the order of the configuration; a folder stands for the `.json` files in it, by name.
    pub(crate) fn shots(&self) -> Result<Vec<LoadedPromptFile>, ConfigError> {
        let mut files = Vec::new();
        for written in &self.config.shots {
            match &self.base {
                Base::Folder(folder) => files.extend(shots_on_disk(&folder.join(written))?),
                Base::BuiltIn(folder) => files.extend(built_in_shots(&assets::below(folder, written))?),
            }
        }
        Ok(files)
    }
}

fn on_disk(path: &Path) -> Result<LoadedPromptFile, ConfigError> {
    Ok(LoadedPromptFile { name: path.display().to_string(), text: read_text(path)? })
}

fn shots_on_disk(path: &Path) -> Result<Vec<LoadedPromptFile>, ConfigError> {
    if !path.is_dir() {
        return Ok(vec![on_disk(path)?]);
    }
    let listing = |source| ConfigError::Read(fs::FsError { action: "list", path: path.to_owned(), source });
    let mut paths = Vec::new();
    for entry in path.read_dir().map_err(listing)? {
        let path = entry.map_err(listing)?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(ConfigError::NoShots { path: path.to_owned() });
    }
    paths.sort();
    paths.iter().map(|path| on_disk(path)).collect()
}

fn built_in(path: &str) -> Result<LoadedPromptFile, ConfigError> {
    let text = assets::builtin(path).ok_or_else(|| ConfigError::NotBuiltIn { path: path.to_owned() })?;
    Ok(LoadedPromptFile { name: path.to_owned(), text: text.to_owned() })
}

fn built_in_shots(path: &str) -> Result<Vec<LoadedPromptFile>, ConfigError> {
    let mut inside = assets::builtin_folder(path);
    inside.retain(|(name, _)| name.rsplit('.').next() == Some("json"));
    if inside.is_empty() {
        return Ok(vec![built_in(path)?]);
    }
    Ok(inside
        .into_iter()
        .map(|(name, text)| LoadedPromptFile { name: name.to_owned(), text: text.to_owned() })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::parse;

    fn loaded(folder: &Path, mode: &str) -> Loaded {
        let text = format!("version: 1\nrun_dir: r\nsituations: {{prompt_config: p.yaml, mode: {mode}}}\n");
        parse(Some(&folder.join("c.yaml")), &text, &[]).unwrap()
    }

    fn write(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write_atomic(&path, text.as_bytes()).unwrap();
    }

    #[test]
    fn the_mode_chooses_between_the_two_prompts_of_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let text = "prompt: a.md\nshots: [one]\npersona_prompt: b.md\npersona_shots: [two/x.json, one]\n";
        write(folder.path(), "p.yaml", text);
        for (name, text) in [
            ("a.md", "auto"),
            ("b.md", "given"),
            ("one/2.json", "2"),
            ("one/10.json", "10"),
            ("one/n.txt", ""),
            ("two/x.json", "x"),
        ] {
            write(folder.path(), name, text);
        }
        let texts = |mode: &str| {
            let prompts = prompt_config(&loaded(folder.path(), mode)).unwrap();
            let shots = prompts.shots().unwrap().into_iter().map(|shot| shot.text).collect::<Vec<_>>();
            (prompts.prompt().unwrap().text, shots.join(" "))
        };
        assert_eq!(texts("auto"), ("auto".to_owned(), "10 2".to_owned()));
        assert_eq!(texts("predefined"), ("given".to_owned(), "x 10 2".to_owned()));
    }

    #[test]
    fn faults_name_file_line_and_key() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "p.yaml", "prompt: a.md\nshot: [one]\nselection: randm\n");
        let error = prompt_config(&loaded(folder.path(), "auto")).unwrap_err().to_string();
        let shown = error.replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(shown, @r#"
        DIR/p.yaml cannot be used as it is
          DIR/p.yaml:1:1: shots: missing, and there is no default for it
          DIR/p.yaml:2:1: shot: unknown key; did you mean `shots`? (known here: prompt, shots, persona_prompt, persona_shots, selection, shots_per_prompt, situations_per_call, syntax)
          DIR/p.yaml:3:1: selection: unknown value `randm`; did you mean `random`? (one of fixed, random)
        "#);
        write(
            folder.path(),
            "p.yaml",
            "prompt: a.md\nshots: []\npersona_shots: [gone]\nselection: fixed\nsituations_per_call: 0\n",
        );
        let error = prompt_config(&loaded(folder.path(), "auto")).unwrap_err().to_string();
        let shown = error.replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(shown, @r##"
        DIR/p.yaml cannot be used as it is
          DIR/p.yaml:1:1: prompt: there is no DIR/a.md (paths are relative to this file)
          DIR/p.yaml:2:1: shots: empty, but shots_per_prompt asks for some
          DIR/p.yaml:3:17: persona_shots[0]: there is no DIR/gone (paths are relative to this file)
          DIR/p.yaml:5:1: situations_per_call: 0 is not within 1 to 50
        "##);
    }
}
