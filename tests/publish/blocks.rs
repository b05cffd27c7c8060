//! A file of several blocks: what arrived is not sent again, and what the service forgot is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::executioner::Executioner;
use crate::scene::{DATASET, Scene};
use crate::support::azurite::{Memory, Setup};
use crate::support::endpoint::Endpoint;
use crate::support::fault_proxy::{Action, Asked, Fault};
use crate::support::script::Script;

/// One MiB at a time, one after the other, so that kills fall where the test says.
const BLOCKS: [&str; 4] = ["--set", "destination.azure.block_mib=1", "--set", "destination.azure.concurrency=1"];

/// A scene whose personas are a file of some MiB.
fn many_people(setup: &Setup<'_>) -> Option<Scene> {
    let scene = Scene::with(setup)?;
    let people: String = (0..12_000).map(|row| format!("{{\"persona\": \"Person {row}{}\"}}\n", filler(row))).collect();
    scene.project.write("people.jsonl", people);
    let endpoint = Endpoint::start(Script::default());
    scene.project.demo(&endpoint.base_url());
    let more = ["personas.source=people.jsonl", "personas.sample=null", "compile.personas=all", "situations.count=2"];
    let sets: Vec<&str> = more.iter().flat_map(|set| ["--set", *set]).collect();
    scene.project.pipeline(&[&["--run-dir", "runs/many"], sets.as_slice()].concat()).ended(0);
    let yaml =
        scene.project.read("upload.yaml").replace("runs/demo", "runs/many").replace("[situations]", "[personas]");
    scene.project.write("upload.yaml", yaml);
    Some(scene)
}

/// Words that no other row has in this order.
fn filler(row: u32) -> String {
    (0..24).map(|at| format!(" {:x}", u64::from(row).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(at * 5))).collect()
}

fn staged(log: &[Asked]) -> Vec<String> {
    let blocks = log.iter().filter(|asked| asked.operation() == "Put Block" && asked.status == Some(201));
    blocks.map(|asked| format!("{} {}", asked.path, asked.query)).collect()
}

#[test]
fn blocks_that_arrived_before_a_kill_are_not_sent_again() {
    let Some(mut scene) = many_people(&Setup::default()) else { return };
    scene.publish(&BLOCKS).ended(0);
    let (wanted, all) = (scene.contents(), staged(&scene.proxy.log()));
    let largest = wanted.values().map(Vec::len).max().unwrap_or(0);
    assert!(largest > 3 << 20 && all.len() > 3, "{largest} bytes in {} blocks", all.len());

    for number in 0..all.len() {
        scene.container = format!("block-{number}");
        let executioner = Executioner::default();
        let kill = executioner.kill();
        let blocks = AtomicUsize::new(0);
        scene.proxy.set(move |asked| {
            let block = asked.operation() == "Put Block";
            Fault::After(Arc::clone(&kill)).when(block && blocks.fetch_add(1, Ordering::SeqCst) == number)
        });
        executioner.watch(&mut scene.piped(&BLOCKS));
        scene.proxy.settle();
        assert_eq!(scene.assert_sound(), None);
        // The last one arrived too, though its reply did not.
        scene.proxy.set(|_| Fault::None);
        scene.publish(&BLOCKS).ended(0);
        assert_eq!(staged(&scene.proxy.log()).len(), all.len() - number - 1, "killed at block {number}");
        assert_eq!(scene.contents(), wanted);
    }
}

#[test]
fn blocks_that_the_service_forgot_are_sent_again_in_the_same_run() {
    let forgetful = Setup { memory: Memory::Forgets, ..Setup::default() };
    let Some(mut scene) = many_people(&forgetful) else { return };
    scene.publish(&BLOCKS).ended(0);
    let (wanted, all) = (scene.contents(), staged(&scene.proxy.log()).len());
    scene.container = "forgetful".into();
    let (before, after) = (Arc::clone(&scene.azurite), Arc::clone(&scene.azurite));
    // The blocks of the first large file are forgotten, and nothing else.
    let save: Action = Arc::new(move || before.save());
    let outage: Action = Arc::new(move || after.restart());
    let (first, last) = (AtomicUsize::new(0), AtomicUsize::new(0));
    scene.proxy.set(move |asked| match asked.operation() {
        "Put Block" if first.fetch_add(1, Ordering::SeqCst) == 0 => Fault::First(Arc::clone(&save)),
        "Put Block List" if last.fetch_add(1, Ordering::SeqCst) == 0 => Fault::Before(Arc::clone(&outage)),
        _ => Fault::None,
    });
    scene.publish(&BLOCKS).ended(0);
    assert_eq!(scene.contents(), wanted);
    let log = scene.proxy.log();
    assert!(staged(&log).len() > all, "nothing was sent again");
    assert!(log.iter().any(|asked| asked.operation() == "Put Block List" && asked.status == Some(400)));
}

#[test]
fn blocks_of_another_writer_are_named_and_do_not_get_into_a_file() {
    let Some(mut scene) = many_people(&Setup::default()) else { return };
    scene.publish(&BLOCKS).ended(0);
    let whole = scene.contents();
    let large = whole.iter().max_by_key(|(_, content)| content.len()).map(|(path, _)| path.clone()).unwrap();
    assert!(large.starts_with(DATASET));
    scene.container = "others".into();
    scene.azurite.create_container(&scene.container);
    // Ids of four bytes; the service wants those of one blob to be of equal length.
    let path = format!("{}/{large}", scene.container);
    let reply = scene.azurite.ask("PUT", &path, "comp=block&blockid=AAAAAA%3D%3D", b"not from here");
    assert_eq!(reply.status, 201, "{}", reply.text());
    let said = scene.publish(&BLOCKS).ended(10).stderr;
    assert!(said.contains(&large), "{said}");
    assert_eq!(scene.assert_sound(), None);
}

#[test]
fn two_publishers_of_the_same_blocks_do_not_get_in_each_others_way() {
    let Some(mut scene) = many_people(&Setup::default()) else { return };
    scene.publish(&BLOCKS).ended(0);
    let wanted = scene.contents();
    // Also where one commits while the other is half way: what is committed takes the rest of the blocks with it.
    for round in 0..3 {
        scene.container = format!("together-{round}");
        let folders = ["runs/publish", "runs/other"].map(|folder| format!("work_dir={folder}"));
        let children =
            folders.map(|folder| scene.piped(&[&BLOCKS, ["--set", &folder].as_slice()].concat()).spawn().unwrap());
        let codes = children.map(|child| {
            let output = child.wait_with_output().unwrap();
            assert!(matches!(output.status.code(), Some(0 | 10)), "{}", String::from_utf8_lossy(&output.stderr));
            output.status.code()
        });
        assert!(codes.contains(&Some(0)), "both gave way: {codes:?}");
        assert_eq!(scene.contents(), wanted);
        assert!(scene.assert_sound().is_some());
    }
}
