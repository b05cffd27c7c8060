//! How an endpoint is asked for JSON.
//!
//! The probe asks what will be asked: with the schema and the limit of the call that wants to know. Its words ask for a
//! greeting, its schema for one fixed value beside the real thing: only an endpoint that enforces schemas answers with the value.
//! Servers that ignore the field would pass a probe whose words say the same as its schema.
//!
//! A form that is refused, or that a server breaks on, is not supported where a plain call succeeds. Where that fails too the
//! run stops, no verdict is drawn, and the next process asks anew. A verdict is recorded, and holds: another would change what
//! was asked of everything after it.

mod earlier;
pub(crate) mod once;
mod verdict;

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{CallGateway, CallSite, ModelEndpoint, ModelProfile, PendingCall, Recorded, key, not_recorded};
use crate::exit::ExitCode;
use crate::llm::evidence::more_room;
use crate::llm::{Answer, ChatRequest, Finish, Halt, Message, Reply, ReplyFormat, Role, Structured, StructuredSupport};
use crate::prompt::reading;

pub(crate) use verdict::ProbeVerdict;

/// The value that only an enforced schema brings about.
const FIXED: &str = "structured";
/// The stage of probes in keys.
const STAGE: &str = "probe";
/// The forms in the order in which they are tried.
const FORMS: [Structured; 3] = [Structured::JsonSchema, Structured::JsonObjectSchema, Structured::JsonObject];
/// Calls of one round of probing that have numbers of their own.
const ROUND: u32 = 16;
/// The number of the plain call of a round.
const PLAIN: u32 = 15;

/// Whether this is a probe of a form of asking for JSON. A server that breaks on one does so every time.
pub(super) fn is_of_a_form(site: &CallSite<'_>, wire: Structured) -> bool {
    site.role == Role::Probe && wire != Structured::None
}

/// What a form came to.
enum Tried {
    /// The reply has the value.
    Fits,
    /// It has not.
    Astray,
    /// It ended before its first word: reasoning used up this many tokens.
    UsedUp(u32),
    /// There was no reply.
    Refused(String),
}

/// The call that wants to know.
struct Asker<'a> {
    role: Role,
    schema: &'a Value,
    max_tokens: u32,
    /// How often the endpoint was probed before, by processes that stopped without a verdict.
    round: u32,
}

impl CallGateway {
    /// How to ask this model for JSON: known, configured, or found out by recorded calls.
    pub(super) async fn wire(
        &self,
        endpoint: &Arc<ModelEndpoint>,
        role: Role,
        format: &ReplyFormat,
        max_tokens: u32,
    ) -> Result<Structured, Halt> {
        match endpoint.structured {
            StructuredSupport::Native => Ok(Structured::JsonSchema),
            StructuredSupport::Fixed(wire) => Ok(wire),
            StructuredSupport::Probe => {
                let found =
                    self.verdict_on(endpoint).get_or_try_init(|| self.settle(endpoint, role, format, max_tokens));
                found.await.copied()
            }
        }
    }

    /// Where the verdict on `endpoint` is kept. Models of one name and sampling are probed under one key, so they share it:
    /// no key is asked for twice in a process.
    fn verdict_on<'a>(&'a self, endpoint: &'a ModelEndpoint) -> &'a OnceCell<Structured> {
        let ModelProfile { model, temperature, top_p, extra, .. } = &endpoint.profile;
        let same = |other: &&Arc<ModelEndpoint>| {
            let ModelProfile { model: name, temperature: warmth, top_p: mass, extra: more, .. } = &other.profile;
            (name, warmth, mass, more) == (model, temperature, top_p, extra)
        };
        self.endpoints.values().find(same).map_or(&endpoint.wire, |first| &first.wire)
    }

    /// The verdict on record, else a new one.
    async fn settle(
        &self,
        endpoint: &Arc<ModelEndpoint>,
        role: Role,
        format: &ReplyFormat,
        max_tokens: u32,
    ) -> Result<Structured, Halt> {
        if let Some(verdict) = self.recorded_verdict(endpoint).await? {
            return Ok(self.announce(endpoint, &verdict));
        }
        if let Some(wire) = self.earlier_verdict(endpoint).await? {
            return Ok(wire);
        }
        let ReplyFormat::Json { schema, .. } = format else { return Ok(Structured::None) };
        let asker = Asker { role, schema, max_tokens, round: self.rounds_in_vain(endpoint, max_tokens).await? };
        let wire = self.probe(endpoint, &asker).await?;
        let left_out = endpoint.model.as_ref().map(|model| model.left_out()).unwrap_or_default();
        let verdict = ProbeVerdict { asks: wire, left_out: left_out.into_iter().map(str::to_owned).collect() };
        self.record_verdict(endpoint, &verdict).await?;
        Ok(self.announce(endpoint, &verdict))
    }

