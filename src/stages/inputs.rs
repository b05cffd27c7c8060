//! The texts that shape a run besides its configuration: prompts, shots, the coverage grid.
//!
//! They are read once, copied into the run's `inputs/`, and read from there by everything that looks at the run later,
//! so that editing a prompt can neither change a resumed run unnoticed nor make `explain` tell lies.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::error::StageError;
use super::sealed::Sealed;
use crate::config::assets;
use crate::config::document::read_text;
use crate::config::loaded::Loaded;
use crate::config::prompts;
use crate::config::safety::Service;
use crate::config::{BUILT_IN_GRID, Config, PromptConfig, PromptSyntax, SituationMode};
use crate::prompt::braces;
use crate::prompt::leak::Leaks;
use crate::prompt::shots::Shot;
use crate::prompt::template::Template;
use crate::record::Persona;
use crate::stages::compile::PromptUse;
use crate::stages::conversations::agents::{AgentPromptFile, AgentPrompts};
use crate::stages::safety::words::WordLists;
use crate::stages::situations::Prompt;
use crate::stages::situations::coverage::Coverage;
use crate::stages::situations::seeds::{self, Seed, SeedsError};
use crate::stages::{judge, safety};
use crate::store::fs;
use crate::store::part::JsonlWriter;

mod error;

pub(crate) use error::InputsError;

/// The texts by their name below `inputs/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inputs {
    texts: BTreeMap<String, String>,
    /// The files they were read from, where messages are to name those.
    files: BTreeMap<String, PathBuf>,
}

const PROMPT_CONFIG: &str = "prompt-config.yaml";
const SITUATIONS: &str = "situations.md";
const COVERAGE: &str = "coverage.yaml";
const SEEDS: &str = "seeds.jsonl";
const SPEAKER: &str = "speaker.md";
const FUSED: &str = "fused.md";
const SELECTOR: &str = "selector.md";
const CONTEXT: &str = "context.md";
const SAFETY: &str = "safety.md";
const JUDGE: &str = "judge.md";
const SHOTS: &str = "shots/";
const WORDS: &str = "words/";
/// The word lists that ship.
const SHIPPED_WORDS: &str = "prompts/safety/words";
/// The personas used: kept for people to read, not a text that prompts are made of.
const PERSONAS: &str = "personas.jsonl";

impl Inputs {
    /// Reads what the configuration names, or what ships with convogen where it names nothing.
    pub(crate) fn gather(loaded: &Loaded) -> Result<Self, InputsError> {
        let (inputs, faults) = Self::gather_what_can_be(loaded);
        faults.into_iter().next().map_or(Ok(inputs), Err)
    }

    /// The same, with what ships in place of what cannot be read, and why that cannot.
    pub(crate) fn gather_what_can_be(loaded: &Loaded) -> (Self, Vec<InputsError>) {
        let mut inputs = Self { texts: BTreeMap::new(), files: BTreeMap::new() };
        let mut faults = Vec::new();
        let config = &loaded.config;
        if config.situations.mode != SituationMode::File {
            faults.extend(inputs.gather_situations(loaded).err());
        }
        match &config.situations.coverage {
            Some(written) if written.as_os_str() != BUILT_IN_GRID => {
                faults.extend(inputs.read_named(COVERAGE, loaded, written).err());
            }
            Some(_) if config.situations.mode != SituationMode::File => {
                let text = assets::shipped("configs/coverage.yaml");
                inputs.texts.insert(COVERAGE.to_owned(), text.to_owned());
            }
            _ => {}
        }
        if let Some(written) = &config.situations.seeds {
            faults.extend(inputs.read_seeds(loaded.path(written)).err());
        }
        let prompts = &config.conversations.prompts;
        for (name, path) in [(SPEAKER, &prompts.speaker), (FUSED, &prompts.fused), (SELECTOR, &prompts.selector)] {
            faults.extend(inputs.gather_prompt(loaded, name, path.as_deref(), "prompts/conversations").err());
        }
        if config.conversations.context.last_turns.is_some() {
            let named = prompts.context.as_deref();
            faults.extend(inputs.gather_prompt(loaded, CONTEXT, named, "prompts/conversations").err());
        }
        if config.safety.service == Some(Service::Judge) {
            faults
                .extend(inputs.gather_prompt(loaded, SAFETY, config.safety.prompt.as_deref(), "prompts/safety").err());
        }
        if config.judge.enabled {
            faults.extend(inputs.gather_prompt(loaded, JUDGE, config.judge.prompt.as_deref(), "prompts/judge").err());
        }
        if config.safety.screen {
            faults.extend(inputs.gather_words(loaded).err());
        }
        (inputs, faults)
    }

