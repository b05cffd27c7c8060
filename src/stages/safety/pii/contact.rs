//! E-mail addresses, also as people spell them out: `jo at mail dot com`.

use std::sync::LazyLock;

use regex::Regex;

use super::{Span, pattern};

static PLAIN: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"[\p{L}\p{N}][\p{L}\p{N}._%+-]*@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)*\.\p{L}{2,24}"));

static SPELT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?i)\b[a-z0-9][a-z0-9._%+-]*(?: ?\(at\) ?| ?\[at\] ?| at )[a-z0-9][a-z0-9-]*(?: ?\(dot\) ?| ?\[dot\] ?| dot )(?:com|org|net|edu|gov|info|io|co|de|fr|es|it|uk|nl|me)\b",
    )
});

/// Names that RFC 2606 and RFC 6762 set aside, and the one for which samples are written.
const RESERVED_TOP: [&str; 5] = ["test", "example", "invalid", "localhost", "local"];
const RESERVED: [&str; 4] = ["example.com", "example.org", "example.net", "example.edu"];

/// Every e-mail address in `text`.
pub(super) fn emails(text: &str) -> Vec<Span> {
    let plain = PLAIN.find_iter(text).map(|found| {
        let host = found.as_str().rsplit_once('@').map_or("", |(_, host)| host);
        Span { range: found.range(), reserved: is_reserved_host(host) }
    });
    let spelt = SPELT.find_iter(text).map(|found| {
        let reserved = found.as_str().to_lowercase().contains("example");
        Span { range: found.range(), reserved }
    });
    plain.chain(spelt).collect()
}

/// Whether a host belongs to nobody.
pub(super) fn is_reserved_host(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_lowercase();
    let within = |name: &str| host == name || host.ends_with(&format!(".{name}"));
    RESERVED.into_iter().chain(RESERVED_TOP).any(within)
}
