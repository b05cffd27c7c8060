//! `explain` shows what was sent, to the byte.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::endpoint::Endpoint;
use crate::support::project::Project;
use crate::support::script::{Answer, Script};

/// The messages of every request, written as `explain` writes them.
fn sent(endpoint: &Endpoint) -> Vec<String> {
    let bodies = endpoint.calls().into_iter().map(|call| serde_json::from_str::<Value>(&call.body).unwrap());
    bodies
        .map(|body| {
            let messages = body["messages"].as_array().unwrap().iter();
            let texts =
                messages.map(|m| format!("── {}\n{}\n", m["role"].as_str().unwrap(), m["content"].as_str().unwrap()));
            texts.collect::<String>()
        })
        .collect()
}

/// The messages of every call on a page.
fn explained(page: &str) -> Vec<String> {
    let calls = page.split("\n━━ call ").skip(1);
    calls
        .map(|call| {
            let (_, rest) = call.split_once('\n').unwrap();
            rest.rsplit_once("── reply\n").unwrap().0.to_owned()
        })
        .collect()
}

#[test]
fn the_messages_shown_are_the_messages_sent_repairs_included() {
    // Now and then nobody is named, a line has no words, or a situation is no JSON.
    let endpoint = Endpoint::start(Script::but(
        |call| call.share() < 0.15 && !call.raw.contains("verdict"),
        |_| Answer::Text("…".to_owned()),
    ));
    let project = Project::new();
    project.demo(&endpoint.base_url());
    project.pipeline(&["--set", "situations.count=6"]);
    // The same complaint twice makes the same messages twice.
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for messages in sent(&endpoint) {
        *left.entry(messages).or_default() += 1;
    }
    let ids = |name: &str| -> Vec<String> {
        let folder = format!("runs/demo/stages/{name}");
        let rows =
            ["part-00000", "rejected"].into_iter().flat_map(|file| project.rows(&format!("{folder}/{file}.jsonl")));
        rows.map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let mut repairs = 0;
    for id in ids("2-situations").into_iter().chain(ids("3-conversations")) {
        let page = project.run(&["explain", &id, "--run-dir", "runs/demo", "--calls"]).ended(0).stdout;
        repairs += page.matches(", time 2, asked of").count();
        let calls = explained(&page);
        assert!(!calls.is_empty(), "{id}: {page}");
        for messages in calls {
            let count = left.get_mut(&messages).filter(|count| **count > 0);
            *count.unwrap_or_else(|| panic!("{id}: this was never sent, or is shown too often:\n{messages}")) -= 1;
        }
    }
    assert!(repairs > 3, "{repairs} repairs are too few to tell");
    left.retain(|messages, count| *count > 0 && !messages.contains("Greet the people"));
    assert!(left.is_empty(), "sent, but explained by no item: {left:?}");
}
