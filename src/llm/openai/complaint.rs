//! What an endpoint says when it does not serve a request, in any of the shapes servers and proxies use.
//!
//! Codes come first. A proxy often drops them, wraps the answer of the server behind it in words of its own or puts it
//! elsewhere, so what a filter, a spent account, a key or a setting is known by are the words as well. What is read here decides
//! no more than which of the few meanings an answer has; what it is then worth is decided in [`reply`](super::reply).

use serde_json::Value;

use crate::llm::context;
use crate::net::http::quote;

/// Error codes of accounts that no waiting heals.
const SPENT_CODES: [&str; 5] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "account_deactivated",
    "budget_exceeded",
];

/// The same in words, as proxies pass them on. Some servers say them of a limit per minute as well, but then with a hint when
/// to come back.
const SPENT_WORDS: [&str; 8] = [
    "insufficient_quota",
    "exceeded your current quota",
    "insufficient balance",
    "insufficient credits",
    "credit balance is too low",
    "budget has been exceeded",
    "billing hard limit",
    "account is in arrears",
];

/// Error codes by which endpoints say that a filter stopped the prompt.
const FILTER_CODES: [&str; 7] = [
    "content_filter",
    "content_policy_violation",
    "ResponsibleAIPolicyViolation",
    "content_filter_error",
    "data_inspection_failed",
    "DataInspectionFailed",
    "moderation_blocked",
];

/// The same in words.
const FILTER_WORDS: [&str; 19] = [
    "content management policy",
    "content_filter",
    "content filter",
    "content policy",
    "content_policy",
    "contentpolicyviolation",
    "responsibleaipolicyviolation",
    "responsible ai polic",
    "content exists risk",
    "inappropriate content",
    "sensitive content",
    "unsafe content",
    "prohibited content",
    "prohibited_content",
    "usage polic",
    "safety system",
    "safety filter",
    "guardrail",
    "blocked by moderation",
];

/// Finish reasons by which servers say that a filter stopped a reply, lower case: OpenAI's and Azure's, those of Gemini, Zhipu
/// and Bedrock.
const FILTER_FINISHES: [&str; 11] = [
    "content_filter",
    "content_filtered",
    "safety",
    "recitation",
    "blocklist",
    "prohibited_content",
    "spii",
    "sensitive",
    "guardrail_intervened",
    "moderation",
    "refusal",
];

/// What a keyword of a schema may be left out for: it narrows what fits, and the reader of the reply checks that anyway.
pub(super) const DROPPABLE: [&str; 5] = ["minItems", "maxItems", "additionalProperties", "description", "enum"];

/// Ways of saying that something is not taken.
const NOT_TAKEN: [&str; 12] = [
    "not supported",
    "unsupported",
    "n't support",
    "not support",
    "not permitted",
    "not allowed",
    "not accepted",
    "not implemented",
    "unrecognized",
    "unknown",
    "deprecated",
    "only temperature",
];

/// What an error says.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    pub(super) message: String,
    /// The message, lower case.
    words: String,
    /// `code`, `type` and the inner code.
    codes: Vec<String>,
    param: Option<String>,
    /// A number in `code`: gateways put the status of the server behind them there.
    pub(super) status: Option<u16>,
    category: Option<String>,
}

