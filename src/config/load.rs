//! Reading a configuration: file, flags, form, meaning, and the files it names.
//!
//! Every step reports all it finds at once, each fault with its file, line and dotted key. Paths are relative to the
//! configuration file, the run directory to the working directory; without a file everything is relative to the latter.

use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::document::{Document, read_text};
use super::error::{ConfigError, ConfigProblem};
use super::loaded::{Loaded, QUICKSTART};
use super::shape::typed;
use super::upstream::{self, Translation, UpstreamKind};
use super::{Config, assets, check, inherit, language, price};

/// The version of the format that is read.
pub(crate) const VERSION: u64 = 1;

/// Reads and checks a configuration. `None`: the built-in quick start. `sets` are `KEY=VALUE` flags.
pub fn load(path: Option<&Path>, sets: &[String]) -> Result<Loaded, ConfigError> {
    let text = match path {
        Some(path) => read_text(path)?,
        None => assets::shipped(QUICKSTART).to_owned(),
    };
    let loaded = parse(path, &text, sets)?;
    accept(&loaded, check::files(&loaded))?;
    Ok(loaded)
}

/// As [`load`], with what is wrong with the meaning of values and the files they name beside it, for who wants to know all.
///
/// # Errors
/// If it cannot be read as a configuration at all.
pub(crate) fn inspect(path: Option<&Path>, sets: &[String]) -> Result<(Loaded, Vec<ConfigProblem>), ConfigError> {
    let text = match path {
        Some(path) => read_text(path)?,
        None => assets::shipped(QUICKSTART).to_owned(),
    };
    let (loaded, mut problems) = understood(path, &text, sets)?;
    problems.extend(check::files(&loaded));
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    Ok((loaded, problems))
}

/// Reads the configuration a run has kept. The files it names were copied with it and need not be there any more.
pub(crate) fn kept(path: &Path) -> Result<Config, ConfigError> {
    Ok(parse(Some(path), &read_text(path)?, &[])?.config)
}

/// All of [`load`] that needs no other file.
pub(super) fn parse(path: Option<&Path>, text: &str, sets: &[String]) -> Result<Loaded, ConfigError> {
    let (loaded, problems) = understood(path, text, sets)?;
    accept(&loaded, problems)?;
    Ok(loaded)
}

/// A configuration, and what is wrong with its form and its meaning. What has no sound form is read as if it were left out.
fn understood(path: Option<&Path>, text: &str, sets: &[String]) -> Result<(Loaded, Vec<ConfigProblem>), ConfigError> {
    let file = path.map_or_else(|| "the built-in configuration".to_owned(), |path| path.display().to_string());
    let document = Document::parse(&file, text)?;
    let (document, translation) = in_our_keys(document, path, sets)?;
    let (mut config, unsound) = sound_part(&document)
        .map_err(|problems| invalid(file.clone(), upstream::in_their_keys(translation.as_ref(), problems)))?;
    if let Some(tag) = language::tag(&config.language) {
        tag.clone_into(&mut config.language);
    }
    // Upstream's paths are relative to the working directory.
    let folder = path.filter(|_| translation.is_none()).and_then(Path::parent);
    let base = folder.map(Path::to_owned).unwrap_or_default();
    let mut problems = price::look_up(&mut config, &base, &document);
    let loaded = Loaded { config, file: path.map(Path::to_owned), base, document, translation };
    problems.extend(check::meaning(&loaded));
    // Against a default that stands in for what was written, its neighbours are not to be judged.
    problems.retain(|problem| !unsound.iter().any(|left_out| left_out.may_explain(problem)));
    problems.extend(upstream::in_their_keys(loaded.translation.as_ref(), unsound));
    Ok((loaded, problems))
}

/// As [`typed_config`], of as much of `document` as has a sound form; with it, what is wrong with the rest.
///
/// # Errors
/// If what is wrong cannot be left out.
fn sound_part(document: &Document) -> Result<(Config, Vec<ConfigProblem>), Vec<ConfigProblem>> {
    let (mut left, mut told) = (document.clone(), Vec::<ConfigProblem>::new());
    loop {
        let problems = match typed_config(&left) {
            Ok(config) => return Ok((config, told)),
            Err(problems) => problems,
        };
        // Another format may give every key another meaning.
        let is_other = problems.iter().any(|problem| problem.key == "version");
        let is_less = !is_other && left.leave_out(problems.iter().map(|problem| problem.key.as_str()));
        // That what was left out is missing is no news.
        let news = problems.into_iter().filter(|problem| !told.iter().any(|known| known.key == problem.key));
        told.extend(news.collect::<Vec<_>>());
        if !is_less {
            return Err(told);
        }
    }
}

