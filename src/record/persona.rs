use serde::{Deserialize, Serialize};

/// One person the pipeline can cast, as the personas stage seals it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Persona {
    /// `p` and the zero-padded position of the row in its source, so that a larger sample keeps the ids of a smaller one.
    pub id: String,
    /// The description, trimmed, otherwise as it stood in the source.
    pub persona: String,
    /// What the source calls this person. `null`: a name is drawn when a group is formed.
    pub name: Option<String>,
    /// The domain that the source states (elite PersonaHub files do), lower-cased.
    pub domain: Option<String>,
    /// The split this person belongs to; nobody appears in two.
    pub split: String,
    /// File name and line, such as `personas.jsonl:17`.
    pub source: String,
    /// `content_hash` of the case-folded description.
    pub hash: String,
}