/// Something a request holds that an endpoint does not take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// `max_tokens`, which it calls `max_completion_tokens`.
    MaxTokens,
    /// `stop`.
    Stop,
    /// A message from the system.
    System,
    /// A keyword of the schema.
    Keyword(&'static str),
    /// A setting of the model.
    Setting(&'static str),
}

impl Complaint {
    pub(super) fn of(body: &[u8]) -> Self {
        match serde_json::from_slice::<Value>(body) {
            Ok(Value::Object(object)) => match object.get("error") {
                Some(error) if !error.is_null() => Self::from_error(error),
                _ => Self::from_error(&Value::Object(object)),
            },
            _ => Self::default().saying(String::from_utf8_lossy(body).into_owned()),
        }
    }

    pub(super) fn from_error(error: &Value) -> Self {
        let at = |path: &str| error.pointer(path);
        // A LiteLLM proxy before Azure puts the verdict among the fields of the provider.
        let inner =
            at("/innererror").or_else(|| at("/inner_error")).or_else(|| at("/provider_specific_fields/innererror"));
        let text = |key: &str| error.get(key).and_then(Value::as_str);
        let message = text("message").or_else(|| text("detail")).or_else(|| error.as_str());
        let codes = [error.get("code"), error.get("type"), inner.and_then(|i| i.get("code"))];
        let filter = [inner, Some(error)].into_iter().flatten();
        let mut verdicts =
            filter.flat_map(|at| [at.get("content_filter_result"), at.get("content_filter_results")]).flatten();
        // OpenRouter's moderation gives reasons.
        let reason = || at("/metadata/reasons/0").and_then(Value::as_str).map(short);
        Self {
            codes: codes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect(),
            param: text("param").map(str::to_owned),
            status: error.get("code").and_then(status),
            category: verdicts.find_map(category).or_else(reason),
            ..Self::default()
        }
        .saying(message.map_or_else(|| error.to_string(), str::to_owned))
        .naming_context(error)
    }

    /// With the size of the context, which llama.cpp names beside the message, and the words for a full one, where the code alone
    /// says so.
    fn naming_context(self, error: &Value) -> Self {
        let size = error.get("n_ctx").and_then(Value::as_u64).map(|tokens| format!(" (n_ctx {tokens})"));
        let message = self.message.clone() + &size.unwrap_or_default();
        let is_coded = self.is_one_of(&context::CODES);
        let is_worded = context::is_overflow(&message);
        self.saying(if is_coded && !is_worded {
            format!("maximum context length exceeded: {message}")
        } else {
            message
        })
    }

    fn saying(self, message: String) -> Self {
        Self { words: message.to_ascii_lowercase(), message, ..self }
    }

    fn is_one_of(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    fn says(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.words.contains(word))
    }

    /// The category of the filter that stopped the prompt, if one did.
    pub(super) fn filtered(&self) -> Option<String> {
        let flagged = self.says(&["flagged"]) && self.says(&["input", "prompt", "content", "request", "message"]);
        let by_filter = self.is_one_of(&FILTER_CODES) || self.says(&FILTER_WORDS) || flagged;
        let named = || self.category.clone().or_else(|| self.says(&["jailbreak"]).then(|| "jailbreak".to_owned()));
        (by_filter || self.category.is_some()).then(|| named().unwrap_or_else(content_filter))
    }

    /// Whether the account is used up. `hinted`: the endpoint says when to come back, so it is not.
    pub(super) fn is_spent(&self, hinted: bool) -> bool {
        let hinted = hinted || self.says(&["retry in", "try again in"]);
        self.is_one_of(&SPENT_CODES) || (!hinted && self.says(&SPENT_WORDS))
    }

    /// Whether it is about the key, which all requests share.
    pub(super) fn is_about_key(&self) -> bool {
        let key = self.is_one_of(&["invalid_api_key"]) || self.says(&["api key", "api_key", "apikey", "access token"]);
        key && self.says(&[
            "not valid",
            "invalid",
            "incorrect",
            "expired",
            "missing",
            "no api",
            "not found",
            "not provided",
        ])
    }

    /// Whether the model's name is not known there.
    pub(super) fn is_about_model(&self) -> bool {
        let unknown =
            ["not found", "does not exist", "doesn't exist", "not a valid model", "unknown model", "no such model"];
        self.is_one_of(&["model_not_found", "DeploymentNotFound"])
            || self.says(&["invalid model name", "invalid model id"])
            || (self.says(&["model"]) && self.says(&unknown) && !self.says(&["api key", "tool", "template"]))
    }

    /// Whether it is about the form that was asked of the reply.
    pub(super) fn is_about_form(&self) -> bool {
        self.param.as_deref().is_some_and(|param| param.starts_with("response_format"))
            || self.says(&[
                "response_format",
                "response format",
                "json_schema",
                "json schema",
                "json_object",
                "grammar",
                "schema",
            ])
    }

    /// What of the request the endpoint says it does not take.
    pub(super) fn not_taken(&self) -> Option<NotTaken> {
        // vLLM names both fields in one breath when a prompt is too long, so the words matter.
        let refused = self.says(&NOT_TAKEN) || self.is_one_of(&["unsupported_parameter", "unsupported_value"]);
        if refused && self.words.contains("max_tokens") && self.words.contains("max_completion_tokens") {
            return Some(NotTaken::MaxTokens);
        }
        if self.is_about_form() {
            let named = DROPPABLE.into_iter().find(|keyword| names(&self.message, keyword));
            return named.map(NotTaken::Keyword);
        }
        // The templates of models without such a role raise these.
        let no_system = self.words.contains("system") && self.words.contains("role") && refused;
        if no_system || self.says(&["roles must alternate", "only user and assistant roles"]) {
            return Some(NotTaken::System);
        }
        let by_code = self.is_one_of(&["unsupported_parameter", "unsupported_value"]);
        match self.param.as_deref().filter(|_| by_code) {
            Some("max_tokens") => return Some(NotTaken::MaxTokens),
            Some("stop") => return Some(NotTaken::Stop),
            _ => {}
        }
        let setting = ["temperature", "top_p"].into_iter().find(|setting| names(&self.words, setting));
        setting.filter(|_| refused).map(NotTaken::Setting)
    }

    /// The setting that would help, where the words name what is wrong.
    pub(super) fn helps(&self) -> Option<&'static str> {
        if self.says(&["enable_thinking"]) {
            return Some("set `extra_body: {enable_thinking: false}` for the model");
        }
        if self.says(&[
            "context length",
            "context window",
            "context_length",
            "maximum context",
            "exceeds the available context",
        ]) {
            return Some(
                "give the server a larger context, or ask for shorter conversations by `conversations.turns.max`",
            );
        }
        if self.says(&["max_tokens", "max_completion_tokens"]) {
            return Some("change `max_tokens` of the model");
        }
        self.is_about_form().then_some("set `structured: none` for the model")
    }
}

