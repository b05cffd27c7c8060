//! Which blob service, and what to sign in with: settings first, then the variables that other tools use too.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use azure_core::credentials::TokenCredential;
use azure_core::http::Request;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::connection_string::{ConnectionString, Secret};
use super::shared_key::SharedKey;
use crate::config::environment::Environment;
use crate::config::upload::{AzureDestination, BlobAuth};
use crate::net::entra;
use crate::net::http::{SetupError, check_key_transport, endpoint_url};
use crate::publish::error::PublishError;

/// Names of the account, in order: that of other tools' libraries, then that of the `az` command.
const ACCOUNT: [&str; 2] = ["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT"];

/// Where the setting stands, for messages.
const ENDPOINT: &str = "destination.azure.endpoint";

/// A blob service and how to sign in to it.
#[derive(Debug)]
pub(super) struct SignIn {
    /// The service's address, which in path style holds the account. No query.
    pub(super) endpoint: Url,
    /// What signs requests.
    pub(super) credential: BlobCredential,
    /// Addresses to hold on to: the name resolved to this machine alone, which was why a credential may go there in plain.
    pub(super) pinned: Vec<SocketAddr>,
}

/// What signs requests.
#[derive(Debug, Clone)]
pub(super) enum BlobCredential {
    /// The account's key.
    Key(SharedKey),
    /// A shared access signature.
    Sas(Sas),
    /// Tokens of Entra ID.
    Entra(Arc<dyn TokenCredential>),
}

/// A shared access signature: a query that is added to every request.
#[derive(Clone)]
pub(super) struct Sas(SecretString);

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sas(…)")
    }
}

impl Sas {
    /// Takes the query with or without `?`; nothing if it holds no signature.
    pub(super) fn new(query: &str) -> Option<Self> {
        let sas = Self(SecretString::from(query.trim().trim_start_matches('?')));
        sas.field("sig").is_some().then_some(sas)
    }

    /// A field such as `se`, the end of its validity.
    pub(super) fn field(&self, name: &str) -> Option<String> {
        let mut fields = url::form_urlencoded::parse(self.0.expose_secret().as_bytes());
        fields.find(|(field, value)| field == name && !value.is_empty()).map(|(_, value)| value.into_owned())
    }

    /// Adds the signature to a request, in the encoding it came in.
    pub(super) fn apply(&self, request: &mut Request) {
        let query = match request.url().query() {
            Some(query) if !query.is_empty() => format!("{query}&{}", self.0.expose_secret()),
            _ => self.0.expose_secret().to_owned(),
        };
        request.url_mut().set_query(Some(&query));
    }
}

impl SignIn {
    /// What `settings` and the variables say. Nothing is sent yet.
    pub(super) fn new(settings: &AzureDestination, environment: &Environment) -> Result<Self, PublishError> {
        let method = settings.sign_in(environment);
        let (endpoint, credential) = match method {
            BlobAuth::ConnectionString | BlobAuth::Auto => by_connection_string(settings, environment)?,
            BlobAuth::AccountKey => by_key(settings, environment)?,
            BlobAuth::Sas => by_sas(settings, environment)?,
            BlobAuth::Entra => by_entra(settings, environment)?,
        };
        if method == BlobAuth::Entra && endpoint.scheme() != "https" {
            return Err(setup(format!("{ENDPOINT}: Entra ID tokens go over https:// only")));
        }
        let pinned = check_key_transport(ENDPOINT, &endpoint, &settings.allow_http_hosts).map_err(|error| match error {
            SetupError::KeyOverHttp { host, .. } => setup(format!(
                "{ENDPOINT}: a credential would go to {host} over plain http; use https, or add the host to destination.azure.allow_http_hosts"
            )),
            other => setup(other.to_string()),
        })?;
        Ok(Self { endpoint, credential, pinned })
    }
}

fn setup(message: String) -> PublishError {
    PublishError::Setup(message)
}

