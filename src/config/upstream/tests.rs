use super::schema::GenerationKeys;
use super::written::imported;
use super::*;
use crate::config::testing;
use crate::config::{load, upload};
use crate::store::fs;

/// Every key of a generation configuration.
const EVERYTHING: &str = "
experiment_name: e
run_name: r
num_conversations: 7
num_threads: 3
num_processes: 2
write_partition_size: 5
Situation_generation:
  deployment_name: d
  llm_params: {temperature: 0.5, top_p: 0.9, max_tokens: 900, seed: 4}
  prompt_config_path: p.yaml
  situations_output_path: out
  re_use_situations_as_shots: true
  personas:
    path: people.jsonl
    sample_group: true
    min_num_personas_per_group: 3
    max_num_personas_per_group: 4
    batch_size: 6
    rewind: true
    start_index: 9
Group_chat_generation:
  max_turns: 20
  min_turns: 15
  deployment_name: c
  base_output_path: o
  ignore_agents_list: [User_proxy, Bob]
formatting: {base_output_path: f, format: csv, format_params: {delimiter: ','}}
upload_to_azure: {local_data_path: l, file_extensions: [tsv], azure_account_name: a, azure_container: ccc, azure_blob_path: b}
";

fn document(text: &str) -> Document {
    Document::parse("g.yaml", text).unwrap()
}

fn translation(text: &str) -> Translation {
    translated(UpstreamKind::Generation, document(text), Path::new("g.yaml"), &[]).unwrap().1
}

#[test]
fn no_key_is_passed_over_in_silence() {
    let made = translation(EVERYTHING);
    let from = made.entries.iter().flat_map(|entry| entry.from).map(|key| (*key).to_owned());
    let told: Vec<String> = from.chain(made.left_out.iter().chain(&made.less).map(|(key, _)| key.clone())).collect();
    let of_uploads = ["formatting.base_input_path", "formatting.skip_runs", "formatting.write_partition_size"];
    for key in testing::keys::<GenerationKeys>() {
        let is_written = document(EVERYTHING).value.pointer(&format!("/{}", key.replace('.', "/"))).is_some();
        assert!(is_written || of_uploads.contains(&key.as_str()), "{key} is not in the test");
        let is_told = told.iter().any(|told| key.ends_with(told.as_str()) || key.starts_with(&format!("{told}.")));
        assert!(is_told, "{key}: {told:#?}");
    }
}

#[test]
fn every_key_means_here_what_it_means_there() {
    let (document, _) = translated(
        UpstreamKind::Generation,
        document(EVERYTHING),
        Path::new("g.yaml"),
        &["num_threads=4".to_owned(), "seed=9".to_owned()],
    )
    .unwrap();
    let yaml = serde_saphyr::to_string(&document.value).unwrap();
    insta::assert_snapshot!(yaml, @r"
    version: 1
    run_dir: o/e/r
    personas:
      source: people.jsonl
      length:
        min: 1
      skip: 9
    situations:
      mode: predefined
      prompt_config: llm/promptConfigs/p.yaml
      count: 7
      personas:
        min: 3
        max: 4
      casting:
        mode: random
        rewind: true
      per_call: 6
      coverage: null
      hub:
        seed_ratio: null
        novelty: 0.0
        cap: null
    conversations:
      turns:
        min: 14
        max: 19
      ending: drawn
      speaker_selection: auto
      allow_repeat_speaker: true
      layout: agent_first
      words_per_turn: null
      prompts:
        speaker: built-in/prompts/conversations/everyday.md
    dedup:
      enabled: false
    compile:
      splits:
        train: 1.0
    export:
    - format: convogen
      write_partition_size: 5
    models:
      default:
        provider: azure_openai
        deployment: c
        concurrency: 4
        temperature: null
      situations:
        provider: azure_openai
        deployment: d
        concurrency: 4
        temperature: 0.5
        top_p: 0.9
        max_tokens: 900
        extra_body:
          seed: 4
    seed: 9
    ");
}

#[test]
fn what_is_left_out_has_upstreams_defaults() {
    let made = translated(
        UpstreamKind::Generation,
        document("Situation_generation: {personas: {path: p.jsonl}}\n"),
        Path::new("my/g-1.yaml"),
        &[],
    )
    .unwrap()
    .0;
    let at = |pointer: &str| made.value.pointer(pointer).cloned().unwrap_or_default();
    assert_eq!(at("/run_dir"), "output/Default/run-g-1");
    assert_eq!(at("/conversations/turns"), serde_json::json!({"min": 9, "max": 11}));
    assert_eq!(at("/situations/personas"), serde_json::json!({"min": 2, "max": 5}));
    assert_eq!((at("/situations/count"), at("/models/default/concurrency")), (1.into(), 1.into()));
    assert_eq!(at("/situations/prompt_config"), "llm/promptConfigs/situations-random-shots-1.yaml");
    assert_eq!((at("/models/situations/temperature"), at("/models/default/temperature")), (0.1.into(), Value::Null));
    assert_eq!(at("/situations/hub/seed_ratio"), 1.0);
    assert_eq!(at("/export/0/write_partition_size"), 1);
    // A list of people to choose from is no groups: these are formed here, again and again.
    assert_eq!((at("/situations/casting/rewind"), at("/situations/per_call")), (Value::Null, Value::Null));
}

#[test]
fn a_written_translation_reads_as_what_it_is_a_translation_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("g.yaml");
    for text in [EVERYTHING, "Situation_generation:\n", &EVERYTHING.replace("people.jsonl", "pairs.json")] {
        fs::write_atomic(&path, text.as_bytes()).unwrap();
        let written = imported(&path, None).unwrap().unwrap();
        let ours = load::parse(Some(Path::new("ours.yaml")), &written, &[])
            .unwrap_or_else(|error| panic!("{error}\n{written}"));
        let theirs = load::parse(Some(&path), text, &[]).unwrap();
        assert_eq!(ours.config, theirs.config, "{written}");
        assert!(written.lines().all(|line| line.trim_end().ends_with(':') || line.contains('#')), "{written}");
    }
}