    fn announce(&self, endpoint: &ModelEndpoint, verdict: &ProbeVerdict) -> Structured {
        if endpoint.model.is_some() {
            self.control.tell(verdict.told(&endpoint.profile.model));
        }
        verdict.asks
    }

    async fn probe(&self, endpoint: &Arc<ModelEndpoint>, asker: &Asker<'_>) -> Result<Structured, Halt> {
        let mut answers = false;
        for (at, form) in (0_u32..).zip(FORMS) {
            let mut tried = self.try_form(endpoint, asker, form, 3 * at, asker.max_tokens).await?;
            if let Tried::UsedUp(_) = tried {
                tried = self.try_form(endpoint, asker, form, 3 * at + 1, asker.max_tokens.saturating_mul(2)).await?;
            }
            if let (Tried::Refused(said), false) = (&tried, answers) {
                self.require_plain(endpoint, asker, said).await?;
                // A server that failed once may only have had a bad moment.
                if !speaks_of_form(said) {
                    tried = self.try_form(endpoint, asker, form, 3 * at + 2, asker.max_tokens).await?;
                }
            }
            match tried {
                Tried::Fits => return Ok(form),
                Tried::UsedUp(tokens) => return Err(self.control.stop(used_up(asker.role, tokens))),
                Tried::Astray | Tried::Refused(_) => answers = true,
            }
        }
        Ok(Structured::None)
    }

    async fn try_form(
        &self,
        endpoint: &Arc<ModelEndpoint>,
        asker: &Asker<'_>,
        form: Structured,
        number: u32,
        max_tokens: u32,
    ) -> Result<Tried, Halt> {
        let words = match form {
            Structured::JsonSchema | Structured::JsonObjectSchema => "Greet the people in the room.",
            _ => "Answer with a JSON object that has the one key \"verdict\" with the value \"structured\".",
        };
        let format = ReplyFormat::json("verdict", around(asker.schema));
        Ok(match self.ask_probe(endpoint, asker.round, number, (words, format, max_tokens), form).await? {
            Answer::Reply(reply) if fits(&reply.text) => Tried::Fits,
            // No form promises more than an object here; which one is for the prompt to say.
            Answer::Reply(reply) if form == Structured::JsonObject && is_bare_object(&reply) => Tried::Fits,
            Answer::Reply(reply) if reply.finish == Finish::Length && reply.text.trim().is_empty() => {
                Tried::UsedUp(max_tokens)
            }
            Answer::Reply(_) => Tried::Astray,
            Answer::Refused { message, .. } | Answer::Failed { message, .. } => Tried::Refused(message),
        })
    }

    /// Stops the run unless a call without a form of reply succeeds: then it is not the form that is refused.
    async fn require_plain(&self, endpoint: &Arc<ModelEndpoint>, asker: &Asker<'_>, said: &str) -> Result<(), Halt> {
        let plain = plain(asker.max_tokens);
        match self.ask_probe(endpoint, asker.round, PLAIN, plain, Structured::None).await? {
            Answer::Reply(_) => Ok(()),
            Answer::Refused { message, .. } | Answer::Failed { message, .. } => {
                let target = endpoint.model.as_ref().map(|model| model.target()).unwrap_or_default();
                let first = if message == said { String::new() } else { format!("; before that: {said}") };
                let message = format!("{target} does not answer a short test message either: {message}{first}");
                Err(self.control.stop(Halt::Endpoint { message }))
            }
        }
    }

