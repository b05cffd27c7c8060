//! Prompt configurations: which prompt, which shots, how they are chosen. Paths are relative to the working directory.

use std::path::PathBuf;

use super::schema::{PromptKeys, ShotKeys, ShotMethod, ShotType};
use super::{keys, require};
use crate::config::document::Document;
use crate::config::error::ConfigProblem;
use crate::config::prompts::MOST_PER_CALL;
use crate::config::{PromptConfig, PromptSyntax, ShotSelection};

/// Whether `document` is one of upstream's.
pub(in crate::config) fn is_upstream(document: &Document) -> bool {
    ["main_prompt", "additional_sections"].iter().any(|key| document.value.get(key).is_some())
}

/// What `document` says in our keys, or everything that is wrong with it.
pub(in crate::config) fn translate(document: &Document) -> Result<PromptConfig, Vec<ConfigProblem>> {
    let keys: PromptKeys = keys(document)?;
    let sections = &keys.additional_sections;
    let mut problems = Vec::new();
    let prompt = PathBuf::from(&keys.main_prompt.path);
    require(
        &mut problems,
        document,
        prompt.is_file(),
        "main_prompt.path",
        format!("there is no file {} (paths are relative to the working directory)", prompt.display()),
    );
    let examples = sections.examples.unwrap_or(1);
    require(
        &mut problems,
        document,
        (1..=MOST_PER_CALL as u64).contains(&examples),
        "additional_sections.numGeneratedExamples",
        format!("{examples} is not within 1 to {MOST_PER_CALL}"),
    );
    let (shots, selection, shots_per_prompt, syntax) = match &sections.shots {
        Some(shots) => chosen(document, shots, &mut problems),
        None => (Vec::new(), ShotSelection::Fixed, 0, PromptSyntax::Braces),
    };
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(PromptConfig {
        prompt,
        shots,
        persona_prompt: None,
        persona_shots: None,
        selection,
        shots_per_prompt,
        situations_per_call: size(examples),
        syntax,
    })
}

fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn chosen(
    document: &Document,
    keys: &ShotKeys,
    problems: &mut Vec<ConfigProblem>,
) -> (Vec<PathBuf>, ShotSelection, usize, PromptSyntax) {
    let folder = PathBuf::from(&keys.path);
    let at = |key: &str| format!("additional_sections.shots.{key}");
    let params = &keys.method_params;
    let syntax = match params.shot_type {
        Some(ShotType::Json) => PromptSyntax::Braces,
        Some(ShotType::Text) | None => PromptSyntax::BracesText,
    };
    let mut need = |holds, key: &str, message: String| require(problems, document, holds, &at(key), message);
    need(
        folder.exists(),
        "path",
        format!("there is no {} (paths are relative to the working directory)", folder.display()),
    );
    match (keys.method, &params.shot_names) {
        (ShotMethod::Random, names) => {
            need(
                names.is_none(),
                "method_params.shot_names",
                "names shots, but the method is random; set method: fixed or leave it out".to_owned(),
            );
            (vec![folder], ShotSelection::Random, size(params.num_shots.unwrap_or(1)), syntax)
        }
        (ShotMethod::Fixed, None) => {
            need(
                params.num_shots.is_some(),
                "method_params.shot_names",
                "missing: method fixed shows the shots it names".to_owned(),
            );
            (vec![folder], ShotSelection::Fixed, size(params.num_shots.unwrap_or(1)), syntax)
        }
        (ShotMethod::Fixed, Some(names)) => {
            let file = |name: &String| {
                // With its ending or without.
                folder.join(format!("{}.json", name.strip_suffix(".json").unwrap_or(name)))
            };
            let files: Vec<PathBuf> = names.iter().map(file).collect();
            for missing in files.iter().filter(|file| !file.is_file()) {
                need(false, "method_params.shot_names", format!("there is no file {}", missing.display()));
            }
            let count = files.len();
            (files, ShotSelection::Fixed, count, syntax)
        }
    }
}
