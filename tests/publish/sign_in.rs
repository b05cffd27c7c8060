//! Every way of signing in, and what is said where one is not enough.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;

use crate::scene::{CONTAINER, Scene, finished_run, upload_yaml};
use crate::support::azurite::{ACCOUNT, KEY, Setup};
use crate::support::certificate::Certificate;
use crate::support::fault_proxy::Fault;
use crate::support::project::Ran;
use crate::support::sas::ContainerSas;

/// What a publish needs of a signature, and no more.
const NEEDED: &str = "rwl";
/// The second of two runs, whose data is other.
const OTHER: [&str; 2] = ["--set", "runs=[runs/other]"];

fn sas(scene: &Scene, permissions: &str, expiry: Option<&str>) -> String {
    ContainerSas { account: ACCOUNT, key: KEY, container: &scene.container, permissions, expiry }.token()
}

fn with_sas(scene: &Scene, permissions: &str, more: &[&str]) -> Ran {
    scene.publish_as("sas", "AZURE_STORAGE_SAS_TOKEN", &sas(scene, permissions, None), more)
}

/// Fails unless it ended with 6 and this permission is named.
fn lacks(ran: Ran, name: &str) {
    let said = ran.ended(6).stderr;
    assert!(said.contains(&format!("({name})")), "{name} is not named: {said}");
}

#[test]
fn a_signature_for_read_write_and_list_is_enough_and_none_of_them_can_be_spared() {
    let Some(mut scene) = Scene::new() else { return };
    finished_run(&scene.project, 18, "runs/other");
    scene.container = "enough".into();
    scene.azurite.create_container(&scene.container);
    with_sas(&scene, NEEDED, &[]).ended(0);
    let first = scene.assert_sound();
    with_sas(&scene, NEEDED, &OTHER).ended(0);
    let second = scene.assert_sound();
    assert_ne!(first, second);

    // What may only be created cannot be replaced, and the pointer must be.
    lacks(with_sas(&scene, "rcl", &[]), "write");
    assert_eq!(scene.assert_sound(), second, "what readers see has changed");
    for (letters, name) in [("wl", "read"), ("rw", "list"), ("rl", "write")] {
        scene.container = format!("without-{name}");
        scene.azurite.create_container(&scene.container);
        lacks(with_sas(&scene, letters, &[]), name);
        assert_eq!(scene.assert_sound(), None);
        with_sas(&scene, NEEDED, &[]).ended(0);
        assert!(scene.assert_sound().is_some());
    }
}

#[test]
fn removing_old_versions_needs_delete_besides() {
    let Some(scene) = Scene::new() else { return };
    finished_run(&scene.project, 18, "runs/other");
    scene.publish(&[]).ended(0);
    scene.publish(&OTHER).ended(0);
    let remove = |permissions| -> Ran {
        let yaml = scene.project.read("upload.yaml").replace("auth: connection_string", "auth: sas");
        scene.project.write("upload.yaml", yaml);
        let mut command = scene.gc("1");
        command.env("AZURE_STORAGE_SAS_TOKEN", sas(&scene, permissions, None));
        command.output().expect("convogen starts").into()
    };
    let latest = scene.assert_sound();
    lacks(remove(NEEDED), "delete");
    assert_eq!(scene.assert_sound(), latest);
    remove("rwdl").ended(0);
    assert_eq!(scene.assert_sound(), latest);
}

#[test]
fn a_signature_that_has_ended_or_ends_on_the_way_is_named_and_a_new_one_goes_on() {
    let Some(mut scene) = Scene::new() else { return };
    scene.azurite.create_container(CONTAINER);
    let said = ending(&scene, "2020-01-01T00:00:00Z").ended(6).stderr;
    assert!(said.contains("expired") && said.contains("2020-01-01"), "{said}");
    assert!(scene.blobs().is_empty());

    scene.container = "on-the-way".into();
    scene.azurite.create_container(&scene.container);
    // All but one come when the signature has ended.
    scene.proxy.set(|asked| {
        let late = asked.operation() == "Put Blob" && !asked.path.ends_with("README.md");
        Fault::Delay(Duration::from_secs(7)).when(late)
    });
    let said = ending(&scene, &utc_in(5)).ended(6).stderr;
    assert!(said.contains("expired"), "{said}");
    assert_eq!(scene.assert_sound(), None);
    assert!(!scene.blobs().is_empty(), "nothing had arrived");
    scene.proxy.set(|_| Fault::None);
    with_sas(&scene, NEEDED, &[]).ended(0);
    assert!(scene.assert_sound().is_some());
}

