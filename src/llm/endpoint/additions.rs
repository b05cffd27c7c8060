//! What the configuration adds to every request to an endpoint: headers and fields of the body.

use std::fmt;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use crate::config::{Model, RequestHeader};
use crate::net::filled;
use crate::net::http::{HttpReply, SetupError};

/// Values below this many bytes are placeholders, and words of ordinary text.
const LEAST_SECRET: usize = 8;

/// The additions of one model, with the values of variables in them.
#[derive(Default)]
pub(in crate::llm) struct Additions {
    pub(in crate::llm) reasoning_effort: Option<String>,
    pub(in crate::llm) body: Map<String, Value>,
    headers: HeaderMap,
    /// Values that came from variables: whatever an endpoint says is searched for them.
    secrets: Vec<String>,
}

impl fmt::Debug for Additions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.keys().map(HeaderName::as_str).collect();
        f.debug_struct("Additions").field("body", &self.body).field("headers", &names).finish_non_exhaustive()
    }
}

impl Additions {
    /// What `config` adds; `var` looks variables up.
    pub(in crate::llm) fn new(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Self, SetupError> {
        let (reasoning_effort, body) = (config.reasoning_effort.clone(), config.extra_body.clone());
        let mut additions = Self { reasoning_effort, body, ..Self::default() };
        for (name, header) in &config.headers {
            additions.add(name, header, var)?;
        }
        Ok(additions)
    }

    fn add(
        &mut self,
        name: &str,
        header: &RequestHeader,
        var: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), SetupError> {
        let unfit = |what: &str| SetupError::setting("headers", format!("{name}: {what}"));
        let text = match &header.env {
            Some(variable) => filled(var, variable).ok_or_else(|| SetupError::MissingCredential {
                advice: format!("set {variable}, which headers.{name} names, in the environment or in .env"),
            })?,
            None => header.value.clone().unwrap_or_default(),
        };
        let header_name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit("no name of a header"))?;
        let mut value = HeaderValue::from_str(&text).map_err(|_| unfit("the value holds what no header can carry"))?;
        value.set_sensitive(header.env.is_some());
        self.headers.insert(header_name, value);
        self.secrets.extend(header.env.as_ref().map(|_| text));
        Ok(())
    }

    /// Whether a secret is among them, which must not travel readable for all.
    pub(in crate::llm) fn have_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// Puts the headers among those of a request. A credential of the same name stays.
    pub(in crate::llm) fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }

    /// An answer in which none of the secrets is, before anything of it is quoted or cut.
    pub(in crate::llm) fn hide(&self, mut answer: HttpReply) -> HttpReply {
        for secret in self.secrets.iter().filter(|secret| secret.len() >= LEAST_SECRET) {
            let text = String::from_utf8_lossy(&answer.body);
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            if text.contains(secret.as_str()) || text.contains(&encoded) {
                answer.body = text.replace(secret.as_str(), "[redacted]").replace(&encoded, "[redacted]").into_bytes();
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Model {
        let header = |value: Option<&str>, env: Option<&str>| RequestHeader {
            value: value.map(str::to_owned),
            env: env.map(str::to_owned),
            shapes_reply: false,
        };
        let headers = [
            ("X-Team".to_owned(), header(Some("data"), None)),
            ("X-Gateway-Key".to_owned(), header(None, Some("GATEWAY_KEY"))),
        ];
        Model { headers: headers.into(), ..Model::default() }
    }

    fn var(name: &str) -> Option<String> {
        (name == "GATEWAY_KEY").then(|| "canary key/1".to_owned())
    }

    #[test]
    fn headers_are_sent_and_a_credential_stays() {
        let additions = Additions::new(&config(), &var).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-team", HeaderValue::from_static("first"));
        additions.apply(&mut headers);
        assert_eq!(
            (&headers["x-team"], &headers["x-gateway-key"]),
            (&HeaderValue::from_static("first"), &HeaderValue::from_static("canary key/1"))
        );
        let error = Additions::new(&config(), &|_| None).unwrap_err();
        assert!(error.to_string().contains("GATEWAY_KEY"), "{error}");
    }

    #[test]
    fn the_value_of_a_variable_is_never_shown() {
        let additions = Additions::new(&config(), &var).unwrap();
        assert!(additions.have_secrets() && !format!("{additions:?} {:?}", additions.headers).contains("canary"));
        let body = b"no: canary key/1, canary+key%2F1".to_vec();
        let hidden = additions.hide(HttpReply { status: 403, headers: HeaderMap::new(), body });
        assert_eq!(String::from_utf8(hidden.body).unwrap(), "no: [redacted], [redacted]");
    }
}
