//! A finished run, an Azurite, the proxy between them, and what readers of a published dataset rely on.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::azurite::{Azurite, Listed, Setup};
use crate::support::endpoint::Endpoint;
use crate::support::fault_proxy::FaultProxy;
use crate::support::project::{Project, Ran};
use crate::support::script::Script;

pub(crate) const CONTAINER: &str = "convogen";
pub(crate) const DATASET: &str = "demo";
/// The pointer.
pub(crate) const LATEST: &str = "demo/latest.json";

/// Everything a publish needs.
pub(crate) struct Scene {
    pub(crate) project: Project,
    pub(crate) proxy: FaultProxy,
    pub(crate) azurite: Arc<Azurite>,
    /// Where to; another one is as good as an empty Azurite.
    pub(crate) container: String,
}

impl Scene {
    /// A small finished run and an empty Azurite; nothing where none is installed.
    pub(crate) fn new() -> Option<Self> {
        Self::with(&Setup::default())
    }

    pub(crate) fn with(setup: &Setup<'_>) -> Option<Self> {
        let azurite = Arc::new(Azurite::start_with(setup)?);
        Some(Self::on(azurite, 17))
    }

    /// Another publisher on the same Azurite, whose run was made with this seed.
    pub(crate) fn on(azurite: Arc<Azurite>, seed: u64) -> Self {
        let project = Project::new();
        finished_run(&project, seed, "runs/demo");
        let proxy = FaultProxy::start(azurite.address());
        project.write("upload.yaml", upload_yaml(&format!("http://{}/{}", proxy.address(), azurite.account())));
        Self { project, proxy, azurite, container: CONTAINER.to_owned() }
    }

    /// The shipped binary with the connection string of the proxy.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.convogen(arguments);
        command.env("AZURE_STORAGE_CONNECTION_STRING", self.azurite.connection_string(self.proxy.address()));
        command
    }

    fn compile_upload(&self, more: &[&str]) -> Command {
        let container = format!("destination.azure.container={}", self.container);
        self.command(&[&["compile-upload", "-c", "upload.yaml", "--json", "--set", &container], more].concat())
    }

    /// `compile-upload` to its end.
    pub(crate) fn publish(&self, more: &[&str]) -> Ran {
        self.compile_upload(more).output().expect("convogen starts").into()
    }

    /// `compile-upload` signed in another way: the kind, the variable and what it holds.
    pub(crate) fn publish_as(&self, auth: &str, variable: &str, secret: &str, more: &[&str]) -> Ran {
        let auth = format!("destination.azure.auth={auth}");
        let mut command = self.compile_upload(&[&["--set", &auth], more].concat());
        command.env_remove("AZURE_STORAGE_CONNECTION_STRING").env(variable, secret);
        command.output().expect("convogen starts").into()
    }

    /// `compile-upload`, to be started.
    pub(crate) fn piped(&self, more: &[&str]) -> Command {
        let mut command = self.compile_upload(more);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `publish gc` to be started.
    pub(crate) fn gc(&self, keep: &str) -> Command {
        let container = format!("container: {}", self.container);
        let yaml = self.project.read("upload.yaml").replace(&format!("container: {CONTAINER}"), &container);
        self.project.write("gc.yaml", yaml);
        let mut command = self.command(&["publish", "gc", "-c", "gc.yaml", "--keep", keep]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Everything that is published, with contents.
    pub(crate) fn blobs(&self) -> BTreeMap<String, (Listed, Vec<u8>)> {
        let listed = self.azurite.list(&self.container);
        let read = |(path, listed): (String, Listed)| {
            let content =
                self.azurite.read(&self.container, &path).unwrap_or_else(|| panic!("{path} is listed, not there"));
            (path, (listed, content))
        };
        listed.into_iter().map(read).collect()
    }

    /// The same without entity tags and times.
    pub(crate) fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.blobs().into_iter().map(|(path, (_, content))| (path, content)).collect()
    }

    /// A path of the log without the container.
    pub(crate) fn within<'a>(&self, path: &'a str) -> &'a str {
        path.strip_prefix(&format!("{}/", self.container)).unwrap_or(path)
    }

    /// Fails unless every manifest that can be seen is that of a whole version, and the pointer points at one. Returns the
    /// version that readers are pointed at.
    pub(crate) fn assert_sound(&self) -> Option<String> {
        assert_sound(&self.blobs())
    }
}

fn assert_sound(blobs: &BTreeMap<String, (Listed, Vec<u8>)>) -> Option<String> {
    let manifests = blobs.keys().filter(|path| path.ends_with("/manifest.json"));
    for path in manifests {
        assert_whole(blobs, path);
    }
    let pointer: Value = serde_json::from_slice(&blobs.get(LATEST)?.1).expect("the pointer is JSON");
    let version = pointer["version"].as_str().expect("a version");
    let manifest = format!("{DATASET}/versions/{version}/manifest.json");
    let (_, content) = blobs.get(&manifest).unwrap_or_else(|| panic!("the pointer dangles: {pointer}"));
    assert_eq!(pointer["manifest_sha256"], hex(content), "the pointer names another manifest");
    Some(version.to_owned())
}

fn assert_whole(blobs: &BTreeMap<String, (Listed, Vec<u8>)>, path: &str) {
    let (_, content) = &blobs[path];
    let manifest: Value = serde_json::from_slice(content).expect("a manifest is JSON");
    let folder = path.trim_end_matches("manifest.json");
    let files = manifest["files"].as_array().expect("files");
    assert!(!files.is_empty(), "{path} names no file");
    for file in files {
        let name = format!("{folder}{}", file["path"].as_str().expect("a path"));
        let (_, content) = blobs.get(&name).unwrap_or_else(|| panic!("{path} is there and {name} is not"));
        assert_eq!(file["sha256"], hex(content), "{name} is not what {path} says");
    }
}

/// SHA-256 in lower-case hex.
pub(crate) fn hex(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A run of three situations and their conversations.
pub(crate) fn finished_run(project: &Project, seed: u64, run_dir: &str) {
    let endpoint = Endpoint::start(Script::default());
    project.demo(&endpoint.base_url());
    let seed = format!("seed={seed}");
    let small = ["--set", "situations.count=3", "--set", "personas.sample=12", "--set", &seed, "--run-dir", run_dir];
    project.pipeline(&small).ended(0);
}

/// What publishes `runs/demo`.
pub(crate) fn upload_yaml(endpoint: &str) -> String {
    format!(
        "version: 1
runs: [runs/demo]
include: [situations]
dataset: {DATASET}
work_dir: runs/publish
destination:
  azure:
    endpoint: {endpoint}
    container: {CONTAINER}
    auth: connection_string
"
    )
}
