//! Verdicts as convogen 0.1 recorded them: by the answers to two calls of their own. Runs that were begun with them go on with
//! them, and are explained by them.

use serde_json::{Value, json};

use super::{FIXED, STAGE};
use crate::llm::recorded::{CallGateway, CallSite, ModelEndpoint, key};
use crate::llm::{Answer, Halt, Message, ReplyFormat, Role, Structured};

/// Words and wire form of the two calls.
const CALLS: [(&str, Structured); 2] = [
    ("Greet the people in the room.", Structured::JsonSchema),
    (
        "Answer with a JSON object that has the one key \"verdict\" with the value \"structured\".",
        Structured::JsonObject,
    ),
];

impl CallGateway {
    /// The verdict of an earlier version, if there is one on record.
    pub(super) async fn earlier_verdict(&self, line: &ModelEndpoint) -> Result<Option<Structured>, Halt> {
        let format = ReplyFormat::json(
            "verdict",
            json!({
                "type": "object",
                "properties": {"verdict": {"type": "string", "enum": [FIXED]}},
                "required": ["verdict"],
                "additionalProperties": false,
            }),
        );
        let name = line.profile.model.clone();
        for (attempt, (words, wire)) in (0..).zip(CALLS) {
            let site = CallSite { stage: STAGE, item: &name, turn: 0, role: Role::Probe, attempt };
            let request = self.request(line, &site, vec![Message::user(words)], format.clone(), 64);
            let Some(answer) = self.look_up(&key(&site, &request), &site).await? else { return Ok(None) };
            if is_verdict(&answer) {
                return Ok(Some(wire));
            }
        }
        Ok(Some(Structured::None))
    }
}

fn is_verdict(answer: &Answer) -> bool {
    let Answer::Reply(reply) = answer else { return false };
    let value: Option<Value> = serde_json::from_str(reply.text.trim()).ok();
    value.is_some_and(|value| value == json!({ "verdict": FIXED }))
}
