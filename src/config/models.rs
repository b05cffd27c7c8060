//! The `models` part of a configuration: which model each role uses, how it is reached and what it costs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::price::Price;
use super::{PromptCache, Structured};

/// The models by role. A role without one of its own uses `default`; one of its own takes from it what it leaves out, unless it
/// names its `provider`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// For every role that names no other.
    pub default: Model,
    /// Writes situations.
    pub situations: Option<Model>,
    /// Speaks.
    pub speaker: Option<Model>,
    /// Chooses the next speaker.
    pub selector: Option<Model>,
    /// Screens finished conversations, for `safety.service`.
    pub safety: Option<Model>,
    /// Scores finished conversations.
    pub judge: Option<Model>,
}

impl Models {
    /// Every model that is configured, used or not, by its key, to be completed.
    pub(crate) fn named_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Model)> {
        let own = [
            ("situations", &mut self.situations),
            ("speaker", &mut self.speaker),
            ("selector", &mut self.selector),
            ("safety", &mut self.safety),
            ("judge", &mut self.judge),
        ];
        let own = own.into_iter().filter_map(|(key, model)| Some((key, model.as_mut()?)));
        [("default", &mut self.default)].into_iter().chain(own)
    }

    /// Every model that is configured, used or not, by its key.
    pub fn named(&self) -> Vec<(&'static str, &Model)> {
        let own = [
            ("situations", &self.situations),
            ("speaker", &self.speaker),
            ("selector", &self.selector),
            ("safety", &self.safety),
            ("judge", &self.judge),
        ];
        let own = own.into_iter().filter_map(|(key, model)| model.as_ref().map(|model| (key, model)));
        [("default", &self.default)].into_iter().chain(own).collect()
    }
}

/// One model and how to reach it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Model {
    /// The kind of endpoint.
    pub provider: Provider,
    /// `openai`: base URL up to and with `/v1`. Left out: `OPENAI_BASE_URL`, else OpenAI's own.
    pub base_url: Option<String>,
    /// The logical name. It is part of a reply's key; the host is not. `azure_openai`: left out, the deployment's name.
    pub model: Option<String>,
    /// `openai`: the *name* of the variable that holds the key, never the key. `null` where the server wants none.
    pub api_key_env: Option<String>,
    /// `azure_openai`: the resource, such as `https://NAME.openai.azure.com`. Left out: `AZURE_OPENAI_ENDPOINT`.
    pub endpoint: Option<String>,
    /// `azure_openai`: the deployment. Left out: `AZURE_OPENAI_CHAT_DEPLOYMENT_NAME`.
    pub deployment: Option<String>,
    /// `azure_openai`: a dated API version. Left out: `OPENAI_API_VERSION` or `AZURE_OPENAI_API_VERSION`; none at all: the `/openai/v1/` route.
    pub api_version: Option<String>,
    /// `azure_openai`: how to sign in.
    pub auth: AzureAuth,
    /// `azure_openai` with Entra ID: the token's scope.
    pub entra_scope: String,
    /// Hosts besides this machine to which a key may go over plain `http://`.
    pub allow_http_hosts: Vec<String>,
    /// Most calls in flight. Fewer are made at first, and after trouble.
    pub concurrency: usize,
    /// What the endpoint allows in a minute. It is kept to, spread over the seconds.
    pub limits: QuotaLimits,
    /// Seconds to wait at most where an endpoint turns calls away, before the run ends.
    pub max_wait_s: f64,
    /// Where the model is deployed more than once: what differs from the keys above, for each place.
    pub deployments: Vec<Deployment>,
    /// Sampling temperature. `null`: the endpoint's own; reasoning models want that.
    pub temperature: Option<f64>,
    /// Nucleus sampling mass. `null`: the endpoint's own.
    pub top_p: Option<f64>,
    /// The most tokens a spoken turn or a choice of speaker may have; a situation has `situations.max_tokens`, or this where it is more.
    pub max_tokens: u32,
    /// How much a reasoning model thinks, in its endpoint's words, such as `low`. `null`: not sent.
    pub reasoning_effort: Option<String>,
    /// Further fields of every request, as they are, such as `{top_k: 40}`.
    pub extra_body: Map<String, Value>,
    /// Further headers of every request, by name.
    pub headers: BTreeMap<String, RequestHeader>,
    /// How JSON is asked for.
    pub structured: StructuredMode,
    /// What the endpoint is told about its prefix cache.
    pub prompt_cache: PromptCache,
    /// What it costs. `null`: cost is not counted.
    pub price: Option<Price>,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// Attempts at one call before its item fails; pauses that the endpoint asks for do not count.
    pub max_attempts: u32,
    /// `openai`, `azure_openai`: send calls in jobs by the Batch API, at half the price, within a day. `concurrency` is then
    /// how many calls may wait in jobs.
    pub batch: bool,
}

