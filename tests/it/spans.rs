//! Calls as spans, sent to a collector.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran};
use crate::support::script::Script;

/// Bodies, each with the path it was sent to.
type Taken = Mutex<Vec<(String, Vec<u8>)>>;

/// Takes what is sent to it.
struct Collector {
    address: String,
    taken: Arc<Taken>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Taken::default());
        let kept = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || while take(&stream, &kept).is_some() {});
            }
        });
        Self { address, taken }
    }

    /// How often `word` stands in what was sent as spans.
    fn count(&self, word: &str) -> usize {
        let taken = self.taken.lock().unwrap();
        let spans = taken.iter().filter(|(path, _)| path == "/v1/traces");
        spans.map(|(_, body)| body.windows(word.len()).filter(|part| *part == word.as_bytes()).count()).sum()
    }
}

/// One request; `None` once the connection is at its end.
fn take(stream: &TcpStream, kept: &Taken) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    kept.lock().unwrap().push((path, body));
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").ok()
}

fn run(collector: &str, name: &str) -> Ran {
    let endpoint = Endpoint::start(Script::default());
    let project = Project::new();
    project.demo(&endpoint.base_url());
    let mut command = project.convogen(&["pipeline", "run", "-c", "demo.yaml", "--json"]);
    command.env(name, collector).env("OTEL_EXPORTER_OTLP_TIMEOUT", "2000");
    command.output().unwrap().into()
}

#[test]
fn every_call_is_a_span_with_its_tokens_and_without_its_words() {
    let collector = Collector::start();
    let ran = run(&collector.address, "OTEL_EXPORTER_OTLP_ENDPOINT");
    let calls = usize::try_from(ran.ended(0).json()["usage"]["calls"].as_u64().unwrap()).unwrap();
    assert!(calls > 10, "{calls}");
    for attribute in ["gen_ai.request.model", "gen_ai.provider.name", "gen_ai.conversation.id", "convogen.attempt"] {
        assert_eq!(collector.count(attribute), calls, "{attribute}");
    }
    assert_eq!(collector.count("gen_ai.usage.input_tokens"), calls);
    assert!(collector.count("service.name") > 0 && collector.count("127.0.0.1") >= calls);
    assert_eq!(collector.count("You are"), 0, "prompts stay at home");
}

#[test]
fn a_collector_that_is_away_costs_a_warning_and_no_run() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&format!("http://{nobody}/v1/traces"), "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").ended(0);
    assert!(ran.stderr.contains("spans"), "{}", ran.stderr);
}
