//! What a disk may hold after the power went. Tests only.
//!
//! A [`PowerLossTrace`] watches one flat folder and remembers, after each operation that changed the disk, what was in it. From
//! that, [`PowerLossTrace::crash`] makes a folder as a crash after any of the operations could have left it: of what was written
//! since the last sync of a file any pages may be missing, and the file may have any length between; of the names that
//! were made, moved or removed since the last sync of the folder any may be as they were. Draws are seeded.

#![expect(clippy::disallowed_methods, reason = "what looks at the seam must not go through it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{faults, folder_of, list_files};
use crate::draw::Draw;

/// Small, so that a few records span many.
const PAGE: usize = 48;

type Files = BTreeMap<String, Vec<u8>>;

#[derive(Debug)]
struct Step {
    action: &'static str,
    path: PathBuf,
    /// What a reader sees after it.
    after: Files,
}

#[derive(Debug)]
struct Watched {
    folder: PathBuf,
    before: Files,
    steps: Mutex<Vec<Step>>,
}

static WATCHED: Mutex<Vec<Arc<Watched>>> = Mutex::new(Vec::new());

/// Watches as long as it lives.
#[derive(Debug)]
pub(crate) struct PowerLossTrace(Arc<Watched>);

impl PowerLossTrace {
    /// Watches a folder, which may not exist yet. What is in it now is taken to be durable.
    pub(crate) fn watch(folder: &Path) -> Self {
        let before = read_all(folder);
        let watched = Arc::new(Watched { folder: folder.to_owned(), before, steps: Mutex::default() });
        lock(&WATCHED).push(Arc::clone(&watched));
        Self(watched)
    }

    /// How many operations there were so far.
    pub(crate) fn len(&self) -> usize {
        lock(&self.0.steps).len()
    }

    /// Fills the folder `target` with what a crash after the first `steps` operations may have left.
    pub(crate) fn crash(&self, steps: usize, draw: &mut Draw, target: &Path) {
        let mut disk = Disk::new(&self.0.before);
        for step in &lock(&self.0.steps)[..steps] {
            disk.apply(step, &self.0.folder);
        }
        std::fs::create_dir_all(target).unwrap();
        for (name, bytes) in disk.crash(draw) {
            std::fs::write(target.join(name), bytes).unwrap();
        }
    }
}

impl Drop for PowerLossTrace {
    fn drop(&mut self) {
        lock(&WATCHED).retain(|watched| !Arc::ptr_eq(watched, &self.0));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_all(folder: &Path) -> Files {
    let names = list_files(folder).unwrap_or_default();
    names.into_iter().map(|name| (name.clone(), std::fs::read(folder.join(name)).unwrap())).collect()
}

/// Takes note of an operation that was done.
pub(super) fn note(action: &'static str, path: &Path) {
    for watched in lock(&WATCHED).iter().filter(|watched| path == watched.folder || folder_of(path) == watched.folder) {
        lock(&watched.steps).push(Step { action, path: path.to_owned(), after: read_all(&watched.folder) });
    }
}

/// A file, whatever its name.
#[derive(Debug, Clone, Default)]
struct Inode {
    synced: Vec<u8>,
    written: Vec<u8>,
}

/// Names that change together: a crash keeps all of it or nothing.
type Change = Vec<(String, Option<usize>)>;

#[derive(Debug)]
struct Disk {
    inodes: Vec<Inode>,
    /// What a reader sees.
    names: BTreeMap<String, usize>,
    /// What is durable.
    synced: BTreeMap<String, usize>,
    /// What was changed since.
    changes: Vec<Change>,
}

impl Disk {
    fn new(files: &Files) -> Self {
        let inodes = files.values().map(|bytes| Inode { synced: bytes.clone(), written: bytes.clone() }).collect();
        let names: BTreeMap<_, _> = files.keys().cloned().zip(0..).collect();
        Self { inodes, synced: names.clone(), names, changes: Vec::new() }
    }

    fn apply(&mut self, step: &Step, folder: &Path) {
        let name = step.path.file_name().unwrap().to_string_lossy().into_owned();
        match step.action {
            "sync" if step.path == folder => {
                self.synced = self.names.clone();
                self.changes.clear();
            }
            "sync" => {
                let inode = &mut self.inodes[self.names[&name]];
                inode.synced.clone_from(&inode.written);
            }
            "write" => self.inodes[self.names[&name]].written.clone_from(&step.after[&name]),
            "create" => {
                self.inodes.push(Inode::default());
                self.change(vec![(name, Some(self.inodes.len() - 1))]);
            }
            "rename" => {
                let from = self.names.keys().find(|name| !step.after.contains_key(*name)).unwrap().clone();
                self.change(vec![(name, Some(self.names[&from])), (from, None)]);
            }
            "remove" => self.change(vec![(name, None)]),
            "create folder" => {}
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn change(&mut self, change: Change) {
        alter(&mut self.names, &change);
        self.changes.push(change);
    }

    fn crash(&self, draw: &mut Draw) -> Files {
        let mut names = self.synced.clone();
        for change in self.changes.iter().filter(|_| draw.below(2) == 0) {
            alter(&mut names, change);
        }
        names.into_iter().map(|(name, inode)| (name, self.inodes[inode].crash(draw))).collect()
    }
}

fn alter(names: &mut BTreeMap<String, usize>, change: &Change) {
    for (name, inode) in change {
        match inode {
            Some(inode) => names.insert(name.clone(), *inode),
            None => names.remove(name),
        };
    }
}

impl Inode {
    fn crash(&self, draw: &mut Draw) -> Vec<u8> {
        // Nothing, everything, and what is between.
        let length = match draw.below(3) {
            0 => self.synced.len(),
            1 => self.written.len(),
            _ => draw.between(self.synced.len(), self.written.len()),
        };
        let kept = draw.below(4);
        let mut bytes = self.synced.clone();
        bytes.resize(length, 0);
        for (page, old) in bytes.chunks_mut(PAGE).enumerate() {
            let new = &self.written[page * PAGE..][..old.len()];
            if draw.below(3) < kept {
                old.copy_from_slice(new);
            }
        }
        bytes
    }
}

/// How many seeds to try: `CONVOGEN_POWER_LOSS_SEEDS`, or a few.
pub(crate) fn seeds() -> std::ops::Range<u64> {
    0..std::env::var("CONVOGEN_POWER_LOSS_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

#[test]
fn only_what_was_synced_is_certain() {
    let folder = faults::scratch();
    let watched = folder.path().join("watched");
    super::create_dir_all(&watched).unwrap();
    let trace = PowerLossTrace::watch(&watched);
    super::write_atomic(&watched.join("a"), b"whole").unwrap();
    let done = trace.len();
    let mut file = super::create_new(&watched.join("b")).unwrap();
    file.write_all(&[1; 500]).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let target = folder.path().join(seed.to_string());
        trace.crash(trace.len(), &mut Draw::new(seed, &[]), &target);
        assert_eq!(std::fs::read(target.join("a")).unwrap(), b"whole", "seed {seed}");
        seen.insert(std::fs::read(target.join("b")).ok().map(|bytes| bytes.len() == 500 && !bytes.contains(&0)));
    }
    assert_eq!(seen.len(), 3, "absent, torn and whole");
    assert_eq!(done, 5, "create, write, sync, rename, sync");
}
