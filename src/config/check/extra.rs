//! What may be added to requests: not what has a setting of its own, and no secret that stands in a file.

use reqwest::header::{HeaderName, HeaderValue};
use serde_json::Value;

use super::{Findings, is_variable_name};
use crate::config::{Model, Provider, RequestHeader};

/// Fields of a request that are set otherwise, or that its reply could not be read with.
const TAKEN: [&str; 12] = [
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "model",
    "n",
    "reasoning_effort",
    "response_format",
    "stop",
    "stream",
    "temperature",
    "tools",
    "top_p",
];

/// Fields that the embedded model understands as well.
const PENALTIES: [&str; 2] = ["frequency_penalty", "presence_penalty"];

/// Headers that the request's own making decides.
const OWN_HEADERS: [&str; 6] =
    ["connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent"];

/// Parts of the names of headers whose values are secrets.
const SECRET: [&str; 6] = ["auth", "key", "token", "secret", "cookie", "password"];

/// Checks the settings of `model`, which is configured under `key`.
pub(super) fn check(findings: &mut Findings<'_>, model: &Model, key: &str) {
    let at = |field: &str| format!("{key}.{field}");
    let Model { reasoning_effort, extra_body, headers, provider, .. } = model;
    let set = [("reasoning_effort", reasoning_effort.is_some()), ("headers", !headers.is_empty())];
    for (field, is_set) in set {
        findings.require(!is_set || *provider != Provider::Embedded, &at(field), || {
            "belongs to an endpoint, but the provider is embedded".to_owned()
        });
    }
    if *provider == Provider::Embedded {
        for (field, value) in extra_body {
            findings.require(is_penalty(field, value), &at("extra_body"), || {
                format!("{field}: the embedded model takes {} from -2 to 2 and no other field", PENALTIES.join(" and "))
            });
        }
    }
    let is_word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    findings.require(reasoning_effort.as_deref().is_none_or(is_word), &at("reasoning_effort"), || {
        "expected a word such as none, minimal, low, medium or high".to_owned()
    });
    for field in extra_body.keys() {
        findings.require(!TAKEN.contains(&field.as_str()), &at("extra_body"), || {
            format!("{field} is set by convogen; it has a setting of its own, or no other value can be read")
        });
    }
    for (name, header) in headers {
        if let Err(message) = fit(name, header) {
            findings.require(false, &at("headers"), || format!("{name}: {message}"));
        }
    }
}

/// Whether the embedded model knows a field, with a value in the range that endpoints take.
fn is_penalty(field: &str, value: &Value) -> bool {
    PENALTIES.contains(&field) && value.as_f64().is_some_and(|value| (-2.0..=2.0).contains(&value))
}

/// Whether a header can be sent as it is configured.
fn fit(name: &str, header: &RequestHeader) -> Result<(), &'static str> {
    let lower = name.to_lowercase();
    if HeaderName::from_bytes(name.as_bytes()).is_err() || OWN_HEADERS.contains(&lower.as_str()) {
        return Err("no header of this name can be added");
    }
    match (&header.value, &header.env) {
        (Some(_), None) if SECRET.iter().any(|part| lower.contains(part)) => {
            Err("it may be a secret, which must not stand in a file; name a variable: {env: NAME}")
        }
        (Some(value), None) if HeaderValue::from_str(value).is_err() => Err("the value holds what no header can carry"),
        (None, Some(variable)) if !is_variable_name(variable) => {
            Err("env is the name of an environment variable, such as GATEWAY_KEY, never the value")
        }
        (None, Some(_)) if header.shapes_reply => {
            Err("what shapes replies is part of their keys, so it needs {value: TEXT}")
        }
        (Some(_), None) | (None, Some(_)) => Ok(()),
        _ => Err("it needs one of {value: TEXT} and {env: NAME}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_embedded_model_takes_two_penalties_in_the_range_of_endpoints_and_nothing_else() {
        assert!(is_penalty("presence_penalty", &json!(-2)) && is_penalty("frequency_penalty", &json!(0.1)));
        for (field, value) in
            [("presence_penalty", json!(2.1)), ("frequency_penalty", json!("0.1")), ("top_k", json!(1))]
        {
            assert!(!is_penalty(field, &value), "{field}: {value}");
        }
    }

    #[test]
    fn a_header_is_a_plain_value_or_the_name_of_a_variable() {
        let value = |text: &str| RequestHeader { value: Some(text.to_owned()), ..RequestHeader::default() };
        let env = |text: &str| RequestHeader { env: Some(text.to_owned()), ..RequestHeader::default() };
        assert_eq!(fit("X-Team", &value("data")), Ok(()));
        assert_eq!(fit("X-Api-Key", &env("GATEWAY_KEY")), Ok(()));
        assert_eq!(fit("Authorization", &env("GATEWAY_AUTH")), Ok(()));
        assert_eq!(fit("X-Version", &RequestHeader { shapes_reply: true, ..value("2") }), Ok(()));
        for (name, header) in [
            ("X-Team", RequestHeader::default()),
            ("X-Team", RequestHeader { env: Some("A".to_owned()), ..value("b") }),
            ("X Team", value("data")),
            ("Host", value("elsewhere")),
            ("X-Team", value("a\nb")),
            ("X-Api-Key", value("sk-1")),
            ("Authorization", value("Basic x")),
            ("X-Api-Key", env("sk-1")),
            ("X-Team", RequestHeader { shapes_reply: true, ..env("TEAM") }),
        ] {
            assert!(fit(name, &header).is_err(), "{name}: {header:?}");
        }
    }
}
