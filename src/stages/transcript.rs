//! A finished conversation as those see it who screen and score it, and the way they are asked: once, and once again with
//! the reason where the reply could not be used. What was said is data to them, never an instruction.

use serde::Serialize;
use serde_json::Value;

use crate::llm::recorded::{CallGateway, CallSite};
use crate::llm::{Answer, Halt, Message, ReplyFormat};
use crate::prompt::reading;
use crate::prompt::template::{PromptError, Template};
use crate::record::Conversation;

/// Times of asking.
pub(super) const TRIES: u32 = 2;
/// The sections of a prompt that shows a transcript.
const SECTIONS: &[&str] = &["system", "user", "repair"];

/// A line of a transcript and the turn it is; the conversation starter is no turn and has no speaker.
pub(super) fn lines(conversation: &Conversation) -> Vec<(Option<u32>, String)> {
    let starter = (None, one_line(&conversation.conversation_starter));
    let turns = conversation.turns.iter();
    let turns = turns.map(|turn| (Some(turn.index), one_line(&format!("{}: {}", turn.speaker, turn.text))));
    [starter].into_iter().chain(turns).filter(|(_, line)| !line.is_empty()).collect()
}

/// The transcript, a line each.
pub(super) fn text(conversation: &Conversation) -> String {
    lines(conversation).into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// Text on one line, white space evened out. Nothing in it closes the element that a prompt puts it into.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace("</", "< /")
}

/// Reads a prompt that shows a transcript.
pub(super) fn prompt(name: &str, text: &str, variables: &[&str]) -> Result<Template, PromptError> {
    Template::parse(name, text, SECTIONS, variables)
}

/// What asking came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AskOutcome<T> {
    /// A reply that could be used.
    Read(T),
    /// None could; the last one's flaw, in a word.
    Unusable(&'static str),
    /// A content filter or the model refused; its category.
    Refused(String),
    /// The endpoint failed; the reason in a word.
    Failed(String),
}

/// Why a reply cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unusable {
    /// In a word, as it is counted.
    pub(super) name: &'static str,
    /// For the model that is asked again.
    pub(super) reason: &'static str,
}

/// A reply without the JSON that was asked for.
pub(super) const MALFORMED: Unusable =
    Unusable { name: "malformed", reason: "it was not one JSON object with all of the keys and values asked for" };

/// Asks with the sections of `prompt`, filled with `values`, until `read` makes something of the reply or [`TRIES`] are used up.
pub(super) async fn ask<T>(
    calls: &CallGateway,
    site: CallSite<'_>,
    prompt: &Template,
    values: &(impl Serialize + Sync),
    format: &ReplyFormat,
    read: impl Fn(&Value) -> Result<T, Unusable> + Sync,
) -> Result<AskOutcome<T>, Halt> {
    let system = prompt.render("system", values)?;
    let user = prompt.render("user", values)?;
    let keys = required(format);
    let mut last = MALFORMED;
    for attempt in 0..TRIES {
        let mut user = user.clone();
        if attempt > 0 {
            let repair = prompt.render("repair", &serde_json::json!({"flaw": last.reason}))?;
            user = format!("{user}\n\n{repair}");
        }
        let messages = vec![Message::system(system.clone()), Message::user(user)];
        let reply = match calls.ask(&CallSite { attempt, ..site }, messages, format.clone()).await? {
            Answer::Reply(reply) => reply,
            Answer::Refused { category, .. } => return Ok(AskOutcome::Refused(category)),
            Answer::Failed { reason, .. } => return Ok(AskOutcome::Failed(reason)),
        };
        match reading::json(&reply.text, &keys).map_err(|_| MALFORMED).and_then(|value| read(&value)) {
            Ok(read) => return Ok(AskOutcome::Read(read)),
            Err(unusable) => last = unusable,
        }
    }
    Ok(AskOutcome::Unusable(last.name))
}

/// The keys that the object of a form has to have.
fn required(format: &ReplyFormat) -> Vec<&str> {
    let ReplyFormat::Json { schema, .. } = format else { return Vec::new() };
    let keys = schema.get("required").and_then(Value::as_array);
    keys.into_iter().flatten().filter_map(Value::as_str).collect()
}
