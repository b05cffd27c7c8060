//! What the values of a configuration mean: every rule that its form cannot express, all of them at once.

mod extra;

use url::Url;

use super::address;
use super::document::Document;
use super::environment::WITHOUT_PROXY;
use super::error::ConfigProblem;
use super::loaded::Loaded;
use super::safety::Service;
use super::{
    AzureAuth, BUILT_IN_GRID, Card, Config, Dedup, Model, Price, PromptCache, Provider, QuotaLimits, SituationMode,
};

/// Groups larger than this lose their speakers: nobody gets a second turn within a conversation's length.
const LARGEST_GROUP: usize = 12;

/// A million tokens of the cheapest model cost several times this, one token of the dearest a fraction of it.
const CHEAPEST: f64 = 0.000_5;
/// A thousand times what a million tokens of the dearest model cost.
const DEAREST: f64 = 1e6;

/// Shares of splits must add up to 1 within this.
const SPLIT_TOLERANCE: f64 = 1e-6;

/// Everything that is wrong with the meaning of the values.
pub(super) fn meaning(loaded: &Loaded) -> Vec<ConfigProblem> {
    let mut findings = Findings::new(loaded.document());
    findings.top_level(&loaded.config);
    findings.personas(&loaded.config);
    findings.situations(&loaded.config);
    findings.conversations(&loaded.config);
    findings.safety(&loaded.config);
    findings.dataset(&loaded.config);
    findings.models(&loaded.config);
    findings.spending(&loaded.config);
    findings.problems
}

/// Every file that the configuration names and that is not there.
pub(super) fn files(loaded: &Loaded) -> Vec<ConfigProblem> {
    let Config { situations, conversations, safety, judge, .. } = &loaded.config;
    let prompts = &conversations.prompts;
    let coverage = situations.coverage.clone().filter(|written| written.as_os_str() != BUILT_IN_GRID);
    let named = [
        ("situations.prompt_config", &situations.prompt_config),
        ("situations.coverage", &coverage),
        ("situations.seeds", &situations.seeds),
        ("conversations.prompts.speaker", &prompts.speaker),
        ("conversations.prompts.selector", &prompts.selector),
        ("conversations.prompts.fused", &prompts.fused),
        ("conversations.prompts.context", &prompts.context),
        ("safety.prompt", &safety.prompt),
        ("judge.prompt", &judge.prompt),
    ];
    let words = safety.words.iter().flatten().map(|path| ("safety.words", path));
    let named = named.into_iter().filter_map(|(key, path)| Some((key, path.as_ref()?))).chain(words);
    let mut findings = Findings::new(loaded.document());
    for (key, written) in named {
        let path = loaded.path(written);
        findings.require(loaded.shipped(written).is_some() || path.is_file(), key, || {
            let beside = "paths are relative to the configuration file";
            format!("there is no file {} ({beside})", path.display())
        });
    }
    findings.problems
}

