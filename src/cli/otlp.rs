//! Calls of models as OpenTelemetry spans, sent by OTLP over HTTP: for builds with the feature `otlp`.
//!
//! The variables of the OpenTelemetry specification say where to: nothing is sent unless `OTEL_EXPORTER_OTLP_ENDPOINT` or
//! `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set. Attributes follow the semantic conventions for generative AI. A span tells what a
//! call took and how it ended; it never holds what was said.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, StringValue, Value};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer;
use tracing_subscriber::registry::LookupSpan;

use crate::clock::unix_nanos;
use crate::llm::recorded::CALL_EVENT;
use crate::net::http::bare_client;

/// Time for a request to the collector.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends a span for each call, under one for the command.
#[derive(Clone)]
pub(crate) struct CallSpans {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    command: Context,
    trouble: Arc<OnceLock<String>>,
}

impl CallSpans {
    /// Starts sending, if the variables of the process name a collector; the error is a sentence.
    pub(crate) fn start() -> Result<Option<Self>, String> {
        if !is_wanted(&|name| std::env::var(name).ok()) {
            return Ok(None);
        }
        let client = CollectorClient::new()?;
        let trouble = Arc::clone(&client.trouble);
        let exporter = SpanExporter::builder().with_http().with_http_client(client).build();
        let exporter = exporter.map_err(|error| format!("no spans are sent: {error}"))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("convogen");
        }
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        let tracer = provider.tracer("convogen");
        let command = Context::new().with_span(tracer.start_with_context("convogen", &Context::new()));
        Ok(Some(Self { provider, tracer, command, trouble }))
    }

    /// As a layer that sees the calls alone.
    pub(crate) fn filtered<S: Subscriber + for<'a> LookupSpan<'a>>(self) -> impl Layer<S> {
        self.with_filter(Targets::new().with_target(CALL_EVENT, LevelFilter::DEBUG))
    }

    /// Ends the span of the command and sends what is left; the error is a sentence.
    pub(crate) fn finish(&self) -> Result<(), String> {
        self.command.span().end();
        let ended = self.provider.shutdown();
        let trouble = self.trouble.get().cloned().or_else(|| ended.err().map(|error| error.to_string()));
        trouble.map_or(Ok(()), |trouble| Err(format!("spans were not sent: {trouble}")))
    }
}

/// Whether the process is to send spans.
fn is_wanted(var: &dyn Fn(&str) -> Option<String>) -> bool {
    let is_set = |name: &str| var(name).is_some_and(|value| !value.is_empty());
    let is_off = var("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    !is_off && (is_set("OTEL_EXPORTER_OTLP_ENDPOINT") || is_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
}

impl<S: Subscriber> Layer<S> for CallSpans {
    /// The event comes when the call is over and says how long it took.
    fn on_event(&self, event: &Event<'_>, _: layer::Context<'_, S>) {
        let mut call = CallAttributes::default();
        event.record(&mut call);
        let end = UNIX_EPOCH + Duration::from_nanos(u64::try_from(unix_nanos()).unwrap_or(u64::MAX));
        self.send(call, end);
    }
}

impl CallSpans {
    fn send(&self, call: CallAttributes, end: SystemTime) {
        let begin = end.checked_sub(call.took).unwrap_or(end);
        let span = self.tracer.span_builder(format!("chat {}", call.model)).with_kind(SpanKind::Client);
        let span = span.with_start_time(begin).with_attributes(call.attributes);
        let mut span = span.start_with_context(&self.tracer, &self.command);
        if let Some(error) = call.error {
            span.set_status(Status::error(error));
        }
        span.end_with_timestamp(end);
    }
}

/// What an event of a call says, as attributes.
struct CallAttributes {
    model: String,
    took: Duration,
    error: Option<String>,
    attributes: Vec<KeyValue>,
}

impl Default for CallAttributes {
    fn default() -> Self {
        let attributes = vec![KeyValue::new("gen_ai.operation.name", "chat")];
        Self { model: String::new(), took: Duration::ZERO, error: None, attributes }
    }
}

impl CallAttributes {
    fn add(&mut self, field: &str, value: Value) {
        match field {
            "model" => self.model = value.as_str().into_owned(),
            "ms" => self.took = Duration::from_millis(value.as_str().parse().unwrap_or(0)),
            "error" => self.error = Some(value.as_str().into_owned()),
            _ => {}
        }
        // The one attribute that is a list.
        let value = if field == "finish" {
            Value::Array(vec![StringValue::from(value.as_str().into_owned())].into())
        } else {
            value
        };
        if let Some(name) = attribute(field) {
            self.attributes.push(KeyValue::new(name, value));
        }
    }
}

/// The attribute for a field: one of the semantic conventions where there is one.
fn attribute(field: &str) -> Option<&'static str> {
    Some(match field {
        "served_by" => "gen_ai.provider.name",
        "model" => "gen_ai.request.model",
        "server" => "server.address",
        "max_tokens" => "gen_ai.request.max_tokens",
        "temperature" => "gen_ai.request.temperature",
        "item" => "gen_ai.conversation.id",
        "role" => "gen_ai.agent.name",
        "prompt" => "gen_ai.usage.input_tokens",
        "cached" => "gen_ai.usage.cache_read.input_tokens",
        "completion" => "gen_ai.usage.output_tokens",
        "reasoning" => "gen_ai.usage.reasoning.output_tokens",
        "finish" => "gen_ai.response.finish_reasons",
        "reason" => "error.type",
        "stage" => "convogen.stage",
        "turn" => "convogen.turn",
        "attempt" => "convogen.attempt",
        "requests" => "convogen.requests",
        _ => return None,
    })
}

impl Visit for CallAttributes {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), Value::I64(i64::try_from(value).unwrap_or(i64::MAX)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), Value::I64(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), Value::F64(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), Value::from(value.to_owned()));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), Value::from(format!("{value:?}")));
    }
}

/// The HTTPS client of everything else here, on a runtime of its own: spans are sent from a thread that has none.
#[derive(Debug)]
struct CollectorClient {
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    /// What went wrong first; the exporter itself tells nobody.
    trouble: Arc<OnceLock<String>>,
}

impl CollectorClient {
    fn new() -> Result<Self, String> {
        let client =
            bare_client(TIMEOUT, TIMEOUT, &|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        Ok(Self { client, runtime: runtime.map_err(|error| error.to_string())?, trouble: Arc::default() })
    }
}

impl HttpClient for CollectorClient {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let client = self.client.clone();
        let answer = self.runtime.spawn(async move { exchange(&client, request).await });
        Box::pin(async {
            let answer = answer.await?;
            let trouble = match &answer {
                Ok(answer) if answer.status().is_success() => None,
                Ok(answer) => Some(format!("the collector answered {}", answer.status())),
                Err(error) => Some(error.to_string()),
            };
            if let Some(trouble) = trouble {
                let _ = self.trouble.set(trouble);
            }
            answer
        })
    }
}

async fn exchange(client: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    // An address may hold a token.
    let answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let status = answer.status();
    let mut response = Response::new(answer.bytes().await?);
    *response.status_mut() = status;
    Ok(response)
}
