//! The models of a run, by role.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use rustix::process::{Resource, getrlimit};
use tokio::sync::OnceCell;
use url::Url;

use super::error::RunError;
use crate::config::environment::Environment;
use crate::config::loaded::Loaded;
use crate::config::safety::Service;
use crate::config::{Config, Model, Provider, StructuredMode};
use crate::llm::azure::content_safety::{self, ContentSafety};
use crate::llm::limiter::Limiter;
use crate::llm::openai::Completions;
use crate::llm::openai::moderation::{self, Moderation};
use crate::llm::pool::{ModelPlace, ModelPool, PlaceHealth};
use crate::llm::recorded::probe::once::{self, Greeting};
use crate::llm::recorded::{ModelEndpoint, ModelProfile, SignsOfLife};
use crate::llm::{ChatModel, Extra, Role, StructuredSupport, azure, openai};
use crate::loopback::is_this_machine;
use crate::net::http::SetupError;
use crate::net::rate_headers::RemainingQuota;
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
        /// Answers in place of all of them.
        given: Option<&'a Arc<dyn ChatModel>>,
    },
    /// Recorded replies only.
    Recorded,
}

/// A line for every role the configuration uses; roles that share a model share the line.
pub(crate) fn endpoints(
    config: &Config,
    source: ModelSource<'_>,
) -> Result<BTreeMap<Role, Arc<ModelEndpoint>>, RunError> {
    if let ModelSource::Live { .. } = source {
        check_open_files(config)?;
    }
    let mut by_key: BTreeMap<&str, Arc<ModelEndpoint>> = BTreeMap::new();
    for (key, model) in config.used_models() {
        let service = config.safety.service.filter(|_| key == "safety");
        by_key.insert(key, Arc::new(endpoint(model, service, source)?));
    }
    let roles = config.roles().into_iter();
    Ok(roles.filter_map(|(role, key, _)| Some((role, Arc::clone(by_key.get(key)?)))).collect())
}

/// Refuses a variable that the configuration names for a key and that is not set, on this machine too: only the default name
/// may go without one there.
pub(super) fn require_named_keys(loaded: &Loaded, config: &Config, environment: &Environment) -> Result<(), RunError> {
    for (key, _) in config.used_models() {
        let Some(name) = loaded.written(&format!("models.{key}.api_key_env")) else { continue };
        if environment.var(name).is_none() {
            let advice = format!(
                "it names {name}, which is not set; set it in the environment or in .env, or write `api_key_env: null` if the server wants no key"
            );
            return Err(SetupError::setting(format!("models.{key}.api_key_env"), advice).into());
        }
    }
    Ok(())
}

/// A line for each model that signs in by other means than the key it would have, if that were set.
pub(super) fn sign_ins(config: &Config, environment: &Environment) -> Vec<String> {
    let var = |name: &str| environment.var(name);
    let azure = config.used_models().into_iter().filter(|(_, model)| model.provider == Provider::AzureOpenai);
    let mut lines: Vec<String> =
        azure.flat_map(|(_, model)| model.places()).filter_map(|place| azure::stands_in(&place, &var)).collect();
    lines.dedup();
    lines
}

/// Files that are open beside the connections: the journal, parts, spools, the runtime's own.
const OTHER_FILES: u64 = 64;

/// Refuses more calls in flight than there can be connections: each that cannot be opened would count as a failed attempt.
fn check_open_files(config: &Config) -> Result<(), RunError> {
    // Calls in batch jobs wait without a connection.
    let online = |model: &&Model| model.provider != Provider::Embedded && !model.batch;
    let models = config.used_models().into_values().filter(online);
    let calls: usize = models.map(Model::most_in_flight).sum();
    match getrlimit(Resource::Nofile).current {
        Some(allowed) if calls as u64 + OTHER_FILES > allowed => Err(RunError::OpenFiles { calls, allowed }),
        _ => Ok(()),
    }
}

fn endpoint(model: &Model, service: Option<Service>, source: ModelSource<'_>) -> Result<ModelEndpoint, RunError> {
    Ok(ModelEndpoint {
        profile: profile(model, service),
        served_by: served_by(model.provider),
        model: match source {
            ModelSource::Live { environment, offline, given } => {
                Some(Box::new(pool(model, given, |whole| connect(whole, service, environment, offline))?))
            }
            ModelSource::Recorded => None,
        },
        life: SignsOfLife::default(),
        max_attempts: model.max_attempts,
        structured: match model.provider {
            Provider::Embedded => StructuredSupport::Native,
            _ => model.structured.fixed().map_or(StructuredSupport::Probe, StructuredSupport::Fixed),
        },
        wire: OnceCell::new(),
    })
}

