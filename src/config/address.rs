//! Addresses as portals and manuals show them: with the route that a request goes to, a version, a deployment.

use url::Url;

use crate::loopback::is_this_machine;

/// Routes below a base URL that programs are shown whole, longest first.
const ROUTES: [&[&str]; 7] = [
    &["chat", "completions"],
    &["contentsafety", "text:analyze"],
    &["completions"],
    &["responses"],
    &["embeddings"],
    &["moderations"],
    &["models"],
];

/// An address of Azure OpenAI, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AzureAddress {
    /// The resource, with `/openai/v1` where that was written.
    pub(crate) endpoint: String,
    /// The deployment that it names.
    pub(crate) deployment: Option<String>,
    /// The dated version that it names.
    pub(crate) api_version: Option<String>,
}

/// What is wrong with `text` in place of the address of a service.
pub(crate) fn complaint(text: &str) -> String {
    match with_scheme(text) {
        Some(meant) => format!("{:?} has no https:// or http:// in front; write {meant}", text.trim()),
        None => "not an http:// or https:// URL with a host and without user, password, query or fragment".to_owned(),
    }
}

/// The address that was meant, where `text` is one without `http://` or `https://` in front.
pub(crate) fn with_scheme(text: &str) -> Option<Url> {
    let text = text.trim();
    let is_bare = match Url::parse(text) {
        Err(url::ParseError::RelativeUrlWithoutBase) => !text.starts_with(['/', '.', '#', '?']),
        // The host of `localhost:8000/v1` reads as a scheme.
        Ok(url) => url.cannot_be_a_base() && url.path().starts_with(|c: char| c.is_ascii_digit()),
        Err(_) => false,
    };
    // What may hold a password or a signature is not to be repeated.
    if !is_bare || text.contains(['@', '?']) || text.contains(char::is_whitespace) {
        return None;
    }
    let plain = Url::parse(&format!("http://{text}")).ok()?;
    if is_this_machine(&plain) { Some(plain) } else { Url::parse(&format!("https://{text}")).ok() }
}

/// A base URL without the route behind it; what is no URL comes back as it is.
pub(crate) fn base(text: &str) -> String {
    let text = text.trim();
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    let segments = segments(&url);
    match without_route(&segments) {
        shorter if shorter.len() == segments.len() => text.to_owned(),
        shorter => {
            url.set_path(&shorter.join("/"));
            url.set_query(None);
            url.to_string()
        }
    }
}

/// An address of a resource of Azure OpenAI; what is no URL comes back as it is.
pub(crate) fn azure(text: &str) -> AzureAddress {
    let whole = AzureAddress { endpoint: text.trim().to_owned(), deployment: None, api_version: None };
    let Ok(mut url) = Url::parse(text.trim()) else { return whole };
    let version = url.query_pairs().find(|(name, _)| name.eq_ignore_ascii_case("api-version"));
    let api_version = version.map(|(_, version)| version.into_owned()).filter(|version| !version.is_empty());
    let segments = segments(&url);
    let mut kept = without_route(&segments).to_vec();
    let deployments = kept.iter().position(|segment| segment == "deployments");
    let deployment = deployments.and_then(|at| kept.get(at + 1).cloned());
    if let Some(at) = deployments {
        kept.truncate(at);
    }
    // What a project of Azure AI Foundry shows: its models are those of the resource.
    if let Some(at) = kept.windows(2).position(|pair| pair == ["api", "projects"]) {
        kept.truncate(at);
    }
    if deployment.is_some() && kept.last().is_some_and(|segment| segment == "openai") {
        kept.pop();
    }
    let changed = kept.len() != segments.len() || api_version.is_some();
    if !changed {
        return whole;
    }
    url.set_path(&kept.join("/"));
    url.set_query(None);
    let endpoint = url.to_string().trim_end_matches('/').to_owned();
    AzureAddress { endpoint, deployment, api_version }
}

/// Whether an endpoint is given with the route that has no dated version.
pub(crate) fn says_v1(endpoint: &str) -> bool {
    Url::parse(endpoint.trim()).is_ok_and(|url| segments(&url).ends_with(&owned(&["openai", "v1"])))
}

/// The parts of a path, as they are meant.
fn segments(url: &Url) -> Vec<String> {
    let parts = url.path_segments().into_iter().flatten().filter(|part| !part.is_empty());
    parts.map(percent_decoded).collect()
}

fn percent_decoded(part: &str) -> String {
    let form = format!("p={}", part.replace('+', "%2B"));
    url::form_urlencoded::parse(form.as_bytes()).next().map_or_else(|| part.to_owned(), |(_, value)| value.into_owned())
}

fn without_route(segments: &[String]) -> &[String] {
    let route = ROUTES.iter().find(|route| segments.len() >= route.len() && segments.ends_with(&owned(route)));
    let kept = segments.len() - route.map_or(0, |route| route.len());
    segments.get(..kept).unwrap_or(segments)
}

fn owned(route: &[&str]) -> Vec<String> {
    route.iter().map(|part| (*part).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_loses_the_route_behind_it() {
        for (pasted, meant) in [
            ("http://127.0.0.1:8000/v1/chat/completions", "http://127.0.0.1:8000/v1"),
            (" http://127.0.0.1:8000/v1/chat/completions/ ", "http://127.0.0.1:8000/v1"),
            ("https://h/v1/models", "https://h/v1"),
            ("https://h/api/openai/v1/responses?x=1", "https://h/api/openai/v1"),
            ("http://h/v1/", "http://h/v1/"),
            ("http://h", "http://h"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(base(pasted), meant, "{pasted}");
        }
    }

    #[test]
    fn an_azure_address_says_its_deployment_and_version() {
        let r = "https://r.openai.azure.com";
        for (pasted, endpoint, deployment, version) in [
            ("/openai/deployments/chat/chat/completions?api-version=2024-10-21", "", Some("chat"), Some("2024-10-21")),
            ("/openai/deployments/my%20gpt", "", Some("my gpt"), None),
            ("/openai/v1/chat/completions", "/openai/v1", None, None),
            ("/openai/v1/", "/openai/v1/", None, None),
            ("/openai/responses?api-version=2025-04-01-preview", "/openai", None, Some("2025-04-01-preview")),
            ("/api/projects/p", "", None, None),
            ("/", "/", None, None),
            ("", "", None, None),
        ] {
            let found = azure(&format!("{r}{pasted}"));
            let meant = AzureAddress {
                endpoint: format!("{r}{endpoint}"),
                deployment: deployment.map(str::to_owned),
                api_version: version.map(str::to_owned),
            };
            assert_eq!(found, meant, "{pasted}");
        }
    }

    #[test]
    fn an_address_without_its_scheme_is_known_for_what_it_is() {
        for (text, meant) in [
            ("api.example.com/v1", Some("https://api.example.com/v1")),
            ("api.example.com:8443/v1", Some("https://api.example.com:8443/v1")),
            ("localhost:8000/v1", Some("http://localhost:8000/v1")),
            ("127.0.0.1:8000/v1", Some("http://127.0.0.1:8000/v1")),
            ("name.openai.azure.com", Some("https://name.openai.azure.com/")),
            ("https://api.example.com/v1", None),
            ("ftp://api.example.com", None),
            ("user:secret@api.example.com", None),
            ("name.blob.core.windows.net/c?sig=secret", None),
            ("mailto:someone", None),
            ("/v1", None),
            ("", None),
        ] {
            assert_eq!(with_scheme(text).as_ref().map(Url::as_str), meant, "{text:?}");
        }
    }
}
