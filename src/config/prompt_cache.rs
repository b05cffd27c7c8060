//! What an endpoint is told about its prefix cache.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What requests say about the endpoint's prefix cache. Nothing unless it is asked for here: endpoints refuse what they do not
/// know, and of OpenAI's models the newer refuse `retention`, the older `mode`, `ttl` and breakpoints. A field that is refused
/// is named, and left out from then on. Nothing here is part of a reply's key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PromptCache {
    /// Whether requests carry a `prompt_cache_key`, the same for all that begin alike: they are sent to the same machine.
    pub key: bool,
    /// `prompt_cache_retention`.
    pub retention: Option<CacheRetention>,
    /// `mode` in `prompt_cache_options`.
    pub mode: Option<CacheMode>,
    /// `ttl` in `prompt_cache_options`, such as `30m`.
    pub ttl: Option<String>,
    /// How the end of what stays the same is marked in messages. `null`: not at all.
    pub breakpoints: Option<Breakpoints>,
}

/// How long a prefix is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum CacheRetention {
    /// Some minutes.
    #[serde(rename = "in_memory")]
    InMemory,
    /// A day at most.
    #[serde(rename = "24h")]
    Day,
}

/// Who says what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CacheMode {
    /// The endpoint as well.
    Implicit,
    /// Breakpoints alone.
    Explicit,
}

/// How a breakpoint is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Breakpoints {
    /// `cache_control: {type: ephemeral}`, as Anthropic's models take it behind a proxy.
    CacheControl,
    /// `prompt_cache_breakpoint: {mode: explicit}`, as OpenAI's newer models take it.
    PromptCacheBreakpoint,
}
