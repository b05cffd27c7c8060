//! A real Azurite on 127.0.0.1: started, looked into behind the tested program's back, killed and started again.
//!
//! `CONVOGEN_AZURITE` names its `dist/src/blob/main.js`; without it the target folder is looked into, where
//! `scripts/test.sh` installs it.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test without its service has nothing to test"
)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;

use super::certificate::Certificate;
use super::sas::account_sas;
use super::wire::{Reply, send_blocking};

/// The account that Azurite has, and its well-known key.
pub(crate) const ACCOUNT: &str = "devstoreaccount1";
pub(crate) const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// How long it may take to start or to save on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a kill leaves of what was acknowledged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Memory {
    /// What is older than five seconds at most: Azurite's own way.
    #[default]
    Stock,
    /// All of it, as the service does.
    Keeps,
    /// What was there at the last [`Azurite::save`].
    Forgets,
}

/// How to start it.
#[derive(Debug, Default)]
pub(crate) struct Setup<'a> {
    /// What a kill leaves of what it acknowledged.
    pub(crate) memory: Memory,
    /// Speaks https with this certificate and takes Entra tokens.
    pub(crate) certificate: Option<&'a Certificate>,
    /// Another account and key than the well-known ones.
    pub(crate) account: Option<(&'a str, &'a str)>,
    /// Takes clients that ask for a version of the protocol it does not know, as `scripts/azurite.sh` has it.
    pub(crate) any_version: bool,
}

/// A running Azurite. It ends when dropped, or when this process does.
#[derive(Debug)]
pub(crate) struct Azurite {
    program: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    memory: Memory,
    https: Option<[PathBuf; 2]>,
    account: (String, String),
    any_version: bool,
    child: Mutex<Option<Child>>,
}

/// A blob as a listing has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) bytes: u64,
    pub(crate) etag: String,
    pub(crate) modified: String,
}

