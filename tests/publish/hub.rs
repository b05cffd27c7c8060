//! Publishing to a dataset repository of the Hugging Face hub, against a server that speaks its interface: one commit or
//! none, private, and nothing of somebody else's replaced.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::executioner::Executioner;
use crate::scene::{DATASET, finished_run};
use crate::support::fault_proxy::{Action, Asked, Fault, FaultProxy};
use crate::support::hub::{HubServer, TOKEN};
use crate::support::project::{Project, Ran};

const REPOSITORY: &str = "team/talks";

/// A finished run, a hub, and the proxy between them.
struct HubScene {
    project: Project,
    server: HubServer,
    proxy: FaultProxy,
    /// Where to; another one is as good as an empty hub.
    repository: String,
}

impl HubScene {
    fn new() -> Self {
        let (project, server) = (Project::new(), HubServer::start());
        finished_run(&project, 17, "runs/demo");
        let proxy = FaultProxy::start(server.address());
        let yaml = format!(
            "version: 1\nruns: [runs/demo]\ninclude: [situations]\ndataset: {DATASET}\nwork_dir: runs/publish\n\
             destination:\n  hub:\n    repo: {REPOSITORY}\n    endpoint: http://{}\n",
            proxy.address()
        );
        project.write("upload.yaml", yaml);
        Self { project, server, proxy, repository: REPOSITORY.to_owned() }
    }

    fn command(&self, more: &[&str]) -> Command {
        let repository = format!("destination.hub.repo={}", self.repository);
        let fixed = ["compile-upload", "-c", "upload.yaml", "--json", "--set", &repository];
        let mut command = self.project.convogen(&[&fixed[..], more].concat());
        command.env("HF_TOKEN", TOKEN).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn publish(&self, more: &[&str]) -> Ran {
        self.command(more).output().expect("convogen starts").into()
    }

    fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        self.server.contents(&self.repository)
    }

    /// The compiled dataset, which is what the repository should hold beside the mark.
    fn compiled(&self) -> BTreeMap<String, Vec<u8>> {
        self.project.files("runs/publish/dataset")
    }

    fn commits(&self) -> usize {
        self.server.history(&self.repository).len()
    }

    /// How many requests an undisturbed publish makes.
    fn requests(&mut self) -> usize {
        "team/undisturbed".clone_into(&mut self.repository);
        self.proxy.set(|_| Fault::None);
        self.publish(&[]).ended(0);
        self.proxy.log().len()
    }

    /// Fails unless the repository holds this version, in one commit after the first.
    fn assert_published(&self, case: &str) {
        let mut there = self.contents();
        assert!(there.remove("convogen.json").is_some(), "{case}");
        assert_eq!(there, self.compiled(), "{case}");
        assert_eq!(self.commits(), 2, "{case}: {:?}", self.server.history(&self.repository));
    }
}

fn commits(asked: &Asked) -> bool {
    asked.path.ends_with("/commit/main")
}

#[test]
fn a_version_is_one_commit_to_a_private_repository_and_the_same_again_sends_nothing() {
    let scene = HubScene::new();
    let dry = scene.publish(&["--dry-run"]).ended(0).json();
    assert_eq!((scene.commits(), &dry["pointer"]), (0, &"would_move".into()));
    let first = scene.publish(&["--verify"]).ended(0).json();
    scene.assert_published("the first time");
    assert_eq!(scene.server.is_private(REPOSITORY), Some(true));
    assert_eq!((&first["pointer"], &first["sent_bytes"]), (&"moved".into(), &first["bytes"]));
    assert_eq!(first["verified"]["differences"], serde_json::json!([]));
    let version = first["version"].as_str().unwrap();
    assert_eq!(scene.server.history(REPOSITORY)[1], format!("demo: version {version}"));

    scene.proxy.set(|_| Fault::None);
    let again = scene.publish(&[]).ended(0).json();
    assert_eq!((&again["pointer"], again["sent_bytes"].as_u64()), (&"unchanged".into(), Some(0)));
    assert!(scene.proxy.log().iter().all(|asked| asked.method == "GET"), "{:?}", scene.proxy.log());
    assert_eq!(scene.commits(), 2);
}

