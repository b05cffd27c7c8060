//! What an endpoint's answer means: a reply, or one of the four kinds of [`AttemptError`].
//!
//! Tolerant of what servers differ in (content in parts, unknown fields and finish reasons, reasoning in front of the
//! text), suspicious of everything else: a status of 200 proves nothing. An answer that was served and is torn or empty
//! is a reply when the endpoint finished it, since it is paid for and decides what is asked next; it is worth another
//! attempt when the answer itself broke.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::{Advice, usage};
use crate::llm::{AttemptError, ChatRequest, Finish, Reply, Transient};
use crate::net::http::{Credential, HttpReply, origin, quote, unknown};
use crate::net::retry::retry_after;

/// Error codes of accounts that no waiting heals.
const SPENT_ACCOUNT: [&str; 4] =
    ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "account_deactivated"];

/// Error codes by which endpoints say that a filter stopped the prompt.
const FILTERED: [&str; 4] =
    ["content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation", "content_filter_error"];

/// What was asked, of whom, and how to name the settings involved.
pub(super) struct RequestInfo<'a> {
    pub(super) request: &'a ChatRequest,
    pub(super) url: &'a Url,
    pub(super) model: &'a str,
    pub(super) advice: &'a Advice,
    pub(super) credential: Option<&'a Credential>,
}

/// An attempt without a reply.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    pub(super) error: AttemptError,
    /// The request's field that the endpoint says it does not take.
    pub(super) field: Option<String>,
}

impl From<AttemptError> for FailedAttempt {
    fn from(error: AttemptError) -> Self {
        Self { error, field: None }
    }
}

/// Reads an answer.
pub(super) fn read(answer: &HttpReply, asked: &RequestInfo<'_>) -> Result<Reply, FailedAttempt> {
    match answer.status {
        200..=299 => read_completion(answer, asked),
        status => Err(asked.refused(status, answer, &Complaint::of(&answer.body))),
    }
}

/// Reads the answer of a service that is no chat model: any JSON value.
pub(super) fn read_value(answer: &HttpReply, asked: &RequestInfo<'_>) -> Result<Value, AttemptError> {
    if !(200..=299).contains(&answer.status) {
        return Err(asked.refused(answer.status, answer, &Complaint::of(&answer.body)).error);
    }
    serde_json::from_slice(&answer.body).map_err(|error| asked.broken(&format!("no JSON: {error}")))
}

/// The body of a completion. Every field may be missing: what is needed is checked where it is read, and what is not is
/// never taken apart.
#[derive(Deserialize)]
struct Completion<'a> {
    #[serde(borrow)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    prompt_filter_results: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    message: Option<Said<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content_filter_results: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    refusal: Option<String>,
    tool_calls: Option<Vec<IgnoredAny>>,
    function_call: Option<IgnoredAny>,
}

/// A part of an answer, taken apart.
fn value(raw: &RawValue) -> Option<Value> {
    serde_json::from_str(raw.get()).ok()
}

fn read_completion(answer: &HttpReply, asked: &RequestInfo<'_>) -> Result<Reply, FailedAttempt> {
    let completion: Completion<'_> =
        serde_json::from_slice(&answer.body).map_err(|e| asked.no_completion(answer, &e))?;
    if let Some(error) = completion.error.and_then(value) {
        let complaint = Complaint::from_error(&error);
        return Err(asked.refused(complaint.status.unwrap_or(200), answer, &complaint));
    }
    let choice = completion.choices.unwrap_or_default().into_iter().next();
    let Some(Choice { message: Some(said), finish_reason, content_filter_results }) = choice else {
        return Err(asked.broken("an answer without a choice").into());
    };
    let answered = said.content.map_or("", RawValue::get);
    let usage = usage::read(completion.usage, asked.request, answered);
    let finish = finish_reason.unwrap_or_default().to_ascii_lowercase();
    if finish == "content_filter" {
        let verdicts = [content_filter_results, completion.prompt_filter_results].into_iter().flatten();
        let category = verdicts.filter_map(value).find_map(|verdict| category(&verdict));
        let message = "a content filter stopped the reply".to_owned();
        return Err(AttemptError::Refused { category: category.unwrap_or_else(content_filter), message }.into());
    }
    if let Some(refusal) = said.refusal.as_deref().filter(|r| !r.trim().is_empty()) {
        let message = quote(refusal, asked.credential);
        return Err(AttemptError::Refused { category: "refusal".to_owned(), message }.into());
    }
    let finish = match finish.as_str() {
        "length" | "max_tokens" => Finish::Length,
        // What servers write when they broke off by themselves.
        "error" | "abort" | "insufficient_system_resource" | "network_error" => {
            return Err(asked.broken(&format!("a reply it broke off ({finish})")).into());
        }
        _ => Finish::Stop,
    };
    let text = asked.text(&said, finish)?;
    Ok(Reply { text, finish, usage })
}

