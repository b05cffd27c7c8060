//! What an endpoint's answer means: a reply, or one of the four kinds of [`AttemptError`].
//!
//! Tolerant of what servers differ in (content in parts, unknown fields and finish reasons), suspicious of everything else: a status of 200 proves nothing. An answer that was served and is torn or empty
//! is a reply when the endpoint finished it, since it is paid for and decides what is asked next; it is worth another
//! attempt when the answer itself broke.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use super::complaint::{Complaint, NotTaken, category, filtered_finish};
use super::fullness::Longest;
use super::said::{Said, value};
use super::{body, usage};
use crate::llm::endpoint::Advice;
use crate::llm::{AttemptError, ChatRequest, Finish, Reply, ReplyFormat, Transient};
use crate::net::http::{Credential, HttpReply, origin, quote, unknown};
use crate::net::retry::retry_after;

/// What was asked, of whom, and how to name the settings involved.
pub(super) struct RequestInfo<'a> {
    pub(super) request: &'a ChatRequest,
    pub(super) url: &'a Url,
    pub(super) model: &'a str,
    pub(super) advice: &'a Advice,
    pub(super) credential: Option<&'a Credential>,
    /// Where the name of the model that answers is kept.
    pub(super) answered_by: &'a Mutex<Option<String>>,
    pub(super) longest: &'a Longest,
}

/// An attempt without a reply.
#[derive(Debug)]
pub(super) struct FailedAttempt {
    pub(super) error: AttemptError,
    /// What of the request the endpoint says it does not take.
    pub(super) not_taken: Option<NotTaken>,
}

impl From<AttemptError> for FailedAttempt {
    fn from(error: AttemptError) -> Self {
        Self { error, not_taken: None }
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
    model: Option<&'a RawValue>,
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
    /// What streams have instead of a message, and completions of text.
    #[serde(borrow)]
    delta: Option<Said<'a>>,
    #[serde(borrow)]
    text: Option<&'a RawValue>,
    #[serde(borrow)]
    finish_reason: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content_filter_results: Option<&'a RawValue>,
    /// Where a `LiteLLM` proxy puts the verdict of a filter.
    #[serde(borrow)]
    provider_specific_fields: Option<&'a RawValue>,
}

fn read_completion(answer: &HttpReply, asked: &RequestInfo<'_>) -> Result<Reply, FailedAttempt> {
    let body = body::text(&answer.body);
    let completion: Completion<'_> = serde_json::from_str(&body).map_err(|e| asked.no_completion(answer, &e))?;
    if let Some(error) = completion.error.and_then(value) {
        let complaint = Complaint::from_error(&error);
        return Err(asked.refused(complaint.status.unwrap_or(200), answer, &complaint));
    }
    let choice = completion.choices.unwrap_or_default().into_iter().next();
    let Some(Choice { message, delta, text, finish_reason, content_filter_results, provider_specific_fields }) = choice
    else {
        return Err(asked.no_choice(completion.prompt_filter_results).into());
    };
    let finish = finish_reason.unwrap_or_default().to_ascii_lowercase();
    if let Some(filter) = filtered_finish(&finish) {
        let verdicts = [content_filter_results, provider_specific_fields, completion.prompt_filter_results];
        return Err(asked.stopped_by(&filter, verdicts).into());
    }
    let Some(said) = message.or(delta).or_else(|| text.map(Said::of)) else {
        return Err(asked.no_choice(completion.prompt_filter_results).into());
    };
    let usage = usage::read(completion.usage, asked.request, said.raw());
    if let Some(refusal) = said.refusal() {
        let message = quote(&refusal, asked.credential);
        return Err(AttemptError::Refused { category: "refusal".to_owned(), message }.into());
    }
    let finish = match finish.as_str() {
        "length" | "max_tokens" => Finish::Length,
        "model_length" | "model_context_window_exceeded" => Finish::ContextFull,
        // What servers write when they broke off by themselves.
        "error" | "abort" | "insufficient_system_resource" | "network_error" => {
            return Err(asked.broken(&format!("a reply it broke off ({finish})")).into());
        }
        _ => Finish::Stop,
    };
    let text = asked.text(&said, finish)?;
    let is_counted = usage.estimated_prompt_tokens == 0 && usage.estimated_completion_tokens == 0;
    let counted = Some(usage).filter(|_| is_counted);
    let finish = asked.longest.judge(asked.request, finish, counted, &text);
    *asked.answered_by.lock().unwrap_or_else(PoisonError::into_inner) = asked.other_model(completion.model);
    Ok(Reply { text, finish, usage })
}

impl RequestInfo<'_> {
    /// The model that an answer names, unless it is the one that was asked.
    fn other_model(&self, named: Option<&RawValue>) -> Option<String> {
        let Some(Value::String(name)) = named.and_then(value) else { return None };
        (!name.is_empty() && name != self.model).then(|| quote(&name, self.credential))
    }

