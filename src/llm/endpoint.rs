//! An endpoint of a model: where calls go and how to sign in there, with everything in it that the configuration and the
//! variables say. What is made of one looks nothing up any more.

mod additions;
mod cache;
mod entra;

use std::sync::Arc;

use reqwest::header::HeaderMap;
use url::Url;

pub(super) use self::additions::Additions;
pub(super) use self::cache::CacheHints;
pub(super) use self::entra::Entra;
use super::AttemptError;
use super::batch::JobAddress;
use crate::net::http::{Credential, Http, origin};

/// One address that takes calls.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The client, with its time-outs and the proxy on the way.
    pub(super) http: Http,
    /// The address itself.
    pub(super) url: Url,
    pub(super) sign_in: EndpointSignIn,
    /// Headers of every request, beside the credential.
    pub(super) headers: HeaderMap,
    /// What the configuration adds to every request.
    pub(super) additions: Additions,
    /// What requests say about the prefix cache.
    pub(super) cache: CacheHints,
    /// What `model` says in a request; it need not be the logical name.
    pub(super) model: String,
    pub(super) advice: Advice,
    /// Where calls go in jobs, if they do.
    pub(super) jobs: Option<JobAddress>,
}

/// How to sign in.
#[derive(Debug)]
pub(super) enum EndpointSignIn {
    /// The server wants no credential.
    Nobody,
    /// By a key or a token that is there.
    Fixed(Arc<Credential>),
    /// By tokens of Entra ID.
    Entra(Entra),
}

/// Names of settings and variables, for messages that say what to change.
#[derive(Debug)]
pub(super) struct Advice {
    /// The setting that holds the address.
    pub(super) address: &'static str,
    /// The setting that names the model.
    pub(super) model: &'static str,
    /// How to change the credential.
    pub(super) credential: String,
}

impl Endpoint {
    /// Scheme, host and port.
    pub(super) fn origin(&self) -> String {
        origin(&self.url)
    }

    /// The credential, fetched or renewed where it is a token.
    pub(super) async fn credential(&self) -> Result<Option<Arc<Credential>>, AttemptError> {
        match &self.sign_in {
            EndpointSignIn::Nobody => Ok(None),
            EndpointSignIn::Fixed(credential) => Ok(Some(Arc::clone(credential))),
            EndpointSignIn::Entra(entra) => entra.credential().await.map(Some),
        }
    }

    /// The headers of a request, and the credential among them.
    pub(super) async fn signed(&self) -> Result<(HeaderMap, Option<Arc<Credential>>), AttemptError> {
        let credential = self.credential().await?;
        let mut headers = self.headers.clone();
        if let Some(credential) = &credential {
            credential.apply(&mut headers);
        }
        self.additions.apply(&mut headers);
        Ok((headers, credential))
    }
}
