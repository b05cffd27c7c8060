//! A translation as a file of ours: each key with what it came from, and at the top what is other here.

use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

use serde_json::{Value, json};

use super::{TranslatedKey, Translation, UpstreamKind, translated};
use crate::config::document::{Document, read_text};
use crate::config::error::ConfigError;
use crate::config::loaded::BUILT_IN_FOLDER;

/// Keys that name files of a generation configuration, which are relative to that file.
const PATHS: [&str; 2] = ["personas.source", "situations.prompt_config"];

/// The text of a configuration of ours for the file of upstream's at `path`, to be written to `out`; nothing if it is not one.
pub(crate) fn imported(path: &Path, out: Option<&Path>) -> Result<Option<String>, ConfigError> {
    let document = Document::parse(&path.display().to_string(), &read_text(path)?)?;
    let Some(kind) = UpstreamKind::of(&document) else { return Ok(None) };
    let (_, mut translation) = translated(kind, document, path, &[])?;
    let folder = out.and_then(Path::parent).unwrap_or(Path::new(""));
    for entry in translation.entries.iter_mut().filter(|entry| PATHS.contains(&entry.key)) {
        if let Some(written) = entry.value.as_str() {
            entry.value = json!(seen_from(folder, Path::new(written)).to_string_lossy());
        }
    }
    Ok(Some(translation.text(path)))
}

/// `path`, which is relative to the working directory, as a file in `folder` has to write it.
fn seen_from(folder: &Path, path: &Path) -> PathBuf {
    let steps = || folder.components().filter(|step| *step != Component::CurDir);
    let down = steps().all(|step| matches!(step, Component::Normal(_)));
    if path.is_absolute() || path.starts_with(BUILT_IN_FOLDER) {
        path.to_owned()
    } else if down {
        steps().map(|_| Component::ParentDir).collect::<PathBuf>().join(path)
    } else {
        std::env::current_dir().unwrap_or_default().join(path)
    }
}

impl Translation {
    fn text(&self, path: &Path) -> String {
        let mut text =
            format!("# From {}, which is in upstream ConvoGen's schema. Run it where that was run.\n", path.display());
        for (what, keys) in [("Other here", &self.less), ("Left out", &self.left_out)] {
            for (key, why) in keys {
                let _ = writeln!(text, "# {what}: {key}: {why}");
            }
        }
        let mut above: Vec<&str> = Vec::new();
        for entry in &self.entries {
            write_entry(&mut text, &mut above, entry);
        }
        text
    }
}

/// Writes the groups that an entry opens, and the entry with its comment.
fn write_entry<'a>(text: &mut String, above: &mut Vec<&'a str>, entry: &'a TranslatedKey) {
    let mut parts: Vec<&str> = entry.key.split('.').collect();
    let name = parts.pop().unwrap_or_default();
    let shared = parts.iter().zip(above.iter()).take_while(|(one, other)| one == other).count();
    for (depth, group) in parts.iter().enumerate().skip(shared) {
        let _ = writeln!(text, "{}{group}:", "  ".repeat(depth));
    }
    let indent = "  ".repeat(parts.len());
    let from = (!entry.from.is_empty()).then(|| format!("{} there", entry.from.join(" and ")));
    let comment = from.as_deref().or(entry.why).unwrap_or_default();
    // JSON is YAML, and its quotes keep texts what they are.
    let _ = writeln!(text, "{indent}{name}: {}   # {comment}", flow(&entry.value));
    *above = parts;
}

fn flow(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let parts: Vec<String> =
                map.iter().map(|(key, value)| format!("{}: {}", json!(key), flow(value))).collect();
            format!("{{{}}}", parts.join(", "))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}
