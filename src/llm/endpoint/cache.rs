//! What a request says about the endpoint's prefix cache, where the configuration asks for it.
//!
//! Endpoints refuse fields that they do not know, and which they know differs from one generation of models to the next. So
//! the first request with such fields goes out alone, and the others wait for what becomes of it: it is the probe, and costs
//! nothing more where the fields are taken. A refused field is named to the user and never sent again. An endpoint that turns
//! the request down without naming a field is asked once more without them: if that is answered, all of them are left out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::config::{Breakpoints, PromptCache};
use crate::llm::{ChatRequest, MessageRole};

/// The most breakpoints that a request may have.
const MOST_BREAKPOINTS: usize = 4;

/// The fields, by their names on the wire.
const KEY: &str = "prompt_cache_key";
const RETENTION: &str = "prompt_cache_retention";
const OPTIONS: &str = "prompt_cache_options";

/// What is said about the cache, and what of it the endpoint takes.
#[derive(Debug, Default)]
pub(in crate::llm) struct CacheHints {
    /// What the configuration asks for, less what was refused.
    asked: Mutex<PromptCache>,
    settled: AtomicBool,
    trial: tokio::sync::Mutex<Trial>,
}

/// How far the first requests have got.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Trial {
    /// Nothing was sent yet.
    #[default]
    Open,
    /// A request with the fields was turned down, and no field named.
    Suspect,
}

/// A request's part in the trial. While one is held, no other request is sent.
#[derive(Debug)]
pub(in crate::llm) struct HintedRequest<'a> {
    trial: Option<tokio::sync::MutexGuard<'a, Trial>>,
    /// What this request says.
    fields: PromptCache,
}

impl CacheHints {
    /// What `asked` asks for.
    pub(in crate::llm) fn new(asked: &PromptCache) -> Self {
        let settled = AtomicBool::new(*asked == PromptCache::default());
        Self { asked: Mutex::new(asked.clone()), settled, trial: tokio::sync::Mutex::default() }
    }

    /// Waits for the turn of a request.
    pub(in crate::llm) async fn turn(&self) -> HintedRequest<'_> {
        let mut trial = None;
        if !self.settled.load(Ordering::Acquire) {
            trial = Some(self.trial.lock().await).filter(|_| !self.settled.load(Ordering::Acquire));
        }
        let is_suspect = trial.as_deref() == Some(&Trial::Suspect);
        let fields = if is_suspect { PromptCache::default() } else { self.asked().clone() };
        HintedRequest { trial, fields }
    }

    /// Takes in what became of the request: `status` and `body` of its answer. Whether it is worth sending again.
    pub(in crate::llm) fn judge(&self, turn: HintedRequest<'_>, status: u16, body: &[u8]) -> bool {
        let HintedRequest { trial, fields } = turn;
        let is_refusal = matches!(status, 400 | 422);
        if is_refusal && let Some(name) = named(&fields, &String::from_utf8_lossy(body)) {
            self.leave_out(&[name]);
            return true;
        }
        let Some(mut trial) = trial else { return false };
        match (*trial, status) {
            (Trial::Open, _) if is_refusal && fields != PromptCache::default() => {
                *trial = Trial::Suspect;
                return true;
            }
            // Without them it is answered: the fields were to blame.
            (Trial::Suspect, 200..=299) => {
                let names = names(&self.asked());
                self.leave_out(&names);
            }
            (Trial::Open, 200..=299) => self.settled.store(true, Ordering::Release),
            // It is this request, or the moment; the next one tries the fields again.
            _ => *trial = Trial::Open,
        }
        false
    }

    fn leave_out(&self, refused: &[&'static str]) {
        let mut asked = self.asked();
        let before = asked.clone();
        for name in refused {
            match *name {
                KEY => asked.key = false,
                RETENTION => asked.retention = None,
                OPTIONS => (asked.mode, asked.ttl) = (None, None),
                _ => asked.breakpoints = None,
            }
        }
        if *asked == PromptCache::default() {
            self.settled.store(true, Ordering::Release);
        }
        if *asked != before {
            tracing::warn!(
                fields = refused.join(", "),
                "the endpoint refuses what it is told about its prefix cache; it is left out from now on: take it from prompt_cache of the model"
            );
        }
    }

    fn asked(&self) -> MutexGuard<'_, PromptCache> {
        // No code panics while it holds the lock.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HintedRequest<'_> {
    /// Adds to `body`, which was made of `request`, what the request says.
    pub(in crate::llm) fn dress(&self, body: &mut Value, request: &ChatRequest) {
        let Some(object) = body.as_object_mut() else { return };
        let PromptCache { key, retention, mode, ttl, breakpoints } = &self.fields;
        if *key {
            object.insert(KEY.to_owned(), json!(cache_key(request)));
        }
        if let Some(retention) = retention {
            object.insert(RETENTION.to_owned(), json!(retention));
        }
        let options = [("mode", mode.map(|mode| json!(mode))), ("ttl", ttl.as_ref().map(|ttl| json!(ttl)))];
        let options = options.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let options: serde_json::Map<String, Value> = options.collect();
        if !options.is_empty() {
            object.insert(OPTIONS.to_owned(), Value::Object(options));
        }
        if let (Some(how), Some(Value::Array(messages))) = (breakpoints, object.get_mut("messages")) {
            mark(messages, request, *how);
        }
    }

    /// Whether the request says anything.
    pub(in crate::llm) fn is_bare(&self) -> bool {
        self.fields == PromptCache::default()
    }
}

