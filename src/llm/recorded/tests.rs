use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::{BoxFuture, join_all};

use super::*;
use crate::llm::{ChatModel, Finish, Usage};

/// Answers a probe as an endpoint that enforces schemas, everything else in a word.
#[derive(Debug, Default)]
struct Model {
    calls: Arc<AtomicUsize>,
}

impl ChatModel for Model {
    fn attempt<'a>(&'a self, request: &'a ChatRequest, _: Structured) -> BoxFuture<'a, Result<Reply, AttemptError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let text = match &request.format {
            ReplyFormat::Json { name, .. } if name == "verdict" => "{\"verdict\": \"structured\"}",
            _ => "yes",
        };
        let reply = Reply { text: text.to_owned(), finish: Finish::Stop, usage: Usage::default() };
        Box::pin(async move {
            tokio::task::yield_now().await;
            Ok(reply)
        })
    }

    fn target(&self) -> String {
        "here".to_owned()
    }
}

fn endpoint(model: &str, temperature: f64, calls: &Arc<AtomicUsize>) -> Arc<ModelEndpoint> {
    let temperature = Some(temperature);
    Arc::new(ModelEndpoint {
        served_by: "openai",
        profile: ModelProfile {
            model: model.to_owned(),
            tier: "endpoint",
            temperature,
            top_p: None,
            max_tokens: 9,
            extra: None,
        },
        model: Some(Box::new(ModelPool::alone(Box::new(Model { calls: Arc::clone(calls) })))),
        life: SignsOfLife::default(),
        max_attempts: 1,
        structured: StructuredSupport::Probe,
        wire: OnceCell::new(),
    })
}

#[test]
fn calls_are_shared_by_tasks_on_all_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<CallGateway>();
}

#[tokio::test]
async fn models_of_one_name_and_sampling_are_probed_once() {
    let sent = Arc::new(AtomicUsize::new(0));
    let roles = [(Role::Situations, "one", 0.5), (Role::Selector, "one", 0.5), (Role::Judge, "one", 1.0)];
    let endpoints = roles.map(|(role, model, temperature)| (role, endpoint(model, temperature, &sent)));
    let calls = CallGateway { endpoints: BTreeMap::from(endpoints), ..CallGateway::silent(1) };
    let form = ReplyFormat::json("turn", serde_json::json!({"type": "object"}));
    let enforced = join_all(roles.map(|(role, ..)| calls.enforces_schemas(role, &form, 300))).await;
    assert!(enforced.into_iter().all(|enforced| enforced.unwrap()));
    assert_eq!(sent.load(Ordering::SeqCst), 2);
}