impl RequestInfo<'_> {
    /// The text of a choice, without reasoning and without what follows a stop text.
    fn text(&self, said: &Said<'_>, finish: Finish) -> Result<String, FailedAttempt> {
        let text = match said.content.and_then(value) {
            Some(Value::String(text)) => Some(text),
            Some(Value::Array(parts)) => {
                Some(parts.iter().filter_map(|part| part.get("text").and_then(Value::as_str)).collect())
            }
            _ => None,
        };
        match text {
            Some(text) => {
                let kept = self.until_stop(without_reasoning(&text));
                Ok(if kept.len() == text.len() { text } else { kept.to_owned() })
            }
            // All of the tokens went into reasoning.
            None if finish == Finish::Length => Ok(String::new()),
            None if said.function_call.is_some() || said.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty()) => {
                Err(self.broken("a tool call for an answer").into())
            }
            None => Err(self.broken("a choice without content").into()),
        }
    }

    /// Endpoints take four stop texts or none; here all of them hold.
    fn until_stop<'t>(&self, text: &'t str) -> &'t str {
        let stops = self.request.stop.iter().filter(|s| !s.is_empty());
        let end = stops.filter_map(|stop| text.find(stop.as_str())).min().unwrap_or(text.len());
        text.get(..end).unwrap_or(text)
    }

    fn broken(&self, what: &str) -> AttemptError {
        unknown(format!("{} sent {what}", origin(self.url)))
    }

    fn no_completion(&self, answer: &HttpReply, error: &serde_json::Error) -> AttemptError {
        let start = answer.body.iter().find(|b| !b.is_ascii_whitespace());
        match start {
            Some(b'<') => self.broken(&format!("HTML for a completion; is {} right?", self.advice.address)),
            None => self.broken("nothing for a completion"),
            _ => self.broken(&format!("no completion: {error}")),
        }
    }

    /// The meaning of an answer that is an error, by its code first and its status second.
    fn refused(&self, status: u16, answer: &HttpReply, complaint: &Complaint) -> FailedAttempt {
        let said = quote(&complaint.message, self.credential);
        if complaint.is_one_of(&FILTERED) {
            let category = complaint.category.clone().unwrap_or_else(content_filter);
            return AttemptError::Refused { category, message: said }.into();
        }
        let at = origin(self.url);
        if complaint.is_one_of(&SPENT_ACCOUNT) {
            let message =
                format!("the account at {at} is used up: {said}; raise its quota and run the same command again");
            return AttemptError::Fatal { message }.into();
        }
        if matches!(status, 400 | 422) {
            return self.bad_request(status, said, complaint);
        }
        if let Some(message) = self.advice_for(status, &said, answer) {
            return AttemptError::Fatal { message }.into();
        }
        let kind = match status {
            408 | 409 | 425 | 429 | 503 | 529 => Transient::TurnedAway,
            400..=499 => return AttemptError::BadRequest { status, message: said }.into(),
            _ => Transient::Unknown,
        };
        let message = format!("{at} answered {status}: {said}");
        AttemptError::Transient { message, kind, retry_after: retry_after(&answer.headers) }.into()
    }

    /// What every further call would meet as well, and what to change.
    fn advice_for(&self, status: u16, said: &str, answer: &HttpReply) -> Option<String> {
        let (at, Advice { address, model, credential }) = (origin(self.url), self.advice);
        match status {
            300..=399 => {
                let target = answer.headers.get("location").and_then(|l| l.to_str().ok());
                let target = target.and_then(|l| self.url.join(l).ok()).map(|url| origin(&url));
                let target = target.unwrap_or_else(|| "another address".to_owned());
                Some(format!("{at} redirects to {target}, which is not followed; set {address} to where it leads"))
            }
            401 => Some(format!("{at} refused the credential (401): {said}; {credential}")),
            402 => Some(format!("{at} wants to be paid first (402): {said}")),
            403 => Some(format!("{at} denies access (403): {said}; {credential} and what it may use")),
            404 => Some(format!(
                "{at} knows no {} or no model {:?} (404): {said}; check {address} and {model}",
                self.url.path(),
                self.model
            )),
            405 | 410 => {
                Some(format!("{at} takes no completions at {} ({status}): {said}; check {address}", self.url.path()))
            }
            _ => None,
        }
    }

    /// 400: about this request, unless it is about a setting that all requests share.
    fn bad_request(&self, status: u16, said: String, complaint: &Complaint) -> FailedAttempt {
        let field = complaint.unsupported_field();
        if let Some(setting @ ("temperature" | "top_p")) = field {
            let message =
                format!("{} does not take {setting}: {said}; set `{setting}: null` for the model", self.model);
            return AttemptError::Fatal { message }.into();
        }
        let field = field.map(str::to_owned);
        FailedAttempt { error: AttemptError::BadRequest { status, message: said }, field }
    }
}

