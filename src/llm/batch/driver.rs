//! One job from its file to its results.

use std::collections::{BTreeSet, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::job::{BatchJob, Delivered, not_made};
use super::line::{self, cancelled};
use super::service::{BatchService, JobLookup, JobStatus, SentFile};
use super::wave::WaitingCall;
use super::{AttemptError, BatchError};
use crate::llm::control::Control;
use crate::net::attempt::Transient;
use crate::net::http::unknown;
use crate::net::retry::Backoff;

/// The first pause between two looks at a job; it doubles. A small job is soon over.
const FIRST_LOOK: Duration = Duration::from_millis(500);
/// The longest. Azure asks for at least a minute.
const LONGEST_LOOK: Duration = Duration::from_secs(60);
/// How long a service may fail without a break before the job is left to the next start.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Connections that fail before any has come about, from which the address counts as wrong.
const NEVER_REACHED_AFTER: u32 = 3;
/// The first and the longest pause before a job that found no room in the queue is created again.
const FIRST_ROOM_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_ROOM_PAUSE: Duration = Duration::from_secs(600);
/// The code of jobs that failed since too many tokens wait at the service already.
const NO_ROOM: &str = "token_limit_exceeded";
/// Times that files are read while lines are missing or cut.
const READINGS: u32 = 3;
/// How often a job that is at work is told of.
const TELL_EVERY: Duration = Duration::from_secs(600);
/// Oddities that are told one by one.
const ODDITIES: usize = 5;

/// What following a job came to.
enum JobEnd {
    /// Every call has what there was for it.
    Settled,
    /// It was not begun: too much waits at the service.
    NoRoom(String),
}

/// Takes one job through.
pub(super) struct JobDriver {
    service: Arc<BatchService>,
    control: Arc<Control>,
    mark: String,
}

impl JobDriver {
    pub(super) fn new(service: Arc<BatchService>, control: Arc<Control>, mark: &str) -> Self {
        Self { service, control, mark: mark.to_owned() }
    }

    /// Makes a job of `calls` and sees it to its end.
    pub(super) async fn send(&self, calls: Vec<WaitingCall>) {
        let file = self.service.file(&calls);
        let job = BatchJob::of(calls);
        if let Err(error) = self.begin(&job, file).await {
            job.end(&error);
        }
    }

    /// Finds the job that an earlier process began, and sees it to its end.
    pub(super) async fn find_again(&self, job: &BatchJob) {
        if let Err(error) = self.resume(job).await {
            job.end(&error);
        }
    }

    async fn begin(&self, job: &BatchJob, file: Vec<u8>) -> Result<(), BatchError> {
        let input = self.input(&file).await?;
        drop(file);
        let mut pause = FIRST_ROOM_PAUSE;
        loop {
            let id = self.create(&input, job.open()).await?;
            match self.follow(job, &id).await? {
                JobEnd::Settled => return Ok(()),
                JobEnd::NoRoom(said) => {
                    self.tell(&format!("found no room in the queue ({said}); it is sent again in {pause:?}"));
                    self.sleep(pause).await?;
                    pause = (pause * 2).min(LONGEST_ROOM_PAUSE);
                }
            }
        }
    }

    async fn resume(&self, job: &BatchJob) -> Result<(), BatchError> {
        let jobs = match self.steadily(|| self.service.find(&self.mark)).await? {
            JobLookup::Found(jobs) => jobs,
            JobLookup::Absent => return Err(not_made("its batch job was never begun".to_owned()).into()),
            JobLookup::Unknowable(why) => {
                let why = format!("whether its batch job was begun cannot be looked up: {why}");
                self.tell(&format!("{why}; its {} calls may have been billed, and are sent again", job.open()));
                return Err(unknown(why).into());
            }
        };
        match self.follow(job, &self.the_one(&jobs)).await? {
            JobEnd::Settled => Ok(()),
            JobEnd::NoRoom(said) => Err(not_made(said).into()),
        }
    }

    /// The job to follow, of those with the mark. More than one is there if an answer to its creation was lost.
    fn the_one(&self, jobs: &[JobStatus]) -> String {
        let ids: Vec<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
        if let [first, others @ ..] = ids.as_slice()
            && !others.is_empty()
        {
            self.tell(&format!("was created twice: {first} is used, {} may have been billed too", others.join(", ")));
        }
        ids.first().map(|id| (*id).to_owned()).unwrap_or_default()
    }

    /// Sends the file, and waits until a job can be made of it.
    async fn input(&self, file: &[u8]) -> Result<String, BatchError> {
        let mut sent: SentFile = self.steadily(|| self.service.send_file(&self.mark, file)).await?;
        let mut pause = FIRST_LOOK;
        while !sent.is_ready() {
            self.sleep(pause).await?;
            pause = (pause * 2).min(LONGEST_LOOK);
            sent = self.steadily(|| self.service.look_at_file(&sent.id)).await?;
        }
        if sent.is_refused() {
            let message = format!("{} cannot read the file {} of a batch job", self.service.origin(), sent.id);
            return Err(AttemptError::Fatal { message }.into());
        }
        Ok(sent.id)
    }

    /// Creates the job. Where the answer is lost it is looked for before it is created again.
    async fn create(&self, input: &str, calls: usize) -> Result<String, BatchError> {
        let mut patience = Patience::new(&self.mark);
        loop {
            let job = match self.service.create(&self.mark, input).await {
                Ok(job) => job,
                Err(error) => {
                    let lost =
                        matches!(error, AttemptError::Transient { kind: Transient::Unknown | Transient::TimedOut, .. });
                    self.sleep(patience.after(&error, &self.service)?).await?;
                    match self.lost_job(lost).await? {
                        Some(id) => return Ok(id),
                        None => continue,
                    }
                }
            };
            if !job.has_mark(&self.mark) {
                self.control.tell(format!(
                    "{} keeps no metadata with batch jobs: if this process is killed, their calls count as possibly billed",
                    self.service.origin()
                ));
            }
            tracing::info!(job = job.id, calls, "batch job sent");
            self.control.tell(format!(
                "batch job {} with {calls} calls is at work; it may take a day (Ctrl-C leaves it at work, the same command picks it up)",
                job.id
            ));
            return Ok(job.id);
        }
    }

    async fn lost_job(&self, lost: bool) -> Result<Option<String>, BatchError> {
        if !lost {
            return Ok(None);
        }
        match self.steadily(|| self.service.find(&self.mark)).await? {
            JobLookup::Found(jobs) => Ok(Some(self.the_one(&jobs))),
            JobLookup::Absent => Ok(None),
            JobLookup::Unknowable(why) => {
                self.tell(&format!(
                    "is created again, and may be billed twice: whether it was created cannot be looked up ({why})"
                ));
                Ok(None)
            }
        }
    }

    /// Waits for the end of a job and hands its results out.
    async fn follow(&self, job: &BatchJob, id: &str) -> Result<JobEnd, BatchError> {
        let mut pause = FIRST_LOOK;
        let mut told = Instant::now();
        let status = loop {
            let status = self.steadily(|| self.service.look_at(id)).await?;
            if status.is_over() {
                break status;
            }
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                let (done, all) = status.progress().unwrap_or((0, job.open() as u64));
                self.tell(&format!("({id}) is {}: {done} of {all} calls are done", status.name()));
            }
            self.sleep(pause).await?;
            pause = (pause * 2).min(LONGEST_LOOK);
        };
        tracing::info!(job = id, status = status.name(), "batch job over");
        if status.name() == "failed" {
            return failed(&status);
        }
        self.collect(job, &status).await?;
        Ok(JobEnd::Settled)
    }

    /// Reads the results, again while there are lines that cannot be read, and gives the calls without one what the end
    /// of the job means for them.
    async fn collect(&self, job: &BatchJob, status: &JobStatus) -> Result<(), BatchError> {
        let mut oddities = BTreeSet::new();
        for reading in 0..READINGS {
            oddities.clear();
            let mut seen = HashSet::new();
            for file in status.files() {
                self.read_steadily(job, file, &mut seen, &mut oddities).await?;
            }
            if job.open() == 0 || oddities.is_empty() {
                break;
            }
            self.sleep(FIRST_LOOK * (reading + 1)).await?;
        }
        let missing = job.open();
        job.end(&without_a_line(status));
        if missing > 0 {
            oddities.insert(format!("{missing} of its calls have no line"));
        }
        self.tell_of(&status.id, &oddities);
        Ok(())
    }

    async fn read_steadily(
        &self,
        job: &BatchJob,
        file: &str,
        seen: &mut HashSet<String>,
        oddities: &mut BTreeSet<String>,
    ) -> Result<(), BatchError> {
        let before = seen.clone();
        let mut patience = Patience::new(file);
        loop {
            match self.read(job, file, seen, oddities).await {
                Ok(()) => return Ok(()),
                Err(error) => {
                    self.sleep(patience.after(&error, &self.service)?).await?;
                    // What was read of the broken answer comes once more.
                    seen.clone_from(&before);
                }
            }
        }
    }

    async fn read(
        &self,
        job: &BatchJob,
        file: &str,
        seen: &mut HashSet<String>,
        oddities: &mut BTreeSet<String>,
    ) -> Result<(), AttemptError> {
        let mut lines = self.service.results(file).await?;
        let mut number = 0;
        while let Some(text) = lines.next().await? {
            number += 1;
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            match line::read(&text) {
                Ok((key, _)) if !seen.insert(key.clone()) => {
                    oddities.insert(format!("line {number} of {file} is a second result of {key}: the first counts"));
                }
                Ok((key, answer)) => {
                    if job.deliver(&key, answer) == Delivered::Unknown {
                        oddities.insert(format!(
                            "line {number} of {file} is of no call of the job: {}",
                            crate::net::http::quote(&key, None)
                        ));
                    }
                }
                Err(reason) => {
                    oddities.insert(format!("line {number} of {file} {reason}"));
                }
            }
        }
        Ok(())
    }

    /// Says what was odd about the results of a job.
    fn tell_of(&self, id: &str, oddities: &BTreeSet<String>) {
        for oddity in oddities.iter().take(ODDITIES) {
            self.control.tell(format!("batch job {id}: {oddity}"));
        }
        if oddities.len() > ODDITIES {
            self.control.tell(format!("batch job {id}: {} more lines like these", oddities.len() - ODDITIES));
        }
    }

    /// Asks until there is an answer. Where there will be none the job is left to the next start: nothing is known of it.
    async fn steadily<T, F>(&self, ask: impl Fn() -> F + Send + Sync) -> Result<T, BatchError>
    where
        F: Future<Output = Result<T, AttemptError>> + Send,
    {
        let mut patience = Patience::new(&self.mark);
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error) => self.sleep(patience.after(&error, &self.service)?).await?,
            }
        }
    }

    async fn sleep(&self, pause: Duration) -> Result<(), BatchError> {
        let stopped = |_| BatchError::Left { message: "the run is stopping".to_owned() };
        self.control.sleep(pause).await.map_err(stopped)
    }

    fn tell(&self, what: &str) {
        self.control.tell(format!("a batch job at {} {what}", self.service.origin()));
    }
}

