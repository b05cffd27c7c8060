//! Signing in with Entra ID.
//!
//! `azure_identity` has no chain of credentials, so this is it: a service principal where its three variables are set,
//! else workload identity, else managed identity where the host offers one or `AZURE_TOKEN_CREDENTIALS` asks for it,
//! else whoever is signed in to the developer tools (`az`, `azd`). `AZURE_AUTHORITY_HOST` names the sign-in service of
//! another cloud.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_core::http::{ClientOptions, ExponentialRetryOptions, RetryOptions, Transport};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, DeveloperToolsCredential,
    ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};

use super::filled;
use super::http::{SetupError, bare_client};

/// How long to wait for a connection to the sign-in service.
const CONNECT: Duration = Duration::from_secs(10);

/// How often a credential asks again by itself, which takes about three seconds. Those who use the tokens try again for
/// much longer, but not where it is in vain: an untrusted certificate is a lost connection to the credential.
const RETRIES: u32 = 3;

/// How long to wait for a token in all.
pub(crate) const TOTAL: Duration = Duration::from_secs(60);

/// The credential that the variables name. Nothing is signed in yet.
pub(crate) fn from_environment(var: &dyn Fn(&str) -> Option<String>) -> Result<Arc<dyn TokenCredential>, SetupError> {
    let get = |name| filled(var, name);
    let cloud = get("AZURE_AUTHORITY_HOST").map(authority);
    let client = || -> Result<ClientOptions, SetupError> {
        let transport = Some(Transport::new(Arc::new(bare_client(CONNECT, TOTAL, var)?)));
        let retry = RetryOptions::exponential(ExponentialRetryOptions { max_retries: RETRIES, ..Default::default() });
        Ok(ClientOptions { transport, retry, cloud: cloud.clone(), ..ClientOptions::default() })
    };
    let (tenant, id) = (get("AZURE_TENANT_ID"), get("AZURE_CLIENT_ID"));
    if let (Some(tenant), Some(id), Some(secret)) = (&tenant, &id, get("AZURE_CLIENT_SECRET")) {
        let options = ClientSecretCredentialOptions { client_options: client()? };
        return made(ClientSecretCredential::new(tenant, id.clone(), Secret::new(secret), Some(options)));
    }
    if let Some(file) = get("AZURE_FEDERATED_TOKEN_FILE") {
        let options = WorkloadIdentityCredentialOptions {
            credential_options: ClientAssertionCredentialOptions { client_options: client()? },
            client_id: id,
            tenant_id: tenant,
            token_file_path: Some(PathBuf::from(file)),
        };
        return made(WorkloadIdentityCredential::new(Some(options)));
    }
    if wants_managed_identity(var) || get("IDENTITY_ENDPOINT").is_some() {
        let user_assigned_id = id.map(UserAssignedId::ClientId);
        let options = ManagedIdentityCredentialOptions { user_assigned_id, client_options: client()? };
        return made(ManagedIdentityCredential::new(Some(options)));
    }
    made(DeveloperToolsCredential::new(None))
}

/// The credential that [`from_environment`] makes, in words.
pub(crate) fn chosen(var: &dyn Fn(&str) -> Option<String>) -> &'static str {
    sources(var).into_iter().find(|source| source.missing.is_none()).map_or(DEVELOPER_TOOLS, |source| source.name)
}

/// What was looked for, in order, and why it was not taken; the one that was taken last.
pub(crate) fn tried(var: &dyn Fn(&str) -> Option<String>) -> String {
    let mut all = Vec::new();
    for CredentialSource { name, missing } in sources(var) {
        let Some(missing) = missing else {
            all.push(name.to_owned());
            return all.join(", ");
        };
        all.push(format!("{name} ({missing})"));
    }
    all.push(DEVELOPER_TOOLS.to_owned());
    all.join(", ")
}

const DEVELOPER_TOOLS: &str = "whoever is signed in to az or azd";

/// A credential, and what keeps it from being used.
struct CredentialSource {
    name: &'static str,
    missing: Option<String>,
}

/// The credentials that variables decide on, in order.
fn sources(var: &dyn Fn(&str) -> Option<String>) -> [CredentialSource; 3] {
    let unset = |names: &[&str]| {
        let unset: Vec<&str> = names.iter().copied().filter(|name| filled(var, name).is_none()).collect();
        (!unset.is_empty()).then(|| format!("{} not set", unset.join(", ")))
    };
    let hosted = wants_managed_identity(var) || filled(var, "IDENTITY_ENDPOINT").is_some();
    [
        CredentialSource {
            name: "the service principal of AZURE_CLIENT_ID",
            missing: unset(&["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"]),
        },
        CredentialSource { name: "workload identity", missing: unset(&["AZURE_FEDERATED_TOKEN_FILE"]) },
        CredentialSource {
            name: "managed identity",
            missing: (!hosted).then(|| "neither IDENTITY_ENDPOINT nor AZURE_TOKEN_CREDENTIALS asks for it".to_owned()),
        },
    ]
}

