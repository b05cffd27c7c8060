//! Connection strings of storage accounts, as the portal and `az` give them out.
//!
//! `NAME=VALUE` parts between semicolons. Names are compared without case; parts for other services are passed over. No
//! message repeats a value, and a name only where it is one that such strings have or could have.

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::shared_key::is_key;

/// Account and key that every Azurite has; published by Microsoft, and no secret.
const EMULATOR_ACCOUNT: &str = "devstoreaccount1";
const EMULATOR_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// What a connection string says about the blob service.
#[derive(Debug)]
pub(super) struct ConnectionString {
    /// The account's name, where it is named.
    pub(super) account: Option<String>,
    /// The blob service.
    pub(super) endpoint: Url,
    /// How to sign in.
    pub(super) secret: Secret,
}

/// What a connection string signs in with.
#[derive(Debug)]
pub(super) enum Secret {
    /// The account's key, in base64.
    Key(SecretString),
    /// A shared access signature.
    Sas(SecretString),
}

/// The parts that count; the rest is for other services.
#[derive(Default)]
struct Parts<'a> {
    protocol: Option<&'a str>,
    account: Option<&'a str>,
    key: Option<&'a str>,
    endpoint: Option<&'a str>,
    suffix: Option<&'a str>,
    sas: Option<&'a str>,
    emulator: Option<&'a str>,
    emulator_host: Option<&'a str>,
    unknown: Vec<&'a str>,
}

impl ConnectionString {
    /// Reads one. The error says which part is wrong, for a message that begins with where the string stands.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts = Parts::split(text.trim())?;
        if let Some(value) = parts.emulator {
            return parts.emulator(value);
        }
        let endpoint = parts.blob_endpoint()?;
        let secret = match (parts.key, parts.sas) {
            (Some(key), _) => Secret::Key(checked_key(key)?),
            (None, Some(sas)) => Secret::Sas(SecretString::from(sas)),
            (None, None) => return Err(parts.missing("neither AccountKey nor SharedAccessSignature is there")),
        };
        let account = parts.account.map(str::to_owned);
        if account.is_none() && matches!(secret, Secret::Key(_)) {
            return Err(parts.missing("AccountName is missing"));
        }
        Ok(Self { account, endpoint, secret })
    }
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Result<Self, String> {
        let mut parts = Self::default();
        for (at, part) in text.split(';').enumerate() {
            if !part.trim().is_empty() {
                parts.take(at + 1, part)?;
            }
        }
        Ok(parts)
    }

    fn take(&mut self, at: usize, part: &'a str) -> Result<(), String> {
        let (name, value) = part
            .split_once('=')
            .map(|(name, value)| (name.trim(), value.trim()))
            .ok_or_else(|| format!("part {at} is not NAME=VALUE; copy the whole string anew, and quote it in .env"))?;
        let slot = match name.to_ascii_lowercase().as_str() {
            "defaultendpointsprotocol" => &mut self.protocol,
            "accountname" => &mut self.account,
            "accountkey" => &mut self.key,
            "blobendpoint" => &mut self.endpoint,
            "endpointsuffix" => &mut self.suffix,
            "sharedaccesssignature" => &mut self.sas,
            "usedevelopmentstorage" => &mut self.emulator,
            "developmentstorageproxyuri" => &mut self.emulator_host,
            other => {
                if !is_for_another_service(other) && is_like_a_name(name) {
                    self.unknown.push(name);
                }
                return Ok(());
            }
        };
        if value.is_empty() {
            return Err(format!("{name} (part {at}) has no value"));
        }
        if slot.replace(value).is_some() {
            return Err(format!("{name} (part {at}) is there twice"));
        }
        Ok(())
    }

    fn blob_endpoint(&self) -> Result<Url, String> {
        if let Some(endpoint) = self.endpoint {
            return Url::parse(endpoint).map_err(|why| format!("BlobEndpoint is no address: {why}"));
        }
        let account = self.account.ok_or_else(|| self.missing("neither BlobEndpoint nor AccountName is there"))?;
        let protocol = match self.protocol.unwrap_or("https").to_ascii_lowercase().as_str() {
            "https" => "https",
            "http" => "http",
            _ => return Err("DefaultEndpointsProtocol is neither https nor http".to_owned()),
        };
        let suffix = self.suffix.unwrap_or("core.windows.net");
        Url::parse(&format!("{protocol}://{account}.blob.{suffix}"))
            .map_err(|why| format!("AccountName and EndpointSuffix make no address: {why}"))
    }

    fn emulator(&self, value: &str) -> Result<ConnectionString, String> {
        if !value.eq_ignore_ascii_case("true") {
            return Err("UseDevelopmentStorage is not true; leave it out or write true".to_owned());
        }
        let host = self.emulator_host.unwrap_or("http://127.0.0.1").trim_end_matches('/');
        let endpoint = Url::parse(&format!("{host}:10000/{EMULATOR_ACCOUNT}"))
            .map_err(|why| format!("DevelopmentStorageProxyUri is no address: {why}"))?;
        let secret = Secret::Key(SecretString::from(EMULATOR_KEY));
        Ok(ConnectionString { account: Some(EMULATOR_ACCOUNT.to_owned()), endpoint, secret })
    }

    /// `what`, and the names that nobody knows: one of them may be the missing one, misspelled.
    fn missing(&self, what: &str) -> String {
        if self.unknown.is_empty() {
            what.to_owned()
        } else {
            format!("{what}; not known: {}", self.unknown.join(", "))
        }
    }
}

