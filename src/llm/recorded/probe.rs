//! How an endpoint is asked for JSON.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::OnceCell;

use super::{CallGateway, CallSite, ModelEndpoint, ModelProfile, NO_ANSWER, Recorded, key, not_recorded};
use crate::llm::{Answer, Halt, Message, ReplyFormat, Role, Structured, StructuredSupport};

impl CallGateway {
    /// How to ask this model for JSON: known, configured, or found out by a recorded call.
    pub(super) async fn wire(&self, line: &Arc<ModelEndpoint>) -> Result<Structured, Halt> {
        match line.structured {
            StructuredSupport::Native => Ok(Structured::JsonSchema),
            StructuredSupport::Fixed(wire) => Ok(wire),
            StructuredSupport::Probe => self.verdict_on(line).get_or_try_init(|| self.probe(line)).await.copied(),
        }
    }

    /// Where the verdict on `line` is kept. Models of one name and sampling are probed under one key, so they share it:
    /// no key is asked for twice in a process.
    fn verdict_on<'a>(&'a self, line: &'a ModelEndpoint) -> &'a OnceCell<Structured> {
        let ModelProfile { model, temperature, top_p, .. } = &line.profile;
        let same = |other: &&Arc<ModelEndpoint>| {
            let ModelProfile { model: name, temperature: warmth, top_p: mass, .. } = &other.profile;
            (name, warmth, mass) == (model, temperature, top_p)
        };
        self.lines.values().find(same).map_or(&line.wire, |first| &first.wire)
    }

    /// Finds out whether the endpoint makes replies fit a schema.
    ///
    /// The words ask for a greeting, the schema for one fixed value: only an endpoint that enforces schemas answers with
    /// the value. Servers that ignore the field would pass a probe whose words say the same as its schema.
    async fn probe(&self, line: &Arc<ModelEndpoint>) -> Result<Structured, Halt> {
        let format = ReplyFormat::json(
            "verdict",
            json!({
                "type": "object",
                "properties": {"verdict": {"type": "string", "enum": ["structured"]}},
                "required": ["verdict"],
                "additionalProperties": false,
            }),
        );
        let name = line.profile.model.clone();
        for (attempt, wire) in [(0, Structured::JsonSchema), (1, Structured::JsonObject)] {
            let words = match wire {
                Structured::JsonSchema => "Greet the people in the room.",
                _ => "Answer with a JSON object that has the one key \"verdict\" with the value \"structured\".",
            };
            let site = CallSite { stage: "probe", item: &name, turn: 0, role: Role::Probe, attempt };
            let request = self.request(line, &site, vec![Message::user(words)], format.clone(), 64);
            let answer = match self.recorded(key(&site, &request), &site).await? {
                Recorded::Answer(answer) => answer,
                Recorded::Nothing { key } => match line.model.as_deref() {
                    Some(model) => self.make(line, model, &site, &request, wire, &key).await?,
                    None => return Err(not_recorded(&site)),
                },
            };
            if let Answer::Failed { reason, message } = &answer
                && reason == NO_ANSWER
            {
                return Err(self.control.stop(Halt::Endpoint { message: message.clone() }));
            }
            if let Answer::Reply(reply) = answer {
                let value: Option<serde_json::Value> = serde_json::from_str(reply.text.trim()).ok();
                if value.is_some_and(|value| value == json!({"verdict": "structured"})) {
                    return Ok(wire);
                }
            }
        }
        Ok(Structured::None)
    }
}