impl Model {
    /// What calls are billed at: the price, or the share of it that holds for batch jobs.
    pub(crate) fn charged(&self) -> Option<Price> {
        let price = self.price.clone()?;
        if !self.batch {
            return Some(price);
        }
        let share = price.batch.unwrap_or(BATCH_SHARE);
        let at_share = |price: Option<f64>| price.map(|price| price * share);
        Some(Price {
            prompt: at_share(price.prompt),
            cached_prompt: at_share(price.cached_prompt),
            cache_write: at_share(price.cache_write),
            completion: at_share(price.completion),
            reasoning: at_share(price.reasoning),
            ..price
        })
    }
}

/// What a batch job costs of the price, at OpenAI and at Azure OpenAI.
const BATCH_SHARE: f64 = 0.5;

/// What an endpoint allows in a minute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QuotaLimits {
    /// Requests. `null`: not known.
    pub rpm: Option<u64>,
    /// Tokens: those of the prompt and `max_tokens`, corrected by what a reply used. `null`: not known.
    pub tpm: Option<u64>,
}

/// One of several places where a model is deployed. What is left out is as the model's own keys say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Deployment {
    /// `openai`: base URL.
    pub base_url: Option<String>,
    /// `openai`: what the model is called here; replies are kept under the model's own name all the same.
    pub model: Option<String>,
    /// The *name* of the variable that holds the key.
    pub api_key_env: Option<String>,
    /// `azure_openai`: the resource.
    pub endpoint: Option<String>,
    /// `azure_openai`: the deployment.
    pub deployment: Option<String>,
    /// `azure_openai`: a dated API version.
    pub api_version: Option<String>,
    /// `azure_openai`: how to sign in.
    pub auth: Option<AzureAuth>,
    /// Most calls in flight here.
    pub concurrency: Option<usize>,
    /// What this place allows in a minute.
    pub limits: Option<QuotaLimits>,
    /// Its share of the conversations, against those of the others.
    pub weight: f64,
    /// Provisioned throughput: asked first, and what it turns away goes to the others at once.
    pub spill: bool,
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            base_url: None,
            model: None,
            api_key_env: None,
            endpoint: None,
            deployment: None,
            api_version: None,
            auth: None,
            concurrency: None,
            limits: None,
            weight: 1.0,
            spill: false,
        }
    }
}

impl Model {
    /// The model as it is deployed in each of its places; itself where there is one.
    pub(crate) fn places(&self) -> Vec<Self> {
        if self.deployments.is_empty() {
            return vec![self.clone()];
        }
        self.deployments.iter().map(|deployment| self.at(deployment)).collect()
    }

    /// Calls in flight at most, over all places.
    pub(crate) fn most_in_flight(&self) -> usize {
        match self.deployments.as_slice() {
            [] => self.concurrency,
            places => places.iter().map(|place| place.concurrency.unwrap_or(self.concurrency)).sum(),
        }
    }

    fn at(&self, place: &Deployment) -> Self {
        let or = |own: &Option<String>, general: &Option<String>| own.clone().or_else(|| general.clone());
        Self {
            base_url: or(&place.base_url, &self.base_url),
            model: or(&place.model, &self.model),
            api_key_env: or(&place.api_key_env, &self.api_key_env),
            endpoint: or(&place.endpoint, &self.endpoint),
            deployment: or(&place.deployment, &self.deployment),
            api_version: or(&place.api_version, &self.api_version),
            auth: place.auth.unwrap_or(self.auth),
            concurrency: place.concurrency.unwrap_or(self.concurrency),
            limits: place.limits.unwrap_or(self.limits),
            deployments: Vec::new(),
            ..self.clone()
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            provider: Provider::default(),
            base_url: None,
            model: None,
            api_key_env: Some("OPENAI_API_KEY".to_owned()),
            endpoint: None,
            deployment: None,
            api_version: None,
            auth: AzureAuth::default(),
            entra_scope: "https://cognitiveservices.azure.com/.default".to_owned(),
            allow_http_hosts: Vec::new(),
            concurrency: 64,
            limits: QuotaLimits::default(),
            max_wait_s: 3600.0,
            deployments: Vec::new(),
            temperature: Some(0.8),
            top_p: None,
            max_tokens: 300,
            reasoning_effort: None,
            extra_body: Map::new(),
            headers: BTreeMap::new(),
            structured: StructuredMode::default(),
            prompt_cache: PromptCache::default(),
            price: None,
            timeouts: Timeouts::default(),
            max_attempts: 8,
            batch: false,
        }
    }
}

