//! Azure OpenAI: the two forms of its address, and its two ways to sign in.
//!
//! ```text
//! dated   {endpoint}/openai/deployments/{deployment}/chat/completions?api-version=2024-10-21
//! v1      {endpoint}/openai/v1/chat/completions          `model` in the body is the deployment
//! ```
//!
//! A version in the configuration asks for the dated form. One in a variable does too, unless the endpoint is given
//! with `/openai/v1`. The body is the same for both: [`Completions`](super::openai::Completions)
//! sends it and reads the answer.

pub(crate) mod content_safety;

use std::sync::Arc;

use reqwest::header::HeaderMap;
use secrecy::SecretString;
use url::Url;

use super::batch::JobAddress;
use super::endpoint::{Additions, Advice, CacheHints, Endpoint, EndpointSignIn, Entra};
use super::openai::{above, unfit_for_a_header};
use crate::config::environment::{AZURE_API_KEY, AZURE_API_VERSION, AZURE_DEPLOYMENT, AZURE_ENDPOINT};
use crate::config::{AzureAuth, Model};
use crate::net::entra::chosen;
use crate::net::filled;
use crate::net::http::{Credential, Http, SetupError, check_key_transport, endpoint_url, join};

const TOKEN: &str = "AZURE_OPENAI_AD_TOKEN";

