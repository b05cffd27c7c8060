//! Shared access signatures, made as the service's documentation says ("Create a service SAS", "Create an account SAS").
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(clippy::expect_used, reason = "a test that cannot sign has nothing to test")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

const VERSION: &str = "2022-11-02";
const FAR: &str = "2099-01-01T00:00:00Z";

/// A signature for one container.
#[derive(Debug, Clone)]
pub(crate) struct ContainerSas<'a> {
    pub(crate) account: &'a str,
    pub(crate) key: &'a str,
    pub(crate) container: &'a str,
    /// Letters in the service's order, of `racwdxltmeop`.
    pub(crate) permissions: &'a str,
    /// When it ends; none for the far future.
    pub(crate) expiry: Option<&'a str>,
}

impl ContainerSas<'_> {
    /// The token, without a leading question mark.
    pub(crate) fn token(&self) -> String {
        let Self { account, key, container, permissions, expiry } = self;
        let expiry = expiry.unwrap_or(FAR);
        let resource = format!("/blob/{account}/{container}");
        // Start, identifier, address, protocol, snapshot, scope and the five response headers are left out.
        let text = format!("{permissions}\n\n{expiry}\n{resource}\n\n\n\n{VERSION}\nc\n\n\n\n\n\n\n");
        let query = [("sp", *permissions), ("se", expiry), ("sv", VERSION), ("sr", "c"), ("sig", &sign(key, &text))];
        encode(&query)
    }
}

/// A signature that may do anything with the blobs of an account.
pub(crate) fn account_sas(account: &str, key: &str) -> String {
    let text = format!("{account}\nrwdlacx\nb\nsco\n\n{FAR}\n\n\n{VERSION}\n\n");
    let signature = sign(key, &text);
    encode(&[("sp", "rwdlacx"), ("ss", "b"), ("srt", "sco"), ("se", FAR), ("sv", VERSION), ("sig", &signature)])
}

fn sign(key: &str, text: &str) -> String {
    let key = STANDARD.decode(key).expect("a key in base64");
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("a key of any length");
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn encode(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}
