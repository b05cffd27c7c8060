//! One HTTPS client for all endpoints, and one request at a time through it.
//!
//! What it keeps to:
//! - rustls with ring and the system's root certificates, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name
//!   (they replace the system's). There is no switch that turns verification off. An endpoint on plain `http://` loads
//!   no roots at all, so it works where none are installed.
//! - No redirect is followed: it would carry prompts and a key to a host nobody named.
//! - The proxy that [`super::proxy`] finds, and no other.
//! - No retry below [`super::retry`], so that every request is counted.
//! - Four time-outs on the monotonic clock, and at most [`BODY_CAP`] bytes of an answer, counted while they arrive.
//!   Nothing is decompressed, so nothing can grow after it was counted.
//! - A key goes over plain `http://` to this machine alone, unless the configuration lists the host.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Once;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::timeout;
use url::{Host, Url};

use super::attempt::{AttemptError, Transient};
use super::proxy::Proxies;
use super::trouble::ConnectionTrouble;
use crate::config::{Timeouts, address};
use crate::exit::ExitCode;
use crate::loopback::{is_loopback, is_this_machine};

/// The most bytes of one answer: far above any completion, far below what hurts.
pub(crate) const BODY_CAP: usize = 8 << 20;

/// How long sending a large body may take.
const UPLOAD_TIME: Duration = Duration::from_secs(3600);

/// The most bytes of an endpoint's own words in a message.
const QUOTE_CAP: usize = 2 << 10;

/// Why a model cannot be called at all, found before any call.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A setting is missing or makes no sense.
    #[error("{setting}: {reason}")]
    Setting {
        /// The key in the configuration, or the variable.
        setting: String,
        /// What is wrong and what to write instead.
        reason: String,
    },
    /// A key would travel readable for all.
    #[error(
        "{setting}: a key would go to {host} over plain http; use https, or add {host} to the model's allow_http_hosts"
    )]
    KeyOverHttp {
        /// The key in the configuration.
        setting: &'static str,
        /// The host as configured.
        host: String,
    },
    /// The variable that holds a credential is not set.
    #[error("no credential: {advice}")]
    MissingCredential {
        /// Which variables to set, and where.
        advice: String,
    },
    /// The TLS client could not be made, mostly because the system has no root certificates.
    #[error(
        "no https client: {reason}; install the system's CA certificates or name a PEM file in the variable SSL_CERT_FILE"
    )]
    Tls {
        /// What the TLS library said.
        reason: String,
    },
}

impl SetupError {
    /// The process's exit code: 2 for configuration, 6 for what the endpoint needs and is not there.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Setting { .. } | Self::KeyOverHttp { .. } => ExitCode::Usage,
            Self::MissingCredential { .. } | Self::Tls { .. } => ExitCode::Unavailable,
        }
    }

    pub(crate) fn setting(setting: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Setting { setting: setting.into(), reason: reason.into() }
    }
}

/// A key or token and the header it travels in. It is never printed, and whatever an endpoint says is searched for it.
pub(crate) struct Credential {
    name: HeaderName,
    value: HeaderValue,
    secret: SecretString,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.name)
    }
}

impl Credential {
    /// `Authorization: Bearer …`. `None` when the secret holds bytes that no header can.
    pub(crate) fn bearer(secret: SecretString) -> Option<Self> {
        let value = sensitive(&format!("Bearer {}", secret.expose_secret()))?;
        Some(Self { name: reqwest::header::AUTHORIZATION, value, secret })
    }

    /// `api-key: …`, as Azure wants it. `None` when the secret holds bytes that no header can.
    pub(crate) fn api_key(secret: SecretString) -> Option<Self> {
        let value = sensitive(secret.expose_secret())?;
        Some(Self { name: HeaderName::from_static("api-key"), value, secret })
    }

    /// `Ocp-Apim-Subscription-Key: …`, as Azure AI services want it. `None` when the secret holds bytes that no header can.
    pub(crate) fn subscription_key(secret: SecretString) -> Option<Self> {
        let value = sensitive(secret.expose_secret())?;
        Some(Self { name: HeaderName::from_static("ocp-apim-subscription-key"), value, secret })
    }

    /// Puts the credential among `headers`.
    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        headers.insert(self.name.clone(), self.value.clone());
    }

    /// Takes the secret out of `text`, in its plain and its percent-encoded form.
    ///
    /// Secrets below eight bytes are placeholders such as `none` or `x`, and words of ordinary text.
    fn redact(&self, text: &str) -> String {
        let secret = self.secret.expose_secret();
        if secret.len() < 8 {
            return text.to_owned();
        }
        let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
        text.replace(secret, "[redacted]").replace(&encoded, "[redacted]")
    }
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// An endpoint's own words as a message may show them: one line without control characters and without the
/// credential, at most 2 KiB.
pub(crate) fn quote(text: &str, credential: Option<&Credential>) -> String {
    let start = cut(text, 8 * QUOTE_CAP);
    // The secret goes first: a cut through its middle would leave half of it.
    let clean = credential.map_or_else(|| start.to_owned(), |c| c.redact(start));
    let line: String = clean.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cut(line.trim(), QUOTE_CAP).to_owned()
}