fn by_connection_string(
    settings: &AzureDestination,
    environment: &Environment,
) -> Result<(Url, BlobCredential), PublishError> {
    let name = &settings.connection_string_env;
    let text = required(environment, name, "the storage account's connection string")?;
    let read = ConnectionString::parse(&text).map_err(|why| setup(format!("{name}: {why}")))?;
    let account = read.account.unwrap_or_else(|| account_of(&read.endpoint));
    let endpoint = match (&settings.endpoint, &settings.account) {
        (None, None) => read.endpoint,
        // The string knows better where the account is: another cloud, an emulator.
        (None, Some(named)) if *named == account => read.endpoint,
        (None, Some(named)) => {
            return Err(setup(format!(
                "{name}: not of the account {named}, which destination.azure.account names; put that account's string there, or \
                 sign in with Entra ID: destination.azure.auth: entra"
            )));
        }
        (Some(_), _) => given_endpoint(settings)?.unwrap_or(read.endpoint),
    };
    let credential = match read.secret {
        Secret::Sas(sas) => BlobCredential::Sas(signature(name, sas.expose_secret())?),
        Secret::Key(key) => BlobCredential::Key(shared_key(name, &account, &key)?),
    };
    Ok((checked(name, &endpoint)?, credential))
}

fn by_key(settings: &AzureDestination, environment: &Environment) -> Result<(Url, BlobCredential), PublishError> {
    let name = &settings.account_key_env;
    let key = SecretString::from(required(environment, name, "the storage account's key")?);
    let endpoint = endpoint(settings, environment)?;
    let account = match (&settings.account, &settings.endpoint) {
        (Some(account), _) => account.clone(),
        (None, Some(_)) => account_of(&endpoint),
        (None, None) => environment.first(&ACCOUNT).unwrap_or_else(|| account_of(&endpoint)),
    };
    Ok((endpoint, BlobCredential::Key(shared_key(name, &account, &key)?)))
}

fn by_sas(settings: &AzureDestination, environment: &Environment) -> Result<(Url, BlobCredential), PublishError> {
    let name = &settings.sas_env;
    let text = required(environment, name, "a shared access signature")?;
    let text = text.trim();
    let (address, query) = match text.split_once('?') {
        Some((address, query)) if !address.is_empty() => (Some(address), query),
        _ => (None, text),
    };
    let sas = signature(name, query)?;
    let endpoint = match (given_endpoint(settings)?, address) {
        (Some(endpoint), _) => endpoint,
        (None, Some(address)) => checked(name, &service_of(name, address, &settings.container)?)?,
        (None, None) => endpoint(settings, environment)?,
    };
    Ok((endpoint, BlobCredential::Sas(sas)))
}

fn by_entra(settings: &AzureDestination, environment: &Environment) -> Result<(Url, BlobCredential), PublishError> {
    let endpoint = endpoint(settings, environment)?;
    let credential = entra::from_environment(&|name| environment.var(name))
        .map_err(|error| PublishError::SignIn(error.to_string()))?;
    Ok((endpoint, BlobCredential::Entra(credential)))
}

fn required(environment: &Environment, name: &str, what: &str) -> Result<String, PublishError> {
    environment.var(name).filter(|value| !value.trim().is_empty()).ok_or_else(|| {
        PublishError::SignIn(format!("{name} is not set; put {what} there, in the environment or in .env, or choose another destination.azure.auth"))
    })
}

fn shared_key(name: &str, account: &str, key: &SecretString) -> Result<SharedKey, PublishError> {
    SharedKey::new(account, key).ok_or_else(|| {
        setup(format!("{name}: not an account key: it is base64; copy the whole key, with the = at its end"))
    })
}

fn signature(name: &str, query: &str) -> Result<Sas, PublishError> {
    Sas::new(query).ok_or_else(|| {
        setup(format!(
            "{name}: not a shared access signature: there is no sig= in it; copy the whole token, and quote it in .env"
        ))
    })
}

/// The address that the settings give.
fn given_endpoint(settings: &AzureDestination) -> Result<Option<Url>, PublishError> {
    match (&settings.endpoint, &settings.account) {
        (Some(endpoint), _) => endpoint_url(ENDPOINT, endpoint).map(Some).map_err(|error| setup(error.to_string())),
        (None, Some(account)) => public_address(account).map(Some),
        (None, None) => Ok(None),
    }
}