/// `document` with the flags laid over it, translated if it is one of upstream's.
fn in_our_keys(
    mut document: Document,
    path: Option<&Path>,
    sets: &[String],
) -> Result<(Document, Option<Translation>), ConfigError> {
    match UpstreamKind::of(&document) {
        Some(UpstreamKind::Generation) => {
            let path = path.unwrap_or(Path::new("upstream"));
            let (document, made) = upstream::translated(UpstreamKind::Generation, document, path, sets)?;
            Ok((document, Some(made)))
        }
        Some(UpstreamKind::Upload) => {
            let message = "this is an upload configuration of upstream ConvoGen: `convogen compile-upload -c` takes it"
                .to_owned();
            Err(invalid(document.file.clone(), vec![ConfigProblem { place: None, key: String::new(), message }]))
        }
        None => {
            sets.iter().try_for_each(|flag| document.set(flag))?;
            inherit::inherit(&mut document.value);
            Ok((document, None))
        }
    }
}

fn accept(loaded: &Loaded, problems: Vec<ConfigProblem>) -> Result<(), ConfigError> {
    if problems.is_empty() {
        return Ok(());
    }
    Err(invalid(loaded.name().to_owned(), upstream::in_their_keys(loaded.translation.as_ref(), problems)))
}

/// The problems in the order of the file, those of flags last.
pub(super) fn invalid(file: String, mut problems: Vec<ConfigProblem>) -> ConfigError {
    problems.sort_by(|a, b| a.place.cmp(&b.place));
    ConfigError::Invalid { file, problems }
}

