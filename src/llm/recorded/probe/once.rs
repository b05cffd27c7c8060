//! A model asked once, outside of any run: whether it answers, and how it takes a schema.

use super::{around, fits, speaks_of_form};
use crate::llm::recorded::ModelProfile;
use crate::llm::{AttemptError, ChatModel, ChatRequest, Message, ReplyFormat, Structured, Usage};

/// Most tokens of the reply, unless the model is allowed fewer. Reasoning models use some before their first word.
const MOST_TOKENS: u32 = 256;

/// How a model takes the form that it is asked to answer in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FormTaken {
    /// It keeps to a schema.
    Kept,
    /// It answers, and not as the schema says.
    Ignored,
    /// It answers only where no schema is sent; what it said of the schema.
    Refused(String),
}

/// What a model answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Greeting {
    /// Whether it keeps to a schema. `None`: it was not asked to.
    pub form: Option<FormTaken>,
    /// What that cost.
    pub usage: Usage,
}

/// Asks for a greeting, by a schema if `by_schema`; where the endpoint does not take that, once more without.
///
/// # Errors
/// If the model does not answer.
pub(crate) async fn greet(
    model: &dyn ChatModel,
    profile: &ModelProfile,
    by_schema: bool,
) -> Result<Greeting, AttemptError> {
    let schema = serde_json::json!({"type": "string"});
    let plain = ChatRequest {
        model: profile.model.clone(),
        messages: vec![Message::user("Greet the people in the room.")].into(),
        temperature: profile.temperature,
        top_p: profile.top_p,
        max_tokens: profile.max_tokens.min(MOST_TOKENS),
        stop: Vec::new(),
        seed: 0,
        format: ReplyFormat::Text { prefix: None },
        extra: profile.extra.clone(),
    };
    if !by_schema {
        let reply = model.attempt(&plain, Structured::None).await?;
        return Ok(Greeting { form: None, usage: reply.usage });
    }
    let formed = ChatRequest { format: ReplyFormat::json("verdict", around(&schema)), ..plain.clone() };
    match model.attempt(&formed, Structured::JsonSchema).await {
        Ok(reply) => {
            let form = if fits(&reply.text) { FormTaken::Kept } else { FormTaken::Ignored };
            Ok(Greeting { form: Some(form), usage: reply.usage })
        }
        Err(AttemptError::BadRequest { message, status }) if speaks_of_form(&message) || status == 400 => {
            let reply = model.attempt(&plain, Structured::None).await?;
            Ok(Greeting { form: Some(FormTaken::Refused(message)), usage: reply.usage })
        }
        Err(error) => Err(error),
    }
}