fn wants_managed_identity(var: &dyn Fn(&str) -> Option<String>) -> bool {
    filled(var, "AZURE_TOKEN_CREDENTIALS").is_some_and(|c| c.eq_ignore_ascii_case("ManagedIdentityCredential"))
}

fn made<C: TokenCredential + 'static>(
    credential: azure_core::Result<Arc<C>>,
) -> Result<Arc<dyn TokenCredential>, SetupError> {
    match credential {
        Ok(credential) => Ok(credential),
        Err(error) => Err(SetupError::MissingCredential {
            advice: format!(
                "Entra ID cannot be used: {error}; set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET in the environment or in .env, or run `az login`"
            ),
        }),
    }
}

fn authority(host: String) -> Arc<CloudConfiguration> {
    let mut custom = CustomConfiguration::default();
    custom.authority_host = host;
    Arc::new(custom.into())
}

/// Whether a sign-in failed for a reason that may pass: a service out of reach may come back, one that says no will say
/// so again.
pub(crate) fn may_pass(error: &azure_core::Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    let causes = std::iter::successors(Some(first), |e| e.source());
    causes.filter_map(|e| e.downcast_ref::<azure_core::Error>()).any(|e| match e.kind() {
        ErrorKind::Connection => true,
        ErrorKind::HttpResponse { status, .. } => matches!(u16::from(*status), 408 | 429 | 500..=599),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::ExitCode;

    #[test]
    fn the_variables_choose_the_credential() {
        let chosen = |pairs: &[(&str, &str)]| {
            let source = from_environment(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()));
            source.map(|s| format!("{s:?}").split_whitespace().next().unwrap_or_default().to_owned())
        };
        let principal = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "canary")];
        let name = chosen(&principal).unwrap();
        assert!(name.contains("ClientSecretCredential") && !name.contains("canary"), "{name}");
        assert!(chosen(&[("IDENTITY_ENDPOINT", "http://169.254.0.1")]).unwrap().contains("ManagedIdentity"));
        assert!(
            chosen(&[("AZURE_TOKEN_CREDENTIALS", "managedidentitycredential")]).unwrap().contains("ManagedIdentity")
        );
        assert!(chosen(&[]).unwrap().contains("DeveloperTools"));
        let workload =
            [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_FEDERATED_TOKEN_FILE", "/nonexistent/token")];
        let error = chosen(&workload).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Unavailable);
        assert!(error.to_string().contains("/nonexistent/token"), "{error}");
    }

    #[test]
    fn what_is_told_is_what_is_made() {
        type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;
        let told = |pairs: &[(&str, &str)], words: fn(Variables<'_>) -> String| {
            words(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        let principal = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c"), ("AZURE_CLIENT_SECRET", "canary")];
        assert_eq!(told(&principal, tried), "the service principal of AZURE_CLIENT_ID");
        let managed = told(&principal[..2], tried);
        assert!(
            managed.starts_with("the service principal of AZURE_CLIENT_ID (AZURE_CLIENT_SECRET not set), workload")
        );
        assert!(managed.ends_with("asks for it), whoever is signed in to az or azd"), "{managed}");
        for (pairs, source, kind) in [
            (&principal[..], "the service principal of AZURE_CLIENT_ID", "ClientSecret"),
            (&[("IDENTITY_ENDPOINT", "http://169.254.0.1")], "managed identity", "ManagedIdentity"),
            (&[("AZURE_TOKEN_CREDENTIALS", "ManagedIdentityCredential")], "managed identity", "ManagedIdentity"),
            (&[], DEVELOPER_TOOLS, "DeveloperTools"),
        ] {
            assert_eq!(told(pairs, |var| chosen(var).to_owned()), source);
            assert!(told(pairs, |var| format!("{:?}", from_environment(var).unwrap())).contains(kind), "{source}");
        }
    }

    #[test]
    fn another_cloud_signs_in_at_its_own_service() {
        let chosen = |host: &'static str| {
            let pairs = [
                ("AZURE_TENANT_ID", "t"),
                ("AZURE_CLIENT_ID", "c"),
                ("AZURE_CLIENT_SECRET", "s"),
                ("AZURE_AUTHORITY_HOST", host),
            ];
            from_environment(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        chosen("https://login.chinacloudapi.cn").unwrap();
        let error = chosen("http://login.example").unwrap_err().to_string();
        assert!(error.contains("http://login.example"), "{error}");
    }
}