/// A job that failed as a whole: not one call was made.
fn failed(status: &JobStatus) -> Result<JobEnd, BatchError> {
    let errors = status.errors();
    let said: Vec<String> = errors.iter().take(3).map(|(code, said)| format!("{code}: {said}")).collect();
    let said = if said.is_empty() { "no reason was given".to_owned() } else { said.join("; ") };
    if errors.iter().any(|(code, _)| code == NO_ROOM) {
        return Ok(JobEnd::NoRoom(said));
    }
    let message = format!("batch job {} was refused as a whole ({said}); nothing of it was worked on", status.id);
    Err(AttemptError::Fatal { message }.into())
}

/// What the end of a job means for a call that none of its lines is about.
fn without_a_line(status: &JobStatus) -> BatchError {
    let (id, name) = (&status.id, status.name());
    match name.as_str() {
        "expired" => not_made(format!("batch job {id} expired before this call was made")).into(),
        "cancelled" => cancelled().into(),
        _ => unknown(format!("batch job {id} is {name} and says nothing of this call")).into(),
    }
}

/// How long failures are put up with.
struct Patience {
    backoff: Backoff,
    started: Instant,
    failures: u32,
}

impl Patience {
    fn new(key: &str) -> Self {
        Self { backoff: Backoff::new(key), started: Instant::now(), failures: 0 }
    }

    /// How long to wait after a failure; the job is left alone when waiting is no use.
    fn after(&mut self, error: &AttemptError, service: &BatchService) -> Result<Duration, BatchError> {
        self.failures += 1;
        let wrong = self.failures >= NEVER_REACHED_AFTER && !service.was_reached();
        let advice = match error {
            AttemptError::Transient { kind, retry_after, .. } => {
                let pause = retry_after.filter(|pause| !pause.is_zero()).unwrap_or_else(|| self.backoff.next_wait());
                let unreachable = wrong && *kind == Transient::NotSent;
                if !unreachable && self.started.elapsed() + pause < PATIENCE {
                    return Ok(pause);
                }
                if unreachable {
                    format!("; check {} and that the server is up", service.setting())
                } else {
                    String::new()
                }
            }
            _ => String::new(),
        };
        let message = format!("{error}{advice}; what is in batch jobs stays there, and the same command looks for it");
        Err(BatchError::Left { message })
    }
}
