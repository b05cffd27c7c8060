//! One model against an endpoint that misbehaves in every way we know of: what one attempt makes of it, and what attempts
//! under the retry policy and the shared limiter come to.

use std::collections::{BTreeSet, HashSet};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use convogen::ExitCode;
use convogen::config::{AzureAuth, Model, Timeouts};
use convogen::llm::azure;
use convogen::llm::budget::Estimate;
use convogen::llm::limiter::Limiter;
use convogen::llm::openai::{self, Completions};
use convogen::llm::{AttemptError, ChatModel, ChatRequest, Finish, Message, Reply, ReplyFormat, Structured, Transient};
use convogen::net::retry::{Decision, Retry};
use serde_json::{Value, json};

use crate::inside::support::endpoint::Endpoint;
use crate::inside::support::script::{Answer, Script};

const CANARY: &str = "sk-canary-5f0c2d77";

/// Short enough that hangs do not slow the tests, long enough that a busy machine is not taken for one.
fn timeouts() -> Timeouts {
    Timeouts { connect_s: 5.0, first_byte_s: 1.0, idle_s: 1.0, total_s: 2.5 }
}

fn config(base_url: String) -> Model {
    Model { base_url: Some(base_url), model: Some("demo".into()), timeouts: timeouts(), ..Model::default() }
}

fn var(name: &str) -> Option<String> {
    matches!(name, "OPENAI_API_KEY" | "AZURE_OPENAI_API_KEY").then(|| CANARY.to_owned())
}

fn limiter(concurrency: usize) -> Limiter {
    Limiter::new(&Model { concurrency, ..Model::default() })
}

fn model(endpoint: &Endpoint) -> Completions {
    Completions::new(openai::endpoint(&config(endpoint.base_url()), &var).unwrap())
}

fn request(text: &str, format: ReplyFormat) -> ChatRequest {
    ChatRequest {
        model: "demo".into(),
        messages: vec![Message::system("You are one of several people."), Message::user(text)].into(),
        temperature: Some(0.8),
        top_p: None,
        max_tokens: 300,
        stop: Vec::new(),
        seed: 1,
        format,
        extra: None,
    }
}

fn said(text: &str) -> ChatRequest {
    request(text, ReplyFormat::Text { prefix: None })
}

async fn once(model: &dyn ChatModel) -> Result<Reply, AttemptError> {
    model.attempt(&said("Go on."), Structured::None).await
}

/// Attempts under policy and limiter, as the recording wrapper makes them.
async fn settled(model: &dyn ChatModel, limiter: &Limiter, text: &str) -> Result<Reply, AttemptError> {
    let (mut retry, begun) = (Retry::new(text, 3), tokio::time::Instant::now());
    let request = said(text);
    loop {
        let permit = limiter.acquire(Estimate::of(&request)).await;
        let outcome = model.attempt(&request, Structured::None).await;
        limiter.observe(permit, &outcome, model.remaining().as_ref());
        let error = match outcome {
            Ok(reply) => return Ok(reply),
            Err(error) => error,
        };
        match retry.decide(&error, begun.elapsed(), limiter.max_wait()) {
            Decision::Wait(wait) => limiter.back_off(&error, wait).await,
            Decision::GiveUp => return Err(limiter.gave_up().err().unwrap_or(error)),
            Decision::TooLong(message) => return Err(AttemptError::Fatal { message }),
        }
        limiter.check()?;
    }
}

/// What an attempt came to, in one word.
fn verdict(outcome: &Result<Reply, AttemptError>) -> String {
    match outcome {
        Ok(Reply { finish: Finish::Stop, .. }) => "reply".into(),
        Ok(Reply { finish: Finish::Length, .. }) => "torn".into(),
        Ok(Reply { finish: Finish::ContextFull, .. }) => "context full".into(),
        Err(AttemptError::Refused { category, .. }) => category.clone(),
        Err(AttemptError::BadRequest { status, .. }) => format!("bad request {status}"),
        Err(AttemptError::Transient { kind, .. }) => format!("{kind:?}"),
        Err(AttemptError::Fatal { .. }) => "fatal".into(),
    }
}