/// A status, as a number or as its digits.
fn status(code: &Value) -> Option<u16> {
    let number = code.as_u64().and_then(|code| u16::try_from(code).ok());
    number.or_else(|| code.as_str()?.parse().ok()).filter(|status| (100..600).contains(status))
}

/// Whether `word` stands in `text` on its own.
fn names(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
        !part(before.chars().next_back()) && !part(after.chars().next())
    })
}

/// The category of a filter that stopped a reply by its finish reason, which is lower case.
pub(super) fn filtered_finish(finish: &str) -> Option<String> {
    match finish {
        "content_filter" => Some(content_filter()),
        other => FILTER_FINISHES.contains(&other).then(|| other.to_owned()),
    }
}

fn content_filter() -> String {
    "content_filter".to_owned()
}

/// A name that an endpoint gave, short enough for a record.
fn short(name: &str) -> String {
    quote(name, None).chars().take(64).collect()
}

/// The category that a filter's verdict names, such as `{"violence": {"filtered": true, "severity": "high"}}`, also
/// inside the list that holds one verdict for each prompt. A jailbreak stands before all others, since it speaks of
/// the prompt's making and not of its topic.
pub(super) fn category(results: &Value) -> Option<String> {
    if let Value::Array(prompts) = results {
        return prompts.iter().filter_map(|p| p.get("content_filter_results")).find_map(category);
    }
    let hit = |verdict: &Value, key: &str| verdict.get(key).and_then(Value::as_bool) == Some(true);
    let verdicts = results.as_object()?;
    if let Some(passed_on) = verdicts.get("content_filter_results") {
        return category(passed_on);
    }
    if verdicts.get("jailbreak").is_some_and(|v| hit(v, "filtered") || hit(v, "detected")) {
        return Some("jailbreak".to_owned());
    }
    let filtered = verdicts.iter().filter(|(_, verdict)| hit(verdict, "filtered")).map(|(name, _)| name);
    filtered.min().map(|name| short(name))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(error: &Value) -> Complaint {
        Complaint::of(json!({ "error": error }).to_string().as_bytes())
    }

    fn said(message: &str) -> Complaint {
        of(&json!({"message": message, "type": "None", "param": null, "code": "400"}))
    }

    #[test]
    fn a_filter_is_known_by_its_code_its_words_or_its_verdict_wherever_a_proxy_puts_it() {
        let verdict = json!({"code": "ResponsibleAIPolicyViolation",
                             "content_filter_result": {"hate": {"filtered": false}, "violence": {"filtered": true}}});
        for (error, category) in [
            (json!({"message": "filtered", "code": "content_filter"}), "content_filter"),
            (
                json!({"message": "litellm.BadRequestError: AzureException", "code": "400",
                    "provider_specific_fields": {"innererror": verdict}}),
                "violence",
            ),
            (
                json!({"message": "litellm.ContentPolicyViolationError: OpenAIException", "code": "400"}),
                "content_filter",
            ),
            (
                json!({"message": "BadRequestError: The response was filtered due to the prompt triggering Azure OpenAI's content management policy."}),
                "content_filter",
            ),
            (
                json!({"message": "Your chosen model requires moderation and your input was flagged", "code": 403,
                    "metadata": {"reasons": ["violence/graphic"]}}),
                "violence/graphic",
            ),
            (json!({"message": "Content Exists Risk", "code": "invalid_request_error"}), "content_filter"),
            (
                json!({"message": "Input data may contain inappropriate content.", "code": "data_inspection_failed"}),
                "content_filter",
            ),
            (json!({"message": "a jailbreak was detected by the content filter"}), "jailbreak"),
        ] {
            assert_eq!(of(&error).filtered().as_deref(), Some(category), "{error}");
        }
        for message in ["no such route", "API key not valid", "temperature is not supported", "context length exceeded"]
        {
            assert_eq!(said(message).filtered(), None, "{message}");
        }
    }

    #[test]
    fn an_account_that_is_used_up_is_told_from_a_limit_that_passes() {
        let throttled = json!({"message": "litellm.RateLimitError: OpenAIException - You exceeded your current quota, please check your plan and billing details.", "type": "throttling_error", "code": "429"});
        assert!(of(&throttled).is_spent(false));
        assert!(!of(&throttled).is_spent(true), "it says when to come back");
        assert!(!said("You exceeded your current quota. Please retry in 36.2s.").is_spent(false));
        assert!(said("Budget has been exceeded! Current cost: 1.2, Max budget: 1").is_spent(false));
        assert!(!said("Rate limit reached for requests").is_spent(false));
    }

    #[test]
    fn what_is_not_taken_is_found_in_the_words_of_any_server() {
        for (message, found) in [
            (
                "litellm.UnsupportedParamsError: gpt-5 models don't support temperature=0.8. Only temperature=1 is supported.",
                Some(NotTaken::Setting("temperature")),
            ),
            (
                "Unsupported value: 'temperature' does not support 0.8 with this model.",
                Some(NotTaken::Setting("temperature")),
            ),
            ("`top_p` is not supported for this model", Some(NotTaken::Setting("top_p"))),
            (
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
                Some(NotTaken::MaxTokens),
            ),
            ("System role not supported", Some(NotTaken::System)),
            ("Conversation roles must alternate user/assistant/user/assistant/...", Some(NotTaken::System)),
            ("Invalid schema for response_format: 'minItems' is not permitted.", Some(NotTaken::Keyword("minItems"))),
            (
                "Unknown name \"additionalProperties\" at 'response_schema'",
                Some(NotTaken::Keyword("additionalProperties")),
            ),
            ("This model does not support response_format", None),
            (
                "'max_tokens' or 'max_completion_tokens' is too large: 300. This model's maximum context length is 2048 tokens",
                None,
            ),
            ("The model temperature-tuned is unknown", None),
            ("API key not valid. Please pass a valid API key.", None),
        ] {
            assert_eq!(said(message).not_taken(), found, "{message}");
        }
    }

    #[test]
    fn keys_and_models_that_are_not_known_are_told_by_their_words() {
        assert!(said("API key not valid. Please pass a valid API key.").is_about_key());
        assert!(!said("The messages must not be empty").is_about_key());
        assert!(said("/chat/completions: Invalid model name passed in model=demo. Call `/v1/models`").is_about_model());
        assert!(said("The model `demo` does not exist").is_about_model());
        assert!(!said("This model's maximum context length is 2048 tokens").is_about_model());
    }
}