fn endpoint(settings: &AzureDestination, environment: &Environment) -> Result<Url, PublishError> {
    if let Some(given) = given_endpoint(settings)? {
        return Ok(given);
    }
    let account = environment.first(&ACCOUNT).ok_or_else(|| {
        setup("destination.azure: name the storage account with account or endpoint, or set AZURE_STORAGE_ACCOUNT_NAME in the environment or in .env".to_owned())
    })?;
    public_address(&account)
}

fn public_address(account: &str) -> Result<Url, PublishError> {
    endpoint_url("destination.azure.account", &format!("https://{account}.blob.core.windows.net"))
        .map_err(|error| setup(error.to_string()))
}

/// Holds an address from a variable to the rules of those from the settings.
fn checked(name: &str, endpoint: &Url) -> Result<Url, PublishError> {
    let mut endpoint = endpoint_url(name, endpoint.as_str()).map_err(|error| setup(error.to_string()))?;
    endpoint.set_query(None);
    endpoint.set_fragment(None);
    Ok(endpoint)
}

/// The service that a signed address of it, or of the container in it, belongs to.
fn service_of(name: &str, address: &str, container: &str) -> Result<Url, PublishError> {
    let mut url =
        Url::parse(address).map_err(|why| setup(format!("{name}: no address before the signature: {why}")))?;
    let path = url.path().trim_end_matches('/');
    let service = path.strip_suffix(container).filter(|rest| rest.ends_with('/')).unwrap_or(path).to_owned();
    url.set_path(&service);
    Ok(url)
}

