//! The attempts at one call, until one of them comes to an answer or none can.

use std::time::Duration;

use tokio::time::Instant;

use super::{CallGateway, CallSite, ModelEndpoint, PendingCall, probe};
use crate::llm::budget::Reservation;
use crate::llm::entries::{PROMPT_SHIELD, RecordedReject, RecordedReply};
use crate::llm::pool::{ModelPool, PoolRoute};
use crate::llm::{Answer, AttemptError, ChatRequest, Halt, Reply, Transient};
use crate::net::retry::{Decision, Retry};
use crate::store::journal::EntryKind;

/// The reason of items whose calls used up their attempts.
const NO_ANSWER: &str = "no_answer";
/// How long the verdict on an endpoint that failed many holds for all who wait for it.
const SHARED_VERDICT: Duration = Duration::from_secs(1);

/// The attempts at one call.
pub(super) struct CallTries {
    retry: Retry,
    started: Instant,
    pub(super) requests: u32,
    /// What the endpoint had answered, to anyone, when the last attempt was sent.
    pub(super) answers: u64,
}

impl CallGateway {
    /// Makes the call, again where that may help, and journals what comes of it.
    pub(super) async fn make(
        &self,
        endpoint: &ModelEndpoint,
        model: &ModelPool,
        call: &PendingCall<'_>,
    ) -> Result<Answer, Halt> {
        let PendingCall { site, request, wire, key, .. } = *call;
        let attempts = if probe::is_of_a_form(site, wire) { 1 } else { endpoint.max_attempts };
        let mut tries =
            CallTries { retry: Retry::new(key, attempts), started: Instant::now(), requests: 0, answers: 0 };
        let mut route = model.route(site.item);
        loop {
            tries.requests += 1;
            tries.answers = endpoint.life.answers();
            let sent = Instant::now();
            let (result, reservation) = self.send(&mut route, call).await?;
            endpoint.life.observe(&result);
            let ms = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
            if route.in_jobs().is_some() {
                // Jobs take hours, and no deadline is for them: attempts are what bounds a call that goes in jobs.
                tries.started = Instant::now();
            }
            let answer = match result {
                Ok(reply) => Answer::Reply(reply),
                Err(error) if route.goes_elsewhere(&error) => continue,
                Err(error) => match self.judge(endpoint, model, &route, error, &mut tries).await? {
                    Some(answer) => answer,
                    None => continue,
                },
            };
            let recorded = RecordedReply { role: site.role, answer, requests: tries.requests, ms, inherited: false };
            self.write(EntryKind::Reply, key, site, &recorded).await?;
            log_call(endpoint, &route, site, request, &recorded);
            if let Answer::Reply(reply) = &recorded.answer {
                self.notice_cut_prompt(endpoint, model, request, reply);
            }
            // Only now does it count: what is not durable affects no budget and no figure.
            if let (Answer::Reply(reply), Some(reservation)) = (&recorded.answer, reservation) {
                reservation.settle(reply.usage);
            }
            if matches!(&recorded.answer, Answer::Refused { category, .. } if category == PROMPT_SHIELD) {
                self.control.count_shielded();
            }
            self.judge_refusals(site.role, &recorded.answer)?;
            return Ok(recorded.answer);
        }
    }

    /// What an attempt without a reply means for the call: its answer, or nothing yet, after the pause before the next.
    async fn judge(
        &self,
        endpoint: &ModelEndpoint,
        model: &ModelPool,
        route: &PoolRoute<'_>,
        error: AttemptError,
        tries: &mut CallTries,
    ) -> Result<Option<Answer>, Halt> {
        let (kind, hinted) = match &error {
            AttemptError::Refused { category, message } => {
                return Ok(Some(Answer::Refused { category: category.clone(), message: message.clone() }));
            }
            AttemptError::BadRequest { status, message } => return Ok(Some(Answer::bad_request(*status, message))),
            AttemptError::Fatal { message } => {
                return Err(self.control.stop(Halt::Endpoint { message: message.clone() }));
            }
            AttemptError::Transient { kind, retry_after, .. } => (*kind, retry_after.is_some()),
        };
        match tries.retry.decide(&error, tries.started.elapsed(), route.max_wait()) {
            Decision::Wait(mut pause) => {
                if kind == Transient::Unknown && !hinted {
                    pause = self.pause(endpoint, model, tries, pause).await?;
                }
                tracing::debug!(%error, wait_ms = pause.as_millis(), "call is made again");
                self.control.unless_stopped(route.back_off(&error, pause)).await?;
                self.alive(endpoint, model, kind, model.check()).await?;
                Ok(None)
            }
            Decision::GiveUp => {
                self.alive(endpoint, model, kind, model.gave_up()).await?;
                Ok(Some(Answer::Failed { reason: NO_ANSWER.to_owned(), message: error.to_string() }))
            }
            Decision::TooLong(message) => Err(self.control.stop(Halt::Endpoint { message })),
        }
    }