    /// The file that the configuration names, or else the one of that name in `folder`, which ships.
    fn gather_prompt(
        &mut self,
        loaded: &Loaded,
        name: &str,
        written: Option<&Path>,
        folder: &str,
    ) -> Result<(), InputsError> {
        let text = assets::shipped(&format!("{folder}/{name}"));
        self.texts.insert(name.to_owned(), text.to_owned());
        written.map_or(Ok(()), |written| self.read_named(name, loaded, written))
    }

    /// The word lists, numbered, because two folders may hold lists for one language.
    fn gather_words(&mut self, loaded: &Loaded) -> Result<(), InputsError> {
        let Some(own) = &loaded.config.safety.words else {
            for (at, (path, text)) in assets::builtin_folder(SHIPPED_WORDS).into_iter().enumerate() {
                let name = path.rsplit('/').next().unwrap_or_default();
                self.texts.insert(format!("{WORDS}{at:03}-{name}"), text.to_owned());
            }
            return Ok(());
        };
        for (at, written) in own.iter().enumerate() {
            let name = written.file_name().unwrap_or_default().to_string_lossy();
            self.read_named(&format!("{WORDS}{at:03}-{name}"), loaded, written)?;
        }
        Ok(())
    }

    /// Takes the file that the configuration names, from the program itself where it ships and the built-in
    /// configuration names it.
    fn read_named(&mut self, name: &str, loaded: &Loaded, written: &Path) -> Result<(), InputsError> {
        let text = if let Some(text) = loaded.shipped(written).and_then(assets::builtin) {
            text.to_owned()
        } else {
            let path = loaded.path(written);
            let text = read_text(&path)?;
            self.files.insert(name.to_owned(), path);
            text
        };
        self.texts.insert(name.to_owned(), text);
        Ok(())
    }

    /// Seeds are data and may be larger than any configuration.
    fn read_seeds(&mut self, path: PathBuf) -> Result<(), InputsError> {
        if fs::metadata(&path)?.len() > seeds::MAX_BYTES {
            return Err(SeedsError::TooLarge { path }.into());
        }
        let text = String::from_utf8(fs::read(&path)?).map_err(|error| {
            let sound = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let line = sound.split(|byte| *byte == b'\n').count();
            SeedsError::NotText { path: path.clone(), line }
        })?;
        self.texts.insert(SEEDS.to_owned(), text);
        self.files.insert(SEEDS.to_owned(), path);
        Ok(())
    }

    fn gather_situations(&mut self, loaded: &Loaded) -> Result<(), InputsError> {
        let prompts = prompts::prompt_config(loaded)?;
        let kept = serde_saphyr::to_string(&prompts.config);
        let kept = kept.map_err(|error| InputsError::Kept { message: error.to_string() })?;
        self.texts.insert(PROMPT_CONFIG.to_owned(), kept);
        self.keep(SITUATIONS.to_owned(), prompts.prompt()?);
        for (at, shot) in prompts.shots()?.into_iter().enumerate() {
            let name = Path::new(&shot.name).file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Numbered, because their order matters and two folders may hold files of one name.
            self.keep(format!("{SHOTS}{at:03}-{name}"), shot);
        }
        Ok(())
    }

    fn keep(&mut self, name: String, file: prompts::LoadedPromptFile) {
        self.files.insert(name.clone(), file.name.into());
        self.texts.insert(name, file.text);
    }

    /// What messages call a text: the file it was read from, else its name here.
    fn shown(&self, name: &str) -> String {
        self.files.get(name).map_or_else(|| name.to_owned(), |path| path.display().to_string())
    }

    /// Reads the copy in a run directory's `inputs/`.
    pub(crate) fn read(folder: &Path) -> Result<Self, InputsError> {
        let mut texts = BTreeMap::new();
        let below = [SHOTS, WORDS].map(|prefix| (prefix, folder.join(prefix)));
        for (prefix, folder) in [("", folder.to_owned())].into_iter().chain(below) {
            let names = if folder.is_dir() { fs::list_files(&folder)? } else { Vec::new() };
            for name in names.into_iter().filter(|name| name != PERSONAS && !fs::is_temporary(name)) {
                texts.insert(format!("{prefix}{name}"), fs::read_to_string(&folder.join(&name))?);
            }
        }
        Ok(Self { texts, files: BTreeMap::new() })
    }

