//! A folder of its own with a configuration, and the shipped binary run in it.
#![allow(dead_code, reason = "each program that includes this uses a part of it")]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test that cannot set itself up has nothing to test"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

/// A working directory that is removed when dropped.
#[derive(Debug)]
pub(crate) struct Project {
    folder: tempfile::TempDir,
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The object that `--json` prints as the last line.
    pub(crate) fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON at the end ({error}): {self:?}"))
    }

    /// The same, after making sure of the exit code.
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stderr: {}\nstdout: {}", self.stderr, self.stdout);
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// A command under way.
#[derive(Debug)]
pub(crate) struct Started {
    child: Option<Child>,
}

impl Started {
    /// Sends it a signal by name, as a user's shell would.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("a child").id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill");
        assert!(sent.success(), "{name} could not be sent");
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ran {
        self.child.take().expect("a child").wait_with_output().expect("an end").into()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Project {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(&path, text).expect("a written file");
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A small run against `base_url`, written as `demo.yaml`; `more` is laid over it with `--set` by the caller.
    pub(crate) fn demo(&self, base_url: &str) {
        self.write("demo.yaml", demo_yaml(base_url));
    }

    /// The shipped binary, in this folder, with nothing of the user's environment.
    pub(crate) fn convogen(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_convogen"));
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null());
        command.env_clear().env("HOME", self.path()).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // Weights are fetched once for all tests.
        for name in ["CONVOGEN_MODEL_PATH", "CONVOGEN_CACHE_DIR", "XDG_CACHE_HOME", "RUST_BACKTRACE"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.convogen(arguments).output().expect("convogen starts").into()
    }

    /// `pipeline run -c demo.yaml --json` with further arguments.
    pub(crate) fn pipeline(&self, more: &[&str]) -> Ran {
        self.run(&[&["pipeline", "run", "-c", "demo.yaml", "--json"], more].concat())
    }

    /// `pipeline run` with these arguments, in the background. It is killed when dropped.
    pub(crate) fn start(&self, more: &[&str]) -> Started {
        self.start_command(&[&["pipeline", "run", "-c", "demo.yaml", "--json"], more].concat())
    }

    /// Any command in the background. It is killed when dropped.
    pub(crate) fn start_command(&self, arguments: &[&str]) -> Started {
        let mut command = self.convogen(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Started { child: Some(command.spawn().expect("convogen starts")) }
    }

    /// A JSON file.
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_str(&self.read(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Every file of a folder by its path within it.
    pub(crate) fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.path().join(folder), "", &mut files);
        files
    }

    /// What must not differ between two runs with the same replies: dataset and sealed stages.
    pub(crate) fn data(&self, run_dir: &str) -> BTreeMap<String, Vec<u8>> {
        let mut files = self.files(&format!("{run_dir}/dataset"));
        for (name, bytes) in self.files(&format!("{run_dir}/stages")) {
            files.insert(format!("stages/{name}"), bytes);
        }
        assert!(files.contains_key("manifest.json"), "{run_dir} has no dataset");
        files
    }

    /// The rows of a JSON Lines file.
    pub(crate) fn rows(&self, name: &str) -> Vec<Value> {
        self.read(name).lines().map(|line| serde_json::from_str(line).expect("a JSON row")).collect()
    }
}

fn collect(folder: &Path, prefix: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            collect(&path, &format!("{name}/"), into);
        } else {
            into.insert(name, std::fs::read(&path).expect("a readable file"));
        }
    }
}

/// Which files differ, for messages that can be read.
pub(crate) fn differing(left: &BTreeMap<String, Vec<u8>>, right: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let mut names: Vec<&String> = left.keys().chain(right.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| left.get(*name) != right.get(*name)).cloned().collect()
}

/// Twelve situations with groups of three, conversations of six to eight turns.
pub(crate) fn demo_yaml(base_url: &str) -> String {
    format!(
        "version: 1
seed: 17
run_dir: runs/demo
personas: {{sample: 40}}
situations:
  count: 12
  personas: {{min: 3, max: 4}}
  hub: {{round_calls: 4}}
conversations:
  turns: {{min: 6, max: 8}}
compile:
  splits: {{train: 0.8, test: 0.2}}
models:
  default:
    provider: openai
    base_url: {base_url}
    model: demo
    api_key_env: null
    concurrency: 8
"
    )
}
