//! A Batch API that a scripted endpoint can have, in the words of OpenAI or of Azure OpenAI, and what goes wrong with one.
#![allow(clippy::indexing_slicing, reason = "an answer of the test server is as it should be, or the test fails")]
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(clippy::expect_used, clippy::panic, reason = "a test whose server cannot answer has nothing to test")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::script::{Answer, Call, Script, completion, plausible};

/// Changes the lines of a job's results: the number of the job, from 0, and its lines.
type Mangle = Box<dyn Fn(usize, Vec<String>) -> Vec<String> + Send + Sync>;

/// How the service behaves.
pub(crate) struct Jobs {
    /// Azure's words: files are processed first, a status has a capital, there is always a file of errors.
    pub(crate) azure: bool,
    /// Looks at a job before it is over.
    pub(crate) looks: usize,
    /// Whether jobs keep their metadata.
    pub(crate) metadata: bool,
    /// Whether jobs can be listed.
    pub(crate) lists: bool,
    /// Jobs in a page of the list.
    pub(crate) page: usize,
    /// Lines that a job gets done before it expires, by its number.
    pub(crate) expires_after: fn(usize) -> Option<usize>,
    /// A code by which the job with this number is refused as a whole.
    pub(crate) refused: fn(usize) -> Option<&'static str>,
    /// What its results look like.
    pub(crate) mangle: Mangle,
    /// How often the first results are cut amid a download.
    pub(crate) cuts: usize,
    /// How often the answer to the creation of a job is lost.
    pub(crate) lost: usize,
    pub(crate) state: Mutex<JobsState>,
}

#[derive(Default)]
pub(crate) struct JobsState {
    /// Name and content by id.
    files: BTreeMap<String, (String, String)>,
    looked: BTreeMap<String, usize>,
    jobs: Vec<Value>,
    cut: usize,
    lost: usize,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            azure: false,
            looks: 1,
            metadata: true,
            lists: true,
            page: 100,
            expires_after: |_| None,
            refused: |_| None,
            mangle: Box::new(|_, lines| lines),
            cuts: 0,
            lost: 0,
            state: Mutex::default(),
        }
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

impl Jobs {
    /// The answer to `call`, if it is about files or jobs. Lines are answered as `script` answers calls.
    pub(crate) fn answer(&self, call: &Call, script: &Script) -> Option<Answer> {
        let path = call.path.split('?').next().unwrap_or_default();
        let (_, rest) = path.split_once("/v1/").or_else(|| path.split_once("/openai/"))?;
        let parts: Vec<&str> = rest.split('/').collect();
        if !matches!(parts.first(), Some(&("files" | "batches"))) {
            return None;
        }
        let mut state = self.state();
        Some(match (parts.as_slice(), call.raw.is_empty()) {
            (["files"], false) => self.keep_file(&mut state, call),
            (["files", id], true) => self.show_file(&mut state, id),
            (["files", id, "content"], true) => self.results(&mut state, id),
            (["batches"], false) => self.create(&mut state, call, script),
            (["batches"], true) => self.list(&state, call),
            (["batches", id], true) => self.look(&mut state, id),
            _ => return None,
        })
    }

    /// The lines of every job that was created, in order.
    pub(crate) fn sent(&self) -> Vec<Vec<Value>> {
        let state = self.state();
        let lines = |job: &Value| -> Vec<Value> {
            let (_, content) = &state.files[job["input_file_id"].as_str().expect("a file")];
            content.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
        };
        state.jobs.iter().map(lines).collect()
    }

