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

use super::sign_in::BlobCredential;
use crate::clock;
use crate::net::entra;
use crate::net::retry::{Backoff, retry_after};
use crate::net::trouble::ConnectionTrouble;

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
    credential: BlobCredential,
    answered: AtomicBool,
}

impl Wire {
    /// Nothing was sent yet.
    pub(super) fn new(credential: BlobCredential) -> Self {
        Self { credential, answered: AtomicBool::new(false) }
    }

    async fn exchange(&self, ctx: &Context<'_>, request: &Request, next: &[Arc<dyn Policy>]) -> PolicyResult {
        let mut backoff = Backoff::new(&request.path_and_query());
        let mut began: Option<Instant> = None;
        loop {
            let outcome = self.attempt(ctx, request, next).await;
            let hint = match second_chance(&outcome) {
                SecondChance::No => return outcome,
                SecondChance::Yes(hint) => hint,
            };
            let wait = hint.unwrap_or_else(|| backoff.next_wait().min(LONGEST_WAIT));
            if began.get_or_insert_with(Instant::now).elapsed() + wait > self.patience(hint) {
                return outcome;
            }
            tracing::debug!(
                method = request.method().as_ref(),
                path = request.url().path(),
                ?wait,
                "blob request again"
            );
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
            BlobCredential::Key(key) => key.sign(&mut request, http_date()),
            BlobCredential::Sas(sas) => sas.apply(&mut request),
            // The client's own policy, which comes after this one, sees to it.
            BlobCredential::Entra(_) => {}
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
}

/// Whether to send again, and when the service asked for it.
#[derive(Debug, PartialEq, Eq)]
enum SecondChance {
    No,
    Yes(Option<Duration>),
}

fn second_chance(outcome: &PolicyResult) -> SecondChance {
    match outcome {
        Ok(response) => of_answer(response.status(), response.headers()),
        Err(error) => of_error(error),
    }
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
        ErrorKind::Io | ErrorKind::Connection => ConnectionTrouble::of(error).is_none_or(|trouble| !trouble.lasts()),
        ErrorKind::Credential => {
            entra::may_pass(error) && ConnectionTrouble::of(error).is_none_or(|trouble| !trouble.lasts())
        }
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
            return Err(Error::with_message(
                ErrorKind::DataConversion,
                "the answer is larger than any that was asked for",
            ));
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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use azure_core::http::{Method, Url};

    use super::super::sign_in::Sas;
    use super::*;

    /// Answers in place of the network, and notes when and how it was asked.
    #[derive(Debug)]
    struct Service {
        script: fn(usize) -> PolicyResult,
        began: Instant,
        asked: Mutex<Vec<(Duration, String)>>,
    }

    impl Policy for Service {
        fn send<'a, 'b, 'c, 'd, 'e>(
            &'a self,
            _: &'b Context<'_>,
            request: &'c mut Request,
            _: &'d [Arc<dyn Policy>],
        ) -> Pin<Box<dyn Future<Output = PolicyResult> + Send + 'e>>
        where
            'a: 'e,
            'b: 'e,
            'c: 'e,
            'd: 'e,
            Self: 'e,
        {
            let mut asked = self.asked.lock().unwrap();
            asked.push((self.began.elapsed(), request.url().to_string()));
            let outcome = (self.script)(asked.len());
            Box::pin(async { outcome })
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "the outcome of a request")]
    fn says(status: u16, header: Option<(&'static str, &'static str)>) -> PolicyResult {
        let mut headers = Headers::new();
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, ""))
    }

    fn gone() -> PolicyResult {
        Err(Error::with_message(ErrorKind::Connection, "refused"))
    }

    /// The status at the end (0 without one), and when the service was asked.
    async fn asks(wire: &Wire, script: fn(usize) -> PolicyResult) -> (u16, Vec<(Duration, String)>) {
        let service = Arc::new(Service { script, began: Instant::now(), asked: Mutex::default() });
        let mut request = Request::new(Url::parse("https://x.example/c/b?comp=block").unwrap(), Method::Put);
        let next: [Arc<dyn Policy>; 1] = [service.clone()];
        let outcome = wire.send(&Context::new(), &mut request, &next).await;
        let asked = service.asked.lock().unwrap().clone();
        (outcome.map_or(0, |response| response.status().into()), asked)
    }

    fn wire() -> Wire {
        Wire::new(BlobCredential::Sas(Sas::new("sv=1&sig=abc").unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_pass_is_tried_again_and_signed_once_a_try() {
        for status in [408, 429, 500, 502, 503, 504] {
            let script: fn(usize) -> PolicyResult = match status {
                408 => |n| says(if n < 3 { 408 } else { 201 }, None),
                429 => |n| says(if n < 3 { 429 } else { 201 }, None),
                500 => |n| says(if n < 3 { 500 } else { 201 }, None),
                502 => |n| says(if n < 3 { 502 } else { 201 }, None),
                503 => |n| says(if n < 3 { 503 } else { 201 }, None),
                _ => |n| says(if n < 3 { 504 } else { 201 }, None),
            };
            let (ended, asked) = asks(&wire(), script).await;
            assert_eq!((ended, asked.len()), (201, 3), "{status}");
            assert!(asked.iter().all(|(_, url)| url == "https://x.example/c/b?comp=block&sv=1&sig=abc"), "{asked:?}");
        }
        let (ended, asked) = asks(&wire(), |n| if n < 3 { gone() } else { says(201, None) }).await;
        assert_eq!((ended, asked.len()), (201, 3));
        let (ended, asked) = asks(&wire(), |n| {
            says(if n < 2 { 400 } else { 201 }, (n < 2).then_some(("x-ms-error-code", "Crc64Mismatch")))
        })
        .await;
        assert_eq!((ended, asked.len()), (201, 2), "a block that was damaged on its way");
    }

    #[tokio::test(start_paused = true)]
    async fn what_stands_is_not_tried_again() {
        for script in [
            (|_| says(403, None)) as fn(usize) -> PolicyResult,
            |_| says(404, None),
            |_| says(409, None),
            |_| says(412, None),
            |_| says(400, None),
        ] {
            assert_eq!(asks(&wire(), script).await.1.len(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_answered_before_is_waited_for_much_longer() {
        let wire = wire();
        let (ended, asked) = asks(&wire, |_| gone()).await;
        let last = asked.last().unwrap().0;
        assert!(ended == 0 && last <= FIRST_CONTACT && asked.len() > 3, "{asked:?}");
        assert_eq!(asks(&wire, |_| says(200, None)).await.0, 200);
        let (ended, asked) = asks(&wire, |_| gone()).await;
        let last = asked.last().unwrap().0;
        assert!(ended == 0 && last + LONGEST_WAIT * 2 > OUTAGE && last <= OUTAGE, "{last:?}");
        assert!(asked.windows(2).all(|two| matches!(two, [(a, _), (b, _)] if *b <= *a + LONGEST_WAIT)), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_that_is_asked_for_is_kept() {
        let script: fn(usize) -> PolicyResult =
            |n| if n < 3 { says(503, Some(("retry-after", "100"))) } else { says(201, None) };
        let (ended, asked) = asks(&wire(), script).await;
        let times: Vec<u64> = asked.iter().map(|(at, _)| at.as_secs()).collect();
        assert_eq!((ended, times), (201, vec![0, 100, 200]));
        let (ended, asked) = asks(&wire(), |_| says(503, Some(("retry-after", "100")))).await;
        assert_eq!((ended, asked.len()), (503, 7), "not for ever");
    }
}
