//! `config check`, `show` and `schema`.

use std::path::{Path, PathBuf};

use super::args::{ConfigArgs, ConfigCommand, ConfigKind};
use super::failure::Failure;
use super::output::Printer;
use super::pipeline::tell_translation;
use crate::config::assets;
use crate::config::environment::{AZURE_API_KEY, CONTENT_SAFETY_KEY, Environment};
use crate::config::fingerprint::resolved_yaml;
use crate::config::load::load;
use crate::config::loaded::Loaded;
use crate::config::price::PRICES;
use crate::config::prompts::prompt_config;
use crate::config::safety::Service;
use crate::config::upload::{self, Upload, UploadTo};
use crate::config::upstream::written::imported;
use crate::config::{AzureAuth, Config, Ending, Model, PromptConfig, Provider, ShotSelection, SituationMode};
use crate::exit::ExitCode;
use crate::pipeline::status::is_finished;
use crate::store::fs;

pub(super) fn run(command: &ConfigCommand, printer: &Printer) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check(args) => match upload_file(args) {
            Some(file) => check_upload(file, &args.sets, printer),
            None => check(args, printer),
        },
        ConfigCommand::Show(args) => show(args, printer),
        ConfigCommand::Prices => {
            printer.data(assets::shipped(PRICES).trim_end())?;
            Ok(ExitCode::Success)
        }
        ConfigCommand::Schema { of } => schema(*of, printer),
        ConfigCommand::Import(args) => import(args, printer),
    }
}

/// `config import`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ImportArgs {
    /// A configuration of upstream ConvoGen, for situations and conversations or for an upload
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to write it; left out: to stdout. A file that is there is left alone
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
}

/// Writes a configuration of upstream's as one of ours.
fn import(args: &ImportArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let Some(text) = imported(&args.file, args.output.as_deref())? else {
        let message = format!(
            "{} is no configuration of upstream ConvoGen: it has neither Situation_generation nor formatting with upload_to_azure",
            args.file.display()
        );
        return Err(Failure::new(ExitCode::Usage, message));
    };
    let Some(out) = &args.output else {
        printer.data(text.trim_end())?;
        return Ok(ExitCode::Success);
    };
    if out.exists() {
        let message = format!("{} is there already; remove it or name another file", out.display());
        return Err(Failure::new(ExitCode::Usage, message));
    }
    fs::write_atomic(out, text.as_bytes())?;
    printer.note(&format!(
        "{} says in our keys what {} says; run it where that was run",
        out.display(),
        args.file.display()
    ));
    Ok(ExitCode::Success)
}

fn check(args: &ConfigArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let mut loaded = load(args.config.as_deref(), &args.sets)?;
    let environment = super::pipeline::environment(printer)?;
    environment.complete(&mut loaded.config);
    let mut shots = ShotSelection::default();
    if loaded.config.situations.mode != SituationMode::File {
        let prompts = prompt_config(&loaded)?;
        prompts.prompt()?;
        prompts.shots()?;
        shots = prompts.config.selection;
    }
    tell_translation(loaded.name(), &loaded.translation(), printer);
    printer.data(&format!("{}: ok\n{}", loaded.name(), summary(&loaded, shots)))?;
    for warning in missing_keys(&loaded.config, &environment) {
        printer.warning(&warning);
    }
    Ok(ExitCode::Success)
}

/// The file, if it is an upload configuration.
fn upload_file(args: &ConfigArgs) -> Option<&Path> {
    args.config.as_deref().filter(|file| upload::is_upload(file))
}

fn check_upload(file: &Path, sets: &[String], printer: &Printer) -> Result<ExitCode, Failure> {
    let upload = upload::load(file, sets)?;
    let tables: Vec<&str> = upload.include.iter().map(|table| table.as_str()).collect();
    let to = match &upload.destination {
        UploadTo { folder: Some(folder), .. } => format!("folder {}", folder.display()),
        UploadTo { hub: Some(hub), .. } => format!("the hub's dataset {}", hub.repo),
        UploadTo { azure, .. } => format!("container {}", azure.as_ref().map_or("", |azure| azure.container.as_str())),
    };
    let (runs, tables) = (counted(upload.runs.len() as u64, "run"), tables.join(", "));
    printer.data(&format!("{}: ok\n  {tables} of {runs} as {} to {to}", file.display(), upload.dataset))?;
    for run in upload.runs.iter().filter(|run| !is_finished(run)) {
        printer.warning(&format!("{} is no finished run yet", run.display()));
    }
    Ok(ExitCode::Success)
}

fn show(args: &ConfigArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let yaml = match upload_file(args) {
        Some(file) => serde_saphyr::to_string(&upload::load(file, &args.sets)?),
        None => resolved_yaml(&load(args.config.as_deref(), &args.sets)?.config),
    };
    printer.data(&yaml.map_err(|error| Failure::of(ExitCode::Bug, &error))?)?;
    Ok(ExitCode::Success)
}

