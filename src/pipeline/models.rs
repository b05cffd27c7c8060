//! The models of a run, by role.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustix::process::{Resource, getrlimit};
use tokio::sync::OnceCell;
use url::Url;

use super::error::RunError;
use crate::config::environment::Environment;
use crate::config::safety::Service;
use crate::config::{Config, Model, Provider};
use crate::llm::azure::AzureOpenAi;
use crate::llm::azure::content_safety::ContentSafety;
use crate::llm::limiter::Limiter;
use crate::llm::openai::OpenAi;
use crate::llm::openai::moderation::Moderation;
use crate::llm::recorded::{ModelEndpoint, ModelProfile};
use crate::llm::{ChatModel, Role, StructuredSupport};
use crate::loopback::is_this_machine;
use crate::stages::compile::ModelUse;

/// Where models come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ModelSource<'a> {
    /// Calls are made.
    Live {
        /// Credentials.
        environment: &'a Environment,
        /// No network but loopback.
        offline: bool,
    },
    /// Recorded replies only.
    Recorded,
}

/// A line for every role the configuration uses; roles that share a model share the line.
pub(crate) fn lines(config: &Config, source: ModelSource<'_>) -> Result<BTreeMap<Role, Arc<ModelEndpoint>>, RunError> {
    if let ModelSource::Live { .. } = source {
        check_open_files(config)?;
    }
    let mut by_key: BTreeMap<&str, Arc<ModelEndpoint>> = BTreeMap::new();
    for (key, model) in config.used_models() {
        let service = config.safety.service.filter(|_| key == "safety");
        by_key.insert(key, Arc::new(line(model, service, source)?));
    }
    let roles = config.roles().into_iter();
    Ok(roles.filter_map(|(role, key, _)| Some((role, Arc::clone(by_key.get(key)?)))).collect())
}

/// Files that are open beside the connections: the journal, parts, spools, the runtime's own.
const OTHER_FILES: u64 = 64;

/// Refuses more calls in flight than there can be connections: each that cannot be opened would count as a failed attempt.
fn check_open_files(config: &Config) -> Result<(), RunError> {
    // Calls in batch jobs wait without a connection.
    let online = |model: &&Model| model.provider != Provider::Embedded && !model.batch;
    let models = config.used_models().into_values().filter(online);
    let calls: usize = models.map(|model| model.concurrency).sum();
    match getrlimit(Resource::Nofile).current {
        Some(allowed) if calls as u64 + OTHER_FILES > allowed => Err(RunError::OpenFiles { calls, allowed }),
        _ => Ok(()),
    }
}

fn line(model: &Model, service: Option<Service>, source: ModelSource<'_>) -> Result<ModelEndpoint, RunError> {
    Ok(ModelEndpoint {
        profile: profile(model, service),
        model: match source {
            ModelSource::Live { environment, offline } => Some(connect(model, service, environment, offline)?),
            ModelSource::Recorded => None,
        },
        limiter: Limiter::new(model.concurrency),
        max_attempts: model.max_attempts,
        structured: match model.provider {
            Provider::Embedded => StructuredSupport::Native,
            _ => model.structured.fixed().map_or(StructuredSupport::Probe, StructuredSupport::Fixed),
        },
        wire: OnceCell::new(),
    })
}

/// What stages may know of a model, or of a service that takes the place of one.
pub(crate) fn profile(model: &Model, service: Option<Service>) -> ModelProfile {
    let embedded = model.provider == Provider::Embedded;
    let name = model.model.clone().or_else(|| model.deployment.clone());
    let name = name.or_else(|| service.map(|service| service.as_str().to_owned()));
    ModelProfile {
        model: if embedded { EMBEDDED.to_owned() } else { name.unwrap_or_default() },
        tier: if embedded { "demo" } else { "endpoint" },
        temperature: model.temperature,
        top_p: model.top_p,
        max_tokens: model.max_tokens,
    }
}

/// The models by role, as the dataset's card names them.
pub(super) fn uses(config: &Config) -> Vec<ModelUse> {
    let service = |role| config.safety.service.filter(|_| role == Role::Safety);
    let roles = config.roles().into_iter().map(|(role, _, model)| (role, profile(model, service(role))));
    roles
        .map(|(role, profile)| ModelUse { role: role.to_string(), model: profile.model, tier: profile.tier.to_owned() })
        .collect()
}

/// The logical name of the embedded model.
const EMBEDDED: &str = "SmolLM2-135M-Instruct";

fn connect(
    model: &Model,
    service: Option<Service>,
    environment: &Environment,
    offline: bool,
) -> Result<Box<dyn ChatModel>, RunError> {
    let var = |name: &str| environment.var(name);
    let connected: Box<dyn ChatModel> = match (model.provider, service) {
        (_, Some(Service::AzureContentSafety)) => Box::new(ContentSafety::new(model, &var)?),
        (_, Some(Service::OpenaiModeration)) => Box::new(Moderation::new(model, &var)?),
        (Provider::Openai, _) => Box::new(OpenAi::new(model, &var)?),
        (Provider::AzureOpenai, _) => Box::new(AzureOpenAi::new(model, &var)?),
        (Provider::Embedded, _) => return embedded(offline),
    };
    if offline && !Url::parse(&connected.target()).is_ok_and(|target| is_this_machine(&target)) {
        return Err(RunError::Offline { target: connected.target() });
    }
    Ok(connected)
}

#[cfg(feature = "embedded")]
fn embedded(offline: bool) -> Result<Box<dyn ChatModel>, RunError> {
    use crate::llm::embedded::{Embedded, weights};
    let path = weights::ensure(offline, |_| {})?;
    Ok(Box::new(Embedded::load(&path)?))
}

#[cfg(not(feature = "embedded"))]
fn embedded(_offline: bool) -> Result<Box<dyn ChatModel>, RunError> {
    Err(RunError::NoEmbedded)
}
