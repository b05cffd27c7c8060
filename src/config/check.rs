//! What the values of a configuration mean: every rule that its form cannot express, all of them at once.

mod extra;
mod models;

use std::collections::BTreeSet;

use url::Url;

use super::document::Document;
use super::environment::WITHOUT_PROXY;
use super::error::ConfigProblem;
use super::export::{self, ExportEntry};
use super::loaded::Loaded;
use super::prompts::MOST_PER_CALL;
use super::safety::Service;
use super::{BUILT_IN_GRID, Card, Config, Dedup, Provider, SituationMode};

/// Groups larger than this lose their speakers: nobody gets a second turn within a conversation's length.
const LARGEST_GROUP: usize = 12;

/// Shares of splits must add up to 1 within this.
const SPLIT_TOLERANCE: f64 = 1e-6;

/// Everything that is wrong with the meaning of the values.
pub(super) fn meaning(loaded: &Loaded) -> Vec<ConfigProblem> {
    let mut findings = Findings::new(loaded.document());
    findings.top_level(&loaded.config);
    findings.shard(&loaded.config);
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
            let to = if loaded.is_translated() { "working directory" } else { "configuration file" };
            format!("there is no file {} (paths are relative to the {to})", path.display())
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
        let enough = config.min_accepted;
        self.require(enough > 0.0 && enough <= 1.0, "min_accepted", || {
            format!("{enough} is no share; above 0 and at most 1, such as 0.95")
        });
        self.require(!config.run_dir.as_os_str().is_empty(), "run_dir", || "empty; name a folder".to_owned());
        self.require(!config.run_dir.starts_with("~"), "run_dir", || {
            "`~` stands for no folder here: there is no HOME; write the whole path".to_owned()
        });
    }

    /// Every part must have something of all that is divided.
    fn shard(&mut self, config: &Config) {
        let Some(part) = config.shard else { return };
        let (fault, count) = (part.fault(), part.count);
        self.require(fault.is_none(), "shard.index", || fault.unwrap_or_default());
        for (key, whole) in config.divided() {
            self.require(whole >= count, &key, || {
                format!("{whole} cannot be divided among {count} parts: raise it, or make fewer parts")
            });
        }
        for (name, model) in config.models.named() {
            for limits in model.places().iter().map(|place| place.limits) {
                let (reply, share) = (u64::from(model.max_tokens), limits.tpm.map(|tpm| tpm / count.max(1)));
                self.require(share.is_none_or(|share| share > reply), &format!("models.{name}.limits.tpm"), || {
                    format!("no call fits into a part's share: a reply may have {reply} tokens (max_tokens); make fewer parts")
                });
            }
        }
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
        self.within(situations.per_call.unwrap_or(1) as f64, 1.0, MOST_PER_CALL as f64, "situations.per_call");
        self.at_least(situations.hub.round_calls.unwrap_or(1) as u64, 1, "situations.hub.round_calls");
        self.within(situations.hub.seed_ratio.unwrap_or(0.0), 0.0, 1.0, "situations.hub.seed_ratio");
        self.within(situations.hub.novelty, 0.0, 1.0, "situations.hub.novelty");
        self.at_least(situations.hub.cap.unwrap_or(1) as u64, 1, "situations.hub.cap");
        self.at_least(u64::from(situations.max_tokens.unwrap_or(100)), 100, "situations.max_tokens");
    }

    fn conversations(&mut self, config: &Config) {
        let conversations = &config.conversations;
        self.at_least(conversations.per_situation, 1, "conversations.per_situation");
        self.at_least(conversations.count.unwrap_or(1), 1, "conversations.count");
        self.require(conversations.count.is_none() || conversations.per_situation == 1, "conversations.count", || {
            "says how many conversations there are in all, and conversations.per_situation how many on each situation; leave one \
             of them out"
                .to_owned()
        });
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

    /// Formats that stand once each, with options that mean something.
    pub(super) fn exports(&mut self, entries: &[ExportEntry]) {
        let mut seen = BTreeSet::new();
        for (at, options) in export::every(entries).into_iter().enumerate() {
            let key = format!("export[{at}]");
            self.require(seen.insert(options.format), &key, || format!("{} is named twice", options.format));
            if let Some((option, problem)) = options.problem() {
                self.require(false, &format!("{key}.{option}"), || problem);
            }
        }
    }

    fn dataset(&mut self, config: &Config) {
        self.thresholds(&config.dedup);
        self.exports(&config.export);
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
