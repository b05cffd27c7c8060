//! Removing old versions, interrupted at every request.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::executioner::Executioner;
use crate::scene::{Scene, finished_run};
use crate::support::fault_proxy::Fault;
use crate::support::project::Ran;

/// A scene with runs of three seeds.
fn three_runs() -> Option<Scene> {
    let scene = Scene::new()?;
    for seed in [18, 19] {
        finished_run(&scene.project, seed, &format!("runs/{seed}"));
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

/// Removes all but so many.
fn gc(scene: &Scene, keep: &str) -> Ran {
    scene.gc(keep).output().unwrap().into()
}

fn versions(scene: &Scene) -> Vec<String> {
    let manifests = scene.contents().into_keys().filter(|path| path.ends_with("/manifest.json"));
    manifests.map(|path| path.split('/').nth(2).expect("a version").to_owned()).collect()
}

#[test]
fn the_newest_versions_stay_and_the_rest_goes_whole() {
    let Some(scene) = three_runs() else { return };
    let published = publish_three(&scene);
    gc(&scene, "2").ended(0);
    let mut kept = versions(&scene);
    kept.sort();
    let mut wanted = published[1..].to_vec();
    wanted.sort();
    assert_eq!(kept, wanted);
    assert_eq!(scene.assert_sound().as_ref(), published.last());
    assert!(scene.contents().keys().all(|path| !path.contains(&published[0])), "something of the oldest is left");
    gc(&scene, "0").ended(2);
}

#[test]
fn a_removal_killed_at_any_request_leaves_no_half_version_that_looks_whole() {
    let Some(mut scene) = three_runs() else { return };
    scene.container = "undisturbed".into();
    let latest = publish_three(&scene).pop();
    scene.proxy.set(|_| Fault::None);
    gc(&scene, "1").ended(0);
    let (requests, wanted) = (scene.proxy.log(), scene.contents());
    let changing = requests.iter().filter(|asked| asked.writes()).count();
    for kill in 0..changing {
        scene.container = format!("killed-{kill}");
        publish_three(&scene);
        kill_at_change(&scene, kill);
        scene.proxy.settle();
        assert_eq!(scene.assert_sound(), latest, "killed at change {kill}");
        scene.proxy.set(|_| Fault::None);
        gc(&scene, "1").ended(0);
        assert_eq!(scene.contents().keys().collect::<Vec<_>>(), wanted.keys().collect::<Vec<_>>());
        assert_eq!(scene.assert_sound(), latest);
    }
}

/// A removal that dies when the service has done its change of this number.
fn kill_at_change(scene: &Scene, number: usize) {
    let (executioner, changes) = (Executioner::default(), AtomicUsize::new(0));
    let kill = executioner.kill();
    scene.proxy.set(move |asked| {
        let this = asked.writes() && changes.fetch_add(1, Ordering::SeqCst) == number;
        Fault::After(Arc::clone(&kill)).when(this)
    });
    executioner.watch(&mut scene.gc("1"));
}

#[test]
fn a_dataset_that_was_never_published_has_nothing_to_remove() {
    let Some(scene) = Scene::new() else { return };
    scene.azurite.create_container(&scene.container);
    gc(&scene, "1").ended(0);
    assert!(scene.contents().is_empty());
}