/// The start of `text`, at most `cap` bytes, cut between two characters.
fn cut(text: &str, cap: usize) -> &str {
    let end = (0..=cap.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.get(..end).unwrap_or_default()
}

/// An answer, whatever it says.
#[derive(Debug)]
pub struct HttpReply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

/// The client for one endpoint.
#[derive(Clone)]
pub struct Http {
    client: reqwest::Client,
    /// The proxy on the way, for messages.
    through: Option<String>,
    first_byte: Duration,
    idle: Duration,
    total: Duration,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("through", &self.through).finish_non_exhaustive()
    }
}

impl Http {
    /// A client for `url`, through the proxy that `var` names for it. Where a name resolved to this machine alone was the reason to let a key go over plain
    /// `http://`, `pinned` holds the addresses, and the name is not looked up again.
    pub fn new(
        url: &Url,
        timeouts: &Timeouts,
        pinned: &[SocketAddr],
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, SetupError> {
        let mut through = None;
        let mut builder = builder(seconds("timeouts.connect_s", timeouts.connect_s)?);
        if url.scheme() == "http" {
            builder = builder.tls_certs_only([]);
        }
        if let (Some(host), false) = (url.host_str(), pinned.is_empty()) {
            builder = builder.resolve_to_addrs(host, pinned);
        } else {
            let proxies = Proxies::from_environment(var)?;
            builder = proxies.apply(builder, url)?;
            through = proxies.on_the_way_to(url);
        }
        Ok(Self {
            client: build(builder)?,
            through,
            first_byte: seconds("timeouts.first_byte_s", timeouts.first_byte_s)?,
            idle: seconds("timeouts.idle_s", timeouts.idle_s)?,
            total: seconds("timeouts.total_s", timeouts.total_s)?,
        })
    }

    /// Sends `body` to `url` once and reads the answer whole.
    ///
    /// An error is [`Transient::NotSent`] when no connection came about, [`Transient::TimedOut`] when a time-out passed, and
    /// [`Transient::Unknown`] for hang-ups and an answer above [`BODY_CAP`]: the endpoint may have worked on the request.
    pub async fn post_json(&self, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<HttpReply, AttemptError> {
        let request = self.client.post(url.clone()).headers(headers).header(CONTENT_TYPE, "application/json");
        self.exchange(url, request.body(body)).await
    }

    /// Asks for what is at `url` once and reads it whole.
    pub(crate) async fn get(&self, url: &Url, headers: HeaderMap) -> Result<HttpReply, AttemptError> {
        self.exchange(url, self.client.get(url.clone()).headers(headers)).await
    }

    /// Sends `body`, which may be long, to `url` once and reads the answer whole.
    pub(crate) async fn upload(
        &self,
        url: &Url,
        headers: HeaderMap,
        kind: &str,
        body: Vec<u8>,
    ) -> Result<HttpReply, AttemptError> {
        let request = self.client.post(url.clone()).headers(headers).header(CONTENT_TYPE, kind).body(body);
        self.open(url, request, UPLOAD_TIME).await?.whole().await
    }

    /// Puts `body`, which may be long, to `url` once and reads the answer whole.
    pub(crate) async fn put(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: reqwest::Body,
    ) -> Result<HttpReply, AttemptError> {
        self.open(url, self.client.put(url.clone()).headers(headers).body(body), UPLOAD_TIME).await?.whole().await
    }

    /// Asks for what is at `url` once, to be read piece by piece however long it is.
    pub(crate) async fn download(&self, url: &Url, headers: HeaderMap) -> Result<StreamedReply, AttemptError> {
        self.open(url, self.client.get(url.clone()).headers(headers), self.first_byte).await
    }

    async fn exchange(&self, url: &Url, request: reqwest::RequestBuilder) -> Result<HttpReply, AttemptError> {
        let exchange = async { self.open(url, request, self.first_byte).await?.whole().await };
        match timeout(self.total, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(format!("{} took more than {:?} in all (timeouts.total_s)", origin(url), self.total))),
        }
    }

    async fn open(
        &self,
        url: &Url,
        request: reqwest::RequestBuilder,
        patience: Duration,
    ) -> Result<StreamedReply, AttemptError> {
        let Ok(sent) = timeout(patience, request.send()).await else {
            return Err(late(format!("{} said nothing for {patience:?} (timeouts.first_byte_s)", origin(url))));
        };
        let mut response = sent.map_err(|e| self.failure(url, &e))?;
        let (status, headers) = (response.status().as_u16(), std::mem::take(response.headers_mut()));
        Ok(StreamedReply { status, headers, response, url: url.clone(), http: self.clone() })
    }

    fn failure(&self, url: &Url, error: &reqwest::Error) -> AttemptError {
        let through = self.through.as_ref().map(|proxy| format!(" through the proxy {proxy}")).unwrap_or_default();
        let trouble = ConnectionTrouble::of(error);
        // On a connection that stood before, the same may be a passing fault.
        if let Some(trouble) = trouble.as_ref().filter(|trouble| trouble.lasts() && error.is_connect()) {
            return AttemptError::Fatal { message: trouble.told(Some(url)) };
        }
        let kind = if error.is_connect() || error.is_builder() { Transient::NotSent } else { Transient::Unknown };
        let what = if kind == Transient::NotSent { "no connection to" } else { "no whole answer from" };
        let said = format!("{what} {}{through}: {}", origin(url), chain(error));
        // Behind a proxy it may be the proxy that is not there: its name stands in what was said.
        let message = match trouble.filter(|_| through.is_empty()) {
            Some(trouble) => format!("{} ({said})", trouble.told(Some(url))),
            None => said,
        };
        AttemptError::Transient { message, kind, retry_after: None }
    }
}

/// An answer whose body has not been read yet.
#[derive(Debug)]
pub(crate) struct StreamedReply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    response: reqwest::Response,
    url: Url,
    http: Http,
}