/// Fields of `extra_body` that say how a request is billed, cached or served, and not what the reply is.
const OPERATIONAL: [&str; 14] = [
    "cache_prompt",
    "cache_salt",
    "id_slot",
    "keep_alive",
    "metadata",
    "priority",
    "prompt_cache_key",
    "prompt_cache_retention",
    "request_id",
    "safety_identifier",
    "service_tier",
    "store",
    "stream_options",
    "user",
];

impl Model {
    /// The fields of `extra_body` that can shape a reply, in the order of their names.
    pub(crate) fn shaping_body(&self) -> BTreeMap<String, Value> {
        let fields = self.extra_body.iter().filter(|(field, _)| !OPERATIONAL.contains(&field.as_str()));
        fields.map(|(field, value)| (field.clone(), sorted(value))).collect()
    }

    /// The headers that are marked as shaping the reply.
    pub(crate) fn shaping_headers(&self) -> BTreeMap<String, String> {
        let marked = self.headers.iter().filter(|(_, header)| header.shapes_reply);
        marked.filter_map(|(name, header)| Some((name.to_lowercase(), header.value.clone()?))).collect()
    }
}

/// `value` with the keys of every object in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let keys: BTreeMap<&String, &Value> = map.iter().collect();
            Value::Object(keys.into_iter().map(|(key, value)| (key.clone(), sorted(value))).collect())
        }
        Value::Array(items) => items.iter().map(sorted).collect(),
        other => other.clone(),
    }
}

/// The value of a header, or where it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RequestHeader {
    /// The value, which is no secret.
    pub value: Option<String>,
    /// The *name* of the variable that holds the value.
    pub env: Option<String>,
    /// Whether another value can mean other replies: it then belongs to their keys and to the run.
    pub shapes_reply: bool,
}

/// Kinds of endpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// Anything that speaks `POST /v1/chat/completions`: OpenAI, vLLM, Ollama, LM Studio, llama.cpp.
    Openai,
    /// Azure OpenAI.
    AzureOpenai,
    /// A small model in this process: no key, no network once fetched, demo quality.
    #[default]
    Embedded,
}

impl Provider {
    /// The value as it stands in configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Openai => "openai",
            Self::AzureOpenai => "azure_openai",
            Self::Embedded => "embedded",
        }
    }
}

/// How to sign in to Azure OpenAI.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AzureAuth {
    /// `AZURE_OPENAI_API_KEY` where it is set, else Entra ID.
    #[default]
    Auto,
    /// `AZURE_OPENAI_API_KEY`.
    Key,
    /// Entra ID: service principal, workload identity, managed identity or developer tools.
    Entra,
}

/// How JSON is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StructuredMode {
    /// The endpoint is asked once what it can do; the answer is recorded with the run.
    #[default]
    Auto,
    /// By JSON schema.
    JsonSchema,
    /// As a JSON object.
    JsonObject,
    /// In words only.
    None,
}

impl StructuredMode {
    /// The wire form, or `None` where it has to be found out.
    pub fn fixed(self) -> Option<Structured> {
        match self {
            Self::Auto => None,
            Self::JsonSchema => Some(Structured::JsonSchema),
            Self::JsonObject => Some(Structured::JsonObject),
            Self::None => Some(Structured::None),
        }
    }
}

/// How long to wait for what, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// Until a connection stands.
    pub connect_s: f64,
    /// Until the first byte of the answer.
    pub first_byte_s: f64,
    /// Between two pieces of the answer.
    pub idle_s: f64,
    /// For one attempt as a whole.
    pub total_s: f64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { connect_s: 10.0, first_byte_s: 180.0, idle_s: 60.0, total_s: 300.0 }
    }
}
