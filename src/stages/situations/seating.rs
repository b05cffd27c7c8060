//! Who is who: people that a model was given and named anew.
//!
//! A prompt that gives personas without insisting on names gets them back under names of the model's own. They are told by
//! their name where it stayed, else by the words of their persona, and what is left by position.

use std::collections::BTreeSet;

use super::round::GivenPerson;
use crate::lexicon::words;
use crate::prompt::draft::{Draft, DraftPerson};

/// Puts the people of `draft` into the order of those who were given, whatever they are called.
pub(super) fn seat(draft: &mut Draft, given: &[GivenPerson]) {
    if draft.personas.len() != given.len()
        || draft.personas.iter().zip(given).all(|(one, other)| one.name == other.name)
    {
        return;
    }
    let mut left: Vec<DraftPerson> = draft.personas.drain(..).collect();
    for person in given {
        let best = left.iter().enumerate().max_by(|(at, one), (other_at, other)| {
            likeness(one, person).total_cmp(&likeness(other, person)).then(other_at.cmp(at))
        });
        if let Some(at) = best.map(|(at, _)| at) {
            draft.personas.push(left.remove(at));
        }
    }
}

/// 2 for the same name, else the share of words that both personas have, 0 to 1.
fn likeness(one: &DraftPerson, given: &GivenPerson) -> f64 {
    if one.name.eq_ignore_ascii_case(&given.name) {
        return 2.0;
    }
    let said = one.persona.as_deref().unwrap_or_default().to_lowercase();
    let known = given.persona.to_lowercase();
    let (said, known): (BTreeSet<&str>, BTreeSet<&str>) = (words(&said).collect(), words(&known).collect());
    let shared = said.intersection(&known).count();
    shared as f64 / said.union(&known).count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(name: &str, persona: &str) -> DraftPerson {
        let persona = Some(persona.to_owned());
        DraftPerson {
            name: name.to_owned(),
            persona,
            description: String::new(),
            stance: None,
            goal: None,
            knowledge: None,
        }
    }

    #[test]
    fn people_are_told_by_name_then_by_persona_then_by_place() {
        let given = [("Ann", "A nurse on night shifts"), ("Bob", "A baker of rye bread"), ("Cy", "Sails alone")];
        let given = given.map(|(name, persona)| GivenPerson {
            id: String::new(),
            name: name.to_owned(),
            persona: persona.to_owned(),
        });
        let mut draft = Draft {
            personas: vec![
                person("Zoe", "who knows"),
                person("Ida", "a baker, of bread made of rye"),
                person("ann", "x"),
            ],
            relations: Vec::new(),
            situation: String::new(),
            topic: String::new(),
            conversation_starter: String::new(),
        };
        seat(&mut draft, &given);
        assert_eq!(draft.personas.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), ["ann", "Ida", "Zoe"]);
    }
}