impl StreamedReply {
    /// The next bytes of the body; `None` at its end.
    pub(crate) async fn piece(&mut self) -> Result<Option<impl AsRef<[u8]> + use<>>, AttemptError> {
        let Ok(piece) = timeout(self.http.idle, self.response.chunk()).await else {
            let (at, idle) = (origin(&self.url), self.http.idle);
            return Err(late(format!("{at} stopped for {idle:?} amid its answer (timeouts.idle_s)")));
        };
        piece.map_err(|e| self.http.failure(&self.url, &e))
    }

    /// The answer with its body, at most [`BODY_CAP`] bytes.
    pub(crate) async fn whole(mut self) -> Result<HttpReply, AttemptError> {
        let mut body = Vec::new();
        while let Some(piece) = self.piece().await? {
            if body.len() + piece.as_ref().len() > BODY_CAP {
                return Err(unknown(format!("{} answered with more than {BODY_CAP} bytes", origin(&self.url))));
            }
            body.extend_from_slice(piece.as_ref());
        }
        Ok(HttpReply { status: self.status, headers: self.headers, body })
    }
}

/// A plain client with the system's roots for services that are not models, such as a sign-in.
pub(crate) fn bare_client(
    connect: Duration,
    total: Duration,
    var: &dyn Fn(&str) -> Option<String>,
) -> Result<reqwest::Client, SetupError> {
    build(Proxies::from_environment(var)?.apply_to_all(builder(connect).timeout(total))?)
}

/// What every client keeps to; see the module's description.
pub(crate) fn builder(connect: Duration) -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    // A second library in the process may have installed a provider before; any will do.
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder()
        .user_agent(concat!("convogen/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(connect)
}

/// A client, or why the TLS library refuses.
pub(crate) fn build(builder: reqwest::ClientBuilder) -> Result<reqwest::Client, SetupError> {
    builder.build().map_err(|e| SetupError::Tls { reason: chain(&e) })
}

fn seconds(setting: &str, value: f64) -> Result<Duration, SetupError> {
    match Duration::try_from_secs_f64(value) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(SetupError::setting(setting, format!("{value} is no positive number of seconds"))),
    }
}

