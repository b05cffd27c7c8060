//! What a configuration adds to every request beyond what convogen knows of: fields of the body and headers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::Model;

/// What of it shapes replies, and so is part of their keys. A request without any has the key it always had.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extra {
    /// How much a reasoning model thinks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    /// Further fields of the body.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub body: BTreeMap<String, Value>,
    /// Headers that are marked as shaping the reply.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
}

impl Extra {
    /// What `model` adds to its requests, if that shapes anything.
    pub(crate) fn of(model: &Model) -> Option<Box<Self>> {
        let extra = Self {
            reasoning_effort: model.reasoning_effort.clone(),
            body: model.shaping_body(),
            headers: model.shaping_headers(),
        };
        (extra != Self::default()).then(|| Box::new(extra))
    }
}
