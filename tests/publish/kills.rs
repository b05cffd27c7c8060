//! The program killed, and the service killed, at every request of a publish.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::executioner::Executioner;
use crate::scene::Scene;
use crate::support::azurite::{Memory, Setup};
use crate::support::fault_proxy::{Action, Fault};

/// How many requests an undisturbed publish makes, and what it leaves.
fn undisturbed(scene: &mut Scene) -> (usize, BTreeMap<String, Vec<u8>>) {
    scene.container = "undisturbed".into();
    scene.proxy.set(|_| Fault::None);
    scene.publish(&[]).ended(0);
    (scene.proxy.log().len(), scene.contents())
}

#[test]
fn the_program_killed_at_any_request_leaves_nothing_half_visible_and_the_next_run_sends_the_rest() {
    let Some(mut scene) = Scene::new() else { return };
    let (requests, wanted) = undisturbed(&mut scene);
    for index in 0..requests {
        for before in [true, false] {
            scene.container = format!("killed-{}-{index}", if before { "before" } else { "after" });
            kill_at(&scene, index, before);
            scene.proxy.settle();
            scene.assert_sound();
            let there: BTreeSet<String> = scene.contents().into_keys().collect();

            scene.proxy.set(|_| Fault::None);
            scene.publish(&[]).ended(0);
            assert_eq!(scene.contents(), wanted, "after a kill at request {index}");
            let missing: BTreeSet<&str> =
                wanted.keys().map(String::as_str).filter(|path| !there.contains(*path)).collect();
            let writes = scene.proxy.writes();
            let sent: Vec<&str> = writes.iter().map(|asked| scene.within(&asked.path)).collect();
            assert_eq!(sent.len(), missing.len(), "sent {sent:?}, missing {missing:?}");
            assert_eq!(sent.into_iter().collect::<BTreeSet<&str>>(), missing, "after a kill at request {index}");
        }
    }
}

/// SIGKILL when the request comes by, before or after the service sees it.
fn kill_at(scene: &Scene, index: usize, before: bool) {
    let executioner = Executioner::default();
    let kill = executioner.kill();
    let fault = if before { Fault::Before } else { Fault::After };
    scene.proxy.set(move |asked| fault(Arc::clone(&kill)).when(asked.index == index));
    executioner.watch(&mut scene.piped(&[]));
}

#[test]
fn a_publish_outlives_a_service_that_is_killed_at_any_request() {
    let Some(mut scene) = Scene::with(&Setup { memory: Memory::Keeps, ..Setup::default() }) else { return };
    let (requests, wanted) = undisturbed(&mut scene);
    for index in 0..requests {
        scene.container = format!("outage-{index}");
        let azurite = Arc::clone(&scene.azurite);
        let outage: Action = Arc::new(move || azurite.restart());
        // The service did it and nobody was told: the harder half. Refused connections come by themselves.
        scene.proxy.set(move |asked| Fault::Outage(Arc::clone(&outage)).when(asked.index == index));
        scene.publish(&[]).ended(0);
        assert_eq!(scene.contents(), wanted, "after an outage at request {index}");
        scene.assert_sound();
    }
}
