//! What is sent to a model and what is made of its answer, as plain functions: no call is made here.
//!
//! * [`template`]: a prompt is a Markdown file of named sections, each a template over a closed list of variables.
//! * [`braces`]: prompts of upstream ConvoGen, with single braces, as such templates; [`individuals`]: its situations.
//! * [`situations`]: the variables and sections of the prompts that ask for situations.
//! * [`shots`]: an example is a JSON file with one situation, or a situation accepted earlier.
//! * [`schema`]: the JSON schema of a reply, for endpoints that can be held to one.
//! * `reading`: what a model meant to say, out of all that a reply may hold.
//! * [`reply`]: from the text of a reply to [`draft`]s, or to a reason that is fit to be sent back to the model.
//!
//! Prompts, shots and replies come from outside. They are size-limited, never evaluated beyond the template language, and
//! nothing in them can make this code panic.

pub(crate) mod braces;
pub(crate) mod draft;
pub(crate) mod individuals;
mod kinship;
pub(crate) mod leak;
pub(crate) mod reading;
pub(crate) mod reply;
pub(crate) mod schema;
pub(crate) mod shots;
pub(crate) mod situations;
pub(crate) mod template;

pub(crate) use crate::config::language;

/// Who makes up the people of a situation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PersonaMode {
    /// They are given; the model adds what the situation makes of them.
    Predefined,
    /// The model invents them together with the situation.
    Auto,
}

/// What one call for situations asks for: as many situations, with these people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallRequest {
    /// One situation for each group of names.
    Given(Vec<Vec<String>>),
    /// `count` situations with `min` to `max` invented people each.
    Invented {
        /// Situations.
        count: usize,
        /// Fewest people in one.
        min: usize,
        /// Most people in one.
        max: usize,
    },
}

impl CallRequest {
    /// The number of situations asked for.
    pub(crate) fn count(&self) -> usize {
        match self {
            Self::Given(groups) => groups.len(),
            Self::Invented { count, .. } => *count,
        }
    }

    /// Who makes up the people.
    pub(crate) fn mode(&self) -> PersonaMode {
        match self {
            Self::Given(_) => PersonaMode::Predefined,
            Self::Invented { .. } => PersonaMode::Auto,
        }
    }
}

/// The entry of `known` that `name` was probably meant to be.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let name = name.to_lowercase();
    let scored = known.iter().map(|k| (strsim::jaro_winkler(&name, &k.to_lowercase()), *k));
    scored.filter(|(score, _)| *score >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known)
}
