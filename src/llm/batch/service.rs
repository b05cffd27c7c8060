//! The requests that make, find and read jobs, in the words of both services.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::AttemptError;
use super::wave::WaitingCall;
use crate::net::attempt::Transient;
use crate::net::http::{BODY_CAP, Credential, Http, HttpReply, StreamedReply, join, origin, quote, unknown};
use crate::net::retry::retry_after;

/// The key of the mark in a job's metadata.
const MARK: &str = "convogen";
/// Jobs in a page of their list; both services give no more.
const PAGE: &str = "100";
/// Pages of the list that are looked through.
const MOST_PAGES: usize = 1000;
/// How long Azure is to keep an input file, in seconds: 14 days, the least it takes. Files that expire may be 20 times as
/// many.
const KEPT: &str = "1209600";

/// Headers with the credential in them, and the credential, to be taken out of what the service says.
pub(crate) type JobSignIn =
    Box<dyn Fn() -> BoxFuture<'static, Result<(HeaderMap, Option<Arc<Credential>>), AttemptError>> + Send + Sync>;

/// Where jobs are made.
#[derive(Debug, Clone)]
pub(crate) struct JobAddress {
    /// What `/files` and `/batches` are below of, with the query that every request has.
    pub base: Url,
    /// Where each line of a job goes, such as `/v1/chat/completions`.
    pub route: String,
    /// Whether input files are told when to expire.
    pub expiring: bool,
    /// The setting that holds the address, for messages.
    pub setting: &'static str,
}

/// A service that takes jobs.
pub(crate) struct BatchService {
    http: Http,
    address: JobAddress,
    sign_in: JobSignIn,
    /// Whether it has ever answered.
    reached: AtomicBool,
}

impl std::fmt::Debug for BatchService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchService").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A file that was sent.
#[derive(Debug, Deserialize)]
pub(super) struct SentFile {
    pub(super) id: String,
    status: Option<String>,
}

impl SentFile {
    /// Whether a job can be made of it. OpenAI does not say, and takes it as it is.
    pub(super) fn is_ready(&self) -> bool {
        !matches!(self.lower().as_str(), "pending" | "running" | "notrunning" | "uploaded" | "queued")
    }

    /// Whether the service could not read it.
    pub(super) fn is_refused(&self) -> bool {
        matches!(self.lower().as_str(), "error" | "failed" | "deleted")
    }

    fn lower(&self) -> String {
        self.status.as_deref().unwrap_or_default().to_ascii_lowercase()
    }
}

/// A job as the service tells of it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct JobStatus {
    pub(super) id: String,
    #[serde(default)]
    status: String,
    output_file_id: Option<String>,
    error_file_id: Option<String>,
    metadata: Option<Value>,
    errors: Option<Value>,
    request_counts: Option<Value>,
}

impl JobStatus {
    /// The status in small letters.
    pub(super) fn name(&self) -> String {
        self.status.to_ascii_lowercase()
    }

    /// Whether nothing more comes of it.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.name().as_str(), "completed" | "failed" | "expired" | "cancelled")
    }

    /// The files its results are in: answers first, then errors.
    pub(super) fn files(&self) -> Vec<&str> {
        let files = [&self.output_file_id, &self.error_file_id].into_iter().flatten();
        files.map(String::as_str).filter(|id| !id.is_empty()).collect()
    }

    /// Whether it carries this mark.
    pub(super) fn has_mark(&self, mark: &str) -> bool {
        self.metadata.as_ref().and_then(|metadata| metadata.get(MARK)?.as_str()) == Some(mark)
    }

    fn has_metadata(&self) -> bool {
        self.metadata.as_ref().and_then(Value::as_object).is_some_and(|metadata| !metadata.is_empty())
    }

    /// Lines that are done, and all of them, as far as it says.
    pub(super) fn progress(&self) -> Option<(u64, u64)> {
        let count = |name: &str| self.request_counts.as_ref()?.get(name)?.as_u64();
        Some((count("completed")? + count("failed").unwrap_or(0), count("total")?))
    }

    /// Code and words of every error that kept the job as a whole from being worked on.
    pub(super) fn errors(&self) -> Vec<(String, String)> {
        let list = self.errors.as_ref().and_then(|errors| errors.get("data")).and_then(Value::as_array);
        let text = |error: &Value, key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let said = |error: &Value| {
            let line = error.get("line").and_then(Value::as_u64).map(|line| format!("line {line}: "));
            quote(&(line.unwrap_or_default() + &text(error, "message")), None)
        };
        list.into_iter().flatten().map(|error| (text(error, "code"), said(error))).collect()
    }
}