fn schema(of: ConfigKind, printer: &Printer) -> Result<ExitCode, Failure> {
    let schema = match of {
        ConfigKind::Pipeline => schemars::schema_for!(Config),
        ConfigKind::Upload => schemars::schema_for!(Upload),
        ConfigKind::Prompts => schemars::schema_for!(PromptConfig),
    };
    printer.data(&format!("{:#}", schema.to_value()))?;
    Ok(ExitCode::Success)
}

/// The variables with keys that a run would look for and not find.
fn missing_keys(config: &Config, environment: &Environment) -> Vec<String> {
    let used = config.used_models();
    let content_safety = config.safety.service == Some(Service::AzureContentSafety);
    let names = used.iter().filter_map(|(key, model)| match *key {
        "safety" if content_safety && model.auth != AzureAuth::Entra => Some((key, CONTENT_SAFETY_KEY.to_vec())),
        "safety" if content_safety => None,
        _ => Some((key, vec![key_variable(model)?])),
    });
    let missing =
        names.filter_map(|(key, names)| Some((key, *names.first().filter(|_| environment.first(&names).is_none())?)));
    missing.map(|(key, name)| format!("models.{key}: {name} is set neither in the environment nor in .env")).collect()
}

fn key_variable(model: &Model) -> Option<&str> {
    match (model.provider, model.auth) {
        (Provider::Openai, _) => model.api_key_env.as_deref(),
        (Provider::AzureOpenai, AzureAuth::Key) => Some(AZURE_API_KEY),
        (Provider::AzureOpenai, AzureAuth::Auto | AzureAuth::Entra) | (Provider::Embedded, _) => None,
    }
}

/// What a run would do: one line about the data, one about the means.
fn summary(loaded: &Loaded, shots: ShotSelection) -> String {
    let config = &loaded.config;
    let conversations = &config.conversations;
    let ending = match conversations.ending {
        Ending::Agreed => "ended by agreement",
        Ending::MaxOnly => "always to the maximum",
        Ending::Drawn => "as many as are drawn",
    };
    let models: Vec<String> = config.used_models().into_iter().map(|(key, model)| named_model(key, model)).collect();
    format!(
        "  {}, then {} each of {} turns ({}, {}, {ending})\n  models: {}; run directory: {}",
        situations(config, shots),
        counted(conversations.per_situation, "conversation"),
        range(conversations.turns.min as usize, conversations.turns.max as usize),
        conversations.speaker_selection.as_str(),
        conversations.layout.as_str(),
        models.join(", "),
        config.run_dir.display(),
    )
}

fn situations(config: &Config, shots: ShotSelection) -> String {
    let situations = &config.situations;
    let shots = match shots {
        ShotSelection::Fixed => "fixed shots",
        ShotSelection::Random => "random shots",
    };
    let people = match (situations.mode, config.personas.sample) {
        (SituationMode::File, _) => {
            return match situations.count {
                Some(count) => format!("up to {} from a file", counted(count, "situation")),
                None => "every situation of a file".to_owned(),
            };
        }
        (SituationMode::Auto, _) => "invented people".to_owned(),
        (SituationMode::Predefined, Some(sample)) => format!("people out of {}", counted(sample, "persona")),
        (SituationMode::Predefined, None) => "people out of all personas".to_owned(),
    };
    let group = range(situations.personas.min, situations.personas.max);
    format!("{} of {group} {people} ({shots})", counted(situations.wanted().unwrap_or(0), "situation"))
}

fn named_model(key: &str, model: &Model) -> String {
    let name = model.model.as_ref().or(model.deployment.as_ref()).map(|name| format!(" {name}")).unwrap_or_default();
    let place = model.base_url.as_ref().or(model.endpoint.as_ref()).map(|url| format!(" at {url}")).unwrap_or_default();
    format!("{key} {}{name}{place}", model.provider.as_str())
}

