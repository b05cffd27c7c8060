//! The process environment and the `.env` file of the working directory, and the names that credentials go by.
//!
//! A variable of the process always wins over the file, and nothing is written back into the process environment. An
//! empty variable counts as none. Values appear in no message and in no `Debug` output.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::document::read_text;
use super::error::ConfigError;
use super::safety::Service;
use super::{Config, Model, Provider};
use crate::exit::ExitCode;

/// The file that is read from the working directory.
pub(crate) const FILE_NAME: &str = ".env";

/// Names of the Azure OpenAI resource, in order. The official one, then those of other tools.
pub(crate) const AZURE_ENDPOINT: &[&str] = &["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"];

/// Names of a dated API version, in order: the official SDKs', upstream's, those of other tools.
pub(crate) const AZURE_API_VERSION: &[&str] = &["OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION", "AZURE_API_VERSION"];

/// Names of the deployment, in order: upstream's, then those of other tools.
pub(crate) const AZURE_DEPLOYMENT: &[&str] =
    &["AZURE_OPENAI_CHAT_DEPLOYMENT_NAME", "AZURE_OPENAI_DEPLOYMENT_NAME", "AZURE_OPENAI_DEPLOYMENT"];

/// The name of an Azure OpenAI key.
pub(crate) const AZURE_API_KEY: &str = "AZURE_OPENAI_API_KEY";

/// Names of an Azure AI Content Safety resource, in order: those of the service's own samples, then the longer ones.
pub(crate) const CONTENT_SAFETY_ENDPOINT: &[&str] = &["CONTENT_SAFETY_ENDPOINT", "AZURE_CONTENT_SAFETY_ENDPOINT"];

/// Names of its key.
pub(crate) const CONTENT_SAFETY_KEY: &[&str] = &["CONTENT_SAFETY_KEY", "AZURE_CONTENT_SAFETY_KEY"];

/// The name of an OpenAI-compatible base URL.
pub(crate) const OPENAI_BASE_URL: &[&str] = &["OPENAI_BASE_URL"];

/// Parts of the names of variables that hold credentials.
const SECRET_NAMES: [&str; 6] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "CONNECTION_STRING", "CREDENTIAL"];

/// Why the environment cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The file is there but cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ConfigError),
    /// A line is no assignment. The line itself is not repeated: it may hold a secret.
    #[error("{file}: entry {entry} is not NAME=VALUE; quote values with spaces", file = file.display())]
    NotAnAssignment {
        /// The file.
        file: PathBuf,
        /// Which entry, from 1, comments and blank lines not counted.
        entry: usize,
    },
}

impl EnvironmentError {
    /// The exit code of the contract.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::Usage
    }
}

/// Variables by name.
#[derive(Clone, Default)]
pub struct Environment {
    process: BTreeMap<String, String>,
    from_file: BTreeMap<String, String>,
    file: Option<PathBuf>,
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.from_file.keys().collect();
        f.debug_struct("Environment").field("file", &self.file).field("from_file", &names).finish_non_exhaustive()
    }
}

impl Environment {
    /// The environment of this process and the `.env` of the working directory, if there is one.
    pub fn load() -> Result<Self, EnvironmentError> {
        // Variables that are not UTF-8 are none of ours.
        let process =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        Self::new(process, Path::new(FILE_NAME))
    }

    /// As [`Environment::load`], from given variables and a given file, which need not exist.
    pub fn new(process: impl IntoIterator<Item = (String, String)>, file: &Path) -> Result<Self, EnvironmentError> {
        let process = process.into_iter().collect();
        if !file.exists() {
            return Ok(Self { process, ..Self::default() });
        }
        let from_file = read_assignments(file)?;
        Ok(Self { process, from_file, file: Some(file.to_owned()) })
    }

