//! Requests to the hub: with the token to the hub alone, again where that can help, and in words where it cannot.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Body;
use reqwest::header::{ACCEPT, HeaderMap, HeaderValue, LOCATION};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::{BRANCH, HubHead};
use crate::clock::Stopwatch;
use crate::config::Timeouts;
use crate::config::environment::Environment;
use crate::config::upload::HubDestination;
use crate::net::attempt::{AttemptError, Transient};
use crate::net::filled;
use crate::net::http::{
    self, Credential, Http, HttpReply, SetupError, StreamedReply, check_key_transport, endpoint_url,
};
use crate::net::retry::{Decision, Retry, retry_after};
use crate::publish::error::PublishError;
use crate::store::fs::FsError;

/// Where the hub is unless a setting or `HF_ENDPOINT` says otherwise.
const PUBLIC_HUB: &str = "https://huggingface.co";

/// Where the setting stands, for messages.
const ENDPOINT: &str = "destination.hub.endpoint";

/// Attempts at one request that fails without being asked to wait.
const ATTEMPTS: u32 = 6;

/// The longest wait that the hub may ask for: its limits are counted by five minutes.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// How often a file may be elsewhere.
const REDIRECTS: usize = 5;

/// What JSON is sent as.
const JSON: &str = "application/json";

/// What Git LFS sends it as, and wants it as.
const LFS: &str = "application/vnd.git-lfs+json";

/// Requests to one repository.
pub(super) struct HubApi {
    /// `owner/name`.
    pub(super) repo: String,
    endpoint: Url,
    http: Http,
    credential: Credential,
    token_env: String,
    environment: Environment,
}

impl fmt::Debug for HubApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HubApi({})", self.describe())
    }
}

impl HubApi {
    pub(super) fn open(settings: &HubDestination, environment: &Environment) -> Result<Self, PublishError> {
        let var = |name: &str| environment.var(name);
        let given = settings.endpoint.clone().map(|text| (ENDPOINT, text));
        let given = given.or_else(|| Some(("HF_ENDPOINT", filled(&var, "HF_ENDPOINT")?)));
        let (setting, text) = given.unwrap_or((ENDPOINT, PUBLIC_HUB.to_owned()));
        let endpoint = endpoint_url(setting, &text).map_err(|error| setup(&error))?;
        let pinned = may_take_token(setting, &endpoint, &settings.allow_http_hosts)?;
        let name = &settings.token_env;
        let token = environment.secret(name).ok_or_else(|| {
            PublishError::SignIn(format!(
                "{name} is not set; put a token of the hub that may write to {} there, in the environment or in .env",
                settings.repo
            ))
        })?;
        let credential = Credential::bearer(token)
            .ok_or_else(|| PublishError::SignIn(format!("{name} holds characters that no token has; copy it anew")))?;
        Ok(Self {
            repo: settings.repo.clone(),
            http: Http::new(&endpoint, &Timeouts::default(), &pinned, &var).map_err(|error| setup(&error))?,
            endpoint,
            credential,
            token_env: name.clone(),
            environment: environment.clone(),
        })
    }

    pub(super) fn describe(&self) -> String {
        let path = self.endpoint.path().trim_end_matches('/');
        format!("dataset {} at {}{path}", self.repo, http::origin(&self.endpoint))
    }

    /// An address of the hub.
    pub(super) fn at(&self, segments: &[&str]) -> Url {
        http::join(&self.endpoint, segments)
    }

    /// An address of the repository: what stands before its name, and after.
    pub(super) fn of_repo(&self, before: &[&str], after: &[&str]) -> Url {
        let name: Vec<&str> = self.repo.split('/').collect();
        self.at(&[before, &name, after].concat())
    }

    /// Where `main` is; nothing if there is no repository of this name for this token.
    pub(super) async fn head(&self) -> Result<Option<HubHead>, PublishError> {
        #[derive(Deserialize)]
        struct Info {
            sha: String,
            #[serde(default)]
            private: bool,
        }
        let action = "look at the repository";
        let reply = self.get(action, &self.of_repo(&["api", "datasets"], &["revision", BRANCH])).await?;
        match reply.status {
            200 => {
                let Info { sha, private } = self.json(action, &reply)?;
                Ok(Some(HubHead { commit: sha, private }))
            }
            404 => Ok(None),
            _ => Err(self.refused(action, &reply)),
        }
    }