/// Parses an endpoint's address and refuses what could leak: other schemes, and credentials inside the address.
pub(crate) fn endpoint_url(setting: &str, text: &str) -> Result<Url, SetupError> {
    if address::with_scheme(text).is_some() {
        return Err(SetupError::setting(setting, address::complaint(text)));
    }
    let url = Url::parse(text.trim()).map_err(|e| SetupError::setting(setting, format!("no address: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(SetupError::setting(setting, "must start with https:// or http:// and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SetupError::setting(setting, "must hold no user and no password; keys come from variables"));
    }
    Ok(url)
}

/// `url` with path segments added, whether or not it ends in a slash.
pub(crate) fn join(url: &Url, segments: &[&str]) -> Url {
    let mut url = url.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

/// Whether a key may go to `url`: over https, to an address of this machine, to a name that resolves to this machine
/// alone, or to a host in `allowed`. Returns the addresses to hold on to where the name's resolution decided.
pub(crate) fn check_key_transport(
    setting: &'static str,
    url: &Url,
    allowed: &[String],
) -> Result<Vec<SocketAddr>, SetupError> {
    let host = url.host_str().unwrap_or_default();
    if url.scheme() == "https" || allowed.iter().any(|a| a.eq_ignore_ascii_case(host)) {
        return Ok(Vec::new());
    }
    let (addresses, local) = match url.host() {
        Some(Host::Domain(name)) => {
            let port = url.port_or_known_default().unwrap_or(80);
            let found: Vec<SocketAddr> = (name, port).to_socket_addrs().map(Iterator::collect).unwrap_or_default();
            let local = !found.is_empty() && found.iter().map(SocketAddr::ip).all(is_loopback);
            (found, local)
        }
        _ => (Vec::new(), is_this_machine(url)),
    };
    if local { Ok(addresses) } else { Err(SetupError::KeyOverHttp { setting, host: host.to_owned() }) }
}

/// Scheme, host and port: what a message may show of an address.
pub(crate) fn origin(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// An answer that did not come in time.
fn late(message: String) -> AttemptError {
    AttemptError::Transient { message, kind: Transient::TimedOut, retry_after: None }
}

/// An answer that may have been billed and is no use.
pub(crate) fn unknown(message: String) -> AttemptError {
    AttemptError::Transient { message, kind: Transient::Unknown, retry_after: None }
}

/// The causes of an error, outermost first. reqwest's own line is left out: it says no more than the causes, and
/// names the whole address.
pub(crate) fn chain(error: &reqwest::Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |e| e.source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    if texts.is_empty() { "connection lost".to_owned() } else { texts.join(": ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_key_stays_off_the_open_wire() {
        let check = |text: &str, allowed: &[&str]| {
            let allowed: Vec<String> = allowed.iter().map(|a| (*a).to_owned()).collect();
            check_key_transport("base_url", &url(text), &allowed)
        };
        for fine in [
            "https://api.example/v1",
            "http://127.0.0.1:1/v1",
            "http://127.8.9.1/",
            "http://[::1]:9/",
            "http://0x7f.1/",
        ] {
            assert!(check(fine, &[]).unwrap().is_empty(), "{fine}");
        }
        assert!(!check("http://localhost:8000/v1", &[]).unwrap().is_empty(), "the addresses are held on to");
        for open in
            ["http://10.0.0.1/", "http://0.0.0.0/", "http://127.0.0.1.example.invalid/", "http://[::ffff:10.0.0.1]/"]
        {
            let error = check(open, &[]).unwrap_err();
            assert!(matches!(error, SetupError::KeyOverHttp { .. }), "{open}");
            assert_eq!(error.exit_code(), ExitCode::Usage);
        }
        assert!(check("http://GPU-box.internal:8000/", &["gpu-BOX.internal"]).is_ok());
    }

    #[test]
    fn addresses_with_secrets_or_other_schemes_are_refused() {
        for bad in
            ["ftp://host/v1", "https://user:pw@host/v1", "https://user@host/v1", "host/v1", "file:///etc", "", "/v1"]
        {
            assert_eq!(endpoint_url("base_url", bad).unwrap_err().exit_code(), ExitCode::Usage, "{bad}");
        }
        let said = endpoint_url("base_url", "localhost:8000/v1").unwrap_err().to_string();
        assert_eq!(
            said,
            "base_url: \"localhost:8000/v1\" has no https:// or http:// in front; write http://localhost:8000/v1"
        );
        assert_eq!(join(&url("http://h/v1/"), &["a", "b"]).as_str(), "http://h/v1/a/b");
        assert_eq!(join(&url("http://h?x=1"), &["a"]).as_str(), "http://h/a?x=1");
    }

    #[test]
    fn no_secret_is_printed_or_quoted() {
        let credential = Credential::bearer(SecretString::from("canary+key/1234")).unwrap();
        assert_eq!(format!("{credential:?}"), "Credential(authorization)");
        assert!(!format!("{:?}", credential.value).contains("canary"));
        let said = quote("wrong key canary+key/1234\r\n\u{1b}[31m or canary%2Bkey%2F1234", Some(&credential));
        assert_eq!(said, "wrong key [redacted]   [31m or [redacted]");
        let long = format!("{}canary+key/1234", "é".repeat(QUOTE_CAP / 2 - 2));
        let said = quote(&long, Some(&credential));
        assert!(said.len() <= QUOTE_CAP && !said.contains("can"), "half a key is left");
    }

    #[test]
    fn nonsense_time_outs_are_a_setting_error() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            let timeouts = Timeouts { idle_s: bad, ..Timeouts::default() };
            let error = Http::new(&url("http://127.0.0.1/"), &timeouts, &[], &|_| None).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Usage);
            assert!(error.to_string().starts_with("timeouts.idle_s"), "{error}");
        }
    }

    #[test]
    fn a_header_cannot_be_split() {
        assert!(Credential::bearer(SecretString::from("a\r\nx: y")).is_none());
    }
}
