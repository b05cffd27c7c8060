//! Messages that a new user meets in the first hour, in that user's words: addresses, certificates, files of another kind,
//! prompts that changed, and what a run says of itself while it is at work.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;

use crate::support::certificate::Certificate;
use crate::support::endpoint::Endpoint;
use crate::support::project::{Project, Ran};
use crate::support::script::Script;
use crate::support::sums::number;

fn says(ran: &Ran, words: &[&str]) {
    for word in words {
        assert!(ran.stderr.contains(word), "no {word:?} in {}", ran.stderr);
    }
}

/// A small run with nothing to wait for, at `address`.
fn at(address: &str) -> Project {
    let project = Project::new();
    project.demo(address);
    project
}

const ONCE: [&str; 4] = ["--set", "models.default.max_attempts=1", "--set", "situations.count=1"];

/// A server that speaks https, with a certificate of an authority of its own, and has nothing to give. It serves until this process
/// ends.
fn play_https(certificate: &Certificate) -> String {
    drop(rustls::crypto::ring::default_provider().install_default());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.key_der.clone()));
    let chain = vec![CertificateDer::from(certificate.leaf_der.clone())];
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream);
            // Who does not trust the certificate, or speaks plain http, gets an alert and no answer.
            if stream.read(&mut [0; 4096]).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.conn.send_close_notify();
            }
            let _ = stream.flush();
        }
    });
    address
}

#[test]
fn an_untrusted_certificate_names_the_variable_that_trusts_it() {
    let certificate = Certificate::new();
    let project = at(&format!("https://{}/v1", play_https(&certificate)));
    let run = |trusted: bool| -> Ran {
        let mut command = project.convogen(&[&["pipeline", "run", "-c", "demo.yaml"], &ONCE[..]].concat());
        if trusted {
            command.env("SSL_CERT_FILE", certificate.authority());
        }
        command.output().unwrap().into()
    };
    says(&run(false).ended(6), &["certificate of https://127.0.0.1:", "not trusted", "SSL_CERT_FILE", "PEM"]);
    let trusted = run(true).ended(6);
    assert!(trusted.stderr.contains("404") && !trusted.stderr.contains("certificate"), "{}", trusted.stderr);
}

#[test]
fn https_and_http_taken_for_each_other_are_told_apart() {
    let endpoint = Endpoint::start(Script::default());
    let project = at(&endpoint.base_url().replace("http://", "https://"));
    says(&project.pipeline(&ONCE).ended(6), &["does not speak https", "write http:// in place of https://"]);

    let project = at(&format!("http://{}/v1", play_https(&Certificate::new())));
    says(&project.pipeline(&ONCE).ended(6), &["does not answer in http", "write https:// in place of http://"]);
}

#[test]
fn an_address_that_leads_nowhere_says_which_part_of_it_is_wrong() {
    let project = at("127.0.0.1:8000/v1");
    says(&project.pipeline(&ONCE).ended(2), &["models.default.base_url", "write http://127.0.0.1:8000/v1"]);
    let project = at("http://no-such-machine.invalid/v1");
    says(
        &project.pipeline(&ONCE).ended(6),
        &["no machine with the name no-such-machine.invalid", "typing error", "DNS"],
    );
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let project = at(&format!("http://127.0.0.1:{port}/v1"));
    says(&project.pipeline(&ONCE).ended(6), &["nothing listens at", "start the server"]);
}

/// A csv file where JSON Lines are read is told to be one.
#[test]
fn a_csv_file_in_place_of_json_lines_is_told_to_be_one() {
    let endpoint = Endpoint::start(Script::default());
    let project = at(&endpoint.base_url());
    project.write("talks.csv", "id,topic,text\n1,tea,\"Hello, there\"\n2,rain,Bye\n");
    let source = ["--set", "situations.mode=file", "--set", "situations.source=talks.csv"];
    let seeds = ["--set", "situations.seeds=talks.csv"];
    let ran = [
        project.run(&["dedup", "talks.csv", "-o", "out.jsonl"]),
        project.run(&["compile", "talks.csv", "-o", "out"]),
        project.run(&["report", "talks.csv"]),
        project.pipeline(&source),
        project.pipeline(&seeds),
    ];
    for ran in ran {
        says(&ran, &["talks.csv", "looks like CSV", "one JSON object a line"]);
        assert!(!ran.stderr.contains("expected value"), "{}", ran.stderr);
    }
}

