//! The process environment and the `.env` file of the working directory, and the names that credentials go by.
//!
//! A variable of the process always wins over the file, and nothing is written back into the process environment. An
//! empty variable counts as none. Values appear in no message and in no `Debug` output.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::address::{self, AzureAddress};
use super::document::read_text;
use super::dotenv::{self, Assignments};
use super::error::ConfigError;
use super::safety::Service;
use super::{Config, Model, Provider};
use crate::exit::ExitCode;

/// The file that is read from the working directory.
pub(crate) const FILE_NAME: &str = ".env";

/// Where upstream ConvoGen has it: read where there is no other.
const UPSTREAM_FILE: &str = "llm/models/settings/.env";

/// Names of the Azure OpenAI resource, in order. The official one, then those of other tools.
pub(crate) const AZURE_ENDPOINT: &[&str] = &["AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_BASE_URL"];

/// Names of a dated API version, in order: the official SDKs', upstream's, those of other tools.
pub(crate) const AZURE_API_VERSION: &[&str] = &["OPENAI_API_VERSION", "AZURE_OPENAI_API_VERSION", "AZURE_API_VERSION"];

/// Names of the deployment, in order: upstream's, then those of other tools.
pub(crate) const AZURE_DEPLOYMENT: &[&str] = &[
    "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME",
    "AZURE_OPENAI_DEPLOYMENT_NAME",
    "AZURE_OPENAI_DEPLOYMENT",
    "AZURE_OPENAI_API_DEPLOYMENT_NAME",
];

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

/// The value of [`Config::proxy`] that does without a proxy.
pub(crate) const WITHOUT_PROXY: &str = "none";

/// Every variable that says something of proxies.
pub(crate) const PROXIES: [&str; 8] =
    ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"];

/// The file that is read, if it is there.
fn found_file() -> Option<&'static Path> {
    [FILE_NAME, UPSTREAM_FILE].map(Path::new).into_iter().find(|file| file.exists())
}

/// Why the environment cannot be used. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// The file is there but cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ConfigError),
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
    /// Lines of the file that are no assignment.
    skipped: Vec<usize>,
    /// What a configuration says in place of the variables for proxies.
    proxy: Option<String>,
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
        Self::new(process, found_file().unwrap_or(Path::new(FILE_NAME)))
    }

    /// Which `.env` counts here, for people: the one that is read, or the folder that has none.
    pub(crate) fn file_told() -> String {
        let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match found_file() {
            Some(file) => format!("{} is read", absolute(file).display()),
            None => format!("there is none in {}", absolute(Path::new(".")).display()),
        }
    }

    /// As [`Environment::load`], from given variables and a given file, which need not exist.
    pub fn new(process: impl IntoIterator<Item = (String, String)>, file: &Path) -> Result<Self, EnvironmentError> {
        let process = process.into_iter().collect();
        if !file.exists() {
            return Ok(Self { process, ..Self::default() });
        }
        let Assignments { values, skipped } = dotenv::parse(&read_text(file)?);
        Ok(Self { process, from_file: values, file: Some(file.to_owned()), skipped, proxy: None })
    }

    /// The value of a variable that is set and not empty.
    pub fn var(&self, name: &str) -> Option<String> {
        if let Some(proxy) = self.proxy.as_ref().filter(|_| PROXIES.contains(&name)) {
            return Some(proxy.clone()).filter(|proxy| proxy != WITHOUT_PROXY && name == "ALL_PROXY");
        }
        let value = self.process.get(name).filter(|value| !value.is_empty()).or_else(|| self.from_file.get(name));
        value.filter(|value| !value.is_empty()).cloned()
    }

    /// The same variables, with the proxy that a configuration names, if it does; see [`Config::proxy`].
    #[must_use]
    pub(crate) fn with_proxy(&self, proxy: Option<&str>) -> Self {
        Self { proxy: proxy.map(str::to_owned), ..self.clone() }
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
        let of_model = |model: &'_ Model| -> Vec<String> {
            let keys = model.places().into_iter().filter_map(|place| place.api_key_env);
            keys.chain(model.headers.values().filter_map(|header| header.env.clone())).collect()
        };
        let named: Vec<String> = named.iter().flat_map(|(_, model)| of_model(model)).collect();
        let secret =
            |name: &str| named.iter().any(|known| known == name) || SECRET_NAMES.iter().any(|part| name.contains(part));
        let all = self.process.iter().chain(&self.from_file).filter(|(name, _)| secret(name));
        all.map(|(_, value)| SecretString::from(value.as_str())).collect()
    }

    /// The `.env` file that was read.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// What of the `.env` file was not understood, for people. The lines themselves are not repeated: they may hold secrets.
    pub(crate) fn not_understood(&self) -> Option<String> {
        let lines: Vec<String> = self.skipped.iter().map(ToString::to_string).collect();
        let file = self.file.as_ref().filter(|_| !lines.is_empty())?;
        Some(format!("{}: no NAME=VALUE in line {}, which is skipped", file.display(), lines.join(", ")))
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
            Provider::Openai => {
                fill(&mut model.base_url, OPENAI_BASE_URL);
                model.base_url = model.base_url.take().map(|url| address::base(&url));
            }
            Provider::AzureOpenai => {
                fill(&mut model.endpoint, AZURE_ENDPOINT);
                take_apart(model);
                fill(&mut model.deployment, AZURE_DEPLOYMENT);
                // An endpoint that is given with its route has no version.
                if !model.endpoint.as_deref().is_some_and(address::says_v1) {
                    fill(&mut model.api_version, AZURE_API_VERSION);
                }
                model.model = model.model.take().or_else(|| model.deployment.clone());
            }
            Provider::Embedded => {}
        }
    }
}

