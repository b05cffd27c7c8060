//! The keys of upstream's configurations and what holds where one is left out.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

/// The keys at the top of a generation configuration.
pub(super) const GENERATION: [&str; 10] = [
    "experiment_name",
    "run_name",
    "num_conversations",
    "num_threads",
    "num_processes",
    "write_partition_size",
    "Situation_generation",
    "Group_chat_generation",
    "formatting",
    "upload_to_azure",
];

/// The keys at the top of an upload configuration.
pub(super) const UPLOAD: [&str; 6] =
    ["experiment_name", "run_name", "skip_runs", "write_partition_size", "formatting", "upload_to_azure"];

/// What situations and conversations are made by.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GenerationKeys {
    #[serde(default = "experiment_name")]
    pub(super) experiment_name: String,
    #[serde(default)]
    pub(super) run_name: Option<String>,
    #[serde(default = "one")]
    pub(super) num_conversations: u64,
    #[serde(default = "one")]
    pub(super) num_threads: u64,
    #[serde(default = "one")]
    #[expect(dead_code, reason = "read by nobody there either; listed so that it is known")]
    num_processes: u64,
    #[serde(default = "one")]
    pub(super) write_partition_size: u64,
    #[serde(rename = "Situation_generation")]
    pub(super) situations: SituationKeys,
    #[serde(rename = "Group_chat_generation", default)]
    pub(super) chats: ChatKeys,
    #[serde(default)]
    #[expect(dead_code, reason = "checked, and done by compile-upload")]
    formatting: FormattingKeys,
    #[serde(default)]
    #[expect(dead_code, reason = "checked, and done by compile-upload")]
    upload_to_azure: BlobKeys,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SituationKeys {
    pub(super) deployment_name: Option<String>,
    pub(super) llm_params: Option<Map<String, Value>>,
    pub(super) prompt_config_path: String,
    situations_output_path: Option<String>,
    pub(super) re_use_situations_as_shots: bool,
    pub(super) personas: Option<PersonaKeys>,
}

impl Default for SituationKeys {
    fn default() -> Self {
        Self {
            deployment_name: None,
            llm_params: None,
            prompt_config_path: "situations-random-shots-1.yaml".to_owned(),
            situations_output_path: None,
            re_use_situations_as_shots: false,
            personas: None,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PersonaKeys {
    pub(super) path: String,
    #[serde(default)]
    pub(super) sample_group: bool,
    #[serde(default = "two")]
    pub(super) min_num_personas_per_group: u64,
    #[serde(default = "five")]
    pub(super) max_num_personas_per_group: u64,
    #[serde(default = "eight")]
    pub(super) batch_size: u64,
    #[serde(default)]
    pub(super) rewind: bool,
    #[serde(default)]
    pub(super) start_index: u64,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ChatKeys {
    pub(super) max_turns: u64,
    pub(super) min_turns: u64,
    pub(super) deployment_name: Option<String>,
    pub(super) base_output_path: String,
    pub(super) ignore_agents_list: Vec<String>,
}

impl Default for ChatKeys {
    fn default() -> Self {
        Self {
            max_turns: 12,
            min_turns: 10,
            deployment_name: None,
            base_output_path: "output".to_owned(),
            ignore_agents_list: vec![super::generation::OPENER.to_owned()],
        }
    }
}

/// What is published, and how.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadKeys {
    #[serde(default = "experiment_name")]
    pub(super) experiment_name: String,
    #[serde(default)]
    #[expect(dead_code, reason = "a version has its name from its content")]
    run_name: Option<String>,
    #[serde(default)]
    pub(super) skip_runs: Option<Vec<String>>,
    #[serde(default)]
    pub(super) write_partition_size: Option<u64>,
    pub(super) formatting: FormattingKeys,
    pub(super) upload_to_azure: BlobKeys,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FormattingKeys {
    pub(super) base_input_path: Option<String>,
    pub(super) base_output_path: Option<String>,
    format: Option<PartFormat>,
    format_params: Option<FormatParams>,
    pub(super) skip_runs: Option<Vec<String>>,
    pub(super) write_partition_size: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PartFormat {
    Csv,
    Tsv,
    Jsonl,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FormatParams {
    delimiter: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct BlobKeys {
    local_data_path: Option<String>,
    file_extensions: Option<Vec<String>>,
    pub(super) azure_account_name: Option<String>,
    pub(super) azure_container: Option<String>,
    pub(super) azure_blob_path: Option<String>,
}

/// A prompt configuration.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromptKeys {
    pub(super) main_prompt: MainPromptKeys,
    #[serde(default)]
    pub(super) additional_sections: SectionKeys,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MainPromptKeys {
    pub(super) path: String,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct SectionKeys {
    pub(super) shots: Option<ShotKeys>,
    #[serde(rename = "numGeneratedExamples")]
    pub(super) examples: Option<u64>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ShotKeys {
    pub(super) path: String,
    pub(super) method: ShotMethod,
    #[serde(default)]
    pub(super) method_params: ShotParams,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ShotMethod {
    Random,
    Fixed,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ShotParams {
    pub(super) num_shots: Option<u64>,
    pub(super) shot_names: Option<Vec<String>>,
    pub(super) shot_type: Option<ShotType>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum ShotType {
    Text,
    Json,
}

fn experiment_name() -> String {
    "Default".to_owned()
}

fn one() -> u64 {
    1
}

fn two() -> u64 {
    2
}

fn five() -> u64 {
    5
}

fn eight() -> u64 {
    8
}
