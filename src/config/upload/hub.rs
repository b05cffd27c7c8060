//! A repository of the Hugging Face hub as destination.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::address;
use crate::config::check::{Findings, is_plain_url, is_variable_name};

/// A dataset repository of the Hugging Face hub, or of a server that speaks its language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HubDestination {
    /// The repository, `owner/name`. It is created when missing, if the token may.
    pub repo: String,
    /// The hub's address. Left out: `HF_ENDPOINT` where that is set, else `https://huggingface.co`.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Whether the repository is private. One that is public is refused unless this is `false`.
    #[serde(default = "private")]
    pub private: bool,
    /// The *name* of the variable with the access token, never the token.
    #[serde(default = "token_env")]
    pub token_env: String,
    /// Hosts besides this machine to which the token may go over plain `http://`.
    #[serde(default)]
    pub allow_http_hosts: Vec<String>,
}

fn private() -> bool {
    true
}

fn token_env() -> String {
    "HF_TOKEN".to_owned()
}

impl Findings<'_> {
    pub(super) fn hub(&mut self, hub: &HubDestination) {
        let at = |field: &str| format!("destination.hub.{field}");
        self.require(is_repository(&hub.repo), &at("repo"), || {
            "not a repository's name: owner/name, each of letters, digits, `.`, `_` and `-`, without `--` and `..`, no `.` or \
             `-` first or last, the name without `.git` at its end, 96 characters in all"
                .to_owned()
        });
        self.require(is_variable_name(&hub.token_env), &at("token_env"), || {
            "expected the name of an environment variable; a token must not stand in a file".to_owned()
        });
        let endpoint = hub.endpoint.as_deref();
        self.require(endpoint.is_none_or(is_plain_url), &at("endpoint"), || {
            address::complaint(endpoint.unwrap_or_default())
        });
    }
}

/// The hub's rules for the names of repositories, the owner included.
fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        let inside = part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        let at_ends = part.starts_with(['.', '-']) || part.ends_with(['.', '-']);
        !part.is_empty() && inside && !at_ends && !part.contains("--") && !part.contains("..")
    };
    let parts = name.split_once('/');
    let sound = parts
        .is_some_and(|(owner, name)| is_part(owner) && is_part(name) && !name.to_ascii_lowercase().ends_with(".git"));
    sound && name.len() <= 96
}

#[cfg(test)]
mod tests {
    use crate::config::upload::parse;

    const HEAD: &str = "version: 1\nruns: [runs/a]\ndataset: demo\nwork_dir: runs/publish\n";

    #[test]
    fn a_hub_is_private_and_takes_its_token_from_a_variable_unless_told_otherwise() {
        let load = |hub: &str| parse("u.yaml", &format!("{HEAD}destination: {{hub: {{{hub}}}}}\n"), &[]);
        let hub = load("repo: team/talks").unwrap().destination.hub.unwrap();
        assert_eq!((hub.private, hub.token_env.as_str(), hub.endpoint), (true, "HF_TOKEN", None));
        for bad in [
            "",
            "talks",
            "a/b/c",
            "a/b..c",
            "a/b--c",
            "-a/b",
            "a/b.git",
            "a/b.",
            "ä/b",
            &format!("a/{}", "b".repeat(95)),
        ] {
            let told = load(&format!("repo: '{bad}'")).unwrap_err().to_string();
            assert!(told.contains("destination.hub.repo: not a repository's name"), "{bad}: {told}");
        }
        let told = load("repo: a/b, token_env: hf-canary, endpoint: 'https://x?token=canary'").unwrap_err().to_string();
        assert!(told.contains("token_env: expected") && told.contains("endpoint: not an http"), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }
}
