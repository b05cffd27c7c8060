//! What the tests of the configuration share.

use schemars::JsonSchema;
use serde_json::Value;

/// A configuration in which every optional part is present.
pub(super) const EVERYTHING: &str = "
version: 1
seed: 17
language: en
run_dir: runs/demo
proxy: null
review: {labels: {tone: [dry, warm, odd]}}
personas: {source: p.jsonl, skip: 0, sample: 50, length: {min: 10, max: 2000}}
situations:
  mode: predefined
  prompt_config: prompts.yaml
  count: 20
  personas: {min: 3, max: 5}
  casting: {mode: anchor, rewind: true}
  per_call: null
  coverage: coverage.yaml
  seeds: seeds.jsonl
  hub: {round_calls: 16, seed_ratio: 0.5, novelty: 0.6, cap: 2000}
  max_tokens: 1500
conversations:
  per_situation: 1
  count: null
  top_up: false
  turns: {min: 6, max: 10}
  ending: agreed
  speaker_selection: auto
  allow_repeat_speaker: false
  balance: even
  layout: agent_first
  context: {last_turns: 8, summary: false}
  words_per_turn: {median: 12, p90: 30}
  prompts: {speaker: s.md, selector: t.md, fused: f.md, context: c.md}
  max_repairs: 2
min_accepted: 0.95
safety:
  screen: true
  words: [words/en.txt]
  service: null
  prompt: null
  on_failure: flag
judge: {enabled: false, sample: 1.0, prompt: null}
dedup: {enabled: true, situations: 0.7, conversations: 0.8}
compile: {splits: {train: 0.9, test: 0.1}, personas: used}
export: [{format: messages, system: first_user, loss: train}, convogen]
card: {date: 2026-01-01, license: cc-by-4.0, name: demo}
budget: {max_calls: 10, max_tokens: 1000, max_cost: 5.5}
models:
  default:
    provider: openai
    base_url: http://127.0.0.1:8000/v1
    model: demo
    temperature: 0.8
    price: {currency: USD, prompt: 2.5, cached_prompt: 1.25, completion: 10}
  speaker:
    provider: azure_openai
    endpoint: https://name.openai.azure.example
    deployment: d
    model: demo
    api_version: 2024-10-21
    price: {per_hour: 36}
";

/// Every dotted key of `T` that holds a value of its own, from its schema.
pub(super) fn keys<T: JsonSchema>() -> Vec<String> {
    let root = schemars::schema_for!(T).to_value();
    let mut keys = Vec::new();
    walk(&root, &root, "", &mut keys);
    keys
}

/// The schema of a dotted key of `T`, references and options resolved.
pub(super) fn schema_of<T: JsonSchema>(key: &str) -> Value {
    let root = schemars::schema_for!(T).to_value();
    let mut schema = &root;
    for part in key.split('.') {
        schema = resolve(&root, &schema["properties"][part]);
    }
    schema.clone()
}

fn walk(root: &Value, schema: &Value, key: &str, keys: &mut Vec<String>) {
    let schema = resolve(root, schema);
    match schema["properties"].as_object() {
        Some(properties) => {
            for (name, inner) in properties {
                let inner_key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                walk(root, inner, &inner_key, keys);
            }
        }
        None => keys.push(key.to_owned()),
    }
}

fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = schema["anyOf"].get(0).unwrap_or(schema);
    match schema["$ref"].as_str() {
        Some(name) => root.pointer(name.trim_start_matches('#')).unwrap(),
        None => schema,
    }
}
