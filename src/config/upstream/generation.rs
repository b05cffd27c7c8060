//! A generation configuration, key by key.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::schema::{ChatKeys, GenerationKeys, PersonaKeys, SituationKeys};
use super::{Translation, keys, parts, require};
use crate::config::document::Document;
use crate::config::error::ConfigProblem;
use crate::config::prompts::MOST_PER_CALL;

/// Who opens a conversation there. It is an agent like the others, but for its turns, which no record has.
pub(super) const OPENER: &str = "User_proxy";

/// Where prompt configurations are looked up.
const PROMPT_CONFIGS: &str = "llm/promptConfigs";

/// The agents' prompt that ships and is in the spirit of upstream's.
const SPEAKER: &str = "built-in/prompts/conversations/everyday.md";

/// What situations are sampled at where nothing is said.
const TEMPERATURE: f64 = 0.1;

const MIN_PEOPLE: &str = "Situation_generation.personas.min_num_personas_per_group";
const MAX_PEOPLE: &str = "Situation_generation.personas.max_num_personas_per_group";

/// Parameters of a client, not of a request.
const OF_CLIENT: [&str; 6] = ["timeout", "request_timeout", "max_retries", "cache_seed", "streaming", "n"];

/// Most people in a situation whose prompt leaves their number to the model.
const MOST_PEOPLE: u64 = 12;

/// What `document` says in our keys, or everything that is wrong with it.
pub(super) fn translate(document: &Document, path: &Path) -> Result<Translation, Vec<ConfigProblem>> {
    let keys: GenerationKeys = keys(document)?;
    contradictions(document, &keys)?;
    let mut made = Translation::default();
    made.fix("version", 1, "the format of this file");
    run_dir(&mut made, &keys, path);
    people(&mut made, keys.situations.personas.as_ref());
    situations(&mut made, &keys);
    chats(&mut made, &keys.chats);
    made.fix("dedup.enabled", false, "upstream keeps duplicates; true removes them before conversations are paid for");
    made.fix("compile.splits", json!({"train": 1.0}), "upstream has no splits");
    parts(&mut made, keys.write_partition_size, &["write_partition_size"]);
    models(&mut made, &keys);
    what_is_left(&mut made, document);
    Ok(made)
}