/// The account as an address names it: the path in path style (`http://127.0.0.1:10000/NAME`), else the first label.
fn account_of(endpoint: &Url) -> String {
    let in_path = endpoint.path_segments().and_then(|mut segments| segments.next()).filter(|first| !first.is_empty());
    match (in_path, endpoint.host()) {
        (Some(account), _) => account.to_owned(),
        (None, Some(Host::Domain(name))) => name.split('.').next().unwrap_or_default().to_owned(),
        (None, _) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use azure_core::http::Method;

    use super::*;
    use crate::exit::ExitCode;

    fn settings(yaml: &str) -> AzureDestination {
        serde_json::from_str(&format!(r#"{{"container":"demo",{yaml}}}"#)).unwrap()
    }

    fn signed_in(yaml: &str, variables: &[(&str, &str)]) -> Result<SignIn, PublishError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        SignIn::new(&settings(yaml), &Environment::new(variables, Path::new("no/such/.env")).unwrap())
    }

    fn shown(yaml: &str, variables: &[(&str, &str)]) -> String {
        match signed_in(yaml, variables) {
            Ok(SignIn { endpoint, credential, .. }) => format!("{endpoint} {credential:?}"),
            Err(error) => {
                assert_eq!(
                    error.exit_code(),
                    if matches!(error, PublishError::SignIn(_)) { ExitCode::Unavailable } else { ExitCode::Usage }
                );
                error.to_string()
            }
        }
    }

    #[test]
    fn settings_come_before_variables() {
        let key = ("AZURE_STORAGE_ACCOUNT_KEY", "Y2FuYXJ5");
        let name = ("AZURE_STORAGE_ACCOUNT_NAME", "named");
        let string = ("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true");
        let sas = ("AZURE_STORAGE_SAS_TOKEN", "?sv=1&sig=canary%3D");
        let signed = ("AZURE_STORAGE_SAS_TOKEN", "https://x.blob.example/demo?sv=1&sig=canary%3D");
        let path_style = r#""endpoint":"http://127.0.0.1:10000/dev""#;
        let lines = [
            shown(r#""auth":"connection_string""#, &[string]),
            shown(path_style, &[string]),
            shown(r#""auth":"account_key""#, &[key, name]),
            shown(&format!(r#"{path_style},"auth":"account_key""#), &[key, name]),
            shown(r#""account":"mine","auth":"account_key""#, &[key, name]),
            shown(r#""endpoint":"https://mine.blob.core.chinacloudapi.cn","auth":"account_key""#, &[key]),
            shown(r#""account":"mine","auth":"sas""#, &[sas]),
            shown(r#""auth":"sas""#, &[signed]),
            shown(r#""account":"devstoreaccount1","auth":"auto""#, &[string, key]),
            shown(r#""account":"mine","auth":"auto""#, &[key, name]).split('(').take(1).collect(),
        ];
        assert!(!lines.concat().contains("canary"));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        http://127.0.0.1:10000/devstoreaccount1 Key(SharedKey(devstoreaccount1))
        http://127.0.0.1:10000/dev Key(SharedKey(devstoreaccount1))
        https://named.blob.core.windows.net/ Key(SharedKey(named))
        http://127.0.0.1:10000/dev Key(SharedKey(dev))
        https://mine.blob.core.windows.net/ Key(SharedKey(mine))
        https://mine.blob.core.chinacloudapi.cn/ Key(SharedKey(mine))
        https://mine.blob.core.windows.net/ Sas(Sas(…))
        https://x.blob.example/ Sas(Sas(…))
        http://127.0.0.1:10000/devstoreaccount1 Key(SharedKey(devstoreaccount1))
        https://mine.blob.core.windows.net/ Entra
        "#);
    }

    #[test]
    fn what_is_missing_is_named_with_its_variable() {
        let open = r#""endpoint":"http://10.0.0.1:10000/dev""#;
        let string = ("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true");
        let lines = [
            shown(r#""auth":"connection_string""#, &[]),
            shown(r#""connection_string_env":"MINE""#, &[("MINE", "AccountName=canary")]),
            shown(r#""auth":"account_key""#, &[("AZURE_STORAGE_ACCOUNT_KEY", "YQ==")]),
            shown(r#""account":"mine","auth":"account_key""#, &[("AZURE_STORAGE_ACCOUNT_KEY", "canary!")]),
            shown(r#""account":"mine","auth":"sas""#, &[("AZURE_STORAGE_SAS_TOKEN", "canary")]),
            shown(r#""endpoint":"http://127.0.0.1:1/dev","auth":"entra""#, &[]),
            shown(open, &[string]),
            shown(r#""account":"mine","auth":"auto""#, &[string]),
        ];
        assert!(!lines.concat().contains("canary"));
        insta::assert_snapshot!(lines.join("\n"), @r#"
        AZURE_STORAGE_CONNECTION_STRING is not set; put the storage account's connection string there, in the environment or in .env, or choose another destination.azure.auth
        MINE: neither AccountKey nor SharedAccessSignature is there
        destination.azure: name the storage account with account or endpoint, or set AZURE_STORAGE_ACCOUNT_NAME in the environment or in .env
        AZURE_STORAGE_ACCOUNT_KEY: not an account key: it is base64; copy the whole key, with the = at its end
        AZURE_STORAGE_SAS_TOKEN: not a shared access signature: there is no sig= in it; copy the whole token, and quote it in .env
        destination.azure.endpoint: Entra ID tokens go over https:// only
        destination.azure.endpoint: a credential would go to 10.0.0.1 over plain http; use https, or add the host to destination.azure.allow_http_hosts
        AZURE_STORAGE_CONNECTION_STRING: not of the account mine, which destination.azure.account names; put that account's string there, or sign in with Entra ID: destination.azure.auth: entra
        "#);
        let listed = format!(r#"{open},"allow_http_hosts":["10.0.0.1"]"#);
        assert!(signed_in(&listed, &[string]).is_ok());
    }

    #[test]
    fn a_signature_joins_the_query_as_it_is() {
        let sas = Sas::new("?sv=1&se=2026-01-01T00%3A00%3A00Z&sig=a%2Bb%3D").unwrap();
        for (url, expected) in [("https://x.example/a", "?sv=1"), ("https://x.example/a?comp=list", "?comp=list&sv=1")]
        {
            let mut request = Request::new(Url::parse(url).unwrap(), Method::Get);
            sas.apply(&mut request);
            let sent = request.url().as_str();
            assert!(sent.contains(expected) && sent.ends_with("&sig=a%2Bb%3D"), "{sent}");
        }
        assert_eq!(sas.field("se").as_deref(), Some("2026-01-01T00:00:00Z"));
    }
}
