//! The proxy that the environment names: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or not.
//!
//! Never for this machine or for link-local addresses, where a cloud's own services answer. What `NO_PROXY` lists is reached
//! directly: names with all names below them, addresses, networks as `10.0.0.0/8`, or `*`. Credentials stand in the variable
//! alone: messages show scheme, host and port.

use std::net::IpAddr;

use reqwest::ClientBuilder;
use url::{Host, Url};

use super::filled;
use super::http::{SetupError, origin};
use crate::loopback::is_this_machine;

/// The variables for each scheme, in order. Those in small letters are the older ones.
const FOR_HTTPS: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const FOR_HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"];
const EXCEPT: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// What the environment says of proxies.
#[derive(Clone, Default)]
pub(crate) struct Proxies {
    https: Option<ProxyServer>,
    http: Option<ProxyServer>,
    /// Hosts that are reached directly, as listed.
    except: Vec<String>,
}

/// One proxy. Its credentials are never shown.
#[derive(Clone)]
struct ProxyServer {
    /// Without credentials.
    url: Url,
    login: Option<(String, String)>,
    variable: &'static str,
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |server: &Option<ProxyServer>| server.as_ref().map(|server| origin(&server.url));
        f.debug_struct("Proxies")
            .field("https", &shown(&self.https))
            .field("http", &shown(&self.http))
            .finish_non_exhaustive()
    }
}

impl Proxies {
    /// What the variables say.
    pub(crate) fn from_environment(var: &dyn Fn(&str) -> Option<String>) -> Result<Self, SetupError> {
        let server = |names: [&'static str; 4]| {
            let named = names.into_iter().find_map(|name| filled(var, name).map(|value| (name, value)));
            named.map(|(name, value)| ProxyServer::parse(name, &value)).transpose()
        };
        let except = EXCEPT.into_iter().find_map(|name| filled(var, name)).unwrap_or_default();
        let except = except.split([',', ' ']).map(|host| host.trim().to_ascii_lowercase());
        Ok(Self {
            https: server(FOR_HTTPS)?,
            http: server(FOR_HTTP)?,
            except: except.filter(|host| !host.is_empty()).collect(),
        })
    }

    /// The proxy on the way to `url`, for messages: where it is and what names it.
    pub(crate) fn on_the_way_to(&self, url: &Url) -> Option<String> {
        self.server(url).map(|server| format!("{} ({})", origin(&server.url), server.variable))
    }

    /// A client for `url` alone goes through its proxy, if there is one.
    pub(crate) fn apply(&self, builder: ClientBuilder, url: &Url) -> Result<ClientBuilder, SetupError> {
        match self.server(url) {
            Some(server) => server.apply(builder, reqwest::Proxy::all(server.url.clone())),
            None => Ok(builder),
        }
    }

    /// A client for any address.
    pub(crate) fn apply_to_all(&self, builder: ClientBuilder) -> Result<ClientBuilder, SetupError> {
        let mut builder = builder;
        for (scheme, server) in [("https", &self.https), ("http", &self.http)] {
            let Some(server) = server else { continue };
            let (proxies, target) = (self.clone(), server.url.clone());
            let chosen =
                move |url: &Url| (url.scheme() == scheme && proxies.server(url).is_some()).then(|| target.clone());
            builder = server.apply(builder, Ok(reqwest::Proxy::custom(chosen)))?;
        }
        Ok(builder)
    }

    fn server(&self, url: &Url) -> Option<&ProxyServer> {
        let server = if url.scheme() == "https" { &self.https } else { &self.http };
        server.as_ref().filter(|_| !is_near(url) && !self.except.iter().any(|host| is_listed(host, url)))
    }
}

impl ProxyServer {
    fn parse(variable: &'static str, value: &str) -> Result<Self, SetupError> {
        let text = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        // The value is not repeated: it may hold a password.
        let wrong = |reason: &str| SetupError::setting(variable, reason);
        let mut url =
            Url::parse(&text).map_err(|_| wrong("is no address of a proxy, such as http://proxy.example:3128"))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong("names no http:// or https:// proxy; `proxy: none` in the configuration does without"));
        }
        let decoded = |text: &str| {
            let form = format!("p={}", text.replace('+', "%2B"));
            url::form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let login = (!url.username().is_empty())
            .then(|| (decoded(url.username()), decoded(url.password().unwrap_or_default())));
        // Neither fails where there is a host.
        let _ = (url.set_username(""), url.set_password(None));
        Ok(Self { url, login, variable })
    }

    fn apply(
        &self,
        builder: ClientBuilder,
        proxy: reqwest::Result<reqwest::Proxy>,
    ) -> Result<ClientBuilder, SetupError> {
        let proxy = proxy.map_err(|_| SetupError::setting(self.variable, "names a proxy that cannot be used"))?;
        Ok(builder.proxy(match &self.login {
            Some((user, password)) => proxy.basic_auth(user, password),
            None => proxy,
        }))
    }
}