/// Who serves a model, in the words of OpenTelemetry's conventions; they have none for a model in the process.
fn served_by(provider: Provider) -> &'static str {
    match provider {
        Provider::Openai => "openai",
        Provider::AzureOpenai => "azure.ai.openai",
        Provider::Embedded => "convogen",
    }
}

/// The model in all its places.
fn pool(
    model: &Model,
    given: Option<&Arc<dyn ChatModel>>,
    connect: impl Fn(&Model) -> Result<Box<dyn ChatModel>, RunError>,
) -> Result<ModelPool, RunError> {
    let mut places = Vec::new();
    for (number, whole) in model.places().iter().enumerate() {
        let connected = given.map_or_else(|| connect(whole), |given| Ok(Box::new(Arc::clone(given))))?;
        let place = model.deployments.get(number);
        let called = whole.deployment.as_ref().or(whole.model.as_ref()).filter(|_| place.is_some());
        places.push(ModelPlace {
            name: called.map_or_else(|| connected.target(), |name| format!("{name} at {}", connected.target())),
            model: connected,
            limiter: Limiter::new(whole),
            weight: place.map_or(1.0, |place| place.weight),
            spill: place.is_some_and(|place| place.spill),
            health: Mutex::new(PlaceHealth::default()),
        });
    }
    Ok(ModelPool::new(places))
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
        extra: Extra::of(model),
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
        (_, Some(Service::AzureContentSafety)) => Box::new(ContentSafety::new(content_safety::endpoint(model, &var)?)),
        (_, Some(Service::OpenaiModeration)) => Box::new(Moderation::new(moderation::endpoint(model, &var)?)),
        (Provider::Openai, _) => Box::new(Completions::new(openai::endpoint(model, &var)?)),
        (Provider::AzureOpenai, _) => Box::new(Completions::new(azure::endpoint(model, &var)?)),
        (Provider::Embedded, _) => return embedded(offline),
    };
    if offline && !Url::parse(&connected.target()).is_ok_and(|target| is_this_machine(&target)) {
        return Err(RunError::Offline { target: connected.target() });
    }
    Ok(connected)
}

/// What a small call to a model found out.
#[derive(Debug)]
pub(crate) struct AskedModel {
    /// Its key under `models`, and which of its deployments.
    pub key: String,
    /// Where it is.
    pub target: String,
    /// The logical name.
    pub name: String,
    /// What it answered, or why it did not.
    pub greeting: Result<Greeting, String>,
    /// The model that answered, where it goes by another name.
    pub answered_by: Option<String>,
    /// What the endpoint said is left of its limits.
    pub left: Option<RemainingQuota>,
}

/// Makes a small call to every model that a run would call, in each of its places; one more where an endpoint takes no schema.
/// Nothing is recorded.
pub(crate) async fn ask(config: &Config, environment: &Environment) -> Vec<AskedModel> {
    let mut asked = Vec::new();
    for (key, model) in config.used_models().into_iter().filter(|(_, model)| model.provider != Provider::Embedded) {
        let service = config.safety.service.filter(|_| key == "safety");
        let chats = !matches!(service, Some(Service::AzureContentSafety | Service::OpenaiModeration));
        for (number, place) in model.places().iter().enumerate() {
            let key =
                if model.deployments.is_empty() { key.to_owned() } else { format!("{key}.deployments[{number}]") };
            let profile = profile(place, service);
            let name = profile.model.clone();
            let connected = match connect(place, service, environment, false) {
                Ok(connected) => connected,
                Err(error) => {
                    let (target, greeting) = (String::new(), Err(error.to_string()));
                    asked.push(AskedModel { key, target, name, greeting, answered_by: None, left: None });
                    continue;
                }
            };
            // What the configuration asks for without a schema is not tried with one.
            let by_schema = chats && matches!(place.structured, StructuredMode::Auto | StructuredMode::JsonSchema);
            let greeting =
                once::greet(connected.as_ref(), &profile, by_schema).await.map_err(|error| error.to_string());
            let (target, answered_by, left) = (connected.target(), connected.answered_by(), connected.remaining());
            asked.push(AskedModel { key, target, name, greeting, answered_by, left });
        }
    }
    asked
}

/// Looks at the address of a model in one place, and at what it is signed in with, without a call.
///
/// # Errors
/// What would keep the model from being asked.
pub(super) fn address(
    model: &Model,
    service: Option<Service>,
    var: &dyn Fn(&str) -> Option<String>,
) -> Result<(), SetupError> {
    match (model.provider, service) {
        (_, Some(Service::AzureContentSafety)) => content_safety::endpoint(model, var).map(drop),
        (_, Some(Service::OpenaiModeration)) => moderation::endpoint(model, var).map(drop),
        (Provider::Openai, _) => openai::endpoint(model, var).map(drop),
        (Provider::AzureOpenai, _) => azure::endpoint(model, var).map(drop),
        (Provider::Embedded, _) => Ok(()),
    }
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
