//! Two publishers at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::scene::{LATEST, Scene};
use crate::support::azurite::Azurite;
use crate::support::fault_proxy::{Action, Fault};

/// Publishers whose data is made with these seeds; the second publishes while the first is about to move the pointer.
fn overtaken(seeds: [u64; 2]) -> Option<(Scene, Scene, Option<i32>)> {
    let azurite = Arc::new(Azurite::start()?);
    let [first, second] = seeds.map(|seed| Scene::on(Arc::clone(&azurite), seed));
    let second = Arc::new(Mutex::new(Some(second)));
    let (rival, done) = (Arc::clone(&second), AtomicBool::new(false));
    let overtake: Action = Arc::new(move || {
        rival.lock().unwrap().as_ref().expect("the rival").publish(&[]).ended(0);
    });
    first.proxy.set(move |asked| {
        let moves = asked.method == "PUT" && asked.path.ends_with(LATEST);
        Fault::First(Arc::clone(&overtake)).when(moves && !done.swap(true, Ordering::SeqCst))
    });
    let ran = first.publish(&[]);
    let second = second.lock().unwrap().take().expect("the rival");
    Some((first, second, ran.code))
}

#[test]
fn who_is_overtaken_leaves_the_pointer_to_the_other_and_may_take_it_back() {
    let Some((first, second, code)) = overtaken([17, 18]) else { return };
    assert_eq!(code, Some(10), "the pointer was moved under another publisher's feet");
    let theirs = first.assert_sound().expect("a version");
    assert_eq!(second.publish(&[]).ended(0).json()["version"], theirs.as_str());
    first.proxy.set(|_| Fault::None);
    let told = first.publish(&[]).ended(0).json();
    assert_eq!(first.assert_sound().as_deref(), told["version"].as_str());
    assert_ne!(told["version"], theirs.as_str());
    assert_eq!(first.proxy.writes().len(), 1, "more than the pointer was sent again");
}

#[test]
fn publishers_of_the_same_data_meet_in_one_version() {
    let Some((first, _second, code)) = overtaken([17, 17]) else { return };
    assert!(matches!(code, Some(0 | 10)), "{code:?}");
    first.assert_sound().expect("a version");
    first.proxy.set(|_| Fault::None);
    first.publish(&[]).ended(0);
    assert_eq!(first.proxy.writes(), []);
}

#[test]
fn publishers_that_run_side_by_side_never_let_the_pointer_dangle() {
    let Some(azurite) = Azurite::start() else { return };
    let azurite = Arc::new(azurite);
    for seeds in [[17, 18], [17, 17]] {
        let scenes = seeds.map(|seed| Scene::on(Arc::clone(&azurite), seed));
        let children = [0, 1].map(|at: usize| scenes[at].piped(&[]).spawn().unwrap());
        let codes = children.map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(matches!(output.status.code(), Some(0 | 10)), "{}", String::from_utf8_lossy(&output.stderr));
            output.status.code()
        });
        assert!(codes.contains(&Some(0)), "both gave way: {codes:?}");
        scenes[0].assert_sound().expect("a version");
        for scene in &scenes {
            scene.publish(&[]).ended(0);
            scene.assert_sound().expect("a version");
        }
    }
}