fn checked_key(key: &str) -> Result<SecretString, String> {
    let secret = SecretString::from(key);
    if is_key(secret.expose_secret()) {
        return Ok(secret);
    }
    Err("AccountKey is not base64; copy the whole key, with the = at its end".to_owned())
}

fn is_for_another_service(name: &str) -> bool {
    name.starts_with("queue")
        || name.starts_with("table")
        || name.starts_with("file")
        || name.ends_with("secondaryendpoint")
}

/// Pieces of a key end up before a `=` too when a string was cut wrongly; they are not repeated.
fn is_like_a_name(name: &str) -> bool {
    (3..=40).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "Y2FuYXJ5LWtleQ==";

    fn parsed(text: &str) -> (Option<String>, String, bool) {
        let read = ConnectionString::parse(text).unwrap();
        assert!(!format!("{read:?}").contains(KEY), "a key is printed");
        (read.account, read.endpoint.to_string(), matches!(read.secret, Secret::Key(_)))
    }

    #[test]
    fn every_form_that_is_given_out_is_read() {
        let account = |name: &str| Some(name.to_owned());
        assert_eq!(
            parsed(&format!(
                "DefaultEndpointsProtocol=https;AccountName=demo;AccountKey={KEY};EndpointSuffix=core.chinacloudapi.cn"
            )),
            (account("demo"), "https://demo.blob.core.chinacloudapi.cn/".to_owned(), true)
        );
        assert_eq!(
            parsed(&format!(" accountname = demo ; ACCOUNTKEY={KEY};; QueueEndpoint=x;")),
            (account("demo"), "https://demo.blob.core.windows.net/".to_owned(), true)
        );
        assert_eq!(
            parsed(&format!(
                "DefaultEndpointsProtocol=http;AccountName=d;AccountKey={KEY};BlobEndpoint=http://127.0.0.1:10000/d;"
            )),
            (account("d"), "http://127.0.0.1:10000/d".to_owned(), true)
        );
        assert_eq!(
            parsed("BlobEndpoint=https://demo.example/;SharedAccessSignature=sv=1&sig=a%3D"),
            (None, "https://demo.example/".to_owned(), false)
        );
        assert_eq!(
            parsed("UseDevelopmentStorage=true"),
            (account("devstoreaccount1"), "http://127.0.0.1:10000/devstoreaccount1".to_owned(), true)
        );
        let moved = parsed("UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://azurite/");
        assert_eq!(moved.1, "http://azurite:10000/devstoreaccount1");
    }

    #[test]
    fn what_is_wrong_is_named_and_no_value_repeated() {
        let bad = [
            "",
            "canary",
            "AccountName=demo",
            "AcountKey=canary;AccountName=demo",
            "AccountName=demo;AccountKey=canary!",
            "AccountName=demo;AccountKey=",
            "AccountName=demo;AccountName=demo",
            &format!("AccountKey={KEY};BlobEndpoint=https://x.example"),
            &format!("AccountKey={KEY}"),
            "BlobEndpoint=canary;AccountKey=YQ==;AccountName=demo",
            "DefaultEndpointsProtocol=canary;AccountName=demo;AccountKey=YQ==",
            "UseDevelopmentStorage=canary",
            "AccountName=de mo;AccountKey=YQ==",
        ];
        let said: Vec<String> = bad.iter().map(|text| ConnectionString::parse(text).unwrap_err()).collect();
        assert!(!said.concat().contains("canary") && !said.concat().contains(KEY));
        insta::assert_snapshot!(said.join("\n"), @r#"
        neither BlobEndpoint nor AccountName is there
        part 1 is not NAME=VALUE; copy the whole string anew, and quote it in .env
        neither AccountKey nor SharedAccessSignature is there
        neither AccountKey nor SharedAccessSignature is there; not known: AcountKey
        AccountKey is not base64; copy the whole key, with the = at its end
        AccountKey (part 2) has no value
        AccountName (part 2) is there twice
        AccountName is missing
        neither BlobEndpoint nor AccountName is there
        BlobEndpoint is no address: relative URL without a base
        DefaultEndpointsProtocol is neither https nor http
        UseDevelopmentStorage is not true; leave it out or write true
        AccountName and EndpointSuffix make no address: invalid international domain name
        "#);
    }
}
