//! The columns of each record and how they are filled. What a column means is said where the record is defined.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int32Array, Int64Array, ListArray, StringArray, StructArray};
use arrow_buffer::OffsetBuffer;

use super::{ArrowRecord, Column, ColumnKind, RowCells, TableError, TableRow, element, fields};
use crate::record::{Conversation, Participant, Persona, Relation, Situation, Speaker, Turn};

const fn key(name: &'static str) -> Column {
    Column::new(name, ColumnKind::Key)
}

const fn prose(name: &'static str) -> Column {
    Column::new(name, ColumnKind::Text)
}

const fn category(name: &'static str) -> Column {
    Column::new(name, ColumnKind::Category)
}

const fn list<R: ArrowRecord>(name: &'static str) -> Column {
    Column::new(name, ColumnKind::List(R::COLUMNS))
}

fn strings<'a, R>(rows: &[&'a R], get: impl Fn(&'a R) -> &'a str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(|row| get(row))))
}

fn optional<'a, R>(rows: &[&'a R], get: impl Fn(&'a R) -> Option<&'a str>) -> ArrayRef {
    Arc::new(rows.iter().map(|row| get(row)).collect::<StringArray>())
}

fn int32<R>(rows: &[&R], column: &'static str, get: impl Fn(&R) -> u32) -> Result<ArrayRef, TableError> {
    let fit = |value: u32| i32::try_from(value).map_err(|_| TableError::OutOfRange { column, value: value.into() });
    Ok(Arc::new(rows.iter().map(|row| fit(get(row))).collect::<Result<Int32Array, _>>()?))
}

fn int64<R>(rows: &[&R], column: &'static str, get: impl Fn(&R) -> u64) -> Result<ArrayRef, TableError> {
    // What does not fit is shown as the largest number that does.
    let fit = |value| i64::try_from(value).map_err(|_| TableError::OutOfRange { column, value: i64::MAX });
    Ok(Arc::new(rows.iter().map(|row| fit(get(row))).collect::<Result<Int64Array, _>>()?))
}

fn lists<'a, R, T: ArrowRecord + 'a>(rows: &[&'a R], get: impl Fn(&'a R) -> &'a [T]) -> Result<ArrayRef, TableError> {
    let items: Vec<&T> = rows.iter().flat_map(|row| get(row)).collect();
    let arrays = T::arrays(&items)?;
    let items = StructArray::try_new_with_length(fields(T::COLUMNS), arrays, None, items.len())?;
    // Cannot overflow: a batch is smaller than 2 GiB by weight, and each item weighs something.
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(|row| get(row).len()));
    Ok(Arc::new(ListArray::try_new(Arc::new(element(T::COLUMNS)), offsets, Arc::new(items), None)?))
}

/// Bytes of strings in Arrow: their text and an offset each.
fn weigh<const N: usize>(strings: [&str; N]) -> usize {
    strings.iter().map(|text| text.len() + size_of::<i32>()).sum()
}

fn weigh_all<T: ArrowRecord>(items: &[T]) -> usize {
    items.iter().map(ArrowRecord::weight).sum()
}

impl ArrowRecord for Persona {
    const NAME: &'static str = "personas";
    const COLUMNS: &'static [Column] = &[
        key("id"),
        prose("persona"),
        Column::optional("name", ColumnKind::Category),
        Column::optional("domain", ColumnKind::Category),
        category("split"),
        key("source"),
        key("hash"),
    ];

    fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError> {
        Ok(vec![
            strings(rows, |r| &r.id),
            strings(rows, |r| &r.persona),
            optional(rows, |r| r.name.as_deref()),
            optional(rows, |r| r.domain.as_deref()),
            strings(rows, |r| &r.split),
            strings(rows, |r| &r.source),
            strings(rows, |r| &r.hash),
        ])
    }

    fn from_cells(cells: RowCells<'_>) -> Result<Self, TableError> {
        Ok(Self {
            id: cells.string("id")?,
            persona: cells.string("persona")?,
            name: cells.optional("name")?,
            domain: cells.optional("domain")?,
            split: cells.string("split")?,
            source: cells.string("source")?,
            hash: cells.string("hash")?,
        })
    }

    fn weight(&self) -> usize {
        let optional = [&self.name, &self.domain].map(|text| text.as_deref().unwrap_or_default());
        weigh(optional) + weigh([&self.id, &self.persona, &self.split, &self.source, &self.hash])
    }
}

impl TableRow for Persona {
    fn id(&self) -> &str {
        &self.id
    }

    fn split(&self) -> &str {
        &self.split
    }
}