    fn state(&self) -> MutexGuard<'_, JobsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep_file(&self, state: &mut JobsState, call: &Call) -> Answer {
        let (boundary, _) = call.raw.split_once("\r\n").expect("a form");
        let (_, file) = call.raw.split_once("filename=\"").expect("a file");
        let (name, file) = file.split_once('"').expect("a name");
        let (_, file) = file.split_once("\r\n\r\n").expect("a body");
        let (content, _) = file.split_once(&format!("\r\n{boundary}--")).expect("an end");
        assert!(call.raw.contains("name=\"purpose\"\r\n\r\nbatch\r\n"), "a file without a purpose");
        let id = format!("file-{}", state.files.len());
        state.files.insert(id.clone(), (name.to_owned(), content.to_owned()));
        self.show_file(state, &id)
    }

    fn show_file(&self, state: &mut JobsState, id: &str) -> Answer {
        let looks = state.looked.entry(id.to_owned()).or_default();
        *looks += 1;
        let status = if self.azure && *looks < 2 { "pending" } else { "processed" };
        Answer::json(&json!({"id": id, "object": "file", "purpose": "batch", "status": status}))
    }

    fn create(&self, state: &mut JobsState, call: &Call, script: &Script) -> Answer {
        let input = call.body["input_file_id"].as_str().expect("a file").to_owned();
        if self.azure && state.looked[&input] < 2 {
            return Answer::error(400, "invalid_file", "the file is not processed yet");
        }
        assert_eq!(call.body["completion_window"], "24h");
        let number = state.jobs.len();
        let metadata = if self.metadata { call.body["metadata"].clone() } else { Value::Null };
        let mut job = json!({"id": format!("batch_{number}"), "object": "batch", "endpoint": call.body["endpoint"],
                             "input_file_id": input, "metadata": metadata, "errors": null, "completion_window": "24h"});
        match (self.refused)(number) {
            Some(code) => {
                let errors = json!({"object": "list", "data": [{"code": code, "message": "not like this", "line": 1}]});
                job["errors"] = errors;
                job["end"] = json!("failed");
            }
            None => self.work(state, &mut job, number, script),
        }
        state.jobs.push(job.clone());
        if state.lost < self.lost {
            state.lost += 1;
            return Answer::Reset;
        }
        Answer::json(&self.shown(&job, "validating"))
    }

    /// Answers the lines of a job, as far as it gets.
    fn work(&self, state: &mut JobsState, job: &mut Value, number: usize, script: &Script) {
        let (_, content) = state.files[job["input_file_id"].as_str().expect("a file")].clone();
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let until = (self.expires_after)(number);
        for (at, line) in content.lines().enumerate() {
            let line: Value = serde_json::from_str(line).expect("a line of JSON");
            assert_eq!(line["url"], job["endpoint"], "url_mismatch");
            let id = &line["custom_id"];
            if until.is_some_and(|until| at >= until) {
                let error = json!({"code": "batch_expired", "message": "This request could not be executed before the completion window expired."});
                errors.push(json!({"custom_id": id, "response": null, "error": error}).to_string());
                continue;
            }
            let (status, body) = answered(&line, script);
            let response = json!({"status_code": status, "request_id": "r", "body": body});
            let result = json!({"id": format!("batch_req_{at}"), "custom_id": id, "response": response, "error": null});
            if status == 200 { &mut output } else { &mut errors }.push(result.to_string());
        }
        job["end"] = json!(if until.is_some() { "expired" } else { "completed" });
        job["request_counts"] =
            json!({"total": content.lines().count(), "completed": output.len(), "failed": errors.len()});
        // Results come in no order that was asked for.
        output.reverse();
        let mut keep = |lines: Vec<String>| {
            let id = format!("file-{}", state.files.len());
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            state.files.insert(id.clone(), ("results".to_owned(), text));
            id
        };
        job["output"] = json!(keep((self.mangle)(number, output)));
        if self.azure || !errors.is_empty() {
            job["error"] = json!(keep(errors));
        }
    }

    fn look(&self, state: &mut JobsState, id: &str) -> Answer {
        let looks = state.looked.entry(id.to_owned()).or_default();
        *looks += 1;
        let looks = *looks;
        match state.jobs.iter().find(|job| job["id"] == id) {
            Some(job) if looks > self.looks => Answer::json(&self.shown(job, job["end"].as_str().expect("an end"))),
            Some(job) => Answer::json(&self.shown(job, "in_progress")),
            None => Answer::error(404, "not_found", "no such batch"),
        }
    }

    fn shown(&self, job: &Value, status: &str) -> Value {
        let mut shown = job.clone();
        let object = shown.as_object_mut().expect("an object");
        let (output, error) = (object.remove("output"), object.remove("error"));
        let over = object.remove("end") == Some(json!(status));
        shown["output_file_id"] = output.filter(|_| over).unwrap_or_default();
        shown["error_file_id"] = error.filter(|_| over).unwrap_or_default();
        let capital =
            |text: &str| text.chars().take(1).flat_map(char::to_uppercase).chain(text.chars().skip(1)).collect();
        shown["status"] = json!(if self.azure { capital(status) } else { status.to_owned() });
        shown["created_at"] =
            if self.azure { json!("2024-07-19T17:13:57.2491382+00:00") } else { json!(1_711_471_533) };
        shown
    }

    fn list(&self, state: &JobsState, call: &Call) -> Answer {
        if !self.lists {
            return Answer::error(404, "not_found", "no such route");
        }
        let after = call.path.split_once("after=").map(|(_, rest)| rest.split('&').next().unwrap_or_default());
        let newest_first = state.jobs.iter().rev();
        let rest: Vec<&Value> = match after {
            Some(id) => newest_first.skip_while(|job| job["id"] != id).skip(1).collect(),
            None => newest_first.collect(),
        };
        let data: Vec<Value> = rest.iter().take(self.page).map(|job| self.shown(job, "in_progress")).collect();
        Answer::json(&json!({"object": "list", "data": data, "has_more": rest.len() > self.page}))
    }

    fn results(&self, state: &mut JobsState, id: &str) -> Answer {
        let Some((_, content)) = state.files.get(id) else {
            return Answer::error(404, "not_found", "no such file");
        };
        if state.cut < self.cuts && !content.is_empty() {
            state.cut += 1;
            let half = content.chars().take(content.chars().count() / 2).collect::<String>();
            return if state.cut.is_multiple_of(2) {
                Answer::Short
            } else {
                Answer::Body("application/json", half.into_bytes())
            };
        }
        Answer::Body("application/json", content.clone().into_bytes())
    }
}

/// Status and body of the answer to a line.
fn answered(line: &Value, script: &Script) -> (u16, Value) {
    let (raw, path) = (line["body"].to_string(), line["url"].as_str().expect("a route").to_owned());
    let call = Call {
        index: 0,
        repeat: 0,
        at: std::time::Duration::ZERO,
        path,
        key: script.key.clone(),
        raw,
        body: line["body"].clone(),
    };
    let value = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)));
    match script.answer(&call) {
        Answer::Plausible => (200, completion(&call, &plausible(&call))),
        Answer::Text(text) => (200, completion(&call, &text)),
        Answer::Status(status, _, body) => (status, value(&body)),
        Answer::Body(_, body) => (200, value(&body)),
        other => panic!("no line of a batch job is answered with {other:?}"),
    }
}
