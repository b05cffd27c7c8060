//! Azure AI Content Safety: `POST {endpoint}/contentsafety/text:analyze`, severities by category out.
//!
//! The messages of a request, a line each, are one text of at most [`TEXT_CAP`] characters. The reply's text is the list
//! `categoriesAnalysis` as JSON, with severities from 0 to 7. What a text costs is not counted in tokens.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{first, sign_in_with_entra};
use crate::config::environment::{CONTENT_SAFETY_ENDPOINT, CONTENT_SAFETY_KEY};
use crate::config::{AzureAuth, Model, address};
use crate::llm::endpoint::{Additions, Advice, CacheHints, Endpoint, EndpointSignIn};
use crate::llm::openai::{Route, unfit_for_a_header};
use crate::llm::{AttemptError, ChatModel, ChatRequest, Finish, Reply, Structured, Usage};
use crate::net::http::{Credential, Http, SetupError, check_key_transport, endpoint_url, join, unknown};

/// The most characters of one text (the service's quota page).
pub(crate) const TEXT_CAP: usize = 10_000;

/// The version of the interface that this speaks.
const API_VERSION: &str = "2024-09-01";

/// A resource of Azure AI Content Safety.
#[derive(Debug)]
pub(crate) struct ContentSafety(Route);

impl ContentSafety {
    /// The service at `endpoint`.
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self(Route::new(endpoint))
    }

    async fn send(&self, request: &ChatRequest) -> Result<Reply, AttemptError> {
        let lines: Vec<String> = request.messages.list().into_iter().map(|message| message.content).collect();
        let body = json!({"text": lines.join("\n"), "outputType": "EightSeverityLevels"});
        let answer = self.0.consult(request, &body).await?;
        match answer.get("categoriesAnalysis").filter(|list| list.is_array()) {
            Some(list) => Ok(Reply { text: Value::to_string(list), finish: Finish::Stop, usage: Usage::default() }),
            None => Err(unknown(format!("{} sent no categoriesAnalysis", self.0.origin()))),
        }
    }
}

/// The resource that `config` describes; `var` looks variables up (the process's, then those of `.env`).
pub(crate) fn endpoint(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint, SetupError> {
    let given = config.endpoint.clone().or_else(|| first(var, CONTENT_SAFETY_ENDPOINT)).ok_or_else(|| {
        SetupError::setting("endpoint", "give the resource, such as https://NAME.cognitiveservices.azure.com, or set CONTENT_SAFETY_ENDPOINT in the environment or in .env")
    })?;
    let resource = endpoint_url("endpoint", &address::base(&given))?;
    let mut url = join(&resource, &["contentsafety", "text:analyze"]);
    url.query_pairs_mut().append_pair("api-version", config.api_version.as_deref().unwrap_or(API_VERSION));
    let pinned = check_key_transport("endpoint", &resource, &config.allow_http_hosts)?;
    let (sign_in, credential) = sign_in(config, var)?;
    Ok(Endpoint {
        http: Http::new(&resource, &config.timeouts, &pinned, var)?,
        url,
        sign_in,
        headers: HeaderMap::new(),
        additions: Additions::default(),
        cache: CacheHints::default(),
        model: "text:analyze".to_owned(),
        advice: Advice { address: "endpoint", model: "endpoint", credential },
        jobs: None,
    })
}

impl ChatModel for ContentSafety {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, _: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        Box::pin(self.send(request))
    }

    fn target(&self) -> String {
        self.0.origin()
    }
}

/// How to sign in, and what to say when that is refused.
fn sign_in(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<(EndpointSignIn, String), SetupError> {
    if config.auth == AzureAuth::Entra {
        return sign_in_with_entra(
            config,
            var,
            "check who is signed in and that it has the role Cognitive Services User",
        );
    }
    let secret = first(var, CONTENT_SAFETY_KEY).ok_or_else(|| SetupError::MissingCredential {
        advice: "set CONTENT_SAFETY_KEY in the environment or in .env, or `auth: entra` to sign in with Entra ID"
            .to_owned(),
    })?;
    let credential = Credential::subscription_key(SecretString::from(secret))
        .ok_or_else(|| unfit_for_a_header("CONTENT_SAFETY_KEY"))?;
    Ok((
        EndpointSignIn::Fixed(Arc::new(credential)),
        "check the key in CONTENT_SAFETY_KEY (environment or .env)".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;

    #[test]
    fn the_resource_and_its_key_come_from_variables_of_their_own() {
        let var = |name: &str| match name {
            "CONTENT_SAFETY_ENDPOINT" => Some("https://r.cognitiveservices.azure.com/".to_owned()),
            "CONTENT_SAFETY_KEY" => Some("canary-key-123".to_owned()),
            _ => None,
        };
        let found = endpoint(&Model::default(), &var).unwrap();
        assert_eq!(found.origin(), "https://r.cognitiveservices.azure.com");
        assert!(!format!("{found:?}").contains("canary"));
        let EndpointSignIn::Fixed(credential) = &found.sign_in else { panic!("signs in with the key") };
        let mut headers = HeaderMap::new();
        credential.apply(&mut headers);
        assert_eq!(headers["ocp-apim-subscription-key"], "canary-key-123");
        assert_eq!(endpoint(&Model::default(), &|_| None).unwrap_err().exit_code(), ExitCode::Usage);
        let given = Model { endpoint: Some("https://r".to_owned()), ..Model::default() };
        assert_eq!(endpoint(&given, &|_| None).unwrap_err().exit_code(), ExitCode::Unavailable);
    }
}