/// What is wrong with a document, as far as it was looked at.
pub(super) struct Findings<'a> {
    document: &'a Document,
    pub(super) problems: Vec<ConfigProblem>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(document: &'a Document) -> Self {
        Self { document, problems: Vec::new() }
    }

    pub(super) fn require(&mut self, holds: bool, key: &str, message: impl FnOnce() -> String) {
        if !holds {
            let place = self.document.place(key).cloned();
            self.problems.push(ConfigProblem { place, key: key.to_owned(), message: message() });
        }
    }

    pub(super) fn within(&mut self, value: f64, min: f64, max: f64, key: &str) {
        self.require((min..=max).contains(&value), key, || format!("{value} is not within {min} to {max}"));
    }

    fn at_least(&mut self, value: u64, min: u64, key: &str) {
        self.require(value >= min, key, || format!("{value} is too small; at least {min}"));
    }

    fn ordered(&mut self, min: usize, max: usize, group: &str) {
        self.require(min <= max, &format!("{group}.min"), || format!("{min} is more than {group}.max, which is {max}"));
    }

    fn top_level(&mut self, config: &Config) {
        self.proxy(config.proxy.as_deref());
        self.require(is_language_tag(&config.language), "language", || {
            "neither a language tag such as en, de or pt-BR (BCP 47) nor the English name of a language".to_owned()
        });
        self.require(!config.run_dir.as_os_str().is_empty(), "run_dir", || "empty; name a folder".to_owned());
        self.require(!config.run_dir.starts_with("~"), "run_dir", || {
            "`~` stands for no folder here: there is no HOME; write the whole path".to_owned()
        });
    }

    fn personas(&mut self, config: &Config) {
        let personas = &config.personas;
        self.at_least(personas.sample.unwrap_or(1), 1, "personas.sample");
        self.ordered(personas.length.min, personas.length.max, "personas.length");
    }

    fn situations(&mut self, config: &Config) {
        let situations = &config.situations;
        let is_file = situations.mode == SituationMode::File;
        self.require(situations.source.is_some() || !is_file, "situations.source", || {
            "missing: mode `file` imports situations from it".to_owned()
        });
        self.require(situations.source.is_none() || is_file, "situations.source", || {
            "only mode `file` reads it; set situations.mode to file or leave it out".to_owned()
        });
        self.require(situations.seeds.is_none() || !is_file, "situations.seeds", || {
            "mode `file` imports situations and makes none after seeds; leave it out".to_owned()
        });
        self.at_least(situations.count.unwrap_or(1), 1, "situations.count");
        self.at_least(situations.personas.min as u64, 2, "situations.personas.min");
        self.ordered(situations.personas.min, situations.personas.max, "situations.personas");
        self.require(situations.personas.max <= LARGEST_GROUP, "situations.personas.max", || {
            format!("{} is too many; at most {LARGEST_GROUP}", situations.personas.max)
        });
        self.at_least(situations.hub.round_calls.unwrap_or(1) as u64, 1, "situations.hub.round_calls");
        self.within(situations.hub.seed_ratio, 0.0, 1.0, "situations.hub.seed_ratio");
        self.within(situations.hub.novelty, 0.0, 1.0, "situations.hub.novelty");
        self.at_least(situations.hub.cap as u64, 1, "situations.hub.cap");
        self.at_least(u64::from(situations.max_tokens.unwrap_or(100)), 100, "situations.max_tokens");
    }

    fn conversations(&mut self, config: &Config) {
        let conversations = &config.conversations;
        self.at_least(conversations.per_situation, 1, "conversations.per_situation");
        self.at_least(u64::from(conversations.turns.min), 1, "conversations.turns.min");
        self.ordered(conversations.turns.min as usize, conversations.turns.max as usize, "conversations.turns");
        self.at_least(u64::from(conversations.gates.agreement_run), 2, "conversations.gates.agreement_run");
        let context = conversations.context;
        self.at_least(u64::from(context.last_turns.unwrap_or(1)), 1, "conversations.context.last_turns");
        self.require(context.last_turns.is_some() || !context.summary, "conversations.context.summary", || {
            "nothing is left out that could be summed up; set conversations.context.last_turns".to_owned()
        });
        if let Some(words) = conversations.words_per_turn {
            self.within(words.median, 1.0, 1000.0, "conversations.words_per_turn.median");
            self.require(words.median < words.p90, "conversations.words_per_turn.p90", || {
                format!("{} is not above the median, which is {}", words.p90, words.median)
            });
            self.within(words.back_channels, 0.0, 0.5, "conversations.words_per_turn.back_channels");
        }
    }

    fn safety(&mut self, config: &Config) {
        let thresholds = &config.safety.thresholds;
        for (category, threshold) in [
            ("hate", thresholds.hate),
            ("harassment", thresholds.harassment),
            ("sexual", thresholds.sexual),
            ("self_harm", thresholds.self_harm),
            ("violence", thresholds.violence),
        ] {
            self.require(threshold > 0.0 && threshold <= 1.0, &format!("safety.thresholds.{category}"), || {
                format!("{threshold} is no threshold; above 0 and at most 1")
            });
        }
        for path in config.safety.words.iter().flatten() {
            let language = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            self.require(is_language_tag(&language), "safety.words", || {
                format!("{} is not named for a language, as en.txt is", path.display())
            });
        }
        self.within(config.judge.sample, 0.0, 1.0, "judge.sample");
        self.service(config);
    }

    /// A moderation endpoint is no chat model, so it needs settings of its own.
    fn service(&mut self, config: &Config) {
        let Some(service @ (Service::AzureContentSafety | Service::OpenaiModeration)) = config.safety.service else {
            return;
        };
        let (provider, example) = match service {
            Service::AzureContentSafety => {
                (Provider::AzureOpenai, "endpoint: https://NAME.cognitiveservices.azure.com")
            }
            _ => (Provider::Openai, "model: omni-moderation-latest"),
        };
        let own = config.models.safety.as_ref();
        self.require(own.is_some_and(|model| model.provider == provider), "models.safety", || {
            format!("safety.service {} needs {{provider: {}, {example}}}", service.as_str(), provider.as_str())
        });
    }

    pub(super) fn thresholds(&mut self, dedup: &Dedup) {
        for (key, threshold) in [("dedup.situations", dedup.situations), ("dedup.conversations", dedup.conversations)] {
            self.require(threshold > 0.0 && threshold <= 1.0, key, || {
                format!("{threshold} is no similarity; above 0 and at most 1")
            });
        }
    }

    fn dataset(&mut self, config: &Config) {
        self.thresholds(&config.dedup);
        let splits = &config.compile.splits;
        for (name, share) in splits {
            let key = format!("compile.splits.{name}");
            self.require(is_split_name(name), &key, || {
                "a split's name is lower-case letters, digits and _, a letter first, at most 64 characters".to_owned()
            });
            self.require(*share > 0.0, &key, || format!("{share} is no share; above 0"));
        }
        let sum: f64 = splits.values().sum();
        self.require(!splits.is_empty(), "compile.splits", || "empty; name at least one, as {train: 1.0}".to_owned());
        self.require(splits.is_empty() || (sum - 1.0).abs() <= SPLIT_TOLERANCE, "compile.splits", || {
            format!("the shares add up to {sum}; they must add up to 1")
        });
        self.card(&config.card);
    }

    /// A password belongs into the variable, not into a file.
    pub(super) fn proxy(&mut self, proxy: Option<&str>) {
        let sound = proxy.is_none_or(|proxy| proxy == WITHOUT_PROXY || is_plain_url(proxy));
        self.require(sound, "proxy", || {
            "neither none nor an http:// or https:// URL without user and password (those go into HTTPS_PROXY)"
                .to_owned()
        });
    }

    pub(super) fn card(&mut self, card: &Card) {
        self.require(card.date.as_deref().is_none_or(is_date), "card.date", || "not a date as 2026-01-31".to_owned());
        for (key, text) in [("card.license", &card.license), ("card.name", &card.name)] {
            let is_line = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
            self.require(text.as_deref().is_none_or(is_line), key, || "must be one line of text".to_owned());
        }
    }

    fn models(&mut self, config: &Config) {
        for (role, model) in config.models.named() {
            let key = format!("models.{role}");
            let named = self.document.value.pointer(&format!("/models/{role}/provider")).is_some();
            self.require(named || role == "default", &format!("{key}.provider"), || {
                "missing: a role's own model takes nothing over from models.default".to_owned()
            });
            self.model(model, &key);
            self.batch(model, &key, config.safety.service.filter(|_| role == "safety"));
        }
        for (key, model) in config.used_models() {
            let runs_here = model.provider == Provider::Embedded;
            self.require(!runs_here || cfg!(feature = "embedded"), &format!("models.{key}.provider"), || {
                "this convogen was built without the `embedded` feature; use openai or azure_openai".to_owned()
            });
        }
    }

    fn model(&mut self, model: &Model, key: &str) {
        let at = |field: &str| format!("{key}.{field}");
        self.provider(model, key);
        if let Some(name) = &model.api_key_env {
            // The text itself is not repeated: it may well be a key.
            self.require(is_variable_name(name), &at("api_key_env"), || {
                "expected the name of an environment variable, such as OPENAI_API_KEY; a key must not stand in a file"
                    .to_owned()
            });
        }
        self.within(model.concurrency as f64, 1.0, 10_000.0, &at("concurrency"));
        self.within(model.temperature.unwrap_or(0.0), 0.0, 2.0, &at("temperature"));
        self.require(model.top_p.is_none_or(|mass| mass > 0.0 && mass <= 1.0), &at("top_p"), || {
            "above 0 and at most 1".to_owned()
        });
        self.at_least(u64::from(model.max_tokens), 16, &at("max_tokens"));
        self.at_least(u64::from(model.max_attempts), 1, &at("max_attempts"));
        extra::check(self, model, key);
        let timeouts = &model.timeouts;
        for (field, seconds) in [
            ("connect_s", timeouts.connect_s),
            ("first_byte_s", timeouts.first_byte_s),
            ("idle_s", timeouts.idle_s),
            ("total_s", timeouts.total_s),
        ] {
            self.within(seconds, 0.001, 86_400.0, &at(&format!("timeouts.{field}")));
        }
        self.prompt_cache(model, &at("prompt_cache"));
        if let Some(price) = &model.price {
            self.price(price, &at("price"));
        }
        self.within(model.max_wait_s, 0.0, 604_800.0, &at("max_wait_s"));
        self.limits(model.limits, model, &at("limits"));
        self.deployments(model, key);
    }

    fn limits(&mut self, limits: QuotaLimits, model: &Model, key: &str) {
        self.at_least(limits.rpm.unwrap_or(1), 1, &format!("{key}.rpm"));
        let reply = u64::from(model.max_tokens);
        self.require(limits.tpm.is_none_or(|tpm| tpm > reply), &format!("{key}.tpm"), || {
            format!("no call fits: a reply may have {reply} tokens (max_tokens), and its prompt comes on top")
        });
        let any = limits.rpm.or(limits.tpm).is_some();
        self.require(!any || model.provider != Provider::Embedded, key, || {
            "the embedded model has no limits; leave it out".to_owned()
        });
    }

    fn deployments(&mut self, model: &Model, key: &str) {
        let several = !model.deployments.is_empty();
        self.require(!several || model.provider != Provider::Embedded, &format!("{key}.deployments"), || {
            "the embedded model runs in this process; only openai and azure_openai can be deployed in several places"
                .to_owned()
        });
        self.require(!several || model.model.is_some(), &format!("{key}.model"), || {
            "missing: with several deployments, the name that replies are kept under".to_owned()
        });
        for (number, (place, whole)) in model.deployments.iter().zip(model.places()).enumerate() {
            let key = format!("{key}.deployments.{number}");
            self.provider(&whole, &key);
            self.within(whole.concurrency as f64, 1.0, 10_000.0, &format!("{key}.concurrency"));
            self.within(place.weight, 0.001, 1_000_000.0, &format!("{key}.weight"));
            self.limits(whole.limits, &whole, &format!("{key}.limits"));
        }
        let only_spills = several && model.deployments.iter().all(|place| place.spill);
        self.require(!only_spills, &format!("{key}.deployments"), || {
            "every one spills; one at least must take what the others turn away (spill: false)".to_owned()
        });
    }

    fn prompt_cache(&mut self, model: &Model, key: &str) {
        let cache = &model.prompt_cache;
        let is_embedded = model.provider == Provider::Embedded;
        self.require(!is_embedded || *cache == PromptCache::default(), key, || {
            "the embedded model keeps what it has read by itself and is told nothing; leave it out".to_owned()
        });
        let (old, new) = (cache.retention.is_some(), cache.mode.is_some() || cache.ttl.is_some());
        self.require(!(old && new), &format!("{key}.retention"), || {
            "models take either retention or mode and ttl, the newer ones mode and ttl; leave one of them out"
                .to_owned()
        });
        let is_duration = |text: &str| {
            text.len() <= 16 && text.ends_with(['s', 'm', 'h']) && text.starts_with(|c: char| c.is_ascii_digit())
        };
        self.require(cache.ttl.as_deref().is_none_or(is_duration), &format!("{key}.ttl"), || {
            "not a duration as 30m".to_owned()
        });
    }

    fn batch(&mut self, model: &Model, key: &str, service: Option<Service>) {
        let at = format!("{key}.batch");
        self.require(!model.batch || model.provider != Provider::Embedded, &at, || {
            "only openai and azure_openai take batch jobs".to_owned()
        });
        self.require(!model.batch || model.deployments.is_empty(), &at, || {
            "batch jobs go to one place; leave deployments out".to_owned()
        });
        let screens = service.is_some_and(|service| service != Service::Judge);
        self.require(!model.batch || !screens, &at, || {
            "safety.service asks a service that takes no batch jobs; only `judge` goes in them".to_owned()
        });
        let rented = model.price.as_ref().is_some_and(|price| price.per_hour.is_some());
        self.require(!model.batch || !rented, &at, || {
            "calls in batch jobs are not priced per hour; name prompt and completion in price".to_owned()
        });
    }

    fn provider(&mut self, model: &Model, key: &str) {
        let at = |field: &str| format!("{key}.{field}");
        if model.provider == Provider::Openai {
            self.require(model.model.is_some(), &at("model"), || "missing: provider openai needs it".to_owned());
        }
        for (field, owner, set) in provider_fields(model) {
            self.require(!set || model.provider == owner, &at(field), || {
                let (mine, theirs) = (model.provider.as_str(), owner.as_str());
                format!("belongs to provider {theirs}, but the provider is {mine}")
            });
        }
        for (field, url) in [("base_url", &model.base_url), ("endpoint", &model.endpoint)] {
            if let Some(url) = url {
                // What a portal shows is understood; see `address`.
                let meant = if field == "endpoint" { address::azure(url).endpoint } else { address::base(url) };
                self.require(is_plain_url(&meant), &at(field), || {
                    "not an http:// or https:// URL with a host and without user, password, query or fragment"
                        .to_owned()
                });
            }
        }
    }

    fn price(&mut self, price: &Price, key: &str) {
        let currency = &price.currency;
        let is_code = currency.len() == 3 && currency.bytes().all(|byte| byte.is_ascii_uppercase());
        self.require(is_code, &format!("{key}.currency"), || "not a code of three capitals, such as USD".to_owned());
        let by_token = [price.prompt, price.cached_prompt, price.cache_write, price.completion, price.reasoning];
        for (field, amount) in ["prompt", "cached_prompt", "cache_write", "completion", "reasoning", "per_hour"]
            .into_iter()
            .zip(by_token.into_iter().chain([price.per_hour]))
            .filter_map(|(field, amount)| Some((field, amount?)))
        {
            let field = format!("{key}.{field}");
            self.require(amount >= 0.0, &field, || "a price is not below 0".to_owned());
            self.require(amount.is_nan() || amount <= DEAREST, &field, || {
                format!("{amount} is no price; at most {DEAREST}")
            });
            self.require(amount <= 0.0 || amount >= CHEAPEST || amount.is_nan(), &field, || {
                format!("{amount} looks like the price of one token; prices are per million tokens")
            });
        }
        self.within(price.batch.unwrap_or(0.0), 0.0, 1.0, &format!("{key}.batch"));
        let by_list = price.list.is_some();
        let both = price.per_hour.is_some() && (by_list || by_token.iter().any(Option::is_some));
        self.require(!both, key, || "a price is per token or per hour, not both".to_owned());
        let complete = price.per_hour.is_some() || by_list || (price.prompt.is_some() && price.completion.is_some());
        self.require(complete, key, || "name prompt and completion (per million tokens), or per_hour".to_owned());
    }

    /// Costs are added up over all roles, so they need one currency; a cap on costs needs prices.
    fn spending(&mut self, config: &Config) {
        let models = config.used_models();
        let mut prices =
            models.iter().filter_map(|(key, model)| model.price.as_ref().map(|price| (key, &price.currency)));
        if let Some((first_key, first)) = prices.next() {
            for (key, currency) in prices {
                self.require(currency == first, &format!("models.{key}.price.currency"), || {
                    format!("{currency} here, but {first} in models.{first_key}.price; one currency for all")
                });
            }
        }
        if let Some(cap) = config.budget.max_cost {
            self.require(cap >= 0.0, "budget.max_cost", || "below 0".to_owned());
            for (key, _) in models.iter().filter(|(_, model)| model.price.is_none()) {
                self.require(false, "budget.max_cost", || {
                    format!("costs are not known without prices; set models.{key}.price")
                });
            }
        }
    }
}

