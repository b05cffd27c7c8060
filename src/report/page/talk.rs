//! A conversation as the page holds it: one line that is searched, one with the rest.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::record::{Conversation, Dropped, Facets, Situation};
use crate::report::dialogue::ForeignTalk;

/// A conversation, whatever it was read from.
#[derive(Debug, Default)]
pub(super) struct PageTalk {
    pub(super) id: String,
    pub(super) situation: String,
    pub(super) topic: String,
    pub(super) starter: String,
    pub(super) names: Vec<String>,
    pub(super) texts: Vec<String>,
    /// What the list knows of it.
    pub(super) facets: Facets,
    pub(super) rest: TalkRest,
}

/// What of a conversation is shown and not searched.
#[derive(Debug, Default, Serialize)]
pub(super) struct TalkRest {
    pub(super) outcome: &'static str,
    pub(super) people: Vec<PagePerson>,
    /// From, to, and the relation as a sentence.
    pub(super) relations: Vec<(usize, usize, String)>,
    /// Who speaks, to whom, how they were chosen, and the replies it took.
    pub(super) turns: Vec<(usize, Option<usize>, String, u32)>,
    pub(super) situation_id: String,
    pub(super) split: String,
    pub(super) language: String,
    pub(super) model: String,
    pub(super) tier: String,
    pub(super) ending: String,
    /// Prompt tokens, those of them that were cached, completion tokens.
    pub(super) tokens: Option<[u64; 3]>,
    pub(super) hash: String,
    pub(super) attributes: Option<Box<RawValue>>,
    pub(super) labels: Option<Box<RawValue>>,
    pub(super) safety: Option<Box<RawValue>>,
    pub(super) judgement: Option<Box<RawValue>>,
    pub(super) provenance: Option<Box<RawValue>>,
    /// Replies that were turned down, by turn, as far as they are at hand.
    pub(super) tries: BTreeMap<u32, Vec<String>>,
}

/// A person as the page shows them.
#[derive(Debug, Default, Serialize)]
pub(super) struct PagePerson {
    id: String,
    description: String,
    persona: String,
    stance: Option<String>,
    goal: Option<String>,
    knowledge: Option<String>,
}

impl PageTalk {
    /// A record, with what only its situation knows of the people where that is at hand.
    pub(super) fn of_record(record: Conversation, situation: Option<&Situation>, outcome: &'static str) -> Self {
        let facets = Facets::of(&record, outcome);
        let place = |id: &str| record.participants.iter().position(|person| person.id == id);
        let turns = record.turns.iter().map(|turn| {
            let to = turn.addressee_id.as_deref().and_then(place);
            (place(&turn.speaker_id).unwrap_or_default(), to, turn.selected_by.clone(), turn.attempts)
        });
        let relations = record
            .relations
            .iter()
            .filter_map(|relation| Some((place(&relation.from)?, place(&relation.to)?, relation.text.clone())));
        let people = record.participants.iter().map(|person| {
            let known = situation.and_then(|situation| situation.personas.iter().find(|known| known.id == person.id));
            PagePerson {
                id: person.id.clone(),
                description: person.description.clone(),
                persona: person.persona.clone(),
                stance: known.and_then(|known| known.stance.clone()),
                goal: known.and_then(|known| known.goal.clone()),
                knowledge: known.and_then(|known| known.knowledge.clone()),
            }
        });
        let rest = TalkRest {
            outcome,
            people: people.collect(),
            relations: relations.collect(),
            turns: turns.collect(),
            situation_id: record.situation_id,
            split: record.split,
            language: record.language,
            model: record.model,
            tier: record.tier,
            ending: record.stop_reason,
            tokens: Some([record.prompt_tokens, record.cached_prompt_tokens, record.completion_tokens]),
            hash: record.hash,
            attributes: RawValue::from_string(record.attributes).ok(),
            labels: RawValue::from_string(record.labels).ok(),
            safety: RawValue::from_string(record.safety).ok(),
            judgement: RawValue::from_string(record.judgement).ok(),
            provenance: RawValue::from_string(record.provenance).ok(),
            tries: BTreeMap::new(),
        };
        Self {
            id: record.id,
            situation: record.situation,
            topic: record.topic,
            starter: record.conversation_starter,
            names: record.participants.into_iter().map(|person| person.name).collect(),
            texts: record.turns.into_iter().map(|turn| turn.text).collect(),
            facets,
            rest,
        }
    }

    /// The `number`-th conversation of a file of another tool.
    pub(super) fn of_foreign(talk: ForeignTalk, number: u64) -> Self {
        let ForeignTalk { id, names, dialogue } = talk;
        let turns = dialogue.lines.iter().map(|line| (line.speaker, None, String::new(), 1)).collect();
        let people = names.iter().map(|_| PagePerson::default()).collect();
        let language = dialogue.language.unwrap_or_default();
        let facets = Facets::of_texts(dialogue.lines.iter().map(|line| line.text.as_str()), &language, "accepted");
        Self {
            facets,
            id: id.unwrap_or_else(|| format!("line-{}", number + 1)),
            names,
            texts: dialogue.lines.into_iter().map(|line| line.text).collect(),
            rest: TalkRest { outcome: "accepted", people, turns, language, ..TalkRest::default() },
            ..Self::default()
        }
    }

    /// An item that did not make it: its reason for a topic, what exactly was wrong for a situation.
    pub(super) fn of_dropped(dropped: Dropped) -> Self {
        let Dropped { id, outcome, reason, detail } = dropped;
        Self {
            id,
            topic: reason,
            situation: detail,
            facets: Facets::of_lost(outcome),
            rest: TalkRest { outcome: outcome.as_str(), ..TalkRest::default() },
            ..Self::default()
        }
    }

    /// Writes its two lines: the one that is searched, and the rest.
    pub(super) fn write(&self, searched: &mut Vec<u8>, rests: &mut Vec<u8>) -> serde_json::Result<()> {
        let Self { id, situation, topic, starter, names, texts, rest, .. } = self;
        serde_json::to_writer(&mut *searched, &(id, situation, topic, starter, names, texts))?;
        searched.push(b'\n');
        serde_json::to_writer(&mut *rests, rest)?;
        rests.push(b'\n');
        Ok(())
    }
}