/// The endpoint of the deployment that `config` describes; `var` looks variables up (the process's, then those of `.env`).
pub(crate) fn endpoint(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<Endpoint, SetupError> {
    let deployment = deployment(config, var)?;
    let given = config.endpoint.clone().or_else(|| first(var, AZURE_ENDPOINT)).ok_or_else(|| {
        SetupError::setting("endpoint", "give the resource, such as https://NAME.openai.azure.com, or set AZURE_OPENAI_ENDPOINT in the environment or in .env")
    })?;
    let resource = endpoint_url("endpoint", &given)?;
    let url = completions_url(&resource, &deployment, config.api_version.as_deref(), var)?;
    let pinned = check_key_transport("endpoint", &resource, &config.allow_http_hosts)?;
    let (sign_in, credential) = sign_in(config, var)?;
    Ok(Endpoint {
        http: Http::new(&resource, &config.timeouts, &pinned, var)?,
        jobs: config.batch.then(|| jobs(&url)),
        url,
        sign_in,
        headers: HeaderMap::new(),
        additions: Additions::new(config, var)?,
        cache: CacheHints::new(&config.prompt_cache),
        model: deployment,
        advice: Advice { address: "endpoint", model: "deployment", credential },
    })
}

/// Where jobs of calls to the deployment go whose completions are at `completions`.
///
/// Jobs are the resource's, not the deployment's: each line names the deployment. Both forms of the address take them.
fn jobs(completions: &Url) -> JobAddress {
    let dated = completions.query().is_some();
    JobAddress {
        base: above(completions, if dated { 4 } else { 2 }),
        route: if dated { "/chat/completions" } else { "/v1/chat/completions" }.to_owned(),
        expiring: !dated,
        setting: "endpoint",
    }
}

/// The deployment of `config`, which is also the logical model name where none is given.
pub(crate) fn deployment(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<String, SetupError> {
    let given = config.deployment.clone().filter(|d| !d.trim().is_empty());
    given.or_else(|| first(var, AZURE_DEPLOYMENT)).ok_or_else(|| {
        SetupError::setting(
            "deployment",
            "name the deployment, or set AZURE_OPENAI_CHAT_DEPLOYMENT_NAME in the environment or in .env",
        )
    })
}

fn first(var: &dyn Fn(&str) -> Option<String>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| filled(var, name))
}

fn completions_url(
    endpoint: &Url,
    deployment: &str,
    api_version: Option<&str>,
    var: &dyn Fn(&str) -> Option<String>,
) -> Result<Url, SetupError> {
    let (resource, says_v1) = resource(endpoint);
    let from_variable = || if says_v1 { None } else { first(var, AZURE_API_VERSION) };
    let version = api_version.map(|v| v.trim().to_owned()).or_else(from_variable);
    match version.as_deref() {
        None | Some("" | "v1") => Ok(join(&resource, &["openai", "v1", "chat", "completions"])),
        Some(version) if is_dated(version) => {
            let mut url = join(&resource, &["openai", "deployments", deployment, "chat", "completions"]);
            url.query_pairs_mut().append_pair("api-version", version);
            Ok(url)
        }
        Some(version) => Err(SetupError::setting(
            "api_version",
            format!("{version:?} is no dated version such as 2024-10-21; leave it out for the /openai/v1/ route"),
        )),
    }
}

/// The endpoint without `/openai` or `/openai/v1` at its end, and whether it asked for v1.
fn resource(endpoint: &Url) -> (Url, bool) {
    let mut segments: Vec<&str> = endpoint.path_segments().into_iter().flatten().filter(|s| !s.is_empty()).collect();
    let says_v1 = segments.ends_with(&["openai", "v1"]);
    if says_v1 {
        segments.pop();
    }
    if segments.last() == Some(&"openai") {
        segments.pop();
    }
    let mut resource = endpoint.clone();
    resource.set_path(&segments.join("/"));
    resource.set_query(None);
    resource.set_fragment(None);
    (resource, says_v1)
}

/// `2024-10-21`, with or without `-preview`.
fn is_dated(version: &str) -> bool {
    let date = version.strip_suffix("-preview").unwrap_or(version);
    date.len() == 10
        && date.bytes().enumerate().all(|(at, b)| if matches!(at, 4 | 7) { b == b'-' } else { b.is_ascii_digit() })
}

/// How to sign in, and what to say when that is refused.
fn sign_in(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Result<(EndpointSignIn, String), SetupError> {
    match method(config, var) {
        AzureAuth::Key | AzureAuth::Auto => {
            let name = key_variable(config);
            let secret = filled(var, name).ok_or_else(|| SetupError::MissingCredential {
                advice: format!("set {name} in the environment or in .env, or `auth: entra` to sign in with Entra ID"),
            })?;
            let credential = Credential::api_key(SecretString::from(secret)).ok_or_else(|| unfit_for_a_header(name))?;
            Ok((EndpointSignIn::Fixed(Arc::new(credential)), format!("check the key in {name} (environment or .env)")))
        }
        AzureAuth::Entra => {
            let advice = "check who is signed in and that it has the role Cognitive Services OpenAI User";
            sign_in_with_entra(config, var, advice)
        }
    }
}

/// How `config` signs in: where it names neither method nor key variable and the usual key is not set, by Entra ID.
fn method(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> AzureAuth {
    match config.auth {
        AzureAuth::Auto if key_variable(config) == AZURE_API_KEY && filled(var, AZURE_API_KEY).is_none() => {
            AzureAuth::Entra
        }
        AzureAuth::Auto => AzureAuth::Key,
        named => named,
    }
}

/// The credential that stands in for a key nobody set, in words; nothing where `config` says how to sign in, or has a key.
pub(crate) fn stands_in(config: &Model, var: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let falls_back = config.auth == AzureAuth::Auto && method(config, var) == AzureAuth::Entra;
    let credential = || filled(var, TOKEN).map_or_else(|| chosen(var).to_owned(), |_| format!("the token in {TOKEN}"));
    falls_back.then(|| format!("{AZURE_API_KEY} is not set: signing in with Entra ID, by {}", credential()))
}

/// A ready token where there is one, else whoever the variables name.
fn sign_in_with_entra(
    config: &Model,
    var: &dyn Fn(&str) -> Option<String>,
    advice: &str,
) -> Result<(EndpointSignIn, String), SetupError> {
    let Some(token) = filled(var, TOKEN) else {
        return Ok((EndpointSignIn::Entra(Entra::from_environment(config, var)?), advice.to_owned()));
    };
    let credential = Credential::bearer(SecretString::from(token)).ok_or_else(|| unfit_for_a_header(TOKEN))?;
    Ok((EndpointSignIn::Fixed(Arc::new(credential)), format!("{advice}; {TOKEN} may have expired")))
}

/// A variable of one's own choice serves deployments of several resources; `OPENAI_API_KEY` is the default of another
/// provider and never meant here.
fn key_variable(config: &Model) -> &str {
    config.api_key_env.as_deref().filter(|name| *name != "OPENAI_API_KEY").unwrap_or(AZURE_API_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;

    fn vars(pairs: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
    }

    fn url(endpoint: &str, version: Option<&str>, pairs: &'static [(&'static str, &'static str)]) -> String {
        let resource = endpoint_url("endpoint", endpoint).unwrap();
        completions_url(&resource, "my gpt", version, &vars(pairs)).unwrap().to_string()
    }

    #[test]
    fn both_forms_of_the_address_from_every_spelling() {
        let dated = "https://r.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21";
        let v1 = "https://r.openai.azure.com/openai/v1/chat/completions";
        for endpoint in [
            "https://r.openai.azure.com",
            "https://r.openai.azure.com/",
            "https://r.openai.azure.com/openai",
            "https://r.openai.azure.com/openai/v1",
            "https://r.openai.azure.com/openai/v1/",
        ] {
            assert_eq!(url(endpoint, None, &[]), v1);
            assert_eq!(url(endpoint, Some("v1"), &[]), v1);
            assert_eq!(url(endpoint, Some("2024-10-21"), &[]), dated, "{endpoint}");
        }
        let in_variable = &[("AZURE_OPENAI_API_VERSION", "2024-10-21")];
        assert_eq!(url("https://r.openai.azure.com", None, in_variable), dated);
        assert_eq!(url("https://r.openai.azure.com/openai/v1/", None, in_variable), v1);
        assert_eq!(
            url("https://gateway/team/openai/v1", None, &[]),
            "https://gateway/team/openai/v1/chat/completions",
            "a path in front stays"
        );
        let odd = endpoint_url("endpoint", "https://r.openai.azure.com").unwrap();
        assert_eq!(completions_url(&odd, "d", Some("latest"), &|_| None).unwrap_err().exit_code(), ExitCode::Usage);
    }

    #[test]
    fn variables_fill_what_the_configuration_leaves_out() {
        let found = endpoint(
            &Model::default(),
            &vars(&[
                ("AZURE_OPENAI_ENDPOINT", "https://r.openai.azure.com/"),
                ("AZURE_OPENAI_CHAT_DEPLOYMENT_NAME", "chat"),
                ("AZURE_OPENAI_API_KEY", "canary-key-123"),
            ]),
        )
        .unwrap();
        assert_eq!(found.origin(), "https://r.openai.azure.com");
        assert!(!format!("{found:?}").contains("canary"));
        let EndpointSignIn::Fixed(credential) = &found.sign_in else { panic!("signs in with the key") };
        let mut headers = HeaderMap::new();
        credential.apply(&mut headers);
        assert_eq!(headers["api-key"], "canary-key-123");
    }

    #[test]
    fn what_is_missing_is_named_with_its_exit_code() {
        let config = Model {
            endpoint: Some("https://r".into()),
            deployment: Some("d".into()),
            auth: AzureAuth::Key,
            ..Model::default()
        };
        let error = endpoint(&config, &|_| None).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Unavailable);
        assert!(error.to_string().contains("AZURE_OPENAI_API_KEY") && error.to_string().contains(".env"));
        for (config, word) in [
            (Model { endpoint: None, ..config.clone() }, "AZURE_OPENAI_ENDPOINT"),
            (Model { deployment: None, ..config.clone() }, "AZURE_OPENAI_CHAT_DEPLOYMENT_NAME"),
            (Model { endpoint: Some("http://r.openai.azure.com.invalid".into()), ..config }, "plain http"),
        ] {
            let error = endpoint(&config, &vars(&[("AZURE_OPENAI_API_KEY", "k")])).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Usage);
            assert!(error.to_string().contains(word), "{error}");
        }
    }

    #[test]
    fn without_key_and_method_entra_id_signs_in_and_whatever_is_written_counts() {
        let config = Model { endpoint: Some("https://r".into()), deployment: Some("d".into()), ..Model::default() };
        let own = Model { api_key_env: Some("MY_KEY".into()), ..config.clone() };
        let key = Model { auth: AzureAuth::Key, ..config.clone() };
        let told = |config: &Model, pairs: &'static [(&'static str, &'static str)]| stands_in(config, &vars(pairs));
        assert_eq!(
            told(&config, &[]).unwrap(),
            "AZURE_OPENAI_API_KEY is not set: signing in with Entra ID, by whoever is signed in to az or azd"
        );
        assert!(
            told(&config, &[("AZURE_OPENAI_AD_TOKEN", "canary")])
                .unwrap()
                .ends_with("the token in AZURE_OPENAI_AD_TOKEN")
        );
        assert!(told(&config, &[("IDENTITY_ENDPOINT", "http://i")]).unwrap().ends_with("by managed identity"));
        for (config, pairs) in [(&config, &[("AZURE_OPENAI_API_KEY", "k")][..]), (&own, &[]), (&key, &[])] {
            assert_eq!(told(config, pairs), None, "{config:?}");
        }
        assert!(endpoint(&own, &|_| None).unwrap_err().to_string().contains("MY_KEY"));
    }

    #[test]
    fn a_ready_token_is_taken_as_it_is() {
        let config = Model {
            endpoint: Some("https://r".into()),
            deployment: Some("d".into()),
            auth: AzureAuth::Entra,
            ..Model::default()
        };
        let found = endpoint(&config, &vars(&[("AZURE_OPENAI_AD_TOKEN", "canary-token")])).unwrap();
        let EndpointSignIn::Fixed(credential) = &found.sign_in else { panic!("uses the token") };
        let mut headers = HeaderMap::new();
        credential.apply(&mut headers);
        assert_eq!(headers["authorization"], "Bearer canary-token");
        assert!(!format!("{found:?}").contains("canary"));
    }
}