#[test]
fn a_prompt_that_changed_is_shown_by_its_lines_in_a_resume_and_in_a_fork() {
    let endpoint = Endpoint::start(Script::default());
    let project = at(&endpoint.base_url());
    let shipped = include_str!("../../prompts/conversations/speaker.md");
    project.write("mine.md", shipped);
    let own = ["--set", "conversations.prompts.speaker=mine.md", "--set", "situations.count=3"];
    project.pipeline(&own).ended(0);
    let line = shipped.lines().rev().find(|line| line.len() > 20 && !line.contains(['{', '<'])).unwrap();
    let changed = format!("{line} And be brief.");
    project.write("mine.md", shipped.replace(line, &changed));
    let (old, new) = (format!("    -{line}"), format!("    +{changed}"));
    let refused = project.pipeline(&own).ended(5);
    says(&refused, &["inputs/speaker.md:\n    @@ -", &old, &new, "--fork runs/demo"]);
    let fork = [&own[..], &["--fork", "runs/demo", "--run-dir", "runs/fork"]].concat();
    let forked = project.pipeline(&fork).ended(0);
    says(&forked, &["prompts differ from those of runs/demo", &old, &new, "of them taken from the fork"]);
}

#[test]
fn a_run_that_goes_on_says_what_is_on_record_and_what_was_made_this_time() {
    let endpoint = Endpoint::start(Script { latency: Duration::from_millis(25), ..Script::default() });
    let project = at(&endpoint.base_url());
    let run = project.start(&[]);
    let patience = Instant::now() + Duration::from_secs(60);
    while endpoint.calls().len() < 60 {
        assert!(Instant::now() < patience, "the endpoint is not asked");
        std::thread::sleep(Duration::from_millis(5));
    }
    run.signal("INT");
    run.end().ended(130);
    let before = endpoint.calls().len();
    let ran = project.pipeline(&[]).ended(0);
    let made = endpoint.calls().len() - before;
    says(&ran, &["going on with the ", " replies on record", &format!("this time: {made} calls made, ")]);
    assert!(!ran.stderr.contains("taken from the fork"), "{}", ran.stderr);
    says(&project.pipeline(&[]).ended(0), &["this time: no call was made"]);
}

#[test]
fn the_status_of_a_live_run_tells_turns_and_calls_in_flight_apart_from_those_that_may_have_been_billed() {
    let endpoint = Endpoint::start(Script { latency: Duration::from_millis(700), ..Script::default() });
    let project = at(&endpoint.base_url());
    let _run = project.start(&["--set", "situations.count=4", "--set", "conversations.turns={min: 20, max: 30}"]);
    let look =
        |arguments: &[&str]| project.run(&[&["pipeline", "status", "-c", "demo.yaml"], arguments].concat()).ended(0);
    let patience = Instant::now() + Duration::from_secs(60);
    while !project.path().join("runs/demo/progress.json").exists() {
        assert!(Instant::now() < patience, "no run is there");
        std::thread::sleep(Duration::from_millis(20));
    }
    let at_work = loop {
        let found = look(&["--json"]).json();
        if found["running"]["stage"] == "conversations" && number(&found["running"]["work"]) > 0 {
            break found;
        }
        assert!(Instant::now() < patience, "no turn is told: {found}");
        std::thread::sleep(Duration::from_millis(50));
    };
    let running = &at_work["running"];
    assert_eq!(running["unit"], "turns");
    assert!(number(&running["expected_work"]) >= 60, "{running}");
    assert!(number(&running["in_flight"]) > 0, "{running}");
    assert_eq!(at_work["usage"]["possibly_billed"], Value::from(0), "calls on their way are taken for lost ones");
    let text = look(&[]).stdout;
    for word in ["is running: process ", " turns, ", " calls in flight", "conversations at work: "] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
    assert!(!text.contains("billed"), "{text}");
}
