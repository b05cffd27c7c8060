//! Every request to the blob service passes through here: signed anew for each try, held to time-outs, read whole, and
//! sent again where that can help.
//!
//! The official client's own retry is switched off, for this one knows more: it measures on the monotonic clock, gives up
//! at once on a certificate that does not hold, soon on a service that never answered (it is misnamed, or not there), and
//! only after [`OUTAGE`] on one that did. It obeys `Retry-After` and sends a block again that arrived damaged.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Request, StatusCode};
use azure_core::{Bytes, Error};
use futures_util::StreamExt;
use reqwest::header::{HeaderMap, HeaderValue};
use tokio::time::{Instant, sleep, timeout};

use super::sign_in::Credential;
use crate::clock;
use crate::entra;
use crate::llm::http::certificate_trouble;
use crate::llm::retry::{Backoff, retry_after};

/// How long to go on with a service that answered before. An update or a restart of it takes less than a minute.
pub(super) const OUTAGE: Duration = Duration::from_secs(90);

/// How long to try to reach a service that never answered.
pub(super) const FIRST_CONTACT: Duration = Duration::from_secs(8);

/// How long to do what a service asks for that tells when to come back.
const ASKED: Duration = Duration::from_secs(600);

/// The longest wait that nobody asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// How long to wait for an answer once the request is sent, and for each next piece of it.
const SILENCE: Duration = Duration::from_secs(60);

/// The slowest line that a request is given the time for, in bytes a second.
const SLOWEST: u64 = 16 << 10;

/// The largest answer: a listing of 5,000 blobs with metadata takes about 8 MiB, a piece of a blob at most 16 MiB.
const ANSWER_CAP: usize = 32 << 20;

/// Codes of answers about a body that was damaged on its way.
const DAMAGED: [&str; 2] = ["Md5Mismatch", "Crc64Mismatch"];

/// The CRC-64 of the body, in base64. In a request's context, it becomes a header that the client's call does not offer.
#[derive(Debug)]
pub(super) struct BodyCrc64(pub(super) String);

/// The policy.
#[derive(Debug)]
pub(super) struct Wire {
    credential: Credential,
    answered: AtomicBool,
}

impl Wire {
    /// Nothing was sent yet.
    pub(super) fn new(credential: Credential) -> Self {
        Self { credential, answered: AtomicBool::new(false) }
    }

    async fn exchange(&self, ctx: &Context<'_>, request: &Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let mut backoff = Backoff::new(&request.path_and_query());
        let mut began: Option<Instant> = None;
        loop {
            let outcome = self.attempt(ctx, request, next).await;
            let hint = match self.second_chance(&outcome) {
                SecondChance::No => return outcome,
                SecondChance::Yes(hint) => hint,
            };
            let wait = hint.unwrap_or_else(|| backoff.next_wait().min(LONGEST_WAIT));
            if began.get_or_insert_with(Instant::now).elapsed() + wait > self.patience(hint) {
                return outcome;
            }
            tracing::debug!(method = request.method().as_ref(), path = request.url().path(), ?wait, "blob request again");
            sleep(wait).await;
        }
    }

    async fn attempt(&self, ctx: &Context<'_>, request: &Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let Some((first, rest)) = next.split_first() else {
            return Err(Error::with_message(ErrorKind::Other, "the pipeline ends before the transport"));
        };
        // The body is shared, not copied.
        let mut request = request.clone();
        match &self.credential {
            Credential::Key(key) => key.sign(&mut request, http_date()),
            Credential::Sas(sas) => sas.apply(&mut request),
            // The client's own policy, which comes after this one, sees to it.
            Credential::Entra(_) => {}
        }
        let patience = SILENCE + Duration::from_secs(request.body().len().unwrap_or(0) / SLOWEST);
        let response = match timeout(patience, first.send(ctx, &mut request, rest)).await {
            Ok(response) => response?,
            Err(_) => return Err(silent(patience)),
        };
        let whole = whole(response).await?;
        self.answered.store(true, Ordering::Relaxed);
        Ok(whole)
    }

    fn patience(&self, hint: Option<Duration>) -> Duration {
        match hint {
            Some(_) => ASKED,
            None if self.answered.load(Ordering::Relaxed) => OUTAGE,
            None => FIRST_CONTACT,
        }
    }

    fn second_chance(&self, outcome: &PolicyResult) -> SecondChance {
        match outcome {
            Ok(response) => of_answer(response.status(), response.headers()),
            Err(error) => of_error(error),
        }
    }
}

/// Whether to send again, and when the service asked for it.
#[derive(Debug, PartialEq, Eq)]
enum SecondChance {
    No,
    Yes(Option<Duration>),
}

fn of_answer(status: StatusCode, headers: &Headers) -> SecondChance {
    let code = headers.get_optional_str(&HeaderName::from_static("x-ms-error-code")).unwrap_or_default();
    match u16::from(status) {
        408 | 429 | 500 | 502..=504 => SecondChance::Yes(hint(headers)),
        400 if DAMAGED.contains(&code) => SecondChance::Yes(None),
        _ => SecondChance::No,
    }
}

fn of_error(error: &Error) -> SecondChance {
    let again = match error.kind() {
        ErrorKind::Io | ErrorKind::Connection => certificate_trouble(error).is_none(),
        ErrorKind::Credential => entra::may_pass(error) && certificate_trouble(error).is_none(),
        _ => false,
    };
    if again { SecondChance::Yes(None) } else { SecondChance::No }
}

/// The wait that an answer asks for. One of zero is not believed: it would turn a busy service's trouble into a storm.
fn hint(headers: &Headers) -> Option<Duration> {
    let mut asked = HeaderMap::new();
    for name in ["retry-after-ms", "x-ms-retry-after-ms", "retry-after", "date"] {
        let value = headers.get_optional_str(&HeaderName::from_static(name));
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            asked.insert(name, value);
        }
    }
    retry_after(&asked).filter(|wait| !wait.is_zero())
}

/// The answer with all of its body, so that one cut off is asked for again like one that never came.
async fn whole(response: AsyncRawResponse) -> PolicyResult {
    let (status, headers, mut body) = response.deconstruct();
    let mut content: Vec<u8> = Vec::new();
    loop {
        match timeout(SILENCE, body.next()).await {
            Ok(None) => return Ok(AsyncRawResponse::from_bytes(status, headers, Bytes::from(content))),
            Ok(Some(piece)) => content.extend_from_slice(&piece?),
            Err(_) => return Err(silent(SILENCE)),
        }
        if content.len() > ANSWER_CAP {
            return Err(Error::with_message(ErrorKind::DataConversion, "the answer is larger than any that was asked for"));
        }
    }
}

fn silent(patience: Duration) -> Error {
    Error::with_message(ErrorKind::Io, format!("no answer for {patience:?}"))
}

fn http_date() -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(clock::unix_seconds()))
}

impl Policy for Wire {
    fn send<'a, 'b, 'c, 'd, 'e>(
        &'a self,
        ctx: &'b Context<'_>,
        request: &'c mut Request,
        next: &'d [Arc<dyn Policy>],
    ) -> Pin<Box<dyn Future<Output = PolicyResult> + Send + 'e>>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
        Self: 'e,
    {
        if let Some(BodyCrc64(crc)) = ctx.value() {
            request.insert_header("x-ms-content-crc64", crc.clone());
        }
        Box::pin(self.exchange(ctx, request, next))
    }
}
