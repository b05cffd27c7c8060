//! Removing old versions, interrupted at every request.

use crate::scene::{DATASET, Scene};
use crate::support::fault_proxy::{Action, Asked, Fault};
use crate::support::project::Ran;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A scene with runs of three seeds.
fn three_runs() -> Option<Scene> {
    let scene = Scene::new()?;
    for seed in ["18", "19"] {
        let endpoint = crate::support::endpoint::Endpoint::start(crate::support::script::Script::default());
        scene.project.demo(&endpoint.base_url());
        let (seed_key, folder) = (format!("seed={seed}"), format!("runs/{seed}"));
        let small = ["--set", "situations.count=3", "--set", "personas.sample=12", "--set", &seed_key, "--run-dir", &folder];
        scene.project.pipeline(&small).ended(0);
    }
    Some(scene)
}

/// Publishes all three, one after the other.
fn publish_three(scene: &Scene) -> Vec<String> {
    scene.proxy.set(|_| Fault::None);
    ["runs/demo", "runs/18", "runs/19"]
        .iter()
        .map(|run| {
            let told = scene.publish(&["--set", &format!("runs=[{run}]")]).ended(0).json();
            told["version"].as_str().expect("a version").to_owned()
        })
        .collect()
}

fn gc(scene: &Scene, keep: &str) -> Command {
    let container = format!("destination.azure.container={}", scene.container);
    let yaml = scene.project.read("upload.yaml").replace("container: convogen", &format!("container: {}", scene.container));
    drop(container);
    scene.project.write("gc.yaml", yaml);
    scene.command(&["publish", "gc", "-c", "gc.yaml", "--keep", keep])
}

fn versions(scene: &Scene) -> Vec<String> {
    let manifests = scene.contents().into_keys().filter(|path| path.ends_with("/manifest.json"));
    manifests.map(|path| path.split('/').nth(2).expect("a version").to_owned()).collect()
}

#[test]
fn the_newest_versions_stay_and_the_rest_goes_whole() {
    let Some(scene) = three_runs() else { return };
    let published = publish_three(&scene);
    Ran::from(gc(&scene, "2").output().unwrap()).ended(0);
    let mut kept = versions(&scene);
    kept.sort();
    let mut wanted = published[1..].to_vec();
    wanted.sort();
    assert_eq!(kept, wanted);
    assert_eq!(scene.assert_sound().as_ref(), published.last());
    assert!(scene.contents().keys().all(|path| !path.contains(&published[0])), "something of the oldest is left");
    Ran::from(gc(&scene, "0").output().unwrap()).ended(2);
}

#[test]
fn a_removal_killed_at_any_request_leaves_no_half_version_that_looks_whole() {
    let Some(mut scene) = three_runs() else { return };
    scene.container = "undisturbed".to_owned();
    let latest = publish_three(&scene).pop();
    scene.proxy.set(|_| Fault::None);
    Ran::from(gc(&scene, "1").output().unwrap()).ended(0);
    let (requests, wanted) = (scene.proxy.log(), scene.contents());
    let changing = requests.iter().filter(|asked| asked.writes()).count();
    for kill in 0..changing {
        scene.container = format!("killed-{kill}");
        publish_three(&scene);
        let mut child = killed_at_write(&scene, kill);
        assert_eq!(child.wait().unwrap().code(), None, "it was not killed");
        assert_eq!(scene.assert_sound(), latest, "killed at change {kill}");
        scene.proxy.set(|_| Fault::None);
        Ran::from(gc(&scene, "1").output().unwrap()).ended(0);
        assert_eq!(scene.contents().keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        assert_eq!(scene.assert_sound(), latest);
    }
}

/// Starts a removal that dies when the service has done its change of this number.
fn killed_at_write(scene: &Scene, number: usize) -> std::process::Child {
    let (process, changes) = (Arc::new(AtomicU32::new(0)), AtomicU32::new(0));
    let victim = Arc::clone(&process);
    let kill: Action = Arc::new(move || {
        while victim.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let id = victim.load(Ordering::SeqCst).to_string();
        assert!(Command::new("kill").args(["-s", "KILL", &id]).status().unwrap().success());
    });
    scene.proxy.set(move |asked: &Asked| match asked.writes() && changes.fetch_add(1, Ordering::SeqCst) as usize == number {
        true => Fault::After(Arc::clone(&kill)),
        false => Fault::None,
    });
    let child = gc(scene, "1").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    process.store(child.id(), Ordering::SeqCst);
    child
}

#[test]
fn a_dataset_that_was_never_published_has_nothing_to_remove() {
    let Some(scene) = Scene::new() else { return };
    scene.azurite.create_container(&scene.container);
    Ran::from(gc(&scene, "1").output().unwrap()).ended(0);
    assert!(scene.contents().is_empty(), "{DATASET}");
}