    /// Asks until there is an answer that another attempt would not change.
    pub(super) async fn get(&self, action: &str, url: &Url) -> Result<HttpReply, PublishError> {
        let reply = persist(url.path(), || async { settled(self.http.get(url, self.headers(url)).await?) });
        reply.await.map_err(|error| self.unreachable(action, &error))
    }

    /// Sends JSON until there is an answer that another attempt would not change.
    pub(super) async fn post(&self, action: &str, url: &Url, body: Vec<u8>) -> Result<HttpReply, PublishError> {
        self.post_as(action, url, JSON, body).await
    }

    /// The same with JSON as Git LFS calls it.
    pub(super) async fn post_lfs(&self, action: &str, url: &Url, body: Vec<u8>) -> Result<HttpReply, PublishError> {
        self.post_as(action, url, LFS, body).await
    }

    async fn post_as(&self, action: &str, url: &Url, kind: &str, body: Vec<u8>) -> Result<HttpReply, PublishError> {
        let reply = persist(url.path(), || async { self.post_once(url, kind, body.clone()).await });
        reply.await.map_err(|error| self.unreachable(action, &error))
    }

    /// Sends a body once.
    pub(super) async fn post_once(&self, url: &Url, kind: &str, body: Vec<u8>) -> Result<HttpReply, AttemptError> {
        let mut headers = self.headers(url);
        if kind == LFS {
            headers.insert(ACCEPT, HeaderValue::from_static(LFS));
        }
        settled(self.client(url)?.upload(url, headers, kind, body).await?)
    }

    /// Puts something where the hub has said it should go, until it is there; `body` makes it anew for each attempt.
    pub(super) async fn put(
        &self,
        action: &str,
        url: &Url,
        headers: &HeaderMap,
        body: impl Fn() -> Result<Body, FsError> + Send + Sync,
    ) -> Result<HttpReply, PublishError> {
        let put = || async {
            let body = body().map_err(|error| fatal(error.to_string()))?;
            settled(self.client(url)?.put(url, headers.clone(), body).await?)
        };
        let reply = persist(url.path(), put).await.map_err(|error| self.unreachable(action, &error))?;
        if (200..300).contains(&reply.status) { Ok(reply) } else { Err(self.refused(action, &reply)) }
    }

    /// Begins to read what is at `url`, wherever that leads; nothing if it is not there.
    pub(super) async fn download(&self, mut url: Url) -> Result<Option<StreamedReply>, AttemptError> {
        for _ in 0..REDIRECTS {
            let reply = self.client(&url)?.download(&url, self.headers(&url)).await?;
            match reply.status {
                200 => return Ok(Some(reply)),
                404 => return Ok(None),
                301 | 302 | 303 | 307 | 308 => {
                    let to = reply.headers.get(LOCATION).and_then(|to| url.join(to.to_str().ok()?).ok());
                    url = to.ok_or_else(|| fatal("it points elsewhere without saying where".to_owned()))?;
                }
                _ => {
                    let reply = settled(reply.whole().await?)?;
                    return Err(fatal(format!("HTTP {} {}", reply.status, self.said(&reply))));
                }
            }
        }
        Err(fatal(format!("it points elsewhere more than {REDIRECTS} times")))
    }

    /// A client for `url`, which may be that of a storage service the hub has named.
    fn client(&self, url: &Url) -> Result<Http, AttemptError> {
        if self.is_hub(url) {
            return Ok(self.http.clone());
        }
        if url.scheme() == "http" && self.endpoint.scheme() == "https" {
            return Err(fatal(format!("it leads to {} over plain http", http::origin(url))));
        }
        let client = Http::new(url, &Timeouts::default(), &[], &|name| self.environment.var(name));
        client.map_err(|error| fatal(error.to_string()))
    }

    fn is_hub(&self, url: &Url) -> bool {
        url.origin() == self.endpoint.origin()
    }

