//! convogen as a library has it: all of it by what the crate exports.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use convogen::{
    AttemptError, ChatModel, ChatRequest, Conversation, Environment, Finish, Reply, ReplyFormat, RunOptions, RunWatch,
    Structured, Usage, load, run,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::support::script::{Call, plausible};

/// A model in this process that knows no network.
#[derive(Debug, Default)]
struct InProcess {
    calls: AtomicUsize,
}

impl ChatModel for InProcess {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, _: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        let mut body = json!({"messages": request.messages.list()});
        if let ReplyFormat::Json { schema, .. } = &request.format {
            body["response_format"] = json!({"json_schema": {"schema": schema}});
        }
        let index = self.calls.fetch_add(1, Ordering::Relaxed);
        let raw = body.to_string();
        let call = Call { index, repeat: 0, at: Duration::ZERO, path: String::new(), key: None, raw, body };
        let usage = Usage { prompt_tokens: 10, completion_tokens: 5, ..Usage::default() };
        let reply = Reply { text: plausible(&call), finish: Finish::Stop, usage };
        std::future::ready(Ok(reply)).boxed()
    }

    fn target(&self) -> String {
        "a model in the process".to_owned()
    }
}

const CONFIG: &str = "version: 1
run_dir: run
personas: {sample: 20}
situations: {count: 3}
conversations: {turns: {min: 4, max: 4}}
models:
  default: {provider: openai, base_url: \"http://127.0.0.1:9/v1\", model: demo, api_key_env: null}
";

#[tokio::test]
async fn a_model_of_ones_own_makes_a_dataset_that_is_read_back_and_is_not_asked_twice() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.yaml");
    std::fs::write(&file, CONFIG).unwrap();
    let loaded = load(Some(&file), &[]).unwrap();
    let model = Arc::new(InProcess::default());
    let run_dir = folder.path().join("run");
    let options = RunOptions {
        run_dir: Some(run_dir.clone()),
        model: Some(Arc::clone(&model) as Arc<dyn ChatModel>),
        ..RunOptions::default()
    };
    let end = Box::pin(run(&loaded, &Environment::default(), &options, &RunWatch::default())).await.unwrap();
    let accepted = end.summary.stages["conversations"].accepted;
    assert!(accepted > 0);

    let texts = std::fs::read_to_string(run_dir.join("stages/3-conversations/part-00000.jsonl")).unwrap();
    let read: Vec<Conversation> = texts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read.len() as u64, accepted);
    assert!(read.iter().all(|one| one.turns.len() == 4));

    let calls = model.calls.load(Ordering::Relaxed);
    let again = Box::pin(run(&loaded, &Environment::default(), &options, &RunWatch::default())).await.unwrap();
    assert_eq!(again.summary.stages, end.summary.stages);
    assert_eq!(model.calls.load(Ordering::Relaxed), calls, "what is on record is not asked again");
}

/// The names that `src/lib.rs` exports, sorted.
fn exported() -> Vec<String> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/lib.rs")).unwrap();
    let block = text.split_once("pub use self::{").unwrap().1.split_once("};").unwrap().0;
    let one = |name: &str| name.rsplit("::").next().unwrap().trim_matches(|c: char| !c.is_alphanumeric()).to_owned();
    let mut names: Vec<String> = block.split(',').map(one).filter(|name| !name.is_empty()).collect();
    names.sort();
    names
}

#[test]
fn the_facade_is_this_and_no_more() {
    insta::assert_snapshot!(exported().join(" "), @"AttemptError ChatModel ChatRequest ConfigError Conversation Draw Environment ExitCode Extra Finish Loaded Message Messages Participant Persona PublishError PublishOptions PublishWatch Relation RemainingQuota Reply ReplyFormat Report ReportError Role RunEnd RunError RunOptions RunWatch Schema Situation Speaker StopReason Structured Transient Turn Usage compile_upload load report run run as run_program");
}
