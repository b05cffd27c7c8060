//! `init`: a folder with everything a project of one's own starts from.

use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::Path;

use super::args::ConfigKind;
use super::args::InitArgs;
use super::config::schema_text;
use super::failure::Failure;
use super::output::Printer;
use crate::config::assets;
use crate::exit::ExitCode;
use crate::store::fs::{self, FsError};

const ENV_EXAMPLE: &str = "\
# Copy to .env and fill in what you use. Variables of the environment win over this file; never commit it.

# Any OpenAI-compatible endpoint
OPENAI_API_KEY=
# OPENAI_BASE_URL=https://api.openai.com/v1

# Azure OpenAI
# AZURE_OPENAI_ENDPOINT=https://NAME.openai.azure.com
# AZURE_OPENAI_CHAT_DEPLOYMENT_NAME=
# AZURE_OPENAI_API_VERSION=
# AZURE_OPENAI_API_KEY=

# Publishing to the Hugging Face hub
# HF_TOKEN=

# Azure with Entra ID (auth: entra), where there is no managed identity and no `az login`
# AZURE_TENANT_ID=
# AZURE_CLIENT_ID=
# AZURE_CLIENT_SECRET=
";

/// Where the schemas of configurations are written, for editors.
const SCHEMAS: [(&str, ConfigKind); 3] = [
    ("configs/pipeline.schema.json", ConfigKind::Pipeline),
    ("configs/prompts.schema.json", ConfigKind::Prompts),
    ("configs/upload.schema.json", ConfigKind::Upload),
];

const GIT_IGNORE: &str = "/.env\n/runs\n";

pub(super) fn run(args: &InitArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let own = [(".env.example", ENV_EXAMPLE), (".gitignore", GIT_IGNORE)];
    let mut groups: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    let schemas: Vec<(&str, String)> = SCHEMAS.into_iter().map(|(name, of)| (name, schema_text(of))).collect();
    let shipped = assets::ALL.iter().chain(&own).map(|(name, text)| (*name, with_schema(name, text)));
    let schemas = schemas.iter().map(|(name, text)| (*name, Cow::Borrowed(text.as_str())));
    for (name, text) in shipped.chain(schemas) {
        let state = if write_new(&args.dir.join(name), &text)? { "created" } else { "kept" };
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        match groups.last_mut().filter(|(last, within, _)| (*last, *within) == (state, folder)) {
            Some((.., names)) => names.push(name),
            None => groups.push((state, folder, vec![name])),
        }
    }
    for (state, folder, names) in groups {
        printer.data(&listed(state, folder, &names))?;
    }
    let enter = if args.dir == Path::new(".") { String::new() } else { format!("  cd {}\n", args.dir.display()) };
    printer.note(&format!(
        "\nnext:\n{enter}  convogen pipeline run                             a first dataset: no key needed\n  \
         cp .env.example .env                              then fill in the key of your endpoint\n  \
         convogen config check -c configs/pipeline.yaml    edit the file first\n  \
         convogen preview -c configs/pipeline.yaml -n 3    read before you pay for more\n  \
         convogen pipeline run -c configs/pipeline.yaml"
    ));
    Ok(ExitCode::Success)
}

/// A configuration with a first line that says to editors where its schema is; any other file as it is.
fn with_schema<'a>(name: &str, text: &'a str) -> Cow<'a, str> {
    let schema = match name {
        _ if !name.starts_with("configs/") => None,
        _ if name.starts_with("configs/prompt-configs/") => Some("../prompts.schema.json"),
        _ if text.contains("\nrun_dir: ") => Some("pipeline.schema.json"),
        _ if text.contains("\ndestination:") => Some("upload.schema.json"),
        _ => None,
    };
    match schema {
        Some(schema) => Cow::Owned(format!("# yaml-language-server: $schema={schema}\n{text}")),
        None => Cow::Borrowed(text),
    }
}

/// A line a file; one for all of a folder of prompts with many.
fn listed(state: &str, folder: &str, names: &[&str]) -> String {
    if folder.starts_with("prompts/") && names.len() > 4 {
        return format!("{state} {folder}/ ({} files)", names.len());
    }
    names.iter().map(|name| format!("{state} {name}\n")).collect()
}

/// Writes a file that is not there yet. Returns whether it did.
fn write_new(path: &Path, text: &str) -> Result<bool, FsError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = match fs::create_new(path) {
        Err(error) if error.source.kind() == ErrorKind::AlreadyExists => return Ok(false),
        other => other?,
    };
    file.write_all(text.as_bytes())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Verbosity, testing::captured};

    #[test]
    fn a_project_is_written_whole_and_nothing_in_it_twice() {
        let folder = tempfile::tempdir().unwrap();
        let args = InitArgs { dir: folder.path().join("new/project") };
        fs::create_dir_all(&args.dir.join("configs")).unwrap();
        fs::write_atomic(&args.dir.join("configs/pipeline.yaml"), b"mine").unwrap();
        let (printer, first) = captured(Verbosity::default(), false);
        run(&args, &printer).unwrap();
        assert_eq!(first.out.text().lines().filter(|line| line.starts_with("kept ")).count(), 1);
        assert!(first.out.text().contains("kept configs/pipeline.yaml\n"));
        for (name, text) in assets::ALL {
            let expected =
                if *name == "configs/pipeline.yaml" { Cow::Borrowed("mine") } else { with_schema(name, text) };
            assert_eq!(fs::read_to_string(&args.dir.join(name)).unwrap(), expected, "{name}");
        }
        for name in ["configs/upload.yaml", "configs/azure.yaml", "configs/prompt-configs/situations-quickstart.yaml"] {
            let path = args.dir.join(name);
            let text = fs::read_to_string(&path).unwrap();
            let schema = text.strip_prefix("# yaml-language-server: $schema=").unwrap().lines().next().unwrap();
            let schema = fs::read_to_string(&path.parent().unwrap().join(schema)).unwrap();
            assert!(serde_json::from_str::<serde_json::Value>(&schema).unwrap()["properties"].is_object(), "{name}");
        }
        let (printer, second) = captured(Verbosity::default(), false);
        run(&args, &printer).unwrap();
        assert!(second.out.text().lines().all(|line| line.starts_with("kept ")));
    }
}