    /// The token goes to the hub and nowhere else.
    fn headers(&self, url: &Url) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if self.is_hub(url) {
            self.credential.apply(&mut headers);
        }
        headers
    }

    pub(super) fn json<T: DeserializeOwned>(&self, action: &str, reply: &HttpReply) -> Result<T, PublishError> {
        serde_json::from_slice(&reply.body).map_err(|error| PublishError::Unreachable {
            destination: self.describe(),
            action: action.to_owned(),
            reason: format!("the answer is none of the hub's ({error}); check {ENDPOINT}"),
        })
    }

    pub(super) fn unreachable(&self, action: &str, error: &AttemptError) -> PublishError {
        PublishError::Unreachable {
            destination: self.describe(),
            action: action.to_owned(),
            reason: http::quote(&error.to_string(), Some(&self.credential)),
        }
    }

    /// What a refusal means and what to do.
    pub(super) fn refused(&self, action: &str, reply: &HttpReply) -> PublishError {
        let (repo, name) = (&self.repo, &self.token_env);
        let advice = match reply.status {
            401 => format!("the token in {name} is not valid, or was revoked; make a new one that may write"),
            403 => format!("the token in {name} may not do that to {repo}; use one that may write there"),
            404 => format!(
                "there is no {repo} for the token in {name}: check destination.hub.repo, and what the token may see"
            ),
            402 | 413 | 507 => "it is more than the owner's plan allows; see the settings of the repository".to_owned(),
            _ => format!("check destination.hub.repo and {ENDPOINT}; the hub's own words are above"),
        };
        let said = self.said(reply);
        let said = if said.is_empty() { said } else { format!(" ({said})") };
        PublishError::Denied {
            destination: self.describe(),
            action: action.to_owned(),
            reason: format!("HTTP {}{said}", reply.status),
            advice,
        }
    }

    /// The hub's own words: of its JSON, of its header, or what else there is.
    fn said(&self, reply: &HttpReply) -> String {
        let json = serde_json::from_slice::<Value>(&reply.body).ok();
        let in_json = json.as_ref().and_then(|json| json.get("error")?.as_str()).map(str::to_owned);
        let in_header = || Some(reply.headers.get("x-error-message")?.to_str().ok()?.to_owned());
        let text = in_json.or_else(in_header).unwrap_or_else(|| String::from_utf8_lossy(&reply.body).into_owned());
        http::quote(&text, Some(&self.credential))
    }
}

/// The token goes over plain `http://` to this machine alone, unless the configuration lists the host.
fn may_take_token(setting: &str, endpoint: &Url, allowed: &[String]) -> Result<Vec<SocketAddr>, PublishError> {
    check_key_transport(ENDPOINT, endpoint, allowed).map_err(|error| match error {
        SetupError::KeyOverHttp { host, .. } => PublishError::Setup(format!(
            "{setting}: the token would go to {host} over plain http; use https, or add the host to destination.hub.allow_http_hosts"
        )),
        other => setup(&other),
    })
}

fn setup(error: &SetupError) -> PublishError {
    PublishError::Setup(error.to_string())
}

fn fatal(message: String) -> AttemptError {
    AttemptError::Fatal { message }
}

/// An answer, unless it is one that another attempt may change.
fn settled(reply: HttpReply) -> Result<HttpReply, AttemptError> {
    let kind = match reply.status {
        429 | 503 => Transient::TurnedAway,
        408 | 425 | 500..=599 => Transient::Unknown,
        _ => return Ok(reply),
    };
    let message = format!("HTTP {}", reply.status);
    Err(AttemptError::Transient { message, kind, retry_after: retry_after(&reply.headers) })
}

/// Makes attempts until one succeeds or no further can help; waits scatter by `key`.
pub(super) async fn persist<T: Send, F>(key: &str, attempt: impl Fn() -> F + Send + Sync) -> Result<T, AttemptError>
where
    F: Future<Output = Result<T, AttemptError>> + Send,
{
    let mut patience = Patience::new(key);
    loop {
        match attempt().await {
            Err(error) => patience.wait(error).await?,
            reached => return reached,
        }
    }
}

/// How long to go on with something.
#[derive(Debug)]
pub(super) struct Patience {
    retry: Retry,
    begun: Stopwatch,
}

impl Patience {
    pub(super) fn new(key: &str) -> Self {
        Self { retry: Retry::new(key, ATTEMPTS), begun: Stopwatch::start() }
    }

    /// Waits until the next attempt.
    ///
    /// # Errors
    /// The error, if there is to be none.
    pub(super) async fn wait(&mut self, error: AttemptError) -> Result<(), AttemptError> {
        match self.retry.decide(&error, self.begun.wall(), LONGEST_WAIT) {
            Decision::Wait(wait) => {
                tracing::debug!(%error, ?wait, "hub request again");
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Decision::GiveUp => Err(error),
            Decision::TooLong(message) => Err(fatal(message)),
        }
    }
}
