//! What a model costs, and the list of prices that ships.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::document::{Document, read_text};
use super::error::ConfigProblem;
use super::models::Model;
use super::{Config, assets};

/// What `price.list` is called where it is the list that ships.
pub(crate) const BUILT_IN_LIST: &str = "built-in";
/// Where the list that ships is among the files that ship.
pub(crate) const PRICES: &str = "configs/prices.yaml";
/// What a token costs that is written to a cache, in prompt tokens, where no price says so: what `OpenAI` (from GPT-5.6 on) and
/// Anthropic (for five minutes) take.
const CACHE_WRITE: f64 = 1.25;

/// What a model costs: per million tokens by kind, or per hour.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// A list of prices to look the model up in, `built-in` for the one that ships (`convogen config prices` prints it). What is
    /// set here stands before what the list says.
    #[serde(default)]
    pub list: Option<PathBuf>,
    /// ISO 4217 code; the same for every model of a run.
    #[serde(default = "default_currency")]
    pub currency: String,
    /// Per million prompt tokens.
    #[serde(default)]
    pub prompt: Option<f64>,
    /// Per million cached prompt tokens; left out: as `prompt`.
    #[serde(default)]
    pub cached_prompt: Option<f64>,
    /// Per million prompt tokens that are written to a cache; left out: 1.25 times `prompt`.
    #[serde(default)]
    pub cache_write: Option<f64>,
    /// Per million completion tokens.
    #[serde(default)]
    pub completion: Option<f64>,
    /// Per million completion tokens of reasoning; left out: as `completion`.
    #[serde(default)]
    pub reasoning: Option<f64>,
    /// Per hour in which calls are in flight, for endpoints that are rented.
    #[serde(default)]
    pub per_hour: Option<f64>,
    /// For a model with `batch: true`: the share of the other prices that is billed, 0 to 1; left out: a half.
    #[serde(default)]
    pub batch: Option<f64>,
}

/// Prices by model, as of a day.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PriceList {
    /// The day on which the newest of its prices was looked up, `YYYY-MM-DD`.
    pub as_of: String,
    /// Of all of its prices.
    pub currency: String,
    /// By the model's name; a dated name such as `gpt-4.1-2025-04-14` is looked up without its date, too.
    pub models: BTreeMap<String, ListedPrice>,
}

/// A price of a list, per million tokens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListedPrice {
    /// The day on which it was looked up, `YYYY-MM-DD`.
    pub checked: String,
    prompt: f64,
    cached_prompt: Option<f64>,
    cache_write: Option<f64>,
    completion: f64,
    reasoning: Option<f64>,
}

impl Price {
    /// The price of a million prompt tokens that a cache is written with.
    pub(crate) fn written(&self) -> f64 {
        self.cache_write.unwrap_or(self.prompt.unwrap_or(0.0) * CACHE_WRITE)
    }

    /// The dearest that a million prompt tokens can become.
    pub(crate) fn dearest_prompt(&self) -> f64 {
        let prompt = self.prompt.unwrap_or(0.0);
        prompt.max(self.cached_prompt.unwrap_or(prompt)).max(self.written())
    }

    /// The dearest that a million completion tokens can become.
    pub(crate) fn dearest_completion(&self) -> f64 {
        let completion = self.completion.unwrap_or(0.0);
        completion.max(self.reasoning.unwrap_or(completion))
    }

    /// Whether tokens have a price.
    pub(crate) fn is_by_token(&self) -> bool {
        self.prompt.is_some() || self.completion.is_some()
    }

    /// Takes over from a list what is not set here.
    pub(crate) fn complete(&mut self, listed: &ListedPrice) {
        let ListedPrice { checked: _, prompt, cached_prompt, cache_write, completion, reasoning } = *listed;
        let is_set = self.prompt.is_some();
        self.prompt = self.prompt.or(Some(prompt));
        if !is_set {
            // A share of the listed price, where that one does not hold.
            self.cached_prompt = self.cached_prompt.or(cached_prompt);
            self.cache_write = self.cache_write.or(cache_write);
        }
        if self.completion.is_none() {
            self.completion = Some(completion);
            self.reasoning = self.reasoning.or(reasoning);
        }
    }
}

