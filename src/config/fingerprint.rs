//! Which settings shape the data, and whether a run directory was made with the same ones.
//!
//! Every field of the configuration is classed here, by destructuring without `..`: a new field does not compile until
//! someone has decided whether it is *semantic* (another value can mean other data; it belongs to the first stage it
//! acts on) or *operational* (how fast, how patiently, at what price, through which host). Files that are named, such
//! as prompts and personas, count by the hash of their content, which the caller adds, not by their path.
//!
//! A stage's fingerprint covers its own settings, its inputs and the fingerprint of the stage before, so that a change
//! reaches everything downstream of it and nothing upstream.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Role;
use super::document::entry;
use super::safety::{Actions, Thresholds};
use super::{
    Balance, BudgetLimits, Card, Casting, Compile, Config, ConversationPrompts, Conversations, Dedup, GateSettings,
    GroupSize, HubSettings, Judge, Model, Models, PersonaLength, Personas, PublishedPersonas, Safety, ShownTranscript,
    Situations, TurnRange, WordsPerTurn,
};

/// Part of every fingerprint; raised when the meaning of sealed stages changes. 2: what is compared for duplicates is cut by
/// language and configured length, no longer by what the corpus turned out to be.
const FORMAT: u32 = 2;

/// The stages of a run, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Reading, sampling and splitting people.
    Personas,
    /// Situations, deduplicated.
    Situations,
    /// Conversations, deduplicated.
    Conversations,
    /// The dataset folder.
    Compile,
}

impl Stage {
    /// Every stage, in order.
    pub(crate) const ALL: [Self; 4] = [Self::Personas, Self::Situations, Self::Conversations, Self::Compile];