    /// The text of a choice, without what follows a stop text.
    fn text(&self, said: &Said<'_>, finish: Finish) -> Result<String, FailedAttempt> {
        let wants_json = matches!(self.request.format, ReplyFormat::Json { .. });
        match said.text(wants_json) {
            Some(text) => {
                let kept = self.until_stop(&text);
                Ok(if kept.len() == text.len() { text } else { kept.to_owned() })
            }
            // All of the tokens went into reasoning.
            None if finish != Finish::Stop => Ok(String::new()),
            None if said.calls() => Err(self.broken("a tool call for an answer").into()),
            None => Err(self.broken("a choice without content").into()),
        }
    }

    /// Endpoints take four stop texts or none; here all of them hold.
    fn until_stop<'t>(&self, text: &'t str) -> &'t str {
        let stops = self.request.stop.iter().filter(|s| !s.is_empty());
        let end = stops.filter_map(|stop| text.find(stop.as_str())).min().unwrap_or(text.len());
        text.get(..end).unwrap_or(text)
    }

    /// A filter stopped the reply: the category of its verdict, else what the server calls it.
    fn stopped_by(&self, filter: &str, verdicts: [Option<&RawValue>; 3]) -> AttemptError {
        let category = verdicts.into_iter().flatten().filter_map(value).find_map(|verdict| category(&verdict));
        let message = format!("a content filter at {} stopped the reply ({filter})", origin(self.url));
        AttemptError::Refused { category: category.unwrap_or_else(|| filter.to_owned()), message }
    }

    /// An answer without a choice: a filter's, where it says so.
    fn no_choice(&self, verdict: Option<&RawValue>) -> AttemptError {
        match verdict.and_then(value).and_then(|verdict| category(&verdict)) {
            Some(filter) => self.stopped_by(&filter, [None; 3]),
            None => self.broken("an answer without a choice"),
        }
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
        if let Some(category) = complaint.filtered() {
            return AttemptError::Refused { category, message: said }.into();
        }
        let hint = retry_after(&answer.headers);
        if let Some(message) = self.shared_by_all(status, &said, hint.is_some(), complaint) {
            return AttemptError::Fatal { message }.into();
        }
        if let Some(not_taken) = complaint.not_taken().filter(|_| matches!(status, 400 | 422 | 500..=599)) {
            return self.without(not_taken, status, &said, complaint);
        }
        if let Some(message) = self.advice_for(status, &said, answer) {
            return AttemptError::Fatal { message }.into();
        }
        let kind = match status {
            429 | 529 => Transient::RateLimited,
            408 | 409 | 425 | 503 => Transient::TurnedAway,
            400..=499 => return self.bad_request(status, &said, complaint).into(),
            _ => Transient::Unknown,
        };
        let message = format!("{} answered {status}: {said}", origin(self.url));
        AttemptError::Transient { message, kind, retry_after: hint }.into()
    }

    /// What the words say of the account, the key or the model, which all requests share, and what to change.
    fn shared_by_all(&self, status: u16, said: &str, hinted: bool, complaint: &Complaint) -> Option<String> {
        let (at, Advice { address, model, credential }) = (origin(self.url), self.advice);
        if complaint.is_spent(hinted) {
            return Some(format!(
                "the account at {at} is used up: {said}; raise its quota and run the same command again"
            ));
        }
        if matches!(status, 400 | 403) && complaint.is_about_key() {
            return Some(format!("{at} refused the credential ({status}): {said}; {credential}"));
        }
        (status == 400 && complaint.is_about_model())
            .then(|| format!("{at} knows no model {:?} (400): {said}; check {address} and {model}", self.model))
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
            402 => Some(format!("{at} has to be paid before it answers (402): {said}")),
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

    /// About this request, as far as one answer tells: others like it say whether it is about all of them.
    fn bad_request(&self, status: u16, said: &str, complaint: &Complaint) -> AttemptError {
        let helps = match status {
            403 => Some(format!("{} and what it may use", self.advice.credential)),
            _ => complaint.helps().map(str::to_owned),
        };
        let message = helps.map_or_else(|| said.to_owned(), |helps| format!("{said}; {helps}"));
        AttemptError::BadRequest { status, message }
    }

    /// Something that all requests hold is not taken: a setting is for the user to change, the rest can be left out.
    fn without(&self, not_taken: NotTaken, status: u16, said: &str, complaint: &Complaint) -> FailedAttempt {
        if let NotTaken::Setting(setting) = not_taken {
            let message =
                format!("{} does not take {setting}: {said}; set `{setting}: null` for the model", self.model);
            return AttemptError::Fatal { message }.into();
        }
        FailedAttempt { error: self.bad_request(status, said, complaint), not_taken: Some(not_taken) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;
    use secrecy::SecretString;
    use serde_json::json;

    use super::*;
    use crate::llm::{Message, context};

    fn request() -> ChatRequest {
        let plain = ChatRequest::plain(vec![Message::user("x".repeat(100))], 50);
        ChatRequest { stop: vec!["\nBob:".into()], ..plain }
    }

    fn read_bytes(status: u16, body: &[u8], headers: HeaderMap) -> Result<Reply, FailedAttempt> {
        let advice = Advice { address: "base_url", model: "model", credential: "check the key in KEY".into() };
        let url = Url::parse("http://127.0.0.1:1/v1/chat/completions").unwrap();
        let credential = Credential::bearer(SecretString::from("canary-key-1")).unwrap();
        let request = request();
        let (credential, answered_by, longest) = (Some(&credential), &Mutex::default(), &Longest::default());
        let (request, url, advice, model) = (&request, &url, &advice, "demo");
        let asked = RequestInfo { request, url, model, advice, credential, answered_by, longest };
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
               "usage": {"prompt_tokens": 9, "completion_tokens": if finish == "length" { 50 } else { 4 }, "prompt_tokens_details": {"cached_tokens": 3}}})
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
    fn what_follows_a_stop_text_is_cut_and_thoughts_stay_for_who_reads_the_reply() {
        assert_eq!(text("Fine.\nBob: no", "stop").text, "Fine.");
        assert_eq!(text("<think>Hm.</think>Fine.", "stop").text, "<think>Hm.</think>Fine.");
    }

    #[test]
    fn a_reply_that_ends_with_fewer_tokens_than_asked_for_ran_out_of_context() {
        let ended = |tokens: u64, finish: &str| {
            let body = json!({"choices": [{"message": {"content": "We wait"}, "finish_reason": finish}],
                              "usage": {"prompt_tokens": 2000, "completion_tokens": tokens}});
            ok(&body).unwrap().finish
        };
        assert_eq!((ended(48, "length"), ended(50, "length")), (Finish::ContextFull, Finish::Length));
        assert_eq!((ended(50, "model_length"), ended(5, "stop")), (Finish::ContextFull, Finish::Stop));
        let silent = json!({"choices": [{"message": {"content": "We wait"}, "finish_reason": "length"}]});
        assert_eq!(ok(&silent).unwrap().finish, Finish::Length);
    }

    #[test]
    fn a_prompt_that_does_not_fit_is_told_by_code_and_by_words() {
        for said in [
            json!({"message": "too big", "code": "context_length_exceeded"}),
            json!({"message": "no", "type": "exceed_context_size_error", "code": 400, "n_ctx": 2048}),
            json!({"message": "This model's maximum context length is 2048 tokens.", "code": 400}),
        ] {
            match error(400, &json!({"error": said})) {
                AttemptError::BadRequest { message, .. } => assert!(context::is_overflow(&message), "{message}"),
                other => panic!("{said}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_200_that_is_no_completion_may_pass() {
        let bodies: Vec<Vec<u8>> = vec![
            b"".to_vec(),
            b"<!DOCTYPE html><html>".to_vec(),
            b"{\"choices\": [{\"message\": {\"cont".to_vec(),
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
        assert!(is_transient(&busy, Transient::RateLimited), "a gateway's status counts");
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
    fn a_litellm_proxy_puts_refusals_and_verdicts_elsewhere() {
        let declined = json!({"content": null, "provider_specific_fields": {"refusal": "I can't."}});
        assert!(matches!(ok(&choice(&declined, "stop")), Err(AttemptError::Refused { category, message })
            if category == "refusal" && message == "I can't."));
        let verdict = json!({"content_filter_results": {"violence": {"filtered": true}}});
        let filtered = json!({"choices": [{"message": {"content": null}, "finish_reason": "content_filter",
                                           "provider_specific_fields": verdict}]});
        assert!(matches!(ok(&filtered), Err(AttemptError::Refused { category, .. }) if category == "violence"));
        let nothing = json!({"content": "Hello.", "provider_specific_fields": {"refusal": null}});
        assert_eq!(ok(&choice(&nothing, "stop")).unwrap().text, "Hello.");
    }

    #[test]
    fn a_finish_reason_of_a_filter_is_a_refusal_whatever_was_said_until_then() {
        for (finish, content, want) in [
            ("SAFETY", json!(null), "safety"),
            ("SAFETY", json!("I would rather"), "safety"),
            ("prohibited_content", json!(""), "prohibited_content"),
            ("content_filter", json!("He"), "content_filter"),
        ] {
            match ok(&choice(&json!({ "content": content }), finish)) {
                Err(AttemptError::Refused { category, .. }) => assert_eq!(category, want),
                other => panic!("{finish}: {other:?}"),
            }
        }
        let verdict = json!([{"content_filter_results": {"hate": {"filtered": true}}}]);
        let empty = json!({"choices": [], "prompt_filter_results": verdict});
        assert!(matches!(ok(&empty), Err(AttemptError::Refused { category, .. }) if category == "hate"));
        let no_message = json!({"choices": [{"finish_reason": "SAFETY"}]});
        assert!(matches!(ok(&no_message), Err(AttemptError::Refused { .. })));
    }

    #[test]
    fn what_one_answer_says_of_all_requests_is_fatal_and_names_what_to_change() {
        let said = |message: &str| match error(400, &json!({"error": {"message": message, "code": "400"}})) {
            AttemptError::Fatal { message } => message,
            other => panic!("{other:?}"),
        };
        assert!(said("API key not valid. Please pass a valid API key.").contains("KEY"));
        assert!(said("Invalid model name passed in model=demo").contains("model"));
        assert!(
            said("gpt-5 models don't support temperature=0.8. Only temperature=1 is supported.")
                .contains("`temperature: null`")
        );
    }

    #[test]
    fn statuses_mean_what_the_contract_says() {
        let said = json!({"error": {"message": "no"}});
        for status in [408, 409, 425, 503] {
            assert!(is_transient(&error(status, &said), Transient::TurnedAway), "{status}");
        }
        for status in [429, 529] {
            assert!(is_transient(&error(status, &said), Transient::RateLimited), "{status}");
        }
        for status in [500, 502, 504, 520] {
            assert!(is_transient(&error(status, &said), Transient::Unknown), "{status}");
        }
        for status in [400, 403, 413, 414, 422, 431] {
            assert!(matches!(error(status, &said), AttemptError::BadRequest { .. }), "{status}");
        }
        for (status, word) in
            [(301, "base_url"), (307, "base_url"), (401, "KEY"), (402, "paid"), (404, "\"demo\""), (405, "base_url")]
        {
            match error(status, &said) {
                AttemptError::Fatal { message } => assert!(message.contains(word), "{status}: {message}"),
                other => panic!("{status}: {other:?}"),
            }
        }
        match error(403, &said) {
            AttemptError::BadRequest { message, .. } => assert!(message.contains("KEY"), "{message}"),
            other => panic!("{other:?}"),
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
        assert_eq!(field(renamed, "max_tokens", "unsupported_parameter").not_taken, Some(NotTaken::MaxTokens));
        assert_eq!(field(renamed, "", "").not_taken, Some(NotTaken::MaxTokens));
        assert_eq!(field("no stop", "stop", "unsupported_parameter").not_taken, Some(NotTaken::Stop));
        assert_eq!(field("System role not supported", "", "").not_taken, Some(NotTaken::System));
        let long = "'max_tokens' or 'max_completion_tokens' is too large: 300. This model's maximum context length is 2048 tokens";
        assert_eq!(field(long, "max_tokens", "").not_taken, None);
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
