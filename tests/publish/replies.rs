//! Replies that are lost, cut or refusals, at every request of a publish.

use crate::scene::{CONTAINER, Scene};
use crate::support::fault_proxy::Fault;

#[test]
fn a_lost_request_or_reply_is_made_good_in_the_same_run() {
    let Some(mut scene) = Scene::new() else { return };
    scene.publish(&[]).ended(0);
    let (requests, wanted) = (scene.proxy.log().len(), scene.contents());
    for name in ["request", "reply", "half"] {
        for index in 0..requests {
            scene.container = format!("lost-{name}-{index}");
            scene.proxy.set(move |asked| {
                let fault = match name {
                    "request" => Fault::Drop,
                    "reply" => Fault::DropReply,
                    _ => Fault::CutBody,
                };
                fault.when(asked.index == index)
            });
            scene.publish(&[]).ended(0);
            assert_eq!(scene.contents(), wanted, "without the {name} of request {index}");
        }
    }
}

#[test]
fn a_publish_whose_every_first_reply_is_lost_ends_well() {
    let Some(scene) = Scene::new() else { return };
    scene.proxy.set(|asked| Fault::DropReply.when(asked.repeat == 0));
    scene.publish(&[]).ended(0);
    assert!(scene.assert_sound().is_some());
}

#[test]
fn a_service_that_is_busy_is_asked_again() {
    let Some(mut scene) = Scene::new() else { return };
    let busy = [(429, "TooManyRequests", Some("1")), (500, "InternalError", None), (503, "ServerBusy", Some("1"))];
    for (status, code, after) in busy {
        scene.container = format!("busy-{status}");
        scene.proxy.set(move |asked| Fault::Refuse(status, code, after).when(asked.repeat == 0));
        scene.publish(&[]).ended(0);
        assert!(scene.assert_sound().is_some());
    }
}

/// Operations of a publish of small files, each once refused for good.
const OPERATIONS: [&str; 5] = ["Create Container", "List Blobs", "Get Blob", "Put Blob", "Get Blob Properties"];

#[test]
fn a_refusal_of_any_operation_leaves_nothing_half_visible_and_says_why() {
    let Some(mut scene) = Scene::new() else { return };
    scene.publish(&[]).ended(0);
    let done = scene.proxy.log();
    let refusals: [(u16, &str, &[i32]); 5] = [
        (403, "AuthorizationPermissionMismatch", &[6]),
        (403, "AuthenticationFailed", &[6]),
        (404, "ContainerNotFound", &[0, 6, 10]),
        (409, "ContainerBeingDeleted", &[0, 6, 10]),
        (412, "ConditionNotMet", &[0, 6, 10]),
    ];
    for operation in OPERATIONS {
        if !done.iter().any(|asked| asked.operation() == operation) {
            continue;
        }
        for (status, code, ends) in refusals {
            scene.container = format!("{}-{status}-{}", operation.to_lowercase().replace(' ', "-"), code.len());
            scene.proxy.set(move |asked| Fault::Refuse(status, code, None).when(asked.operation() == operation));
            let ran = scene.publish(&[]);
            let case = format!("{operation} refused with {status} {code}: {}", ran.stderr);
            assert!(ran.code.is_some_and(|ended| ends.contains(&ended)), "{:?}, {case}", ran.code);
            assert!(ran.code == Some(0) || ran.stderr.contains("error"), "{case}");
            scene.assert_sound();
            scene.proxy.set(|_| Fault::None);
            scene.publish(&[]).ended(0);
            assert!(scene.assert_sound().is_some(), "{case}");
        }
    }
    assert_ne!(scene.container, CONTAINER, "no operation was refused");
}