    /// The name in files and messages.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Personas => "personas",
            Self::Situations => "situations",
            Self::Conversations => "conversations",
            Self::Compile => "compile",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The semantic settings that first act on `stage`.
pub(crate) fn semantic_of(config: &Config, stage: Stage) -> BTreeMap<String, Value> {
    let own = fields(config).into_iter().filter(|(_, (first, _))| *first == stage);
    own.map(|(key, (_, value))| (key, value)).collect()
}

/// The fingerprint of a stage, 64 hex digits: its settings, `inputs` (name to content hash of prompts, shots, personas
/// and the like) and, but for the first stage, the fingerprint of the one before.
pub(crate) fn stage_fingerprint(
    stage: Stage,
    settings: &BTreeMap<String, Value>,
    inputs: &BTreeMap<String, String>,
    upstream: Option<&str>,
) -> String {
    let whole = json!({
        "format": FORMAT, "stage": stage.as_str(), "settings": settings, "inputs": inputs, "upstream": upstream,
    });
    // The text of a JSON value is canonical here: its maps are sorted, its numbers have one form.
    blake3::hash(whole.to_string().as_bytes()).to_hex().to_string()
}

type Fields = BTreeMap<String, (Stage, Value)>;

fn fields(config: &Config) -> Fields {
    let Config {
        version: _, // one value; another format is another program
        seed,
        language,
        run_dir: _,
        shard,
        personas: Personas { source: _, skip, sample, length: PersonaLength { min: shortest, max: longest } },
        situations,
        conversations,
        min_accepted: _, // what is said of the data once it is there
        safety,
        judge,
        dedup: Dedup { enabled, situations: situation_threshold, conversations: conversation_threshold },
        compile: Compile { splits, personas: published },
        export,
        card: Card { date, license, name },
        budget: BudgetLimits { max_calls: _, max_tokens: _, max_cost: _ },
        models: Models { default: _, situations: _, speaker: _, selector: _, safety: _, judge: _ }, // by role, below
        proxy: _,
        review: _, // likewise
    } = config;
    let mut fields = collect(
        Stage::Personas,
        [
            ("seed", json!(seed)),
            ("personas.sample", json!(sample)),
            ("personas.length.min", json!(shortest)),
            ("personas.length.max", json!(longest)),
            ("compile.splits", json!(splits)),
        ],
    );
    fields.extend(unless(*skip == 0, Stage::Personas, "personas.skip", json!(skip)));
    // A run in one part has none.
    let part = shard.map(|shard| collect(Stage::Personas, [("shard", json!(shard))]));
    fields.extend(part.into_iter().flatten());
    fields.extend(collect(
        Stage::Situations,
        [
            ("language", json!(language)),
            ("dedup.enabled", json!(enabled)),
            ("dedup.situations", json!(situation_threshold)),
        ],
    ));
    fields.extend(situation_fields(situations));
    fields.extend(collect(Stage::Conversations, [("dedup.conversations", json!(conversation_threshold))]));
    fields.extend(conversation_fields(conversations));
    fields.extend(safety_fields(safety));
    fields.extend(judge_fields(judge));
    let card = [("card.date", json!(date)), ("card.license", json!(license)), ("card.name", json!(name))];
    fields.extend(collect(Stage::Compile, card));
    // Absent where it is as it is by default: runs that were begun before there was such a key have none.
    if *published != PublishedPersonas::default() {
        fields.extend(collect(Stage::Compile, [("compile.personas", json!(published))]));
    }
    if !export.is_empty() {
        fields.extend(collect(Stage::Compile, [("export", json!(export))]));
    }
    fields.extend(model_fields(config));
    fields
}

fn collect<const N: usize>(stage: Stage, entries: [(&str, Value); N]) -> Fields {
    entries.into_iter().map(|(key, value)| (key.to_owned(), (stage, value))).collect()
}

/// Nothing for a default: runs that were begun before there was such a key have none.
fn unless(is_default: bool, stage: Stage, key: &str, value: Value) -> Option<(String, (Stage, Value))> {
    (!is_default).then(|| (key.to_owned(), (stage, value)))
}

fn situation_fields(situations: &Situations) -> Fields {
    let Situations {
        mode,
        source: _,
        prompt_config: _,
        count,
        personas: GroupSize { min, max },
        casting: Casting { mode: casting, rewind },
        per_call,
        coverage: _,
        seeds: _,
        hub: HubSettings { round_calls, seed_ratio, novelty, cap },
        max_tokens,
    } = situations;
    let mut fields = collect(
        Stage::Situations,
        [
            ("situations.mode", json!(mode)),
            ("situations.count", json!(count)),
            ("situations.personas.min", json!(min)),
            ("situations.personas.max", json!(max)),
            ("situations.casting.mode", json!(casting)),
            ("situations.hub.round_calls", json!(round_calls)),
            ("situations.hub.seed_ratio", json!(seed_ratio)),
            ("situations.hub.novelty", json!(novelty)),
            ("situations.hub.cap", json!(cap)),
        ],
    );
    for (is_default, key, value) in [
        (max_tokens.is_none(), "situations.max_tokens", json!(max_tokens)),
        (*rewind, "situations.casting.rewind", json!(rewind)),
        (per_call.is_none(), "situations.per_call", json!(per_call)),
    ] {
        fields.extend(unless(is_default, Stage::Situations, key, value));
    }
    fields
}

fn conversation_fields(conversations: &Conversations) -> Fields {
    let Conversations {
        per_situation,
        count,
        top_up,
        turns: TurnRange { min, max },
        ending,
        speaker_selection,
        allow_repeat_speaker,
        balance,
        layout,
        context,
        words_per_turn,
        prompts: ConversationPrompts { speaker: _, selector: _, fused: _, context: _ },
        max_repairs,
        gates: GateSettings { agreement_run, without },
    } = conversations;
    let words = words_per_turn.map(|WordsPerTurn { median, p90, back_channels }| [median, p90, back_channels]);
    let [median, p90, back_channels] = words.map_or([None; 3], |words| words.map(Some));
    let mut fields = collect(
        Stage::Conversations,
        [
            ("conversations.per_situation", json!(per_situation)),
            ("conversations.turns.min", json!(min)),
            ("conversations.turns.max", json!(max)),
            ("conversations.ending", json!(ending)),
            ("conversations.speaker_selection", json!(speaker_selection)),
            ("conversations.allow_repeat_speaker", json!(allow_repeat_speaker)),
            ("conversations.layout", json!(layout)),
            ("conversations.words_per_turn.median", json!(median)),
            ("conversations.words_per_turn.p90", json!(p90)),
            ("conversations.words_per_turn.back_channels", json!(back_channels)),
            ("conversations.max_repairs", json!(max_repairs)),
            ("conversations.gates.agreement_run", json!(agreement_run)),
            ("conversations.gates.without", json!(without)),
        ],
    );
    fields.extend(context_fields(*context));
    fields.extend(unless(count.is_none(), Stage::Conversations, "conversations.count", json!(count)));
    fields.extend(unless(!top_up, Stage::Conversations, "conversations.top_up", json!(top_up)));
    // Runs that were made before there was a choice shared turns like this.
    fields.extend(unless(*balance == Balance::Loose, Stage::Conversations, "conversations.balance", json!(balance)));
    fields
}

/// Nothing where all is shown, as in runs that were made before it could be otherwise.
fn context_fields(context: ShownTranscript) -> Fields {
    let ShownTranscript { last_turns, summary } = context;
    let fields =
        [("conversations.context.last_turns", json!(last_turns)), ("conversations.context.summary", json!(summary))];
    if last_turns.is_some() { collect(Stage::Conversations, fields) } else { Fields::new() }
}

fn safety_fields(safety: &Safety) -> Fields {
    let Safety {
        screen,
        words: _,
        service,
        prompt: _,
        thresholds: Thresholds { hate, harassment, sexual, self_harm, violence },
        action,
        on_failure,
    } = safety;
    let mut fields = collect(
        Stage::Conversations,
        [
            ("safety.screen", json!(screen)),
            ("safety.service", json!(service)),
            ("safety.thresholds.hate", json!(hate)),
            ("safety.thresholds.harassment", json!(harassment)),
            ("safety.thresholds.sexual", json!(sexual)),
            ("safety.thresholds.self_harm", json!(self_harm)),
            ("safety.thresholds.violence", json!(violence)),
            ("safety.on_failure", json!(on_failure)),
        ],
    );
    fields.extend(action_fields(action));
    fields
}

fn action_fields(action: &Actions) -> Fields {
    let Actions {
        email,
        phone,
        credit_card,
        iban,
        ssn,
        ip_address,
        credentials,
        hate,
        harassment,
        sexual,
        self_harm,
        violence,
    } = action;
    collect(
        Stage::Conversations,
        [
            ("safety.action.email", json!(email)),
            ("safety.action.phone", json!(phone)),
            ("safety.action.credit_card", json!(credit_card)),
            ("safety.action.iban", json!(iban)),
            ("safety.action.ssn", json!(ssn)),
            ("safety.action.ip_address", json!(ip_address)),
            ("safety.action.credentials", json!(credentials)),
            ("safety.action.hate", json!(hate)),
            ("safety.action.harassment", json!(harassment)),
            ("safety.action.sexual", json!(sexual)),
            ("safety.action.self_harm", json!(self_harm)),
            ("safety.action.violence", json!(violence)),
        ],
    )
}

fn judge_fields(judge: &Judge) -> Fields {
    let Judge { enabled, sample, prompt: _ } = judge;
    collect(Stage::Conversations, [("judge.enabled", json!(enabled)), ("judge.sample", json!(sample))])
}

/// The models in use, under the keys they are configured by. One that makes situations acts first on that stage.
fn model_fields(config: &Config) -> Fields {
    let mut fields = Fields::new();
    for (role, key, model) in config.roles() {
        let stage = if role == Role::Situations { Stage::Situations } else { Stage::Conversations };
        for (field, value) in one_model(model) {
            fields.entry(format!("models.{key}.{field}")).or_insert((stage, value));
        }
    }
    fields
}

fn one_model(model: &Model) -> Vec<(&'static str, Value)> {
    let Model {
        provider,
        base_url: _,
        model: name,
        api_key_env: _,
        endpoint: _,
        deployment,
        api_version: _,
        auth: _,
        entra_scope: _,
        allow_http_hosts: _,
        concurrency: _,
        limits: _,
        max_wait_s: _,
        deployments: _,
        temperature,
        top_p,
        max_tokens,
        reasoning_effort,
        extra_body: _, // as far as it shapes replies, below
        headers: _,    // likewise
        structured,
        prompt_cache: _,
        price: _,
        timeouts: _,
        max_attempts: _,
        batch: _, // another way to the same replies
    } = model;
    let (body, headers) = (model.shaping_body(), model.shaping_headers());
    // Absent where they are not set: run directories from before these settings know no difference.
    let set = [
        ("reasoning_effort", reasoning_effort.as_ref().map(|effort| json!(effort))),
        ("extra_body", (!body.is_empty()).then(|| json!(body))),
        ("headers", (!headers.is_empty()).then(|| json!(headers))),
    ];
    let always = [
        ("provider", json!(provider)),
        // Without a logical name the deployment's stands for it.
        ("model", json!(name.as_ref().or(deployment.as_ref()))),
        ("temperature", json!(temperature)),
        ("top_p", json!(top_p)),
        ("max_tokens", json!(max_tokens)),
        ("structured", json!(structured)),
    ];
    let set = set.into_iter().filter_map(|(field, value)| Some((field, value?)));
    always.into_iter().chain(set).collect()
}

/// The settings that shaped the data, as YAML, for those who get the dataset: no host, no path, no run directory.
pub(crate) fn public_yaml(config: &Config) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string(&public_tree(config, &Stage::ALL))
}