    /// Asks one of the calls of a probe, unless it is on record.
    async fn ask_probe(
        &self,
        endpoint: &Arc<ModelEndpoint>,
        round: u32,
        number: u32,
        asked: (&str, ReplyFormat, u32),
        wire: Structured,
    ) -> Result<Answer, Halt> {
        let name = endpoint.profile.model.clone();
        let (site, request) = self.probe_call(endpoint, &name, round, number, asked);
        match self.recorded(key(&site, &request), &site).await? {
            Recorded::Answer(answer) => Ok(answer),
            Recorded::Nothing { key } => match endpoint.model.as_deref() {
                Some(model) => self.make(endpoint, model, &PendingCall::new(&site, &request, wire, &key)).await,
                None => Err(not_recorded(&site)),
            },
        }
    }

    fn probe_call<'a>(
        &self,
        endpoint: &ModelEndpoint,
        name: &'a str,
        round: u32,
        number: u32,
        (words, format, max_tokens): (&str, ReplyFormat, u32),
    ) -> (CallSite<'a>, ChatRequest) {
        let site =
            CallSite { stage: STAGE, item: name, turn: 0, role: Role::Probe, attempt: ROUND * (round + 1) + number };
        let request = self.request(endpoint, &site, vec![Message::user(words)], format, max_tokens);
        (site, request)
    }

    /// Rounds of probing in which not even a plain call was served.
    async fn rounds_in_vain(&self, endpoint: &Arc<ModelEndpoint>, max_tokens: u32) -> Result<u32, Halt> {
        let name = endpoint.profile.model.clone();
        for round in 0_u32.. {
            let (site, request) = self.probe_call(endpoint, &name, round, PLAIN, plain(max_tokens));
            let answer = self.look_up(&key(&site, &request), &site).await?;
            if !matches!(answer, Some(Answer::Failed { .. } | Answer::Refused { .. })) {
                return Ok(round);
            }
        }
        Ok(0)
    }
}

fn plain(max_tokens: u32) -> (&'static str, ReplyFormat, u32) {
    ("Greet the people in the room.", ReplyFormat::Text { prefix: None }, max_tokens)
}

/// A schema that holds `schema` and one fixed value before it.
fn around(schema: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {
            "verdict": {"type": "string", "enum": [FIXED]},
            "sample": {"type": "array", "items": schema, "description": "leave it empty"},
        },
        "required": ["verdict", "sample"],
        "additionalProperties": false,
    })
}

/// Whether a reply has the fixed value; one that was cut off behind it has.
fn fits(text: &str) -> bool {
    let value = reading::json(text, &["verdict"]).ok();
    if let Some(value) = value {
        return value.get("verdict").and_then(Value::as_str) == Some(FIXED);
    }
    let start: String = text.chars().filter(|c| !c.is_whitespace()).take(64).collect();
    start.starts_with(&format!("{{\"verdict\":\"{FIXED}\""))
}

/// Whether a reply is a JSON object and nothing else; one that was cut off, as far as it goes.
fn is_bare_object(reply: &Reply) -> bool {
    let text = reply.text.trim();
    let whole = serde_json::from_str::<serde_json::Map<String, Value>>(text);
    match whole {
        Ok(_) => true,
        Err(error) => reply.finish == Finish::Length && error.is_eof() && text.starts_with('{'),
    }
}

/// Whether an endpoint names the form of the reply as what it does not take.
fn speaks_of_form(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    said.starts_with('4') || ["response_format", "schema", "grammar", "json"].iter().any(|word| said.contains(word))
}

fn used_up(role: Role, tokens: u32) -> Halt {
    let message = format!(
        "a greeting was cut off twice before its first word, by a limit of {} and of {tokens} tokens, as a model that reasons does; {}",
        tokens / 2,
        more_room(role)
    );
    Halt::Alike { message, code: ExitCode::Usage }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Usage;

    #[test]
    fn an_object_and_nothing_else_is_what_a_server_holds_a_reply_to() {
        let is_bare =
            |text: &str, finish| is_bare_object(&Reply { text: text.into(), finish, usage: Usage::default() });
        for text in ["{}", " {\"greeting\": \"Good morning\"}\n"] {
            assert!(is_bare(text, Finish::Stop), "{text}");
        }
        for text in ["", "Good morning", "```json\n{}\n```", "Sure: {}", "{\"greeting\": \"Good", "[{}]", "{} {}"] {
            assert!(!is_bare(text, Finish::Stop), "{text}");
        }
        assert!(is_bare("{\"greeting\": \"Good", Finish::Length));
        assert!(!is_bare("{greeting", Finish::Length));
    }
}
