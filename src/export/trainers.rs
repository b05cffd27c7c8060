//! What lies beside the rows: how LLaMA-Factory and axolotl read them, and a card for the `datasets` library.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::ExportedSplit;
use crate::config::export::{ExportFormat, ExportOptions, LossFlag, SystemPlace};
use crate::store::fs::FsError;
use crate::store::part::{FileEntry, PartFile};

/// Writes the configurations of the trainers that read the format.
pub(super) fn write(
    root: &Path,
    home: &str,
    options: &ExportOptions,
    splits: &[ExportedSplit],
) -> Result<Vec<FileEntry>, FsError> {
    let files = [("dataset_info.json", llama_factory(options, splits)), ("axolotl.yaml", axolotl(options, splits))];
    let written = files.into_iter().filter_map(|(name, content)| Some((name, content?)));
    written
        .map(|(name, content)| {
            let mut file = PartFile::create(root, &format!("{home}{name}"))?;
            file.append(content.as_bytes())?;
            file.finish(None)
        })
        .collect()
}

/// LLaMA-Factory's list of data sets, one for each split. `formatting` is `sharegpt` for messages too, with tags: its `openai`
/// writes a line of its own into every system prompt.
fn llama_factory(options: &ExportOptions, splits: &[ExportedSplit]) -> Option<String> {
    let columns = match (options.format, options.system()) {
        (ExportFormat::Messages | ExportFormat::Openai, _) => json!({"messages": "messages"}),
        (ExportFormat::Sharegpt, SystemPlace::Message) => json!({"messages": "conversations", "system": "system"}),
        (ExportFormat::Sharegpt, SystemPlace::FirstUser) => json!({"messages": "conversations"}),
        (ExportFormat::Transcript, _) => json!({"prompt": "text"}),
        _ => return None,
    };
    let tags = json!({
        "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
        "system_tag": "system",
    });
    let one = |split: &ExportedSplit| {
        let mut entry = Map::new();
        entry.insert("file_name".to_owned(), format!("{}.jsonl", split.name).into());
        entry.insert("columns".to_owned(), columns.clone());
        if options.format != ExportFormat::Transcript {
            entry.insert("formatting".to_owned(), "sharegpt".into());
        }
        if matches!(options.format, ExportFormat::Messages | ExportFormat::Openai) {
            entry.insert("tags".to_owned(), tags.clone());
        }
        (format!("{}_{}", options.format, split.name), Value::from(entry))
    };
    let listed: Map<String, Value> = splits.iter().map(one).collect();
    Some(format!("{:#}\n", Value::from(listed)))
}

/// The data set of an axolotl configuration: the first split.
fn axolotl(options: &ExportOptions, splits: &[ExportedSplit]) -> Option<String> {
    const CHAT: &str = "type: chat_template\n    roles_to_train: [assistant]\n    train_on_eos: turn";
    const MESSAGES: &str = "field_messages: messages\n    message_property_mappings: {role: role, content: content}";
    const SHAREGPT: &str = "field_messages: conversations\n    message_property_mappings: {role: from, content: value}";
    let fields = match options.format {
        ExportFormat::Messages | ExportFormat::Openai => format!("{CHAT}\n    {MESSAGES}"),
        ExportFormat::Sharegpt => format!("{CHAT}\n    {SHAREGPT}"),
        ExportFormat::Transcript => "type: completion\n    field: text".to_owned(),
        _ => return None,
    };
    let flag = match options.loss {
        Some(LossFlag::Train) => "\n    message_field_training: train",
        Some(LossFlag::Loss) => "\n    message_field_training: loss",
        Some(LossFlag::Weight) => "\n    message_field_training: weight",
        None => "",
    };
    let note = "# For an axolotl configuration; the path is relative to where axolotl is started.";
    let path = &splits.first()?.name;
    Some(format!("{note}\ndatasets:\n  - path: {path}.jsonl\n    ds_type: json\n    {fields}{flag}\n"))
}

/// The card of a folder that holds one format.
pub(super) fn card(options: &ExportOptions, splits: &[ExportedSplit]) -> String {
    let format = options.format;
    let files = splits.iter().map(|split| format!("  - split: {0}\n    path: {0}-*.parquet\n", split.name));
    let configs = if splits.is_empty() {
        String::new()
    } else {
        format!("configs:\n- config_name: {format}\n  data_files:\n{}", files.collect::<String>())
    };
    let rows: String =
        splits.iter().map(|split| format!("| `{}` | {} |\n", split.name, split.parquet.rows())).collect();
    let table = if rows.is_empty() { String::new() } else { format!("\n| split | rows |\n| --- | --- |\n{rows}") };
    format!("---\n{configs}tags:\n- synthetic\n- convogen\n---\n\n# Conversations, exported as `{format}`\n{table}")
}