impl PriceList {
    /// The list that ships.
    pub(crate) fn built_in() -> Self {
        Self::parse(assets::shipped(PRICES)).unwrap_or_else(|error| unreachable!("the list that ships is one: {error}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        serde_saphyr::from_str(text).map_err(|error| error.to_string())
    }

    /// The price of `model`, whose name may have a publisher in front and a date behind it.
    pub(crate) fn find(&self, model: &str) -> Option<&ListedPrice> {
        let name = model.rsplit('/').next().unwrap_or(model);
        let plain = name.get(..name.len().saturating_sub("-2025-04-14".len())).filter(|plain| is_dated(name, plain));
        [Some(model), Some(name), plain].into_iter().flatten().find_map(|name| self.models.get(name))
    }
}

/// Whether `name` is `plain` and a date such as `-2025-04-14`.
fn is_dated(name: &str, plain: &str) -> bool {
    let date = name.get(plain.len()..).unwrap_or_default();
    date.bytes()
        .zip(*b"-0000-00-00")
        .all(|(byte, form)| if form == b'0' { byte.is_ascii_digit() } else { byte == form })
}

/// Looks up the prices of models whose configuration names a list, and says what is wrong with that. `base`: what the path of a
/// list is relative to.
pub(super) fn look_up(config: &mut Config, base: &Path, document: &Document) -> Vec<ConfigProblem> {
    let mut problems = Vec::new();
    for (role, model) in config.models.named_mut() {
        if let Err(message) = listed(model, base) {
            let key = format!("models.{role}.price.list");
            problems.push(ConfigProblem { place: document.place(&key).cloned(), key, message });
        }
    }
    problems
}

fn listed(model: &mut Model, base: &Path) -> Result<(), String> {
    let name = model.model.clone().or_else(|| model.deployment.clone());
    let Some(price) = &mut model.price else { return Ok(()) };
    let Some(list) = &price.list else { return Ok(()) };
    if price.per_hour.is_some() || (price.prompt.is_some() && price.completion.is_some()) {
        return Ok(());
    }
    let prices = if list.as_os_str() == BUILT_IN_LIST {
        PriceList::built_in()
    } else {
        let text = read_text(&base.join(list)).map_err(|error| error.to_string())?;
        PriceList::parse(&text).map_err(|error| format!("{} is no list of prices: {error}", list.display()))?
    };
    let name = name.ok_or("the model has no name to be looked up by; set `model`")?;
    let Some(found) = prices.find(&name) else {
        let known: Vec<&str> = prices.models.keys().map(String::as_str).collect();
        return Err(format!("the list of {} has no price for {name} (only for {})", prices.as_of, known.join(", ")));
    };
    price.complete(found);
    price.currency.clone_from(&prices.currency);
    Ok(())
}

fn default_currency() -> String {
    "USD".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::{load, parse};
    use crate::store::fs;

    fn price_of(price: &str) -> Result<Price, String> {
        let text = format!(
            "version: 1\nrun_dir: r\nmodels: {{default: {{provider: openai, model: openai/gpt-4.1-mini-2025-04-14, price: {price}}}}}\n"
        );
        let loaded = parse(Some(Path::new("c.yaml")), &text, &[]).map_err(|error| error.to_string())?;
        Ok(loaded.config.models.default.price.unwrap())
    }

    #[test]
    fn the_list_that_ships_is_whole_and_dated() {
        let list = PriceList::built_in();
        for (name, ListedPrice { checked, prompt, cached_prompt, cache_write, completion, .. }) in &list.models {
            let sound = *prompt > 0.0 && completion >= prompt && cached_prompt.is_some_and(|cached| cached < *prompt);
            assert!(sound && cache_write.is_some_and(|written| written >= *prompt), "{name}");
            assert!(*checked <= list.as_of && checked.len() == 10, "{name}: {checked}");
        }
    }

    #[test]
    fn a_listed_price_is_taken_where_it_is_asked_for_and_one_of_its_own_stands_before_it() {
        let listed = price_of("{list: built-in}").unwrap();
        assert_eq!((listed.prompt, listed.cached_prompt, listed.completion), (Some(0.4), Some(0.1), Some(1.6)));
        let own = price_of("{list: built-in, prompt: 1}").unwrap();
        assert_eq!(
            (own.prompt, own.cached_prompt, own.cache_write, own.completion),
            (Some(1.0), None, None, Some(1.6))
        );
        let known: Price = price_of("{prompt: 2.5, cached_prompt: 1.25, completion: 10}").unwrap();
        assert_eq!((known.cache_write, known.written(), known.dearest_prompt()), (None, 3.125, 3.125));
        assert_eq!((known.dearest_completion(), known.currency.as_str()), (10.0, "USD"));
    }

    #[test]
    fn a_list_of_ones_own_lies_beside_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.yaml");
        let config =
            "version: 1\nrun_dir: r\nmodels: {default: {provider: openai, model: ours, price: {list: p.yaml}}}\n";
        fs::write_atomic(&file, config.as_bytes()).unwrap();
        assert!(load(Some(&file), &[]).unwrap_err().to_string().contains("models.default.price.list"));
        let list =
            "as_of: 2026-01-31\ncurrency: EUR\nmodels: {ours: {checked: 2026-01-31, prompt: 1, completion: 3}}\n";
        fs::write_atomic(&folder.path().join("p.yaml"), list.as_bytes()).unwrap();
        let price = load(Some(&file), &[]).unwrap().config.models.default.price.unwrap();
        assert_eq!((price.prompt, price.completion, price.currency.as_str()), (Some(1.0), Some(3.0), "EUR"));
    }

    #[test]
    fn a_price_that_is_none_is_named() {
        for (price, word) in [
            ("2.5", "models.default.price"),
            ("{prompt: 0.0000025, completion: 10}", "prices are per million tokens"),
            ("{prompt: 1, completion: 1e300}", "models.default.price.completion"),
            ("{prompt: 1, completion: .nan}", "not a finite number"),
            ("{prompt: 1, completion: 2, reasoning: -1}", "models.default.price.reasoning"),
            ("{list: built-in, per_hour: 3}", "per token or per hour"),
            ("{list: gone.yaml}", "models.default.price.list"),
        ] {
            let refusal = price_of(price).unwrap_err();
            assert!(refusal.contains(word), "{price}: {refusal}");
        }
        let text = "version: 1\nrun_dir: r\nmodels: {default: {provider: openai, model: none-such, price: {list: built-in}}}\n";
        let refusal = parse(Some(Path::new("c.yaml")), text, &[]).unwrap_err().to_string();
        assert!(refusal.contains("has no price for none-such (only for"), "{refusal}");
    }
}
