//! A folder that holds nothing but upstream ConvoGen's files and a `.env`, brought to a published dataset by three commands,
//! killed on the way.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use crate::executioner::Executioner;
use crate::support::azurite::{Azurite, KEY, Setup};
use crate::support::endpoint::Endpoint;
use crate::support::fault_proxy::{Asked, Fault, FaultProxy};
use crate::support::project::{Project, Ran, differing};
use crate::support::script::Script;
use crate::support::upstream::{GIVEN, INVENTED, RUN, UPLOAD, checkout, model, walked};

/// What the fixtures call account, container and path.
const ACCOUNT: &str = "harbourtalk";
const CONTAINER: &str = "talk";
const FOLDER: &str = "harbour/talk";

/// Starts a command, kills it when that many requests were answered, and lets the same command end what was begun.
fn killed_and_resumed(project: &Project, endpoint: &Endpoint, command: &[&str], after: usize) -> Ran {
    let answered = || endpoint.calls().iter().filter(|call| call.answered).count();
    let before = answered();
    let started = project.start_command(command);
    while answered() < before + after {
        std::thread::sleep(Duration::from_millis(5));
    }
    started.signal("KILL");
    assert_eq!(started.end().code, None, "it ended before it was killed");
    project.run(command).ended(0)
}

/// `compile-upload` killed when this request comes by.
fn killed_at(project: &Project, proxy: &FaultProxy, is_it: impl Fn(&Asked) -> bool + Send + Sync + 'static) {
    let executioner = Executioner::default();
    let kill = executioner.kill();
    proxy.set(move |asked| Fault::Before(Arc::clone(&kill)).when(is_it(asked)));
    let mut command = project.convogen(&["compile-upload", "-c", UPLOAD]);
    executioner.watch(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    proxy.settle();
    proxy.set(|_| Fault::None);
}

/// What a publish must leave as it is: all but its own folder, and the note in each run of where it went.
fn local(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let own = |name: &str| name.starts_with("published/") || name.contains("/publish/");
    project.files("").into_iter().filter(|(name, _)| !own(name)).collect()
}

#[test]
fn a_folder_of_upstreams_files_becomes_a_published_dataset_and_is_killed_on_the_way() {
    let Some(azurite) = Azurite::start_with(&Setup { account: Some((ACCOUNT, KEY)), ..Setup::default() }) else {
        return;
    };
    let proxy = FaultProxy::start(azurite.address());
    let endpoint = Endpoint::start(Script { latency: Duration::from_millis(20), ..model() });
    let project = checkout(&endpoint);
    let env = project.read("llm/models/settings/.env");
    let secret = azurite.connection_string(proxy.address());
    project.write("llm/models/settings/.env", format!("{env}AZURE_STORAGE_CONNECTION_STRING={secret}\n"));

    killed_and_resumed(&project, &endpoint, &["pipeline", "run", "-c", INVENTED], 12);
    killed_and_resumed(&project, &endpoint, &["pipeline", "run", "-c", GIVEN], 5);
    let before = local(&project);

    // Killed amid the files, and when all are there but the pointer: nobody is pointed at half a dataset.
    let is_pointer = |path: &str| path.ends_with("/latest.json");
    let amid = |asked: &Asked| asked.operation() == "Put Blob" && asked.path.ends_with("part-1.tsv");
    killed_at(&project, &proxy, amid);
    let half = azurite.list(CONTAINER);
    assert!(
        !half.is_empty() && half.keys().all(|path| !path.ends_with("manifest.json") && !is_pointer(path)),
        "{half:?}"
    );
    killed_at(&project, &proxy, move |asked| asked.operation() == "Put Blob" && is_pointer(&asked.path));
    assert!(azurite.list(CONTAINER).keys().all(|path| !is_pointer(path)));

    let published = project.run(&["compile-upload", "-c", UPLOAD, "--json"]).ended(0);
    assert!(
        published.stderr.contains("with the connection string in AZURE_STORAGE_CONNECTION_STRING"),
        "{published:?}"
    );
    let writes: Vec<String> = proxy.writes().into_iter().map(|asked| asked.path).collect();
    assert_eq!(writes, [format!("{CONTAINER}/{FOLDER}/latest.json")], "only what was missing is sent");
    assert_eq!(differing(&before, &local(&project)), Vec::<String>::new(), "a local file was changed or deleted");
    let rows = &published.json()["rows"];
    assert_eq!(*rows, json!({"situations": 12, "conversations": 12}));

    let version = lies_as_promised(&azurite, &published.json());
    let (records, parts) = (12, 3);
    reads_back(&azurite, &project, &version, (records, parts));
    is_not_written_over(&project, &proxy, &azurite);

    // The third command: the same run under our keys, so that nothing is asked for again.
    project.run(&["config", "import", INVENTED, "-o", "ours.yaml"]).ended(0);
    let calls = endpoint.calls().len();
    project.run(&["pipeline", "run", "-c", "ours.yaml"]).ended(0);
    assert_eq!(endpoint.calls().len(), calls);
    assert!(project.read("ours.yaml").contains(RUN));
}

/// Everything is in the folder of one version or is the pointer to it, and `told` is that version.
fn lies_as_promised(azurite: &Azurite, told: &Value) -> String {
    let pointer = azurite.read(CONTAINER, &format!("{FOLDER}/latest.json")).expect("a pointer");
    let pointer: Value = serde_json::from_slice(&pointer).unwrap();
    assert_eq!(pointer["version"], told["version"]);
    let version = format!("{FOLDER}/versions/{}/", pointer["version"].as_str().unwrap());
    let blobs: BTreeSet<String> = azurite.list(CONTAINER).into_keys().collect();
    let outside: Vec<&String> = blobs.iter().filter(|path| !path.starts_with(&version)).collect();
    assert_eq!(outside, [&format!("{FOLDER}/latest.json")], "a flat copy");
    for part in ["part-0.jsonl", "part-0.tsv", "part-2.jsonl", "part-2.tsv"] {
        assert!(blobs.contains(&format!("{version}exports/convogen/train/{part}")), "{part}: {blobs:?}");
    }
    version
}

/// Downloads the version and has Python walk it as upstream's second command does.
fn reads_back(azurite: &Azurite, project: &Project, version: &str, (records, parts): (u64, u64)) {
    for path in azurite.list(CONTAINER).keys() {
        if let Some(name) = path.strip_prefix(version) {
            project.write(&format!("read/{name}"), azurite.read(CONTAINER, path).unwrap());
        }
    }
    let told = walked(project, "read");
    assert_eq!(
        told.unwrap_or(json!({"records": records, "parts": parts})),
        json!({"records": records, "parts": parts})
    );
}

/// The same again sends nothing; other data is another version, and what was published stays byte for byte.
fn is_not_written_over(project: &Project, proxy: &FaultProxy, azurite: &Azurite) {
    let contents = || -> BTreeMap<String, Vec<u8>> {
        let paths = azurite.list(CONTAINER).into_keys();
        paths.map(|path| (path.clone(), azurite.read(CONTAINER, &path).unwrap())).collect()
    };
    let first = contents();
    proxy.set(|_| Fault::None);
    project.run(&["compile-upload", "-c", UPLOAD]).ended(0);
    assert!(proxy.writes().is_empty(), "{:?}", proxy.writes());
    project.run(&["compile-upload", "-c", UPLOAD, "--set", "formatting.skip_runs=[draft, given]"]).ended(0);
    let second = contents();
    assert!(second.len() > first.len() + 1, "no second version");
    let changed: Vec<&String> = first.keys().filter(|path| second.get(*path) != Some(&first[*path])).collect();
    assert_eq!(changed, [&format!("{FOLDER}/latest.json")]);
}