    /// Stops the run if the endpoint is broken. Failures that may be due to their prompts are no evidence of that: an endpoint
    /// that still answers a greeting is none.
    async fn alive(
        &self,
        endpoint: &ModelEndpoint,
        model: &ModelPool,
        kind: Transient,
        verdict: Result<(), AttemptError>,
    ) -> Result<(), Halt> {
        let Err(broken) = verdict else { return Ok(()) };
        if kind == Transient::Unknown && self.greet(endpoint, model, SHARED_VERDICT).await? {
            return Ok(());
        }
        Err(self.control.stop(Halt::Endpoint { message: broken.to_string() }))
    }

    /// One attempt, and what is known of its bill. The reservation of a reply is settled once the reply is durable,
    /// that of any other outcome here.
    pub(super) async fn send(
        &self,
        route: &mut PoolRoute<'_>,
        call: &PendingCall<'_>,
    ) -> Result<(Result<Reply, AttemptError>, Option<Reservation>), Halt> {
        let (result, reservation) = match route.in_jobs() {
            Some(model) => self.send_in_job(model, call).await?,
            None => self.send_alone(route, call).await?,
        };
        let Err(error) = &result else { return Ok((result, Some(reservation))) };
        // A filter may have looked at a finished completion, which is billed.
        let maybe_billed = matches!(
            error,
            AttemptError::Transient { kind: Transient::Unknown | Transient::TimedOut, .. }
                | AttemptError::Refused { .. }
        );
        if matches!(error, AttemptError::Transient { .. } | AttemptError::Fatal { .. }) {
            let reject = RecordedReject { error: error.to_string(), maybe_billed };
            self.write(EntryKind::Reject, call.key, call.site, &reject).await?;
        }
        if maybe_billed {
            reservation.lost();
        } else {
            reservation.release();
        }
        Ok((result, None))
    }

    /// One request of its own: place, reservation, intent, attempt.
    async fn send_alone(
        &self,
        route: &mut PoolRoute<'_>,
        call: &PendingCall<'_>,
    ) -> Result<(Result<Reply, AttemptError>, Reservation), Halt> {
        let PendingCall { site, request, wire, key, intent } = *call;
        let permit = self.control.unless_stopped(route.acquire(intent.estimate)).await?;
        self.wait_for_room().await?;
        let reservation = self.reserve(call).await?;
        self.write(EntryKind::Intent, key, site, &intent).await?;
        Ok((permit.attempt(request, wire, &self.control).await, reservation))
    }
}

/// The target of the event that tells of a call.
pub(crate) const CALL_EVENT: &str = "convogen::call";

/// One event a call; what was said only at the level that asks for everything.
fn log_call(
    endpoint: &ModelEndpoint,
    route: &PoolRoute<'_>,
    site: &CallSite<'_>,
    request: &ChatRequest,
    recorded: &RecordedReply,
) {
    let CallSite { stage, item, turn, role, attempt } = *site;
    let RecordedReply { answer, requests, ms, .. } = recorded;
    let ChatRequest { model, max_tokens, temperature, .. } = request;
    let (reply, reason, error) = match answer {
        Answer::Reply(reply) => (Some(reply), None, None),
        Answer::Refused { category, message } => (None, Some(category), Some(message)),
        Answer::Failed { reason, message } => (None, Some(reason), Some(message)),
    };
    let usage = reply.map(|reply| reply.usage);
    tracing::debug!(
        target: CALL_EVENT,
        stage, item, turn, %role, attempt, requests, ms, model, max_tokens, temperature, reason, error,
        served_by = endpoint.served_by,
        server = route.target(),
        prompt = usage.map(|usage| usage.prompt_tokens),
        cached = usage.and_then(|usage| usage.told_cached()),
        reasoning = usage.map(|usage| usage.reasoning_tokens).filter(|tokens| *tokens > 0),
        completion = usage.map(|usage| usage.completion_tokens),
        finish = reply.map(|reply| reply.finish.as_str()),
        "call {}", answer.kind()
    );
    tracing::trace!(stage, item, turn, %role, messages = ?request.messages.list(), ?answer, "call in full");
}
