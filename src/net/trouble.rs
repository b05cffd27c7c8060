//! Why no connection came about, or no answer that can be read, in the words of whoever wrote the address.

use std::error::Error;
use std::io;

use url::Url;

/// What keeps an endpoint from being reached, where it can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ConnectionTrouble {
    /// Its certificate is not trusted, and why.
    Certificate(String),
    /// The address says https, and what listens there does not.
    NotHttps,
    /// What listens there answers, but not in http.
    NotHttp,
    /// No machine has the name.
    NoSuchName,
    /// Nothing listens there.
    NothingListens,
}

impl ConnectionTrouble {
    /// The trouble that `error` of an HTTP client has, if it is one of these.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let (mut causes, mut next) = (Vec::new(), Some(error));
        while let Some(cause) = next {
            causes.push(cause);
            next = cause.source();
        }
        let io: Vec<&io::Error> = causes.iter().filter_map(|e| e.downcast_ref()).collect();
        let tls = io.iter().find_map(|e| match of_tls(e)? {
            rustls::Error::InvalidCertificate(why) => Some(Self::Certificate(why.to_string())),
            rustls::Error::InvalidMessage(_) => Some(Self::NotHttps),
            _ => None,
        });
        // The two below have no type that can be named: the first is the resolver's, the second hyper's.
        let says = |words: &str| causes.iter().any(|e| e.to_string().contains(words));
        let refused = || io.iter().any(|e| e.kind() == io::ErrorKind::ConnectionRefused);
        let others = [
            (says("dns error"), Self::NoSuchName),
            (says("invalid HTTP version parsed"), Self::NotHttp),
            (refused(), Self::NothingListens),
        ];
        tls.or_else(|| others.into_iter().find_map(|(is, trouble)| is.then_some(trouble)))
    }

    /// Whether it will be the same at the next attempt.
    pub(crate) fn lasts(&self) -> bool {
        matches!(self, Self::Certificate(_) | Self::NotHttps)
    }

    /// What it is and what to do, about the endpoint at `url`, if that is known.
    pub(crate) fn told(&self, url: Option<&Url>) -> String {
        let at = url.map_or_else(|| "the endpoint".to_owned(), |url| url.origin().ascii_serialization());
        let host = url.and_then(Url::host_str).unwrap_or("that is in the address");
        match self {
            Self::Certificate(why) => format!(
                "the certificate of {at} is not trusted ({why}); if a company or a server of your own issued it, set the \
                 variable SSL_CERT_FILE to a PEM file with the certificate of that authority; it stands in place of the \
                 system's"
            ),
            Self::NotHttps => format!(
                "{at} does not speak https: what listens there answers in plain http; write http:// in place of https:// in \
                 the address"
            ),
            Self::NotHttp => format!(
                "what listens at {at} does not answer in http; if it speaks https, write https:// in place of http:// in the \
                 address"
            ),
            Self::NoSuchName => format!(
                "no machine with the name {host} was found; look for a typing error in the address, and check the network \
                 (DNS)"
            ),
            Self::NothingListens => {
                format!("nothing listens at {at}; start the server, or correct host and port in the address")
            }
        }
    }
}

/// The error of the TLS library that an I/O error holds: HTTP clients wrap it more than once.
fn of_tls(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| of_tls(inner.downcast_ref()?))
}
