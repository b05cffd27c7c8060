//! IP addresses that reach someone, and secrets in URLs or by the look of well-known services.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;

use super::contact::is_reserved_host;
use super::{Span, before, goes_on, pattern, stands_alone};

static V4: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}"));
static V6: LazyLock<Regex> = LazyLock::new(|| pattern(r"[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}"));
static SIGNED_IN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)\b[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@([^\s/:?#]+)[^\s]*"));
static TOKEN: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\bhttps?://([^\s/:?#]+)[^\s]*[?&](?:access_token|auth_token|token|api_?key|password|passwd|pwd|secret|sig|signature)=[^\s&#]{6,}[^\s]*",
    )
});
static KEY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"\b(?:sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{36,}|xox[abprs]-[A-Za-z0-9-]{10,}|AIza[0-9A-Za-z_-]{35}|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})",
    )
});

/// What stands before four numbers that are no address.
const VERSION_WORDS: [&str; 17] = [
    "version",
    "versions",
    "v",
    "ver.",
    "release",
    "build",
    "firmware",
    "section",
    "paragraph",
    "clause",
    "article",
    "chapter",
    "item",
    "rule",
    "step",
    "§",
    "abschnitt",
];

/// Every IP address in `text`; reserved are those that reach nobody in particular.
pub(super) fn addresses(text: &str) -> Vec<Span> {
    let v4 = V4.find_iter(text).filter_map(|found| {
        let address: Ipv4Addr = found.as_str().parse().ok()?;
        let stands = stands_alone(text, &found.range(), &[])
            && !goes_on(text, &found.range())
            && !is_version(text, found.start());
        stands.then(|| Span { range: found.range(), reserved: !reaches(address) })
    });
    let v6 = V6.find_iter(text).filter_map(|found| {
        let address: Ipv6Addr = found.as_str().parse().ok()?;
        let global = (0x2000..0x4000).contains(&address.segments()[0]);
        let documentation = address.segments()[..2] == [0x2001, 0x0db8];
        let stands = stands_alone(text, &found.range(), &[':']);
        stands.then(|| Span { range: found.range(), reserved: !global || documentation })
    });
    v4.chain(v6).collect()
}

fn is_version(text: &str, at: usize) -> bool {
    let before = before(text, at, 12);
    let last = before.split_whitespace().next_back().unwrap_or_default();
    VERSION_WORDS.contains(&last.trim_start_matches(['(', '"']))
}

/// Whether an address belongs to someone: no private, local or documentation range, no multicast; and not four numbers
/// below twenty, which are a version, a paragraph or a public resolver far more often than anybody's machine.
fn reaches(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    let shared = a == 100 && (64..128).contains(&b);
    let small = address.octets().iter().all(|octet| *octet < 20);
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || shared
        || small
        || a == 0
        || a >= 224)
}

/// Passwords and tokens in URLs, and keys of well-known services.
pub(super) fn credentials(text: &str) -> Vec<Span> {
    let urls = [&*SIGNED_IN, &*TOKEN].into_iter().flat_map(|form| {
        form.captures_iter(text).filter_map(|found| {
            let (whole, host) = (found.get(0)?, found.get(1)?);
            let shown = whole.as_str().trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '"', '\'', '»', '”']);
            let range = whole.start()..whole.start() + shown.len();
            Some(Span { range, reserved: is_reserved_host(host.as_str().trim_end_matches(['.', ',', ';'])) })
        })
    });
    let keys =
        KEY.find_iter(text).map(|found| Span { range: found.range(), reserved: found.as_str().ends_with("EXAMPLE") });
    urls.chain(keys).collect()
}
