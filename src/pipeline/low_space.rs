//! A disk that is nearly full under a run: calls pause, and the run is the same as without it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::error::RunError;
use super::run::{RunEnd, RunOptions, RunWatch, run};
use crate::config::environment::Environment;
use crate::config::load;
use crate::inside::support::endpoint::Endpoint;
use crate::inside::support::script::{Answer, Script};
use crate::llm::Halt;
use crate::stages::error::StageError;
use crate::store::fs::{self, faults};

/// One call at a time, so that the writer of the journal looks at the disk more than once.
fn config(base_url: &str) -> String {
    format!(
        "version: 1
seed: 3
run_dir: run
personas: {{sample: 20}}
situations: {{count: 4, personas: {{min: 3, max: 3}}, hub: {{round_calls: 2}}}}
conversations: {{turns: {{min: 6, max: 6}}}}
compile: {{splits: {{train: 1.0}}}}
models:
  default: {{provider: openai, base_url: {base_url}, model: demo, api_key_env: null, concurrency: 1}}
"
    )
}

async fn make(folder: &Path, run_dir: &str, watch: &RunWatch) -> Result<RunEnd, RunError> {
    let loaded = load::load(Some(&folder.join("demo.yaml")), &[]).unwrap();
    let options = RunOptions { run_dir: Some(folder.join(run_dir)), ..RunOptions::default() };
    Box::pin(run(&loaded, &Environment::default(), &options, watch)).await
}

/// Every file of the dataset and of the sealed stages.
fn data(run_dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec!["dataset".to_owned(), "stages".to_owned()];
    while let Some(folder) = folders.pop() {
        for name in fs::list(&run_dir.join(&folder)).unwrap() {
            let name = format!("{folder}/{name}");
            let path = run_dir.join(&name);
            if path.is_dir() {
                folders.push(name);
            } else {
                files.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Waits until the run has told something with these words.
async fn told(watch: &RunWatch, words: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !watch.control.take_told().iter().any(|notice| notice.contains(words)) {
        assert!(Instant::now() < deadline, "nobody says {words:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn calls_pause_while_the_disk_is_nearly_full_and_the_run_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let paused = folder.path().join("paused");
    let room: Arc<Mutex<Option<faults::DiskRoom>>> = Arc::default();
    let (filled, watched) = (Arc::clone(&room), paused.clone());
    // The second run asks what the first has asked; it meets the full disk in its midst.
    let asked_again = AtomicUsize::new(0);
    let endpoint = Endpoint::start(Script::answering(move |call| {
        if call.repeat == 1 && asked_again.fetch_add(1, Ordering::Relaxed) == 9 {
            *filled.lock().unwrap() = Some(faults::room(&watched, 1 << 20));
        }
        Answer::Plausible
    }));
    fs::write_atomic(&folder.path().join("demo.yaml"), config(&endpoint.base_url()).as_bytes()).unwrap();
    let whole = make(folder.path(), "whole", &RunWatch::default()).await.unwrap();
    let calls = endpoint.calls().len();

    let full = faults::room(&paused, 1 << 20);
    let watch = RunWatch::default();
    let interrupted_twice = async {
        told(&watch, "disk space is low: 1 MiB free in").await;
        sleep(Duration::from_millis(300)).await;
        assert_eq!(endpoint.calls().len(), calls, "nothing is sent while calls are paused");
        drop(full);
        told(&watch, "calls go on").await;
        told(&watch, "calls are paused until there is room").await;
        let sent = endpoint.calls().len();
        assert!(sent > calls);
        sleep(Duration::from_millis(300)).await;
        assert_eq!(endpoint.calls().len(), sent, "nothing is sent while calls are paused");
        *room.lock().unwrap() = None;
        told(&watch, "calls go on").await;
    };
    let (made, ()) = tokio::join!(make(folder.path(), "paused", &watch), interrupted_twice);
    assert_eq!(made.unwrap().summary.stages, whole.summary.stages);
    assert_eq!(endpoint.calls().len(), 2 * calls);
    assert!(data(&paused) == data(&folder.path().join("whole")), "the same bytes");
}

#[tokio::test]
async fn a_pause_for_want_of_room_ends_at_once_when_the_run_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::start(Script::default());
    fs::write_atomic(&folder.path().join("demo.yaml"), config(&endpoint.base_url()).as_bytes()).unwrap();
    let _full = faults::room(folder.path(), 0);
    let watch = RunWatch::default();
    let stopped = async {
        told(&watch, "calls are paused until there is room").await;
        drop(watch.control.stop(Halt::Interrupted));
        Instant::now()
    };
    let (made, at) = tokio::join!(make(folder.path(), "run", &watch), stopped);
    assert!(at.elapsed() < Duration::from_millis(500));
    assert!(matches!(made.unwrap_err(), RunError::Stage(StageError::Halted(Halt::Interrupted))));
    assert_eq!(endpoint.calls().len(), 0);
}
