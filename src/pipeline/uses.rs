//! The models and prompts of a run, as its dataset card names them.

use super::inputs::Inputs;
use super::models;
use crate::config::Config;
use crate::stages::compile::{ModelUse, PromptUse};

/// The models by role.
pub(super) fn models(config: &Config) -> Vec<ModelUse> {
    let roles = config.roles().into_iter().map(|(role, _, model)| (role, models::profile(model)));
    roles
        .map(|(role, profile)| ModelUse { role: role.to_string(), model: profile.model, tier: profile.tier.to_owned() })
        .collect()
}

/// The prompts by role.
pub(super) fn prompts(inputs: &Inputs) -> Vec<PromptUse> {
    let texts = inputs.hashes().into_iter();
    texts
        .filter_map(|(name, hash)| {
            let role = name.strip_suffix(".md")?.to_owned();
            Some(PromptUse { role, name, hash })
        })
        .collect()
}