fn ending(scene: &Scene, expiry: &str) -> Ran {
    scene.publish_as("sas", "AZURE_STORAGE_SAS_TOKEN", &sas(scene, NEEDED, Some(expiry)), &[])
}

/// The time so many seconds from now, as signatures have it.
fn utc_in(seconds: u64) -> String {
    let time = SystemTime::now() + Duration::from_secs(seconds);
    // "Sun, 22 Nov 2026 20:30:31 GMT"
    let text = httpdate::fmt_http_date(time);
    let parts: Vec<&str> = text.split(' ').collect();
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|month| *month == parts[2]).unwrap() + 1;
    format!("{}-{month:02}-{}T{}Z", parts[3], parts[1], parts[4])
}

#[test]
fn an_account_key_will_do_and_a_wrong_one_is_said_to_be_wrong() {
    let Some(scene) = Scene::new() else { return };
    let wrong = STANDARD.encode([7; 64]);
    let said = scene.publish_as("account_key", "AZURE_STORAGE_ACCOUNT_KEY", &wrong, &[]).ended(6).stderr;
    assert!(said.contains("key"), "{said}");
    assert!(!said.contains(&wrong), "{said}");
    assert!(scene.blobs().is_empty());
    scene.publish_as("account_key", "AZURE_STORAGE_ACCOUNT_KEY", KEY, &[]).ended(0);
    assert!(scene.assert_sound().is_some());
}

#[test]
fn a_container_that_is_missing_and_may_not_be_made_is_named() {
    let Some(scene) = Scene::new() else { return };
    let said = with_sas(&scene, NEEDED, &[]).ended(6).stderr;
    assert!(said.contains(CONTAINER), "{said}");
}

#[test]
fn a_service_that_is_not_there_is_said_to_be_so() {
    let Some(scene) = Scene::new() else { return };
    scene.azurite.kill();
    let said = scene.publish(&[]).ended(6).stderr;
    assert!(said.contains("could not be reached"), "{said}");
    scene.azurite.restart();
    scene.publish(&[]).ended(0);
}

#[test]
fn an_entra_token_signs_in_over_https() {
    let certificate = Certificate::new();
    let setup = Setup { certificate: Some(&certificate), ..Setup::default() };
    let Some(scene) = Scene::with(&setup) else { return };
    scene.project.write("upload.yaml", upload_yaml(&scene.azurite.endpoint()));
    let authority = play_authority(&certificate);
    let auth = ["compile-upload", "-c", "upload.yaml", "--json", "--set", "destination.azure.auth=entra"];
    let publish = |trusted: bool| -> Ran {
        let mut command = scene.project.convogen(&auth);
        command.env("AZURE_AUTHORITY_HOST", &authority).env("AZURE_TENANT_ID", TENANT);
        command.env("AZURE_CLIENT_ID", "client").env("AZURE_CLIENT_SECRET", "secret-of-the-client");
        if trusted {
            command.env("SSL_CERT_FILE", certificate.authority());
        }
        command.output().expect("convogen starts").into()
    };
    let said = publish(false).ended(6).stderr;
    assert!(said.contains("certificate"), "{said}");
    publish(true).ended(0);
    let said = publish(true).ended(0);
    assert_eq!(said.json()["sent_bytes"], json!(0));
}

const TENANT: &str = "11111111-2222-3333-4444-555555555555";

/// An authority that gives everyone a token that Azurite takes. It serves until this process ends.
fn play_authority(certificate: &Certificate) -> String {
    drop(rustls::crypto::ring::default_provider().install_default());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certificate.key_der.clone()));
    let chain = vec![CertificateDer::from(certificate.leaf_der.clone())];
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who does not trust the certificate hangs up.
            drop(give_token(stream, Arc::clone(&config)));
        }
    });
    format!("https://{address}")
}

fn give_token(stream: TcpStream, config: Arc<rustls::ServerConfig>) -> std::io::Result<()> {
    let connection = rustls::ServerConnection::new(config).map_err(std::io::Error::other)?;
    let mut stream = BufReader::new(rustls::StreamOwned::new(connection, stream));
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.trim().to_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line.is_empty() {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length])?;
    let body = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token()}).to_string();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let stream = stream.get_mut();
    write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len())?;
    stream.conn.send_close_notify();
    stream.flush()
}

/// An unsigned JWT with the claims that Azurite looks at.
fn token() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "aud": "https://storage.azure.com", "iss": format!("https://sts.windows.net/{TENANT}/"),
        "nbf": now - 60, "iat": now - 60, "exp": now + 3600, "tid": TENANT,
    });
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(json!({"alg": "RS256", "typ": "JWT"})), part(claims), URL_SAFE_NO_PAD.encode("none"))
}
