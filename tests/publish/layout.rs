//! What a published dataset looks like, and that publishing it again changes nothing.

use crate::scene::{CONTAINER, Scene};
use crate::support::fault_proxy::Fault;

#[test]
fn harness() {
    let Some(scene) = Scene::new() else { return };
    scene.azurite.create_container(CONTAINER);
    scene.azurite.write(CONTAINER, "a/b.txt", b"hello");
    println!("{:?}", scene.azurite.list(CONTAINER));
    scene.azurite.kill();
    scene.azurite.restart();
    println!("{:?}", scene.azurite.list(CONTAINER));
    scene.proxy.set(|_| Fault::None);
    println!("{:?}", scene.publish(&[]));
    println!("{:?}", scene.proxy.log());
}
