//! What the settings of models mean: addresses, limits, deployments, prices.

use super::{Findings, extra, is_plain_url, is_variable_name};
use crate::config::address;
use crate::config::safety::Service;
use crate::config::{AzureAuth, Config, Model, Price, PromptCache, Provider, QuotaLimits};

/// A million tokens of the cheapest model cost several times this, one token of the dearest a fraction of it.
const CHEAPEST: f64 = 0.000_5;
/// A thousand times what a million tokens of the dearest model cost.
const DEAREST: f64 = 1e6;

impl Findings<'_> {
    pub(super) fn models(&mut self, config: &Config) {
        for (role, model) in config.models.named() {
            let key = format!("models.{role}");
            let named = self.document.value.pointer(&format!("/models/{role}/provider")).is_some();
            self.require(named || role == "default", &format!("{key}.provider"), || {
                "missing: neither it nor models.default names one".to_owned()
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
                self.require(is_plain_url(&meant), &at(field), || address::complaint(url));
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
    pub(super) fn spending(&mut self, config: &Config) {
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
fn provider_fields(model: &Model) -> [(&'static str, Provider, bool); 6] {
    let plain = Model::default();
    [
        ("base_url", Provider::Openai, model.base_url.is_some()),
        ("endpoint", Provider::AzureOpenai, model.endpoint.is_some()),
        ("deployment", Provider::AzureOpenai, model.deployment.is_some()),
        ("api_version", Provider::AzureOpenai, model.api_version.is_some()),
        ("auth", Provider::AzureOpenai, model.auth != AzureAuth::Auto),
        ("entra_scope", Provider::AzureOpenai, model.entra_scope != plain.entra_scope),
    ]
}