fn counted(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn range(min: usize, max: usize) -> String {
    if min == max { min.to_string() } else { format!("{min}-{max}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{Verbosity, testing::captured};
    use crate::store::fs;

    fn project() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("c.yaml", "version: 1\nrun_dir: runs/x\npersonas: {sample: 50}\nsituations: {prompt_config: p.yaml}\n"),
            ("p.yaml", "prompt: a.md\nshots: [s.json]\nselection: fixed\n"),
            ("a.md", ""),
            ("s.json", "{}"),
        ] {
            fs::write_atomic(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        folder
    }

    fn args(folder: &Path, sets: &[&str]) -> ConfigArgs {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        ConfigArgs { config: Some(folder.join("c.yaml")), sets }
    }

    #[test]
    fn check_says_what_would_be_done() {
        let folder = project();
        let (printer, captured) = captured(Verbosity::default(), false);
        let sets = ["models.default={provider: openai, base_url: 'http://127.0.0.1:1/v1', model: demo}"];
        run(&ConfigCommand::Check(args(folder.path(), &sets)), &printer).unwrap();
        let shown = captured.out.text().replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(shown, @r##"
        DIR/c.yaml: ok
          20 situations of 3-5 people out of 50 personas (fixed shots), then 1 conversation each of 6-10 turns (auto, agent_first, ended by agreement)
          models: default openai demo at http://127.0.0.1:1/v1; run directory: runs/x
        "##);
    }

    #[test]
    fn check_looks_into_the_prompt_configuration_too() {
        let folder = project();
        let (printer, captured) = captured(Verbosity::default(), false);
        fs::write_atomic(&folder.path().join("p.yaml"), b"prompt: gone.md\nshots: [s.json]\n").unwrap();
        let failure = run(&ConfigCommand::Check(args(folder.path(), &[])), &printer).unwrap_err();
        assert_eq!(failure.code, ExitCode::Usage);
        assert!(failure.message.contains("p.yaml:1:1: prompt: there is no "), "{}", failure.message);
        assert_eq!(captured.out.text(), "");
    }

    #[test]
    fn a_key_that_is_not_there_is_told_by_its_name() {
        let folder = project();
        let sets = [
            "models.default={provider: openai, model: m, api_key_env: NAME_OF_KEY}",
            "models.speaker={provider: openai, model: m, api_key_env: null}",
            "models.selector={provider: azure_openai, auth: key}",
        ];
        let args = args(folder.path(), &sets);
        let config = load(args.config.as_deref(), &args.sets).unwrap().config;
        let nowhere = folder.path().join("none");
        let told = |name: &str| {
            let environment = Environment::new([(name.to_owned(), "canary".to_owned())], &nowhere).unwrap();
            missing_keys(&config, &environment).join("\n")
        };
        assert_eq!(told(AZURE_API_KEY), "models.default: NAME_OF_KEY is set neither in the environment nor in .env");
        assert!(told("NAME_OF_KEY").starts_with("models.selector: AZURE_OPENAI_API_KEY "));
    }

    #[test]
    fn what_show_prints_is_a_configuration() {
        let folder = project();
        let (printer, captured) = captured(Verbosity::default(), false);
        run(&ConfigCommand::Show(args(folder.path(), &["seed=5"])), &printer).unwrap();
        fs::write_atomic(&folder.path().join("d.yaml"), captured.out.text().as_bytes()).unwrap();
        let again = load(Some(&folder.path().join("d.yaml")), &[]).unwrap().config;
        assert_eq!(again, load(Some(&folder.path().join("c.yaml")), &["seed=5".to_owned()]).unwrap().config);
    }

    #[test]
    fn an_upload_configuration_is_known_by_its_destination() {
        let folder = project();
        let path = folder.path().join("u.yaml");
        let text = "version: 1\nruns: [no/run]\ndataset: d\nwork_dir: w\ndestination: {folder: out}\n";
        fs::write_atomic(&path, text.as_bytes()).unwrap();
        let args = ConfigArgs { config: Some(path.clone()), sets: vec!["include=[situations]".to_owned()] };
        let (printer, captured) = captured(Verbosity::default(), false);
        run(&ConfigCommand::Check(args.clone()), &printer).unwrap();
        let shown = captured.out.text().replace(&folder.path().display().to_string(), "DIR");
        assert_eq!(shown, "DIR/u.yaml: ok\n  situations of 1 run as d to folder out\n");
        assert_eq!(captured.err.text(), "warning: no/run is no finished run yet\n");
        let (printer, captured) = crate::cli::output::testing::captured(Verbosity::default(), false);
        run(&ConfigCommand::Show(args.clone()), &printer).unwrap();
        fs::write_atomic(&path, captured.out.text().as_bytes()).unwrap();
        let again = upload::load(&path, &[]).unwrap();
        fs::write_atomic(&path, text.as_bytes()).unwrap();
        assert_eq!(again, upload::load(&path, &args.sets).unwrap());
    }

    #[test]
    fn the_schema_describes_every_key() {
        for of in [ConfigKind::Pipeline, ConfigKind::Upload, ConfigKind::Prompts] {
            let (printer, captured) = captured(Verbosity::default(), false);
            run(&ConfigCommand::Schema { of }, &printer).unwrap();
            let schema: serde_json::Value = serde_json::from_str(&captured.out.text()).unwrap();
            let objects = schema["$defs"].as_object().unwrap().values().chain([&schema]);
            for (name, key) in objects.filter_map(|object| object["properties"].as_object()).flatten() {
                assert!(key["description"].is_string(), "{name}");
            }
        }
    }
}