/// What an address says of deployment and version stands in their place, unless they are configured.
fn take_apart(model: &mut Model) {
    let Some(AzureAddress { endpoint, deployment, api_version }) = model.endpoint.as_deref().map(address::azure) else {
        return;
    };
    model.endpoint = Some(endpoint);
    model.deployment = model.deployment.take().or(deployment);
    model.api_version = model.api_version.take().or(api_version);
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
        let foreign = environment(&[], "A=1\n# comment\nsk-canary and more\n").unwrap();
        let told = foreign.not_understood().unwrap();
        assert!(told.contains("line 3") && !format!("{told} {foreign:?}").contains("canary"), "{told}");
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
    fn a_configuration_may_name_a_proxy_or_do_without() {
        let environment =
            environment(&[("HTTPS_PROXY", "http://p.example"), ("NO_PROXY", "x"), ("A", "1")], "http_proxy=q\n")
                .unwrap();
        let seen = |proxy: Option<&str>| {
            let environment = environment.with_proxy(proxy);
            ["HTTPS_PROXY", "http_proxy", "ALL_PROXY", "NO_PROXY", "A"]
                .map(|name| environment.var(name).unwrap_or_default())
        };
        assert_eq!(seen(None), ["http://p.example", "q", "", "x", "1"]);
        assert_eq!(seen(Some("none")), ["", "", "", "", "1"]);
        assert_eq!(seen(Some("http://r.example")), ["", "", "http://r.example", "", "1"]);
    }

    #[test]
    fn an_address_as_a_portal_shows_it_is_taken_apart() {
        let yaml = "version: 1\nrun_dir: r\nmodels: {default: {provider: azure_openai}, speaker: {provider: openai, model: m, base_url: 'http://127.0.0.1:8000/v1/chat/completions'}}\n";
        let text =
            "AZURE_OPENAI_ENDPOINT=https://r.example/openai/deployments/chat/chat/completions?api-version=2024-10-21\n";
        let mut config = parse(None, yaml, &[]).unwrap().config;
        environment(&[], text).unwrap().complete(&mut config);
        let Model { endpoint, deployment, api_version, model, .. } = &config.models.default;
        let found = [endpoint, deployment, api_version, model].map(|field| field.as_deref().unwrap_or_default());
        assert_eq!(found, ["https://r.example", "chat", "2024-10-21", "chat"]);
        assert_eq!(config.models.speaker.unwrap().base_url.as_deref(), Some("http://127.0.0.1:8000/v1"));
    }

    #[test]
    fn an_endpoint_with_its_route_has_no_version_and_any_name_of_a_deployment_will_do() {
        let yaml = "version: 1\nrun_dir: r\nmodels: {default: {provider: azure_openai}}\n";
        let completed = |endpoint: &str| {
            let text = format!(
                "AZURE_OPENAI_ENDPOINT={endpoint}\nOPENAI_API_VERSION=2024-10-21\nAZURE_OPENAI_API_DEPLOYMENT_NAME=chat\n"
            );
            let mut config = parse(None, yaml, &[]).unwrap().config;
            environment(&[], &text).unwrap().complete(&mut config);
            config.models.default
        };
        for (endpoint, version) in [
            ("https://r.example", Some("2024-10-21")),
            ("https://r.example/openai/v1", None),
            ("https://r.example/openai/v1/", None),
            ("https://r.example/openai/v1/chat/completions", None),
        ] {
            let model = completed(endpoint);
            assert_eq!(model.api_version.as_deref(), version, "{endpoint}");
            assert_eq!((model.deployment.as_deref(), model.model.as_deref()), (Some("chat"), Some("chat")));
        }
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
