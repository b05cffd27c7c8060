//! The signature of a request with the account's key ("Shared Key"), which the official client does not have.
//!
//! As written down in *Authorize with Shared Key* of the Azure Storage REST reference: the verb, eleven standard headers,
//! the `x-ms-` headers by name, and the path and query, a line each, signed with HMAC-SHA-256.

use std::collections::BTreeMap;
use std::fmt;

use azure_core::http::Request;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

/// The standard headers that are signed, in order. `content-length` is put in by hand, `date` stays empty.
const HEADERS: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// Signs requests to one account.
#[derive(Clone)]
pub(super) struct SharedKey {
    account: String,
    keyed: Hmac<Sha256>,
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedKey({})", self.account)
    }
}

/// Whether a text is a key: base64 of something.
pub(super) fn is_key(text: &str) -> bool {
    STANDARD.decode(text).is_ok_and(|key| !key.is_empty())
}

impl SharedKey {
    /// The signer for `account`; nothing if the key is not base64.
    pub(super) fn new(account: &str, key: &SecretString) -> Option<Self> {
        let key = STANDARD.decode(key.expose_secret()).ok().filter(|key| !key.is_empty())?;
        let keyed = Hmac::new_from_slice(&key).ok()?;
        Some(Self { account: account.to_owned(), keyed })
    }

    /// Puts date and signature into a request that is otherwise complete. `date` is an HTTP date.
    pub(super) fn sign(&self, request: &mut Request, date: String) {
        request.insert_header("x-ms-date", date);
        let mut keyed = self.keyed.clone();
        keyed.update(self.string_to_sign(request).as_bytes());
        let signature = STANDARD.encode(keyed.finalize().into_bytes());
        request.insert_header("authorization", format!("SharedKey {}:{signature}", self.account));
    }

    fn string_to_sign(&self, request: &Request) -> String {
        let headers: BTreeMap<&str, &str> =
            request.headers().iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut text = format!("{}\n", request.method().as_ref());
        for name in HEADERS {
            match (name, request.body().len()) {
                // The client adds this header after the signing, and a body of no bytes counts as none.
                ("content-length", Some(length)) if length > 0 => text.push_str(&length.to_string()),
                ("content-length", _) => {}
                _ => text.push_str(headers.get(name).unwrap_or(&"")),
            }
            text.push('\n');
        }
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with("x-ms-")) {
            text.push_str(&format!("{name}:{}\n", value.trim()));
        }
        text.push_str(&self.resource(request));
        text
    }

    /// The path as it is sent, after the account (path-style addresses have it twice), and the decoded query.
    fn resource(&self, request: &Request) -> String {
        let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in request.url().query_pairs() {
            query.entry(name.to_lowercase()).or_default().push(value.into_owned());
        }
        let mut text = format!("/{}{}", self.account, request.url().path());
        for (name, mut values) in query {
            values.sort();
            text.push_str(&format!("\n{name}:{}", values.join(",")));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use azure_core::http::Method;
    use azure_core::http::headers::HeaderName;
    use url::Url;

    use super::*;

    fn signer() -> SharedKey {
        SharedKey::new("devstoreaccount1", &SecretString::from("a2V5IG9mIHRoZSB2ZWN0b3I=")).unwrap()
    }

    fn signature(request: &mut Request) -> String {
        signer().sign(request, "Sun, 22 Nov 2026 20:00:00 GMT".to_owned());
        request.headers().get_optional_str(&HeaderName::from_static("authorization")).unwrap().to_owned()
    }

    /// The expected signatures come from Python's `hmac` over strings put together by hand after the documentation.
    #[test]
    fn signatures_are_those_of_an_independent_implementation() {
        let url = "http://127.0.0.1:10000/devstoreaccount1/demo/a%2Fb.jsonl?comp=block&blockid=Y2d2MQ%3D%3D";
        let mut put = Request::new(Url::parse(url).unwrap(), Method::Put);
        put.insert_header("content-type", "application/octet-stream");
        put.insert_header("if-none-match", "*");
        put.insert_header("x-ms-version", "2026-04-06");
        put.insert_header("x-ms-content-crc64", "AAAAAAAAAAA=");
        put.set_body(vec![7; 1234]);
        assert_eq!(signature(&mut put), "SharedKey devstoreaccount1:mguzY7UdW/jywAOHi91hhh6gXNAYB1lN4PR2ovcQ7SY=");
        let url =
            "http://127.0.0.1:10000/devstoreaccount1/demo?restype=container&comp=list&prefix=a%20b%2F&include=metadata";
        let mut get = Request::new(Url::parse(url).unwrap(), Method::Get);
        get.insert_header("x-ms-version", "2026-04-06");
        assert_eq!(signature(&mut get), "SharedKey devstoreaccount1:Uu+EEI3SnVfaPwnpuiqgNBdmcLeZsZAYhTECUKIruFc=");
    }

    #[test]
    fn the_key_is_not_printed_and_nonsense_is_no_key() {
        assert_eq!(format!("{:?}", signer()), "SharedKey(devstoreaccount1)");
        assert!(SharedKey::new("a", &SecretString::from("no base64!")).is_none());
        assert!(is_key("YQ==") && !is_key("") && !is_key("YQ"));
    }
}
