//! What someone else wrote where a dataset lies, and what is not as it was published.

use crate::scene::{DATASET, LATEST, Scene};

/// A published dataset and the folder of its version.
fn published() -> Option<(Scene, String)> {
    let scene = Scene::new()?;
    scene.publish(&[]).ended(0);
    let version = scene.assert_sound().expect("a version");
    Some((scene, format!("{DATASET}/versions/{version}")))
}

#[test]
fn a_blob_of_someone_else_in_the_way_is_a_conflict_and_stays() {
    let Some((scene, folder)) = published() else { return };
    let readme = format!("{folder}/README.md");
    for container in ["in-the-way", "beside"] {
        let scene = Scene { container: container.to_owned(), ..scene_on(&scene) };
        scene.azurite.create_container(container);
        let path = if container == "beside" { format!("{folder}/notes.txt") } else { readme.clone() };
        scene.azurite.write(container, &path, b"mine");
        let said = scene.publish(&[]).ended(10).stderr;
        assert!(said.contains(&path), "{said}");
        assert_eq!(scene.azurite.read(container, &path).as_deref(), Some(b"mine".as_slice()));
        assert_eq!(scene.assert_sound(), None);
        scene.azurite.delete(container, &path);
        scene.publish(&[]).ended(0);
        assert!(scene.assert_sound().is_some());
    }
}

fn scene_on(scene: &Scene) -> Scene {
    Scene::on(std::sync::Arc::clone(&scene.azurite), 17)
}

#[test]
fn a_pointer_of_a_newer_form_is_left_alone_and_one_that_is_none_is_damage() {
    let Some((scene, _)) = published() else { return };
    for (pointer, code) in [("{\"format\": 99}", 10), ("not a pointer", 11)] {
        scene.azurite.write(&scene.container, LATEST, pointer.as_bytes());
        let said = scene.publish(&[]).ended(code).stderr;
        assert!(said.contains(LATEST), "{said}");
        let left = scene.azurite.read(&scene.container, LATEST).expect("a pointer");
        assert_eq!(String::from_utf8_lossy(&left), pointer);
    }
}

#[test]
fn reading_back_finds_every_damaged_and_missing_blob() {
    let Some((scene, folder)) = published() else { return };
    scene.publish(&["--verify"]).ended(0);
    let whole = scene.contents();
    for path in whole.keys().filter(|path| path.starts_with(&folder)) {
        let mut content = whole[path].clone();
        let at = content.len() / 2;
        // The JSON Lines of an empty split hold nothing.
        match content.get_mut(at) {
            Some(byte) => *byte ^= 1,
            None => content.push(b'\n'),
        }
        scene.azurite.write(&scene.container, path, &content);
        let said = scene.publish(&["--verify"]).ended(11).stderr;
        assert!(said.contains(path), "{said}");
        assert_eq!(scene.azurite.read(&scene.container, path), Some(content), "{path} was written over");
        // What is removed is sent anew.
        scene.azurite.delete(&scene.container, path);
        scene.publish(&["--verify"]).ended(0);
        assert_eq!(scene.contents(), whole);
    }
}
