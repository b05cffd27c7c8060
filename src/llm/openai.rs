//! Chat completions over HTTP: OpenAI and everything that speaks its protocol (vLLM, Ollama, LM Studio, llama.cpp).
//!
//! `Route` is the protocol, one address that takes completions, and serves Azure too; [`OpenAi`] is the address and
//! the key. What answers mean stands in `reply`.
//!
//! `seed` is never sent: endpoints that take it promise little, others refuse it. `stream` is sent as false, since some
//! servers stream unless they are told not to.

mod additions;
mod body;
mod cache;
mod complaint;
mod dialect;
mod fullness;
pub(crate) mod moderation;
mod reply;
mod said;
mod usage;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::future::ready;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use url::Url;

pub(super) use self::additions::Additions;
pub(super) use self::cache::CacheHints;
use self::complaint::NotTaken;
use self::dialect::Dialect;
use self::fullness::Longest;
use self::reply::RequestInfo;
use super::batch::{BatchError, BatchQueue, BatchSeat, BatchService, JobAddress, JobSignIn};
use super::{AttemptError, ChatModel, ChatRequest, MessageRole, Messages, Reply, ReplyFormat, Structured, Transient};
use crate::config::{Model, address};
use crate::loopback::is_this_machine;
use crate::net::filled;
use crate::net::http::{Credential, Http, HttpReply, SetupError, check_key_transport, endpoint_url, join, origin};
use crate::net::rate_headers::RemainingQuota;

/// Where OpenAI itself is.
const OPENAI: &str = "https://api.openai.com/v1";

/// Endpoints take at most this many stop texts.
const MOST_STOPS: usize = 4;

/// One address that takes chat completions, and what it was found to understand.
#[derive(Debug)]
pub(super) struct Route {
    http: Http,
    url: Url,
    /// What `model` says in a request; it need not be the logical name.
    model: String,
    advice: Advice,
    dialect: Dialect,
    /// What the latest answer said is left of the limits.
    remaining: Mutex<Option<RemainingQuota>>,
    cache: CacheHints,
    longest: Longest,
    additions: Additions,
}

/// Names of settings and variables, for messages that say what to change.
#[derive(Debug)]
pub(super) struct Advice {
    /// The setting that holds the address.
    pub(super) address: &'static str,
    /// The setting that names the model.
    pub(super) model: &'static str,
    /// How to change the credential.
    pub(super) credential: String,
}

impl Route {
    pub(super) fn new(http: Http, url: Url, model: String, advice: Advice) -> Self {
        let (dialect, remaining, longest) = (Dialect::default(), Mutex::default(), Longest::default());
        let (cache, additions) = (CacheHints::default(), Additions::default());
        Self { http, url, model, advice, dialect, remaining, cache, longest, additions }
    }

    /// The same with what requests say about the prefix cache.
    pub(super) fn hinting(self, cache: CacheHints) -> Self {
        Self { cache, ..self }
    }

    /// The same with what the configuration adds to every request.
    pub(super) fn adding(self, additions: Additions) -> Self {
        Self { additions, ..self }
    }

    pub(super) fn origin(&self) -> String {
        origin(&self.url)
    }

    /// Sends `request` once. `headers` come with the credential in them already.
    pub(super) async fn attempt(
        &self,
        request: &ChatRequest,
        wire: Structured,
        headers: HeaderMap,
        credential: Option<&Credential>,
    ) -> Result<Reply, AttemptError> {
        let body = self.body(request, wire);
        let turn = self.cache.turn().await;
        let answer = if turn.is_bare() {
            self.post(&body, headers).await?
        } else {
            let mut dressed = serde_json::to_value(&body).unwrap_or_default();
            turn.dress(&mut dressed, request);
            self.post(&dressed, headers).await?
        };
        if self.cache.judge(turn, answer.status, &answer.body) {
            return Err(again("the endpoint does not take what it is told about its prefix cache".to_owned()));
        }
        reply::read(&answer, &self.asked(request, credential)).map_err(|unserved| self.learn(&body, unserved))
    }