fn content_filter() -> String {
    "content_filter".to_owned()
}

/// What an error says, in any of the shapes servers use.
#[derive(Debug, Default)]
struct Complaint {
    message: String,
    /// `code`, `type` and the inner code.
    codes: Vec<String>,
    param: Option<String>,
    /// A number in `code`: gateways put the status of the server behind them there.
    status: Option<u16>,
    category: Option<String>,
}

impl Complaint {
    fn of(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(object)) => match object.get("error") {
                Some(error) if !error.is_null() => Self::from_error(error),
                _ => Self::from_error(&Value::Object(object)),
            },
            _ => Self { message: String::from_utf8_lossy(body).into_owned(), ..Self::default() },
        }
    }

    fn from_error(error: &Value) -> Self {
        let inner = error.get("innererror").or_else(|| error.get("inner_error"));
        let text = |key: &str| error.get(key).and_then(Value::as_str);
        let message = text("message").or_else(|| text("detail")).or_else(|| error.as_str());
        let codes = [error.get("code"), error.get("type"), inner.and_then(|i| i.get("code"))];
        let filter = [inner, Some(error)].into_iter().flatten();
        let mut verdicts =
            filter.flat_map(|at| [at.get("content_filter_result"), at.get("content_filter_results")]).flatten();
        Self {
            message: message.map_or_else(|| error.to_string(), str::to_owned),
            codes: codes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            param: text("param").map(str::to_owned),
            status: error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()),
            category: verdicts.find_map(category),
        }
    }

    fn is_one_of(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    /// The field of the request that the endpoint says it does not take.
    fn unsupported_field(&self) -> Option<&str> {
        // vLLM names both fields in one breath when a prompt is too long, so the words matter.
        let message = self.message.to_ascii_lowercase();
        let refused = message.contains("not supported") || message.contains("unsupported");
        if refused && message.contains("'max_tokens'") && message.contains("max_completion_tokens") {
            return Some("max_tokens");
        }
        let named = self.is_one_of(&["unsupported_parameter", "unsupported_value"]);
        self.param.as_deref().filter(|_| named)
    }
}

/// The category that a filter's verdict names, such as `{"violence": {"filtered": true, "severity": "high"}}`, also
/// inside the list that holds one verdict for each prompt. A jailbreak stands before all others, since it speaks of
/// the prompt's making and not of its topic.
fn category(results: &Value) -> Option<String> {
    if let Value::Array(prompts) = results {
        return prompts.iter().filter_map(|p| p.get("content_filter_results")).find_map(category);
    }
    let hit = |verdict: &Value, key: &str| verdict.get(key).and_then(Value::as_bool) == Some(true);
    let verdicts = results.as_object()?;
    if verdicts.get("jailbreak").is_some_and(|v| hit(v, "filtered") || hit(v, "detected")) {
        return Some("jailbreak".to_owned());
    }
    let filtered = verdicts.iter().filter(|(_, verdict)| hit(verdict, "filtered")).map(|(name, _)| name);
    filtered.min().map(|name| quote(name, None).chars().take(64).collect())
}