impl ArrowRecord for Situation {
    const NAME: &'static str = "situations";
    const COLUMNS: &'static [Column] = &[
        key("id"),
        category("split"),
        list::<Participant>("personas"),
        list::<Relation>("relations"),
        prose("situation"),
        prose("topic"),
        prose("conversation_starter"),
        category("language"),
        prose("attributes"),
        prose("provenance"),
        prose("labels"),
        key("hash"),
    ];

    fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError> {
        Ok(vec![
            strings(rows, |r| &r.id),
            strings(rows, |r| &r.split),
            lists(rows, |r| &r.personas)?,
            lists(rows, |r| &r.relations)?,
            strings(rows, |r| &r.situation),
            strings(rows, |r| &r.topic),
            strings(rows, |r| &r.conversation_starter),
            strings(rows, |r| &r.language),
            strings(rows, |r| &r.attributes),
            strings(rows, |r| &r.provenance),
            strings(rows, |r| &r.labels),
            strings(rows, |r| &r.hash),
        ])
    }

    fn from_cells(cells: RowCells<'_>) -> Result<Self, TableError> {
        Ok(Self {
            id: cells.string("id")?,
            split: cells.string("split")?,
            personas: cells.list("personas")?,
            relations: cells.list("relations")?,
            situation: cells.string("situation")?,
            topic: cells.string("topic")?,
            conversation_starter: cells.string("conversation_starter")?,
            language: cells.string("language")?,
            attributes: cells.string("attributes")?,
            labels: cells.string("labels")?,
            provenance: cells.string("provenance")?,
            hash: cells.string("hash")?,
        })
    }

    fn weight(&self) -> usize {
        weigh_all(&self.personas)
            + weigh_all(&self.relations)
            + weigh([&self.id, &self.split, &self.situation, &self.topic, &self.conversation_starter])
            + weigh([&self.language, &self.attributes, &self.labels, &self.provenance, &self.hash])
    }
}

impl TableRow for Situation {
    fn id(&self) -> &str {
        &self.id
    }

    fn split(&self) -> &str {
        &self.split
    }
}

impl ArrowRecord for Conversation {
    const NAME: &'static str = "conversations";
    const COLUMNS: &'static [Column] = &[
        key("id"),
        key("situation_id"),
        prose("situation"),
        prose("topic"),
        prose("conversation_starter"),
        category("language"),
        list::<Relation>("relations"),
        list::<Speaker>("participants"),
        list::<Turn>("turns"),
        category("stop_reason"),
        category("model"),
        category("tier"),
        Column::new("prompt_tokens", ColumnKind::Int64),
        Column::new("cached_prompt_tokens", ColumnKind::Int64),
        Column::new("completion_tokens", ColumnKind::Int64),
        prose("attributes"),
        prose("provenance"),
        prose("labels"),
        prose("safety"),
        prose("judgement"),
        category("split"),
        key("hash"),
    ];

    fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError> {
        Ok(vec![
            strings(rows, |r| &r.id),
            strings(rows, |r| &r.situation_id),
            strings(rows, |r| &r.situation),
            strings(rows, |r| &r.topic),
            strings(rows, |r| &r.conversation_starter),
            strings(rows, |r| &r.language),
            lists(rows, |r| &r.relations)?,
            lists(rows, |r| &r.participants)?,
            lists(rows, |r| &r.turns)?,
            strings(rows, |r| &r.stop_reason),
            strings(rows, |r| &r.model),
            strings(rows, |r| &r.tier),
            int64(rows, "prompt_tokens", |r| r.prompt_tokens)?,
            int64(rows, "cached_prompt_tokens", |r| r.cached_prompt_tokens)?,
            int64(rows, "completion_tokens", |r| r.completion_tokens)?,
            strings(rows, |r| &r.attributes),
            strings(rows, |r| &r.provenance),
            strings(rows, |r| &r.labels),
            strings(rows, |r| &r.safety),
            strings(rows, |r| &r.judgement),
            strings(rows, |r| &r.split),
            strings(rows, |r| &r.hash),
        ])
    }

    fn from_cells(cells: RowCells<'_>) -> Result<Self, TableError> {
        Ok(Self {
            id: cells.string("id")?,
            situation_id: cells.string("situation_id")?,
            split: cells.string("split")?,
            situation: cells.string("situation")?,
            topic: cells.string("topic")?,
            conversation_starter: cells.string("conversation_starter")?,
            language: cells.string("language")?,
            relations: cells.list("relations")?,
            participants: cells.list("participants")?,
            turns: cells.list("turns")?,
            stop_reason: cells.string("stop_reason")?,
            model: cells.string("model")?,
            tier: cells.string("tier")?,
            prompt_tokens: cells.uint64("prompt_tokens")?,
            cached_prompt_tokens: cells.uint64("cached_prompt_tokens")?,
            completion_tokens: cells.uint64("completion_tokens")?,
            attributes: cells.string("attributes")?,
            labels: cells.string("labels")?,
            safety: cells.string("safety")?,
            judgement: cells.string("judgement")?,
            provenance: cells.string("provenance")?,
            hash: cells.string("hash")?,
        })
    }

    fn weight(&self) -> usize {
        weigh_all(&self.relations)
            + weigh_all(&self.participants)
            + weigh_all(&self.turns)
            + 3 * size_of::<i64>()
            + weigh([&self.id, &self.situation_id, &self.situation, &self.topic, &self.conversation_starter])
            + weigh([&self.language, &self.stop_reason, &self.model, &self.tier])
            + weigh([&self.labels, &self.safety, &self.judgement])
            + weigh([&self.attributes, &self.provenance, &self.split, &self.hash])
    }
}

