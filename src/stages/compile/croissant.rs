//! `croissant.json`: the dataset as [Croissant 1.0](http://mlcommons.org/croissant/1.0) describes one, for tools that read by it.
//!
//! Each table is a set of files and a record set. A field of a nested list has the list's column as its source, and a JSON path that
//! takes it out of every item: this is how the reference implementation reads lists of objects.

use serde_json::{Value, json};

use super::card;
use super::table::WrittenTable;
use crate::config;
use crate::record::arrow::{Column, ColumnKind};

/// The terms, as the specification lists them.
const CONTEXT: &str = include_str!("croissant-context.json");
/// The only name under which the reference implementation knows Parquet.
const PARQUET: &str = "application/x-parquet";

/// The text of the file; the error says why it cannot be made.
pub(super) fn render(card: &config::Card, tables: &[WrittenTable]) -> Result<String, String> {
    let context: Value = serde_json::from_str(CONTEXT).map_err(|error| error.to_string())?;
    let mut dataset = json!({
        "@context": context,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": card::title(card),
        "description": "Synthetic conversations between several people, written by language models.",
        "distribution": tables.iter().map(file_set).collect::<Vec<_>>(),
        "recordSet": tables.iter().map(record_set).collect::<Vec<_>>(),
    });
    for (key, stated) in [("license", &card.license), ("datePublished", &card.date)] {
        if let (Some(stated), Some(dataset)) = (stated, dataset.as_object_mut()) {
            dataset.insert(key.to_owned(), json!(stated));
        }
    }
    let text = serde_json::to_string_pretty(&dataset).map_err(|error| error.to_string())?;
    Ok(text + "\n")
}

fn files_of(table: &WrittenTable) -> String {
    format!("{}-files", table.name)
}

fn file_set(table: &WrittenTable) -> Value {
    json!({
        "@type": "cr:FileSet",
        "@id": files_of(table),
        "name": files_of(table),
        "encodingFormat": PARQUET,
        "includes": format!("{}/*.parquet", table.folder),
    })
}

fn record_set(table: &WrittenTable) -> Value {
    let fields = table.columns.iter().map(|column| field(table, table.name, column, None));
    json!({
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "key": {"@id": format!("{}/id", table.name)},
        "field": fields.collect::<Vec<_>>(),
    })
}

/// A column of the table, or a field of the list that `list` names.
fn field(table: &WrittenTable, parent: &str, column: &Column, list: Option<&str>) -> Value {
    let id = format!("{parent}/{}", column.name);
    let (files, whole) = (json!({"@id": files_of(table)}), json!({"column": list.unwrap_or(column.name)}));
    let source = if list.is_none() {
        json!({"fileSet": files, "extract": whole})
    } else {
        let item = json!({"jsonPath": format!("$[*].{}", column.name)});
        json!({"fileSet": files, "extract": whole, "transform": item})
    };
    let data_type = match column.kind {
        ColumnKind::List(items) => {
            let items = items.iter().map(|item| field(table, &id, item, Some(column.name)));
            let items: Vec<Value> = items.collect();
            return json!({"@type": "cr:Field", "@id": id, "name": id, "repeated": true, "subField": items});
        }
        ColumnKind::Bool => "sc:Boolean",
        ColumnKind::Int32 | ColumnKind::Int64 => "sc:Integer",
        ColumnKind::Key | ColumnKind::Category | ColumnKind::Text => "sc:Text",
    };
    json!({"@type": "cr:Field", "@id": id, "name": id, "dataType": data_type, "source": source})
}