    /// As [`attempt`](Self::attempt), in the job of `seat`.
    pub(super) async fn attempt_in(
        &self,
        seat: BatchSeat,
        request: &ChatRequest,
        wire: Structured,
        credential: Option<&Credential>,
    ) -> Result<Reply, BatchError> {
        let body = self.body(request, wire);
        let answer = seat.send(bytes(&body)?).await?;
        let read = reply::read(&answer, &self.asked(request, credential));
        Ok(read.map_err(|unserved| self.learn(&body, unserved))?)
    }

    /// Sends `body`, which is made of `request`, to a service that is no chat model but answers errors as they do. The
    /// answer is one with a status of success.
    pub(super) async fn consult(
        &self,
        request: &ChatRequest,
        body: &Value,
        headers: HeaderMap,
        credential: Option<&Credential>,
    ) -> Result<Value, AttemptError> {
        let answer = self.post(body, headers).await?;
        reply::read_value(&answer, &self.asked(request, credential))
    }

    async fn post(&self, body: &(impl Serialize + Sync), mut headers: HeaderMap) -> Result<HttpReply, AttemptError> {
        self.additions.apply(&mut headers);
        let answer = self.http.post_json(&self.url, headers, bytes(body)?).await?;
        *self.remaining.lock().unwrap_or_else(PoisonError::into_inner) = RemainingQuota::of(&answer.headers);
        Ok(self.additions.hide(answer))
    }

    /// What the latest answer said is left of the limits.
    pub(super) fn remaining(&self) -> Option<RemainingQuota> {
        *self.remaining.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked<'a>(&'a self, request: &'a ChatRequest, credential: Option<&'a Credential>) -> RequestInfo<'a> {
        RequestInfo {
            request,
            url: &self.url,
            model: &self.model,
            advice: &self.advice,
            credential,
            longest: &self.longest,
        }
    }

    /// Turns "I do not know that field" into another attempt without the field. Only what this very request sent can
    /// have been refused, so there is one such attempt for each field at most.
    fn learn(&self, sent: &RequestBody<'_>, unserved: reply::FailedAttempt) -> AttemptError {
        let Some(not_taken) = unserved.not_taken.filter(|not_taken| sent.holds(*not_taken)) else {
            return unserved.error;
        };
        self.dialect.learn(not_taken);
        again(unserved.error.to_string())
    }

    /// Keywords of schemas that the endpoint does not take.
    pub(super) fn left_out(&self) -> Vec<&'static str> {
        self.dialect.left_out().into_iter().collect()
    }

    fn body<'a>(&'a self, request: &'a ChatRequest, wire: Structured) -> RequestBody<'a> {
        let renamed = self.dialect.renames_limit();
        let stops = if self.dialect.has_no_stop() { 0 } else { MOST_STOPS };
        RequestBody {
            model: &self.model,
            messages: self.dialect.messages(&request.messages),
            temperature: request.temperature,
            top_p: request.top_p,
            max_tokens: (!renamed).then_some(request.max_tokens),
            max_completion_tokens: renamed.then_some(request.max_tokens),
            stop: request.stop.iter().take(stops).map(String::as_str).collect(),
            response_format: response_format(&request.format, wire, &self.dialect),
            stream: false,
            reasoning_effort: self.additions.reasoning_effort.as_deref(),
            extra_body: &self.additions.body,
            left_out: self.dialect.left_out(),
        }
    }
}

fn bytes(body: &impl Serialize) -> Result<Vec<u8>, AttemptError> {
    serde_json::to_vec(body)
        .map_err(|e| AttemptError::BadRequest { status: 0, message: format!("the request is no JSON: {e}") })
}

/// Turned away for a field that the next attempt leaves out.
fn again(message: String) -> AttemptError {
    AttemptError::Transient { message, kind: Transient::TurnedAway, retry_after: Some(std::time::Duration::ZERO) }
}

/// The request as it goes over the wire.
#[derive(Debug, Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    messages: Cow<'a, Messages>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_effort: Option<&'a str>,
    #[serde(flatten)]
    extra_body: &'a Map<String, Value>,
    /// Keywords that were left out of the schema.
    #[serde(skip)]
    left_out: BTreeSet<&'static str>,
}

