//! Chat completions over HTTP: OpenAI and everything that speaks its protocol (vLLM, Ollama, LM Studio, llama.cpp), Azure too.
//!
//! [`Completions`] is the model at an [`Endpoint`]; [`endpoint`] reads one of OpenAI's kind from the configuration, as
//! [`azure`](super::azure) does those of Azure. `request` writes what is sent, `reply` reads what answers mean.

mod body;
mod complaint;
mod dialect;
mod fullness;
pub(crate) mod moderation;
mod reply;
mod request;
mod said;
mod usage;

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use self::dialect::Dialect;
use self::fullness::Longest;
use self::reply::RequestInfo;
use self::request::RequestBody;
use super::batch::{BatchError, BatchQueue, BatchSeat, BatchService, JobAddress, JobSignIn};
use super::endpoint::{Additions, Advice, CacheHints, Endpoint, EndpointSignIn};
use super::{AttemptError, ChatModel, ChatRequest, Reply, Structured, Transient};
use crate::config::{Model, address};
use crate::loopback::is_this_machine;
use crate::net::filled;
use crate::net::http::{Credential, Http, HttpReply, SetupError, check_key_transport, endpoint_url, join};
use crate::net::rate_headers::RemainingQuota;

/// Where OpenAI itself is.
const OPENAI: &str = "https://api.openai.com/v1";

/// Where completions are, below the base URL.
const COMPLETIONS: [&str; 2] = ["chat", "completions"];

/// An endpoint, and what it was found to understand.
#[derive(Debug)]
pub(super) struct Route {
    endpoint: Arc<Endpoint>,
    dialect: Dialect,
    /// What the latest answer said is left of the limits.
    remaining: Mutex<Option<RemainingQuota>>,
    /// The model that the latest reply named, if it was another than the one asked.
    answered_by: Mutex<Option<String>>,
    longest: Longest,
}

impl Route {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        let (dialect, longest) = (Dialect::default(), Longest::default());
        let (remaining, answered_by) = (Mutex::default(), Mutex::default());
        Self { endpoint: Arc::new(endpoint), dialect, remaining, answered_by, longest }
    }

    pub(super) fn origin(&self) -> String {
        self.endpoint.origin()
    }

    /// Sends `request` once.
    async fn attempt(&self, request: &ChatRequest, wire: Structured) -> Result<Reply, AttemptError> {
        let (headers, credential) = self.endpoint.signed().await?;
        let body = self.body(request, wire);
        let cache = &self.endpoint.cache;
        let turn = cache.turn().await;
        let answer = if turn.is_bare() {
            self.post(&body, headers).await?
        } else {
            let mut dressed = serde_json::to_value(&body).unwrap_or_default();
            turn.dress(&mut dressed, request);
            self.post(&dressed, headers).await?
        };
        if cache.judge(turn, answer.status, &answer.body) {
            return Err(again("the endpoint does not take what it is told about its prefix cache".to_owned()));
        }
        self.read(&answer, request, &body, credential.as_deref())
    }

    /// As [`attempt`](Self::attempt), in the job of `seat`.
    async fn attempt_in(&self, seat: BatchSeat, request: &ChatRequest, wire: Structured) -> Result<Reply, BatchError> {
        // The job signs in for itself; here the credential is only what must not be quoted.
        let credential = self.endpoint.credential().await.ok().flatten();
        let body = self.body(request, wire);
        let answer = seat.send(bytes(&body)?).await?;
        Ok(self.read(&answer, request, &body, credential.as_deref())?)
    }

    fn read(
        &self,
        answer: &HttpReply,
        request: &ChatRequest,
        sent: &RequestBody<'_>,
        credential: Option<&Credential>,
    ) -> Result<Reply, AttemptError> {
        reply::read(answer, &self.asked(request, credential)).map_err(|unserved| self.learn(sent, unserved))
    }

    /// Sends `body`, which is made of `request`, to a service that is no chat model but answers errors as they do. The
    /// answer is one with a status of success.
    pub(super) async fn consult(&self, request: &ChatRequest, body: &Value) -> Result<Value, AttemptError> {
        let (headers, credential) = self.endpoint.signed().await?;
        let answer = self.post(body, headers).await?;
        reply::read_value(&answer, &self.asked(request, credential.as_deref()))
    }

    async fn post(&self, body: &(impl Serialize + Sync), headers: HeaderMap) -> Result<HttpReply, AttemptError> {
        let Endpoint { http, url, additions, .. } = &*self.endpoint;
        let answer = http.post_json(url, headers, bytes(body)?).await?;
        *self.remaining.lock().unwrap_or_else(PoisonError::into_inner) = RemainingQuota::of(&answer.headers);
        Ok(additions.hide(answer))
    }

    fn asked<'a>(&'a self, request: &'a ChatRequest, credential: Option<&'a Credential>) -> RequestInfo<'a> {
        let Endpoint { url, model, advice, .. } = &*self.endpoint;
        let (answered_by, longest) = (&self.answered_by, &self.longest);
        RequestInfo { request, url, model, advice, credential, answered_by, longest }
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

    fn body<'a>(&'a self, request: &'a ChatRequest, wire: Structured) -> RequestBody<'a> {
        RequestBody::new(&self.endpoint, &self.dialect, request, wire)
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

/// A model at an endpoint that takes chat completions.
#[derive(Debug)]
pub(crate) struct Completions {
    route: Route,
    batch: Option<BatchQueue>,
}

impl Completions {
    /// The model at `endpoint`.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        let route = Route::new(endpoint);
        let batch = route.endpoint.jobs.clone().map(|address| jobs(&route.endpoint, address));
        Self { route, batch }
    }
}

