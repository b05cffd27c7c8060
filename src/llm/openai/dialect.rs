//! What an endpoint said it does not take, and a request's parts in the form it does.
//!
//! Learnt once, from an answer that was an error; each such answer is a request of its own and is counted as one. Nothing here
//! is part of a reply's key: it is how a request is put on the wire, not what is asked.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;
use serde_json::value::RawValue;

use super::complaint::NotTaken;
use crate::llm::{Message, MessageRole, Messages, Schema};

/// What an endpoint was found not to take.
#[derive(Debug, Default)]
pub(super) struct Dialect {
    max_completion_tokens: AtomicBool,
    no_stop: AtomicBool,
    no_system: AtomicBool,
    /// Keywords of schemas that are left out.
    keywords: Mutex<BTreeSet<&'static str>>,
}

impl Dialect {
    /// Notes what is not taken. A setting stays as it was set: that is for the user to change.
    pub(super) fn learn(&self, not_taken: NotTaken) {
        match not_taken {
            NotTaken::MaxTokens => self.max_completion_tokens.store(true, Ordering::Relaxed),
            NotTaken::Stop => self.no_stop.store(true, Ordering::Relaxed),
            NotTaken::System => self.no_system.store(true, Ordering::Relaxed),
            NotTaken::Keyword(keyword) => drop(self.keywords().insert(keyword)),
            NotTaken::Setting(_) => {}
        }
    }

    /// Whether the limit of a reply is called `max_completion_tokens`.
    pub(super) fn renames_limit(&self) -> bool {
        self.max_completion_tokens.load(Ordering::Relaxed)
    }

    /// Whether stop texts are left out.
    pub(super) fn has_no_stop(&self) -> bool {
        self.no_stop.load(Ordering::Relaxed)
    }

    /// The keywords of schemas that are left out.
    pub(super) fn left_out(&self) -> BTreeSet<&'static str> {
        self.keywords().clone()
    }

    /// The messages as they are sent.
    pub(super) fn messages<'a>(&self, messages: &'a Messages) -> Cow<'a, Messages> {
        if self.no_system.load(Ordering::Relaxed) {
            Cow::Owned(Messages::from(without_system(messages.list())))
        } else {
            Cow::Borrowed(messages)
        }
    }

    /// A schema as it is sent.
    pub(super) fn schema<'a>(&self, schema: &'a Schema) -> Cow<'a, RawValue> {
        let dropped = self.keywords();
        if dropped.is_empty() {
            return Cow::Borrowed(schema.strict());
        }
        let strict: Value = serde_json::from_str(schema.strict().get()).unwrap_or_default();
        match serde_json::value::to_raw_value(&without_keywords(&strict, &dropped)) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(schema.strict()),
        }
    }

    fn keywords(&self) -> std::sync::MutexGuard<'_, BTreeSet<&'static str>> {
        // No code panics while it holds the lock.
        self.keywords.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The messages for a template that knows no system and wants user and assistant in turns: what the system says stands at the
/// start of the first message of the user, and messages in a row from one side are one.
fn without_system(messages: Vec<Message>) -> Vec<Message> {
    let mut out: Vec<Message> = Vec::new();
    for message in messages {
        let role = if message.role == MessageRole::System { MessageRole::User } else { message.role };
        match out.last_mut().filter(|last| last.role == role) {
            Some(last) => last.content = format!("{}\n\n{}", last.content, message.content),
            None => out.push(Message { role, ..message }),
        }
    }
    out
}

/// A schema without `dropped`; the names of properties are no keywords.
fn without_keywords(schema: &Value, dropped: &BTreeSet<&'static str>) -> Value {
    let inner = |value: &Value| without_keywords(value, dropped);
    match schema {
        Value::Object(keys) => {
            let kept = keys.iter().filter(|(key, _)| !dropped.contains(key.as_str()));
            let kept = kept.map(|(key, value)| match (key.as_str(), value) {
                ("properties", Value::Object(named)) => {
                    let named = named.iter().map(|(name, schema)| (name.clone(), inner(schema)));
                    (key.clone(), Value::Object(named.collect()))
                }
                _ => (key.clone(), inner(value)),
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(inner).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_system_says_goes_to_the_start_of_the_first_message_and_sides_take_turns() {
        let dialect = Dialect::default();
        let messages = Messages::from(vec![
            Message::system("rules"),
            Message::user("a"),
            Message::user("b"),
            Message::assistant("c"),
            Message::user("d"),
        ]);
        assert_eq!(dialect.messages(&messages).list().len(), 5);
        dialect.learn(NotTaken::System);
        let sent = dialect.messages(&messages).list();
        assert_eq!(sent, [Message::user("rules\n\na\n\nb"), Message::assistant("c"), Message::user("d")]);
    }

    #[test]
    fn a_keyword_is_left_out_wherever_it_stands_and_a_property_of_its_name_stays() {
        let dialect = Dialect::default();
        let list = json!({"type": "array", "minItems": 1, "description": "d", "items": {"enum": ["minItems"]}});
        let schema =
            Schema::from(json!({"type": "object", "properties": {"description": list, "minItems": {"type": "string"}},
                                         "required": ["description"]}));
        assert_eq!(dialect.schema(&schema).get(), schema.strict().get());
        dialect.learn(NotTaken::Keyword("minItems"));
        dialect.learn(NotTaken::Keyword("description"));
        let sent: Value = serde_json::from_str(dialect.schema(&schema).get()).unwrap();
        let list = json!({"type": "array", "items": {"enum": ["minItems"]}});
        assert_eq!(
            sent,
            json!({"type": "object", "properties": {"description": list, "minItems": {"type": "string"}},
                                "required": ["description"]})
        );
    }
}