fn contradictions(document: &Document, keys: &GenerationKeys) -> Result<(), Vec<ConfigProblem>> {
    let mut problems = Vec::new();
    let mut need = |holds, key: &str, message: String| require(&mut problems, document, holds, key, message);
    let ChatKeys { min_turns, max_turns, .. } = keys.chats;
    need(keys.num_conversations > 0, "num_conversations", "0 is too small; at least 1".to_owned());
    need(keys.num_threads > 0, "num_threads", "0 is too small; at least 1".to_owned());
    let chats = "Group_chat_generation";
    need(
        min_turns >= 2,
        &format!("{chats}.min_turns"),
        format!("{min_turns} is too small: the opener is one of them, so at least 2"),
    );
    need(
        min_turns <= max_turns,
        &format!("{chats}.min_turns"),
        format!("{min_turns} is more than max_turns, which is {max_turns}"),
    );
    if let Some(PersonaKeys {
        min_num_personas_per_group: min,
        max_num_personas_per_group: max,
        batch_size,
        path,
        ..
    }) = &keys.situations.personas
    {
        let at = |key: &str| format!("Situation_generation.personas.{key}");
        need(*min >= 2, &at("min_num_personas_per_group"), format!("{min} is too small; at least 2"));
        need(
            min <= max,
            &at("min_num_personas_per_group"),
            format!("{min} is more than max_num_personas_per_group, which is {max}"),
        );
        need(*batch_size > 0, &at("batch_size"), "0 is too small; at least 1".to_owned());
        let known = is_pairs(path) || Path::new(path).extension().is_some_and(|e| e == "jsonl");
        need(known, &at("path"), format!("{path} ends neither in .jsonl (a persona a line) nor in .json (pairs)"));
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// A file of pairs of personas.
fn is_pairs(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "json")
}

fn run_dir(made: &mut Translation, keys: &GenerationKeys, path: &Path) {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let run = keys.run_name.clone().unwrap_or_else(|| format!("run-{stem}"));
    let run_dir = format!("{}/{}/{run}", keys.chats.base_output_path, keys.experiment_name);
    made.set("run_dir", run_dir, &["experiment_name", "run_name", "Group_chat_generation.base_output_path"]);
    if keys.run_name.is_none() {
        made.less("run_name", "left out, it is named after this file, so that the same command goes on with it; upstream begins a new one");
    }
}

fn people(made: &mut Translation, personas: Option<&PersonaKeys>) {
    let Some(personas) = personas else { return };
    made.set("personas.source", personas.path.as_str(), &["Situation_generation.personas.path"]);
    made.fix("personas.length.min", 1, "a persona may be as short as it is");
    made.set("personas.skip", personas.start_index, &["Situation_generation.personas.start_index"]);
    made.less(
        "personas.path",
        "nobody is dropped for signs that are not ASCII, and no persona loses its punctuation; start_index counts rows of the file",
    );
}

fn situations(made: &mut Translation, keys: &GenerationKeys) {
    let SituationKeys { prompt_config_path, re_use_situations_as_shots, personas, .. } = &keys.situations;
    let people = if personas.is_some() { "predefined" } else { "auto" };
    made.fix("situations.mode", people, "predefined: there are personas; auto: people are invented");
    made.set(
        "situations.prompt_config",
        prompt_config(prompt_config_path),
        &["Situation_generation.prompt_config_path"],
    );
    made.set("situations.count", keys.num_conversations, &["num_conversations"]);
    match personas {
        Some(personas) => groups(made, personas),
        None => {
            made.fix("situations.personas", json!({"min": 2, "max": MOST_PEOPLE}), "the prompt leaves it to the model");
        }
    }
    made.fix("situations.coverage", Value::Null, "upstream's prompts have no place for a grid of attributes");
    hub(made, *re_use_situations_as_shots);
}

/// Looked up by name, but for a path that leads there already.
fn prompt_config(written: &str) -> String {
    let path = Path::new(written);
    let leads_there = path.is_absolute() || path.strip_prefix("./").unwrap_or(path).starts_with(PROMPT_CONFIGS);
    if leads_there { written.to_owned() } else { format!("{PROMPT_CONFIGS}/{written}") }
}

fn groups(made: &mut Translation, personas: &PersonaKeys) {
    let PersonaKeys { path, sample_group, batch_size, rewind, .. } = personas;
    let size = json!({"min": personas.min_num_personas_per_group, "max": personas.max_num_personas_per_group});
    if is_pairs(path) {
        made.fix("situations.personas", json!({"min": 2, "max": 2}), "pairs, whatever the keys of groups say");
        made.fix("situations.casting.mode", "row", "every row of the file is a group of two");
    } else {
        made.set("situations.personas", size, &[MIN_PEOPLE, MAX_PEOPLE]);
        made.set("situations.casting.mode", "random", &["Situation_generation.personas.sample_group"]);
    }
    if is_pairs(path) || *sample_group {
        made.set("situations.casting.rewind", *rewind, &["Situation_generation.personas.rewind"]);
        let most = (*batch_size).min(MOST_PER_CALL as u64);
        made.set("situations.per_call", most, &["Situation_generation.personas.batch_size"]);
        if most < *batch_size {
            made.less("personas.batch_size", &format!("{batch_size} groups there; at most {most} in a call here"));
        }
    } else {
        made.less(
            "personas.sample_group",
            "false gives the model a list of batch_size people there, to choose from; here groups of min to max of them are given, \
             whoever comes next, as many groups as numGeneratedExamples says, and people come again once everybody was there",
        );
    }
}

fn hub(made: &mut Translation, reused: bool) {
    let key = &["Situation_generation.re_use_situations_as_shots"];
    if !reused {
        made.set("situations.hub.seed_ratio", 1.0, key);
        return;
    }
    made.set("situations.hub.seed_ratio", Value::Null, key);
    made.fix("situations.hub.novelty", 0.0, "every situation becomes a shot");
    made.fix("situations.hub.cap", Value::Null, "all of them stay");
    made.less(
        "re_use_situations_as_shots",
        "situations become shots of this run alone; no file is added to the folder of shots",
    );
}

fn chats(made: &mut Translation, chats: &ChatKeys) {
    let range = json!({"min": chats.min_turns - 1, "max": chats.max_turns - 1});
    made.set("conversations.turns", range, &["Group_chat_generation.min_turns", "Group_chat_generation.max_turns"]);
    made.fix(
        "conversations.ending",
        "drawn",
        "a number of rounds is drawn for each conversation; the opener is one of them and no turn here",
    );
    made.fix("conversations.speaker_selection", "auto", "a model chooses who speaks next");
    made.fix("conversations.allow_repeat_speaker", true, "as AutoGen does unless told otherwise");
    made.fix("conversations.layout", "agent_first", "each agent has a system message of its own");
    made.fix("conversations.words_per_turn", Value::Null, "the prompt says how long turns are");
    made.fix("conversations.prompts.speaker", SPEAKER, "in the spirit of upstream's, in words of its own");
    made.less(
        "ignore_agents_list",
        "the opener is no agent here: it opens and is never asked to speak; there it is a candidate, whose turns count and are not kept",
    );
    for other in chats.ignore_agents_list.iter().filter(|name| *name != OPENER) {
        made.less("ignore_agents_list", &format!("{other} is no agent here"));
    }
}

fn models(made: &mut Translation, keys: &GenerationKeys) {
    let GenerationKeys { num_threads, situations, chats, .. } = keys;
    made.fix("models.default.provider", "azure_openai", "the endpoint is in .env");
    if let Some(name) = &chats.deployment_name {
        made.set("models.default.deployment", name.as_str(), &["Group_chat_generation.deployment_name"]);
    }
    made.set("models.default.concurrency", *num_threads, &["num_threads"]);
    made.fix("models.default.temperature", Value::Null, "the endpoint's own");
    made.fix("models.situations.provider", "azure_openai", "a model of its own, for its temperature");
    if let Some(name) = &situations.deployment_name {
        made.set("models.situations.deployment", name.as_str(), &["Situation_generation.deployment_name"]);
    }
    made.set("models.situations.concurrency", *num_threads, &["num_threads"]);
    parameters(made, situations.llm_params.clone().unwrap_or_default());
}

/// What is known under a key of ours goes there, the rest into the request as it is.
fn parameters(made: &mut Translation, mut params: Map<String, Value>) {
    const KEY: &[&str] = &["Situation_generation.llm_params"];
    made.set("models.situations.temperature", params.remove("temperature").unwrap_or(json!(TEMPERATURE)), KEY);
    for (name, key) in [("top_p", "models.situations.top_p"), ("max_tokens", "models.situations.max_tokens")] {
        if let Some(value) = params.remove(name) {
            made.set(key, value, KEY);
        }
    }
    for name in OF_CLIENT {
        if params.remove(name).is_some() {
            made.less(&format!("llm_params.{name}"), "not sent; models.situations has timeouts and max_attempts");
        }
    }
    if !params.is_empty() {
        made.set("models.situations.extra_body", Value::Object(params), KEY);
    }
}

fn what_is_left(made: &mut Translation, document: &Document) {
    let publish =
        "a run compiles its dataset itself; `convogen compile-upload` publishes it, and deletes no local file";
    for (key, why) in [
        ("num_processes", "read and never used there"),
        ("Situation_generation.situations_output_path", "situations stand in stages/2-situations of the run"),
        ("formatting", publish),
        ("formatting.format", "parts are written both as .jsonl and as .tsv"),
        ("formatting.format_params", "cells have tabs between them whatever the delimiter says, as there"),
        ("upload_to_azure", publish),
    ] {
        made.leave_out(document, key, why);
    }
    made.less(
        "retries",
        "errors are tried again with growing pauses and end a call after max_attempts, where upstream tries for ever",
    );
}