#[test]
fn another_version_takes_the_place_of_the_first_whole_and_an_earlier_one_can_be_pushed_again() {
    let scene = HubScene::new();
    finished_run(&scene.project, 18, "runs/other");
    let (first, other) = (["--set", "include=[situations, personas]"], ["--set", "runs=[runs/other]"]);
    let version = scene.publish(&first).ended(0).json()["version"].clone();
    let wanted = scene.contents();
    let told = scene.publish(&other).ended(0).json();
    assert_eq!(told["previous"], version);
    let names = |files: BTreeMap<String, Vec<u8>>| files.into_keys().collect::<Vec<_>>();
    let mut compiled = names(scene.compiled());
    compiled.push("convogen.json".to_owned());
    compiled.sort();
    assert_eq!(names(scene.contents()), compiled, "files of the version before are left");

    let received = scene.server.received();
    scene.publish(&first).ended(0);
    assert_eq!(scene.contents(), wanted);
    assert_eq!(scene.commits(), 4);
    assert_eq!(scene.server.received(), received, "what the hub has was sent again");
}

#[test]
fn a_lost_request_or_answer_is_made_good_in_the_same_run_by_one_commit() {
    let mut scene = HubScene::new();
    let requests = scene.requests();
    for fault in ["request", "answer", "half"] {
        for index in 0..requests {
            scene.repository = format!("team/lost-{fault}-{index}");
            scene.proxy.set(move |asked| {
                let fault = match fault {
                    "request" => Fault::Drop,
                    "answer" => Fault::DropReply,
                    _ => Fault::CutBody,
                };
                fault.when(asked.index == index)
            });
            scene.publish(&[]).ended(0);
            scene.assert_published(&format!("without the {fault} of request {index}"));
        }
    }
}

#[test]
fn killed_at_any_request_nothing_half_is_seen_and_the_next_run_goes_on_with_what_arrived() {
    let mut scene = HubScene::new();
    let requests = scene.requests();
    let sizes = scene.compiled();
    let large: usize =
        sizes.iter().filter(|(path, _)| path.ends_with(".parquet")).map(|(_, content)| content.len()).sum();
    assert!(large > 0);
    for index in 0..requests {
        for before in [true, false] {
            scene.repository = format!("team/killed-{before}-{index}");
            let executioner = Executioner::default();
            let kill = executioner.kill();
            let fault = if before { Fault::Before } else { Fault::After };
            scene.proxy.set(move |asked| fault(Arc::clone(&kill)).when(asked.index == index));
            let case = format!("killed {} request {index}", if before { "before" } else { "after" });
            executioner.watch(&mut scene.command(&[]));
            scene.proxy.settle();
            if !scene.contents().is_empty() {
                scene.assert_published(&case);
            }
            scene.proxy.set(|_| Fault::None);
            scene.publish(&[]).ended(0);
            scene.assert_published(&case);
        }
    }
    let publishes = 1 + 2 * requests;
    assert_eq!(scene.server.received(), (large * publishes) as u64, "a large file that the hub has was sent again");
}

#[test]
fn a_commit_of_somebody_else_in_the_middle_is_a_conflict_and_stays() {
    let scene = HubScene::new();
    let server = scene.server.clone();
    let edit: Action = Arc::new(move || server.edit(REPOSITORY, true, &[("LICENSE", Some(b"mine"))]));
    scene.proxy.set(move |asked| Fault::First(Arc::clone(&edit)).when(commits(asked) && asked.repeat == 0));
    let told = scene.publish(&[]).ended(10).stderr;
    assert!(told.contains("another publisher committed meanwhile"), "{told}");
    assert_eq!(scene.contents(), BTreeMap::from([("LICENSE".to_owned(), b"mine".to_vec())]));
}

#[test]
fn a_conflict_that_the_hub_tells_of_while_nothing_has_changed_is_waited_out() {
    for status in [409, 412, 429, 500, 503] {
        let scene = HubScene::new();
        scene.proxy.set(move |asked| Fault::Refuse(status, "", None).when(commits(asked) && asked.repeat == 0));
        scene.publish(&[]).ended(0);
        scene.assert_published(&format!("after {status}"));
    }
}

#[test]
fn what_convogen_has_not_put_there_is_refused_by_name_and_left_as_it_is() {
    let scene = HubScene::new();
    scene.publish(&[]).ended(0);
    let foreign: [(&str, &str, &[&str], bool); 5] = [
        ("train.csv", "is a dataset that convogen has not published (1 files, among them train.csv)", &[], false),
        ("README.md", "README.md: was changed since convogen published version", &[], true),
        ("manifest.json", "manifest.json: was changed since convogen published version", &[], true),
        ("situations/train-00001.csv", "situations/train-00001.csv: is not part of version", &[], true),
        ("", "holds the dataset demo, not other, and was left as it is", &["--set", "dataset=other"], true),
    ];
    for (at, (path, wanted, more, published)) in foreign.into_iter().enumerate() {
        let scene = HubScene { repository: format!("team/foreign-{at}"), ..HubScene::new() };
        if published {
            scene.publish(&[]).ended(0);
        }
        if !path.is_empty() {
            scene.server.edit(&scene.repository, true, &[(path, Some(b"somebody's work"))]);
        }
        let (before, commits) = (scene.contents(), scene.commits());
        let told = scene.publish(more).ended(10).stderr;
        assert!(told.contains(wanted) && told.contains(&scene.repository), "{path}: {told}");
        assert_eq!((scene.contents(), scene.commits()), (before, commits), "{path}");
    }
}