/// Jobs of calls to the model at `endpoint`.
fn jobs(endpoint: &Arc<Endpoint>, address: JobAddress) -> BatchQueue {
    let (http, endpoint) = (endpoint.http.clone(), Arc::clone(endpoint));
    let sign_in: JobSignIn = Box::new(move || {
        let endpoint = Arc::clone(&endpoint);
        Box::pin(async move { endpoint.signed().await })
    });
    BatchQueue::new(BatchService::new(http, address, sign_in))
}

impl ChatModel for Completions {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, wire: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        Box::pin(self.route.attempt(request, wire))
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
        Box::pin(self.route.attempt_in(seat, request, wire))
    }

    fn target(&self) -> String {
        self.route.origin()
    }

    fn remaining(&self) -> Option<RemainingQuota> {
        *self.route.remaining.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answered_by(&self) -> Option<String> {
        self.route.answered_by.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn left_out(&self) -> Vec<&'static str> {
        self.route.dialect.left_out().into_iter().collect()
    }
}

/// The endpoint of chat completions that `config` describes; `var` looks variables up (the process's, then those of `.env`).
pub(crate) fn endpoint(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint, SetupError> {
    let mut endpoint = endpoint_at(&COMPLETIONS, config, var)?;
    endpoint.jobs = config.batch.then(|| JobAddress {
        base: above(&endpoint.url, COMPLETIONS.len()),
        route: format!("/v1/{}", COMPLETIONS.join("/")),
        expiring: false,
        setting: endpoint.advice.address,
    });
    Ok(endpoint)
}

/// As [`endpoint`], at another route below the base URL.
fn endpoint_at(route: &[&str], config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint, SetupError> {
    let Some(model) = config.model.clone().filter(|m| !m.trim().is_empty()) else {
        return Err(SetupError::setting("model", "name the model to call, such as gpt-4.1-mini"));
    };
    let base = config.base_url.clone().or_else(|| filled(var, "OPENAI_BASE_URL"));
    let base = endpoint_url("base_url", &address::base(base.as_deref().unwrap_or(OPENAI)))?;
    let sign_in = match config.api_key_env.as_deref().map(|name| key(var, name)).transpose() {
        // Servers on this machine rarely want a key, and say so with a 401 where they do.
        Err(SetupError::MissingCredential { .. }) if is_this_machine(&base) => EndpointSignIn::Nobody,
        credential => {
            credential?.map_or(EndpointSignIn::Nobody, |credential| EndpointSignIn::Fixed(Arc::new(credential)))
        }
    };
    let additions = Additions::new(config, var)?;
    let has_key = matches!(sign_in, EndpointSignIn::Fixed(_));
    let pinned = if has_key || additions.have_secrets() {
        check_key_transport("base_url", &base, &config.allow_http_hosts)?
    } else {
        Vec::new()
    };
    Ok(Endpoint {
        http: Http::new(&base, &config.timeouts, &pinned, var)?,
        url: join(&base, route),
        sign_in,
        headers: if has_key { payer(var) } else { HeaderMap::new() },
        additions,
        cache: CacheHints::new(&config.prompt_cache),
        model,
        advice: Advice {
            address: "base_url",
            model: "model",
            credential: credential_advice(config.api_key_env.as_deref()),
        },
        jobs: None,
    })
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

/// The organisation and project that calls are billed to; they go nowhere without a key.
fn payer(var: &dyn Fn(&str) -> Option<String>) -> HeaderMap {
    let names = [("openai-organization", "OPENAI_ORG_ID"), ("openai-project", "OPENAI_PROJECT_ID")];
    let value = |name| filled(var, name).and_then(|value| HeaderValue::from_str(&value).ok());
    names.into_iter().filter_map(|(header, name)| Some((HeaderName::from_static(header), value(name)?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::complaint::NotTaken;
    use super::*;
    use crate::exit::ExitCode;
    use crate::llm::{Message, ReplyFormat};

    fn model(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Completions, SetupError> {
        endpoint(config, var).map(Completions::new)
    }

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
        let made = model(&config(), &with_key).unwrap();
        assert_eq!(made.route.endpoint.url.as_str(), "http://127.0.0.1:9/v1/chat/completions");
        let text = ReplyFormat::Text { prefix: Some("Ann:".into()) };
        assert_eq!(
            wire(&made.route, text.clone(), Structured::JsonSchema),
            json!({"model": "demo", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
                   "temperature": 0.8, "max_tokens": 300, "stop": ["a", "b", "c", "d"], "stream": false})
        );
        let schema = json!({"type": "object", "properties": {"text": {"type": "string", "maxLength": 9}}});
        let form = ReplyFormat::json("turn", schema);
        assert_eq!(
            wire(&made.route, form.clone(), Structured::JsonSchema)["response_format"],
            json!({"type": "json_schema", "json_schema": {"name": "turn", "strict": true,
                   "schema": {"type": "object", "properties": {"text": {"type": "string"}}}}})
        );
        assert_eq!(
            wire(&made.route, form.clone(), Structured::JsonObject)["response_format"],
            json!({"type": "json_object"})
        );
        assert!(wire(&made.route, form, Structured::None).get("response_format").is_none());
        made.route.dialect.learn(NotTaken::MaxTokens);
        let body = wire(&made.route, text, Structured::None);
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
        let made = model(&config, &with_key).unwrap();
        let body = wire(&made.route, ReplyFormat::json("turn", json!({"type": "object"})), Structured::JsonSchema);
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
        let error = model(&open, &with_key).unwrap_err();
        assert!(error.to_string().contains("plain http"), "a secret in a header is a key: {error}");
    }

    #[test]
    fn a_missing_key_says_which_variable_and_where() {
        for none in [None, Some(String::new()), Some("  ".to_owned())] {
            let elsewhere = Model { base_url: Some("https://models.example/v1".to_owned()), ..config() };
            let error = model(&elsewhere, &|_| none.clone()).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Unavailable);
            assert!(error.to_string().contains("OPENAI_API_KEY") && error.to_string().contains(".env"), "{error}");
        }
        let keyless = Model { api_key_env: None, ..config() };
        assert!(matches!(endpoint(&keyless, &|_| None).unwrap().sign_in, EndpointSignIn::Nobody));
    }

    #[test]
    fn a_key_never_goes_over_plain_http_to_others() {
        let open = Model { base_url: Some("http://10.1.2.3/v1".into()), ..config() };
        assert_eq!(model(&open, &with_key).unwrap_err().exit_code(), ExitCode::Usage);
        let listed = Model { allow_http_hosts: vec!["10.1.2.3".into()], ..open.clone() };
        assert!(model(&listed, &with_key).is_ok());
        let keyless = Model { api_key_env: None, ..open };
        assert!(model(&keyless, &with_key).is_ok(), "there is nothing to steal");
    }

    #[test]
    fn a_model_needs_a_name_and_an_address_of_sense() {
        assert_eq!(model(&Model { model: None, ..config() }, &with_key).unwrap_err().exit_code(), ExitCode::Usage);
        let odd = Model { base_url: Some("127.0.0.1:9".into()), ..config() };
        assert_eq!(model(&odd, &with_key).unwrap_err().exit_code(), ExitCode::Usage);
    }

    #[test]
    fn no_form_of_the_model_shows_its_key() {
        let made = model(&config(), &with_key).unwrap();
        assert!(matches!(made.route.endpoint.sign_in, EndpointSignIn::Fixed(_)));
        assert!(!format!("{made:?} {made:#?} {}", made.target()).contains("canary"));
        let split = |name: &str| (name == "OPENAI_API_KEY").then(|| "sk-canary\u{7}x".to_owned());
        let error = model(&config(), &split).unwrap_err();
        assert!(error.to_string().contains("OPENAI_API_KEY") && !format!("{error:?}{error}").contains("canary"));
    }
}
