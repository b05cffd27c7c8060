//! From what a model wrote to a [`Situation`]: ids for names, names that fit, an example for the hub.

use std::collections::BTreeMap;

use serde_json::Value;

use super::round::Slot;
use crate::draw::Draw;
use crate::prompt::draft::Draft;
use crate::record::{Participant, Relation, Situation};

/// What a situation takes from its call.
pub(super) struct DraftContext<'a> {
    pub(super) language: &'a str,
    pub(super) attributes: &'a BTreeMap<String, String>,
    pub(super) provenance: &'a Value,
    /// A JSON object as text.
    pub(super) labels: &'a str,
}

/// Name and persona of the people a model invented.
pub(super) fn proposed_names(draft: &Draft) -> Vec<(String, String)> {
    draft.personas.iter().map(|person| (person.name.clone(), person.persona.clone().unwrap_or_default())).collect()
}

/// The record of `draft`. `names` replace the ones the model gave, wherever they stand.
pub(super) fn record(slot: &Slot, draft: &Draft, names: Option<Vec<String>>, context: &DraftContext<'_>) -> Situation {
    let names = names.unwrap_or_else(|| draft.personas.iter().map(|person| person.name.clone()).collect());
    let renames = Renames::of(draft, &names);
    let mend = |text: &str| renames.apply(text);
    let personas: Vec<Participant> = draft
        .personas
        .iter()
        .enumerate()
        .map(|(at, person)| {
            let of_that_name = slot.people.iter().find(|given| given.name == person.name);
            let given = of_that_name.or_else(|| slot.people.get(at));
            let invented = || person.persona.as_deref().map(mend).unwrap_or_default();
            Participant {
                id: given.map_or_else(|| format!("{}-p{}", slot.id, at + 1), |given| given.id.clone()),
                name: names.get(at).unwrap_or(&person.name).clone(),
                description: mend(&person.description),
                persona: given.map_or_else(invented, |given| given.persona.clone()),
                stance: person.stance.as_deref().map(mend),
                goal: person.goal.as_deref().map(mend),
                knowledge: person.knowledge.as_deref().map(mend),
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
        labels: context.labels.to_owned(),
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

/// What to write instead of which name. All replacements are made at once, so that one cannot undo another.
struct Renames<'a> {
    /// Longest first: a full name wins over the first name within it.
    forms: Vec<(&'a str, &'a str)>,
}

impl<'a> Renames<'a> {
    /// Full names, and first names that only one person of the draft has.
    fn of(draft: &'a Draft, names: &'a [String]) -> Self {
        let first = |name: &'a str| name.split(' ').next().unwrap_or(name);
        let mut forms: Vec<(&str, &str)> = Vec::new();
        for (person, name) in draft.personas.iter().zip(names).filter(|(person, name)| person.name != **name) {
            forms.push((&person.name, name));
            let short = first(&person.name);
            let alone = draft.personas.iter().filter(|other| first(&other.name) == short).count() == 1;
            if alone && short != person.name {
                forms.push((short, first(name)));
            }
        }
        forms.retain(|(old, _)| !old.is_empty());
        forms.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        Self { forms }
    }

    fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut before: Option<char> = None;
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            let found = self.forms.iter().find(|(old, _)| stands_alone(before, rest, old));
            let (written, used) = found.map_or((None, next.len_utf8()), |(old, new)| (Some(*new), old.len()));
            let (head, tail) = rest.split_at(used);
            out.push_str(written.unwrap_or(head));
            before = head.chars().next_back();
            rest = tail;
        }
        out
    }
}

/// Whether `rest` begins with `name` as a whole word; scripts without spaces have no such boundary.
fn stands_alone(before: Option<char>, rest: &str, name: &str) -> bool {
    let glued = |c: Option<char>| name.is_ascii() && c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    rest.strip_prefix(name).is_some_and(|after| !glued(before) && !glued(after.chars().next()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prompt::draft::DraftPerson;

    fn draft(names: &[&str]) -> Draft {
        let personas = names.iter().map(|name| DraftPerson {
            name: (*name).to_owned(),
            persona: None,
            description: String::new(),
            stance: None,
            goal: None,
            knowledge: None,
        });
        let text = String::new;
        Draft {
            personas: personas.collect(),
            relations: Vec::new(),
            situation: text(),
            topic: text(),
            conversation_starter: text(),
        }
    }

    fn renamed(names: &[&str], new: &[&str], text: &str) -> String {
        let new: Vec<String> = new.iter().map(|name| (*name).to_owned()).collect();
        Renames::of(&draft(names), &new).apply(text)
    }

    #[test]
    fn names_change_as_whole_words_and_all_at_once() {
        let chen = renamed(&["Marcus Chen", "Ann"], &["Tariq Aziz", "Ann"], "Marcus Chen met Ann. Marcus left.");
        assert_eq!(chen, "Tariq Aziz met Ann. Tariq left.");
        assert_eq!(
            renamed(&["Ann", "Bo"], &["Eve", "Bo"], "Annabel saw Ann's cat, Ann!"),
            "Annabel saw Eve's cat, Eve!"
        );
        assert_eq!(renamed(&["王伟", "李娜"], &["张敏", "李娜"], "王伟对李娜说"), "张敏对李娜说");
        assert_eq!(renamed(&["Ann", "Bob"], &["Bob", "Ann"], "Ann hit Bob."), "Bob hit Ann.");
        let two = renamed(
            &["Maria Lopez", "Maria Garcia"],
            &["Maria Lopez", "Ines Ruiz"],
            "Maria Lopez waited for Maria Garcia; one Maria was late.",
        );
        assert_eq!(two, "Maria Lopez waited for Ines Ruiz; one Maria was late.");
    }

    #[test]
    fn splits_follow_their_shares() {
        let splits = BTreeMap::from([("train".to_owned(), 0.9), ("test".to_owned(), 0.1)]);
        let test = (0..2_000).filter(|n| split_of(5, &format!("s-{n}"), &splits) == "test").count();
        assert!((150..250).contains(&test), "{test}");
    }
}