#[test]
fn a_file_that_was_removed_there_is_sent_anew() {
    let scene = HubScene::new();
    scene.publish(&[]).ended(0);
    let wanted = scene.contents();
    scene.server.edit(REPOSITORY, true, &[("README.md", None)]);
    let told = scene.publish(&[]).ended(0).json();
    assert_eq!(scene.contents(), wanted);
    assert_eq!(told["pointer"], "unchanged");
}

#[test]
fn a_public_repository_takes_a_dataset_only_if_that_is_asked_for() {
    let scene = HubScene::new();
    scene.server.edit(REPOSITORY, false, &[]);
    let told = scene.publish(&[]).ended(10).stderr;
    assert!(told.contains("team/talks: is public") && told.contains("destination.hub.private"), "{told}");
    assert_eq!(scene.contents(), BTreeMap::new());
    scene.publish(&["--set", "destination.hub.private=false"]).ended(0);
    let open = HubScene { repository: "team/open".to_owned(), ..scene };
    open.publish(&["--set", "destination.hub.private=false"]).ended(0);
    assert_eq!(open.server.is_private("team/open"), Some(false));
}

#[test]
fn large_files_go_in_the_parts_that_the_hub_asks_for() {
    let scene = HubScene::new();
    scene.server.cut_into(1000);
    scene.publish(&["--verify"]).ended(0);
    scene.assert_published("in parts");
    assert!(scene.proxy.log().iter().filter(|asked| asked.path.starts_with("part/")).count() > 1);
}

#[test]
fn the_token_goes_to_the_hub_alone_and_is_printed_nowhere() {
    let scene = HubScene::new();
    let ran = |token: Option<&str>, more: &[&str]| -> Ran {
        let mut command = scene.command(&[&["-vvv"], more].concat());
        match token {
            Some(token) => command.env("HF_TOKEN", token),
            None => command.env_remove("HF_TOKEN"),
        };
        command.output().expect("convogen starts").into()
    };
    let none = ran(None, &[]).ended(6);
    assert!(none.stderr.contains("HF_TOKEN is not set"), "{}", none.stderr);
    let wrong = ran(Some("hf_wrong_canary"), &[]).ended(6);
    assert!(wrong.stderr.contains("HTTP 401 (Invalid credentials"), "{}", wrong.stderr);
    let far = ran(Some(TOKEN), &["--set", "destination.hub.endpoint=http://192.0.2.1:9"]).ended(2);
    assert!(far.stderr.contains("would go to 192.0.2.1 over plain http"), "{}", far.stderr);
    // The server refuses whoever shows the token to its storage.
    let good = ran(Some(TOKEN), &["--verify"]).ended(0);
    let kept: String =
        scene.project.files("runs").into_values().map(|file| String::from_utf8_lossy(&file).into_owned()).collect();
    for text in [none, wrong, far, good].iter().flat_map(|ran| [&ran.stdout, &ran.stderr]).chain([&kept]) {
        assert!(!text.contains("canary"), "the token was printed");
    }
}

#[test]
fn old_versions_are_not_removed_from_a_history() {
    let scene = HubScene::new();
    let mut command = scene.project.convogen(&["publish", "gc", "-c", "upload.yaml", "--keep", "1"]);
    let ran: Ran = command.env("HF_TOKEN", TOKEN).output().expect("convogen starts").into();
    let told = ran.ended(2).stderr;
    assert!(told.contains("every version of team/talks is a commit"), "{told}");
}

#[test]
fn the_hubs_own_client_and_datasets_read_what_was_published() {
    let Some(python) = std::env::var_os("CONVOGEN_PYTHON") else {
        println!("skipped: CONVOGEN_PYTHON names no interpreter with tests/readers/requirements.txt");
        return;
    };
    let scene = HubScene::new();
    scene.publish(&["--set", "include=[situations, conversations, personas]"]).ended(0);
    let reader = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/read_hub.py");
    let mut command = Command::new(python);
    command.args([reader, REPOSITORY]).arg(scene.project.path().join("runs/publish/dataset"));
    command.env("HF_ENDPOINT", format!("http://{}", scene.server.address())).env("HF_TOKEN", TOKEN);
    let ran: Ran = command.output().expect("python starts").into();
    let told = ran.ended(0).stdout;
    assert!(told.contains("of conversations, situations, personas agree"), "{told}");
}