/// The same for all requests that begin alike: those of a conversation to one role, in `agent_first` to one speaker. What comes
/// behind the first message and the first line of the second may differ from turn to turn.
fn cache_key(request: &ChatRequest) -> String {
    let list = request.messages.list();
    let text = |at: usize| list.get(at).map(|message| message.content.as_str()).unwrap_or_default();
    let line = text(1).lines().next().unwrap_or_default();
    format!("convogen-{}", crate::record::content_hash([text(0), line]))
}

/// The names of what `fields` puts into a request.
fn names(fields: &PromptCache) -> Vec<&'static str> {
    let PromptCache { key, retention, mode, ttl, breakpoints } = fields;
    let all = [
        (KEY, *key),
        (RETENTION, retention.is_some()),
        (OPTIONS, mode.is_some() || ttl.is_some()),
        (breakpoint(breakpoints.unwrap_or(Breakpoints::CacheControl)).0, breakpoints.is_some()),
    ];
    all.into_iter().filter(|(_, is_sent)| *is_sent).map(|(name, _)| name).collect()
}

/// The field that a complaint names, of those that were sent.
fn named(fields: &PromptCache, complaint: &str) -> Option<&'static str> {
    names(fields).into_iter().find(|name| complaint.contains(name))
}

/// How a breakpoint is written.
fn breakpoint(how: Breakpoints) -> (&'static str, Value) {
    match how {
        Breakpoints::CacheControl => ("cache_control", json!({"type": "ephemeral"})),
        Breakpoints::PromptCacheBreakpoint => ("prompt_cache_breakpoint", json!({"mode": "explicit"})),
    }
}

/// Marks the last places up to which messages stay the same, as far as they are sent as they are.
fn mark(messages: &mut [Value], request: &ChatRequest, how: Breakpoints) {
    let list = request.messages.list();
    let is_sent = |at: usize| {
        let message = list.get(at).filter(|message| message.role != MessageRole::Assistant);
        message.is_some_and(|message| {
            messages.get(at).and_then(|sent| sent.get("content")?.as_str()) == Some(&message.content)
        })
    };
    let places: Vec<(usize, usize)> =
        request.messages.stable().iter().copied().filter(|(at, _)| is_sent(*at)).collect();
    let marked = places.get(places.len().saturating_sub(MOST_BREAKPOINTS)..).unwrap_or_default();
    for run in marked.chunk_by(|one, other| one.0 == other.0) {
        let Some((at, _)) = run.first() else { continue };
        let Some(content) = messages.get_mut(*at).and_then(|message| message.get_mut("content")) else { continue };
        let text = content.as_str().unwrap_or_default().to_owned();
        *content = parts(&text, run.iter().map(|(_, place)| *place), how);
    }
}