impl RequestBody<'_> {
    /// Whether it holds what an endpoint says it does not take.
    fn holds(&self, not_taken: NotTaken) -> bool {
        match not_taken {
            NotTaken::MaxTokens => self.max_tokens.is_some(),
            NotTaken::Stop => !self.stop.is_empty(),
            NotTaken::System => self.messages.list().iter().any(|message| message.role == MessageRole::System),
            NotTaken::Keyword(keyword) => {
                matches!(
                    self.response_format,
                    Some(ResponseFormat::JsonSchema { .. } | ResponseFormat::JsonObject { schema: Some(_) })
                ) && !self.left_out.contains(keyword)
            }
            NotTaken::Setting(_) => false,
        }
    }
}

/// How JSON is asked for on the wire.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat<'a> {
    JsonSchema {
        json_schema: NamedSchema<'a>,
    },
    JsonObject {
        #[serde(skip_serializing_if = "Option::is_none")]
        schema: Option<Cow<'a, RawValue>>,
    },
}

#[derive(Debug, Serialize)]
struct NamedSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: Cow<'a, RawValue>,
}

fn response_format<'a>(format: &'a ReplyFormat, wire: Structured, dialect: &Dialect) -> Option<ResponseFormat<'a>> {
    let ReplyFormat::Json { name, schema } = format else { return None };
    let as_sent = || dialect.schema(schema);
    match wire {
        Structured::JsonSchema => {
            Some(ResponseFormat::JsonSchema { json_schema: NamedSchema { name, strict: true, schema: as_sent() } })
        }
        Structured::JsonObjectSchema => Some(ResponseFormat::JsonObject { schema: Some(as_sent()) }),
        Structured::JsonObject => Some(ResponseFormat::JsonObject { schema: None }),
        Structured::None => None,
    }
}

/// A model at an OpenAI-compatible address.
#[derive(Debug)]
pub(crate) struct OpenAi {
    route: Route,
    credential: Option<Arc<Credential>>,
    headers: HeaderMap,
    batch: Option<BatchQueue>,
}

impl OpenAi {
    /// The model that `config` describes; `var` looks variables up (the process's, then those of `.env`).
    pub(crate) fn new(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Self, SetupError> {
        let route = ["chat", "completions"];
        let mut model = Self::at(&route, config, var)?;
        model.batch = config.batch.then(|| model.jobs(&route));
        Ok(model)
    }

    /// Jobs of calls to this model.
    fn jobs(&self, route: &[&str]) -> BatchQueue {
        let address = JobAddress {
            base: above(&self.route.url, route.len()),
            route: format!("/v1/{}", route.join("/")),
            expiring: false,
            setting: self.route.advice.address,
        };
        let (mut headers, credential) = (self.headers.clone(), self.credential.clone());
        self.route.additions.apply(&mut headers);
        let sign_in: JobSignIn = Box::new(move || Box::pin(ready(Ok((headers.clone(), credential.clone())))));
        BatchQueue::new(BatchService::new(self.route.http.clone(), address, sign_in))
    }

    /// As [`OpenAi::new`], at another route below the base URL.
    fn at(route: &[&str], config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Self, SetupError> {
        let Some(model) = config.model.clone().filter(|m| !m.trim().is_empty()) else {
            return Err(SetupError::setting("model", "name the model to call, such as gpt-4.1-mini"));
        };
        let base = config.base_url.clone().or_else(|| filled(var, "OPENAI_BASE_URL"));
        let base = endpoint_url("base_url", &address::base(base.as_deref().unwrap_or(OPENAI)))?;
        let credential = match config.api_key_env.as_deref().map(|name| key(var, name)).transpose() {
            // Servers on this machine rarely want a key, and say so with a 401 where they do.
            Err(SetupError::MissingCredential { .. }) if is_this_machine(&base) => None,
            credential => credential?,
        };
        let credential = credential.map(Arc::new);
        let additions = Additions::new(config, var)?;
        let pinned = if credential.is_some() || additions.have_secrets() {
            check_key_transport("base_url", &base, &config.allow_http_hosts)?
        } else {
            Vec::new()
        };
        let http = Http::new(&base, &config.timeouts, &pinned, var)?;
        let advice = Advice {
            address: "base_url",
            model: "model",
            credential: credential_advice(config.api_key_env.as_deref()),
        };
        Ok(Self {
            route: Route::new(http, join(&base, route), model, advice)
                .hinting(CacheHints::new(&config.prompt_cache))
                .adding(additions),
            headers: headers(credential.as_deref(), var),
            credential,
            batch: None,
        })
    }
}

impl ChatModel for OpenAi {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, wire: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        Box::pin(self.route.attempt(request, wire, self.headers.clone(), self.credential.as_deref()))
    }

    fn batch(&self) -> Option<&BatchQueue> {
        self.batch.as_ref()
    }

    fn attempt_in<'a>(
        &'a self,
        seat: BatchSeat,
        request: &'a ChatRequest,
        wire: Structured,
    ) -> BoxFuture<'a, Result<Reply, BatchError>> {
        Box::pin(self.route.attempt_in(seat, request, wire, self.credential.as_deref()))
    }

    fn target(&self) -> String {
        self.route.origin()
    }

    fn remaining(&self) -> Option<RemainingQuota> {
        self.route.remaining()
    }

    fn left_out(&self) -> Vec<&'static str> {
        self.route.left_out()
    }
}