/// As [`public_yaml`], the settings that first act on one of `stages` only, as a tree.
pub(crate) fn public_tree(config: &Config, stages: &[Stage]) -> Value {
    let mut tree = json!({ "version": config.version });
    for (key, (_, value)) in fields(config).into_iter().filter(|(_, (stage, _))| stages.contains(stage)) {
        let parts: Vec<&str> = key.split('.').collect();
        // No semantic key lies within another, so every slot can be made.
        if let Ok(slot) = entry(&mut tree, &parts) {
            *slot = value;
        }
    }
    tree
}

/// Every setting, defaults written out, as YAML that reads back to the same configuration. Secrets are never part of one.
pub(crate) fn resolved_yaml(config: &Config) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string(config)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::drift::{Drift, diff};
    use crate::config::load::parse;
    use crate::config::loaded::QUICKSTART;
    use crate::config::{assets, testing};

    /// The semantic settings of every stage, by dotted key.
    fn semantic(config: &Config) -> BTreeMap<String, Value> {
        fields(config).into_iter().map(|(key, (_, value))| (key, value)).collect()
    }

    fn config(sets: &[String]) -> Config {
        parse(None, testing::EVERYTHING, sets).unwrap().config
    }

    /// Every key of the configuration with another value it can have, and the stage it belongs to; none: operational.
    const KEYS: &[(&str, &str, Option<Stage>)] = &[
        ("seed", "18", Some(Stage::Personas)),
        ("language", "de", Some(Stage::Situations)),
        ("run_dir", "other", None),
        ("proxy", "none", None),
        ("shard", "{index: 1, count: 3}", Some(Stage::Personas)),
        ("review.labels", "{tone: [dry, warm]}", None),
        ("personas.source", "other.jsonl", None),
        ("personas.skip", "3", Some(Stage::Personas)),
        ("personas.sample", "7", Some(Stage::Personas)),
        ("personas.length.min", "11", Some(Stage::Personas)),
        ("personas.length.max", "1999", Some(Stage::Personas)),
        ("situations.mode", "auto", Some(Stage::Situations)),
        ("situations.prompt_config", "other.yaml", None),
        ("situations.count", "21", Some(Stage::Situations)),
        ("situations.personas.min", "2", Some(Stage::Situations)),
        ("situations.personas.max", "6", Some(Stage::Situations)),
        ("situations.casting.mode", "random", Some(Stage::Situations)),
        ("situations.casting.rewind", "false", Some(Stage::Situations)),
        ("situations.per_call", "4", Some(Stage::Situations)),
        ("situations.coverage", "other.yaml", None),
        ("situations.seeds", "other.jsonl", None),
        ("situations.hub.round_calls", "17", Some(Stage::Situations)),
        ("situations.hub.seed_ratio", "0.25", Some(Stage::Situations)),
        ("situations.hub.novelty", "0.7", Some(Stage::Situations)),
        ("situations.hub.cap", "100", Some(Stage::Situations)),
        ("situations.max_tokens", "2000", Some(Stage::Situations)),
        ("conversations.per_situation", "2", Some(Stage::Conversations)),
        ("conversations.count", "30", Some(Stage::Conversations)),
        ("conversations.top_up", "true", Some(Stage::Conversations)),
        ("min_accepted", "0.5", None),
        ("conversations.turns.min", "5", Some(Stage::Conversations)),
        ("conversations.turns.max", "12", Some(Stage::Conversations)),
        ("conversations.ending", "max_only", Some(Stage::Conversations)),
        ("conversations.speaker_selection", "fused", Some(Stage::Conversations)),
        ("conversations.allow_repeat_speaker", "true", Some(Stage::Conversations)),
        ("conversations.balance", "loose", Some(Stage::Conversations)),
        ("conversations.layout", "shared_prefix", Some(Stage::Conversations)),
        ("conversations.context.last_turns", "6", Some(Stage::Conversations)),
        ("conversations.context.summary", "true", Some(Stage::Conversations)),
        ("conversations.words_per_turn.median", "13", Some(Stage::Conversations)),
        ("conversations.words_per_turn.p90", "31", Some(Stage::Conversations)),
        ("conversations.words_per_turn.back_channels", "0.2", Some(Stage::Conversations)),
        ("conversations.prompts.speaker", "other.md", None),
        ("conversations.prompts.selector", "other.md", None),
        ("conversations.prompts.fused", "other.md", None),
        ("conversations.prompts.context", "other.md", None),
        ("conversations.max_repairs", "3", Some(Stage::Conversations)),
        ("conversations.gates.agreement_run", "4", Some(Stage::Conversations)),
        ("conversations.gates.without", "[echo]", Some(Stage::Conversations)),
        ("safety.screen", "false", Some(Stage::Conversations)),
        ("safety.words", "[xx.txt]", None),
        ("safety.service", "judge", Some(Stage::Conversations)),
        ("safety.prompt", "other.md", None),
        ("safety.thresholds.hate", "0.7", Some(Stage::Conversations)),
        ("safety.thresholds.harassment", "0.7", Some(Stage::Conversations)),
        ("safety.thresholds.sexual", "0.7", Some(Stage::Conversations)),
        ("safety.thresholds.self_harm", "0.7", Some(Stage::Conversations)),
        ("safety.thresholds.violence", "0.7", Some(Stage::Conversations)),
        ("safety.action.email", "drop", Some(Stage::Conversations)),
        ("safety.action.phone", "drop", Some(Stage::Conversations)),
        ("safety.action.credit_card", "drop", Some(Stage::Conversations)),
        ("safety.action.iban", "drop", Some(Stage::Conversations)),
        ("safety.action.ssn", "drop", Some(Stage::Conversations)),
        ("safety.action.ip_address", "drop", Some(Stage::Conversations)),
        ("safety.action.credentials", "drop", Some(Stage::Conversations)),
        ("safety.action.hate", "drop", Some(Stage::Conversations)),
        ("safety.action.harassment", "drop", Some(Stage::Conversations)),
        ("safety.action.sexual", "drop", Some(Stage::Conversations)),
        ("safety.action.self_harm", "drop", Some(Stage::Conversations)),
        ("safety.action.violence", "drop", Some(Stage::Conversations)),
        ("safety.on_failure", "drop", Some(Stage::Conversations)),
        ("judge.enabled", "true", Some(Stage::Conversations)),
        ("judge.sample", "0.5", Some(Stage::Conversations)),
        ("judge.prompt", "other.md", None),
        ("dedup.enabled", "false", Some(Stage::Situations)),
        ("dedup.situations", "0.6", Some(Stage::Situations)),
        ("dedup.conversations", "0.9", Some(Stage::Conversations)),
        ("compile.splits", "{train: 0.8, test: 0.2}", Some(Stage::Personas)),
        ("compile.personas", "all", Some(Stage::Compile)),
        ("card.date", "2026-01-31", Some(Stage::Compile)),
        ("card.license", "mit", Some(Stage::Compile)),
        ("card.name", "other", Some(Stage::Compile)),
        ("export", "[transcript]", Some(Stage::Compile)),
        ("budget.max_calls", "1", None),
        ("budget.max_tokens", "1", None),
        ("budget.max_cost", "1", None),
        ("models.default.provider", "azure_openai", Some(Stage::Situations)),
        ("models.default.base_url", "http://127.0.0.1:9/v1", None),
        ("models.default.model", "other", Some(Stage::Situations)),
        ("models.default.api_key_env", "OTHER_KEY", None),
        ("models.default.allow_http_hosts", "[other]", None),
        ("models.default.concurrency", "1", None),
        ("models.default.limits", "{rpm: 60}", None),
        ("models.default.max_wait_s", "60", None),
        ("models.default.batch", "true", None),
        ("models.default.deployments", "[{base_url: 'http://127.0.0.1:9/v1'}]", None),
        ("models.default.temperature", "0.1", Some(Stage::Situations)),
        ("models.default.top_p", "0.9", Some(Stage::Situations)),
        ("models.default.max_tokens", "301", Some(Stage::Situations)),
        ("models.default.reasoning_effort", "low", Some(Stage::Situations)),
        ("models.default.extra_body", "{top_k: 40}", Some(Stage::Situations)),
        ("models.default.headers", "{X-Version: {value: b, shapes_reply: true}}", Some(Stage::Situations)),
        ("models.default.structured", "json_object", Some(Stage::Situations)),
        ("models.default.prompt_cache", "{key: true}", None),
        ("models.default.price", "{per_hour: 3}", None),
        ("models.default.timeouts", "{connect_s: 1}", None),
        ("models.default.max_attempts", "2", None),
        ("models.speaker.temperature", "0.1", Some(Stage::Conversations)),
        ("models.speaker.concurrency", "1", None),
        ("models.speaker.headers", "{X-Team: {value: a}}", None),
        ("models.speaker.extra_body", "{user: me}", None),
        ("models.speaker.endpoint", "https://other.example", None),
        ("models.speaker.deployment", "other", None),
        ("models.speaker.api_version", "2024-06-01", None),
        ("models.speaker.auth", "entra", None),
        ("models.speaker.entra_scope", "https://other.example/.default", None),
    ];

    fn changed(key: &str, value: &str) -> Config {
        let mut sets = vec![format!("{key}={value}")];
        if key == "models.default.provider" {
            sets.push("models.default.base_url=null".to_owned());
        }
        config(&sets)
    }

    #[test]
    fn each_setting_is_named_with_its_stage_or_changes_nothing() {
        let before = config(&[]);
        for (key, value, stage) in KEYS {
            let after = changed(key, value);
            assert_ne!(before, after, "{key}: the other value is the same");
            let named: Vec<String> = diff(&semantic(&before), &semantic(&after)).into_iter().map(|d| d.key).collect();
            let expected: Vec<String> = stage.iter().map(|_| (*key).to_owned()).collect();
            assert_eq!(named, expected);
            for other in Stage::ALL {
                let is_same = semantic_of(&before, other) == semantic_of(&after, other);
                assert_eq!(is_same, Some(other) != *stage, "{key} in {other}");
            }
        }
    }

    #[test]
    fn no_key_is_left_out_of_the_table() {
        let listed = |key: &str| KEYS.iter().any(|(known, ..)| key == *known || key.starts_with(&format!("{known}.")));
        let models = |key: &str| key.replace("models.default.", "models.speaker.");
        let left: Vec<String> = testing::keys::<Config>()
            .into_iter()
            .filter(|key| !key.starts_with("models.s") && !key.starts_with("models.judge"))
            .filter(|key| {
                !listed(key) && !listed(&models(key)) && !["version", "situations.source"].contains(&key.as_str())
            })
            .collect();
        assert_eq!(left, Vec::<String>::new());
    }

    #[test]
    fn an_unused_model_shapes_nothing() {
        let sets = ["conversations.speaker_selection=rules".to_owned()];
        let keys = semantic(&config(&sets));
        assert!(!keys.keys().any(|key| key.starts_with("models.selector.")), "{keys:?}");
        let quick = parse(None, assets::builtin(QUICKSTART).unwrap(), &[]).unwrap().config;
        assert_eq!(semantic(&quick).keys().filter(|key| key.starts_with("models.")).count(), 7);
    }

    #[test]
    fn a_deployment_is_the_logical_name_where_there_is_none() {
        let name = |sets: &[&str]| {
            let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
            semantic(&config(&sets))["models.speaker.model"].clone()
        };
        assert_eq!(name(&["models.speaker.model=null", "models.speaker.deployment=d"]), json!("d"));
        assert_eq!(name(&["models.speaker.model=m", "models.speaker.deployment=d"]), json!("m"));
    }

    #[test]
    fn a_fingerprint_depends_on_each_of_its_parts() {
        let settings = semantic_of(&config(&[]), Stage::Situations);
        let inputs = BTreeMap::from([("prompt".to_owned(), "abc".to_owned())]);
        let base = stage_fingerprint(Stage::Situations, &settings, &inputs, Some("up"));
        assert_eq!(base.len(), 64);
        let other = BTreeMap::from([("prompt".to_owned(), "abd".to_owned())]);
        let changed = [
            stage_fingerprint(Stage::Conversations, &settings, &inputs, Some("up")),
            stage_fingerprint(Stage::Situations, &BTreeMap::new(), &inputs, Some("up")),
            stage_fingerprint(Stage::Situations, &settings, &other, Some("up")),
            stage_fingerprint(Stage::Situations, &settings, &inputs, None),
        ];
        assert!(changed.iter().all(|other| *other != base));
    }

    #[test]
    fn a_refusal_names_each_field_and_the_ways_on() {
        let new = config(&["conversations.turns.max=12".to_owned(), "seed=18".to_owned()]);
        let drift = Drift::refuse(Path::new("runs/demo"), &semantic(&config(&[])), &semantic(&new)).unwrap_err();
        insta::assert_snapshot!(drift, @r##"
        runs/demo was made with other settings:
          conversations.turns.max: 10 → 12
          seed: 17 → 18
        three ways on:
          restore what differs and run again
          start afresh beside it: --run-dir NEW
          keep what is still valid of it: --fork runs/demo --run-dir NEW
        "##);
        assert!(Drift::refuse(Path::new("runs/demo"), &semantic(&new), &semantic(&new)).is_ok());
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "most of them are the configuration")]
    fn the_public_configuration_names_no_place() {
        let yaml = public_yaml(&config(&[])).unwrap();
        for private in ["127.0.0.1", "example", "KEY", "runs/", ".jsonl", ".yaml", ".md", "price", "concurrency"] {
            assert!(!yaml.contains(private), "{private} in:\n{yaml}");
        }
        insta::assert_snapshot!(yaml, @r#"
        version: 1
        card:
          date: "2026-01-01"
          license: cc-by-4.0
          name: demo
        compile:
          splits:
            test: 0.1
            train: 0.9
        conversations:
          allow_repeat_speaker: false
          balance: even
          context:
            last_turns: 8
            summary: false
          ending: agreed
          gates:
            agreement_run: 3
            without: []
          layout: agent_first
          max_repairs: 2
          per_situation: 1
          speaker_selection: auto
          turns:
            max: 10
            min: 6
          words_per_turn:
            back_channels: 0.08
            median: 12.0
            p90: 30.0
        dedup:
          conversations: 0.8
          enabled: true
          situations: 0.7
        export:
        - format: messages
          system: first_user
          loss: train
        - convogen
        judge:
          enabled: false
          sample: 1.0
        language: en
        models:
          default:
            max_tokens: 300
            model: demo
            provider: openai
            structured: auto
            temperature: 0.8
            top_p: null
          speaker:
            max_tokens: 300
            model: demo
            provider: azure_openai
            structured: auto
            temperature: 0.8
            top_p: null
        personas:
          length:
            max: 2000
            min: 10
          sample: 50
        safety:
          action:
            credentials: redact
            credit_card: redact
            email: redact
            harassment: flag
            hate: flag
            iban: redact
            ip_address: redact
            phone: redact
            self_harm: flag
            sexual: flag
            ssn: redact
            violence: flag
          on_failure: flag
          screen: true
          service: null
          thresholds:
            harassment: 0.5
            hate: 0.5
            self_harm: 0.5
            sexual: 0.5
            violence: 0.5
        seed: 17
        situations:
          casting:
            mode: anchor
          count: 20
          hub:
            cap: 2000
            novelty: 0.6
            round_calls: 16
            seed_ratio: 0.5
          max_tokens: 1500
          mode: predefined
          personas:
            max: 5
            min: 3
        "#);
    }

    #[test]
    fn the_resolved_configuration_reads_back_to_itself() {
        let before = config(&[]);
        let yaml = resolved_yaml(&before).unwrap();
        assert_eq!(parse(None, &yaml, &[]).unwrap().config, before, "{yaml}");
    }
}
