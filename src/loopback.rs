//! What is this machine, decided in one place: a key may go there in plain text, and `--offline` allows it.

use std::net::IpAddr;

use url::{Host, Url};

/// Whether an address is of this machine, one of IPv4 written as IPv6 included.
pub(crate) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a URL names this machine, as far as can be told without asking anyone: by an address, or by the names that RFC 6761
/// sets aside.
pub(crate) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => is_loopback(address.into()),
        Some(Host::Ipv6(address)) => is_loopback(address.into()),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_of_this_machine_are_known_however_they_are_written() {
        let of = |host: &str| is_this_machine(&Url::parse(&format!("http://{host}:8000/v1")).unwrap());
        for host in [
            "localhost",
            "LOCALHOST",
            "model.localhost",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "2130706433",
        ] {
            assert!(of(host), "{host}");
        }
        for host in
            ["localhost.example.org", "notlocalhost", "10.0.0.1", "0.0.0.0", "[::]", "[::ffff:10.0.0.1]", "128.0.0.1"]
        {
            assert!(!of(host), "{host}");
        }
    }
}