/// Fields that only one kind of endpoint reads, and whether they are set.
fn provider_fields(model: &Model) -> [(&'static str, Provider, bool); 7] {
    let plain = Model::default();
    let own_key = model.api_key_env.is_some() && model.api_key_env != plain.api_key_env;
    [
        ("base_url", Provider::Openai, model.base_url.is_some()),
        ("api_key_env", Provider::Openai, own_key),
        ("endpoint", Provider::AzureOpenai, model.endpoint.is_some()),
        ("deployment", Provider::AzureOpenai, model.deployment.is_some()),
        ("api_version", Provider::AzureOpenai, model.api_version.is_some()),
        ("auth", Provider::AzureOpenai, model.auth != AzureAuth::Key),
        ("entra_scope", Provider::AzureOpenai, model.entra_scope != plain.entra_scope),
    ]
}

/// A tag that BCP 47 could allow: a language of letters, then subtags. Whether it is registered is not looked up.
fn is_language_tag(tag: &str) -> bool {
    let mut parts = tag.split('-');
    let language = parts.next().unwrap_or_default();
    let is_subtag = |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // Longer ones are reserved: what looks like one is the name of a language.
    (2..=3).contains(&language.len()) && language.bytes().all(|byte| byte.is_ascii_alphabetic()) && parts.all(is_subtag)
}

fn is_split_name(name: &str) -> bool {
    // A subset of what the dataset's readers take as part of a file name.
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

pub(super) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// `YYYY-MM-DD`, a day that exists.
fn is_date(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| {
        text.get(range).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))?.parse::<u32>().ok()
    };
    let (Some(year), Some(month), Some(day)) = (digits(0..4), digits(5..7), digits(8..10)) else { return false };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    text.len() == 10 && text.get(4..5) == Some("-") && text.get(7..8) == Some("-") && (1..=days).contains(&day)
}

pub(super) fn is_plain_url(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    })
}