    /// Copies the texts into a run directory's `inputs/`.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), InputsError> {
        for (name, text) in &self.texts {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write_atomic(&path, text.as_bytes())?;
        }
        Ok(())
    }

    /// Keeps the people used beside the texts.
    ///
    /// # Errors
    /// If a sealed row or the disk fails.
    pub(crate) fn keep_people(folder: &Path, people: &Sealed<Persona>) -> Result<(), StageError> {
        if people.tally().accepted == 0 || folder.join(PERSONAS).exists() {
            return Ok(());
        }
        // Of a process that was killed here.
        fs::remove_temporaries(folder)?;
        let mut rows = JsonlWriter::create(folder, PERSONAS)?;
        for person in people.rows()? {
            let Persona { id, persona, source, .. } = person?;
            rows.push(&json!({"id": id, "persona": persona, "source": source}))?;
        }
        rows.finish()?;
        Ok(())
    }

    /// Parses everything, so that a mistake is told before anything is made.
    pub(crate) fn check(&self, config: &Config) -> Result<(), InputsError> {
        self.faults(config).into_iter().next().map_or(Ok(()), Err)
    }

    /// What of the texts cannot be understood, each once.
    pub(super) fn faults(&self, config: &Config) -> Vec<InputsError> {
        let mut faults = Vec::new();
        if config.situations.mode != SituationMode::File && self.texts.contains_key(SITUATIONS) {
            let template =
                self.prompt_config(config).and_then(|kept| self.situations_template(&kept, config.situations.mode));
            match (template, self.seeds()) {
                (Ok(template), Ok(seeds)) => {
                    faults.extend(seeds::check_used(&template, &seeds).err().map(InputsError::from));
                }
                (template, seeds) => faults.extend([template.err(), seeds.err()].into_iter().flatten()),
            }
            faults.extend(self.each_shot().filter_map(Result::err));
        }
        faults.extend(self.conversation_templates().into_iter().filter_map(Result::err));
        faults.extend(self.words().err());
        faults.extend(self.safety_prompt().err());
        faults.extend(self.judge_prompt().err());
        faults.extend(self.coverage().err());
        faults
    }

    /// Content hashes by name: what fingerprints are made of.
    pub(crate) fn hashes(&self) -> BTreeMap<String, String> {
        self.texts.iter().map(|(name, text)| (name.clone(), crate::record::content_hash([text.as_str()]))).collect()
    }

    /// The prompts by role, as the dataset's card names them.
    pub(crate) fn uses(&self) -> Vec<PromptUse> {
        let prompts = self.hashes().into_iter();
        prompts
            .filter_map(|(name, hash)| Some(PromptUse { role: name.strip_suffix(".md")?.to_owned(), name, hash }))
            .collect()
    }

    /// The situations prompt, parsed.
    pub(crate) fn situations_prompt(&self, config: &Config) -> Result<Prompt, InputsError> {
        let kept = self.prompt_config(config)?;
        let template = self.situations_template(&kept, config.situations.mode)?;
        let shots: Vec<String> = self.shots()?.iter().map(Shot::words).collect();
        Ok(Prompt {
            leaks: Leaks::new([template.literal()].into_iter().chain(shots.iter().map(String::as_str))),
            template,
            config: kept,
            mode: config.situations.mode,
            language: config.language.clone(),
            max_tokens: config.situations.max_tokens,
        })
    }

    fn situations_template(&self, kept: &PromptConfig, mode: SituationMode) -> Result<Template, InputsError> {
        let (file, text) = (self.shown(SITUATIONS), self.text(SITUATIONS)?);
        if kept.syntax == PromptSyntax::Sections {
            return Ok(crate::prompt::situations::parse(&file, text)?);
        }
        let template = braces::parse(&file, text)?;
        braces::check_people(&file, text, &template, mode == SituationMode::Predefined)?;
        Ok(template)
    }

    /// The hand-written examples, in the order of the prompt configuration.
    pub(crate) fn shots(&self) -> Result<Vec<Shot>, InputsError> {
        self.each_shot().collect()
    }

    fn each_shot(&self) -> impl Iterator<Item = Result<Shot, InputsError>> {
        let shots = self.texts.iter().filter_map(|(name, text)| {
            let written = name.strip_prefix(SHOTS)?;
            let kept = || PathBuf::from(without_number(written));
            Some((self.files.get(name).cloned().unwrap_or_else(kept), text))
        });
        shots.map(|(path, text)| Ok(Shot::parse(&path, text)?))
    }

    /// The prompts of the conversations stage, parsed.
    pub(crate) fn conversation_prompts(&self) -> Result<AgentPrompts, InputsError> {
        let names = [SPEAKER, FUSED, SELECTOR, CONTEXT].map(|name| self.shown(name));
        let [speaker, fused, selector, context] = &names;
        let prompts = AgentPrompts::parse(
            AgentPromptFile { name: speaker, text: self.text(SPEAKER)? },
            AgentPromptFile { name: fused, text: self.text(FUSED)? },
            AgentPromptFile { name: selector, text: self.text(SELECTOR)? },
        )?;
        match self.texts.get(CONTEXT) {
            Some(text) => Ok(prompts.with_context(AgentPromptFile { name: context, text })?),
            None => Ok(prompts),
        }
    }

    /// The same, each by itself: speaker, fused, selector, and what stands for lines that are not shown.
    pub(super) fn conversation_templates(&self) -> Vec<Result<Template, InputsError>> {
        let names = [SPEAKER, FUSED, SELECTOR, CONTEXT].map(|name| self.shown(name));
        let [speaker, fused, selector, context] = &names;
        let file = |name, key| self.text(key).map(|text| AgentPromptFile { name, text });
        let all = match (file(speaker, SPEAKER), file(fused, FUSED), file(selector, SELECTOR)) {
            (Ok(speaker), Ok(fused), Ok(selector)) => AgentPrompts::templates(speaker, fused, selector),
            (one, two, three) => return [one, two, three].into_iter().filter_map(Result::err).map(Err).collect(),
        };
        let context =
            self.texts.get(CONTEXT).map(|text| AgentPrompts::context_template(AgentPromptFile { name: context, text }));
        all.into_iter().chain(context).map(|template| template.map_err(InputsError::from)).collect()
    }

    /// What a judge is told that screens conversations, if one does.
    pub(crate) fn safety_prompt(&self) -> Result<Option<Template>, InputsError> {
        let text = self.texts.get(SAFETY);
        Ok(text.map(|text| safety::prompt(&self.shown(SAFETY), text)).transpose()?)
    }

    /// What a judge is told that scores conversations, if one does.
    pub(crate) fn judge_prompt(&self) -> Result<Option<Template>, InputsError> {
        let text = self.texts.get(JUDGE);
        Ok(text.map(|text| judge::prompt(&self.shown(JUDGE), text)).transpose()?)
    }

    /// The word lists, parsed.
    pub(crate) fn words(&self) -> Result<WordLists, InputsError> {
        let mut words = WordLists::default();
        for (name, text) in &self.texts {
            let Some(file) = name.strip_prefix(WORDS).map(without_number) else { continue };
            words.add(file.strip_suffix(".txt").unwrap_or(file), &self.shown(name), text)?;
        }
        Ok(words)
    }

    /// The coverage grid, if there is one.
    pub(crate) fn coverage(&self) -> Result<Option<Coverage>, InputsError> {
        let text = self.texts.get(COVERAGE);
        Ok(text.map(|text| Coverage::parse(text, Path::new(&self.shown(COVERAGE)))).transpose()?)
    }

    /// The seeds; none where nothing is augmented.
    pub(crate) fn seeds(&self) -> Result<Vec<Seed>, InputsError> {
        let Some(text) = self.texts.get(SEEDS) else { return Ok(Vec::new()) };
        Ok(seeds::parse(Path::new(&self.shown(SEEDS)), text)?)
    }

    /// Situations that one call asks for.
    ///
    /// # Errors
    /// If there is no prompt configuration, or it cannot be read.
    pub(crate) fn situations_per_call(&self, config: &Config) -> Result<usize, InputsError> {
        Ok(self.prompt_config(config)?.situations_per_call)
    }

    /// The prompt configuration, with what `config` says instead.
    fn prompt_config(&self, config: &Config) -> Result<PromptConfig, InputsError> {
        let kept: PromptConfig = serde_saphyr::from_str(self.text(PROMPT_CONFIG)?)
            .map_err(|error| InputsError::Kept { message: error.to_string() })?;
        let situations_per_call = config.situations.per_call.unwrap_or(kept.situations_per_call);
        Ok(PromptConfig { situations_per_call, ..kept })
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, InputsError> {
        self.texts.get(name).map(String::as_str).ok_or_else(|| InputsError::Missing { path: name.into() })
    }
}

fn without_number(name: &str) -> &str {
    name.split_once('-').map_or(name, |(_, name)| name)
}