impl TableRow for Conversation {
    fn id(&self) -> &str {
        &self.id
    }

    fn split(&self) -> &str {
        &self.split
    }
}

impl ArrowRecord for Participant {
    const NAME: &'static str = "participants";
    const COLUMNS: &'static [Column] = &[
        key("id"),
        category("name"),
        prose("description"),
        prose("persona"),
        Column::optional("stance", ColumnKind::Text),
        Column::optional("goal", ColumnKind::Text),
        Column::optional("knowledge", ColumnKind::Text),
    ];

    fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError> {
        Ok(vec![
            strings(rows, |r| &r.id),
            strings(rows, |r| &r.name),
            strings(rows, |r| &r.description),
            strings(rows, |r| &r.persona),
            optional(rows, |r| r.stance.as_deref()),
            optional(rows, |r| r.goal.as_deref()),
            optional(rows, |r| r.knowledge.as_deref()),
        ])
    }

    fn from_cells(cells: RowCells<'_>) -> Result<Self, TableError> {
        Ok(Self {
            id: cells.string("id")?,
            name: cells.string("name")?,
            description: cells.string("description")?,
            persona: cells.string("persona")?,
            stance: cells.optional("stance")?,
            goal: cells.optional("goal")?,
            knowledge: cells.optional("knowledge")?,
        })
    }

    fn weight(&self) -> usize {
        let optional = [&self.stance, &self.goal, &self.knowledge].map(|text| text.as_deref().unwrap_or_default());
        weigh(optional) + weigh([&self.id, &self.name, &self.description, &self.persona])
    }
}

impl ArrowRecord for Relation {
    const NAME: &'static str = "relations";
    const COLUMNS: &'static [Column] = &[category("from"), category("to"), category("type"), prose("text")];

    fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError> {
        Ok(vec![
            strings(rows, |r| &r.from),
            strings(rows, |r| &r.to),
            strings(rows, |r| &r.r#type),
            strings(rows, |r| &r.text),
        ])
    }

    fn from_cells(cells: RowCells<'_>) -> Result<Self, TableError> {
        Ok(Self {
            from: cells.string("from")?,
            to: cells.string("to")?,
            r#type: cells.string("type")?,
            text: cells.string("text")?,
        })
    }

    fn weight(&self) -> usize {
        weigh([&self.from, &self.to, &self.r#type, &self.text])
    }
}

impl ArrowRecord for Speaker {
    const NAME: &'static str = "participants";
    const COLUMNS: &'static [Column] = &[key("id"), category("name"), prose("description"), prose("persona")];

    fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError> {
        Ok(vec![
            strings(rows, |r| &r.id),
            strings(rows, |r| &r.name),
            strings(rows, |r| &r.description),
            strings(rows, |r| &r.persona),
        ])
    }

    fn from_cells(cells: RowCells<'_>) -> Result<Self, TableError> {
        Ok(Self {
            id: cells.string("id")?,
            name: cells.string("name")?,
            description: cells.string("description")?,
            persona: cells.string("persona")?,
        })
    }

    fn weight(&self) -> usize {
        weigh([&self.id, &self.name, &self.description, &self.persona])
    }
}

impl ArrowRecord for Turn {
    const NAME: &'static str = "turns";
    const COLUMNS: &'static [Column] = &[
        Column::new("index", ColumnKind::Int32),
        category("speaker_id"),
        category("speaker"),
        Column::optional("addressee_id", ColumnKind::Category),
        prose("text"),
        category("selected_by"),
        Column::new("attempts", ColumnKind::Int32),
    ];

    fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError> {
        Ok(vec![
            int32(rows, "index", |r| r.index)?,
            strings(rows, |r| &r.speaker_id),
            strings(rows, |r| &r.speaker),
            optional(rows, |r| r.addressee_id.as_deref()),
            strings(rows, |r| &r.text),
            strings(rows, |r| &r.selected_by),
            int32(rows, "attempts", |r| r.attempts)?,
        ])
    }

    fn from_cells(cells: RowCells<'_>) -> Result<Self, TableError> {
        Ok(Self {
            index: cells.uint32("index")?,
            speaker_id: cells.string("speaker_id")?,
            speaker: cells.string("speaker")?,
            addressee_id: cells.optional("addressee_id")?,
            text: cells.string("text")?,
            selected_by: cells.string("selected_by")?,
            attempts: cells.uint32("attempts")?,
        })
    }

    fn weight(&self) -> usize {
        let addressee = self.addressee_id.as_deref().unwrap_or_default();
        2 * size_of::<i32>() + weigh([&self.speaker_id, &self.speaker, addressee, &self.text, &self.selected_by])
    }
}
