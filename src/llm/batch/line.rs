//! A line of a job's results.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::job::{Answered, not_made};
use super::{AttemptError, BatchError};
use crate::net::http::{HttpReply, quote, unknown};

/// Codes of lines that were not worked on since the job's time was over.
const EXPIRED: &str = "batch_expired";
/// Code of lines that were not worked on since somebody cancelled the job.
const CANCELLED: &str = "batch_cancelled";

#[derive(Deserialize)]
struct ResultLine<'a> {
    custom_id: Option<String>,
    #[serde(borrow)]
    response: Option<LineResponse<'a>>,
    error: Option<LineError>,
}

#[derive(Deserialize)]
struct LineResponse<'a> {
    status_code: Option<u16>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct LineError {
    code: Option<String>,
    message: Option<String>,
}

/// The call that a line is about and what it says of it; or what is wrong with the line.
pub(super) fn read(line: &[u8]) -> Result<(String, Answered), String> {
    let ResultLine { custom_id, response, error } =
        serde_json::from_slice(line).map_err(|error| format!("is no result: {error}"))?;
    let key = custom_id.ok_or_else(|| "has no custom_id".to_owned())?;
    let answered = match (response, error) {
        (Some(LineResponse { status_code, body: Some(body) }), _) => Ok(HttpReply {
            status: status_code.unwrap_or(200),
            headers: reqwest::header::HeaderMap::new(),
            body: body.get().as_bytes().to_vec(),
        }),
        (_, Some(error)) => Err(BatchError::Attempt(meaning(&error))),
        (_, None) => Err(BatchError::Attempt(unknown("a line of a batch job has neither answer nor error".to_owned()))),
    };
    Ok((key, answered))
}

fn meaning(error: &LineError) -> AttemptError {
    let code = error.code.as_deref().unwrap_or("no code");
    let said = format!("a batch job says {code}: {}", quote(error.message.as_deref().unwrap_or("nothing"), None));
    match code {
        EXPIRED => not_made(said),
        CANCELLED => cancelled(),
        _ => unknown(said),
    }
}

/// Somebody cancelled the job: that is no reason to send its calls again at once.
pub(super) fn cancelled() -> AttemptError {
    let message = "the batch job was cancelled; what it had done is kept, and the same command sends the rest again";
    AttemptError::Fatal { message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::attempt::Transient;

    fn kind(line: &str) -> Option<Transient> {
        match read(line.as_bytes()).unwrap().1 {
            Err(BatchError::Attempt(AttemptError::Transient { kind, .. })) => Some(kind),
            _ => None,
        }
    }

    #[test]
    fn an_answer_is_what_it_would_be_online() {
        for (line, status) in [
            (r#"{"custom_id": "k", "response": {"status_code": 200, "body": {"a": 1}}, "error": null}"#, 200),
            (
                r#"{"id": "b", "custom_id": "k", "response": {"status_code": 400, "request_id": "r", "body": {"a": 1}}}"#,
                400,
            ),
            (r#"{"custom_id": "k", "error": {"code": "x"}, "response": {"body": {"a": 1}}}"#, 200),
        ] {
            let (key, answered) = read(line.as_bytes()).unwrap();
            let reply = answered.unwrap();
            assert_eq!((key.as_str(), reply.status, reply.body.as_slice()), ("k", status, br#"{"a": 1}"#.as_slice()));
        }
    }

    #[test]
    fn only_what_was_not_worked_on_is_free() {
        let line = |code: &str| {
            format!(r#"{{"custom_id": "k", "response": null, "error": {{"code": "{code}", "message": "m"}}}}"#)
        };
        assert_eq!(kind(&line("batch_expired")), Some(Transient::NotSent));
        assert_eq!(kind(&line("request_timeout")), Some(Transient::Unknown));
        assert_eq!(kind(r#"{"custom_id": "k"}"#), Some(Transient::Unknown));
        let cancelled = read(line("batch_cancelled").as_bytes()).unwrap().1.unwrap_err();
        assert!(matches!(cancelled, BatchError::Attempt(AttemptError::Fatal { .. })));
    }

    #[test]
    fn what_is_no_result_is_named() {
        for (line, word) in [("{\"custom_id\": \"k\", \"resp", "no result"), ("{}", "custom_id"), ("[]", "no result")] {
            assert!(read(line.as_bytes()).unwrap_err().contains(word), "{line}");
        }
    }
}
