//! From what a model wrote to a [`Situation`]: ids for names, names that fit, an example for the hub.

use std::collections::BTreeMap;

use serde_json::Value;

use super::round::Slot;
use crate::draw::Draw;
use crate::prompt::draft::Draft;
use crate::record::{Participant, Relation, Situation};

/// What a situation takes from its call.
pub(super) struct Context<'a> {
    pub(super) language: &'a str,
    pub(super) attributes: &'a BTreeMap<String, String>,
    pub(super) provenance: &'a Value,
}

/// Name and persona of the people a model invented.
pub(super) fn proposed_names(draft: &Draft) -> Vec<(String, String)> {
    draft.personas.iter().map(|person| (person.name.clone(), person.persona.clone().unwrap_or_default())).collect()
}

/// The record of `draft`. `names` replace the ones the model gave, wherever they stand.
pub(super) fn record(slot: &Slot, draft: &Draft, names: Option<Vec<String>>, context: &Context<'_>) -> Situation {
    let renames: Vec<(String, String)> = draft
        .personas
        .iter()
        .zip(names.unwrap_or_default())
        .filter(|(person, name)| person.name != *name)
        .map(|(person, name)| (person.name.clone(), name))
        .collect();
    let mend = |text: &str| renames.iter().fold(text.to_owned(), |text, (old, new)| rename(&text, old, new));
    let personas: Vec<Participant> = draft
        .personas
        .iter()
        .enumerate()
        .map(|(at, person)| {
            let given = slot.people.iter().find(|given| given.name == person.name);
            let invented = || person.persona.as_deref().map(mend).unwrap_or_default();
            Participant {
                id: given.map_or_else(|| format!("{}-p{}", slot.id, at + 1), |given| given.id.clone()),
                name: mend(&person.name),
                description: mend(&person.description),
                persona: given.map_or_else(invented, |given| given.persona.clone()),
                stance: person.stance.as_deref().map(mend),
                goal: person.goal.as_deref().map(mend),
                knowledge: None,
            }
        })
        .collect();
    let id_of = |name: &str| {
        let at = draft.personas.iter().position(|person| person.name == name);
        at.and_then(|at| personas.get(at)).map(|person| person.id.clone()).unwrap_or_default()
    };
    let relations = draft
        .relations
        .iter()
        .map(|relation| Relation {
            from: id_of(&relation.from),
            to: id_of(&relation.to),
            r#type: relation.r#type.clone(),
            text: mend(&relation.text),
        })
        .collect();
    let mut situation = Situation {
        id: slot.id.clone(),
        split: slot.split.clone(),
        relations,
        situation: mend(&draft.situation),
        topic: mend(&draft.topic),
        conversation_starter: mend(&draft.conversation_starter),
        language: context.language.to_owned(),
        attributes: serde_json::to_string(context.attributes).unwrap_or_else(|_| "{}".to_owned()),
        provenance: context.provenance.to_string(),
        hash: String::new(),
        personas,
    };
    situation.hash = situation.content_hash();
    situation
}

/// The split of an item whose people belong to no other: by hash, in the shares' order.
pub(super) fn split_of(seed: u64, id: &str, splits: &BTreeMap<String, f64>) -> String {
    let names: Vec<&String> = splits.keys().collect();
    let shares: Vec<f64> = splits.values().copied().collect();
    let drawn = Draw::new(seed, &["split", id]).weighted(&shares);
    drawn.and_then(|at| names.get(at)).map_or_else(|| "train".to_owned(), |name| (*name).clone())
}

/// Replaces a name, and its first word where that stands alone, as whole words.
fn rename(text: &str, old: &str, new: &str) -> String {
    let whole = replace_word(text, old, new);
    let first = |name: &str| name.split(' ').next().unwrap_or(name).to_owned();
    if first(old) == old { whole } else { replace_word(&whole, &first(old), &first(new)) }
}

fn replace_word(text: &str, old: &str, new: &str) -> String {
    if old.is_empty() {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut before: Option<char> = None;
    while let Some(at) = rest.find(old) {
        let (head, tail) = rest.split_at(at);
        let after = tail.get(old.len()..).unwrap_or_default();
        let left = head.chars().next_back().or(before);
        let glued = |c: Option<char>| old.is_ascii() && c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        out.push_str(head);
        out.push_str(if glued(left) || glued(after.chars().next()) { old } else { new });
        before = old.chars().next_back();
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_as_whole_words_only() {
        assert_eq!(
            rename("Marcus Chen met Ann. Marcus left.", "Marcus Chen", "Tariq Aziz"),
            "Tariq Aziz met Ann. Tariq left."
        );
        assert_eq!(rename("Annabel saw Ann's cat, Ann!", "Ann", "Eve"), "Annabel saw Eve's cat, Eve!");
        assert_eq!(rename("王伟对王伟说", "王伟", "李娜"), "李娜对李娜说");
        assert_eq!(rename("x", "", "y"), "x");
    }

    #[test]
    fn splits_follow_their_shares() {
        let splits = BTreeMap::from([("train".to_owned(), 0.9), ("test".to_owned(), 0.1)]);
        let test = (0..2_000).filter(|n| split_of(5, &format!("s-{n}"), &splits) == "test").count();
        assert!((150..250).contains(&test), "{test}");
    }
}