/// `url` without its last `segments`.
pub(super) fn above(url: &Url, segments: usize) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        (0..segments).for_each(|_| {
            path.pop();
        });
    }
    url
}

/// The key that the variable `name` holds.
fn key(var: &dyn Fn(&str) -> Option<String>, name: &str) -> Result<Credential, SetupError> {
    let secret = filled(var, name).ok_or_else(|| SetupError::MissingCredential {
        advice: format!(
            "set {name} in the environment or in .env, or `api_key_env: null` for the model if its server wants no key"
        ),
    })?;
    Credential::bearer(SecretString::from(secret)).ok_or_else(|| unfit_for_a_header(name))
}

pub(super) fn unfit_for_a_header(name: &str) -> SetupError {
    SetupError::setting(name, "holds characters that no header can carry; was more than the key copied?")
}

fn credential_advice(variable: Option<&str>) -> String {
    match variable {
        Some(name) => format!("check the key in {name} (environment or .env)"),
        None => "name the variable that holds the key in api_key_env".to_owned(),
    }
}

/// The key, and the organisation and project it is to be billed to; these go nowhere without a key.
fn headers(credential: Option<&Credential>, var: &dyn Fn(&str) -> Option<String>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(credential) = credential else { return headers };
    credential.apply(&mut headers);
    for (header, name) in [("openai-organization", "OPENAI_ORG_ID"), ("openai-project", "OPENAI_PROJECT_ID")] {
        if let Some(value) = filled(var, name).and_then(|v| HeaderValue::from_str(&v).ok()) {
            headers.insert(HeaderName::from_static(header), value);
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exit::ExitCode;
    use crate::llm::Message;

    fn config() -> Model {
        Model { base_url: Some("http://127.0.0.1:9/v1/".into()), model: Some("demo".into()), ..Model::default() }
    }

    fn with_key(name: &str) -> Option<String> {
        (name == "OPENAI_API_KEY").then(|| " sk-canary-123456\n".to_owned())
    }

    fn request(format: ReplyFormat) -> ChatRequest {
        ChatRequest {
            model: "logical".into(),
            messages: vec![Message::system("s"), Message::user("u")].into(),
            temperature: Some(0.8),
            top_p: None,
            max_tokens: 300,
            stop: ["a", "b", "c", "d", "e"].map(String::from).to_vec(),
            seed: 99,
            format,
            extra: None,
        }
    }

    fn wire(route: &Route, format: ReplyFormat, wire: Structured) -> Value {
        serde_json::to_value(route.body(&request(format), wire)).unwrap()
    }

    #[test]
    fn the_body_is_what_endpoints_take_and_no_more() {
        let model = OpenAi::new(&config(), &with_key).unwrap();
        assert_eq!(model.route.url.as_str(), "http://127.0.0.1:9/v1/chat/completions");
        let text = ReplyFormat::Text { prefix: Some("Ann:".into()) };
        assert_eq!(
            wire(&model.route, text.clone(), Structured::JsonSchema),
            json!({"model": "demo", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
                   "temperature": 0.8, "max_tokens": 300, "stop": ["a", "b", "c", "d"], "stream": false})
        );
        let schema = json!({"type": "object", "properties": {"text": {"type": "string", "maxLength": 9}}});
        let form = ReplyFormat::json("turn", schema);
        assert_eq!(
            wire(&model.route, form.clone(), Structured::JsonSchema)["response_format"],
            json!({"type": "json_schema", "json_schema": {"name": "turn", "strict": true,
                   "schema": {"type": "object", "properties": {"text": {"type": "string"}}}}})
        );
        assert_eq!(
            wire(&model.route, form.clone(), Structured::JsonObject)["response_format"],
            json!({"type": "json_object"})
        );
        assert!(wire(&model.route, form, Structured::None).get("response_format").is_none());
        model.route.dialect.learn(NotTaken::MaxTokens);
        let body = wire(&model.route, text, Structured::None);
        assert_eq!(body["max_completion_tokens"], 300);
        assert!(body.get("max_tokens").is_none());
    }

    #[test]
    fn what_the_configuration_adds_goes_into_every_request() {
        let extra_body = json!({"top_k": 40, "chat_template_kwargs": {"enable_thinking": false}});
        let config = Model {
            reasoning_effort: Some("low".into()),
            extra_body: extra_body.as_object().cloned().unwrap(),
            ..config()
        };
        let model = OpenAi::new(&config, &with_key).unwrap();
        let body = wire(&model.route, ReplyFormat::json("turn", json!({"type": "object"})), Structured::JsonSchema);
        assert_eq!((&body["reasoning_effort"], &body["top_k"]), (&json!("low"), &json!(40)));
        assert_eq!(body["chat_template_kwargs"], extra_body["chat_template_kwargs"]);
        assert_eq!(body["response_format"]["json_schema"]["schema"], json!({"type": "object"}));
        let header = crate::config::RequestHeader { env: Some("OPENAI_API_KEY".into()), ..Default::default() };
        let open = Model {
            base_url: Some("http://10.1.2.3/v1".into()),
            api_key_env: None,
            headers: [("X-Key".to_owned(), header)].into(),
            ..config
        };
        let error = OpenAi::new(&open, &with_key).unwrap_err();
        assert!(error.to_string().contains("plain http"), "a secret in a header is a key: {error}");
    }

    #[test]
    fn a_missing_key_says_which_variable_and_where() {
        for none in [None, Some(String::new()), Some("  ".to_owned())] {
            let elsewhere = Model { base_url: Some("https://models.example/v1".to_owned()), ..config() };
            let error = OpenAi::new(&elsewhere, &|_| none.clone()).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Unavailable);
            assert!(error.to_string().contains("OPENAI_API_KEY") && error.to_string().contains(".env"), "{error}");
        }
        let keyless = Model { api_key_env: None, ..config() };
        assert!(OpenAi::new(&keyless, &|_| None).unwrap().credential.is_none());
    }

    #[test]
    fn a_key_never_goes_over_plain_http_to_others() {
        let open = Model { base_url: Some("http://10.1.2.3/v1".into()), ..config() };
        assert_eq!(OpenAi::new(&open, &with_key).unwrap_err().exit_code(), ExitCode::Usage);
        let listed = Model { allow_http_hosts: vec!["10.1.2.3".into()], ..open.clone() };
        assert!(OpenAi::new(&listed, &with_key).is_ok());
        let keyless = Model { api_key_env: None, ..open };
        assert!(OpenAi::new(&keyless, &with_key).is_ok(), "there is nothing to steal");
    }

    #[test]
    fn a_model_needs_a_name_and_an_address_of_sense() {
        assert_eq!(
            OpenAi::new(&Model { model: None, ..config() }, &with_key).unwrap_err().exit_code(),
            ExitCode::Usage
        );
        let odd = Model { base_url: Some("127.0.0.1:9".into()), ..config() };
        assert_eq!(OpenAi::new(&odd, &with_key).unwrap_err().exit_code(), ExitCode::Usage);
    }

    #[test]
    fn no_form_of_the_model_shows_its_key() {
        let model = OpenAi::new(&config(), &with_key).unwrap();
        assert!(model.credential.is_some());
        assert!(!format!("{model:?} {model:#?} {}", model.target()).contains("canary"));
        let split = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-canary\u{7}x".to_owned());
        let error = OpenAi::new(&config(), &split).unwrap_err();
        assert!(error.to_string().contains("OPENAI_API_KEY") && !format!("{error:?}{error}").contains("canary"));
    }
}
