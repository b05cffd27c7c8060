//! The columns of each record, in their order. What a column means is said where the record is defined.

use arrow_array::ArrayRef;

use super::cell::FieldCell;
use super::{ArrowRecord, Column, ColumnKind, RowCells, TableError, TableRow};
use crate::record::{Conversation, Participant, Persona, Relation, Situation, Speaker, Turn};

/// `table!(Record, "name in messages", [field: Type as Kind, …])`, the fields in the order of the columns; a type alone says the
/// kind where there is one only, and prose where there are several.
macro_rules! table {
    ($record:ty, $name:literal, [$($field:ident: $type:ty $(as $kind:ident)?),+ $(,)?]) => {
        impl ArrowRecord for $record {
            const NAME: &'static str = $name;
            const COLUMNS: &'static [Column] = &[$(Column {
                name: plain(stringify!($field)),
                kind: table!(@kind $type $(, $kind)?),
                nullable: <$type as FieldCell>::NULLABLE,
            }),+];

            fn arrays(rows: &[&Self]) -> Result<Vec<ArrayRef>, TableError> {
                Ok(vec![$(<$type as FieldCell>::array(rows.iter().map(|row| &row.$field), plain(stringify!($field)))?),+])
            }

            fn from_cells(mut cells: RowCells<'_>) -> Result<Self, TableError> {
                Ok(Self { $($field: cells.next::<$type>()?),+ })
            }

            fn weight(&self) -> usize {
                [$(self.$field.weight()),+].iter().sum()
            }
        }
    };
    (@kind $type:ty) => { <$type as FieldCell>::KIND };
    (@kind $type:ty, $kind:ident) => { ColumnKind::$kind };
}

/// The name of a field without the mark of a name that is a keyword.
const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

table!(
    Persona,
    "personas",
    [
        id: String as Key,
        persona: String,
        name: Option<String> as Category,
        domain: Option<String> as Category,
        split: String as Category,
        source: String as Key,
        hash: String as Key,
    ]
);

table!(
    Situation,
    "situations",
    [
        id: String as Key,
        split: String as Category,
        personas: Vec<Participant>,
        relations: Vec<Relation>,
        situation: String,
        topic: String,
        conversation_starter: String,
        language: String as Category,
        attributes: String,
        provenance: String,
        labels: String,
        hash: String as Key,
    ]
);

table!(
    Conversation,
    "conversations",
    [
        id: String as Key,
        situation_id: String as Key,
        situation: String,
        topic: String,
        conversation_starter: String,
        language: String as Category,
        relations: Vec<Relation>,
        participants: Vec<Speaker>,
        turns: Vec<Turn>,
        stop_reason: String as Category,
        model: String as Category,
        tier: String as Category,
        prompt_tokens: u64,
        cached_prompt_tokens: u64,
        completion_tokens: u64,
        attributes: String,
        provenance: String,
        labels: String,
        safety: String,
        judgement: String,
        split: String as Category,
        hash: String as Key,
    ]
);

table!(
    Participant,
    "participants",
    [
        id: String as Key,
        name: String as Category,
        description: String,
        persona: String,
        stance: Option<String>,
        goal: Option<String>,
        knowledge: Option<String>,
    ]
);

table!(
    Relation,
    "relations",
    [
        from: String as Category,
        to: String as Category,
        r#type: String as Category,
        text: String,
    ]
);

table!(
    Speaker,
    "participants",
    [
        id: String as Key,
        name: String as Category,
        description: String,
        persona: String,
    ]
);

table!(
    Turn,
    "turns",
    [
        index: u32,
        speaker_id: String as Category,
        speaker: String as Category,
        addressee_id: Option<String> as Category,
        text: String,
        selected_by: String as Category,
        attempts: u32,
    ]
);

macro_rules! rows {
    ($($record:ty),+) => {$(
        impl TableRow for $record {
            fn id(&self) -> &str {
                &self.id
            }

            fn split(&self) -> &str {
                &self.split
            }
        }
    )+};
}

rows!(Persona, Situation, Conversation);