/// The text after the reasoning that some servers leave in front of it.
fn without_reasoning(text: &str) -> &str {
    match text.trim_start().strip_prefix("<think>") {
        None => text,
        Some(reasoning) => reasoning.split_once("</think>").map_or("", |(_, text)| text.trim_start()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::llm::{Message, ReplyFormat};

    fn request() -> ChatRequest {
        ChatRequest {
            model: "m".into(),
            messages: vec![Message::user("x".repeat(100))].into(),
            temperature: None,
            top_p: None,
            max_tokens: 50,
            stop: vec!["\nBob:".into()],
            seed: 0,
            format: ReplyFormat::Text { prefix: None },
        }
    }

    fn read_bytes(status: u16, body: &[u8], headers: HeaderMap) -> Result<Reply, FailedAttempt> {
        let advice = Advice { address: "base_url", model: "model", credential: "check the key in KEY".into() };
        let url = Url::parse("http://127.0.0.1:1/v1/chat/completions").unwrap();
        let credential = Credential::bearer(SecretString::from("canary-key-1")).unwrap();
        let request = request();
        let asked =
            RequestInfo { request: &request, url: &url, model: "demo", advice: &advice, credential: Some(&credential) };
        read(&HttpReply { status, headers, body: body.to_vec() }, &asked)
    }

    fn ok(body: &Value) -> Result<Reply, AttemptError> {
        read_bytes(200, body.to_string().as_bytes(), HeaderMap::new()).map_err(|u| u.error)
    }

    fn error(status: u16, body: &Value) -> AttemptError {
        read_bytes(status, body.to_string().as_bytes(), HeaderMap::new()).unwrap_err().error
    }

    fn choice(message: &Value, finish: &str) -> Value {
        json!({"choices": [{"message": message, "finish_reason": finish}],
               "usage": {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}})
    }

    fn text(content: &str, finish: &str) -> Reply {
        ok(&choice(&json!({"content": content}), finish)).unwrap()
    }

    fn is_transient(error: &AttemptError, want: Transient) -> bool {
        matches!(error, AttemptError::Transient { kind, .. } if *kind == want)
    }

    #[test]
    fn a_plain_reply() {
        let reply = text(" Hello.", "stop");
        assert_eq!((reply.text.as_str(), reply.finish), (" Hello.", Finish::Stop));
        let usage = reply.usage;
        assert_eq!((usage.prompt_tokens, usage.cached_prompt_tokens, usage.completion_tokens), (9, 3, 4));
        let parts =
            json!({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]});
        assert_eq!(ok(&choice(&parts, "eos_token")).unwrap().text, "ab");
    }

    #[test]
    fn torn_and_empty_replies_are_replies() {
        assert_eq!(text("Hel", "length").finish, Finish::Length);
        assert_eq!(ok(&choice(&json!({"content": null}), "length")).unwrap().text, "");
        assert_eq!(text("", "stop").text, "");
    }

    #[test]
    fn reasoning_and_what_follows_a_stop_text_are_cut() {
        assert_eq!(text("\n<think>Bob is\n angry</think>\n\nFine.", "stop").text, "Fine.");
        assert_eq!(text("<think>and so", "length").text, "");
        assert_eq!(text("I <think> so", "stop").text, "I <think> so");
        assert_eq!(text("Fine.\nBob: no", "stop").text, "Fine.");
    }

    #[test]
    fn a_200_that_is_no_completion_may_pass() {
        let bodies: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"<!DOCTYPE html><html>".to_vec(),
            b"{\"choices\": [{\"message\": {\"cont".to_vec(),
            b"{\"choices\": [{\"message\": {\"content\": \"\xff\xfe\"}}]}".to_vec(),
            format!("{{\"choices\": {}{}}}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(),
            format!("{{\"x\": {}{}, \"choices\": []}}", "[".repeat(10_000), "]".repeat(10_000)).into_bytes(),
            b"{\"choices\": [], \"choices\": []}".to_vec(),
            b"[1, 2]".to_vec(),
            b"null".to_vec(),
            json!({"choices": null}).to_string().into_bytes(),
            json!({"choices": [{"finish_reason": "stop"}]}).to_string().into_bytes(),
            json!({"choices": "none"}).to_string().into_bytes(),
            choice(&json!({"content": null}), "stop").to_string().into_bytes(),
            choice(&json!({"content": null, "tool_calls": [{"id": "1"}]}), "tool_calls").to_string().into_bytes(),
            choice(&json!({"content": "Hal"}), "abort").to_string().into_bytes(),
            json!({"error": {"message": "overloaded"}}).to_string().into_bytes(),
        ];
        for body in bodies {
            let error = read_bytes(200, &body, HeaderMap::new()).unwrap_err().error;
            assert!(is_transient(&error, Transient::Unknown), "{error:?}");
        }
        let busy = ok(&json!({"error": {"message": "slow down", "code": 429}})).unwrap_err();
        assert!(is_transient(&busy, Transient::TurnedAway), "a gateway's status counts");
    }

    #[test]
    fn refusals_carry_their_category() {
        let category = |outcome: Result<Reply, AttemptError>| match outcome {
            Err(AttemptError::Refused { category, .. }) => category,
            other => panic!("{other:?}"),
        };
        let azure = |result: Value| {
            json!({"error": {"message": "filtered", "param": "prompt", "code": "content_filter", "status": 400,
                             "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": result}}})
        };
        let violent = json!({"hate": {"filtered": false, "severity": "safe"}, "violence": {"filtered": true, "severity": "high"}});
        assert_eq!(category(Err(error(400, &azure(violent.clone())))), "violence");
        let jailbreak = json!({"hate": {"filtered": true}, "jailbreak": {"filtered": true, "detected": true}});
        assert_eq!(category(Err(error(400, &azure(jailbreak)))), "jailbreak");
        assert_eq!(category(Err(error(400, &azure(json!({}))))), "content_filter");
        let inner_only = json!({"error": {"message": "no", "innererror": {"code": "ResponsibleAIPolicyViolation"}}});
        assert_eq!(category(Err(error(400, &inner_only))), "content_filter");
        assert_eq!(category(ok(&choice(&json!({"content": null, "refusal": "I can't."}), "stop"))), "refusal");
        let finish = json!({"choices": [{"message": {"content": "He hi"}, "finish_reason": "content_filter",
                                         "content_filter_results": violent}]});
        assert_eq!(category(ok(&finish)), "violence");
        let of_prompt = json!({"choices": [{"message": {}, "finish_reason": "content_filter"}],
                               "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": violent}]});
        assert_eq!(category(ok(&of_prompt)), "violence");
    }

    #[test]
    fn statuses_mean_what_the_contract_says() {
        let said = json!({"error": {"message": "no"}});
        for status in [408, 409, 425, 429, 503, 529] {
            assert!(is_transient(&error(status, &said), Transient::TurnedAway), "{status}");
        }
        for status in [500, 502, 504, 520] {
            assert!(is_transient(&error(status, &said), Transient::Unknown), "{status}");
        }
        for status in [400, 413, 414, 422, 431] {
            assert!(matches!(error(status, &said), AttemptError::BadRequest { .. }), "{status}");
        }
        for (status, word) in [
            (301, "base_url"),
            (307, "base_url"),
            (401, "KEY"),
            (402, "paid"),
            (403, "KEY"),
            (404, "\"demo\""),
            (405, "base_url"),
        ] {
            match error(status, &said) {
                AttemptError::Fatal { message } => assert!(message.contains(word), "{status}: {message}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        let spent = json!({"error": {"message": "You exceeded your current quota", "type": "insufficient_quota", "code": "insufficient_quota"}});
        assert!(matches!(error(429, &spent), AttemptError::Fatal { .. }));
    }

    #[test]
    fn a_hint_to_wait_is_passed_on() {
        let headers: HeaderMap = [("retry-after".parse().unwrap(), "7".parse().unwrap())].into_iter().collect();
        match read_bytes(429, b"{}", headers).unwrap_err().error {
            AttemptError::Transient { retry_after, .. } => {
                assert_eq!(retry_after, Some(std::time::Duration::from_secs(7)));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn fields_an_endpoint_does_not_take_are_found_and_long_prompts_are_not_mistaken_for_them() {
        let field = |message: &str, param: &str, code: &str| {
            let body = json!({"error": {"message": message, "param": param, "code": code}});
            read_bytes(400, body.to_string().as_bytes(), HeaderMap::new()).unwrap_err()
        };
        let renamed = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        assert_eq!(field(renamed, "max_tokens", "unsupported_parameter").field.as_deref(), Some("max_tokens"));
        assert_eq!(field(renamed, "", "").field.as_deref(), Some("max_tokens"));
        assert_eq!(field("no stop", "stop", "unsupported_parameter").field.as_deref(), Some("stop"));
        let long = "'max_tokens' or 'max_completion_tokens' is too large: 300. This model's maximum context length is 2048 tokens";
        assert_eq!(field(long, "max_tokens", "").field, None);
        let hot = field("'temperature' does not support 0.8 with this model", "temperature", "unsupported_value").error;
        assert!(matches!(hot, AttemptError::Fatal { message } if message.contains("`temperature: null`")));
    }

    #[test]
    fn an_echoed_key_and_control_characters_do_not_get_through() {
        let echo = json!({"error": {"message": "bad key canary-key-1 \u{1b}[2J", "code": "x", "type": "canary-key-1"}});
        for status in [200, 400, 401, 403, 404, 418, 429, 500] {
            let error = error(status, &echo);
            assert!(!format!("{error:?} {error}").contains("canary"), "{status}");
            assert!(!error.to_string().contains('\u{1b}'));
        }
        let long = read_bytes(500, "x".repeat(1 << 20).as_bytes(), HeaderMap::new()).unwrap_err().error;
        assert!(long.to_string().len() < 3000);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(status in 200..600_u16, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read_bytes(status, &body, HeaderMap::new());
        }
    }
}
