//! `config check`, `show` and `schema`.

use std::path::{Path, PathBuf};

use super::args::{CheckArgs, ConfigArgs, ConfigCommand, ConfigKind};
use super::failure::Failure;
use super::output::Printer;
use super::pipeline::tell_translation;
use super::progress::{duration, thousands};
use crate::config::assets;
use crate::config::environment::{AZURE_API_KEY, CONTENT_SAFETY_KEY, Environment};
use crate::config::fingerprint::resolved_yaml;
use crate::config::load::{inspect, load};
use crate::config::loaded::Loaded;
use crate::config::price::PRICES;
use crate::config::prompts::prompt_config;
use crate::config::safety::Service;
use crate::config::upload::{self, Upload, UploadTo};
use crate::config::upstream::written::imported;
use crate::config::{AzureAuth, Config, Ending, Model, PromptConfig, Provider, ShotSelection, SituationMode};
use crate::exit::ExitCode;
use crate::llm::recorded::probe::once::{FormTaken, Greeting};
use crate::net::rate_headers::RemainingQuota;
use crate::pipeline::check;
use crate::pipeline::models::{self, AskedModel};
use crate::pipeline::status::is_finished;
use crate::record::Tally;
use crate::store::fs;

pub(super) fn run(command: &ConfigCommand, printer: &Printer) -> Result<ExitCode, Failure> {
    match command {
        ConfigCommand::Check(args) => match upload_file(&args.config) {
            Some(file) => check_upload(file, &args.config.sets, printer),
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

/// Checks everything that a run would use, and tells all that is wrong at once.
fn check(args: &CheckArgs, printer: &Printer) -> Result<ExitCode, Failure> {
    let (mut loaded, wrong) = inspect(args.config.config.as_deref(), &args.config.sets)?;
    let environment = super::pipeline::environment(printer)?;
    let found = check::check(&loaded, &environment);
    // What the configuration says of a file, with its line, need not be said again by who looked for it.
    let mut problems: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    let news = found.problems.into_iter().filter(|problem| !wrong.iter().any(|known| known.tells_of(problem)));
    problems.extend(news);
    environment.complete(&mut loaded.config);
    if !problems.is_empty() {
        let message = format!("{} cannot be used as it is\n  {}", loaded.name(), problems.join("\n  "));
        return Err(Failure::new(ExitCode::Usage, message));
    }
    let shots = match loaded.config.situations.mode {
        SituationMode::File => ShotSelection::default(),
        _ => prompt_config(&loaded)?.config.selection,
    };
    tell_translation(loaded.name(), &loaded.translation(), printer);
    printer.data(&format!("{}: ok\n{}", loaded.name(), summary(&loaded, shots)))?;
    found.rows.map_or(Ok(()), |rows| printer.data(&imported_rows(&loaded.config, rows)))?;
    if args.online {
        return online(&loaded.config, &environment, printer);
    }
    for warning in missing_keys(&loaded.config, &environment) {
        printer.warning(&warning);
    }
    Ok(ExitCode::Success)
}

/// What became of the rows of a file that people or situations come from.
fn imported_rows(config: &Config, rows: Tally) -> String {
    let what = if config.situations.mode == SituationMode::File { "situation" } else { "persona" };
    let lost = [(rows.duplicate, "twice"), (rows.rejected, "rejected")];
    let lost: Vec<String> =
        lost.into_iter().filter(|(count, _)| *count > 0).map(|(count, why)| format!(", {count} {why}")).collect();
    format!("  source: {} taken{}", counted(rows.accepted, what), lost.concat())
}

/// Makes a small call to every model, and says what came of it.
fn online(config: &Config, environment: &Environment, printer: &Printer) -> Result<ExitCode, Failure> {
    let environment = environment.with_proxy(config.proxy.as_deref());
    let asked = super::pipeline::block_on(models::ask(config, &environment))?;
    if asked.is_empty() {
        printer.data("  no model is called over a network")?;
    }
    let mut silent = Vec::new();
    for AskedModel { key, target, name, greeting, answered_by, left } in asked {
        match greeting {
            Err(reason) => silent.push(format!("models.{key} ({name}): {reason}")),
            Ok(Greeting { form, usage }) => {
                let form = form.map_or_else(String::new, |form| format!(", {}", taken(&form)));
                let other = answered_by.map_or_else(String::new, |other| format!(" as {other}"));
                let tokens = usage.prompt_tokens + usage.completion_tokens;
                printer.data(&format!("  models.{key}: {name} at {target} answers{other}{form}; {tokens} tokens"))?;
                left.map_or(Ok(()), |left| printer.data(&format!("    {}", limits(&left))))?;
            }
        }
    }
    if silent.is_empty() {
        return Ok(ExitCode::Success);
    }
    let count = counted(silent.len() as u64, "model");
    let verb = if silent.len() == 1 { "does" } else { "do" };
    Err(Failure::new(ExitCode::Unavailable, format!("{count} {verb} not answer\n  {}", silent.join("\n  "))))
}

fn taken(form: &FormTaken) -> String {
    match form {
        FormTaken::Kept => "keeps to a JSON schema".to_owned(),
        FormTaken::Ignored => "does not keep to a JSON schema (a run tries json_object next, then words)".to_owned(),
        FormTaken::Refused(said) => format!("takes no JSON schema ({said})"),
    }
}

/// What an endpoint said is left of its limits.
fn limits(left: &RemainingQuota) -> String {
    let counts = [(left.requests, "requests"), (left.tokens, "tokens")];
    let counts: Vec<String> =
        counts.into_iter().filter_map(|(count, of)| Some(format!("{} {of}", thousands(count?)))).collect();
    let reset = left.reset().map(|time| format!("all there again in {}", duration(time.as_secs_f64())));
    let all: Vec<String> =
        Some(counts.join(" and ")).filter(|text| !text.is_empty()).into_iter().chain(reset).collect();
    format!("left of its limits: {}", all.join("; "))
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
    printer.data(&schema_text(of))?;
    Ok(ExitCode::Success)
}

/// The JSON schema of a kind of configuration.
pub(super) fn schema_text(of: ConfigKind) -> String {
    let schema = match of {
        ConfigKind::Pipeline => schemars::schema_for!(Config),
        ConfigKind::Upload => schemars::schema_for!(Upload),
        ConfigKind::Prompts => schemars::schema_for!(PromptConfig),
    };
    format!("{:#}", schema.to_value())
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
    missing
        .map(|(key, name)| {
            format!(
                "models.{key}: {name} is set neither in the environment nor in .env (.env: {})",
                Environment::file_told()
            )
        })
        .collect()
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
    let number = match conversations.count {
        Some(count) => counted(count, "conversation"),
        None => format!("{} each", counted(conversations.per_situation, "conversation")),
    };
    let models: Vec<String> = config.used_models().into_iter().map(|(key, model)| named_model(key, model)).collect();
    format!(
        "  {}, then {number} of {} turns ({}, {}, {ending})\n  models: {}; run directory: {}",
        situations(config, shots),
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
            ("a.md", assets::shipped("prompts/situations/prompt-persona-v1.md")),
            ("s.json", assets::shipped("prompts/situations/shots-personas/shot-1.json")),
        ] {
            fs::write_atomic(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        folder
    }

    fn args(folder: &Path, sets: &[&str]) -> ConfigArgs {
        let sets = sets.iter().map(|set| (*set).to_owned()).collect();
        ConfigArgs { config: Some(folder.join("c.yaml")), sets }
    }

    fn checked(config: ConfigArgs) -> ConfigCommand {
        ConfigCommand::Check(CheckArgs { config, online: false })
    }

    #[test]
    fn check_says_what_would_be_done() {
        let folder = project();
        let (printer, plain) = captured(Verbosity::default(), false);
        let sets = ["models.default={provider: openai, base_url: 'http://127.0.0.1:1/v1', model: demo}"];
        run(&checked(args(folder.path(), &sets)), &printer).unwrap();
        let shown = plain.out.text().replace(&folder.path().display().to_string(), "DIR");
        insta::assert_snapshot!(shown, @r##"
        DIR/c.yaml: ok
          20 situations of 3-5 people out of 50 personas (fixed shots), then 1 conversation each of 6-10 turns (auto, agent_first, ended by agreement)
          models: default openai demo at http://127.0.0.1:1/v1; run directory: runs/x
          source: 50 personas taken
        "##);
        let (printer, counted) = captured(Verbosity::default(), false);
        run(&checked(args(folder.path(), &[&sets[..], &["conversations.count=30"]].concat())), &printer).unwrap();
        assert!(counted.out.text().contains(", then 30 conversations of 6-10 turns "), "{}", counted.out.text());
    }

    /// The shipped text of `name` with `more` in one of its sections.
    fn with_more(name: &str, section: &str, more: &str) -> String {
        let mark = format!("<!-- section: {section} -->");
        let text = assets::shipped(name);
        assert!(text.contains(&mark), "{name} has no {section}");
        text.replace(&mark, &format!("{mark}\n{more}"))
    }

    #[test]
    fn check_tells_everything_that_is_wrong_at_once() {
        let folder = project();
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}";
        for (name, text) in [
            ("speaker.md", with_more("prompts/conversations/speaker.md", "repair", endless)),
            ("selector.md", with_more("prompts/conversations/selector.md", "turn", "{{ candidates[0].nickname }}")),
            ("fused.md", with_more("prompts/conversations/fused.md", "form", "{{ nobody }}")),
            (
                "judge.md",
                with_more("prompts/judge/judge.md", "user", "{% for one in people %}{{ one.hobby }}{% endfor %}"),
            ),
            ("a.md", with_more("prompts/situations/prompt-persona-v1.md", "repair", "{{ shots[0].nothing }}")),
            ("people.csv", "who,text\nAnn,A nurse on nights\n".to_owned()),
        ] {
            fs::write_atomic(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        let sets = [
            "personas.source=people.csv",
            "situations.count=0",
            "situations.cuont=3",
            "conversations.turns.max=many",
            "situations.seeds=gone.jsonl",
            "conversations.prompts={speaker: speaker.md, selector: selector.md, fused: fused.md}",
            "judge={enabled: true, prompt: judge.md}",
            "models.default={provider: azure_openai}",
            "models.speaker={provider: openai, model: m, base_url: 'http://gpu.example:8000/v1', api_key_env: GPU_KEY}",
            "models.situations={provider: openai, model: m, base_url: 'gpu.example/v1', api_key_env: null}",
        ];
        let (printer, captured) = captured(Verbosity::default(), false);
        let failure = run(&checked(args(folder.path(), &sets)), &printer).unwrap_err();
        let told = failure.message.replace(&folder.path().display().to_string(), "DIR");
        assert_eq!((failure.code, captured.out.text().as_str()), (ExitCode::Usage, ""), "{told}");
        for part in [
            "situations.count: 0 is too small; at least 1",
            "situations.cuont: unknown key; did you mean `count`?",
            "conversations.turns.max: expected a whole number, found text",
            "--set situations.seeds: there is no file DIR/gone.jsonl",
            "DIR/people.csv, line 1: there is no column `persona` but `who`, `text`",
            "DIR/speaker.md, line ",
            "DIR/selector.md, line ",
            "DIR/fused.md, line ",
            "DIR/judge.md, line ",
            "DIR/a.md, line ",
            "unknown variable `nobody`",
            "models.default.deployment: ",
            "models.default.endpoint: ",
            "models.speaker.base_url: a key would go to gpu.example over plain http",
            "models.situations.base_url: \"gpu.example/v1\" has no https:// or http:// in front",
        ] {
            assert!(told.contains(part), "{part} is not told:\n{told}");
        }
        assert_eq!(told.matches("gone.jsonl").count(), 1, "told once: {told}");
    }

    #[test]
    fn check_looks_into_the_prompt_configuration_too() {
        let folder = project();
        let (printer, captured) = captured(Verbosity::default(), false);
        fs::write_atomic(&folder.path().join("p.yaml"), b"prompt: gone.md\nshots: [s.json]\n").unwrap();
        let failure = run(&checked(args(folder.path(), &[])), &printer).unwrap_err();
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
        let missing =
            "models.default: NAME_OF_KEY is set neither in the environment nor in .env (.env: there is none in /";
        assert!(told(AZURE_API_KEY).starts_with(missing), "{}", told(AZURE_API_KEY));
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
        run(&checked(args.clone()), &printer).unwrap();
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