#[test]
fn runs_to_be_skipped_are_named_by_folder_or_path() {
    let folder = tempfile::tempdir().unwrap();
    for run in ["a/one", "a/two", "b/one", "c"] {
        let path = folder.path().join(run);
        fs::create_dir_all(&path.join("nested")).unwrap();
        fs::write_atomic(&path.join("run.json"), b"{}").unwrap();
        fs::write_atomic(&path.join("nested/run.json"), b"{}").unwrap();
    }
    let runs = |skipped: &str| {
        let text = format!(
            "formatting: {{base_input_path: '{}', skip_runs: {skipped}}}\nupload_to_azure: {{azure_container: ccc, azure_blob_path: /x/y/}}\n",
            folder.path().display()
        );
        let upload = upload::parse("u.yaml", &text, &[]).unwrap();
        assert_eq!(upload.dataset, "x/y");
        let names = upload.runs.iter().map(|run| run.strip_prefix(folder.path()).unwrap().display().to_string());
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(runs("[]"), "a/one a/two b/one c");
    assert_eq!(runs("[one]"), "a/two c");
    assert_eq!(runs("[a/one, c]"), "a/two b/one");
}

#[test]
fn what_an_upload_says_twice_or_not_at_all_is_refused() {
    let text = "skip_runs: [a]\nwrite_partition_size: 3\nformatting: {skip_runs: [b], write_partition_size: 4, base_input_path: none}\nupload_to_azure: {azure_blob: x}\n";
    let first = upload::parse("u.yaml", text, &[]).unwrap_err().to_string();
    let second = upload::parse("u.yaml", &text.replace("azure_blob", "azure_blob_path"), &[]).unwrap_err().to_string();
    insta::assert_snapshot!(format!("{first}\n{second}"), @r"
    u.yaml cannot be used as it is
      u.yaml:4:19: upload_to_azure.azure_blob: unknown key; did you mean `azure_blob_path`? (known here: local_data_path, file_extensions, azure_account_name, azure_container, azure_blob_path)
    u.yaml cannot be used as it is
      u.yaml:1:1: skip_runs: stands in formatting too; keep one of the two
      u.yaml:2:1: write_partition_size: stands in formatting too; keep one of the two
      u.yaml:3:55: formatting.base_input_path: no run of convogen below none that is not skipped: make one by `convogen pipeline run`, which also takes the situations of upstream's chat-*.json files (situations.mode: file, situations.source: the folder)
      u.yaml:4:1: upload_to_azure.azure_container: missing, and there is no default for it
    ");
}
