//! An upload configuration, key by key.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::schema::UploadKeys;
use super::{Translation, keys, parts, require};
use crate::config::document::Document;
use crate::config::error::ConfigProblem;

/// The file by which a folder is a run.
const RUN_FILE: &str = "run.json";

/// Where runs are looked for, unless it is said.
const INPUT: &str = "output";

const BLOB_PATH: &[&str] = &["upload_to_azure.azure_blob_path"];

/// Folders are not looked into deeper than this.
const DEEPEST: usize = 8;

/// What `document` says in our keys, or everything that is wrong with it.
pub(super) fn translate(document: &Document) -> Result<Translation, Vec<ConfigProblem>> {
    let keys: UploadKeys = keys(document)?;
    let mut problems = Vec::new();
    let mut need = |holds, key: &str, message: String| require(&mut problems, document, holds, key, message);
    need(
        keys.skip_runs.is_none() || keys.formatting.skip_runs.is_none(),
        "skip_runs",
        "stands in formatting too; keep one of the two".to_owned(),
    );
    need(
        keys.write_partition_size.is_none() || keys.formatting.write_partition_size.is_none(),
        "write_partition_size",
        "stands in formatting too; keep one of the two".to_owned(),
    );
    let blob = &keys.upload_to_azure;
    need(
        blob.azure_container.is_some(),
        "upload_to_azure.azure_container",
        "missing, and there is no default for it".to_owned(),
    );
    let runs = runs(&keys, &mut need);
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut made = Translation::default();
    made.fix("version", 1, "the format of this file");
    made.set("runs", json!(runs), &["formatting.base_input_path", "skip_runs"]);
    made.fix("include", json!(["situations", "conversations"]), "what upstream's parts are made of");
    let dataset = blob.azure_blob_path.as_deref().unwrap_or(&keys.experiment_name).trim_matches('/');
    let named_by = if blob.azure_blob_path.is_some() { BLOB_PATH } else { &["experiment_name"] };
    made.set("dataset", dataset, named_by);
    let work = Path::new(keys.formatting.base_output_path.as_deref().unwrap_or(INPUT));
    let work_dir = work.join(format!("publish-{}", dataset.replace('/', "-")));
    made.set("work_dir", work_dir.to_string_lossy().as_ref(), &["formatting.base_output_path"]);
    let (rows, key) = match (keys.write_partition_size, keys.formatting.write_partition_size) {
        (None, Some(rows)) => (rows, &["formatting.write_partition_size"][..]),
        (rows, _) => (rows.unwrap_or(1), &["write_partition_size"][..]),
    };
    parts(&mut made, rows, key);
    made.fix("dedup.enabled", false, "upstream keeps duplicates");
    if let Some(account) = &blob.azure_account_name {
        made.set("destination.azure.account", account.as_str(), &["upload_to_azure.azure_account_name"]);
    }
    made.set("destination.azure.container", json!(blob.azure_container), &["upload_to_azure.azure_container"]);
    made.fix(
        "destination.azure.auth",
        "auto",
        "Entra ID as there, but for a connection string where AZURE_STORAGE_CONNECTION_STRING is set",
    );
    what_is_left(&mut made, document);
    Ok(made)
}

/// The runs below the input folder that are not to be skipped, by name.
fn runs(keys: &UploadKeys, need: &mut impl FnMut(bool, &str, String)) -> Vec<PathBuf> {
    let base = Path::new(keys.formatting.base_input_path.as_deref().unwrap_or(INPUT));
    let none = Vec::new();
    let skipped = keys.skip_runs.as_ref().or(keys.formatting.skip_runs.as_ref()).unwrap_or(&none);
    let mut found = Vec::new();
    look_into(base, base, skipped, 0, &mut found);
    found.sort();
    need(!found.is_empty(), "formatting.base_input_path", nothing_in(base));
    found
}

fn nothing_in(base: &Path) -> String {
    format!(
        "no run of convogen below {} that is not skipped: make one by `convogen pipeline run`, which also takes the situations of \
         upstream's chat-*.json files (situations.mode: file, situations.source: the folder)",
        base.display()
    )
}

fn look_into(base: &Path, folder: &Path, skipped: &[String], depth: usize, found: &mut Vec<PathBuf>) {
    let within = folder.strip_prefix(base).unwrap_or(folder).to_string_lossy();
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if depth > DEEPEST || (depth > 0 && skipped.iter().any(|skip| **skip == *name || **skip == *within)) {
        return;
    }
    if folder.join(RUN_FILE).is_file() {
        found.push(folder.to_owned());
        return;
    }
    // What cannot be listed holds no run that could be read.
    let inside = folder.read_dir().into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    inside.filter(|path| path.is_dir()).for_each(|path| look_into(base, &path, skipped, depth + 1, found));
}

fn what_is_left(made: &mut Translation, document: &Document) {
    let version = "a published version has its name from its content";
    let tabs = "upstream writes tabs whatever it says";
    let all = "the whole dataset is published, as one version";
    let blob_path = document.value.pointer("/upload_to_azure/azure_blob_path").is_some();
    if blob_path {
        made.leave_out(document, "experiment_name", version);
    }
    for (key, why) in [
        ("run_name", version),
        ("formatting.format", all),
        ("formatting.format_params", tabs),
        ("upload_to_azure.local_data_path", all),
        ("upload_to_azure.file_extensions", all),
    ] {
        made.leave_out(document, key, why);
    }
    if blob_path {
        made.less("upload_to_azure.azure_blob_path", "versions lie below it, latest.json says which is the newest; no local file is deleted and none is overwritten");
    }
}