    /// The value of a variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<String> {
        let value = self.process.get(name).filter(|value| !value.is_empty()).or_else(|| self.from_file.get(name));
        value.filter(|value| !value.is_empty()).cloned()
    }

    /// The value of the first of `names` that is set.
    pub fn first(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.var(name))
    }

    /// The value of a variable that must not be shown.
    pub fn secret(&self, name: &str) -> Option<SecretString> {
        self.var(name).map(SecretString::from)
    }

    /// The value of every variable that holds a credential, going by its name or because `config` says so.
    pub(crate) fn secrets(&self, config: &Config) -> Vec<SecretString> {
        let named = config.models.named();
        let named: Vec<&str> = named.iter().filter_map(|(_, model)| model.api_key_env.as_deref()).collect();
        let secret = |name: &str| named.contains(&name) || SECRET_NAMES.iter().any(|part| name.contains(part));
        let all = self.process.iter().chain(&self.from_file).filter(|(name, _)| secret(name));
        all.map(|(_, value)| SecretString::from(value.as_str())).collect()
    }

    /// The `.env` file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether the `.env` file can be read by other users of the machine.
    pub fn is_exposed(&self) -> bool {
        let mode = |file: &PathBuf| file.metadata().ok().map(|meta| meta.permissions().mode());
        self.file.as_ref().and_then(mode).is_some_and(|mode| mode & 0o077 != 0)
    }

    /// Writes into `config` what it leaves to the environment, so that a run's recorded settings are complete: base URL,
    /// endpoint, deployment, API version and, for Azure, the logical model name that a deployment stands for.
    pub fn complete(&self, config: &mut Config) {
        let models = &mut config.models;
        let own = [&mut models.situations, &mut models.speaker, &mut models.selector, &mut models.judge];
        for model in own.into_iter().flatten().chain([&mut models.default]) {
            self.complete_model(model);
        }
        // The variables of a chat model's resource are not those of Azure AI Content Safety.
        match (&mut models.safety, config.safety.service) {
            (Some(model), Some(Service::AzureContentSafety)) => {
                model.endpoint = model.endpoint.take().or_else(|| self.first(CONTENT_SAFETY_ENDPOINT));
            }
            (Some(model), _) => self.complete_model(model),
            (None, _) => {}
        }
    }

    fn complete_model(&self, model: &mut Model) {
        let fill = |slot: &mut Option<String>, names: &[&str]| *slot = slot.take().or_else(|| self.first(names));
        match model.provider {
            Provider::Openai => fill(&mut model.base_url, OPENAI_BASE_URL),
            Provider::AzureOpenai => {
                fill(&mut model.endpoint, AZURE_ENDPOINT);
                fill(&mut model.deployment, AZURE_DEPLOYMENT);
                fill(&mut model.api_version, AZURE_API_VERSION);
                model.model = model.model.take().or_else(|| model.deployment.clone());
            }
            Provider::Embedded => {}
        }
    }
}

fn read_assignments(file: &Path) -> Result<BTreeMap<String, String>, EnvironmentError> {
    let text = read_text(file)?;
    // The parser wants a final line break after trailing spaces, and knows no byte order mark.
    let text = format!("{}\n", text.trim_start_matches('\u{feff}'));
    let mut found = BTreeMap::new();
    for (at, entry) in dotenvy::from_read_iter(text.as_bytes()).enumerate() {
        let (name, value) =
            entry.map_err(|_| EnvironmentError::NotAnAssignment { file: file.to_owned(), entry: at + 1 })?;
        // As elsewhere, the first of two assignments counts.
        found.entry(name).or_insert(value);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::config::load::parse;
    use crate::store::fs;

    fn environment(process: &[(&str, &str)], text: &str) -> Result<Environment, EnvironmentError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(FILE_NAME);
        fs::write_atomic(&file, text.as_bytes()).unwrap();
        Environment::new(process.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())), &file)
    }

    #[test]
    fn the_process_wins_over_the_file_unless_it_is_empty() {
        let text = "\u{feff}# keys\nA=file\r\nexport B='two words'\nC=\nD=file\nD=again  ";
        let environment = environment(&[("A", "process"), ("D", "")], text).unwrap();
        let value = |name: &str| environment.var(name);
        assert_eq!(value("A").as_deref(), Some("process"));
        assert_eq!(value("B").as_deref(), Some("two words"));
        assert_eq!((value("C"), value("E")), (None, None));
        assert_eq!(value("D").as_deref(), Some("file"));
        assert_eq!(environment.secret("A").unwrap().expose_secret(), "process");
        assert_eq!(environment.first(&["E", "C", "B"]).as_deref(), Some("two words"));
        assert!(!environment.is_exposed());
    }

    #[test]
    fn no_message_repeats_a_value() {
        let error = environment(&[], "A=1\n# comment\nsk-canary and more\n").unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
        let environment = environment(&[("P", "canary")], "F=canary\n").unwrap();
        assert!(!format!("{environment:?}").contains("canary"));
    }

    #[test]
    fn a_missing_file_is_no_fault_and_a_folder_is_one() {
        assert!(Environment::new([], Path::new("no/such/.env")).unwrap().file().is_none());
        let folder = tempfile::tempdir().unwrap();
        assert!(Environment::new([], folder.path()).is_err());
    }

    #[test]
    fn upstreams_three_names_are_enough_for_azure() {
        let text = "AZURE_OPENAI_ENDPOINT=https://name.openai.azure.example\nAZURE_OPENAI_API_VERSION=2024-10-21\n\
                    AZURE_OPENAI_CHAT_DEPLOYMENT_NAME=gpt-4o\n";
        let environment = environment(&[("OPENAI_API_VERSION", "2025-01-01")], text).unwrap();
        let yaml = "version: 1\nrun_dir: r\nmodels: {default: {provider: azure_openai}, selector: {provider: azure_openai, deployment: d, model: m}}\n";
        let mut config = parse(None, yaml, &[]).unwrap().config;
        environment.complete(&mut config);
        let model = &config.models.default;
        assert_eq!(model.endpoint.as_deref(), Some("https://name.openai.azure.example"));
        assert_eq!(model.api_version.as_deref(), Some("2025-01-01"));
        assert_eq!(model.deployment.as_deref(), Some("gpt-4o"));
        assert_eq!(model.model.as_deref(), Some("gpt-4o"));
        let own = config.models.selector.unwrap();
        assert_eq!((own.deployment.as_deref(), own.model.as_deref()), (Some("d"), Some("m")));
    }
}