impl Azurite {
    /// Starts one with an account of its own; without an installation it says so and there is nothing to test.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&Setup::default())
    }

    pub(crate) fn start_with(setup: &Setup<'_>) -> Option<Self> {
        let Some(program) = program() else {
            println!("skipped: no Azurite in CONVOGEN_AZURITE or the target folder (scripts/test.sh installs it)");
            return None;
        };
        let (account, key) = setup.account.unwrap_or((ACCOUNT, KEY));
        let azurite = Self {
            program,
            folder: tempfile::tempdir().expect("a folder"),
            port: free_port(),
            memory: setup.memory,
            https: setup.certificate.map(|certificate| [certificate.leaf(), certificate.key()]),
            account: (account.to_owned(), key.to_owned()),
            any_version: setup.any_version,
            child: Mutex::default(),
        };
        azurite.restart();
        Some(azurite)
    }

    /// SIGKILL. With [`Memory::Keeps`], after what it acknowledged is on disk.
    pub(crate) fn kill(&self) {
        if self.memory == Memory::Keeps && self.id().is_some() {
            self.save();
        }
        if let Some(mut child) = self.child.lock().unwrap_or_else(PoisonError::into_inner).take() {
            child.kill().expect("SIGKILL");
            child.wait().expect("an end");
        }
    }

    /// Has what it acknowledged so far written down.
    pub(crate) fn save(&self) {
        let id = self.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-s", "USR2", &id]).status().expect("kill").success());
        let patience = Instant::now() + PATIENCE;
        while std::fs::remove_file(self.saved()).is_err() {
            assert!(Instant::now() < patience, "Azurite does not save");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The file that says that it has.
    fn saved(&self) -> PathBuf {
        self.folder.path().join("saved")
    }

    fn id(&self) -> Option<u32> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(Child::id)
    }

    /// Starts it again on the same port and folder, and waits until it answers.
    pub(crate) fn restart(&self) {
        self.kill();
        let child = self.command().spawn().expect("node starts");
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        let patience = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address()).is_err() {
            assert!(Instant::now() < patience, "Azurite does not come up on port {}", self.port);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn command(&self) -> Command {
        let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/azurite_hooks.js");
        let mut command = Command::new("node");
        command.arg("--require").arg(hooks).arg(&self.program);
        command.args(["--silent", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort"]);
        command.arg(self.port.to_string()).arg("--location").arg(self.folder.path());
        if self.any_version {
            command.arg("--skipApiVersionCheck");
        }
        if let Some([leaf, key]) = &self.https {
            command.arg("--cert").arg(leaf).arg("--key").arg(key).args(["--oauth", "basic"]);
        }
        command.env("AZURITE_ACCOUNTS", format!("{}:{}", self.account.0, self.account.1));
        if self.memory != Memory::Stock {
            command.env("AZURITE_SAVED", self.saved());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// What `endpoint` must say.
    pub(crate) fn endpoint(&self) -> String {
        let scheme = if self.https.is_some() { "https" } else { "http" };
        format!("{scheme}://{}/{}", self.address(), self.account.0)
    }

    /// The account's name.
    pub(crate) fn account(&self) -> &str {
        &self.account.0
    }

    /// A connection string with the key, for this address or that of a proxy before it.
    pub(crate) fn connection_string(&self, address: SocketAddr) -> String {
        let (account, key) = &self.account;
        format!(
            "DefaultEndpointsProtocol=http;AccountName={account};AccountKey={key};BlobEndpoint=http://{address}/{account};"
        )
    }

    /// A request of the test's own, with a signature that may do anything.
    pub(crate) fn ask(&self, method: &str, path: &str, query: &str, body: &[u8]) -> Reply {
        let (account, key) = &self.account;
        let and = if query.is_empty() { "" } else { "&" };
        let target = format!("/{account}/{path}?{query}{and}{}", account_sas(account, key));
        let request = Request::builder()
            .method(method)
            .uri(target)
            .header("host", self.address().to_string())
            .header("x-ms-version", "2022-11-02")
            .header("x-ms-blob-type", "BlockBlob");
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).expect("a request");
        send_blocking(self.address(), request).expect("Azurite answers")
    }

    pub(crate) fn create_container(&self, container: &str) {
        let reply = self.ask("PUT", container, "restype=container", b"");
        assert!(reply.status == 201, "{}", reply.text());
    }

    /// Every blob of a container, by path; none where there is no container.
    pub(crate) fn list(&self, container: &str) -> BTreeMap<String, Listed> {
        let reply = self.ask("GET", container, "restype=container&comp=list", b"");
        let page = reply.text();
        assert!(reply.status == 200 || reply.status == 404, "{page}");
        assert!(!page.contains("<NextMarker>"), "more blobs than a page has");
        page.split("<Blob>").skip(1).map(listed).collect()
    }

    /// A blob's content.
    pub(crate) fn read(&self, container: &str, path: &str) -> Option<Vec<u8>> {
        let reply = self.ask("GET", &format!("{container}/{path}"), "", b"");
        (reply.status == 200).then(|| reply.body.to_vec())
    }

    /// Writes a blob as someone else would.
    pub(crate) fn write(&self, container: &str, path: &str, body: &[u8]) {
        let reply = self.ask("PUT", &format!("{container}/{path}"), "", body);
        assert!(reply.status == 201, "{}", reply.text());
    }

    pub(crate) fn delete(&self, container: &str, path: &str) {
        let reply = self.ask("DELETE", &format!("{container}/{path}"), "", b"");
        assert!(reply.status == 202, "{}", reply.text());
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        self.memory = Memory::Forgets;
        self.kill();
    }
}

fn listed(text: &str) -> (String, Listed) {
    let found = Listed {
        bytes: between(text, "Content-Length").parse().expect("a number"),
        etag: between(text, "Etag"),
        modified: between(text, "Last-Modified"),
    };
    (between(text, "Name"), found)
}

fn between(text: &str, element: &str) -> String {
    let start = text.split_once(&format!("<{element}>")).map_or("", |(_, rest)| rest);
    start.split('<').next().unwrap_or_default().to_owned()
}

fn program() -> Option<PathBuf> {
    let given = std::env::var_os("CONVOGEN_AZURITE").map(PathBuf::from);
    let tests = std::env::current_exe().expect("the program that runs");
    let kept = tests.ancestors().nth(3).map(|target| target.join("azurite/node_modules/azurite/dist/src/blob/main.js"));
    given.or(kept).filter(|path| path.is_file())
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}