/// The version is judged first: a newer format may have keys that this one would call unknown.
pub(super) fn typed_config<T: DeserializeOwned + JsonSchema>(document: &Document) -> Result<T, Vec<ConfigProblem>> {
    match document.value.get("version").and_then(Value::as_u64) {
        Some(found) if found != VERSION => {
            let advice = if found > VERSION { "a newer convogen reads it" } else { "write version: 1" };
            let message = format!("this is format version {found}, this convogen reads version {VERSION}: {advice}");
            let key = "version".to_owned();
            Err(vec![ConfigProblem { place: document.place(&key).cloned(), key, message }])
        }
        _ => {
            let unset = document.variables().into_iter().map(|(key, name)| {
                let message = format!(
                    "no variable is put in for {name} here: write the value; keys and addresses are taken from the environment \
                     where the configuration leaves them out (docs/configuration.md names the variables)"
                );
                ConfigProblem { place: document.place(&key).cloned(), key, message }
            });
            let unset: Vec<ConfigProblem> = unset.collect();
            match typed(document) {
                Err(problems) => Err(unset.into_iter().chain(problems).collect()),
                Ok(_) if !unset.is_empty() => Err(unset),
                Ok(config) => Ok(config),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::testing::{self, EVERYTHING, keys, schema_of};

    const HEAD: &str = "version: 1\nrun_dir: r\n";

    fn refusal(body: &str) -> String {
        let text = if body.contains("version") { body.to_owned() } else { format!("{HEAD}{body}") };
        parse(Some(Path::new("c.yaml")), &text, &[]).unwrap_err().to_string()
    }

    fn flags(sets: &[&str]) -> Result<Loaded, ConfigError> {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        parse(Some(Path::new("c.yaml")), EVERYTHING, &sets)
    }

    #[test]
    fn a_fault_of_form_names_line_key_and_what_was_meant() {
        let all = [
            "# no version\n",
            "version: 2\nnovelty_of_two: 1\n",
            "version: 0\n",
            "version: one\nrun_dir: r\n",
            "version: 1\n",
            "situation: {count: 3}\n",
            "conversations:\n  turn: {min: 3}\n  speaker_selection: roundrobin\n  layout: 3\n",
            "seed: -1\nlanguage: 5\npersonas: [a]\n",
            "situations: {count: 2.5, hub: {novelty: high}}\n",
            "conversations: {allow_repeat_speaker: 'true', words_per_turn: {median: 4}}\n",
            "models: {default: {api_key: sk-canary, max_tokens: 99999999999}}\n",
            "models: {default: {max_tokens: 99999999999}}\n",
            "compile: {splits: {train: all}}\n",
            "models: {default: {provider: openai, base_url: '${HOST}/v1', headers: {X-Team: {value: $TEAM}}}}\nseed: x\n",
        ];
        let messages: Vec<String> = all.iter().map(|body| refusal(body)).collect();
        assert!(!messages.concat().contains("canary"));
        insta::assert_snapshot!(messages.join("\n"), @r#"
        c.yaml cannot be used as it is
          c.yaml:1:1: expected a group of keys, found null; leave the key out to get its default
        c.yaml cannot be used as it is
          c.yaml:1:1: version: this is format version 2, this convogen reads version 1: a newer convogen reads it
        c.yaml cannot be used as it is
          c.yaml:1:1: version: this is format version 0, this convogen reads version 1: write version: 1
        c.yaml cannot be used as it is
          c.yaml:1:1: version: expected a whole number, found text
        c.yaml cannot be used as it is
          c.yaml:1:1: run_dir: missing, and there is no default for it
        c.yaml cannot be used as it is
          c.yaml:3:1: situation: unknown key; did you mean `situations`? (known here: version, seed, language, run_dir, shard, personas, situations, conversations, min_accepted, safety, judge, dedup, compile, export, card, budget, models, proxy, review)
        c.yaml cannot be used as it is
          c.yaml:4:3: conversations.turn: unknown key; did you mean `turns`? (known here: per_situation, count, top_up, turns, ending, speaker_selection, allow_repeat_speaker, balance, layout, context, words_per_turn, prompts, max_repairs, gates)
          c.yaml:5:3: conversations.speaker_selection: unknown value `roundrobin`; did you mean `round_robin`? (one of auto, fused, round_robin, random, rules)
          c.yaml:6:3: conversations.layout: expected one of agent_first, shared_prefix, found the number 3
        c.yaml cannot be used as it is
          c.yaml:3:1: seed: -1 is less than 0
          c.yaml:4:1: language: expected text, found the number 5; put it in quotes
          c.yaml:5:1: personas: expected a group of keys, found a list
        c.yaml cannot be used as it is
          c.yaml:3:14: situations.count: expected a whole number, found the number 2.5
          c.yaml:3:32: situations.hub.novelty: expected a number, found text
        c.yaml cannot be used as it is
          c.yaml:3:17: conversations.allow_repeat_speaker: expected true or false, found text; take it out of its quotes
          c.yaml:3:47: conversations.words_per_turn.p90: missing, and there is no default for it
        c.yaml cannot be used as it is
          c.yaml:3:20: models.default.api_key: unknown key; did you mean `api_key_env`? (known here: provider, base_url, model, api_key_env, endpoint, deployment, api_version, auth, entra_scope, allow_http_hosts, concurrency, limits, max_wait_s, deployments, temperature, top_p, max_tokens, reasoning_effort, extra_body, headers, structured, prompt_cache, price, timeouts, max_attempts, batch)
          c.yaml:3:40: models.default.max_tokens: 99999999999 is more than 4294967295
        c.yaml cannot be used as it is
          c.yaml:3:20: models.default.max_tokens: 99999999999 is more than 4294967295
        c.yaml cannot be used as it is
          c.yaml:3:20: compile.splits.train: expected a number, found text
        c.yaml cannot be used as it is
          c.yaml:3:38: models.default.base_url: no variable is put in for HOST here: write the value; keys and addresses are taken from the environment where the configuration leaves them out (docs/configuration.md names the variables)
          c.yaml:3:81: models.default.headers.X-Team.value: no variable is put in for TEAM here: write the value; keys and addresses are taken from the environment where the configuration leaves them out (docs/configuration.md names the variables)
          c.yaml:4:1: seed: expected a whole number, found text
        "#);
    }

    #[test]
    fn a_fault_of_meaning_is_reported_with_all_the_others() {
        let all = [
            "language: english please\nrun_dir2: x\n",
            "language: e\npersonas: {sample: 0, length: {min: 5, max: 4}}\n",
            "situations: {mode: file, count: 0, personas: {min: 1, max: 13}}\n",
            "situations: {source: s.jsonl, personas: {min: 5, max: 4}, hub: {round_calls: 0, seed_ratio: 2, novelty: -1, cap: 0}}\n",
            "conversations: {per_situation: 0, turns: {min: 0}, words_per_turn: {median: 30, p90: 12}}\n",
            "conversations: {turns: {min: 11}}\n",
            "dedup: {situations: 0, conversations: 1.5}\n",
            "compile: {splits: {train: 0.9, Test: 0.2, dev: -0.1}}\n",
            "compile: {splits: {}}\n",
            "card: {date: 2026-02-29, name: \"a\\nb\", license: ''}\n",
            "models: {default: {provider: openai}, speaker: {temperature: 3, top_p: 0, max_tokens: 8, concurrency: 0}}\n",
            "models: {default: {provider: openai, model: m, endpoint: https://x, auth: entra, base_url: 'https://u:p@x/v1'}}\n",
            "models: {default: {provider: azure_openai, base_url: http://x/v1, api_key_env: MY_KEY, max_attempts: 0}}\n",
            "models: {default: {provider: openai, model: m, api_key_env: sk-canary, timeouts: {idle_s: 0}}}\n",
            "models: {default: {price: {currency: dollars, prompt: 1, per_hour: 2}}, speaker: {provider: embedded, price: {completion: -1}}}\n",
            "models: {default: {price: {per_hour: 2}}, speaker: {provider: embedded, price: {currency: EUR, per_hour: 2}}}\n",
            "budget: {max_cost: -1}\n",
        ];
        let messages: Vec<String> = all.iter().map(|body| refusal(body)).collect();
        assert!(!messages.concat().contains("canary"));
        insta::assert_snapshot!(messages.join("\n"), @r#"
        c.yaml cannot be used as it is
          c.yaml:3:1: language: neither a language tag such as en, de or pt-BR (BCP 47) nor the English name of a language
          c.yaml:4:1: run_dir2: unknown key; did you mean `run_dir`? (known here: version, seed, language, run_dir, shard, personas, situations, conversations, min_accepted, safety, judge, dedup, compile, export, card, budget, models, proxy, review)
        c.yaml cannot be used as it is
          c.yaml:3:1: language: neither a language tag such as en, de or pt-BR (BCP 47) nor the English name of a language
          c.yaml:4:12: personas.sample: 0 is too small; at least 1
          c.yaml:4:32: personas.length.min: 5 is more than personas.length.max, which is 4
        c.yaml cannot be used as it is
          c.yaml:3:1: situations.source: missing: mode `file` imports situations from it
          c.yaml:3:26: situations.count: 0 is too small; at least 1
          c.yaml:3:47: situations.personas.min: 1 is too small; at least 2
          c.yaml:3:55: situations.personas.max: 13 is too many; at most 12
        c.yaml cannot be used as it is
          c.yaml:3:14: situations.source: only mode `file` reads it; set situations.mode to file or leave it out
          c.yaml:3:42: situations.personas.min: 5 is more than situations.personas.max, which is 4
          c.yaml:3:65: situations.hub.round_calls: 0 is too small; at least 1
          c.yaml:3:81: situations.hub.seed_ratio: 2 is not within 0 to 1
          c.yaml:3:96: situations.hub.novelty: -1 is not within 0 to 1
          c.yaml:3:109: situations.hub.cap: 0 is too small; at least 1
        c.yaml cannot be used as it is
          c.yaml:3:17: conversations.per_situation: 0 is too small; at least 1
          c.yaml:3:43: conversations.turns.min: 0 is too small; at least 1
          c.yaml:3:81: conversations.words_per_turn.p90: 12 is not above the median, which is 30
        c.yaml cannot be used as it is
          c.yaml:3:25: conversations.turns.min: 11 is more than conversations.turns.max, which is 10
        c.yaml cannot be used as it is
          c.yaml:3:9: dedup.situations: 0 is no similarity; above 0 and at most 1
          c.yaml:3:24: dedup.conversations: 1.5 is no similarity; above 0 and at most 1
        c.yaml cannot be used as it is
          c.yaml:3:32: compile.splits.Test: a split's name is lower-case letters, digits and _, a letter first, at most 64 characters
          c.yaml:3:43: compile.splits.dev: -0.1 is no share; above 0
        c.yaml cannot be used as it is
          c.yaml:3:11: compile.splits: empty; name at least one, as {train: 1.0}
        c.yaml cannot be used as it is
          c.yaml:3:8: card.date: not a date as 2026-01-31
          c.yaml:3:26: card.name: must be one line of text
          c.yaml:3:40: card.license: must be one line of text
        c.yaml cannot be used as it is
          c.yaml:3:10: models.default.model: missing: provider openai needs it
          c.yaml:3:39: models.speaker.model: missing: provider openai needs it
          c.yaml:3:49: models.speaker.temperature: 3 is not within 0 to 2
          c.yaml:3:65: models.speaker.top_p: above 0 and at most 1
          c.yaml:3:75: models.speaker.max_tokens: 8 is too small; at least 16
          c.yaml:3:90: models.speaker.concurrency: 0 is not within 1 to 10000
        c.yaml cannot be used as it is
          c.yaml:3:48: models.default.endpoint: belongs to provider azure_openai, but the provider is openai
          c.yaml:3:69: models.default.auth: belongs to provider azure_openai, but the provider is openai
          c.yaml:3:82: models.default.base_url: not an http:// or https:// URL with a host and without user, password, query or fragment
        c.yaml cannot be used as it is
          c.yaml:3:44: models.default.base_url: belongs to provider openai, but the provider is azure_openai
          c.yaml:3:88: models.default.max_attempts: 0 is too small; at least 1
        c.yaml cannot be used as it is
          c.yaml:3:48: models.default.api_key_env: expected the name of an environment variable, such as OPENAI_API_KEY; a key must not stand in a file
          c.yaml:3:83: models.default.timeouts.idle_s: 0 is not within 0.001 to 86400
        c.yaml cannot be used as it is
          c.yaml:3:20: models.default.price: a price is per token or per hour, not both
          c.yaml:3:28: models.default.price.currency: not a code of three capitals, such as USD
          c.yaml:3:103: models.speaker.price: name prompt and completion (per million tokens), or per_hour
          c.yaml:3:103: models.speaker.price.currency: USD here, but dollars in models.default.price; one currency for all
          c.yaml:3:111: models.speaker.price.completion: a price is not below 0
        c.yaml cannot be used as it is
          c.yaml:3:81: models.speaker.price.currency: EUR here, but USD in models.default.price; one currency for all
        c.yaml cannot be used as it is
          c.yaml:3:10: budget.max_cost: below 0
          c.yaml:3:10: budget.max_cost: costs are not known without prices; set models.default.price
        "#);
    }

    #[test]
    fn what_has_no_sound_form_hides_only_what_may_come_of_it() {
        let all = [
            "situations: {cuont: 2, count: 0}\nconversations: {turns: {min: 0, max: many}, words_per_turn: {}, per_situation: 0}\ndedup: {situations: 2}\n",
            "models: {default: {provider: opnai, base_url: http://x/v1, modl: m}, speaker: {provider: openai}}\nexport: [convogen, {format: x}]\n",
            "compile: {splits: {train: most, test: 0.1}}\ncard: {date: soon}\nseed: x\n",
        ];
        let messages: Vec<String> = all.iter().map(|body| refusal(body)).collect();
        insta::assert_snapshot!(messages.join("\n"), @r#"
        c.yaml cannot be used as it is
          c.yaml:3:14: situations.cuont: unknown key; did you mean `count`? (known here: mode, source, prompt_config, count, personas, casting, per_call, coverage, seeds, hub, max_tokens)
          c.yaml:3:24: situations.count: 0 is too small; at least 1
          c.yaml:4:33: conversations.turns.max: expected a whole number, found text
          c.yaml:4:45: conversations.words_per_turn.median: missing, and there is no default for it
          c.yaml:4:45: conversations.words_per_turn.p90: missing, and there is no default for it
          c.yaml:4:65: conversations.per_situation: 0 is too small; at least 1
          c.yaml:5:9: dedup.situations: 2 is no similarity; above 0 and at most 1
        c.yaml cannot be used as it is
          c.yaml:3:20: models.default.provider: unknown value `opnai`; did you mean `openai`? (one of openai, azure_openai, embedded)
          c.yaml:3:60: models.default.modl: unknown key; did you mean `model`? (known here: provider, base_url, model, api_key_env, endpoint, deployment, api_version, auth, entra_scope, allow_http_hosts, concurrency, limits, max_wait_s, deployments, temperature, top_p, max_tokens, reasoning_effort, extra_body, headers, structured, prompt_cache, price, timeouts, max_attempts, batch)
          c.yaml:3:70: models.speaker.model: missing: provider openai needs it
          c.yaml:4:21: export[1].format: unknown value `x` (one of messages, prompt_completion, sharegpt, openai, transcript, next_speaker, addressee, convokit, convogen)
        c.yaml cannot be used as it is
          c.yaml:3:20: compile.splits.train: expected a number, found text
          c.yaml:4:8: card.date: not a date as 2026-01-31
          c.yaml:5:1: seed: expected a whole number, found text
        "#);
    }

    #[test]
    fn a_flag_is_named_as_the_place_of_its_fault() {
        let all = vec![
            flags(&["situations.count=0", "conversations.turns={min: 9, max: 3}"]),
            flags(&["conversations.turn.max=3"]),
            flags(&["conversations.speaker_selection=fuse"]),
            flags(&["seed"]),
            flags(&["seed.x=1"]),
            flags(&["models.default.model=4"]),
            flags(&["models.default.api_key=sk-canary"]),
            flags(&["models.default.headers={Authorization: {value: sk-canary}}"]),
            flags(&["models.default.base_url=https://me:sk-canary@example.com/v1"]),
            flags(&["sk-canary"]),
        ];
        let messages: Vec<String> = all.into_iter().map(|result| result.unwrap_err().to_string()).collect();
        assert!(!messages.concat().contains("canary"));
        insta::assert_snapshot!(messages.join("\n"), @r#"
        c.yaml cannot be used as it is
          --set conversations.turns: conversations.turns.min: 9 is more than conversations.turns.max, which is 3
          --set situations.count: 0 is too small; at least 1
        c.yaml cannot be used as it is
          --set conversations.turn.max: conversations.turn: unknown key; did you mean `turns`? (known here: per_situation, count, top_up, turns, ending, speaker_selection, allow_repeat_speaker, balance, layout, context, words_per_turn, prompts, max_repairs, gates)
        c.yaml cannot be used as it is
          --set conversations.speaker_selection: unknown value `fuse`; did you mean `fused`? (one of auto, fused, round_robin, random, rules)
        --set seed: expected KEY=VALUE, such as conversations.turns.max=12
        --set seed.x: `seed` is the number 17, which has no keys of its own
        c.yaml cannot be used as it is
          --set models.default.model: expected text, found the number 4; put it in quotes
        c.yaml cannot be used as it is
          --set models.default.api_key: unknown key; did you mean `api_key_env`? (known here: provider, base_url, model, api_key_env, endpoint, deployment, api_version, auth, entra_scope, allow_http_hosts, concurrency, limits, max_wait_s, deployments, temperature, top_p, max_tokens, reasoning_effort, extra_body, headers, structured, prompt_cache, price, timeouts, max_attempts, batch)
        c.yaml cannot be used as it is
          --set models.default.headers: Authorization: it may be a secret, which must not stand in a file; name a variable: {env: NAME}
        c.yaml cannot be used as it is
          --set models.default.base_url: not an http:// or https:// URL with a host and without user, password, query or fragment
        --set …: expected KEY=VALUE, such as conversations.turns.max=12
        "#);
    }

    #[test]
    fn a_file_that_is_named_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.yaml");
        let text = format!("{HEAD}personas:\n  source: none.jsonl\nsituations:\n  prompt_config: ..\n");
        crate::store::fs::write_atomic(&path, text.as_bytes()).unwrap();
        let shown = load(Some(&path), &[]).unwrap_err().to_string();
        insta::assert_snapshot!(shown.replace(&folder.path().display().to_string(), "DIR"), @r#"
        DIR/c.yaml cannot be used as it is
          DIR/c.yaml:6:3: situations.prompt_config: there is no file DIR/.. (paths are relative to the configuration file)
        "#);
        crate::store::fs::write_atomic(&folder.path().join("none.jsonl"), b"").unwrap();
        let loaded = load(Some(&path), &["situations.prompt_config=null".to_owned()]).unwrap();
        assert_eq!(loaded.path(Path::new("none.jsonl")), folder.path().join("none.jsonl"));
    }

    #[test]
    fn without_a_file_the_quick_start_runs() {
        let loaded = load(None, &[]).unwrap();
        assert_eq!(loaded.config.run_dir, Path::new("runs/quickstart"));
        assert_eq!(loaded.path(Path::new("p.jsonl")), Path::new("p.jsonl"));
    }

    #[test]
    fn every_configuration_that_ships_is_sound() {
        for (name, text) in assets::ALL {
            let is_pipeline = name.starts_with("configs/") && text.contains("\nrun_dir: ");
            if is_pipeline && let Err(error) = parse(Some(Path::new(name)), text, &[]) {
                panic!("{error}");
            }
        }
    }

    #[test]
    fn the_full_example_has_every_key() {
        let text = assets::builtin("configs/pipeline.yaml").unwrap();
        let document = Document::parse("pipeline.yaml", text).unwrap();
        for key in keys::<Config>() {
            let pointer = format!("/{}", key.replace('.', "/"));
            let mut around: Vec<&str> = key.split('.').collect();
            let name = around.pop().unwrap_or_default();
            // What hangs on a group that is null stands in the comment beside it.
            let is_null = (1..=around.len()).any(|end| {
                document.value.pointer(&format!("/{}", around[..end].join("/"))).is_some_and(Value::is_null)
            });
            assert!(
                document.value.pointer(&pointer).is_some() || (is_null && text.contains(&format!("{name}:"))),
                "{key}"
            );
        }
    }

    /// A value that `key` can have, as it would be typed on a command line.
    fn scalar(key: &str) -> BoxedStrategy<String> {
        let schema = schema_of::<Config>(key);
        let names: Vec<String> = ["oneOf", "enum"]
            .iter()
            .flat_map(|list| schema[list].as_array().cloned().unwrap_or_default())
            .filter_map(|choice| choice.as_str().or(choice["const"].as_str()).map(str::to_owned))
            .collect();
        if !names.is_empty() {
            return proptest::sample::select(names).boxed();
        }
        match schema["type"].as_str().or(schema["type"][0].as_str()) {
            Some("boolean") => any::<bool>().prop_map(|truth| truth.to_string()).boxed(),
            Some("integer") => any::<u32>().prop_map(|number| number.to_string()).boxed(),
            Some("number") => (0.0..1e6_f64).prop_map(|number| format!("{number:?}")).boxed(),
            Some("string") => {
                "[a-zA-Z][a-zA-Z0-9 =:/._-]{0,20}[a-z]".prop_map(|text| serde_json::to_string(&text).unwrap()).boxed()
            }
            _ => Just("null".to_owned()).boxed(),
        }
    }

    proptest! {
        #[test]
        fn any_scalar_key_can_be_set(
            (key, value) in proptest::sample::select(keys::<Config>())
                .prop_filter("the version has one value, and a part needs both its keys", |key| key != "version" && !key.starts_with("shard."))
                .prop_flat_map(|key| (Just(key.clone()), scalar(&key)))
        ) {
            prop_assume!(value != "null");
            let mut document = Document::parse("c.yaml", testing::EVERYTHING).unwrap();
            document.set(&format!("{key}={value}")).unwrap();
            // A role, or a price, that was not there before needs its required keys.
            let config = typed::<Config>(&document);
            prop_assert!(config.is_ok(), "{key}={value}: {config:?}");
            let after = serde_json::to_value(config.unwrap()).unwrap();
            let found = after.pointer(&format!("/{}", key.replace('.', "/"))).cloned().unwrap_or_default();
            let expected: Value = serde_json::from_str(&value).unwrap_or_else(|_| Value::String(value.clone()));
            let same = found == expected || (found.is_number() && found.as_f64() == value.parse().ok());
            prop_assert!(same, "{key}={value} became {found}");
        }

        #[test]
        fn no_text_makes_the_reader_panic(text in "[a-z:{}\\[\\]&*!|>'\"#, \n-]{0,80}") {
            let _ = parse(None, &text, &[]);
            let _ = parse(None, testing::EVERYTHING, &[text]);
        }
    }

    #[test]
    fn the_built_in_configuration_names_files_that_ship_and_others_name_their_own() {
        let text = assets::builtin(QUICKSTART).unwrap();
        let quick = parse(None, text, &[]).unwrap();
        let named = [&quick.config.personas.source, &quick.config.conversations.prompts.speaker];
        for written in named
            .into_iter()
            .flatten()
            .chain(&quick.config.situations.prompt_config)
            .chain(&quick.config.situations.coverage)
        {
            assert!(quick.shipped(written).and_then(assets::builtin).is_some(), "{}", written.display());
        }
        let own = parse(Some(Path::new("configs/quickstart.yaml")), text, &[]).unwrap();
        assert_eq!(own.shipped(Path::new("../prompts/quickstart/speaker.md")), None);
    }
}