fn gzip_bomb() -> Answer {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 64 << 20]).unwrap();
    Answer::Status(200, vec![("content-encoding", "gzip".into())], encoder.finish().unwrap())
}

fn redirect(target: &str) -> Answer {
    Answer::Status(307, vec![("location", target.into())], Vec::new())
}

fn faults() -> Vec<(&'static str, Answer, &'static str)> {
    let text = |content: Value| Answer::choice(&json!({ "content": content }), "stop");
    vec![
        ("reset", Answer::Reset, "Unknown"),
        ("reset amid the body", Answer::ResetInBody, "Unknown"),
        ("hang-up", Answer::HangUp, "Unknown"),
        ("less than announced", Answer::Short, "Unknown"),
        ("hang before headers", Answer::HangBeforeHeaders, "TimedOut"),
        ("hang after headers", Answer::HangAfterHeaders, "TimedOut"),
        ("drip", Answer::Drip(Duration::from_millis(100)), "TimedOut"),
        ("64 MiB", Answer::Huge(64 << 20), "Unknown"),
        ("gzip bomb", gzip_bomb(), "Unknown"),
        ("redirect to http", redirect("http://10.0.0.1/v1/chat/completions"), "fatal"),
        ("redirect to another host", redirect("https://elsewhere.invalid/"), "fatal"),
        ("html", Answer::html(), "Unknown"),
        (
            "wrong content type",
            Answer::Body("text/plain", br#"{"choices":[{"message":{"content":"x"}}]}"#.into()),
            "reply",
        ),
        ("200 with an error", Answer::json(&json!({"error": {"message": "no"}})), "Unknown"),
        ("empty choices", Answer::empty_choices(), "Unknown"),
        ("null content", text(Value::Null), "Unknown"),
        ("empty content", text(json!("")), "reply"),
        ("length", Answer::length(), "torn"),
        ("length, with fewer tokens than asked for", Answer::context_full(), "context full"),
        ("unknown finish", Answer::choice(&json!({"content": "x"}), "eos"), "reply"),
        ("refusal", Answer::refusal(), "refusal"),
        ("filter on the prompt", Answer::azure_filter("sexual"), "sexual"),
        ("jailbreak", Answer::azure_filter("jailbreak"), "jailbreak"),
        ("filter on the reply", Answer::filter_finish("self_harm"), "self_harm"),
        ("truncated", Answer::truncated_json(), "Unknown"),
        ("invalid UTF-8", Answer::invalid_utf8(), "reply"),
        ("deep", Answer::deep_json(), "Unknown"),
        ("duplicate keys", Answer::Body("application/json", br#"{"choices":[],"choices":[]}"#.into()), "Unknown"),
        ("tool call", Answer::tool_call(), "Unknown"),
        ("400", Answer::error(400, "x", "no"), "bad request 400"),
        ("401", Answer::error(401, "x", CANARY), "fatal"),
        ("403", Answer::error(403, "x", CANARY), "bad request 403"),
        ("404", Answer::error(404, "model_not_found", CANARY), "fatal"),
        ("408", Answer::error(408, "x", "late"), "TurnedAway"),
        ("413", Answer::error(413, "x", CANARY), "bad request 413"),
        ("422", Answer::error(422, "x", "no"), "bad request 422"),
        ("429", Answer::too_many(None), "RateLimited"),
        ("429 for good", Answer::error(429, "insufficient_quota", "pay"), "fatal"),
        ("500", Answer::error(500, "x", CANARY), "Unknown"),
        ("503", Answer::error(503, "x", "busy"), "TurnedAway"),
        ("529", Answer::error(529, "x", "busy"), "RateLimited"),
    ]
}

#[tokio::test]
async fn every_fault_gets_its_meaning_and_none_shows_the_key() {
    let checks = faults().into_iter().map(|(name, answer, want)| async move {
        let endpoint = Endpoint::start(Script::answering(move |_| answer.clone()));
        let model = model(&endpoint);
        let outcome = once(&model).await;
        assert_eq!(verdict(&outcome), want, "{name}: {outcome:?}");
        assert!(!format!("{outcome:?} {model:?}").contains("canary"), "{name}");
        if let Err(error) = outcome {
            assert!(!error.to_string().contains("canary"), "{name}");
            assert!(error.to_string().len() < 4096, "{name}");
        }
        assert_eq!(endpoint.calls().len(), 1, "{name}: one attempt is one request");
    });
    futures_util::future::join_all(checks).await;
}

#[tokio::test]
async fn what_may_pass_passes() {
    let passing: Vec<_> = faults()
        .into_iter()
        .filter(|(_, _, want)| matches!(*want, "Unknown" | "TimedOut" | "TurnedAway" | "RateLimited"))
        .collect();
    let calls = passing.into_iter().map(|(name, answer, _)| async move {
        let endpoint = Endpoint::start(Script::opening_with(vec![answer]));
        let reply = settled(&model(&endpoint), &limiter(4), "Go on.").await;
        assert_eq!(verdict(&reply), "reply", "{name}");
        let answered: Vec<bool> = endpoint.calls().iter().map(|call| call.answered).collect();
        assert_eq!(answered, [false, true], "{name}: every request is logged, one is answered");
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn an_endpoint_that_is_away_was_not_reached_and_may_come_back() {
    let mut endpoint = Endpoint::start(Script::default());
    let model = model(&endpoint);
    let before = once(&model).await.unwrap();
    endpoint.stop();
    // The first may find a connection that had been kept and is no more.
    assert!(matches!(once(&model).await, Err(AttemptError::Transient { .. })));
    for _ in 0..3 {
        assert_eq!(verdict(&once(&model).await), "NotSent");
    }
    endpoint.restart();
    assert_eq!(once(&model).await.unwrap(), before, "the same request gets the same reply");
    assert_eq!(endpoint.calls().len(), 2);
}

#[tokio::test]
async fn tls_that_does_not_come_about_was_no_call() {
    let endpoint = Endpoint::start(Script::default());
    let config = config(endpoint.base_url().replace("http://", "https://"));
    match openai::endpoint(&config, &var).map(Completions::new) {
        Ok(model) => assert_eq!(verdict(&once(&model).await), "fatal", "no further attempt would go better"),
        Err(error) => {
            assert_eq!(error.exit_code(), ExitCode::Unavailable, "a machine without root certificates: {error}");
        }
    }
    assert!(endpoint.calls().is_empty());
}

#[tokio::test]
async fn attempts_end_when_they_are_used_up() {
    let endpoint = Endpoint::start(Script::answering(|_| Answer::error(500, "x", "broken")));
    let outcome = settled(&model(&endpoint), &limiter(1), "Go on.").await;
    assert_eq!(verdict(&outcome), "Unknown");
    assert_eq!(endpoint.calls().len(), 3);
}

#[tokio::test]
async fn an_endpoint_that_fails_everyone_stops_the_run() {
    let endpoint = Endpoint::start(Script::answering(|_| Answer::error(500, "x", "broken")));
    let (model, limiter) = (model(&endpoint), limiter(8));
    let texts: Vec<String> = (0..6).map(|n| format!("{n}")).collect();
    let outcomes = futures_util::future::join_all(texts.iter().map(|text| settled(&model, &limiter, text))).await;
    assert!(outcomes.iter().any(|outcome| verdict(outcome) == "fatal"), "{outcomes:?}");
    assert!(endpoint.calls().len() <= 18, "three attempts each at most");
}

#[tokio::test]
async fn the_key_is_asked_for_and_named_in_the_advice() {
    let locked = || Script { key: Some(CANARY.into()), ..Script::default() };
    let endpoint = Endpoint::start(locked());
    assert_eq!(verdict(&once(&model(&endpoint)).await), "reply");
    let wrong = openai::endpoint(&config(endpoint.base_url()), &|_| Some("sk-canary-wrong".into())).unwrap();
    let error = once(&Completions::new(wrong)).await.unwrap_err();
    assert!(error.to_string().contains("OPENAI_API_KEY") && !error.to_string().contains("canary"), "{error}");
}

#[tokio::test]
async fn max_tokens_is_renamed_once_and_the_extra_request_is_a_retry() {
    let endpoint = Endpoint::start(Script { wants_max_completion_tokens: true, ..Script::default() });
    let model = model(&endpoint);
    match once(&model).await.unwrap_err() {
        AttemptError::Transient { kind: Transient::TurnedAway, retry_after, .. } => {
            assert_eq!(retry_after, Some(Duration::ZERO));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(verdict(&once(&model).await), "reply");
    assert_eq!(verdict(&settled(&model, &limiter(1), "And?").await), "reply");
    let bodies: Vec<Value> = endpoint.calls().iter().map(|call| serde_json::from_str(&call.body).unwrap()).collect();
    assert_eq!(bodies.len(), 3);
    assert_eq!((&bodies[0]["max_tokens"], &bodies[2]["max_completion_tokens"]), (&json!(300), &json!(300)));
}

#[tokio::test]
async fn stop_texts_hold_even_where_the_endpoint_takes_none() {
    let endpoint = Endpoint::start(Script::answering(|call| {
        if call.body.get("stop").is_some() {
            let error = json!({"error": {"message": "no stop here", "param": "stop", "code": "unsupported_parameter"}});
            return Answer::Status(400, Vec::new(), error.to_string().into_bytes());
        }
        Answer::Text("Not now.\nBob: why?".into())
    }));
    let model = model(&endpoint);
    let request = ChatRequest { stop: vec!["\nBob:".into()], ..said("Go on.") };
    assert_eq!(verdict(&model.attempt(&request, Structured::None).await), "TurnedAway");
    assert_eq!(model.attempt(&request, Structured::None).await.unwrap().text, "Not now.");
}

/// A date as HTTP writes it, `seconds` from now.
fn date(seconds: i64) -> String {
    #[expect(clippy::disallowed_methods, reason = "what the endpoint tells is measured from now")]
    let now = SystemTime::now();
    let offset = Duration::from_secs(seconds.unsigned_abs());
    let then = if seconds < 0 { now.checked_sub(offset) } else { now.checked_add(offset) };
    httpdate::fmt_http_date(then.unwrap())
}

#[tokio::test]
async fn a_storm_of_429_is_waited_out_whatever_retry_after_says() {
    let past = date(-3600);
    let forms = [Some("1"), Some("0"), Some("-1"), Some("soon"), Some("1.5"), Some(past.as_str()), None];
    let storms = forms.into_iter().map(|form| async move {
        let told = form.map(str::to_owned);
        let storm = Duration::from_millis(1200);
        let endpoint = Endpoint::start(Script::answering(move |call| match call.at {
            at if at < storm => Answer::too_many(told.as_deref()),
            _ => Answer::Plausible,
        }));
        let (model, limiter) = (model(&endpoint), limiter(16));
        let texts: Vec<String> = (0..32).map(|n| format!("{form:?} {n}")).collect();
        let outcomes = futures_util::future::join_all(texts.iter().map(|text| settled(&model, &limiter, text))).await;
        assert!(outcomes.iter().all(|outcome| verdict(outcome) == "reply"), "{form:?}");
        let calls = endpoint.calls();
        assert_eq!(calls.iter().filter(|call| call.answered).count(), 32, "{form:?}: each is answered once");
        assert!(endpoint.peak() <= 16, "{form:?}");
    });
    futures_util::future::join_all(storms).await;
}

#[tokio::test]
async fn no_call_comes_earlier_than_told() {
    let endpoint = Endpoint::start(Script::answering(|call| match call.index {
        index if index < 12 => Answer::too_many(Some("1")),
        _ => Answer::Plausible,
    }));
    let (model, limiter) = (model(&endpoint), limiter(8));
    let texts: Vec<String> = (0..24).map(|n| format!("{n}")).collect();
    futures_util::future::join_all(texts.iter().map(|text| settled(&model, &limiter, text))).await;
    let calls = endpoint.calls();
    let first = calls[0].at;
    let early = calls.iter().filter(|call| call.at < first + Duration::from_secs(1)).count();
    assert!(early <= 8, "{early} calls came in the second that was asked for, 8 were in flight");
}

#[tokio::test]
async fn a_date_and_milliseconds_are_obeyed() {
    let until = date(2);
    let hints = vec![
        Answer::Status(429, vec![("retry-after-ms", "300".into()), ("retry-after", "60".into())], Vec::new()),
        Answer::Status(503, vec![("retry-after", until)], Vec::new()),
    ];
    let endpoint = Endpoint::start(Script::opening_with(hints));
    let reply = settled(&model(&endpoint), &limiter(1), "Go on.").await;
    assert_eq!(verdict(&reply), "reply");
    let at: Vec<Duration> = endpoint.calls().iter().map(|call| call.at).collect();
    assert!(at[1].saturating_sub(at[0]) >= Duration::from_millis(300));
    assert!(
        at[2].saturating_sub(at[1]) >= Duration::from_millis(200),
        "the rest of the two seconds, whole ones as dates are"
    );
}

#[tokio::test]
async fn stray_429s_do_not_stall_the_others() {
    let endpoint = Endpoint::start(Script {
        latency: Duration::from_millis(20),
        ..Script::answering(|call| match call.share() {
            share if share < 0.2 && call.repeat == 0 => Answer::too_many(None),
            _ => Answer::Plausible,
        })
    });
    let (model, limiter) = (model(&endpoint), limiter(16));
    let texts: Vec<String> = (0..200).map(|n| format!("{n}")).collect();
    let outcomes = futures_util::future::join_all(texts.iter().map(|text| settled(&model, &limiter, text))).await;
    assert!(outcomes.iter().all(|outcome| verdict(outcome) == "reply"));
    let calls = endpoint.calls().len();
    assert!((220..=260).contains(&calls), "a fifth of them twice: {calls}");
}

#[tokio::test]
async fn azure_is_reached_by_both_routes() {
    let endpoint = Endpoint::start(Script { key: Some(CANARY.into()), ..Script::default() });
    let deployed = |api_version: Option<&str>| Model {
        endpoint: Some(format!("{}/", endpoint.origin())),
        deployment: Some("chat".into()),
        api_version: api_version.map(str::to_owned),
        auth: AzureAuth::Key,
        timeouts: timeouts(),
        ..Model::default()
    };
    for version in [None, Some("2024-10-21")] {
        let model = Completions::new(azure::endpoint(&deployed(version), &var).unwrap());
        assert_eq!(verdict(&once(&model).await), "reply");
    }
    let calls = endpoint.calls();
    assert_eq!(calls[0].path, "/openai/v1/chat/completions");
    assert_eq!(calls[1].path, "/openai/deployments/chat/chat/completions?api-version=2024-10-21");
    assert!(calls[0].body.contains(r#""model":"chat""#));
}

#[tokio::test]
async fn a_ready_entra_token_goes_as_bearer() {
    let endpoint = Endpoint::start(Script { key: Some("canary-token".into()), ..Script::default() });
    let config = Model {
        endpoint: Some(endpoint.origin()),
        deployment: Some("chat".into()),
        auth: AzureAuth::Entra,
        timeouts: timeouts(),
        ..Model::default()
    };
    let token = |name: &str| (name == "AZURE_OPENAI_AD_TOKEN").then(|| "canary-token".to_owned());
    let model = Completions::new(azure::endpoint(&config, &token).unwrap());
    assert_eq!(verdict(&once(&model).await), "reply");
}

fn turn() -> ReplyFormat {
    let schema = json!({
        "type": "object", "additionalProperties": false, "required": ["end", "next", "text"],
        "properties": {"text": {"type": "string"}, "next": {"type": "string", "enum": ["p1", "p2", "p3"]}, "end": {"type": "boolean"}},
    });
    ReplyFormat::json("turn", schema)
}

#[tokio::test]
async fn json_fits_in_each_way_of_asking() {
    let endpoint = Endpoint::start(Script::default());
    let model = model(&endpoint);
    let ReplyFormat::Json { schema, .. } = turn() else { unreachable!("it is JSON") };
    let in_words = format!("Answer with JSON that fits {} and nothing else.", schema.text());
    for wire in [Structured::JsonSchema, Structured::JsonObject, Structured::None] {
        let reply = model.attempt(&request(&in_words, turn()), wire).await.unwrap();
        let value: Value = serde_json::from_str(&reply.text).unwrap();
        assert!(value["text"].as_str().unwrap().split(' ').count() >= 6, "{value}");
        assert!(["p1", "p2", "p3"].contains(&value["next"].as_str().unwrap()) && value["end"].is_boolean(), "{value}");
    }
    let strict = Endpoint::start(Script { json_schema: false, ..Script::default() });
    let model = Completions::new(openai::endpoint(&config(strict.base_url()), &var).unwrap());
    let refused = model.attempt(&request("x", turn()), Structured::JsonSchema).await;
    assert_eq!(verdict(&refused), "bad request 400");
}

fn shingles(text: &str) -> HashSet<String> {
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    words.windows(3).map(|window| window.join(" ")).collect()
}

#[tokio::test]
async fn situations_and_utterances_are_as_varied_as_tests_need() {
    let endpoint = Endpoint::start(Script::default());
    let model = Arc::new(model(&endpoint));
    let schema = json!({"type": "object", "properties": {
        "personas": {"type": "array", "minItems": 3, "maxItems": 3,
                     "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
        "situation": {"type": "string"}}});
    let mut situations = Vec::new();
    for n in 0..200 {
        let form = ReplyFormat::json("situation", schema.clone());
        let reply = model.attempt(&request(&format!("Number {n}"), form), Structured::JsonSchema).await.unwrap();
        let value: Value = serde_json::from_str(&reply.text).unwrap();
        let names: BTreeSet<&str> =
            value["personas"].as_array().unwrap().iter().map(|p| p["name"].as_str().unwrap()).collect();
        assert_eq!(names.len(), 3, "no two share a name");
        let text = value["situation"].as_str().unwrap().to_owned();
        assert!((25..=60).contains(&text.split(' ').count()), "{text}");
        situations.push(shingles(&text));
    }
    for (at, one) in situations.iter().enumerate() {
        for other in &situations[at + 1..] {
            let shared = one.intersection(other).count() as f64;
            assert!(shared / ((one.len() + other.len()) as f64 - shared) < 0.5);
        }
    }
    let mut openers = HashSet::new();
    for n in 0..200 {
        let text = model.attempt(&said(&format!("Turn {n}")), Structured::None).await.unwrap().text;
        assert!((6..=25).contains(&text.split(' ').count()), "{text}");
        openers.insert(text.split(' ').take(3).collect::<Vec<_>>().join(" "));
    }
    assert!(openers.len() > 120, "{} openers", openers.len());
}

#[tokio::test]
async fn a_dropped_call_frees_its_place() {
    let endpoint = Endpoint::start(Script::answering(|call| match call.index {
        0 => Answer::HangBeforeHeaders,
        _ => Answer::Plausible,
    }));
    let (model, limiter) = (model(&endpoint), limiter(1));
    let begun = Instant::now();
    let cancelled = tokio::time::timeout(Duration::from_millis(200), settled(&model, &limiter, "x")).await;
    assert!(cancelled.is_err() && begun.elapsed() >= Duration::from_millis(200));
    assert_eq!(verdict(&settled(&model, &limiter, "x").await), "reply");
}