/// Whether `url` is on this machine, or where a cloud answers its own machines.
fn is_near(url: &Url) -> bool {
    let link_local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => address.is_unicast_link_local(),
        _ => false,
    };
    link_local || is_this_machine(url)
}

/// Whether an entry of `NO_PROXY` stands for the host of `url`.
fn is_listed(entry: &str, url: &Url) -> bool {
    if entry == "*" {
        return true;
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::from(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::from(address)),
        _ => None,
    };
    if let Some(address) = address {
        let alone = || entry.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|listed| listed == address);
        return alone() || in_network(entry, address) || without_port(entry).parse::<IpAddr>() == Ok(address);
    }
    let name = without_port(entry).trim_start_matches('*').trim_start_matches('.');
    let host = url.host_str().unwrap_or_default();
    host == name || host.strip_suffix(name).is_some_and(|before| before.ends_with('.'))
}

fn without_port(entry: &str) -> &str {
    match entry.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => entry,
    }
}

/// Whether `address` lies in a network such as `10.0.0.0/8`.
fn in_network(entry: &str, address: IpAddr) -> bool {
    let Some((network, bits)) = entry.split_once('/') else { return false };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let (one, other, width) = match (network, address) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (u128::from(one.to_bits()), u128::from(other.to_bits()), 32),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits(), other.to_bits(), 128),
        _ => return false,
    };
    let shift = if bits <= width { width - bits } else { return false };
    one.checked_shr(shift).unwrap_or(0) == other.checked_shr(shift).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(pairs: &'static [(&'static str, &'static str)]) -> Result<Proxies, SetupError> {
        Proxies::from_environment(&|name| pairs.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    fn way(proxies: &Proxies, url: &str) -> Option<String> {
        proxies.on_the_way_to(&Url::parse(url).unwrap())
    }

    #[test]
    fn each_scheme_has_its_proxy_and_this_machine_has_none() {
        let both = proxies(&[("HTTPS_PROXY", "http://p.example:3128"), ("http_proxy", "q.example:80")]).unwrap();
        assert_eq!(way(&both, "https://api.example/v1").as_deref(), Some("http://p.example:3128 (HTTPS_PROXY)"));
        assert_eq!(way(&both, "http://api.example/v1").as_deref(), Some("http://q.example (http_proxy)"));
        for near in ["https://127.0.0.1/", "http://localhost:8000/", "http://[::1]/", "http://169.254.169.254/"] {
            assert_eq!(way(&both, near), None, "{near}");
        }
        let all = proxies(&[("ALL_PROXY", "https://p.example")]).unwrap();
        assert!(way(&all, "http://api.example/").is_some() && way(&all, "https://api.example/").is_some());
        assert!(way(&proxies(&[]).unwrap(), "https://api.example/").is_none());
    }

    #[test]
    fn what_no_proxy_lists_is_reached_directly() {
        let some = proxies(&[
            ("ALL_PROXY", "http://p.example"),
            (
                "NO_PROXY",
                "Internal.example, .corp.example *.lab.example host.example:8080,10.0.0.0/8,192.0.2.7,fd00::/8",
            ),
        ])
        .unwrap();
        for direct in [
            "http://internal.example/",
            "http://a.internal.example/",
            "http://a.corp.example/",
            "http://corp.example/",
            "http://x.lab.example/",
            "http://host.example:8080/",
            "http://10.9.8.7/",
            "http://192.0.2.7/",
            "http://[fd00::1]/",
        ] {
            assert_eq!(way(&some, direct), None, "{direct}");
        }
        for other in ["http://notinternal.example/", "http://11.0.0.1/", "http://192.0.2.8/", "http://[fe00::1]/"] {
            assert!(way(&some, other).is_some(), "{other}");
        }
        let none = proxies(&[("HTTPS_PROXY", "http://p.example"), ("no_proxy", "*")]).unwrap();
        assert_eq!(way(&none, "https://api.example/"), None);
    }

    #[test]
    fn credentials_of_a_proxy_are_used_and_never_shown() {
        let some = proxies(&[("HTTPS_PROXY", "http://user:p%40ss-canary@p.example:3128")]).unwrap();
        assert_eq!(some.https.as_ref().unwrap().login, Some(("user".to_owned(), "p@ss-canary".to_owned())));
        let url = Url::parse("https://api.example/").unwrap();
        let shown = format!("{some:?} {:?} {}", some.on_the_way_to(&url), some.https.as_ref().unwrap().url);
        assert!(!shown.contains("canary") && !shown.contains("user"), "{shown}");
        for wrong in ["socks5://canary@p.example", "http://", "not an address canary"] {
            let wrong: &'static str = wrong;
            let pairs: &'static [(&str, &str)] = Box::leak(Box::new([("HTTPS_PROXY", wrong)]));
            let error = proxies(pairs).unwrap_err();
            assert!(error.to_string().contains("HTTPS_PROXY") && !format!("{error:?}").contains("canary"), "{error}");
        }
    }
}
