//! Keys and signatures are seen by the service and by nobody else.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::scene::Scene;
use crate::support::azurite::Setup;
use crate::support::fault_proxy::{Action, Fault};
use crate::support::sas::ContainerSas;

const ACCOUNT: &str = "canaries";

/// A secret in every form in which it could be written somewhere.
fn forms(secret: &str) -> Vec<String> {
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut forms = vec![secret.to_owned(), percent.to_lowercase(), percent];
    forms.extend([STANDARD.encode(secret), URL_SAFE_NO_PAD.encode(secret)]);
    if let Ok(bytes) = STANDARD.decode(secret) {
        forms.push(URL_SAFE_NO_PAD.encode(&bytes));
        forms.push(bytes.iter().map(|byte| format!("{byte:02x}")).collect());
    }
    forms
}

#[test]
fn no_secret_is_printed_kept_sent_or_seen_among_processes() {
    let key = STANDARD.encode((0_u8..64).map(|n| n.wrapping_mul(37).wrapping_add(11)).collect::<Vec<u8>>());
    let setup = Setup { account: Some((ACCOUNT, &key)), ..Setup::default() };
    let Some(scene) = Scene::with(&setup) else { return };
    scene.azurite.create_container(&scene.container);
    let sas = |permissions, expiry| {
        let container = &scene.container;
        ContainerSas { account: ACCOUNT, key: &key, container, permissions, expiry }.token()
    };
    let (good, poor, old) = (sas("rcwl", None), sas("rl", None), sas("rcwl", Some("2020-01-01T00:00:00Z")));
    let garbled = format!("AccountName={ACCOUNT};AccountKey={key}!;BlobEndpoint=nowhere");
    let whole = scene.azurite.connection_string(scene.proxy.address());
    let wrong = STANDARD.encode([9_u8; 64]);

    let processes = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&processes);
    let look: Action = Arc::new(move || *seen.lock().unwrap() += &command_lines());
    scene.proxy.set(move |asked| Fault::First(Arc::clone(&look)).when(asked.index == 0));
    let mut printed = String::new();
    for (auth, variable, secret) in [
        ("sas", "AZURE_STORAGE_SAS_TOKEN", &poor),
        ("sas", "AZURE_STORAGE_SAS_TOKEN", &old),
        ("account_key", "AZURE_STORAGE_ACCOUNT_KEY", &wrong),
        ("connection_string", "AZURE_STORAGE_CONNECTION_STRING", &garbled),
        ("sas", "AZURE_STORAGE_SAS_TOKEN", &good),
        ("account_key", "AZURE_STORAGE_ACCOUNT_KEY", &key),
        ("connection_string", "AZURE_STORAGE_CONNECTION_STRING", &whole),
    ] {
        let auth = format!("destination.azure.auth={auth}");
        let mut command = scene.command(&["compile-upload", "-vvv", "-c", "upload.yaml", "--verify", "--set", &auth]);
        command.env_remove("AZURE_STORAGE_CONNECTION_STRING").env(variable, secret);
        let output = command.output().expect("convogen starts");
        printed += &format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    assert!(printed.contains(" INFO ") && printed.contains("403"), "nothing was logged: {printed}");
    assert!(processes.lock().unwrap().contains("compile-upload"), "the process was not seen");
    assert!(scene.assert_sound().is_some(), "{printed}");

    let signature =
        |sas: &str| url::form_urlencoded::parse(sas.as_bytes()).find(|(name, _)| name == "sig").unwrap().1.into_owned();
    let mut places = scene.project.files(".");
    places.extend(scene.contents().into_iter().map(|(path, content)| (format!("blob {path}"), content)));
    places.insert("what is printed".to_owned(), printed.into_bytes());
    places.insert("command lines".to_owned(), processes.lock().unwrap().clone().into_bytes());
    for secret in
        [&key, &wrong, &whole, &garbled, &good, &poor, &old, &signature(&good), &signature(&poor), &signature(&old)]
    {
        for form in forms(secret) {
            let found =
                places.iter().find(|(_, content)| content.windows(form.len()).any(|part| part == form.as_bytes()));
            assert!(found.is_none(), "a secret stands in {}", found.unwrap().0);
        }
    }
}

/// The arguments of every running copy of the program.
fn command_lines() -> String {
    let folders = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let lines = folders.filter_map(|folder| std::fs::read(folder.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains("convogen")).collect()
}
