//! The verdict of a probe: recorded under a key of its own, and a line for people.

use serde::{Deserialize, Serialize};

use super::STAGE;
use crate::llm::entries::RecordedReply;
use crate::llm::recorded::{CallGateway, CallSite, ModelEndpoint, key};
use crate::llm::{Answer, Finish, Halt, Message, Reply, ReplyFormat, Role, Structured, Usage};
use crate::store::journal::EntryKind;

/// How an endpoint is asked for JSON, as it was found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProbeVerdict {
    /// The form.
    pub asks: Structured,
    /// Keywords of schemas that it does not take.
    pub left_out: Vec<String>,
}

impl ProbeVerdict {
    /// What was recorded, if `reply` is a verdict.
    pub(crate) fn of(recorded: &RecordedReply) -> Option<Self> {
        match &recorded.answer {
            Answer::Reply(reply) if recorded.role == Role::Probe => serde_json::from_str(&reply.text).ok(),
            _ => None,
        }
    }

    /// A line for people.
    pub(crate) fn told(&self, model: &str) -> String {
        let asks = match self.asks {
            Structured::JsonSchema => "by a JSON schema, which it keeps to",
            Structured::JsonObjectSchema => "as a JSON object with a schema, which it keeps to",
            Structured::JsonObject => "as a JSON object; the prompt shows the schema",
            Structured::None => "in words, since it takes no response_format; the prompt shows the schema",
        };
        let left_out = match self.left_out.as_slice() {
            [] => String::new(),
            keywords => format!("; {} left out, since it does not take that, and checked here", keywords.join(", ")),
        };
        format!("{model} is asked for JSON {asks}{left_out}")
    }
}

impl CallGateway {
    /// The verdict on record.
    pub(super) async fn recorded_verdict(&self, line: &ModelEndpoint) -> Result<Option<ProbeVerdict>, Halt> {
        let name = line.profile.model.clone();
        let (site, key) = self.verdict_place(line, &name);
        let Some(Answer::Reply(reply)) = self.look_up(&key, &site).await? else { return Ok(None) };
        Ok(serde_json::from_str(&reply.text).ok())
    }

    /// Records a verdict. It cost nothing itself.
    pub(super) async fn record_verdict(&self, line: &ModelEndpoint, verdict: &ProbeVerdict) -> Result<(), Halt> {
        let name = line.profile.model.clone();
        let (site, key) = self.verdict_place(line, &name);
        let text = serde_json::to_string(verdict).unwrap_or_default();
        let answer = Answer::Reply(Reply { text, finish: Finish::Stop, usage: Usage::default() });
        let recorded = RecordedReply { role: Role::Probe, answer, requests: 0, ms: 0, inherited: false };
        self.write(EntryKind::Reply, &key, &site, &recorded).await
    }

    fn verdict_place<'a>(&self, line: &ModelEndpoint, name: &'a str) -> (CallSite<'a>, String) {
        let site = CallSite { stage: STAGE, item: name, turn: 1, role: Role::Probe, attempt: 0 };
        let words = vec![Message::user("verdict")];
        let request = self.request(line, &site, words, ReplyFormat::Text { prefix: None }, 0);
        let key = key(&site, &request);
        (site, key)
    }
}
