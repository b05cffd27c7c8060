//! Whether an endpoint that fails some calls still answers others: a prompt that never passes costs its item, a server that is
//! down stops the run.
//!
//! The answers to other calls say so most of the time. Where there are none, as at the end of a run when only such prompts are
//! left, the endpoint is asked for a greeting: what answers that is not broken.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::attempts::CallTries;
use super::{CallGateway, CallSite, ModelEndpoint, PendingCall, key};
use crate::llm::entries::RecordedReply;
use crate::llm::pool::ModelPool;
use crate::llm::{Answer, AttemptError, ChatRequest, Halt, Message, Reply, ReplyFormat, Role, Structured};
use crate::store::journal::EntryKind;

/// The longest wait before a call is made again that failed while others were answered: it is not load that fails it.
const WHILE_OTHERS_ARE_ANSWERED: Duration = Duration::from_secs(2);
/// Attempts of a call before a greeting is asked for, while nobody is answered.
const DOUBT_AFTER: u32 = 3;
/// Bytes of a prompt from which what an endpoint counts is compared with it.
const LONG_PROMPT: u64 = 6_000;
/// The most bytes that a token of prose has on average, in any vocabulary and language: 4 to 5 are usual.
const MOST_BYTES_OF_A_TOKEN: u64 = 7;
/// The shortest time between two greetings that nobody needs for a verdict.
const BETWEEN_GREETINGS: Duration = Duration::from_secs(15);

/// What tells that an endpoint answers.
#[derive(Debug, Default)]
pub(crate) struct SignsOfLife {
    answers: AtomicU64,
    told_of_cut: AtomicBool,
    /// When a greeting was last asked for, and whether it was answered.
    greeted: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

impl SignsOfLife {
    /// Learns from an attempt: whoever refuses is alive too.
    pub(super) fn observe<T>(&self, outcome: &Result<T, AttemptError>) {
        if matches!(outcome, Ok(_) | Err(AttemptError::Refused { .. } | AttemptError::BadRequest { .. })) {
            self.answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Answers so far.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }
}

impl CallGateway {
    /// Tells once when an endpoint counts far fewer tokens than a prompt has: local servers cut what outgrows their context,
    /// and say nothing.
    pub(super) fn notice_cut_prompt(
        &self,
        endpoint: &ModelEndpoint,
        model: &ModelPool,
        request: &ChatRequest,
        reply: &Reply,
    ) {
        let (bytes, counted) = (request.messages.content_bytes() as u64, reply.usage.prompt_tokens);
        // An endpoint that reports none is not one that cuts.
        let cut = counted > 0 && bytes >= LONG_PROMPT && counted.saturating_mul(MOST_BYTES_OF_A_TOKEN) < bytes;
        if cut && !endpoint.life.told_of_cut.swap(true, Ordering::Relaxed) {
            self.control.tell(format!(
                "{} counted {counted} tokens for a prompt of {bytes} bytes: it seems to cut prompts at its context, untold; give the server a larger one (Ollama: num_ctx or OLLAMA_CONTEXT_LENGTH), or lower conversations.turns.max",
                model.target()
            ));
        }
    }

    /// How long to wait before a call is made again that failed for a reason that may be its own.
    pub(super) async fn pause(
        &self,
        endpoint: &ModelEndpoint,
        model: &ModelPool,
        tries: &CallTries,
        pause: Duration,
    ) -> Result<Duration, Halt> {
        let answered = endpoint.life.answers() > tries.answers
            || (tries.requests >= DOUBT_AFTER && self.greet(endpoint, model, BETWEEN_GREETINGS).await?);
        Ok(if answered { pause.min(WHILE_OTHERS_ARE_ANSWERED) } else { pause })
    }

    /// Whether the endpoint answers a greeting. One caller asks for all; the others take its word for `fresh`.
    pub(super) async fn greet(
        &self,
        endpoint: &ModelEndpoint,
        model: &ModelPool,
        fresh: Duration,
    ) -> Result<bool, Halt> {
        let mut greeted = self.control.unless_stopped(endpoint.life.greeted.lock()).await?;
        if let Some((at, answered)) = *greeted
            && at.elapsed() < fresh
        {
            return Ok(answered);
        }
        let answered = self.ask_for_greeting(endpoint, model).await?;
        *greeted = Some((Instant::now(), answered));
        Ok(answered)
    }

    async fn ask_for_greeting(&self, endpoint: &ModelEndpoint, model: &ModelPool) -> Result<bool, Halt> {
        let site = CallSite { stage: "probe", item: "sign of life", turn: 0, role: Role::Probe, attempt: 0 };
        let words = vec![Message::user("Greet the people in the room.")];
        let text = ReplyFormat::Text { prefix: None };
        let request = self.request(endpoint, &site, words, text, endpoint.profile.max_tokens);
        let key = self.unused(key(&site, &request), &site).await?;
        let call = PendingCall::new(&site, &request, Structured::None, &key);
        let mut route = model.route(site.item);
        let sent = Instant::now();
        let (result, reservation) = self.send(&mut route, &call).await?;
        endpoint.life.observe(&result);
        let answer = match result {
            Ok(reply) => Answer::Reply(reply),
            Err(AttemptError::Refused { category, message }) => Answer::Refused { category, message },
            Err(AttemptError::BadRequest { status, message }) => Answer::bad_request(status, &message),
            Err(AttemptError::Fatal { message }) => return Err(self.control.stop(Halt::Endpoint { message })),
            Err(AttemptError::Transient { .. }) => return Ok(false),
        };
        let ms = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
        let recorded = RecordedReply { role: site.role, answer, requests: 1, ms, inherited: false };
        self.write(EntryKind::Reply, &key, &site, &recorded).await?;
        if let (Answer::Reply(reply), Some(reservation)) = (&recorded.answer, reservation) {
            reservation.settle(reply.usage);
        }
        Ok(true)
    }

    /// The first key derived from `first` under which nothing is recorded.
    async fn unused(&self, first: String, site: &CallSite<'_>) -> Result<String, Halt> {
        let (mut key, mut time) = (first.clone(), 0_u32);
        while self.look_up(&key, site).await?.is_some() {
            time += 1;
            key = super::again(&first, time);
        }
        Ok(key)
    }
}