/// A text in parts that end at `places`, each of them marked.
fn parts(text: &str, places: impl Iterator<Item = usize>, how: Breakpoints) -> Value {
    let (field, value) = breakpoint(how);
    let (mut parts, mut start) = (Vec::new(), 0);
    for place in places {
        let Some(part) = text.get(start..place).filter(|part| !part.is_empty()) else { continue };
        parts.push(json!({"type": "text", "text": part, field: value}));
        start = place;
    }
    if let Some(rest) = text.get(start..).filter(|rest| !rest.is_empty()) {
        parts.push(json!({"type": "text", "text": rest}));
    }
    Value::Array(parts)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;
    use crate::config::{CacheMode, CacheRetention};
    use crate::llm::Message;

    fn request(messages: Vec<Message>) -> ChatRequest {
        ChatRequest::plain(messages, 9)
    }

    fn everything() -> PromptCache {
        PromptCache {
            key: true,
            retention: Some(CacheRetention::Day),
            mode: Some(CacheMode::Explicit),
            ttl: Some("30m".into()),
            breakpoints: Some(Breakpoints::CacheControl),
        }
    }

    /// What a request that is sent now says.
    async fn sent(hints: &CacheHints) -> Vec<&'static str> {
        names(&hints.turn().await.fields)
    }

    #[tokio::test]
    async fn nothing_is_sent_unless_asked_for() {
        let hints = CacheHints::new(&PromptCache::default());
        let (one, other) = (hints.turn().await, hints.turn().await);
        assert!(one.is_bare() && other.is_bare(), "and nobody waits");
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_goes_out_alone_and_what_is_taken_stays() {
        let hints = CacheHints::new(&everything());
        let first = hints.turn().await;
        assert!(timeout(Duration::from_secs(9), hints.turn()).await.is_err(), "the others wait");
        assert!(!hints.judge(first, 200, b"{}"));
        let (one, other) = (hints.turn().await, hints.turn().await);
        assert!(!one.is_bare() && !other.is_bare());
        let bad = hints.turn().await;
        assert!(!hints.judge(bad, 400, b"the prompt is too long"), "a request's own fault, once the fields are known");
        assert_eq!(sent(&hints).await.len(), 4);
    }

    #[tokio::test]
    async fn a_refused_field_is_left_out_and_the_others_are_still_sent() {
        let hints = CacheHints::new(&everything());
        let complaint = br#"{"error": {"message": "prompt_cache_retention is not supported with this model"}}"#;
        assert!(hints.judge(hints.turn().await, 400, complaint), "worth another attempt");
        assert_eq!(sent(&hints).await, [KEY, OPTIONS, "cache_control"]);
        assert!(hints.judge(hints.turn().await, 422, b"extra inputs: cache_control"));
        assert!(!hints.judge(hints.turn().await, 200, b"{}"));
        assert_eq!(sent(&hints).await, [KEY, OPTIONS]);
        assert!(hints.judge(hints.turn().await, 400, b"unknown prompt_cache_options"), "later too");
        assert_eq!(sent(&hints).await, [KEY]);
    }

    #[tokio::test]
    async fn a_refusal_without_a_name_is_held_against_the_fields_only_if_it_goes_away_with_them() {
        let hints = CacheHints::new(&everything());
        for (status, is_to_blame) in [(400, false), (429, false), (200, true)] {
            assert!(hints.judge(hints.turn().await, 400, b"bad request"));
            let bare = hints.turn().await;
            assert!(bare.is_bare());
            assert!(!hints.judge(bare, status, b"bad request"));
            assert_eq!(sent(&hints).await.is_empty(), is_to_blame, "{status}");
        }
    }

    #[tokio::test]
    async fn a_request_that_never_ends_its_turn_leaves_it_to_the_next() {
        let hints = CacheHints::new(&everything());
        drop(hints.turn().await);
        assert_eq!(sent(&hints).await.len(), 4);
    }

    #[tokio::test]
    async fn fields_and_breakpoints_stand_where_endpoints_look_for_them() {
        let talk = Message::user("opener\n\nA: one\nB: two\n\nNow A speaks.").stable_to(&[14, 21]);
        let request = request(vec![Message::system("rules"), talk]);
        let mut body = json!({"messages": request.messages.list(), "model": "m"});
        let plain = body.clone();
        CacheHints::new(&PromptCache::default()).turn().await.dress(&mut body, &request);
        assert_eq!(body, plain);
        CacheHints::new(&everything()).turn().await.dress(&mut body, &request);
        let part = |text: &str| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}});
        assert_eq!(
            body,
            json!({"model": "m", "prompt_cache_key": body["prompt_cache_key"], "prompt_cache_retention": "24h",
                   "prompt_cache_options": {"mode": "explicit", "ttl": "30m"},
                   "messages": [{"role": "system", "content": "rules"},
                                {"role": "user", "content": [part("opener\n\nA: one"), part("\nB: two"),
                                                             {"type": "text", "text": "\n\nNow A speaks."}]}]})
        );
        assert_ne!(
            cache_key(&request),
            cache_key(&self::request(vec![Message::system("rules"), Message::user("other")]))
        );
    }

    #[test]
    fn marks_go_by_the_messages_as_they_are_sent() {
        let list = vec![Message::user("a\n\nb").stable_to(&[1]), Message::assistant("c").stable_to(&[1])];
        let request = request(list);
        let mut merged =
            vec![json!({"role": "user", "content": "rules\n\na\n\nb"}), json!({"role": "assistant", "content": "c"})];
        let before = merged.clone();
        mark(&mut merged, &request, Breakpoints::PromptCacheBreakpoint);
        assert_eq!(merged, before, "another text, and an assistant's");
    }
}