/// What looking a job up came to.
#[derive(Debug)]
pub(super) enum JobLookup {
    /// The jobs with the mark, the newest first; more than one if it was created twice.
    Found(Vec<JobStatus>),
    /// There is none.
    Absent,
    /// It cannot be told whether there is one, and why.
    Unknowable(String),
}

#[derive(Deserialize)]
struct JobPage {
    #[serde(alias = "value")]
    data: Vec<JobStatus>,
    #[serde(default)]
    has_more: bool,
}

impl BatchService {
    /// The service at `address`.
    pub(crate) fn new(http: Http, address: JobAddress, sign_in: JobSignIn) -> Self {
        Self { http, address, sign_in, reached: AtomicBool::new(false) }
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> String {
        origin(&self.address.base)
    }

    /// Whether it has ever answered.
    pub(super) fn was_reached(&self) -> bool {
        self.reached.load(Ordering::Relaxed)
    }

    /// The setting that holds the address.
    pub(super) fn setting(&self) -> &'static str {
        self.address.setting
    }

    /// The file that asks for `calls`, a line each.
    pub(super) fn file(&self, calls: &[WaitingCall]) -> Vec<u8> {
        let mut file = Vec::new();
        for WaitingCall { key, body, .. } in calls {
            let (key, url) = (json!(key), json!(self.address.route));
            file.extend_from_slice(format!(r#"{{"custom_id":{key},"method":"POST","url":{url},"body":"#).as_bytes());
            file.extend_from_slice(body);
            file.extend_from_slice(b"}\n");
        }
        file
    }

    /// Sends the file of the job with this mark.
    pub(super) async fn send_file(&self, mark: &str, file: &[u8]) -> Result<SentFile, AttemptError> {
        let (headers, credential) = (self.sign_in)().await?;
        let kind = format!("multipart/form-data; boundary={mark}");
        let body = self.form(mark, file);
        let answer = self.http.upload(&self.url(&["files"], &[]), headers, &kind, body).await;
        self.value(answer, credential.as_deref())
    }

    /// `multipart/form-data` (RFC 7578), the mark as boundary: it is in no line but this form's own.
    fn form(&self, mark: &str, file: &[u8]) -> Vec<u8> {
        let part = |name: &str, value: &str| {
            format!("--{mark}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let mut form = part("purpose", "batch");
        if self.address.expiring {
            form += &part("expires_after.seconds", KEPT);
            form += &part("expires_after.anchor", "created_at");
        }
        form += &format!(
            "--{mark}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"convogen-{mark}.jsonl\"\r\nContent-Type: application/json\r\n\r\n"
        );
        [form.as_bytes(), file, format!("\r\n--{mark}--\r\n").as_bytes()].concat()
    }

    /// The file as it is now.
    pub(super) async fn look_at_file(&self, id: &str) -> Result<SentFile, AttemptError> {
        self.get(&["files", id], &[]).await
    }

    /// Creates a job of the file that was sent.
    pub(super) async fn create(&self, mark: &str, file: &str) -> Result<JobStatus, AttemptError> {
        let (headers, credential) = (self.sign_in)().await?;
        let body = json!({"input_file_id": file, "endpoint": self.address.route, "completion_window": "24h",
                          "metadata": {MARK: mark}});
        let answer = self.http.post_json(&self.url(&["batches"], &[]), headers, body.to_string().into_bytes()).await;
        self.value(answer, credential.as_deref())
    }

    /// The job as it is now.
    pub(super) async fn look_at(&self, id: &str) -> Result<JobStatus, AttemptError> {
        self.get(&["batches", id], &[]).await
    }

    /// Looks for jobs with this mark. Those that failed as a whole did nothing, and do not count.
    pub(super) async fn find(&self, mark: &str) -> Result<JobLookup, AttemptError> {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        let (mut any, mut marked) = (false, false);
        for _ in 0..MOST_PAGES {
            let mut query = vec![("limit", PAGE)];
            query.extend(after.as_deref().map(|id| ("after", id)));
            let page: JobPage = match self.get(&["batches"], &query).await {
                Err(AttemptError::BadRequest { message, .. }) => return Ok(JobLookup::Unknowable(message)),
                page => page?,
            };
            any |= !page.data.is_empty();
            marked |= page.data.iter().any(JobStatus::has_metadata);
            let last = page.data.last().map(|job| job.id.clone());
            found.extend(page.data.into_iter().filter(|job| job.has_mark(mark) && job.name() != "failed"));
            if !page.has_more || last.is_none() {
                return Ok(match (found.is_empty(), any && !marked) {
                    (false, _) => JobLookup::Found(found),
                    (true, true) => JobLookup::Unknowable("its jobs have no metadata".to_owned()),
                    (true, false) => JobLookup::Absent,
                });
            }
            if last == after {
                break;
            }
            after = last;
        }
        if found.is_empty() {
            Ok(JobLookup::Unknowable("its list of jobs has no end".to_owned()))
        } else {
            Ok(JobLookup::Found(found))
        }
    }

    /// The content of a file of results.
    pub(super) async fn results(&self, id: &str) -> Result<ResultLines, AttemptError> {
        let (headers, credential) = (self.sign_in)().await?;
        let reply = self.http.download(&self.url(&["files", id, "content"], &[]), headers).await?;
        if !(200..=299).contains(&reply.status) {
            return Err(self.refused(&reply.whole().await?, credential.as_deref()));
        }
        Ok(ResultLines { reply, held: Vec::new(), at: 0, ended: false })
    }

    async fn get<T: for<'de> Deserialize<'de>>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, AttemptError> {
        let (headers, credential) = (self.sign_in)().await?;
        let answer = self.http.get(&self.url(path, query), headers).await;
        self.value(answer, credential.as_deref())
    }

    fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = join(&self.address.base, path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn value<T: for<'de> Deserialize<'de>>(
        &self,
        answer: Result<HttpReply, AttemptError>,
        credential: Option<&Credential>,
    ) -> Result<T, AttemptError> {
        let answer = answer?;
        self.reached.store(true, Ordering::Relaxed);
        if !(200..=299).contains(&answer.status) {
            return Err(self.refused(&answer, credential));
        }
        let read = serde_json::from_slice(&answer.body);
        read.map_err(|error| unknown(format!("{} sent nothing of use about a batch job: {error}", self.origin())))
    }

    /// What an answer that is an error means for a job.
    fn refused(&self, answer: &HttpReply, credential: Option<&Credential>) -> AttemptError {
        let (at, status, setting) = (self.origin(), answer.status, self.address.setting);
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let said = body.as_ref().and_then(|body| body.pointer("/error/message")?.as_str());
        let said = said.map_or_else(|| String::from_utf8_lossy(&answer.body).into_owned(), str::to_owned);
        let said = quote(&said, credential);
        let kind = match status {
            429 | 529 => Transient::RateLimited,
            408 | 409 | 425 | 503 => Transient::TurnedAway,
            500..=599 => Transient::Unknown,
            401 | 403 => {
                return AttemptError::Fatal {
                    message: format!("{at} does not let batch jobs be made with this credential ({status}): {said}"),
                };
            }
            _ => {
                let message =
                    format!("{at} takes no batch job ({status}): {said}; check {setting}, or set `batch: false`");
                return AttemptError::BadRequest { status, message };
            }
        };
        AttemptError::Transient {
            message: format!("{at} answered {status}: {said}"),
            kind,
            retry_after: retry_after(&answer.headers),
        }
    }
}

/// The lines of a file, read as they come.
pub(super) struct ResultLines {
    reply: StreamedReply,
    held: Vec<u8>,
    /// Where in `held` the next line begins.
    at: usize,
    ended: bool,
}

impl ResultLines {
    /// The next line without its newline; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, AttemptError> {
        let mut looked = self.at;
        loop {
            let rest = self.held.get(looked..).unwrap_or_default();
            if let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
                let line = self.held.get(self.at..looked + length).unwrap_or_default().to_vec();
                self.at = looked + length + 1;
                return Ok(Some(line));
            }
            if self.ended {
                let line = self.held.split_off(self.at);
                (self.held, self.at) = (Vec::new(), 0);
                return Ok(Some(line).filter(|line| !line.is_empty()));
            }
            self.held.drain(..self.at);
            (looked, self.at) = (self.held.len(), 0);
            match self.reply.piece().await? {
                Some(piece) => self.held.extend_from_slice(piece.as_ref()),
                None => self.ended = true,
            }
            if self.held.len() > BODY_CAP && !self.held.contains(&b'\n') {
                return Err(unknown(format!("a line of a batch job has more than {BODY_CAP} bytes")));
            }
        }
    }
}
