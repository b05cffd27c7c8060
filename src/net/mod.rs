//! What calls to models and to storage share: one HTTPS client, what is worth another attempt, and signing in.

pub(crate) mod attempt;
pub(crate) mod entra;
pub(crate) mod http;
pub(crate) mod proxy;
pub(crate) mod rate_headers;
pub(crate) mod retry;
pub(crate) mod trouble;

/// A variable that is set to something.
pub(crate) fn filled(var: &dyn Fn(&str) -> Option<String>, name: &str) -> Option<String> {
    var(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty())
}
