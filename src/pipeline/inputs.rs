//! The texts that shape a run besides its configuration: prompts, shots, the coverage grid.
//!
//! They are read once, copied into the run's `inputs/`, and read from there by everything that looks at the run later,
//! so that editing a prompt can neither change a resumed run unnoticed nor make `explain` tell lies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::assets;
use crate::config::load::{ConfigError, Loaded};
use crate::config::{Config, PromptConfig, SituationMode};
use crate::prompt::shots::Shot;
use crate::prompt::{PromptError, ShotError, Template};
use crate::stages::conversations::agents::{PromptFile, Prompts};
use crate::stages::situations::coverage::{Coverage, CoverageError};
use crate::stages::situations::hub::Example;
use crate::stages::situations::{self, Prompt};
use crate::store::fs::{self, FsError};

/// The texts by their name below `inputs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    texts: BTreeMap<String, String>,
}

/// Why a run's texts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputsError {
    /// The prompt configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A prompt.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A shot.
    #[error(transparent)]
    Shot(#[from] ShotError),
    /// The coverage grid.
    #[error(transparent)]
    Coverage(#[from] CoverageError),
    /// A file.
    #[error(transparent)]
    File(#[from] FsError),
    /// The copy in the run directory has a hole.
    #[error("{path} is missing from the run directory", path = path.display())]
    Missing {
        /// The file that should be there.
        path: PathBuf,
    },
}

const PROMPT_CONFIG: &str = "prompt-config.yaml";
const SITUATIONS: &str = "situations.md";
const COVERAGE: &str = "coverage.yaml";
const SPEAKER: &str = "speaker.md";
const FUSED: &str = "fused.md";
const SELECTOR: &str = "selector.md";
const SHOTS: &str = "shots/";

impl Inputs {
    /// Reads what the configuration names, or what ships with convogen where it names nothing.
    pub fn gather(loaded: &Loaded) -> Result<Self, InputsError> {
        let mut texts = BTreeMap::new();
        let config = &loaded.config;
        if config.situations.mode != SituationMode::File {
            gather_situations(loaded, &mut texts)?;
        }
        if let Some(coverage) = &config.situations.coverage {
            texts.insert(COVERAGE.to_owned(), fs::read_to_string(&loaded.path(coverage))?);
        }
        let prompts = &config.conversations.prompts;
        for (name, path) in [(SPEAKER, &prompts.speaker), (FUSED, &prompts.fused), (SELECTOR, &prompts.selector)] {
            let text = match path {
                Some(path) => fs::read_to_string(&loaded.path(path))?,
                None => assets::text(&format!("prompts/conversations/{name}")).to_owned(),
            };
            texts.insert(name.to_owned(), text);
        }
        Ok(Self { texts })
    }

    /// Reads the copy in a run directory's `inputs/`.
    pub fn read(folder: &Path) -> Result<Self, InputsError> {
        let mut texts = BTreeMap::new();
        for name in fs::list_files(folder)? {
            texts.insert(name.clone(), fs::read_to_string(&folder.join(&name))?);
        }
        Ok(Self { texts })
    }

    /// Copies the texts into a run directory's `inputs/`.
    pub fn write(&self, folder: &Path) -> Result<(), InputsError> {
        for (name, text) in &self.texts {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write_atomic(&path, text.as_bytes())?;
        }
        Ok(())
    }

    /// Content hashes by name: what fingerprints are made of.
    pub fn hashes(&self) -> BTreeMap<String, String> {
        self.texts.iter().map(|(name, text)| (name.clone(), crate::record::content_hash([text.as_str()]))).collect()
    }

    /// The situations prompt, parsed.
    pub fn situations_prompt(&self, config: &Config) -> Result<Prompt, InputsError> {
        let text = self.text(SITUATIONS)?;
        Ok(Prompt {
            template: Template::parse(SITUATIONS, text, situations::SECTIONS, situations::VARIABLES)?,
            config: self.prompt_config()?,
            mode: config.situations.mode,
            language: config.language.clone(),
        })
    }

    /// The hand-written examples, as prompts show them.
    pub fn shots(&self, mode: SituationMode) -> Result<Vec<Example>, InputsError> {
        let shots = self.texts.iter().filter_map(|(name, text)| Some((name.strip_prefix(SHOTS)?, text)));
        shots
            .map(|(name, text)| {
                let shot = Shot::parse(name, text)?;
                Ok(Example { id: name.to_owned(), input: shot.input(), output: shot.output(mode) })
            })
            .collect()
    }

    /// The prompts of the conversations stage, parsed.
    pub fn conversation_prompts(&self) -> Result<Prompts, InputsError> {
        let file = |name| Ok::<_, InputsError>(PromptFile { name, text: self.text(name)? });
        Ok(Prompts::parse(file(SPEAKER)?, file(FUSED)?, file(SELECTOR)?)?)
    }

    /// The coverage grid, if there is one.
    pub fn coverage(&self) -> Result<Option<Coverage>, InputsError> {
        let text = self.texts.get(COVERAGE);
        Ok(text.map(|text| Coverage::parse(text, COVERAGE)).transpose()?)
    }

    fn prompt_config(&self) -> Result<PromptConfig, InputsError> {
        Ok(crate::config::load::parse_prompt_config(PROMPT_CONFIG, self.text(PROMPT_CONFIG)?)?)
    }

    fn text(&self, name: &str) -> Result<&str, InputsError> {
        self.texts.get(name).map(String::as_str).ok_or_else(|| InputsError::Missing { path: name.into() })
    }
}
